"""What a killed `alumni` command leaves behind: the next one, or the sensor, goes on without anybody's help."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from alumni_assets.contract import default_contract
from alumni_assets.instance import open_instance
from alumni_assets.orphaned_runs import end_orphaned_runs
from alumni_assets.survey.sampling import write_sample

pytestmark = pytest.mark.slow
ALUMNI = str(Path(sys.executable).with_name("alumni"))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "lake" / "raw").mkdir(parents=True)
    write_sample(tmp_path / "lake" / "raw" / "big.csv", 150_000, 0.01, 1, default_contract())
    places = {"ALUMNI_LAKE": str(tmp_path / "lake"), "ALUMNI_HOME": str(tmp_path / "home")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALUMNI_", "DAGSTER_"))}
    return kept | places


@pytest.fixture
def killed(environment: dict[str, str], tmp_path: Path) -> None:
    """A command that was killed while its run was taking in the upload."""
    process = subprocess.Popen([ALUMNI, "run"], env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)
    attempts = tmp_path / "lake" / "register" / "attempts"
    deadline = time.monotonic() + 60
    while not any(attempts.glob("*/*.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    with open_instance(tmp_path / "home", None, tmp_path) as opened:
        yield opened


@pytest.mark.usefixtures("killed")
def test_the_next_command_takes_in_what_the_killed_one_did_not(
    environment: dict[str, str], tmp_path: Path, instance: DagsterInstance
) -> None:
    assert [run.status for run in instance.get_runs()] == [DagsterRunStatus.STARTED]
    done = subprocess.run(
        [ALUMNI, "run", "--json"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [(row["status"], row["rows"]) for row in json.loads(done.stdout)["uploads"]] == [("validated", 150_000)]
    statuses = {run.status for run in instance.get_runs()}
    assert statuses == {DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS}
    assert not any((tmp_path / "lake" / "register" / "attempts").glob("*/*.json"))


@pytest.mark.usefixtures("killed")
def test_a_sensor_ends_the_run_of_a_killed_command(tmp_path: Path, instance: DagsterInstance) -> None:
    end_orphaned_runs(tmp_path / "home", instance)
    assert [run.status for run in instance.get_runs()] == [DagsterRunStatus.FAILURE]
