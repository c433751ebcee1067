"""The supervised step: transformed_survey. A person, `alumni run --approve` or the policy approves by starting it.

What is approved and was not made, or is lost, `alumni run` makes again.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckKey,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetsDefinition,
    Config,
    Failure,
    MetadataValue,
    multi_asset,
)
from pydantic import Field

from alumni_assets import checks, layout, presentation, reporting
from alumni_assets.assets import common
from alumni_assets.assets.waiting import TRANSFORMED, report_waiting, waiting_check
from alumni_assets.contract import TRANSFORMED_COLUMNS
from alumni_assets.resources.engine import EngineResource
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages import approval
from alumni_assets.stages.engine import Engine, ToTransform
from alumni_assets.stages.intake import utc_now
from alumni_assets.survey.standing import ROWS_ACCOUNTED_FOR, SCHEMA_HOLDS, Decision, Status, Transformed

if TYPE_CHECKING:
    from alumni_assets.stages.transformation import TransformedUpload

_ACCOUNTED = AssetCheckKey(TRANSFORMED, ROWS_ACCOUNTED_FOR)
_SCHEMA = AssetCheckKey(TRANSFORMED, SCHEMA_HOLDS)
_DESCRIPTION = """The upload's rows, cleaned: the one step that a person starts.

Materializing this for an upload **approves** it: its valid rows then count in every table and answer. The check
nothing_waits lists the uploads that wait. Look at the checks of validated_survey and invalid_survey first. Then click
Materialize…, choose the uploads, be it one or many, and launch. One that may not be approved does not hold up the
others. To say who you are, open Config > Add config in that dialog and enter

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
        check_specs=_check_specs(),
    )
    def approve_and_transform(
        context: AssetExecutionContext,
        config: ApprovalConfig,
        lake: LakeResource,
        survey: SurveyResource,
        engine: EngineResource,
    ) -> Iterator[Any]:
        """Approve and transform each upload of the run; one that may not be approved is skipped."""
        request = approval.Request(
            config.approved_by, config.note, config.override_reason, reporting.asked_for_at(context)
        )
        with engine.opened(context, lake, survey, Component.TRANSFORM) as opened:
            step = _Step(context, lake.lake(Component.TRANSFORM), survey, opened, request)
            try:
                yield from step.approve_all(common.uploads_of_run(context, config.uploads))
            finally:
                report_waiting(context.instance, step.register)

    return approve_and_transform


def _check_specs() -> list[AssetCheckSpec]:
    return [
        reporting.upload_check(
            ROWS_ACCOUNTED_FOR,
            TRANSFORMED,
            "Every valid row is stored as transformed, or was dropped as an exact duplicate.",
        ),
        reporting.upload_check(
            SCHEMA_HOLDS,
            TRANSFORMED,
            "The rows as stored have the contract's types, vocabularies and spellings.",
        ),
        waiting_check(),
    ]


class _Step:
    """One run's work: approves and transforms one upload at a time."""

    def __init__(
        self,
        context: AssetExecutionContext,
        lake: Lake,
        survey: SurveyResource,
        engine: Engine,
        request: approval.Request,
    ) -> None:
        self.context = context
        self.lake = lake
        self.engine = engine
        self.survey = survey
        self.request = request
        self.register = survey.register_of(lake)
        self.refused: dict[str, str] = {}

    def approve_all(self, uploads: Sequence[str]) -> Iterator[Any]:
        """Take each upload; fails when every one of them was refused."""
        if self.engine.works_ahead:
            found = [self._to_transform(upload) for upload in uploads if self._has_valid_rows(upload)]
            self.engine.transform_ahead(found)
        yield from common.one_by_one(self.context, uploads, self._approve, "transformed")
        if self.refused and len(self.refused) == len(uploads):
            refusals = {presentation.shown(upload): reason for upload, reason in self.refused.items()}
            raise Failure(next(iter(self.refused.values())), metadata=refusals, allow_retries=False)

    def _approve(self, upload: str) -> Iterator[Any]:
        try:
            decision = approval.approve(self.lake, self.register, upload, self.request)
            yield from self._transform(decision)
        except (approval.ApprovalRefusedError, approval.RowsChangedError) as refusal:
            self.refused[upload] = str(refusal)
            self.context.log.warning(f"Skipped: {refusal}")

    def _transform(self, decision: Decision) -> Iterator[Any]:
        upload, contract = decision.upload, self.survey.contract()
        result = self._transformed(decision)
        outcomes = {
            _ACCOUNTED: checks.transformed_rows_accounted_for(self.lake, upload, result),
            _SCHEMA: checks.transformed_schema_holds(self.lake, upload, contract),
        }
        if all(outcome.passed for outcome in outcomes.values()):
            self._enter(upload, result)
        yield reporting.report_materialization(
            TRANSFORMED, upload, _metadata(self.lake, decision, result), data_version=result.content
        )
        yield from reporting.report_checks(self.context, upload, outcomes)

    def _transformed(self, decision: Decision) -> "TransformedUpload":
        progress = common.progress_log(self.context, decision.upload)
        return self.engine.transform(self._to_transform(decision.upload), decision.content, progress)

    def _to_transform(self, upload: str) -> ToTransform:
        seen, ingested = self.register.find_seen(upload), self.register.find_ingested(upload)
        assert seen is not None, "an upload that was judged was seen"
        corrects = ingested.corrects if ingested else ""
        return ToTransform(seen, self.register.find_seen(corrects) if corrects else None)

    def _has_valid_rows(self, upload: str) -> bool:
        ingested = self.register.find_ingested(upload)
        return ingested is not None and ingested.outcome == Status.VALIDATED

    def _enter(self, upload: str, result: "TransformedUpload") -> None:
        earlier = self.register.find_transformed(upload)
        if earlier is None or (earlier.source, earlier.content) != (result.source, result.content):
            self.register.enter_transformed(
                Transformed(upload, result.source, result.content, result.rows, result.exact_duplicates, utc_now())
            )


def _metadata(lake: Lake, decision: Decision, result: "TransformedUpload") -> dict[str, Any]:
    preview = presentation.preview(result.preview)
    return (
        {
            "approved_by": presentation.shown(decision.by),
            "approved_at": f"{decision.at:%Y-%m-%d %H:%M:%S} UTC",
            "note": presentation.shown(decision.note),
            "override_reason": presentation.shown(decision.override),
            "approved_rows": decision.rows,
            "approved_invalid_share": round(decision.invalid_share, 4),
            "approved_checks": ", ".join(f"{name}: {end}" for name, end in decision.checks.items()),
            "approved_content": decision.content,
            "exact_duplicates": result.exact_duplicates,
            "dagster/row_count": result.rows,
            "path": MetadataValue.path(lake.url(layout.transformed_key(decision.upload))),
        }
        | presentation.speed(result.rows, result.seconds)
        | ({"preview": preview} if preview else {})
    )


def _description(approver: str) -> str:
    without = f"approved by {approver}" if approver else "refused, for nobody is named (ALUMNI_APPROVER sets a default)"
    return _DESCRIPTION.format(without=f"Without that it is {without}.")
