"""What uploads take while `dagster dev` runs: many at once until they are published, and single ones until judged.

Dagster's own storage is what a fresh instance has, SQLite; the auto-approve policy is on. Linux only, like the rest.
"""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from alumni_assets.contract import default_contract
from alumni_assets.settings import load_settings
from alumni_assets.survey.sampling import write_sample
from alumni_assets.survey_rules import DEFAULT_RULES
from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.measuring import own_environment
from benchmarks.table import Table, spread

_PROJECT = Path(__file__).parents[2]
_STARTS_WITHIN, _ENDS_WITHIN = 120.0, 3600.0
_SETTLED_SECONDS = 10.0
_LOOKED_EVERY = 0.5
_STAGES = ("seen", "ingested", "transformed")
_POLICY = ("auto: false\n  max_invalid_share: 0.0", "auto: true\n  max_invalid_share: 0.2")


@dataclass(frozen=True)
class _Told:
    """Seconds until the last upload had come so far, by stage, and events by type."""

    seconds: dict[str, float]
    events: Counter[str]


def uploads(bench: Bench, uploads: Sequence[int], rows: int, rounds: int) -> None:
    """Drop so many uploads of `rows` rows at once, and wait until all of them are published."""
    bench.folder.mkdir(parents=True, exist_ok=True)
    for number in uploads:
        _many(bench, number, rows, rounds)


def _many(bench: Bench, uploads: int, rows: int, rounds: int) -> None:
    told = []
    for number in range(rounds):
        told.append(_once(bench.folder, uploads, rows))
        bench.tell(f"round {number + 1}: published after {told[-1].seconds['published']:.1f} s")
    seconds = Table(
        ("seconds until all are", *told[0].seconds),
        (
            (
                f"{uploads:,} uploads of {rows:,} rows",
                *(spread([one.seconds[s] for one in told]) for s in told[0].seconds),
            ),
        ),
    )
    events = Table(
        ("events of Dagster", "in all", "per upload"),
        tuple((kind, f"{count:,}", f"{count / uploads:.2f}") for kind, count in told[-1].events.most_common(4)),
    )
    bench.report(f"uploads-{uploads}", [seconds, events], machine.remarks())


def latency(bench: Bench, drops: int, rows: int) -> None:
    """Drop uploads one after the other, at other moments of the sensor's interval, until each is judged."""
    bench.folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="running-", dir=bench.folder))
    interval, seconds = load_settings({}).sensor_interval, []
    try:
        dropped = work / "dropped"
        dropped.mkdir()
        for number in range(drops):
            write_sample(dropped / f"batch-{number:06d}.csv", rows, 0.01, number, default_contract())
        with _dagster_dev(work):
            for number, path in enumerate(sorted(dropped.iterdir())):
                time.sleep(_SETTLED_SECONDS + interval * number / drops)
                seconds.append(_seconds_to_judged(work / "lake", path, number + 1))
                bench.tell(f"{path.name}: {seconds[-1]:.1f} s")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    row = (f"{drops} uploads of {rows:,} rows, one after the other", str(interval), spread(seconds))
    columns = ("", "sensor interval s", "s from drop to validated")
    bench.report("latency", [Table(columns, (row,))], machine.remarks())


def _seconds_to_judged(lake: Path, path: Path, number: int) -> float:
    started = time.monotonic()
    path.rename(lake / "raw" / path.name)
    _wait(partial(_has, lake / "register" / "ingested", number), _ENDS_WITHIN, every=0.05)
    return time.monotonic() - started


def _once(folder: Path, uploads: int, rows: int) -> _Told:
    work = Path(tempfile.mkdtemp(prefix="running-", dir=folder))
    try:
        dropped = work / "dropped"
        dropped.mkdir()
        for number in range(uploads):
            write_sample(dropped / f"batch-{number:06d}.csv", rows, 0.01, number, default_contract())
        with _dagster_dev(work):
            seconds = _seconds(work / "lake", dropped, uploads)
        return _Told(seconds, _events(work))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _seconds(lake: Path, dropped: Path, uploads: int) -> dict[str, float]:
    started = time.monotonic()
    for path in sorted(dropped.iterdir()):
        path.rename(lake / "raw" / path.name)
    seconds = {}
    for stage in _STAGES:
        _wait(partial(_has, lake / "register" / stage, uploads), _ENDS_WITHIN)
        seconds[stage] = time.monotonic() - started
    _wait(lambda: _published_uploads(lake) >= uploads, _ENDS_WITHIN)
    return seconds | {"published": time.monotonic() - started}


def _published_uploads(lake: Path) -> int:
    path = lake / "published" / "survey_responses.parquet"
    return _uploads_in(path, path.stat().st_mtime_ns) if path.exists() else 0


@lru_cache(maxsize=1)
def _uploads_in(path: Path, _changed: int) -> int:
    """Read once for each publication: reading ten million rows twice a second would slow down what is measured."""
    return len(pq.read_table(path, columns=["upload"], read_dictionary=["upload"])["upload"].unique())


def _has(folder: Path, number: int) -> bool:
    return folder.exists() and sum(1 for _ in os.scandir(folder)) >= number


def _events(work: Path) -> Counter[str]:
    """The events in the instance's store, by type."""
    (index,) = work.rglob("index.db")
    with closing(sqlite3.connect(index)) as store:
        return Counter(dict(store.execute("SELECT dagster_event_type, count(*) FROM event_logs GROUP BY 1")))


@contextmanager
def _dagster_dev(work: Path) -> Iterator[None]:
    """`dagster dev` with the project's own instance settings in a folder, until the context ends."""
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copyfile(_PROJECT / name, work / name)
    (work / "survey.yaml").write_text(DEFAULT_RULES.read_text(encoding="utf-8").replace(*_POLICY), encoding="utf-8")
    port = _free_port()
    with (work / "log.txt").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603
            [str(Path(sys.executable).with_name("dagster")), "dev", "--host", "127.0.0.1", "--port", str(port)],
            cwd=work,
            env=own_environment() | {"ALUMNI_SURVEY": str(work / "survey.yaml")},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait(lambda: _answers(port) and (work / "lake" / "raw").exists(), _STARTS_WITHIN)
        time.sleep(_SETTLED_SECONDS)  # the daemon's first ticks
        yield
    finally:
        _end(psutil.Process(server.pid))


def _end(server: psutil.Process) -> None:
    """What Ctrl+C does; processes that linger are ended."""
    processes = [server, *server.children(recursive=True)]
    server.send_signal(signal.SIGINT)
    for process in psutil.wait_procs(processes, timeout=30)[1]:
        process.kill()
    psutil.wait_procs(processes, timeout=10)


def _answers(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _wait(happened: Callable[[], bool], seconds: float, every: float = _LOOKED_EVERY) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"What was waited for did not happen within {seconds:g} s.")
        time.sleep(every)
