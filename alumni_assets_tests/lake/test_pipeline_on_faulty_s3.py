"""The whole pipeline while calls to S3 fail: it ends as it does in a folder, where none fails."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from alumni_assets import layout
from alumni_assets.resources import s3_calls
from alumni_assets_tests.endings import Ending, differences, ending_of
from alumni_assets_tests.lake.conftest import BucketPlace, set_aws
from alumni_assets_tests.lake.faulty_s3 import Fate, Fault, FaultyS3, faulty_s3, leave_out_pauses, never, seeded
from alumni_assets_tests.pipeline.answers import answer, answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import REAL_FILE, Pipeline, own_environment

pytestmark = [pytest.mark.server, pytest.mark.slow]
__all__ = ["own_environment"]


class BucketPipeline(Pipeline):
    """A pipeline whose lake is in a bucket; what people put there and look up does not fail."""

    def __init__(self, folder: Path, place: BucketPlace) -> None:
        super().__init__(folder)
        self.place = place
        self.lake = place.lake
        self.environment["ALUMNI_LAKE"] = place.location

    def put(self, key: str, content: bytes) -> None:
        self.place.plant(f"raw/{key}", content)

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        database = self.root / "published" / "alumni.duckdb"
        database.parent.mkdir()
        database.write_bytes(self.lake.read_bytes("published/alumni.duckdb"))
        return super().tables()


class InterruptedPipeline(BucketPipeline):
    """One whose every run is begun while most calls to S3 fail, and once more when all is well; `failed` counts."""

    def __init__(self, folder: Path, place: BucketPlace, proxy: FaultyS3, fate: Fate) -> None:
        super().__init__(folder, place)
        self.proxy, self.fate, self.failed = proxy, fate, 0

    def _execute(self, *arguments: Any, **more: Any) -> dg.ExecuteInProcessResult:
        self.proxy.fate = self.fate
        self.failed += not super()._execute(*arguments, **more).success
        self.proxy.fate = never
        return super()._execute(*arguments, **more)


def ending(pipeline: Pipeline) -> Ending:
    """How it ended. What is archived can be cold, and is verified by Dagster's check of it."""
    return ending_of(pipeline, unread=(layout.ARCHIVE,))


def survey() -> bytes:
    """The real survey, or as large a one where it is not beside the repository."""
    return REAL_FILE.read_bytes() if REAL_FILE.exists() else csv_bytes(answers(1, 1000))


def tell_the_story(pipeline: Pipeline) -> Ending:
    """A survey, a second one with wrong rows, the correction of one of these; approved, published and archived."""
    wrong = [answer(900_001, Department="HRR"), answer(900_002, Performance_Rating="9")]
    pipeline.put("survey.csv", survey())
    pipeline.put("term.csv", csv_bytes([*answers(900_003, 60), *wrong]))
    assert pipeline.take_in("survey.csv", "term.csv").success
    survey_upload, term = pipeline.upload_of("survey.csv"), pipeline.upload_of("term.csv")
    correction = pipeline.put_and_take_in("back.csv", f"_upload,_row,Department\n{term},61,HR\n".encode())
    assert pipeline.approve(survey_upload, term, correction).success
    return ending(pipeline)


@pytest.fixture(scope="module")
def ends_well(tmp_path_factory: pytest.TempPathFactory) -> Ending:
    """How it ends in a folder."""
    pipeline = Pipeline(tmp_path_factory.mktemp("folder"))
    with pipeline.instance:
        well = tell_the_story(pipeline)
    assert len(well.tables["alumni"]) == 1061
    assert [row[1:3] for row in well.tables["quarantine"]] == [(61, "resolved"), (62, "open")]
    assert [passed for passed, *_ in well.checks["archived_survey:copies_verified"].values()] == [True, True, True]
    return well


@pytest.fixture
def proxy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FaultyS3, BucketPlace]]:
    """The proxy before a bucket, which the pipeline takes for S3."""
    place: BucketPlace = request.getfixturevalue(request.param)
    leave_out_pauses(monkeypatch)
    with faulty_s3(place.client.meta.endpoint_url, never) as proxy:
        set_aws(monkeypatch, proxy.endpoint)
        yield proxy, place


@pytest.mark.parametrize(
    ("proxy", "seed"),
    [
        ("bucket_place", 1),
        *(pytest.param("seaweedfs_place", seed, marks=pytest.mark.long) for seed in (2, 3)),
    ],
    indirect=["proxy"],
)
def test_it_ends_well_though_a_fifth_of_all_calls_fails(
    proxy: tuple[FaultyS3, BucketPlace], seed: int, ends_well: Ending, tmp_path: Path
) -> None:
    s3, place = proxy
    s3.fate = seeded(seed)
    pipeline = BucketPipeline(tmp_path, place)
    with pipeline.instance:
        assert differences(tell_the_story(pipeline), ends_well) == []
    assert set(s3.faults) == set(Fault)
    assert 0.15 < s3.faults.total() / s3.calls.total() < 0.25


@pytest.mark.parametrize("proxy", ["seaweedfs_place"], indirect=True)
def test_runs_that_s3_broke_off_are_made_good_by_the_next(
    proxy: tuple[FaultyS3, BucketPlace], ends_well: Ending, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3, place = proxy
    monkeypatch.setattr(s3_calls, "PAUSES", ())
    pipeline = InterruptedPipeline(tmp_path, place, s3, seeded(4, 0.6))
    with pipeline.instance:
        assert differences(tell_the_story(pipeline), ends_well) == []
    assert pipeline.failed == 3
