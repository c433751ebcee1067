"""Spark under Dagster: a run starts a job in a process of its own, and reports what it made as it always does."""

import os
from pathlib import Path

import pytest

from alumni_assets.settings import SettingsError, load_settings

from ..pipeline.answers import DATED, answer, answers, csv_bytes
from ..pipeline.conftest import Pipeline, failure_of, only
from .conftest import SECRET, messages

SLOW = pytest.mark.slow


@pytest.fixture
def on_spark(pipeline: Pipeline, spark_is_here: None) -> Pipeline:
    pipeline.environment |= {"ALUMNI_ENGINE": "spark", "ALUMNI_SPARK_MASTER": "local[2]", "ALUMNI_SPARK_MEMORY": "1GB"}
    return pipeline


def use_one_machine(pipeline: Pipeline) -> None:
    """From now on the pipeline works without Spark."""
    pipeline.environment["ALUMNI_ENGINE"] = "local"
    pipeline.use_rules(Path(pipeline.environment["ALUMNI_SURVEY"]))


@SLOW
@pytest.mark.long
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


def test_spark_without_pyspark_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alumni_assets.settings.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pyspark is not installed.*alumni_assets\[spark\]"):
        load_settings({"ALUMNI_ENGINE": "spark"})


def test_spark_without_java_is_refused_with_the_way_out(spark_is_here: None, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no Java on this machine"):
        load_settings({"ALUMNI_ENGINE": "spark", "PATH": str(tmp_path)})


def test_spark_is_refused_where_components_have_roles_which_its_jobs_would_not_take_on(spark_is_here: None) -> None:
    with pytest.raises(SettingsError, match="Set ALUMNI_ENGINE to local or glue"):
        load_settings({**os.environ, "ALUMNI_ENGINE": "spark", "ALUMNI_ROLES": "arn:aws:iam::123456789012:role/a-"})


def test_an_engine_that_there_is_not_is_refused() -> None:
    with pytest.raises(SettingsError, match="ALUMNI_ENGINE is 'Spark'; it takes local, spark or glue"):
        load_settings({"ALUMNI_ENGINE": "Spark"})
