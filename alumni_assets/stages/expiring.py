"""Expiring: deletes what is older than the survey's configuration says, and no longer needed.

What may go is decided in `retention_plan.py`. Here it is looked at once more before it goes: the copies in the archive
that are to be all that is left of an upload are verified, and an object that has changed since it was listed stays.
Doing it again deletes what a killed process left.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from alumni_assets.register import Register
from alumni_assets.resources.lake_interface import Lake, LakeKeyError
from alumni_assets.retention_plan import FOLDERS, Due, Layer, Why, due
from alumni_assets.stages.archive import DamagedManifestError, archive_folder, archived_files, damaged_copies
from alumni_assets.survey.standing import Facts
from alumni_assets.survey_rules import RetentionRules


@dataclass
class Expired:
    """How many objects went of each layer, how many bytes they had, and how many stayed.

    `unverified` stayed because an archived copy could not be verified, `changed` because they were written again.
    """

    objects: Counter[Layer] = field(default_factory=Counter)
    bytes: Counter[Layer] = field(default_factory=Counter)
    unverified: int = 0
    changed: int = 0

    def counts(self) -> dict[str, int]:
        """All of it by name, for people and for Dagster."""
        by_layer = {str(layer): self.objects[layer] for layer in Layer}
        return {**by_layer, "bytes": self.bytes.total(), "unverified": self.unverified, "changed": self.changed}


def find_due(lake: Lake, facts: Facts, rules: RetentionRules, now: datetime) -> list[Due]:
    """What would go now; `now` is in UTC without zone. Raises LakeError."""
    return due([entry for folder in FOLDERS for entry in lake.list(folder)], facts, rules, now)


def expire(lake: Lake, register: Register, rules: RetentionRules, now: datetime, dry_run: bool = False) -> Expired:
    """Delete what is due; with `dry_run` only count it, without a look at the copies in the archive.

    Nobody may be taking uploads in meanwhile: a file that is put under an old name between the last look at it and its
    deletion would go, too. Raises LakeError and RegisterError.
    """
    facts = register.facts()
    found = find_due(lake, facts, rules, now)
    done = Expired()
    for one in found:
        if dry_run:
            _count(done, one)
        elif one.why is Why.ARCHIVED and not _is_soundly_archived(lake, facts, one.upload):
            done.unverified += 1
        elif lake.stat(one.entry.key) != one.entry:
            done.changed += 1
        else:
            lake.delete(one.entry.key)
            _count(done, one)
    return done


def _count(done: Expired, one: Due) -> None:
    done.objects[one.layer] += 1
    done.bytes[one.layer] += one.entry.size


def _is_soundly_archived(lake: Lake, facts: Facts, upload: str) -> bool:
    """Whether the archive has the upload and its rows as they are now, both verified."""
    seen, transformed = facts.seen[upload], facts.transformed[upload]
    try:
        copies = archived_files(lake, archive_folder(transformed))
    except (LakeKeyError, DamagedManifestError):
        return False
    archived = sorted(copy.sha256 for copy in copies)
    return archived == sorted((seen.sha256, transformed.content)) and not damaged_copies(lake, copies)
