"""Takes the pictures of docs/images anew: `python -m alumni_assets_tests.ui.pictures FOLDER docs/images`.

FOLDER must not exist; `dagster dev` is started there on the demonstration's uploads, and its path is in the pictures.
"""

import sys
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, Page, expect, sync_playwright

from alumni_assets.demo import write_samples
from alumni_assets.queries import ANSWERS
from alumni_assets_tests.ui.chromium import opened_chromium
from alumni_assets_tests.ui.dagster_dev import APPROVER, DagsterDev, until
from alumni_assets_tests.ui.reviewer import Reviewer

_WIDTH, _HEIGHT = 1440, 900
_COMPACT = """
localStorage['asset-node-facets'] = '["checks","status","partitions"]';
localStorage['dagster-nav-collapsed'] = 'true';
"""


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
        with sync_playwright() as playwright, opened_chromium(playwright) as browser:
            page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
            reviewer = Reviewer(page, dagster)
            _check(reviewer, dirty, images)
            _approval(reviewer, [clean, dirty], images)
            until(lambda: dagster.is_current("published_survey") and dagster.alumni_of(dirty), "all is published")
            until(lambda: all(dagster.is_current(asset) for asset in ANSWERS), "the answers are current")
            _graph(browser, dagster, 1660, images / "asset-graph.png")
            _graph(browser, dagster, 2000, images / "asset-graph-details.png")
    finally:
        dagster.stop()


def _check(reviewer: Reviewer, upload: str, images: Path) -> None:
    page = reviewer.page
    reviewer.read_check("invalid_survey", upload)
    reviewer.reads("first_rows")
    page.screenshot(path=images / "failed-check.png")
    page.set_viewport_size({"width": 1900, "height": 2000})
    page.wait_for_timeout(2000)
    table = page.get_by_text("first_rows").locator("visible=true").first.locator("xpath=ancestor::table[1]")
    table.screenshot(path=images / "check-details.png")
    page.set_viewport_size({"width": _WIDTH, "height": _HEIGHT})


def _approval(reviewer: Reviewer, uploads: list[str], images: Path) -> None:
    reviewer.choose_for_approval(uploads)
    reviewer.enter_approval(APPROVER, "looked at the rows of dirty.csv")
    dialog = reviewer.page.get_by_text("Launch runs to materialize").locator("xpath=ancestor::*[@role='dialog'][1]")
    dialog.screenshot(path=images / "approval.png")
    reviewer.launch()


def _graph(browser: Browser, dagster: DagsterDev, width: int, image: Path) -> None:
    """All assets: everything is below raw_survey. In a wide page the nodes show their checks and partitions."""
    page = browser.new_page(viewport={"width": width, "height": width * 4 // 5})
    page.add_init_script(_COMPACT)
    url = dagster.url("/assets/raw_survey?view=lineage&lineageScope=downstream&lineageDepth=6")
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
