"""New content under an old name, equal content, going back, withdrawing: which rows count after each of them."""

import os
from typing import Any
from unittest.mock import Mock

import pytest

from alumni_assets import layout
from alumni_assets.assets import intake as intake_assets
from alumni_assets.register import Register
from alumni_assets.stages import intake
from alumni_assets.stages.engine import LocalEngine
from alumni_assets.survey.standing import Ingested, Seen

from .answers import answer, answers, csv_bytes
from .conftest import APPROVER, Pipeline, failure_of
from .test_sensors import run_requested, runs_of, tick

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


def test_content_that_counts_changes_nothing_under_another_name(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    again = pipeline.put_and_take_in("copy of term.csv", A)
    assert pipeline.statuses() == {first: "transformed", again: "duplicate"}
    assert first in pipeline.ingested(again).reason
    assert pipeline.partition_status("raw_survey", again) is not None
    assert pipeline.materialization("validated_survey", again) is None
    assert not pipeline.materialize("transformed_survey", again).success
    assert pipeline.statuses()[again] == "duplicate"


def test_content_that_waits_changes_nothing_under_another_name(pipeline: Pipeline) -> None:
    first = pipeline.put_and_take_in("term.csv", A)
    again = pipeline.put_and_take_in("copy.csv", A)
    assert pipeline.statuses() == {first: "validated", again: "duplicate"}


def test_equal_contents_in_one_run_are_one_upload_and_duplicates(pipeline: Pipeline) -> None:
    for key in ("one.csv", "two.csv", "three.csv"):
        pipeline.put(key, A)
    assert pipeline.take_in("one.csv", "two.csv", "three.csv").success
    assert sorted(pipeline.statuses().values()) == ["duplicate", "duplicate", "validated"]
    assert pipeline.statuses()[pipeline.upload_of("one.csv")] == "validated"


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


def test_superseded_content_under_another_name_revives_the_superseded_upload(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    second = put_and_approve(pipeline, "term.csv", B)
    copy = pipeline.put_and_take_in("term of before.csv", A)
    assert pipeline.statuses() == {first: "validated", second: "transformed", copy: "duplicate"}
    assert first in pipeline.ingested(copy).reason
    pipeline.approve_only(first)
    assert pipeline.statuses() == {first: "transformed", second: "superseded", copy: "duplicate"}


def test_superseded_content_is_not_revived_while_other_content_equal_to_it_counts(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    pipeline.withdraw(first)
    renamed = put_and_approve(pipeline, "renamed.csv", A)
    newer = put_and_approve(pipeline, "term.csv", C)
    assert pipeline.statuses()[first] == "superseded"
    again = pipeline.put_and_take_in("copy.csv", A)
    assert renamed in pipeline.ingested(again).reason
    assert pipeline.statuses() == {
        first: "superseded",
        renamed: "transformed",
        newer: "transformed",
        again: "duplicate",
    }


def test_what_was_withdrawn_and_then_superseded_is_not_revived(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    pipeline.withdraw(first)
    newer = put_and_approve(pipeline, "term.csv", C)
    again = pipeline.put_and_take_in("copy.csv", A)
    assert pipeline.statuses() == {first: "superseded", newer: "transformed", again: "validated"}


def test_an_upload_whose_intake_broke_off_is_a_duplicate_of_its_copy_that_counts_by_now(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.put("term.csv", A)
    with monkeypatch.context() as patch:
        patch.setattr(intake, "inspect", Mock(side_effect=OSError("broken")))
        assert not pipeline.take_in("term.csv").success
    first = pipeline.upload_of("term.csv")
    copy = put_and_approve(pipeline, "copy of term.csv", A)
    assert pipeline.statuses() == {first: "seen", copy: "transformed"}
    assert pipeline.take_in("term.csv").success
    assert pipeline.statuses() == {first: "duplicate", copy: "transformed"}


def judge_meanwhile(pipeline: Pipeline, patch: pytest.MonkeyPatch, during: str, other: str, approves: bool) -> None:
    """Let another run take in `other`, from its beginning to its end, while one judges what lies at `during`."""
    judge = LocalEngine.validate

    def disturbed(engine: LocalEngine, seen: Seen, *more: Any) -> Any:
        judged = judge(engine, seen, *more)
        if seen.key == during:
            patch.setattr(LocalEngine, "validate", judge)
            assert pipeline.take_in(other).success
            if approves:
                pipeline.approve_only(pipeline.upload_of(other))
        return judged

    patch.setattr(LocalEngine, "validate", disturbed)


@pytest.mark.parametrize("approves", [False, True], ids=["both wait", "one was approved at once"])
def test_of_equal_contents_that_two_runs_judge_at_the_same_time_one_is_a_duplicate(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, approves: bool
) -> None:
    pipeline.put("term.csv", A)
    pipeline.put("copy of term.csv", A)
    judge_meanwhile(pipeline, monkeypatch, "term.csv", "copy of term.csv", approves)
    assert pipeline.take_in("term.csv").success
    first, copy = pipeline.upload_of("term.csv"), pipeline.upload_of("copy of term.csv")
    statuses = {first: "duplicate", copy: "transformed"} if approves else {first: "validated", copy: "duplicate"}
    assert pipeline.statuses() == statuses
    repeated, other = (first, copy) if approves else (copy, first)
    assert pipeline.ingested(repeated).duplicate_of == other
    materialization = pipeline.materialization("raw_survey", repeated)
    assert materialization is not None
    assert materialization.metadata["status"].value == "duplicate"
    assert pipeline.renew().success
    assert len(pipeline.tables()["alumni"]) == (3 if approves else 0)


def test_what_a_run_that_was_killed_left_doubled_is_settled_by_the_look_for_what_is_lost(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.put("term.csv", A)
    pipeline.put("copy of term.csv", A)
    with monkeypatch.context() as patch:
        judge_meanwhile(pipeline, patch, "term.csv", "copy of term.csv", approves=False)
        patch.setattr(intake_assets, "doubled", Mock(side_effect=[{}, OSError("killed")]))
        assert not pipeline.take_in("term.csv").success
    first, copy = pipeline.upload_of("term.csv"), pipeline.upload_of("copy of term.csv")
    assert pipeline.statuses() == {first: "validated", copy: "validated"}
    found = tick(pipeline, "lost_uploads")
    assert runs_of(found) == [([], [copy])]
    assert run_requested(pipeline, found) == [True]
    assert pipeline.statuses() == {first: "validated", copy: "duplicate"}
    assert runs_of(tick(pipeline, "lost_uploads")) == []


def test_equal_content_counts_once_though_a_withdrawn_copy_of_it_may_be_approved_again(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    pipeline.withdraw(first)
    copy = put_and_approve(pipeline, "copy.csv", A)
    refused = failure_of(pipeline.materialize("transformed_survey", first, approved_by=APPROVER))
    assert f"{first} has nothing to approve: {copy} has the same content, and is approved." in refused
    assert pipeline.statuses() == {first: "withdrawn", copy: "transformed"}
    pipeline.withdraw(copy)
    pipeline.approve_only(first)
    assert pipeline.statuses() == {first: "transformed", copy: "withdrawn"}


def test_what_is_approved_while_it_is_entered_as_a_duplicate_stays(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.put("term.csv", A)
    pipeline.put("copy of term.csv", A)
    judge_meanwhile(pipeline, monkeypatch, "term.csv", "copy of term.csv", approves=False)
    enter = Register.enter_ingested

    def enter_and_approve(register: Register, ingested: Ingested) -> None:
        if ingested.duplicate_of:
            monkeypatch.setattr(Register, "enter_ingested", enter)
            pipeline.approve_only(ingested.upload)
        enter(register, ingested)

    monkeypatch.setattr(Register, "enter_ingested", enter_and_approve)
    assert pipeline.take_in("term.csv").success
    first, copy = pipeline.upload_of("term.csv"), pipeline.upload_of("copy of term.csv")
    assert pipeline.statuses() == {first: "validated", copy: "transformed"}
    assert pipeline.renew().success
    assert runs_of(tick(pipeline, "lost_uploads")) == [([], [first])]


def test_content_that_returns_under_its_name_while_a_copy_of_it_counts_is_a_duplicate(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    pipeline.withdraw(first)
    copy = put_and_approve(pipeline, "copy.csv", A)
    other = pipeline.put_and_take_in("term.csv", C)
    assert pipeline.put_and_take_in("term.csv", A) == first
    assert pipeline.statuses() == {first: "duplicate", copy: "transformed", other: "validated"}
    assert pipeline.alumni() == dict.fromkeys([1, 2, 3], copy)


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


def test_rejected_content_is_judged_on_its_own_under_a_name_that_fits(pipeline: Pipeline) -> None:
    rejected = pipeline.put_and_take_in("term.doc", A)
    accepted = pipeline.put_and_take_in("term.csv", A)
    assert pipeline.statuses() == {rejected: "rejected", accepted: "validated"}


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


def test_the_copy_of_a_withdrawn_upload_is_judged_on_its_own(pipeline: Pipeline) -> None:
    withdrawn = put_and_approve(pipeline, "term.csv", A)
    pipeline.withdraw(withdrawn)
    copy = pipeline.put_and_take_in("copy.csv", A)
    assert pipeline.statuses() == {withdrawn: "withdrawn", copy: "validated"}


def test_a_duplicate_that_returns_is_judged_when_nothing_else_has_its_content_any_more(pipeline: Pipeline) -> None:
    first = put_and_approve(pipeline, "term.csv", A)
    copy = pipeline.put_and_take_in("copy.csv", A)
    pipeline.put_and_take_in("copy.csv", C)
    pipeline.withdraw(first)
    assert pipeline.put_and_take_in("copy.csv", A) == copy
    assert pipeline.statuses()[copy] == "validated"


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
