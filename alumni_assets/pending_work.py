"""What there is to do now: uploads to take in, to enter again or to archive, by the lake, the register and the runs.

The sensors look for it and request runs (`sensors.py`), and `alumni run` does it at once (`one_pass.py`).
How what is to be taken in is put together into runs is decided in `intake_plan.py`.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from dagster import DagsterInstance, DagsterRun, RunsFilter

from alumni_assets import intake_plan, jobs, layout, presentation
from alumni_assets.contract import Contract
from alumni_assets.orphaned_runs import UNFINISHED
from alumni_assets.register import Register
from alumni_assets.reporting import UPLOADS
from alumni_assets.resources.lake_interface import Lake, LakeEntry, LakeError, check_key
from alumni_assets.resources.queue import Message, UploadQueueResource
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.stages.archive import unarchived
from alumni_assets.survey.equal_content import repetitions
from alumni_assets.survey.standing import Facts, standings
from alumni_assets.upload_events import NoUploadEventError, created_keys

MOST_UPLOADS = 500
_ASKED_AT_ONCE = 16
_REST = timedelta(minutes=1)


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
            found = created_keys(message.body, lake.url(layout.RAW))
            for key in found:
                check_key(layout.RAW + key, empty_segments=True)
            keys[message] = found
        except NoUploadEventError as error:
            poison[str(error)] += 1
        except LakeError:
            poison["A message in the queue names an object that no lake may have."] += 1
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
    """What is to be entered again.

    Because Dagster's event store or the invalid rows were lost; because its file went from raw/ before it was judged;
    and because equal content was judged at the same time. Attempts at files that went are forgotten.
    """
    partitions = instance.get_dynamic_partitions(UPLOADS.name or "")
    stored = {entry.key for entry in lake.list(layout.INVALID)}
    facts, attempts, limits = register.facts(), register.attempts(), intake_limits(contract)
    lost = set(intake_plan.lost_uploads(facts, partitions, stored)) | repetitions(facts, facts.seen).keys()
    raw = intake_plan.listed_objects(lake.list(layout.RAW))
    if not unfinished(instance, jobs.TAKE_IN.name):  # whose attempt may be at a file that went just now
        for identity in intake_plan.outdated_attempts(facts, raw, attempts):
            register.end_attempts(identity)
    found = intake_plan.plan_again(sorted(lost), attempts, limits)
    begun = intake_plan.unjudged_uploads(facts, raw, attempts, limits)
    return replace(found, alone=(*found.alone, *begun))


def rests(instance: DagsterInstance) -> bool:
    """Whether a run failed to take in uploads within the last minute, for a reason that the next would fail for, too.

    A full disk, or a missing key: it counts against no upload, so that nothing else ends its being tried again.
    """
    now = datetime.now(UTC)
    window = RunsFilter(
        job_name=jobs.TAKE_IN.name,
        tags=jobs.BLAMELESS_TAGS,
        updated_after=now - _REST,
        updated_before=now,  # not what was done before the clock was set back
    )
    return bool(instance.get_run_ids(window, limit=1))


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
    return {key for run in unfinished(instance, jobs.TAKE_IN.name) for key in jobs.keys_of(run.run_config)}


def find_lost_tables(facts: Facts, warehouse: WarehouseResource, instance: DagsterInstance) -> list[str]:
    """The uploads that count, where there is no warehouse and no run that may be about to make it."""
    if warehouse.path.exists() or any(map(jobs.makes_tables, instance.get_runs(RunsFilter(statuses=UNFINISHED)))):
        return []
    return sorted(upload for upload, standing in standings(facts).items() if standing.counts)


def unfinished(instance: DagsterInstance, job_name: str) -> list[DagsterRun]:
    """The runs of a job that wait to begin or are at work."""
    return list(instance.get_runs(RunsFilter(job_name=job_name, statuses=UNFINISHED)))
