"""Two `dagster dev` on one instance, which somebody started by mistake: each upload comes and counts once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alumni_assets_tests.ui.dagster_dev import DagsterDev, until

pytestmark = [pytest.mark.long, pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[DagsterDev]:
    server = DagsterDev(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def other(one: DagsterDev) -> Iterator[DagsterDev]:
    """Started once the first is there; with ports of its own and the same files."""
    server = DagsterDev(one.folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def test_uploads_come_and_count_once_and_go_on_when_one_of_the_two_is_stopped(
    one: DagsterDev, other: DagsterDev
) -> None:
    uploads = [one.put(f"{number}.csv", rows=20, seed=number) for number in range(6)]
    until(lambda: all(one.is_validated(upload) for upload in uploads), "all are validated")
    one.alumni_command("run", "--approve")
    one.stop()
    uploads.append(other.put("late.csv", rows=20, seed=6))
    until(lambda: other.is_validated(uploads[-1]), "the other takes in what comes later")
    other.alumni_command("run", "--approve")
    assert {row["upload"]: row["status"] for row in other.alumni_command("status")["uploads"]} == dict.fromkeys(
        uploads, "transformed"
    )
    assert [len(other.alumni_of(upload)) for upload in uploads] == [20] * 7
    assert sorted(other.partitions("raw_survey")) == sorted(uploads)
    assert other.runs(statuses=["FAILURE", "CANCELED"]) == []
