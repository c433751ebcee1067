"""The whole pipeline with its lake in a bucket, by the `alumni` command, over HTTP."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from alumni_assets_tests.lake.conftest import BucketPlace

pytestmark = pytest.mark.server
REAL_FILE = Path(__file__).parents[3] / "shared" / "data" / "dmc_alumni_survey_raw.csv"
HEADER = "Employee_ID,Employee_Name,College_Degree,Department,Job_Role,DMC_Campus,Email,Phone_Number,Performance_Rating"
ROW = "628496,valerie rivera,Computer Science,HR,product manager,Santo Tomas,srubio@example.net,9577284792,4"


@pytest.fixture
def alumni(bucket_place: BucketPlace, tmp_path: Path) -> Any:
    """Runs the command with the lake in the bucket; returns its exit status and what it printed, as a rule as JSON."""
    environment = {**os.environ, "ALUMNI_LAKE": bucket_place.location, "ALUMNI_HOME": str(tmp_path / "home")}

    def run(*arguments: str, is_json: bool = True) -> tuple[int, Any]:
        command = [str(Path(sys.executable).with_name("alumni")), *arguments, *(["--json"] if is_json else [])]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout) if is_json else done.stdout

    return run


def published(place: BucketPlace, tmp_path: Path) -> duckdb.DuckDBPyConnection:
    with place.lake.local_copy("published/alumni.duckdb") as path:
        copy = tmp_path / "read.duckdb"
        copy.write_bytes(path.read_bytes())
    return duckdb.connect(str(copy), read_only=True)


@pytest.mark.long
@pytest.mark.skipif(not REAL_FILE.exists(), reason="the real survey file is not beside this repository")
def test_the_real_file_gives_the_published_figures_from_a_bucket(
    alumni: Any, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    bucket_place.plant("raw/dmc_alumni_survey_raw.csv", REAL_FILE.read_bytes())
    status, report = alumni("run", "--approve", "--approved-by", "me")
    assert status == 0
    assert report["alumni"] == 1000
    assert report["published"] == f"s3://{bucket_place.bucket}/{bucket_place.prefix}published"
    assert [(row["status"], row["rows"], row["valid"], row["invalid"]) for row in report["uploads"]] == [
        ("transformed", 1000, 1000, 0)
    ]
    with published(bucket_place, tmp_path) as connection:
        ratings = connection.execute("SELECT college_degree, round(mean_rating, 2) FROM degree_performance").fetchall()
        excellent = connection.execute("SELECT dmc_campus, alumni, excellent FROM campus_excellence").fetchall()
    assert dict(ratings)["Accountancy"] == 3.20
    assert dict(ratings)["Education"] == 2.88
    assert excellent[0] == ("Main", 457, 86)
    page = bucket_place.lake.read_bytes("published/dashboard.html").decode()
    assert "Main has the most alumni rated 5 (86)" in page
    assert "Donna Thompson" not in bucket_place.lake.read_bytes("published/dashboard_public.html").decode()
    status, said = alumni("report", is_json=False)
    assert status == 0
    reports = [entry.key for entry in bucket_place.lake.list("reports/")]
    (pdf,) = [key for key in reports if key.endswith("report.pdf")]
    assert f"s3://{bucket_place.bucket}/{bucket_place.prefix}{pdf}" in said
    assert bucket_place.lake.read_bytes(pdf).startswith(b"%PDF-")


@pytest.mark.long
def test_uploads_stand_beside_each_other_in_a_bucket(alumni: Any, bucket_place: BucketPlace) -> None:
    bucket_place.plant("raw/good one.csv", f"{HEADER}\n{ROW}\n".encode())
    bucket_place.plant("raw/2026/no table.csv", b"%PDF-1.7")
    status, report = alumni("run")
    assert status == 0
    assert {row["upload"].split("@")[0]: row["status"] for row in report["uploads"]} == {
        "good one.csv": "validated",
        "2026%2Fno table.csv": "rejected",
    }
    status, report = alumni("run")
    assert (status, report["uploads"]) == (0, [])


@pytest.mark.long
def test_a_row_is_corrected_and_another_waived_in_a_bucket(
    alumni: Any, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    bad = ROW.replace("628496", "{}").replace("HR", "{}")
    rows = "\n".join(
        [HEADER, *[bad.format(number, "HR") for number in range(20)], bad.format(98, "HRR"), bad.format(99, "?")]
    )
    bucket_place.plant("raw/term.csv", rows.encode())
    _, report = alumni("run")
    upload = report["uploads"][0]["upload"]
    assert bucket_place.lake.stat(f"invalid/{upload.replace('@', '-')}.xlsx") is not None
    bucket_place.plant("raw/back.csv", f"_upload,_row,Department\n{upload},21,HR\n".encode())
    _, report = alumni("run", "--approve", "--approved-by", "me")
    assert [(row["status"], row["valid"]) for row in report["uploads"]] == [("transformed", 20), ("transformed", 1)]
    assert report["alumni"] == 21
    _, quarantine = alumni("quarantine", "--open")
    assert [(row["upload"], row["row"]) for row in quarantine["rows"]] == [(upload, 22)]
    status, _ = alumni("waive", upload, "22", "--reason", "nobody knows", "--by", "me")
    assert status == 0
    with published(bucket_place, tmp_path) as connection:
        lives = connection.execute("SELECT source_row, status FROM quarantine ORDER BY source_row").fetchall()
    assert lives == [(21, "resolved"), (22, "waived")]


def test_an_upload_comes_back_from_cold_storage(alumni: Any, bucket_place: BucketPlace, tmp_path: Path) -> None:
    lake = bucket_place.lake
    bucket_place.plant("raw/term.csv", f"{HEADER}\n{ROW}\n".encode())
    _, report = alumni("run", "--approve", "--approved-by", "me")
    upload = report["uploads"][0]["upload"]
    folders = ("pinned/", "valid/", "transformed/")
    kept = {entry.key: lake.read_bytes(entry.key) for folder in folders for entry in lake.list(folder)}
    assert len(kept) == 3
    for key in kept:
        lake.delete(key)
    status, said = alumni("restore", upload, "--tier", "standard")
    assert (status, said["restored"], {file["state"] for file in said["files"]}) == (0, False, {"asked for now"})
    assert [entry.key for folder in folders for entry in lake.list(folder)] == []
    status, said = alumni("restore", upload)  # this server hands everything out at once
    assert (status, said["restored"], {file["state"] for file in said["files"]}) == (0, True, {"restored"})
    assert {key: lake.read_bytes(key) for key in kept} == kept
    status, said = alumni("restore", upload)
    assert (status, {file["state"] for file in said["files"]}) == (0, {"in place"})


def test_a_bucket_that_is_gone_ends_with_a_sentence_and_status_1(
    alumni: Any, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    bucket_place.remove()
    command = [str(Path(sys.executable).with_name("alumni")), "run"]
    environment = {**os.environ, "ALUMNI_LAKE": bucket_place.location, "ALUMNI_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "NoSuchBucket" in done.stderr
    assert "Traceback" not in done.stderr
