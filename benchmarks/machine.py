"""What a measurement was made on: the machine, and the versions of what was measured."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil

OURS = ("pyarrow", "pandas", "pandera", "numpy", "duckdb", "dagster")
_ASK = "import importlib.metadata, json, sys; print(json.dumps([importlib.metadata.version(n) for n in sys.argv[1:]]))"


def remarks(peers: Path | None = None, names: Sequence[str] = ()) -> list[str]:
    """What goes below a table: the machine, and the versions of ours and, of these packages, of the peers.

    `peers` is the Python of the peers' environment; None where they had no part.
    """
    ours = ", ".join(f"{name} {version(name)}" for name in OURS)
    found = [_machine(), f"Ours: {ours}."]
    if peers is not None and peers.exists():
        found.append(f"Peers: {', '.join(f'{name} {number}' for name, number in _versions(peers, names))}.")
    return found


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"Measured on {date.today().isoformat()} on {os.cpu_count()} cores ({_processor()}) with {memory:.0f} GiB of "
        f"memory, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}."
    )


def _versions(python: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    asked = subprocess.run([python, "-c", _ASK, *names], capture_output=True, text=True, check=True)  # noqa: S603
    return list(zip(names, json.loads(asked.stdout), strict=True))


def _processor() -> str:
    names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return names[0].strip() if names else platform.machine()
