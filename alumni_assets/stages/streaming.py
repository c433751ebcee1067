"""Streams of batches: work on them on all cores, in order and in bounded memory, and store them."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from alumni_assets.contract import LINEAGE, REPETITIVE_COLUMNS

T = TypeVar("T")
R = TypeVar("R")
_ROW_GROUP = 200_000
_READ_ROWS = 50_000
_REPETITIVE = [
    *REPETITIVE_COLUMNS,
    *(name for name in LINEAGE if name != "source_row"),
    "corrects",
    "other_columns",
    *(f"problems.list.element.{name}" for name in ("code", "column", "message", "suggestion")),
]
_WITH_STATISTICS = ["source_row", "employee_id"]
CORES = os.cpu_count() or 1


def ordered_map(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map` on as many threads as there are cores, in order, never more than a few results ahead."""
    pending = iter(items)
    first = list(islice(pending, 2))
    if len(first) < 2:  # for one item no thread is worth its start
        yield from map(function, first)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(CORES) as pool:
        try:
            for item in chain(first, pending):
                waiting.append(pool.submit(function, item))
                if len(waiting) > CORES:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class TableSink(AbstractContextManager["TableSink"]):
    """Writes batches to a Parquet file, on a thread of its own. `rows` counts what came.

    The file depends on the rows alone, not on the batches in which they come, so that its hash tells its content.
    What goes wrong in writing is raised by a later call, at the latest at the end.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=1,
            # Looking for repetitions where there are few, and for the least and greatest text, costs half of writing.
            use_dictionary=_REPETITIVE,
            write_statistics=_WITH_STATISTICS,
        )
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self._thread = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch; rows are held back until a row group is full."""
        if batch.num_rows == 0:
            return
        self._held.append(batch)
        self._held_rows += batch.num_rows
        self.rows += batch.num_rows
        if self._held_rows >= _ROW_GROUP:
            self._write_row_groups()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._write_row_groups(last=True)
                self._wait()
        finally:
            self._thread.shutdown()
            self._writer.close()

    def _write_row_groups(self, last: bool = False) -> None:
        if not self._held:
            return
        held = pa.Table.from_batches(self._held)
        end = held.num_rows if last else held.num_rows - held.num_rows % _ROW_GROUP
        self._wait()
        self._written = self._thread.submit(self._write, held.slice(0, end))
        self._held, self._held_rows = held.slice(end).to_batches(), held.num_rows - end

    def _write(self, rows: pa.Table) -> None:
        for start in range(0, rows.num_rows, _ROW_GROUP):
            self._writer.write_table(rows.slice(start, _ROW_GROUP).combine_chunks(), row_group_size=_ROW_GROUP)

    def _wait(self) -> None:
        """Never more than one write ahead, so that memory stays bounded."""
        if self._written is not None:
            written, self._written = self._written, None
            written.result()


def stored_batches(
    path: Path, columns: list[str] | None = None, encoded: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The batches of a Parquet file, read as they are asked for; the columns of `encoded` come dictionary-encoded."""
    with pq.ParquetFile(path, pre_buffer=False, read_dictionary=list(encoded)) as file:
        yield from file.iter_batches(_READ_ROWS, columns=columns)
