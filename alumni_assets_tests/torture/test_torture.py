"""Death at any point, and faults at each write: the story ends as it does undisturbed, and no reader sees half of it.

A few of either here; hundreds of kills in each stage, and every write, in `make torture`.
"""

import random
from collections import Counter
from pathlib import Path

import pytest

from alumni_assets_tests.endings import differences
from alumni_assets_tests.erasure.conftest import places_of
from alumni_assets_tests.torture.commands import PROCESSES
from alumni_assets_tests.torture.faults import EVENT
from alumni_assets_tests.torture.reader import reading
from alumni_assets_tests.torture.story import SHORT_STORY, STORY
from alumni_assets_tests.torture.telling import STAGES, Telling, Told, failed, faults_of, killed, tell_undisturbed

pytestmark = pytest.mark.slow
_HOURS = 6 * 3600
_KILLS_OF_STEP = 4
_EVENTS_BETWEEN = 25  # of Dagster's own events, which are many and much alike, every so manieth fails


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    """The beginning of the short story as it is meant to be."""
    return tell_undisturbed(Telling(tmp_path_factory.mktemp("short")), SHORT_STORY[:3])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    """The whole one."""
    return tell_undisturbed(Telling(tmp_path_factory.mktemp("whole")), STORY)


@pytest.mark.timeout(1200)
def test_killed_twenty_times_and_failing_eight_times_the_story_ends_as_if_nothing_had_happened(
    short: list[Told], tmp_path: Path
) -> None:
    telling, chance = Telling(tmp_path / "story"), random.Random(20)
    kills: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    with reading(PROCESSES, telling.published) as looks:
        for told, kills_of_step, faults_of_step in zip(short, (8, 8, 4), (3, 3, 2), strict=True):
            telling.prepare(told.step)
            for stage in killed(telling, told, kills_of_step, chance, kills):
                kills[stage] += 1
            faults.update(fault.kind for fault in failed(telling, told, faults_of_step, chance))
            telling.finish(told.step)
            assert differences(telling.ending(), told.ending) == [], (told.step.name, kills, faults)
    assert (kills.total(), faults.total()) == (20, 8)
    ((_, compared),) = looks
    assert compared > 0


@pytest.mark.torture
@pytest.mark.timeout(_HOURS)
def test_killed_hundreds_of_times_in_every_stage_the_story_ends_as_if_nothing_had_happened(
    whole: list[Told], tmp_path: Path
) -> None:
    chance = random.Random(200)
    kills: Counter[str] = Counter()
    for number in range(40):
        tell_with_kills(Telling(tmp_path / f"{number}"), whole, chance, kills)
        print(f"{number + 1} tellings, {kills.total()} kills: {dict(kills)}")
        if kills.total() >= 200 and kills.keys() >= STAGES:
            break
    assert kills.total() >= 200
    assert kills.keys() >= STAGES


def tell_with_kills(telling: Telling, whole: list[Told], chance: random.Random, kills: Counter[str]) -> None:
    with reading(PROCESSES, telling.published) as looks:
        for told in whole:
            telling.prepare(told.step)
            for stage in killed(telling, told, _KILLS_OF_STEP, chance, kills):
                kills[stage] += 1
            telling.finish(told.step)
            assert differences(telling.ending(), told.ending) == [], told.step.name
            assert told.step.name != "erasure" or places_of(telling.folder) == []
    print(f"the reader looked and compared: {looks}")


@pytest.mark.torture
@pytest.mark.timeout(_HOURS)
@pytest.mark.parametrize("place", range(len(SHORT_STORY)), ids=[step.name for step in SHORT_STORY])
def test_each_write_that_fails_is_made_good_by_the_same_command(tmp_path: Path, place: int) -> None:
    before = Telling(tmp_path / "before")
    tell_undisturbed(before, SHORT_STORY[:place])
    step = SHORT_STORY[place]
    # A copy of a lake has other times of change, so what is expected is told in a copy as well.
    (expected,) = tell_undisturbed(before.copy(tmp_path / "expected"), [step])
    faults: Counter[str] = Counter()
    tried = [
        fault for fault in faults_of(expected.writes) if fault.kind != EVENT or fault.number % _EVENTS_BETWEEN == 0
    ]
    for fault in tried:
        telling = before.copy(tmp_path / "telling")
        telling.prepare(step)
        faults[f"{fault.kind} {fault.moment}"] += telling.fail(step, fault).write_failed
        telling.finish(step)
        assert differences(telling.ending(), expected.ending) == [], fault
        telling.remove()
    assert faults.total() > len(tried) / 2  # how many writes there are is not always the same
    print(f"{step.name}: {faults.total()} faults: {dict(faults)}")
