"""A backup that is made as docs/faults.md says, and restored in other folders: everything goes on from there."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from dagster import DagsterRunStatus

from alumni_assets import jobs
from alumni_assets.instance import open_instance
from alumni_assets_tests.endings import Ending, differences, ending_of

from ..corrections.returns import correction
from ..pipeline.answers import answer, answers, csv_bytes
from ..pipeline.conftest import Pipeline
from ..pipeline.test_sensors import age, runs_of, tick
from . import life

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]


def back_up_home(pipeline: Pipeline, backup: Path) -> None:
    shutil.copytree(pipeline.home, backup / "home")


def back_up_register(pipeline: Pipeline, backup: Path) -> None:
    shutil.copytree(pipeline.root / "register", backup / "lake" / "register")


def back_up_the_rest(pipeline: Pipeline, backup: Path) -> None:
    for folder in sorted(set(pipeline.root.iterdir()) - {pipeline.root / "register"}):
        shutil.copytree(folder, backup / "lake" / folder.name)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_commands_of_the_page_make_a_backup_and_then_another(
    pipeline: Pipeline, lacking: Callable[[str], NoReturn]
) -> None:
    if shutil.which("rsync") is None:
        lacking("this machine has no rsync")
    page = (PROJECT / "docs" / "faults.md").read_text(encoding="utf-8")
    commands = page[page.index("backup=backup-") :].partition("```")[0]
    life.put_files(pipeline)
    assert life.take_in(pipeline).success
    for happens in (lambda: None, lambda: pipeline.approve_only(*pipeline.statuses())):
        happens()
        (pipeline.root / ".incoming").mkdir(exist_ok=True)
        (pipeline.root / ".incoming" / "half").write_bytes(b"half")
        subprocess.run(
            ["bash", "-euc", commands],
            cwd=pipeline.folder,
            env={"PATH": os.environ["PATH"], "ALUMNI_HOME": str(pipeline.home)},
            check=True,
        )
        *_, backup = sorted(pipeline.folder.glob("backup-*"))
        lake = {name: content for name, content in files_in(pipeline.root).items() if name != ".incoming/half"}
        assert (files_in(backup / "home"), files_in(backup / "lake")) == (files_in(pipeline.home), lake)
    assert len(list(pipeline.folder.glob("backup-*"))) == 2
    without_home = subprocess.run(
        ["bash", "-euc", commands], cwd=pipeline.root, env={"PATH": os.environ["PATH"]}, capture_output=True
    )
    assert b"ALUMNI_HOME" in without_home.stderr


def correct_in_the_middle(pipeline: Pipeline) -> None:
    """What is taken in while a backup is made has no facts in it, but its file, and may have left other objects."""
    life.correct(pipeline)
    assert life.take_in(pipeline).success


def test_a_lake_of_which_the_register_was_copied_first_goes_on_where_that_stood(pipeline: Pipeline) -> None:
    life.put_files(pipeline)
    assert life.take_in(pipeline).success
    pipeline.approve_only(*pipeline.statuses())
    decided = pipeline.facts.decisions
    backup = pipeline.folder / "elsewhere"
    back_up_register(pipeline, backup)
    correct_in_the_middle(pipeline)
    back_up_the_rest(pipeline, backup)

    restored = Pipeline(backup)
    for key in ("survey.csv", "term.csv", "back.csv"):
        age(restored, key)
    with restored.instance:
        assert restored.facts.decisions == decided
        enter, renew = tick(restored, "lost_uploads").run_requests
        assert enter.run_config["ops"]["take_in"]["config"]["uploads"] == sorted(restored.statuses())
        assert renew.job_name == jobs.RENEW.name
        ((new, _),) = runs_of(tick(restored))
        assert "back.csv" in new
        assert restored.take_in(*new).success
        assert restored.statuses() == pipeline.statuses()
        assert restored.facts.decisions == decided


def test_a_correction_finds_its_upload_where_the_register_was_copied_before_both_came(pipeline: Pipeline) -> None:
    pipeline.put_and_take_in("other.csv", csv_bytes(answers(50, 3)))
    backup = pipeline.folder / "elsewhere"
    back_up_register(pipeline, backup)
    term = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 8), answer(9, Email="nobody")]))
    pipeline.put_and_take_in("a correction.csv", correction(term, {9: answer(9)}))
    back_up_the_rest(pipeline, backup)

    restored = Pipeline(backup)
    with restored.instance:
        assert restored.find_new() == ("other.csv", "term.csv", "a correction.csv")
        assert restored.take_in(*restored.find_new()).success
        assert restored.statuses() == pipeline.statuses()
        assert sorted(restored.statuses().values()) == ["correction", "validated", "validated"]


@contextmanager
def with_dagsters_files(folder: Path) -> Iterator[Pipeline]:
    """A pipeline with the instance that the `alumni` command opens."""
    folder.mkdir(exist_ok=True)
    with open_instance(folder / "home", None, folder) as instance:
        yield Pipeline(folder, instance=instance)


def without_arrivals(ending: Ending) -> Ending:
    """A copy of a file is another file to the lake, of the same content: that it arrived is entered again."""
    objects = {key: shown for key, shown in ending.objects.items() if not key.startswith("register/arrivals/")}
    return replace(ending, objects=objects)


@pytest.mark.long
def test_a_backup_of_everything_goes_on_elsewhere_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed: Ending
) -> None:
    with with_dagsters_files(tmp_path / "here") as pipeline:
        life.put_files(pipeline)
        assert life.take_in(pipeline).success
        assert life.approve(pipeline).success
        pipeline.instance.daemon_cursor_storage.set_cursor_values({"of a sensor": "7"})
        runs = {run.run_id for run in pipeline.instance.get_runs()}
    backup = tmp_path / "backup"
    back_up_home(pipeline, backup)
    with with_dagsters_files(tmp_path / "here") as pipeline:
        back_up_register(pipeline, backup)
        correct_in_the_middle(pipeline)
        back_up_the_rest(pipeline, backup)
    shutil.rmtree(tmp_path / "here")

    backup.rename(tmp_path / "there")
    with with_dagsters_files(tmp_path / "there") as restored:
        assert {run.run_id for run in restored.instance.get_runs()} == runs
        assert {run.status for run in restored.instance.get_runs()} == {DagsterRunStatus.SUCCESS}
        assert restored.instance.daemon_cursor_storage.get_cursor_values({"of a sensor"}) == {"of a sensor": "7"}
        assert not tick(restored, "lost_uploads").run_requests
        assert life.take_in(restored).success
        life.give_up_a_row(restored)
        assert life.approve(restored).success
        assert differences(without_arrivals(ending_of(restored)), without_arrivals(undisturbed)) == []
