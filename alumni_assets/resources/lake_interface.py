"""What a lake is: its calls, its errors and its rules for keys, the same for a folder and for a bucket.

No object is touched here, only the temporary files that both kinds make. `lake_folder.py` and
`lake_bucket.py` keep objects, `lake_location.py` chooses between them.
"""

import errno
import re
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from typing import ClassVar

INCOMING = ".incoming"  # reserved: a folder lake keeps what is not yet complete there
OWNER_FOLDER = 0o700  # the mode of new folders: what the lake holds is personal data
SCRATCH_PREFIX = "alumni-lake-"
SCRATCH_LIFETIME = 24 * 3600  # seconds after which a scratch folder's writer is taken for dead
# What the operating system says when a whole disk is full, read-only or gone, whatever is read or written there.
OUT_OF_ORDER = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN)
)


class LakeError(Exception):
    """Something the lake could not do: what happened, where, and what to do. Never holds credentials."""

    __str__ = Exception.__str__  # KeyError, a base of LakeKeyError, would print the repr of the message


class LakeKeyError(LakeError, KeyError):
    """There is no such object."""


class LakeUnavailableError(LakeError):
    """The whole lake is gone, out of reach, full or read-only: nothing that was to be done there is to blame."""


class LakeFrozenError(LakeError):
    """The object is in cold storage, and cannot be read before it is restored."""


@dataclass(frozen=True)
class LakeEntry:
    """One object: `key` relative to the lake's root, `size` in bytes, `modified` in UTC.

    `etag` changes whenever the content may have changed. It is no hash of the content.
    """

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class Checksum:
    """The SHA-256, in hex, that the storage itself has of an object's content.

    With a `part_size` in bytes it is that of the SHA-256s of the object's parts, one after the other.
    """

    sha256: str
    part_size: int = 0


class Readiness(StrEnum):
    """Whether an object can be read, or has to be fetched from cold storage first."""

    READABLE = "readable"
    ASKED_FOR = "asked for now"
    UNDER_WAY = "under way"


class Lake(ABC):
    """Objects under keys such as `raw/2024/answers.csv`.

    Keys come from listings and from code, and are refused with a LakeError where they could lead out of the
    lake (`check_key`). Every call raises LakeError when the lake itself is missing or out of reach: no
    failure looks like "nothing there".
    """

    lends_files: ClassVar[bool] = False
    """Whether `local_copy` lends the object itself, so that a look into it costs next to nothing."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[LakeEntry]:
        """All objects below the folder `prefix` (`raw/`; empty: the whole lake), however deep, in any order.

        A missing folder is empty.
        """

    @abstractmethod
    def stat(self, key: str) -> LakeEntry | None:
        """The object's entry as a listing shows it, or None where there is no such object."""

    @abstractmethod
    def read_bytes(self, key: str) -> bytes:
        """The content of a small object. Raises LakeKeyError where there is none."""

    @abstractmethod
    def open(self, key: str) -> BufferedReader:
        """The content as a seekable stream, in bounded memory; close it. Raises LakeKeyError."""

    @abstractmethod
    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """A local path to read the content from, and never to write to. Raises LakeKeyError.

        It lasts as long as the context. A folder lends the file itself, a bucket a temporary copy.
        """

    @abstractmethod
    def put_bytes(self, key: str, data: bytes) -> None:
        """Write a small object, or replace it; readers see the old content or the new, never a part."""

    @abstractmethod
    def create_bytes(self, key: str, data: bytes) -> bool:
        """Write a small object unless it exists: of many who try at once, exactly one is told True."""

    @abstractmethod
    def writing(self, key: str) -> AbstractContextManager[Path]:
        """A local path to write a file to, which becomes the object, atomically, when the context ends well.

        Nothing exists at the path yet. After an exception nothing is left of it, and the object is as before.
        """

    @abstractmethod
    def copy(self, source: str, target: str, storage_class: str | None = None) -> None:
        """Copy one object within the lake, replacing `target` atomically. Raises LakeKeyError.

        `storage_class` is S3's (such as `DEEP_ARCHIVE`); a folder has none and pays no heed to it.
        """

    @abstractmethod
    def checksum(self, key: str) -> Checksum | None:
        """What the storage itself has of the object, without its being read; None where it has nothing.

        Raises LakeKeyError.
        """

    @abstractmethod
    def thaw(self, key: str, days: int, tier: str) -> Readiness:
        """Ask for an object that lies in cold storage, unless that was done before; returns how it stands.

        It stays readable for so many `days` then. `tier` is S3's, such as `Bulk`. Raises LakeKeyError.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object; that there is none is fine."""

    @abstractmethod
    def url(self, key: str) -> str:
        """Where the object is, for people: an absolute path, or `s3://bucket/prefix/key`."""

    @abstractmethod
    def is_being_written(self, key: str) -> bool:
        """Whether a program on this machine has the object open for writing, as far as that can be known."""

    @abstractmethod
    def alone(self, what: str, patience_seconds: float) -> AbstractContextManager[None]:
        """While the context lasts, nobody else on this machine does `what` in the lake; waits for the turn.

        Raises LakeError where it does not come in time. Only a folder has such turns, and a bucket gives everybody
        theirs at once: there, one instance is all that may work on it.
        """

    @abstractmethod
    def sweep(self, everything: bool = False) -> int:
        """Remove what writers that were killed left behind, once it is a day old; returns how many.

        With `everything`, whatever its age, where the folder is the lake's own: nobody may be at work in it then.
        """

    @abstractmethod
    def forget_earlier(self, prefix: str) -> int:
        """Delete every earlier version, and every mark of a deletion, that the storage keeps below a folder.

        What there is stays. Returns how many were deleted; a local folder keeps none.
        """


def check_key(key: str, *, empty_segments: bool = False) -> str:
    """The key itself, where it can only mean an object inside the lake. Raises LakeError.

    `..` counts as a segment after a backslash too. `empty_segments` allows `raw//a.csv`, which is an
    ordinary name in a bucket.
    """
    if not key or key.startswith("/") or "\0" in key:
        raise LakeError(_refusal(key, "it is empty, absolute, or holds a null character"))
    if {".", ".."} & set(re.split(r"[/\\]", key)):
        raise LakeError(_refusal(key, "it has a segment `.` or `..`"))
    if not empty_segments and "" in key.split("/"):
        raise LakeError(_refusal(key, "it has an empty segment"))
    if not _is_storable(key):
        raise LakeError(_refusal(key, "it is no text, and no file name either"))
    if key.split("/")[0] == INCOMING:
        raise LakeError(_refusal(key, f"{INCOMING}/ belongs to the lake itself"))
    return key


def check_prefix(prefix: str) -> str:
    """The folder with one slash at its end, or nothing for the whole lake. Raises LakeError."""
    return f"{check_key(prefix.removesuffix('/'))}/" if prefix else ""


def _is_storable(key: str) -> bool:
    try:
        key.encode("utf-8", "surrogateescape")  # which stands for the bytes of a name that is no UTF-8
    except UnicodeEncodeError:
        return False
    return True


def _refusal(key: str, why: str) -> str:
    return f"The lake refuses the key {key!r}: {why}. Use names below the lake's root, parted by single slashes."


@contextmanager
def os_errors(doing: str, where: str) -> Iterator[None]:
    """Turn errors of the operating system into LakeErrors."""
    try:
        yield
    except OSError as error:
        raise os_failure(doing, where, error) from error


def os_failure(doing: str, where: str, error: OSError) -> LakeError:
    """What the operating system refused, said with what was being done, and where."""
    kind = LakeUnavailableError if error.errno in OUT_OF_ORDER else LakeError
    return kind(
        f"{doing} {where!r} failed: {error.strerror or type(error).__name__}. "
        "Check that the disk is there and not full, and that this user may read and write it."
    )


@contextmanager
def scratch_path(parent: Path, key: str) -> Iterator[Path]:
    """A path that nothing exists at, in a new folder below `parent` that is the owner's and removed afterwards.

    It ends as the key does (`.csv.gz`), for the sake of readers that go by that.
    """
    with os_errors("Making a temporary folder in", printable(parent)):
        parent.mkdir(OWNER_FOLDER, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=parent))
    suffix = re.search(r"(\.[A-Za-z0-9]{1,8}){0,2}\Z", key)
    try:
        yield folder / f"object{suffix[0] if suffix else ''}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_scratch(parent: Path, lifetime: float = SCRATCH_LIFETIME) -> int:
    """Remove the scratch folders in `parent` in which nothing has changed for that many seconds; returns how many."""
    with os_errors("Sweeping", printable(parent)):
        dead = [folder for folder in parent.glob(f"{SCRATCH_PREFIX}*") if _is_dead(folder, lifetime)]
        for folder in dead:
            shutil.rmtree(folder, ignore_errors=True)
    return len(dead)


def _is_dead(folder: Path, lifetime: float) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    try:
        changed = max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
    except (FileNotFoundError, PermissionError):  # its writer has just finished, or is somebody else
        return False
    return time.time() - changed > lifetime


def printable(path: Path) -> str:
    """The path as text that can be shown and stored: bytes that are no UTF-8 become `\\xff`."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
