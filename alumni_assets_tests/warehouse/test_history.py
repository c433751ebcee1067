"""The history of each alumnus: periods made from every submission, and the moves between them."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alumni_assets import table_checks
from alumni_assets.warehouse.history import HistoryReport, refresh_history
from alumni_assets_tests.warehouse.surveys import RECEIVED, Row, Survey, response

pytestmark = pytest.mark.slow

MANILA = "Asia/Manila"


def refreshed(survey: Survey) -> HistoryReport:
    with survey.warehouse.writing() as connection:
        report = refresh_history(connection, MANILA)
        assert table_checks.last_is_current(connection).passed
    return report


def periods(survey: Survey, columns: str = "job_role, valid_from, valid_to, is_current") -> list[tuple[Any, ...]]:
    refreshed(survey)
    return survey.rows(f"SELECT {columns} FROM alumni_history ORDER BY employee_id, period")


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE alumni SET source_row = 2",
        "DELETE FROM alumni",
        "DELETE FROM alumni_history WHERE is_current",
        "UPDATE alumni_history SET valid_to = valid_to + INTERVAL 1 DAY WHERE NOT is_current",
    ],
)
def test_a_history_that_does_not_end_with_the_row_in_alumni_or_has_gaps_is_noticed(survey: Survey, harm: str) -> None:
    survey.transformed("a", *[response(1, job_role=role) for role in ("Teacher", "Baker", "Nurse")])
    survey.merge("a")
    refreshed(survey)
    with survey.warehouse.writing() as connection:
        connection.execute(harm)
        assert not table_checks.last_is_current(connection).passed


def test_alumni_who_were_merged_after_the_history_was_made_are_not_held_against_it(survey: Survey) -> None:
    survey.transformed("a", response(1), response(2))
    survey.transformed("b", response(1, job_role="Baker"), response(3), received_at=datetime(2026, 11, 2))
    survey.merge("a")
    refreshed(survey)
    survey.merge("a", "b")
    with survey.warehouse.writing() as connection:
        said = table_checks.last_is_current(connection).description
    assert said == "The last periods of 1 alumni are their rows in alumni."


def test_each_submission_that_differs_begins_a_period_and_ends_the_one_before(survey: Survey) -> None:
    march, may = datetime(2026, 3, 1), datetime(2026, 5, 1, 12)
    survey.transformed(
        "a",
        response(1, job_role="Baker", submission_date=may),
        response(1, job_role="Teacher", submission_date=march),
    )
    survey.merge("a")
    assert periods(survey) == [("Teacher", march, may, False), ("Baker", may, None, True)]


def test_submissions_that_say_the_same_are_one_period_with_the_source_of_the_last(survey: Survey) -> None:
    days = [datetime(2026, 3, day) for day in (1, 2, 3)]
    roles = ["Teacher", "Teacher", "Baker"]
    survey.transformed("a", *[response(1, job_role=r, submission_date=d) for r, d in zip(roles, days, strict=True)])
    survey.merge("a")
    assert periods(survey, "job_role, valid_from, submissions, source_row") == [
        ("Teacher", days[0], 2, 2),
        ("Baker", days[2], 1, 3),
    ]


def test_who_comes_back_to_an_earlier_answer_has_a_period_of_their_own_for_it(survey: Survey) -> None:
    rows = [
        response(1, department=name, submission_date=datetime(2026, 3, n))
        for n, name in enumerate(("HR", "Tech", "HR"), start=1)
    ]
    survey.transformed("a", *rows)
    survey.merge("a")
    assert periods(survey, "period, department") == [(1, "HR"), (2, "Tech"), (3, "HR")]


def test_a_submission_without_a_date_begins_when_it_was_received_in_the_surveys_time_zone(survey: Survey) -> None:
    survey.transformed("a", response(1, job_role="Teacher"), received_at=datetime(2026, 11, 1, 20))
    survey.transformed("b", response(1, job_role="Baker"), received_at=datetime(2026, 11, 5))
    survey.merge("a", "b")
    assert periods(survey, "job_role, valid_from") == [
        ("Teacher", datetime(2026, 11, 2, 4)),
        ("Baker", datetime(2026, 11, 5, 8)),
    ]


def test_no_period_begins_later_than_the_next(survey: Survey) -> None:
    """One without a date counts as older than one with a date, though it was received long after that date."""
    march = datetime(2026, 3, 1)
    survey.transformed("a", response(1, job_role="Teacher"), response(1, job_role="Baker", submission_date=march))
    survey.merge("a")
    assert periods(survey) == [("Teacher", march, march, False), ("Baker", march, None, True)]


def test_only_the_alumni_of_changed_uploads_are_looked_at_anew(survey: Survey) -> None:
    survey.transformed("a", response(1), response(2))
    survey.transformed("b", response(2, job_role="Baker"), response(3))
    survey.merge("a")
    assert refreshed(survey) == HistoryReport(reconsidered=2, periods=2)
    survey.merge("a", "b")
    assert refreshed(survey) == HistoryReport(reconsidered=2, periods=4)
    assert refreshed(survey) == HistoryReport(reconsidered=0, periods=4)


def test_a_withdrawn_upload_leaves_no_trace(survey: Survey) -> None:
    survey.transformed("a", response(1))
    survey.transformed("b", response(1, job_role="Baker", submission_date=RECEIVED), response(3))
    survey.merge("a")
    before = periods(survey)
    survey.merge("a", "b")
    assert len(periods(survey)) == 3
    survey.merge("a")
    assert periods(survey) == before


def test_moves_tell_from_what_to_what_and_how_often(survey: Survey) -> None:
    steps = [
        *[(n, "Teacher", "HR", 1) for n in range(4)],
        *[(n, "Baker", "HR", 2) for n in range(3)],
        (0, "Teacher", "HR", 3),
        (0, "Baker", "Tech", 4),
        (9, "Actor", "HR", 1),
    ]
    survey.transformed(
        "a",
        *[
            response(n, job_role=role, department=department, submission_date=datetime(2026, 3, day))
            for n, role, department, day in steps
        ],
    )
    survey.merge("a")
    refreshed(survey)
    survey.refresh("job_moves")
    assert survey.rows("FROM job_moves") == [
        ("job_role", "Teacher", "Baker", 4, 3),
        ("job_role", "Baker", "Teacher", 1, 1),
        ("department", "HR", "Tech", 1, 1),
    ]


_ROWS = st.builds(
    response,
    st.integers(1, 3),
    job_role=st.sampled_from(["Teacher", "Baker"]),
    submission_date=st.sampled_from([None, datetime(2026, 3, 1), datetime(2026, 4, 1)]),
)


@settings(max_examples=15, deadline=None)
@given(batches=st.lists(st.lists(_ROWS, min_size=1, max_size=4), min_size=1, max_size=3), data=st.data())
def test_in_whatever_order_batches_come_the_history_is_the_same(
    tmp_path_factory: Any, batches: list[list[Row]], data: st.DataObject
) -> None:
    found = []
    for order in (range(len(batches)), data.draw(st.permutations(range(len(batches))))):
        survey = Survey(tmp_path_factory.mktemp("survey"))
        for number, rows in enumerate(batches):
            survey.transformed(str(number), *rows, received_at=datetime(2026, 11, 1 + number))
        merged: list[str] = []
        for number in order:
            merged.append(str(number))
            survey.merge(*merged)
            refreshed(survey)
        found.append(survey.rows("FROM alumni_history ORDER BY ALL"))
    assert found[0] == found[1]
    spans = {(employee, start, end) for employee, _, start, end, *_ in found[0]}
    assert all(end is None or start <= end for _, start, end in spans)
