"""The ways that a report goes out by: an SMTP server, and Amazon SES.

A channel sends the report to one receiver, once, and says whether it was accepted; when to try again is decided in
`notifications/delivery.py`. A message's body is the mark of the edition that is to be sent. Both channels have the same
name for the same address, so that nobody gets a report again by the other way. boto3 is imported where it is used.
"""

from collections.abc import Callable
from email.message import EmailMessage
from functools import cached_property
from typing import Any

from alumni_assets.notifications.channels import (
    Channel,
    ChannelError,
    EmailChannel,
    Message,
    address_name,
    masked_address,
)
from alumni_assets.notifications.configuration import MailSettings
from alumni_assets.resources.roles import Component, session_of

_SECONDS = 20
# What SES answers about a mail that it will not take at any other time either, in both of its APIs.
_REFUSALS = {
    "MessageRejected",
    "MailFromDomainNotVerified",
    "MailFromDomainNotVerifiedException",
    "AccountSuspendedException",
    "BadRequestException",
    "NotFoundException",
}

Writer = Callable[[Message, str, str], EmailMessage]
"""Makes the mail: of a message, from a sender, for a recipient. Raises ChannelError."""


class ReportBySmtp(EmailChannel):
    """The report by an SMTP server to one address. What the server refuses for good is not tried again."""

    refusals_are_final = True

    def __init__(self, settings: MailSettings, recipient: str, write: Writer) -> None:
        super().__init__(settings, recipient)
        self._write = write

    def send(self, message: Message) -> None:
        """Hand the report to the mail server."""
        self.hand_over(self._write(message, self._settings.sender, self._recipient))


class ReportBySes(Channel):
    """The report by Amazon SES to one address. Region and credentials by AWS's standard chain, or a role's."""

    def __init__(self, sender: str, recipient: str, write: Writer, roles: str = "") -> None:
        self._sender = sender
        self._recipient = recipient
        self._write = write
        self._roles = roles
        self.name = address_name(recipient)
        self.label = f"e-mail to {masked_address(recipient)}"

    def send(self, message: Message) -> None:
        """Hand the report to SES."""
        from botocore.exceptions import BotoCoreError, ClientError

        mail = self._write(message, self._sender, self._recipient)
        try:
            self._client.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [self._recipient]},
                Content={"Raw": {"Data": mail.as_bytes()}},
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "without a code")
            raise ChannelError(
                f"Amazon SES refused the message ({code}). Check that the sender is verified there, and the "
                "permissions; in SES's sandbox the receiver has to be verified too.",
                is_final=code in _REFUSALS,
            ) from error
        except BotoCoreError as error:
            raise ChannelError(
                f"Amazon SES cannot be reached ({type(error).__name__}). Check the network, the region and the AWS "
                "credentials."
            ) from error

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config

        # Repetitions are counted and spaced in `delivery.py`, so the client makes none of its own.
        limits = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 1})
        return session_of(self._roles, Component.NOTIFIER).client("sesv2", config=limits)
