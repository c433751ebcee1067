"""The weekly report: weekly_report prepares it, and mailed_report, which only a person or the policy starts, sends it.

What it says and how it is sent is in `report/`.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    Config,
    Failure,
    MaterializeResult,
    MetadataValue,
    TableRecord,
    asset,
)
from pydantic import Field

from alumni_assets import presentation
from alumni_assets.assets import common
from alumni_assets.report.configuration import ReportSettings
from alumni_assets.report.weeks import monday_of, week_of
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages.intake import utc_now

if TYPE_CHECKING:
    from alumni_assets.report.keeping import Edition, Reports
    from alumni_assets.report.sending import Outcome, Sending

WEEKLY, MAILED = "weekly_report", "mailed_report"


class WeekConfig(Config):
    """Which week a run is about."""

    week: str = Field(default="", description="Leave empty: this week. Another one is written as 2026-W48.")


def report_assets(settings: ReportSettings) -> list[AssetsDefinition]:
    """The two assets, for these receivers."""
    return [weekly_report, _mailed_report(settings)]


@asset(
    name=WEEKLY,
    deps=[AssetKey("alumni_dashboard")],
    group_name=common.PUBLICATION,
    owners=common.OWNERS,
    tags=common.TAGS,
    kinds={"html", "pdf"},
    code_version=common.CODE_VERSION,
)
def weekly_report(
    context: AssetExecutionContext, config: WeekConfig, lake: LakeResource, survey: SurveyResource
) -> MaterializeResult:
    """This week's report, prepared from what is published: HTML, plain text and a PDF, in `reports/` of the lake.

    It is the public edition: it names nobody. Preparing it sends nothing; for that, materialize mailed_report. Until it
    is sent it may be prepared again, with the figures of then; afterwards everybody of that week gets the same.
    """
    from alumni_assets.report.keeping import PDF  # what prepares imports Altair and Typst
    from alumni_assets.report.preparing import prepare

    started, rules = time.monotonic(), survey.contract().rules
    with _failures():
        done = prepare(_reports(lake, survey), _week(config, rules.time_zone), rules, utc_now())
    edition = done.edition
    if done.is_released:
        context.log.info(f"The report of {edition.week} was released already, so it stays as it is.")
    url = lake.lake(Component.NOTIFIER).url
    return MaterializeResult(
        metadata={
            "week": edition.week,
            "preview": MetadataValue.md(_preview(edition)),
            "compared_with": edition.since or "nothing: it is the first report",
            "pdf": MetadataValue.path(url(edition.key(PDF))),
            "folder": MetadataValue.path(url(edition.key("")).rstrip("/")),
            "prepared_at": f"{edition.prepared_at:%Y-%m-%d %H:%M:%S} UTC",
            "is_new": done.is_new,
            "is_released": done.is_released,
            "seconds": round(time.monotonic() - started, 3),
        }
    )


def _mailed_report(settings: ReportSettings) -> AssetsDefinition:
    @asset(
        name=MAILED,
        deps=[AssetKey(WEEKLY)],
        group_name=common.PUBLICATION,
        owners=common.OWNERS,
        tags=common.TAGS,
        kinds={"email"},
        code_version=common.CODE_VERSION,
    )
    def mailed_report(
        context: AssetExecutionContext, config: WeekConfig, lake: LakeResource, survey: SurveyResource
    ) -> MaterializeResult:
        """This week's report, sent to everybody in ALUMNI_REPORT_TO. **Materializing this sends it.**

        Look at weekly_report first: its metadata has a preview and the PDF. Each receiver gets one message a week;
        materializing this again sends it to those only who have not got it. What a mail server does not take at the
        moment is sent again by the sensor report_deliveries, for a day.
        """
        from alumni_assets.report.sending import Sender, refusals

        zone = survey.contract().rules.time_zone
        with _failures():
            sending = Sender(_reports(lake, survey), settings, zone).release(_week(config, zone))
        context.log.info(f"Messages sent now: {sending.sent} of {len(sending.outcomes)}")
        if problem := refusals([sending]):
            raise Failure(problem, metadata=_standing(sending), allow_retries=False)
        return MaterializeResult(metadata=_standing(sending))

    return mailed_report


def _reports(lake: LakeResource, survey: SurveyResource) -> "Reports":
    from alumni_assets.report.keeping import Reports

    return Reports(lake.lake(Component.NOTIFIER), Path(survey.home))


def _week(config: WeekConfig, zone: str) -> str:
    """The week that was asked for, or this one."""
    if not config.week.strip():
        return week_of(utc_now(), zone)
    try:
        monday_of(config.week.strip())
    except ValueError as error:
        raise Failure(str(error), allow_retries=False) from error
    return config.week.strip()


@contextmanager
def _failures() -> Iterator[None]:
    """What keeps a report from being prepared or sent is said in a sentence, and not tried again by itself."""
    from alumni_assets.report.keeping import ReportError

    try:
        yield
    except ReportError as error:
        raise Failure(str(error), allow_retries=False) from error


def _preview(edition: "Edition") -> str:
    """What the report says, in short."""
    since = f"Since {edition.since}:" if edition.since else "In numbers:"
    return presentation.markdown_list([(since, edition.summary), *edition.changed, *edition.headlines])


def _standing(sending: "Sending") -> dict[str, Any]:
    """How it stands with every receiver, addresses masked."""
    return {
        "week": sending.week,
        "sent_now": sending.sent,
        "sent": len(sending.having("sent")),
        "to_be_sent_again": len(sending.having("to be sent again")),
        "refused": len(sending.having("refused")),
        "receivers": MetadataValue.table(_records(sending.outcomes)),
    }


def _records(outcomes: "Sequence[Outcome]") -> list[TableRecord]:
    return [
        TableRecord({"receiver": outcome.receiver, "state": outcome.state, "reason": outcome.reason})
        for outcome in outcomes
    ]
