"""Processes that the system kills in the middle of sending, on a real lake and with a real mail server."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from alumni_assets.notifications import delivery
from alumni_assets.register import Register
from alumni_assets.resources.lake import FolderLake
from alumni_assets.stages.intake import utc_now
from alumni_assets.survey.standing import Ingested, Seen
from alumni_assets_tests.notifications.killed_notifier import tell
from alumni_assets_tests.notifications.servers import MailServer
from alumni_assets_tests.notifications.stand_ins import Fuse

pytestmark = [pytest.mark.server, pytest.mark.slow]
WRITES = ["the notice", "that sending begins", "that it was accepted"]


def reject(folder: Path, key: str = "a.csv") -> None:
    """What the pipeline enters when it rejects an upload."""
    register = Register(FolderLake(folder / "lake"), folder / "home")
    register.enter_seen(Seen(f"{key}@11111111", key, "1" * 64, 9, utc_now()))
    register.enter_ingested(Ingested(f"{key}@11111111", "rejected", utc_now(), reason="Empty.", code="empty"))


@pytest.fixture
def place(tmp_path: Path, mail_server: MailServer, certificate: Path) -> Path:
    """A folder with a lake whose notifier has started, and in which an upload was rejected since."""
    (tmp_path / "lake" / "raw").mkdir(parents=True)
    tell(tmp_path, mail_server.port, certificate, Fuse())
    reject(tmp_path)
    return tmp_path


@pytest.fixture
def run(place: Path, mail_server: MailServer, certificate: Path) -> Callable[[int], int]:
    """Runs a notifier that is killed at a step; returns how it ended."""

    def start(step: int) -> int:
        command = [sys.executable, "-m", "alumni_assets_tests.notifications.killed_notifier"]
        arguments = [str(place), str(mail_server.port), str(certificate), str(step)]
        return subprocess.run([*command, *arguments], check=False, capture_output=True).returncode

    return start


@pytest.mark.parametrize("step", range(1, 2 * len(WRITES) + 1))
def test_a_process_killed_before_or_after_any_write_loses_no_message(
    step: int,
    run: Callable[[int], int],
    place: Path,
    mail_server: MailServer,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(step) == -signal.SIGKILL
    tell(place, mail_server.port, certificate, Fuse())
    monkeypatch.setattr(delivery, "DEAD_AFTER", timedelta())
    tell(place, mail_server.port, certificate, Fuse())
    assert set(mail_server.subjects) == {"1 upload rejected"}
    was_sent_unrecorded = step == 2 * len(WRITES) - 1
    assert len(mail_server.mails) == (2 if was_sent_unrecorded else 1)
    assert len(set(mail_server.ids)) == 1


def test_there_are_no_other_writes(run: Callable[[int], int], mail_server: MailServer) -> None:
    assert run(2 * len(WRITES) + 1) == 0
    assert mail_server.subjects == ["1 upload rejected"]


def test_many_notifiers_at_once_send_each_message_once(place: Path, mail_server: MailServer, certificate: Path) -> None:
    for number in range(5):
        reject(place, f"{number}.csv")
        with ThreadPoolExecutor(4) as pool:
            for look in [pool.submit(tell, place, mail_server.port, certificate, Fuse()) for _ in range(4)]:
                look.result()
    lines = [line for mail in mail_server.mails for line in mail.get_content().splitlines() if line.startswith("- ")]
    assert sorted(lines) == sorted(f"- {key}.csv@11111111: Empty." for key in ["a", *range(5)])
    assert len(set(mail_server.ids)) == len(mail_server.ids)
