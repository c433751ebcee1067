"""What is said of the answers: only what the tests bear out, and of fewer groups where fewer are shown."""

import pytest

from alumni_assets.answers.figures import Cut
from alumni_assets.answers.public_edition import public_answers
from alumni_assets.answers.verdict_rows import verdict_rows
from alumni_assets.answers.verdicts import judge, on_top_employees, p_value
from alumni_assets.survey_rules import PublicEditionRules

from .people import Person, a_person, answers_of


def spread(mean: int, many: int, **given: str) -> list[Person]:
    """Alumni whose ratings lie evenly around a mean."""
    return [a_person(max(1, min(5, mean + n % 3 - 1)), **given) for n in range(many)]


def headlines(people: list[Person], least: int = 10) -> dict[str, str]:
    return {question: verdict.headline for question, verdict in judge(answers_of(people), least).items()}


def test_where_nothing_differs_nothing_is_called_different() -> None:
    people = [
        one for degree in ("Law", "Arts", "Film") for one in spread(3, 30, college_degree=degree, department=degree)
    ]
    found = headlines(people)
    assert found["degree_performance"] == "No clear difference between college degrees"
    assert found["department_employment"] == (
        "Arts, Film and Law employ the most alumni (30 each); no clear difference between departments"
    )
    grounds = judge(answers_of(people), 10)["degree_performance"].grounds
    assert grounds.startswith("Means lie between 3.00 (Arts) and 3.00 (Law). Chance alone could give such differences")
    assert grounds.endswith("“No clear difference” does not mean that they are equal.")


def test_a_group_that_stands_out_is_named_with_its_direction() -> None:
    people = [
        *spread(4, 40, college_degree="Law", department="Tech"),
        *[one for name in ("Arts", "Film", "Music") for one in spread(3, 40, college_degree=name, department=name)],
        *spread(2, 40, college_degree="Dance", department="Dance"),
    ]
    verdict = judge(answers_of(people), 10)["degree_performance"]
    assert verdict.headline == "Law is rated clearly higher, Dance is rated clearly lower than the rest"
    assert [verdict.standing(name) for name in ("Law", "Arts", "Dance", "Acting")] == [
        "higher",
        "no_clear_difference",
        "lower",
        None,
    ]
    assert "Law 3.98 against 2.73 (Welch's t-test, p < 0.001)" in verdict.grounds


def test_the_largest_campus_is_said_to_be_the_largest() -> None:
    people = [
        a_person(5 if n % 5 == 0 else 3, dmc_campus=campus)
        for campus, many in (("Main", 100), ("Porac", 40))
        for n in range(many)
    ]
    assert headlines(people)["campus_excellence"] == (
        "Main has the most alumni rated 5 (20), being the largest campus; "
        "by share, no clear difference between campuses"
    )


def test_a_campus_with_a_clearly_higher_share_is_named() -> None:
    people = [
        a_person(5 if n % 10 < some else 3, dmc_campus=campus)
        for campus, some in (("Main", 1), ("Porac", 8), ("Lubao", 1))
        for n in range(60)
    ]
    assert headlines(people)["campus_excellence"] == (
        "Porac has the most alumni rated 5 (48); by share, Porac has a clearly higher share, "
        "Lubao and Main have a clearly lower share than the rest"
    )


def test_no_campus_has_the_most_where_nobody_is_rated_5() -> None:
    people = [a_person(1 + n % 4, dmc_campus=campus) for campus in ("Main", "Porac") for n in range(40)]
    assert headlines(people)["campus_excellence"] == "No alumni are rated 5"


def test_groups_that_tie_are_named_together_and_none_is_ahead() -> None:
    roles = [a_person(job_role=role) for role in ("Actor", "Baker", "Clerk", "Dean", "Editor") for _ in range(6)]
    campuses = [a_person(5, dmc_campus=campus) for campus in ("Main", "Porac") for _ in range(4)]
    found = headlines([*roles, *campuses, *[a_person(dmc_campus="Main")] * 9])
    assert found["campus_excellence"].startswith("Porac and Main have the most alumni rated 5 (4 each); by share, ")
    assert headlines(roles)["job_roles"] == "Actor, Baker, Clerk and 2 others are the most frequent roles (6 each)"


def test_a_clear_lead_is_called_one() -> None:
    people = [*[a_person(job_role="Teacher")] * 60, *[a_person(job_role="Baker")] * 20]
    assert headlines(people)["job_roles"] == (
        "Teacher is the most frequent role (60, 75.0 % of all), clearly ahead of Baker (20)"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0131, "p = 0.013"), (0.3, "p = 0.30"), (0.0496, "p = 0.04960"), (0.0504, "p = 0.05040"), (1e-9, "p < 0.001")],
)
def test_a_p_value_is_shown_on_its_side_of_the_limit(value: float, shown: str) -> None:
    assert p_value(value) == shown


def test_few_alumni_are_not_compared() -> None:
    people = [*spread(5, 9, college_degree="Law"), *spread(1, 9, college_degree="Arts")]
    assert headlines(people)["degree_performance"] == "Too few alumni to compare college degrees"
    assert headlines(people, least=9)["degree_performance"] != "Too few alumni to compare college degrees"


@pytest.mark.parametrize("rating", [3, 5])
def test_many_alumni_whose_ratings_are_the_same_are_not_called_too_few(rating: int) -> None:
    people = [
        a_person(rating, college_degree=name, dmc_campus=name, department=name)
        for name, many in (("Law", 500), ("Arts", 300))
        for _ in range(many)
    ]
    found = judge(answers_of(people), 10)
    assert found["degree_performance"].headline == "Ratings too much alike to compare college degrees"
    assert found["campus_excellence"].headline == (
        "Law has the most alumni rated 5 (500), being the largest campus; "
        "by share, ratings too much alike to compare campuses"
        if rating == 5
        else "No alumni are rated 5"
    )
    assert found["department_employment"].headline.endswith("; ratings too much alike to compare departments")
    assert found["degree_performance"].grounds.endswith("The groups are too much alike for a test.")


def test_of_nobody_nothing_is_said() -> None:
    assert headlines([]) == {
        "degree_performance": "Too few alumni to compare college degrees",
        "campus_excellence": "Too few alumni to compare campuses",
        "department_employment": "Too few alumni to compare departments",
        "job_roles": "Too few alumni to name a top job role",
    }
    assert on_top_employees(()) == ("No alumni yet", "The list begins with the first upload that is approved.")


def test_where_groups_are_left_out_it_is_said_of_those_shown_only() -> None:
    people = [
        one
        for campus, many in (("Main", 60), ("Porac", 40), ("Lubao", 28), ("Apalit", 9))
        for n in range(many)
        for one in [a_person(1 + n % 5, dmc_campus=campus)]
    ]
    shown, _ = public_answers(answers_of(people), PublicEditionRules())
    verdict = judge(shown, 10)["campus_excellence"]
    assert verdict.headline.startswith("Of those shown, Main has the most alumni rated 5 (12)")
    assert verdict.grounds.startswith("Shares of those shown lie between 20.0 % (Main) and 20.0 % (Porac).")


def test_the_test_is_said_to_speak_of_the_groups_that_it_compared_only() -> None:
    people = [
        *spread(4, 40, college_degree="Law", dmc_campus="Main"),
        *spread(2, 40, college_degree="Arts", dmc_campus="Porac"),
        *[a_person(rating, college_degree=name, dmc_campus=name) for rating, name in ((5, "Film"), (1, "Dance"))],
        *[a_person(5, college_degree="Music", dmc_campus="Lubao")] * 9,
    ]
    found = judge(answers_of(people), 10)
    assert found["degree_performance"].grounds.startswith(
        "Means of those compared lie between 1.98 (Arts) and 3.98 (Law). That is more than chance alone would give "
    )
    assert found["campus_excellence"].grounds.startswith(
        "Shares of those compared lie between 0.0 % (Porac) and 32.5 % (Main). That is more than chance alone would "
    )


def cut(department: str, listed_at_last: int, alumni_at_last: int) -> Cut:
    return Cut(
        department=department,
        alumni=150,
        listed=100,
        last_rating=4,
        listed_at_last=listed_at_last,
        alumni_at_last=alumni_at_last,
        excellent=50,
        share=1 / 3,
        share_low=0.25,
        share_high=0.42,
    )


@pytest.mark.parametrize(
    ("cuts", "headline"),
    [
        ([cut("HR", 50, 50)], "100 alumni on the lists of 1 department"),
        ([cut("HR", 50, 60)], "100 alumni on the lists of 1 department; 1 is cut inside a tie"),
        ([cut("HR", 50, 60), cut("Tech", 9, 9)], "200 alumni on the lists of 2 departments; 1 is cut inside a tie"),
        ([cut("HR", 50, 60), cut("Tech", 9, 10)], "200 alumni on the lists of 2 departments; each is cut inside a tie"),
    ],
)
def test_a_list_that_ends_inside_a_tie_says_so(cuts: list[Cut], headline: str) -> None:
    found, grounds = on_top_employees(cuts)
    assert found == headline
    assert ("HR: 50 of 60 rated 4 are on it" in grounds) == ("tie" in headline)


def test_the_table_of_verdicts_has_a_row_for_each_question_and_each_group() -> None:
    people = [
        *spread(4, 40, college_degree="Law"),
        *spread(3, 40, college_degree="Arts"),
        *spread(3, 5, college_degree="Film"),
    ]
    rows = verdict_rows(answers_of(people), [cut("HR", 50, 60)], least=10)
    of_degrees = rows[rows["question"] == "degree_performance"]
    assert of_degrees[["group_name", "alumni", "verdict"]].astype(object).where(
        of_degrees.notna(), None
    ).values.tolist() == [
        [None, 80, "groups_differ"],
        ["Law", 40, "higher"],
        ["Arts", 40, "lower"],
        ["Film", 5, "too_few"],
    ]
    assert rows[rows["group_name"].isna()]["question"].tolist() == [
        "degree_performance",
        "campus_excellence",
        "department_employment",
        "department_employment",
        "job_roles",
        "top_employees",
    ]


def test_the_table_of_verdicts_about_nobody_has_only_the_questions() -> None:
    rows = verdict_rows(answers_of([]), [], least=10)
    assert rows["group_name"].isna().all()
    assert rows["alumni"].fillna(0).eq(0).all()
