"""The whole pipeline in the account, from the event of an upload to the answers, each component in its role."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from alumni_assets import jobs, layout, retention
from alumni_assets.definitions import build_defs
from alumni_assets.register import Register
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.lake_interface import LakeError
from alumni_assets.resources.roles import Component
from alumni_assets.settings import load_settings
from alumni_assets.stages import approval
from alumni_assets.stages.intake import utc_now
from alumni_assets.survey.standing import Facts
from alumni_assets_tests.deploy.conftest import ACCOUNT, BUCKET, REGION, ROLES, TOPIC, Cloud
from alumni_assets_tests.pipeline.answers import answer, answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import QUIET, REAL_FILE, changed_rules

__all__ = ["changed_rules"]

pytestmark = [pytest.mark.server, pytest.mark.slow]


class Deployed:
    """The pipeline as Dagster's processes run it in the account. People put uploads there and approve them."""

    def __init__(self, account: Cloud, home: Path) -> None:
        self.account, self.home = account, home
        self.environment = {
            "ALUMNI_LAKE": f"s3://{BUCKET}",
            "ALUMNI_QUEUE": account.queue,
            "ALUMNI_ROLES": ROLES,
            "ALUMNI_HOME": str(home),
            "ALUMNI_APPROVER": "Ana Reyes",
            "ALUMNI_NOTIFY": "sns",
            "ALUMNI_SNS_TOPIC_ARN": TOPIC,
            # The account on this machine works out no SHA-256 of copies, so that cold ones could not be verified.
            "ALUMNI_ARCHIVE_CLASS": "STANDARD_IA",
        }
        self.instance = dg.DagsterInstance.ephemeral()
        self.defs = build_defs(load_settings(self.environment))
        self._told_until: str | None = None
        self._reader = _subscribe_a_queue(account)

    def put(self, key: str, content: bytes) -> None:
        self.account.root.client("s3").put_object(Bucket=BUCKET, Key=f"raw/{key}", Body=content)

    def take_in(self) -> None:
        """What the sensor does about the events that are in the queue, and the runs that it asks for."""
        for request in self._tick("upload_events", None).run_requests or ():
            self.run(jobs.TAKE_IN.name, request.run_config)

    def tell(self) -> list[str]:
        """What the sensor tells people of what happened: the titles, as a queue gets them that subscribes."""
        self._told_until = self._tick("notifications", self._told_until).cursor
        sqs = self.account.root.client("sqs")
        found = sqs.receive_message(QueueUrl=self._reader, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=self._reader, ReceiptHandle=message["ReceiptHandle"])
        return sorted(json.loads(message["Body"])["Subject"] for message in found)

    def _tick(self, sensor: str, cursor: str | None) -> Any:
        repository = self.defs.get_repository_def()
        with dg.build_sensor_context(
            self.instance, cursor, repository_def=repository, resources=dict(self.defs.resources or {})
        ) as context:
            return self.defs.resolve_sensor_def(sensor).evaluate_tick(context)

    def approve_all(self) -> None:
        """What a person does about all that waits; it is archived, and every table is renewed and published."""
        uploads = approval.waiting(self.facts())
        self.run(jobs.APPROVE.name, jobs.approve_config(uploads, "Ana Reyes", ""), jobs.approve_tags(uploads))

    def run(self, job: str, config: Any, tags: dict[str, str] | None = None) -> None:
        done = self.defs.resolve_job_def(job).execute_in_process(
            run_config={**config, **QUIET}, instance=self.instance, tags=tags, raise_on_error=False
        )
        assert done.success, [event.step_failure_data for event in done.all_events if event.is_step_failure]

    def facts(self) -> Facts:
        lake = LakeResource(location=self.environment["ALUMNI_LAKE"], roles=ROLES).lake(Component.TRANSFORM)
        return Register(lake, self.home / "reader").facts()

    def upload_of(self, key: str) -> str:
        (upload,) = [seen.upload for seen in self.facts().seen.values() if seen.key == key]
        return upload

    def names(self) -> list[str]:
        found = self.account.root.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
        return [item["Key"] for item in found]

    def published(self, query: str, copy: Path) -> list[tuple[Any, ...]]:
        self.account.root.client("s3").download_file(BUCKET, "published/alumni.duckdb", str(copy))
        with duckdb.connect(str(copy), read_only=True) as connection:
            return connection.execute(query).fetchall()


def _subscribe_a_queue(account: Cloud) -> str:
    """The URL of a queue that gets what is published to the topic of the notices."""
    queue, arn = account.root.client("sqs"), f"arn:aws:sqs:{REGION}:{ACCOUNT}:reader"
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn}]}
    url = queue.create_queue(QueueName="reader", Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
    account.root.client("sns").subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arn)
    return url


@pytest.fixture
def deployed(account: Cloud, tmp_path: Path) -> Iterator[Deployed]:
    """A deployment with an empty lake and nothing in the queue."""
    s3 = account.root.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=item["Key"])
    account.root.client("sqs").purge_queue(QueueUrl=account.queue)
    fresh = Deployed(account, tmp_path / "home")
    with fresh.instance:
        yield fresh


@pytest.mark.skipif(not REAL_FILE.exists(), reason="the real survey file is not beside this repository")
def test_the_real_file_gives_the_published_figures_with_each_component_in_its_role(
    deployed: Deployed, tmp_path: Path
) -> None:
    deployed.put("dmc_alumni_survey_raw.csv", REAL_FILE.read_bytes())
    deployed.take_in()
    deployed.approve_all()
    degrees = dict(
        deployed.published("SELECT college_degree, round(mean_rating, 2) FROM degree_performance", tmp_path / "d")
    )
    assert (degrees["Accountancy"], degrees["Education"]) == (3.20, 2.88)
    campuses = deployed.published("SELECT dmc_campus, alumni, excellent FROM campus_excellence", tmp_path / "c")
    assert campuses[0] == ("Main", 457, 86)
    assert deployed.published("SELECT count(*) FROM alumni", tmp_path / "n") == [(1000,)]
    names = set(deployed.names())
    assert "published/dashboard.html" in names
    assert len([name for name in names if name.startswith("archive/")]) == 3


def test_rows_come_back_corrected_with_each_component_in_its_role(deployed: Deployed, tmp_path: Path) -> None:
    assert deployed.tell() == []
    deployed.put("term 1+2.csv", csv_bytes([*answers(1, 20), answer(99, Department="HRR")]))
    deployed.take_in()
    assert deployed.tell() == [
        "[Alumni survey] 1 new invalid row to correct",
        "[Alumni survey] 20 new valid rows to approve",
    ]
    upload = deployed.upload_of("term 1+2.csv")
    assert (deployed.facts().ingested[upload].valid, deployed.facts().ingested[upload].invalid) == (20, 1)
    deployed.put("back.csv", f"_upload,_row,Department\n{upload},21,HR\n".encode())
    deployed.take_in()
    deployed.approve_all()
    rows = deployed.published(
        "SELECT employee_id, department, source_row FROM alumni WHERE employee_id = 99", tmp_path / "a"
    )
    assert rows == [(99, "HR", 21)]
    assert deployed.published("SELECT status FROM quarantine", tmp_path / "q") == [("resolved",)]
    assert deployed.tell() == [
        "[Alumni survey] Deduplication succeeded: 21 alumni",
        "[Alumni survey] Transformation succeeded: 21 rows",
    ]


@pytest.mark.long
def test_what_is_old_goes_in_a_role_of_its_own(
    deployed: Deployed, changed_rules: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = changed_rules(retention={"raw_days": 30, "pinned_days": 30, "correction_files_days": 30})
    deployed.environment["ALUMNI_SURVEY"] = str(rules)
    deployed.defs = build_defs(load_settings(deployed.environment))
    deployed.put("term.csv", csv_bytes(answers(1, 3)))
    deployed.take_in()
    deployed.approve_all()
    kept = set(deployed.names())
    monkeypatch.setattr(retention, "utc_now", lambda: utc_now() + timedelta(days=31))
    deployed.run(retention.EXPIRE.name, {})
    assert kept - set(deployed.names()) == {"raw/term.csv", layout.pinned_key(deployed.upload_of("term.csv"))}


def test_a_component_without_the_right_is_told_which_one_it_lacks(deployed: Deployed) -> None:
    lake = LakeResource(location=f"s3://{BUCKET}", roles=ROLES).lake(Component.INGEST)
    with pytest.raises(LakeError, match=r"AccessDenied .*Give the user or role of this process the permission"):
        lake.put_bytes("published/alumni.parquet", b"")


def test_the_processes_themselves_may_touch_nothing(deployed: Deployed) -> None:
    with pytest.raises(LakeError, match="AccessDenied"):
        LakeResource(location=f"s3://{BUCKET}", roles=ROLES).lake().put_bytes("raw/a.csv", b"")
