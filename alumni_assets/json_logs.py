"""What a deployment prints: each record of a log as one JSON object in one line, with fields that alarms can rely on.

What is said, and of what, is decided where it happens; here is how it is printed. Nothing that a value holds can begin
a line of its own or a field, and of errors that are not ours only the kind and the place in the code are printed, for
what they say may quote a cell. Dagster's daemon and web server print JSON themselves (`--log-format json`).

This is the one place that depends on two things which Dagster does not promise to keep: what it notes in a record
(`dagster_meta`), and where runs and sensors get their console from.
"""

import atexit
import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from traceback import TracebackException
from typing import Any

from dagster import DagsterEvent, DagsterEventType
from dagster import _loggers as dagster_loggers
from dagster._core.definitions import instigation_logger
from dagster._utils.error import SerializableErrorInfo

from alumni_assets.failures import failure_sentence

_LONGEST = 4000
_LONGEST_STACK = 3500
# Dagster logs these for debugging; here they tell that a run came and went.
_MILESTONES = {DagsterEventType.RUN_START, DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_CANCELED}


class Event(StrEnum):
    """What alarms may be set on: the field `event` of a line. The names are listed in docs/aws.md, and stay."""

    UPLOAD_REJECTED = "upload_rejected"
    UPLOAD_FAILED = "upload_failed"
    UPLOAD_GIVEN_UP = "upload_given_up"
    MESSAGE_NOT_UNDERSTOOD = "message_not_understood"
    RUN_FAILED = "run_failed"
    NOTICE = "notice"


def marked(event: Event, **fields: str | int) -> dict[str, Any]:
    """For `extra=` of a call of a logger: what happened, and the fields of its line. Nothing personal."""
    return {"alumni": {"event": str(event), **fields}}


class JsonFormatter(logging.Formatter):
    """A record as one JSON object in one line of ASCII, bounded; fields without a value are left out."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        noted: Mapping[str, Any] = getattr(record, "dagster_meta", None) or {}
        fields = {
            "timestamp": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "level": logging.getLevelName(_weight(record)).lower(),
            "logger": record.name,
            "message": noted.get("orig_message") or record.getMessage(),
            "run_id": noted.get("run_id"),
            "job": noted.get("job_name"),
            "step": noted.get("step_key"),
            "sensor": noted.get("name"),
            **_of_event(noted.get("dagster_event")),
            **getattr(record, "alumni", {}),
        }
        if record.exc_info and record.exc_info[1]:
            raised = TracebackException.from_exception(record.exc_info[1])
            fields["exception"] = _kind_and_place(SerializableErrorInfo.from_traceback(raised))
        return json.dumps({name: _bounded(value) for name, value in fields.items() if value})


def print_json() -> None:
    """From now on this process prints as JSON what runs, sensors, schedules, Python's loggers and warnings say.

    What Dagster's servers print of themselves is left to them.
    """
    logging.basicConfig(handlers=[_handler(logging.WARNING)], level=logging.WARNING, force=True)
    # Some library keeps the root logger beyond the end of everything, and by its handler would keep all modules, of
    # which DuckDB complains in fifty lines that are no JSON.
    atexit.register(logging.root.handlers.clear)
    logging.captureWarnings(True)
    dagster = logging.getLogger("dagster")
    dagster.propagate = not dagster.handlers
    # A run has this console unless its own configuration names another, and a tick always.
    dagster_loggers.create_console_logger = json_console
    instigation_logger.create_console_logger = json_console


def json_console(name: str, level: str | int) -> logging.Logger:
    """In the place of Dagster's colored console; tells from INFO on, though it is asked for more."""
    found = logging.Logger(name, level)  # as Dagster's own, it stands by itself
    found.addHandler(_handler(max(logging.INFO, found.level)))
    return found


def _handler(level: int) -> logging.Handler:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(lambda record: _weight(record) >= level)
    return handler


def _weight(record: logging.LogRecord) -> int:
    noted = getattr(record, "dagster_meta", None) or {}
    event: DagsterEvent | None = noted.get("dagster_event")
    is_milestone = event is not None and event.event_type in _MILESTONES
    return max(record.levelno, logging.INFO) if is_milestone else record.levelno


def _of_event(event: DagsterEvent | None) -> dict[str, Any]:
    if event is None:
        return {}
    error = getattr(event.event_specific_data, "error", None)
    return {
        "dagster_event": event.event_type.name,
        "asset": event.asset_key.to_user_string() if event.asset_key else None,
        "reason": failure_sentence(event.step_failure_data) if event.is_step_failure else None,
        "exception": _kind_and_place(error) if error else None,
    }


def _bounded(value: Any) -> Any:
    return value[:_LONGEST] if isinstance(value, str) else value


def _kind_and_place(error: SerializableErrorInfo) -> str:
    """The kinds of an error and of its causes, and where in the code the innermost arose."""
    kinds, innermost = [error.cls_name], error
    while innermost.cause:
        innermost = innermost.cause
        kinds.append(innermost.cls_name)
    return f"{', caused by '.join(map(str, kinds))}\n{''.join(innermost.stack)[-_LONGEST_STACK:]}"
