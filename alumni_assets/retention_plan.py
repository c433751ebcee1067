"""What may be let go of, and why: arithmetic on listings and facts, without storage or clock.

An age (`retention` in the survey's configuration) says when something is old enough. Whether it may go at all is said
here: nothing that is waited for, that a person may still have to correct, or that is the last copy of rows. The tables
of uploads (`valid/`, `invalid/*.parquet`, `transformed/`), the archive, the register and what is published never go.
Objects are deleted in `stages/expiring.py`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from alumni_assets import layout
from alumni_assets.intake_plan import known_objects
from alumni_assets.resources.lake_interface import LakeEntry
from alumni_assets.stages.archive import MANIFEST, archive_folder
from alumni_assets.survey.quarantine import Quarantine, corrections_by_upload
from alumni_assets.survey.standing import Facts, Status, last_arrivals, standings
from alumni_assets.survey_rules import RetentionRules

FOLDERS = (layout.RAW, layout.PINNED, layout.INVALID, layout.ARCHIVE, layout.REPORTS)
"""The folders whose listings are looked at."""
_AT_REST = {Status.TRANSFORMED, Status.SUPERSEDED, Status.WITHDRAWN, Status.REJECTED, Status.DUPLICATE}
_REPORTS_KEPT = 2  # the newest, and the one that it was compared with


class Layer(StrEnum):
    """What has an age of its own."""

    RAW = "raw"
    PINNED = "pinned"
    CORRECTION_FILES = "correction_files"
    REPORTS = "reports"


class Why(StrEnum):
    """Why an object may go."""

    PINNED = "it was taken in, and its content is pinned"
    WITHOUT_ROWS = "its upload was rejected, or is a duplicate"
    ARCHIVED = "its upload is archived"
    CLOSED = "no row of it is open"
    OLD_REPORT = "newer reports are there"


@dataclass(frozen=True)
class Due:
    """An object to delete, as it was listed. With `Why.ARCHIVED`, if the archived copies of `upload` are sound."""

    entry: LakeEntry
    layer: Layer
    why: Why
    upload: str = ""


def due(listing: Collection[LakeEntry], facts: Facts, rules: RetentionRules, now: datetime) -> list[Due]:
    """What goes, in the order of its keys. `listing` is of `FOLDERS`; `now` is in UTC without zone."""
    plan = _Plan(listing, facts, now)
    found = [
        *plan.of_raw(rules.raw_days),
        *plan.of_pinned(rules.pinned_days),
        *plan.of_correction_files(rules.correction_files_days),
        *plan.of_reports(rules.reports_days),
    ]
    return sorted(found, key=lambda one: one.entry.key)


class _Plan:
    """The facts and listings, put in order for the questions that are asked of each object."""

    def __init__(self, listing: Collection[LakeEntry], facts: Facts, now: datetime) -> None:
        self._listed = {entry.key: entry for entry in listing}
        self._facts = facts
        self._now = now
        self._stands = standings(facts)
        self._quarantine = Quarantine(facts, self._stands)
        self._corrections = corrections_by_upload(facts)
        self._last_said = _last_said(facts, self._corrections)

    def of_raw(self, days: int | None) -> Iterator[Due]:
        """Files that were taken in as they are now; one that is no upload yet stays."""
        known, arrivals = known_objects(self._facts), last_arrivals(self._facts)
        for key, (etag, size) in known.items():
            entry, arrival = self._listed.get(layout.RAW + key), arrivals[key]
            if entry is None or (entry.etag, entry.size) != (etag, size) or layout.is_transferring(key):
                continue
            why = self._why_raw(arrival.upload)
            if why is not None and self._is_old(days, entry, arrival.at):
                yield Due(entry, Layer.RAW, why, arrival.upload)

    def of_pinned(self, days: int | None) -> Iterator[Due]:
        """Pinned copies of what is at rest, and either has no rows or is archived with all of its rows valid."""
        for upload in self._facts.seen:
            entry = self._listed.get(layout.pinned_key(upload))
            why = self._why_pinned(upload)
            if entry is not None and why is not None and self._is_old(days, entry, self._last_said[upload]):
                yield Due(entry, Layer.PINNED, why, upload)

    def of_correction_files(self, days: int | None) -> Iterator[Due]:
        """Files for the reviewer in which no row is open; the pinned copy they would be made of again is there."""
        for upload in self._facts.seen:
            if not self._is_at_rest(upload) or not self._has_pinned(upload) or self._open_rows(upload):
                continue
            for key in layout.correction_keys(upload):
                entry = self._listed.get(key)
                if entry is not None and self._is_old(days, entry, self._last_said[upload]):
                    yield Due(entry, Layer.CORRECTION_FILES, Why.CLOSED, upload)

    def of_reports(self, days: int | None) -> Iterator[Due]:
        """All files of a week whose newest is old, but for the last weeks. What is in no week's folder stays."""
        by_week: dict[str, list[LakeEntry]] = defaultdict(list)
        for key, entry in self._listed.items():
            if week := layout.week_of_report(key):
                by_week[week].append(entry)
        for week in sorted(by_week)[:-_REPORTS_KEPT]:
            if all(self._is_old(days, entry, datetime.min) for entry in by_week[week]):
                yield from (Due(entry, Layer.REPORTS, Why.OLD_REPORT) for entry in by_week[week])

    def _why_raw(self, upload: str) -> Why | None:
        return Why.PINNED if self._has_pinned(upload) else self._why_pinned(upload)

    def _why_pinned(self, upload: str) -> Why | None:
        if not self._is_at_rest(upload):
            return None
        if self._has_no_rows(upload):
            return Why.WITHOUT_ROWS
        return Why.ARCHIVED if self._is_archived(upload) and self._is_clean(upload) else None

    def _is_at_rest(self, upload: str) -> bool:
        standing = self._stands[upload]
        return upload in self._facts.ingested and standing.status in _AT_REST and not standing.waits

    def _has_no_rows(self, upload: str) -> bool:
        """Whether it was rejected or is a duplicate, and nobody ever decided about rows of it."""
        return self._facts.ingested[upload].outcome != Status.VALIDATED and not self._facts.decisions.get(upload)

    def _is_clean(self, upload: str) -> bool:
        """Whether no row of it was ever set aside or is a correction: those may be open again, and judged again."""
        is_mixed = self._facts.ingested[upload].invalid or self._facts.corrects(upload) or upload in self._corrections
        return not is_mixed

    def _is_archived(self, upload: str) -> bool:
        transformed = self._facts.transformed.get(upload)
        return transformed is not None and f"{archive_folder(transformed)}{MANIFEST}" in self._listed

    def _has_pinned(self, upload: str) -> bool:
        entry = self._listed.get(layout.pinned_key(upload))
        return entry is not None and entry.size == self._facts.seen[upload].size

    def _open_rows(self, upload: str) -> int:
        found = self._quarantine.of(upload)
        return found.open if found else 0

    def _is_old(self, days: int | None, entry: LakeEntry, last: datetime) -> bool:
        """Whether it was written so long ago, and nothing was said of it since."""
        if days is None:
            return False
        return max(entry.modified.replace(tzinfo=None), last) <= self._now - timedelta(days=days)


def _last_said(facts: Facts, corrections: Mapping[str, Collection[str]]) -> dict[str, datetime]:
    """For each upload when the newest fact was entered about it, those under the same key, and its corrections."""
    by_key: dict[str, datetime] = {key: max(one.at for one in log) for key, log in facts.arrivals.items() if log}
    for upload, seen in facts.seen.items():
        times = [seen.received_at, *(one.at for one in facts.decisions.get(upload, ()))]
        times += [one.at for one in facts.waivers.get(upload, ())]
        times += [one.at for one in (facts.ingested.get(upload), facts.transformed.get(upload)) if one]
        by_key[seen.key] = max(by_key.get(seen.key, datetime.min), *times)
    return {
        upload: max(by_key[seen.key], *(by_key[facts.seen[some].key] for some in corrections.get(upload, ())))
        if corrections.get(upload)
        else by_key[seen.key]
        for upload, seen in facts.seen.items()
    }
