"""SQLite files in `ALUMNI_HOME`: copies of what is in the lake, or in `ALUMNI_HOME/outbox`, that save reading it.

Each may be deleted at any time, and is made again by the next look. So nothing belongs here that is kept in such a file
alone.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY_CODE = 0xFF  # the rest of SQLite's codes says more precisely what happened
T = TypeVar("T")


def begun_anew_if_damaged(copy: Path, use: Callable[[], T]) -> T:
    """What some use of a copy gives; where the copy is damaged it is deleted, and this is what the use of none gives.

    A copy that is locked, or for which the disk has no room, is not damaged: raises sqlite3.OperationalError.
    """
    try:
        return use()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE not in _DAMAGED:
            raise
    copy.unlink(missing_ok=True)
    return use()
