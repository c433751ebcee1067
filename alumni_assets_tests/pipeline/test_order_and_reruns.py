"""The tables depend on what was uploaded and approved, not on the order, the grouping or the repetition of runs."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alumni_assets.contract import default_contract
from alumni_assets.register import Register
from alumni_assets.resources.lake import FolderLake
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.stages import approval
from alumni_assets.stages.intake import utc_now
from alumni_assets.stages.transformation import transform_upload, transformed_rows
from alumni_assets.survey.naming import upload_id
from alumni_assets.survey.standing import Seen, Status, Transformed, standings
from alumni_assets.warehouse.merging import merge_uploads

from .answers import DATED, answer, answers, csv_bytes
from .conftest import APPROVER, Pipeline

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 4, 12)
DATES = ("", "2026-01-01", "2026-01-02", "2026-01-02 10:00:00")


@dataclass(frozen=True)
class Sent:
    """A file that was put under a key: its rows as (employee id, place of the date in DATES, rating)."""

    key: str
    minute: int
    rows: tuple[tuple[int, int, int], ...]

    def content(self, number: int) -> bytes:
        """The file; a row of its own makes each unlike all others."""
        rows = [answer(900 + number), *[_answer(*row) for row in self.rows]]
        return csv_bytes(rows, header=DATED)


def _answer(employee_id: int, date: int, rating: int) -> dict[str, Any]:
    return answer(employee_id, **{"Submission Date": DATES[date], "Performance_Rating": str(rating)})


sent_files = st.lists(
    st.builds(
        Sent,
        key=st.sampled_from(("a.csv", "b.csv", "c.csv", "d.csv")),
        minute=st.integers(0, 1),
        rows=st.lists(
            st.tuples(st.integers(1, 3), st.integers(0, len(DATES) - 1), st.integers(1, 2)), min_size=1, max_size=4
        ).map(tuple),
    ),
    min_size=4,
    max_size=5,
)


def take_in_all(folder: Path, files: Sequence[Sent]) -> list[str]:
    """Take the files in, each at its minute; returns the uploads in the order in which they were sent."""
    pipeline = Pipeline(folder)
    uploads = []
    waiting = list(enumerate(files))
    with pipeline.instance:
        while waiting:
            # One run takes one file of each name, the ones that were sent first.
            firsts = {file.key: (number, file) for number, file in reversed(waiting)}
            for number, file in firsts.values():
                content = file.content(number)
                digest = hashlib.sha256(content).hexdigest()
                upload = upload_id(file.key, digest)
                received_at = NOON + timedelta(minutes=file.minute)
                pipeline.register.enter_seen(Seen(upload, file.key, digest, len(content), received_at))
                pipeline.put(file.key, content)
                uploads.append((number, upload))
            assert pipeline.take_in(*firsts).success
            waiting = [entry for entry in waiting if entry not in firsts.values()]
    return [upload for _, upload in sorted(uploads)]


def approve_in_groups(folder: Path, groups: Sequence[Sequence[str]]) -> dict[str, list[tuple[Any, ...]]]:
    """Approve uploads group by group, merging each group into the warehouse; returns the tables.

    Whose successor counts by then is refused.
    """
    lake, contract = FolderLake(folder / "lake"), default_contract()
    register = Register(lake, folder / "home")
    warehouse = WarehouseResource(home=str(folder / "home"))
    for group in groups:
        for upload in group:
            if standings(register.facts())[upload].status is Status.SUPERSEDED:
                with pytest.raises(approval.ApprovalRefusedError, match="under the same name counts in its place"):
                    approval.approve(lake, register, upload, approval.Request(APPROVER))
                continue
            decision = approval.approve(lake, register, upload, approval.Request(APPROVER))
            seen = register.facts().seen[upload]
            made = transform_upload(lake, seen, decision.content, contract, "500MB", lambda *_: None)
            register.enter_transformed(
                Transformed(upload, made.source, made.content, made.rows, made.exact_duplicates, utc_now())
            )
        transformed = {
            upload: register.facts().transformed[upload]
            for upload, standing in standings(register.facts()).items()
            if standing.counts
        }
        with warehouse.writing() as connection:
            versions = {upload: fact.content for upload, fact in transformed.items()}
            merge_uploads(connection, versions, lambda upload: transformed_rows(lake, transformed[upload]))  # noqa: B023
    with warehouse.writing() as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY employee_id, upload, source_row").fetchall()
            for table in ("alumni", "survey_responses")
        }


def expected_winners(files: Sequence[Sent], uploads: Sequence[str]) -> set[tuple[int, str, int, int]]:
    """(employee id, upload, source row, rating) of each alumnus by the rules of the design, row by row."""
    newest = {file.key: number for number, file in enumerate(files)}
    best: dict[int, tuple[Any, ...]] = {}
    for number in newest.values():
        kept = {(900 + number, "2026-03-04 08:15:00", 4): 1}
        for row, (employee_id, date, rating) in enumerate(files[number].rows, 2):
            kept.setdefault((employee_id, DATES[date], rating), row)
        for (employee_id, written, rating), row in kept.items():
            when = datetime.fromisoformat(written) if written else datetime.min
            place = (when, files[number].minute, uploads[number], row, rating)
            best[employee_id] = max(best.get(employee_id, place), place)
    return {(employee_id, upload, row, rating) for employee_id, (_, _, upload, row, rating) in best.items()}


@pytest.mark.slow
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(files=sent_files, data=st.data())
def test_any_order_and_grouping_of_approvals_gives_the_same_tables(
    tmp_path_factory: pytest.TempPathFactory, files: list[Sent], data: st.DataObject
) -> None:
    template = tmp_path_factory.mktemp("sent")
    uploads = take_in_all(template, files)
    tables = []
    for name in ("one", "other"):
        folder = template.with_name(f"{template.name}-{name}")
        shutil.copytree(template, folder)
        order = data.draw(st.permutations(uploads))
        cuts = sorted(data.draw(st.sets(st.integers(1, len(order) - 1))))
        groups = [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
        tables.append(approve_in_groups(folder, groups))
    assert tables[0] == tables[1]
    found = {(row[0], row[10], row[11], row[8]) for row in tables[0]["alumni"]}
    assert found == expected_winners(files, uploads)


FILES = {
    "first.csv": [answer(1, Performance_Rating="1"), answer(2), answer(2), answer(3, Email="nobody")],
    "second.csv": [answer(1, Performance_Rating="2"), answer(4), answer(5, **{"Submission Date": ""})],
    "third.csv": [answer(1, **{"Submission Date": ""}), answer(5, **{"Submission Date": "2020-01-01"})],
}


@pytest.mark.parametrize(
    "groups",
    [
        [["first.csv", "second.csv", "third.csv"]],
        [["third.csv"], ["second.csv"], ["first.csv"]],
    ],
    ids=["all at once", "one by one, the last first"],
)
def test_dagster_runs_in_any_order_give_the_same_table(pipeline: Pipeline, groups: list[list[str]]) -> None:
    for name, rows in FILES.items():
        # Each lacks a share of rows that is over the usual limit, or none.
        pipeline.put_and_take_in(name, csv_bytes([*rows, *answers(10 * len(name), 8)], header=DATED))
    for group in groups:
        pipeline.approve_only(*[pipeline.upload_of(name) for name in group])
        pipeline.alumni()
    winners = {employee_id: (upload.split("@")[0], row) for employee_id, upload, row in pipeline.alumni_rows()}
    assert {employee_id: winners[employee_id] for employee_id in range(1, 6) if employee_id in winners} == {
        1: ("second.csv", 1),
        2: ("first.csv", 2),
        4: ("second.csv", 2),
        5: ("third.csv", 2),
    }


def test_rerunning_any_partition_changes_nothing(pipeline: Pipeline) -> None:
    for name, rows in FILES.items():
        pipeline.put_and_take_in(name, csv_bytes([*rows, *answers(10 * len(name), 8)], header=DATED))
    rejected = pipeline.put_and_take_in("notes.pdf", b"%PDF-1.7")
    repeated = pipeline.put_and_take_in("copy.csv", (pipeline.raw / "first.csv").read_bytes())
    uploads = [pipeline.upload_of(name) for name in FILES]
    assert pipeline.approve(*uploads).success
    before = {folder: pipeline.files(folder) for folder in ("valid", "invalid", "transformed", "pinned", "archive")}
    tables, standing = pipeline.tables(), pipeline.statuses()
    publication = pipeline.published("SELECT * FROM publication")
    decisions = pipeline.facts.decisions
    for upload in (*uploads, rejected, repeated):
        assert pipeline.materialize("raw_survey", upload).success
    for upload in uploads:
        assert pipeline.materialize("transformed_survey", upload, approved_by="Somebody Else").success
        assert pipeline.materialize("archived_survey", upload).success
    assert pipeline.renew().success
    for folder, files in before.items():
        assert pipeline.files(folder) == files, folder
    assert pipeline.tables() == tables
    assert pipeline.statuses() == standing
    assert pipeline.published("SELECT * FROM publication") == publication
    assert pipeline.facts.decisions == decisions
    assert pipeline.find_new() == ()
