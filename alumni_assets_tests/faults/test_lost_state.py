"""What is kept beside the lake is lost or damaged: it comes back from the lake, and nobody has to mend it.

That everything may be deleted, and comes back by `alumni run`, is tested in `pipeline/test_nothing_is_lost.py`.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from alumni_assets import failures, jobs
from alumni_assets_tests.damage import cut_in_half, overwrite_with_noise, spoil_the_middle
from alumni_assets_tests.endings import Ending

from ..pipeline.answers import answers, csv_bytes
from ..pipeline.conftest import Pipeline
from ..pipeline.test_sensors import tick
from . import life

pytestmark = pytest.mark.slow


def make_old(path: Path) -> None:
    """As a file from before `uploads` had its last column."""
    import duckdb

    with duckdb.connect(path) as connection:
        connection.execute("ALTER TABLE uploads DROP COLUMN waived_rows")


HARMS = (Path.unlink, cut_in_half, overwrite_with_noise, spoil_the_middle, make_old)


def warehouse_of(pipeline: Pipeline) -> Path:
    return pipeline.home / "warehouse.duckdb"


@pytest.mark.long
def test_a_life_in_which_state_is_lost_after_each_step_ends_as_undisturbed(tmp_path: Path, undisturbed: Ending) -> None:
    """Dagster's event store after the intake; the warehouse and the copy of the register after the first approval."""
    forgotten = Pipeline(tmp_path)
    with forgotten.instance:
        life.put_files(forgotten)
        assert life.take_in(forgotten).success
    pipeline = Pipeline(tmp_path, instance=dg.DagsterInstance.ephemeral())
    with pipeline.instance:
        (request,) = tick(pipeline, "lost_uploads").run_requests
        assert pipeline.enter_again(*request.run_config["ops"]["take_in"]["config"]["uploads"]).success
        assert life.approve(pipeline).success
        cut_in_half(warehouse_of(pipeline))
        overwrite_with_noise(pipeline.home / "register.sqlite")
        life.correct(pipeline)
        assert life.take_in(pipeline).success
        life.give_up_a_row(pipeline)
        assert life.approve(pipeline).success
        life.assert_ended_as(pipeline, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("harm", HARMS)
def test_a_warehouse_that_is_lost_or_damaged_is_made_again_by_the_next_renewal(
    pipeline: Pipeline, harm: Callable[[Path], None], undisturbed: Ending
) -> None:
    life.live(pipeline)
    harm(warehouse_of(pipeline))
    if not pipeline.renew().success:  # the damage was where only a later table is
        assert pipeline.renew().success
    life.assert_ended_as(pipeline, undisturbed)


def test_until_the_warehouse_is_made_again_readers_keep_what_was_published(pipeline: Pipeline) -> None:
    """A new upload has the tables published, and by itself would not have them made again."""
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(answers(1, 3)))
    pipeline.approve_only(upload)
    assert pipeline.renew().success
    published = pipeline.tables()
    kept = warehouse_of(pipeline).rename(pipeline.home / "kept.duckdb")
    for asset in ("published_survey", "job_roles"):
        sentence = failures.failure_sentence(life.step_failure(pipeline.materialize(asset)))
        assert "The warehouse was begun anew" in sentence
        assert "alumni run" in sentence
    assert pipeline.tables() == published
    warehouse_of(pipeline).unlink()

    (request,) = tick(pipeline, "lost_uploads").run_requests
    assert request.job_name == jobs.RENEW.name
    job = pipeline.defs.resolve_job_def(jobs.RENEW.name)
    at_work = pipeline.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert not tick(pipeline, "lost_uploads").run_requests
    pipeline.instance.report_run_failed(at_work)
    overwrite_with_noise(kept.rename(warehouse_of(pipeline)))
    assert pipeline.renew().success
    assert pipeline.tables() == published
    assert not tick(pipeline, "lost_uploads").run_requests


def test_before_the_first_uploads_are_merged_readers_are_told_that_there_are_none(pipeline: Pipeline) -> None:
    """Another upload's intake may have the tables published between an approval and its merge."""
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(answers(1, 3)))
    pipeline.approve_only(upload)
    assert pipeline.materialize("published_survey").success
    tables = pipeline.tables()
    assert (len(tables["alumni"]), len(tables["uploads"])) == (0, 1)
    assert pipeline.renew().success
    assert len(pipeline.tables()["alumni"]) == 3


def test_a_damaged_copy_of_the_register_is_begun_anew(pipeline: Pipeline) -> None:
    pipeline.put_and_take_in("term.csv", csv_bytes(answers(1, 3)))
    statuses, copy = pipeline.statuses(), pipeline.home / "register.sqlite"
    for harm in (cut_in_half, overwrite_with_noise, spoil_the_middle):
        harm(copy)
        assert pipeline.statuses() == statuses
        assert pipeline.register.remembered() == {}


def test_the_home_may_be_lost_as_a_whole(pipeline: Pipeline) -> None:
    pipeline.put_and_take_in("term.csv", csv_bytes(answers(1, 3)))
    statuses = pipeline.statuses()
    shutil.rmtree(pipeline.home)
    assert pipeline.statuses() == statuses
