"""The words of every message, for people who do not program: what happened, the numbers, what to do, where to look.

No cell of an upload gets into a message, so no alumnus' data does. Names of files and the like are shown bounded and
without control characters, and only in the body: subjects are made of fixed words and numbers. When a message is due
is decided in `notices.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from alumni_assets import presentation
from alumni_assets.contract import Code

_LISTED = 20
_LONGEST_REASON = 400


@dataclass(frozen=True)
class Links:
    """Pages of the Dagster UI at an address such as `https://dagster.school.edu.ph`."""

    ui_url: str

    def asset(self, name: str) -> str:
        """An asset."""
        return f"{self.ui_url}/assets/{name}"

    def upload(self, asset: str, upload: str) -> str:
        """An asset's partition."""
        return f"{self.asset(asset)}?view=partitions&partition={quote(upload, safe='')}"

    def check(self, asset: str, name: str) -> str:
        """A check of an asset."""
        return f"{self.asset(asset)}?view=checks&checkDetail={name}"

    def run(self, run_id: str) -> str:
        """A run."""
        return f"{self.ui_url}/runs/{run_id}"

    def automation(self) -> str:
        """The sensors."""
        return f"{self.ui_url}/automation"


@dataclass(frozen=True)
class Words:
    """A message's subject, one line of ASCII, and its body, plain text."""

    subject: str
    body: str


@dataclass(frozen=True)
class RejectedUpload:
    """An upload that could not be read, and why."""

    upload: str
    reason: str


@dataclass(frozen=True)
class WaitingUpload:
    """An upload that waits for approval."""

    upload: str
    valid: int
    invalid: int
    failed_checks: tuple[str, ...]


@dataclass(frozen=True)
class OpenUpload:
    """An upload with open rows; `reasons` counts the cells of all its invalid rows by `column:code`."""

    upload: str
    open: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class TransformedUpload:
    """An upload that was transformed. `closed` is its status where its rows do not count any more."""

    upload: str
    rows: int
    exact_duplicates: int
    approved_by: str
    closed: str


@dataclass(frozen=True)
class StuckUpload:
    """An upload that was approved and is not transformed."""

    upload: str
    approved_by: str


@dataclass(frozen=True)
class FailedRun:
    """A run that failed: what it was doing, in which step, and the error as far as it may be shown."""

    run_id: str
    doing: str
    step: str
    reason: str
    failed_at: datetime
    is_transformation: bool


@dataclass(frozen=True)
class Renewal:
    """A run that renewed the table with one row per alumnus."""

    run_id: str
    at: datetime
    alumni: int
    added: int
    removed: int


def rejected(uploads: Sequence[RejectedUpload], links: Links) -> Words:
    """Uploads were rejected."""
    lines = [(f"{_name(it.upload)}: {_sentence(it.reason)}", links.upload("raw_survey", it.upload)) for it in uploads]
    return Words(
        f"{_count(len(uploads), 'upload')} rejected",
        _body(
            f"{_count(len(uploads), 'upload')} could not be read and {_verb(len(uploads), 'was', 'were')} rejected "
            "as a whole.",
            _listed(lines),
            "What to do: mend the file as its reason says, and put it into raw/ again under the same name. Until then "
            "nothing of it counts.",
        ),
    )


def waiting(new: Sequence[WaitingUpload], all_waiting: Sequence[WaitingUpload], links: Links) -> Words:
    """Valid rows wait for approval; `new` are the uploads that no earlier message spoke of."""
    rows, in_all = sum(it.valid for it in new), sum(it.valid for it in all_waiting)
    return Words(
        f"{_count(rows, 'new valid row')} to approve",
        _body(
            f"{_count(rows, 'new valid row')} in {_count(len(new), 'upload')} {_verb(rows, 'waits', 'wait')} for "
            "your approval.",
            _listed([(_waiting_line(it), links.upload("validated_survey", it.upload)) for it in new]),
            f"In all, {_count(in_all, 'valid row')} in {_count(len(all_waiting), 'upload')} "
            f"{_verb(in_all, 'waits', 'wait')} now.",
            "What to do: look at the uploads, then open transformed_survey, click Materialize, choose them and launch. "
            "That approves them; until then their rows do not count.\n"
            f"{links.asset('transformed_survey')}",
        ),
    )


def open_invalid(new: Sequence[OpenUpload], all_open: Sequence[OpenUpload], links: Links) -> Words:
    """Invalid rows are open; `new` are the uploads that no earlier message spoke of."""
    rows, in_all = sum(it.open for it in new), sum(it.open for it in all_open)
    return Words(
        f"{_count(rows, 'new invalid row')} to correct",
        _body(
            f"{_count(rows, 'new invalid row')} in {_count(len(new), 'upload')} {_verb(rows, 'was', 'were')} set "
            "aside.",
            _listed([(_open_line(it), links.upload("invalid_survey", it.upload)) for it in new]),
            f"In all, {_count(in_all, 'invalid row')} in {_count(len(all_open), 'upload')} "
            f"{_verb(in_all, 'is', 'are')} open now.",
            "What to do: the check no_open_rows of invalid_survey shows each upload's open rows with their number in "
            "your file, every reason, and where the correction file lies. Copy that, mend its marked cells, and put it "
            "into raw/ under any name.\n"
            f"{links.check('invalid_survey', 'no_open_rows')}",
        ),
    )


def transformed(uploads: Sequence[TransformedUpload], links: Links) -> Words:
    """Uploads were transformed."""
    rows = sum(it.rows for it in uploads)
    lines = [(_transformed_line(it), links.upload("transformed_survey", it.upload)) for it in uploads]
    return Words(
        f"Transformation succeeded: {_count(rows, 'row')}",
        _body(
            f"{_count(rows, 'row')} of {_count(len(uploads), 'approved upload')} {_verb(rows, 'was', 'were')} "
            "transformed.",
            _listed(lines),
            "What to do: nothing. The tables, the answers and the published files follow by themselves. To take an "
            "upload out again: alumni withdraw UPLOAD --reason TEXT",
        ),
    )


def transformation_failed(runs: Sequence[FailedRun], stuck: Sequence[StuckUpload], links: Links) -> Words:
    """Runs failed to transform, or approved uploads are not transformed."""
    lines = [
        (f"{_name(it.upload)}, approved by {_name(it.approved_by)}", links.upload("transformed_survey", it.upload))
        for it in stuck
    ]
    return Words(
        "Transformation failed",
        _body(
            f"{_count(len(runs), 'run')} that {_verb(len(runs), 'was', 'were')} to transform failed." if runs else "",
            _listed([(_run_line(it), links.run(it.run_id)) for it in runs]),
            f"{_count(len(stuck), 'upload')} {_verb(len(stuck), 'is', 'are')} approved but not transformed:"
            if stuck
            else "",
            _listed(lines),
            "What to do: see why in the run, and in the checks of transformed_survey; mend that, and materialize "
            "transformed_survey for the uploads again. Rows that counted before still count.\n"
            f"{links.asset('transformed_survey')}",
        ),
    )


def deduplicated(renewals: Sequence[Renewal], links: Links) -> Words:
    """The table with one row per alumnus was renewed."""
    added, removed = sum(it.added for it in renewals), sum(it.removed for it in renewals)
    alumni = max(renewals, key=lambda it: it.at).alumni if renewals else 0
    return Words(
        f"Deduplication succeeded: {alumni:,} alumni",
        _body(
            f"The table of alumni is renewed: {alumni:,} alumni, one row for each.",
            f"Rows that came: {added:,}. Rows that went: {removed:,}.",
            "What to do: nothing. The answers and the published files follow by themselves.\n"
            f"{links.asset('deduplicated_survey')}",
        ),
    )


def failed(runs: Sequence[FailedRun], links: Links) -> Words:
    """Runs failed."""
    return Words(
        f"{_count(len(runs), 'run')} failed",
        _body(
            f"{_count(len(runs), 'run')} failed.",
            _listed([(_run_line(it), links.run(it.run_id)) for it in runs]),
            "What to do: open the run, its last lines say what broke. Taking in an upload is tried again by itself a "
            "few times; anything else is started again with Re-execute, once the cause is mended.",
        ),
    )


def lake_unreadable(reason: str, links: Links) -> Words:
    """The lake cannot be read."""
    return Words(
        "The lake cannot be read",
        _body(
            "The folder or bucket that holds the uploads cannot be read or written. Until it can, nothing new is "
            "taken in, and no other message is sent.",
            _sentence(reason),
            "What to do: see that the disk or the bucket is there and that the pipeline may use it. Nothing is lost; "
            "work goes on by itself. There is no further message about this until it has worked again.\n"
            f"{links.automation()}",
        ),
    )


def test(links: Links) -> Words:
    """What somebody sent to see whether messages arrive."""
    return Words(
        "Test message",
        _body(
            "This is a test of the alumni survey's notifications: they arrive here.",
            f"What to do: nothing. Links lead to {links.ui_url}",
        ),
    )


def _waiting_line(it: WaitingUpload) -> str:
    blocked = f"; may only be approved with a reason, for it failed {', '.join(it.failed_checks)}"
    return (
        f"{_name(it.upload)}: {_count(it.valid, 'valid row')}, {it.invalid:,} invalid"
        f"{blocked if it.failed_checks else ''}"
    )


def _open_line(it: OpenUpload) -> str:
    reasons = {(column, code): count for (column, _, code), count in _parted(it.reasons) if code in set(Code)}
    why = f" ({presentation.reasons_in_words(reasons)})" if reasons else ""
    return f"{_name(it.upload)}: {_count(it.open, 'open row')}{why}"


def _parted(reasons: Mapping[str, int]) -> list[tuple[tuple[str, str, str], int]]:
    return [(name.rpartition(":"), count) for name, count in reasons.items()]


def _transformed_line(it: TransformedUpload) -> str:
    dropped = f", {_count(it.exact_duplicates, 'exact duplicate')} dropped" if it.exact_duplicates else ""
    closed = f" ({it.closed} since)" if it.closed else ""
    return f"{_name(it.upload)}: {_count(it.rows, 'row')}{dropped}, approved by {_name(it.approved_by)}{closed}"


def _run_line(it: FailedRun) -> str:
    step = f", step {_name(it.step)}" if it.step else ""
    return f"{_name(it.doing)}{step}: {_sentence(it.reason)}"


def _listed(lines: Sequence[tuple[str, str]]) -> str:
    """Lines with their links, the first few where there are many."""
    shown = [f"- {line}\n  {link}" for line, link in lines[:_LISTED]]
    more = len(lines) - len(shown)
    return "\n".join([*shown, f"- and {more:,} more"] if more else shown)


def _body(*paragraphs: str) -> str:
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many


def _name(text: str) -> str:
    return presentation.shown(text)


def _sentence(text: str) -> str:
    """A sentence of our own, in which a file's name may be quoted: one bounded line, nothing in it unprintable."""
    line = "".join(character if character.isprintable() else " " for character in " ".join(text.split()))
    line = line.encode("utf-8", "replace").decode()
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"
