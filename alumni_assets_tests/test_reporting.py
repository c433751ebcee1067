"""Dagster's default event store while a step keeps its files open: the same events, at fewer openings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._core.utils import make_new_run_id

from alumni_assets import reporting

ASSET = dg.AssetKey("numbered")
UPLOADS = [str(number) for number in range(20)]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def _run(instance: DagsterInstance, within: Callable[[dg.AssetExecutionContext], None] = lambda _: None) -> bool:
    """Report every upload in one step, with `within` called at its end while the files are open."""

    @dg.multi_asset(specs=[dg.AssetSpec(ASSET, partitions_def=reporting.UPLOADS, skippable=True)])
    def numbered(context: dg.AssetExecutionContext) -> Iterator[Any]:
        with reporting.event_store_kept_open(context.instance, context.run.run_id):
            for upload in UPLOADS:
                yield reporting.report_materialization(ASSET, upload)
            within(context)
            yield from reporting.finish_step(context)

    return dg.materialize([numbered], instance=instance, raise_on_error=False).success


def _reported(instance: DagsterInstance) -> list[str | None]:
    records = instance.fetch_materializations(ASSET, limit=100, ascending=True).records
    return [record.partition_key for record in records]


def _openings(instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that the store opens from now on."""
    opened: list[str] = []
    store = instance.event_log_storage
    connect = store._connect  # type: ignore[attr-defined]

    @contextmanager
    def counted(shard: str) -> Iterator[Any]:
        opened.append(shard)
        with connect(shard) as connection:
            yield connection

    monkeypatch.setattr(store, "_connect", counted)
    return opened


def test_every_event_is_recorded_in_its_order(instance: DagsterInstance) -> None:
    assert _run(instance)
    assert _reported(instance) == UPLOADS


def test_the_files_are_not_opened_for_each_event(instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = _openings(instance, monkeypatch)
    before_the_end: list[int] = []
    assert _run(instance, lambda _: before_the_end.append(len(opened)))
    assert before_the_end[0] < len(UPLOADS)


def test_a_run_that_is_about_to_begin_can_have_its_files_kept_open(instance: DagsterInstance) -> None:
    @dg.asset
    def one() -> None: ...

    run_id = make_new_run_id()
    with reporting.event_store_kept_open(instance, run_id):
        result = (
            dg.Definitions([one])
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(instance=instance, run_id=run_id)
        )
    assert result.success
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.is_success
    assert instance.get_latest_materialization_event(dg.AssetKey("one")) is not None


def test_an_event_is_there_for_others_as_soon_as_it_is_reported(instance: DagsterInstance, tmp_path: Path) -> None:
    seen: list[list[str | None]] = []

    def look(_: dg.AssetExecutionContext) -> None:
        with DagsterInstance.local_temp(str(tmp_path)) as other:
            seen.append(_reported(other))

    assert _run(instance, look)
    assert seen == [UPLOADS]


def test_another_thread_may_report_meanwhile(instance: DagsterInstance) -> None:
    def report(_: dg.AssetExecutionContext) -> None:
        event = dg.AssetMaterialization(ASSET, partition="from a thread")
        thread = Thread(target=instance.report_runless_asset_event, args=(event,))
        thread.start()
        thread.join(timeout=30)

    assert _run(instance, report)
    assert _reported(instance) == [*UPLOADS, "from a thread"]


def test_a_step_that_breaks_leaves_the_store_as_it_was(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = _openings(instance, monkeypatch)

    def breaks(_: dg.AssetExecutionContext) -> None:
        raise ValueError("broken")

    assert not _run(instance, breaks)
    assert _reported(instance) == UPLOADS
    opened.clear()
    instance.report_runless_asset_event(dg.AssetMaterialization(ASSET, partition="afterwards"))
    assert opened


def test_other_stores_are_left_alone() -> None:
    with DagsterInstance.ephemeral() as instance:
        assert _run(instance)
        assert len(_reported(instance)) == len(UPLOADS)
