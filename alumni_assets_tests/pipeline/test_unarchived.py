"""Approved uploads that never came to be archived: their run was killed, or broke. They are archived all the same."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from alumni_assets import jobs, layout, pending_work, reporting, sensors
from alumni_assets.assets import archive as archive_assets
from alumni_assets.instance import open_instance
from alumni_assets.one_pass import OnePass
from alumni_assets.resources.lake import LakeKeyError
from alumni_assets.stages.archive import archive_folder, archived_files, damaged_copies

from .answers import answer, answers, csv_bytes
from .conftest import APPROVER, Pipeline
from .test_sensors import tick

pytestmark = pytest.mark.slow

TERMS = {"first": 1, "second": 100, "third": 200}


def is_archived(pipeline: Pipeline, upload: str) -> bool:
    """Whether there is a manifest; what it names is there then, too."""
    try:
        copies = archived_files(pipeline.lake, archive_folder(pipeline.facts.transformed[upload]))
    except LakeKeyError:
        return False
    assert len(copies) == 2
    assert damaged_copies(pipeline.lake, copies) == {}
    return True


def breaks(*_: Any, **__: Any) -> NoReturn:
    raise OSError("the machine was switched off")


@pytest.fixture
def commands(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    """The `alumni` command works on the pipeline, and on this instance."""
    for name, value in pipeline.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(pipeline.folder)
    with open_instance(pipeline.home, None, pipeline.folder) as instance:
        pipeline.instance = instance
        yield instance


@pytest.mark.usefixtures("commands")
def test_the_next_pass_archives_what_the_one_before_did_not_and_dagster_is_told(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.put("term.csv", csv_bytes(answers(1)))
    with monkeypatch.context() as patch:
        patch.setattr(archive_assets, "archive_upload", breaks)
        with OnePass() as one_pass:
            assert one_pass.run(APPROVER, "")["broken"]
    upload = pipeline.upload_of("term.csv")
    assert pipeline.statuses() == {upload: "transformed"}
    assert not is_archived(pipeline, upload)

    with OnePass() as one_pass:
        assert one_pass.run(None, "")["broken"] == []
    assert is_archived(pipeline, upload)
    assert pipeline.checked("archived_survey", "copies_verified")[upload].passed
    (decision,) = pipeline.facts.decisions[upload]
    assert decision.by == APPROVER


@pytest.mark.usefixtures("commands")
def test_an_upload_that_was_withdrawn_before_it_was_archived_is_archived_and_stays_withdrawn(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(answers(1)))
    pipeline.approve_only(upload)
    pipeline.withdraw(upload)
    assert not is_archived(pipeline, upload)
    monkeypatch.setattr(OnePass, "_renew", lambda *_: None)  # what becomes of the tables is tested elsewhere
    with OnePass() as one_pass:
        assert one_pass.run(APPROVER, "")["broken"] == []
    assert is_archived(pipeline, upload)
    assert pipeline.statuses() == {upload: "withdrawn"}


def test_a_sensor_has_archived_what_nothing_else_will(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(answers(1)))
    assert not tick(pipeline, "unarchived_uploads").run_requests
    pipeline.approve_only(upload)

    job = pipeline.defs.resolve_job_def(jobs.ARCHIVE.name)
    at_work = pipeline.instance.create_run_for_job(job, status=DagsterRunStatus.STARTED)
    assert not tick(pipeline, "unarchived_uploads").run_requests
    pipeline.instance.report_run_failed(at_work)

    (request,) = tick(pipeline, "unarchived_uploads").run_requests
    done = job.execute_in_process(run_config=request.run_config, tags=request.tags, instance=pipeline.instance)
    assert done.success
    assert is_archived(pipeline, upload)
    assert pipeline.checked("archived_survey", "copies_verified")[upload].passed
    assert not tick(pipeline, "unarchived_uploads").run_requests


def test_copies_that_are_damaged_are_no_archive_and_are_made_again_of_what_is_whole(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(answers(1)))
    pipeline.approve_only(upload)
    rows = pipeline.lake.read_bytes(layout.transformed_key(upload))
    pipeline.lake.put_bytes(layout.transformed_key(upload), rows[:-1])
    assert pipeline.materialize("archived_survey", upload).success
    assert not pipeline.checked("archived_survey", "copies_verified")[upload].passed
    assert not is_archived(pipeline, upload)
    pipeline.lake.put_bytes(layout.transformed_key(upload), rows)
    (request,) = tick(pipeline, "unarchived_uploads").run_requests
    job = pipeline.defs.resolve_job_def(jobs.ARCHIVE.name)
    assert job.execute_in_process(run_config=request.run_config, tags=request.tags, instance=pipeline.instance).success
    assert is_archived(pipeline, upload)
    assert pipeline.checked("archived_survey", "copies_verified")[upload].passed


def test_what_is_approved_is_archived_in_one_run_once_no_more_is_being_approved(pipeline: Pipeline) -> None:
    uploads = [pipeline.put_and_take_in(f"{name}.csv", csv_bytes(answers(first))) for name, first in TERMS.items()]
    seen = tick(pipeline, "unarchived_uploads").cursor
    assert not tick(pipeline, "unarchived_uploads", seen).run_requests
    pipeline.approve_only(*uploads[:2])
    approving = pipeline.instance.create_run_for_job(
        pipeline.defs.resolve_implicit_global_asset_job_def(),
        asset_selection=frozenset([jobs.TRANSFORMED]),
        status=DagsterRunStatus.STARTED,
    )
    busy = tick(pipeline, "unarchived_uploads", seen)
    assert (busy.run_requests, busy.cursor) == ([], seen)
    pipeline.approve_only(uploads[2])
    pipeline.instance.report_run_canceled(approving)

    found = tick(pipeline, "unarchived_uploads", seen)
    (request,) = found.run_requests
    assert request.run_config["ops"]["archive"]["config"]["uploads"] == uploads
    assert not tick(pipeline, "unarchived_uploads", found.cursor).run_requests


def test_no_run_archives_more_than_a_run_may_and_one_that_fails_holds_up_no_other(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_work, "MOST_UPLOADS", 2)
    uploads = [pipeline.put_and_take_in(f"{name}.csv", csv_bytes(answers(first))) for name, first in TERMS.items()]
    pipeline.approve_only(*uploads)
    found = tick(pipeline, "unarchived_uploads")
    archived = [request.run_config["ops"]["archive"]["config"]["uploads"] for request in found.run_requests]
    assert archived == [uploads[:2], uploads[2:]]
    assert len({request.run_key for request in found.run_requests}) == 2
    assert not tick(pipeline, "unarchived_uploads", found.cursor).run_requests


@pytest.mark.parametrize("seconds_ago", [sensors._LOSSES_SECONDS, -60], ids=["long ago", "by another clock"])
def test_what_is_not_archived_is_found_where_nothing_was_approved_since_a_look(
    pipeline: Pipeline, seconds_ago: int
) -> None:
    pipeline.approve_only(pipeline.put_and_take_in("term.csv", csv_bytes(answers(1))))
    newest, at = map(int, tick(pipeline, "unarchived_uploads").cursor.split())
    assert not tick(pipeline, "unarchived_uploads", f"{newest} {at}").run_requests
    assert len(tick(pipeline, "unarchived_uploads", f"{newest} {at - seconds_ago}").run_requests) == 1


def test_the_archive_of_an_earlier_approval_on_the_same_day_does_not_count(
    pipeline: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    rows = [*answers(1, 30), answer(50, Department="HRR")]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    assert pipeline.approve(upload).success
    first = archived_files(pipeline.lake, archive_folder(pipeline.facts.transformed[upload]))

    departments = sorted({row["Department"] for row in rows})
    pipeline.use_rules(changed_rules(vocabularies={"department": departments}))
    assert pipeline.judge_again(upload).success
    pipeline.approve_only(upload)
    assert is_archived(pipeline, upload)  # as what it was
    assert len(tick(pipeline, "unarchived_uploads").run_requests) == 1
    assert pipeline.materialize("archived_survey", upload).success
    assert not tick(pipeline, "unarchived_uploads").run_requests
    now = archived_files(pipeline.lake, archive_folder(pipeline.facts.transformed[upload]))
    assert [copy.key for copy in now] == [copy.key for copy in first]
    assert now != first


def test_what_dagster_was_not_told_of_counts_as_not_archived(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(answers(1)))
    pipeline.approve_only(upload)
    with monkeypatch.context() as patch:
        patch.setattr(reporting, "report_checks", breaks)
        assert not pipeline.materialize("archived_survey", upload).success
    assert pipeline.files("archive")
    assert not is_archived(pipeline, upload)
    assert pipeline.materialize("archived_survey", upload).success
    assert is_archived(pipeline, upload)
