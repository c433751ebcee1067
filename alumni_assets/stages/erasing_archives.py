"""Erasing in the archive: copies that have rows of the persons become copies without them, named in their manifests.

Where the lake has what a copy was made of, it is made of that again; else the copy is read, which cold storage hands
out in hours. Of an archive that was never done no manifest tells: it loses what can be archived again, and the rest of
it is rewritten. All of it may be repeated.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from alumni_assets import layout
from alumni_assets.contract import Contract
from alumni_assets.register import Register
from alumni_assets.resources.lake_interface import Lake, LakeFrozenError, Readiness
from alumni_assets.stages.archive import (
    ROWS,
    ArchivedFile,
    DamagedManifestError,
    archive_folder,
    archive_folders,
    archived_files,
    at_its_source,
    damage,
    unlisted_copies,
    write_manifest,
)
from alumni_assets.stages.erased_files import Erased, without_ranges, without_rows
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.keeping_out import enter_rewritten
from alumni_assets.stages.person_rows import own_rows
from alumni_assets.survey import row_ranges
from alumni_assets.survey.cutting import CuttingError
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.persons import Persons
from alumni_assets.survey.standing import Rewritten

_UNKNOWN = ""


@dataclass(frozen=True)
class ArchiveEraser:
    """Erases persons from archived copies, which get `archive_class`.

    Copies in cold storage that have to be read are asked for, to be readable for so many `days`.
    """

    lake: Lake
    register: Register
    contract: Contract
    archive_class: str | None
    days: int
    tier: str

    def rewrite(self, persons: Persons, uploads: Iterable[str], done: Erased) -> None:
        """Take the persons' rows out of the archives of these uploads. Raises `DamagedManifestError`."""
        for folder, upload, is_done in self._archives_of(uploads):
            if not is_done:
                self._empty(folder, upload, persons, done)
                continue
            copies = self._listed(folder, upload)
            now = [self._rewritten(copy, upload, persons, done) for copy in copies]
            if now != copies:
                write_manifest(self.lake, folder, now)

    def delete_originals(self, uploads: Iterable[str]) -> None:
        """Delete the archived originals of these uploads; their rows stay. Raises `DamagedManifestError`."""
        for folder, upload, is_done in self._archives_of(uploads):
            copies = self._listed(folder, upload) if is_done else self._unlisted(folder, upload)
            rows = [copy for copy in copies if copy.key == f"{folder}{ROWS}"]
            for copy in copies:
                if copy not in rows:
                    self.lake.delete(copy.key)
            if is_done and rows != copies:
                write_manifest(self.lake, folder, rows)

    def _archives_of(self, uploads: Iterable[str]) -> list[tuple[str, str, bool]]:
        """The folders of the archives of these uploads, each with its upload and whether it is done."""
        by_name = {layout.pinned_key(upload).removeprefix(layout.PINNED): upload for upload in uploads}
        return [
            (folder, by_name[name], is_done)
            for folder, is_done in archive_folders(self.lake).items()
            if (name := folder.split("/")[-2]) in by_name
        ]

    def _listed(self, folder: str, upload: str) -> list[ArchivedFile]:
        """The copies that a manifest names. Where they cannot be told, they might be of the persons."""
        try:
            return archived_files(self.lake, folder)
        except DamagedManifestError as error:
            transformed = self.register.find_transformed(upload)
            if transformed is not None and folder == archive_folder(transformed):
                raise DamagedManifestError(f"{error} Then repeat this.") from error
            raise DamagedManifestError(
                f"The manifest in {self.lake.url(folder)} is damaged, that of an upload transformed anew since. "
                "Restore it from a backup, or delete that whole folder, and repeat this."
            ) from error

    def _unlisted(self, folder: str, upload: str) -> list[ArchivedFile]:
        facts = self.register.facts()
        return unlisted_copies(self.lake, folder, facts.seen[upload], facts.transformed.get(upload))

    def _empty(self, folder: str, upload: str, persons: Persons, done: Erased) -> None:
        """Delete the copies of an archive that is not done, where their sources are sound; else rewrite them."""
        for copy in self._unlisted(folder, upload):
            if damage(self.lake, at_its_source(copy)):
                self._rewritten_by_itself(replace(copy, sha256=_UNKNOWN), upload, persons, done)
            else:
                self.lake.delete(copy.key)
                done.objects += 1

    def _rewritten(self, copy: ArchivedFile, upload: str, persons: Persons, done: Erased) -> ArchivedFile:
        """The archived copy without the persons' rows: copied from its source where that is what it was made of."""
        ledger = self.register.ledger()
        into = ledger.last(copy.sha256)
        if self.lake.stat(copy.source) is not None:
            with self.lake.local_copy(copy.source) as path:
                if sha256_of(path) == ledger.now(copy.sha256):
                    return self._copied_again(copy, into, done) if into else copy
        return self._rewritten_by_itself(copy, upload, persons, done)

    def _copied_again(self, copy: ArchivedFile, into: Rewritten, done: Erased) -> ArchivedFile:
        self.lake.copy(copy.source, copy.key, self.archive_class)
        done.objects += 1
        return replace(copy, sha256=into.into, size=into.size)

    def _rewritten_by_itself(self, copy: ArchivedFile, upload: str, persons: Persons, done: Erased) -> ArchivedFile:
        """Where the lake has no other copy the archived one has to be read."""
        if self.lake.stat(copy.key) is None or self.register.ledger().is_without_all(copy.sha256):
            return copy
        scratch = f"{copy.key}.rewritten"
        try:
            with self.lake.local_copy(copy.key) as path:
                if not self._without(copy, upload, persons, path, None):
                    self.lake.delete(scratch)
                    return self._as_it_is(copy, path)
                with self.lake.writing(scratch) as target:
                    self._without(copy, upload, persons, path, target)
                    made = enter_rewritten(self.register, sha256_of(path), target)
        except LakeFrozenError:
            if self.lake.thaw(copy.key, self.days, self.tier) != Readiness.READABLE:
                done.waiting.append(copy.key)
            return copy
        except UnreadableUploadError:
            done.unread.append(upload)
            return copy
        except CuttingError:
            done.uncut.append(upload)
            return copy
        self.lake.copy(scratch, copy.key, self.archive_class)
        self.lake.delete(scratch)
        done.objects += 1
        return replace(copy, sha256=made.into, size=made.size)

    def _without(self, copy: ArchivedFile, upload: str, persons: Persons, path: Path, target: Path | None) -> bool:
        """Whether a copy, which is at `path`, has rows of the persons; it is written to `target` without them."""
        if copy.key.endswith(f"/{ROWS}"):
            return without_rows(path, lambda batch: persons.by_id(batch["employee_id"]), target)
        facts, ledger = self.register.facts(), self.register.ledger()
        name = facts.seen[upload].key
        rows = own_rows(facts, ledger, name, path, persons, self.contract, ledger.rows_of(upload))
        return without_ranges(name, path, row_ranges.ranges_of(rows), self.contract, target)

    def _as_it_is(self, copy: ArchivedFile, path: Path) -> ArchivedFile:
        """The copy as a killed process may have rewritten it already, which its manifest does not say yet."""
        made = self.register.ledger().last(copy.sha256)
        if made is None or sha256_of(path) != made.into:
            return copy
        return replace(copy, sha256=made.into, size=made.size)
