"""Exporting: what is new in the sheet becomes an upload, whatever happens on the way.

An export with number N of a sheet is three writes and a deletion, in this order:

1. its content is put aside as `sheet/pending/<sheet>/<N>-<hash>.csv`;
2. its fact is created in the register, unless another exporter has created number N: from here on its answers count as
   exported;
3. its upload is created as `raw/sheet/<sheet>-<N>.csv`;
4. what was put aside is deleted.

Killed before 2, nothing has happened: the next export finds the same answers, if the sheet still has them, and what
was put aside goes once its number is taken, or after a day. Killed after 2, the next export finishes
3 and 4 from what was put aside, even if the answers are gone from the sheet. What was put aside under a number that
was taken with other content can never be needed, and is deleted.

N is the number after the last fact that was there before the sheet was read, and can be taken only once. So what is
written never rests on a sheet that was read before another's export: who comes second begins anew with both.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from alumni_assets import layout
from alumni_assets.resources.lake_interface import SCRATCH_LIFETIME, Lake, LakeEntry, LakeKeyError
from alumni_assets.sheet import answers
from alumni_assets.sheet.answers import SheetHeader
from alumni_assets.sheet.checkpoint import Checkpoint, Export, Found, use_checkpoint
from alumni_assets.sheet.errors import SheetError
from alumni_assets.survey.naming import upload_id
from alumni_assets.survey_rules import LimitRules

MOST_ANSWERS = 100_000  # in one upload: it is put together in memory
_ATTEMPTS = 10
_ABANDONED_AFTER = timedelta(seconds=SCRATCH_LIFETIME)


@dataclass
class Exported:
    """What an export did: `answers` were in the sheet, `new` of them were written to `uploads` (keys below raw/).

    `put_back` of the new ones had been exported before, and were edited and put back since. `finished` are uploads
    of an earlier export that was killed.
    """

    answers: int = 0
    new: int = 0
    put_back: int = 0
    uploads: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)


class _OvertakenError(Exception):
    """Another exporter has taken the number."""


@dataclass(frozen=True)
class Exporter:
    """Exports one sheet. `read` gives the sheet as CSV, as it is when it is called; `now` is in UTC."""

    lake: Lake
    home: Path
    sheet: str
    limits: LimitRules
    read: Callable[[], AbstractContextManager[BinaryIO]]
    now: Callable[[], datetime]
    most_answers: int = MOST_ANSWERS

    def export(self, accept_header: bool = False) -> Exported:
        """Write what is new as uploads.

        `accept_header` lets the sheet have other columns than at the last export. Raises `SheetError`, and has
        written nothing then but what an earlier export had left unfinished.
        """
        done = Exported()

        def export(checkpoint: Checkpoint) -> None:
            for _ in range(_ATTEMPTS):
                checkpoint.renew()
                self._finish_pending(checkpoint, done)
                try:
                    return self._export_once(checkpoint, checkpoint.next_number, accept_header, done)
                except _OvertakenError:
                    continue
            raise SheetError(
                "overtaken", "Other exporters of the same sheet are at work all the time. Stop all but one."
            )

        use_checkpoint(self.lake, self.home, self.sheet, export)
        return done

    def finish(self) -> Exported:
        """Finish what exporters that were killed have left, and delete what none will; nobody else may be at work."""
        done = Exported()

        def finish(checkpoint: Checkpoint) -> None:
            checkpoint.renew()
            self._finish_pending(checkpoint, done)

        use_checkpoint(self.lake, self.home, self.sheet, finish)
        for entry in list(self.lake.list(layout.pending_exports_folder(self.sheet))):
            self.lake.delete(entry.key)  # no fact lists its answers: they are new at the next export
        return done

    def _export_once(self, checkpoint: Checkpoint, number: int, accept_header: bool, done: Exported) -> None:
        """Read the sheet once and export what is new in it, in exports from `number` on."""
        with self.read() as content:
            header = self._header(content, checkpoint, accept_header)
            done.answers = checkpoint.compare(
                (answers.row_hash(header, cells), answers.person_hash(header, cells))
                for cells in _answers(header, content)
            )
            if not done.answers:
                raise SheetError(
                    "empty",
                    "The sheet has a header and no answers. Nothing was exported. If the form has just been opened, "
                    "its first answer mends this; else look in the sheet's version history for where they went.",
                )
            while found := self._found(checkpoint, header):
                self._write(checkpoint, number, header, found, content, done)
                number += 1
                checkpoint.renew()

    def _header(self, content: BinaryIO, checkpoint: Checkpoint, accept_header: bool) -> SheetHeader:
        content.seek(0)
        record = next(answers.read_records(content), None)
        if record is None:
            raise SheetError("empty", "The sheet is entirely empty, without even a header. Nothing was exported.")
        header = answers.read_header(record, self.limits)
        if checkpoint.titles is not None and not accept_header:
            answers.check_same_columns(header.titles, checkpoint.titles, self.limits)
        return header

    def _found(self, checkpoint: Checkpoint, header: SheetHeader) -> Found | None:
        """What is to be exported next; an empty find where only a changed header is to be noted."""
        found = checkpoint.find(self.most_answers)
        if found.positions:
            return found
        earlier = checkpoint.titles
        names = answers.column_names
        changed = earlier is not None and set(names(earlier, self.limits)) != set(header.names)
        return found if changed else None

    def _write(
        self, checkpoint: Checkpoint, number: int, header: SheetHeader, found: Found, content: BinaryIO, done: Exported
    ) -> None:
        """Write one export. Raises `_OvertakenError` when its number is taken."""
        positions = found.positions
        if not positions:
            self._enter(checkpoint, checkpoint.fact(number, found, header.titles, None, None, self.now()))
            return
        upload = answers.as_upload(header, _at(positions, _answers(header, content)))
        while checkpoint.has_content(sha256 := hashlib.sha256(upload).hexdigest()):
            # Equal content is a duplicate to the pipeline, and would change nothing. It skips blank lines.
            upload += answers.LINE_BREAK.encode()
        key, pending = layout.sheet_upload(self.sheet, number), layout.pending_export_key(self.sheet, number, sha256)
        self.lake.create_bytes(pending, upload)
        self._enter(checkpoint, checkpoint.fact(number, found, header.titles, key, sha256, self.now()))
        self._deliver(key, upload, pending)
        done.uploads.append(key)
        done.new += len(positions)
        done.put_back += len(found.put_back)

    def _enter(self, checkpoint: Checkpoint, export: Export) -> None:
        if not checkpoint.enter(export):
            raise _OvertakenError

    def _finish_pending(self, checkpoint: Checkpoint, done: Exported) -> None:
        """Finish what an exporter that was killed has left."""
        for entry in list(self.lake.list(layout.pending_exports_folder(self.sheet))):
            number = layout.number_of_pending_export(entry.key)
            if number is None:
                continue
            if number >= checkpoint.next_number:  # an exporter at work, or one that was killed before its fact
                if self._is_abandoned(entry):
                    self.lake.delete(entry.key)
                continue
            sha256 = checkpoint.sha256_of(number)
            if sha256 is None or entry.key != layout.pending_export_key(self.sheet, number, sha256):
                self.lake.delete(entry.key)
                continue
            key = layout.sheet_upload(self.sheet, number)
            try:
                content = self.lake.read_bytes(entry.key)
            except LakeKeyError:  # another exporter has just finished it
                continue
            if hashlib.sha256(content).hexdigest() != sha256:
                raise SheetError("checkpoint", f"{entry.key} in the lake is damaged. Restore it from a backup.")
            if self._deliver(key, content, entry.key):
                done.finished.append(key)

    def _is_abandoned(self, entry: LakeEntry) -> bool:
        """Whether what was put aside is so old that whoever did must be dead; the next export finds its answers."""
        return self.now() - entry.modified.replace(tzinfo=None) > _ABANDONED_AFTER

    def _deliver(self, key: str, content: bytes, pending: str) -> bool:
        """Make the upload from what was put aside, unless it was made already; returns whether it was made."""
        raw, made = layout.RAW + key, False
        if not self._was_taken_in(key, content):
            made = self.lake.create_bytes(raw, content)
            if not made and self.lake.read_bytes(raw) != content:
                raise SheetError(
                    "name_taken",
                    f"{raw} in the lake is in the way: it is not what was exported under this name. Give that file "
                    "another name.",
                )
        self.lake.delete(pending)
        return made

    def _was_taken_in(self, key: str, content: bytes) -> bool:
        """Whether the pipeline has the upload already: people may have changed the file since.

        Where it had answers of a person who was erased, it is known by its content without them.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        facts = (layout.fact_key("seen", upload_id(key, sha256)), layout.rewritten_key(sha256))
        return any(self.lake.stat(fact) is not None for fact in facts)


def _answers(header: SheetHeader, content: BinaryIO) -> Iterator[tuple[str, ...]]:
    """The answers in the sheet, in order."""
    content.seek(0)
    records = answers.read_records(content)
    next(records)
    return answers.read_answers(header, records)


def _at(positions: Sequence[int], cells: Iterator[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The answers at these positions, which count from 1."""
    wanted = iter(positions)
    position = next(wanted)
    for number, answer in enumerate(cells, start=1):
        if number == position:
            yield answer
            position = next(wanted, 0)
