"""Transformation of one upload: stored valid rows become stored clean rows, exact duplicates dropped.

How a cell is transformed is in `survey/transformation.py`; which rows are exact duplicates is said by
`sql/exact_duplicates.sql`. Whether an upload may be transformed is decided in `approval.py`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alumni_assets import layout
from alumni_assets.contract import COLUMNS, REPETITIVE_COLUMNS, Contract
from alumni_assets.contract_arrow import TRANSFORMED_SCHEMA, VALID_SCHEMA
from alumni_assets.queries import EXACT_DUPLICATES, query
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.approval import RowsChangedError
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.streaming import TableSink, ordered_map, stored_batches
from alumni_assets.stages.validation import Progress
from alumni_assets.survey.standing import Seen, Transformed
from alumni_assets.survey.transformation import Transform, transform

_PREVIEWED = 10
_FEW_ROWS = 100_000
# Text columns that are transformed by their distinct cells, and are best read so.
ENCODED = [name for name in REPETITIVE_COLUMNS if pa.types.is_string(VALID_SCHEMA.field(name).type)]
_REQUIRED = [column.name for column in COLUMNS if column.required]


@dataclass
class TransformedUpload:
    """What transforming an upload gave: `source` and `content` are SHA-256 of the table read and stored."""

    rows: int = 0
    exact_duplicates: int = 0
    seconds: float = 0.0
    source: str = ""
    content: str = ""
    preview: list[dict[str, object]] = field(default_factory=list)


def transform_upload(
    lake: Lake,
    seen: Seen,
    approved: str,
    contract: Contract,
    memory_limit: str,
    progress: Progress,
    corrects: Seen | None = None,
) -> TransformedUpload:
    """Transform the stored valid rows of an upload and store them; a rerun stores the same again.

    `approved` is the SHA-256 of the valid rows that were approved; `memory_limit` bounds DuckDB's search for
    exact duplicates, such as `600MB`. `corrects` is the upload whose rows a correction corrects: they keep the
    time at which that was received, and none is dropped for being equal to another, for each stands for a row of
    its own. Raises `RowsChangedError`; then what was stored before stays.
    """
    started, result = time.monotonic(), TransformedUpload()
    complete = transform_or_refuse(contract, seen.upload, (corrects or seen).received_at)
    with (
        lake.local_copy(layout.valid_key(seen.upload)) as valid,
        lake.writing(layout.transformed_key(seen.upload)) as target,
    ):
        result.source = sha256_of(valid)
        if result.source != approved:
            raise rows_not_approved(seen.upload)
        with TableSink(target, TRANSFORMED_SCHEMA) as sink:
            for batch in ordered_map(complete, stored_batches(valid, encoded=ENCODED)):
                sink.write(batch)
                progress(sink.rows, time.monotonic() - started)
        repeated = np.array([], np.int64) if corrects else _exact_duplicates(target, memory_limit)
        if repeated.size:
            _drop_rows(target, repeated)
        result.rows, result.exact_duplicates = sink.rows - repeated.size, int(repeated.size)
        result.content = sha256_of(target)
        first = next(stored_batches(target), None)
        result.preview = first.slice(0, _PREVIEWED).to_pylist() if first is not None else []
    result.seconds = time.monotonic() - started
    return result


def transform_or_refuse(contract: Contract, upload: str, received_at: datetime) -> Transform:
    """What `survey.transformation.transform` gives, but for rows of which today's rules can make nothing.

    The function raises `RowsChangedError` then. `received_at` is in UTC, without zone.
    """
    transformed = transform(contract, received_at)

    def complete(batch: pa.RecordBatch) -> pa.RecordBatch:
        clean = transformed(batch)
        if any(clean[name].null_count for name in _REQUIRED) or pc.any(pc.equal(clean["employee_name"], "")).as_py():
            raise RowsChangedError(
                f"The rules have changed since {upload} was judged: some of its answers mean nothing any more. "
                "Run `alumni revalidate`, look at the result, and approve that."
            )
        return clean

    return complete


def rows_not_approved(upload: str) -> RowsChangedError:
    """The error for valid rows that are not the ones that were approved."""
    return RowsChangedError(
        f"The valid rows of {upload} are not the ones that were approved. Materialize validated_survey for it again "
        "and approve that."
    )


def rows_changed(upload: str) -> RowsChangedError:
    """The error for transformed rows that are not the ones that were made."""
    return RowsChangedError(
        f"The transformed rows of {upload} have changed since they were made. Materialize transformed_survey for it "
        "again."
    )


def has_distinct_ids(ids: pa.Array | pa.ChunkedArray) -> bool:
    """Whether no employee id comes twice, so that no two rows can be equal."""
    return pc.count_distinct(ids).as_py() == len(ids)


def without_rows(batch: pa.RecordBatch, source_rows: np.ndarray) -> pa.RecordBatch:
    """A batch without the rows of these numbers."""
    if not source_rows.size:
        return batch
    return batch.filter(pc.invert(pc.is_in(batch["source_row"], value_set=pa.array(source_rows))))


@contextmanager
def transformed_rows(lake: Lake, transformed: Transformed) -> Iterator[Path]:
    """The stored rows of an upload as a local file. Raises `RowsChangedError` where they are not what was made."""
    with lake.local_copy(layout.transformed_key(transformed.upload)) as path:
        if sha256_of(path) != transformed.content:
            raise rows_changed(transformed.upload)
        yield path


def _exact_duplicates(path: Path, memory_limit: str) -> np.ndarray:
    """The source rows that equal an earlier row of the upload."""
    if _is_seen_to_be_distinct(path):
        return np.array([], np.int64)
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(path.parent / "spill"),
    }
    with duckdb.connect(config=config) as connection:
        connection.read_parquet(str(path)).create_view("transformed")
        rows = connection.execute(query(EXACT_DUPLICATES)).fetchnumpy()["source_row"]
    return np.asarray(rows, dtype=np.int64)


def _is_seen_to_be_distinct(path: Path) -> bool:
    """Whether a glance at the ids is enough to see that no two rows are equal: tried only where it takes no memory."""
    with pq.ParquetFile(path) as file:
        return file.metadata.num_rows <= _FEW_ROWS and has_distinct_ids(file.read(["employee_id"])["employee_id"])


def _drop_rows(path: Path, source_rows: np.ndarray) -> None:
    kept_path = path.with_name(f"{path.name}.kept")
    with TableSink(kept_path, TRANSFORMED_SCHEMA) as sink:
        for batch in stored_batches(path):
            sink.write(without_rows(batch, source_rows))
    kept_path.replace(path)
