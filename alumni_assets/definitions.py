"""Assembles everything: assets, jobs, sensors, resources. What they do is in their own modules."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

import dagster as dg

from alumni_assets import automation, jobs, retention, schedules, sensors
from alumni_assets.assets import archive, athena, dashboard, intake, report, sheet, tables, transformation
from alumni_assets.json_logs import print_json
from alumni_assets.notifications.sensor import notifications_sensor
from alumni_assets.private_files import keep_files_private
from alumni_assets.report.sensor import report_deliveries_sensor
from alumni_assets.resources.athena import AthenaResource
from alumni_assets.resources.engine import EngineResource, GlueConfig
from alumni_assets.resources.erasure_key import ErasureKeyResource
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.notifier import NotifierResource
from alumni_assets.resources.queue import UploadQueueResource
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.settings import Settings, load_settings, prepare_lake
from alumni_assets.signs_of_life import EXECUTOR
from alumni_assets.survey_rules import load_rules


def build_defs(settings: Settings, **resources: Any) -> dg.Definitions:
    """The definitions for these settings; `resources` replace those of the same name."""
    rules = load_rules(settings.rules)
    export_sheet = schedules.export_sheet_schedule(settings.sheet, rules.time_zone)
    unhurried = 3 * settings.sensor_interval  # of sensors for what follows from an upload; each look costs something
    return dg.Definitions(
        assets=[
            sheet.sheet_answers_asset(settings.sheet, schedules.late_after(export_sheet) if settings.sheet else None),
            intake.take_in,
            transformation.transformed_survey_asset(settings.approver),
            archive.archive,
            tables.deduplicated_survey,
            tables.alumni_history,
            *tables.ANSWER_ASSETS,
            tables.published_survey,
            *([athena.athena_views] if settings.athena else []),
            dashboard.alumni_dashboard_asset(settings.dashboard_url, timedelta(days=rules.dashboard.stale_after_days)),
            *report.report_assets(settings.report),
        ],
        jobs=[
            jobs.TAKE_IN,
            jobs.APPROVE,
            jobs.ARCHIVE,
            jobs.RENEW,
            jobs.EXPORT_SHEET,
            jobs.PREPARE_REPORT,
            jobs.SEND_REPORT,
            jobs.PREPARE_AND_SEND_REPORT,
            retention.EXPIRE,
        ],
        schedules=[
            export_sheet,
            schedules.weekly_report_schedule(rules),
            schedules.retention_schedule(rules),
        ],
        sensors=[
            *sensors.uploads_sensors(settings.sensor_interval, settings.queue),
            sensors.lost_uploads_sensor(settings.sensor_interval),
            sensors.unarchived_uploads_sensor(unhurried),
            *sensors.auto_approval_sensor(unhurried, rules),
            automation.automation_sensor(unhurried),
            *notifications_sensor(unhurried, settings.notifier),
            *report_deliveries_sensor(settings.report),
            *([sensors.failed_runs_sensor(settings.sensor_interval)] if settings.logs == "json" else []),
        ],
        resources=_resources(settings) | resources,
        executor=EXECUTOR,
    )


def _resources(settings: Settings) -> dict[str, Any]:
    """The resources by the names under which assets and sensors ask for them."""
    return (
        {
            "lake": LakeResource(location=settings.lake, archive_class=settings.archive_class, roles=settings.roles),
            "survey": SurveyResource(
                rules=str(settings.rules), home=str(settings.home), memory_limit=settings.warehouse_memory
            ),
            "warehouse": WarehouseResource(home=str(settings.home), memory_limit=settings.warehouse_memory),
            "engine": EngineResource(
                name=settings.engine,
                home=str(settings.home),
                spark_master=settings.spark_master,
                spark_memory=settings.spark_memory,
                glue=GlueConfig(**asdict(settings.glue)) if settings.glue else None,
            ),
            "notifier": NotifierResource(settings.notifier),
            "erasure_key": ErasureKeyResource(settings.erasure_key),
        }
        | (
            {
                "athena": AthenaResource(
                    workgroup=settings.athena.workgroup, database=settings.athena.database, roles=settings.roles
                )
            }
            if settings.athena
            else {}
        )
        | ({"queue": UploadQueueResource(url=settings.queue.url, roles=settings.roles)} if settings.queue else {})
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions for this environment, built when Dagster asks for them and not at import.

    So this is where `dagster dev` makes the lake's folder on its first start, and where each process that works with
    the definitions learns how to print its logs, and that its files are its owner's alone.
    """
    keep_files_private()
    settings = load_settings()
    if settings.logs == "json":
        print_json()
    prepare_lake(settings)
    return build_defs(settings)
