"""The pandera schemas, built from the contract: of text before it is typed, and of stored tables.

pandera is slow to import, so this module is imported where rows are judged and not before.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors

from alumni_assets.contract import BY_NAME, COLUMNS, VOCABULARY_COLUMNS, Code, Contract
from alumni_assets.contract_arrow import TRANSFORMED_SCHEMA, VALID_SCHEMA
from alumni_assets.survey.rules import Rule, rules_of


@dataclass(frozen=True)
class Failure:
    """Where a column does not keep to a rule: `fine` tells for each row whether it does."""

    column: str
    code: Code
    fine: np.ndarray


def text_schema(contract: Contract, upload_day: date) -> pandera.DataFrameSchema:
    """Judges tidied text: one string column for each column of the contract, all rules as checks.

    `upload_day` is the day of the upload in the survey's time zone. `failures_of` tells the results.
    """
    return pandera.DataFrameSchema(
        {column.name: pandera.Column(pd.ArrowDtype(pa.string())) for column in COLUMNS},
        checks=[
            _check(column.name, code, rule)
            for column in COLUMNS
            for code, rule in rules_of(column, contract, upload_day).items()
        ],
    )


def failures_of(schema: pandera.DataFrameSchema, tidied: pd.DataFrame) -> list[Failure]:
    """What `text_schema` finds wrong in a frame, in the order of its checks."""
    try:
        schema.validate(tidied, lazy=True, inplace=True)
    except SchemaErrors as errors:
        return [_failure(error) for error in errors.schema_errors]
    return []


def valid_schema() -> pandera.DataFrameSchema:
    """The stored `valid/` table: types of the contract, required cells filled."""
    return pandera.DataFrameSchema(
        {field.name: _typed(field) for field in VALID_SCHEMA},
        strict=True,
        ordered=True,
    )


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


def _check(column: str, code: Code, rule: Rule) -> pandera.Check:
    def keeps_to_rule(frame: pd.DataFrame) -> pd.Series:
        fine = rule(pa.array(frame[column])).to_numpy(zero_copy_only=False)
        # An index that differs from the frame's keeps pandera from collecting the failing cells: the mask
        # tells them, and collecting takes seconds for every 100,000 of them.
        return pd.Series(fine, index=pd.RangeIndex(1, len(fine) + 1))

    return pandera.Check(keeps_to_rule, name=f"{column} {code}", ignore_na=False)


def _failure(error: SchemaError) -> Failure:
    if error.reason_code is not SchemaErrorReason.DATAFRAME_CHECK:
        raise error  # a rule that broke or a frame of other columns: our mistake, not the survey's
    column, code = error.check.name.split()
    return Failure(column, Code(code), error.check_output.to_numpy())
