"""Looks for people in all that the tests of the whole suite have the pipeline say: a plugin of pytest.

People are those of the tests' own files (`pipeline/answers.py`), and in modules that use it (`REAL_FILE`) those of the
real survey beside this repository, by their names, e-mail addresses and phone numbers. Employee ids are too short to be
looked for everywhere. They are looked for in

- what is written to a database of Dagster's in this process: events with their metadata, failures, runs with their
  configuration, ticks; whichever instance it is,
- what is printed and logged, unless a test reads that itself,
- what processes have left in the tests' folders: databases of Dagster's and copies of the register, logs, what runs
  printed, and the register itself with its notices.

Not looked at are the places that are for people's data: the lake but for its register, with correction files and what
is published, and the warehouse. A test that fails for it is named with the place, and never the person. One that makes
somebody be told itself, to see what becomes of it, is marked `tells_of_people`.
"""

import csv
import os
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

REAL_FILE = Path(__file__).parents[2] / "shared" / "data" / "dmc_alumni_survey_raw.csv"
_SUFFIXES = (".db", ".sqlite", ".log", ".err", ".out")
_WORD = re.compile(r"[^\W\d_]+")
_ADDRESS = re.compile(r"[\w.+-]+(?=@)")
_NUMBER = re.compile(r"(?<![\d.])9\d{9}(?!\d)")
# Each with a text that is found faster than itself.
_OF_TESTS = {
    "a name": ("quintos", re.compile(r"quintos[a-z]{2}\b")),
    "an e-mail address": ("valerie.", re.compile(r"\bvalerie\.\d+@")),
    "a phone number": ("90000", re.compile(r"(?<![\d.])90000\d{5}(?!\d)")),
}
_FOR_DATA = {"raw", "pinned", "valid", "invalid", "transformed", "archive", "published", "sheet", "spark"}
_LEAST = 6  # characters of an address before the @ that tell somebody


@cache
def _real() -> tuple[frozenset[tuple[str, str]], frozenset[str], frozenset[str]]:
    """First and last names, addresses before the @, and phone numbers in the real survey; none where it is not here."""
    if not REAL_FILE.exists():
        return frozenset(), frozenset(), frozenset()
    with REAL_FILE.open(encoding="utf-8", newline="") as stream:
        people = list(csv.DictReader(stream))
    names = [[word.casefold() for word in _WORD.findall(person["Employee_Name"])] for person in people]
    pairs = {pair for name in names for pair in pairwise(name) if all(len(word) > 2 for word in pair)}
    addresses = {person["Email"].partition("@")[0].strip().casefold() for person in people}
    return (
        frozenset(pairs),
        frozenset(address for address in addresses if len(address) >= _LEAST),
        frozenset(person["Phone_Number"].strip() for person in people),
    )


def kinds_in(text: str) -> set[str]:
    """What of the people of the tests is in a text: a name, an e-mail address, a phone number."""
    lower = text.lower()
    return {kind for kind, (part, whole) in _OF_TESTS.items() if part in lower and whole.search(lower)}


def kinds_of_the_survey_in(text: str) -> set[str]:
    """The same of the people of the real survey."""
    pairs, addresses, numbers = _real()
    found = set()
    if not addresses.isdisjoint(address.casefold() for address in _ADDRESS.findall(text)):
        found.add("an e-mail address")
    if not numbers.isdisjoint(_NUMBER.findall(text)):
        found.add("a phone number")
    if not pairs.isdisjoint(pairwise(_WORD.findall(text.casefold()))):
        found.add("a name")
    return found


class Watch:
    """What was found, until the test at whose end it is told. `is_real`: whether the real survey is in use."""

    def __init__(self) -> None:
        self.is_real = False
        self._found: dict[str, None] = {}
        self._scanned: set[str] = set()

    def look_at(self, where: str, text: str) -> None:
        """Note what of people is in a text."""
        kinds = kinds_in(text) | (kinds_of_the_survey_in(text) if self.is_real else set())
        self._found |= {f"{where} has {kind}": None for kind in sorted(kinds)}

    def look_into(self, folder: Path) -> None:
        """Look at all logs, databases and registers in the folders there that were not looked into before."""
        new = set(os.listdir(folder)) - self._scanned if folder.is_dir() else set()
        self._scanned |= new
        for name in sorted(new):
            for path in _files(folder / name):
                self.look_at(os.path.relpath(path, folder), path.read_bytes().decode("latin-1"))

    def told(self) -> list[str]:
        """What was found since this was last asked."""
        found, self._found = list(self._found), {}
        return found

    def on_statement(self, *arguments: Any) -> None:
        """Called by SQLAlchemy with connection, cursor, statement, parameters, context and executemany."""
        statement, parameters = arguments[2], arguments[3]
        if statement.startswith("SELECT"):
            return
        for values in parameters if isinstance(parameters, list) else (parameters,):
            for value in values.values() if isinstance(values, dict) else values or ():
                if isinstance(value, str):
                    self.look_at("Dagster's store", value)


def _files(folder: Path) -> Iterator[Path]:
    """What is to be looked at below a folder; links are not followed."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _FOR_DATA]
        is_register = f"{os.sep}register" in parent
        for name in names:
            path = Path(parent, name)
            if (is_register or name.endswith(_SUFFIXES)) and path.is_file() and not path.is_symlink():
                yield path


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "tells_of_people: makes somebody be told, to see what becomes of it")
    watch = Watch()
    event.listen(Engine, "before_cursor_execute", watch.on_statement)
    config.pluginmanager.register(_Hooks(watch), "personal-data")


class _Hooks:
    """Looks at each test when it ends, and into the tests' folders when a module does."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._watch.is_real = hasattr(getattr(item, "module", None), "REAL_FILE")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        yield
        for when, name, content in item._report_sections:
            self._watch.look_at(f"captured {name} ({when})", content)
        if nextitem is None or nextitem.path != item.path:
            self._watch.look_into(item.config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]
        found = self._watch.told()
        if found and item.get_closest_marker("tells_of_people") is None:
            pytest.fail("Personal data was told:\n" + "\n".join(found), pytrace=False)
