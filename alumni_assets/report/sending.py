"""Sends the report of a week to everybody once, after a person, or the policy, has released it.

The release is a notice in the week's book, and opens that book for those who are to get the report then; only they are
ever sent it. Whoever is named later gets it when it is released once more, which changes nothing for the others. How
often a delivery is tried, and that none is repeated, is the matter of `notifications/delivery.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from functools import lru_cache
from typing import Literal

from alumni_assets.notifications.book import Delivery
from alumni_assets.notifications.channels import Channel, ChannelError, Message
from alumni_assets.notifications.delivery import Clock, deliver, next_attempt
from alumni_assets.notifications.notices import Notice
from alumni_assets.register import RegisterError
from alumni_assets.report.channels import ReportBySes, ReportBySmtp
from alumni_assets.report.configuration import ReportSettings
from alumni_assets.report.keeping import RELEASE, Documents, Edition, ReportError, Reports
from alumni_assets.report.mail import report_mail
from alumni_assets.report.weeks import week_before, week_of
from alumni_assets.resources.lake_interface import LakeError
from alumni_assets.stages.intake import utc_now

KIND = "weekly_report"


@dataclass(frozen=True)
class Outcome:
    """How far the report has got with one receiver, who is named by a masked address."""

    receiver: str
    state: Literal["sent", "to be sent again", "refused"]
    reason: str = ""


@dataclass(frozen=True)
class Sending:
    """A round of sending: how many were accepted in it, and how it stands with everybody."""

    week: str
    sent: int
    outcomes: tuple[Outcome, ...]

    def having(self, state: str) -> list[Outcome]:
        """Those of whom the report is in that state."""
        return [outcome for outcome in self.outcomes if outcome.state == state]


class Sender:
    """Sends the reports of a lake to the receivers in the settings. `zone` is the survey's time zone."""

    def __init__(self, reports: Reports, settings: ReportSettings, zone: str, now: Clock = utc_now) -> None:
        self._reports = reports
        self._settings = settings
        self._zone = zone
        self._now = now

    def release(self, week: str) -> Sending:
        """Release a week's report, and send it to all that have not got it; also to those who were given up.

        Raises ReportError where it may not be sent, LakeError and RegisterError.
        """
        edition = self._sendable(week)
        book, now = self._reports.book(week), self._now()
        channels = self._channels(week)
        if not channels:
            raise ReportError(
                "The report is prepared, but there is nobody to send it to. Set ALUMNI_REPORT_TO to the receivers' "
                "addresses, and start Dagster again; docs/weekly-report.md describes it."
            )
        book.enter(Notice(KIND, frozenset({week}), edition.subject, edition.mark), RELEASE, book.start(now), now)
        for channel in channels:
            book.open_channel(channel.name, 0)
        return self._deliver(week, channels, insist=True)

    def retry(self) -> list[Sending]:
        """Send what is due again of the reports that were released; raises LakeError and RegisterError."""
        return [
            self._deliver(week, self._channels(week), insist=False)
            for week in self._weeks()
            if self._reports.released(week) is not None
        ]

    def standing(self, week: str) -> Sending:
        """How it stands with everybody who is to get a week's report; sends nothing."""
        return self._standing(week, self._channels(week), 0)

    def _weeks(self) -> tuple[str, str]:
        """Last week and this one: what was released on a Sunday is tried until Monday."""
        week = week_of(self._now(), self._zone)
        return week_before(week), week

    def _sendable(self, week: str) -> Edition:
        edition = self._reports.find(week)
        if edition is None:
            newest = self._reports.newest()
            other = f" The newest that is prepared is that of {newest}." if newest else ""
            raise ReportError(
                f"No report is prepared for {week}.{other} Materialize weekly_report first, or run `alumni report`."
            )
        if week not in self._weeks():
            raise ReportError(f"The report of {week} is too old to be sent. Materialize weekly_report for a new one.")
        return edition

    def _deliver(self, week: str, channels: Sequence[Channel], insist: bool) -> Sending:
        result = deliver(self._reports.book(week), channels, self._now, insist)
        return self._standing(week, channels, result.sent)

    def _standing(self, week: str, channels: Sequence[Channel], sent: int) -> Sending:
        pages, now = self._reports.book(week).pages(), self._now()
        outcomes = tuple(
            _outcome(channel.label, pages.deliveries.get((RELEASE, channel.name), Delivery()), now)
            for channel in channels
            if channel.name in pages.opened
        )
        return Sending(week, sent, outcomes)

    def _channels(self, week: str) -> list[Channel]:
        @lru_cache(maxsize=1)
        def stored(mark: str) -> tuple[Edition, Documents]:
            edition = self._reports.edition(week, mark)
            return edition, self._reports.documents(edition)

        def write(message: Message, sender: str, recipient: str) -> EmailMessage:
            try:
                edition, documents = stored(message.body)
            except (LakeError, RegisterError, ReportError) as error:
                raise ChannelError(f"The prepared report cannot be read. {error}") from error
            return report_mail(documents, week, edition.subject, edition.prepared_at, sender, recipient, message.id)

        settings = self._settings
        if settings.mail is not None:
            return [ReportBySmtp(settings.mail, recipient, write) for recipient in settings.recipients]
        return [ReportBySes(settings.sender, recipient, write, settings.roles) for recipient in settings.recipients]


def refusals(sendings: Sequence[Sending]) -> str:
    """What is to be said of receivers who will not get a report by itself any more; nothing where there are none."""
    return " ".join(sentence for sending in sendings if (sentence := _refused(sending)))


def _refused(sending: Sending) -> str:
    refused = sending.having("refused")
    if not refused:
        return ""
    each = " ".join(f"By {outcome.receiver}: {outcome.reason}" for outcome in refused)
    return (
        f"The report of {sending.week} was not accepted for {len(refused)} of {len(sending.outcomes)} receivers, and "
        f"is not tried again by itself. {each} Mend the cause or ALUMNI_REPORT_TO, and materialize mailed_report "
        "again, or run `alumni report --send`; who has the report does not get it twice."
    )


def _outcome(receiver: str, delivery: Delivery, now: datetime) -> Outcome:
    if delivery.is_accepted:
        return Outcome(receiver, "sent")
    is_over = next_attempt(delivery, now) is None
    return Outcome(receiver, "refused" if is_over else "to be sent again", delivery.reason)
