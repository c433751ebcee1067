"""What a reviewer does in Dagster's pages, click by click, in a headless Chromium."""

from collections.abc import Sequence
from urllib.parse import quote

from playwright.sync_api import Locator, Page, expect

from alumni_assets_tests.ui.dagster_dev import DagsterDev

_CONFIG = """\
ops:
  approve_and_transform:
    config:
      approved_by: {approved_by}
      note: {note}
"""


class Reviewer:
    """A person with a browser."""

    def __init__(self, page: Page, dagster: DagsterDev) -> None:
        self.page = page
        self.dagster = dagster

    def approve(self, uploads: Sequence[str], approved_by: str = "", note: str = "") -> None:
        """Materialize transformed_survey for these uploads; a name and a note are entered where given."""
        self.choose_for_approval(uploads)
        if approved_by:
            self.enter_approval(approved_by, note)
        self.launch()

    def choose_for_approval(self, uploads: Sequence[str]) -> None:
        """Open the dialog of transformed_survey and choose these uploads."""
        page = self.page
        page.goto(self.dagster.url("/assets/transformed_survey"), wait_until="domcontentloaded")
        page.get_by_role("button", name="Materialize…").click()
        page.get_by_text("Select a partition or create one").click()
        for upload in uploads:
            self._visible(upload).click()
        page.keyboard.press("Escape")

    def enter_approval(self, approved_by: str, note: str) -> None:
        """Enter a name and a note in the config section of the dialog."""
        page = self.page
        page.get_by_text("Config", exact=True).click()
        page.get_by_role("button", name="Add config").click()
        page.locator(".CodeMirror").click()
        page.keyboard.insert_text(_CONFIG.format(approved_by=approved_by, note=note))
        expect(page.get_by_text("No errors")).to_be_visible()
        page.get_by_role("button", name="Save config").click()
        expect(page.get_by_text("Config saved")).to_be_visible()

    def launch(self) -> None:
        """Click the button of the dialog that starts the runs, be it one or a backfill."""
        self.page.get_by_role("button", name="Launch").last.click()
        expect(self.page.get_by_text("Launch runs to materialize")).to_be_hidden()

    def read_check(self, asset: str, upload: str) -> None:
        """Open the first check of an asset, and there what it says of an upload."""
        page = self.page
        page.goto(self.dagster.url(f"/assets/{asset}?view=checks"), wait_until="domcontentloaded")
        page.get_by_role("tab", name="Partitions").nth(1).click()
        self._visible(upload).click()

    def read_what_waits(self) -> None:
        """Open the checks of transformed_survey: the first one has a table of what waits for approval."""
        self.page.goto(self.dagster.url("/assets/transformed_survey?view=checks"), wait_until="domcontentloaded")

    def read_upload(self, asset: str, upload: str) -> None:
        """Open what an asset has recorded of an upload."""
        page = f"/assets/{asset}?view=partitions&partition={quote(upload)}"
        self.page.goto(self.dagster.url(page), wait_until="domcontentloaded")

    def read_run(self, run_id: str) -> None:
        """Open the page of a run."""
        self.page.goto(self.dagster.url(f"/runs/{run_id}"), wait_until="domcontentloaded")

    def reads(self, text: str) -> None:
        """Wait until a text can be seen on the page; fails when it does not come."""
        expect(self._visible(text)).to_be_visible()

    def _visible(self, text: str) -> Locator:
        return self.page.get_by_text(text).locator("visible=true").first
