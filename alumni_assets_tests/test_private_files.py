"""What the pipeline keeps is its owner's alone, whatever the umask of who calls it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alumni_assets_tests.pipeline.answers import answer, answers, csv_bytes

ALUMNI = (sys.executable, "-c", "import sys; from alumni_assets.cli import main; main()")
PREPARE = "from alumni_assets.settings import load_settings, prepare_lake; prepare_lake(load_settings())"
OTHERS = 0o077


def started(folder: Path, *command: str, umask: int = 0o022, **environment: str) -> str:
    """What a process prints that works in a folder, as one does that a person starts; it may end well only."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ALUMNI_", "DAGSTER_"))}
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**own, "TMPDIR": str(folder / "tmp"), "ALUMNI_APPROVER": "Ana Reyes", **environment},
        capture_output=True,
        text=True,
        umask=umask,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def modes(folder: Path) -> dict[str, str]:
    """What others than the owner may do with each folder and file below this one, where they may do something."""
    found = {str(path.relative_to(folder)): path.lstat().st_mode & OTHERS for path in folder.rglob("*")}
    return {name: oct(mode) for name, mode in found.items() if mode}


@pytest.mark.slow
def test_after_a_whole_pipeline_every_file_and_folder_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir(mode=0o700)
    started(tmp_path, sys.executable, "-c", PREPARE)
    assert modes(tmp_path) == {}
    upload = tmp_path / "lake" / "raw" / "term.csv"
    upload.write_bytes(csv_bytes([*answers(1, 9), answer(10, Email="nobody")]))
    upload.chmod(0o644)
    os.utime(upload, (1e9, 1e9))
    started(tmp_path, *ALUMNI, "run", "--approve")
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    folders = ("pinned", "valid", "invalid", "transformed", "published", "register")
    kept = (".alumni/warehouse.duckdb", ".alumni/register.sqlite", ".alumni/dagster/history/runs.db")
    assert {*(f"lake/{folder}" for folder in folders), *kept} <= made
    assert modes(tmp_path) == {"lake/raw/term.csv": "0o44"}
    assert list((tmp_path / "tmp").iterdir()) == []


def test_folders_that_people_share_stay_shared_and_new_files_in_them_private(tmp_path: Path) -> None:
    for name in ("lake", "lake/raw", "home"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o2775)
    environment = {"ALUMNI_HOME": str(tmp_path / "home"), "ALUMNI_LAKE": str(tmp_path / "lake")}
    started(tmp_path, sys.executable, "-c", PREPARE, **environment)
    assert modes(tmp_path) == dict.fromkeys(("lake", "lake/raw", "home"), "0o75")
    assert (tmp_path / "home" / "lake_location").exists()


@pytest.mark.slow
def test_dagsters_processes_make_private_files_from_the_moment_they_load_the_definitions(tmp_path: Path) -> None:
    program = "from alumni_assets.definitions import defs; defs(); open('made', 'w')"
    started(tmp_path, sys.executable, "-c", program, ALUMNI_LAKE="s3://nowhere/lake")
    assert {path.name for path in tmp_path.iterdir()} == {".alumni", "made"}
    assert modes(tmp_path) == {}
