"""A lake whose S3 fails: each call once, all of them, or so many that boto3 gives up.

Pauses between repetitions are left out, and a silent server is waited for a fraction of a second. Where it answers it
is waited for as in earnest: on a busy machine an answer that is only late would count as one more that failed.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from boto3.s3.transfer import TransferConfig
from urllib3 import HTTPConnectionPool, HTTPResponse

from alumni_assets.resources import lake_bucket, s3_calls
from alumni_assets.resources.lake import Lake, LakeError, LakeKeyError, open_lake
from alumni_assets.resources.lake_interface import Readiness
from alumni_assets_tests.lake.conftest import PREFIX, BucketPlace, client_of
from alumni_assets_tests.lake.faulty_s3 import Fate, Fault, FaultyS3, always, every_other, faulty_s3, leave_out_pauses

pytestmark = pytest.mark.server
LARGE = bytes(range(256)) * 4096 * 9  # 9 MiB: more than is sent in one part
SILENT = (Fault.NO_ANSWER, Fault.DONE_NO_ANSWER, Fault.DONE_SILENCE)
CUT = (Fault.DONE_LAST_BYTE_CUT, Fault.DONE_BODY_CUT, Fault.DONE_HEADERS_CUT)
IN_EARNEST = {name: getattr(s3_calls, name) for name in ("SMALL_WITHIN", "SLOW_WITHIN", "ANSWERS_WITHIN")}


@pytest.fixture(autouse=True)
def no_time_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_pauses(monkeypatch)
    for name, value in IN_EARNEST.items():
        monkeypatch.setattr(s3_calls, name, value)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SMALL_WITHIN": 0.1, "SLOW_WITHIN": 0.1, "ANSWERS_WITHIN": 0.5}.items():
        monkeypatch.setattr(s3_calls, name, value)


@contextmanager
def failing(place: BucketPlace, fate: Fate) -> Iterator[tuple[Lake, FaultyS3]]:
    """The lake at a place, with a proxy before it through which each call meets its fate."""
    with faulty_s3(place.client.meta.endpoint_url, fate) as proxy:
        client = client_of(proxy.endpoint)
        yield open_lake(place.location, lambda: client, place.spool), proxy


def whole(place: BucketPlace) -> dict[str, bytes]:
    return {entry.key: place.lake.read_bytes(entry.key) for entry in place.lake.list("")}


def calls_on(lake: Lake) -> dict[str, Callable[[], object]]:
    """Every call, made on objects that are there."""

    def copied() -> None:
        with lake.local_copy("raw/a.csv"):
            pass

    def written() -> None:
        with lake.writing("valid/a") as path:
            path.write_bytes(b"x")

    return {
        "list": lambda: list(lake.list("raw/")),
        "stat": lambda: lake.stat("raw/a.csv"),
        "read_bytes": lambda: lake.read_bytes("raw/a.csv"),
        "open": lambda: lake.open("raw/a.csv"),
        "local_copy": copied,
        "put_bytes": lambda: lake.put_bytes("raw/b.csv", b"x"),
        "create_bytes": lambda: lake.create_bytes("register/a", b"x"),
        "writing": written,
        "copy": lambda: lake.copy("raw/a.csv", "pinned/a"),
        "checksum": lambda: lake.checksum("raw/a.csv"),
        "thaw": lambda: lake.thaw("raw/a.csv", 7, "Bulk"),
        "delete": lambda: lake.delete("raw/a.csv"),
    }


@pytest.mark.parametrize("fault", Fault)
def test_every_call_does_what_it_should_though_it_fails_at_first(
    bucket_place: BucketPlace, fault: Fault, request: pytest.FixtureRequest
) -> None:
    if fault in SILENT:
        request.getfixturevalue("impatient")
    bucket_place.plant("raw/a.csv", b"one\ntwo\n")
    bucket_place.plant("raw/b.csv", b"")
    with failing(bucket_place, every_other(fault)) as (lake, proxy):
        assert [(entry.key, entry.size) for entry in lake.list("raw/")] == [("raw/a.csv", 8), ("raw/b.csv", 0)]
        assert lake.stat("raw/a.csv") == bucket_place.lake.stat("raw/a.csv")
        assert lake.stat("raw/none") is None
        assert lake.read_bytes("raw/a.csv") == b"one\ntwo\n"
        assert lake.read_bytes("raw/b.csv") == b""
        for reading in (lambda: lake.read_bytes("raw/none"), lambda: lake.open("raw/none")):
            with pytest.raises(LakeKeyError):
                reading()
        with lake.open("raw/a.csv") as stream:
            assert stream.seek(-4, io.SEEK_END) == 4
            assert stream.read() == b"two\n"
        with lake.local_copy("raw/a.csv") as path:
            assert path.read_bytes() == b"one\ntwo\n"
        lake.put_bytes("register/put", b"new")
        assert lake.create_bytes("register/created", b"first") is True
        assert lake.create_bytes("register/created", b"first") is False
        with lake.writing("valid/a.parquet") as path:
            path.write_bytes(b"rows")
        lake.copy("raw/a.csv", "archive/a.csv", "DEEP_ARCHIVE")
        assert lake.checksum("archive/a.csv") == bucket_place.lake.checksum("archive/a.csv") is not None
        assert lake.thaw("archive/a.csv", 7, "Bulk") is Readiness.ASKED_FOR
        lake.delete("raw/b.csv")
        lake.delete("raw/none")
    if fault in SILENT:  # an answer that came, but late, is asked for once more
        assert 2 * proxy.faults[fault] >= proxy.calls.total() >= 50
    else:
        # What says enough in its first line is not asked again: two deletions, and a HEAD of what is not there.
        asked_once = 3 if fault in CUT else 0
        assert 2 * proxy.faults[fault] == proxy.calls.total() + asked_once
    assert whole(bucket_place) == {
        "raw/a.csv": b"one\ntwo\n",
        "register/put": b"new",
        "register/created": b"first",
        "valid/a.parquet": b"rows",
        "archive/a.csv": b"one\ntwo\n",
    }


@pytest.mark.parametrize(
    "fault", [Fault.RESET, Fault.DONE_ERROR, Fault.DONE_RESET, Fault.DONE_SILENCE, Fault.DONE_BODY_CUT]
)
@pytest.mark.usefixtures("impatient")
def test_what_goes_in_parts_is_whole_though_parts_fail(
    bucket_place: BucketPlace, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=5 << 20)
    monkeypatch.setattr(lake_bucket, "COPYING", parts)
    with failing(bucket_place, every_other(fault)) as (lake, proxy):
        with lake.writing("valid/large") as path:
            path.write_bytes(LARGE)
        lake.copy("valid/large", "archive/large")
        with lake.open("archive/large") as stream:
            assert stream.read() == LARGE
        with lake.local_copy("archive/large") as path:
            assert path.read_bytes() == LARGE
    assert proxy.faults[fault] > 10
    assert whole(bucket_place) == {"valid/large": LARGE, "archive/large": LARGE}


def test_an_upload_that_the_server_does_not_know_any_more_is_made_again(seaweedfs_place: BucketPlace) -> None:
    """So other makers' servers answer, when it was complete and their first answer to that was lost."""
    known = [True]

    def forget(request: Any, **_: Any) -> None:
        if known.pop() if known else False:
            (upload,) = parse_qs(urlsplit(request.url).query)["uploadId"]
            seaweedfs_place.client.abort_multipart_upload(
                Bucket=seaweedfs_place.bucket, Key=f"{PREFIX}/valid/large", UploadId=upload
            )

    client = client_of(seaweedfs_place.client.meta.endpoint_url)
    client.meta.events.register("before-send.s3.CompleteMultipartUpload", forget)
    lake = open_lake(seaweedfs_place.location, lambda: client)
    with lake.writing("valid/large") as path:
        path.write_bytes(LARGE)
    assert known == []
    assert whole(seaweedfs_place) == {"valid/large": LARGE}


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in SILENT])
def test_nothing_looks_absent_or_done_where_every_call_fails(
    bucket_place: BucketPlace, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_calls, "PATIENCE", 0.0)
    bucket_place.plant("raw/a.csv", b"content")
    with failing(bucket_place, always(fault)) as (lake, _):
        for name, call in calls_on(lake).items():
            if name == "delete" and fault in CUT:  # that it is done stands in the first line of the answer
                call()
                continue
            with pytest.raises(LakeError, match=r"S3 is in trouble|S3 did not answer") as raised:
                call()
            assert not isinstance(raised.value, LakeKeyError)


def test_a_server_that_is_silent_is_given_up(bucket_place: BucketPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_calls, "SMALL_WITHIN", 0.005)
    asked = (s3_calls.REPETITIONS + 1) * (len(s3_calls.PAUSES) + 1)
    said = r"failed: S3 did not answer at http://127\.0\.0\.1:\d+\. Check the network"
    with failing(bucket_place, always(Fault.NO_ANSWER)) as (lake, proxy), pytest.raises(LakeError, match=said):
        list(lake.list("raw/"))
    assert asked // 2 <= proxy.calls["GET"] <= asked  # a busy machine may notice a call when its caller has gone


def test_what_took_too_long_is_not_begun_again(bucket_place: BucketPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_calls, "PATIENCE", 0.0)
    said = r"S3 answered InternalError .* try again later"
    with failing(bucket_place, always(Fault.ERROR)) as (lake, proxy), pytest.raises(LakeError, match=said):
        lake.read_bytes("raw/a.csv")
    assert proxy.calls == {"GET": s3_calls.REPETITIONS + 1}


def test_calls_succeed_when_boto3_has_repeated_as_much_as_it_may(bucket_place: BucketPlace) -> None:
    """It has a quota of repetitions, of which a call that fails twice uses up more than it gives back."""

    def twice(method: str, key: str, number: int) -> Fault | None:
        return Fault.ERROR if number % 3 else None

    bucket_place.plant("raw/a.csv", b"content")
    with failing(bucket_place, twice) as (lake, proxy):
        assert {lake.read_bytes("raw/a.csv") for _ in range(40)} == {b"content"}
    assert proxy.faults == {Fault.ERROR: 80}


@pytest.mark.parametrize(
    ("call", "seconds"),
    [
        (lambda lake: lake.stat("a"), [2, 4, 8, 16, 16, 16]),
        (lambda lake: lake.read_bytes("a"), [2, 4, 8, 16, 16, 16]),
        (lambda lake: lake.put_bytes("a", bytes(512 * 1024)), [2, 4, 8, 16, 16, 16]),
        (lambda lake: lake.put_bytes("a", bytes(1024 * 1024)), [4, 8, 16, 32, 32, 32]),
        (lambda lake: lake.open("a").read(1), [32, 60, 60, 60, 60, 60]),  # which reads ahead
        (lambda lake: lake.copy("a", "b"), [10, 20, 40, 60, 60, 60]),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])  # over the latter boto3 sends checksums behind the content
def test_little_time_is_given_to_what_takes_little_and_more_when_it_is_repeated(
    call: Callable[[Lake], object],
    seconds: list[int],
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_calls, "PATIENCE", 0.0)
    given: list[float] = []

    def answer(pool: object, method: str, url: str, timeout: Any = None, **_: Any) -> HTTPResponse:
        """An object of 10 MiB is there; whatever else is asked fails."""
        if method == "HEAD":
            return answered(200, {"Content-Length": str(10 << 20), "ETag": '"1"'}, method)
        given.append(timeout.read_timeout)
        return answered(500, {"Content-Length": "0"}, method)

    def answered(status: int, headers: dict[str, str], method: str) -> HTTPResponse:
        return HTTPResponse(io.BytesIO(), status=status, headers=headers, request_method=method, preload_content=False)

    monkeypatch.setattr(HTTPConnectionPool, "urlopen", answer)
    client = client_of(f"{scheme}://s3.test")
    assert (client.meta.config.connect_timeout, client.meta.config.read_timeout) == (5, 60)
    lake = open_lake("s3://the-bucket", lambda: client)
    with pytest.raises(LakeError, match="S3 is in trouble"):
        call(lake)
    assert given == seconds
