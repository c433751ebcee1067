"""The register as rows: what the published tables `uploads` and `quarantine` say of each upload."""

import pyarrow as pa

from alumni_assets.contract_arrow import TIMESTAMP
from alumni_assets.survey.standing import Facts, Standing, Status, standings
from alumni_assets.warehouse.merging import QuarantinedUpload

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
    ]
)
_CLOSED = {Status.SUPERSEDED: "superseded", Status.WITHDRAWN: "withdrawn"}


def uploads_table(facts: Facts) -> pa.Table:
    """One row for each upload that was seen, with the columns of the published table `uploads`."""
    rows = [_row(facts, standing) for standing in standings(facts).values()]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def quarantined_uploads(facts: Facts) -> dict[str, QuarantinedUpload]:
    """The uploads with invalid rows, and how those rows stand."""
    stands = standings(facts)
    return {
        upload: QuarantinedUpload(ingested.invalid_content, _CLOSED.get(stands[upload].status, "open"))
        for upload, ingested in facts.ingested.items()
        if ingested.invalid and upload in stands
    }


def reason_of(facts: Facts, standing: Standing) -> str | None:
    """Why an upload stands where it does, where that needs saying."""
    if standing.status is Status.SUPERSEDED:
        return f"Superseded by {standing.superseded_by}."
    if standing.status is Status.WITHDRAWN:
        return facts.decisions[standing.upload][-1].note
    ingested = facts.ingested.get(standing.upload)
    if ingested is None:
        return None
    if ingested.failed_checks and standing.waits:
        return f"May not be approved: failed {', '.join(ingested.failed_checks)}."
    return ingested.reason or None


def _row(facts: Facts, standing: Standing) -> dict[str, object]:
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
        "reason": reason_of(facts, standing),
        "approved_by": standing.approval.by if standing.approval else None,
        "approved_at": standing.approval.at if standing.approval else None,
    }
