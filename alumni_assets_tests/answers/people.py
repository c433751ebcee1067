"""Small populations of alumni, and the answers that the pipeline's own SQL and statistics give about them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import duckdb
import pandas as pd
from hypothesis import strategies as st

from alumni_assets.answers.figures import GROUPED_BY, Answer, Question, Row
from alumni_assets.answers.reading import read_answers
from alumni_assets.queries import ANSWERS
from alumni_assets.warehouse.answers import refresh_answer
from alumni_assets.warehouse.tables import create_missing_tables


class Person(NamedTuple):
    """An alumnus as far as the answers go."""

    college_degree: str
    dmc_campus: str
    department: str
    job_role: str
    performance_rating: int


def a_person(rating: int = 3, **given: str) -> Person:
    return Person(
        **({"college_degree": "Law", "dmc_campus": "Main", "department": "HR", "job_role": "Clerk"} | given),
        performance_rating=rating,
    )


def populations(
    most: int, groups: int = 4, ratings: Sequence[int] = (1, 2, 3, 4, 5)
) -> st.SearchStrategy[list[Person]]:
    """Populations of up to `most` alumni in up to `groups` groups of each kind, a few of them large."""
    names = st.sampled_from([f"G{number}" for number in range(groups)])
    person = st.builds(Person, names, names, names, names, st.sampled_from(list(ratings)))
    clones = st.tuples(person, st.sampled_from([1, 1, 2, 4, 5, 9, 10, 12]))
    return st.lists(clones, max_size=8).map(lambda found: [one for one, times in found for _ in range(times)][:most])


def answers_of(people: Sequence[Person]) -> dict[Question, Answer]:
    """The same answers without their intervals, which follow from the rest; in a moment, for trying many."""
    return {question: _answer(question, column, people) for question, column in GROUPED_BY.items()}


def _answer(question: Question, column: str, people: Sequence[Person]) -> Answer:
    ratings: dict[str, list[int]] = {}
    for person in people:
        ratings.setdefault(getattr(person, column), []).append(person.performance_rating)
    rows = [_row(question, name, given, len(people)) for name, given in ratings.items()]
    return Answer(question=question, rows=tuple(sorted(rows, key=_ORDERS[question])))


def _row(question: Question, name: str, ratings: Sequence[int], everybody: int) -> Row:
    n, total, squares = len(ratings), sum(ratings), sum(rating**2 for rating in ratings)
    excellent = sum(rating == 5 for rating in ratings)
    row = Row(name=name, alumni=n)
    if question in ("degree_performance", "department_employment"):
        sd = ((n * squares - total**2) / (n * (n - 1))) ** 0.5 if n > 1 else None
        row = row.model_copy(update={"mean": total / n, "sd": sd})
    if question == "campus_excellence":
        return row.model_copy(update={"excellent": excellent, "share": excellent / n})
    return row if question == "degree_performance" else row.model_copy(update={"share": n / everybody})


_ORDERS: dict[Question, Callable[[Row], tuple[Any, ...]]] = {
    "degree_performance": lambda row: (-(row.mean or 0), row.name),
    "campus_excellence": lambda row: (-(row.excellent or 0), -(row.share or 0), row.name),
    "department_employment": lambda row: (-(row.alumni or 0), row.name),
    "job_roles": lambda row: (-(row.alumni or 0), row.name),
}


class Questionnaire:
    """A warehouse in memory; `answers` fills it with a population and asks the questions."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("ATTACH ':memory:' AS warehouse; USE warehouse")
        create_missing_tables(self.connection)

    def answers(self, people: Sequence[Person]) -> Mapping[Question, Answer]:
        self.fill(people)
        for name in GROUPED_BY:
            refresh_answer(self.connection, name)
        return read_answers(self.connection)

    def fill(self, people: Sequence[Person]) -> None:
        """Let exactly these be the alumni."""
        frame = pd.DataFrame(people, columns=list(Person._fields)).assign(employee_id=range(len(people)))
        for column in ("employee_name", "email", "phone_number", "upload"):
            frame[column] = [f"{column} {number}" for number in range(len(people))]
        frame["source_row"], frame["received_at"] = frame["employee_id"], pd.Timestamp("2026-11-01")
        self.connection.execute("DELETE FROM alumni")
        self.connection.register("people", frame)
        self.connection.execute("INSERT INTO alumni BY NAME FROM people")
        self.connection.unregister("people")

    def all_tables(self, people: Sequence[Person]) -> None:
        """Let exactly these be the alumni, and ask all the questions."""
        self.fill(people)
        self.ask()

    def ask(self) -> None:
        """Ask all the questions about the alumni that there are."""
        for name in (*ANSWERS, "top_employees_cut"):
            refresh_answer(self.connection, name)
        self.connection.execute("DELETE FROM publication")
        self.connection.execute("INSERT INTO publication VALUES (7, TIMESTAMP '2026-11-01 16:30:00')")
