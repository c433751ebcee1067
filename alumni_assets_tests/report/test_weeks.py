"""Weeks begin on Monday in the survey's time zone, wherever the clock is."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.report.weeks import monday_of, week_before, week_of

MANILA = "Asia/Manila"


def test_a_week_ends_with_sunday_in_manila() -> None:
    assert week_of(datetime(2026, 11, 22, 15, 59, 59), MANILA) == "2026-W47"  # Sunday 23:59:59 there
    assert week_of(datetime(2026, 11, 22, 16, 0, 0), MANILA) == "2026-W48"  # Monday 00:00:00 there


def test_the_same_moment_may_be_in_another_week_elsewhere() -> None:
    assert week_of(datetime(2026, 11, 22, 16, 0, 0), "UTC") == "2026-W47"


@pytest.mark.parametrize(
    ("day", "week"), [((2026, 12, 31), "2026-W53"), ((2027, 1, 3), "2026-W53"), ((2027, 1, 4), "2027-W01")]
)
def test_the_year_is_that_of_the_week(day: tuple[int, int, int], week: str) -> None:
    assert week_of(datetime(*day, 12), "UTC") == week


def test_monday_is_the_first_day() -> None:
    assert monday_of("2026-W48") == date(2026, 11, 23)


@pytest.mark.parametrize("text", ["", "2026-48", "2026-W54", "2026-W00", "2026-W48\n", "0000-W01", "last week"])
def test_what_is_no_week_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no week; an example is 2026-W48"):
        monday_of(text)


@given(moment=st.datetimes(datetime(1990, 1, 10), datetime(2200, 1, 1)))
def test_names_sort_as_the_weeks_do(moment: datetime) -> None:
    week = week_of(moment, MANILA)
    assert week_before(week) == week_of(moment - timedelta(days=7), MANILA) < week
