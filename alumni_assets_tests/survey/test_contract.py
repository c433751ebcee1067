"""The contract hangs together: what one part of it names, the others know."""

import pytest

from alumni_assets.contract import (
    COLUMNS,
    CORRECTION_CODES,
    GENERAL_CODES,
    IGNORED_HEADERS,
    NAMES,
    REASONS,
    VOCABULARY_COLUMNS,
    Code,
    Column,
    Contract,
)
from alumni_assets.contract_arrow import INVALID_SCHEMA, TRANSFORMED_SCHEMA, VALID_SCHEMA
from alumni_assets.survey.detection import match_header

from . import examples


def test_every_code_is_general_or_of_a_column_and_has_a_sentence() -> None:
    of_columns = {code for column in COLUMNS for code in column.codes}
    assert {*GENERAL_CODES, *CORRECTION_CODES, Code.MISSING, *of_columns} == set(Code)
    assert set(REASONS) == set(Code)
    assert all(sentence.endswith(".") for sentence in REASONS.values())


def test_no_two_headers_are_the_same_to_a_reader(contract: Contract) -> None:
    titles = tuple(column.header for column in COLUMNS) + IGNORED_HEADERS
    header = match_header(titles, contract.rules.limits)
    assert header.fields == (*NAMES, *[None] * len(IGNORED_HEADERS))


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_the_example_of_a_column_is_valid(column: Column) -> None:
    assert examples.found(**{column.name: column.example}) == []


def test_closed_lists_belong_to_columns_that_may_fail_by_them(contract: Contract) -> None:
    assert {column.name for column in COLUMNS if Code.NOT_IN_LIST in column.codes} == set(VOCABULARY_COLUMNS)
    assert all(contract.vocabulary(name) for name in VOCABULARY_COLUMNS)


def test_the_stored_tables_have_the_columns_of_the_survey_and_their_lineage() -> None:
    assert VALID_SCHEMA.names == [*NAMES, "upload", "source_row", "corrected_by"]
    assert TRANSFORMED_SCHEMA.names == [*NAMES, "upload", "source_row", "corrected_by", "received_at"]
    assert INVALID_SCHEMA.names == [
        "upload",
        "source_row",
        *NAMES,
        "other_columns",
        "problems",
        "corrects",
        "corrects_row",
    ]
