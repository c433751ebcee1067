"""The policies in the templates of deploy/aws, read and judged; `make lint-templates` runs it.

Every statement of every policy is held to names (`too_wide`). What the roles may do is also put before parliament,
which knows each action of AWS, the resources that it takes and the conditions that it understands. This runs in the
linters' environment, which has parliament and no part of the product.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

AWS = Path(__file__).parent / "aws"
# Parts of a resource that AWS gives no name: the objects of a folder or the tables of a database, the streams of a log
# group, and the six characters that Secrets Manager adds to a name.
_NAMELESS = re.compile(r"(/\*|:log-stream:\*|-\?{6})$")
# Actions that know no resource.
_NOT_ABOUT_A_RESOURCE = {"ecr:GetAuthorizationToken"}
_ACCOUNT = {"AWS::Partition": "aws", "AWS::Region": "ap-southeast-1", "AWS::AccountId": "123456789012"}


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref x`) as what they are about."""


def _about(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_Template.add_multi_constructor("!", _about)


def parsed(text: str) -> dict[str, Any]:
    """A template as data; `!Sub "a-${b}"` is read as `a-${b}`, `!Ref b` as `b`."""
    found: dict[str, Any] = yaml.load(text, _Template)  # noqa: S506  a safe loader
    return found


def statements(part: Any) -> Iterator[dict[str, Any]]:
    """Every policy statement in a template or a part of one."""
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from statements(value)
    if isinstance(part, dict) and "Effect" in part:
        yield part


def too_wide(statement: dict[str, Any]) -> list[str]:
    """What a statement allows beyond named actions on a named resource or on a folder of it."""
    if statement["Effect"] == "Deny":
        return []
    actions, resources, principals = (_listed(statement.get(name, [])) for name in ("Action", "Resource", "Principal"))
    found = [action for action in actions if _has_wildcard(action)]
    if not set(actions) <= _NOT_ABOUT_A_RESOURCE:
        found += [resource for resource in resources if _has_wildcard(_NAMELESS.sub("", resource))]
    found += [principal for principal in principals if _has_wildcard(principal)]
    return found + [name for name in ("NotAction", "NotResource", "NotPrincipal") if name in statement]


def unnamed(template: dict[str, Any]) -> list[str]:
    """A sentence for each statement of a template that is too wide."""
    found = [(statement.get("Sid", "a statement"), too_wide(statement)) for statement in statements(template)]
    return [f"{sid} allows more than it names: {', '.join(wide)}" for sid, wide in found if wide]


def granted(template: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each role's name and policy as JSON, with all names as they would be in an account."""
    defaults = {name: str(given.get("Default", "")) for name, given in template.get("Parameters", {}).items()}
    names = {**defaults, **_ACCOUNT}
    for resource in template["Resources"].values():
        for policy in resource["Properties"].get("Policies", []) if resource["Type"] == "AWS::IAM::Role" else []:
            text = json.dumps(policy["PolicyDocument"])
            yield resource["Properties"]["RoleName"], re.sub(r"\$\{([A-Za-z:]+)\}", lambda m: names[m[1]], text)


def misunderstood(template: dict[str, Any]) -> list[str]:
    """A sentence for each thing in the roles' policies that parliament finds wrong."""
    import parliament

    return [
        f"{role}: {found.title}: {found.detail}"
        for role, policy in granted(template)
        for found in map(parliament.enhance_finding, parliament.analyze_policy_string(policy).findings)
    ]


def main(paths: Iterable[str]) -> int:
    """Write down what is wrong with the policies in these templates; the exit status says whether anything is."""
    wrong = []
    for path in paths:
        template = parsed(Path(path).read_text(encoding="utf-8"))
        wrong += [f"{path}: {sentence}\n" for sentence in (*unnamed(template), *misunderstood(template))]
    sys.stderr.writelines(wrong)
    return 1 if wrong else 0


def _has_wildcard(text: str) -> bool:
    return "*" in text or "?" in text


def _listed(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [some for part in value.values() for some in _listed(part)]
    return [value] if isinstance(value, str) else list(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
