"""One pass of the pipeline in this process: what the `alumni` command does, each step a Dagster run.

Which options the command has, and how it prints, is in `cli.py`; what is said of each upload, in `upload_lines.py`.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import pyarrow.parquet as pq
from dagster import DagsterEventType, EventLogEntry, ExecuteInProcessResult, RunsFilter
from dagster._core.utils import make_new_run_id
from rich.console import Console

from alumni_assets import intake_plan, jobs, layout, pending_work, upload_lines
from alumni_assets.automation import RENEWS_BELOW_TAGS
from alumni_assets.definitions import build_defs
from alumni_assets.failures import failure_sentence
from alumni_assets.instance import hold_connections, open_instance
from alumni_assets.notifications.delivery import Deliveries
from alumni_assets.notifications.telling import Teller
from alumni_assets.orphaned_runs import COMMAND_TAGS, UNFINISHED, command_at_work, end_orphaned_runs
from alumni_assets.private_files import files_kept_private
from alumni_assets.publishing import FOLDER, delete_other_tables, table_key
from alumni_assets.report.weeks import week_of
from alumni_assets.reporting import event_store_kept_open
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.notifier import NotifierResource
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.settings import Settings, load_settings, prepare_lake
from alumni_assets.signs_of_life import giving_signs
from alumni_assets.stages import approval
from alumni_assets.stages.intake import utc_now
from alumni_assets.survey.standing import Facts, Ingested, Status

if TYPE_CHECKING:
    from alumni_assets.report.keeping import Reports
    from alumni_assets.report.sending import Sending
    from alumni_assets.stages.erasing import Erased
    from alumni_assets.stages.person_rows import PersonRows
    from alumni_assets.stages.restoring import RestoredFile

_SETTLINGS = 3  # for how many times the settling time a pass waits for files that are being written
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class OnePass(AbstractContextManager["OnePass"]):
    """The pipeline opened for one command; close it by leaving the context."""

    def __init__(self) -> None:
        self.settings: Settings = load_settings()
        prepare_lake(self.settings)
        self._defs = build_defs(self.settings)
        self._lake = LakeResource(location=self.settings.lake).lake()
        self._survey = SurveyResource(rules=str(self.settings.rules), home=str(self.settings.home))
        self._register = self._survey.register_of(self._lake)
        self.notifier = NotifierResource(self.settings.notifier)
        self._stack = ExitStack()
        self._console = Console(stderr=True)
        self.broken: list[str] = []

    def __enter__(self) -> Self:
        home, dagster_home = self.settings.home, self.settings.dagster_home
        own_home = None if self.settings.home_is_default else home
        with ExitStack() as opening:  # closed again where the instance cannot be opened
            opening.enter_context(files_kept_private())
            self._instance = opening.enter_context(open_instance(own_home or home, dagster_home, Path.cwd()))
            self._stack = opening.pop_all()
        hold_connections(self._instance)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(self, approver: str | None, note: str) -> dict[str, Any]:
        """Take in what waits; with an approver, approve all that waits; renew every table."""
        self._take_turn()
        before = self._register.facts()
        self._take_in_all()
        facts = self._register.facts()
        made = {entry.key for entry in self._lake.list(layout.TRANSFORMED)}
        unarchived = pending_work.find_unarchived(self._lake, facts, self._instance)
        uploads = set(approval.approved_but_not_made(facts, made, unarchived))
        if approver is not None:
            uploads |= set(approval.approvable(facts))
        self._archive([upload for upload in unarchived if upload not in uploads])
        self._renew(sorted(uploads, key=lambda upload: facts.seen[upload].received_at), approver or "", note)
        return self._report(before, self._register.facts())

    def status(self) -> dict[str, Any]:
        """Every upload and where it stands."""
        return self._report(None, self._register.facts())

    def withdraw(self, upload: str, by: str, reason: str) -> dict[str, Any]:
        """Take an upload's rows out of every table."""
        self._take_turn()
        before = self._register.facts()
        with self._renewing():
            approval.withdraw(self._register, upload, by, reason)
        return self._report(before, self._register.facts())

    def waive(self, upload: str, rows: Sequence[str], by: str, reason: str) -> dict[str, Any]:
        """Close open rows of an upload without a correction."""
        from alumni_assets.stages.quarantine import waive

        self._take_turn()
        before = self._register.facts()
        with self._renewing():
            waive(self._lake, self._register, upload, rows, by, reason, self.settings.warehouse_memory)
        return self._report(before, self._register.facts(), [upload])

    def quarantine(self, upload: str | None, only_open: bool) -> Iterator[dict[str, Any]]:
        """The rows that were set aside, and how each stands."""
        from alumni_assets.stages.quarantine import listed_rows

        memory = self.settings.warehouse_memory
        return listed_rows(self._lake, self._register.facts(), upload, only_open, memory)

    def revalidate(self, uploads: Sequence[str]) -> dict[str, Any]:
        """Judge uploads by today's rules."""
        self._take_turn()
        before = self._register.facts()
        contract = self._survey.contract()
        # What a killed command judged by these rules is not judged again, but Dagster may not have been told of it.
        self._enter_again(partial(pending_work.find_unreported, self._register, contract))
        chosen = list(uploads) or [
            upload
            for upload, ingested in before.ingested.items()
            if ingested.contract and ingested.contract != contract.hash and not self._was_let_go(ingested)
        ]
        unknown = [upload for upload in chosen if upload not in before.seen]
        if unknown:
            raise approval.ApprovalRefusedError(f"There is no upload {unknown[0]}. `alumni status` lists them.")
        chosen.sort(key=lambda upload: before.seen[upload].received_at)  # corrections after what they correct
        if chosen:
            self._execute("Judging", jobs.TAKE_IN.name, jobs.take_in_config((), chosen, judge_again=True))
        self._renew((), "", "")
        return self._report(before, self._register.facts())

    def _was_let_go(self, ingested: Ingested) -> bool:
        """Whether an upload was rejected and its pinned copy is gone, as it goes when it is old: for good."""
        is_rejected = ingested.outcome == Status.REJECTED
        return is_rejected and self._lake.stat(layout.pinned_key(ingested.upload)) is None

    def restore(self, upload: str, days: int, tier: str) -> tuple[list["RestoredFile"], dict[str, Any]]:
        """Bring an upload back from its archived copies, and make again what is made from them, once all are there."""
        from alumni_assets.stages.restoring import restore_upload, waits

        self._take_turn()
        before = self._register.facts()
        transformed = before.transformed.get(upload)
        if transformed is None:
            raise approval.ApprovalRefusedError(f"{upload} was never transformed, so it has no archived copies.")
        files = restore_upload(self._lake, transformed, days, tier)
        if not waits(files):
            self._execute("Entering the upload again", jobs.TAKE_IN.name, jobs.take_in_config((), [upload]))
            self._renew((), "", "")
        return files, self._report(before, self._register.facts(), [upload])

    def erase(self, employee_id: str | None, by: str, reason: str, delete_unreadable: bool) -> "Erased":
        """Take all rows of a person out of everything; without an id, of all who were erased before.

        Raises `ErasureKeyError` and `ErasingError`. What broke afterwards is in `broken`; the same call mends it.
        """
        from alumni_assets.stages import erasing

        self._take_turn()
        self._require_quiet()
        request = erasing.Request(employee_id, by, reason)
        contract, key = self._survey.contract(), self.settings.erasure_key
        eraser = erasing.Eraser(self._lake, self._register, contract, key, self.settings.archive_class)
        persons = erasing.persons_of(request, self._register, contract, key)
        done = eraser.rewrite(request, persons)
        self._finish_exports(employee_id)
        self._take_in_all()  # from the first entry in the register on, without the person
        done = eraser.rewrite_also(request, persons, done)
        if delete_unreadable:
            eraser.delete_unread([*done.unread, *done.uncut])
            done.uncut = []
        self._make_all_tables_anew()
        eraser.forget()
        return done

    def expire(self, dry_run: bool) -> dict[str, int]:
        """Delete what is old and no longer needed, or with `dry_run` only count it; returns the counts.

        Raises `ApprovalRefusedError` where nothing has an age, and while runs are under way. What broke is in `broken`.
        """
        from alumni_assets.retention import EXPIRE
        from alumni_assets.stages.expiring import expire

        rules = self._survey.contract().rules.retention
        if not rules.is_on:
            raise approval.ApprovalRefusedError(
                f"Nothing has an age in {self.settings.rules}: set one in its section retention."
            )
        if dry_run:
            return expire(self._lake, self._register, rules, utc_now(), dry_run=True).counts()
        self._take_turn()
        self._require_quiet()
        result = self._executed("Deleting what is old", EXPIRE.name, {}, {})
        return result.output_for_node("expire") if result.success else {}

    def rows_of_person(self, employee_id: str) -> "PersonRows":
        """Which rows are a person's; nothing is changed. Raises `ErasingError`."""
        from alumni_assets.stages import erasing
        from alumni_assets.stages.person_rows import find_person

        contract = self._survey.contract()
        return find_person(self._lake, self._register.facts(), erasing.person_with(employee_id, contract), contract)

    def held_about(self, employee_id: str) -> dict[str, Any]:
        """All that is held about a person. Raises `ErasingError`."""
        from alumni_assets.stages.disclosing import held_about
        from alumni_assets.stages.erasing import person_with

        contract = self._survey.contract()
        person = person_with(employee_id, contract)
        return held_about(self._lake, self._register.facts(), person, contract, utc_now())

    def _require_quiet(self) -> None:
        """What a run is about to write would come back, and what it is about to read would be gone."""
        end_orphaned_runs(self.settings.home, self._instance)
        if runs := self._instance.get_run_ids(RunsFilter(statuses=UNFINISHED)):
            raise approval.ApprovalRefusedError(
                f"{len(runs):,} runs are under way in Dagster. Let them end or cancel them, stop Dagster's daemon so "
                "that it starts no others, and call this again."
            )

    def _finish_exports(self, employee_id: str | None) -> None:
        """What exporters of a sheet left half-done becomes uploads, and their facts no longer tell of the person."""
        from alumni_assets.sheet.answers import hash_of_id
        from alumni_assets.sheet.checkpoint import forget_person
        from alumni_assets.sheet.exporting import Exporter

        limits, home = self._survey.contract().rules.limits, self.settings.home
        folders = ("sheet/pending/", f"{layout.REGISTER}exports/")
        listed = [entry.key.split("/") for folder in folders for entry in self._lake.list(folder)]
        sheets = {parts[2] for parts in listed if len(parts) == 4}
        for sheet in sorted(sheets):
            Exporter(self._lake, home, sheet, limits, _no_sheet, utc_now).finish()
            if employee_id is not None and (person := hash_of_id(employee_id)):
                forget_person(self._lake, home, sheet, person)

    def _make_all_tables_anew(self) -> None:
        """From an empty warehouse: DuckDB keeps in its file what was deleted. Then all that is published is written."""
        WarehouseResource(home=str(self.settings.home)).begin_anew()
        self._renew((), "", "")
        delete_other_tables(self._lake)

    def prepare_report(self) -> str:
        """Prepare this week's report; returns where its PDF is. What keeps it from being prepared is in `broken`."""
        from alumni_assets.report.keeping import PDF

        self._take_turn()
        self._execute("Preparing the report", jobs.PREPARE_REPORT.name, {}, {})
        edition = self._reports().find(self._week())
        return self._lake.url(edition.key(PDF)) if edition else ""

    def send_report(self) -> "Sending":
        """Send this week's report to all that have not got it; what keeps it from being sent is in `broken`."""
        from alumni_assets.report.sending import Sender

        self._take_turn()
        self._execute("Sending the report", jobs.SEND_REPORT.name, {}, {})
        zone = self._survey.contract().rules.time_zone
        return Sender(self._reports(), self.settings.report, zone).standing(self._week())

    def _reports(self) -> "Reports":
        from alumni_assets.report.keeping import Reports

        return Reports(self._lake, self.settings.home)

    def _week(self) -> str:
        return week_of(utc_now(), self._survey.contract().rules.time_zone)

    def begin_telling(self) -> None:
        """From now on people elsewhere are told what happens; without this, from the end of the first pass on."""
        channels = self.notifier.remote_channels()
        if channels:
            self._teller().begin(channels)

    def tell(self, insist: bool = False) -> Deliveries:
        """Tell people elsewhere what happened, by e-mail and SNS; the log is the sensor's.

        With `insist`, what was given up or is to be tried later is tried now.
        """
        channels = self.notifier.remote_channels()
        return self._teller().tell(channels, insist) if channels else Deliveries()

    def untold(self) -> Deliveries:
        """The messages that did not get through yet."""
        channels = self.notifier.remote_channels()
        return self._teller().standing(channels) if channels else Deliveries()

    def _teller(self) -> Teller:
        return self.notifier.teller(self._lake, self._survey, self._instance)

    def _take_turn(self) -> None:
        """Wait until no other command is at work; the turn lasts until the command ends."""
        self._stack.enter_context(command_at_work(self.settings.home, self._instance))

    def _take_in_all(self) -> None:
        contract = self._survey.contract()
        given_up = self._enter_again(partial(pending_work.find_unreported, self._register, contract))
        given_up |= self._enter_again(
            partial(pending_work.find_lost, self._lake, self._register, contract, self._instance)
        )
        tried: set[str] = set()
        patience = time.monotonic() + _SETTLINGS * contract.rules.uploads.settle_seconds
        while (plan := self._next_new(tried, patience)).runs:
            keys = plan.runs[0]
            tried |= set(keys)
            self._execute(f"Taking in {len(keys):,} uploads", jobs.TAKE_IN.name, jobs.take_in_config(keys))
        given_up |= set(plan.given_up) - tried
        if given_up:
            self.broken.append(pending_work.given_up_sentence(sorted(given_up), contract))

    def _enter_again(self, find: Callable[[], intake_plan.Plan]) -> set[str]:
        """Enter uploads again that were found to need it; returns those that are not tried any more."""
        again = find()
        for uploads in again.runs:
            config = jobs.take_in_config((), uploads)
            self._execute(f"Entering {len(uploads):,} uploads again", jobs.TAKE_IN.name, config)
        return set(again.given_up)

    def _next_new(self, tried: Collection[str], patience: float) -> intake_plan.Plan:
        """What to take in next; until the time `patience` waits for files that were written just now."""
        contract = self._survey.contract()
        while True:
            plan = pending_work.find_new(self._lake, self._register, contract, self._instance)
            untried = replace(
                plan,
                together=tuple(key for key in plan.together if key not in tried),
                alone=tuple(key for key in plan.alone if key not in tried),
            )
            settle_seconds = contract.rules.uploads.settle_seconds
            if untried.runs or time.monotonic() > patience or not self._is_settling(settle_seconds):
                return untried
            time.sleep(settle_seconds / 2)

    def _is_settling(self, seconds: float) -> bool:
        now = datetime.now(UTC)
        unknown = intake_plan.unknown_objects(self._lake.list(layout.RAW), self._register.remembered())
        return any(intake_plan.is_settling(entry, now, seconds) for entry in unknown)

    def _archive(self, uploads: Sequence[str]) -> None:
        """Archive what a run that was killed or broke has left unarchived."""
        if uploads:
            config, tags = jobs.archive_config(uploads), jobs.approve_tags(uploads)
            self._execute(f"Archiving {len(uploads):,} uploads", jobs.ARCHIVE.name, config, tags)

    @contextmanager
    def _renewing(self) -> Iterator[None]:
        """Renew the tables after a decision; also where it was made before, by a command that may have been killed."""
        try:
            yield
        except approval.DoneAlreadyError:
            self._renew((), "", "")
            raise
        self._renew((), "", "")

    def _renew(self, uploads: Sequence[str], approver: str, note: str) -> None:
        if uploads:
            worked = self._execute(
                f"Transforming {len(uploads):,} uploads",
                jobs.APPROVE.name,
                jobs.approve_config(uploads, approver, note),
                jobs.approve_tags(uploads),
            )
            if worked:
                return
        self._execute("Renewing the tables", jobs.RENEW.name, {})

    def _execute(
        self, doing: str, job: str, config: Mapping[str, Any], tags: Mapping[str, str] = RENEWS_BELOW_TAGS
    ) -> bool:
        """Whether one Dagster run in this process worked; why it did not is in `broken`."""
        return self._executed(doing, job, config, tags).success

    def _executed(
        self, doing: str, job: str, config: Mapping[str, Any], tags: Mapping[str, str]
    ) -> ExecuteInProcessResult:
        """One Dagster run in this process, with a progress display on a terminal."""
        run_id = make_new_run_id()
        with (
            self._progress(doing, run_id),
            giving_signs(self._instance, run_id),
            event_store_kept_open(self._instance, run_id),
        ):
            result = self._defs.resolve_job_def(job).execute_in_process(
                run_config={**config, **_QUIET},
                instance=self._instance,
                tags={**tags, **COMMAND_TAGS, **jobs.NEVER_RETRIED_TAGS},
                run_id=run_id,
                raise_on_error=False,
            )
        if not result.success:
            self.broken += [_failure(event) for event in result.all_events if event.is_step_failure]
        return result

    @contextmanager
    def _progress(self, doing: str, run_id: str) -> Any:
        with self._console.status(f"{doing} …") as display:

            def show(event: EventLogEntry, _cursor: object) -> None:
                if event.dagster_event is None:
                    display.update(f"{doing} … {event.user_message}")
                elif event.dagster_event_type is DagsterEventType.STEP_START:
                    display.update(f"{doing} … {event.step_key}")

            self._instance.watch_event_logs(run_id, None, show)
            try:
                yield
            finally:
                self._instance.end_watch_event_logs(run_id, show)

    def _report(self, before: Facts | None, facts: Facts, named: Collection[str] = ()) -> dict[str, Any]:
        lines = upload_lines.lines(facts) if before is None else upload_lines.changed_lines(before, facts, named)
        return {
            "uploads": [*lines, *upload_lines.failed_lines(self._lake, self._register, facts)],
            "alumni": self._alumni(),
            "published": self._lake.url(FOLDER.rstrip("/")),
            "broken": self.broken,
        }

    def _alumni(self) -> int:
        key = table_key("alumni")
        if self._lake.stat(key) is None:
            return 0
        with self._lake.open(key) as stream:
            return int(pq.ParquetFile(stream).metadata.num_rows)


def _no_sheet() -> NoReturn:
    raise AssertionError("nothing is exported")


def _failure(event: Any) -> str:
    return f"{event.step_key}: {failure_sentence(event.step_failure_data)} The run in the Dagster UI has the details."
