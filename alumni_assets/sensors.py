"""The sensors: new uploads under raw/, and, where the policy is on, approvals without a person.

What is to be taken in is decided in `intake_plan.py`, what may approve itself in `stages/approval.py`.
The sensor that renews the tables is in `automation.py`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dagster import (
    DagsterInstance,
    DagsterRun,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from alumni_assets import intake_plan, jobs, layout, presentation
from alumni_assets.automation import RENEWS_BELOW_TAGS
from alumni_assets.contract import Contract
from alumni_assets.orphaned_runs import UNFINISHED, end_orphaned_runs
from alumni_assets.register import Register
from alumni_assets.reporting import UPLOADS
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.lake_interface import Lake, LakeError
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages import approval
from alumni_assets.survey.standing import Facts
from alumni_assets.survey_rules import SurveyRules

MOST_UPLOADS = 500
_LOSSES_SECONDS = 300


def uploads_sensor(interval: int) -> SensorDefinition:
    """Looks for new uploads every `interval` seconds; on from the start."""

    @sensor(
        name="new_uploads",
        jobs=[jobs.TAKE_IN, jobs.RENEW],
        minimum_interval_seconds=interval,
        default_status=DefaultSensorStatus.RUNNING,
        description="Takes in what was put under raw/: a new file, or new content under an old name.",
    )
    def new_uploads(
        context: SensorEvaluationContext, lake: LakeResource, survey: SurveyResource
    ) -> Iterator[RunRequest | SkipReason]:
        objects, contract = lake.lake(), survey.contract()
        register = survey.register_of(objects)
        killed = end_orphaned_runs(Path(survey.home), context.instance)
        new = find_new(objects, register, contract, context.instance)
        busy = bool(_unfinished(context.instance, jobs.TAKE_IN.name))
        again = intake_plan.Plan() if busy else find_unreported(register, contract)
        if new.given_up or again.given_up:
            context.log.error(given_up_sentence((*new.given_up, *again.given_up), contract))
        configs = [jobs.take_in_config(keys) for keys in new.runs]
        configs += [jobs.take_in_config((), uploads) for uploads in again.runs]
        yield from (RunRequest(job_name=jobs.TAKE_IN.name, run_config=config) for config in configs)
        is_stale = any(jobs.makes_tables(run) for run in killed)
        if is_stale:  # what automation was told is made by a run that was killed it does not ask for again
            yield RunRequest(job_name=jobs.RENEW.name, tags=RENEWS_BELOW_TAGS)
        if not configs and not is_stale:
            yield SkipReason("Nothing new under raw/.")

    return new_uploads


def lost_uploads_sensor(interval: int) -> SensorDefinition:
    """Looks for what was lost, every five minutes at most: it costs a look at everything there is."""

    @sensor(
        name="lost_uploads",
        job=jobs.TAKE_IN,
        minimum_interval_seconds=max(interval, _LOSSES_SECONDS),
        default_status=DefaultSensorStatus.RUNNING,
        description="Enters uploads again that Dagster's event store, or the lake's invalid/, has lost.",
    )
    def lost_uploads(
        context: SensorEvaluationContext, lake: LakeResource, survey: SurveyResource
    ) -> Iterator[RunRequest | SkipReason]:
        if _unfinished(context.instance, jobs.TAKE_IN.name):
            yield SkipReason("Uploads are being taken in.")
            return
        objects, contract = lake.lake(), survey.contract()
        lost = find_lost(objects, survey.register_of(objects), contract, context.instance)
        if lost.given_up:
            context.log.error(given_up_sentence(lost.given_up, contract))
        yield from (RunRequest(run_config=jobs.take_in_config((), uploads)) for uploads in lost.runs)
        if not lost.runs:
            yield SkipReason("Nothing is lost.")

    return lost_uploads


def auto_approval_sensor(interval: int, rules: SurveyRules) -> list[SensorDefinition]:
    """The auto-approve policy as a sensor; none where the policy is off."""
    if not rules.approval.auto:
        return []

    @sensor(
        name="auto_approval",
        job=jobs.APPROVE,
        minimum_interval_seconds=interval,
        default_status=DefaultSensorStatus.RUNNING,
        description="Approves uploads whose checks passed, as the survey's configuration says.",
    )
    def auto_approval(
        context: SensorEvaluationContext, lake: LakeResource, survey: SurveyResource
    ) -> RunRequest | SkipReason:
        if _unfinished(context.instance, jobs.APPROVE.name):
            return SkipReason("An approval is under way.")
        facts = survey.register_of(lake.lake()).facts()
        uploads = approval.may_approve_itself(facts, rules.approval)
        if not uploads:
            return SkipReason("Nothing waits that may approve itself.")
        limit = f"invalid share at most {rules.approval.max_invalid_share:.1%}"
        taken = uploads[:MOST_UPLOADS]
        config = jobs.approve_config(taken, approval.AUTO_APPROVER, limit)
        return RunRequest(_hourly_key(facts, taken), run_config=config, tags=jobs.approve_tags(taken))

    return [auto_approval]


def find_new(lake: Lake, register: Register, contract: Contract, instance: DagsterInstance) -> intake_plan.Plan:
    """What under raw/ is to be taken in now. Raises LakeError when the listing fails."""
    listing = list(lake.list(layout.RAW))
    unknown = intake_plan.unknown_objects(listing, register.remembered())
    if not unknown:
        return intake_plan.Plan()
    known = intake_plan.known_objects(register.facts())
    register.remember(known)
    complete = [
        entry for entry in intake_plan.unknown_objects(listing, known) if not _is_being_written(lake, entry.key)
    ]
    return intake_plan.plan(
        complete, in_flight(instance), register.attempts(), intake_limits(contract), datetime.now(UTC)
    )


def find_unreported(register: Register, contract: Contract) -> intake_plan.Plan:
    """What is to be entered again while no other run takes anything in: its intake was killed before its end."""
    attempts = register.attempts()
    unreported = intake_plan.unreported_uploads(register.facts(), attempts) if attempts else []
    return intake_plan.plan_again(unreported, attempts, intake_limits(contract))


def find_lost(lake: Lake, register: Register, contract: Contract, instance: DagsterInstance) -> intake_plan.Plan:
    """What is to be entered again because Dagster's event store or the invalid rows were lost."""
    partitions = instance.get_dynamic_partitions(UPLOADS.name or "")
    stored = {entry.key for entry in lake.list("invalid/")}
    lost = intake_plan.lost_uploads(register.facts(), partitions, stored)
    return intake_plan.plan_again(lost, register.attempts(), intake_limits(contract))


def given_up_sentence(subjects: Sequence[str], contract: Contract) -> str:
    """What is to be said of what failed too often."""
    names = ", ".join(presentation.shown(subject) for subject in subjects[:5])
    return (
        f"Not tried again, having failed as often as limits.attempts allows ({contract.rules.limits.attempts}): {names}"
        f"{', …' if len(subjects) > 5 else ''}. Their failed runs say why; mend that and start one of them again, "
        "or put the file anew."
    )


def intake_limits(contract: Contract) -> intake_plan.Limits:
    """The limits of the survey's configuration, and of a run."""
    rules = contract.rules
    return intake_plan.Limits(rules.limits.attempts, MOST_UPLOADS, rules.uploads.settle_seconds)


def _is_being_written(lake: Lake, key: str) -> bool:
    """A file that cannot be looked at is for its run to fail on, which is counted; it holds up no other."""
    try:
        return lake.is_being_written(key)
    except LakeError:
        return False


def in_flight(instance: DagsterInstance) -> set[str]:
    """The keys under raw/ that unfinished runs are taking in."""
    return {key for run in _unfinished(instance, jobs.TAKE_IN.name) for key in jobs.keys_of(run.run_config)}


def _hourly_key(facts: Facts, uploads: Sequence[str]) -> str:
    """A key by which the same approval is not requested again at once if it fails, but only in the next hour."""
    subject = " ".join(f"{upload}:{facts.ingested[upload].content}" for upload in uploads)
    return f"{datetime.now(UTC):%Y-%m-%dT%H}-{hashlib.sha256(subject.encode()).hexdigest()[:16]}"


def _unfinished(instance: DagsterInstance, job_name: str) -> list[DagsterRun]:
    return list(instance.get_runs(RunsFilter(job_name=job_name, statuses=UNFINISHED)))
