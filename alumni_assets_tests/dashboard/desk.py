"""Published tables and their page without a run of Dagster, for tests that are about the page alone."""

from datetime import datetime
from pathlib import Path

from alumni_assets.dashboard.keeping import PAGE_KEY, KeptPage, keep_page
from alumni_assets.publishing import publish
from alumni_assets.queries import ANSWERS
from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.survey_rules import SurveyRules, default_rules
from alumni_assets.warehouse.history import refresh_history
from alumni_assets_tests.warehouse.surveys import Survey, response


class Desk:
    """A lake with published tables, and the page of them."""

    def __init__(self, folder: Path) -> None:
        self._survey = Survey(folder)
        self._uploads: list[str] = []
        self.root = folder / "lake"

    @property
    def lake(self) -> FolderLake:
        return self._survey.lake

    def publish(self, upload: str = "", ids: range = range(0)) -> KeptPage:
        """Let an upload with these alumni count too, publish all tables, and keep the page."""
        if upload:
            rows = [response(n, employee_name=f"Valerie {n}", email=f"valerie.{n}@school.edu.ph") for n in ids]
            self._survey.transformed(upload, *rows)
            self._uploads.append(upload)
        self._survey.merge(*self._uploads)
        with self._survey.warehouse.writing() as connection:
            refresh_history(connection, "Asia/Manila")
        for name in (*ANSWERS, "top_employees_cut"):
            self._survey.refresh(name)
        publish(self._survey.warehouse, self.lake, datetime(2026, 11, 1, 8))
        return self.keep()

    def keep(self, rules: SurveyRules | None = None) -> KeptPage:
        """Keep the page as the asset does."""
        return keep_page(self.lake, rules or default_rules(), uploads_waiting=0)

    def page(self) -> str:
        return (self.root / PAGE_KEY).read_text(encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """All that is published."""
        return {path.name: path.read_bytes() for path in (self.root / "published").iterdir()}
