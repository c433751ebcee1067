"""Whose a row is."""

from typing import Any

import pyarrow as pa
import pytest

from alumni_assets.contract import NAMES
from alumni_assets.survey.persons import KeyedSeal, Persons, Whose, check_of, person
from alumni_assets.survey_rules import default_rules

PHONES = default_rules().phone_number
SEAL = KeyedSeal("a secret that is long enough for tests")
OTHERS, UNKNOWN, BY_CONTACT, BY_ID = (int(one) for one in (Whose.OTHERS, Whose.UNKNOWN, Whose.BY_CONTACT, Whose.BY_ID))


def rows(*cells: dict[str, Any]) -> pa.RecordBatch:
    columns = {name: pa.array([row.get(name, "") for row in cells], pa.string()) for name in (*NAMES, "other_columns")}
    return pa.RecordBatch.from_pydict(columns)


def sealed(persons: Persons) -> Persons:
    """The same persons as the ledger knows them."""
    return Persons(frozenset(map(SEAL, persons.names)), SEAL, PHONES)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_id_is_read_as_the_contract_reads_it(is_sealed: bool) -> None:
    known = person(" 000628496.0 ", PHONES)
    known = sealed(known) if is_sealed else known
    ids = ["628496", "0628496", "628496.00", " 628 496", "6284960", "x628496", "", "628496\u200b"]
    found = known.whose(rows(*({"employee_id": text} for text in ids))).tolist()
    assert found == [BY_ID, BY_ID, BY_ID, UNKNOWN, OTHERS, UNKNOWN, UNKNOWN, BY_ID]
    assert known.by_id(pa.array([628496, 5, None], pa.int64())).tolist() == [True, False, False]


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_row_without_an_id_is_told_by_address_or_number_in_any_of_its_cells(is_sealed: bool) -> None:
    known = person("7", PHONES)
    mine = rows({"email": "Zoe@Hollow.org", "phone_number": "0917 924 8463"}, {"email": "none", "phone_number": "1"})
    known = known.also(known.contacts(mine))
    known = sealed(known) if is_sealed else known
    found = known.whose(
        rows(
            {"email": " zoe@hollow.ORG "},
            {"phone_number": "+63 917-924-8463"},
            {"employee_name": "9179248463", "employee_id": "?"},
            {"other_columns": '{"Second e-mail": "ZOE@hollow.org"}'},
            {"email": "zoe@hollow.org", "employee_id": "8"},
            {"email": "none", "phone_number": "1"},
            {"employee_name": "Zoe", "other_columns": None},
        )
    )
    assert found.tolist() == [BY_CONTACT] * 4 + [OTHERS, UNKNOWN, UNKNOWN]


def test_what_is_no_employee_id_is_refused() -> None:
    for text in ("", "Ana", "12a", "1" * 19, "+5"):
        with pytest.raises(ValueError, match="only digits"):
            person(text, PHONES)


def test_names_are_sealed_with_the_key() -> None:
    other = KeyedSeal("another secret that is long enough")
    assert SEAL("id:7") == KeyedSeal("a secret that is long enough for tests")("id:7")
    assert len({SEAL("id:7"), SEAL("email:7"), other("id:7"), check_of(SEAL), check_of(other)}) == 5
