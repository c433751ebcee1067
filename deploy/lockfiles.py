"""The lock files at the top of the repository, as data."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

PROJECT = Path(__file__).parents[1]
_LOCKED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[.*?\])?==(?P<version>[^\s;]+)(\s*;\s*(?P<marker>.*?))?\s*\\?")


@dataclass(frozen=True)
class Locked:
    """A locked package. `marker` says on which machines it is installed; empty: on all."""

    name: str
    version: str
    marker: str

    @property
    def is_for_this_machine(self) -> bool:
        """Whether it is installed here."""
        return not self.marker or Marker(self.marker).evaluate()


def lock_files() -> list[Path]:
    """All lock files."""
    return sorted(PROJECT.glob("requirements*.lock"))


def locked_in(path: Path) -> Iterator[Locked]:
    """What a lock file locks."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := _LOCKED.fullmatch(line):
            yield Locked(normalized(found["name"]), found["version"], found["marker"] or "")


def normalized(name: str) -> str:
    """The name of a package as all its spellings have it in common."""
    return re.sub(r"[-_.]+", "-", name).lower()
