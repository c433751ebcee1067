"""Sends what the book holds until it is accepted: each notice by each channel, again and again for a day.

Before every attempt that attempt is entered, after it how it ended. So an attempt of which no end is known is under
way in another process, or died with its process; it is taken for dead after ten minutes, which is longer than any
attempt takes (`channels.py`). A message is repeated only where a process dies, or an answer is lost, between its
acceptance and the entry of that; it has the same id then.

A mail server may take minutes to answer, and a sensor's tick has one. So every message is sent in a thread of its own,
and a round goes on without the one that takes long: it enters by itself how it ended.
"""

import math
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from alumni_assets.notifications import messages
from alumni_assets.notifications.book import Book, Delivery, Entry, Pages
from alumni_assets.notifications.channels import Channel, ChannelError, Message
from alumni_assets.notifications.messages import Links
from alumni_assets.stages.intake import utc_now

Clock = Callable[[], datetime]

_MINUTE = timedelta(minutes=1)
WAITS = (
    _MINUTE / 2,
    *(minutes * _MINUTE for minutes in (1, 2, 5, 15, 30)),
    *(hours * 60 * _MINUTE for hours in (1, 2, 4, 8, 8)),
)
"""How long after each failed attempt the next one is made; there are no more than these and the first."""
MOST_ATTEMPTS = len(WAITS) + 1
DEAD_AFTER = 10 * _MINUTE
_MOST_AT_ONCE = 20
# Dagster breaks a tick off after 60 seconds, and one may have two rounds: of two books, or of the reports of two weeks.
_SECONDS_AT_ONCE = 15.0
_SECONDS_FOR_THE_LAST = 10.0


@dataclass(frozen=True)
class Deliveries:
    """What a round of sending did: the sentences are for people, `retry_at` is in UTC without zone.

    `outage` says why the lake cannot be used, where it cannot.
    """

    sent: int = 0
    failures: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    pending: int = 0
    retry_at: datetime | None = None
    outage: str = ""

    def __add__(self, other: "Deliveries") -> "Deliveries":
        times = [when for when in (self.retry_at, other.retry_at) if when is not None]
        return Deliveries(
            self.sent + other.sent,
            self.failures + other.failures,
            self.given_up + other.given_up,
            self.pending + other.pending,
            min(times, default=None),
            self.outage or other.outage,
        )


def deliver(book: Book, channels: Sequence[Channel], now: Clock, insist: bool = False) -> Deliveries:
    """Send what is due by these channels; with `insist` also what is not due again yet or was given up.

    A channel that fails is left alone for the rest of the round. Without `insist` a round is bounded in messages and
    in time, for a sensor's tick must end: what is still being sent then is not waited for, and counts as pending.
    Raises LakeError when the book cannot be kept: what cannot be entered is not sent.
    """
    pages, result = book.pages(), Deliveries()
    most, deadline = (None, math.inf) if insist else (_MOST_AT_ONCE, time.monotonic() + _SECONDS_AT_ONCE)
    for channel in channels:
        for entry, delivery in _due(pages, channel.name, now(), insist)[:most]:
            if time.monotonic() > deadline:
                break
            patience = None if insist else deadline + _SECONDS_FOR_THE_LAST - time.monotonic()
            done = _in_time(partial(_send, book, channel, entry, delivery.attempts + 1, now), patience)
            result += done
            if done.failures:
                break
    return result + standing(pages if result == Deliveries() else book.pages(), channels, now())


def standing(pages: Pages, channels: Iterable[Channel], now: datetime) -> Deliveries:
    """What is not accepted yet: how much is tried again, when, and what was given up."""
    result = Deliveries()
    for channel in channels:
        next_attempts = [next_attempt(delivery, now) for _, delivery in _open(pages, channel.name)]
        times = [when for when in next_attempts if when is not None]
        given_up = len(next_attempts) - len(times)
        result += Deliveries(
            given_up=(f"{given_up} by {channel.label}",) if given_up else (),
            pending=len(times),
            retry_at=min(times, default=None),
        )
    return result


def send_test(channels: Sequence[Channel], links: Links) -> Deliveries:
    """Send a message that says nothing by every channel, for somebody who sets them up."""
    result, words = Deliveries(), messages.test(links)
    for channel in channels:
        try:
            channel.send(Message(uuid.uuid4().hex, "test", words.subject, words.body, utc_now()))
            result += Deliveries(sent=1)
        except ChannelError as error:
            result += _refused(channel, str(error))
    return result


def sentence(result: Deliveries) -> str:
    """What is to be said of messages that did not get through; nothing where all did."""
    given_up = f"Given up: {', '.join(result.given_up)}." if result.given_up else ""
    pending = f"Tried again by themselves: {result.pending}." if result.pending else ""
    way_out = "Once the cause is mended, `alumni notify` sends all of them at once." if result.given_up else ""
    return " ".join(part for part in (*result.failures, given_up, pending, way_out) if part)


def _in_time(send: Callable[[], Deliveries], seconds: float | None) -> Deliveries:
    """What sending does within so many seconds, or without a limit; what takes longer goes on, and nothing is known.

    The process does not end before it.
    """
    pool = ThreadPoolExecutor(1)
    sending = pool.submit(send)
    pool.shutdown(wait=False)
    wait([sending], seconds)
    return sending.result() if sending.done() else Deliveries()


def _send(book: Book, channel: Channel, entry: Entry, attempt: int, now: Clock) -> Deliveries:
    """Send one notice, unless another process is about to."""
    if not book.begin_attempt(entry.number, channel.name, attempt, now()):
        return Deliveries()
    try:
        channel.send(Message(entry.id, entry.kind, entry.subject, entry.body, entry.entered_at))
    except Exception as error:
        reason = str(error) if isinstance(error, ChannelError) else f"It broke with {type(error).__name__}."
        is_final = isinstance(error, ChannelError) and error.is_final
        book.note_failure(entry.number, channel.name, attempt, now(), reason, is_final)
        return _refused(channel, reason)
    book.note_acceptance(entry.number, channel.name, now())
    return Deliveries(sent=1)


def _due(pages: Pages, channel: str, now: datetime, insist: bool) -> list[tuple[Entry, Delivery]]:
    def is_due(delivery: Delivery) -> bool:
        when = next_attempt(delivery, now)
        return (when is not None and when <= now) or (insist and not _is_under_way(delivery, now))

    return [(entry, delivery) for entry, delivery in _open(pages, channel) if is_due(delivery)]


def _open(pages: Pages, channel: str) -> list[tuple[Entry, Delivery]]:
    """The notices that a channel has not accepted, of those since it was opened."""
    after = pages.opened.get(channel, pages.last)
    found = [
        (entry, pages.deliveries.get((entry.number, channel), Delivery()))
        for entry in pages.entries
        if entry.number > after
    ]
    return [(entry, delivery) for entry, delivery in found if not delivery.is_accepted]


def next_attempt(delivery: Delivery, now: datetime) -> datetime | None:
    """When a notice that is not accepted is to be tried next by itself; None when it was given up."""
    if delivery.attempts == 0:
        return now
    if delivery.is_final or (delivery.attempts >= MOST_ATTEMPTS and not _is_under_way(delivery, now)):
        return None
    return delivery.at + (WAITS[delivery.attempts - 1] if delivery.has_failed else DEAD_AFTER)


def _is_under_way(delivery: Delivery, now: datetime) -> bool:
    return delivery.attempts > 0 and not delivery.has_failed and now - delivery.at < DEAD_AFTER


def _refused(channel: Channel, reason: str) -> Deliveries:
    return Deliveries(failures=(f"A message by {channel.label} was not accepted: {reason}",))
