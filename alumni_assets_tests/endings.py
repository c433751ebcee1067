"""What a pipeline left, to compare two that should have come to the same: tables, objects, and what Dagster shows.

Without the times at which it happened, and without what follows from them: an object's hash, where it holds such a
time, is told by the object that has it.
"""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pyarrow.parquet as pq
from dagster import AssetKey, RunsFilter
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from alumni_assets.orphaned_runs import UNFINISHED
from alumni_assets.reporting import UPLOADS
from alumni_assets_tests.pipeline.conftest import Pipeline

REWRITTEN = "register/rewritten/"
BEGAN = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1)
NOW = "now"
# What holds the publication's number and time besides what is compared as tables. The page and its state go by the
# order of reception too, and by the answers before, of which a pass that failed in part has some.
_ONLY_THERE = (".duckdb", ".html", ".md", ".pbids", "published/dashboard.json")
_CHECKS = {
    "raw_survey": ("readable",),
    "validated_survey": ("rows_accounted_for", "schema_holds"),
    "invalid_survey": ("no_open_rows",),
    "transformed_survey": ("rows_accounted_for", "schema_holds"),
    "archived_survey": ("copies_verified",),
}
_MEMBERS_OF_NOW = {"etag", "generation"}


@dataclass(frozen=True)
class Ending:
    """The published tables; the lake's objects; what Dagster shows of each upload, and its runs that have no end."""

    tables: Mapping[str, list[tuple[Any, ...]]]
    objects: Mapping[str, Any]
    materialized: Mapping[str, Mapping[str, bool]]
    checks: Mapping[str, Mapping[str, Any]]
    unfinished_runs: int


def ending_of(pipeline: Pipeline, unread: tuple[str, ...] = ()) -> Ending:
    """How a pipeline stands, once something is published. Of objects in the folders `unread` only names are told."""
    found = [entry.key for entry in pipeline.lake.list("")]
    contents = {key: pipeline.lake.read_bytes(key) for key in found if not key.startswith(unread)}
    names = {sha256(contents[key]).hexdigest(): _without_day(key) for key in sorted(contents, reverse=True)}
    partitions = pipeline.instance.get_dynamic_partitions(UPLOADS.name or "")
    return Ending(
        tables={
            name: sorted(
                (tuple(_timeless(value, names) for value in row) for row in rows),
                key=repr,
            )
            for name, rows in pipeline.tables().items()
        },
        objects={
            _name(key, contents, names): _shown(key, contents[key], names) if key in contents else "is there"
            for key in found
        },
        materialized={
            asset: {
                upload: status is AssetPartitionStatus.MATERIALIZED
                for upload, status in (
                    pipeline.instance.get_status_by_partition(AssetKey(asset), partitions, UPLOADS) or {}
                ).items()
            }
            for asset in _CHECKS
        },
        checks={
            f"{asset}:{check}": {
                upload: (evaluation.passed, str(evaluation.severity), _lives(evaluation.metadata))
                for upload, evaluation in pipeline.checked(asset, check).items()
            }
            for asset, checks in _CHECKS.items()
            for check in checks
        },
        unfinished_runs=len(pipeline.instance.get_runs(RunsFilter(statuses=UNFINISHED))),
    )


def differences(ending: Ending, other: Ending) -> list[str]:
    """What is not the same in two endings, for a failing test to show."""
    found = []
    for part in ("tables", "objects", "materialized", "checks"):
        one, two = getattr(ending, part), getattr(other, part)
        found += [
            f"{part} {name}: {one.get(name)!r} instead of {two.get(name)!r}"
            for name in sorted(one.keys() | two.keys())
            if one.get(name) != two.get(name)
        ]
    if ending.unfinished_runs != other.unfinished_runs:
        found.append(f"{ending.unfinished_runs} unfinished runs instead of {other.unfinished_runs}")
    return found


def _name(key: str, contents: Mapping[str, bytes], names: Mapping[str, str]) -> str:
    """An object's key; a fact that a table with times in it was rewritten is named by what it was rewritten to."""
    if key.startswith(REWRITTEN) and key in contents:
        into = _timeless_text(json.loads(contents[key])["into"], names)
        return f"{REWRITTEN}into {into}" if into.endswith(".parquet") else key
    return _without_day(key)


def _shown(key: str, content: bytes, names: Mapping[str, str]) -> Any:
    """An object's content without times."""
    if key.endswith(_ONLY_THERE):
        return "is there"
    if key.endswith(".json"):
        return _timeless(json.loads(content), names)
    if key.endswith(".parquet"):
        rows = [_timeless(row, names) for row in pq.read_table(io.BytesIO(content)).to_pylist()]
        return sorted(map(repr, rows)) if key.startswith("published/") else rows
    return sha256(content).hexdigest()


def _timeless(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case dict():
            told = {name: _timeless(member, names) for name, member in value.items()}
            is_of_table = str(told.get("key", told.get("into"))).endswith(".parquet")
            times = _MEMBERS_OF_NOW | ({"size"} if is_of_table else set())
            return {name: NOW if name in times else member for name, member in told.items()}
        case list() | tuple():
            return [_timeless(member, names) for member in value]
        case datetime():
            return NOW if value.replace(tzinfo=None) > BEGAN else value
        case str():
            return _timeless_text(value, names)
    return value


def _timeless_text(text: str, names: Mapping[str, str]) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return f"hash of {names.get(text, 'what is no more')}"
    if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+", text) and datetime.fromisoformat(text) > BEGAN:
        return NOW
    return _without_day(text)


def _without_day(key: str) -> str:
    return re.sub(r"^archive/[\d-]{10}/", "archive/DAY/", key)


def _lives(metadata: Mapping[str, Any]) -> dict[str, int]:
    """What has become of rows; other numbers a check that is only reported again does not tell."""
    return {name: entry.value for name, entry in metadata.items() if name.endswith("_rows")}
