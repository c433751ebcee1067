"""Every promise in docs/guarantees.md names tests that there are."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "guarantees.md"
_NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


_MARKED = re.compile(r"(?:\*\((\w+)\)\* )?`([\w/]+\.py)::(\w+)`")


def marks_of_tests(path: Path) -> dict[str, str]:
    """The tests of a module, each with the mark by which it is left out of `make test`."""
    body = ast.parse(path.read_bytes()).body
    of_module = [ast.unparse(node.value) for node in body if isinstance(node, ast.Assign) and _is_mark(node)]
    return {
        node.name: _mark_in([*of_module, *map(ast.unparse, node.decorator_list)])
        for node in body
        if isinstance(node, ast.FunctionDef)
    }


def _is_mark(assigned: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in assigned.targets)


def _mark_in(marks: list[str]) -> str:
    found = re.findall(r"mark\.(torture|long)\b", " ".join(mark for mark in marks if "parametrize" not in mark))
    return found[0] if found else ""


def test_every_promise_names_tests_and_there_are_all_of_them() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    promises = [line for line in rows if not line.startswith("| Promise |")]
    assert [line for line in promises if not _NAMED.search(line.split("|")[2])] == []
    named = {found.groups(default="") for line in promises for found in _MARKED.finditer(line)}
    there = {path: marks_of_tests(TESTS / path) for _, path, _ in named}
    assert [f"{path}::{name}" for mark, path, name in sorted(named) if there[path].get(name) != mark] == []
    assert len(promises) > 30
