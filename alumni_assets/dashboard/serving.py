"""Serves the page on this machine, and to nobody else: it names people. What is on it is in `page.py`."""

import hashlib
import re
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from alumni_assets.dashboard.keeping import PAGE_KEY
from alumni_assets.resources.lake_interface import Lake, LakeEntry

HOST = "127.0.0.1"
_GENERATION = re.compile(rb'<meta name="generation" content="([0-9]+)">')
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NOT_YET = "There is no page yet. It is made once an upload is approved: see `alumni status`."


class PortTakenError(Exception):
    """Another program listens on the port."""


def application(lake: Lake) -> Starlette:
    """The web application: the page of a lake under `/`, always as it is now."""
    kept = _KeptPage(lake)

    async def page(request: Request) -> Response:
        is_asked_for = request.method != "HEAD"
        tag, content = await run_in_threadpool(kept.tag_and_content if is_asked_for else kept.only_tag)
        if tag is None:
            return PlainTextResponse(_NOT_YET, status_code=404, headers=_HEADERS)
        response = HTMLResponse(content, headers=_HEADERS | {"ETag": tag})
        if not is_asked_for:
            del response.headers["Content-Length"]
        return response

    # A page elsewhere could give its own name to this address, and read the page through the visitor's browser.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
    return Starlette(routes=[Route("/", page, methods=["GET", "HEAD"])], middleware=[hosts])


def serve(lake: Lake, port: int, say: Callable[[str], None]) -> None:
    """Serve the page until it is interrupted; port 0 takes any that is free. Raises PortTakenError."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"Port {port} of this machine is taken, or may not be used. Choose another one: --port 8301."
        ) from error
    with listener:
        say(f"http://{HOST}:{listener.getsockname()[1]}/")
        config = uvicorn.Config(application(lake), log_level="warning", server_header=False)
        uvicorn.Server(config).run(sockets=[listener])


def entity_tag(content: bytes) -> str:
    """A page's tag: its generation, which the page knows itself, and a mark of its content."""
    found = _GENERATION.search(content)
    return f'"{found[1].decode() if found else "0"}-{hashlib.sha256(content).hexdigest()[:16]}"'


class _KeptPage:
    """The page in the lake. An open one asks for its tag every three seconds: then only a changed page is read."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._tagged: tuple[LakeEntry, str] | None = None

    def only_tag(self) -> tuple[str | None, bytes]:
        """The page's tag, None while there is no page; and nothing of the page."""
        if self._tagged is not None and self._lake.stat(PAGE_KEY) == self._tagged[0]:
            return self._tagged[1], b""
        return self.tag_and_content()[0], b""

    def tag_and_content(self) -> tuple[str | None, bytes]:
        """The page's tag, None while there is no page; and the page."""
        entry = self._lake.stat(PAGE_KEY)
        if entry is None:
            return None, b""
        content = self._lake.read_bytes(PAGE_KEY)
        self._tagged = entry, entity_tag(content)
        return self._tagged[1], content
