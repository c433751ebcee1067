"""Under which licences the locked packages are: `make licences` writes docs/licences.md with this.

What is said is what the packages say of themselves, in the metadata of those that are installed in the environments
that are named in the call. It is no advice on what a licence asks for.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

from deploy.lockfiles import Locked, lock_files, locked_in, normalized

ELSEWHERE = "not installed on Linux"
_TITLE = """\
# Licences of the locked packages

Written by `make licences`, from what each package says in its own metadata; a test fails where a locked package is
missing. Which versions are locked, and with which hashes, stand in the `requirements*.lock` files at the top. The wheel
of this project holds none of them; the image of `make package` and the Glue package do.

| Licence, in the package's own words | Packages |
|---|---|
"""


class LicenceError(Exception):
    """A package's licence cannot be told; the message says why and what to do."""


def licence_of(distribution: Distribution) -> str:
    """The licence in a package's metadata, or the first line of the licence that comes with it; else ''."""

    def said(field: str) -> list[str]:
        return distribution.metadata.get_all(field) or []

    if expressions := said("License-Expression"):
        return expressions[0]
    classifiers = [text.split(" :: ") for text in said("Classifier")]
    named = [parts[-1] for parts in classifiers if parts[0] == "License" and parts[-1] != "OSI Approved"]
    if named:
        return " / ".join(named)
    files = [file for file in distribution.files or () if "licen" in file.name.lower() and "dist-info" in str(file)]
    texts = [*said("License"), *(file.read_text() for file in files)]
    return next((line.strip() for text in texts for line in text.splitlines() if line.strip()), "")


def licences(locked: Iterable[Locked], installed: Mapping[str, Distribution]) -> dict[str, list[str]]:
    """The names of the locked packages by their licences. Raises `LicenceError`."""
    found: dict[str, set[str]] = defaultdict(set)
    for package in locked:
        if not package.is_for_this_machine:
            found[ELSEWHERE].add(package.name)
            continue
        distribution = installed.get(package.name)
        licence = licence_of(distribution) if distribution else ""
        if not licence:
            why = "names no licence" if distribution else "is not installed: run `make` for its environment"
            raise LicenceError(f"{package.name} {why}.")
        found[licence].add(package.name)
    elsewhere = found.pop(ELSEWHERE, set()) - set().union(*found.values())
    by_licence = {licence: sorted(found[licence]) for licence in sorted(found, key=str.casefold)}
    return by_licence | ({ELSEWHERE: sorted(elsewhere)} if elsewhere else {})


def page(by_licence: Mapping[str, Iterable[str]]) -> str:
    """The page, in Markdown."""
    rows = [f"| {licence.replace('|', '/')} | {', '.join(names)} |\n" for licence, names in by_licence.items()]
    return _TITLE + "".join(rows)


def main(target: str, *environments: str) -> None:
    """Write the page about what is installed in these environments; the first that has a package tells."""
    folders = [str(path) for name in reversed(environments) for path in Path(name).glob("lib/python3*/site-packages")]
    installed = {normalized(one.name): one for one in distributions(path=folders)}
    locked = [package for path in lock_files() for package in locked_in(path)]
    Path(target).write_text(page(licences(locked, installed)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
