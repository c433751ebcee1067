"""Our own side of each measurement: programs that call the product as its assets do, but without Dagster.

Each prints on its last line what it did as JSON; `seconds` in it are those of its steps. How they are measured
is in `benchmarks/measuring.py`.
"""
