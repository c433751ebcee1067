"""Whether an upload is unlike those before it, by what was counted of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.survey.drift import (
    Batch,
    Comparison,
    Profile,
    Shift,
    chi_squared,
    compared,
    earlier_uploads,
    shifts,
)
from alumni_assets.survey.standing import Arrival, Decision, Facts, Ingested, Seen, Status, Transformed
from alumni_assets.survey_rules import DriftRules

RULES = DriftRules()
ALIKE: Profile = {
    "college_degree": {"Education": 600, "Engineering": 400},
    "department": {"HR": 1000},
    "dmc_campus": {"Main": 500, "Porac": 500},
    "performance_rating": {"1": 200, "2": 200, "3": 200, "4": 200, "5": 200},
    "email_domain": {"school.edu.ph": 1000},
    "employee_id": {"rows": 1000, "repeated": 10},
}


def batch(rows: int = 1010, invalid: int = 10, **counted: Mapping[str, int]) -> Batch:
    """A batch of so many rows; what is not given was counted as in all others."""
    return Batch(rows, invalid, {**ALIKE, **counted})


def found(here: Batch, earlier: int = 6) -> list[tuple[str, str, str]]:
    return [(shift.measure, shift.here, shift.before) for shift in shifts(here, [batch()] * earlier, RULES)]


def test_a_batch_like_all_others_is_no_news() -> None:
    assert found(batch()) == []


@pytest.mark.parametrize(
    ("here", "shift"),
    [
        (batch(1100, 100), ("Invalid rows", "9.1%", "1.0%")),
        (
            batch(employee_id={"rows": 1000, "repeated": 110}),
            ("Rows with an employee id that came before in the file", "11.0%", "1.0%"),
        ),
        (
            batch(performance_rating={"4": 400, "5": 600}),
            ("Mix of ratings", "5 60.0%", "5 20.0%"),
        ),
        (batch(dmc_campus={"Main": 900, "Porac": 100}), ("Mix of campuses", "Porac 10.0%", "Porac 50.0%")),
        (batch(department={"Tech": 1000}), ("Mix of departments", "Tech 100.0%", "Tech 0.0%")),
        (
            batch(email_domain={"school.edu.ph": 940, "elsewhere.example": 60}),
            ("E-mail domain that is new", "elsewhere.example 6.0%", "none"),
        ),
        (batch(100, 1), ("Number of rows", "100", "1,010 in the middle")),
        (batch(10_101, 100), ("Number of rows", "10,101", "1,010 in the middle")),
    ],
)
def test_a_batch_that_is_unlike_the_others_is_told_with_what_was_before(
    here: Batch, shift: tuple[str, str, str]
) -> None:
    assert shift in found(here)


@pytest.mark.parametrize(
    "here",
    [
        batch(1050, 50),  # 4 points more
        batch(dmc_campus={"Main": 560, "Porac": 440}),
        batch(email_domain={"school.edu.ph": 960, "elsewhere.example": 40}),
        batch(10_100, 100),
    ],
)
def test_small_changes_are_no_news_however_certain_they_are(here: Batch) -> None:
    assert found(here) == []


def test_large_changes_are_no_news_where_chance_may_have_made_them() -> None:
    few: Profile = {
        **{name: {value: count // 20 for value, count in counts.items()} for name, counts in ALIKE.items()},
        "dmc_campus": {"Main": 30, "Porac": 20},
        "employee_id": {"rows": 50, "repeated": 3},
    }
    assert shifts(Batch(50, 0, few), [batch()] * 4, RULES) == ()


def test_what_earlier_batches_differed_in_among_themselves_is_no_news() -> None:
    uneven = [batch(dmc_campus={"Main": 500 + step, "Porac": 500 - step}) for step in (-300, 300, -200, 200, 0, 0)]
    assert shifts(batch(dmc_campus={"Main": 800, "Porac": 200}), uneven, RULES) == ()
    assert found(batch(dmc_campus={"Main": 800, "Porac": 200})) == [("Mix of campuses", "Porac 20.0%", "Porac 50.0%")]


COUNTS = st.dictionaries(st.sampled_from("ABCDE"), st.integers(0, 5000), max_size=5)


@given(st.lists(COUNTS, min_size=2, max_size=8), st.randoms())
def test_the_order_of_earlier_batches_makes_no_difference(mixes: list[dict[str, int]], random: Random) -> None:
    here, *earlier = [batch(college_degree=mix, performance_rating=mix, email_domain=mix) for mix in mixes]
    shuffled = random.sample(earlier, len(earlier))
    assert shifts(here, earlier, RULES) == shifts(here, shuffled, RULES)


@given(COUNTS, st.integers(1, 8))
def test_a_batch_equal_to_all_earlier_ones_is_never_news(mix: dict[str, int], times: int) -> None:
    same = batch(college_degree=mix, dmc_campus=mix, performance_rating=mix, email_domain=mix)
    assert shifts(same, [same] * times, RULES) == ()


def test_pearsons_statistic_is_that_of_the_textbook() -> None:
    assert chi_squared([(30, 70), (70, 30)]) == pytest.approx((32.0, 1.5417e-08), rel=1e-4)
    assert chi_squared([(30, 0), (70, 0)]) is None


# Which uploads are compared


NOON = datetime(2026, 3, 4, 12)


def facts(**uploads: tuple[str, int]) -> Facts:
    """Uploads one after the other, each with what became of it and how many of 1,000 rows were invalid.

    What was `replaced` has the key of the upload after it.
    """
    seen, ingested, transformed = {}, {}, {}
    arrivals: dict[str, list[Arrival]] = {}
    decisions: dict[str, list[Decision]] = {}
    names = list(uploads)
    for number, (name, (end, invalid)) in enumerate(uploads.items()):
        at, key = NOON + timedelta(hours=number), names[number + 1] if end == "replaced" else name
        arrived = arrivals.setdefault(key, [])
        arrived.append(Arrival(key, len(arrived) + 1, name, name, 1, at))
        seen[name] = Seen(name, key, name, 1, at)
        corrects = "a" if end == "correction" else ""
        ingested[name] = Ingested(
            name, Status.VALIDATED, at, rows=1000, invalid=invalid, content=name, corrects=corrects, profile=ALIKE
        )
        if end != "waits":
            transformed[name] = Transformed(name, name, "", 1000, 0, at)
            decisions[name] = [Decision(name, 1, "approved", "Ana Reyes", at, arrival=len(arrived), content=name)]
        if end == "withdrawn":
            decisions[name].append(Decision(name, 2, "withdrawn", "Ana Reyes", at, arrival=len(arrived)))
    return Facts(seen, ingested, transformed, arrivals, decisions)


def test_an_upload_is_compared_with_those_before_it_that_count_and_with_no_correction() -> None:
    known = facts(
        a=("approved", 0),
        b=("waits", 900),
        c=("withdrawn", 900),
        d=("correction", 900),
        e=("replaced", 900),
        f=("approved", 10),
        g=("waits", 400),
        h=("approved", 900),
    )
    assert earlier_uploads(known, "g", RULES) == ["f", "a"]
    assert earlier_uploads(known, "g", DriftRules(earlier_uploads=1)) == ["f"]
    assert earlier_uploads(known, "a", RULES) == []
    found = compared(known, "g", batch(1000, 400), RULES)
    assert found == Comparison(2, (Shift("Invalid rows", "40.0%", "0.5%"),))


def test_nothing_is_compared_where_there_is_too_little() -> None:
    known, spoiled = facts(a=("approved", 0), b=("waits", 0)), batch(performance_rating={"5": 1000})
    assert len(compared(known, "b", spoiled, RULES).shifts) == 1
    assert compared(known, "a", spoiled, RULES) == Comparison()
    assert compared(known, "b", Batch(49, 0, spoiled.profile), RULES) == Comparison()
    assert compared(known, "b", spoiled, DriftRules(least_rows=1001)) == Comparison()
    assert compared(known, "b", Batch(1000, 0, {}), RULES) == Comparison()
