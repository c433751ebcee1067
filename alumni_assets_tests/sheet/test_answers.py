"""What an answer is: cells that survive the way into an upload, and the hash that tells answers apart."""

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alumni_assets.sheet.answers import (
    as_upload,
    check_same_columns,
    hash_of_id,
    person_hash,
    read_answers,
    read_header,
    read_records,
    row_hash,
)
from alumni_assets.sheet.errors import SheetError
from alumni_assets.survey.persons import employee_ids
from alumni_assets.survey_rules import default_rules
from alumni_assets_tests.sheet.conftest import HEADER, Sheet, answer

LIMITS = default_rules().limits
CELLS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(
    [
        '"',
        '""',
        "a\nb",
        "a\r\nb",
        "\r",
        ",",
        "=1+1",
        "+63 957",
        "-5",
        "@x",
        " outer ",
        "Ñuñez",
        "🎓",
        ";",
        "\t",
        "'0957",
    ]
)
ROWS = st.lists(st.tuples(*[CELLS] * len(HEADER)).filter(lambda row: any(cell.strip() for cell in row)), max_size=5)


@settings(deadline=None)
@given(ROWS)
def test_every_cell_survives_the_way_from_the_sheet_into_the_upload(rows: list[tuple[str, ...]]) -> None:
    records = read_records(io.BytesIO(Sheet(rows=rows).csv()))
    header = read_header(next(records), LIMITS)
    upload = as_upload(header, read_answers(header, records))
    assert list(csv.reader(io.StringIO(upload.decode(), newline=""))) == [list(HEADER), *map(list, rows)]
    assert upload == as_upload(header, rows)


@settings(deadline=None)
@given(st.tuples(*[CELLS] * len(HEADER)), st.tuples(*[CELLS] * len(HEADER)))
def test_two_answers_have_one_hash_exactly_when_all_their_cells_are_equal(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    header = read_header(HEADER, LIMITS)
    assert (row_hash(header, one) == row_hash(header, other)) == (one == other)


@settings(deadline=None)
@given(st.permutations(range(len(HEADER))), st.tuples(*[CELLS] * len(HEADER)))
def test_neither_the_order_of_the_columns_nor_the_spelling_of_titles_changes_the_hash(
    order: list[int], cells: tuple[str, ...]
) -> None:
    header = read_header(HEADER, LIMITS)
    moved = read_header([HEADER[place].upper().replace("_", " ") for place in order], LIMITS)
    assert row_hash(moved, [cells[place] for place in order]) == row_hash(header, cells)


def test_a_new_column_leaves_the_answers_what_they_were() -> None:
    header = read_header(HEADER, LIMITS)
    wider = read_header((*HEADER, "May we call you?"), LIMITS)
    assert row_hash(wider, (*answer(1), "")) == row_hash(header, answer(1))
    assert row_hash(wider, (*answer(1), "yes")) != row_hash(header, answer(1))


def test_notes_in_columns_without_a_title_are_no_part_of_an_answer() -> None:
    sheet = Sheet((*HEADER, "", ""), [(*answer(1), "", "called her on Monday"), ("",) * 11 + ("a note",)])
    records = read_records(io.BytesIO(sheet.csv()))
    header = read_header(next(records), LIMITS)
    assert list(read_answers(header, records)) == [answer(1)]
    assert header.titles == HEADER


def test_columns_of_the_same_title_are_told_apart() -> None:
    header = read_header((*HEADER, "Remarks", "remarks "), LIMITS)
    assert row_hash(header, (*answer(1), "a", "b")) != row_hash(header, (*answer(1), "b", "a"))


def test_a_person_is_known_by_the_employee_id_however_it_is_written() -> None:
    header = read_header(HEADER, LIMITS)
    hashes = {person_hash(header, answer(1, Employee_ID=text)) for text in ("628496", " 0628496 ", "628496.0")}
    assert len(hashes) == 1
    assert person_hash(header, answer(1, Employee_ID="  ")) is None


@settings(deadline=None)
@given(*[st.text("012.\u200b\xa0 ", max_size=6)] * 2)
@example("628496", "628496.00")
@example("628496.", "0628496")
@example("628496", "\u200b628496 ")
@example("0", "00.0")
def test_one_employee_id_of_the_contract_is_one_person_of_the_sheet(text: str, other: str) -> None:
    one, another = employee_ids(pa.array([text, other])).to_pylist()
    if one is not None and another is not None:
        assert (hash_of_id(text) == hash_of_id(other)) == (one == another)


def test_a_header_of_something_else_is_refused_and_named() -> None:
    with pytest.raises(SheetError, match="lacks Employee_ID") as error:
        read_header(("Name", "Age"), LIMITS)
    assert error.value.code == "header"


def test_a_changed_header_is_refused_and_the_change_is_named() -> None:
    with pytest.raises(SheetError, match=r"new: 'May we call you\?'; gone: 'Submission Date'"):
        check_same_columns((*HEADER[1:], "May we call you?"), HEADER, LIMITS)
    check_same_columns([title.lower() for title in reversed(HEADER)], HEADER, LIMITS)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (Sheet(rows=[answer(1)]).csv()[:-20], "cells instead of 10"),
        (Sheet(rows=[answer(1)]).csv() + b'\r\n"a quote that never', "no complete CSV"),
        (Sheet(rows=[answer(1)]).csv() + b"\xff\xfe", "no text in UTF-8"),
    ],
)
def test_a_sheet_that_was_cut_off_or_damaged_is_refused(content: bytes, what: str) -> None:
    records = read_records(io.BytesIO(content))
    header = read_header(next(records), LIMITS)
    with pytest.raises(SheetError, match=what) as error:
        list(read_answers(header, records))
    assert "Valerie" not in str(error.value)
