"""Uploads that are unlike those before them, in the whole pipeline: what a reviewer sees, and what the policy does."""

import random
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetCheckSeverity

from alumni_assets import layout
from alumni_assets.contract import Contract
from alumni_assets.stages import profile
from alumni_assets.stages.approval import may_approve_itself
from alumni_assets.survey_rules import ApprovalRules, default_rules

from .answers import answer, answers, csv_bytes
from .conftest import Pipeline

pytestmark = pytest.mark.slow

POLICY = ApprovalRules(auto=True, max_invalid_share=0.0)


def term(first_id: int, count: int = 200, **changes: Any) -> bytes:
    """Answers of all campuses and ratings alike."""
    campuses = default_rules().vocabularies.dmc_campus
    rows = [
        answer(
            first_id + number,
            DMC_Campus=campuses[number % len(campuses)],
            Performance_Rating=str(number % 5 + 1),
            **changes,
        )
        for number in range(count)
    ]
    random.Random(first_id).shuffle(rows)
    return csv_bytes(rows)


def spoiled(first_id: int) -> bytes:
    return csv_bytes(answers(first_id, 200, Performance_Rating="5", Email="someone@elsewhere.test"))


def test_the_reviewer_is_warned_and_may_approve_all_the_same(pipeline: Pipeline) -> None:
    first = pipeline.put_and_take_in("2024.csv", term(1000))
    alone = pipeline.check("validated_survey", "no_drift", first)
    assert alone is not None
    assert alone.passed
    assert alone.description == "The upload is not compared with others: that takes 50 rows here and before."
    assert pipeline.approve(first).success
    alike = pipeline.check("validated_survey", "no_drift", pipeline.put_and_take_in("2025.csv", term(2000)))
    assert alike is not None
    assert alike.passed
    assert alike.description == "The upload is like the 1 approved before it."
    other = pipeline.put_and_take_in("2026.csv", spoiled(3000))
    unlike = pipeline.check("validated_survey", "no_drift", other)
    assert unlike is not None
    assert not unlike.passed
    assert unlike.severity is AssetCheckSeverity.WARN
    assert unlike.description == (
        "The upload is unlike the 1 approved before it. Mix of campuses: Santo Tomas 100.0%, before Santo Tomas 12.5%; "
        "Mix of ratings: 5 100.0%, before 5 20.0%; E-mail domain that is new: elsewhere.test 100.0%, before none. Look "
        "whether it is the right file, whole and of the right people; approve it if it is."
    )
    assert pipeline.approve(other).success


def test_the_policy_that_approves_by_itself_leaves_an_unlike_upload_to_a_person(pipeline: Pipeline) -> None:
    first = pipeline.put_and_take_in("2024.csv", term(1000))
    assert may_approve_itself(pipeline.facts, POLICY) == [first]
    assert pipeline.approve(first).success
    alike = pipeline.put_and_take_in("2025.csv", term(2000))
    pipeline.put_and_take_in("2026.csv", spoiled(3000))
    assert may_approve_itself(pipeline.facts, POLICY) == [alike]


def test_answers_are_counted_in_one_spelling(pipeline: Pipeline) -> None:
    rows = [
        answer(7, College_Degree=" computer  SCIENCE", Performance_Rating="5"),
        answer(7, Department="hr"),
        answer(8, DMC_Campus="nowhere"),
    ]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    assert pipeline.ingested(upload).profile == {
        "college_degree": {"Computer Science": 2},
        "department": {"HR": 2},
        "dmc_campus": {"Santo Tomas": 2},
        "performance_rating": {"5": 1, "4": 1},
        "email_domain": {"": 2},
        "employee_id": {"rows": 2, "repeated": 1},
    }


def test_domains_are_named_from_ten_rows_on(pipeline: Pipeline) -> None:
    rows = [*answers(1, 11), *answers(20, 9, Email="a.b@rare.test"), *answers(40, 10, Email="A.B@Often.TEST")]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    assert pipeline.ingested(upload).profile["email_domain"] == {"school.edu.ph": 11, "often.test": 10, "": 9}


def test_of_very_many_ids_a_part_is_compared_with_all_its_rows(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [answer(number % 800) for number in range(1000)]
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    whole = pipeline.ingested(upload).profile["employee_id"]
    assert whole == {"rows": 1000, "repeated": 200}
    monkeypatch.setattr(profile, "_IDS_HELD", 250)
    stored = Path(pipeline.lake.url(layout.valid_key(upload)))
    part = profile.profile_of(stored, 1000, Contract(default_rules()))["employee_id"]
    assert 150 < part["rows"] < 350
    assert part["rows"] - part["repeated"] == pytest.approx(part["rows"] * 0.8, rel=0.1)


def test_a_correction_is_compared_with_nothing(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 60), answer(99, Department="HRR")]))
    correction = pipeline.put_and_take_in("back.csv", f"_upload,_row,Department\n{upload},61,HR\n".encode())
    assert pipeline.ingested(correction).profile == {}
    evaluation = pipeline.check("validated_survey", "no_drift", correction)
    assert evaluation is not None
    assert evaluation.passed
    assert evaluation.description == "A correction is compared with no other upload."


def test_a_dagster_that_has_forgotten_all_is_told_of_the_warning_again(pipeline: Pipeline) -> None:
    assert pipeline.approve(pipeline.put_and_take_in("2024.csv", term(1000))).success
    other = pipeline.put_and_take_in("2026.csv", spoiled(3000))
    with dg.DagsterInstance.ephemeral() as empty:
        forgetful = Pipeline(pipeline.folder, instance=empty)
        assert forgetful.enter_again(other).success
        evaluation = forgetful.check("validated_survey", "no_drift", other)
    assert evaluation is not None
    assert not evaluation.passed
    assert evaluation.description == (
        "As it was when the upload was judged: unlike those before it. Mix of campuses, Mix of ratings, E-mail domain "
        "that is new."
    )
