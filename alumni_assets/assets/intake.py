"""Intake: raw_survey, validated_survey and invalid_survey, in one pass over each upload.

One step takes many uploads. Each is pinned, entered in the register, judged row by row, and reported by
itself, so that one that breaks neither fails nor holds up the others. What Dagster is told is in `intake_events.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from dagster import AssetExecutionContext, Config, ResourceParam, multi_asset
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError

from alumni_assets import checks, jobs, layout, presentation, reporting
from alumni_assets.assets import common
from alumni_assets.assets.intake_events import (
    ACCOUNTED_CHECK,
    DRIFT_CHECK,
    RAW,
    READABLE_CHECK,
    SCHEMA_CHECK,
    VALID,
    Events,
    IntakeEvents,
)
from alumni_assets.assets.set_aside import INVALID
from alumni_assets.assets.waiting import report_waiting
from alumni_assets.contract import INVALID_COLUMNS, VALID_COLUMNS, Contract
from alumni_assets.json_logs import Event, marked
from alumni_assets.machine_faults import is_of_the_machine
from alumni_assets.register import Register
from alumni_assets.resources.engine import EngineResource
from alumni_assets.resources.erasure_key import ErasureKeyResource
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.lake_interface import Lake, LakeEntry, LakeUnavailableError
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages import intake
from alumni_assets.stages.engine import Engine
from alumni_assets.stages.keeping_out import Doorkeeper, ErasureKeyError
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.drift import Batch, Comparison, Profile, compared
from alumni_assets.survey.equal_content import repetitions, same_content
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.quarantine import corrections_by_upload
from alumni_assets.survey.standing import (
    NO_DRIFT,
    NO_OPEN_ROWS,
    READABLE,
    ROWS_ACCOUNTED_FOR,
    SCHEMA_HOLDS,
    Arrival,
    Ingested,
    Seen,
    Status,
)

if TYPE_CHECKING:
    from alumni_assets.stages.validation import Validated


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
            "The upload's invalid rows as they came, each with every reason. To see them: Checks > no_open_rows > "
            "Partitions > the upload. To mend them, copy the correction file (its path is there), correct the marked "
            "cells, and put it into raw/ under any name: the rows come back as a correction, which is checked and "
            "approved like any upload. The check passes once every row is corrected, or closed with `alumni waive`.",
            deps=["raw_survey"],
            kinds={"parquet"},
            metadata=common.columns_metadata(INVALID_COLUMNS, as_text=True),
        ),
    ],
    check_specs=[
        reporting.upload_check(
            READABLE,
            RAW,
            "The file can be read and its header names every required column, each once.",
        ),
        reporting.upload_check(ROWS_ACCOUNTED_FOR, VALID, "Every row of the file is stored as valid or as invalid."),
        reporting.upload_check(
            SCHEMA_HOLDS,
            VALID,
            "The valid rows as stored have the contract's types, and no cell that must be filled is empty.",
        ),
        reporting.upload_check(
            NO_DRIFT,
            VALID,
            "The upload is like the approved ones before it in size, shares of invalid and repeated rows, answers and "
            "e-mail domains (a warning where it is not).",
            blocking=False,
        ),
        reporting.upload_check(
            NO_OPEN_ROWS,
            INVALID,
            "No row waits to be corrected (a warning while some do; with too many the upload may not be approved).",
        ),
    ],
)
def take_in(
    context: AssetExecutionContext,
    config: IntakeConfig,
    lake: LakeResource,
    survey: SurveyResource,
    engine: EngineResource,
    erasure_key: ResourceParam[ErasureKeyResource],
) -> Events:
    """Take in objects found under raw/, or uploads that are pinned already, one after the other."""
    lake.lake(Component.INGEST).sweep()  # what killed processes left half-written holds personal data too
    with engine.opened(context, lake, survey, Component.INGEST) as opened:
        key = erasure_key.key()
        step = _Step(context, lake.lake(Component.INGEST), survey, opened, config.judge_again, key)
        try:
            if config.keys:
                step.announce(config.keys, step.pinned_now)
                yield from common.one_by_one(context, config.keys, step.new, "taken in", step.enter_repetitions)
            else:
                uploads = common.uploads_of_run(context, config.uploads)
                step.announce(uploads, step.pinned_before)
                yield from common.one_by_one(context, uploads, step.again, "taken in again", step.enter_repetitions)
        finally:
            report_waiting(context.instance, step.register)


class _Step:
    """One run's work: takes in one upload at a time.

    `judge_again` is for uploads that are pinned already: whether they are judged anew, or reported as they were.
    """

    def __init__(
        self,
        context: AssetExecutionContext,
        lake: Lake,
        survey: SurveyResource,
        engine: Engine,
        judge_again: bool,
        erasure_key: str,
    ) -> None:
        self.context = context
        self.lake = lake
        self.engine = engine
        self.judge_again = judge_again
        self.contract: Contract = survey.contract()
        self.memory_limit: str = survey.memory_limit
        self.register: Register = survey.register_of(lake)
        self.events = IntakeEvents(context, lake, self.register, self.contract.hash, survey.memory_limit)
        self.doorkeeper = Doorkeeper(lake, self.register, self.contract, erasure_key)
        self.worked_on: list[str] = []
        self.has_entered = False  # whether the attempt that is under way has entered how it ended

    def announce(self, subjects: Sequence[str], seen_as: Callable[[str], Seen | None]) -> None:
        """Let an engine that works ahead judge what will have to be judged; what breaks here, breaks again below."""
        if not self.engine.works_ahead:
            return
        found: dict[str, tuple[Seen, FileFormat]] = {}
        for subject in subjects:
            try:
                seen = seen_as(subject)
                file_format = self._inspected(seen) if seen else None
            except Exception as error:
                self.context.log.info(f"{presentation.shown(subject)} is not judged ahead: {type(error).__name__}")
                continue
            if seen and isinstance(file_format, FileFormat) and not file_format.header.is_correction:
                found.setdefault(seen.sha256, (seen, file_format))
        self.engine.judge_ahead(list(found.values()))

    def pinned_now(self, quoted_key: str) -> Seen | None:
        """The upload that the object under raw/ with that key is, pinned; None where there is nothing to judge."""
        arrived = self._pinned(layout.unquoted(quoted_key))
        facts = self.register.facts(intake.RECENT_SECONDS)
        is_repeated = any(other in facts.ingested for other in same_content(facts, arrived.seen.upload))
        return None if arrived.is_unchanged or is_repeated else arrived.seen

    def pinned_before(self, upload: str) -> Seen | None:
        """An upload that is to be judged again; None where it is only reported."""
        return self.register.find_seen(upload) if self.judge_again else None

    def new(self, quoted_key: str) -> Events:
        """Take in the object under raw/ with that key (as `layout.quoted` writes it)."""
        key = layout.unquoted(quoted_key)
        entry = self.lake.stat(layout.RAW + key)
        if entry is None:
            self.context.log.warning(f"raw/{presentation.shown(key)} is gone; nothing was taken in.")
            return
        with self._attempt(layout.listing_identity(key, entry.etag, entry.size)):
            try:
                arrived = self._pinned(key)
            except intake.UploadChangedError as error:
                self.context.log.info(f"{error} It is taken in when it is complete.")
                return
            self.worked_on.append(arrived.seen.upload)
            with self._attempt_as_rewritten(key, entry):
                yield from self._arrived(arrived)

    def _arrived(self, arrived: intake.Arrived) -> Events:
        if not arrived.is_unchanged:
            yield from self._ingest(arrived.seen, arrives=True)
        elif not self.context.instance.has_dynamic_partition("uploads", arrived.seen.upload):
            yield from self._reported_or_ingested(arrived.seen)

    def _attempt_as_rewritten(self, key: str, entry: LakeEntry) -> AbstractContextManager[None]:
        """A further attempt, at what the object at a key became where an erased person was cut out of it.

        By that, and no more by what was listed, the next pass finds what Dagster was not told.
        """
        log = self.register.facts(intake.RECENT_SECONDS).arrivals.get(key, ())
        last = next((arrival for arrival in reversed(log) if arrival.etag is not None), None)
        if last is None or (last.etag, last.size) == (entry.etag, entry.size):
            return nullcontext()
        return self._attempt(layout.listing_identity(key, last.etag or "", last.size))

    def enter_repetitions(self) -> Events:
        """Enter as a duplicate what another run judged at the same time, under another name."""
        facts = self.register.facts()
        for upload, other in repetitions(facts, self.worked_on).items():
            repeated = intake.repetition(facts.seen[upload], other, intake.utc_now())
            self.register.enter_ingested(repeated)
            if self.register.facts().decisions.get(upload, ()) != facts.decisions.get(upload, ()):
                self.register.enter_ingested(facts.ingested[upload])  # somebody decided about it just now
                continue
            yield self.events.duplicate(facts.seen[upload], repeated)

    @contextmanager
    def _attempt(self, identity: str) -> Iterator[None]:
        """An attempt at something, which counts against it unless it succeeds, or the machine or a setting is to blame.

        It counts all the same where the result was entered, for by it the next pass finds what Dagster was not told,
        and where the lake is not there or read-only: then no other can be begun either.
        """
        self.has_entered, attempt = False, None
        try:
            attempt = self.register.begin_attempt(identity)
            yield
        except Exception as error:
            if is_of_the_machine(error) or isinstance(error, ErasureKeyError):
                self._excuse(attempt)
            raise
        self.register.end_attempts(identity)

    def _excuse(self, attempt: str | None) -> None:
        if attempt and not self.has_entered:
            with suppress(LakeUnavailableError):
                self.register.take_back_attempt(attempt)
        with suppress(SQLAlchemyError):  # on the disk that is full; the sensor makes no pause then
            self.context.instance.add_run_tags(self.context.run.run_id, jobs.BLAMELESS_TAGS)

    def _enter(self, ingested: Ingested) -> None:
        self.register.enter_ingested(ingested)
        self.has_entered = True

    def _pinned(self, key: str) -> intake.Arrived:
        checked = self.doorkeeper.checked(key)
        return intake.pin(self.lake, self.register, key, intake.utc_now(), checked)

    def _inspected(self, seen: Seen) -> FileFormat | UnreadableUploadError:
        self.doorkeeper.require_rewritten(seen)
        return intake.inspect(self.lake, seen, self.contract.rules.limits)

    def again(self, upload: str) -> Events:
        """Take in an upload again from its pinned copy, or report it as it was judged."""
        seen = self.register.find_seen(upload)
        if seen is None:
            raise intake.PinnedCopyError(f"The register has no upload {upload}.")
        self.worked_on.append(upload)
        with self._attempt(layout.upload_identity(upload)):
            log = self.register.facts(intake.RECENT_SECONDS).arrivals.get(seen.key, ())
            arrivals = [arrival for arrival in log if arrival.upload == upload]
            if not log:  # its intake was killed between two entries, and its file is gone since
                self.register.append_arrival(Arrival(seen.key, 0, upload, None, seen.size, intake.utc_now()))
            yield from self._ingest(seen) if self.judge_again else self._reported_or_ingested(seen)
            for arrival in arrivals:  # an intake that was killed at its end left its attempt behind
                self.register.end_attempts(layout.listing_identity(arrival.key, arrival.etag or "", arrival.size))

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
        if ingested.outcome == Status.VALIDATED:
            self._restore_correction_files(seen, ingested)
        yield from self.events.before(seen, ingested)

    def _restore_correction_files(self, seen: Seen, ingested: Ingested) -> None:
        if not ingested.invalid or intake.has_correction_files(self.lake, seen.upload):
            return
        self.doorkeeper.require_rewritten(seen)
        header = intake.header_of(self.lake, seen, self.contract.rules.limits)
        intake.write_correction_files(self.lake, seen.upload, header, self.contract, ingested.invalid)

    def _ingest(self, seen: Seen, arrives: bool = False) -> Events:
        self.context.instance.add_dynamic_partitions("uploads", [seen.upload])
        repeated = self._repeated(seen, arrives)
        if repeated is not None:
            self._enter(repeated)
            yield self.events.duplicate(seen, repeated)
            return
        found = self._inspected(seen)
        if isinstance(found, UnreadableUploadError):
            yield from self._rejected(seen, found)
            return
        try:
            result = self._judged(seen, found)
        except UnreadableUploadError as unreadable:
            yield from self._rejected(seen, unreadable)
            return
        earlier = self.register.find_ingested(seen.upload)
        repeated = intake.repeated_correction(self.register, seen, result.corrects, result.fingerprint)
        if repeated is not None and earlier is None:
            self._enter(repeated)
            yield self.events.duplicate(seen, repeated)
            return
        yield from self._validated(seen, found, result, earlier)
        yield from self._others_concerned(result, earlier, seen.upload)

    def _judged(self, seen: Seen, file_format: FileFormat) -> "Validated":
        from alumni_assets.stages.corrections import validate_correction  # imports Arrow

        progress = common.progress_log(self.context, seen.upload)
        if not file_format.header.is_correction:
            return self.engine.validate(seen, file_format, progress)
        facts = self.register.facts(intake.RECENT_SECONDS)
        return validate_correction(self.lake, facts, seen, file_format, self.contract, self.memory_limit, progress)

    def _others_concerned(self, result: "Validated", earlier: Ingested | None, upload: str) -> Events:
        """Report what a correction concerns; judge corrections anew of rows that are others than before."""
        yield from self.events.corrected(upload, result.corrects)
        if earlier is None:
            return
        facts = self.register.facts()
        for correction in corrections_by_upload(facts).get(upload, ()):
            if facts.ingested[correction].against != result.invalid_content:
                yield from self._ingest(facts.seen[correction])

    def _repeated(self, seen: Seen, arrives: bool) -> Ingested | None:
        """What to enter for an upload that only repeats another. A rerun finds what was found when it arrived."""
        earlier = self.register.find_ingested(seen.upload)
        was_duplicate = earlier is not None and earlier.outcome == Status.DUPLICATE
        if earlier is None or (was_duplicate and arrives):
            return intake.duplicate_of(self.register, seen, intake.utc_now())
        return earlier if was_duplicate else None

    def _rejected(self, seen: Seen, unreadable: UnreadableUploadError) -> Events:
        earlier = self.register.find_ingested(seen.upload)
        self._enter(
            Ingested(
                seen.upload,
                Status.REJECTED,
                intake.utc_now(),
                reason=unreadable.message,
                code=unreadable.code,
                contract=self.contract.hash,
                corrects=earlier.corrects if earlier else "",
                against=earlier.against if earlier else "",
            )
        )
        self.context.log.warning(
            f"{presentation.shown(seen.upload)} was rejected: {unreadable.message}",
            extra=marked(Event.UPLOAD_REJECTED, upload=presentation.shown(seen.upload), code=unreadable.code),
        )
        yield from self.events.rejected(seen, unreadable)

    def _validated(self, seen: Seen, file_format: FileFormat, result: "Validated", earlier: Ingested | None) -> Events:
        if result.invalid or (earlier is not None and earlier.invalid):
            intake.write_correction_files(self.lake, seen.upload, file_format.header, self.contract, result.invalid)
        schema, profile = self._stored(seen, result)
        compared = self._compared(seen, result, profile)
        outcomes = {
            READABLE_CHECK: checks.readable(file_format),
            ACCOUNTED_CHECK: checks.rows_accounted_for(self.lake, seen.upload, result),
            SCHEMA_CHECK: schema,
            DRIFT_CHECK: checks.no_drift(compared, self.contract.rules.drift.least_rows, bool(result.corrects)),
        }
        failed = tuple(check.name for check, outcome in outcomes.items() if outcome.blocks)
        entry = intake.judged_entry(seen, file_format, result, self.contract, failed, earlier)
        drifted = tuple(shift.measure for shift in compared.shifts)
        self._enter(replace(entry, profile=profile, drifted=drifted))
        yield from self.events.validated(seen, file_format, result, outcomes)

    def _stored(self, seen: Seen, result: "Validated") -> tuple[checks.Outcome, Profile]:
        """Whether the stored valid rows keep to the contract, and what is counted of them; of a correction nothing."""
        from alumni_assets.stages.profile import profile_of  # imports Arrow

        with self.lake.local_copy(layout.valid_key(seen.upload)) as stored:
            profile = {} if result.corrects else profile_of(stored, result.valid, self.contract)
            return checks.valid_schema_holds(stored), profile

    def _compared(self, seen: Seen, result: "Validated", profile: Profile) -> Comparison:
        batch = Batch(result.rows, result.invalid, profile)
        facts = self.register.facts(intake.RECENT_SECONDS)
        return compared(facts, seen.upload, batch, self.contract.rules.drift)
