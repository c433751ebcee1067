"""Whether groups differ by more than chance: tests of means, of shares and of a lead, with Holm's correction.

The tests need only how many there are, means and standard deviations, never single ratings. What the results mean
in words is in `verdicts.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.oneway import anova_generic

SIGNIFICANCE = 0.05
WELCH_ANOVA, WELCH_T = "Welch's ANOVA", "Welch's t-test"
CHI_SQUARED, FISHER = "chi-squared test", "Fisher's exact test"
BINOMIAL = "exact binomial test"


@dataclass(frozen=True)
class Group:
    """One group: its alumni, and either mean and standard deviation of their ratings, or how many of them are hits."""

    name: str
    n: int
    mean: float = 0.0
    sd: float = 0.0
    hits: int = 0


@dataclass(frozen=True)
class Evidence:
    """What a test says. Before any correction `p_adjusted` is the same as `p_value`."""

    name: str
    statistic: float
    p_value: float
    p_adjusted: float

    @property
    def is_clear(self) -> bool:
        """Whether chance alone would hardly give this."""
        return self.p_adjusted < SIGNIFICANCE


@dataclass(frozen=True)
class Member:
    """One group against all others that are compared: both estimates, and the test, corrected over the groups."""

    name: str
    n: int
    estimate: float
    rest_estimate: float
    test: Evidence


@dataclass(frozen=True)
class Comparison:
    """A comparison of all groups that are fit for it.

    Without a test there were too few of them; or, where `are_alike`, enough, but with the same ratings in them.
    """

    n: int
    estimate: float | None
    members: tuple[Member, ...]
    test: Evidence | None
    are_alike: bool = False


def compare_means(groups: Iterable[Group], least: int) -> Comparison:
    """Whether mean ratings differ: Welch's ANOVA over all groups, Welch's t-test of each against the rest.

    Groups of fewer than `least` alumni, and such whose ratings are all the same, are left out: Welch's weights need
    a variance. Source: Welch (1951), "On the comparison of several mean values".
    """
    large = [group for group in groups if group.n >= max(least, 2)]
    fit = [group for group in large if group.sd > 0]
    n = np.array([group.n for group in fit], dtype=float)
    means, variances = np.array([group.mean for group in fit]), np.array([group.sd**2 for group in fit])
    total = int(n.sum())
    if len(fit) < 2:
        return Comparison(total, fit[0].mean if fit else None, (), None, are_alike=len(large) > 1)
    omnibus = anova_generic(means, variances, n, use_var="unequal")
    rest_n, rest_mean, rest_sd = _rest(n, means, variances)
    against_rest = stats.ttest_ind_from_stats(means, np.sqrt(variances), n, rest_mean, rest_sd, rest_n, equal_var=False)
    members = _members(fit, means, rest_mean, WELCH_T, against_rest.statistic, against_rest.pvalue)
    return Comparison(
        total, float((n * means).sum() / n.sum()), members, _test(WELCH_ANOVA, omnibus.statistic, omnibus.pvalue)
    )


def compare_shares(groups: Iterable[Group], least: int) -> Comparison:
    """Whether the shares of hits differ: Pearson's chi-squared over all groups, Fisher's exact test of each.

    Groups of fewer than `least` alumni are left out. Chi-squared is not made where it would not hold: an expected
    count under 1, or more than a fifth of them under 5. Source: Cochran (1954), "Some methods for strengthening the
    common χ² tests".
    """
    fit = [group for group in groups if group.n >= max(least, 1)]
    hits, n = np.array([group.hits for group in fit], dtype=float), np.array([group.n for group in fit], dtype=float)
    total = int(n.sum())
    share = float(hits.sum() / n.sum()) if total else None
    if len(fit) < 2 or not _holds(hits, n):
        return Comparison(total, share, (), None, are_alike=len(fit) > 1 and share in (0, 1))
    omnibus = stats.chi2_contingency(np.array([hits, n - hits]), correction=False)
    rest_hits, rest_n = hits.sum() - hits, n.sum() - n
    cells = zip(hits, n - hits, rest_hits, rest_n - rest_hits, strict=True)
    tests = [stats.fisher_exact([[hit, miss], [rest_hit, rest_miss]]) for hit, miss, rest_hit, rest_miss in cells]
    members = _members(
        fit, hits / n, rest_hits / rest_n, FISHER, [test.statistic for test in tests], [test.pvalue for test in tests]
    )
    return Comparison(total, share, members, _test(CHI_SQUARED, omnibus.statistic, omnibus.pvalue))


def lead(first: int, second: int) -> Evidence:
    """Whether the most frequent of several groups is ahead of the second by more than chance.

    A two-sided exact binomial test of the two counts against equal odds; it stays valid although the two are chosen
    by their counts. Source: Hung & Fithian (2019), "Rank verification for exponential families".
    """
    result = stats.binomtest(first, first + second, 0.5)
    return _test(BINOMIAL, result.statistic, result.pvalue)


def corrected(tests: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """These tests with Holm's correction over all of them.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    if not tests:
        return {}
    # statsmodels' multipletests gives the same, but collects all garbage of the process at each call.
    p_values = np.array([test.p_value for test in tests.values()])
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(np.arange(len(order), 0, -1) * p_values[order]).clip(max=1)
    adjusted = dict(zip(order.tolist(), stepped.tolist(), strict=True))
    return {
        name: Evidence(test.name, test.statistic, test.p_value, adjusted[place])
        for place, (name, test) in enumerate(tests.items())
    }


def _rest(n: np.ndarray, means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many all other groups have together, their mean, and their standard deviation."""
    sums, squares = n * means, (n - 1) * variances + n * means**2
    rest_n, rest_sums = n.sum() - n, sums.sum() - sums
    rest_mean = rest_sums / rest_n
    within = np.maximum(squares.sum() - squares - rest_n * rest_mean**2, 0)
    return rest_n, rest_mean, np.sqrt(within / (rest_n - 1))


def _holds(hits: np.ndarray, n: np.ndarray) -> bool:
    share = hits.sum() / n.sum()
    expected = np.concatenate([n * share, n * (1 - share)])
    return bool(expected.min() >= 1 and (expected < 5).mean() <= 0.2)


def _members(
    groups: Sequence[Group],
    estimates: Iterable[float],
    rests: Iterable[float],
    test: str,
    statistics: Iterable[float],
    p_values: Iterable[float],
) -> tuple[Member, ...]:
    single = {
        group.name: _test(test, statistic, p) for group, statistic, p in zip(groups, statistics, p_values, strict=True)
    }
    adjusted = corrected(single)
    return tuple(
        Member(group.name, group.n, float(estimate), float(rest), adjusted[group.name])
        for group, estimate, rest in zip(groups, estimates, rests, strict=True)
    )


def _test(name: str, statistic: float, p_value: float) -> Evidence:
    return Evidence(name, float(statistic), float(p_value), float(p_value))
