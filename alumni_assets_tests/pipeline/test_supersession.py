"""New content under an old name, going back, withdrawing: which rows count after each of them."""

import os

import pytest

from alumni_assets import layout

from .answers import answer, answers, csv_bytes
from .conftest import APPROVER, Pipeline, failure_of

pytestmark = pytest.mark.slow

A = csv_bytes(answers(1, 3, Performance_Rating="1"))
B = csv_bytes(answers(2, 3, Performance_Rating="2"))
C = csv_bytes(answers(7, 1, Performance_Rating="3"))


def put_and_approve(pipeline: Pipeline, key: str, content: bytes) -> str:
    upload = pipeline.put_and_take_in(key, content)
    pipeline.approve_only(upload)
    return upload


def test_new_content_under_a_name_replaces_the_rows_of_the_old_once_it_is_approved(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    second = pipeline.put_and_take_in("term.csv", B)
    assert pipeline.statuses() == {first: "transformed", second: "validated"}
    assert pipeline.alumni() == dict.fromkeys([1, 2, 3], first)
    pipeline.approve_only(second)
    assert pipeline.alumni() == dict.fromkeys([2, 3, 4], second)
    assert pipeline.statuses() == {first: "superseded", second: "transformed"}
    assert pipeline.standing(first).superseded_by == second
    assert all(pipeline.lake.stat(key(first)) for key in (layout.pinned_key, layout.valid_key, layout.transformed_key))


def test_a_rejected_successor_changes_nothing(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    for content in (b"", b"%PDF-1.7", csv_bytes(answers(9, 2), header=("Employee_ID",))):
        successor = pipeline.put_and_take_in("term.csv", content)
        assert pipeline.statuses()[successor] == "rejected"
        assert pipeline.statuses()[first] == "transformed"
    assert pipeline.alumni() == dict.fromkeys([1, 2, 3], first)


def test_a_successor_that_may_not_be_approved_changes_nothing(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    spoiled = pipeline.put_and_take_in("term.csv", csv_bytes(answers(9, 2, Email="nobody")))
    assert not pipeline.materialize("transformed_survey", spoiled).success
    assert pipeline.alumni() == dict.fromkeys([1, 2, 3], first)


def test_going_back_to_earlier_content_under_the_same_name(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    second = put_and_approve(pipeline, "term.csv", B)
    returned = pipeline.put_and_take_in("term.csv", A)
    assert returned == first
    assert pipeline.statuses() == {first: "validated", second: "transformed"}
    pipeline.approve_only(first)
    assert pipeline.statuses() == {first: "transformed", second: "superseded"}
    assert pipeline.alumni() == dict.fromkeys([1, 2, 3], first)


def test_going_forth_and_back_many_times(pipeline: Pipeline) -> None:
    for content in (A, B, A, C, B):
        upload = put_and_approve(pipeline, "term.csv", content)
        assert {found for found, status in pipeline.statuses().items() if status == "transformed"} == {upload}
    assert set(pipeline.alumni()) == {2, 3, 4}


def test_content_that_returns_while_it_still_counts_leaves_nothing_waiting(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    mistaken = pipeline.put_and_take_in("term.csv", B)
    pipeline.put_and_take_in("term.csv", A)
    assert pipeline.statuses() == {first: "transformed", mistaken: "superseded"}


def test_touching_a_file_whose_name_went_back_elsewhere_changes_nothing(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    second = put_and_approve(pipeline, "term.csv", B)
    pipeline.put_and_take_in("term of before.csv", A)
    pipeline.approve_only(first)
    pipeline.put_and_take_in("term.csv", B)
    assert pipeline.statuses()[second] == "superseded"


def test_what_was_superseded_may_not_be_approved(pipeline: Pipeline) -> None:
    first = pipeline.put_and_take_in("term.csv", A)
    second = put_and_approve(pipeline, "term.csv", B)
    refused = failure_of(pipeline.materialize("transformed_survey", first, approved_by=APPROVER))
    assert f"{first} has nothing to approve: {second} under the same name counts in its place." in refused
    assert pipeline.statuses() == {first: "superseded", second: "transformed"}
    assert pipeline.alumni() == dict.fromkeys([2, 3, 4], second)


def test_what_was_superseded_is_transformed_again_as_it_was_approved(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    second = put_and_approve(pipeline, "term.csv", B)
    pipeline.lake.delete(layout.transformed_key(first))
    pipeline.approve_only(first)
    assert pipeline.lake.stat(layout.transformed_key(first)) is not None
    assert pipeline.statuses() == {first: "superseded", second: "transformed"}


def test_withdrawing_takes_an_uploads_rows_out(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "one.csv", A)
    other = put_and_approve(pipeline, "other.csv", B)
    assert pipeline.alumni() == {1: first, 2: other, 3: other, 4: other}
    pipeline.withdraw(other)
    assert pipeline.alumni() == dict.fromkeys([1, 2, 3], first)
    assert pipeline.statuses() == {first: "transformed", other: "withdrawn"}


def test_an_earlier_upload_under_the_name_counts_again_when_its_successor_is_withdrawn(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    second = put_and_approve(pipeline, "term.csv", B)
    assert set(pipeline.alumni().values()) == {second}
    pipeline.withdraw(second)
    assert pipeline.statuses() == {first: "transformed", second: "withdrawn"}
    assert pipeline.alumni() == dict.fromkeys([1, 2, 3], first)


def test_a_withdrawn_upload_stays_out_whatever_is_run_again(pipeline: Pipeline) -> None:
    upload = put_and_approve(pipeline, "term.csv", A)
    pipeline.withdraw(upload)
    os.utime(pipeline.raw / "term.csv")
    assert pipeline.take_in("term.csv").success
    assert pipeline.materialize("validated_survey", upload).success
    assert pipeline.judge_again(upload).success
    assert pipeline.renew().success
    assert pipeline.statuses() == {upload: "withdrawn"}
    assert pipeline.tables()["alumni"] == []
    assert pipeline.published("SELECT status, reason, approved_by FROM uploads") == [
        ("withdrawn", "sent by mistake", None)
    ]


def test_a_file_that_is_only_touched_changes_nothing(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    second = put_and_approve(pipeline, "term.csv", B)
    copy = pipeline.put_and_take_in("copy.csv", B)
    facts = pipeline.facts
    for key in ("term.csv", "copy.csv"):
        (pipeline.raw / key).write_bytes(B)
        assert pipeline.find_new() == (key,)
        assert pipeline.take_in(key).success
    assert pipeline.statuses() == {first: "superseded", second: "transformed", copy: "duplicate"}
    assert pipeline.facts.ingested == facts.ingested
    assert pipeline.find_new() == ()


def test_deleting_a_file_from_raw_changes_nothing(pipeline: Pipeline) -> None:
    upload = put_and_approve(pipeline, "term.csv", A)
    waiting = pipeline.put_and_take_in("other.csv", B)
    for key in ("term.csv", "other.csv"):
        (pipeline.raw / key).unlink()
    assert pipeline.find_new() == ()
    assert pipeline.statuses() == {upload: "transformed", waiting: "validated"}
    pipeline.approve_only(waiting)
    assert set(pipeline.alumni()) == {1, 2, 3, 4}


def test_what_happens_in_raw_after_taking_in_changes_nothing(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", A)
    pipeline.put("term.csv", b"overwritten by hand")
    assert pipeline.materialize("validated_survey", upload).success
    pipeline.approve_only(upload)
    assert set(pipeline.alumni()) == {1, 2, 3}


def test_no_alumnus_has_two_rows_however_the_answer_is_written_again(pipeline: Pipeline) -> None:
    written_again = [
        answer(1, Email="Valerie.1@SCHOOL.edu.PH"),
        answer(2, Employee_Name="  DR. VALERIE   QUINTOS MD "),
        answer(3, Employee_ID="0003"),
        answer(4, Employee_ID="4.0", Department=" hr "),
        answer(5, Phone_Number="+63 900 000 0005", Performance_Rating="5"),
    ]
    pipeline.put("again.csv", csv_bytes([*written_again, *written_again]))
    pipeline.put("first.csv", csv_bytes(answers(1, 5)))
    assert pipeline.take_in("first.csv", "again.csv").success
    again = pipeline.upload_of("again.csv")
    pipeline.approve_only(again, pipeline.upload_of("first.csv"))
    assert pipeline.alumni() == dict.fromkeys(range(1, 6), again)
    transformed = pipeline.facts.transformed[again]
    assert (transformed.rows, transformed.exact_duplicates) == (5, 5)


def test_ids_that_look_alike_are_one_alumnus_or_a_reason(pipeline: Pipeline) -> None:
    """What nobody sees is no part of an id; digits of other scripts are none, whatever they look like."""
    same = ["628496", "6284\u200b96", "\u202e628496\u202c", "\u2066628496\u2069", "00628496", "\u00a0628496\ufeff"]
    others = ["６２８４９６", "٦٢٨٤٩٦", "62849б", "6284𝟫6", "O628496", "6284l6"]
    rows = [answer(n, Employee_ID=text) for n, text in enumerate([*same, *others])]
    upload = pipeline.put_and_take_in("alike.csv", csv_bytes(rows))
    assert pipeline.ingested(upload).reasons == {"Employee_ID:not_an_id": len(others)}
    assert pipeline.materialize("transformed_survey", upload, override_reason="looked at").success
    assert pipeline.alumni() == {628496: upload}


def test_a_corrected_upload_under_the_same_name_replaces_the_rows_of_the_earlier_one(pipeline: Pipeline) -> None:
    spoiled = [answer(1, Performance_Rating="9"), *answers(2, 5)]
    first = pipeline.put_and_take_in("term.csv", csv_bytes(spoiled))
    assert pipeline.approve(first).success
    assert pipeline.published("SELECT status, count(*) FROM quarantine GROUP BY ALL") == [("open", 1)]
    corrected = pipeline.put_and_take_in("term.csv", csv_bytes([answer(1, Performance_Rating="5"), *answers(2, 4)]))
    assert pipeline.approve(corrected).success
    assert pipeline.published("SELECT employee_id, upload FROM alumni ORDER BY 1") == [
        (employee_id, corrected) for employee_id in range(1, 6)
    ]
    assert pipeline.published("SELECT status, count(*) FROM quarantine GROUP BY ALL") == [("superseded", 1)]
    assert pipeline.published("SELECT upload, status, reason FROM uploads") == [
        (first, "superseded", f"Superseded by {corrected}."),
        (corrected, "transformed", None),
    ]
