"""Ticks that find nothing new among many uploads: of the sensor for new ones, and of automation.

The sensor is measured beside the bare listing, in a folder, and in a bucket of an S3 server on this machine (moto's,
over HTTP); automation with Dagster's own storage on SQLite.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from alumni_assets import layout
from alumni_assets.definitions import build_defs
from alumni_assets.register import Register
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.settings import load_settings
from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.table import Table, spread

_BUCKET = "ticks"
_WRITERS = 8


def tick(bench: Bench, uploads: int, rounds: int) -> None:
    """Evaluate the sensor `rounds` times for each place, with a bare listing of `raw/` before each."""
    bench.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for title, place in {"folder": _folder, "bucket": _bucket}.items():
        work = Path(tempfile.mkdtemp(prefix="ticks-", dir=bench.folder))
        try:
            with place(work) as location:
                bench.tell(f"preparing {uploads:,} uploads in a {title}")
                listings, ticks = _measured(location, work / "home", uploads, rounds)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        ratios = [tick / listing for tick, listing in zip(ticks, listings, strict=True)]
        rows.append((f"{uploads:,} known uploads in a {title}", spread(listings), spread(ticks), spread(ratios)))
    columns = ("", "bare listing s", "tick s", "tick ÷ listing")
    bench.report("tick", [Table(columns, tuple(rows))], machine.remarks())


def automation(bench: Bench, uploads: Sequence[int], rounds: int) -> None:
    """Evaluate the automation conditions of all assets `rounds` times, with so many uploads and no news."""
    bench.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in uploads:
        bench.tell(f"{number:,} uploads")
        with tempfile.TemporaryDirectory(prefix="ticks-", dir=bench.folder) as work:
            rows.append((f"{number:,} uploads", spread(_automation_seconds(Path(work), number, rounds))))
    bench.report("automation", [Table(("", "tick s"), tuple(rows))], machine.remarks())


def _automation_seconds(work: Path, uploads: int, rounds: int) -> list[float]:
    defs = build_defs(load_settings({"ALUMNI_LAKE": str(work / "lake"), "ALUMNI_HOME": str(work / "home")}))
    cursor, seconds = None, []
    with dg.DagsterInstance.local_temp(str(work)) as instance:
        instance.add_dynamic_partitions(
            "uploads", [f"batch-{number:06d}.csv@{number:08x}" for number in range(uploads)]
        )
        for _ in range(1 + rounds):  # the first remembers nothing yet
            started = time.monotonic()
            cursor = dg.evaluate_automation_conditions(defs, instance, cursor=cursor).cursor
            seconds.append(time.monotonic() - started)
    return seconds[1:]


def _measured(location: str, home: Path, uploads: int, rounds: int) -> tuple[list[float], list[float]]:
    defs = build_defs(load_settings({"ALUMNI_LAKE": location, "ALUMNI_HOME": str(home)}))
    lake = LakeResource(location=location).lake()
    _fill(lake, uploads)
    known = {entry.key.removeprefix(layout.RAW): (entry.etag, entry.size) for entry in lake.list(layout.RAW)}
    Register(lake, home).remember(known)
    sensor, resources = defs.resolve_sensor_def("new_uploads"), dict(defs.resources or {})
    listings, ticks = [], []
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(rounds):
            listings.append(_seconds(lambda: list(lake.list(layout.RAW))))
            with dg.build_sensor_context(instance=instance, resources=resources) as context:
                ticks.append(_seconds(lambda: sensor.evaluate_tick(context)))
    return listings, ticks


def _fill(lake: Lake, uploads: int) -> None:
    with ThreadPoolExecutor(_WRITERS) as pool:
        for _ in pool.map(lambda number: lake.put_bytes(f"{layout.RAW}batch-{number:06d}.csv", b"x"), range(uploads)):
            pass


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


@contextmanager
def _folder(work: Path) -> Iterator[str]:
    (work / "lake").mkdir()
    yield str(work / "lake")


@contextmanager
def _bucket(work: Path) -> Iterator[str]:
    """A bucket; what this process knows of AWS is that server from now on."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        import boto3

        boto3.client("s3").create_bucket(Bucket=_BUCKET)
        yield f"s3://{_BUCKET}"
    finally:
        server.stop()
