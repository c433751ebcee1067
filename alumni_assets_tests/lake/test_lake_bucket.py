"""What only a bucket has: prefixes, storage classes, foreign keys, credentials, and a network that fails."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig

from alumni_assets.resources import lake_bucket
from alumni_assets.resources.lake import Lake, LakeError, LakeKeyError, LakeResource, open_lake

from .conftest import ACCESS_KEY, PREFIX, SECRET_KEY, BucketPlace, set_aws

pytestmark = pytest.mark.server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def listed(lake: Lake, prefix: str) -> list[str]:
    return sorted(entry.key for entry in lake.list(prefix))


def test_keys_are_kept_below_the_prefix(bucket_place: BucketPlace) -> None:
    bucket_place.lake.put_bytes("raw/a.csv", b"x")
    for name in ("raw/b.csv", f"{PREFIX} 2/raw/c.csv", f"{PREFIX}raw/d.csv"):
        bucket_place.client.put_object(Bucket=bucket_place.bucket, Key=name, Body=b"x")
    assert listed(bucket_place.lake, "raw/") == ["raw/a.csv"]
    assert listed(bucket_place.lake, "") == ["raw/a.csv"]
    assert f"{PREFIX}/raw/a.csv" in bucket_place.names()


def test_the_prefix_may_be_empty(s3_client: "S3Client", tmp_path: Path) -> None:
    place = BucketPlace(s3_client, tmp_path / "spool", prefix="")
    place.lake.put_bytes("raw/a.csv", b"x")
    assert place.names() == ["raw/a.csv"]
    assert listed(place.lake, "") == listed(place.lake, "raw/") == ["raw/a.csv"]
    assert place.lake.url("raw/a.csv") == f"s3://{place.bucket}/raw/a.csv"
    without_slash = open_lake(f"s3://{place.bucket}", lambda: s3_client)
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


def test_what_consoles_make_to_show_a_folder_is_not_listed(bucket_place: BucketPlace) -> None:
    for key in ("", "raw/", "raw/2024/"):
        bucket_place.plant(key, b"")
    bucket_place.plant("raw/2024/empty.csv", b"")
    assert listed(bucket_place.lake, "raw/") == ["raw/2024/empty.csv"]
    assert listed(bucket_place.lake, "") == ["raw/2024/empty.csv"]
    assert bucket_place.lake.stat("raw/2024") is None


def test_a_listing_goes_on_after_the_first_page(bucket_place: BucketPlace) -> None:
    events, pages = bucket_place.client.meta.events, []

    def two_at_a_time(params: dict[str, Any], **_: Any) -> None:
        params["MaxKeys"] = 2
        pages.append(params)

    for number in range(5):
        bucket_place.plant(f"raw/{number}", b"x")
    events.register("before-parameter-build.s3.ListObjectsV2", two_at_a_time)
    try:
        assert listed(bucket_place.lake, "raw/") == [f"raw/{number}" for number in range(5)]
    finally:
        events.unregister("before-parameter-build.s3.ListObjectsV2", two_at_a_time)
    assert len(pages) == 3


def test_a_name_that_is_no_text_is_refused(bucket_place: BucketPlace) -> None:
    with pytest.raises(LakeError, match="names in S3 are UTF-8"):
        bucket_place.lake.put_bytes("raw/a\udcff.csv", b"x")


def test_a_large_file_is_uploaded_in_parts(bucket_place: BucketPlace) -> None:
    with bucket_place.lake.writing("valid/a.parquet") as path:
        path.write_bytes(bytes(20 * 1024**2))
    entry = bucket_place.lake.stat("valid/a.parquet")
    assert entry
    assert entry.size == 20 * 1024**2
    assert entry.etag.endswith("-3")  # S3's way to say: in three parts


@pytest.mark.parametrize("storage_class", ["DEEP_ARCHIVE", "STANDARD_IA"])
def test_a_copy_gets_its_storage_class(bucket_place: BucketPlace, storage_class: str) -> None:
    bucket_place.plant("transformed/a.parquet", b"x")
    bucket_place.lake.copy("transformed/a.parquet", "archive/a.parquet", storage_class=storage_class)
    head = bucket_place.client.head_object(Bucket=bucket_place.bucket, Key=f"{PREFIX}/archive/a.parquet")
    assert head["StorageClass"] == storage_class
    assert head["ContentLength"] == 1


def test_a_copy_beyond_the_limit_is_made_in_parts(bucket_place: BucketPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    megabytes = 1024**2
    parts = TransferConfig(multipart_threshold=6 * megabytes, multipart_chunksize=5 * megabytes)
    monkeypatch.setattr(lake_bucket, "COPYING", parts)
    data = bytes(range(256)) * 4096 * 12
    bucket_place.plant("transformed/a.parquet", data)
    bucket_place.lake.copy("transformed/a.parquet", "archive/a.parquet", storage_class="DEEP_ARCHIVE")
    head = bucket_place.client.head_object(Bucket=bucket_place.bucket, Key=f"{PREFIX}/archive/a.parquet")
    assert (head["StorageClass"], head["ContentLength"]) == ("DEEP_ARCHIVE", len(data))
    assert head["ETag"].endswith('-3"')


def test_a_copy_up_to_the_limit_is_one_request() -> None:
    assert lake_bucket.COPYING.multipart_threshold == 5 * 1024**3


def test_an_archived_object_says_that_it_must_be_restored(bucket_place: BucketPlace) -> None:
    bucket_place.plant("transformed/a.parquet", b"x")
    bucket_place.lake.copy("transformed/a.parquet", "archive/a.parquet", storage_class="DEEP_ARCHIVE")
    with pytest.raises(LakeError, match=r"InvalidObjectState .* cold storage: restore it first"):
        bucket_place.lake.read_bytes("archive/a.parquet")


def test_a_stream_notices_that_its_object_was_replaced(bucket_place: BucketPlace) -> None:
    bucket_place.plant("raw/a.csv", bytes(10 * 1024**2))
    with bucket_place.lake.open("raw/a.csv") as stream:
        assert len(stream.read(1024)) == 1024
        bucket_place.plant("raw/a.csv", bytes([1]) * 10 * 1024**2)
        with pytest.raises(LakeError, match="replaced while it was read"):
            stream.read()


def test_local_copies_are_removed(bucket_place: BucketPlace) -> None:
    bucket_place.plant("raw/a.csv", b"x")
    with bucket_place.lake.local_copy("raw/a.csv") as path:
        assert path.is_relative_to(bucket_place.spool)
        assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ZeroDivisionError), bucket_place.lake.local_copy("raw/a.csv") as path:
        raise ZeroDivisionError
    with pytest.raises(LakeKeyError), bucket_place.lake.local_copy("raw/b.csv"):
        pass
    assert list(bucket_place.spool.iterdir()) == []


class LostAnswers:
    """A client whose PutObject reaches S3, but whose first answer does not come back."""

    def __init__(self, client: "S3Client") -> None:
        self._client = client

    def put_object(self, **request: Any) -> Any:
        self._client.put_object(**request)
        return self._client.put_object(**request)  # as boto3 does by itself after a broken connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_who_created_an_object_is_told_so_though_the_answer_was_lost(bucket_place: BucketPlace) -> None:
    client: Any = LostAnswers(bucket_place.client)
    unlucky = open_lake(bucket_place.location, lambda: client)
    assert unlucky.create_bytes("register/a.json", b"same") is True
    assert unlucky.create_bytes("register/a.json", b"same") is False
    assert bucket_place.lake.create_bytes("register/a.json", b"same") is False


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


@cache
def session() -> boto3.Session:
    return boto3.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")


def lake_at(endpoint: str) -> Lake:
    client = session().client("s3", endpoint_url=endpoint)
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


def test_a_refused_connection_fails_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda _: (200, {}, b"")) as endpoint:
        pass  # nobody listens at its port any more
    set_aws(monkeypatch, endpoint.replace("http://", "http://user:pass-word@"))
    lake = LakeResource(location="s3://the-bucket/the-prefix").lake()
    started = time.monotonic()
    with pytest.raises(LakeError, match=f"S3 did not answer at {endpoint}. Check the network") as raised:
        lake.read_bytes("raw/a.csv")
    assert time.monotonic() - started < 10
    assert "pass-word" not in str(raised.value)


def test_a_download_that_breaks_off_is_taken_up_again() -> None:
    asked: list[str] = []

    def answer(path: str) -> Answer:
        asked.append(path)
        return 200, {"Content-Length": "7", "ETag": '"1"'}, b"con" if len(asked) < 3 else b"content"

    with answering(answer) as endpoint:
        assert lake_at(endpoint).read_bytes("raw/a.csv") == b"content"
    assert asked == ["/the-bucket/the-prefix/raw/a.csv"] * 3


def test_a_download_that_always_breaks_off_is_an_error() -> None:
    broken = (200, {"Content-Length": "7", "ETag": '"1"'}, b"con")
    with answering(lambda _: broken) as endpoint, pytest.raises(LakeError, match="did not answer"):
        lake_at(endpoint).read_bytes("raw/a.csv")


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
    monkeypatch: pytest.MonkeyPatch, bucket_place: BucketPlace, s3_server: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"[profile survey]\naws_access_key_id = a\naws_secret_access_key = b\nendpoint_url = {s3_server}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "survey")
    bucket_place.plant("raw/a.csv", b"x")
    assert LakeResource(location=bucket_place.location).lake().read_bytes("raw/a.csv") == b"x"


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


def test_facts_are_stored_as_they_are(bucket_place: BucketPlace) -> None:
    fact = json.dumps({"upload": "a@01234567"}).encode()
    bucket_place.lake.create_bytes("register/a.json", fact)
    stored = bucket_place.client.get_object(Bucket=bucket_place.bucket, Key=f"{PREFIX}/register/a.json")
    assert stored["Body"].read() == fact
