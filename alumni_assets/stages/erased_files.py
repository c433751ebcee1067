"""What erasing does to one file, whose rows of persons go out, and the account of what was done.

Which files there are is in `erasing.py` and, for the archive, in `erasing_archives.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from alumni_assets.contract import Contract
from alumni_assets.contract_arrow import INVALID_SCHEMA, TRANSFORMED_SCHEMA, VALID_SCHEMA
from alumni_assets.stages.streaming import TableSink, stored_batches
from alumni_assets.survey import row_ranges
from alumni_assets.survey.cutting import cut_rows
from alumni_assets.survey.reading import detect, numbered_parts
from alumni_assets.survey.row_ranges import Ranges

_SCHEMAS = (VALID_SCHEMA, TRANSFORMED_SCHEMA, INVALID_SCHEMA)


@dataclass
class Erased:
    """What was done: rows by upload, objects that were replaced, and what has to be done still.

    `waiting` are archived copies that cold storage was asked for, `unread` uploads that cannot be read as rows, and
    `uncut` uploads whose files cannot be rewritten.
    """

    rows: dict[str, int] = field(default_factory=dict)
    objects: int = 0
    waiting: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    uncut: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the person is left where it was looked for."""
        return not self.waiting and not self.uncut


def without_ranges(name: str, path: Path, ranges: Ranges, contract: Contract, target: Path | None) -> bool:
    """Whether an upload's file has some of these rows; they are cut out of what is written to `target`.

    `name` is its key below raw/. Raises `UnreadableUploadError`, and `CuttingError` where they cannot be cut out.
    """
    file_format, limits = detect(name, path, contract.rules.limits), contract.rules.limits
    numbers = [part()["source_row"].to_numpy() for part in numbered_parts(path, file_format, limits)]
    left = np.concatenate([batch[row_ranges.are_in(batch, ranges)] for batch in numbers] or [np.array([], np.int64)])
    if target is not None:
        cut_rows(name, path, left, target, limits)
    return bool(left.size)


def without_rows(path: Path, are_theirs: Callable[[pa.RecordBatch], np.ndarray], target: Path | None) -> bool:
    """Whether a stored table has such rows; it is written to `target` without them.

    The file is the one that the pipeline itself would have written of the rows that stay.
    """
    if target is None:
        columns = ["source_row", "employee_id"]
        return any(are_theirs(batch).any() for batch in stored_batches(path, columns))
    found = pq.read_schema(path)
    schema = next((some for some in _SCHEMAS if some.names == found.names), None)
    schema = schema or pa.schema([pa.field(one.name, one.type) for one in found])
    with TableSink(target, schema) as sink:
        for batch in stored_batches(path):
            sink.write(batch.filter(pa.array(~are_theirs(batch))).cast(schema))
    return True
