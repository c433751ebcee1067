"""Corrections of uploads that are superseded or withdrawn, and come back; and several under one name."""

import pytest

from alumni_assets.stages import approval

from ..pipeline.answers import answer, answers, csv_bytes
from ..pipeline.conftest import APPROVER, Pipeline, failure_of
from .returns import (
    assert_accounted,
    correction,
    listed,
    lives,
    quarantine,
    responses,
    term,
)

pytestmark = pytest.mark.slow


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
