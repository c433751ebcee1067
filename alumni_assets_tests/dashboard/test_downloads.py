"""The list of top employees as a file: what a spreadsheet makes of it."""

import csv
import io
from datetime import datetime

import pandas as pd
from python_calamine import load_workbook

from alumni_assets.dashboard.downloads import csv_file, without_contacts, workbook

MADE_AT = datetime(2026, 11, 1)
PEOPLE = pd.DataFrame(
    {
        "department": ["R&D"],
        "rank": [1],
        "employee_id": [628496],
        "employee_name": ['=HYPERLINK("http://a")'],
        "email": ["maría@school.edu.ph"],
        "phone_number": ["+63 9577284792"],
    }
)


def test_the_csv_opens_in_a_spreadsheet_with_its_letters_and_runs_no_formula() -> None:
    content = csv_file(PEOPLE)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows[0] == ["Department", "Rank", "Employee ID", "Employee Name", "Email", "Phone Number"]
    assert rows[1] == ["R&D", "1", "628496", '\'=HYPERLINK("http://a")', "maría@school.edu.ph", "+63 9577284792"]


def test_the_workbook_has_text_as_text_and_numbers_as_numbers() -> None:
    (head, row) = load_workbook(io.BytesIO(workbook(PEOPLE, MADE_AT))).get_sheet_by_index(0).to_python()
    assert head[2:4] == ["Employee ID", "Employee Name"]
    assert row == ["R&D", 1.0, 628496.0, '=HYPERLINK("http://a")', "maría@school.edu.ph", "+63 9577284792"]


def test_a_list_of_nobody_has_its_head() -> None:
    assert csv_file(PEOPLE[:0]).decode("utf-8-sig").count("\r\n") == 1
    assert len(load_workbook(io.BytesIO(workbook(PEOPLE[:0], MADE_AT))).get_sheet_by_index(0).to_python()) == 1


def test_masked_contacts_leave_their_first_character() -> None:
    masked = without_contacts(PEOPLE)
    assert (masked["email"][0], masked["phone_number"][0]) == ("m***", "+***")
    assert PEOPLE["email"][0] == "maría@school.edu.ph"


def test_the_same_list_is_the_same_file() -> None:
    assert workbook(PEOPLE, MADE_AT) == workbook(PEOPLE, MADE_AT)
