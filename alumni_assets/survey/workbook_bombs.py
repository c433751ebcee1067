"""Workbooks that would take more memory than they are worth: refused before calamine, which reads them, opens one.

Calamine lays out the whole rectangle up to the farthest cell, makes room for as many shared strings as are announced,
and has a copy of a shared string for each cell that shows it: a workbook of a few kilobytes could end the process. Here
a strict parser that keeps nothing goes through its parts first, and counts as calamine does. What the cells say is read
in `workbooks.py`.
"""

import zipfile
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar
from xml.parsers import expat

from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey_rules import LimitRules

_MOST_CELLS = 30_000_000  # calamine takes 32 bytes for each, and nearly as many for a shared string
_MOST_SHARED_BYTES = 1 << 30
_READ_AT_ONCE = 8 << 20
# A part that calamine finds cells or shared strings in has one of these, and has to be sound.
_TELLING = (b"sheetData", b"<sst", b":sst")
_LONGEST_TELLING = 9
# By these calamine knows OpenDocument's and Excel's binary workbooks, which it would read under any name.
_OF_OTHER_KINDS = {"mimetype", "content.xml", "xl/workbook.bin"}
# Where calamine looks for them: how far below a sheet's `sheetData`. There is no second one in it.
_IN_SHEETS = {"row": 1, "c": 2, "sheetData": None}
_COUNTED = {*_IN_SHEETS, "si", "sst"}
_DIGITS = "0123456789"
_MOST_DIGITS = 18


C = TypeVar("C")


class DamagedWorkbookError(Exception):
    """A part of a workbook is not what such a part is."""


def refuse_bombs(path: Path, limits: LimitRules) -> None:
    """Raise `UnreadableUploadError` for a workbook that is too large when unpacked, or would be when read.

    Raises `DamagedWorkbookError`, and what `zipfile` and `zlib` raise, for one that is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        if _OF_OTHER_KINDS & {name.lower() for name in archive.namelist()}:
            raise DamagedWorkbookError
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > limits.workbook_megabytes << 20:
            raise UnreadableUploadError(
                "too_large",
                f"The workbook unpacks to {unpacked >> 20:,} MB; at most {limits.workbook_megabytes:,} MB are "
                "accepted. Save it as CSV.",
            )
        # All parts: any may be a sheet whatever its name, and of any the directory may say a wrong size.
        parts = [_counted(archive, member, _Extent) for member in archive.infolist()]
        if any(part.rows * part.columns > _MOST_CELLS for part in parts):
            raise UnreadableUploadError(
                "too_large",
                "A cell far below or far to the right of the others makes a sheet of the workbook too large. Delete "
                "the empty rows and columns, or save the answers as CSV.",
            )
        if any(max(part.announced_strings, len(part.lengths)) > _MOST_CELLS for part in parts):
            raise DamagedWorkbookError
        if _shared_bytes(archive, parts) > _MOST_SHARED_BYTES:
            raise UnreadableUploadError(
                "too_large", "Long texts stand in too many cells of the workbook. Save the answers as CSV."
            )


class _Extent:
    """How far out the cells of a part are, in `rows` and `columns`, and what strings are shared.

    `showing` counts the cells that show one; `lengths` are the strings' in bytes, markup included.
    """

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.rows = self.columns = self.showing = self.announced_strings = 0
        self.lengths = array("I")
        self._parser = parser
        self._kinds = _LocalNames()
        self._depth = self._sheet_depth = 0
        self._row = self._column = 0  # the place of the next cell that does not say its own, from 0
        self._string_at: int | None = None
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        kind = self._kinds[name]
        if kind is None:
            return
        if kind in _IN_SHEETS and self._sheet_depth:
            _require(self._depth - self._sheet_depth == _IN_SHEETS[kind])
            self._count(kind, attributes)
        elif kind == "sheetData":
            self._sheet_depth = self._depth
        elif kind == "si":
            _require(self._string_at is None)
            self._string_at = self._parser.CurrentByteIndex
        elif kind == "sst":
            self.announced_strings = max(self.announced_strings, _number(attributes.get("uniqueCount", "")))

    def _end(self, name: str) -> None:
        self._depth -= 1
        kind = self._kinds[name]
        if kind is None:
            return
        if kind == "c":
            self._column += 1
        elif kind == "row":
            self._row, self._column = self._row + 1, 0
        elif kind == "sheetData":
            self._sheet_depth = 0
        elif kind == "si" and self._string_at is not None:
            self.lengths.append(self._parser.CurrentByteIndex - self._string_at)
            self._string_at = None

    def _count(self, kind: str, attributes: dict[str, str]) -> None:
        place = attributes.get("r", "")
        letters = place.rstrip(_DIGITS)
        row = _number(place[len(letters) :]) if place else self._row + 1
        if kind == "row":
            self._row = row - 1
            return
        self._column = _column_number(letters) - 1 if place else self._column
        self.rows, self.columns = max(self.rows, row), max(self.columns, self._column + 1)
        self.showing += attributes.get("t") == "s"


class _Shown:
    """How many `bytes` of shared strings, of which these are the lengths, the cells of a part show."""

    def __init__(self, parser: expat.XMLParserType, lengths: Sequence[int]) -> None:
        self.bytes = 0
        self._kinds = _LocalNames()
        self._lengths = lengths
        self._longest = max(lengths)
        self._index: str | None = None
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._kinds[name] == "c":
            self._index = "" if attributes.get("t") == "s" else None

    def _text(self, data: str) -> None:
        if self._index is not None:
            self._index += data

    def _end(self, name: str) -> None:
        if self._kinds[name] == "c" and self._index is not None:
            self.bytes += self._length_of(self._index.strip())
            self._index = None

    def _length_of(self, index: str) -> int:
        """That of the longest where there is no such string: calamine takes some for a number that are none."""
        is_known = index.isascii() and index.isdigit() and _number(index) < len(self._lengths)
        return self._lengths[_number(index)] if is_known else self._longest


def _shared_bytes(archive: zipfile.ZipFile, parts: Sequence[_Extent]) -> int:
    """How many bytes of shared strings all cells show at most; counted one by one only where they may be too many."""
    lengths = array("I")
    for part in parts:
        lengths.extend(part.lengths)
    at_most = max(lengths, default=0) * sum(part.showing for part in parts)
    if at_most <= _MOST_SHARED_BYTES:
        return at_most
    shown = partial(_Shown, lengths=lengths)
    return sum(_counted(archive, member, shown).bytes for member in archive.infolist())


def _counted(archive: zipfile.ZipFile, member: zipfile.ZipInfo, counter_of: Callable[[expat.XMLParserType], C]) -> C:
    """Let everything in a part be counted. Raises `DamagedWorkbookError`."""
    parser = expat.ParserCreate("UTF-8")  # whatever a part says of its encoding: calamine takes it for that
    parser.StartDoctypeDeclHandler = _refuse_declarations
    counter = counter_of(parser)
    tells, is_sound, tail = False, True, b""
    with archive.open(member) as part:
        while chunk := part.read(_READ_AT_ONCE):
            text = tail + chunk
            tells = tells or any(telling in text for telling in _TELLING)
            is_sound = is_sound and _is_sound(parser, chunk)
            tail = text[-_LONGEST_TELLING:]
    if tells and not (is_sound and _is_sound(parser, b"", is_last=True)):
        raise DamagedWorkbookError
    return counter


def _is_sound(parser: expat.XMLParserType, chunk: bytes, is_last: bool = False) -> bool:
    try:
        parser.Parse(chunk, is_last)
    except (expat.ExpatError, DamagedWorkbookError):
        return False
    return True


def _require(is_so: bool) -> None:
    if not is_so:
        raise DamagedWorkbookError


def _refuse_declarations(*_: object) -> None:
    """No part of a workbook declares entities, and calamine would not heed them."""
    raise DamagedWorkbookError


class _LocalNames(dict[str, str | None]):
    """Names of elements without their prefix, as calamine takes them; None for those that are not counted."""

    def __missing__(self, name: str) -> str | None:
        prefix, colon, rest = name.partition(":")
        local = rest if colon else prefix
        self[name] = local if local in _COUNTED else None
        return self[name]


@lru_cache
def _number(text: str) -> int:
    digits = text.lstrip("+0")
    return int(digits[:_MOST_DIGITS]) if digits.isascii() and digits.isdigit() else 0


@lru_cache
def _column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper()[:_MOST_DIGITS]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
