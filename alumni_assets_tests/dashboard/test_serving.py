"""`alumni dashboard`: the page on this machine, for its own browser only, and renewed while it is open."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest
import requests
from playwright.sync_api import Browser, expect
from starlette.applications import Starlette

from alumni_assets.dashboard.serving import application
from alumni_assets.resources.lake_folder import FolderLake

from .desk import Desk

pytestmark = [pytest.mark.server, pytest.mark.slow]


_COMMAND = "from alumni_assets.cli import main; main()"


class Served:
    """The command at work on a pipeline's lake."""

    def __init__(self, desk: Desk, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, "dashboard", *(options or ("--port", "0"))],
            env=os.environ | {"ALUMNI_LAKE": str(desk.root), "ALUMNI_HOME": str(desk.root.parent / "home")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def address(self) -> str:
        """Where the page is, as the command says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()[-1]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def served(desk: Desk) -> Iterator[tuple[Desk, str]]:
    desk.publish("a", range(3))
    server = Served(desk)
    yield desk, server.address
    server.stop()


def get(address: str, **headers: str) -> requests.Response:
    for _ in range(100):
        try:
            return requests.get(address, headers=headers, timeout=10)
        except requests.ConnectionError:
            time.sleep(0.1)
    return requests.get(address, headers=headers, timeout=10)


def test_a_page_that_is_open_reads_what_is_in_the_lake_only_when_it_has_changed(desk: Desk) -> None:
    desk.publish("a", range(3))
    lake = FolderLake(desk.root)
    app = application(lake)
    with mock.patch.object(lake, "read_bytes", wraps=lake.read_bytes) as reads:
        tags = [headers_of(app, "HEAD")[b"etag"] for _ in range(3)]
        assert reads.call_count == 1
        desk.publish("b", range(10, 12))
        tags += [headers_of(app, "HEAD")[b"etag"] for _ in range(3)]
        assert reads.call_count == 2
    assert len(set(tags[:3])) == len(set(tags[3:])) == 1
    assert tags[0] != tags[3] == headers_of(app, "GET")[b"etag"]


def headers_of(app: Starlette, method: str) -> dict[bytes, bytes]:
    """The headers of what the application answers."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    asyncio.run(app(scope, receive, send))
    return dict(sent[0]["headers"])


def test_the_page_is_served_as_it_is_in_the_lake(served: tuple[Desk, str]) -> None:
    desk, address = served
    answer = get(address)
    assert answer.content == (desk.root / "published" / "dashboard.html").read_bytes()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert requests.head(address, timeout=10).headers["ETag"] == answer.headers["ETag"]
    desk.publish("b", range(10, 12))
    renewed = get(address)
    assert (renewed.headers["ETag"].partition("-")[0], renewed.headers["ETag"]) != (
        answer.headers["ETag"].partition("-")[0],
        answer.headers["ETag"],
    )


def test_who_comes_by_another_name_is_refused(served: tuple[Desk, str]) -> None:
    _, address = served
    assert get(address).status_code == 200
    assert get(address, Host="evil.example").status_code == 400
    assert requests.get(f"{address}../../etc/passwd", timeout=10).status_code == 404
    assert requests.post(address, timeout=10).status_code == 405


def test_it_listens_on_this_machine_only(desk: Desk) -> None:
    server = Served(desk)
    try:
        address = server.address
        get(address)
        listening = [
            one.laddr for one in psutil.Process(server.process.pid).net_connections() if one.status == "LISTEN"
        ]
        assert [f"http://{one.ip}:{one.port}/" for one in listening] == [address]
        assert listening[0].ip == "127.0.0.1"
    finally:
        server.stop()


def test_without_a_page_it_says_so_and_shows_it_once_it_is_made(desk: Desk) -> None:
    server = Served(desk)
    try:
        address = server.address
        answer = get(address)
        assert (answer.status_code, "There is no page yet" in answer.text) == (404, True)
        desk.publish("a", range(3))
        assert get(address).status_code == 200
    finally:
        server.stop()


def test_a_port_that_is_taken_is_named(desk: Desk) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = Served(desk, "--port", str(port))
        said, _ = server.process.communicate(timeout=60)
    assert server.process.returncode == 1
    assert said.strip() == (
        f"Error: Port {port} of this machine is taken, or may not be used. Choose another one: --port 8301."
    )


@pytest.mark.browser
def test_an_open_page_renews_itself_and_keeps_what_was_searched_for(
    served: tuple[Desk, str], chromium: Browser
) -> None:
    desk, address = served
    get(address)
    page = chromium.new_page()
    try:
        page.goto(address)
        page.fill("#search", "valerie 11")
        expect(page.locator("#found")).to_have_text("0 of 3 shown")
        desk.publish("b", range(10, 12))
        expect(page.locator("#found")).to_have_text("1 of 5 shown", timeout=30_000)
        expect(page.locator("#search")).to_have_value("valerie 11")
    finally:
        page.close()
