"""The tables that tell a reviewer and an analyst what was set aside and where each upload stands."""

from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from alumni_assets.survey.quarantine import Return
from alumni_assets.survey.standing import Waiver
from alumni_assets.warehouse import quarantine
from alumni_assets.warehouse.merging import UnexpectedRowsError, replace_uploads
from alumni_assets.warehouse.quarantine import QuarantineReport
from alumni_assets.warehouse.tables import TABLES, unpublished_tables
from alumni_assets_tests.warehouse.surveys import RECEIVED, Survey, problem, set_aside

LATER = datetime(2026, 11, 2, 9, 30)
NO_EMAIL = problem("not_an_email", "Email", "This is not an e-mail address.")
NO_CAMPUS = problem("not_in_list", "DMC_Campus", "The answer is not one of the possible ones.", "Porac")
NO_DATE = problem("not_a_date", "Submission Date", "This is not a date.")
NO_ROW = problem("wrong_field_count", "", "The row has too many cells.")


def test_a_row_is_kept_as_it_came_with_its_reasons_in_codes_and_in_words(survey: Survey) -> None:
    cells = {"employee_id": "007", "email": "a@b\n@", "dmc_campus": "porrac", "other_columns": '{"Shoe": "42"}'}
    survey.invalid("a", {"source_row": 12, "problems": [NO_EMAIL, NO_CAMPUS]} | cells)
    survey.quarantine(set_aside("a", 1))
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
    survey.quarantine(set_aside("a", 1))
    assert survey.rows("SELECT reason_codes, problems FROM quarantine") == [(codes, words)]


def test_uploads_come_go_and_change_in_the_quarantine(survey: Survey) -> None:
    survey.invalid("a", {"problems": [NO_ROW]}, {"problems": [NO_ROW]})
    survey.invalid("b", {"problems": [NO_EMAIL]})
    a, b = set_aside("a", 2), set_aside("b", 1)
    assert survey.quarantine(a, b) == QuarantineReport(added=("a", "b"), changed=(), gone=(), rows=3)
    assert survey.quarantine(a, b) == QuarantineReport(added=(), changed=(), gone=(), rows=3)
    assert survey.quarantine(b) == QuarantineReport(added=(), changed=(), gone=("a",), rows=1)
    survey.invalid("b", {"problems": [NO_EMAIL]}, {"problems": [NO_DATE]})
    anew = set_aside("b", 2, invalid_content="second")
    assert survey.quarantine(anew) == QuarantineReport(added=(), changed=("b",), gone=(), rows=2)


def test_an_upload_of_which_nothing_has_changed_is_not_read_again(survey: Survey) -> None:
    survey.invalid("a", {"problems": [NO_ROW]})
    survey.invalid("b", {"problems": [NO_ROW]})
    survey.quarantine(set_aside("a", 1), set_aside("b", 1))
    survey.lake.delete("invalid/b.parquet")
    closed = set_aside("a", 1, closing="superseded")
    assert survey.quarantine(closed, set_aside("b", 1)) == QuarantineReport(added=(), changed=("a",), gone=(), rows=2)
    assert survey.rows("SELECT upload, status FROM quarantine ORDER BY upload") == [("a", "superseded"), ("b", "open")]


def test_each_row_has_a_life_of_its_own(survey: Survey) -> None:
    survey.invalid("a", *[{"problems": [NO_EMAIL]} for _ in range(5)])
    survey.returned("fix", "a", 1, 2)
    came_back = {"upload": "fix", "corrects": "a", "corrects_row": 3, "problems": [NO_DATE]}
    survey.invalid("fix", came_back, {**came_back, "corrects_row": 1})
    waiver = Waiver("a", 1, ("2-4",), "first", "Ana", RECEIVED, "left the school")
    back = Return("fix", "valid rows", "invalid rows")
    survey.quarantine(set_aside("a", 5, returns=(back,), waivers=(waiver,), mended=("1-2",)))
    columns = "source_row, status, reason_codes, corrected_by, returned_in, waived_by, waiver_reason"
    assert survey.rows(f"SELECT {columns} FROM quarantine ORDER BY source_row") == [
        (1, "resolved", "email:not_an_email", "fix", None, None, None),
        (2, "resolved", "email:not_an_email", "fix", None, "Ana", "left the school"),
        (3, "waived", "submission_date:not_a_date", None, "fix", "Ana", "left the school"),
        (4, "waived", "email:not_an_email", None, None, "Ana", "left the school"),
        (5, "open", "email:not_an_email", None, None, None, None),
    ]


@pytest.mark.parametrize(("most_uploads", "most_rows"), [(100, 100_000), (2, 100_000), (100, 3)])
def test_rows_of_the_same_number_in_other_uploads_have_other_lives(
    survey: Survey, most_uploads: int, most_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "_MOST_UPLOADS", most_uploads)
    monkeypatch.setattr(quarantine, "_MOST_ROWS", most_rows)
    for upload in "abcd":
        survey.invalid(upload, {"problems": [NO_EMAIL]}, {"problems": [NO_DATE]})
    survey.returned("fix", "b", 1)
    survey.invalid("fix", {"upload": "fix", "corrects": "b", "corrects_row": 2, "problems": [NO_ROW]})
    waiver = Waiver("a", 1, ("1",), "first", "Ana", RECEIVED, "left the school")
    survey.quarantine(
        set_aside("a", 2, waivers=(waiver,)),
        set_aside("b", 2, returns=(Return("fix", "", ""),), mended=("1",)),
        set_aside("c", 2, closing="withdrawn", received_at=LATER),
        set_aside("d", 2),
    )
    columns = "upload, source_row, status, reason_codes, received_at"
    assert survey.rows(f"SELECT {columns} FROM quarantine ORDER BY ALL") == [
        ("a", 1, "waived", "email:not_an_email", RECEIVED),
        ("a", 2, "open", "submission_date:not_a_date", RECEIVED),
        ("b", 1, "resolved", "email:not_an_email", RECEIVED),
        ("b", 2, "open", "wrong_field_count", RECEIVED),
        ("c", 1, "withdrawn", "email:not_an_email", LATER),
        ("c", 2, "withdrawn", "submission_date:not_a_date", LATER),
        ("d", 1, "open", "email:not_an_email", RECEIVED),
        ("d", 2, "open", "submission_date:not_a_date", RECEIVED),
    ]


def test_of_a_correction_only_rows_that_name_no_row_are_its_own(survey: Survey) -> None:
    named = {"corrects": "a", "corrects_row": 3, "problems": [NO_DATE]}
    survey.invalid("fix", named, {**named, "corrects_row": None})
    survey.quarantine(set_aside("fix", 1))
    assert survey.rows("SELECT upload, source_row, status FROM quarantine") == [("fix", 2, "open")]


def test_invalid_rows_of_another_upload_are_refused(survey: Survey) -> None:
    survey.invalid("a", {"problems": [NO_ROW], "upload": "b"})
    with pytest.raises(UnexpectedRowsError, match="1 rows of upload a were set aside, and 0 of them are stored"):
        survey.quarantine(set_aside("a", 1))


def test_invalid_rows_that_are_not_all_there_are_refused(survey: Survey) -> None:
    survey.invalid("a", {"problems": [NO_ROW]})
    with pytest.raises(UnexpectedRowsError, match="2 rows of upload a were set aside, and 1 of them are stored"):
        survey.quarantine(set_aside("a", 2))


def upload_rows(*rows: dict[str, Any]) -> pa.Table:
    types = {"VARCHAR": pa.string(), "BIGINT": pa.int64(), "TIMESTAMP": pa.timestamp("us")}
    counted = {"open_rows", "resolved_rows", "waived_rows"}
    columns = [column for column in TABLES["uploads"].columns if column.name not in counted]
    schema = pa.schema([(column.name, types[column.type]) for column in columns])
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


def test_uploads_tell_what_has_become_of_their_invalid_rows(survey: Survey) -> None:
    survey.invalid("a", *[{"problems": [NO_EMAIL]} for _ in range(4)])
    survey.returned("fix", "a", 2)
    survey.invalid("fix")
    waiver = Waiver("a", 1, ("4",), "first", "Ana", RECEIVED, "left the school")
    survey.quarantine(set_aside("a", 4, returns=(Return("fix", "", ""),), waivers=(waiver,), mended=("2",)))
    rows = [{"upload": "a", "received_at": RECEIVED, "invalid": 4}, {"upload": "b", "invalid": 0}]
    assert replaced(survey, upload_rows(*rows))
    counts = "upload, open_rows, resolved_rows, waived_rows"
    assert survey.rows(f"SELECT {counts} FROM uploads ORDER BY upload") == [("a", 2, 1, 1), ("b", None, None, None)]
