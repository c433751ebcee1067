"""The pandera schemas, built from the contract: of text before it is typed, and of stored tables.

pandera is slow to import, so this module is imported where rows are judged and not before.
"""

import warnings
from collections.abc import Iterator
from datetime import date
from functools import cache, lru_cache

import numpy as np
import pandas as pd
import pyarrow as pa

from alumni_assets.contract import BY_NAME, COLUMNS, VOCABULARY_COLUMNS, Code, Contract
from alumni_assets.contract_arrow import TRANSFORMED_SCHEMA, VALID_SCHEMA
from alumni_assets.survey.rules import Rule, rules_of

with warnings.catch_warnings():
    # Where pyspark is installed pandera imports it too, and pyspark warns of the pandas that we have.
    warnings.simplefilter("ignore", FutureWarning)
    import pandera.pandas as pandera


# Making one takes as long as judging a thousand rows by it.
@lru_cache(maxsize=32)
def text_schema(contract: Contract, upload_day: date) -> pandera.DataFrameSchema:
    """Judges tidied text: one string column for each column of the contract, with its rules as checks.

    `upload_day` is the day of the upload in the survey's time zone.
    """
    return pandera.DataFrameSchema(
        {
            column.name: pandera.Column(
                pd.ArrowDtype(pa.string()),
                [_check(code, rule) for code, rule in rules_of(column, contract, upload_day).items()],
            )
            for column in COLUMNS
        }
    )


def wrong_cells(schema: pandera.Column, tidied: pa.Array) -> Iterator[tuple[Code, np.ndarray]]:
    """For each check of a column of `text_schema` that some cell fails, in the order of the checks: which cells.

    The checks are asked one by one, for a column's own `validate` makes a table of failure cases: seconds for every
    100,000 of them, of which this needs none.
    """
    cells = pd.Series(pd.arrays.ArrowExtensionArray(tidied))
    for check in schema.checks:
        result = check(cells)
        if not result.check_passed:
            yield Code(check.name), ~result.check_output.to_numpy()


@cache
def valid_schema() -> pandera.DataFrameSchema:
    """The stored `valid/` table: types of the contract, required cells filled."""
    return pandera.DataFrameSchema(
        {field.name: _typed(field) for field in VALID_SCHEMA},
        strict=True,
        ordered=True,
    )


@lru_cache(maxsize=2)
def transformed_schema(contract: Contract) -> pandera.DataFrameSchema:
    """The stored `transformed/` table: types, vocabularies, canonical phone numbers, ratings, spaces."""
    columns = {field.name: _typed(field) for field in TRANSFORMED_SCHEMA}
    for name in VOCABULARY_COLUMNS:
        columns[name].checks = [pandera.Check.isin(contract.vocabulary(name))]
    columns["phone_number"].checks = [pandera.Check.str_matches(r"^\+[1-9]\d{0,2} \d{4,14}$")]
    columns["performance_rating"].checks = [pandera.Check.in_range(1, 5)]
    columns["employee_name"].checks = [pandera.Check.str_matches(r"^\S+(?: \S+)*$")]
    columns["job_role"].checks = [pandera.Check.str_matches(r"^\S+(?: \S+)*$")]
    return pandera.DataFrameSchema(columns, strict=True, ordered=True)


def _typed(field: pa.Field) -> pandera.Column:
    is_optional = field.name == "corrected_by" or (field.name in BY_NAME and not BY_NAME[field.name].required)
    return pandera.Column(pd.ArrowDtype(field.type), nullable=is_optional)


def _check(code: Code, rule: Rule) -> pandera.Check:
    def keeps_to_rule(cells: pd.Series) -> pd.Series:
        return pd.Series(rule(pa.array(cells)).to_numpy(zero_copy_only=False))

    return pandera.Check(keeps_to_rule, name=str(code), ignore_na=False)
