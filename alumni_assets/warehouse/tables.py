"""The tables of the warehouse as data: names, columns, types and descriptions, and how they are created.

Users see the tables of `TABLES`, under these names, in `published/`. The schema `pipeline` beside them is the
pipeline's own bookkeeping: which uploads are merged, and which tables changed since the last publication.
What goes into the tables is in `merging.py` and `answers.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alumni_assets import contract

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# The name under which the warehouse's file is attached to every connection.
DATABASE = "warehouse"

_SQL_TYPES = {"int8": "TINYINT", "int64": "BIGINT", "string": "VARCHAR", "timestamp[us]": "TIMESTAMP"}


@dataclass(frozen=True)
class Column:
    """One column of a table; `type` is its DuckDB type."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """One table that users see."""

    name: str
    description: str
    columns: tuple[Column, ...]

    @property
    def column_list(self) -> str:
        """The column names as SQL."""
        return ", ".join(column.name for column in self.columns)

    @property
    def definitions(self) -> str:
        """The columns with their types as SQL."""
        return ", ".join(f"{column.name} {column.type}" for column in self.columns)


class TableLayoutError(Exception):
    """A table has other columns than this version of the project gives it."""


def _survey_column(name: str) -> Column:
    """A column of the survey, typed; its name and description are the contract's."""
    return Column(name, _SQL_TYPES[contract.BY_NAME[name].type], contract.BY_NAME[name].description)


def _survey_text_column(name: str) -> Column:
    return Column(name, "VARCHAR", f"{contract.BY_NAME[name].header}, as it came.")


def _lineage_column(name: str) -> Column:
    return Column(name, _SQL_TYPES[contract.TRANSFORMED_COLUMNS[name]], contract.LINEAGE[name])


def _counted(name: str, description: str) -> Column:
    return Column(name, "BIGINT", description)


_SURVEY_ROW = tuple(_survey_column(name) for name in contract.NAMES) + tuple(
    _lineage_column(name) for name in contract.LINEAGE
)
_MEAN_RATING = Column("mean_rating", "DOUBLE", "The average of their performance ratings, in full precision.")
_SD_RATING = Column("sd_rating", "DOUBLE", "The sample standard deviation of their ratings; null for one alumnus.")
_MEAN_BOUNDS = (
    Column("mean_low", "DOUBLE", "Lower end of the mean's 95 % interval (Student's t); null where there is none."),
    Column("mean_high", "DOUBLE", "Its upper end."),
)
_SHARE_BOUNDS = (
    Column("share_low", "DOUBLE", "Lower end of the share's 95 % interval (Wilson)."),
    Column("share_high", "DOUBLE", "Its upper end."),
)
_ALUMNI_SHARE = Column("alumni_share", "DOUBLE", "The same as a share of all alumni: 0 to 1.")

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            "alumni",
            "One row for each alumnus: the newest answer that counts.",
            _SURVEY_ROW,
        ),
        Table(
            "survey_responses",
            "Every transformed row that counts, older answers of the same alumnus included.",
            _SURVEY_ROW,
        ),
        Table(
            "quarantine",
            "Every row that was set aside, as it came, and why.",
            (
                _lineage_column("upload"),
                _lineage_column("source_row"),
                Column(
                    "status",
                    "VARCHAR",
                    "open; resolved once a correction has mended it; waived once a person has closed it without; "
                    "superseded or withdrawn when its upload is.",
                ),
                Column(
                    "reason_codes",
                    "VARCHAR",
                    "The reasons as column:code, separated by a comma and a space; "
                    "a reason that concerns the whole row has no column.",
                ),
                Column(
                    "problems",
                    "VARCHAR",
                    "The same reasons as sentences for a reviewer, one on each line. Of an open row that came back "
                    "still wrong, those of its last return.",
                ),
                *(_survey_text_column(name) for name in contract.NAMES),
                Column(
                    "other_columns",
                    "VARCHAR",
                    "Cells of columns that the survey does not have, as a JSON object; null without any.",
                ),
                _lineage_column("received_at"),
                Column("corrected_by", "VARCHAR", "The last correction that mended it; null without one."),
                Column("returned_in", "VARCHAR", "The last correction in which it came back still wrong, if any did."),
                Column("waived_by", "VARCHAR", "Who closed it without a correction, by their own account."),
                Column("waiver_reason", "VARCHAR", "Why they did."),
            ),
        ),
        Table(
            "uploads",
            "Every upload and where it stands.",
            (
                Column("upload", "VARCHAR", "The upload's id: its name and the first digits of its hash."),
                Column("key", "VARCHAR", "The name under which it was uploaded, below raw/."),
                Column("sha256", "VARCHAR", "The SHA-256 of its content, in hexadecimal digits."),
                Column("size_bytes", "BIGINT", "Its size in bytes."),
                Column("received_at", "TIMESTAMP", contract.LINEAGE["received_at"]),
                Column("status", "VARCHAR", "Where it stands."),
                _counted("row_count", "Its rows that are not blank; null if it could not be read."),
                _counted("valid", "Its rows that passed the validation."),
                _counted("invalid", "Its rows that were set aside: see quarantine."),
                _counted("transformed", "Its rows that were transformed; null until it is approved."),
                _counted("exact_duplicates", "Its valid rows that were dropped as they repeat an earlier one."),
                Column("reason", "VARCHAR", "Why it was rejected, withdrawn or left aside; null otherwise."),
                Column("approved_by", "VARCHAR", "Who approved its transformation, by their own account."),
                Column("approved_at", "TIMESTAMP", "When it was approved, in UTC."),
                Column("corrects", "VARCHAR", "The upload whose rows it corrects; null if it is no correction."),
                _counted("open_rows", "Rows set aside that wait for a correction; null if none was set aside."),
                _counted("resolved_rows", "Rows set aside that a correction has mended."),
                _counted("waived_rows", "Rows set aside that a person has closed without a correction."),
            ),
        ),
        Table(
            "approvals",
            "Every approval and every withdrawal: who, when, and what was approved.",
            (
                Column("upload", "VARCHAR", "The upload that was decided about."),
                _counted("number", "The decisions about an upload are numbered from 1."),
                Column("decision", "VARCHAR", "approved or withdrawn."),
                Column("in_force", "BOOLEAN", "Whether it is what counts now: no later decision, upload or file does."),
                Column("decided_by", "VARCHAR", "Who decided, by their own account."),
                Column("decided_at", "TIMESTAMP", "When, in UTC."),
                Column("note", "VARCHAR", "What they wrote to it; the reason of a withdrawal."),
                Column("override_reason", "VARCHAR", "Why it was approved although checks had failed; null if none."),
                Column("failed_checks", "VARCHAR", "The checks that had failed, parted by a comma and a space."),
                Column("checks", "VARCHAR", "How each check had ended, as name: passed, warning or failed."),
                Column("content", "VARCHAR", "The SHA-256 of the valid rows that were approved."),
                _counted("row_count", "How many valid rows were approved."),
                Column("invalid_share", "DOUBLE", "The share of the upload's rows that were open then: 0 to 1."),
            ),
        ),
        Table(
            "degree_performance",
            "Which college degree's graduates perform best? Best mean rating first.",
            (
                _survey_column("college_degree"),
                _counted("alumni", "How many alumni hold the degree."),
                _MEAN_RATING,
                _SD_RATING,
                *_MEAN_BOUNDS,
            ),
        ),
        Table(
            "campus_excellence",
            "Which campus produces the most excellent employees? Most of them first.",
            (
                _survey_column("dmc_campus"),
                _counted("alumni", "How many alumni graduated from the campus."),
                _counted("excellent", "How many of them are rated 5."),
                Column("excellent_share", "DOUBLE", "excellent divided by alumni: 0 to 1."),
                *_SHARE_BOUNDS,
            ),
        ),
        Table(
            "department_employment",
            "Which department employs the most alumni, and how are they rated? Most alumni first.",
            (
                _survey_column("department"),
                _counted("alumni", "How many alumni work in the department."),
                _ALUMNI_SHARE,
                _MEAN_RATING,
                _SD_RATING,
                *_SHARE_BOUNDS,
                *_MEAN_BOUNDS,
            ),
        ),
        Table(
            "job_roles",
            "What are the top job roles? Most alumni first.",
            (
                _survey_column("job_role"),
                _counted("alumni", "How many alumni have the role."),
                _ALUMNI_SHARE,
                *_SHARE_BOUNDS,
            ),
        ),
        Table(
            "top_employees",
            "The top 100 employees of each department: best rating first, then by name and employee_id.",
            (
                _survey_column("department"),
                Column("rank", "BIGINT", "The place within the department, from 1; no place is shared."),
                *(
                    _survey_column(name)
                    for name in (
                        "employee_id",
                        "employee_name",
                        "job_role",
                        "college_degree",
                        "email",
                        "phone_number",
                        "dmc_campus",
                        "performance_rating",
                    )
                ),
            ),
        ),
        Table(
            "top_employees_cut",
            "Where the list of each department's top 100 employees ends, and whether that is inside a tie.",
            (
                _survey_column("department"),
                _counted("alumni", "How many alumni work in the department."),
                _counted("listed", "How many of them are in top_employees: at most 100."),
                Column("last_rating", "TINYINT", "The rating of the last one on the list."),
                _counted("listed_at_last", "How many with that rating are on the list."),
                _counted(
                    "alumni_at_last",
                    "How many with that rating work in the department; more than listed_at_last where the list is "
                    "cut inside a tie.",
                ),
                _counted("excellent", "How many of the department's alumni are rated 5."),
                Column("excellent_share", "DOUBLE", "excellent divided by alumni: 0 to 1."),
                *_SHARE_BOUNDS,
            ),
        ),
        Table(
            "answer_verdicts",
            "Which differences between groups are clear, and which may be chance: a row for each question as a whole, "
            "then one for each of its groups.",
            (
                Column("question", "VARCHAR", "The table of the answer."),
                Column("measure", "VARCHAR", "What is compared: a column of that table."),
                Column("group_name", "VARCHAR", "The group; null for the question as a whole."),
                _counted("alumni", "How many alumni the group, or all groups that are compared, have."),
                Column("estimate", "DOUBLE", "The measure of the group, or of all groups that are compared."),
                Column("low", "DOUBLE", "Lower end of its 95 % interval; null where there is none."),
                Column("high", "DOUBLE", "Its upper end."),
                Column("rest_estimate", "DOUBLE", "The measure of all other groups that are compared."),
                Column("test", "VARCHAR", "The test; null where none was made."),
                Column("statistic", "DOUBLE", "Its statistic."),
                Column("p_value", "DOUBLE", "Its p value before any correction."),
                Column(
                    "p_adjusted",
                    "DOUBLE",
                    "After Holm's correction: of a question over the questions, of a group over its question's groups.",
                ),
                Column(
                    "verdict",
                    "VARCHAR",
                    "higher, lower, groups_differ, ahead, no_clear_difference, too_few or not_compared: see "
                    "docs/statistics.md.",
                ),
                Column("in_words", "VARCHAR", "The verdict as a sentence; null for a group."),
            ),
        ),
        Table(
            "answer_trends",
            "The answers by month of submission, or by batch where a response has no submission date; "
            "the newest 24 periods, and none where there is only one.",
            (
                Column("kind", "VARCHAR", "month or batch."),
                Column("period", "VARCHAR", "The month as YYYY-MM, or the batch's upload."),
                Column("begins", "TIMESTAMP", "The first of the month, or when the batch was received, in UTC."),
                Column(
                    "dimension",
                    "VARCHAR",
                    "college_degree, dmc_campus, department or job_role: what the group is of; overall for all alumni.",
                ),
                Column("group_name", "VARCHAR", "The group; null for all alumni."),
                _counted("alumni", "How many alumni answered in the period; each counts once, with the newest answer."),
                _counted("excellent", "How many of them were rated 5."),
                _MEAN_RATING,
                _SD_RATING,
                *_MEAN_BOUNDS,
                *_SHARE_BOUNDS,
            ),
        ),
        Table(
            "alumni_history",
            "One row for each alumnus and period: what they answered, and from when until when.",
            (
                _survey_column("employee_id"),
                _counted("period", "The alumnus' periods are numbered from 1."),
                Column(
                    "valid_from",
                    "TIMESTAMP",
                    "When it was submitted first, in the survey's time zone; when it was received, if it has no date.",
                ),
                Column("valid_to", "TIMESTAMP", "When the next period begins; null for the last one."),
                Column("is_current", "BOOLEAN", "Whether it is the last one, which is the row in alumni."),
                *(_survey_column(name) for name in contract.NAMES if name not in {"employee_id", "submission_date"}),
                _counted("submissions", "How many submissions in a row said this."),
                *(_lineage_column(name) for name in ("upload", "source_row", "corrected_by")),
            ),
        ),
        Table(
            "job_moves",
            "How many alumni changed their job role or department, from what to what. Most frequent first.",
            (
                Column("kind", "VARCHAR", "What changed: job_role or department."),
                Column("moved_from", "VARCHAR", "What it was before."),
                Column("moved_to", "VARCHAR", "What it was after."),
                _counted("moves", "How often this change was made."),
                _counted("alumni", "How many alumni made it."),
            ),
        ),
        Table(
            "publication",
            "Which publication this is: one row.",
            (
                Column("generation", "BIGINT", "The publication's number: one more each time."),
                Column("published_at", "TIMESTAMP", "When it was made, in UTC."),
            ),
        ),
    )
}

_BOOKKEEPING = """
CREATE SCHEMA pipeline;
CREATE TABLE pipeline.merged_uploads (upload VARCHAR, version VARCHAR);
CREATE TABLE pipeline.quarantined_uploads (upload VARCHAR, version VARCHAR, is_told BOOLEAN);
CREATE TABLE pipeline.unpublished (table_name VARCHAR);
CREATE TABLE pipeline.stale_history (employee_id BIGINT)
"""


def create_missing_tables(connection: "DuckDBPyConnection") -> None:
    """Create the tables that are not there; a new table counts as changed.

    Raises TableLayoutError when a table that is there has other columns than it should.
    """
    if _present_layout(connection, "pipeline.merged_uploads") is None:
        connection.execute(_BOOKKEEPING)
        definitions = TABLES["survey_responses"].definitions
        connection.execute(f"CREATE TABLE pipeline.replaced_responses ({definitions})")
    for table in TABLES.values():
        present = _present_layout(connection, f"main.{table.name}")
        if present is None:
            connection.execute(f"CREATE TABLE {table.name} ({table.definitions})")
            mark_changed(connection, table.name)
        elif present != _layout(table):
            raise TableLayoutError(f"the table {table.name} has other columns than this version gives it")


def describe_tables(connection: "DuckDBPyConnection", tables: Iterable[Table] = TABLES.values()) -> bool:
    """Bring the comments on tables and columns up to date; returns whether any changed."""
    comments = _present_comments(connection)
    changed = False
    for table in tables:
        wanted = {None: table.description} | {column.name: column.description for column in table.columns}
        for column, description in wanted.items():
            if comments.get((table.name, column)) == description:
                continue
            target = f"TABLE {table.name}" if column is None else f"COLUMN {table.name}.{column}"
            connection.execute(f"COMMENT ON {target} IS {_text_literal(description)}")
            changed = True
    return changed


def mark_changed(connection: "DuckDBPyConnection", table: str) -> None:
    """Remember that a table's content differs from what is published."""
    connection.execute(
        """
        INSERT INTO pipeline.unpublished
        SELECT $1 WHERE $1 NOT IN (SELECT table_name FROM pipeline.unpublished)
        """,
        [table],
    )


def unpublished_tables(connection: "DuckDBPyConnection") -> set[str]:
    """The tables that changed since the last publication that was finished."""
    return {name for (name,) in connection.execute("SELECT table_name FROM pipeline.unpublished").fetchall()}


def mark_all_published(connection: "DuckDBPyConnection") -> None:
    """Forget the changes: what is published is what is here."""
    connection.execute("DELETE FROM pipeline.unpublished")


def replace_content(connection: "DuckDBPyConnection", name: str, source: str) -> bool:
    """Make a table hold the rows of a query, in their order; returns whether its content changed.

    `source` is a SELECT that gives the table's columns, in any order. A table that already holds the same
    rows is left alone, so that nothing is published anew for it. This reads and writes the whole table.
    """
    table = TABLES[name]
    connection.execute(f"CREATE OR REPLACE TEMP TABLE incoming ({table.definitions})")
    connection.execute(f"INSERT INTO incoming BY NAME {source}")
    changed = _differs(connection, "incoming", name)
    if changed:
        connection.execute(f"DELETE FROM {name}")
        connection.execute(f"INSERT INTO {name} SELECT {table.column_list} FROM incoming")
        mark_changed(connection, name)
    connection.execute("DROP TABLE incoming")
    return changed


def count_rows(connection: "DuckDBPyConnection", name: str) -> int:
    """How many rows a table of `TABLES` has; free of cost."""
    return only_count(connection.execute(f"SELECT count(*) FROM {name}"))


def only_count(result: "DuckDBPyConnection") -> int:
    """The one number that a count, an INSERT or a DELETE gives."""
    # All rows are fetched, the one that there is: DuckDB lets nothing be registered while a result is unfinished.
    ((count,),) = result.fetchall()
    return int(count)


def _differs(connection: "DuckDBPyConnection", left: str, right: str) -> bool:
    """Whether two tables of the same columns hold different rows; the order of rows does not count."""
    differing = f"""
        SELECT count(*) FROM (
            (FROM {left} EXCEPT ALL FROM {right}) UNION ALL (FROM {right} EXCEPT ALL FROM {left})
        )
    """
    return only_count(connection.execute(differing)) > 0


def _layout(table: Table) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in table.columns]


def _present_layout(connection: "DuckDBPyConnection", name: str) -> list[tuple[str, str]] | None:
    """The columns of a table with their types; None where it is not there.

    To ask for each table takes a quarter of the time that DuckDB needs to list all columns that there are, of its own
    tables too.
    """
    import duckdb

    try:
        table = connection.table(f"{DATABASE}.{name}")
    except duckdb.CatalogException:
        return None
    return list(zip(table.columns, map(str, table.types), strict=True))


def _present_comments(connection: "DuckDBPyConnection") -> dict[tuple[str, str | None], str | None]:
    """The comment on each table (column None) and on each column."""
    rows = connection.execute(
        """
        SELECT table_name, NULL, comment FROM duckdb_tables()
        WHERE database_name = $1 AND schema_name = 'main'
        UNION ALL
        SELECT table_name, column_name, comment FROM duckdb_columns()
        WHERE database_name = $1 AND schema_name = 'main'
        """,
        [DATABASE],
    ).fetchall()
    return {(table, column): comment for table, column, comment in rows}


def _text_literal(text: str) -> str:
    """A text constant as SQL, for COMMENT, which takes no parameters."""
    return "'" + text.replace("'", "''") + "'"
