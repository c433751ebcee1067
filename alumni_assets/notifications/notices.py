"""What people are to be told: a pure function of what the register and Dagster's runs say.

Everything that can be told is an event with a name of its own (`event`). A notice tells of all events of one kind that
no earlier notice covers, so that a burst of uploads is one message, and neither a restart nor the order of things
repeats one. Thresholds count what is not covered yet. How it is worded is in `messages.py`, how it is kept and sent in
`book.py` and `delivery.py`.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from alumni_assets.notifications import messages
from alumni_assets.notifications.messages import (
    FailedRun,
    Links,
    OpenUpload,
    RejectedUpload,
    Renewal,
    StuckUpload,
    TransformedUpload,
    WaitingUpload,
    Words,
)
from alumni_assets.stages.approval import may_approve_itself
from alumni_assets.survey.quarantine import Quarantine
from alumni_assets.survey.standing import Facts, Ingested, Status, standings
from alumni_assets.survey_rules import SurveyRules

STUCK_AFTER = timedelta(minutes=15)
T = TypeVar("T")
_CLOSED = {Status.SUPERSEDED, Status.WITHDRAWN}


class Kind(StrEnum):
    """What a notice is about; receivers may filter by it."""

    VALID_ROWS_WAIT = "valid_rows_wait"
    INVALID_ROWS_OPEN = "invalid_rows_open"
    UPLOAD_REJECTED = "upload_rejected"
    TRANSFORMATION_SUCCEEDED = "transformation_succeeded"
    TRANSFORMATION_FAILED = "transformation_failed"
    DEDUPLICATION_SUCCEEDED = "deduplication_succeeded"
    RUN_FAILED = "run_failed"
    LAKE_UNREADABLE = "lake_unreadable"


@dataclass(frozen=True)
class Notice:
    """One message: the events that it covers, and its words. Those of the notifier have a `Kind`."""

    kind: str
    covers: frozenset[str]
    subject: str
    body: str


@dataclass(frozen=True)
class Happenings:
    """What Dagster knows: failed runs, renewed tables, and whether a transformation is at work now."""

    failed_runs: Sequence[FailedRun] = ()
    renewals: Sequence[Renewal] = ()
    is_transforming: bool = False


def notices(
    facts: Facts,
    happenings: Happenings,
    told: Collection[str],
    rules: SurveyRules,
    since: datetime,
    now: datetime,
    links: Links,
) -> list[Notice]:
    """The notices that are due: about what came to be at or after `since` and is not `told`.

    Times are in UTC without zone.
    """
    news = _News(facts, happenings, told, rules, since, links)
    found = [
        news.rejected(),
        news.waiting(),
        news.open_invalid(),
        news.transformed(),
        news.transformation_failed(now),
        news.deduplicated(),
        news.failed(),
    ]
    return [notice for notice in found if notice is not None]


def lake_unreadable(outage: int, reason: str, links: Links) -> Notice:
    """The notice about the outage of that number."""
    return _notice(Kind.LAKE_UNREADABLE, [event("outage", outage)], messages.lake_unreadable(reason, links))


def event(*parts: object) -> str:
    """The name of an event: what it is, and of what."""
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


class _News:
    """What is not told yet, a method for each kind of notice."""

    def __init__(
        self,
        facts: Facts,
        happenings: Happenings,
        told: Collection[str],
        rules: SurveyRules,
        since: datetime,
        links: Links,
    ) -> None:
        self._facts = facts
        self._stands = standings(facts)
        self._quarantine = Quarantine(facts, self._stands)
        self._happenings = happenings
        self._told = told
        self._rules = rules
        self._since = since
        self._links = links

    def rejected(self) -> Notice | None:
        """Uploads that were rejected."""
        found = {
            upload: RejectedUpload(upload, ingested.reason)
            for upload, ingested in self._judged()
            if ingested.outcome == Status.REJECTED
        }
        fresh = self._arrived("rejected", found, lambda ingested: ingested.code)
        words = messages.rejected(list(fresh.values()), self._links)
        return _notice(Kind.UPLOAD_REJECTED, fresh, words) if fresh else None

    def waiting(self) -> Notice | None:
        """Valid rows that newly wait for a person, once there are enough of them."""
        by_themselves = set(may_approve_itself(self._facts, self._rules.approval))
        waiting = {
            upload: WaitingUpload(
                upload, ingested.valid, ingested.invalid or 0, self._quarantine.blocking_checks(upload)
            )
            for upload, ingested in self._judged()
            if ingested.valid and self._stands[upload].waits and upload not in by_themselves
        }
        fresh = self._arrived("waits", waiting, lambda ingested: ingested.content)
        if sum(upload.valid for upload in fresh.values()) < self._rules.notifications.new_valid_rows:
            return None
        words = messages.waiting(list(fresh.values()), list(waiting.values()), self._links)
        return _notice(Kind.VALID_ROWS_WAIT, fresh, words)

    def open_invalid(self) -> Notice | None:
        """Invalid rows that are newly open, once there are enough of them."""
        opened = {
            upload: OpenUpload(upload, found.open, dict(self._facts.ingested[upload].reasons))
            for upload, found in self._quarantine.all().items()
            if found.open
        }
        fresh = self._arrived("invalid", opened, lambda ingested: ingested.invalid_content)
        if sum(upload.open for upload in fresh.values()) < self._rules.notifications.open_invalid_rows:
            return None
        words = messages.open_invalid(list(fresh.values()), list(opened.values()), self._links)
        return _notice(Kind.INVALID_ROWS_OPEN, fresh, words)

    def transformed(self) -> Notice | None:
        """Uploads that were approved and transformed, whatever became of them since."""
        fresh: dict[str, TransformedUpload] = {}
        for upload, made in self._facts.transformed.items():
            for decision in self._facts.decisions.get(upload, ()):
                is_made = decision.kind == "approved" and decision.content == made.source
                name = event("transformed", upload, decision.number, made.content)
                if is_made and self._is_news(name, max(made.at, decision.at)):
                    since = self._status_if_closed(upload)
                    fresh[name] = TransformedUpload(upload, made.rows, made.exact_duplicates, decision.by, since)
        words = messages.transformed(list(fresh.values()), self._links)
        return _notice(Kind.TRANSFORMATION_SUCCEEDED, fresh, words) if fresh else None

    def transformation_failed(self, now: datetime) -> Notice | None:
        """Runs that failed to transform, and uploads that were approved and are not transformed all the same.

        An upload is given a quarter of an hour after its approval, unless a run that was to transform has failed.
        """
        runs = self._runs(is_transformation=True)
        patience = max([now - STUCK_AFTER, *(run.failed_at for run in runs.values())])
        stuck = {} if self._happenings.is_transforming else self._stuck(patience)
        words = messages.transformation_failed(list(runs.values()), list(stuck.values()), self._links)
        return _notice(Kind.TRANSFORMATION_FAILED, [*runs, *stuck], words) if runs or stuck else None

    def deduplicated(self) -> Notice | None:
        """Renewals of the table with one row per alumnus that changed it."""
        fresh = {
            name: renewal
            for renewal in self._happenings.renewals
            if (renewal.added or renewal.removed)
            and self._is_news(name := event("renewal", renewal.run_id), renewal.at)
        }
        words = messages.deduplicated(list(fresh.values()), self._links)
        return _notice(Kind.DEDUPLICATION_SUCCEEDED, fresh, words) if fresh else None

    def failed(self) -> Notice | None:
        """Failed runs of any other kind."""
        runs = self._runs(is_transformation=False)
        words = messages.failed(list(runs.values()), self._links)
        return _notice(Kind.RUN_FAILED, runs, words) if runs else None

    def _runs(self, is_transformation: bool) -> dict[str, FailedRun]:
        return {
            name: run
            for run in self._happenings.failed_runs
            if run.is_transformation == is_transformation
            and self._is_news(name := event("run", run.run_id), run.failed_at)
        }

    def _stuck(self, approved_before: datetime) -> dict[str, StuckUpload]:
        return {
            name: StuckUpload(upload, approval.by)
            for upload, standing in self._stands.items()
            if standing.status is Status.APPROVED
            and (approval := standing.approval) is not None
            and approval.at <= approved_before
            and self._is_news(name := event("stuck", upload, approval.number), approval.at)
        }

    def _judged(self) -> Iterator[tuple[str, Ingested]]:
        return ((upload, self._facts.ingested[upload]) for upload in self._stands if upload in self._facts.ingested)

    def _arrived(self, what: str, uploads: Mapping[str, T], content: Callable[[Ingested], str]) -> dict[str, T]:
        """The uploads of which it is news, by the name of the event.

        The event is another one when the upload is judged differently, or comes back after it was replaced.
        """
        return {
            name: uploads[upload]
            for upload, ingested in self._judged()
            if upload in uploads
            and self._is_news(
                name := event(what, upload, self._stands[upload].arrival, content(ingested)), self._came_at(upload)
            )
        }

    def _came_at(self, upload: str) -> datetime:
        """When an upload was judged, or came back after that."""
        arrivals = self._facts.arrivals.get(self._facts.seen[upload].key, ())
        came = [arrival.at for arrival in arrivals if arrival.number == self._stands[upload].arrival]
        return max([self._facts.ingested[upload].at, *came])

    def _is_news(self, name: str, when: datetime) -> bool:
        return when >= self._since and name not in self._told

    def _status_if_closed(self, upload: str) -> str:
        standing = self._stands.get(upload)
        return str(standing.status) if standing and standing.status in _CLOSED else ""


def _notice(kind: Kind, covers: Collection[str], words: Words) -> Notice:
    return Notice(kind, frozenset(covers), words.subject, words.body)
