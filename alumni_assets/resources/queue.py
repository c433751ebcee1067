"""The SQS queue in which S3 tells of new uploads. What a message says is read in `upload_events.py`.

SQS delivers at least once and in no order. What is not deleted comes back when the queue's visibility timeout is
over, and goes to the dead-letter queue when it has come back too often.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from pydantic import Field, PrivateAttr

from alumni_assets.resources.roles import Component, session_of

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_AT_ONCE = 10  # what SQS gives by one call at most
_DELETERS = 10
_WAITED_SECONDS = 1  # a call that does not wait asks only some of the queue's servers


class QueueError(Exception):
    """The queue cannot be used just now."""


@dataclass(frozen=True)
class Message:
    """A message as it was received; `receipt` is what it is deleted by."""

    body: str
    receipt: str


class UploadQueueResource(ConfigurableResource):
    """The queue at `url`, which must exist. Every call may raise `QueueError`."""

    url: str = Field(description="The queue's URL.")

    roles: str = Field(default="", description="How the ARNs of the components' AWS roles begin; empty without them.")

    _client: "SQSClient | None" = PrivateAttr(default=None)

    def receive(self, most: int) -> list[Message]:
        """Messages that are waiting, until there are none or `most` have come."""
        messages: list[Message] = []
        while len(messages) < most:
            with self._errors("Reading"):
                answer = self._sqs().receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=min(_AT_ONCE, most - len(messages)),
                    WaitTimeSeconds=_WAITED_SECONDS,
                )
            received = answer.get("Messages", [])
            if not received:
                break
            messages += [Message(message["Body"], message["ReceiptHandle"]) for message in received]
        return messages

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages that are done with."""

        def delete(message: Message) -> None:
            with self._errors("Deleting from"):
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)

        sqs = self._sqs()
        with ThreadPoolExecutor(_DELETERS) as pool:
            list(pool.map(delete, messages))

    def _sqs(self) -> "SQSClient":
        if self._client is None:
            self._client = session_of(self.roles, Component.INGEST).client("sqs")
        return self._client

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Turn what SQS and boto3 have to say into QueueErrors; causes are cut off, for they may quote passwords."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            answer = error.response["Error"]
            raise QueueError(
                f"{doing} the queue of uploads failed: SQS answered {answer['Code']} to {error.operation_name}. "
                "Check ALUMNI_QUEUE, and the permissions of this process's role for that queue."
            ) from None
        except (BotoCoreError, ValueError) as error:
            raise QueueError(
                f"{doing} the queue of uploads failed: {type(error).__name__}. Check the network and the AWS settings "
                "(AWS_DEFAULT_REGION, AWS_ENDPOINT_URL if it is set)."
            ) from None
