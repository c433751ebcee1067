"""What Dagster is told of an upload's rows that were set aside, each time that something becomes of them.

What has become of them is in `survey/quarantine.py`, the words are in `checks.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagster import AssetCheckEvaluation, AssetCheckKey, AssetExecutionContext, AssetKey, MetadataValue

from alumni_assets import checks, layout, presentation, reporting
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.intake import utc_now
from alumni_assets.survey.quarantine import Quarantine, SetAside, corrections_by_upload
from alumni_assets.survey.standing import NO_OPEN_ROWS, Facts, Ingested, Status, standings_of

if TYPE_CHECKING:
    from alumni_assets.stages.quarantine import OpenRows
    from alumni_assets.stages.validation import Validated

INVALID = AssetKey("invalid_survey")
OPEN_ROWS_CHECK = AssetCheckKey(INVALID, NO_OPEN_ROWS)
"""Its result for an upload is reported anew whenever a row of it was corrected or waived, or fell with it."""


@dataclass(frozen=True)
class SetAsideState:
    """What is to be told of one upload's rows. `judged` is there where the upload was judged just now.

    `still_wrong` counts the rows that came back wrong in a correction and are open under the upload that it corrects.
    """

    ingested: Ingested
    found: SetAside | None
    still_wrong: int
    rows: "OpenRows"
    judged: "Validated | None"
    path: str
    files: checks.CorrectionFiles

    def materialization(self) -> Any:
        """The event that says that the rows were set aside, and what has become of them."""
        found = self.found
        lives = {"open": found.open, "resolved": found.resolved, "waived": found.waived} if found else {}
        files = {"correction_file": MetadataValue.path(self.files.workbook)} if self.ingested.invalid else {}
        return reporting.report_materialization(
            INVALID,
            self.ingested.upload,
            lives
            | files
            | ({"open_reasons": presentation.reason_counts(self.rows.reasons)} if self.rows.reasons else {})
            | {"path": MetadataValue.path(self.path), "dagster/row_count": self.ingested.invalid or 0}
            | (presentation.speed(self.judged.invalid, self.judged.seconds) if self.judged else {}),
            data_version=self.ingested.invalid_content,
        )

    def check(self, context: AssetExecutionContext) -> Iterator[AssetCheckEvaluation]:
        """The event that says how `no_open_rows` ended; yield it after the materialization, where there is one."""
        outcome = checks.no_open_rows(self.ingested, self.found, self.still_wrong, self.rows, self.files)
        return reporting.report_checks(context, self.ingested.upload, {OPEN_ROWS_CHECK: outcome})


def set_aside_state(
    lake: Lake, facts: Facts, upload: str, memory_limit: str, judged: "Validated | None" = None
) -> SetAsideState:
    """The state of the rows of a validated upload that were set aside; `memory_limit` bounds DuckDB."""
    from alumni_assets.stages.quarantine import open_rows, rows_still_wrong  # imports Arrow

    ingested, found, still_wrong, rows = facts.ingested[upload], None, 0, None
    if ingested.invalid:
        original = ingested.corrects or upload
        concerned = [upload, original, *corrections_by_upload(facts).get(original, ())]
        quarantine = Quarantine(facts, standings_of(facts, concerned))
        found = quarantine.of(upload)
        if ingested.corrects and judged is None:
            rows = rows_still_wrong(lake, quarantine.of(original), found, upload, utc_now(), memory_limit)
        still_wrong = quarantine.still_wrong(upload) if ingested.corrects else 0
    return SetAsideState(
        ingested=ingested,
        found=found,
        still_wrong=still_wrong,
        rows=rows or open_rows(lake, found, judged, utc_now(), memory_limit),
        judged=judged,
        path=lake.url(layout.invalid_key(upload)),
        files=checks.CorrectionFiles(
            lake.url(layout.correction_key(upload, "xlsx")), lake.url(layout.correction_key(upload, "csv"))
        ),
    )


def corrections_to_report(facts: Facts, upload: str) -> list[str]:
    """The corrections of an upload of whose rows something may have become when something has of the upload's."""
    corrections = corrections_by_upload(facts).get(upload, ())
    return [
        some for some in corrections if facts.ingested[some].outcome == Status.VALIDATED and facts.ingested[some].wrong
    ]
