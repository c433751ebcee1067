"""The figures as the public may see them: no names, and nothing about groups so small that it is about persons.

A group of few alumni shows no number (`min_count`), or no mean and no share (`min_estimate`). As whatever is left out
of a table could be worked out from its total, the smallest of the others are left out with it, until what is left out
is at least two groups and enough alumni together. Who is left out goes by numbers alone: did it go by ratings, leaving
somebody out would tell of them. Where even so all that are left out together have the same rating, or are all or none
of them rated 5, ratings are left out of every question.

Then two alumni of different groups could be exchanged without a trace in anything that is shown, which is what
`alumni_assets_tests/answers/test_public_edition.py` tries for every figure. Groups without a number are not named
either: a rare job role names a person. Two editions with few alumni between them can be compared by anyone who has
both; no rule here prevents that.
"""

from collections.abc import Iterable, Mapping, Sequence

from alumni_assets.answers.figures import Answer, Figures, Moves, Quality, Question, Row
from alumni_assets.survey_rules import PublicEditionRules

_NO_RATING = {
    "excellent": None,
    "share": None,
    "share_low": None,
    "share_high": None,
    "mean": None,
    "sd": None,
    "mean_low": None,
    "mean_high": None,
}


def public_edition(figures: Figures, limits: PublicEditionRules) -> Figures:
    """The figures without lists of people, trends and moves, and with small groups left out of the answers."""
    answers, alumni = public_answers(figures.answers, limits)
    return figures.model_copy(
        update={
            "alumni": alumni,
            "responses": None,
            "answers": answers,
            "cuts": (),
            "trends": (),
            "moves": Moves(),
            "quality": _public_quality(figures.quality),
        }
    )


def public_answers(
    answers: Mapping[Question, Answer], limits: PublicEditionRules
) -> tuple[dict[Question, Answer], int | None]:
    """The answers with small groups left out, and how many alumni there are; None where that may not be shown."""
    alumni = _total(next(iter(answers.values())).rows)
    if alumni < max(limits.min_count, limits.min_estimate):
        return {question: Answer(question=question, rows=()) for question in answers}, None
    without_number = {
        question: _completed(_fewer_than(answer.rows, limits.min_count), answer.rows, limits.min_estimate)
        for question, answer in answers.items()
    }
    without_rating = {
        question: _without_rating(answer, without_number[question], limits.min_estimate)
        for question, answer in answers.items()
    }
    if any(_are_alike(answers[question], hidden) for question, hidden in without_rating.items()):
        without_rating = {question: {row.name for row in answer.rows} for question, answer in answers.items()}
    return {
        question: _shown(answer, without_number[question], without_rating[question])
        for question, answer in answers.items()
    }, alumni


def _without_rating(answer: Answer, without_number: set[str], least: int) -> set[str]:
    """The groups without a mean or share; of job roles, whose share is but their number, only the small ones."""
    hidden = without_number | _fewer_than(answer.rows, least)
    if answer.question == "job_roles":
        return hidden
    # Of ten alumni it is not rare that none is rated 5; of thirty it is.
    together = 3 * least if answer.question == "campus_excellence" else least
    return _completed(hidden, answer.rows, together)


def _completed(hidden: set[str], rows: Sequence[Row], together: int) -> set[str]:
    """These groups, with the smallest of the others until they are two groups at least, and `together` alumni."""
    completed = set(hidden)
    others = sorted((row for row in rows if row.name not in hidden), key=lambda row: (row.alumni or 0, row.name))
    for row in others:
        if not completed or (len(completed) > 1 and _total(_chosen(rows, completed)) >= together):
            break
        completed.add(row.name)
    return completed


def _are_alike(answer: Answer, hidden: set[str]) -> bool:
    """Whether the alumni of these groups do not differ in what the question asks."""
    rows = _chosen(answer.rows, hidden)
    if not rows or answer.question == "job_roles":
        return False
    if answer.question == "campus_excellence":
        return sum(row.excellent or 0 for row in rows) in (0, _total(rows))
    return len({row.mean for row in rows}) == 1 and not any(row.sd for row in rows)


def _shown(answer: Answer, without_number: set[str], without_rating: set[str]) -> Answer:
    """The answer with what is left over; those without a mean or share come last, for their place would tell it."""
    whole = [row for row in answer.rows if row.name not in without_rating]
    cut = [
        row.model_copy(update=_NO_RATING)
        for row in answer.rows
        if row.name in without_rating and row.name not in without_number
    ]
    return Answer(
        question=answer.question,
        rows=(*whole, *sorted(cut, key=lambda row: (-(row.alumni or 0), row.name))),
        unnamed=_total(_chosen(answer.rows, without_number)),
    )


def _fewer_than(rows: Iterable[Row], least: int) -> set[str]:
    return {row.name for row in rows if (row.alumni or 0) < least}


def _chosen(rows: Iterable[Row], names: set[str]) -> list[Row]:
    return [row for row in rows if row.name in names]


def _total(rows: Iterable[Row]) -> int:
    return sum(row.alumni or 0 for row in rows)


def _public_quality(quality: Quality) -> Quality:
    """What is said of the data, without the batches: their names were given by people."""
    return quality.model_copy(update={"batches": (), "drift": (), "rows": None})
