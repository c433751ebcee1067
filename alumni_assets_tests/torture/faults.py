"""Counts what a process writes, and lets one of these writes fail: before it, in its middle, or after it.

What is written is found at the few places through which everything passes: the lake's objects, the warehouse's
transactions, the local copy of the register, and the events of Dagster's store.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pytest
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage

from alumni_assets.register import Register
from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.resources.lake_interface import LakeError
from alumni_assets.resources.warehouse import WarehouseWriter

BEFORE, MIDDLE, AFTER = "before", "in the middle", "after"
PUT, CREATE, DELETE, TRANSACTION, COPY, EVENT = (
    "put",
    "create",
    "delete",
    "warehouse transaction",
    "register copy",
    "Dagster event",
)
MOMENTS = {
    PUT: (BEFORE, MIDDLE, AFTER),
    CREATE: (BEFORE, AFTER),
    DELETE: (BEFORE, AFTER),
    TRANSACTION: (BEFORE, MIDDLE, AFTER),
    COPY: (BEFORE, MIDDLE, AFTER),
    EVENT: (BEFORE, AFTER),
}
_CONTEXTS: tuple[tuple[type, str, str], ...] = (
    (FolderLake, "writing", PUT),
    (WarehouseWriter, "transaction", TRANSACTION),
    (Register, "_connection", COPY),
)
_CALLS: tuple[tuple[type, str, str], ...] = (
    (FolderLake, "create_bytes", CREATE),
    (FolderLake, "delete", DELETE),
    (SqliteEventLogStorage, "store_event", EVENT),
)
_ERRORS: dict[str, Callable[[str], Exception]] = {
    **dict.fromkeys((PUT, CREATE, DELETE), LakeError),
    TRANSACTION: duckdb.OperationalError,
    COPY: sqlite3.OperationalError,
    EVENT: sqlite3.OperationalError,
}


@dataclass(frozen=True)
class Fault:
    """The write of that kind and number, counted from 1, fails at that moment."""

    kind: str
    number: int
    moment: str


@dataclass
class Writes:
    """What was written so far, by kind; and whether the fault came."""

    fault: Fault | None = None
    counts: Counter[str] = field(default_factory=Counter)
    failed: bool = False

    def begin(self, kind: str) -> int:
        """Count a write, and give its number."""
        self.counts[kind] += 1
        self.pass_by(kind, self.counts[kind], BEFORE)
        return self.counts[kind]

    def pass_by(self, kind: str, number: int, moment: str) -> None:
        """Raise if this is where the fault is to be."""
        if self.fault == Fault(kind, number, moment):
            self.failed = True
            raise _ERRORS[kind](f"{kind} {number} fails {moment}")


@contextmanager
def watched_writes(writes: Writes) -> Iterator[None]:
    """Everything that this process writes is counted while this lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for holder, name, kind in _CONTEXTS:
            patch.setattr(holder, name, _watched_context(getattr(holder, name), kind, writes))
        for holder, name, kind in _CALLS:
            patch.setattr(holder, name, _watched_call(getattr(holder, name), kind, writes))
        yield


def _watched_context(
    write: Callable[..., AbstractContextManager[Any]], kind: str, writes: Writes
) -> Callable[..., AbstractContextManager[Any]]:
    @contextmanager
    def watched(*arguments: Any) -> Iterator[Any]:
        number = writes.begin(kind)
        with write(*arguments) as handed_out:
            yield handed_out
            writes.pass_by(kind, number, MIDDLE)
        writes.pass_by(kind, number, AFTER)

    return watched


def _watched_call(write: Callable[..., Any], kind: str, writes: Writes) -> Callable[..., Any]:
    def watched(*arguments: Any, **more: Any) -> Any:
        number = writes.begin(kind)
        result = write(*arguments, **more)
        writes.pass_by(kind, number, AFTER)
        return result

    return watched
