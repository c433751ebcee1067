"""Who is measured on one upload: our own stages, other tools, and two floors; and what each leaves out.

What a peer leaves out stands in its own docstring, after the words "Leaves out:".
"""

import ast
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.rounds import Contender, Results, said

HERE = Path(__file__).parent
PEERS_PYTHON = HERE.parent / ".venv-peers" / "bin" / "python"
PEERS_PACKAGES = ("polars", "dataframely", "duckdb", "pyarrow", "pandas", "pyspark")
OURS = ("whole", "shared")
_OURS = {
    "whole": ("ours, whole", ""),
    "checked": ("ours, whole, with the asset checks", ""),
    "shared": ("ours, what others do too", "The pinned copy, the correction files, the approval, the archive."),
}
_PEERS = {
    "polars": ("polars + dataframely", "polars_dataframely.py"),
    "duckdb": ("DuckDB SQL", "duckdb_sql.py"),
    "pandas": ("old pandas script", "pandas_script.py"),
    "spark": ("old Spark script", "spark_script.py"),
    "scan": ("floor: pyarrow scans", "floor_scan.py"),
    "scan-write": ("floor: pyarrow scans and writes", "floor_scan_write.py"),
}
_SLOW = {"pandas", "spark"}
NAMES = (*_OURS, *_PEERS)


def contenders(source: Path, rows: int, only: Sequence[str], rounds_of_slow: int) -> list[Contender]:
    """Those of `NAMES` that are in `only`, or all; each to be run on the file `source` of `rows` rows."""
    chosen = [name for name in NAMES if not only or name in only]
    return [ours(name, source, rows) if name in _OURS else _peer(name, source, rows, rounds_of_slow) for name in chosen]


def ours(mode: str, source: Path, rows: int, name: str = "", title: str = "") -> Contender:
    """Our own stages; `mode` is one of whole, checked and shared."""
    program = HERE / "contenders" / "ours.py"
    ready = _on_folder(Path(sys.executable), program, mode, str(source))
    return Contender(name or mode, title or _OURS[mode][0], ready, rows, _OURS[mode][1])


def pairs() -> list[tuple[str, str]]:
    """Ours above each peer."""
    return [(mode, peer) for mode in OURS for peer in _PEERS]


def disagreements(results: Results) -> list[str]:
    """A sentence for each contender that found other numbers of valid and invalid rows than ours did."""
    mode = next((name for name in _OURS if results.of(name)), "")
    counts = {name: [said(results, name).get(kind) for kind in ("valid", "invalid")] for name in NAMES}
    return [
        f"{name} found {found[0]} valid and {found[1]} invalid rows, ours {counts[mode][0]} and {counts[mode][1]}."
        for name, found in counts.items()
        if mode and found[0] is not None and found != counts[mode]
    ]


def _peer(name: str, source: Path, rows: int, rounds_of_slow: int) -> Contender:
    title, file = _PEERS[name]
    return Contender(
        name,
        title,
        _on_folder(PEERS_PYTHON, HERE / "peers" / file, str(source)),
        rows,
        _leaves_out(HERE / "peers" / file),
        rounds_of_slow if name in _SLOW else None,
        _lacking(name),
    )


def _lacking(name: str) -> str:
    if not PEERS_PYTHON.exists():
        return "Skipped: there is no environment .venv-peers; `make bench` makes it."
    if name == "spark" and shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "Skipped: there is no Java on this machine."
    return ""


def _on_folder(python: Path, program: Path, *arguments: str) -> Callable[[Path], Sequence[str]]:
    """A command whose last argument is the folder of its run."""
    return lambda folder: [str(python), str(program), *arguments, str(folder)]


def _leaves_out(program: Path) -> str:
    docstring = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or ""
    left_out = docstring.partition("Leaves out: ")[2].split()
    return " ".join(left_out)[:1].upper() + " ".join(left_out)[1:]
