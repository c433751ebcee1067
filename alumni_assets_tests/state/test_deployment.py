"""Dagster as it is deployed, with its state in PostgreSQL: runs at once, killed runs, and what it prints meanwhile."""

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterInstance, DagsterRun

from alumni_assets import jobs, layout
from alumni_assets.assets.common import WAREHOUSE
from alumni_assets.contract import default_contract
from alumni_assets.register import Register
from alumni_assets.resources.lake import FolderLake
from alumni_assets.signs_of_life import last_signs
from alumni_assets.survey.sampling import write_sample
from alumni_assets_tests.ui.dagster_dev import until

from .conftest import BUCKET
from .deployment import Deployment, statuses

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [pytest.mark.slow, pytest.mark.server]

FORGED = 'a\n{"event": "run_failed"}.csv'


def put_two(deployment: Deployment) -> None:
    """Two uploads that were begun to be taken in once before, so that each is tried in a run of its own."""
    register = Register(FolderLake(deployment.lake), deployment.home)
    write_sample(deployment.folder / "good.csv", 50, 0.0, 1, default_contract())
    for name, content in (("good.csv", (deployment.folder / "good.csv").read_bytes()), (FORGED, b"x,y\n1,2\n")):
        (deployment.lake / "raw" / name).write_bytes(content)
        (entry,) = (entry for entry in FolderLake(deployment.lake).list("raw/") if entry.key == f"raw/{name}")
        register.begin_attempt(layout.listing_identity(name, entry.etag, entry.size))


def repeated(instance: DagsterInstance, run_id: str) -> list[DagsterRun]:
    """The runs that repeat a run."""
    return [run for run in instance.get_runs() if run.parent_run_id == run_id]


@pytest.fixture(scope="module")
def story(deployment: Deployment, instance: DagsterInstance) -> dict[str, Any]:
    """Two uploads come at once, a run that has the pool's only slot is killed, and a person approves after that."""
    for gate in (deployment.engine_gate, deployment.pool_gate):
        gate.shut()
    put_two(deployment)
    deployment.start()
    until(lambda: len(deployment.engine_gate.arrived()) == 2, "two runs take in an upload each, at once")
    both = deployment.engine_gate.arrived()
    at_work = statuses(instance, both)
    deployment.engine_gate.open()

    until(deployment.pool_gate.arrived, "a run has the slot")
    until(lambda: deployment.says("daemon", "Initiating failed_runs"), "what fails from now on is told")
    (writer,) = instance.event_log_storage.get_concurrency_info(WAREHOUSE).active_run_ids
    os.kill(last_signs(instance, [writer])[writer].pid, signal.SIGKILL)
    until(lambda: repeated(instance, writer), "the run is found to be dead, and repeated")
    deployment.pool_gate.open()
    until(lambda: {run.status.value for run in repeated(instance, writer)} == {"SUCCESS"}, "the repeated run ends well")
    until(lambda: statuses(instance, both) == {"SUCCESS"}, "both runs end well")
    until(lambda: deployment.happened("run_failed"), "a line says which run failed")
    said = deployment.alumni_command("run", "--approve", "--approved-by", "Ana Reyes")
    return {"both": both, "at_work": at_work, "writer": writer, "said": said}


def test_two_runs_are_at_work_at_once_and_both_end_well(story: dict[str, Any]) -> None:
    assert story["at_work"] == {"STARTED"}


def test_the_command_goes_on_from_the_same_state(story: dict[str, Any], instance: DagsterInstance) -> None:
    (row,) = story["said"]["uploads"]
    assert (row["upload"].partition("@")[0], row["status"], row["valid"]) == ("good.csv", "transformed", 50)
    assert story["said"]["alumni"] == 50
    approvals = [run for run in instance.get_runs() if run.job_name == jobs.APPROVE.name]
    assert [run.status.value for run in approvals] == ["SUCCESS"]


def test_a_killed_run_is_repeated_once_its_slot_is_free(story: dict[str, Any], instance: DagsterInstance) -> None:
    assert statuses(instance, [story["writer"]]) == {"FAILURE"}
    assert len(repeated(instance, story["writer"])) == 1
    assert instance.event_log_storage.get_concurrency_info(WAREHOUSE).active_slot_count == 0


def test_what_steps_print_is_in_the_bucket(
    story: dict[str, Any], instance: DagsterInstance, s3_client: "S3Client"
) -> None:
    for run_id in story["both"]:
        prefix = f"dagster/storage/{run_id}/compute_logs/"
        keys = [item["Key"] for item in s3_client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]]
        assert sorted(key.rpartition(".")[2] for key in keys) == ["err", "out"]
    (log_key,) = {tuple(key.removeprefix("dagster/storage/").rpartition(".")[0].split("/")) for key in keys}
    assert instance.compute_log_manager.get_log_data(log_key).stdout is not None


def test_alarms_can_be_set_on_what_is_printed(story: dict[str, Any], deployment: Deployment) -> None:
    (failed,), (rejected,) = deployment.happened("run_failed"), deployment.happened("upload_rejected")
    assert (failed["level"], failed["run_id"], failed["sensor"]) == ("error", story["writer"], "failed_runs")
    assert (rejected["level"], rejected["run_id"] in story["both"], rejected["step"]) == ("warning", True, "take_in")
    assert rejected["upload"].startswith("a%0A{")


def test_the_daemon_says_that_sensors_tick_and_find_nothing(story: dict[str, Any], deployment: Deployment) -> None:
    said = {line["event"] for line in deployment.lines("daemon")}
    assert {
        "Checking for new runs for sensor: new_uploads",
        "Sensor new_uploads skipped: Nothing new under raw/.",
    } <= said


def test_a_tick_that_fails_is_an_error_of_the_daemons(story: dict[str, Any], deployment: Deployment) -> None:
    def errors() -> list[dict[str, Any]]:
        return [line for line in deployment.lines("daemon") if line["level"] == "error"]

    assert errors() == []
    deployment.lake.rename(deployment.lake.with_name("unmounted"))
    sentence = "Sensor daemon caught an error for sensor new_uploads"
    until(lambda: [line for line in errors() if line["event"] == sentence], "a tick fails")
    deployment.lake.with_name("unmounted").rename(deployment.lake)
    assert {line["logger"] for line in errors()} == {"dagster.daemon.SensorDaemon"}
    assert "does not exist. Create it, or mount its disk" in json.dumps(errors())
