"""Judges numbered text: which rows are valid, and for the others every reason.

Batch in, batch out; the same functions run on threads here and through mapInArrow on Spark. Reading
files is in `reading.py`, writing tables in `stages/`.
"""

from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.contract import BY_NAME, NAMES, REASONS, REPETITIVE_COLUMNS, VOCABULARY_COLUMNS, Code, Contract
from alumni_assets.contract_arrow import INVALID_SCHEMA, PROBLEM_TYPE, VALID_SCHEMA
from alumni_assets.survey import cells, dates
from alumni_assets.survey.parsing import NUMBERED_SCHEMA

JUDGED_SCHEMA = NUMBERED_SCHEMA.append(pa.field("problems", pa.list_(PROBLEM_TYPE)))
Judge = Callable[[pa.RecordBatch], pa.RecordBatch]
_SHOWN = 200


def judge(contract: Contract, upload_day: date) -> Judge:
    """A function from `parsing.NUMBERED_SCHEMA` to `JUDGED_SCHEMA`: the same rows with their problems.

    Further columns stay as they are.

    `problems` is null for a valid row. `upload_day` is the day on which the upload was first seen,
    in the survey's time zone. pandera judges; the sentences are built for the failing rows only.
    """
    from alumni_assets.survey.schemas import text_schema, wrong_cells

    schema = text_schema(contract, upload_day)

    def wrong_rows(column: pa.Array, name: str) -> Iterator[tuple[Code, np.ndarray]]:
        """For each rule that some cell of a column does not keep to, the rows of which that is true."""
        if name not in REPETITIVE_COLUMNS:
            yield from wrong_cells(schema.columns[name], cells.tidy(column))
            return
        encoded = column.dictionary_encode(null_encoding="encode")
        for code, wrong in wrong_cells(schema.columns[name], cells.tidy(encoded.dictionary)):
            yield code, wrong[encoded.indices.to_numpy()]

    def judged(batch: pa.RecordBatch) -> pa.RecordBatch:
        whole = pc.is_null(batch["reading_problem"]).to_numpy(zero_copy_only=False)
        parts = [_row_problems(batch, ~whole)]
        for name in NAMES:
            for code, wrong in wrong_rows(batch[name], name):
                parts.append(_cell_problems(batch[name], np.flatnonzero(wrong & whole), name, code, contract))
        return batch.append_column("problems", _lists(parts, batch.num_rows))

    return judged


def valid_rows(
    judged: pa.RecordBatch, upload: str, contract: Contract, corrected_by: str | None = None
) -> pa.RecordBatch:
    """The valid rows of a judged batch, typed: `contract_arrow.VALID_SCHEMA`. Text stays as it came.

    Rows of the correction `corrected_by` keep the place of those that they correct: `upload` is theirs, and their
    number is in the batch's column `corrects_row`.
    """
    rows = judged.filter(pc.is_null(judged["problems"]))
    rules = contract.rules
    typed = {
        "source_row": rows["corrects_row"] if corrected_by else rows["source_row"],
        "corrected_by": pa.repeat(pa.scalar(corrected_by, pa.string()), rows.num_rows),
        "employee_id": _whole_number_text(rows["employee_id"]),
        "performance_rating": cells.by_distinct(rows["performance_rating"], _whole_number_text),
        "submission_date": dates.timestamp(cells.tidy(rows["submission_date"]), rules.submission_date, rules.time_zone),
        "upload": pa.repeat(pa.scalar(upload, pa.string()), rows.num_rows),
    }
    return pa.RecordBatch.from_arrays(
        [pc.cast(typed.get(field.name, _or_null(rows, field.name)), field.type) for field in VALID_SCHEMA],
        schema=VALID_SCHEMA,
    )


def invalid_rows(judged: pa.RecordBatch, upload: str, corrects: str | None = None) -> pa.RecordBatch:
    """The invalid rows of a judged batch with their problems: `contract_arrow.INVALID_SCHEMA`.

    Rows of a correction are its own; `corrects` is the upload that it corrects, and the batch's column `corrects_row`
    says which row of that came back, null where it names none.
    """
    rows = judged.filter(pc.is_valid(judged["problems"]))
    named = {"upload": upload, "corrects": corrects}
    repeated = {name: pa.repeat(pa.scalar(text, pa.string()), rows.num_rows) for name, text in named.items()}
    return pa.RecordBatch.from_arrays(
        [pc.cast(repeated.get(field.name, _or_null(rows, field.name)), field.type) for field in INVALID_SCHEMA],
        schema=INVALID_SCHEMA,
    )


def _whole_number_text(column: pa.Array) -> pa.Array:
    return cells.whole_number_text(cells.tidy(column))


def _or_null(rows: pa.RecordBatch, name: str) -> pa.Array:
    return rows[name] if name in rows.schema.names else pa.nulls(rows.num_rows)


def _row_problems(batch: pa.RecordBatch, broken: np.ndarray) -> tuple[np.ndarray, pa.StructArray]:
    """Problems that concern the row as a whole."""
    rows = np.flatnonzero(broken)
    codes = batch["reading_problem"].take(pa.array(rows))
    messages = cells.by_distinct(
        codes, lambda some: pa.array([REASONS[Code(code)] for code in some.to_pylist()], pa.string())
    )
    return rows, _problems(rows.size, codes, "", pa.nulls(rows.size, pa.string()), messages, None)


def _cell_problems(
    column: pa.Array, rows: np.ndarray, name: str, code: Code, contract: Contract
) -> tuple[np.ndarray, pa.StructArray]:
    """One problem for each of the given rows of a column."""
    values = pc.utf8_slice_codeunits(column.take(pa.array(rows)), 0, _SHOWN)
    suggestions = _suggestions(values, name, contract) if code is Code.NOT_IN_LIST else None
    return rows, _problems(rows.size, code, BY_NAME[name].header, values, REASONS[code], suggestions)


def _problems(
    count: int,
    code: pa.Array | Code,
    header: str,
    values: pa.Array,
    message: pa.Array | str,
    suggestion: pa.Array | None,
) -> pa.StructArray:
    def repeated(value: pa.Array | str) -> pa.Array:
        return value if isinstance(value, pa.Array) else pa.repeat(pa.scalar(str(value)), count)

    return pa.StructArray.from_arrays(
        [
            repeated(code),
            repeated(header),
            values,
            repeated(message),
            pa.nulls(count, pa.string()) if suggestion is None else suggestion,
        ],
        fields=list(PROBLEM_TYPE),
    )


def _suggestions(values: pa.Array, name: str, contract: Contract) -> pa.Array:
    """The nearest word of the vocabulary, where one is near: a similarity of at least 75 of 100, case apart."""
    from rapidfuzz import fuzz, process, utils

    assert name in VOCABULARY_COLUMNS
    words = contract.vocabulary(name)

    def nearest(value: str | None) -> str | None:
        found = process.extractOne(
            value or "", words, scorer=fuzz.ratio, processor=utils.default_process, score_cutoff=75
        )
        return found[0] if found else None

    return cells.by_distinct(values, lambda some: pa.array([nearest(value) for value in some.to_pylist()], pa.string()))


def _lists(parts: list[tuple[np.ndarray, pa.StructArray]], count: int) -> pa.ListArray:
    """For each of `count` rows the list of its problems, in the order of the parts; null for none."""
    rows = np.concatenate([rows for rows, _ in parts])
    problems = pa.concat_arrays([problems for _, problems in parts])
    order = np.argsort(rows, kind="stable")
    numbers = np.bincount(rows, minlength=count)
    offsets = np.concatenate([[0], np.cumsum(numbers)]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets),
        problems.take(pa.array(order)),
        type=JUDGED_SCHEMA.field("problems").type,
        mask=pa.array(numbers == 0),
    )
