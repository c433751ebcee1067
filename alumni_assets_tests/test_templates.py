"""The policies in deploy/aws, as they are written: no action and no resource is more than it has to be.

What judges them is what `make lint-templates` runs.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from alumni_assets_tests.deploy.templates import TEMPLATES, resources, text_of
from deploy.policies import parsed, statements, too_wide, unnamed

PROJECT = Path(__file__).parents[1]
LINTER = PROJECT / ".venv-template-linters" / "bin" / "python"
# Who takes on each role that is not the services' to take on.
TRUSTED = {
    "Services": {"Service": "ecs-tasks.amazonaws.com"},
    "Daemon": {"Service": "ecs-tasks.amazonaws.com"},
    "Webserver": {"Service": "ecs-tasks.amazonaws.com"},
    "Execution": {"Service": "ecs-tasks.amazonaws.com"},
    "Glue": {"Service": "glue.amazonaws.com"},
    "PowerBI": {"AWS": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"},
}
OF_THE_SERVICES = {"AWS": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${Name}-services"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_statement_allows_more_than_it_names(name: str) -> None:
    assert unnamed(parsed(text_of(name))) == []


def test_the_roles_the_buckets_the_queue_and_the_topics_have_policies() -> None:
    assert {name for name in TEMPLATES if any(statements(parsed(text_of(name))))} == {
        "alarms", "queue", "roles", "storage",
    }  # fmt: skip


def places(part: Any) -> Iterator[tuple[Any, Any]]:
    """Where a string stands in a part of a policy: the list or object that it is in, and its index or key there."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        if isinstance(value, str):
            yield part, key
        else:
            yield from places(value)


def starred(statement: dict[str, Any]) -> Iterator[str]:
    """A statement with a star in each place where it grants something: after each colon and slash, and at the end."""
    granting = {key: statement[key] for key in ("Action", "Resource", "Principal") if key in statement}
    for holder, key in [(statement if holder is granting else holder, key) for holder, key in places(granting)]:
        found = holder[key]
        for end in [n + 1 for n, sign in enumerate(found) if sign in ":/"] + [len(found)]:
            if not found.endswith("*") or end < len(found) - 1:  # `folder/**` grants no more than `folder/*`
                holder[key] = f"{found[:end]}*{found[end:]}"
                yield holder[key]
        holder[key] = found


def test_a_star_that_is_added_anywhere_is_found() -> None:
    allowing = [
        statement
        for name in TEMPLATES
        for statement in statements(parsed(text_of(name)))
        if statement["Effect"] != "Deny"
    ]
    tried = [(star, too_wide(statement)) for statement in allowing for star in starred(statement)]
    assert len(tried) > 1000
    assert [star for star, found in tried if star not in found] == []


def test_roles_are_taken_on_by_nobody_but_whom_they_are_for() -> None:
    for name, role in resources("roles").items():
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert (statement["Action"], statement["Principal"]) == ("sts:AssumeRole", TRUSTED.get(name, OF_THE_SERVICES))
        condition = {"StringEquals": {"aws:SourceAccount": "AWS::AccountId"}}
        assert statement.get("Condition") == (condition if "Service" in statement["Principal"] else None)


def test_the_linter_fails_for_an_action_that_does_not_exist(tmp_path: Path, lacking: Callable[[str], NoReturn]) -> None:
    if not LINTER.exists():
        lacking("The linters of templates are not installed: `make lint-templates` installs them")
    changed = tmp_path / "roles.yaml"
    for text, status in ((text_of("roles"), 0), (text_of("roles").replace("glue:GetTables", "glue:GetTableaux"), 1)):
        changed.write_text(text, encoding="utf-8")
        done = subprocess.run([LINTER, "-m", "deploy.policies", changed], cwd=PROJECT, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
    assert "Unknown action glue:GetTableaux" in done.stderr
