"""A survey's sheet that is played, the server that gives it as Google does, and a lake to export it to.

The server can be told to fail in every way that a test needs: `google.next_answers` holds what it does next.
"""

import csv
import io
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from alumni_assets.resources.lake import FolderLake
from alumni_assets.resources.lake_interface import Lake, LakeEntry, LakeKeyError
from alumni_assets.sheet import checkpoint
from alumni_assets.sheet.exporting import Exported, Exporter
from alumni_assets.sheet.fetching import Limits
from alumni_assets.sheet.links import CsvLink, SheetsApi, csv_export_link
from alumni_assets.sheet.reading import sheet_as_csv
from alumni_assets.survey_rules import default_rules

HEADER = (
    "Submission Date",
    "Employee_ID",
    "Employee_Name",
    "College_Degree",
    "Department",
    "Job_Role",
    "DMC_Campus",
    "Email",
    "Phone_Number",
    "Performance_Rating",
)
SHEET_ID = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"
NOW = datetime(2026, 11, 23, 4, 5, 6)
QUICK = Limits(attempts=1, pause_seconds=0, connect_seconds=2, read_seconds=2, total_seconds=5)
Row = tuple[str, ...]


def answer(person: int, role: str = "Teacher", **changes: str) -> Row:
    """A row of the sheet: the same person's answers differ in the role, unless more is changed."""
    cells = {
        "Submission Date": "11/20/2026 08:15:00",
        "Employee_ID": f"{628000 + person}",
        "Employee_Name": f"Valerie Quintos{chr(65 + person % 26)}",
        "College_Degree": "Computer Science",
        "Department": "HR",
        "Job_Role": role,
        "DMC_Campus": "Santo Tomas",
        "Email": f"valerie.{person}@school.edu.ph",
        "Phone_Number": f"9{person:09d}",
        "Performance_Rating": "4",
        **changes,
    }
    return tuple(cells[title] for title in HEADER)


@dataclass
class Sheet:
    """The sheet as it is now."""

    header: Sequence[str] = HEADER
    rows: list[Row] = field(default_factory=list)

    def csv(self) -> bytes:
        """As the CSV export gives it: lines end with CR LF, but the last has no end."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows([self.header, *self.rows])
        return text.getvalue().removesuffix("\r\n").encode()

    def values(self) -> list[list[str]]:
        """As the Sheets API gives it: without empty cells at the end of a row."""
        records = [list(record) for record in [self.header, *self.rows]]
        for record in records:
            while record and not record[-1]:
                record.pop()
        return records


class Desk:
    """A lake and a home, and an exporter at work on the sheet."""

    def __init__(self, folder: Path, sheet: Sheet) -> None:
        (folder / "lake").mkdir(parents=True)
        self.folder = folder
        self.sheet = sheet
        self.home = folder / "home"
        self.lake: Lake = FolderLake(folder / "lake")

    def exporter(self, **changes: Any) -> Exporter:
        """An exporter that reads the sheet without any network, unless it is given another way."""
        how: dict[str, Any] = {
            "lake": self.lake,
            "home": self.home,
            "sheet": "answers",
            "limits": default_rules().limits,
            "read": lambda: as_file(self.sheet.csv()),
            "now": lambda: NOW,
        }
        return Exporter(**{**how, **changes})

    def export(self, accept_header: bool = False, **changes: Any) -> Exported:
        return self.exporter(**changes).export(accept_header)

    def export_from(self, source: CsvLink | SheetsApi, limits: Limits = QUICK, accept_header: bool = False) -> Exported:
        """Export what a server gives."""
        return self.export(accept_header, read=lambda: sheet_as_csv(source, self.home, limits))

    def uploads(self) -> dict[str, list[Row]]:
        """What was exported: for each upload in the order of the names its answers."""
        return uploads_in(self.lake)

    def exported(self) -> list[Row]:
        """All answers that were exported, in order."""
        return [row for rows in self.uploads().values() for row in rows]

    def files(self) -> dict[str, bytes]:
        """Every object in the lake."""
        return {entry.key: self.lake.read_bytes(entry.key) for entry in self.lake.list("")}


def uploads_in(lake: Lake) -> dict[str, list[Row]]:
    """The uploads under raw/ in the order of their names, each with its answers."""
    found = {}
    for key in sorted(entry.key for entry in lake.list("raw/")):
        _, *rows = csv.reader(io.StringIO(lake.read_bytes(key).decode(), newline=""), strict=True)
        found[key] = [tuple(row) for row in rows if row]
    return found


@contextmanager
def as_file(content: bytes) -> Iterator[BinaryIO]:
    yield io.BytesIO(content)


class MemoryLake:
    """The calls of a lake that an exporter makes, without a disk."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def list(self, prefix: str) -> Iterator[LakeEntry]:
        for key, content in list(self.objects.items()):
            if key.startswith(prefix):
                yield LakeEntry(key, len(content), str(hash(content)), NOW)

    def stat(self, key: str) -> LakeEntry | None:
        return next((entry for entry in self.list(key) if entry.key == key), None)

    def read_bytes(self, key: str) -> bytes:
        if key not in self.objects:
            raise LakeKeyError(key)
        return self.objects[key]

    def create_bytes(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def url(self, key: str) -> str:
        return f"memory://{id(self)}/{key}"


class WatchedLake:
    """A lake that calls `before` and `after` with the number, from 1, and the key of every write to it."""

    def __init__(self, lake: Any, before: Callable[[int, str], None], after: Callable[[int, str, bool], None]) -> None:
        self._lake = lake
        self._before = before
        self._after = after
        self.writes = 0

    def create_bytes(self, key: str, data: bytes) -> bool:
        return self._watched(key, lambda: self._lake.create_bytes(key, data))

    def delete(self, key: str) -> None:
        self._watched(key, lambda: self._lake.delete(key))

    def __getattr__(self, name: str) -> Any:
        assert name in {"list", "stat", "read_bytes", "url"}, f"an exporter does not {name}"
        return getattr(self._lake, name)

    def _watched(self, key: str, write: Callable[[], Any]) -> Any:
        self.writes += 1
        number = self.writes
        self._before(number, key)
        done = write()
        self._after(number, key, done)
        return done


class Handler(BaseHTTPRequestHandler):
    """One request to the played Google."""

    protocol_version = "HTTP/1.1"
    server: "Google"

    def do_GET(self) -> None:
        self._serve("")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def reply(
        self, body: bytes, media_type: str = "text/csv; charset=utf-8", status: int = 200, **headers: str
    ) -> None:
        """A complete answer."""
        self.start(status, **{"Content-Type": media_type, "Content-Length": str(len(body)), **headers})
        self.wfile.write(body)

    def start(self, status: int = 200, **headers: str) -> None:
        """The head of an answer; `_` in the names stands for `-`."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def hang_up(self) -> None:
        """Close the connection after this."""
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def handle(self) -> None:
        """A client that hung up is no matter of the test's."""
        with suppress(ConnectionError):
            super().handle()

    def _serve(self, body: str) -> None:
        self.server.requests.append((self.path, dict(self.headers), body))
        if self.server.next_answers:
            self.server.next_answers.pop(0)(self)
        else:
            self.server.answer(self)


class Google(ThreadingHTTPServer):
    """Plays the CSV export, the token server and the Sheets API."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sheet = sheet
        self.requests: list[tuple[str, dict[str, str], str]] = []
        self.next_answers: list[Callable[[Handler], None]] = []
        self.released = Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def link(self) -> CsvLink:
        return CsvLink(csv_export_link(f"{self.address}/spreadsheets/d/{SHEET_ID}/export?format=csv"))

    def answer(self, handler: Handler) -> None:
        """As Google answers when nothing is wrong."""
        path = urlsplit(handler.path).path
        if path == "/token":
            token = {"access_token": "token-1", "expires_in": 3600, "token_type": "Bearer"}
            handler.reply(json.dumps(token).encode(), "application/json")
        elif path.startswith("/v4/spreadsheets/"):
            values = {"range": "'Form Responses 1'!A1:Z1000", "majorDimension": "ROWS", "values": self.sheet.values()}
            handler.reply(json.dumps(values).encode(), "application/json; charset=UTF-8")
        elif parse_qs(urlsplit(handler.path).query).get("format") == ["csv"]:
            content = self.sheet.csv()
            handler.start(Content_Type="text/csv", Transfer_Encoding="chunked")
            for start in range(0, len(content), 1000):
                part = content[start : start + 1000]
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.reply(b"<!DOCTYPE html><title>Not found</title>", "text/html", 404)


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk() -> Iterator[None]:
    """The exporter's own file need not outlive a power cut here; waiting for that takes most of the tests' time."""

    def connect(*where: Any, **how: Any) -> sqlite3.Connection:
        database = sqlite3.connect(*where, **how)
        database.execute("PRAGMA synchronous = OFF")
        return database

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "sqlite3", SimpleNamespace(connect=connect))
        yield


@pytest.fixture
def sheet() -> Sheet:
    """A sheet with three answers."""
    return Sheet(rows=[answer(1), answer(2), answer(3)])


@pytest.fixture
def desk(tmp_path: Path, sheet: Sheet) -> Desk:
    return Desk(tmp_path / "desk", sheet)


@pytest.fixture
def google(sheet: Sheet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """A server on this machine that plays Google; no proxy is asked for it."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with Google(sheet) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def key_file(google: Google, private_key: rsa.RSAPrivateKey, tmp_path: Path) -> Path:
    """The key file of a service account, as Google's console gives it; its tokens come from the played Google."""
    path = tmp_path / "service-account.json"
    content = {
        "type": "service_account",
        "project_id": "alumni",
        "private_key_id": "1",
        "private_key": _pem(private_key).decode(),
        "client_email": "exporter@alumni.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{google.address}/token",
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def certificate(private_key: rsa.RSAPrivateKey, tmp_path: Path) -> Path:
    """A certificate that nobody has signed but itself, with its key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1))
        .not_valid_after(datetime(2100, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(private_key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(_pem(private_key) + signed.public_bytes(serialization.Encoding.PEM))
    return path


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
