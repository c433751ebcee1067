"""What the asset checks of tables in the warehouse find, in words and numbers.

Each function asks the warehouse itself, and gives an outcome. What is checked of uploads is in `checks.py`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alumni_assets import presentation
from alumni_assets.checks import Outcome
from alumni_assets.queries import DEDUPLICATION, query

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

IDS_UNIQUE = "ids_unique"
NEWEST_WINS = "newest_wins"
EVERY_ALUMNUS_PRESENT = "every_alumnus_present"
RECONCILES = "reconciles"
LAST_IS_CURRENT = "last_is_current"


def of_alumni(connection: "DuckDBPyConnection", transformed_rows: Mapping[str, int]) -> dict[str, Outcome]:
    """All that is checked of the deduplicated table. `transformed_rows` are as in `every_alumnus_present`."""
    return {
        IDS_UNIQUE: ids_unique(connection),
        EVERY_ALUMNUS_PRESENT: every_alumnus_present(connection, transformed_rows),
        NEWEST_WINS: newest_wins(connection),
    }


def ids_unique(connection: "DuckDBPyConnection") -> Outcome:
    """Whether each employee id has one row in the deduplicated table."""
    rows, ids = _one_row(connection, "SELECT count(*), count(DISTINCT employee_id) FROM alumni")
    return Outcome(rows == ids, f"{rows:,} rows for {ids:,} employee ids.", {"rows": rows, "employee_ids": ids})


def every_alumnus_present(connection: "DuckDBPyConnection", transformed_rows: Mapping[str, int]) -> Outcome:
    """Whether every employee id of every upload that counts is in the deduplicated table, and no other.

    `transformed_rows` says how many rows each upload that counts was transformed into, by the register.
    """
    held = dict(
        connection.execute(
            """
            SELECT coalesce(corrected_by, upload) AS came_with, count(*)
            FROM (FROM survey_responses UNION ALL BY NAME FROM pipeline.replaced_responses)
            GROUP BY came_with
            """
        ).fetchall()
    )
    differing = {
        upload for upload in {*held, *transformed_rows} if held.get(upload, 0) != transformed_rows.get(upload, 0)
    }
    if differing:
        return Outcome(
            False,
            f"The rows of {len(differing):,} uploads are not all there, such as "
            f"{presentation.in_words(min(differing))}. Delete the warehouse file; the next "
            "materialization of deduplicated_survey rebuilds it from the lake.",
        )
    (unreplaced,) = _one_row(
        connection,
        "SELECT count(*) FROM pipeline.replaced_responses ANTI JOIN survey_responses USING (upload, source_row)",
    )
    (lost,) = _one_row(
        connection,
        "SELECT count(DISTINCT employee_id) FROM survey_responses "
        "WHERE employee_id NOT IN (SELECT employee_id FROM alumni)",
    )
    (added,) = _one_row(
        connection,
        "SELECT count(*) FROM alumni WHERE employee_id NOT IN (SELECT employee_id FROM survey_responses)",
    )
    (alumni,) = _one_row(connection, "SELECT count(*) FROM alumni")
    if lost == added == unreplaced == 0:
        return Outcome(True, f"All {alumni:,} alumni of the uploads that count are there, and no others.")
    return Outcome(
        False,
        f"{lost + unreplaced:,} alumni are missing and {added:,} should not be there. Delete the warehouse file; the "
        "next materialization of deduplicated_survey rebuilds it from the lake.",
    )


def newest_wins(connection: "DuckDBPyConnection") -> Outcome:
    """Whether each alumnus' row is the newest of their submissions, by deduplicating all of them again."""
    deduplicated = query(DEDUPLICATION)
    (differing,) = _one_row(
        connection,
        f"SELECT count(*) FROM (SELECT employee_id, upload, source_row FROM ({deduplicated}) "
        "EXCEPT SELECT employee_id, upload, source_row FROM alumni)",
    )
    if differing == 0:
        return Outcome(True, "Each alumnus' row is the newest of their submissions.")
    return Outcome(
        False,
        f"{differing:,} alumni do not have their newest submission. Delete the warehouse file; the next "
        "materialization of deduplicated_survey rebuilds it from the lake.",
    )


def last_is_current(connection: "DuckDBPyConnection") -> Outcome:
    """Whether each alumnus' last period is their row in the deduplicated table, and periods follow on each other.

    Alumni of uploads that were merged after the history was made are left out.
    """
    is_made = "employee_id NOT IN (SELECT employee_id FROM pipeline.stale_history)"
    (alumni,) = _one_row(connection, f"SELECT count(*) FROM alumni WHERE {is_made}")
    (current,) = _one_row(connection, f"SELECT count(*) FROM alumni_history WHERE is_current AND {is_made}")
    (differing,) = _one_row(
        connection,
        f"""
        SELECT count(*) FROM alumni
        ANTI JOIN alumni_history AS history
            ON history.employee_id = alumni.employee_id AND history.is_current
            AND history.upload = alumni.upload AND history.source_row = alumni.source_row
        WHERE {is_made}
        """,
    )
    (gaps,) = _one_row(
        connection,
        """
        SELECT count(*) FROM alumni_history AS history
        ANTI JOIN alumni_history AS following
            ON following.employee_id = history.employee_id AND following.period = history.period + 1
            AND following.valid_from = history.valid_to
        WHERE NOT history.is_current
        """,
    )
    if alumni == current and differing == gaps == 0:
        return Outcome(True, f"The last periods of {alumni:,} alumni are their rows in alumni.")
    return Outcome(
        False,
        f"{differing:,} of {alumni:,} alumni have another row in alumni than in their last period, and {gaps:,} "
        "periods end where none begins. Delete the warehouse file; the next materialization of deduplicated_survey "
        "rebuilds it from the lake.",
    )


_RECONCILED = {
    "degree_performance": ("sum(alumni)", "count(*)"),
    "campus_excellence": ("sum(alumni)", "count(*)"),
    "department_employment": ("sum(alumni)", "count(*)"),
    "job_roles": ("sum(alumni)", "count(*)"),
    "top_employees": ("count(DISTINCT department)", "count(DISTINCT department)"),
}


def reconciles(connection: "DuckDBPyConnection", answer: str) -> Outcome:
    """Whether an answer accounts for every alumnus (the top employees: for every department)."""
    in_answer, in_table = _RECONCILED[answer]
    (answered,) = _one_row(connection, f"SELECT coalesce({in_answer}, 0) FROM {answer}")
    (expected,) = _one_row(connection, f"SELECT {in_table} FROM alumni")
    what = "departments" if answer == "top_employees" else "alumni"
    sentence = f"The answer speaks of {answered:,} {what}; the table has {expected:,}"
    return Outcome(answered == expected, f"{sentence}.", {"answered": int(answered), "expected": int(expected)})


def _one_row(connection: "DuckDBPyConnection", statement: str) -> tuple[Any, ...]:
    (row,) = connection.execute(statement).fetchall()
    return row
