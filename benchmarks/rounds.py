"""Runs contenders in rounds: each once in every round, in an order that rotates, so that none is always first.

What disturbs the machine for a while then disturbs all of them, and ratios are taken within a round. Who takes part
is decided in `roster.py`; how one run is measured, in `measuring.py`.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import CommandFailedError, Measured, measured


@dataclass(frozen=True)
class Contender:
    """Something to be measured.

    `ready` is given an empty folder for each run; it prepares there what is not to be measured, and gives the
    command, which runs in that folder. `rows` is how many rows it works on. `most_rounds` bounds the rounds of one
    that takes long. `lacks` says why it cannot run here.
    """

    name: str
    title: str
    ready: Callable[[Path], Sequence[str]]
    rows: int = 0
    leaves_out: str = ""
    most_rounds: int | None = None
    lacks: str = ""


@dataclass
class Results:
    """What was measured: for each round the contenders that ran in it; and why others did not."""

    rounds: list[dict[str, Measured]] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> list[Measured]:
        """All runs of one contender."""
        return [one[name] for one in self.rounds if name in one]

    def pairs(self, above: str, below: str) -> list[tuple[Measured, Measured]]:
        """The runs of two contenders in the rounds that both took part in."""
        return [(one[above], one[below]) for one in self.rounds if above in one and below in one]


def run_rounds(contenders: Sequence[Contender], rounds: int, folder: Path, tell: Callable[[str], None]) -> Results:
    """Run every contender once in each round; one that fails is left out from then on, and is told of.

    Runs have empty folders below `folder`; `tell` is given a line for each run.
    """
    results = Results(absent={one.name: one.lacks for one in contenders if one.lacks})
    for number in range(rounds):
        results.rounds.append({})
        for contender in _rotated(contenders, number):
            if contender.name in results.absent or number >= (contender.most_rounds or rounds):
                continue
            try:
                run = _run(contender, folder)
            except CommandFailedError as error:
                results.absent[contender.name] = str(error)
                tell(f"round {number + 1}, {contender.title}: failed")
                continue
            results.rounds[-1][contender.name] = run
            tell(f"round {number + 1}, {contender.title}: {run.wall:.2f} s, {run.memory / 1e6:,.0f} MB")
    return results


def _rotated(contenders: Sequence[Contender], number: int) -> Iterable[Contender]:
    place = number % len(contenders)
    return (*contenders[place:], *contenders[:place])


def _run(contender: Contender, folder: Path) -> Measured:
    """One run in a folder of its own, once what earlier runs wrote is on the disk."""
    work = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    try:
        command = contender.ready(work)
        os.sync()
        return measured(command, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def said(results: Results, name: str) -> Mapping[str, object]:
    """What a contender said in its last run; nothing where it has none."""
    runs = results.of(name)
    return runs[-1].said if runs else {}
