"""Reads an upload: its format first, then its rows as numbered text in bounded memory.

This is the one door to `detection.py`, `records.py`, `parsing.py` and `workbooks.py`.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa

from alumni_assets.survey.detection import (
    FileFormat,
    decompressed,
    detect_text,
    file_kind,
    utf8_chunks,
)
from alumni_assets.survey.parsing import parse_block
from alumni_assets.survey.records import below_record, blocks_of_records
from alumni_assets.survey_rules import LimitRules

RECORD_BYTES = 1 << 20
NumberedPart = Callable[[], pa.RecordBatch]


def detect(name: str, path: Path, limits: LimitRules) -> FileFormat:
    """The format of the upload at `path`, whose name under raw/ is `name`.

    Raises `UnreadableUploadError` when the upload has to be rejected as a whole.
    """
    if file_kind(name) == "workbook":
        from alumni_assets.survey.workbooks import detect_workbook

        return detect_workbook(path, limits)
    with path.open("rb") as stream:
        return detect_text(name, stream, limits)


def numbered_parts(path: Path, file_format: FileFormat, limits: LimitRules) -> Iterator[NumberedPart]:
    """The rows of an upload as parts that are parsed when called, by whichever thread calls.

    Cutting the text into records is sequential and cheap; parsing is neither, so it is left to the
    caller's threads. Each part gives a batch of `parsing.NUMBERED_SCHEMA`; parts are in order.
    Iterating raises `UnreadableUploadError` when the upload proves unreadable further down.
    """
    if file_format.kind == "workbook":
        from alumni_assets.survey.workbooks import workbook_batches

        for batch in workbook_batches(path, file_format):
            yield partial(_already_parsed, batch)
        return
    with path.open("rb") as stream, decompressed(stream, file_format.compressed, limits) as content:
        chunks = utf8_chunks(content, file_format)
        for block in blocks_of_records(chunks, file_format.delimiter, RECORD_BYTES):
            below = below_record(block, file_format.header_record, file_format.delimiter)
            if below is not None:
                yield partial(parse_block, below, file_format.header, file_format.delimiter, file_format.header_record)


def _already_parsed(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch
