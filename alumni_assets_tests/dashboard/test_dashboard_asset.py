"""The asset alumni_dashboard: made with the tables, and what Dagster shows of it."""

import dagster as dg
import pytest

from alumni_assets.dashboard.keeping import PAGE_KEY
from alumni_assets_tests.pipeline.answers import answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import Pipeline

from .conftest import HOSTILE_NAME, made

pytestmark = pytest.mark.slow


def test_dagster_shows_the_headlines_as_text_links_the_page_and_names_nobody(pipeline: Pipeline) -> None:
    rows = answers(1, 3, Job_Role="[Baker](http://evil.example) <b>**")
    rows[0]["Employee_Name"] = HOSTILE_NAME
    made(pipeline, "a.csv", csv_bytes(rows))
    record = pipeline.instance.get_latest_materialization_event(dg.AssetKey("alumni_dashboard"))
    assert record is not None
    assert record.asset_materialization is not None
    metadata = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    assert metadata["page"] == "http://127.0.0.1:8300/"
    assert metadata["file"] == str(pipeline.root / PAGE_KEY)
    assert metadata["generation"] == 1
    preview = str(metadata["preview"])
    assert preview.count("\n- **") == 4
    assert not set("<>[]()").intersection(preview)
    assert "Which campus produces the most excellent employees" in preview
    events = pipeline.events()
    people = pipeline.published("SELECT employee_name, email FROM alumni")
    assert [value for person in people for value in person if value in events] == []


def test_an_upload_that_waits_is_told_of_without_a_change_in_the_answers(pipeline: Pipeline) -> None:
    made(pipeline, "a.csv", csv_bytes(answers(1, 3)))
    pipeline.put_and_take_in("c.csv", csv_bytes(answers(20, 2)))
    assert pipeline.renew().success
    assert "Files waiting for approval</dt><dd>1" in (pipeline.root / PAGE_KEY).read_text(encoding="utf-8")
