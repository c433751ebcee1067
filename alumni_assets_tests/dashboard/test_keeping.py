"""When the page is written anew, what it compares with, and what the asset says of it in Dagster."""

import json
from pathlib import Path

import dagster as dg
import pytest
import yaml

from alumni_assets.dashboard.keeping import PAGE_KEY, PUBLIC_PAGE_KEY, STATE_KEY, keep_page
from alumni_assets.survey_rules import DEFAULT_RULES, default_rules, load_rules
from alumni_assets_tests.pipeline.answers import answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import Pipeline

from .conftest import HOSTILE_NAME, made

pytestmark = pytest.mark.slow

FILES = {"dashboard.html", "dashboard_public.html", "dashboard.json"}


def page(pipeline: Pipeline) -> str:
    return (pipeline.root / PAGE_KEY).read_text(encoding="utf-8")


def test_the_page_is_made_with_the_tables_and_shows_their_publication(pipeline: Pipeline) -> None:
    made(pipeline, "a.csv", csv_bytes(answers(1, 3)))
    assert '<meta name="generation" content="1">' in page(pipeline)
    assert "valerie.1@school.edu.ph" in page(pipeline)
    made(pipeline, "b.csv", csv_bytes(answers(10, 2)))
    assert '<meta name="generation" content="2">' in page(pipeline)
    assert "5 alumni, +2 since then." in page(pipeline)


def test_a_page_that_shows_all_this_already_is_left_alone(pipeline: Pipeline) -> None:
    made(pipeline, "a.csv", csv_bytes(answers(1, 3)))
    before = pipeline.files("published")
    assert pipeline.renew().success
    assert not keep_page(pipeline.lake, default_rules()).is_new
    assert pipeline.files("published") == before


def test_a_publication_with_the_same_answers_keeps_what_the_last_change_was(pipeline: Pipeline) -> None:
    made(pipeline, "a.csv", csv_bytes(answers(1, 3)))
    made(pipeline, "b.csv", csv_bytes(answers(10, 2)))
    pipeline.put_and_take_in("c.csv", csv_bytes(answers(20, 2)))
    assert pipeline.renew().success
    assert "Files waiting for approval</dt><dd>1" in page(pipeline)
    assert "5 alumni, +2 since then." in page(pipeline)


@pytest.mark.parametrize("key", [PAGE_KEY, PUBLIC_PAGE_KEY, STATE_KEY])
def test_a_page_that_was_cut_short_is_made_good(pipeline: Pipeline, key: str) -> None:
    made(pipeline, "a.csv", csv_bytes(answers(1, 3)))
    before = pipeline.files("published")
    pipeline.lake.delete(key)
    assert keep_page(pipeline.lake, default_rules()).is_new
    assert pipeline.files("published") == before


@pytest.mark.parametrize("content", [b"", b"{}", b'{"made_by": "another version", "current": {"generation": "x"}}'])
def test_a_state_that_cannot_be_read_is_begun_anew(pipeline: Pipeline, content: bytes) -> None:
    made(pipeline, "a.csv", csv_bytes(answers(1, 3)))
    before = pipeline.files("published")
    pipeline.lake.put_bytes(STATE_KEY, content)
    assert keep_page(pipeline.lake, default_rules()).is_new
    assert pipeline.files("published") == before


def test_changed_settings_make_the_page_anew(pipeline: Pipeline, tmp_path: Path) -> None:
    made(pipeline, "a.csv", csv_bytes(answers(1, 3)))
    rules = yaml.safe_load(DEFAULT_RULES.read_text(encoding="utf-8"))
    rules["dashboard"] |= {"title": "Our alumni", "mask_contacts": True}
    (tmp_path / "survey.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    assert "valerie.1@school.edu.ph" in page(pipeline)
    assert keep_page(pipeline.lake, load_rules(tmp_path / "survey.yaml")).is_new
    assert "<title>Our alumni</title>" in page(pipeline)
    assert "valerie.1@school.edu.ph" not in page(pipeline)


def test_a_page_before_any_upload_says_that_there_is_nobody(pipeline: Pipeline) -> None:
    assert pipeline.renew().success
    assert "No alumni yet." in page(pipeline)
    made(pipeline, "a.csv", csv_bytes(answers(1, 3)))
    assert "since then" not in page(pipeline)
    assert set(pipeline.files("published")) >= FILES


def test_the_state_holds_no_person(three_months: Pipeline) -> None:
    state = (three_months.root / STATE_KEY).read_text(encoding="utf-8")
    people = three_months.published("SELECT employee_name, email, phone_number FROM alumni")
    assert json.loads(state)["current"]["generation"] == 3
    assert [value for person in people for value in person if value in state] == []


def test_dagster_shows_the_headlines_as_text_and_links_the_page(three_months: Pipeline) -> None:
    record = three_months.instance.get_latest_materialization_event(dg.AssetKey("alumni_dashboard"))
    assert record is not None
    assert record.asset_materialization is not None
    metadata = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    assert metadata["page"] == "http://127.0.0.1:8300/"
    assert metadata["file"] == str(three_months.root / PAGE_KEY)
    assert metadata["generation"] == 3
    preview = metadata["preview"]
    assert preview.count("\n- **") == 4
    assert "<" not in preview
    assert "Which campus produces the most excellent employees" in preview


def test_no_person_is_in_the_event_store(three_months: Pipeline) -> None:
    events = three_months.events()
    people = three_months.published("SELECT employee_name, email FROM alumni")
    assert [value for person in people for value in person if value in events] == []
    assert HOSTILE_NAME not in events
