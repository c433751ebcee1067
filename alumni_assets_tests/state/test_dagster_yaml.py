"""The shipped dagster.yaml: what it has in common with the one for a laptop, and what only a deployment has."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickStatus
from dagster_aws.s3 import S3ComputeLogManager
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from alumni_assets import instance as own_instances
from alumni_assets import jobs
from alumni_assets.assets.common import WAREHOUSE
from alumni_assets.definitions import build_defs
from alumni_assets.settings import load_settings

from .deployment import PROJECT, SHIPPED
from .postgres import Postgres

LAPTOP = PROJECT / "dagster.yaml"
_PLACES = {"storage", "compute_logs", "local_artifact_storage"}
# What a deployment has besides, section by section.
_MORE: dict[str, set[str]] = {
    "concurrency": {"pools"},
    "run_coordinator": {"max_user_code_failure_retries", "user_code_failure_retry_delay"},
    "run_retries": {"enabled", "max_retries", "retry_on_asset_or_op_failure"},
    "retention": {"schedule", "sensor", "auto_materialize"},
}


def settings_of(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: section.get("config", section) for name, section in found.items() if name not in _PLACES}


def test_a_deployment_runs_as_a_laptop_does_but_for_what_is_listed_here() -> None:
    shipped = settings_of(SHIPPED)
    for name, more in _MORE.items():
        assert more <= shipped[name].keys()
        shipped[name] = {key: value for key, value in shipped[name].items() if key not in more}
    assert {name: section for name, section in shipped.items() if section} == settings_of(LAPTOP)


def test_an_instance_of_the_command_alone_runs_as_a_laptop_does(tmp_path: Path) -> None:
    with own_instances.open_instance(tmp_path / "home", None, tmp_path):
        assert settings_of(tmp_path / "home" / "dagster" / "dagster.yaml") == settings_of(LAPTOP)


def test_a_process_that_dies_while_it_writes_the_settings_leaves_no_half_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(own_instances, "_SETTINGS", None)  # which cannot be written
        with pytest.raises(TypeError):
            own_instances.open_instance(tmp_path / "home", None, tmp_path)
    with own_instances.open_instance(tmp_path / "home", None, tmp_path):
        assert settings_of(tmp_path / "home" / "dagster" / "dagster.yaml") == settings_of(LAPTOP)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[DagsterInstance]:
    """The instance that the shipped file makes."""
    home = tmp_path_factory.mktemp("shipped")
    (home / "dagster.yaml").write_bytes(SHIPPED.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with DagsterInstance.from_config(str(home)) as opened:
            yield opened


@pytest.mark.server
def test_dagster_reads_it_as_it_is_meant(shipped: DagsterInstance) -> None:
    assert isinstance(shipped.compute_log_manager, S3ComputeLogManager)
    assert (shipped.telemetry_enabled, shipped.nux_enabled) == (False, False)
    assert shipped.global_op_concurrency_default_limit == 1
    assert shipped.run_monitoring_settings["free_slots_after_run_end_seconds"] == 60
    assert (shipped.run_retries_enabled, shipped.run_retries_max_retries) == (True, 1)
    assert not shipped.run_retries_retry_on_asset_or_op_failure
    kept = {kind: shipped.get_tick_retention_settings(kind) for kind in InstigatorType}
    assert kept[InstigatorType.SENSOR][TickStatus.SKIPPED] == 2
    assert kept[InstigatorType.SCHEDULE][TickStatus.SUCCESS] == 90
    assert all(days > 0 for settings in kept.values() for days in settings.values())


@pytest.mark.server
def test_the_database_is_spoken_to_over_tls_and_only_with_the_server_that_is_meant(
    postgres: Postgres, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    engine = create_engine(pg_url_from_config(_resolved(environment)), poolclass=NullPool)
    with engine.connect() as connection:
        spoken = connection.execute(text("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).scalar()
    assert spoken == "TLSv1.3"
    monkeypatch.setenv("PGSSLROOTCERT", str(postgres.other_authority))
    with pytest.raises(OperationalError, match="certificate verify failed"):
        engine.connect()


@pytest.mark.slow
@pytest.mark.server
def test_a_database_that_refuses_the_password_is_told_by_the_command_and_the_password_is_not(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "dagster.yaml").write_bytes(SHIPPED.read_bytes())
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ALUMNI_", "DAGSTER_"))}
    secret = {"DAGSTER_POSTGRES_PASSWORD": "canary-of-the-database", "DAGSTER_HOME": str(tmp_path)}
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("alumni")), "status"],
        cwd=tmp_path,
        env=others | environment | secret,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "database does not let us in: " in ended.stderr
    assert (
        f'user "{environment["DAGSTER_POSTGRES_USER"]}". Check the storage in {tmp_path}/dagster.yaml' in ended.stderr
    )
    assert "Traceback" not in ended.stderr
    kept = [path.read_text("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert "canary" not in "".join([ended.stderr, *kept])


def _resolved(environment: dict[str, str]) -> dict[str, Any]:
    """The storage's settings with the values of the environment."""
    database = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["storage"]["postgres"]["postgres_db"]
    return {
        "postgres_db": {
            key: environment[value["env"]] if isinstance(value, dict) and "env" in value else value
            for key, value in database.items()
        }
    }


def test_whatever_writes_the_warehouse_or_publishes_takes_a_slot_of_the_pool(tmp_path: Path) -> None:
    (tmp_path / "lake" / "raw").mkdir(parents=True)
    defs = build_defs(load_settings({"ALUMNI_LAKE": str(tmp_path / "lake"), "ALUMNI_HOME": str(tmp_path)}))
    renew = defs.resolve_job_def(jobs.RENEW.name)
    assert {node.definition.pool for node in renew.nodes if isinstance(node.definition, dg.OpDefinition)} == {WAREHOUSE}
