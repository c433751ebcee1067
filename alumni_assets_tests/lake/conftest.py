"""The same lake three times: in a folder, and in buckets of two S3 servers on this machine, over HTTP.

All come with ways to do behind the lake's back what people and programs do to a folder or a bucket.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

import pytest

from alumni_assets.resources.lake import FolderLake, Lake, open_lake
from alumni_assets_tests import moto_server
from alumni_assets_tests.lake import seaweedfs
from alumni_assets_tests.lake.seaweedfs import SeaweedFS

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client

ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG"
PREFIX = "surveys/alumni lake"


class Place(ABC):
    """Where a lake is. `spool` holds what is not yet complete.

    `has_cold_storage` is whether what lies in a cold class has to be asked for.
    """

    lake: Lake
    location: str
    spool: Path
    has_cold_storage = False

    @abstractmethod
    def plant(self, key: str, data: bytes) -> None:
        """Put an object there without the lake."""

    @abstractmethod
    def remove(self) -> None:
        """Take the whole place away."""

    def shown(self, key: str) -> str:
        """The key under which an object is found that was put there under this one."""
        return key


class FolderPlace(Place):
    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.root = root
        self.location = str(root)
        self.spool = root / ".incoming"
        self.lake = FolderLake(root)

    def plant(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def remove(self) -> None:
        self.root.rename(self.root.with_name("unmounted"))


class BucketPlace(Place):
    """A bucket of moto's, which takes Amazon's part."""

    has_cold_storage = True

    def __init__(self, client: "S3Client", spool: Path, prefix: str = PREFIX) -> None:
        self.client = client
        self.bucket = f"lake-{uuid4().hex[:12]}"
        self.prefix = f"{prefix}/" if prefix else ""
        self.spool = spool
        client.create_bucket(Bucket=self.bucket)
        self.location = f"s3://{self.bucket}/{prefix}"
        self.lake = open_lake(self.location, lambda: client, spool)

    def plant(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data)

    def names(self) -> list[str]:
        """Everything in the bucket, by its full name."""
        return [item["Key"] for item in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def remove(self) -> None:
        for name in self.names():
            self.client.delete_object(Bucket=self.bucket, Key=name)
        self.client.delete_bucket(Bucket=self.bucket)


class SeaweedBucketPlace(BucketPlace):
    """A bucket of SeaweedFS, which keeps objects in folders: a backslash is a slash there, and no name is empty."""

    has_cold_storage = False

    def __init__(self, server: SeaweedFS, client: "S3Client", spool: Path) -> None:
        super().__init__(client, spool)
        server.make_room(self.bucket)

    def shown(self, key: str) -> str:
        return re.sub(r"[/\\]+", "/", key)


def set_aws(environment: pytest.MonkeyPatch, endpoint: str) -> None:
    """Set an endpoint and made-up credentials, so that nothing of the machine's own AWS settings counts."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        environment.delenv(name)
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    environment.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
    environment.setenv("AWS_CONFIG_FILE", os.devnull)
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


def client_of(endpoint: str) -> "S3Client":
    """A client of the S3 server at that address, as the lake has one."""
    from alumni_assets.resources.s3_calls import client_config

    with pytest.MonkeyPatch.context() as environment:
        set_aws(environment, endpoint)
        return _session().client("s3", endpoint_url=endpoint, config=client_config())


@cache
def _session() -> "boto3.Session":
    """One for all clients, because it reads what S3 can do, which takes its time."""
    import boto3

    return boto3.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")


@pytest.fixture(autouse=True)
def aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here can reach AWS, whatever it forgets."""
    set_aws(monkeypatch, "http://127.0.0.1:9")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server of moto's."""
    with moto_server.serving(tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture(scope="session")
def s3_client(s3_server: str) -> "S3Client":
    """A client of that server, made once because that takes its time."""
    return client_of(s3_server)


@pytest.fixture(scope="session")
def seaweedfs_server(
    tmp_path_factory: pytest.TempPathFactory, lacking: Callable[[str], NoReturn]
) -> Iterator[SeaweedFS]:
    """A SeaweedFS on this machine."""
    if not seaweedfs.PROGRAM.exists():
        lacking("There is no SeaweedFS on this machine: `make cloud` installs it")
    with seaweedfs.serving(tmp_path_factory.mktemp("seaweedfs"), ACCESS_KEY, SECRET_KEY) as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs_client(seaweedfs_server: SeaweedFS) -> "S3Client":
    """A client of that server."""
    return client_of(seaweedfs_server.endpoint)


@pytest.fixture
def bucket_place(s3_server: str, s3_client: "S3Client", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BucketPlace:
    set_aws(monkeypatch, s3_server)
    return BucketPlace(s3_client, tmp_path / "spool")


@pytest.fixture
def seaweedfs_place(
    seaweedfs_server: SeaweedFS, seaweedfs_client: "S3Client", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SeaweedBucketPlace:
    set_aws(monkeypatch, seaweedfs_server.endpoint)
    return SeaweedBucketPlace(seaweedfs_server, seaweedfs_client, tmp_path / "spool")


BUCKETS = [pytest.param(name, marks=pytest.mark.server) for name in ("bucket_place", "seaweedfs_place")]


@pytest.fixture(params=BUCKETS)
def any_bucket(request: pytest.FixtureRequest) -> BucketPlace:
    """A bucket of either server."""
    found: BucketPlace = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def folder_place(tmp_path: Path) -> FolderPlace:
    return FolderPlace(tmp_path / "lake")


@pytest.fixture(params=["folder_place", *BUCKETS])
def place(request: pytest.FixtureRequest) -> Place:
    """A place of any kind."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def lake(place: Place) -> Lake:
    return place.lake
