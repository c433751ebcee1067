"""Numbered pieces of work for Spark's tasks, which read and write the lake themselves.

Spark itself opens no file: so a folder and a bucket work alike, and no connector has to be configured. A task that
is tried again writes the same object again. Pieces of tables on their way are Arrow files.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from alumni_assets.resources.lake_interface import Lake
from alumni_assets.resources.lake_location import open_lake
from alumni_assets.stages.streaming import TableSink

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from pyspark.sql import DataFrame, SparkSession

Work = Callable[[int], None]
Told = Callable[[str], None]
_TOLD_EVERY = 5.0  # seconds
_FEW_TASKS, _TASKS_PER_CORE = 200, 16


class TaskFailedError(Exception):
    """A piece of work broke in a task. The message holds no cell value."""


@dataclass(frozen=True)
class Failure:
    """What broke in a task: the name of the error's class, and a text without cell values."""

    kind: str
    text: str


@cache
def lake_of_process(location: str) -> Lake:
    """The lake, opened once in each of Spark's processes."""
    return open_lake(location, _s3_client)


def in_tasks(spark: "SparkSession", count: int, work: Work, doing: str, tell: Told) -> list[Failure | None]:
    """Call `work` with each of 0 … count - 1 in Spark's tasks; for each what broke, None where nothing did.

    `doing` says what is done, for those who are told of the progress.
    """
    if count == 0:
        return []

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                failure = _failure(work, number)
                yield pa.RecordBatch.from_pylist([{"number": number, "kind": failure.kind, "failure": failure.text}])

    frame = spark.range(0, count, 1, _tasks(spark, count)).mapInArrow(run, "number bigint, kind string, failure string")
    with _progress_told(spark, doing, tell):
        failures = {row["number"]: Failure(row["kind"], row["failure"]) for row in frame.collect()}
    return [failures[number] if failures[number].kind else None for number in range(count)]


def from_tasks(
    spark: "SparkSession", count: int, produce: Callable[[int], Iterable[pa.RecordBatch]], schema: str
) -> "DataFrame":
    """A data frame of what `produce` gives for each of 0 … count - 1, called in Spark's tasks."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                with _without_cells():
                    yield from produce(number)

    return spark.range(0, count, 1, _tasks(spark, count)).mapInArrow(run, schema)


def write_part(lake: Lake, key: str, batch: pa.RecordBatch) -> None:
    """Store a piece of a table."""
    with (
        lake.writing(key) as path,
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_file(file, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer,
    ):
        writer.write_batch(batch)


def read_part(lake: Lake, key: str) -> pa.RecordBatch:
    """A stored piece of a table."""
    with lake.open(key) as stream:
        return pa.ipc.open_file(stream).get_batch(0)


def stored_in_tasks(frame: "DataFrame", location: str, stem: str, schema: pa.Schema) -> tuple[str, ...]:
    """Store a data frame as Parquet files, one for each partition, in order; returns their keys in the lake."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None, "this runs in a task"
        number = context.partitionId()
        with (
            _without_cells(),
            lake_of_process(location).writing(_table_key(stem, number)) as path,
            TableSink(path, schema) as sink,
        ):
            for batch in batches:
                sink.write(batch.cast(schema))
        yield pa.RecordBatch.from_pylist([{"number": number, "rows": sink.rows}])

    stored = frame.mapInArrow(run, "number bigint, rows bigint").collect()
    return tuple(_table_key(stem, row["number"]) for row in sorted(stored) if row["rows"])


def delete_parts(lake: Lake, folder: str, stem: str) -> None:
    """Delete the objects in a folder whose keys begin so."""
    for entry in list(lake.list(folder)):
        if entry.key.startswith(stem):
            lake.delete(entry.key)


def _table_key(stem: str, number: int) -> str:
    return f"{stem}-{number:06d}.parquet"


def safe_failure(error: Exception) -> str:
    """An error for logs: our own messages hold no cell values, those of libraries may."""
    own = type(error).__module__.startswith("alumni_assets")
    return str(error) if own else type(error).__name__


def _tasks(spark: "SparkSession", count: int) -> int:
    """How many tasks do that many pieces of work: a task costs a twentieth of a second of its own."""
    return max(1, min(count, max(_FEW_TASKS, _TASKS_PER_CORE * spark.sparkContext.defaultParallelism)))


def _failure(work: Work, number: int) -> Failure:
    try:
        work(number)
    except Exception as error:
        return Failure(type(error).__name__, safe_failure(error))
    return Failure("", "")


@contextmanager
def _without_cells() -> Iterator[None]:
    """Spark prints what is raised in a task, so a library's message must not come so far."""
    try:
        yield
    except Exception as error:
        failure = safe_failure(error)
    else:
        return
    raise TaskFailedError(failure)


@contextmanager
def _progress_told(spark: "SparkSession", doing: str, tell: Told) -> Iterator[None]:
    ended = threading.Event()

    def watch() -> None:
        tracker = spark.sparkContext.statusTracker()
        while not ended.wait(_TOLD_EVERY):
            stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            known = [stage for stage in stages if stage is not None]
            done, tasks = sum(stage.numCompletedTasks for stage in known), sum(stage.numTasks for stage in known)
            tell(f"{doing}: {done:,} of {tasks:,} tasks")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _s3_client() -> "S3Client":
    import boto3

    from alumni_assets.resources.s3_calls import client_config

    return boto3.client("s3", config=client_config())
