"""The `alumni report` command, for scripts and people without a UI."""

from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alumni_assets.cli import cli
from alumni_assets.report.keeping import ReportError
from alumni_assets_tests.pipeline.answers import answers, csv_bytes
from alumni_assets_tests.report.conftest import MoodyServer
from alumni_assets_tests.report.offices import ANA, BEN, SURVEY

pytestmark = [pytest.mark.server, pytest.mark.slow]
Alumni = Callable[..., Result]


@pytest.fixture
def alumni(tmp_path: Path, server: MoodyServer, monkeypatch: pytest.MonkeyPatch) -> Alumni:
    """Runs the command, in an environment with a mail server."""
    environment = {
        "ALUMNI_LAKE": tmp_path / "lake",
        "ALUMNI_HOME": tmp_path / "home",
        "ALUMNI_APPROVER": "Ana Reyes",
        "ALUMNI_SMTP_HOST": "127.0.0.1",
        "ALUMNI_SMTP_PORT": server.port,
        "ALUMNI_SMTP_STARTTLS": "false",
        "ALUMNI_REPORT_FROM": SURVEY,
        "ALUMNI_REPORT_TO": f"{ANA},{BEN}",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def publish(alumni: Alumni, folder: Path) -> None:
    raw = folder / "lake" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    (raw / "good.csv").write_bytes(csv_bytes(answers(1, 20)))
    assert alumni("run", "--approve").exit_code == 0


def test_from_nothing_to_a_report_that_everybody_has(alumni: Alumni, tmp_path: Path, server: MoodyServer) -> None:
    """One long way, for each pass of the pipeline takes its time."""
    missing = alumni("report", "--preview", str(tmp_path / "preview"))
    assert isinstance(missing.exception, ReportError)
    assert str(missing.exception).startswith("Nothing is published yet, so there is nothing to report.")
    assert alumni("report").exit_code == 1
    publish(alumni, tmp_path)

    early = alumni("report", "--send")
    assert early.exit_code == 1
    assert "No report is prepared for " in early.stderr
    assert "or run `alumni report`." in early.stderr

    looked = alumni("report", "--preview", str(tmp_path / "preview"))
    assert looked.exit_code == 0
    assert looked.stdout.splitlines() == [
        str(tmp_path / "preview" / name) for name in ("report.html", "report.txt", "report.pdf", "report.eml")
    ]
    mail = message_from_bytes((tmp_path / "preview" / "report.eml").read_bytes())
    assert mail["From"] == SURVEY
    assert not (tmp_path / "lake" / "reports").exists()

    prepared = alumni("report")
    assert prepared.exit_code == 0
    path, advice = prepared.stdout.splitlines()
    assert Path(path).read_bytes().startswith(b"%PDF")
    assert advice == "Look at it; `alumni report --send` sends it."
    assert server.mails == []

    server.refused, server.busy = {ANA}, {BEN}
    refused = alumni("report", "--send")
    assert refused.exit_code == 1
    first, second = refused.stdout.splitlines()
    assert first.startswith("e-mail to a***@school.edu.ph: refused. 127.0.0.1:")
    assert second.startswith("e-mail to b***@school.edu.ph: to be sent again. 127.0.0.1:")
    assert "mailed_report: The report of " in refused.stderr

    server.refused = set()
    waiting = alumni("report", "--send")
    assert (waiting.exit_code, waiting.stderr) == (1, "")
    server.busy = set()
    for _ in range(2):
        sent = alumni("report", "--send")
        assert (sent.exit_code, sent.stdout, sent.stderr) == (
            0,
            "e-mail to a***@school.edu.ph: sent\ne-mail to b***@school.edu.ph: sent\n",
            "",
        )
    assert server.receivers == [[ANA], [BEN]]


def test_a_preview_is_not_sent(alumni: Alumni) -> None:
    refused = alumni("report", "--send", "--preview", "x")
    assert refused.exit_code == 2
    assert "--send and --preview exclude each other." in refused.stderr


def test_a_preview_needs_a_folder(alumni: Alumni, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = alumni("report", "--preview", str(tmp_path / "file"))
    assert refused.exit_code == 2
    assert "is a file" in refused.stderr
