"""Rows to build tests from, and strategies that make the text that people and machines leave in cells."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache

import pyarrow as pa
from hypothesis import strategies as st

from alumni_assets.contract import default_contract
from alumni_assets.survey.parsing import NUMBERED_SCHEMA
from alumni_assets.survey.transformation import transform
from alumni_assets.survey.validation import Judge, judge, valid_rows

CONTRACT = default_contract()
UPLOAD_DAY = date(2026, 11, 23)
RECEIVED_AT = datetime(2026, 11, 23, 4, 0)
UPLOAD = "answers.csv@0123abcd"

GOOD_ROW: dict[str, str | None] = {
    "employee_id": "628496",
    "employee_name": "valerie rivera",
    "college_degree": "Computer Science",
    "department": "HR",
    "job_role": "product manager",
    "dmc_campus": "Santo Tomas",
    "email": "Srubio@Example.Net",
    "phone_number": "9577284792",
    "performance_rating": "4",
    "submission_date": "2026-11-20 08:15:00",
}

# Characters that have broken text processing before: accents in two forms, letters that change their
# length with their case, spaces of all widths, invisible marks, controls, quotes, right-to-left text.
_ODD_CHARACTERS = (
    "ñÑn\u0303éßİıſŉǆΣςᾳ\u0345ʻ’'\u00a0\u2003\u3000\u2028\u200b\u200d\u202e\ufeff\u00ad\ufffd"
    '\x00\x0b\x1c\x7f\x85\t\r\n"\\,;@.+-()/#٣３あ한א\U0001f600'
)
text = st.text(
    st.one_of(st.sampled_from(_ODD_CHARACTERS), st.sampled_from("ab MDdrjr.19"), st.characters(codec="utf-8")),
    max_size=25,
)


def numbered(rows: Sequence[Mapping[str, str | None]]) -> pa.RecordBatch:
    """Numbered text as `parsing.py` gives it."""
    return pa.RecordBatch.from_pylist(
        [{"source_row": number, **row} for number, row in enumerate(rows, 1)], schema=NUMBERED_SCHEMA
    )


@cache
def _judge() -> Judge:
    return judge(CONTRACT, UPLOAD_DAY)


def judged(rows: Sequence[Mapping[str, str | None]]) -> pa.RecordBatch:
    """Rows after judging."""
    return _judge()(numbered(rows))


def problems(**changes: str | None) -> list[dict[str, str]]:
    """The problems of a good row with some cells changed."""
    (listed,) = judged([GOOD_ROW | changes])["problems"].to_pylist()
    return listed or []


def found(**changes: str | None) -> list[tuple[str, str]]:
    """Header and code of each problem of a good row with some cells changed."""
    return [(problem["column"], problem["code"]) for problem in problems(**changes)]


def transformed(rows: Sequence[Mapping[str, str | None]]) -> pa.RecordBatch:
    """The valid ones of some rows after judging and transforming."""
    return transform(CONTRACT, RECEIVED_AT)(valid_rows(judged(rows), UPLOAD, CONTRACT))


def clean(**changes: str | None) -> dict[str, object]:
    """A good row with some cells changed, transformed."""
    (row,) = transformed([GOOD_ROW | changes]).to_pylist()
    return row
