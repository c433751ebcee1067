"""The tables below the approval are the same whether DuckDB runs the queries or Spark."""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from alumni_assets import layout
from alumni_assets.contract import default_contract
from alumni_assets.queries import DERIVED_QUERIES, TABLE_OF_QUERY
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.spark.engine import RunJob, SparkEngine
from alumni_assets.spark.request import Request
from alumni_assets.stages.engine import Counting, Derivation, EngineError, LocalEngine
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.warehouse.answers import refresh_answer
from alumni_assets.warehouse.history import refresh_history
from alumni_assets.warehouse.merging import merge_uploads

from ..warehouse.surveys import RECEIVED, Row, response, write_transformed
from .conftest import MEMORY, Side

pytestmark = pytest.mark.slow

ANSWERED = [name for name in DERIVED_QUERIES if name not in TABLE_OF_QUERY and name != "alumni_history"]
ROLES = ("Teacher", "Data Analyst", "HR Specialist", "Ñandú Keeper", "teacher's aide", "Ángel")


class Tables:
    """A lake with transformed uploads, and warehouses into which tables are made from them."""

    def __init__(self, folder: Path, run_job: RunJob) -> None:
        self._folder = folder
        self.side = Side(folder / "lake", default_contract(), run_job)
        self.versions: dict[str, str] = {}

    def add(self, upload: str, rows: Sequence[Row], received_at: datetime = RECEIVED) -> None:
        with self.side.lake.writing(layout.transformed_key(upload)) as path:
            write_transformed(path, upload, rows, received_at)
            self.versions[upload] = sha256_of(path)

    def forget_corrections(self, upload: str) -> None:
        """Let the rows of an upload be stored as they were before there were corrections."""
        with self.side.lake.local_copy(layout.transformed_key(upload)) as path:
            pq.write_table(pq.read_table(path).drop(["corrected_by"]), path)
            self.versions[upload] = sha256_of(path)

    def made_here(self, corrections: Sequence[str] = ()) -> Mapping[str, list[Any]]:
        engine = LocalEngine(self.side.lake, self.side.contract, MEMORY)
        return self._tables("here", engine.derive(lambda: self._counting(corrections)), corrections)

    def made_on_spark(self, corrections: Sequence[str] = ()) -> Mapping[str, list[Any]]:
        assert isinstance(self.side.engine, SparkEngine)
        return self._tables("there", self.side.engine.derive(lambda: self._counting(corrections)), corrections)

    def _counting(self, corrections: Sequence[str]) -> Counting:
        return Counting(dict(self.versions), corrections)

    def _tables(self, home: str, derivation: Derivation, corrections: Sequence[str]) -> Mapping[str, list[Any]]:
        """Every table, those that have an order in theirs."""
        warehouse = WarehouseResource(home=str(self._folder / home), memory_limit=MEMORY)
        with warehouse.writing() as connection, derivation.on(connection) as rows_of:
            merge_uploads(connection, self.versions, self._parquet_of, corrections, rows_of)
            refresh_history(connection, "Asia/Manila", rows_of)
            for name in ANSWERED:
                refresh_answer(connection, name, rows_of)
            tables = {name: connection.execute(f"FROM {name}").fetchall() for name in ANSWERED}
            for name in ("survey_responses", "alumni", "alumni_history"):
                tables[name] = connection.execute(f"FROM {name} ORDER BY ALL").fetchall()
        return tables

    def _parquet_of(self, upload: str) -> Any:
        return self.side.lake.local_copy(layout.transformed_key(upload))


@pytest.fixture
def tables(tmp_path: Path, run_job: RunJob) -> Tables:
    return Tables(tmp_path, run_job)


def random_rows(seed: int, count: int, dated: bool) -> list[Row]:
    """Answers of few alumni, so that most have several, many of them at one time."""
    chance = random.Random(seed)
    contract = default_contract()
    return [
        response(
            chance.randrange(60),
            college_degree=chance.choice(contract.vocabulary("college_degree")),
            department=chance.choice(contract.vocabulary("department")),
            dmc_campus=chance.choice(contract.vocabulary("dmc_campus")),
            job_role=chance.choice(ROLES),
            performance_rating=chance.randint(1, 5),
            submission_date=_some_day(chance) if dated or chance.random() < 0.5 else None,
        )
        for _ in range(count)
    ]


def _some_day(chance: random.Random) -> datetime:
    return datetime(2026, 1, 31, 23, 59, 59) + timedelta(days=chance.randrange(120))


def test_alumni_who_answer_again_in_uploads_old_and_new_and_in_corrections(tables: Tables) -> None:
    original, first, second = "term 2.csv@11111111", "back.csv@22222222", "again.csv@33333333"
    for number in range(3):
        tables.add(f"term {number}.csv@{number:08x}", random_rows(number, 150, dated=True), _later(number // 2))
    tables.add(original, [row | {"source_row": number} for number, row in enumerate(random_rows(7, 20, True), 1)])
    mended = random_rows(8, 30, dated=True)
    for correction, numbers in ((first, range(20, 27)), (second, range(23, 30))):
        given = {"upload": original, "corrected_by": correction}
        tables.add(correction, [mended[number] | given | {"source_row": number + 1} for number in numbers])
    tables.forget_corrections("term 0.csv@00000000")
    found = tables.made_on_spark([first, second])
    assert found == tables.made_here([first, second])
    assert len(found["survey_responses"]) == 3 * 150 + 30
    assert len(found["alumni"]) > 50
    assert {row[0] for row in found["answer_trends"]} == {"month"}


@pytest.mark.long
def test_answers_without_a_date_and_tables_made_once_for_all_assets(tables: Tables) -> None:
    engine, jobs = tables.side.engine, list[Request]()
    assert isinstance(engine, SparkEngine)
    run_job = engine.run_job
    engine.run_job = lambda request: jobs.append(request) or run_job(request)  # type: ignore[func-returns-value]
    for number in range(3):
        tables.add(f"term {number}.csv@{number:08x}", random_rows(number, 50, dated=False), _later(number))
    found = tables.made_on_spark()
    assert found == tables.made_here()
    assert {row[0] for row in found["answer_trends"]} == {"batch"}
    tables.made_on_spark()
    assert len(jobs) == 1
    tables.add("term 0.csv@00000000", random_rows(9, 50, dated=False))
    assert tables.made_on_spark() == tables.made_here()
    assert len(jobs) == 2


def test_rows_that_are_not_the_ones_that_were_made_count_nowhere(tables: Tables) -> None:
    tables.add("term.csv@11111111", random_rows(1, 5, dated=True))
    tables.versions["term.csv@11111111"] = "another hash"
    with pytest.raises(EngineError, match=r"transformed rows of term.csv@11111111 have changed since they were made"):
        tables.made_on_spark()
    assert not list(tables.side.lake.list(layout.SPARK))


@pytest.mark.long
def test_without_any_upload_every_table_is_empty(tables: Tables) -> None:
    assert not any(tables.made_on_spark().values())


def _later(days: int) -> datetime:
    return RECEIVED + timedelta(days=days)
