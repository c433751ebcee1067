"""A small upload with the `alumni` command as people call it, beside the least that any Dagster program costs."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import inputs, machine, table
from benchmarks.bench import Bench
from benchmarks.rounds import Contender

_BIN = Path(sys.executable).parent
_A_WHILE_AGO = 60  # seconds: a file that was written just now is waited for


def command(bench: Bench, rows: int, rounds: int) -> None:
    """Take in, approve and publish an upload on a fresh lake, beside `dagster --version`."""
    source = inputs.survey(bench.folder, rows, bad=0.01)

    def ready(folder: Path) -> Sequence[str]:
        raw = folder / "lake" / "raw"
        raw.mkdir(parents=True)
        shutil.copyfile(source, raw / "survey.csv")
        earlier = source.stat().st_mtime - _A_WHILE_AGO
        os.utime(raw / "survey.csv", (earlier, earlier))
        return [str(_BIN / "alumni"), "run", "--approve", "--approved-by", "Bench", "--json"]

    contenders = [
        Contender("run", f"alumni run --approve, {rows:,} rows", ready),
        Contender("floor", "dagster --version", lambda _: [str(_BIN / "dagster"), "--version"]),
    ]
    results = bench.measured(contenders, rounds)
    tables = [table.medians(contenders, results), table.ratios(contenders, results, [("run", "floor")])]
    bench.report("command", tables, [*results.absent.values(), *machine.remarks()])
