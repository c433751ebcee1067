"""What deployments print: one object in a line, whatever values hold, and nothing of what errors quote."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from alumni_assets.json_logs import Event, JsonFormatter, marked
from alumni_assets.resources.lake_interface import LakeError

NAME = "Juan dela Cruz"
FORGED = '\n{"event": "run_failed"}\r\u2028\u0085\x1b[2J\udcff'


def line_of(message: str, *values: object, **more: Any) -> dict[str, Any]:
    record = logging.makeLogRecord({"name": "somebody", "levelno": logging.WARNING, "msg": message, "args": values})
    record.__dict__.update(more)
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert line.isprintable()
    return json.loads(line)


def test_a_line_has_time_level_logger_and_message() -> None:
    line = line_of("%d files", 3, created=datetime(2026, 11, 27, 12, 54, 46, 718688, UTC).timestamp())
    assert line == {
        "timestamp": "2026-11-27T12:54:46.718688Z",
        "level": "warning",
        "logger": "somebody",
        "message": "3 files",
    }


def test_no_value_begins_a_line_or_a_field_of_its_own() -> None:
    line = line_of("It came: %s", FORGED, **marked(Event.UPLOAD_REJECTED, upload=FORGED))
    assert (line["event"], line["upload"], line["message"]) == ("upload_rejected", FORGED, f"It came: {FORGED}")


def test_a_line_is_bounded() -> None:
    line = line_of("x" * 100_000, **marked(Event.UPLOAD_REJECTED, upload="y" * 100_000))
    assert (len(line["message"]), len(line["upload"])) == (4000, 4000)


def test_of_an_error_the_kind_and_the_place_are_printed_and_not_what_it_says() -> None:
    try:
        try:
            int(NAME)
        except ValueError as error:
            raise KeyError(NAME) from error
    except KeyError as error:
        line = line_of("It broke.", exc_info=(type(error), error, error.__traceback__))
    assert NAME not in json.dumps(line)
    assert line["exception"].startswith("KeyError, caused by ValueError\n")
    assert "test_of_an_error_the_kind_and_the_place" in line["exception"]


def run(work: Callable[[dg.OpExecutionContext], None]) -> None:
    """Execute a run of one step."""

    @dg.op
    def step(context: dg.OpExecutionContext) -> None:
        work(context)

    @dg.job
    def survey_job() -> None:
        step()

    survey_job.execute_in_process(raise_on_error=False)


def test_a_run_prints_its_begin_its_messages_and_its_end(printed_json: Callable[[], list[dict[str, Any]]]) -> None:
    def work(context: dg.OpExecutionContext) -> None:
        context.log.debug("not printed")
        context.log.info("said")
        context.log.warning("a.csv was rejected", extra=marked(Event.UPLOAD_REJECTED, upload="a.csv", code="empty"))

    run(work)
    lines = printed_json()
    assert [(line["level"], line.get("dagster_event"), line.get("event")) for line in lines] == [
        ("info", "RUN_START", None),
        ("info", None, None),
        ("warning", None, "upload_rejected"),
        ("info", "RUN_SUCCESS", None),
    ]
    assert {(line["job"], line["logger"]) for line in lines} == {("survey_job", "dagster")}
    assert len({line["run_id"] for line in lines}) == 1
    assert (lines[2]["step"], lines[2]["message"], lines[2]["upload"]) == ("step", "a.csv was rejected", "a.csv")


def test_of_a_run_that_breaks_the_kind_of_error_is_printed(printed_json: Callable[[], list[dict[str, Any]]]) -> None:
    def work(_: dg.OpExecutionContext) -> None:
        raise ValueError(NAME)

    run(work)
    lines = printed_json()
    assert NAME not in json.dumps(lines)
    failures = [line for line in lines if line["level"] == "error"]
    assert [line["dagster_event"] for line in failures] == ["STEP_FAILURE", "RUN_FAILURE"]
    assert (failures[0]["step"], failures[0]["reason"]) == ("step", "It broke with ValueError.")
    assert failures[0]["exception"].startswith("DagsterExecutionStepExecutionError, caused by ValueError\n")


def test_our_own_errors_are_printed_as_they_are(printed_json: Callable[[], list[dict[str, Any]]]) -> None:
    def work(_: dg.OpExecutionContext) -> None:
        raise LakeError("The lake is away. Mount its disk.")

    run(work)
    assert [line["reason"] for line in printed_json() if "reason" in line] == ["The lake is away. Mount its disk."]


@pytest.mark.parametrize("before", ["pass", "configure_loggers(formatter='json')"], ids=["a run", "a server"])
def test_what_other_loggers_and_warnings_say_is_printed_once_and_as_json(before: str) -> None:
    program = f"""
import logging, warnings
from dagster._utils.log import configure_loggers
from alumni_assets.json_logs import print_json
{before}
print_json()
print_json()
logging.getLogger("library").info("not printed")
logging.getLogger("library").warning("two\\nlines")
logging.getLogger("dagster.server").warning("up")
warnings.warn("old")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["logger"], line["level"]) for line in lines] == [
        ("library", "warning"),
        ("dagster.server", "warning"),
        ("py.warnings", "warning"),
    ]
    assert lines[0]["message"] == "two\nlines"
    assert lines[2]["message"].endswith("UserWarning: old\n")
