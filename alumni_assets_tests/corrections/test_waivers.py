"""Rows that a person closes without a correction: which may be, what that does, and when it is void."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alumni_assets.stages.approval import ApprovalRefusedError
from alumni_assets.stages.quarantine import waive

from ..pipeline.answers import answer, answers, csv_bytes
from ..pipeline.conftest import APPROVER, Pipeline, failure_of
from .returns import assert_accounted, correction, listed, lives, quarantine, term

pytestmark = pytest.mark.slow

BAD = range(8, 13)


def five_of_twelve(pipeline: Pipeline) -> str:
    """An upload of twelve rows of which the last five are set aside: too many to be approved."""
    rows = [*answers(1, 7), *answers(8, 5, Email="nobody")]
    return pipeline.put_and_take_in("term.csv", csv_bytes(rows))


def closed(pipeline: Pipeline, upload: str, *rows: str, by: str = APPROVER, reason: str = "left the country") -> None:
    waive(pipeline.lake, pipeline.register, upload, rows, by, reason, "500MB")


def test_waived_rows_are_closed_with_who_and_why(pipeline: Pipeline) -> None:
    upload = five_of_twelve(pipeline)
    closed(pipeline, upload, "9", "11-12", by=" Ben Cruz ", reason=" no answer ")
    assert lives(pipeline, upload) == {8: "open", 9: "waived", 10: "open", 11: "waived", 12: "waived"}
    said = {row["row"]: (row["waived_by"], row["waiver_reason"]) for row in listed(pipeline, upload)}
    assert said == {row: ("Ben Cruz", "no answer") if row in (9, 11, 12) else (None, None) for row in BAD}
    (waiver,) = pipeline.facts.waivers[upload]
    assert (waiver.number, waiver.rows, waiver.by) == (1, ("9", "11-12"), "Ben Cruz")
    assert waiver.judged == pipeline.ingested(upload).invalid_content
    assert pipeline.ingested(upload).invalid == 5
    assert_accounted(pipeline)
    assert pipeline.published("SELECT invalid, open_rows, resolved_rows, waived_rows FROM uploads") == [(5, 2, 0, 3)]


def test_an_upload_may_be_approved_once_enough_rows_are_waived(pipeline: Pipeline) -> None:
    upload = five_of_twelve(pipeline)
    assert "no_open_rows" in failure_of(pipeline.materialize("transformed_survey", upload, approved_by=APPROVER))
    closed(pipeline, upload, "8-9")
    assert "no_open_rows" in failure_of(pipeline.materialize("transformed_survey", upload, approved_by=APPROVER))
    closed(pipeline, upload, "10")
    pipeline.approve_only(upload)
    (decision,) = pipeline.facts.decisions[upload]
    assert (decision.invalid_share, decision.checks["no_open_rows"], decision.override) == (2 / 12, "warning", "")


def test_the_check_is_reported_again_by_the_publication_after_a_waiver(pipeline: Pipeline) -> None:
    upload = five_of_twelve(pipeline)
    ends = []
    for rows in ((), ("8", "9", "10"), ("all",)):
        if rows:
            closed(pipeline, upload, *rows)
        assert pipeline.renew().success
        check = pipeline.check("invalid_survey", "no_open_rows", upload)
        assert check is not None
        numbers = tuple(check.metadata[f"{life}_rows"].value for life in ("open", "resolved", "waived"))
        ends.append(("passed" if check.passed else str(check.severity.value), *numbers))
    assert ends == [("ERROR", 5, 0, 0), ("WARN", 2, 0, 3), ("passed", 0, 0, 5)]


@pytest.mark.parametrize(
    "rows",
    [
        ("7",),
        ("13",),
        ("0",),
        ("-8",),
        ("8-13",),
        ("9-8",),
        ("8", "99"),
        ("8,9",),
        ("",),
        ("eight",),
        ("all", "8"),
        ("8", "all"),
        ("８",),
        ("1-999999999999999999",),
        ("9999999999999999999999",),
        ("8.0",),
        ("8 OR 1=1",),
        (),
    ],
    ids=str,
)
def test_rows_that_are_not_open_or_no_rows_are_refused_and_nothing_is_closed(
    pipeline: Pipeline, rows: tuple[str, ...]
) -> None:
    upload = five_of_twelve(pipeline)
    with pytest.raises(ApprovalRefusedError):
        closed(pipeline, upload, *rows)
    assert pipeline.facts.waivers == {}


def test_a_waiver_needs_a_name_a_reason_and_an_upload_with_open_rows(pipeline: Pipeline) -> None:
    upload = five_of_twelve(pipeline)
    clean = pipeline.put_and_take_in("clean.csv", csv_bytes(answers(50, 2)))
    for name, by, reason in (
        (upload, APPROVER, " "),
        (upload, "", "left"),
        (clean, APPROVER, "left"),
        ("no.csv@00000000", APPROVER, "left"),
    ):
        with pytest.raises(ApprovalRefusedError):
            closed(pipeline, name, "all", by=by, reason=reason)
    closed(pipeline, upload, "all")
    for rows in ("8", "all"):
        with pytest.raises(ApprovalRefusedError, match="no open rows"):
            closed(pipeline, upload, rows)
    assert len(pipeline.facts.waivers[upload]) == 1


def test_a_row_may_be_named_twice_in_one_waiver_and_counts_once(pipeline: Pipeline) -> None:
    upload = five_of_twelve(pipeline)
    closed(pipeline, upload, "9-10", "10", "010-11")
    assert pipeline.facts.waivers[upload][0].rows == ("9-11",)
    assert_accounted(pipeline)


def test_a_correction_of_a_waived_row_resolves_it_and_its_withdrawal_brings_the_waiver_back(
    pipeline: Pipeline,
) -> None:
    upload = five_of_twelve(pipeline)
    closed(pipeline, upload, "8-9")
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {8: answer(8), 9: answer(9, Email="x")}))
    assert (lives(pipeline, upload)[8], lives(pipeline, upload)[9]) == ("resolved", "waived")
    assert_accounted(pipeline)
    pipeline.withdraw(fix)
    assert (lives(pipeline, upload)[8], lives(pipeline, upload)[9]) == ("waived", "waived")
    assert_accounted(pipeline)


def test_a_resolved_row_cannot_be_waived(pipeline: Pipeline) -> None:
    upload = five_of_twelve(pipeline)
    pipeline.put_and_take_in("fixed.csv", correction(upload, {8: answer(8)}))
    with pytest.raises(ApprovalRefusedError, match="not open"):
        closed(pipeline, upload, "8")
    closed(pipeline, upload, "all")
    assert pipeline.facts.waivers[upload][0].rows == ("9-12",)


def test_a_row_that_a_correction_has_too_many_is_waived_as_the_corrections_own(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    wrong = {9: answer(9, Email="x"), 3: answer(3), 4: answer(4)}
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, wrong))
    with pytest.raises(ApprovalRefusedError, match="not open"):
        closed(pipeline, fix, "1")  # the row that came back still wrong is open under the first upload
    closed(pipeline, fix, "2")
    assert lives(pipeline, fix) == {2: "waived", 3: "open"}
    assert lives(pipeline, upload) == {9: "open", 10: "open"}
    closed(pipeline, fix, "all")
    assert pipeline.facts.waivers[fix][1].rows == ("3",)
    assert_accounted(pipeline)


def test_waived_rows_fall_with_their_upload_and_are_waived_again_when_it_comes_back(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    closed(pipeline, upload, "9")
    pipeline.approve_only(upload)
    newer = pipeline.put_and_take_in("term.csv", csv_bytes(answers(50, 2)))
    pipeline.approve_only(newer)
    assert lives(pipeline, upload) == {9: "superseded", 10: "superseded"}
    with pytest.raises(ApprovalRefusedError, match="no open rows"):
        closed(pipeline, upload, "10")
    assert_accounted(pipeline)
    pipeline.withdraw(newer)
    assert lives(pipeline, upload) == {9: "waived", 10: "open"}


def test_a_waiver_is_void_when_the_rows_are_judged_anew_with_another_result(
    pipeline: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    rows = [*answers(1, 18), answer(19, Department="Tech"), answer(20, Email="nobody")]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    closed(pipeline, upload, "20")
    assert pipeline.judge_again(upload).success
    assert lives(pipeline, upload) == {20: "waived"}
    first = pipeline.facts.waivers[upload]
    usual = Path(pipeline.environment["ALUMNI_SURVEY"])
    pipeline.use_rules(changed_rules(vocabularies={"department": ["HR"]}))
    assert pipeline.judge_again(upload).success
    assert lives(pipeline, upload) == {19: "open", 20: "open"}
    assert pipeline.facts.waivers[upload] == first
    assert_accounted(pipeline)
    assert set(quarantine(pipeline).values()) == {"open"}
    # Judged as it was, it is what the person had seen.
    pipeline.use_rules(usual)
    assert pipeline.judge_again(upload).success
    assert lives(pipeline, upload) == {20: "waived"}
