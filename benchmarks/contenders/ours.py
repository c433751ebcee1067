"""The stages of one upload, from a CSV file to its archived copies, on a lake of its own.

`whole` is all that an upload goes through before the tables: pinned, judged row by row, correction files, approved,
transformed without exact duplicates, archived. `shared` is the part that other tools do too: neither a pinned copy
nor correction files nor an archive. `checked` is `whole` with what Dagster's asset checks read back from the lake.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alumni_assets import layout
from alumni_assets.contract import Contract, default_contract
from alumni_assets.register import Register
from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.stages import approval, intake
from alumni_assets.stages.archive import ArchivedFile, archive_upload, damaged_copies, seal_archive
from alumni_assets.stages.transformation import TransformedUpload, transform_upload
from alumni_assets.stages.validation import Validated, validate_upload
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.standing import Ingested, Seen, Status, Transformed

if TYPE_CHECKING:
    from alumni_assets.checks import Outcome

KEY = "survey.csv"
MEMORY_LIMIT = "500MB"  # what ALUMNI_WAREHOUSE_MEMORY is by default
_REQUEST = approval.Request(approved_by="Bench", override="measured whatever its quality")


class Upload:
    """One upload on its way. `seconds` are those of the steps so far."""

    def __init__(self, source: Path, folder: Path) -> None:
        (folder / "lake" / "raw").mkdir(parents=True)
        os.link(source, folder / "lake" / "raw" / KEY)
        self.lake = FolderLake(folder / "lake")
        self.register = Register(self.lake, folder / "home")
        self.contract: Contract = default_contract()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step."""
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 3)

    def whole(self, is_checked: bool = False) -> dict[str, int]:
        """All stages; returns what became of the rows."""
        with self.step("pin"):
            seen = intake.pin(self.lake, self.register, KEY, intake.utc_now()).seen
        judged, file_format = self._judged(seen)
        with self.step("correction files"):
            intake.write_correction_files(self.lake, seen.upload, file_format.header, self.contract, judged.invalid)
        with self.step("approve"):
            self.register.enter_ingested(_entry(seen, judged))
            decision = approval.approve(self.lake, self.register, seen.upload, _REQUEST)
        result = self._transformed(seen, decision.content)
        with self.step("archive"):
            entry = _transformed_entry(seen, result)
            self.register.enter_transformed(entry)
            folder, copies = archive_upload(self.lake, seen, entry)
            seal_archive(self.lake, seen, folder, copies)
        if is_checked:
            with self.step("checks"):
                _check(self, seen, judged, result, copies)
        return _counts(judged, result)

    def shared(self) -> dict[str, int]:
        """Read, judge, part, transform and store, and nothing else."""
        entry = self.lake.stat(layout.RAW + KEY)
        assert entry is not None
        seen = Seen("survey.csv@bench", KEY, "", entry.size, intake.utc_now())
        raw, pinned = (Path(self.lake.url(key)) for key in (entry.key, layout.pinned_key(seen.upload)))
        pinned.parent.mkdir()
        os.link(raw, pinned)
        judged, _ = self._judged(seen)
        return _counts(judged, self._transformed(seen, judged.content))

    def transformed_copy(self, upload: str) -> AbstractContextManager[Path]:
        """The stored transformed rows of an upload."""
        return self.lake.local_copy(layout.transformed_key(upload))

    def _judged(self, seen: Seen) -> tuple[Validated, FileFormat]:
        with self.step("inspect"):
            found = intake.inspect(self.lake, seen, self.contract.rules.limits)
            assert isinstance(found, FileFormat)
        with self.step("validate"):
            return validate_upload(self.lake, seen, found, self.contract, lambda *_: None), found

    def _transformed(self, seen: Seen, approved: str) -> TransformedUpload:
        with self.step("transform"):
            return transform_upload(self.lake, seen, approved, self.contract, MEMORY_LIMIT, lambda *_: None)


def _entry(seen: Seen, judged: Validated) -> Ingested:
    return Ingested(
        seen.upload,
        Status.VALIDATED,
        intake.utc_now(),
        rows=judged.rows,
        valid=judged.valid,
        invalid=judged.invalid,
        content=judged.content,
        invalid_content=judged.invalid_content,
        max_open_share=1.0,
    )


def _transformed_entry(seen: Seen, result: TransformedUpload) -> Transformed:
    now = intake.utc_now()
    return Transformed(seen.upload, result.source, result.content, result.rows, result.exact_duplicates, now)


def _check(
    upload: Upload, seen: Seen, judged: Validated, result: TransformedUpload, copies: list[ArchivedFile]
) -> None:
    from alumni_assets import checks  # imports Dagster

    outcomes = (
        checks.rows_accounted_for(upload.lake, seen.upload, judged),
        _stored(upload, seen, judged),
        checks.transformed_rows_accounted_for(upload.lake, seen.upload, result),
        checks.transformed_schema_holds(upload.lake, seen.upload, upload.contract),
        checks.copies_verified(len(copies), damaged_copies(upload.lake, copies)),
    )
    assert all(outcome.passed for outcome in outcomes)


def _stored(upload: Upload, seen: Seen, judged: Validated) -> "Outcome":
    from alumni_assets import checks
    from alumni_assets.stages.profile import profile_of

    with upload.lake.local_copy(layout.valid_key(seen.upload)) as stored:
        profile_of(stored, judged.valid, upload.contract)
        return checks.valid_schema_holds(stored)


def _counts(judged: Validated, result: TransformedUpload) -> dict[str, int]:
    return {"valid": judged.valid, "invalid": judged.invalid, "rows_out": result.rows}


def main(mode: str, source: str, folder: str) -> None:
    """Take the file `source` through the stages, in the empty folder `folder`."""
    upload = Upload(Path(source), Path(folder))
    counts = upload.shared() if mode == "shared" else upload.whole(is_checked=mode == "checked")
    sys.stdout.write(json.dumps({**counts, "seconds": upload.seconds}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
