"""Excel workbooks: the first sheet's rows as text cells. Text files are read by `records.py`."""

import datetime
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook

from alumni_assets.survey.detection import FileFormat, Header, match_header
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.parsing import numbered_batch
from alumni_assets.survey.workbook_bombs import DamagedWorkbookError, refuse_bombs
from alumni_assets.survey_rules import LimitRules

_BATCH = 20_000
_INEXACT_FROM = 1e15
"""Numbers in workbooks have 15 digits: others are rounded, by whoever saved the workbook or here."""
_OF_ODD_FILES = (IndexError, OSError, EOFError, RuntimeError)
_UNTITLED = "(cells without a header)"
Cell = int | float | str | bool | datetime.time | datetime.date | datetime.datetime | datetime.timedelta


def detect_workbook(path: Path, limits: LimitRules) -> FileFormat:
    """Find the header in the first sheet of a workbook; raises `UnreadableUploadError`."""
    with _damage_told():
        refuse_bombs(path, limits)
    for record, row in enumerate(sheet_rows(path)):
        if any(text.strip() for text in row):
            return FileFormat("workbook", match_header(_without_empty_end(row), limits), record)
    raise UnreadableUploadError("empty", "The workbook's first sheet is empty. Export the answers again.")


def workbook_batches(path: Path, file_format: FileFormat) -> Iterator[pa.RecordBatch]:
    """The rows below the header as numbered text batches (see `parsing.NUMBERED_SCHEMA`)."""
    header = file_format.header
    rows = islice(sheet_rows(path), file_format.header_record + 1, None)
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


def sheet_rows(path: Path) -> Iterator[tuple[str, ...]]:
    """All rows of the first sheet from its very first, empty or not; of a workbook that `detect_workbook` let pass."""
    with _damage_told(), CalamineWorkbook.from_path(path) as workbook:
        for row in workbook.get_sheet_by_index(0).iter_rows():
            yield tuple(_text(cell) for cell in row)


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except (CalamineError, DamagedWorkbookError, zipfile.BadZipFile, zlib.error, *_OF_ODD_FILES) as error:
        raise UnreadableUploadError(
            "damaged_workbook",
            "The workbook cannot be opened: it is damaged, cut off, protected by a password, or no .xlsx file. "
            "Save it again as .xlsx without a password, or as CSV.",
        ) from error


def _text(cell: Cell) -> str:
    """A cell as the text that the survey's form would have exported.

    A number of more digits than workbooks keep is written as spreadsheets export it, such as 1.2e+17: as
    digits it would be an employee id, and that of somebody else.
    """
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell)) if abs(cell) < _INEXACT_FROM else f"{cell:.16e}"
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    return str(cell)
