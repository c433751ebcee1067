"""What the sensor and `alumni run` take in next: arithmetic on listings, without storage or clock.

Known means ingested with exactly this content; not "a partition exists", and no time is compared but to
tell whether a file is still being written.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alumni_assets import layout
from alumni_assets.resources.lake_interface import LakeEntry
from alumni_assets.survey.quarantine import Quarantine
from alumni_assets.survey.standing import Arrival, Facts, Ingested, Seen, Status, last_arrivals, standings

Known = Mapping[str, tuple[str, int]]
_CLOCKS_DIFFER_SECONDS = 60


@dataclass(frozen=True)
class Plan:
    """What to take in: `together` in one run, each of `alone` in a run of its own.

    `given_up` failed too often; they stand out until they change or a person takes them in.
    """

    together: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()

    @property
    def runs(self) -> list[tuple[str, ...]]:
        """What each run takes in."""
        return [*([self.together] if self.together else []), *[(subject,) for subject in self.alone]]


@dataclass(frozen=True)
class Limits:
    """How often an upload is tried, how many `uploads` one run takes, and when a file counts as complete."""

    attempts: int
    uploads: int
    settle_seconds: float


def known_objects(facts: Facts) -> dict[str, tuple[str, int]]:
    """For each key under raw/ the (etag, size) of the content that was ingested last."""
    return {
        key: (arrival.etag or "", arrival.size)
        for key, arrival in last_arrivals(facts).items()
        if arrival.upload in facts.seen and arrival.upload in facts.ingested
    }


def listed_objects(listing: Iterable[LakeEntry]) -> dict[str, tuple[str, int]]:
    """For each key under raw/ the (etag, size) that a listing of raw/ shows."""
    return {_raw_key(entry): (entry.etag, entry.size) for entry in listing}


def unknown_objects(listing: Iterable[LakeEntry], known: Known) -> list[LakeEntry]:
    """The objects under raw/ that were not ingested as they are now, in the order in which they were written.

    So what comes together is received as people put it, and a correction after what it corrects. Names that programs
    give to unfinished transfers are left out; the finished file has another.
    """
    found = [
        entry
        for entry in listing
        if known.get(_raw_key(entry)) != (entry.etag, entry.size) and not layout.is_transferring(entry.key)
    ]
    return sorted(found, key=lambda entry: (entry.modified, entry.key))


def plan(
    unknown: Sequence[LakeEntry],
    in_flight: Collection[str],
    attempts: Mapping[str, int],
    limits: Limits,
    now: datetime,
) -> Plan:
    """Decide about unknown objects.

    Left for later is what a run is at work on, and what `is_settling`. What was begun before without success is
    tried alone, so that whatever it does to a process, the others do not suffer.
    """
    ready = {
        _raw_key(entry): layout.listing_identity(_raw_key(entry), entry.etag, entry.size)
        for entry in unknown
        if _raw_key(entry) not in in_flight and not is_settling(entry, now, limits.settle_seconds)
    }
    return _by_attempts(ready, attempts, limits)


def plan_again(uploads: Iterable[str], attempts: Mapping[str, int], limits: Limits) -> Plan:
    """Decide in the same way about uploads that have to be entered again."""
    return _by_attempts({upload: layout.upload_identity(upload) for upload in uploads}, attempts, limits)


def _by_attempts(identities: Mapping[str, str], attempts: Mapping[str, int], limits: Limits) -> Plan:
    tried = {subject: attempts.get(identity, 0) for subject, identity in identities.items()}
    together = [subject for subject, count in tried.items() if count == 0]
    alone = [subject for subject, count in tried.items() if 0 < count < limits.attempts]
    given_up = [subject for subject, count in tried.items() if count >= limits.attempts]
    return Plan(tuple(together[: limits.uploads]), tuple(alone[: limits.uploads]), tuple(given_up))


def lost_uploads(facts: Facts, partitions: Collection[str], stored_invalid: Collection[str]) -> list[str]:
    """Ingested uploads that Dagster's event store does not know any more, or whose invalid rows are gone.

    While some are open they are gone also when the file is in which a reviewer corrects them. Such uploads are entered
    again from their pinned copies.
    """
    known, stored = set(partitions), set(stored_invalid)
    lacking = {
        upload: _objects_of_invalid(ingested) - stored
        for upload, ingested in facts.ingested.items()
        if upload in facts.seen
    }
    closed = _without_open_rows(facts, [upload for upload, keys in lacking.items() if keys])
    return sorted(
        upload
        for upload, keys in lacking.items()
        if upload not in known or keys - (set(layout.correction_keys(upload)) if upload in closed else set())
    )


def unreported_uploads(facts: Facts, attempts: Collection[str]) -> list[str]:
    """Ingested uploads whose intake was begun and never ended: it was killed before Dagster was told of all of it."""
    begun = {
        arrival.upload for arrivals in facts.arrivals.values() for arrival in arrivals if _identity(arrival) in attempts
    }
    begun |= {upload for upload in facts.ingested if layout.upload_identity(upload) in attempts}
    return sorted(upload for upload in begun if upload in facts.ingested)


def unjudged_uploads(facts: Facts, raw: Known, attempts: Mapping[str, int], limits: Limits) -> tuple[str, ...]:
    """Uploads that were pinned and not judged, and whose file is not under raw/ any more, or is another by now.

    `raw` is by `listed_objects`. What is there still is found as a new object; what was given up stays so.
    """
    last = last_arrivals(facts)
    found = [
        upload
        for upload, seen in facts.seen.items()
        if upload not in facts.ingested
        and not _is_there(seen, last.get(seen.key), raw)
        and _tried(facts, upload, attempts) < limits.attempts
    ]
    return tuple(sorted(found)[: limits.uploads])


def _is_there(seen: Seen, last: Arrival | None, raw: Known) -> bool:
    """Whether the file that became an upload is under raw/. `last` is what was last found there.

    Where its intake was killed before that was entered, a new file of its size may be the one, and is taken in again.
    """
    found, arrived = raw.get(seen.key), (last.etag or "", last.size) if last else None
    if last is not None and last.upload == seen.upload:
        return found == arrived
    return found is not None and found != arrived and found[1] == seen.size


def _tried(facts: Facts, upload: str, attempts: Mapping[str, int]) -> int:
    """How often it was begun in vain to take an upload in, from its file or from its pinned copy."""
    log = facts.arrivals.get(facts.seen[upload].key, ())
    identities = {layout.upload_identity(upload), *(_identity(arrival) for arrival in log if arrival.upload == upload)}
    return sum(attempts.get(identity, 0) for identity in identities)


def outdated_attempts(facts: Facts, raw: Known, attempts: Collection[str]) -> list[str]:
    """Attempts at what was never pinned, and is not under raw/ any more as it was tried; `raw` by `listed_objects`."""
    concerned = {layout.listing_identity(key, etag, size) for key, (etag, size) in raw.items()}
    concerned |= {layout.upload_identity(upload) for upload in facts.seen}
    concerned |= {_identity(arrival) for log in facts.arrivals.values() for arrival in log}
    return sorted(set(attempts) - concerned)


def _identity(arrival: Arrival) -> str:
    return layout.listing_identity(arrival.key, arrival.etag or "", arrival.size)


def _objects_of_invalid(ingested: Ingested) -> set[str]:
    if ingested.outcome != Status.VALIDATED or not ingested.invalid:
        return set()
    return {layout.invalid_key(ingested.upload), *layout.correction_keys(ingested.upload)}


def _without_open_rows(facts: Facts, uploads: Collection[str]) -> set[str]:
    """Those of these uploads of which no row is open: their correction files may have been let go of."""
    if not uploads:
        return set()
    quarantine = Quarantine(facts, standings(facts))
    return {upload for upload in uploads if (found := quarantine.of(upload)) is None or not found.open}


def is_settling(entry: LakeEntry, now: datetime, settle_seconds: float) -> bool:
    """Whether a file was modified so recently that it may still be being written.

    A time far ahead says nothing: it was copied along from a computer whose clock is wrong.
    """
    age = (now - entry.modified).total_seconds()
    return -_CLOCKS_DIFFER_SECONDS < age < settle_seconds


def _raw_key(entry: LakeEntry) -> str:
    return entry.key.removeprefix(layout.RAW)
