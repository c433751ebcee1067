"""Reading the whole sheet as it is at one moment, as CSV in a temporary file without a name.

Over the Sheets API it is one request as well: pages of it would show moments that never were. Cells come as the text
that people see, so that both ways read the same answers.
"""

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from alumni_assets.sheet.errors import PassingSheetError, SheetError
from alumni_assets.sheet.fetching import Limits, Request, fetch
from alumni_assets.sheet.links import CsvLink, SheetsApi

_SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
_AS_SHOWN = {
    "majorDimension": "ROWS",
    "valueRenderOption": "FORMATTED_VALUE",
    "dateTimeRenderOption": "FORMATTED_STRING",
}


@contextmanager
def sheet_as_csv(source: CsvLink | SheetsApi, folder: Path, limits: Limits | None = None) -> Iterator[BinaryIO]:
    """The sheet as CSV in UTF-8. The file is in `folder` and gone afterwards, even if the process is killed.

    Raises `SheetError` unless the whole sheet came.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryFile(dir=folder) as content:
        if isinstance(source, CsvLink):
            fetch(Request(source.url, "csv"), content, limits or Limits())
        else:
            _fetch_values(source, content, limits or Limits())
        content.seek(0)
        yield content


def _fetch_values(source: SheetsApi, content: BinaryIO, limits: Limits) -> None:
    place = f"{quote(source.spreadsheet, safe='')}/values/{quote(source.cells, safe='')}"
    url = f"{source.endpoint}/v4/spreadsheets/{place}?{urlencode(_AS_SHOWN)}"
    fetch(Request(url, "json", {"Authorization": f"Bearer {_token(source.key_file, limits)}"}), content, limits)
    content.seek(0)
    records = _values(content)
    content.seek(0)
    content.truncate()
    _write_csv(records, content)


def _token(key_file: Path, limits: Limits) -> str:
    """A token for an hour, from the service account's key."""
    try:
        from google.auth import exceptions
        from google.auth.transport.requests import Request as TokenRequest
        from google.oauth2 import service_account
    except ImportError as error:
        raise SheetError(
            "no_client",
            "The Sheets API needs a library that is not installed: pip install 'alumni_assets[sheets]'.",
        ) from error
    import requests

    try:
        credentials = service_account.Credentials.from_service_account_file(str(key_file), scopes=[_SCOPE])
    except (OSError, ValueError, exceptions.GoogleAuthError):
        raise SheetError(
            "credentials",
            f"GOOGLE_APPLICATION_CREDENTIALS names {key_file}, which is not the key file of a service account or "
            "cannot be read. Download a key of the account as JSON.",
        ) from None
    try:
        with requests.Session() as session:
            request = TokenRequest(session)

            def ask(*args: Any, **more: Any) -> Any:
                return request(*args, **{**more, "timeout": limits.read_seconds})

            credentials.refresh(ask)
    except exceptions.TransportError:
        raise PassingSheetError(
            "unreachable",
            "Google's token server cannot be reached. Nothing was exported. Check this machine's network.",
        ) from None
    except exceptions.GoogleAuthError:
        raise SheetError(
            "credentials",
            f"Google refused the service account of {key_file}. Nothing was exported. Check that the account and its "
            "key exist still, and this machine's clock.",
        ) from None
    return str(credentials.token)


def _values(content: BinaryIO) -> list[list[Any]]:
    """The records in an answer of the Sheets API. Raises `SheetError`."""
    try:
        answer = json.load(content)
        records = answer.get("values", [])
        if not all(isinstance(record, list) for record in records):
            raise TypeError("no list of lists")
    except (ValueError, AttributeError, TypeError) as error:
        raise SheetError(
            "not_a_table", "The Sheets API did not answer with a range of cells. Nothing was exported."
        ) from error
    if not records:
        raise SheetError("empty", "The sheet came entirely empty, without even a header. Nothing was exported.")
    return records


def _write_csv(records: list[list[Any]], content: BinaryIO) -> None:
    """Records of one width: the API leaves out the empty cells at the end of each."""
    width = max(len(record) for record in records)
    text = io.TextIOWrapper(content, encoding="utf-8", errors="replace", newline="")
    writer = csv.writer(text)
    for record in records:
        writer.writerow([str(cell) for cell in record] + [""] * (width - len(record)))
    text.flush()
    text.detach()
