"""The channels that messages go out by: the log, e-mail and SNS.

A channel sends one message once, and says whether it was accepted. What to send and when to try again is decided in
`delivery.py`. What a server answers may name addresses, so that only its code gets into errors. smtplib and boto3 are
imported where they are used: they take their time.
"""

import hashlib
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from alumni_assets import presentation
from alumni_assets.json_logs import Event, marked
from alumni_assets.notifications.configuration import MailSettings, topic_region
from alumni_assets.notifications.notices import Kind
from alumni_assets.resources.roles import Component, session_of

if TYPE_CHECKING:
    from email.message import EmailMessage
    from smtplib import SMTP

    from mypy_boto3_sns import SNSClient

PREFIX = "[Alumni survey]"
_DOMAIN = "notices.alumni-assets.invalid"
_SECONDS = 8
# For a mail's way to the server, and again for the answer to it. With some ten commands of `_SECONDS` each, an attempt
# ends before `delivery.py` takes it for dead.
_MAIL_SECONDS = 180
_LONGEST_TITLE = 90
_ERRORS = {Kind.TRANSFORMATION_FAILED, Kind.RUN_FAILED, Kind.LAKE_UNREADABLE}
_WARNINGS = {Kind.UPLOAD_REJECTED, Kind.INVALID_ROWS_OPEN}


class ChannelError(Exception):
    """A channel did not accept a message; the message says why and what to do, and names no person.

    After one that `is_final` the message is not tried again by itself.
    """

    def __init__(self, reason: str, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


@dataclass(frozen=True)
class Message:
    """What is sent: `id` is the same whenever and wherever the same notice is sent; `when` is in UTC without zone."""

    id: str
    kind: str
    subject: str
    body: str
    when: datetime

    @property
    def title(self) -> str:
        """The subject as it is sent: one bounded line of ASCII, safe as a header and for SNS."""
        line = re.sub(r"[^ -~]+", "?", f"{PREFIX} {self.subject}")
        return line if len(line) <= _LONGEST_TITLE else f"{line[: _LONGEST_TITLE - 3]}..."

    @property
    def text(self) -> str:
        """The body as it is sent."""
        return f"{self.body}\n\n-- \nNotice {self.id}\n"


class Channel(ABC):
    """A way to one receiver. `name` is what the register calls it, `label` what people are told."""

    name: str
    label: str

    @abstractmethod
    def send(self, message: Message) -> None:
        """Send a message; returns when it was accepted. Raises ChannelError."""


class LogChannel(Channel):
    """One line of a log for each message."""

    name = "log"
    label = "log"

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def send(self, message: Message) -> None:
        """Log it, as an error where something failed."""
        level = logging.WARNING if message.kind in _WARNINGS else logging.INFO
        level = logging.ERROR if message.kind in _ERRORS else level
        text = " | ".join(line.strip() for line in message.body.splitlines() if line.strip())
        marks = marked(Event.NOTICE, kind=message.kind)
        self._logger.log(level, "%s | %s | notice %s", message.title, text, message.id, extra=marks)


class EmailChannel(Channel):
    """E-mail to one address: each has a delivery of its own, so that one that bounces disturbs no other.

    That a server refuses a notice is not taken for final, whatever it says: who is to be told that something broke is
    told once the address or the server is mended.
    """

    refusals_are_final = False

    def __init__(self, settings: MailSettings, recipient: str) -> None:
        self._settings = settings
        self._recipient = recipient
        self.name = address_name(recipient)
        self.label = f"e-mail to {masked_address(recipient)}"

    def send(self, message: Message) -> None:
        """Hand it to the mail server; accepted is what the server took responsibility for."""
        self.hand_over(_mail(message, self._settings.sender, self._recipient))

    def hand_over(self, mail: "EmailMessage") -> None:
        """Hand a mail to the mail server. Raises ChannelError."""
        with self._errors(), self._connection() as server:
            server.send_message(mail, self._settings.sender, [self._recipient])

    @contextmanager
    def _connection(self) -> "Iterator[SMTP]":
        import socket
        import ssl

        from alumni_assets.notifications.smtp import PatientSmtp

        settings = self._settings
        host = socket.gethostname()  # by itself smtplib would ask the network for a longer name, and wait for it
        server = PatientSmtp(settings.host, settings.port, host, _SECONDS, _MAIL_SECONDS)
        try:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context(cafile=settings.ca_file or None))
            if settings.user:
                server.login(settings.user, settings.password)
            yield server
            _say_goodbye(server)
        finally:
            server.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import smtplib
        import ssl

        where = f"{self._settings.host}:{self._settings.port}"
        try:
            yield
        except smtplib.SMTPAuthenticationError as error:
            raise ChannelError(
                f"{where} refused the login ({error.smtp_code}). Check ALUMNI_SMTP_USER and ALUMNI_SMTP_PASSWORD; "
                "Gmail takes an app password only."
            ) from error
        except smtplib.SMTPNotSupportedError as error:
            raise ChannelError(
                f"{where} offers no encryption or no login. Check ALUMNI_SMTP_PORT (587 as a rule)."
            ) from error
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
            is_final = self.refusals_are_final and _is_about_this_mail(error)
            raise ChannelError(f"{where} refused the message ({_smtp_code(error)}).", is_final) from error
        except ssl.SSLCertVerificationError as error:
            raise ChannelError(
                f"{where} has a certificate that is not trusted. Check ALUMNI_SMTP_HOST, or name the authority's file "
                "in ALUMNI_SMTP_CA_FILE."
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelError(f"{where} cannot be reached, or broke off ({type(error).__name__}).") from error


class SnsChannel(Channel):
    """A topic of SNS, ordinary or FIFO. Credentials by AWS's standard chain, or a role's."""

    name = "sns"
    label = "SNS"

    def __init__(self, topic: str, roles: str = "") -> None:
        self._topic = topic
        self._roles = roles

    def send(self, message: Message) -> None:
        """Publish it. The id is what a FIFO topic tells repetitions by, and an attribute on any."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.publish(
                TopicArn=self._topic,
                Subject=message.title,
                Message=message.text,
                MessageAttributes={
                    "notice_id": {"DataType": "String", "StringValue": message.id},
                    "event": {"DataType": "String", "StringValue": message.kind},
                },
                **self._fifo(message),
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "without a code")
            raise ChannelError(f"SNS refused the message ({code}). Check the topic and the permissions.") from error
        except BotoCoreError as error:
            raise ChannelError(
                f"SNS cannot be reached ({type(error).__name__}). Check the network and the AWS credentials."
            ) from error

    @cached_property
    def _client(self) -> "SNSClient":
        from botocore.config import Config

        # Repetitions are counted and spaced in `delivery.py`, so the client makes none of its own.
        limits = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 1})
        return session_of(self._roles, Component.NOTIFIER).client(
            "sns", region_name=topic_region(self._topic), config=limits
        )

    def _fifo(self, message: Message) -> dict[str, Any]:
        if not self._topic.endswith(".fifo"):
            return {}
        return {"MessageGroupId": "alumni", "MessageDeduplicationId": message.id}


def _mail(message: Message, sender: str, recipient: str) -> "EmailMessage":
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import format_datetime

    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = message.title
    mail["From"] = sender
    mail["To"] = recipient
    mail["Date"] = format_datetime(message.when.replace(tzinfo=UTC))
    mail["Message-ID"] = f"<{message.id}@{_DOMAIN}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Alumni-Event"] = message.kind
    mail.set_content(message.text, cte="quoted-printable")
    return mail


def _say_goodbye(server: "SMTP") -> None:
    """After the message was accepted nothing may look like a failure, or it would be sent twice."""
    import smtplib

    with suppress(smtplib.SMTPException, OSError):
        server.quit()


def address_name(recipient: str) -> str:
    """What the register calls the delivery to an address, by whichever channel."""
    return f"email-{hashlib.sha256(recipient.encode()).hexdigest()[:12]}"


def masked_address(recipient: str) -> str:
    """An address as it may be shown: a***@school.edu.ph."""
    return f"{presentation.masked(recipient)}@{recipient.rpartition('@')[2]}"


def _smtp_codes(error: Any) -> list[int]:
    return [code for code, _ in error.recipients.values()] if hasattr(error, "recipients") else [error.smtp_code]


def _smtp_code(error: Any) -> str:
    return ", ".join(str(code) for code in _smtp_codes(error))


def _is_about_this_mail(error: Any) -> bool:
    """Whether the server will not take this mail at any other time either: its sender, its receiver or its content."""
    import smtplib

    refusals = (smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)
    return isinstance(error, refusals) and all(500 <= code < 600 for code in _smtp_codes(error))
