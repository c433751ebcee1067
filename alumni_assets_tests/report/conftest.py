"""What tests of the report share: an office, and mail servers that refuse for now, or for good."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from alumni_assets_tests.notifications.conftest import (  # noqa: F401
    aws_server,
    certificate,
    own_environment,
    unsynced_copies,
)
from alumni_assets_tests.notifications.servers import MailServer, running
from alumni_assets_tests.report.offices import Office


class MoodyServer(MailServer):
    """A mail server that has no time for `busy` addresses, and may answer what it is told to every message."""

    def __init__(self) -> None:
        super().__init__(None)
        self.busy: set[str] = set()
        self.answer = ""

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.busy:
            return f"450 4.2.1 <{address}> Ana Reyes has too much mail"
        return await super().handle_RCPT(server, session, envelope, address, options)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return self.answer or await super().handle_DATA(server, session, envelope)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "home")


@pytest.fixture
def server() -> Iterator[MoodyServer]:
    with running(MoodyServer()) as started:
        yield started
