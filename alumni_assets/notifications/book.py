"""The book of notices: what people were to be told, and what became of it, as facts in a lake.

The notifier has one, and every week's report has one of its own (`folder`).

Notices are numbered without gaps, and a number is given once, even where several notifiers are at work: who wants to
enter a notice says which number it has, and is refused where that is taken. Every other fact is likewise created once
and never changed, so that a process may be killed between any two of them. When something is to be told is decided in
`notices.py`, when it is sent again in `delivery.py`.
"""

import hashlib
import json
import re
import sqlite3
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from alumni_assets.copies import begun_anew_if_damaged
from alumni_assets.layout import NOTICES, notice_key
from alumni_assets.notifications.notices import Notice
from alumni_assets.register import RegisterError
from alumni_assets.resources.lake_interface import Lake, LakeEntry

_NOTICE = re.compile(r"(?P<number>[0-9]+)/notice\.json")
_CLOSED = re.compile(r"(?P<number>[0-9]+)/closed\.json")
_OPENED = re.compile(r"channels/(?P<channel>[a-z0-9-]+)/(?P<number>[0-9]+)\.json")
_DELIVERY = re.compile(
    r"(?P<number>[0-9]+)/(?P<channel>[a-z0-9-]+)/((?P<what>begun|failed)-(?P<attempt>[0-9]+)|accepted)\.json"
)
_READERS = 16


@dataclass(frozen=True)
class Start:
    """The notifier's first start, in UTC without zone, and a name for the book that no other book has."""

    book: str
    since: datetime


@dataclass(frozen=True)
class Entry:
    """A notice in the book. `id` is its name wherever it is sent; `entered_at` is in UTC without zone."""

    number: int
    id: str
    kind: str
    subject: str
    body: str
    covers: tuple[str, ...]
    entered_at: datetime


@dataclass(frozen=True)
class Delivery:
    """How far a channel has got with a notice: how often it was tried, and what is known of the last attempt.

    `at` is when that was begun, or failed (`has_failed`), by the clock of who tried; in UTC without zone. `reason` is
    why it failed; after a refusal that is final it is not tried again.
    """

    attempts: int = 0
    has_failed: bool = False
    at: datetime = datetime.min
    is_accepted: bool = False
    reason: str = ""
    is_final: bool = False


@dataclass(frozen=True)
class Pages:
    """All that the book holds. `opened` says after which notice each channel was first there."""

    entries: Sequence[Entry]
    opened: Mapping[str, int]
    deliveries: Mapping[tuple[int, str], Delivery]
    closed: frozenset[int]

    @property
    def last(self) -> int:
        """The number of the last notice; 0 where there is none."""
        return self.entries[-1].number if self.entries else 0

    @property
    def told(self) -> set[str]:
        """The events that some notice covers."""
        return {event for entry in self.entries for event in entry.covers}


class Book:
    """The book in a folder of a lake. `copy` is a file that saves reading notices again; it may be deleted at any time.

    Several books may share a copy.
    """

    def __init__(self, lake: Lake, copy: Path, folder: str = NOTICES) -> None:
        self._lake = lake
        self._copy = copy
        self._folder = folder

    def start(self, now: datetime) -> Start:
        """The notifier's first start, which is now where there was none. Raises LakeError, RegisterError."""
        key = f"{self._folder}start.json"
        if self._lake.stat(key) is None:
            self._create(key, {"book": uuid.uuid4().hex, "since": now.isoformat()})
        values = _decoded(key, self._lake.read_bytes(key))
        try:
            return Start(str(values["book"]), datetime.fromisoformat(values["since"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(key, error) from error

    def entry(self, number: int) -> Entry | None:
        """One notice, if there is one under that number. Raises LakeError, RegisterError."""
        key = notice_key(self._folder, number, "notice")
        return None if self._lake.stat(key) is None else _entry(key, self._lake.read_bytes(key))

    def pages(self) -> Pages:
        """The book as it is now. Raises LakeError, RegisterError."""
        opened: dict[str, int] = {}
        notices: list[LakeEntry] = []
        deliveries: dict[tuple[int, str], _Tracks] = defaultdict(_Tracks)
        closed = set()
        for found in self._lake.list(self._folder):
            name = found.key.removeprefix(self._folder)
            if match := _NOTICE.fullmatch(name):
                notices.append(found)
            elif match := _DELIVERY.fullmatch(name):
                deliveries[int(match["number"]), match["channel"]].add(match, found)
            elif match := _CLOSED.fullmatch(name):
                closed.add(int(match["number"]))
            elif match := _OPENED.fullmatch(name):
                after = int(match["number"])
                opened[match["channel"]] = min(after, opened.get(match["channel"], after))
        last = [tracks.last for tracks in deliveries.values() if tracks.last is not None and not tracks.is_accepted]
        bodies = begun_anew_if_damaged(self._copy, lambda: self._bodies([*notices, *last]))
        entries = sorted((_entry(found.key, bodies[found.key]) for found in notices), key=lambda entry: entry.number)
        return Pages(
            entries, opened, {what: tracks.delivery(bodies) for what, tracks in deliveries.items()}, frozenset(closed)
        )

    def enter(self, notice: Notice, number: int, start: Start, now: datetime) -> bool:
        """Enter a notice under a number; False where that number was taken by another."""
        values = {
            "id": _identity(start, notice),
            "kind": str(notice.kind),
            "subject": notice.subject,
            "body": notice.body,
            "covers": sorted(notice.covers),
            "entered_at": now.isoformat(),
        }
        return self._create(notice_key(self._folder, number, "notice"), values)

    def open_channel(self, channel: str, after: int) -> None:
        """Note that a channel is there from now on: it is told of notices after that number."""
        self._create(f"{self._folder}channels/{channel}/{after:06d}.json", {})

    def begin_attempt(self, number: int, channel: str, attempt: int, now: datetime) -> bool:
        """Note that a notice is about to be sent; False where another notifier is about to."""
        key = notice_key(self._folder, number, channel, f"begun-{attempt:02d}")
        return self._create(key, {"at": now.isoformat()})

    def note_failure(
        self, number: int, channel: str, attempt: int, now: datetime, reason: str, is_final: bool = False
    ) -> None:
        """Note that an attempt failed, why, and whether it is the last one by itself."""
        values = {"at": now.isoformat(), "reason": reason, "final": is_final}
        self._create(notice_key(self._folder, number, channel, f"failed-{attempt:02d}"), values)

    def note_acceptance(self, number: int, channel: str, now: datetime) -> None:
        """Note that a channel accepted a notice; it is not sent there again."""
        self._create(notice_key(self._folder, number, channel, "accepted"), {"at": now.isoformat()})

    def close(self, number: int, now: datetime) -> None:
        """Note that what a notice told of is over."""
        self._create(notice_key(self._folder, number, "closed"), {"at": now.isoformat()})

    def _create(self, key: str, values: Mapping[str, object]) -> bool:
        return self._lake.create_bytes(key, json.dumps(values, sort_keys=True, indent=1).encode())

    def _bodies(self, listed: Sequence[LakeEntry]) -> dict[str, bytes]:
        """The content of objects that never change; only what is not in the copy yet is read."""
        wanted = {entry.key: f"{entry.etag}-{entry.size}" for entry in listed}
        with self._connection() as copy:
            rows = copy.execute("SELECT key, mark, body FROM notices")
            held = {key: body for key, mark, body in rows if wanted.get(key) == mark}
            missing = [key for key in wanted if key not in held]
            with ThreadPoolExecutor(_READERS) as pool:
                read = dict(zip(missing, pool.map(self._lake.read_bytes, missing), strict=True))
            copy.executemany(
                "INSERT OR REPLACE INTO notices VALUES (?, ?, ?)",
                [(key, wanted[key], body) for key, body in read.items()],
            )
        return held | read

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self._copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with closing(sqlite3.connect(self._copy, timeout=60)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS notices (key TEXT PRIMARY KEY, mark TEXT, body BLOB)")
            yield connection


class _Tracks:
    """What a listing shows of one delivery."""

    def __init__(self) -> None:
        self.is_accepted = False
        self._facts: dict[tuple[int, bool], LakeEntry] = {}

    def add(self, match: re.Match[str], found: LakeEntry) -> None:
        if match["attempt"] is None:
            self.is_accepted = True
        else:
            self._facts[int(match["attempt"]), match["what"] == "failed"] = found

    @property
    def last(self) -> LakeEntry | None:
        """The object that says when the last attempt was begun or failed."""
        return self._facts[max(self._facts)] if self._facts else None

    def delivery(self, bodies: Mapping[str, bytes]) -> Delivery:
        if self.is_accepted or self.last is None:
            return Delivery(is_accepted=self.is_accepted)
        attempts, has_failed = max(self._facts)
        return _delivery(attempts, has_failed, self.last.key, bodies[self.last.key])


def _identity(start: Start, notice: Notice) -> str:
    """A name that what is told has, and nothing else: the same at every attempt, in every channel."""
    told = "\n".join([start.book, notice.kind, *sorted(notice.covers)])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _entry(key: str, body: bytes) -> Entry:
    values = _decoded(key, body)
    try:
        return Entry(
            number=int(key.split("/")[-2]),
            id=values["id"],
            kind=values["kind"],
            subject=values["subject"],
            body=values["body"],
            covers=tuple(values["covers"]),
            entered_at=datetime.fromisoformat(values["entered_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(key, error) from error


def _delivery(attempts: int, has_failed: bool, key: str, body: bytes) -> Delivery:
    values = _decoded(key, body)
    try:
        return Delivery(
            attempts,
            has_failed,
            datetime.fromisoformat(values["at"]),
            reason=values.get("reason", ""),
            is_final=values.get("final", False),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(key, error) from error


def _decoded(key: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise _unreadable(key, error) from error


def _unreadable(key: str, error: Exception) -> RegisterError:
    return RegisterError(
        f"The notice {key} in the lake's register cannot be read ({type(error).__name__}). Restore it from a backup."
    )
