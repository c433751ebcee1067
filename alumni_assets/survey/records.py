"""Physical records: cuts a stream of UTF-8 text into blocks of whole, numbered records.

Knows quotes and line endings, but neither columns nor cells: those are parsed in `parsing.py`.
A record ends at a line ending (LF, CRLF or CR) outside quotes; a quote opens only at the start of a
field, and a doubled quote inside quotes is a quote (RFC 4180; stray quotes are text, as in Excel).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from alumni_assets.survey.errors import UnreadableUploadError

_KEPT_OF_OVERSIZE = 200


@dataclass(frozen=True)
class Block:
    """Whole records: `count` of them, the first being the `first` physical record of the file.

    `oversize` marks a block of one record that is too long to be parsed; `data` is then its start.
    """

    first: int
    count: int
    data: bytes
    oversize: bool = False


@dataclass(frozen=True)
class _Structure:
    """Whole records in a piece of text: how many, where the first and the last end (0: nowhere)."""

    count: int
    first_end: int
    last_end: int
    in_quotes: bool


def blocks_of_records(chunks: Iterable[bytes], delimiter: str, limit: int) -> Iterator[Block]:
    """Cut text into blocks of whole records, numbered from 0 (the first record of the file).

    A record longer than both a chunk and `limit` bytes is skipped over in bounded memory and comes
    as an oversize block. Raises `UnreadableUploadError` when a quote never closes.
    """
    separator = delimiter.encode()
    source = iter(chunks)
    number, carry = 0, b""
    for chunk in source:
        data = carry + chunk
        held = _ambiguous_tail(data)
        body = data[: len(data) - held]
        structure = _structure(body, separator)
        if structure.count:
            yield Block(number, structure.count, data[: structure.last_end])
            number, carry = number + structure.count, data[structure.last_end :]
        elif len(data) > limit:
            carry = _end_of_oversize(body, structure, data[len(body) :], source, separator)
            yield Block(number, 1, body[:_KEPT_OF_OVERSIZE], oversize=True)
            number += 1
        else:
            carry = data
    yield from _last_blocks(number, carry, separator)


def _last_blocks(number: int, data: bytes, separator: bytes) -> Iterator[Block]:
    if not data:
        return
    terminated = data if data.endswith((b"\n", b"\r")) else data + b"\n"
    structure = _structure(terminated, separator)
    if structure.in_quotes:
        raise _unclosed(number + structure.count)
    yield Block(number, structure.count, terminated)


def _end_of_oversize(
    body: bytes, structure: _Structure, held: bytes, source: Iterator[bytes], separator: bytes
) -> bytes:
    """Read on until the oversize record ends; returns what was read after it."""
    in_quotes, last, pending = structure.in_quotes, body[-1:], held
    for chunk in source:
        data = pending + chunk
        tail = _ambiguous_tail(data)
        # The byte put in front carries the state over: inside quotes, or right behind `last`.
        text = (b'"' if in_quotes else last) + data[: len(data) - tail]
        found = _structure(text, separator)
        if found.count:
            return data[found.first_end - 1 :]
        in_quotes, last, pending = found.in_quotes, text[-1:], data[len(data) - tail :]
    if in_quotes and pending.count(b'"') % 2 == 0:
        raise _unclosed(None)
    return b""


def _unclosed(record: int | None) -> UnreadableUploadError:
    where = "" if record is None else f" in row {record + 1:,} of the file"
    return UnreadableUploadError(
        "unclosed_quote",
        f"A quotation mark opens{where} and never closes, so that the rows after it cannot be told apart. "
        "Remove it or close it.",
    )


def _ambiguous_tail(data: bytes) -> int:
    """Length of a tail that the next chunk may give another meaning: quotes, or a CR before an LF."""
    tail = len(data) - len(data.rstrip(b'"'))
    return tail or int(data.endswith(b"\r"))


def _structure(data: bytes, separator: bytes) -> _Structure:
    if b'"' not in data and data.count(b"\r") == data.count(b"\r\n"):
        return _Structure(data.count(b"\n"), data.find(b"\n") + 1, data.rfind(b"\n") + 1, False)
    quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == ord('"'))
    if not _well_formed(data, quotes, separator):
        quotes = _quotes_that_count(data, separator)
    newlines = _line_endings(data)
    ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0] + 1
    first, last = (int(ends[0]), int(ends[-1])) if ends.size else (0, 0)
    return _Structure(int(ends.size), first, last, quotes.size % 2 == 1)


def _line_endings(data: bytes) -> np.ndarray:
    """Positions of the last byte of each line ending."""
    codes = np.frombuffer(data, np.uint8)
    is_end = codes == ord("\n")
    is_end[:-1] |= (codes[:-1] == ord("\r")) & (codes[1:] != ord("\n"))
    is_end[-1] |= codes[-1] == ord("\r")
    return np.flatnonzero(is_end)


def _well_formed(data: bytes, quotes: np.ndarray, separator: bytes) -> bool:
    """Whether every second quote opens and the others close, so that counting them is enough."""
    codes = np.frombuffer(data, np.uint8)
    borders = np.frombuffer(separator + b'\r\n"', np.uint8)
    opening, closing = quotes[0::2], quotes[1::2]
    before = codes[opening[opening > 0] - 1]
    after = codes[closing[closing < len(data) - 1] + 1]
    return bool(np.isin(before, borders).all() and np.isin(after, borders).all())


def _quotes_that_count(data: bytes, separator: bytes) -> np.ndarray:
    """Opening and closing quotes in turn, by walking from quote to quote: for text with stray ones."""
    starts = separator + b"\r\n"
    positions: list[int] = []
    position = data.find(b'"')
    while position >= 0:
        if position and data[position - 1] not in starts:
            position = data.find(b'"', position + 1)
            continue
        positions.append(position)
        close = _closing_quote(data, position + 1)
        if close < 0:
            break
        positions.append(close)
        position = data.find(b'"', close + 1)
    return np.array(positions, dtype=np.int64)


def _closing_quote(data: bytes, position: int) -> int:
    close = data.find(b'"', position)
    while close >= 0 and data[close + 1 : close + 2] == b'"':
        close = data.find(b'"', close + 2)
    return close


def end_of_record(data: bytes, delimiter: str) -> int:
    """Where the first record of a block of whole records ends."""
    return _structure(data, delimiter.encode()).first_end
