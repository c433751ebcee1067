"""When Dagster says that the page, or the sheet's exporter, has been left alone for too long."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from alumni_assets.definitions import build_defs
from alumni_assets.schedules import export_sheet_schedule, late_after
from alumni_assets.settings import load_settings
from alumni_assets.sheet.links import CsvLink, SheetSettings
from alumni_assets.survey_rules import DEFAULT_RULES


def policy_of(asset: str, folder: Path, **environment: str) -> dg.FreshnessPolicy | None:
    settings = load_settings({"ALUMNI_HOME": str(folder), "ALUMNI_LAKE": str(folder / "lake"), **environment})
    return build_defs(settings).resolve_asset_graph().get(dg.AssetKey(asset)).freshness_policy


def test_the_page_is_stale_for_dagster_when_it_says_so_itself(tmp_path: Path) -> None:
    assert policy_of("alumni_dashboard", tmp_path) == dg.FreshnessPolicy.time_window(timedelta(days=14))
    rules = tmp_path / "survey.yaml"
    rules.write_text(DEFAULT_RULES.read_text().replace("stale_after_days: 14 ", "stale_after_days: 3 "))
    found = policy_of("alumni_dashboard", tmp_path, ALUMNI_SURVEY=str(rules))
    assert found == dg.FreshnessPolicy.time_window(timedelta(days=3))


def test_the_exporter_is_late_where_a_sheet_is_configured(tmp_path: Path) -> None:
    assert policy_of("sheet_answers", tmp_path) is None
    link = "https://docs.google.com/spreadsheets/d/1AbCdEfGhIjKlMnOpQrStUvWxYz/edit#gid=0"
    found = policy_of("sheet_answers", tmp_path, ALUMNI_SHEET_URL=link, ALUMNI_SHEET_CRON="0 */12 * * *")
    assert found == dg.FreshnessPolicy.time_window(timedelta(days=2))


@pytest.mark.parametrize(
    ("cron", "hours"), [("*/15 * * * *", 24), ("0 * * * *", 24), ("0 8 * * *", 96), ("0 8 * * 1", 24 * 28)]
)
def test_an_exporter_is_late_after_four_intervals_and_a_day_at_least(cron: str, hours: int) -> None:
    sheet = SheetSettings("answers", CsvLink("https://sheet.test/"), cron)
    assert late_after(export_sheet_schedule(sheet, "Asia/Manila")) == timedelta(hours=hours)
