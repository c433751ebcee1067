"""The lake in a local folder. What a lake promises is in `lake_interface.py`.

Plain calls of the operating system throughout, because the promises need them: `os.scandir` lists names
with newlines and undecodable bytes, hard links make create-if-absent atomic for content as well, and new
files are their owner's alone, for they hold personal data.

A link to a file inside the lake counts as that file. Links to folders are not walked (a circle would never
end, and what they lead to inside the lake is listed under its own name), and what a link leads to outside
of the lake can neither be listed nor touched.
"""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path

from alumni_assets.resources.file_lock import FileLockTimeoutError, exclusive_file_lock
from alumni_assets.resources.lake_interface import (
    INCOMING,
    OWNER_FOLDER,
    SCRATCH_LIFETIME,
    Checksum,
    Lake,
    LakeEntry,
    LakeError,
    LakeKeyError,
    LakeUnavailableError,
    Readiness,
    check_key,
    check_prefix,
    os_errors,
    os_failure,
    printable,
    scratch_path,
    sweep_scratch,
)

OWNER_FILE = 0o600
_KNOWS_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class FolderLake(Lake):
    """A lake in the folder `root`, which must exist: it may be a disk that is not mounted just now."""

    lends_files = True

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._real_root = os.path.realpath(self._root)

    def list(self, prefix: str) -> Iterator[LakeEntry]:
        start = check_prefix(prefix)
        self._require_root()
        self._path(start)
        pending = [start]
        while pending:
            folder = pending.pop()
            try:
                for item in self._children(folder):
                    key = folder + item.name
                    if item.is_dir(follow_symlinks=False):
                        pending.append(f"{key}/")
                    elif entry := self._listed(key, item):
                        yield entry
            except OSError as error:
                raise os_failure("Listing", self.url(folder), error) from error

    def stat(self, key: str) -> LakeEntry | None:
        path = self._path(check_key(key))
        with self._errors("Looking up", key):
            try:
                return _entry(key, path.stat())
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return None

    def read_bytes(self, key: str) -> bytes:
        with self.open(key) as stream, self._errors("Reading", key):
            return stream.read()

    def open(self, key: str) -> BufferedReader:
        path = self._existing(key)
        with self._errors("Opening", key):
            try:
                return path.open("rb")
            except FileNotFoundError:  # deleted since it was looked up
                raise self._missing(key) from None

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        yield self._existing(key)

    def put_bytes(self, key: str, data: bytes) -> None:
        with self.writing(key) as path, self._errors("Writing", key):
            path.write_bytes(data)
            _flush(path)

    def create_bytes(self, key: str, data: bytes) -> bool:
        target = self._path(check_key(key))
        if os.path.lexists(target):
            return False
        with self._incoming(key) as path, self._errors("Creating", key):
            path.write_bytes(data)
            _finish(path, target)
            _flush(path)
            try:
                os.link(path, target)  # unlike a rename, it fails where the name is taken
            except FileExistsError:
                return False
        return True

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        target = self._path(check_key(key))
        with self._incoming(key) as path:
            yield path
            with self._errors("Writing", key):
                _finish(path, target)
                path.replace(target)

    def copy(self, source: str, target: str, storage_class: str | None = None) -> None:
        original = self._existing(source)
        with self.writing(target) as path, self._errors(f"Copying to {target!r}", source):
            shutil.copyfile(original, path)
            _flush(path)

    def checksum(self, key: str) -> Checksum | None:
        self._existing(key)
        return None

    def thaw(self, key: str, days: int, tier: str) -> Readiness:
        self._existing(key)
        return Readiness.READABLE

    def delete(self, key: str) -> None:
        path = self._path(check_key(key))
        with self._errors("Deleting", key):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()

    def url(self, key: str) -> str:
        return printable(self._root / key)

    def is_being_written(self, key: str) -> bool:
        """By asking Linux for a read lease, which it refuses while anybody has the file open for writing.

        Elsewhere, on file systems without leases and for files of other users, the answer is no.
        """
        set_lease = getattr(fcntl, "F_SETLEASE", None)
        if set_lease is None:
            return False
        with self.open(key) as stream:
            try:
                fcntl.fcntl(stream, set_lease, fcntl.F_RDLCK)
                fcntl.fcntl(stream, set_lease, fcntl.F_UNLCK)
            except OSError as error:
                return error.errno == errno.EAGAIN
        return False

    @contextmanager
    def alone(self, what: str, patience_seconds: float) -> Iterator[None]:
        """On a file system that knows no locks, everybody has their turn at once."""
        self._require_root()
        folder = self._path(INCOMING)
        with ExitStack() as turn:
            try:
                folder.mkdir(OWNER_FOLDER, exist_ok=True)
                turn.enter_context(exclusive_file_lock(folder / f"{what}.lock", patience_seconds))
            except FileLockTimeoutError as error:
                raise LakeError(
                    f"The turn of {what} did not come in {patience_seconds:g} s: {error}. Wait until that process is "
                    "done, or stop it; nothing is lost either way."
                ) from error
            except OSError as error:
                if error.errno not in _KNOWS_NO_LOCKS:
                    raise os_failure("Locking", printable(folder), error) from error
            yield

    def sweep(self, everything: bool = False) -> int:
        self._require_root()
        return sweep_scratch(self._path(INCOMING), 0 if everything else SCRATCH_LIFETIME)

    def forget_earlier(self, prefix: str) -> int:
        self._require_root()
        return 0

    def _path(self, key: str) -> Path:
        """Where the object of that name is. Raises LakeError when a link leads out of the lake on the way."""
        path = self._root / key
        if not self._is_inside(path):
            raise LakeError(
                f"{self.url(key)!r} is a link that leads out of the lake, which is not followed. "
                "Put the files themselves into the lake, or move the whole lake (ALUMNI_LAKE)."
            )
        return path

    def _is_inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._real_root)

    def _existing(self, key: str) -> Path:
        if self.stat(key) is None:
            raise self._missing(key)
        return self._path(key)

    def _missing(self, key: str) -> LakeKeyError:
        return LakeKeyError(f"There is no object {self.url(key)!r} in the lake.")

    def _children(self, folder: str) -> Iterable[os.DirEntry[str]]:
        """What is directly in a folder of the lake; nothing where the folder is missing, or just went."""
        try:
            with os.scandir(f"{self._root}/{folder}") as items:
                return [item for item in items if folder or item.name != INCOMING]
        except FileNotFoundError:
            return ()

    def _listed(self, key: str, item: os.DirEntry[str]) -> LakeEntry | None:
        if item.is_symlink() and not (self._is_inside(Path(item.path)) and Path(item.path).is_file()):
            return None
        try:
            return _entry(key, item.stat())
        except FileNotFoundError:  # gone since its folder was read
            return None

    def _incoming(self, key: str) -> AbstractContextManager[Path]:
        """A scratch path on the lake's own file system, so that the finished file only changes its name."""
        folder = self._path(INCOMING)
        self._require_root()
        return scratch_path(folder, key)

    def _require_root(self) -> None:
        if not self._root.is_dir():
            raise LakeUnavailableError(
                f"The lake folder {printable(self._root)!r} does not exist. "
                "Create it, or mount its disk, or set ALUMNI_LAKE to where the lake is."
            )

    def _errors(self, doing: str, key: str) -> AbstractContextManager[None]:
        return os_errors(doing, self.url(key))


def _entry(key: str, info: os.stat_result) -> LakeEntry | None:
    """The entry of a regular file; None for folders, pipes and devices.

    The etag holds the time of the last change of the inode beside that of the content, because the latter
    can be set back: `rsync --inplace --times` does so.
    """
    if not stat.S_ISREG(info.st_mode):
        return None
    marks = (info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size)
    modified = datetime.fromtimestamp(info.st_mtime, UTC)
    return LakeEntry(key, info.st_size, "-".join(f"{mark:x}" for mark in marks), modified)


def _finish(path: Path, target: Path) -> None:
    """Make a written file its owner's alone, and the folders that it is to go to."""
    path.chmod(OWNER_FILE)
    missing = [folder for folder in target.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(OWNER_FOLDER, exist_ok=True)


def _flush(path: Path) -> None:
    """Wait until the content is on the disk, for what cannot be made again after a power cut.

    That goes for facts and manifests (`create_bytes`, `put_bytes`), which would else stand empty for what is done, and
    for copies (`copy`). A table is written again by a rerun.
    """
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
