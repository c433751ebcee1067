"""The register: one small JSON object in the lake for each fact about an upload.

The register is the truth about what was seen, ingested, approved, withdrawn, transformed, waived and erased; Dagster's
event store and the warehouse can be rebuilt from it. What the facts mean together is in `survey/standing.py`, and what
erasures have made of what they name in `survey/erasures.py`. A copy in `ALUMNI_HOME` saves reading objects again that
have not changed; it may be deleted at any time.
"""

import dataclasses
import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from alumni_assets import layout
from alumni_assets.copies import begun_anew_if_damaged
from alumni_assets.resources.lake_interface import Lake, LakeKeyError, LakeUnavailableError
from alumni_assets.survey.erasures import Ledger
from alumni_assets.survey.standing import (
    Arrival,
    Decision,
    Erasure,
    Facts,
    Ingested,
    Rewritten,
    Seen,
    Transformed,
    Waiver,
)

Fact = Seen | Ingested | Transformed | Arrival | Decision | Waiver | Erasure | Rewritten
_KINDS: dict[str, type[Fact]] = {
    "seen": Seen,
    "ingested": Ingested,
    "transformed": Transformed,
    "arrivals": Arrival,
    "decisions": Decision,
    "waivers": Waiver,
    "erasures": Erasure,
    "rewritten": Rewritten,
}
_MEMBERS: dict[type, set[str]] = {kind: {field.name for field in dataclasses.fields(kind)} for kind in _KINDS.values()}
_TIMES: dict[type, list[str]] = {
    kind: [field.name for field in dataclasses.fields(kind) if field.type in (datetime, datetime | None)]
    for kind in _KINDS.values()
}
_ATTEMPTS = "attempts"
_MADE_ANEW = {Seen, Ingested, Transformed}  # from the file, or its pinned copy; what people said is not
_READERS = 16
_FETCHED_AT_ONCE = 1000
_PATIENCE = 20  # times as long as looking through the register takes
_LEDGER_SECONDS = 10.0  # for how long single facts are read in the terms of the erasures that were known
# Each fact with its etag as it was read from its JSON by the last look, by the copy of its register. The code server
# looks again every few seconds.
_READ: dict[Path, dict[str, tuple[str, Fact]]] = {}
F = TypeVar("F", bound=Fact)
S = TypeVar("S", Seen, Ingested, Transformed)
L = TypeVar("L", Arrival, Decision, Waiver)


class RegisterError(Exception):
    """A fact in the register cannot be read."""


class Register:
    """Reads and writes facts. `home` is where the copy of the register is kept."""

    def __init__(self, lake: Lake, home: Path) -> None:
        self._lake = lake
        self._copy = home / "register.sqlite"
        self._known: Facts | None = None
        self._known_since = self._took = 0.0

    def facts(self, max_age: float = 0.0) -> Facts:
        """Everything that the register holds now.

        With a `max_age` in seconds, what others entered that recently may be missing; where looking through the
        register takes long, in a period of `_PATIENCE` times as long. What was entered here is never missing, so a run
        that works on many uploads need not look through the whole register for each.
        """
        age = max(max_age, self._took * _PATIENCE) if max_age else 0.0
        if self._known is None or time.monotonic() - self._known_since > age:
            self._known_since = time.monotonic()
            self._known = self._all_facts()
            self._took = time.monotonic() - self._known_since
        return self._known

    def _all_facts(self) -> Facts:
        facts: dict[type[Fact], list[Any]] = {kind: [] for kind in _KINDS.values()}
        renewed = begun_anew_if_damaged(self._copy, self._renewed_copy)
        copied = [(key, etag, body) for key, etag, body in renewed if _is_fact(key)]
        before = _READ.get(self._copy, {})
        read = {key: _read_once(before.get(key), key, etag, body) for key, etag, body in copied}
        for _, fact in read.values():
            facts[type(fact)].append(fact)
        _READ.clear()
        _READ[self._copy] = read
        erasures = sorted(facts[Erasure], key=lambda fact: fact.number)
        ledger = Ledger(erasures, {fact.sha256: fact for fact in facts[Rewritten]})
        return Facts(
            seen={fact.upload: ledger.seen(fact) for fact in facts[Seen]},
            ingested={fact.upload: ledger.ingested(fact) for fact in facts[Ingested]},
            transformed={fact.upload: ledger.transformed(fact) for fact in facts[Transformed]},
            arrivals=_logs(facts[Arrival], lambda fact: fact.key),
            decisions=_logs(map(ledger.decision, facts[Decision]), lambda fact: fact.upload),
            waivers=_logs(map(ledger.waiver, facts[Waiver]), lambda fact: fact.upload),
            erasures=ledger.erasures,
            rewritten=ledger.rewritten,
        )

    def ledger(self, max_age: float = 0.0) -> Ledger:
        """What erasures have made of uploads; `max_age` as in `facts`."""
        facts = self.facts(max_age)
        return Ledger(facts.erasures, facts.rewritten)

    def remembered(self) -> dict[str, tuple[str, int]]:
        """What `remember` was last told; no look at the lake."""

        def read() -> list[tuple[bytes, str, int]]:
            with self._connection() as copy:
                return copy.execute("SELECT key, etag, size FROM known").fetchall()

        rows = begun_anew_if_damaged(self._copy, read)
        return {bytes(key).decode("utf-8", "surrogatepass"): (etag, size) for key, etag, size in rows}

    def remember(self, known: Mapping[str, tuple[str, int]]) -> None:
        """Keep what is known of the objects under raw/: for each key its etag and size.

        It saves a sensor that finds nothing new from looking at the register at all.
        """
        rows = [(key.encode("utf-8", "surrogatepass"), etag, size) for key, (etag, size) in known.items()]
        with self._connection() as copy:
            copy.execute("DELETE FROM known")
            copy.executemany("INSERT INTO known VALUES (?, ?, ?)", rows)

    def enter_seen(self, seen: Seen) -> Seen:
        """Enter an upload as seen, unless it was before; returns the entry that is in force."""
        key = layout.fact_key("seen", seen.upload)
        if not self._lake.create_bytes(key, _encoded(seen)):
            seen = self._ledger().seen(_decoded(Seen, key, self._lake.read_bytes(key)))
        self._note(seen)
        return seen

    def find_seen(self, upload: str) -> Seen | None:
        """The entry of an upload, if it was seen."""
        found = self._find(Seen, layout.fact_key("seen", upload))
        return self._ledger().seen(found) if found else None

    def enter_ingested(self, ingested: Ingested) -> None:
        """Enter how taking in an upload ended; a later end replaces an earlier one."""
        self._lake.put_bytes(layout.fact_key("ingested", ingested.upload), _encoded(ingested))
        self._note(ingested)

    def find_ingested(self, upload: str) -> Ingested | None:
        """How taking in an upload ended, if it did."""
        found = self._find(Ingested, layout.fact_key("ingested", upload))
        return self._ledger().ingested(found) if found else None

    def enter_transformed(self, transformed: Transformed) -> None:
        """Enter what the transformation of an upload gave."""
        self._lake.put_bytes(layout.fact_key("transformed", transformed.upload), _encoded(transformed))
        self._note(transformed)

    def find_transformed(self, upload: str) -> Transformed | None:
        """What the transformation of an upload gave, if it was transformed."""
        found = self._find(Transformed, layout.fact_key("transformed", upload))
        return self._ledger().transformed(found) if found else None

    def append_arrival(self, arrival: Arrival) -> Arrival:
        """Append to the log of arrivals at a key; the number is given here."""
        return self._append("arrivals", arrival.key, arrival)

    def append_decision(self, decision: Decision) -> Decision:
        """Append to the log of decisions about an upload; the number is given here."""
        return self._append("decisions", decision.upload, decision)

    def append_next(self, fact: Arrival | Decision) -> bool:
        """Append to a log under the number that the fact has, unless somebody else has just appended under it.

        Then what was concluded from the log as it was has to be thought over: read the facts again.
        """
        kind, subject = ("arrivals", fact.key) if isinstance(fact, Arrival) else ("decisions", fact.upload)
        is_next = self._lake.create_bytes(layout.log_key(kind, subject, fact.number), _encoded(fact))
        if is_next:
            self._note(fact)
        return is_next

    def append_waiver(self, waiver: Waiver) -> Waiver:
        """Append to the log of waivers of an upload's rows; the number is given here."""
        return self._append("waivers", waiver.upload, waiver)

    def append_erasure(self, erasure: Erasure) -> Erasure:
        """Append to the log of erasures; the number is given here."""
        number = len(self.facts().erasures)
        while True:
            number += 1
            numbered = dataclasses.replace(erasure, number=number)
            if self._lake.create_bytes(layout.erasure_key(number), _encoded(numbered)):
                self._known = None  # what is known of uploads may mean something else now, here and below
                return numbered

    def enter_rewritten(self, rewritten: Rewritten) -> None:
        """Enter that a content is about to be replaced, so that what names it means what stands in its place."""
        self._lake.put_bytes(layout.rewritten_key(rewritten.sha256), _encoded(rewritten))
        self._known = None

    def begin_attempt(self, identity: str) -> str:
        """Note that an object is about to be taken in, so that a process that dies of it is noticed.

        Returns the attempt's key, for `take_back_attempt`.
        """
        key = self._next_attempt(identity)
        self._lake.put_bytes(key, b"{}")
        return key

    def take_back_attempt(self, key: str) -> None:
        """Forget an attempt that says nothing of the object. Needs no room on a full disk."""
        self._lake.delete(key)

    def end_attempts(self, identity: str) -> None:
        """Forget the attempts at an object that was taken in."""
        for entry in list(self._lake.list(layout.log_folder(_ATTEMPTS, identity))):
            self._lake.delete(entry.key)

    def attempts(self) -> Mapping[str, int]:
        """How often each object was begun to be taken in without ever having been."""
        counts: dict[str, int] = defaultdict(int)
        for entry in self._lake.list(f"{layout.REGISTER}{_ATTEMPTS}/"):
            counts[entry.key.split("/")[2].rpartition("-")[0]] += 1
        return counts

    def _next_attempt(self, identity: str) -> str:
        taken = [entry.key for entry in self._lake.list(layout.log_folder(_ATTEMPTS, identity))]
        return layout.log_key(_ATTEMPTS, identity, len(taken) + 1)

    def _append(self, kind: str, subject: str, fact: L) -> L:
        entries = self._lake.list(layout.log_folder(kind, subject))
        number = max((layout.log_number(entry.key) or 0 for entry in entries), default=0)
        while True:
            number += 1
            numbered = dataclasses.replace(fact, number=number)
            if self._lake.create_bytes(layout.log_key(kind, subject, number), _encoded(numbered)):
                self._note(numbered)
                return numbered

    def _note(self, fact: Seen | Ingested | Transformed | Arrival | Decision | Waiver) -> None:
        """Add a fact that was entered just now to those that are known; what was handed out stays as it was."""
        if self._known is not None:
            self._known = _with_fact(self._known, fact)

    def _find(self, kind: type[S], key: str) -> S | None:
        try:
            return _decoded(kind, key, self._lake.read_bytes(key))
        except LakeKeyError:
            return None

    def _ledger(self) -> Ledger:
        return self.ledger(_LEDGER_SECONDS)

    def _renewed_copy(self) -> list[tuple[str, str, bytes]]:
        """Fetch what has changed since the copy was last renewed, drop what is gone, and give all that it has then."""
        listed = {
            entry.key: f"{entry.etag}-{entry.size}" for entry in self._lake.list(layout.REGISTER) if _is_fact(entry.key)
        }
        with self._connection() as copy:
            held = dict(copy.execute("SELECT key, etag FROM facts"))
            if held and not listed:
                raise LakeUnavailableError(
                    f"{self._lake.url(layout.REGISTER)} is empty, where {len(held):,} facts were. Its disk may not be "
                    "mounted, or ALUMNI_LAKE may name another place: bring it back. If another lake is to begin here, "
                    f"delete {self._copy}."
                )
            changed = [key for key, etag in listed.items() if held.get(key) != etag]
            gone = [(key,) for key in held if key not in listed]
            copy.executemany("DELETE FROM facts WHERE key = ?", gone)
            if gone:  # a person deleted a damaged fact, perhaps: what it was about is to be taken in anew
                copy.execute("DELETE FROM known")
            with ThreadPoolExecutor(_READERS) as pool:
                for start in range(0, len(changed), _FETCHED_AT_ONCE):
                    part = changed[start : start + _FETCHED_AT_ONCE]
                    bodies = pool.map(self._lake.read_bytes, part)
                    rows = [(key, listed[key], body) for key, body in zip(part, bodies, strict=True)]
                    copy.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", rows)
            return copy.execute("SELECT key, etag, body FROM facts ORDER BY key").fetchall()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self._copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with closing(sqlite3.connect(self._copy, timeout=60)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, etag TEXT, body BLOB)")
            connection.execute("CREATE TABLE IF NOT EXISTS known (key BLOB PRIMARY KEY, etag TEXT, size INT)")
            yield connection


def _is_fact(key: str) -> bool:
    """Whether a key in the register is a fact's, and not that of a file which a program of somebody's has put there."""
    name = key.rpartition("/")[2]
    return key.split("/")[1] in _KINDS and name.endswith(".json") and not name.startswith(".")


def _read_once(before: tuple[str, Fact] | None, key: str, etag: str, body: bytes) -> tuple[str, Fact]:
    """The fact with its etag, read from its JSON only where it has changed since it was read `before`."""
    if before is not None and before[0] == etag:
        return before
    return etag, _decoded(_KINDS[key.split("/")[1]], key, body)


def _with_fact(facts: Facts, fact: Seen | Ingested | Transformed | Arrival | Decision | Waiver) -> Facts:
    match fact:
        case Seen():
            return dataclasses.replace(facts, seen={**facts.seen, fact.upload: fact})
        case Ingested():
            return dataclasses.replace(facts, ingested={**facts.ingested, fact.upload: fact})
        case Transformed():
            return dataclasses.replace(facts, transformed={**facts.transformed, fact.upload: fact})
        case Arrival():
            log = [*facts.arrivals.get(fact.key, ()), fact]
            return dataclasses.replace(facts, arrivals={**facts.arrivals, fact.key: log})
        case Decision():
            decided = [*facts.decisions.get(fact.upload, ()), fact]
            return dataclasses.replace(facts, decisions={**facts.decisions, fact.upload: decided})
        case Waiver():
            waived = [*facts.waivers.get(fact.upload, ()), fact]
            return dataclasses.replace(facts, waivers={**facts.waivers, fact.upload: waived})


def next_number(log: Iterable[L]) -> int:
    """The number for `Register.append_next` after a log as it was read."""
    return 1 + max((fact.number for fact in log), default=0)


def _logs(facts: Iterable[L], subject: Callable[[L], str]) -> dict[str, list[L]]:
    logs: dict[str, list[L]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: fact.number):
        logs[subject(fact)].append(fact)
    return logs


def _encoded(fact: Fact) -> bytes:
    values = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in dataclasses.asdict(fact).items()
    }
    return json.dumps(values, sort_keys=True, indent=1).encode()


def _decoded(kind: type[F], key: str, body: bytes) -> F:
    """A fact from its JSON; members that this version does not know are left out."""
    try:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in json.loads(body).items()
            if name in _MEMBERS[kind]
        }
        for name in _TIMES[kind]:
            if values.get(name):
                values[name] = datetime.fromisoformat(values[name])
        return kind(**values)
    except (ValueError, TypeError, AttributeError) as error:
        anew = ", or delete it: what it says is then made anew, of the upload's file or its pinned copy"
        way_out = anew if kind in _MADE_ANEW else ""
        raise RegisterError(
            f"The fact {key} in the lake's register cannot be read ({error}). Restore it from a backup{way_out}."
        ) from error
