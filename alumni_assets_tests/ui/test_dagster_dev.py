"""The pipeline as people have it before them: `dagster dev`, a folder to put files into, and a browser."""

import time

import pyarrow.parquet as pq
import pytest

from alumni_assets import layout
from alumni_assets.queries import ANSWERS
from alumni_assets_tests.ui.dagster_dev import DagsterDev, until
from alumni_assets_tests.ui.reviewer import Reviewer
from alumni_assets_tests.ui.spreadsheet import guessed

pytestmark = [pytest.mark.server, pytest.mark.slow]

_GOOD = tuple(f"{letter}.csv" for letter in "abcd")
_AT_ONCE = 60
"""Seconds: the sensors look every two here; the rest is for a machine that is busy with other tests."""


@pytest.fixture(scope="module")
def uploads(dagster: DagsterDev) -> dict[str, str]:
    """Files put into raw/ while Dagster runs, by name: four good ones, one with some bad rows, one with too many."""
    put = {name: dagster.put(name, rows=20, seed=seed) for seed, name in enumerate(_GOOD)}
    put["some.csv"] = dagster.put("some.csv", rows=100, dirty=0.1, seed=10)
    put["most.csv"] = dagster.put("most.csv", rows=60, dirty=0.6, seed=11)
    until(lambda: all(dagster.is_validated(upload) for upload in put.values()), "all of them are validated")
    return put


def test_files_put_into_raw_are_validated_without_a_click(dagster: DagsterDev, uploads: dict[str, str]) -> None:
    for upload in uploads.values():
        assert dagster.is_validated(upload)
        assert not dagster.materializations("transformed_survey", upload)


@pytest.mark.browser
def test_what_waits_is_listed_without_choosing_an_upload(reviewer: Reviewer, uploads: dict[str, str]) -> None:
    reviewer.read_what_waits()

    reviewer.reads("6 uploads with")
    for upload in uploads.values():
        reviewer.reads(upload)
    reviewer.reads("no: failed no_open_rows")


@pytest.mark.browser
def test_what_is_wrong_stands_in_the_check_of_the_upload_row_by_row(
    reviewer: Reviewer, uploads: dict[str, str]
) -> None:
    reviewer.read_check("invalid_survey", uploads["some.csv"])

    reviewer.reads("of 100 rows")
    reviewer.reads("The valid rows may be approved without them")
    reviewer.reads("row in your file")
    reviewer.reads("did you mean")


@pytest.mark.browser
def test_uploads_approved_in_one_action_count_in_everything_below_and_one_that_is_refused_says_why(
    dagster: DagsterDev, reviewer: Reviewer, uploads: dict[str, str]
) -> None:
    refused, clicked = uploads["most.csv"], time.time()
    approved = [upload for upload in uploads.values() if upload != refused]

    reviewer.approve(list(uploads.values()), approved_by="Liza Tan", note="looked at every row")

    (run,) = until(lambda: dagster.runs_of(refused, "FAILURE"), "the approval is refused")
    reviewer.read_run(run["runId"])
    reviewer.reads(f"{refused} may not be approved: failed no_open_rows")
    until(lambda: all(dagster.alumni_of(upload) for upload in approved), "the others are published")
    below = ("deduplicated_survey", *ANSWERS, "published_survey")
    until(lambda: all(dagster.is_current(asset) for asset in below), "everything below is current")
    assert all(dagster.made_at(asset) > clicked for asset in below)
    assert [len(dagster.alumni_of(uploads[name])) for name in _GOOD] == [20] * len(_GOOD)
    assert not dagster.alumni_of(refused)
    assert sum(dagster.published("degree_performance")["alumni"].to_pylist()) == dagster.published("alumni").num_rows
    until(lambda: dagster.is_fresh("alumni_dashboard"), "the page counts as fresh")
    for upload in approved:
        recorded = dagster.newest_texts("transformed_survey", upload)
        assert (recorded["approved_by"], recorded["note"]) == ("Liza Tan", "looked at every row")


def test_a_correction_is_taken_in_by_one_run_at_once_and_the_check_of_what_it_corrects_says_so(
    dagster: DagsterDev, uploads: dict[str, str]
) -> None:
    original, runs_before = uploads["some.csv"], len(dagster.runs(pipelineName="take_in_uploads"))
    rows = dagster.correction_file(original)
    mended = [row for row in map(guessed, rows.values()) if row != rows[row["_row"]]]
    given_back = time.time()

    correction = dagster.give_back("mended.xlsx", mended)

    until(lambda: dagster.is_validated(correction), "the correction is validated")
    closed = f"Of {len(rows)} invalid rows {len(mended)} are corrected"
    until(lambda: closed in dagster.check("invalid_survey", "no_open_rows", original), "the check says so")
    stored = pq.read_table(dagster.lake / layout.valid_key(correction), columns=["source_row", "corrected_by"])
    assert sorted(stored["source_row"].to_pylist()) == sorted(int(row["_row"]) for row in mended)
    newest, *before = dagster.runs(pipelineName="take_in_uploads")
    assert len(before) == runs_before
    assert newest["creationTime"] - given_back < _AT_ONCE


def test_the_alumni_command_and_the_pages_show_the_same(dagster: DagsterDev, uploads: dict[str, str]) -> None:
    status = dagster.alumni_command("status")
    assert {row["upload"] for row in status["uploads"]} == set(dagster.partitions("raw_survey"))

    dagster.alumni_command("run")
    assert [run["status"] for run in dagster.runs(pipelineName="renew_tables")] == ["SUCCESS"]


def test_after_a_stop_it_goes_on_where_it_was(dagster: DagsterDev, uploads: dict[str, str]) -> None:
    known = dagster.partitions("raw_survey")
    assert set(known) >= set(uploads.values())

    dagster.stop()
    meanwhile = dagster.put("meanwhile.csv", rows=20, seed=12)
    dagster.start()

    until(lambda: dagster.is_validated(meanwhile), "what was put there meanwhile is validated")
    assert dagster.partitions("raw_survey") == [*known, meanwhile]
    taken_in = {upload: len(dagster.materializations("raw_survey", upload)) for upload in [*known, meanwhile]}
    assert set(taken_in.values()) == {1}
