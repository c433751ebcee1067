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
TREND_PERIODS = "trend_periods"

# The five questions of the survey; each query is named like the table of its answer.
ANSWERS: tuple[str, ...] = (
    "degree_performance",
    "campus_excellence",
    "department_employment",
    "job_roles",
    "top_employees",
)

# What goes with them; tables too, each with a query of its name but for the verdicts, which are no SQL.
SUPPLEMENTS: tuple[str, ...] = ("top_employees_cut", "answer_trends", "job_moves", "answer_verdicts")


@cache
def query(name: str) -> str:
    """The text of `sql/<name>.sql`: one SELECT, without a semicolon. Raises FileNotFoundError."""
    return (files("alumni_assets") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
