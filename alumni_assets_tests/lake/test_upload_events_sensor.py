"""Uploads that a queue tells of: a bucket and an SQS queue of a server on this machine, over HTTP.

The server sends S3's notifications itself; what goes wrong with them on the way is done to the queue.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import dagster as dg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alumni_assets import jobs, layout
from alumni_assets.definitions import build_defs
from alumni_assets.register import Register
from alumni_assets.resources.queue import QueueError
from alumni_assets.settings import load_settings
from alumni_assets.survey.standing import Facts, Status, last_arrivals
from alumni_assets_tests.lake.conftest import BucketPlace
from alumni_assets_tests.pipeline.answers import answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import QUIET
from alumni_assets_tests.test_upload_events import event, notification

pytestmark = [pytest.mark.server, pytest.mark.slow]
HIDDEN_SECONDS, RECEIVED_AT_MOST = 1, 3


class Told:
    """A pipeline whose bucket tells a queue of uploads."""

    def __init__(self, place: BucketPlace, home: Path) -> None:
        self.place, self.home = place, home
        self.sqs = boto3.client("sqs")
        self.dead_letters = self._queue({})
        arn = self._arn(self.dead_letters)
        redrive = {"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVED_AT_MOST}
        self.url = self._queue({"VisibilityTimeout": str(HIDDEN_SECONDS), "RedrivePolicy": json.dumps(redrive)})
        self.instance = dg.DagsterInstance.ephemeral()
        environment = {"ALUMNI_LAKE": place.location, "ALUMNI_HOME": str(home), "ALUMNI_QUEUE": self.url}
        self.defs = build_defs(load_settings(environment))

    def switch_notifications_on(self) -> None:
        configuration = {
            "QueueConfigurations": [{"QueueArn": self._arn(self.url), "Events": ["s3:ObjectCreated:*"]}],
        }
        self.place.client.put_bucket_notification_configuration(
            Bucket=self.place.bucket,
            NotificationConfiguration=configuration,  # type: ignore[arg-type]
        )

    def put(self, key: str, content: bytes) -> None:
        self.place.plant(f"raw/{key}", content)

    def say(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def tick(self, sensor: str = "upload_events") -> Any:
        with dg.build_sensor_context(instance=self.instance, resources=dict(self.defs.resources or {})) as context:
            return self.defs.resolve_sensor_def(sensor).evaluate_tick(context)

    def take_in(self, found: Any) -> list[bool]:
        """Execute the runs that a tick asked for."""
        job = self.defs.resolve_job_def(jobs.TAKE_IN.name)
        return [
            job.execute_in_process(
                run_config={**request.run_config, **QUIET}, instance=self.instance, raise_on_error=False
            ).success
            for request in found.run_requests or ()
        ]

    def facts(self) -> Facts:
        return Register(self.place.lake, self.home).facts()

    def outcomes(self) -> dict[str, tuple[str, int | None]]:
        """How taking in ended for each key under raw/ of which one content was taken in, and its rows."""
        facts = self.facts()
        return {facts.seen[one.upload].key: (str(one.outcome), one.rows) for one in facts.ingested.values()}

    def now_at_each_key(self) -> dict[str, str]:
        """For each key under raw/ the SHA-256 of the content that was taken in last."""
        facts = self.facts()
        last = {key: arrival.upload for key, arrival in last_arrivals(facts).items()}
        assert set(last.values()) <= set(facts.ingested)
        return {key: facts.seen[upload].sha256 for key, upload in last.items()}

    def unique_outcomes(self) -> dict[str, set[tuple[str, int | None]]]:
        """For each content how taking it in ended; that it was there already under another name is no end."""
        facts = self.facts()
        found: dict[str, set[tuple[str, int | None]]] = {}
        for one in facts.ingested.values():
            if one.outcome != Status.DUPLICATE:
                found.setdefault(facts.seen[one.upload].sha256, set()).add((str(one.outcome), one.rows))
        return found

    def waiting(self, url: str | None = None) -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        return sum(int(number) for number in found.values())

    def _queue(self, attributes: dict[str, str]) -> str:
        created = self.sqs.create_queue(QueueName=f"uploads-{uuid4().hex[:12]}", Attributes=attributes)  # type: ignore[arg-type]
        return created["QueueUrl"]

    def _arn(self, url: str) -> str:
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("ALUMNI_", "DAGSTER_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def told(bucket_place: BucketPlace, tmp_path: Path) -> Iterator[Told]:
    fresh = Told(bucket_place, tmp_path / "home")
    with fresh.instance:
        yield fresh


def keys_of(found: Any) -> list[list[str]]:
    """For each requested run the keys that it takes in."""
    return [jobs.keys_of(request.run_config) for request in found.run_requests or ()]


def reappear() -> None:
    """Wait until what was received and not deleted can be received again."""
    time.sleep(HIDDEN_SECONDS + 0.1)


def assert_run_dry(told: Told) -> None:
    """The next ticks find nothing to do and leave no message; one tick may, where a busy machine takes too long."""
    for _ in range(RECEIVED_AT_MOST):
        reappear()
        assert keys_of(told.tick()) == []
        if told.waiting() == 0:
            break
    assert (told.waiting(), told.waiting(told.dead_letters)) == (0, 0)


def test_what_is_put_into_the_bucket_is_taken_in_and_its_message_deleted(told: Told) -> None:
    told.switch_notifications_on()
    assert keys_of(told.tick()) == []  # the test event
    told.put("batch one+.csv", csv_bytes(answers(1, 3)))
    told.put("2026/no table.pdf", b"%PDF")
    found = told.tick()
    assert keys_of(found) == [["2026/no table.pdf", "batch one+.csv"]]
    assert told.take_in(found) == [True]
    assert told.outcomes() == {"batch one+.csv": ("validated", 3), "2026/no table.pdf": ("rejected", None)}
    assert_run_dry(told)


def test_events_of_eventbridge_say_the_same(told: Told) -> None:
    told.put("100%25+.csv", csv_bytes(answers(1)))
    told.say(event(f"{told.place.prefix}raw/100%25+.csv", bucket=told.place.bucket))
    assert keys_of(told.tick()) == [["100%25+.csv"]]


def test_a_message_stays_until_its_upload_was_taken_in(told: Told) -> None:
    told.put("a.csv", csv_bytes(answers(1)))
    told.say(event(f"{told.place.prefix}raw/a.csv", bucket=told.place.bucket))
    lost = told.tick()
    assert keys_of(lost) == [["a.csv"]]  # and the daemon dies before it starts that run
    reappear()
    again = told.tick()
    assert keys_of(again) == [["a.csv"]]
    assert told.take_in(again) == [True]
    assert_run_dry(told)


def test_while_a_run_takes_an_upload_in_no_other_is_asked_for(told: Told) -> None:
    told.put("a.csv", csv_bytes(answers(1)))
    told.say(event(f"{told.place.prefix}raw/a.csv", bucket=told.place.bucket))
    told.instance.create_run_for_job(
        told.defs.resolve_job_def(jobs.TAKE_IN.name),
        run_config=jobs.take_in_config(["a.csv"]),
        status=dg.DagsterRunStatus.STARTED,
    )
    assert keys_of(told.tick()) == []
    assert told.waiting() == 1


def test_an_object_that_is_gone_again_is_nothing_to_take_in(told: Told) -> None:
    told.say(event(f"{told.place.prefix}raw/gone.csv", bucket=told.place.bucket))
    assert keys_of(told.tick()) == []
    assert told.waiting() == 0


def test_what_is_no_event_holds_nothing_up_and_ends_among_the_dead_letters(
    told: Told, printed_json: Callable[[], list[dict[str, Any]]]
) -> None:
    told.put("a.csv", csv_bytes(answers(1)))
    told.say("Dear queue, please take in raw/a.csv")
    told.say(event(f"{told.place.prefix}raw/a.csv", bucket=told.place.bucket))
    found = told.tick()
    assert [(line["event"], line["level"], line["messages"]) for line in printed_json()] == [
        ("message_not_understood", "error", 1)
    ]
    assert told.take_in(found) == [True]
    for _ in range(RECEIVED_AT_MOST):
        reappear()
        told.tick()
    assert (told.waiting(), told.waiting(told.dead_letters)) == (0, 1)


@pytest.mark.parametrize("name", ["./a.csv", "a\\..\\b.csv", "../a.csv"])
def test_an_object_whose_name_leads_elsewhere_holds_up_no_other(told: Told, name: str) -> None:
    told.put("a.csv", csv_bytes(answers(1)))
    told.say(event(f"{told.place.prefix}raw/{name}", bucket=told.place.bucket))
    told.say(event(f"{told.place.prefix}raw/a.csv", bucket=told.place.bucket))
    found = told.tick()
    assert keys_of(found) == [["a.csv"]]
    assert told.take_in(found) == [True]
    reappear()
    told.tick()
    assert told.waiting() == 1


def test_a_queue_that_is_gone_fails_the_tick_with_a_sentence(told: Told) -> None:
    told.sqs.delete_queue(QueueUrl=told.url)
    with pytest.raises(QueueError, match=r"SQS answered .*NonExistentQueue to ReceiveMessage. Check ALUMNI_QUEUE"):
        told.tick()


def test_a_queue_that_does_not_answer_fails_the_tick_with_a_sentence(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(QueueError, match=r"EndpointConnectionError\. Check the network"):
        told.tick()


def test_raw_is_listed_seldom_where_a_queue_tells_of_uploads(told: Told) -> None:
    intervals = {sensor.name: sensor.minimum_interval_seconds for sensor in told.defs.sensors or ()}
    assert (intervals["upload_events"], intervals["new_uploads"]) == (3, 900)


CONTENTS = [csv_bytes(answers(1)), csv_bytes(answers(5)), b"%PDF", csv_bytes(answers(20, 7))]
KEYS = ["a.csv", "b c+%.csv", "2026/ñ.csv"]
# What happens: an object is put, and its message sent so often, in one of two forms; or the daemon ticks.
PUT = st.tuples(st.sampled_from(KEYS), st.sampled_from(CONTENTS), st.integers(0, 2), st.booleans())
HISTORY = st.lists(PUT | st.just("tick"), min_size=3, max_size=9)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORY, order=st.randoms(use_true_random=False))
def test_whatever_is_lost_doubled_or_late_the_result_is_that_of_listing(
    history: list[Any], order: Any, s3_server: str, bucket_place: BucketPlace, tmp_path: Path
) -> None:
    told = Told(BucketPlace(bucket_place.client, tmp_path / "spool"), tmp_path / uuid4().hex)
    listed = Told(BucketPlace(bucket_place.client, tmp_path / "spool"), tmp_path / uuid4().hex)
    late: list[str] = []
    with told.instance, listed.instance:
        for happening in history:
            if happening == "tick":
                order.shuffle(late)
                while late:
                    told.say(late.pop())
                assert all(told.take_in(told.tick()))
                continue
            key, content, times, is_event = happening
            for one in (told, listed):
                one.put(key, content)
            name = f"{told.place.prefix}raw/{key}"
            bucket = told.place.bucket
            body = event(name, bucket=bucket) if is_event else notification(layout.quoted(name), bucket=bucket)
            late += [body] * times
        for one in (told, listed):  # the objects of a bucket may be listed at any time: they are complete
            time.sleep(1.1)
            assert all(one.take_in(one.tick("new_uploads")))
        assert told.now_at_each_key() == listed.now_at_each_key()
        assert told.unique_outcomes().items() >= listed.unique_outcomes().items()
