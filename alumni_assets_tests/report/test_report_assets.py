"""The report in Dagster: prepared on its schedule, sent when a person says so, and sent again by the sensor."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from alumni_assets import jobs
from alumni_assets.assets import report as report_module
from alumni_assets.definitions import build_defs
from alumni_assets.notifications import delivery
from alumni_assets.report import sending
from alumni_assets.report.sensor import ReportNotDeliveredError
from alumni_assets.settings import load_settings
from alumni_assets.survey_rules import DEFAULT_RULES
from alumni_assets_tests.notifications.stand_ins import Clock
from alumni_assets_tests.pipeline.answers import answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import REAL_FILE, Pipeline, failure_of
from alumni_assets_tests.report.conftest import MoodyServer
from alumni_assets_tests.report.offices import ANA, BEN, SURVEY, parts, pdf_text

pytestmark = [pytest.mark.server, pytest.mark.slow]
MONDAY = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)  # 08:00 in Manila


class House(Pipeline):
    """A pipeline whose report goes to Ana and Ben, by a mail server; time passes when a test says so."""

    def __init__(self, folder: Path, port: int, rules: Path = DEFAULT_RULES) -> None:
        super().__init__(folder, rules)
        self.makes_page = True
        self.environment |= {
            "ALUMNI_SMTP_HOST": "127.0.0.1",
            "ALUMNI_SMTP_PORT": str(port),
            "ALUMNI_SMTP_STARTTLS": "false",
            "ALUMNI_REPORT_FROM": SURVEY,
            "ALUMNI_REPORT_TO": f"{ANA},{BEN}",
        }

    def tick_of_schedule(self, when: datetime = MONDAY) -> dg.RunRequest | str:
        """What the schedule asks for at a time: a run, or why there is none."""
        repository = self.defs.get_repository_def()
        context = dg.build_schedule_context(
            self.instance,
            scheduled_execution_time=when,
            repository_def=repository,
            resources={"lake": repository.get_top_level_resources()["lake"]},
        )
        data = repository.get_schedule_def("weekly_report").evaluate_tick(context)
        return data.run_requests[0] if data.run_requests else data.skip_message or ""

    def run_of_schedule(self) -> dg.ExecuteInProcessResult:
        """The run that the schedule asks for."""
        request = self.tick_of_schedule()
        assert isinstance(request, dg.RunRequest)
        target = self.defs.get_repository_def().get_schedule_def("weekly_report").job_name
        return self._execute(target, request.run_config)

    def tick_of_sensor(self) -> str:
        """What the sensor says."""
        repository = self.defs.get_repository_def()
        resources = {name: repository.get_top_level_resources()[name] for name in ("lake", "survey")}
        context = dg.build_sensor_context(self.instance, repository_def=repository, resources=resources)
        data = repository.get_sensor_def("report_deliveries").evaluate_tick(context)
        assert not data.run_requests
        return data.skip_message or ""

    def metadata_of(self, asset: str) -> dict[str, Any]:
        event = self.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        return {
            name: entry.records if isinstance(entry, dg.TableMetadataValue) else entry.value
            for name, entry in event.asset_materialization.metadata.items()
        }

    def is_made(self, asset: str) -> bool:
        return self.instance.get_latest_materialization_event(dg.AssetKey(asset)) is not None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of the runs: a quarter of an hour after the appointed one."""
    clock = Clock()
    clock.time = datetime(2026, 11, 23, 0, 15)
    monkeypatch.setattr(report_module, "utc_now", clock)
    monkeypatch.setattr(sending.Sender.__init__, "__defaults__", (clock,))
    return clock


@pytest.fixture
def house(tmp_path: Path, server: MoodyServer, clock: Clock) -> Iterator[House]:
    house = House(tmp_path, server.port)
    with house.instance:
        yield house


@pytest.fixture(scope="module")
def lake_with_a_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose page shows 40 alumni; made once, for it takes two seconds."""
    pipeline = Pipeline(tmp_path_factory.mktemp("page"))
    pipeline.makes_page = True
    people = [row | {"Performance_Rating": str(1 + n % 5)} for n, row in enumerate(answers(1, 40))]
    with pipeline.instance:
        assert pipeline.approve(pipeline.put_and_take_in("good.csv", csv_bytes(people))).success
    return pipeline.root


@pytest.fixture
def published(house: House, lake_with_a_page: Path) -> House:
    """A house whose page shows 40 alumni."""
    shutil.copytree(lake_with_a_page, house.root, dirs_exist_ok=True)
    return house


def test_by_default_the_schedule_prepares_and_a_person_sends(published: House, server: MoodyServer) -> None:
    assert published.run_of_schedule().success
    assert published.is_made("weekly_report")
    assert not published.is_made("mailed_report")
    assert published.tick_of_sensor() == "Nothing to send again."
    assert server.mails == []
    assert published.materialize("mailed_report").success
    assert server.receivers == [[ANA], [BEN]]
    assert {mail["Subject"] for mail in server.mails} == {"DMC Academy alumni survey: weekly report 2026-W48"}


def test_where_the_policy_is_auto_the_schedule_sends(published: House, server: MoodyServer, tmp_path: Path) -> None:
    rules = tmp_path / "auto.yaml"
    rules.write_text(DEFAULT_RULES.read_text().replace("report_approval: manual", "report_approval: auto"))
    published.use_rules(rules)
    assert published.run_of_schedule().success
    assert server.receivers == [[ANA], [BEN]]
    assert published.run_of_schedule().success
    assert len(server.mails) == 2


def test_the_schedule_is_on_and_set_to_monday_morning_in_manila(house: House) -> None:
    schedule = house.defs.get_repository_def().get_schedule_def("weekly_report")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 8 * * 1", "Asia/Manila")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "prepare_report"


def test_the_schedule_waits_for_something_to_report(house: House) -> None:
    assert house.tick_of_schedule() == "Nothing is published yet, so there is nothing to report."


def test_the_week_is_that_of_the_appointed_time(published: House) -> None:
    """A run that begins after midnight is still about the week in which it was due."""
    request = published.tick_of_schedule(datetime(2026, 11, 22, 15, 59, tzinfo=UTC))  # Sunday 23:59 in Manila
    assert isinstance(request, dg.RunRequest)
    assert request.run_config == {"ops": {"weekly_report": {"config": {"week": "2026-W47"}}}}
    assert published._execute(jobs.PREPARE_REPORT.name, request.run_config).success
    assert published.metadata_of("weekly_report")["week"] == "2026-W47"
    refused = published.materialize("mailed_report")
    assert failure_of(refused) == (
        "No report is prepared for 2026-W48. The newest that is prepared is that of 2026-W47. Materialize "
        "weekly_report first, or run `alumni report`."
    )
    assert published.materialize("mailed_report", week="2026-W47").success


def test_the_metadata_say_what_is_to_be_looked_at(published: House, server: MoodyServer) -> None:
    assert published.materialize("weekly_report").success
    found = published.metadata_of("weekly_report")
    assert found["compared_with"] == "nothing: it is the first report"
    assert Path(found["pdf"]).read_bytes().startswith(b"%PDF")
    assert "40 alumni" in found["preview"]
    assert (found["is_new"], found["is_released"]) == (True, False)
    assert published.materialize("mailed_report").success
    found = published.metadata_of("mailed_report")
    assert (found["week"], found["sent_now"], found["sent"], found["refused"]) == ("2026-W48", 2, 2, 0)
    assert [record.data["receiver"] for record in found["receivers"]] == [
        "e-mail to a***@school.edu.ph",
        "e-mail to b***@school.edu.ph",
    ]
    assert published.materialize("weekly_report").success
    assert published.metadata_of("weekly_report")["is_released"] is True


def test_a_refusal_for_good_fails_the_run_after_the_others_got_it(published: House, server: MoodyServer) -> None:
    server.refused = {ANA}
    published.materialize("weekly_report")
    sentence = failure_of(published.materialize("mailed_report"))
    assert sentence.startswith("The report of 2026-W48 was not accepted for 1 of 2 receivers")
    assert "By e-mail to a***@school.edu.ph" in sentence
    assert "(550)" in sentence
    assert server.receivers == [[BEN]]
    with pytest.raises(ReportNotDeliveredError, match="1 of 2 receivers"):
        published.tick_of_sensor()
    server.refused = set()
    assert published.materialize("mailed_report").success
    assert server.receivers == [[BEN], [ANA]]
    assert published.tick_of_sensor() == "Nothing to send again."


def test_the_sensor_sends_again_what_was_refused_for_now(published: House, server: MoodyServer, clock: Clock) -> None:
    server.busy = {ANA}
    published.materialize("weekly_report")
    assert published.materialize("mailed_report").success
    assert published.metadata_of("mailed_report")["to_be_sent_again"] == 1
    assert published.tick_of_sensor() == "Reports sent: 0. To be sent again: 1."
    server.busy = set()
    clock.pass_by(seconds=delivery.WAITS[0].total_seconds())
    assert published.tick_of_sensor() == "Reports sent: 1. To be sent again: 0."
    assert published.tick_of_sensor() == "Nothing to send again."
    assert server.receivers == [[BEN], [ANA]]


def test_what_may_not_be_is_refused_in_a_sentence(house: House, published: House) -> None:
    assert "is no week; an example is 2026-W48" in failure_of(published.materialize("weekly_report", week="last"))
    assert "No report is prepared for 2026-W48. Materialize" in failure_of(published.materialize("mailed_report"))
    published.materialize("weekly_report")
    published.environment["ALUMNI_REPORT_TO"] = ""
    published.use_rules(DEFAULT_RULES)
    assert "there is nobody to send it to" in failure_of(published.materialize("mailed_report"))


def test_without_a_publication_the_run_says_so(house: House) -> None:
    assert failure_of(house.materialize("weekly_report")).startswith("Nothing is published yet")


def test_nobody_is_named_in_the_mail_or_in_dagster(published: House, server: MoodyServer) -> None:
    published.materialize("weekly_report")
    published.materialize("mailed_report")
    (mail, _) = server.mails
    said = "\n".join(
        [
            *[part.get_content() for kind in ("text/plain", "text/html") for part in parts(mail, kind)],
            *[pdf_text(part.get_content()) for part in parts(mail, "application/pdf")],
            published.events(),
            *[f"{name}{content!r}" for name, content in published.files("reports").items() if name.endswith(".json")],
        ]
    )
    for row in answers(1, 40):
        for secret in (row["Employee_Name"].split()[1], row["Email"], row["Phone_Number"]):
            assert secret not in said
    assert ANA not in published.events()
    assert "2.90 to 3.10" not in said


def test_dagster_is_not_told_the_password(house: House) -> None:
    from dagster._core.remote_representation.external_data import RepositorySnap

    house.environment |= {
        "ALUMNI_SMTP_STARTTLS": "true",
        "ALUMNI_SMTP_USER": SURVEY,
        "ALUMNI_SMTP_PASSWORD": "hunter2hunter2",
    }
    repository = build_defs(load_settings(house.environment)).get_repository_def()
    assert "hunter2hunter2" not in dg.serialize_value(RepositorySnap.from_def(repository))


def test_the_figures_of_the_real_survey_are_in_the_mail(house: House, server: MoodyServer, lacking: Any) -> None:
    if not REAL_FILE.exists():
        lacking(f"{REAL_FILE.name} is not there")
    assert house.approve(house.put_and_take_in(REAL_FILE.name, REAL_FILE.read_bytes())).success
    assert house.run_of_schedule().success
    assert house.materialize("mailed_report").success
    mail = server.mails[0]
    (html,), (text,), (pdf,) = (parts(mail, kind) for kind in ("text/html", "text/plain", "application/pdf"))
    paper, plain = pdf_text(pdf.get_content()), " ".join(text.get_content().split())
    for degree, alumni, mean, interval in (
        ("Accountancy", 107, "3.20", "2.93 to 3.47"),
        ("Education", 95, "2.88", "2.59 to 3.18"),
    ):
        assert f"{degree}: Alumni {alumni}; Mean rating {mean}; 95 % interval {interval}" in plain
        assert f"{degree} {alumni} {mean} {interval}" in paper
        assert f">{mean}<" in html.get_content()
    for campus, alumni, excellent, share in (("Santo Tomas", 79, 22, "27.8 %"), ("Main", 457, 86, "18.8 %")):
        assert f"{campus}: Alumni {alumni}; Rated 5 {excellent}; Share rated 5 {share}" in plain
        assert f"{campus} {alumni} {excellent} {share}" in paper
    assert "HR 141 14.1 % 12.1 % to 16.4 % 2.74 2.50 to 2.97 lower" in paper
    assert "Finance Officer: Alumni 116" in plain
    assert "The first report: 1,000 alumni." in plain
    assert "1,000 alumni." in paper
