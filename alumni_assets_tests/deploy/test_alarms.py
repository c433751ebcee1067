"""What alarms.yaml made: which line of the log or which figure of AWS's leads to which alarm, and whom it tells.

The account on this machine counts no lines of a log; what counts them is looked at, and the figures are put in by hand.
"""

import json

import pytest

from alumni_assets_tests.deploy.conftest import ACCOUNT, REGION, Cloud
from alumni_assets_tests.deploy.templates import resources

pytestmark = [pytest.mark.server, pytest.mark.slow]
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alumni-alarms"
# By the name of what counts them: which lines, what the count is called, and the alarm that it raises.
COUNTED = {
    "run_failed": ('{ $.event = "run_failed" }', "FailedRuns", "alumni-run-failed"),
    "upload_rejected": ('{ $.event = "upload_rejected" }', "RejectedUploads", "alumni-upload-rejected"),
    "message_not_understood": (
        '{ $.event = "message_not_understood" }',
        "MessagesNotUnderstood",
        "alumni-message-not-understood",
    ),
    "daemon_error": (
        '{ $.level = "error" && $.logger = "dagster.daemon.*" }',
        "DaemonErrors",
        "alumni-sensor-broken",
    ),
}


def test_lines_of_the_log_are_counted(account: Cloud) -> None:
    found = account.root.client("logs").describe_metric_filters(logGroupName="/alumni/services")["metricFilters"]
    assert {some["filterName"]: (some["filterPattern"], some["metricTransformations"]) for some in found} == {
        name: (
            pattern,
            [{"metricNamespace": "alumni", "metricName": metric, "metricValue": "1", "defaultValue": 0.0}],
        )
        for name, (pattern, metric, _) in COUNTED.items()
    }


@pytest.mark.parametrize("name", COUNTED)
def test_what_was_counted_raises_an_alarm_that_the_engineer_is_told_of(account: Cloud, name: str) -> None:
    _, metric, alarm = COUNTED[name]
    cloudwatch, sqs, sns = (account.root.client(service) for service in ("cloudwatch", "sqs", "sns"))
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:engineer-{name}"
    letting_in = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**letting_in, "Resource": arn}]}
    queue = sqs.create_queue(QueueName=f"engineer-{name}", Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
    told = sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arn)
    for value in (0, 1):
        cloudwatch.put_metric_data(Namespace="alumni", MetricData=[{"MetricName": metric, "Value": value}])
    (found,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    assert found["StateValue"] == "ALARM"
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    (message,) = [json.loads(json.loads(message["Body"])["Message"]) for message in messages]
    assert (message["AlarmName"], message["NewStateValue"]) == (alarm, "ALARM")
    sns.unsubscribe(SubscriptionArn=told["SubscriptionArn"])


@pytest.mark.parametrize(
    ("alarm", "metric", "queue", "threshold"),
    [
        ("alumni-dead-letters", "ApproximateNumberOfMessagesVisible", "alumni-uploads-dead", 1),
        ("alumni-uploads-wait", "ApproximateAgeOfOldestMessage", "alumni-uploads", 3600),
    ],
)
def test_queues_are_watched(account: Cloud, alarm: str, metric: str, queue: str, threshold: int) -> None:
    (found,) = account.root.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    assert (found["Namespace"], found["MetricName"], found["Threshold"]) == ("AWS/SQS", metric, threshold)
    assert found["Dimensions"] == [{"Name": "QueueName", "Value": queue}]
    assert account.root.client("sqs").get_queue_url(QueueName=queue)
    assert found["AlarmActions"] == [TOPIC]


def test_the_template_has_an_alarm_for_a_sensor_that_no_longer_looks() -> None:
    """Whether it is nought or missing how often the queue was looked into."""
    found = resources("alarms")["SensorIdle"]["Properties"]
    looks, *counted = found["Metrics"]
    assert looks["Expression"] == "FILL(empty, 0) + FILL(full, 0)"
    assert [(some["Id"], some["MetricStat"]["Metric"]["MetricName"]) for some in counted] == [
        ("empty", "NumberOfEmptyReceives"),
        ("full", "NumberOfMessagesReceived"),
    ]
    assert (found["Threshold"], found["ComparisonOperator"]) == (1, "LessThanThreshold")
    assert (found["TreatMissingData"], found["EvaluationPeriods"]) == ("breaching", 6)


def test_nobody_but_cloudwatch_tells_of_alarms_and_the_engineer_is_asked_to_listen(account: Cloud) -> None:
    sns = account.root.client("sns")
    policy = json.loads(sns.get_topic_attributes(TopicArn=TOPIC)["Attributes"]["Policy"])
    publishing = [some for some in policy["Statement"] if some["Effect"] == "Allow" and "sns:Publish" in some["Action"]]
    assert [some["Principal"] for some in publishing] == [{"Service": "cloudwatch.amazonaws.com"}]
    assert publishing[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
    assert ("email", "engineer@university.example") in [(some["Protocol"], some["Endpoint"]) for some in subscriptions]
