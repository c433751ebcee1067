"""The schedules: what is done by the clock. What is done when something new is there is in `sensors.py`."""

from dagster import (
    DagsterInvalidDefinitionError,
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
)

from alumni_assets import jobs
from alumni_assets.settings import SettingsError
from alumni_assets.sheet.configuration import EVERY_QUARTER_HOUR
from alumni_assets.sheet.links import SheetSettings


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
