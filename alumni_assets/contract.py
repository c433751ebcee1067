"""THE survey contract, as data: columns, types, rules, reasons and descriptions.

Everything that needs to know what a survey row is derives from here: the pandera schemas, the typed tables, the
column descriptions in Dagster and DuckDB, `docs/contract.md` and the sample generator. This module is plain data
and imports neither Arrow nor pandas nor pandera (they are slow to import); `contract_arrow.py` has the tables as
Arrow schemas. How a rule is judged is in `survey/rules.py`; the vocabularies and thresholds are in `survey.yaml`.
"""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Literal

from alumni_assets.survey_rules import SurveyRules, default_rules

VERSION = 1


class Code(StrEnum):
    """Stable codes of the reasons for which a row is invalid."""

    WRONG_FIELD_COUNT = "wrong_field_count"
    UNDECODABLE = "undecodable"
    FIELD_TOO_LONG = "field_too_long"
    CONTROL_CHARACTER = "control_character"
    MISSING = "missing"
    NOT_AN_ID = "not_an_id"
    NO_NAME = "no_name"
    NOT_IN_LIST = "not_in_list"
    NOT_AN_EMAIL = "not_an_email"
    NOT_A_PHONE_NUMBER = "not_a_phone_number"
    NOT_A_RATING = "not_a_rating"
    NOT_A_DATE = "not_a_date"
    DATE_IN_FUTURE = "date_in_future"
    NO_SUCH_ROW = "no_such_row"
    DOUBLED_ROW = "doubled_row"


REASONS: dict[Code, str] = {
    Code.WRONG_FIELD_COUNT: "The row has more or fewer cells than the header has columns.",
    Code.UNDECODABLE: "The cell has characters that were damaged before the file reached us.",
    Code.FIELD_TOO_LONG: "The cell is longer than the limit.",
    Code.CONTROL_CHARACTER: "The cell has invisible control characters.",
    Code.MISSING: "The cell is empty, but an answer is required.",
    Code.NOT_AN_ID: "An employee id has only digits, at most 18 of them.",
    Code.NO_NAME: "No name is left once titles such as Dr. and suffixes such as MD are taken away.",
    Code.NOT_IN_LIST: "The answer is not one of the possible ones.",
    Code.NOT_AN_EMAIL: "This is not a complete e-mail address, such as name@school.edu.ph.",
    Code.NOT_A_PHONE_NUMBER: (
        "This is neither a mobile number such as 0957 728 4792 nor an international number that begins with +."
    ),
    Code.NOT_A_RATING: "A performance rating is a whole number from 1 to 5.",
    Code.NOT_A_DATE: "This is not a date that we can read; write it as 2026-11-23.",
    Code.DATE_IN_FUTURE: "The date is later than the day on which the file was uploaded.",
    Code.NO_SUCH_ROW: (
        "_row does not name a row that was set aside in that upload. Leave the cells _upload and _row as they were."
    ),
    Code.DOUBLED_ROW: "The file has more than one row with this number in _row. Keep the right one only.",
}


ColumnType = Literal["int64", "string", "int8", "timestamp[us]"]


@dataclass(frozen=True)
class Column:
    """One column of the survey.

    `name` is the column in our tables, `header` the one in the survey's files. `type` is its Arrow
    type once valid. `codes` are the reasons that may be given for it besides the ones for any cell.
    `personal` cells are masked wherever they would leave the lake and the published tables.
    """

    name: str
    header: str
    type: ColumnType
    description: str
    rule: str
    codes: tuple[Code, ...]
    required: bool = True
    personal: bool = False
    example: str = ""


COLUMNS: tuple[Column, ...] = (
    Column(
        "employee_id",
        "Employee_ID",
        "int64",
        "The alumnus' employee id: one alumnus, one id.",
        "Digits, at most 18; leading zeros and a spreadsheet's .0 do not count.",
        (Code.NOT_AN_ID,),
        personal=True,
        example="628496",
    ),
    Column(
        "employee_name",
        "Employee_Name",
        "string",
        "Full name, without titles and suffixes once transformed.",
        "Letters must remain once titles and suffixes are gone.",
        (Code.NO_NAME,),
        personal=True,
        example="Valerie Rivera",
    ),
    Column(
        "college_degree",
        "College_Degree",
        "string",
        "The degree with which the alumnus graduated.",
        "One of the listed degrees, in any case.",
        (Code.NOT_IN_LIST,),
        example="Computer Science",
    ),
    Column(
        "department",
        "Department",
        "string",
        "The department in which the alumnus works.",
        "One of the listed departments, in any case.",
        (Code.NOT_IN_LIST,),
        example="HR",
    ),
    Column(
        "job_role",
        "Job_Role",
        "string",
        "The alumnus' job role.",
        "Any text; known roles get their usual spelling.",
        (),
        example="Product Manager",
    ),
    Column(
        "dmc_campus",
        "DMC_Campus",
        "string",
        "The campus from which the alumnus graduated.",
        "One of the listed campuses, in any case.",
        (Code.NOT_IN_LIST,),
        example="Santo Tomas",
    ),
    Column(
        "email",
        "Email",
        "string",
        "E-mail address; the domain in lower case once transformed.",
        "A plausible address: something, @, a domain with a dot.",
        (Code.NOT_AN_EMAIL,),
        personal=True,
        example="valerie.rivera@example.net",
    ),
    Column(
        "phone_number",
        "Phone_Number",
        "string",
        "Phone number, as +63 9577284792 once transformed.",
        "A Philippine mobile number in any usual spelling, or a valid international number with +.",
        (Code.NOT_A_PHONE_NUMBER,),
        personal=True,
        example="9577284792",
    ),
    Column(
        "performance_rating",
        "Performance_Rating",
        "int8",
        "The employer's rating of the alumnus, from 1 (lowest) to 5 (excellent).",
        "A whole number from 1 to 5.",
        (Code.NOT_A_RATING,),
        example="4",
    ),
    Column(
        "submission_date",
        "Submission Date",
        "timestamp[us]",
        "When the answer was given, in the survey's time zone (Asia/Manila).",
        "An ISO date or date-time, or a date as Google Sheets exports it; not after the day of upload.",
        (Code.NOT_A_DATE, Code.DATE_IN_FUTURE),
        required=False,
        example="2026-11-20 08:15:00",
    ),
)

IGNORED_HEADERS: tuple[str, ...] = ("Submission ID",)

# The columns that a correction file has besides: they mark a file as a correction, and say of which rows.
UPLOAD_TITLE, ROW_TITLE, PROBLEMS_TITLE = "_upload", "_row", "_problems"
CORRECTION_TITLES: tuple[str, ...] = (UPLOAD_TITLE, ROW_TITLE, PROBLEMS_TITLE)

# Codes that any cell or row may get, whatever its column.
GENERAL_CODES: tuple[Code, ...] = (
    Code.WRONG_FIELD_COUNT,
    Code.UNDECODABLE,
    Code.FIELD_TOO_LONG,
    Code.CONTROL_CHARACTER,
)
# Codes that only a row of a correction may get.
CORRECTION_CODES: tuple[Code, ...] = (Code.NO_SUCH_ROW, Code.DOUBLED_ROW)

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
NAMES: tuple[str, ...] = tuple(BY_NAME)
VOCABULARY_COLUMNS: tuple[str, ...] = ("college_degree", "department", "dmc_campus")
# Columns of which many rows have the same cell, so that it is enough to look at each distinct cell once.
REPETITIVE_COLUMNS: tuple[str, ...] = (*VOCABULARY_COLUMNS, "job_role", "performance_rating")

LINEAGE: dict[str, str] = {
    "upload": "The upload that the row came with.",
    "source_row": "The row's number in that upload: physical records, the header not counted.",
    "received_at": "When the upload was first seen, in UTC.",
    "corrected_by": "The correction that gave the row its cells; null for a row as it came.",
}

# The stored tables of one upload: column names and Arrow types; `contract_arrow.py` has them as Arrow schemas.
VALID_COLUMNS: dict[str, str] = {column.name: str(column.type) for column in COLUMNS} | {
    "upload": "string",
    "source_row": "int64",
    "corrected_by": "string",
}
TRANSFORMED_COLUMNS: dict[str, str] = VALID_COLUMNS | {"received_at": "timestamp[us]"}
INVALID_COLUMNS: dict[str, str] = (
    {"upload": "string", "source_row": "int64"}
    | {column.name: "string" for column in COLUMNS}
    | {"other_columns": "string", "problems": "list of problems", "corrects": "string", "corrects_row": "int64"}
)


# Sections of the rules by which no row is judged or transformed.
_JUDGES_NO_ROW = dict.fromkeys(
    (
        "checks",
        "drift",
        "approval",
        "uploads",
        "notifications",
        "answers",
        "dashboard",
        "public_edition",
        "report_approval",
        "report",
        "retention",
    ),
    True,
)


@dataclass(frozen=True)
class Contract:
    """The columns together with the rules of one configuration file."""

    rules: SurveyRules

    def __hash__(self) -> int:
        return hash(self.hash)

    @cached_property
    def hash(self) -> str:
        """16 hex digits that change whenever a row might be judged or transformed differently."""
        judged_by = self.rules.model_dump(mode="json", exclude={**_JUDGES_NO_ROW, "limits": {"attempts"}})
        text = json.dumps({"version": VERSION, "rules": judged_by}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def vocabulary(self, column: str) -> tuple[str, ...]:
        """The closed list of a column of `VOCABULARY_COLUMNS`."""
        return getattr(self.rules.vocabularies, column)


def default_contract() -> Contract:
    """The contract with the rules that come with the package."""
    return Contract(default_rules())
