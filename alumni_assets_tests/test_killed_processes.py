"""What a killed `alumni` command leaves behind: the next one, or the sensor, goes on without anybody's help."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from alumni_assets.contract import default_contract
from alumni_assets.instance import open_instance
from alumni_assets.one_pass import OnePass
from alumni_assets.stages import intake
from alumni_assets.survey.sampling import write_sample
from alumni_assets_tests.pipeline.answers import answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import Pipeline
from alumni_assets_tests.pipeline.test_sensors import age, runs_of, tick
from alumni_assets_tests.torture.commands import PROCESSES

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
    pipeline = Pipeline(tmp_path, instance=instance)
    age(pipeline, "big.csv")
    assert runs_of(tick(pipeline)) == []
    assert [run.status for run in instance.get_runs()] == [DagsterRunStatus.FAILURE]
    assert runs_of(tick(pipeline)) == [(["big.csv"], [])]


def die_of_the_deadly(folder: Path) -> None:
    """A process that works as `alumni run`, and that one file kills."""
    pin = intake.pin

    def pin_or_die(lake: Any, register: Any, key: str, *more: Any) -> Any:
        if key == "deadly.csv":
            os.kill(os.getpid(), signal.SIGKILL)
        return pin(lake, register, key, *more)

    os.environ |= Pipeline(folder).environment
    os.chdir(folder)
    intake.pin = pin_or_die
    with OnePass() as one_pass:
        one_pass.run(None, "")


def test_what_kills_the_process_that_takes_it_in_is_given_up_and_holds_up_no_other(
    tmp_path: Path, instance: DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    pipeline = Pipeline(tmp_path, instance=instance)
    for key, content in {"deadly.csv": answers(1), "fine.csv": answers(2)}.items():
        pipeline.put(key, csv_bytes(content))
        age(pipeline, key)
    ends = []
    for _ in range(4):
        process = PROCESSES.Process(target=die_of_the_deadly, args=(tmp_path,))
        process.start()
        process.join(120)
        ends.append((process.exitcode, sorted(seen.key for seen in pipeline.facts.seen.values())))
    assert ends == [(-signal.SIGKILL, []), *[(-signal.SIGKILL, ["fine.csv"])] * 2, (0, ["fine.csv"])]
    capfd.readouterr()
    assert runs_of(tick(pipeline)) == []
    assert "deadly.csv" in capfd.readouterr().err
