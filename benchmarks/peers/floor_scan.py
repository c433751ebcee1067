"""The floor of any reader that is built on Arrow: pyarrow scans the CSV, all cells text, and keeps nothing.

Leaves out: everything but reading.
"""

import json
import sys

from pyarrow import csv


def opened(source: str) -> csv.CSVStreamingReader:
    """The file as a stream of batches of text."""
    with open(source, encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split(",")
    as_text = csv.ConvertOptions(column_types=dict.fromkeys(names, "string"))
    return csv.open_csv(source, convert_options=as_text)


def main(source: str, _folder: str) -> None:
    """Scan a CSV file."""
    rows = sum(batch.num_rows for batch in opened(source))
    sys.stdout.write(json.dumps({"read": rows}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
