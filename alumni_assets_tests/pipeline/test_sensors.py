"""The sensors on a real lake and a real instance: which runs a tick asks for."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id

from alumni_assets import jobs, layout
from alumni_assets.register import Register, RegisterError
from alumni_assets.resources.lake import LakeError

from .answers import answers, csv_bytes
from .conftest import QUIET, Pipeline

GOOD, OTHER = csv_bytes(answers(1)), csv_bytes(answers(5))


@pytest.fixture
def settled(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline whose files were put into raw/ a while ago."""

    def put(key: str, content: bytes) -> None:
        Pipeline.put(pipeline, key, content)
        age(pipeline, key)

    monkeypatch.setattr(pipeline, "put", put)
    return pipeline


def age(pipeline: Pipeline, key: str) -> None:
    """Let a file be from a minute ago."""
    a_minute_ago = time.time() - 60
    os.utime(pipeline.raw / key, (a_minute_ago, a_minute_ago))


def tick(pipeline: Pipeline, name: str = "new_uploads", cursor: str | None = None) -> Any:
    """Evaluate a sensor as the daemon does, at first without a cursor."""
    resources = dict(pipeline.defs.resources or {})
    with dg.build_sensor_context(instance=pipeline.instance, resources=resources, cursor=cursor) as context:
        return pipeline.defs.resolve_sensor_def(name).evaluate_tick(context)


def runs_of(found: Any) -> list[tuple[list[str], list[str]]]:
    """For each requested run the keys and the uploads that it is about."""
    configs = [request.run_config["ops"]["take_in"]["config"] for request in found.run_requests or ()]
    return [([layout.unquoted(key) for key in config["keys"]], config["uploads"]) for config in configs]


def run_requested(pipeline: Pipeline, found: Any, console: Mapping[str, Any] = QUIET) -> list[bool]:
    """Execute what a tick asked for."""
    job = pipeline.defs.resolve_job_def(jobs.TAKE_IN.name)
    return [
        job.execute_in_process(
            run_config={**request.run_config, **console}, instance=pipeline.instance, raise_on_error=False
        ).success
        for request in found.run_requests or ()
    ]


def begin_run(pipeline: Pipeline, *keys: str, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED) -> None:
    """Let a run that takes in these keys be under way."""
    job = pipeline.defs.resolve_job_def(jobs.TAKE_IN.name)
    pipeline.instance.create_run_for_job(
        job, run_id=make_new_run_id(), run_config=jobs.take_in_config(keys), status=status
    )


def test_new_files_are_taken_in_by_one_run(settled: Pipeline) -> None:
    for key in ("b.csv", "a.csv", "2026/odd name%.pdf"):
        settled.put(key, key.encode())
    found = tick(settled)
    assert runs_of(found) == [(["b.csv", "a.csv", "2026/odd name%.pdf"], [])]
    assert run_requested(settled, found) == [True]
    assert {seen.key for seen in settled.facts.seen.values()} == {"2026/odd name%.pdf", "a.csv", "b.csv"}


def test_without_anything_new_a_tick_says_so(settled: Pipeline) -> None:
    settled.put("a.csv", GOOD)
    assert run_requested(settled, tick(settled)) == [True]
    for _ in range(2):
        found = tick(settled)
        assert runs_of(found) == []
        assert found.skip_message == "Nothing new under raw/."


def test_new_content_under_an_old_name_is_taken_in(settled: Pipeline) -> None:
    settled.put("a.csv", GOOD)
    assert run_requested(settled, tick(settled)) == [True]
    settled.put("a.csv", OTHER)
    assert runs_of(tick(settled)) == [(["a.csv"], [])]


def test_a_file_of_the_same_size_and_time_with_other_content_is_taken_in(settled: Pipeline) -> None:
    settled.put("a.csv", GOOD)
    assert run_requested(settled, tick(settled)) == [True]
    stat = (settled.raw / "a.csv").stat()
    (settled.raw / "a.csv").write_bytes(GOOD.replace(b",4\n", b",5\n"))
    os.utime(settled.raw / "a.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert runs_of(tick(settled)) == [(["a.csv"], [])]


def test_a_file_that_was_written_just_now_is_left_until_it_settles(
    pipeline: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    pipeline.use_rules(changed_rules(uploads={"settle_seconds": 30}))
    pipeline.put("a.csv", GOOD)
    assert runs_of(tick(pipeline)) == []
    age(pipeline, "a.csv")
    assert runs_of(tick(pipeline)) == [(["a.csv"], [])]


def test_a_file_that_a_program_still_writes_is_left(settled: Pipeline) -> None:
    settled.put("a.csv", GOOD)
    with (settled.raw / "a.csv").open("ab"):
        assert runs_of(tick(settled)) == []
    assert runs_of(tick(settled)) == [(["a.csv"], [])]


def test_names_of_unfinished_transfers_are_ignored(settled: Pipeline) -> None:
    for key in (".a.csv", "~$a.xlsx", "a.csv.part", "b.crdownload"):
        settled.put(key, GOOD)
    assert runs_of(tick(settled)) == []


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_what_a_run_is_at_work_on_is_left(settled: Pipeline, status: dg.DagsterRunStatus) -> None:
    settled.put("a.csv", GOOD)
    settled.put("new [1].csv", OTHER)
    begin_run(settled, "a.csv", status=status)
    assert runs_of(tick(settled)) == [(["new [1].csv"], [])]


def test_a_run_that_ended_without_success_holds_up_nothing(settled: Pipeline) -> None:
    settled.put("a.csv", GOOD)
    begin_run(settled, "a.csv", status=dg.DagsterRunStatus.CANCELED)
    assert runs_of(tick(settled)) == [(["a.csv"], [])]


def unreadable(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    """Let files be such as break whatever takes them in."""
    from alumni_assets.stages import intake

    def broken(lake: object, register: object, found: str, *more: object) -> Any:
        if found in keys:
            raise OSError("the disk has a bad sector")
        return pin(lake, register, found, *more)  # type: ignore[arg-type]

    pin = intake.pin
    monkeypatch.setattr(intake, "pin", broken)


def test_what_fails_is_tried_alone_then_given_up_and_never_holds_up_the_others(
    settled: Pipeline, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    unreadable(settled, monkeypatch, "broken.csv")
    settled.put("broken.csv", GOOD)
    settled.put("fine.csv", OTHER)
    found = tick(settled)
    assert runs_of(found) == [(["broken.csv", "fine.csv"], [])]
    assert run_requested(settled, found) == [False]
    assert settled.statuses() == {settled.upload_of("fine.csv"): "validated"}
    for attempt in (2, 3):
        found = tick(settled)
        assert runs_of(found) == [(["broken.csv"], [])], attempt
        assert run_requested(settled, found) == [False]
    capfd.readouterr()
    assert runs_of(tick(settled)) == []
    logged = capfd.readouterr().err
    assert "ERROR" in logged
    assert "limits.attempts" in logged
    assert "broken.csv" in logged
    settled.put("broken.csv", csv_bytes(answers(9)))
    assert runs_of(tick(settled)) == [(["broken.csv"], [])]


def test_a_line_tells_alarms_of_each_upload_that_is_rejected_or_fails_or_is_given_up(
    settled: Pipeline, monkeypatch: pytest.MonkeyPatch, printed_json: Callable[[], list[dict[str, Any]]]
) -> None:
    unreadable(settled, monkeypatch, "broken.csv")
    settled.put("a\nb.pdf", b"%PDF-1.7")
    settled.put("broken.csv", GOOD)
    for _ in range(3):
        assert run_requested(settled, tick(settled), console={}) == [False]
    assert runs_of(tick(settled)) == []
    failed = ("upload_failed", "error", "broken.csv", None)
    assert [
        (line["event"], line["level"], line.get("upload"), line.get("code"))
        for line in printed_json()
        if "event" in line
    ] == [
        ("upload_rejected", "warning", settled.upload_of("a\nb.pdf"), "unsupported_type"),
        failed,
        failed,
        failed,
        ("upload_given_up", "error", None, None),
    ]


def test_a_failed_upload_is_forgiven_once_it_is_taken_in(settled: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        unreadable(settled, broken, "a.csv")
        settled.put("a.csv", GOOD)
        assert run_requested(settled, tick(settled)) == [False]
    assert run_requested(settled, tick(settled)) == [True]
    assert dict(settled.register.attempts()) == {}
    assert runs_of(tick(settled)) == []


def break_off_after_pinning(pipeline: Pipeline, *keys: str, fails: str) -> None:
    """A run has pinned files, and this entry in the register fails."""
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(Register, fails, Mock(side_effect=OSError("broken")))
        assert not pipeline.take_in(*keys).success


@pytest.mark.parametrize("fails", ["enter_ingested", "append_next"])
def test_what_was_pinned_and_not_judged_is_judged_though_its_file_is_gone_or_another_by_now(
    settled: Pipeline, fails: str
) -> None:
    settled.put("gone.csv", GOOD)
    settled.put("replaced.csv", csv_bytes(answers(9)))
    settled.put("there.csv", csv_bytes(answers(13)))
    break_off_after_pinning(settled, "gone.csv", "replaced.csv", fails=fails)
    break_off_after_pinning(settled, "there.csv", fails="enter_ingested")
    settled.lake.delete("raw/gone.csv")
    settled.put("replaced.csv", OTHER)
    assert runs_of(tick(settled)) == [(["replaced.csv"], []), (["there.csv"], [])]
    assert run_requested(settled, tick(settled)) == [True, True]
    left = sorted(upload for upload, status in settled.statuses().items() if status == "seen")
    assert [settled.facts.seen[upload].key for upload in left] == ["gone.csv", "replaced.csv"]
    found = tick(settled, "lost_uploads")
    assert runs_of(found) == [([], [upload]) for upload in left]
    assert run_requested(settled, found) == [True, True]
    assert set(settled.statuses().values()) == {"validated"}
    gone, replaced = (settled.standing(upload).arrival for upload in left)
    assert (gone, replaced) == (1, 1 if fails == "enter_ingested" else 0)  # before what came in its place
    assert runs_of(tick(settled, "lost_uploads")) == []
    assert dict(settled.register.attempts()) == {}


def test_what_was_pinned_and_not_entered_as_arrived_is_left_to_the_look_for_new_files_while_its_file_is_there(
    settled: Pipeline,
) -> None:
    settled.put("there.csv", GOOD)
    break_off_after_pinning(settled, "there.csv", fails="append_next")
    assert runs_of(tick(settled, "lost_uploads")) == []
    found = tick(settled)
    assert runs_of(found) == [(["there.csv"], [])]
    assert run_requested(settled, found) == [True]
    assert set(settled.statuses().values()) == {"validated"}
    assert [arrival.number for arrival in settled.facts.arrivals["there.csv"]] == [1]


def test_what_was_given_up_is_not_tried_again_when_its_file_goes(
    settled: Pipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    settled.put("gone.csv", GOOD)
    for _ in range(3):
        break_off_after_pinning(settled, "gone.csv", fails="enter_ingested")
    settled.lake.delete("raw/gone.csv")
    capfd.readouterr()
    assert runs_of(tick(settled, "lost_uploads")) == []
    assert "gone.csv" not in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["seen", "ingested"])
def test_a_damaged_fact_that_is_deleted_lets_the_file_be_taken_in_anew(settled: Pipeline, kind: str) -> None:
    settled.put("a.csv", GOOD)
    assert run_requested(settled, tick(settled)) == [True]
    facts = settled.facts
    assert runs_of(tick(settled)) == []
    (fact,) = settled.lake.list(f"register/{kind}/")
    settled.lake.put_bytes(fact.key, b"{")
    with pytest.raises(RegisterError, match="or delete it: what it says is then made anew"):
        tick(settled, "lost_uploads")
    settled.lake.delete(fact.key)
    for request in ("lost_uploads", "new_uploads"):
        assert all(run_requested(settled, tick(settled, request)))
    assert settled.facts.seen.keys() == facts.seen.keys()
    assert settled.facts.ingested.keys() == facts.ingested.keys()
    assert settled.statuses() == {settled.upload_of("a.csv"): "validated"}
    assert [runs_of(tick(settled, name)) for name in ("lost_uploads", "new_uploads")] == [[], []]


def test_where_the_fact_is_deleted_that_an_upload_was_transformed_it_is_transformed_again(settled: Pipeline) -> None:
    upload = settled.put_and_take_in("a.csv", GOOD)
    settled.approve_only(upload)
    settled.lake.put_bytes(layout.fact_key("transformed", upload), b"{")
    with pytest.raises(RegisterError, match="or delete it: what it says is then made anew"):
        settled.statuses()
    settled.lake.delete(layout.fact_key("transformed", upload))
    assert settled.statuses() == {upload: "approved"}
    assert settled.approve(upload).success
    assert settled.statuses() == {upload: "transformed"}
    assert len(settled.facts.decisions[upload]) == 1


def test_attempts_at_a_file_that_is_gone_or_another_by_now_are_forgotten(
    settled: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        unreadable(settled, broken, "gone.csv", "replaced.csv", "there.csv")
        for key in ("gone.csv", "replaced.csv", "there.csv"):
            settled.put(key, GOOD)
        assert run_requested(settled, tick(settled)) == [False]
    settled.lake.delete("raw/gone.csv")
    settled.put("replaced.csv", OTHER)
    begin_run(settled, "there.csv")
    assert runs_of(tick(settled, "lost_uploads")) == []
    assert len(settled.register.attempts()) == 3
    settled.instance.delete_run(settled.instance.get_runs()[0].run_id)
    assert runs_of(tick(settled, "lost_uploads")) == []
    there = settled.lake.stat("raw/there.csv")
    assert there is not None
    assert dict(settled.register.attempts()) == {layout.listing_identity("there.csv", there.etag, there.size): 1}


def test_a_listing_that_fails_fails_the_tick(settled: Pipeline) -> None:
    settled.put("a.csv", GOOD)
    settled.root.rename(settled.root.with_name("unmounted"))
    with pytest.raises(LakeError):
        tick(settled)


def test_uploads_that_dagster_has_forgotten_are_entered_again_once(settled: Pipeline) -> None:
    settled.put("a.csv", GOOD)
    settled.put("b.pdf", OTHER)
    assert run_requested(settled, tick(settled)) == [True]
    uploads = sorted(settled.statuses())
    forgetful = Pipeline(settled.folder)
    with forgetful.instance:
        assert runs_of(tick(forgetful)) == []
        found = tick(forgetful, "lost_uploads")
        assert runs_of(found) == [([], uploads)]
        begin_run(forgetful)
        assert runs_of(tick(forgetful, "lost_uploads")) == []
        forgetful.instance.delete_run(forgetful.instance.get_runs()[0].run_id)
        valid = forgetful.files("valid")
        assert run_requested(forgetful, found) == [True]
        assert forgetful.files("valid") == valid
        assert runs_of(tick(forgetful, "lost_uploads")) == []
        assert sorted(forgetful.instance.get_dynamic_partitions("uploads")) == uploads
        share = forgetful.check("invalid_survey", "no_open_rows", forgetful.upload_of("a.csv"))
        assert share is not None
        assert share.passed


def test_uploads_that_cannot_be_entered_again_are_given_up(
    settled: Pipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    settled.put("a.csv", csv_bytes(answers(1, 2, Email="nobody")))
    assert run_requested(settled, tick(settled)) == [True]
    upload = settled.upload_of("a.csv")
    settled.lake.delete(layout.pinned_key(upload))
    settled.lake.delete(layout.invalid_key(upload))
    for _ in range(3):
        found = tick(settled, "lost_uploads")
        assert runs_of(found) == [([], [upload])]
        assert run_requested(settled, found) == [False]
    capfd.readouterr()
    assert runs_of(tick(settled, "lost_uploads")) == []
    assert upload in capfd.readouterr().err


@pytest.fixture
def automatic(settled: Pipeline, changed_rules: Callable[..., Path]) -> Pipeline:
    """A pipeline with the auto-approve policy on."""
    settled.use_rules(changed_rules(approval={"auto": True, "max_invalid_share": 0.1}))
    return settled


def test_the_policy_approves_what_is_clean_enough(automatic: Pipeline) -> None:
    clean = automatic.put_and_take_in("clean.csv", GOOD)
    few_bad = csv_bytes([*answers(10, 9), *answers(30, 1, Email="nobody")])
    nearly = automatic.put_and_take_in("nearly.csv", few_bad)
    automatic.put_and_take_in("dirty.csv", csv_bytes([*answers(40, 8), *answers(60, 1, Email="nobody")]))
    automatic.put_and_take_in("spoiled.csv", csv_bytes(answers(70, 2, Email="nobody")))
    (request,) = tick(automatic, "auto_approval").run_requests
    config = request.run_config["ops"]["approve_and_transform"]["config"]
    assert (config["uploads"], config["approved_by"]) == ([clean, nearly], "auto-approve policy")


def test_the_policy_does_not_repeat_a_request_at_once(automatic: Pipeline) -> None:
    automatic.put_and_take_in("clean.csv", GOOD)
    keys = {request.run_key for _ in range(2) for request in tick(automatic, "auto_approval").run_requests}
    assert len(keys - {None}) == 1


def test_the_policy_is_off_by_default(settled: Pipeline) -> None:
    assert "auto_approval" not in {sensor.name for sensor in settled.defs.sensors or ()}
