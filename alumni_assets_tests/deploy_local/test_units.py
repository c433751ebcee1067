"""The unit files, as systemd reads them. Nothing is started here."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from alumni_assets_tests.deploy_local.pages import COMMANDS, UNITS

_ANALYZE = shutil.which("systemd-analyze")
_OURS = ("alumni-daemon", "alumni-operators", "alumni-viewers", "alumni-dashboard")
_DEBIANS = Path("/lib/systemd/system/caddy.service")
_PROGRAMS = "/opt/alumni_assets/.venv/bin"


@pytest.fixture
def installed(tmp_path: Path, lacking: Callable[[str], NoReturn]) -> Path:
    """The units beside Debian's of Caddy; the programs that they start are those of this environment."""
    if _ANALYZE is None:
        lacking("this machine has no systemd-analyze")
    if not _DEBIANS.exists():
        lacking("this machine has no Caddy of Debian's")
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    shutil.copy(_DEBIANS, folder)
    for unit in folder.glob("alumni-*.service"):
        unit.write_text(unit.read_text(encoding="utf-8").replace(_PROGRAMS, str(COMMANDS)), encoding="utf-8")
    return folder


@pytest.mark.parametrize("unit", [*_OURS, "caddy"])
def test_systemd_finds_nothing_wrong_with_a_unit(installed: Path, unit: str) -> None:
    assert _said(installed, "verify", "--man=no", f"{unit}.service") == (0, "")


@pytest.mark.parametrize(("unit", "exposure"), [*((unit, 2.0) for unit in _OURS), ("caddy", 2.5)])
def test_a_unit_is_shut_off_from_what_it_does_not_need(installed: Path, unit: str, exposure: float) -> None:
    threshold = f"--threshold={exposure * 10:.0f}"
    status, said = _said(installed, "security", "--offline=true", threshold, "--no-pager", f"{unit}.service")
    assert status == 0, said


def test_systemd_reads_what_the_units_share(installed: Path) -> None:
    shared = installed / "alumni-.service.d" / "shared.conf"
    shared.write_text(shared.read_text(encoding="utf-8") + "\nNoSuchSetting=yes\n", encoding="utf-8")
    _, said = _said(installed, "verify", "--man=no", "alumni-viewers.service")
    assert "NoSuchSetting" in said


def _said(units: Path, *arguments: str) -> tuple[int, str]:
    """The exit status of systemd-analyze, and what it said."""
    done = subprocess.run(
        [str(_ANALYZE), *arguments],
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{units}:"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout
