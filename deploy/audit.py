"""Puts the locked packages before pip-audit, which asks the package index for known vulnerabilities: `make audit`.

pip-audit itself ends well, with "No known vulnerabilities found", where the index knows nothing of a package. Here such
packages are counted and named, and it ends with an error.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.lockfiles import Locked, lock_files, locked_in, normalized


@dataclass(frozen=True)
class Audit:
    """What was said of a lock file: how many packages were audited, which could not be, and which are vulnerable."""

    audited: int
    skipped: tuple[str, ...]
    vulnerable: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether every package was audited and none is vulnerable."""
        return not self.skipped and not self.vulnerable

    def sentences(self, name: str) -> list[str]:
        """What to print of the lock file of that name."""
        lines = [f"{name}: {self.audited} audited, {len(self.vulnerable)} vulnerable, {len(self.skipped)} not audited"]
        lines += [f"  VULNERABLE {text}" for text in self.vulnerable]
        return [*lines, f"  NOT AUDITED {', '.join(self.skipped)}"] if self.skipped else lines


def read(report: Mapping[str, Any], locked: Iterable[Locked]) -> Audit:
    """What pip-audit's JSON says of the packages that are `locked`; those for this machine it lacks are skipped."""
    packages: Sequence[Mapping[str, Any]] = report["dependencies"]
    audited = [package for package in packages if "skip_reason" not in package]
    vulnerable = tuple(
        f"{package['name']} {package['version']}: {', '.join(found['id'] for found in package['vulns'])}"
        for package in audited
        if package["vulns"]
    )
    skipped = {package["name"] for package in packages if "skip_reason" in package}
    named = {normalized(package["name"]) for package in packages}
    skipped |= {one.name for one in locked if one.name not in named and one.is_for_this_machine}
    return Audit(len(audited), tuple(sorted(skipped)), vulnerable)


def audit(path: Path, program: str) -> Audit:
    """Put a lock file before pip-audit; raises CalledProcessError with what it says where it breaks."""
    command = [program, "--requirement", str(path), "--require-hashes", "--disable-pip", "--format", "json"]
    ended = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True)  # noqa: S603
    if not ended.stdout:
        print(ended.stderr, file=sys.stderr)  # noqa: T201  a program of the command line
        ended.check_returncode()
    return read(json.loads(ended.stdout), locked_in(path))


def main(program: str) -> int:
    """Audit all lock files with the pip-audit at that path; 0 where all is audited and nothing found."""
    audits = {path.name: audit(path, program) for path in lock_files()}
    for name, one in audits.items():
        print("\n".join(one.sentences(name)))  # noqa: T201
    return 0 if all(one.is_clean for one in audits.values()) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
