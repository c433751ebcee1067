"""The story told in a folder of its own: undisturbed, or with commands that are killed or whose writes fail.

After either, people do what they would do: they call the same command again.
"""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter

from alumni_assets.instance import open_instance
from alumni_assets_tests.endings import Ending, ending_of
from alumni_assets_tests.erasure.conftest import KEY
from alumni_assets_tests.pipeline.conftest import Pipeline
from alumni_assets_tests.torture.commands import Call, Finished, begun
from alumni_assets_tests.torture.faults import MOMENTS, Fault
from alumni_assets_tests.torture.story import Step, write_rules

BETWEEN, CORRECTION, ANSWERS, ERASURE = "between runs", "correction", "answers", "erasure"
_STAGE_OF_STEP = {
    "take_in": "ingest",
    "approve_and_transform": "transformation",
    "archive": "archive",
    "deduplicated_survey": "merge",
    "published_survey": "publish",
    "alumni_dashboard": "page",
    "expire": "expiry",
}
STAGES = {*_STAGE_OF_STEP.values(), CORRECTION, ANSWERS, ERASURE, BETWEEN} - {_STAGE_OF_STEP["expire"]}
"""Those in which a command can be expected to be killed; expiring is over in a moment."""
_SETTLED_SECONDS = 60


@dataclass(frozen=True)
class Told:
    """A step that was told undisturbed: what it took and wrote, and how everything stood after it.

    `stages` says when each began and ended, in seconds since the command began.
    """

    step: Step
    seconds: float
    stages: Mapping[str, tuple[float, float]]
    writes: Counter[str]
    ending: Ending


class Telling:
    """The story in a folder, as far as it is told."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.published = folder / "lake" / "published"
        self._rules = {are_new: write_rules(folder, are_new) for are_new in (False, True)}
        with self._pipeline():
            pass  # which makes the folders of the lake

    def copy(self, folder: Path) -> "Telling":
        """The same in another folder."""
        shutil.copytree(self.folder, folder)
        return Telling(folder)

    def remove(self) -> None:
        """Remove it all."""
        shutil.rmtree(self.folder)

    def prepare(self, step: Step) -> None:
        """What people do before they call the command."""
        with self._pipeline() as pipeline:
            for key, content in step.files.items():
                pipeline.put(key, content)
                settled = time.time() - _SETTLED_SECONDS
                os.utime(pipeline.raw / key, (settled, settled))
            for key in step.lost:
                pipeline.lake.delete(key)

    def finish(self, step: Step) -> Finished:
        """Call the step's command; it has to come to a good end."""
        with begun(self._call(step)) as command:
            finished = command.finish()
        assert finished.exit_code in step.exit_codes, self.printed()
        return finished

    def kill(self, step: Step, seconds: float) -> str | None:
        """Call the command and kill it after so long: in which stage it was. None where it had ended by then."""
        with begun(self._call(step)) as command:
            if command.ends_within(seconds) or not command.is_killed():
                return None
        with self._instance() as instance:
            return stage_at_death(step, instance)

    def fail(self, step: Step, fault: Fault) -> Finished:
        """Call the command, and let one write fail."""
        with begun(self._call(step), fault) as command:
            return command.finish()

    def stages(self, step: Step, since: float) -> Mapping[str, tuple[float, float]]:
        """When each stage of the runs since then began and ended, in seconds since then."""
        found: dict[str, tuple[float, float]] = {}
        with self._instance() as instance:
            after = datetime.fromtimestamp(since, UTC)
            for run in instance.get_runs(RunsFilter(created_after=after)):
                for stats in instance.get_run_step_stats(run.run_id):
                    assert stats.start_time is not None
                    assert stats.end_time is not None
                    stage = _stage(step, stats.step_key)
                    begin, end = found.get(stage, (stats.start_time, stats.end_time))
                    found[stage] = min(begin, stats.start_time), max(end, stats.end_time)
        return {stage: (begin - since, end - since) for stage, (begin, end) in found.items()}

    def ending(self) -> Ending:
        """How everything stands."""
        with self._pipeline() as pipeline:
            return ending_of(pipeline)

    def printed(self) -> str:
        """What the commands printed so far, the last of it."""
        return (self.folder / "printed.txt").read_text(encoding="utf-8", errors="replace")[-3000:]

    def _call(self, step: Step) -> Call:
        settings = {
            "ALUMNI_LAKE": str(self.folder / "lake"),
            "ALUMNI_HOME": str(self.folder / "home"),
            "ALUMNI_SURVEY": str(self._rules[step.has_new_rules]),
            "ALUMNI_ERASURE_KEY": KEY,
        }
        return Call(step.command, self.folder, settings, self.folder / "printed.txt", step.days_later)

    @contextmanager
    def _pipeline(self) -> Iterator[Pipeline]:
        with self._instance() as instance:
            yield Pipeline(self.folder, instance=instance)

    @contextmanager
    def _instance(self) -> Iterator[DagsterInstance]:
        with open_instance(self.folder / "home", None, self.folder) as instance:
            yield instance


def tell_undisturbed(telling: Telling, steps: Sequence[Step]) -> list[Told]:
    """Go on telling, without any harm."""
    told = []
    for step in steps:
        telling.prepare(step)
        finished = telling.finish(step)
        assert finished.exit_code == 0, telling.printed()
        stages = telling.stages(step, finished.began)
        told.append(Told(step, finished.seconds, stages, finished.writes, telling.ending()))
    return told


def killed(telling: Telling, told: Told, kills: int, chance: random.Random, so_far: Counter[str]) -> Iterator[str]:
    """Kill the command of a step so often; gives the stages in which it was.

    Every other time the moment is drawn from how long the command takes; else from how long that stage of it does in
    which there were the fewest kills `so_far`, for some are short. A command that had ended by then is called again: to
    find that nothing is left to do takes a while, too.
    """
    longest = told.seconds
    while kills:
        is_anywhere = kills % 2 or not told.stages
        begin, end = (0.0, longest) if is_anywhere else _rarest(told.stages, so_far, chance)
        stage = telling.kill(told.step, moment := min(chance.uniform(begin, end), longest))
        if stage is None:
            longest = moment * chance.random()
            continue
        kills -= 1
        yield stage


def _rarest(
    stages: Mapping[str, tuple[float, float]], so_far: Counter[str], chance: random.Random
) -> tuple[float, float]:
    """When one of the stages began and ended that had the fewest kills so far."""
    fewest = min(so_far[stage] for stage in stages)
    return stages[chance.choice(sorted(stage for stage in stages if so_far[stage] == fewest))]


def failed(telling: Telling, told: Told, faults: int, chance: random.Random) -> Iterator[Fault]:
    """Let the command of a step fail so often, each time at one of its writes, of whatever kind; gives the faults."""
    writes = told.writes
    while faults:
        kind = chance.choice(sorted(writes))
        fault = chance.choice(faults_of(Counter({kind: writes[kind]})))
        finished = telling.fail(told.step, fault)
        if not finished.write_failed:  # as much was left to do
            writes = finished.writes
            continue
        faults -= 1
        yield fault


def faults_of(writes: Counter[str]) -> list[Fault]:
    """Every fault there can be among these writes."""
    return [
        Fault(kind, number, moment)
        for kind, count in writes.items()
        for number in range(1, count + 1)
        for moment in MOMENTS[kind]
    ]


def stage_at_death(step: Step, instance: DagsterInstance) -> str:
    """The stage in which a process was killed, by what Dagster was told last."""
    unfinished = instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED]), limit=1)
    between = ERASURE if step.name == "erasure" else BETWEEN  # it rewrites the lake outside of any run
    if not unfinished:
        return between
    events = [entry.get_dagster_event() for entry in instance.all_logs(unfinished[0].run_id) if entry.is_dagster_event]
    begun_steps = [event.step_key for event in events if event.event_type is DagsterEventType.STEP_START]
    ended = {event.step_key for event in events if event.is_step_success or event.is_step_failure}
    at_work = [key for key in begun_steps if key not in ended]
    if not at_work:
        return between
    return _stage(step, at_work[0] or "")


def _stage(step: Step, key: str) -> str:
    """The stage that a step of Dagster's belongs to."""
    stage = _STAGE_OF_STEP.get(key, ANSWERS)
    return CORRECTION if (step.name, stage) == ("correction", "ingest") else stage
