"""No bytes break a run: every upload ends as judged, with all its rows accounted for, or as rejected with a reason.

`hostile_uploads.py` has what we know people to upload; here it is what nobody thought of.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .answers import answers, csv_bytes, gzipped, workbook_of
from .conftest import Pipeline

pytestmark = pytest.mark.slow

NAMES = ("answers.csv", "answers.tsv", "answers.txt", "answers.csv.gz", "answers.xlsx", "answers.doc")
_ROWS = answers(700_001, 4)
WHOLE_FILES = (
    csv_bytes(_ROWS),
    csv_bytes(_ROWS, newline="\r\n", delimiter=";"),
    csv_bytes(_ROWS, encoding="utf-16"),
    gzipped(csv_bytes(_ROWS)),
    workbook_of(_ROWS),
)
_PIECES = (
    b'"',
    b"\r",
    b"\n",
    b",",
    b";",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"\xed\xa0\x80",
)


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    """A whole file of some kind with a few places changed, cut or doubled."""
    content = bytearray(draw(st.sampled_from(WHOLE_FILES)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        match draw(st.sampled_from(("insert", "overwrite", "cut", "double", "shuffle"))):
            case "insert":
                content[place:place] = draw(st.sampled_from(_PIECES))
            case "overwrite":
                content[place : place + 3] = draw(st.binary(max_size=3))
            case "cut":
                del content[place:]
            case "double":
                content[place:place] = content[place : place + 60]
            case "shuffle":
                part = list(content[place : place + 20])
                random.Random(place).shuffle(part)
                content[place : place + 20] = bytes(part)
    return bytes(content)


any_content = st.one_of(st.binary(max_size=300), mutated_files(), mutated_files())


@pytest.fixture(scope="module")
def hungry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    pipeline = Pipeline(tmp_path_factory.mktemp("any"))
    with pipeline.instance:
        yield pipeline


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(contents=st.lists(st.tuples(st.sampled_from(NAMES), any_content), min_size=5, max_size=5))
def test_any_bytes_are_judged_or_rejected_with_a_reason(hungry: Pipeline, contents: list[tuple[str, bytes]]) -> None:
    keys = [f"{place}-{name}" for place, (name, _) in enumerate(contents)]
    for key, (_, content) in zip(keys, contents, strict=True):
        hungry.put(key, content)
    assert hungry.take_in(*keys).success
    for key in keys:
        ingested = hungry.ingested(hungry.upload_of(key))
        if ingested.outcome == "validated":
            assert ingested.rows
            assert ingested.rows == (ingested.valid or 0) + (ingested.invalid or 0)
            assert set(ingested.failed_checks) <= {"no_open_rows"}
            assert bool(ingested.invalid) == bool(ingested.reasons)
        else:
            assert ingested.outcome in {"rejected", "duplicate"}
            assert ingested.rows is None
            assert ingested.reason.endswith(".")


def test_what_was_judged_can_be_approved_and_published(hungry: Pipeline, tmp_path: Path) -> None:
    hungry.put("whole.csv", csv_bytes(answers(710_001)))
    assert hungry.take_in("whole.csv").success
    ready = [
        upload
        for upload, ingested in hungry.facts.ingested.items()
        if ingested.outcome == "validated" and not ingested.failed_checks
    ]
    assert hungry.approve(*ready).success
    counted = {upload for upload, standing in hungry.statuses().items() if standing == "transformed"}
    assert {upload for (upload,) in hungry.published("SELECT DISTINCT upload FROM survey_responses")} <= counted
    assert hungry.published("SELECT count(*) - count(DISTINCT employee_id) FROM alumni") == [(0,)]
