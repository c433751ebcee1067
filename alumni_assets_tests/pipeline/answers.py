"""Survey files for tests: answers that keep to every rule, and the files that people make of them.

What a test expects of such a file is said in the test.
"""

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from typing import Any

import xlsxwriter

HEADER = (
    "Employee_ID",
    "Employee_Name",
    "College_Degree",
    "Department",
    "Job_Role",
    "DMC_Campus",
    "Email",
    "Phone_Number",
    "Performance_Rating",
)
DATED = (*HEADER, "Submission Date")

Answer = Mapping[str, Any]


def answer(employee_id: int, **changes: Any) -> dict[str, Any]:
    """A valid answer; names, e-mail addresses and phone numbers differ from id to id."""
    return {
        "Employee_ID": str(employee_id),
        "Employee_Name": f"Valerie Quintos{chr(65 + employee_id % 26)}{chr(97 + employee_id // 26 % 26)}",
        "College_Degree": "Computer Science",
        "Department": "HR",
        "Job_Role": "Product Manager",
        "DMC_Campus": "Santo Tomas",
        "Email": f"valerie.{employee_id}@school.edu.ph",
        "Phone_Number": f"9{employee_id:09d}",
        "Performance_Rating": "4",
        "Submission Date": "2026-03-04 08:15:00",
        **changes,
    }


def answers(first_id: int, count: int = 2, **changes: Any) -> list[dict[str, Any]]:
    """That many valid answers of different alumni."""
    return [answer(first_id + number, **changes) for number in range(count)]


def csv_text(
    rows: Sequence[Answer],
    header: Sequence[str] = HEADER,
    delimiter: str = ",",
    newline: str = "\n",
    quoting: Any = csv.QUOTE_MINIMAL,
) -> str:
    """The rows as CSV; columns are those of the header."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writerow(header)
    writer.writerows([[row.get(name, "") for name in header] for row in rows])
    return text.getvalue()


def csv_bytes(rows: Sequence[Answer], encoding: str = "utf-8", **how: Any) -> bytes:
    """The rows as a CSV file."""
    return csv_text(rows, **how).encode(encoding)


def workbook(sheet: Sequence[Sequence[object]], *, blank_above: int = 0, second_sheet: Sequence[object] = ()) -> bytes:
    """An .xlsx with these cells, typed as they are; None is an empty cell."""
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True, "default_date_format": "yyyy-mm-dd hh:mm"}) as book:
        first = book.add_worksheet()
        for number, cells in enumerate(sheet):
            first.write_row(number + blank_above, 0, cells)
        if second_sheet:
            book.add_worksheet().write_row(0, 0, second_sheet)
    return content.getvalue()


def workbook_of(rows: Sequence[Answer], header: Sequence[str] = HEADER, **how: Any) -> bytes:
    """The rows as an .xlsx workbook with a header."""
    return workbook([header, *[[row.get(name) for name in header] for row in rows]], **how)


def gzipped(content: bytes) -> bytes:
    """The content compressed, the same bytes each time."""
    return gzip.compress(content, mtime=0)
