"""Runs a command and measures it: wall time, CPU time and peak memory of its whole process tree. Linux only.

- *Wall time*: from the start of the process to its end, interpreter and imports included.
- *CPU time*: user and system time of every process of the tree, as the kernel accounts for it when a process is
  waited for. This process adopts those that outlive their parents (such as Spark's Java), so none is missed.
- *Peak memory*: every 20 ms the resident memory of all processes of the tree is added up; the peak is the largest
  sum, or the kernel's own high-water mark of a single process where that is larger. Pages of files that are mapped
  count, as they do in `top`, and pages that processes share count for each of them. *Private memory* is the largest
  sum without the pages of files.

What is run, how often and in which order is decided in `rounds.py`.
"""

import ctypes
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import psutil

_SAMPLED_EVERY = 0.02
_LOOKED_FOR_EVERY = 5  # samples: what processes there are costs more to find out than how large they are
_STRAGGLING_SECONDS = 30.0
_PR_SET_CHILD_SUBREAPER = 36
_MEMORY = re.compile(rb"^(VmHWM|VmRSS|RssFile):\s+(\d+) kB$", re.MULTILINE)
_END_OF_LOG = 2000


class CommandFailedError(Exception):
    """A command that was to be measured did not end well; the message has the end of what it said."""


@dataclass(frozen=True)
class Measured:
    """One run of a command: seconds and bytes, and what it said on the last line of its output, as JSON."""

    wall: float
    cpu: float
    memory: int
    private: int
    said: Mapping[str, Any] = field(default_factory=dict)


def measured(command: Sequence[str], folder: Path) -> Measured:
    """Run a command in a folder and wait until every process that it began has ended.

    It gets this process' environment without settings of the pipeline and of Dagster. Raises `CommandFailedError`
    for an exit status other than 0.
    """
    _adopt_orphans()
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with TemporaryFile() as output, TemporaryFile() as errors:
        started = time.monotonic()
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            env=own_environment(),
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            with _Sampler(process.pid, before) as sampler:
                _, status, usage = os.wait4(process.pid, 0)
                wall = time.monotonic() - started
                process.returncode = os.waitstatus_to_exitcode(status)
                cpu = usage.ru_utime + usage.ru_stime + _wait_for_others(before)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        if process.returncode:
            raise CommandFailedError(f"{_name(command)} ended with {process.returncode}: {_end_of(output, errors)}")
        return Measured(wall, cpu, sampler.memory, sampler.private, _said(output))


def own_environment() -> dict[str, str]:
    """The environment without the settings of whoever measures, so that the folder of a run decides."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ALUMNI_", "DAGSTER_"))}


class _Sampler(threading.Thread):
    """Looks at the memory of a process and its descendants until the context ends.

    `before` are processes below this one that have nothing to do with them. `memory` and `private` are the peaks
    so far, in bytes.
    """

    def __init__(self, root: int, before: set[int]) -> None:
        super().__init__(daemon=True)
        self._pids = [root]
        self._before = before
        self._ended = threading.Event()
        self.memory = 0
        self.private = 0

    def __enter__(self) -> "_Sampler":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        """Sample until the end."""
        samples = 0
        while not self._ended.wait(_SAMPLED_EVERY):
            if samples % _LOOKED_FOR_EVERY == 0:
                below = psutil.Process().children(recursive=True)
                self._pids = [process.pid for process in below if process.pid not in self._before]
            self._sample()
            samples += 1

    def _sample(self) -> None:
        found = [_memory_of(pid) for pid in self._pids]
        together = sum(memory["VmRSS"] for memory in found)
        self.memory = max(self.memory, together, *(memory["VmHWM"] for memory in found))
        self.private = max(self.private, together - sum(memory["RssFile"] for memory in found))


def _memory_of(pid: int) -> dict[str, int]:
    """The kernel's counters of a process in bytes; 0 for one that has ended."""
    counters = dict.fromkeys(("VmHWM", "VmRSS", "RssFile"), 0)
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_bytes()
        counters |= {name.decode(): int(number) * 1024 for name, number in _MEMORY.findall(status)}
    return counters


def _adopt_orphans() -> None:
    """Let processes whose parent has ended become children of this one, so that their CPU time can be asked for."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "This system does not let a process adopt others; Linux does.")


def _wait_for_others(before: set[int]) -> float:
    """The CPU seconds of what a command left behind, once it has ended; what lingers is killed."""
    cpu, deadline = 0.0, time.monotonic() + _STRAGGLING_SECONDS
    while others := [child for child in psutil.Process().children() if child.pid not in before]:
        for child in others:
            if time.monotonic() > deadline:
                child.kill()
            pid, _, usage = os.wait4(child.pid, os.WNOHANG)
            cpu += usage.ru_utime + usage.ru_stime if pid else 0.0
        time.sleep(_SAMPLED_EVERY)
    return cpu


def _said(output: IO[bytes]) -> Mapping[str, Any]:
    """The last line as JSON; nothing where it is none."""
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").splitlines()
    with suppress(ValueError, IndexError):
        said = json.loads(lines[-1])
        return said if isinstance(said, dict) else {}
    return {}


def _end_of(*logs: IO[bytes]) -> str:
    texts = []
    for log in logs:
        log.seek(0)
        texts.append(log.read().decode("utf-8", "replace"))
    return "\n".join(texts)[-_END_OF_LOG:]


def _name(command: Sequence[str]) -> str:
    return " ".join(Path(part).name for part in command[:4])
