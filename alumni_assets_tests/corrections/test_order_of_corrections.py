"""The tables depend on what came, was approved and was withdrawn, not on the order or the grouping of any of it."""

import hashlib
import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from alumni_assets.survey.naming import upload_id
from alumni_assets.survey.standing import Seen

from ..pipeline.answers import answer, answers, csv_bytes
from ..pipeline.conftest import Pipeline
from .returns import assert_accounted, correction, responses

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 4, 12)
ORIGINALS = {
    "one.csv": [*answers(1, 20), *answers(21, 5, Email="nobody")],
    "two.csv": [*answers(41, 20), *answers(61, 5, Email="nobody", Performance_Rating="0")],
}
FIRST_ID = {"one.csv": 1, "two.csv": 41}
BAD_ROWS = range(21, 26)
COMPARED = (
    *("alumni", "survey_responses", "quarantine", "degree_performance", "campus_excellence"),
    *("department_employment", "job_roles", "top_employees"),
)


@dataclass(frozen=True)
class Fix:
    """A correction as it is given back: which rows of which file, whether each is right, and what is new in it."""

    name: str
    of: str
    minute: int
    rows: tuple[tuple[int, bool, int], ...]
    is_withdrawn: bool

    def content(self, upload: str) -> bytes:
        """The file. A row that is right has an employee's number and a rating that say where it came from."""
        rows = {}
        for row, is_right, shift in self.rows:
            employee_id = FIRST_ID[self.of] + row - 1 + shift
            changes = {} if is_right else {"Email": f"still {self.name}"}
            rows[row] = answer(employee_id, Job_Role=f"Giver {self.name}", **changes)
        return correction(upload, rows)

    @property
    def upload(self) -> str:
        original = upload_id(self.of, _digest(csv_bytes(ORIGINALS[self.of])))
        return upload_id(f"{self.name}.csv", _digest(self.content(original)))


def some_fixes(chance: random.Random) -> list[Fix]:
    """Five corrections that contradict each other; two may have come at the same time, one or two are withdrawn."""
    withdrawn = set(chance.sample(range(5), chance.randint(1, 2)))
    return [
        Fix(
            name="abcde"[number],
            of=chance.choice(["one.csv", "one.csv", "two.csv"]),
            minute=chance.randint(1, 3),
            rows=tuple(
                (row, chance.random() < 0.7, chance.choice([0, 0, 1]))
                for row in chance.sample(BAD_ROWS, chance.randint(1, 4))
            ),
            is_withdrawn=number in withdrawn,
        )
        for number in range(5)
    ]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def take_in(pipeline: Pipeline, key: str, content: bytes, minute: int) -> str:
    """Put a file and enter it as received at that minute, so that the order of the runs is not the files'."""
    upload = upload_id(key, _digest(content))
    received_at = NOON + timedelta(minutes=minute)
    pipeline.register.enter_seen(Seen(upload, key, _digest(content), len(content), received_at))
    pipeline.put(key, content)
    return upload


def groups(chance: random.Random, things: Iterable[Any]) -> list[list[Any]]:
    """The things in any order, cut anywhere."""
    order = list(things)
    chance.shuffle(order)
    cuts = sorted(chance.sample(range(1, len(order)), chance.randint(0, min(2, len(order) - 1))))
    return [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]


def processed(folder: Path, fixes: Sequence[Fix], chance: random.Random) -> Pipeline:
    """Take in the files, approve, withdraw and merge them in an order and grouping left to chance."""
    pipeline = Pipeline(folder, instance=dg.DagsterInstance.ephemeral())
    originals = {name: take_in(pipeline, name, csv_bytes(rows), 0) for name, rows in ORIGINALS.items()}
    assert pipeline.take_in(*originals).success
    waiting = [*originals.values()]
    if chance.random() < 0.5:
        pipeline.approve_only(*waiting)
        assert pipeline.renew().success
        waiting = []
    for group in groups(chance, fixes):
        for fix in group:
            upload = take_in(pipeline, f"{fix.name}.csv", fix.content(originals[fix.of]), fix.minute)
            assert upload == fix.upload
            waiting.append(upload)
        assert pipeline.take_in(*[f"{fix.name}.csv" for fix in group]).success
        assert {pipeline.statuses()[fix.upload] for fix in group} == {"correction"}
    for uploads in groups(chance, waiting):
        pipeline.approve_only(*[upload for upload in uploads if pipeline.ingested(upload).valid])
        if chance.random() < 0.5:
            assert pipeline.renew().success
    for fix in chance.sample(fixes, len(fixes)):
        if fix.is_withdrawn:
            pipeline.withdraw(fix.upload)
            if chance.random() < 0.5:
                assert pipeline.renew().success
    assert_accounted(pipeline)
    return pipeline


def expected_responses(fixes: Sequence[Fix]) -> dict[tuple[str, int], tuple[int, str, str | None]]:
    """By the rules of the design: the rows as they came, and of each corrected row the last correction's."""
    expected: dict[tuple[str, int], tuple[int, str, str | None]] = {}
    for name, rows in ORIGINALS.items():
        upload = upload_id(name, _digest(csv_bytes(rows)))
        for row in range(1, 21):
            expected[upload, row] = (FIRST_ID[name] + row - 1, rows[row - 1]["Email"], None)
        for fix in sorted(fixes, key=lambda fix: (fix.minute, fix.upload)):
            if fix.of == name and not fix.is_withdrawn:
                for row, is_right, shift in fix.rows:
                    if is_right:
                        employee_id = FIRST_ID[name] + row - 1 + shift
                        expected[upload, row] = (employee_id, f"valerie.{employee_id}@school.edu.ph", fix.upload)
    return expected


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
def test_any_order_and_grouping_gives_the_same_tables(tmp_path: Path, seed: int) -> None:
    fixes = some_fixes(random.Random(seed))
    tables = []
    for number in range(2):
        pipeline = processed(tmp_path / str(number), fixes, random.Random(f"{seed} {number}"))
        with pipeline.instance:
            assert responses(pipeline) == expected_responses(fixes)
            found = pipeline.tables()
            tables.append({name: found[name] for name in COMPARED})
            for check in ("ids_unique", "every_alumnus_present", "newest_wins"):
                evaluation = pipeline.check("deduplicated_survey", check)
                assert evaluation is not None
                assert evaluation.passed, check
    assert tables[0] == tables[1]


@pytest.mark.long
def test_judging_all_anew_in_any_order_and_losing_all_but_the_lake_changes_no_table(tmp_path: Path) -> None:
    pipeline = processed(tmp_path, some_fixes(random.Random(7)), random.Random(8))
    with pipeline.instance:
        tables = pipeline.tables()
        uploads = list(pipeline.facts.seen)
        assert pipeline.judge_again(*random.Random(13).sample(uploads, len(uploads))).success
        assert pipeline.renew().success
        assert pipeline.tables() == tables
    shutil.rmtree(pipeline.home)
    shutil.rmtree(pipeline.root / "published")
    anew = Pipeline(tmp_path, instance=dg.DagsterInstance.ephemeral())
    with anew.instance:
        assert anew.enter_again(*random.Random(9).sample(uploads, len(uploads))).success
        assert anew.renew().success
        assert anew.tables() == tables
        assert_accounted(anew)
