"""A raw/ with things that are no files, and names that lead elsewhere: the uploads beside them are taken in."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from .answers import answers, csv_bytes
from .conftest import Pipeline

pytestmark = pytest.mark.slow


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's survey that is none of the lake's business."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret.csv").write_bytes(csv_bytes(answers(900)))
    return folder


@pytest.fixture
def listener(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A socket in raw/."""
    monkeypatch.chdir(pipeline.raw)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.csv")
        yield


@pytest.mark.usefixtures("listener")
def test_what_is_no_file_of_the_lake_is_neither_read_nor_waited_for(pipeline: Pipeline, outside: Path) -> None:
    raw = pipeline.raw
    os.mkfifo(raw / "pipe.csv")
    links = {"zeros.csv": "/dev/zero", "terminal.csv": "/dev/tty", "secret.csv": outside / "secret.csv", "all": outside}
    for name, target in {**links, "circle.csv": "circle.csv", "nothing.csv": "nowhere.csv", "up": ".."}.items():
        (raw / name).symlink_to(target)
    if os.geteuid() == 0:  # only root may make one
        os.mknod(raw / "device.csv", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    pipeline.put("good.csv", csv_bytes(answers(1)))
    assert pipeline.find_new() == ("good.csv",)
    assert not pipeline.take_in("zeros.csv", "secret.csv", "all/secret.csv", "pipe.csv", "good.csv").success
    assert [seen.key for seen in pipeline.facts.seen.values()] == ["good.csv"]
    assert pipeline.statuses() == {pipeline.upload_of("good.csv"): "validated"}


def test_a_name_that_leads_elsewhere_is_refused_with_the_reason_and_holds_up_no_other(pipeline: Pipeline) -> None:
    elsewhere = ["a\\..\\..\\up.csv", "a\\.\\here.csv"]
    odd = ["two\nlines\x1b[2J.csv", "a..csv", "tab\t.csv"]
    for number, key in enumerate([*elsewhere, *odd]):
        pipeline.put(key, csv_bytes(answers(1 + 10 * number)))
    assert set(pipeline.find_new()) == {*elsewhere, *odd}
    assert not pipeline.take_in(*pipeline.find_new(), "../home/x.csv").success
    assert {seen.key for seen in pipeline.facts.seen.values()} == set(odd)
    assert set(pipeline.statuses().values()) == {"validated"}
    assert "up.csv could not be taken in: The lake refuses the key" in pipeline.events()
    assert "it has a segment `.` or `..`" in pipeline.events()
