"""Excel workbooks: the first sheet's rows as text cells. Text files are read by `records.py`."""

import datetime
import re
import zipfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook

from alumni_assets.survey.detection import FileFormat, Header, match_header
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.parsing import numbered_batch
from alumni_assets.survey_rules import LimitRules

_BATCH = 20_000
_UNTITLED = "(cells without a header)"
# Calamine lays out the whole rectangle up to the farthest cell, 32 bytes for each cell in it.
_MOST_CELLS = 30_000_000
_SCANNED = 1 << 20
_LONGEST_TAG = 1 << 10
_FAR_COLUMN = re.compile(rb"""<(?:\w+:)?c\b[^<]*?\br=["']([A-Z]{2,3})[0-9]""")
_FAR_ROW = re.compile(rb"""<(?:\w+:)?(?:c|row)\b[^<]*?\br=["'][A-Z]{0,3}([0-9]{6,})""")
Cell = int | float | str | bool | datetime.time | datetime.date | datetime.datetime | datetime.timedelta


def detect_workbook(path: Path, limits: LimitRules) -> FileFormat:
    """Find the header in the first sheet of a workbook; raises `UnreadableUploadError`."""
    for record, row in enumerate(sheet_rows(path, limits)):
        if any(text.strip() for text in row):
            return FileFormat("workbook", match_header(_without_empty_end(row), limits), record)
    raise UnreadableUploadError("empty", "The workbook's first sheet is empty. Export the answers again.")


def workbook_batches(path: Path, file_format: FileFormat, limits: LimitRules) -> Iterator[pa.RecordBatch]:
    """The rows below the header as numbered text batches (see `parsing.NUMBERED_SCHEMA`)."""
    header = file_format.header
    rows = islice(sheet_rows(path, limits), file_format.header_record + 1, None)
    number = 1
    while part := list(islice(rows, _BATCH)):
        yield _batch(part, number, header)
        number += len(part)


def _batch(rows: list[tuple[str, ...]], first: int, header: Header) -> pa.RecordBatch:
    width = len(header.titles)
    columns = [[row[position] if position < len(row) else "" for row in rows] for position in range(width)]
    surplus = [" ".join(cell for cell in row[width:] if cell.strip()) for row in rows]
    if any(surplus):
        header = Header((*header.titles, _UNTITLED), (*header.fields, None), header.unknown)
        columns.append(surplus)
    cells = [pa.array(column, pa.string()) for column in columns]
    return numbered_batch(cells, pa.array(range(first, first + len(rows)), pa.int64()), header)


def _without_empty_end(row: tuple[str, ...]) -> tuple[str, ...]:
    while row and not row[-1].strip():
        row = row[:-1]
    return row


def sheet_rows(path: Path, limits: LimitRules) -> Iterator[tuple[str, ...]]:
    """All rows of the first sheet from its very first, empty or not."""
    _refuse_bombs(path, limits)
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            for row in workbook.get_sheet_by_index(0).iter_rows():
                yield tuple(_text(cell) for cell in row)
    except (CalamineError, IndexError, OSError) as error:
        raise _damaged() from error


def _damaged() -> UnreadableUploadError:
    return UnreadableUploadError(
        "damaged_workbook",
        "The workbook cannot be opened: it is damaged, cut off, protected by a password, or no .xlsx file. "
        "Save it again as .xlsx without a password, or as CSV.",
    )


def _refuse_bombs(path: Path, limits: LimitRules) -> None:
    """Refuse a workbook that would take more memory than it is worth, before it is opened."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > limits.workbook_megabytes << 20:
                raise UnreadableUploadError(
                    "too_large",
                    f"The workbook unpacks to {unpacked >> 20:,} MB; at most {limits.workbook_megabytes:,} MB are "
                    "accepted. Save it as CSV.",
                )
            for member in archive.namelist():
                if member.endswith(".xml"):
                    with archive.open(member) as sheet:
                        _refuse_far_cells(sheet)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
        raise _damaged() from error


def _refuse_far_cells(sheet: IO[bytes]) -> None:
    """Refuse a sheet with a cell so far out that the empty ones before it would fill the memory."""
    columns, rows, tail = 26, 99_999, b""
    while chunk := sheet.read(_SCANNED):
        text = tail + chunk
        columns = max([columns, *(_column_number(letters) for letters in set(_FAR_COLUMN.findall(text)))])
        rows = max([rows, *(int(digits) for digits in set(_FAR_ROW.findall(text)))])
        tail = text[-_LONGEST_TAG:]
    if columns * rows > _MOST_CELLS:
        raise UnreadableUploadError(
            "too_large",
            "A cell far below or far to the right of the others makes a sheet of the workbook too large. Delete the "
            "empty rows and columns, or save the answers as CSV.",
        )


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _text(cell: Cell) -> str:
    """A cell as the text that the survey's form would have exported."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    return str(cell)
