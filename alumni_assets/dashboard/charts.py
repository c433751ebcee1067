"""The charts, drawn by Vega-Altair and rendered by vl-convert: no browser and no network.

What they show is decided in `cards.py`. Text from the survey goes into a chart as data only; Vega writes it as text
into the SVG.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import altair as alt
import vl_convert
from altair.utils.schemapi import debug_mode

WIDE, NARROW = 720, 340
_SCALE = 2.0
_INK, _MUTED, _GRID = "#1f2933", "#52606d", "#d9e2ec"
_PLAIN, _HIGHER, _LOWER, _BAR = "#3e6e9e", "#0b6e4f", "#b03a2e", "#7ea6cc"
_FONT = "Arial, sans-serif"
_STEP = 38
_LONGEST, _LONGEST_IN_NARROW = 34, 17
_MOST_LARGE_DOTS = 12
_SHOWN = "slice(split(datum.label, '\\n'), 1)"
# A reader's font may be wider than the one that the labels were measured in.
_PADDING = {"left": 26, "right": 10, "top": 4, "bottom": 4}


@dataclass(frozen=True)
class Mark:
    """One group in a chart: its estimate with its interval, and how it stands to the rest."""

    name: str
    note: str
    value: float
    low: float | None = None
    high: float | None = None
    standing: str | None = None


@dataclass(frozen=True)
class Point:
    """One group in one period."""

    group: str
    period: str
    place: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Drawing:
    """A chart that can be drawn in any width; `description` says in words what it shows."""

    name: str
    description: str
    title: str
    is_share: bool
    shown: tuple[Mark, ...] | tuple[Point, ...]
    draw: "Callable[[Drawing, int], alt.TopLevelMixin]"

    def svg(self, width: int) -> str:
        """The chart as SVG, `width` pixels wide."""
        return _svg(self, width)

    def png(self, width: int) -> bytes:
        """The chart as PNG of twice as many pixels, for sharp displays and paper."""
        return bytes(vl_convert.vegalite_to_png(_specification(self, width), scale=_SCALE))


@lru_cache(maxsize=256)
def _svg(drawing: Drawing, width: int) -> str:
    """Most charts of a page are those of its other edition, and of the page before it."""
    return str(vl_convert.vegalite_to_svg(_specification(drawing, width)))


def _specification(drawing: Drawing, width: int) -> str:
    with debug_mode(False):  # would validate every part of every chart again, which takes longer than drawing it
        return str(drawing.draw(drawing, width).to_json(validate=False))


def estimates(name: str, description: str, marks: Sequence[Mark], title: str, is_share: bool) -> Drawing:
    """Dots with their intervals, one row for each group, in their order."""
    return Drawing(name, description, title, is_share, tuple(marks), _draw_estimates)


def counts(name: str, description: str, marks: Sequence[Mark], title: str) -> Drawing:
    """Bars from zero, one for each group, in their order; with the interval where a mark has one."""
    return Drawing(name, description, title, False, tuple(marks), _draw_counts)


def trends(name: str, description: str, points: Sequence[Point], title: str, is_share: bool) -> Drawing:
    """A small chart for each group, all on the same scale: a line over the periods with the interval around it."""
    return Drawing(name, description, title, is_share, tuple(points), _draw_trends)


def _draw_estimates(drawing: Drawing, width: int) -> alt.TopLevelMixin:
    x = alt.X(
        "value:Q",
        title=_titled(drawing.title, width),
        scale=alt.Scale(zero=False, nice=True, padding=12),
        axis=alt.Axis(format=".0%" if drawing.is_share else ".1f", tickCount=4 if width <= NARROW else 8),
    )
    base = alt.Chart(_data(drawing, width)).encode(y=_groups(width))
    color = alt.Color("standing:N", scale=_colors(), legend=None)
    interval = base.mark_rule(strokeWidth=3, strokeCap="round").encode(x=alt.X("low:Q"), x2="high:Q", color=color)
    dot = base.mark_point(filled=True, size=90, opacity=1).encode(x=x, color=color)
    return _framed(alt.LayerChart(layer=[interval, dot]), width)


def _draw_counts(drawing: Drawing, width: int) -> alt.TopLevelMixin:
    base = alt.Chart(_data(drawing, width)).encode(y=_groups(width))
    axis = alt.Axis(format=",.0f", tickMinStep=1, tickCount=4 if width <= NARROW else 8)
    x = alt.X("value:Q", title=drawing.title, axis=axis)
    bar = base.mark_bar(color=_BAR, height=18, cornerRadiusEnd=2).encode(x=x)
    interval = base.mark_rule(strokeWidth=2, color=_INK).encode(x="low:Q", x2="high:Q")
    return _framed(alt.LayerChart(layer=[bar, interval]), width)


def _draw_trends(drawing: Drawing, width: int) -> alt.TopLevelMixin:
    points = [point for point in drawing.shown if isinstance(point, Point)]
    periods = {point.place for point in points}
    columns = 1 if width <= NARROW else 2
    axis = alt.Axis(format=".0%" if drawing.is_share else ".1f", tickCount=3, ticks=False, domain=False)
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=axis)
    base = alt.Chart().encode(
        x=alt.X(
            "period:O",
            title=None,
            axis=alt.Axis(labelExpr=_SHOWN, labelAngle=-40, labelLimit=110, labelOverlap=True, ticks=False),
        )
    )
    band = base.mark_area(color=_PLAIN, opacity=0.2).encode(y=alt.Y("low:Q", title=None), y2="high:Q")
    # Of many periods the dots are small, but they are there: a group that has one period only is nothing without.
    dots = alt.OverlayMarkDef(filled=True, size=36 if len(periods) <= _MOST_LARGE_DOTS else 16, color=_PLAIN)
    line = base.mark_line(color=_PLAIN, point=dots).encode(y=y)
    groups = sorted({point.group for point in points})
    shown = {
        group: _placed(place, name)
        for place, (group, name) in enumerate(zip(groups, _shorts(groups, _LONGEST), strict=True))
    }
    rows = [
        vars(point) | {"group": shown[point.group], "period": _placed(point.place, point.period)} for point in points
    ]
    plot = alt.layer(line, band, data=alt.Data(values=rows)).properties(
        width=(width - 70 * columns) // columns, height=90
    )
    header = alt.Header(labelExpr=_SHOWN, labelAnchor="start", titleAnchor="start")
    return _styled(plot.facet(facet=alt.Facet("group:N", title=drawing.title, header=header), columns=columns))


def _data(drawing: Drawing, width: int) -> alt.Data:
    marks = [mark for mark in drawing.shown if isinstance(mark, Mark)]
    names = _shorts([mark.name for mark in marks], _LONGEST_IN_NARROW if width <= NARROW else _LONGEST)
    return alt.Data(
        values=[
            vars(mark) | {"label": _placed(place, _label(mark, name)), "standing": mark.standing or "plain"}
            for place, (mark, name) in enumerate(zip(marks, names, strict=True))
        ]
    )


def _label(mark: Mark, name: str) -> str:
    """Name and note in two lines; that a group stands out is said in words too, for not everybody sees colours."""
    standing = f", {mark.standing}" if mark.standing in ("higher", "lower") else ""
    return f"{name}\n{mark.note}{standing}"


def _placed(place: int, shown: str) -> str:
    """What Vega tells marks apart by: it draws as one what is called the same. `_SHOWN` leaves the place out."""
    return f"{place:06d}\n{shown}"


def _groups(width: int) -> alt.Y:
    """The groups in the order of their places: unsorted, those without an interval would come last."""
    limit = 130 if width <= NARROW else 260
    axis = alt.Axis(labelExpr=_SHOWN, labelLimit=limit, labelPadding=8, domain=False, ticks=False)
    return alt.Y("label:N", sort="ascending", title=None, axis=axis)


def _titled(title: str, width: int) -> str | list[str]:
    """The title of an axis, in two lines where there is no room for one."""
    head, comma, tail = title.partition(", ")
    return [head + comma, tail] if width <= NARROW and tail else title


def _colors() -> alt.Scale:
    return alt.Scale(
        domain=["plain", "no_clear_difference", "higher", "lower"], range=[_PLAIN, _PLAIN, _HIGHER, _LOWER]
    )


def _framed(chart: alt.LayerChart, width: int) -> alt.TopLevelMixin:
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return _styled(chart.properties(width=width, height=alt.Step(_STEP), autosize=fit))


def _styled(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    return (
        chart.configure(font=_FONT, aria=False, background="white", padding=_PADDING)
        .configure_axis(
            labelFontSize=13,
            titleFontSize=13,
            titleFontWeight="normal",
            labelColor=_INK,
            titleColor=_MUTED,
            gridColor=_GRID,
            tickColor=_GRID,
            domainColor=_GRID,
        )
        .configure_header(
            labelFontSize=13, labelFontWeight="bold", labelColor=_INK, titleFontSize=13, titleColor=_MUTED
        )
        .configure_view(stroke=None)
    )


def _shorts(names: Sequence[str], longest: int) -> list[str]:
    """Names as there is room for them; those that would look the same are numbered, in their order."""
    short = [name if len(name) <= longest else f"{name[: longest - 1]}…" for name in names]
    return [
        f"({short[: place + 1].count(name)}) {name}" if short.count(name) > 1 else name
        for place, name in enumerate(short)
    ]
