"""Makes the message of a report for one receiver: HTML with its charts, plain text, and the PDF.

The same report gives the same receiver the same message, to the last byte. How it is sent is in `channels.py`.
"""

import hashlib
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from alumni_assets.report.keeping import CHARTS, Documents

_DOMAIN = "reports.alumni-assets.invalid"
_LONGEST_SUBJECT = 120
_CHART = re.compile(rf'src="{CHARTS}([a-z_]+)\.png"')


def report_mail(
    documents: Documents, week: str, subject: str, prepared_at: datetime, sender: str, recipient: str, identity: str
) -> EmailMessage:
    """The message; `identity` and the recipient make its Message-ID, and `prepared_at`, in UTC, is its date."""
    name = hashlib.sha256(f"{identity}\n{recipient}".encode()).hexdigest()[:32]
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = _one_line(subject)
    mail["From"] = sender
    mail["To"] = recipient
    mail["Date"] = format_datetime(prepared_at.replace(tzinfo=UTC))
    mail["Message-ID"] = f"<{name}@{_DOMAIN}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Alumni-Report"] = week
    mail.set_content(documents.text, cte="quoted-printable")
    _add_html(mail, documents, week)
    mail.add_attachment(documents.pdf, maintype="application", subtype="pdf", filename=f"alumni-report-{week}.pdf")
    # By themselves the parts would be told apart by random lines, other ones at every attempt.
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        part.set_boundary(f"=_{name}_{number}")
    return mail


def _add_html(mail: EmailMessage, documents: Documents, week: str) -> None:
    def address(found: re.Match[str]) -> str:
        return f'src="cid:{_content_id(found[1], week)}"'

    mail.add_alternative(_CHART.sub(address, documents.html), subtype="html", cte="quoted-printable")
    *_, html = mail.iter_parts()
    assert isinstance(html, EmailMessage)
    for name, png in documents.charts.items():
        html.add_related(
            png,
            maintype="image",
            subtype="png",
            cid=f"<{_content_id(name, week)}>",
            filename=f"{name}.png",
            disposition="inline",
        )


def _content_id(chart: str, week: str) -> str:
    return f"{chart}.{week}@{_DOMAIN}"


def _one_line(text: str) -> str:
    line = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(line.split())
    return line if len(line) <= _LONGEST_SUBJECT else f"{line[: _LONGEST_SUBJECT - 1]}…"
