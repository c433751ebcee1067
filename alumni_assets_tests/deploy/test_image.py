"""What the containers' image is made of. No image is built here: there is no engine for containers."""

import re
import tomllib

from alumni_assets_tests.deploy.conftest import PROJECT
from deploy.policies import AWS

EXTRAS = ("athena", "services", "sheets")


def locked(name: str) -> dict[str, set[str]]:
    """The packages of a lock file, as name==version, each with the hashes of its files."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    return {
        found[1]: set(re.findall(r"--hash=(\S+)", found[0]))
        for found in re.finditer(r"^([a-z0-9.-]+(?:\[\S+\])?==[^\s;]+).*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    }


def test_the_image_has_the_versions_that_the_tests_have_with_their_hashes() -> None:
    tested, image = locked("requirements.lock"), locked("requirements-image.lock")
    assert len(image) > 100
    assert {package: hashes for package, hashes in image.items() if tested.get(package) != hashes} == {}


def test_the_image_has_what_the_package_needs_and_no_tools_of_its_tests() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [*project["dependencies"]]
    for extra in EXTRAS:
        requirements += project["optional-dependencies"][extra]
    needed = {re.match(r"[A-Za-z0-9-]+", requirement)[0].lower() for requirement in requirements}  # type: ignore[index]
    image = {re.split(r"==|\[", package)[0] for package in locked("requirements-image.lock")}
    assert needed <= image
    assert {"hypothesis", "moto", "mypy", "playwright", "pytest", "ruff"} & image == set()


def test_the_image_has_no_user_with_rights_and_is_written_in_one_place() -> None:
    lines = (AWS / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert [line for line in lines if line.startswith("VOLUME")] == ['VOLUME ["/tmp"]']
    assert "--require-hashes" in next(line for line in lines if "requirements.lock" in line and "pip install" in line)
