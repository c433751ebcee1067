"""A person in archives that are not as they should be: one that cannot be read any more, one that was not finished."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from alumni_assets import layout, pending_work
from alumni_assets.contract import default_contract
from alumni_assets.one_pass import OnePass
from alumni_assets.stages.archive import MANIFEST, archive_folder, archived_files, damage
from alumni_assets.stages.erasing import Eraser, Request
from alumni_assets.survey.persons import person

from ..corrections.returns import handed_out
from ..pipeline.answers import HEADER, answer, answers, csv_bytes
from ..pipeline.conftest import APPROVER, Pipeline, pipeline
from .conftest import ID, KEY, erase, in_environment, of_person, places_of

__all__ = ["pipeline"]
pytestmark = pytest.mark.slow


def approved_wide_upload(pipeline: Pipeline) -> str:
    """An upload of more than ten columns with the person in it."""
    wide = (*HEADER, "x", "y", "z")
    content = csv_bytes([row | dict.fromkeys("xyz", "") for row in (*answers(1, 3), of_person())], header=wide)
    upload = pipeline.put_and_take_in("wide.csv", content)
    assert pipeline.approve(upload).success
    pipeline.environment["ALUMNI_ERASURE_KEY"] = KEY
    return upload


@pytest.mark.parametrize("is_pinned", [True, False], ids=["pinned", "in the archive only"])
def test_what_cannot_be_read_any_more_is_named_and_deleted_from_the_archive_too(
    pipeline: Pipeline, changed_rules: Callable[..., Path], is_pinned: bool
) -> None:
    upload = approved_wide_upload(pipeline)
    if not is_pinned:
        pipeline.lake.delete(layout.pinned_key(upload))
        pipeline.lake.delete("raw/wide.csv")
    pipeline.use_rules(changed_rules(limits={"columns": 10}))
    with in_environment(pipeline):
        assert erase(pipeline).unread == [upload]
        assert {place.partition("/")[0] for place in places_of(pipeline.root)} >= {"archive"}
        assert erase(pipeline, delete_unreadable=True).unread == [upload]
    assert places_of(pipeline.root) == []
    folder = archive_folder(pipeline.facts.transformed[upload])
    assert [copy.key for copy in archived_files(pipeline.lake, folder)] == [f"{folder}transformed.parquet"]
    assert len(pipeline.tables()["alumni"]) == 3


@pytest.mark.parametrize("deletes", [True, False], ids=["deleted", "left"])
def test_rows_of_others_that_were_set_aside_in_it_are_handed_out_and_corrected_all_the_same(
    pipeline: Pipeline, changed_rules: Callable[..., Path], deletes: bool
) -> None:
    wide = csv_bytes(
        [*answers(1, 20), of_person(Performance_Rating="9"), answer(21, Email="nobody")], header=(*HEADER, "x", "y")
    )
    upload = pipeline.put_and_take_in("wide.csv", wide)
    assert pipeline.approve(upload).success
    pipeline.environment["ALUMNI_ERASURE_KEY"] = KEY
    pipeline.use_rules(changed_rules(limits={"columns": 10}))
    with in_environment(pipeline):
        assert erase(pipeline, delete_unreadable=deletes).unread == [upload]
        (row,) = handed_out(pipeline, upload)
        assert (row["_row"], row["Employee_ID"]) == ("22", "21")
        assert not pending_work.find_lost(pipeline.lake, pipeline.register, default_contract(), pipeline.instance).runs
        pipeline.put("fix.csv", csv_bytes([row | {"Email": "a@school.edu.ph"}], header=list(row)))
        with OnePass() as one_pass:
            assert one_pass.run(APPROVER, "")["broken"] == []
    assert len(pipeline.tables()["alumni"]) == 21


@pytest.fixture
def unfinished(pipeline: Pipeline) -> str:
    """The folder of an archive that was not finished; of its upload, and of the person in it, there is all else."""
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 3), of_person()]))
    assert pipeline.approve(upload).success
    folder = archive_folder(pipeline.facts.transformed[upload])
    pipeline.lake.delete(f"{folder}{MANIFEST}")
    pipeline.environment["ALUMNI_ERASURE_KEY"] = KEY
    return folder


def finish_archive() -> None:
    with OnePass() as one_pass:
        assert one_pass.run(None, "")["broken"] == []


def test_an_archive_that_was_not_finished_is_finished_without_the_person(pipeline: Pipeline, unfinished: str) -> None:
    assert any(place.startswith(unfinished) for place in places_of(pipeline.root))
    with in_environment(pipeline):
        assert erase(pipeline).is_complete
        assert places_of(pipeline.root) == []
        finish_archive()
    assert places_of(pipeline.root) == []
    copies = archived_files(pipeline.lake, unfinished)
    assert [damage(pipeline.lake, copy) for copy in copies] == ["", ""]


def test_one_of_an_earlier_day_which_nothing_will_finish_keeps_nothing_of_the_person(
    pipeline: Pipeline, unfinished: str
) -> None:
    _, day, name, _ = unfinished.split("/")
    shutil.copytree(pipeline.root / unfinished, pipeline.root / "archive" / "2020-02-29" / name)
    with in_environment(pipeline):
        finish_archive()
        assert erase(pipeline).is_complete
    assert places_of(pipeline.root) == []
    archived = [entry.key.removesuffix(f"{name}/{MANIFEST}") for entry in pipeline.lake.list("archive/")]
    assert f"archive/{day}/" in archived
    assert not [key for key in archived if key.startswith("archive/2020")]


def test_one_that_has_the_only_copies_keeps_them_without_the_person(pipeline: Pipeline, unfinished: str) -> None:
    upload = pipeline.upload_of("term.csv")
    for key in ("raw/term.csv", layout.pinned_key(upload), layout.transformed_key(upload)):
        pipeline.lake.delete(key)
    contract = default_contract()
    eraser = Eraser(pipeline.lake, pipeline.register, contract, KEY)
    request, persons = Request(ID, APPROVER, "asked for it"), person(ID, contract.rules.phone_number)
    assert eraser.rewrite(request, persons).is_complete
    assert not [place for place in places_of(pipeline.root) if place.startswith("archive")]
    others = pipeline.lake.read_bytes(f"{unfinished}original/term.csv")
    assert others.startswith(csv_bytes(answers(1, 3)))
    assert pq.read_metadata(pipeline.root / unfinished / "transformed.parquet").num_rows == 3


def test_one_whose_file_cannot_be_read_any_more_loses_it(
    pipeline: Pipeline, changed_rules: Callable[..., Path]
) -> None:
    upload = approved_wide_upload(pipeline)
    folder = archive_folder(pipeline.facts.transformed[upload])
    pipeline.lake.delete(f"{folder}{MANIFEST}")
    pipeline.use_rules(changed_rules(limits={"columns": 10}))
    with in_environment(pipeline):
        assert erase(pipeline, delete_unreadable=True).unread == [upload]
    assert places_of(pipeline.root) == []
    assert list(pipeline.lake.list(folder)) == []
