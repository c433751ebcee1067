"""One upload by itself: ours beside other tools, ours at other shares of bad rows, ours at other sizes."""

from collections.abc import Sequence

from benchmarks import inputs, machine, roster, table
from benchmarks.bench import Bench
from benchmarks.rounds import Contender


def rows(
    bench: Bench, rows: int, bad: float, doubled: float, rounds: int, rounds_of_slow: int, only: Sequence[str]
) -> None:
    """Ours, the peers and the floors on the same file; `only` names some of `roster.NAMES`, none meaning all.

    Kept in the page only where all took part.
    """
    source = inputs.warmed(inputs.survey(bench.folder, rows, bad, doubled))
    contenders = roster.contenders(source, rows, only, rounds_of_slow)
    results = bench.measured(contenders, rounds)
    titles = {one.name: one.title for one in contenders}
    remarks = [
        f"{rows:,} rows, {source.stat().st_size / 1e6:,.0f} MB, {bad:.0%} of them bad, {doubled:.1%} exact duplicates.",
        *(f"*{one.title}* leaves out: {one.leaves_out}" for one in contenders if one.leaves_out),
        *(f"*{titles[name]}* is not in the table. {why}" for name, why in results.absent.items()),
        *roster.disagreements(results),
        *machine.remarks(roster.PEERS_PYTHON, roster.PEERS_PACKAGES),
    ]
    tables = [
        table.medians(contenders, results),
        table.ratios(contenders, results, roster.pairs()),
        table.steps(contenders, results),
    ]
    bench.report("some-rows" if only else f"rows-{rows}", tables, remarks)


def dirty(bench: Bench, rows: int, shares: Sequence[float], rounds: int) -> None:
    """Ours on uploads of which other shares are bad; ratios to the first share."""
    sources = {share: inputs.warmed(inputs.survey(bench.folder, rows, share)) for share in shares}
    contenders = [
        roster.ours("whole", source, rows, f"{share:g}", f"{share:.0%} of the rows bad")
        for share, source in sources.items()
    ]
    _beside_the_first(bench, contenders, rounds, f"dirty-{rows}")


def sizes(bench: Bench, sizes: Sequence[int], bad: float, rounds: int) -> None:
    """Ours on uploads of other sizes; ratios to the first size, those of times for each row."""
    sources = {size: inputs.warmed(inputs.survey(bench.folder, size, bad)) for size in sizes}
    contenders = [roster.ours("whole", source, size, str(size), f"{size:,} rows") for size, source in sources.items()]
    _beside_the_first(bench, contenders, rounds, "sizes")


def _beside_the_first(bench: Bench, contenders: Sequence[Contender], rounds: int, name: str) -> None:
    results = bench.measured(contenders, rounds)
    pairs = [(one.name, contenders[0].name) for one in contenders[1:]]
    tables = [
        table.medians(contenders, results),
        table.ratios(contenders, results, pairs),
        table.steps(contenders, results),
    ]
    bench.report(name, tables, [*results.absent.values(), *machine.remarks()])
