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
from alumni_assets.resources.lake_interface import Lake

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

    async def page(request: Request) -> Response:
        content = await run_in_threadpool(_page, lake)
        if content is None:
            return PlainTextResponse(_NOT_YET, status_code=404, headers=_HEADERS)
        return HTMLResponse(content, headers=_HEADERS | {"ETag": entity_tag(content)})

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


def _page(lake: Lake) -> bytes | None:
    return None if lake.stat(PAGE_KEY) is None else lake.read_bytes(PAGE_KEY)
