"""Keeps out who was erased: looks through what arrives under raw/, and cuts their rows out of it first.

So an old file that is put again, a restored one, or a new one with the same people, never brings them back: the upload
is known by its content without them. How persons are erased from what is there is in `erasing.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alumni_assets import layout
from alumni_assets.contract import Contract
from alumni_assets.register import Register
from alumni_assets.resources.lake_interface import Lake, LakeEntry
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.intake import RECENT_SECONDS, PinnedCopyError, UploadChangedError
from alumni_assets.survey.erasures import Ledger
from alumni_assets.survey.standing import Rewritten, Seen

if TYPE_CHECKING:
    import numpy as np

    from alumni_assets.survey.persons import Persons


class ErasingError(Exception):
    """A person cannot be erased; the message says why and what to do, and names nobody."""


class ErasureKeyError(ErasingError):
    """What was erased cannot be kept out without the key."""


@dataclass(frozen=True)
class Doorkeeper:
    """Keeps out of a lake who was erased from it. `key` is that of the ledger, empty where none is set."""

    lake: Lake
    register: Register
    contract: Contract
    key: str

    def checked(self, raw_key: str) -> str | None:
        """Cut the rows of erased persons out of the object at `raw/<raw_key>`; returns the SHA-256 of what is there.

        None where nobody was ever erased. A file that cannot be read stays as it is. Raises `ErasureKeyError`, and
        `LakeKeyError` when the object is gone.
        """
        ledger = self.register.ledger(RECENT_SECONDS)
        persons = erased_persons(ledger, self.key, self.contract)
        if persons is None:
            return None
        source = layout.RAW + raw_key
        entry = self.lake.stat(source)
        with self.lake.local_copy(source) as path:
            sha256 = sha256_of(path)
            twins = self._uploads_of(ledger.now(sha256))
            if ledger.now(sha256) != sha256 and self.is_replaced_by(twins, source):
                return ledger.now(sha256)
            rows = self._rows(ledger, raw_key, path, persons, twins)
            return self._rewritten(entry, path, sha256, rows) if rows.size and entry else sha256

    def require_rewritten(self, seen: Seen) -> None:
        """Raise `PinnedCopyError` where a pinned copy is not without those who were erased from it."""
        pinned = layout.pinned_key(seen.upload)
        if not self.register.ledger(RECENT_SECONDS).rows_of(seen.upload) or self.lake.stat(pinned) is None:
            return
        if not self.is_rewritten(seen):
            raise PinnedCopyError(
                f"The pinned copy of {seen.upload} is not the one from which persons were erased; perhaps it was "
                "restored from a backup. Run `alumni erase --again`."
            )

    def _uploads_of(self, sha256: str) -> list[Seen]:
        """The uploads that have this content now."""
        return [seen for seen in self.register.facts(RECENT_SECONDS).seen.values() if seen.sha256 == sha256]

    def is_replaced_by(self, twins: Sequence[Seen], source: str) -> bool:
        """Put in the place of a content what it was rewritten to, if an upload has that: whatever made it so."""
        for seen in twins:
            if self.is_rewritten(seen):
                self.lake.copy(layout.pinned_key(seen.upload), source)
                return True
        return False

    def is_rewritten(self, seen: Seen) -> bool:
        """Whether the pinned copy of an upload is there, and is the one that the register tells of."""
        pinned = layout.pinned_key(seen.upload)
        if self.lake.stat(pinned) is None:
            return False
        with self.lake.local_copy(pinned) as path:
            return sha256_of(path) == seen.sha256

    def _rows(
        self, ledger: Ledger, raw_key: str, path: Path, persons: "Persons", twins: Sequence[Seen]
    ) -> "np.ndarray":
        """The rows of erased persons in a file: those that are theirs by themselves, and those of equal uploads."""
        from alumni_assets.stages.person_rows import own_rows  # imports Arrow

        known = [ranges for seen in twins for ranges in ledger.rows_of(seen.upload)]
        facts = self.register.facts(RECENT_SECONDS)
        return own_rows(facts, ledger, raw_key, path, persons, self.contract, known)

    def _rewritten(self, entry: LakeEntry, path: Path, sha256: str, rows: "np.ndarray") -> str:
        from alumni_assets.survey.cutting import cut_rows

        with self.lake.writing(entry.key) as target:
            cut_rows(entry.key.removeprefix(layout.RAW), path, rows, target, self.contract.rules.limits)
            now = self.lake.stat(entry.key)
            if now is None or now.etag != entry.etag:
                raise UploadChangedError(f"{self.lake.url(entry.key)} changed while it was read.")
            return enter_rewritten(self.register, sha256, target).into


def enter_rewritten(register: Register, sha256: str, target: Path) -> Rewritten:
    """Enter in the register that a content is about to be replaced by what is at `target`; returns what was entered."""
    number = len(register.ledger(RECENT_SECONDS).erasures)
    made = Rewritten(sha256, sha256_of(target), target.stat().st_size, number)
    register.enter_rewritten(made)
    return made


def erased_persons(ledger: Ledger, key: str, contract: Contract) -> "Persons | None":
    """All who were erased; None where nobody was. Raises `ErasureKeyError` without the key of the ledger."""
    if not ledger.erasures:
        return None
    from alumni_assets.survey.persons import KeyedSeal, Persons, check_of

    if not key:
        raise ErasureKeyError(
            "Persons were erased from this lake, and who they are cannot be told without the key. Set "
            "ALUMNI_ERASURE_KEY to what it was then."
        )
    seal = KeyedSeal(key)
    if ledger.erasures[0].check != check_of(seal):
        raise ErasureKeyError("ALUMNI_ERASURE_KEY is not the key with which persons were erased from this lake.")
    return Persons(ledger.persons, seal, contract.rules.phone_number)
