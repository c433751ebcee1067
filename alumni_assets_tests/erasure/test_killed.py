"""An erasure that cannot end at once: one that is killed before any of its writes, and one that has to wait."""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

from alumni_assets import layout, pending_work
from alumni_assets.assets.intake_events import IntakeEvents
from alumni_assets.contract import default_contract
from alumni_assets.register import Register
from alumni_assets.resources.lake import FolderLake
from alumni_assets.stages import intake
from alumni_assets.stages.erasing import Eraser, Request
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.stages.keeping_out import Doorkeeper
from alumni_assets.stages.restoring import restore_upload, waits
from alumni_assets.survey.persons import person
from alumni_assets.survey.standing import standings

from ..corrections.returns import correction
from ..pipeline.answers import answer, answers, csv_bytes, gzipped
from ..pipeline.conftest import Pipeline, pipeline
from .conftest import ID, KEY, erase, in_environment, of_person, places_of
from .killed_lake import ColdLake, Killed, KilledLake

__all__ = ["pipeline"]
pytestmark = pytest.mark.slow
NOW = datetime(2026, 11, 25)
FOLDERS = ("raw", "pinned", "valid", "invalid", "transformed", "archive")


@pytest.fixture
def before(pipeline: Pipeline) -> Path:
    """A lake with an upload, its correction, and another upload; all approved and archived."""
    rows = [*answers(1, 8), of_person(), of_person(Performance_Rating="9"), answer(9, Email="nobody")]
    term = pipeline.put_and_take_in("term.csv", csv_bytes(rows))
    pipeline.put("packed.csv.gz", gzipped(csv_bytes([of_person(Job_Role="Cook"), answer(20)])))
    pipeline.put("fix.csv", correction(term, {10: of_person(), 11: answer(9)}))
    assert pipeline.take_in("packed.csv.gz", "fix.csv").success
    uploads = (term, pipeline.upload_of("packed.csv.gz"), pipeline.upload_of("fix.csv"))
    assert pipeline.approve(*uploads).success
    shutil.rmtree(pipeline.root / "published")
    return pipeline.root


def erased(lake: FolderLake, home: Path) -> None:
    contract = default_contract()
    request = Request(ID, "Ana Reyes", "asked for it")
    register, persons = Register(lake, home), person(ID, contract.rules.phone_number)
    done = Eraser(lake, register, contract, KEY).rewrite(request, persons)
    assert done.is_complete
    doorkeeper = Doorkeeper(lake, register, contract, KEY)
    for key in sorted(entry.key.removeprefix("raw/") for entry in lake.list("raw/")):
        assert intake.pin(lake, register, key, NOW, doorkeeper.checked(key)).is_unchanged


def state_of(root: Path, home: Path) -> tuple[dict[str, bytes], Any]:
    """The objects of a lake, and what its register says of uploads."""
    objects = {
        str(path.relative_to(root)): path.read_bytes()
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.is_file() and path.suffix != ".xlsx"  # which has its time in it
    }
    facts = Register(FolderLake(root), home).facts()
    return objects, (facts.seen, facts.ingested, facts.transformed, facts.decisions, standings_of(root, home))


def standings_of(root: Path, home: Path) -> dict[str, str]:
    facts = Register(FolderLake(root), home).facts()
    return {upload: str(standing.status) for upload, standing in standings(facts).items()}


def assert_any_death_is_made_good(before: Path, folder: Path, step: int) -> None:
    whole = folder / "whole"
    shutil.copytree(before, whole)
    lake = KilledLake(whole)
    erased(lake, folder / "home of whole")
    expected = state_of(whole, folder / "home of whole")
    assert lake.writes > 20
    for last in range(1, lake.writes + 1, step):
        root, home = folder / f"killed {last}", folder / f"home {last}"
        shutil.copytree(before, root)
        with pytest.raises(Killed):
            erased(KilledLake(root, last), home)
        assert standings_of(root, home) == expected[1][-1], last
        erased(FolderLake(root), home)
        assert state_of(root, home) == expected, last
        assert places_of(root) == [], last
        shutil.rmtree(root)


def test_an_erasure_that_dies_is_ended_by_the_next(before: Path, tmp_path: Path) -> None:
    assert_any_death_is_made_good(before, tmp_path, 9)


@pytest.mark.long
def test_an_erasure_that_dies_anywhere_is_ended_by_the_next(before: Path, tmp_path: Path) -> None:
    assert_any_death_is_made_good(before, tmp_path, 1)


def test_an_erasure_that_dies_while_it_rewrites_what_only_the_archive_has_is_ended_by_the_next(
    before: Path, tmp_path: Path
) -> None:
    for folder in ("raw", "pinned", "transformed"):
        shutil.rmtree(before / folder)
    assert_any_death_is_made_good(before, tmp_path, 1)


def test_an_intake_that_dies_after_it_cut_the_person_out_is_told_of_by_the_next(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.environment["ALUMNI_ERASURE_KEY"] = KEY
    pipeline.put_and_take_in("term.csv", csv_bytes([of_person(), answer(1)]))
    with in_environment(pipeline):
        erase(pipeline)
    pipeline.put("new.csv", csv_bytes([of_person(Job_Role="Cook"), answer(2)]))
    with monkeypatch.context() as broken:
        broken.setattr(IntakeEvents, "validated", _dies)
        assert not pipeline.take_in("new.csv").success
    upload = pipeline.upload_of("new.csv")
    assert (pipeline.find_new(), pipeline.materialization("raw_survey", upload)) == ((), None)
    assert pending_work.find_unreported(pipeline.register, default_contract()).runs == [(upload,)]
    assert pipeline.enter_again(upload).success
    assert pipeline.check("raw_survey", "readable", upload) is not None


def _dies(*_: Any, **__: Any) -> NoReturn:
    raise OSError("the process is gone")


def test_an_archived_copy_that_the_lake_has_no_other_of_is_asked_for_and_erased_once_it_is_there(
    before: Path, tmp_path: Path
) -> None:
    lake, contract = ColdLake(before), default_contract()
    register, persons = Register(lake, tmp_path / "home of cold"), person(ID, contract.rules.phone_number)
    eraser, request = Eraser(lake, register, contract, KEY), Request(ID, "Ana Reyes", "asked for it")
    for folder in ("raw", "pinned"):
        shutil.rmtree(before / folder)
    for _ in range(2):
        done = eraser.rewrite(request, persons)
        assert not done.is_complete
        assert [key.rpartition("/")[2] for key in sorted(done.waiting)] == ["fix.csv", "packed.csv.gz", "term.csv"]
    assert {place.partition("/")[0] for place in places_of(before)} == {"archive"}
    assert all("/original/" in place for place in places_of(before))
    lake.is_handed_out = True
    assert eraser.rewrite(request, persons).is_complete
    assert places_of(before) == []
    for upload, transformed in register.facts().transformed.items():
        assert waits(restore_upload(lake, transformed, 1, "Bulk"))  # the rewritten copies are in cold storage again
        assert not waits(restore_upload(lake, transformed, 1, "Bulk"))
        assert sha256_of(before / layout.pinned_key(upload)) == register.facts().seen[upload].sha256
