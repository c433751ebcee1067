"""Dagster as it is deployed: a code server and a daemon, on the shipped dagster.yaml, with PostgreSQL and S3."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml
from dagster import DagsterInstance, RunsFilter

from alumni_assets_tests.ports import free_port
from alumni_assets_tests.state.code_location import Gate
from alumni_assets_tests.ui.dagster_dev import until

PROJECT = Path(__file__).parents[2]
SHIPPED = PROJECT / "deploy" / "dagster.yaml"
_COMMANDS = Path(sys.executable).parent


class Deployment:
    """The processes, and the folder of their lake. `environment` says where the database and the bucket are."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.lake, self.home = folder, folder / "lake", folder / "home"
        self.engine_gate, self.pool_gate = Gate(self.home, "engine"), Gate(self.home, "pool")
        (self.lake / "raw").mkdir(parents=True)
        dagster_home = folder / "dagster"
        dagster_home.mkdir()
        (dagster_home / "dagster.yaml").write_text(impatient(SHIPPED.read_text(encoding="utf-8")), encoding="utf-8")
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("ALUMNI_", "DAGSTER_", "AWS_"))
        }
        self.environment = kept | {
            "PYTHONPATH": str(PROJECT),  # where the tests' own code location is
            "DAGSTER_HOME": str(dagster_home),
            "ALUMNI_LAKE": str(self.lake),
            "ALUMNI_HOME": str(self.home),
            "ALUMNI_LOGS": "json",
            "ALUMNI_NOTIFY": "none",
            **environment,
        }
        self._port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start the code server, and then the daemon."""
        workspace = {"load_from": [{"grpc_server": {"host": "127.0.0.1", "port": self._port}}]}
        (self.folder / "workspace.yaml").write_text(yaml.safe_dump(workspace), encoding="utf-8")
        location = ["-m", "alumni_assets_tests.state.code_location", "-h", "127.0.0.1", "-p", str(self._port)]
        self._spawn("code_server", "dagster", "api", "grpc", *location, "--log-format", "json")
        until(lambda: self.says("code_server", "Started Dagster code server"), "the code server is up")
        self._spawn("daemon", "dagster-daemon", "run", "-w", "workspace.yaml", "--log-format", "json")

    def stop(self) -> None:
        """What a container's end does."""
        for process in reversed(self._processes.values()):
            process.send_signal(signal.SIGTERM)
        left = [psutil.Process(process.pid) for process in self._processes.values() if process.poll() is None]
        left += [child for process in left for child in process.children(recursive=True)]
        for process in psutil.wait_procs(left, timeout=30)[1]:
            process.kill()

    def lines(self, process: str) -> list[dict[str, Any]]:
        """What a process printed, line by line; fails on a line that is no JSON object."""
        text = (self.folder / f"{process}.log").read_text(encoding="ascii")
        whole = text[: text.rfind("\n") + 1]
        found = [json.loads(line) for line in whole.splitlines()]
        assert all(isinstance(line, dict) for line in found)
        return found

    def says(self, process: str, text: str) -> bool:
        """Whether a process of Dagster's, which must be at work, has printed a sentence with that in it."""
        assert self._processes[process].poll() is None, self.lines(process)
        return any(text in str(line.get("event")) for line in self.lines(process))

    def happened(self, event: str) -> list[dict[str, Any]]:
        """The lines of the code server, and of the runs that it started, about an event."""
        return [line for line in self.lines("code_server") if line.get("event") == event]

    def alumni_command(self, *arguments: str) -> dict[str, Any]:
        """What the `alumni` command prints in this environment."""
        done = subprocess.run(
            [str(_COMMANDS / "alumni"), *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def _spawn(self, name: str, program: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [str(_COMMANDS / program), *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


def impatient(shipped: str) -> str:
    """The shipped dagster.yaml, but for how long run monitoring waits."""
    settings = yaml.safe_load(shipped)
    settings["run_monitoring"] |= {"poll_interval_seconds": 2, "free_slots_after_run_end_seconds": 1}
    return yaml.safe_dump(settings)


def statuses(instance: DagsterInstance, run_ids: Collection[str]) -> set[str]:
    """The statuses of these runs."""
    return {run.status.value for run in instance.get_runs(RunsFilter(run_ids=list(run_ids)))} if run_ids else set()
