"""The views in Athena say what the warehouse says, after approvals, corrections and withdrawals, and what breaks."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.athena.catalog import CORRECTIONS, VIEWS
from alumni_assets.athena.views import _arrivals_to_the_millisecond
from alumni_assets.resources.athena import AthenaError, AthenaResource

from ..pipeline.answers import answer, answers
from .athena_server import PAGE, AthenaServer
from .conftest import DATABASE, WORKGROUP, PipelineWithViews

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def two_terms(with_views: PipelineWithViews) -> tuple[PipelineWithViews, list[str]]:
    """Two uploads, a correction of a row of the first, and a row of it that nobody has corrected; all approved."""
    first = with_views.take_in(
        "first.csv",
        [*answers(1, 40), answer(90, Department="Hrr"), answer(91, Department="Hrr")],
    )
    second = with_views.take_in("second.csv", [*answers(20, 30, Department="Tech"), answer(20)])
    back = with_views.take_in_file("back.csv", f"_upload,_row,Department\n{first},41,HR\n".encode())
    uploads = [first, second, back]
    with_views.approve(*uploads)
    return with_views, uploads


def test_after_an_approval_the_views_say_what_the_warehouse_says(
    two_terms: tuple[PipelineWithViews, list[str]],
) -> None:
    pipeline, (first, second, back) = two_terms
    assert pipeline.check() == (True, "Every view says what the warehouse's table of that name says.")
    alumni = "SELECT employee_id, department, upload, source_row, corrected_by FROM alumni ORDER BY employee_id"
    assert pipeline.in_athena(alumni) == pipeline.in_the_warehouse(alumni)
    assert pipeline.in_athena("SELECT count(*) FROM alumni") == [(50,)]
    assert pipeline.in_athena("SELECT department, upload, corrected_by FROM alumni WHERE employee_id = 90") == [
        ("HR", first, back)
    ]
    moves = "SELECT kind, moved_from, moved_to, moves, alumni FROM job_moves"
    assert pipeline.in_athena(moves) == pipeline.in_the_warehouse(moves)
    assert {row[0] for row in pipeline.in_athena("SELECT upload FROM counting_uploads")} == {first, second, back}


def test_rows_that_are_not_the_ones_that_were_merged_are_noticed(
    two_terms: tuple[PipelineWithViews, list[str]],
) -> None:
    pipeline, _ = two_terms
    (key, *_) = sorted(entry.key for entry in pipeline.place.lake.list("transformed/"))
    stored = pipeline.place.lake.read_bytes(key)
    pipeline.place.lake.delete(key)
    assert pipeline.pipeline.materialize("athena_views").success
    pipeline.place.lake.put_bytes(key, stored)
    passed, description = pipeline.check()
    assert not passed
    assert description.startswith("These views have other rows than the warehouse: survey_responses")


def test_a_view_that_somebody_dropped_is_made_again(
    two_terms: tuple[PipelineWithViews, list[str]], athena_server: AthenaServer
) -> None:
    pipeline, _ = two_terms
    for view in reversed(VIEWS):
        athena_server.drop_view(view)
    assert pipeline.pipeline.materialize("athena_views").success
    assert pipeline.in_athena("SELECT count(*) FROM alumni") == [(50,)]


def test_a_table_that_somebody_changed_is_as_it_should_be_again(
    two_terms: tuple[PipelineWithViews, list[str]], glue: "GlueClient"
) -> None:
    pipeline, _ = two_terms
    table = glue.get_table(DatabaseName=DATABASE, Name="transformed_survey")["Table"]
    assert table["StorageDescriptor"]["Columns"][0]["Comment"] == "The alumnus' employee id: one alumnus, one id."
    assert table["StorageDescriptor"]["Location"] == f"{pipeline.place.lake.url('transformed/')}"
    stored = table["StorageDescriptor"]
    glue.update_table(
        DatabaseName=DATABASE,
        TableInput={"Name": table["Name"], "StorageDescriptor": {**stored, "Columns": stored["Columns"][:3]}},
    )
    assert pipeline.pipeline.materialize("athena_views").success
    again = glue.get_table(DatabaseName=DATABASE, Name="transformed_survey")["Table"]
    assert again["StorageDescriptor"]["Columns"] == stored["Columns"]


def test_results_come_whole_and_typed(athena: AthenaResource) -> None:
    rows = " UNION ALL ".join(f"SELECT {number} AS number" for number in range(PAGE * 3))
    assert [row[0] for row in athena.run(f"SELECT number FROM ({rows}) AS numbers ORDER BY number").rows] == list(
        range(PAGE * 3)
    )
    typed = athena.run(
        "SELECT CAST(1 AS tinyint) AS a, CAST(0.1 AS double) AS b, 'two\nlines, \"quoted\"' AS c, "
        "CAST('2026-11-01 08:30:00' AS timestamp) AS d, CAST(NULL AS varchar) AS e, 1 = 1 AS f, '' AS g"
    )
    assert typed.columns == ("a", "b", "c", "d", "e", "f", "g")
    assert typed.rows == [(1, 0.1, 'two\nlines, "quoted"', datetime(2026, 11, 1, 8, 30), None, True, "")]


def test_an_error_shows_the_query_and_what_athena_says_of_it(
    athena: AthenaResource, athena_server: AthenaServer
) -> None:
    with pytest.raises(AthenaError) as caught:
        athena.run("SELECT nonsense\nFROM alumni")
    assert str(caught.value).startswith(
        f"Athena (workgroup {WORKGROUP}, database {DATABASE}) has not run this query: SYNTAX_ERROR: "
    )
    assert str(caught.value).endswith("\nSELECT nonsense\nFROM alumni")
    *_, execution = athena_server.executions.values()
    assert (execution.workgroup, execution.database) == (WORKGROUP, DATABASE)


def test_an_athena_that_cannot_be_reached_is_told_as_such(
    athena: AthenaResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_ATHENA", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    unreachable = AthenaResource(workgroup=athena.workgroup, database=athena.database)
    with pytest.raises(AthenaError, match="has not run this query: Could not connect to the endpoint URL"):
        unreachable.run("SELECT 1")


@given(
    st.lists(
        st.integers(0, 3_000).map(lambda us: datetime(2026, 11, 1, 8, 30) + timedelta(microseconds=us)), min_size=1
    )
)
def test_however_athena_rounds_a_time_it_finds_one_arrival_and_only_one(received_at: list[datetime]) -> None:
    there = _arrivals_to_the_millisecond(received_at, "Asia/Manila").to_pylist()
    for moment in received_at:
        down = moment - timedelta(microseconds=moment.microsecond % 1000)
        for rounded in {down, down + timedelta(milliseconds=1)} if moment != down else {down}:
            (arrival,) = [row for row in there if row["received_at"] == rounded]
            assert arrival["received_on"] == rounded + timedelta(hours=8)


def test_a_database_that_is_missing_is_told_as_such(athena: AthenaResource) -> None:
    elsewhere = AthenaResource(workgroup=athena.workgroup, database="elsewhere")
    with pytest.raises(AthenaError, match="corrections cannot be entered into the catalog's database elsewhere: "):
        elsewhere.enter_table(CORRECTIONS.as_table_input("s3://lake/catalog/corrections/"))


def test_rows_of_a_withdrawn_upload_and_of_its_correction_are_in_no_view(
    two_terms: tuple[PipelineWithViews, list[str]],
) -> None:
    pipeline, (first, second, _) = two_terms
    pipeline.pipeline.withdraw(first)
    assert pipeline.pipeline.renew().success
    assert pipeline.check()[0]
    assert pipeline.in_athena("SELECT DISTINCT upload FROM survey_responses") == [(second,)]
