"""The command `python -m benchmarks`: which measurements there are, and their sizes as options.

`make bench` calls it; without the name of a measurement it makes that of one upload, `rows`. Each prints its
tables, and keeps them in docs/performance.md, or docs/statistics.md, where that page has a place of their name.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from benchmarks import roster
from benchmarks.bench import Bench

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
STATISTICS = PAGE.with_name("statistics.md")
FOLDER = Path(tempfile.gettempdir()) / "alumni-benchmarks"
T = TypeVar("T", int, float)


class _RowsByDefault(click.Group):
    """Options alone are those of `rows`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, "--help"}:
            args = ["rows", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RowsByDefault)
def main() -> None:
    """Measure the pipeline, and what others do with the same file."""


def _measurement(command: Callable[..., None], kept_in: Path = PAGE) -> click.Command:
    """A command with the options that all have, which become its first argument: a `Bench`."""

    def with_bench(folder: Path, page: Path, **sizes: Any) -> None:
        command(Bench(folder.absolute(), page), **sizes)

    with_bench.__doc__ = command.__doc__
    with_bench.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    path = click.Path(path_type=Path)
    with_place = click.option("--folder", type=path, default=FOLDER, help="Where inputs and runs go.")(with_bench)
    with_page = click.option("--page", type=path, default=kept_in, help="Where tables are kept.")(with_place)
    return main.command(command.__name__)(with_page)


def _rounds(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option("--repeat", "rounds", default=default, show_default=True, help="How many rounds.")


def _numbers(kind: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str], list[T]]:
    """A callback that reads numbers parted by commas."""

    def read(_context: click.Context, parameter: click.Parameter, text: str) -> list[T]:
        try:
            return [kind(part) for part in text.split(",")]
        except ValueError as error:
            raise click.BadParameter("It takes numbers, parted by commas.", param=parameter) from error

    return read


@_measurement
@click.option("--rows", default=1_000_000, show_default=True, help="How many rows the upload has.")
@click.option("--bad", default=0.01, show_default=True, help="Share of rows with a bad cell.")
@click.option("--doubled", default=0.001, show_default=True, help="Share of rows that repeat another.")
@_rounds(5)
@click.option("--repeat-slow", "rounds_of_slow", default=2, show_default=True, help="The same for pandas and Spark.")
@click.option("--only", default="", metavar="NAMES", help=f"Some of {','.join(roster.NAMES)}; the page is left alone.")
def rows(bench: Bench, only: str, **sizes: Any) -> None:
    """One upload: ours, the peers and the floors."""
    from benchmarks.measurements import uploads

    chosen = [name for name in only.split(",") if name]
    if unknown := sorted(set(chosen) - set(roster.NAMES)):
        raise click.UsageError(f"There is no contender {unknown[0]}; there are {', '.join(roster.NAMES)}.")
    uploads.rows(bench, only=chosen, **sizes)


@_measurement
@click.option("--rows", default=1_000_000, show_default=True, help="How many rows each upload has.")
@click.option("--shares", default="0.01,0.3,1", show_default=True, callback=_numbers(float), help="Shares of bad rows.")
@_rounds(3)
def dirty(bench: Bench, **sizes: Any) -> None:
    """One upload: ours, with more and more bad rows."""
    from benchmarks.measurements import uploads

    uploads.dirty(bench, **sizes)


@_measurement
@click.option("--sizes", default="1000000,10000000", show_default=True, callback=_numbers(int), help="Numbers of rows.")
@click.option("--bad", default=0.01, show_default=True, help="Share of rows with a bad cell.")
@_rounds(2)
def sizes(bench: Bench, **sizes: Any) -> None:
    """One upload: ours, larger and larger."""
    from benchmarks.measurements import uploads

    uploads.sizes(bench, **sizes)


@_measurement
@click.option("--rows", default=1_000_000, show_default=True, help="How many rows the upload has.")
@click.option("--bad", default=0.01, show_default=True, help="Share of rows with a bad cell.")
@_rounds(3)
def engines(bench: Bench, **sizes: Any) -> None:
    """One upload, down to the tables: the engine of one machine, and Spark on one core and on two."""
    from benchmarks.measurements import engines

    engines.engines(bench, **sizes)


@_measurement
@click.option("--rows", default=1_000, show_default=True, help="How many rows the upload has.")
@_rounds(5)
def command(bench: Bench, **sizes: Any) -> None:
    """A small upload: the whole command, and how long Dagster takes to say its version."""
    from benchmarks.measurements import command

    command.command(bench, **sizes)


@_measurement
@click.option("--alumni", default=1_000_000, show_default=True, help="How many alumni there are already.")
@click.option("--rows", default=1_000, show_default=True, help="How many rows come.")
@click.option(
    "--uploads", "earlier", default="10,1000", show_default=True, callback=_numbers(int), help="Earlier ones."
)
@_rounds(3)
def merge(bench: Bench, **sizes: Any) -> None:
    """One more upload for many alumni, beside building all tables anew."""
    from benchmarks.measurements import warehouse

    warehouse.merge(bench, **sizes)


@_measurement
@click.option("--alumni", default=1_000_000, show_default=True, help="How many alumni there are.")
@_rounds(3)
def answers(bench: Bench, **sizes: Any) -> None:
    """All answers, their publication and the page."""
    from benchmarks.measurements import warehouse

    warehouse.answers(bench, **sizes)


@_measurement
@click.option("--uploads", default="1000", show_default=True, callback=_numbers(int), help="How many come at once.")
@click.option("--rows", default=1_000, show_default=True, help="How many rows each has.")
@_rounds(2)
def uploads(bench: Bench, **sizes: Any) -> None:
    """Many uploads at once, while `dagster dev` runs."""
    from benchmarks.measurements import running

    running.uploads(bench, **sizes)


@_measurement
@click.option("--drops", default=10, show_default=True, help="How many uploads come, one after the other.")
@click.option("--rows", default=1_000, show_default=True, help="How many rows each has.")
def latency(bench: Bench, **sizes: Any) -> None:
    """Single uploads, while `dagster dev` runs: from the drop until they are judged."""
    from benchmarks.measurements import running

    running.latency(bench, **sizes)


@_measurement
@click.option("--uploads", default=50_000, show_default=True, help="How many uploads are known.")
@_rounds(5)
def tick(bench: Bench, **sizes: Any) -> None:
    """The sensor where nothing is new, beside a bare listing: in a folder and in a bucket."""
    from benchmarks.measurements import ticks

    ticks.tick(bench, **sizes)


@_measurement
@click.option(
    "--uploads", default="100,1000,10000", show_default=True, callback=_numbers(int), help="How many are known."
)
@_rounds(5)
def automation(bench: Bench, **sizes: Any) -> None:
    """Dagster's look for news of which tables are to be made, where there is none."""
    from benchmarks.measurements import ticks

    ticks.automation(bench, **sizes)


@partial(_measurement, kept_in=STATISTICS)
@click.option("--batches", default=1_000, show_default=True, help="How many of each kind and size.")
def drift(bench: Bench, **sizes: Any) -> None:
    """How often the check for drift warns, of batches that are like those before them and of spoiled ones."""
    from benchmarks.measurements import drift

    drift.drift(bench, **sizes)


if __name__ == "__main__":
    main()
