"""What readers find under published/, and that no interruption leaves it wrong for good."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from alumni_assets.publishing import (
    DATA_SOURCE_KEY,
    DATABASE_KEY,
    DICTIONARY_KEY,
    Publication,
    has_published_rows,
    publish,
    table_key,
)
from alumni_assets.queries import ANSWERS
from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.resources.lake_interface import LakeError
from alumni_assets.resources.warehouse import WarehouseResource, WarehouseWriter
from alumni_assets.warehouse.answers import refresh_answer
from alumni_assets.warehouse.tables import TABLES, replace_content, unpublished_tables
from alumni_assets_tests.warehouse.surveys import Survey, response

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ALL_BUT_THE_NUMBER = tuple(name for name in TABLES if name != "publication")

pytestmark = pytest.mark.slow

READER = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    for line in sys.stdin:
        (answer,) = connection.execute("SELECT generation, (SELECT count(*) FROM alumni) FROM publication").fetchall()
        print(*answer, flush=True)
"""


class KilledError(Exception):
    """Stands for a kill: nothing after it happens."""


class InterruptedLake(FolderLake):
    """A lake that stops the program at the given step, counted over everything that changes or lists the lake."""

    def __init__(self, root: Path, stop_at: int) -> None:
        super().__init__(root)
        self.steps_left = stop_at

    def step(self) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise KilledError

    def list(self, prefix: str) -> Iterator[Any]:
        self.step()
        return super().list(prefix)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        self.step()
        with super().writing(key) as path:
            yield path
            self.step()
        self.step()

    def delete(self, key: str) -> None:
        self.step()
        super().delete(key)
        self.step()


@pytest.fixture(scope="module")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    survey = Survey(folder)
    survey.transformed("a", response(1), response(2, performance_rating=5))
    survey.transformed("b", response(3, job_role="Baker"))
    take_in(survey, "a")
    publish(survey.warehouse, survey.lake, NOW)
    return folder


@pytest.fixture
def published(published_once: Path, tmp_path: Path) -> Survey:
    """A survey with two alumni of upload a, published as number 1; upload b has a third and does not count yet."""
    shutil.copytree(published_once, tmp_path, dirs_exist_ok=True)
    return Survey(tmp_path)


def take_in(survey: Survey, *uploads: str) -> None:
    survey.merge(*uploads)
    with survey.warehouse.writing() as connection:
        for answer in ANSWERS:
            refresh_answer(connection, answer)


def change_job_roles(survey: Survey) -> None:
    with survey.warehouse.writing() as connection:
        assert replace_content(connection, "job_roles", "SELECT 'Baker' AS job_role, 7 AS alumni")


@contextmanager
def opened_database(survey: Survey) -> Iterator[duckdb.DuckDBPyConnection]:
    with (
        survey.lake.local_copy(DATABASE_KEY) as path,
        closing(duckdb.connect(path, read_only=True)) as connection,
    ):
        yield connection


def from_database(survey: Survey, statement: str) -> list[tuple[Any, ...]]:
    with opened_database(survey) as connection:
        return connection.execute(statement).fetchall()


def from_parquet(survey: Survey, table: str) -> list[tuple[Any, ...]]:
    with survey.lake.local_copy(table_key(table)) as path:
        return [tuple(row.values()) for row in pq.read_table(path).to_pylist()]


def generation_of_parquet(survey: Survey, table: str) -> bytes:
    with survey.lake.local_copy(table_key(table)) as path:
        return pq.read_metadata(path).metadata[b"generation"]


def ordered(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=repr)


def assert_published_as_in_the_warehouse(survey: Survey) -> None:
    with survey.warehouse.writing() as connection:
        expected = {table: ordered(connection.execute(f"FROM {table}").fetchall()) for table in TABLES}
        assert unpublished_tables(connection) == set()
    with opened_database(survey) as connection:
        assert {table: ordered(connection.execute(f"FROM {table}").fetchall()) for table in TABLES} == expected
    assert {table: ordered(from_parquet(survey, table)) for table in TABLES} == expected
    ((generation, _),) = expected["publication"]
    assert f"\nPublication {generation}, " in survey.lake.read_bytes(DICTIONARY_KEY).decode()
    files = {DATABASE_KEY, DICTIONARY_KEY, DATA_SOURCE_KEY, *map(table_key, TABLES)}
    assert {entry.key for entry in survey.lake.list("published/")} == files


def test_every_table_is_published_in_the_database_and_as_parquet(survey: Survey) -> None:
    survey.transformed("a", response(1))
    take_in(survey, "a")
    assert publish(survey.warehouse, survey.lake, NOW) == Publication(1, ALL_BUT_THE_NUMBER)
    assert_published_as_in_the_warehouse(survey)


def test_an_empty_warehouse_is_published_with_all_its_columns(survey: Survey) -> None:
    publish(survey.warehouse, survey.lake, NOW)
    for name, table in TABLES.items():
        with survey.lake.local_copy(table_key(name)) as path:
            assert pq.read_schema(path).names == [column.name for column in table.columns]
    assert from_database(survey, "FROM alumni") == []


def test_readers_do_not_see_the_bookkeeping(published: Survey) -> None:
    assert from_database(published, "SELECT DISTINCT schema_name FROM duckdb_tables()") == [("main",)]
    described = from_database(published, "SELECT table_name, comment FROM duckdb_tables()")
    assert dict(described) == {name: table.description for name, table in TABLES.items()}


def test_the_number_and_the_time_in_utc_are_published(published: Survey) -> None:
    take_in(published, "a", "b")
    manila = NOW.astimezone(timezone(timedelta(hours=8))) + timedelta(hours=1)
    assert publish(published.warehouse, published.lake, manila).generation == 2
    assert from_database(published, "FROM publication") == [(2, datetime(2026, 11, 23, 13))]
    assert published.lake.read_bytes(DICTIONARY_KEY).decode().splitlines()[2] == "Publication 2, 2026-11-23 13:00 UTC."


def test_nothing_is_written_when_nothing_changed(published: Survey) -> None:
    before = {entry.key: entry.etag for entry in published.lake.list("published/")}
    take_in(published, "a")
    assert publish(published.warehouse, published.lake, NOW) == Publication(1, ())
    assert {entry.key: entry.etag for entry in published.lake.list("published/")} == before


def test_only_tables_that_changed_are_written_anew_and_bear_the_new_number(published: Survey) -> None:
    change_job_roles(published)
    assert publish(published.warehouse, published.lake, NOW) == Publication(2, ("job_roles",))
    assert generation_of_parquet(published, "job_roles") == b"2"
    assert generation_of_parquet(published, "publication") == b"2"
    assert generation_of_parquet(published, "top_employees") == b"1"
    assert [row[:2] for row in from_parquet(published, "job_roles")] == [("Baker", 7)]


@pytest.mark.parametrize(
    "key", [DATABASE_KEY, DICTIONARY_KEY, DATA_SOURCE_KEY, table_key("uploads"), table_key("publication")]
)
def test_a_missing_file_is_published_again(published: Survey, key: str) -> None:
    published.lake.delete(key)
    assert publish(published.warehouse, published.lake, NOW).generation == 2
    assert_published_as_in_the_warehouse(published)


def test_new_descriptions_are_published(published: Survey) -> None:
    with published.warehouse.writing() as connection:
        connection.execute("COMMENT ON COLUMN uploads.status IS 'what an earlier version said'")
    assert publish(published.warehouse, published.lake, NOW).generation == 2
    comments = from_database(published, "SELECT comment FROM duckdb_columns() WHERE column_name = 'status'")
    assert ("what an earlier version said",) not in comments


def test_the_number_goes_on_rising_when_the_warehouse_is_lost(published: Survey) -> None:
    published.warehouse.path.unlink()
    take_in(published, "b")
    assert publish(published.warehouse, published.lake, NOW) == Publication(2, ALL_BUT_THE_NUMBER)
    assert from_database(published, "SELECT employee_id FROM alumni") == [(3,)]


def nothing(_: bytes) -> bytes:
    return b""


def zeros(content: bytes) -> bytes:
    return b"\0" * len(content)


def without_its_end(content: bytes) -> bytes:
    return content[: len(content) // 2]


def with_a_broken_footer(content: bytes) -> bytes:
    footer = int.from_bytes(content[-8:-4], "little")
    return content[: -8 - footer] + b"\xff" * footer + content[-8:]


Damage = Callable[[bytes], bytes]


@pytest.mark.parametrize("changes", [True, False], ids=["with news", "without news"])
@pytest.mark.parametrize("damage", [nothing, zeros, without_its_end, with_a_broken_footer])
def test_a_damaged_parquet_file_of_the_number_does_not_stop_a_publication(
    published: Survey, damage: Damage, changes: bool
) -> None:
    key = table_key("publication")
    published.lake.put_bytes(key, damage(published.lake.read_bytes(key)))
    if changes:
        take_in(published, "a", "b")
    assert publish(published.warehouse, published.lake, NOW).generation == 2
    assert_published_as_in_the_warehouse(published)


@pytest.mark.parametrize("damage", [nothing, zeros, without_its_end])
def test_a_damaged_database_is_published_again(published: Survey, damage: Damage) -> None:
    published.lake.put_bytes(DATABASE_KEY, damage(published.lake.read_bytes(DATABASE_KEY)))
    assert publish(published.warehouse, published.lake, NOW) == Publication(2, ())
    assert_published_as_in_the_warehouse(published)


@pytest.mark.parametrize("damage", [nothing, zeros, with_a_broken_footer])
def test_where_a_table_is_damaged_readers_may_have_seen_rows_of_it(published: Survey, damage: Damage) -> None:
    key = table_key("alumni")
    assert has_published_rows(published.lake, "alumni")
    published.lake.put_bytes(key, damage(published.lake.read_bytes(key)))
    assert has_published_rows(published.lake, "alumni")
    published.lake.delete(key)
    assert not has_published_rows(published.lake, "alumni")


@pytest.mark.parametrize("key", [DICTIONARY_KEY, DATA_SOURCE_KEY, table_key("uploads")])
def test_an_empty_file_is_published_again(published: Survey, key: str) -> None:
    published.lake.put_bytes(key, b"")
    assert publish(published.warehouse, published.lake, NOW).generation == 2
    assert_published_as_in_the_warehouse(published)


def test_a_database_that_a_careless_reader_has_open_for_writing_is_not_damaged(published: Survey) -> None:
    with closing(duckdb.connect(published.lake.url(DATABASE_KEY))):
        assert publish(published.warehouse, published.lake, NOW) == Publication(1, ())


def test_a_log_that_a_careless_reader_left_is_not_applied(published: Survey) -> None:
    """Someone opens the published file for writing, and is killed before the change reaches the file."""
    folder = Path(published.lake.url("published"))
    careless = duckdb.connect(folder / "alumni.duckdb", config={"checkpoint_threshold": "1TB"})
    careless.execute("DELETE FROM alumni")
    log = (folder / "alumni.duckdb.wal").read_bytes()
    careless.close()
    (folder / "alumni.duckdb.wal").write_bytes(log)
    take_in(published, "a", "b")
    publish(published.warehouse, published.lake, NOW)
    assert_published_as_in_the_warehouse(published)


def test_a_reader_keeps_its_state_while_new_ones_are_published(published: Survey) -> None:
    """A second process has the published file open; it sees one state throughout, and the next process the new."""
    path = Path(published.lake.url(DATABASE_KEY))

    def asked(reader: subprocess.Popen[str]) -> str:
        assert reader.stdin is not None
        assert reader.stdout is not None
        print("?", file=reader.stdin, flush=True)
        return reader.stdout.readline()

    with reading(path) as early:
        assert asked(early) == "1 2\n"
        take_in(published, "a", "b")
        assert publish(published.warehouse, published.lake, NOW).generation == 2
        with reading(path) as late:
            assert asked(early) == "1 2\n"
            assert asked(late) == "2 3\n"
            take_in(published, "b")
            assert publish(published.warehouse, published.lake, NOW).generation == 3
            assert asked(late) == "2 3\n"
    assert from_database(published, "SELECT count(*) FROM alumni") == [(1,)]


@contextmanager
def reading(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", READER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupted_anywhere(survey: Survey, attempt: Callable[[FolderLake], object]) -> int:
    """Try, on a fresh copy each time, to publish with an interruption one step later; returns how many there were."""
    root, home = Path(survey.lake.url("")), Path(survey.warehouse.home)
    saved = root.parent / "saved"
    shutil.copytree(root, saved / "lake")
    shutil.copytree(home, saved / "home")
    for step in range(1000):
        for folder in (root, home):
            shutil.rmtree(folder)
            shutil.copytree(saved / folder.name, folder)
        try:
            attempt(InterruptedLake(root, step))
        except KilledError:
            publish(survey.warehouse, survey.lake, NOW)
            assert_published_as_in_the_warehouse(survey)
        else:
            return step
    raise AssertionError("the publication never came to its end")


def test_a_publication_interrupted_at_any_step_in_the_lake_is_made_good_by_the_next(published: Survey) -> None:
    change_job_roles(published)
    steps = interrupted_anywhere(published, lambda lake: publish(published.warehouse, lake, NOW))
    # The listing, the log's removal, and five files: a table, the database, the dictionary, the file for Power BI and
    # the number's table.
    assert steps == 1 + 2 + 3 * 5


def test_an_interruption_while_a_missing_file_is_made_again_is_made_good_by_the_next(published: Survey) -> None:
    published.lake.delete(table_key("uploads"))
    listing, parquet_file = 1, 3
    with pytest.raises(KilledError):
        publish(published.warehouse, InterruptedLake(Path(published.lake.url("")), listing + parquet_file), NOW)
    assert generation_of_parquet(published, "uploads") == b"2"
    assert publish(published.warehouse, published.lake, NOW).generation == 3
    assert_published_as_in_the_warehouse(published)


@pytest.mark.parametrize(("transaction", "moment"), [(1, "within"), (2, "before"), (3, "before"), (3, "within")])
def test_a_publication_interrupted_around_a_transaction_is_made_good_by_the_next(
    published: Survey, monkeypatch: pytest.MonkeyPatch, transaction: int, moment: str
) -> None:
    """The first transaction enters the new number, the last that all is published; files are written between."""
    take_in(published, "a", "b")
    ordinary, begun = WarehouseWriter.transaction, 0

    @contextmanager
    def interrupted(writer: WarehouseWriter) -> Iterator[duckdb.DuckDBPyConnection]:
        nonlocal begun
        begun += 1
        stop = moment if begun == transaction else ""
        if stop == "before":
            raise KilledError
        with ordinary(writer) as connection:
            yield connection
            if stop == "within":
                raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(WarehouseWriter, "transaction", interrupted)
        with pytest.raises(KilledError):
            publish(published.warehouse, published.lake, NOW)
    publish(published.warehouse, published.lake, NOW)
    assert_published_as_in_the_warehouse(published)


def test_after_another_instance_has_published_everything_is_published_again(published: Survey, tmp_path: Path) -> None:
    """It may have come to another result; readers would have some tables of the one and some of the other."""
    other = Survey(tmp_path)
    other.warehouse = WarehouseResource(home=str(tmp_path / "other home"))
    take_in(other, "b")
    assert publish(other.warehouse, other.lake, NOW) == Publication(2, ALL_BUT_THE_NUMBER)
    assert_published_as_in_the_warehouse(other)
    change_job_roles(published)
    assert publish(published.warehouse, published.lake, NOW + timedelta(hours=1)) == Publication(3, ALL_BUT_THE_NUMBER)
    assert_published_as_in_the_warehouse(published)


def test_an_interruption_after_another_instance_has_published_is_made_good_by_the_next(
    published: Survey, tmp_path: Path
) -> None:
    other = Survey(tmp_path)
    other.warehouse = WarehouseResource(home=str(tmp_path / "other home"))
    take_in(other, "b")
    publish(other.warehouse, other.lake, NOW)
    steps = interrupted_anywhere(published, lambda lake: publish(published.warehouse, lake, NOW))
    assert steps > 3 * len(TABLES)


def test_who_publishes_to_a_folder_at_the_same_time_waits_or_is_refused(published: Survey, tmp_path: Path) -> None:
    impatient = WarehouseResource(home=str(tmp_path / "other home"), lock_timeout_seconds=0.1)
    with (
        published.lake.alone("publishing", 1),
        pytest.raises(LakeError, match=rf"process {os.getpid()} \(this one\)\. Wait until that process is done"),
    ):
        publish(impatient, published.lake, NOW)
    assert publish(impatient, published.lake, NOW).generation == 2
