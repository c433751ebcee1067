"""Sending by Amazon SES, over HTTP, on a stand-in for AWS."""

from email import message_from_string
from email.message import EmailMessage
from email.policy import default

import boto3
import pytest

from alumni_assets.report import channels
from alumni_assets.report.configuration import ReportSettings
from alumni_assets.report.sending import refusals
from alumni_assets_tests import moto_server
from alumni_assets_tests.lake.conftest import set_aws
from alumni_assets_tests.report.offices import ANA, BEN, SURVEY, Office, parts, states

pytestmark = pytest.mark.server
TWO = ReportSettings((ANA, BEN), "ses", SURVEY, None)


@pytest.fixture
def ses(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an SES that knows the sender."""
    set_aws(monkeypatch, aws_server)
    moto_server.forget(aws_server)
    boto3.Session().client("ses").verify_email_identity(EmailAddress=SURVEY)
    return aws_server


@pytest.fixture
def ready(office: Office) -> Office:
    office.write_down()
    return office


def received(ses: str) -> list[EmailMessage]:
    sent = moto_server.kept(ses, "ses", "RawMessage")
    mails = [message_from_string(mail["raw_data"], policy=default) for mail in sent]
    return [mail for mail in mails if isinstance(mail, EmailMessage)]


def test_everybody_gets_one_message(ready: Office, ses: str) -> None:
    assert states(ready.release(TWO)) == ["sent", "sent"]
    assert ready.release(TWO).sent == 0
    mails = received(ses)
    assert [(mail["From"], mail["To"]) for mail in mails] == [(SURVEY, ANA), (SURVEY, BEN)]
    assert len({mail["Message-ID"] for mail in mails}) == 2
    for mail in mails:
        assert len(parts(mail, "image/png")) == len(parts(mail, "application/pdf")) == 1


def test_a_sender_that_is_not_verified_is_refused_for_good(ready: Office, ses: str) -> None:
    unknown = ReportSettings((ANA,), "ses", "unknown@school.edu.ph", None)
    sending = ready.release(unknown)
    assert states(sending) == ["refused"]
    assert sending.outcomes[0].reason.startswith(
        "Amazon SES refused the message (MessageRejected). Check that the sender"
    )
    assert "a***@school.edu.ph" in refusals([sending])
    assert "unknown@" not in refusals([sending])
    ready.clock.pass_by(hours=9)
    assert ready.retry(unknown)[0].sent == 0
    assert received(ses) == []


def test_a_network_that_is_down_is_tried_again(ready: Office, ses: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as down:
        down.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        sending = ready.release(TWO)
    assert states(sending) == ["to be sent again"] * 2
    assert sending.outcomes[0].reason.startswith("Amazon SES cannot be reached (EndpointConnectionError).")
    ready.clock.pass_by(minutes=1)
    assert states(ready.retry(TWO)[0]) == ["sent"] * 2


def test_without_a_region_that_is_said(ready: Office, ses: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "(NoRegionError)" in ready.release(TWO).outcomes[0].reason


def test_being_held_back_is_no_refusal(ready: Office, ses: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    def throttle(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "TooManyRequestsException"}}, "SendEmail")

    class Held:
        send_email = throttle

    with monkeypatch.context() as held:
        held.setattr(channels.ReportBySes, "_client", Held())
        assert states(ready.release(TWO)) == ["to be sent again"] * 2
    ready.clock.pass_by(minutes=1)
    assert states(ready.retry(TWO)[0]) == ["sent"] * 2
