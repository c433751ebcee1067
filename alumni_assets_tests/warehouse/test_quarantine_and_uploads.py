"""The tables that tell a reviewer and an analyst what was set aside and where each upload stands."""

from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from alumni_assets.warehouse.merging import (
    QuarantinedUpload,
    QuarantineReport,
    UnexpectedRowsError,
    replace_uploads,
)
from alumni_assets.warehouse.tables import TABLES, unpublished_tables
from alumni_assets_tests.warehouse.surveys import RECEIVED, Survey, problem

OPEN = QuarantinedUpload("first version", "open")
SUPERSEDED = QuarantinedUpload("first version", "superseded")
NO_EMAIL = problem("not_an_email", "Email", "This is not an e-mail address.")
NO_CAMPUS = problem("not_in_list", "DMC_Campus", "The answer is not one of the possible ones.", "Porac")
NO_DATE = problem("not_a_date", "Submission Date", "This is not a date.")
NO_ROW = problem("wrong_field_count", "", "The row has too many cells.")


def test_a_row_is_kept_as_it_came_with_its_reasons_in_codes_and_in_words(survey: Survey) -> None:
    cells = {"employee_id": "007", "email": "a@b\n@", "dmc_campus": "porrac", "other_columns": '{"Shoe": "42"}'}
    survey.invalid("a", {"source_row": 12, "problems": [NO_EMAIL, NO_CAMPUS]} | cells)
    survey.quarantine(a=OPEN)
    columns = (
        "upload, source_row, status, reason_codes, problems, employee_id, email, dmc_campus, other_columns, job_role"
    )
    assert survey.rows(f"SELECT {columns} FROM quarantine") == [
        (
            "a",
            12,
            "open",
            "email:not_an_email, dmc_campus:not_in_list",
            "Email: This is not an e-mail address.\n"
            "DMC_Campus: The answer is not one of the possible ones. Did you mean Porac?",
            "007",
            "a@b\n@",
            "porrac",
            '{"Shoe": "42"}',
            None,
        )
    ]


@pytest.mark.parametrize(
    ("found", "codes", "words"),
    [
        (NO_ROW, "wrong_field_count", "The row has too many cells."),
        (NO_DATE, "submission_date:not_a_date", "Submission Date: This is not a date."),
    ],
)
def test_a_reason_names_the_tables_column_if_it_has_one(
    survey: Survey, found: dict[str, Any], codes: str, words: str
) -> None:
    survey.invalid("a", {"problems": [found]})
    survey.quarantine(a=OPEN)
    assert survey.rows("SELECT reason_codes, problems FROM quarantine") == [(codes, words)]


def test_uploads_come_go_and_change_in_the_quarantine(survey: Survey) -> None:
    survey.invalid("a", {"problems": [NO_ROW]}, {"problems": [NO_ROW]})
    survey.invalid("b", {"problems": [NO_EMAIL]})
    assert survey.quarantine(a=OPEN, b=OPEN) == QuarantineReport(added=3, removed=0, restated=0, rows=3)
    assert survey.quarantine(a=OPEN, b=OPEN) == QuarantineReport(added=0, removed=0, restated=0, rows=3)
    assert survey.quarantine(b=OPEN) == QuarantineReport(added=0, removed=2, restated=0, rows=1)
    survey.invalid("b", {"problems": [NO_EMAIL]}, {"problems": [NO_DATE]})
    anew = QuarantinedUpload("second version", "open")
    assert survey.quarantine(b=anew) == QuarantineReport(added=2, removed=1, restated=0, rows=2)


def test_a_new_status_is_set_without_reading_the_rows_again(survey: Survey) -> None:
    survey.invalid("a", {"problems": [NO_ROW]})
    survey.invalid("b", {"problems": [NO_ROW]})
    survey.quarantine(a=OPEN, b=OPEN)
    survey.lake.delete("invalid/a.parquet")
    assert survey.quarantine(a=SUPERSEDED, b=OPEN) == QuarantineReport(added=0, removed=0, restated=1, rows=2)
    assert survey.rows("SELECT upload, status FROM quarantine ORDER BY upload") == [("a", "superseded"), ("b", "open")]
    assert survey.quarantine(a=SUPERSEDED, b=OPEN).restated == 0


def test_invalid_rows_of_another_upload_are_refused(survey: Survey) -> None:
    survey.invalid("a", {"problems": [NO_ROW], "upload": "b"})
    with pytest.raises(UnexpectedRowsError):
        survey.quarantine(a=OPEN)


def upload_rows(*rows: dict[str, Any]) -> pa.Table:
    types = {"VARCHAR": pa.string(), "BIGINT": pa.int64(), "TIMESTAMP": pa.timestamp("us")}
    schema = pa.schema([(column.name, types[column.type]) for column in TABLES["uploads"].columns])
    return pa.Table.from_pylist([dict.fromkeys(schema.names) | row for row in rows], schema=schema)


def replaced(survey: Survey, rows: pa.Table) -> bool:
    with survey.warehouse.writing() as connection:
        return replace_uploads(connection, rows)


def test_uploads_are_listed_oldest_first(survey: Survey) -> None:
    later = {"upload": "a", "received_at": datetime(2026, 11, 2), "row_count": 5, "status": "transformed"}
    first = {"upload": "c", "received_at": RECEIVED, "status": "rejected", "reason": "It's a picture."}
    same = {"upload": "b", "received_at": RECEIVED, "status": "validated", "valid": 0}
    assert replaced(survey, upload_rows(later, first, same))
    assert survey.rows("SELECT upload, status, row_count, valid, reason FROM uploads") == [
        ("b", "validated", None, 0, None),
        ("c", "rejected", None, None, "It's a picture."),
        ("a", "transformed", 5, None, None),
    ]


def test_uploads_that_are_the_same_in_any_order_are_left_alone(survey: Survey) -> None:
    one, other = {"upload": "a", "received_at": RECEIVED}, {"upload": "b", "received_at": RECEIVED}
    replaced(survey, upload_rows(one, other))
    with survey.warehouse.writing() as connection:
        connection.execute("DELETE FROM pipeline.unpublished")
    assert not replaced(survey, upload_rows(other, one))
    with survey.warehouse.writing() as connection:
        assert unpublished_tables(connection) == set()
    assert replaced(survey, upload_rows(one))
    assert survey.rows("SELECT upload FROM uploads") == [("a",)]
