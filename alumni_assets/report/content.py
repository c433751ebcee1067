"""What the weekly report says, as data: the public edition of the answers, and what has changed since the last report.

What is said of a question is decided in `dashboard/cards.py`, how figures are cut down for the public in
`answers/public_edition.py`. How the report looks is in the templates, which `documents.py` fills in.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from babel.dates import format_date

from alumni_assets import presentation
from alumni_assets.answers import changes
from alumni_assets.answers.figures import Figures, Quality
from alumni_assets.contract import BY_NAME
from alumni_assets.dashboard.cards import Card, cards
from alumni_assets.dashboard.page import day, least_compared, moment
from alumni_assets.dashboard.writing import how_to_read, total, totals
from alumni_assets.report.weeks import monday_of
from alumni_assets.survey_rules import SurveyRules


@dataclass(frozen=True)
class Before:
    """The report that this one is compared with: when it was prepared, in UTC without zone, and its figures."""

    prepared_at: datetime
    figures: Figures


@dataclass(frozen=True)
class Count:
    """A number of the whole survey: as it is now, as it was in the last report, and the difference; as text."""

    name: str
    now: str
    then: str
    change: str


@dataclass(frozen=True)
class Changed:
    """What changed in the answer to one question."""

    question: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """The report of one week. `since` is the day of the report that it is compared with; empty for the first one."""

    week: str
    title: str
    subject: str
    subtitle: str
    published_at: datetime
    as_of: str
    summary: str
    since: str
    counts: tuple[Count, ...]
    changed: tuple[Changed, ...]
    cards: tuple[Card, ...]
    quality: tuple[str, ...]
    reading: tuple[str, ...]


def report_content(week: str, public: Figures, before: Before | None, rules: SurveyRules) -> Content:
    """The report of a week; `public` and those before are figures of the public edition."""
    earlier = before.figures if before else None
    least = least_compared(rules, "public")
    shown = cards(public, earlier, least, names_people=False)
    title = " ".join(rules.dashboard.title.split())
    return Content(
        week=week,
        title=title,
        subject=f"{title}: weekly report {week}",
        subtitle=f"Weekly report {week}, {_days(week, rules)}",
        published_at=public.published_at,
        as_of=moment(public.published_at, rules),
        summary=_summary(public, earlier),
        since=day(before.prepared_at, rules) if before else "",
        counts=tuple(_counts(public, earlier)),
        changed=tuple(_changed(shown, cards(earlier, None, least, names_people=False))) if earlier else (),
        cards=shown,
        quality=tuple(_quality(public.quality)),
        reading=how_to_read(least, rules.public_edition),
    )


def _days(week: str, rules: SurveyRules) -> str:
    monday = monday_of(week)
    first, last = (
        format_date(one, "d MMMM y", locale=rules.report.language) for one in (monday, monday + timedelta(days=6))
    )
    return f"{first} to {last}"


def _summary(now: Figures, before: Figures | None) -> str:
    """The report in one sentence."""
    if now.alumni is None:
        return "There are too few alumni to show anything."
    if before is None:
        return f"The first report: {now.alumni:,} alumni."
    if before == now:
        return f"Nothing new was published since then. Still {now.alumni:,} alumni."
    total = changes.changes_of_total(before, now) or f"{now.alumni:,} alumni; then they were too few to show."
    return total if before.answers != now.answers else f"{total} The answers are the same."


def _counts(now: Figures, before: Figures | None) -> Iterator[Count]:
    """Each number of the whole survey beside that of the last report."""
    then = totals(before) if before else {}
    for name, one in totals(now).items():
        other = then.get(name)
        change = _signed(one - other) if one is not None and other is not None else ""
        yield Count(name, total(one), total(other) if before else "", change)


def _changed(now: tuple[Card, ...], before: tuple[Card, ...]) -> Iterator[Changed]:
    """What changed in each answer, in its numbers and in what may be said of it."""
    for card, earlier in zip(now, before, strict=True):
        is_other = _without_numbers(card.headline) != _without_numbers(earlier.headline)
        words = (f"Now: {card.headline}. Then: {earlier.headline}.",) if is_other else ()
        if words or card.changed:
            yield Changed(card.question, (*words, *card.changed))


def _without_numbers(headline: str) -> str:
    """What a headline says but for the numbers in brackets, of which the changes tell by themselves.

    A role may have brackets of its own: Teacher (Math) is another than Teacher (English).
    """
    return re.sub(r" \([\d,]+(?: each|, [\d.]+ % of all)?\)", "", headline)


def _quality(quality: Quality) -> Iterator[str]:
    if not quality.rows_set_aside:
        yield "No row was set aside."
    else:
        yield (
            f"{_of('row was', 'rows were', quality.rows_set_aside)} set aside with the reasons; "
            f"{_of('of these still waits', 'of these still wait', quality.rows_open)} to be corrected. Nothing is "
            "thrown away."
        )
        cells = {(BY_NAME[column].header if column else "", code): cells for column, code, cells, _ in quality.reasons}
        if cells:
            yield f"Most frequent reasons: {presentation.reasons_in_words(cells)}."
    if quality.uploads_rejected:
        yield f"{_of('file was', 'files were', quality.uploads_rejected)} rejected as a whole."
    if quality.uploads_waiting:
        yield (
            f"{_of('file waits', 'files wait', quality.uploads_waiting)} for approval; what is in "
            f"{'it' if quality.uploads_waiting == 1 else 'them'} does not count yet."
        )


def _signed(number: int) -> str:
    return "no change" if number == 0 else f"{number:+,}".replace("-", "−")


def _of(one: str, many: str, number: int) -> str:
    return f"{number:,} {one if number == 1 else many}"
