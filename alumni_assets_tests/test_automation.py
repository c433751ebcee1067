"""The automation conditions, on a graph of the project's shape: which assets a tick requests, and which not."""

from collections.abc import Callable, Iterator

import pytest
from dagster import (
    AssetExecutionContext,
    AssetSpec,
    Config,
    DagsterInstance,
    Definitions,
    asset,
    define_asset_job,
    evaluate_automation_conditions,
    in_process_executor,
    materialize,
    multi_asset,
)
from pydantic import Field

from alumni_assets import automation, reporting

UPLOADS = ("a.csv@00000001", "b.csv@00000002", "c.csv@00000003")
CHAIN = {"deduplicated_survey", "degree_performance", "published_survey"}


class _Chosen(Config):
    uploads: list[str] = Field(default=[])


def _by_upload(name: str, deps: tuple[str, ...] = (), **more: object) -> object:
    @multi_asset(
        name=f"make_{name}",
        specs=[AssetSpec(name, deps=deps, partitions_def=reporting.UPLOADS, skippable=True, **more)],
    )
    def make(context: AssetExecutionContext, config: _Chosen) -> Iterator[object]:
        for upload in config.uploads:
            yield reporting.report_materialization(name, upload)
        yield from reporting.finish_step(context)

    return make


def _table(name: str, deps: tuple[str, ...], condition: object) -> object:
    @asset(name=name, deps=deps, automation_condition=condition)
    def make() -> None:
        pass

    return make


_APPROVE = define_asset_job("approve", ["transformed_survey", *CHAIN])
_ASSETS = {
    made.key.to_user_string(): made
    for made in (
        _by_upload("raw_survey"),
        _by_upload("transformed_survey"),
        _table("deduplicated_survey", ("transformed_survey",), automation.FOLLOWS_UPLOADS),
        _table("degree_performance", ("deduplicated_survey",), automation.FOLLOWS_TABLES),
        _table(
            "published_survey",
            ("deduplicated_survey", "degree_performance", "raw_survey"),
            automation.FOLLOWS_EVERYTHING,
        ),
    )
}
_DEFS = Definitions(assets=list(_ASSETS.values()), jobs=[_APPROVE], executor=in_process_executor)


class Daemon:
    """Stands for Dagster's daemon: evaluates a tick, and runs what it requested when told to."""

    def __init__(self, instance: DagsterInstance) -> None:
        self.instance = instance
        self._cursor = None
        instance.add_dynamic_partitions("uploads", list(UPLOADS))

    def tick(self) -> set[str]:
        result = evaluate_automation_conditions(_DEFS, self.instance, cursor=self._cursor)
        self._cursor = result.cursor
        return {item.key.to_user_string() for item in result.results if not item.true_subset.is_empty}

    def tick_while(self, happens: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> set[str]:
        """A tick that begins, and evaluates the conditions only after something happened."""
        store = self.instance.event_log_storage
        newest = store.get_maximum_record_id

        def newest_before() -> int | None:
            begun_with = newest()
            happens()
            return begun_with

        with monkeypatch.context() as patch:
            patch.setattr(store, "get_maximum_record_id", newest_before)
            return self.tick()

    def made(self, name: str, upload: str | None = None) -> None:
        config = {"ops": {f"make_{name}": {"config": {"uploads": [upload]}}}} if upload else {}
        materialize([_ASSETS[name]], instance=self.instance, run_config=config)

    def approved(self, *uploads: str) -> None:
        """A run that approves uploads, and renews everything below them itself."""
        chosen = {"config": {"uploads": list(uploads)}}
        _DEFS.resolve_job_def("approve").execute_in_process(
            instance=self.instance,
            run_config={"ops": {"make_transformed_survey": chosen}},
            tags={**automation.RENEWS_BELOW_TAGS, "dagster/partition": uploads[0]},
        )

    def made_chain(self) -> None:
        """The tables were published once, as after the first upload."""
        materialize([_ASSETS[name] for name in sorted(CHAIN)], instance=self.instance)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with DagsterInstance.ephemeral() as instance:
        started = Daemon(instance)
        started.made_chain()
        assert started.tick() == set()
        yield started


def test_quiet_ticks_request_nothing(daemon: Daemon) -> None:
    assert [daemon.tick() for _ in range(3)] == [set()] * 3


def test_an_approval_requests_the_whole_chain_once(daemon: Daemon) -> None:
    daemon.made("transformed_survey", UPLOADS[0])
    assert daemon.tick() == CHAIN
    assert daemon.tick() == set()


def test_an_upload_that_is_missing_above_holds_nothing_up(daemon: Daemon) -> None:
    daemon.made("raw_survey", UPLOADS[1])
    daemon.made("transformed_survey", UPLOADS[0])
    assert daemon.tick() == CHAIN


def test_an_ingested_upload_requests_the_publication_alone(daemon: Daemon) -> None:
    daemon.made("raw_survey", UPLOADS[0])
    assert daemon.tick() == {"published_survey"}
    assert daemon.tick() == set()


def test_an_approval_just_after_a_request_is_not_lost(daemon: Daemon) -> None:
    daemon.made("transformed_survey", UPLOADS[0])
    daemon.tick()
    daemon.made("transformed_survey", UPLOADS[1])
    assert "deduplicated_survey" in daemon.tick()


def test_an_upload_ingested_just_after_a_publication_was_requested_is_not_lost(daemon: Daemon) -> None:
    daemon.made("raw_survey", UPLOADS[0])
    daemon.tick()
    daemon.made("raw_survey", UPLOADS[1])
    assert daemon.tick() == {"published_survey"}


def test_a_chain_that_was_made_is_no_news_to_itself(daemon: Daemon) -> None:
    daemon.made("transformed_survey", UPLOADS[0])
    daemon.tick()
    _DEFS.resolve_job_def("approve").execute_in_process(
        instance=daemon.instance, tags={**automation.RENEWS_BELOW_TAGS, "dagster/partition": UPLOADS[0]}
    )
    assert daemon.tick() == set()


def test_a_run_that_renews_everything_below_is_no_news(daemon: Daemon) -> None:
    daemon.approved(*UPLOADS)
    assert [daemon.tick() for _ in range(2)] == [set()] * 2


def test_a_run_that_renews_everything_below_is_no_news_while_a_tick_looks_at_it(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it reports after the tick's newest event is another tick's: Dagster asks for its tags only up to there."""
    assert daemon.tick_while(lambda: daemon.approved(*UPLOADS), monkeypatch) == set()
    assert daemon.tick() == set()


def test_an_upload_that_comes_while_a_tick_looks_is_news_to_the_next(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    during = daemon.tick_while(lambda: daemon.made("raw_survey", UPLOADS[0]), monkeypatch)
    assert (during, daemon.tick(), daemon.tick()) == (set(), {"published_survey"}, set())


def test_nothing_ever_requests_the_approval(daemon: Daemon) -> None:
    daemon.made("raw_survey", UPLOADS[0])
    daemon.made("transformed_survey", UPLOADS[0])
    requested = daemon.tick() | daemon.tick()
    assert "transformed_survey" not in requested
