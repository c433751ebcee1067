"""A stand-in for AWS Glue: its API over HTTP, where a run of a job really runs its script, on this machine.

Knows the calls that the pipeline makes, answers with Glue's own names of states and errors, and tells of a run what is
true of its process. What the driver writes goes to CloudWatch (of moto's server) as Glue's jobs write there. What it
does not know of Glue: workers, roles, the definition of the job besides its script.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import boto3

# A service configures Spark for its jobs; this is a small one, without what makes long jobs fast.
_SPARK = """\
spark.master local[1]
spark.driver.memory 600m
spark.driver.host 127.0.0.1
spark.driver.bindAddress 127.0.0.1
spark.driver.extraJavaOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.ui.enabled false
spark.local.dir {folder}
spark.sql.warehouse.dir {folder}
"""


class RefusedError(Exception):
    """What Glue answers instead: the name of its error, and a text."""


class Running(Protocol):
    """What there is to know about a script that was started."""

    def poll(self) -> int | None:
        """Its exit status, once it has ended."""

    def terminate(self) -> None: ...


@dataclass
class Run:
    """A run of a job: what was asked for it, its script's process, and what that writes."""

    asked: Mapping[str, Any]
    script: Running
    output: Path
    deadline: float
    id: str = field(default_factory=lambda: f"jr_{uuid4().hex}{uuid4().hex}")
    ended_as: str = ""

    def state(self) -> str:
        """Glue's word for how the script stands; one that takes too long is ended."""
        status = self.script.poll()
        if not self.ended_as and status is None and time.monotonic() > self.deadline:
            self.end("TIMEOUT")
        if self.ended_as or status is None:
            return self.ended_as or "RUNNING"
        return "FAILED" if status else "SUCCEEDED"

    def end(self, state: str) -> None:
        self.ended_as = state
        self.script.terminate()


class Warm:
    """One process for all scripts; Java stays."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-P", str(Path(__file__).with_name("warm.py"))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=folder)
        self._workers = ThreadPoolExecutor(1)

    def start(self, script: Path, arguments: Sequence[str], output: Path) -> Running:
        return _InWarm(self._workers.submit(self._run, [str(script), list(arguments), str(output)]), self._process)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._workers.shutdown()

    def _run(self, order: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline() or 1)


@dataclass(frozen=True)
class _InWarm:
    status: "Future[int]"
    process: subprocess.Popen[str]

    def poll(self) -> int | None:
        return self.status.result() if self.status.done() else None

    def terminate(self) -> None:
        self.process.terminate()


class Glue:
    """The jobs that there are, by name the script of each, and their runs.

    `is_warm` lets scripts share a process, one after the other. A minute may be a short one here. `refuses` says which
    calls are refused, and how; `when_looked_after` is called whenever somebody asks for a run's state; `access_keys`
    are those that calls were signed with.
    """

    def __init__(self, folder: Path) -> None:
        self.jobs: dict[str, Path] = {}
        self.runs: list[Run] = []
        self.is_warm = False
        self.most_at_a_time = 3
        self.seconds_in_a_minute = 60.0
        self.refuses: dict[str, str] = {}
        self.when_looked_after: Callable[[], object] = lambda: None
        self.access_keys: set[str] = set()
        self._folder = folder
        (folder / "spark-defaults.conf").write_text(_SPARK.format(folder=folder))

    def answer(self, call: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """What Glue answers to a call. Raises RefusedError."""
        if call in self.refuses:
            raise RefusedError(self.refuses[call], "refused by the test")
        calls = {"StartJobRun": self._start, "GetJobRun": self._look, "BatchStopJobRun": self._stop}
        return calls[call](asked)

    def close(self) -> None:
        """End whatever still runs."""
        for run in self.runs:
            if run.state() == "RUNNING":
                run.end("STOPPED")
        if "_warm" in self.__dict__:
            self._warm.end()

    def _start(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if asked["JobName"] not in self.jobs:
            raise RefusedError("EntityNotFoundException", "Failed to start job run due to missing metadata.")
        if sum(run.state() == "RUNNING" for run in self.runs) >= self.most_at_a_time:
            raise RefusedError("ConcurrentRunsExceededException", "Concurrent runs exceeded.")
        output = self._folder / f"output-{len(self.runs)}.txt"
        arguments = ["--JOB_NAME", asked["JobName"], *(part for pair in asked["Arguments"].items() for part in pair)]
        start = self._warm.start if self.is_warm else self._process
        script = start(self.jobs[asked["JobName"]], arguments, output)
        self.runs.append(Run(asked, script, output, time.monotonic() + asked["Timeout"] * self.seconds_in_a_minute))
        return {"JobRunId": self.runs[-1].id}

    @cached_property
    def _warm(self) -> Warm:
        return Warm(self._folder, self._environment())

    def _process(self, script: Path, arguments: Sequence[str], output: Path) -> Running:
        command = [sys.executable, str(script), *arguments]
        with output.open("wb") as log:
            return subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log, cwd=self._folder)

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("ALUMNI_")},
            "SPARK_CONF_DIR": str(self._folder),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
        }

    def _look(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        run = self._run(asked["RunId"])
        self.when_looked_after()
        state = run.state()
        found = {"Id": run.id, "JobName": asked["JobName"], "JobRunState": state}
        if state == "RUNNING":
            return {"JobRun": found}
        lines = [line for line in run.output.read_text(encoding="utf-8", errors="replace").splitlines() if line]
        _write_log(run.asked["Arguments"]["--custom-logGroup-prefix"], run.id, lines)
        return {"JobRun": found | ({"ErrorMessage": lines[-1]} if state == "FAILED" and lines else {})}

    def _stop(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        for run_id in asked["JobRunIds"]:
            self._run(run_id).end("STOPPED")
        stopped = [{"JobName": asked["JobName"], "JobRunId": run_id} for run_id in asked["JobRunIds"]]
        return {"SuccessfulSubmissions": stopped, "Errors": []}

    def _run(self, run_id: str) -> Run:
        return next(run for run in self.runs if run.id == run_id)


def _write_log(prefix: str, stream: str, lines: Sequence[str]) -> None:
    logs, group = boto3.client("logs"), f"{prefix}/output"
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=group)
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        now = int(time.time() * 1000)
        events: Any = [{"timestamp": now, "message": line} for line in lines]
        if events:
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


@contextmanager
def glue_server(folder: Path) -> Iterator[tuple[str, Glue]]:
    """The stand-in on a free port of this machine: its address, and what it has."""
    folder.mkdir()
    glue = Glue(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            call = self.headers["X-Amz-Target"].partition(".")[2]
            glue.access_keys.add(re.findall(r"Credential=(\w+)/", self.headers["Authorization"])[0])
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                status, answer = 200, glue.answer(call, asked)
            except RefusedError as refused:
                status, answer = 400, {"__type": refused.args[0], "Message": refused.args[1]}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nothing: what is asked is in the runs."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", glue
    finally:
        server.shutdown()
        server.server_close()
        glue.close()
