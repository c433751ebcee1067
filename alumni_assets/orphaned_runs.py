"""Runs whose process was killed: they are ended here, for they would count as under way for ever.

Dagster asks after the processes of its own launcher only while the process that launched them lives, and never after
the ones that the `alumni` command runs in itself. Those of this machine, or of this container, are looked for by
their process; those elsewhere may live whatever is found here, and are dead only once they have been silent for long.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, DefaultRunLauncher, RunsFilter
from dagster._core.storage.tags import WILL_RETRY_TAG

from alumni_assets.resources.file_lock import FileLockTimeoutError, exclusive_file_lock
from alumni_assets.signs_of_life import SILENT_AFTER, Sign, born, last_signs
from alumni_assets.stages.intake import utc_now

COMMAND_TAGS: Mapping[str, str] = {"alumni/command": "true"}
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_PATIENCE_SECONDS = 3600.0
# Where the process that launched a run still lives, it notices within a second that the run's is gone, and ends it.
_SERVER_SECONDS = 3.0


@contextmanager
def command_at_work(home: Path, instance: DagsterInstance) -> Iterator[None]:
    """The turn of one `alumni` command: a second one waits, and runs whose process was killed are ended first.

    Those of Dagster's own launcher too: until then, what they were at work on is left to them, and no sensor may
    be there to end them.
    """
    with exclusive_file_lock(_lock(home), _PATIENCE_SECONDS):
        launched, of_commands = _launched_runs(instance), _runs_of_commands(instance)
        signs = last_signs(instance, [run.run_id for run in (*launched, *of_commands)])
        _end(instance, [run for run in of_commands if _is_here(signs, run) or _is_silent(signs, run)])
        _end_launched(instance, launched, signs)
        yield


def end_orphaned_runs(home: Path, instance: DagsterInstance) -> list[DagsterRun]:
    """End the unfinished runs whose process is gone, and return them as they are then; others are left alone.

    A run that has not given a sign of life yet counts as alive.
    """
    launched, of_commands = _launched_runs(instance), _runs_of_commands(instance)
    signs = last_signs(instance, [run.run_id for run in (*launched, *of_commands)])
    ended = _end_launched(instance, launched, signs)
    ended += _end(instance, [run for run in of_commands if _is_silent(signs, run)])
    of_commands = [run for run in of_commands if _is_here(signs, run)]
    if not of_commands:
        return ended
    try:
        with exclusive_file_lock(_lock(home), 0):
            return [*ended, *_end(instance, of_commands)]
    except FileLockTimeoutError:
        return ended


def is_retried(run: DagsterRun) -> bool:
    """Whether Dagster itself runs again what this failed run was to do."""
    return run.tags.get(WILL_RETRY_TAG) == "true" and not _is_of_command(run)


def _runs_of_commands(instance: DagsterInstance) -> list[DagsterRun]:
    """A command works in one process, under a lock of the operating system that is free once it is killed."""
    return list(instance.get_runs(RunsFilter(tags=dict(COMMAND_TAGS), statuses=UNFINISHED)))


def _launched_runs(instance: DagsterInstance) -> list[DagsterRun]:
    """The started runs of a launcher that does not look after their processes; other launchers look after theirs."""
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return []
    runs = instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED]))
    return [run for run in runs if not _is_of_command(run)]


def _is_of_command(run: DagsterRun) -> bool:
    return COMMAND_TAGS.items() <= run.tags.items()


def _is_here(signs: Mapping[str, Sign], run: DagsterRun) -> bool:
    sign = signs.get(run.run_id)
    return sign is not None and sign.is_from_here


def _is_silent(signs: Mapping[str, Sign], run: DagsterRun) -> bool:
    """Whether a run elsewhere has given no sign for so long that it must be dead."""
    sign = signs.get(run.run_id)
    return sign is not None and not sign.is_from_here and utc_now() - sign.at > SILENT_AFTER


def _is_gone(signs: Mapping[str, Sign], run: DagsterRun) -> bool:
    """Whether a run was here, and its process is no more; another may have its number by now."""
    if not _is_here(signs, run):
        return False
    sign = signs[run.run_id]
    try:
        os.kill(sign.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return bool(sign.born) and born(sign.pid) not in ("", sign.born)


def _end_launched(
    instance: DagsterInstance, launched: Sequence[DagsterRun], signs: Mapping[str, Sign]
) -> list[DagsterRun]:
    """End the runs of Dagster's launcher whose process is gone, or silent elsewhere; returns them as ended."""
    gone = [run for run in launched if _is_gone(signs, run)]
    if gone:
        time.sleep(_SERVER_SECONDS)
    return _end(instance, [*gone, *(run for run in launched if _is_silent(signs, run))])


def _end(instance: DagsterInstance, dead: Sequence[DagsterRun]) -> list[DagsterRun]:
    """End the runs of dead processes, but for those that had come to their end before; returns them as ended."""
    unfinished = [run for run in map(instance.get_run_by_id, _ids(dead)) if run is not None and not run.is_finished]
    for run in unfinished:
        instance.report_run_failed(run, "Its process was killed; what it had not done is done again by another run.")
    return list(instance.get_runs(RunsFilter(run_ids=_ids(unfinished)))) if unfinished else []


def _ids(runs: Sequence[DagsterRun]) -> list[str]:
    return [run.run_id for run in runs]


def _lock(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    return home / "command.lock"
