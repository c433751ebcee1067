"""What the report says: the public edition, and what changed since the last report."""

from hypothesis import given, settings

from alumni_assets.answers.figures import Quality
from alumni_assets.answers.public_edition import public_edition
from alumni_assets.report.content import Before, report_content
from alumni_assets.survey_rules import DashboardRules, ReportRules, default_rules
from alumni_assets_tests.answers.people import Person, a_person, populations
from alumni_assets_tests.report.offices import (
    PUBLISHED,
    QUALITY,
    RIGHT_TO_LEFT,
    a_population,
    content_of,
    figures_of,
    public_of,
)


def test_it_names_its_week_and_the_time_of_its_figures() -> None:
    content = content_of(a_population())
    assert content.subject == "DMC Academy alumni survey: weekly report 2026-W48"
    assert content.subtitle == "Weekly report 2026-W48, 23 November 2026 to 29 November 2026"
    assert content.as_of == "20 November 2026, 12:05 (Asia/Manila)"


def test_dates_are_in_the_configured_language() -> None:
    rules = default_rules().model_copy(update={"report": ReportRules(language="fil_PH")})
    content = report_content("2026-W48", public_of(a_population()), None, rules)
    assert "Nobyembre 2026" in content.subtitle
    assert "Nobyembre 2026" in content.as_of


def test_the_first_report_compares_with_nothing() -> None:
    content = content_of(a_population())
    assert (content.since, content.changed) == ("", ())
    assert content.summary == "The first report: 120 alumni."
    assert [count.then for count in content.counts] == [""] * 5


def test_what_changed_is_told_in_numbers_and_in_words() -> None:
    content = content_of(
        [*a_population(), *[a_person(5, job_role="Role 0", department="Department 0")] * 60], a_population()
    )
    assert content.since == "16 November 2026"
    assert content.summary == "180 alumni, +60 since then."
    assert (content.counts[0].now, content.counts[0].then, content.counts[0].change) == ("180", "120", "+60")
    assert content.counts[1].change == "no change"
    changed = {one.question: one.sentences for one in content.changed}
    roles = changed["What are the top job roles?"]
    assert roles[0].startswith(
        "Now: Role 0 is the most frequent role (84, 46.7 % of all), clearly ahead of Role 1 (24)."
    )
    assert "Then: Role 0, Role 1, Role 2 and 2 others are the most frequent roles (24 each)." in roles[0]
    assert "Role 0: 24 → 84 alumni, share 20.0 % → 46.7 %." in roles


def test_a_headline_of_which_only_the_numbers_changed_is_not_told_twice() -> None:
    content = content_of(a_population(240), a_population())
    assert [sentence for one in content.changed for sentence in one.sentences if sentence.startswith("Now:")] == []


def test_another_first_is_told_where_the_names_differ_in_brackets_only() -> None:
    math, english = ([a_person(3, job_role=f"Teacher ({subject})")] * 60 for subject in ("Math", "English"))
    content = content_of([*math, *english[:20]], [*math[:20], *english])
    assert [sentence for one in content.changed for sentence in one.sentences if sentence.startswith("Now:")] == [
        "Now: Teacher (Math) is the most frequent role (60, 75.0 % of all), clearly ahead of Teacher (English) (20). "
        "Then: Teacher (English) is the most frequent role (60, 75.0 % of all), clearly ahead of Teacher (Math) (20)."
    ]


def test_that_nothing_was_published_since_is_said() -> None:
    figures = public_of(a_population())
    content = report_content("2026-W48", figures, Before(PUBLISHED, figures), default_rules())
    assert content.summary == "Nothing new was published since then. Still 120 alumni."
    assert content.changed == ()


def test_that_the_answers_are_the_same_is_said() -> None:
    content = content_of(a_population(), a_population())
    assert content.summary == "Still 120 alumni. The answers are the same."


def test_the_quality_of_the_data_is_said_in_sentences() -> None:
    assert content_of(a_population()).quality == (
        "3 rows were set aside with the reasons; 1 of these still waits to be corrected. Nothing is thrown away.",
        "Most frequent reasons: 2 × Job_Role is empty, 1 × Department is not one of the possible answers.",
        "1 file was rejected as a whole.",
        "2 files wait for approval; what is in them does not count yet.",
    )


def test_clean_data_are_said_to_be_clean() -> None:
    clean = QUALITY.model_copy(
        update={"rows_set_aside": 0, "rows_open": 0, "uploads_rejected": 0, "uploads_waiting": 0, "reasons": ()}
    )
    assert quality_of(clean) == ("No row was set aside.",)


def quality_of(quality: Quality) -> tuple[str, ...]:
    public = public_edition(figures_of(a_population(), quality=quality), default_rules().public_edition)
    return report_content("2026-W48", public, None, default_rules()).quality


def test_a_name_from_right_to_left_does_not_turn_the_numbers_round() -> None:
    before = [person._replace(department=RIGHT_TO_LEFT) for person in a_population(60)]
    content = content_of([*before, *before], before)
    isolated = f"\N{FIRST STRONG ISOLATE}{RIGHT_TO_LEFT}\N{POP DIRECTIONAL ISOLATE}"
    sentences = [sentence for changed in content.changed for sentence in changed.sentences]
    assert f"{isolated}: 60 → 120 alumni." in sentences


def test_a_title_of_several_lines_is_one() -> None:
    rules = default_rules().model_copy(update={"dashboard": DashboardRules(title="Our\nsurvey\r\nBcc: eve@school.ph")})
    assert report_content("2026-W48", public_of([]), None, rules).subject.startswith("Our survey Bcc: eve@school.ph: ")


@given(people=populations(40), before=populations(40))
@settings(max_examples=60, deadline=None)
def test_groups_that_are_too_small_are_named_nowhere(people: list[Person], before: list[Person]) -> None:
    """Not in the answers, and not in what changed since a report that named them."""
    content = content_of(people, before)
    allowed = {
        row.name for one in (people, before) for answer in public_of(one).answers.values() for row in answer.rows
    }
    said = repr((content.cards, content.changed, content.summary))
    small = {name for person in (*people, *before) for name in person[:4]} - allowed
    assert not [name for name in small if name in said]


def test_of_no_alumni_and_of_one_there_is_a_report_that_says_so() -> None:
    for people in ([], [a_person()]):
        content = content_of(people)
        assert content.summary == "There are too few alumni to show anything."
        assert content.counts[0].now == "too few to show"
    assert content_of(a_population(), []).summary == "120 alumni; then they were too few to show."
