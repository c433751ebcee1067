"""A person in archives that are not as they should be: one that cannot be read any more, one that was not finished."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alumni_assets import layout
from alumni_assets.stages.archive import MANIFEST, archive_folder, archived_files

from ..pipeline.answers import HEADER, answers, csv_bytes
from ..pipeline.conftest import Pipeline, pipeline
from .conftest import KEY, erase, in_environment, of_person, places_of

__all__ = ["pipeline"]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("is_pinned", [True, False], ids=["pinned", "in the archive only"])
def test_what_cannot_be_read_any_more_is_named_and_deleted_from_the_archive_too(
    pipeline: Pipeline, changed_rules: Callable[..., Path], is_pinned: bool
) -> None:
    wide = (*HEADER, "x", "y", "z")
    content = csv_bytes([row | dict.fromkeys("xyz", "") for row in (*answers(1, 3), of_person())], header=wide)
    upload = pipeline.put_and_take_in("wide.csv", content)
    assert pipeline.approve(upload).success
    if not is_pinned:
        pipeline.lake.delete(layout.pinned_key(upload))
        pipeline.lake.delete("raw/wide.csv")
    pipeline.environment["ALUMNI_ERASURE_KEY"] = KEY
    pipeline.use_rules(changed_rules(limits={"columns": 10}))
    with in_environment(pipeline):
        assert erase(pipeline).unread == [upload]
        assert {place.partition("/")[0] for place in places_of(pipeline.root)} >= {"archive"}
        assert erase(pipeline, delete_unreadable=True).unread == [upload]
    assert places_of(pipeline.root) == []
    folder = archive_folder(pipeline.facts.transformed[upload])
    assert [copy.key for copy in archived_files(pipeline.lake, folder)] == [f"{folder}transformed.parquet"]
    assert len(pipeline.tables()["alumni"]) == 3


def test_an_archive_that_was_not_finished_is_finished_without_the_person(pipeline: Pipeline) -> None:
    upload = pipeline.put_and_take_in("term.csv", csv_bytes([*answers(1, 3), of_person()]))
    assert pipeline.approve(upload).success
    folder = archive_folder(pipeline.facts.transformed[upload])
    pipeline.lake.delete(f"{folder}{MANIFEST}")
    pipeline.environment["ALUMNI_ERASURE_KEY"] = KEY
    with in_environment(pipeline):
        assert erase(pipeline).is_complete
    assert places_of(pipeline.root) == []
    assert len(archived_files(pipeline.lake, folder)) == 2
