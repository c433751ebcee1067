"""The list of top employees as files that can be taken from the page: CSV and XLSX."""

from datetime import datetime
from io import BytesIO, StringIO

import pandas as pd
import pyarrow as pa
import xlsxwriter

from alumni_assets.contract import BY_NAME
from alumni_assets.presentation import masked
from alumni_assets.survey.defusing import defused

CONTACTS = ("email", "phone_number")
_BOM = "\ufeff"


def without_contacts(people: pd.DataFrame) -> pd.DataFrame:
    """The list with the first character only of e-mail addresses and phone numbers."""
    return people.assign(**{name: people[name].map(masked) for name in CONTACTS})


def csv_file(people: pd.DataFrame) -> bytes:
    """The list as CSV that Excel opens as it is: UTF-8 with a mark, and no cell that would be run as a formula."""
    frame = people.copy()
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = defused(pa.array(frame[name].astype(str), pa.string())).to_pylist()
    text = StringIO()
    frame.rename(columns=heading).to_csv(text, index=False, lineterminator="\r\n")
    return (_BOM + text.getvalue()).encode()


def workbook(people: pd.DataFrame, made_at: datetime) -> bytes:
    """The list as XLSX, with a filter on every column; numbers are numbers, all other cells are text.

    `made_at` is what the file says of its age, so that the same list is the same file.
    """
    content = BytesIO()
    with xlsxwriter.Workbook(
        content, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    ) as book:
        book.set_properties({"created": made_at})
        sheet = book.add_worksheet("Top employees")
        sheet.write_row(0, 0, [heading(name) for name in people.columns], book.add_format({"bold": True}))
        for number, row in enumerate(people.itertuples(index=False), start=1):
            sheet.write_row(number, 0, row)
        sheet.autofilter(0, 0, max(len(people), 1), len(people.columns) - 1)
        sheet.freeze_panes(1, 0)
        sheet.autofit()
    return content.getvalue()


def heading(name: str) -> str:
    """What a column is called for people."""
    return BY_NAME[name].header.replace("_", " ") if name in BY_NAME else name.capitalize()
