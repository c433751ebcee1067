"""SNS over HTTP on a stand-in for AWS, read from a queue that subscribes to the topic."""

from collections.abc import Callable

import pytest

from alumni_assets.notifications.channels import ChannelError, Message, SnsChannel
from alumni_assets_tests.notifications.conftest import World
from alumni_assets_tests.notifications.servers import Topic
from alumni_assets_tests.notifications.stand_ins import NOON

pytestmark = pytest.mark.server
MESSAGE = Message("0123abcd", "upload_rejected", "1 upload rejected", "Señor Ñ’s file: 3 × empty", NOON)

NewTopic = Callable[[str], Topic]


def refusal(arn: str) -> str:
    with pytest.raises(ChannelError) as error:
        SnsChannel(arn).send(MESSAGE)
    return str(error.value)


def test_a_message_arrives_with_its_id_and_its_event(new_topic: NewTopic) -> None:
    topic = new_topic("alumni")
    SnsChannel(topic.arn).send(MESSAGE)
    (received,) = topic.received()
    assert received["Subject"] == "[Alumni survey] 1 upload rejected"
    assert received["Message"] == "Señor Ñ’s file: 3 × empty\n\n-- \nNotice 0123abcd\n"
    assert received["MessageAttributes"] == {
        "notice_id": {"Type": "String", "Value": "0123abcd"},
        "event": {"Type": "String", "Value": "upload_rejected"},
    }


def test_a_fifo_topic_drops_what_is_repeated(new_topic: NewTopic) -> None:
    topic = new_topic("alumni.fifo")
    for _ in range(3):
        SnsChannel(topic.arn).send(MESSAGE)
    assert len(topic.received()) == 1


def test_the_region_is_the_topic_s_own(new_topic: NewTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = new_topic("alumni")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    SnsChannel(topic.arn).send(MESSAGE)
    assert len(topic.received()) == 1


def test_a_topic_that_is_gone_is_said(new_topic: NewTopic) -> None:
    topic = new_topic("alumni")
    topic.delete()
    assert refusal(topic.arn) == "SNS refused the message (NotFound). Check the topic and the permissions."


def test_a_network_that_is_down_is_said_at_once() -> None:
    """The environment of these tests names an address that nobody listens at."""
    assert refusal("arn:aws:sns:us-east-1:123456789012:alumni") == (
        "SNS cannot be reached (EndpointConnectionError). Check the network and the AWS credentials."
    )


def test_missing_credentials_are_said(new_topic: NewTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = new_topic("alumni")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert (
        refusal(topic.arn) == "SNS cannot be reached (NoCredentialsError). Check the network and the AWS credentials."
    )


def test_a_notice_that_could_not_be_published_is_published_later(new_topic: NewTopic, world: World) -> None:
    topic = new_topic("alumni")
    channel = SnsChannel(topic.arn)
    world.tell(channel)
    world.story.is_rejected("a.csv")
    topic.delete()
    assert world.tell(channel).failures != ()
    topic = new_topic("alumni")
    world.clock.pass_by(minutes=1)
    assert world.tell(channel).sent == 1
    assert len(topic.received()) == 1
