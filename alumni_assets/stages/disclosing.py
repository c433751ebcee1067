"""What is held about a person, as data: every row of theirs, where it came from, what was decided, and where it is.

Which rows are theirs is looked up as for an erasure (`person_rows.py`). Nothing is changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from alumni_assets import layout
from alumni_assets.contract import BY_NAME, NAMES, Contract
from alumni_assets.publishing import DATABASE_KEY
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.person_rows import PersonRows, find_person, rows_at
from alumni_assets.stages.streaming import stored_batches
from alumni_assets.survey import row_ranges
from alumni_assets.survey.naming import object_name
from alumni_assets.survey.persons import Persons
from alumni_assets.survey.standing import Facts, Standing, standings

_AT_ONCE = 50_000
_PUBLISHED = ("alumni", "survey_responses", "alumni_history", "top_employees")


def held_about(lake: Lake, facts: Facts, persons: Persons, contract: Contract, now: datetime) -> dict[str, Any]:
    """All that is held about a person, as JSON can have it. `now` and all times are in UTC.

    `uploads_that_could_not_be_read` are those in whose files nobody can be looked for by rows.
    """
    found = find_person(lake, facts, persons, contract)
    stands = standings(facts)
    return _plain(
        {
            "made_at": now,
            "uploads": [
                _about_upload(lake, facts, stands[upload], ranges, persons, contract)
                for upload, ranges in found.rows.items()
            ],
            "published": _published(lake, found, persons),
            "uploads_that_could_not_be_read": found.unread,
            "uploads_whose_files_are_gone": [upload for upload in found.missing if upload not in found.unread],
        }
    )


def _about_upload(
    lake: Lake, facts: Facts, standing: Standing, ranges: row_ranges.Ranges, persons: Persons, contract: Contract
) -> dict[str, Any]:
    seen, ingested = facts.seen[standing.upload], facts.ingested.get(standing.upload)
    below_header = ingested.header_record + 1 if ingested else 1
    return {
        "upload": seen.upload,
        "file": f"raw/{seen.key}",
        "received_at": seen.received_at,
        "status": str(standing.status),
        "corrects": ingested.corrects if ingested else "",
        "rows": [
            {"row": row["source_row"], "row_in_file": row["source_row"] + below_header, "cells": _as_it_came(row)}
            for row in rows_at(lake, facts, seen.upload, ranges, contract)
        ],
        "valid": _rows_of_table(lake, layout.valid_key(seen.upload), persons),
        "set_aside": _rows_set_aside(lake, seen.upload, ranges),
        "transformed": _rows_of_table(lake, layout.transformed_key(seen.upload), persons),
        "decisions": [
            {"decision": one.kind, "by": one.by, "at": one.at, "note": one.note}
            for one in facts.decisions.get(seen.upload, ())
        ],
        "waivers": [asdict(one) for one in facts.waivers.get(seen.upload, ()) if _have_common(one.rows, ranges)],
        "archived": [
            entry.key for entry in lake.list("archive/") if entry.key.split("/")[2] == object_name(seen.upload)
        ],
    }


def _as_it_came(row: Mapping[str, Any]) -> dict[str, Any]:
    cells = {BY_NAME[name].header: row[name] for name in NAMES if row[name] is not None}
    return cells | ({"other columns": row["other_columns"]} if row["other_columns"] else {})


def _rows_of_table(lake: Lake, key: str, persons: Persons) -> list[dict[str, Any]]:
    return [row for batch in _batches(lake, key) for row in _chosen(batch, persons.by_id(batch["employee_id"]))]


def _rows_set_aside(lake: Lake, upload: str, ranges: row_ranges.Ranges) -> list[dict[str, Any]]:
    return [
        row
        for batch in _batches(lake, layout.invalid_key(upload))
        for row in _chosen(batch, row_ranges.are_in(batch["source_row"].to_numpy(), ranges))
    ]


def _batches(lake: Lake, key: str) -> Iterator[pa.RecordBatch]:
    if lake.stat(key) is None:
        return
    with lake.local_copy(key) as path:
        yield from stored_batches(path)


def _chosen(batch: pa.RecordBatch, mask: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = batch.filter(pa.array(mask)).to_pylist()
    return rows


def _have_common(one: row_ranges.Ranges, other: row_ranges.Ranges) -> bool:
    return row_ranges.without(one, other) != tuple(one)


def _published(lake: Lake, found: PersonRows, persons: Persons) -> dict[str, list[dict[str, Any]]]:
    """The rows of the published tables that are the person's; tables without any are left out."""
    if lake.stat(DATABASE_KEY) is None:
        return {}
    uploads = list(found.rows)
    with (
        lake.local_copy(DATABASE_KEY) as path,
        duckdb.connect(f"duckdb:{path}", read_only=True, config={"temp_directory": ""}) as connection,
    ):
        tables = {name: _from(connection, name, persons) for name in _PUBLISHED}
        chosen = "FROM quarantine WHERE upload IN (SELECT unnest($1::VARCHAR[]))"
        set_aside = connection.sql(chosen, params=[uploads]).to_arrow_table().to_pylist()
    tables["quarantine"] = [row for row in set_aside if _is_in(row, found)]
    return {name: rows for name, rows in tables.items() if rows}


def _is_in(row: Mapping[str, Any], found: PersonRows) -> bool:
    return _have_common((str(row["source_row"]),), found.rows[row["upload"]])


def _from(connection: duckdb.DuckDBPyConnection, table: str, persons: Persons) -> list[dict[str, Any]]:
    return [
        row
        for batch in connection.sql(f"FROM {table}").to_arrow_reader(_AT_ONCE)
        for row in _chosen(batch, persons.by_id(batch["employee_id"]))
    ]


def _plain(value: Any) -> Any:
    """The same as JSON can have it."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value
