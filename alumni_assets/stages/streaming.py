"""Streams of batches: work on them on all cores, in order and in bounded memory, and store them."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

T = TypeVar("T")
R = TypeVar("R")
_ROW_GROUP = 200_000
_READ_ROWS = 50_000
CORES = os.cpu_count() or 1


def ordered_map(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map` on as many threads as there are cores, in order, never more than a few results ahead."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(CORES) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > CORES:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class TableSink(AbstractContextManager["TableSink"]):
    """Writes batches to a Parquet file in row groups of a useful size. `rows` counts what came."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=1)
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch; it may be held back until a row group is full."""
        if batch.num_rows == 0:
            return
        self._held.append(batch)
        self._held_rows += batch.num_rows
        self.rows += batch.num_rows
        if self._held_rows >= _ROW_GROUP:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_batches(self._held), row_group_size=_ROW_GROUP)
        self._held, self._held_rows = [], 0


def stored_batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The batches of a Parquet file, read as they are asked for."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(_READ_ROWS, columns=columns)
