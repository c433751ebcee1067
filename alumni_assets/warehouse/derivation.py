"""Where the rows of the tables below the approval come from: the portable SQL, run here, or what Spark made of it."""

from typing import Protocol

from alumni_assets.queries import derived_query


class RowsOf(Protocol):
    """Gives a SELECT of the rows that one of `queries.DERIVED_QUERIES` makes."""

    def __call__(self, name: str, among: str | None = None) -> str:
        """`among` is a table with the ids of those alumni whose rows are wanted; without it all rows are."""


def rows_by_sql(name: str, among: str | None = None) -> str:
    """The query itself. Which alumni are wanted is said by what `survey_responses` means: `merging.responses_of`."""
    return derived_query(name)
