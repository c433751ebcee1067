"""Corrections that are rejected as a whole, or change nothing."""

import pytest

from alumni_assets import layout

from ..pipeline.answers import HEADER, answer, answers, csv_bytes, workbook_of
from ..pipeline.conftest import Pipeline
from .returns import (
    NAMED,
    assert_accounted,
    correction,
    listed,
    lives,
    returned,
    term,
)

pytestmark = pytest.mark.slow


def _rejections(pipeline: Pipeline, upload: str) -> dict[str, bytes]:
    """For each code a file that is rejected with it."""
    superseded = pipeline.put_and_take_in("old.csv", csv_bytes(term(100)))
    newer = pipeline.put_and_take_in("old.csv", csv_bytes(answers(150, 3)))
    pipeline.approve_only(newer)
    withdrawn = pipeline.put_and_take_in("mistake.csv", csv_bytes(term(200)))
    pipeline.withdraw(withdrawn)
    copy = pipeline.put_and_take_in("copy.csv", csv_bytes(term()))
    fix = pipeline.put_and_take_in("first.csv", correction(upload, {3: answer(3)}))
    both = [*returned(upload, {9: answer(9)}), *returned(newer, {1: answer(9)})]
    bare = returned(upload, {9: answer(9)})
    return {
        "incomplete_correction": csv_bytes(bare, header=("_upload", *HEADER)),
        "incomplete_correction ": csv_bytes(bare, header=("_row", *HEADER)),
        "incomplete_correction  ": csv_bytes(bare, header=("_row", "_problems")),
        "several_uploads": csv_bytes(both, header=NAMED),
        "several_uploads ": csv_bytes([*bare, *returned("=nobody", {9: {}})], header=NAMED),
        "unknown_upload": correction("term.csv@00000000", {9: answer(9)}),
        "unknown_upload ": correction("", {9: answer(9)}),
        "unknown_upload  ": correction("x" * 5_000, {9: answer(9)}),
        "unknown_upload   ": correction("../register/seen/x", {9: answer(9)}),
        "unknown_upload    ": correction(upload.upper(), {9: answer(9)}),
        "unknown_upload     ": correction(fix, {1: answer(9)}),
        "superseded_upload": correction(superseded, {9: answer(109)}),
        "superseded_upload ": correction(copy, {9: answer(9)}),
        "withdrawn_upload": correction(withdrawn, {9: answer(209)}),
        "nothing_to_correct": correction(newer, {1: answer(150)}),
        "no_rows": csv_bytes([], header=NAMED),
        "doubled_column": csv_bytes(bare, header=("_upload", *NAMED)),
    }


def test_what_cannot_be_a_correction_is_rejected_with_the_reason(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    before = None
    for number, (code, content) in enumerate(_rejections(pipeline, upload).items()):
        before = before or (lives(pipeline, upload), pipeline.statuses()[upload])
        rejected = pipeline.put_and_take_in(f"{number}.csv", content)
        found = pipeline.ingested(rejected)
        # A file without a row names no upload either.
        expected = {"no_rows": {"no_rows", "unknown_upload"}}.get(code.strip(), {code.strip()})
        assert (found.outcome, found.code in expected) == ("rejected", True), (code, found.code)
        assert not any(
            pipeline.lake.stat(key(rejected)) is not None for key in (layout.valid_key, layout.invalid_key)
        ), code
        check = pipeline.check("raw_survey", "readable", rejected)
        assert check is not None
        assert (check.passed, check.metadata["reason_code"].value) == (False, found.code)
        assert (lives(pipeline, upload), pipeline.statuses()[upload]) == before, code


def test_the_same_bytes_again_are_a_duplicate_and_change_nothing(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    content = correction(upload, {9: answer(9), 10: answer(10, Email="x")})
    fix = pipeline.put_and_take_in("fixed.csv", content)
    before = listed(pipeline)
    again = pipeline.put_and_take_in("copy of fixed.csv", content)
    assert pipeline.statuses() == {upload: "validated", fix: "correction", again: "duplicate"}
    assert pipeline.ingested(again).duplicate_of == fix
    assert listed(pipeline) == before
    pipeline.approve_only(fix)
    third = pipeline.put_and_take_in("third.csv", content)
    assert pipeline.statuses()[third] == "duplicate"
    assert listed(pipeline) == before
    assert_accounted(pipeline)


def test_the_same_bytes_again_are_a_duplicate_also_where_no_row_was_mended(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    content = correction(upload, {9: answer(9, Email="still nobody")})
    fix = pipeline.put_and_take_in("fixed.csv", content)
    again = pipeline.put_and_take_in("copy of fixed.csv", content)
    assert pipeline.statuses() == {upload: "validated", fix: "correction", again: "duplicate"}


def test_the_same_rows_in_another_file_are_a_duplicate_until_others_came_in_between(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    rows = {9: answer(9), 10: answer(10)}
    first = pipeline.put_and_take_in("first.csv", correction(upload, rows))
    as_workbook = workbook_of(list(reversed(returned(upload, rows))), header=NAMED)
    repeated = pipeline.put_and_take_in("first.xlsx", as_workbook)
    assert pipeline.statuses()[repeated] == "duplicate"
    other = pipeline.put_and_take_in("other.csv", correction(upload, {9: answer(9, Performance_Rating="1")}))
    back = pipeline.put_and_take_in("back.csv", correction(upload, rows, delimiter=";"))
    assert {pipeline.statuses()[some] for some in (first, other, back)} == {"correction"}
    assert [row["corrected_by"] for row in listed(pipeline, upload)] == [back, back]


def test_a_correction_that_counts_does_not_become_a_duplicate_when_it_is_judged_anew(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(term()))
    rows = {9: answer(9), 10: answer(10)}
    pipeline.put_and_take_in("first.csv", correction(upload, rows))
    other = pipeline.put_and_take_in("other.csv", correction(upload, {9: answer(9, Performance_Rating="1")}))
    back = pipeline.put_and_take_in("back.csv", correction(upload, rows, delimiter=";"))
    pipeline.approve_only(upload, back)
    pipeline.withdraw(other)
    before = pipeline.ingested(back)
    pipeline.judge_again(back)
    assert (pipeline.ingested(back).outcome, pipeline.ingested(back).corrects) == ("validated", before.corrects)
    assert [row["corrected_by"] for row in listed(pipeline, upload)] == [back, back]


def test_a_correction_whose_upload_has_a_name_that_no_workbook_holds_comes_back(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("export_xa_2026.csv", csv_bytes(term()))
    content = pipeline.lake.read_bytes(layout.correction_key(upload, "xlsx"))
    fix = pipeline.put_and_take_in("fixed.xlsx", content)
    assert (pipeline.ingested(fix).outcome, pipeline.ingested(fix).corrects) == ("validated", upload)
