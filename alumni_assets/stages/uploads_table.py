"""The register as rows: what the published tables `uploads` and `approvals` say of each upload."""

import pyarrow as pa

from alumni_assets.contract_arrow import TIMESTAMP
from alumni_assets.survey.quarantine import Quarantine
from alumni_assets.survey.standing import Decision, Facts, Standing, Status, standings

_SCHEMA = pa.schema(
    [
        ("upload", pa.string()),
        ("key", pa.string()),
        ("sha256", pa.string()),
        ("size_bytes", pa.int64()),
        ("received_at", TIMESTAMP),
        ("status", pa.string()),
        ("row_count", pa.int64()),
        ("valid", pa.int64()),
        ("invalid", pa.int64()),
        ("transformed", pa.int64()),
        ("exact_duplicates", pa.int64()),
        ("reason", pa.string()),
        ("approved_by", pa.string()),
        ("approved_at", TIMESTAMP),
        ("corrects", pa.string()),
    ]
)
_APPROVALS_SCHEMA = pa.schema(
    [
        ("upload", pa.string()),
        ("number", pa.int64()),
        ("decision", pa.string()),
        ("in_force", pa.bool_()),
        ("decided_by", pa.string()),
        ("decided_at", TIMESTAMP),
        ("note", pa.string()),
        ("override_reason", pa.string()),
        ("failed_checks", pa.string()),
        ("checks", pa.string()),
        ("content", pa.string()),
        ("row_count", pa.int64()),
        ("invalid_share", pa.float64()),
    ]
)


def uploads_table(facts: Facts) -> pa.Table:
    """One row for each upload that was seen: the published table `uploads`, but for what `quarantine` tells."""
    stands = standings(facts)
    quarantine = Quarantine(facts, stands)
    rows = [_row(facts, standing, quarantine) for standing in stands.values()]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def approvals_table(facts: Facts) -> pa.Table:
    """One row for each decision about an upload, with the columns of the published table `approvals`."""
    stands = standings(facts)
    rows = [
        _decision_row(decision, stands[upload])
        for upload, decisions in facts.decisions.items()
        if upload in stands
        for decision in decisions
    ]
    return pa.Table.from_pylist(rows, schema=_APPROVALS_SCHEMA)


def reason_of(facts: Facts, standing: Standing, quarantine: Quarantine) -> str | None:
    """Why an upload stands where it does, where that needs saying."""
    ingested = facts.ingested.get(standing.upload)
    corrects = ingested.corrects if ingested else ""
    if standing.status is Status.SUPERSEDED and corrects and facts.ingested[corrects].outcome == Status.DUPLICATE:
        return f"{corrects} was found to repeat {standing.superseded_by}. Correct the rows of that one."
    if standing.status is Status.SUPERSEDED:
        return f"Superseded by {standing.superseded_by}." if standing.superseded_by else None
    if standing.status is Status.WITHDRAWN:
        decided = [facts.decisions.get(some, ()) for some in (standing.upload, corrects)]
        return next((log[-1].note for log in decided if log and log[-1].kind == "withdrawn"), None)
    if ingested is None:
        return None
    blocking = quarantine.blocking_checks(standing.upload) if standing.waits else ()
    if blocking:
        return f"May not be approved: failed {', '.join(blocking)}."
    return f"Corrects {corrects}." if corrects else ingested.reason or None


def _row(facts: Facts, standing: Standing, quarantine: Quarantine) -> dict[str, object]:
    seen = facts.seen[standing.upload]
    ingested = facts.ingested.get(standing.upload)
    transformed = facts.transformed.get(standing.upload) if standing.approval else None
    return {
        "upload": seen.upload,
        "key": seen.key.encode("utf-8", "backslashreplace").decode(),
        "sha256": seen.sha256,
        "size_bytes": seen.size,
        "received_at": seen.received_at,
        "status": str(standing.status),
        "row_count": ingested.rows if ingested else None,
        "valid": ingested.valid if ingested else None,
        "invalid": ingested.invalid if ingested else None,
        "transformed": transformed.rows if transformed else None,
        "exact_duplicates": transformed.exact_duplicates if transformed else None,
        "reason": reason_of(facts, standing, quarantine),
        "approved_by": standing.approval.by if standing.approval else None,
        "approved_at": standing.approval.at if standing.approval else None,
        "corrects": facts.corrects(seen.upload) or None,
    }


def _decision_row(decision: Decision, standing: Standing) -> dict[str, object]:
    is_approval = decision.kind == "approved"
    in_force = standing.approval == decision and standing.counts if is_approval else _is_withdrawn(decision, standing)
    return {
        "upload": decision.upload,
        "number": decision.number,
        "decision": decision.kind,
        "in_force": in_force,
        "decided_by": decision.by,
        "decided_at": decision.at,
        "note": decision.note or None,
        "override_reason": decision.override or None,
        "failed_checks": ", ".join(name for name, end in decision.checks.items() if end == "failed") or None,
        "checks": ", ".join(f"{name}: {end}" for name, end in decision.checks.items()) or None,
        "content": decision.content or None,
        "row_count": decision.rows if is_approval else None,
        "invalid_share": decision.invalid_share if is_approval else None,
    }


def _is_withdrawn(decision: Decision, standing: Standing) -> bool:
    return standing.status is Status.WITHDRAWN and decision.arrival >= standing.arrival
