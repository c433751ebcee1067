"""Takes the pictures of docs/images anew: `python -m alumni_assets_tests.ui.pictures FOLDER docs/images`.

FOLDER must not exist; `dagster dev` is started there on the demonstration's uploads, and its path is in the pictures.
Those of a spreadsheet are left as they are where a program for them is missing; `calc.py` says which it takes.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import copyfile

from playwright.sync_api import Browser, FloatRect, Page, expect, sync_playwright

from alumni_assets import layout
from alumni_assets.demo import write_samples
from alumni_assets.queries import ANSWERS
from alumni_assets_tests.ui import calc
from alumni_assets_tests.ui.chromium import opened_chromium
from alumni_assets_tests.ui.dagster_dev import DagsterDev, until
from alumni_assets_tests.ui.reviewer import Reviewer
from alumni_assets_tests.ui.spreadsheet import guessed

_WIDTH, _HEIGHT = 1440, 900
_NAVIGATION = 240
_RESULT: FloatRect = {"x": 534, "y": 370, "width": _WIDTH - 534, "height": 410}
_COMPACT = """
localStorage['asset-node-facets'] = '["checks","status","partitions"]';
localStorage['dagster-nav-collapsed'] = 'true';
"""
# What the reviewer types, by the column that is wrong: at first a phone number that is none either.
_FIRST_ANSWERS = {"Performance_Rating": "5", "Phone_Number": "0958 12"}
_LATER_ANSWERS = {"Employee_Name": "Teresa Cruz", "Department": "HR", "Phone_Number": "0958 123 4567"}


def main(folder: Path, images: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True)
    write_samples(folder / "lake" / "raw")
    dagster = DagsterDev(folder)
    try:
        dagster.start()
        until(lambda: len(dagster.partitions("raw_survey")) == 3, "the sample uploads are taken in")
        clean, dirty, _ = dagster.partitions("raw_survey")
        until(lambda: dagster.is_validated(dirty), "the sample uploads are validated")
        _spreadsheet(dagster, dirty, images)
        with sync_playwright() as playwright, opened_chromium(playwright) as browser:
            page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
            reviewer = Reviewer(page, dagster)
            _failed_check(reviewer, dirty, images)
            first = _given_back(dagster, "mended.xlsx", _mended_first(dagster.correction_file(dirty)))
            _check(reviewer, dirty, "are corrected", images / "check-after-correction.png", _beside_navigation(840))
            _waits(reviewer, images)
            _approval(reviewer, [clean, dirty, first], images)
            _approved(reviewer, [clean, dirty, first], images)
            until(lambda: dagster.is_current("published_survey") and dagster.alumni_of(dirty), "all is published")
            until(lambda: all(dagster.is_current(asset) for asset in ANSWERS), "the answers are current")
            until(lambda: dagster.is_current("alumni_dashboard"), "the page is made")
            _dashboard(browser, dagster, images)
            _graph(browser, dagster, 1660, images / "asset-graph.png")
            _graph(browser, dagster, 2000, images / "asset-graph-details.png")
            _given_back(dagster, "rest.xlsx", _mended_later(dagster.correction_file(dirty)))
            dagster.alumni_command("waive", dirty, "all", "--reason", "nobody knows the date", "--by", "Liza Tan")
            _check(reviewer, dirty, "No row is open", images / "check-passed.png", _RESULT)
    finally:
        dagster.stop()


def _mended_first(rows: Mapping[str, Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    """The rows for which a right answer is guessed, and those that are wrong in some columns."""
    for row in rows.values():
        answered = _answered(guessed(row), _FIRST_ANSWERS)
        if answered != row:
            yield answered


def _mended_later(rows: Mapping[str, Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    """Further rows; those without a date that can be read are left out."""
    for row in rows.values():
        mended = {
            "Email": row["Email"].replace(" at ", "@"),
            "Employee_ID": re.sub(r"\D", "", row["Employee_ID"]),
            **_LATER_ANSWERS,
        }
        answered = _answered(row, mended)
        if answered != row:
            yield answered


def _answered(row: Mapping[str, str], answers: Mapping[str, str]) -> Mapping[str, str]:
    return {**row, **{title: answer for title, answer in answers.items() if f"{title}: " in row["_problems"]}}


def _given_back(dagster: DagsterDev, name: str, rows: Iterator[Mapping[str, str]]) -> str:
    upload = dagster.give_back(name, rows)
    until(lambda: dagster.is_validated(upload), "the correction is validated")
    (run,) = dagster.runs(pipelineName="take_in_uploads")[:1]
    until(lambda: dagster.runs(runIds=[run["runId"]], statuses=["SUCCESS"]), "its run has ended")
    return upload


def _spreadsheet(dagster: DagsterDev, upload: str, images: Path) -> None:
    """The copy of a correction file, opened: a note, a list of answers, and the second sheet."""
    missing = calc.missing_programs()
    if missing:
        print(f"No pictures of a spreadsheet: {', '.join(missing)} not found.")
        return
    copy = dagster.folder / "corrections.xlsx"
    copyfile(dagster.lake / layout.correction_key(upload, "xlsx"), copy)
    with calc.opened_in_calc(copy) as window:
        window.point(900, 262)
        window.picture(images / "correction-file.png", 1368, 516)
        window.point(40, 12)
        window.press("Down", *["Right"] * 8, "alt+Down")
        window.picture(images / "correction-answers.png", 1368, 516)
        window.press("Escape", "ctrl+Next")
        window.picture(images / "correction-how-to.png", 900, 516)


def _failed_check(reviewer: Reviewer, upload: str, images: Path) -> None:
    page = reviewer.page
    reviewer.read_check("invalid_survey", upload)
    reviewer.reads("first_rows")
    page.screenshot(path=images / "failed-check.png")
    page.set_viewport_size({"width": 1900, "height": 2000})
    page.wait_for_timeout(2000)
    table = page.get_by_text("first_rows").locator("visible=true").first.locator("xpath=ancestor::table[1]")
    table.screenshot(path=images / "check-details.png")
    page.set_viewport_size({"width": _WIDTH, "height": _HEIGHT})


def _check(reviewer: Reviewer, upload: str, text: str, image: Path, clip: FloatRect) -> None:
    reviewer.read_check("invalid_survey", upload)
    reviewer.reads(text)
    reviewer.page.wait_for_timeout(1500)
    reviewer.page.screenshot(path=image, clip=clip)


def _waits(reviewer: Reviewer, images: Path) -> None:
    reviewer.read_what_waits()
    reviewer.reads("wait for approval.")
    reviewer.page.wait_for_timeout(1500)
    reviewer.page.screenshot(path=images / "waiting.png", clip=_beside_navigation(780))


def _approval(reviewer: Reviewer, uploads: list[str], images: Path) -> None:
    reviewer.choose_for_approval(uploads)
    reviewer.enter_approval("Liza Tan", "looked at the rows of dirty.csv")
    dialog = reviewer.page.get_by_text("Launch runs to materialize").locator("xpath=ancestor::*[@role='dialog'][1]")
    dialog.screenshot(path=images / "approval.png")
    reviewer.launch()


def _approved(reviewer: Reviewer, uploads: list[str], images: Path) -> None:
    until(lambda: all(reviewer.dagster.runs_of(upload, "SUCCESS") for upload in uploads), "the uploads are approved")
    reviewer.read_upload("transformed_survey", uploads[-1])
    reviewer.reads("approved_by")
    reviewer.page.wait_for_timeout(1500)
    reviewer.page.screenshot(path=images / "approved.png", clip=_beside_navigation(640))


def _dashboard(browser: Browser, dagster: DagsterDev, images: Path) -> None:
    """The beginning of the page, on a desk and on a phone."""
    for name, width, height in (("dashboard", 1360, 1500), ("dashboard-phone", 390, 1500)):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto((dagster.lake / "published" / "dashboard.html").as_uri())
        page.screenshot(path=images / f"{name}.png")
        page.close()


def _beside_navigation(height: int) -> FloatRect:
    return {"x": _NAVIGATION, "y": 0, "width": _WIDTH - _NAVIGATION, "height": height}


def _graph(browser: Browser, dagster: DagsterDev, width: int, image: Path) -> None:
    """All assets: everything is below raw_survey. In a wide page the nodes show their checks and partitions."""
    page = browser.new_page(viewport={"width": width, "height": width * 4 // 5})
    page.add_init_script(_COMPACT)
    url = dagster.url("/assets/raw_survey?view=lineage&lineageScope=downstream&lineageDepth=10")
    page.goto(url, wait_until="domcontentloaded")
    expect(page.locator("foreignObject").get_by_text("published_survey").first).to_be_visible()
    expect(page.get_by_text("Loading...")).to_have_count(0)
    page.wait_for_timeout(5000)
    page.screenshot(path=image, clip=_around(page))
    page.close()


def _around(page: Page) -> FloatRect:
    """The part of the page that has the nodes and groups of the graph, with a margin."""
    boxes = [box for node in page.locator("foreignObject").all() if (box := node.bounding_box())]
    left, top = min(box["x"] for box in boxes) - 20, min(box["y"] for box in boxes) - 20
    right = max(box["x"] + box["width"] for box in boxes) + 20
    bottom = max(box["y"] + box["height"] for box in boxes) + 20
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
