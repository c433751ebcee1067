"""What only a bucket has: prefixes, storage classes, versions, foreign keys, credentials, and S3's refusals.

Asked of two makers' servers; where SeaweedFS does otherwise than Amazon's S3, for which moto stands, a test of its own
says what. How S3 and the network fail is in `test_faulty_s3.py`.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from alumni_assets.resources import lake_bucket
from alumni_assets.resources.lake import Lake, LakeError, LakeKeyError, LakeResource, open_lake
from alumni_assets.resources.lake_interface import LakeFrozenError, LakeUnavailableError, Readiness

from ..faults.conftest import Disk, small_disk
from .conftest import ACCESS_KEY, PREFIX, SECRET_KEY, BucketPlace, client_of, set_aws

__all__ = ["small_disk"]
pytestmark = pytest.mark.server


def listed(lake: Lake, prefix: str) -> list[str]:
    return sorted(entry.key for entry in lake.list(prefix))


def test_keys_are_kept_below_the_prefix(any_bucket: BucketPlace) -> None:
    any_bucket.lake.put_bytes("raw/a.csv", b"x")
    for name in ("raw/b.csv", f"{PREFIX} 2/raw/c.csv", f"{PREFIX}raw/d.csv"):
        any_bucket.client.put_object(Bucket=any_bucket.bucket, Key=name, Body=b"x")
    assert listed(any_bucket.lake, "raw/") == ["raw/a.csv"]
    assert listed(any_bucket.lake, "") == ["raw/a.csv"]
    assert f"{PREFIX}/raw/a.csv" in any_bucket.names()


def test_the_prefix_may_be_empty(any_bucket: BucketPlace, tmp_path: Path) -> None:
    place = BucketPlace(any_bucket.client, tmp_path / "spool", prefix="")
    place.lake.put_bytes("raw/a.csv", b"x")
    assert place.names() == ["raw/a.csv"]
    assert listed(place.lake, "") == listed(place.lake, "raw/") == ["raw/a.csv"]
    assert place.lake.url("raw/a.csv") == f"s3://{place.bucket}/raw/a.csv"
    without_slash = open_lake(f"s3://{place.bucket}", lambda: any_bucket.client)
    assert without_slash.read_bytes("raw/a.csv") == b"x"


@pytest.mark.parametrize("key", ["raw//a.csv", "raw///", "raw/a//b/"])
def test_keys_with_empty_segments_that_others_made_are_handled(bucket_place: BucketPlace, key: str) -> None:
    lake = bucket_place.lake
    bucket_place.plant(key, b"content")
    assert listed(lake, "raw/") == [key]
    assert lake.stat(key) == next(iter(lake.list("raw/")))
    assert lake.read_bytes(key) == b"content"
    with lake.open(key) as stream, lake.local_copy(key) as path:
        assert stream.read() == path.read_bytes() == b"content"
    lake.copy(key, "pinned/a.csv")
    lake.delete(key)
    assert listed(lake, "") == ["pinned/a.csv"]


def test_seaweedfs_drops_empty_segments_of_names_and_the_content_of_what_it_takes_for_a_folder(
    seaweedfs_place: BucketPlace,
) -> None:
    lake = seaweedfs_place.lake
    for key in ("raw//a.csv", "raw/b///c.csv", "raw/d//"):
        seaweedfs_place.plant(key, b"content")
    assert sorted(lake.list("raw/"), key=lambda entry: entry.key) == [
        lake.stat("raw/a.csv"),
        lake.stat("raw/b/c.csv"),
    ]
    assert lake.read_bytes("raw/b/c.csv") == b"content"
    assert seaweedfs_place.names()[-1] == f"{PREFIX}/raw/d/"
    assert lake.read_bytes("raw/d/") == b""


def test_a_backslash_is_a_slash_to_seaweedfs(seaweedfs_place: BucketPlace) -> None:
    seaweedfs_place.plant("raw/a\\b.csv", b"content")
    assert listed(seaweedfs_place.lake, "") == ["raw/a/b.csv"]
    assert seaweedfs_place.lake.stat("raw/a\\b.csv") is None
    assert seaweedfs_place.lake.read_bytes("raw/a\\b.csv") == b"content"


def test_an_object_and_a_folder_may_have_the_same_name(any_bucket: BucketPlace) -> None:
    lake = any_bucket.lake
    for key in ("raw/2024/b.csv", "raw/2024", "raw/2024.csv"):
        any_bucket.plant(key, key.encode())
    assert listed(lake, "raw/") == ["raw/2024", "raw/2024.csv", "raw/2024/b.csv"]
    assert [lake.stat(entry.key) for entry in lake.list("raw/")] == list(lake.list("raw/"))
    lake.delete("raw/2024")
    assert lake.stat("raw/2024") is None
    assert listed(lake, "raw/") == ["raw/2024.csv", "raw/2024/b.csv"]


def test_seaweedfs_lists_folder_by_folder_and_not_by_the_whole_name(
    bucket_place: BucketPlace, seaweedfs_place: BucketPlace
) -> None:
    for place in (bucket_place, seaweedfs_place):
        for key in ("raw/a/b.csv", "raw/a b.csv", "raw/a.csv"):
            place.plant(key, b"x")
    by_name = ["raw/a b.csv", "raw/a.csv", "raw/a/b.csv"]
    assert [entry.key for entry in bucket_place.lake.list("")] == by_name
    assert [entry.key for entry in seaweedfs_place.lake.list("")] == ["raw/a/b.csv", "raw/a b.csv", "raw/a.csv"]


def test_a_bucket_may_keep_versions(any_bucket: BucketPlace) -> None:
    lake = any_bucket.lake
    any_bucket.client.put_bucket_versioning(Bucket=any_bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"old", b"new"):
        lake.put_bytes("raw/a.csv", content)
    assert [(entry.key, entry.size) for entry in lake.list("")] == [("raw/a.csv", 3)]
    assert lake.create_bytes("raw/a.csv", b"x") is False
    lake.copy("raw/a.csv", "archive/a.csv")
    lake.delete("raw/a.csv")
    assert lake.stat("raw/a.csv") is None
    with pytest.raises(LakeKeyError):
        lake.read_bytes("raw/a.csv")
    assert lake.create_bytes("raw/a.csv", b"again") is True
    assert {entry.key: lake.read_bytes(entry.key) for entry in lake.list("")} == {
        "raw/a.csv": b"again",
        "archive/a.csv": b"new",
    }


def test_what_consoles_make_to_show_a_folder_is_not_listed(any_bucket: BucketPlace) -> None:
    for key in ("", "raw/", "raw/2024/"):
        any_bucket.plant(key, b"")
    any_bucket.plant("raw/2024/empty.csv", b"")
    assert listed(any_bucket.lake, "raw/") == ["raw/2024/empty.csv"]
    assert listed(any_bucket.lake, "") == ["raw/2024/empty.csv"]
    assert any_bucket.lake.stat("raw/2024") is None


def test_a_listing_goes_on_after_the_first_page(any_bucket: BucketPlace) -> None:
    events, pages = any_bucket.client.meta.events, []

    def two_at_a_time(params: dict[str, Any], **_: Any) -> None:
        params["MaxKeys"] = 2
        pages.append(params)

    for number in range(5):
        any_bucket.plant(f"raw/{number}", b"x")
    events.register("before-parameter-build.s3.ListObjectsV2", two_at_a_time)
    try:
        assert listed(any_bucket.lake, "raw/") == [f"raw/{number}" for number in range(5)]
    finally:
        events.unregister("before-parameter-build.s3.ListObjectsV2", two_at_a_time)
    assert len(pages) == 3


def test_a_name_that_is_no_text_is_refused(any_bucket: BucketPlace) -> None:
    with pytest.raises(LakeError, match="names in S3 are UTF-8"):
        any_bucket.lake.put_bytes("raw/a\udcff.csv", b"x")


def test_a_large_file_is_uploaded_in_parts(any_bucket: BucketPlace) -> None:
    with any_bucket.lake.writing("valid/a.parquet") as path:
        path.write_bytes(bytes(20 * 1024**2))
    entry = any_bucket.lake.stat("valid/a.parquet")
    assert entry
    assert entry.size == 20 * 1024**2
    assert entry.etag.endswith("-3")  # S3's way to say: in three parts


@pytest.mark.parametrize("storage_class", ["DEEP_ARCHIVE", "STANDARD_IA"])
def test_a_copy_gets_its_storage_class(any_bucket: BucketPlace, storage_class: str) -> None:
    any_bucket.plant("transformed/a.parquet", b"x")
    any_bucket.lake.copy("transformed/a.parquet", "archive/a.parquet", storage_class=storage_class)
    head = any_bucket.client.head_object(Bucket=any_bucket.bucket, Key=f"{PREFIX}/archive/a.parquet")
    assert head["StorageClass"] == storage_class
    assert head["ContentLength"] == 1


def test_a_copy_beyond_the_limit_is_made_in_parts(any_bucket: BucketPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    megabytes = 1024**2
    parts = TransferConfig(multipart_threshold=6 * megabytes, multipart_chunksize=5 * megabytes)
    monkeypatch.setattr(lake_bucket, "COPYING", parts)
    data = bytes(range(256)) * 4096 * 12
    any_bucket.plant("transformed/a.parquet", data)
    any_bucket.lake.copy("transformed/a.parquet", "archive/a.parquet", storage_class="DEEP_ARCHIVE")
    head = any_bucket.client.head_object(Bucket=any_bucket.bucket, Key=f"{PREFIX}/archive/a.parquet")
    assert (head["StorageClass"], head["ContentLength"]) == ("DEEP_ARCHIVE", len(data))
    assert head["ETag"].endswith('-3"')


def test_a_copy_up_to_the_limit_is_one_request() -> None:
    assert lake_bucket.COPYING.multipart_threshold == 5 * 1024**3


def test_an_archived_object_says_that_it_must_be_restored(bucket_place: BucketPlace) -> None:
    bucket_place.plant("transformed/a.parquet", b"x")
    bucket_place.lake.copy("transformed/a.parquet", "archive/a.parquet", storage_class="DEEP_ARCHIVE")
    with pytest.raises(LakeFrozenError, match=r"is in cold storage\. Restore it first"):
        bucket_place.lake.read_bytes("archive/a.parquet")


def test_a_cold_class_is_only_a_name_to_seaweedfs(seaweedfs_place: BucketPlace) -> None:
    lake = seaweedfs_place.lake
    lake.put_bytes("transformed/a.parquet", b"x")
    lake.copy("transformed/a.parquet", "archive/a.parquet", storage_class="DEEP_ARCHIVE")
    head = seaweedfs_place.client.head_object(Bucket=seaweedfs_place.bucket, Key=f"{PREFIX}/archive/a.parquet")
    assert head["StorageClass"] == "DEEP_ARCHIVE"
    assert lake.thaw("archive/a.parquet", 7, "Bulk") is Readiness.READABLE
    assert lake.read_bytes("archive/a.parquet") == b"x"


def test_seaweedfs_gives_a_copy_the_class_of_its_source_unless_one_is_named(seaweedfs_place: BucketPlace) -> None:
    client, bucket = seaweedfs_place.client, seaweedfs_place.bucket
    client.put_object(Bucket=bucket, Key="a", Body=b"x", StorageClass="DEEP_ARCHIVE")
    client.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    assert client.head_object(Bucket=bucket, Key="b")["StorageClass"] == "DEEP_ARCHIVE"


def test_seaweedfs_works_out_no_checksum_of_a_copy_made_whole(seaweedfs_place: BucketPlace) -> None:
    lake = seaweedfs_place.lake
    lake.put_bytes("transformed/a.parquet", b"x")
    lake.copy("transformed/a.parquet", "archive/a.parquet")
    assert lake.checksum("archive/a.parquet") is None


def test_a_stream_notices_that_its_object_was_replaced(any_bucket: BucketPlace) -> None:
    any_bucket.plant("raw/a.csv", bytes(10 * 1024**2))
    with any_bucket.lake.open("raw/a.csv") as stream:
        assert len(stream.read(1024)) == 1024
        any_bucket.plant("raw/a.csv", bytes([1]) * 10 * 1024**2)
        with pytest.raises(LakeError, match="replaced while it was read"):
            stream.read()


def test_local_copies_are_removed(any_bucket: BucketPlace) -> None:
    any_bucket.plant("raw/a.csv", b"x")
    with any_bucket.lake.local_copy("raw/a.csv") as path:
        assert path.is_relative_to(any_bucket.spool)
        assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ZeroDivisionError), any_bucket.lake.local_copy("raw/a.csv") as path:
        raise ZeroDivisionError
    with pytest.raises(LakeKeyError), any_bucket.lake.local_copy("raw/b.csv"):
        pass
    assert list(any_bucket.spool.iterdir()) == []


Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def answering(answer: Callable[[str], Answer]) -> Iterator[str]:
    """A server that gives S3's part: `answer(path)` tells the status, the headers and the body.

    A body shorter than its Content-Length breaks off.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # which answers `Expect: 100-continue`

        def reply(self) -> None:
            self.close_connection = True
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = reply  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(status: int, code: str, message: str) -> Answer:
    text = f"<Code>{code}</Code><Message>{message}</Message><AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId>"
    return status, {"Content-Type": "application/xml"}, f"<Error>{text}</Error>".encode()


def lake_at(endpoint: str) -> Lake:
    client = client_of(endpoint)
    return open_lake("s3://the-bucket/the-prefix", lambda: client)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            refusal(403, "AccessDenied", "Not authorized"),
            r"Listing 's3://the-bucket/the-prefix/raw/' failed: S3 answered AccessDenied \(Not authorized\) "
            + r"to ListObjectsV2\. Give the user or role of this process the permission",
        ),
        (
            refusal(403, "SignatureDoesNotMatch", "The signature does not match"),
            r"SignatureDoesNotMatch .*\. Check the AWS settings \(AWS_PROFILE",
        ),
        (
            refusal(404, "NoSuchBucket", "No such bucket"),
            r"NoSuchBucket .* Create the bucket, or correct ALUMNI_LAKE",
        ),
    ],
)
def test_a_refused_listing_is_an_error_that_says_what_to_do(answer: Answer, said: str) -> None:
    with answering(lambda _: answer) as endpoint, pytest.raises(LakeError, match=said) as raised:
        list(lake_at(endpoint).list("raw/"))
    assert SECRET_KEY not in str(raised.value)
    assert ACCESS_KEY not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_forbidden_object_is_not_taken_for_an_absent_one() -> None:
    with answering(lambda _: refusal(403, "AccessDenied", "Access Denied")) as endpoint:
        lake = lake_at(endpoint)
        calls: list[Callable[[], object]] = [
            lambda: lake.stat("raw/a"),
            lambda: lake.read_bytes("raw/a"),
            lambda: lake.open("raw/a"),
            lambda: lake.local_copy("raw/a").__enter__(),
            lambda: lake.put_bytes("raw/a", b"x"),
            lambda: lake.create_bytes("raw/a", b"x"),
            lambda: lake.copy("raw/a", "raw/b"),
            lambda: lake.delete("raw/a"),
        ]
        for call in calls:
            with pytest.raises(LakeError, match="Give the user or role") as raised:
                call()
            assert not isinstance(raised.value, LakeKeyError)


@pytest.mark.parametrize(
    ("answer", "is_unavailable"),
    [
        (refusal(403, "AccessDenied", "Not this one"), False),
        (refusal(404, "NoSuchBucket", "No such bucket"), True),
        (refusal(403, "RequestTimeTooSkewed", "Your clock is wrong"), True),
    ],
)
def test_a_bucket_that_is_out_of_reach_is_told_from_an_object_that_is_refused(
    answer: Answer, is_unavailable: bool
) -> None:
    with answering(lambda _: answer) as endpoint, pytest.raises(LakeError) as raised:
        lake_at(endpoint).put_bytes("raw/a", b"x")
    assert isinstance(raised.value, LakeUnavailableError) is is_unavailable


def test_a_full_disk_for_temporary_copies_is_not_held_against_the_object(
    bucket_place: BucketPlace, small_disk: Callable[[str], Disk]
) -> None:
    spool = small_disk("spool")
    lake = lake_bucket.BucketLake(bucket_place.bucket, bucket_place.prefix, bucket_place.client, spool.path)
    bucket_place.plant("raw/a.csv", b"x" * 1_000_000)
    spool.fill(8_192)
    with (
        pytest.raises(
            LakeUnavailableError, match=r"No space left on device\. Check that the disk is there and not full"
        ),
        lake.local_copy("raw/a.csv"),
    ):
        pass
    spool.make_room()
    with lake.local_copy("raw/a.csv") as path:
        assert path.stat().st_size == 1_000_000


def test_a_refused_connection_fails_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda _: (200, {}, b"")) as endpoint:
        pass  # nobody listens at its port any more
    set_aws(monkeypatch, endpoint.replace("http://", "http://user:pass-word@"))
    lake = LakeResource(location="s3://the-bucket/the-prefix").lake()
    started = time.monotonic()
    with pytest.raises(LakeUnavailableError, match=f"S3 did not answer at {endpoint}. Check the network") as raised:
        lake.read_bytes("raw/a.csv")
    assert time.monotonic() - started < 10
    assert "pass-word" not in str(raised.value)


def test_a_create_that_collides_is_tried_again() -> None:
    answers = [refusal(409, "ConditionalRequestConflict", "Try again"), (200, {"ETag": '"1"'}, b"")]
    with answering(lambda _: answers.pop(0)) as endpoint:
        assert lake_at(endpoint).create_bytes("register/a.json", b"x") is True
    assert answers == []


def test_a_failed_upload_is_an_error() -> None:
    said = "Writing 's3://the-bucket/the-prefix/valid/a' failed: S3 answered AccessDenied"
    with answering(lambda _: refusal(403, "AccessDenied", "No")) as endpoint:
        lake = lake_at(endpoint)
        with pytest.raises(LakeError, match=said), lake.writing("valid/a") as path:
            path.write_bytes(b"x")


def test_missing_credentials_are_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch, s3_server: str) -> None:
    set_aws(monkeypatch, s3_server)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(LakeError, match=r"failed: NoCredentialsError\. Check the AWS settings"):
        list(LakeResource(location="s3://the-bucket").lake().list("raw/"))


def test_credentials_and_endpoint_may_come_from_a_profile(
    monkeypatch: pytest.MonkeyPatch, any_bucket: BucketPlace, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"[profile survey]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
        f"endpoint_url = {any_bucket.client.meta.endpoint_url}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "survey")
    any_bucket.plant("raw/a.csv", b"x")
    assert LakeResource(location=any_bucket.location).lake().read_bytes("raw/a.csv") == b"x"


@pytest.mark.parametrize(("name", "value"), [("AWS_PROFILE", "no-such"), ("AWS_ENDPOINT_URL", "no url")])
def test_unusable_aws_settings_are_an_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    set_aws(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)
    with pytest.raises(LakeError, match=r"A client for S3 cannot be made: .* Check the AWS settings"):
        LakeResource(location="s3://the-bucket").lake()


def test_an_endpoint_with_a_name_is_asked_for_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda path: (200, {"ETag": '"1"'}, path.encode())) as endpoint:
        set_aws(monkeypatch, endpoint.replace("127.0.0.1", "localhost"))
        lake = LakeResource(location="s3://the-bucket/the-prefix").lake()
        assert lake.read_bytes("raw/a.csv") == b"/the-bucket/the-prefix/raw/a.csv"


def test_facts_are_stored_as_they_are(any_bucket: BucketPlace) -> None:
    fact = json.dumps({"upload": "a@01234567"}).encode()
    any_bucket.lake.create_bytes("register/a.json", fact)
    stored = any_bucket.client.get_object(Bucket=any_bucket.bucket, Key=f"{PREFIX}/register/a.json")
    assert stored["Body"].read() == fact


def test_earlier_versions_and_marks_of_deletions_are_forgotten_below_a_folder_only(bucket_place: BucketPlace) -> None:
    client, bucket = bucket_place.client, bucket_place.bucket
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"1", b"2", b"3"):
        bucket_place.lake.put_bytes("valid/a", content)
        bucket_place.lake.put_bytes("valid/gone", content)
        bucket_place.lake.put_bytes("register/a", content)
    bucket_place.lake.delete("valid/gone")
    assert bucket_place.lake.forget_earlier("valid/") == 6
    assert bucket_place.lake.forget_earlier("valid/") == 0
    found = client.list_object_versions(Bucket=bucket)
    assert "DeleteMarkers" not in found
    names = [item["Key"].removeprefix(bucket_place.prefix) for item in found["Versions"]]
    assert sorted(names) == ["register/a"] * 3 + ["valid/a"]
    assert bucket_place.lake.read_bytes("valid/a") == b"3"
