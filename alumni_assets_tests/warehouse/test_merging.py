"""Which rows count, and which of an alumnus' rows is shown."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alumni_assets.warehouse.merging import (
    MergeReport,
    UnexpectedRowsError,
    UploadChanges,
    merge_uploads,
    upload_changes,
)
from alumni_assets.warehouse.tables import DATABASE, create_missing_tables, unpublished_tables
from alumni_assets_tests.warehouse.surveys import RECEIVED, Row, Survey, response, write_transformed

DAY = timedelta(days=1)
MONDAY = datetime(2026, 10, 5, 9)


def test_the_newest_submission_wins_whatever_was_received_later(survey: Survey) -> None:
    survey.transformed("early", response(1, submission_date=MONDAY + DAY), received_at=RECEIVED)
    survey.transformed("late", response(1, submission_date=MONDAY), received_at=RECEIVED + DAY)
    survey.merge("early", "late")
    assert survey.winners() == {1: ("early", 1)}


def test_a_missing_submission_date_counts_as_the_oldest(survey: Survey) -> None:
    survey.transformed("dated", response(1, submission_date=datetime(1999, 1, 1)), received_at=RECEIVED)
    survey.transformed("undated", response(1, submission_date=None), received_at=RECEIVED + DAY)
    survey.merge("dated", "undated")
    assert survey.winners() == {1: ("dated", 1)}


@pytest.mark.parametrize("date", [MONDAY, None])
def test_of_equal_dates_the_upload_received_later_wins(survey: Survey, date: datetime | None) -> None:
    survey.transformed("z", response(1, submission_date=date), received_at=RECEIVED)
    survey.transformed("a", response(1, submission_date=date), received_at=RECEIVED + DAY)
    survey.merge("a", "z")
    assert survey.winners() == {1: ("a", 1)}


def test_of_uploads_received_together_the_greater_id_wins(survey: Survey) -> None:
    # Byte by byte, as Spark and Athena do: a small letter is greater than a capital one.
    survey.transformed("Zeta", response(1), response(1))
    survey.transformed("alpha", response(1))
    survey.merge("Zeta", "alpha")
    assert survey.winners() == {1: ("alpha", 1)}


def test_within_an_upload_the_later_row_wins(survey: Survey) -> None:
    survey.transformed("a", response(1, source_row=10), response(1, source_row=9), response(2, source_row=3))
    survey.merge("a")
    assert survey.winners() == {1: ("a", 10), 2: ("a", 3)}


def test_every_column_of_the_winner_is_shown(survey: Survey) -> None:
    row = response(7, employee_name="José Ñuñez", performance_rating=5, submission_date=MONDAY)
    survey.transformed("a", row)
    survey.merge("a")
    assert survey.rows("FROM alumni") == [(*row.values(), "a", 1, RECEIVED, None)]
    assert survey.rows("FROM survey_responses") == survey.rows("FROM alumni")


def test_rows_stored_before_there_were_corrections_are_merged(survey: Survey) -> None:
    survey.transformed("a", response(1))
    with survey.lake.local_copy("transformed/a.parquet") as path:
        older = pq.read_table(path).drop_columns("corrected_by")
    with survey.lake.writing("transformed/a.parquet") as path:
        pq.write_table(older, path)
    survey.merge("a")
    assert survey.rows("SELECT employee_id, upload, corrected_by FROM alumni") == [(1, "a", None)]


def test_a_merge_reports_what_it_did(survey: Survey) -> None:
    survey.transformed("a", response(1), response(2), response(2))
    survey.transformed("b", response(2), response(3))
    assert survey.merge("a") == MergeReport(added=3, removed=0, touched=2, alumni=2, responses=3)
    assert survey.merge("a", "b") == MergeReport(added=2, removed=0, touched=2, alumni=3, responses=5)
    assert survey.merge("b") == MergeReport(added=0, removed=3, touched=2, alumni=2, responses=2)


def test_a_merge_repeated_changes_nothing(survey: Survey) -> None:
    survey.transformed("a", response(1))
    survey.merge("a")
    with survey.warehouse.writing() as connection:
        connection.execute("DELETE FROM pipeline.unpublished")
    assert survey.merge("a") == MergeReport(added=0, removed=0, touched=0, alumni=1, responses=1)
    with survey.warehouse.writing() as connection:
        assert unpublished_tables(connection) == set()


def test_what_an_upload_hid_is_shown_again_when_it_no_longer_counts(survey: Survey) -> None:
    survey.transformed("old", response(1), response(2))
    survey.transformed("new", response(1, submission_date=MONDAY), response(3))
    survey.merge("old", "new")
    assert survey.winners() == {1: ("new", 1), 2: ("old", 2), 3: ("new", 2)}
    survey.merge("old")
    assert survey.winners() == {1: ("old", 1), 2: ("old", 2)}


def test_a_new_version_of_an_upload_replaces_its_rows(survey: Survey) -> None:
    survey.transformed("a", response(1), response(2))
    survey.merge("a")
    survey.transformed("a", response(2), response(3))
    report = survey.merge(versions={"a": "second version"})
    assert report == MergeReport(added=2, removed=2, touched=3, alumni=2, responses=2)
    assert survey.winners() == {2: ("a", 1), 3: ("a", 2)}


def test_an_upload_without_rows_counts_and_adds_nothing(survey: Survey) -> None:
    survey.transformed("empty")
    assert survey.merge("empty") == MergeReport(added=0, removed=0, touched=0, alumni=0, responses=0)
    assert survey.rows("SELECT upload FROM pipeline.merged_uploads") == [("empty",)]


def test_rows_of_another_upload_are_refused_and_nothing_is_kept(survey: Survey) -> None:
    survey.transformed("a", response(1))
    survey.transformed("b", response(2), response(3, upload="a"))
    with pytest.raises(UnexpectedRowsError, match="upload b holds rows of another"):
        survey.merge("a", "b")
    assert survey.winners() == {}
    assert survey.rows("FROM pipeline.merged_uploads") == []


@pytest.mark.parametrize("name", ["a[1].csv@00000001", "[]].csv", "it's {x}.csv", "employee_id=7", "Ñandú ü.csv"])
def test_odd_names_are_names_and_not_patterns(survey: Survey, name: str) -> None:
    survey.transformed("a1.csv@00000001", response(1))
    survey.transformed(name, response(2))
    survey.merge(name)
    assert survey.winners() == {2: (name, 1)}


def test_folders_named_like_columns_say_nothing_about_the_rows(tmp_path: Path) -> None:
    survey = Survey(tmp_path / "department=Finance" / "upload=x")
    survey.transformed("a", response(1, department="HR"))
    survey.merge("a")
    assert survey.rows("SELECT department, upload FROM alumni") == [("HR", "a")]


def test_changes_are_told_by_version() -> None:
    merged = {"gone": "1", "same": "1", "changed": "1"}
    wanted = {"same": "1", "changed": "2", "new": "1"}
    assert upload_changes(merged, wanted) == UploadChanges(leaving=("changed", "gone"), arriving=("changed", "new"))


DATES = st.sampled_from([None, MONDAY, MONDAY + DAY])
ROWS = st.lists(st.builds(response, st.integers(1, 3), submission_date=DATES), max_size=4)
UPLOADS = st.lists(st.tuples(ROWS, st.sampled_from([RECEIVED, RECEIVED + DAY])), min_size=1, max_size=4)


@contextmanager
def open_warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(duckdb.connect()) as connection:
        connection.execute(f"ATTACH ':memory:' AS {DATABASE}")
        connection.execute(f"USE {DATABASE}")
        create_missing_tables(connection)
        yield connection


def newest(rows: list[Row]) -> dict[int, Row]:
    """One row per alumnus, by the rule as the design states it."""

    def age(row: Row) -> tuple[Any, ...]:
        date = row["submission_date"]
        return (date is not None, date or RECEIVED, row["received_at"], row["upload"], row["source_row"])

    return {row["employee_id"]: row for row in sorted(rows, key=age)}


@pytest.mark.slow
@given(data=st.data(), uploads=UPLOADS)
@settings(max_examples=40, deadline=None)
def test_any_order_and_grouping_of_merges_gives_the_same_alumni(
    data: st.DataObject, uploads: list[tuple[list[Row], datetime]]
) -> None:
    """Uploads come and go (a superseded one leaves `counting`) in steps; only who counts in the end matters."""
    names = [f"upload {number}" for number in range(len(uploads))]
    steps = data.draw(st.lists(st.sets(st.sampled_from(names)), min_size=1, max_size=4), label="counting")
    expected = newest(
        [
            row | {"upload": name, "source_row": number, "received_at": received_at, "corrected_by": None}
            for name, (rows, received_at) in zip(names, uploads, strict=True)
            if name in steps[-1]
            for number, row in enumerate(rows, start=1)
        ]
    )
    with tempfile.TemporaryDirectory() as folder, open_warehouse() as connection:
        for name, (rows, received_at) in zip(names, uploads, strict=True):
            write_transformed(Path(folder, name), name, rows, received_at)

        def parquet_of(upload: str) -> AbstractContextManager[Path]:
            return nullcontext(Path(folder, upload))

        for counting in steps:
            merge_uploads(connection, dict.fromkeys(counting, "1"), parquet_of)
        shown = connection.sql("FROM alumni").to_arrow_table().to_pylist()
    assert sorted(shown, key=lambda row: row["employee_id"]) == [expected[employee] for employee in sorted(expected)]


PLACES = st.dictionaries(st.integers(2, 4), st.integers(1, 3), max_size=3)  # employee ids by source row


@pytest.mark.slow
@given(steps=st.lists(st.sets(st.integers(0, 3)), min_size=1, max_size=5), corrections=st.tuples(*[PLACES] * 3))
@settings(max_examples=30, deadline=None)
def test_of_corrections_in_one_place_the_last_that_counts_wins_whatever_the_order_of_merges(
    steps: list[set[int]], corrections: tuple[dict[int, int], ...]
) -> None:
    """Upload 0 has rows 1 and 2; corrections 1 to 3 came in this order and give rows 2 to 4 other alumni."""
    names = ["original", "z first", "m second", "a third"]
    places = [{1: 9, 2: 8}, *corrections]
    expected: dict[int, tuple[int, str | None]] = {}
    for number in sorted(steps[-1]):
        expected |= {row: (employee, names[number] if number else None) for row, employee in places[number].items()}
    with tempfile.TemporaryDirectory() as folder, open_warehouse() as connection:
        for name, rows in zip(names, places, strict=True):
            corrected_by = None if name == "original" else name
            given = [
                response(employee) | {"source_row": row, "corrected_by": corrected_by} for row, employee in rows.items()
            ]
            write_transformed(Path(folder, name), "original", given)

        def parquet_of(upload: str) -> AbstractContextManager[Path]:
            return nullcontext(Path(folder, upload))

        for counting in steps:
            merge_uploads(connection, {names[number]: "1" for number in counting}, parquet_of, names[1:])
        held = connection.execute("SELECT source_row, employee_id, corrected_by FROM survey_responses").fetchall()
        aside = connection.execute("SELECT count(*) FROM pipeline.replaced_responses").fetchall()
        alumni = connection.execute("SELECT employee_id FROM alumni ORDER BY 1").fetchall()
    assert {row: (employee, correction) for row, employee, correction in held} == expected
    assert len(held) == len(expected)
    assert aside == [(sum(len(places[number]) for number in steps[-1]) - len(expected),)]
    assert [employee for (employee,) in alumni] == sorted({employee for employee, _ in expected.values()})
