"""Several at work at once, by mistake or not: one after the other or refused, and never half of each.

That readers hold nothing up and see no half of a publication is tested in `warehouse/test_readers.py`; that the
warehouse is written by one at a time in `warehouse/test_warehouse.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from alumni_assets.instance import open_instance
from alumni_assets.register import Register
from alumni_assets.stages import approval
from alumni_assets.stages.engine import LocalEngine, ToTransform
from alumni_assets.survey.standing import Arrival, Decision
from alumni_assets_tests.endings import Ending

from ..pipeline.answers import answers, csv_bytes
from ..pipeline.conftest import Pipeline
from ..torture.commands import PROCESSES
from . import life

pytestmark = pytest.mark.slow
_PATIENCE_SECONDS = 120
TEN = {f"{number:02}.csv": csv_bytes(answers(100 * number, 5)) for number in range(10)}


def test_of_two_who_approve_at_once_one_is_recorded(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(answers(1, 3)))
    both_have_looked, decided = Barrier(2), []

    class LooksBeforeTheOther(Register):
        def append_next(self, fact: Arrival | Decision) -> bool:
            if fact.number == 1:
                both_have_looked.wait(10)
            return super().append_next(fact)

    def decide(name: str) -> None:
        register = LooksBeforeTheOther(pipeline.lake, pipeline.home)
        decided.append(approval.approve(pipeline.lake, register, upload, approval.Request(name)))

    people = [Thread(target=decide, args=(name,)) for name in ("Ana", "Ben")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    (recorded,) = pipeline.facts.decisions[upload]
    assert decided == [recorded, recorded]


@pytest.mark.long
def test_a_correction_that_comes_while_its_upload_is_transformed_changes_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, undisturbed: Ending
) -> None:
    life.put_files(pipeline)
    assert life.take_in(pipeline).success
    transform = LocalEngine.transform

    def disturbed(engine: LocalEngine, subject: ToTransform, *more: Any) -> Any:
        if subject.seen.key == "term.csv" and "back.csv" not in {seen.key for seen in pipeline.facts.seen.values()}:
            life.correct(pipeline)
            assert life.take_in(pipeline).success
        return transform(engine, subject, *more)

    monkeypatch.setattr(LocalEngine, "transform", disturbed)
    assert life.approve(pipeline).success
    assert pipeline.standing(pipeline.upload_of("back.csv")).waits
    life.give_up_a_row(pipeline)
    assert life.approve(pipeline).success
    life.assert_ended_as(pipeline, undisturbed)


def work(folder: Path, keys: Sequence[str], approves: bool) -> None:
    """What a daemon's run, or a person, does in a process of its own: take all in, and approve it."""
    with open_instance(folder / "home", None, folder) as instance:
        pipeline = Pipeline(folder, instance=instance)
        assert pipeline.take_in(*keys).success
        assert not approves or life.approve(pipeline).success


def work_at_once(folders: Sequence[Path], keys: Sequence[str], approve: bool) -> None:
    """Let a process work in each of the folders, at the same time."""
    processes = [PROCESSES.Process(target=work, args=(folder, keys, approve)) for folder in folders]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_PATIENCE_SECONDS)
        assert process.exitcode == 0


def second_home(folder: Path) -> Path:
    """The folder of another instance on the same lake."""
    other = folder / "other"
    other.mkdir()
    (other / "lake").symlink_to(folder / "lake")
    return other


def test_two_instances_that_take_in_ten_uploads_at_once_enter_each_once(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path)
    for key, content in TEN.items():
        pipeline.put(key, content)
    work_at_once([tmp_path, second_home(tmp_path)], list(TEN), approve=False)
    facts = pipeline.facts
    assert {seen.key for seen in facts.seen.values()} == set(TEN)
    assert [len(log) for log in facts.arrivals.values()] == [1] * len(TEN)
    assert list(pipeline.statuses().values()) == ["validated"] * len(TEN)
    assert dict(pipeline.register.attempts()) == {}


@pytest.mark.long
@pytest.mark.parametrize("is_one_instance", [True, False], ids=["one instance", "two instances on one lake"])
def test_two_that_do_the_same_at_once_end_as_one(tmp_path: Path, is_one_instance: bool, undisturbed: Ending) -> None:
    """As two daemons would, or a person who materializes what a sensor has just requested."""
    pipeline = Pipeline(tmp_path)
    life.put_files(pipeline)
    with open_instance(tmp_path / "home", None, tmp_path):
        pass  # makes Dagster's files, which two processes cannot do at once
    work_at_once([tmp_path, tmp_path if is_one_instance else second_home(tmp_path)], list(life.FILES), approve=True)
    with open_instance(tmp_path / "home", None, tmp_path) as instance:
        pipeline.instance = instance
        life.go_on_from_approval(pipeline)
        life.assert_ended_as(pipeline, undisturbed)
