"""What kind of file an upload is: compression, encoding, delimiter, header.

Detection looks at the name and the bytes and decides; it reads no rows. Splitting into records is
in `records.py`, workbooks are in `workbooks.py`.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from alumni_assets.contract import COLUMNS, CORRECTION_TITLES, IGNORED_HEADERS, ROW_TITLE, UPLOAD_TITLE
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey_rules import LimitRules

CHUNK = 8 << 20
MOST_FURTHER_COLUMNS = 20
"""How many columns a correction file has at most for cells that rows have beyond the header."""
MOST_ADDED_COLUMNS = len(CORRECTION_TITLES) + len(COLUMNS) + MOST_FURTHER_COLUMNS
"""How many more columns than an upload a correction may have: what was handed out has to come back."""
_SNIFFED = 1 << 16
_LONGEST_HEADER = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_NO_TITLE = " \t\r\n\v\f\xa0\ufeff" + "".join(_DELIMITERS)
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a workbook or zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (.xls, .doc)"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "a database"),
    (b"\x1f\x8b", "a gzip archive"),
)
Encoding = Literal["utf-8", "utf-16-le", "utf-16-be", "windows-1252"]


@dataclass(frozen=True)
class Header:
    """The header of an upload, matched against the contract.

    `fields` holds, for each column of the file in order, the contract's name (or one of
    `contract.CORRECTION_TITLES`), or None when the contract has no such column; `titles` the header as
    it is written. `unknown` are the titles that were not recognised (Submission ID, which is ignored on
    purpose, is not among them).
    """

    titles: tuple[str, ...]
    fields: tuple[str | None, ...]
    unknown: tuple[str, ...] = field(default=())

    @property
    def is_correction(self) -> bool:
        """Whether the file says of which rows of an earlier upload its rows are corrections."""
        return UPLOAD_TITLE in self.fields


@dataclass(frozen=True)
class FileFormat:
    """How to read an upload. `header_record` counts the blank records before the header."""

    kind: Literal["text", "workbook"]
    header: Header
    header_record: int
    compressed: bool = False
    encoding: Encoding = "utf-8"
    byte_order_mark: bool = False
    damaged: bool = False
    delimiter: str = ","


def match_header(titles: tuple[str, ...], limits: LimitRules) -> Header:
    """Match a header record to the contract, whatever the case, spaces, underscores and order.

    A correction needs no column but `_upload` and `_row`, and may have as many more as a correction file has. Raises
    `UnreadableUploadError` when a required column is missing or a column of the contract comes twice, naming it, and
    when there are too many columns.
    """
    fields = tuple(_field_of(title) for title in titles)
    most = limits.columns + (MOST_ADDED_COLUMNS if UPLOAD_TITLE in fields else 0)
    if len(titles) > most:
        raise UnreadableUploadError(
            "too_many_columns", f"The header has {len(titles):,} columns; at most {most:,} are accepted."
        )
    ignored = {_folded(title) for title in IGNORED_HEADERS}
    _require_columns(fields)
    doubled = [column.header for column in COLUMNS if fields.count(column.name) > 1]
    doubled += [title for title in CORRECTION_TITLES if fields.count(title) > 1]
    if doubled:
        raise UnreadableUploadError(
            "doubled_column", f"The header has {_listed(doubled)} more than once; leave one of them."
        )
    unknown = tuple(
        title
        for title, name in zip(titles, fields, strict=True)
        if name is None and title.strip() and _folded(title) not in ignored
    )
    return Header(titles, fields, unknown)


def detect_text(name: str, stream: BinaryIO, limits: LimitRules) -> FileFormat:
    """Detect the format of a text upload from its whole content, in bounded memory.

    `stream` is at its start; it is read to its end, because whether a byte over 127 is UTF-8 or
    Windows-1252 may be known only there. Raises `UnreadableUploadError`.
    """
    compressed = name.lower().endswith(".gz")
    with decompressed(stream, compressed, limits) as content:
        head = content.read(_SNIFFED)
        _refuse_other_kinds(head)
        encoding, mark = _declared_encoding(head)
        damaged = False
        if encoding == "utf-8":
            good, bad = _utf8_characters(head, content)
            damaged = bad > 0 and (mark or good > bad)
            encoding = "windows-1252" if bad > 0 and not damaged else "utf-8"
        else:
            _drain(content)
    with decompressed(stream, compressed, limits) as content:
        delimiter, header, record = _find_header(content, encoding, mark, limits)
    return FileFormat("text", header, record, compressed, encoding, mark, damaged, delimiter)


def file_kind(name: str) -> Literal["text", "workbook"]:
    """Whether a file name is that of a text or a workbook; raises `UnreadableUploadError` otherwise."""
    lower = name.lower()
    if lower.removesuffix(".gz").endswith(_TEXT_SUFFIXES):
        return "text"
    if lower.endswith(".xlsx"):
        return "workbook"
    raise UnreadableUploadError(
        "unsupported_type",
        "Only .csv, .tsv and .txt files (each also as .gz) and .xlsx workbooks are accepted. "
        "Save the survey's answers as one of these.",
    )


class _Bounded(io.RawIOBase):
    """A stream of decompressed bytes that refuses to grow past a limit or end early."""

    def __init__(self, source: BinaryIO, limit: int) -> None:
        self._source = source
        self._left = limit
        self._limit = limit

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._source.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UnreadableUploadError(
                "damaged_archive",
                "The compressed file is damaged or was cut off. Compress and upload it again.",
            ) from error
        self._left -= len(data)
        if self._left < 0:
            raise UnreadableUploadError(
                "too_large",
                f"The compressed file unpacks to more than {self._limit >> 20:,} MB. Upload it in parts.",
            )
        return data


@contextmanager
def decompressed(stream: BinaryIO, compressed: bool, limits: LimitRules) -> Iterator[BinaryIO]:
    """The upload's bytes from the start, unpacked when compressed, in bounded memory."""
    stream.seek(0)
    if not compressed:
        yield stream
        return
    with gzip.GzipFile(fileobj=stream) as unpacked:
        yield _Bounded(unpacked, limits.decompressed_megabytes << 20)  # type: ignore[misc, arg-type]


def utf8_chunks(content: BinaryIO, file_format: FileFormat) -> Iterator[bytes]:
    """The upload's text in UTF-8, without byte-order mark; damaged bytes become U+FFFD."""
    plain = file_format.encoding == "utf-8" and not file_format.damaged
    decoder = codecs.getincrementaldecoder(_python_name(file_format.encoding))("replace")
    skip = _mark_length(file_format.encoding) if file_format.byte_order_mark else 0
    content.read(skip)
    while chunk := content.read(CHUNK):
        yield chunk if plain else decoder.decode(chunk).encode()
    if not plain:
        yield decoder.decode(b"", final=True).encode()


def _require_columns(fields: tuple[str | None, ...]) -> None:
    marks = [title for title in (UPLOAD_TITLE, ROW_TITLE) if title in fields]
    if len(marks) == 1:
        (lacking,) = {UPLOAD_TITLE, ROW_TITLE} - set(marks)
        raise UnreadableUploadError(
            "incomplete_correction",
            f"The file has the column {marks[0]} of a correction, but not {lacking}. Begin again with the correction "
            "file, and leave both columns as they are.",
        )
    missing = [column.header for column in COLUMNS if column.required and column.name not in fields]
    if missing and not marks:
        raise UnreadableUploadError(
            "missing_column",
            f"The header lacks {_listed(missing)}. The first row must name the survey's columns.",
        )


def _field_of(title: str) -> str | None:
    """The contract's name of a column, or the mark of a correction, whose underscore counts."""
    mark = title.strip(_NO_TITLE).casefold()
    return mark if mark in CORRECTION_TITLES else _COLUMN_OF_TITLE.get(_folded(title))


def _folded(title: str) -> str:
    return re.sub(r"[\s_\ufeff\u200b]+", "", title).casefold()


_COLUMN_OF_TITLE = {_folded(column.header): column.name for column in COLUMNS}


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def _refuse_other_kinds(head: bytes) -> None:
    if len(head) < _SNIFFED and not head.strip(b"\r\n\t ,;|\x00\xff\xfe\xef\xbb\xbf"):
        raise UnreadableUploadError("empty", "The file is empty. Export the answers again.")
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            raise UnreadableUploadError(
                "not_a_table",
                f"The file is {kind}, whatever its name says. Upload the survey's answers as CSV.",
            )
    if re.match(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml|head|body)", head, re.IGNORECASE):
        raise UnreadableUploadError(
            "web_page",
            "The file is a web page (perhaps a sign-in or error page saved in place of the answers). "
            "Sign in, export the answers as CSV, and upload that.",
        )


def _declared_encoding(head: bytes) -> tuple[Encoding, bool]:
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8", True
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le", True
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be", True
    even, odd = head[0::2], head[1::2]
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le", False
    if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be", False
    if head.count(0) > 0.05 * len(head):
        raise UnreadableUploadError(
            "not_a_table", "The file is not text. Upload the survey's answers as CSV or as a workbook."
        )
    return "utf-8", False


def _utf8_characters(head: bytes, rest: BinaryIO) -> tuple[int, int]:
    """How many characters beyond ASCII there are in UTF-8, and how many bytes that are no UTF-8.

    In damaged UTF-8 the characters outnumber the bytes; in Windows-1252 hardly any letter with its
    neighbours happens to be UTF-8.
    """
    good = bad = 0
    for text in _texts_beyond_ascii(head, rest):
        beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
        damaged = _damaged_bytes(text)
        good += beyond_ascii - damaged
        bad += damaged
    return good, bad


def _damaged_bytes(text: str) -> int:
    """How many characters of a text stand for bytes that were no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return len(text) - len(text.encode("utf-8", "ignore").decode())
    return 0


def _texts_beyond_ascii(head: bytes, rest: BinaryIO) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    chunk = head
    while chunk:
        if not chunk.isascii() or decoder.getstate()[0]:
            yield decoder.decode(chunk)
        chunk = rest.read(CHUNK)
    yield decoder.decode(b"", final=True)


def _drain(content: BinaryIO) -> None:
    while content.read(CHUNK):
        pass


def _find_header(content: BinaryIO, encoding: Encoding, mark: bool, limits: LimitRules) -> tuple[str, Header, int]:
    """The delimiter with which most of the survey's columns are found, the header and its record."""
    content.read(_mark_length(encoding) if mark else 0)
    text = content.read(_LONGEST_HEADER).decode(_python_name(encoding), "replace")
    candidates = [(delimiter, *_first_filled_record(text, delimiter)) for delimiter in _DELIMITERS]
    delimiter, titles, record = max(candidates, key=lambda candidate: _recognised(candidate[1]))
    return delimiter, match_header(titles, limits), record


def _first_filled_record(text: str, delimiter: str) -> tuple[tuple[str, ...], int]:
    try:
        for record, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)):
            if any(cell.strip(_NO_TITLE) for cell in cells):
                return tuple(cells), record
    except csv.Error:  # a cell of more than 128 KiB is no title
        pass
    return (), 0


def _recognised(titles: tuple[str, ...]) -> int:
    return len({_field_of(title) for title in titles} - {None})


def _python_name(encoding: Encoding) -> str:
    return "cp1252" if encoding == "windows-1252" else encoding


def _mark_length(encoding: Encoding) -> int:
    """The bytes of a byte-order mark."""
    return 3 if encoding == "utf-8" else 2
