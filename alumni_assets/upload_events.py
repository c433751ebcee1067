"""What a message about an upload says: the keys under raw/ that were created. Without queue, storage or clock.

Both forms are understood in which S3 tells a queue what happened: its own notifications, whose keys are quoted as
in a URL, and events by way of EventBridge, whose keys are plain. Which runs follow is decided in `intake_plan.py`,
and the queue is in `resources/queue.py`.

Sources: "Event message structure" and "EventBridge event message structure" in the Amazon S3 User Guide.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from alumni_assets.resources.lake_location import S3_SCHEME

_CREATED = "ObjectCreated:"
_TEST_EVENT = "s3:TestEvent"


class NoUploadEventError(ValueError):
    """A message in the queue that is no event of this lake's bucket."""


def created_keys(body: str, raw: str) -> list[str]:
    """The keys under raw/ that a message is about; none where it is about something else in the bucket.

    `raw` is where raw/ is, such as `s3://bucket/prefix/raw/`. Raises `NoUploadEventError`, whose message quotes
    nothing of the body.
    """
    bucket, _, start = raw.removeprefix(S3_SCHEME).partition("/")
    names = [name for event_bucket, name in _created(_object(body)) if _is_ours(event_bucket, bucket)]
    return [name.removeprefix(start) for name in names if name.startswith(start) and not name.endswith("/")]


def _object(body: str) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError:
        raise NoUploadEventError("A message in the queue is no JSON.") from None
    if not isinstance(message, dict):
        raise NoUploadEventError("A message in the queue is no JSON object.")
    return message


def _created(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Bucket and name of each object that was created."""
    if message.get("Event") == _TEST_EVENT:  # sent once when notifications are switched on
        return
    try:
        if "Records" in message:
            for record in message["Records"]:
                if str(record["eventName"]).startswith(_CREATED):
                    yield record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])
            return
        if message["source"] == "aws.s3":
            if message["detail-type"] == "Object Created":
                yield message["detail"]["bucket"]["name"], str(message["detail"]["object"]["key"])
            return
    except (KeyError, TypeError, AttributeError):
        pass
    raise NoUploadEventError("A message in the queue is no event of S3.")


def _is_ours(found: str, bucket: str) -> bool:
    if found != bucket:
        raise NoUploadEventError(f"A message in the queue is about another bucket than {bucket!r}.")
    return True
