"""The supervised step: transformed_survey. Only a person, `alumni run --approve` or the policy starts it."""

from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetCheckKey,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    Config,
    Failure,
    MetadataValue,
    multi_asset,
)
from pydantic import Field

from alumni_assets import checks, layout, presentation, reporting
from alumni_assets.assets import common
from alumni_assets.contract import TRANSFORMED_SCHEMA
from alumni_assets.register import Register
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages import approval
from alumni_assets.stages.intake import utc_now
from alumni_assets.stages.transformation import transform_upload
from alumni_assets.survey.standing import Decision, Transformed

TRANSFORMED = AssetKey("transformed_survey")
_ACCOUNTED = AssetCheckKey(TRANSFORMED, checks.ROWS_ACCOUNTED_FOR)
_SCHEMA = AssetCheckKey(TRANSFORMED, checks.SCHEMA_HOLDS)
_DESCRIPTION = """The upload's rows, cleaned: the one step that a person starts.

Materializing this for an upload **approves** it: its valid rows then count in every table and answer. Look at
the checks of validated_survey and invalid_survey first. In the dialog, `approved_by` is your name (it must not be
empty) and `note` is free. An upload whose blocking check failed is refused, unless `override_reason` says why it
is to be taken all the same. `alumni withdraw` takes an approved upload out again."""


def transformed_survey_asset(approver: str) -> AssetsDefinition:
    """The asset; `approver` is the default of `approved_by` in the UI's dialog."""

    class ApprovalConfig(Config):
        """Who approves, and why."""

        approved_by: str = Field(default=approver, description="Your name.")
        note: str = Field(default="", description="Anything that should be remembered.")
        override_reason: str = Field(
            default="", description="Why the upload is taken although a blocking check failed."
        )
        uploads: list[str] = Field(default=[], description="Leave empty: the chosen partitions.")

    @multi_asset(
        name="approve_and_transform",
        specs=[
            common.upload_spec(
                "transformed_survey",
                common.SUPERVISED,
                _DESCRIPTION,
                deps=["validated_survey"],
                kinds={"parquet", "pandas"},
                metadata=common.arrow_columns(TRANSFORMED_SCHEMA),
            )
        ],
        check_specs=[
            reporting.upload_check(
                checks.ROWS_ACCOUNTED_FOR,
                TRANSFORMED,
                "Every valid row is stored as transformed, or was dropped as an exact duplicate.",
            ),
            reporting.upload_check(
                checks.SCHEMA_HOLDS,
                TRANSFORMED,
                "The rows as stored have the contract's types, vocabularies and spellings.",
            ),
        ],
    )
    def approve_and_transform(
        context: AssetExecutionContext, config: ApprovalConfig, lake: LakeResource, survey: SurveyResource
    ) -> Iterator[Any]:
        """Approve and transform each upload of the run; one that may not be approved is skipped."""
        request = approval.Request(config.approved_by, config.note, config.override_reason)
        uploads = common.uploads_of_run(context, config.uploads)
        register = survey.register_of(lake.lake())
        refused: dict[str, str] = {}
        for upload in uploads:
            try:
                decision = approval.approve(lake.lake(), register, upload, request)
            except approval.ApprovalRefusedError as refusal:
                refused[upload] = str(refusal)
                context.log.warning(f"Skipped: {refusal}")
                continue
            yield from _transform(context, lake.lake(), register, survey, decision)
        if refused and len(refused) == len(uploads):
            raise Failure(next(iter(refused.values())), metadata=_refusals(refused), allow_retries=False)
        yield from reporting.finish_step(context)

    return approve_and_transform


def _transform(
    context: AssetExecutionContext, lake: Lake, register: Register, survey: SurveyResource, decision: Decision
) -> Iterator[Any]:
    upload, contract = decision.upload, survey.contract()
    seen = register.find_seen(upload)
    assert seen is not None, "an approved upload was seen"
    result = transform_upload(lake, seen, contract, survey.memory_limit, common.progress_log(context, upload))
    if result.source != decision.content:
        raise approval.ApprovalRefusedError(
            f"The valid rows of {upload} are not the ones that were approved. Materialize validated_survey for it "
            "again and approve that."
        )
    earlier = register.find_transformed(upload)
    outcomes = {
        _ACCOUNTED: checks.transformed_rows_accounted_for(lake, upload, result),
        _SCHEMA: checks.transformed_schema_holds(lake, upload, contract),
    }
    if all(outcome.passed for outcome in outcomes.values()) and (
        earlier is None or (earlier.source, earlier.content) != (result.source, result.content)
    ):
        register.enter_transformed(
            Transformed(upload, result.source, result.content, result.rows, result.exact_duplicates, utc_now())
        )
    yield reporting.report_materialization(
        TRANSFORMED,
        upload,
        presentation.speed(result.rows, result.seconds)
        | {
            "exact_duplicates": result.exact_duplicates,
            "dagster/row_count": result.rows,
            "path": MetadataValue.path(lake.url(layout.transformed_key(upload))),
            "approved_by": presentation.shown(decision.by),
            "approved_at": f"{decision.at:%Y-%m-%d %H:%M:%S} UTC",
            "note": presentation.shown(decision.note),
            "override_reason": presentation.shown(decision.override),
            "approved_content": decision.content,
            "approved_rows": decision.rows,
            "approved_invalid_share": round(decision.invalid_share, 4),
        }
        | ({"preview": preview} if (preview := presentation.preview(result.preview)) else {}),
        data_version=result.content,
    )
    for check, outcome in outcomes.items():
        yield reporting.report_check(context, check, upload, outcome.passed, outcome.description, outcome.metadata)


def _refusals(refused: dict[str, str]) -> dict[str, str]:
    return {presentation.shown(upload): reason for upload, reason in refused.items()}
