"""The `alumni` command in processes of its own, to be killed, or to have one of its writes fail.

Each is forked from a process that has only imported what the command imports. So a kill hits the command's work and
not the start of Python, and hundreds of them do not import pandas hundreds of times.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

from alumni_assets_tests.torture.faults import Fault, Writes, watched_writes

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "alumni_assets.answers.verdict_rows",
        "alumni_assets.cli",
        "alumni_assets.dashboard.keeping",
        "alumni_assets.one_pass",
        "alumni_assets.retention",
        "alumni_assets.sheet.exporting",
        "alumni_assets.stages.corrections",
        "alumni_assets.stages.erasing",
        "alumni_assets.stages.restoring",
        "alumni_assets.stages.transformation",
        "alumni_assets.survey.correction_files",
        "alumni_assets.survey.schemas",
        "alumni_assets.warehouse.history",
        "dagster._core.execution.execute_in_process",
        "pandera.backends.pandas.builtin_hypotheses",
        "pandera.backends.pandas.register",
        "pandera.strategies.pandas_strategies",
        "pyarrow.dataset",
        "rapidfuzz.process",
        "rich.status",
        "alumni_assets_tests.torture.commands",
        "alumni_assets_tests.torture.reader",
    ]
)
_PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Call:
    """A command, and where it is called with which settings. What it prints is added to `output`.

    What is old after `days_later` is old to it now.
    """

    arguments: tuple[str, ...]
    folder: Path
    settings: Mapping[str, str]
    output: Path
    days_later: int = 0


class Command:
    """One call at work, since just now."""

    def __init__(self, call: Call, process: BaseProcess, told: Connection) -> None:
        self._call = call
        self._process = process
        self._told = told
        self._began = time.monotonic()

    def ends_within(self, seconds: float) -> bool:
        """Whether it comes to its end by then, counted from its beginning."""
        self._process.join(max(0.0, self._began + seconds - time.monotonic()))
        return self._process.exitcode is not None

    def is_killed(self) -> bool:
        """Kill it with all its processes; whether that came before its end."""
        assert self._process.pid is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()
        return self._process.exitcode == -signal.SIGKILL

    def finish(self) -> "Finished":
        """Wait for its end."""
        writes = self._told.recv()
        assert self.ends_within(_PATIENCE_SECONDS), f"{self._call.arguments} does not end"
        seconds = time.monotonic() - self._began
        assert self._process.exitcode is not None
        return Finished(self._process.exitcode, time.time() - seconds, seconds, writes.counts, writes.failed)


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit code, when it began and how long it took, what it wrote, whether a write failed."""

    exit_code: int
    began: float
    seconds: float
    writes: Counter[str]
    write_failed: bool


@contextmanager
def begun(call: Call, fault: Fault | None = None) -> Iterator[Command]:
    """A command that has just begun, and is gone afterwards."""
    told, tells = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_work, args=(call, fault, tells))
    process.start()
    tells.close()
    try:
        assert told.recv() == "begun"
        yield Command(call, process, told)
    finally:
        if process.exitcode is None:
            process.kill()
            process.join()


def _work(call: Call, fault: Fault | None, tells: Connection) -> None:
    """The process of a command: as the installed program, which calls the same function."""
    from alumni_assets import retention
    from alumni_assets.cli import main
    from alumni_assets.stages.intake import utc_now

    os.setpgid(0, 0)
    os.chdir(call.folder)
    output = os.open(call.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for name in [name for name in os.environ if name.startswith(("ALUMNI_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ.update(call.settings)
    sys.argv = ["alumni", *call.arguments]
    writes = Writes(fault)
    then = utc_now() + timedelta(days=call.days_later)
    with watched_writes(writes), mock.patch.object(retention, "utc_now", return_value=then):
        tells.send("begun")
        try:
            main()
        finally:
            tells.send(writes)
