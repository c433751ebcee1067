"""LibreOffice without its windows: what becomes of a file that a person opens in it and saves."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

_SECONDS = 120


def soffice_path() -> str | None:
    """Where LibreOffice is on this machine, if it is."""
    return shutil.which("soffice") or shutil.which("libreoffice")


def resaved(path: Path, folder: Path, suffix: str = "xlsx") -> Path:
    """The file as LibreOffice saves it again, in a folder other than its own; with a profile of its own."""
    soffice = soffice_path()
    assert soffice is not None
    assert folder.resolve() != path.parent.resolve()
    with tempfile.TemporaryDirectory() as profile:
        _run([soffice, f"-env:UserInstallation={Path(profile).as_uri()}", "--headless"], path, folder, suffix)
    result = folder / f"{path.stem}.{suffix}"
    assert result.is_file(), f"LibreOffice has not saved {path.name} as {suffix}"
    return result


def _run(command: list[str], path: Path, folder: Path, suffix: str) -> None:
    arguments = ["--convert-to", suffix, "--outdir", str(folder), str(path)]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            assert process.wait(_SECONDS) == 0
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # soffice is a script that starts the office as a child
            raise
