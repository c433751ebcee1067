"""Prepares the report: from what is published to a week's edition in the lake, or to a folder to look at.

What it says is in `content.py`, what it looks like in `documents.py`, where it is kept in `keeping.py`. Nothing is sent
here.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from alumni_assets.answers.figures import Figures
from alumni_assets.answers.public_edition import public_edition
from alumni_assets.dashboard.keeping import read_state
from alumni_assets.report.content import Before, Content, report_content
from alumni_assets.report.documents import make_documents
from alumni_assets.report.keeping import HTML, PDF, TEXT, Documents, Edition, ReportError, Reports
from alumni_assets.report.mail import report_mail
from alumni_assets.survey_rules import SurveyRules

MAIL = "report.eml"
_NOBODY = "preview@reports.alumni-assets.invalid"


@dataclass(frozen=True)
class Preparation:
    """The week's report as it is after preparing it, and whether that made another edition of it.

    `is_released`: it was released before, and so stays as it is.
    """

    edition: Edition
    is_new: bool
    is_released: bool


def prepare(reports: Reports, week: str, rules: SurveyRules, now: datetime) -> Preparation:
    """Prepare a week's report from what is published now, unless it is released already.

    Raises ReportError where nothing is published, LakeError and RegisterError.
    """
    if reports.released(week) is not None and (released := reports.find(week)) is not None:
        return Preparation(released, is_new=False, is_released=True)
    content, public = _content(reports, week, rules)
    documents = make_documents(content)
    edition = _edition(content, documents, now)
    is_new = reports.keep(edition, documents, public)
    kept = reports.find(week) or edition  # it may have been released meanwhile
    return Preparation(kept, is_new, is_released=reports.released(week) is not None)


def write_preview(
    folder: Path, reports: Reports, week: str, sender: str, rules: SurveyRules, now: datetime
) -> list[Path]:
    """Write the report as it would be prepared now to a folder; returns the HTML, the text, the PDF and the mail.

    Raises ReportError where nothing is published, LakeError, RegisterError, and OSError where it cannot be written.
    """
    content, _ = _content(reports, week, rules)
    documents = make_documents(content)
    mail = report_mail(documents, week, content.subject, now, sender or _NOBODY, _NOBODY, "preview")
    for name, data in (documents.files() | {MAIL: mail.as_bytes()}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return [folder / name for name in (HTML, TEXT, PDF, MAIL)]


def _content(reports: Reports, week: str, rules: SurveyRules) -> tuple[Content, Figures]:
    """The week's report and its figures: those of the public edition, as it is now."""
    state = read_state(reports.lake)
    if state is None:
        raise ReportError(
            "Nothing is published yet, so there is nothing to report. Approve an upload first (docs/reviewing.md); "
            "if that is done, materialize alumni_dashboard."
        )
    public = public_edition(state.current, rules.public_edition)
    earlier = reports.before(week)
    before = Before(earlier[0].prepared_at, earlier[1]) if earlier else None
    return report_content(week, public, before, rules), public


def _edition(content: Content, documents: Documents, now: datetime) -> Edition:
    mark = hashlib.sha256(content.subject.encode())
    for name, data in sorted(documents.files().items()):
        mark.update(name.encode() + hashlib.sha256(data).digest())
    return Edition(
        week=content.week,
        mark=mark.hexdigest()[:12],
        subject=content.subject,
        prepared_at=now,
        since=content.since,
        summary=content.summary,
        changed=tuple((changed.question, " ".join(changed.sentences)) for changed in content.changed),
        headlines=tuple((card.question, f"{card.headline}.") for card in content.cards),
        charts=tuple(documents.charts),
    )
