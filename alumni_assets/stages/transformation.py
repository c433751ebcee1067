"""Transformation of one upload: stored valid rows become stored clean rows, exact duplicates dropped.

How a cell is transformed is in `survey/transformation.py`; which rows are exact duplicates is said by
`sql/exact_duplicates.sql`. Whether an upload may be transformed is decided in `approval.py`.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets import layout
from alumni_assets.contract import TRANSFORMED_SCHEMA, Contract
from alumni_assets.queries import EXACT_DUPLICATES, query
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.streaming import TableSink, ordered_map, sha256_of, stored_batches
from alumni_assets.stages.validation import Progress
from alumni_assets.survey.standing import Seen
from alumni_assets.survey.transformation import transform

_PREVIEWED = 10


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
    lake: Lake, seen: Seen, contract: Contract, memory_limit: str, progress: Progress
) -> TransformedUpload:
    """Transform the stored valid rows of an upload and store them; a rerun stores the same again.

    `memory_limit` bounds DuckDB's search for exact duplicates, such as `600MB`.
    """
    started, result = time.monotonic(), TransformedUpload()
    transformed = transform(contract, seen.received_at)
    with (
        lake.local_copy(layout.valid_key(seen.upload)) as valid,
        lake.writing(layout.transformed_key(seen.upload)) as target,
    ):
        result.source = sha256_of(valid)
        with TableSink(target, TRANSFORMED_SCHEMA) as sink:
            for batch in ordered_map(transformed, stored_batches(valid)):
                sink.write(batch)
                progress(sink.rows, time.monotonic() - started)
        repeated = _exact_duplicates(target, memory_limit)
        if repeated.size:
            _drop_rows(target, repeated)
        result.rows, result.exact_duplicates = sink.rows - repeated.size, int(repeated.size)
        result.content = sha256_of(target)
        first = next(stored_batches(target), None)
        result.preview = first.slice(0, _PREVIEWED).to_pylist() if first is not None else []
    result.seconds = time.monotonic() - started
    return result


def _exact_duplicates(path: Path, memory_limit: str) -> np.ndarray:
    """The source rows that equal an earlier row of the upload."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(path.parent / "spill"),
    }
    with duckdb.connect(config=config) as connection:
        connection.read_parquet(str(path)).create_view("transformed")
        rows = connection.execute(query(EXACT_DUPLICATES)).fetchnumpy()["source_row"]
    return np.asarray(rows, dtype=np.int64)


def _drop_rows(path: Path, source_rows: np.ndarray) -> None:
    dropped = pa.array(source_rows)
    kept_path = path.with_name(f"{path.name}.kept")
    with TableSink(kept_path, TRANSFORMED_SCHEMA) as sink:
        for batch in stored_batches(path):
            sink.write(batch.filter(pc.invert(pc.is_in(batch["source_row"], value_set=dropped))))
    kept_path.replace(path)
