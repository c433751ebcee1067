"""Cuts rows out of an upload's file, so that all that is left reads as before and every row keeps its number.

In a text file, plain or compressed, spaces stand in the place of each row: a blank record is skipped, but has its
number. All other bytes stay as they were, and equal files give equal files. Of a workbook remains a plain one with the
cells of its first sheet, as text: what else there is in it (other sheets, comments, what was shared between cells) may
say the same once more. What comes out is read again and compared, cell by cell.
"""

import datetime
import gzip
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter

from alumni_assets.survey.detection import CHUNK, FileFormat, decompressed, utf8_chunks
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.reading import RECORD_BYTES, detect, numbered_parts
from alumni_assets.survey.records import blocks_of_records, spans_of_records
from alumni_assets.survey.workbooks import sheet_rows
from alumni_assets.survey_rules import LimitRules

_MADE = datetime.datetime(2000, 1, 1)  # when cut workbooks say they were made, so that equal ones are equal
_MARKS = {"utf-8": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
Spans = list[tuple[int, int]]


class CuttingError(Exception):
    """The file cannot be rewritten without the rows so that the others stay what they are. Names no cell."""


def cut_rows(name: str, path: Path, rows: np.ndarray, target: Path, limits: LimitRules) -> None:
    """Write the file at `path`, whose name under raw/ is `name`, to `target` without the rows of these numbers.

    Raises `CuttingError`, and `UnreadableUploadError` for a file that cannot be read.
    """
    file_format = detect(name, path, limits)
    expected = _content(path, file_format, limits, rows)
    if file_format.kind == "workbook":
        _write_workbook(path, file_format, rows, target)
    else:
        _write_text(path, file_format, rows, target, limits)
        if not _reads_as(name, target, file_format, expected, limits):
            # Without the rows the encoding may be taken for another. One that the file declares cannot.
            _write_in_utf8(path, file_format, rows, target, limits)
    if not _reads_as(name, target, file_format, expected, limits):
        raise CuttingError(
            "A file cannot be rewritten without a person's rows so that its other rows stay what they are."
        )


def _write_text(path: Path, file_format: FileFormat, rows: np.ndarray, target: Path, limits: LimitRules) -> None:
    width = 2 if file_format.encoding.startswith("utf-16") else 1
    mark = _MARKS[file_format.encoding] if file_format.byte_order_mark else b""
    with _text_of(path, file_format, limits) as content:
        content.read(len(mark))
        spans = _spans(_structure_of(_chunks(content), file_format), file_format, rows)
    with _text_of(path, file_format, limits) as content, _writing(target, file_format.compressed) as out:
        out.write(content.read(len(mark)))
        scaled = [(begin * width, end * width) for begin, end in spans]
        space = " ".encode(file_format.encoding) if width == 2 else b" "
        for chunk in _blanked(_chunks(content), scaled, space):
            out.write(chunk)


def _write_in_utf8(path: Path, file_format: FileFormat, rows: np.ndarray, target: Path, limits: LimitRules) -> None:
    with _text_of(path, file_format, limits) as content:
        spans = _spans(utf8_chunks(content, file_format), file_format, rows)
    with _text_of(path, file_format, limits) as content, _writing(target, file_format.compressed) as out:
        out.write(_MARKS["utf-8"])
        for chunk in _blanked(utf8_chunks(content, file_format), spans, b" "):
            out.write(chunk)


def _write_workbook(path: Path, file_format: FileFormat, rows: np.ndarray, target: Path) -> None:
    records = set((rows + file_format.header_record).tolist())
    options = {"constant_memory": True, "tmpdir": str(target.parent)}
    with xlsxwriter.Workbook(str(target), options) as book:
        book.set_properties({"created": _MADE})
        sheet = book.add_worksheet()
        for record, texts in enumerate(sheet_rows(path)):
            for place, text in enumerate(() if record in records else texts):
                if text:
                    sheet.write_string(record, place, text)


def _structure_of(chunks: Iterable[bytes], file_format: FileFormat) -> Iterator[bytes]:
    """The text with one byte for each unit of its encoding, in which quotes, delimiters and line endings are.

    Those are ASCII in every encoding, whatever is damaged around them.
    """
    if not file_format.encoding.startswith("utf-16"):
        yield from chunks
        return
    units = np.dtype("<u2" if file_format.encoding == "utf-16-le" else ">u2")
    for chunk in chunks:
        codes = np.frombuffer(chunk, units, count=len(chunk) // 2)
        yield np.where(codes < 128, codes, 128).astype(np.uint8).tobytes()


def _spans(chunks: Iterable[bytes], file_format: FileFormat, rows: np.ndarray) -> Spans:
    """Where the rows are in the text, in its order."""
    records = np.sort(rows) + file_format.header_record
    found: Spans = []
    for block in blocks_of_records(chunks, file_format.delimiter, RECORD_BYTES):
        spans = spans_of_records(block, records, file_format.delimiter)
        if spans and block.oversize:
            raise CuttingError("A row that is too long to be read cannot be cut out of its file.")
        found += spans
    return found


def _blanked(chunks: Iterable[bytes], spans: Spans, space: bytes) -> Iterator[bytes]:
    """The text with spaces in the place of what is in the spans, which are in bytes."""
    position, waiting = 0, iter(spans)
    span = next(waiting, None)
    for chunk in chunks:
        end, changed = position + len(chunk), bytearray(chunk)
        while span is not None and span[0] < end:
            first, last = max(span[0], position), min(span[1], end)
            changed[first - position : last - position] = space * ((last - first) // len(space))
            if span[1] > end:
                break
            span = next(waiting, None)
        position = end
        yield bytes(changed)


def _reads_as(name: str, path: Path, file_format: FileFormat, expected: dict[str, bytes], limits: LimitRules) -> bool:
    """Whether a file has the header of a format, and the rows of this content."""
    try:
        found = detect(name, path, limits)
        return found.header == file_format.header and _content(path, found, limits) == expected
    except UnreadableUploadError:
        return False


def _content(
    path: Path, file_format: FileFormat, limits: LimitRules, without: np.ndarray | None = None
) -> dict[str, bytes]:
    """For each column of the numbered text a hash of all its cells, those of some rows left out."""
    digests: dict[str, Any] = {}
    for part in numbered_parts(path, file_format, limits):
        batch = part()
        if without is not None:
            batch = batch.filter(pc.invert(pc.is_in(batch["source_row"], value_set=pa.array(without, pa.int64()))))
        for column in batch.schema.names if batch.num_rows else ():
            for kind, data in _hashed(batch[column]).items():
                digests.setdefault(f"{column} {kind}", hashlib.sha256()).update(data)
    return {name: digest.digest() for name, digest in digests.items()}


def _hashed(array: pa.Array) -> dict[str, bytes]:
    """What is to be hashed of a column, so that it does not depend on the batches in which it comes."""
    texts = pc.cast(array, pa.string())
    lengths = pc.fill_null(pc.binary_length(texts), -1).to_numpy(zero_copy_only=False).astype(np.int32)
    whole = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), pc.fill_null(texts, ""))
    return {"lengths": lengths.tobytes(), "text": pc.binary_join(whole, "")[0].as_py().encode()}


@contextmanager
def _text_of(path: Path, file_format: FileFormat, limits: LimitRules) -> Iterator[BinaryIO]:
    with path.open("rb") as stream, decompressed(stream, file_format.compressed, limits) as content:
        yield content


@contextmanager
def _writing(path: Path, compressed: bool) -> Iterator[BinaryIO]:
    with path.open("wb") as stream:
        if not compressed:
            yield stream
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
            yield cast(BinaryIO, packed)


def _chunks(content: BinaryIO) -> Iterator[bytes]:
    while chunk := content.read(CHUNK):
        yield chunk
