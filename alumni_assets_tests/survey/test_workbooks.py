"""Excel workbooks: the first sheet's rows as the survey's form would have exported them."""

import datetime
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
import xlsxwriter

from alumni_assets.contract import COLUMNS, NAMES
from alumni_assets.survey import workbooks
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.parsing import NUMBERED_SCHEMA
from alumni_assets.survey.reading import detect, numbered_parts

from .examples import CONTRACT, GOOD_ROW

TITLES = [column.header for column in COLUMNS]
GOOD = [GOOD_ROW[name] for name in NAMES]
LIMITS = CONTRACT.rules.limits


def workbook(path: Path, rows: Sequence[Sequence[object]], first_row: int = 0, first_column: int = 0) -> Path:
    with xlsxwriter.Workbook(path, {"strings_to_numbers": False, "default_date_format": "yyyy-mm-dd hh:mm:ss"}) as book:
        sheet = book.add_worksheet("Answers")
        for number, row in enumerate(rows, first_row):
            for position, cell in enumerate(row, first_column):
                sheet.write(number, position, cell)
        book.add_worksheet("Notes").write(0, 0, "not a table")
    return path


def rows_of(path: Path) -> list[dict[str, object]]:
    batches = [part() for part in numbered_parts(path, detect("answers.xlsx", path, LIMITS), LIMITS)]
    assert all(batch.schema == NUMBERED_SCHEMA for batch in batches)
    rows = pa.Table.from_batches(batches, schema=NUMBERED_SCHEMA).to_pylist()
    return [{name: cell for name, cell in row.items() if cell is not None} for row in rows]


def refusal(path: Path) -> UnreadableUploadError:
    with pytest.raises(UnreadableUploadError) as error:
        detect("answers.xlsx", path, LIMITS)
    return error.value


def expected(number: int, *cells: str) -> dict[str, object]:
    return {"source_row": number} | dict(zip(NAMES, [*cells, *GOOD[len(cells) :]], strict=True))


def test_the_first_sheet_is_read_as_text(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a", [TITLES, ["1", "José\nPeña", *GOOD[2:]], ["2", *GOOD[1:]]])
    assert rows_of(path) == [expected(1, "1", "José\nPeña"), expected(2, "2")]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (628496, "628496"),
        (628496.0, "628496"),
        (9577284792, "9577284792"),
        (639577284792, "639577284792"),
        (999999999999999, "999999999999999"),
        (123456789012345678, "1.2345678901234570e+17"),
        (1e15, "1.0000000000000000e+15"),
        (4.5, "4.5"),
        (True, "TRUE"),
        ("007", "007"),
        (" x ", " x "),
        (datetime.datetime(2026, 11, 20, 8, 15, 7), "2026-11-20 08:15:07"),
        (datetime.datetime(2026, 11, 20), "2026-11-20"),
    ],
)
def test_a_cell_becomes_the_text_that_the_form_would_export(tmp_path: Path, cell: object, text: str) -> None:
    (row,) = rows_of(workbook(tmp_path / "a", [TITLES, [*GOOD[:-1], cell]]))
    assert str(row["submission_date"]).removesuffix(" 00:00:00") == text


def test_every_second_of_a_day_is_read_to_the_second(tmp_path: Path) -> None:
    moments = [datetime.datetime(2026, 11, 20) + datetime.timedelta(seconds=61 * step) for step in range(1416)]
    found = rows_of(workbook(tmp_path / "a", [TITLES, *([*GOOD[:-1], moment] for moment in moments)]))
    assert [str(row["submission_date"])[:19] for row in found[1:]] == [str(moment) for moment in moments[1:]]


def test_rows_are_numbered_below_the_header_and_blank_ones_keep_their_number(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a", [["", " "], [], TITLES, ["1", *GOOD[1:]], [], ["", "  "], ["2", *GOOD[1:]]])
    assert detect("a.xlsx", path, LIMITS).header_record == 2
    assert rows_of(path) == [expected(1, "1"), expected(4, "2")]


def test_the_header_record_is_the_row_of_the_sheet_wherever_the_table_stands(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a", [TITLES, ["1", *GOOD[1:]]], first_row=4, first_column=2)
    assert detect("a.xlsx", path, LIMITS).header_record == 4
    assert rows_of(path) == [expected(1, "1")]


def test_rows_are_numbered_alike_whatever_the_size_of_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "a", [TITLES, *([str(number), *GOOD[1:]] for number in range(1, 12))])
    monkeypatch.setattr(workbooks, "_BATCH", 3)
    assert [(row["source_row"], row["employee_id"]) for row in rows_of(path)] == [
        (number, str(number)) for number in range(1, 12)
    ]


def test_short_rows_have_empty_cells_and_cells_without_a_header_are_kept(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a", [[*TITLES, "Notes"], ["1", "Ana"], ["2", *GOOD[1:], "n", "", "far", "out"]])
    short, long = rows_of(path)
    assert [short[name] for name in NAMES] == ["1", "Ana", *[""] * 8]
    assert json.loads(str(long["other_columns"])) == {"Notes": "n", "(cells without a header)": "far out"}


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut off"])
def test_what_is_no_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert refusal(tmp_path / "a").code == "damaged_workbook"


def test_a_zip_archive_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("notes.xml", "<notes/>")
    assert refusal(tmp_path / "a").code == "damaged_workbook"


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_workbook_that_was_cut_off_is_refused(tmp_path: Path, kept: float) -> None:
    content = workbook(tmp_path / "whole", [TITLES, GOOD]).read_bytes()
    (tmp_path / "a").write_bytes(content[: int(len(content) * kept)])
    assert refusal(tmp_path / "a").code == "damaged_workbook"


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def test_a_workbook_with_broken_xml_is_refused(tmp_path: Path) -> None:
    whole = workbook(tmp_path / "whole", [TITLES, GOOD])
    broken = rewritten(whole, tmp_path / "a", lambda name, data: data[:-30] if "sheet1" in name else data)
    assert refusal(broken).code == "damaged_workbook"


def test_an_empty_sheet_is_refused(tmp_path: Path) -> None:
    assert refusal(workbook(tmp_path / "a", [])).code == "empty"
    assert refusal(workbook(tmp_path / "a", [[" ", ""], []])).code == "empty"


def test_a_sheet_with_another_header_is_refused(tmp_path: Path) -> None:
    error = refusal(workbook(tmp_path / "a", [TITLES[1:], GOOD]))
    assert (error.code, "Employee_ID" in error.message) == ("missing_column", True)
