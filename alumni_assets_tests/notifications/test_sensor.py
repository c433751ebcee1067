"""The sensor on a real pipeline: files, jobs, a Dagster instance; only the channels are stand-ins."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap

from alumni_assets import jobs
from alumni_assets.definitions import build_defs
from alumni_assets.notifications import delivery
from alumni_assets.notifications.channels import Channel
from alumni_assets.notifications.sensor import NotDeliveredError
from alumni_assets.register import Register
from alumni_assets.resources.lake import FolderLake, LakeEntry, LakeError
from alumni_assets.resources.notifier import NotifierResource
from alumni_assets.settings import load_settings
from alumni_assets_tests.notifications.stand_ins import Inbox
from alumni_assets_tests.pipeline.answers import answer, answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import Pipeline

pytestmark = pytest.mark.slow

NOTHING = "Nothing new to tell."


class Receivers(NotifierResource):
    """The notifier with other channels than the settings name."""

    def __init__(self, pipeline: Pipeline, inboxes: list[Inbox]) -> None:
        super().__init__(load_settings(pipeline.environment).notifier)
        self._inboxes = inboxes

    def channels(self, logger: logging.Logger) -> list[Channel]:
        return list(self._inboxes)


class House(Pipeline):
    """A pipeline with a daemon that evaluates the sensor, and two people who are told."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.inbox, self.other = Inbox("email-1"), Inbox("email-2")
        self._cursor: str | None = None

    def tick(self) -> str:
        """One tick of the sensor; returns why it asks for no run, which it never does."""
        settings = load_settings(self.environment)
        repository = build_defs(settings, notifier=Receivers(self, [self.inbox, self.other])).get_repository_def()
        names = ("lake", "survey", "notifier")
        resources = {name: repository.get_top_level_resources()[name] for name in names}
        context = dg.build_sensor_context(self.instance, self._cursor, repository_def=repository, resources=resources)
        data = repository.get_sensor_def("notifications").evaluate_tick(context)
        self._cursor = data.cursor
        assert not data.run_requests
        return data.skip_message or ""

    def restart(self) -> None:
        """The daemon comes back and knows no cursor."""
        self._cursor = None

    def run_job_that_raises(self, error: Exception) -> None:
        """Any job of this instance, which need not be one of the pipeline's."""

        @dg.op
        def break_down() -> None:
            raise error

        @dg.job
        def weekly_report() -> None:
            break_down()

        assert not weekly_report.execute_in_process(instance=self.instance, raise_on_error=False).success

    def told(self) -> list[str]:
        """What both people were told since this was last asked."""
        self.tick()
        subjects = self.inbox.subjects
        assert subjects == self.other.subjects
        self.inbox.accepted.clear()
        self.other.accepted.clear()
        return subjects

    def last_body(self) -> str:
        return self.inbox.accepted[-1].body


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    with house.instance:
        house.tick()
        yield house


def test_people_are_told_from_the_upload_to_the_renewed_table(house: House) -> None:
    good = house.put_and_take_in("good.csv", csv_bytes(answers(1, 9)))
    house.put_and_take_in("mixed.csv", csv_bytes([*answers(100, 9), answer(200, Department="Nowhere")]))
    house.put_and_take_in("bad.csv", b"%PDF-1.7")
    assert house.told() == ["1 upload rejected", "18 new valid rows to approve", "1 new invalid row to correct"]
    assert house.approve(good).success
    assert house.told() == ["Transformation succeeded: 9 rows", "Deduplication succeeded: 9 alumni"]
    house.withdraw(good)
    assert house.renew().success
    assert house.told() == ["Deduplication succeeded: 0 alumni"]
    assert house.told() == []


def test_no_message_holds_anything_from_a_cell(house: House) -> None:
    person = answer(628496, Employee_Name="Valerie Rivera", Email="srubio@mail.ph", Phone_Number="9577284792")
    wrong = answer(7, Employee_Name="Ben Cruz", Email="ben cruz at mail", Phone_Number="12", Department="Nowhere")
    good = house.put_and_take_in("good.csv", csv_bytes([person]))
    house.put_and_take_in("wrong.csv", csv_bytes([wrong]))
    house.put_and_take_in("no header.csv", csv_bytes([person]).split(b"\n", 1)[1])
    house.approve(good)
    house.approve(house.upload_of("wrong.csv"))
    house.tick()
    text = "\n".join(message.subject + message.body for message in house.inbox.accepted)
    assert len(house.inbox.accepted) == 5
    for secret in ("Valerie", "Rivera", "srubio", "9577284792", "628496", "Ben", "Cruz", "at mail", "Nowhere"):
        assert secret not in text


def test_a_hostile_name_stays_on_its_line(house: House) -> None:
    house.put_and_take_in("a\nBcc: eve@school.edu.ph\n\u202e.csv", b"")
    house.tick()
    (message,) = house.inbox.accepted
    assert message.subject == "1 upload rejected"
    assert "- a%0ABcc%3A eve@school.edu.ph%0A%E2%80%AE.csv@" in message.body


def test_a_refused_approval_is_a_failed_transformation(house: House) -> None:
    upload = house.put_and_take_in("bad.csv", csv_bytes(answers(1, 3, Department="Nowhere")))
    assert house.told() == ["3 new invalid rows to correct"]
    assert not house.approve(upload).success
    house.tick()
    assert house.inbox.subjects == ["Transformation failed"]
    assert f"approve_uploads, step approve_and_transform: {upload} may not be approved: " in house.last_body()


def test_a_failed_materialization_in_the_ui_is_a_failed_transformation(house: House) -> None:
    upload = house.put_and_take_in("good.csv", csv_bytes(answers(1)))
    house.told()
    assert not house.materialize("transformed_survey", upload, approved_by=" ").success
    house.tick()
    assert house.inbox.subjects == ["Transformation failed"]
    assert "step approve_and_transform: Nobody is named" in house.last_body()


def test_an_error_of_a_library_is_told_by_its_kind_only(house: House) -> None:
    house.run_job_that_raises(ValueError("srubio@mail.ph is not a number"))
    house.tick()
    assert house.inbox.subjects == ["1 run failed"]
    assert "- weekly_report, step break_down: It broke with ValueError.\n" in house.last_body()


def test_an_error_of_the_pipeline_is_told_in_its_own_words(house: House) -> None:
    house.run_job_that_raises(LakeError("The disk is full: make room."))
    house.tick()
    assert "- weekly_report, step break_down: The disk is full: make room.\n" in house.last_body()


def test_a_run_that_failed_after_it_had_transformed_is_no_failed_transformation(house: House) -> None:
    upload = house.put_and_take_in("good.csv", csv_bytes(answers(1)))
    house.told()
    (house.root / "published").touch()
    assert not house.approve(upload).success
    assert house.told() == ["Transformation succeeded: 2 rows", "Deduplication succeeded: 2 alumni", "1 run failed"]


def test_a_transformation_that_broke_names_the_upload_that_it_left_behind(house: House) -> None:
    upload = house.put_and_take_in("good.csv", csv_bytes(answers(1)))
    house.told()
    (house.root / "transformed").touch()
    assert not house.approve(upload).success
    house.tick()
    assert house.inbox.subjects == ["Transformation failed"]
    assert f"- {upload}, approved by Ana Reyes\n" in house.last_body()


def test_a_run_whose_process_died_is_told(house: House) -> None:
    run = house.instance.create_run_for_job(house.defs.resolve_job_def(jobs.RENEW.name))
    house.instance.report_run_failed(run)
    house.tick()
    assert house.inbox.subjects == ["1 run failed"]
    assert "- renew_tables: It ended without an error of its own: its process was stopped, died" in house.last_body()


def test_a_run_that_failed_while_the_daemon_was_down_is_told_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        house.instance.report_run_failed(house.instance.create_run_for_job(house.defs.resolve_job_def("renew_tables")))
    house.restart()
    assert house.told() == ["3 runs failed"]
    house.restart()
    assert house.told() == []


def test_a_cancelled_run_is_no_failure(house: House) -> None:
    run = house.instance.create_run_for_job(house.defs.resolve_job_def("renew_tables"))
    house.instance.report_run_canceled(run)
    assert house.told() == []


def test_what_happened_before_the_first_start_is_not_told(tmp_path: Path) -> None:
    house = House(tmp_path)
    with house.instance:
        house.put_and_take_in("bad.csv", b"")
        upload = house.put_and_take_in("good.csv", csv_bytes(answers(1)))
        house.instance.report_run_failed(house.instance.create_run_for_job(house.defs.resolve_job_def("renew_tables")))
        house.approve(upload)
        assert house.told() == []
        house.put_and_take_in("bad too.csv", b"")
        assert house.told() == ["1 upload rejected"]


def test_nothing_is_repeated_when_dagster_s_memory_and_the_home_folder_are_lost(house: House) -> None:
    upload = house.put_and_take_in("good.csv", csv_bytes(answers(1)))
    house.approve(upload)
    house.told()
    for path in house.home.glob("*.sqlite"):
        path.unlink()
    house.restart()
    with dg.DagsterInstance.ephemeral() as house.instance:
        assert house.told() == []


def test_a_quiet_tick_looks_at_no_fact(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Register) -> None:
        raise AssertionError("the register was read")

    monkeypatch.setattr(Register, "facts", refuse)
    assert house.tick() == NOTHING
    house.instance.report_run_failed(house.instance.create_run_for_job(house.defs.resolve_job_def("renew_tables")))
    with pytest.raises(AssertionError, match="the register was read"):
        house.tick()


def test_a_message_that_is_refused_fails_the_tick_and_waits_for_its_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.put_and_take_in("bad.csv", b"")
    house.inbox.is_down = True
    with pytest.raises(NotDeliveredError) as error:
        house.tick()
    assert str(error.value) == (
        "A message by the channel email-1 was not accepted: The server is down. Tried again by themselves: 1."
    )
    assert house.other.subjects == ["1 upload rejected"]
    assert house.tick() == "Messages sent: 0. To be sent again: 1."
    assert house.tick() == NOTHING  # it did not look: nothing has changed, and the time has not come
    house.inbox.is_down = False
    monkeypatch.setattr(delivery, "WAITS", [wait * 0 for wait in delivery.WAITS])
    house.restart()
    assert house.told() == ["1 upload rejected"]


def test_a_message_that_was_given_up_fails_every_tick(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MOST_ATTEMPTS", 1)
    house.put_and_take_in("bad.csv", b"")
    house.inbox.is_down = True
    for _ in range(3):
        with pytest.raises(NotDeliveredError, match="Given up: 1 by the channel email-1"):
            house.tick()
    assert house.inbox.tries == 1


def test_an_outage_of_the_lake_is_told_and_the_next_one_too(house: House) -> None:
    away = house.root.with_name("unmounted")
    for _ in range(2):
        house.root.rename(away)
        assert house.tick().startswith("The lake cannot be used. The lake folder ")
        assert house.tick().startswith("The lake cannot be used. The lake folder ")
        assert house.inbox.subjects == ["The lake cannot be read"]
        away.rename(house.root)
        house.told()
    assert (house.home / "outbox" / "register" / "notices" / "000002" / "closed.json").exists()


def test_a_folder_of_uploads_that_may_not_be_read_is_an_outage(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user would have it; for root every folder can be read."""
    really = FolderLake.list

    def refuse(lake: FolderLake, prefix: str) -> Iterator[LakeEntry]:
        if prefix == "raw/":
            raise LakeError("Listing 'raw/' failed: Permission denied.")
        return really(lake, prefix)

    monkeypatch.setattr(FolderLake, "list", refuse)
    assert house.tick() == "The lake cannot be used. Listing 'raw/' failed: Permission denied."


def test_the_sensor_is_on_from_the_start_and_absent_where_all_channels_are_off(house: House) -> None:
    sensor = house.defs.get_repository_def().get_sensor_def("notifications")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    house.environment["ALUMNI_NOTIFY"] = "none"
    silent = build_defs(load_settings(house.environment)).get_repository_def()
    assert not silent.has_sensor_def("notifications")


def test_dagster_is_not_told_the_password(house: House) -> None:
    house.environment |= {
        "ALUMNI_NOTIFY": "email",
        "ALUMNI_SMTP_USER": "survey@school.edu.ph",
        "ALUMNI_SMTP_PASSWORD": "hunter2hunter2",
        "ALUMNI_SMTP_TO": "ana@school.edu.ph",
    }
    repository = build_defs(load_settings(house.environment)).get_repository_def()
    shown = dg.serialize_value(RepositorySnap.from_def(repository))
    assert "notifier" in shown
    assert "hunter2hunter2" not in shown


def test_by_default_the_log_has_it_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    resource = NotifierResource(load_settings({}).notifier)
    assert [channel.label for channel in resource.channels(logging.getLogger())] == ["log"]
    assert resource.remote_channels() == []


def test_the_definitions_are_loaded_without_the_library_that_publishes() -> None:
    code = "import sys, alumni_assets.definitions; print({'boto3', 'botocore'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
