"""The message: its parts, its headers, and that the same report gives the same message."""

import re
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.report.documents import make_documents
from alumni_assets.report.keeping import Documents
from alumni_assets.report.mail import report_mail
from alumni_assets_tests.report.offices import ANA, BEN, DOCUMENTS, PUBLISHED, SURVEY, a_population, content_of, parts


def mail_of(
    documents: Documents = DOCUMENTS,
    week: str = "2026-W48",
    subject: str = "The report",
    recipient: str = ANA,
    identity: str = "1",
    prepared_at: datetime = PUBLISHED,
) -> EmailMessage:
    """The message as its receiver reads it."""
    raw = report_mail(documents, week, subject, prepared_at, SURVEY, recipient, identity).as_bytes()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


@pytest.fixture(scope="module")
def documents() -> Documents:
    return make_documents(content_of(a_population(180), a_population()))


def test_it_has_html_with_its_charts_plain_text_and_a_pdf(documents: Documents) -> None:
    mail = mail_of(documents)
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        *["image/png"] * 5,
        "application/pdf",
    ]
    assert not any(part.defects for part in mail.walk())
    (text,), (pdf,) = parts(mail, "text/plain"), parts(mail, "application/pdf")
    assert text.get_content().replace("\r\n", "\n") == documents.text
    assert pdf.get_content() == documents.pdf
    assert pdf.get_filename() == "alumni-report-2026-W48.pdf"
    assert pdf.get_content_disposition() == "attachment"


def test_every_image_of_the_html_is_a_part_and_every_part_is_shown(documents: Documents) -> None:
    mail = mail_of(documents)
    (html,) = parts(mail, "text/html")
    shown = re.findall(r'src="cid:([^"]+)"', html.get_content())
    images = {image["Content-ID"].strip("<>"): image for image in parts(mail, "image/png")}
    assert sorted(shown) == sorted(images)
    assert sorted(image.get_content() for image in images.values()) == sorted(documents.charts.values())
    assert {image.get_content_disposition() for image in images.values()} == {"inline"}
    assert html.get_content().count("src=") == len(shown)


def test_its_headers() -> None:
    mail = mail_of()
    assert mail["Subject"] == "The report"
    assert (mail["From"], mail["To"]) == (SURVEY, ANA)
    assert mail["Date"] == "Fri, 20 Nov 2026 04:05:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Alumni-Report"] == "2026-W48"
    assert re.fullmatch(r"<[0-9a-f]{32}@reports\.alumni-assets\.invalid>", mail["Message-ID"])


def test_the_same_report_is_the_same_message_byte_by_byte(documents: Documents) -> None:
    first, second = (mail_of(documents).as_bytes() for _ in range(2))
    assert first == second


def test_each_receiver_and_each_identity_has_a_message_id() -> None:
    ids = {
        mail_of(recipient=recipient, identity=identity)["Message-ID"] for recipient in (ANA, BEN) for identity in "12"
    }
    assert len(ids) == 4


@given(subject=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_no_subject_can_add_a_header_or_a_line(subject: str) -> None:
    mail = mail_of(subject=subject)
    assert mail.keys() == [
        *["Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "X-Alumni-Report"],
        *["MIME-Version", "Content-Type"],
    ]
    assert len(mail["Subject"]) <= 120


def test_a_subject_may_be_of_any_language() -> None:
    assert mail_of(subject="Ulat: 50 % 校友 ñ")["Subject"] == "Ulat: 50 % 校友 ñ"
