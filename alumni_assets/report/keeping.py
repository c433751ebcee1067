"""Keeps the prepared reports in the lake, each week's below `reports/<week>/`, and knows which one is sent.

A report that is prepared is an edition: a folder of files that never change, named by a mark of its content. Preparing
it again with other figures makes another edition, which is the week's from then on, until a person releases one: that
is entered in the week's book, and everybody gets that edition, whatever is prepared later. How a report is made is in
`preparing.py`, how it is sent in `sending.py`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from alumni_assets import layout
from alumni_assets.answers.figures import Figures
from alumni_assets.notifications.book import Book, Entry
from alumni_assets.register import RegisterError
from alumni_assets.resources.lake_interface import Lake, LakeKeyError

CHARTS = "charts/"
HTML, TEXT, PDF, FIGURES, MANIFEST = "report.html", "report.txt", "report.pdf", "figures.json", "report.json"
RELEASE = 1
"""The number of the only notice in a week's book: that the report was released."""
_MARK = re.compile(rb"[0-9a-f]+")


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
        mark = self.lake.read_bytes(key)
        # What was cut short by a power cut names no edition; preparing it again writes it anew.
        return self.edition(week, mark.decode()) if _MARK.fullmatch(mark) else None

    def edition(self, week: str, mark: str) -> Edition:
        """An edition by its mark. Raises ReportError where it cannot be read, LakeError and RegisterError."""
        edition = self._stored(week, mark)
        if edition is None:
            raise self._unreadable(week, layout.report_key(week, mark, MANIFEST))
        return edition

    def documents(self, edition: Edition) -> Documents:
        """The files of an edition. Raises LakeError."""

        def content(name: str) -> bytes:
            return self.lake.read_bytes(edition.key(name))

        charts = {name: content(_chart(name)) for name in edition.charts}
        return Documents(content(HTML).decode(), content(TEXT).decode(), content(PDF), charts)

    def figures(self, edition: Edition) -> Figures:
        """The figures of an edition; they are those of the public edition.

        Raises ReportError where they are missing or cannot be read, LakeError and RegisterError.
        """
        key = edition.key(FIGURES)
        try:
            return Figures.model_validate_json(self.lake.read_bytes(key))
        except (ValidationError, LakeKeyError) as error:
            raise self._unreadable(edition.week, key) from error

    def before(self, week: str) -> tuple[Edition, Figures] | None:
        """The newest report of an earlier week that can be read, and its figures; None where there is none.

        One that is damaged holds up no later one: that is compared with the one before. Raises LakeError.
        """
        for earlier in sorted((other for other in self._weeks() if other < week), reverse=True):
            with suppress(ReportError, RegisterError):
                edition = self.find(earlier)
                if edition is not None:
                    return edition, self.figures(edition)
        return None

    def newest(self) -> str:
        """The last week of which a report was prepared; empty where there is none."""
        return max(self._weeks(), default="")

    def keep(self, edition: Edition, documents: Documents, figures: Figures) -> bool:
        """Make an edition the one that was prepared last; False where its files are there already, and can be read.

        Its manifest is written after the other files, so that an edition that was cut short is written again.
        """
        is_new = self._stored(edition.week, edition.mark) is None
        if is_new:
            for name, data in documents.files().items():
                self.lake.put_bytes(edition.key(name), data)
            self.lake.put_bytes(edition.key(FIGURES), figures.model_dump_json(indent=1).encode())
            self.lake.put_bytes(edition.key(MANIFEST), edition.model_dump_json(indent=1).encode())
        self.lake.put_bytes(layout.prepared_report_key(edition.week), edition.mark.encode())
        return is_new

    def _stored(self, week: str, mark: str) -> Edition | None:
        try:
            return Edition.model_validate_json(self.lake.read_bytes(layout.report_key(week, mark, MANIFEST)))
        except (ValidationError, LakeKeyError):
            return None

    def _unreadable(self, week: str, key: str) -> ReportError:
        """What was released is never made again: another report would stand for the one that people got."""
        way_out = (
            "It was released, so it is not made again: restore it from a backup. Reports of later weeks do without it."
            if self.released(week)
            else "Materialize weekly_report again for that week, which writes it anew."
        )
        return ReportError(f"The prepared report {key} in the lake is missing or cannot be read. {way_out}")

    def _weeks(self) -> Iterator[str]:
        for found in self.lake.list(layout.REPORTS):
            week = layout.week_of_report(found.key)
            if week and found.key == layout.prepared_report_key(week):
                yield week


def _chart(name: str) -> str:
    return f"{CHARTS}{name}.png"
