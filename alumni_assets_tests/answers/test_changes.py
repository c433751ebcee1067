"""What is said to have changed between two sets of answers."""

from alumni_assets.answers.changes import changes_of_answer, changes_of_cuts
from alumni_assets.answers.figures import Answer, Row

from .test_verdicts import cut


def degrees(*rows: Row) -> Answer:
    return Answer(question="degree_performance", rows=rows)


def test_numbers_and_means_that_changed_are_told_the_greatest_change_first() -> None:
    old = degrees(
        Row(name="Law", alumni=100, mean=3.2), Row(name="Arts", alumni=40, mean=3.0), Row(name="Film", alumni=9)
    )
    new = degrees(
        Row(name="Law", alumni=101, mean=3.204), Row(name="Arts", alumni=90, mean=3.1), Row(name="Film", alumni=9)
    )
    assert changes_of_answer(old, new) == (
        "Arts: 40 → 90 alumni, mean 3.00 → 3.10.",
        "Law: 100 → 101 alumni.",
    )


def test_groups_that_came_and_went_are_told() -> None:
    old, new = degrees(Row(name="Law", alumni=1)), degrees(Row(name="Arts", alumni=1200))
    assert changes_of_answer(old, new) == ("Arts is new, with 1,200 alumni.", "Law is no longer shown.")


def test_a_figure_that_one_of_the_two_does_not_show_is_not_told() -> None:
    old, new = degrees(Row(name="Law", alumni=9)), degrees(Row(name="Law", alumni=9, mean=3.1))
    assert changes_of_answer(old, new) == ()


def test_many_changes_are_counted() -> None:
    old = degrees(*[Row(name=f"G{n}", alumni=10) for n in range(8)])
    new = degrees(*[Row(name=f"G{n}", alumni=20 + n) for n in range(8)])
    found = changes_of_answer(old, new)
    assert found[0] == "G7: 10 → 27 alumni."
    assert found[-1] == "3 more groups changed."
    assert len(found) == 6


def test_shares_and_excellent_alumni_that_changed_are_told() -> None:
    old = Answer(question="campus_excellence", rows=(Row(name="Main", alumni=10, excellent=2, share=0.2),))
    new = Answer(question="campus_excellence", rows=(Row(name="Main", alumni=10, excellent=3, share=0.3),))
    assert changes_of_answer(old, new) == ("Main: 2 → 3 rated 5, share 20.0 % → 30.0 %.",)


def test_lists_that_end_elsewhere_are_told() -> None:
    assert changes_of_cuts([cut("HR", 50, 60), cut("Tech", 1, 2)], [cut("HR", 51, 60), cut("Tech", 1, 2)]) == (
        "HR: 100 listed, the last rated 4, of 150 alumni.",
    )


def test_a_department_of_which_nobody_is_left_is_told() -> None:
    assert changes_of_cuts([cut("HR", 50, 60), cut("Tech", 1, 2)], [cut("HR", 50, 60)]) == (
        "Tech has no list any more.",
    )
