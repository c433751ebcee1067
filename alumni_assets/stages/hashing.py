"""Hashes of files, by which uploads and stored tables are known."""

import hashlib
from pathlib import Path
from typing import BinaryIO

_READ_AT_ONCE = 4 << 20  # bytes


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_in_parts(stream: BinaryIO, part_size: int) -> tuple[str, str]:
    """The SHA-256 of a content, and that of the SHA-256s of its parts of `part_size` bytes, both in hex.

    The latter is what S3 calls the composite checksum of an object that was stored in parts.
    """
    whole, parts = hashlib.sha256(), hashlib.sha256()
    while chunk := stream.read(min(_READ_AT_ONCE, part_size)):
        part, left = hashlib.sha256(), part_size
        while chunk:
            whole.update(chunk)
            part.update(chunk)
            left -= len(chunk)
            chunk = stream.read(min(_READ_AT_ONCE, left))
        parts.update(part.digest())
    return whole.hexdigest(), parts.hexdigest()
