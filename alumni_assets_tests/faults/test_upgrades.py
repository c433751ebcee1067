"""What the first version wrote is read by today's, and so is today's by one that knows more columns and words.

`earlier/857b9a7.tar.xz` holds the lake and the home of the first commit that had both, after its own `alumni run` had
taken in and approved survey.csv, term.csv (two rows set aside) and gone.csv, and rejected notes.pdf; gone.csv was
withdrawn then, and waits.csv taken in.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from dagster import DagsterRunStatus

import alumni_assets
from alumni_assets import contract, queries
from alumni_assets.contract import Contract, default_contract
from alumni_assets.instance import open_instance

from ..corrections.returns import handed_out, lives
from ..pipeline.answers import HEADER, answer, answers, csv_bytes
from ..pipeline.conftest import APPROVER, Pipeline
from ..pipeline.test_sensors import tick
from . import life

pytestmark = pytest.mark.slow
STANDING = {
    "gone.csv@cffbee8a": "withdrawn",
    "notes.pdf@86edbaa2": "rejected",
    "survey.csv@c1795f2e": "transformed",
    "term.csv@ad2349de": "transformed",
    "waits.csv@997407e9": "validated",
}


NEW_COLUMN = """\
    Column(
        "graduation_year",
        "Graduation Year",
        "string",
        "The year of graduation.",
        "Any text.",
        (),
        required=False,
        example="2019",
    ),
"""
_LAST_COLUMN_ENDS = """\
        example="2026-11-20 08:15:00",
    ),
"""
_WITH_THE_COLUMNS = (
    "alumni_history",
    "deduplication",
    "exact_duplicates",
    "placed_rows",
    "quarantine",
    "returned_rows",
)


@pytest.fixture
def earlier_files(tmp_path: Path) -> Path:
    with tarfile.open(Path(__file__).parent / "earlier" / "857b9a7.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def earlier(earlier_files: Path) -> Iterator[Pipeline]:
    """Today's pipeline on what the first version left."""
    with open_instance(earlier_files / "home", None, earlier_files) as instance:
        yield Pipeline(earlier_files, instance=instance)


def alumni(pipeline: Pipeline) -> list[tuple[int, str, int]]:
    return pipeline.published("SELECT employee_id, upload, source_row FROM alumni ORDER BY ALL")


def test_a_lake_and_an_instance_of_the_first_version_go_on_also_with_a_new_word(
    earlier: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    assert earlier.statuses() == STANDING
    assert {(made.by, made.note) for made in earlier.facts.decisions["term.csv@ad2349de"]} == {(APPROVER, "the first")}
    assert {run.status for run in earlier.instance.get_runs()} == {DagsterRunStatus.SUCCESS}
    kept = alumni(earlier)
    assert len(kept) == 37
    departments = [*default_contract().vocabulary("department"), "Kitchen"]
    earlier.use_rules(changed_rules(vocabularies={"department": departments}))
    new = earlier.put_and_take_in("new.csv", csv_bytes(answers(900, 2, Department="kitchen")))
    assert earlier.ingested(new).valid == 2
    earlier.approve_only(new)
    assert earlier.materialize("deduplicated_survey").success
    assert earlier.statuses() == {**STANDING, new: "transformed"}
    assert earlier.alumni_rows() == [*kept, (900, new, 1), (901, new, 2)]


@pytest.mark.long
def test_rows_that_the_first_version_set_aside_are_corrected_and_what_it_left_waiting_is_approved(
    earlier: Pipeline,
) -> None:
    assert not tick(earlier, "unarchived_uploads").run_requests
    (request,) = tick(earlier, "lost_uploads").run_requests  # they lack the files for the reviewer
    assert earlier.enter_again(*request.run_config["ops"]["take_in"]["config"]["uploads"]).success
    assert [row["_row"] for row in handed_out(earlier, "term.csv@ad2349de")] == ["29", "30"]
    life.correct(earlier)
    assert life.take_in(earlier).success
    life.give_up_a_row(earlier)
    assert life.approve(earlier).success
    assert lives(earlier, "term.csv@ad2349de") == {29: "resolved", 30: "waived"}
    assert len(alumni(earlier)) == 37 + 1 + 3
    assert earlier.statuses() == {
        **STANDING,
        "waits.csv@997407e9": "transformed",
        earlier.upload_of("back.csv"): "transformed",
    }


@pytest.mark.long
def test_a_new_column_needs_no_migration_of_what_is_stored(earlier_files: Path) -> None:
    """It is added to a copy of the code: to the contract, and to the SQL that names every column.

    Rows that differ in nothing else are two answers then, and two periods.
    """
    code = earlier_files / "code" / "alumni_assets"
    shutil.copytree(Path(alumni_assets.__file__).parent, code)
    contract = (code / "contract.py").read_text(encoding="utf-8")
    assert contract.count(_LAST_COLUMN_ENDS) == 1
    (code / "contract.py").write_text(contract.replace(_LAST_COLUMN_ENDS, _LAST_COLUMN_ENDS + NEW_COLUMN))
    for name in _WITH_THE_COLUMNS:
        lines = (code / "sql" / f"{name}.sql").read_text(encoding="utf-8").splitlines()
        named = [number for number, line in enumerate(lines) if re.search(r"\bperformance_rating(,$| = lag)", line)]
        for number in reversed(named):
            line = lines[number].replace("performance_rating", "graduation_year")
            lines.insert(number + 1, line.replace(" = lag", " IS NOT DISTINCT FROM lag"))
        (code / "sql" / f"{name}.sql").write_text("\n".join(lines), encoding="utf-8")
    header = (*HEADER, "Graduation Year")
    years = csv_bytes([answer(900) | {"Graduation Year": year} for year in ("2019", "2020")], header=header)
    (earlier_files / "lake" / "raw" / "years.csv").write_bytes(years)

    done = subprocess.run(
        [sys.executable, "-c", "from alumni_assets.cli import main; main()", "run", "--approve", "--json"],
        cwd=earlier_files,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(code.parent),
            "ALUMNI_LAKE": str(earlier_files / "lake"),
            "ALUMNI_HOME": str(earlier_files / "home"),
            "ALUMNI_APPROVER": APPROVER,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {row["status"] for row in json.loads(done.stdout)["uploads"]} == {"transformed"}
    with duckdb.connect(earlier_files / "lake" / "published" / "alumni.duckdb", read_only=True) as connection:
        counted = connection.execute("SELECT graduation_year, count(*) FROM alumni GROUP BY ALL ORDER BY ALL")
        assert counted.fetchall() == [("2020", 1), (None, 40)]
        periods = "SELECT graduation_year FROM alumni_history WHERE employee_id = 900 ORDER BY period"
        assert connection.execute(periods).fetchall() == [("2019",), ("2020",)]


@pytest.mark.parametrize("query", _WITH_THE_COLUMNS)
def test_queries_about_whole_rows_name_every_column(query: str) -> None:
    """A row's period is dated in another way."""
    named = set(re.findall(r"\w+", queries.query(query)))
    assert set(contract.NAMES) - named <= ({"submission_date"} if query == "alumni_history" else set())


def test_the_contract_has_a_version_that_what_is_judged_by_it_remembers(pipeline: Pipeline) -> None:
    """Another version judges anew only on `alumni revalidate`, as other rules do."""
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(answers(1)))
    assert pipeline.ingested(upload).contract == default_contract().hash
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contract, "VERSION", contract.VERSION + 1)
        assert Contract(default_contract().rules).hash != pipeline.ingested(upload).contract
