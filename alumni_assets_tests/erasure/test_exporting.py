"""`alumni export`: all that is held about a person, and nothing of anybody else."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ..pipeline.conftest import Pipeline
from .conftest import EMAIL, ID, NAME, Alumni, World

pytestmark = pytest.mark.slow


@pytest.fixture
def pipeline(pipeline_before: Pipeline) -> Pipeline:
    """What the command works on: nobody is erased yet."""
    return pipeline_before


def test_the_person_gets_every_row_with_its_lineage_and_nobody_elses(
    erased: World, alumni: Alumni, tmp_path: Path
) -> None:
    file = tmp_path / "person.json"
    done = alumni("export", ID, "--to", str(file))
    assert (done.status, done.out) == (0, f"16 rows in 9 uploads: {file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    held: dict[str, Any] = json.loads(file.read_text())
    names = {upload: key for key, upload in erased.uploads.items()}
    by_key = {names[about["upload"]]: about for about in held["uploads"]}
    rows = {key: [row["row"] for row in about["rows"]] for key, about in by_key.items()}
    assert rows == {
        "term.csv": [5, 22, 24, 26],
        "copy of term.csv": [5, 22, 24, 26],
        "fix.csv": [1, 3],
        "windows.txt": [2],
        "packed.csv.gz": [1],
        "book.xlsx": [2],
        "old.csv": [1],
        "old.csv, newer": [2],
        "gone.csv": [2],
    }
    assert held["uploads_that_could_not_be_read"] == [erased.uploads["no table.csv"]]
    assert held["uploads_whose_files_are_gone"] == []
    term = by_key["term.csv"]
    assert term["status"] == "transformed"
    assert [(one["decision"], one["by"]) for one in term["decisions"]] == [("approved", "Ana Reyes")]
    assert term["rows"][0]["cells"]["Employee_Name"] == NAME
    assert term["rows"][0]["row_in_file"] == 6
    assert [row["email"] for row in term["valid"]] == [EMAIL]
    assert [row["source_row"] for row in term["set_aside"]] == [22, 24, 26]
    assert [row["source_row"] for row in by_key["fix.csv"]["transformed"]] == [22, 26]
    assert by_key["gone.csv"]["status"] == "withdrawn"
    assert len(term["archived"]) == 3
    assert len(held["published"]["alumni"]) == 1
    assert [row["source_row"] for row in held["published"]["quarantine"]] == [22, 24, 26]
    assert len(held["published"]["survey_responses"]) == 7
    assert "valerie" not in file.read_text().lower()

    again = alumni("export", ID, "--to", str(file))
    assert (again.status, "exists" in again.err) == (1, True)
    assert json.loads(alumni("export", f"00{ID}.0").out)["uploads"] == held["uploads"]
    assert json.loads(alumni("export", "4711").out)["uploads"] == []
    assert alumni("export", "nobody").status == 2
