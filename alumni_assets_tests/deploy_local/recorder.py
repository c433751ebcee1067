"""A server in the place of Dagster that keeps what reaches it."""

from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True)
class Received:
    """A request as it came from Caddy."""

    method: str
    path: str
    headers: Message
    body: int
    """How many bytes of it came."""


class Recorder:
    """Listens on a free port of this machine; answers to everything, with headers that tell of itself."""

    def __init__(self) -> None:
        received: list[Received] = []

        class Handler(BaseHTTPRequestHandler):
            server_version = "Recorder/1.0"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                received.append(Received(self.command, self.path, self.headers, len(body)))
                self.send_response(200)
                self.send_header("Cache-Control", "public, max-age=600")
                self.send_header("Cross-Origin-Resource-Policy", "cross-origin")
                self.send_header("Referrer-Policy", "unsafe-url")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.send_header("X-Frame-Options", "SAMEORIGIN")
                self.end_headers()

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *arguments: object) -> None:
                """Keeps quiet."""

        self.received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
