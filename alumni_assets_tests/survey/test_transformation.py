"""What valid rows become."""

import unicodedata
from datetime import datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alumni_assets.contract import NAMES, Contract
from alumni_assets.contract_arrow import TRANSFORMED_SCHEMA, VALID_SCHEMA
from alumni_assets.survey.transformation import clean_email, clean_job_role, clean_name, transform
from alumni_assets.survey.validation import valid_rows
from alumni_assets.survey_rules import NameRules, SurveyRules

from . import examples
from .examples import CONTRACT, GOOD_ROW, RECEIVED_AT, UPLOAD


def name(rules: SurveyRules, text: str) -> str:
    return clean_name(pa.array([text]), rules.employee_name)[0].as_py()


def role(rules: SurveyRules, text: str) -> str:
    return clean_job_role(pa.array([text]), rules.job_role)[0].as_py()


def email(rules: SurveyRules, text: str) -> str:
    return clean_email(pa.array([text]), rules.email.replace_domain_labels)[0].as_py()


def test_rows_stored_before_there_were_corrections_are_transformed() -> None:
    rows = valid_rows(examples.judged([GOOD_ROW]), UPLOAD, CONTRACT)
    older = rows.select([name for name in rows.schema.names if name != "corrected_by"])
    transformed = transform(CONTRACT, RECEIVED_AT)
    assert transformed(older).equals(transformed(rows))


def test_a_row_becomes_what_the_old_table_showed() -> None:
    row = {
        "employee_id": "190029",
        "employee_name": " Donna Thompson ",
        "college_degree": "Education",
        "department": "Admin",
        "job_role": "Research Assistant",
        "dmc_campus": "Porac",
        "email": "CabreRAkimBeRlY@exAmple.Com",
        "phone_number": "9399875611",
        "performance_rating": "5",
    }
    assert examples.transformed([row]).to_pylist() == [
        {
            "employee_id": 190029,
            "employee_name": "Donna Thompson",
            "college_degree": "Education",
            "department": "Admin",
            "job_role": "Research Assistant",
            "dmc_campus": "Porac",
            "email": "CabreRAkimBeRlY@gmail.com",
            "phone_number": "+63 9399875611",
            "performance_rating": 5,
            "submission_date": None,
            "upload": UPLOAD,
            "source_row": 1,
            "corrected_by": None,
            "received_at": RECEIVED_AT,
        }
    ]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("valerie rivera", "Valerie Rivera"),
        ("  VALERIE   RIVERA ", "Valerie Rivera"),
        ("Dr. Valerie Rivera", "Valerie Rivera"),
        ("DR VALERIE RIVERA", "Valerie Rivera"),
        ("dr.valerie rivera", "Valerie Rivera"),
        ("Dr., Valerie Rivera", "Valerie Rivera"),
        ("mr. dr. valerie rivera", "Valerie Rivera"),
        ("MRS. Valerie Rivera", "Valerie Rivera"),
        ("m.r.s. Valerie Rivera", "Valerie Rivera"),
        ("Ms Valerie Rivera", "Valerie Rivera"),
        ("Valerie Rivera MD", "Valerie Rivera"),
        ("Valerie Rivera, M.D.", "Valerie Rivera"),
        ("Valerie Rivera dvm", "Valerie Rivera"),
        ("Valerie Rivera Dvm", "Valerie Rivera"),
        ("valerie rivera PHD", "Valerie Rivera"),
        ("Valerie Rivera Ph.D.", "Valerie Rivera"),
        ("Valerie Rivera DDS", "Valerie Rivera"),
        ("Valerie Rivera esq", "Valerie Rivera"),
        ("Juan Rivera Jr.", "Juan Rivera"),
        ("JUAN RIVERA SR", "Juan Rivera"),
        ("Dr. Juan Rivera Jr., MD, PhD", "Juan Rivera"),
        ("Juan Rivera,Jr.", "Juan Rivera"),
        ("Juan Rivera Jr.,", "Juan Rivera"),
        ("Drake Msgr Estrada", "Drake Msgr Estrada"),
        ("Mdina Jrue", "Mdina Jrue"),
        ("Md. Karim Ali", "Md. Karim Ali"),
        ("Sr. Maria", "Sr. Maria"),
        ("CONAN O'BRIEN", "Conan O'Brien"),
        ("conan o’brien", "Conan O’Brien"),
        ("MCCULLOUGH", "McCullough"),
        ("john mccullough", "John McCullough"),
        ("mcmillan-mcdonald", "McMillan-McDonald"),
        ("mc arthur", "Mc Arthur"),
        ("MARÍA-JOSÉ ÑUÑEZ", "María-José Ñuñez"),
        ("maría-josé ñuñez", "María-José Ñuñez"),
        ("MARI\u0301A-JOSE\u0301 N\u0303UN\u0303EZ", "María-José Ñuñez"),
        ("peña", "Peña"),
        ("juan dela cruz iii", "Juan Dela Cruz III"),
        ("SANTOS III, JUAN", "Santos III, Juan"),
        ("juan santos iv.", "Juan Santos IV."),
        ("juan santos (ii)", "Juan Santos (II)"),
        ("Juan Dela Cruz Iv, MD", "Juan Dela Cruz IV"),
        ("iv santos", "Iv Santos"),
        ("d'angelo's", "D'Angelo's"),
        ("ỌLỌ\u0301WỌ\u0300", "Ọlọ\u0301wọ\u0300"),
        ("KAʻAHUMANU", "Kaʻahumanu"),
        ("Vale\u200brie Ri\u00advera", "Valerie Rivera"),
        ("李小龍", "李小龍"),
    ],
)
def test_a_name_is_title_cased_without_titles_and_suffixes(rules: SurveyRules, text: str, cleaned: str) -> None:
    assert name(rules, text) == cleaned


def test_titles_and_suffixes_are_configuration() -> None:
    rules = NameRules(honorifics=("Engr.", "Atty"), suffixes=(), numerals=())
    assert clean_name(pa.array(["ENGR. juan cruz md iii", "atty.ana"]), rules).to_pylist() == [
        "Juan Cruz Md Iii",
        "Ana",
    ]


def test_a_suffix_may_be_configured_with_its_dots() -> None:
    rules = NameRules(honorifics=(), suffixes=("Ph.D.",), numerals=())
    assert clean_name(pa.array(["Ana Cruz PhD", "Ana Cruz, Ph.D."]), rules).to_pylist() == ["Ana Cruz", "Ana Cruz"]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("product manager", "Product Manager"),
        ("hr specialist", "HR Specialist"),
        ("HR SPECIALIST", "HR Specialist"),
        ("  data   ANALYST ", "Data Analyst"),
        ("it support lead", "IT Support Lead"),
        ("head of r&d", "Head Of R&D"),
        ("HR/IT liaison", "HR/IT Liaison"),
        ("nurse (icu)", "Nurse (Icu)"),
        ("(hr) officer", "(HR) Officer"),
        ("bank manager's aide", "Bank Manager's Aide"),
        ("writer", "Writer"),
        ("audit", "Audit"),
        ("ENFERMERA AÑEJA", "Enfermera Añeja"),
        ("cto", "CTO"),
    ],
)
def test_a_job_role_is_title_cased_with_acronyms_kept(rules: SurveyRules, text: str, cleaned: str) -> None:
    assert role(rules, text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Srubio@Example.Net", "Srubio@gmail.net"),
        ("a.B+c@EXAMPLE.COM", "a.B+c@gmail.com"),
        ("a@mail.example.edu.ph", "a@mail.gmail.edu.ph"),
        ("a@examplecorp.com", "a@examplecorp.com"),
        ("a@my-example.com", "a@my-example.com"),
        ("example@School.Edu.PH", "example@school.edu.ph"),
        (" a@b.com ", "a@b.com"),
        ("Ñandú@Correo.es", "Ñandú@correo.es"),
    ],
)
def test_only_whole_labels_of_an_email_domain_are_replaced(rules: SurveyRules, text: str, cleaned: str) -> None:
    assert email(rules, text) == cleaned


def test_an_empty_map_leaves_email_domains_alone() -> None:
    assert clean_email(pa.array(["A@Example.com"]), {}).to_pylist() == ["A@example.com"]


@pytest.mark.parametrize(
    ("column", "text", "cleaned"),
    [
        ("employee_id", "000628496.0", 628496),
        ("college_degree", " computer\u00a0SCIENCE ", "Computer Science"),
        ("department", "r&d", "R&D"),
        ("department", "hr\u200b", "HR"),
        ("dmc_campus", "SANTO   TOMAS", "Santo Tomas"),
        ("performance_rating", "4.0", 4),
        ("performance_rating", " 05 ", 5),
        ("phone_number", "9577284792.0", "+63 9577284792"),
        ("phone_number", "+1 415 555 0100", "+1 4155550100"),
        ("submission_date", "11/20/2026 8:15:00 AM", datetime(2026, 11, 20, 8, 15)),
        ("submission_date", "2026-11-20T00:15:00Z", datetime(2026, 11, 20, 8, 15)),
        ("submission_date", "", None),
        ("submission_date", None, None),
        ("employee_name", "Nin\u0303o Cruz", "Niño Cruz"),
    ],
)
def test_a_cell_gets_its_type_and_its_usual_spelling(column: str, text: str | None, cleaned: object) -> None:
    assert examples.clean(**{column: text})[column] == cleaned


def test_both_unicode_forms_of_a_row_become_the_same() -> None:
    row = GOOD_ROW | {"employee_name": "María Ñuñez-Peña", "job_role": "Diseñadora", "email": "ñ@peña.example.com"}
    decomposed = {name: unicodedata.normalize("NFD", cell or "") for name, cell in row.items()}
    assert examples.clean(**decomposed) == examples.clean(**row)


_word = st.text("abcdefghijklmnñopqrstuvwxyzáéíóúü", min_size=1, max_size=8)
_name = st.lists(
    _word | st.sampled_from(["dr.", "mr", "o'brien", "mccullough", "maría-josé", "md", "jr.", "iii"]), min_size=1
).map(" ".join)
_row = st.fixed_dictionaries(
    {
        "employee_name": st.builds("{} {}".format, _word, _name),
        "job_role": st.lists(_word | st.sampled_from(["hr", "r&d", "data analyst", "it/qa"]), min_size=1).map(" ".join),
        "college_degree": st.sampled_from(["Computer Science", "Education"]),
        "department": st.sampled_from(["R&D", "HR", "Tech"]),
        "dmc_campus": st.sampled_from(["San Fernando", "Main"]),
        "submission_date": st.sampled_from(["2026-11-20t08:15:00z", "3/4/2026 3:30 pm", ""]),
    }
)
_space = st.text(" \t\u00a0\u200b", max_size=3)


def rows_of(changes: list[dict[str, str]]) -> list[dict[str, str | None]]:
    return [GOOD_ROW | change for change in changes]


@settings(max_examples=20)
@given(st.lists(_row, min_size=1), st.data())
def test_case_and_outer_spaces_change_nothing(rows: list[dict[str, str]], data: st.DataObject) -> None:
    change = data.draw(st.sampled_from([str.upper, str.lower, str.swapcase, str.title]))
    before, after = data.draw(_space), data.draw(_space)
    disguised = [{name: f"{before}{change(cell)}{after}" for name, cell in row.items()} for row in rows]
    assert examples.transformed(rows_of(disguised)).equals(examples.transformed(rows_of(rows)))


@given(st.text("ab.XY", min_size=1), st.sampled_from(["example.com", "Mail.Example.ORG"]))
def test_case_changes_nothing_of_an_email_but_its_local_part(rules: SurveyRules, local: str, domain: str) -> None:
    expected = email(rules, f"{local}@{domain}")
    assert expected.startswith(f"{local}@")
    assert email(rules, f" {local}@{domain.upper()} ") == expected
    assert email(rules, f"{local}@{domain.swapcase()}") == expected


@settings(max_examples=20)
@given(st.lists(_row, min_size=1))
def test_transforming_twice_equals_transforming_once(rows: list[dict[str, str]]) -> None:
    once = examples.transformed(rows_of(rows))
    as_text = [{name: None if row[name] is None else str(row[name]) for name in NAMES} for row in once.to_pylist()]
    assert examples.transformed(as_text).equals(once)


@given(st.lists(examples.text, min_size=1))
def test_cleaning_names_twice_equals_cleaning_once_for_any_text(rules: SurveyRules, texts: list[str]) -> None:
    letters = ["".join(letter for letter in text if letter not in "\u0345ŉǆİıſ") for text in texts]
    once = clean_name(pa.array(letters, pa.string()), rules.employee_name)
    assert clean_name(once, rules.employee_name).to_pylist() == once.to_pylist()


@pytest.mark.parametrize(("start", "length"), [(0, 0), (0, 3), (2, 4), (7, 1)])
def test_rows_are_transformed_alike_whatever_the_batch(contract: Contract, start: int, length: int) -> None:
    rows = [GOOD_ROW | {"employee_name": f"Dr. Ñuño McCullough {letter} III"} for letter in "abcdefgh"]
    batch = valid_rows(examples.judged(rows), UPLOAD, contract)
    transformed = transform(contract, RECEIVED_AT)
    assert transformed(batch.slice(start, length)).equals(transformed(batch).slice(start, length))


def test_an_empty_batch_stays_empty(contract: Contract) -> None:
    empty = pa.RecordBatch.from_pylist([], schema=VALID_SCHEMA)
    assert transform(contract, RECEIVED_AT)(empty).schema == TRANSFORMED_SCHEMA
