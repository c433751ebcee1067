"""One upload from its pinned copy to the tables: the engine of one machine, and Spark on one core and on all."""

import shutil
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks import inputs, machine, table
from benchmarks.bench import Bench
from benchmarks.rounds import Contender

_PROJECT = Path(__file__).parents[2]
_ENGINES = {"local": "one machine", "local[1]": "Spark, one core", "local[2]": "Spark, two cores"}


def engines(bench: Bench, rows: int, bad: float, rounds: int) -> None:
    """Each engine on the same file."""
    source = inputs.warmed(inputs.survey(bench.folder, rows, bad, 0.001))
    has_spark = find_spec("pyspark") and shutil.which("java")
    lacks = "" if has_spark else "Spark is not in the table: it needs `make spark`, and Java."
    contenders = [
        Contender(name, title, partial(_command, name, source), rows, lacks="" if name == "local" else lacks)
        for name, title in _ENGINES.items()
    ]
    results = bench.measured(contenders, rounds)
    pairs = [("local[1]", "local"), ("local[2]", "local"), ("local[2]", "local[1]")]
    tables = [
        table.medians(contenders, results),
        table.ratios(contenders, results, pairs),
        table.steps(contenders, results),
    ]
    size = f"{rows:,} rows, {source.stat().st_size / 1e6:,.0f} MB, {bad:.0%} of them bad."
    bench.report(f"engines-{rows}", tables, [size, *results.absent.values(), *machine.remarks()])


def _command(engine: str, source: Path, folder: Path) -> Sequence[str]:
    python = ["env", f"PYTHONPATH={_PROJECT}", sys.executable, "-m", "benchmarks.contenders.engines"]
    return [*python, engine, str(source), str(folder)]
