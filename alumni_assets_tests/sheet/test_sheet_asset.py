"""sheet_answers in Dagster: from a sheet on a real server to the alumni table."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from alumni_assets import jobs
from alumni_assets.definitions import build_defs
from alumni_assets.settings import SettingsError, load_settings
from alumni_assets.sheet import reading
from alumni_assets.sheet.links import SheetsApi
from alumni_assets_tests.pipeline.conftest import Pipeline, failure_of, only
from alumni_assets_tests.sheet.conftest import HEADER, QUICK, SHEET_ID, Google, Handler, answer

pytestmark = pytest.mark.server

ASSET = dg.AssetKey("sheet_answers")
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def pipeline(tmp_path: Path, google: Google, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """A pipeline whose sheet the server gives; it does not wait between attempts."""
    monkeypatch.setattr(reading, "Limits", lambda: replace(QUICK, attempts=2))
    fresh = Pipeline(tmp_path / "pipeline")
    fresh.environment["ALUMNI_SHEET_URL"] = f"{google.address}/spreadsheets/d/{SHEET_ID}/export?format=csv"
    with fresh.instance:
        yield fresh


def export(pipeline: Pipeline, **config: Any) -> dg.ExecuteInProcessResult:
    """What the schedule's run does, or a person with a configuration."""
    run_config = {**_QUIET, "ops": {"sheet_answers": {"config": config}}} if config else _QUIET
    job = pipeline.defs.resolve_job_def(jobs.EXPORT_SHEET.name)
    return job.execute_in_process(instance=pipeline.instance, run_config=run_config, raise_on_error=False)


def metadata(pipeline: Pipeline) -> dict[str, Any]:
    """What the newest materialization says."""
    event = pipeline.instance.get_latest_materialization_event(ASSET)
    assert event is not None
    materialization = event.asset_materialization
    assert materialization is not None
    return {name: entry.value for name, entry in materialization.metadata.items()}


def test_new_answers_become_an_upload_that_the_pipeline_takes_in(pipeline: Pipeline) -> None:
    assert export(pipeline).success
    found = metadata(pipeline)
    assert (found["answers"], found["new_answers"], found["read_by"]) == (3, 3, "CSV export link")
    assert found["path"] == str(pipeline.raw / "sheet" / "answers-000001.csv")
    assert found["seconds"] > 0
    assert pipeline.find_new() == ("sheet/answers-000001.csv",)
    assert pipeline.take_in("sheet/answers-000001.csv").success
    ingested = pipeline.ingested(pipeline.upload_of("sheet/answers-000001.csv"))
    assert (ingested.rows, ingested.valid, ingested.invalid) == (3, 3, 0)


def test_a_run_that_finds_nothing_new_says_so_and_writes_nothing(pipeline: Pipeline) -> None:
    export(pipeline)
    before = pipeline.files("")
    assert export(pipeline).success
    assert (metadata(pipeline)["answers"], metadata(pipeline)["new_answers"]) == (3, 0)
    assert "path" not in metadata(pipeline)
    assert pipeline.files("") == before


def test_an_edited_answer_supersedes_the_old_one_and_back_again(pipeline: Pipeline, google: Google) -> None:
    roles = []
    for number, role in enumerate(["Teacher", "Data Analyst", "Teacher"], start=1):
        google.sheet.rows[0] = answer(1, role)
        export(pipeline)
        key = f"sheet/answers-{number:06d}.csv"
        pipeline.take_in(key)
        assert pipeline.approve(pipeline.upload_of(key)).success
        roles += pipeline.published("SELECT job_role FROM alumni WHERE employee_id = 628001")
    assert roles == [("Teacher",), ("Data Analyst",), ("Teacher",)]
    assert pipeline.published("SELECT count(*) FROM alumni") == [(3,)]


def test_equal_answers_that_come_one_by_one_all_count(pipeline: Pipeline, google: Google) -> None:
    google.sheet.rows = []
    for number in (1, 2):
        google.sheet.rows.append(answer(1))
        export(pipeline)
        pipeline.take_in(f"sheet/answers-{number:06d}.csv")
    assert set(pipeline.statuses().values()) == {"validated"}


def test_a_failure_is_a_failed_run_and_a_failed_check_that_say_what_to_do(pipeline: Pipeline, google: Google) -> None:
    def sign_in(handler: Handler) -> None:
        handler.reply(b"", "text/html", 307, Location="https://accounts.google.com/ServiceLogin")

    export(pipeline)
    before = pipeline.files("")
    google.next_answers = [sign_in]
    message = failure_of(export(pipeline))
    assert "not shared with us" in message
    check = pipeline.check("sheet_answers", "sheet_readable")
    assert check is not None
    assert (check.passed, check.description) == (False, message)
    assert pipeline.files("") == before
    assert export(pipeline).success
    check = pipeline.check("sheet_answers", "sheet_readable")
    assert check is not None
    assert check.passed


def test_neither_the_link_nor_an_answer_is_in_dagsters_events(pipeline: Pipeline, google: Google) -> None:
    export(pipeline)
    google.next_answers = [lambda handler: handler.hang_up()] * 3
    assert not export(pipeline).success
    google.server_close()
    assert not export(pipeline).success
    events = pipeline.events()
    assert SHEET_ID not in events
    assert "Valerie" not in events


def test_a_changed_header_is_accepted_by_a_person(pipeline: Pipeline, google: Google) -> None:
    export(pipeline)
    google.sheet.header, google.sheet.rows = (*HEADER, "Year"), [(*row, "") for row in google.sheet.rows]
    assert "new: 'Year'" in failure_of(export(pipeline))
    assert export(pipeline, accept_header=True).success
    assert export(pipeline).success


def test_the_sheets_api_is_used_where_it_is_configured(pipeline: Pipeline, google: Google, key_file: Path) -> None:
    del pipeline.environment["ALUMNI_SHEET_URL"]
    settings = load_settings(
        pipeline.environment | {"ALUMNI_SHEET_ID": SHEET_ID, "GOOGLE_APPLICATION_CREDENTIALS": str(key_file)}
    )
    assert settings.sheet is not None
    assert isinstance(settings.sheet.source, SheetsApi)
    source = replace(settings.sheet.source, endpoint=google.address)
    pipeline.__dict__["defs"] = build_defs(replace(settings, sheet=replace(settings.sheet, source=source)))
    assert export(pipeline).success
    assert (metadata(pipeline)["new_answers"], metadata(pipeline)["read_by"]) == (3, "Sheets API")
    assert "token-1" not in pipeline.events()


def test_the_schedule_is_on_once_a_sheet_is_configured(pipeline: Pipeline) -> None:
    pipeline.environment["ALUMNI_SHEET_CRON"] = "0 7 * * 1-5"
    schedule = pipeline.defs.resolve_schedule_def("export_sheet")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 7 * * 1-5", "Asia/Manila")
    with dg.build_schedule_context(instance=pipeline.instance) as context:
        requests = schedule.evaluate_tick(context).run_requests
    assert only(requests or []).run_config == {}


def test_without_a_sheet_the_schedule_is_off_and_the_asset_says_how_to_configure_it(pipeline: Pipeline) -> None:
    del pipeline.environment["ALUMNI_SHEET_URL"]
    schedule = pipeline.defs.resolve_schedule_def("export_sheet")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    with dg.build_schedule_context(instance=pipeline.instance) as context:
        tick = schedule.evaluate_tick(context)
    assert not tick.run_requests
    assert "docs/google-sheet.md" in (tick.skip_message or "")
    assert "ALUMNI_SHEET_URL" in failure_of(export(pipeline))


def test_a_schedule_that_means_nothing_is_named(pipeline: Pipeline) -> None:
    pipeline.environment["ALUMNI_SHEET_CRON"] = "often"
    with pytest.raises(SettingsError, match="ALUMNI_SHEET_CRON is 'often'"):
        _ = pipeline.defs
