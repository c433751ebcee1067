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
_MOST_RECORDS = 100_000
"""In a block. A row that is wrong costs more memory than its bytes say, and there may be millions in a chunk."""


@dataclass(frozen=True)
class Block:
    """Whole records: `count` of them, the first being the `first` physical record of the file.

    `oversize` marks a block of one record that is too long to be parsed; `data` is then its start. `start` is where
    the block begins in the text, in bytes.
    """

    first: int
    count: int
    data: bytes
    oversize: bool = False
    start: int = 0


@dataclass(frozen=True)
class _Structure:
    """Whole records in a piece of text: how many, where the first and the last end (0: nowhere)."""

    count: int
    first_end: int
    last_end: int
    in_quotes: bool


def blocks_of_records(chunks: Iterable[bytes], delimiter: str, limit: int) -> Iterator[Block]:
    """Cut text into blocks of whole records, numbered from 0 (the first record of the file), of bounded number.

    A record of more than `limit` bytes that is still unfinished at the end of a chunk is skipped over
    in bounded memory and comes as an oversize block. Raises `UnreadableUploadError` when a quote never
    closes.
    """
    for block in _blocks(chunks, delimiter.encode(), limit):
        yield from _parts(block, delimiter)


def _blocks(chunks: Iterable[bytes], separator: bytes, limit: int) -> Iterator[Block]:
    source = _Counted(chunks)
    number, carry = 0, b""
    for chunk in source:
        data = carry + chunk
        start = source.bytes - len(data)
        body = data[: len(data) - _ambiguous_tail(data)]
        structure = _structure(body, separator)
        if structure.count:
            yield Block(number, structure.count, data[: structure.last_end], start=start)
            number, carry = number + structure.count, data[structure.last_end :]
        elif len(data) > limit:
            carry = _below_oversize(number, data, source, separator)
            yield Block(number, 1, data[:_KEPT_OF_OVERSIZE], oversize=True, start=start)
            number += 1
        else:
            carry = data
    yield from _last_block(number, carry, separator, source.bytes - len(carry))


def _parts(block: Block, delimiter: str) -> Iterator[Block]:
    """A block as it is, or in parts where it has too many records."""
    if block.count <= _MOST_RECORDS:
        yield block
        return
    ends = np.r_[0, _record_ends(block.data, delimiter.encode())[0]]
    for first in range(0, block.count, _MOST_RECORDS):
        count = min(_MOST_RECORDS, block.count - first)
        begin, end = int(ends[first]), int(ends[first + count])
        yield Block(block.first + first, count, block.data[begin:end], start=block.start + begin)


def below_record(block: Block, record: int, delimiter: str) -> Block | None:
    """The part of a block below a physical record of the file; None when nothing is below it."""
    above = record + 1 - block.first
    if above <= 0:
        return block
    if above >= block.count:
        return None
    ends, _ = _record_ends(block.data, delimiter.encode())
    below = int(ends[above - 1])
    return Block(block.first + above, block.count - above, block.data[below:], start=block.start + below)


def spans_of_records(block: Block, records: np.ndarray, delimiter: str) -> list[tuple[int, int]]:
    """Where those of these physical records that are in a block begin and end in the text, their line endings apart.

    Of an oversize block only the beginning is known.
    """
    places = records[(records >= block.first) & (records < block.first + block.count)] - block.first
    if not places.size:
        return []
    if block.oversize:
        return [(block.start, block.start)]
    ends = np.r_[0, _record_ends(block.data, delimiter.encode())[0]]
    return [_span(block, int(ends[place]), int(ends[place + 1])) for place in places]


def _span(block: Block, begin: int, end: int) -> tuple[int, int]:
    """The last record of a file may have got a line ending of its own."""
    text = block.data[begin:end].removesuffix(b"\n").removesuffix(b"\r")
    return block.start + begin, block.start + begin + len(text)


class _Counted:
    """Chunks, and how many bytes of them came so far."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.bytes += len(chunk)
        return chunk


def _last_block(number: int, data: bytes, separator: bytes, start: int) -> Iterator[Block]:
    if not data:
        return
    terminated = data if data.endswith((b"\n", b"\r")) else data + b"\n"
    structure = _structure(terminated, separator)
    if structure.in_quotes:
        raise _unclosed(number + structure.count)
    yield Block(number, structure.count, terminated, start=start)


def _below_oversize(number: int, start: bytes, source: Iterator[bytes], separator: bytes) -> bytes:
    """Read on until the record that begins with `start` ends; returns what was read after it."""
    # One byte stands for all that was read: a quote when it ends inside quotes, else its last byte, and any
    # letter where that is a closing quote.
    state, pending = separator, start
    while True:
        tail = _ambiguous_tail(pending)
        text = state + pending[: len(pending) - tail]
        structure = _structure(text, separator)
        if structure.count:
            return pending[structure.first_end - 1 :]
        state = b'"' if structure.in_quotes else text[-1:].replace(b'"', b"x")
        held = _shortened(pending[len(pending) - tail :])
        chunk = next(source, None)
        if chunk is None:
            if _structure(state + held + b"\n", separator).in_quotes:
                raise _unclosed(number)
            return b""
        pending = held + chunk


def _shortened(held: bytes) -> bytes:
    """A run of quotes means what a run of one or two does, so that no run fills the memory."""
    return held if len(held) <= 2 else held[: 2 - len(held) % 2]


def _unclosed(record: int) -> UnreadableUploadError:
    return UnreadableUploadError(
        "unclosed_quote",
        f"A quotation mark opens in row {record + 1:,} of the file and never closes, so that the rows after it "
        "cannot be told apart. Remove it or close it.",
    )


def _ambiguous_tail(data: bytes) -> int:
    """Length of a tail that the next chunk may give another meaning: quotes, or a CR before an LF."""
    tail = len(data) - len(data.rstrip(b'"'))
    return tail or int(data.endswith(b"\r"))


def _structure(data: bytes, separator: bytes) -> _Structure:
    if b'"' not in data and (b"\r" not in data or data.count(b"\r") == data.count(b"\r\n")):
        newlines = int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))
        return _Structure(newlines, data.find(b"\n") + 1, data.rfind(b"\n") + 1, False)
    ends, in_quotes = _record_ends(data, separator)
    first, last = (int(ends[0]), int(ends[-1])) if ends.size else (0, 0)
    return _Structure(int(ends.size), first, last, in_quotes)


def _record_ends(data: bytes, separator: bytes) -> tuple[np.ndarray, bool]:
    """The positions behind the records' line endings, and whether the text ends inside quotes."""
    quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == ord('"'))
    if not _well_formed(data, quotes, separator):
        quotes = _quotes_that_count(data, separator)
    newlines = _line_endings(data)
    return newlines[np.searchsorted(quotes, newlines) % 2 == 0] + 1, quotes.size % 2 == 1


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
