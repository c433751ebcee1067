"""A proxy in front of an S3 server that makes calls fail, in each way in which S3 and the network fail.

What happens to a call is a function of what is called, and of how often that was called before, so that the order in
which threads call makes no difference. By hand, in front of the server at an address:

    python -m alumni_assets_tests.lake.faulty_s3 http://127.0.0.1:8333 --seed 1 --share 0.2
"""

import argparse
import random
import re
import signal
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

import botocore.endpoint
import pytest

from alumni_assets.resources import s3_calls

_GIVES_UP_WAITING = 120.0  # seconds after which a client that is not answered is left alone
_OF_THE_CONNECTION = {"connection", "transfer-encoding"}


class Fault(StrEnum):
    """What happens to a call. From `DONE_ERROR` on, S3 does what it is asked for, and its answer fails.

    Where an answer has no body, what would happen within it happens right after its first line.
    """

    NO_ANSWER = "no answer"
    ERROR = "500"
    SLOW_DOWN = "503 SlowDown"
    RESET = "reset"
    DONE_ERROR = "500 though done"
    DONE_NO_ANSWER = "no answer though done"
    DONE_RESET = "reset within the answer"
    DONE_SILENCE = "silence within the answer"
    DONE_LAST_BYTE_CUT = "answer without its last byte"
    DONE_BODY_CUT = "answer without its body"
    DONE_HEADERS_CUT = "answer without its headers"


_KINDS = (
    (Fault.NO_ANSWER, Fault.DONE_NO_ANSWER, Fault.DONE_SILENCE),
    (Fault.ERROR, Fault.DONE_ERROR),
    (Fault.SLOW_DOWN,),
    (Fault.RESET, Fault.DONE_RESET),
    (Fault.DONE_LAST_BYTE_CUT, Fault.DONE_BODY_CUT, Fault.DONE_HEADERS_CUT),
)

Fate = Callable[[str, str, int], Fault | None]
"""What happens to a call, by its method, its key (empty for a listing), and the how-manieth it is of these."""


def seeded(seed: int, share: float = 0.2) -> Fate:
    """A share of all calls fails: of each kind a fifth, which are timeouts, 500, 503, resets and cut answers."""

    def fate(method: str, key: str, number: int) -> Fault | None:
        draws = random.Random(f"{seed} {method} {key} {number}")
        return draws.choice(draws.choice(_KINDS)) if draws.random() < share else None

    return fate


def never(method: str, key: str, number: int) -> Fault | None:
    """Every call succeeds."""
    return None


def every_other(fault: Fault) -> Fate:
    """Each call fails, and succeeds when it is made again."""
    return lambda method, key, number: fault if number % 2 else None


def always(fault: Fault) -> Fate:
    """No call succeeds."""
    return lambda method, key, number: fault


@dataclass(frozen=True)
class Answer:
    """What S3 answered; to HEAD without a body, whatever the headers say of its length."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes


class FaultyS3:
    """The proxy at `endpoint`: `calls` counts those that it got, by method, and `faults` what it did to them.

    `fate` may be changed at any time.
    """

    def __init__(self, backend: str, fate: Fate) -> None:
        self.fate = fate
        self.endpoint = ""
        self.calls: Counter[str] = Counter()
        self.faults: Counter[Fault] = Counter()
        self._backend = urlsplit(backend).netloc
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def fault(self, method: str, target: str) -> Fault | None:
        """What is to happen to this call. A bucket's name, which tests make up, and the day make no difference."""
        key = re.sub(r"/\d{4}-\d{2}-\d{2}/", "/", urlsplit(target).path.removeprefix("/").partition("/")[2])
        with self._lock:
            self._numbers[method, key] += 1
            self.calls[method] += 1
            fault = self.fate(method, key, self._numbers[method, key])
            if fault:
                self.faults[fault] += 1
        return fault

    def forward(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """The server's answer to a call."""
        connection = HTTPConnection(self._backend, timeout=_GIVES_UP_WAITING)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                if name.lower() not in {"expect", "connection"}:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return Answer(answer.status, answer.reason, answer.getheaders(), answer.read())
        finally:
            connection.close()


@contextmanager
def faulty_s3(backend: str, fate: Fate) -> Iterator[FaultyS3]:
    """A proxy on a free port in front of the S3 server at `backend`; it ends with the context."""
    proxy = FaultyS3(backend, fate)
    server = _Server(("127.0.0.1", 0), _handler(proxy))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    proxy.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def leave_out_pauses(environment: pytest.MonkeyPatch) -> None:
    """Let a call be repeated without a pause, and what is not answered be waited for a fraction of a second."""
    environment.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))
    environment.setattr(s3_calls, "PAUSES", (0.0,) * len(s3_calls.PAUSES))
    environment.setattr(s3_calls, "SMALL_WITHIN", 0.1)
    environment.setattr(s3_calls, "SLOW_WITHIN", 0.1)


class _Server(ThreadingHTTPServer):
    block_on_close = False  # clients keep connections open


def _handler(proxy: FaultyS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # which answers `Expect: 100-continue`
        disable_nagle_algorithm = True  # which makes each answer wait for 40 ms

        def call(self) -> None:
            try:
                self._call()
            except ConnectionError:  # the client has given up waiting
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = call  # noqa: N815

        def _call(self) -> None:
            assert "Transfer-Encoding" not in self.headers
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = proxy.fault(self.command, self.path)
            match fault:
                case Fault.NO_ANSWER:
                    self._stay_silent()
                case Fault.ERROR:
                    self._give(_refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError"))
                case Fault.SLOW_DOWN:
                    self._give(_refusal(HTTPStatus.SERVICE_UNAVAILABLE, "SlowDown"))
                case Fault.RESET:
                    self._reset()
                case _:
                    self._give_what_is_left(proxy.forward(self.command, self.path, self.headers.items(), body), fault)

        def _give_what_is_left(self, answer: Answer, fault: Fault | None) -> None:
            match fault:
                case None:
                    self._give(answer)
                case Fault.DONE_ERROR:
                    self._give(_refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError"))
                case Fault.DONE_NO_ANSWER:
                    self._stay_silent()
                case Fault.DONE_RESET:
                    self._give_part(answer, len(answer.body) // 2)
                    self._reset()
                case Fault.DONE_SILENCE:
                    self._give_part(answer, len(answer.body) // 2)
                    self._stay_silent()
                case Fault.DONE_LAST_BYTE_CUT:
                    self._give_part(answer, len(answer.body) - 1)
                case Fault.DONE_BODY_CUT:
                    self._give_part(answer, 0)
                case Fault.DONE_HEADERS_CUT:
                    self._give_part(answer, None)

        def _give(self, answer: Answer) -> None:
            self._give_head(answer)
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def _give_part(self, answer: Answer, length: int | None) -> None:
            """Send the head of an answer and so much of its body, or its first line only."""
            self.close_connection = True
            if length is None or not answer.body:
                self.wfile.write(f"{self.protocol_version} {answer.status} {answer.reason}\r\n".encode())
                return
            self._give_head(answer)
            self.wfile.write(answer.body[:length])

        def _give_head(self, answer: Answer) -> None:
            self.send_response_only(answer.status, answer.reason)
            names = {name.lower() for name, _ in answer.headers}
            for name, value in answer.headers:
                if name.lower() not in _OF_THE_CONNECTION:
                    self.send_header(name, value)
            if "content-length" not in names and answer.status != HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()

        def _stay_silent(self) -> None:
            """Until the client gives up."""
            self.close_connection = True
            self.connection.settimeout(_GIVES_UP_WAITING)
            self.rfile.read(1)

        def _reset(self) -> None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _refusal(status: HTTPStatus, code: str) -> Answer:
    text = f"<Error><Code>{code}</Code><Message>Please try again.</Message></Error>".encode()
    return Answer(
        status, status.phrase, [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))], text
    )


def main() -> None:
    """Stand in front of a server until Ctrl+C or a kill, then say what was done to how many calls."""
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", help="the address of an S3 server, such as http://127.0.0.1:8333")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.2)
    options = parser.parse_args()
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with faulty_s3(options.backend, seeded(options.seed, options.share)) as proxy:
        print(f"AWS_ENDPOINT_URL={proxy.endpoint}", flush=True)
        signal.sigwait(ends)
    print(f"Of {proxy.calls.total()} calls failed {proxy.faults.total()}: {dict(proxy.faults)}")


if __name__ == "__main__":
    main()
