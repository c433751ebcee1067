"""The answers of a sheet as cells: its header, which records are answers, and what makes two of them equal.

Pure: where the sheet comes from is in `reading.py`, which answers are new in `checkpoint.py`.
"""

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from alumni_assets.sheet.errors import SheetError
from alumni_assets.survey.detection import match_header
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey_rules import LimitRules

ROW_BYTES = 16
PERSON_BYTES = 8
LINE_BREAK = "\r\n"


@dataclass(frozen=True)
class SheetHeader:
    """The columns of a sheet that have a title; notes beside the answers, in columns without one, have no part.

    `positions` are theirs in a record of `width` cells. `names` tell columns apart whatever the case, spaces
    and underscores of the titles.
    """

    titles: tuple[str, ...]
    names: tuple[str, ...]
    positions: tuple[int, ...]
    width: int

    def cells(self, record: Sequence[str]) -> tuple[str, ...]:
        """The cells of these columns in a record."""
        return tuple(record[position] for position in self.positions)


def read_header(record: Sequence[str], limits: LimitRules) -> SheetHeader:
    """The header of a sheet from its first record. Raises `SheetError` when it is none of the survey's."""
    positions = tuple(position for position, title in enumerate(record) if title.strip())
    titles = tuple(record[position] for position in positions)
    return SheetHeader(titles, column_names(titles, limits), positions, len(record))


def column_names(titles: Sequence[str], limits: LimitRules) -> tuple[str, ...]:
    """A name for each column: the contract's where it has one, else the title without case and spaces.

    Raises `SheetError` when a required column is missing or a column of the contract comes twice.
    """
    try:
        fields = match_header(tuple(titles), limits).fields
    except UnreadableUploadError as error:
        raise SheetError(
            "header", f"The sheet's first row is not the survey's header. {error.message} Nothing was exported."
        ) from error
    names: list[str] = []
    for title, field in zip(titles, fields, strict=True):
        name = f"={field}" if field else re.sub(r"[\s_]+", "", title).casefold()
        names.append(f"{name}#{names.count(name) + 1}" if name in names else name)
    return tuple(names)


def check_same_columns(titles: Sequence[str], earlier: Sequence[str], limits: LimitRules) -> None:
    """Raise `SheetError`, naming the columns, when they are not those of earlier exports, in any order."""
    now = dict(zip(column_names(titles, limits), titles, strict=True))
    before = dict(zip(column_names(earlier, limits), earlier, strict=True))
    added = [_shown(title) for name, title in now.items() if name not in before]
    gone = [_shown(title) for name, title in before.items() if name not in now]
    if not added and not gone:
        return
    changes = [f"new: {', '.join(added)}"] * bool(added) + [f"gone: {', '.join(gone)}"] * bool(gone)
    raise SheetError(
        "header_changed",
        f"The sheet's header has changed ({'; '.join(changes)}). Nothing was exported. Undo the change in the "
        "sheet; or, if it is meant to be, materialize sheet_answers once with accept_header set to true.",
    )


def read_records(stream: BinaryIO) -> Iterator[list[str]]:
    """The records of a sheet as CSV, blank ones left out. Raises `SheetError` where the CSV is broken."""
    try:
        for record in csv.reader(_lines(stream), strict=True):
            if any(cell.strip() for cell in record):
                yield record
    except csv.Error as error:
        raise SheetError(
            "broken_csv", f"What came as the sheet is no complete CSV ({error}). Nothing was exported."
        ) from error
    except UnicodeDecodeError as error:
        raise SheetError("broken_csv", "What came as the sheet is no text in UTF-8. Nothing was exported.") from error


def read_answers(header: SheetHeader, records: Iterable[list[str]]) -> Iterator[tuple[str, ...]]:
    """The answers among the records below the header: their cells under the header's titles.

    Raises `SheetError` for a record that has not as many cells as the header.
    """
    for record in records:
        if len(record) != header.width:
            raise SheetError(
                "broken_csv",
                f"A row of the sheet came with {len(record):,} cells instead of {header.width:,}, as if the "
                "transfer had been cut off. Nothing was exported.",
            )
        cells = header.cells(record)
        if any(cell.strip() for cell in cells):
            yield cells


def row_hash(header: SheetHeader, cells: Sequence[str]) -> bytes:
    """What identifies an answer: all that it says, whatever the order of the columns.

    Empty cells have no part in it, so that a new column leaves the answers what they were.
    """
    digest = hashlib.sha256()
    for name, cell in sorted(zip(header.names, cells, strict=True)):
        if cell:
            for part in (name.encode(), cell.encode()):
                digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()[:ROW_BYTES]


def person_hash(header: SheetHeader, cells: Sequence[str]) -> bytes | None:
    """What identifies whose answer it is: the employee id. None where that is empty."""
    return hash_of_id(cells[header.names.index("=employee_id")])


def hash_of_id(text: str) -> bytes | None:
    """What identifies whose answer has this employee id, however it is written. None for an empty one."""
    employee_id = _in_one_spelling(text)
    return hashlib.sha256(employee_id.encode()).digest()[:PERSON_BYTES] if employee_id else None


def _in_one_spelling(employee_id: str) -> str:
    """An employee id as the contract reads it: see `cells.whole_number_text`. What is none is told apart as well."""
    tidied = "".join(char for char in employee_id if unicodedata.category(char) != "Cf").strip()
    number = re.fullmatch(r"([0-9]+)(?:\.0*)?", tidied)
    return number[1].lstrip("0") or "0" if number else tidied.removesuffix(".0").lstrip("0").casefold()


def as_upload(header: SheetHeader, answers: Iterable[Sequence[str]]) -> bytes:
    """Answers as an upload: CSV that reads back as exactly these cells, below the sheet's header."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=LINE_BREAK)
    writer.writerow(header.titles)
    writer.writerows(answers)
    return text.getvalue().encode()


def _lines(stream: BinaryIO) -> Iterator[str]:
    """The lines as text; UTF-8, unlike other encodings, may be cut at line breaks before it is decoded."""
    for number, line in enumerate(stream):
        yield line.decode("utf-8" if number else "utf-8-sig")


def _shown(title: str) -> str:
    bounded = title.strip() if len(title) <= 60 else f"{title[:60]}…"
    return repr(bounded)
