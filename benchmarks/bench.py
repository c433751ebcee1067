"""What every measurement needs: a folder for its inputs and runs, a terminal to tell of it, a page to keep it in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from benchmarks import page
from benchmarks.rounds import Contender, Results, run_rounds
from benchmarks.table import Table

_WIDTH_OF_FILES = 150


def console() -> Console:
    """A console that is wide enough for tables also where no terminal says how wide it is."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=_WIDTH_OF_FILES)


@dataclass(frozen=True)
class Bench:
    """Where inputs and results go, and how they are told."""

    folder: Path
    page: Path
    console: Console = field(default_factory=console)

    def measured(self, contenders: Sequence[Contender], rounds: int) -> Results:
        """Run them in rounds, telling of each run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return run_rounds(contenders, rounds, self.folder, self.tell)

    def tell(self, line: str) -> None:
        """Tell how it goes on."""
        self.console.print(line, highlight=False, markup=False)

    def report(self, name: str, tables: Sequence[Table], remarks: Sequence[str]) -> None:
        """Print tables and remarks, and keep them in the page where that has a place of that name."""
        self.tell("")
        for table in tables:
            if table.rows:
                self.console.print(table.for_terminal())
        for remark in remarks:
            self.tell(remark)
        if page.keep(self.page, name, page.block(tables, remarks)):
            self.tell(f"Kept in {self.page}.")
        else:
            self.tell(f"Not kept: {self.page} has no place {page.marker(name)}.")
