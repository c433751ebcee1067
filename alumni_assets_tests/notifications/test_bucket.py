"""The book in a bucket: the same promises where creating an object is a request to a server."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from alumni_assets.resources.lake import Lake, open_lake
from alumni_assets_tests.lake.conftest import set_aws
from alumni_assets_tests.notifications.conftest import World
from alumni_assets_tests.notifications.stand_ins import Inbox

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.server


@pytest.fixture
def client(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> "S3Client":
    import boto3

    set_aws(monkeypatch, aws_server)
    return boto3.Session().client("s3")


@pytest.fixture
def bucket(client: "S3Client") -> str:
    name = f"lake-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def world_in_bucket(world: World, client: "S3Client", bucket: str, tmp_path: Path) -> World:
    lake: Lake = open_lake(f"s3://{bucket}/surveys", lambda: client, tmp_path / "spool")
    world.lake = lake  # type: ignore[assignment]
    return world


def test_each_event_is_told_once(world_in_bucket: World) -> None:
    inbox = Inbox()
    world_in_bucket.tell(inbox)
    for number in range(3):
        world_in_bucket.story.is_rejected(f"{number}.csv")
        world_in_bucket.tell(inbox)
        world_in_bucket.tell(inbox)
    assert inbox.subjects == ["1 upload rejected"] * 3
    assert inbox.repeated == 0


def test_many_notifiers_at_once_send_each_message_once(world_in_bucket: World) -> None:
    inbox = Inbox()
    world_in_bucket.tell(inbox)
    for number in range(3):
        world_in_bucket.story.is_rejected(f"{number}.csv")
        with ThreadPoolExecutor(4) as pool:
            for look in [pool.submit(world_in_bucket.tell, inbox) for _ in range(4)]:
                look.result()
    assert inbox.subjects == ["1 upload rejected"] * 3
    assert inbox.repeated == 0


def test_a_bucket_that_is_gone_is_an_outage(world_in_bucket: World, client: "S3Client", bucket: str) -> None:
    inbox = Inbox()
    world_in_bucket.tell(inbox)
    for item in client.list_objects_v2(Bucket=bucket)["Contents"]:
        client.delete_object(Bucket=bucket, Key=item["Key"])
    client.delete_bucket(Bucket=bucket)
    for _ in range(3):
        assert "NoSuchBucket" in world_in_bucket.tell(inbox).outage
    assert inbox.subjects == ["The lake cannot be read"]
