"""Archive: an original and its transformed copy under archive/DATE/, with a manifest of checksums.

The manifest is written last: an archive without one, or with an empty one, is not done, and is found by that and done
again. Of an upload that was approved again on the same day the one before may be there; it names other rows.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alumni_assets import layout
from alumni_assets.resources.lake_interface import Lake, LakeFrozenError, LakeKeyError
from alumni_assets.stages.hashing import sha256_in_parts
from alumni_assets.survey.naming import safe_key
from alumni_assets.survey.standing import Facts, Seen, Transformed

MANIFEST = "manifest.json"
UNVERIFIABLE = "the storage has no SHA-256 of it, and it is in cold storage, where it cannot be read"
ROWS = "transformed.parquet"


class ArchiveError(Exception):
    """What is to be archived is not what was pinned or made."""


class DamagedManifestError(ArchiveError):
    """An archive's manifest cannot be read; the message says which and what to do."""


@dataclass(frozen=True)
class ArchivedFile:
    """One archived copy: its key, size in bytes and SHA-256, and the key of its source."""

    key: str
    size: int
    sha256: str
    source: str


def archive_upload(
    lake: Lake, seen: Seen, transformed: Transformed, storage_class: str | None = None
) -> tuple[str, list[ArchivedFile]]:
    """Copy an upload's pinned original and transformed rows to the archive; returns folder and copies.

    It is done once `seal_archive` has written their manifest. The folder's date is that of the transformation, so
    that doing it again changes nothing: a copy that is there and undamaged stays, for cold storage bills every object
    for months. `storage_class` is that of the copies.
    """
    folder = archive_folder(transformed)
    sources = _sources(seen, transformed.content)
    copies = [
        _copied(lake, source, f"{folder}{name}", sha256, storage_class) for name, (source, sha256) in sources.items()
    ]
    return folder, copies


def _sources(seen: Seen, rows: str) -> dict[str, tuple[str, str]]:
    """For each copy's name in the folder: the key of its source, and the SHA-256; `rows` is that of the rows."""
    return {
        f"original/{safe_key(seen.key)}": (layout.pinned_key(seen.upload), seen.sha256),
        ROWS: (layout.transformed_key(seen.upload), rows),
    }


def seal_archive(lake: Lake, seen: Seen, folder: str, copies: Sequence[ArchivedFile]) -> None:
    """Write the manifest of what was archived; call it when all that has to follow from that is on record."""
    _put_manifest(lake, folder, {"upload": seen.upload, "received_at": seen.received_at.isoformat()}, copies)


def unarchived(lake: Lake, facts: Facts) -> list[str]:
    """The transformed uploads whose archive is not done, the first received first."""
    done = {folder for folder, is_done in archive_folders(lake).items() if is_done}
    found = [
        upload
        for upload, transformed in facts.transformed.items()
        if upload in facts.seen and not _is_archived(lake, facts, transformed, done)
    ]
    return sorted(found, key=lambda upload: (facts.seen[upload].received_at, upload))


def _is_archived(lake: Lake, facts: Facts, transformed: Transformed, done: Collection[str]) -> bool:
    folder = archive_folder(transformed)
    if folder not in done:
        return False
    # A manifest is only read where it may be an earlier one: one for each upload would be many.
    approvals = [decision for decision in facts.decisions.get(transformed.upload, ()) if decision.kind == "approved"]
    return len(approvals) < 2 or _names_rows(lake, folder, transformed)


def _names_rows(lake: Lake, folder: str, transformed: Transformed) -> bool:
    try:
        return any(copy.sha256 == transformed.content for copy in archived_files(lake, folder))
    except DamagedManifestError:
        return False


def archive_folder(transformed: Transformed) -> str:
    """The folder of an upload's archived copies."""
    return layout.archive_folder(transformed.upload, transformed.at.date().isoformat())


def archive_folders(lake: Lake) -> dict[str, bool]:
    """The folders of archived copies, and of each whether its archive is done."""
    found: dict[str, bool] = {}
    for entry in lake.list(layout.ARCHIVE):
        if folder := layout.archive_folder_of(entry.key):
            found[folder] = found.get(folder, False) or (entry.key == f"{folder}{MANIFEST}" and entry.size > 0)
    return found


def unlisted_copies(lake: Lake, folder: str, seen: Seen, transformed: Transformed | None) -> list[ArchivedFile]:
    """The copies in the folder of an archive that is not done, each as what it would be if it were made now."""
    sources = _sources(seen, transformed.content if transformed else "")
    sizes = {source: entry.size for source, _ in sources.values() if (entry := lake.stat(source))}
    return [
        ArchivedFile(f"{folder}{name}", sizes.get(source, 0), sha256, source)
        for name, (source, sha256) in sources.items()
        if lake.stat(f"{folder}{name}") is not None
    ]


def archived_files(lake: Lake, folder: str) -> list[ArchivedFile]:
    """The copies that a folder's manifest names. Raises LakeKeyError without one, and `DamagedManifestError`."""
    return _manifest(lake, folder)[1]


def write_manifest(lake: Lake, folder: str, copies: Sequence[ArchivedFile]) -> None:
    """Write a folder's manifest anew for these copies, which took the places of others."""
    about, _ = _manifest(lake, folder)
    _put_manifest(lake, folder, about, copies)


def _manifest(lake: Lake, folder: str) -> tuple[dict[str, str], list[ArchivedFile]]:
    """What a manifest says of the upload, and the copies that it names."""
    key = f"{folder}{MANIFEST}"
    content = lake.read_bytes(key)
    try:
        manifest = json.loads(content)
        about = {name: str(manifest[name]) for name in ("upload", "received_at")}
        return about, [_named_file(file, folder, about["upload"]) for file in manifest["files"]]
    except (ValueError, LookupError, TypeError) as error:
        raise DamagedManifestError(
            f"{lake.url(key)}, the manifest of an archived upload, is damaged. Restore it from a backup, or delete it "
            "and call `alumni run`, which archives the upload again and leaves undamaged copies as they are."
        ) from error


def _named_file(file: Mapping[str, Any], folder: str, upload: str) -> ArchivedFile:
    key = str(file["key"])
    source = layout.transformed_key(upload) if key == f"{folder}{ROWS}" else layout.pinned_key(upload)
    return ArchivedFile(key, int(file["size"]), str(file["sha256"]), source)


def _put_manifest(lake: Lake, folder: str, about: Mapping[str, str], copies: Sequence[ArchivedFile]) -> None:
    files = [{"key": copy.key, "size": copy.size, "sha256": copy.sha256} for copy in copies]
    lake.put_bytes(f"{folder}{MANIFEST}", json.dumps({**about, "files": files}, indent=1).encode())


def damaged_copies(lake: Lake, copies: list[ArchivedFile]) -> Mapping[str, str]:
    """For each archived copy that is not what the manifest says: what is wrong with it."""
    found = {copy.key: damage(lake, copy) for copy in copies}
    return {key: wrong for key, wrong in found.items() if wrong}


def damage(lake: Lake, copy: ArchivedFile) -> str:
    """What is wrong with a copy; empty where nothing is.

    It is verified by the checksum that the storage has of it, for what lies in cold storage cannot be read; where
    the storage has none, by reading it. A copy that can be neither is `UNVERIFIABLE`.
    """
    entry = lake.stat(copy.key)
    if entry is None:
        return "missing"
    if entry.size != copy.size:
        return f"{entry.size:,} bytes instead of {copy.size:,}"
    try:
        return "" if _has_checksum(lake, copy) else "the checksum differs"
    except LakeFrozenError:
        return UNVERIFIABLE


def at_its_source(copy: ArchivedFile) -> ArchivedFile:
    """The object that a copy was made of, to see whether it is what the manifest says."""
    return replace(copy, key=copy.source, source=copy.key)


def _has_checksum(lake: Lake, copy: ArchivedFile) -> bool:
    stored = lake.checksum(copy.key)
    if stored is None:
        with lake.open(copy.key) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == copy.sha256
    if not stored.part_size:
        return stored.sha256 == copy.sha256
    with lake.open(copy.source) as stream:
        return sha256_in_parts(stream, stored.part_size) == (copy.sha256, stored.sha256)


def _copied(lake: Lake, source: str, key: str, sha256: str, storage_class: str | None) -> ArchivedFile:
    """The copy that is there, undamaged, whatever became of its source since; else a new one."""
    archived = lake.stat(key)
    before = ArchivedFile(key, archived.size, sha256, source) if archived else None
    if before and not damage(lake, before):
        return before
    entry = lake.stat(source)
    if entry is None:
        raise LakeKeyError(f"{lake.url(source)} is gone, so it cannot be archived. Restore it from a backup.")
    copy = ArchivedFile(key, entry.size, sha256, source)
    if archived and (wrong := damage(lake, replace(copy, key=source))):
        raise ArchiveError(
            f"{lake.url(source)} is not what is to be archived ({wrong}), and does not take the place of the copy "
            "that is there. Restore it from a backup."
        )
    lake.copy(source, key, storage_class)
    return copy
