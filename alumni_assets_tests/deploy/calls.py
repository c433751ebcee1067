"""What each role may do, as calls: those that must succeed, and those that must be refused.

The lists are written by hand, beside the templates, so that neither can change without the other.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import ClientError

from alumni_assets_tests.deploy.conftest import ACCOUNT, BUCKET, REGION, ROLES, TOPIC

# Which come after the right is looked at.
_MISTAKES = (
    "ReceiptHandleIsInvalid", "InvalidObjectState", "NoSuchKey", "NoSuchUpload", "EntityNotFoundException",
    "AlreadyExistsException", "ResourceAlreadyExistsException", "ResourceNotFoundException",
)  # fmt: skip
_REFUSALS = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")
FOLDERS = (
    "raw", "pinned", "valid", "invalid", "transformed", "archive", "published", "reports", "sheet", "spark", "glue",
    "athena", "catalog", "logs",
)  # fmt: skip
_WITHIN = ("raw/sheet/", "athena/readers/")
FACTS = (
    "seen", "arrivals", "ingested", "attempts", "decisions", "transformed", "waivers", "notices", "reports", "exports",
    "erasures", "rewritten",
)  # fmt: skip
EVERYWHERE = tuple(f"{folder}/" for folder in FOLDERS) + tuple(f"register/{kind}/" for kind in FACTS) + _WITHIN
_COMPONENTS = ("uploader", "ingest", "transform", "archive", "warehouse", "notifier", "retention")
_JOB = ("start the job", "look at the job", "stop the job", "look for the job's log", "look at the job's log")
# What the account on this machine holds to other rules than AWS does; its simulator of policies does not.
_SIMULATED = {
    "send reports": ("ses:SendEmail", "ses", "identity/reports@example.org"),
    "send reports as written": ("ses:SendRawEmail", "ses", "identity/reports@example.org"),
    "send in another name": ("ses:SendEmail", "ses", "identity/president@example.org"),
    "look at the database": ("glue:GetDatabase", "glue", "database/alumni"),
    "look at one table": ("glue:GetTable", "glue", "table/alumni/transformed"),
    "look at a table elsewhere": ("glue:GetTable", "glue", "table/other/transformed"),
    "change one table": ("glue:UpdateTable", "glue", "table/alumni/transformed"),
    **{
        f"{doing} of {group}": (f"athena:{action}", "athena", f"workgroup/{group}")
        for group in ("alumni", "alumni-readers", "primary")
        for doing, action in {
            "look at a query": "GetQueryExecution",
            "get the rows": "GetQueryResults",
            "stop a query": "StopQueryExecution",
        }.items()
    },
}
_QUERIES = ("query", "look at a query of", "get the rows of", "stop a query of")
_LOGS = {"services": "/alumni/services", "spark": "/alumni/spark/output", "Spark's errors": "/alumni/spark/error"}


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
    "services": Rights(writes=("logs/",), others=tuple(f"become {name}" for name in _COMPONENTS)),
    "uploader": Rights(
        lists=("raw/", "raw/sheet/", "sheet/", "register/exports/", "register/seen/", "register/rewritten/"),
        reads=("raw/sheet/", "sheet/", "register/exports/"),
        writes=("raw/", "raw/sheet/", "sheet/", "register/exports/"),
        deletes=("sheet/",),
    ),
    "ingest": Rights(
        lists=("raw/", "raw/sheet/", *_REGISTER, "pinned/", "valid/", "invalid/", "spark/"),
        reads=("raw/", "raw/sheet/", *_REGISTER, "pinned/", "valid/", "invalid/", "spark/"),
        writes=(
            "pinned/", "valid/", "invalid/", "spark/",
            "register/seen/", "register/arrivals/", "register/ingested/", "register/attempts/",
            "raw/", "raw/sheet/", "register/rewritten/",
        ),
        deletes=("invalid/", "register/attempts/", "spark/"),
        others=("receive", "delete message", *_JOB),
    ),
    "transform": Rights(
        lists=(*_REGISTER, "valid/", "transformed/", "spark/"),
        reads=(*_REGISTER, "valid/", "transformed/", "spark/"),
        writes=("transformed/", "register/decisions/", "register/transformed/", "spark/"),
        deletes=("spark/",),
        others=_JOB,
    ),
    "archive": Rights(
        lists=(*_REGISTER, "pinned/", "transformed/", "archive/"),
        reads=(*_REGISTER, "pinned/", "transformed/", "archive/"),
        writes=("archive/",),
    ),
    "warehouse": Rights(
        lists=(
            *_REGISTER, "transformed/", "valid/", "invalid/", "published/", "spark/", "athena/", "athena/readers/",
            "catalog/",
        ),
        reads=(
            *_REGISTER, "transformed/", "valid/", "invalid/", "published/", "spark/", "athena/", "athena/readers/",
            "catalog/",
        ),
        writes=("published/", "spark/", "athena/", "athena/readers/", "catalog/"),
        deletes=("published/alumni.duckdb.wal", "spark/"),
        others=(
            *_JOB, "find the bucket", "end parts in published/", "end parts in athena/", "end parts in athena/readers/",
            *(f"{call} alumni" for call in _QUERIES), "look at the database", "look at one table", "change one table",
            "look at a table", "list tables", "list partitions", "make a table", "change a table",
            "drop a table",
        ),
    ),
    "notifier": Rights(
        lists=("raw/", "raw/sheet/", *_REGISTER, "published/", "reports/"),
        reads=(*_REGISTER, "published/", "reports/"),
        writes=("register/notices/", "register/reports/", "reports/"),
        others=("publish", "send reports", "send reports as written"),
    ),
    "retention": Rights(
        lists=("raw/", "raw/sheet/", "pinned/", "invalid/", "archive/", "transformed/", "reports/", *_REGISTER),
        reads=("raw/", "raw/sheet/", "pinned/", "invalid/", "archive/", "transformed/", "reports/", *_REGISTER),
        deletes=("raw/", "raw/sheet/", "pinned/", "invalid/", "reports/"),
    ),
    "daemon": Rights(writes=("logs/",)),
    "webserver": Rights(lists=("logs/",), reads=("logs/",)),
    "execution": Rights(
        others=(
            "sign in to the registry", "fetch the image", "look for layers", "fetch a layer", "fetch the password",
            "fetch the erasure key", "begin the log of services", "write the log of services",
        )
    ),
    "glue": Rights(
        lists=("pinned/", "valid/", "transformed/", "spark/"),
        reads=("pinned/", "valid/", "transformed/", "spark/", "glue/"),
        writes=("spark/",),
        others=(
            "begin the log of spark", "write the log of spark",
            "begin the log of Spark's errors", "write the log of Spark's errors",
        ),
    ),
    "powerbi": Rights(
        lists=("published/", "transformed/", "catalog/", "athena/readers/"),
        reads=("published/", "transformed/", "catalog/", "athena/readers/"),
        writes=("athena/readers/",),
        others=(
            "find the bucket", "end parts in athena/readers/", *(f"{call} alumni-readers" for call in _QUERIES),
            "look at alumni-readers", "look at the database", "look at one table", "look at a table", "list tables",
            "list partitions",
        ),
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


class Calls:
    """All calls that any role may make, and some that none may, in one session; `root` may ask what a role may do."""

    def __init__(self, role: str, session: boto3.Session, root: boto3.Session, queue: str) -> None:
        self._calls = {
            **_on_the_lake(session),
            **_on_queue_and_topic(session, queue),
            **_on_the_rest(session),
            **_simulated(role, root),
        }

    @property
    def names(self) -> set[str]:
        return set(self._calls)

    def refused(self, among: Collection[str]) -> set[str]:
        """Those of these that are refused."""
        return {name for name in self._ordered(among) if is_refused(self._calls[name])}

    def is_any_refused(self, among: Collection[str]) -> bool:
        """Whether one of these is; those that follow it are not made then."""
        return any(is_refused(self._calls[name]) for name in self._ordered(among))

    def _ordered(self, among: Collection[str]) -> list[str]:
        return [name for name in self._calls if name in among]


def allowed(rights: Rights) -> set[str]:
    """The calls that a role with these rights may make."""
    found = {f"list {place}" for place in rights.lists}
    found |= {f"read {place}" for place in rights.reads}
    found |= {f"write {place}" for place in rights.writes}
    found |= {f"delete {place}" for place in rights.deletes}
    return found | set(rights.others)


def _on_the_lake(session: boto3.Session) -> dict[str, Callable[[], Any]]:
    s3 = session.client("s3")
    calls: dict[str, Callable[[], Any]] = {
        "list ": lambda: s3.list_objects_v2(Bucket=BUCKET),
        "list buckets": s3.list_buckets,
        "find the bucket": lambda: s3.get_bucket_location(Bucket=BUCKET),
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
    }
    for place in EVERYWHERE:
        calls[f"list {place}"] = lambda place=place: s3.list_objects_v2(Bucket=BUCKET, Prefix=place)
        calls[f"read {place}"] = lambda place=place: s3.get_object(Bucket=BUCKET, Key=f"{place}kept")
        calls[f"write {place}"] = lambda place=place: s3.put_object(Bucket=BUCKET, Key=f"{place}written", Body=b"")
        calls[f"delete {place}"] = lambda place=place: s3.delete_object(Bucket=BUCKET, Key=f"{place}written")
    for place in ("raw/", "published/", "athena/", "athena/readers/"):
        calls[f"end parts in {place}"] = lambda place=place: s3.abort_multipart_upload(
            Bucket=BUCKET, Key=f"{place}parts", UploadId="none"
        )
    return calls


def _on_queue_and_topic(session: boto3.Session, queue: str) -> dict[str, Callable[[], Any]]:
    sqs, sns = session.client("sqs"), session.client("sns")
    return {
        "receive": lambda: sqs.receive_message(QueueUrl=queue),
        "delete message": lambda: sqs.delete_message(QueueUrl=queue, ReceiptHandle="AQEB"),
        "send": lambda: sqs.send_message(QueueUrl=queue, MessageBody="{}"),
        "purge": lambda: sqs.purge_queue(QueueUrl=queue),
        "publish": lambda: sns.publish(TopicArn=TOPIC, Message="tests"),
        "subscribe": lambda: sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint="arn:aws:sqs:x:1:y"),
    }


def _on_the_rest(session: boto3.Session) -> dict[str, Callable[[], Any]]:
    names = ("sts", "iam", "glue", "athena", "ecr", "logs", "secretsmanager", "ecs", "rds")
    sts, iam, glue, athena, ecr, logs, secrets, ecs, rds = (session.client(name) for name in names)  # type: ignore[call-overload]
    table, image = {"DatabaseName": "alumni"}, {"repositoryName": "alumni"}
    calls: dict[str, Callable[[], Any]] = {
        "look at roles": lambda: iam.get_role(RoleName="alumni-archive"),
        "become an administrator": lambda: sts.assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/administrator", RoleSessionName="tests"
        ),
        "start the job": lambda: glue.start_job_run(JobName="alumni-spark"),
        "look at the job": lambda: glue.get_job_run(JobName="alumni-spark", RunId="none"),
        "stop the job": lambda: glue.batch_stop_job_run(JobName="alumni-spark", JobRunIds=["none"]),
        "look for the job's log": lambda: logs.describe_log_streams(logGroupName=_LOGS["spark"]),
        "look at the job's log": lambda: logs.get_log_events(logGroupName=_LOGS["spark"], logStreamName="tests"),
        "change the job": lambda: glue.update_job(JobName="alumni-spark", JobUpdate={}),
        "start another job": lambda: glue.start_job_run(JobName="other"),
        "look at a table": lambda: glue.get_table(**table, Name="none"),
        "list tables": lambda: glue.get_tables(**table),
        "list partitions": lambda: glue.get_partitions(**table, TableName="none"),
        "make a table": lambda: glue.create_table(**table, TableInput={"Name": "made"}),
        "change a table": lambda: glue.update_table(**table, TableInput={"Name": "made"}),
        "drop a table": lambda: glue.delete_table(**table, Name="none"),
        "look at another database": lambda: glue.get_table(DatabaseName="other", Name="none"),
        "drop the database": lambda: glue.delete_database(Name="alumni"),
        "sign in to the registry": ecr.get_authorization_token,
        "fetch the image": lambda: ecr.batch_get_image(**image, imageIds=[{"imageTag": "none"}]),
        "look for layers": lambda: ecr.batch_check_layer_availability(**image, layerDigests=["none"]),
        "fetch a layer": lambda: ecr.get_download_url_for_layer(**image, layerDigest="none"),
        "delete the image": lambda: ecr.batch_delete_image(**image, imageIds=[{"imageTag": "none"}]),
        "fetch the password": lambda: secrets.get_secret_value(SecretId="alumni-database"),
        "fetch the erasure key": lambda: secrets.get_secret_value(SecretId="alumni-erasure"),
        "fetch another password": lambda: secrets.get_secret_value(SecretId="other"),
        "change the password": lambda: secrets.put_secret_value(SecretId="alumni-database", SecretString="x"),
        "run a container": lambda: ecs.run_task(cluster="alumni", taskDefinition="alumni-code"),
        "delete the database": lambda: rds.delete_db_instance(DBInstanceIdentifier="alumni", SkipFinalSnapshot=True),
    }
    for group in ("alumni", "alumni-readers", "primary"):
        calls[f"query {group}"] = lambda group=group: athena.start_query_execution(
            QueryString="SELECT 1", WorkGroup=group
        )
        calls[f"look at {group}"] = lambda group=group: athena.get_work_group(WorkGroup=group)
    for of, group in _LOGS.items():
        calls[f"begin the log of {of}"] = lambda group=group: logs.create_log_stream(
            logGroupName=group, logStreamName="tests"
        )
        calls[f"write the log of {of}"] = lambda group=group: logs.put_log_events(
            logGroupName=group, logStreamName="tests", logEvents=[{"timestamp": 1, "message": "tests"}]
        )
        calls[f"read the log of {of}"] = lambda group=group: logs.filter_log_events(logGroupName=group)
    for name in RIGHTS:
        calls[f"become {name}"] = lambda name=name: sts.assume_role(RoleArn=f"{ROLES}{name}", RoleSessionName="tests")
    return calls


def _simulated(role: str, root: boto3.Session) -> dict[str, Callable[[], Any]]:
    iam = root.client("iam")

    def ask(action: str, resource: str) -> None:
        answer = iam.simulate_principal_policy(
            PolicySourceArn=f"{ROLES}{role}", ActionNames=[action], ResourceArns=[resource]
        )
        if answer["EvaluationResults"][0]["EvalDecision"] != "allowed":
            raise ClientError({"Error": {"Code": "AccessDenied"}}, action)

    return {
        name: partial(ask, action, f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
        for name, (action, service, resource) in _SIMULATED.items()
    }
