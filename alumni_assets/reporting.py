"""Reports what happened to each upload of a run: its materializations and its check results.

One run works on many uploads, and each upload is a partition that keeps its own materialization, metadata and
check results. Dagster's ordinary results (`MaterializeResult`, `AssetCheckResult`, a plain `Output`) speak for the
whole run, so the ops of this project yield the events of this module instead.

This is the one place that depends on three things which Dagster does not promise to keep: partitioned asset checks
(a preview, hence the pinned minor version), the names taken from `dagster._core` below, and how its SQLite store
opens its files. What an upload is, and whether a check passed, is decided elsewhere.
"""

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetRecordsFilter,
    DagsterInstance,
    DynamicPartitionsDefinition,
    Output,
    PreviewWarning,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.data_version import DATA_VERSION_IS_USER_PROVIDED_TAG, DATA_VERSION_TAG
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.tags import BACKFILL_ID_TAG, PARENT_RUN_ID_TAG, RETRY_NUMBER_TAG
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from alumni_assets.checks import Outcome

UPLOADS = DynamicPartitionsDefinition(name="uploads")

# An output that carries this key releases the steps downstream without recording a materialization of its own,
# which would lack a partition in a run that works on many.
_ALREADY_REPORTED = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}


def upload_check(
    name: str,
    asset: AssetKey | str,
    description: str,
    blocking: bool = True,
) -> AssetCheckSpec:
    """The specification of a check that has one result per upload.

    It belongs in `check_specs` of the multi-asset that makes `asset`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        return AssetCheckSpec(name, asset=asset, description=description, blocking=blocking, partitions_def=UPLOADS)


def report_materialization(
    asset: AssetKey | str,
    upload: str,
    metadata: Mapping[str, Any] | None = None,
    data_version: str | None = None,
) -> AssetMaterialization:
    """The event that says that `asset` was made for `upload`, to be yielded by the op.

    `data_version` identifies the content (a hash); without one Dagster takes the materialization itself as new.
    """
    tags = {DATA_VERSION_TAG: data_version, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"} if data_version else None
    return AssetMaterialization(
        asset_key=AssetKey.from_coercible(asset), partition=upload, metadata=metadata, tags=tags
    )


def report_checks(
    context: AssetExecutionContext, upload: str, outcomes: "Mapping[AssetCheckKey, Outcome]"
) -> Iterator[AssetCheckEvaluation]:
    """The events that say how checks ended for `upload`, to be yielded by the op.

    Yield them after the upload's materializations of the checked assets: the results count for the newest ones that
    are recorded by then. A failed result never fails the run, even where the check is blocking: one bad upload must not
    hold up the others, so the ops downstream leave it out by themselves.
    """
    newest = {
        asset: _newest_materialization(context.instance, asset, upload)
        for asset in dict.fromkeys(check.asset_key for check in outcomes)
    }
    for check, outcome in outcomes.items():
        yield AssetCheckEvaluation(
            asset_key=check.asset_key,
            check_name=check.name,
            partition=upload,
            passed=outcome.passed,
            description=outcome.description,
            metadata=outcome.metadata,
            severity=outcome.severity,
            target_materialization_data=newest[check.asset_key],
            blocking=False,
        )


@contextmanager
def event_store_kept_open(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """For many events of one run: Dagster's default store opens its files three times for each, and closes them
    again, which takes longer than writing. While this lasts, they stay open for the calling thread.

    Every event is a transaction of its own, as before. Other stores are left as they are.
    """
    store = instance.event_log_storage
    if not isinstance(store, SqliteEventLogStorage):
        yield
        return
    connect, thread, kept = store._connect, threading.get_ident(), {}
    with ExitStack() as connections:
        for shard in (INDEX_SHARD_NAME, run_id):
            with connect(shard):
                pass  # which makes the file of a run that is about to begin
            kept[shard] = connections.enter_context(_connection(store, shard))

        @contextmanager
        def connect_once(shard: str) -> Iterator[Connection]:
            connection = kept.get(shard)
            if connection is None or connection.in_transaction() or threading.get_ident() != thread:
                with connect(shard) as own:
                    yield own
            else:
                with connection.begin():
                    yield connection

        store._connect = connect_once  # type: ignore[method-assign]
        connections.callback(setattr, store, "_connect", connect)
        yield


@contextmanager
def _connection(store: SqliteEventLogStorage, shard: str) -> Iterator[Connection]:
    engine = create_engine(
        store.conn_string_for_shard(shard),
        poolclass=NullPool,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
    )
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def report_whole_check(
    instance: DagsterInstance,
    check: AssetCheckKey,
    passed: bool,
    description: str,
    metadata: Mapping[str, Any],
    severity: AssetCheckSeverity,
) -> None:
    """Report a result that is for no upload in particular, of a check of an asset that is partitioned by upload.

    It is not yielded by a step: Dagster notes when a run is planned that the check will be made, and shows the result
    of the run that was planned last, not the one that was reported last. So it is reported outside of any run.
    """
    instance.report_runless_asset_event(
        AssetCheckEvaluation(
            asset_key=check.asset_key,
            check_name=check.name,
            passed=passed,
            description=description,
            metadata=metadata,
            severity=severity,
            target_materialization_data=_newest_materialization(instance, check.asset_key, None),
            blocking=False,
        )
    )


def asked_for_at(context: AssetExecutionContext) -> datetime:
    """When a person, or a sensor, asked for this run, in UTC without zone: the click, where several were chosen.

    Nobody asked for a run with which Dagster repeats a failed one by itself: it is as old as that.
    """
    run = context.run
    while RETRY_NUMBER_TAG in run.tags and (repeated := context.instance.get_run_by_id(run.tags[PARENT_RUN_ID_TAG])):
        run = repeated
    backfill_id = None if PARENT_RUN_ID_TAG in run.tags else run.tags.get(BACKFILL_ID_TAG)
    backfill = context.instance.get_backfill(backfill_id) if backfill_id else None
    if backfill is not None:
        return datetime.fromtimestamp(backfill.backfill_timestamp, UTC).replace(tzinfo=None)
    record = context.instance.get_run_record_by_id(run.run_id)
    assert record is not None, "a run that is at work is on record"
    return record.create_timestamp.astimezone(UTC).replace(tzinfo=None)


def finish_step(context: AssetExecutionContext) -> Iterator[Output[None]]:
    """The closing events of an op that reported by upload; every such op ends with `yield from` this.

    They let the ops downstream in the same run start, and record nothing further.
    """
    selected = context.op_execution_context.selected_output_names
    for output in context.op_execution_context.op_def.output_defs:
        if output.name in selected:
            yield Output(None, output_name=output.name, metadata=_ALREADY_REPORTED)


def _newest_materialization(
    instance: DagsterInstance, asset: AssetKey, upload: str | None
) -> AssetCheckEvaluationTargetMaterializationData | None:
    """What a check result points to: without it, Dagster takes the check of that upload as not evaluated."""
    partitions = None if upload is None else [upload]
    found = instance.fetch_materializations(
        AssetRecordsFilter(asset_key=asset, asset_partitions=partitions), limit=1
    ).records
    if not found:
        return None
    return AssetCheckEvaluationTargetMaterializationData(
        run_id=found[0].run_id, storage_id=found[0].storage_id, timestamp=found[0].timestamp
    )
