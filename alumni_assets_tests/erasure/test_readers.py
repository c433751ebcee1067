"""Who reads what is published while a person is erased sees the tables from before or from after, and all of them."""

import pytest

from ..pipeline.conftest import Pipeline
from ..torture.commands import PROCESSES
from ..torture.reader import reading
from .conftest import erase, in_environment

pytestmark = pytest.mark.slow


@pytest.fixture
def published(pipeline_before: Pipeline) -> Pipeline:
    """Tables with the person in them, from a warehouse that a pipeline of its own has."""
    assert pipeline_before.renew().success
    return pipeline_before


def test_readers_find_every_table_whole_while_a_person_is_erased(published: Pipeline) -> None:
    with reading(PROCESSES, published.root / "published") as looks, in_environment(published):
        erase(published)
    ((looked, compared),) = looks
    assert looked >= compared > 0


def test_a_table_that_an_earlier_version_published_goes(published: Pipeline) -> None:
    key = "published/old_table.parquet"
    published.lake.put_bytes(key, published.lake.read_bytes("published/alumni.parquet"))
    with in_environment(published):
        erase(published)
    assert published.lake.stat(key) is None
