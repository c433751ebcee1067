"""Calls to S3: how long an answer is waited for, and what is tried again. What is called is in `lake_bucket.py`.

boto3 itself repeats a call that S3 or the network failed, ever more slowly. Here is what it does not do. It waits a
minute for every answer; it takes an answer that was cut off before the first byte of its body for an empty one; when it
has repeated much of late it gives up at once; it repeats neither a body that broke off nor what needs several calls.
"""

import re
import time
from collections.abc import Callable
from http.client import INTERNAL_SERVER_ERROR, MULTIPLE_CHOICES, NO_CONTENT
from typing import TYPE_CHECKING, Any, TypeVar

from boto3.exceptions import RetriesExceededError
from botocore.compat import ensure_bytes
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from s3transfer.utils import S3_RETRYABLE_DOWNLOAD_ERRORS
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.model import OperationModel
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

REPETITIONS = 5  # by boto3
CONNECTS_WITHIN = 5.0  # seconds
ANSWERS_WITHIN = 60.0  # seconds, at most
# Of what is small Amazon says: ask again after two seconds, then after four. What is larger is given as much longer.
SMALL, SMALL_WITHIN = 512 * 1024, 2.0  # bytes, seconds
SLOW, SLOW_WITHIN = ("CopyObject", "UploadPartCopy", "CompleteMultipartUpload"), 10.0

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds before what boto3 has given up is tried again
PATIENCE = 30.0  # seconds after which it is not: a sensor has a minute

NETWORK_ERRORS: tuple[type[BaseException], ...] = (
    NoConnectionError,
    HTTPClientError,
    RetriesExceededError,
    HTTPError,  # of a refusal that broke off where a stream was asked for: botocore lets it through
    *S3_RETRYABLE_DOWNLOAD_ERRORS,
)
_PASSING_STATUSES = (429, 500, 502, 503, 504)
_PASSING_CODES = (
    "ConditionalRequestConflict",  # somebody else creates the same object
    "OperationAborted",
    "RequestTimeout",
    "NoSuchUpload",  # of a server that does not know an upload any more once it is complete, when that was not heard
)


def client_config() -> Config:
    """How a client of S3 is to behave."""
    return Config(
        connect_timeout=CONNECTS_WITHIN,
        read_timeout=ANSWERS_WITHIN,
        retries={"mode": "standard", "total_max_attempts": REPETITIONS + 1},
    )


def prepare(client: "S3Client") -> None:
    """Have a client wait for answers as long as they may take, and notice those that are cut off."""
    client.meta.events.register("before-send.s3", _expect_an_answer, unique_id="alumni-expect-an-answer")
    client.meta.events.register("before-parse.s3", _notice_a_cut, unique_id="alumni-notice-a-cut")


def persist(call: Callable[[], T]) -> T:
    """The call's result, after some more attempts while it fails in ways that pass."""
    began = time.monotonic()
    for pause in PAUSES:
        try:
            return call()
        except Exception as error:
            if not is_passing(error) or time.monotonic() - began > PATIENCE:
                raise
            time.sleep(pause)
    return call()


def is_passing(error: BaseException) -> bool:
    """Whether the same call may well succeed when it is made again, and boto3's own repetitions may not have sufficed.

    Where nobody listens they have.
    """
    if isinstance(error, ClientError):
        return status_of(error) in _PASSING_STATUSES or error.response["Error"]["Code"] in _PASSING_CODES
    return isinstance(error, NETWORK_ERRORS) and not isinstance(error, EndpointConnectionError)


def status_of(error: ClientError) -> int:
    """The HTTP status of S3's answer."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _expect_an_answer(request: "AWSPreparedRequest", event_name: str, **_: Any) -> None:
    """Give S3 little time for what takes it little, and twice as much with each repetition, up to eight times as much.

    A client's timeouts are those of all its calls; that of one call botocore takes from where it is set here, which
    its documentation does not say. Without it every call is given `ANSWERS_WITHIN`.
    """
    is_slow = event_name.rpartition(".")[2] in SLOW
    first = SLOW_WITHIN if is_slow else SMALL_WITHIN * max(1.0, _bytes_moved(request) / SMALL)
    context: dict[str, Any] = request.context  # type: ignore[attr-defined]
    context["read_timeout"] = min(context.get("read_timeout", first / 2) * 2, first * 8, ANSWERS_WITHIN)


def _bytes_moved(request: "AWSPreparedRequest") -> int:
    """How much is sent, or asked for, as far as the request says."""
    headers = request.headers
    span = re.fullmatch(rb"bytes=(\d+)-(\d+)", ensure_bytes(headers.get("Range", "")))
    asked = int(span[2]) - int(span[1]) + 1 if span else 0
    # What is sent with its checksum at the end has a length of its own only in the former.
    sent = headers.get("X-Amz-Decoded-Content-Length") or headers.get("Content-Length") or 0
    return max(asked, int(sent))


def _notice_a_cut(operation_model: "OperationModel", response_dict: dict[str, Any], **_: Any) -> None:
    """Make a failure of S3, which boto3 repeats, of an answer that is shorter than it says, or does not say how long.

    Python takes headers that break off for all of them, and boto3 compares lengths only of a body that it hands out as
    a stream: of a listing it would take the headers alone for a bucket without objects. What a HEAD is refused with
    need not say how long it is; its status says enough.
    """
    body, headers, status = (response_dict[part] for part in ("body", "headers", "status_code"))
    is_head = operation_model.http["method"] == "HEAD"
    if "Content-Length" in headers:
        is_cut = isinstance(body, bytes) and not is_head and len(body) < int(headers["Content-Length"])
    else:
        says_enough = status == NO_CONTENT or (is_head and status >= MULTIPLE_CHOICES)
        is_cut = "Transfer-Encoding" not in headers and not says_enough
    if is_cut:
        response_dict.update(status_code=INTERNAL_SERVER_ERROR, body=b"")
