"""Keeps `alumni_history` in line with `survey_responses`, on an open DuckDB connection.

What a period is stands in `sql/alumni_history.sql`. Which alumni have to be looked at anew is noted by `merging.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.contract_arrow import TIMESTAMP
from alumni_assets.queries import HISTORY
from alumni_assets.warehouse.derivation import RowsOf, rows_by_sql
from alumni_assets.warehouse.merging import responses_of
from alumni_assets.warehouse.tables import count_rows, mark_changed, only_count

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class HistoryReport:
    """How many alumni were looked at anew, and the table's rows after it."""

    reconsidered: int
    periods: int


def refresh_history(connection: "DuckDBPyConnection", time_zone: str, rows_of: RowsOf = rows_by_sql) -> HistoryReport:
    """Make `alumni_history` tell what every response that counts says; only alumni of changed uploads are redone.

    `time_zone` is the survey's: a period that has no submission date begins when its upload was received, there.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE redone AS SELECT DISTINCT employee_id FROM pipeline.stale_history")
    reconsidered = only_count(connection.execute("SELECT count(*) FROM redone"))
    if reconsidered:
        connection.execute("DELETE FROM alumni_history WHERE employee_id IN (SELECT employee_id FROM redone)")
        with responses_of(connection, "redone"):
            received_at = connection.execute("SELECT DISTINCT received_at FROM survey_responses").fetchall()
            connection.register("arrivals", arrivals([utc for (utc,) in received_at], time_zone))
            connection.execute(f"INSERT INTO alumni_history BY NAME {rows_of(HISTORY, 'redone')}")
            connection.unregister("arrivals")
        connection.execute("DELETE FROM pipeline.stale_history")
        mark_changed(connection, "alumni_history")
    connection.execute("DROP TABLE redone")
    return HistoryReport(reconsidered, count_rows(connection, "alumni_history"))


def arrivals(received_at: Sequence[datetime], time_zone: str) -> pa.Table:
    """When uploads were received: in UTC (`received_at`), and in a time zone (`received_on`), both without zone."""
    utc = pa.array(received_at, TIMESTAMP)
    zoned = pc.assume_timezone(utc, "UTC").cast(pa.timestamp("us", time_zone))
    return pa.table({"received_at": utc, "received_on": pc.local_timestamp(zoned)})
