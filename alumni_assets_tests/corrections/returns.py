"""What reviewers are handed out and what they give back; and what is said of the rows then."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq
import xlsxwriter

from alumni_assets import layout
from alumni_assets.contract import NAMES
from alumni_assets.stages.quarantine import listed_rows

from ..pipeline.answers import HEADER, answer, answers, csv_bytes
from ..pipeline.conftest import Pipeline

MARKS = ("_upload", "_row")
NAMED = (*MARKS, *HEADER)

Row = Mapping[str, str]


def term(first_id: int = 1, valid: int = 8) -> list[dict[str, Any]]:
    """Ten rows, of which the ninth lacks a proper e-mail address, and the tenth that and a rating."""
    bad = [
        answer(first_id + valid, Email="nobody"),
        answer(first_id + valid + 1, Email="nobody", Performance_Rating="7"),
    ]
    return [*answers(first_id, valid), *bad]


def returned(upload: str, rows: Mapping[Any, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a correction, by the number that they name."""
    return [{"_upload": upload, "_row": str(row), **cells} for row, cells in rows.items()]


def correction(upload: str, rows: Mapping[Any, Mapping[str, Any]], header: Sequence[str] = NAMED, **how: Any) -> bytes:
    """A correction of an upload as CSV: for each row number the cells as they are given back."""
    return csv_bytes(returned(upload, rows), header=header, **how)


def text_workbook(sheet: Sequence[Sequence[str]]) -> bytes:
    """An .xlsx in which every cell is text, also what looks like a formula."""
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        page = book.add_worksheet()
        for number, cells in enumerate(sheet):
            for position, cell in enumerate(cells):
                page.write_string(number, position, cell)
    return content.getvalue()


def handed_out(pipeline: Pipeline, upload: str) -> list[dict[str, str]]:
    """The rows of an upload's correction file, the CSV."""
    content = pipeline.lake.read_bytes(layout.correction_key(upload, "csv"))
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def lives(pipeline: Pipeline, upload: str) -> dict[int, str]:
    """How each row of an upload that was set aside stands, by the register as it is now."""
    return {row["row"]: row["status"] for row in listed(pipeline, upload)}


def listed(pipeline: Pipeline, upload: str | None = None, only_open: bool = False) -> list[dict[str, Any]]:
    return list(listed_rows(pipeline.lake, pipeline.facts, upload, only_open, "500MB"))


def codes(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The column and code of each problem of a listed or stored row."""
    return [(problem["column"], problem["code"]) for problem in row["problems"]]


def valid_table(pipeline: Pipeline, upload: str) -> list[dict[str, Any]]:
    return pq.read_table(pipeline.root / layout.valid_key(upload)).to_pylist()


def invalid_table(pipeline: Pipeline, upload: str) -> list[dict[str, Any]]:
    return pq.read_table(pipeline.root / layout.invalid_key(upload)).to_pylist()


def transformed_table(pipeline: Pipeline, upload: str) -> list[dict[str, Any]]:
    return pq.read_table(pipeline.root / layout.transformed_key(upload)).to_pylist()


def survey_cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """The survey's own cells of a stored row."""
    return {name: row[name] for name in NAMES}


def responses(pipeline: Pipeline) -> dict[tuple[str, int], tuple[int, str, str | None]]:
    """The published responses: for each upload and row the employee id, the e-mail address and the correction."""
    rows = pipeline.published("SELECT upload, source_row, employee_id, email, corrected_by FROM survey_responses")
    assert len({row[:2] for row in rows}) == len(rows)
    return {(upload, row): (employee_id, email, by) for upload, row, employee_id, email, by in rows}


def quarantine(pipeline: Pipeline) -> dict[tuple[str, int], str]:
    """The published quarantine: how each row stands, and the same that `listed_rows` says."""
    rows = pipeline.published("SELECT upload, source_row, status FROM quarantine")
    found = {(upload, row): status for upload, row, status in rows}
    assert len(found) == len(rows)
    assert found == {(row["upload"], row["row"]): row["status"] for row in listed(pipeline)}
    return found


def assert_accounted(pipeline: Pipeline) -> None:
    """Renew the tables, and look whether each upload's invalid rows are all in the quarantine, each once."""
    assert pipeline.renew().success
    by_status: dict[str, dict[str, int]] = {}
    for (upload, _), status in quarantine(pipeline).items():
        counts = by_status.setdefault(upload, {})
        counts[status] = counts.get(status, 0) + 1
    columns = "upload, invalid, open_rows, resolved_rows, waived_rows, corrects"
    for upload, invalid, *numbers, corrects in pipeline.published(f"SELECT {columns} FROM uploads"):
        counts = by_status.pop(upload, {})
        expected = pipeline.ingested(upload).strays if corrects else invalid or 0
        assert sum(counts.values()) == expected, upload
        if invalid:
            assert numbers == [counts.get(status, 0) for status in ("open", "resolved", "waived")], upload
        else:
            assert numbers == [None] * 3, upload
    assert by_status == {}


def open_rows_check(pipeline: Pipeline, upload: str) -> tuple[str, dict[str, Any]]:
    """How the check ended last for an upload, and its numbers."""
    evaluation = pipeline.check("invalid_survey", "no_open_rows", upload)
    assert evaluation is not None
    numbers = {
        name: evaluation.metadata[name].value
        for name in ("open_rows", "resolved_rows", "waived_rows")
        if name in evaluation.metadata
    }
    return "passed" if evaluation.passed else str(evaluation.severity.value), numbers
