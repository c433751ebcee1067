"""Caddy with the shipped Caddyfile, on free ports, and what people send to it.

Requests are sent as they are given: no library tidies up a path or a header before.
"""

import asyncio
import base64
import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect

from alumni_assets_tests.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy" / "local"
CADDY = shutil.which("caddy")
Site = Literal["viewers", "operators", "page"]
SITES: tuple[Site, ...] = ("viewers", "operators", "page")
OPERATOR, VIEWER = "ana:ana's word", "vic:vic's word"
# Of cost 4, where `caddy hash-password` takes 14: that would be a second for each of them and each address.
LOGINS = {
    "operators": "ana $2b$04$hg0nTzEAdCVBThN4AKVm3.9.atXNqJvjmlJ2ONgNvbz3.nnm3lA06\n",
    "viewers": "vic $2b$04$Wkbn6TlUj1JL3HQnPl8/K.kt.x.Zi0anuOJhGK99SwuRHrYkJN8CC\n",
}
_PROTOCOL = "graphql-ws"
_STARTS_WITHIN = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def basic(login: str) -> dict[str, str]:
    """The header with which browsers send a name and password."""
    return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


class Front:
    """The login in front of three servers of this machine, given by port."""

    def __init__(self, folder: Path, servers: Mapping[Site, int], logins: Mapping[str, str] = LOGINS) -> None:
        self._folder = folder
        self._ports = {site: free_port() for site in SITES}
        (folder / "logins").mkdir()
        for group, lines in logins.items():
            (folder / "logins" / group).write_text(lines, encoding="utf-8")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ALUMNI_HOST": "localhost",
            "ALUMNI_LOGINS": str(folder / "logins"),
        }
        for site in SITES:
            self._environment[f"ALUMNI_{site.upper()}_PORT"] = str(self._ports[site])
            self._environment[f"ALUMNI_{site.upper()}_SERVER"] = f"127.0.0.1:{servers[site]}"
        self._process: subprocess.Popen[bytes] | None = None
        self._trust = ssl.create_default_context()
        self._authority = folder / ".local" / "share" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def start(self) -> None:
        """Start, and wait until Caddy has made its authority and the certificates, and all three addresses answer."""
        command = [str(CADDY), "run", "--config", str(DEPLOY / "Caddyfile")]
        with (self._folder / "caddy.log").open("wb") as log:
            self._process = subprocess.Popen(command, env=self._environment, stderr=log)
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self._is_ready():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)

    def log(self) -> str:
        return (self._folder / "caddy.log").read_text(encoding="utf-8")

    def origin(self, site: Site) -> str:
        return f"https://localhost:{self._ports[site]}"

    def ask(
        self,
        site: Site,
        path: str = "/",
        login: str | None = None,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """What the address answers to this request."""
        connection = HTTPSConnection("localhost", self._ports[site], timeout=60, context=self._trust)
        try:
            connection.request(method, path, body, {**(basic(login) if login else {}), **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def graphql(self, site: Site, login: str | None, query: str, variables: Mapping[str, Any] | None = None) -> Answer:
        """What Dagster's pages would be answered."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json", "Origin": self.origin(site)}
        return self.ask(site, "/graphql", login, "POST", body, headers)

    def opened_websocket(self, site: Site, login: str | None, origin: str | None = None) -> int:
        """The status with which opening a WebSocket to Dagster is answered, 101 if it is open.

        `origin` is where the page is from, by default that address itself.
        """
        opening = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol": _PROTOCOL,
            "Origin": origin or self.origin(site),
        }
        return self.ask(site, "/graphql", login, headers=opening).status

    def talk(self, site: Site, login: str, *messages: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What Dagster says to each of the messages over one WebSocket."""

        async def talked() -> list[dict[str, Any]]:
            address = self.origin(site).replace("https", "wss", 1) + "/graphql"
            options: dict[str, Any] = {"ssl": self._trust, "subprotocols": [_PROTOCOL], "origin": self.origin(site)}
            async with connect(address, additional_headers=basic(login), **options) as socket:
                return [await _said(socket, message) for message in messages]

        return asyncio.run(talked())

    def _is_ready(self) -> bool:
        try:
            self._trust.load_verify_locations(self._authority)
            for site in SITES:
                self.ask(site)
        except OSError:
            return False
        return True


async def _said(socket: ClientConnection, message: Mapping[str, Any]) -> dict[str, Any]:
    await socket.send(json.dumps(message))
    return json.loads(await asyncio.wait_for(socket.recv(), 60))
