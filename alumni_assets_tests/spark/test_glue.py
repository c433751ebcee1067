"""Glue as the engine, against a stand-in that runs each job as a process; S3 and CloudWatch are moto's."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import dagster as dg
import duckdb
import pytest

from alumni_assets import layout
from alumni_assets.settings import SettingsError, load_settings
from alumni_assets.spark import __main__ as script
from alumni_assets.spark.configuration import GlueSettings
from alumni_assets.spark.glue import on_glue
from alumni_assets.spark.request import Request
from alumni_assets.spark.upload import upload
from alumni_assets.spark.versions import differences, versions
from alumni_assets.stages.engine import EngineError
from alumni_assets.survey_rules import default_rules

from .. import moto_server
from ..lake.conftest import BucketPlace
from ..pipeline.answers import DATED, answer, answers, csv_bytes
from ..pipeline.conftest import Pipeline, failure_of, only
from .conftest import SECRET, messages
from .glue import Glue, glue_server

SERVER, SLOW = pytest.mark.server, pytest.mark.slow
PROJECT = Path(__file__).parents[2]
JOB = "alumni-spark"
SETTINGS = GlueSettings(JOB, "G.2X", 7, autoscaling=True, minutes=90, logs="/alumni/spark")


@pytest.fixture
def glue(bucket_place: BucketPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Glue]:
    """Glue with our job, which is looked after oftener than in earnest."""
    with glue_server(tmp_path / "glue") as (endpoint, stand_in):
        monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", endpoint)
        monkeypatch.setattr("dagster_aws.pipes.clients.glue.time", SimpleNamespace(sleep=lambda _: time.sleep(0.2)))
        stand_in.jobs[JOB] = script_that(tmp_path, Path(script.__file__).read_text())
        yield stand_in


@pytest.fixture
def nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """For jobs that answer nothing: nobody waits for it to come in after all."""
    monkeypatch.setattr("dagster._core.pipes.utils.WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", -1)
    monkeypatch.setattr("dagster._core.pipes.utils.DEFAULT_SLEEP_INTERVAL", 0.1)


def script_that(folder: Path, code: str) -> Path:
    """A script of a job, alone in its folder as a service has it."""
    path = folder / "script" / "job.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(code)
    return path


class InABucket(Pipeline):
    """A pipeline whose lake is in a bucket, and whose engine is Glue."""

    def __init__(self, folder: Path, place: BucketPlace) -> None:
        super().__init__(folder)
        self._place = place
        self.lake = place.lake
        self.environment |= {
            "ALUMNI_LAKE": place.location,
            "ALUMNI_ENGINE": "glue",
            "ALUMNI_GLUE_JOB": JOB,
            "ALUMNI_GLUE_WORKER_TYPE": "G.2X",
            "ALUMNI_GLUE_WORKERS": "7",
            "ALUMNI_GLUE_MINUTES": "90",
            "ALUMNI_GLUE_LOGS": "/alumni/spark",
        }

    def put(self, key: str, content: bytes) -> None:
        self._place.plant(layout.RAW + key, content)

    def files(self, folder: str) -> dict[str, bytes]:
        return {entry.key: self.lake.read_bytes(entry.key) for entry in self.lake.list(f"{folder}/")}

    def published(self, query: str) -> list[tuple[Any, ...]]:
        with (
            self.lake.local_copy("published/alumni.duckdb") as path,
            duckdb.connect(str(path), read_only=True) as connection,
        ):
            return connection.execute(query).fetchall()

    def use_one_machine(self) -> None:
        """From now on the pipeline works without Glue."""
        self.environment["ALUMNI_ENGINE"] = "local"
        self.use_rules(Path(self.environment["ALUMNI_SURVEY"]))


@pytest.fixture
def in_a_bucket(tmp_path: Path, bucket_place: BucketPlace) -> Iterator[InABucket]:
    pipeline = InABucket(tmp_path, bucket_place)
    with pipeline.instance:
        yield pipeline


@SERVER
@SLOW
@pytest.mark.long
def test_a_whole_pass_on_glue_gives_what_one_machine_gives(
    spark_is_here: None, glue: Glue, in_a_bucket: InABucket
) -> None:
    glue.is_warm = True
    bad = [answer(90, Department="Hrr"), answer(91, Employee_Name=SECRET, Email="nobody")]
    term = in_a_bucket.put_and_take_in("term.csv", csv_bytes([*answers(1, 40), answer(20), *bad], header=DATED))
    assert (in_a_bucket.ingested(term).valid, in_a_bucket.ingested(term).invalid) == (41, 2)
    assert in_a_bucket.approve(term).success
    made = {folder: in_a_bucket.files(folder) for folder in ("valid", "invalid", "transformed")}
    tables, content = in_a_bucket.tables(), in_a_bucket.ingested(term).content
    assert len(tables["alumni"]) == 40

    assert [run.state() for run in glue.runs] == ["SUCCEEDED"] * 3  # judging, transforming, the tables
    for run in glue.runs:
        assert (run.asked["WorkerType"], run.asked["NumberOfWorkers"], run.asked["Timeout"]) == ("G.2X", 7, 90)
        assert run.asked["Arguments"]["--enable-auto-scaling"] == "true"
    assert any(re.match(r"Spark [0-9.]+, 1 tasks at a time", text) for text in messages(in_a_bucket))
    assert SECRET not in in_a_bucket.events()
    assert in_a_bucket.files("spark/steps") == {}

    in_a_bucket.use_one_machine()
    assert in_a_bucket.judge_again(term).success
    assert in_a_bucket.ingested(term).content == content
    (in_a_bucket.home / "warehouse.duckdb").unlink()
    assert in_a_bucket.approve(term).success
    assert in_a_bucket.tables() == tables
    assert {folder: in_a_bucket.files(folder) for folder in made} == made


@SERVER
def test_a_package_of_another_version_is_told_and_loses_nothing(
    glue: Glue, in_a_bucket: InABucket, bucket_place: BucketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alumni_assets.spark.request.versions", lambda: {**versions(), "alumni_assets": "0123456789"})
    in_a_bucket.put("term.csv", csv_bytes([*answers(1, 3), answer(4, Employee_Name=SECRET)]))
    assert "1 of 1 uploads could not be taken in" in failure_of(in_a_bucket.take_in("term.csv"))
    told = only([text for text in messages(in_a_bucket) if "could not be taken in: The Glue job" in text])
    ours = versions()["alumni_assets"]
    assert "ended as FAILED: alumni_assets.spark.job.OtherVersionError: The job has other versions" in told
    assert f"alumni_assets {ours} instead of 0123456789. Install the same ones there" in told
    assert "`make glue-upload`" in told
    assert SECRET not in in_a_bucket.events()
    assert in_a_bucket.files("spark") == {}
    assert [name for name in bucket_place.names() if not name.startswith(bucket_place.prefix)] == []
    in_a_bucket.use_one_machine()
    assert in_a_bucket.take_in("term.csv").success
    assert in_a_bucket.ingested(in_a_bucket.upload_of("term.csv")).valid == 4


@SERVER
def test_a_run_of_dagster_that_is_cancelled_stops_its_job(
    nobody_answers: None, glue: Glue, in_a_bucket: InABucket
) -> None:
    glue.jobs[JOB] = script_that(in_a_bucket.folder, "import time; time.sleep(600)")
    glue.when_looked_after = lambda: os.kill(os.getpid(), signal.SIGINT) if len(glue.runs) == 1 else None
    in_a_bucket.put("term.csv", csv_bytes(answers(1, 3)))
    in_a_bucket.take_in("term.csv")
    assert [run.state() for run in glue.runs] == ["STOPPED"]
    assert f"The run {glue.runs[0].id} of the Glue job was stopped." in messages(in_a_bucket)
    assert in_a_bucket.facts.ingested == {}
    assert in_a_bucket.files("spark") == {}


@SERVER
def test_a_job_is_started_in_the_role_of_the_component_whose_step_it_is(
    nobody_answers: None, glue: Glue, in_a_bucket: InABucket, s3_server: str
) -> None:
    in_a_bucket.environment["ALUMNI_ROLES"] = "arn:aws:iam::123456789012:role/alumni-"
    glue.refuses["StartJobRun"] = "AccessDeniedException"
    in_a_bucket.put("term.csv", csv_bytes(answers(1, 3)))
    assert not in_a_bucket.take_in("term.csv").success
    (signed_with,) = glue.access_keys
    roles = {role["access_key_id"]: role["arn"] for role in moto_server.kept(s3_server, "sts", "AssumedRole")}
    assert roles[signed_with] == "arn:aws:sts::123456789012:assumed-role/alumni-ingest/alumni-ingest"


class Asked:
    """What became of a job that a Dagster step has asked for: why it broke, and what the run's log says."""

    def __init__(self, place: BucketPlace, settings: GlueSettings = SETTINGS) -> None:
        self.failure = ""
        request = Request(place.location, default_rules(), {})

        @dg.asset
        def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            run_job = on_glue(context, settings, boto3.Session(), f"s3://{place.bucket}/{layout.SPARK_STEPS}step-")
            try:
                run_job(request)
            except EngineError as error:
                self.failure = str(error)
            return dg.MaterializeResult()

        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize([step], instance=instance)
            self.log = [entry.user_message for entry in instance.all_logs(done.run_id)]


@SERVER
@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("EntityNotFoundException", "Is ALUMNI_GLUE_JOB the job's name, in this account and region"),
        ("ConcurrentRunsExceededException", "wait for the others, or raise MaxConcurrentRuns in its definition"),
        ("AccessDeniedException", "the rights for Glue that docs/aws.md lists"),
    ],
)
def test_a_job_that_cannot_start_says_why_and_what_to_do(
    nobody_answers: None, glue: Glue, bucket_place: BucketPlace, error: str, told: str
) -> None:
    if error == "EntityNotFoundException":
        glue.jobs.clear()
    elif error == "ConcurrentRunsExceededException":
        glue.most_at_a_time = 0
    else:
        glue.refuses["StartJobRun"] = error
    failure = Asked(bucket_place).failure
    assert failure.startswith(f"The Glue job 'alumni-spark' could not be started: AWS answered {error} to StartJobRun.")
    assert told in failure


@SERVER
def test_what_the_driver_wrote_at_its_end_is_in_the_run(
    nobody_answers: None, glue: Glue, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    glue.jobs[JOB] = script_that(tmp_path, "print('before')\nimport no_such_module")
    asked = Asked(bucket_place)
    (run,) = glue.runs
    assert asked.failure == (
        "The Glue job 'alumni-spark' ended as FAILED: ModuleNotFoundError: No module named 'no_such_module'. Its log "
        f"is in CloudWatch, group /alumni/spark/output (Spark's own: /alumni/spark/error), stream {run.id}; the run: "
        "https://us-east-1.console.aws.amazon.com/gluestudio/home?region=us-east-1#/job/alumni-spark/run/" + run.id
    )
    lines = only([text for text in asked.log if text.startswith("The last lines that the Glue job's driver wrote")])
    assert lines.splitlines()[:3] == [
        "The last lines that the Glue job's driver wrote (/alumni/spark/output):",
        "before",
        "Traceback (most recent call last):",
    ]


@SERVER
def test_a_job_that_takes_too_long_says_which_setting_it_is(
    nobody_answers: None, glue: Glue, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    glue.jobs[JOB] = script_that(tmp_path, "import time; time.sleep(600)")
    glue.seconds_in_a_minute = 0.01
    failure = Asked(bucket_place, replace(SETTINGS, minutes=1, autoscaling=False)).failure
    assert "ended as TIMEOUT. It took longer than it may (ALUMNI_GLUE_MINUTES)" in failure
    assert glue.runs[0].asked["Arguments"]["--enable-auto-scaling"] == "false"


@SERVER
def test_a_job_that_cannot_be_looked_after_is_stopped(
    nobody_answers: None, glue: Glue, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    glue.jobs[JOB] = script_that(tmp_path, "import time; time.sleep(600)")
    glue.refuses["GetJobRun"] = "AccessDeniedException"
    failure = Asked(bucket_place).failure
    assert "could not be looked after, and was stopped: AWS answered AccessDeniedException to GetJobRun" in failure
    assert [run.state() for run in glue.runs] == ["STOPPED"]


@SERVER
def test_a_job_that_cannot_be_stopped_either_says_when_it_ends(
    nobody_answers: None, glue: Glue, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    glue.jobs[JOB] = script_that(tmp_path, "import time; time.sleep(600)")
    glue.refuses |= {"GetJobRun": "AccessDeniedException", "BatchStopJobRun": "AccessDeniedException"}
    told = only([text for text in Asked(bucket_place).log if "could not be stopped" in text])
    assert "AWS answered AccessDeniedException to BatchStopJobRun" in told
    assert "It ends by itself after 90 minutes" in told


@SERVER
def test_script_and_package_are_put_where_the_definition_names_them(bucket_place: BucketPlace, tmp_path: Path) -> None:
    package = tmp_path / "any name.zip"
    package.write_bytes(b"wheels")
    urls = upload(package, bucket_place.location)
    assert urls == (
        f"{bucket_place.location}/glue/job.py",
        f"{bucket_place.location}/glue/alumni_assets.gluewheels.zip",
    )
    assert bucket_place.lake.read_bytes("glue/alumni_assets.gluewheels.zip") == b"wheels"
    assert b"from alumni_assets.spark.job import main" in bucket_place.lake.read_bytes("glue/job.py")


def third_party(module: str, seen: dict[str, set[str]]) -> None:
    """Gather what a module of ours imports, wherever in it, and all of ours that it imports."""
    path = PROJECT / f"{module.replace('.', '/')}.py"
    if module in seen or not path.exists():
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            block.body = []
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    seen[module] = {name for name in names if not name.startswith("alumni_assets")}
    for name in names:
        third_party(name, seen)


def test_all_that_a_job_imports_is_in_its_package_as_it_is_here() -> None:
    seen: dict[str, set[str]] = {}
    third_party("alumni_assets.spark.job", seen)
    assert "alumni_assets.survey.rules" in seen
    tops = {name.partition(".")[0] for names in seen.values() for name in names} - set(sys.stdlib_module_names)
    of_module = packages_distributions()
    needed = {of_module[top][0].lower().replace("_", "-") for top in tops - {"pyspark"}}
    packaged = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (PROJECT / "requirements-glue.lock").read_text(), re.MULTILINE))
    assert needed <= set(packaged)
    assert "dagster" not in packaged
    assert packaged == {name: version(name) for name in packaged}


def test_the_wheel_in_the_package_has_the_code_that_dagster_runs(tmp_path: Path) -> None:
    for name in ("alumni_assets", "pyproject.toml", "setup.py", "README.md"):
        (shutil.copytree if (PROJECT / name).is_dir() else shutil.copy)(PROJECT / name, tmp_path / name)
    build = "from setuptools.build_meta import build_wheel; build_wheel('out')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    with zipfile.ZipFile(only(list((tmp_path / "out").glob("*.whl")))) as wheel:
        wheel.extractall(tmp_path / "installed")
    code = "from alumni_assets.spark.versions import versions; print(versions()['alumni_assets'])"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path / "out",
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.strip() == versions()["alumni_assets"]


def test_versions_differ_by_name() -> None:
    here = {"alumni_assets": "1a2b", "numpy": "2.4.6", "pyarrow": "22.0.0"}
    there = {"alumni_assets": "1a2b", "babel": "2.18.0", "pyarrow": "26.0.1"}
    assert differences(here, there) == [
        "numpy 2.4.6 instead of nowhere",
        "pyarrow 22.0.0 instead of 26.0.1",
        "babel nowhere instead of 2.18.0",
    ]


GLUE = {"ALUMNI_ENGINE": "glue", "ALUMNI_LAKE": "s3://alumni-lake-123456789012", "ALUMNI_GLUE_JOB": JOB}


def test_glue_needs_neither_spark_nor_java_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alumni_assets.settings.find_spec", lambda name: None)
    settings = load_settings({**GLUE, "PATH": ""})
    assert settings.engine == "glue"
    assert settings.glue == GlueSettings(JOB, "G.1X", 10, autoscaling=True, minutes=120, logs="/aws-glue/jobs")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ALUMNI_LAKE", "lake", "ALUMNI_ENGINE is 'glue', but ALUMNI_LAKE is no bucket"),
        ("ALUMNI_GLUE_JOB", "", "ALUMNI_GLUE_JOB is missing; it takes the name of the Glue job"),
        ("ALUMNI_GLUE_JOB", "a\nb", "ALUMNI_GLUE_JOB is 'a\\nb'; it takes the name of a Glue job"),
        ("ALUMNI_GLUE_WORKER_TYPE", "G.025X", "ALUMNI_GLUE_WORKER_TYPE is 'G.025X'; it takes one of G.1X, G.2X, "),
        ("ALUMNI_GLUE_WORKERS", "1", "ALUMNI_GLUE_WORKERS is '1'; it takes a whole number from 2 to 299"),
        ("ALUMNI_GLUE_WORKERS", "many", "ALUMNI_GLUE_WORKERS is 'many'; it takes a whole number from 2 to 299"),
        ("ALUMNI_GLUE_AUTOSCALING", "yes", "ALUMNI_GLUE_AUTOSCALING is 'yes'; it takes true or false"),
        ("ALUMNI_GLUE_LOGS", "jobs", "ALUMNI_GLUE_LOGS is 'jobs'; it takes how the names of log groups begin"),
        ("ALUMNI_GLUE_MINUTES", "0", "ALUMNI_GLUE_MINUTES is '0'; it takes a whole number from 1 to 2880"),
    ],
)
def test_a_setting_of_glue_that_means_nothing_is_told(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(told)):
        load_settings({**GLUE, name: value})
