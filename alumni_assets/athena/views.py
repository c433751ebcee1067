"""Keeps the views in Athena in line with the warehouse, and compares what the two say.

The views are live: what the transformed objects and the catalog's small tables say, they say. What the catalog holds
is in `catalog.py`, how Athena is asked in `resources/athena.py`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from alumni_assets import layout
from alumni_assets.athena.catalog import ARRIVALS, CORRECTIONS, COUNTING_UPLOADS, STORED_TABLES, VIEWS, view_statement
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.warehouse.history import arrivals
from alumni_assets.warehouse.merging import merged_uploads

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Views with a row for each answer or alumnus: they are compared by sums, which differ when a row is missing, doubled or
# another's, and not for a text or a date. The factors keep the sum of ten billion rows within 64 bits.
_BY_SUMS = ("survey_responses", "alumni", "alumni_history")
_SUMS = """
SELECT
    count(*) AS row_count,
    sum(employee_id % 1000003) AS employees,
    sum((employee_id % 1009) * (source_row % 100003)) AS places,
    sum(CAST(performance_rating AS bigint) * (employee_id % 10007)) AS ratings
FROM {view}
"""
# Athena keeps a Parquet file's timestamps to the millisecond.
_PRECISION = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Relation:
    """Rows, and the names of their columns."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


@dataclass(frozen=True)
class Warehoused:
    """What the warehouse holds: the uploads merged in it, when their rows were received, and each view's rows."""

    uploads: Sequence[str]
    received_at: Sequence[datetime]
    relations: Mapping[str, Relation]


class Athena(Protocol):
    """Where statements are run and tables are entered: `resources.athena.AthenaResource`."""

    def run(self, statement: str) -> Relation:
        """Run a statement to its end; returns its rows, typed."""

    def enter_table(self, table_input: Mapping[str, Any]) -> None:
        """Make a table in the catalog, or change it to this."""


def warehoused(connection: "DuckDBPyConnection") -> Warehoused:
    """What is in the warehouse now, as it is compared: of one state of all tables."""
    found = connection.execute("SELECT DISTINCT received_at FROM survey_responses").fetchall()
    return Warehoused(
        sorted(merged_uploads(connection)),
        [received_at for (received_at,) in found],
        {view: _relation(connection, _compared(view)) for view in VIEWS},
    )


def refresh_views(athena: Athena, lake: Lake, holds: Warehoused, corrections: Sequence[str], time_zone: str) -> None:
    """Make the views say what the warehouse holds. `corrections` are in the order in which they came.

    The uploads that count are written last: a view never counts an upload of which another table does not know yet.
    """
    for table in STORED_TABLES:
        athena.enter_table(table.as_table_input(lake.url(table.folder)))
    counting = set(holds.uploads)
    ordered = [correction for correction in corrections if correction in counting]
    _put(lake, ARRIVALS.name, _arrivals_to_the_millisecond(holds.received_at, time_zone))
    _put(
        lake,
        CORRECTIONS.name,
        pa.table(
            {"correction": pa.array(ordered, pa.string()), "place": pa.array(range(1, len(ordered) + 1), pa.int64())}
        ),
    )
    _put(lake, COUNTING_UPLOADS.name, pa.table({"upload": pa.array(holds.uploads, pa.string())}))
    for view in VIEWS:
        athena.run(view_statement(view))


def differing_views(athena: Athena, holds: Warehoused) -> list[str]:
    """The views whose rows are not those of the warehouse's table of that name, whatever their order."""
    return [view for view, here in holds.relations.items() if not _is_same(here, athena.run(_compared(view)))]


def _compared(view: str) -> str:
    return _SUMS.format(view=view) if view in _BY_SUMS else f"SELECT * FROM {view}"


def _relation(connection: "DuckDBPyConnection", statement: str) -> Relation:
    result = connection.execute(statement)
    return Relation(tuple(name for name, *_ in result.description or ()), result.fetchall())


def _put(lake: Lake, table: str, rows: pa.Table) -> None:
    with lake.writing(layout.catalog_key(table)) as path:
        pq.write_table(rows, path)


def _arrivals_to_the_millisecond(received_at: Sequence[datetime], time_zone: str) -> pa.Table:
    """The times once rounded down and once up: to whichever Athena rounds a row's time, it finds one, and only one."""
    down = {moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000) for moment in received_at}
    up = {rounded + _PRECISION for moment, rounded in down.items() if rounded != moment}
    return arrivals(sorted({*down.values(), *up}), time_zone)


def _is_same(here: Relation, there: Relation) -> bool:
    """Whether the rows are the same in the columns that Athena has: intervals are no SQL, and only here."""
    places = [here.columns.index(name) for name in there.columns]
    rows_here = sorted((tuple(row[place] for place in places) for row in here.rows), key=_order)
    rows_there = sorted(there.rows, key=_order)
    return len(rows_here) == len(rows_there) and all(
        all(map(_is_close, row_here, row_there)) for row_here, row_there in zip(rows_here, rows_there, strict=True)
    )


def _order(row: tuple[Any, ...]) -> list[str]:
    return [str(value) for value in row if not isinstance(value, float)]


def _is_close(here: Any, there: Any) -> bool:
    if isinstance(here, float) and isinstance(there, float):
        return math.isclose(here, there, rel_tol=1e-9)
    if isinstance(here, datetime) and isinstance(there, datetime):
        return abs(here - there) <= _PRECISION
    return bool(here == there)
