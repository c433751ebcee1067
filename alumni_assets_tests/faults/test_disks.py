"""Disks that are full, read-only or gone: what was to be done fails, says why, and is done once they are back.

How the lake's own calls fail then is tested in `lake/`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest
from dagster import ExecuteInProcessResult

from alumni_assets import failures, jobs, pending_work
from alumni_assets.machine_faults import SENTENCE
from alumni_assets.resources.lake import LakeError
from alumni_assets_tests.endings import Ending

from ..pipeline.conftest import Pipeline
from ..pipeline.test_sensors import tick
from . import life
from .conftest import Disk

pytestmark = pytest.mark.slow
KB, MB = 1 << 10, 1 << 20
# Room for nothing, for a fact, for some of what is written.
ALMOST_FULL = (0, 8 * KB, 20 * KB, 40 * KB)


@pytest.fixture
def lake_disk(small_disk: Callable[[str], Disk]) -> Disk:
    return small_disk("lake")


@pytest.fixture
def home_disk(small_disk: Callable[[str], Disk]) -> Disk:
    return small_disk("home")


def says_why(ended: ExecuteInProcessResult) -> bool:
    """Whether a run failed, and people are told that a disk is to blame and what to do."""
    sentence = failures.failure_sentence(life.step_failure(ended))
    ways = (SENTENCE, "Check that the disk is there and not full", "Make room")
    assert any(way in sentence for way in ways), sentence
    return True


def test_what_does_not_fit_on_a_full_lake_uses_up_no_attempt(lake_disk: Disk, pipeline: Pipeline) -> None:
    life.put_files(pipeline)
    for room in ALMOST_FULL:
        lake_disk.fill(room)
        assert says_why(life.take_in(pipeline))
        assert dict(pipeline.register.attempts()) == {}
    lake_disk.make_room()
    assert life.take_in(pipeline).success
    assert set(pipeline.statuses().values()) == {"validated"}


@pytest.mark.parametrize("elapsed", [pending_work._REST, timedelta(days=-1)], ids=["a minute", "the clock set back"])
def test_what_a_full_disk_failed_is_tried_again_after_a_minute_not_at_every_tick(
    lake_disk: Disk, pipeline: Pipeline, elapsed: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.put_files(pipeline)
    lake_disk.fill(20 * KB)
    assert says_why(life.take_in(pipeline))
    lake_disk.make_room()
    assert "tried again in a minute" in tick(pipeline).skip_message

    later = datetime.now(UTC) + elapsed
    monkeypatch.setattr(pending_work, "datetime", Mock(now=lambda _zone: later))
    (request,) = tick(pipeline).run_requests
    assert set(jobs.keys_of(request.run_config)) == set(life.FILES)


def test_a_lake_that_turned_read_only_uses_up_no_attempt(lake_disk: Disk, pipeline: Pipeline) -> None:
    life.put_files(pipeline)
    lake_disk.allow_writing(False)
    for _ in range(4):
        assert says_why(life.take_in(pipeline))
    lake_disk.allow_writing(True)
    assert dict(pipeline.register.attempts()) == {}
    assert life.take_in(pipeline).success


def test_a_full_home_uses_up_no_attempt(home_disk: Disk, pipeline: Pipeline) -> None:
    life.put_files(pipeline)
    for room in (0, 8 * KB):
        home_disk.fill(room)
        assert says_why(pipeline.take_in(*life.FILES))
        assert dict(pipeline.register.attempts()) == {}
    home_disk.make_room()
    assert life.take_in(pipeline).success


@pytest.mark.long
@pytest.mark.parametrize("room", [0, 40 * KB, MB])
@pytest.mark.parametrize("name", ["lake", "home"])
def test_an_approval_that_found_no_room_is_made_good_by_the_next(
    small_disk: Callable[[str], Disk], name: str, room: int, undisturbed: Ending
) -> None:
    disk = small_disk(name)
    pipeline = Pipeline(disk.path.parent)
    with pipeline.instance:
        life.put_files(pipeline)
        assert life.take_in(pipeline).success
        disk.fill(room)
        assert says_why(pipeline.approve(*sorted(pipeline.statuses())))
        disk.make_room()
        life.go_on_from_approval(pipeline)
        life.assert_ended_as(pipeline, undisturbed)


def test_a_lake_that_is_not_mounted_is_not_taken_for_an_empty_one(lake_disk: Disk, pipeline: Pipeline) -> None:
    """Where a disk is mounted there is an empty folder without it."""
    life.put_files(pipeline)
    assert life.take_in(pipeline).success
    statuses = pipeline.statuses()
    lake_disk.take_away()
    (pipeline.root / "raw").mkdir()
    pipeline.put("late.csv", life.FILES["survey.csv"])
    with pytest.raises(LakeError, match="Its disk may not be mounted"):
        tick(pipeline)
    assert "Its disk may not be mounted" in failures.failure_sentence(life.step_failure(pipeline.renew()))
    lake_disk.bring_back()
    assert pipeline.statuses() == statuses
    assert pipeline.find_new() == ()
