"""What storage.yaml and queue.yaml made: properties of the bucket, the queue and the topic that are there.

The account on this machine makes no lifecycle rules and no access log; those are read in the template.
"""

import json

import pytest

from alumni_assets_tests.deploy.conftest import ACCOUNT, BUCKET, REGION, TOPIC, Cloud
from alumni_assets_tests.deploy.templates import resources

pytestmark = [pytest.mark.server, pytest.mark.slow]
BUCKETS = (BUCKET, f"alumni-access-log-{ACCOUNT}")


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_are_encrypted_versioned_and_closed_to_the_public(account: Cloud, bucket: str) -> None:
    s3 = account.root.client("s3")
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    assert len(block) == 4
    (owner,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert owner["ObjectOwnership"] == "BucketOwnerEnforced"


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_are_reached_by_tls_only(account: Cloud, bucket: str) -> None:
    policy = json.loads(account.root.client("s3").get_bucket_policy(Bucket=bucket)["Policy"])
    refused = next(statement for statement in policy["Statement"] if statement["Sid"] == "TlsOnly")
    assert refused == {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_what_is_put_under_raw_is_told_to_the_queue_and_nothing_else(account: Cloud) -> None:
    s3, sqs = account.root.client("s3"), account.root.client("sqs")
    (queue,) = s3.get_bucket_notification_configuration(Bucket=BUCKET)["QueueConfigurations"]
    assert queue["QueueArn"] == f"arn:aws:sqs:{REGION}:{ACCOUNT}:alumni-uploads"
    sqs.purge_queue(QueueUrl=account.queue)
    for key in ("pinned/a.csv", "raw/told.csv", "archive/raw/a.csv"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    messages = sqs.receive_message(QueueUrl=account.queue, MaxNumberOfMessages=10)["Messages"]
    records = [json.loads(message["Body"])["Records"] for message in messages]
    assert [record["s3"]["object"]["key"] for some in records for record in some] == ["raw/told.csv"]
    for message in messages:
        sqs.delete_message(QueueUrl=account.queue, ReceiptHandle=message["ReceiptHandle"])


def test_a_message_that_comes_back_too_often_goes_to_the_dead_letters(account: Cloud) -> None:
    sqs = account.root.client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=account.queue, AttributeNames=["All"])["Attributes"]
    assert json.loads(found["RedrivePolicy"]) == {
        "deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:alumni-uploads-dead",
        "maxReceiveCount": 10,
    }
    for url in (account.queue, account.dead_letters):
        kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert (kept["SqsManagedSseEnabled"], kept["MessageRetentionPeriod"]) == ("true", str(14 * 24 * 3600))


def test_the_topic_is_encrypted_and_lets_in_only_whom_the_account_lets(account: Cloud) -> None:
    found = account.root.client("sns").get_topic_attributes(TopicArn=TOPIC)["Attributes"]
    allowed = [statement for statement in json.loads(found["Policy"])["Statement"] if statement["Effect"] == "Allow"]
    assert [statement["Principal"] for statement in allowed] == [{"AWS": f"arn:aws:iam::{ACCOUNT}:root"}]
    assert resources("queue")["Notices"]["Properties"]["KmsMasterKeyId"] == "alias/aws/sns"


def test_the_template_keeps_versions_and_a_log_for_a_while_and_the_buckets_for_ever() -> None:
    lake, log = resources("storage")["Lake"], resources("storage")["AccessLog"]
    rules = {rule["Id"]: rule for rule in lake["Properties"]["LifecycleConfiguration"]["Rules"]}
    assert rules["versions-go"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": "KeptVersionsDays"}
    assert rules["query-results-go"]["ExpirationInDays"] == 7
    assert {rule.get("Prefix") for rule in rules.values() if "ExpirationInDays" in rule} == {
        "athena/", "spark/", "logs/",
    }  # fmt: skip
    assert lake["Properties"]["LoggingConfiguration"]["DestinationBucketName"] == "AccessLog"
    assert {lake["DeletionPolicy"], log["DeletionPolicy"]} == {"Retain"}
