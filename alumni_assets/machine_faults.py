"""Whether an error tells of the machine (a full disk, a lake that is gone) or of what was worked on.

What the machine did is no reason to give an upload up. What the storage says is sorted where it is asked, in
`resources/`; here are those errors, and what libraries say that write to disk by themselves.
"""

import sqlite3
from collections.abc import Iterator

import duckdb

from alumni_assets.resources.lake_interface import OUT_OF_ORDER, LakeUnavailableError

_SQLITE_SAYS = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
_PRIMARY_CODE = 0xFF  # the rest of SQLite's codes says more precisely what happened
# The same in the words in which they come out of Dagster's event store, where errors are texts.
_IN_WORDS = (
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "database or disk is full",
    "attempt to write a readonly database",
    "disk I/O error",
    "unable to open database file",
)

SENTENCE = (
    "A disk that the lake, ALUMNI_HOME, DAGSTER_HOME or temporary files are on is full, read-only or gone. Make room, "
    "or bring it back; nothing is lost, and what was not done is done by the next run or `alumni run`."
)


def tells_of_the_machine(text: str) -> bool:
    """The same as `is_of_the_machine` of an error of which only the text is left."""
    return any(words in text for words in _IN_WORDS)


def is_of_the_machine(error: BaseException) -> bool:
    """Whether an error, or one that led to it, says that a disk is full or read-only, or the lake out of reach."""
    return any(map(_says_so, _with_causes(error)))


def _says_so(error: BaseException) -> bool:
    match error:
        case LakeUnavailableError():
            return True
        case OSError():
            return error.errno in OUT_OF_ORDER
        case sqlite3.OperationalError():
            # Absent from errors that Python's module raises by itself.
            return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE in _SQLITE_SAYS
        case duckdb.IOException():
            return "No space left" in str(error)
    return False


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
