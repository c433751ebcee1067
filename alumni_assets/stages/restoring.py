"""Restoring: what is lost of an upload comes back from its archived copies, which cold storage hands out in hours.

What is made from them, valid and invalid rows and all tables, the pipeline then makes again by itself. How copies
come into the archive is in `archive.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alumni_assets import layout
from alumni_assets.resources.lake_interface import Lake, Readiness
from alumni_assets.stages.archive import ArchivedFile, archive_folder, archived_files, at_its_source, damage
from alumni_assets.survey.standing import Transformed

IN_PLACE, RESTORED = "in place", "restored"
NOT_ARCHIVED = "not archived since they were made anew"


class RestoreError(Exception):
    """An archived copy is not what was archived."""


@dataclass(frozen=True)
class RestoredFile:
    """How it stands with one object, by its key: `in place`, `restored`, or what cold storage says of its copy."""

    key: str
    state: str


def restore_upload(lake: Lake, transformed: Transformed, days: int, tier: str) -> list[RestoredFile]:
    """Bring back the original and the transformed rows of an upload where they are missing or damaged.

    Copies in cold storage are asked for, to be readable for so many `days`; nothing is brought back before all are
    readable, so call it again until no file waits. Rows that were archived before others were made of the upload are
    `NOT_ARCHIVED`: they stay where they are. Raises `RestoreError`, `DamagedManifestError`, and LakeKeyError where the
    upload has no archive.
    """
    archived = archived_files(lake, archive_folder(transformed))
    copies = [copy for copy in archived if not _is_of_other_rows(copy, transformed)]
    lost = [copy for copy in copies if damage(lake, at_its_source(copy))]
    states = {copy.source: IN_PLACE if copy in copies else NOT_ARCHIVED for copy in archived}
    states |= {copy.source: str(lake.thaw(copy.key, days, tier)) for copy in lost}
    if all(states[copy.source] == Readiness.READABLE for copy in lost):
        for copy in lost:
            _bring_back(lake, copy)
            states[copy.source] = RESTORED
    return [RestoredFile(key, state) for key, state in states.items()]


def waits(files: Sequence[RestoredFile]) -> bool:
    """Whether cold storage has still to hand something out."""
    return any(file.state not in (IN_PLACE, RESTORED, NOT_ARCHIVED) for file in files)


def _is_of_other_rows(copy: ArchivedFile, transformed: Transformed) -> bool:
    return copy.source == layout.transformed_key(transformed.upload) and copy.sha256 != transformed.content


def _bring_back(lake: Lake, copy: ArchivedFile) -> None:
    lake.copy(copy.key, copy.source)
    if wrong := damage(lake, at_its_source(copy)):
        raise RestoreError(
            f"{lake.url(copy.key)} is not what was archived ({wrong}). If the bucket keeps versions, restore an "
            "earlier one."
        )
