"""Whatever is lost besides the register, pinned/ and valid/ comes back by itself; the lake holds the truth."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from alumni_assets import layout
from alumni_assets.one_pass import OnePass
from alumni_assets.register import Register
from alumni_assets.resources.lake import FolderLake
from alumni_assets.stages import approval
from alumni_assets.stages.archive import archive_upload, seal_archive
from alumni_assets.stages.intake import pin, utc_now

from .answers import answer, answers, csv_bytes
from .conftest import Pipeline, failure_of

pytestmark = pytest.mark.slow

FILES = {
    "good.csv": csv_bytes([*answers(1, 4), answer(1)]),
    "some bad.csv": csv_bytes([*answers(3, 9, Performance_Rating="5"), answer(99, Email="nobody")]),
    "waiting.csv": csv_bytes(answers(30, 2)),
    "spoiled.csv": csv_bytes(answers(40, 2, Department="Warehouse")),
    "notes.pdf": b"%PDF-1.7",
    "copy.csv": csv_bytes([*answers(1, 4), answer(1)]),
    "odd [1] name%.csv": csv_bytes(answers(50, 2)),
    "withdrawn.csv": csv_bytes(answers(60, 2)),
}
REPLACED = csv_bytes([*answers(70, 12), answer(98, Phone_Number="12")])


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pipeline with uploads of every standing, all tables published."""
    pipeline = Pipeline(tmp_path_factory.mktemp("life"))
    with pipeline.instance:
        for name, content in FILES.items():
            pipeline.put(name, content)
        pipeline.put_and_take_in("term.csv", csv_bytes(answers(70, 2)))
        assert pipeline.take_in(*FILES).success
        approved = ("good.csv", "some bad.csv", "odd [1] name%.csv", "withdrawn.csv", "term.csv")
        pipeline.approve_only(*[pipeline.upload_of(name) for name in approved])
        pipeline.approve_only(pipeline.put_and_take_in("term.csv", REPLACED))
        pipeline.withdraw(pipeline.upload_of("withdrawn.csv"))
        assert pipeline.renew().success
    return pipeline.folder


@pytest.fixture
def lived_in(life: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """That pipeline's files under a new Dagster instance, which knows nothing of them; `alumni` works on them too."""
    shutil.copytree(life, tmp_path, dirs_exist_ok=True)
    pipeline = Pipeline(tmp_path)
    for name, value in pipeline.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(pipeline.folder)
    with pipeline.instance:
        yield pipeline


def run_once() -> dict[str, Any]:
    """What `alumni run` does."""
    with OnePass() as one_pass:
        report = one_pass.run(None, "")
    assert report["broken"] == []
    return report


def lose(pipeline: Pipeline, *folders: str) -> None:
    for folder in folders:
        shutil.rmtree(pipeline.root / folder, ignore_errors=True)


@pytest.mark.slow
def test_everything_comes_back_from_the_register_pinned_and_valid_alone(lived_in: Pipeline) -> None:
    tables, statuses, alumni = lived_in.tables(), lived_in.statuses(), 4 + 7 + 2 + 12
    assert sorted(statuses.values()) == [
        "duplicate", "rejected", "superseded", "transformed", "transformed", "transformed", "transformed",
        "validated", "validated", "withdrawn",
    ]  # fmt: skip
    assert len(tables["alumni"]) == alumni
    assert {status for (status,) in lived_in.published("SELECT DISTINCT status FROM quarantine")} == {"open"}
    kept = {folder: lived_in.files(folder) for folder in ("register", "pinned", "valid", "invalid", "transformed")}
    # Dagster's event store is new as well: the command opens an instance of its own in `home`.
    lose(lived_in, "published", "invalid", "transformed", "archive", "raw")
    lived_in.raw.mkdir()
    shutil.rmtree(lived_in.home)
    report = run_once()
    assert report["alumni"] == alumni
    assert lived_in.tables() == tables
    assert lived_in.statuses() == statuses
    found = {folder: lived_in.files(folder) for folder in kept}
    assert found["transformed"].items() <= kept["transformed"].items()
    assert {**found, "transformed": {}, "register": {}} == {**kept, "transformed": {}, "register": {}}
    decisions = {name for name in kept["register"] if name.startswith(("decisions/", "seen/", "arrivals/"))}
    assert {name for name in found["register"] if name.startswith(("decisions/", "seen/", "arrivals/"))} == decisions
    assert all(found["register"][name] == kept["register"][name] for name in decisions)
    publication = lived_in.published("SELECT * FROM publication")
    assert run_once() == {**report, "uploads": []}
    assert lived_in.published("SELECT * FROM publication") == publication


def test_the_warehouse_comes_back_in_the_next_run_of_the_tables(lived_in: Pipeline) -> None:
    tables = lived_in.tables()
    (generation,) = lived_in.published("SELECT generation FROM publication")[0]
    (lived_in.home / "warehouse.duckdb").unlink()
    assert lived_in.renew().success
    assert lived_in.tables() == tables
    assert lived_in.published("SELECT generation FROM publication")[0][0] > generation


def test_the_copy_of_the_register_may_be_deleted(lived_in: Pipeline) -> None:
    statuses = lived_in.statuses()
    (lived_in.home / "register.sqlite").unlink()
    assert lived_in.statuses() == statuses


def test_rows_that_are_missing_in_the_warehouse_are_noticed(lived_in: Pipeline) -> None:
    with duckdb.connect(str(lived_in.home / "warehouse.duckdb")) as connection:
        connection.execute("DELETE FROM survey_responses WHERE employee_id = 70")
        connection.execute("DELETE FROM alumni WHERE employee_id = 70")
    assert not lived_in.materialize("deduplicated_survey").success
    evaluation = lived_in.check("deduplicated_survey", "every_alumnus_present")
    assert evaluation is not None
    assert not evaluation.passed
    assert "term.csv" in (evaluation.description or "")


def test_an_upload_whose_rules_changed_is_not_judged_anew_by_a_loss(
    lived_in: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    upload = lived_in.upload_of("some bad.csv")
    valid = lived_in.lake.read_bytes(layout.valid_key(upload))
    lived_in.lake.delete(layout.invalid_key(upload))
    lived_in.use_rules(changed_rules(vocabularies={"department": ["Finance"]}))
    assert upload in failure_of(lived_in.enter_again(upload))
    assert lived_in.lake.read_bytes(layout.valid_key(upload)) == valid
    assert lived_in.statuses()[upload] == "transformed"


def test_an_upload_comes_back_from_its_archived_copies_alone(lived_in: Pipeline) -> None:
    upload = lived_in.upload_of("some bad.csv")
    seen = lived_in.facts.seen[upload]
    seal_archive(lived_in.lake, seen, *archive_upload(lived_in.lake, seen, lived_in.facts.transformed[upload]))
    tables = lived_in.tables()
    folders = ("pinned", "valid", "invalid", "transformed")
    kept = {folder: lived_in.files(folder) for folder in folders}
    for folder in folders:
        for name in kept[folder]:
            if name.startswith("some bad.csv-"):
                (lived_in.root / folder / name).unlink()
    lose(lived_in, "published", "raw")
    lived_in.raw.mkdir()
    (lived_in.home / "warehouse.duckdb").unlink()
    with OnePass() as one_pass:
        files, report = one_pass.restore(upload, 7, "Bulk")
    assert report["broken"] == []
    assert {file.key: file.state for file in files} == {
        layout.pinned_key(upload): "restored",
        layout.transformed_key(upload): "restored",
    }
    assert {folder: lived_in.files(folder) for folder in folders} == kept
    assert lived_in.tables() == tables


def test_what_was_never_transformed_has_no_archived_copies(lived_in: Pipeline) -> None:
    upload = lived_in.upload_of("waiting.csv")
    with OnePass() as one_pass, pytest.raises(approval.ApprovalRefusedError, match="was never transformed"):
        one_pass.restore(upload, 7, "Bulk")


def test_a_pinned_copy_that_was_cut_short_is_made_again_when_the_file_is_put_again(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", FILES["good.csv"])
    pipeline.lake.put_bytes(layout.pinned_key(upload), FILES["good.csv"][:-1])
    assert pipeline.put_and_take_in("term.csv", FILES["good.csv"]) == upload
    assert pipeline.lake.read_bytes(layout.pinned_key(upload)) == FILES["good.csv"]
    assert pipeline.find_new() == ()


def test_an_upload_is_on_the_disk_before_the_register_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, flush, flushed = FolderLake(tmp_path), os.fsync, []
    lake.put_bytes("raw/term.csv", FILES["good.csv"])

    def noted(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    upload = pin(lake, Register(lake, tmp_path), "term.csv", utc_now()).seen.upload
    names = (layout.pinned_key(upload), layout.fact_key("seen", upload))
    assert flushed[:2] == [(tmp_path / name).stat().st_ino for name in names]
