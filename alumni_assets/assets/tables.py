"""The tables below the approval: deduplicated_survey, alumni_history, the answers and verdicts, published_survey.

They have no partitions: each brings the warehouse in line with what the register says counts, touching only
what changed. They follow by themselves once an upload is transformed; see `automation.py`.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    MaterializeResult,
    MetadataValue,
    TableRecord,
    asset,
)

from alumni_assets import automation, checks, presentation, table_checks
from alumni_assets.assets import common
from alumni_assets.assets.set_aside import corrections_to_report, set_aside_state
from alumni_assets.assets.waiting import report_waiting
from alumni_assets.queries import ANSWERS, SUPPLEMENTS, VERDICTS
from alumni_assets.resources.engine import EngineResource
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.resources.warehouse import WarehouseError, WarehouseResource, WarehouseUnreadableError
from alumni_assets.stages.engine import Counting, Engine, EngineError
from alumni_assets.survey.quarantine import Quarantine, corrections_by_upload
from alumni_assets.survey.standing import Facts, standings
from alumni_assets.warehouse.answers import refresh_answer, refresh_verdicts
from alumni_assets.warehouse.derivation import RowsOf
from alumni_assets.warehouse.merging import (
    MergeReport,
    merge_uploads,
    merged_uploads,
    replace_approvals,
    replace_uploads,
)
from alumni_assets.warehouse.tables import TABLES, Table, count_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SHOWN_ROWS = 20
_ALUMNI_CHECKS = {
    table_checks.IDS_UNIQUE: "Each alumnus has one row.",
    table_checks.EVERY_ALUMNUS_PRESENT: "Every alumnus of every upload that counts is there, and no other.",
    table_checks.NEWEST_WINS: "Each alumnus' row is the newest of their submissions.",
}


def _columns(table: Table) -> dict[str, Any]:
    return {
        "dagster/column_schema": presentation.column_schema(
            [(column.name, column.type, column.description) for column in table.columns]
        )
    }


@asset(
    deps=[AssetKey("transformed_survey")],
    group_name=common.TABLES,
    owners=common.OWNERS,
    tags=common.TAGS,
    kinds={"duckdb", "sql"},
    code_version=common.CODE_VERSION,
    pool=common.WAREHOUSE,
    metadata=_columns(TABLES["alumni"]),
    automation_condition=automation.FOLLOWS_UPLOADS,
    check_specs=[
        AssetCheckSpec(name, asset="deduplicated_survey", description=description, blocking=True)
        for name, description in _ALUMNI_CHECKS.items()
    ],
)
def deduplicated_survey(
    context: AssetExecutionContext,
    lake: LakeResource,
    survey: SurveyResource,
    warehouse: WarehouseResource,
    engine: EngineResource,
) -> Iterator[MaterializeResult]:
    """One row per alumnus over the uploads that count: the newest submission wins.

    Table `alumni`, made from `survey_responses`. Only the alumni of uploads that came or went are decided anew.
    """
    from alumni_assets.stages.transformation import transformed_rows  # imports Arrow

    objects = lake.lake(Component.WAREHOUSE)
    facts = survey.register_of(objects).facts()
    counting = {upload: facts.transformed[upload] for upload, standing in standings(facts).items() if standing.counts}
    corrections = [some for ordered in corrections_by_upload(facts).values() for some in ordered if some in counting]
    versions = {upload: transformed.content for upload, transformed in counting.items()}
    rows = {upload: transformed.rows for upload, transformed in counting.items()}
    started = time.monotonic()
    with engine.opened(context, lake, survey, Component.WAREHOUSE) as opened:
        derivation = opened.derive(lambda: Counting(versions, corrections))

    def merge() -> tuple[MergeReport, Mapping[str, checks.Outcome]]:
        with warehouse.writing() as connection, derivation.on(connection) as rows_of:
            merged = merge_uploads(
                connection, versions, lambda upload: transformed_rows(objects, counting[upload]), corrections, rows_of
            )
            return merged, table_checks.of_alumni(connection, rows)

    try:
        report, outcomes = merge()
    except WarehouseUnreadableError as error:
        context.log.warning(f"{error} That is done now.")
        report, outcomes = merge()
    context.log.info(f"{report.added:,} rows came, {report.removed:,} went, {report.alumni:,} alumni now")
    yield MaterializeResult(
        metadata=presentation.speed(report.alumni, time.monotonic() - started)
        | _merge_metadata(report)
        | {"uploads_that_count": len(counting), "path": MetadataValue.path(str(warehouse.path))},
        check_results=[_check_result(name, outcome) for name, outcome in outcomes.items()],
    )


def _merge_metadata(report: MergeReport) -> dict[str, Any]:
    return {
        "dagster/row_count": report.alumni,
        "responses": report.responses,
        "rows_added": report.added,
        "rows_removed": report.removed,
        "alumni_reconsidered": report.touched,
    }


@asset(
    deps=[AssetKey("deduplicated_survey")],
    group_name=common.TABLES,
    owners=common.OWNERS,
    tags=common.TAGS,
    kinds={"duckdb", "sql"},
    code_version=common.CODE_VERSION,
    pool=common.WAREHOUSE,
    metadata=_columns(TABLES["alumni_history"]),
    automation_condition=automation.FOLLOWS_TABLES,
    check_specs=[
        AssetCheckSpec(
            table_checks.LAST_IS_CURRENT,
            asset="alumni_history",
            description="Each alumnus' last period is their row in alumni, and the periods follow on each other.",
        )
    ],
)
def alumni_history(
    context: AssetExecutionContext,
    lake: LakeResource,
    survey: SurveyResource,
    warehouse: WarehouseResource,
    engine: EngineResource,
) -> MaterializeResult:
    """One row per alumnus and period, from every submission: what they answered, from when until when.

    Table `alumni_history`. Only the alumni of uploads that came or went are looked at anew.
    """
    from alumni_assets.warehouse.history import refresh_history  # imports Arrow

    started = time.monotonic()
    with (
        engine.opened(context, lake, survey, Component.WAREHOUSE) as opened,
        _merged(opened, lake, survey, warehouse) as (connection, rows_of),
    ):
        report = refresh_history(connection, survey.contract().rules.time_zone, rows_of)
    with warehouse.writing() as connection:  # what is not committed yet takes up memory that the check needs
        outcome = table_checks.last_is_current(connection)
    return MaterializeResult(
        metadata=presentation.speed(report.periods, time.monotonic() - started)
        | {
            "dagster/row_count": report.periods,
            "alumni_reconsidered": report.reconsidered,
            "path": str(warehouse.path),
        },
        check_results=[_check_result(table_checks.LAST_IS_CURRENT, outcome)],
    )


def _answer_asset(name: str) -> AssetsDefinition:
    table = TABLES[name]
    subject = "department" if name == "top_employees" else "alumnus"
    description = f"The answer accounts for every {subject}."

    @asset(
        name=name,
        deps=[AssetKey(above) for above in _ABOVE.get(name, ("deduplicated_survey",))],
        description=table.description,
        group_name=common.ANSWERS,
        owners=common.OWNERS,
        tags=common.TAGS,
        kinds={"duckdb", "sql"},
        code_version=common.CODE_VERSION,
        pool=common.WAREHOUSE,
        metadata=_columns(table),
        automation_condition=automation.FOLLOWS_TABLES,
        check_specs=[AssetCheckSpec(check, asset=name, description=description) for check in _answer_checks(name)],
    )
    def answer(
        context: AssetExecutionContext,
        lake: LakeResource,
        survey: SurveyResource,
        warehouse: WarehouseResource,
        engine: EngineResource,
    ) -> MaterializeResult:
        started = time.monotonic()
        with (
            engine.opened(context, lake, survey, Component.WAREHOUSE) as opened,
            _merged(opened, lake, survey, warehouse) as (connection, rows_of),
        ):
            if name == VERDICTS:
                changed = refresh_verdicts(connection, survey.contract().rules.answers.compare_from)
            else:
                changed = refresh_answer(connection, name, rows_of)
            rows = count_rows(connection, name)
            shown = _first_rows(connection, table)
            outcomes = {check: table_checks.reconciles(connection, name) for check in _answer_checks(name)}
            results = [_check_result(check, outcome) for check, outcome in outcomes.items()]
        return MaterializeResult(
            metadata=presentation.speed(rows, time.monotonic() - started)
            | {"dagster/row_count": rows, "changed": changed, "path": str(warehouse.path)}
            | shown,
            check_results=results,
        )

    return answer


def _answer_checks(name: str) -> list[str]:
    return [table_checks.RECONCILES] if name in ANSWERS else []


def _first_rows(connection: "DuckDBPyConnection", table: Table) -> dict[str, Any]:
    """Metadata that shows a table's first rows; none where it has none."""
    names = [column.name for column in table.columns]
    rows = connection.execute(f"SELECT {table.column_list} FROM {table.name} LIMIT {_SHOWN_ROWS}").fetchall()
    shown = presentation.preview(dict(zip(names, row, strict=True)) for row in rows)
    return {"answer": shown} if shown else {}


@contextmanager
def _merged(
    engine: Engine, lake: LakeResource, survey: SurveyResource, warehouse: WarehouseResource
) -> Iterator[tuple["DuckDBPyConnection", RowsOf]]:
    """The warehouse, and where the rows of tables come from that are made of the uploads that are merged in it."""
    wanted: dict[str, str] = {}
    register = survey.register_of(lake.lake(Component.WAREHOUSE))

    def counting() -> Counting:
        with warehouse.writing() as connection:
            wanted.update(merged_uploads(connection))
        ordered = corrections_by_upload(register.facts()).values()
        return Counting(wanted, [some for corrections in ordered for some in corrections if some in wanted])

    derivation = engine.derive(counting)
    with warehouse.writing() as connection, derivation.on(connection) as rows_of:
        if wanted and wanted != merged_uploads(connection):
            raise EngineError("Uploads were merged while the tables were made. Materialize this again.")
        if not merged_uploads(connection):
            _require_tables(connection, register.facts(), ["alumni"])
        yield connection, rows_of


def _require_tables(connection: "DuckDBPyConnection", facts: Facts, names: Sequence[str]) -> None:
    """Raise `WarehouseError` where tables that must have rows have none: they are not made again yet after a loss."""
    if not any(facts.transformed[upload].rows for upload, standing in standings(facts).items() if standing.counts):
        return
    if empty := [name for name in names if not count_rows(connection, name)]:
        raise WarehouseError(
            f"The warehouse was begun anew, and has no rows yet in {', '.join(empty)}. Materialize "
            "deduplicated_survey and everything below it, or call `alumni run`: all is made again from the lake."
        )


def _check_result(name: str, outcome: checks.Outcome) -> AssetCheckResult:
    return AssetCheckResult(
        passed=outcome.passed, check_name=name, description=outcome.description, metadata=outcome.metadata
    )


# What an answer is made from, where that is not the deduplicated table alone.
_ABOVE = {
    "top_employees_cut": ("top_employees",),
    "job_moves": ("alumni_history",),
    VERDICTS: (
        "degree_performance",
        "campus_excellence",
        "department_employment",
        "job_roles",
        "top_employees_cut",
    ),
}
ANSWER_ASSETS = [_answer_asset(name) for name in (*ANSWERS, *SUPPLEMENTS)]


_PUBLISHED_FROM = ("raw_survey", "invalid_survey", "deduplicated_survey", "alumni_history")


@asset(
    deps=[AssetKey(name) for name in (*_PUBLISHED_FROM, *ANSWERS, *SUPPLEMENTS)],
    group_name=common.PUBLICATION,
    owners=common.OWNERS,
    tags=common.TAGS,
    kinds={"duckdb", "parquet"},
    code_version=common.CODE_VERSION,
    pool=common.WAREHOUSE,
    automation_condition=automation.FOLLOWS_EVERYTHING,
)
def published_survey(
    context: AssetExecutionContext, lake: LakeResource, survey: SurveyResource, warehouse: WarehouseResource
) -> Iterator[Any]:
    """All tables as files under published/, for the dashboard, Power BI and notebooks.

    `alumni.duckdb` holds one consistent state; each table is a Parquet file too. Only what changed is written, and
    nothing while the warehouse is not made again yet after a loss.
    """
    from alumni_assets.publishing import FOLDER, has_published_rows, publish  # imports Arrow, like the next
    from alumni_assets.stages.quarantine import stored_tables
    from alumni_assets.stages.uploads_table import approvals_table, uploads_table
    from alumni_assets.warehouse.quarantine import mark_told, merge_quarantine, untold

    objects = lake.lake(Component.WAREHOUSE)
    register = survey.register_of(objects)
    facts = register.facts()
    started = time.monotonic()
    with warehouse.writing() as connection:
        # The first uploads may be approved and not merged yet; with nothing to keep, readers are told so.
        if count_rows(connection, "alumni") or has_published_rows(objects, "alumni"):
            _require_tables(connection, facts, ["alumni", "alumni_history", *ANSWERS])
        quarantine = Quarantine(facts, standings(facts)).all()
        merged = merge_quarantine(connection, quarantine, stored_tables(objects))
        to_tell = untold(connection)
        replace_uploads(connection, uploads_table(facts))
        replace_approvals(connection, approvals_table(facts))
        rows = {name: count_rows(connection, name) for name in TABLES}
    context.log.info(
        f"{merged.rows:,} rows were set aside so far; uploads with such rows: {len(merged.added):,} came, "
        f"{len(merged.changed):,} changed, {len(merged.gone):,} went"
    )
    publication = publish(warehouse, objects, datetime.now(UTC))
    for upload in to_tell:
        for concerned in (upload, *corrections_to_report(facts, upload)):
            yield from set_aside_state(objects, facts, concerned, survey.memory_limit).check(context)
    report_waiting(context.instance, register)
    if to_tell:  # only now: what a killed run has not reported, the next one does
        with warehouse.writing() as connection:
            mark_told(connection, to_tell)
    yield MaterializeResult(
        metadata={
            "generation": publication.generation,
            "tables_written": ", ".join(publication.tables) or "none: nothing changed",
            "tables": MetadataValue.table(
                [TableRecord({"table": name, "rows": count}) for name, count in rows.items()]
            ),
            "seconds": round(time.monotonic() - started, 3),
            "path": MetadataValue.path(objects.url(FOLDER)),
        }
    )
