"""Readers that read while 20 publications are made, or 100: real processes, which the pipeline knows nothing of.

Every publication changes three tables together, so that each number in them is the publication's own: two
different numbers in one look are half a change.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from alumni_assets.publishing import DATABASE_KEY, publish
from alumni_assets.warehouse.tables import replace_content
from alumni_assets_tests.warehouse.surveys import Survey

# The time limit is for a publication that waits for a reader, which would be for ever.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

# Looks until its input is closed, and once more then. Prints what it saw, without repetitions: for each look the
# different numbers of each table.
READER = """
import json, select, sys, time

kind, folder = sys.argv[1:]
COLUMNS = {"publication": "generation", "job_roles": "alumni", "department_employment": "alumni"}

def connected():
    import duckdb

    # Without the prefix, DuckDB 2.0 reads the head of the file and then opens it again. In between, another file may
    # have taken its place, and connecting fails. So it is with the names of Parquet files, hence the open() below.
    return duckdb.connect(f"duckdb:{folder}/alumni.duckdb", read_only=True, config={"threads": 1})

def asked(connection):
    queries = [f"SELECT DISTINCT {column} FROM {table}" for table, column in COLUMNS.items()]
    return [[number for (number,) in connection.execute(query).fetchall()] for query in queries]

def returning():
    with connected() as connection:
        return asked(connection)

def lingering():
    with connected() as connection:
        before = asked(connection)
        time.sleep(0.3)
        return [sorted({*early, *late}) for early, late in zip(before, asked(connection))]

def parquet():
    import pyarrow.parquet as pq

    seen = []
    for table, column in COLUMNS.items():
        with pq.ParquetFile(f"{folder}/{table}.parquet") as file:
            seen.append(sorted({int(file.metadata.metadata[b"generation"]), *file.read()[column].to_pylist()}))
    return seen

def notebook():
    import pandas

    seen = []
    for table, column in COLUMNS.items():
        with open(f"{folder}/{table}.parquet", "rb") as file:
            seen.append(pandas.read_parquet(file)[column].unique().tolist())
    return seen

if kind == "staying":
    connection = connected()
    look = lambda: asked(connection)
else:
    look = globals()[kind]

looks = [look()]
print("ready", flush=True)
stopped = False
while not stopped:
    stopped = bool(select.select([sys.stdin], [], [], 0.1)[0])
    seen = look()
    if seen != looks[-1]:
        looks.append(seen)
print(json.dumps(looks))
"""
READERS = ("staying", "returning", "lingering", "parquet", "notebook")

Look = list[list[int]]


@dataclass(frozen=True)
class Outcome:
    """How many publications were to be made, the numbers of those that were, and who was still reading then.

    `looks` is what each reader saw.
    """

    wanted: int
    published: list[int]
    still_reading: set[str]
    looks: dict[str, list[Look]]


@contextmanager
def reader(kind: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A reader that has just been started, and is gone afterwards."""
    with subprocess.Popen(
        [sys.executable, "-c", READER, kind, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def publish_number(survey: Survey, number: int) -> int:
    """Publish tables that hold this number throughout; returns the publication's own number."""
    with survey.warehouse.writing() as connection:
        for table, group in (("job_roles", "job_role"), ("department_employment", "department")):
            # Of another size each time, so that no file fits the description of another.
            rows = f"range({500 + 37 * number % 400})"
            replace_content(
                connection, table, f"SELECT md5(concat(range, {number})) AS {group}, {number} AS alumni FROM {rows}"
            )
    return publish(survey.warehouse, survey.lake, NOW).generation


def wait_for_first_look(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()


def last_report(process: subprocess.Popen[str]) -> list[Look]:
    """What the reader saw, after its last look."""
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    looks: list[Look] = json.loads(out)
    return looks


@pytest.fixture(scope="module", params=[20, pytest.param(100, marks=pytest.mark.long)])
def outcome(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Outcome:
    survey = Survey(tmp_path_factory.mktemp("readers"))
    first = publish_number(survey, 1)
    folder = Path(survey.lake.url("published"))
    with ExitStack() as stack:
        readers = {kind: stack.enter_context(reader(kind, folder)) for kind in READERS}
        for process in readers.values():
            wait_for_first_look(process)
        published = [first, *(publish_number(survey, number) for number in range(2, request.param + 1))]
        still_reading = {kind for kind, process in readers.items() if process.poll() is None}
        looks = {kind: last_report(process) for kind, process in readers.items()}
    return Outcome(request.param, published, still_reading, looks)


def numbers(look: Look) -> set[int]:
    return {number for table in look for number in table}


def test_no_reader_stops_a_publication(outcome: Outcome) -> None:
    assert outcome.published == list(range(1, outcome.wanted + 1))
    assert outcome.still_reading == set(READERS)


def test_a_connection_that_stays_open_sees_its_first_state_to_the_end(outcome: Outcome) -> None:
    assert outcome.looks["staying"] == [[[1], [1], [1]]]


@pytest.mark.parametrize("kind", ["returning", "lingering"])
def test_the_database_never_shows_half_a_change(outcome: Outcome, kind: str) -> None:
    looks = outcome.looks[kind]
    assert [look for look in looks if len(numbers(look)) != 1] == []
    seen = [look[0][0] for look in looks]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (1, outcome.wanted)
    assert len(seen) > 2


@pytest.mark.parametrize("kind", ["parquet", "notebook"])
def test_a_parquet_file_is_always_whole_and_of_one_publication(outcome: Outcome, kind: str) -> None:
    looks = outcome.looks[kind]
    assert [look for look in looks if any(len(table) != 1 for table in look)] == []
    for seen in zip(*looks, strict=True):
        assert list(seen) == sorted(seen)
    assert (numbers(looks[0]), numbers(looks[-1])) == ({1}, {outcome.wanted})
    assert len(looks) > 2


def test_a_program_sees_the_new_state_once_it_has_closed_its_connections(survey: Survey) -> None:
    """DuckDB shares an open file among a program's connections; docs/power-bi.md tells readers so."""
    path = f"duckdb:{survey.lake.url(DATABASE_KEY)}"

    def generation(connection: duckdb.DuckDBPyConnection) -> list[tuple[int]]:
        return connection.execute("SELECT generation FROM publication").fetchall()

    publish_number(survey, 1)
    with duckdb.connect(path, read_only=True) as early:
        publish_number(survey, 2)
        with duckdb.connect(path, read_only=True) as late:
            assert [generation(early), generation(late)] == [[(1,)], [(1,)]]
    with duckdb.connect(path, read_only=True) as after:
        assert generation(after) == [(2,)]
