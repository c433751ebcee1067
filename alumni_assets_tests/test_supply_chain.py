"""What the project is made of besides its own code: locked with hashes, licences listed, audited without illusions."""

import json
import stat
import sys
from importlib.metadata import distribution, distributions
from itertools import pairwise
from pathlib import Path

import pytest

from deploy.audit import Audit, main, read
from deploy.licences import ELSEWHERE, LicenceError, licence_of, licences, page
from deploy.lockfiles import PROJECT, Locked, lock_files, locked_in, normalized

PAGE = PROJECT / "docs" / "licences.md"
# As pip-audit 2.10 writes it.
FOUND = {
    "dependencies": [
        {"name": "click", "version": "8.1", "vulns": []},
        {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": [], "aliases": []}]},
        {"name": "py4j", "skip_reason": "Dependency not found on PyPI and could not be audited: py4j (0.10.9.9)"},
    ],
    "fixes": [],
}


def listed() -> dict[str, str]:
    """The licence of each package that the page lists."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if " | " in line]
    return {name: licence for licence, names in rows[1:] for name in names.split(", ")}


def test_the_page_lists_every_locked_package_and_no_other() -> None:
    locked = {package.name for path in lock_files() for package in locked_in(path)}
    assert len(locked) > 200
    assert (locked - set(listed()), set(listed()) - locked) == (set(), set())


def test_the_page_says_what_the_installed_packages_say() -> None:
    installed = {normalized(one.name): one for one in distributions()}
    said = {
        package.name: licence_of(installed[package.name])
        for package in locked_in(PROJECT / "requirements.lock")
        if package.name in installed
    }
    assert len(said) > 150
    assert {name: licence for name, licence in said.items() if listed()[name] != licence} == {}


def test_every_locked_package_has_hashes() -> None:
    for path in lock_files():
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [line for line, next_line in pairwise(lines) if "--hash=sha256:" in next_line]
        assert len([line for line in found if "==" in line]) == len(list(locked_in(path))) > 0, path.name


def test_a_package_is_listed_by_its_licence_and_apart_where_it_is_for_other_machines() -> None:
    pytest_itself = distribution("pytest")
    here, elsewhere = Locked("pytest", "8", ""), Locked("pywin32", "311", "sys_platform == 'nowhere'")
    found = licences([here, elsewhere], {"pytest": pytest_itself})
    assert found == {"MIT": ["pytest"], ELSEWHERE: ["pywin32"]}
    assert page(found).endswith("| MIT | pytest |\n| not installed on Linux | pywin32 |\n")
    assert licences([Locked("pytest", "8", "sys_platform == 'nowhere'"), here], {"pytest": pytest_itself}) == {
        "MIT": ["pytest"]
    }
    with pytest.raises(LicenceError, match="pytest is not installed"):
        licences([here], {})
    assert normalized("Typing_Extensions.x") == "typing-extensions-x"


def test_what_could_not_be_audited_is_counted_and_named() -> None:
    locked = [
        Locked("click", "8.1", ""),
        Locked("forgotten", "1", "python_version > '3'"),
        Locked("pywin32", "311", "sys_platform == 'nowhere'"),
    ]
    audit = read(FOUND, locked)
    assert audit == Audit(2, ("forgotten", "py4j"), ("old 1.0: PYSEC-1",))
    assert audit.sentences("a.lock") == [
        "a.lock: 2 audited, 1 vulnerable, 2 not audited",
        "  VULNERABLE old 1.0: PYSEC-1",
        "  NOT AUDITED forgotten, py4j",
    ]


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ({"vulns": []}, 0),
        ({"vulns": [{"id": "PYSEC-1"}]}, 1),
        ({"skip_reason": "unknown"}, 1),
        (None, 1),
    ],
    ids=["all is well", "one is vulnerable", "one is unknown", "one is left out"],
)
def test_only_what_was_audited_whole_and_is_clean_ends_well(
    first: dict[str, object] | None, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said_of = {one.name: {"vulns": []} for path in lock_files() for one in locked_in(path)}
    said_of[next(iter(said_of))] = first
    reported = [{"name": name, "version": "8", **said} for name, said in said_of.items() if said is not None]
    program = tmp_path / "pip-audit"
    report = json.dumps({"dependencies": reported})
    program.write_text(f"#!{sys.executable}\nprint({report!r})\n", encoding="utf-8")
    program.chmod(stat.S_IRWXU)
    assert main(str(program)) == status
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said if not line.startswith(" ")] == [path.name for path in lock_files()]
