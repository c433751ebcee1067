"""A reviewer's whole loop with a real spreadsheet program: from a dirty upload to a quarantine without open rows."""

import csv
import io
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
from python_calamine import CalamineWorkbook

from alumni_assets import layout
from alumni_assets.contract import COLUMNS, default_contract
from alumni_assets.survey.sampling import write_sample

from .. import libreoffice
from ..pipeline.answers import csv_bytes
from ..pipeline.conftest import Pipeline
from .returns import assert_accounted, listed, responses, text_workbook

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROWS = 250
HEADER = tuple(column.header for column in COLUMNS)
# What people write in place of an answer; for each column what makes it wrong.
SPOILED = (
    ("Employee_ID", "=1+1"),
    ("Employee_ID", "EMP-00042"),
    ("Employee_Name", "Dr. MD"),
    ("Employee_Name", "'=00042"),
    ("College_Degree", "Computer Sciençe"),
    ("College_Degree", "=HYPERLINK(A1)"),
    ("Department", "Operatións"),
    ("Department", "@Tech"),
    ("Job_Role", " "),
    ("DMC_Campus", "Santo Tomás (new)"),
    ("Email", "peña at school"),
    ("Email", "+63 957 728 4792"),
    ("Phone_Number", "0042"),
    ("Phone_Number", "6.39577E+11"),
    ("Performance_Rating", "00006"),
    ("Performance_Rating", "=4"),
    ("Submission Date", "31/02/2026"),
    ("Submission Date", "2099-01-01"),
)
# What is kept as it came in cells that need no correction, whatever a spreadsheet would make of it.
KEPT_CELLS = (
    ("Employee_ID", lambda cell: f"000{cell}"),
    ("Employee_Name", lambda cell: f"José Ñoño {cell}"),
    ("Job_Role", lambda cell: "=1+1"),
    ("Phone_Number", lambda cell: f"0{cell}"),
    ("Performance_Rating", lambda cell: f"0{cell}"),
)
Sheet = list[list[str]]


@pytest.fixture(autouse=True)
def _with_libreoffice(lacking: Callable[[str], NoReturn]) -> None:
    if libreoffice.soffice_path() is None:
        lacking("LibreOffice is not installed")


def clean_rows(folder: Path) -> list[dict[str, str]]:
    """A generated survey in which some answers look like what spreadsheets change."""
    path = folder / "sample.csv"
    write_sample(path, ROWS, 0.0, 7, default_contract())
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    for number, row in enumerate(rows):
        for place, (title, changed) in enumerate(KEPT_CELLS):
            if number % 7 == place:
                row[title] = changed(row[title].strip())
    return rows


def dirty_rows(rows: list[dict[str, str]], chance: random.Random) -> dict[int, dict[str, str]]:
    """Every kind of spoiling in rows of its own, and some in rows with others: by number of the row, 12 % of them."""
    chosen = sorted(chance.sample(range(1, ROWS + 1), 30))
    spoiled: dict[int, dict[str, str]] = {number: {} for number in chosen}
    for place, (title, cell) in enumerate([*SPOILED, *SPOILED]):
        spoiled[chosen[place % len(chosen)]].setdefault(title, cell)
    return {number: {**rows[number - 1], **cells} for number, cells in spoiled.items()}


def sheet_of(path: Path) -> Sheet:
    rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert all(isinstance(cell, str) for row in rows for cell in row)
    return [[str(cell) for cell in row] for row in rows]


def saved_by_reviewer(folder: Path, name: str, sheet: Sheet) -> bytes:
    """A workbook with these cells as LibreOffice saves it."""
    path = folder / f"{name}.xlsx"
    path.write_bytes(text_workbook(sheet))
    saved = folder / "saved"
    saved.mkdir(exist_ok=True)
    return libreoffice.resaved(path, saved).read_bytes()


def opened_by_reviewer(pipeline: Pipeline, folder: Path, upload: str) -> Sheet:
    """The correction file's sheet, after LibreOffice has opened and saved it once."""
    path = folder / "handed out.xlsx"
    path.write_bytes(pipeline.lake.read_bytes(layout.correction_key(upload, "xlsx")))
    opened = folder / "opened"
    opened.mkdir(exist_ok=True)
    sheet = sheet_of(libreoffice.resaved(path, opened))
    assert sheet == sheet_of(path)
    return sheet


def mended(sheet: Sheet, numbers: set[int], rows: list[dict[str, str]], spoiled: Mapping[int, Any]) -> Sheet:
    """The sheet with these rows mended: in the cells that are wrong the right answers, the others left alone."""
    titles, *lines = sheet
    row_at = titles.index("_row")
    for cells in lines:
        number = int(cells[row_at])
        for title in HEADER:
            if number in numbers and spoiled[number][title] != rows[number - 1][title]:
                cells[titles.index(title)] = rows[number - 1][title]
    return [titles, *lines]


def only_rows(sheet: Sheet, numbers: set[int]) -> Sheet:
    titles, *lines = sheet
    return [titles, *[cells for cells in lines if int(cells[titles.index("_row")]) in numbers]]


def test_a_dirty_upload_is_mended_in_a_spreadsheet_until_no_row_is_open(pipeline: Pipeline, tmp_path: Path) -> None:
    rows = clean_rows(tmp_path)
    spoiled = dirty_rows(rows, random.Random(5))
    content = csv_bytes([spoiled.get(number, row) for number, row in enumerate(rows, 1)], header=HEADER)
    upload = pipeline.put_and_take_in("términos 2026.csv", content)
    assert (pipeline.ingested(upload).invalid, pipeline.ingested(upload).failed_checks) == (30, ())
    pipeline.approve_only(upload)
    numbers = sorted(spoiled)
    first_half, left_in, left_out = set(numbers[:15]), set(numbers[15:20]), set(numbers[20:])

    # Half of the rows are mended; some stay in the file as they are, the others are deleted from it.
    sheet = mended(opened_by_reviewer(pipeline, tmp_path, upload), first_half, rows, spoiled)
    kept = only_rows(sheet, first_half | left_in)
    first = pipeline.put_and_take_in("from Ana.xlsx", saved_by_reviewer(tmp_path, "first", kept))
    found = pipeline.ingested(first)
    assert (pipeline.statuses()[first], found.valid, found.invalid, found.strays) == ("correction", 15, 5, 0)
    pipeline.approve_only(first)
    assert_accounted(pipeline)
    lives = {row["row"]: (row["status"], row["corrected_by"], row["returned_in"]) for row in listed(pipeline, upload)}
    assert lives == {
        **dict.fromkeys(first_half, ("resolved", first, None)),
        **dict.fromkeys(left_in, ("open", None, first)),
        **dict.fromkeys(left_out, ("open", None, None)),
    }

    # The rest is mended by another reviewer: what came back in the correction's own file, the others in the first.
    returned = mended(opened_by_reviewer(pipeline, tmp_path, first), left_in, rows, spoiled)
    second = pipeline.put_and_take_in("from Ben.xlsx", saved_by_reviewer(tmp_path, "second", returned))
    rest = only_rows(mended(opened_by_reviewer(pipeline, tmp_path, upload), left_out, rows, spoiled), left_out)
    third = pipeline.put_and_take_in("from Cara.xlsx", saved_by_reviewer(tmp_path, "third", rest))
    assert {some: pipeline.ingested(some).invalid for some in (second, third)} == {second: 0, third: 0}
    assert pipeline.approve(second, third).success

    assert_accounted(pipeline)
    assert pipeline.published("SELECT status, count(*) FROM quarantine GROUP BY status") == [("resolved", 30)]
    assert pipeline.published(
        f"SELECT invalid, open_rows, resolved_rows, waived_rows FROM uploads WHERE upload = '{upload}'"
    ) == [(30, 0, 30, 0)]
    corrected_by = dict.fromkeys(first_half, first) | dict.fromkeys(left_in, second) | dict.fromkeys(left_out, third)
    assert {place: by for place, (_, _, by) in responses(pipeline).items()} == {
        (upload, number): corrected_by.get(number) for number in range(1, ROWS + 1)
    }
    received_at = pipeline.facts.seen[upload].received_at
    assert pipeline.published("SELECT DISTINCT received_at FROM survey_responses") == [(received_at,)]
    assert dict(pipeline.published("SELECT employee_id, source_row FROM alumni")) == {
        int(row["Employee_ID"]): number for number, row in enumerate(rows, 1)
    }
    check = pipeline.check("invalid_survey", "no_open_rows", upload)
    assert check is not None
    assert check.passed

    # And all of it is what a clean upload would have given.
    given = pipeline.published("SELECT * EXCLUDE (upload, received_at, corrected_by) FROM alumni ORDER BY employee_id")
    pipeline.withdraw(upload)
    clean = pipeline.put_and_take_in("clean.csv", csv_bytes(rows, header=HEADER))
    assert pipeline.approve(clean).success
    assert pipeline.published("SELECT DISTINCT upload FROM alumni") == [(clean,)]
    assert given == pipeline.published(
        "SELECT * EXCLUDE (upload, received_at, corrected_by) FROM alumni ORDER BY employee_id"
    )
