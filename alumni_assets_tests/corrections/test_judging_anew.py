"""Uploads that are judged anew by other rules, and their corrections with them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ..pipeline.answers import HEADER, answer, answers, csv_bytes
from ..pipeline.conftest import Pipeline
from .returns import (
    assert_accounted,
    codes,
    correction,
    listed,
    lives,
    quarantine,
    responses,
    term,
)

pytestmark = pytest.mark.slow


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
