"""A running `dagster dev` for the tests of a module, and a reviewer with a browser."""

from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, sync_playwright

from alumni_assets_tests.ui.chromium import chromium_path, opened_chromium
from alumni_assets_tests.ui.dagster_dev import DagsterDev
from alumni_assets_tests.ui.reviewer import Reviewer


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterDev]:
    """One server for all tests of the module, each with uploads of its own."""
    server = DagsterDev(tmp_path_factory.mktemp("project"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def chromium(lacking: Callable[[str], NoReturn]) -> Iterator[Browser]:
    if chromium_path() is None:
        lacking("this machine has no Chromium")
    with sync_playwright() as playwright, opened_chromium(playwright) as browser:
        yield browser


@pytest.fixture
def reviewer(chromium: Browser, dagster: DagsterDev) -> Iterator[Reviewer]:
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    yield Reviewer(page, dagster)
    page.close()
