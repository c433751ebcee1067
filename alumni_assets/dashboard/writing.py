"""How figures are written on the page and in the report, and how both are to be read.

Which figures are shown of a question is in `cards.py`.
"""

from dataclasses import dataclass

from alumni_assets.answers.figures import Figures
from alumni_assets.answers.verdicts import NOT_EQUAL, percent
from alumni_assets.survey_rules import PublicEditionRules

HIDDEN, TOO_FEW = "not shown", "too few to show"


@dataclass(frozen=True)
class Table:
    """A table: a head, and rows of text. The first column is the rows' name, the others are figures."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def totals(figures: Figures) -> dict[str, int | None]:
    """The numbers of the whole survey by what they are called; None is what may not be shown."""
    quality = figures.quality
    return {
        "Alumni": figures.alumni,
        "Rows set aside": quality.rows_set_aside,
        "of these still open": quality.rows_open,
        "Files rejected": quality.uploads_rejected,
        "Files waiting for approval": quality.uploads_waiting,
    }


def total(value: int | None) -> str:
    """One of them as it is shown."""
    return TOO_FEW if value is None else f"{value:,}"


def how_to_read(least: int, limits: PublicEditionRules | None) -> tuple[str, ...]:
    """How the page and the report are to be read, in sentences; with `limits` for the public edition.

    Groups of fewer than `least` alumni are not compared.
    """
    notes = (
        "Each dot is what the alumni who answered say on the whole; the line through it is the 95 % interval. Were "
        "other alumni of the same kind asked again and again, about 95 of 100 such lines would hold the true value. n "
        "is how many answered.",
        "Groups are called different only where a test says so: first whether the groups of a question differ at all, "
        "with Holm's correction over the questions, then each group against all others, with Holm's correction over "
        "the groups. Of many comparisons some would look different by chance; the correction sees to that. p is how "
        "often chance alone would give such differences, or greater ones, were the groups alike.",
        f"{NOT_EQUAL} It means that these answers cannot tell them apart. Groups of fewer than {least} alumni are not "
        "compared, nor are means of groups whose ratings are all the same.",
        "A difference is no cause: who chose a degree or a department differs in more than that.",
        "Each alumnus counts once, with the newest answer. Ratings are from 1 to 5; excellent is 5.",
    )
    if limits is None:
        return notes
    return (
        *notes,
        f"This edition names nobody. Groups of fewer than {limits.min_estimate} alumni show no mean and no share, "
        f"groups of fewer than {limits.min_count} no number, and others are left out where they would give these away.",
    )


def number(value: int | None) -> str:
    """A number as it is shown."""
    return HIDDEN if value is None else f"{value:,}"


def mean(value: float | None) -> str:
    """A mean rating as it is shown."""
    return HIDDEN if value is None else f"{value:.2f}"


def share(value: float | None) -> str:
    """A share as it is shown."""
    return HIDDEN if value is None else percent(value)


def interval(low: float | None, high: float | None) -> str:
    """The interval of a mean as it is shown."""
    return "none" if low is None or high is None else f"{low:.2f} to {high:.2f}"


def share_interval(low: float | None, high: float | None) -> str:
    """The interval of a share as it is shown."""
    return "none" if low is None or high is None else f"{percent(low)} to {percent(high)}"
