"""What waits for approval, what an approval records, and what has changed since a person looked."""

from collections.abc import Callable
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.tags import BACKFILL_ID_TAG, PARENT_RUN_ID_TAG, RETRY_NUMBER_TAG

from alumni_assets.assets.waiting import NOTHING_WAITS, waiting_outcome
from alumni_assets.stages.approval import ApprovalRefusedError, Request, approve
from alumni_assets.stages.intake import utc_now

from .answers import answer, answers, csv_bytes
from .conftest import APPROVER, Pipeline, failure_of, only

pytestmark = pytest.mark.slow

FEW_BAD = csv_bytes([*answers(1, 9), answer(10, Email="nobody")])
MANY_BAD = csv_bytes([*answers(20, 3), answer(23, Email="nobody")])


def waiting(pipeline: Pipeline) -> list[dict[str, Any]]:
    """What the check of transformed_survey shows now."""
    evaluation = pipeline.check("transformed_survey", NOTHING_WAITS.name)
    assert evaluation is not None
    assert evaluation.severity == dg.AssetCheckSeverity.WARN or evaluation.passed
    uploads = evaluation.metadata.get("uploads")
    assert evaluation.passed == (uploads is None)
    if uploads is None:
        return []
    assert isinstance(uploads, dg.TableMetadataValue)
    return [dict(record.data) for record in uploads.records]


def test_what_waits_is_a_table_on_the_asset_after_each_intake(pipeline: Pipeline) -> None:
    few = pipeline.put_and_take_in("few.csv", FEW_BAD)
    many = pipeline.put_and_take_in("many.csv", MANY_BAD)
    pipeline.put_and_take_in("notes.pdf", b"%PDF-1.7")
    shown = [(row["upload"], row["valid rows"], row["open rows"], row["may be approved"]) for row in waiting(pipeline)]
    assert shown == [(few, "9", "1", "yes"), (many, "3", "1", "no: failed no_open_rows")]


def test_what_is_approved_or_withdrawn_waits_no_longer(pipeline: Pipeline) -> None:
    few = pipeline.put_and_take_in("few.csv", FEW_BAD)
    many = pipeline.put_and_take_in("many.csv", MANY_BAD)
    pipeline.approve_only(few)
    assert [row["upload"] for row in waiting(pipeline)] == [many]
    pipeline.withdraw(many)
    assert pipeline.renew().success
    assert waiting(pipeline) == []


def test_a_run_that_refuses_everything_still_says_what_waits(pipeline: Pipeline) -> None:
    many = pipeline.put_and_take_in("many.csv", MANY_BAD)
    assert "no_open_rows" in failure_of(pipeline.materialize("transformed_survey", many))
    assert [row["upload"] for row in waiting(pipeline)] == [many]


def test_at_most_a_hundred_that_wait_are_shown_and_all_are_counted(pipeline: Pipeline) -> None:
    keys = [f"{number}.csv" for number in range(101)]
    for number, key in enumerate(keys):
        pipeline.put(key, csv_bytes(answers(1 + number, 1)))
    assert pipeline.take_in(*keys).success
    outcome = waiting_outcome(pipeline.facts)
    assert outcome.description.startswith("101 uploads with 101 valid rows wait for approval. ")
    assert len(outcome.metadata["uploads"].records) == 100


def test_an_approval_records_how_each_check_had_ended(pipeline: Pipeline) -> None:
    few, many = pipeline.put_and_take_in("few.csv", FEW_BAD), pipeline.put_and_take_in("many.csv", MANY_BAD)
    clean = pipeline.put_and_take_in("clean.csv", csv_bytes(answers(40, 2)))
    pipeline.approve_only(few, clean)
    assert pipeline.materialize("transformed_survey", many, approved_by=APPROVER, override_reason="agreed").success
    passed = dict.fromkeys(("readable", "rows_accounted_for", "schema_holds"), "passed")
    ends = {upload: only(decisions).checks for upload, decisions in pipeline.facts.decisions.items()}
    assert ends == {
        few: {**passed, "no_open_rows": "warning"},
        many: {**passed, "no_open_rows": "failed"},
        clean: {**passed, "no_open_rows": "passed"},
    }


def test_approvals_are_a_table_with_overrides_and_withdrawals(pipeline: Pipeline) -> None:
    many = pipeline.put_and_take_in("many.csv", MANY_BAD)
    config = {"approved_by": APPROVER, "note": "by phone", "override_reason": "agreed"}
    assert pipeline.materialize("transformed_survey", many, **config).success
    assert pipeline.renew().success
    columns = "upload, number, decision, in_force, decided_by, note, override_reason, failed_checks, row_count"
    approval = (many, 1, "approved", True, APPROVER, "by phone", "agreed", "no_open_rows", 3)
    assert pipeline.published(f"SELECT {columns} FROM approvals") == [approval]
    content, share = pipeline.published("SELECT content, invalid_share FROM approvals")[0]
    assert (content, share) == (pipeline.ingested(many).content, 0.25)
    pipeline.withdraw(many, "sent by mistake")
    assert pipeline.renew().success
    assert pipeline.published(f"SELECT {columns} FROM approvals") == [
        (*approval[:3], False, *approval[4:]),
        (many, 2, "withdrawn", True, APPROVER, "sent by mistake", None, None, None),
    ]


@pytest.fixture
def judged_anew(pipeline: Pipeline, changed_rules: Callable[..., Path]) -> str:
    """An upload of which the valid rows are others than a moment ago, for the rules have changed."""
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 9), answer(10, Department="Legal")]))
    pipeline.use_rules(changed_rules(vocabularies={"department": ["HR", "Legal"]}))
    assert pipeline.judge_again(upload).success
    assert pipeline.ingested(upload).valid == 10
    return upload


def approval_of(pipeline: Pipeline) -> dg.JobDefinition:
    """The job that "Materialize" on transformed_survey runs."""
    everything = pipeline.defs.resolve_implicit_global_asset_job_def()
    return everything.get_subset(asset_selection={dg.AssetKey("transformed_survey")})


def test_rows_that_changed_since_the_approval_was_asked_for_are_refused(pipeline: Pipeline, judged_anew: str) -> None:
    changed_at = pipeline.ingested(judged_anew).content_at
    assert changed_at is not None
    before = Request(APPROVER, asked_at=changed_at - timedelta(seconds=1))
    with pytest.raises(ApprovalRefusedError, match="have changed since its approval was asked for"):
        approve(pipeline.lake, pipeline.register, judged_anew, before)
    approve(pipeline.lake, pipeline.register, judged_anew, Request(APPROVER, asked_at=utc_now()))
    assert pipeline.statuses() == {judged_anew: "approved"}


def test_of_a_backfill_the_click_counts_and_not_the_later_run(pipeline: Pipeline, judged_anew: str) -> None:
    changed_at = pipeline.ingested(judged_anew).content_at
    assert changed_at is not None
    clicked = changed_at.replace(tzinfo=UTC).timestamp() - 1
    pipeline.instance.add_backfill(
        PartitionBackfill("abc", BulkActionStatus.REQUESTED, False, {}, clicked, asset_selection=[], title=None)
    )
    result = approval_of(pipeline).execute_in_process(
        instance=pipeline.instance, partition_key=judged_anew, tags={BACKFILL_ID_TAG: "abc"}, raise_on_error=False
    )
    assert "have changed since its approval was asked for" in failure_of(result)
    assert pipeline.facts.decisions == {}


@pytest.mark.parametrize(("by_dagster", "decisions"), [(True, 0), (False, 1)])
def test_a_retry_approves_only_what_was_there_when_a_person_asked(
    pipeline: Pipeline, changed_rules: Callable[..., Path], by_dagster: bool, decisions: int
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 9), answer(10, Department="Legal")]))
    killed = pipeline.instance.create_run_for_job(approval_of(pipeline)).run_id
    pipeline.use_rules(changed_rules(vocabularies={"department": ["HR", "Legal"]}))
    assert pipeline.judge_again(upload).success
    retry = {PARENT_RUN_ID_TAG: killed} | ({RETRY_NUMBER_TAG: "1"} if by_dagster else {})
    result = approval_of(pipeline).execute_in_process(
        instance=pipeline.instance, partition_key=upload, tags=retry, raise_on_error=False
    )
    assert result.success is not by_dagster
    assert len(pipeline.facts.decisions.get(upload, ())) == decisions


def test_an_upload_that_was_withdrawn_after_its_approval_was_asked_for_stays_out(pipeline: Pipeline) -> None:
    """Such as by a run that waited in the queue, whether a person or the policy had asked for it."""
    upload = pipeline.put_and_take_in("few.csv", FEW_BAD)
    queued = pipeline.instance.create_run_for_job(approval_of(pipeline)).run_id
    pipeline.withdraw(upload)
    repeated = {PARENT_RUN_ID_TAG: queued, RETRY_NUMBER_TAG: "1"}
    result = approval_of(pipeline).execute_in_process(
        instance=pipeline.instance, partition_key=upload, tags=repeated, raise_on_error=False
    )
    assert "was withdrawn after its approval was asked for" in failure_of(result)
    assert pipeline.statuses() == {upload: "withdrawn"}
    pipeline.approve_only(upload)
    assert pipeline.statuses() == {upload: "transformed"}


def test_judging_anew_with_the_same_result_changes_nothing_that_was_looked_at(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("few.csv", FEW_BAD)
    looked_at = utc_now()
    assert pipeline.judge_again(upload).success
    approve(pipeline.lake, pipeline.register, upload, Request(APPROVER, asked_at=looked_at))
    assert pipeline.statuses() == {upload: "approved"}
