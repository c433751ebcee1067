"""The page of any tables: tiny groups, nobody, a million alumni, ties everywhere, hostile text; in both editions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from alumni_assets.answers.figures import Figures, TrendPoint
from alumni_assets.answers.public_edition import public_edition
from alumni_assets.answers.reading import read_figures, read_people
from alumni_assets.dashboard.page import render_page
from alumni_assets.survey_rules import DashboardRules, SurveyRules, default_rules
from alumni_assets_tests.answers.people import Person, Questionnaire, a_person, populations
from alumni_assets_tests.report.offices import RIGHT_TO_LEFT

pytestmark = pytest.mark.slow

RULES = default_rules()


class Text(HTMLParser):
    """The text of a page, and how often each of its elements comes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.elements: dict[str, int] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements[tag] = self.elements.get(tag, 0) + 1

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def questionnaire() -> Questionnaire:
    return Questionnaire()


def figures_of(questionnaire: Questionnaire, people: Sequence[Person]) -> Figures:
    questionnaire.all_tables(people)
    return read_figures(questionnaire.connection, uploads_waiting=0)


def pages(questionnaire: Questionnaire, rules: SurveyRules = RULES, previous: Figures | None = None) -> tuple[str, str]:
    """Both editions of the page about the alumni that the questionnaire has now."""
    figures = read_figures(questionnaire.connection, uploads_waiting=0)
    internal = render_page(figures, previous, read_people(questionnaire.connection), rules)
    before = public_edition(previous, rules.public_edition) if previous else None
    return internal, render_page(public_edition(figures, rules.public_edition), before, None, rules)


@settings(max_examples=8, deadline=None)
@given(people=populations(40), before=populations(20))
def test_both_editions_render_whatever_the_tables_are(
    questionnaire: Questionnaire, people: list[Person], before: list[Person]
) -> None:
    previous = figures_of(questionnaire, before)
    figures_of(questionnaire, people)
    internal, public = pages(questionnaire, previous=previous)
    for page in (internal, public):
        assert Text(page).elements["article"] == 5
        assert "None" not in Text(page).text
        assert "nan" not in Text(page).text.split()
    assert Text(internal).text.count("employee_name") == 0 if not people else "employee_name 0" in internal
    assert "employee_name" not in public


@pytest.mark.parametrize("people", [[], [a_person()], [a_person(5)] * 9, [a_person(4)] * 150], ids=len)
def test_few_alumni_and_ties_everywhere_render(questionnaire: Questionnaire, people: list[Person]) -> None:
    figures_of(questionnaire, people)
    internal, public = (Text(page) for page in pages(questionnaire))
    assert f"{len(people):,} Alumni" in internal.text.replace("Alumni " + f"{len(people):,}", f"{len(people):,} Alumni")
    assert ("too few to show" in public.text) == (len(people) < 10)
    if len(people) == 150:
        assert "100 alumni on the lists of 1 department; 1 is cut inside a tie." in internal.text
        assert "HR: 100 of 150 rated 4 are on it." in internal.text


def test_a_million_alumni_render(questionnaire: Questionnaire) -> None:
    questionnaire.fill([])
    questionnaire.connection.execute(
        """
        INSERT INTO alumni BY NAME
        SELECT
            i AS employee_id, 'Valerie ' || i AS employee_name, 'Degree ' || i % 10 AS college_degree,
            'Department ' || i % 7 AS department, 'Role ' || i % 5000 AS job_role, 'Campus ' || i % 8 AS dmc_campus,
            'v' || i || '@school.edu.ph' AS email, '+63 9' || i AS phone_number,
            1 + (hash(i) % 5)::TINYINT AS performance_rating, 'a' AS upload, i AS source_row, now() AS received_at
        FROM range(1000000) AS numbers(i)
        """
    )
    questionnaire.ask()
    internal, public = pages(questionnaire)
    assert "1,000,000" in Text(internal).text
    assert "Alumni by job role: the first 20" in internal
    assert len(internal) < 2_500_000
    assert "not_shown" not in Text(public).text


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} {% raw %}",
    "</style></script><!--",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "a\\nb ${x} `y`",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is(questionnaire: Questionnaire, text: str) -> None:
    people = [a_person(3, **dict.fromkeys(("college_degree", "dmc_campus", "department", "job_role"), text))] * 12
    harmless = [a_person(3, **dict.fromkeys(("college_degree", "dmc_campus", "department", "job_role"), "Plain"))] * 12
    figures_of(questionnaire, harmless)
    expected = [Text(page).elements for page in pages(questionnaire)]
    figures_of(questionnaire, people)
    found = pages(questionnaire)
    assert [Text(page).elements for page in found] == expected
    assert all(" ".join(text.split()) in Text(page).text for page in found)


def test_contacts_are_shown_unless_they_are_to_be_masked(questionnaire: Questionnaire) -> None:
    figures_of(questionnaire, [a_person()] * 3)
    shown, _ = pages(questionnaire)
    assert "email 0" in shown
    masked, _ = pages(questionnaire, RULES.model_copy(update={"dashboard": DashboardRules(mask_contacts=True)}))
    assert "email 0" not in masked
    assert "phone_number 0" not in masked
    assert "<td>e***</td><td>p***</td>" in masked
    assert "employee_name 0" in masked


def test_what_changed_is_told_of_every_answer(questionnaire: Questionnaire) -> None:
    before = figures_of(questionnaire, [a_person(3)] * 20)
    figures_of(questionnaire, [a_person(3)] * 20 + [a_person(5)] * 4)
    for page in pages(questionnaire, previous=before):
        text = Text(page).text
        assert "24 alumni, +4 since then." in text
        assert "Law: 20 → 24 alumni, mean 3.00 → 3.33." in text
        assert "Main: 20 → 24 alumni, 0 → 4 rated 5, share 0.0 % → 16.7 %." in text
        assert "HR: 20 → 24 alumni, mean 3.00 → 3.33." in text
        assert "Clerk: 20 → 24 alumni." in text
    figures_of(questionnaire, [a_person(3)] * 20)
    internal, _ = pages(questionnaire, previous=before)
    assert Text(internal).text.count("Unchanged since") == 4
    assert Text(internal).text.count("where they end is unchanged since") == 1


def test_a_large_group_with_one_rating_is_not_said_to_have_too_few(questionnaire: Questionnaire) -> None:
    mixed = [a_person(1 + n % 5, college_degree=("Arts", "Film")[n % 2]) for n in range(60)]
    figures_of(questionnaire, [*mixed, *[a_person(5, college_degree="Law")] * 60])
    for page in pages(questionnaire):
        text = Text(page).text
        assert "Law 60 5.00 none not compared" in text
        assert "too few to compare" not in text
        assert "not compared, nor are means of groups whose ratings are all the same." in text


def test_a_name_from_right_to_left_does_not_turn_the_numbers_round(questionnaire: Questionnaire) -> None:
    before = figures_of(questionnaire, [a_person(job_role=RIGHT_TO_LEFT)] * 30)
    figures_of(questionnaire, [a_person(job_role=RIGHT_TO_LEFT)] * 60)
    isolated = f"\N{FIRST STRONG ISOLATE}{RIGHT_TO_LEFT}\N{POP DIRECTIONAL ISOLATE}"
    for page in pages(questionnaire, previous=before):
        text = Text(page).text
        assert f"{isolated}: 30 → 60 alumni." in text
        assert f"{isolated} is the most frequent role (60)." in text


def test_times_are_told_in_the_surveys_zone_and_in_the_language_of_the_configuration(
    questionnaire: Questionnaire,
) -> None:
    figures_of(questionnaire, [a_person()])
    in_spanish = RULES.report.model_copy(update={"language": "es"})
    internal, _ = pages(questionnaire, RULES.model_copy(update={"report": in_spanish}))
    assert "2 noviembre 2026, 00:30 (Asia/Manila)" in Text(internal).text


def test_a_batch_is_shown_on_the_day_on_which_it_came_in_the_surveys_zone(questionnaire: Questionnaire) -> None:
    figures = figures_of(questionnaire, [a_person()])
    point = TrendPoint(
        kind="batch",
        period="evening.csv@1a2b3c4d",
        begins=datetime(2026, 11, 27, 18, 30),
        dimension="department",
        group="HR",
        alumni=1,
        excellent=0,
        mean=3.0,
        mean_low=None,
        mean_high=None,
        share_low=0.0,
        share_high=0.8,
    )
    with_trend = figures.model_copy(update={"trends": (point,)})
    text = Text(render_page(with_trend, None, read_people(questionnaire.connection), RULES)).text
    assert "HR 2026-11-28 evening.csv 1 3.00 none" in text


def sections(text: Mapping[str, int]) -> int:
    return text.get("section", 0)


def test_what_there_is_not_is_not_on_the_page(questionnaire: Questionnaire) -> None:
    figures_of(questionnaire, [a_person()])
    internal, public = (Text(page) for page in pages(questionnaire))
    assert (sections(internal.elements), sections(public.elements)) == (4, 3)
    assert "No row was set aside." in internal.text
    assert "Moves between roles" not in internal.text
