"""The archive: archived_survey, a verified copy of each approved upload and of its transformed rows."""

from collections.abc import Iterator
from typing import Any

from dagster import AssetCheckKey, AssetExecutionContext, AssetKey, Config, MetadataValue, multi_asset
from pydantic import Field

from alumni_assets import checks, reporting
from alumni_assets.assets import common
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages.archive import UNVERIFIABLE, archive_upload, damaged_copies, seal_archive

ARCHIVED = AssetKey("archived_survey")
_VERIFIED = AssetCheckKey(ARCHIVED, checks.COPIES_VERIFIED)


class ArchiveConfig(Config):
    """Which uploads a run archives. In the UI leave it empty: the chosen partitions."""

    uploads: list[str] = Field(default=[], description="Uploads that are transformed.")


@multi_asset(
    name="archive",
    specs=[
        common.upload_spec(
            "archived_survey",
            common.SUPERVISED,
            "The upload's original and its transformed rows under archive/DATE/, with a manifest of checksums.",
            deps=["transformed_survey"],
            kinds={"parquet"},
        )
    ],
    check_specs=[
        reporting.upload_check(
            checks.COPIES_VERIFIED,
            ARCHIVED,
            "The archived copies have the checksums of their sources.",
            blocking=False,
        )
    ],
)
def archive(
    context: AssetExecutionContext, config: ArchiveConfig, lake: LakeResource, survey: SurveyResource
) -> Iterator[Any]:
    """Archive each upload of the run that was transformed; what Dagster was not told of counts as not done."""
    register = survey.register_of(lake.lake(Component.ARCHIVE))

    def archived(upload: str) -> Iterator[Any]:
        seen, transformed = register.find_seen(upload), register.find_transformed(upload)
        if seen is None or transformed is None:
            context.log.warning(f"Skipped: {upload} is not transformed, so there is nothing to archive.")
            return
        folder, copies = archive_upload(lake.lake(Component.ARCHIVE), seen, transformed, lake.archive_class)
        damaged = damaged_copies(lake.lake(Component.ARCHIVE), copies)
        outcome = checks.copies_verified(len(copies), damaged)
        yield reporting.report_materialization(
            ARCHIVED,
            upload,
            {
                "path": MetadataValue.path(lake.lake(Component.ARCHIVE).url(folder)),
                "files": len(copies),
                "bytes": sum(copy.size for copy in copies),
            },
            data_version=transformed.content,
        )
        yield from reporting.report_checks(context, upload, {_VERIFIED: outcome})
        if set(damaged.values()) <= {UNVERIFIABLE}:  # what is damaged counts as not archived, and is archived again
            seal_archive(lake.lake(Component.ARCHIVE), seen, folder, copies)

    yield from common.one_by_one(context, common.uploads_of_run(context, config.uploads), archived, "archived")
