"""From measurements to tables: medians of each contender, and ratios of two, pair by pair.

A ratio is taken within a round, between two runs that followed on each other; the median of these is shown with
the smallest and the largest. Where tables are kept is decided in `page.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from rich import box
from rich.table import Table as RichTable

from benchmarks.measuring import Measured
from benchmarks.rounds import Contender, Results


@dataclass(frozen=True)
class Table:
    """Cells as text; every row has as many as there are columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The table for a page; all but the first column to the right, as numbers are."""
        rule = [":---", *["---:"] * (len(self.columns) - 1)]
        lines = [self.columns, rule, *self.rows]
        return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)

    def for_terminal(self) -> RichTable:
        """The table for a terminal."""
        table = RichTable(box=box.SIMPLE)
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table


def medians(contenders: Sequence[Contender], results: Results) -> Table:
    """One row for each contender that ran: medians of wall time, CPU time and memory, and how many runs."""
    columns = ("", "wall s", "CPU s", "memory MB", "private MB", "µs per row", "rows out", "runs")
    rows = [
        (one.title, *_medians_of(results.of(one.name), one.rows), str(len(runs)))
        for one in contenders
        if (runs := results.of(one.name))
    ]
    return _without_empty_columns(Table(columns, tuple(rows)))


def steps(contenders: Sequence[Contender], results: Results) -> Table:
    """One row for each contender that tells of several steps: median seconds of each."""
    told = {one.title: runs for one in contenders if (runs := results.of(one.name)) and len(_steps(runs)) > 1}
    names = list(dict.fromkeys(step for runs in told.values() for step in _steps(runs)))
    rows = [
        (
            title,
            *(f"{median(_seconds(run, step) for run in runs):.2f}" if step in _steps(runs) else "" for step in names),
        )
        for title, runs in told.items()
    ]
    return Table(("seconds of steps", *names), tuple(rows))


def ratios(contenders: Sequence[Contender], results: Results, pairs: Iterable[tuple[str, str]]) -> Table:
    """One row for each pair of names: how many times the wall time, CPU time and memory of the second the first took.

    Where the two work on different numbers of rows, the times are those for each row.
    """
    by_name = {one.name: one for one in contenders}
    rows = []
    for above, below in pairs:
        found = results.pairs(above, below)
        if found:
            size = (by_name[below].rows or 1) / (by_name[above].rows or 1)
            rows.append(
                (
                    f"{by_name[above].title} ÷ {by_name[below].title}",
                    spread([one.wall / other.wall * size for one, other in found]),
                    spread([one.cpu / other.cpu * size for one, other in found]),
                    spread([one.memory / other.memory for one, other in found]),
                    str(len(found)),
                )
            )
    return Table(("pair by pair", "wall", "CPU", "memory", "pairs"), tuple(rows))


def step_ratios(
    contenders: Sequence[Contender], results: Results, pairs: Iterable[tuple[str, str]], steps: Sequence[str]
) -> Table:
    """One row for each pair of names: how many times the seconds of the second the first took for each step."""
    titles = {one.name: one.title for one in contenders}
    rows = [
        (
            f"{titles[above]} ÷ {titles[below]}",
            *(spread([_seconds(one, step) / _seconds(other, step) for one, other in found]) for step in steps),
            str(len(found)),
        )
        for above, below in pairs
        if (found := results.pairs(above, below))
    ]
    return Table(("pair by pair", *steps, "pairs"), tuple(rows))


def spread(values: Sequence[float]) -> str:
    """The median, and the smallest and largest in brackets."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _medians_of(runs: Sequence[Measured], rows: int) -> tuple[str, ...]:
    wall = median(run.wall for run in runs)
    return (
        f"{wall:.2f}",
        f"{median(run.cpu for run in runs):.2f}",
        f"{median(run.memory for run in runs) / 1e6:,.0f}",
        f"{median(run.private for run in runs) / 1e6:,.0f}",
        f"{wall / rows * 1e6:.2f}" if rows else "",
        f"{runs[-1].said['rows_out']:,}" if "rows_out" in runs[-1].said else "",
    )


def _steps(runs: Sequence[Measured]) -> Sequence[str]:
    return list(runs[-1].said.get("seconds", ()))


def _seconds(run: Measured, step: str) -> float:
    return float(run.said["seconds"][step])


def _without_empty_columns(table: Table) -> Table:
    filled = [n for n in range(len(table.columns)) if n == 0 or any(row[n] for row in table.rows)]
    return Table(tuple(table.columns[n] for n in filled), tuple(tuple(row[n] for n in filled) for row in table.rows))
