"""Validation of one upload: reads the pinned copy once, and stores its valid and its invalid rows.

How a row is judged is in `survey/validation.py`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets import layout
from alumni_assets.contract import Contract
from alumni_assets.contract_arrow import INVALID_SCHEMA, VALID_SCHEMA
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.streaming import TableSink, ordered_map
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.reading import NumberedPart, numbered_parts
from alumni_assets.survey.row_ranges import Ranges
from alumni_assets.survey.standing import Seen
from alumni_assets.survey.validation import invalid_rows, judge, valid_rows

Progress = Callable[[int, float], None]
JudgedTables = tuple[pa.RecordBatch, pa.RecordBatch]
_SAMPLED = 10


@dataclass
class Validated:
    """What validation of an upload gave.

    `rows` are counted as they are read from the file, before it is told which are `valid` and which `invalid`.
    `reasons` counts problems by `(column header, code)`; `sample` has the first invalid rows and
    `preview` the first valid ones, as dictionaries with personal data in them. Of a correction, `corrects`
    is the upload that it corrects, `against` the SHA-256 of that upload's invalid table, `mends` the rows
    of it that are valid now and `wrong` those that are not, `strays` counts the rows that name none of its
    rows, and `fingerprint` is the same for the same rows in whatever order and file.
    """

    rows: int = 0
    valid: int = 0
    invalid: int = 0
    seconds: float = 0.0
    content: str = ""
    invalid_content: str = ""
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    sample: list[dict[str, object]] = field(default_factory=list)
    preview: list[dict[str, object]] = field(default_factory=list)
    corrects: str = ""
    against: str = ""
    mends: Ranges = ()
    wrong: Ranges = ()
    strays: int = 0
    fingerprint: str = ""


def upload_day(seen: Seen, contract: Contract) -> date:
    """The day on which an upload was first seen, in the survey's time zone."""
    zone = ZoneInfo(contract.rules.time_zone)
    return seen.received_at.replace(tzinfo=UTC).astimezone(zone).date()


def validate_upload(
    lake: Lake, seen: Seen, file_format: FileFormat, contract: Contract, progress: Progress
) -> Validated:
    """Judge every row of a pinned upload and store both tables; a rerun stores the same again.

    `progress` is told the rows so far and the seconds since the start. Raises
    `UnreadableUploadError` when the file proves unreadable further down or has no rows; then
    nothing is stored.
    """
    judged_by = judge(contract, upload_day(seen, contract))
    read: list[int] = []

    def tables_of(part: NumberedPart) -> JudgedTables:
        rows = part()
        read.append(rows.num_rows)
        judged = judged_by(rows)
        return valid_rows(judged, seen.upload, contract), invalid_rows(judged, seen.upload)

    with lake.local_copy(layout.pinned_key(seen.upload)) as path:
        parts = numbered_parts(path, file_format, contract.rules.limits)
        result = store_judged(lake, judged_tables(seen.upload), lambda _: ordered_map(tables_of, parts), progress)
    result.rows = sum(read)
    return result


def judged_tables(upload: str) -> tuple[str, str]:
    """The keys of an upload's valid and of its invalid rows."""
    return layout.valid_key(upload), layout.invalid_key(upload)


def store_judged(
    lake: Lake, keys: tuple[str, str], judged: Callable[[Path], Iterator[JudgedTables]], progress: Progress
) -> Validated:
    """Store the valid and the invalid rows of an upload, as they come; nothing is stored when that raises.

    `keys` are those of the two tables in the lake. `judged` is given a folder for temporary files. As `rows` those
    stored are counted: who calls it knows how many the file has. Raises `UnreadableUploadError` when there is no row.
    """
    started, result = time.monotonic(), Validated()
    with (
        lake.writing(keys[0]) as valid_path,
        lake.writing(keys[1]) as invalid_path,
    ):
        with TableSink(valid_path, VALID_SCHEMA) as valid, TableSink(invalid_path, INVALID_SCHEMA) as invalid:
            for good, bad in judged(valid_path.parent):
                valid.write(good)
                invalid.write(bad)
                _count(result, good, bad)
                progress(result.rows, time.monotonic() - started)
        if result.rows == 0:
            raise UnreadableUploadError(
                "no_rows", "The file has a header but no rows below it. Export the answers again."
            )
        result.content, result.invalid_content = sha256_of(valid_path), sha256_of(invalid_path)
    result.seconds = time.monotonic() - started
    return result


def _count(result: Validated, good: pa.RecordBatch, bad: pa.RecordBatch) -> None:
    result.valid += good.num_rows
    result.invalid += bad.num_rows
    result.rows = result.valid + result.invalid
    result.preview += good.slice(0, _SAMPLED - len(result.preview)).to_pylist()
    result.sample += bad.slice(0, _SAMPLED - len(result.sample)).to_pylist()
    if bad.num_rows:
        result.reasons.update(_reasons(bad))


def reasons_of(batches: Iterable[pa.RecordBatch]) -> Counter[tuple[str, str]]:
    """How many problems there are in batches of invalid rows, by `(column header, code)`."""
    found: Counter[tuple[str, str]] = Counter()
    for batch in batches:
        found.update(_reasons(batch))
    return found


def _reasons(bad: pa.RecordBatch) -> Counter[tuple[str, str]]:
    problems = pc.list_flatten(bad["problems"])
    names = {"column": pc.struct_field(problems, "column"), "code": pc.struct_field(problems, "code")}
    counts = pa.table(names).group_by(["column", "code"]).aggregate([([], "count_all")])
    return Counter({(row["column"], row["code"]): row["count_all"] for row in counts.to_pylist()})
