"""What facts mean once persons are erased from what they name."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from alumni_assets.register import Register
from alumni_assets.resources.lake import FolderLake
from alumni_assets.survey.erasures import Ledger
from alumni_assets.survey.row_ranges import without
from alumni_assets.survey.standing import Decision, Erasure, Ingested, Rewritten, Seen, Transformed, Waiver

NOW = datetime(2026, 11, 20)
ERASURE = Erasure(0, ("aa",), {"term.csv@1": ["2-3"]}, "Ana", NOW, "asked for it", "check")
SEEN = Seen("term.csv@1", "term.csv", "old", 100, NOW)
JUDGED = Ingested("term.csv@1", "validated", NOW, content="old valid", invalid_content="old invalid")
FIX = Ingested(
    "fix.csv@2", "validated", NOW, corrects="term.csv@1", against="old invalid", mends=("1-4",), wrong=("3", "9")
)
MADE = Transformed("term.csv@1", "old valid", "old rows", 7, 1, NOW)
APPROVED = Decision("term.csv@1", 0, "approved", "Ana", NOW, content="old valid", rows=8)
WAIVED = Waiver("term.csv@1", 0, ("2", "5-6"), "old invalid", "Ana", NOW, "no such person")


@pytest.fixture
def register(tmp_path: Path) -> Register:
    (tmp_path / "lake").mkdir()
    return Register(FolderLake(tmp_path / "lake"), tmp_path / "home")


def test_rows_are_taken_out_of_ranges() -> None:
    assert without(("1-9", "12"), ("3", "5-6", "9-20")) == ("1-2", "4", "7-8")
    assert without(("1-9",), ()) == ("1-9",)
    assert without(("4",), ("4",)) == ()


def test_a_content_that_was_rewritten_twice_means_the_last() -> None:
    ledger = Ledger((), {"a": Rewritten("a", "b", 2), "b": Rewritten("b", "c", 1)})
    assert [ledger.now(sha256) for sha256 in "abcd"] == ["c", "c", "c", "d"]
    assert ledger.seen(replace(SEEN, sha256="a")) == replace(SEEN, sha256="c", size=1)


def test_files_that_other_programs_leave_in_the_register_disturb_nothing(tmp_path: Path, register: Register) -> None:
    register.append_decision(APPROVED)
    for folder in ("register/decisions", "register/seen", "register"):
        (tmp_path / "lake" / folder).mkdir(exist_ok=True)
        (tmp_path / "lake" / folder / ".DS_Store").touch()
    (log,) = (tmp_path / "lake/register/decisions").glob("*/")
    (log / ".DS_Store").touch()
    for path in list((tmp_path / "lake/register").rglob("0*.json")):
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7")  # as a Mac does on some disks
    assert register.append_decision(APPROVED).number == 2
    assert [decision.number for decision in register.facts().decisions["term.csv@1"]] == [1, 2]


def test_facts_stay_as_they_were_entered_and_are_read_in_the_terms_of_what_is_stored(register: Register) -> None:
    register.enter_seen(SEEN)
    register.enter_ingested(JUDGED)
    register.enter_ingested(FIX)
    register.enter_transformed(MADE)
    register.append_decision(APPROVED)
    register.append_waiver(WAIVED)
    assert register.facts().seen == {"term.csv@1": SEEN}
    register.append_erasure(ERASURE)
    for what, size in {"": 90, " valid": 5, " invalid": 6, " rows": 7}.items():
        register.enter_rewritten(Rewritten(f"old{what}", f"new{what}", size))

    facts = register.facts()
    assert facts.seen["term.csv@1"] == register.find_seen("term.csv@1") == replace(SEEN, sha256="new", size=90)
    judged = replace(JUDGED, content="new valid", invalid_content="new invalid")
    assert facts.ingested["term.csv@1"] == register.find_ingested("term.csv@1") == judged
    assert facts.ingested["fix.csv@2"] == replace(FIX, against="new invalid", mends=("1", "4"), wrong=("9",))
    made = replace(MADE, source="new valid", content="new rows")
    assert facts.transformed["term.csv@1"] == register.find_transformed("term.csv@1") == made
    assert facts.decisions["term.csv@1"] == [replace(APPROVED, number=1, content="new valid")]
    assert facts.waivers["term.csv@1"] == [replace(WAIVED, number=1, rows=("5-6",), judged="new invalid")]
    assert register.enter_seen(replace(SEEN, received_at=datetime(2027, 1, 1))) == facts.seen["term.csv@1"]


def test_erasures_are_numbered_whoever_enters_them(register: Register, tmp_path: Path) -> None:
    other = Register(FolderLake(tmp_path / "lake"), tmp_path / "elsewhere")
    assert [some.append_erasure(ERASURE).number for some in (register, other, register)] == [1, 2, 3]
    assert [erasure.number for erasure in other.facts().erasures] == [1, 2, 3]
    assert register.ledger().rows() == {"term.csv@1": ("2-3",)}
