"""What is kept is its owner's alone, and no secret of the environment is in it or in what is printed.

Every secret setting is a canary here, whose text is then looked for. The servers are real ones that refuse whatever
they are asked, and say in their answers all that they were sent.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dagster._core.remote_representation.external_data import RepositorySnap

from alumni_assets import jobs
from alumni_assets.notifications.delivery import send_test
from alumni_assets.resources.notifier import NotifierResource
from alumni_assets.settings import SettingsError, load_settings
from alumni_assets.sheet import reading
from alumni_assets_tests.notifications.servers import USER, MailServer, make_certificate, running
from alumni_assets_tests.pipeline.answers import answer, answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import Pipeline, own_environment, pipeline
from alumni_assets_tests.sheet.conftest import QUICK, SHEET_ID, private_key

__all__ = ["own_environment", "pipeline", "private_key"]

pytestmark = pytest.mark.server

SECRETS = {
    "ALUMNI_SMTP_PASSWORD": "canary-of-the-mail-server",
    "ALUMNI_ERASURE_KEY": "canary-of-the-ledger-of-erasures-32",
    "AWS_SECRET_ACCESS_KEY": "canary-of-aws-secret",
    "AWS_SESSION_TOKEN": "canary-of-aws-session",
    "DAGSTER_POSTGRES_PASSWORD": "canary-of-the-database",
}
PREPARE = "from alumni_assets.settings import load_settings, prepare_lake; prepare_lake(load_settings())"
COMMAND = "import sys; sys.argv = ['alumni', *sys.argv[1:]]; from alumni_assets.cli import main; main()"
OTHERS = 0o077
LINK = "canary-of-the-link-of-the-sheet"
CANARY = re.compile(r"canary-of-[a-z0-9-]+")


class Refusing(BaseHTTPRequestHandler):
    """Refuses, and repeats what it was sent."""

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = f"{self.path} {self.headers}"
        body = f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{said}</Message></Error></ErrorResponse>"
        self.send_response(403)
        self.send_header("Content-Type", "text/xml")
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = _refuse  # noqa: N815  as http.server calls them

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    """The address of a server that plays AWS, the sheet and Google's tokens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def environment(refusing: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """All secrets, and servers none of which takes any."""
    certificate = make_certificate(tmp_path_factory.mktemp("certificate"))
    with running(MailServer(certificate)) as server:
        yield {
            **SECRETS,
            "AWS_ENDPOINT_URL": refusing,
            "AWS_ACCESS_KEY_ID": "an id is no secret",
            "ALUMNI_NOTIFY": "log,email,sns",
            "ALUMNI_SMTP_HOST": "127.0.0.1",
            "ALUMNI_SMTP_PORT": str(server.port),
            "ALUMNI_SMTP_USER": USER,
            "ALUMNI_SMTP_TO": "ana@school.edu.ph",
            "ALUMNI_SMTP_CA_FILE": str(certificate),
            "ALUMNI_REPORT_TO": "ana@school.edu.ph",
            "ALUMNI_SNS_TOPIC_ARN": "arn:aws:sns:ap-southeast-1:000000000000:alumni",
            "ALUMNI_SHEET_URL": f"{refusing}/{LINK}?format=csv",
        }


@pytest.fixture
def secretive(pipeline: Pipeline, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline with all secrets set; it does not wait between attempts."""
    pipeline.environment |= environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(reading, "Limits", lambda: QUICK)
    return pipeline


@dataclass(frozen=True)
class Ended:
    """What a process printed, and the folder that it worked in."""

    out: str
    err: str
    folder: Path


def started(folder: Path, *arguments: str, status: int = 0, **environment: str) -> Ended:
    """A Python process as a person starts it, with a umask that keeps nothing private; it ends with a status."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ALUMNI_", "DAGSTER_"))}
    ended = subprocess.run(
        (sys.executable, *arguments),
        cwd=folder,
        env={**own, "TMPDIR": str(folder / "tmp"), "ALUMNI_APPROVER": "Ana Reyes", **environment},
        capture_output=True,
        text=True,
        umask=0,
        timeout=120,
    )
    assert ended.returncode == status, ended.stderr
    return Ended(ended.stdout, ended.stderr, folder)


@pytest.fixture(scope="module")
def whole_run(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A first start, and `alumni run --approve` of an upload with a bad row, in a folder in which nothing was."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tmp").mkdir(mode=0o700)
    started(folder, "-c", PREPARE)
    upload = folder / "lake" / "raw" / "term.csv"
    upload.write_bytes(csv_bytes([*answers(1, 9), answer(10, Email="nobody")]))
    upload.chmod(0o644)
    os.utime(upload, (1e9, 1e9))
    return started(folder, "-c", COMMAND, "run", "--approve", **environment)


def leaks(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Which secrets are in texts, by the texts' names."""
    return {name: found for name, text in texts.items() if (found := set(CANARY.findall(text)))}


def kept(folder: Path) -> dict[str, str]:
    """All that was written to a disk."""
    return {str(path): path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()}


def export_sheet(pipeline: Pipeline) -> dg.ExecuteInProcessResult:
    """What the schedule's run does, with everything printed that a run prints."""
    job = pipeline.defs.resolve_job_def(jobs.EXPORT_SHEET.name)
    return job.execute_in_process(instance=pipeline.instance, raise_on_error=False)


def modes(folder: Path) -> dict[str, str]:
    """What others than the owner may do with each folder and file below this one, where they may do something."""
    found = {str(path.relative_to(folder)): path.lstat().st_mode & OTHERS for path in folder.rglob("*")}
    return {name: oct(mode) for name, mode in found.items() if mode}


@pytest.mark.slow
def test_after_a_whole_run_every_file_and_folder_is_its_owners_alone(whole_run: Ended) -> None:
    made = {str(path.relative_to(whole_run.folder)) for path in whole_run.folder.rglob("*")}
    folders = ("pinned", "valid", "invalid", "transformed", "published", "register")
    kept_at_home = (".alumni/warehouse.duckdb", ".alumni/register.sqlite", ".alumni/dagster/history/runs.db")
    assert {*(f"lake/{folder}" for folder in folders), *kept_at_home} <= made
    assert modes(whole_run.folder) == {"lake/raw/term.csv": "0o44"}
    assert list((whole_run.folder / "tmp").iterdir()) == []


@pytest.mark.slow
def test_no_secret_is_printed_or_kept_by_a_whole_run_that_all_servers_refuse(whole_run: Ended) -> None:
    assert "refused the login (535)" in whole_run.err
    assert "SNS refused the message (AccessDenied)" in whole_run.err
    found = kept(whole_run.folder)
    assert len([name for name in found if "/register/notices/" in name]) > 3
    assert leaks({"out": whole_run.out, "err": whole_run.err, **found}) == {}


@pytest.mark.slow
def test_no_secret_is_printed_or_kept_where_the_weekly_report_is_refused(
    whole_run: Ended, environment: dict[str, str]
) -> None:
    folder = whole_run.folder
    prepared = started(folder, "-c", COMMAND, "report", **environment)
    refused = started(folder, "-c", COMMAND, "report", "--send", status=1, **environment)
    assert "refused the login (535)" in refused.out + refused.err
    printed = {name: ended.out + ended.err for name, ended in (("prepared", prepared), ("refused", refused))}
    assert leaks({**printed, **kept(folder)}) == {}


def test_no_link_of_a_sheet_is_printed_or_told_to_dagster_by_a_run_that_fails(
    secretive: Pipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not export_sheet(secretive).success
    printed = capfd.readouterr()
    assert "it does not let us read the sheet" in printed.err
    assert leaks({"out": printed.out, "err": printed.err, "events": secretive.events()}) == {}


def test_folders_that_people_share_stay_shared_and_new_files_in_them_private(tmp_path: Path) -> None:
    for name in ("lake", "lake/raw", "home"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o2775)
    started(tmp_path, "-c", PREPARE, ALUMNI_HOME=str(tmp_path / "home"), ALUMNI_LAKE=str(tmp_path / "lake"))
    assert modes(tmp_path) == dict.fromkeys(("lake", "lake/raw", "home"), "0o75")
    assert (tmp_path / "home" / "lake_location").exists()


@pytest.mark.slow
def test_dagsters_processes_make_private_files_from_the_moment_they_load_the_definitions(tmp_path: Path) -> None:
    program = "from alumni_assets.definitions import defs; defs(); open('made', 'w')"
    started(tmp_path, "-c", program, ALUMNI_LAKE="s3://nowhere/lake")
    assert {path.name for path in tmp_path.iterdir()} == {".alumni", "made"}
    assert modes(tmp_path) == {}


def test_no_key_of_a_service_account_is_printed_or_told_to_dagster(
    pipeline: Pipeline, refusing: str, private_key: Any, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(reading, "Limits", lambda: QUICK)
    key = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"type": "service_account", "private_key_id": "1", "client_email": "exporter@alumni.example"}
    path = tmp_path_factory.mktemp("account") / "key.json"
    path.write_text(json.dumps({**account, "private_key": key, "token_uri": f"{refusing}/token"}), encoding="utf-8")
    pipeline.environment |= {"ALUMNI_SHEET_ID": SHEET_ID, "GOOGLE_APPLICATION_CREDENTIALS": str(path)}
    assert not export_sheet(pipeline).success
    printed = capfd.readouterr()
    said = [printed.out, printed.err, pipeline.events(), repr(load_settings(pipeline.environment))]
    assert "service account" in printed.err
    assert [line for line in key.splitlines() if any(line in text for text in said)] == []


def test_settings_resources_and_what_dagster_shows_of_them_name_no_secret(secretive: Pipeline) -> None:
    settings = load_settings(secretive.environment)
    notifier = NotifierResource(settings.notifier)
    resources = {name: f"{resource!r} {resource}" for name, resource in (secretive.defs.resources or {}).items()}
    channels = {channel.name: repr(channel) for channel in notifier.remote_channels()}
    shown = dg.serialize_value(RepositorySnap.from_def(secretive.defs.get_repository_def()))
    assert "weekly_report" in shown
    assert leaks({"settings": repr(settings), "shown": shown, **resources, **channels}) == {}
    result = send_test(notifier.remote_channels(), notifier.links)
    assert len(result.failures) == 2
    assert leaks({"result": repr(result)}) == {}


MISTAKES: dict[str, dict[str, str]] = {
    "a key that is too short": {"ALUMNI_ERASURE_KEY": "canary-of-a-key"},
    "a password without a user": {"ALUMNI_SMTP_PASSWORD": "canary-of-mail", "ALUMNI_NOTIFY": "email"},
    "a password without encryption": {
        "ALUMNI_SMTP_STARTTLS": "false",
        "ALUMNI_SMTP_PASSWORD": "canary-of-mail",
        "ALUMNI_SMTP_USER": USER,
        "ALUMNI_NOTIFY": "email",
    },
    "a link of another kind": {"ALUMNI_SHEET_URL": "ftp://example.org/canary-of-a-link"},
    "a link of a document": {"ALUMNI_SHEET_URL": "https://docs.google.com/document/d/canary-of-a-link"},
    "a link that is no address": {"ALUMNI_SHEET_URL": "https://[canary-of-a-link"},
    "a link with a sign that is several": {"ALUMNI_SHEET_URL": "https://canary-of-a-link\u2100.org/"},
    "an id that is no address": {"ALUMNI_SHEET_ID": "https://[canary-of-an-id", "GOOGLE_APPLICATION_CREDENTIALS": "x"},
    "a link and an id": {"ALUMNI_SHEET_URL": "https://x.org/canary-of-a-link", "ALUMNI_SHEET_ID": SHEET_ID},
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_secret_is_named_without_it(name: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(MISTAKES[name])
    assert leaks({"sentence": str(error.value)}) == {}
    assert next(iter(MISTAKES[name])) in str(error.value)
