"""The pipeline as people have it before them: `dagster dev`, a folder to put files into, and a browser."""

import time

import pytest

from alumni_assets.queries import ANSWERS
from alumni_assets_tests.ui.dagster_dev import DagsterDev, until
from alumni_assets_tests.ui.reviewer import Reviewer

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def uploads(dagster: DagsterDev) -> dict[str, str]:
    """Files put into raw/ while Dagster runs, by name: two good ones, one with some bad rows, one with too many."""
    put = {
        "a.csv": dagster.put("a.csv", rows=40, seed=1),
        "b.csv": dagster.put("b.csv", rows=30, seed=2),
        "some.csv": dagster.put("some.csv", rows=100, dirty=0.1, seed=3),
        "most.csv": dagster.put("most.csv", rows=60, dirty=0.6, seed=4),
    }
    until(lambda: all(dagster.is_validated(upload) for upload in put.values()), "all of them are validated")
    return put


def test_files_put_into_raw_are_validated_without_a_click(dagster: DagsterDev, uploads: dict[str, str]) -> None:
    for upload in uploads.values():
        assert dagster.is_validated(upload)
        assert not dagster.materializations("transformed_survey", upload)


@pytest.mark.browser
def test_uploads_approved_by_clicks_count_in_everything_below_without_another_click(
    dagster: DagsterDev, reviewer: Reviewer, uploads: dict[str, str]
) -> None:
    chosen, clicked = [uploads["a.csv"], uploads["b.csv"]], time.time()

    reviewer.approve(chosen, approved_by="Liza Tan", note="looked at every row")

    until(lambda: [len(dagster.alumni_of(upload)) for upload in chosen] == [40, 30], "their alumni are published")
    below = ("deduplicated_survey", *ANSWERS, "published_survey")
    until(lambda: all(dagster.is_current(asset) for asset in below), "everything below is current")
    assert all(dagster.made_at(asset) > clicked for asset in below)
    assert sum(dagster.published("degree_performance")["alumni"].to_pylist()) == 70
    for upload in chosen:
        recorded = dagster.newest_texts("transformed_survey", upload)
        assert (recorded["approved_by"], recorded["note"]) == ("Liza Tan", "looked at every row")


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
def test_the_page_of_a_refused_approval_says_why(
    dagster: DagsterDev, reviewer: Reviewer, uploads: dict[str, str]
) -> None:
    refused = uploads["most.csv"]

    reviewer.approve([refused])

    (run,) = until(lambda: dagster.runs_of(refused, "FAILURE"), "the approval is refused")
    reviewer.read_run(run["runId"])
    reviewer.reads(f"{refused} may not be approved")
    assert not dagster.alumni_of(refused)


def test_the_alumni_command_and_the_pages_show_the_same(dagster: DagsterDev, uploads: dict[str, str]) -> None:
    status = dagster.alumni_command("status")
    assert {row["upload"] for row in status["uploads"]} == set(dagster.partitions("raw_survey"))

    dagster.alumni_command("run")
    assert [run["status"] for run in dagster.runs(pipelineName="renew_tables")] == ["SUCCESS"]


def test_after_a_stop_it_goes_on_where_it_was(dagster: DagsterDev, uploads: dict[str, str]) -> None:
    known = dagster.partitions("raw_survey")
    assert set(known) >= set(uploads.values())

    dagster.stop()
    meanwhile = dagster.put("meanwhile.csv", rows=20, seed=6)
    dagster.start()

    until(lambda: dagster.is_validated(meanwhile), "what was put there meanwhile is validated")
    assert dagster.partitions("raw_survey") == [*known, meanwhile]
    taken_in = {upload: len(dagster.materializations("raw_survey", upload)) for upload in [*known, meanwhile]}
    assert set(taken_in.values()) == {1}
