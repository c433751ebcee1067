"""`alumni erase` in a bucket that keeps versions and has cold storage, by the command, over HTTP."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..lake.conftest import BucketPlace, aws_settings, bucket_place, s3_client, s3_server
from ..pipeline.answers import answers, csv_bytes
from .conftest import ID, KEY, NEEDLES, contents_of, has_text, of_person

__all__ = ["aws_settings", "bucket_place", "s3_client", "s3_server"]
pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.long]


@pytest.fixture
def command(bucket_place: BucketPlace, tmp_path: Path) -> Any:
    """Runs the command with the lake in a bucket with versions; returns its exit status and what it printed as JSON."""
    bucket_place.client.put_bucket_versioning(Bucket=bucket_place.bucket, VersioningConfiguration={"Status": "Enabled"})
    places = {"ALUMNI_LAKE": bucket_place.location, "ALUMNI_HOME": str(tmp_path / "home"), "ALUMNI_ERASURE_KEY": KEY}

    def run(*arguments: str) -> tuple[int, Any]:
        words = [str(Path(sys.executable).with_name("alumni")), *arguments, "--json"]
        done = subprocess.run(
            words, env={**os.environ, **places}, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


def versions(place: BucketPlace) -> list[dict[str, Any]]:
    """Every version of every object in the bucket, and every mark of a deletion."""
    pages = place.client.get_paginator("list_object_versions").paginate(Bucket=place.bucket)
    return [item for page in pages for kind in ("Versions", "DeleteMarkers") for item in page.get(kind, [])]


def versions_with_the_person(place: BucketPlace, scratch: Path) -> list[str]:
    """The versions in which the person is, but for those in cold storage, which cannot be read."""
    found = []
    for item in versions(place):
        if item.get("StorageClass") != "STANDARD":
            continue
        name = item["Key"]
        body = place.client.get_object(Bucket=place.bucket, Key=name, VersionId=item["VersionId"])["Body"].read()
        path = scratch / f"version{Path(name).suffix}"
        path.write_bytes(body)
        found += [name for needle in NEEDLES if any(has_text(content, needle) for content in contents_of(path))]
    return found


def test_no_version_of_any_object_has_the_person_any_more(
    command: Any, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    for content in ([of_person(Job_Role="Cook")], [of_person()]):
        bucket_place.plant("raw/term.csv", csv_bytes([*answers(1, 8), *content, of_person(Performance_Rating="9")]))
    status, _ = command("run", "--approve", "--approved-by", "me")
    assert status == 0
    bucket_place.plant("raw/thrown away.csv", csv_bytes([of_person()]))
    bucket_place.lake.delete("raw/thrown away.csv")
    assert versions_with_the_person(bucket_place, tmp_path)

    status, done = command("erase", ID, "--reason", "asked for it", "--by", "me")
    assert (status, done["complete"], len(done["rows"]), done["waiting"]) == (0, True, 1, [])
    assert versions_with_the_person(bucket_place, tmp_path) == []
    held = [item for item in versions(bucket_place) if "/register/" not in item["Key"]]
    assert len(held) == len({item["Key"] for item in held})
    cold = [item for item in held if "/original/" in item["Key"]]
    assert [item["StorageClass"] for item in cold] == ["DEEP_ARCHIVE"]
    pinned = {bucket_place.lake.stat(entry.key).size for entry in bucket_place.lake.list("pinned/")}  # type: ignore[union-attr]
    assert {item["Size"] for item in cold} == pinned
    assert damaged_copies_of(bucket_place) == {}


def damaged_copies_of(place: BucketPlace) -> dict[str, str]:
    """What is wrong with archived copies, by their manifests."""
    from alumni_assets.stages.archive import archived_files, damaged_copies

    manifests = [entry.key for entry in place.lake.list("archive/") if entry.key.endswith("manifest.json")]
    found: dict[str, str] = {}
    for key in manifests:
        found |= damaged_copies(place.lake, archived_files(place.lake, key.removesuffix("manifest.json")))
    return found


@pytest.mark.long
def test_what_only_cold_storage_has_is_asked_for_and_erased(
    command: Any, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    bucket_place.plant("raw/term.csv", csv_bytes([*answers(1, 3), of_person()]))
    _, report = command("run", "--approve", "--approved-by", "me")
    (upload,) = [row["upload"] for row in report["uploads"]]
    for entry in [*bucket_place.lake.list("pinned/"), *bucket_place.lake.list("raw/")]:
        bucket_place.lake.delete(entry.key)
    status, done = command("erase", ID, "--reason", "asked for it", "--by", "me")
    assert (status, done["complete"], done["waiting"]) == (0, True, [])  # this server hands everything out at once
    said = [command("restore", upload)[1]["restored"] for _ in range(2)]
    assert said == [False, True]  # the rewritten copy is in cold storage too
    assert versions_with_the_person(bucket_place, tmp_path) == []
