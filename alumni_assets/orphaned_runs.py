"""Runs whose process was killed: they are ended here, for they would count as under way for ever.

Dagster asks after the processes of its own launcher only while the process that launched them lives, and never after
the ones that the `alumni` command runs in itself. Both are looked for on this machine only.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, DefaultRunLauncher, RunsFilter

from alumni_assets.resources.file_lock import FileLockTimeoutError, exclusive_file_lock

COMMAND_TAGS: Mapping[str, str] = {"alumni/command": "true"}
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_PATIENCE_SECONDS = 3600.0


@contextmanager
def command_at_work(home: Path, instance: DagsterInstance) -> Iterator[None]:
    """The turn of one `alumni` command: a second one waits, and the runs of one that was killed are ended first."""
    with exclusive_file_lock(_lock(home), _PATIENCE_SECONDS):
        _end(instance, _runs_of_commands(instance))
        yield


def end_orphaned_runs(home: Path, instance: DagsterInstance) -> list[DagsterRun]:
    """End the unfinished runs whose process on this machine is gone, and return them; others are left alone."""
    launched = [run for run in _launched_runs(instance) if not _is_alive(instance, run)]
    _end(instance, launched)
    if not _runs_of_commands(instance):
        return launched
    try:
        with exclusive_file_lock(_lock(home), 0):
            of_commands = _runs_of_commands(instance)
            _end(instance, of_commands)
    except FileLockTimeoutError:
        return launched
    return [*launched, *of_commands]


def _runs_of_commands(instance: DagsterInstance) -> list[DagsterRun]:
    """A command works in one process, under a lock of the operating system that is free once it is killed."""
    return list(instance.get_runs(RunsFilter(tags=dict(COMMAND_TAGS), statuses=UNFINISHED)))


def _launched_runs(instance: DagsterInstance) -> list[DagsterRun]:
    """The started runs of a launcher that starts processes on this machine; other launchers look after theirs."""
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return []
    runs = instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED]))
    return [run for run in runs if not COMMAND_TAGS.items() <= run.tags.items()]


def _is_alive(instance: DagsterInstance, run: DagsterRun) -> bool:
    """By the process id that Dagster notes when a run begins to execute; before that it counts as alive."""
    events = instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT)
    metadata = [event.get_dagster_event().engine_event_data.metadata for event in events]
    pids = [int(str(entry["pid"].value)) for entry in metadata if "pid" in entry]
    if not pids:
        return True
    try:
        os.kill(pids[-1], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _end(instance: DagsterInstance, runs: list[DagsterRun]) -> None:
    for run in runs:
        instance.report_run_failed(run, "Its process was killed; what it had not done is done again by another run.")


def _lock(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    return home / "command.lock"
