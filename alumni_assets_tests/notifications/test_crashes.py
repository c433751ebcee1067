"""Killing the notifier at every write: no message is lost, and one that is repeated has the same id.

The steps at which it can be killed are not listed here: a first run counts them, so that a write that is added later
is tried too.
"""

import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alumni_assets_tests.notifications.conftest import World
from alumni_assets_tests.notifications.stand_ins import (
    Crash,
    Fuse,
    Inbox,
    MemoryHistory,
    Renewal,
    failed_run,
    identities,
)

pytestmark = pytest.mark.slow

EXPECTED = [
    "1 upload rejected",
    "5 new valid rows to approve",
    "1 new invalid row to correct",
    "Transformation succeeded: 2 rows",
    "Deduplication succeeded: 2 alumni",
    "1 run failed",
]
OUTAGE = "The lake cannot be read"


class Scenario:
    """A world in which one of everything happens, and two channels that know no more than what they accept."""

    def __init__(self, home: Path) -> None:
        self.world = World(home)
        self.inboxes = [Inbox("email-1"), Inbox("sns")]

    def start(self) -> None:
        self.world.tell(*self.inboxes)
        self.world.clock.pass_by(seconds=30)

    def happen(self) -> None:
        story, history, now = self.world.story, self.world.history, self.world.clock()
        story.is_rejected("bad.csv")
        story.is_validated("good.csv", valid=5, invalid=1)
        story.is_transformed(story.is_validated("approved.csv"))
        history.renewals.append(Renewal("run 1", now, 2, 2, 0))
        history.failed_runs.append(failed_run("run 2", now))
        self.world.clock.pass_by(seconds=1)

    def use_fuse(self, fuse: Fuse) -> None:
        self.world.use_fuse(fuse)
        for inbox in self.inboxes:
            inbox.fuse = fuse

    def look(self) -> None:
        self.world.tell(*self.inboxes)

    def look_and_be_killed(self, fuse: Fuse) -> None:
        """A look that is killed at the fuse's step, and everything that was running with it."""
        self.use_fuse(fuse)
        with suppress(Crash):
            self.look()
        self.use_fuse(Fuse())

    def look_undisturbed(self) -> None:
        """A look by another process."""
        self.use_fuse(Fuse())
        self.look()

    def recover(self) -> None:
        """What later looks do, each by a fresh process."""
        for _ in range(2):
            self.world.clock.pass_by(minutes=10)
            self.look()


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    return Scenario(tmp_path / "home")


def steps_of(home: Path, look: Callable[[Scenario], None]) -> list[str]:
    """The steps that a look goes through when nobody kills it."""
    whole, fuse = Scenario(home), Fuse()
    whole.start()
    whole.happen()
    whole.use_fuse(fuse)
    look(whole)
    return fuse.steps


def test_a_look_that_nobody_kills_tells_everything_once(scenario: Scenario) -> None:
    scenario.start()
    scenario.happen()
    scenario.look()
    scenario.recover()
    assert [inbox.subjects for inbox in scenario.inboxes] == [EXPECTED, EXPECTED]


def test_killed_at_any_step_nothing_is_lost_and_only_an_unrecorded_acceptance_is_repeated(tmp_path: Path) -> None:
    steps = steps_of(tmp_path / "whole", Scenario.look)
    assert len(steps) == 2 * 6 + 2 * 6 * 6 + 2  # notices; begun, accepting, accepted by each of two; remembering
    for place, step in enumerate(steps, 1):
        scenario = Scenario(tmp_path / f"killed {place}")
        scenario.start()
        scenario.happen()
        scenario.look_and_be_killed(Fuse(place))
        scenario.recover()
        assert identities(scenario.inboxes)[0] == identities(scenario.inboxes)[1]
        for inbox in scenario.inboxes:
            assert sorted(set(inbox.subjects)) == sorted(EXPECTED), step
            assert len({message.id for message in inbox.accepted}) == len(EXPECTED), step
        repeated = sum(inbox.repeated for inbox in scenario.inboxes)
        is_unrecorded = step.startswith("after accepting by") or (step.startswith("before") and "/accepted" in step)
        assert repeated == int(is_unrecorded), step


def test_killed_at_any_step_of_the_very_first_look_it_starts_anew(tmp_path: Path) -> None:
    counted, fuse = Scenario(tmp_path / "whole"), Fuse()
    counted.use_fuse(fuse)
    counted.start()
    for place, step in enumerate(fuse.steps, 1):
        scenario = Scenario(tmp_path / f"killed {place}")
        scenario.look_and_be_killed(Fuse(place))
        scenario.world.clock.pass_by(seconds=30)
        scenario.start()
        scenario.happen()
        scenario.look()
        assert [inbox.subjects for inbox in scenario.inboxes] == [EXPECTED, EXPECTED], step


def test_killed_at_any_step_of_a_look_during_an_outage_it_is_told_once(tmp_path: Path) -> None:
    counted, fuse = Scenario(tmp_path / "whole"), Fuse()
    counted.start()
    counted.world.lake.is_gone = True
    counted.use_fuse(fuse)
    counted.look()
    assert (
        len(fuse.steps) == 2 * 2 + 2 + 2 + 2 * 6
    )  # channels, start, notice; begun, accepting, accepted by each of two
    for place, step in enumerate(fuse.steps, 1):
        scenario = Scenario(tmp_path / f"killed {place}")
        scenario.start()
        scenario.world.lake.is_gone = True
        scenario.look_and_be_killed(Fuse(place))
        scenario.recover()
        scenario.world.lake.is_gone = False
        scenario.recover()
        for inbox in scenario.inboxes:
            assert set(inbox.subjects) == {OUTAGE}, step
            assert len({message.id for message in inbox.accepted}) == 1, step


def test_killed_at_any_step_of_the_look_after_an_outage_the_next_outage_is_told_again(tmp_path: Path) -> None:
    counted, fuse = Scenario(tmp_path / "whole"), Fuse()
    counted.world.lake.is_gone = True
    counted.start()
    counted.world.lake.is_gone = False
    counted.use_fuse(fuse)
    counted.look()
    for place, step in enumerate(fuse.steps, 1):
        scenario = Scenario(tmp_path / f"killed {place}")
        scenario.world.lake.is_gone = True
        scenario.start()
        scenario.world.lake.is_gone = False
        scenario.look_and_be_killed(Fuse(place))
        scenario.recover()
        scenario.world.lake.is_gone = True
        scenario.recover()
        assert [inbox.subjects for inbox in scenario.inboxes] == [[OUTAGE] * 2] * 2, step


def test_a_second_notifier_that_looks_at_any_step_of_the_first_repeats_nothing(tmp_path: Path) -> None:
    steps = steps_of(tmp_path / "whole", Scenario.look)
    for place, step in enumerate(steps, 1):
        scenario = Scenario(tmp_path / f"met {place}")
        scenario.start()
        scenario.happen()
        scenario.use_fuse(Fuse(place, scenario.look_undisturbed))
        scenario.look()
        scenario.recover()
        for inbox in scenario.inboxes:
            assert sorted(inbox.subjects) == sorted(EXPECTED), step


def test_a_second_notifier_that_sees_more_at_any_step_of_the_first_repeats_no_event(tmp_path: Path) -> None:
    steps = steps_of(tmp_path / "whole", Scenario.look)
    for place, step in enumerate(steps, 1):
        scenario = Scenario(tmp_path / f"met {place}")

        def look_in_between(scenario: Scenario = scenario) -> None:
            scenario.world.story.is_rejected("bad too.csv")
            scenario.world.story.is_validated("good too.csv", valid=7)
            scenario.look_undisturbed()

        scenario.start()
        scenario.happen()
        scenario.use_fuse(Fuse(place, look_in_between))
        scenario.look()
        scenario.recover()
        for inbox in scenario.inboxes:
            bodies = "\n".join(message.body for message in inbox.accepted if "Transformation" not in message.subject)
            assert bodies.count("- bad.csv@") == bodies.count("- bad too.csv@") == 1, step
            assert bodies.count("- good too.csv@") == 1, step
            assert bodies.count("- good.csv@") == 2, step  # its valid rows and its invalid row
            assert inbox.repeated == 0, step


def test_a_second_notifier_that_sees_less_at_any_step_of_the_first_neither_repeats_nor_loses_anything(
    tmp_path: Path,
) -> None:
    """An upload is approved meanwhile, so that it does not wait any more, and the second knows of no run."""
    steps = steps_of(tmp_path / "whole", Scenario.look)
    for place, step in enumerate(steps, 1):
        scenario = Scenario(tmp_path / f"met {place}")
        memory = scenario.world.history

        def look_in_between(scenario: Scenario = scenario, memory: MemoryHistory = memory) -> None:
            scenario.world.story.is_transformed("good.csv@11111111")
            scenario.world.history = MemoryHistory()
            scenario.look_undisturbed()
            scenario.world.history = memory

        scenario.start()
        scenario.happen()
        scenario.use_fuse(Fuse(place, look_in_between))
        scenario.look()
        scenario.recover()
        for inbox in scenario.inboxes:
            bodies = "\n".join(message.body for message in inbox.accepted)
            for line in ("- bad.csv@", "- take_in_uploads, step", "The table of alumni", " set aside."):
                assert bodies.count(line) == 1, (step, line)
            for upload in ("good", "approved"):
                assert len(re.findall(rf"- {upload}.csv@.*approved by", bodies)) == 1, step
            assert inbox.repeated == 0, step


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("reject"), st.integers(0, 9)),
        st.tuples(st.just("transform"), st.integers(0, 9)),
        st.tuples(st.just("fail a run"), st.integers(0, 9)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("look and be killed"), st.integers(1, 40)),
        st.tuples(st.just("meet at"), st.integers(1, 40)),
        st.tuples(st.just("switch channel"), st.integers(0, 1)),
        st.tuples(st.just("switch lake"), st.just(0)),
        st.tuples(st.just("pass minutes"), st.sampled_from([1, 3, 60, 600])),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(actions=ACTIONS)
def test_whatever_happens_in_whatever_order_every_event_is_told_once_by_every_channel(
    actions: list[tuple[str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as home:
        scenario = Scenario(Path(home))
        scenario.start()
        unrecorded = play(scenario, actions)
        for inbox in scenario.inboxes:
            inbox.is_down = False
        scenario.world.lake.is_gone = False
        for _ in range(12):
            scenario.world.clock.pass_by(hours=9)
            scenario.world.tell(*scenario.inboxes, insist=True)
        check(scenario, unrecorded)


def play(scenario: Scenario, actions: list[tuple[str, int]]) -> int:
    """Play the actions; returns how often a process was killed after an acceptance that it had not recorded."""
    world, unrecorded = scenario.world, 0
    for place, (action, number) in enumerate(actions):
        world.clock.pass_by(seconds=1)
        match action:
            case "reject":
                world.story.is_rejected(f"bad {number}.csv", content=str(place % 10))
            case "transform":
                upload = f"approved {place}.csv"
                world.story.is_transformed(world.story.is_validated(upload, valid=number))
            case "fail a run":
                world.history.failed_runs.append(failed_run(f"run {place}", world.clock()))
            case "look":
                scenario.look()
            case "look and be killed":
                fuse = Fuse(number)
                scenario.look_and_be_killed(fuse)
                unrecorded += len(fuse.steps) == number and is_between_acceptance_and_record(fuse.steps[-1])
            case "meet at":
                scenario.use_fuse(Fuse(number, scenario.look_undisturbed))
                scenario.look()
                scenario.use_fuse(Fuse())
            case "switch channel":
                scenario.inboxes[number].is_down = not scenario.inboxes[number].is_down
            case "switch lake":
                world.lake.is_gone = not world.lake.is_gone
            case "pass minutes":
                world.clock.pass_by(minutes=number)
    return unrecorded


def is_between_acceptance_and_record(step: str) -> bool:
    return step.startswith("after accepting") or (step.startswith("before") and step.endswith("/accepted.json"))


def check(scenario: Scenario, unrecorded: int) -> None:
    first, second = scenario.inboxes
    assert {message.id: message for message in first.accepted} == {message.id: message for message in second.accepted}
    told = list({message.id: message for message in first.accepted}.values())
    lines = [line for message in told for line in message.body.splitlines() if line.startswith("- ")]
    for upload in scenario.world.story.made:
        assert sum(line.startswith(f"- {upload}: ") and "approved by" in line for line in lines) == 1
    for upload, ingested in scenario.world.story.ingested.items():
        if ingested.outcome == "rejected":
            assert sum(line.startswith(f"- {upload}: ") for line in lines) >= 1
    links = "\n".join(message.body for message in told)
    for run in scenario.world.history.failed_runs:
        assert links.count(f"/runs/{run.run_id}\n") == 1
    assert first.repeated + second.repeated <= unrecorded
