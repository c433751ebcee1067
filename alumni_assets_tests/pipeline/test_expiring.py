"""What is old and no longer needed goes; nothing that anybody sees changes, and what may be needed again comes back."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from alumni_assets import intake_plan, layout, retention, schedules
from alumni_assets.instance import open_instance
from alumni_assets.one_pass import OnePass
from alumni_assets.resources.lake import FolderLake
from alumni_assets.resources.lake_interface import LakeEntry
from alumni_assets.retention_plan import Layer
from alumni_assets.schedules import retention_schedule
from alumni_assets.stages.archive import DamagedManifestError, archive_folder, archived_files
from alumni_assets.stages.expiring import expire
from alumni_assets.stages.intake import utc_now
from alumni_assets.stages.quarantine import waive
from alumni_assets.survey_rules import RetentionRules, SurveyRulesError, default_rules

from ..erasure.conftest import KEY, erase, in_environment, of_person, places_of
from .answers import answer, answers, csv_bytes
from .conftest import APPROVER, QUIET, Pipeline
from .test_command import Alumni, alumni, settle

__all__ = ["alumni"]

pytestmark = pytest.mark.slow

AGES = {"raw_days": 30, "pinned_days": 60, "correction_files_days": 60}
RULES = RetentionRules(**AGES)
LATER = timedelta(days=61)
CLEAN = csv_bytes([*answers(1, 4), answer(1), of_person()])
FILES = {
    "clean.csv": CLEAN,
    "mixed.csv": csv_bytes([*answers(20, 3), answer(29, Email="nobody")]),
    "open.csv": csv_bytes([*answers(30, 3), answer(39, Email="nobody")]),
    "notes.pdf": b"%PDF-1.7",
    "copy.csv": CLEAN,
    "waiting.csv": csv_bytes(answers(40, 2)),
}


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, changed_rules: Callable[..., Path]) -> Pipeline:
    """A pipeline with an upload of each kind; what was approved is archived, and all is published."""
    rules = changed_rules(retention=AGES, checks={"max_invalid_share": 0.5})
    pipeline = Pipeline(tmp_path_factory.mktemp("life"), rules)
    with pipeline.instance:
        for name, content in FILES.items():
            pipeline.put(name, content)
        assert pipeline.take_in(*FILES).success
        waive(pipeline.lake, pipeline.register, pipeline.upload_of("mixed.csv"), ["all"], APPROVER, "left", "500MB")
        approved = [pipeline.upload_of(name) for name in ("clean.csv", "mixed.csv", "open.csv")]
        assert pipeline.approve(*approved).success
    return pipeline


@pytest.fixture
def aged(life: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """A copy of it two months later. Copied files are others to the pipeline, so they are taken in again, unchanged."""
    shutil.copytree(life.folder, tmp_path, dirs_exist_ok=True)
    pipeline = Pipeline(tmp_path, Path(life.environment["ALUMNI_SURVEY"]))
    pipeline.environment["ALUMNI_ERASURE_KEY"] = KEY
    settle(pipeline)
    monkeypatch.setattr(retention, "utc_now", lambda: utc_now() + LATER)
    with pipeline.instance:
        assert pipeline.take_in(*FILES).success
        yield pipeline


def run_job(pipeline: Pipeline) -> tuple[dict[str, int], dict[str, Any]]:
    """What the schedule's run does: what the op gave, and what Dagster was told."""
    job = pipeline.defs.resolve_job_def("expire_old_objects")
    result = job.execute_in_process(instance=pipeline.instance, run_config=QUIET)
    (event,) = [event for event in result.all_events if event.is_successful_output]
    metadata = {name: value.value for name, value in event.step_output_data.metadata.items()}
    said = "".join(dg.serialize_value(event) for event in pipeline.instance.all_logs(result.run_id))
    assert [name for name in FILES if name in said] == []
    return result.output_for_node("expire"), metadata


def keys_of(pipeline: Pipeline) -> set[str]:
    return {entry.key for entry in pipeline.lake.list("") if not entry.key.startswith("register/")}


def test_what_goes_is_never_missed_and_comes_back_from_the_archive(aged: Pipeline) -> None:
    before, tables, statuses = keys_of(aged), aged.tables(), aged.statuses()
    uploads = {name: aged.upload_of(name) for name in ("clean.csv", "mixed.csv", "notes.pdf", "copy.csv")}
    counts, told = run_job(aged)
    gone = before - keys_of(aged)
    assert gone == {
        *(f"raw/{name}" for name in FILES),
        *(layout.pinned_key(uploads[name]) for name in ("clean.csv", "notes.pdf", "copy.csv")),
        *layout.correction_keys(uploads["mixed.csv"]),
    }
    assert counts == told
    assert {layer: counts[layer] for layer in Layer} == {"raw": 6, "pinned": 3, "correction_files": 2, "reports": 0}
    assert counts["bytes"] > 3 * len(CLEAN)
    assert (counts["unverified"], counts["changed"]) == (0, 0)
    assert run_job(aged)[0] == dict.fromkeys(counts, 0)

    # The warehouse, Dagster's event store, the copy of the register, what is published and rows are lost besides.
    rows = aged.lake.read_bytes(layout.transformed_key(uploads["clean.csv"]))
    aged.lake.delete(layout.transformed_key(uploads["clean.csv"]))
    shutil.rmtree(aged.home)
    shutil.rmtree(aged.root / "published")
    left = keys_of(aged)
    with in_environment(aged), dg.DagsterInstance.ephemeral() as aged.instance:
        with OnePass() as one_pass:
            assert one_pass.run(None, "")["broken"] == []
        assert (aged.tables(), aged.statuses(), aged.find_new()) == (tables, statuses, ())
        made_again = {key for key in keys_of(aged) - left if not key.startswith("published/")}
        transformed = layout.transformed_key(uploads["clean.csv"])
        assert made_again == {transformed, *layout.correction_keys(uploads["mixed.csv"])}
        assert aged.lake.read_bytes(transformed) == rows
        with OnePass() as one_pass:
            files, report = one_pass.restore(uploads["clean.csv"], 7, "Bulk")
    assert report["broken"] == []
    assert {file.key: file.state for file in files} == {
        layout.pinned_key(uploads["clean.csv"]): "restored",
        layout.transformed_key(uploads["clean.csv"]): "in place",
    }
    assert aged.lake.read_bytes(layout.pinned_key(uploads["clean.csv"])) == CLEAN
    assert aged.tables() == tables


@pytest.mark.long
def test_who_is_erased_goes_out_of_the_archive_where_that_is_all_that_is_left(aged: Pipeline) -> None:
    run_job(aged)
    upload = aged.upload_of("clean.csv")
    assert aged.lake.stat(layout.pinned_key(upload)) is None
    archived = archive_folder(aged.facts.transformed[upload])
    assert places_of(aged.root / archived) != []
    with in_environment(aged):
        assert erase(aged).is_complete
    assert places_of(aged.root) == []
    (original,) = [copy for copy in archived_files(aged.lake, archived) if "/original/" in copy.key]
    assert original.sha256 == aged.facts.seen[upload].sha256
    assert run_job(aged)[0]["unverified"] == 0


@pytest.mark.long
def test_judging_anew_leaves_out_what_was_rejected_and_says_what_is_to_be_restored(
    aged: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    run_job(aged)
    aged.use_rules(changed_rules(phone_number={"mobile_prefix": "8"}))
    with in_environment(aged), OnePass() as one_pass:
        (broken,) = one_pass.revalidate(())["broken"]
    assert "1 of 4 uploads could not be taken in again" in broken
    assert aged.upload_of("clean.csv") in broken
    assert aged.statuses()[aged.upload_of("clean.csv")] == "transformed"


def test_a_pinned_copy_stays_whose_archived_copy_is_damaged(aged: Pipeline) -> None:
    upload = aged.upload_of("clean.csv")
    for copy in archived_files(aged.lake, archive_folder(aged.facts.transformed[upload])):
        aged.lake.put_bytes(copy.key, b"x" * copy.size)
    counts, _ = run_job(aged)
    assert (counts["pinned"], counts["unverified"]) == (2, 1)
    assert aged.lake.read_bytes(layout.pinned_key(upload)) == CLEAN


@pytest.mark.parametrize("content", [b"", b"{"])
def test_a_pinned_copy_stays_whose_manifest_is_damaged_until_it_is_archived_again(
    aged: Pipeline, content: bytes
) -> None:
    upload = aged.upload_of("clean.csv")
    manifest = f"{archive_folder(aged.facts.transformed[upload])}manifest.json"
    aged.lake.put_bytes(manifest, content)
    counts, _ = run_job(aged)
    assert (counts["raw"], counts["pinned"], counts["unverified"]) == (6, 2, 1)
    with in_environment(aged):
        if content:
            with OnePass() as one_pass, pytest.raises(DamagedManifestError, match="delete it and call `alumni run`"):
                one_pass.restore(upload, 7, "Bulk")
            aged.lake.delete(manifest)
        with OnePass() as one_pass:
            assert one_pass.run(None, "")["broken"] == []
    counts, _ = run_job(aged)
    assert (counts["pinned"], counts["unverified"]) == (1, 0)


def test_a_file_that_is_written_again_meanwhile_stays(aged: Pipeline) -> None:
    class Busy(FolderLake):
        """People write into raw/ as soon as it was listed."""

        def list(self, prefix: str) -> Iterator[LakeEntry]:
            found = list(super().list(prefix))
            if prefix == layout.RAW:
                aged.put("clean.csv", b"what comes next")
            yield from found

    done = expire(Busy(aged.root), aged.register, RULES, utc_now() + LATER)
    assert (done.objects[Layer.RAW], done.changed) == (5, 1)
    assert (aged.raw / "clean.csv").read_bytes() == b"what comes next"


def test_the_command_counts_first_and_then_deletes(
    aged: Pipeline, alumni: Alumni, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alumni_assets.one_pass.utc_now", lambda: utc_now() + LATER)
    before = keys_of(aged)
    with in_environment(aged):
        counted = alumni("expire", "--dry-run", "--json")
        assert (counted.status, keys_of(aged)) == (0, before)
        assert alumni("expire", "--dry-run").out.splitlines()[-1].endswith("bytes would be deleted.")
        deleted = alumni("expire", "--json")
        assert (deleted.status, json.loads(deleted.out)) == (0, json.loads(counted.out))
        assert (json.loads(counted.out)["raw"], len(before - keys_of(aged))) == (6, 11)
        assert alumni("expire").out.splitlines() == [
            "raw: 0",
            "pinned: 0",
            "correction_files: 0",
            "reports: 0",
            "0 objects of 0 bytes deleted.",
        ]
    assert [run.job_name for run in aged.instance.get_runs(limit=2)] == ["expire_old_objects"] * 2


def test_without_an_age_nothing_goes_and_the_command_says_so(pipeline: Pipeline, alumni: Alumni) -> None:
    pipeline.put_and_take_in("notes.pdf", b"%PDF-1.7")
    before = keys_of(pipeline)
    ended = alumni("expire")
    assert (ended.status, keys_of(pipeline)) == (2, before)
    assert "Nothing has an age in" in ended.err
    assert expire(pipeline.lake, pipeline.register, RetentionRules(), utc_now() + LATER).counts()["raw"] == 0


def tick(pipeline: Pipeline) -> Any:
    """Evaluate the schedule as the daemon does."""
    context = dg.build_schedule_context(pipeline.instance, scheduled_execution_time=datetime(2026, 11, 27, tzinfo=UTC))
    return pipeline.defs.get_repository_def().get_schedule_def("retention").evaluate_tick(context)


def test_the_schedule_is_off_without_an_age_and_waits_for_runs(
    tmp_path: Path, changed_rules: Callable[..., Path]
) -> None:
    assert retention_schedule(default_rules()).default_status is dg.DefaultScheduleStatus.STOPPED
    on = retention_schedule(default_rules().model_copy(update={"retention": RULES}))
    assert on.default_status is dg.DefaultScheduleStatus.RUNNING
    with open_instance(tmp_path / "home", None, tmp_path) as instance:
        pipeline = Pipeline(tmp_path, instance=instance)
        assert "Nothing has an age" in (tick(pipeline).skip_message or "")
        pipeline.use_rules(changed_rules(retention=AGES))
        (request,) = tick(pipeline).run_requests
        assert request.run_config == {}
        job = pipeline.defs.resolve_job_def("take_in_uploads")
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert "Runs are under way" in (tick(pipeline).skip_message or "")


def test_a_schedule_that_means_nothing_is_named() -> None:
    rules = default_rules().model_copy(update={"retention": RetentionRules(schedule="at night")})
    with pytest.raises(SurveyRulesError, match=r"retention\.schedule of the survey's configuration is 'at night'"):
        schedules.retention_schedule(rules)


def test_what_was_taken_in_and_has_gone_is_known_when_it_is_put_again(aged: Pipeline) -> None:
    run_job(aged)
    upload = aged.upload_of("clean.csv")
    statuses = aged.statuses()
    assert aged.put_and_take_in("clean.csv", CLEAN) == upload
    assert aged.statuses() == statuses
    assert aged.lake.read_bytes(layout.pinned_key(upload)) == CLEAN
    assert (
        intake_plan.lost_uploads(aged.facts, list(aged.facts.seen), {e.key for e in aged.lake.list("invalid/")}) == []
    )
