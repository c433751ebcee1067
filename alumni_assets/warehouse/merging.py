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

from alumni_assets.queries import DEDUPLICATION
from alumni_assets.warehouse.derivation import RowsOf, rows_by_sql
from alumni_assets.warehouse.parquet import FROM_PATH, one_file
from alumni_assets.warehouse.tables import (
    DATABASE,
    count_rows,
    mark_changed,
    only_count,
    replace_content,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

# The responses that count, and those in whose place a later correction's count.
_RESPONSES = ("survey_responses", "pipeline.replaced_responses")
# Rows that a correction gave came with that, though they keep the place of those that they correct.
_IS_OF_UPLOAD = "coalesce(corrected_by, upload) = $upload"
# Files from before there were corrections have no such column.
_WITH_CORRECTIONS = f"FROM {FROM_PATH} UNION ALL BY NAME SELECT NULL::VARCHAR AS corrected_by WHERE false"
_CAME_WITH = "coalesce(corrected_by, upload) IN (SELECT unnest($1::VARCHAR[]))"

# Gives the local Parquet file of an upload, for as long as it is being read.
ParquetOf = Callable[[str], AbstractContextManager[Path]]


class UnexpectedRowsError(Exception):
    """A Parquet file that should hold the rows of one upload holds rows of another."""


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


def upload_changes(merged: Mapping[str, str], wanted: Mapping[str, str]) -> UploadChanges:
    """Compare the versions that are in the tables with those that should be."""
    return UploadChanges(
        leaving=tuple(sorted(upload for upload, version in merged.items() if wanted.get(upload) != version)),
        arriving=tuple(sorted(upload for upload, version in wanted.items() if merged.get(upload) != version)),
    )


def merged_uploads(connection: "DuckDBPyConnection") -> dict[str, str]:
    """The uploads whose rows are in the tables, and their versions."""
    return dict(connection.execute("SELECT upload, version FROM pipeline.merged_uploads").fetchall())


def merge_uploads(
    connection: "DuckDBPyConnection",
    counting: Mapping[str, str],
    parquet_of: ParquetOf,
    corrections: Sequence[str] = (),
    rows_of: RowsOf = rows_by_sql,
) -> MergeReport:
    """Make `survey_responses` hold the rows of the uploads that count, and `alumni` the newest of them.

    `counting` gives each upload that counts now the version (content hash) of its transformed Parquet
    file, whose schema is `contract_arrow.TRANSFORMED_SCHEMA`. `corrections` are those among them that are
    corrections, in the order in which they came: of rows in one place only the last one's counts, and the
    others are kept aside until that one goes. Only alumni with a row that comes or goes are reconsidered,
    so the cost follows the batch and not the history. Raises UnexpectedRowsError for a file with another
    upload's rows.
    """
    changes = upload_changes(merged_uploads(connection), counting)
    connection.execute("CREATE OR REPLACE TEMP TABLE touched (employee_id BIGINT)")
    connection.execute("CREATE OR REPLACE TEMP TABLE contested (upload VARCHAR, source_row BIGINT)")
    _touch(connection, changes.leaving)
    _contest(connection, changes.leaving)
    removed = sum(_delete_rows(connection, table, changes.leaving) for table in _RESPONSES)
    added = sum(_insert_responses(connection, upload, parquet_of) for upload in changes.arriving)
    _contest(connection, changes.arriving)
    _settle_contested(connection, corrections)
    _touch(connection, changes.arriving)
    touched = _deduplicate_touched(connection, rows_of) if removed or added else 0
    connection.execute("DROP TABLE touched")
    connection.execute("DROP TABLE contested")
    _note_merged(connection, changes, counting)
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


def replace_uploads(connection: "DuckDBPyConnection", rows: "pa.Table") -> bool:
    """Make the table `uploads` hold these rows, oldest first; returns whether its content changed.

    `rows` has the columns of `TABLES["uploads"]` but those that count the rows in `quarantine`, which has to be
    current; in any order, the timestamps in UTC without a zone.
    """
    counted = ", ".join(
        f"CASE WHEN rows.invalid > 0 THEN coalesce(lives.{name}, 0) END AS {column}"
        for name, column in {"open": "open_rows", "resolved": "resolved_rows", "waived": "waived_rows"}.items()
    )
    return _replaced(
        connection,
        "uploads",
        rows,
        f"""
        SELECT rows.*, {counted}
        FROM incoming_rows AS rows
        LEFT JOIN (
            SELECT
                upload,
                count(*) FILTER (status = 'open') AS open,
                count(*) FILTER (status = 'resolved') AS resolved,
                count(*) FILTER (status = 'waived') AS waived
            FROM quarantine
            GROUP BY upload
        ) AS lives USING (upload)
        ORDER BY received_at, upload
        """,
    )


def replace_approvals(connection: "DuckDBPyConnection", rows: "pa.Table") -> bool:
    """Make the table `approvals` hold these rows, oldest first; returns whether its content changed."""
    return _replaced(connection, "approvals", rows, "SELECT * FROM incoming_rows ORDER BY decided_at, upload, number")


def _replaced(connection: "DuckDBPyConnection", table: str, rows: "pa.Table", query: str) -> bool:
    connection.register("incoming_rows", rows)
    changed = replace_content(connection, table, query)
    connection.unregister("incoming_rows")
    return changed


def _touch(connection: "DuckDBPyConnection", uploads: Sequence[str]) -> None:
    """Add the alumni of these uploads to `touched`, each once."""
    if not uploads:
        return
    connection.execute(
        f"""
        INSERT INTO touched
        SELECT DISTINCT employee_id FROM survey_responses
        WHERE {_CAME_WITH} AND employee_id NOT IN (SELECT employee_id FROM touched)
        """,
        [list(uploads)],
    )


def _contest(connection: "DuckDBPyConnection", uploads: Sequence[str]) -> None:
    """Add to `contested` the places of which these uploads, or corrections of them, have a corrected row."""
    if not uploads:
        return
    for table in _RESPONSES:
        connection.execute(
            f"""
            INSERT INTO contested
            SELECT upload, source_row FROM {table}
            WHERE corrected_by IS NOT NULL
                AND (
                    corrected_by IN (SELECT unnest($1::VARCHAR[]))
                    OR upload IN (SELECT unnest($1::VARCHAR[]))
                )
            """,
            [list(uploads)],
        )


def _settle_contested(connection: "DuckDBPyConnection", corrections: Sequence[str]) -> None:
    """Of the rows in each contested place let the last correction's count, and keep the others aside."""
    if only_count(connection.execute("SELECT count(*) FROM contested")) == 0:
        return
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE contenders AS
        SELECT
            responses.*,
            row_number() OVER (
                PARTITION BY responses.upload, responses.source_row
                ORDER BY coalesce(list_position($1::VARCHAR[], responses.corrected_by), 0) DESC
            ) AS place
        FROM (FROM {_RESPONSES[0]} UNION ALL BY NAME FROM {_RESPONSES[1]}) AS responses
        SEMI JOIN contested USING (upload, source_row)
        """,
        [list(corrections)],
    )
    connection.execute(
        """
        INSERT INTO touched
        SELECT DISTINCT employee_id FROM contenders
        WHERE employee_id NOT IN (SELECT employee_id FROM touched)
        """
    )
    for table, condition in zip(_RESPONSES, ("place = 1", "place > 1"), strict=True):
        connection.execute(
            f"DELETE FROM {table} WHERE (upload, source_row) IN (SELECT (upload, source_row) FROM contested)"
        )
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * EXCLUDE (place) FROM contenders WHERE {condition}")
    connection.execute("DROP TABLE contenders")


def _delete_rows(connection: "DuckDBPyConnection", table: str, uploads: Sequence[str]) -> int:
    """Delete the rows that came with these uploads; returns how many there were."""
    if not uploads:
        return 0
    return only_count(connection.execute(f"DELETE FROM {table} WHERE {_CAME_WITH}", [list(uploads)]))


def _note_merged(connection: "DuckDBPyConnection", changes: UploadChanges, counting: Mapping[str, str]) -> None:
    connection.execute(
        "DELETE FROM pipeline.merged_uploads WHERE upload IN (SELECT unnest($1::VARCHAR[]))", [list(changes.leaving)]
    )
    connection.execute(
        "INSERT INTO pipeline.merged_uploads SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[])",
        [list(changes.arriving), [counting[upload] for upload in changes.arriving]],
    )


def _insert_responses(connection: "DuckDBPyConnection", upload: str, parquet_of: ParquetOf) -> int:
    """Insert the rows of an upload's Parquet file, which must all be its own; returns how many they are."""
    with parquet_of(upload) as path:
        file = {"path": one_file(path)}
        statement = f"INSERT INTO survey_responses BY NAME SELECT * FROM ({_WITH_CORRECTIONS}) WHERE {_IS_OF_UPLOAD}"
        inserted = only_count(connection.execute(statement, {**file, "upload": upload}))
        rows = only_count(connection.execute("SELECT num_rows FROM parquet_file_metadata($path)", file))
    if inserted != rows:
        raise UnexpectedRowsError(f"the Parquet file of upload {upload} holds rows of another upload")
    return inserted


def _deduplicate_touched(connection: "DuckDBPyConnection", rows_of: RowsOf) -> int:
    """Decide anew on the alumni of `touched`, from all their responses; returns how many they are."""
    connection.execute("DELETE FROM alumni WHERE employee_id IN (SELECT employee_id FROM touched)")
    with responses_of(connection, "touched"):
        connection.execute(f"INSERT INTO alumni BY NAME {rows_of(DEDUPLICATION, 'touched')}")
    connection.execute("INSERT INTO pipeline.stale_history FROM touched")
    return only_count(connection.execute("SELECT count(*) FROM touched"))


@contextmanager
def responses_of(connection: "DuckDBPyConnection", chosen: str) -> Iterator[None]:
    """While this lasts, `survey_responses` means the responses of the alumni in the table `chosen` only.

    A temporary view hides the table of the same name, so the portable SQL runs here as it stands.
    """
    connection.execute(
        f"""
        CREATE TEMP VIEW survey_responses AS
        SELECT * FROM {DATABASE}.main.survey_responses
        WHERE employee_id IN (SELECT employee_id FROM {chosen})
        """
    )
    yield
    connection.execute("DROP VIEW temp.survey_responses")
