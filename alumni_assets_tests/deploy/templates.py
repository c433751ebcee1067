"""The CloudFormation templates as data."""

from pathlib import Path
from typing import Any

import yaml

TEMPLATES = {path.stem: path for path in sorted((Path(__file__).parents[2] / "deploy" / "aws").glob("*.yaml"))}


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref x`) as what they are about."""


_Template.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


def text_of(name: str) -> str:
    return TEMPLATES[name].read_text(encoding="utf-8")


def parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(text, _Template)
    return found
