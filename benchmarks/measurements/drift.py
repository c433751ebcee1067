"""How often the check for drift warns of batches that are like those before them, and of batches that are not.

The batches are drawn by their counts, from the shares of the university's own survey. `uneven` is how much the shares
of one batch differ from those of the next without anything being wrong, as terms do: they are drawn from a Dirichlet
distribution that is as certain as so many answers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alumni_assets.survey.drift import EMAIL_DOMAIN, LOOKED_AT, MIXES, REPEATED, REPEATED_IDS, Batch, shifts
from alumni_assets.survey_rules import DriftRules
from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.table import Table

_SEED = 20_261_127
_EARLIER, _ROWS_OF_EARLIER = 20, 1_000
_SIZES = (100, 1_000, 10_000)
_EVEN, _UNEVEN, _VERY_UNEVEN = None, 300.0, 100.0


@dataclass(frozen=True)
class World:
    """The shares that a batch is drawn with."""

    mixes: Mapping[str, np.ndarray]
    domains: np.ndarray
    invalid: float = 0.01
    repeated: float = 0.01
    rows: float = 1.0  # times as many as there are else


def usual() -> World:
    """Shares as they are in the university's survey, rounded."""
    return World(
        mixes={
            "college_degree": np.full(10, 0.1),
            "department": np.full(7, 1 / 7),
            "dmc_campus": np.array([0.457, *[0.543 / 7] * 7]),
            "performance_rating": np.array([0.2, 0.2, 0.21, 0.2, 0.19]),
        },
        domains=np.array([0.34, 0.33, 0.33, 0.0]),
    )


SPOILED: Mapping[str, Callable[[World], World]] = {
    "1 % invalid rows become 8 %": lambda world: changed(world, invalid=0.08),
    "1 % repeated ids become 10 %": lambda world: changed(world, repeated=0.10),
    "a campus has become another": lambda world: changed(world, dmc_campus=[0, 0.457 + 0.543 / 7, *[0.543 / 7] * 6]),
    "half of the largest campus is missing": lambda world: changed(world, dmc_campus=[0.2285, *[0.543 / 7] * 7]),
    "all ratings are 5": lambda world: changed(world, performance_rating=[0, 0, 0, 0, 1]),
    "ratings 1 and 2 are missing": lambda world: changed(world, performance_rating=[0, 0, 0.21, 0.2, 0.19]),
    "a new domain has 8 %": lambda world: changed(world, domains=[0.31, 0.31, 0.30, 0.08]),
    "12 times as many rows": lambda world: changed(world, rows=12.0),
}


def changed(world: World, **changes: Any) -> World:
    """The world with other shares; those of a mix are made to add up to 1."""
    members = {name: changes.pop(name) for name in ("invalid", "repeated", "rows") if name in changes}
    shares = {name: np.array(values, float) / sum(values) for name, values in changes.items()}
    domains = shares.pop("domains", world.domains)
    fixed = {"invalid": world.invalid, "repeated": world.repeated, "rows": world.rows} | members
    return World(mixes={**world.mixes, **shares}, domains=domains, **fixed)


def drift(bench: Bench, batches: int) -> None:
    """Draw so many batches of each kind and size, each with earlier ones of its own, and count the warnings."""
    random, rules = np.random.default_rng(_SEED), DriftRules()
    kinds = {
        "like those before": (usual(), _EVEN),
        "like those before, uneven": (usual(), _UNEVEN),
        "like those before, very uneven": (usual(), _VERY_UNEVEN),
        **{title: (spoil(usual()), _UNEVEN) for title, spoil in SPOILED.items()},
    }
    rows = []
    for title, (world, evenness) in kinds.items():
        counts = [sum(_warns(random, world, size, evenness, rules) for _ in range(batches)) for size in _SIZES]
        bench.tell(f"{title}: {counts} of {batches:,}")
        rows.append((title, *(f"{count / batches:.1%}" for count in counts)))
    columns = ("warnings, of batches with", *(f"{size:,} rows" for size in _SIZES))
    remark = f"{batches:,} batches of each kind and size, after {_EARLIER} of {_ROWS_OF_EARLIER:,} rows; seed {_SEED}."
    bench.report("drift", [Table(columns, tuple(rows))], [remark, *machine.remarks()])


def _warns(random: np.random.Generator, world: World, size: int, evenness: float | None, rules: DriftRules) -> bool:
    of_size = [size if world.rows == 1.0 else _ROWS_OF_EARLIER] * _EARLIER
    earlier = [_drawn(random, usual(), rows, evenness) for rows in of_size]
    return bool(shifts(_drawn(random, world, round(size * world.rows), evenness), earlier, rules))


def _drawn(random: np.random.Generator, world: World, rows: int, evenness: float | None) -> Batch:
    invalid = int(random.binomial(rows, world.invalid))
    valid = rows - invalid
    columns = {**{column: world.mixes[column] for column in MIXES}, EMAIL_DOMAIN: world.domains}
    profile: dict[str, dict[str, int]] = {
        column: _counts(random.multinomial(valid, _varied(random, shares, evenness)))
        for column, shares in columns.items()
    }
    profile[REPEATED_IDS] = {LOOKED_AT: valid, REPEATED: int(random.binomial(valid, world.repeated))}
    return Batch(rows, invalid, profile)


def _varied(random: np.random.Generator, shares: np.ndarray, evenness: float | None) -> np.ndarray:
    if evenness is None:
        return shares
    varied = np.zeros(len(shares))
    varied[shares > 0] = random.dirichlet(shares[shares > 0] * evenness)
    return varied


def _counts(drawn: np.ndarray) -> dict[str, int]:
    return {str(place): int(count) for place, count in enumerate(drawn) if count}
