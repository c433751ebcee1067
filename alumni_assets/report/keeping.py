"""Keeps the prepared reports in the lake, each week's below `reports/<week>/`, and knows which one is sent.

A report that is prepared is an edition: a folder of files that never change, named by a mark of its content. Preparing
it again with other figures makes another edition, which is the week's from then on, until a person releases one: that
is entered in the week's book, and everybody gets that edition, whatever is prepared later. How a report is made is in
`preparing.py`, how it is sent in `sending.py`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from alumni_assets import layout
from alumni_assets.answers.figures import Figures
from alumni_assets.notifications.book import Book, Entry
from alumni_assets.resources.lake_interface import Lake

CHARTS = "charts/"
HTML, TEXT, PDF, FIGURES, MANIFEST = "report.html", "report.txt", "report.pdf", "figures.json", "report.json"
RELEASE = 1
"""The number of the only notice in a week's book: that the report was released."""
_PREPARED = re.compile(rf"{layout.REPORTS}(?P<week>[0-9]{{4}}-W[0-9]{{2}})/prepared\.txt")


class ReportError(Exception):
    """A report cannot be prepared or sent; the message says why and what to do, and names no person."""


@dataclass(frozen=True)
class Documents:
    """A report as files. The HTML shows its charts, which are PNGs by their names, from the folder `charts/`."""

    html: str
    text: str
    pdf: bytes
    charts: Mapping[str, bytes]

    def files(self) -> dict[str, bytes]:
        """The files by their names."""
        return {
            HTML: self.html.encode(),
            TEXT: self.text.encode(),
            PDF: self.pdf,
            **{_chart(name): png for name, png in self.charts.items()},
        }


class Edition(BaseModel):
    """What is to be known of a prepared report besides its files.

    `prepared_at` is in UTC without zone; `since` is the day of the report that it is compared with; `changed` and
    `headlines` are questions with sentences.
    """

    model_config = ConfigDict(frozen=True)

    week: str
    mark: str
    subject: str
    prepared_at: datetime
    since: str
    summary: str
    changed: tuple[tuple[str, str], ...]
    headlines: tuple[tuple[str, str], ...]
    charts: tuple[str, ...]

    def key(self, name: str) -> str:
        """Where a file of it is in the lake."""
        return layout.report_key(self.week, self.mark, name)


class Reports:
    """The reports in a lake. `home` is where a copy is kept, that saves reading."""

    def __init__(self, lake: Lake, home: Path) -> None:
        self.lake = lake
        self._home = home

    def book(self, week: str) -> Book:
        """The book about sending a week's report."""
        return Book(self.lake, self._home / "reports.sqlite", layout.report_book(week))

    def released(self, week: str) -> Entry | None:
        """The release of a week's report, if it was released; its body is the edition's mark."""
        return self.book(week).entry(RELEASE)

    def find(self, week: str) -> Edition | None:
        """The week's report: the edition that was released, or else the one that was prepared last, if there is one.

        Raises ReportError where it cannot be read, LakeError and RegisterError.
        """
        released = self.released(week)
        if released is not None:
            return self.edition(week, released.body)
        key = layout.prepared_report_key(week)
        if self.lake.stat(key) is None:
            return None
        return self.edition(week, self.lake.read_bytes(key).decode())

    def edition(self, week: str, mark: str) -> Edition:
        """An edition by its mark. Raises ReportError where it cannot be read, and LakeError."""
        key = layout.report_key(week, mark, MANIFEST)
        try:
            return Edition.model_validate_json(self.lake.read_bytes(key))
        except ValidationError as error:
            raise ReportError(
                f"The prepared report {key} in the lake cannot be read. Restore it from a backup, or delete it and "
                "materialize weekly_report again."
            ) from error

    def documents(self, edition: Edition) -> Documents:
        """The files of an edition. Raises LakeError."""

        def content(name: str) -> bytes:
            return self.lake.read_bytes(edition.key(name))

        charts = {name: content(_chart(name)) for name in edition.charts}
        return Documents(content(HTML).decode(), content(TEXT).decode(), content(PDF), charts)

    def figures(self, edition: Edition) -> Figures:
        """The figures of an edition; they are those of the public edition. Raises LakeError."""
        return Figures.model_validate_json(self.lake.read_bytes(edition.key(FIGURES)))

    def before(self, week: str) -> Edition | None:
        """The newest report of an earlier week, if there is one."""
        earlier = max((other for other in self._weeks() if other < week), default=None)
        return None if earlier is None else self.find(earlier)

    def newest(self) -> str:
        """The last week of which a report was prepared; empty where there is none."""
        return max(self._weeks(), default="")

    def keep(self, edition: Edition, documents: Documents, figures: Figures) -> bool:
        """Make an edition the one that was prepared last; False where its files are there already.

        Its manifest is written after the other files, so that an edition that was cut short is written again.
        """
        is_new = self.lake.stat(edition.key(MANIFEST)) is None
        if is_new:
            for name, data in documents.files().items():
                self.lake.put_bytes(edition.key(name), data)
            self.lake.put_bytes(edition.key(FIGURES), figures.model_dump_json(indent=1).encode())
            self.lake.put_bytes(edition.key(MANIFEST), edition.model_dump_json(indent=1).encode())
        self.lake.put_bytes(layout.prepared_report_key(edition.week), edition.mark.encode())
        return is_new

    def _weeks(self) -> Iterator[str]:
        for found in self.lake.list(layout.REPORTS):
            if match := _PREPARED.fullmatch(found.key):
                yield match["week"]


def _chart(name: str) -> str:
    return f"{CHARTS}{name}.png"
