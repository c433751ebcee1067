"""The `alumni` command: for scripts, cron and people who want no UI.

Everything it does is a Dagster run in the same instance, so the UI shows it. Exit status: 0 when it worked,
whatever the quality of the data; 1 when something broke; 2 for a mistake in the call.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alumni_assets.survey_rules import SurveyRulesError, load_rules

if TYPE_CHECKING:
    from alumni_assets.notifications.delivery import Deliveries
    from alumni_assets.one_pass import OnePass
    from alumni_assets.report.sending import Sending
    from alumni_assets.stages.erasing import Erased
    from alumni_assets.stages.person_rows import PersonRows
    from alumni_assets.stages.restoring import RestoredFile


# What `--json` says of an upload; the table for people has its open rows besides.
_LINE = ("upload", "status", "rows", "valid", "invalid", "reason")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Take in alumni surveys, approve them, and keep the tables and answers up to date.

    Put survey files into the folder raw/ of the lake (ALUMNI_LAKE, by default ./lake).
    """


@cli.command()
@click.option("--approve", is_flag=True, help="Approve and transform every upload that waits.")
@click.option("--approved-by", metavar="NAME", help="Who approves (default: ALUMNI_APPROVER).")
@click.option("--note", metavar="TEXT", default="", help="Remembered with the approval.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def run(approve: bool, approved_by: str | None, note: str, as_json: bool) -> None:
    """Take in every upload that waits under raw/, and bring all tables up to date."""
    from alumni_assets.one_pass import OnePass

    with OnePass() as one_pass, _telling(one_pass):
        approver = approved_by if approved_by is not None else one_pass.settings.approver
        if approve and not approver.strip():
            raise click.UsageError("--approve needs a name: --approved-by NAME, or set ALUMNI_APPROVER.")
        report = one_pass.run(approver if approve else None, note)
    _finish(report, as_json)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """List every upload and where it stands."""
    from alumni_assets.one_pass import OnePass

    with OnePass() as one_pass:
        _print_report(one_pass.status(), as_json)
        _print_untold(one_pass.untold())


@cli.command()
@click.argument("upload")
@click.option("--reason", required=True, metavar="TEXT", help="Why its rows are taken out.")
@click.option("--by", metavar="NAME", help="Who withdraws it (default: ALUMNI_APPROVER).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def withdraw(upload: str, reason: str, by: str | None, as_json: bool) -> None:
    """Take the rows of UPLOAD out of all tables again."""
    from alumni_assets.one_pass import OnePass

    with OnePass() as one_pass, _refusals_are_usage_errors(), _telling(one_pass):
        report = one_pass.withdraw(upload, by if by is not None else one_pass.settings.approver, reason)
    _finish(report, as_json)


@cli.command()
@click.option("--open", "only_open", is_flag=True, help="Only the rows that wait to be corrected.")
@click.option("--upload", metavar="UPLOAD", help="Only the rows of this upload.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def quarantine(only_open: bool, upload: str | None, as_json: bool) -> None:
    """List the rows that were set aside, why, and what has become of them.

    A row's number is that of the column _row in the correction file.
    """
    from alumni_assets.one_pass import OnePass

    with OnePass() as one_pass, _refusals_are_usage_errors():
        rows = one_pass.quarantine(upload, only_open)
        if as_json:
            click.echo('{"rows": [')
            for number, row in enumerate(rows):
                click.echo(f"{', ' if number else ''}{json.dumps(row, ensure_ascii=False)}")
            click.echo("]}")
        else:
            _print_quarantine(rows)


@cli.command()
@click.argument("upload")
@click.argument("rows", nargs=-1, required=True, metavar="ROW...")
@click.option("--reason", required=True, metavar="TEXT", help="Why they are closed.")
@click.option("--by", metavar="NAME", help="Who closes them (default: ALUMNI_APPROVER).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def waive(upload: str, rows: tuple[str, ...], reason: str, by: str | None, as_json: bool) -> None:
    """Close open rows of UPLOAD without a correction.

    ROW is a number from the column _row of the correction file, a range such as 20-35, or all.
    """
    from alumni_assets.one_pass import OnePass

    with OnePass() as one_pass, _refusals_are_usage_errors(), _telling(one_pass):
        report = one_pass.waive(upload, rows, by if by is not None else one_pass.settings.approver, reason)
    _finish(report, as_json)


@cli.command()
@click.argument("upload")
@click.option(
    "--days",
    type=click.IntRange(1, 365),
    default=7,
    show_default=True,
    help="How long copies from cold storage stay readable.",
)
@click.option(
    "--tier",
    type=click.Choice(["Standard", "Bulk"], case_sensitive=False),
    default="Bulk",
    show_default=True,
    help="How fast cold storage hands them out: Standard is faster and dearer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restore(upload: str, days: int, tier: str, as_json: bool) -> None:
    """Bring back UPLOAD from the archive, and make everything again that is made from it.

    Copies in cold storage are asked for; call this again to see how it stands, until all are there.
    """
    from alumni_assets.one_pass import OnePass

    with OnePass() as one_pass, _refusals_are_usage_errors():
        files, report = one_pass.restore(upload, days, tier)
    _print_restored(files, as_json)
    if report["broken"]:
        raise click.ClickException("\n".join(report["broken"]))


@cli.command()
@click.argument("employee_id", required=False)
@click.option("--reason", metavar="TEXT", help="Why; remembered for ever, so it must not tell who.")
@click.option("--by", metavar="NAME", help="Who erases (default: ALUMNI_APPROVER).")
@click.option("--dry-run", is_flag=True, help="Only count the person's rows, upload by upload.")
@click.option("--again", is_flag=True, help="Erase all who were erased before, again: after restoring a backup.")
@click.option(
    "--delete-unreadable", is_flag=True, help="Delete the files of uploads that cannot be read, and so not searched."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def erase(
    employee_id: str | None,
    reason: str | None,
    by: str | None,
    dry_run: bool,
    again: bool,
    delete_unreadable: bool,
    as_json: bool,
) -> None:
    """Take all rows of the person with EMPLOYEE_ID out of everything, and keep them out from now on.

    This cannot be undone. It may be repeated, and has to be where it was cut short.
    """
    from alumni_assets.one_pass import OnePass

    if (employee_id is None) != again:
        raise click.UsageError("Give either an EMPLOYEE_ID or --again.")
    if dry_run and again:
        raise click.UsageError("--dry-run counts the rows of one person: give an EMPLOYEE_ID.")
    with OnePass() as one_pass, _refusals_are_usage_errors():
        if dry_run and employee_id is not None:
            _print_counts(one_pass.rows_of_person(employee_id), as_json)
            return
        who = by if by is not None else one_pass.settings.approver
        _require_said(who, reason, employee_id, again)
        done = one_pass.erase(employee_id, who.strip(), (reason or "").strip(), delete_unreadable)
        broken = list(one_pass.broken)
    _print_erased(done, delete_unreadable, as_json)
    if broken:
        raise click.ClickException("\n".join(broken))
    if not done.is_complete:
        sys.exit(1)


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def expire(dry_run: bool, as_json: bool) -> None:
    """Delete what is older than the survey's configuration says (retention), and no longer needed.

    A schedule in Dagster does it too, once something has an age there.
    """
    from alumni_assets.one_pass import OnePass

    with OnePass() as one_pass, _refusals_are_usage_errors():
        counts = one_pass.expire(dry_run)
        broken = list(one_pass.broken)
    if broken:
        raise click.ClickException("\n".join(broken))
    _print_expired(counts, dry_run, as_json)


@cli.command()
@click.argument("employee_id")
@click.option(
    "--to",
    "path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to a new file that only you can read, instead of printing it.",
)
def export(employee_id: str, path: Path | None) -> None:
    """Print all that is held about the person with EMPLOYEE_ID, as JSON."""
    from alumni_assets.one_pass import OnePass

    with OnePass() as one_pass, _refusals_are_usage_errors():
        held = one_pass.held_about(employee_id)
    text = f"{json.dumps(held, ensure_ascii=False, indent=1)}\n"
    if path is None:
        click.echo(text, nl=False)
        return
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error
    rows = sum(len(upload["rows"]) for upload in held["uploads"])
    click.echo(f"{rows:,} rows in {len(held['uploads']):,} uploads: {path}")


@cli.command()
@click.argument("uploads", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def revalidate(uploads: tuple[str, ...], as_json: bool) -> None:
    """Judge UPLOADS again (default: all that were judged by other rules than today's).

    An upload that is judged differently now has to be approved again; its old rows count until then.
    """
    from alumni_assets.one_pass import OnePass

    with OnePass() as one_pass, _refusals_are_usage_errors(), _telling(one_pass):
        report = one_pass.revalidate(uploads)
    _finish(report, as_json)


@cli.command()
@click.option("--test", is_flag=True, help="Send a test message instead, to see whether it arrives.")
def notify(test: bool) -> None:
    """Send every message that did not get through yet, by e-mail and SNS, also those that were given up."""
    from alumni_assets.notifications.delivery import send_test
    from alumni_assets.one_pass import OnePass

    with OnePass() as one_pass:
        channels = one_pass.notifier.remote_channels()
        if not channels:
            raise click.UsageError("ALUMNI_NOTIFY names neither email nor sns, so there is nobody to send to.")
        result = send_test(channels, one_pass.notifier.links) if test else one_pass.tell(insist=True)
    click.echo(f"Messages sent: {result.sent}.")
    _print_untold(result)
    if result.failures or result.given_up or result.outage:
        sys.exit(1)


@cli.command()
@click.option("--send", is_flag=True, help="Send the prepared report to all in ALUMNI_REPORT_TO that have not got it.")
@click.option(
    "--preview",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Only write the report as it would be prepared now to FOLDER: HTML, text, PDF and the e-mail itself.",
)
def report(send: bool, preview: Path | None) -> None:
    """Prepare this week's report from what is published; nothing is sent without --send."""
    from alumni_assets.one_pass import OnePass

    if send and preview:
        raise click.UsageError("--send and --preview exclude each other.")
    if preview:
        _preview_report(preview)
        return
    with OnePass() as one_pass:
        is_done = _print_sending(one_pass.send_report()) if send else _print_prepared(one_pass.prepare_report())
        if one_pass.broken:
            raise click.ClickException("\n".join(one_pass.broken))
    if not is_done:
        sys.exit(1)


@cli.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="Where to serve it (default: ALUMNI_DASHBOARD_PORT, or 8300)."
)
def dashboard(port: int | None) -> None:
    """Serve the dashboard on this machine; an open page renews itself. Ctrl+C ends it."""
    from alumni_assets.dashboard.serving import serve
    from alumni_assets.resources.lake import LakeResource
    from alumni_assets.settings import load_settings, prepare_lake

    settings = load_settings()
    prepare_lake(settings)
    serve(
        LakeResource(location=settings.lake).lake(),
        settings.dashboard_port if port is None else port,
        lambda address: click.echo(f"The dashboard is at {address}"),
    )


@cli.command()
@click.option("--rows", type=click.IntRange(min=0), required=True, help="How many rows.")
@click.option(
    "--dirty", type=click.FloatRange(0, 1), default=0.0, metavar="SHARE", help="Share of invalid rows, 0 to 1."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="The same seed gives the same file.")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
def generate(rows: int, dirty: float, seed: int, path: Path) -> None:
    """Write a synthetic upload to PATH, as CSV."""
    from alumni_assets.contract import Contract
    from alumni_assets.settings import load_settings
    from alumni_assets.survey.sampling import write_sample

    try:
        write_sample(path, rows, dirty, seed, Contract(load_rules(load_settings().rules)))
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error


def main() -> None:
    """Run the command; what goes wrong is told in a sentence, without a traceback."""
    from alumni_assets.settings import SettingsError

    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        _fail("Interrupted; what was under way is done again by the next `alumni run`.", 1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (SettingsError, SurveyRulesError) as error:
        _fail(str(error), 2)
    except Exception as error:
        _fail(_sentence(error), 1)


def _sentence(error: Exception) -> str:
    """Our own errors are sentences that name no person; of others only the kind is safe to show."""
    from alumni_assets.machine_faults import SENTENCE, is_of_the_machine

    if type(error).__module__.startswith("alumni_assets"):
        return str(error)
    if is_of_the_machine(error):
        return SENTENCE
    return f"Something unexpected broke ({type(error).__name__}). The run in the Dagster UI has the details."


def _fail(message: str, code: int) -> None:
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)


@contextmanager
def _refusals_are_usage_errors() -> Iterator[None]:
    """What may not be done to what was named is a mistake in the call."""
    from alumni_assets.stages.approval import ApprovalRefusedError
    from alumni_assets.stages.keeping_out import ErasingError

    try:
        yield
    except (ApprovalRefusedError, ErasingError) as refusal:
        raise click.UsageError(str(refusal)) from refusal


@contextmanager
def _telling(one_pass: "OnePass") -> Iterator[None]:
    """Tell people what happens inside, also when it breaks."""
    with suppress(Exception):  # what keeps it from beginning is said when people are told
        one_pass.begin_telling()
    try:
        yield
    except Exception:
        _tell(one_pass)
        raise
    _tell(one_pass)


def _tell(one_pass: "OnePass") -> None:
    """Whether people can be told changes nothing for the pass; the next one, or the sensor, tries again."""
    try:
        _print_untold(one_pass.tell())
    except Exception as error:
        click.echo(f"People could not be told. {_sentence(error)}", err=True)


def _print_untold(result: "Deliveries") -> None:
    from alumni_assets.notifications.delivery import sentence

    if text := sentence(result):
        click.echo(text, err=True)


def _finish(report: dict[str, Any], as_json: bool) -> None:
    """Print what a pass did; the exit status is 1 when something broke."""
    _print_report(report, as_json)
    if report["broken"]:
        raise click.ClickException("\n".join(report["broken"]))


def _print_report(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        uploads = [{name: row[name] for name in _LINE} for row in report["uploads"]]
        shown = {"uploads": uploads, "alumni": report["alumni"], "published": report["published"]}
        click.echo(json.dumps(shown, ensure_ascii=False))
    else:
        _print_table(report["uploads"])
        click.echo(f"{report['alumni']:,} alumni; published in {report['published']}")


def _print_restored(files: Sequence["RestoredFile"], as_json: bool) -> None:
    from alumni_assets.stages.restoring import waits

    is_done = not waits(files)
    if as_json:
        shown = {"restored": is_done, "files": [{"key": file.key, "state": file.state} for file in files]}
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    for file in files:
        click.echo(f"{file.key}: {file.state}")
    if not is_done:
        click.echo("Cold storage takes hours. Nothing is brought back before all is readable: call this again later.")


def _require_said(who: str, reason: str | None, employee_id: str | None, again: bool) -> None:
    if not who.strip():
        raise click.UsageError("Say who erases: --by NAME, or set ALUMNI_APPROVER.")
    if not again and not (reason or "").strip():
        raise click.UsageError("Say why: --reason TEXT.")
    if employee_id and employee_id.strip() in (reason or ""):
        raise click.UsageError("The reason is remembered for ever: it must not have the employee id in it.")


def _print_counts(found: "PersonRows", as_json: bool) -> None:
    from alumni_assets.stages.erasing import rows_by_upload

    rows = rows_by_upload(found)
    if as_json:
        click.echo(json.dumps({"rows": rows, "unread": found.unread, "missing": found.missing}, ensure_ascii=False))
        return
    for upload, count in rows.items():
        click.echo(f"{upload}: {count:,} rows")
    click.echo(f"{sum(rows.values()):,} rows in {len(rows):,} uploads. Nothing was changed.")
    _print_unread(found.unread)


def _print_erased(done: "Erased", deleted: bool, as_json: bool) -> None:
    if as_json:
        shown = {
            "rows": done.rows,
            "objects": done.objects,
            "complete": done.is_complete,
            "waiting": done.waiting,
            "uncut": done.uncut,
            "unread": [] if deleted else done.unread,
        }
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    for upload, count in done.rows.items():
        click.echo(f"{upload}: {count:,} rows")
    click.echo(f"{sum(done.rows.values()):,} rows in {len(done.rows):,} uploads; {done.objects:,} objects rewritten.")
    for key in done.waiting:
        click.echo(f"{key} is in cold storage, and was asked for.")
    if done.waiting:
        click.echo("Cold storage takes hours. Nothing else holds the person; call this again until nothing waits.")
    for upload in done.uncut:
        click.echo(
            f"{upload} cannot be rewritten without changing other rows: upload a mended file, and delete this one."
        )
    if not deleted:
        _print_unread(done.unread)
    click.echo(
        "Not reached from here: the Google Sheet behind the form, files that people have downloaded, e-mails, and "
        "backups. docs/privacy.md says more."
    )


def _print_expired(counts: dict[str, int], dry_run: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(counts))
        return
    layers = ("raw", "pinned", "correction_files", "reports")
    for layer in layers:
        click.echo(f"{layer}: {counts[layer]:,}")
    done = "would be deleted" if dry_run else "deleted"
    click.echo(f"{sum(counts[layer] for layer in layers):,} objects of {counts['bytes']:,} bytes {done}.")
    if counts["unverified"]:
        click.echo(f"{counts['unverified']:,} stay: archived copies that would be left of them cannot be verified.")
    if counts["changed"]:
        click.echo(f"{counts['changed']:,} stay: they were written again meanwhile.")


def _print_unread(uploads: Sequence[str]) -> None:
    for upload in uploads:
        click.echo(
            f"{upload} cannot be read as rows, so it could not be searched. --delete-unreadable deletes its files."
        )


def _preview_report(folder: Path) -> None:
    from alumni_assets.report.keeping import Reports
    from alumni_assets.report.preparing import write_preview
    from alumni_assets.report.weeks import week_of
    from alumni_assets.resources.lake import LakeResource
    from alumni_assets.settings import load_settings, prepare_lake
    from alumni_assets.stages.intake import utc_now

    settings = load_settings()
    prepare_lake(settings)
    rules, now = load_rules(settings.rules), utc_now()
    reports = Reports(LakeResource(location=settings.lake).lake(), settings.home)
    try:
        paths = write_preview(folder, reports, week_of(now, rules.time_zone), settings.report.sender, rules, now)
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder} cannot be written: {error.strerror}.") from error
    for path in paths:
        click.echo(path)


def _print_prepared(pdf: str) -> bool:
    if pdf:
        click.echo(f"{pdf}\nLook at it; `alumni report --send` sends it.")
    return bool(pdf)


def _print_sending(sending: "Sending") -> bool:
    """How it stands with everybody; returns whether all have got the report."""
    for outcome in sending.outcomes:
        click.echo(f"{outcome.receiver}: {outcome.state}{'. ' if outcome.reason else ''}{outcome.reason}")
    return len(sending.having("sent")) == len(sending.outcomes)


def _print_quarantine(rows: Iterator[dict[str, Any]]) -> None:
    """One line for each row and one below for each of its problems, as they come: there may be many."""
    first = next(rows, None)
    if first is None:
        click.echo("No rows.")
        return
    for row in chain([first], rows):
        click.echo(f"{row['upload']}  _row {row['row']} (row {row['row_in_file']} of the file): {_life(row)}")
        for problem in row["problems"]:
            column = f"{problem['column']}: " if problem["column"] else ""
            meant = f" Did you mean {problem['suggestion']}?" if problem["suggestion"] else ""
            click.echo(f"    {column}{problem['message']}{meant}")


def _life(row: dict[str, Any]) -> str:
    if row["status"] == "resolved":
        return f"resolved by {row['corrected_by']}"
    if row["status"] == "waived":
        return f"waived by {_harmless(row['waived_by'])}: {_harmless(row['waiver_reason'])}"
    returned = f", came back still wrong in {row['returned_in']}" if row["returned_in"] else ""
    return f"{row['status']}{returned}"


def _print_table(uploads: Sequence[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    if not uploads:
        click.echo("No uploads.")
        return
    # Ids are there to be copied: a long one goes on in the next line instead of ending in dots.
    folded = [Column(name, overflow="fold") for name in ("upload", "reason")]
    counts = ("rows", "valid", "invalid", "open")
    table = Table(folded[0], "status", *counts, folded[1], box=box.SIMPLE)
    for row in uploads:
        numbers = ["" if row[name] is None else f"{row[name]:,}" for name in counts]
        table.add_row(Text(row["upload"]), row["status"], *numbers, Text(_harmless(row["reason"] or "")))
    Console().print(table)


def _harmless(text: str) -> str:
    """What others typed, in one line: a terminal may take control characters in it for commands."""
    return text if text.isprintable() else repr(text)[1:-1]
