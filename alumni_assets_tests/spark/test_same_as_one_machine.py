"""Uploads are judged and transformed on Spark as on one machine: the stored files are the same to the last byte."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alumni_assets import layout
from alumni_assets.contract import Contract, default_contract
from alumni_assets.spark.engine import RunJob
from alumni_assets.stages.approval import RowsChangedError
from alumni_assets.stages.engine import EngineError, ToTransform
from alumni_assets.stages.validation import Validated
from alumni_assets.survey.sampling import write_sample
from alumni_assets.survey.standing import Seen
from alumni_assets.survey_rules import load_rules

from ..pipeline.answers import answers, csv_bytes
from ..pipeline.conftest import REAL_FILE
from ..pipeline.hostile_uploads import HOSTILE_UPLOADS, LIMITS, content_of
from .conftest import BothEngines

pytestmark = pytest.mark.slow


def judged_alike(both: BothEngines, uploads: list[Seen]) -> dict[str, Validated]:
    """What both found out about the uploads that can be read; all has to be the same."""
    both.there.announce(uploads)
    found = {seen.upload: both.here.judged(seen) for seen in uploads}
    assert {seen.upload: both.there.judged(seen) for seen in uploads} == found
    assert both.there.files() == both.here.files()
    return {upload: result for upload, result in found.items() if isinstance(result, Validated)}


def transformed_alike(both: BothEngines, uploads: list[Seen], judged: dict[str, Validated]) -> None:
    wanted = [ToTransform(seen, None) for seen in uploads if seen.upload in judged]
    both.there.engine.transform_ahead(wanted)
    for upload in wanted:
        approved = judged[upload.seen.upload].content
        assert both.there.transformed(upload, approved) == both.here.transformed(upload, approved)
    assert both.there.files() == both.here.files()


@pytest.mark.skipif(not REAL_FILE.exists(), reason="the real survey file is not beside this repository")
def test_the_real_survey(both: BothEngines) -> None:
    seen = both.pin("dmc.csv", REAL_FILE)
    judged = judged_alike(both, [seen])
    assert judged[seen.upload].rows == 1000
    transformed_alike(both, [seen], judged)


@pytest.mark.long
def test_every_upload_of_the_hostile_corpus(
    tmp_path: Path, run_job: RunJob, changed_rules: Callable[..., Path]
) -> None:
    both = BothEngines(tmp_path, run_job, Contract(load_rules(changed_rules(limits=LIMITS))))
    uploads = [both.pin(upload.name, content_of(position)) for position, upload in enumerate(HOSTILE_UPLOADS)]
    judged = judged_alike(both, uploads)
    assert len(judged) == sum(upload.status == "validated" for upload in HOSTILE_UPLOADS)
    transformed_alike(both, uploads, judged)


@pytest.mark.parametrize("rows", [50_000, pytest.param(2_000_000, marks=pytest.mark.long)])
def test_many_rows_with_bad_ones_and_exact_duplicates(both: BothEngines, tmp_path: Path, rows: int) -> None:
    sample = tmp_path / "sample.csv"
    write_sample(sample, rows, 0.05, 11, default_contract())
    seen = both.pin("many.csv", sample)
    judged = judged_alike(both, [seen])
    assert judged[seen.upload].rows == rows
    assert judged[seen.upload].invalid > rows // 40
    transformed_alike(both, [seen], judged)


def test_rows_that_are_equal_are_dropped_wherever_they_lie(both: BothEngines) -> None:
    rows = [*answers(1, 100_000), *answers(1, 5), *answers(80_000, 5)]
    seen = both.pin("twice.csv", csv_bytes(rows))
    judged = judged_alike(both, [seen])
    upload = ToTransform(seen, None)
    transformed = both.there.transformed(upload, judged[seen.upload].content)
    assert (transformed.rows, transformed.exact_duplicates) == (100_000, 10)
    assert transformed == both.here.transformed(upload, judged[seen.upload].content)


def test_what_breaks_with_one_upload_holds_up_none_of_the_others(
    tmp_path: Path, run_job: RunJob, changed_rules: Callable[..., Path]
) -> None:
    both = BothEngines(tmp_path, run_job, default_contract())
    good, gone, unknown = (
        both.pin(f"{name}.csv", csv_bytes(answers(first, 3, Department=department)))
        for first, name, department in ((1, "good", "HR"), (11, "gone", "HR"), (21, "unknown", "Tech"))
    )
    judged = judged_alike(both, [good, gone, unknown])
    both.there.lake.delete(layout.valid_key(gone.upload))
    rules = changed_rules(vocabularies={"department": ["HR"]})
    engine = both.there.on_spark(Contract(load_rules(rules)), run_job)
    engine.transform_ahead([ToTransform(seen, None) for seen in (good, gone, unknown)])
    made = {}
    for seen in (good, gone, unknown):
        try:
            made[seen] = engine.transform(ToTransform(seen, None), judged[seen.upload].content, lambda *_: None).rows
        except (EngineError, RowsChangedError) as error:
            made[seen] = f"{type(error).__name__}: {error}"
    assert made[good] == 3
    assert str(made[gone]).startswith("EngineError: There is no object")
    assert str(made[unknown]).startswith(f"RowsChangedError: The rules have changed since {unknown.upload} was judged")


def test_rows_that_are_not_the_approved_ones_are_not_taken_over(both: BothEngines) -> None:
    seen = both.pin("term.csv", csv_bytes(answers(1, 3)))
    judged_alike(both, [seen])
    with pytest.raises(RowsChangedError, match="are not the ones that were approved"):
        both.there.transformed(ToTransform(seen, None), "another hash")
    assert not [key for key in both.there.files() if key.startswith("transformed/")]
