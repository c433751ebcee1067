"""Equal content under another name: it changes nothing, revives what was superseded, or is judged on its own."""

from typing import Any
from unittest.mock import Mock

import pytest

from alumni_assets.assets import intake as intake_assets
from alumni_assets.register import Register
from alumni_assets.stages import intake
from alumni_assets.stages.engine import LocalEngine
from alumni_assets.survey.standing import Ingested, Seen

from ..corrections.returns import correction
from .answers import answer, answers, csv_bytes
from .conftest import APPROVER, Pipeline, failure_of
from .test_sensors import run_requested, runs_of, tick
from .test_supersession import A, B, C, put_and_approve

pytestmark = pytest.mark.slow


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


def doubled_by_a_killed_run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, content: bytes) -> tuple[str, str]:
    """Two uploads of equal content, judged at the same time by two runs, of which one was killed at its end."""
    pipeline.put("term.csv", content)
    pipeline.put("copy of term.csv", content)
    with monkeypatch.context() as patch:
        judge_meanwhile(pipeline, patch, "term.csv", "copy of term.csv", approves=False)
        patch.setattr(intake_assets, "repetitions", Mock(side_effect=[{}, OSError("killed")]))
        assert not pipeline.take_in("term.csv").success
    return pipeline.upload_of("term.csv"), pipeline.upload_of("copy of term.csv")


def test_what_a_run_that_was_killed_left_doubled_is_settled_by_the_look_for_what_is_lost(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, copy = doubled_by_a_killed_run(pipeline, monkeypatch, A)
    assert pipeline.statuses() == {first: "validated", copy: "validated"}
    found = tick(pipeline, "lost_uploads")
    assert runs_of(found) == [([], [copy])]
    assert run_requested(pipeline, found) == [True]
    assert pipeline.statuses() == {first: "validated", copy: "duplicate"}
    assert runs_of(tick(pipeline, "lost_uploads")) == []


def test_a_correction_of_what_was_found_to_repeat_another_says_which_rows_to_correct(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, copy = doubled_by_a_killed_run(pipeline, monkeypatch, csv_bytes([*answers(1, 8), answer(9, Email="nobody")]))
    pipeline.approve_only(first)
    fix = pipeline.put_and_take_in("fix.csv", correction(copy, {9: answer(9)}))
    assert all(run_requested(pipeline, tick(pipeline, "lost_uploads")))
    assert pipeline.renew().success
    assert pipeline.published("SELECT upload, status, reason FROM uploads WHERE status <> 'transformed'") == [
        (copy, "duplicate", f"The same content as {first}; it changes nothing."),
        (fix, "superseded", f"{copy} was found to repeat {first}. Correct the rows of that one."),
    ]


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


def test_rejected_content_is_judged_on_its_own_under_a_name_that_fits(pipeline: Pipeline) -> None:
    rejected = pipeline.put_and_take_in("term.doc", A)
    accepted = pipeline.put_and_take_in("term.csv", A)
    assert pipeline.statuses() == {rejected: "rejected", accepted: "validated"}


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
