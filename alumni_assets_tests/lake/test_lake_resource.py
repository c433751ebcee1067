"""The lake as a Dagster resource, and what a location means."""

import subprocess
import sys
from pathlib import Path

import dagster
import pytest

from alumni_assets.resources.lake import FolderLake, LakeError, LakeResource, open_lake

from .conftest import FolderPlace, Place


def test_the_resource_works_without_dagster(place: Place) -> None:
    resource = LakeResource(location=place.location)
    assert resource.lake().create_bytes("register/a.json", b"x") is True
    assert place.lake.read_bytes("register/a.json") == b"x"
    assert resource.lake() is resource.lake()


def test_assets_get_the_lake_from_dagster(place: Place) -> None:
    place.plant("raw/a.csv", b"content")

    @dagster.asset
    def pinned(lake: LakeResource) -> None:
        lake.lake().copy("raw/a.csv", "pinned/a.csv")

    result = dagster.materialize([pinned], resources={"lake": LakeResource(location=place.location)})
    assert result.success
    assert place.lake.read_bytes("pinned/a.csv") == b"content"


def test_the_location_may_come_from_the_run_configuration(folder_place: FolderPlace) -> None:
    @dagster.op
    def put(lake: LakeResource) -> None:
        lake.lake().put_bytes("raw/a.csv", b"x")

    @dagster.job(resource_defs={"lake": LakeResource.configure_at_launch()})
    def putting() -> None:
        put()

    config = {"resources": {"lake": {"config": {"location": folder_place.location}}}}
    assert putting.execute_in_process(run_config=config).success
    assert folder_place.lake.read_bytes("raw/a.csv") == b"x"


@pytest.mark.parametrize("location", ["", "s3://", "s3:///prefix", "gs://bucket/prefix", "file:///lake", "S3://b"])
def test_a_location_that_means_no_lake_is_an_error_that_says_what_would(location: str) -> None:
    with pytest.raises(LakeError, match=r"is no lake: set ALUMNI_LAKE to a folder, or to s3://bucket"):
        LakeResource(location=location).lake()


@pytest.mark.parametrize("location", ["s3://bucket/a//b", "s3://bucket/../b", "s3://bucket//"])
def test_a_prefix_that_leads_elsewhere_is_refused(place: Place, location: str) -> None:
    with pytest.raises(LakeError, match="refuses the key"):
        LakeResource(location=location).lake()


def test_a_relative_location_stays_where_it_was_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here/lake").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    lake = LakeResource(location="lake").lake()
    monkeypatch.chdir(tmp_path)
    lake.put_bytes("raw/a.csv", b"x")
    assert lake.url("raw/a.csv") == str(tmp_path / "here/lake/raw/a.csv")
    assert (tmp_path / "here/lake/raw/a.csv").read_bytes() == b"x"


def test_a_location_may_begin_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "lake").mkdir()
    assert LakeResource(location="~/lake").lake().url("a") == f"{tmp_path}/lake/a"


def test_a_folder_needs_no_client_and_is_not_touched_by_opening(tmp_path: Path) -> None:
    def no_client() -> None:
        raise AssertionError("a folder needs no client")

    lake = open_lake(str(tmp_path / "lake"), no_client)  # type: ignore[arg-type]
    assert isinstance(lake, FolderLake)
    assert list(tmp_path.iterdir()) == []


def test_importing_the_resource_imports_nothing_of_aws() -> None:
    code = "import sys, alumni_assets.resources.lake; print({'botocore', 'dagster_aws'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout == "set()\n"
