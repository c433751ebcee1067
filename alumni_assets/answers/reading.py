"""Reads the answers and all that belongs to them from DuckDB: the warehouse's tables, or the published ones.

What the tables are is in `warehouse/tables.py`. Nothing is decided here.
"""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from alumni_assets.answers import drift
from alumni_assets.answers.estimates import share_bounds
from alumni_assets.answers.figures import (
    GROUPED_BY,
    QUESTIONS,
    Answer,
    Batch,
    Cut,
    Figures,
    Move,
    Moves,
    Quality,
    Question,
    Row,
    TrendPoint,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from duckdb import DuckDBPyConnection

# What a table calls the fields of a Row; `share` is of alumni or of the excellent, as the table has it.
_FIELDS = {
    "alumni": "alumni",
    "excellent": "excellent",
    "alumni_share": "share",
    "excellent_share": "share",
    "share_low": "share_low",
    "share_high": "share_high",
    "mean_rating": "mean",
    "sd_rating": "sd",
    "mean_low": "mean_low",
    "mean_high": "mean_high",
}


def read_answers(connection: "DuckDBPyConnection") -> "Mapping[Question, Answer]":
    """The four answers that are groups of alumni, in the order of their tables."""
    return {question: _answer(connection, question) for question in QUESTIONS}


def read_figures(connection: "DuckDBPyConnection", uploads_waiting: int) -> Figures:
    """Everything that is shown but the people on the list, from one consistent set of published tables.

    How many uploads wait for approval is given: the register alone knows it of one that counts and was judged anew.
    """
    ((generation, published_at),) = connection.execute("SELECT generation, published_at FROM publication").fetchall()
    ((alumni, responses),) = connection.execute(
        "SELECT (SELECT count(*) FROM alumni), (SELECT count(*) FROM survey_responses)"
    ).fetchall()
    return Figures(
        generation=generation,
        published_at=published_at,
        alumni=alumni,
        responses=responses,
        answers=read_answers(connection),
        cuts=read_cuts(connection),
        trends=_trends(connection),
        moves=_moves(connection),
        quality=_quality(connection, uploads_waiting),
    )


def read_cuts(connection: "DuckDBPyConnection") -> tuple[Cut, ...]:
    """Where the list of each department's top employees ends."""
    rows = _records(connection, "SELECT * RENAME (excellent_share AS share) FROM top_employees_cut ORDER BY department")
    return tuple(Cut(**row) for row in rows)


def read_people(connection: "DuckDBPyConnection") -> "pd.DataFrame":
    """The top employees, with the columns of `top_employees`, by department and rank."""
    return connection.execute("FROM top_employees ORDER BY department, rank").df()


def _answer(connection: "DuckDBPyConnection", question: Question) -> Answer:
    rows = [
        Row(name=row[GROUPED_BY[question]], **{field: row[name] for name, field in _FIELDS.items() if name in row})
        for row in _records(connection, f"SELECT * FROM {question}")
    ]
    return Answer(question=question, rows=tuple(rows))


def _trends(connection: "DuckDBPyConnection") -> tuple[TrendPoint, ...]:
    rows = _records(
        connection,
        """
        SELECT * EXCLUDE (sd_rating, group_name, mean_rating), group_name AS "group", mean_rating AS mean
        FROM answer_trends ORDER BY dimension, group_name, begins, period
        """,
    )
    return tuple(TrendPoint(**row) for row in rows)


def _moves(connection: "DuckDBPyConnection") -> Moves:
    again = "SELECT count(*) FROM alumni_history WHERE period = 1 AND NOT is_current"
    ((moved,),) = connection.execute(again).fetchall()
    ((answered_again,),) = connection.execute(
        "SELECT count(DISTINCT employee_id) FROM alumni_history WHERE submissions > 1 OR period > 1"
    ).fetchall()
    changes = _records(connection, "SELECT * FROM job_moves ORDER BY kind DESC, moves DESC, moved_from, moved_to")
    return Moves(answered_again=answered_again, moved=moved, changes=tuple(Move(**row) for row in changes))


def _quality(connection: "DuckDBPyConnection", uploads_waiting: int) -> Quality:
    """Rows that came back in a correction are counted with their upload; those that name no row, of their own."""
    batches = _batches(connection)
    ((rows, rejected),) = connection.execute(
        """
        SELECT
            coalesce(sum(row_count) FILTER (corrects IS NULL), 0)::BIGINT
                + (SELECT count(*) FROM quarantine SEMI JOIN uploads AS corrections
                    ON corrections.upload = quarantine.upload AND corrections.corrects IS NOT NULL),
            count(*) FILTER (status = 'rejected')
        FROM uploads
        """
    ).fetchall()
    ((set_aside, still_open),) = connection.execute(
        "SELECT count(*), count(*) FILTER (status = 'open') FROM quarantine"
    ).fetchall()
    return Quality(
        batches=batches,
        rows=rows,
        rows_set_aside=set_aside,
        rows_open=still_open,
        uploads_rejected=rejected,
        uploads_waiting=uploads_waiting,
        reasons=_reasons(connection),
        drift=_drift(connection, batches),
    )


def _batches(connection: "DuckDBPyConnection") -> tuple[Batch, ...]:
    """The uploads that count and are no corrections, the oldest first."""
    rows = _records(
        connection,
        """
        SELECT upload, received_at, row_count AS rows, valid, invalid, coalesce(open_rows, 0) AS open
        FROM uploads WHERE status = 'transformed' AND corrects IS NULL AND row_count > 0
        ORDER BY received_at, upload
        """,
    )
    bounds = share_bounds([row["invalid"] for row in rows], [row["rows"] for row in rows])
    return tuple(Batch(**row, invalid_low=low, invalid_high=high) for row, low, high in zip(rows, *bounds, strict=True))


def _reasons(connection: "DuckDBPyConnection") -> tuple[tuple[str, str, int, int], ...]:
    return tuple(
        connection.execute(
            """
            SELECT
                CASE WHEN contains(reason, ':') THEN split_part(reason, ':', 1) ELSE '' END AS of_column,
                split_part(reason, ':', -1) AS code,
                count(*) AS cells,
                count(*) FILTER (status = 'open') AS open_cells
            FROM (SELECT status, unnest(string_split(reason_codes, ', ')) AS reason FROM quarantine)
            GROUP BY of_column, code ORDER BY cells DESC, of_column, code
            """
        ).fetchall()
    )


def _drift(connection: "DuckDBPyConnection", batches: tuple[Batch, ...]) -> tuple[drift.Drift, ...]:
    """The newest batch against all before it."""
    if len(batches) < 2:
        return ()
    counted: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for dimension in ("performance_rating", *GROUPED_BY.values()):
        found = connection.execute(
            f"""
            SELECT {dimension}::VARCHAR, (upload = $1)::INTEGER, count(*) FROM survey_responses GROUP BY ALL
            """,
            [batches[-1].upload],
        )
        for name, is_newest, count in found.fetchall():
            counted[dimension][name][1 - is_newest] = count
    return drift.newest_against_earlier(batches, counted)


def _records(connection: "DuckDBPyConnection", statement: str) -> list[dict[str, Any]]:
    result = connection.execute(statement)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
