"""Where each upload stands: waiting, counting, superseded, withdrawn, duplicate, rejected.

A pure function of what the register holds, so that the same facts give the same answer whatever
the order in which they came about. The facts themselves are read and written in `register.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """What `alumni status` and the `uploads` table say of an upload."""

    SEEN = "seen"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    VALIDATED = "validated"
    CORRECTION = "correction"
    APPROVED = "approved"
    TRANSFORMED = "transformed"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


# The checks that an upload has to pass at its intake; what they look at is in `checks.py`.
NO_DRIFT = "no_drift"
"""A check that only warns: it keeps nobody from approving, but the policy that approves by itself."""
READABLE, ROWS_ACCOUNTED_FOR, SCHEMA_HOLDS, NO_OPEN_ROWS = INTAKE_CHECKS = (
    "readable",
    "rows_accounted_for",
    "schema_holds",
    "no_open_rows",
)
_ENDED = {Status.SEEN, Status.REJECTED, Status.DUPLICATE, Status.WITHDRAWN}


@dataclass(frozen=True)
class Arrival:
    """That a key under raw/ was found with the content of an upload.

    `number` orders the arrivals of one key. `etag` and `size` are what the listing showed; an arrival
    that was not found at this key but revived by equal content at another has no etag.
    """

    key: str
    number: int
    upload: str
    etag: str | None
    size: int
    at: datetime


@dataclass(frozen=True)
class Decision:
    """That a person, or the auto-approve policy, approved or withdrew an upload; in order of `number`.

    An approval holds what was approved: the SHA-256 of the valid table, its rows, the share of rows that were
    open then, and how each check had ended.
    """

    upload: str
    number: int
    kind: str
    by: str
    at: datetime
    note: str = ""
    arrival: int = 0
    content: str = ""
    rows: int = 0
    invalid_share: float = 0.0
    override: str = ""
    checks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Waiver:
    """That a person closed invalid rows of an upload without a correction; in order of `number`.

    `rows` are ranges such as `3-5` (see `row_ranges.py`). It is for the rows as they were judged then: `judged` is
    the SHA-256 of the stored invalid table.
    """

    upload: str
    number: int
    rows: tuple[str, ...]
    judged: str
    by: str
    at: datetime
    reason: str


@dataclass(frozen=True)
class Ingested:
    """How taking in an upload ended. `content` is the SHA-256 of the stored valid table.

    `content_at` is when the valid table first had this content. `header_record` is the number of records above the
    header. `max_open_share` is the share of open rows above which the upload may not be approved. A correction says
    which upload it `corrects`, the SHA-256 of that upload's invalid table (`against`), which of its rows it mends
    (`mends`, ranges) and which came back still `wrong`, how many rows it has that name none of them (`strays`), and
    what makes it differ from other corrections (`fingerprint`). `profile` is what was counted of the valid rows, to
    compare uploads with each other, and `drifted` in what this one was unlike those before it (`drift.py`).
    """

    upload: str
    outcome: str
    at: datetime
    rows: int | None = None
    valid: int | None = None
    invalid: int | None = None
    reason: str = ""
    code: str = ""
    duplicate_of: str = ""
    contract: str = ""
    content: str = ""
    invalid_content: str = ""
    seconds: float = 0.0
    failed_checks: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    content_at: datetime | None = None
    header_record: int = 0
    max_open_share: float = 0.0
    corrects: str = ""
    against: str = ""
    mends: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    strays: int = 0
    fingerprint: str = ""
    profile: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    drifted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Transformed:
    """What the transformation of an upload gave. `source` is the valid table it was made from."""

    upload: str
    source: str
    content: str
    rows: int
    exact_duplicates: int
    at: datetime


@dataclass(frozen=True)
class Seen:
    """That an upload was seen for the first time, once and for ever."""

    upload: str
    key: str
    sha256: str
    size: int
    received_at: datetime


@dataclass(frozen=True)
class Erasure:
    """That a person was erased; in order of `number`.

    `persons` are keyed hashes of what tells the person (see `persons.py`), `check` one of a constant, by which a key is
    recognised. `rows` are the rows that were the person's, ranges by upload.
    """

    number: int
    persons: tuple[str, ...]
    rows: Mapping[str, Sequence[str]]
    by: str
    at: datetime
    reason: str
    check: str


@dataclass(frozen=True)
class Rewritten:
    """That the content with this SHA-256 was replaced by one without the rows of erased persons.

    `into` is the SHA-256 of that, `size` its size in bytes; nobody is in it of the first `erasures` in the log.
    """

    sha256: str
    into: str
    size: int
    erasures: int = 0


@dataclass(frozen=True)
class Facts:
    """Everything that the register holds about uploads, in the terms of what is stored now: see `erasures.py`."""

    seen: Mapping[str, Seen]
    ingested: Mapping[str, Ingested]
    transformed: Mapping[str, Transformed]
    arrivals: Mapping[str, Sequence[Arrival]]
    decisions: Mapping[str, Sequence[Decision]]
    waivers: Mapping[str, Sequence[Waiver]] = field(default_factory=dict)
    erasures: Sequence[Erasure] = ()
    rewritten: Mapping[str, Rewritten] = field(default_factory=dict)

    def is_withdrawn(self, upload: str) -> bool:
        """Whether the last decision about an upload was to take it out, whatever came under its name since."""
        decisions = self.decisions.get(upload, ())
        return bool(decisions) and decisions[-1].kind == "withdrawn"

    def corrects(self, upload: str) -> str:
        """The upload whose rows an upload corrects; empty for one that is no correction."""
        ingested = self.ingested.get(upload)
        return ingested.corrects if ingested else ""


@dataclass(frozen=True)
class Standing:
    """Where an upload stands.

    `counts`: its rows are in the deduplicated table. `waits`: a person may approve it now; both hold when
    it was judged anew since it was approved. The rows approved then count until the new ones are approved
    and transformed; in between, the status is that of the new ones: approved.
    `arrival` is the number of its newest arrival, the one that an approval now would approve. `superseded_by` is the
    upload that counts in its place, or that a duplicate repeats.
    `approval` is the decision in force, if any.
    """

    upload: str
    status: Status
    counts: bool = False
    waits: bool = False
    arrival: int = 0
    approval: Decision | None = None
    superseded_by: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether its rows count, or may soon."""
        return self.counts or self.waits or self.status is Status.APPROVED


def standings(facts: Facts) -> dict[str, Standing]:
    """Where every upload that was seen stands.

    Uploads under one key succeed each other. A correction stands by itself, whatever its key, and falls with the
    upload that it corrects.
    """
    by_key: dict[str, list[str]] = defaultdict(list)
    corrections = []
    for upload, seen in facts.seen.items():
        if facts.corrects(upload):
            corrections.append(upload)
        else:
            by_key[seen.key].append(upload)
    stands = {
        standing.upload: standing
        for key, uploads in by_key.items()
        for standing in _standings_at_key(facts, key, uploads)
    }
    return stands | {upload: _standing_of_correction(facts, upload, stands) for upload in corrections}


def standings_of(facts: Facts, uploads: Iterable[str]) -> dict[str, Standing]:
    """Where these uploads stand. Looks only at those under their keys, and at what they correct."""
    keys: set[str] = set()
    for upload in uploads:
        keys |= {facts.seen[some].key for some in (upload, facts.corrects(upload)) if some in facts.seen}
    seen = {upload: seen for upload, seen in facts.seen.items() if seen.key in keys} if keys else {}
    return standings(replace(facts, seen=seen))


def last_arrivals(facts: Facts) -> dict[str, Arrival]:
    """For each key the arrival that was last found there itself."""
    return {
        key: found[-1]
        for key, arrivals in facts.arrivals.items()
        if (found := [arrival for arrival in arrivals if arrival.etag is not None])
    }


def _standing_of_correction(facts: Facts, upload: str, originals: Mapping[str, Standing]) -> Standing:
    (own,) = _standings_at(facts, [upload], facts.arrivals.get(facts.seen[upload].key, ()))
    original = originals.get(facts.corrects(upload))
    if own.status in _ENDED:
        return own
    fallen = _fallen(facts, original) if original is not None else None
    if original is not None and fallen is not None:
        return replace(own, status=fallen, counts=False, waits=False, superseded_by=original.superseded_by)
    if own.status is Status.VALIDATED:
        return replace(own, status=Status.CORRECTION, waits=bool(facts.ingested[upload].valid))
    return own


def _fallen(facts: Facts, original: Standing) -> Status | None:
    """Whether an upload's rows count no longer: superseded or withdrawn, also where it would be rejected now."""
    if original.status in {Status.SUPERSEDED, Status.WITHDRAWN}:
        return original.status
    if original.status is Status.DUPLICATE:  # found to be one after rows of it had been corrected
        return Status.SUPERSEDED
    is_rejected = original.status is Status.REJECTED
    return Status.WITHDRAWN if is_rejected and facts.is_withdrawn(original.upload) else None


def _standings_at_key(facts: Facts, key: str, uploads: Sequence[str]) -> Iterable[Standing]:
    """Where the uploads of a key stand that are no corrections: what is a correction has not come between them."""
    return _standings_at(facts, uploads, [some for some in facts.arrivals.get(key, ()) if some.upload in uploads])


def _standings_at(facts: Facts, uploads: Sequence[str], arrivals: Sequence[Arrival]) -> Iterable[Standing]:
    newest = _newest_arrivals(arrivals)
    approvals = {upload: _approvals_in_force(facts, upload) for upload in uploads}
    counting = max(
        (decision for decisions in approvals.values() for decision in decisions if _is_made(facts, decision)),
        key=lambda decision: (decision.arrival, decision.upload, decision.number),
        default=None,
    )
    since = max(counting.arrival, newest.get(counting.upload, 0)) if counting is not None else 0
    for upload, decisions in approvals.items():
        approval = decisions[-1] if decisions else None
        yield _standing(facts, upload, newest.get(upload, 0), approval, counting, since)


def _standing(
    facts: Facts, upload: str, arrival: int, approval: Decision | None, counting: Decision | None, since: int
) -> Standing:
    """Where an upload stands whose key has the upload of `counting` in force since the arrival `since`."""
    ingested = facts.ingested.get(upload)
    if ingested is None:
        return Standing(upload, Status.SEEN, arrival=arrival)
    is_validated = ingested.outcome == Status.VALIDATED
    if counting is not None and approval is not None and counting.upload == upload:
        waits = is_validated and ingested.content != approval.content
        is_final = waits or not is_validated or _is_made(facts, approval)
        status = Status.TRANSFORMED if is_final else Status.APPROVED
        return Standing(upload, status, counts=True, waits=waits, arrival=arrival, approval=approval)
    if not is_validated:
        return Standing(upload, Status(ingested.outcome), arrival=arrival, superseded_by=ingested.duplicate_of)
    if counting is not None and arrival < since:
        return Standing(upload, Status.SUPERSEDED, arrival=arrival, approval=approval, superseded_by=counting.upload)
    if approval is not None and (approval.arrival, approval.content) == (arrival, ingested.content):
        return Standing(upload, Status.APPROVED, arrival=arrival, approval=approval)
    decisions = facts.decisions.get(upload, ())
    if decisions and decisions[-1].kind == "withdrawn" and decisions[-1].arrival >= arrival:
        return Standing(upload, Status.WITHDRAWN, arrival=arrival)
    return Standing(upload, Status.VALIDATED, waits=True, arrival=arrival, approval=approval)


def _newest_arrivals(arrivals: Sequence[Arrival]) -> dict[str, int]:
    """For each upload the number of its newest arrival.

    Arrivals in a row of one upload are one, and a key that still has the content that was last found at it
    has only been touched, even if other content was revived in between.
    """
    newest: dict[str, int] = {}
    previous = found = ""
    for arrival in arrivals:
        is_found = arrival.etag is not None
        if arrival.upload != previous and not (is_found and arrival.upload == found):
            newest[arrival.upload] = arrival.number
        previous = arrival.upload
        found = arrival.upload if is_found else found
    return newest


def _approvals_in_force(facts: Facts, upload: str) -> Sequence[Decision]:
    """The approvals since the upload was last withdrawn, the newest last.

    The newest is what is to be made of the upload. One before it may be what is made and counts until then.
    """
    decisions = facts.decisions.get(upload, ())
    withdrawn = max((place for place, decision in enumerate(decisions, 1) if decision.kind == "withdrawn"), default=0)
    return [decision for decision in decisions[withdrawn:] if decision.kind == "approved"]


def _is_made(facts: Facts, decision: Decision) -> bool:
    """Whether the transformation that the decision approved is there."""
    transformed = facts.transformed.get(decision.upload)
    return transformed is not None and transformed.source == decision.content
