"""Erasing persons: their rows go out of every object of the lake that has them, and everybody else's stay.

The rows are looked up first (`person_rows.py`) and entered in the register before anything is changed, so that intake
keeps the persons out from then on (`keeping_out.py`). Each object is then replaced by one without the rows: what it is
replaced by is entered first, so that facts that name the old content mean the new one. All of it may be repeated: what
a killed process left is done by the next. What is made from the lake, the warehouse and what is published, is made anew
by the pipeline afterwards. The archive is in `erasing_archives.py`, what is done to one file in `erased_files.py`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from alumni_assets import layout
from alumni_assets.contract import Contract
from alumni_assets.register import Register
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages import intake
from alumni_assets.stages.erased_files import Erased, without_ranges, without_rows
from alumni_assets.stages.erasing_archives import ArchiveEraser
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.keeping_out import (
    Doorkeeper,
    ErasingError,
    ErasureKeyError,
    enter_rewritten,
    erased_persons,
)
from alumni_assets.stages.person_rows import PersonRows, find_person
from alumni_assets.stages.profile import profile_of
from alumni_assets.stages.streaming import stored_batches
from alumni_assets.stages.validation import reasons_of
from alumni_assets.survey import row_ranges
from alumni_assets.survey.cutting import CuttingError
from alumni_assets.survey.equal_content import same_content
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.persons import KeyedSeal, Persons, check_of, person
from alumni_assets.survey.row_ranges import Ranges
from alumni_assets.survey.standing import Erasure, Facts, Ingested, Seen, Status, last_arrivals

ON_ITS_WAY = (layout.SPARK, layout.QUERY_RESULTS)
"""Folders of what is made again whenever it is needed."""
HELD = (
    layout.RAW,
    *(layout.PINNED, "valid/", layout.INVALID, layout.TRANSFORMED, layout.ARCHIVE, "published/", "sheet/"),
    *ON_ITS_WAY,
    f"{layout.REGISTER}exports/",
)
"""All folders in which there may be something about a person, or may have been."""
_MOST_ROUNDS = 5


@dataclass(frozen=True)
class Request:
    """Who is to be erased, who asks for it and why. Without an id: all who were erased before, again."""

    employee_id: str | None
    by: str
    reason: str


def persons_of(request: Request, register: Register, contract: Contract, key: str) -> Persons:
    """Whom a request is about. Raises `ErasingError` and `ErasureKeyError`."""
    if not key:
        raise ErasureKeyError(
            "Set ALUMNI_ERASURE_KEY to a secret of at least 32 characters, and keep it apart from the lake: with it "
            "the persons are remembered who are to be kept out."
        )
    erased = erased_persons(register.ledger(), key, contract)
    if request.employee_id is not None:
        return person_with(request.employee_id, contract)
    if erased is None:
        raise ErasingError("Nobody was erased from this lake yet, so that there is nothing to do again.")
    return erased


def person_with(employee_id: str, contract: Contract) -> Persons:
    """The person with an employee id. Raises `ErasingError` for what is none."""
    try:
        return person(employee_id, contract.rules.phone_number)
    except ValueError as error:
        raise ErasingError(f"That is no employee id: {error}.") from None


def rows_by_upload(found: PersonRows) -> dict[str, int]:
    """How many rows of each upload are the person's."""
    return {upload: row_ranges.size(row_ranges.bounds(ranges)) for upload, ranges in found.rows.items()}


@dataclass
class Eraser:
    """Erases persons from a lake. `key` is that of the ledger; archived copies get `archive_class`.

    Copies in cold storage that have to be read are asked for, to be readable for so many `days`.
    """

    lake: Lake
    register: Register
    contract: Contract
    key: str
    archive_class: str | None = None
    days: int = 7
    tier: str = "Bulk"

    def enter(self, request: Request, persons: Persons) -> PersonRows:
        """Enter the persons and their rows in the register, as far as they are not there. Nothing else is changed.

        From then on they are kept out.
        """
        found = find_person(self.lake, self.register.facts(), persons, self.contract)
        ledger = self.register.ledger()
        seal = KeyedSeal(self.key)
        names = found.names if request.employee_id is None else frozenset(map(seal, found.names))
        new_rows = {
            upload: left
            for upload, ranges in found.rows.items()
            if (left := row_ranges.without(ranges, ledger.rows_of(upload)))
        }
        new_names = names - ledger.persons
        if new_rows or new_names:
            self.register.append_erasure(
                Erasure(
                    0, tuple(sorted(new_names)), new_rows, request.by, intake.utc_now(), request.reason, check_of(seal)
                )
            )
        return found

    def rewrite(self, request: Request, persons: Persons) -> Erased:
        """Take the rows out of every object, and look again until none has any.

        Raises `ErasingError`, and `DamagedManifestError` where it is not known what an archive has.
        """
        done = Erased()
        for _ in range(_MOST_ROUNDS):
            found = self.enter(request, persons)
            for upload, rows in rows_by_upload(found).items():
                done.rows[upload] = max(rows, done.rows.get(upload, 0))
            done.unread, done.uncut, done.waiting = found.unread, [], []
            before = done.objects
            self._rewrite_all(persons.also(found.names), found.missing, done)
            if done.objects == before:
                return done
        raise ErasingError(
            "Rows of the person come back all the time. Stop what writes into the lake, and repeat this."
        )

    def rewrite_also(self, request: Request, persons: Persons, done: Erased) -> Erased:
        """Do it once more after uploads were taken in; what is left to do is what is left then."""
        more = self.rewrite(request, persons)
        rows = {upload: max(count, done.rows.get(upload, 0)) for upload, count in more.rows.items()}
        return replace(more, rows=done.rows | rows, objects=done.objects + more.objects)

    def delete_unread(self, uploads: Iterable[str]) -> None:
        """Delete the files of uploads that cannot be read as rows, and so cannot be searched, also archived ones."""
        facts, unread = self.register.facts(), set(uploads)
        for upload in unread:
            if (key := self._raw_object_of(facts, facts.seen[upload])) is not None:
                self.lake.delete(key)
            self.lake.delete(layout.pinned_key(upload))
        self._archives().delete_originals(unread)

    def forget(self) -> None:
        """Delete what is only on its way, and all earlier versions that a bucket keeps of what there is and was."""
        for folder in ON_ITS_WAY:
            for entry in list(self.lake.list(folder)):
                self.lake.delete(entry.key)
        pinned = {layout.pinned_key(upload) for upload in self.register.facts().seen}
        for entry in list(self.lake.list(layout.PINNED)):
            if entry.key not in pinned:  # left by an intake that was killed; the upload is taken in again
                self.lake.delete(entry.key)
        self.lake.sweep(everything=True)
        for folder in HELD:
            self.lake.forget_earlier(folder)

    def _doorkeeper(self) -> Doorkeeper:
        return Doorkeeper(self.lake, self.register, self.contract, self.key)

    def _archives(self) -> ArchiveEraser:
        return ArchiveEraser(self.lake, self.register, self.contract, self.archive_class, self.days, self.tier)

    def _rewrite_all(self, persons: Persons, missing: Sequence[str], done: Erased) -> None:
        facts, rows = self.register.facts(), self.register.ledger().rows()
        concerned = {upload: ranges for upload, ranges in rows.items() if upload in facts.seen}
        unread = [
            upload for upload, ranges in concerned.items() if not self._rewrite_pinned(facts, upload, ranges, done)
        ]
        facts = self.register.facts()
        for upload in unread:
            self._take_from_equal(facts, upload, done)
        for folder in ("valid/", layout.TRANSFORMED):
            for entry in list(self.lake.list(folder)):
                done.objects += self._rewrite_table(entry.key, lambda batch: persons.by_id(batch["employee_id"]))
        for upload, ranges in concerned.items():
            self._rewrite_invalid(upload, ranges, done)
        for upload in concerned:
            self._recount(upload)
        facts = self.register.facts()
        for upload in concerned:
            if (key := self._raw_object_of(facts, facts.seen[upload])) is not None:
                self._renew_raw(key, upload, done)
        self._archives().rewrite(persons, {*concerned, *missing}, done)

    def _rewrite_pinned(self, facts: Facts, upload: str, ranges: Ranges, done: Erased) -> bool:
        """Take rows out of a pinned copy; False where it cannot be read as rows."""
        name, key = facts.seen[upload].key, layout.pinned_key(upload)
        if self.lake.stat(key) is None:
            return True
        try:
            done.objects += self._replace(
                key, lambda path, target: without_ranges(name, path, ranges, self.contract, target)
            )
        except CuttingError:
            done.uncut.append(upload)
        except UnreadableUploadError:
            return False
        return True

    def _take_from_equal(self, facts: Facts, upload: str, done: Erased) -> None:
        """Put what an equal file was rewritten to in the place of one that cannot be read under its own name."""
        twins = [facts.seen[other] for other in same_content(facts, upload)]
        doorkeeper = self._doorkeeper()
        if not doorkeeper.is_rewritten(facts.seen[upload]):
            done.objects += doorkeeper.is_replaced_by(twins, layout.pinned_key(upload))

    def _rewrite_table(self, key: str, are_theirs: Callable[[pa.RecordBatch], np.ndarray]) -> bool:
        if not key.endswith(".parquet") or self.lake.stat(key) is None:
            return False
        return self._replace(key, lambda path, target: without_rows(path, are_theirs, target))

    def _rewrite_invalid(self, upload: str, ranges: Ranges, done: Erased) -> None:
        """The files for the reviewer go first: where they are missing they are made again, here or by the pipeline."""
        key = layout.invalid_key(upload)
        if self.lake.stat(key) is None:
            return

        def are_theirs(batch: pa.RecordBatch) -> np.ndarray:
            return row_ranges.are_in(batch["source_row"].to_numpy(), ranges)

        with self.lake.local_copy(key) as path:
            if without_rows(path, are_theirs, None):
                for suffix in ("xlsx", "csv"):
                    self.lake.delete(layout.correction_key(upload, suffix))
        done.objects += self._rewrite_table(key, are_theirs)

    def _replace(self, key: str, write: Callable[[Path, Path | None], bool]) -> bool:
        """Replace an object by what `write` makes of it, where that says that it has rows of the persons."""
        with self.lake.local_copy(key) as path:
            if not write(path, None):
                return False
            with self.lake.writing(key) as target:
                write(path, target)
                enter_rewritten(self.register, sha256_of(path), target)
        return True

    def _recount(self, upload: str) -> None:
        """Bring the counts in the register in line with the tables, and make the files for the reviewer again."""
        ingested = self.register.find_ingested(upload)
        if ingested is None or ingested.outcome != Status.VALIDATED or not intake.is_stored(self.lake, ingested):
            return
        counted = self._counted(ingested)
        if counted != ingested:
            self.register.enter_ingested(counted)
        if not intake.has_correction_files(self.lake, upload):
            self._write_correction_files(upload, counted.invalid or 0)
        self._recount_transformed(counted)

    def _counted(self, ingested: Ingested) -> Ingested:
        upload = ingested.upload
        with (
            self.lake.local_copy(layout.valid_key(upload)) as valid,
            self.lake.local_copy(layout.invalid_key(upload)) as invalid,
        ):
            if (sha256_of(valid), sha256_of(invalid)) != (ingested.content, ingested.invalid_content):
                return ingested  # other rows than were judged: they are judged again before they count
            good, bad = pq.read_metadata(valid).num_rows, pq.read_metadata(invalid).num_rows
            reasons = reasons_of(stored_batches(invalid))
            strays = _strays(invalid) if ingested.corrects else 0
            profile = profile_of(valid, good, self.contract) if ingested.profile else {}
        return replace(
            ingested,
            rows=good + bad,
            valid=good,
            invalid=bad,
            strays=strays,
            reasons={f"{header}:{code}": count for (header, code), count in reasons.items()},
            profile=profile,
        )

    def _recount_transformed(self, ingested: Ingested) -> None:
        transformed = self.register.find_transformed(ingested.upload)
        key = layout.transformed_key(ingested.upload)
        if transformed is None or self.lake.stat(key) is None:
            return
        with self.lake.local_copy(key) as path:
            if sha256_of(path) != transformed.content:
                return
            rows = pq.read_metadata(path).num_rows
        is_of_these = transformed.source == ingested.content
        repeated = (ingested.valid or 0) - rows if is_of_these else transformed.exact_duplicates
        if (rows, repeated) != (transformed.rows, transformed.exact_duplicates):
            self.register.enter_transformed(replace(transformed, rows=rows, exact_duplicates=repeated))

    def _write_correction_files(self, upload: str, invalid: int) -> None:
        seen = self.register.find_seen(upload)
        if seen is not None:
            header = intake.header_of(self.lake, seen, self.contract.rules.limits)
            intake.write_correction_files(self.lake, upload, header, self.contract, invalid)

    def _raw_object_of(self, facts: Facts, seen: Seen) -> str | None:
        """The key of the object under raw/ whose content was last taken in as this upload; None where it is another."""
        arrival = last_arrivals(facts).get(seen.key)
        if arrival is None or arrival.upload != seen.upload:
            return None
        entry = self.lake.stat(layout.RAW + seen.key)
        is_the_same = entry is not None and (entry.etag, entry.size) == (arrival.etag, arrival.size)
        return layout.RAW + seen.key if is_the_same else None

    def _renew_raw(self, key: str, upload: str, done: Erased) -> None:
        """Cut the rows out of the object that became an upload, which gives the upload's own rewritten content."""
        seen = self.register.find_seen(upload)
        with self.lake.local_copy(key) as path:
            if seen is None or sha256_of(path) == seen.sha256:
                return
        checked = self._doorkeeper().checked(seen.key)
        intake.pin(self.lake, self.register, seen.key, intake.utc_now(), checked)
        done.objects += 1


def _strays(invalid: Path) -> int:
    return sum(batch["corrects_row"].null_count for batch in stored_batches(invalid, ["corrects_row"]))
