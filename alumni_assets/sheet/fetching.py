"""One HTTP request for the sheet's content, and everything that can come instead of it.

Whatever is not the whole content is a `SheetError`; links and tokens never get into one. What is in the content
is not looked at here, beyond telling a table from a web page.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal
from urllib.parse import SplitResult, urljoin, urlsplit

from alumni_assets.sheet.errors import PassingSheetError, SheetError
from alumni_assets.sheet.links import LOOPBACK

if TYPE_CHECKING:
    from requests import Response, Session

_CHUNK = 1 << 16
_MOST_REDIRECTS = 10
_GOOGLE_CONTENT = re.compile(r"docs\.google\.com|[\w.-]+\.googleusercontent\.com")
_GOOGLE_SIGN_IN = "accounts.google.com"
_SIGN_IN_SIGNS = re.compile(rb"accounts\.google\.com|ServiceLogin|sign[ -]?in", re.IGNORECASE)
_WEB_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml|head|body)", re.IGNORECASE)
_OTHER_FILES = (b"%PDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b")
_WEB_PAGE_TYPES = ("text/html", "application/xhtml+xml")
_JSON_TYPE = "application/json"
_PASSING = (408, 429, 500, 502, 503, 504)
_NOTHING = "Nothing was exported."

_SHARE = {
    "csv": "Share it with “Anyone with the link” as Viewer, with downloading allowed, or read it over the Sheets API "
    "with a service account (ALUMNI_SHEET_ID)",
    "json": "Share it with the service account's e-mail address as Viewer, and enable the Google Sheets API in the "
    "account's project",
}
_FIND = {
    "csv": "Copy the link of the sheet from the browser again into ALUMNI_SHEET_URL",
    "json": "Correct ALUMNI_SHEET_ID",
}


@dataclass(frozen=True)
class Limits:
    """What a transfer may cost. `pause_seconds` is the wait before the second attempt; it doubles each time."""

    size: int = 256 << 20
    connect_seconds: float = 10
    read_seconds: float = 60
    total_seconds: float = 600
    attempts: int = 3
    pause_seconds: float = 2


@dataclass(frozen=True)
class Request:
    """What to ask for: content of a kind at an address. Only CSV may lie behind redirects."""

    url: str = field(repr=False)
    kind: Literal["csv", "json"]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def fetch(request: Request, target: BinaryIO, limits: Limits) -> None:
    """Write the content to `target`, from its start. Raises `SheetError`, after attempts at what may pass."""
    for attempt in range(limits.attempts - 1):
        try:
            return _fetch_once(request, target, limits)
        except PassingSheetError:
            time.sleep(limits.pause_seconds * 2**attempt)
    return _fetch_once(request, target, limits)


def _fetch_once(request: Request, target: BinaryIO, limits: Limits) -> None:
    import requests  # takes its time to import

    target.seek(0)
    target.truncate()
    deadline = time.monotonic() + limits.total_seconds
    with _network_errors(limits), requests.Session() as session, _answer(session, request, limits) as response:
        _check_status(response, request.kind)
        _store(response, target, limits, deadline)
    _check_content(response, request.kind, target)


@contextmanager
def _network_errors(limits: Limits) -> Iterator[None]:
    """Say what went wrong on the way. The causes are cut off, for their texts hold the link."""
    import requests
    import urllib3

    try:
        yield
    except requests.exceptions.SSLError:
        raise SheetError(
            "unreachable", f"The sheet's server has no certificate that can be trusted. {_NOTHING}"
        ) from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        raise PassingSheetError(
            "unreachable",
            f"The sheet's server did not answer within {limits.read_seconds:g} seconds. {_NOTHING} "
            "The next run tries again.",
        ) from None
    except urllib3.exceptions.HTTPError:
        raise _cut_off() from None
    except requests.exceptions.ConnectionError:
        raise PassingSheetError(
            "unreachable",
            f"The sheet's server cannot be reached, or broke off. {_NOTHING} Check this machine's network; "
            "the next run tries again.",
        ) from None
    except requests.exceptions.RequestException as error:
        raise SheetError("unreachable", f"The sheet cannot be asked for: {type(error).__name__}. {_NOTHING}") from None


@contextmanager
def _answer(session: "Session", request: Request, limits: Limits) -> "Iterator[Response]":
    """The answer at the end of the redirects."""
    start, url = urlsplit(request.url), request.url
    for _ in range(_MOST_REDIRECTS):
        response = session.get(
            url,
            # Compression would hide whether all has come.
            headers={"Accept-Encoding": "identity", **request.headers},
            timeout=(limits.connect_seconds, limits.read_seconds),
            stream=True,
            allow_redirects=False,
        )
        if not response.is_redirect:
            with response:
                yield response
            return
        url = urljoin(url, response.headers["location"])
        response.close()
        _check_redirect(start, urlsplit(url), request.kind)
    raise SheetError("redirected", f"The sheet's link leads in a circle. {_NOTHING} {_FIND[request.kind]}.")


def _check_redirect(start: SplitResult, target: SplitResult, kind: Literal["csv", "json"]) -> None:
    host = target.hostname or ""
    if host == _GOOGLE_SIGN_IN:
        raise _sign_in(kind)
    same_host = host == start.hostname and (target.scheme == "https" or host in LOOPBACK)
    google = target.scheme == "https" and _GOOGLE_CONTENT.fullmatch(host)
    if kind != "csv" or not (same_host or google):
        raise SheetError(
            "redirected",
            f"The sheet's link leads on to {target.scheme}://{host[:100]}, which is not followed: it is neither "
            f"the same host nor Google's. {_NOTHING} {_FIND[kind]}.",
        )


def _check_status(response: "Response", kind: Literal["csv", "json"]) -> None:
    status = response.status_code
    if status == 200:
        return
    said = f"The sheet's server answered {status}{_reason(response) if kind == 'json' else ''}"
    if status in _PASSING:
        raise PassingSheetError("server_error", f"{said}. {_NOTHING} The next run tries again.")
    if status in (401, 403):
        raise SheetError("refused", f"{said}: it does not let us read the sheet. {_NOTHING} {_SHARE[kind]}.")
    if status in (404, 410):
        raise SheetError("not_found", f"{said}: there is no such sheet. {_NOTHING} {_FIND[kind]}.")
    if status == 400 and kind == "json":
        raise SheetError(
            "no_range",
            f"{said}. {_NOTHING} ALUMNI_SHEET_RANGE must be the name of a tab, such as 'Form Responses 1' in single "
            "quotes, or a range such as A:ZZZ.",
        )
    raise SheetError("server_error", f"{said}, which is no sheet. {_NOTHING} {_FIND[kind]}.")


def _reason(response: "Response") -> str:
    """Google's name for an error of the API, such as PERMISSION_DENIED; its sentence may hold more than we want."""
    try:
        name = json.loads(response.raw.read(_CHUNK, decode_content=True))["error"]["status"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" ({name})" if isinstance(name, str) and re.fullmatch(r"[A-Z_]{1,40}", name) else ""


def _store(response: "Response", target: BinaryIO, limits: Limits, deadline: float) -> None:
    """Write the answer's content to the target, as long as it keeps to the limits.

    Raises urllib3's errors where less comes than was announced. What comes is taken as it comes: to wait for whole
    chunks would be to wait past the deadline for a server that sends a byte now and then.
    """
    size = 0
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        size += len(chunk)
        if size > limits.size:
            raise SheetError(
                "too_large",
                f"The sheet has more than {limits.size >> 20:,} MB. {_NOTHING} Move old answers to another sheet.",
            )
        if time.monotonic() > deadline:
            raise PassingSheetError(
                "unreachable", f"The sheet did not come within {limits.total_seconds:g} seconds. {_NOTHING}"
            )
        target.write(chunk)


def _check_content(response: "Response", kind: Literal["csv", "json"], target: BinaryIO) -> None:
    """Raise `SheetError` for anything but a table, whatever the server calls it."""
    target.seek(0)
    head = target.read(_CHUNK)
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise SheetError("empty", f"The sheet came entirely empty, without even a header. {_NOTHING}")
    if media_type in _WEB_PAGE_TYPES or _WEB_PAGE.match(head):
        if _SIGN_IN_SIGNS.search(head):
            raise _sign_in(kind)
        raise SheetError("web_page", f"A web page came instead of the sheet's answers. {_NOTHING} {_FIND[kind]}.")
    if (media_type == _JSON_TYPE) != (kind == "json") or head.startswith(_OTHER_FILES):
        raise SheetError(
            "not_a_table",
            f"Something else came instead of the sheet's answers ({media_type[:60] or 'of no type'}). {_NOTHING} "
            f"{_FIND[kind]}.",
        )
    told = "content-length" in response.headers or "transfer-encoding" in response.headers
    if kind == "csv" and not told and not _ends_with_line_break(target):
        raise _cut_off()


def _ends_with_line_break(target: BinaryIO) -> bool:
    target.seek(-1, 2)
    return target.read(1) in b"\r\n"


def _cut_off() -> PassingSheetError:
    return PassingSheetError(
        "cut_off", f"The transfer of the sheet was cut off before its end. {_NOTHING} The next run tries again."
    )


def _sign_in(kind: Literal["csv", "json"]) -> SheetError:
    return SheetError(
        "sign_in", f"A sign-in page came instead of the sheet: it is not shared with us. {_NOTHING} {_SHARE[kind]}."
    )
