"""A real mail server on this machine, with encryption and a login, and SNS and SQS to read from."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

USER, PASSWORD = "survey@school.edu.ph", "abcdefghijklmnop"


class MailServer:
    """A mail server with STARTTLS and AUTH; what it accepted is in `mails`.

    `refused` are addresses that it knows nothing of. `hangs_up` has it break the connection right after it accepted a
    message, without saying so. It takes `seconds_to_answer` to say that it accepted one, and `seconds_to_part` to say
    goodbye.
    """

    def __init__(self, certificate: Path | None) -> None:
        self.mails: list[EmailMessage] = []
        self.receivers: list[list[str]] = []
        self.logins = 0
        self.refused: set[str] = set()
        self.hangs_up = False
        self.seconds_to_answer = self.seconds_to_part = 0.0
        self._certificate = certificate

    @property
    def port(self) -> int:
        return self._controller.port

    @property
    def subjects(self) -> list[str]:
        return [mail["Subject"].removeprefix("[Alumni survey] ") for mail in self.mails]

    @property
    def ids(self) -> list[str]:
        return [mail["Message-ID"] for mail in self.mails]

    def start(self, port: int = 0) -> None:
        """Listen on a port, by default on any that is free."""
        self._controller = _Controller(
            self,
            hostname="127.0.0.1",
            port=port,
            tls_context=_tls(self._certificate) if self._certificate else None,
            require_starttls=self._certificate is not None,
            auth_required=self._certificate is not None,
            authenticator=self._authenticate,
        )
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop(no_assert=True)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return f"550 5.1.1 <{address}> Ana Reyes is unknown here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        self.mails.append(message_from_bytes(content, policy=default))
        self.receivers.append(envelope.rcpt_tos)
        if self.hangs_up:
            server.transport.abort()  # type: ignore[union-attr]
        await asyncio.sleep(self.seconds_to_answer)
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.seconds_to_part)
        return "221 Bye"

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        self.logins += 1
        is_known = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_known, handled=False)


class _Controller(Controller):
    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # it was 0: any that is free
        super()._trigger_server()


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *private)
    )
    return path


def _tls(certificate: Path) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


class Topic:
    """A topic of SNS, and what is delivered from it to a queue of SQS."""

    def __init__(self, sns: "SNSClient", sqs: "SQSClient", name: str) -> None:
        self.name = name
        self._sns, self._sqs = sns, sqs
        attributes = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
        self.arn = sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
        queue_attributes: Any = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        self._queue = sqs.create_queue(QueueName=name, Attributes=queue_attributes)["QueueUrl"]
        queue_arn = sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=queue_arn)

    def received(self) -> list[dict[str, Any]]:
        """What has arrived in the queue since this was last asked."""
        found: list[dict[str, Any]] = []
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def delete(self) -> None:
        self._sns.delete_topic(TopicArn=self.arn)


@contextmanager
def running(server: MailServer) -> Iterator[MailServer]:
    """The server, listening."""
    server.start()
    try:
        yield server
    finally:
        server.stop()
