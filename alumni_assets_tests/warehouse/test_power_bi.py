"""The file that opens Power BI on the published tables, and that docs/power-bi.md says what is true."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alumni_assets.power_bi import data_source_file
from alumni_assets.publishing import DATA_SOURCE_KEY, FOLDER, publish
from alumni_assets.resources.lake_bucket import BucketLake
from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.warehouse.tables import TABLES
from alumni_assets_tests.warehouse.surveys import Survey, response

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGE = (Path(__file__).parents[2] / "docs" / "power-bi.md").read_text("utf-8")

FOLDER_FILE = """\
{
  "version": "0.1",
  "connections": [
    {
      "details": {
        "protocol": "folder",
        "address": {
          "path": "/srv/alumni/lake/published"
        }
      },
      "mode": "Import"
    }
  ]
}
"""


def details(location: str) -> dict[str, Any]:
    """What the file says of its one data source."""
    (connection,) = json.loads(data_source_file(location))["connections"]
    source: dict[str, Any] = connection["details"]
    return source


def blocks(language: str) -> list[str]:
    """The code of that language in the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_a_folder() -> None:
    assert data_source_file("/srv/alumni/lake/published") == FOLDER_FILE


def test_a_bucket_is_read_through_the_odbc_data_source_of_the_page() -> None:
    assert details("s3://alumni/lake/published/") == {
        "protocol": "odbc",
        "address": {"options": {"dsn": "alumni"}},
    }
    assert "add a data source `alumni`" in PAGE


@pytest.mark.parametrize(
    "location",
    [
        '/lake "quoted"/published',
        "/lake\nof two lines/published",
        "/Encuesta de señores/卒業生/🎓/published",
        "C:\\lake\\published",
        "/lake/\\xff/published",
        "/s3:/published",
        "/home/ana/mnt/c/lake/published",
    ],
)
def test_any_path_survives_in_ascii(location: str) -> None:
    assert details(location) == {"protocol": "folder", "address": {"path": location}}
    assert data_source_file(location).isascii()


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/mnt/c/lake/published", "C:\\lake\\published"),
        ("/mnt/d/Ana's lake/año\n1/published", "D:\\Ana's lake\\año\n1\\published"),
        ("/mnt/data/lake/published", "/mnt/data/lake/published"),
    ],
)
def test_a_drive_of_windows_is_named_as_windows_does(location: str, path: str) -> None:
    assert details(location)["address"] == {"path": path}


def test_the_lakes_tell_their_own_location(tmp_path: Path) -> None:
    folder = FolderLake(tmp_path / 'a "lake"')
    assert details(folder.url(FOLDER))["address"] == {"path": f'{tmp_path}/a "lake"/published'}
    no_client: Any = None
    bucket = BucketLake("alumni", "survey/lake", no_client)
    assert details(bucket.url(FOLDER))["protocol"] == "odbc"


def test_a_publication_after_the_lake_was_moved_names_the_new_place(tmp_path: Path) -> None:
    survey = Survey(tmp_path / "before")
    survey.merge()
    publish(survey.warehouse, survey.lake, NOW)
    (tmp_path / "before").rename(tmp_path / "after")
    moved = Survey(tmp_path / "after")
    moved.transformed("a", response(1))
    moved.merge("a")
    publish(moved.warehouse, moved.lake, NOW)
    written = json.loads(moved.lake.read_bytes(DATA_SOURCE_KEY))
    assert written == json.loads(data_source_file(f"{tmp_path}/after/lake/published"))


@pytest.mark.slow
def test_the_python_lines_of_the_page_work(survey: Survey, tmp_path: Path) -> None:
    survey.transformed("a", response(1), response(2, performance_rating=4, job_role="Baker"))
    survey.merge("a")
    survey.refresh("job_roles")
    publish(survey.warehouse, survey.lake, NOW)
    lines = blocks("python")
    assert len(lines) == 2
    done = [
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        for code in lines
    ]
    assert [run.stderr for run in done] == ["", ""]
    assert done[0].stdout.startswith("Publication 1 of 2026-11-23 12:00 UTC\n")
    assert "Baker" in done[0].stdout
    assert re.search(r"^HR +2 +3\.5$", done[1].stdout, re.MULTILINE)


def test_the_table_for_athena_has_the_columns_that_are_published() -> None:
    (statement,) = blocks("sql")
    columns = re.findall(r"^  (\w+) (\w+),?$", statement, re.MULTILINE)
    assert columns == [
        (column.name, column.type.replace("VARCHAR", "string").lower()) for column in TABLES["alumni"].columns
    ]
    types = {column.type for table in TABLES.values() for column in table.columns}
    assert types == {"BIGINT", "TINYINT", "DOUBLE", "BOOLEAN", "TIMESTAMP", "VARCHAR"}
    assert all(f"`{name}`" in PAGE for name in types)


def test_the_page_names_only_tables_that_are_published() -> None:
    named = set(re.findall(r"(\w+)\.parquet(?!\.\w)", PAGE))
    assert named <= set(TABLES)
