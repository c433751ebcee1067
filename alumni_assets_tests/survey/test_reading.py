"""From a file to numbered rows: cells as they came, in the right rows with the right numbers."""

import codecs
import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.contract import COLUMNS, NAMES, Contract
from alumni_assets.survey import detection, parsing, reading
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.parsing import NUMBERED_SCHEMA
from alumni_assets.survey.reading import detect, numbered_parts

from . import examples
from .examples import CONTRACT, GOOD_ROW
from .test_records import reference_records

TITLES = [column.header for column in COLUMNS]
HEADER = ",".join(TITLES)
GOOD = [str(GOOD_ROW[name]) for name in NAMES]
LIMITS = CONTRACT.rules.limits


def rows_of(path: Path, content: bytes, name: str = "answers.csv") -> list[dict[str, object]]:
    """The numbered rows of an upload, without the cells that are null."""
    path.write_bytes(content)
    batches = [part() for part in numbered_parts(path, detect(name, path, LIMITS), LIMITS)]
    assert all(batch.schema == NUMBERED_SCHEMA for batch in batches)
    rows = pa.Table.from_batches(batches, schema=NUMBERED_SCHEMA).to_pylist()
    return [{name: cell for name, cell in row.items() if cell is not None} for row in rows]


def line(*cells: str) -> str:
    return ",".join([*cells, *GOOD[len(cells) :]])


def expected(number: int, *cells: str) -> dict[str, object]:
    return {"source_row": number} | dict(zip(NAMES, [*cells, *GOOD[len(cells) :]], strict=True))


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("cp1252", b""),
    ],
)
def test_the_same_rows_come_from_every_encoding_and_line_ending(
    tmp_path: Path, encoding: str, mark: bytes, ending: str
) -> None:
    text = ending.join([HEADER, line("1", "José Peña"), line("2", "Ñuño “Niño”"), ""])
    assert rows_of(tmp_path / "a", mark + text.encode(encoding)) == [
        expected(1, "1", "José Peña"),
        expected(2, "2", "Ñuño “Niño”"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_same_rows_come_with_every_delimiter(tmp_path: Path, delimiter: str) -> None:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows([TITLES, ["1", "a,b;c\td|e", *GOOD[2:]]])
    assert rows_of(tmp_path / "a", stream.getvalue().encode()) == [expected(1, "1", "a,b;c\td|e")]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.TSV.GZ", "a.txt.gz"])
def test_compressed_uploads_are_read(tmp_path: Path, name: str) -> None:
    content = gzip.compress(f"{HEADER}\n{line('1')}\n".encode())
    assert rows_of(tmp_path / "a", content + gzip.compress(line("2").encode()), name) == [
        expected(1, "1"),
        expected(2, "2"),
    ]


@pytest.mark.parametrize(
    ("record", "cell"),
    [
        ('"a\nb"', "a\nb"),
        ('"a\r\nb\rc"', "a\r\nb\rc"),
        ('"say ""hi"""', 'say "hi"'),
        ('""', ""),
        ('"a,b"', "a,b"),
        ('5" screen', '5" screen'),
        ('a "b" c', 'a "b" c'),
        ('"a" b', "a b"),
        ('"a"b"c"', 'ab"c"'),
        (' "a"', ' "a"'),
        ("a\tb", "a\tb"),
        ("NULL", "NULL"),
        ("NaN", "NaN"),
        ("=1+1", "=1+1"),
        ("  a  ", "  a  "),
        ("\x00", "\x00"),
    ],
)
def test_cells_come_as_they_are(tmp_path: Path, record: str, cell: str) -> None:
    content = f"{HEADER}\n{line('1', record)}\n{line('2')}\n".encode()
    assert rows_of(tmp_path / "a", content) == [expected(1, "1", cell), expected(2, "2")]


def test_blank_rows_are_left_out_but_keep_their_numbers(tmp_path: Path) -> None:
    blanks = ["", ",,,,,,,,,", "   ", '"","","",,,,,,,', " ,\t,\u00a0,,,,,,,", ",,", '""', ",,,,,,,,,,,,", "\u3000,"]
    content = "\n".join([HEADER, line("1"), *blanks, line("2"), "", ""])
    assert rows_of(tmp_path / "a", content.encode()) == [expected(1, "1"), expected(len(blanks) + 2, "2")]


def test_blank_lines_before_the_header_do_not_count_as_rows(tmp_path: Path) -> None:
    content = f'\n,,,\r\n" \n",\n{HEADER}\n{line("1")}\n'
    assert rows_of(tmp_path / "a", content.encode()) == [expected(1, "1")]


def test_a_header_without_rows_gives_no_rows(tmp_path: Path) -> None:
    for content in (HEADER, HEADER + "\n", HEADER + "\r\n\r\n,,,\n"):
        assert rows_of(tmp_path / "a", content.encode()) == []


def test_ragged_rows_keep_their_cells_their_surplus_and_their_number(tmp_path: Path) -> None:
    content = "\n".join([HEADER, line("1"), '7,"Ana\nCruz"', line("2"), line("3") + ',x,"y ""z"""', line("4")])
    assert rows_of(tmp_path / "a", content.encode()) == [
        expected(1, "1"),
        {
            "source_row": 2,
            "employee_id": "7",
            "employee_name": "Ana\nCruz",
            "reading_problem": "wrong_field_count",
        },
        expected(3, "2"),
        expected(4, "3")
        | {"other_columns": '{"(surplus cells)": "x,y \\"z\\""}', "reading_problem": "wrong_field_count"},
        expected(5, "4"),
    ]


def test_the_titles_of_a_wide_header_are_not_made_anew_for_each_short_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    further = [f"Question {number}" for number in range(LIMITS.columns - len(TITLES))]
    content = "\n".join([",".join([*TITLES, *further]), *["7,Ana"] * 100])
    made = Mock(wraps=parsing.other_titles)
    monkeypatch.setattr(parsing, "other_titles", made)
    rows = rows_of(tmp_path / "a", content.encode())
    monkeypatch.undo()
    assert len(rows) == 100
    assert made.call_count < 10


def test_unknown_columns_are_kept_beside_the_row(tmp_path: Path) -> None:
    titles = ["Notes", *TITLES, "Submission ID", "", "notes ", "Notes"]
    rows = [["", *GOOD, "", "", "", ""], ['a "b"\n\\c\x01', *GOOD, "s1", "x", "ñ", "z"]]
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([titles, *rows, ["only notes", "5"]])
    found = rows_of(tmp_path / "a", stream.getvalue().encode())
    assert [json.loads(str(row.get("other_columns", "null"))) for row in found] == [
        None,
        {"Notes": 'a "b"\n\\c\x01', "Submission ID": "s1", "(column 13)": "x", "notes": "ñ", "Notes (column 15)": "z"},
        {"Notes": "only notes"},
    ]
    assert [row["employee_id"] for row in found] == [GOOD[0], GOOD[0], "5"]


def test_damaged_bytes_are_marked_in_their_cell(tmp_path: Path) -> None:
    content = f"{HEADER}\n{line('1', 'José')}\n{line('2', 'Ñ é')}\n".encode() + line("3", "X?").encode().replace(
        b"?", b"\xff"
    )
    assert [row["employee_name"] for row in rows_of(tmp_path / "a", content)] == ["José", "Ñ é", "X\ufffd"]


def test_a_byte_that_windows_does_not_know_is_marked_in_its_cell(tmp_path: Path) -> None:
    content = f"{HEADER}\n{line('1', 'José')}\n{line('2', 'X?')}\n".encode("cp1252").replace(b"?", b"\x81")
    assert [row["employee_name"] for row in rows_of(tmp_path / "a", content)] == ["José", "X\ufffd"]


def test_half_a_utf16_character_at_the_end_is_marked(tmp_path: Path) -> None:
    content = codecs.BOM_UTF16_LE + f"{HEADER}\n{line('1')}".encode("utf-16-le") + b"x"
    (row,) = rows_of(tmp_path / "a", content)
    assert str(row["submission_date"]).endswith("\ufffd")


def test_a_quote_that_never_closes_rejects_the_file_and_names_the_row(tmp_path: Path) -> None:
    content = f"{HEADER}\n{line('1')}\n{line('2', chr(34) + 'Ana')}\n{line('3')}\n"
    with pytest.raises(UnreadableUploadError, match="opens in row 3 of the file"):
        rows_of(tmp_path / "a", content.encode())


def test_an_oversize_row_is_set_aside_and_the_others_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "CHUNK", 1000)
    monkeypatch.setattr(reading, "RECORD_BYTES", 1500)
    content = "\n".join([HEADER, line("1"), line("2", "x" * 5000), line("3"), line("4", '"' + "y\n" * 5000 + '"')])
    found = rows_of(tmp_path / "a", content.encode())
    assert [(row["source_row"], row.get("reading_problem")) for row in found] == [
        (1, None),
        (2, "field_too_long"),
        (3, None),
        (4, "field_too_long"),
    ]
    start = json.loads(str(found[1]["other_columns"]))["(start of the row)"]
    assert start == line("2", "x" * 5000)[:200]


_READS = """
import resource, sys
from pathlib import Path
from alumni_assets.survey.reading import detect, numbered_parts
from alumni_assets.survey_rules import default_rules

path, limits = Path(sys.argv[1]), default_rules().limits
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for part in numbered_parts(path, detect(path.name, path, limits), limits):
    for row in part().to_pylist():
        print(row["source_row"], row["reading_problem"])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.long
@pytest.mark.parametrize("name", ["answers.csv", "answers.csv.gz"])
def test_a_cell_of_a_gigabyte_takes_no_gigabyte(tmp_path: Path, name: str) -> None:
    with (gzip.open if name.endswith(".gz") else open)(tmp_path / name, "wb") as stream:
        stream.write(f'{HEADER}\n{line("1")}\n2,"'.encode())
        for _ in range(1024):
            stream.write(b"y,\n" * ((1 << 20) // 3))
        stream.write(f'"\n{line("3")}\n'.encode())
    done = subprocess.run([sys.executable, "-c", _READS, tmp_path / name], capture_output=True, text=True, check=True)
    *rows, megabytes = done.stdout.splitlines()
    assert rows == ["1 None", "2 field_too_long", "3 None"]
    assert int(megabytes) < 300


def test_a_cell_of_many_characters_reaches_the_rule_about_them(tmp_path: Path) -> None:
    content = f"{HEADER}\n{line('1', 'x' * 200_000)}\n{line('2')},{'y' * 200_000}\n"
    found = rows_of(tmp_path / "a", content.encode())
    assert [len(str(row.get("employee_name", ""))) for row in found] == [200_000, 0]
    assert found[1]["reading_problem"] == "wrong_field_count"


_cell = st.text('ab",;\n\r ñ\u00a0', max_size=4)
_record = st.one_of(
    st.lists(_cell, min_size=10, max_size=10),
    st.lists(st.sampled_from(["", " ", "a"]), min_size=0, max_size=12),
)


def csv_text(rows: Sequence[Sequence[str]], ending: str, quoting: int) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator=ending, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return stream.getvalue()


def read_by_the_csv_module(text: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""))):
        if number == 0 or not any(cell.strip() for cell in cells):
            continue
        row: dict[str, object] = {"source_row": number} | dict(zip(NAMES, cells, strict=False))
        if len(cells) != len(NAMES):
            row["reading_problem"] = "wrong_field_count"
        if any(cells[len(NAMES) :]) or len(cells) > len(NAMES) + 1:
            row["other_columns"] = json.dumps({"(surplus cells)": ",".join(cells[len(NAMES) :])}, ensure_ascii=False)
        found.append(row)
    return found


@given(
    st.lists(_record, max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([7, 50, 1 << 20]),
)
def test_well_formed_files_are_read_as_the_csv_module_reads_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], ending: str, quoting: int, chunk: int
) -> None:
    text = csv_text([TITLES, *rows], ending, quoting)
    assert read_in_chunks(tmp_path_factory, text, chunk) == read_by_the_csv_module(text)


@given(st.text('a,,,"\n\r ', max_size=80), st.sampled_from([7, 50, 1 << 20]))
def test_messy_files_are_read_as_the_csv_module_reads_them(
    tmp_path_factory: pytest.TempPathFactory, body: str, chunk: int
) -> None:
    text = f"{HEADER}\n{body}"
    try:
        found = read_in_chunks(tmp_path_factory, text, chunk)
    except UnreadableUploadError as error:
        assert error.code == "unclosed_quote"  # noqa: PT017
        assert isinstance(reference_records(text.encode(), b","), int)
    else:
        assert found == read_by_the_csv_module(text)


def read_in_chunks(tmp_path_factory: pytest.TempPathFactory, text: str, chunk: int) -> list[dict[str, object]]:
    path = tmp_path_factory.getbasetemp() / "upload"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(detection, "CHUNK", chunk)
        return rows_of(path, text.encode())


def test_the_parts_may_be_parsed_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "CHUNK", 500)
    path = tmp_path / "a"
    path.write_text("\n".join([HEADER, *(line(str(number)) for number in range(1, 41))]))
    parts = list(numbered_parts(path, detect("a.csv", path, LIMITS), LIMITS))
    assert len(parts) > 5
    backwards = [part() for part in reversed(parts)]
    numbers = [number for batch in reversed(backwards) for number in batch["source_row"].to_pylist()]
    assert numbers == list(range(1, 41))


def test_numbered_rows_are_judged_without_further_ado(tmp_path: Path, contract: Contract) -> None:
    path = tmp_path / "a"
    path.write_text("\n".join([HEADER, line("1"), "2,x", line("3", "Dr.")]))
    judged_by = examples.judge(contract, examples.UPLOAD_DAY)
    judged = [judged_by(part()) for part in numbered_parts(path, detect("a.csv", path, LIMITS), LIMITS)]
    assert [[found["code"] for found in row or []] for batch in judged for row in batch["problems"].to_pylist()] == [
        [],
        ["wrong_field_count"],
        ["no_name"],
    ]
