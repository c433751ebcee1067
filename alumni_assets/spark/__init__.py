"""Spark: the same batch functions and the same SQL files, for uploads that outgrow one machine.

`job.py` is the program that runs on Spark, here or on AWS Glue; `engine.py` is Dagster's side, which starts it and
takes over what it made. Nothing is judged, transformed or answered here in another way than on one machine.
"""
