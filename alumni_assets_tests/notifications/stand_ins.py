"""What stands in for the world in tests of the notifier: a clock, a lake, Dagster's memory, channels, a crash.

The lake keeps its promises in memory, and time passes when a test says so: a day of retries is a moment. Every write
of the notifier, and every hand-over of a message, passes a `Fuse`, which can end the process there.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

from alumni_assets.notifications.channels import Channel, ChannelError, Message
from alumni_assets.notifications.messages import FailedRun, Links, Renewal
from alumni_assets.notifications.notices import Happenings
from alumni_assets.resources.lake_interface import Checksum, Lake, LakeEntry, LakeError, LakeKeyError, Readiness
from alumni_assets.survey.standing import Arrival, Decision, Facts, Ingested, Seen, Transformed, Waiver

NOON = datetime(2026, 11, 2, 12)
LINKS = Links("https://dagster.school.edu.ph")
ANA = "Ana Reyes"


class Crash(BaseException):
    """The process is killed: nothing catches it, and nothing is cleaned up."""


class Fuse:
    """Counts the steps of a notifier, and does something at one of them: by default nothing, ever."""

    def __init__(self, at: int = 0, blow: Callable[[], None] | None = None) -> None:
        self.steps: list[str] = []
        self._at = at
        self._blow = blow or _crash

    def step(self, name: str) -> None:
        self.steps.append(name)
        if len(self.steps) == self._at:
            self._blow()


def _crash() -> NoReturn:
    raise Crash


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, **duration: float) -> None:
        self.time += timedelta(**duration)


class MemoryLake(Lake):
    """As much of a lake as the notifier uses."""

    def __init__(self, fuse: Fuse | None = None) -> None:
        self.fuse = fuse or Fuse()
        self.objects: dict[str, bytes] = {}
        self.is_gone = False

    def list(self, prefix: str) -> Iterator[LakeEntry]:
        self._require()
        found = [self._entry(key) for key in sorted(self.objects) if key.startswith(prefix)]
        yield from found

    def stat(self, key: str) -> LakeEntry | None:
        self._require()
        return self._entry(key) if key in self.objects else None

    def read_bytes(self, key: str) -> bytes:
        self._require()
        if key not in self.objects:
            raise LakeKeyError(key)
        return self.objects[key]

    def create_bytes(self, key: str, data: bytes) -> bool:
        self.fuse.step(f"before {key}")
        self._require()
        is_new = key not in self.objects
        self.objects.setdefault(key, data)
        self.fuse.step(f"after {key}")
        return is_new

    def put_bytes(self, key: str, data: bytes) -> None:
        self.objects[key] = data

    def read_json(self, key: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.read_bytes(key))
        return found

    def _entry(self, key: str) -> LakeEntry:
        data = self.objects[key]
        return LakeEntry(key, len(data), f"{hash(data):x}", NOON.replace(tzinfo=UTC))

    def _require(self) -> None:
        if self.is_gone:
            raise LakeError("The lake folder '/lake' does not exist. Create it.")

    def open(self, key: str) -> BufferedReader:
        raise NotImplementedError

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        raise NotImplementedError

    def writing(self, key: str) -> AbstractContextManager[Path]:
        raise NotImplementedError

    def copy(self, source: str, target: str, storage_class: str | None = None) -> None:
        raise NotImplementedError

    def checksum(self, key: str) -> Checksum | None:
        raise NotImplementedError

    def alone(self, what: str, patience_seconds: float) -> AbstractContextManager[None]:
        raise NotImplementedError

    def thaw(self, key: str, days: int, tier: str) -> Readiness:
        raise NotImplementedError

    def delete(self, key: str) -> None:
        raise NotImplementedError

    def url(self, key: str) -> str:
        return f"/lake/{key}"

    def is_being_written(self, key: str) -> bool:
        return False

    def sweep(self, everything: bool = False) -> int:
        return 0

    def forget_earlier(self, prefix: str) -> int:
        return 0


class MemoryHistory:
    """Dagster's memory: what happened, and up to when it was looked through."""

    def __init__(self, fuse: Fuse | None = None) -> None:
        self.fuse = fuse or Fuse()
        self.failed_runs: list[FailedRun] = []
        self.renewals: list[Renewal] = []
        self.remembered: datetime | None = None

    def happenings(self, book: str, since: datetime) -> Happenings:
        begin = max(since, self.remembered or since)
        return Happenings(
            [run for run in self.failed_runs if run.failed_at >= begin],
            [renewal for renewal in self.renewals if renewal.at >= begin],
        )

    def remember(self, book: str, looked_at: datetime) -> None:
        self.fuse.step("before remembering")
        self.remembered = looked_at
        self.fuse.step("after remembering")


class Inbox(Channel):
    """A channel whose receiver is looked at. `is_down` and `fuse` may be changed at any time."""

    def __init__(self, name: str = "email-1", fuse: Fuse | None = None) -> None:
        self.name = name
        self.label = f"the channel {name}"
        self.fuse = fuse or Fuse()
        self.is_down = False
        self.tries = 0
        self.accepted: list[Message] = []

    def send(self, message: Message) -> None:
        self.tries += 1
        self.fuse.step(f"before accepting by {self.name}")
        if self.is_down:
            raise ChannelError("The server is down.")
        self.accepted.append(message)
        self.fuse.step(f"after accepting by {self.name}")

    @property
    def subjects(self) -> list[str]:
        return [message.subject for message in self.accepted]

    @property
    def repeated(self) -> int:
        """How many messages came more often than once, under the same id."""
        return sum(count - 1 for count in Counter(message.id for message in self.accepted).values())


@dataclass
class Story:
    """What happens to uploads, told step by step; `facts` is what the register holds by then."""

    clock: Clock
    seen: dict[str, Seen] = field(default_factory=dict)
    ingested: dict[str, Ingested] = field(default_factory=dict)
    made: dict[str, Transformed] = field(default_factory=dict)
    arrivals: dict[str, list[Arrival]] = field(default_factory=dict)
    decisions: dict[str, list[Decision]] = field(default_factory=dict)
    waivers: dict[str, list[Waiver]] = field(default_factory=dict)

    def facts(self, max_age: float = 0.0) -> Facts:
        return Facts(dict(self.seen), dict(self.ingested), dict(self.made), self.arrivals, self.decisions, self.waivers)

    def arrives(self, key: str, content: str = "1") -> str:
        """A file is put under raw/; content of one digit, for there is no file."""
        upload = f"{key}@{content * 8}"
        self.seen.setdefault(upload, Seen(upload, key, content * 64, 9, self.clock()))
        log = self.arrivals.setdefault(key, [])
        log.append(Arrival(key, len(log) + 1, upload, f"etag {len(log)}", 9, self.clock()))
        return upload

    def is_rejected(self, key: str, reason: str = "The file is empty.", content: str = "1") -> str:
        upload = self.arrives(key, content)
        self.ingested[upload] = Ingested(upload, "rejected", self.clock(), reason=reason, code="empty")
        return upload

    def is_validated(self, key: str, valid: int = 2, invalid: int = 0, content: str = "1", **more: object) -> str:
        upload = self.arrives(key, content)
        self.judge(upload, valid, invalid, **more)
        return upload

    def judge(self, upload: str, valid: int, invalid: int = 0, **more: object) -> None:
        told: dict[str, object] = {
            "content": f"valid rows of {upload}",
            "invalid_content": f"invalid rows of {upload}" if invalid else "",
            "rows": valid + invalid,
            **more,
        }
        ingested = Ingested(upload, "validated", self.clock(), valid=valid, invalid=invalid, **told)  # type: ignore[arg-type]
        self.ingested[upload] = ingested

    def is_corrected(self, key: str, upload: str, *rows: str, wrong: int = 0, strays: int = 0) -> str:
        """Rows of an upload come back: some mended, some still wrong, some that name no row of it."""
        correction = self.arrives(key)
        against = self.ingested[upload].invalid_content
        told = {"corrects": upload, "against": against, "mends": rows, "strays": strays}
        self.judge(correction, len(rows), wrong + strays, **told)
        return correction

    def is_waived(self, upload: str, *rows: str) -> None:
        judged = self.ingested[upload].invalid_content
        log = self.waivers.setdefault(upload, [])
        log.append(Waiver(upload, len(log) + 1, rows, judged, ANA, self.clock(), "cannot be mended"))

    def is_approved(self, upload: str, by: str = ANA) -> None:
        content = self.ingested[upload].content
        self._decide(upload, kind="approved", by=by, content=content)

    def is_withdrawn(self, upload: str) -> None:
        self._decide(upload, kind="withdrawn", by=ANA, content="")

    def is_transformed(self, upload: str, exact_duplicates: int = 0) -> None:
        """Approved and transformed, as one run does it."""
        self.is_approved(upload)
        ingested = self.ingested[upload]
        rows = (ingested.valid or 0) - exact_duplicates
        made = Transformed(upload, ingested.content, f"made of {upload}", rows, exact_duplicates, self.clock())
        self.made[upload] = made

    def _decide(self, upload: str, kind: str, by: str, content: str) -> None:
        log = self.decisions.setdefault(upload, [])
        arrival = self.arrivals[self.seen[upload].key][-1].number
        log.append(Decision(upload, len(log) + 1, kind, by, self.clock(), arrival=arrival, content=content))


def failed_run(run_id: str, at: datetime, is_transformation: bool = False) -> FailedRun:
    """A failed run of the job that takes uploads in, or of the one that transforms them."""
    doing, step = ("approve_uploads", "approve_and_transform") if is_transformation else ("take_in_uploads", "take_in")
    return FailedRun(run_id, doing, step, "The disk is full.", at, is_transformation)


def identities(inboxes: Sequence[Inbox]) -> list[set[str]]:
    """What each receiver got, by id."""
    return [{message.id for message in inbox.accepted} for inbox in inboxes]
