"""Intake: raw_survey, validated_survey and invalid_survey, in one pass over each upload.

One step takes many uploads. Each is pinned, entered in the register, judged row by row, and reported by
itself, so that one that breaks neither fails nor holds up the others.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckKey,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    Config,
    MetadataValue,
    multi_asset,
)
from pydantic import Field

from alumni_assets import checks, layout, presentation, reporting
from alumni_assets.assets import common
from alumni_assets.contract import INVALID_COLUMNS, VALID_COLUMNS, Contract
from alumni_assets.register import Register
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages import intake
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.standing import Ingested, Seen, Status

if TYPE_CHECKING:
    from alumni_assets.stages.validation import Validated

RAW, VALID, INVALID = AssetKey("raw_survey"), AssetKey("validated_survey"), AssetKey("invalid_survey")
_READABLE = AssetCheckKey(RAW, checks.READABLE)
_ACCOUNTED = AssetCheckKey(VALID, checks.ROWS_ACCOUNTED_FOR)
_SCHEMA = AssetCheckKey(VALID, checks.SCHEMA_HOLDS)
_SHARE = AssetCheckKey(INVALID, checks.INVALID_SHARE)
Events = Iterator[Any]


class IntakeConfig(Config):
    """What a run takes in. In the UI leave both empty: the chosen partitions are taken in again."""

    keys: list[str] = Field(default=[], description="Objects under raw/, as `layout.quoted` writes them.")
    uploads: list[str] = Field(default=[], description="Uploads that are pinned already.")
    judge_again: bool = Field(
        default=True, description="Whether those are judged anew, or only reported as they were judged."
    )


@multi_asset(
    name="take_in",
    specs=[
        common.upload_spec(
            "raw_survey",
            common.INTAKE,
            "The upload as it came: a pinned copy that nothing changes any more, and its entry in the register. "
            "Everything below reads the pinned copy.",
            deps=[],
            kinds={"csv", "excel"},
        ),
        common.upload_spec(
            "validated_survey",
            common.INTAKE,
            "The upload's valid rows, typed; text as it came. They wait here until a person approves them by "
            "materializing transformed_survey.",
            deps=["raw_survey"],
            kinds={"parquet", "pandera"},
            metadata=common.columns_metadata(VALID_COLUMNS),
        ),
        common.upload_spec(
            "invalid_survey",
            common.INTAKE,
            "The upload's invalid rows as they came, each with every reason. Mend them in the original file and "
            "upload it again under the same name.",
            deps=["raw_survey"],
            kinds={"parquet"},
            metadata=common.columns_metadata(INVALID_COLUMNS, as_text=True),
        ),
    ],
    check_specs=[
        reporting.upload_check(
            checks.READABLE,
            RAW,
            "The file can be read and its header names every required column, each once.",
        ),
        reporting.upload_check(
            checks.ROWS_ACCOUNTED_FOR, VALID, "Every row of the file is stored as valid or as invalid."
        ),
        reporting.upload_check(
            checks.SCHEMA_HOLDS,
            VALID,
            "The valid rows as stored have the contract's types and no empty cells.",
        ),
        reporting.upload_check(
            checks.INVALID_SHARE,
            INVALID,
            "No row is invalid (a warning if some are; with too many the upload may not be approved).",
        ),
    ],
)
def take_in(context: AssetExecutionContext, config: IntakeConfig, lake: LakeResource, survey: SurveyResource) -> Events:
    """Take in objects found under raw/, or uploads that are pinned already, one after the other."""
    step = _Step(context, lake.lake(), survey, config.judge_again)
    step.lake.sweep()  # what killed processes left half-written holds personal data too
    if config.keys:
        yield from common.one_by_one(context, config.keys, step.new, "taken in")
    else:
        uploads = common.uploads_of_run(context, config.uploads)
        yield from common.one_by_one(context, uploads, step.again, "taken in again")


class _Step:
    """One run's work: takes in one upload at a time.

    `judge_again` is for uploads that are pinned already: whether they are judged anew, or reported as they were.
    """

    def __init__(self, context: AssetExecutionContext, lake: Lake, survey: SurveyResource, judge_again: bool) -> None:
        self.context = context
        self.lake = lake
        self.judge_again = judge_again
        self.contract: Contract = survey.contract()
        self.register: Register = survey.register_of(lake)

    def new(self, quoted_key: str) -> Events:
        """Take in the object under raw/ with that key (as `layout.quoted` writes it)."""
        key = layout.unquoted(quoted_key)
        entry = self.lake.stat(layout.RAW + key)
        if entry is None:
            self.context.log.warning(f"raw/{presentation.shown(key)} is gone; nothing was taken in.")
            return
        identity = layout.listing_identity(key, entry.etag, entry.size)
        self.register.begin_attempt(identity)
        try:
            arrived = intake.pin(self.lake, self.register, key, intake.utc_now())
        except intake.UploadChangedError as error:
            self.context.log.info(f"{error} It is taken in when it is complete.")
            self.register.end_attempts(identity)
            return
        if not arrived.is_unchanged:
            yield from self._ingest(arrived.seen, arrives=True)
        elif not self.context.instance.has_dynamic_partition("uploads", arrived.seen.upload):
            yield from self._reported_or_ingested(arrived.seen)
        self.register.end_attempts(identity)

    def again(self, upload: str) -> Events:
        """Take in an upload again from its pinned copy, or report it as it was judged."""
        seen = self.register.find_seen(upload)
        if seen is None:
            raise intake.PinnedCopyError(f"The register has no upload {upload}.")
        identity = layout.upload_identity(upload)
        self.register.begin_attempt(identity)
        yield from self._ingest(seen) if self.judge_again else self._reported_or_ingested(seen)
        self.register.end_attempts(identity)

    def _reported_or_ingested(self, seen: Seen) -> Events:
        upload, ingested = seen.upload, self.register.find_ingested(seen.upload)
        if ingested and intake.is_stored(self.lake, ingested):
            self.context.instance.add_dynamic_partitions("uploads", [upload])
            yield from self._reported(seen, ingested)
        elif ingested and ingested.contract != self.contract.hash:
            raise intake.PinnedCopyError(
                f"Tables of {upload} are gone from the lake, and the rules have changed since it was judged. "
                "Restore them from a backup, or run `alumni revalidate` and approve it again."
            )
        else:
            yield from self._ingest(seen)

    def _reported(self, seen: Seen, ingested: Ingested) -> Events:
        """Tell an event store that knows nothing of an upload what the register knows."""
        yield self._raw(seen, {"status": ingested.outcome, "rows": ingested.rows or 0})
        if ingested.outcome == Status.REJECTED:
            unreadable = UnreadableUploadError(ingested.code, ingested.reason)
            yield self._check(_READABLE, seen, checks.readable(unreadable))
        if ingested.outcome != Status.VALIDATED:
            return
        tables = {
            VALID: (layout.valid_key(seen.upload), ingested.valid, ingested.content),
            INVALID: (layout.invalid_key(seen.upload), ingested.invalid, ingested.invalid_content),
        }
        for table, (key, rows, content) in tables.items():
            yield reporting.report_materialization(
                table,
                seen.upload,
                {"path": MetadataValue.path(self.lake.url(key)), "rows": rows, "contract": ingested.contract},
                data_version=content,
            )
        for check in (_READABLE, _ACCOUNTED, _SCHEMA, _SHARE):
            passed = check.name not in ingested.failed_checks
            yield self._check(check, seen, checks.Outcome(passed, "As it was when the upload was judged."))

    def _ingest(self, seen: Seen, arrives: bool = False) -> Events:
        self.context.instance.add_dynamic_partitions("uploads", [seen.upload])
        repeated = self._repeated(seen, arrives)
        if repeated is not None:
            self.register.enter_ingested(repeated)
            yield self._raw(seen, {"status": "duplicate", "note": repeated.reason})
            return
        found = intake.inspect(self.lake, seen, self.contract.rules.limits)
        from alumni_assets.stages.validation import validate_upload  # imports Arrow

        result: Validated | None = None
        if not isinstance(found, UnreadableUploadError):
            try:
                result = validate_upload(
                    self.lake, seen, found, self.contract, common.progress_log(self.context, seen.upload)
                )
            except UnreadableUploadError as unreadable:
                found = unreadable
        if isinstance(found, UnreadableUploadError) or result is None:
            yield from self._rejected(seen, found)
        else:
            yield from self._validated(seen, found, result)

    def _repeated(self, seen: Seen, arrives: bool) -> Ingested | None:
        """What to enter for an upload that only repeats another. A rerun finds what was found when it arrived."""
        earlier = self.register.find_ingested(seen.upload)
        was_duplicate = earlier is not None and earlier.outcome == Status.DUPLICATE
        if earlier is None or (was_duplicate and arrives):
            return intake.duplicate_of(self.register, seen, intake.utc_now())
        return earlier if was_duplicate else None

    def _rejected(self, seen: Seen, found: FileFormat | UnreadableUploadError) -> Events:
        outcome = checks.readable(found)
        assert isinstance(found, UnreadableUploadError)
        self.register.enter_ingested(
            Ingested(
                seen.upload,
                Status.REJECTED,
                intake.utc_now(),
                reason=found.message,
                code=found.code,
                contract=self.contract.hash,
            )
        )
        yield self._raw(seen, {"status": "rejected", "reason": found.message})
        yield self._check(_READABLE, seen, outcome)

    def _validated(self, seen: Seen, file_format: FileFormat, result: "Validated") -> Events:
        where = self.lake.url(layout.invalid_key(seen.upload))
        outcomes = {
            _READABLE: checks.readable(file_format),
            _ACCOUNTED: checks.rows_accounted_for(self.lake, seen.upload, result),
            _SCHEMA: checks.valid_schema_holds(self.lake, seen.upload),
            _SHARE: checks.invalid_share(result, file_format.header_record, self.contract, where),
        }
        self.register.enter_ingested(
            Ingested(
                seen.upload,
                Status.VALIDATED,
                intake.utc_now(),
                rows=result.rows,
                valid=result.valid,
                invalid=result.invalid,
                contract=self.contract.hash,
                content=result.content,
                invalid_content=result.invalid_content,
                failed_checks=_failed(outcomes),
                reasons={f"{header}:{code}": count for (header, code), count in result.reasons.items()},
            )
        )
        yield self._raw(
            seen,
            dict(intake.preview_of_format(file_format))
            | {"header": presentation.shown(" | ".join(file_format.header.titles)), "rows": result.rows}
            | _only_filled(preview=presentation.preview(result.preview)),
        )
        yield reporting.report_materialization(
            VALID,
            seen.upload,
            presentation.speed(result.valid, result.seconds)
            | {"path": MetadataValue.path(self.lake.url(layout.valid_key(seen.upload)))}
            | {"contract": self.contract.hash, "dagster/row_count": result.valid}
            | _only_filled(preview=presentation.preview(result.preview)),
            data_version=result.content,
        )
        yield reporting.report_materialization(
            INVALID,
            seen.upload,
            presentation.speed(result.invalid, result.seconds)
            | {"path": MetadataValue.path(where), "dagster/row_count": result.invalid}
            | ({"reasons": presentation.reason_counts(result.reasons)} if result.reasons else {}),
            data_version=result.invalid_content,
        )
        for check, outcome in outcomes.items():
            yield self._check(check, seen, outcome)

    def _raw(self, seen: Seen, more: dict[str, Any]) -> AssetMaterialization:
        path = MetadataValue.path(self.lake.url(layout.pinned_key(seen.upload)))
        return reporting.report_materialization(
            RAW, seen.upload, {**presentation.origin(seen), "path": path, **more}, data_version=seen.sha256
        )

    def _check(self, key: AssetCheckKey, seen: Seen, outcome: checks.Outcome) -> Any:
        return reporting.report_check(
            self.context,
            key,
            seen.upload,
            outcome.passed,
            outcome.description,
            outcome.metadata,
            outcome.severity,
        )


def _failed(outcomes: dict[AssetCheckKey, checks.Outcome]) -> tuple[str, ...]:
    """The checks that keep the upload from being approved; a warning does not."""
    return tuple(
        key.name
        for key, outcome in outcomes.items()
        if not outcome.passed and outcome.severity is checks.AssetCheckSeverity.ERROR
    )


def _only_filled(**metadata: MetadataValue | None) -> dict[str, MetadataValue]:
    return {name: value for name, value in metadata.items() if value is not None}
