"""Which links and ids are understood, and what is said about others."""

from pathlib import Path

import pytest

from alumni_assets.settings import SettingsError, load_settings
from alumni_assets.sheet.links import CsvLink, LinkError, SheetsApi, csv_export_link, spreadsheet_id
from alumni_assets_tests.sheet.conftest import SHEET_ID

EXPORT = f"https://docs.google.com/spreadsheets/d/{SHEET_ID}/export?format=csv"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (f"https://docs.google.com/spreadsheets/d/{SHEET_ID}/edit?usp=sharing", EXPORT),
        (f"https://docs.google.com/spreadsheets/d/{SHEET_ID}", EXPORT),
        (f"https://docs.google.com/spreadsheets/d/{SHEET_ID}/edit#gid=42", f"{EXPORT}&gid=42"),
        (f"https://docs.google.com/spreadsheets/d/{SHEET_ID}/edit?gid=42#gid=42", f"{EXPORT}&gid=42"),
        (f"https://docs.google.com/spreadsheets/u/1/d/{SHEET_ID}/edit?gid=7", f"{EXPORT}&gid=7"),
        (f"https://docs.google.com/a/school.edu.ph/spreadsheets/d/{SHEET_ID}/edit", EXPORT),
        (f"https://docs.google.com/spreadsheets/d/{SHEET_ID}/export?format=xlsx&gid=7", f"{EXPORT}&gid=7"),
        (f"https://docs.google.com/spreadsheets/d/{SHEET_ID}/gviz/tq?tqx=out:csv&gid=7", f"{EXPORT}&gid=7"),
        (
            "https://docs.google.com/spreadsheets/d/e/2PACX-1vQ/pubhtml?gid=7&single=true",
            "https://docs.google.com/spreadsheets/d/e/2PACX-1vQ/pub?gid=7&single=true&output=csv",
        ),
        ("https://survey.school.edu.ph/answers.csv", "https://survey.school.edu.ph/answers.csv"),
    ],
)
def test_a_link_that_a_person_copies_becomes_the_csv_export_link(link: str, expected: str) -> None:
    assert csv_export_link(link) == expected


@pytest.mark.parametrize(
    "link",
    [
        "",
        "answers.csv",
        "http://docs.google.com/spreadsheets/d/abcdefghijkl/edit",
        "file:///etc/passwd",
        "https://docs.google.com/forms/d/e/1FAIpQL/viewform",
        "https://docs.google.com/spreadsheets/",
    ],
)
def test_what_is_no_link_of_a_sheet_is_refused(link: str) -> None:
    with pytest.raises(LinkError):
        csv_export_link(link)


def test_the_id_is_taken_from_a_link_as_well() -> None:
    assert spreadsheet_id(SHEET_ID) == SHEET_ID
    assert spreadsheet_id(f"https://docs.google.com/spreadsheets/d/{SHEET_ID}/edit#gid=0") == SHEET_ID
    with pytest.raises(LinkError):
        spreadsheet_id("the survey")


def test_without_settings_no_sheet_is_exported() -> None:
    assert load_settings({}).sheet is None


def test_the_link_is_not_shown_where_settings_are() -> None:
    sheet = load_settings({"ALUMNI_SHEET_URL": EXPORT}).sheet
    assert sheet is not None
    assert sheet.source == CsvLink(EXPORT)
    assert SHEET_ID not in repr(sheet)


def test_the_sheets_api_reads_the_first_tab_unless_told_otherwise(tmp_path: Path) -> None:
    environment = {"ALUMNI_SHEET_ID": SHEET_ID, "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json")}
    sheet = load_settings(environment).sheet
    assert sheet is not None
    assert sheet.source == SheetsApi(SHEET_ID, "A:ZZZ", tmp_path / "key.json")
    assert (sheet.name, sheet.cron) == ("answers", "*/15 * * * *")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"ALUMNI_SHEET_URL": "https://docs.google.com/forms/d/e/1FA/viewform"}, "ALUMNI_SHEET_URL"),
        ({"ALUMNI_SHEET_URL": EXPORT, "ALUMNI_SHEET_ID": SHEET_ID}, "ALUMNI_SHEET_ID"),
        ({"ALUMNI_SHEET_ID": SHEET_ID}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ({"ALUMNI_SHEET_ID": "x", "GOOGLE_APPLICATION_CREDENTIALS": "key.json"}, "ALUMNI_SHEET_ID"),
        ({"ALUMNI_SHEET_URL": EXPORT, "ALUMNI_SHEET_RANGE": "A:K"}, "ALUMNI_SHEET_RANGE"),
        ({"ALUMNI_SHEET_URL": EXPORT, "ALUMNI_SHEET_NAME": "../answers"}, "ALUMNI_SHEET_NAME"),
    ],
)
def test_a_mistake_in_the_settings_is_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load_settings(environment)
