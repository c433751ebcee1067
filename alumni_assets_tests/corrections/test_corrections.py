"""Rows that were set aside come back corrected: what is taken, what is not, and what becomes of each row."""

import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from alumni_assets import layout
from alumni_assets.assets import intake as intake_assets
from alumni_assets.register import Register
from alumni_assets.stages import approval
from alumni_assets.stages.intake import utc_now
from alumni_assets.survey.correction_workbook import KEPT

from ..pipeline.answers import HEADER, answer, answers, csv_bytes, csv_text, gzipped, workbook_of
from ..pipeline.conftest import APPROVER, Pipeline, failure_of
from .returns import (
    MARKS,
    NAMED,
    assert_accounted,
    codes,
    correction,
    handed_out,
    invalid_table,
    listed,
    lives,
    quarantine,
    responses,
    returned,
    survey_cells,
    term,
    transformed_table,
    valid_table,
)

pytestmark = pytest.mark.slow

EMAIL, RATING = ("Email", "not_an_email"), ("Performance_Rating", "not_a_rating")
A_YEAR_EARLIER = timedelta(days=365)


def open_rows_check(pipeline: Pipeline, upload: str) -> tuple[str, dict[str, Any]]:
    """How the check ended last for an upload, and its numbers."""
    evaluation = pipeline.check("invalid_survey", "no_open_rows", upload)
    assert evaluation is not None
    numbers = {
        name: evaluation.metadata[name].value
        for name in ("open_rows", "resolved_rows", "waived_rows")
        if name in evaluation.metadata
    }
    return "passed" if evaluation.passed else str(evaluation.severity.value), numbers


# What a correction gives


def test_a_corrected_row_keeps_its_place_and_says_which_correction_gave_its_cells(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {9: answer(9), 10: answer(10)}))
    assert pipeline.statuses() == {upload: "validated", fix: "correction"}
    found = pipeline.ingested(fix)
    assert (found.rows, found.valid, found.invalid, found.corrects, found.mends, found.strays) == (
        *(2, 2, 0),
        upload,
        ("9-10",),
        0,
    )
    assert [(row["upload"], row["source_row"], row["corrected_by"]) for row in valid_table(pipeline, fix)] == [
        (upload, 9, fix),
        (upload, 10, fix),
    ]
    pipeline.approve_only(upload, fix)
    assert pipeline.statuses() == {upload: "transformed", fix: "transformed"}
    received_at = pipeline.facts.seen[upload].received_at
    assert received_at < pipeline.facts.seen[fix].received_at
    assert [row["received_at"] for row in transformed_table(pipeline, fix)] == [received_at] * 2
    assert_accounted(pipeline)
    rows = pipeline.published("SELECT upload, source_row, employee_id, corrected_by, received_at FROM alumni")
    assert sorted(rows) == [
        *[(upload, number, number, None, received_at) for number in range(1, 9)],
        *[(upload, number, number, fix, received_at) for number in (9, 10)],
    ]
    assert set(quarantine(pipeline).values()) == {"resolved"}
    assert pipeline.published("SELECT DISTINCT corrected_by, returned_in FROM quarantine") == [(fix, None)]


def _given_back(upload: str) -> list[dict[str, Any]]:
    return returned(upload, {10: answer(10, Employee_Name="José Peña"), 9: answer(9, Employee_Name="Ñora Muñoz")})


FORMS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "fixed.csv": lambda rows: csv_bytes(rows, header=NAMED),
    "deep/down/fixed.tsv": lambda rows: csv_bytes(rows, header=NAMED, delimiter="\t"),
    "fixed.txt": lambda rows: csv_bytes(rows, header=NAMED, delimiter=";", newline="\r\n"),
    "with mark.csv": lambda rows: csv_bytes(rows, header=NAMED, encoding="utf-8-sig"),
    "windows.csv": lambda rows: csv_bytes(rows, header=NAMED, encoding="windows-1252"),
    "utf16.csv.gz": lambda rows: gzipped(csv_bytes(rows, header=NAMED, encoding="utf-16")),
    "utf16be.tsv.gz": lambda rows: gzipped(csv_text(rows, header=NAMED, delimiter="\t").encode("utf-16-be")),
    "fixed.xlsx": lambda rows: workbook_of(rows, header=NAMED),
    "numbers.xlsx": lambda rows: workbook_of([{**row, "_row": int(row["_row"])} for row in rows], header=NAMED),
    "fractions.csv": lambda rows: csv_bytes([{**row, "_row": f" 00{row['_row']}.0 "} for row in rows], header=NAMED),
    "reordered.csv": lambda rows: csv_bytes(rows, header=("notes", *reversed(NAMED))),
    "shouting.csv": lambda rows: csv_text(rows, header=NAMED)
    .replace("_upload,_row,", " _UPLOAD ,_Row,", 1)
    .encode(),
    "term.csv": lambda rows: csv_bytes(rows, header=NAMED),
}  # fmt: skip


def test_a_correction_may_have_any_name_and_form(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    plain = None
    for name, form in FORMS.items():
        fix = pipeline.put_and_take_in(name, form(_given_back(upload)))
        assert pipeline.statuses()[fix] == "correction", name
        assert (pipeline.ingested(fix).mends, pipeline.ingested(fix).invalid) == (("9-10",), 0), name
        rows = {row["source_row"]: survey_cells(row) for row in valid_table(pipeline, fix)}
        plain = plain or rows
        assert rows == plain, name
        assert pipeline.statuses()[upload] == "validated", name
        pipeline.withdraw(fix)
    assert plain is not None
    assert [plain[row]["employee_name"] for row in (9, 10)] == ["Ñora Muñoz", "José Peña"]
    assert lives(pipeline, upload) == {9: "open", 10: "open"}


def test_the_files_that_are_handed_out_come_back_as_they_are_and_say_the_same_again(pipeline: Pipeline) -> None:
    rows = [
        *answers(1, 8),
        answer(9, Job_Role="=1+1", Email="@nobody", Employee_Name="'=José"),
        answer(10, Employee_ID="00042", Job_Role="'quoted", Email="+63 9", Employee_Name="two\nlines"),
    ]
    upload = pipeline.put_and_take_in("=1+1 términos.csv", csv_bytes(rows))
    before = {row["source_row"]: row for row in invalid_table(pipeline, upload)}
    for suffix in ("csv", "xlsx"):
        content = pipeline.lake.read_bytes(layout.correction_key(upload, suffix))
        fix = pipeline.put_and_take_in(f"again.{suffix}", content)
        assert (pipeline.ingested(fix).valid, pipeline.ingested(fix).strays) == (0, 0)
        after = {row["corrects_row"]: row for row in invalid_table(pipeline, fix)}
        assert set(after) == {9, 10}
        for row in after:
            assert survey_cells(after[row]) == survey_cells(before[row])
            assert after[row]["problems"] == before[row]["problems"]
            assert after[row]["corrects"] == upload
        pipeline.withdraw(fix)


def test_columns_that_were_removed_and_kept_cells_are_filled_from_the_original_row(pipeline: Pipeline) -> None:
    rows = [
        *answers(1, 8),
        answer(9, Email="nobody", Employee_Name="José Peña", Phone_Number="0957 728 4792"),
        answer(10, Email="nobody", Performance_Rating="7"),
    ]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows, header=(*HEADER, "Submission Date")))
    narrow = correction(
        upload, {10: {"Email": "b@school.edu.ph"}, 9: {"Email": "a@school.edu.ph"}}, header=("Email", *MARKS)
    )
    fix = pipeline.put_and_take_in("narrow.csv", narrow)
    (mended,) = valid_table(pipeline, fix)
    assert {**survey_cells(mended), "submission_date": None} == {
        "employee_id": 9,
        "employee_name": "José Peña",
        "college_degree": "Computer Science",
        "department": "HR",
        "job_role": "Product Manager",
        "dmc_campus": "Santo Tomas",
        "email": "a@school.edu.ph",
        "phone_number": "0957 728 4792",
        "performance_rating": 4,
        "submission_date": None,
    }
    assert str(mended["submission_date"]) == "2026-03-04 08:15:00"
    (wrong,) = invalid_table(pipeline, fix)
    assert (wrong["corrects_row"], codes(wrong), wrong["email"], wrong["performance_rating"]) == (
        10,
        [RATING],
        "b@school.edu.ph",
        "7",
    )
    kept = {**dict.fromkeys(HEADER, KEPT), "Performance_Rating": "5", "Email": "c@school.edu.ph"}
    second = pipeline.put_and_take_in("kept.csv", correction(upload, {10: kept}))
    (mended,) = valid_table(pipeline, second)
    assert (mended["source_row"], mended["employee_id"], mended["email"], mended["performance_rating"]) == (
        *(10, 10),
        "c@school.edu.ph",
        5,
    )


def test_a_cell_that_is_emptied_is_not_filled_from_the_original_row(pipeline: Pipeline) -> None:
    header = (*HEADER, "Submission Date")
    rows = [*answers(1, 8), answer(9, **{"Submission Date": "31/02/2026"}), answer(10, **{"Submission Date": "soon"})]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows, header=header))
    emptied = returned(upload, {9: answer(9, **{"Submission Date": ""}), 10: answer(10, Email="")})
    for name, content in {
        "emptied.csv": csv_bytes(emptied, header=(*NAMED, "Submission Date")),
        "emptied.xlsx": workbook_of(emptied, header=(*NAMED, "Submission Date")),
    }.items():
        fix = pipeline.put_and_take_in(name, content)
        (mended,) = valid_table(pipeline, fix)
        assert (mended["source_row"], mended["submission_date"]) == (9, None)
        (wrong,) = invalid_table(pipeline, fix)
        assert codes(wrong) == [("Email", "missing")]


def test_a_row_that_comes_back_still_wrong_stays_open_with_its_new_problems(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {9: answer(9), 10: answer(10, Department="Cooks")}))
    first, second = listed(pipeline, upload)
    assert (first["row"], first["status"], first["corrected_by"], codes(first)) == (9, "resolved", fix, [EMAIL])
    assert (second["row"], second["status"], second["returned_in"], codes(second)) == (
        *(10, "open", fix),
        [("Department", "not_in_list")],
    )
    assert second["corrected_by"] is None
    (wrong,) = invalid_table(pipeline, fix)
    assert (wrong["upload"], wrong["source_row"], wrong["corrects"], wrong["corrects_row"]) == (fix, 2, upload, 10)
    assert (pipeline.ingested(fix).invalid, pipeline.ingested(fix).strays) == (1, 0)
    assert_accounted(pipeline)
    assert pipeline.published("SELECT source_row, reason_codes FROM quarantine WHERE status = 'open'") == [
        (10, "department:not_in_list")
    ]


def test_rows_that_are_not_given_back_stay_open_with_their_old_problems(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    pipeline.put_and_take_in("fixed.csv", correction(upload, {9: answer(9)}))
    (still,) = listed(pipeline, upload, only_open=True)
    assert (still["row"], still["row_in_file"], still["returned_in"], codes(still)) == (10, 11, None, [EMAIL, RATING])


def test_a_later_return_that_is_still_wrong_does_not_reopen_a_row(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    good = pipeline.put_and_take_in("good.csv", correction(upload, {9: answer(9)}))
    bad = pipeline.put_and_take_in("bad.csv", correction(upload, {9: answer(9, Email="still nobody")}))
    assert lives(pipeline, upload) == {9: "resolved", 10: "open"}
    row, _ = listed(pipeline, upload)
    assert (row["corrected_by"], row["returned_in"], codes(row)) == (good, None, [EMAIL])
    pipeline.withdraw(good)
    row, _ = listed(pipeline, upload)
    assert (row["status"], row["corrected_by"], row["returned_in"]) == ("open", None, bad)


def test_rows_with_the_same_number_in_one_file_are_both_wrong(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    rows = [
        *returned(upload, {9: answer(9)}),
        *returned(upload, {"09.0": answer(9)}),
        *returned(upload, {10: answer(10)}),
    ]
    fix = pipeline.put_and_take_in("doubled.csv", csv_bytes(rows, header=NAMED))
    assert [(row["source_row"], row["corrects_row"], codes(row)) for row in invalid_table(pipeline, fix)] == [
        (1, 9, [("", "doubled_row")]),
        (2, 9, [("", "doubled_row")]),
    ]
    assert (pipeline.ingested(fix).mends, pipeline.ingested(fix).strays) == (("10",), 0)
    assert lives(pipeline, upload) == {9: "open", 10: "resolved"}
    assert lives(pipeline, fix) == {}
    assert codes(listed(pipeline, upload)[0]) == [("", "doubled_row")]
    assert_accounted(pipeline)


STRAYS = (
    *("", "0", "1", "8", "11", "9999999999", "9" * 18, "9" * 19, "9" * 400, "-9", "+9", "9.5", "1e1", "nine", "９"),
    *("=9", "'=9", "9;DROP TABLE quarantine", "NaN", "inf", "null", "9,", "(as it came)", "\U0001f600", "9\u200b1"),
)  # fmt: skip


def test_a_row_that_names_no_row_that_was_set_aside_is_the_corrections_own(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    rows = [row for number in STRAYS for row in returned(upload, {number: answer(9)})]
    fix = pipeline.put_and_take_in("strays.csv", csv_bytes([*rows, *returned(upload, {10: answer(10)})], header=NAMED))
    found = invalid_table(pipeline, fix)
    assert [(row["source_row"], row["corrects"], row["corrects_row"], codes(row)) for row in found] == [
        (number, upload, None, [("", "no_such_row")]) for number in range(1, len(STRAYS) + 1)
    ]
    assert (pipeline.ingested(fix).strays, pipeline.ingested(fix).mends) == (len(STRAYS), ("10",))
    assert lives(pipeline, upload) == {9: "open", 10: "resolved"}
    assert lives(pipeline, fix) == dict.fromkeys(range(1, len(STRAYS) + 1), "open")
    assert_accounted(pipeline)
    # Whoever finds out what the rows are gives them back for the upload that they belong to.
    assert {(row["_upload"], row["_row"]) for row in handed_out(pipeline, fix)} == {(upload, "")}


def test_strays_fall_with_their_correction_its_upload_and_when_their_file_is_replaced(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {3: answer(3)}))
    assert lives(pipeline, fix) == {1: "open"}
    pipeline.put_and_take_in("fixed.csv", b"%PDF-1.7")
    assert lives(pipeline, fix) == {1: "open"}
    second = pipeline.put_and_take_in("fixed.csv", correction(upload, {4: answer(9)}))
    assert (lives(pipeline, fix), lives(pipeline, second)) == ({1: "superseded"}, {1: "open"})
    assert_accounted(pipeline)
    pipeline.withdraw(second)
    assert (lives(pipeline, fix), lives(pipeline, second)) == ({1: "superseded"}, {1: "withdrawn"})
    pipeline.withdraw(upload)
    assert lives(pipeline, upload) == {9: "withdrawn", 10: "withdrawn"}
    assert_accounted(pipeline)


def test_a_correction_with_nothing_but_its_marks_mends_nothing(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    marks = correction(upload, {9: {}, 10: {}}, header=MARKS)
    fix = pipeline.put_and_take_in("marks.csv", marks)
    assert (pipeline.statuses()[fix], pipeline.standing(fix).waits) == ("correction", False)
    assert [codes(row) for row in invalid_table(pipeline, fix)] == [[EMAIL], [EMAIL, RATING]]
    assert [row["_row"] for row in handed_out(pipeline, fix)] == ["9", "10"]
    assert lives(pipeline, upload) == {9: "open", 10: "open"}
    assert approval.waiting(pipeline.facts) == [upload]


def test_a_correction_of_a_correction_file_corrects_the_first_upload(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    first = pipeline.put_and_take_in(
        "first.csv", correction(upload, {9: answer(9, Email="x")}, header=(*MARKS, "Email"))
    )
    (row,) = handed_out(pipeline, first)
    assert {name: row[name] for name in ("_upload", "_row", "_problems", "Email")} == {
        "_upload": upload,
        "_row": "9",
        "_problems": "Email: This is not a complete e-mail address, such as name@school.edu.ph.",
        "Email": "x",
    }
    second = pipeline.put_and_take_in("second.csv", csv_bytes([{**row, **answer(9)}], header=list(row)))
    assert (pipeline.ingested(second).corrects, pipeline.ingested(second).mends) == (upload, ("9",))
    assert lives(pipeline, upload) == {9: "resolved", 10: "open"}
    assert (pipeline.statuses()[first], pipeline.statuses()[second]) == ("correction", "correction")


def test_broken_and_empty_rows_of_a_correction_are_its_own_or_nobodys(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    content = correction(upload, {9: answer(9)}) + f"\n,,,\n{upload},10,short\n{upload},,\n".encode()
    fix = pipeline.put_and_take_in("broken.csv", content)
    assert [(row["source_row"], row["corrects_row"], codes(row)) for row in invalid_table(pipeline, fix)] == [
        (4, 10, [("", "wrong_field_count")]),
        (5, None, [("", "wrong_field_count")]),
    ]
    assert (pipeline.ingested(fix).rows, pipeline.ingested(fix).strays) == (3, 1)
    assert_accounted(pipeline)


def test_rows_that_were_cut_short_or_too_long_are_mended_by_a_correction(pipeline: Pipeline) -> None:
    text = csv_text(answers(1, 12))
    content = f"{text}20,short\n{','.join(map(str, [*range(12)]))}\n".encode()
    upload = pipeline.put_and_take_in("ragged.csv", content)
    assert lives(pipeline, upload) == {13: "open", 14: "open"}
    rows = [{**row, **answer(20 + number)} for number, row in enumerate(handed_out(pipeline, upload))]
    fix = pipeline.put_and_take_in("fixed.csv", csv_bytes(rows, header=list(rows[0])))
    assert pipeline.ingested(fix).mends == ("13-14",)
    assert lives(pipeline, upload) == {13: "resolved", 14: "resolved"}


# What is rejected whole


def _rejections(pipeline: Pipeline, upload: str) -> dict[str, bytes]:
    """For each code a file that is rejected with it."""
    superseded = pipeline.put_and_take_in("old.csv", csv_bytes(term(100)))
    newer = pipeline.put_and_take_in("old.csv", csv_bytes(answers(150, 3)))
    pipeline.approve_only(newer)
    withdrawn = pipeline.put_and_take_in("mistake.csv", csv_bytes(term(200)))
    pipeline.withdraw(withdrawn)
    fix = pipeline.put_and_take_in("first.csv", correction(upload, {3: answer(3)}))
    both = [*returned(upload, {9: answer(9)}), *returned(newer, {1: answer(9)})]
    bare = returned(upload, {9: answer(9)})
    return {
        "incomplete_correction": csv_bytes(bare, header=("_upload", *HEADER)),
        "incomplete_correction ": csv_bytes(bare, header=("_row", *HEADER)),
        "incomplete_correction  ": csv_bytes(bare, header=("_row", "_problems")),
        "several_uploads": csv_bytes(both, header=NAMED),
        "several_uploads ": csv_bytes([*bare, *returned("=nobody", {9: {}})], header=NAMED),
        "unknown_upload": correction("term.csv@00000000", {9: answer(9)}),
        "unknown_upload ": correction("", {9: answer(9)}),
        "unknown_upload  ": correction("x" * 5_000, {9: answer(9)}),
        "unknown_upload   ": correction("../register/seen/x", {9: answer(9)}),
        "unknown_upload    ": correction(upload.upper(), {9: answer(9)}),
        "unknown_upload     ": correction(fix, {1: answer(9)}),
        "superseded_upload": correction(superseded, {9: answer(109)}),
        "withdrawn_upload": correction(withdrawn, {9: answer(209)}),
        "nothing_to_correct": correction(newer, {1: answer(150)}),
        "no_rows": csv_bytes([], header=NAMED),
        "doubled_column": csv_bytes(bare, header=("_upload", *NAMED)),
    }


def test_what_cannot_be_a_correction_is_rejected_with_the_reason(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    before = None
    for number, (code, content) in enumerate(_rejections(pipeline, upload).items()):
        before = before or (lives(pipeline, upload), pipeline.statuses()[upload])
        rejected = pipeline.put_and_take_in(f"{number}.csv", content)
        found = pipeline.ingested(rejected)
        # A file without a row names no upload either.
        expected = {"no_rows": {"no_rows", "unknown_upload"}}.get(code.strip(), {code.strip()})
        assert (found.outcome, found.code in expected) == ("rejected", True), (code, found.code)
        assert not any(
            pipeline.lake.stat(key(rejected)) is not None for key in (layout.valid_key, layout.invalid_key)
        ), code
        check = pipeline.check("raw_survey", "readable", rejected)
        assert check is not None
        assert (check.passed, check.metadata["reason_code"].value) == (False, found.code)
        assert (lives(pipeline, upload), pipeline.statuses()[upload]) == before, code


def test_the_same_bytes_again_are_a_duplicate_and_change_nothing(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    content = correction(upload, {9: answer(9), 10: answer(10, Email="x")})
    fix = pipeline.put_and_take_in("fixed.csv", content)
    before = listed(pipeline)
    again = pipeline.put_and_take_in("copy of fixed.csv", content)
    assert pipeline.statuses() == {upload: "validated", fix: "correction", again: "duplicate"}
    assert pipeline.ingested(again).duplicate_of == fix
    assert listed(pipeline) == before
    pipeline.approve_only(fix)
    third = pipeline.put_and_take_in("third.csv", content)
    assert pipeline.statuses()[third] == "duplicate"
    assert listed(pipeline) == before
    assert_accounted(pipeline)


def test_the_same_bytes_again_are_a_duplicate_also_where_no_row_was_mended(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    content = correction(upload, {9: answer(9, Email="still nobody")})
    fix = pipeline.put_and_take_in("fixed.csv", content)
    again = pipeline.put_and_take_in("copy of fixed.csv", content)
    assert pipeline.statuses() == {upload: "validated", fix: "correction", again: "duplicate"}


def test_the_same_rows_in_another_file_are_a_duplicate_until_others_came_in_between(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    rows = {9: answer(9), 10: answer(10)}
    first = pipeline.put_and_take_in("first.csv", correction(upload, rows))
    as_workbook = workbook_of(list(reversed(returned(upload, rows))), header=NAMED)
    repeated = pipeline.put_and_take_in("first.xlsx", as_workbook)
    assert pipeline.statuses()[repeated] == "duplicate"
    other = pipeline.put_and_take_in("other.csv", correction(upload, {9: answer(9, Performance_Rating="1")}))
    back = pipeline.put_and_take_in("back.csv", correction(upload, rows, delimiter=";"))
    assert {pipeline.statuses()[some] for some in (first, other, back)} == {"correction"}
    assert [row["corrected_by"] for row in listed(pipeline, upload)] == [back, back]


def test_a_correction_that_counts_does_not_become_a_duplicate_when_it_is_judged_anew(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    rows = {9: answer(9), 10: answer(10)}
    pipeline.put_and_take_in("first.csv", correction(upload, rows))
    other = pipeline.put_and_take_in("other.csv", correction(upload, {9: answer(9, Performance_Rating="1")}))
    back = pipeline.put_and_take_in("back.csv", correction(upload, rows, delimiter=";"))
    pipeline.approve_only(upload, back)
    pipeline.withdraw(other)
    before = pipeline.ingested(back)
    pipeline.judge_again(back)
    assert (pipeline.ingested(back).outcome, pipeline.ingested(back).corrects) == ("validated", before.corrects)
    assert [row["corrected_by"] for row in listed(pipeline, upload)] == [back, back]


def test_a_correction_whose_upload_has_a_name_that_no_workbook_holds_comes_back(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("export_xa_2026.csv", csv_bytes(term()))
    content = pipeline.lake.read_bytes(layout.correction_key(upload, "xlsx"))
    fix = pipeline.put_and_take_in("fixed.xlsx", content)
    assert (pipeline.ingested(fix).outcome, pipeline.ingested(fix).corrects) == ("validated", upload)


# Uploads that end, and come back


def test_corrections_fall_with_their_upload_and_come_back_with_it(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    counting = pipeline.put_and_take_in("nine.csv", correction(upload, {9: answer(9)}))
    waiting = pipeline.put_and_take_in("ten.csv", correction(upload, {10: answer(10)}))
    pipeline.approve_only(upload, counting)
    assert_accounted(pipeline)
    first_state = pipeline.statuses(), quarantine(pipeline), responses(pipeline)
    assert first_state[1] == {(upload, 9): "resolved", (upload, 10): "resolved"}
    assert len(first_state[2]) == 9

    newer = pipeline.put_and_take_in("term.csv", csv_bytes(answers(50, 3)))
    assert {**pipeline.statuses(), newer: ""} == {**first_state[0], newer: ""}
    pipeline.approve_only(newer)
    assert pipeline.statuses() == {
        upload: "superseded",
        counting: "superseded",
        waiting: "superseded",
        newer: "transformed",
    }
    assert not pipeline.standing(waiting).waits
    assert approval.waiting(pipeline.facts) == []
    assert_accounted(pipeline)
    assert quarantine(pipeline) == {(upload, 9): "superseded", (upload, 10): "superseded"}
    assert set(responses(pipeline)) == {(newer, row) for row in (1, 2, 3)}
    assert "superseded" in failure_of(pipeline.materialize("transformed_survey", waiting, approved_by=APPROVER))

    pipeline.withdraw(newer)
    assert {**pipeline.statuses(), newer: ""} == {**first_state[0], newer: ""}
    assert_accounted(pipeline)
    assert (quarantine(pipeline), responses(pipeline)) == first_state[1:]

    pipeline.withdraw(upload)
    assert {pipeline.statuses()[some] for some in (upload, counting, waiting)} == {"withdrawn"}
    assert_accounted(pipeline)
    assert set(quarantine(pipeline).values()) == {"withdrawn"}
    assert responses(pipeline) == {}


def test_a_correction_that_fell_with_its_upload_says_why_that_was_withdrawn(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    waiting = pipeline.put_and_take_in("nine.csv", correction(upload, {9: answer(9)}))
    counting = pipeline.put_and_take_in("ten.csv", correction(upload, {10: answer(10)}))
    pipeline.approve_only(counting)
    pipeline.withdraw(upload)
    assert pipeline.renew().success
    assert dict(pipeline.published("SELECT upload, reason FROM uploads")) == dict.fromkeys(
        [upload, waiting, counting], "sent by mistake"
    )


def test_going_back_to_the_old_content_brings_its_corrections_back(pipeline: Pipeline) -> None:
    content = csv_bytes(term())
    upload = pipeline.put_and_take_in("term.csv", content)
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {9: answer(9), 10: answer(10)}))
    pipeline.approve_only(upload, fix, pipeline.put_and_take_in("term.csv", csv_bytes(answers(50, 3))))
    assert pipeline.statuses()[fix] == "superseded"
    assert pipeline.put_and_take_in("term.csv", content) == upload
    pipeline.approve_only(upload)
    assert pipeline.statuses()[fix] == "transformed"
    assert_accounted(pipeline)
    assert set(quarantine(pipeline).values()) == {"resolved"}
    assert responses(pipeline)[upload, 9][2] == fix


def test_withdrawing_the_last_correction_of_a_row_brings_the_one_before_back(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    first = pipeline.put_and_take_in("a.csv", correction(upload, {9: answer(9, Email="first@school.edu.ph")}))
    # The employee's number was wrong as well.
    second = pipeline.put_and_take_in("b.csv", correction(upload, {9: answer(77, Email="second@school.edu.ph")}))
    assert listed(pipeline, upload)[0]["corrected_by"] == second
    pipeline.approve_only(upload, second)
    assert_accounted(pipeline)
    assert responses(pipeline)[upload, 9] == (77, "second@school.edu.ph", second)
    pipeline.approve_only(first)
    assert_accounted(pipeline)
    assert responses(pipeline)[upload, 9] == (77, "second@school.edu.ph", second)
    assert pipeline.published("SELECT count(*) FROM alumni WHERE employee_id IN (9, 77)") == [(1,)]
    pipeline.withdraw(second)
    assert listed(pipeline, upload)[0]["corrected_by"] == first
    assert_accounted(pipeline)
    assert responses(pipeline)[upload, 9] == (9, "first@school.edu.ph", first)
    assert pipeline.published("SELECT employee_id FROM alumni WHERE employee_id IN (9, 77)") == [(9,)]
    pipeline.withdraw(first)
    assert lives(pipeline, upload) == {9: "open", 10: "open"}
    assert_accounted(pipeline)
    assert (upload, 9) not in responses(pipeline)
    for check in ("ids_unique", "every_alumnus_present", "newest_wins"):
        evaluation = pipeline.check("deduplicated_survey", check)
        assert evaluation is not None
        assert evaluation.passed, check


def test_a_withdrawn_correction_that_is_put_again_under_its_name_after_another_waits_again(
    pipeline: Pipeline,
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    content = correction(upload, {9: answer(9)})
    first = pipeline.put_and_take_in("fixed.csv", content)
    pipeline.withdraw(first)
    pipeline.put_and_take_in("fixed.csv", correction(upload, {10: answer(10)}))
    assert pipeline.put_and_take_in("fixed.csv", content) == first
    assert pipeline.statuses()[first] == "correction"
    assert lives(pipeline, upload) == {9: "resolved", 10: "resolved"}


def test_two_corrections_under_one_name_both_count(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    first = pipeline.put_and_take_in("fixed.csv", correction(upload, {9: answer(9)}))
    second = pipeline.put_and_take_in("fixed.csv", correction(upload, {10: answer(10)}))
    pipeline.approve_only(second, first, upload)
    assert pipeline.statuses() == dict.fromkeys([upload, first, second], "transformed")
    assert lives(pipeline, upload) == {9: "resolved", 10: "resolved"}


def test_a_correction_under_the_name_of_an_upload_supersedes_nothing_and_is_superseded_by_nothing(
    pipeline: Pipeline,
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    other = pipeline.put_and_take_in("other.csv", csv_bytes(answers(50, 3)))
    pipeline.approve_only(upload, other)
    fix = pipeline.put_and_take_in("other.csv", correction(upload, {9: answer(9)}))
    pipeline.approve_only(fix)
    assert pipeline.statuses() == dict.fromkeys([upload, other, fix], "transformed")
    newer = pipeline.put_and_take_in("other.csv", csv_bytes(answers(60, 3)))
    pipeline.approve_only(newer)
    assert pipeline.statuses() == {
        upload: "transformed",
        other: "superseded",
        fix: "transformed",
        newer: "transformed",
    }


def test_corrections_of_two_uploads_under_one_name_keep_to_their_own(pipeline: Pipeline) -> None:
    one, two = (pipeline.put_and_take_in(f"{first}.csv", csv_bytes(term(first))) for first in (1, 50))
    fix_one = pipeline.put_and_take_in("fix.csv", correction(one, {9: answer(9)}))
    fix_two = pipeline.put_and_take_in("fix.csv", correction(two, {9: answer(58)}))
    pipeline.approve_only(one, two, fix_one, fix_two)
    pipeline.withdraw(one)
    assert pipeline.statuses() == {one: "withdrawn", fix_one: "withdrawn", two: "transformed", fix_two: "transformed"}
    assert_accounted(pipeline)
    assert quarantine(pipeline) == {
        (one, 9): "withdrawn",
        (one, 10): "withdrawn",
        (two, 9): "resolved",
        (two, 10): "open",
    }


# The check, and approval


def test_the_check_fails_then_warns_then_passes_as_rows_are_corrected(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 7), *answers(8, 3, Email="nobody")]))
    assert open_rows_check(pipeline, upload) == ("ERROR", {"open_rows": 3, "resolved_rows": 0, "waived_rows": 0})
    reason = failure_of(pipeline.materialize("transformed_survey", upload, approved_by=APPROVER))
    assert "no_open_rows" in reason
    fix = pipeline.put_and_take_in("8.csv", correction(upload, {8: answer(8), 9: answer(9, Email="x"), 2: answer(2)}))
    assert open_rows_check(pipeline, upload) == ("WARN", {"open_rows": 2, "resolved_rows": 1, "waived_rows": 0})
    assert open_rows_check(pipeline, fix)[0] == "WARN"
    assert pipeline.renew().success
    pipeline.withdraw(fix)
    assert "no_open_rows" in failure_of(pipeline.materialize("transformed_survey", upload, approved_by=APPROVER))
    assert pipeline.renew().success
    assert open_rows_check(pipeline, upload)[0] == "ERROR"
    rest = pipeline.put_and_take_in("9.csv", correction(upload, {8: answer(8), 9: answer(9)}))
    assert open_rows_check(pipeline, upload) == ("WARN", {"open_rows": 1, "resolved_rows": 2, "waived_rows": 0})
    assert open_rows_check(pipeline, rest)[0] == "passed"
    pipeline.approve_only(upload)
    pipeline.put_and_take_in("10.csv", correction(upload, {10: answer(10)}))
    assert open_rows_check(pipeline, upload) == ("passed", {"open_rows": 0, "resolved_rows": 3, "waived_rows": 0})


def test_the_check_is_reported_again_when_a_correction_is_withdrawn_before_it_was_published(
    pipeline: Pipeline,
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 7), *answers(8, 3, Email="nobody")]))
    assert pipeline.renew().success
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {row: answer(row) for row in (8, 9, 10)}))
    assert open_rows_check(pipeline, upload)[0] == "passed"
    pipeline.withdraw(fix)
    assert pipeline.renew().success
    assert open_rows_check(pipeline, upload)[0] == "ERROR"


def test_the_check_of_a_correction_passes_once_none_of_its_rows_is_open(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    wrong = {9: answer(9, Email="still nobody"), 10: answer(10, Performance_Rating="7")}
    first = pipeline.put_and_take_in("first.csv", correction(upload, wrong))
    check = pipeline.check("invalid_survey", "no_open_rows", first)
    assert check is not None
    assert "2 of 2 rows that came back" in (check.description or "")
    second = pipeline.put_and_take_in("second.csv", correction(upload, {9: answer(9), 10: wrong[10]}))
    for fix in (first, second):
        # What the second said of row 10 came later, so that row is the second's.
        is_open = pipeline.check("invalid_survey", "no_open_rows", fix)
        assert is_open is not None
        assert is_open.passed == (fix == first)
    assert is_open.metadata["still_open"].value == 1
    assert "1 of 2 rows" in (is_open.description or "")
    assert "Performance_Rating is not a whole number" in (is_open.description or "")
    pipeline.put_and_take_in("third.csv", correction(upload, {10: answer(10)}))
    for fix in (first, second):
        check = pipeline.check("invalid_survey", "no_open_rows", fix)
        assert check is not None
        assert check.passed
        assert "none of the others is open any more" in (check.description or "")


def test_the_check_of_a_correction_says_only_what_is_wrong_with_rows_that_are_open(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    wrong = {9: answer(9, Email="still nobody"), 10: answer(10, Performance_Rating="7")}
    first = pipeline.put_and_take_in("first.csv", correction(upload, wrong))
    pipeline.put_and_take_in("second.csv", correction(upload, {9: answer(9)}))
    check = pipeline.check("invalid_survey", "no_open_rows", first)
    assert check is not None
    assert "1 of 2 rows that came back" in (check.description or "")
    assert "Performance_Rating" in (check.description or "")
    assert "Email" not in (check.description or "")


def test_the_check_of_a_correction_that_was_withdrawn_says_what_has_become_of_it(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {3: answer(3)}))
    pipeline.withdraw(fix)
    assert pipeline.renew().success
    check = pipeline.check("invalid_survey", "no_open_rows", fix)
    assert check is not None
    assert "are still wrong: ." not in (check.description or "")


def test_the_check_is_reported_again_when_an_upload_is_superseded_or_withdrawn(pipeline: Pipeline) -> None:
    old, gone = (pipeline.put_and_take_in(f"{first}.csv", csv_bytes(term(first))) for first in (1, 50))
    assert pipeline.renew().success
    pipeline.approve_only(pipeline.put_and_take_in("1.csv", csv_bytes(answers(20, 3))))
    pipeline.withdraw(gone)
    assert {open_rows_check(pipeline, upload)[0] for upload in (old, gone)} == {"WARN"}
    assert pipeline.renew().success
    assert {open_rows_check(pipeline, upload)[0] for upload in (old, gone)} == {"passed"}


def test_a_correction_is_never_blocked_by_its_own_share(pipeline: Pipeline) -> None:
    rows = [*answers(1, 40), *answers(41, 8, Email="nobody")]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    wrong = {row: answer(row, Email="x") for row in range(42, 49)}
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {41: answer(41), 2: answer(2), **wrong}))
    assert pipeline.ingested(fix).failed_checks == ()
    assert open_rows_check(pipeline, fix)[0] == "WARN"
    pipeline.approve_only(fix)
    assert pipeline.statuses()[fix] == "transformed"
    (decision,) = pipeline.facts.decisions[fix]
    assert (decision.rows, decision.invalid_share, decision.override) == (1, 8 / 9, "")
    assert decision.checks == {
        "readable": "passed",
        "rows_accounted_for": "passed",
        "schema_holds": "passed",
        "no_open_rows": "warning",
    }


def test_decisions_say_how_the_checks_had_ended(pipeline: Pipeline) -> None:
    blocked = pipeline.put_and_take_in("blocked.csv", csv_bytes(term(valid=3)))
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term(50)))
    clean = pipeline.put_and_take_in("clean.csv", csv_bytes(answers(90, 2)))
    assert pipeline.materialize(
        "transformed_survey", blocked, approved_by=APPROVER, override_reason="the client insists"
    ).success
    pipeline.approve_only(upload, clean)
    pipeline.withdraw(clean, "the wrong file")
    assert pipeline.renew().success
    columns = "number, decision, in_force, decided_by, note, override_reason, failed_checks, checks, row_count"
    found = {
        row[0]: row[1:]
        for row in pipeline.published(
            f"SELECT upload || ' ' || decision, {columns}, invalid_share, content FROM approvals"
        )
    }
    others = "readable: passed, rows_accounted_for: passed, schema_holds: passed"
    assert found == {
        f"{blocked} approved": (
            *(1, "approved", True, APPROVER, None, "the client insists", "no_open_rows"),
            *(f"no_open_rows: failed, {others}", 3, 0.4, pipeline.ingested(blocked).content),
        ),
        f"{upload} approved": (
            *(1, "approved", True, APPROVER, None, None, None),
            *(f"no_open_rows: warning, {others}", 8, 0.2, pipeline.ingested(upload).content),
        ),
        f"{clean} approved": (
            *(1, "approved", False, APPROVER, None, None, None),
            *(f"no_open_rows: passed, {others}", 2, 0.0, pipeline.ingested(clean).content),
        ),
        f"{clean} withdrawn": (2, "withdrawn", True, APPROVER, "the wrong file", *[None] * 6),
    }


# Judging anew


def test_what_was_judged_anew_after_the_approval_was_asked_for_is_refused(
    pipeline: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 9), answer(10, Department="Tech")]))
    asked_at = utc_now()
    assert pipeline.judge_again(upload).success
    request = approval.Request(APPROVER, asked_at=asked_at)
    same_content = pipeline.ingested(upload).content_at
    assert same_content is not None
    assert same_content < asked_at
    pipeline.use_rules(changed_rules(vocabularies={"department": ["HR", "Admin"]}))
    assert pipeline.judge_again(upload).success
    with pytest.raises(approval.ApprovalRefusedError, match="changed since its approval was asked for"):
        approval.approve(pipeline.lake, pipeline.register, upload, request)
    assert pipeline.facts.decisions == {}
    approval.approve(pipeline.lake, pipeline.register, upload, approval.Request(APPROVER, asked_at=utc_now()))
    assert pipeline.statuses()[upload] == "approved"


def test_a_correction_is_judged_anew_with_its_upload(pipeline: Pipeline, changed_rules: Callable[..., Path]) -> None:
    rows = [*answers(1, 30), answer(31, Email="nobody"), answer(32, Email="nobody"), answer(33, Department="Tech")]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {31: answer(31), 32: answer(32, Department="Tech")}))
    pipeline.approve_only(upload, fix)
    assert lives(pipeline, upload) == {31: "resolved", 32: "resolved"}
    pipeline.use_rules(changed_rules(vocabularies={"department": ["HR", "Admin"]}))
    assert pipeline.judge_again(upload).success
    assert pipeline.ingested(fix).against == pipeline.ingested(upload).invalid_content
    assert pipeline.ingested(fix).mends == ("31",)
    assert lives(pipeline, upload) == {31: "resolved", 32: "open", 33: "open"}
    assert codes(listed(pipeline, upload)[1]) == [("Department", "not_in_list")]
    assert {upload: pipeline.standing(upload).waits, fix: pipeline.standing(fix).waits} == {upload: True, fix: True}
    assert_accounted(pipeline)
    assert len(responses(pipeline)) == 33  # what was approved counts until the new rows are
    pipeline.approve_only(fix, upload)
    assert_accounted(pipeline)
    assert {row for _, row in responses(pipeline)} == set(range(1, 32))


def test_a_row_that_the_new_rules_take_as_it_came_counts_once(
    pipeline: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    rows = [*answers(1, 30), answer(31, Department="Kitchen"), answer(32, Email="nobody")]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {31: answer(31), 32: answer(32)}))
    pipeline.approve_only(upload, fix)
    pipeline.use_rules(changed_rules(vocabularies={"department": ["HR", "Kitchen"]}))
    assert pipeline.judge_again(upload).success
    pipeline.approve_only(upload, fix)
    assert_accounted(pipeline)
    assert quarantine(pipeline) == {(upload, 32): "resolved", (fix, 1): "open"}
    assert {row: by for (_, row), (_, _, by) in responses(pipeline).items() if row > 30} == {31: None, 32: fix}


def test_a_correction_of_a_superseded_upload_still_counts_nothing_when_it_is_judged_anew(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {9: answer(9)}))
    pipeline.approve_only(upload, fix, pipeline.put_and_take_in("term.csv", csv_bytes(answers(50, 3))))
    assert pipeline.statuses()[fix] == "superseded"
    pipeline.judge_again(fix)
    assert not pipeline.standing(fix).counts
    assert 9 not in pipeline.alumni()


def test_a_correction_that_was_judged_anew_meanwhile_comes_back_with_its_upload(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {9: answer(9)}))
    newer = pipeline.put_and_take_in("term.csv", csv_bytes(answers(50, 3)))
    pipeline.approve_only(upload, fix, newer)
    pipeline.judge_again(fix)
    pipeline.withdraw(newer)
    assert (pipeline.ingested(fix).corrects, pipeline.standing(fix).counts) == (upload, True)
    assert lives(pipeline, upload) == {9: "resolved", 10: "open"}


def test_a_correction_whose_upload_has_no_invalid_row_any_more_falls_with_it_all_the_same(
    pipeline: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 9), answer(10, Department="Kitchen")]))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {10: answer(10)}))
    pipeline.approve_only(upload, fix)
    pipeline.use_rules(changed_rules(vocabularies={"department": ["HR", "Kitchen"]}))
    assert pipeline.judge_again(upload).success
    pipeline.approve_only(upload)
    pipeline.withdraw(upload)
    assert pipeline.alumni() == {}


def test_a_correction_falls_also_with_an_upload_that_the_new_rules_reject(
    pipeline: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    wide = csv_bytes([*answers(1, 9), answer(10, Email="nobody")], header=(*HEADER, *"abcd"))
    upload = pipeline.put_and_take_in("term.csv", wide)
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {10: answer(10)}))
    pipeline.approve_only(upload, fix)
    pipeline.use_rules(changed_rules(limits={"columns": 12}))
    pipeline.judge_again(upload, fix)
    pipeline.withdraw(upload)
    assert (pipeline.ingested(upload).outcome, pipeline.standing(fix).counts) == ("rejected", False)


# What is lost, or killed half-way


def test_a_take_in_that_breaks_before_the_correction_is_entered_is_done_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    pipeline.put("fixed.csv", correction(upload, {9: answer(9), 3: answer(3)}))
    with monkeypatch.context() as broken:
        broken.setattr(Register, "enter_ingested", _breaks)
        assert not pipeline.take_in("fixed.csv").success
    assert lives(pipeline, upload) == {9: "open", 10: "open"}
    assert pipeline.find_new() == ("fixed.csv",) or pipeline.statuses()[pipeline.upload_of("fixed.csv")] == "seen"
    fix = pipeline.upload_of("fixed.csv")
    assert pipeline.enter_again(fix).success
    assert (lives(pipeline, upload), lives(pipeline, fix)) == ({9: "resolved", 10: "open"}, {2: "open"})
    assert open_rows_check(pipeline, upload)[1]["resolved_rows"] == 1
    assert_accounted(pipeline)


def test_a_take_in_that_breaks_after_the_correction_is_entered_is_made_good_by_the_next_publication(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    pipeline.put("fixed.csv", correction(upload, {9: answer(9), 10: answer(10)}))
    with monkeypatch.context() as broken:
        broken.setattr(intake_assets._Step, "_others_concerned", _breaks)
        assert not pipeline.take_in("fixed.csv").success
    assert open_rows_check(pipeline, upload)[0] == "WARN"
    assert_accounted(pipeline)
    assert open_rows_check(pipeline, upload)[0] == "passed"
    assert set(quarantine(pipeline).values()) == {"resolved"}


def test_corrections_are_judged_anew_also_when_the_run_that_should_have_was_killed(
    pipeline: Pipeline, changed_rules: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*answers(1, 30), answer(31, Email="nobody"), answer(32, Department="Tech")]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {31: answer(31)}))
    pipeline.use_rules(changed_rules(vocabularies={"department": ["HR", "Admin"]}))
    with monkeypatch.context() as broken:
        broken.setattr(intake_assets._Step, "_others_concerned", _breaks)
        assert not pipeline.judge_again(upload).success
    assert pipeline.judge_again(upload).success
    assert pipeline.ingested(fix).against == pipeline.ingested(upload).invalid_content
    assert lives(pipeline, upload) == {31: "resolved", 32: "open"}


def test_judging_a_correction_again_changes_nothing(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    content = correction(upload, {9: answer(9), 10: answer(10, Email="x"), 3: answer(3)})
    fix = pipeline.put_and_take_in("fixed.csv", content)
    pipeline.approve_only(upload, fix)
    assert_accounted(pipeline)
    before = {folder: pipeline.files(folder) for folder in ("valid", "invalid", "transformed")}
    tables, standing = pipeline.tables(), pipeline.statuses()
    for again in (fix, upload, fix):
        assert pipeline.judge_again(again).success
    pipeline.approve_only(fix, upload)
    assert pipeline.renew().success
    assert {folder: pipeline.files(folder) for folder in before} == before
    assert (pipeline.tables(), pipeline.statuses()) == (tables, standing)


def test_dagster_and_the_warehouse_may_forget_everything(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {9: answer(9), 3: answer(3)}))
    pipeline.approve_only(upload, fix)
    assert_accounted(pipeline)
    tables = pipeline.tables()
    shutil.rmtree(pipeline.home)
    shutil.rmtree(pipeline.root / "published")
    for key in ("xlsx", "csv"):
        (pipeline.root / layout.correction_key(upload, key)).unlink()
    anew = Pipeline(pipeline.folder, instance=dg.DagsterInstance.ephemeral())
    with anew.instance:
        assert anew.enter_again(fix, upload).success
        assert anew.renew().success
        assert anew.tables() == tables
        assert open_rows_check(anew, upload) == ("WARN", {"open_rows": 1, "resolved_rows": 1, "waived_rows": 0})
        assert open_rows_check(anew, fix)[0] == "WARN"
        assert [row["_row"] for row in handed_out(anew, upload)] == ["9", "10"]


def _breaks(*_: Sequence[Any]) -> Any:
    raise OSError("the machine was switched off")
