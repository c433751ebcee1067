"""Which columns a correction file has, and what stands in them as text.

First which row of which upload it is and what is wrong with it, then the upload's own columns under their own titles,
then what some rows have besides. How the file is written is in `correction_files.py` and `correction_workbook.py`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as pajson

from alumni_assets.contract import BY_NAME, CORRECTION_TITLES, NAMES, PROBLEMS_TITLE, ROW_TITLE, UPLOAD_TITLE
from alumni_assets.survey.detection import MOST_ADDED_COLUMNS, MOST_FURTHER_COLUMNS, Header
from alumni_assets.survey.parsing import other_titles


@dataclass(frozen=True)
class Column:
    """A column of the file. `field` is one of `CORRECTION_TITLES`, a name of the contract, or None.

    `key` is the title under which `other_columns` has the cells of a column that the contract does not have.
    """

    title: str
    field: str | None = None
    key: str = ""

    @property
    def subject(self) -> str:
        """What problems call the column."""
        return BY_NAME[self.field].header if self.field in BY_NAME else self.title


def columns_of(batches: Iterator[pa.RecordBatch], header: Header, most: int) -> tuple[Column, ...]:
    """The file's columns: where a row belongs, what is wrong, the upload's own, and what some rows have besides.

    An upload has `most` columns at most; those beyond what a correction may have are left out, the last first.
    """
    keys = other_titles(header)
    own = [
        _own_column(title, name, keys.get(position, ""))
        for position, (title, name) in enumerate(zip(header.titles, header.fields, strict=True))
        if name not in CORRECTION_TITLES and not _is_mark(title)
    ]
    lacking = [name for name in NAMES if name not in header.fields]
    needed, further = _further(batches, lacking, list(dict.fromkeys(keys.values())))
    columns = (
        *(Column(title, title) for title in CORRECTION_TITLES),
        *own,
        *(Column(BY_NAME[name].header, name) for name in needed),
        *(Column(key, key=key) for key in further if not _is_mark(key)),
    )
    return columns[: most + MOST_ADDED_COLUMNS]


def cells_of(batch: pa.RecordBatch, columns: Sequence[Column], sentences: pa.Array) -> list[pa.Array]:
    """The text of each column of the file; what a row does not have is empty."""
    upload, row = _origin(batch)
    by_field = {UPLOAD_TITLE: upload, ROW_TITLE: row, PROBLEMS_TITLE: sentences}
    by_field |= {name: _cells(batch, name) for name in NAMES}
    keys = list(dict.fromkeys(column.key for column in columns if column.field is None))
    by_key = _other_cells(batch["other_columns"], keys)
    return [
        pc.fill_null(by_key[column.key] if column.field is None else by_field[column.field], "") for column in columns
    ]


def _own_column(title: str, name: str | None, key: str) -> Column:
    """A column of the upload under its own title; one without a title of its own gets one that no other has."""
    return Column(title, name) if name else Column(title if title.strip() == key else key, key=key)


def _is_mark(title: str) -> bool:
    return title.strip().casefold() in CORRECTION_TITLES


def _further(
    batches: Iterator[pa.RecordBatch], lacking: Sequence[str], keys: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Which of the lacking columns some rows need, and the keys of cells that have no column in the header."""
    needed: set[str] = set()
    further: dict[str, None] = {}
    for batch in batches:
        troubled = set(pc.unique(pc.struct_field(batch["problems"].flatten(), "column")).to_pylist())
        needed |= {name for name in lacking if BY_NAME[name].header in troubled or _is_filled(_cells(batch, name))}
        if batch["other_columns"].null_count < batch.num_rows:
            names = _objects(batch["other_columns"], (*keys, *further), "infer").column_names
            further |= dict.fromkeys(name for name in names if name not in keys)
    return [name for name in lacking if name in needed], list(further)[:MOST_FURTHER_COLUMNS]


def _cells(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of the survey; empty where rows were stored before the survey had it."""
    return batch[name] if name in batch.schema.names else pa.nulls(batch.num_rows, pa.string())


def _is_filled(array: pa.Array) -> bool:
    return bool(pc.any(pc.not_equal(array, "")).as_py())


def _objects(texts: pa.Array, keys: Sequence[str], others: Literal["infer", "ignore"]) -> pa.Table:
    """JSON objects as a table with a column for each key; null is an object without any."""
    lines = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), pc.fill_null(texts, "{}"))
    data = pc.binary_join(lines, "\n")[0].as_buffer()
    schema = pa.schema([(key, pa.string()) for key in keys])
    try:
        return pajson.read_json(
            pa.BufferReader(data),
            read_options=pajson.ReadOptions(use_threads=False, block_size=data.size + 1),
            parse_options=pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior=others),
        )
    except pa.ArrowInvalid:  # a key that comes twice in an object, as two columns with the same title may make it
        rows = [json.loads(text) for text in pc.fill_null(texts, "{}").to_pylist()]
        names = dict.fromkeys([*keys, *(key for row in rows if others == "infer" for key in row)])
        return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def _origin(batch: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
    """The upload and the number of each row; of a row that a correction brought back, those that it corrects.

    One that names no row of that upload has no number: a person has to find it.
    """
    upload, row = batch["upload"], batch["source_row"]
    if {"corrects", "corrects_row"} <= set(batch.schema.names):
        row = pc.if_else(pc.is_valid(batch["corrects"]), batch["corrects_row"], row)
        upload = pc.coalesce(batch["corrects"], upload)
    return upload, pc.fill_null(pc.cast(row, pa.string()), "")


def _other_cells(texts: pa.Array, keys: Sequence[str]) -> Mapping[str, pa.Array]:
    if not keys or texts.null_count == len(texts):
        return dict.fromkeys(keys, pa.nulls(len(texts), pa.string()))
    table = _objects(texts, keys, "ignore")
    return {key: table.column(key).combine_chunks() for key in keys}
