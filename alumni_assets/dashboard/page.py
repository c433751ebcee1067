"""Makes the page: one self-contained HTML file of either edition. What it says of the questions is in `cards.py`.

The page needs no network, and its content policy allows none but to the server that it came from. Whatever comes from
the survey is escaped by the template engine, or is in an image.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Literal
from zoneinfo import ZoneInfo

import pandas as pd
from babel.dates import format_date, format_datetime
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alumni_assets.answers import changes
from alumni_assets.answers.figures import Batch, Drift, Figures, Moves
from alumni_assets.answers.verdicts import p_value, percent
from alumni_assets.contract import BY_NAME, REASONS, Code
from alumni_assets.dashboard import downloads
from alumni_assets.dashboard.cards import Card, cards
from alumni_assets.dashboard.charts import NARROW, Drawing
from alumni_assets.dashboard.writing import Table, how_to_read, number, share_interval, total, totals
from alumni_assets.survey_rules import SurveyRules

Edition = Literal["internal", "public"]
_WIDTH = 960
_MOST_BATCHES = 24
_MOST_MOVES = 20
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True)
class Picture:
    """A chart in two widths, as addresses that hold the image themselves."""

    name: str
    description: str
    wide: str
    narrow: str


@dataclass(frozen=True)
class Person:
    """A line of the list of top employees, as it is shown."""

    department: str
    rank: int
    name: str
    role: str
    degree: str
    campus: str
    email: str
    phone: str
    rating: int


def render_page(
    figures: Figures,
    previous: Figures | None,
    people: pd.DataFrame | None,
    rules: SurveyRules,
) -> str:
    """The page as HTML. Without `people` it is the public edition, and `figures` have to be those of it.

    `people` has the columns of `top_employees`; `previous` are figures of the same edition, to tell what changed.
    """
    edition: Edition = "public" if people is None else "internal"
    if people is not None and rules.dashboard.mask_contacts:
        people = downloads.without_contacts(people)
    least = least_compared(rules, edition)
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=rules.dashboard.title,
            edition=edition,
            policy=_policy(),
            style=Markup(_own("page.css")),  # noqa: S704 - both files are ours
            script=Markup(_own("page.js")),  # noqa: S704
            figures=figures,
            tiles=_tiles(figures, edition),
            updated=moment(figures.published_at, rules),
            updated_iso=figures.published_at.replace(tzinfo=UTC).isoformat(),
            stale_after_days=rules.dashboard.stale_after_days,
            cards=[
                _illustrated(card)
                for card in cards(_with_local_days(figures, rules), previous, least, people is not None)
            ],
            since=moment(previous.published_at, rules) if previous else "",
            total_changed=changes.changes_of_total(previous, figures) if previous else "",
            people=list(_people(people)) if people is not None else [],
            departments=list(dict.fromkeys(people["department"])) if people is not None else [],
            csv=_data_address("text/csv;charset=utf-8", downloads.csv_file(people)) if people is not None else "",
            xlsx=_data_address(_XLSX, downloads.workbook(people, figures.published_at)) if people is not None else "",
            moves=_moves_table(figures.moves),
            answered_again=figures.moves.answered_again,
            moved=figures.moves.moved,
            quality=figures.quality,
            reasons=_reasons_table(figures),
            batches=_batches_table(figures.quality.batches, rules) if edition == "internal" else None,
            drift=_drift_table(figures.quality.drift) if edition == "internal" else None,
            notes=how_to_read(least, rules.public_edition if people is None else None),
        )
    )


def least_compared(rules: SurveyRules, edition: Edition) -> int:
    """From how many alumni on a group is compared; in the public edition only those with a mean or share are."""
    least = rules.answers.compare_from
    return least if edition == "internal" else max(least, rules.public_edition.min_estimate)


def moment(utc: datetime, rules: SurveyRules) -> str:
    """A time in UTC without zone as people read it: in the survey's time zone and the report's language."""
    zone = ZoneInfo(rules.time_zone)
    text = format_datetime(utc.replace(tzinfo=UTC), "d MMMM y, HH:mm", tzinfo=zone, locale=rules.report.language)
    return f"{text} ({rules.time_zone})"


def day(utc: datetime, rules: SurveyRules) -> str:
    """The day of a time in UTC without zone, likewise."""
    local = utc.replace(tzinfo=UTC).astimezone(ZoneInfo(rules.time_zone))
    return format_date(local, "d MMMM y", locale=rules.report.language)


def _with_local_days(figures: Figures, rules: SurveyRules) -> Figures:
    """The figures with batches on the day on which they came in the survey's time zone, as in all other tables."""
    zone = ZoneInfo(rules.time_zone)
    trends = tuple(
        point.model_copy(update={"begins": point.begins.replace(tzinfo=UTC).astimezone(zone)})
        if point.kind == "batch"
        else point
        for point in figures.trends
    )
    return figures.model_copy(update={"trends": trends})


def _tiles(figures: Figures, edition: Edition) -> list[tuple[str, str]]:
    alumni, *others = ((name, total(value)) for name, value in totals(figures).items())
    if edition == "public":
        return [alumni, *others]
    return [alumni, ("Answers", number(figures.responses)), ("Batches", number(len(figures.quality.batches))), *others]


def _illustrated(card: Card) -> dict[str, object]:
    return {
        "card": card,
        "pictures": [_picture(drawing) for drawing in card.drawings],
        "trend": _picture(card.trend) if card.trend else None,
    }


def _picture(drawing: Drawing) -> Picture:
    wide, narrow = (_data_address("image/svg+xml", drawing.svg(width).encode()) for width in (_WIDTH, NARROW))
    return Picture(drawing.name, drawing.description, wide, narrow)


def _people(people: pd.DataFrame) -> Iterator[Person]:
    columns = (
        "department",
        "rank",
        "employee_name",
        "job_role",
        "college_degree",
        "dmc_campus",
        "email",
        "phone_number",
        "performance_rating",
    )
    return (Person(*row) for row in people[list(columns)].itertuples(index=False))


def _moves_table(moves: Moves) -> Table | None:
    if not moves.changes:
        return None
    kinds = {"job_role": "Job role", "department": "Department"}
    rows = [
        (kinds[move.kind], move.moved_from, move.moved_to, number(move.moves)) for move in moves.changes[:_MOST_MOVES]
    ]
    more = f": the {_MOST_MOVES} most frequent" if len(moves.changes) > _MOST_MOVES else ""
    return Table(f"Moves{more}", ("What", "From", "To", "Times"), tuple(rows))


def _reasons_table(figures: Figures) -> Table | None:
    if not figures.quality.reasons:
        return None
    rows = [
        (BY_NAME[column].header if column else "(whole row)", REASONS[Code(code)], number(cells), number(still_open))
        for column, code, cells, still_open in figures.quality.reasons
    ]
    return Table("Why rows were set aside", ("Column", "Reason", "Cells", "of them still open"), tuple(rows))


def _batches_table(batches: Sequence[Batch], rules: SurveyRules) -> Table | None:
    if not batches:
        return None
    rows = [
        (
            batch.upload,
            day(batch.received_at, rules),
            number(batch.rows),
            f"{number(batch.invalid)} ({percent(batch.invalid / batch.rows)})",
            share_interval(batch.invalid_low, batch.invalid_high),
            number(batch.open),
        )
        for batch in reversed(batches[-_MOST_BATCHES:])
    ]
    more = f": the newest {_MOST_BATCHES}" if len(batches) > _MOST_BATCHES else ""
    head = ("Batch", "Received", "Rows", "Set aside", "95 % interval of the share", "Open")
    return Table(f"Batches that count{more}", head, tuple(rows))


def _drift_table(drift: Sequence[Drift]) -> Table | None:
    if not drift:
        return None
    rows = [
        (
            found.measure,
            found.newest,
            found.earlier,
            f"{found.test}, {p_value(found.p_adjusted)}" if found.p_adjusted is not None else "too few to test",
            "differs" if found.is_clear else "no clear difference",
        )
        for found in drift
    ]
    head = ("Measure", "Newest batch", "All before it", "Test, after Holm's correction", "Verdict")
    return Table("The newest batch against all before it", head, tuple(rows))


def _data_address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _policy() -> str:
    """What the page may do: run our own script, show its own images, and ask its own server whether it is new."""
    script, style = (_hash(_own(name)) for name in ("page.js", "page.css"))
    return (
        f"default-src 'none'; img-src data:; style-src '{style}'; script-src '{script}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _own(name: str) -> str:
    return (files("alumni_assets.dashboard") / "templates" / name).read_text(encoding="utf-8").strip()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("alumni_assets.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
