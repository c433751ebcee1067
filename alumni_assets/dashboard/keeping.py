"""Keeps the page in `published/` in line with the tables there, and remembers which answers were there before.

What the page looks like is in `page.py`. Only the asset `alumni_dashboard` writes here.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files

import duckdb
from pydantic import BaseModel, ValidationError

from alumni_assets.answers.changes import are_same_answers
from alumni_assets.answers.figures import Figures
from alumni_assets.answers.public_edition import public_edition
from alumni_assets.answers.reading import read_figures, read_people
from alumni_assets.dashboard.page import render_page
from alumni_assets.publishing import DATABASE_KEY, FOLDER
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.survey_rules import SurveyRules

PAGE_KEY = f"{FOLDER}dashboard.html"
PUBLIC_PAGE_KEY = f"{FOLDER}dashboard_public.html"
STATE_KEY = f"{FOLDER}dashboard.json"


class State(BaseModel):
    """What the page shows, and the answers before these. `made_by` tells with which rules and programs it was made."""

    made_by: str
    current: Figures
    previous: Figures | None


@dataclass(frozen=True)
class KeptPage:
    """The page as it is now: its figures, those before, its size, and whether it was written anew."""

    figures: Figures
    previous: Figures | None
    size: int
    is_new: bool


def keep_page(lake: Lake, rules: SurveyRules, uploads_waiting: int) -> KeptPage:
    """Write both editions of the page for the tables that are published; left alone where they show these already.

    Changes are told from the last answers that were different, so that a publication in which only the quarantine
    changed does not wipe them. The state is written last: a page that was cut short is made again. Raises LakeError.
    """
    state = read_state(lake)
    made_by = _made_by(rules)
    with (
        lake.local_copy(DATABASE_KEY) as path,
        duckdb.connect(f"duckdb:{path}", read_only=True, config={"temp_directory": ""}) as connection,
    ):
        figures = read_figures(connection, uploads_waiting)
        people = read_people(connection)
    page = lake.stat(PAGE_KEY)
    if state and state.made_by == made_by and state.current == figures and page and lake.stat(PUBLIC_PAGE_KEY):
        return KeptPage(figures, state.previous, page.size, False)
    previous = _previous(state, figures)
    internal = render_page(figures, previous, people, rules).encode()
    public = public_edition(figures, rules.public_edition)
    public_before = public_edition(previous, rules.public_edition) if previous else None
    lake.put_bytes(PAGE_KEY, internal)
    lake.put_bytes(PUBLIC_PAGE_KEY, render_page(public, public_before, None, rules).encode())
    lake.put_bytes(STATE_KEY, State(made_by=made_by, current=figures, previous=previous).model_dump_json().encode())
    return KeptPage(figures, previous, len(internal), True)


def read_state(lake: Lake) -> State | None:
    """What the page shows now; None where there is none, or where an older version of the project has written it."""
    if lake.stat(STATE_KEY) is None:
        return None
    try:
        return State.model_validate_json(lake.read_bytes(STATE_KEY))
    except ValidationError:
        return None


def _previous(state: State | None, figures: Figures) -> Figures | None:
    """The last answers that were others than these; of answers about nobody nothing has changed."""
    if state is None:
        return None
    previous = state.previous if are_same_answers(state.current, figures) else state.current
    return previous if previous and previous.alumni else None


def _made_by(rules: SurveyRules) -> str:
    """A mark that changes with whatever the page is made of besides the figures: settings, programs, templates."""
    sections = rules.model_dump(mode="json", include={"time_zone", "answers", "dashboard", "public_edition", "report"})
    parts = [
        json.dumps(sections, sort_keys=True),
        *(version(name) for name in ("altair", "vl-convert-python", "scipy")),
    ]
    folders = [
        files("alumni_assets") / "answers",
        *(files("alumni_assets.dashboard") / name for name in ("", "templates")),
    ]
    programs = sorted((one.name, one.read_bytes()) for folder in folders for one in folder.iterdir() if one.is_file())
    return hashlib.sha256(repr((parts, programs)).encode()).hexdigest()[:16]
