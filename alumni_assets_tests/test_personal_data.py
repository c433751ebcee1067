"""The plugin that looks for people in what the tests have the pipeline say: it finds them, and tells nobody's data."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alumni_assets_tests.personal_data import REAL_FILE, kinds_of_the_survey_in
from alumni_assets_tests.pipeline.answers import answer

SOMEBODY = answer(7)
SUITE = """
import logging
from sqlalchemy import create_engine, text
SOMEBODY = {somebody!r}

def test_prints(): print("It is", SOMEBODY["Employee_Name"])
def test_logs(): logging.getLogger("x").warning(SOMEBODY["Phone_Number"])
def test_stores():
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("CREATE TABLE events (what TEXT)"))
        connection.execute(text("INSERT INTO events VALUES (:what)"), {{"what": f"cell {{SOMEBODY['Email']}}"}})
def test_keeps_it_where_it_belongs(tmp_path):
    (tmp_path / "valid").mkdir()
    (tmp_path / "valid" / "a.csv").write_text(str(SOMEBODY))
def test_says_nothing(capsys):
    print(SOMEBODY)
    assert "Quintos" in capsys.readouterr().out
    print("v***@school.edu.ph and 1764201234 and 0.9000000007")
def test_leaves_a_log(tmp_path): (tmp_path / "run.err").write_text(SOMEBODY["Email"])
"""


def test_a_test_that_has_a_person_told_fails_by_its_name_and_without_the_person(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE.format(somebody=SOMEBODY), encoding="utf-8")
    command = ("-m", "pytest", "-q", "-p", "alumni_assets_tests.personal_data", "-p", "no:cacheprovider", "--tb=short")
    folder = ("--basetemp", str(tmp_path / "tmp"), "--show-capture=no", "test_suite.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    ended = subprocess.run(
        (sys.executable, *command, *folder), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stderr
    shutil.rmtree(tmp_path / "tmp")  # which the plugin would find here, too
    failed = {line.split(" ")[1] for line in ended.stdout.splitlines() if line.startswith("ERROR ")}
    names = ("prints", "logs", "stores", "leaves_a_log")
    assert failed == {f"test_suite.py::test_{name}" for name in names}
    assert "captured stdout (call) has" in ended.stdout
    assert "Dagster's store has" in ended.stdout
    assert "test_leaves_a_log0/run.err has" in ended.stdout
    assert not [
        value for name in ("Employee_Name", "Email", "Phone_Number") if (value := SOMEBODY[name]) in ended.stdout
    ]


@pytest.mark.skipif(not REAL_FILE.exists(), reason="the real survey file is not beside this repository")
def test_people_of_the_real_survey_are_found_however_they_are_written() -> None:
    assert kinds_of_the_survey_in("alumnus DONNA  Thompson, Admin") == {"a name"}
    assert kinds_of_the_survey_in("cabrerakimberly@gmail.com") == {"an e-mail address"}
    assert kinds_of_the_survey_in("+63 9399875611") == {"a phone number"}
    assert kinds_of_the_survey_in("Donna and Thompson; d***@example.net; 9.399875611") == set()
