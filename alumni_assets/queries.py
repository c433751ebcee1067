"""The portable SQL of `sql/`, by name: the same text runs on DuckDB, Spark and Athena.

Each file says at its top which relation it reads and how its rows are ordered. What runs the queries, and
where the answers are kept, is elsewhere.
"""

from functools import cache
from importlib.resources import files

DEDUPLICATION = "deduplication"
EXACT_DUPLICATES = "exact_duplicates"
RETURNED_ROWS = "returned_rows"
QUARANTINE = "quarantine"
HISTORY = "alumni_history"
PLACED_ROWS = "placed_rows"
TREND_PERIODS = "trend_periods"

# The five questions of the survey; each query is named like the table of its answer.
ANSWERS: tuple[str, ...] = (
    "degree_performance",
    "campus_excellence",
    "department_employment",
    "job_roles",
    "top_employees",
)

VERDICTS = "answer_verdicts"

# What goes with them; tables too, each with a query of its name but for the verdicts, which are no SQL.
SUPPLEMENTS: tuple[str, ...] = ("top_employees_cut", "answer_trends", "job_moves", VERDICTS)

# The queries that make the tables below the approval from the rows that count, in an order in which each finds what it
# reads; and the tables that are not named like their query.
DERIVED_QUERIES: tuple[str, ...] = (
    DEDUPLICATION,
    HISTORY,
    *(name for name in (*ANSWERS, *SUPPLEMENTS) if name != VERDICTS),
)
TABLE_OF_QUERY = {DEDUPLICATION: "alumni"}


@cache
def query(name: str) -> str:
    """The text of `sql/<name>.sql`: one SELECT, without a semicolon. Raises FileNotFoundError."""
    return (files("alumni_assets") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def derived_query(name: str) -> str:
    """One of `DERIVED_QUERIES`, together with what it reads besides tables of their names."""
    if name == "answer_trends":
        return f"WITH {TREND_PERIODS} AS ({query(TREND_PERIODS)}) {query(name)}"
    return query(name)
