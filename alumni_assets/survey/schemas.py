"""The pandera schemas, built from the contract: of text before it is typed, and of stored tables.

pandera is slow to import, so this module is imported where rows are judged and not before.
"""

from datetime import date
from functools import cache

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from alumni_assets.contract import (
    COLUMNS,
    NAMES,
    TRANSFORMED_SCHEMA,
    VALID_SCHEMA,
    VOCABULARY_COLUMNS,
    Contract,
)
from alumni_assets.survey.rules import Rule, rules_of


def text_schema(contract: Contract, upload_day: date) -> pandera.DataFrameSchema:
    """Judges tidied text: one string column for each column of the contract, all rules as checks.

    Each check is named by its code. Failure cases are limited to one for each check, because the
    masks of the checks, not pandera's failure cases, tell the rows (building those takes seconds
    for every 100,000 bad rows).
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


def valid_schema() -> pandera.DataFrameSchema:
    """The stored `valid/` table: types of the contract, required cells filled."""
    return pandera.DataFrameSchema(
        {field.name: _typed(field, _is_optional(field.name)) for field in VALID_SCHEMA},
        strict=True,
        ordered=True,
    )


def transformed_schema(contract: Contract) -> pandera.DataFrameSchema:
    """The stored `transformed/` table: types, vocabularies, canonical phone numbers, ratings, spaces."""
    columns = {field.name: _typed(field, _is_optional(field.name)) for field in TRANSFORMED_SCHEMA}
    for name in VOCABULARY_COLUMNS:
        columns[name].checks = [pandera.Check.isin(contract.vocabulary(name))]
    columns["phone_number"].checks = [pandera.Check.str_matches(r"^\+[1-9]\d{0,2} \d{4,14}$")]
    columns["performance_rating"].checks = [pandera.Check.in_range(1, 5)]
    columns["employee_name"].checks = [pandera.Check.str_matches(r"^\S+(?: \S+)*$")]
    columns["job_role"].checks = [pandera.Check.str_matches(r"^\S+(?: \S+)*$")]
    return pandera.DataFrameSchema(columns, strict=True, ordered=True)


@cache
def _is_optional(name: str) -> bool:
    return name in NAMES and not next(column for column in COLUMNS if column.name == name).required


def _typed(field: pa.Field, nullable: bool) -> pandera.Column:
    return pandera.Column(pd.ArrowDtype(field.type), nullable=nullable)


def _check(code: str, rule: Rule) -> pandera.Check:
    def keeps_to_rule(cells: pd.Series) -> pd.Series:
        return pd.Series(rule(pa.array(cells)).to_numpy(zero_copy_only=False), index=cells.index)

    return pandera.Check(keeps_to_rule, name=code, n_failure_cases=1)
