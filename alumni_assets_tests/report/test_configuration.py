"""What the environment says about the report, and what is said of every mistake in it."""

import pytest

from alumni_assets.definitions import build_defs
from alumni_assets.report.configuration import ReportSettings
from alumni_assets.schedules import weekly_report_schedule
from alumni_assets.settings import SettingsError, load_settings
from alumni_assets.survey_rules import ReportRules, SurveyRulesError, default_rules

SERVER = {
    "ALUMNI_SMTP_USER": "survey@gmail.com",
    "ALUMNI_SMTP_PASSWORD": "abcd efgh ijkl mnop",
    "ALUMNI_REPORT_TO": "ana@school.edu.ph, ben@school.edu.ph,ana@school.edu.ph",
}


def settings(**environment: str) -> ReportSettings:
    return load_settings(environment).report


def mistake(**environment: str) -> str:
    with pytest.raises(SettingsError) as error:
        settings(**SERVER | environment)
    return str(error.value)


def test_without_settings_nobody_gets_the_report() -> None:
    assert settings() == ReportSettings((), "smtp", "", None)


def test_the_server_of_the_notifications_sends_the_report_even_where_they_are_off() -> None:
    found = settings(**SERVER)
    assert found.recipients == ("ana@school.edu.ph", "ben@school.edu.ph")
    assert found.sender == "survey@gmail.com"
    assert found.mail is not None
    assert (found.mail.host, found.mail.password) == ("smtp.gmail.com", "abcdefghijklmnop")


def test_the_report_may_have_a_sender_of_its_own() -> None:
    found = settings(**SERVER, ALUMNI_SMTP_FROM="alerts@school.edu.ph", ALUMNI_REPORT_FROM="report@school.edu.ph")
    assert found.sender == "report@school.edu.ph"
    assert found.mail is not None
    assert found.mail.sender == "report@school.edu.ph"
    assert settings(**SERVER, ALUMNI_SMTP_FROM="alerts@school.edu.ph").sender == "alerts@school.edu.ph"


def test_ses_needs_a_sender_and_no_server() -> None:
    found = settings(ALUMNI_REPORT_TO="ana@school.edu.ph", ALUMNI_REPORT_VIA="SES", ALUMNI_REPORT_FROM="a@b.ph")
    assert found == ReportSettings(("ana@school.edu.ph",), "ses", "a@b.ph", None)


def test_every_mistake_names_its_variable() -> None:
    assert mistake(ALUMNI_REPORT_TO="ana@school.edu.ph;ben").startswith("ALUMNI_REPORT_TO is 'ana@school.edu.ph;ben';")
    assert mistake(ALUMNI_REPORT_TO="ana@school.edu.ph,").startswith("ALUMNI_REPORT_TO is missing; it takes an e-mail")
    assert mistake(ALUMNI_REPORT_FROM="survey").startswith("ALUMNI_REPORT_FROM is 'survey'; it takes an e-mail")
    assert mistake(ALUMNI_REPORT_VIA="fax") == "ALUMNI_REPORT_VIA is 'fax'; it takes smtp or ses."
    assert mistake(ALUMNI_SMTP_PORT="0").startswith("ALUMNI_SMTP_PORT is '0'")
    assert mistake(ALUMNI_REPORT_VIA="ses", ALUMNI_SMTP_USER="").startswith("ALUMNI_REPORT_FROM is missing")


def test_the_server_is_not_looked_at_while_nobody_gets_the_report() -> None:
    assert settings(ALUMNI_SMTP_PORT="0") == settings()


def test_the_password_is_shown_nowhere() -> None:
    assert "abcdefghijklmnop" not in repr(settings(**SERVER))


@pytest.mark.parametrize("cron", ["every monday", "0 8 * *", "61 8 * * 1", ""])
def test_a_schedule_that_means_nothing_is_named(cron: str) -> None:
    rules = default_rules().model_copy(update={"report": ReportRules(schedule=cron)})
    with pytest.raises(SurveyRulesError) as error:
        weekly_report_schedule(rules)
    assert str(error.value).startswith(f"report.schedule of the survey's configuration is {cron!r}; it takes minute,")


def test_the_sensor_is_there_once_somebody_gets_the_report() -> None:
    named = {
        bool(environment): {sensor.name for sensor in build_defs(load_settings(environment)).sensors or ()}
        for environment in ({}, SERVER)
    }
    assert named[True] - named[False] == {"report_deliveries"}
