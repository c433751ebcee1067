"""A reader of published/ that looks again and again while commands are killed, and stops at the first contradiction.

It goes by what `publishing.py` promises: every file is whole; the database holds one state of all tables; numbers
rise; and once `publication.parquet` bears the database's number, every Parquet file holds what the database does.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from alumni_assets.queries import ANSWERS
from alumni_assets.warehouse.tables import TABLES

_PAUSE_SECONDS = 0.5
_PAGES = ("dashboard.html", "dashboard_public.html")
_CONTRADICTIONS = (
    "SELECT employee_id FROM alumni GROUP BY ALL HAVING count(*) > 1",
    "SELECT upload, source_row FROM survey_responses GROUP BY ALL HAVING count(*) > 1",
    "SELECT employee_id, upload, source_row FROM alumni EXCEPT FROM (SELECT employee_id, upload, source_row "
    "FROM survey_responses)",
    "SELECT employee_id FROM survey_responses EXCEPT SELECT employee_id FROM alumni",
    "SELECT employee_id FROM alumni EXCEPT SELECT employee_id FROM alumni_history WHERE is_current",
    "SELECT DISTINCT coalesce(corrected_by, upload) FROM survey_responses EXCEPT SELECT upload FROM uploads "
    "WHERE status = 'transformed'",
    "SELECT upload, open_rows, resolved_rows, waived_rows FROM uploads WHERE invalid > 0 AND corrects IS NULL EXCEPT "
    "SELECT upload, count(*) FILTER (status = 'open'), count(*) FILTER (status = 'resolved'), "
    "count(*) FILTER (status = 'waived') FROM quarantine GROUP BY upload",
    *(
        f"SELECT sum(alumni) FROM {table} HAVING coalesce(sum(alumni), 0) <> (SELECT count(*) FROM alumni)"
        for table in ANSWERS
        if any(column.name == "alumni" for column in TABLES[table].columns)
    ),
)


class ContradictionError(Exception):
    """What was published did not fit together."""


class Reader:
    """Looks at one folder; remembers the numbers that it has seen."""

    def __init__(self, published: Path) -> None:
        self._published = published
        self._last: dict[str, int] = {}

    def look(self) -> bool:
        """Look once; returns whether one publication was complete meanwhile, so that all of it could be compared.

        Raises ContradictionError.
        """
        if not (self._published / "publication.parquet").exists():
            return False
        number, _ = self._file("publication")
        database, tables = self._database()
        files = {name: self._file(name) for name in TABLES if name != "publication"}
        self._look_at_texts()
        number_after, _ = self._file("publication")
        newest = max(numbers for numbers, _ in files.values())
        if not number == database == number_after >= newest:
            return False
        for name, (_, rows) in files.items():
            if rows != tables[name]:
                raise ContradictionError(f"{name}.parquet and the database differ in publication {number}")
        return True

    def _file(self, table: str) -> tuple[int, list[str]]:
        # Opened here, for a path might be opened twice, and be another file the second time.
        with (self._published / f"{table}.parquet").open("rb") as stream, pq.ParquetFile(stream) as file:
            number = int((file.metadata.metadata or {})[b"generation"])
            self._note(f"{table}.parquet", number)
            return number, _rows(file.read())

    def _database(self) -> tuple[int, dict[str, list[str]]]:
        path = f"duckdb:{self._published / 'alumni.duckdb'}"
        with duckdb.connect(path, read_only=True, config={"threads": 1}) as connection:
            for query in _CONTRADICTIONS:
                if found := connection.execute(query).fetchall():
                    raise ContradictionError(f"the database contradicts itself: {query}: {found}")
            ((number,),) = connection.execute("SELECT generation FROM publication").fetchall()
            self._note("alumni.duckdb", number)
            return number, {name: _rows(connection.sql(f"FROM {name}").to_arrow_table()) for name in TABLES}

    def _look_at_texts(self) -> None:
        for name in _PAGES:
            page = self._published / name
            if page.exists() and not page.read_text(encoding="utf-8").rstrip().endswith("</html>"):
                raise ContradictionError(f"{name} has no end")
        state = self._published / "dashboard.json"
        if state.exists():
            json.loads(state.read_bytes())

    def _note(self, file: str, number: int) -> None:
        if number < self._last.get(file, 0):
            raise ContradictionError(f"{file} went back from publication {self._last[file]} to {number}")
        self._last[file] = number


def _rows(table: pa.Table) -> list[str]:
    return sorted(repr(tuple(row.values())) for row in table.to_pylist())


def read_on(published: Path, stop: Event, tells: Connection) -> None:
    """The process of a reader: tells at the end how often it looked and compared, or at once what is wrong."""
    reader, looks, compared = Reader(published), 0, 0
    parent = parent_process()
    assert parent is not None
    try:
        while parent.is_alive() and not stop.wait(_PAUSE_SECONDS):
            looks += 1
            compared += reader.look()
    except Exception as error:  # whatever a reader meets, it is what a person's program would have met
        tells.send(f"look {looks}: {type(error).__name__}: {error}")
        return
    tells.send((looks, compared))


@contextmanager
def reading(processes: Any, published: Path) -> Iterator[list[tuple[int, int]]]:
    """A reader at work; what is yielded holds, after it, how often it looked, and how often it compared everything."""
    stop, (told, tells) = processes.Event(), processes.Pipe(duplex=False)
    process = processes.Process(target=read_on, args=(published, stop, tells))
    process.start()
    looks: list[tuple[int, int]] = []
    try:
        yield looks
        stop.set()
        found = told.recv()
        assert not isinstance(found, str), found
        looks.append(found)
    finally:
        stop.set()
        process.join()
