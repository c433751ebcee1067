"""What Dagster knows that people are told of: failed runs and renewed tables.

Dagster's storage remembers up to when it was looked through, so that what happened while nobody looked is found, and
what was found is not read again and again. What is told of it is decided in `notices.py`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetRecordsFilter,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    RunRecord,
    RunsFilter,
)
from dagster._core.execution.stats import StepEventStatus

from alumni_assets import jobs
from alumni_assets.failures import doing, why_failed
from alumni_assets.notifications.messages import FailedRun, Renewal
from alumni_assets.notifications.notices import Happenings
from alumni_assets.orphaned_runs import UNFINISHED

TRANSFORMED = AssetKey("transformed_survey")
DEDUPLICATED = AssetKey("deduplicated_survey")
TRANSFORMING_STEP = "approve_and_transform"
# Clocks of different machines differ, and what is written now may be seen a little later.
_OVERLAP = timedelta(minutes=10)
_MOST_RENEWALS = 1000


class History:
    """Dagster's memory of what happened to one pipeline."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._instance = instance

    def happenings(self, book: str, since: datetime) -> Happenings:
        """What happened at or after `since`, but for what was there when `remember` was last called for this book.

        A little of what was there before comes again. Times are in UTC without zone.
        """
        begin = max(since, self._remembered(book)) - _OVERLAP
        is_transforming = any(_transforms(run) for run in self._instance.get_runs(RunsFilter(statuses=UNFINISHED)))
        failed = self._instance.get_run_records(
            RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=begin.replace(tzinfo=UTC)),
            order_by="update_timestamp",
            ascending=True,
        )
        failed_runs = [_failed_run(self._instance, record) for record in failed]
        return Happenings(failed_runs, _renewals(self._instance, begin), is_transforming)

    def remember(self, book: str, looked_at: datetime) -> None:
        """Remember that all that happened before `looked_at` is in the book."""
        self._instance.daemon_cursor_storage.set_cursor_values({_cursor(book): looked_at.isoformat()})

    def _remembered(self, book: str) -> datetime:
        found = self._instance.daemon_cursor_storage.get_cursor_values({_cursor(book)})
        return datetime.fromisoformat(found[_cursor(book)]) if found else datetime.min


def last_change(instance: DagsterInstance) -> str:
    """A text that changes whenever a run is started, ends, or changes otherwise."""
    newest = instance.get_run_records(limit=1, order_by="update_timestamp", ascending=False)
    return f"{newest[0].update_timestamp.isoformat()} {newest[0].dagster_run.run_id}" if newest else ""


def _cursor(book: str) -> str:
    return f"alumni/notifications/{book}"


def _failed_run(instance: DagsterInstance, record: RunRecord) -> FailedRun:
    run = record.dagster_run
    step, reason = why_failed(instance, run.run_id)
    at = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
    return FailedRun(
        run_id=run.run_id,
        doing=doing(run),
        step=step,
        reason=reason,
        failed_at=at.astimezone(UTC).replace(tzinfo=None),
        is_transformation=step == TRANSFORMING_STEP or (_transforms(run) and not _transformed(instance, run)),
    )


def _transforms(run: DagsterRun) -> bool:
    return run.job_name == jobs.APPROVE.name or TRANSFORMED in (run.asset_selection or ())


def _transformed(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether a failed run failed only after it had transformed."""
    steps = instance.get_run_step_stats(run.run_id, [TRANSFORMING_STEP])
    return any(step.status is StepEventStatus.SUCCESS for step in steps)


def _renewals(instance: DagsterInstance, since: datetime) -> Sequence[Renewal]:
    after = since.replace(tzinfo=UTC).timestamp()
    records = instance.fetch_materializations(
        AssetRecordsFilter(DEDUPLICATED, after_timestamp=after), limit=_MOST_RENEWALS
    ).records
    return [
        Renewal(
            run_id=record.run_id,
            at=datetime.fromtimestamp(record.timestamp, UTC).replace(tzinfo=None),
            alumni=_number(made, "dagster/row_count"),
            added=_number(made, "rows_added"),
            removed=_number(made, "rows_removed"),
        )
        for record in records
        if (made := record.asset_materialization) is not None
    ]


def _number(made: AssetMaterialization, name: str) -> int:
    value = made.metadata[name].value if name in made.metadata else 0
    return value if isinstance(value, int) else 0
