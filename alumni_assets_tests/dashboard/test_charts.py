"""Charts of groups and batches whose names begin alike: each is drawn, and can be told from the others."""

import re
from datetime import datetime

from alumni_assets.answers.figures import TrendPoint
from alumni_assets.dashboard import charts
from alumni_assets.dashboard.charts import NARROW, WIDE, Mark, Point
from alumni_assets.dashboard.trend import trend

ALIKE = tuple(f"Assistant to the Regional Manager of {place}" for place in ("Apalit", "Porac", "Candaba"))
SHORT = "Assistant to the Regional Manager…"


def batch(number: int, group: str) -> TrendPoint:
    """The answers of a group in an export of the sheet, all of one day."""
    upload = f"sheet%2Fanswers-{number:06}.csv@0000000{number}"
    bounds = {"mean_low": 2.0, "mean_high": 4.5, "share_low": 0.1, "share_high": 0.9}
    begins = datetime(2026, 11, 27, 8, number)
    at = {"kind": "batch", "period": upload, "begins": begins, "dimension": "department", "group": group}
    return TrendPoint.model_validate(at | bounds | {"alumni": 10, "excellent": 3, "mean": 2.5 + number / 2})


def test_groups_that_begin_alike_have_a_bar_and_a_label_each() -> None:
    marks = [Mark(name, "n = 5", 5.0) for name in ALIKE]
    for width in (NARROW, WIDE):
        svg = charts.counts("roles", "Roles.", marks, "Alumni").svg(width)
        assert [svg.count(f">({place}) Assistant") for place in (1, 2, 3)] == [1, 1, 1]


def test_groups_that_begin_alike_can_be_told_from_each_other_where_there_is_little_room() -> None:
    marks = [Mark(f"Assistant Manager of {place}", "n = 5", 5.0) for place in ("Apalit", "Porac")]
    narrow, wide = (charts.counts("roles", "Roles.", marks, "Alumni").svg(width) for width in (NARROW, WIDE))
    assert [narrow.count(f">({place}) Assistant") for place in (1, 2)] == [1, 1]
    assert [wide.count(f">{mark.name}<") for mark in marks] == [1, 1]


def test_names_that_differ_are_shown_without_numbers() -> None:
    svg = charts.counts("roles", "Roles.", [Mark("Baker", "n = 5", 5.0), Mark(ALIKE[0], "n = 5", 5.0)], "Alumni").svg(
        WIDE
    )
    assert (svg.count(">Baker<"), svg.count(f">{SHORT}<"), svg.count(">(1) ")) == (1, 1, 0)


def test_groups_are_drawn_in_their_order_with_and_without_an_interval() -> None:
    marks = [
        Mark("Law", "n = 1", 5.0),
        Mark("Arts", "n = 20", 3.0, 2.5, 3.5),
        Mark("Film", "n = 1", 2.0),
        Mark("Dance", "n = 20", 1.5, 1.2, 1.8),
    ]
    for drawing in (
        charts.estimates("degrees", "Degrees.", marks, "Mean rating", False),
        charts.counts("degrees", "Degrees.", marks, "Alumni"),
    ):
        svg = drawing.svg(WIDE)
        assert sorted((mark.name for mark in marks), key=lambda name: svg.index(f">{name}<")) == [
            "Law",
            "Arts",
            "Film",
            "Dance",
        ]


def test_batches_of_a_day_and_groups_that_begin_alike_are_apart_in_a_trend_and_its_table() -> None:
    points = [batch(number, group) for group in ALIKE[:2] for number in (1, 2, 3)]
    drawing, table = trend(points, "department_employment")
    assert drawing is not None
    assert table is not None
    periods = [f"2026-11-27 ({number}) sheet%2Fanswers-000…" for number in (1, 2, 3)]
    assert [row[1] for row in table.rows] == periods * 2
    svg = drawing.svg(WIDE)
    assert [svg.count(f">({place}) Assistant") for place in (1, 2)] == [1, 1]
    assert [svg.count(f">2026-11-27 ({number})") for number in (1, 2, 3)] == [2, 2, 2]


def test_a_group_with_one_period_of_many_is_drawn_too() -> None:
    months = [f"2025-{month:02}" for month in range(1, 13)] + ["2026-01"]
    points = [Point("Tech", month, place, 3.0, 2.5, 3.5) for place, month in enumerate(months)]
    points.append(Point("HR", months[5], 5, 4.0, None, None))
    for width in (NARROW, WIDE):
        svg = charts.trends("ratings", "Ratings.", points, "Mean rating by month", False).svg(width)
        dots = re.findall(r'class="mark-symbol role-mark.*?</g>', svg)
        assert [found.count("<path") for found in dots] == [1, 13]
