"""The workbook of a correction file: the first rows, the cells to be mended marked, and a sheet that explains it.

Which columns it has is in `correction_columns.py`. Every cell is text, and comes back as it was; one that a workbook
cannot hold reads `KEPT`.
"""

import datetime
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_range, xl_range_abs
from xlsxwriter.worksheet import Worksheet

from alumni_assets.contract import BY_NAME, PROBLEMS_TITLE, ROW_TITLE, UPLOAD_TITLE, VOCABULARY_COLUMNS, Contract
from alumni_assets.survey.correction_columns import Column
from alumni_assets.survey.defusing import defused
from alumni_assets.survey.problem_sentences import numbers_of_problems, sentences_of
from alumni_assets.survey.row_ranges import runs

KEPT = "(as it came)"
"""Stands in the workbook for a cell that a workbook cannot hold; given back, it means the original cell."""

MOST_WORKBOOK_ROWS = 10_000
MOST_NOTES = 5_000
"""LibreOffice opens a workbook with so many notes in ten seconds; with four times as many it takes a minute."""

_LONGEST_CELL = 32_767
_LONGEST_NOTE = 2_000
_CELL_BYTES = 80
"""What a cell takes in the workbook besides its own text."""
_MOST_AREAS = 1_000
# What does not come back from a workbook as it was: a carriage return becomes a line feed in LibreOffice;
# xlsxwriter takes <r>…</r> for XML; two characters are not allowed in XML; and workbooks write control
# characters as _x0001_, so that text which looks nearly like that is taken for it.
_CONTROL = r"\x00-\x08\x0b-\x1f"
_HEX = "[0-9A-Fa-f]"
_UNWRITABLE = "|".join(
    (
        r"\r",
        r"(?s:^<r>.*</r>$)",
        r"[\x{FFFE}\x{FFFF}]",
        f"_[xX]{_HEX}{{1,3}}_",
        r"_[xX][0-9A-Fa-f+]*\+[0-9A-Fa-f+]*_",  # calamine takes the sign for one of the number
        f"_[xX]{_HEX}{{5,}}_",
        f"_[xX]{_HEX}{{4}}_[xX]{_HEX}+_",
        f"_[xX]{_HEX}+[{_CONTROL}]",
        f"[{_CONTROL}][xX]{_HEX}+_",
    )
)
_CREATED = datetime.datetime(2000, 1, 1)
_PROBLEMS_WIDTH, _HOW_TO_WIDTH = 60, 110
_LINE_HEIGHT = 15
_MARKED = "#FFD966"
_SHEET, _HOW_TO = "Corrections", "How to"
_KEPT_MEANS = (
    "is too long for a workbook, or has characters that a workbook cannot hold. Leave it and it stays as it came, or "
    "write over it. The CSV file beside this workbook shows all of it."
)
_STEPS = (
    "The sheet Corrections has rows of a survey file that could not be taken in. Please mend them:",
    "1. Mend the coloured cells. The column _problems says what is wrong; so does the note of each coloured cell.",
    "2. Rows that you cannot mend may stay as they are, or be deleted. They can be given back another time.",
    "3. Do not change the grey columns _upload and _row: they say which row each one is.",
    "4. Save the workbook, and keep it as .xlsx.",
    "5. Give it back: put it into the folder raw/, under any name, or send it to whoever gave it to you.",
    "",
    f"A cell that reads {KEPT} {_KEPT_MEANS}",
    "An apostrophe in front of a cell only keeps it from being taken for a formula. It goes by itself.",
)


@contextmanager
def correction_workbook(path: Path, columns: Sequence[Column], contract: Contract) -> Iterator["CorrectionWorkbook"]:
    """Write a workbook with these columns: `write` its rows, and `finish` it. Equal rows give equal bytes."""
    with xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)}) as book:
        book.set_properties({"title": "Corrections of survey rows", "created": _CREATED})
        yield CorrectionWorkbook(book, columns, contract)


def kept(array: pa.Array) -> pa.Array:
    """Which cells of a file that came back mean the original cell."""
    return pc.fill_null(pc.equal(array, KEPT), False)


class CorrectionWorkbook:
    """A workbook that is being written: what is marked in its rows, and where answers are offered."""

    def __init__(self, book: xlsxwriter.Workbook, columns: Sequence[Column], contract: Contract) -> None:
        self._rows = 0
        self._number_of_notes = 0
        self._book = book
        self._columns = columns
        self._contract = contract
        self._bytes_left = contract.rules.limits.workbook_megabytes << 19
        self._formats = _formats(book, columns)
        self._positions = {column.subject: position for position, column in enumerate(columns) if column.field}
        self._offered: dict[int, list[int]] = defaultdict(list)
        self._sheet = book.add_worksheet(_SHEET)
        self._begin(book.add_format({"num_format": "@", "bold": True, "bottom": 1}))

    def write(self, cells: Sequence[pa.Array], problems: pa.Array) -> None:
        """Add rows, as many as there is room for."""
        room = MOST_WORKBOOK_ROWS - self._rows if self._bytes_left > 0 else 0
        problems = problems.slice(0, room)
        cells = [
            _writable_upload(array) if position == self._positions[UPLOAD_TITLE] else array
            for position, array in enumerate(cells)
        ]
        masks = [_unwritable(array.slice(0, room)) for array in cells]
        cells = [pc.if_else(mask, KEPT, array.slice(0, room)) for mask, array in zip(masks, cells, strict=True)]
        number = self._fitting(cells)
        texts = [array.slice(0, number).to_pylist() for array in cells]
        is_kept = [mask.to_pylist() for mask in masks]
        for row, notes in enumerate(self._notes(problems.slice(0, number))):
            self._rows += 1
            _make_room(self._sheet, self._rows, texts[self._positions[PROBLEMS_TITLE]][row], _PROBLEMS_WIDTH)
            for position, column in enumerate(texts):
                self._write_cell(position, column[row], notes.get(position), is_kept[position][row])

    def finish(self, rows: int) -> None:
        """Write the second sheet, and offer the possible answers where they are asked for; `rows` there are in all."""
        answers = _write_how_to(self._book, self._contract, self._left_out(rows))
        last = len(self._columns) - 1
        self._sheet.autofilter(0, 0, self._rows, last)
        self._sheet.ignore_errors({"number_stored_as_text": xl_range(0, 0, self._rows, last)})
        for position, offered in self._offered.items():
            areas = [[first, position, end, position] for first, end in runs(offered)]
            for start in range(0, len(areas), _MOST_AREAS):
                some = areas[start : start + _MOST_AREAS]
                self._sheet.data_validation(*some[0], _choice(answers[self._columns[position].field or ""], some[1:]))

    def _begin(self, bold: Format) -> None:
        for position, (column, title) in enumerate(zip(self._columns, _sheet_titles(self._columns), strict=True)):
            self._sheet.set_column(position, position, _width(column), self._formats[position][0])
            self._sheet.write_string(0, position, title, bold)
        self._sheet.freeze_panes(1, 0)

    def _fitting(self, cells: Sequence[pa.Array]) -> int:
        """How many of the rows fit into a workbook that may be uploaded again; after one that does not, none do."""
        size = np.zeros(len(cells[0]), np.int64)
        for array in cells:
            length = pc.binary_length(array).to_numpy()
            size = size + length + _CELL_BYTES * (length > 0)
        total = np.cumsum(size)
        number = int(np.searchsorted(total, self._bytes_left, "right"))
        self._bytes_left -= int(total[min(number, len(total) - 1)]) if len(total) else 0
        return number

    def _notes(self, problems: pa.Array) -> Iterator[dict[int, list[str]]]:
        """For each row the sentences of its problems, by the position of the column that they are about."""
        flat = problems.flatten()
        titles, sentences = pc.struct_field(flat, "column"), sentences_of(flat, self._contract)
        found = zip(titles.to_pylist(), sentences.to_pylist(), strict=True)
        for length in numbers_of_problems(problems).tolist():
            notes: dict[int, list[str]] = defaultdict(list)
            for title, sentence in islice(found, length):
                notes[self._positions.get(title, self._positions[PROBLEMS_TITLE])].append(sentence)
            yield notes

    def _write_cell(self, position: int, text: str, sentences: list[str] | None, is_kept: bool) -> None:
        column = self._columns[position]
        cell_format = self._formats[position][1 if sentences else 0]
        if text:
            self._sheet.write_string(self._rows, position, text, cell_format)
        elif sentences:
            self._sheet.write_blank(self._rows, position, None, cell_format)
        if sentences and column.field in VOCABULARY_COLUMNS:
            self._offered[position].append(self._rows)
        lines = [*(sentences or ()), *([f"This cell {_KEPT_MEANS}"] if is_kept else ())]
        if lines and column.field != PROBLEMS_TITLE:
            self._write_note(position, "\n".join(lines)[:_LONGEST_NOTE])

    def _write_note(self, position: int, text: str) -> None:
        self._number_of_notes += 1
        if self._number_of_notes <= MOST_NOTES:
            size = {"width": 320, "height": 40 + 16 * (len(text) // 50)}
            self._sheet.write_comment(self._rows, position, text, size)

    def _left_out(self, rows: int) -> list[str]:
        """What a person has to know of that is not in the workbook."""
        lines = []
        if self._rows < rows:
            lines.append(
                f"This workbook has the first {self._rows:,} of {rows:,} rows. The CSV file beside it has all of them."
            )
        if self._number_of_notes > MOST_NOTES:
            lines.append(f"Only the first {MOST_NOTES:,} coloured cells have notes. For the others, see _problems.")
        return lines


def _writable_upload(uploads: pa.Array) -> pa.Array:
    """Ids of uploads; of one that a workbook cannot hold only what comes after its name, such as `@1a2b3c4d`."""
    short = pc.replace_substring_regex(uploads, r"^(?s:.*)@", "@")
    return pc.if_else(_unwritable(uploads), short, uploads)


def _unwritable(array: pa.Array) -> pa.Array:
    """Which cells would not come back from a workbook as they are."""
    units = pc.add(pc.utf8_length(array), pc.count_substring_regex(array, r"[\x{10000}-\x{10FFFF}]"))
    return pc.or_(pc.match_substring_regex(array, _UNWRITABLE), pc.greater(units, _LONGEST_CELL))


def _sheet_titles(columns: Sequence[Column]) -> list[str]:
    """The titles, where a workbook can hold them; the contract's own or the number of the column where not."""
    titles = defused(pa.array([column.title for column in columns], pa.string()))
    plain = [some.subject if some.field else f"(column {number})" for number, some in enumerate(columns, 1)]
    return pc.if_else(_unwritable(titles), pa.array(plain, pa.string()), titles).to_pylist()


def _width(column: Column) -> int:
    widths = {UPLOAD_TITLE: 24, ROW_TITLE: 8, PROBLEMS_TITLE: _PROBLEMS_WIDTH}
    return widths.get(column.field or "", min(max(len(column.title) + 4, 14), 40))


def _make_room(sheet: Worksheet, row: int, text: str, width: int) -> None:
    """Make a row so high that a text can be read in a column of that width: LibreOffice does not by itself."""
    lines = sum(1 + len(line) // width for line in text.split("\n"))
    if lines > 1:
        sheet.set_row(row, min(_LINE_HEIGHT * lines, 400))


def _formats(book: xlsxwriter.Workbook, columns: Sequence[Column]) -> list[tuple[Format, Format]]:
    """For each column how its cells look, and how the ones that are to be mended do."""

    def text(**looks: object) -> Format:
        return book.add_format({"num_format": "@", "valign": "top", **looks})

    grey = text(font_color="#7F7F7F", bg_color="#EDEDED")
    plain, wrapped = text(), text(text_wrap=True)
    marked, marked_wrapped = text(bg_color=_MARKED), text(bg_color=_MARKED, text_wrap=True)
    special = {UPLOAD_TITLE: (grey, marked), ROW_TITLE: (grey, marked), PROBLEMS_TITLE: (wrapped, marked_wrapped)}
    return [special.get(column.field or "", (plain, marked)) for column in columns]


def _choice(answers: str, other_areas: list[list[int]]) -> dict[str, Any]:
    return {
        "validate": "list",
        "source": answers,
        "error_type": "warning",
        "error_title": "Not a possible answer",
        "error_message": "This is not one of the answers in the list.",
        "other_cells": other_areas,
    }


def _write_how_to(book: xlsxwriter.Workbook, contract: Contract, left_out: Sequence[str]) -> dict[str, str]:
    """Write the second sheet; returns where it has the possible answers for each closed vocabulary."""
    sheet = book.add_worksheet(_HOW_TO)
    plain = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
    bold = book.add_format({"num_format": "@", "bold": True})
    sheet.set_column(0, 0, _HOW_TO_WIDTH, plain)
    lines = [(step, plain) for step in (*_STEPS, *left_out)]
    areas = {}
    for name in VOCABULARY_COLUMNS:
        words = defused(pa.array(contract.vocabulary(name), pa.string())).to_pylist()
        lines += [("", plain), (f"Possible answers for {BY_NAME[name].header}:", bold)]
        areas[name] = f"='{_HOW_TO}'!{xl_range_abs(len(lines), 0, len(lines) + max(len(words), 1) - 1, 0)}"
        lines += [(word, plain) for word in words]
    for number, (line, looks) in enumerate(lines):
        _make_room(sheet, number, line, _HOW_TO_WIDTH)
        sheet.write_string(number, 0, line, looks)
    return areas
