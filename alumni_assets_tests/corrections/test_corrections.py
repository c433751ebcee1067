"""Rows that were set aside come back corrected: what is taken, and what becomes of each row."""

from collections.abc import Callable
from typing import Any

import pytest

from alumni_assets import layout
from alumni_assets.stages import approval
from alumni_assets.survey.correction_workbook import KEPT

from ..pipeline.answers import HEADER, answer, answers, csv_bytes, csv_text, gzipped, workbook_of
from ..pipeline.conftest import Pipeline
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
    returned,
    survey_cells,
    term,
    transformed_table,
    valid_table,
)

pytestmark = pytest.mark.slow

EMAIL, RATING = ("Email", "not_an_email"), ("Performance_Rating", "not_a_rating")


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
