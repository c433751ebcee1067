"""The asset alumni_dashboard: made with the tables, and what Dagster shows of it."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from alumni_assets.answers.figures import Quality
from alumni_assets.dashboard.keeping import PAGE_KEY, read_state
from alumni_assets.stages.approval import waiting
from alumni_assets_tests.corrections.returns import correction, term
from alumni_assets_tests.pipeline.answers import answer, answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import Pipeline

from .conftest import HOSTILE_NAME, made

pytestmark = pytest.mark.slow


def test_dagster_shows_the_headlines_as_text_links_the_page_and_names_nobody(pipeline: Pipeline) -> None:
    rows = answers(1, 3, Job_Role="[Baker](http://evil.example) <b>**")
    rows[0]["Employee_Name"] = HOSTILE_NAME
    made(pipeline, "a.csv", csv_bytes(rows))
    record = pipeline.instance.get_latest_materialization_event(dg.AssetKey("alumni_dashboard"))
    assert record is not None
    assert record.asset_materialization is not None
    metadata = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    assert metadata["page"] == "http://127.0.0.1:8300/"
    assert metadata["file"] == str(pipeline.root / PAGE_KEY)
    assert metadata["generation"] == 1
    preview = str(metadata["preview"])
    assert preview.count("\n- **") == 4
    assert not set("<>[]()").intersection(preview)
    assert "Which campus produces the most excellent employees" in preview
    events = pipeline.events()
    people = pipeline.published("SELECT employee_name, email FROM alumni")
    assert [value for person in people for value in person if value in events] == []


def test_an_upload_that_waits_is_told_of_without_a_change_in_the_answers(pipeline: Pipeline) -> None:
    made(pipeline, "a.csv", csv_bytes(answers(1, 3)))
    pipeline.put_and_take_in("c.csv", csv_bytes(answers(20, 2)))
    assert pipeline.renew().success
    assert "Files waiting for approval</dt><dd>1" in (pipeline.root / PAGE_KEY).read_text(encoding="utf-8")


def shown(pipeline: Pipeline) -> Quality:
    """What the page, and the report that is made of it, say of the data themselves."""
    assert pipeline.renew().success
    state = read_state(pipeline.lake)
    assert state is not None
    return state.current.quality


def test_rows_that_come_back_wrong_are_counted_once_and_wait_for_nobody(pipeline: Pipeline) -> None:
    made(pipeline, "a.csv", csv_bytes(term()))
    upload = pipeline.upload_of("a.csv")
    wrong = {row: answer(row, Email="nobody") for row in (9, 10)}
    pipeline.put_and_take_in("mended.csv", correction(upload, wrong))
    assert not waiting(pipeline.facts)
    quality = shown(pipeline)
    assert (quality.rows, quality.rows_set_aside, quality.rows_open, quality.uploads_waiting) == (10, 2, 2, 0)


def test_a_row_of_a_correction_that_names_none_is_a_row_of_its_own(pipeline: Pipeline) -> None:
    made(pipeline, "a.csv", csv_bytes(term()))
    upload = pipeline.upload_of("a.csv")
    pipeline.put_and_take_in("mended.csv", correction(upload, {9: answer(9), 77: answer(77)}))
    quality = shown(pipeline)
    assert (quality.rows, quality.rows_set_aside, quality.rows_open, quality.uploads_waiting) == (11, 3, 2, 1)


def test_an_upload_that_counts_and_was_judged_anew_waits(
    pipeline: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    upload = pipeline.put_and_take_in("a.csv", csv_bytes([*answers(1, 8), answer(9, Department="Tech")]))
    assert pipeline.approve(upload).success
    assert shown(pipeline).uploads_waiting == 0
    pipeline.use_rules(changed_rules(vocabularies={"department": ["HR", "Admin"]}))
    pipeline.judge_again(upload)
    assert waiting(pipeline.facts) == [upload]
    assert shown(pipeline).uploads_waiting == 1
