"""Disks of which a test may do anything: small ones that fill up, that turn read-only, that are taken away."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alumni_assets_tests.endings import Ending, ending_of

from ..pipeline.conftest import Pipeline, changed_rules, own_environment, pipeline
from .life import live

__all__ = ["changed_rules", "own_environment", "pipeline"]
_AS_ROOT = ["sudo", "-n"] if os.geteuid() and shutil.which("sudo") else []


class Disk:
    """A file system in memory, mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, room: int) -> None:
        """Let something else take all of the disk but so many bytes."""
        self.make_room()
        with self._filler.open("wb", buffering=0) as file:
            free = os.statvfs(self.path)
            os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_bsize - room))

    def make_room(self) -> None:
        """Take that away again."""
        self._filler.unlink(missing_ok=True)

    def take_away(self) -> None:
        """Unmount it; all stays on it."""
        elsewhere = self.path.with_name(f"{self.path.name}, away")
        elsewhere.mkdir(exist_ok=True)
        _mount("--move", self.path, elsewhere)

    def bring_back(self) -> None:
        """Mount it again."""
        shutil.rmtree(self.path)
        self.path.mkdir()
        _mount("--move", self.path.with_name(f"{self.path.name}, away"), self.path)

    def allow_writing(self, is_allowed: bool) -> None:
        """Mount it for reading and writing, or for reading only."""
        _mount("-o", f"remount,{'rw' if is_allowed else 'ro'}", self.path)


def _mount(*arguments: str | Path) -> None:
    subprocess.run([*_AS_ROOT, "mount", *arguments], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Disk]]:
    """Mounts a disk of 64 MB at a folder of the test's own: `small_disk("lake")`.

    The leave to mount one cannot be installed, as programs can: where there is none, as in a container without rights,
    the test is skipped in CI too.
    """
    disks: list[Disk] = []

    def mount(name: str) -> Disk:
        path = tmp_path / name
        path.mkdir()
        options = f"size=64m,mode=700,uid={os.getuid()}"
        done = subprocess.run(
            [*_AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("this user may not mount disks")
        disks.append(Disk(path))
        return disks[-1]

    yield mount
    for disk in disks:
        subprocess.run([*_AS_ROOT, "umount", "--lazy", disk.path], check=True)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Ending:
    """How everything stands when nothing happens to the machine."""
    quiet = Pipeline(tmp_path_factory.mktemp("undisturbed"))
    with quiet.instance:
        live(quiet)
        return ending_of(quiet)
