"""The files in which a person mends invalid rows: what they show, what they mark, and that nothing is lost in them."""

import csv
import json
import re
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from alumni_assets.contract import COLUMNS, NAMES, PROBLEMS_TITLE, ROW_TITLE, UPLOAD_TITLE, Contract
from alumni_assets.contract_arrow import INVALID_SCHEMA, PROBLEM_TYPE
from alumni_assets.survey import correction_workbook
from alumni_assets.survey.correction_files import write_correction_files
from alumni_assets.survey.correction_workbook import KEPT, kept
from alumni_assets.survey.defusing import restored
from alumni_assets.survey.detection import Header, match_header
from alumni_assets.survey.parsing import other_titles
from alumni_assets.survey.problem_sentences import problem_sentences

from . import examples
from .examples import CONTRACT, GOOD_ROW, UPLOAD

LIMITS = CONTRACT.rules.limits
TITLES = tuple(column.header for column in COLUMNS)
MARKS = (UPLOAD_TITLE, ROW_TITLE, PROBLEMS_TITLE)
HEADER = match_header(TITLES, LIMITS)
BASE = pa.schema([field for field in INVALID_SCHEMA if not field.name.startswith("corrects")])
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"

Row = dict[str, object]


def problem(column: str, message: str, code: str = "missing", suggestion: str | None = None) -> Row:
    return {"code": code, "column": column, "value": "", "message": message, "suggestion": suggestion}


def row(number: int = 1, problems: Sequence[Row] = (), others: Mapping[str, str] | None = None, **cells: object) -> Row:
    other_columns = json.dumps(others, ensure_ascii=False) if others else None
    named = {"upload": UPLOAD, "source_row": number, "other_columns": other_columns, "problems": list(problems)}
    return GOOD_ROW | named | cells


def written(
    folder: Path, rows: Sequence[Row], header: Header = HEADER, contract: Contract = CONTRACT, schema: pa.Schema = BASE
) -> tuple[Path, Path]:
    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(rows), 3):
            yield pa.RecordBatch.from_pylist(list(rows[start : start + 3]), schema=schema)

    write_correction_files(batches, header, contract, folder / "a.xlsx", folder / "a.csv")
    return folder / "a.xlsx", folder / "a.csv"


def sheet_of(path: Path, name: str = "Corrections") -> list[list[str]]:
    with CalamineWorkbook.from_path(path) as book:
        return [[str(cell) for cell in line] for line in book.get_sheet_by_name(name).iter_rows()]


def csv_of(path: Path) -> list[list[str]]:
    limit = csv.field_size_limit(1 << 30)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return list(csv.reader(lines))
    finally:
        csv.field_size_limit(limit)


def part_of(path: Path, name: str) -> ElementTree.Element:
    with zipfile.ZipFile(path) as archive:
        return ElementTree.fromstring(archive.read(name))


def notes_of(path: Path) -> dict[str, str]:
    found = part_of(path, "xl/comments1.xml").iter(f"{MAIN}comment")
    return {note.get("ref", ""): "".join(text.text or "" for text in note.iter(f"{MAIN}t")) for note in found}


def looks_of(path: Path) -> dict[str, tuple[str, str]]:
    """For each written cell of the first sheet its number format and the colour of its fill."""
    styles = part_of(path, "xl/styles.xml")
    codes = {code.get("numFmtId"): code.get("formatCode", "") for code in styles.iter(f"{MAIN}numFmt")}
    fills = [
        "" if (colour := fill.find(f".//{MAIN}fgColor")) is None else colour.get("rgb", "")
        for fill in styles.findall(f"{MAIN}fills/{MAIN}fill")
    ]
    formats = [
        (codes.get(style.get("numFmtId"), ""), fills[int(style.get("fillId", 0))])
        for style in styles.findall(f"{MAIN}cellXfs/{MAIN}xf")
    ]
    cells = part_of(path, "xl/worksheets/sheet1.xml").iter(f"{MAIN}c")
    return {cell.get("r", ""): formats[int(cell.get("s", 0))] for cell in cells}


def marked(path: Path) -> set[str]:
    return {cell for cell, (_, fill) in looks_of(path).items() if fill == "FFFFD966"}


def sentences(*problems: Row, contract: Contract | None = CONTRACT) -> str:
    return problem_sentences(pa.array([list(problems)], pa.list_(PROBLEM_TYPE)), contract)[0].as_py()


def test_both_files_show_where_a_row_belongs_what_is_wrong_and_its_cells(tmp_path: Path) -> None:
    wrong = [problem("Email", "Wrong."), problem("Department", "Bad.", suggestion="HR")]
    xlsx, plain = written(tmp_path, [row(7, wrong, email="x"), row(9, [problem("", "Too short.")])])
    expected = [
        [*MARKS, *TITLES],
        [UPLOAD, "7", "Email: Wrong.\nDepartment: Bad. Did you mean HR?", *(GOOD_ROW | {"email": "x"}).values()],
        [UPLOAD, "9", "Too short.", *GOOD_ROW.values()],
    ]
    assert sheet_of(xlsx) == expected
    assert csv_of(plain) == expected


def test_the_csv_is_what_excel_opens_as_utf_8(tmp_path: Path) -> None:
    _, plain = written(tmp_path, [row(employee_name='Peña "Jo"\r\nx\ty', email=None)])
    content = plain.read_bytes()
    assert content.startswith(b'\xef\xbb\xbf"_upload","_row",')
    assert content.endswith(b'"2026-11-20 08:15:00"\r\n')
    assert '"Peña ""Jo""\r\nx\ty"'.encode() in content
    assert b'"Santo Tomas","","9577284792"' in content


def test_columns_keep_their_order_and_titles_and_unknown_ones_their_cells(tmp_path: Path) -> None:
    titles = ("Notes ", *reversed(TITLES), "", "Notes", "_PROBLEMS ", " _Row", "_upload")
    header = Header(titles, (None, *reversed(NAMES), *[None] * 5))
    keys = list(other_titles(header).values())
    assert keys[:3] == ["Notes", "(column 12)", "Notes (column 13)"]
    xlsx, plain = written(tmp_path, [row(others={key: f"<{key}>" for key in keys}), row(2)], header)
    assert sheet_of(xlsx) == csv_of(plain)
    title, first, second = csv_of(plain)
    assert title == [*MARKS, "Notes ", *reversed(TITLES), "(column 12)", "Notes (column 13)"]
    assert first[3:] == ["<Notes>", *reversed(GOOD_ROW.values()), "<(column 12)>", "<Notes (column 13)>"]
    assert second[3:] == ["", *reversed(GOOD_ROW.values()), "", ""]


def test_the_marks_of_a_correction_are_not_shown_twice(tmp_path: Path) -> None:
    header = match_header(("_Upload", " _row", "_problems", *TITLES), LIMITS)
    xlsx, _ = written(tmp_path, [row(others={"_row (column 9)": "1", "_ROW": "2"})], header)
    assert sheet_of(xlsx)[0] == [*MARKS, *TITLES, "_row (column 9)"]


def test_columns_that_only_some_rows_have_come_last(tmp_path: Path) -> None:
    header = match_header((UPLOAD_TITLE, ROW_TITLE, "Email", "X"), LIMITS)
    lacking: Row = dict.fromkeys(NAMES)
    rows = [
        row(1) | lacking,
        row(2, [problem("Department", "Bad.")]) | lacking,
        row(3, others={"X": "x", "(surplus cells)": "a,b"}) | lacking | {"employee_id": "7", "job_role": ""},
        row(4, others={"(start of the row)": "é\n\\"}) | lacking,
    ]
    xlsx, plain = written(tmp_path, rows, header)
    assert sheet_of(xlsx) == csv_of(plain)
    title, *lines = csv_of(plain)
    assert title == [*MARKS, "Email", "X", "Employee_ID", "Department", "(surplus cells)", "(start of the row)"]
    assert [line[3:] for line in lines] == [[""] * 6, [""] * 6, ["", "x", "7", "", "a,b", ""], [*[""] * 5, "é\n\\"]]
    assert marked(xlsx) == {"G3"}


def test_no_row_can_add_more_than_a_few_columns(tmp_path: Path) -> None:
    xlsx, _ = written(tmp_path, [row(others={f"k{number}": "x" for number in range(500)})])
    assert sheet_of(xlsx)[0] == [*MARKS, *TITLES, *(f"k{number}" for number in range(20))]


def test_two_columns_that_the_reader_could_not_tell_apart_lose_no_other_cell(tmp_path: Path) -> None:
    header = match_header((*TITLES, "a (column 13)", "a", "a"), LIMITS)
    (_, *line) = written(
        tmp_path, [row(other_columns='{"a": "1", "a (column 13)": "2", "a (column 13)": "3"}')], header
    )
    assert csv_of(line[0])[1][-3:] == ["3", "1", "3"]


def test_a_row_that_came_back_is_shown_as_the_one_that_it_corrects(tmp_path: Path) -> None:
    schema = pa.schema([*BASE, pa.field("corrects", pa.string()), pa.field("corrects_row", pa.int64())])
    rows = [row(1, corrects="first@1", corrects_row=41), row(2, corrects="first@1", corrects_row=None), row(3)]
    xlsx, plain = written(tmp_path, rows, schema=schema)
    assert [line[:2] for line in sheet_of(xlsx)[1:]] == [["first@1", "41"], ["first@1", ""], [UPLOAD, "3"]]
    assert sheet_of(xlsx) == csv_of(plain)


def test_a_file_without_rows_has_its_header(tmp_path: Path) -> None:
    xlsx, plain = written(tmp_path, [])
    assert sheet_of(xlsx) == csv_of(plain) == [[*MARKS, *TITLES]]
    empty = pa.RecordBatch.from_pylist([], schema=BASE)
    write_correction_files(lambda: iter([empty, empty]), HEADER, CONTRACT, xlsx, plain)
    assert sheet_of(xlsx) == csv_of(plain) == [[*MARKS, *TITLES]]


def test_rows_without_any_cell_are_shown(tmp_path: Path) -> None:
    xlsx, plain = written(tmp_path, [row(3) | dict.fromkeys((*NAMES, "problems"))])
    assert csv_of(plain)[1] == [UPLOAD, "3", *[""] * 11]
    assert sheet_of(xlsx)[1][:2] == [UPLOAD, "3"]


def test_every_cell_is_text_and_harmless(tmp_path: Path) -> None:
    header = Header((*TITLES, "=cmd|x"), (*NAMES, None))
    hostile = row(upload="=x@1", others={"=cmd|x": "@SUM(A1)"}, employee_name="=1+1", phone_number="+63 957 728 4792")
    xlsx, plain = written(tmp_path, [hostile], header)
    assert sheet_of(xlsx) == csv_of(plain)
    title, line = csv_of(plain)
    assert (title[-1], line[0], line[4], line[10], line[-1]) == (
        "'=cmd|x", "'=x@1", "'=1+1", "+63 957 728 4792", "'@SUM(A1)"
    )  # fmt: skip
    sheet = part_of(xlsx, "xl/worksheets/sheet1.xml")
    assert {cell.get("t") for cell in sheet.iter(f"{MAIN}c")} == {"inlineStr"}
    assert {number_format for number_format, _ in looks_of(xlsx).values()} == {"@"}
    assert len(list(sheet.iter(f"{MAIN}f"))) == 0


def test_cells_to_be_mended_are_marked_with_the_reason_and_the_answers(tmp_path: Path) -> None:
    wrong = problem("Department", "Bad.", "not_in_list")
    rows = [row(1, [wrong], department="Tecc"), row(2, [wrong, problem("Email", "Empty.")], department="", email="")]
    xlsx, _ = written(tmp_path, [*rows, row(3, [problem("", "Too short.")]), row(4, [wrong])])
    reason = "Department: Bad. It is one of: Admin, Finance, HR, Marketing, Operations, R&D, Tech."
    assert notes_of(xlsx) == {"G2": reason, "G3": reason, "J3": "Email: Empty.", "G5": reason}
    assert marked(xlsx) == {"G2", "G3", "J3", "C4", "G5"}
    (choice,) = part_of(xlsx, "xl/worksheets/sheet1.xml").iter(f"{MAIN}dataValidation")
    assert choice.get("sqref") == "G2:G3 G5"
    found = re.fullmatch(r"'How to'!\$A\$(\d+):\$A\$(\d+)", choice.findtext(f"{MAIN}formula1") or "")
    assert found is not None
    answers = [line[0] for line in sheet_of(xlsx, "How to")][int(found[1]) - 1 : int(found[2])]
    assert answers == list(CONTRACT.vocabulary("department"))


def test_the_marks_of_a_row_are_marked_when_they_are_wrong(tmp_path: Path) -> None:
    xlsx, _ = written(tmp_path, [row(1, [problem(ROW_TITLE, "No such row.")])])
    assert (marked(xlsx), notes_of(xlsx)) == ({"B2"}, {"B2": "_row: No such row."})


def test_what_people_type_stays_text_and_the_header_stays_in_sight(tmp_path: Path) -> None:
    sheet = part_of(written(tmp_path, [row()])[0], "xl/worksheets/sheet1.xml")
    assert [(column.get("min"), column.get("max")) for column in sheet.iter(f"{MAIN}col")][-1] == ("13", "13")
    assert all(column.get("style") for column in sheet.iter(f"{MAIN}col"))
    assert [pane.get("ySplit") for pane in sheet.iter(f"{MAIN}pane")] == ["1"]
    assert [area.get("ref") for area in sheet.iter(f"{MAIN}autoFilter")] == ["A1:M2"]


def test_a_drop_down_for_scattered_cells_is_cut_into_lists_that_excel_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correction_workbook, "_MOST_AREAS", 2)
    rows = [row(number, [problem("Department", "Bad.", "not_in_list")] if number % 2 else []) for number in range(1, 8)]
    choices = part_of(written(tmp_path, rows)[0], "xl/worksheets/sheet1.xml").iter(f"{MAIN}dataValidation")
    assert [choice.get("sqref") for choice in choices] == ["G2 G4", "G6 G8"]


def test_the_workbook_has_the_first_rows_and_says_that_there_are_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correction_workbook, "MOST_WORKBOOK_ROWS", 4)
    xlsx, plain = written(tmp_path, [row(number) for number in range(1, 8)])
    assert sheet_of(xlsx) == csv_of(plain)[:5]
    assert len(csv_of(plain)) == 8
    assert any("first 4 of 7 rows" in line[0] for line in sheet_of(xlsx, "How to"))
    xlsx, _ = written(tmp_path, [row(number) for number in range(1, 5)])
    assert not any("first 4" in line[0] for line in sheet_of(xlsx, "How to"))


def test_the_workbook_stays_so_small_that_it_may_be_uploaded_again(tmp_path: Path) -> None:
    small = Contract(CONTRACT.rules.model_copy(update={"limits": LIMITS.model_copy(update={"workbook_megabytes": 1})}))
    rows = [row(number, job_role="x" * (30_000 if number < 40 else 1)) for number in range(1, 100)]
    xlsx, plain = written(tmp_path, rows, contract=small)
    numbers = [line[1] for line in sheet_of(xlsx)[1:]]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert 10 < len(numbers) < 40
    with zipfile.ZipFile(xlsx) as archive:
        assert sum(member.file_size for member in archive.infolist()) < 1 << 20
    assert len(csv_of(plain)) == 100


def test_so_many_notes_that_a_workbook_would_open_slowly_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correction_workbook, "MOST_NOTES", 2)
    xlsx, _ = written(tmp_path, [row(number, [problem("Email", "Empty.")]) for number in range(1, 5)])
    assert set(notes_of(xlsx)) == {"J2", "J3"}
    assert marked(xlsx) == {"J2", "J3", "J4", "J5"}
    assert any("first 2 coloured cells" in line[0] for line in sheet_of(xlsx, "How to"))


@pytest.mark.parametrize(
    "cell",
    [
        "x" * 32_768,
        "\U0001f600" * 16_384,
        f"={'x' * 32_766}",
        "a\r\nb",
        "a\ufffeb",
        "\uffff",
        "_x0041_x0042_",
        "_x00_",
        "_x00+0_",
        "<r><t>x</t></r>",
        "<r></t></is></c></r>",
        "<r>\n</r>",
        "\x01x0041_",
    ],
)
def test_what_a_workbook_cannot_hold_is_kept_and_explained(tmp_path: Path, cell: str) -> None:
    xlsx, plain = written(tmp_path, [row(1, [problem("Email", "Bad.")], email=cell, job_role=cell)])
    line = sheet_of(xlsx)[1]
    assert (line[9], line[7]) == (KEPT, KEPT)
    assert restored(pa.array(csv_of(plain)[1]))[9].as_py() == cell
    assert marked(xlsx) == {"J2"}
    assert notes_of(xlsx)["J2"].startswith("Email: Bad.\nThis cell is too long")
    assert notes_of(xlsx)["H2"].startswith("This cell is too long")
    assert any(KEPT in line[0] for line in sheet_of(xlsx, "How to"))


@pytest.mark.parametrize(
    "cell", ["x" * 32_767, "a\nb", "_x0041_", "__x0041__", "<r>", "\x00", "\x1b[0m", "\ufeff", "\t"]
)
def test_what_a_workbook_can_hold_is_in_it(tmp_path: Path, cell: str) -> None:
    xlsx, _ = written(tmp_path, [row(email=f"a{cell}"[:32_767])])
    assert sheet_of(xlsx)[1][9] == f"a{cell}"[:32_767]


def test_titles_that_a_workbook_cannot_hold_get_plain_ones(tmp_path: Path) -> None:
    header = Header(("Employee\r\n_ID", *TITLES[1:], "<r></t></r>", "y" * 40_000), (*NAMES, None, None))
    xlsx, plain = written(tmp_path, [row(others={"<r></t></r>": "1"})], header)
    assert sheet_of(xlsx)[0] == [*MARKS, *TITLES, "(column 14)", "(column 15)"]
    assert csv_of(plain)[0] == [*MARKS, *header.titles]
    assert sheet_of(xlsx)[1][-2:] == ["1", ""]


def test_equal_rows_make_equal_bytes_and_nothing_else_stays_behind(tmp_path: Path) -> None:
    rows = [row(number, [problem("Email", "Empty.")], others={"b": "1", "a": "2"}) for number in range(1, 6)]
    first = [path.read_bytes() for path in written(tmp_path, rows)]
    time.sleep(2.1)  # the times of a zip archive's members have two seconds
    assert [path.read_bytes() for path in written(tmp_path, rows)] == first
    assert {path.name for path in tmp_path.iterdir()} == {"a.xlsx", "a.csv"}


def test_sentences_say_what_is_wrong_and_what_would_be_right() -> None:
    assert sentences() == ""
    assert sentences(problem("Email", "Empty.")) == "Email: Empty."
    assert sentences(problem("", "Torn."), problem("A", "B.")) == "Torn.\nA: B."
    near = problem("Department", "Bad.", "not_in_list", "HR")
    assert sentences(near) == "Department: Bad. Did you mean HR?"
    far = problem("DMC_Campus", "Bad.", "not_in_list")
    assert sentences(far).startswith("DMC_Campus: Bad. It is one of: Apalit, Candaba, ")
    assert sentences(far, contract=None) == "DMC_Campus: Bad."


def test_sentences_stay_with_their_rows() -> None:
    lists = [[problem("A", "1.")], None, [], [problem("B", "2."), problem("C", "3.")]]
    array = pa.array(lists, pa.list_(PROBLEM_TYPE))
    assert problem_sentences(array).to_pylist() == ["A: 1.", None, "", "B: 2.\nC: 3."]
    assert problem_sentences(array[1:]).to_pylist() == [None, "", "B: 2.\nC: 3."]


def test_kept_cells_are_told_from_all_others() -> None:
    assert kept(pa.array([KEPT, None, "", f"{KEPT} "])).to_pylist() == [True, False, False, False]


odd_text = st.one_of(
    examples.text,
    st.lists(
        st.sampled_from(
            ["_x", "_X", "x", "_", "00", "0041", "_x005F_", "\x01", "\r", "\n", "<r>", "</r>", "'", "=", "+1"]
        )
    ).map("".join),
)


@given(
    st.lists(st.fixed_dictionaries({name: odd_text | st.none() for name in (*NAMES[:3], "a", "b")}), max_size=4),
    st.lists(odd_text, max_size=3),
)
def test_every_cell_comes_back_from_both_files_as_it_was(rows: list[dict[str, str | None]], titles: list[str]) -> None:
    header = Header((*TITLES, *titles), (*NAMES, *[None] * len(titles)))
    keys = list(dict.fromkeys([*other_titles(header).values(), "a"]))[-2:]
    given_rows = []
    for number, cells in enumerate(rows, 1):
        named = {name: cells[name] for name in NAMES[:3]}
        others = {key: text for key, text in zip(keys, (cells["a"], cells["b"]), strict=False) if text}
        given_rows.append(row(number, others=others) | named)
    with tempfile.TemporaryDirectory() as folder:
        xlsx, plain = written(Path(folder), given_rows, header)
        from_csv, from_workbook = csv_of(plain), sheet_of(xlsx)
    assert len(from_csv) == len(from_workbook) == len(rows) + 1
    assert from_csv[0][:3] == from_workbook[0][:3] == list(MARKS)
    for cells, csv_line, sheet_line in zip(rows, from_csv[1:], from_workbook[1:], strict=True):
        back = restored(pa.array(csv_line)).to_pylist()
        assert back[3:6] == [cells[name] or "" for name in NAMES[:3]]
        assert not {text for text in (cells["a"], cells["b"] if len(keys) > 1 else "") if text} - set(back[13:])
        for text, shown in zip(back, restored(pa.array(sheet_line)).to_pylist(), strict=True):
            assert shown in (text, KEPT)
