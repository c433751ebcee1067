"""The sensors: new uploads under raw/, found by listing it or told by a queue, approvals without a person, failures.

What is to be taken in is decided in `intake_plan.py`, what may approve itself in `stages/approval.py`.
The sensor that renews the tables is in `automation.py`.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from dagster import (
    DagsterInstance,
    DagsterRun,
    DefaultSensorStatus,
    RunFailureSensorContext,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    run_failure_sensor,
    sensor,
)

from alumni_assets import intake_plan, jobs, layout, presentation
from alumni_assets.automation import RENEWS_BELOW_TAGS
from alumni_assets.contract import Contract
from alumni_assets.failures import doing, why_failed
from alumni_assets.json_logs import Event, marked
from alumni_assets.orphaned_runs import UNFINISHED, end_orphaned_runs, is_retried
from alumni_assets.register import Register
from alumni_assets.reporting import UPLOADS
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.lake_interface import Lake, LakeEntry, LakeError
from alumni_assets.resources.queue import Message, UploadQueueResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.settings import QueueSettings
from alumni_assets.stages import approval
from alumni_assets.stages.archive import unarchived
from alumni_assets.survey.standing import Facts, standings
from alumni_assets.survey_rules import SurveyRules
from alumni_assets.upload_events import NoUploadEventError, created_keys

MOST_UPLOADS = 500
_LOSSES_SECONDS = 300
_ASKED_AT_ONCE = 16


def uploads_sensors(interval: int, queue: QueueSettings | None) -> list[SensorDefinition]:
    """What looks for new uploads every `interval` seconds; on from the start.

    With a queue, that is asked so often, and raw/ itself is listed at its slower interval, to find what the queue
    has not told.
    """
    if queue is None:
        return [_listing_sensor(interval)]
    return [_queue_sensor(interval), _listing_sensor(max(interval, queue.listing_seconds))]


def _listing_sensor(interval: int) -> SensorDefinition:
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
        objects, contract = lake.lake(Component.INGEST), survey.contract()
        register = survey.register_of(objects)
        new = find_new(objects, register, contract, context.instance)
        requests = _requests(context, Path(survey.home), register, contract, new)
        yield from requests
        if not requests:
            yield SkipReason("Nothing new under raw/.")

    return new_uploads


def _queue_sensor(interval: int) -> SensorDefinition:
    @sensor(
        name="upload_events",
        jobs=[jobs.TAKE_IN, jobs.RENEW],
        minimum_interval_seconds=interval,
        default_status=DefaultSensorStatus.RUNNING,
        description="Takes in what the queue says was put under raw/. What it does not say, new_uploads finds.",
    )
    def upload_events(
        context: SensorEvaluationContext, lake: LakeResource, survey: SurveyResource, queue: UploadQueueResource
    ) -> Iterator[RunRequest | SkipReason]:
        objects, contract = lake.lake(Component.INGEST), survey.contract()
        register = survey.register_of(objects)
        told = listen(queue, objects, register, contract, context.instance)
        queue.delete(told.done)
        for problem, count in told.poison.items():
            context.log.error(
                f"{problem} ({count:,} times) It is left to the queue's dead-letter queue.",
                extra=marked(Event.MESSAGE_NOT_UNDERSTOOD, messages=count),
            )
        requests = _requests(context, Path(survey.home), register, contract, told.plan)
        yield from requests
        if not requests:
            yield SkipReason("The queue tells of nothing new.")

    return upload_events


def _requests(
    context: SensorEvaluationContext, home: Path, register: Register, contract: Contract, new: intake_plan.Plan
) -> list[RunRequest]:
    """The runs that take in what is new, and that mend what killed runs left."""
    killed = end_orphaned_runs(home, context.instance)
    busy = bool(_unfinished(context.instance, jobs.TAKE_IN.name))
    again = intake_plan.Plan() if busy else find_unreported(register, contract)
    _tell_given_up(context, (*new.given_up, *again.given_up), contract)
    configs = [jobs.take_in_config(keys) for keys in new.runs]
    configs += [jobs.take_in_config((), uploads) for uploads in again.runs]
    requests = [RunRequest(job_name=jobs.TAKE_IN.name, run_config=config) for config in configs]
    if any(jobs.makes_tables(run) and not is_retried(run) for run in killed):
        # what automation was told is made by a run that was killed it does not ask for again
        requests.append(RunRequest(job_name=jobs.RENEW.name, tags=RENEWS_BELOW_TAGS))
    return requests


def _tell_given_up(context: SensorEvaluationContext, subjects: Sequence[str], contract: Contract) -> None:
    if subjects:
        marks = marked(Event.UPLOAD_GIVEN_UP, uploads=len(subjects))
        context.log.error(given_up_sentence(subjects, contract), extra=marks)


def lost_uploads_sensor(interval: int) -> SensorDefinition:
    """Looks for what was lost, every five minutes at most: it costs a look at everything there is."""

    @sensor(
        name="lost_uploads",
        jobs=[jobs.TAKE_IN, jobs.RENEW],
        minimum_interval_seconds=max(interval, _LOSSES_SECONDS),
        default_status=DefaultSensorStatus.RUNNING,
        description="Enters uploads again that Dagster's event store, or the lake's invalid/, has lost; "
        "makes the tables again where the warehouse is lost.",
    )
    def lost_uploads(
        context: SensorEvaluationContext, lake: LakeResource, survey: SurveyResource, warehouse: WarehouseResource
    ) -> Iterator[RunRequest | SkipReason]:
        if _unfinished(context.instance, jobs.TAKE_IN.name):
            yield SkipReason("Uploads are being taken in.")
            return
        objects, contract = lake.lake(Component.INGEST), survey.contract()
        register = survey.register_of(objects)
        lost = find_lost(objects, register, contract, context.instance)
        _tell_given_up(context, lost.given_up, contract)
        configs = [jobs.take_in_config((), uploads) for uploads in lost.runs]
        requests = [RunRequest(job_name=jobs.TAKE_IN.name, run_config=config) for config in configs]
        if lost_tables := _lost_tables(register.facts(), warehouse, context.instance):
            requests.append(RunRequest(_hourly_key(lost_tables), job_name=jobs.RENEW.name, tags=RENEWS_BELOW_TAGS))
        yield from requests
        if not requests:
            yield SkipReason("Nothing is lost.")

    return lost_uploads


def _lost_tables(facts: Facts, warehouse: WarehouseResource, instance: DagsterInstance) -> list[str]:
    """The uploads that count, where there is no warehouse and no run that may be about to make it."""
    if warehouse.path.exists() or any(map(jobs.makes_tables, instance.get_runs(RunsFilter(statuses=UNFINISHED)))):
        return []
    return sorted(upload for upload, standing in standings(facts).items() if standing.counts)


def unarchived_uploads_sensor(interval: int) -> SensorDefinition:
    """Archives what was approved; looks every five minutes at most for what was not archived, which costs more."""

    @sensor(
        name="unarchived_uploads",
        job=jobs.ARCHIVE,
        minimum_interval_seconds=interval,
        default_status=DefaultSensorStatus.RUNNING,
        description="Archives approved uploads: after their approval, and those of which a run that was killed or "
        "failed has left no whole archive.",
    )
    def unarchived_uploads(
        context: SensorEvaluationContext, lake: LakeResource, survey: SurveyResource
    ) -> RunRequest | SkipReason:
        newest = _newest_transformation(context.instance)
        if not _is_look_due(context.cursor, newest):
            return SkipReason("Nothing was transformed since the last look.")
        if is_transforming_or_archiving(context.instance):
            return SkipReason("Uploads are being transformed or archived.")
        objects = lake.lake(Component.ARCHIVE)
        facts = survey.register_of(objects).facts()
        uploads = find_unarchived(objects, facts, context.instance)
        if len(uploads) <= MOST_UPLOADS:
            context.update_cursor(f"{newest} {int(time.time())}")
        if not uploads:
            return SkipReason("All that is transformed is archived.")
        taken = uploads[:MOST_UPLOADS]
        key = _hourly_key(f"{upload}:{facts.transformed[upload].content}" for upload in taken)
        return RunRequest(key, run_config=jobs.archive_config(taken), tags=jobs.approve_tags(taken))

    return unarchived_uploads


def _newest_transformation(instance: DagsterInstance) -> int:
    """The number of the newest event by which an upload was reported as transformed; 0 without any."""
    found = instance.fetch_materializations(jobs.TRANSFORMED, limit=1).records
    return found[0].storage_id if found else 0


def _is_look_due(cursor: str | None, newest: int) -> bool:
    """Whether something was transformed since the look that a cursor is of, or that is long ago (or in the future)."""
    looked_up_to, looked_at = map(int, (cursor or "0 0").split())
    return newest != looked_up_to or not 0 <= time.time() - looked_at < _LOSSES_SECONDS


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
        facts = survey.register_of(lake.lake(Component.TRANSFORM)).facts()
        uploads = approval.may_approve_itself(facts, rules.approval)
        if not uploads:
            return SkipReason("Nothing waits that may approve itself.")
        limit = f"invalid share at most {rules.approval.max_invalid_share:.1%}"
        taken = uploads[:MOST_UPLOADS]
        config = jobs.approve_config(taken, approval.AUTO_APPROVER, limit)
        key = _hourly_key(f"{upload}:{facts.ingested[upload].content}" for upload in taken)
        return RunRequest(key, run_config=config, tags=jobs.approve_tags(taken))

    return [auto_approval]


def failed_runs_sensor(interval: int) -> SensorDefinition:
    """Says of each failed run that it failed, whatever it failed of and whoever noticed it."""

    @run_failure_sensor(
        name="failed_runs",
        minimum_interval_seconds=interval,
        default_status=DefaultSensorStatus.RUNNING,
        monitor_all_code_locations=True,  # those that the `alumni` command makes are of none
        description="Prints a line for each failed run, for alarms.",
    )
    def failed_runs(context: RunFailureSensorContext) -> None:
        run = context.dagster_run
        step, reason = why_failed(context.instance, run.run_id)
        marks = marked(Event.RUN_FAILED, run_id=run.run_id, job=run.job_name, step=step, reason=reason)
        context.log.error(f"The run failed: {doing(run)}. {reason}", extra=marks)

    return failed_runs


def find_new(lake: Lake, register: Register, contract: Contract, instance: DagsterInstance) -> intake_plan.Plan:
    """What under raw/ is to be taken in now. Raises LakeError when the listing fails."""
    unknown = _not_ingested(list(lake.list(layout.RAW)), register)
    complete = [entry for entry in unknown if not _is_being_written(lake, entry.key)]
    return _planned(complete, register, instance, intake_limits(contract))


@dataclass(frozen=True)
class Told:
    """What the queue said: what to take in, messages that are `done` with, and how often it said what is no event."""

    plan: intake_plan.Plan
    done: list[Message]
    poison: Counter[str]


def listen(
    queue: UploadQueueResource, lake: Lake, register: Register, contract: Contract, instance: DagsterInstance
) -> Told:
    """What the queue says is to be taken in now.

    A message is done with when all that it is about was ingested as it is now, or is gone; until then it comes
    again, so that no crash and no failed run loses it. Raises QueueError and LakeError.
    """
    keys, poison = _heard(queue.receive(MOST_UPLOADS), lake)
    names = sorted({layout.RAW + key for some in keys.values() for key in some})
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        present = [entry for entry in pool.map(lake.stat, names) if entry is not None]
    unknown = _not_ingested(present, register)
    waiting = {entry.key.removeprefix(layout.RAW) for entry in unknown}
    done = [message for message, some in keys.items() if waiting.isdisjoint(some)]
    limits = replace(intake_limits(contract), settle_seconds=0)  # an object is there when it is complete
    return Told(_planned(unknown, register, instance, limits), done, poison)


def _heard(messages: Sequence[Message], lake: Lake) -> tuple[dict[Message, list[str]], Counter[str]]:
    keys, poison = {}, Counter[str]()
    for message in messages:
        try:
            keys[message] = created_keys(message.body, lake.url(layout.RAW))
        except NoUploadEventError as error:
            poison[str(error)] += 1
    return keys, poison


def _not_ingested(entries: Sequence[LakeEntry], register: Register) -> list[LakeEntry]:
    """Those that were not ingested as they are now; the register is read only where some are new."""
    if not intake_plan.unknown_objects(entries, register.remembered()):
        return []
    known = intake_plan.known_objects(register.facts())
    register.remember(known)
    return intake_plan.unknown_objects(entries, known)


def _planned(
    unknown: Sequence[LakeEntry], register: Register, instance: DagsterInstance, limits: intake_plan.Limits
) -> intake_plan.Plan:
    if not unknown:
        return intake_plan.Plan()
    return intake_plan.plan(unknown, in_flight(instance), register.attempts(), limits, datetime.now(UTC))


def find_unreported(register: Register, contract: Contract) -> intake_plan.Plan:
    """What is to be entered again while no other run takes anything in: its intake was killed before its end."""
    attempts = register.attempts()
    unreported = intake_plan.unreported_uploads(register.facts(), attempts) if attempts else []
    return intake_plan.plan_again(unreported, attempts, intake_limits(contract))


def find_lost(lake: Lake, register: Register, contract: Contract, instance: DagsterInstance) -> intake_plan.Plan:
    """What is to be entered again because Dagster's event store or the invalid rows were lost."""
    partitions = instance.get_dynamic_partitions(UPLOADS.name or "")
    stored = {entry.key for entry in lake.list(layout.INVALID)}
    lost = intake_plan.lost_uploads(register.facts(), partitions, stored)
    return intake_plan.plan_again(lost, register.attempts(), intake_limits(contract))


def is_transforming_or_archiving(instance: DagsterInstance) -> bool:
    """Whether a run is at work that may be about to archive what is not archived yet, or transforms more."""
    return any(map(jobs.transforms_or_archives, instance.get_runs(RunsFilter(statuses=UNFINISHED))))


def find_unarchived(lake: Lake, facts: Facts, instance: DagsterInstance) -> list[str]:
    """What is transformed and has no whole archive; nothing while a run is at work that may be about to make it.

    Transformed rows that are lost are made again where they count, and cannot be archived before.
    """
    if not facts.transformed or is_transforming_or_archiving(instance):
        return []
    found = unarchived(lake, facts)
    return [upload for upload in found if lake.stat(layout.transformed_key(upload)) is not None]


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


def _hourly_key(contents: Iterable[str]) -> str:
    """A key by which the same is not requested again at once if it fails, but only in the next hour."""
    subject = " ".join(contents)
    return f"{datetime.now(UTC):%Y-%m-%dT%H}-{hashlib.sha256(subject.encode()).hexdigest()[:16]}"


def _unfinished(instance: DagsterInstance, job_name: str) -> list[DagsterRun]:
    return list(instance.get_runs(RunsFilter(job_name=job_name, statuses=UNFINISHED)))
