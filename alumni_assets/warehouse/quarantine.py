"""The rows that were set aside and what has become of each, on an open DuckDB connection.

What decides about a row is in `survey/quarantine.py` and `sql/quarantine.sql`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from alumni_assets import contract, layout
from alumni_assets.queries import QUARANTINE, query
from alumni_assets.survey import row_ranges
from alumni_assets.survey.quarantine import SetAside
from alumni_assets.warehouse.merging import UnexpectedRowsError, upload_changes
from alumni_assets.warehouse.parquet import FROM_PATH, one_file
from alumni_assets.warehouse.tables import count_rows, mark_changed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

# Gives a stored table of an upload as a local Parquet file, for as long as it is being read.
StoredTable = Callable[[str, Literal["valid", "invalid"]], AbstractContextManager[Path]]

# A statement takes milliseconds to plan, however few rows it is about; but all their files are at hand at once.
_MOST_UPLOADS, _MOST_ROWS = 100, 100_000
# What came back of uploads' rows: tables, for DuckDB lays those aside on the disk that outgrow its memory.
_CAME_BACK = """
CREATE OR REPLACE TEMP TABLE mended (upload VARCHAR, source_row BIGINT, correction VARCHAR, place BIGINT);
CREATE OR REPLACE TEMP TABLE came_back_wrong (
    upload VARCHAR,
    corrects_row BIGINT,
    correction VARCHAR,
    place BIGINT,
    problems STRUCT(code VARCHAR, "column" VARCHAR, "value" VARCHAR, message VARCHAR, suggestion VARCHAR)[]
)
"""
_WAIVED = pa.schema(
    [
        ("upload", pa.string()),
        ("first_row", pa.int64()),
        ("last_row", pa.int64()),
        ("waived_by", pa.string()),
        ("waiver_reason", pa.string()),
        ("number", pa.int64()),
    ]
)
_ENDING = pa.schema([("upload", pa.string()), ("received_at", pa.timestamp("us")), ("status", pa.string())])


@dataclass(frozen=True)
class QuarantineReport:
    """Uploads whose rows were put in for the first time, put in anew, or taken out; and the table's rows after it."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    rows: int


def merge_quarantine(
    connection: "DuckDBPyConnection", uploads: Mapping[str, SetAside], stored: StoredTable
) -> QuarantineReport:
    """Make `quarantine` hold the rows of exactly these uploads that were set aside, and how each stands.

    Only uploads of which something has changed are read. Raises UnexpectedRowsError for a table with more, fewer or
    other rows than were set aside.
    """
    merged = dict(connection.execute("SELECT upload, version FROM pipeline.quarantined_uploads").fetchall())
    changes = upload_changes(merged, {upload: found.version for upload, found in uploads.items()})
    for table in ("quarantine", "pipeline.quarantined_uploads"):
        connection.execute(
            f"DELETE FROM {table} WHERE upload IN (SELECT unnest($1::VARCHAR[]))", [list(changes.leaving)]
        )
    arriving = [uploads[upload] for upload in changes.arriving]
    for some in _in_batches(arriving):
        with rows_of(connection, some, stored):
            _require_all_rows(connection, some)
            _insert(connection)
    is_told = [found.upload not in merged and not found.has_changed for found in arriving]
    connection.execute(
        """
        INSERT INTO pipeline.quarantined_uploads
        SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[]), unnest($3::BOOLEAN[])
        """,
        [list(changes.arriving), [found.version for found in arriving], is_told],
    )
    if changes.leaving or changes.arriving:
        mark_changed(connection, "quarantine")
    return QuarantineReport(
        added=tuple(upload for upload in changes.arriving if upload not in merged),
        changed=tuple(upload for upload in changes.arriving if upload in merged),
        gone=tuple(upload for upload in changes.leaving if upload not in uploads),
        rows=count_rows(connection, "quarantine"),
    )


def untold(connection: "DuckDBPyConnection") -> dict[str, str]:
    """The uploads, with their versions, of whose rows something has become that is not marked as told."""
    rows = connection.execute(
        "SELECT upload, version FROM pipeline.quarantined_uploads WHERE NOT is_told ORDER BY upload"
    )
    return dict(rows.fetchall())


def mark_told(connection: "DuckDBPyConnection", told: Mapping[str, str]) -> None:
    """Remember that people can see what has become of the rows of these uploads in these versions."""
    connection.execute(
        """
        UPDATE pipeline.quarantined_uploads SET is_told = true
        WHERE (upload, version) IN (SELECT (unnest($1::VARCHAR[]), unnest($2::VARCHAR[])))
        """,
        [list(told), list(told.values())],
    )


@contextmanager
def rows_of(connection: "DuckDBPyConnection", uploads: Sequence[SetAside], stored: StoredTable) -> Iterator[None]:
    """While this lasts, the view `lives` has the rows of these uploads that were set aside, `ending` when they came.

    Columns of `lives`: those of `contract_arrow.INVALID_SCHEMA` but `corrects` and `corrects_row`, and `status`,
    `corrected_by`, `returned_in`, `waived_by` and `waiver_reason`; of `ending`: `upload`, `received_at` and `status`.
    """
    connection.execute(_CAME_BACK)
    for found in uploads:
        for place, back in enumerate(found.returns):
            _add_returned(connection, {"upload": found.upload, "correction": back.correction, "place": place}, stored)
    with ExitStack() as files:
        paths = [files.enter_context(stored(found.upload, "invalid")) for found in uploads]
        views = {"set_aside": _set_aside(connection, paths), "waived": _waived(uploads), "ending": _ending(uploads)}
        for name, relation in views.items():
            connection.register(name, relation)
        connection.execute(f"CREATE TEMP VIEW lives AS {query(QUARANTINE)}")
        yield
        connection.execute("DROP VIEW temp.lives")
        for name in views:
            connection.unregister(name)


def _in_batches(uploads: Sequence[SetAside]) -> Iterator[list[SetAside]]:
    batch, rows = list[SetAside](), 0
    for found in uploads:
        batch.append(found)
        rows += found.rows
        if len(batch) == _MOST_UPLOADS or rows >= _MOST_ROWS:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _set_aside(connection: "DuckDBPyConnection", paths: Sequence[Path]) -> "DuckDBPyRelation":
    """The invalid rows of uploads; of a correction those that name no row of the upload that it corrects.

    Cells of columns that the survey did not have yet when the rows were stored are null.
    """
    rows = connection.read_parquet(list(map(one_file, paths)), hive_partitioning=False, union_by_name=True)
    cells = [name if name in rows.columns else f"NULL::VARCHAR AS {name}" for name in contract.NAMES]
    if "corrects_row" in rows.columns:
        rows = rows.filter("corrects_row IS NULL")
    return rows.project(", ".join(("upload", "source_row", *cells, "other_columns", "problems")))


def _add_returned(connection: "DuckDBPyConnection", came: Mapping[str, str | int], stored: StoredTable) -> None:
    """Add the rows of an `upload` that came back in a `correction`, valid or still wrong; the last `place` wins."""
    correction = str(came["correction"])
    with stored(correction, "valid") as path:
        connection.execute(
            f"INSERT INTO mended SELECT $upload, source_row, $correction, $place FROM {FROM_PATH}",
            {"path": one_file(path), **came},
        )
    with stored(correction, "invalid") as path:
        connection.execute(
            f"""
            INSERT INTO came_back_wrong SELECT $upload, corrects_row, $correction, $place, problems FROM {FROM_PATH}
            WHERE corrects_row IS NOT NULL
            """,
            {"path": one_file(path), **came},
        )


def _ending(uploads: Sequence[SetAside]) -> pa.Table:
    rows = [
        {"upload": found.upload, "received_at": found.received_at, "status": found.closing or None} for found in uploads
    ]
    return pa.Table.from_pylist(rows, schema=_ENDING)


def _waived(uploads: Sequence[SetAside]) -> pa.Table:
    rows = [
        {
            "upload": found.upload,
            "first_row": first,
            "last_row": last,
            "waived_by": waiver.by,
            "waiver_reason": waiver.reason,
            "number": waiver.number,
        }
        for found in uploads
        for waiver in found.waivers
        for first, last in row_ranges.bounds(waiver.rows)
    ]
    return pa.Table.from_pylist(rows, schema=_WAIVED)


def _require_all_rows(connection: "DuckDBPyConnection", uploads: Sequence[SetAside]) -> None:
    counted = dict(connection.execute("SELECT upload, count(*) FROM set_aside GROUP BY upload").fetchall())
    for found in uploads:
        if (rows := counted.get(found.upload, 0)) != found.rows:
            raise UnexpectedRowsError(
                f"{found.rows:,} rows of upload {found.upload} were set aside, and {rows:,} of them are stored. Delete "
                f"{layout.invalid_key(found.upload)} in the lake: `alumni run` makes it again"
            )


def _insert(connection: "DuckDBPyConnection") -> None:
    """Put the rows of `lives` into the table."""
    headers = {column.header: column.name for column in contract.COLUMNS}
    connection.execute(
        """
        INSERT INTO quarantine BY NAME
        SELECT
            lives.* EXCLUDE (problems),
            ending.received_at,
            array_to_string(
                [coalesce(map($headers, $names)[p."column"] || ':', '') || p.code for p in problems], ', '
            ) AS reason_codes,
            array_to_string(
                [
                    coalesce(nullif(p."column", '') || ': ', '') || p.message
                    || coalesce(' Did you mean ' || p.suggestion || '?', '')
                    for p in problems
                ],
                chr(10)
            ) AS problems
        FROM lives
        JOIN ending ON ending.upload = lives.upload
        """,
        {"headers": list(headers), "names": list(headers.values())},
    )
