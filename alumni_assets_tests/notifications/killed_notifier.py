"""A notifier as a process of its own, which the system kills at a step of its choice.

`python -m alumni_assets_tests.notifications.killed_notifier FOLDER PORT CERTIFICATE STEP`: one look at the lake in
FOLDER, with a mail server at PORT; killed at the STEP-th write, before it where STEP is odd and after it where it is
even, or not at all where there are fewer.
"""

import os
import signal
import sys
from pathlib import Path

from alumni_assets.notifications.channels import EmailChannel
from alumni_assets.notifications.configuration import MailSettings
from alumni_assets.notifications.telling import Teller, open_outbox
from alumni_assets.register import Register
from alumni_assets.resources.lake import FolderLake
from alumni_assets.survey_rules import default_rules
from alumni_assets_tests.notifications.servers import PASSWORD, USER
from alumni_assets_tests.notifications.stand_ins import LINKS, Fuse, MemoryHistory


class WatchedLake(FolderLake):
    """A lake in a folder whose writes pass a fuse."""

    def __init__(self, root: Path, fuse: Fuse) -> None:
        super().__init__(root)
        self._fuse = fuse

    def create_bytes(self, key: str, data: bytes) -> bool:
        self._fuse.step(f"before {key}")
        is_new = super().create_bytes(key, data)
        self._fuse.step(f"after {key}")
        return is_new


def tell(folder: Path, port: int, certificate: Path, fuse: Fuse) -> None:
    """One look at the lake below the folder."""
    mail = MailSettings("127.0.0.1", port, USER, PASSWORD, USER, (), True, str(certificate))
    lake, home = WatchedLake(folder / "lake", fuse), folder / "home"
    teller = Teller(
        lake=lake,
        register=Register(lake, home),
        history=MemoryHistory(),  # type: ignore[arg-type]
        rules=default_rules(),
        outbox=open_outbox(home),
        home=home,
        links=LINKS,
    )
    teller.tell([EmailChannel(mail, "ana@school.edu.ph")])


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    tell(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Fuse(int(sys.argv[4]), _kill))
