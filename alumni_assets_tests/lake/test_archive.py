"""The archive, in a folder and in buckets: what is copied there, how a copy is verified, and how it comes back."""

import hashlib
import io
import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets import checks
from alumni_assets.resources import lake_bucket
from alumni_assets.resources.lake import Lake, LakeKeyError, open_lake
from alumni_assets.resources.lake_interface import Readiness
from alumni_assets.stages.archive import (
    UNVERIFIABLE,
    ArchivedFile,
    ArchiveError,
    DamagedManifestError,
    archive_upload,
    archived_files,
    damaged_copies,
    seal_archive,
    unarchived,
)
from alumni_assets.stages.hashing import sha256_in_parts
from alumni_assets.stages.intake import utc_now
from alumni_assets.stages.restoring import RestoredFile, RestoreError, restore_upload, waits
from alumni_assets.survey.standing import Decision, Facts, Seen, Transformed
from alumni_assets_tests.lake.conftest import BucketPlace, Place

UPLOAD = "May, ñ.csv@0123abcd"
ORIGINAL, ROWS = b"Employee_ID,Employee_Name\n1,Ana\n", b"PAR1 and so on"
PINNED, TRANSFORMED = "pinned/May, ñ.csv-0123abcd", "transformed/May, ñ.csv-0123abcd.parquet"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


SEEN = Seen(UPLOAD, "May, ñ.csv", sha256(ORIGINAL), len(ORIGINAL), utc_now())
DONE = Transformed(UPLOAD, "", sha256(ROWS), 1, 0, utc_now())


@pytest.fixture
def archived(lake: Lake) -> tuple[str, list[ArchivedFile]]:
    """An upload whose copies are in cold storage, where the lake has any."""
    lake.put_bytes(PINNED, ORIGINAL)
    lake.put_bytes(TRANSFORMED, ROWS)
    folder, copies = archive_upload(lake, SEEN, DONE, "DEEP_ARCHIVE")
    seal_archive(lake, SEEN, folder, copies)
    return folder, copies


def restored(place: Place) -> list[RestoredFile]:
    """What had to be asked for is handed out by the server of these tests at once."""
    files = restore_upload(place.lake, DONE, 7, "Bulk")
    assert waits(files) == (place.has_cold_storage and any(file.state != "in place" for file in files))
    return restore_upload(place.lake, DONE, 7, "Bulk") if waits(files) else files


def test_the_manifest_names_every_copy_with_its_size_and_checksum(lake: Lake, archived: Any) -> None:
    folder, copies = archived
    assert folder == f"archive/{DONE.at.date()}/May, ñ.csv-0123abcd/"
    assert copies == [
        ArchivedFile(f"{folder}original/May, ñ.csv", len(ORIGINAL), sha256(ORIGINAL), PINNED),
        ArchivedFile(f"{folder}transformed.parquet", len(ROWS), sha256(ROWS), TRANSFORMED),
    ]
    assert archived_files(lake, folder) == copies
    manifest = json.loads(lake.read_bytes(f"{folder}manifest.json"))
    assert (manifest["upload"], manifest["received_at"]) == (UPLOAD, SEEN.received_at.isoformat())
    assert manifest["files"][1] == {
        "key": f"{folder}transformed.parquet",
        "size": len(ROWS),
        "sha256": sha256(ROWS),
    }


def test_undamaged_copies_are_verified_though_they_cannot_be_read(lake: Lake, archived: Any) -> None:
    assert damaged_copies(lake, archived[1]) == {}


def test_archiving_again_leaves_undamaged_copies_alone(place: Place, archived: Any) -> None:
    folder, copies = archived
    before = {copy.key: place.lake.stat(copy.key) for copy in copies}
    assert archive_upload(place.lake, SEEN, DONE, "DEEP_ARCHIVE") == (folder, copies)
    assert {copy.key: place.lake.stat(copy.key) for copy in copies} == before


def test_damaged_copies_are_found_and_made_again(place: Place, archived: Any) -> None:
    original, transformed = archived[1]
    place.plant(original.key, ORIGINAL.replace(b"Ana", b"Eva"))
    place.plant(transformed.key, ROWS[:-1])
    assert damaged_copies(place.lake, archived[1]) == {
        original.key: "the checksum differs",
        transformed.key: f"{len(ROWS) - 1} bytes instead of {len(ROWS)}",
    }
    place.lake.delete(transformed.key)
    assert damaged_copies(place.lake, archived[1])[transformed.key] == "missing"
    archive_upload(place.lake, SEEN, DONE, "DEEP_ARCHIVE")
    assert damaged_copies(place.lake, archived[1]) == {}


def test_what_is_in_place_is_not_asked_for(lake: Lake, archived: Any) -> None:
    files = restore_upload(lake, DONE, 7, "Bulk")
    assert files == [RestoredFile(PINNED, "in place"), RestoredFile(TRANSFORMED, "in place")]
    assert not waits(files)


def test_what_is_missing_or_damaged_comes_back(place: Place, archived: Any) -> None:
    place.lake.delete(PINNED)
    place.plant(TRANSFORMED, b"PAR1 and no more")
    assert restored(place) == [RestoredFile(PINNED, "restored"), RestoredFile(TRANSFORMED, "restored")]
    assert (place.lake.read_bytes(PINNED), place.lake.read_bytes(TRANSFORMED)) == (ORIGINAL, ROWS)


def test_a_copy_that_is_not_what_was_archived_is_no_restoration(place: Place, archived: Any) -> None:
    place.plant(archived[1][0].key, b"something else")
    place.lake.delete(PINNED)
    with pytest.raises(RestoreError, match=r"original/May, ñ\.csv is not what was archived \(14 bytes instead of 32\)"):
        restored(place)


def test_rows_that_were_archived_before_others_were_made_do_not_take_their_place(place: Place, archived: Any) -> None:
    rows = b"PAR1 as approved again"
    newer = replace(DONE, content=sha256(rows))
    place.plant(TRANSFORMED, rows)
    place.lake.delete(PINNED)
    for state in ["asked for", "restored"] if place.has_cold_storage else ["restored"]:
        original, made = restore_upload(place.lake, newer, 7, "Bulk")
        assert (made.key, made.state) == (TRANSFORMED, "not archived since they were made anew")
        assert state == "asked for" or original == RestoredFile(PINNED, "restored")
    assert (place.lake.read_bytes(PINNED), place.lake.read_bytes(TRANSFORMED)) == (ORIGINAL, rows)


def test_an_undamaged_copy_is_not_replaced_by_a_source_that_was_damaged_since(place: Place, archived: Any) -> None:
    folder, copies = archived
    place.plant(TRANSFORMED, ROWS[:-1])
    place.plant(PINNED, ORIGINAL.replace(b"Ana", b"Eva"))
    assert archive_upload(place.lake, SEEN, DONE, "DEEP_ARCHIVE") == (folder, copies)
    assert damaged_copies(place.lake, copies) == {}


def test_a_damaged_copy_is_not_replaced_by_a_damaged_source(place: Place, archived: Any) -> None:
    original = archived[1][0]
    for key in (PINNED, original.key):
        place.plant(key, ORIGINAL.replace(b"Ana", b"Eva"))
    with pytest.raises(ArchiveError, match=r"is not what is to be archived \(the checksum differs\)"):
        archive_upload(place.lake, SEEN, DONE, "DEEP_ARCHIVE")


def test_without_an_archive_there_is_nothing_to_restore(lake: Lake) -> None:
    with pytest.raises(LakeKeyError, match=r"manifest\.json"):
        restore_upload(lake, DONE, 7, "Bulk")


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 512, b"\xff", b"null", b'{"upload": "a", "files": []}'])
def test_a_damaged_manifest_is_named_where_an_upload_is_to_be_restored(
    place: Place, archived: Any, content: bytes
) -> None:
    place.plant(f"{archived[0]}manifest.json", content)
    place.lake.delete(PINNED)
    with pytest.raises(
        DamagedManifestError, match=r"May, ñ\.csv-0123abcd/manifest\.json.* delete it and call"
    ) as error:
        restore_upload(place.lake, DONE, 7, "Bulk")
    assert "`alumni run`" in str(error.value)


@pytest.mark.parametrize(("content", "approvals"), [(b"", 1), (b"", 2), (b"{", 2)])
def test_an_upload_whose_manifest_is_damaged_is_archived_again(
    place: Place, archived: Any, content: bytes, approvals: int
) -> None:
    decisions = tuple(Decision(UPLOAD, number, "approved", "Ana", utc_now()) for number in range(1, approvals + 1))
    facts = Facts({UPLOAD: SEEN}, {}, {UPLOAD: DONE}, {}, {UPLOAD: decisions})
    place.plant(f"{archived[0]}manifest.json", content)
    assert unarchived(place.lake, facts) == [UPLOAD]
    seal_archive(place.lake, SEEN, *archive_upload(place.lake, SEEN, DONE, "DEEP_ARCHIVE"))
    assert unarchived(place.lake, facts) == []
    assert archived_files(place.lake, archived[0]) == archived[1]


def test_copies_lie_in_the_class_that_was_asked_for_and_the_manifest_does_not(any_bucket: BucketPlace) -> None:
    any_bucket.plant(PINNED, ORIGINAL)
    any_bucket.plant(TRANSFORMED, ROWS)
    folder, copies = archive_upload(any_bucket.lake, SEEN, DONE, "DEEP_ARCHIVE")
    seal_archive(any_bucket.lake, SEEN, folder, copies)

    def storage_class(key: str) -> str:
        head = any_bucket.client.head_object(Bucket=any_bucket.bucket, Key=any_bucket.prefix + key)
        return head.get("StorageClass", "STANDARD")

    assert {storage_class(copy.key) for copy in copies} == {"DEEP_ARCHIVE"}
    assert storage_class(f"{folder}manifest.json") == "STANDARD"
    any_bucket.lake.delete(PINNED)
    assert [file.state for file in restored(any_bucket)] == ["restored", "in place"]
    assert storage_class(PINNED) == "STANDARD"


def test_a_copy_that_was_made_in_parts_is_verified_by_its_parts(
    any_bucket: BucketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = bytes(range(256)) * 4096 * 11  # 11 MiB: two parts of five and a rest
    five = lake_bucket.TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    monkeypatch.setattr(lake_bucket, "COPYING", five)
    any_bucket.plant("pinned/large", large)
    any_bucket.lake.copy("pinned/large", "archive/large", "DEEP_ARCHIVE")
    stored = any_bucket.lake.checksum("archive/large")
    assert stored is not None
    assert stored.part_size == 5 << 20
    copy = ArchivedFile("archive/large", len(large), sha256(large), "pinned/large")
    assert damaged_copies(any_bucket.lake, [copy]) == {}
    any_bucket.plant("pinned/large", large[:-1] + b"?")
    assert damaged_copies(any_bucket.lake, [copy]) == {"archive/large": "the checksum differs"}


def test_a_cold_copy_without_a_checksum_is_said_to_be_unverified(
    bucket_place: BucketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a server that has cold storage, and works out no checksums when it copies."""
    monkeypatch.setattr(lake_bucket, "CHECKED", {})
    bucket_place.plant(PINNED, ORIGINAL)
    bucket_place.plant(TRANSFORMED, ROWS)
    _, copies = archive_upload(bucket_place.lake, SEEN, DONE, "DEEP_ARCHIVE")
    assert bucket_place.lake.checksum(copies[0].key) is None
    assert damaged_copies(bucket_place.lake, copies) == {copy.key: UNVERIFIABLE for copy in copies}
    outcome = checks.copies_verified(len(copies), damaged_copies(bucket_place.lake, copies))
    assert not outcome.passed
    assert outcome.description.startswith(f"2 archived copies cannot be verified, such as {copies[0].key}: the storage")
    assert (
        "Set ALUMNI_ARCHIVE_CLASS to a class that can be read, such as STANDARD_IA or GLACIER_IR" in outcome.description
    )
    assert archive_upload(bucket_place.lake, SEEN, DONE, "STANDARD_IA")[1] == copies
    assert checks.copies_verified(len(copies), damaged_copies(bucket_place.lake, copies)).passed


@given(content=st.binary(max_size=50), part_size=st.integers(1, 20))
def test_the_checksum_of_parts_is_that_of_their_checksums(content: bytes, part_size: int) -> None:
    parts = [content[start : start + part_size] for start in range(0, len(content), part_size)]
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    assert sha256_in_parts(io.BytesIO(content), part_size) == (sha256(content), sha256(digests))


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"StorageClass": "DEEP_ARCHIVE", "Restore": 'ongoing-request="true"'}, Readiness.UNDER_WAY),
        (
            {
                "StorageClass": "GLACIER",
                "Restore": 'ongoing-request="false", expiry-date="Fri, 04 Dec 2026"',
            },
            Readiness.READABLE,
        ),
        ({"StorageClass": "STANDARD_IA"}, Readiness.READABLE),
        ({}, Readiness.READABLE),
    ],
)
def test_what_s3_says_of_a_restoration_is_understood(said: dict[str, str], state: Readiness) -> None:
    """S3's answers as its reference shows them: the server of these tests is never under way."""
    client: Any = boto3.client("s3", region_name="us-east-1")
    with Stubber(client) as stubbed:
        stubbed.add_response("head_object", said, {"Bucket": "lake", "Key": "archive/a"})
        assert open_lake("s3://lake", lambda: client).thaw("archive/a", 7, "Bulk") is state
        stubbed.assert_no_pending_responses()


@pytest.mark.parametrize("error", [None, "RestoreAlreadyInProgress"])
def test_what_lies_in_cold_storage_is_asked_for_once(error: str | None) -> None:
    client: Any = boto3.client("s3", region_name="us-east-1")
    request = {"Days": 3, "GlacierJobParameters": {"Tier": "Standard"}}
    with Stubber(client) as stubbed:
        stubbed.add_response("head_object", {"StorageClass": "DEEP_ARCHIVE"}, {"Bucket": "lake", "Key": "archive/a"})
        if error:
            stubbed.add_client_error("restore_object", error, http_status_code=409)
        else:
            stubbed.add_response(
                "restore_object", {}, {"Bucket": "lake", "Key": "archive/a", "RestoreRequest": request}
            )
        state = open_lake("s3://lake", lambda: client).thaw("archive/a", 3, "Standard")
        assert state is (Readiness.UNDER_WAY if error else Readiness.ASKED_FOR)
