"""The supervised step: what a person sees before approving, what they may approve, and what is remembered of it."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from alumni_assets import layout
from alumni_assets.stages.approval import ApprovalRefusedError, Request, approve

from .answers import DATED, HEADER, answer, answers, csv_bytes, workbook
from .conftest import APPROVER, Pipeline, failure_of, only

SPOILED = csv_bytes([*answers(1, 3), answer(4, Email="nobody")])
GOOD = csv_bytes(answers(10, 3))


@pytest.fixture
def spoiled(pipeline: Pipeline) -> str:
    """An upload with more invalid rows than may be approved."""
    return pipeline.put_and_take_in("spoiled.csv", SPOILED)


@pytest.fixture
def good(pipeline: Pipeline) -> str:
    return pipeline.put_and_take_in("good.csv", GOOD)


def table(metadata: object) -> list[dict[str, object]]:
    """The records of a table in a check's metadata."""
    assert isinstance(metadata, dg.TableMetadataValue)
    return [dict(record.data) for record in metadata.records]


# What a person sees


def test_a_failed_check_says_how_many_rows_why_where_and_what_to_do(pipeline: Pipeline) -> None:
    rows = [
        answer(1),
        answer(2, Department="Markting", Performance_Rating="7"),
        answer(3, College_Degree="Computer Sciense", Phone_Number="12345"),
        answer(4, Performance_Rating=""),
    ]
    upload = pipeline.put_and_take_in("term.csv", b"\n\n" + csv_bytes(rows) + b"\n5,short\n")
    evaluation = pipeline.check("invalid_survey", "no_open_rows", upload)
    assert evaluation is not None
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    assert "4 of 5 rows (80.0%) wait to be corrected" in (evaluation.description or "")
    assert "more than 20%" in (evaluation.description or "")
    assert evaluation.metadata["invalid_rows"].value == 4
    counts = {(row["column"], row["code"]): row["cells"] for row in table(evaluation.metadata["reasons"])}
    assert counts == {
        ("Department", "not_in_list"): 1,
        ("Performance_Rating", "not_a_rating"): 1,
        ("College_Degree", "not_in_list"): 1,
        ("Phone_Number", "not_a_phone_number"): 1,
        ("Performance_Rating", "missing"): 1,
        ("(whole row)", "wrong_field_count"): 1,
    }
    # The header is in line 3, below two blank ones; the short row comes after another.
    first_rows = table(evaluation.metadata["first_rows"])
    assert [(row["row in your file"], row["_row"], row["column"], row["did you mean"]) for row in first_rows] == [
        ("5", "2", "Department", "Marketing"),
        ("5", "2", "Performance_Rating", ""),
        ("6", "3", "College_Degree", "Computer Science"),
        ("6", "3", "Phone_Number", ""),
        ("7", "4", "Performance_Rating", ""),
        ("9", "6", "(whole row)", ""),
    ]
    assert all(row["problem"] for row in first_rows)
    for name, suffix in {"correction_file": "xlsx", "correction_file_as_csv": "csv"}.items():
        assert evaluation.metadata[name].value == str(pipeline.root / layout.correction_key(upload, suffix))
        assert pipeline.lake.stat(layout.correction_key(upload, suffix)) is not None


def test_few_invalid_rows_are_a_warning_and_hold_up_nothing(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 9), answer(10, Email="nobody")]))
    evaluation = pipeline.check("invalid_survey", "no_open_rows", upload)
    assert evaluation is not None
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "may be approved" in (evaluation.description or "")
    pipeline.approve_only(upload)
    assert pipeline.statuses() == {upload: "transformed"}


def test_row_numbers_are_those_of_the_persons_own_workbook(pipeline: Pipeline) -> None:
    good_row = [answer(1)[name] for name in HEADER]
    bad_row = [answer(2, Email="nobody")[name] for name in HEADER]
    upload = pipeline.put_and_take_in(
        "term.xlsx", workbook([HEADER, good_row, [], bad_row, good_row, bad_row], blank_above=3)
    )
    evaluation = pipeline.check("invalid_survey", "no_open_rows", upload)
    assert evaluation is not None
    assert [row["row in your file"] for row in table(evaluation.metadata["first_rows"])] == ["7", "9"]


def test_unknown_columns_are_a_warning(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(answers(1), header=(*HEADER, "Mood", "Shoe size")))
    evaluation = pipeline.check("raw_survey", "readable", upload)
    assert evaluation is not None
    assert (evaluation.passed, evaluation.severity) == (True, dg.AssetCheckSeverity.WARN)
    assert "Mood" in (evaluation.description or "")
    assert evaluation.metadata["unknown_columns"].value == 2


def test_the_raw_asset_tells_what_kind_of_file_came(pipeline: Pipeline) -> None:
    content = csv_bytes(answers(1, 2), header=DATED, delimiter=";", encoding="utf-8-sig")
    materialization = pipeline.materialization("raw_survey", pipeline.put_and_take_in("term.csv", content))
    assert materialization is not None
    shown = {name: value.value for name, value in materialization.metadata.items()}
    assert shown["encoding"] == "UTF-8 with byte-order mark"
    assert shown["delimiter"] == "semicolon"
    assert shown["header"] == " | ".join(DATED)[:80] + "…"
    assert (shown["size"], shown["rows"]) == (len(content), 2)
    preview = table(materialization.metadata["preview"])
    assert preview[0]["employee_id"] == "1***"
    assert (preview[0]["employee_name"], preview[0]["email"], preview[0]["phone_number"]) == ("V***", "v***", "9***")


# What a person may approve


def test_an_upload_whose_blocking_check_failed_is_refused_with_the_reason(pipeline: Pipeline, spoiled: str) -> None:
    assert pipeline.partition_status("validated_survey", spoiled) == AssetPartitionStatus.MATERIALIZED
    reason = failure_of(pipeline.materialize("transformed_survey", spoiled, approved_by=APPROVER))
    assert spoiled in reason
    assert "no_open_rows" in reason
    assert "override_reason" in reason
    assert pipeline.statuses() == {spoiled: "validated"}
    assert pipeline.facts.decisions == {}
    assert pipeline.partition_status("transformed_survey", spoiled) != AssetPartitionStatus.MATERIALIZED
    assert pipeline.files("transformed") == {}


def test_a_bad_upload_never_holds_up_the_others(pipeline: Pipeline, spoiled: str, good: str) -> None:
    rejected = pipeline.put_and_take_in("notes.pdf", b"%PDF-1.7")
    assert pipeline.approve(spoiled, rejected, good).success
    assert pipeline.statuses() == {spoiled: "validated", rejected: "rejected", good: "transformed"}
    assert {employee_id for employee_id, _, _ in pipeline.alumni_rows()} == {10, 11, 12}
    assert pipeline.partition_status("archived_survey", good) == AssetPartitionStatus.MATERIALIZED
    assert pipeline.materialization("archived_survey", spoiled) is None


def test_an_override_is_recorded_with_its_reason(pipeline: Pipeline, spoiled: str) -> None:
    result = pipeline.materialize(
        "transformed_survey", spoiled, approved_by=f" {APPROVER} ", note="agreed by phone", override_reason="no time"
    )
    assert result.success
    decision = only(pipeline.facts.decisions[spoiled])
    assert (decision.kind, decision.by, decision.note, decision.override) == (
        "approved",
        APPROVER,
        "agreed by phone",
        "no time",
    )
    assert (decision.rows, decision.invalid_share) == (3, 0.25)
    assert decision.content == pipeline.ingested(spoiled).content
    materialization = pipeline.materialization("transformed_survey", spoiled)
    assert materialization is not None
    shown = {name: value.value for name, value in materialization.metadata.items()}
    assert (shown["approved_by"], shown["note"], shown["override_reason"]) == (APPROVER, "agreed by phone", "no time")
    assert (shown["approved_rows"], shown["approved_content"]) == (3, decision.content)


def test_an_override_that_was_not_needed_is_not_recorded(pipeline: Pipeline, good: str) -> None:
    assert pipeline.materialize("transformed_survey", good, approved_by=APPROVER, override_reason="to be sure").success
    assert only(pipeline.facts.decisions[good]).override == ""


@pytest.mark.parametrize("nobody", ["", "  \t"])
def test_nobody_may_approve_without_a_name(pipeline: Pipeline, good: str, nobody: str) -> None:
    reason = failure_of(pipeline.materialize("transformed_survey", good, approved_by=nobody))
    assert "approved_by" in reason
    assert pipeline.statuses() == {good: "validated"}


def test_the_name_comes_from_the_environment_by_default(pipeline: Pipeline, good: str) -> None:
    assert pipeline.materialize("transformed_survey", good).success
    assert only(pipeline.facts.decisions[good]).by == APPROVER


@pytest.mark.parametrize(
    ("content", "status"), [(b"%PDF-1.7", "rejected"), (GOOD, "duplicate")], ids=["rejected", "duplicate"]
)
def test_there_is_nothing_to_approve_in_some_uploads(
    pipeline: Pipeline, good: str, content: bytes, status: str
) -> None:
    upload = pipeline.put_and_take_in("other.csv", content)
    assert pipeline.statuses()[upload] == status
    reason = failure_of(pipeline.materialize("transformed_survey", upload))
    assert pipeline.ingested(upload).reason in reason


def test_an_upload_that_there_is_not_is_neither_approved_nor_withdrawn(pipeline: Pipeline) -> None:
    with pytest.raises(
        ApprovalRefusedError, match=r"^There is no upload term\.csv@00000000\. `alumni status` lists them"
    ):
        approve(pipeline.lake, pipeline.register, "term.csv@00000000", Request(APPROVER))
    with pytest.raises(ApprovalRefusedError, match="There is no upload"):
        pipeline.withdraw("term.csv@00000000")


def change_valid_rows(pipeline: Pipeline, upload: str) -> None:
    """Somebody replaces an upload's stored valid rows by those of another file."""
    other = pipeline.put_and_take_in("other.csv", csv_bytes(answers(90, 3)))
    pipeline.lake.put_bytes(layout.valid_key(upload), pipeline.lake.read_bytes(layout.valid_key(other)))


def test_valid_rows_that_changed_since_they_were_checked_are_refused(pipeline: Pipeline, good: str) -> None:
    change_valid_rows(pipeline, good)
    reason = failure_of(pipeline.materialize("transformed_survey", good))
    assert "have changed since they were checked" in reason
    assert pipeline.statuses()[good] == "validated"
    assert pipeline.materialize("validated_survey", good).success
    assert pipeline.materialize("transformed_survey", good).success
    assert set(pipeline.alumni()) == {10, 11, 12}


def test_valid_rows_that_changed_since_they_were_approved_are_refused_and_overwrite_nothing(
    pipeline: Pipeline, good: str
) -> None:
    pipeline.approve_only(good)
    stored = pipeline.files("transformed")
    change_valid_rows(pipeline, good)
    bystander = pipeline.upload_of("other.csv")
    assert pipeline.approve(good, bystander).success
    assert stored.items() < pipeline.files("transformed").items()
    assert pipeline.statuses() == {good: "transformed", bystander: "transformed"}
    assert "not the ones that were approved" in failure_of(pipeline.materialize("transformed_survey", good))


def test_valid_rows_that_are_gone_are_refused(pipeline: Pipeline, good: str) -> None:
    pipeline.lake.delete(layout.valid_key(good))
    assert "not in the lake" in failure_of(pipeline.materialize("transformed_survey", good))


def test_transformed_rows_that_were_changed_by_other_hands_do_not_reach_the_tables(
    pipeline: Pipeline, good: str
) -> None:
    other = pipeline.put_and_take_in("other.csv", csv_bytes(answers(90, 3)))
    pipeline.approve_only(other)
    assert set(pipeline.alumni()) == {90, 91, 92}
    kept = pipeline.alumni_rows()
    pipeline.approve_only(good)
    pipeline.lake.put_bytes(layout.transformed_key(good), pipeline.lake.read_bytes(layout.transformed_key(other)))
    said = failure_of(pipeline.materialize("deduplicated_survey"))
    assert f"The transformed rows of {good} have changed since they were made" in said
    assert pipeline.alumni_rows() == kept


def test_rules_that_no_longer_know_an_answer_refuse_its_upload_and_overwrite_nothing(
    pipeline: Pipeline, good: str, changed_rules: Callable[..., Path]
) -> None:
    pipeline.approve_only(good)
    stored = pipeline.files("transformed")
    pipeline.use_rules(changed_rules(vocabularies={"department": ["Finance"]}))
    assert "alumni revalidate" in failure_of(pipeline.materialize("transformed_survey", good))
    assert pipeline.files("transformed") == stored
    assert pipeline.statuses() == {good: "transformed"}


def test_approving_again_what_is_approved_records_nothing(pipeline: Pipeline, good: str) -> None:
    pipeline.approve_only(good)
    assert pipeline.materialize("transformed_survey", good, approved_by="Somebody Else").success
    assert only(pipeline.facts.decisions[good]).by == APPROVER
