"""The figures that the page, the report and the table of verdicts are made of, as plain data.

Read from the published tables by `reading.py`, cut down for the public by `public_edition.py`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

Question = Literal["degree_performance", "campus_excellence", "department_employment", "job_roles"]

# The questions whose answers are groups of alumni; the fifth is a list of people.
QUESTIONS: tuple[Question, ...] = ("degree_performance", "campus_excellence", "department_employment", "job_roles")

GROUPED_BY: Mapping[Question, str] = {
    "degree_performance": "college_degree",
    "campus_excellence": "dmc_campus",
    "department_employment": "department",
    "job_roles": "job_role",
}


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Plain):
    """One group of an answer; None is what the answer does not have, or what may not be shown.

    `share` is that of the alumni who are excellent for campuses, and that of all alumni for departments and roles.
    """

    name: str
    alumni: int | None = None
    excellent: int | None = None
    share: float | None = None
    share_low: float | None = None
    share_high: float | None = None
    mean: float | None = None
    sd: float | None = None
    mean_low: float | None = None
    mean_high: float | None = None


class Answer(_Plain):
    """The groups of one question, in the answer's order.

    `unnamed` is how many alumni are in groups that are too small to be named; 0 where all are.
    """

    question: Question
    rows: tuple[Row, ...]
    unnamed: int = 0


class Cut(_Plain):
    """Where the list of a department's top employees ends: see the table `top_employees_cut`."""

    department: str
    alumni: int
    listed: int
    last_rating: int
    listed_at_last: int
    alumni_at_last: int
    excellent: int
    share: float
    share_low: float
    share_high: float

    @property
    def is_inside_a_tie(self) -> bool:
        """Whether some alumni with the last rating are on the list, and others are not."""
        return self.listed_at_last < self.alumni_at_last


class TrendPoint(_Plain):
    """A group, or all alumni (`group` is None), in one period: see the table `answer_trends`."""

    kind: Literal["month", "batch"]
    period: str
    begins: datetime
    dimension: str
    group: str | None
    alumni: int
    excellent: int
    mean: float
    mean_low: float | None
    mean_high: float | None
    share_low: float
    share_high: float


class Move(_Plain):
    """A change of role or department: see the table `job_moves`."""

    kind: Literal["job_role", "department"]
    moved_from: str
    moved_to: str
    moves: int
    alumni: int


class Moves(_Plain):
    """All changes; `answered_again` is how many alumni have answered more than once, and so could show one."""

    answered_again: int = 0
    moved: int = 0
    changes: tuple[Move, ...] = ()


class Batch(_Plain):
    """An upload that counts: what came of its rows. `received_at` is in UTC."""

    upload: str
    received_at: datetime
    rows: int
    valid: int
    invalid: int
    invalid_low: float
    invalid_high: float
    open: int


class Drift(_Plain):
    """How the newest batch differs from all before it in one respect. `p_adjusted` is None where it was not tested."""

    measure: str
    newest: str
    earlier: str
    test: str | None
    p_adjusted: float | None
    is_clear: bool


class Quality(_Plain):
    """What is to be known of the data themselves."""

    batches: tuple[Batch, ...]
    rows: int | None
    rows_set_aside: int
    rows_open: int
    uploads_rejected: int
    uploads_waiting: int
    reasons: tuple[tuple[str, str, int, int], ...]
    """Column (empty: the whole row), reason code, cells, and cells of rows that are open."""
    drift: tuple[Drift, ...]


class Figures(_Plain):
    """Everything that is shown but the people on the list. Times are in UTC. `alumni` is None where it may not be."""

    generation: int
    published_at: datetime
    alumni: int | None
    responses: int | None
    answers: Mapping[Question, Answer]
    cuts: tuple[Cut, ...]
    trends: tuple[TrendPoint, ...]
    moves: Moves
    quality: Quality
