"""The lake in an S3 bucket, of Amazon's or another maker's. What a lake promises is in `lake_interface.py`.

Everything goes through one boto3 client, which brings profiles, roles, endpoints and regions as every AWS
tool of the user's does; how long it waits and what is tried again is in `s3_calls.py`. obstore has no part in
it: one key with `//` or a control character, both legal in S3, fails its listing as a whole, and it cannot read
or delete such an object.

boto3 takes its time to import: import this module where a bucket is in use, not before.
"""

import base64
import io
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from alumni_assets.resources.lake_interface import (
    Checksum,
    Lake,
    LakeEntry,
    LakeError,
    LakeFrozenError,
    LakeKeyError,
    LakeUnavailableError,
    Readiness,
    check_key,
    check_prefix,
    os_failure,
    scratch_path,
    sweep_scratch,
)
from alumni_assets.resources.s3_calls import NETWORK_ERRORS, is_passing, persist, prepare, status_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

READ_AHEAD = 8 * 1024**2  # bytes that a stream asks for at a time
LARGEST_SINGLE_COPY = 5 * 1024**3  # bytes: the limit of CopyObject
COPYING = TransferConfig(multipart_threshold=LARGEST_SINGLE_COPY, multipart_chunksize=512 * 1024**2)
CHECKED = {"ChecksumAlgorithm": "SHA256"}
COLD = ("GLACIER", "DEEP_ARCHIVE")  # the classes whose objects cannot be read until they are restored
CREATED_BY = "created-by"  # metadata: which call of create_bytes made the object

NOT_FOUND, PRECONDITION_FAILED = 404, 412
NO_SUCH_KEY = ("NoSuchKey", "404")  # HEAD requests are answered without a code
NO_COLD_STORAGE = ("MethodNotAllowed", "NotImplemented")  # what other makers' servers say to RestoreObject
SETTINGS_ADVICE = "Check the AWS settings (AWS_PROFILE, AWS_DEFAULT_REGION, ~/.aws/config), and sign in again."
TROUBLE_ADVICE = "S3 is in trouble, and it was tried again several times: try again later."
PERMISSION_ADVICE = "Give the user or role of this process the permission for this bucket and prefix."
ADVICE = {
    "NoSuchBucket": "Create the bucket, or correct ALUMNI_LAKE.",
    "AccessDenied": PERMISSION_ADVICE,
    "403": PERMISSION_ADVICE,
    "PreconditionFailed": "The object was replaced while it was read: try again.",
    "412": "The object was replaced while it was read: try again.",
}

REFUSES_ALL = {
    "NoSuchBucket",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",  # this machine's clock is wrong
    "SignatureDoesNotMatch",
}


class BucketLake(Lake):
    """A lake below `prefix` (which may be empty) in a bucket, which must exist.

    `spool` is the folder for temporary files; the system's own by default.
    """

    def __init__(self, bucket: str, prefix: str, client: "S3Client", spool: Path | None = None) -> None:
        self._bucket = bucket
        self._root = check_prefix(prefix)
        self._client = client
        self._spool = spool or Path(tempfile.gettempdir())

    def list(self, prefix: str) -> Iterator[LakeEntry]:
        """Leaves out the empty objects that consoles make to show a folder."""
        entries = self._listed(self._root + check_prefix(prefix))
        return (entry for entry in entries if entry.size or entry.key.rpartition("/")[2])

    def stat(self, key: str) -> LakeEntry | None:
        """Asks for a listing: the answer to a HEAD request is the same for no object and for no bucket."""
        first = next(self._listed(self._name(key), page_size=1), None)
        return first if first and first.key == key else None

    def read_bytes(self, key: str) -> bytes:
        return self._done("Reading", key, partial(self._content, self._name(key)))

    def open(self, key: str) -> io.BufferedReader:
        name = self._name(key)
        head = self._done("Opening", key, partial(self._client.head_object, Bucket=self._bucket, Key=name))

        def content(first: int, last: int) -> bytes:
            asked = partial(self._content, name, Range=f"bytes={first}-{last}", IfMatch=head["ETag"])
            return self._done("Reading", key, asked)

        return io.BufferedReader(_RangeReader(content, head["ContentLength"]), READ_AHEAD)

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        name = self._name(key)
        with scratch_path(self._spool, key) as path:
            self._done("Fetching", key, partial(self._client.download_file, self._bucket, name, str(path)))
            yield path

    def put_bytes(self, key: str, data: bytes) -> None:
        name = self._new_name(key)
        self._done("Writing", key, partial(self._client.put_object, Bucket=self._bucket, Key=name, Body=data))

    def create_bytes(self, key: str, data: bytes) -> bool:
        """A request whose answer got lost is sent again, and refused: the mark tells our own object."""
        name, mark = self._new_name(key), uuid.uuid4().hex

        def create() -> bool:
            try:
                self._client.put_object(
                    Bucket=self._bucket, Key=name, Body=data, IfNoneMatch="*", Metadata={CREATED_BY: mark}
                )
            except ClientError as error:
                if status_of(error) != PRECONDITION_FAILED:
                    raise
                return self._mark_of(name) == mark
            return True

        return self._done("Creating", key, create)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        name = self._new_name(key)

        def upload() -> None:
            with path.open("rb") as stream:
                self._client.upload_fileobj(stream, self._bucket, name)

        with scratch_path(self._spool, key) as path:
            yield path
            self._done("Writing", key, upload)

    def copy(self, source: str, target: str, storage_class: str | None = None) -> None:
        """The class is always named: without, other makers' servers take over that of the source."""
        copy = partial(
            self._client.copy,
            {"Bucket": self._bucket, "Key": self._name(source)},
            self._bucket,
            self._new_name(target),
            ExtraArgs=CHECKED | {"StorageClass": storage_class or "STANDARD"},
            Config=COPYING,
        )
        self._done(f"Copying to {target!r}", source, copy)

    def checksum(self, key: str) -> Checksum | None:
        """S3 works it out where an object is copied, by which cold copies are verified."""
        asked = partial(self._client.head_object, Bucket=self._bucket, Key=self._name(key), ChecksumMode="ENABLED")
        head = self._done("Looking up", key, asked)
        digest = head.get("ChecksumSHA256", "").partition("-")[0]
        if not digest:
            return None
        # Only of what is stored in one part there is a SHA-256 of the whole; an ETag says in how many parts it is.
        return Checksum(base64.b64decode(digest).hex(), COPYING.multipart_chunksize if "-" in head["ETag"] else 0)

    def thaw(self, key: str, days: int, tier: str) -> Readiness:
        """A server may keep the name of a class without having cold storage; then everything is readable."""
        name = self._name(key)
        head = self._done("Restoring", key, partial(self._client.head_object, Bucket=self._bucket, Key=name))
        if head.get("StorageClass") not in COLD or 'ongoing-request="false"' in head.get("Restore", ""):
            return Readiness.READABLE
        if head.get("Restore"):
            return Readiness.UNDER_WAY
        request: Any = {"Days": days, "GlacierJobParameters": {"Tier": tier}}

        def restore() -> Readiness:
            try:
                self._client.restore_object(Bucket=self._bucket, Key=name, RestoreRequest=request)
            except ClientError as error:
                if error.response["Error"]["Code"] == "RestoreAlreadyInProgress":
                    return Readiness.UNDER_WAY
                if error.response["Error"]["Code"] in NO_COLD_STORAGE:
                    return Readiness.READABLE
                raise
            return Readiness.ASKED_FOR

        return self._done("Restoring", key, restore)

    def delete(self, key: str) -> None:
        name = self._name(key)
        self._done("Deleting", key, partial(self._client.delete_object, Bucket=self._bucket, Key=name))

    def url(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._root}{key}"

    def is_being_written(self, key: str) -> bool:
        """Never: an object appears in a bucket when it is complete."""
        return False

    def alone(self, what: str, patience_seconds: float) -> AbstractContextManager[None]:
        return nullcontext()

    def sweep(self, everything: bool = False) -> int:
        """The folder for temporary files may be that of other lakes too."""
        return sweep_scratch(self._spool)

    def forget_earlier(self, prefix: str) -> int:
        """A bucket without versioning has none."""
        start, forgotten = self._root + check_prefix(prefix), 0
        asked = partial(self._client.list_object_versions, Bucket=self._bucket, Prefix=start)
        while True:
            page = self._done("Listing versions of", prefix, asked)
            marks = page.get("DeleteMarkers", [])
            earlier = [*(item for item in page.get("Versions", []) if not item["IsLatest"]), *marks]
            if earlier:
                self._done("Deleting earlier versions of", prefix, partial(self._delete_versions, prefix, earlier))
            forgotten += len(earlier)
            if not page["IsTruncated"]:
                return forgotten
            asked = partial(asked, KeyMarker=page["NextKeyMarker"], VersionIdMarker=page["NextVersionIdMarker"])

    def _delete_versions(self, prefix: str, versions: Sequence[Any]) -> None:
        objects: Any = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in versions]
        done = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
        if done.get("Errors"):
            code = done["Errors"][0].get("Code", "")
            raise LakeError(
                f"Deleting earlier versions of {self.url(prefix)!r} failed: S3 answered {code} for "
                f"{len(done['Errors']):,} of them. {ADVICE.get(code, TROUBLE_ADVICE)}"
            )

    def _name(self, key: str) -> str:
        """The object's name in the bucket, where any name that a listing shows will do."""
        return self._root + _encodable(check_key(key, empty_segments=True))

    def _new_name(self, key: str) -> str:
        return self._root + _encodable(check_key(key))

    def _listed(self, start: str, page_size: int = 1000) -> Iterator[LakeEntry]:
        """All the objects whose names in the bucket begin with `start`."""
        asked = partial(self._client.list_objects_v2, Bucket=self._bucket, Prefix=start, MaxKeys=page_size)
        while True:
            page = self._done("Listing", start.removeprefix(self._root), asked)
            for item in page.get("Contents", []):
                key, etag = item["Key"].removeprefix(self._root), item["ETag"].strip('"')
                yield LakeEntry(key, item["Size"], etag, item["LastModified"].astimezone(UTC))
            if not page["IsTruncated"]:
                return
            asked = partial(asked, ContinuationToken=page["NextContinuationToken"])

    def _content(self, name: str, **conditions: Any) -> bytes:
        return self._client.get_object(Bucket=self._bucket, Key=name, **conditions)["Body"].read()

    def _mark_of(self, name: str) -> str | None:
        try:
            return self._client.head_object(Bucket=self._bucket, Key=name)["Metadata"].get(CREATED_BY)
        except ClientError as error:
            if status_of(error) != NOT_FOUND:
                raise
            return None  # deleted meanwhile

    def _done(self, doing: str, key: str, call: Callable[[], T]) -> T:
        """The result of a call that may be made again; what fails all the same is a LakeError."""
        with self._errors(doing, key):
            return persist(call)

    @contextmanager
    def _errors(self, doing: str, key: str) -> Iterator[None]:
        """Turn what S3, boto3 and the disk have to say into LakeErrors.

        The causes are cut off: their texts may quote an endpoint or a proxy together with its password.
        """
        where = self.url(key)
        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] in NO_SUCH_KEY and self.stat(key) is None:
                raise LakeKeyError(f"There is no object {where!r} in the lake.") from None
            if error.response["Error"]["Code"] == "InvalidObjectState":
                raise LakeFrozenError(
                    f"{doing} {where!r} failed: the object is in cold storage. Restore it first (`alumni restore`)."
                ) from None
            kind = LakeUnavailableError if _concerns_all(error) else LakeError
            raise kind(f"{doing} {where!r} failed: {_answer(error)}") from None
        except NETWORK_ERRORS:
            endpoint = _without_password(self._client.meta.endpoint_url)
            raise LakeUnavailableError(
                f"{doing} {where!r} failed: S3 did not answer at {endpoint}. "
                "Check the network, and AWS_ENDPOINT_URL if it is set."
            ) from None
        except (BotoCoreError, Boto3Error) as error:
            raise LakeError(f"{doing} {where!r} failed: {type(error).__name__}. {SETTINGS_ADVICE}") from None
        except OSError as error:
            raise os_failure(doing, where, error) from None


def client_from(factory: Callable[[], "S3Client"]) -> "S3Client":
    """The client that the factory makes, prepared for the lake's calls.

    Raises LakeError where the AWS settings do not allow it.
    """
    try:
        client = factory()
    except (BotoCoreError, ValueError) as error:  # no such profile; an endpoint that is no URL
        raise LakeError(f"A client for S3 cannot be made: {type(error).__name__}. {SETTINGS_ADVICE}") from None
    prepare(client)
    return client


class _RangeReader(io.RawIOBase):
    """An object as a file that fetches what it is asked for: `content(first, last)`, positions included."""

    def __init__(self, content: Callable[[int, int], bytes], size: int) -> None:
        self._content = content
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self._take(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._take(self._size)

    def _take(self, wanted: int) -> bytes:
        last = min(self._position + wanted, self._size) - 1
        if last < self._position:  # at the end: S3 refuses an empty range
            return b""
        data = self._content(self._position, last)
        self._position += len(data)
        return data


def _answer(error: ClientError) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    advice = TROUBLE_ADVICE if is_passing(error) else ADVICE.get(code, SETTINGS_ADVICE)
    return f"S3 answered {code} ({message}) to {error.operation_name}. {advice}"


def _concerns_all(error: ClientError) -> bool:
    """Whether S3 would have refused whatever was asked for: it is in trouble, or does not know the bucket or us."""
    return is_passing(error) or error.response["Error"]["Code"] in REFUSES_ALL


def _encodable(key: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError:
        raise LakeError(f"A bucket cannot hold the key {key!r}: names in S3 are UTF-8. Rename the file.") from None
    return key


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
