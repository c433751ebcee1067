"""Which runs are taken for dead: by their process where it can be asked after, and by their silence elsewhere."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.storage.tags import MAX_RETRIES_TAG
from dagster._core.utils import make_new_run_id

from alumni_assets import orphaned_runs, signs_of_life
from alumni_assets.instance import open_instance
from alumni_assets.orphaned_runs import COMMAND_TAGS, command_at_work, end_orphaned_runs, is_retried
from alumni_assets.signs_of_life import SILENT_AFTER, give_sign, giving_signs, last_signs
from alumni_assets.stages.intake import utc_now

FAILED, STARTED = DagsterRunStatus.FAILURE, DagsterRunStatus.STARTED


@dg.job
def nothing() -> None:
    """A job whose runs are only on record here."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    retries = "run_retries:\n  enabled: true\n  max_retries: 1\ntelemetry:\n  enabled: false\n"
    (tmp_path / "dagster" / "dagster.yaml").write_text(retries)
    with open_instance(tmp_path, None, tmp_path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no process of Dagster's to wait for."""
    monkeypatch.setattr(orphaned_runs, "_SERVER_SECONDS", 0)


def begin(instance: DagsterInstance, **tags: str) -> str:
    return instance.create_run_for_job(nothing, run_id=make_new_run_id(), status=STARTED, tags=tags).run_id


def ended(tmp_path: Path, instance: DagsterInstance) -> list[str]:
    return [run.run_id for run in end_orphaned_runs(tmp_path, instance)]


@pytest.fixture
def elsewhere(instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, timedelta], None]:
    """Gives the sign of a run in another container, that long ago; its process has a number that nobody has here."""

    def give(run_id: str, ago: timedelta) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(signs_of_life, "here", lambda: "another container")
            patch.setattr(signs_of_life, "utc_now", lambda: utc_now() - ago)
            give_sign_of_the_dead(instance, run_id)

    return give


def give_sign_of_the_dead(instance: DagsterInstance, run_id: str) -> None:
    """Give a sign as a process that has ended since."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: process.pid)
        give_sign(instance, run_id)


def test_a_run_of_a_living_process_is_left_alone(tmp_path: Path, instance: DagsterInstance) -> None:
    give_sign(instance, begin(instance))
    assert ended(tmp_path, instance) == []


def test_a_run_whose_process_is_gone_is_ended(tmp_path: Path, instance: DagsterInstance) -> None:
    run_id = begin(instance)
    give_sign_of_the_dead(instance, run_id)
    (run,) = end_orphaned_runs(tmp_path, instance)
    assert (run.run_id, run.status, is_retried(run)) == (run_id, FAILED, True)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="when a process began is asked of Linux")
def test_a_run_is_ended_whose_process_is_gone_and_another_has_its_number(
    tmp_path: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container that is started again numbers begin anew."""
    run_id = begin(instance)
    with monkeypatch.context() as earlier:
        earlier.setattr(signs_of_life, "born", lambda _: "1")
        give_sign(instance, run_id)
    assert ended(tmp_path, instance) == [run_id]


def test_a_run_in_another_container_lives_whatever_its_process_is_called_here(
    tmp_path: Path, instance: DagsterInstance, elsewhere: Callable[[str, timedelta], None]
) -> None:
    elsewhere(begin(instance), SILENT_AFTER - timedelta(minutes=1))
    elsewhere(begin(instance, **COMMAND_TAGS), SILENT_AFTER - timedelta(minutes=1))
    assert ended(tmp_path, instance) == []
    with command_at_work(tmp_path, instance):
        assert {run.status for run in instance.get_runs()} == {STARTED}


def test_a_run_elsewhere_that_is_silent_for_long_is_ended(
    tmp_path: Path, instance: DagsterInstance, elsewhere: Callable[[str, timedelta], None]
) -> None:
    launched, of_command = begin(instance), begin(instance, **COMMAND_TAGS, **{MAX_RETRIES_TAG: "0"})
    for run_id in (launched, of_command):
        elsewhere(run_id, SILENT_AFTER + timedelta(minutes=1))
    dead = {run.run_id: is_retried(run) for run in end_orphaned_runs(tmp_path, instance)}
    assert dead == {launched: True, of_command: False}


def test_a_command_ends_what_a_killed_one_left_here_and_what_is_silent_elsewhere(
    tmp_path: Path, instance: DagsterInstance, elsewhere: Callable[[str, timedelta], None]
) -> None:
    here, silent = begin(instance, **COMMAND_TAGS), begin(instance, **COMMAND_TAGS)
    give_sign(instance, here)
    elsewhere(silent, SILENT_AFTER + timedelta(minutes=1))
    with command_at_work(tmp_path, instance):
        assert {run.status for run in instance.get_runs()} == {FAILED}


def test_a_run_that_has_not_given_a_sign_yet_is_left_to_dagsters_monitoring(
    tmp_path: Path, instance: DagsterInstance
) -> None:
    begin(instance)
    begin(instance, **COMMAND_TAGS)
    assert ended(tmp_path, instance) == []


def test_a_run_that_ends_well_while_it_is_looked_at_stays_so(
    tmp_path: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin(instance)
    give_sign_of_the_dead(instance, run_id)
    looked_at = instance.get_runs()
    instance.report_dagster_event(dg.DagsterEvent("PIPELINE_SUCCESS", "nothing"), run_id)
    monkeypatch.setattr(orphaned_runs, "_launched_runs", lambda _: looked_at)
    assert ended(tmp_path, instance) == []
    assert [run.status for run in instance.get_runs()] == [DagsterRunStatus.SUCCESS]


def test_signs_are_given_until_the_run_is_over(instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs_of_life, "_EVERY_SECONDS", 0.01)
    with giving_signs(instance, "a run"):
        first = last_signs(instance, ["a run"])["a run"]
        assert first.is_from_here
        while last_signs(instance, ["a run", "another"])["a run"].at == first.at:
            pass
    assert last_signs(instance, ["another"]) == {}


def test_a_command_ends_what_a_killed_dagster_left_as_well(tmp_path: Path, instance: DagsterInstance) -> None:
    """Nothing else would, where Dagster is not started again."""
    gone, living = begin(instance), begin(instance)
    give_sign_of_the_dead(instance, gone)
    give_sign(instance, living)
    with command_at_work(tmp_path, instance):
        assert {run.run_id: run.status for run in instance.get_runs()} == {gone: FAILED, living: STARTED}
