"""`dagster dev` with all its processes killed, again and again: sensors in the middle of a tick, runs at work.

It is started again each time and left to itself; people only put files into raw/, and approve at the end.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dagster import DagsterInstance, RunsFilter
from dagster._core.scheduler.instigation import TickStatus

from alumni_assets.instance import open_instance
from alumni_assets.orphaned_runs import UNFINISHED
from alumni_assets_tests.endings import Ending, differences, ending_of
from alumni_assets_tests.pipeline.answers import answer, answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import APPROVER, Pipeline
from alumni_assets_tests.torture.story import Step
from alumni_assets_tests.torture.telling import Telling, stage_at_death
from alumni_assets_tests.ui.dagster_dev import DagsterDev, until

pytestmark = [pytest.mark.torture, pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(6 * 3600)]

_KILLS = 12
_LONGEST_SECONDS = 12.0
_TICK = "sensor tick"
_FILES = {
    f"{number:02}.csv": csv_bytes([*answers(100 * number, 30), answer(100 * number + 30, Email="nobody")])
    for number in range(1, _KILLS + 1)
}
_STEP = Step("all at once", ("run", "--approve", "--approved-by", APPROVER), _FILES)


@pytest.fixture
def dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterDev]:
    folder = tmp_path / "dagster"
    folder.mkdir()
    monkeypatch.chdir(folder)  # to which dagster.yaml's paths are relative
    server = DagsterDev(folder)
    yield server
    server.stop()


def opened(dagster: DagsterDev) -> DagsterInstance:
    return open_instance(dagster.folder / ".alumni", None, dagster.folder)


def sensors_at_work(dagster: DagsterDev) -> list[str]:
    """The sensors whose newest tick has no end."""
    with opened(dagster) as instance:
        return [
            state.instigator_name
            for state in instance.all_instigator_state()
            for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            if tick.status is TickStatus.STARTED
        ]


def comparable(ending: Ending) -> Ending:
    """Without what only the daemon does: it keeps notices, and may be renewing tables just now."""
    objects = {key: shown for key, shown in ending.objects.items() if not key.startswith("register/notices/")}
    return replace(ending, objects=objects, unfinished_runs=0)


def is_at_rest(instance: DagsterInstance) -> bool:
    return not instance.get_runs(RunsFilter(statuses=UNFINISHED))


def test_dagster_killed_at_any_moment_and_in_the_middle_of_ticks_loses_and_doubles_nothing(
    dagster: DagsterDev, tmp_path: Path
) -> None:
    telling = Telling(tmp_path / "undisturbed")
    telling.prepare(_STEP)
    telling.finish(_STEP)
    chance = random.Random(12)
    stages: Counter[str] = Counter()
    for number, (name, content) in enumerate(_FILES.items()):
        dagster.start()
        (dagster.lake / "raw" / name).write_bytes(content)
        time.sleep(chance.uniform(0, _LONGEST_SECONDS))
        if number % 2:
            until(lambda: sensors_at_work(dagster), "a sensor is at work")
        dagster.kill()
        at_work = sensors_at_work(dagster)
        with opened(dagster) as instance:
            stages.update([_TICK] if at_work else [stage_at_death(_STEP, instance)])
        print(f"{number + 1} kills: {dict(stages)}")
    assert stages[_TICK] > 0

    dagster.start()
    with opened(dagster) as instance:
        pipeline = Pipeline(dagster.folder, instance=instance)
        until(lambda: len(pipeline.facts.ingested) == len(_FILES), "all is taken in")
        until(lambda: is_at_rest(instance), "no run is under way")
        dagster.alumni_command("run", "--approve", "--approved-by", APPROVER)
        until(lambda: is_at_rest(instance), "no run is under way")
        assert differences(comparable(ending_of(pipeline)), comparable(telling.ending())) == []
