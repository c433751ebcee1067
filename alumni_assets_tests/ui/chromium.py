"""Where Chromium is on this machine, and how it is started without talking to anyone."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright, expect

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str | None:
    return shutil.which("chromium")


@contextmanager
def opened_chromium(playwright: Playwright) -> Iterator[Browser]:
    """A headless Chromium, closed at the end. What is expected on its pages may take as long as on a busy machine."""
    expect.set_options(timeout=60_000)
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=_ARGUMENTS)
    try:
        yield browser
    finally:
        browser.close()
