"""Approval: whether an upload may be transformed, and the record of who decided it.

The main transformation is supervised. Approvals, withdrawals and the auto-approve policy are decided
here; the transformation itself is in `transformation.py`.
"""

from dataclasses import dataclass

from alumni_assets import layout
from alumni_assets.register import Register
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.intake import RECENT_SECONDS, standings_of_keys, utc_now
from alumni_assets.survey.standing import Decision, Facts, Ingested, Standing, Status, standings
from alumni_assets.survey_rules import ApprovalRules

AUTO_APPROVER = "auto-approve policy"


class ApprovalRefusedError(Exception):
    """The upload may not be approved; the message says why and what to do."""


class RowsChangedError(Exception):
    """Stored rows are not the ones that were approved or made, or today's rules do not know their words."""


@dataclass(frozen=True)
class Request:
    """What a person says when approving. `override` is a reason for approving in spite of failed checks."""

    approved_by: str
    note: str = ""
    override: str = ""


def approve(lake: Lake, register: Register, upload: str, request: Request) -> Decision:
    """Record the approval of an upload; approving again what is approved already records nothing.

    Raises `ApprovalRefusedError` when nobody is named, when a blocking check failed and no override
    reason is given, when there is nothing to approve, and when the stored valid rows are not the ones
    that were checked.
    """
    facts = register.facts(RECENT_SECONDS)
    standing = _standing(facts, upload)
    ingested = _approvable(facts, standing)
    if _is_approved(standing, ingested):
        assert standing.approval is not None
        return standing.approval
    if not request.approved_by.strip():
        raise ApprovalRefusedError(
            "Nobody is named as approving. Fill in approved_by, or set ALUMNI_APPROVER to your name."
        )
    if ingested.failed_checks and not request.override.strip():
        raise ApprovalRefusedError(
            f"{upload} may not be approved: failed {', '.join(ingested.failed_checks)}. Mend the file and upload "
            "it again under the same name, or give a reason in override_reason."
        )
    _require_checked_content(lake, ingested)
    return register.append_decision(
        Decision(
            upload=upload,
            number=0,
            kind="approved",
            by=request.approved_by.strip(),
            at=utc_now(),
            note=request.note,
            arrival=standing.arrival,
            content=ingested.content,
            rows=ingested.valid or 0,
            invalid_share=(ingested.invalid or 0) / max(ingested.rows or 0, 1),
            override=request.override.strip() if ingested.failed_checks else "",
        )
    )


def withdraw(register: Register, upload: str, by: str, reason: str) -> Decision:
    """Record that an upload's rows are to be taken out again.

    An upload under the same name that it had superseded counts again. Raises `ApprovalRefusedError`
    when there is no such upload, when it has no rows to take out, or when no reason or name is given.
    """
    if not reason.strip():
        raise ApprovalRefusedError("Say why the upload is withdrawn: --reason TEXT.")
    if not by.strip():
        raise ApprovalRefusedError("Say who withdraws the upload: --by NAME, or set ALUMNI_APPROVER.")
    standing = _standing(register.facts(), upload)
    if standing.status in {Status.REJECTED, Status.DUPLICATE, Status.SEEN, Status.WITHDRAWN}:
        raise ApprovalRefusedError(f"{upload} is {standing.status}: it has no rows that could be withdrawn.")
    return register.append_decision(
        Decision(upload, 0, "withdrawn", by.strip(), utc_now(), note=reason.strip(), arrival=standing.arrival)
    )


def waiting(facts: Facts) -> list[str]:
    """The uploads that wait for approval or whose approved transformation is not done, first seen first."""
    stands = standings(facts)
    found = [upload for upload, standing in stands.items() if standing.waits or standing.status is Status.APPROVED]
    return sorted(found, key=lambda upload: (facts.seen[upload].received_at, upload))


def approved_but_not_made(facts: Facts, made: set[str]) -> list[str]:
    """Approved uploads whose transformation is not there; `made` are the transformed keys in the lake.

    After a loss of `transformed/` or a killed run, these are made again under the approval they have.
    """
    stands = standings(facts)
    return [
        upload
        for upload, standing in stands.items()
        if standing.approval is not None
        and (standing.status is Status.APPROVED or (standing.counts and _key(upload) not in made))
    ]


def may_approve_itself(facts: Facts, rules: ApprovalRules) -> list[str]:
    """The waiting uploads that the auto-approve policy lets through; none when it is off."""
    if not rules.auto:
        return []
    return [
        upload
        for upload in waiting(facts)
        if not facts.ingested[upload].failed_checks and _invalid_share(facts, upload) <= rules.max_invalid_share
    ]


def _standing(facts: Facts, upload: str) -> Standing:
    if upload not in facts.seen:
        raise ApprovalRefusedError(f"There is no upload {upload}. `alumni status` lists them.")
    return standings_of_keys(facts, {facts.seen[upload].key})[upload]


def _is_approved(standing: Standing, ingested: Ingested) -> bool:
    """Whether the approval in force is for what an approval now would approve."""
    approval = standing.approval
    if approval is None or approval.content != ingested.content:
        return False
    return standing.counts or approval.arrival == standing.arrival


def _key(upload: str) -> str:
    return layout.transformed_key(upload)


def _invalid_share(facts: Facts, upload: str) -> float:
    ingested = facts.ingested[upload]
    return (ingested.invalid or 0) / max(ingested.rows or 0, 1)


def _approvable(facts: Facts, standing: Standing) -> Ingested:
    ingested = facts.ingested.get(standing.upload)
    if ingested is None:
        raise ApprovalRefusedError(f"{standing.upload} has not been validated yet; wait for its run to end.")
    if standing.status in {Status.REJECTED, Status.DUPLICATE}:
        raise ApprovalRefusedError(f"{standing.upload} has nothing to approve: {ingested.reason}")
    return ingested


def _require_checked_content(lake: Lake, ingested: Ingested) -> None:
    key = layout.valid_key(ingested.upload)
    if lake.stat(key) is None:
        raise ApprovalRefusedError(
            f"The valid rows of {ingested.upload} are not in the lake. Materialize validated_survey for it first."
        )
    with lake.local_copy(key) as path:
        if sha256_of(path) != ingested.content:
            raise ApprovalRefusedError(
                f"The valid rows of {ingested.upload} have changed since they were checked. Materialize "
                "validated_survey for it again, look at the result, and approve that."
            )
