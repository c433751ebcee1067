"""The `alumni` command: what scripts and people without the UI get from it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alumni_assets import cli
from alumni_assets.settings import load_settings

from .answers import answer, answers, csv_bytes
from .conftest import APPROVER, Pipeline

pytestmark = pytest.mark.slow

LINE = ["upload", "status", "rows", "valid", "invalid", "reason"]


@dataclass
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """What `--json` printed: one object and nothing else."""
        return json.loads(self.out)

    @property
    def standings(self) -> dict[str, str]:
        """The status of each upload in the report, by the upload's name."""
        return {line["upload"].rpartition("@")[0]: line["status"] for line in self.report["uploads"]}


Alumni = Callable[..., Ended]


@pytest.fixture
def alumni(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Alumni:
    """Runs the command in this process, in a working directory of its own, on the pipeline's instance in memory."""
    for name, value in pipeline.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(pipeline.folder)
    monkeypatch.setattr("alumni_assets.one_pass.open_instance", lambda *_: nullcontext(pipeline.instance))

    def run(*arguments: str) -> Ended:
        settle(pipeline)
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["alumni", *arguments])
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capfd.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Ended(status, captured.out, captured.err)

    return run


def settle(pipeline: Pipeline) -> None:
    """Let every file be from a while ago, so that no test waits for it."""
    for path in pipeline.raw.rglob("*"):
        if path.is_file() and path.stat().st_mtime > time.time() - 10:
            os.utime(path, (time.time() - 60,) * 2)


def test_a_pass_takes_in_approves_and_publishes(alumni: Alumni, pipeline: Pipeline) -> None:
    pipeline.put("good.csv", csv_bytes(answers(1, 3)))
    pipeline.put("spoiled.csv", csv_bytes([answer(5), answer(6, Email="nobody")]))
    pipeline.put("notes.pdf", b"%PDF-1.7")
    ended = alumni("run", "--approve", "--approved-by", "Ben Cruz", "--note", "by cron", "--json")
    assert ended.status == 0
    report = ended.report
    assert list(report) == ["uploads", "alumni", "published"]
    assert [list(line) for line in report["uploads"]] == [LINE] * 3
    assert (report["alumni"], report["published"]) == (3, str(pipeline.root / "published"))
    lines = {line["upload"].partition("@")[0]: list(line.values())[1:] for line in report["uploads"]}
    assert lines == {
        "good.csv": ["transformed", 3, 3, 0, None],
        "spoiled.csv": ["validated", 2, 1, 1, "May not be approved: failed no_open_rows."],
        "notes.pdf": ["rejected", None, None, None, pipeline.ingested(pipeline.upload_of("notes.pdf")).reason],
    }
    assert pipeline.published("SELECT approved_by FROM uploads WHERE approved_by IS NOT NULL") == [("Ben Cruz",)]
    (decision,) = pipeline.facts.decisions[pipeline.upload_of("good.csv")]
    assert decision.note == "by cron"
    assert alumni("run", "--json").report == {**report, "uploads": []}
    assert alumni("status", "--json").report == report


def test_a_pass_without_approval_leaves_it_to_a_person(alumni: Alumni, pipeline: Pipeline) -> None:
    pipeline.put("good.csv", csv_bytes(answers(1, 3)))
    ended = alumni("run", "--json")
    assert (ended.status, ended.standings, ended.report["alumni"]) == (0, {"good.csv": "validated"}, 0)
    assert pipeline.published("SELECT status, count(*) FROM uploads GROUP BY ALL") == [("validated", 1)]
    ended = alumni("run", "--approve", "--json")
    assert (ended.standings, ended.report["alumni"]) == ({"good.csv": "transformed"}, 3)
    assert pipeline.published("SELECT approved_by FROM uploads") == [(APPROVER,)]


def test_a_pass_waits_for_a_file_that_was_written_just_now(
    alumni: Alumni, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "settle", lambda _pipeline: None)
    pipeline.put("good.csv", csv_bytes(answers(1, 3)))
    assert alumni("run", "--json").standings == {"good.csv": "validated"}


def test_a_pass_does_not_wait_for_ever_for_a_file_that_keeps_changing(
    alumni: Alumni, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, changed_rules: Callable[..., Path]
) -> None:
    monkeypatch.setenv("ALUMNI_SURVEY", str(changed_rules(uploads={"settle_seconds": 0.2})))
    monkeypatch.setattr("alumni_assets.intake_plan.is_settling", lambda *_: True)
    pipeline.put("growing.csv", csv_bytes(answers(1, 3)))
    ended = alumni("run", "--json")
    assert (ended.status, ended.report["uploads"]) == (0, [])


def test_what_becomes_of_uploads_is_told_by_each_pass(alumni: Alumni, pipeline: Pipeline) -> None:
    pipeline.put("term.csv", csv_bytes(answers(1, 3)))
    assert alumni("run", "--approve", "--json").standings == {"term.csv": "transformed"}
    first = pipeline.upload_of("term.csv")
    pipeline.put("copy.csv", csv_bytes(answers(1, 3)))
    pipeline.put("term.csv", csv_bytes(answers(2, 3)))
    ended = alumni("run", "--approve", "--json")
    second, copy = pipeline.upload_of("term.csv"), pipeline.upload_of("copy.csv")
    touched = {line["upload"]: line["status"] for line in ended.report["uploads"]}
    assert touched == {first: "superseded", second: "transformed", copy: "duplicate"}
    ended = alumni("withdraw", second, "--reason", "wrong term", "--json")
    lines = {line["upload"]: (line["status"], line["reason"]) for line in ended.report["uploads"]}
    assert (ended.status, lines) == (0, {first: ("transformed", None), second: ("withdrawn", "wrong term")})
    assert pipeline.published("SELECT min(employee_id), max(employee_id) FROM alumni") == [(1, 3)]
    ended = alumni("run", "--approve", "--json")
    assert (ended.report["uploads"], ended.report["alumni"]) == ([], 3)


def test_revalidating_makes_an_approval_stale_and_the_old_rows_count_until_the_next(
    alumni: Alumni, pipeline: Pipeline, changed_rules: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = csv_bytes([*answers(1, 5), answer(9, Department="Tech")])
    pipeline.put("term.csv", content)
    pipeline.put("other.csv", csv_bytes(answers(20, 2)))
    assert alumni("run", "--approve", "--json").report["alumni"] == 8
    upload = pipeline.upload_of("term.csv")
    monkeypatch.setenv("ALUMNI_SURVEY", str(changed_rules(vocabularies={"department": ["HR", "Admin"]})))
    # Neither a pass nor a file that is put again as it was judges anything anew.
    pipeline.put("term.csv", content)
    assert alumni("run", "--approve", "--json").report["uploads"] == []
    ended = alumni("revalidate", "--json")
    assert (ended.status, ended.report["alumni"]) == (0, 8)
    (line,) = ended.report["uploads"]
    assert list(line.values())[:5] == [upload, "transformed", 6, 5, 1]
    assert (pipeline.standing(upload).waits, pipeline.standing(upload).counts) == (True, True)
    assert pipeline.published("SELECT department, alumni FROM department_employment") == [("HR", 7), ("Tech", 1)]
    assert alumni("run", "--approve", "--json").report["alumni"] == 7
    assert not pipeline.standing(upload).waits
    assert pipeline.published("SELECT count(*) FROM alumni WHERE employee_id = 9") == [(0,)]


def test_a_rejudged_upload_that_is_rejected_counts_until_a_person_decides(
    alumni: Alumni, pipeline: Pipeline, changed_rules: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = csv_bytes(answers(1, 5), header=(*answer(1), *"abcd"))
    pipeline.put("wide.csv", wide)
    assert alumni("run", "--approve", "--json").report["alumni"] == 5
    monkeypatch.setenv("ALUMNI_SURVEY", str(changed_rules(limits={"columns": 10})))
    assert alumni("revalidate", "--json").report["alumni"] == 5


def test_something_that_breaks_is_told_in_a_sentence_with_status_1(
    alumni: Alumni, pipeline: Pipeline, changed_rules: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from alumni_assets.stages import intake

    def broken(_lake: object, _register: object, key: str, *more: object) -> Any:
        if key == "broken.csv":
            raise OSError("secret@school.edu.ph")
        return pin(_lake, _register, key, *more)  # type: ignore[arg-type]

    pin = intake.pin
    monkeypatch.setattr(intake, "pin", broken)
    monkeypatch.setenv("ALUMNI_SURVEY", str(changed_rules(limits={"attempts": 1})))
    pipeline.put("broken.csv", csv_bytes(answers(1, 3)))
    pipeline.put("good.csv", csv_bytes(answers(5, 3)))
    ended = alumni("run", "--approve", "--json")
    assert ended.status == 1
    assert "broken.csv" in ended.err
    assert "secret" not in ended.err
    assert ended.report["alumni"] == 3
    statuses = {line["upload"].partition("@")[0]: line["status"] for line in ended.report["uploads"]}
    assert statuses == {"good.csv": "transformed", "raw/broken.csv": "failed"}
    ended = alumni("run")
    assert ended.status == 1
    assert "limits.attempts" in ended.err
    monkeypatch.setattr(intake, "pin", pin)
    pipeline.put("broken.csv", csv_bytes(answers(8, 2)))
    ended = alumni("run", "--approve", "--json")
    assert (ended.status, ended.standings, ended.report["alumni"]) == (0, {"broken.csv": "transformed"}, 5)


def test_a_lake_that_is_missing_is_told_with_status_1(alumni: Alumni, pipeline: Pipeline) -> None:
    ended = alumni("status")
    assert ended.status == 0
    assert "No uploads." in ended.out
    pipeline.root.rename(pipeline.root.with_name("unmounted"))
    ended = alumni("run", "--json")
    assert (ended.status, ended.out) == (1, "")
    assert "does not exist" in ended.err
    assert "ALUMNI_LAKE" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("run", "--fast"),
        ("withdraw", "a.csv@12345678"),
        ("withdraw", "a.csv@12345678", "--reason", "none such"),
        ("revalidate", "a.csv@12345678"),
        ("generate", "--rows", "-1", "x.csv"),
        ("generate", "--rows", "1", "--dirty", "2", "x.csv"),
        ("generate", "x.csv"),
    ],
    ids=" ".join,
)
def test_a_mistake_in_the_call_is_told_with_status_2(alumni: Alumni, arguments: tuple[str, ...]) -> None:
    ended = alumni(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert "Error: " in ended.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALUMNI_SENSOR_SECONDS", "soon"),
        ("ALUMNI_SURVEY", "/nowhere/survey.yaml"),
        ("ALUMNI_WAREHOUSE_MEMORY", "lots"),
        ("ALUMNI_QUEUE", "alumni-uploads"),
        ("ALUMNI_ROLES", "role/alumni-"),
        ("ALUMNI_ARCHIVE_CLASS", "FROZEN"),
        ("ALUMNI_WAREHOUSE", "redshift"),
        ("ALUMNI_LOGS", "JSON"),
    ],
)
def test_a_setting_that_means_nothing_is_told_with_status_2(
    alumni: Alumni, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    ended = alumni("status")
    assert ended.status == 2
    assert value in ended.err


def test_a_key_that_is_too_short_is_told_and_no_key_is_shown(alumni: Alumni, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALUMNI_ERASURE_KEY", "short secret")
    ended = alumni("status")
    assert (ended.status, "at least 32" in ended.err, "short secret" in ended.err) == (2, True, False)
    key = "a secret that is long enough for tests"
    assert key not in repr(load_settings({"ALUMNI_ERASURE_KEY": key}))


def test_a_folder_tells_no_queue_of_uploads(alumni: Alumni, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALUMNI_QUEUE", "https://sqs.eu-west-1.amazonaws.com/123456789012/uploads")
    ended = alumni("status")
    assert ended.status == 2
    assert "ALUMNI_LAKE is no bucket" in ended.err


def test_athena_reads_no_folder(alumni: Alumni, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALUMNI_WAREHOUSE", "athena")
    ended = alumni("status")
    assert ended.status == 2
    assert "ALUMNI_LAKE is no bucket" in ended.err


@pytest.mark.parametrize(
    ("name", "value"), [("ALUMNI_ATHENA_WORKGROUP", "a group"), ("ALUMNI_ATHENA_DATABASE", "Alumni; DROP")]
)
def test_names_that_athena_does_not_take_are_told(
    alumni: Alumni, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("ALUMNI_WAREHOUSE", "athena")
    monkeypatch.setenv("ALUMNI_LAKE", "s3://surveys")
    monkeypatch.setenv(name, value)
    ended = alumni("status")
    assert ended.status == 2
    assert value in ended.err


def test_nobody_approves_without_a_name(alumni: Alumni, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALUMNI_APPROVER", " ")
    pipeline.put("good.csv", csv_bytes(answers(1, 3)))
    ended = alumni("run", "--approve")
    assert ended.status == 2
    assert "--approved-by" in ended.err
    assert alumni("run", "--approve", "--approved-by", "").status == 2
    assert pipeline.facts.decisions == {}


def test_a_withdrawal_needs_a_reason_and_something_to_withdraw(alumni: Alumni, pipeline: Pipeline) -> None:
    pipeline.put("notes.pdf", b"%PDF-1.7")
    assert alumni("run").status == 0
    upload = pipeline.upload_of("notes.pdf")
    for reason in ("", "no rows"):
        assert alumni("withdraw", upload, "--reason", reason).status == 2
    assert pipeline.facts.decisions == {}


def test_status_is_a_table_for_people(alumni: Alumni, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.put("[bold]odd.csv", csv_bytes(answers(1, 3)))
    assert alumni("run", "--approve").status == 0
    monkeypatch.setenv("COLUMNS", "120")
    ended = alumni("status")
    assert ended.status == 0
    assert pipeline.upload_of("[bold]odd.csv") in ended.out
    assert "transformed" in ended.out
    assert "3 alumni" in ended.out


def test_a_generated_upload_is_the_same_each_time_and_dirty_as_asked(alumni: Alumni, pipeline: Pipeline) -> None:
    for name, seed in (("a.csv", "7"), ("b.csv", "7"), ("c.csv", "8")):
        ended = alumni("generate", "--rows", "500", "--dirty", "0.1", "--seed", seed, str(pipeline.raw / name))
        assert (ended.status, ended.out) == (0, "")
    contents = [(pipeline.raw / name).read_bytes() for name in ("a.csv", "b.csv", "c.csv")]
    assert contents[0] == contents[1] != contents[2]
    (pipeline.raw / "b.csv").unlink()
    assert alumni("generate", "--rows", "200", str(pipeline.raw / "clean.csv")).status == 0
    lines = {line["upload"].partition("@")[0]: line for line in alumni("run", "--json").report["uploads"]}
    assert (lines["clean.csv"]["rows"], lines["clean.csv"]["invalid"]) == (200, 0)
    assert lines["a.csv"]["rows"] == 500
    assert 25 <= lines["a.csv"]["invalid"] <= 75


def test_a_place_that_cannot_be_written_is_told_with_status_1(alumni: Alumni) -> None:
    ended = alumni("generate", "--rows", "1", "/nowhere/at/all.csv")
    assert ended.status == 1
    assert "/nowhere/at/all.csv" in ended.err


@pytest.mark.slow
def test_the_installed_command_answers_and_its_runs_are_in_the_instance(pipeline: Pipeline) -> None:
    pipeline.put("good.csv", csv_bytes(answers(1, 3)))
    ended = subprocess.run(
        [Path(sys.executable).with_name("alumni"), "run", "--approve", "--json"],
        env={**os.environ, **pipeline.environment},
        cwd=pipeline.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, json.loads(ended.stdout)["alumni"]) == (0, 3), ended.stderr
    assert (pipeline.home / "dagster").is_dir()


def test_what_broke_and_what_to_do_is_said_without_a_look_at_the_ui(alumni: Alumni, pipeline: Pipeline) -> None:
    (pipeline.root / "published").write_bytes(b"no folder")
    ended = alumni("run")
    assert ended.status == 1
    said = (
        rf"published_survey: Writing '{pipeline.root}/published/.*' failed: .*\. Check that the disk is there and not"
    )
    assert re.search(said, ended.err)
