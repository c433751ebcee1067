"""One look of the notifier: what happened is entered in the book, and what is in the book is sent.

There are two books. The one in the lake's register holds all notices but those about the lake itself: what cannot be
read cannot be written to either, so these are in a book of the same kind in `ALUMNI_HOME`.

Everything is entered before it is sent, and nothing is forgotten before it is entered, so that a look may end at any
point and the next one goes on. Several may look at once: entries are numbered, and who comes second looks again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from alumni_assets import layout
from alumni_assets.notifications import delivery
from alumni_assets.notifications.book import Book, Pages, Start
from alumni_assets.notifications.channels import Channel
from alumni_assets.notifications.delivery import Clock, Deliveries
from alumni_assets.notifications.happenings import History
from alumni_assets.notifications.messages import Links
from alumni_assets.notifications.notices import Happenings, lake_unreadable, notices
from alumni_assets.register import Register, RegisterError
from alumni_assets.resources.lake import FolderLake
from alumni_assets.resources.lake_interface import Lake, LakeError
from alumni_assets.stages.intake import utc_now
from alumni_assets.survey_rules import SurveyRules


@dataclass(frozen=True)
class Teller:
    """Tells people what happens to one pipeline.

    `outbox` holds the notices about the lake itself (`open_outbox`); `home` is where copies are kept, that save
    reading.
    """

    lake: Lake
    register: Register
    history: History
    rules: SurveyRules
    outbox: Lake
    home: Path
    links: Links
    now: Clock = utc_now

    def begin(self, channels: Sequence[Channel]) -> None:
        """Enter that these channels are there from now on, so that what happens next is told by them.

        The first look does the same. Raises LakeError and RegisterError.
        """
        book = self._book()
        book.start(self.now())
        _open_channels(book, book.pages(), channels)

    def tell(self, channels: Sequence[Channel], insist: bool = False) -> Deliveries:
        """Enter what is new and send what is due; with `insist` also what was given up or is not due again yet.

        What a channel does not accept is in the result. Raises LakeError where a book cannot be kept.
        """
        outage = self._look(channels)
        told = delivery.deliver(self._own_book(), channels, self.now, insist)
        if outage:
            return replace(told, outage=outage)
        return told + delivery.deliver(self._book(), channels, self.now, insist)

    def standing(self, channels: Sequence[Channel]) -> Deliveries:
        """What is not accepted yet, without a look at what is new and without sending anything."""
        books = (self._own_book(), self._book())
        first, second = (delivery.standing(book.pages(), channels, self.now()) for book in books)
        return first + second

    def is_lake_readable(self) -> bool:
        """Whether raw/ can be listed; when not, that is for `tell` to find out."""
        try:
            self._list_raw()
        except LakeError:
            return False
        return True

    def _look(self, channels: Sequence[Channel]) -> str:
        """Enter what is new; returns why the lake cannot be used, and nothing where it can."""
        try:
            self._list_raw()
            self._enter_news(channels)
        except (LakeError, RegisterError) as error:
            self._enter_outage(channels, str(error))
            return str(error)
        self._end_outage()
        return ""

    def _list_raw(self) -> None:
        for _ in self.lake.list(layout.RAW):
            pass

    def _enter_news(self, channels: Sequence[Channel]) -> None:
        book, looked_at = self._book(), self.now()
        start = book.start(looked_at)
        known = self.history.happenings(start.book, start.since)
        while not self._enter_due(book, start, known, channels, looked_at):
            pass
        self.history.remember(start.book, looked_at)

    def _enter_due(
        self, book: Book, start: Start, known: Happenings, channels: Sequence[Channel], now: datetime
    ) -> bool:
        """Enter every notice that is due; False when somebody else entered one meanwhile, so that less may be due."""
        pages = book.pages()
        _open_channels(book, pages, channels)
        due = notices(self.register.facts(), known, pages.told, self.rules, start.since, now, self.links)
        return all(book.enter(notice, number, start, now) for number, notice in enumerate(due, pages.last + 1))

    def _enter_outage(self, channels: Sequence[Channel], reason: str) -> None:
        book, now = self._own_book(), self.now()
        pages = book.pages()
        _open_channels(book, pages, channels)
        if not pages.entries or pages.last in pages.closed:
            outage = pages.last + 1
            book.enter(lake_unreadable(outage, reason, self.links), outage, book.start(now), now)

    def _end_outage(self) -> None:
        book = self._own_book()
        pages = book.pages()
        if pages.entries and pages.last not in pages.closed:
            book.close(pages.last, self.now())

    def _book(self) -> Book:
        return Book(self.lake, self.home / "notices.sqlite")

    def _own_book(self) -> Book:
        return Book(self.outbox, self.home / "outbox.sqlite")


def open_outbox(home: Path) -> Lake:
    """The small lake in `ALUMNI_HOME` for notices about the lake itself; its folder is made on first use."""
    folder = home / "outbox"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FolderLake(folder)


def _open_channels(book: Book, pages: Pages, channels: Sequence[Channel]) -> None:
    """A channel is told of what is entered from its first look on, not of all that was ever told before."""
    for channel in channels:
        if channel.name not in pages.opened:
            book.open_channel(channel.name, pages.last)
