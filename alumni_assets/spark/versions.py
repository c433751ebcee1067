"""What a Spark job and the Dagster that starts it must have alike, so that the job gives what one machine gives.

On one machine they are the same installation. A service has a package of its own, which may be an older one.
"""

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

OURS = "alumni_assets"
# The libraries by which a cell is judged or transformed, or a table stored, this way or another.
_DECIDING = ("babel", "numpy", "pandas", "pandera", "phonenumbers", "pyarrow", "python-calamine", "rapidfuzz")
_CODE = (".py", ".sql")


def versions() -> dict[str, str]:
    """The versions that decide about results, by name; that of this package is a hash of its code."""
    return {OURS: _hash_of_code(Path(__file__).parents[1])} | {name: version(name) for name in _DECIDING}


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Where two such mappings differ, as text: `pyarrow 22.0.0 instead of 26.0.1`."""
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    return [f"{name} {here.get(name, 'nowhere')} instead of {there.get(name, 'nowhere')}" for name in names]


def _hash_of_code(package: Path) -> str:
    """16 hex digits that change with any of the package's programs and queries."""
    digest = hashlib.sha256()
    for path in sorted(path for path in package.rglob("*") if path.suffix in _CODE):
        digest.update(f"{path.relative_to(package).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
