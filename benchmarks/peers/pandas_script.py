"""The old validator and its transformation as a script of pandas: a function for each column, called for each cell.

The old script condemned a file for one bad row; this one drops the bad rows, so that there is something to compare.
Leaves out: reasons (a row is good or bad), a table of the bad rows, row numbers, names such as McCullough, correction
files, other encodings, numbering plans of other countries, bounded memory.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from datetime import datetime

import pandas as pd

_DEGREES = {
    "accountancy",
    "business administration",
    "communications",
    "computer science",
    "education",
    "engineering",
    "human resource management",
    "information technology",
    "political science",
    "psychology",
}
_DEPARTMENTS = {"admin", "finance", "hr", "marketing", "operations", "r&d", "tech"}
_CAMPUSES = {"apalit", "candaba", "lubao", "main", "mexico", "porac", "san fernando", "santo tomas"}
_TITLES = re.compile(r"^((dr|mr|ms|mrs)\b\.?\s*)+", re.IGNORECASE)
_SUFFIXES = re.compile(r"((^|[\s,]+)(dvm|md|phd|dds|esq|jr|sr)\.?)+$", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s]+@([\w-]+\.)+\w{2,}")
_EXAMPLE = re.compile(r"\bexample\b")
_NOT_A_DIGIT = re.compile(r"\D")
_PHONE = re.compile(r"(\+?63|0)?9\d{9}")


def bare_name(cell: str) -> str:
    """A name without titles and suffixes."""
    return _SUFFIXES.sub("", _TITLES.sub("", cell))


def is_date(cell: str) -> bool:
    """Whether a cell is a time until now, or empty."""
    try:
        return not cell or datetime.fromisoformat(cell) <= datetime.now()
    except ValueError:
        return False


_IS_VALID: dict[str, Callable[[str], bool]] = {
    "Employee_ID": lambda cell: cell.isdigit(),
    "Employee_Name": lambda cell: any(letter.isalpha() for letter in bare_name(cell)),
    "College_Degree": lambda cell: cell.lower() in _DEGREES,
    "Department": lambda cell: cell.lower() in _DEPARTMENTS,
    "Job_Role": lambda cell: bool(cell),
    "DMC_Campus": lambda cell: cell.lower() in _CAMPUSES,
    "Email": lambda cell: _EMAIL.fullmatch(cell) is not None,
    "Phone_Number": lambda cell: _PHONE.fullmatch(re.sub(r"[^\d+]", "", cell)) is not None,
    "Performance_Rating": lambda cell: cell.isdigit() and 1 <= int(cell) <= 5,
    "Submission Date": is_date,
}


def email(cell: str) -> str:
    """An address with its domain in lower case, and gmail for example."""
    local, _, domain = cell.rpartition("@")
    return f"{local}@{_EXAMPLE.sub('gmail', domain.lower())}"


def phone(cell: str) -> str:
    """A mobile number with its country code."""
    return f"+63 {_NOT_A_DIGIT.sub('', cell)[-10:]}"


def transformed(valid: pd.DataFrame) -> pd.DataFrame:
    """Clean rows of valid ones, exact duplicates dropped."""
    clean = pd.DataFrame(
        {
            "employee_id": valid["Employee_ID"].astype("int64"),
            "employee_name": valid["Employee_Name"].map(bare_name).str.title(),
            "college_degree": valid["College_Degree"],
            "department": valid["Department"],
            "job_role": valid["Job_Role"].str.title().str.replace("Hr ", "HR "),
            "dmc_campus": valid["DMC_Campus"],
            "email": valid["Email"].map(email),
            "phone_number": valid["Phone_Number"].map(phone),
            "performance_rating": valid["Performance_Rating"].astype("int8"),
            "submission_date": pd.to_datetime(valid["Submission Date"], errors="coerce"),
        }
    )
    return clean.drop_duplicates()


def main(source: str, folder: str) -> None:
    """Write the transformed rows of a CSV file as Parquet."""
    started = time.monotonic()
    text = pd.read_csv(source, dtype=str, keep_default_na=False)
    cells = text.apply(lambda column: column.str.strip())
    is_valid = pd.concat([cells[name].map(rule) for name, rule in _IS_VALID.items()], axis=1).all(axis=1)
    clean = transformed(cells[is_valid])
    clean.to_parquet(f"{folder}/transformed.parquet", index=False)
    counts = {"valid": int(is_valid.sum()), "invalid": int((~is_valid).sum()), "rows_out": len(clean)}
    sys.stdout.write(json.dumps({**counts, "seconds": {"all": round(time.monotonic() - started, 3)}}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
