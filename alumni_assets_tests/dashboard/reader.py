"""A reader of the page: what a person sees in a real browser."""

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from alumni_assets_tests.pipeline.conftest import Pipeline

_WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


class Reader:
    """The page of a pipeline opened from disk; `asked` has the addresses it asked for, `complained` its errors."""

    def __init__(self, browser: Browser, file: Path, width: int = 1360) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
        self.context.set_offline(True)
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.complained: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complained.append(message.text))
        self.page.on("pageerror", lambda error: self.complained.append(str(error)))
        self.page.goto(file.as_uri())

    def table(self, caption: str) -> list[list[str]]:
        """The rows of the table with this caption, folded or not."""
        tables = self.page.locator("table").filter(has=self.page.locator("caption", has_text=caption)).first
        return tables.evaluate(
            "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))"
        )

    def headlines(self) -> list[str]:
        return self.page.locator(".headline").all_text_contents()

    def shown(self) -> list[list[str]]:
        """The rows of the list of top employees that are to be seen, in their order."""
        return self.page.locator("#top").evaluate(
            "table => [...table.tBodies[0].rows].filter(row => row.checkVisibility())"
            ".map(row => [...row.cells].map(cell => cell.textContent))"
        )

    def download(self, selector: str) -> bytes:
        with self.page.expect_download() as started:
            self.page.click(selector)
        return Path(started.value.path()).read_bytes()

    def violations(self) -> list[dict[str, Any]]:
        """What axe-core finds against WCAG 2.2 AA, with all that is folded open."""
        self.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        found = Axe().run(self.page, options=_WCAG).response["violations"]
        return [{"rule": one["id"], "nodes": [node["html"][:120] for node in one["nodes"]]} for one in found]

    def close(self) -> None:
        self.context.close()


def page_of(pipeline: Pipeline, edition: str = "") -> Path:
    """The page as a file; `edition` is `_public` for the public one."""
    return pipeline.root / "published" / f"dashboard{edition}.html"
