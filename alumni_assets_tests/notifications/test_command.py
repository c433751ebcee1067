"""The `alumni` command, for people without a daemon: it tells by e-mail and SNS what its passes do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alumni_assets.cli import cli
from alumni_assets.notifications import delivery
from alumni_assets.resources.lake import LakeError
from alumni_assets_tests.notifications.servers import PASSWORD, USER, MailServer
from alumni_assets_tests.pipeline.answers import answers, csv_bytes

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def raw(tmp_path: Path, mail_server: MailServer, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for uploads, in an environment with a mail server."""
    environment = {
        "ALUMNI_LAKE": tmp_path / "lake",
        "ALUMNI_HOME": tmp_path / "home",
        "ALUMNI_APPROVER": "Ana Reyes",
        "ALUMNI_NOTIFY": "log,email",
        "ALUMNI_SMTP_HOST": "127.0.0.1",
        "ALUMNI_SMTP_PORT": mail_server.port,
        "ALUMNI_SMTP_USER": USER,
        "ALUMNI_SMTP_PASSWORD": PASSWORD,
        "ALUMNI_SMTP_TO": "ana@school.edu.ph",
        "ALUMNI_SMTP_CA_FILE": certificate,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lake" / "raw").mkdir(parents=True)
    return tmp_path / "lake" / "raw"


@pytest.fixture
def alumni(raw: Path) -> Callable[..., Result]:
    """Runs the command; what went wrong is an exception here, which `alumni` itself turns into a sentence."""
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def test_a_pass_tells_what_it_did(raw: Path, alumni: Callable[..., Result], mail_server: MailServer) -> None:
    (raw / "good.csv").write_bytes(csv_bytes(answers(1, 9)))
    (raw / "bad.csv").write_bytes(b"%PDF-1.7")
    assert alumni("run").exit_code == 0
    assert mail_server.subjects == ["1 upload rejected", "9 new valid rows to approve"]
    assert alumni("run", "--approve").exit_code == 0
    assert mail_server.subjects[2:] == ["Transformation succeeded: 9 rows", "Deduplication succeeded: 9 alumni"]
    assert alumni("run").exit_code == 0
    assert len(mail_server.mails) == 4


def test_a_mail_server_that_is_down_does_not_fail_the_pass_and_a_person_sends_it_later(
    raw: Path, alumni: Callable[..., Result], mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = mail_server.port
    mail_server.stop()
    monkeypatch.setattr(delivery, "MOST_ATTEMPTS", 1)
    (raw / "bad.csv").write_bytes(b"")
    passed = alumni("run")
    assert passed.exit_code == 0
    assert "A message by e-mail to a***@school.edu.ph was not accepted" in passed.stderr
    stands = alumni("status")
    assert "Given up: 1 by e-mail to a***@school.edu.ph. Once the cause is mended, `alumni notify`" in stands.stderr
    refused = alumni("notify")
    assert (refused.exit_code, refused.stdout) == (1, "Messages sent: 0.\n")
    mail_server.start(port)
    sent = alumni("notify")
    assert (sent.exit_code, sent.stdout, sent.stderr) == (0, "Messages sent: 1.\n", "")
    assert mail_server.subjects == ["1 upload rejected"]
    assert alumni("status").stderr == ""


def test_a_test_message_shows_whether_the_settings_are_right(
    alumni: Callable[..., Result], mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = alumni("notify", "--test")
    assert (sent.exit_code, sent.stdout, sent.stderr) == (0, "Messages sent: 1.\n", "")
    assert mail_server.subjects == ["Test message"]
    monkeypatch.setenv("ALUMNI_SMTP_PASSWORD", "wrong")
    refused = alumni("notify", "--test")
    assert (refused.exit_code, refused.stdout) == (1, "Messages sent: 0.\n")
    assert "refused the login (535). Check ALUMNI_SMTP_USER and ALUMNI_SMTP_PASSWORD" in refused.stderr


def test_without_anybody_to_send_to_that_is_said(
    alumni: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALUMNI_NOTIFY", "log")
    refused = alumni("notify")
    assert refused.exit_code == 2
    assert "ALUMNI_NOTIFY names neither email nor sns" in refused.stderr


def test_a_lake_that_is_gone_is_told_though_the_pass_breaks(
    raw: Path, alumni: Callable[..., Result], mail_server: MailServer
) -> None:
    assert alumni("run").exit_code == 0
    raw.parent.rename(raw.parent.with_name("unmounted"))
    broken = alumni("run")
    assert isinstance(broken.exception, LakeError)
    assert mail_server.subjects == ["The lake cannot be read"]


def test_a_damaged_notice_keeps_no_pass_from_working(
    raw: Path, alumni: Callable[..., Result], mail_server: MailServer
) -> None:
    assert alumni("run").exit_code == 0
    damaged = raw.parent / "register" / "notices" / "000001" / "notice.json"
    damaged.parent.mkdir()
    damaged.write_bytes(b"?")
    (raw / "bad.csv").write_bytes(b"")
    passed = alumni("run")
    assert passed.exit_code == 0
    assert "rejected" in passed.stdout
    assert mail_server.subjects == ["The lake cannot be read"]
    assert "register/notices/000001/notice.json" in mail_server.mails[0].get_content()
