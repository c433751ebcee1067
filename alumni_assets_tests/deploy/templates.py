"""The CloudFormation templates, by their names."""

from typing import Any

from deploy.policies import AWS, parsed

TEMPLATES = {path.stem: path for path in sorted(AWS.glob("*.yaml"))}


def text_of(name: str) -> str:
    return TEMPLATES[name].read_text(encoding="utf-8")


def resources(name: str) -> dict[str, Any]:
    """The properties of a template's resources, as they are written."""
    found: dict[str, Any] = parsed(text_of(name))["Resources"]
    return found
