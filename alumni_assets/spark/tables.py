"""The tables below the approval on Spark: the portable SQL of `sql/` over all transformed rows that count.

What is added to answers besides SQL (intervals, verdicts) is added where they are taken over: `warehouse/answers.py`.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from alumni_assets import layout
from alumni_assets.contract_arrow import TRANSFORMED_SCHEMA
from alumni_assets.queries import DERIVED_QUERIES, PLACED_ROWS, TABLE_OF_QUERY, derived_query, query
from alumni_assets.spark.parts import (
    TaskFailedError,
    Told,
    from_tasks,
    in_tasks,
    lake_of_process,
    safe_failure,
    stored_in_tasks,
)
from alumni_assets.spark.request import Derived, Deriving
from alumni_assets.spark.types import arrow_schema, spark_schema, spark_type
from alumni_assets.stages.transformation import rows_changed
from alumni_assets.survey.transformation import or_null
from alumni_assets.warehouse.history import arrivals
from alumni_assets.warehouse.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Tables that later queries read.
_READ_AGAIN = ("alumni", "alumni_history", "top_employees")


def derive_tables(spark: "SparkSession", location: str, wanted: Deriving, time_zone: str, tell: Told) -> Derived:
    """Make every table below the approval from the transformed rows of the uploads that count, and store it.

    `time_zone` is the survey's.
    """
    try:
        _require_unchanged(spark, location, wanted, tell)
        return Derived(_stored_tables(spark, location, wanted, time_zone, tell))
    except Exception as error:
        return Derived({}, failure=safe_failure(error))
    finally:
        spark.catalog.clearCache()  # another job in this session would take equal queries for equal rows


def _require_unchanged(spark: "SparkSession", location: str, wanted: Deriving, tell: Told) -> None:
    """Raises `TaskFailedError` where stored rows are not the ones that were made."""
    uploads = list(wanted.uploads.items())

    def compare(number: int) -> None:
        upload, version = uploads[number]
        with lake_of_process(location).open(layout.transformed_key(upload)) as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != version:
                raise rows_changed(upload)

    for failure in in_tasks(spark, len(uploads), compare, "Comparing hashes", tell):
        if failure is not None:
            raise TaskFailedError(failure.text)


def _stored_tables(
    spark: "SparkSession", location: str, wanted: Deriving, time_zone: str, tell: Told
) -> dict[str, tuple[str, ...]]:
    from pyspark.sql import functions

    _offer(_responses(spark, location, wanted), "survey_responses")
    _offer_arrivals(spark, time_zone)
    files = {}
    for name in DERIVED_QUERIES:
        table = TABLES[TABLE_OF_QUERY.get(name, name)]
        tell(f"Making {table.name}")
        found = spark.sql(derived_query(name))
        columns = [column for column in table.columns if column.name in found.columns]
        frame = found.select([functions.col(column.name).cast(spark_type(column)) for column in columns])
        if table.name in _READ_AGAIN:
            _offer(frame, table.name)
        files[name] = stored_in_tasks(frame, location, f"{wanted.stem}{table.name}", arrow_schema(columns))
    return files


def _responses(spark: "SparkSession", location: str, wanted: Deriving) -> "DataFrame":
    """Every transformed row that counts."""
    transformed = _transformed(spark, location, wanted.uploads)
    if not wanted.corrections:
        return transformed
    transformed.createOrReplaceTempView("transformed")
    places = [(correction, place) for place, correction in enumerate(wanted.corrections, start=1)]
    spark.createDataFrame(places, "correction string, place int").createOrReplaceTempView("corrections")
    return spark.sql(query(PLACED_ROWS))


def _transformed(spark: "SparkSession", location: str, uploads: Iterable[str]) -> "DataFrame":
    """The rows of the stored tables, a row group for each task."""
    lake = lake_of_process(location)
    pieces: list[tuple[str, int]] = []
    for upload in uploads:
        key = layout.transformed_key(upload)
        with lake.open(key) as stream, pq.ParquetFile(stream) as file:
            pieces += [(key, group) for group in range(file.metadata.num_row_groups)]

    def rows_of(piece: int) -> Iterator[pa.RecordBatch]:
        key, group = pieces[piece]
        with lake_of_process(location).open(key) as stream, pq.ParquetFile(stream, pre_buffer=False) as file:
            for batch in file.iter_batches(row_groups=[group]):
                columns = [or_null(batch, field) for field in TRANSFORMED_SCHEMA]
                yield pa.RecordBatch.from_arrays(columns, schema=TRANSFORMED_SCHEMA)

    # A task for each row group, and no fewer than can be at work: Spark's own 200 are too many or too few.
    parallelism = max(len(pieces), spark.sparkContext.defaultParallelism)
    spark.conf.set("spark.sql.shuffle.partitions", parallelism)
    return from_tasks(spark, len(pieces), rows_of, spark_schema(TRANSFORMED_SCHEMA))


def _offer_arrivals(spark: "SparkSession", time_zone: str) -> None:
    received_at = [row[0] for row in spark.sql("SELECT DISTINCT received_at FROM survey_responses").collect()]
    rows = [tuple(row.values()) for row in arrivals(received_at, time_zone).to_pylist()]
    schema = "received_at timestamp_ntz, received_on timestamp_ntz"
    spark.createDataFrame(rows, schema).createOrReplaceTempView("arrivals")


def _offer(frame: "DataFrame", name: str) -> None:
    """Let queries read a table under its name; it is made once, and laid aside on the disk where memory ends."""
    frame.persist()
    frame.createOrReplaceTempView(name)
