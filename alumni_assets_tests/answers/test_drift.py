"""How the newest batch differs from those before it."""

from datetime import datetime

from alumni_assets.answers.drift import newest_against_earlier
from alumni_assets.answers.figures import Batch, Drift


def batch(rows: int, invalid: int) -> Batch:
    return Batch(
        upload="a.csv@1a2b3c4d",
        received_at=datetime(2026, 11, 1),
        rows=rows,
        valid=rows - invalid,
        invalid=invalid,
        invalid_low=0.0,
        invalid_high=1.0,
        open=0,
    )


def drift(batches: list[Batch], **counted: dict[str, list[int]]) -> dict[str, Drift]:
    return {found.measure: found for found in newest_against_earlier(batches, counted)}


def test_a_batch_with_many_more_rows_set_aside_differs() -> None:
    found = drift([batch(200, 4), batch(200, 4), batch(100, 30)])["Rows set aside"]
    assert (found.newest, found.earlier, found.is_clear) == ("30.0 %", "2.0 %", True)
    assert found.test == "chi-squared test"


def test_a_batch_like_those_before_does_not() -> None:
    ratings = {str(rating): [20, 40] for rating in range(1, 6)}
    found = drift(
        [batch(200, 20), batch(100, 10)], performance_rating=ratings, department={"HR": [50, 100], "R&D": [50, 100]}
    )
    assert not any(one.is_clear for one in found.values())
    assert found["Mean rating"].newest == found["Mean rating"].earlier == "3.00"
    assert found["Mix of departments"].newest == "R&D 50.0 %"


def test_another_mix_differs_and_the_value_that_changed_most_is_shown() -> None:
    found = drift([batch(200, 0), batch(100, 0)], dmc_campus={"Main": [10, 100], "Porac": [80, 60], "Lubao": [10, 40]})
    mix = found["Mix of campuses"]
    assert (mix.newest, mix.earlier, mix.is_clear) == ("Porac 80.0 %", "Porac 30.0 %", True)


def test_too_few_answers_are_not_tested() -> None:
    found = drift(
        [batch(3, 0), batch(2, 0)], dmc_campus={"Main": [1, 2], "Porac": [1, 1]}, performance_rating={"5": [2, 3]}
    )
    assert {one.p_adjusted for one in found.values()} == {None}


def test_values_that_are_rare_are_tested_together() -> None:
    """Many roles with one answer each say nothing one by one."""
    roles = {f"Role {n}": [1, 1] for n in range(20)} | {"Teacher": [80, 80]}
    found = drift([batch(100, 0), batch(100, 0)], job_role=roles)["Mix of job roles"]
    assert found.p_adjusted is not None
    assert not found.is_clear
