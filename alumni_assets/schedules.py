"""The schedules: what is done by the clock. What is done when something new is there is in `sensors.py`."""

from datetime import UTC, timedelta

from dagster import (
    DagsterInvalidDefinitionError,
    DefaultScheduleStatus,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from alumni_assets import jobs, retention
from alumni_assets.orphaned_runs import UNFINISHED
from alumni_assets.report.weeks import week_of
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component
from alumni_assets.settings import SettingsError
from alumni_assets.sheet.configuration import EVERY_QUARTER_HOUR
from alumni_assets.sheet.links import SheetSettings
from alumni_assets.survey_rules import SurveyRules, SurveyRulesError


def export_sheet_schedule(sheet: SheetSettings | None, time_zone: str) -> ScheduleDefinition:
    """Exports the sheet's new answers; off, and of no effect, while no sheet is configured.

    Raises `SettingsError` for a cron expression that means nothing.
    """

    def export(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        return RunRequest() if sheet else SkipReason("No sheet is configured: see docs/google-sheet.md.")

    try:
        return ScheduleDefinition(
            name="export_sheet",
            job=jobs.EXPORT_SHEET,
            cron_schedule=sheet.cron if sheet else EVERY_QUARTER_HOUR,
            execution_timezone=time_zone,
            execution_fn=export,
            default_status=DefaultScheduleStatus.RUNNING if sheet else DefaultScheduleStatus.STOPPED,
            description="Writes new answers in the survey's Google Sheet to raw/. On once a sheet is configured.",
        )
    except DagsterInvalidDefinitionError as error:
        raise SettingsError(
            f"ALUMNI_SHEET_CRON is {sheet.cron if sheet else ''!r}; it takes five fields such as */15 * * * *, in "
            f"{time_zone}."
        ) from error


def late_after(schedule: ScheduleDefinition) -> timedelta:
    """How long nothing may come of a schedule before it counts as late: four times its interval, at least a day.

    A computer that is off at night, and an outage that mends itself, are no news.
    """
    from dagster._utils.schedules import get_smallest_cron_interval  # not promised; of Dagster's own freshness policies

    assert isinstance(schedule.cron_schedule, str)
    return max(timedelta(days=1), 4 * get_smallest_cron_interval(schedule.cron_schedule))


def weekly_report_schedule(rules: SurveyRules) -> ScheduleDefinition:
    """Prepares the weekly report, and sends it where no person has to; nothing while nothing is published.

    Raises `SurveyRulesError` for a cron expression that means nothing.
    """
    is_sent = rules.report_approval == "auto"

    def prepare(context: ScheduleEvaluationContext, lake: LakeResource) -> RunRequest | SkipReason:
        from alumni_assets.dashboard.keeping import STATE_KEY  # imports Altair

        if lake.lake(Component.NOTIFIER).stat(STATE_KEY) is None:
            return SkipReason("Nothing is published yet, so there is nothing to report.")
        # The week is that of the appointed time: a run may start later, and another week may have begun by then.
        when = context.scheduled_execution_time.astimezone(UTC).replace(tzinfo=None)
        return RunRequest(run_config=jobs.report_config(week_of(when, rules.time_zone), is_sent))

    try:
        return schedule(
            name="weekly_report",
            job=jobs.PREPARE_AND_SEND_REPORT if is_sent else jobs.PREPARE_REPORT,
            cron_schedule=rules.report.schedule,
            execution_timezone=rules.time_zone,
            default_status=DefaultScheduleStatus.RUNNING,
            description="Prepares the weekly report. It is sent when a person materializes mailed_report, or at once "
            "where the survey's configuration has report_approval: auto.",
        )(prepare)
    except DagsterInvalidDefinitionError as error:
        raise SurveyRulesError(
            f"report.schedule of the survey's configuration is {rules.report.schedule!r}; it takes minute, hour, day, "
            f"month and weekday, such as 0 8 * * 1, in {rules.time_zone}."
        ) from error


def retention_schedule(rules: SurveyRules) -> ScheduleDefinition:
    """Deletes what is old and no longer needed; off, and of no effect, while nothing has an age.

    Raises `SurveyRulesError` for a cron expression that means nothing.
    """
    ages = rules.retention

    def expire(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        if not ages.is_on:
            return SkipReason("Nothing has an age: see retention in the survey's configuration.")
        if context.instance.get_run_ids(RunsFilter(statuses=UNFINISHED), limit=1):
            return SkipReason(
                "Runs are under way; nothing is deleted beside them. It is looked at again the next time."
            )
        return RunRequest()

    try:
        return ScheduleDefinition(
            name="retention",
            job=retention.EXPIRE,
            cron_schedule=ages.schedule,
            execution_timezone=rules.time_zone,
            execution_fn=expire,
            default_status=DefaultScheduleStatus.RUNNING if ages.is_on else DefaultScheduleStatus.STOPPED,
            description="Deletes what is older than the survey's configuration says, and no longer needed. On once "
            "something has an age there.",
        )
    except DagsterInvalidDefinitionError as error:
        raise SurveyRulesError(
            f"retention.schedule of the survey's configuration is {ages.schedule!r}; it takes minute, hour, day, month "
            f"and weekday, such as 30 3 * * *, in {rules.time_zone}."
        ) from error
