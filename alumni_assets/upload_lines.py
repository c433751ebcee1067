"""What the `alumni` command says of uploads: a line for each, with where it stands and why.

A line has `upload`, `status`, the counts `rows`, `valid`, `invalid` and `open`, and `reason`; null where there is none.
How lines are printed is in `cli.py`.
"""

from collections.abc import Collection
from typing import Any

from alumni_assets import layout
from alumni_assets.register import Register
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.uploads_table import reason_of
from alumni_assets.survey.quarantine import Quarantine
from alumni_assets.survey.standing import Facts, Standing, Status, standings

Line = dict[str, Any]
_STATUS = {Status.APPROVED: "validated", Status.SEEN: "failed"}


def lines(facts: Facts) -> list[Line]:
    """A line for every upload that was seen, in the order in which they were received."""
    return list(_by_upload(facts).values())


def changed_lines(before: Facts, facts: Facts, named: Collection[str]) -> list[Line]:
    """The lines that are others than `before`, and those of uploads that are named.

    An upload of which only fewer rows are open was not touched itself.
    """
    earlier = _by_upload(before)
    return [
        line
        for upload, line in _by_upload(facts).items()
        if upload in named or {**earlier.get(upload, {}), "open": None} != {**line, "open": None}
    ]


def failed_lines(lake: Lake, register: Register, facts: Facts) -> list[Line]:
    """A line for each object under raw/ that was begun to be taken in and is no upload yet. Raises LakeError."""
    attempts = register.attempts()
    seen = {(arrival.key, arrival.etag, arrival.size) for log in facts.arrivals.values() for arrival in log}
    return [
        _line(entry.key, "failed", reason="It could not be taken in; its failed runs in the Dagster UI say why.")
        for entry in (lake.list(layout.RAW) if attempts else ())
        if (identity := (entry.key.removeprefix(layout.RAW), entry.etag, entry.size)) not in seen
        and layout.listing_identity(*identity) in attempts
    ]


def _by_upload(facts: Facts) -> dict[str, Line]:
    stands = standings(facts)
    quarantine = Quarantine(facts, stands)
    ordered = sorted(stands, key=lambda upload: (facts.seen[upload].received_at, upload))
    return {upload: _row(facts, stands[upload], quarantine) for upload in ordered}


def _row(facts: Facts, standing: Standing, quarantine: Quarantine) -> Line:
    ingested = facts.ingested.get(standing.upload)
    status = _STATUS.get(standing.status, str(standing.status))
    if standing.status is Status.APPROVED and facts.corrects(standing.upload):
        status = str(Status.CORRECTION)
    reason = reason_of(facts, standing, quarantine)
    if ingested is None:
        return _line(standing.upload, status, reason="It was seen, but its run did not finish; run again.")
    found = quarantine.of(standing.upload)
    still_open = found.open if found else None
    return _line(standing.upload, status, ingested.rows, ingested.valid, ingested.invalid, reason, still_open)


def _line(
    upload: str,
    status: str,
    rows: int | None = None,
    valid: int | None = None,
    invalid: int | None = None,
    reason: str | None = None,
    still_open: int | None = None,
) -> Line:
    return {
        "upload": upload.encode("utf-8", "backslashreplace").decode(),
        "status": status,
        "rows": rows,
        "valid": valid,
        "invalid": invalid,
        "reason": reason,
        "open": still_open,
    }
