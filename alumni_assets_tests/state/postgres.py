"""A real PostgreSQL server of this machine's own package, over TLS, for Dagster's state. It ends with the tests."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2
import trustme

from alumni_assets_tests.ports import free_port

PASSWORD = "p@ss:w/ord%20"  # what has to be quoted in a URL
USER = DATABASE = "dagster"
_STARTS_WITHIN = 60.0


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs; None where it is not installed."""
    if shutil.which("initdb"):
        return Path(str(shutil.which("initdb"))).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), default=None)


class Postgres:
    """The server. `authority` is the file of the authority that its certificate is from, `other_authority` another."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="alumni-postgres-"))
        self.authority, self.other_authority = self._folder / "authority.pem", self._folder / "other.pem"
        self.port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(str(self.authority))
        trustme.CA().cert_pem.write_to_path(str(self.other_authority))
        certificate.private_key_pem.write_to_path(str(self._folder / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(self._folder / "certificate.pem"))
        (self._folder / "password").write_text(PASSWORD, encoding="utf-8")
        self._give_away()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find the server."""
        return {
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(self.port),
            "DAGSTER_POSTGRES_DB": DATABASE,
            "DAGSTER_POSTGRES_USER": USER,
            "DAGSTER_POSTGRES_PASSWORD": PASSWORD,
            "PGSSLROOTCERT": str(self.authority),
        }

    def start(self) -> None:
        """Make the database, and start the server on it."""
        folder, data = self._folder, str(self._folder / "data")
        initdb = [str(self._programs / "initdb"), "-D", data, "-U", USER, "--pwfile", str(folder / "password")]
        self._run([*initdb, "-A", "scram-sha-256", "--no-sync"]).check_returncode()
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": str(folder / "certificate.pem"),
            "ssl_key_file": str(folder / "key.pem"),
        }
        command = [str(self._programs / "postgres"), "-D", data, "-p", str(self.port)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log.txt").open("wb") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, user=self._user, cwd=folder)
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self._is_ready():
            assert self._server.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def stop(self) -> None:
        """End the server and whoever is connected."""
        if self._server:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(timeout=30)
        shutil.rmtree(self._folder)

    @property
    def _user(self) -> str | None:
        """Whom the server runs as: it refuses to run as root."""
        if os.getuid() != 0:
            return None
        return "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"

    def _give_away(self) -> None:
        (self._folder / "key.pem").chmod(0o600)
        if self._user:
            for path in (self._folder, *self._folder.iterdir()):
                shutil.chown(path, self._user)

    def _run(self, command: list[str]) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(command, user=self._user, cwd=self._folder, capture_output=True, check=False)

    def _is_ready(self) -> bool:
        try:
            connection = psycopg2.connect(
                host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname="postgres"
            )
        except psycopg2.OperationalError:
            return False
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {DATABASE}")
        connection.close()
        return True
