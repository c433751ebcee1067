"""The five questions, and which rows of an upload repeat an earlier one."""

from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from alumni_assets.contract import NAMES
from alumni_assets.contract_arrow import TRANSFORMED_SCHEMA
from alumni_assets.queries import ANSWERS, EXACT_DUPLICATES, HISTORY, SUPPLEMENTS, TREND_PERIODS, query
from alumni_assets.warehouse.answers import refresh_answer
from alumni_assets.warehouse.tables import TABLES, count_rows, unpublished_tables
from alumni_assets_tests.warehouse.surveys import RECEIVED, Row, Survey, response

_BOUNDS = {"mean_low", "mean_high", "share_low", "share_high"}


def answered(survey: Survey, answer: str, *rows: Row) -> list[tuple[Any, ...]]:
    """The answer without its intervals, row after row as it is stored, when these are the alumni."""
    survey.transformed("a", *rows)
    survey.merge("a")
    assert survey.refresh(answer)
    columns = [column.name for column in TABLES[answer].columns if column.name not in _BOUNDS]
    return survey.rows(f"SELECT {', '.join(columns)} FROM {answer}")


def test_degrees_come_best_mean_first_and_by_name_when_equal(survey: Survey) -> None:
    degrees = ["Law", "Law", "Law", "Arts", "Music", "Music"]
    ratings = [3, 3, 4, 2, 1, 3]
    rows = [
        response(number, college_degree=degree, performance_rating=rating)
        for number, (degree, rating) in enumerate(zip(degrees, ratings, strict=True))
    ]
    assert answered(survey, "degree_performance", *rows) == [
        ("Law", 3, 10 / 3, pytest.approx(1 / 3**0.5)),
        ("Arts", 1, 2.0, None),
        ("Music", 2, 2.0, pytest.approx(2**0.5)),
    ]


def test_campuses_come_by_excellent_alumni_then_by_their_share(survey: Survey) -> None:
    ratings = {"Main": [5, 5, 1, 1], "Porac": [5, 5, 4], "Apalit": [4], "Candaba": [1, 3], "Lubao": [5, 5, 5]}
    campuses = [(campus, rating) for campus, given in ratings.items() for rating in given]
    rows = [response(n, dmc_campus=campus, performance_rating=rating) for n, (campus, rating) in enumerate(campuses)]
    assert answered(survey, "campus_excellence", *rows) == [
        ("Lubao", 3, 3, 1.0),
        ("Porac", 3, 2, 2 / 3),
        ("Main", 4, 2, 0.5),
        ("Apalit", 1, 0, 0.0),
        ("Candaba", 2, 0, 0.0),
    ]


def test_departments_come_by_alumni_then_by_name(survey: Survey) -> None:
    rows = [
        response(1, department="Tech", performance_rating=1),
        response(2, department="Tech", performance_rating=2),
        response(3, department="R&D", performance_rating=5),
        response(4, department="Admin", performance_rating=4),
    ]
    assert answered(survey, "department_employment", *rows) == [
        ("Tech", 2, 0.5, 1.5, pytest.approx(0.5**0.5)),
        ("Admin", 1, 0.25, 4.0, None),
        ("R&D", 1, 0.25, 5.0, None),
    ]


def test_job_roles_come_by_alumni_then_by_name(survey: Survey) -> None:
    rows = [response(number, job_role=role) for number, role in enumerate(["Teacher", "Baker", "Teacher", "Actor"])]
    assert answered(survey, "job_roles", *rows) == [
        ("Teacher", 2, 0.5),
        ("Actor", 1, 0.25),
        ("Baker", 1, 0.25),
    ]


def test_an_alumnus_counts_once_with_the_newest_answer(survey: Survey) -> None:
    old = response(1, job_role="Teacher", submission_date=datetime(2025, 1, 1))
    new = response(1, job_role="Baker", submission_date=datetime(2026, 1, 1))
    assert answered(survey, "job_roles", new, old) == [("Baker", 1, 1.0)]


def test_a_top_employee_is_shown_with_all_that_the_list_promises(survey: Survey) -> None:
    assert answered(survey, "top_employees", response(9, performance_rating=5)) == [
        (
            "HR",
            1,
            9,
            "Valerie Rivera",
            "Product Manager",
            "Computer Science",
            "valerie@gmail.com",
            "+63 9577284792",
            "Main",
            5,
        )
    ]


def test_the_list_stops_at_100_in_each_department_and_names_decide_between_equal_ratings(survey: Survey) -> None:
    """101 alumni are rated 4: the best one is first, and the last by name, then by id, falls off."""
    namesakes = [response(number, employee_name="Zoe Cruz", performance_rating=4) for number in (300, 200)]
    others = [response(199 - place, employee_name=f"Ana {place:03}", performance_rating=4) for place in range(99)]
    best = response(999, employee_name="Zz Last", performance_rating=5)
    elsewhere = response(1000, department="Admin", performance_rating=1)
    rows = answered(survey, "top_employees", *namesakes, *reversed(others), best, elsewhere)
    places = [(department, rank, employee_id) for department, rank, employee_id, *_ in rows]
    assert places == [
        ("Admin", 1, 1000),
        ("HR", 1, 999),
        *[("HR", place + 2, 199 - place) for place in range(99)],
    ]
    survey.transformed("b", response(199, submission_date=RECEIVED, performance_rating=1))
    survey.merge("a", "b")
    survey.refresh("top_employees")
    last = survey.rows("SELECT rank, employee_id FROM top_employees WHERE department = 'HR' ORDER BY rank DESC LIMIT 1")
    assert last == [(100, 200)]


def test_an_answer_that_is_the_same_is_left_alone(survey: Survey) -> None:
    survey.transformed("a", response(1), response(2, performance_rating=5))
    survey.merge("a")
    with survey.warehouse.writing() as connection:
        assert all(refresh_answer(connection, answer) for answer in ANSWERS)
        connection.execute("DELETE FROM pipeline.unpublished")
    with survey.warehouse.writing() as connection:
        assert not any(refresh_answer(connection, answer) for answer in ANSWERS)
        assert unpublished_tables(connection) == set()
        assert all(count_rows(connection, answer) for answer in ANSWERS)


def test_an_answer_about_nobody_is_empty(survey: Survey) -> None:
    with survey.warehouse.writing() as connection:
        assert not any(refresh_answer(connection, answer) for answer in ANSWERS)
        assert not any(count_rows(connection, answer) for answer in ANSWERS)


@pytest.mark.parametrize("answer", [*ANSWERS, *sorted({*SUPPLEMENTS} - {"answer_verdicts"}), HISTORY])
def test_a_query_gives_the_columns_of_its_table_but_for_the_intervals(survey: Survey, answer: str) -> None:
    with survey.warehouse.writing() as connection:
        connection.execute("CREATE TEMP TABLE arrivals (received_at TIMESTAMP, received_on TIMESTAMP)")
        connection.execute(f"CREATE TEMP VIEW trend_periods AS {query(TREND_PERIODS)}")
        given = connection.execute(f"DESCRIBE {query(answer)}").fetchall()
        expected = [(column.name, column.type) for column in TABLES[answer].columns if column.name not in _BOUNDS]
        assert [(name, sql_type) for name, sql_type, *_ in given] == expected


def test_means_and_shares_have_intervals_where_there_are_any(survey: Survey) -> None:
    """Two alumni rated 3 and 4: t(1) is 12.7, which leaves the whole scale; one alone has none."""
    rows = [
        response(1, performance_rating=3),
        response(2, performance_rating=4),
        response(3, college_degree="Law", performance_rating=5),
    ]
    answered(survey, "degree_performance", *rows)
    survey.refresh("campus_excellence")
    assert survey.rows("SELECT college_degree, mean_low, mean_high FROM degree_performance") == [
        ("Law", None, None),
        ("Computer Science", 1.0, 5.0),
    ]
    (shares,) = survey.rows("SELECT share_low, share_high FROM campus_excellence")
    assert shares == pytest.approx((0.0615, 0.7923), abs=1e-4)  # Wilson, 1 of 3


def test_a_list_that_ends_inside_a_tie_says_how_many_are_left_off(survey: Survey) -> None:
    """101 alumni rated 4 and one rated 5 in one department; two of each rating in another."""
    crowd = [response(number, performance_rating=4) for number in range(101)]
    few = [response(200 + n, department="Admin", performance_rating=rating) for n, rating in enumerate((5, 5, 1, 1))]
    answered(survey, "top_employees", *crowd, response(999, performance_rating=5), *few)
    survey.refresh("top_employees_cut")
    columns = "department, alumni, listed, last_rating, listed_at_last, alumni_at_last, excellent, excellent_share"
    assert survey.rows(f"SELECT {columns} FROM top_employees_cut") == [
        ("Admin", 4, 4, 1, 2, 2, 2, 0.5),
        ("HR", 102, 100, 4, 99, 101, 1, 1 / 102),
    ]


def trend(survey: Survey) -> list[tuple[Any, ...]]:
    """The trend of departments and of all alumni."""
    survey.refresh("answer_trends")
    return survey.rows(
        "SELECT kind, period, group_name, alumni, excellent, mean_rating FROM answer_trends "
        "WHERE dimension IN ('department', 'overall')"
    )


def test_where_every_response_has_its_date_the_answers_are_told_by_month(survey: Survey) -> None:
    march, may = datetime(2026, 3, 31, 23), datetime(2026, 5, 1)
    rows = [
        response(1, submission_date=march, performance_rating=2),
        response(1, submission_date=may, performance_rating=5),
        response(2, submission_date=may, performance_rating=4),
        response(2, submission_date=datetime(2026, 5, 2), performance_rating=1),
    ]
    answered(survey, "job_roles", *rows)
    assert trend(survey) == [
        ("month", "2026-03", "HR", 1, 0, 2.0),
        ("month", "2026-05", "HR", 2, 1, 3.0),
        ("month", "2026-03", None, 1, 0, 2.0),
        ("month", "2026-05", None, 2, 1, 3.0),
    ]


def test_where_a_date_is_missing_the_answers_are_told_by_batch(survey: Survey) -> None:
    survey.transformed("b", response(1, submission_date=datetime(2026, 3, 1), performance_rating=2))
    survey.transformed("a", response(1, performance_rating=4), received_at=datetime(2026, 11, 2))
    survey.merge("a", "b")
    assert trend(survey) == [
        ("batch", "b", "HR", 1, 0, 2.0),
        ("batch", "a", "HR", 1, 0, 4.0),
        ("batch", "b", None, 1, 0, 2.0),
        ("batch", "a", None, 1, 0, 4.0),
    ]


def test_one_period_is_no_trend(survey: Survey) -> None:
    answered(survey, "job_roles", response(1), response(2))
    assert trend(survey) == []


def test_the_trend_is_told_of_the_newest_24_periods(survey: Survey) -> None:
    months = [datetime(2024 + month // 12, month % 12 + 1, 5) for month in range(30)]
    answered(survey, "job_roles", *[response(n, submission_date=month) for n, month in enumerate(months)])
    periods = [period for _, period, group, *_ in trend(survey) if group is None]
    assert periods == [f"{month:%Y-%m}" for month in months[6:]]


def exact_duplicates(*rows: Row) -> list[int]:
    numbered = [{"source_row": n, "upload": "a", "received_at": RECEIVED} | row for n, row in enumerate(rows, start=1)]
    with duckdb.connect() as connection:
        connection.register("transformed", pa.Table.from_pylist(numbered, schema=TRANSFORMED_SCHEMA))
        return [row for (row,) in connection.execute(query(EXACT_DUPLICATES)).fetchall()]


def test_of_rows_that_are_equal_the_lowest_stays() -> None:
    assert exact_duplicates(response(1, source_row=5), response(2), response(1, source_row=3)) == [5]
    assert exact_duplicates(*[response(1)] * 4, response(2)) == [2, 3, 4]


def test_missing_values_are_equal_to_each_other() -> None:
    row = response(1, submission_date=None, phone_number=None)
    assert exact_duplicates(row, row) == [2]


@pytest.mark.parametrize("column", NAMES)
def test_rows_that_differ_in_one_column_are_no_duplicates(column: str) -> None:
    other = {"employee_id": 2, "performance_rating": 1, "submission_date": RECEIVED}.get(column, "Other")
    assert exact_duplicates(response(1), response(1) | {column: other}) == []
