"""What Dagster's event store holds of each upload: materializations, what the checks found, and nobody's name."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from alumni_assets import checks, layout
from alumni_assets.contract import Contract
from alumni_assets.stages import corrections, validation
from alumni_assets.stages.archive import archive_folder, archived_files, damaged_copies
from alumni_assets.stages.transformation import TransformedUpload
from alumni_assets.stages.validation import Validated
from alumni_assets.survey_rules import load_rules

from ..corrections.returns import correction
from .answers import HEADER, answer, answers, csv_bytes, csv_text
from .conftest import Pipeline, failure_of
from .test_approval_and_checks import GOOD, SPOILED


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pipeline, dict[str, str]]]:
    """A pipeline with an upload of each kind, the good one approved."""
    pipeline = Pipeline(tmp_path_factory.mktemp("observed"))
    with pipeline.instance:
        swapped = csv_text(answers(20, 3)).replace("Employee_Name,College_Degree", "College_Degree,Employee_Name")
        ids_missing = csv_text(answers(30, 3), header=("Phone_Number", "Email", *HEADER[:6], HEADER[8]))
        files = {
            "good": GOOD,
            "spoiled": SPOILED,
            "rejected": csv_bytes(answers(40, 3), header=HEADER[1:]),
            "swapped": swapped.encode(),
            "shifted": ids_missing.replace("Phone_Number,Email", "Email,Phone_Number", 1).encode(),
            "ragged": csv_bytes([answer(50), answer(51)]).replace(b"\n51,", b"\n51,Ana Ruiz,"),
        }
        uploads = {}
        for name, content in files.items():
            pipeline.put(f"{name}.csv", content)
        assert pipeline.take_in(*[f"{name}.csv" for name in files]).success
        uploads = {name: pipeline.upload_of(f"{name}.csv") for name in files}
        assert pipeline.approve(uploads["good"]).success
        yield pipeline, uploads


def test_each_partition_has_its_own_materializations(observed: tuple[Pipeline, dict[str, str]]) -> None:
    pipeline, uploads = observed
    made = {
        (asset, name)
        for asset in ("raw_survey", "validated_survey", "invalid_survey", "transformed_survey", "archived_survey")
        for name, upload in uploads.items()
        if pipeline.partition_status(asset, upload) == AssetPartitionStatus.MATERIALIZED
    }
    judged = set(uploads) - {"rejected"}
    assert made == {
        *[("raw_survey", name) for name in uploads],
        *[(asset, name) for asset in ("validated_survey", "invalid_survey") for name in judged],
        ("transformed_survey", "good"),
        ("archived_survey", "good"),
    }


def test_each_partition_has_its_own_check_results(observed: tuple[Pipeline, dict[str, str]]) -> None:
    pipeline, uploads = observed
    names = [
        ("raw_survey", "readable"),
        ("validated_survey", "rows_accounted_for"),
        ("validated_survey", "schema_holds"),
        ("validated_survey", "no_drift"),
        ("invalid_survey", "no_open_rows"),
        ("transformed_survey", "rows_accounted_for"),
        ("transformed_survey", "schema_holds"),
        ("archived_survey", "copies_verified"),
    ]
    found = {
        kind: [evaluation and evaluation.passed for evaluation in (pipeline.check(*name, upload) for name in names)]
        for kind, upload in uploads.items()
    }
    judged_bad = [True, True, True, True, False, None, None, None]
    assert found == {
        "good": [True] * 8,
        "spoiled": judged_bad,
        "rejected": [False] + [None] * 7,
        "swapped": judged_bad,
        "shifted": judged_bad,
        "ragged": judged_bad,
    }


def test_a_check_result_points_to_the_materialization_that_it_is_about(
    observed: tuple[Pipeline, dict[str, str]],
) -> None:
    pipeline, uploads = observed
    evaluation = pipeline.check("transformed_survey", "schema_holds", uploads["good"])
    assert evaluation is not None
    assert evaluation.target_materialization_data is not None
    newest = pipeline.instance.get_latest_storage_id_by_partition(
        dg.AssetKey("transformed_survey"), dg.DagsterEventType.ASSET_MATERIALIZATION, {uploads["good"]}
    )
    assert evaluation.target_materialization_data.storage_id == newest[uploads["good"]]


def test_the_tables_have_their_checks(observed: tuple[Pipeline, dict[str, str]]) -> None:
    pipeline, _ = observed
    for name in ("ids_unique", "every_alumnus_present", "newest_wins"):
        evaluation = pipeline.check("deduplicated_survey", name)
        assert evaluation is not None, name
        assert evaluation.passed, name
    for answer_table in (
        "degree_performance",
        "campus_excellence",
        "department_employment",
        "job_roles",
        "top_employees",
    ):
        evaluation = pipeline.check(answer_table, "reconciles")
        assert evaluation is not None, answer_table
        assert evaluation.passed, answer_table


def test_checks_count_what_is_stored_and_say_what_is_missing(observed: tuple[Pipeline, dict[str, str]]) -> None:
    pipeline, uploads = observed
    outcome = checks.rows_accounted_for(pipeline.lake, uploads["spoiled"], Validated(rows=5))
    assert not outcome.passed
    assert outcome.metadata == {"rows": 5, "stored_valid": 3, "stored_invalid": 1}
    assert "5 rows in the file = 3 stored as valid + 1 as invalid does not add up" in outcome.description
    outcome = checks.transformed_rows_accounted_for(
        pipeline.lake, uploads["good"], TransformedUpload(exact_duplicates=1)
    )
    assert not outcome.passed
    assert outcome.metadata == {"valid": 3, "transformed": 3, "exact_duplicates": 1}


@pytest.mark.parametrize("name", ["term.csv", "back.csv"])
def test_a_row_that_is_lost_while_it_is_judged_is_noticed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 3), *answers(4, 2, Email="nobody")]))
    pipeline.put("back.csv", correction(upload, {4: answer(4), 5: answer(5)}))
    pipeline.put("term.csv", csv_bytes(answers(11, 3)))
    whole = validation.valid_rows

    def without_one(*judged: Any, **more: Any) -> pa.RecordBatch:
        rows = whole(*judged, **more)
        return rows.slice(1)

    for module in (validation, corrections):
        monkeypatch.setattr(module, "valid_rows", without_one)
    assert pipeline.take_in(name).success
    lacking = pipeline.upload_of(name)
    found = pipeline.check("validated_survey", "rows_accounted_for", lacking)
    assert found is not None
    assert not found.passed
    assert f"{pipeline.ingested(lacking).rows} rows in the file" in (found.description or "")
    assert "rows_accounted_for" in failure_of(pipeline.materialize("transformed_survey", lacking))


def test_checks_name_the_columns_that_do_not_keep_to_the_contract(
    observed: tuple[Pipeline, dict[str, str]], changed_rules: Callable[..., Path]
) -> None:
    pipeline, uploads = observed
    other = Contract(load_rules(changed_rules(vocabularies={"department": ["Finance"], "dmc_campus": ["Main"]})))
    outcome = checks.transformed_schema_holds(pipeline.lake, uploads["good"], other)
    assert not outcome.passed
    assert outcome.metadata["rows"] == 3
    names = {part.split(":")[0] for part in str(outcome.metadata["violations"]).split(", ")}
    assert names == {"department", "dmc_campus"}


def test_archived_copies_that_are_not_what_was_archived_are_noticed(
    observed: tuple[Pipeline, dict[str, str]],
) -> None:
    pipeline, uploads = observed
    folder = archive_folder(pipeline.facts.transformed[uploads["good"]])
    copies = archived_files(pipeline.lake, folder)
    assert checks.copies_verified(len(copies), damaged_copies(pipeline.lake, copies)).passed
    assert {copy.sha256 for copy in copies} == {
        pipeline.facts.seen[uploads["good"]].sha256,
        pipeline.facts.transformed[uploads["good"]].content,
    }
    assert pipeline.lake.read_bytes(copies[0].key) == GOOD
    wrong = [replace(copies[0], sha256="0" * 64), replace(copies[1], key="archive/none.parquet")]
    outcome = checks.copies_verified(len(wrong), damaged_copies(pipeline.lake, wrong))
    assert not outcome.passed
    assert "the checksum differs" in outcome.description
    assert "missing" in outcome.description


def test_nobody_can_be_recognized_from_the_event_store(observed: tuple[Pipeline, dict[str, str]]) -> None:
    pipeline, uploads = observed
    events = pipeline.events()
    assert uploads["spoiled"] in events
    people = [*answers(1, 3), answer(4), *answers(10, 3), *answers(20, 3), *answers(30, 3), *answers(40, 3), answer(50)]
    names = {f"Quintos{person['Employee_Name'][-2:]}" for person in people} | {"Ruiz"}
    emails = {person["Email"].partition("@")[0] for person in people}
    phones = {person["Phone_Number"] for person in people}
    assert {value for value in names | emails | phones if value in events} == set()


def test_nobody_can_be_recognized_from_the_register(observed: tuple[Pipeline, dict[str, str]]) -> None:
    pipeline, _ = observed
    register = b"".join(pipeline.files("register").values()).decode()
    assert json.loads(pipeline.files("register")[f"seen/{layout.object_name(pipeline.upload_of('good.csv'))}.json"])
    assert "Quintos" not in register
    assert "school.edu" not in register
