"""The tables below the uploads: one more upload for many alumni beside building everything anew, and the answers."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import inputs, machine, roster, table
from benchmarks.bench import Bench
from benchmarks.rounds import Contender

_MERGED = "merge,its checks,history,its check,publish"
_PROGRAM = roster.HERE / "contenders" / "warehouse.py"


def merge(bench: Bench, alumni: int, rows: int, earlier: Sequence[int], rounds: int) -> None:
    """Merge and publish one upload of `rows` rows where `alumni` came in so many earlier uploads; and build anew."""
    with _prepared(bench, alumni, earlier, rows) as folders:
        one_more = [
            Contender(str(uploads), f"one more upload after {uploads:,}", _copied(folder, _command(folder, _MERGED)))
            for uploads, folder in folders.items()
        ]
        first = folders[earlier[0]]
        anew = Contender("anew", f"everything anew, of {earlier[0]:,} uploads", _command(first, _MERGED))
        contenders = [*one_more, anew]
        results = bench.measured(contenders, rounds)
    pairs = [(anew.name, one_more[0].name), *((one.name, one_more[0].name) for one in one_more[1:])]
    tables = [
        table.steps(contenders, results),
        table.step_ratios(contenders, results, pairs, _MERGED.split(",")),
        table.medians(contenders, results),
    ]
    sizes = f"{alumni:,} alumni, and an upload of {rows:,} rows, half of them of alumni that are there."
    bench.report(f"merge-{alumni}", tables, [sizes, *results.absent.values(), *machine.remarks()])


def answers(bench: Bench, alumni: int, rounds: int) -> None:
    """All answers with their verdicts, their publication, and the page."""
    with _prepared(bench, alumni, [10], 0) as folders:
        folder = folders[10]
        ready = _copied(folder, _command(folder, "answers,publish,page"))
        contenders = [Contender("answers", f"{alumni:,} alumni", ready)]
        results = bench.measured(contenders, rounds)
    tables = [table.steps(contenders, results), table.medians(contenders, results)]
    bench.report(f"answers-{alumni}", tables, [*results.absent.values(), *machine.remarks()])


@contextmanager
def _prepared(bench: Bench, alumni: int, earlier: Sequence[int], rows: int) -> Iterator[dict[int, Path]]:
    """For each number of earlier uploads a folder: `uploads/`, all of them merged and published, and one that is not.

    That one has `rows` rows; there is none where that is 0.
    """
    bench.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="tables-", dir=bench.folder) as work:
        folders = {uploads: Path(work) / str(uploads) for uploads in earlier}
        for uploads, folder in folders.items():
            bench.tell(f"preparing {alumni:,} alumni of {uploads:,} uploads")
            inputs.transformed_uploads(folder / "uploads", alumni, uploads)
            subprocess.run(_command(folder, _MERGED)(folder), check=True, capture_output=True)  # noqa: S603
            if rows:
                inputs.one_more_upload(folder / "uploads", alumni, rows)
        yield folders


def _command(folder: Path, steps: str) -> Callable[[Path], Sequence[str]]:
    """The steps on the uploads of a prepared folder, in the folder of a run."""
    return lambda run: [sys.executable, str(_PROGRAM), str(folder / "uploads"), steps, str(run)]


def _copied(folder: Path, command: Callable[[Path], Sequence[str]]) -> Callable[[Path], Sequence[str]]:
    """The command, once the warehouse and what is published have been copied to the folder of its run."""

    def ready(run: Path) -> Sequence[str]:
        shutil.copytree(folder / "home", run / "home")
        shutil.copytree(folder / "lake", run / "lake")
        return command(run)

    return ready
