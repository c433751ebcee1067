"""What leaves by the log, and how any message is made safe for headers and topics; no server is needed."""

import logging
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.notifications import channels
from alumni_assets.notifications.channels import EmailChannel, LogChannel, Message
from alumni_assets.notifications.configuration import MailSettings
from alumni_assets_tests.notifications.stand_ins import NOON


def message(
    subject: str = "1 upload rejected", body: str = "One.\n\n- a.csv", kind: str = "upload_rejected"
) -> Message:
    return Message("0123abcd", kind, subject, body, NOON)


def mail_of(sent: Message) -> EmailMessage:
    return channels._mail(sent, "survey@school.edu.ph", "ana@school.edu.ph")


def logged(caplog: pytest.LogCaptureFixture, sent: Message) -> tuple[str, str]:
    logger = logging.getLogger("notifications")
    with caplog.at_level(logging.DEBUG):
        LogChannel(logger).send(sent)
    (record,) = caplog.records
    return record.levelname, record.getMessage()


def test_a_message_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, message()) == (
        "WARNING",
        "[Alumni survey] 1 upload rejected | One. | - a.csv | notice 0123abcd",
    )


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("valid_rows_wait", "INFO"),
        ("invalid_rows_open", "WARNING"),
        ("upload_rejected", "WARNING"),
        ("transformation_succeeded", "INFO"),
        ("deduplication_succeeded", "INFO"),
        ("transformation_failed", "ERROR"),
        ("run_failed", "ERROR"),
        ("lake_unreadable", "ERROR"),
    ],
)
def test_failures_are_logged_as_errors(kind: str, level: str, caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, message(kind=kind))[0] == level


def test_a_mail_carries_the_notice_and_nothing_else() -> None:
    mail = mail_of(message())
    assert dict(mail.items()) == {
        "Subject": "[Alumni survey] 1 upload rejected",
        "From": "survey@school.edu.ph",
        "To": "ana@school.edu.ph",
        "Date": "Mon, 02 Nov 2026 12:00:00 +0000",
        "Message-ID": "<0123abcd@notices.alumni-assets.invalid>",
        "Auto-Submitted": "auto-generated",
        "X-Alumni-Event": "upload_rejected",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
        "MIME-Version": "1.0",
    }
    assert mail.get_content() == "One.\n\n- a.csv\n\n-- \nNotice 0123abcd\n"


def test_the_same_notice_is_the_same_mail_byte_by_byte() -> None:
    assert mail_of(message()).as_bytes() == mail_of(message()).as_bytes()


@given(subject=st.text(max_size=300), body=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_no_subject_can_add_a_header_and_no_body_a_second_message(subject: str, body: str) -> None:
    mail = mail_of(message(subject, body))
    raw = mail.as_bytes()
    head = raw.split(b"\r\n\r\n")[0].replace(b"\r\n ", b" ")  # a long header goes on in the next line
    assert [line.split(b":")[0] for line in head.split(b"\r\n")] == [
        *[b"Subject", b"From", b"To", b"Date", b"Message-ID", b"Auto-Submitted", b"X-Alumni-Event"],
        *[b"Content-Type", b"Content-Transfer-Encoding", b"MIME-Version"],
    ]
    assert max(len(line) for line in raw.split(b"\r\n")) <= 100
    assert raw.isascii()


@given(subject=st.text(max_size=300))
def test_every_title_is_short_and_fit_for_sns(subject: str) -> None:
    title = message(subject).title
    assert len(title) <= 90
    assert title.isascii()
    assert title.isprintable()


def test_a_channel_has_a_name_without_its_address_and_a_label_that_masks_it() -> None:
    settings = MailSettings("smtp.gmail.com", 587, "", "", "survey@school.edu.ph", (), True, "")
    channel = EmailChannel(settings, "ana.reyes@school.edu.ph")
    assert channel.label == "e-mail to a***@school.edu.ph"
    assert channel.name.startswith("email-")
    assert "ana" not in channel.name
