"""The transformation as one SQL statement of DuckDB, from CSV to Parquet.

Leaves out: validation (a cell that cannot be typed becomes null, any other bad cell stays), so no bad rows and no
reasons; row numbers, words of the vocabularies in their usual spelling, names such as McCullough, correction files,
other encodings, numbering plans of other countries.
"""

import json
import sys
import time

import duckdb

_TRANSFORM = r"""
COPY (
    SELECT DISTINCT
        TRY_CAST(trim("Employee_ID") AS BIGINT) AS employee_id,
        array_to_string(
            list_transform(
                string_split(regexp_replace(regexp_replace(trim("Employee_Name"), $titles, ''), $suffixes, ''), ' '),
                lambda word: upper(word[1]) || lower(word[2:])
            ),
            ' '
        ) AS employee_name,
        trim("College_Degree") AS college_degree,
        trim("Department") AS department,
        array_to_string(
            list_transform(string_split(trim("Job_Role"), ' '), lambda word: upper(word[1]) || lower(word[2:])), ' '
        ) AS job_role,
        trim("DMC_Campus") AS dmc_campus,
        regexp_extract(trim("Email"), '^(.*)@', 1) || '@'
            || regexp_replace(lower(regexp_extract("Email", '@(.*)$', 1)), '\bexample\b', 'gmail') AS email,
        '+63 ' || right(regexp_replace("Phone_Number", '[^0-9]', '', 'g'), 10) AS phone_number,
        TRY_CAST(trim("Performance_Rating") AS TINYINT) AS performance_rating,
        TRY_CAST(trim("Submission Date") AS TIMESTAMP) AS submission_date
    FROM read_csv($source, all_varchar = true, header = true, delim = ',', quote = '"', escape = '"')
) TO $target (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)
"""
_TITLES = r"(?i)^((dr|mr|ms|mrs)\.?\s+)+"
_SUFFIXES = r"(?i)([\s,]+(dvm|md|phd|dds|esq|jr|sr)\.?)+$"


def main(source: str, folder: str) -> None:
    """Write the transformed rows of a CSV file as Parquet."""
    started = time.monotonic()
    target = f"{folder}/transformed.parquet"
    (rows,) = duckdb.execute(
        _TRANSFORM, {"source": source, "target": target, "titles": _TITLES, "suffixes": _SUFFIXES}
    ).fetchone() or (0,)
    sys.stdout.write(json.dumps({"rows_out": rows, "seconds": {"all": round(time.monotonic() - started, 3)}}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
