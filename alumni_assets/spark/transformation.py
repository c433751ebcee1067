"""Transforming uploads on Spark: row groups are transformed in tasks, and stored here in order.

How a cell is transformed is in `survey/transformation.py`; what refuses rows, in `stages/transformation.py`.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from alumni_assets import layout
from alumni_assets.contract import Contract
from alumni_assets.contract_arrow import TRANSFORMED_SCHEMA
from alumni_assets.queries import EXACT_DUPLICATES, query
from alumni_assets.resources.lake_interface import Lake, LakeEntry
from alumni_assets.spark.parts import (
    Told,
    Work,
    from_tasks,
    in_tasks,
    lake_of_process,
    read_part,
    safe_failure,
    write_part,
)
from alumni_assets.spark.request import Transformed, Transforming
from alumni_assets.spark.types import spark_schema
from alumni_assets.stages.approval import RowsChangedError
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.streaming import TableSink, ordered_map
from alumni_assets.stages.transformation import (
    ENCODED,
    has_distinct_ids,
    transform_or_refuse,
    without_rows,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def transform_uploads(
    spark: "SparkSession", location: str, contract: Contract, uploads: Sequence[Transforming], tell: Told
) -> Iterator[Transformed]:
    """Transform uploads together; what became of each. What breaks with one holds up none of the others."""
    lake = lake_of_process(location)
    sources: list[_Source] = []
    for upload in uploads:
        try:
            sources.append(_source(lake, upload))
        except Exception as error:
            yield Transformed(upload.upload, failure=safe_failure(error))
    pieces = [(source.upload, group) for source in sources for group in range(source.groups)]
    failures = in_tasks(spark, len(pieces), _transforming(location, contract, pieces), "Transforming", tell)
    broken = {upload.upload: failure for (upload, _), failure in zip(pieces, failures, strict=True) if failure}
    for source in sources:
        upload = source.upload
        failure = broken.get(upload.upload)
        if failure is not None:
            is_refused = failure.kind == RowsChangedError.__name__
            yield Transformed(
                upload.upload, refusal=failure.text if is_refused else "", failure="" if is_refused else failure.text
            )
            continue
        try:
            yield _stored(spark, location, source)
        except Exception as error:
            yield Transformed(upload.upload, failure=safe_failure(error))


def transformed_key(stem: str) -> str:
    """Where the rows of an upload that was transformed on Spark are."""
    return f"{stem}transformed.parquet"


class SourceChangedError(Exception):
    """Another process stored the valid rows anew while they were transformed."""


@dataclass(frozen=True)
class _Source:
    """The stored valid rows of an upload: which object, its hash, and how many row groups it has."""

    upload: Transforming
    entry: LakeEntry | None
    sha256: str
    groups: int


def _source(lake: Lake, upload: Transforming) -> _Source:
    key = layout.valid_key(upload.upload)
    entry = lake.stat(key)
    with lake.local_copy(key) as path, pq.ParquetFile(path) as file:
        return _Source(upload, entry, sha256_of(path), file.metadata.num_row_groups)


def _transforming(location: str, contract: Contract, pieces: Sequence[tuple[Transforming, int]]) -> Work:
    """Transforms a row group of an upload in a task."""

    def work(piece: int) -> None:
        lake = lake_of_process(location)
        upload, group = pieces[piece]
        complete = transform_or_refuse(contract, upload.upload, upload.received_at)
        with (
            lake.open(layout.valid_key(upload.upload)) as stream,
            pq.ParquetFile(stream, pre_buffer=False, read_dictionary=ENCODED) as file,
        ):
            clean = [complete(batch) for batch in file.iter_batches(row_groups=[group])]
        write_part(lake, _key(upload, group), pa.concat_batches(clean))

    return work


def _stored(spark: "SparkSession", location: str, source: _Source) -> Transformed:
    """Put the pieces together, in order and without exact duplicates, into the table of an upload."""
    started, upload, lake = time.monotonic(), source.upload, lake_of_process(location)
    repeated = np.array([], np.int64) if upload.keeps_duplicates else _exact_duplicates(spark, location, source)
    with lake.writing(transformed_key(upload.stem)) as path:
        with TableSink(path, TRANSFORMED_SCHEMA) as sink:
            for batch in ordered_map(lambda group: read_part(lake, _key(upload, group)), range(source.groups)):
                sink.write(without_rows(batch, repeated))
        content = sha256_of(path)
    if lake.stat(layout.valid_key(upload.upload)) != source.entry:
        raise SourceChangedError(f"The valid rows of {upload.upload} were stored anew meanwhile; transform it again.")
    return Transformed(
        upload.upload,
        rows=sink.rows,
        exact_duplicates=int(repeated.size),
        seconds=time.monotonic() - started,
        source=source.sha256,
        content=content,
    )


def _exact_duplicates(spark: "SparkSession", location: str, source: _Source) -> np.ndarray:
    """The source rows that equal an earlier row of the upload, in order."""
    upload = source.upload
    if source.groups == 0:
        return np.array([], np.int64)
    if source.groups == 1 and has_distinct_ids(read_part(lake_of_process(location), _key(upload, 0))["employee_id"]):
        return np.array([], np.int64)

    def rows_of(group: int) -> Iterator[pa.RecordBatch]:
        yield read_part(lake_of_process(location), _key(upload, group))

    from_tasks(spark, source.groups, rows_of, spark_schema(TRANSFORMED_SCHEMA)).createOrReplaceTempView("transformed")
    rows = [row["source_row"] for row in spark.sql(query(EXACT_DUPLICATES)).collect()]
    return np.array(rows, dtype=np.int64)


def _key(upload: Transforming, group: int) -> str:
    return f"{upload.stem}transformed-{group:06d}.arrow"
