"""The sheet as the environment describes it. `settings.py` reads the environment and hands it over."""

import re
from collections.abc import Mapping
from pathlib import Path

from alumni_assets.sheet.links import (
    WHOLE_FIRST_TAB,
    CsvLink,
    LinkError,
    SheetsApi,
    SheetSettings,
    csv_export_link,
    spreadsheet_id,
)

EVERY_QUARTER_HOUR = "*/15 * * * *"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def sheet_settings(environment: Mapping[str, str]) -> SheetSettings | None:
    """The sheet to export; None where none is configured. Raises ValueError that names the variable."""

    def value(name: str, default: str = "") -> str:
        return environment.get(name, "").strip() or default

    link, spreadsheet, cells = value("ALUMNI_SHEET_URL"), value("ALUMNI_SHEET_ID"), value("ALUMNI_SHEET_RANGE")
    name = value("ALUMNI_SHEET_NAME", "answers")
    if not _NAME.fullmatch(name):
        raise ValueError(f"ALUMNI_SHEET_NAME is {name!r}; it takes at most 40 letters, digits, - and _.")
    if link and spreadsheet:
        raise ValueError("ALUMNI_SHEET_URL and ALUMNI_SHEET_ID are both set; leave the one by which to read the sheet.")
    if cells and not spreadsheet:
        raise ValueError("ALUMNI_SHEET_RANGE is set, but it counts for the Sheets API only: set ALUMNI_SHEET_ID too.")
    cron = value("ALUMNI_SHEET_CRON", EVERY_QUARTER_HOUR)
    if link:
        return SheetSettings(name, _csv_link(link), cron)
    if spreadsheet:
        key_file = value("GOOGLE_APPLICATION_CREDENTIALS")
        return SheetSettings(name, _sheets_api(spreadsheet, cells or WHOLE_FIRST_TAB, key_file), cron)
    return None


def _csv_link(link: str) -> CsvLink:
    try:
        return CsvLink(csv_export_link(link))
    except LinkError as error:
        raise ValueError(f"ALUMNI_SHEET_URL is no link of a sheet: {error}.") from error


def _sheets_api(spreadsheet: str, cells: str, key_file: str) -> SheetsApi:
    if not key_file:
        raise ValueError(
            "ALUMNI_SHEET_ID is set, but not GOOGLE_APPLICATION_CREDENTIALS; it takes the path of the service "
            "account's key file."
        )
    try:
        return SheetsApi(spreadsheet_id(spreadsheet), cells, Path(key_file).expanduser().absolute())
    except LinkError as error:
        raise ValueError(f"ALUMNI_SHEET_ID is no spreadsheet's: {error}.") from error
