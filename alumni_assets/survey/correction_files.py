"""Correction files: the invalid rows of one upload for a person to mend, as a workbook and as CSV.

Both have the same columns (`correction_columns.py`), and every cell is text, as it came but defused (`defusing.py`).
The workbook has the first rows only, and explains itself (`correction_workbook.py`); the CSV beside it has all rows.
What becomes of the files that come back is in `stages/corrections.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import csv as pacsv

from alumni_assets.contract import Contract
from alumni_assets.survey.correction_columns import Column, cells_of, columns_of
from alumni_assets.survey.correction_workbook import correction_workbook
from alumni_assets.survey.defusing import defused
from alumni_assets.survey.detection import Header
from alumni_assets.survey.problem_sentences import problem_sentences

Batches = Callable[[], Iterator[pa.RecordBatch]]


def write_correction_files(batches: Batches, header: Header, contract: Contract, xlsx: Path, csv: Path) -> None:
    """Write the invalid rows of one upload, as a workbook and as CSV; equal rows give equal bytes.

    `batches` gives the rows anew each time it is called, in batches that have at least the columns of
    `contract_arrow.INVALID_SCHEMA`; `header` is the upload's. A row that a correction brought back is shown
    as the row of the upload that it corrects. Both files are overwritten; nothing else stays behind.
    """
    columns, rows = columns_of(batches(), header, contract.rules.limits.columns), 0
    with correction_workbook(xlsx, columns, contract) as workbook, _csv_writer(csv, columns) as write_csv:
        for batch in batches():
            sentences = problem_sentences(batch["problems"], contract)
            shown = [defused(cells) for cells in cells_of(batch, columns, sentences)]
            write_csv(shown)
            workbook.write(shown, batch["problems"])
            rows += batch.num_rows
        workbook.finish(rows)


@contextmanager
def _csv_writer(path: Path, columns: Sequence[Column]) -> Iterator[Callable[[list[pa.Array]], None]]:
    """Writes columns of text as CSV that Excel opens as what it is: with a byte-order mark, all cells quoted."""
    titles = defused(pa.array([column.title for column in columns], pa.string())).to_pylist()
    schema = pa.schema([pa.field(title, pa.string()) for title in titles])
    options = pacsv.WriteOptions(quoting_style="all_valid", quoting_header="all_valid", eol="\r\n")
    with path.open("wb") as sink:
        sink.write(b"\xef\xbb\xbf")
        with pacsv.CSVWriter(sink, schema, write_options=options) as writer:
            yield lambda cells: writer.write_batch(pa.RecordBatch.from_arrays(cells, schema=schema))
