"""The policies in deploy/aws, as they are written: no action and no resource is more than it has to be."""

from collections.abc import Iterator
from typing import Any

import pytest

from alumni_assets_tests.deploy.templates import TEMPLATES, parsed, text_of


def statements(text: str) -> Iterator[dict[str, Any]]:
    """Every policy statement in a template."""
    yield from _statements(parsed(text))


def _statements(part: Any) -> Iterator[dict[str, Any]]:
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _statements(value)
    if isinstance(part, dict) and "Effect" in part:
        yield part


def too_wide(statement: dict[str, Any]) -> list[str]:
    """What a statement allows beyond named actions on a named resource or on a folder of it."""
    if statement["Effect"] == "Deny":
        return []
    actions, resources, principals = (_listed(statement.get(name, [])) for name in ("Action", "Resource", "Principal"))
    found = [action for action in actions if "*" in action or "?" in action]
    found += [resource for resource in resources if "*" in resource.removesuffix("/*") or resource == "/*"]
    found += [principal for principal in principals if "*" in principal]
    return found + [name for name in ("NotAction", "NotResource", "NotPrincipal") if name in statement]


def _listed(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [some for part in value.values() for some in _listed(part)]
    return [value] if isinstance(value, str) else list(value)


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_statement_allows_more_than_it_names(name: str) -> None:
    found = [too_wide(statement) for statement in statements(text_of(name))]
    assert found
    assert [wide for wide in found if wide] == []


def test_a_star_that_is_added_anywhere_is_found() -> None:
    lines = text_of("roles").splitlines()
    granting = [
        number
        for number, line in enumerate(lines)
        if any(mark in line for mark in ('"s3:', '"sqs:', '"sns:', '"ses:', '"sts:', "arn:${AWS::Partition}"))
        and "s3:prefix" not in line
        and "Value:" not in line  # an output
    ]
    assert len(granting) > 80
    for number in granting:
        start = lines[number].index('"') + 1
        end = lines[number].index(":", start) + 1
        wider = f"{lines[number][:end]}*{lines[number][end:]}"
        changed = "\n".join([*lines[:number], wider, *lines[number + 1 :]])
        assert any(too_wide(statement) for statement in statements(changed)), wider
