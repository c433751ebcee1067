"""How the newest batch differs from all batches before it: a sign of another population, or of a spoiled export.

Works on counts that were read already.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from alumni_assets.answers.comparisons import CHI_SQUARED, WELCH_T, Evidence, corrected
from alumni_assets.answers.figures import Batch, Drift
from alumni_assets.answers.verdicts import percent
from alumni_assets.survey.drift import chi_squared

INVALID_SHARE, MEAN_RATING = "Rows set aside", "Mean rating"
_MIXES = {
    "college_degree": "Mix of college degrees",
    "dmc_campus": "Mix of campuses",
    "department": "Mix of departments",
    "job_role": "Mix of job roles",
}

# Of each value of a dimension: how many responses of the newest batch have it, and how many before that.
Counted = Mapping[str, Sequence[int]]


def newest_against_earlier(batches: Sequence[Batch], counted: Mapping[str, Counted]) -> tuple[Drift, ...]:
    """The newest batch against the others: share of rows set aside, mean rating, and the mix of each dimension.

    `batches` are in order, the newest last, and at least two; `counted` has `performance_rating` and the dimensions.
    The tests are Pearson's chi-squared and Welch's t, with Holm's correction over all of them.
    """
    newest, earlier = batches[-1], batches[:-1]
    set_aside, rows = sum(batch.invalid for batch in earlier), sum(batch.rows for batch in earlier)
    ratings = counted.get("performance_rating", {})
    shown: dict[str, tuple[str, str]] = {
        INVALID_SHARE: (percent(newest.invalid / newest.rows), percent(set_aside / rows)),
        MEAN_RATING: (_mean_in_words(ratings, 0), _mean_in_words(ratings, 1)),
        **{name: _mixes_in_words(counted.get(dimension, {})) for dimension, name in _MIXES.items()},
    }
    found = {
        INVALID_SHARE: _mix({"set aside": (newest.invalid, set_aside), "valid": (newest.valid, rows - set_aside)}),
        MEAN_RATING: _means(ratings),
        **{name: _mix(counted.get(dimension, {})) for dimension, name in _MIXES.items()},
    }
    tests = corrected({name: test for name, test in found.items() if test is not None})
    return tuple(_drift(name, *shown[name], tests.get(name)) for name in shown)


def _drift(measure: str, newest: str, earlier: str, test: Evidence | None) -> Drift:
    return Drift(
        measure=measure,
        newest=newest,
        earlier=earlier,
        test=test.name if test else None,
        p_adjusted=test.p_adjusted if test else None,
        is_clear=test is not None and test.is_clear,
    )


def _mix(counted: Counted) -> Evidence | None:
    """Chi-squared over the values that are frequent enough, the rare ones taken together; None where that fails."""
    found = chi_squared(counted.values())
    return Evidence(CHI_SQUARED, *found, found[1]) if found else None


def _means(ratings: Counted) -> Evidence | None:
    sides = [_moments(ratings, place) for place in (0, 1)]
    if any(n < 2 or sd == 0 for n, _, sd in sides):
        return None
    (n, mean, sd), (other_n, other_mean, other_sd) = sides
    result = stats.ttest_ind_from_stats(mean, sd, n, other_mean, other_sd, other_n, equal_var=False)
    return Evidence(WELCH_T, float(result.statistic), float(result.pvalue), float(result.pvalue))


def _moments(ratings: Counted, place: int) -> tuple[int, float, float]:
    """How many ratings one side has, their mean and their sample standard deviation."""
    values = np.array([int(rating) for rating in ratings], dtype=float)
    counts = np.array([pair[place] for pair in ratings.values()], dtype=float)
    n = int(counts.sum())
    if n == 0:
        return 0, 0.0, 0.0
    mean = float((values * counts).sum() / n)
    return n, mean, float(np.sqrt((counts * (values - mean) ** 2).sum() / (n - 1))) if n > 1 else 0.0


def _mean_in_words(ratings: Counted, place: int) -> str:
    n, mean, _ = _moments(ratings, place)
    return f"{mean:.2f}" if n else "none"


def _mixes_in_words(counted: Counted) -> tuple[str, str]:
    """The value whose share changed most, on both sides."""
    totals = [sum(pair[place] for pair in counted.values()) for place in (0, 1)]
    if not all(totals):
        return "none", "none"
    shares = {name: [pair[place] / totals[place] for place in (0, 1)] for name, pair in counted.items()}
    name = max(shares, key=lambda name: (abs(shares[name][0] - shares[name][1]), name))
    return f"{name} {percent(shares[name][0])}", f"{name} {percent(shares[name][1])}"
