"""What the sensor and `alumni run` take in next: arithmetic on listings, without storage or clock.

Known means ingested with exactly this content; not "a partition exists", and no time is compared but to
tell whether a file is still being written.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alumni_assets import layout
from alumni_assets.resources.lake_interface import LakeEntry
from alumni_assets.survey.standing import Facts, Status, last_arrivals

Known = Mapping[str, tuple[str, int]]


@dataclass(frozen=True)
class Plan:
    """What to take in: `together` in one run, each of `alone` in a run of its own.

    `given_up` failed too often; they stand out until they change or a person takes them in.
    """

    together: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()


def known_objects(facts: Facts) -> dict[str, tuple[str, int]]:
    """For each key under raw/ the (etag, size) of the content that was ingested last."""
    return {
        key: (arrival.etag or "", arrival.size)
        for key, arrival in last_arrivals(facts).items()
        if arrival.upload in facts.ingested
    }


def unknown_objects(listing: Iterable[LakeEntry], known: Known) -> list[LakeEntry]:
    """The objects under raw/ that were not ingested as they are now, in the order of their names.

    Names that programs give to unfinished transfers are left out; the finished file has another.
    """
    found = [
        entry
        for entry in listing
        if known.get(_raw_key(entry)) != (entry.etag, entry.size) and not layout.is_transferring(entry.key)
    ]
    return sorted(found, key=lambda entry: entry.key)


def plan(
    unknown: Sequence[LakeEntry],
    in_flight: Collection[str],
    attempts: Mapping[str, int],
    most_attempts: int,
    most_uploads: int,
    quiet_before: datetime,
) -> Plan:
    """Decide about unknown objects.

    Left for later is what a run is at work on, and what was modified after `quiet_before`: it may still be
    being written. What was begun before without success is tried alone, so that whatever it does to a
    process, the others do not suffer. At most `most_uploads` are taken at once.
    """
    together, alone, given_up = [], [], []
    for entry in unknown:
        key = _raw_key(entry)
        tried = attempts.get(layout.listing_identity(key, entry.etag, entry.size), 0)
        if tried >= most_attempts:
            given_up.append(key)
        elif key in in_flight or entry.modified > quiet_before:
            continue
        elif tried:
            alone.append(key)
        else:
            together.append(key)
    return Plan(tuple(together[:most_uploads]), tuple(alone[:most_uploads]), tuple(given_up))


def forgotten_uploads(facts: Facts, partitions: Collection[str], stored_invalid: Collection[str]) -> list[str]:
    """Ingested uploads that Dagster's event store does not know any more, or whose invalid rows are gone.

    They are entered again from their pinned copies.
    """
    known = set(partitions)
    return sorted(
        upload
        for upload, ingested in facts.ingested.items()
        if upload in facts.seen
        and (
            upload not in known
            or (
                ingested.outcome == Status.VALIDATED
                and ingested.invalid
                and layout.invalid_key(upload) not in stored_invalid
            )
        )
    )


def quiet_before(now: datetime, settle_seconds: float) -> datetime:
    """Files modified later than this may still be being written."""
    return now - timedelta(seconds=settle_seconds)


def _raw_key(entry: LakeEntry) -> str:
    return entry.key.removeprefix(layout.RAW)
