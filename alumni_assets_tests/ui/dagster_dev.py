"""`dagster dev` as the README starts it: in a folder with the project's dagster.yaml, on the lake of that folder.

It is a real server with its daemon; what it did is asked over its GraphQL API. How a person clicks through its
pages is in `reviewer.py`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from shutil import copyfile
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from alumni_assets import layout
from alumni_assets.contract import default_contract
from alumni_assets.survey.sampling import write_sample
from alumni_assets_tests.ports import free_port
from alumni_assets_tests.ui import spreadsheet

PROJECT = Path(__file__).parents[2]
APPROVER = "Ana Reyes"
_COMMANDS = Path(sys.executable).parent
_MATERIALIZATIONS = """
query ($asset: AssetKeyInput!, $partitions: [String!]) {
  assetOrError(assetKey: $asset) {
    ... on Asset {
      assetMaterializations(partitions: $partitions, limit: 100) {
        runId timestamp metadataEntries { label ... on TextMetadataEntry { text } }
      }
    }
  }
}
"""
_NODE = """
query ($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) { ... on AssetNode { partitionKeys staleStatus } }
}
"""
_FRESHNESS = """
query ($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) { ... on AssetNode { freshnessStatusInfo { freshnessStatus } } }
}
"""
_RUNS = """
query ($filter: RunsFilter) {
  runsOrError(filter: $filter, limit: 100) { ... on Runs { results { runId status jobName creationTime } } }
}
"""
_CHECKS = """
query ($asset: AssetKeyInput!, $check: String!, $partition: String) {
  assetCheckExecutions(assetKey: $asset, checkName: $check, partition: $partition, limit: 1) {
    evaluation { success description }
  }
}
"""


def until(happened: Callable[[], Any], what: str, seconds: float = 300) -> Any:
    """What `happened` gives once it is true; fails with `what` when it does not come to that."""
    deadline = time.monotonic() + seconds
    while not (result := happened()):
        assert time.monotonic() < deadline, f"it did not come to it within {seconds} s that {what}"
        time.sleep(0.3)
    return result


class DagsterDev:
    """The server, and the folder in which it is started. It can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = folder / "lake"
        for name in ("dagster.yaml", "workspace.yaml"):
            copyfile(PROJECT / name, folder / name)
        self._port = free_port()
        self._processes: list[psutil.Process] = []

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a person who has set next to nothing."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ALUMNI_", "DAGSTER_"))}
        return {**inherited, "ALUMNI_APPROVER": APPROVER, "ALUMNI_SENSOR_SECONDS": "1"}

    def start(self) -> None:
        """Start, and wait until the pages can be opened."""
        with (self.folder / "dagster.log").open("ab") as log:
            server = subprocess.Popen(
                [str(_COMMANDS / "dagster"), "dev", "--host", "127.0.0.1", "--port", str(self._port)],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes = [psutil.Process(server.pid)]
        until(self._is_ready, "dagster dev is ready")

    def stop(self) -> None:
        """What Ctrl+C does; processes that linger are ended."""
        if not self._processes:
            return
        server = self._processes[0]
        processes = [server, *server.children(recursive=True)] if server.is_running() else self._processes
        if server.is_running():
            server.send_signal(signal.SIGINT)
            psutil.wait_procs([server], timeout=30)
        for process in psutil.wait_procs(processes, timeout=10)[1]:
            process.kill()
        psutil.wait_procs(processes, timeout=10)
        self._processes = []

    def kill(self) -> None:
        """What a power cut does to all its processes."""
        server = self._processes[0]
        processes = [server, *server.children(recursive=True)]
        os.killpg(server.pid, signal.SIGKILL)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes)
        self._processes = []

    def url(self, page: str) -> str:
        return f"http://127.0.0.1:{self._port}{page}"

    def put(self, name: str, rows: int, dirty: float = 0.0, seed: int = 0) -> str:
        """Copy a synthetic survey into raw/, and give the upload's id."""
        write_sample(self.folder / name, rows, dirty, seed, default_contract())
        return self._copy_to_raw(name)

    def correction_file(self, upload: str) -> dict[str, dict[str, str]]:
        """The rows of an upload's correction file, by what is in `_row`."""
        return spreadsheet.opened(self.lake / layout.correction_key(upload, "xlsx"))

    def give_back(self, name: str, rows: Iterable[Mapping[str, str]]) -> str:
        """Save rows of a correction file under another name in raw/, and give the upload's id."""
        spreadsheet.save(self.folder / name, rows)
        return self._copy_to_raw(name)

    def is_validated(self, upload: str) -> bool:
        return bool(self.materializations("validated_survey", upload))

    def materializations(self, asset: str, partition: str | None = None) -> list[dict[str, Any]]:
        """When and by which run an asset was materialized, the newest first."""
        variables = {"asset": {"path": [asset]}, "partitions": None if partition is None else [partition]}
        return self._ask(_MATERIALIZATIONS, variables)["assetOrError"].get("assetMaterializations", [])

    def made_at(self, asset: str) -> float:
        """When an asset was materialized last, in seconds since 1970."""
        return float(self.materializations(asset)[0]["timestamp"]) / 1000

    def newest_texts(self, asset: str, partition: str) -> dict[str, str]:
        """Texts in the metadata of the newest materialization, by label."""
        newest = self.materializations(asset, partition)[0]
        return {entry["label"]: entry["text"] for entry in newest["metadataEntries"] if "text" in entry}

    def partitions(self, asset: str) -> list[str]:
        return self._ask(_NODE, {"asset": {"path": [asset]}})["assetNodeOrError"]["partitionKeys"]

    def is_current(self, asset: str) -> bool:
        """Whether Dagster finds nothing above the asset that is newer than it."""
        return self._ask(_NODE, {"asset": {"path": [asset]}})["assetNodeOrError"]["staleStatus"] == "FRESH"

    def is_fresh(self, asset: str) -> bool:
        """Whether Dagster finds that the asset was made recently enough."""
        found = self._ask(_FRESHNESS, {"asset": {"path": [asset]}})["assetNodeOrError"]["freshnessStatusInfo"]
        return found["freshnessStatus"] == "HEALTHY"

    def runs(self, **wanted: Any) -> list[dict[str, Any]]:
        """Runs that Dagster's `RunsFilter` lets through, the newest first."""
        return self._ask(_RUNS, {"filter": wanted})["runsOrError"]["results"]

    def runs_of(self, upload: str, *statuses: str) -> list[dict[str, Any]]:
        """Runs that were started for one upload."""
        return self.runs(tags=[{"key": "dagster/partition", "value": upload}], statuses=list(statuses))

    def check(self, asset: str, check: str, upload: str) -> str:
        """What a check said last of an upload."""
        variables = {"asset": {"path": [asset]}, "check": check, "partition": upload}
        (execution,) = self._ask(_CHECKS, variables)["assetCheckExecutions"]
        return str(execution["evaluation"]["description"])

    def published(self, table: str) -> pa.Table:
        """A published table; without rows or columns when there is none yet."""
        path = self.lake / "published" / f"{table}.parquet"
        return pq.read_table(path) if path.exists() else pa.table({})

    def alumni_of(self, upload: str) -> set[int]:
        """Employee ids in the published table whose row is this upload's."""
        rows = self.published("alumni").to_pylist()
        return {row["employee_id"] for row in rows if row["upload"] == upload}

    def alumni_command(self, *arguments: str) -> dict[str, Any]:
        """What the `alumni` command prints when it is called in the same folder."""
        done = subprocess.run(
            [str(_COMMANDS / "alumni"), *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    def _copy_to_raw(self, name: str) -> str:
        content = (self.folder / name).read_bytes()
        copyfile(self.folder / name, self.lake / "raw" / name)
        return f"{name}@{sha256(content).hexdigest()[:8]}"

    def _is_ready(self) -> bool:
        assert self._processes[0].is_running(), f"dagster dev ended: {self._log()[-2000:]}"
        try:
            return "partitionKeys" in self._ask(_NODE, {"asset": {"path": ["raw_survey"]}})["assetNodeOrError"]
        except OSError:
            return False

    def _log(self) -> str:
        return (self.folder / "dagster.log").read_text(encoding="utf-8", errors="replace")

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        body = json.dumps({"query": query, "variables": variables})
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        assert "errors" not in answer, answer["errors"]
        return answer["data"]
