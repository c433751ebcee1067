"""Files that are their owner's alone: what the pipeline keeps on a disk holds personal data.

A process that works on the pipeline makes all its files so, those of DuckDB, SQLite and Dagster included. Folders and
files that are there already stay as open as they are: whoever shares them decides that.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_UMASK = 0o077


def keep_files_private() -> int:
    """From now on what this process makes is its owner's alone; returns the umask that was before."""
    return os.umask(_UMASK)


@contextmanager
def files_kept_private() -> Iterator[None]:
    """The same for as long as the context lasts."""
    before = keep_files_private()
    try:
        yield
    finally:
        os.umask(before)
