"""What the check of open rows says as corrections come and go, and what an approval goes by."""

import pytest

from ..pipeline.answers import answer, answers, csv_bytes
from ..pipeline.conftest import APPROVER, Pipeline, failure_of
from .returns import (
    correction,
    open_rows_check,
    term,
)

pytestmark = pytest.mark.slow


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
