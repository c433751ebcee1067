"""Approval: whether an upload may be transformed, and the record of who decided it.

The main transformation is supervised. Approvals, withdrawals and the auto-approve policy are decided
here; the transformation itself is in `transformation.py`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alumni_assets import layout
from alumni_assets.register import Register, next_number
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.intake import RECENT_SECONDS, utc_now
from alumni_assets.survey.equal_content import repetitions, same_content
from alumni_assets.survey.quarantine import Quarantine, corrections_by_upload
from alumni_assets.survey.standing import (
    INTAKE_CHECKS,
    NO_OPEN_ROWS,
    Decision,
    Facts,
    Ingested,
    Standing,
    Status,
    standings,
    standings_of,
)
from alumni_assets.survey_rules import ApprovalRules

AUTO_APPROVER = "auto-approve policy"


class ApprovalRefusedError(Exception):
    """The upload may not be approved; the message says why and what to do."""


class DoneAlreadyError(ApprovalRefusedError):
    """What is asked for was done before: perhaps by somebody who was stopped before the tables followed."""


class RowsChangedError(Exception):
    """Stored rows are not the ones that were approved or made, or today's rules do not know their words."""


@dataclass(frozen=True)
class Request:
    """What a person says when approving, and when they did (in UTC, without zone).

    `override` is a reason for approving in spite of failed checks.
    """

    approved_by: str
    note: str = ""
    override: str = ""
    asked_at: datetime | None = None


def approve(lake: Lake, register: Register, upload: str, request: Request) -> Decision:
    """Record the approval of an upload; approving again what is approved already records nothing.

    Of two who approve at once one is recorded; a decision that comes in between is looked at first.

    Raises `ApprovalRefusedError` when nobody is named, when a blocking check failed and no override
    reason is given, when there is nothing to approve, when the upload was withdrawn or its valid rows were judged
    anew after the approval was asked for, and when those stored are not the ones that were checked.
    """
    facts = register.facts(RECENT_SECONDS)
    if upload in facts.seen and same_content(facts, upload):  # which may have been approved just now
        facts = register.facts()
    while True:
        decision, is_new = _decision(lake, facts, upload, request)
        if not is_new or register.append_next(decision):
            return decision
        facts = register.facts()


def _decision(lake: Lake, facts: Facts, upload: str, request: Request) -> tuple[Decision, bool]:
    """The approval that is in force, or a new one to be recorded. Raises as `approve` does."""
    stands = _stands(facts, upload)
    standing, quarantine = stands[upload], Quarantine(facts, stands)
    ingested = _approvable(facts, standing, stands)
    if _is_approved(standing, ingested):
        assert standing.approval is not None
        return standing.approval, False
    if standing.status is Status.SUPERSEDED:
        raise ApprovalRefusedError(
            f"{upload} has nothing to approve: {standing.superseded_by} under the same name counts in its place. To "
            "return to it, withdraw that one, or put the file under its name again."
        )
    if not standing.counts:
        _require_no_equal(facts, upload)
    if not request.approved_by.strip():
        raise ApprovalRefusedError(
            "Nobody is named as approving. Fill in approved_by, or set ALUMNI_APPROVER to your name."
        )
    blocking = quarantine.blocking_checks(upload)
    if blocking and not request.override.strip():
        raise ApprovalRefusedError(
            f"{upload} may not be approved: failed {', '.join(blocking)}. {_way_out(blocking)}, or give a reason in "
            "override_reason."
        )
    _require_not_withdrawn_since(facts, upload, request)
    _require_content_looked_at(ingested, request)
    _require_checked_content(lake, ingested)
    decision = Decision(
        upload=upload,
        number=next_number(facts.decisions.get(upload, ())),
        kind="approved",
        by=request.approved_by.strip(),
        at=utc_now(),
        note=request.note,
        arrival=standing.arrival,
        content=ingested.content,
        rows=ingested.valid or 0,
        invalid_share=quarantine.open_share(upload),
        override=request.override.strip() if blocking else "",
        checks=_ends_of_checks(ingested, quarantine),
    )
    return decision, True


def withdraw(register: Register, upload: str, by: str, reason: str) -> Decision:
    """Record that an upload's rows are to be taken out again.

    An upload under the same name that it had superseded counts again. Raises `ApprovalRefusedError`
    when there is no such upload, when it has no rows to take out, or when no reason or name is given.
    """
    if not reason.strip():
        raise ApprovalRefusedError("Say why the upload is withdrawn: --reason TEXT.")
    if not by.strip():
        raise ApprovalRefusedError("Say who withdraws the upload: --by NAME, or set ALUMNI_APPROVER.")
    facts = register.facts()
    standing = _stands(facts, upload)[upload]
    is_rejected_since = standing.status is Status.REJECTED and facts.is_withdrawn(upload)
    if standing.status is Status.WITHDRAWN or is_rejected_since:
        raise DoneAlreadyError(f"{upload} is withdrawn: it has no rows that could be withdrawn.")
    if standing.status in {Status.REJECTED, Status.DUPLICATE, Status.SEEN}:
        raise ApprovalRefusedError(f"{upload} is {standing.status}: it has no rows that could be withdrawn.")
    return register.append_decision(
        Decision(upload, 0, "withdrawn", by.strip(), utc_now(), note=reason.strip(), arrival=standing.arrival)
    )


def waiting(facts: Facts) -> list[str]:
    """The uploads that wait for approval or whose approved transformation is not done, first seen first."""
    stands = standings(facts)
    found = [upload for upload, standing in stands.items() if standing.waits or standing.status is Status.APPROVED]
    return sorted(found, key=lambda upload: (facts.seen[upload].received_at, upload))


def approvable(facts: Facts) -> list[str]:
    """The waiting uploads whose approval no check and no equal content stands in the way of, first seen first."""
    return _approvable_by(facts, Quarantine(facts, standings(facts)))


def _approvable_by(facts: Facts, quarantine: Quarantine) -> list[str]:
    found = waiting(facts)
    repeated = repetitions(facts, found)
    return [upload for upload in found if upload not in repeated and not quarantine.blocking_checks(upload)]


def approved_but_not_made(facts: Facts, made: Collection[str], unarchived: Collection[str]) -> list[str]:
    """Approved uploads whose transformation is not there, or not archived; `made` are the transformed keys in the lake.

    After a loss of `transformed/` or a killed run, these are made again under the approval they have.
    """
    stands = standings(facts)
    return [
        upload
        for upload, standing in stands.items()
        if standing.approval is not None
        and (
            standing.status is Status.APPROVED
            or (standing.counts and _key(upload) not in made)
            or (standing.counts and not standing.waits and upload in unarchived)
        )
    ]


def may_approve_itself(facts: Facts, rules: ApprovalRules) -> list[str]:
    """The waiting uploads that the auto-approve policy lets through; none when it is off."""
    if not rules.auto:
        return []
    quarantine = Quarantine(facts, standings(facts))
    return [
        upload
        for upload in _approvable_by(facts, quarantine)
        if not facts.ingested[upload].drifted and quarantine.open_share(upload) <= rules.max_invalid_share
    ]


def _stands(facts: Facts, upload: str) -> Mapping[str, Standing]:
    """Where an upload stands, and what that depends on. Raises `ApprovalRefusedError` where there is none."""
    if upload not in facts.seen:
        raise ApprovalRefusedError(f"There is no upload {upload}. `alumni status` lists them.")
    corrections = corrections_by_upload(facts).get(upload, ())
    return standings_of(facts, [upload, *corrections])


def _way_out(blocking: Sequence[str]) -> str:
    if NO_OPEN_ROWS in blocking:
        return (
            "Correct the rows that were set aside and give them back, mend the file and upload it again under its name"
        )
    return "Mend the file and upload it again under the same name"


def _ends_of_checks(ingested: Ingested, quarantine: Quarantine) -> dict[str, str]:
    """How each check of the upload stands: passed, warning or failed."""
    failed = quarantine.blocking_checks(ingested.upload)
    ends = {name: "failed" if name in failed else "passed" for name in INTAKE_CHECKS}
    if ends[NO_OPEN_ROWS] == "passed" and quarantine.open_share(ingested.upload) > 0:
        ends[NO_OPEN_ROWS] = "warning"
    return ends


def _is_approved(standing: Standing, ingested: Ingested) -> bool:
    """Whether the approval in force is for what an approval now would approve."""
    approval = standing.approval
    if approval is None or approval.content != ingested.content:
        return False
    return standing.counts or approval.arrival == standing.arrival


def _key(upload: str) -> str:
    return layout.transformed_key(upload)


def _approvable(facts: Facts, standing: Standing, stands: Mapping[str, Standing]) -> Ingested:
    ingested = facts.ingested.get(standing.upload)
    if ingested is None:
        raise ApprovalRefusedError(f"{standing.upload} has not been validated yet; wait for its run to end.")
    if standing.status in {Status.REJECTED, Status.DUPLICATE}:
        raise ApprovalRefusedError(f"{standing.upload} has nothing to approve: {ingested.reason}")
    original = stands.get(ingested.corrects)
    if original is not None and original.status in {Status.SUPERSEDED, Status.WITHDRAWN, Status.DUPLICATE}:
        raise ApprovalRefusedError(
            f"{standing.upload} has nothing to approve: {original.upload}, which it corrects, is {original.status}."
        )
    return ingested


def _require_no_equal(facts: Facts, upload: str) -> None:
    others = same_content(facts, upload)
    for other, standing in standings_of(facts, others).items():
        if other in others and (standing.counts or standing.status is Status.APPROVED):
            raise ApprovalRefusedError(
                f"{upload} has nothing to approve: {other} has the same content, and is approved. Its rows are in the "
                "tables, or will be."
            )


def _require_not_withdrawn_since(facts: Facts, upload: str, request: Request) -> None:
    """Who asked for the approval before somebody withdrew the upload did not ask for it in spite of that.

    A withdrawal at a time that is still to come says nothing of before and after: the clock was set back.
    """
    if not facts.is_withdrawn(upload):
        return
    withdrawal = facts.decisions[upload][-1]
    if request.asked_at and request.asked_at < withdrawal.at <= utc_now():
        raise ApprovalRefusedError(
            f"{upload} was withdrawn after its approval was asked for, at {withdrawal.at:%Y-%m-%d %H:%M:%S} UTC. "
            "Should it count all the same, approve it again."
        )


def _require_content_looked_at(ingested: Ingested, request: Request) -> None:
    """What was judged anew, with another result, after a person had asked for the approval, they have not seen.

    What was judged at a time that is still to come says nothing of before and after: the clock was set back.
    """
    if request.asked_at and ingested.content_at and request.asked_at < ingested.content_at <= utc_now():
        raise ApprovalRefusedError(
            f"The valid rows of {ingested.upload} have changed since its approval was asked for: it was judged anew "
            f"at {ingested.content_at:%Y-%m-%d %H:%M:%S} UTC. Look at the result, and approve that."
        )


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
