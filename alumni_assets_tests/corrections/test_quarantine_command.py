"""`alumni quarantine` and `alumni waive`, and what `alumni run` and `alumni status` say of corrections."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alumni_assets import layout

from ..pipeline.answers import answer, answers, csv_bytes
from ..pipeline.conftest import APPROVER, Pipeline
from ..pipeline.test_command import Alumni
from .returns import assert_accounted, correction, lives, term

pytestmark = pytest.mark.slow


@pytest.fixture
def upload(alumni: Alumni, pipeline: Pipeline) -> str:
    """An upload of ten rows, of which the last two are set aside."""
    pipeline.put("term.csv", csv_bytes(term()))
    assert alumni("run", "--approve").status == 0
    return pipeline.upload_of("term.csv")


def test_corrections_are_taken_in_approved_and_told_as_such(alumni: Alumni, pipeline: Pipeline, upload: str) -> None:
    pipeline.put("fixed.csv", correction(upload, {9: answer(9), 10: answer(10, Email="x")}))
    (line,) = alumni("run", "--json").report["uploads"]
    fix = pipeline.upload_of("fixed.csv")
    assert line == {
        "upload": fix,
        "status": "correction",
        "rows": 2,
        "valid": 1,
        "invalid": 1,
        "reason": f"Corrects {upload}.",
    }
    ended = alumni("run", "--approve", "--json")
    assert (ended.report["alumni"], ended.standings) == (9, {"fixed.csv": "transformed"})
    lines = {entry["upload"]: list(entry.values())[1:] for entry in alumni("status", "--json").report["uploads"]}
    assert lines == {
        upload: ["transformed", 10, 8, 2, None],
        fix: ["transformed", 2, 1, 1, f"Corrects {upload}."],
    }
    assert alumni("run", "--approve", "--json").report["uploads"] == []
    assert_accounted(pipeline)


def test_the_quarantine_is_listed_as_one_json_object(alumni: Alumni, pipeline: Pipeline, upload: str) -> None:
    pipeline.put("fixed.csv", correction(upload, {9: answer(9), 3: answer(3)}))
    assert alumni("run").status == 0
    fix = pipeline.upload_of("fixed.csv")
    ended = alumni("quarantine", "--json")
    first, second, stray = json.loads(ended.out)["rows"]
    email = {
        "column": "Email",
        "code": "not_an_email",
        "message": "This is not a complete e-mail address, such as name@school.edu.ph.",
        "suggestion": None,
    }
    rating = {
        "column": "Performance_Rating",
        "code": "not_a_rating",
        "message": "A performance rating is a whole number from 1 to 5.",
        "suggestion": None,
    }
    since = f"{pipeline.facts.seen[upload].received_at:%Y-%m-%d %H:%M:%S}"
    life = {"returned_in": None, "waived_by": None, "waiver_reason": None}
    assert first == {
        "upload": upload,
        "row": 9,
        "row_in_file": 10,
        "status": "resolved",
        "since": since,
        "problems": [email],
        "corrected_by": fix,
        **life,
    }
    assert second == {
        **first,
        "row": 10,
        "row_in_file": 11,
        "status": "open",
        "problems": [email, rating],
        "corrected_by": None,
    }
    assert (stray["upload"], stray["row"], stray["row_in_file"], stray["status"]) == (fix, 2, 3, "open")
    assert [problem["code"] for problem in stray["problems"]] == ["no_such_row"]
    assert (ended.status, ended.err) == (0, "")

    def rows(*options: str) -> list[tuple[str, int]]:
        return [(row["upload"], row["row"]) for row in json.loads(alumni("quarantine", "--json", *options).out)["rows"]]

    assert rows("--open") == [(upload, 10), (fix, 2)]
    assert rows("--upload", upload) == [(upload, 9), (upload, 10)]
    assert rows("--upload", fix, "--open") == [(fix, 2)]


def test_the_quarantine_is_listed_for_people(alumni: Alumni, pipeline: Pipeline, upload: str) -> None:
    rows = {9: answer(9), 10: answer(10, Department="Marketting")}
    pipeline.put("fixed.csv", correction(upload, rows))
    assert alumni("run").status == 0
    fix = pipeline.upload_of("fixed.csv")
    assert alumni("quarantine").out.splitlines() == [
        f"{upload}  _row 9 (row 10 of the file): resolved by {fix}",
        "    Email: This is not a complete e-mail address, such as name@school.edu.ph.",
        f"{upload}  _row 10 (row 11 of the file): open, came back still wrong in {fix}",
        "    Department: The answer is not one of the possible ones. Did you mean Marketing?",
    ]
    assert alumni("waive", upload, "10", "--reason", "she left", "--by", "Ben Cruz").status == 0
    assert f"{upload}  _row 10 (row 11 of the file): waived by Ben Cruz: she left" in alumni("quarantine").out
    ended = alumni("quarantine", "--open")
    assert (ended.status, ended.out) == (0, "No rows.\n")
    assert json.loads(alumni("quarantine", "--open", "--json").out) == {"rows": []}


def test_no_cell_of_the_survey_is_listed(alumni: Alumni, pipeline: Pipeline) -> None:
    secret = answer(31, Email="secret-nobody", Employee_Name="Secreta", Department="Secretariat", Phone_Number="secret")
    pipeline.put("term.csv", csv_bytes([*answers(1, 9), secret]))
    assert alumni("run").status == 0
    for options in ((), ("--json",)):
        assert "secret" not in alumni("quarantine", *options).out.lower()


def test_rows_are_waived_and_the_tables_renewed_at_once(alumni: Alumni, pipeline: Pipeline, upload: str) -> None:
    ended = alumni("waive", upload, "9-10", "--reason", "graduated abroad", "--json")
    (line,) = ended.report["uploads"]
    assert (ended.status, list(line.values())) == (0, [upload, "transformed", 10, 8, 2, None])
    assert pipeline.published("SELECT source_row, status, waived_by, waiver_reason FROM quarantine ORDER BY 1") == [
        (9, "waived", APPROVER, "graduated abroad"),
        (10, "waived", APPROVER, "graduated abroad"),
    ]
    check = pipeline.check("invalid_survey", "no_open_rows", upload)
    assert check is not None
    assert check.passed
    assert_accounted(pipeline)


def test_an_upload_whose_damaged_entry_was_deleted_stops_nothing_until_it_is_taken_in_again(
    alumni: Alumni, pipeline: Pipeline, upload: str
) -> None:
    pipeline.put("other.csv", csv_bytes(term(50)))
    assert alumni("run").status == 0
    pipeline.lake.delete(layout.fact_key("seen", upload))
    listed = alumni("quarantine", "--json")
    assert (listed.status, len(json.loads(listed.out)["rows"])) == (0, 2)


def test_the_table_for_people_has_the_rows_that_are_open(alumni: Alumni, upload: str) -> None:
    def shown(*arguments: str) -> list[str]:
        (line,) = [line for line in alumni(*arguments).out.splitlines() if "transformed" in line]
        return line.split()[2:6]

    assert shown("status") == ["10", "8", "2", "2"]
    assert shown("waive", upload, "9", "--reason", "left") == ["10", "8", "2", "1"]


def test_an_upload_with_too_many_open_rows_is_approved_by_the_pass_after_they_are_waived(
    alumni: Alumni, pipeline: Pipeline
) -> None:
    pipeline.put("term.csv", csv_bytes([*answers(1, 6), *answers(7, 4, Email="nobody")]))
    assert alumni("run", "--approve", "--json").standings == {"term.csv": "validated"}
    upload = pipeline.upload_of("term.csv")
    (line,) = alumni("waive", upload, "7", "8", "--reason", "left", "--json").report["uploads"]
    assert (line["status"], line["reason"]) == ("validated", None)
    ended = alumni("run", "--approve", "--json")
    assert (ended.standings, ended.report["alumni"]) == ({"term.csv": "transformed"}, 6)


@pytest.mark.parametrize(
    "arguments",
    [
        ("waive",),
        ("waive", "{upload}"),
        ("waive", "{upload}", "9"),
        ("waive", "{upload}", "9", "--reason", " "),
        ("waive", "{upload}", "9", "--reason", "left", "--by", ""),
        ("waive", "{upload}", "8", "--reason", "left"),
        ("waive", "{upload}", "nine", "--reason", "left"),
        ("waive", "{upload}", "1-10", "--reason", "left"),
        ("waive", "no.csv@00000000", "all", "--reason", "left"),
        ("quarantine", "--upload", "no.csv@00000000"),
        ("quarantine", "--closed"),
    ],
    ids=" ".join,
)
def test_a_mistake_in_the_call_is_told_with_status_2_and_changes_nothing(
    alumni: Alumni, pipeline: Pipeline, upload: str, arguments: tuple[str, ...]
) -> None:
    ended = alumni(*[argument.format(upload=upload) for argument in arguments])
    assert (ended.status, ended.out) == (2, "")
    assert "Error: " in ended.err
    assert lives(pipeline, upload) == {9: "open", 10: "open"}


def test_a_mistake_in_the_call_prints_no_half_of_a_json_object(alumni: Alumni, upload: str) -> None:
    ended = alumni("quarantine", "--json", "--upload", "no.csv@00000000")
    assert (ended.status, ended.out) == (2, "")


def test_revalidating_judges_uploads_before_their_corrections(
    alumni: Alumni, pipeline: Pipeline, changed_rules: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*answers(1, 20), answer(21, Email="nobody"), answer(22, Department="Tech"), answer(23, Email="x")]
    pipeline.put("term.csv", csv_bytes(rows))
    assert alumni("run", "--approve").status == 0
    upload = pipeline.upload_of("term.csv")
    pipeline.put("fixed.csv", correction(upload, {21: answer(21), 23: answer(23, Department="Tech")}))
    assert alumni("run", "--approve", "--json").report["alumni"] == 23
    fix = pipeline.upload_of("fixed.csv")
    monkeypatch.setenv("ALUMNI_SURVEY", str(changed_rules(vocabularies={"department": ["HR"]})))
    ended = alumni("revalidate", "--json")
    assert (ended.status, ended.report["alumni"]) == (0, 23)
    assert {line["upload"]: line["invalid"] for line in ended.report["uploads"]} == {upload: 3, fix: 1}
    assert lives(pipeline, upload) == {21: "resolved", 22: "open", 23: "open"}
    assert alumni("run", "--approve", "--json").report["alumni"] == 21
    assert_accounted(pipeline)
