"""Which sheet is meant: a CSV export link or the Sheets API, made from what a person copies. No network here."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

SHEETS_API = "https://sheets.googleapis.com"
WHOLE_FIRST_TAB = "A:ZZZ"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_GOOGLE_DOCS = "docs.google.com"
_PUBLISHED = re.compile(r"(/spreadsheets(?:/u/\d+)?/d/e/[\w-]+)(?:/.*)?")
_SPREADSHEET = re.compile(r"/(?:a/[^/]+/)?spreadsheets(?:/u/\d+)?/d/([\w-]{10,})(?:/.*)?")
_SPREADSHEET_ID = re.compile(r"[\w-]{10,}")


class LinkError(ValueError):
    """The link or the id is none of a sheet; the message says what would be."""


@dataclass(frozen=True)
class CsvLink:
    """A link that gives the sheet as CSV. It is a secret: whoever has it can read the answers."""

    url: str = field(repr=False)


@dataclass(frozen=True)
class SheetsApi:
    """A range of a spreadsheet, read over the Sheets API with a service account's key file."""

    spreadsheet: str
    cells: str
    key_file: Path
    endpoint: str = SHEETS_API


@dataclass(frozen=True)
class SheetSettings:
    """The sheet to export: `name` is what its uploads and its checkpoint are called."""

    name: str
    source: CsvLink | SheetsApi
    cron: str


def csv_export_link(link: str) -> str:
    """The link that gives a sheet as CSV, from any link that a person may copy out of Google Sheets.

    A link of another host is taken for a CSV link as it is. Raises `LinkError`.
    """
    parts = _parts(link)
    loopback = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not parts.hostname or (parts.scheme != "https" and not loopback):
        raise LinkError("it takes a link that begins with https://, such as the sheet's own in the browser")
    if parts.hostname != _GOOGLE_DOCS:
        return link
    if published := _PUBLISHED.fullmatch(parts.path):
        return _google_link(f"{published[1]}/pub", {**_tab(parts), "single": "true", "output": "csv"})
    if spreadsheet := _SPREADSHEET.fullmatch(parts.path):
        return _google_link(f"/spreadsheets/d/{spreadsheet[1]}/export", {"format": "csv", **_tab(parts)})
    raise LinkError("it is a link of Google's but of no spreadsheet: open the sheet itself and copy its link")


def spreadsheet_id(text: str) -> str:
    """The id of a spreadsheet, from the id itself or from a link that holds it. Raises `LinkError`."""
    if _SPREADSHEET_ID.fullmatch(text):
        return text
    found = _SPREADSHEET.fullmatch(_parts(text).path)
    if found is None or found[1] == "e":
        raise LinkError("it takes the long id that stands between /d/ and the next slash in the sheet's link")
    return found[1]


def _parts(link: str) -> SplitResult:
    """The parts of a link. What is said of one that has none would quote it."""
    try:
        return urlsplit(link)
    except ValueError:
        raise LinkError("it is no address; copy the sheet's own link in the browser") from None


def _tab(parts: SplitResult) -> dict[str, str]:
    """The tab that the link shows; without one Google gives the first."""
    for text in (parts.fragment, parts.query):
        if gid := parse_qs(text).get("gid"):
            return {"gid": gid[0]}
    return {}


def _google_link(path: str, query: dict[str, str]) -> str:
    return f"https://{_GOOGLE_DOCS}{path}?{urlencode(query)}"
