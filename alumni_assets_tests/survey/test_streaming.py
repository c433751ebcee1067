"""Tables that are stored batch by batch: the file depends on the rows alone, and what fails in writing is told."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.streaming import TableSink

SCHEMA = pa.schema([("source_row", pa.int64()), ("employee_name", pa.string())])


def batch(first: int, rows: int) -> pa.RecordBatch:
    numbers = pa.array(np.arange(first, first + rows))
    return pa.record_batch([numbers, numbers.cast(pa.string())], SCHEMA)


def stored(path: Path, sizes: list[int]) -> str:
    """Store rows that come in batches of these sizes; returns the file's hash."""
    with TableSink(path, SCHEMA) as sink:
        for number, rows in enumerate(sizes):
            sink.write(batch(sum(sizes[:number]), rows))
    assert sink.rows == sum(sizes)
    return sha256_of(path)


@settings(max_examples=20, deadline=None)
@given(cuts=st.sets(st.integers(1, 459_999), max_size=8))
def test_however_the_rows_come_the_file_is_the_same(cuts: set[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("sink")
    ends = [*sorted(cuts), 460_000]
    sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    assert stored(folder / "cut", sizes) == stored(folder / "whole", [460_000])
    with pq.ParquetFile(folder / "cut") as file:
        groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        assert groups == [200_000, 200_000, 60_000]
        assert file.read(["source_row"])["source_row"].to_pylist() == list(range(460_000))


def test_a_table_without_rows_is_a_table(tmp_path: Path) -> None:
    stored(tmp_path / "empty", [])
    assert pq.read_table(tmp_path / "empty").schema == SCHEMA


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_an_error_even_when_it_is_noticed_late() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        stored(Path("/dev/full"), [460_000])


def test_what_ends_the_rows_is_raised_and_not_what_came_of_it(tmp_path: Path) -> None:
    def end_early() -> None:
        with TableSink(tmp_path / "table", SCHEMA) as sink:
            sink.write(batch(0, 300_000))
            raise ValueError("the quote never closes")

    with pytest.raises(ValueError, match="the quote never closes"):
        end_early()
