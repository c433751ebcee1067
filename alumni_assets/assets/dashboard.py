"""alumni_dashboard: the page in published/, made from the published tables. What it shows is in `dashboard/`."""

import time
from datetime import timedelta

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    FreshnessPolicy,
    MaterializeResult,
    MetadataValue,
    asset,
)

from alumni_assets import automation, presentation
from alumni_assets.assets import common
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource


def alumni_dashboard_asset(address: str, stale_after: timedelta) -> AssetsDefinition:
    """The asset; `address` is where `alumni dashboard` serves the page, for the link in the UI.

    Dagster calls it stale when the page itself does: when it was not made for so long.
    """

    @asset(
        deps=[AssetKey("published_survey")],
        group_name=common.PUBLICATION,
        owners=common.OWNERS,
        tags=common.TAGS,
        kinds={"html"},
        code_version=common.CODE_VERSION,
        pool=common.WAREHOUSE,
        automation_condition=automation.FOLLOWS_TABLES,
        freshness_policy=FreshnessPolicy.time_window(fail_window=stale_after),
    )
    def alumni_dashboard(
        context: AssetExecutionContext, lake: LakeResource, survey: SurveyResource
    ) -> MaterializeResult:
        """The five answers with what may be said of them, as one self-contained page: `published/dashboard.html`.

        `dashboard_public.html` beside it names nobody, and tells nothing of groups that are too small.
        """
        from alumni_assets.dashboard.cards import cards  # imports Altair, like the next
        from alumni_assets.dashboard.keeping import PAGE_KEY, PUBLIC_PAGE_KEY, keep_page
        from alumni_assets.stages.approval import waiting

        objects, rules = lake.lake(Component.WAREHOUSE), survey.contract().rules
        started = time.monotonic()
        kept = keep_page(objects, rules, len(waiting(survey.register_of(objects).facts())))
        context.log.info("The page was written anew." if kept.is_new else "The page shows these figures already.")
        shown = cards(kept.figures, kept.previous, rules.answers.compare_from, names_people=True)
        return MaterializeResult(
            metadata={
                "preview": MetadataValue.md(
                    presentation.markdown_list((card.question, f"{card.headline}.") for card in shown)
                ),
                "page": MetadataValue.url(address),
                "file": MetadataValue.path(objects.url(PAGE_KEY)),
                "public_edition": MetadataValue.path(objects.url(PUBLIC_PAGE_KEY)),
                "open_with": MetadataValue.text("alumni dashboard"),
                "generation": kept.figures.generation,
                "size_bytes": kept.size,
                "seconds": round(time.monotonic() - started, 3),
            }
        )

    return alumni_dashboard
