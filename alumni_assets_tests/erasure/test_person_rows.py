"""Which rows are a person's where several uploads speak of one row."""

import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from alumni_assets import layout
from alumni_assets.contract import default_contract
from alumni_assets.stages.disclosing import held_about
from alumni_assets.stages.person_rows import PersonRows, find_person, own_rows
from alumni_assets.survey.erasures import Ledger
from alumni_assets.survey.persons import person

from ..corrections.returns import correction
from ..pipeline.answers import answer, csv_bytes
from ..pipeline.conftest import Pipeline, pipeline
from .conftest import EMAIL, ID, of_person

__all__ = ["pipeline"]
CONTRACT = default_contract()
MINE = person(ID, CONTRACT.rules.phone_number)
NOW = datetime(2026, 11, 25)
NAMELESS = {"Employee_ID": "?", "Email": "nobody", "Phone_Number": "0"}


def found(pipeline: Pipeline) -> PersonRows:
    return find_person(pipeline.lake, pipeline.facts, MINE, CONTRACT)


def rows_by_key(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    return {pipeline.facts.seen[upload].key: rows for upload, rows in found(pipeline).rows.items()}


def test_a_row_is_the_persons_once_a_correction_says_so(pipeline: Pipeline) -> None:
    rows = [*(answer(number) for number in range(1, 4)), answer(4, **NAMELESS), answer(5, Performance_Rating="9")]
    term = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    pipeline.put_and_take_in("copy.csv", csv_bytes(rows))
    assert found(pipeline).rows == {}
    pipeline.put_and_take_in("fix.csv", correction(term, {4: of_person(), 5: of_person()}))
    # Also a row with another's id, for the correction says whose it is; and in files that are equal.
    assert rows_by_key(pipeline) == {"term.csv": ("4-5",), "copy.csv": ("4-5",), "fix.csv": ("1-2",)}


def test_a_valid_row_of_others_stays_theirs_though_a_correction_names_its_number(pipeline: Pipeline) -> None:
    """Such as one that was sorted, without its column `_row`: it corrects nothing, and waits to be corrected itself."""
    rows = [answer(1), answer(2), answer(3, Email="nobody")]
    term = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    fix = pipeline.put_and_take_in("fix.csv", correction(term, {2: of_person(), 3: answer(3)}))
    assert rows_by_key(pipeline) == {"fix.csv": ("1",)}
    held = held_about(pipeline.lake, pipeline.facts, MINE, CONTRACT, NOW)
    assert [upload["upload"] for upload in held["uploads"]] == [fix]


def test_a_row_with_the_persons_address_is_not_theirs_once_a_correction_names_somebody_else(
    pipeline: Pipeline,
) -> None:
    rows = [of_person(), answer(2), answer(3, Employee_ID="?", Email=EMAIL), answer(4, Email="x")]
    term = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    assert rows_by_key(pipeline) == {"term.csv": ("1", "3")}
    pipeline.put_and_take_in("fix.csv", correction(term, {3: answer(3)}))
    assert rows_by_key(pipeline) == {"term.csv": ("1",)}


def test_what_a_correction_does_not_say_it_takes_from_the_row_that_it_corrects(pipeline: Pipeline) -> None:
    term = pipeline.put_and_take_in("term.csv", csv_bytes([answer(1), of_person(Performance_Rating="9"), answer(2)]))
    fix = correction(term, {2: {"Performance_Rating": "4"}}, header=("_upload", "_row", "Performance_Rating"))
    pipeline.put_and_take_in("fix.csv", fix)
    assert rows_by_key(pipeline) == {"term.csv": ("2",), "fix.csv": ("1",)}


def test_the_tables_tell_of_an_upload_whose_file_is_gone(pipeline: Pipeline) -> None:
    rows = [answer(1), of_person(), answer(2), answer(3, Employee_ID="?", Email=EMAIL)]
    term = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    shutil.rmtree(pipeline.root / "pinned")
    assert (found(pipeline).rows, found(pipeline).missing) == ({term: ("2", "4")}, [])
    shutil.rmtree(pipeline.root / "invalid")
    assert (found(pipeline).rows, found(pipeline).missing) == ({term: ("2",)}, [term])


def test_a_correction_whose_file_is_gone_still_says_whose_a_row_is(pipeline: Pipeline) -> None:
    term = pipeline.put_and_take_in("a term.csv", csv_bytes([answer(1), answer(2, **NAMELESS)]))
    fix = pipeline.put_and_take_in("fix.csv", correction(term, {2: of_person()}))
    pipeline.lake.delete(layout.pinned_key(fix))
    assert rows_by_key(pipeline)["a term.csv"] == ("2",)


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"", csv_bytes([answer(1)]) + b'"open'])
def test_in_a_file_that_cannot_be_read_there_are_no_rows(pipeline: Pipeline, tmp_path: Path, content: bytes) -> None:
    upload = pipeline.put_and_take_in("odd.csv", content)
    assert (found(pipeline).rows, found(pipeline).unread) == ({}, [upload])
    (tmp_path / "odd.csv").write_bytes(content)
    rows = own_rows(pipeline.facts, Ledger(), "odd.csv", tmp_path / "odd.csv", MINE, CONTRACT)
    assert np.array_equal(rows, [])
