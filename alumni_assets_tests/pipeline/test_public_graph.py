"""The public graph as a snapshot: assets, checks, jobs and sensors change only on purpose."""

import subprocess
import sys

import dagster as dg
import pytest

from alumni_assets.definitions import build_defs
from alumni_assets.settings import load_settings

DEPENDENCIES: dict[str, set[str]] = {
    "sheet_answers": set(),
    "raw_survey": set(),
    "validated_survey": {"raw_survey"},
    "invalid_survey": {"raw_survey"},
    "transformed_survey": {"validated_survey"},
    "archived_survey": {"transformed_survey"},
    "deduplicated_survey": {"transformed_survey"},
    "degree_performance": {"deduplicated_survey"},
    "campus_excellence": {"deduplicated_survey"},
    "department_employment": {"deduplicated_survey"},
    "job_roles": {"deduplicated_survey"},
    "top_employees": {"deduplicated_survey"},
    "alumni_history": {"deduplicated_survey"},
    "top_employees_cut": {"top_employees"},
    "answer_trends": {"deduplicated_survey"},
    "job_moves": {"alumni_history"},
    "answer_verdicts": {
        "degree_performance",
        "campus_excellence",
        "department_employment",
        "job_roles",
        "top_employees_cut",
    },
    "published_survey": {
        "raw_survey",
        "invalid_survey",
        "deduplicated_survey",
        "alumni_history",
        "degree_performance",
        "campus_excellence",
        "department_employment",
        "job_roles",
        "top_employees",
        "top_employees_cut",
        "answer_trends",
        "job_moves",
        "answer_verdicts",
    },
    "alumni_dashboard": {"published_survey"},
    "weekly_report": {"alumni_dashboard"},
    "mailed_report": {"weekly_report"},
}
BY_UPLOAD = {"raw_survey", "validated_survey", "invalid_survey", "transformed_survey", "archived_survey"}
# Whether each check keeps what follows from being made.
CHECKS = {
    "sheet_answers:sheet_readable": False,
    "raw_survey:readable": True,
    "validated_survey:rows_accounted_for": True,
    "validated_survey:schema_holds": True,
    "validated_survey:no_drift": False,
    "invalid_survey:no_open_rows": True,
    "transformed_survey:rows_accounted_for": True,
    "transformed_survey:schema_holds": True,
    "transformed_survey:nothing_waits": False,
    "archived_survey:copies_verified": False,
    "deduplicated_survey:ids_unique": True,
    "deduplicated_survey:every_alumnus_present": True,
    "deduplicated_survey:newest_wins": True,
    "alumni_history:last_is_current": False,
    "degree_performance:reconciles": False,
    "campus_excellence:reconciles": False,
    "department_employment:reconciles": False,
    "job_roles:reconciles": False,
    "top_employees:reconciles": False,
}
JOBS = {
    "take_in_uploads",
    "approve_uploads",
    "archive_uploads",
    "renew_tables",
    "export_sheet_answers",
    "prepare_report",
    "send_report",
    "prepare_and_send_report",
    "expire_old_objects",
}
SENSORS = {"new_uploads", "lost_uploads", "unarchived_uploads", "keep_tables_current", "notifications"}
_SLOW = {"pandera", "dagster_aws", "boto3", "pandas", "pyarrow", "numpy", "scipy", "altair", "typst"}
SCHEDULES = {"export_sheet", "weekly_report", "retention"}


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    """The definitions of an environment that sets nothing."""
    return build_defs(load_settings({}))


@pytest.fixture(scope="module")
def graph(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_assets_and_what_they_depend_on(graph: dict[str, dg.AssetSpec]) -> None:
    assert {
        name: {dependency.asset_key.to_user_string() for dependency in spec.deps} for name, spec in graph.items()
    } == DEPENDENCIES


def test_assets_up_to_the_approval_are_partitioned_by_upload(graph: dict[str, dg.AssetSpec]) -> None:
    partitioned = {name for name, spec in graph.items() if spec.partitions_def is not None}
    assert partitioned == BY_UPLOAD
    assert {graph[name].partitions_def for name in BY_UPLOAD} == {dg.DynamicPartitionsDefinition(name="uploads")}


def test_only_a_person_starts_the_transformation_and_sends_the_report(graph: dict[str, dg.AssetSpec]) -> None:
    by_hand = {name for name, spec in graph.items() if spec.automation_condition is None}
    by_sensors = {"sheet_answers", "raw_survey", "validated_survey", "invalid_survey", "archived_survey"}
    assert by_hand == {*by_sensors, "transformed_survey", "weekly_report", "mailed_report"}


def test_no_sensor_and_no_schedule_starts_the_transformation(defs: dg.Definitions) -> None:
    started = {target.job_name for sensor in defs.sensors or () for target in sensor.targets}
    started |= {schedule.job_name for schedule in defs.schedules or () if isinstance(schedule, dg.ScheduleDefinition)}
    assert "take_in_uploads" in started
    assert "approve_uploads" not in started


def test_every_asset_is_described_and_has_an_owner_and_a_group(graph: dict[str, dg.AssetSpec]) -> None:
    assert [name for name, spec in graph.items() if not (spec.description and spec.owners and spec.group_name)] == []


def test_the_checks(defs: dg.Definitions) -> None:
    found = {
        f"{check.asset_key.to_user_string()}:{check.name}": check.blocking
        for assets in defs.assets or ()
        if isinstance(assets, dg.AssetsDefinition)
        for check in assets.check_specs
    }
    assert found == CHECKS


def test_the_jobs_sensors_and_schedules(defs: dg.Definitions) -> None:
    assert {job.name for job in defs.jobs or ()} == JOBS
    assert {schedule.name for schedule in defs.schedules or ()} == SCHEDULES
    assert {sensor.name for sensor in defs.sensors or ()} == SENSORS
    assert {sensor.default_status for sensor in defs.sensors or ()} == {dg.DefaultSensorStatus.RUNNING}


def test_the_definitions_can_be_loaded(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_importing_the_definitions_imports_nothing_that_is_slow() -> None:
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import alumni_assets.definitions, sys; print(*sorted({_SLOW} & set(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == []
