"""Weeks: from Monday to Sunday in the survey's time zone, named as ISO 8601 does, such as 2026-W48. Pure."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_WEEK = re.compile(r"(?P<year>[0-9]{4})-W(?P<week>[0-9]{2})")


def week_of(utc: datetime, zone: str) -> str:
    """The week that a time in UTC without zone belongs to. Names sort as the weeks do."""
    year, week, _ = utc.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).isocalendar()
    return f"{year:04d}-W{week:02d}"


def monday_of(week: str) -> date:
    """The day that a week begins with. Raises ValueError for what is no week."""
    found = _WEEK.fullmatch(week)
    if found is None:
        raise ValueError(f"{week!r} is no week; an example is 2026-W48.")
    try:
        return date.fromisocalendar(int(found["year"]), int(found["week"]), 1)
    except ValueError as error:
        raise ValueError(f"{week!r} is no week; an example is 2026-W48.") from error


def week_before(week: str) -> str:
    """The week before a week. Raises ValueError for what is no week."""
    year, number, _ = (monday_of(week) - timedelta(days=7)).isocalendar()
    return f"{year:04d}-W{number:02d}"
