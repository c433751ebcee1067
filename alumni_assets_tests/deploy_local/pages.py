"""Dagster's two web servers and the dashboard as the units start them, on one instance and lake, behind the login."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.storage.compute_log_manager import ComputeIOType

from alumni_assets.dashboard.keeping import PAGE_KEY
from alumni_assets.reporting import UPLOADS
from alumni_assets_tests.deploy_local.front import DEPLOY, LOGINS, SITES, Front, Site
from alumni_assets_tests.ports import free_port
from alumni_assets_tests.ui.dagster_dev import until

PROJECT = Path(__file__).parents[2]
UNITS = DEPLOY / "systemd"
COMMANDS = Path(sys.executable).parent
UNIT_OF: dict[Site, str] = {
    "viewers": "alumni-viewers.service",
    "operators": "alumni-operators.service",
    "page": "alumni-dashboard.service",
}
UPLOAD = "survey.csv@1a2b3c4d"
LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "alumni_assets.definitions"}
PAGE = "<!doctype html><title>The dashboard</title>"
TOLD = "told on the way"
_READY = '{ assetNodeOrError(assetKey: {path: ["raw_survey"]}) { __typename } }'


class Pages:
    """The servers, what they have before them, and the login in front of them."""

    def __init__(self, folder: Path, logins: Mapping[str, str] = LOGINS) -> None:
        self.folder = folder
        for name in ("dagster.yaml", "workspace.yaml"):
            copyfile(PROJECT / name, folder / name)
        (folder / "lake" / PAGE_KEY).parent.mkdir(parents=True)
        (folder / "lake" / PAGE_KEY).write_text(PAGE, encoding="utf-8")
        self.run_id, self.log_key = self._run_before()
        self._ports = {site: free_port() for site in SITES}
        self._servers: list[subprocess.Popen[bytes]] = []
        (folder / "front").mkdir()
        self.front = Front(folder / "front", self._ports, logins)

    def start(self, login: str) -> None:
        """Start all, and wait until they are ready for somebody who may see all."""
        for site in SITES:
            self._servers.append(self._start_server(site))
        self.front.start()
        for site in ("viewers", "operators"):
            self._wait(lambda site=site: self._knows_assets(site, login), f"the server of {site} is ready")
        self._wait(lambda: self.front.ask("page", login=login).status == 200, "the dashboard is served")

    def stop(self) -> None:
        self.front.stop()
        for server in self._servers:
            server.terminate()
        for server in self._servers:
            server.wait(timeout=30)

    def listening(self) -> set[str]:
        """The addresses on which the servers and their processes listen."""
        parents = [psutil.Process(server.pid) for server in self._servers]
        processes = [one for parent in parents for one in (parent, *parent.children(recursive=True))]
        sockets = [one for process in processes for one in process.net_connections("inet")]
        return {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}

    def asked(self, site: Site, login: str, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What Dagster answers; fails where it could not."""
        answer = self.front.graphql(site, login, query, variables)
        assert answer.status == 200, answer.body
        return answer.json["data"]

    def end_backfill(self, backfill_id: str) -> None:
        """What the daemon does once all runs of it are over."""
        with self._instance() as instance:
            backfill = instance.get_backfill(backfill_id)
            assert backfill is not None
            instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))

    def _run_before(self) -> tuple[str, list[str]]:
        """A run that is over, with an upload and something in its log."""

        @dg.asset
        def told_before() -> None:
            """Nothing but a run."""

        with self._instance() as instance:
            instance.add_dynamic_partitions(UPLOADS.name, [UPLOAD])
            run_id = dg.materialize([told_before], instance=instance).run_id
            log_key = [run_id, "compute_logs", "told"]
            with instance.compute_log_manager.open_log_stream(log_key, ComputeIOType.STDOUT) as stream:
                assert stream is not None
                stream.write(TOLD)
        return run_id, log_key

    @contextmanager
    def _instance(self) -> Iterator[dg.DagsterInstance]:
        with pytest.MonkeyPatch.context() as here:
            here.chdir(self.folder)  # to which dagster.yaml's paths are relative
            with dg.DagsterInstance.from_config(str(self.folder)) as instance:
                yield instance

    def _start_server(self, site: Site) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ALUMNI_", "DAGSTER_"))}
        with (self.folder / f"{site}.log").open("wb") as log:
            return subprocess.Popen(
                command_of(UNIT_OF[site], self._ports[site]),
                cwd=self.folder,
                env={**inherited, "DAGSTER_HOME": str(self.folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        """Wait, while all servers are at work; where it does not come to it, say what they said."""
        try:
            until(lambda: happened() or any(server.poll() is not None for server in self._servers), what)
            assert happened(), f"a server ended before {what}"
        except AssertionError as error:
            for site in SITES:
                said = (self.folder / f"{site}.log").read_text(encoding="utf-8", errors="replace")
                error.add_note(f"The server of {site} said:\n{said[-3000:]}")
            raise

    def _knows_assets(self, site: Site, login: str) -> bool:
        answer = self.front.graphql(site, login, _READY)
        return answer.status == 200 and answer.json["data"]["assetNodeOrError"]["__typename"] == "AssetNode"


def command_of(unit: str, port: int) -> list[str]:
    """What a unit starts, from this environment and on another port."""
    lines = (UNITS / unit).read_text(encoding="utf-8").splitlines()
    (command,) = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart=")]
    program, *arguments, usual_port = shlex.split(command)
    assert usual_port.isdecimal()
    return [str(COMMANDS / Path(program).name), *arguments, str(port)]
