"""What Dagster is told of an upload that is taken in: its materializations and how its checks ended.

What is done with it is in `intake.py`, the words are in `checks.py` and `presentation.py`, and what is told of rows
that were set aside is in `set_aside.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagster import AssetCheckKey, AssetExecutionContext, AssetKey, AssetMaterialization, MetadataValue

from alumni_assets import checks, layout, presentation, reporting
from alumni_assets.assets.set_aside import SetAsideState, corrections_to_report, set_aside_state
from alumni_assets.register import Register
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages import intake
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.standing import (
    NO_DRIFT,
    READABLE,
    ROWS_ACCOUNTED_FOR,
    SCHEMA_HOLDS,
    Ingested,
    Seen,
    Status,
)

if TYPE_CHECKING:
    from alumni_assets.stages.validation import Validated

RAW, VALID = AssetKey("raw_survey"), AssetKey("validated_survey")
READABLE_CHECK = AssetCheckKey(RAW, READABLE)
ACCOUNTED_CHECK = AssetCheckKey(VALID, ROWS_ACCOUNTED_FOR)
SCHEMA_CHECK = AssetCheckKey(VALID, SCHEMA_HOLDS)
DRIFT_CHECK = AssetCheckKey(VALID, NO_DRIFT)
Events = Iterator[Any]


@dataclass(frozen=True)
class IntakeEvents:
    """The events of one run, which judges by the contract with that hash.

    `memory_limit` bounds DuckDB where rows that were set aside are looked at.
    """

    context: AssetExecutionContext
    lake: Lake
    register: Register
    contract: str
    memory_limit: str

    def duplicate(self, seen: Seen, repeated: Ingested) -> AssetMaterialization:
        """Of an upload that only repeats another."""
        return self._raw(seen, {"status": "duplicate", "note": repeated.reason})

    def rejected(self, seen: Seen, unreadable: UnreadableUploadError) -> Events:
        """Of an upload that cannot be read."""
        yield self._raw(seen, {"status": "rejected", "reason": unreadable.message})
        yield from self._checks(seen, {READABLE_CHECK: checks.readable(unreadable)})

    def validated(
        self,
        seen: Seen,
        file_format: FileFormat,
        result: "Validated",
        outcomes: Mapping[AssetCheckKey, checks.Outcome],
    ) -> Events:
        """Of an upload that was judged just now and entered in the register."""
        yield self._raw(
            seen,
            dict(intake.preview_of_format(file_format))
            | {"header": presentation.shown(" | ".join(file_format.header.titles)), "rows": result.rows}
            | ({"corrects": presentation.shown(result.corrects)} if result.corrects else {})
            | _only_filled(preview=presentation.preview(result.preview)),
        )
        yield reporting.report_materialization(
            VALID,
            seen.upload,
            presentation.speed(result.valid, result.seconds)
            | {"path": MetadataValue.path(self.lake.url(layout.valid_key(seen.upload)))}
            | {"contract": self.contract, "dagster/row_count": result.valid}
            | _only_filled(preview=presentation.preview(result.preview)),
            data_version=result.content,
        )
        set_aside = self._set_aside(seen.upload, result)
        yield set_aside.materialization()
        yield from self._checks(seen, outcomes)
        yield from set_aside.check(self.context)

    def before(self, seen: Seen, ingested: Ingested) -> Events:
        """Of an upload that was taken in before, what the register knows."""
        yield self._raw(seen, {"status": ingested.outcome, "rows": ingested.rows or 0})
        if ingested.outcome == Status.REJECTED:
            unreadable = UnreadableUploadError(ingested.code, ingested.reason)
            yield from self._checks(seen, {READABLE_CHECK: checks.readable(unreadable)})
        if ingested.outcome != Status.VALIDATED:
            return
        yield reporting.report_materialization(
            VALID,
            seen.upload,
            {
                "path": MetadataValue.path(self.lake.url(layout.valid_key(seen.upload))),
                "rows": ingested.valid,
                "contract": ingested.contract,
            },
            data_version=ingested.content,
        )
        set_aside = self._set_aside(seen.upload)
        yield set_aside.materialization()
        as_judged = {
            check: checks.Outcome(check.name not in ingested.failed_checks, "As it was when the upload was judged.")
            for check in (READABLE_CHECK, ACCOUNTED_CHECK, SCHEMA_CHECK)
        }
        yield from self._checks(seen, {**as_judged, DRIFT_CHECK: checks.drift_when_judged(ingested)})
        yield from set_aside.check(self.context)
        yield from self.corrected(seen.upload, ingested.corrects)

    def corrected(self, correction: str, upload: str) -> Events:
        """Report the upload that a correction corrects, and its other corrections; nothing for one that is none."""
        if not upload:
            return
        original = self._set_aside(upload)
        yield original.materialization()
        yield from original.check(self.context)
        others = corrections_to_report(self.register.facts(intake.RECENT_SECONDS), upload)
        for other in others:
            if other != correction:
                yield from self._set_aside(other).check(self.context)

    def _set_aside(self, upload: str, judged: "Validated | None" = None) -> SetAsideState:
        facts = self.register.facts(intake.RECENT_SECONDS)
        return set_aside_state(self.lake, facts, upload, self.memory_limit, judged)

    def _raw(self, seen: Seen, more: dict[str, Any]) -> AssetMaterialization:
        path = MetadataValue.path(self.lake.url(layout.pinned_key(seen.upload)))
        return reporting.report_materialization(
            RAW, seen.upload, {**presentation.origin(seen), "path": path, **more}, data_version=seen.sha256
        )

    def _checks(self, seen: Seen, outcomes: Mapping[AssetCheckKey, checks.Outcome]) -> Events:
        return reporting.report_checks(self.context, seen.upload, outcomes)


def _only_filled(**metadata: MetadataValue | None) -> dict[str, MetadataValue]:
    return {name: value for name, value in metadata.items() if value is not None}
