"""A pipeline in which a person is everywhere, and ways to look for them in every byte of it."""

import gzip
import io
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from alumni_assets.instance import open_instance
from alumni_assets.one_pass import OnePass
from alumni_assets.stages.erasing import Erased
from alumni_assets.stages.quarantine import waive

from ..corrections.returns import correction
from ..pipeline.answers import HEADER, answer, answers, csv_bytes, gzipped, workbook_of
from ..pipeline.conftest import APPROVER, Pipeline, changed_rules, own_environment
from ..pipeline.test_command import Alumni, alumni

__all__ = ["Alumni", "alumni", "changed_rules", "own_environment"]

KEY = "a secret that is long enough for tests"
ID = "731628496117"
NAME, EMAIL, PHONE = "Zenobia Quillfeather", "Zenobia.Q@Hollow.example.org", "9179248463"
NEEDLES = (ID, "zenobia", "quillfeather", "hollow", PHONE)
GONE: dict[str, Any] = dict.fromkeys((*HEADER, "_upload", "_row"), "")


@pytest.fixture(scope="session")
def erased(tmp_path_factory: pytest.TempPathFactory) -> Iterator["World"]:
    """A world from which the person was erased by the command; its instance is on the disk. For tests that only look.

    The lake as it was before is in `before`.
    """
    folder = tmp_path_factory.mktemp("erased") / "all"
    folder.mkdir()
    with open_instance(folder / "home", None, folder) as instance:
        pipeline = _with_key(Pipeline(folder, instance=instance))
        world = World(pipeline, is_there=True).build(makes_page=True)
        shutil.copytree(folder / "lake", folder.parent / "before")
        assert len(places_of(folder)) > 60
        with in_environment(pipeline):
            world.done = erase(pipeline)
        yield world


@pytest.fixture
def pipeline_before(erased: "World", tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline of its own with the lake as it was before the person was erased."""
    shutil.copytree(erased.pipeline.folder.parent / "before", tmp_path / "lake")
    fresh = _with_key(Pipeline(tmp_path))
    with fresh.instance:
        yield fresh


@pytest.fixture
def pipeline(erased: "World", tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline of its own with the lake from which the person was erased; all else was lost."""
    shutil.copytree(erased.pipeline.root, tmp_path / "lake")
    fresh = _with_key(Pipeline(tmp_path))
    with fresh.instance:
        yield fresh


def _with_key(pipeline: Pipeline) -> Pipeline:
    pipeline.environment["ALUMNI_ERASURE_KEY"] = KEY
    return pipeline


@contextmanager
def in_environment(pipeline: Pipeline) -> Iterator[None]:
    """What the command finds: the pipeline's settings, and its instance."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in pipeline.environment.items():
            environment.setenv(name, value)
        environment.chdir(pipeline.folder)
        environment.setattr("alumni_assets.one_pass.open_instance", lambda *_: nullcontext(pipeline.instance))
        yield


def erase(pipeline: Pipeline, employee_id: str | None = ID, delete_unreadable: bool = False) -> Erased:
    """What `alumni erase` does."""
    with OnePass() as one_pass:
        done = one_pass.erase(employee_id, APPROVER, "asked for it", delete_unreadable)
        assert one_pass.broken == []
    return done


def of_person(**changes: Any) -> dict[str, Any]:
    """A valid answer of the person."""
    return answer(1, **{"Employee_ID": ID, "Employee_Name": NAME, "Email": EMAIL, "Phone_Number": PHONE} | changes)


class World:
    """Uploads of every kind, with the person among others; without, empty rows are in their places."""

    def __init__(self, pipeline: Pipeline, is_there: bool) -> None:
        self.pipeline = pipeline
        self.is_there = is_there
        self.uploads: dict[str, str] = {}
        self.done = Erased()

    def mine(self, **changes: Any) -> dict[str, Any]:
        return of_person(**changes) if self.is_there else GONE

    def term(self) -> bytes:
        """20 valid rows of others, and one of the person; 4 invalid ones of others, and 3 of the person."""
        broken = [
            self.mine(Performance_Rating="9"),  # row 22
            answer(21, Performance_Rating="9"),
            self.mine(Employee_ID="?", Department="nowhere"),
            answer(22, Employee_ID="none"),
            self.mine(Employee_ID="unknown", Email="nobody", Phone_Number="0"),  # row 26
            answer(23, Email="nobody"),
            answer(24, Email="nobody"),
        ]
        return csv_bytes([*answers(1, 4), self.mine(), *answers(5, 16), *broken])

    def files(self) -> dict[str, bytes]:
        mine = self.mine
        return {
            "term.csv": self.term(),
            "windows.txt": csv_bytes(
                [answer(31), mine(Job_Role="Bäcker"), answer(32)], encoding="utf-16", delimiter="\t"
            ),
            "packed.csv.gz": gzipped(csv_bytes([mine(Job_Role="Night\nwatch"), answer(33)])),
            "book.xlsx": workbook_of([answer(34), mine(Employee_ID=f"{ID}.0"), answer(35)]),
            "old.csv": csv_bytes([mine(), answer(36)]),
            "gone.csv": csv_bytes([answer(37), mine(Job_Role="Spy"), answer(38)]),
            "no table.csv": b"%PDF-1.7",
        }

    def build(self, makes_page: bool = False) -> "World":
        """Take everything in, correct, waive, approve, supersede and withdraw."""
        pipeline, uploads = self.pipeline, self.uploads
        files = {**self.files(), "copy of term.csv": self.term()}
        for key, content in files.items():
            pipeline.put(key, content)
        assert pipeline.take_in(*files).success
        uploads |= {key: pipeline.upload_of(key) for key in files}
        mended = {22: self.mine(Performance_Rating="3"), 23: answer(21), 26: self.mine(), 27: answer(23, Email="no")}
        rows = {row: cells for row, cells in mended.items() if cells is not GONE}
        uploads["fix.csv"] = pipeline.put_and_take_in("fix.csv", correction(uploads["term.csv"], rows))
        waive(pipeline.lake, pipeline.register, uploads["term.csv"], ["28"], APPROVER, "no such person", "500MB")
        keys = ("term.csv", "fix.csv", "windows.txt", "packed.csv.gz", "book.xlsx", "old.csv", "gone.csv")
        assert pipeline.approve(*(uploads[key] for key in keys)).success
        newer = csv_bytes([answer(36), self.mine(Job_Role="Chef"), answer(39)])
        uploads["old.csv, newer"] = pipeline.put_and_take_in("old.csv", newer)
        assert pipeline.approve(uploads["old.csv, newer"]).success
        pipeline.withdraw(uploads["gone.csv"])
        pipeline.makes_page = makes_page
        assert pipeline.renew().success
        return self


def seen_by_others(pipeline: Pipeline, uploads: Mapping[str, str]) -> dict[str, list[Any]]:
    """The published tables, with the uploads' names in the place of their ids, without times and contents."""
    names = {upload: name for name, upload in uploads.items()}
    queries = {
        "alumni": "SELECT * EXCLUDE (received_at) FROM alumni ORDER BY employee_id",
        "survey_responses": "SELECT * EXCLUDE (received_at) FROM survey_responses ORDER BY ALL",
        "alumni_history": "SELECT employee_id, job_role, department FROM alumni_history ORDER BY ALL",
        "quarantine": "SELECT upload, source_row, status, employee_id, email, corrected_by FROM quarantine",
        "uploads": "SELECT upload, status, row_count, valid, invalid, transformed, exact_duplicates, open_rows, "
        "resolved_rows, waived_rows, corrects FROM uploads",
        "approvals": "SELECT upload, number, decision, in_force, decided_by FROM approvals",
        "degree_performance": "FROM degree_performance",
        "department_employment": "FROM department_employment",
        "job_roles": "FROM job_roles",
        "top_employees": "FROM top_employees",
        "answer_verdicts": "FROM answer_verdicts",
    }
    found = {name: pipeline.published(query) for name, query in queries.items()}
    return {
        name: sorted((tuple(names.get(cell, cell) for cell in row) for row in rows), key=str)
        for name, rows in found.items()
    }


def places_of(folder: Path, needles: tuple[str, ...] = NEEDLES) -> list[str]:
    """The files below a folder in which one of these texts is, in whatever form."""
    return [
        f"{path.relative_to(folder)}: {needle}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for needle in needles
        if any(has_text(content, needle) for content in contents_of(path))
    ]


def has_text(content: bytes, text: str) -> bool:
    lower = content.lower()
    return any(text.encode(encoding) in lower for encoding in ("utf-8", "utf-16-le", "utf-16-be"))


def contents_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what they are once unpacked."""
    content = path.read_bytes()
    yield content
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
    elif content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            yield from (parts.read(name) for name in parts.namelist())
    elif content.startswith(b"PAR1"):
        yield str(pq.read_table(io.BytesIO(content)).to_pylist()).encode()
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            for schema, name in connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
                yield str(connection.execute(f'FROM "{schema}"."{name}"').fetchall()).encode()
