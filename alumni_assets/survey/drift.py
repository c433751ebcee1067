"""Drift: whether an upload is unlike those before it, a sign of another population or of a spoiled export.

Works on what was counted of uploads when they were judged (`stages/profile.py`). It says nothing of a single row. How
the newest batch of the published rows differs from the rest is on the page: `answers/drift.py`.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import median

from alumni_assets.survey.standing import Facts, Ingested, standings_of
from alumni_assets.survey_rules import DriftRules

EMAIL_DOMAIN = "email_domain"
REPEATED_IDS = "employee_id"
LOOKED_AT, REPEATED = "rows", "repeated"
OTHER_DOMAINS = ""
LEAST_OF_DOMAIN = 10
"""Of how many rows on a domain is counted by its name; the rows of all others are counted under none."""
MIXES = {
    "college_degree": "Mix of college degrees",
    "department": "Mix of departments",
    "dmc_campus": "Mix of campuses",
    "performance_rating": "Mix of ratings",
}
INVALID_SHARE, REPEATED_SHARE = "Invalid rows", "Rows with an employee id that came before in the file"
ROWS, NEW_DOMAIN = "Number of rows", "E-mail domain that is new"

_HIT, _MISS = "yes", "no"
_TESTS = len(MIXES) + 2  # the shares of invalid and of repeated rows besides
_SIGNIFICANCE = 0.01
_LEAST_EXPECTED = 5
_LEAST_BATCHES = 5  # before it, for the number of rows to be called unusual
_BEYOND_USUAL = 2  # times as much as the most that an earlier batch differed from the other earlier ones

Profile = Mapping[str, Mapping[str, int]]
"""What was counted of an upload's valid rows: how often each value of a column occurs, in `rows` looked at.

Under `employee_id` it has the numbers of `rows` looked at and of those whose id came before; it is empty where nothing
was counted.
"""


@dataclass(frozen=True)
class Batch:
    """An upload as it is compared: its rows, how many of them were invalid, and what was counted of the valid ones."""

    rows: int
    invalid: int
    profile: Profile


@dataclass(frozen=True)
class Shift:
    """In what a batch is unlike those before it, and how it was in each, in words."""

    measure: str
    here: str
    before: str


@dataclass(frozen=True)
class Comparison:
    """How many earlier uploads one was compared with, 0 where there was too little; in what it is unlike them."""

    earlier: int = 0
    shifts: tuple[Shift, ...] = ()


def compared(facts: Facts, upload: str, batch: Batch, rules: DriftRules) -> Comparison:
    """An upload beside those before it that count; none where nothing was counted of it, as of a correction."""
    if not batch.profile or batch.rows < rules.least_rows:
        return Comparison()
    earlier = [_batch(facts.ingested[some]) for some in earlier_uploads(facts, upload, rules)]
    if sum(some.rows for some in earlier) < rules.least_rows:
        return Comparison()
    return Comparison(len(earlier), shifts(batch, earlier, rules))


def shifts(batch: Batch, earlier: Sequence[Batch], rules: DriftRules) -> tuple[Shift, ...]:
    """In what a batch is unlike earlier ones: by more than chance, and by so much that it matters.

    A change of shares counts where it is at least `share_change`, one of a mix where its population stability index is
    at least `psi`, and where it is twice what any of the earlier batches had against the others of them. Both must be
    significant at 1 % by Pearson's chi-squared test (Fisher's where counts are small), with Bonferroni's correction
    over all of them. Sources: Siddiqi (2006), "Credit Risk Scorecards", of the index; Dunn (1961), "Multiple
    comparisons among means".
    """
    found = [
        _rows(batch, earlier, rules),
        _compared(INVALID_SHARE, [_invalid(some) for some in (batch, *earlier)], _difference, rules.share_change),
        _compared(REPEATED_SHARE, [_repeated(some) for some in (batch, *earlier)], _difference, rules.share_change),
        *(
            _compared(name, [Counter(some.profile[column]) for some in (batch, *earlier)], _stability_index, rules.psi)
            for column, name in MIXES.items()
        ),
        *_new_domains(batch, earlier, rules),
    ]
    return tuple(shift for shift in found if shift is not None)


def chi_squared(counted: Iterable[Sequence[int]]) -> tuple[float, float] | None:
    """Pearson's statistic of whether two columns of counts are alike, and its p-value; None where it does not hold.

    `counted` has a pair of counts for each value; values that are rare are taken together.
    """
    import numpy as np
    from scipy import stats  # takes half a second to import

    table = np.array([list(pair) for pair in counted], dtype=float).reshape(-1, 2)
    if not table.sum(axis=0).all():
        return None
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    is_rare = expected.min(axis=1) < _LEAST_EXPECTED
    table = np.vstack([table[~is_rare], table[is_rare].sum(axis=0, keepdims=True)])
    table = table[table.sum(axis=1) > 0]
    if len(table) < 2 or stats.contingency.expected_freq(table).min() < _LEAST_EXPECTED:
        return None
    result = stats.chi2_contingency(table, correction=False)
    return float(result.statistic), float(result.pvalue)


def earlier_uploads(facts: Facts, upload: str, rules: DriftRules) -> list[str]:
    """What an upload is compared with: the last ones before it that count, corrections aside, the newest first.

    It looks for them among twice as many: each look at where uploads stand costs.
    """
    since = facts.seen[upload].received_at
    made = (facts.seen[some] for some in facts.transformed if some in facts.seen and not facts.corrects(some))
    before = [seen for seen in made if seen.received_at < since]
    last = heapq.nlargest(2 * rules.earlier_uploads, before, key=lambda seen: (seen.received_at, seen.upload))
    stands = standings_of(facts, [seen.upload for seen in last])
    counting = [seen.upload for seen in last if stands[seen.upload].counts and facts.ingested[seen.upload].profile]
    return counting[: rules.earlier_uploads]


def _batch(ingested: Ingested) -> Batch:
    return Batch(ingested.rows or 0, ingested.invalid or 0, ingested.profile)


def _rows(batch: Batch, earlier: Sequence[Batch], rules: DriftRules) -> Shift | None:
    usual = median(some.rows for some in earlier)
    if len(earlier) < _LEAST_BATCHES or usual / rules.volume_factor <= batch.rows <= usual * rules.volume_factor:
        return None
    return Shift(ROWS, f"{batch.rows:,}", f"{usual:,.0f} in the middle")


def _invalid(batch: Batch) -> Counter[str]:
    return Counter({_HIT: batch.invalid, _MISS: batch.rows - batch.invalid})


def _repeated(batch: Batch) -> Counter[str]:
    ids = batch.profile[REPEATED_IDS]
    return Counter({_HIT: ids[REPEATED], _MISS: ids[LOOKED_AT] - ids[REPEATED]})


def _compared(
    measure: str, mixes: Sequence[Counter[str]], distance: Callable[[Counter[str], Counter[str]], float], least: float
) -> Shift | None:
    """The first mix against all others together, where it is far enough from them."""
    here, *earlier = mixes
    before = _sum(earlier)
    if not here.total() or not before.total():
        return None
    usual = (
        max((distance(one, before - one) for one in earlier), default=0.0) if len(earlier) >= _LEAST_BATCHES else 0.0
    )
    if distance(here, before) < max(least, _BEYOND_USUAL * usual) or not _is_clear(here, before):
        return None
    return Shift(measure, *_in_words(here, before))


def _stability_index(here: Counter[str], before: Counter[str]) -> float:
    """The population stability index of two mixes; half a row is added to each count, for those that are 0."""
    values = here | before
    totals = [side.total() + 0.5 * len(values) for side in (here, before)]
    shares = [((here[value] + 0.5) / totals[0], (before[value] + 0.5) / totals[1]) for value in values]
    return sum((share - other) * log(share / other) for share, other in shares)


def _difference(here: Counter[str], before: Counter[str]) -> float:
    return abs(_share(here, _HIT) - _share(before, _HIT))


def _share(mix: Counter[str], value: str) -> float:
    return mix[value] / max(mix.total(), 1)


def _is_clear(here: Counter[str], before: Counter[str]) -> bool:
    from scipy import stats

    pairs = [(here[value], before[value]) for value in here | before]
    found = chi_squared(pairs)
    if found is None and len(pairs) == 2:
        found = 0.0, float(stats.fisher_exact(pairs).pvalue)
    return found is not None and found[1] * _TESTS < _SIGNIFICANCE


def _in_words(here: Counter[str], before: Counter[str]) -> tuple[str, str]:
    """The value whose share changed most, on both sides; of a share only how large it is."""
    if set(here) == {_HIT, _MISS}:
        return f"{_share(here, _HIT):.1%}", f"{_share(before, _HIT):.1%}"
    value = max(here | before, key=lambda value: (round(abs(_share(here, value) - _share(before, value)), 9), value))
    return f"{value} {_share(here, value):.1%}", f"{value} {_share(before, value):.1%}"


def _new_domains(batch: Batch, earlier: Sequence[Batch], rules: DriftRules) -> list[Shift]:
    here, before = Counter(batch.profile[EMAIL_DOMAIN]), _sum([Counter(some.profile[EMAIL_DOMAIN]) for some in earlier])
    least = max(LEAST_OF_DOMAIN, rules.new_domain_share * here.total())
    return [
        Shift(NEW_DOMAIN, f"{domain} {_share(here, domain):.1%}", "none")
        for domain, count in here.most_common()
        if domain != OTHER_DOMAINS and count >= least and domain not in before
    ]


def _sum(mixes: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for mix in mixes:
        total.update(mix)
    return total
