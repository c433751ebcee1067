"""The rows that were set aside and what has become of each, on an open DuckDB connection.

What decides about a row is in `survey/quarantine.py` and `sql/quarantine.sql`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from alumni_assets import contract
from alumni_assets.queries import QUARANTINE, query
from alumni_assets.survey import row_ranges
from alumni_assets.survey.quarantine import SetAside
from alumni_assets.warehouse.merging import UnexpectedRowsError, upload_changes
from alumni_assets.warehouse.parquet import FROM_PATH, one_file
from alumni_assets.warehouse.tables import count_rows, mark_changed, only_count

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

# Gives a stored table of an upload as a local Parquet file, for as long as it is being read.
StoredTable = Callable[[str, Literal["valid", "invalid"]], AbstractContextManager[Path]]

# What came back of an upload's rows: tables, for DuckDB lays those aside on the disk that outgrow its memory.
_CAME_BACK = """
CREATE OR REPLACE TEMP TABLE mended (source_row BIGINT, correction VARCHAR, place BIGINT);
CREATE OR REPLACE TEMP TABLE came_back_wrong (
    corrects_row BIGINT,
    correction VARCHAR,
    place BIGINT,
    problems STRUCT(code VARCHAR, "column" VARCHAR, "value" VARCHAR, message VARCHAR, suggestion VARCHAR)[]
)
"""
_WAIVED = pa.schema(
    [
        ("first_row", pa.int64()),
        ("last_row", pa.int64()),
        ("waived_by", pa.string()),
        ("waiver_reason", pa.string()),
        ("number", pa.int64()),
    ]
)


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

    Only uploads of which something has changed are read. Raises UnexpectedRowsError for a table with another
    upload's rows.
    """
    merged = dict(connection.execute("SELECT upload, version FROM pipeline.quarantined_uploads").fetchall())
    changes = upload_changes(merged, {upload: found.version for upload, found in uploads.items()})
    for table in ("quarantine", "pipeline.quarantined_uploads"):
        connection.execute(
            f"DELETE FROM {table} WHERE upload IN (SELECT unnest($1::VARCHAR[]))", [list(changes.leaving)]
        )
    for upload in changes.arriving:
        with rows_of(connection, uploads[upload], stored):
            _insert(connection, uploads[upload])
        connection.execute(
            "INSERT INTO pipeline.quarantined_uploads VALUES ($1, $2, $3)",
            [upload, uploads[upload].version, upload not in merged and not uploads[upload].has_changed],
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
def rows_of(connection: "DuckDBPyConnection", found: SetAside, stored: StoredTable) -> Iterator[None]:
    """While this lasts, the view `lives` has the rows of one upload that were set aside.

    Its columns: those of `contract_arrow.INVALID_SCHEMA` but `corrects` and `corrects_row`, and `status`,
    `corrected_by`, `returned_in`, `waived_by` and `waiver_reason`.
    """
    connection.execute(_CAME_BACK)
    for place, back in enumerate(found.returns):
        _add_returned(connection, back.correction, place, stored)
    with stored(found.upload, "invalid") as path:
        views = {
            "set_aside": _set_aside(connection, path),
            "waived": _waived(found),
            "ending": pa.table({"status": pa.array([found.closing or None], pa.string())}),
        }
        for name, relation in views.items():
            connection.register(name, relation)
        connection.execute(f"CREATE TEMP VIEW lives AS {query(QUARANTINE)}")
        yield
        connection.execute("DROP VIEW temp.lives")
        for name in views:
            connection.unregister(name)


def _set_aside(connection: "DuckDBPyConnection", path: Path) -> "DuckDBPyRelation":
    """The invalid rows of an upload; of a correction those that name no row of the upload that it corrects.

    Cells of columns that the survey did not have yet when the rows were stored are null.
    """
    rows = connection.read_parquet(one_file(path), hive_partitioning=False)
    cells = [name if name in rows.columns else f"NULL::VARCHAR AS {name}" for name in contract.NAMES]
    if "corrects_row" in rows.columns:
        rows = rows.filter("corrects_row IS NULL")
    return rows.project(", ".join(("upload", "source_row", *cells, "other_columns", "problems")))


def _add_returned(connection: "DuckDBPyConnection", correction: str, place: int, stored: StoredTable) -> None:
    """Add the rows that came back in a correction, valid or still wrong."""
    named = {"correction": correction, "place": place}
    with stored(correction, "valid") as path:
        connection.execute(
            f"INSERT INTO mended SELECT source_row, $correction, $place FROM {FROM_PATH}",
            {"path": one_file(path), **named},
        )
    with stored(correction, "invalid") as path:
        connection.execute(
            f"""
            INSERT INTO came_back_wrong SELECT corrects_row, $correction, $place, problems FROM {FROM_PATH}
            WHERE corrects_row IS NOT NULL
            """,
            {"path": one_file(path), **named},
        )


def _waived(found: SetAside) -> pa.Table:
    rows = [
        {
            "first_row": first,
            "last_row": last,
            "waived_by": waiver.by,
            "waiver_reason": waiver.reason,
            "number": waiver.number,
        }
        for waiver in found.waivers
        for first, last in row_ranges.bounds(waiver.rows)
    ]
    return pa.Table.from_pylist(rows, schema=_WAIVED)


def _insert(connection: "DuckDBPyConnection", found: SetAside) -> None:
    """Put the rows of `lives` into the table; they must all be of that upload."""
    headers = {column.header: column.name for column in contract.COLUMNS}
    connection.execute(
        """
        INSERT INTO quarantine BY NAME
        SELECT
            * EXCLUDE (problems),
            $received_at AS received_at,
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
        """,
        {"received_at": found.received_at, "headers": list(headers), "names": list(headers.values())},
    )
    others = "SELECT count(*) FROM set_aside WHERE upload <> $1"
    if only_count(connection.execute(others, [found.upload])):
        raise UnexpectedRowsError(f"the invalid rows of upload {found.upload} hold rows of another upload")
