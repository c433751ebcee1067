"""A lake whose process dies before one of its writes, and one whose archive is in cold storage."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from alumni_assets.resources.lake import FolderLake
from alumni_assets.resources.lake_interface import LakeFrozenError, Readiness


class Killed(BaseException):
    """The process is gone: nothing of the project's catches this."""


class KilledLake(FolderLake):
    """A lake in a folder that dies before write number `last`, and counts its writes in `writes`."""

    def __init__(self, root: Path, last: int | None = None) -> None:
        super().__init__(root)
        self.last = last
        self.writes = 0

    def _count(self) -> None:
        self.writes += 1
        if self.writes == self.last:
            raise Killed

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        with super().writing(key) as path:
            yield path
            self._count()

    def create_bytes(self, key: str, data: bytes) -> bool:
        self._count()
        return super().create_bytes(key, data)

    def delete(self, key: str) -> None:
        self._count()
        super().delete(key)


class ColdLake(FolderLake):
    """A lake in a folder of which what is archived cannot be read before it was asked for and `is_handed_out`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked_for: set[str] = set()
        self.is_handed_out = False

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        if key.startswith("archive/") and not self._is_readable(key):
            raise LakeFrozenError("The object is in cold storage.")
        return super().local_copy(key)

    def thaw(self, key: str, days: int, tier: str) -> Readiness:
        if self._is_readable(key):
            return Readiness.READABLE
        state = Readiness.UNDER_WAY if key in self.asked_for else Readiness.ASKED_FOR
        self.asked_for.add(key)
        return state

    def copy(self, source: str, target: str, storage_class: str | None = None) -> None:
        super().copy(source, target, storage_class)
        self.asked_for.discard(target)

    def _is_readable(self, key: str) -> bool:
        return self.is_handed_out and key in self.asked_for
