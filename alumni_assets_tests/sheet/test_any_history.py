"""Whatever happens to the sheet, to exporters and between them: what is exported is what the definition says.

The definition. A *look* is a reading of the sheet whose fact was entered; the looks have an order. After the looks
L1 … Ln, a row version v (all its cells) has been exported

    max over i of (how often v is in Li)  +  how often v was put back

times. v was *put back* at look Li when Li has more of v than the look before it, but no more than an earlier look had,
and nothing that was exported last of its person (the employee id) is in Li any more. A reading that finds
nothing to export enters no fact, and is no look.

`Definition` below says so once more, in the plainest way, and the state machine compares.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alumni_assets import layout
from alumni_assets.sheet.exporting import Exported, Exporter
from alumni_assets.survey_rules import default_rules
from alumni_assets_tests.sheet.conftest import NOW, MemoryLake, Row, Sheet, WatchedLake, answer, as_file, uploads_in

pytestmark = pytest.mark.slow

PERSONS, ROLES = st.integers(0, 1), st.sampled_from(["Teacher", "Librarian", "Nurse"])
VERSIONS = st.builds(answer, PERSONS, ROLES)
Edit = tuple[str, int, Row]
EDITS = st.lists(st.tuples(st.sampled_from(["add", "change", "delete"]), st.integers(0, 9), VERSIONS), max_size=2)
WRITES = st.integers(1, 4)
MOMENTS = st.sampled_from(["before", "after"])


class KilledError(BaseException):
    """Stands for a process that is gone."""


@dataclass
class Definition:
    """What has been exported after the looks so far: the answers of each export, in the order of the sheet."""

    most: Counter[Row] = field(default_factory=Counter)
    before: Counter[Row] = field(default_factory=Counter)
    exports: list[list[Row]] = field(default_factory=list)

    def look(self, rows: list[Row]) -> None:
        now = Counter(rows)
        put_back = [row for row in now if self._is_put_back(row, now)]
        seen: Counter[Row] = Counter()
        export = []
        for row in rows:
            seen[row] += 1
            if seen[row] > self.most[row] or (row in put_back and seen[row] == 1):
                export.append(row)
        self.exports.append(export)
        self.most |= now
        self.before = now

    def _is_put_back(self, row: Row, now: Counter[Row]) -> bool:
        if not self.before[row] < now[row] <= self.most[row]:
            return False
        of_person = [[other for other in export if person(other) == person(row)] for export in self.exports]
        newest = [export for export in of_person if export][-1]
        return not any(now[other] for other in newest)


def person(row: Row) -> str:
    return row[1]


class Histories(RuleBasedStateMachine):
    """People edit the sheet; exporters export it, are killed, and get in each other's way."""

    def __init__(self) -> None:
        super().__init__()
        self.sheet = Sheet(rows=[answer(0)])
        self.lake = MemoryLake()
        self.homes = Path(tempfile.mkdtemp(prefix="alumni-histories-"))
        self.definition = Definition()

    def teardown(self) -> None:
        shutil.rmtree(self.homes)

    @rule(edits=EDITS, home=st.booleans())
    def an_export_ends_well(self, edits: list[Edit], home: bool) -> None:
        edit(self.sheet.rows, edits)
        self.export(home)
        self.export(home)  # which finds nothing, and tidies up
        self.all_is_as_defined()

    @rule(edits=EDITS, home=st.booleans(), write=WRITES, moment=MOMENTS)
    def an_exporter_is_killed(self, edits: list[Edit], home: bool, write: int, moment: str) -> None:
        def kill() -> None:
            raise KilledError

        edit(self.sheet.rows, edits)
        self.export(home, at(write, moment, kill))

    @rule(edits=EDITS, home=st.booleans(), write=WRITES, moment=MOMENTS, then=EDITS, killed=st.booleans())
    def another_exporter_comes_in_between(
        self, edits: list[Edit], home: bool, write: int, moment: str, then: list[Edit], killed: bool
    ) -> None:
        def come_in_between() -> None:
            edit(self.sheet.rows, then)
            self.export(home)
            if killed:
                raise KilledError

        edit(self.sheet.rows, edits)
        self.export(False, at(write, moment, come_in_between))

    @rule(edits=EDITS, home=st.booleans(), then=EDITS)
    def another_exporter_comes_in_after_the_reading(self, edits: list[Edit], home: bool, then: list[Edit]) -> None:
        def come_in_between() -> None:
            edit(self.sheet.rows, then)
            self.export(home)

        edit(self.sheet.rows, edits)
        self.export(False, after_reading=come_in_between)

    @rule(home=st.booleans())
    def alumni_home_is_lost(self, home: bool) -> None:
        shutil.rmtree(self.homes / str(home), ignore_errors=True)

    def export(
        self,
        home: bool,
        on_write: Callable[[str, int], None] = lambda *_: None,
        after_reading: Callable[[], None] = lambda: None,
    ) -> None:
        """One exporter from its start to its end, however that comes."""
        read: list[Row] = []
        once = [after_reading]

        @contextmanager
        def reading() -> Iterator[BinaryIO]:
            read[:] = self.sheet.rows
            with as_file(self.sheet.csv()) as content:
                while once:
                    once.pop()()
                yield content

        def written(number: int, key: str, done: bool | None) -> None:
            if key.startswith("register/") and done:
                self.definition.look(list(read))
            on_write("after", number)

        lake = WatchedLake(self.lake, lambda number, _: on_write("before", number), written)
        with suppress(KilledError):
            export(self.homes / str(home), lake, reading)

    @invariant()
    def nothing_is_exported_that_is_not_defined(self) -> None:
        for number, rows in enumerate(self.definition.exports, start=1):
            key = f"raw/sheet/answers-{number:06d}.csv"
            assert uploads_in(self.lake).get(key, rows) == rows

    def all_is_as_defined(self) -> None:
        uploads = uploads_in(self.lake)
        assert list(uploads.values()) == self.definition.exports
        assert not Counter(self.sheet.rows) - Counter(row for rows in uploads.values() for row in rows)
        assert len({self.lake.objects[key] for key in uploads}) == len(uploads)
        # What an exporter put aside that was killed before its fact stays until its number is taken.
        left = [layout.number_of_pending_export(entry.key) for entry in self.lake.list("sheet/")]
        assert set(left) <= {len(self.definition.exports) + 1}


Histories.TestCase.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
TestAnyHistory = Histories.TestCase


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(PERSONS, ROLES, st.none() | st.tuples(WRITES, MOMENTS)), max_size=15))
def test_what_the_sheet_says_last_of_a_person_is_what_was_exported_last(
    history: list[tuple[int, str, tuple[int, str] | None]],
) -> None:
    """Where everybody has one row, which is edited in place: back and forth, with exporters killed in between."""

    def kill() -> None:
        raise KilledError

    lake, rows = MemoryLake(), {0: answer(0)}
    with tempfile.TemporaryDirectory() as home:
        for number, role, killed in [*history, (0, "Teacher", None)]:
            rows[number] = answer(number, role)
            on_write = at(*killed, kill) if killed else lambda *_: None
            watched = WatchedLake(
                lake,
                lambda number, _, on_write=on_write: on_write("before", number),
                lambda number, *_, on_write=on_write: on_write("after", number),
            )
            try:
                export(Path(home), watched, lambda: as_file(Sheet(rows=list(rows.values())).csv()))
            except KilledError:
                continue
    last = {person(row): row for exported in uploads_in(lake).values() for row in exported}
    assert set(last.values()) == set(rows.values())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(VERSIONS, min_size=1, max_size=12), st.lists(VERSIONS, max_size=12), st.integers(1, 4), st.integers(1, 20)
)
def test_in_uploads_of_any_size_and_killed_anywhere_each_answer_is_exported_once(
    first: list[Row], then: list[Row], most: int, killed: int
) -> None:
    def kill(number: int, _key: str) -> None:
        if number == killed:
            raise KilledError

    lake, sheet = MemoryLake(), Sheet(rows=first)
    with tempfile.TemporaryDirectory() as home:
        with suppress(KilledError):
            export(Path(home), WatchedLake(lake, kill, lambda *_: None), lambda: as_file(sheet.csv()), most)
        sheet.rows = [*then, *first]
        export(Path(home), lake, lambda: as_file(sheet.csv()), most)
    exported = [row for rows in uploads_in(lake).values() for row in rows]
    assert Counter(exported) == Counter(sheet.rows)


def export(home: Path, lake: object, read: Callable[[], object], most: int = 100) -> Exported:
    limits = default_rules().limits
    return Exporter(lake, home, "answers", limits, read, lambda: NOW, most).export()  # type: ignore[arg-type]


def edit(rows: list[Row], edits: list[Edit]) -> None:
    """What people do to a sheet; it always keeps one row, for an empty one is an error."""
    for kind, place, version in edits:
        if kind == "add":
            rows.insert(place, version)
        elif kind == "change":
            rows[place % len(rows)] = version
        elif len(rows) > 1:
            del rows[place % len(rows)]


def at(write: int, moment: str, happens: Callable[[], None]) -> Callable[[str, int], None]:
    """Makes something happen before or after one of the writes, once."""
    left = [happens]

    def check(now: str, number: int) -> None:
        if (now, number) == (moment, write):
            while left:
                left.pop()()

    return check
