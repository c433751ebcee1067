"""What each role may do, as calls: those that must succeed, and those that must be refused.

The lists are written by hand, beside the templates, so that neither can change without the other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError

from alumni_assets_tests.deploy.conftest import ACCOUNT, BUCKET, ROLES, TOPIC

_MISTAKES = ("ReceiptHandleIsInvalid", "InvalidObjectState", "NoSuchKey")  # which come after the right is looked at
_REFUSALS = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")
FOLDERS = ("raw", "pinned", "valid", "invalid", "transformed", "archive", "published", "reports", "sheet", "spark")
FACTS = (
    "seen", "arrivals", "ingested", "attempts", "decisions", "transformed", "waivers", "notices", "reports", "exports",
)  # fmt: skip
EVERYWHERE = tuple(f"{folder}/" for folder in FOLDERS) + tuple(f"register/{kind}/" for kind in FACTS)


@dataclass(frozen=True)
class Rights:
    """The places in the lake that a role may list, read, write and delete in, and what else it may do by name."""

    lists: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    others: tuple[str, ...] = field(default=())


_REGISTER = tuple(f"register/{kind}/" for kind in FACTS)
RIGHTS = {
    "services": Rights(
        others=tuple(
            f"become {name}" for name in ("uploader", "ingest", "transform", "archive", "warehouse", "notifier")
        )
    ),
    "uploader": Rights(
        lists=("raw/", "raw/sheet/", "sheet/", "register/exports/", "register/seen/"),
        reads=("raw/sheet/", "sheet/", "register/exports/"),
        writes=("raw/", "raw/sheet/", "sheet/", "register/exports/"),
        deletes=("sheet/",),
    ),
    "ingest": Rights(
        lists=("raw/", "raw/sheet/", *_REGISTER, "pinned/", "valid/", "invalid/"),
        reads=("raw/", "raw/sheet/", *_REGISTER, "pinned/", "valid/", "invalid/"),
        writes=(
            "pinned/", "valid/", "invalid/",
            "register/seen/", "register/arrivals/", "register/ingested/", "register/attempts/",
        ),
        deletes=("invalid/", "register/attempts/"),
        others=("receive", "delete message"),
    ),
    "transform": Rights(
        lists=(*_REGISTER, "valid/", "transformed/"),
        reads=(*_REGISTER, "valid/", "transformed/"),
        writes=("transformed/", "register/decisions/", "register/transformed/"),
    ),
    "archive": Rights(
        lists=(*_REGISTER, "pinned/", "transformed/", "archive/"),
        reads=(*_REGISTER, "pinned/", "transformed/", "archive/"),
        writes=("archive/",),
    ),
    "warehouse": Rights(
        lists=(*_REGISTER, "transformed/", "valid/", "invalid/", "published/"),
        reads=(*_REGISTER, "transformed/", "valid/", "invalid/", "published/"),
        writes=("published/",),
        deletes=("published/alumni.duckdb.wal",),
    ),
    "notifier": Rights(
        lists=("raw/", "raw/sheet/", *_REGISTER, "published/", "reports/"),
        reads=(*_REGISTER, "published/", "reports/"),
        writes=("register/notices/", "register/reports/", "reports/"),
        others=("publish",),
    ),
}  # fmt: skip


def is_refused(call: Callable[[], Any]) -> bool:
    """Whether a call is refused for want of a right; other errors are raised."""
    try:
        call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in (*_REFUSALS, *_MISTAKES):
            raise
        return code in _REFUSALS
    return False


def refused_calls(session: boto3.Session, queue: str) -> set[str]:
    """Of all calls that any role may make, and some that none may, those that are refused in this session."""
    return {name for name, call in _calls(session, queue).items() if is_refused(call)}


def expected_refusals(rights: Rights) -> set[str]:
    """Those that should be."""
    allowed = {f"list {place}" for place in rights.lists}
    allowed |= {f"read {place}" for place in rights.reads}
    allowed |= {f"write {place}" for place in rights.writes}
    allowed |= {f"delete {place}" for place in rights.deletes}
    allowed |= set(rights.others)
    return set(_names()) - allowed


def _names() -> list[str]:
    return list(_calls(boto3.Session("none", "none", region_name="us-east-1"), "https://none/none"))


def _calls(session: boto3.Session, queue: str) -> dict[str, Callable[[], Any]]:
    s3, sqs, sns, sts, iam = (session.client(name) for name in ("s3", "sqs", "sns", "sts", "iam"))  # type: ignore[call-overload]
    places = (*EVERYWHERE, "raw/sheet/")
    calls: dict[str, Callable[[], Any]] = {
        "list ": lambda: s3.list_objects_v2(Bucket=BUCKET),
        "list buckets": s3.list_buckets,
        "delete published/alumni.duckdb.wal": lambda: s3.delete_object(
            Bucket=BUCKET, Key="published/alumni.duckdb.wal"
        ),
        "write outside": lambda: s3.put_object(Bucket=BUCKET, Key="elsewhere", Body=b""),
        "change the policy": lambda: s3.delete_bucket_policy(Bucket=BUCKET),
        "restore": lambda: s3.restore_object(
            Bucket=BUCKET,
            Key="archive/kept",
            RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}},
        ),
        "delete a version": lambda: s3.delete_object(Bucket=BUCKET, Key="archive/kept", VersionId="null"),
        "receive": lambda: sqs.receive_message(QueueUrl=queue),
        "delete message": lambda: sqs.delete_message(QueueUrl=queue, ReceiptHandle="AQEB"),
        "send": lambda: sqs.send_message(QueueUrl=queue, MessageBody="{}"),
        "purge": lambda: sqs.purge_queue(QueueUrl=queue),
        "publish": lambda: sns.publish(TopicArn=TOPIC, Message="tests"),
        "subscribe": lambda: sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint="arn:aws:sqs:x:1:y"),
        "look at roles": lambda: iam.get_role(RoleName="alumni-archive"),
        "become an administrator": lambda: sts.assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/administrator", RoleSessionName="tests"
        ),
    }
    for place in places:
        calls[f"list {place}"] = lambda place=place: s3.list_objects_v2(Bucket=BUCKET, Prefix=place)
        calls[f"read {place}"] = lambda place=place: s3.get_object(Bucket=BUCKET, Key=f"{place}kept")
        calls[f"write {place}"] = lambda place=place: s3.put_object(Bucket=BUCKET, Key=f"{place}written", Body=b"")
        calls[f"delete {place}"] = lambda place=place: s3.delete_object(Bucket=BUCKET, Key=f"{place}written")
    for name in ("uploader", "ingest", "transform", "archive", "warehouse", "notifier"):
        calls[f"become {name}"] = lambda name=name: sts.assume_role(RoleArn=f"{ROLES}{name}", RoleSessionName="tests")
    return calls
