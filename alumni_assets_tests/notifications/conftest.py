"""A world of its own for each test of the notifier: its clock, lake, story, and no environment of this machine."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from alumni_assets.notifications import book
from alumni_assets.notifications.channels import Channel
from alumni_assets.notifications.delivery import Deliveries
from alumni_assets.notifications.telling import Teller
from alumni_assets.survey_rules import NotificationRules, SurveyRules, default_rules
from alumni_assets_tests import moto_server
from alumni_assets_tests.lake.conftest import set_aws
from alumni_assets_tests.notifications.servers import MailServer, Topic, make_certificate, running
from alumni_assets_tests.notifications.stand_ins import LINKS, Clock, Fuse, MemoryHistory, MemoryLake, Story


class World:
    """A pipeline without files: what happens is told by `story` and `history`, and people are told by `tell`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clock = Clock()
        self.lake = MemoryLake()
        self.outbox = MemoryLake()
        self.history = MemoryHistory()
        self.story = Story(self.clock)
        self.rules: SurveyRules = default_rules()

    def use_thresholds(self, new_valid_rows: int = 1, open_invalid_rows: int = 1) -> None:
        thresholds = NotificationRules(new_valid_rows=new_valid_rows, open_invalid_rows=open_invalid_rows)
        self.rules = self.rules.model_copy(update={"notifications": thresholds})

    def use_fuse(self, fuse: Fuse) -> None:
        self.lake.fuse = self.outbox.fuse = self.history.fuse = fuse

    def teller(self) -> Teller:
        """A notifier as a fresh process makes it: it knows nothing but what is stored."""
        return Teller(
            lake=self.lake,
            register=self.story,  # type: ignore[arg-type]
            history=self.history,  # type: ignore[arg-type]
            rules=self.rules,
            outbox=self.outbox,
            home=self.home,
            links=LINKS,
            now=self.clock,
        )

    def tell(self, *channels: Channel, insist: bool = False) -> Deliveries:
        return self.teller().tell(channels, insist)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own settings counts, and no test can reach AWS, whatever it forgets."""
    for name in [name for name in os.environ if name.startswith(("ALUMNI_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    set_aws(monkeypatch, "http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def unsynced_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The copies need not outlive a power cut here; waiting for the disk is most of what these tests would do."""

    def connect(path: Path, timeout: float) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=timeout)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    monkeypatch.setattr(book, "sqlite3", SimpleNamespace(connect=connect))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the mail server, made here."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def mail_server(certificate: Path) -> Iterator[MailServer]:
    """A mail server that wants encryption and a login."""
    with running(MailServer(certificate)) as server:
        yield server


@pytest.fixture(scope="session")
def aws_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an AWS stand-in."""
    with moto_server.serving(tmp_path_factory.mktemp("aws")) as address:
        yield address


@pytest.fixture
def new_topic(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Topic]:
    """Makes topics on the stand-in, which is what AWS is in this test."""
    import boto3

    set_aws(monkeypatch, aws_server)
    session, test = boto3.Session(), uuid4().hex[:8]
    return lambda name: Topic(session.client("sns"), session.client("sqs"), f"{test}-{name}")
