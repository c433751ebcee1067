"""Corrections: rows that were set aside come back, are judged anew, and keep the place that they had.

Which columns mark a file as a correction is in `survey/detection.py`; the files that reviewers correct are written
by `survey/correction_files.py`; what becomes of a row is in `survey/quarantine.py`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets import layout
from alumni_assets.contract import NAMES, ROW_TITLE, UPLOAD_TITLE, Contract
from alumni_assets.queries import RETURNED_ROWS, query
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.approval import RowsChangedError
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.streaming import TableSink, ordered_map
from alumni_assets.stages.validation import JudgedTables, Progress, Validated, judged_tables, store_judged, upload_day
from alumni_assets.survey import cells
from alumni_assets.survey.correction_workbook import kept
from alumni_assets.survey.defusing import restored
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.parsing import NUMBERED_SCHEMA
from alumni_assets.survey.reading import numbered_parts
from alumni_assets.survey.row_ranges import ranges_of
from alumni_assets.survey.standing import Facts, Ingested, Seen, Status, standings_of
from alumni_assets.survey.validation import invalid_rows, judge, valid_rows
from alumni_assets.warehouse.parquet import one_file

_RETURNED_SCHEMA = NUMBERED_SCHEMA.append(pa.field("names_row", pa.int64()))
_JOINED_SCHEMA = NUMBERED_SCHEMA.append(pa.field("corrects_row", pa.int64()))
_BATCH_ROWS = 50_000
_MOST_NAMES = 100


class UploadNotTakenInError(Exception):
    """The upload that is corrected is known and not judged yet; the correction is to be tried again later."""


def validate_correction(
    lake: Lake,
    facts: Facts,
    seen: Seen,
    file_format: FileFormat,
    contract: Contract,
    memory_limit: str,
    progress: Progress,
) -> Validated:
    """Judge every row of a pinned correction and store both tables; a rerun stores the same again.

    Columns that the file lacks are filled from the rows that it corrects. `memory_limit` bounds the look-up of these,
    such as `500MB`. Raises `UnreadableUploadError` when the file does not name one upload whose rows can be corrected,
    and as `validate_upload` does; `UploadNotTakenInError`; and `RowsChangedError` when the stored rows that are to be
    corrected are not those that were set aside. Then nothing is stored.
    """
    result_of: dict[str, str] = {}
    read: list[int] = []
    mended: list[pa.Array] = []
    wrong: list[pa.Array] = []

    def judged(scratch: Path) -> Iterator[JudgedTables]:
        returned = scratch / "returned.parquet"
        uploads, rows = _keep_returned(lake, seen, file_format, contract, returned)
        read.append(rows)
        original = _corrected(facts, uploads, seen.upload)
        result_of.update(corrects=original.upload, against=original.invalid_content)
        judged_by = judge(contract, upload_day(facts.seen[original.upload], contract))

        def tables_of(batch: pa.RecordBatch) -> JudgedTables:
            rows = judged_by(batch)
            return (
                valid_rows(rows, original.upload, contract, corrected_by=seen.upload),
                invalid_rows(rows, seen.upload, corrects=original.upload),
            )

        with lake.local_copy(layout.invalid_key(original.upload)) as set_aside:
            _require_judged(set_aside, original)
            result_of["fingerprint"] = _fingerprint(returned, set_aside, memory_limit)
            for good, bad in ordered_map(tables_of, _joined(returned, set_aside, memory_limit)):
                mended.append(good["source_row"])
                wrong.append(bad["corrects_row"])
                yield good, bad

    result = store_judged(lake, judged_tables(seen.upload), judged, progress)
    result.rows = sum(read)
    result.corrects, result.against = result_of["corrects"], result_of["against"]
    named = pa.chunked_array(wrong, pa.int64())
    result.mends = ranges_of(pa.chunked_array(mended, pa.int64()).to_numpy())
    result.wrong, result.strays = ranges_of(named.drop_null().to_numpy()), named.null_count
    result.fingerprint = result_of["fingerprint"]
    return result


def _keep_returned(
    lake: Lake, seen: Seen, file_format: FileFormat, contract: Contract, path: Path
) -> tuple[set[str], int]:
    """Store the file's rows as text with what was defused restored; returns what uploads they name, and their count."""
    uploads: set[str] = set()
    with (
        lake.local_copy(layout.pinned_key(seen.upload)) as pinned,
        TableSink(path, _RETURNED_SCHEMA) as sink,
    ):
        for part in numbered_parts(pinned, file_format, contract.rules.limits):
            batch = part()
            if len(uploads) < _MOST_NAMES:
                uploads |= set(pc.unique(named_uploads(batch[UPLOAD_TITLE])).to_pylist())
            sink.write(returned_rows(batch))
    return uploads - {""}, sink.rows


def returned_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of a correction with what was defused restored, and in `names_row` the number of the row that each names."""
    columns = {name: _own_cells(batch[name]) for name in NAMES}
    columns["names_row"] = _row_numbers(batch[ROW_TITLE])
    return pa.RecordBatch.from_arrays(
        [columns[name] if name in columns else batch[name] for name in _RETURNED_SCHEMA.names], schema=_RETURNED_SCHEMA
    )


def _own_cells(texts: pa.Array) -> pa.Array:
    """Cells with what was defused restored; null where the file has none, or says that the original one stands."""
    return pc.if_else(kept(texts), pa.scalar(None, pa.string()), restored(texts))


def named_uploads(texts: pa.Array) -> pa.Array:
    """What the cells of `_upload` say."""
    return pc.utf8_trim_whitespace(restored(pc.fill_null(texts, "")))


def _row_numbers(texts: pa.Array) -> pa.Array:
    numbers = cells.whole_number_text(cells.tidy(restored(texts)))
    is_number = pc.match_substring_regex(numbers, "^[0-9]{1,18}$")
    return pc.cast(pc.if_else(is_number, numbers, pa.scalar(None, pa.string())), pa.int64())


def _corrected(facts: Facts, uploads: set[str], correction: str) -> Ingested:
    """What was found out about the one upload that is corrected.

    A correction that is judged anew corrects it whatever has become of it since: it falls and comes back with it.
    """
    if len(uploads) > 1:
        raise UnreadableUploadError(
            "several_uploads",
            "The column _upload names more than one upload. Give back the rows of each in a file of its own.",
        )
    upload = whole_id(facts, next(iter(uploads), ""))
    ingested = facts.ingested.get(upload)
    if ingested is None and upload in facts.seen:
        raise UploadNotTakenInError(f"{upload} is not taken in yet; its correction is taken in after it.")
    if ingested is None or upload not in facts.seen or ingested.corrects:
        raise UnreadableUploadError(
            "unknown_upload",
            "The column _upload names no upload that has rows to correct. Begin again with the correction file, and "
            "leave the cells of _upload and _row as they are.",
        )
    if facts.corrects(correction) == upload and ingested.outcome == Status.VALIDATED:
        return ingested
    standing = standings_of(facts, [upload])[upload]
    if standing.status is Status.SUPERSEDED:
        raise UnreadableUploadError(
            "superseded_upload",
            f"The rows of {upload} count no longer, for {standing.superseded_by} has superseded it. Correct the rows "
            "of that one.",
        )
    if standing.status is Status.DUPLICATE:
        raise UnreadableUploadError(
            "superseded_upload", f"{upload} repeats {standing.superseded_by}. Correct the rows of that one."
        )
    if standing.status is Status.WITHDRAWN:
        raise UnreadableUploadError("withdrawn_upload", f"{upload} was withdrawn: its rows count no longer.")
    if not ingested.invalid:
        raise UnreadableUploadError(
            "nothing_to_correct",
            f"No row of {upload} was set aside. To change rows that are valid, upload the whole file again under its "
            "name.",
        )
    return ingested


def whole_id(facts: Facts, text: str) -> str:
    """The id of an upload of which only the digits are given, as a workbook does where it cannot hold the name."""
    if not re.fullmatch(r"'?@[0-9a-f]{8,64}", text):
        return text
    found = [upload for upload in facts.seen if upload.endswith(text.lstrip("'")) and not facts.corrects(upload)]
    return found[0] if len(found) == 1 else text


def _require_judged(path: Path, original: Ingested) -> None:
    if sha256_of(path) != original.invalid_content:
        raise RowsChangedError(
            f"The invalid rows of {original.upload} in the lake are not the ones that were set aside. Materialize "
            "invalid_survey for it again."
        )


def _joined(returned: Path, set_aside: Path, memory_limit: str) -> Iterator[pa.RecordBatch]:
    """The returned rows, filled from those that they correct, in batches of `_JOINED_SCHEMA`."""
    with _returned_rows(returned, set_aside, memory_limit) as rows:
        for batch in rows.to_arrow_reader(_BATCH_ROWS):
            yield batch.cast(_JOINED_SCHEMA)


def _fingerprint(returned: Path, set_aside: Path, memory_limit: str) -> str:
    """A text that is the same for the same rows, whatever their order and the file that they came in."""
    cells = ", ".join(f"coalesce({name}, chr(30))" for name in ("corrects_row::VARCHAR", "reading_problem", *NAMES))
    with _returned_rows(returned, set_aside, memory_limit) as rows:
        numbers = f"count(*), sum(md5_number_lower(concat_ws(chr(31), {cells})))"
        ((count, total),) = rows.aggregate(numbers).fetchall()
    return f"{count}-{total}"


@contextmanager
def _returned_rows(returned: Path, set_aside: Path, memory_limit: str) -> Iterator[duckdb.DuckDBPyRelation]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(returned.parent / "spill"),
    }
    with duckdb.connect(config=config) as connection:
        for name, path in {"returned": returned, "set_aside": set_aside}.items():
            connection.register(name, connection.read_parquet(one_file(path), hive_partitioning=False))
        yield connection.sql(query(RETURNED_ROWS))
