"""Keeps the tables that answer the five questions in line with `alumni`.

The questions themselves are SQL: see `sql/`.
"""

from typing import TYPE_CHECKING

from alumni_assets.queries import query
from alumni_assets.warehouse.tables import replace_content

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def refresh_answer(connection: "DuckDBPyConnection", name: str) -> bool:
    """Answer one of `queries.ANSWERS` anew; returns whether the answer changed.

    The table keeps the order that the query gives. An answer that is the same as before is left alone.
    """
    return replace_content(connection, name, query(name))
