"""Which answers of a sheet were exported: a log of numbered facts in the lake's register.

The checkpoint is no time but the answers themselves, as hashes: what is equal in time, comes late, or is edited is
told apart by what it says. Each fact is created once and never changed; whoever creates number N has exported all
that it lists, so of two exporters at once one wins and the other looks again. What the facts say together is kept in
a file in `ALUMNI_HOME`, for comparison with large sheets; it may be deleted at any time.

How many of an answer were exported is the greatest number of equal rows that the sheet had at any export. One more is
exported when the sheet goes back to it: an answer A that was edited to B, and then to A again. Without that, B would
stay the newer one of the two for ever. It takes that A was missing from the sheet when a later answer of the same
employee id was exported, and that this one is gone now that A is back. An answer that was deleted and restored, or
that stays beside later ones, is not exported again.
"""

import base64
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from alumni_assets import layout
from alumni_assets.copies import begun_anew_if_damaged
from alumni_assets.resources.lake_interface import Lake, LakeEntry
from alumni_assets.sheet.answers import PERSON_BYTES, ROW_BYTES
from alumni_assets.sheet.errors import SheetError

_COUNT_BYTES = 4
_NOBODY = bytes(PERSON_BYTES)  # in facts: an answer without employee id
_READERS = 16
_READ_AT_ONCE = 256
_LOCK_SECONDS = 600
T = TypeVar("T")
_TABLES = """
CREATE TABLE IF NOT EXISTS exports (number INTEGER PRIMARY KEY, etag TEXT, sha256 TEXT, titles TEXT);
CREATE TABLE IF NOT EXISTS exported
  (row BLOB PRIMARY KEY, person BLOB, copies INTEGER, present INTEGER, last INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS exported_of_person ON exported (person);
CREATE TEMP TABLE sheet (position INTEGER PRIMARY KEY, row BLOB, person BLOB);
CREATE TEMP TABLE counted (row BLOB PRIMARY KEY, copies INTEGER, first INTEGER) WITHOUT ROWID;
"""
_APPLY_NEW = """
INSERT INTO exported VALUES (:row, :person, 1, 1, :number)
ON CONFLICT (row) DO UPDATE SET copies = copies + 1, present = copies + 1, last = :number
"""  # a copy is new only where the sheet has more of them than were ever exported: all those are present
_FIND_NEW = """
WITH surplus AS (
  SELECT counted.row, coalesce(exported.copies, 0) AS known FROM counted LEFT JOIN exported USING (row)
  WHERE counted.copies > coalesce(exported.copies, 0)
), numbered AS (
  SELECT position, row, person, known, row_number() OVER (PARTITION BY row ORDER BY position) AS nth
  FROM sheet JOIN surplus USING (row)
)
SELECT position, row, person FROM numbered WHERE nth > known ORDER BY position LIMIT ?
"""
_FIND_PUT_BACK = """
SELECT counted.first, row FROM exported AS back JOIN counted USING (row)
WHERE counted.copies > back.present AND counted.copies <= back.copies AND back.person IS NOT NULL
  AND NOT EXISTS (
    SELECT 1 FROM exported AS newest JOIN counted USING (row)
    WHERE newest.person = back.person
      AND newest.last = (SELECT max(last) FROM exported WHERE exported.person = back.person)
  )
ORDER BY counted.first
"""
_FIND_PRESENCE = """
SELECT row, coalesce(counted.copies, 0) AS now FROM exported LEFT JOIN counted USING (row)
WHERE exported.present <> now
"""


@dataclass(frozen=True)
class Found:
    """Answers to be exported: for each its position in the sheet, its hash and its person's.

    `put_back` are (position, hash) of answers that the sheet went back to.
    """

    new: Sequence[tuple[int, bytes, bytes | None]]
    put_back: Sequence[tuple[int, bytes]]

    @property
    def positions(self) -> list[int]:
        """Where in the sheet they all are, in its order."""
        return sorted([position for position, *_ in self.new] + [position for position, _ in self.put_back])


@dataclass(frozen=True)
class Export:
    """One fact: what export `number` of a sheet took.

    `titles` is the sheet's header. `upload` is the key below raw/ and `sha256` the content's hash; both are None
    when only a changed header was accepted. `new` packs the hashes of answers and their persons, `put_back` hashes,
    `presence` hashes with how many of each the sheet has, where that has changed.
    """

    number: int
    exported_at: datetime
    titles: tuple[str, ...]
    upload: str | None
    sha256: str | None
    new: bytes = b""
    put_back: bytes = b""
    presence: bytes = b""

    def encoded(self) -> bytes:
        """The fact as JSON."""
        values = {
            "number": self.number,
            "exported_at": self.exported_at.isoformat(),
            "titles": self.titles,
            "upload": self.upload,
            "sha256": self.sha256,
            "new": base64.b64encode(self.new).decode(),
            "put_back": base64.b64encode(self.put_back).decode(),
            "presence": base64.b64encode(self.presence).decode(),
        }
        return json.dumps(values, sort_keys=True, indent=1).encode()

    @classmethod
    def decoded(cls, key: str, body: bytes) -> Self:
        """The fact from its JSON. Raises `SheetError`."""
        try:
            values = json.loads(body)
            return cls(
                int(values["number"]),
                datetime.fromisoformat(values["exported_at"]),
                tuple(values["titles"]),
                values["upload"],
                values["sha256"],
                *(base64.b64decode(values[name], validate=True) for name in ("new", "put_back", "presence")),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise SheetError("checkpoint", f"{key} in the lake cannot be read. Restore it from a backup.") from error


class Checkpoint:
    """The checkpoint of one sheet; use it by `use_checkpoint`."""

    def __init__(self, lake: Lake, sheet: str, database: sqlite3.Connection) -> None:
        self._lake = lake
        self._sheet = sheet
        self._database = database

    def renew(self) -> None:
        """Take in the facts that were entered since. Raises `SheetError` where one is missing or damaged.

        The file may be shared with exporters that run at the same time. The facts are listed under its lock, so that
        it never goes back behind what another has taken in.
        """
        with self._transaction() as database:
            listed = self._listed()
            held = dict(database.execute("SELECT number, etag FROM exports"))
            if any(number not in listed or listed[number].etag != etag for number, etag in held.items()):
                database.execute("DELETE FROM exports")
                database.execute("DELETE FROM exported")
                held = {}
            for number, export in self._read([entry for number, entry in listed.items() if number not in held]):
                self._apply(export, listed[number].etag)

    @property
    def next_number(self) -> int:
        """The number of the next export."""
        return self._one("SELECT coalesce(max(number), 0) + 1 FROM exports")

    @property
    def titles(self) -> tuple[str, ...] | None:
        """The header of the last export; None before the first."""
        found = self._database.execute("SELECT titles FROM exports ORDER BY number DESC LIMIT 1").fetchone()
        return tuple(json.loads(found[0])) if found else None

    def sha256_of(self, number: int) -> str | None:
        """The hash of what was exported under a number; None where nothing was."""
        found = self._database.execute("SELECT sha256 FROM exports WHERE number = ?", (number,)).fetchone()
        return found[0] if found else None

    def has_content(self, sha256: str) -> bool:
        """Whether an export had exactly this content."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM exports WHERE sha256 = ?)", sha256))

    def compare(self, answers: Iterable[tuple[bytes, bytes | None]]) -> int:
        """Take the sheet as it is now: the hash of each answer and of its person, in order. Returns how many."""
        with self._transaction("DEFERRED") as database:  # the tables are this connection's own: it locks nobody out
            database.execute("DELETE FROM sheet")
            database.execute("DELETE FROM counted")
            database.executemany("INSERT INTO sheet (row, person) VALUES (?, ?)", answers)
            database.execute("INSERT INTO counted SELECT row, count(*), min(position) FROM sheet GROUP BY row")
        return self._one("SELECT count(*) FROM sheet")

    def find(self, most: int) -> Found:
        """What of it is to be exported next: `most` new answers, and all that the sheet went back to."""
        put_back = self._database.execute(_FIND_PUT_BACK).fetchall()
        return Found(self._database.execute(_FIND_NEW, (most,)).fetchall(), put_back)

    def fact(
        self, number: int, found: Found, titles: tuple[str, ...], upload: str | None, sha256: str | None, now: datetime
    ) -> Export:
        """The fact of export `number`, which takes what was found."""
        presence = self._database.execute(_FIND_PRESENCE)
        return Export(
            number,
            now,
            titles,
            upload,
            sha256,
            new=b"".join(row + (person or _NOBODY) for _, row, person in found.new),
            put_back=b"".join(row for _, row in found.put_back),
            presence=b"".join(row + copies.to_bytes(_COUNT_BYTES, "big") for row, copies in presence),
        )

    def enter(self, export: Export) -> bool:
        """Enter the fact in the register; False when another exporter has taken its number."""
        return self._lake.create_bytes(layout.export_key(self._sheet, export.number), export.encoded())

    def _listed(self) -> dict[int, LakeEntry]:
        """The facts by number, in order."""
        entries = dict(_facts(self._lake, self._sheet))
        missing = [number for number in range(1, max(entries, default=0) + 1) if number not in entries]
        if missing:
            raise SheetError(
                "checkpoint",
                f"{layout.export_key(self._sheet, missing[0])} is missing in the lake: what it lists would be "
                "exported again. Restore it from a backup.",
            )
        return dict(sorted(entries.items()))

    def _read(self, entries: Sequence[LakeEntry]) -> Iterator[tuple[int, Export]]:
        with ThreadPoolExecutor(_READERS) as pool:
            for start in range(0, len(entries), _READ_AT_ONCE):
                keys = [entry.key for entry in entries[start : start + _READ_AT_ONCE]]
                for key, body in zip(keys, pool.map(self._lake.read_bytes, keys), strict=True):
                    export = Export.decoded(key, body)
                    yield export.number, export

    def _apply(self, export: Export, etag: str) -> None:
        """Add what a fact says to what is known."""
        number = export.number
        new = (
            {
                "row": part[:ROW_BYTES],
                "person": None if part[ROW_BYTES:] == _NOBODY else part[ROW_BYTES:],
                "number": number,
            }
            for part in _parts(export.new, ROW_BYTES + PERSON_BYTES)
        )
        presence = (
            (int.from_bytes(part[ROW_BYTES:], "big"), part[:ROW_BYTES])
            for part in _parts(export.presence, ROW_BYTES + _COUNT_BYTES)
        )
        put_back = ((number, row) for row in _parts(export.put_back, ROW_BYTES))
        self._database.executemany(_APPLY_NEW, new)
        self._database.executemany("UPDATE exported SET present = ? WHERE row = ?", presence)
        self._database.executemany("UPDATE exported SET last = ? WHERE row = ?", put_back)
        values = (number, etag, export.sha256, json.dumps(export.titles))
        self._database.execute("INSERT INTO exports VALUES (?, ?, ?, ?)", values)

    def _one(self, query: str, *values: object) -> Any:
        return self._database.execute(query, values).fetchone()[0]

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        self._database.execute(f"BEGIN {kind}")
        with self._database:
            yield self._database


def use_checkpoint(lake: Lake, home: Path, sheet: str, use: Callable[[Checkpoint], T]) -> T:
    """What some use of a sheet's checkpoint gives, with its file in `home`: one for each lake.

    Where that file turns out to be damaged it is begun anew, and so is the use.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = _file(lake, home, sheet)

    def use_file() -> T:
        with closing(sqlite3.connect(file, timeout=_LOCK_SECONDS, isolation_level=None)) as database:
            database.executescript(_TABLES)
            return use(Checkpoint(lake, sheet, database))

    return begun_anew_if_damaged(file, use_file)


def forget_person(lake: Lake, home: Path, sheet: str, person: bytes) -> int:
    """Take out of all facts of a sheet whose answers these were, but not which answers; returns how many facts changed.

    `person` is what `answers.person_hash` gives. The file in `home`, which would keep it, is deleted; it is made again.
    """
    changed = 0
    for _, entry in list(_facts(lake, sheet)):
        export = Export.decoded(entry.key, lake.read_bytes(entry.key))
        parts = [*_parts(export.new, ROW_BYTES + PERSON_BYTES)]
        left = b"".join(part[:ROW_BYTES] + _NOBODY if part[ROW_BYTES:] == person else part for part in parts)
        if left != export.new:
            lake.put_bytes(entry.key, replace(export, new=left).encoded())
            changed += 1
    _file(lake, home, sheet).unlink(missing_ok=True)
    return changed


def _facts(lake: Lake, sheet: str) -> Iterator[tuple[int, LakeEntry]]:
    """The facts of a sheet's exports with their numbers; what else lies in their folder is none of them."""
    for entry in lake.list(layout.exports_folder(sheet)):
        number = layout.log_number(entry.key)
        if number is not None:
            yield number, entry


def _file(lake: Lake, home: Path, sheet: str) -> Path:
    """The file of a sheet's checkpoint: one for each lake."""
    lake_id = hashlib.sha256(lake.url(layout.exports_folder(sheet)).encode()).hexdigest()[:8]
    return home / f"sheet-{sheet}-{lake_id}.sqlite"


def _parts(packed: bytes, size: int) -> Iterator[bytes]:
    return (packed[start : start + size] for start in range(0, len(packed), size))
