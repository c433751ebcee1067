"""The page in a real browser: its values, the list of top employees, keyboard, phone, paper, and no network."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from pypdf import PdfReader
from python_calamine import load_workbook

from alumni_assets_tests.pipeline.conftest import Pipeline
from alumni_assets_tests.pipeline.test_real_survey import (
    ALUMNI_AND_EXCELLENT_BY_CAMPUS,
    ALUMNI_AND_RATING_BY_DEPARTMENT,
    JOB_ROLES,
    MEAN_RATING_BY_DEGREE,
)

from .conftest import HOSTILE_NAME, HOSTILE_ROLE
from .reader import Reader, page_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Open = Callable[..., Reader]


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Open]:
    """Opens a page; all are closed at the end."""
    readers: list[Reader] = []

    def open_page(pipeline: Pipeline, edition: str = "", width: int = 1360) -> Reader:
        readers.append(Reader(chromium, page_of(pipeline, edition), width))
        return readers[-1]

    yield open_page
    for reader in readers:
        reader.close()


def test_the_real_survey_shows_the_figures_of_the_old_dashboard(opened: Open, real: Pipeline) -> None:
    reader = opened(real)
    tiles = dict(
        reader.page.locator(".tiles div").evaluate_all(
            "all => all.map(one => [one.querySelector('dt').textContent, one.querySelector('dd').textContent])"
        )
    )
    assert (tiles["Alumni"], tiles["Batches"], tiles["Rows set aside"]) == ("1,000", "1", "0")
    degrees = reader.table("Mean rating by college degree")
    assert {row[0]: float(row[2]) for row in degrees} == MEAN_RATING_BY_DEGREE
    campuses = reader.table("Alumni rated 5 by campus")
    assert {row[0]: (int(row[1]), int(row[2])) for row in campuses} == ALUMNI_AND_EXCELLENT_BY_CAMPUS
    departments = reader.table("Alumni and mean rating by department")
    assert {row[0]: (int(row[1]), float(row[4])) for row in departments} == ALUMNI_AND_RATING_BY_DEPARTMENT
    assert [(row[0], int(row[1])) for row in reader.table("Alumni by job role")] == JOB_ROLES
    assert len(reader.shown()) == 700


def test_the_real_survey_shows_intervals_and_verdicts_of_reference(opened: Open, real: Pipeline) -> None:
    reader = opened(real)
    rows = {
        row[0]: row[1:]
        for caption in ("by college degree", "Alumni rated 5", "rating by department")
        for row in reader.table(caption)
    }
    assert rows["Accountancy"] == ["107", "3.20", "2.93 to 3.47", "no clear difference"]
    assert rows["Santo Tomas"] == ["79", "22", "27.8 %", "19.2 % to 38.6 %", "no clear difference"]
    assert rows["Main"] == ["457", "86", "18.8 %", "15.5 % to 22.7 %", "no clear difference"]
    assert rows["HR"][3:] == ["2.74", "2.50 to 2.97", "lower"]
    assert [name for name, cells in rows.items() if cells[-1] in ("higher", "lower")] == ["HR"]
    assert reader.headlines() == [
        "No clear difference between college degrees.",
        "Main has the most alumni rated 5 (86), being the largest campus; by share, no clear difference between "
        "campuses.",
        "R&D employs the most alumni (166, 16.6 % of all), not clearly ahead of Operations (152); only HR is rated "
        "clearly lower than the rest.",
        "Finance Officer is the most frequent role (116, 11.6 % of all), not clearly ahead of Teacher (108).",
        "700 alumni on the lists of 7 departments; each is cut inside a tie.",
    ]
    grounds = " ".join(reader.page.locator(".grounds").all_text_contents())
    for evidence in ("Welch's ANOVA, p = 0.98", "p = 0.37", "p = 0.004, after Holm's correction 0.013", "0.037"):
        assert evidence in grounds


@pytest.mark.parametrize("survey", ["real", "three_months"])
def test_every_value_is_that_of_the_database(opened: Open, survey: str, request: pytest.FixtureRequest) -> None:
    pipeline: Pipeline = request.getfixturevalue(survey)
    reader = opened(pipeline)
    expected = {
        "Mean rating by college degree": "SELECT college_degree, alumni, printf('%.2f', mean_rating), "
        "printf('%.2f to %.2f', mean_low, mean_high) FROM degree_performance",
        "Alumni rated 5 by campus": "SELECT dmc_campus, alumni, excellent, printf('%.1f %%', excellent_share * 100), "
        "printf('%.1f %% to %.1f %%', share_low * 100, share_high * 100) FROM campus_excellence",
        "Alumni and mean rating by department": "SELECT department, alumni, printf('%.1f %%', alumni_share * 100), "
        "printf('%.1f %% to %.1f %%', share_low * 100, share_high * 100), printf('%.2f', mean_rating), "
        "printf('%.2f to %.2f', mean_low, mean_high) FROM department_employment",
        "Alumni by job role": "SELECT job_role, alumni, printf('%.1f %%', alumni_share * 100), "
        "printf('%.1f %% to %.1f %%', share_low * 100, share_high * 100) FROM job_roles",
        "Where each department's list ends": "SELECT department, alumni, listed, last_rating, listed_at_last, "
        "alumni_at_last, excellent FROM top_employees_cut",
    }
    for caption, query in expected.items():
        stored = [[str(cell) for cell in row] for row in pipeline.published(query)]
        assert [row[: len(stored[0])] for row in reader.table(caption)] == stored, caption
    listed = pipeline.published(
        "SELECT employee_name, department, rank, performance_rating, job_role, college_degree, dmc_campus, email, "
        "phone_number FROM top_employees"
    )
    assert reader.shown() == [[str(cell) for cell in row] for row in listed]


def test_trends_moves_reasons_and_drift_are_shown_where_there_are_any(opened: Open, three_months: Pipeline) -> None:
    reader = opened(three_months)
    assert [row[1] for row in reader.table("Mean rating by month")[:3]] == ["2026-03", "2026-04", "2026-06"]
    moves = three_months.published("SELECT moved_from, moved_to, moves::VARCHAR FROM job_moves LIMIT 1")
    assert tuple(reader.table("Moves")[0][1:]) == moves[0]
    assert sorted(reader.table("Why rows were set aside")) == [
        ["Department", "The answer is not one of the possible ones.", "20", "20"],
        ["Performance_Rating", "A performance rating is a whole number from 1 to 5.", "20", "20"],
    ]
    assert [row[2] for row in reader.table("Batches that count")] == ["260", "180", "120"]
    drift = {row[0]: row[1:] for row in reader.table("The newest batch against all before it")}
    assert drift["Rows set aside"][:2] == ["7.7 %", "0.0 %"]
    assert drift["Rows set aside"][3] == "differs"
    assert reader.page.locator(".changed").count() == 5


def test_what_the_survey_says_is_text_and_nothing_else(opened: Open, three_months: Pipeline) -> None:
    reader = opened(three_months)
    people = reader.shown()
    hostile = next(row for row in people if "script" in row[0].lower())
    assert hostile[0].lower() == HOSTILE_NAME.lower()
    assert any(row[4].lower() == HOSTILE_ROLE.lower() for row in people)
    assert reader.page.title() == "DMC Academy alumni survey"
    assert reader.page.locator("main img:not([data-chart]), main b, main script").count() == 0
    assert reader.complained == []


def test_the_page_asks_no_network_for_anything_and_says_so_in_its_policy(opened: Open, real: Pipeline) -> None:
    reader = opened(real)
    assert [url for url in reader.asked if not url.startswith(("data:", page_of(real).as_uri()))] == []
    assert reader.complained == []
    assert len(page_of(real).read_bytes()) < 1_000_000
    loaded = reader.page.locator("img").evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 0)")
    assert loaded
    assert "default-src 'none'" in str(reader.page.locator("meta[http-equiv]").get_attribute("content"))


def test_the_slicer_shows_one_department(opened: Open, real: Pipeline) -> None:
    reader = opened(real)
    reader.page.select_option("#department", "R&D")
    assert {row[1] for row in reader.shown()} == {"R&D"}
    assert reader.page.text_content("#found") == "100 of 700 shown"
    reader.page.select_option("#department", "")
    assert len(reader.shown()) == 700


def test_the_search_finds_words_in_any_column_whatever_the_case_and_accents(opened: Open, real: Pipeline) -> None:
    reader = opened(real)
    reader.page.fill("#search", "PORAC donna thómpson")
    assert [row[:2] for row in reader.shown()] == [["Donna Thompson", "Admin"]]
    assert reader.page.text_content("#found") == "1 of 700 shown"
    reader.page.fill("#search", "nobody of this name")
    assert reader.shown() == []


def test_every_column_sorts_both_ways_and_says_so(opened: Open, real: Pipeline) -> None:
    reader = opened(real)
    heads = reader.page.locator("#top thead th")
    for column in range(heads.count()):
        head = heads.nth(column)
        kind = head.get_attribute("data-kind")

        def key(row: list[str], column: int = column, kind: str | None = kind) -> object:
            return int(row[column]) if kind == "number" else row[column].casefold()

        for direction in ("ascending", "descending"):
            head.locator("button").click()
            assert head.get_attribute("aria-sort") == direction
            keys = [key(row) for row in reader.shown()]
            if kind == "number":
                assert keys == sorted(keys, reverse=direction == "descending")
            else:
                assert keys[0] != keys[-1]
        assert reader.page.locator("#top th[aria-sort]").count() == 1


def test_names_sort_in_alphabetical_order(opened: Open, real: Pipeline) -> None:
    reader = opened(real)
    reader.page.click("#top thead th:first-child button")
    names = [row[0] for row in reader.shown()]
    assert names == sorted(names, key=lambda name: re.sub(r"[^a-z ]", "", name.casefold()))


@pytest.mark.parametrize("survey", ["real", "three_months"])
def test_the_downloads_hold_the_whole_list(opened: Open, survey: str, request: pytest.FixtureRequest) -> None:
    pipeline: Pipeline = request.getfixturevalue(survey)
    reader = opened(pipeline)
    expected = [[str(cell) for cell in row] for row in pipeline.published("FROM top_employees")]
    text = reader.download("#csv").decode("utf-8-sig")
    lines = list(csv.reader(io.StringIO(text)))
    assert lines[0][:5] == ["Department", "Rank", "Employee ID", "Employee Name", "Job Role"]
    assert [
        [cell.removeprefix("'") if cell.startswith("'=") else cell for cell in row] for row in lines[1:]
    ] == expected
    assert not any(cell.startswith("=") for row in lines for cell in row)
    sheet = load_workbook(io.BytesIO(reader.download("#xlsx"))).get_sheet_by_index(0).to_python()
    assert [[str(int(cell)) if isinstance(cell, float) else cell for cell in row] for row in sheet[1:]] == expected


def test_everything_can_be_done_with_the_keyboard(opened: Open, real: Pipeline) -> None:
    reader = opened(real)
    keyboard = reader.page.keyboard

    def focused() -> str:
        return str(reader.page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))

    keyboard.press("Tab")
    assert focused() == "Skip to the answers"
    visited = []
    while "department" not in visited and len(visited) < 60:
        keyboard.press("Tab")
        visited.append(focused())
    assert "The figures as a table" in visited
    keyboard.type("HR")
    assert {row[1] for row in reader.shown()} == {"HR"}
    keyboard.press("Tab")
    assert focused() == "search"
    keyboard.type("main")
    assert 0 < len(reader.shown()) < 100
    for expected in ("csv", "xlsx"):
        keyboard.press("Tab")
        assert focused() == expected
    keyboard.press("Tab")  # the scrolling region, which arrow keys move
    keyboard.press("Tab")
    assert focused() == "Name"
    keyboard.press("Enter")
    assert reader.page.locator("#top th[aria-sort=ascending]").text_content() == "Name"
    outline = reader.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


@pytest.mark.parametrize(("edition", "width"), [("", 390), ("", 1360), ("_public", 390)])
def test_axe_core_finds_nothing(opened: Open, three_months: Pipeline, edition: str, width: int) -> None:
    assert opened(three_months, edition, width).violations() == []


@pytest.mark.parametrize("width", [390, 1360])
def test_the_page_fits_its_window(opened: Open, real: Pipeline, width: int) -> None:
    reader = opened(real, width=width)
    assert reader.page.evaluate("document.documentElement.scrollWidth") == width
    narrow = reader.page.locator("img[data-chart=degrees]").evaluate("one => one.currentSrc !== one.src")
    assert narrow == (width == 390)
    assert reader.page.locator("img[data-chart=degrees]").evaluate("one => one.getBoundingClientRect().right") <= width


def test_the_page_prints_with_all_that_is_folded(opened: Open, three_months: Pipeline, tmp_path: Path) -> None:
    reader = opened(three_months)
    reader.page.pdf(path=tmp_path / "page.pdf", format="A4")
    text = " ".join(page.extract_text() for page in PdfReader(tmp_path / "page.pdf").pages)
    text = " ".join(text.split())
    for said in ("Which campus produces", "Where each department's list ends", "How to read this page", "2026-06"):
        assert said in text
    assert "Take the whole list" not in text
    assert reader.page.locator("details[open]").count() == 0


def test_a_page_that_is_old_says_so(opened: Open, real: Pipeline) -> None:
    reader = opened(real)
    assert reader.page.locator("#stale").is_hidden()
    reader.page.clock.install()
    reader.page.clock.set_system_time("2027-03-01")
    reader.page.reload()
    assert "days old" in str(reader.page.locator("#stale").text_content())
    assert reader.page.locator("#stale").is_visible()


def test_the_public_edition_names_nobody(opened: Open, real: Pipeline) -> None:
    reader = opened(real, "_public")
    text = page_of(real, "_public").read_text(encoding="utf-8")
    people = real.published("SELECT employee_name, email, phone_number FROM alumni")
    assert [value for person in people for value in person if value in text] == []
    assert reader.page.locator("#top").count() == 0
    assert reader.table("Mean rating by college degree")[0][:3] == ["Accountancy", "107", "3.20"]
    assert reader.headlines()[4] == "The lists name people, and are in the university's own edition only."
