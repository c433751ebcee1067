"""The floor of any pipeline from CSV to Parquet: pyarrow scans the CSV, all cells text, and writes them as they came.

Leaves out: everything but reading and writing one table.
"""

import json
import sys

import pyarrow.parquet as pq
from floor_scan import opened


def main(source: str, folder: str) -> None:
    """Copy a CSV file to Parquet."""
    rows, reader = 0, opened(source)
    target = f"{folder}/copy.parquet"
    with pq.ParquetWriter(target, reader.schema, compression="zstd", compression_level=1) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    sys.stdout.write(json.dumps({"read": rows}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
