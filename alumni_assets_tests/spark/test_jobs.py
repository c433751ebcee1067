"""Spark under Dagster: a run starts a job in a process of its own, and reports what it made as it always does."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster_aws.pipes import PipesS3ContextInjector, PipesS3MessageReader

from alumni_assets import layout
from alumni_assets.contract import default_contract
from alumni_assets.register import Register
from alumni_assets.settings import SettingsError, load_settings
from alumni_assets.spark import job
from alumni_assets.spark.request import Judged, Judging, Request, outcome_from_json, request_as_json
from alumni_assets.spark.session import environment_of_this_machine, settings_of_this_machine
from alumni_assets.stages import intake
from alumni_assets.survey.detection import FileFormat

from ..lake.conftest import BucketPlace
from ..pipeline.answers import DATED, answer, answers, csv_bytes
from ..pipeline.conftest import Pipeline, failure_of, only

SLOW = pytest.mark.slow
SECRET = "Zzyzx Quetzalcoatl"


@pytest.fixture
def on_spark(pipeline: Pipeline, spark_is_here: None) -> Pipeline:
    pipeline.environment |= {"ALUMNI_ENGINE": "spark", "ALUMNI_SPARK_MASTER": "local[2]", "ALUMNI_SPARK_MEMORY": "1GB"}
    return pipeline


def use_one_machine(pipeline: Pipeline) -> None:
    """From now on the pipeline works without Spark."""
    pipeline.environment["ALUMNI_ENGINE"] = "local"
    pipeline.use_rules(Path(pipeline.environment["ALUMNI_SURVEY"]))


def messages(pipeline: Pipeline) -> list[str]:
    """What runs logged."""
    return [
        entry.user_message for run in pipeline.instance.get_runs() for entry in pipeline.instance.all_logs(run.run_id)
    ]


@SLOW
def test_a_whole_pass_on_spark_gives_what_one_machine_gives(on_spark: Pipeline) -> None:
    first = csv_bytes([*answers(1, 40), answer(90, Department="Hrr"), answer(91, Employee_Name=SECRET)], header=DATED)
    second = csv_bytes([*answers(20, 30, Department="Tech"), answer(20)], header=DATED)
    on_spark.put("first.csv", first)
    on_spark.put("second.csv", second)
    on_spark.put("same.csv", first)
    on_spark.put("no table.csv", b"%PDF-1.7")
    assert on_spark.take_in("first.csv", "second.csv", "same.csv", "no table.csv").success
    uploads = {key: on_spark.upload_of(key) for key in ("first.csv", "second.csv", "same.csv", "no table.csv")}
    assert on_spark.statuses() == {
        uploads["first.csv"]: "validated",
        uploads["second.csv"]: "validated",
        uploads["same.csv"]: "duplicate",
        uploads["no table.csv"]: "rejected",
    }
    back = f"_upload,_row,Department\n{uploads['first.csv']},41,HR\n".encode()
    correction = on_spark.put_and_take_in("back.csv", back)
    assert on_spark.approve(uploads["first.csv"], uploads["second.csv"], correction).success
    made = {folder: on_spark.files(folder) for folder in ("valid", "invalid", "transformed")}
    tables, facts = on_spark.tables(), on_spark.facts
    assert len(tables["alumni"]) == 51

    materialized = on_spark.materialization("validated_survey", uploads["first.csv"])
    assert materialized is not None
    assert materialized.metadata["dagster/row_count"].value == 41
    check = on_spark.check("invalid_survey", "no_open_rows", uploads["first.csv"])
    assert check is not None
    assert check.passed
    assert any(message.startswith("Spark 4.") for message in messages(on_spark))
    assert SECRET not in on_spark.events()
    assert on_spark.files("spark/steps") == {}
    assert not list((on_spark.home / "spark").glob("blockmgr*"))

    use_one_machine(on_spark)
    assert on_spark.judge_again(uploads["first.csv"], uploads["second.csv"], correction).success
    assert {upload: on_spark.ingested(upload).content for upload in facts.ingested} == {
        upload: ingested.content for upload, ingested in facts.ingested.items()
    }
    (on_spark.home / "warehouse.duckdb").unlink()
    assert on_spark.approve(uploads["first.csv"], uploads["second.csv"], correction).success
    assert on_spark.tables() == tables
    assert {folder: on_spark.files(folder) for folder in made} == made


@SLOW
def test_a_job_that_breaks_says_where_to_look_and_loses_nothing(on_spark: Pipeline) -> None:
    on_spark.environment["ALUMNI_SPARK_MASTER"] = "nonsense"
    on_spark.put("term.csv", csv_bytes(answers(1, 3)))
    result = on_spark.take_in("term.csv")
    assert "1 of 1 uploads could not be taken in" in failure_of(result)
    assert only([message for message in messages(on_spark) if "The Spark job broke" in message]).count("stderr") == 1
    use_one_machine(on_spark)
    assert on_spark.take_in("term.csv").success
    assert on_spark.ingested(on_spark.upload_of("term.csv")).valid == 3


@SLOW
@pytest.mark.server
def test_a_job_is_told_through_a_bucket_as_a_service_tells_it(
    spark_is_here: None, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    contract, register = default_contract(), Register(bucket_place.lake, tmp_path / "home")
    bucket_place.plant("raw/term.csv", csv_bytes([*answers(1, 3), answer(4, Department="Hrr")]))
    seen = intake.pin(bucket_place.lake, register, "term.csv", intake.utc_now()).seen
    file_format = intake.inspect(bucket_place.lake, seen, contract.rules.limits)
    assert isinstance(file_format, FileFormat)
    judging = Judging(seen.upload, date(2026, 11, 1), file_format, f"{layout.SPARK_STEPS}a-step-")
    settings = settings_of_this_machine("local[1]", "1GB", tmp_path)
    request = Request(bucket_place.location, contract.rules, contract.hash, settings, judging=(judging,))

    @dg.asset
    def started_by_a_service(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        with dg.open_pipes_session(
            context,
            context_injector=PipesS3ContextInjector(bucket=bucket_place.bucket, client=bucket_place.client),
            message_reader=PipesS3MessageReader(bucket=bucket_place.bucket, client=bucket_place.client, interval=0.5),
            extras={"request": request_as_json(request)},
        ) as session:
            arguments = [part for pair in session.get_bootstrap_cli_arguments().items() for part in pair]
            environment = os.environ | environment_of_this_machine()
            subprocess.run([sys.executable, job.__file__, *arguments], env=environment, check=True)
        (answered,) = [outcome_from_json(message) for message in session.get_custom_messages()]
        assert isinstance(answered, Judged)
        return dg.MaterializeResult(metadata={"valid": answered.valid, "reasons": str(answered.reasons)})

    result = dg.materialize([started_by_a_service], raise_on_error=True)
    (made,) = result.asset_materializations_for_node("started_by_a_service")
    assert made.metadata["valid"].value == 3
    assert made.metadata["reasons"].value == "(('Department', 'not_in_list', 1),)"
    assert bucket_place.lake.stat(f"{layout.SPARK_STEPS}a-step-valid.parquet") is not None


def test_a_job_needs_no_dagster_but_its_pipes() -> None:
    work = ("job", "tables", "transformation", "validation")
    code = (
        "import sys, "
        + ", ".join(f"alumni_assets.spark.{name}" for name in work)
        + "; sys.exit('dagster' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_spark_without_pyspark_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alumni_assets.settings.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pyspark is not installed.*alumni_assets\[spark\]"):
        load_settings({"ALUMNI_ENGINE": "spark"})


def test_spark_without_java_is_refused_with_the_way_out(spark_is_here: None, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no Java on this machine"):
        load_settings({"ALUMNI_ENGINE": "spark", "PATH": str(tmp_path)})


def test_an_engine_that_there_is_not_is_refused() -> None:
    with pytest.raises(SettingsError, match="ALUMNI_ENGINE is 'Spark'; it takes local or spark"):
        load_settings({"ALUMNI_ENGINE": "Spark"})
