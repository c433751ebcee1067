"""Rows that were set aside: what is wrong with those that are open, the list of them, and closing them by a waiver.

What has become of a row is decided in `survey/quarantine.py` and `sql/quarantine.sql`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa

from alumni_assets import layout
from alumni_assets.register import Register
from alumni_assets.resources.lake_interface import SCRATCH_PREFIX, Lake
from alumni_assets.stages.approval import ApprovalRefusedError, DoneAlreadyError
from alumni_assets.stages.intake import utc_now
from alumni_assets.stages.validation import Validated
from alumni_assets.survey import row_ranges
from alumni_assets.survey.quarantine import Quarantine, SetAside
from alumni_assets.survey.standing import Facts, Waiver, standings
from alumni_assets.warehouse.parquet import one_file
from alumni_assets.warehouse.quarantine import StoredTable, rows_of

ALL_OPEN = "all"
_SAMPLED = 10
_LISTED_AT_ONCE = 10_000


@dataclass(frozen=True)
class OpenRows:
    """What is wrong with the open rows of an upload, as of a time in UTC.

    `reasons` counts problems by `(column header, code)`; `sample` has the first rows, with personal data in them.
    """

    as_of: datetime
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    sample: Sequence[Mapping[str, Any]] = ()


def open_rows(
    lake: Lake, found: SetAside | None, judged: Validated | None, now: datetime, memory_limit: str
) -> OpenRows:
    """What is wrong with the open rows of an upload.

    `judged` is given where the upload was judged just now: while nothing has become of its rows, it says it all.
    `memory_limit` bounds DuckDB, here and below, such as `500MB`.
    """
    if judged is not None and (judged.corrects or found is None or not (found.returns or found.waivers)):
        return OpenRows(now, judged.reasons, judged.sample)
    if found is None or not found.open:
        return OpenRows(now)
    with _lives(lake, found, memory_limit) as connection:
        return _summary(connection, "FROM lives WHERE status = 'open'", now)


def rows_still_wrong(
    lake: Lake,
    original: SetAside | None,
    strays: SetAside | None,
    correction: str,
    now: datetime,
    memory_limit: str,
) -> OpenRows:
    """What is wrong with the rows of a correction that are open: under the upload that it corrects, or its own.

    `original` are the rows of that upload that were set aside, `strays` the correction's own.
    """
    if original is None or original.closing:
        return OpenRows(now)
    stored = stored_tables(lake)
    with _lives(lake, original, memory_limit) as connection, stored(correction, "invalid") as path:
        connection.register("came_back", connection.read_parquet(one_file(path), hive_partitioning=False))
        own = "OR corrects_row IS NULL" if strays is not None and strays.open else ""
        is_open = "SELECT source_row FROM lives WHERE status = 'open' AND returned_in = came_back.upload"
        return _summary(connection, f"FROM came_back WHERE corrects_row IN ({is_open}) {own}", now)


def _summary(connection: duckdb.DuckDBPyConnection, rows: str, now: datetime) -> OpenRows:
    counted = connection.execute(
        f"""
        SELECT problem."column", problem.code, count(*)
        FROM (SELECT unnest(problems) AS problem {rows})
        GROUP BY ALL
        """
    ).fetchall()
    sample = _batches(connection, f"{rows} ORDER BY source_row LIMIT {_SAMPLED}")
    first = [row for batch in sample for row in batch.to_pylist()]
    return OpenRows(now, Counter({(column, code): count for column, code, count in counted}), first)


def listed_rows(
    lake: Lake, facts: Facts, upload: str | None, only_open: bool, memory_limit: str
) -> Iterator[dict[str, Any]]:
    """The rows that were set aside, upload by upload: where each is, how it stands, and why. No survey cells.

    `row` is its number in the correction file, `row_in_file` the one in the uploaded file; times are in UTC.
    Raises `ApprovalRefusedError` for an upload that there is not.
    """
    if upload is not None and upload not in facts.seen:
        raise ApprovalRefusedError(f"There is no upload {upload}. `alumni status` lists them.")
    quarantine = Quarantine(facts, standings(facts))
    every = [quarantine.of(upload)] if upload else quarantine.all().values()
    chosen = sorted(
        (found for found in every if found and (found.open or not only_open)),
        key=lambda found: (found.received_at, found.upload),
    )
    return chain.from_iterable(_rows(lake, facts, found, only_open, memory_limit) for found in chosen)


def waive(
    lake: Lake, register: Register, upload: str, rows: Sequence[str], by: str, reason: str, memory_limit: str
) -> Waiver:
    """Record that open rows of an upload are closed without a correction.

    `rows` are numbers and ranges as in the correction file's `_row`, or `all` for every open one. Raises
    `ApprovalRefusedError` when no reason or name is given, or a row is not open; `DoneAlreadyError` when all of them
    are waived already.
    """
    if not reason.strip():
        raise ApprovalRefusedError("Say why the rows are closed: --reason TEXT.")
    if not by.strip():
        raise ApprovalRefusedError("Say who closes the rows: --by NAME, or set ALUMNI_APPROVER.")
    if not rows:
        raise ApprovalRefusedError("Say which rows are closed: 17, 20-35, or all.")
    facts = register.facts()
    if upload not in facts.seen:
        raise ApprovalRefusedError(f"There is no upload {upload}. `alumni status` lists them.")
    found = Quarantine(facts, standings(facts)).of(upload)
    if found is None or not found.open:
        raise DoneAlreadyError(f"{upload} has no open rows. `alumni quarantine --open` lists those that there are.")
    ranges = _open_ranges(lake, found, rows, memory_limit)
    return register.append_waiver(
        Waiver(upload, 0, ranges, found.invalid_content, by.strip(), utc_now(), reason.strip())
    )


def stored_tables(lake: Lake) -> StoredTable:
    """The stored tables of uploads in a lake."""

    def stored(upload: str, table: Literal["valid", "invalid"]) -> AbstractContextManager[Path]:
        return lake.local_copy(layout.valid_key(upload) if table == "valid" else layout.invalid_key(upload))

    return stored


def _open_ranges(lake: Lake, found: SetAside, rows: Sequence[str], memory_limit: str) -> row_ranges.Ranges:
    with _lives(lake, found, memory_limit) as connection:
        still_open, waived = (_numbers(connection, status) for status in ("open", "waived"))
    if list(rows) == [ALL_OPEN]:
        return row_ranges.ranges_of(still_open)
    try:
        wanted = row_ranges.union(rows)
    except ValueError as error:
        raise ApprovalRefusedError(f"{error}; write 17, 20-35, or all.") from error
    chosen = _among(still_open, wanted)
    if row_ranges.size(row_ranges.bounds(_among(waived, wanted))) == row_ranges.size(wanted):
        raise DoneAlreadyError(f"These rows of {found.upload} are waived already.")
    missing = row_ranges.size(wanted) - row_ranges.size(row_ranges.bounds(chosen))
    if missing:
        raise ApprovalRefusedError(
            f"{missing:,} of these rows of {found.upload} are not open. `alumni quarantine --open --upload "
            f"'{found.upload}'` lists those that are."
        )
    return chosen


def _numbers(connection: duckdb.DuckDBPyConnection, status: str) -> np.ndarray:
    """The numbers of the rows that stand so."""
    found = connection.execute("SELECT source_row FROM lives WHERE status = $1", [status]).fetchnumpy()
    return np.asarray(found["source_row"], dtype=np.int64)


def _among(numbers: np.ndarray, wanted: Sequence[tuple[int, int]]) -> row_ranges.Ranges:
    """Those of the numbers that are wanted."""
    is_wanted = np.zeros(numbers.size, dtype=bool)
    for first, last in wanted:
        is_wanted |= (numbers >= first) & (numbers <= last)
    return row_ranges.ranges_of(numbers[is_wanted])


def _rows(lake: Lake, facts: Facts, found: SetAside, only_open: bool, memory_limit: str) -> Iterator[dict[str, Any]]:
    condition = "WHERE status = 'open'" if only_open else ""
    below_header = facts.ingested[found.upload].header_record + 1
    with _lives(lake, found, memory_limit) as connection:
        columns = "upload, source_row, status, problems, corrected_by, returned_in, waived_by, waiver_reason"
        for batch in _batches(connection, f"SELECT {columns} FROM lives {condition} ORDER BY source_row"):
            for row in batch.to_pylist():
                yield {
                    "upload": row["upload"],
                    "row": row["source_row"],
                    "row_in_file": row["source_row"] + below_header,
                    "status": row["status"],
                    "since": f"{found.received_at:%Y-%m-%d %H:%M:%S}",
                    "problems": [
                        {name: problem[name] for name in ("column", "code", "message", "suggestion")}
                        for problem in row["problems"]
                    ],
                    "corrected_by": row["corrected_by"],
                    "returned_in": row["returned_in"],
                    "waived_by": row["waived_by"],
                    "waiver_reason": row["waiver_reason"],
                }


def _batches(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[pa.RecordBatch]:
    yield from connection.sql(query).to_arrow_reader(_LISTED_AT_ONCE)


@contextmanager
def _lives(lake: Lake, found: SetAside, memory_limit: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with TemporaryDirectory(prefix=SCRATCH_PREFIX) as spill:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "temp_directory": spill,
        }
        with duckdb.connect(config=config) as connection, rows_of(connection, [found], stored_tables(lake)):
            yield connection
