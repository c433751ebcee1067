"""Whose row is it: what tells a person who is to be erased, or to be given what is held about them.

A person is told by the employee id, as the contract reads it. A row without an id that can be read is theirs if one of
its cells is an e-mail address or a phone number of theirs; one with another id never is. Persons may be known by their
names as these are or, as in the ledger of erasures, by keyed hashes of them. Pure; which rows of which uploads there
are is looked up in `stages/person_rows.py`.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.contract import NAMES
from alumni_assets.survey import cells
from alumni_assets.survey_rules import PhoneRules

_CHECKED = "alumni_assets erasures"
_MARK_DIGITS = 8


class Whose(IntEnum):
    """Whose a row is."""

    UNKNOWN = 0  # no id can be read, and no e-mail address or phone number is theirs
    OTHERS = 1
    BY_CONTACT = 2
    BY_ID = 3


class Seal(Protocol):
    """Makes names into what they are known by."""

    def __call__(self, name: str) -> str:
        """The sealed name."""

    def likely(self, names: np.ndarray, sealed: frozenset[str]) -> np.ndarray:
        """The places of the names, an array of texts, that may be among some sealed ones: all others are not."""


class Unsealed:
    """Names as they are."""

    def __call__(self, name: str) -> str:
        return name

    def likely(self, names: np.ndarray, sealed: frozenset[str]) -> np.ndarray:
        return np.arange(names.size)


@dataclass(frozen=True)
class KeyedSeal:
    """HMAC-SHA256 under a key, in hex: without the key, names cannot be tried out.

    In front are 32 bits of SipHash-2-4 under a key that is derived from it. That is a keyed hash too, and one that
    costs so little that a whole file can be looked through.
    """

    key: str

    def __repr__(self) -> str:
        return "KeyedSeal()"

    def __call__(self, name: str) -> str:
        (mark,) = self._marks(np.array([name], object))
        return f"{mark:0{_MARK_DIGITS}x}{self._digest(name).hex()}"

    def likely(self, names: np.ndarray, sealed: frozenset[str]) -> np.ndarray:
        marks = np.array([int(name[:_MARK_DIGITS], 16) for name in sealed], np.uint64)
        return np.flatnonzero(np.isin(self._marks(names), marks))

    def _digest(self, name: str) -> bytes:
        return hmac.digest(self.key.encode(), name.encode(), hashlib.sha256)

    def _marks(self, names: np.ndarray) -> np.ndarray:
        from pandas.util import hash_array  # takes its time to import

        return hash_array(names, hash_key=self._mark_key, categorize=False) >> np.uint64(32)

    @cached_property
    def _mark_key(self) -> str:
        return base64.b85encode(self._digest("marks")).decode()[:16]


@dataclass(frozen=True)
class Persons:
    """Some persons, by the sealed names of their ids, e-mail addresses and phone numbers."""

    names: frozenset[str]
    seal: Seal
    phones: PhoneRules

    def by_id(self, ids: pa.Array) -> np.ndarray:
        """Which of these employee ids, as text or as numbers, are theirs; null is nobody's."""
        return self._known(pc.cast(ids, pa.string()), "id")

    def by_id_in(self, rows: pa.RecordBatch) -> np.ndarray:
        """Which rows of text have an employee id of theirs."""
        return self.by_id(employee_ids(rows["employee_id"]))

    def whose(self, rows: pa.RecordBatch) -> np.ndarray:
        """For each row of text whose it is, as numbers of `Whose`.

        `rows` has the columns of `parsing.NUMBERED_SCHEMA` without the row's number.
        """
        ids = employee_ids(rows["employee_id"])
        found = np.where(pc.is_valid(ids).to_numpy(zero_copy_only=False), Whose.OTHERS, Whose.UNKNOWN)
        found[self.by_id(ids)] = Whose.BY_ID
        unreadable = np.flatnonzero(found == Whose.UNKNOWN)
        if unreadable.size and self.names:
            found[unreadable[self._by_contact(rows.take(pa.array(unreadable)))]] = Whose.BY_CONTACT
        return found

    def contacts(self, rows: pa.RecordBatch) -> Iterator[str]:
        """The e-mail addresses and phone numbers of rows by their sealed names."""
        for kind, texts in (("email", emails(rows["email"])), ("phone", self._phones(rows["phone_number"]))):
            yield from (self.seal(f"{kind}:{text}") for text in pc.unique(texts).to_pylist() if text)

    def also(self, names: Iterable[str]) -> "Persons":
        """The same persons by further names."""
        return Persons(self.names | set(names), self.seal, self.phones)

    def _by_contact(self, rows: pa.RecordBatch) -> np.ndarray:
        columns = [*(rows[name] for name in NAMES), *_further_cells(rows["other_columns"])]
        found = np.zeros(rows.num_rows, bool)
        for texts in columns:
            found |= self._known(emails(texts), "email") | self._known(self._phones(texts), "phone")
        return found

    def _phones(self, texts: pa.Array) -> pa.Array:
        return cells.phone(cells.tidy(texts), self.phones)

    def _known(self, texts: pa.Array, kind: str) -> np.ndarray:
        found = np.zeros(len(texts), bool)
        given = np.flatnonzero(pc.is_valid(texts).to_numpy(zero_copy_only=False))
        names = pc.binary_join_element_wise(f"{kind}:", texts.drop_null(), "").to_numpy(zero_copy_only=False)
        for place in self.seal.likely(names, self.names):
            found[given[place]] = self.seal(names[place]) in self.names
        return found


def person(employee_id: str, phones: PhoneRules) -> Persons:
    """The person with this id, known by their names as they are. Raises ValueError for what is no employee id."""
    (text,) = employee_ids(pa.array([employee_id])).to_pylist()
    if text is None:
        raise ValueError("an employee id has only digits, at most 18 of them")
    return Persons(frozenset({f"id:{text}"}), Unsealed(), phones)


def check_of(seal: Seal) -> str:
    """By which a key is recognised."""
    return seal(_CHECKED)


def employee_ids(texts: pa.Array) -> pa.Array:
    """Employee ids as the contract reads them: digits without leading zeros; null where none can be read."""
    numbers = cells.whole_number_text(cells.tidy(texts))
    return pc.if_else(cells.is_employee_id(numbers), numbers, pa.scalar(None, pa.string()))


def emails(texts: pa.Array) -> pa.Array:
    """E-mail addresses in one case; null for what has no @."""
    tidied = pc.utf8_lower(cells.tidy(texts))
    return pc.if_else(pc.match_substring(tidied, "@"), tidied, pa.scalar(None, pa.string()))


def _further_cells(objects: pa.Array) -> list[pa.Array]:
    """The cells of columns that the contract does not have, as columns again."""
    rows = [list(json.loads(text).values()) if text else [] for text in objects.to_pylist()]
    width = max(map(len, rows), default=0)
    return [pa.array([row[place] if place < len(row) else None for row in rows], pa.string()) for place in range(width)]
