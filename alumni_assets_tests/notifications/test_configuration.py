"""What the environment says about notifications, and what is said of every mistake in it."""

from pathlib import Path

import pytest

from alumni_assets.contract import Contract
from alumni_assets.notifications.configuration import MailSettings, NotifierSettings
from alumni_assets.settings import SettingsError, load_settings
from alumni_assets.survey_rules import (
    DEFAULT_RULES,
    NotificationRules,
    SurveyRulesError,
    default_rules,
    load_rules,
)

GMAIL = {
    "ALUMNI_NOTIFY": "email",
    "ALUMNI_SMTP_USER": "survey@gmail.com",
    "ALUMNI_SMTP_PASSWORD": "abcd efgh ijkl mnop",
    "ALUMNI_SMTP_TO": "ana@school.edu.ph",
}
TOPIC = "arn:aws:sns:ap-southeast-1:123456789012:alumni"


def settings(**environment: str) -> NotifierSettings:
    return load_settings(environment).notifier


def mail(**environment: str) -> MailSettings:
    found = settings(**GMAIL | environment).mail
    assert found is not None
    return found


def mistake(**environment: str) -> str:
    with pytest.raises(SettingsError) as error:
        settings(**environment)
    return str(error.value)


def test_without_settings_only_the_log_is_on() -> None:
    assert settings() == NotifierSettings(("log",), None, "", "http://127.0.0.1:3000")


def test_an_address_and_an_app_password_suffice_for_gmail() -> None:
    assert mail() == MailSettings(
        host="smtp.gmail.com",
        port=587,
        user="survey@gmail.com",
        password="abcdefghijklmnop",
        sender="survey@gmail.com",
        recipients=("ana@school.edu.ph",),
        starttls=True,
        ca_file="",
    )


def test_any_other_password_is_taken_as_it_is() -> None:
    assert mail(ALUMNI_SMTP_PASSWORD="correct horse battery").password == "correct horse battery"


def test_several_channels_can_be_on_in_any_spelling() -> None:
    found = settings(**GMAIL | {"ALUMNI_NOTIFY": " SNS,log , Email ", "ALUMNI_SNS_TOPIC_ARN": TOPIC})
    assert found.channels == ("log", "email", "sns")
    assert found.topic == TOPIC


def test_all_channels_can_be_off() -> None:
    assert settings(ALUMNI_NOTIFY="none").channels == ()


def test_several_addresses_are_parted_by_commas_and_each_counts_once() -> None:
    recipients = mail(ALUMNI_SMTP_TO="ana@school.edu.ph, ben@school.edu.ph,ana@school.edu.ph").recipients
    assert recipients == ("ana@school.edu.ph", "ben@school.edu.ph")


def test_a_mail_server_of_the_house_may_need_no_login() -> None:
    found = mail(
        ALUMNI_SMTP_HOST="mail.school.edu.ph",
        ALUMNI_SMTP_PORT="25",
        ALUMNI_SMTP_USER="",
        ALUMNI_SMTP_PASSWORD="",
        ALUMNI_SMTP_FROM="survey@school.edu.ph",
        ALUMNI_SMTP_STARTTLS="False",
    )
    assert (found.user, found.sender, found.starttls, found.port) == ("", "survey@school.edu.ph", False, 25)


def test_links_lead_to_the_address_of_the_ui() -> None:
    assert settings(ALUMNI_UI_URL="https://dagster.school.edu.ph/").ui_url == "https://dagster.school.edu.ph"


def test_the_settings_of_a_channel_that_is_off_are_not_looked_at() -> None:
    assert settings(ALUMNI_SMTP_PORT="many", ALUMNI_SNS_TOPIC_ARN="topic").channels == ("log",)


def test_the_password_is_not_shown_with_the_settings() -> None:
    assert "abcd" not in repr(load_settings(GMAIL))


def test_a_certificate_authority_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    assert mail(ALUMNI_SMTP_CA_FILE=str(tmp_path / "ca.pem")).ca_file == str(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"ALUMNI_NOTIFY": "log,emial"},
            "ALUMNI_NOTIFY is 'log,emial'; it takes log, email and sns, several of them parted by commas, or none.",
        ),
        (
            {"ALUMNI_NOTIFY": "none,log"},
            "ALUMNI_NOTIFY is 'none,log'; it takes log, email and sns, several of them parted by commas, or none.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_TO": ""},
            "ALUMNI_SMTP_TO is missing; it takes an e-mail address such as ana@school.edu.ph, or several parted by "
            "commas.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_TO": "ana@school.edu.ph,"},
            "ALUMNI_SMTP_TO is missing; it takes an e-mail address such as ana@school.edu.ph, or several parted by "
            "commas.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_TO": "ana@school.edu.ph\nBcc: eve@school.edu.ph"},
            "ALUMNI_SMTP_TO is 'ana@school.edu.ph\\nBcc: eve@school.edu.ph'; it takes an e-mail address such as "
            "ana@school.edu.ph, or several parted by commas.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_USER": "survey", "ALUMNI_SMTP_FROM": ""},
            "ALUMNI_SMTP_FROM is 'survey'; it takes an e-mail address such as ana@school.edu.ph.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_PASSWORD": ""},
            "ALUMNI_SMTP_USER and ALUMNI_SMTP_PASSWORD belong together: set both, or neither.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_STARTTLS": "false"},
            "ALUMNI_SMTP_STARTTLS is off; a password is sent over an encrypted connection only.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_STARTTLS": "maybe"},
            "ALUMNI_SMTP_STARTTLS is 'maybe'; it takes true or false.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_PORT": "587 "[:-1] + "x"},
            "ALUMNI_SMTP_PORT is '587x'; it takes a port from 1 to 65535, usually 587.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_PORT": "65536"},
            "ALUMNI_SMTP_PORT is '65536'; it takes a port from 1 to 65535, usually 587.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_HOST": "smtp://gmail"},
            "ALUMNI_SMTP_HOST is 'smtp://gmail'; it takes the name of a mail server, such as smtp.gmail.com.",
        ),
        (
            GMAIL | {"ALUMNI_SMTP_CA_FILE": "/no/such/file"},
            "ALUMNI_SMTP_CA_FILE is '/no/such/file'; there is no such file.",
        ),
        (
            {"ALUMNI_NOTIFY": "sns"},
            "ALUMNI_SNS_TOPIC_ARN is missing; it takes a topic such as arn:aws:sns:ap-southeast-1:123456789012:alumni.",
        ),
        (
            {"ALUMNI_NOTIFY": "sns", "ALUMNI_SNS_TOPIC_ARN": "alumni"},
            "ALUMNI_SNS_TOPIC_ARN is 'alumni'; it takes a topic such as "
            "arn:aws:sns:ap-southeast-1:123456789012:alumni.",
        ),
        (
            {"ALUMNI_UI_URL": "dagster.school.edu.ph"},
            "ALUMNI_UI_URL is 'dagster.school.edu.ph'; it takes an address such as https://dagster.school.edu.ph.",
        ),
        (
            {"ALUMNI_UI_URL": "https://dagster.school.edu.ph/ <b>"},
            "ALUMNI_UI_URL is 'https://dagster.school.edu.ph/ <b>'; it takes an address such as "
            "https://dagster.school.edu.ph.",
        ),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(environment: dict[str, str], sentence: str) -> None:
    assert mistake(**environment) == sentence


def rules_with(tmp_path: Path, section: str) -> Path:
    path = tmp_path / "survey.yaml"
    text = DEFAULT_RULES.read_text(encoding="utf-8")
    assert "notifications:\n  new_valid_rows: 1\n  open_invalid_rows: 1\n" in text
    path.write_text(text.replace("notifications:\n  new_valid_rows: 1\n  open_invalid_rows: 1\n", section), "utf-8")
    return path


def test_thresholds_are_in_the_survey_s_configuration(tmp_path: Path) -> None:
    rules = load_rules(rules_with(tmp_path, "notifications:\n  new_valid_rows: 500\n  open_invalid_rows: 20\n"))
    assert rules.notifications == NotificationRules(new_valid_rows=500, open_invalid_rows=20)


def test_a_configuration_from_before_there_were_notifications_tells_of_every_row(tmp_path: Path) -> None:
    assert load_rules(rules_with(tmp_path, "")).notifications == NotificationRules()


@pytest.mark.parametrize("threshold", ["0", "-1", "some", "1.5", "true"])
def test_a_threshold_that_means_nothing_is_named(tmp_path: Path, threshold: str) -> None:
    path = rules_with(tmp_path, f"notifications:\n  new_valid_rows: {threshold}\n")
    with pytest.raises(SurveyRulesError, match=r"notifications\.new_valid_rows: "):
        load_rules(path)


def test_thresholds_change_nothing_about_how_rows_are_judged() -> None:
    thresholds = NotificationRules(new_valid_rows=77, open_invalid_rows=77)
    changed = default_rules().model_copy(update={"notifications": thresholds})
    assert Contract(changed).hash == Contract(default_rules()).hash
