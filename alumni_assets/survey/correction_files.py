"""Correction files: the invalid rows of one upload for a person to mend, as a workbook and as CSV.

Both have the same columns: which row of which upload it is, what is wrong with it, and then the upload's own
columns. Every cell is text, as it came but defused (`defusing.py`). The workbook has the first rows only, marks the
cells that are to be mended and explains itself; the CSV beside it has all rows. What becomes of the files that come
back is in `stages/corrections.py`.
"""

import datetime
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from pyarrow import csv as pacsv
from pyarrow import json as pajson
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_range, xl_range_abs
from xlsxwriter.worksheet import Worksheet

from alumni_assets.contract import (
    BY_NAME,
    CORRECTION_TITLES,
    NAMES,
    PROBLEMS_TITLE,
    ROW_TITLE,
    UPLOAD_TITLE,
    VOCABULARY_COLUMNS,
    Code,
    Contract,
)
from alumni_assets.survey.cells import by_distinct
from alumni_assets.survey.defusing import defused
from alumni_assets.survey.detection import Header
from alumni_assets.survey.parsing import other_titles

KEPT = "(as it came)"
"""Stands in the workbook for a cell that a workbook cannot hold; given back, it means the original cell."""

MOST_WORKBOOK_ROWS = 10_000
MOST_NOTES = 5_000
"""LibreOffice opens a workbook with so many notes in ten seconds; with four times as many it takes a minute."""

Batches = Callable[[], Iterator[pa.RecordBatch]]

_MOST_FURTHER_COLUMNS = 20
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
_KEPT_NOTE = (
    f"This cell is too long for a workbook, or has characters that a workbook cannot hold. Leave {KEPT} and it stays "
    "as it came, or write over it. The CSV file beside this workbook shows all of it."
)
_STEPS = (
    "The sheet Corrections has rows of a survey file that could not be taken in. Please mend them:",
    "1. Mend the coloured cells. The column _problems says what is wrong; so does the note of each coloured cell.",
    "2. Rows that you cannot mend may stay as they are, or be deleted. They can be given back another time.",
    "3. Do not change the grey columns _upload and _row: they say which row each one is.",
    "4. Save the workbook, and keep it as .xlsx.",
    "5. Give it back: put it into the folder raw/, under any name, or send it to whoever gave it to you.",
    "",
    f"A cell that reads {KEPT} is too long for a workbook, or has characters that a workbook cannot hold. Leave it "
    "and it stays as it came, or write over it. The CSV file beside this workbook shows all of it.",
    "An apostrophe in front of a cell only keeps it from being taken for a formula. It goes by itself.",
)


@dataclass(frozen=True)
class _Column:
    """A column of the file. `field` is one of `CORRECTION_TITLES`, a name of the contract, or None.

    `key` is the title under which `other_columns` has the cells of a column that the contract does not have.
    """

    title: str
    field: str | None = None
    key: str = ""


def write_correction_files(batches: Batches, header: Header, contract: Contract, xlsx: Path, csv: Path) -> None:
    """Write the invalid rows of one upload, as a workbook and as CSV; equal rows give equal bytes.

    `batches` gives the rows anew each time it is called, in batches that have at least the columns of
    `contract_arrow.INVALID_SCHEMA`; `header` is the upload's. A row that a correction brought back is shown
    as the row of the upload that it corrects. Both files are overwritten; nothing else stays behind.
    """
    columns = _columns(batches(), header)
    with _workbook(xlsx) as book, _csv_writer(csv, columns) as write_csv:
        sheet = _Corrections(book, columns, contract)
        rows = 0
        for batch in batches():
            sentences = problem_sentences(batch["problems"], contract)
            shown = [defused(cells) for cells in _cells(batch, columns, sentences)]
            write_csv(shown)
            sheet.write(shown, batch["problems"])
            rows += batch.num_rows
        sheet.finish(_write_how_to(book, contract, _left_out(sheet, rows)))


def problem_sentences(problems: pa.Array, contract: Contract | None = None) -> pa.Array:
    """For each list of problems its sentences, one on each line; null stays null.

    With a contract, an answer that is in no closed list and near none of it gets the possible answers.
    """
    sentences = _sentences(problems.flatten(), contract)
    offsets = pa.array(np.concatenate([[0], np.cumsum(_lengths(problems))]), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, sentences, mask=pc.is_null(problems))
    return pc.binary_join(lists, "\n")


def _writable_upload(uploads: pa.Array) -> pa.Array:
    """Ids of uploads; of one that a workbook cannot hold only what comes after its name, such as `@1a2b3c4d`."""
    short = pc.replace_substring_regex(uploads, r"^(?s:.*)@", "@")
    return pc.if_else(_unwritable(uploads), short, uploads)


def kept(array: pa.Array) -> pa.Array:
    """Which cells of a file that came back mean the original cell."""
    return pc.fill_null(pc.equal(array, KEPT), False)


def _sentences(problems: pa.StructArray, contract: Contract | None) -> pa.Array:
    def part(name: str) -> pa.Array:
        return pc.struct_field(problems, name)

    column = pc.fill_null(part("column"), "")
    subject = pc.if_else(pc.equal(column, ""), "", pc.binary_join_element_wise(column, "", ": "))
    guess = pc.binary_join_element_wise(" Did you mean ", part("suggestion"), "?", "")
    if contract is not None:
        in_no_list = pc.fill_null(pc.equal(part("code"), Code.NOT_IN_LIST.value), False)
        answers = by_distinct(
            column, lambda some: pa.array([_answers(title, contract) for title in some.to_pylist()], pa.string())
        )
        guess = pc.coalesce(guess, pc.if_else(in_no_list, answers, ""))
    return pc.binary_join_element_wise(subject, pc.fill_null(part("message"), ""), pc.fill_null(guess, ""), "")


def _answers(title: str, contract: Contract) -> str:
    words = next((contract.vocabulary(name) for name in VOCABULARY_COLUMNS if BY_NAME[name].header == title), ())
    return f" It is one of: {', '.join(words)}." if words else ""


def _columns(batches: Iterator[pa.RecordBatch], header: Header) -> tuple[_Column, ...]:
    """The file's columns: where a row belongs, what is wrong, the upload's own, and what some rows have besides."""
    keys = other_titles(header)
    own = [
        _own_column(title, name, keys.get(position, ""))
        for position, (title, name) in enumerate(zip(header.titles, header.fields, strict=True))
        if name not in CORRECTION_TITLES and not _is_mark(title)
    ]
    lacking = [name for name in NAMES if name not in header.fields]
    needed, further = _further(batches, lacking, list(dict.fromkeys(keys.values())))
    return (
        *(_Column(title, title) for title in CORRECTION_TITLES),
        *own,
        *(_Column(BY_NAME[name].header, name) for name in needed),
        *(_Column(key, key=key) for key in further if not _is_mark(key)),
    )


def _own_column(title: str, name: str | None, key: str) -> _Column:
    """A column of the upload under its own title; one without a title of its own gets one that no other has."""
    return _Column(title, name) if name else _Column(title if title.strip() == key else key, key=key)


def _is_mark(title: str) -> bool:
    return title.strip().casefold() in CORRECTION_TITLES


def _further(
    batches: Iterator[pa.RecordBatch], lacking: Sequence[str], keys: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Which of the lacking columns some rows need, and the keys of cells that have no column in the header."""
    needed: set[str] = set()
    further: dict[str, None] = {}
    for batch in batches:
        troubled = set(pc.unique(pc.struct_field(batch["problems"].flatten(), "column")).to_pylist())
        needed |= {name for name in lacking if BY_NAME[name].header in troubled or _is_filled(batch[name])}
        if batch["other_columns"].null_count < batch.num_rows:
            names = _objects(batch["other_columns"], (*keys, *further), "infer").column_names
            further |= dict.fromkeys(name for name in names if name not in keys)
    return [name for name in lacking if name in needed], list(further)[:_MOST_FURTHER_COLUMNS]


def _is_filled(array: pa.Array) -> bool:
    return bool(pc.any(pc.not_equal(array, "")).as_py())


def _objects(texts: pa.Array, keys: Sequence[str], others: Literal["infer", "ignore"]) -> pa.Table:
    """JSON objects as a table with a column for each key; null is an object without any."""
    lines = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), pc.fill_null(texts, "{}"))
    data = pc.binary_join(lines, "\n")[0].as_buffer()
    schema = pa.schema([(key, pa.string()) for key in keys])
    try:
        return pajson.read_json(
            pa.BufferReader(data),
            read_options=pajson.ReadOptions(use_threads=False, block_size=data.size + 1),
            parse_options=pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior=others),
        )
    except pa.ArrowInvalid:  # a key that comes twice in an object, as two columns with the same title may make it
        rows = [json.loads(text) for text in pc.fill_null(texts, "{}").to_pylist()]
        names = dict.fromkeys([*keys, *(key for row in rows if others == "infer" for key in row)])
        return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def _cells(batch: pa.RecordBatch, columns: Sequence[_Column], sentences: pa.Array) -> list[pa.Array]:
    """The text of each column of the file; what a row does not have is empty."""
    upload, row = _origin(batch)
    by_field = {UPLOAD_TITLE: upload, ROW_TITLE: row, PROBLEMS_TITLE: sentences}
    by_field |= {name: batch[name] for name in NAMES}
    keys = list(dict.fromkeys(column.key for column in columns if column.field is None))
    by_key = _other_cells(batch["other_columns"], keys)
    return [
        pc.fill_null(by_key[column.key] if column.field is None else by_field[column.field], "") for column in columns
    ]


def _origin(batch: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
    """The upload and the number of each row; of a row that a correction brought back, those that it corrects.

    One that names no row of that upload has no number: a person has to find it.
    """
    upload, row = batch["upload"], batch["source_row"]
    if {"corrects", "corrects_row"} <= set(batch.schema.names):
        row = pc.if_else(pc.is_valid(batch["corrects"]), batch["corrects_row"], row)
        upload = pc.coalesce(batch["corrects"], upload)
    return upload, pc.fill_null(pc.cast(row, pa.string()), "")


def _other_cells(texts: pa.Array, keys: Sequence[str]) -> Mapping[str, pa.Array]:
    if not keys or texts.null_count == len(texts):
        return dict.fromkeys(keys, pa.nulls(len(texts), pa.string()))
    table = _objects(texts, keys, "ignore")
    return {key: table.column(key).combine_chunks() for key in keys}


@contextmanager
def _csv_writer(path: Path, columns: Sequence[_Column]) -> Iterator[Callable[[list[pa.Array]], None]]:
    """Writes columns of text as CSV that Excel opens as what it is: with a byte-order mark, all cells quoted."""
    titles = defused(pa.array([column.title for column in columns], pa.string())).to_pylist()
    schema = pa.schema([pa.field(title, pa.string()) for title in titles])
    options = pacsv.WriteOptions(quoting_style="all_valid", quoting_header="all_valid", eol="\r\n")
    with path.open("wb") as sink:
        sink.write(b"\xef\xbb\xbf")
        with pacsv.CSVWriter(sink, schema, write_options=options) as writer:
            yield lambda cells: writer.write_batch(pa.RecordBatch.from_arrays(cells, schema=schema))


@contextmanager
def _workbook(path: Path) -> Iterator[xlsxwriter.Workbook]:
    with xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)}) as book:
        book.set_properties({"title": "Corrections of survey rows", "created": _CREATED})
        yield book


class _Corrections:
    """The workbook's first sheet: its rows, what is marked in them, and where answers are offered."""

    def __init__(self, book: xlsxwriter.Workbook, columns: Sequence[_Column], contract: Contract) -> None:
        self.rows = 0
        self.notes = 0
        self._columns = columns
        self._contract = contract
        self._bytes_left = contract.rules.limits.workbook_megabytes << 19
        self._formats = _formats(book, columns)
        self._positions = {_subject(column): position for position, column in enumerate(columns) if column.field}
        self._offered: dict[int, list[int]] = defaultdict(list)
        self._sheet = book.add_worksheet(_SHEET)
        self._begin(book.add_format({"num_format": "@", "bold": True, "bottom": 1}))

    def write(self, cells: Sequence[pa.Array], problems: pa.Array) -> None:
        """Add rows, as many as there is room for."""
        room = MOST_WORKBOOK_ROWS - self.rows if self._bytes_left > 0 else 0
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
            self.rows += 1
            _make_room(self._sheet, self.rows, texts[self._positions[PROBLEMS_TITLE]][row], _PROBLEMS_WIDTH)
            for position, column in enumerate(texts):
                self._write_cell(position, column[row], notes.get(position), is_kept[position][row])

    def finish(self, answers: Mapping[str, str]) -> None:
        """Offer the possible answers where they are asked for, each list from its place in the workbook."""
        last = len(self._columns) - 1
        self._sheet.autofilter(0, 0, self.rows, last)
        self._sheet.ignore_errors({"number_stored_as_text": xl_range(0, 0, self.rows, last)})
        for position, rows in self._offered.items():
            areas = [[first, position, end, position] for first, end in _runs(rows)]
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
        titles, sentences = pc.struct_field(flat, "column"), _sentences(flat, self._contract)
        found = zip(titles.to_pylist(), sentences.to_pylist(), strict=True)
        for length in _lengths(problems).tolist():
            notes: dict[int, list[str]] = defaultdict(list)
            for title, sentence in islice(found, length):
                notes[self._positions.get(title, self._positions[PROBLEMS_TITLE])].append(sentence)
            yield notes

    def _write_cell(self, position: int, text: str, sentences: list[str] | None, is_kept: bool) -> None:
        column = self._columns[position]
        cell_format = self._formats[position][1 if sentences else 0]
        if text:
            self._sheet.write_string(self.rows, position, text, cell_format)
        elif sentences:
            self._sheet.write_blank(self.rows, position, None, cell_format)
        if sentences and column.field in VOCABULARY_COLUMNS:
            self._offered[position].append(self.rows)
        lines = [*(sentences or ()), *([_KEPT_NOTE] if is_kept else ())]
        if lines and column.field != PROBLEMS_TITLE:
            self._write_note(position, "\n".join(lines)[:_LONGEST_NOTE])

    def _write_note(self, position: int, text: str) -> None:
        self.notes += 1
        if self.notes <= MOST_NOTES:
            size = {"width": 320, "height": 40 + 16 * (len(text) // 50)}
            self._sheet.write_comment(self.rows, position, text, size)


def _lengths(problems: pa.Array) -> np.ndarray:
    return pc.fill_null(pc.list_value_length(problems), 0).to_numpy(zero_copy_only=False).astype(np.int64)


def _unwritable(array: pa.Array) -> pa.Array:
    """Which cells would not come back from a workbook as they are."""
    units = pc.add(pc.utf8_length(array), pc.count_substring_regex(array, r"[\x{10000}-\x{10FFFF}]"))
    return pc.or_(pc.match_substring_regex(array, _UNWRITABLE), pc.greater(units, _LONGEST_CELL))


def _subject(column: _Column) -> str:
    """What problems call a column."""
    return BY_NAME[column.field].header if column.field in BY_NAME else column.title


def _sheet_titles(columns: Sequence[_Column]) -> list[str]:
    """The titles, where a workbook can hold them; the contract's own or the number of the column where not."""
    titles = defused(pa.array([column.title for column in columns], pa.string()))
    plain = [_subject(some) if some.field else f"(column {number})" for number, some in enumerate(columns, 1)]
    return pc.if_else(_unwritable(titles), pa.array(plain, pa.string()), titles).to_pylist()


def _width(column: _Column) -> int:
    widths = {UPLOAD_TITLE: 24, ROW_TITLE: 8, PROBLEMS_TITLE: _PROBLEMS_WIDTH}
    return widths.get(column.field or "", min(max(len(column.title) + 4, 14), 40))


def _make_room(sheet: Worksheet, row: int, text: str, width: int) -> None:
    """Make a row so high that a text can be read in a column of that width: LibreOffice does not by itself."""
    lines = sum(1 + len(line) // width for line in text.split("\n"))
    if lines > 1:
        sheet.set_row(row, min(_LINE_HEIGHT * lines, 400))


def _formats(book: xlsxwriter.Workbook, columns: Sequence[_Column]) -> list[tuple[Format, Format]]:
    """For each column how its cells look, and how the ones that are to be mended do."""

    def text(**looks: object) -> Format:
        return book.add_format({"num_format": "@", "valign": "top", **looks})

    grey = text(font_color="#7F7F7F", bg_color="#EDEDED")
    plain, wrapped = text(), text(text_wrap=True)
    marked, marked_wrapped = text(bg_color=_MARKED), text(bg_color=_MARKED, text_wrap=True)
    special = {UPLOAD_TITLE: (grey, marked), ROW_TITLE: (grey, marked), PROBLEMS_TITLE: (wrapped, marked_wrapped)}
    return [special.get(column.field or "", (plain, marked)) for column in columns]


def _runs(rows: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as runs from first to last."""
    numbers = np.array(rows)
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 2) > 1)
    ends = np.append(starts[1:], len(numbers)) - 1
    return list(zip(numbers[starts].tolist(), numbers[ends].tolist(), strict=True))


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


def _left_out(sheet: _Corrections, rows: int) -> list[str]:
    """What a person has to know of that is not in the workbook."""
    lines = []
    if sheet.rows < rows:
        lines.append(
            f"This workbook has the first {sheet.rows:,} of {rows:,} rows. The CSV file beside it has all of them."
        )
    if sheet.notes > MOST_NOTES:
        lines.append(f"Only the first {MOST_NOTES:,} coloured cells have notes. For the others, see _problems.")
    return lines
