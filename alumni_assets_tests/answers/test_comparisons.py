"""Intervals and tests: reference values, what is left out of a comparison, and Holm's correction."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from alumni_assets.answers.comparisons import (
    Evidence,
    Group,
    compare_means,
    compare_shares,
    corrected,
    lead,
)
from alumni_assets.answers.estimates import mean_bounds, share_bounds

RATINGS = {
    "Law": [1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 1],
    "Arts": [5, 5, 4, 5, 4, 5, 3, 5, 5, 4],
    "Music": [2, 1, 1, 3, 2, 2, 1, 4, 2, 3, 2, 1],
}


def rated(name: str, ratings: list[int]) -> Group:
    return Group(name, len(ratings), mean=float(np.mean(ratings)), sd=float(np.std(ratings, ddof=1)))


def test_a_mean_has_the_interval_of_students_t() -> None:
    low, high = mean_bounds(
        pd.Series([12]), pd.Series([np.mean(RATINGS["Music"])]), pd.Series([np.std(RATINGS["Music"], ddof=1)])
    )
    expected = stats.ttest_1samp(RATINGS["Music"], 0).confidence_interval(0.95)
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high))


def test_a_mean_of_one_or_of_equal_ratings_has_no_interval() -> None:
    low, high = mean_bounds(pd.Series([1, 12]), pd.Series([4.0, 4.0]), pd.Series([math.nan, 0.0]))
    assert [*low, *high] == pytest.approx([math.nan] * 4, nan_ok=True)


def test_an_interval_of_a_mean_stays_on_the_scale() -> None:
    low, high = mean_bounds(pd.Series([2]), pd.Series([4.5]), pd.Series([0.5**0.5]))
    assert (low[0], high[0]) == (1.0, 5.0)


@pytest.mark.parametrize(
    ("hits", "n", "expected"),
    [(22, 79, (0.1917, 0.3858)), (86, 457, (0.1550, 0.2266)), (0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0))],
)
def test_a_share_has_wilsons_interval(hits: int, n: int, expected: tuple[float, float]) -> None:
    low, high = share_bounds([hits], [n])
    assert (low[0], high[0]) == pytest.approx(expected, abs=5e-5)


def test_shares_of_nobody_have_no_intervals() -> None:
    low, high = share_bounds([], [])
    assert (list(low), list(high)) == ([], [])


def test_means_are_compared_as_their_single_ratings_would_be() -> None:
    found = compare_means([rated(name, ratings) for name, ratings in RATINGS.items()], least=10)
    assert found.test is not None
    assert (found.test.name, found.n) == ("Welch's ANOVA", 33)
    assert found.test.p_value == pytest.approx(stats.f_oneway(*RATINGS.values(), equal_var=False).pvalue)
    for member in found.members:
        rest = [rating for name, ratings in RATINGS.items() if name != member.name for rating in ratings]
        assert member.rest_estimate == pytest.approx(np.mean(rest))
        expected = stats.ttest_ind(RATINGS[member.name], rest, equal_var=False).pvalue
        assert member.test.p_value == pytest.approx(expected)


def test_groups_that_are_too_small_or_all_alike_are_no_part_of_a_comparison() -> None:
    fit = [rated(name, ratings) for name, ratings in RATINGS.items()]
    small, alike = Group("Dance", 9, mean=5.0, sd=1.0), Group("Film", 50, mean=5.0, sd=0.0)
    assert compare_means([*fit, small, alike], least=10) == compare_means(fit, least=10)


@pytest.mark.parametrize("groups", [[], [rated("Law", RATINGS["Law"])]])
def test_fewer_than_two_groups_are_not_tested(groups: list[Group]) -> None:
    assert compare_means(groups, least=10).test is None
    assert compare_shares(groups, least=10).test is None


def test_shares_are_compared_by_chi_squared_and_each_by_fishers_exact_test() -> None:
    found = compare_shares([Group("Main", 100, hits=20), Group("Porac", 60, hits=24), Group("Lubao", 40, hits=8)], 10)
    assert found.test is not None
    table = [[20, 24, 8], [80, 36, 32]]
    assert found.test.p_value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    main = found.members[0]
    assert (main.estimate, main.rest_estimate) == pytest.approx((0.2, 0.32))
    assert main.test.p_value == pytest.approx(stats.fisher_exact([[20, 80], [32, 68]]).pvalue)


@pytest.mark.parametrize("hits", [(0, 0, 0), (50, 50, 50), (1, 0, 1)])
def test_shares_are_not_tested_where_chi_squared_does_not_hold(hits: tuple[int, ...]) -> None:
    groups = [Group(str(place), 50, hits=some) for place, some in enumerate(hits)]
    assert compare_shares(groups, 10).test is None


def test_a_lead_is_tested_by_the_exact_binomial_test() -> None:
    assert lead(116, 108).p_value == pytest.approx(0.6401, abs=5e-5)
    assert lead(30, 10).is_clear
    assert lead(7, 7).p_value == 1.0


@pytest.mark.slow  # multipletests collects all garbage at each call
@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_correction_is_that_of_statsmodels(p_values: list[float]) -> None:
    found = corrected({str(place): Evidence("t", 0.0, p, p) for place, p in enumerate(p_values)})
    assert [test.p_adjusted for test in found.values()] == pytest.approx(multipletests(p_values, method="holm")[1])
    assert [test.p_value for test in found.values()] == p_values
