"""What the page and the report say and show of each question: headline, chart, table, definition, what changed.

Works alike on the figures of both editions: what the public may not see is not in its figures. What the headlines may
say is decided in `answers/verdicts.py`; how all this looks, in the templates.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alumni_assets.answers import changes
from alumni_assets.answers.figures import Answer, Cut, Figures, Question, Row
from alumni_assets.answers.verdicts import Verdict, judge, on_top_employees, percent
from alumni_assets.dashboard import charts
from alumni_assets.dashboard.charts import Drawing, Mark
from alumni_assets.dashboard.trend import trend
from alumni_assets.dashboard.writing import HIDDEN, Table, interval, mean, number, share, share_interval

_MOST_ROLES = 20


@dataclass(frozen=True)
class Card:
    """All that is said and shown of one question."""

    anchor: str
    question: str
    headline: str
    grounds: str
    definition: str
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()
    trend: Drawing | None = None
    trend_table: Table | None = None
    changed: tuple[str, ...] = ()
    without_changes: str = "Unchanged"


TITLES: dict[str, str] = {
    "degree_performance": "Which college degree's graduates perform best?",
    "campus_excellence": "Which campus produces the most excellent employees?",
    "department_employment": "Which department employs the most alumni, and how are they rated?",
    "job_roles": "What are the top job roles?",
    "top_employees": "Who are the top 100 employees of each department?",
}
_DEFINITIONS: dict[str, str] = {
    "degree_performance": "The mean performance rating, from 1 to 5, of the alumni with each degree.",
    "campus_excellence": "Excellent is who is rated 5. A large campus has more of them by its size alone, so the share "
    "of a campus' alumni is shown beside their number.",
    "department_employment": "How many alumni work in each department, and their mean performance rating, from 1 to 5.",
    "job_roles": "How many alumni have each job role, and their share of all alumni.",
    "top_employees": "The 100 best-rated alumni of each department. Among equal ratings the order is by name, then by "
    "employee id; the list ends at 100 even where the next has the same rating. The chart shows which share of each "
    "department's alumni is rated 5.",
}


def cards(figures: Figures, previous: Figures | None, least: int, names_people: bool) -> tuple[Card, ...]:
    """A card for each of the five questions; groups of fewer than `least` alumni are not compared.

    `previous` are figures of the same edition to tell changes from, if there are any. Without `names_people` the last
    card says only that the list is not in this edition.
    """
    figures, previous = _isolated(figures), _isolated(previous) if previous else None
    verdicts = judge(figures.answers, least)
    made = [
        _card(figures, previous, "degree_performance", verdicts, _rated_parts),
        _card(figures, previous, "campus_excellence", verdicts, _campus_parts),
        _card(figures, previous, "department_employment", verdicts, _department_parts),
        _card(figures, previous, "job_roles", verdicts, _role_parts),
    ]
    return (*made, _top_card(figures, previous) if names_people else _UNNAMED)


def _isolated(figures: Figures) -> Figures:
    """The figures with every name that is written from right to left set apart from what stands beside it.

    Otherwise the numbers after such a name would be shown in the other order: 60 → 30 for 30 → 60.
    """
    answers = {
        question: answer.model_copy(
            update={"rows": tuple(row.model_copy(update={"name": _isolated_name(row.name)}) for row in answer.rows)}
        )
        for question, answer in figures.answers.items()
    }
    cuts = tuple(cut.model_copy(update={"department": _isolated_name(cut.department)}) for cut in figures.cuts)
    return figures.model_copy(update={"answers": answers, "cuts": cuts})


def _isolated_name(name: str) -> str:
    is_from_right = any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in name)
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}" if is_from_right else name


_UNNAMED = Card(
    anchor="top_employees",
    question=TITLES["top_employees"],
    headline="The lists name people, and are in the university's own edition only",
    grounds="",
    definition=_DEFINITIONS["top_employees"].partition(" The chart")[0],
)

Parts = tuple[tuple[Drawing, ...], tuple[Table, ...]]


def _card(
    figures: Figures,
    previous: Figures | None,
    question: Question,
    verdicts: dict[Question, Verdict],
    parts: Callable[[Answer, Verdict], Parts],
) -> Card:
    answer, verdict = figures.answers[question], verdicts[question]
    drawings, tables = parts(answer, verdict) if answer.rows else ((), ())
    over_time, trend_table = trend(figures.trends, question)
    return Card(
        anchor=question,
        question=TITLES[question],
        headline=verdict.headline,
        grounds=verdict.grounds,
        definition=_DEFINITIONS[question],
        drawings=drawings,
        tables=tables,
        trend=over_time,
        trend_table=trend_table,
        changed=changes.changes_of_answer(previous.answers[question], answer) if previous else (),
    )


def _rated_parts(answer: Answer, verdict: Verdict) -> Parts:
    table = _table(
        "Mean rating by college degree",
        ("Degree", "Alumni", "Mean rating", "95 % interval", "Against the rest"),
        answer,
        lambda row: (number(row.alumni), mean(row.mean), interval(row.mean_low, row.mean_high), _stands(row, verdict)),
    )
    return _drawn(_means("degrees", "Mean rating by college degree", answer, verdict)), (table,)


def _campus_parts(answer: Answer, verdict: Verdict) -> Parts:
    table = _table(
        "Alumni rated 5 by campus",
        ("Campus", "Alumni", "Rated 5", "Share rated 5", "95 % interval", "Against the rest"),
        answer,
        lambda row: (
            number(row.alumni),
            number(row.excellent),
            share(row.share),
            share_interval(row.share_low, row.share_high),
            _stands(row, verdict),
        ),
    )
    known = [row for row in answer.rows if row.share is not None and row.excellent is not None]
    marks = [
        Mark(
            row.name,
            f"{row.excellent:,} of {row.alumni:,}",
            row.share or 0,
            row.share_low,
            row.share_high,
            verdict.standing(row.name),
        )
        for row in known
    ]
    title = "Share of alumni rated 5, with 95 % interval"
    return _drawn(charts.estimates("campuses", _described(title, marks, percent), marks, title, True)), (table,)


def _department_parts(answer: Answer, verdict: Verdict) -> Parts:
    table = _table(
        "Alumni and mean rating by department",
        (
            "Department",
            "Alumni",
            "Share of all",
            "95 % interval of the share",
            "Mean rating",
            "95 % interval of the mean",
            "Against the rest",
        ),
        answer,
        lambda row: (
            number(row.alumni),
            share(row.share),
            share_interval(row.share_low, row.share_high),
            mean(row.mean),
            interval(row.mean_low, row.mean_high),
            _stands(row, verdict),
        ),
    )
    return _drawn(
        _numbers("department_numbers", "Alumni by department", answer, len(answer.rows)),
        _means("departments", "Mean rating by department", answer, verdict),
    ), (table,)


def _role_parts(answer: Answer, verdict: Verdict) -> Parts:
    table = _table(
        "Alumni by job role",
        ("Job role", "Alumni", "Share of all", "95 % interval"),
        answer,
        lambda row: (number(row.alumni), share(row.share), share_interval(row.share_low, row.share_high)),
    )
    title = "Alumni by job role" if len(answer.rows) <= _MOST_ROLES else f"Alumni by job role: the first {_MOST_ROLES}"
    return _drawn(_numbers("job_roles", title, answer, _MOST_ROLES)), (table,)


def _top_card(figures: Figures, previous: Figures | None) -> Card:
    headline, grounds = on_top_employees(figures.cuts)
    marks = [
        Mark(cut.department, f"{cut.excellent:,} of {cut.alumni:,}", cut.share, cut.share_low, cut.share_high)
        for cut in figures.cuts
    ]
    title = "Share of each department's alumni rated 5, with 95 % interval"
    drawing = charts.estimates("top_employees", _described(title, marks, percent), marks, title, True)
    return Card(
        anchor="top_employees",
        question=TITLES["top_employees"],
        headline=headline,
        grounds=grounds,
        definition=_DEFINITIONS["top_employees"],
        drawings=_drawn(drawing),
        tables=(_cuts_table(figures.cuts),) if figures.cuts else (),
        changed=changes.changes_of_cuts(previous.cuts, figures.cuts) if previous else (),
        without_changes="Who is on the lists is not compared; where they end is unchanged",
    )


def _cuts_table(cuts: Sequence[Cut]) -> Table:
    return Table(
        "Where each department's list ends",
        (
            "Department",
            "Alumni",
            "Listed",
            "Last rating listed",
            "Listed with it",
            "Have it in all",
            "Rated 5",
            "Share",
        ),
        tuple(
            (
                cut.department,
                number(cut.alumni),
                number(cut.listed),
                number(cut.last_rating),
                number(cut.listed_at_last),
                number(cut.alumni_at_last),
                number(cut.excellent),
                f"{share(cut.share)} ({share_interval(cut.share_low, cut.share_high)})",
            )
            for cut in cuts
        ),
    )


def _means(name: str, title: str, answer: Answer, verdict: Verdict) -> Drawing:
    marks = [
        Mark(row.name, f"n = {row.alumni:,}", row.mean, row.mean_low, row.mean_high, verdict.standing(row.name))
        for row in answer.rows
        if row.mean is not None
    ]
    return charts.estimates(
        name,
        _described(title, marks, lambda value: f"{value:.2f}"),
        marks,
        "Mean rating (1 to 5), with 95 % interval",
        False,
    )


def _numbers(name: str, title: str, answer: Answer, most: int) -> Drawing:
    """How many alumni the first `most` groups have; the interval of their share of all as that many alumni."""
    total = sum(row.alumni or 0 for row in answer.rows) + answer.unnamed
    marks = [
        Mark(
            row.name,
            f"n = {row.alumni:,}",
            row.alumni,
            None if row.share_low is None else row.share_low * total,
            None if row.share_high is None else row.share_high * total,
        )
        for row in answer.rows[:most]
        if row.alumni is not None
    ]
    return charts.counts(name, _described(title, marks, lambda value: f"{value:,.0f}"), marks, "Alumni")


def _table(caption: str, head: tuple[str, ...], answer: Answer, cells: Callable[[Row], tuple[str, ...]]) -> Table:
    rows = [(row.name, *cells(row)) for row in answer.rows]
    if answer.unnamed:
        rows.append(("Smaller groups, not named", number(answer.unnamed), *[HIDDEN] * (len(head) - 2)))
    return Table(caption, head, tuple(rows))


def _stands(row: Row, verdict: Verdict) -> str:
    if row.mean is None and row.share is None:
        return HIDDEN
    words = {"higher": "higher", "lower": "lower", "no_clear_difference": "no clear difference"}
    standing = verdict.standing(row.name)
    return words[standing] if standing else "not compared"


def _drawn(*drawings: Drawing) -> tuple[Drawing, ...]:
    """The charts that have something to show."""
    return tuple(drawing for drawing in drawings if drawing.shown)


def _described(title: str, marks: Sequence[Mark], shown: Callable[[float], str]) -> str:
    """What a chart shows, for those who cannot see it; the table beside it has every figure."""
    if not marks:
        return title
    least, most = (choose(marks, key=lambda mark: mark.value) for choose in (min, max))
    return f"{title}: from {shown(least.value)} ({least.name}) to {shown(most.value)} ({most.name})."
