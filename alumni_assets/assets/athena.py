"""athena_views: the tables below the approval as views in Athena. Only there is with `ALUMNI_WAREHOUSE=athena`.

Whatever else is made from the tables is made from the warehouse and from `published/`, not from Athena.
"""

import time

from dagster import AssetCheckResult, AssetCheckSpec, AssetExecutionContext, AssetKey, MaterializeResult, asset

from alumni_assets import automation
from alumni_assets.assets import common
from alumni_assets.queries import ANSWERS, SUPPLEMENTS, VERDICTS
from alumni_assets.resources.athena import AthenaResource
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.survey.quarantine import corrections_by_upload

_VIEWS_AGREE = "views_agree"
_MADE_FROM = ("deduplicated_survey", "alumni_history", *(name for name in (*ANSWERS, *SUPPLEMENTS) if name != VERDICTS))


@asset(
    deps=[AssetKey(name) for name in _MADE_FROM],
    group_name=common.PUBLICATION,
    owners=common.OWNERS,
    tags=common.TAGS,
    kinds={"athena", "sql"},
    code_version=common.CODE_VERSION,
    pool=common.WAREHOUSE,
    automation_condition=automation.FOLLOWS_TABLES,
    check_specs=[
        AssetCheckSpec(
            _VIEWS_AGREE, asset="athena_views", description="Each view in Athena says what the warehouse's table says."
        )
    ],
)
def athena_views(
    context: AssetExecutionContext,
    lake: LakeResource,
    survey: SurveyResource,
    warehouse: WarehouseResource,
    athena: AthenaResource,
) -> MaterializeResult:
    """The tables of alumni and answers as views in Athena, over transformed/ in the lake.

    The same SQL as the warehouse's, by CREATE OR REPLACE VIEW. Intervals and verdicts are no SQL: published/ has them.
    """
    from alumni_assets.athena.views import differing_views, refresh_views, warehoused  # imports Arrow

    started = time.monotonic()
    objects = lake.lake(Component.WAREHOUSE)
    corrections = [
        some for ordered in corrections_by_upload(survey.register_of(objects).facts()).values() for some in ordered
    ]
    with warehouse.writing() as connection:
        holds = warehoused(connection)
    refresh_views(athena, objects, holds, corrections, survey.contract().rules.time_zone)
    differing = differing_views(athena, holds)
    context.log.info(f"{len(holds.relations)} views in Athena, of the rows of {len(holds.uploads):,} uploads")
    return MaterializeResult(
        metadata={
            "workgroup": athena.workgroup,
            "database": athena.database,
            "views": ", ".join(holds.relations),
            "uploads_that_count": len(holds.uploads),
            "seconds": round(time.monotonic() - started, 3),
        },
        check_results=[
            AssetCheckResult(passed=not differing, check_name=_VIEWS_AGREE, description=_in_words(differing))
        ],
    )


def _in_words(differing: list[str]) -> str:
    if not differing:
        return "Every view says what the warehouse's table of that name says."
    return (
        f"These views have other rows than the warehouse: {', '.join(differing)}. Materialize deduplicated_survey, "
        "then athena_views; if they still differ, rows in transformed/ are not the ones that were merged."
    )
