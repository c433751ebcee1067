"""An exclusive lock of the operating system on a file, which a killed process cannot leave behind."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.05


class FileLockTimeoutError(Exception):
    """Another holder kept the lock for longer than we would wait. `holder` is its process id, if known."""

    def __init__(self, path: Path, holder: int | None) -> None:
        super().__init__(f"{path} is locked by {_described(holder)}")
        self.holder = holder


@contextmanager
def exclusive_file_lock(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock on a file, which is created if need be and holds the process id of its last holder.

    Excludes other processes and other threads alike; the same thread must not take it twice. Raises
    FileLockTimeoutError when it does not become free in time.
    """
    with path.open("a+") as file:
        _acquire(file.fileno(), path, timeout_seconds)
        try:
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
            yield
        finally:
            # Said outright: closing alone would leave the lock to a forked child that has the file open.
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def _acquire(descriptor: int, path: Path, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise FileLockTimeoutError(path, _holder(path)) from None
        time.sleep(_POLL_SECONDS)


def _holder(path: Path) -> int | None:
    text = path.read_text(encoding="ascii", errors="replace")
    return int(text) if text.isdecimal() else None


def _described(holder: int | None) -> str:
    if holder is None:
        return "another process"
    return f"process {holder}" + (" (this one)" if holder == os.getpid() else "")
