"""Brings the warehouse in line with what counts: rows of uploads come, go or are replaced.

Each function is told the whole truth (every upload that counts, with the version of its rows), compares it
with the bookkeeping, and changes only what differs. Hence any of them may be repeated, and the order and
grouping in which uploads are merged make no difference. Which uploads count is decided elsewhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alumni_assets import contract
from alumni_assets.queries import DEDUPLICATION, query
from alumni_assets.warehouse.tables import (
    DATABASE,
    TABLES,
    count_rows,
    mark_changed,
    only_count,
    replace_content,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

# Folders named like `department=HR` on the way to a file say nothing about its rows.
_PARQUET = "read_parquet($path, hive_partitioning = false)"

# Gives the local Parquet file of an upload, for as long as it is being read.
ParquetOf = Callable[[str], AbstractContextManager[Path]]


class UnexpectedRowsError(Exception):
    """A Parquet file that should hold the rows of one upload holds rows of another."""


@dataclass(frozen=True)
class QuarantinedUpload:
    """The invalid rows of one upload: the version (content hash) of its Parquet file, and how they stand."""

    version: str
    status: str


@dataclass(frozen=True)
class UploadChanges:
    """Which uploads' rows have to be taken out, and which put in; an upload of a new version is in both."""

    leaving: tuple[str, ...]
    arriving: tuple[str, ...]


@dataclass(frozen=True)
class MergeReport:
    """Rows that a merge added and removed, alumni it reconsidered, and the rows of both tables after it."""

    added: int
    removed: int
    touched: int
    alumni: int
    responses: int


@dataclass(frozen=True)
class QuarantineReport:
    """Rows that a merge added and removed, uploads that it gave a new status, and the table's rows after it."""

    added: int
    removed: int
    restated: int
    rows: int


def upload_changes(merged: Mapping[str, str], wanted: Mapping[str, str]) -> UploadChanges:
    """Compare the versions that are in the tables with those that should be."""
    return UploadChanges(
        leaving=tuple(sorted(upload for upload, version in merged.items() if wanted.get(upload) != version)),
        arriving=tuple(sorted(upload for upload, version in wanted.items() if merged.get(upload) != version)),
    )


def merge_uploads(connection: "DuckDBPyConnection", counting: Mapping[str, str], parquet_of: ParquetOf) -> MergeReport:
    """Make `survey_responses` hold the rows of the uploads that count, and `alumni` the newest of them.

    `counting` gives each upload that counts now the version (content hash) of its transformed Parquet
    file, whose schema is `contract_arrow.TRANSFORMED_SCHEMA`. Only alumni with a row that comes or goes are
    reconsidered, so the cost follows the batch and not the history. Raises UnexpectedRowsError for a
    file with another upload's rows.
    """
    merged = dict(connection.execute("SELECT upload, version FROM pipeline.merged_uploads").fetchall())
    changes = upload_changes(merged, counting)
    connection.execute("CREATE OR REPLACE TEMP TABLE touched (employee_id BIGINT)")
    _touch(connection, changes.leaving)
    removed = _delete_uploads(connection, "survey_responses", changes.leaving)
    added = sum(_insert_responses(connection, upload, parquet_of) for upload in changes.arriving)
    _touch(connection, changes.arriving)
    touched = _deduplicate_touched(connection) if removed or added else 0
    connection.execute("DROP TABLE touched")
    _delete_uploads(connection, "pipeline.merged_uploads", changes.leaving)
    connection.execute(
        "INSERT INTO pipeline.merged_uploads SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[])",
        [list(changes.arriving), [counting[upload] for upload in changes.arriving]],
    )
    if removed or added:
        mark_changed(connection, "survey_responses")
        mark_changed(connection, "alumni")
    return MergeReport(
        added=added,
        removed=removed,
        touched=touched,
        alumni=count_rows(connection, "alumni"),
        responses=count_rows(connection, "survey_responses"),
    )


def merge_quarantine(
    connection: "DuckDBPyConnection", uploads: Mapping[str, QuarantinedUpload], parquet_of: ParquetOf
) -> QuarantineReport:
    """Make `quarantine` hold the invalid rows of exactly these uploads, each with its upload's status.

    The schema of their Parquet files is `contract_arrow.INVALID_SCHEMA`. An upload of which only the status
    changed is not read again. Raises UnexpectedRowsError for a file with another upload's rows.
    """
    rows = connection.execute("SELECT upload, version, status FROM pipeline.quarantined_uploads").fetchall()
    merged = {upload: QuarantinedUpload(version, status) for upload, version, status in rows}
    changes = upload_changes(
        {upload: state.version for upload, state in merged.items()},
        {upload: state.version for upload, state in uploads.items()},
    )
    restated = [
        upload
        for upload, state in uploads.items()
        if upload not in changes.arriving and merged[upload].status != state.status
    ]
    removed = _delete_uploads(connection, "quarantine", changes.leaving)
    added = sum(_insert_invalid(connection, upload, uploads[upload].status, parquet_of) for upload in changes.arriving)
    for upload in restated:
        connection.execute("UPDATE quarantine SET status = $1 WHERE upload = $2", [uploads[upload].status, upload])
    differing = [*changes.arriving, *restated]
    _delete_uploads(connection, "pipeline.quarantined_uploads", [*changes.leaving, *restated])
    connection.execute(
        """
        INSERT INTO pipeline.quarantined_uploads
        SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[]), unnest($3::VARCHAR[])
        """,
        [
            differing,
            [uploads[upload].version for upload in differing],
            [uploads[upload].status for upload in differing],
        ],
    )
    if removed or added or restated:
        mark_changed(connection, "quarantine")
    return QuarantineReport(
        added=added, removed=removed, restated=len(restated), rows=count_rows(connection, "quarantine")
    )


def replace_uploads(connection: "DuckDBPyConnection", rows: "pa.Table") -> bool:
    """Make the table `uploads` hold these rows, oldest first; returns whether its content changed.

    `rows` has the columns of `TABLES["uploads"]`, in any order, the timestamps in UTC without a zone.
    """
    connection.register("upload_rows", rows)
    changed = replace_content(
        connection,
        "uploads",
        f"SELECT {TABLES['uploads'].column_list} FROM upload_rows ORDER BY received_at, upload",
    )
    connection.unregister("upload_rows")
    return changed


def _touch(connection: "DuckDBPyConnection", uploads: Sequence[str]) -> None:
    """Add the alumni of these uploads to `touched`, each once."""
    if not uploads:
        return
    connection.execute(
        """
        INSERT INTO touched
        SELECT DISTINCT employee_id FROM survey_responses
        WHERE upload IN (SELECT unnest($1::VARCHAR[]))
            AND employee_id NOT IN (SELECT employee_id FROM touched)
        """,
        [list(uploads)],
    )


def _delete_uploads(connection: "DuckDBPyConnection", table: str, uploads: Sequence[str]) -> int:
    """Delete the rows of these uploads; returns how many there were."""
    if not uploads:
        return 0
    statement = f"DELETE FROM {table} WHERE upload IN (SELECT unnest($1::VARCHAR[]))"
    return only_count(connection.execute(statement, [list(uploads)]))


def _insert_responses(connection: "DuckDBPyConnection", upload: str, parquet_of: ParquetOf) -> int:
    columns = TABLES["survey_responses"].column_list
    statement = f"INSERT INTO survey_responses SELECT {columns} FROM {_PARQUET} WHERE upload = $upload"
    with parquet_of(upload) as path:
        return _insert_all(connection, statement, path, upload)


def _insert_invalid(connection: "DuckDBPyConnection", upload: str, status: str, parquet_of: ParquetOf) -> int:
    survey_columns = ", ".join(contract.NAMES)
    headers = {column.header: column.name for column in contract.COLUMNS}
    statement = f"""
        INSERT INTO quarantine
        SELECT
            upload,
            source_row,
            $status,
            array_to_string(
                [coalesce(map($headers, $names)[p."column"] || ':', '') || p.code for p in problems], ', '
            ),
            array_to_string(
                [
                    coalesce(nullif(p."column", '') || ': ', '') || p.message
                    || coalesce(' Did you mean ' || p.suggestion || '?', '')
                    for p in problems
                ],
                chr(10)
            ),
            {survey_columns},
            other_columns
        FROM {_PARQUET}
        WHERE upload = $upload
    """
    with parquet_of(upload) as path:
        return _insert_all(
            connection, statement, path, upload, status=status, headers=list(headers), names=list(headers.values())
        )


def _insert_all(
    connection: "DuckDBPyConnection", statement: str, path: Path, upload: str, **values: str | list[str]
) -> int:
    """Insert the rows of a Parquet file that belong to the upload, which must be all of them."""
    file = {"path": _no_pattern(path)}
    inserted = only_count(connection.execute(statement, {**file, "upload": upload, **values}))
    rows = only_count(connection.execute("SELECT num_rows FROM parquet_file_metadata($path)", file))
    if inserted != rows:
        raise UnexpectedRowsError(f"the Parquet file of upload {upload} holds rows of another upload")
    return inserted


def _no_pattern(path: Path) -> str:
    """The path as a pattern that fits nothing else: DuckDB would take `[1]` in it for a set of characters."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(path))


def _deduplicate_touched(connection: "DuckDBPyConnection") -> int:
    """Decide anew on the alumni of `touched`, from all their responses; returns how many they are."""
    connection.execute("DELETE FROM alumni WHERE employee_id IN (SELECT employee_id FROM touched)")
    with _responses_of_touched(connection):
        connection.execute(f"INSERT INTO alumni {query(DEDUPLICATION)}")
    return only_count(connection.execute("SELECT count(*) FROM touched"))


@contextmanager
def _responses_of_touched(connection: "DuckDBPyConnection") -> Iterator[None]:
    """While this lasts, `survey_responses` means the responses of the touched alumni only.

    A temporary view hides the table of the same name, so the deduplication runs here as it stands.
    """
    connection.execute(
        f"""
        CREATE TEMP VIEW survey_responses AS
        SELECT * FROM {DATABASE}.main.survey_responses
        WHERE employee_id IN (SELECT employee_id FROM touched)
        """
    )
    yield
    connection.execute("DROP VIEW temp.survey_responses")
