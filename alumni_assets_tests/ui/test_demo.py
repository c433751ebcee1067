"""`make demo`: where it cannot start, and how it stops. What it starts is tested in `test_dagster_dev.py`."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from shutil import copyfile

import psutil
import pytest

from alumni_assets.resources.file_lock import exclusive_file_lock
from alumni_assets_tests.ports import free_port
from alumni_assets_tests.ui.dagster_dev import PROJECT, until

pytestmark = pytest.mark.slow


def _demo(folder: Path, port: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alumni_assets.demo"],
        cwd=folder,
        env={**os.environ, "PORT": port},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_second_one_says_that_one_runs_already(tmp_path: Path) -> None:
    (tmp_path / ".demo").mkdir()

    with exclusive_file_lock(tmp_path / ".demo" / "demo.lock", 0):
        second = _demo(tmp_path, port="3000")

    assert second.returncode == 1
    assert f"runs already (process {os.getpid()})" in second.stderr
    assert [path.name for path in (tmp_path / ".demo").iterdir()] == ["demo.lock"]


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stopped = _demo(tmp_path, port=str(port))

    assert stopped.returncode == 1
    assert stopped.stderr.startswith(f"Port {port} cannot be used")


def test_a_port_that_is_no_number_is_refused(tmp_path: Path) -> None:
    stopped = _demo(tmp_path, port="web")

    assert stopped.returncode == 1
    assert stopped.stderr.startswith("PORT is 'web'")


@pytest.mark.server
def test_ctrl_c_stops_it_and_all_that_it_started_even_where_a_script_started_it(tmp_path: Path) -> None:
    copyfile(PROJECT / "dagster.yaml", tmp_path / "dagster.yaml")
    output = tmp_path / "output"
    with output.open("wb") as log:
        demo = psutil.Popen(
            [sys.executable, "-m", "alumni_assets.demo"],
            cwd=tmp_path,
            env={**os.environ, "PORT": str(free_port())},
            stdout=log,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell does with `&`
        )
    started = [demo]
    try:
        until(lambda: "Ctrl+C stops it" in output.read_text(encoding="utf-8"), "the welcome is printed")
        started += demo.children(recursive=True)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=30) == 0
        assert psutil.wait_procs(started, timeout=10)[1] == []
    finally:
        for process in psutil.wait_procs(started, timeout=0)[1]:
            process.kill()
