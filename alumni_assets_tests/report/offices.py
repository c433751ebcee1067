"""An office that sends the report: a lake with a published page, a clock, and populations of alumni to report on.

Nothing of it touches a disk but the copies of the books. What is rendered takes half a second, so tests of sending use
a report that is only written down (`an_edition`).
"""

from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

from alumni_assets.answers.figures import Figures, Moves, Quality
from alumni_assets.answers.public_edition import public_edition
from alumni_assets.dashboard.keeping import STATE_KEY, State
from alumni_assets.notifications.configuration import MailSettings
from alumni_assets.report.configuration import ReportSettings
from alumni_assets.report.content import Before, Content, report_content
from alumni_assets.report.keeping import Documents, Edition, Reports
from alumni_assets.report.preparing import Preparation, prepare
from alumni_assets.report.sending import Sender, Sending
from alumni_assets.report.weeks import week_of
from alumni_assets.survey_rules import SurveyRules, default_rules
from alumni_assets_tests.answers.people import Person, answers_of
from alumni_assets_tests.notifications.stand_ins import Clock, MemoryLake

ANA, BEN, CARLA = "ana@school.edu.ph", "ben@school.edu.ph", "carla@school.edu.ph"
SURVEY = "survey@school.edu.ph"
PUBLISHED = datetime(2026, 11, 20, 4, 5)
QUALITY = Quality(
    batches=(),
    rows=120,
    rows_set_aside=3,
    rows_open=1,
    uploads_rejected=1,
    uploads_waiting=2,
    reasons=(("job_role", "missing", 2, 1), ("department", "not_in_list", 1, 0)),
    drift=(),
)
HOSTILE = '<script>alert("x")</script> & #include "x" *bold* $x^2$ _y_ `z` @a <b> {{ 7 * 7 }} \\'
RIGHT_TO_LEFT = "مهندس برمجيات"


def a_population(many: int = 120) -> list[Person]:
    """Alumni in groups that are large enough to be shown."""
    return [
        Person(
            f"Degree {n % 3}", f"Campus {n % 2}", f"Department {n % 4}", f"Role {n % 5}", performance_rating=1 + n % 5
        )
        for n in range(many)
    ]


def figures_of(people: Sequence[Person], generation: int = 1, quality: Quality = QUALITY) -> Figures:
    """What is published of a population, as the page has it."""
    return Figures(
        generation=generation,
        published_at=PUBLISHED,
        alumni=len(people),
        responses=len(people),
        answers=answers_of(people),
        cuts=(),
        trends=(),
        moves=Moves(),
        quality=quality,
    )


def public_of(people: Sequence[Person], generation: int = 1) -> Figures:
    return public_edition(figures_of(people, generation), default_rules().public_edition)


def content_of(people: Sequence[Person], before: Sequence[Person] | None = None) -> Content:
    """The report on a population, compared with one of the week before."""
    earlier = None if before is None else Before(datetime(2026, 11, 16, 0, 1), public_of(before, 0))
    return report_content("2026-W48", public_of(people), earlier, default_rules())


def an_edition(week: str, mark: str = "0123456789ab", prepared_at: datetime = PUBLISHED) -> Edition:
    return Edition(
        week=week,
        mark=mark,
        subject=f"DMC Academy alumni survey: weekly report {week}",
        prepared_at=prepared_at,
        since="",
        summary="",
        changed=(),
        headlines=(),
        charts=("degrees",),
    )


DOCUMENTS = Documents('<html><img src="charts/degrees.png"></html>', "The report.", b"%PDF-1.7", {"degrees": b"PNG"})


class Office:
    """Somebody who prepares reports, releases them, and looks after their delivery."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clock = Clock()
        self.clock.time = datetime(2026, 11, 23, 0, 1)  # a Monday, 08:01 in Manila
        self.lake = MemoryLake()
        self.rules: SurveyRules = default_rules()

    @property
    def reports(self) -> Reports:
        """As a fresh process opens them."""
        return Reports(self.lake, self.home)

    @property
    def week(self) -> str:
        return week_of(self.clock(), self.rules.time_zone)

    def publish(self, people: Sequence[Person], generation: int = 1) -> None:
        state = State(made_by="", current=figures_of(people, generation), previous=None)
        self.lake.put_bytes(STATE_KEY, state.model_dump_json().encode())

    def prepare(self) -> Preparation:
        """Prepare this week's report from what is published."""
        return prepare(self.reports, self.week, self.rules, self.clock())

    def write_down(self, mark: str = "0123456789ab") -> Edition:
        """Keep a report of this week that nothing was published for."""
        edition = an_edition(self.week, mark, self.clock())
        self.reports.keep(edition, DOCUMENTS, public_of([]))
        return edition

    def sender(self, settings: ReportSettings) -> Sender:
        return Sender(self.reports, settings, self.rules.time_zone, self.clock)

    def release(self, settings: ReportSettings) -> Sending:
        return self.sender(settings).release(self.week)

    def retry(self, settings: ReportSettings) -> list[Sending]:
        return self.sender(settings).retry()


def smtp_settings(port: int, *recipients: str) -> ReportSettings:
    """The report by a mail server of the house, without encryption."""
    mail = MailSettings("127.0.0.1", port, "", "", SURVEY, recipients, False, "")
    return ReportSettings(recipients, "smtp", SURVEY, mail)


def states(sending: Sending) -> list[str]:
    return [outcome.state for outcome in sending.outcomes]


def parts(mail: EmailMessage, kind: str) -> list[EmailMessage]:
    """The parts of a message that are of a kind, such as image/png."""
    return [part for part in mail.walk() if part.get_content_type() == kind and isinstance(part, EmailMessage)]


def pdf_text(pdf: bytes) -> str:
    """What a PDF says, its lines and spaces evened out."""
    from io import BytesIO

    from pypdf import PdfReader

    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())
