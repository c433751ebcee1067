"""What is fuzzed: bytes become an upload, which is judged as any other, and what the reviewer gets of it comes back.

The first byte says what is made of the others (`KINDS`), so that a fuzzer gets past the compression of .gz and .xlsx.
Everything goes through the stage functions of the pipeline, in a lake of its own. Nothing here knows of a fuzzer: that
is in `__main__.py`; where its first inputs come from, in `seeds.py`; those that are kept are run by `test_fuzzing.py`.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args
from unittest.mock import patch

import numpy as np
import pyarrow.parquet as pq

from alumni_assets import layout
from alumni_assets.contract import Contract, default_contract
from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.stages import intake
from alumni_assets.stages.corrections import validate_correction
from alumni_assets.stages.transformation import transform_upload
from alumni_assets.stages.validation import Validated, validate_upload
from alumni_assets.survey import detection
from alumni_assets.survey.cutting import CuttingError, cut_rows
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.reading import numbered_parts
from alumni_assets.survey.row_ranges import size, union
from alumni_assets.survey.standing import Facts, Ingested, Seen, Status

from ..pipeline.answers import answer, csv_bytes, gzipped, workbook
from ..pipeline.hostile_uploads import LIMITS

RECEIVED = datetime(2026, 3, 5)
MEMORY = "200MB"
Suffix = Literal["csv", "xlsx"]
TERM = "term.csv@0a1b2c3d"
"""An upload that is there already, with rows that were set aside: an input may be a correction of it."""

_PIECES = 5
SHEET, STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_WORKBOOK = workbook([["Employee_ID", "Employee_Name"], [1, "Ana Cruz"]])


def with_part(part: str, content: bytes) -> bytes:
    """A workbook of which one part has this content; nothing in it is compressed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_WORKBOOK)) as old, zipfile.ZipFile(changed, "w") as new:
        for member in old.infolist():
            new.writestr(member.filename, content if member.filename == part else old.read(member))
    return changed.getvalue()


@dataclass(frozen=True)
class Kind:
    """What is made of an input: a file of this name, with what `built` makes of the bytes."""

    name: str
    built: Callable[[bytes], bytes] = bytes


KINDS = {
    b"c": Kind("fuzzed.csv"),
    b"z": Kind("fuzzed.csv.gz"),
    b"g": Kind("fuzzed.csv.gz", gzipped),
    b"x": Kind("fuzzed.xlsx"),
    b"s": Kind("fuzzed.xlsx", lambda content: with_part(SHEET, content)),
    b"t": Kind("fuzzed.xlsx", lambda content: with_part(STRINGS, content)),
}


def upload_of(data: bytes) -> tuple[str, bytes]:
    """The file that an input stands for: its name under raw/ and its content. An unknown first byte is one of a CSV."""
    kind = KINDS.get(data[:1], KINDS[b"c"])
    return kind.name, kind.built(data[1:])


class Desk:
    """A lake in a folder with one upload whose rows wait to be corrected, and what becomes of the next one."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self.lake = FolderLake(root)
        self.contract = _contract()
        self.facts = Facts({}, {}, {}, {}, {})
        bad = [answer(1, Email="nobody"), answer(2, Performance_Rating="7"), answer(3, Employee_Name='=1+"1"')]
        self._entered(TERM, "term.csv", csv_bytes([answer(4), *bad]))

    def judge(self, data: bytes, to_the_end: bool = True) -> str:
        """Take in an input; says how it ended: `validated`, or the code of the reason why it was rejected.

        `to_the_end`: what was judged is also transformed, cut, handed out and given back, which takes ten times as
        long. AssertionError where a promise is broken; any other exception is a defect too.
        """
        name, content = upload_of(data)
        seen = self._pinned(f"{name}@fffffffe", name, content)
        found = self._taken_in(seen)
        if isinstance(found, UnreadableUploadError):
            assert found.code
            assert found.message.endswith(".")
            return found.code
        file_format, result = found
        self._assert_accounted(seen, result)
        if to_the_end:
            self._transform(seen, result)
            self._cut_out(seen)
            intake.write_correction_files(self.lake, seen.upload, file_format.header, self.contract, result.invalid)
            if result.invalid and not result.corrects:
                self._give_back(seen, result)
        return "validated"

    def _taken_in(self, seen: Seen) -> tuple[FileFormat, Validated] | UnreadableUploadError:
        file_format = intake.inspect(self.lake, seen, self.contract.rules.limits)
        if isinstance(file_format, UnreadableUploadError):
            return file_format
        self._assert_same_in_pieces(seen, file_format)
        try:
            return file_format, self._judged(seen, file_format, self.facts)
        except UnreadableUploadError as unreadable:
            return unreadable

    def _entered(self, upload: str, key: str, content: bytes) -> None:
        seen = self._pinned(upload, key, content)
        file_format = intake.inspect(self.lake, seen, self.contract.rules.limits)
        assert isinstance(file_format, FileFormat)
        self.facts = _with_upload(self.facts, seen, self._judged(seen, file_format, self.facts))

    def _pinned(self, upload: str, key: str, content: bytes) -> Seen:
        self.lake.put_bytes(layout.pinned_key(upload), content)
        return Seen(upload, key, hashlib.sha256(content).hexdigest(), len(content), RECEIVED)

    def _judged(self, seen: Seen, file_format: FileFormat, facts: Facts) -> Validated:
        if file_format.header.is_correction:
            return validate_correction(self.lake, facts, seen, file_format, self.contract, MEMORY, _silent)
        return validate_upload(self.lake, seen, file_format, self.contract, _silent)

    def _assert_same_in_pieces(self, seen: Seen, file_format: FileFormat) -> None:
        """A file gives the same rows, or reason, in whatever pieces it is read: large ones are read in several."""
        path = self._root / layout.pinned_key(seen.upload)
        whole = self._rows(path, file_format)
        with patch.object(detection, "CHUNK", 1 + seen.size // _PIECES):
            assert self._rows(path, file_format) == whole

    def _rows(self, path: Path, file_format: FileFormat) -> list[dict[str, object]] | str:
        """The rows of a file, or the code of the reason why it has none."""
        try:
            parts = numbered_parts(path, file_format, self.contract.rules.limits)
            return [row for part in parts for row in part().to_pylist()]
        except UnreadableUploadError as unreadable:
            return unreadable.code

    def _assert_accounted(self, seen: Seen, result: Validated) -> None:
        """Each row is stored once, as valid or as invalid with its problems."""
        valid = pq.read_table(self._root / layout.valid_key(seen.upload), columns=["source_row"])
        invalid = pq.read_table(self._root / layout.invalid_key(seen.upload), columns=["source_row", "problems"])
        assert result.rows == result.valid + result.invalid > 0
        assert (valid.num_rows, invalid.num_rows) == (result.valid, result.invalid)
        assert bool(result.invalid) == bool(result.reasons)
        assert all(problems for problems in invalid["problems"].to_pylist())
        if not result.corrects:
            numbers = valid["source_row"].to_pylist() + invalid["source_row"].to_pylist()
            assert len(set(numbers)) == len(numbers)
            assert min(numbers) > 0

    def _transform(self, seen: Seen, result: Validated) -> None:
        """Valid rows are transformed, or repeat another one exactly."""
        original = self.facts.seen[result.corrects] if result.corrects else None
        made = transform_upload(self.lake, seen, result.content, self.contract, MEMORY, _silent, original)
        assert made.rows + made.exact_duplicates == result.valid
        assert not (original and made.exact_duplicates)

    def _cut_out(self, seen: Seen) -> None:
        """A row can be cut out, with all others as they were, or it is said that it cannot."""
        source = self._root / layout.pinned_key(seen.upload)
        target = source.with_name("cut")
        with suppress(CuttingError):
            cut_rows(seen.key, source, np.array([1]), target, self.contract.rules.limits)

    def _give_back(self, seen: Seen, result: Validated) -> None:
        """Both correction files, given back as they are, name each row that was set aside and change none."""
        facts = _with_upload(self.facts, seen, result)
        fingerprints = set()
        for suffix in get_args(Suffix):
            content = self.lake.read_bytes(layout.correction_key(seen.upload, suffix))
            back = self._pinned(f"back.{suffix}@ffffffff", f"back.{suffix}", content)
            file_format = intake.inspect(self.lake, back, self.contract.rules.limits)
            assert isinstance(file_format, FileFormat), file_format
            found = self._judged(back, file_format, facts)
            assert (found.rows, found.strays, found.corrects) == (result.invalid, 0, seen.upload)
            assert size(union(found.mends, found.wrong)) == result.invalid
            fingerprints.add(found.fingerprint)
        assert len(fingerprints) == 1


def _contract() -> Contract:
    usual = default_contract()
    limits = usual.rules.limits.model_copy(update=LIMITS)
    return replace(usual, rules=usual.rules.model_copy(update={"limits": limits}))


def _with_upload(facts: Facts, seen: Seen, result: Validated) -> Facts:
    ingested = Ingested(
        seen.upload,
        Status.VALIDATED,
        RECEIVED,
        rows=result.rows,
        valid=result.valid,
        invalid=result.invalid,
        content=result.content,
        invalid_content=result.invalid_content,
    )
    return replace(
        facts,
        seen={**facts.seen, seen.upload: seen},
        ingested={**facts.ingested, seen.upload: ingested},
    )


def _silent(_rows: int, _seconds: float) -> None:
    pass
