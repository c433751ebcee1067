"""Judging uploads on Spark: their rows are numbered here, judged in tasks, and stored here in order.

How a row is judged is in `survey/validation.py`; how the tables are stored in `stages/validation.py`.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from alumni_assets import layout
from alumni_assets.contract import Contract
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.spark.parts import (
    Told,
    Work,
    in_tasks,
    lake_of_process,
    read_part,
    safe_failure,
    write_part,
)
from alumni_assets.spark.request import Judged, Judging
from alumni_assets.stages.streaming import ordered_map
from alumni_assets.stages.validation import JudgedTables, store_judged
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.reading import NumberedPart, numbered_parts
from alumni_assets.survey.validation import invalid_rows, judge, valid_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def judge_uploads(
    spark: "SparkSession", location: str, contract: Contract, uploads: Sequence[Judging], tell: Told
) -> Iterator[Judged]:
    """Judge uploads together; what became of each. What breaks with one holds up none of the others."""
    lake = lake_of_process(location)
    staged: list[tuple[Judging, int, int]] = []
    for upload in uploads:
        try:
            staged.append((upload, *_number_rows(lake, upload, contract)))
        except Exception as error:
            yield _broken(upload, error)
    pieces = [(upload, number) for upload, count, _ in staged for number in range(count)]
    failures = in_tasks(spark, len(pieces), _judging(location, contract, pieces), "Judging", tell)
    broken = {upload.upload: failure for (upload, _), failure in zip(pieces, failures, strict=True) if failure}
    for upload, count, rows in staged:
        if upload.upload in broken:
            yield Judged(upload.upload, failure=broken[upload.upload].text)
        else:
            yield _stored(lake, upload, count, rows)


def _number_rows(lake: Lake, upload: Judging, contract: Contract) -> tuple[int, int]:
    """Store the upload's rows as numbered text; returns how many pieces there are, and how many rows."""

    def stage(numbered: tuple[int, NumberedPart]) -> int:
        number, part = numbered
        rows = part()
        write_part(lake, _key(upload, "numbered", number), rows)
        return rows.num_rows

    with lake.local_copy(layout.pinned_key(upload.upload)) as path:
        parts = numbered_parts(path, upload.file_format, contract.rules.limits)
        counts = list(ordered_map(stage, enumerate(parts)))
    return len(counts), sum(counts)


def _judging(location: str, contract: Contract, pieces: Sequence[tuple[Judging, int]]) -> Work:
    """Judges a piece of an upload in a task, into a piece of each table."""

    def work(piece: int) -> None:
        lake = lake_of_process(location)
        upload, number = pieces[piece]
        judged = judge(contract, upload.day)(read_part(lake, _key(upload, "numbered", number)))
        write_part(lake, _key(upload, "valid", number), valid_rows(judged, upload.upload, contract))
        write_part(lake, _key(upload, "invalid", number), invalid_rows(judged, upload.upload))

    return work


def _stored(lake: Lake, upload: Judging, count: int, rows: int) -> Judged:
    """Put the pieces together, in order, into the two tables of an upload."""

    def tables(number: int) -> JudgedTables:
        return read_part(lake, _key(upload, "valid", number)), read_part(lake, _key(upload, "invalid", number))

    try:
        judged = partial(ordered_map, tables, range(count))
        result = store_judged(lake, judged_keys(upload.stem), lambda _: judged(), lambda *_: None)
    except UnreadableUploadError as unreadable:
        return Judged(upload.upload, unreadable=(unreadable.code, unreadable.message))
    except Exception as error:
        return _broken(upload, error)
    return Judged(
        upload.upload,
        rows=rows,
        valid=result.valid,
        invalid=result.invalid,
        seconds=result.seconds,
        content=result.content,
        invalid_content=result.invalid_content,
        reasons=tuple((header, code, number) for (header, code), number in result.reasons.items()),
    )


def judged_keys(stem: str) -> tuple[str, str]:
    """Where the valid and the invalid rows of an upload that was judged on Spark are."""
    return f"{stem}valid.parquet", f"{stem}invalid.parquet"


def _broken(upload: Judging, error: Exception) -> Judged:
    if isinstance(error, UnreadableUploadError):
        return Judged(upload.upload, unreadable=(error.code, error.message))
    return Judged(upload.upload, failure=safe_failure(error))


def _key(upload: Judging, table: str, number: int) -> str:
    return f"{upload.stem}{table}-{number:06d}.arrow"
