"""Survey logic: reading, judging, transforming and counting rows.

Pure: nothing here knows Dagster, the lake, the clock or the environment.
"""
