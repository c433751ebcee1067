"""What is left behind when a process dies between the register and what people see, and how it is made good."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from alumni_assets import intake_plan, jobs, pending_work
from alumni_assets.assets import tables
from alumni_assets.assets.intake_events import IntakeEvents
from alumni_assets.contract import default_contract
from alumni_assets.instance import open_instance
from alumni_assets.one_pass import OnePass
from alumni_assets.stages.approval import DoneAlreadyError
from alumni_assets.stages.quarantine import waive

from ..pipeline.answers import HEADER, answer, answers, csv_bytes
from ..pipeline.conftest import APPROVER, Pipeline
from ..pipeline.test_approvals import waiting
from .returns import correction, lives, term

pytestmark = pytest.mark.slow


def _dies(*_: Any, **__: Any) -> NoReturn:
    raise OSError("the process is gone")


def found_again(pipeline: Pipeline) -> intake_plan.Plan:
    """What the sensor enters again."""
    return pending_work.find_unreported(pipeline.register, default_contract())


def open_rows(pipeline: Pipeline, upload: str) -> int:
    """What the check says."""
    check = pipeline.check("invalid_survey", "no_open_rows", upload)
    assert check is not None
    value = check.metadata["open_rows"].value
    assert isinstance(value, int)
    return value


def test_an_intake_that_dies_before_dagster_is_told_of_it_is_told_by_the_next(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    pipeline.put("fixed.csv", correction(upload, {9: answer(9)}))
    with monkeypatch.context() as broken:
        broken.setattr(IntakeEvents, "validated", _dies)
        assert not pipeline.take_in("fixed.csv").success
    fix = pipeline.upload_of("fixed.csv")
    assert (pipeline.find_new(), pipeline.statuses()[fix]) == ((), "correction")
    assert (pipeline.materialization("raw_survey", fix), open_rows(pipeline, upload)) == (None, 2)

    assert found_again(pipeline).runs == [(fix,)]
    assert pipeline.enter_again(fix).success
    assert pipeline.materialization("validated_survey", fix) is not None
    assert open_rows(pipeline, upload) == 1
    assert [row["upload"] for row in waiting(pipeline)] == [upload, fix]
    assert (found_again(pipeline).runs, pipeline.register.attempts()) == ([], {})


def test_judging_by_other_rules_repeated_after_it_was_killed_tells_dagster_what_was_judged(
    pipeline: Pipeline, changed_rules: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    pipeline.use_rules(changed_rules(limits={"columns": 20}))
    for name, value in pipeline.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(pipeline.folder)
    monkeypatch.setattr(OnePass, "_renew", lambda *_: None)  # what becomes of the tables is tested elsewhere
    with monkeypatch.context() as broken:
        broken.setattr(IntakeEvents, "validated", _dies)
        with OnePass() as killed:
            assert killed.revalidate(())["broken"]
    assert pipeline.register.attempts()

    with OnePass() as again:
        assert again.revalidate(())["broken"] == []
    assert pipeline.register.attempts() == {}
    with open_instance(pipeline.home, None, pipeline.folder) as pipeline.instance:
        assert pipeline.materialization("validated_survey", upload) is not None


def test_a_correction_waits_for_an_upload_that_is_not_taken_in_yet(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    key = f"register/ingested/{upload.replace('@', '-')}.json"
    entry = pipeline.lake.read_bytes(key)
    pipeline.lake.delete(key)
    pipeline.put("fixed.csv", correction(upload, {9: answer(9)}))
    assert not pipeline.take_in("fixed.csv").success
    pipeline.lake.put_bytes(key, entry)
    assert pipeline.find_new() == ("fixed.csv",)
    assert pipeline.take_in("fixed.csv").success
    assert lives(pipeline, upload) == {9: "resolved", 10: "open"}


def test_a_publication_that_dies_before_the_checks_are_renewed_is_made_good_by_the_next(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    assert pipeline.renew().success
    waive(pipeline.lake, pipeline.register, upload, ["9"], APPROVER, "nobody knows", "500MB")
    with monkeypatch.context() as broken:
        broken.setattr(tables, "set_aside_state", _dies)
        assert not pipeline.renew().success
    assert open_rows(pipeline, upload) == 2
    assert pipeline.renew().success
    assert open_rows(pipeline, upload) == 1


def test_a_run_that_was_killed_over_the_tables_is_followed_by_one_that_renews_them(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    assert pipeline.renew().success
    assert pipeline.materialize("transformed_survey", upload, approved_by=APPROVER).success
    assert pipeline.materialize("deduplicated_survey").success
    made = {run.job_name: jobs.makes_tables(run) for run in pipeline.instance.get_runs()}
    assert made[jobs.RENEW.name]
    assert not made[jobs.TAKE_IN.name]


def test_a_withdrawal_or_waiver_repeated_after_its_command_was_killed_renews_the_tables(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in pipeline.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(pipeline.folder)
    upload, gone = (pipeline.put_and_take_in(f"{first}.csv", csv_bytes(term(first))) for first in (1, 50))
    assert pipeline.approve(upload, gone).success

    with monkeypatch.context() as broken:
        broken.setattr(OnePass, "_renew", _dies)
        with OnePass() as killed, pytest.raises(OSError, match="gone"):
            killed.waive(upload, ["9"], APPROVER, "nobody knows")
        with OnePass() as killed, pytest.raises(OSError, match="gone"):
            killed.withdraw(gone, APPROVER, "sent by mistake")
    assert pipeline.published("SELECT count(*) FROM quarantine WHERE status = 'open'") == [(4,)]
    with OnePass() as again, pytest.raises(DoneAlreadyError):
        again.waive(upload, ["9"], APPROVER, "nobody knows")
    with OnePass() as again, pytest.raises(DoneAlreadyError):
        again.withdraw(gone, APPROVER, "sent by mistake")
    statuses = "SELECT DISTINCT upload, status FROM quarantine ORDER BY upload, status"
    assert pipeline.published(statuses) == [(upload, "open"), (upload, "waived"), (gone, "withdrawn")]


def test_so_does_the_withdrawal_of_an_upload_that_the_rules_reject_by_now(
    pipeline: Pipeline, changed_rules: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = pipeline.put_and_take_in("wide.csv", csv_bytes(answers(1, 8), header=(*HEADER, "x", "y")))
    assert pipeline.approve(upload).success
    pipeline.use_rules(changed_rules(limits={"columns": 10}))
    assert pipeline.judge_again(upload).success
    assert pipeline.ingested(upload).outcome == "rejected"
    for name, value in pipeline.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(pipeline.folder)
    with monkeypatch.context() as broken:
        broken.setattr(OnePass, "_renew", _dies)
        with OnePass() as killed, pytest.raises(OSError, match="gone"):
            killed.withdraw(upload, APPROVER, "sent by mistake")
    assert pipeline.published("SELECT count(*) FROM alumni") == [(8,)]
    with OnePass() as again, pytest.raises(DoneAlreadyError):
        again.withdraw(upload, APPROVER, "sent by mistake")
    assert pipeline.published("SELECT count(*) FROM alumni") == [(0,)]
