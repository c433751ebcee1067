"""Copies in `ALUMNI_HOME`: which are begun anew, and which are not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from alumni_assets.copies import begun_anew_if_damaged


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy with one row."""
    path = tmp_path / "copy.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE facts (body TEXT)")
        database.execute("INSERT INTO facts VALUES ('seen')")
    return path


def add_to(path: Path, body: str) -> list[str]:
    with closing(sqlite3.connect(path, timeout=0)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS facts (body TEXT)")
        database.execute("INSERT INTO facts VALUES (?)", (body,))
        return [found for (found,) in database.execute("SELECT body FROM facts")]


def test_a_copy_that_is_no_database_is_begun_anew(copy: Path) -> None:
    copy.write_bytes(b"no database at all")
    assert begun_anew_if_damaged(copy, lambda: add_to(copy, "transformed")) == ["transformed"]


def test_a_copy_that_is_locked_is_kept(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            begun_anew_if_damaged(copy, lambda: add_to(copy, "transformed"))
    assert begun_anew_if_damaged(copy, lambda: add_to(copy, "transformed")) == ["seen", "transformed"]


def test_a_copy_whose_disk_is_full_is_kept(copy: Path) -> None:
    def fill() -> None:
        with closing(sqlite3.connect(copy)) as database, database:
            database.execute("PRAGMA max_page_count = 2")
            database.execute("INSERT INTO facts VALUES (?)", ("seen" * 10_000,))

    with pytest.raises(sqlite3.OperationalError, match="full"):
        begun_anew_if_damaged(copy, fill)
    assert add_to(copy, "transformed") == ["seen", "transformed"]


def test_an_error_that_comes_of_no_file_is_raised(copy: Path) -> None:
    def misuse() -> None:
        raise sqlite3.ProgrammingError("Cannot operate on a closed database.")

    with pytest.raises(sqlite3.ProgrammingError):
        begun_anew_if_damaged(copy, misuse)
    assert copy.exists()
