"""E-mail by a real mail server on this machine: encryption, login, and everything that goes wrong."""

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from alumni_assets.notifications.channels import ChannelError, EmailChannel, Message
from alumni_assets.notifications.configuration import MailSettings
from alumni_assets_tests.notifications.conftest import World
from alumni_assets_tests.notifications.servers import PASSWORD, USER, MailServer, running
from alumni_assets_tests.notifications.stand_ins import NOON

pytestmark = pytest.mark.server
ANA, BEN = "ana@school.edu.ph", "ben@school.edu.ph"
MESSAGE = Message("0123abcd", "upload_rejected", "1 upload rejected", "Señor Ñ’s file: 3 × empty", NOON)

Settings = Callable[..., MailSettings]


@pytest.fixture
def settings(mail_server: MailServer, certificate: Path) -> Settings:
    """The settings of the mail server, with some changed."""
    right = MailSettings("127.0.0.1", mail_server.port, USER, PASSWORD, USER, (ANA,), True, str(certificate))
    return lambda **changes: replace(right, **changes)


def send(settings: MailSettings, recipient: str = ANA) -> None:
    EmailChannel(settings, recipient).send(MESSAGE)


def refusal(settings: MailSettings, recipient: str = ANA) -> str:
    with pytest.raises(ChannelError) as error:
        send(settings, recipient)
    return str(error.value).replace(f"{settings.host}:{settings.port}", "SERVER")


def test_a_mail_arrives_encrypted_and_after_a_login(mail_server: MailServer, settings: Settings) -> None:
    send(settings())
    (mail,) = mail_server.mails
    assert mail["Subject"] == "[Alumni survey] 1 upload rejected"
    assert mail["Message-ID"] == "<0123abcd@notices.alumni-assets.invalid>"
    assert mail["From"] == USER
    assert mail["To"] == ANA
    assert mail.get_content().splitlines() == ["Señor Ñ’s file: 3 × empty", "", "-- ", "Notice 0123abcd"]
    assert mail_server.receivers == [[ANA]]
    assert mail_server.logins == 1


def test_a_wrong_password_is_said_with_what_to_do_and_without_the_password(settings: Settings) -> None:
    assert refusal(settings(password="not the password")) == (
        "SERVER refused the login (535). Check ALUMNI_SMTP_USER and ALUMNI_SMTP_PASSWORD; Gmail takes an app password "
        "only."
    )


def test_a_server_that_nobody_vouches_for_is_given_no_password(mail_server: MailServer, settings: Settings) -> None:
    assert refusal(settings(ca_file="")) == (
        "SERVER has a certificate that is not trusted. Check ALUMNI_SMTP_HOST, or name the authority's file in "
        "ALUMNI_SMTP_CA_FILE."
    )
    assert mail_server.logins == 0


def test_a_certificate_for_another_name_is_not_trusted(settings: Settings) -> None:
    assert "not trusted" in refusal(settings(host="localhost"))


def test_a_server_without_encryption_is_given_no_password(settings: Settings) -> None:
    with running(MailServer(None)) as plain:
        assert refusal(settings(port=plain.port)) == (
            "SERVER offers no encryption or no login. Check ALUMNI_SMTP_PORT (587 as a rule)."
        )
        assert plain.logins == 0


def test_a_server_without_encryption_can_be_used_without_a_login(settings: Settings) -> None:
    with running(MailServer(None)) as plain:
        send(settings(port=plain.port, user="", password="", starttls=False))
        assert plain.subjects == ["1 upload rejected"]


def test_an_unknown_address_is_refused_by_its_code_alone(mail_server: MailServer, settings: Settings) -> None:
    mail_server.refused = {BEN}
    assert refusal(settings(), BEN) == "SERVER refused the message (550)."


def test_nobody_listening_is_said(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert refusal(settings(port=port)) == "SERVER cannot be reached, or broke off (ConnectionRefusedError)."


def test_a_server_that_never_answers_is_left_in_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alumni_assets.notifications.channels._SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert (
            refusal(settings(port=silent.getsockname()[1]))
            == "SERVER cannot be reached, or broke off (SMTPServerDisconnected)."
        )


def test_a_server_that_takes_long_to_accept_a_mail_is_waited_for_and_gets_it_once(
    world: World, mail_server: MailServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alumni_assets.notifications.channels._SECONDS", 1.5)
    channel = EmailChannel(settings(), ANA)
    world.tell(channel)
    world.story.is_rejected("a.csv")
    mail_server.seconds_to_answer = 2.5
    assert world.tell(channel).sent == 1
    world.clock.pass_by(days=1)
    world.tell(channel)
    assert mail_server.receivers == [[ANA]]


def test_a_server_that_never_says_whether_it_accepted_a_mail_is_left_in_the_end(
    mail_server: MailServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alumni_assets.notifications.channels._MAIL_SECONDS", 0.2)
    mail_server.seconds_to_answer = 60
    assert refusal(settings()) == "SERVER cannot be reached, or broke off (SMTPServerDisconnected)."


def test_a_server_that_has_accepted_a_mail_is_not_waited_for_to_say_goodbye(
    mail_server: MailServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alumni_assets.notifications.channels._SECONDS", 1.5)
    mail_server.seconds_to_part = 60
    began = time.monotonic()
    send(settings())
    assert time.monotonic() - began < 30


def test_an_authority_that_cannot_be_read_is_said(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    assert "broke off (SSLError)" in refusal(settings(ca_file=str(tmp_path / "empty.pem")))


def test_a_server_that_says_no_goodbye_has_accepted_all_the_same(
    mail_server: MailServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rude(*_: object) -> str:
        return "421 4.4.2 gone"

    monkeypatch.setattr(mail_server, "handle_QUIT", rude, raising=False)
    send(settings())
    assert mail_server.subjects == ["1 upload rejected"]


def test_an_answer_that_is_lost_repeats_the_message_with_the_same_id(
    world: World, mail_server: MailServer, settings: Settings
) -> None:
    channel = EmailChannel(settings(), ANA)
    world.tell(channel)
    world.story.is_rejected("a.csv")
    mail_server.hangs_up = True
    assert world.tell(channel).pending == 1
    mail_server.hangs_up = False
    world.clock.pass_by(minutes=1)
    assert world.tell(channel).sent == 1
    first, second = mail_server.mails
    assert first.as_bytes() == second.as_bytes()


def test_one_address_that_bounces_does_not_repeat_the_message_to_the_others(
    world: World, mail_server: MailServer, settings: Settings
) -> None:
    channels = [EmailChannel(settings(), address) for address in (ANA, BEN)]
    world.tell(*channels)
    world.story.is_rejected("a.csv")
    mail_server.refused = {BEN}
    for _ in range(3):
        world.tell(*channels)
        world.clock.pass_by(hours=9)
    mail_server.refused = set()
    world.tell(*channels)
    assert mail_server.receivers == [[ANA], [BEN]]
    assert len(set(mail_server.ids)) == 1


def test_what_waits_for_a_server_that_is_down_arrives_when_it_is_back(
    world: World, mail_server: MailServer, settings: Settings
) -> None:
    channel, port = EmailChannel(settings(), ANA), mail_server.port
    world.tell(channel)
    mail_server.stop()
    for number in range(3):
        world.story.is_rejected(f"{number}.csv")
        assert world.tell(channel).sent == 0
    mail_server.start(port)
    world.clock.pass_by(minutes=10)
    assert world.tell(channel).sent == 3
    assert mail_server.subjects == ["1 upload rejected"] * 3
    assert len(set(mail_server.ids)) == 3
