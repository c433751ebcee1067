"""Writes docs/contract.md from the contract, so that the page cannot say anything else than the code."""

import sys
from pathlib import Path

from alumni_assets.contract import (
    COLUMNS,
    CORRECTION_CODES,
    GENERAL_CODES,
    IGNORED_HEADERS,
    REASONS,
    Code,
    Contract,
    default_contract,
)

_HEAD = """# The survey contract

Made from `alumni_assets/contract.py` and `alumni_assets/survey.yaml` by `make docs`; a test keeps it current.

An upload is a `.csv`, `.tsv` or `.txt` file (each also as `.gz`) or an `.xlsx` workbook (first sheet). Its first
row that is not blank names the columns, in any order and whatever the case, spaces and underscores. A column that
is not listed here is left aside; a required one that is missing, or one that comes twice, rejects the file.

A file with the columns `_upload` and `_row` is a correction: rows of an earlier upload that were set aside come back
(see [reviewing.md](reviewing.md)). It needs no other column; those that it lacks are filled from the original rows.
"""


def contract_page(contract: Contract) -> str:
    """The page for a contract, as Markdown."""
    parts = [_HEAD, _columns(), _vocabularies(contract), _reasons(), _transformation(contract)]
    return "\n".join(parts)


def _columns() -> str:
    rows = [
        f"| {column.header} | `{column.name}` | {column.type} | {'yes' if column.required else 'no'} "
        f"| {column.rule} | `{column.example}` |"
        for column in COLUMNS
    ]
    ignored = ", ".join(IGNORED_HEADERS)
    return (
        "## Columns\n\n| Header | Our column | Type | Required | Rule | Example |\n|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\n{ignored} is ignored.\n"
    )


def _vocabularies(contract: Contract) -> str:
    rules = contract.rules
    lists = {
        "College_Degree": rules.vocabularies.college_degree,
        "Department": rules.vocabularies.department,
        "DMC_Campus": rules.vocabularies.dmc_campus,
        "Job_Role (known spellings; others are accepted)": rules.job_role.known,
    }
    return "## Vocabularies\n\n" + "".join(f"- {name}: {', '.join(words)}\n" for name, words in lists.items())


def _reasons() -> str:
    rows = [f"| `{code}` | {_where(code)} | {sentence} |" for code, sentence in REASONS.items()]
    return (
        "## Why a row is invalid\n\nEvery reason that holds is given, not only the first.\n\n"
        "| Code | Columns | What a person reads |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _where(code: Code) -> str:
    if code is Code.WRONG_FIELD_COUNT:
        return "the whole row"
    if code in GENERAL_CODES:
        return "any"
    if code in CORRECTION_CODES:
        return "the whole row, of a correction"
    if code is Code.MISSING:
        return "every required one"
    return ", ".join(column.header for column in COLUMNS if code in column.codes)


def _transformation(contract: Contract) -> str:
    rules = contract.rules
    labels = ", ".join(f"`{old}` becomes `{new}`" for old, new in rules.email.replace_domain_labels.items())
    return f"""## What the transformation does

- Outer, repeated and invisible spaces go; text is in Unicode's normal form C.
- Names: title case without {", ".join(rules.employee_name.honorifics)} at the start and
  {", ".join(rules.employee_name.suffixes)} at the end, in any case, with or without dots;
  {", ".join(rules.employee_name.numerals)} stay.
- Degrees, departments and campuses: the spelling of the vocabulary. Job roles: the known spelling, or title case
  with {", ".join(rules.job_role.acronyms)} kept.
- E-mail: the domain in lower case, whole parts of it replaced ({labels or "none"}); the local part stays.
- Phone numbers: `+{rules.phone_number.country_code} 9577284792`.
- Dates: as a timestamp in {rules.time_zone}; 3/4/2026 is read {rules.submission_date.order.replace("_", " ")}.
- Rows that are equal afterwards, within one upload: the first stays, the others are dropped and counted. Of a
  correction none is dropped: each of its rows stands for a row of its own in the original upload.
"""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(contract_page(default_contract()), encoding="utf-8")
