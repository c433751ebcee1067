"""How rows are judged: every code, all problems of a row together, and nothing that breaks."""

from datetime import date, timedelta

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alumni_assets.contract import BY_NAME, COLUMNS, CORRECTION_CODES, NAMES, REASONS, Code, Contract
from alumni_assets.contract_arrow import INVALID_SCHEMA, TRANSFORMED_SCHEMA, VALID_SCHEMA
from alumni_assets.survey.rules import rules_of
from alumni_assets.survey.schemas import text_schema, transformed_schema, valid_schema
from alumni_assets.survey.transformation import transform
from alumni_assets.survey.validation import JUDGED_SCHEMA, invalid_rows, judge, valid_rows
from alumni_assets.survey_rules import SurveyRules

from . import examples
from .examples import CONTRACT, GOOD_ROW, RECEIVED_AT, UPLOAD, UPLOAD_DAY, found


def test_a_good_row_has_no_problems() -> None:
    assert examples.judged([GOOD_ROW])["problems"].to_pylist() == [None]


@pytest.mark.parametrize("column", [column for column in COLUMNS if column.required], ids=lambda column: column.name)
@pytest.mark.parametrize("empty", [None, "", "   ", "\t\r\n", "\u00a0\u200b\ufeff"])
def test_an_empty_required_cell_is_missing_and_nothing_else(column: pytest.FixtureRequest, empty: str | None) -> None:
    assert found(**{column.name: empty}) == [(column.header, "missing")]


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_the_submission_date_may_be_empty(empty: str | None) -> None:
    assert found(submission_date=empty) == []


@pytest.mark.parametrize(
    ("column", "code", "cells"),
    [
        ("employee_id", "not_an_id", ["ID-7", "12a", "-5", "1.5", "1e6", "1234567890123456789", "628 496", "٣٤"]),
        ("employee_name", "no_name", ["Dr.", "MD", "Dr. MD", "mr ms mrs", "Jr.", "12345", "???", "Dr. 7 PhD"]),
        ("college_degree", "not_in_list", ["Compter Science", "Law", "Computer-Science", "x"]),
        ("department", "not_in_list", ["R and D", "Warehouse", "H R"]),
        ("dmc_campus", "not_in_list", ["Santo Thomas", "Manila"]),
        (
            "email",
            "not_an_email",
            [
                "a",
                "a@b",
                "@b.com",
                "a@",
                "a@b.c",
                "a b@c.com",
                "a@@b.com",
                "a@b@c.com",
                ".a@b.com",
                "a.@b.com",
                "a..b@c.com",
                "a@b..com",
                "a@-b.com",
                "a@b-.com",
                "a@b.com.",
                "a@b.123",
                "a,b@c.com",
                "<a@b.com>",
                "a@b.com; c@d.com",
                '"a"@b.com',
                "a at b.com",
                "http://b.com",
                f"{'a' * 250}@b.com",
            ],
        ),
        ("phone_number", "not_a_phone_number", ["12345", "none", "8577284792", "+1 000 000 0000"]),
        ("performance_rating", "not_a_rating", ["0", "6", "-1", "3.5", "4.01", "excellent", "45", "IV", "４", "+4"]),
        ("submission_date", "not_a_date", ["31/02/2026", "yesterday", "2026-02-30", "0026-11-20"]),
        ("submission_date", "date_in_future", ["2026-11-24", "2099-01-01", "11/24/2026", "2026-11-23T16:00:00Z"]),
    ],
)
def test_a_wrong_cell_gets_its_code_alone(column: str, code: str, cells: list[str]) -> None:
    batch = examples.judged([GOOD_ROW | {column: cell} for cell in cells])
    listed = [[(problem["column"], problem["code"]) for problem in row or []] for row in batch["problems"].to_pylist()]
    assert dict(zip(cells, listed, strict=True)) == {cell: [(BY_NAME[column].header, code)] for cell in cells}


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("employee_id", ["1", "000628496", "628496.0", " 628496 ", "123456789012345678", "0" * 30 + "7"]),
        ("employee_name", ["Dr. X", "O'Brien", "Ñ", "李", "Mr. 7up Santos"]),
        ("college_degree", ["computer science", "COMPUTER  SCIENCE", "Computer\nScience"]),
        ("department", ["r&d", " hr", "TECH\u200b"]),
        ("job_role", ["x", "Chief Happiness Officer (EMEA)", "-"]),
        (
            "email",
            [
                "a@b.co",
                "A.B+c_d'e@sub.domain-x.example.travel",
                "ñandú@correo.es",
                "a@xn--fsq.xn--p1ai",
                "a@उदाहरण.भारत",
                "a@1.ph",
            ],
        ),
        ("performance_rating", ["1", "5", "4.0", "04", " 3 ", "2.", "5.000"]),
        ("submission_date", ["2026-11-23", "2026-11-23 23:59:59", "11/23/2026 11:59 PM", "2026-11-23T15:59:59Z"]),
    ],
)
def test_every_accepted_spelling_is_valid(column: str, cells: list[str]) -> None:
    batch = examples.judged([GOOD_ROW | {column: cell} for cell in cells])
    assert dict(zip(cells, batch["problems"].to_pylist(), strict=True)) == dict.fromkeys(cells)


@pytest.mark.parametrize("column", NAMES)
def test_damaged_and_control_characters_are_found_in_every_column(column: str) -> None:
    header = BY_NAME[column].header
    assert (header, "undecodable") in found(**{column: f"{GOOD_ROW[column]}\ufffd"})
    assert (header, "control_character") in found(**{column: f"{GOOD_ROW[column]}\x00{GOOD_ROW[column]}"})
    assert (header, "control_character") in found(**{column: f"a\x0bb\x1b{GOOD_ROW[column]}"})


def test_a_long_cell_is_found_by_its_characters_not_its_bytes(contract: Contract) -> None:
    most = contract.rules.limits.field_characters
    assert found(job_role="ñ" * most) == []
    assert found(job_role="ñ" * (most + 1)) == [("Job_Role", "field_too_long")]


def test_all_failures_of_a_row_are_reported_together() -> None:
    everything_wrong = {
        "employee_id": "x\x00",
        "employee_name": "Dr.",
        "college_degree": "Law",
        "department": "",
        "job_role": "\ufffd",
        "dmc_campus": "Manila",
        "email": "a",
        "phone_number": "1",
        "performance_rating": "7",
        "submission_date": "2099-01-01",
    }
    assert found(**everything_wrong) == [
        ("Employee_ID", "control_character"),
        ("Employee_ID", "not_an_id"),
        ("Employee_Name", "no_name"),
        ("College_Degree", "not_in_list"),
        ("Department", "missing"),
        ("Job_Role", "undecodable"),
        ("DMC_Campus", "not_in_list"),
        ("Email", "not_an_email"),
        ("Phone_Number", "not_a_phone_number"),
        ("Performance_Rating", "not_a_rating"),
        ("Submission Date", "date_in_future"),
    ]


def test_a_problem_has_the_value_as_it_came_a_sentence_and_a_suggestion() -> None:
    assert examples.problems(college_degree="  compter  science ") == [
        {
            "code": "not_in_list",
            "column": "College_Degree",
            "value": "  compter  science ",
            "message": REASONS[Code.NOT_IN_LIST],
            "suggestion": "Computer Science",
        }
    ]


@pytest.mark.parametrize(
    ("column", "cell", "suggestion"),
    [
        ("college_degree", "Psycology", "Psychology"),
        ("college_degree", "ENGINEERNG", "Engineering"),
        ("dmc_campus", "Sto. Tomas", "Santo Tomas"),
        ("department", "Opertions", "Operations"),
        ("department", "Warehouse", None),
        ("dmc_campus", "Cebu", None),
        ("performance_rating", "excellent", None),
    ],
)
def test_a_near_word_of_the_list_is_suggested(column: str, cell: str, suggestion: str | None) -> None:
    (problem,) = examples.problems(**{column: cell})
    assert problem["suggestion"] == suggestion


def test_only_the_start_of_a_long_value_is_shown() -> None:
    (problem,) = examples.problems(employee_id="x" * 5000)
    assert problem["value"] == "x" * 200


def test_a_row_that_could_not_be_read_gets_that_reason_alone(contract: Contract) -> None:
    row = {"employee_id": "x", "reading_problem": "wrong_field_count", "other_columns": '{"(surplus cells)": "y"}'}
    judged = examples.judged([row])
    assert judged["problems"].to_pylist() == [
        [
            {
                "code": "wrong_field_count",
                "column": "",
                "value": None,
                "message": REASONS[Code.WRONG_FIELD_COUNT],
                "suggestion": None,
            }
        ]
    ]
    assert invalid_rows(judged, UPLOAD)["other_columns"].to_pylist() == ['{"(surplus cells)": "y"}']


def test_every_code_has_a_sentence_and_a_rule_or_a_reader(contract: Contract) -> None:
    judged_by = {code for column in COLUMNS for code in rules_of(column, contract, UPLOAD_DAY)}
    assert judged_by | {Code.WRONG_FIELD_COUNT, *CORRECTION_CODES} == set(Code) == set(REASONS)


def test_valid_and_invalid_rows_keep_their_numbers_and_their_upload(contract: Contract) -> None:
    batch = examples.judged([GOOD_ROW, GOOD_ROW | {"performance_rating": "9"}, GOOD_ROW])
    valid, invalid = valid_rows(batch, UPLOAD, contract), invalid_rows(batch, UPLOAD)
    assert (valid.schema, invalid.schema) == (VALID_SCHEMA, INVALID_SCHEMA)
    assert valid["source_row"].to_pylist() == [1, 3]
    assert invalid["source_row"].to_pylist() == [2]
    assert set(valid["upload"].to_pylist() + invalid["upload"].to_pylist()) == {UPLOAD}


def test_the_day_of_upload_decides_what_is_the_future(contract: Contract) -> None:
    batch = examples.numbered([GOOD_ROW | {"submission_date": "2025-01-02"}])
    assert judge(contract, date(2025, 1, 1))(batch)["problems"].to_pylist()[0][0]["code"] == "date_in_future"
    assert judge(contract, date(2025, 1, 2))(batch)["problems"].to_pylist() == [None]


def test_the_configured_order_of_dates_is_kept(rules: SurveyRules) -> None:
    day_first = rules.submission_date.model_copy(update={"order": "day_first"})
    contract = Contract(rules.model_copy(update={"submission_date": day_first}))
    batch = examples.numbered(
        [GOOD_ROW | {"submission_date": "13/4/2026"}, GOOD_ROW | {"submission_date": "4/13/2026"}]
    )
    assert [row is None for row in judge(contract, UPLOAD_DAY)(batch)["problems"].to_pylist()] == [True, False]


def test_a_rule_that_breaks_is_not_taken_for_a_verdict(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: pa.Array) -> pa.Array:
        raise ZeroDivisionError

    monkeypatch.setattr("alumni_assets.survey.rules._plausible_email", broken)
    another_day = UPLOAD_DAY + timedelta(days=1)  # schemas are kept for a day and a contract
    with pytest.raises(ZeroDivisionError):
        judge(contract, another_day)(examples.numbered([GOOD_ROW]))


def test_pandera_alone_tells_the_same_rows(contract: Contract) -> None:
    frame = pd.DataFrame({name: [GOOD_ROW[name], GOOD_ROW[name]] for name in NAMES}).astype(pd.ArrowDtype(pa.string()))
    frame.loc[1, "email"] = "nobody"
    schema = text_schema(contract, UPLOAD_DAY)
    schema.validate(frame.head(1))
    with pytest.raises(Exception, match="not_an_email"):
        schema.validate(frame)


@pytest.mark.parametrize(
    ("column", "stored"),
    [
        ("employee_name", " Ana"),
        ("job_role", "Data  Analyst"),
        ("department", "hr"),
        ("phone_number", "9577284792"),
        ("performance_rating", 6),
        ("email", None),
        ("employee_name", ""),
        ("employee_name", "Ana\nCruz"),
    ],
)
def test_the_transformed_table_is_checked_for_what_it_promises(contract: Contract, column: str, stored: object) -> None:
    row = examples.clean() | {column: stored}
    frame = pa.RecordBatch.from_pylist([row], schema=TRANSFORMED_SCHEMA).to_pandas(types_mapper=pd.ArrowDtype)
    with pytest.raises(Exception, match=column):
        transformed_schema(contract).validate(frame)


# Cells near the edge of what is accepted: in rows with one of them, many rows are valid.
_letters = st.text("aMñÑßİıſŉǆςᾳ\u0345\u0301ʻ’'-.,3\u00a0\u200b\u2028", max_size=6)
_digits = st.text("0123456789", min_size=6, max_size=14)
_cells = {
    "employee_id": st.builds("{}{}{}".format, st.sampled_from(["", "000", " "]), _digits, st.sampled_from(["", ".0"])),
    "employee_name": st.lists(
        st.sampled_from(["Dr.", "dr", "MD", ",", "Jr", "O'Brien", "Mc", "III", "'S", "-", ".", " "]) | _letters,
        max_size=6,
    ).map(" ".join),
    "college_degree": st.sampled_from(["education", " EDUCATION\u00a0", "Edu\u00adcation", "Educatİon"]),
    "department": st.sampled_from(["hr", "R&D", "TECH\n"]),
    "job_role": st.lists(st.sampled_from(["hr", "r&d", "it/qa", "manager's", "3d"]) | _letters, max_size=5).map(
        " ".join
    ),
    "dmc_campus": st.sampled_from(["main", "SAN  FERNANDO", "ſan fernando"]),
    "email": st.builds("{}x@{}.com".format, _letters, st.sampled_from(["EXAMPLE", "İß", "xn--a"]) | _letters),
    "phone_number": st.builds(
        "{}{}".format, st.sampled_from(["+", "00", "0", "+63 ", "+1", "+44", "+39 0", ""]), _digits
    ),
    "performance_rating": st.sampled_from(["1", "05", "4.0", " 3"]),
    "submission_date": st.sampled_from(["", "3/4/2026 3:30 pm", "2026-11-23", "1900-01-01T00:00:00+14:00"]),
}
_changes = st.one_of(*(st.tuples(st.just(name), cells | examples.text) for name, cells in _cells.items()))


@settings(max_examples=40)
@given(st.lists(_changes, max_size=40))
def test_any_text_is_judged_and_what_is_valid_becomes_a_sound_row(changes: list[tuple[str, str]]) -> None:
    judged = examples.judged([GOOD_ROW | {name: cell} for name, cell in changes])
    assert judged.schema == JUDGED_SCHEMA
    assert all(problems is None or problems for problems in judged["problems"].to_pylist())
    valid, invalid = valid_rows(judged, UPLOAD, CONTRACT), invalid_rows(judged, UPLOAD)
    numbers = sorted(valid["source_row"].to_pylist() + invalid["source_row"].to_pylist())
    assert numbers == list(range(1, len(changes) + 1))
    valid_schema().validate(valid.to_pandas(types_mapper=pd.ArrowDtype))
    transformed = transform(CONTRACT, RECEIVED_AT)(valid)
    transformed.validate(full=True)
    transformed_schema(CONTRACT).validate(transformed.to_pandas(types_mapper=pd.ArrowDtype))


@settings(max_examples=25)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, examples.text | st.none())), max_size=5))
def test_rows_of_any_text_are_each_valid_or_have_a_problem(rows: list[dict[str, str | None]]) -> None:
    problems = examples.judged(rows)["problems"].to_pylist()
    assert len(problems) == len(rows)
    assert all(found is None or found for found in problems)


@settings(max_examples=15)
@given(st.lists(_changes, min_size=2, max_size=20), st.integers(1, 19))
def test_a_row_is_judged_alike_whatever_its_neighbours(changes: list[tuple[str, str]], cut: int) -> None:
    rows = [GOOD_ROW | {name: cell} for name, cell in changes]
    apart = [examples.judged(part)["problems"].to_pylist() for part in (rows[:cut], rows[cut:])]
    assert examples.judged(rows)["problems"].to_pylist() == apart[0] + apart[1]


def test_an_empty_batch_is_judged_too(contract: Contract) -> None:
    judged = examples.judged([])
    assert judged.schema == JUDGED_SCHEMA
    assert valid_rows(judged, UPLOAD, contract).num_rows == invalid_rows(judged, UPLOAD).num_rows == 0
