"""Which rows of which uploads are a person's, looked up in the uploads themselves.

Rows of corrections say of which row of which upload they are. Such a place is looked at as a whole: it is a person's
if any version of it has the person's id; or if none has an id at all and one has an e-mail address or a phone number of
theirs. A valid row with another id stays that of others, whatever a correction says that names it by mistake: it
corrects nothing there. What tells a person in a single row is in `survey/persons.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets import layout
from alumni_assets.contract import NAMES, UPLOAD_TITLE, Contract
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.corrections import named_uploads, returned_rows, whole_id
from alumni_assets.stages.streaming import stored_batches
from alumni_assets.survey import row_ranges
from alumni_assets.survey.erasures import Ledger
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.persons import Persons, Whose
from alumni_assets.survey.reading import detect, numbered_parts
from alumni_assets.survey.row_ranges import Ranges
from alumni_assets.survey.standing import Facts, Seen


class Place(NamedTuple):
    """A row of an upload; what corrections say of it has the same place."""

    upload: str
    row: int


class Version(NamedTuple):
    """What one upload says in a place: in which of its own rows, and whose that is by itself."""

    upload: str
    row: int
    whose: int


_Versions = dict[str, dict[int, list[Version]]]  # by the upload and the row of their place


@dataclass
class PersonRows:
    """The rows of a person by upload, their places, and the sealed names by which the person is known.

    `unread` are uploads whose files cannot be read as rows, `missing` those of which neither rows nor all tables
    are there. A row that is known by what it corrects only has the number 0.
    """

    rows: dict[str, Ranges] = field(default_factory=dict)
    places: dict[Place, list[Version]] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    unread: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Rows:
    """Some rows of one upload as text: their numbers there, and the places that they are about."""

    upload: str
    numbers: np.ndarray
    places: list[Place] | None  # None: each row is about its own
    cells: pa.RecordBatch


def find_person(lake: Lake, facts: Facts, persons: Persons, contract: Contract) -> PersonRows:
    """All rows of a person, in all uploads, whatever has become of those."""
    search = _Search(lake, facts, contract)
    known = persons.also(search.contacts(persons))
    versions: _Versions = defaultdict(lambda: defaultdict(list))
    for upload in sorted(facts.seen, key=lambda upload: upload not in search.corrections):  # those first
        for rows in search.rows_of(upload):
            _note(versions, rows, known.whose(rows.cells))
    theirs = {
        Place(upload, row): said for upload, rows in versions.items() for row, said in rows.items() if _is_theirs(said)
    }
    found: dict[str, set[int]] = defaultdict(set)
    set_aside = search.set_aside(theirs)
    for place, said in theirs.items():
        for version in said:
            is_corrected = version.upload == place.upload and place in set_aside
            if version.whose != Whose.OTHERS or is_corrected:
                found[version.upload].add(version.row)
    return PersonRows(
        _with_equal_files(facts, found), theirs, known.names, sorted(search.unread), sorted(search.missing)
    )


def own_rows(
    facts: Facts,
    ledger: Ledger,
    name: str,
    path: Path,
    persons: Persons,
    contract: Contract,
    known: Iterable[str] = (),
) -> np.ndarray:
    """The rows of erased persons in a file that arrives; none in one that cannot be read.

    A row is theirs by what it says, or because it corrects a row that was theirs and names nobody else; `known` are
    ranges of rows that are theirs besides.
    """
    known = tuple(known)
    found = [np.array([], np.int64)]
    try:
        for rows in _rows_in_file(facts, "", name, path, contract):
            whose = persons.whose(rows.cells)
            is_theirs = (whose == Whose.BY_ID) | (whose == Whose.BY_CONTACT) | row_ranges.are_in(rows.numbers, known)
            if rows.places is not None:
                is_theirs |= _are_erased(rows.places, ledger) & (whose != Whose.OTHERS)
            found.append(rows.numbers[is_theirs])
    except UnreadableUploadError:
        return found[0]
    return np.concatenate(found)


def rows_at(lake: Lake, facts: Facts, upload: str, ranges: Ranges, contract: Contract) -> list[dict[str, Any]]:
    """Some rows of an upload as text, with their numbers in `source_row`; none where its file is gone."""
    found: list[dict[str, Any]] = []
    for rows in _Search(lake, facts, contract).rows_of(upload):
        mask = row_ranges.are_in(rows.numbers, ranges)
        numbers = rows.numbers[mask].tolist()
        cells = rows.cells.filter(pa.array(mask)).to_pylist()
        found += [row | {"source_row": number} for row, number in zip(cells, numbers, strict=True)]
    return found


class _Search:
    """Goes through the uploads of a lake.

    What could not be read, or is gone, stands in `unread` and `missing`, and in `corrections` what is one.
    """

    def __init__(self, lake: Lake, facts: Facts, contract: Contract) -> None:
        self._lake = lake
        self._facts = facts
        self._contract = contract
        self.corrections: set[str] = set()
        self.unread: set[str] = set()
        self.missing: set[str] = set()

    def set_aside(self, places: Iterable[Place]) -> set[Place]:
        """Those of the places in which a row was set aside, so that a correction may say whose it is."""
        wanted: dict[str, list[int]] = defaultdict(list)
        for place in places:
            wanted[place.upload].append(place.row)
        return {Place(upload, row) for upload, rows in wanted.items() for row in self._set_aside_of(upload, rows)}

    def _set_aside_of(self, upload: str, rows: list[int]) -> Iterator[int]:
        key = layout.invalid_key(upload)
        if self._lake.stat(key) is None:
            return
        with self._lake.local_copy(key) as path:
            for batch in stored_batches(path, ["source_row"]):
                yield from np.intersect1d(batch["source_row"].to_numpy(), rows).tolist()

    def contacts(self, persons: Persons) -> frozenset[str]:
        """The sealed names of the e-mail addresses and phone numbers in the rows that have the persons' ids."""
        found: set[str] = set()
        for upload in self._facts.seen:
            for rows in self.rows_of(upload):
                own = rows.cells.filter(pa.array(persons.by_id_in(rows.cells)))
                found |= set(persons.contacts(own))
        for entry in self._lake.list("valid/"):
            with self._lake.local_copy(entry.key) as path:
                for batch in stored_batches(path, ["employee_id", "email", "phone_number"]):
                    found |= set(persons.contacts(batch.filter(pa.array(persons.by_id(batch["employee_id"])))))
        return frozenset(found)

    def rows_of(self, upload: str) -> Iterator[_Rows]:
        """The rows of an upload, from its pinned copy; where that is gone, those of its tables that are there."""
        with self._pinned(self._facts.seen[upload]) as path:
            if path is None:
                yield from self._stored_rows(upload)
                return
            try:
                name = self._facts.seen[upload].key
                yield from self._noted(_rows_in_file(self._facts, upload, name, path, self._contract))
            except UnreadableUploadError:
                self.unread.add(upload)
                yield from self._stored_rows(upload)

    @contextmanager
    def _pinned(self, seen: Seen) -> Iterator[Path | None]:
        key = layout.pinned_key(seen.upload)
        if self._lake.stat(key) is None:
            yield None
            return
        with self._lake.local_copy(key) as path:
            yield path

    def _noted(self, found: Iterable[_Rows]) -> Iterator[_Rows]:
        """The same rows; an upload with such of a correction is noted as one."""
        for rows in found:
            if rows.places is not None:
                self.corrections.add(rows.upload)
            yield rows

    def _stored_rows(self, upload: str) -> Iterator[_Rows]:
        """The rows of an upload as they are stored; in `missing` stands one of which these are gone too."""
        keys = (layout.invalid_key(upload), layout.valid_key(upload))
        if any(self._lake.stat(key) is None for key in keys):
            self.missing.add(upload)
        for key in keys:
            if self._lake.stat(key) is not None:
                with self._lake.local_copy(key) as path:
                    yield from self._noted(_stored(upload, batch) for batch in stored_batches(path))


def _stored(upload: str, batch: pa.RecordBatch) -> _Rows:
    if "problems" in batch.schema.names:
        return _Rows(upload, batch["source_row"].to_numpy(), _stored_places(batch), batch)
    stored = set(batch.schema.names)  # before the survey had a column, rows were stored without
    columns = {
        name: pc.cast(batch[name], pa.string()) if name in stored else pa.nulls(batch.num_rows, pa.string())
        for name in NAMES
    }
    cells = pa.RecordBatch.from_pydict({**columns, "other_columns": pa.nulls(batch.num_rows, pa.string())})
    numbers = batch["source_row"].to_numpy()
    if set(pc.unique(batch["upload"]).to_pylist()) <= {upload}:
        return _Rows(upload, numbers, None, cells)
    # Valid rows of a correction have the place that they correct; which rows of their own file they were is lost.
    places = [Place(of, row) for of, row in zip(batch["upload"].to_pylist(), numbers.tolist(), strict=True)]
    return _Rows(upload, np.zeros_like(numbers), places, cells)


def _stored_places(batch: pa.RecordBatch) -> list[Place] | None:
    if not {"corrects", "corrects_row"} <= set(batch.schema.names) or batch["corrects"].null_count == batch.num_rows:
        return None
    named = zip(
        *(batch[name].to_pylist() for name in ("upload", "source_row", "corrects", "corrects_row")), strict=True
    )
    return [Place(upload, row) if of is None else Place(corrects, of) for upload, row, corrects, of in named]


def _rows_in_file(facts: Facts, upload: str, name: str, path: Path, contract: Contract) -> Iterator[_Rows]:
    """The rows of a file. Raises `UnreadableUploadError`."""
    limits = contract.rules.limits
    file_format = detect(name, path, limits)
    for part in numbered_parts(path, file_format, limits):
        batch = part()
        numbers = batch["source_row"].to_numpy()
        if not file_format.header.is_correction:
            yield _Rows(upload, numbers, None, batch)
            continue
        returned = returned_rows(batch)
        uploads = [whole_id(facts, text) for text in named_uploads(batch[UPLOAD_TITLE]).to_pylist()]
        named = zip(numbers.tolist(), uploads, returned["names_row"].to_pylist(), strict=True)
        places = [Place(of, row) if of in facts.seen and row else Place(upload, own) for own, of, row in named]
        yield _Rows(upload, numbers, places, returned)


def _note(versions: _Versions, rows: _Rows, whose: np.ndarray) -> None:
    """Add what is said in each place, as far as it matters: all of corrections, and of what they correct."""
    if rows.places is not None:
        for place, number, kind in zip(rows.places, rows.numbers.tolist(), whose.tolist(), strict=True):
            versions[place.upload][place.row].append(Version(rows.upload, number, kind))
        return
    corrected = np.array(list(versions[rows.upload]), np.int64)
    matters = (whose == Whose.BY_ID) | (whose == Whose.BY_CONTACT) | np.isin(rows.numbers, corrected)
    for number, kind in zip(rows.numbers[matters].tolist(), whose[matters].tolist(), strict=True):
        versions[rows.upload][number].append(Version(rows.upload, number, kind))


def _is_theirs(said: Iterable[Version]) -> bool:
    kinds = {version.whose for version in said}
    return Whose.BY_ID in kinds or (Whose.BY_CONTACT in kinds and Whose.OTHERS not in kinds)


def _are_erased(places: Iterable[Place], ledger: Ledger) -> np.ndarray:
    gone = {upload: row_ranges.bounds(ranges) for upload, ranges in ledger.rows().items()}
    return np.array([any(first <= row <= last for first, last in gone.get(of, ())) for of, row in places], bool)


def _with_equal_files(facts: Facts, found: Mapping[str, set[int]]) -> dict[str, Ranges]:
    """What is cut out of a file is cut out of every equal one: they are known by one content."""
    by_content: dict[str, set[int]] = defaultdict(set)
    for upload, rows in found.items():
        by_content[facts.seen[upload].sha256] |= rows
    return {
        upload: row_ranges.ranges_of(sorted(by_content[seen.sha256]))
        for upload, seen in facts.seen.items()
        if seen.sha256 in by_content
    }
