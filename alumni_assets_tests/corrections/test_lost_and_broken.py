"""What is lost, or breaks half-way, and how it is made good. Processes that die are in `test_killed.py`."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from alumni_assets import layout
from alumni_assets.assets import intake as intake_assets
from alumni_assets.register import Register

from ..pipeline.answers import answer, answers, csv_bytes
from ..pipeline.conftest import Pipeline
from .returns import (
    assert_accounted,
    correction,
    handed_out,
    lives,
    open_rows_check,
    quarantine,
    term,
)

pytestmark = pytest.mark.slow


def test_a_take_in_that_breaks_before_the_correction_is_entered_is_done_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    pipeline.put("fixed.csv", correction(upload, {9: answer(9), 3: answer(3)}))
    with monkeypatch.context() as broken:
        broken.setattr(Register, "enter_ingested", _breaks)
        assert not pipeline.take_in("fixed.csv").success
    assert lives(pipeline, upload) == {9: "open", 10: "open"}
    assert pipeline.find_new() == ("fixed.csv",) or pipeline.statuses()[pipeline.upload_of("fixed.csv")] == "seen"
    fix = pipeline.upload_of("fixed.csv")
    assert pipeline.enter_again(fix).success
    assert (lives(pipeline, upload), lives(pipeline, fix)) == ({9: "resolved", 10: "open"}, {2: "open"})
    assert open_rows_check(pipeline, upload)[1]["resolved_rows"] == 1
    assert_accounted(pipeline)


def test_a_take_in_that_breaks_after_the_correction_is_entered_is_made_good_by_the_next_publication(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    pipeline.put("fixed.csv", correction(upload, {9: answer(9), 10: answer(10)}))
    with monkeypatch.context() as broken:
        broken.setattr(intake_assets._Step, "_others_concerned", _breaks)
        assert not pipeline.take_in("fixed.csv").success
    assert open_rows_check(pipeline, upload)[0] == "WARN"
    assert_accounted(pipeline)
    assert open_rows_check(pipeline, upload)[0] == "passed"
    assert set(quarantine(pipeline).values()) == {"resolved"}


def test_corrections_are_judged_anew_also_when_the_run_that_should_have_was_killed(
    pipeline: Pipeline, changed_rules: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*answers(1, 30), answer(31, Email="nobody"), answer(32, Department="Tech")]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {31: answer(31)}))
    pipeline.use_rules(changed_rules(vocabularies={"department": ["HR", "Admin"]}))
    with monkeypatch.context() as broken:
        broken.setattr(intake_assets._Step, "_others_concerned", _breaks)
        assert not pipeline.judge_again(upload).success
    assert pipeline.judge_again(upload).success
    assert pipeline.ingested(fix).against == pipeline.ingested(upload).invalid_content
    assert lives(pipeline, upload) == {31: "resolved", 32: "open"}


def test_judging_a_correction_again_changes_nothing(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    content = correction(upload, {9: answer(9), 10: answer(10, Email="x"), 3: answer(3)})
    fix = pipeline.put_and_take_in("fixed.csv", content)
    pipeline.approve_only(upload, fix)
    assert_accounted(pipeline)
    before = {folder: pipeline.files(folder) for folder in ("valid", "invalid", "transformed")}
    tables, standing = pipeline.tables(), pipeline.statuses()
    for again in (fix, upload, fix):
        assert pipeline.judge_again(again).success
    pipeline.approve_only(fix, upload)
    assert pipeline.renew().success
    assert {folder: pipeline.files(folder) for folder in before} == before
    assert (pipeline.tables(), pipeline.statuses()) == (tables, standing)


def test_stored_rows_that_are_not_those_that_were_set_aside_are_not_corrected(pipeline: Pipeline) -> None:
    upload, other = (pipeline.put_and_take_in(f"{first}.csv", csv_bytes(term(first))) for first in (1, 50))
    kept = pipeline.lake.read_bytes(layout.invalid_key(upload))
    pipeline.lake.put_bytes(layout.invalid_key(upload), pipeline.lake.read_bytes(layout.invalid_key(other)))
    pipeline.put("fixed.csv", correction(upload, {9: answer(9)}))
    failed = pipeline.take_in("fixed.csv")
    assert not failed.success
    assert f"The invalid rows of {upload} in the lake are not the ones that were set aside" in pipeline.events()
    pipeline.lake.put_bytes(layout.invalid_key(upload), kept)
    assert pipeline.take_in("fixed.csv").success
    assert lives(pipeline, upload) == {9: "resolved", 10: "open"}


def test_dagster_and_the_warehouse_may_forget_everything(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    fix = pipeline.put_and_take_in("fixed.csv", correction(upload, {9: answer(9), 3: answer(3)}))
    pipeline.approve_only(upload, fix)
    assert_accounted(pipeline)
    tables = pipeline.tables()
    shutil.rmtree(pipeline.home)
    shutil.rmtree(pipeline.root / "published")
    for key in ("xlsx", "csv"):
        (pipeline.root / layout.correction_key(upload, key)).unlink()
    anew = Pipeline(pipeline.folder, instance=dg.DagsterInstance.ephemeral())
    with anew.instance:
        assert anew.enter_again(fix, upload).success
        assert anew.renew().success
        assert anew.tables() == tables
        assert open_rows_check(anew, upload) == ("WARN", {"open_rows": 1, "resolved_rows": 1, "waived_rows": 0})
        assert open_rows_check(anew, fix)[0] == "WARN"
        assert [row["_row"] for row in handed_out(anew, upload)] == ["9", "10"]


def _breaks(*_: Sequence[Any]) -> Any:
    raise OSError("the machine was switched off")
