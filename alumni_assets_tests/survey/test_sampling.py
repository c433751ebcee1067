"""Synthetic uploads: always the same for the same arguments, and exactly as dirty as asked."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from alumni_assets.contract import COLUMNS, Contract
from alumni_assets.survey.reading import detect, numbered_parts
from alumni_assets.survey.sampling import write_sample
from alumni_assets.survey.validation import judge
from alumni_assets.survey_rules import SurveyRules

from .examples import UPLOAD_DAY


def judged(path: Path, contract: Contract) -> pa.Table:
    limits = contract.rules.limits
    judged_by = judge(contract, UPLOAD_DAY)
    return pa.Table.from_batches(
        [judged_by(part()) for part in numbered_parts(path, detect(path.name, path, limits), limits)]
    )


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, contract: Contract) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_sample(tmp_path / name, 3000, 0.2, seed, contract)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_clean_sample_is_messy_but_valid(tmp_path: Path, contract: Contract) -> None:
    path = tmp_path / "a.csv"
    write_sample(path, 20_000, 0.0, 1, contract)
    rows = judged(path, contract)
    assert rows["problems"].null_count == rows.num_rows == 20_000
    assert pc.count_distinct(rows["employee_id"]).as_py() == 20_000
    text = path.read_text()
    assert all(mess in text for mess in (" MD", "Dr. ", "MR. ", "mCcULLOUGH", "PEÑA", "EXAMPLE.COM"))


def test_in_a_dirty_sample_every_row_is_invalid_for_one_reason(tmp_path: Path, contract: Contract) -> None:
    path = tmp_path / "a.csv"
    write_sample(path, 3000, 1.0, 2, contract)
    problems = judged(path, contract)["problems"].to_pylist()
    assert [len(row or []) for row in problems] == [1] * 3000
    found = Counter((row[0]["column"], row[0]["code"]) for row in problems)
    assert {column for column, _ in found} == {column.header for column in COLUMNS}
    assert {code for _, code in found} == {
        "not_an_id",
        "missing",
        "no_name",
        "not_in_list",
        "not_an_email",
        "not_a_phone_number",
        "not_a_rating",
        "not_a_date",
        "date_in_future",
    }


@pytest.mark.parametrize("dirty", [0.01, 0.3, 0.9])
def test_the_share_of_invalid_rows_is_the_one_asked_for(tmp_path: Path, contract: Contract, dirty: float) -> None:
    path = tmp_path / "a.csv"
    write_sample(path, 10_000, dirty, 3, contract)
    invalid = pc.sum(pc.is_valid(judged(path, contract)["problems"])).as_py()
    assert abs(invalid / 10_000 - dirty) < 0.02


@pytest.mark.parametrize("rows", [0, 1, 2, 49_999, 50_000, 50_001])
def test_there_are_as_many_rows_as_asked_for(tmp_path: Path, contract: Contract, rows: int) -> None:
    path = tmp_path / "a.csv"
    write_sample(path, rows, 0.1, 4, contract)
    lines = path.read_text().splitlines()
    assert lines[0] == ",".join(column.header for column in COLUMNS)
    assert len(lines) == rows + 1
    assert len({line.split(",")[0] for line in lines[1:] if line[0].isdigit()}) >= rows * 0.8


@pytest.mark.parametrize(("rows", "dirty"), [(-1, 0.0), (1, -0.1), (1, 1.1), (1, float("nan"))])
def test_impossible_wishes_are_refused(tmp_path: Path, contract: Contract, rows: int, dirty: float) -> None:
    with pytest.raises(ValueError, match=r"number of rows|share of dirty rows"):
        write_sample(tmp_path / "a.csv", rows, dirty, 1, contract)


def test_a_sample_keeps_to_other_rules_too(tmp_path: Path, rules: SurveyRules) -> None:
    vocabularies = rules.vocabularies.model_copy(
        update={"dmc_campus": ("QC", 'The "Old" Campus, North'), "department": ("Warehouse", "X")}
    )
    phone = rules.phone_number.model_copy(update={"country_code": "65", "mobile_prefix": "8", "mobile_digits": 8})
    contract = Contract(rules.model_copy(update={"vocabularies": vocabularies, "phone_number": phone}))
    for name, dirty, valid in (("clean.csv", 0.0, 1000), ("dirty.csv", 1.0, 0)):
        write_sample(tmp_path / name, 1000, dirty, 5, contract)
        rows = judged(tmp_path / name, contract)
        assert (rows.num_rows, rows["problems"].null_count) == (1000, valid)
