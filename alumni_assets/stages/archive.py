"""Archive: an original and its transformed copy under archive/DATE/, with a manifest of checksums."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from alumni_assets import layout
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.survey.naming import safe_key
from alumni_assets.survey.standing import Seen, Transformed


@dataclass(frozen=True)
class ArchivedFile:
    """One archived copy: its key, size in bytes and SHA-256."""

    key: str
    size: int
    sha256: str


def archive_upload(lake: Lake, seen: Seen, transformed: Transformed) -> tuple[str, list[ArchivedFile]]:
    """Copy an upload's pinned original and transformed rows to the archive; returns folder and copies.

    The folder's date is that of the transformation, so that doing it again changes nothing.
    """
    folder = layout.archive_folder(seen.upload, transformed.at.date().isoformat())
    sources = {
        f"{folder}original/{safe_key(seen.key)}": (layout.pinned_key(seen.upload), seen.sha256),
        f"{folder}transformed.parquet": (layout.transformed_key(seen.upload), transformed.content),
    }
    copies = [_copied(lake, source, key, sha256) for key, (source, sha256) in sources.items()]
    manifest = {
        "upload": seen.upload,
        "received_at": seen.received_at.isoformat(),
        "files": [{"key": copy.key, "size": copy.size, "sha256": copy.sha256} for copy in copies],
    }
    lake.put_bytes(f"{folder}manifest.json", json.dumps(manifest, indent=1).encode())
    return folder, copies


def damaged_copies(lake: Lake, copies: list[ArchivedFile]) -> Mapping[str, str]:
    """For each archived copy that is not what the manifest says: what is wrong with it."""
    found = {copy.key: _damage(lake, copy) for copy in copies}
    return {key: damage for key, damage in found.items() if damage}


def _copied(lake: Lake, source: str, key: str, sha256: str) -> ArchivedFile:
    lake.copy(source, key)
    entry = lake.stat(source)
    assert entry is not None
    return ArchivedFile(key, entry.size, sha256)


def _damage(lake: Lake, copy: ArchivedFile) -> str:
    entry = lake.stat(copy.key)
    if entry is None:
        return "missing"
    if entry.size != copy.size:
        return f"{entry.size:,} bytes instead of {copy.size:,}"
    with lake.open(copy.key) as stream:
        return "" if _sha256(stream) == copy.sha256 else "the checksum differs"


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(4 << 20):
        digest.update(chunk)
    return digest.hexdigest()
