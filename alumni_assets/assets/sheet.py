"""sheet_answers: the new answers in the Google Sheet behind the survey's form, written as an upload to raw/.

The uploads' own way begins at raw_survey, which finds them under raw/ like any other. The two are not joined in the
graph: an upload may come from anywhere, and every look at the sheet would make all uploads look out of date.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetsDefinition,
    Config,
    Failure,
    FreshnessPolicy,
    MaterializeResult,
    MetadataValue,
    asset,
)
from pydantic import Field

from alumni_assets import layout
from alumni_assets.assets import common
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.sheet.errors import SheetError
from alumni_assets.sheet.exporting import Exported, Exporter
from alumni_assets.sheet.links import CsvLink, SheetSettings
from alumni_assets.sheet.reading import sheet_as_csv
from alumni_assets.stages.intake import utc_now

NAME = "sheet_answers"
SHEET_READABLE = "sheet_readable"
_GROUP = "0_sheet"


class ExportConfig(Config):
    """How a run exports."""

    accept_header: bool = Field(
        default=False, description="Whether the sheet may have other columns than at the last export from now on."
    )


def sheet_answers_asset(sheet: SheetSettings | None, late_after: timedelta | None) -> AssetsDefinition:
    """The asset for this sheet. Without one it is there, and says how to configure it when it is materialized.

    Dagster calls it overdue when no export came to its end for as long as `late_after`.
    """

    @asset(
        name=NAME,
        group_name=_GROUP,
        owners=common.OWNERS,
        tags=common.TAGS,
        kinds={"googlesheets"},
        code_version=common.CODE_VERSION,
        freshness_policy=FreshnessPolicy.time_window(fail_window=late_after) if late_after else None,
        check_specs=[
            AssetCheckSpec(
                SHEET_READABLE,
                asset=NAME,
                description="The whole sheet can be read, and has answers below the header that it had before.",
            )
        ],
    )
    def sheet_answers(
        context: AssetExecutionContext, config: ExportConfig, lake: LakeResource, survey: SurveyResource
    ) -> Iterator[AssetCheckResult | MaterializeResult]:
        """The answers in the survey's sheet that were not exported yet, written to raw/ as an upload.

        An answer that was edited is a new one. Without new answers nothing is written.
        """
        started = time.monotonic()
        try:
            exported = _exporter(sheet, lake, survey).export(config.accept_header)
        except SheetError as error:
            yield AssetCheckResult(
                passed=False,
                asset_key=NAME,
                check_name=SHEET_READABLE,
                description=error.message,
                metadata={"reason_code": error.code},
            )
            raise Failure(error.message, metadata={"reason_code": error.code}, allow_retries=False) from error
        context.log.info(f"{exported.answers:,} answers in the sheet, {exported.new:,} of them new")
        yield MaterializeResult(
            metadata=_metadata(exported, sheet, lake) | {"seconds": round(time.monotonic() - started, 3)},
            check_results=[
                AssetCheckResult(
                    passed=True,
                    check_name=SHEET_READABLE,
                    description=f"The whole sheet was read: {exported.answers:,} answers.",
                )
            ],
        )

    return sheet_answers


def _exporter(sheet: SheetSettings | None, lake: LakeResource, survey: SurveyResource) -> Exporter:
    if sheet is None:
        raise SheetError(
            "not_configured",
            "No sheet is configured. Set ALUMNI_SHEET_URL, or ALUMNI_SHEET_ID with a service account, and start "
            "Dagster again; docs/google-sheet.md describes both.",
        )
    home = Path(survey.home)
    return Exporter(
        lake=lake.lake(Component.UPLOADER),
        home=home,
        sheet=sheet.name,
        limits=survey.contract().rules.limits,
        read=lambda: sheet_as_csv(sheet.source, home),
        now=utc_now,
    )


def _metadata(exported: Exported, sheet: SheetSettings | None, lake: LakeResource) -> dict[str, Any]:
    assert sheet is not None
    paths = [lake.lake(Component.UPLOADER).url(layout.RAW + key) for key in (*exported.finished, *exported.uploads)]
    metadata: dict[str, Any] = {
        "answers": exported.answers,
        "new_answers": exported.new,
        "read_by": "CSV export link" if isinstance(sheet.source, CsvLink) else "Sheets API",
    }
    if paths:
        metadata["path"] = MetadataValue.path(paths[-1])
        metadata["uploads"] = MetadataValue.text(", ".join(paths))
    if exported.finished:
        metadata["uploads_finished"] = len(exported.finished)
    if exported.put_back:
        metadata["answers_put_back"] = exported.put_back
    return metadata
