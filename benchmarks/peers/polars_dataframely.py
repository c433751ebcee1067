"""The contract as a dataframely schema and polars expressions: good and bad rows parted, counted, transformed.

Everything is in memory at once. Leaves out: sentences and suggestions for each bad cell (it stores a column of
true and false for each rule), row numbers, cells as they came, correction files, other encodings and delimiters,
rows with too many cells, numbering plans of other countries, bounded memory.
"""

import json
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from string import ascii_lowercase

import dataframely as dy
import polars as pl

_DEGREES = [
    "Accountancy",
    "Business Administration",
    "Communications",
    "Computer Science",
    "Education",
    "Engineering",
    "Human Resource Management",
    "Information Technology",
    "Political Science",
    "Psychology",
]
_DEPARTMENTS = ["Admin", "Finance", "HR", "Marketing", "Operations", "R&D", "Tech"]
_CAMPUSES = ["Apalit", "Candaba", "Lubao", "Main", "Mexico", "Porac", "San Fernando", "Santo Tomas"]
_ROLES = [
    "Data Analyst",
    "Finance Officer",
    "HR Specialist",
    "Marketing Associate",
    "Product Manager",
    "Project Manager",
    "Research Assistant",
    "Software Engineer",
    "System Administrator",
    "Teacher",
]
_NAMES = {
    "Employee_ID": "employee_id",
    "Employee_Name": "employee_name",
    "College_Degree": "college_degree",
    "Department": "department",
    "Job_Role": "job_role",
    "DMC_Campus": "dmc_campus",
    "Email": "email",
    "Phone_Number": "phone_number",
    "Performance_Rating": "performance_rating",
    "Submission Date": "submission_date",
}
_TITLES = r"(?i)^(?:(?:d\.?r|m\.?r\.?s|m\.?r|m\.?s)(?:\.[\s,]*|[\s,]+|$))+"
_SUFFIXES = r"(?i)(?:(?:^|[\s,]+)(?:d\.?v\.?m|m\.?d|p\.?h\.?d|d\.?d\.?s|e\.?s\.?q|j\.?r|s\.?r)\.?)+[\s,]*$"
_ATOM = r"[^\s@,;:\"<>()\[\]\\.]+"
_EMAIL = (
    rf"^{_ATOM}(?:\.{_ATOM})*@(?:[\p{{L}}\p{{N}}](?:[\p{{L}}\p{{N}}-]*[\p{{L}}\p{{N}}])?\.)+\p{{L}}[\p{{L}}-]*\p{{L}}$"
)
_MOBILE = r"^(?:\+?63[ -]?0?|0063|0)?(9[0-9]{2})[ -]?([0-9]{3})[ -]?([0-9]{4})$"
_ABROAD = r"^(?:\+|00)([1-9][0-9]{6,14})$"
_SCOTS = {f"Mc{letter}": f"Mc{letter.upper()}" for letter in ascii_lowercase}
_DATE_FORMATS = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %H:%M:%S", "%Y/%m/%d %I:%M:%S %p"]
_DAY_FORMATS = ["%Y-%m-%d", "%m/%d/%Y"]


def bare_name(name: pl.Expr) -> pl.Expr:
    """A name without titles and suffixes."""
    return name.str.replace(_TITLES, "").str.replace(_SUFFIXES, "")


def timestamp(text: pl.Expr) -> pl.Expr:
    """The time that a text tells; null where it tells none."""
    times = [text.str.to_datetime(form, strict=False, time_unit="us") for form in _DATE_FORMATS]
    days = [text.str.to_date(form, strict=False).cast(pl.Datetime("us")) for form in _DAY_FORMATS]
    return pl.coalesce(*times, *days)


def _one_of(words: list[str]) -> dy.String:
    lowered = [word.lower() for word in words]
    return dy.String(nullable=False, check={"in_list": lambda cell: cell.str.to_lowercase().is_in(lowered)})


class Answer(dy.Schema):
    """One tidied row of the survey, all text."""

    employee_id = dy.String(nullable=False, regex="^[0-9]{1,18}$")
    employee_name = dy.String(nullable=False, check={"name": lambda cell: bare_name(cell).str.contains(r"\p{L}")})
    college_degree = _one_of(_DEGREES)
    department = _one_of(_DEPARTMENTS)
    job_role = dy.String(nullable=False, min_length=1, max_length=10_000)
    dmc_campus = _one_of(_CAMPUSES)
    email = dy.String(nullable=False, regex=_EMAIL, max_length=254)
    phone_number = dy.String(nullable=False, regex=f"{_MOBILE}|{_ABROAD}")
    performance_rating = dy.String(nullable=False, regex="^[1-5]$")
    submission_date = dy.String(
        nullable=True,
        check={
            "date": lambda cell: timestamp(cell).is_not_null(),
            "not_in_future": lambda cell: (timestamp(cell) < date.today() + timedelta(days=1)).fill_null(True),
        },
    )


def read(source: Path) -> pl.DataFrame:
    """All cells as tidied text; whole numbers without what a spreadsheet adds."""
    text = pl.read_csv(source, infer_schema=False).rename(_NAMES)
    written = pl.col("employee_name", "job_role").str.normalize("NFC")
    words = pl.col("employee_name", "job_role", "college_degree", "department", "dmc_campus")
    whole = pl.col("employee_id", "performance_rating").str.replace(r"\.0*$", "").str.strip_chars_start("0")
    return (
        text.with_columns(pl.all().str.strip_chars())
        .with_columns(written, whole)
        .with_columns(words.str.replace_all(r"\s\s+", " "))
    )


def typed(good: pl.DataFrame) -> pl.DataFrame:
    """Valid rows with the contract's types."""
    return good.with_columns(
        pl.col("employee_id").cast(pl.Int64),
        pl.col("performance_rating").cast(pl.Int8),
        timestamp(pl.col("submission_date")),
    )


def transformed(valid: pl.DataFrame) -> pl.DataFrame:
    """Clean rows, exact duplicates dropped."""
    spelling = {word.lower(): word for word in (*_DEGREES, *_DEPARTMENTS, *_CAMPUSES)}
    roles = {role.lower(): role for role in _ROLES}
    lowered = pl.col("college_degree", "department", "dmc_campus").str.to_lowercase()
    domain = pl.col("email").str.extract("@([^@]*)$").str.to_lowercase()
    mobile = pl.col("phone_number").str.replace(_MOBILE, "+63 $1$2$3").str.replace(_ABROAD, "+$1")
    return valid.with_columns(
        bare_name(pl.col("employee_name")).str.to_titlecase().str.replace_many(_SCOTS),
        lowered.replace(spelling),
        pl.col("job_role").str.to_lowercase().replace_strict(roles, default=pl.col("job_role").str.to_titlecase()),
        pl.col("email").str.replace("[^@]*$", "") + domain.str.replace_all(r"\bexample\b", "gmail"),
        mobile,
    ).unique(maintain_order=True)


def main(source: str, folder: str) -> None:
    """Write the valid, invalid and transformed rows of a CSV file as Parquet."""
    started = time.monotonic()
    good, failure = Answer.filter(read(Path(source)))
    valid = typed(good)
    valid.write_parquet(f"{folder}/valid.parquet", compression="zstd", compression_level=1)
    failure.write_parquet(f"{folder}/invalid.parquet", compression="zstd", compression_level=1)
    clean = transformed(valid)
    clean.write_parquet(f"{folder}/transformed.parquet", compression="zstd", compression_level=1)
    said = {"valid": len(valid), "invalid": len(failure), "rows_out": len(clean), "reasons": failure.counts()}
    sys.stdout.write(json.dumps({**said, "seconds": {"all": round(time.monotonic() - started, 3)}}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
