"""Cells: turns a block of whole records into a numbered record batch of text.

The numbered text is the one input of `validation.py`, here and on Spark. Its columns: `source_row`
(int64, physical records after the header from 1), the contract's columns that the file has (string,
as they came), `other_columns` (JSON object of unknown columns and surplus cells, or null) and
`reading_problem` (a code of the contract that concerns the row as a whole, or null). A correction has the
columns `contract.CORRECTION_TITLES` that its file has besides, as text: see `numbered_schema`.
Blank records (no cell has anything but spaces) are left out; they keep their number.
"""

import csv
import io
import json
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from alumni_assets.contract import CORRECTION_TITLES, NAMES, Code
from alumni_assets.survey.cells import where_matching
from alumni_assets.survey.detection import Header
from alumni_assets.survey.records import Block

NUMBERED_SCHEMA = pa.schema(
    [pa.field("source_row", pa.int64())]
    + [pa.field(name, pa.string()) for name in NAMES]
    + [pa.field("other_columns", pa.string()), pa.field("reading_problem", pa.string())]
)
_SURPLUS = "(surplus cells)"


def numbered_schema(header: Header) -> pa.Schema:
    """`NUMBERED_SCHEMA`, and the marks of a correction where the file has them."""
    marks = [pa.field(title, pa.string()) for title in CORRECTION_TITLES if title in header.fields]
    return pa.schema([*NUMBERED_SCHEMA, *marks])


@dataclass(frozen=True)
class _Ragged:
    """A record whose cells do not match the header."""

    position: int
    text: str


def parse_block(block: Block, header: Header, delimiter: str, header_record: int) -> pa.RecordBatch:
    """Parse a block into `numbered_schema`; the header record itself must not be in it.

    Columns of the contract that the file lacks are null.
    """
    first = block.first - header_record
    if block.oversize:
        return _oversize_batch(block, first, header)
    ragged: list[_Ragged] = []

    def keep_ragged(row: pacsv.InvalidRow) -> str:
        ragged.append(_Ragged(row.number - 1, row.text))
        return "skip"

    width = len(header.titles)
    internal = [f"f{position}" for position in range(width)]
    # pyarrow drops a byte order mark that it begins with, which in the middle of a file is a character of a cell.
    data = BOM_UTF8 + block.data if block.data.startswith(BOM_UTF8) else block.data
    table = pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(column_names=internal, use_threads=False, block_size=max(len(data) + 1, 1024)),
        parse_options=pacsv.ParseOptions(
            delimiter=delimiter,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=keep_ragged,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(internal, pa.string()), strings_can_be_null=False
        ),
    )
    positions = np.delete(np.arange(block.count), [row.position for row in ragged])
    whole = numbered_batch(
        [table.column(position).combine_chunks() for position in range(width)],
        pa.array(positions + first, pa.int64()),
        header,
    )
    return _with_ragged(whole, ragged, header, delimiter, first)


def numbered_batch(cells: Sequence[pa.Array], source_row: pa.Array, header: Header) -> pa.RecordBatch:
    """Numbered text from one string array for each column of the file; blank rows are left out."""
    by_name = {name: array for name, array in zip(header.fields, cells, strict=True) if name is not None}
    nulls = pa.nulls(len(source_row), pa.string())
    columns = {"source_row": source_row, "other_columns": _other_columns(cells, header, len(source_row))} | by_name
    schema = numbered_schema(header)
    batch = pa.RecordBatch.from_arrays([columns.get(name, nulls) for name in schema.names], schema=schema)
    blank = _blank_rows(cells, len(source_row))
    return batch if blank is None else batch.filter(pc.invert(blank))


def _blank_rows(cells: Sequence[pa.Array], rows: int) -> pa.Array | None:
    """Which rows have only spaces in every cell; None when there is none (the usual case)."""
    blank = pa.array(np.ones(rows, bool))
    for array in cells:
        short = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(array)), 0)
        blank = pc.and_(blank, pc.fill_null(short, True))
        if not pc.any(blank).as_py():
            return None
    return blank


def _other_columns(cells: Sequence[pa.Array], header: Header, rows: int) -> pa.Array:
    """The filled cells of columns that the contract does not have, as JSON; null where there is none."""
    titles = other_titles(header)
    if not titles:
        return pa.nulls(rows, pa.string())
    members = [_json_members(title, cells[position]) for position, title in titles.items()]
    joined = pc.utf8_rtrim(pc.binary_join_element_wise(*members, ""), ", ")
    objects = pc.binary_join_element_wise("{", joined, "}", "")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), objects)


def _json_members(title: str, column: pa.Array) -> pa.Array:
    """`"title": "cell", ` for each filled cell, nothing for an empty one."""
    escaped = where_matching(
        column,
        r'["\\\x00-\x1f]',
        lambda some: pa.array([_json(cell)[1:-1] for cell in some.to_pylist()], pa.string()),
    )
    members = pc.binary_join_element_wise(f'{_json(title)}: "', escaped, '", ', "")
    return pc.if_else(pc.equal(column, ""), "", members)


def other_titles(header: Header) -> dict[int, str]:
    """For each column that the contract does not have a title that no other one has."""
    titles: dict[int, str] = {}
    taken = {""}
    for position, (title, name) in enumerate(zip(header.titles, header.fields, strict=True)):
        if name is None:
            plain = title.strip()
            titles[position] = f"{plain} (column {position + 1})".lstrip() if plain in taken else plain
            taken.add(titles[position])
    return titles


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _with_ragged(
    whole: pa.RecordBatch, ragged: list[_Ragged], header: Header, delimiter: str, first: int
) -> pa.RecordBatch:
    split = [(record.position + first, _split(record.text, delimiter)) for record in ragged]
    titles = other_titles(header)
    rows = [
        _ragged_row(source_row, cells, header, titles, delimiter)
        for source_row, cells in split
        if any(cell.strip() for cell in cells)
    ]
    if not rows:
        return whole
    both = pa.Table.from_batches([whole, pa.RecordBatch.from_pylist(rows, schema=whole.schema)])
    return both.sort_by("source_row").combine_chunks().to_batches()[0]


def _ragged_row(
    source_row: int, cells: list[str], header: Header, titles: Mapping[int, str], delimiter: str
) -> dict[str, object]:
    """The cells of a ragged record by position; what is beyond the header is kept as surplus.

    `titles` are the `other_titles`. It looks at the cells that there are, for the header may have hundreds more.
    """
    values: dict[str, object] = {
        name: cell for name, cell in zip(header.fields, cells, strict=False) if name is not None
    }
    within = cells[: len(header.titles)]
    others = {titles[position]: cell for position, cell in enumerate(within) if position in titles}
    others[_SURPLUS] = delimiter.join(cells[len(header.titles) :])
    filled = {title: cell for title, cell in others.items() if cell}
    return values | {
        "source_row": source_row,
        "other_columns": _json(filled) if filled else None,
        "reading_problem": Code.WRONG_FIELD_COUNT,
    }


def _split(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:  # a cell of more than 128 KiB: the record stays in one piece
        return [text]


def _oversize_batch(block: Block, first: int, header: Header) -> pa.RecordBatch:
    row = {
        "source_row": first,
        "other_columns": _json({"(start of the row)": block.data.decode("utf-8", "replace")}),
        "reading_problem": Code.FIELD_TOO_LONG,
    }
    return pa.RecordBatch.from_pylist([row], schema=numbered_schema(header))
