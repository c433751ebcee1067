"""The sensors, and the runs that they request: for new uploads, what was lost, what is not archived; and failed runs.

What there is to do is found in `pending_work.py`, what may approve itself is decided in `stages/approval.py`.
The sensor that renews the tables is in `automation.py`.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dagster import (
    DagsterInstance,
    DefaultSensorStatus,
    RunFailureSensorContext,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    run_failure_sensor,
    sensor,
)

from alumni_assets import intake_plan, jobs, pending_work
from alumni_assets.automation import RENEWS_BELOW_TAGS
from alumni_assets.contract import Contract
from alumni_assets.failures import doing, why_failed
from alumni_assets.json_logs import Event, marked
from alumni_assets.orphaned_runs import end_orphaned_runs, is_retried
from alumni_assets.register import Register
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.queue import UploadQueueResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.settings import QueueSettings
from alumni_assets.stages import approval
from alumni_assets.survey_rules import SurveyRules

_LOSSES_SECONDS = 300
_MOST_APPROVED = 2_000  # by a run, which makes and publishes all tables at its end, whatever their size
_RESTS = (
    "A run failed to take in uploads within the last minute, for a reason that is none of theirs; its log says which. "
    "They are tried again in a minute."
)


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
        new = pending_work.find_new(objects, register, contract, context.instance)
        yield from _asked(context, Path(survey.home), register, contract, new) or [
            SkipReason("Nothing new under raw/.")
        ]

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
        told = pending_work.listen(queue, objects, register, contract, context.instance)
        queue.delete(told.done)
        for problem, count in told.poison.items():
            context.log.error(
                f"{problem} ({count:,} times) It is left to the queue's dead-letter queue.",
                extra=marked(Event.MESSAGE_NOT_UNDERSTOOD, messages=count),
            )
        asked = _asked(context, Path(survey.home), register, contract, told.plan)
        yield from asked or [SkipReason("The queue tells of nothing new.")]

    return upload_events


def _asked(
    context: SensorEvaluationContext, home: Path, register: Register, contract: Contract, new: intake_plan.Plan
) -> list[RunRequest] | list[SkipReason]:
    """The runs that take in what is new, and that mend what killed runs left; or why nothing is tried."""
    killed = end_orphaned_runs(home, context.instance)
    if any(jobs.makes_tables(run) and not is_retried(run) for run in killed):
        # what automation was told is made by a run that was killed it does not ask for again
        renewals = [RunRequest(job_name=jobs.RENEW.name, tags=RENEWS_BELOW_TAGS)]
    else:
        renewals = []
    if pending_work.rests(context.instance):
        return renewals or [SkipReason(_RESTS)]
    busy = bool(pending_work.unfinished(context.instance, jobs.TAKE_IN.name))
    again = intake_plan.Plan() if busy else pending_work.find_unreported(register, contract)
    _tell_given_up(context, (*new.given_up, *again.given_up), contract)
    configs = [jobs.take_in_config(keys) for keys in new.runs]
    configs += [jobs.take_in_config((), uploads) for uploads in again.runs]
    return [RunRequest(job_name=jobs.TAKE_IN.name, run_config=config) for config in configs] + renewals


def _tell_given_up(context: SensorEvaluationContext, subjects: Sequence[str], contract: Contract) -> None:
    if subjects:
        marks = marked(Event.UPLOAD_GIVEN_UP, uploads=len(subjects))
        context.log.error(pending_work.given_up_sentence(subjects, contract), extra=marks)


def lost_uploads_sensor(interval: int) -> SensorDefinition:
    """Looks for what was lost, every five minutes at most: it costs a look at everything there is."""

    @sensor(
        name="lost_uploads",
        jobs=[jobs.TAKE_IN, jobs.RENEW],
        minimum_interval_seconds=max(interval, _LOSSES_SECONDS),
        default_status=DefaultSensorStatus.RUNNING,
        description="Enters uploads again that Dagster's event store, or the lake's invalid/, has lost, and those "
        "that were pinned and not judged before their file was gone; makes the tables again where the warehouse is.",
    )
    def lost_uploads(
        context: SensorEvaluationContext, lake: LakeResource, survey: SurveyResource, warehouse: WarehouseResource
    ) -> Iterator[RunRequest | SkipReason]:
        if pending_work.unfinished(context.instance, jobs.TAKE_IN.name):
            yield SkipReason("Uploads are being taken in.")
            return
        objects, contract = lake.lake(Component.INGEST), survey.contract()
        register = survey.register_of(objects)
        lost = pending_work.find_lost(objects, register, contract, context.instance)
        _tell_given_up(context, lost.given_up, contract)
        configs = [jobs.take_in_config((), uploads) for uploads in lost.runs]
        requests = [RunRequest(job_name=jobs.TAKE_IN.name, run_config=config) for config in configs]
        if lost_tables := pending_work.find_lost_tables(register.facts(), warehouse, context.instance):
            requests.append(RunRequest(_hourly_key(lost_tables), job_name=jobs.RENEW.name, tags=RENEWS_BELOW_TAGS))
        yield from requests
        if not requests:
            yield SkipReason("Nothing is lost.")

    return lost_uploads


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
    ) -> Iterator[RunRequest | SkipReason]:
        newest = _newest_transformation(context.instance)
        if not _is_look_due(context.cursor, newest):
            yield SkipReason("Nothing was transformed since the last look.")
            return
        if pending_work.is_transforming_or_archiving(context.instance):
            yield SkipReason("Uploads are being transformed or archived.")
            return
        objects = lake.lake(Component.ARCHIVE)
        facts = survey.register_of(objects).facts()
        uploads = pending_work.find_unarchived(objects, facts, context.instance)
        context.update_cursor(f"{newest} {int(time.time())}")
        if not uploads:
            yield SkipReason("All that is transformed is archived.")
        for first in range(0, len(uploads), pending_work.MOST_UPLOADS):
            taken = uploads[first : first + pending_work.MOST_UPLOADS]
            key = _hourly_key(f"{upload}:{facts.transformed[upload].content}" for upload in taken)
            yield RunRequest(key, run_config=jobs.archive_config(taken), tags=jobs.approve_tags(taken))

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
        if pending_work.unfinished(context.instance, jobs.APPROVE.name):
            return SkipReason("An approval is under way.")
        facts = survey.register_of(lake.lake(Component.TRANSFORM)).facts()
        uploads = approval.may_approve_itself(facts, rules.approval)
        if not uploads:
            return SkipReason("Nothing waits that may approve itself.")
        limit = f"invalid share at most {rules.approval.max_invalid_share:.1%}"
        taken = uploads[:_MOST_APPROVED]
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


def _hourly_key(contents: Iterable[str]) -> str:
    """A key by which the same is not requested again at once if it fails, but only in the next hour."""
    subject = " ".join(contents)
    return f"{datetime.now(UTC):%Y-%m-%dT%H}-{hashlib.sha256(subject.encode()).hexdigest()[:16]}"
