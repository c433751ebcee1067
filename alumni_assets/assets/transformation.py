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
from alumni_assets.contract import TRANSFORMED_COLUMNS
from alumni_assets.register import Register
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages import approval
from alumni_assets.stages.intake import utc_now
from alumni_assets.survey.standing import Decision, Transformed

TRANSFORMED = AssetKey("transformed_survey")
_ACCOUNTED = AssetCheckKey(TRANSFORMED, checks.ROWS_ACCOUNTED_FOR)
_SCHEMA = AssetCheckKey(TRANSFORMED, checks.SCHEMA_HOLDS)
_DESCRIPTION = """The upload's rows, cleaned: the one step that a person starts.

Materializing this for an upload **approves** it: its valid rows then count in every table and answer. Look at
the checks of validated_survey and invalid_survey first. Then click Materialize…, choose the uploads, and launch.
To say who you are, open Config > Add config in that dialog and enter

```yaml
ops:
  approve_and_transform:
    config:
      approved_by: Ana Reyes
      note: anything that should be remembered
```

{without}

An upload that failed a blocking check is refused, unless a line `override_reason: …` says why it is to be taken all
the same. `alumni withdraw` takes an approved upload out again."""


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
                _description(approver),
                deps=["validated_survey"],
                kinds={"parquet", "pandas"},
                metadata=common.columns_metadata(TRANSFORMED_COLUMNS),
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

        def approved_and_transformed(upload: str) -> Iterator[Any]:
            try:
                decision = approval.approve(lake.lake(), register, upload, request)
                yield from _transform(context, lake.lake(), register, survey, decision)
            except (approval.ApprovalRefusedError, approval.RowsChangedError) as refusal:
                refused[upload] = str(refusal)
                context.log.warning(f"Skipped: {refusal}")

        yield from common.one_by_one(context, uploads, approved_and_transformed, "transformed")
        if refused and len(refused) == len(uploads):
            raise Failure(next(iter(refused.values())), metadata=_refusals(refused), allow_retries=False)

    return approve_and_transform


def _description(approver: str) -> str:
    without = f"approved by {approver}" if approver else "refused, for nobody is named (ALUMNI_APPROVER sets a default)"
    return _DESCRIPTION.format(without=f"Without that it is {without}.")


def _transform(
    context: AssetExecutionContext, lake: Lake, register: Register, survey: SurveyResource, decision: Decision
) -> Iterator[Any]:
    from alumni_assets.stages.transformation import transform_upload  # imports Arrow

    upload, contract = decision.upload, survey.contract()
    seen = register.find_seen(upload)
    assert seen is not None, "an approved upload was seen"
    progress = common.progress_log(context, upload)
    result = transform_upload(lake, seen, decision.content, contract, survey.memory_limit, progress)
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
