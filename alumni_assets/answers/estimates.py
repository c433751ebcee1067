"""95 % intervals of means and shares, for whole columns at once. What is compared with what is in `comparisons.py`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

CONFIDENCE = 0.95
LOWEST_RATING, HIGHEST_RATING = 1, 5


def mean_bounds(n: pd.Series, mean: pd.Series, sd: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The ends of the intervals of mean ratings by Student's t: mean ± t(n - 1) · sd / √n, within the scale of 1 to 5.

    `sd` is the sample standard deviation. NaN where no interval can be had: for a single alumnus, and where all
    ratings are the same, for nothing is known then of how far others would lie apart.
    """
    n, mean, sd = (pd.Series(values, dtype="float64") for values in (n, mean, sd))
    known = (n > 1) & (sd > 0)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, (n - 1).where(known)) * sd.where(known) / np.sqrt(n)
    return (mean - half).clip(lower=LOWEST_RATING), (mean + half).clip(upper=HIGHEST_RATING)


def share_bounds(hits: Sequence[int] | pd.Series, n: Sequence[int] | pd.Series) -> tuple[pd.Series, pd.Series]:
    """The ends of the intervals of the shares hits / n, from 0 to 1, by Wilson's score method; `n` is above 0.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    if len(n) == 0:
        return pd.Series(dtype="float64"), pd.Series(dtype="float64")
    low, high = proportion_confint(np.asarray(hits), np.asarray(n), alpha=1 - CONFIDENCE, method="wilson")
    return pd.Series(low).clip(lower=0), pd.Series(high).clip(upper=1)
