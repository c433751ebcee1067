"""The public edition: who is left out, and that nothing that is left out can be worked out from the rest.

Of a figure that is left out it is shown that it might be another: there are other alumni, of whom the edition would be
the same to the last digit, and the figure would differ.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import given, settings

from alumni_assets.answers.figures import GROUPED_BY, QUESTIONS, Answer, Question
from alumni_assets.answers.public_edition import public_answers
from alumni_assets.survey_rules import PublicEditionRules

from .people import Person, Questionnaire, a_person, answers_of, populations

LIMITS = PublicEditionRules()
Edition = tuple[dict[Question, Answer], int | None]


@pytest.fixture(scope="module")
def questionnaire() -> Questionnaire:
    return Questionnaire()


def of_degrees(questionnaire: Questionnaire, **numbers: int) -> tuple[dict[str, int | None], int]:
    """The degrees that the edition names, with their means, and how many alumni it does not name, of these many."""
    people = [a_person(1 + n % 5, college_degree=degree) for degree, many in numbers.items() for n in range(many)]
    answers, _ = public_answers(questionnaire.answers(people), LIMITS)
    degrees = answers["degree_performance"]
    return {row.name: row.mean for row in degrees.rows}, degrees.unnamed


def test_groups_of_ten_show_everything(questionnaire: Questionnaire) -> None:
    assert of_degrees(questionnaire, Law=10, Arts=15) == ({"Arts": 3.0, "Law": 3.0}, 0)


def test_a_group_under_ten_shows_no_mean_and_takes_the_next_smallest_with_it(questionnaire: Questionnaire) -> None:
    assert of_degrees(questionnaire, Law=9, Arts=15, Music=20) == ({"Music": 3.0, "Arts": None, "Law": None}, 0)


def test_a_group_under_five_is_not_named_and_neither_is_the_next_smallest(questionnaire: Questionnaire) -> None:
    assert of_degrees(questionnaire, Law=4, Arts=15, Music=20) == ({"Music": 3.0}, 19)


def test_more_groups_go_until_those_left_out_are_ten_alumni(questionnaire: Questionnaire) -> None:
    assert of_degrees(questionnaire, Law=1, Arts=5, Music=6, Dance=20) == ({"Dance": 3.0}, 12)


def test_two_groups_that_hide_each_other_take_nobody_with_them(questionnaire: Questionnaire) -> None:
    assert of_degrees(questionnaire, Law=9, Arts=8, Music=20) == ({"Music": 3.0, "Law": None, "Arts": None}, 0)


def test_campuses_are_left_out_until_they_are_thirty_alumni(questionnaire: Questionnaire) -> None:
    sizes = {"Main": 60, "Porac": 20, "Lubao": 15, "Apalit": 9}
    people = [a_person(1 + n % 5, dmc_campus=campus) for campus, many in sizes.items() for n in range(many)]
    answers, _ = public_answers(questionnaire.answers(people), LIMITS)
    shown = {row.name: row.excellent for row in answers["campus_excellence"].rows}
    assert shown == {"Main": 12, "Porac": None, "Lubao": None, "Apalit": None}


def test_where_those_left_out_have_all_the_same_rating_no_question_tells_ratings(questionnaire: Questionnaire) -> None:
    people = [
        *[a_person(4, college_degree="Law")] * 6,
        *[a_person(4, college_degree="Arts")] * 6,
        *[a_person(n % 5 + 1, college_degree="Film") for n in range(20)],
    ]
    answers, _ = public_answers(questionnaire.answers(people), LIMITS)
    assert {row.mean for question in QUESTIONS for row in answers[question].rows} == {None}
    assert [row.excellent for row in answers["campus_excellence"].rows] == [None]
    assert {row.name: row.alumni for row in answers["degree_performance"].rows} == {"Film": 20, "Arts": 6, "Law": 6}


def test_of_fewer_than_ten_alumni_nothing_is_told(questionnaire: Questionnaire) -> None:
    answers, alumni = public_answers(questionnaire.answers([a_person()] * 9), LIMITS)
    assert alumni is None
    assert {answer.rows for answer in answers.values()} == {()}
    assert {answer.unnamed for answer in answers.values()} == {0}


def test_of_nobody_nothing_is_told(questionnaire: Questionnaire) -> None:
    answers, alumni = public_answers(questionnaire.answers([]), LIMITS)
    assert (alumni, {answer.rows for answer in answers.values()}) == (None, {()})


def test_the_limits_can_be_set(questionnaire: Questionnaire) -> None:
    people = [a_person(1 + n % 5) for n in range(4)] + [a_person(college_degree="Arts")] * 3
    answers, alumni = public_answers(questionnaire.answers(people), PublicEditionRules(min_count=2, min_estimate=3))
    assert alumni == 7
    assert [row.mean for row in answers["degree_performance"].rows] == [3.0, 2.5]


def exchanged(people: Sequence[Person], column: str) -> Iterator[list[Person]]:
    """Others, two of whom have exchanged their groups of one kind."""
    for first in range(len(people)):
        for second in range(first):
            one, other = people[first], people[second]
            if getattr(one, column) != getattr(other, column) and one.performance_rating != other.performance_rating:
                changed = list(people)
                changed[first] = one._replace(**{column: getattr(other, column)})
                changed[second] = other._replace(**{column: getattr(one, column)})
                yield changed


def moved(people: Sequence[Person], column: str) -> Iterator[list[Person]]:
    """Others, some of whom are in another group of one kind, or in one of their own."""
    places: dict[str, list[int]] = {}
    for place, person in enumerate(people):
        places.setdefault(getattr(person, column), []).append(place)
    for members in places.values():
        for name in [*places, "another"]:
            for many in range(1, len(members) + 1):
                changed = list(people)
                for place in members[:many]:
                    changed[place] = people[place]._replace(**{column: name})
                yield changed


def others(people: Sequence[Person], column: str) -> Iterator[list[Person]]:
    """Other populations, for example: with other groups, or with other ratings altogether."""
    yield from exchanged(people, column)
    yield from moved(people, column)
    for rating in range(1, 6):
        yield [person._replace(performance_rating=rating) for person in people]
    yield from ([*people, people[0]], list(people[1:])) if people else ()


def figures_of(answer: Answer) -> dict[tuple[str, str], object]:
    """The figures of an answer, by group and name."""
    return {
        (row.name, name): value
        for row in answer.rows
        for name, value in row.model_dump(include={"alumni", "mean", "excellent"}, exclude_none=True).items()
    }


def hidden_figures(
    answers: Mapping[Question, Answer], edition: Edition, question: Question
) -> dict[tuple[str, str], object]:
    """What the edition leaves out of an answer."""
    shown = figures_of(edition[0][question])
    return {figure: value for figure, value in figures_of(answers[question]).items() if figure not in shown}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(populations(34))
def test_a_figure_that_is_left_out_might_be_another(people: list[Person]) -> None:
    edition = public_answers(answers_of(people), LIMITS)
    for question, column in GROUPED_BY.items():
        left = hidden_figures(answers_of(people), edition, question)
        for other in others(people, column):
            if not left:
                break
            if public_answers(answers_of(other), LIMITS) == edition:
                elsewhere = figures_of(answers_of(other)[question])
                left = {figure: value for figure, value in left.items() if elsewhere.get(figure) == value}
        assert left == {}, f"{question} of {Counter(people)}"


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(people=populations(34))
def test_the_answers_that_were_tried_are_those_of_the_pipeline(
    questionnaire: Questionnaire, people: list[Person]
) -> None:
    tried = answers_of(people)
    for question, answer in questionnaire.answers(people).items():
        assert [row.name for row in answer.rows] == [row.name for row in tried[question].rows]
        for row, same in zip(answer.rows, tried[question].rows, strict=True):
            given = row.model_dump(
                exclude={"share_low", "share_high", "mean_low", "mean_high", "name"}, exclude_none=True
            )
            assert given == pytest.approx(same.model_dump(exclude={"name"}, exclude_none=True))
