"""Files that are equal, or become so once a person is erased from them."""

from collections.abc import Iterator

import pytest

from ..corrections.returns import quarantine
from ..pipeline.answers import answer, answers, csv_bytes
from ..pipeline.conftest import Pipeline, pipeline
from .conftest import KEY, erase, in_environment, of_person, places_of

__all__ = ["pipeline"]
pytestmark = pytest.mark.slow


@pytest.fixture
def keyed(pipeline: Pipeline) -> Iterator[Pipeline]:
    """A pipeline that can erase."""
    pipeline.environment["ALUMNI_ERASURE_KEY"] = KEY
    with in_environment(pipeline):
        yield pipeline


@pytest.mark.parametrize("ratings", [("3", "4"), ("4", "3")], ids=["one way", "the other way"])
def test_uploads_of_one_name_that_differ_in_the_person_alone_stand_as_before(
    keyed: Pipeline, ratings: tuple[str, str]
) -> None:
    earlier, later = (
        csv_bytes([of_person(Performance_Rating=rating), *answers(1, 6), answer(9, Email="nobody")])
        for rating in ratings
    )
    for content in (earlier, later):
        assert keyed.approve(keyed.put_and_take_in("term.csv", content)).success
    before = (keyed.statuses(), quarantine(keyed))
    assert sorted(before[0].values()) == ["superseded", "transformed"]
    erase(keyed)
    assert (keyed.statuses(), quarantine(keyed)) == before
    keyed.put_and_take_in("term.csv", earlier)
    assert (keyed.statuses(), keyed.find_new()) == (before[0], ())


def test_nothing_of_the_person_is_left_in_a_copy_that_cannot_be_read_under_its_name(keyed: Pipeline) -> None:
    content = csv_bytes([of_person(), *answers(1, 6)])
    assert keyed.approve(keyed.put_and_take_in("term.csv", content)).success
    copy = keyed.put_and_take_in("term.csv.old", content)
    assert keyed.statuses()[copy] == "duplicate"
    erase(keyed)
    assert (places_of(keyed.root), keyed.find_new()) == ([], ())
