"""Keeps the tables that answer the questions in line with `alumni`, intervals and verdicts included.

The questions themselves are SQL: see `sql/`. How intervals and verdicts come about is in `answers/`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from alumni_assets.warehouse.derivation import RowsOf, rows_by_sql
from alumni_assets.warehouse.tables import replace_content

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection


def refresh_answer(connection: "DuckDBPyConnection", name: str, rows_of: RowsOf = rows_by_sql) -> bool:
    """Answer one of `queries.ANSWERS` or `queries.SUPPLEMENTS` anew; returns whether the answer changed.

    The table keeps the order that the query gives. An answer that is the same as before is left alone.
    """
    if name not in _BOUNDS:
        return replace_content(connection, name, rows_of(name, None))
    frame = connection.execute(rows_of(name, None)).df()
    _BOUNDS[name](frame)
    return _replace(connection, name, frame)


def refresh_verdicts(connection: "DuckDBPyConnection", least: int) -> bool:
    """Judge the answers anew, in the table `answer_verdicts`; returns whether a verdict changed.

    Only groups of at least `least` alumni are compared.
    """
    from alumni_assets.answers.reading import read_answers, read_cuts
    from alumni_assets.answers.verdict_rows import verdict_rows

    return _replace(connection, "answer_verdicts", verdict_rows(read_answers(connection), read_cuts(connection), least))


def _replace(connection: "DuckDBPyConnection", name: str, frame: "pd.DataFrame") -> bool:
    connection.register("answer_rows", frame)
    changed = replace_content(connection, name, "SELECT * FROM answer_rows")
    connection.unregister("answer_rows")
    return changed


def _add_mean_bounds(frame: "pd.DataFrame") -> None:
    from alumni_assets.answers.estimates import mean_bounds

    frame["mean_low"], frame["mean_high"] = mean_bounds(frame["alumni"], frame["mean_rating"], frame["sd_rating"])


def _add_bounds_of_excellent(frame: "pd.DataFrame") -> None:
    from alumni_assets.answers.estimates import share_bounds

    frame["share_low"], frame["share_high"] = share_bounds(frame["excellent"], frame["alumni"])


def _add_bounds_of_all(frame: "pd.DataFrame") -> None:
    from alumni_assets.answers.estimates import share_bounds

    total = frame["alumni"] * 0 + frame["alumni"].sum()
    frame["share_low"], frame["share_high"] = share_bounds(frame["alumni"], total)


def _add_both(*added: Callable[["pd.DataFrame"], None]) -> Callable[["pd.DataFrame"], None]:
    def add(frame: "pd.DataFrame") -> None:
        for one in added:
            one(frame)

    return add


_BOUNDS: Mapping[str, Callable[["pd.DataFrame"], None]] = {
    "degree_performance": _add_mean_bounds,
    "campus_excellence": _add_bounds_of_excellent,
    "department_employment": _add_both(_add_bounds_of_all, _add_mean_bounds),
    "job_roles": _add_bounds_of_all,
    "top_employees_cut": _add_bounds_of_excellent,
    "answer_trends": _add_both(_add_bounds_of_excellent, _add_mean_bounds),
}
