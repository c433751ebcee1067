"""moto's server as a process of its own, which takes the part of AWS's S3, SNS, SQS, SES, STS and CloudWatch.

In the process of the tests it would share what they leave behind: what they patch, and what the collector of garbage
finds in the middle of an answer.
"""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from moto.s3.responses import S3Response
from moto.server import main

_ADDRESS = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")
_STARTS_WITHIN = 60.0  # seconds


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server that writes down in `folder` what it is asked, and ends with the context."""
    log = folder / "moto.log"
    with log.open("w") as stream:
        command = [sys.executable, "-m", __name__, "--host", "127.0.0.1", "--port", "0"]
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=Path(__file__).parents[1])
    try:
        yield _address(process, log)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, once it does."""
    deadline = time.monotonic() + _STARTS_WITHIN
    while (said := _ADDRESS.search(log.read_text())) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return said[1]


def kept(address: str, service: str, kind: str) -> list[dict[str, Any]]:
    """What the server keeps of a kind that its model of a service has: mails that were sent, roles that were taken."""
    return requests.get(f"{address}/moto-api/data.json", timeout=30).json()[service][kind]


def forget(address: str) -> None:
    """Let the server begin anew."""
    requests.post(f"{address}/moto-api/reset", timeout=30).raise_for_status()


def _create_at_once() -> None:
    """Let an object be created, if there is none, in one go, as S3 does: two requests may both find none with moto."""
    lock, put_object = threading.Lock(), S3Response.put_object

    def one_at_a_time(response: S3Response) -> Any:
        with lock:
            return put_object(response)

    S3Response.put_object = one_at_a_time  # type: ignore[method-assign]


if __name__ == "__main__":
    _create_at_once()
    main()
