"""What the containers of services.yaml and door.yaml run, run here: the commands of the tasks that were made, and the
health checks of the templates, on this machine's addresses, with a lake in a folder and Dagster's default storage.

No container is built or started: there is no engine for them here.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from dagster import DagsterInstance

from alumni_assets_tests.deploy.conftest import Cloud
from alumni_assets_tests.deploy.templates import resources
from alumni_assets_tests.deploy.test_services import container
from alumni_assets_tests.ports import free_port
from alumni_assets_tests.ui.dagster_dev import until

pytestmark = [pytest.mark.server, pytest.mark.slow]
COMMANDS = Path(sys.executable).parent


class Containers:
    """The processes of all tasks."""

    def __init__(self, account: Cloud, home: Path, started: ExitStack) -> None:
        self.code_port = str(free_port())
        self.ports = {"viewers": str(free_port()), "operators": str(free_port())}
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "DAGSTER_HOME": str(home),
            "ALUMNI_HOME": str(home),
            "ALUMNI_LAKE": str(home / "lake"),
        }
        DagsterInstance.from_config(str(home)).dispose()  # of several that make the storage at once, one would break
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._home = home
        for name in ("code", "daemon", *self.ports):
            log = started.enter_context((home / f"{name}.txt").open("wb"))
            command = self.here(name, container(account, name)["command"])
            self._processes[name] = subprocess.Popen(command, cwd=home, env=self._environment, stdout=log, stderr=log)
            started.callback(self._processes[name].wait, 60)
        for process in self._processes.values():
            started.callback(process.terminate)

    def here(self, name: str, command: list[str]) -> list[str]:
        """A command with the addresses and programs of this machine."""
        program, *arguments = command
        places = {
            "0.0.0.0": "127.0.0.1",
            "code.alumni.internal": "127.0.0.1",
            "4000": self.code_port,
            "3000": self.ports.get(name, ""),
        }
        return [str(COMMANDS / program), *(places.get(argument, argument) for argument in arguments)]

    def is_healthy(self, name: str) -> bool:
        """What the health check of a task says."""
        (written,) = resources("services")[f"{name.title()}Task"]["Properties"]["ContainerDefinitions"]
        mark, *command = written["HealthCheck"]["Command"]
        assert mark == "CMD"
        self._require_running(name)
        done = subprocess.run(self.here(name, command), env=self._environment, capture_output=True)
        return done.returncode == 0

    def answer(self, door: str, query: str) -> dict[str, object]:
        """What a webserver answers to a GraphQL query; empty while it does not answer."""
        self._require_running(door)
        request = Request(
            f"http://127.0.0.1:{self.ports[door]}/graphql",
            json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=30) as answer:
                found: dict[str, object] = json.load(answer)["data"]
        except (URLError, ConnectionError):
            return {}
        return found

    def _require_running(self, name: str) -> None:
        assert self._processes[name].poll() is None, (self._home / f"{name}.txt").read_text(errors="replace")


@pytest.fixture(scope="module")
def containers(account: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    with ExitStack() as started, pytest.MonkeyPatch.context() as environment:
        account.set_environment(environment)
        yield Containers(account, tmp_path_factory.mktemp("containers"), started)


def test_viewers_change_nothing_and_operators_may(containers: Containers) -> None:
    query = 'mutation { terminateRun(runId: "none") { __typename } }'
    answers = {door: until(lambda door=door: containers.answer(door, query), "it answers") for door in containers.ports}
    assert answers == {
        "viewers": {"terminateRun": {"__typename": "UnauthorizedError"}},
        "operators": {"terminateRun": {"__typename": "RunNotFoundError"}},
    }


def test_the_webservers_show_what_the_code_server_serves(containers: Containers) -> None:
    until(lambda: containers.is_healthy("code"), "the code server is healthy")
    query = "{ assetNodes { assetKey { path } } }"

    def names(door: str) -> set[str]:
        found = containers.answer(door, query).get("assetNodes", [])
        assert isinstance(found, list)
        return {node["assetKey"]["path"][-1] for node in found}

    for door in containers.ports:
        assert {"raw_survey", "transformed_survey"} <= until(lambda door=door: names(door), "it shows assets")


def test_the_daemon_is_alive(containers: Containers) -> None:
    until(lambda: containers.is_healthy("daemon"), "the daemon is healthy")
