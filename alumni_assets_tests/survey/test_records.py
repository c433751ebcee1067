"""Cutting text into records: the numbers and the bytes, whatever the chunks."""

import csv
import io
import tracemalloc
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alumni_assets.survey import records
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.records import Block, below_record, blocks_of_records

NO_LIMIT = 1 << 30


def reference_records(data: bytes, delimiter: bytes) -> list[bytes] | int:
    """The records one byte at a time; or, when a quote never closes, the record in which it opens."""
    found: list[bytes] = []
    start = position = 0
    state = "field start"
    while position < len(data):
        byte, following = data[position : position + 1], data[position + 1 : position + 2]
        position += 1
        if state == "quoted":
            if byte == b'"' and following == b'"':
                position += 1
            elif byte == b'"':
                state = "plain"
        elif byte == b'"' and state == "field start":
            state = "quoted"
        elif byte == delimiter:
            state = "field start"
        elif byte in b"\r\n":
            if byte == b"\r" and following == b"\n":
                position += 1
            found.append(data[start:position])
            start, state = position, "field start"
        else:
            state = "plain"
    if state == "quoted":
        return len(found)
    return found + ([data[start:] + b"\n"] if start < len(data) else [])


def in_chunks(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The data in chunks of the given sizes; the last size is used for all that is left."""
    position, turn = 0, 0
    while position < len(data):
        size = sizes[min(turn, len(sizes) - 1)]
        yield data[position : position + size]
        position, turn = position + size, turn + 1


def blocks(data: bytes, sizes: list[int], delimiter: str = ",", limit: int = NO_LIMIT) -> list[Block]:
    return list(blocks_of_records(in_chunks(data, sizes), delimiter, limit))


_bytes = st.one_of(
    st.lists(st.sampled_from([b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"a", b";", b" "]), max_size=60).map(b"".join),
    st.binary(max_size=60),
)
_sizes = st.lists(st.integers(1, 12), min_size=1, max_size=8)


@given(_bytes, _sizes, st.sampled_from([",", ";"]))
@example(b'"a\n"\r', [1], ",")
@example(b'a,"""",b\r\n', [3, 1], ",")
@example(b"a\r\nb\rc\n\rd", [2], ",")
def test_records_and_their_numbers_do_not_depend_on_the_chunks(data: bytes, sizes: list[int], delimiter: str) -> None:
    expected = reference_records(data, delimiter.encode())
    if isinstance(expected, int):
        with pytest.raises(UnreadableUploadError, match=f"opens in row {expected + 1:,} of the file") as error:
            blocks(data, sizes, delimiter)
        assert error.value.code == "unclosed_quote"
        return
    found = blocks(data, sizes, delimiter)
    assert b"".join(block.data for block in found) == b"".join(expected)
    number = 0
    for block in found:
        assert block.first == number
        assert block.data == b"".join(expected[number : number + block.count])
        number += block.count
    assert number == len(expected)


@given(_bytes, _sizes, st.integers(1, 4))
@example(b"a\n" * 5, [60], 2)
@example(b'"a\n",b\r\n' * 5, [60], 4)
def test_no_block_has_more_records_than_fit_into_memory(data: bytes, sizes: list[int], most: int) -> None:
    expected = reference_records(data, b",")
    if isinstance(expected, int):
        return
    with patch.object(records, "_MOST_RECORDS", most):
        found = blocks(data, sizes)
    assert all(block.count <= most for block in found)
    place = 0
    for block in found:
        assert block.data == b"".join(expected[block.first : block.first + block.count])
        assert block.start == place
        place += len(block.data)
    assert sum(block.count for block in found) == len(expected)


def test_a_chunk_of_the_shortest_records_comes_in_several_blocks() -> None:
    assert [block.count for block in blocks(b"a\n" * 250_000, [1 << 20])] == [100_000, 100_000, 50_000]


@given(_bytes, _sizes, st.integers(0, 20))
@example(b'"' * 40 + b"\nb\n", [5], 3)
@example(b'a,"' + b'""' * 20 + b'"\nb\n', [5], 3)
@example(b"a" * 30 + b'"b\n"c"\n', [4], 3)
@example(b"a" * 30 + b',"', [4], 3)
@example(b'""\r', [1], 0)
def test_oversize_records_are_numbered_like_all_others(data: bytes, sizes: list[int], limit: int) -> None:
    expected = reference_records(data, b",")
    if isinstance(expected, int):
        with pytest.raises(UnreadableUploadError, match=f"opens in row {expected + 1:,} of the file"):
            blocks(data, sizes, limit=limit)
        return
    number = 0
    for block in blocks(data, sizes, limit=limit):
        whole = b"".join(expected[number : number + block.count])
        assert block.first == number
        if block.oversize:
            assert block.count == 1
            assert len(whole) > limit
            assert whole.startswith(block.data.rstrip(b"\r\n"))
        else:
            assert block.data == whole
        number += block.count
    assert number == len(expected)


@given(
    st.lists(st.lists(st.text('ab",\n\r é', max_size=5), min_size=2, max_size=4), max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    _sizes,
)
def test_a_well_formed_file_has_as_many_records_as_the_csv_module_counts(
    rows: list[list[str]], ending: str, quoting: int, sizes: list[int]
) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator=ending, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    counted = len(list(csv.reader(io.StringIO(stream.getvalue(), newline=""))))
    assert sum(block.count for block in blocks(stream.getvalue().encode(), sizes)) == counted


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (b"", 0),
        (b"a", 1),
        (b"a\n", 1),
        (b"a\nb", 2),
        (b"a\r\nb\rc\nd", 4),
        (b"\n\n\n", 3),
        (b"\r\r\n\n", 3),
        (b'"a\nb\r\nc",d\ne', 2),
        (b'"say ""hi""\n",d\ne', 2),
        (b'5" screen,x\n6" screen,y\n', 2),
        (b'a "quoted" word\nb\n', 2),
        (b'"a"b"\nc\n', 2),
        (b'""\n', 1),
        (b'"","\n"\n', 1),
    ],
)
def test_a_record_ends_at_a_line_ending_outside_quotes(data: bytes, number: int) -> None:
    assert sum(block.count for block in blocks(data, [1 << 20])) == number


def test_an_oversize_record_is_skipped_in_bounded_memory() -> None:
    chunk = 1 << 16

    def stream() -> Iterator[bytes]:
        yield b"header\nfirst\n"
        yield b'x,"'
        for _ in range(400):
            yield b'"' * chunk
            yield b"y,\n" * (chunk // 3)
        yield b'"\nlast\n'

    tracemalloc.start()
    found = list(blocks_of_records(stream(), ",", limit=chunk))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(block.first, block.count, block.oversize) for block in found] == [
        (0, 2, False),
        (2, 1, True),
        (3, 1, False),
    ]
    assert peak < 64 * chunk


@given(_bytes, _sizes, st.integers(0, 10))
def test_what_is_below_a_record_is_told_by_number(data: bytes, sizes: list[int], record: int) -> None:
    expected = reference_records(data, b",")
    if isinstance(expected, int):
        return
    below = [below_record(block, record, ",") for block in blocks(data, sizes)]
    kept = [block for block in below if block is not None]
    assert b"".join(block.data for block in kept) == b"".join(expected[record + 1 :])
    assert sum(block.count for block in kept) == len(expected[record + 1 :])
    assert not kept or kept[0].first == record + 1
