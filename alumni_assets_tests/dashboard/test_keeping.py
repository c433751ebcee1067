"""When the page is written anew, and what it compares with."""

import json
from pathlib import Path

import pytest
import yaml

from alumni_assets.dashboard.keeping import PAGE_KEY, PUBLIC_PAGE_KEY, STATE_KEY
from alumni_assets.survey_rules import DEFAULT_RULES, load_rules

from .desk import Desk

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_page_shows_the_publication_that_it_was_made_from(desk: Desk) -> None:
    assert desk.publish("a", range(3)).is_new
    assert '<meta name="generation" content="1">' in desk.page()
    assert "valerie.1@school.edu.ph" in desk.page()
    desk.publish("b", range(10, 12))
    assert '<meta name="generation" content="2">' in desk.page()
    assert "5 alumni, +2 since then." in desk.page()


def test_a_page_that_shows_all_this_already_is_left_alone(desk: Desk) -> None:
    desk.publish("a", range(3))
    before = desk.files()
    assert not desk.publish().is_new
    assert desk.files() == before


def test_a_publication_with_the_same_answers_keeps_what_the_last_change_was(desk: Desk) -> None:
    desk.publish("a", range(3))
    desk.publish("b", range(10, 12))
    desk.lake.delete("published/uploads.parquet")
    kept = desk.publish()
    assert (kept.is_new, kept.figures.generation) == (True, 3)
    assert "5 alumni, +2 since then." in desk.page()


@pytest.mark.parametrize("key", [PAGE_KEY, PUBLIC_PAGE_KEY, STATE_KEY])
def test_a_page_that_was_cut_short_is_made_good(desk: Desk, key: str) -> None:
    desk.publish("a", range(3))
    before = desk.files()
    desk.lake.delete(key)
    assert desk.keep().is_new
    assert desk.files() == before


@pytest.mark.parametrize("content", [b"", b"{}", b'{"made_by": "another version", "current": {"generation": "x"}}'])
def test_a_state_that_cannot_be_read_is_begun_anew(desk: Desk, content: bytes) -> None:
    desk.publish("a", range(3))
    before = desk.files()
    desk.lake.put_bytes(STATE_KEY, content)
    assert desk.keep().is_new
    assert desk.files() == before


def test_changed_settings_make_the_page_anew(desk: Desk, tmp_path: Path) -> None:
    desk.publish("a", range(3))
    rules = yaml.safe_load(DEFAULT_RULES.read_text(encoding="utf-8"))
    rules["dashboard"] |= {"title": "Our alumni", "mask_contacts": True}
    (tmp_path / "survey.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    assert "valerie.1@school.edu.ph" in desk.page()
    assert desk.keep(load_rules(tmp_path / "survey.yaml")).is_new
    assert "<title>Our alumni</title>" in desk.page()
    assert "valerie.1@school.edu.ph" not in desk.page()


def test_other_templates_and_programs_make_the_page_anew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.publish("a", range(3))
    assert not desk.keep().is_new
    monkeypatch.setattr("alumni_assets.dashboard.keeping.version", lambda name: "another")
    assert desk.keep().is_new


def test_a_page_before_any_upload_says_that_there_is_nobody(desk: Desk) -> None:
    desk.publish()
    assert "No alumni yet." in desk.page()
    desk.publish("a", range(3))
    assert "since then" not in desk.page()


def test_the_state_holds_no_person(desk: Desk) -> None:
    desk.publish("a", range(3))
    state = (desk.root / STATE_KEY).read_text(encoding="utf-8")
    assert json.loads(state)["current"]["alumni"] == 3
    assert "alerie" not in state
