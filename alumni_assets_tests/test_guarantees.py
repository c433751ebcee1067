"""Every promise in docs/guarantees.md names tests that there are."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "guarantees.md"
_NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def names_in(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_tests_and_there_are_all_of_them() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    promises = [line for line in rows if not line.startswith("| Promise |")]
    assert [line for line in promises if not _NAMED.search(line.split("|")[2])] == []
    named = {found.groups() for line in promises for found in _NAMED.finditer(line)}
    missing = [f"{path}::{name}" for path, name in sorted(named) if name not in names_in(TESTS / path)]
    assert missing == []
    assert len(promises) > 30
