"""An answer over time: by month or batch, as a chart of the largest groups and a table of all."""

from collections.abc import Sequence

from alumni_assets.answers.figures import GROUPED_BY, Question, TrendPoint
from alumni_assets.answers.verdicts import percent
from alumni_assets.dashboard import charts
from alumni_assets.dashboard.charts import Drawing, Point
from alumni_assets.dashboard.writing import Table, number

_MOST_TRENDS = 10


def trend(points: Sequence[TrendPoint], question: Question) -> tuple[Drawing | None, Table | None]:
    """The answer by month or batch: a chart of the largest groups, and a table of all."""
    found = [point for point in points if point.dimension == GROUPED_BY[question] and point.group is not None]
    if not found:
        return None, None
    periods = sorted({(point.begins, point.period) for point in found})
    everybody = {point.period: point.alumni for point in points if point.dimension == "overall"}
    places = {period: place for place, (_, period) in enumerate(periods)}
    names = _period_names(found)
    sizes: dict[str, int] = {}
    for point in found:
        sizes[str(point.group)] = sizes.get(str(point.group), 0) + point.alumni
    largest = sorted(sizes, key=lambda group: (-sizes[group], group))[:_MOST_TRENDS]
    is_share = question in ("campus_excellence", "job_roles")
    drawn = [
        Point(str(point.group), names[point.period], places[point.period], *_trend_values(point, question, everybody))
        for point in found
        if point.group in largest
    ]
    what = {
        "degree_performance": "Mean rating",
        "campus_excellence": "Share rated 5",
        "department_employment": "Mean rating",
        "job_roles": "Share of those who answered",
    }[question]
    by = "month" if found[0].kind == "month" else "batch"
    only = "" if len(sizes) <= _MOST_TRENDS else f", of the {_MOST_TRENDS} largest groups"
    drawing = charts.trends(f"{question}_trend", f"{what} by {by}{only}.", drawn, f"{what} by {by}", is_share)
    shown = percent if is_share else (lambda value: f"{value:.2f}")
    rows = []
    for point in found:
        value, low, high = _trend_values(point, question, everybody)
        ends = f"{shown(low)} to {shown(high)}" if low is not None and high is not None else "none"
        rows.append((str(point.group), names[point.period], number(point.alumni), shown(value), ends))
    return drawing, Table(f"{what} by {by}", ("Group", by.capitalize(), "Alumni", what, "95 % interval"), tuple(rows))


def _trend_values(
    point: TrendPoint, question: Question, everybody: dict[str, int]
) -> tuple[float, float | None, float | None]:
    if question == "campus_excellence":
        return point.excellent / point.alumni, point.share_low, point.share_high
    if question == "job_roles":
        return point.alumni / everybody[point.period], None, None
    return point.mean, point.mean_low, point.mean_high


def _period_names(points: Sequence[TrendPoint]) -> dict[str, str]:
    """What each period is called; batches that would be called the same have numbers after their day."""
    called: dict[str, list[str]] = {}
    for point in sorted(points, key=lambda point: (point.begins, point.period)):
        alike = called.setdefault(_period_name(point), [])
        if point.period not in alike:
            alike.append(point.period)
    return {
        period: name if len(alike) == 1 else name.replace(" ", f" ({place}) ", 1)
        for name, alike in called.items()
        for place, period in enumerate(alike, 1)
    }


def _period_name(point: TrendPoint) -> str:
    """What a period is called: the month, or the day on which a batch came with the beginning of its name."""
    if point.kind == "month":
        return point.period
    name = point.period.rpartition("@")[0]
    return f"{point.begins:%Y-%m-%d} {name if len(name) <= 20 else name[:19] + '…'}"
