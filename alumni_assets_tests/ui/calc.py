"""LibreOffice Calc as a person sees it: on a screen of its own, by keys and mouse, photographed.

Only the pictures of docs/images need it. Debian's packages: libreoffice-calc, libreoffice-gtk3, xvfb, openbox, xdotool,
imagemagick.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PROGRAMS = ("soffice", "Xvfb", "openbox", "xdotool", "import")
_DISPLAY = ":77"
_WIDTH, _HEIGHT = 1440, 760
_CELLS_TOP = 124
_START_SECONDS = 60


def missing_programs() -> list[str]:
    """What is not on this machine."""
    return [program for program in _PROGRAMS if shutil.which(program) is None]


class Calc:
    """A workbook in a window that fills the screen."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def press(self, *keys: str) -> None:
        """Press keys, as `xdotool` calls them, one after the other."""
        for key in keys:
            self._xdotool("key", key)
            time.sleep(0.3)

    def point(self, x: int, y: int) -> None:
        """Move the mouse there."""
        self._xdotool("mousemove", str(x), str(y))
        time.sleep(2)

    def picture(self, image: Path, width: int, height: int) -> None:
        """Photograph that much of the window, from the input line above the cells on."""
        time.sleep(1)
        part = ("-crop", f"{width}x{height}+0+{_CELLS_TOP}", "+repage")
        self._run("import", "-window", "root", *part, "-depth", "8", "+dither", "-colors", "200", str(image))

    def wait(self) -> None:
        """Wait until the window is there."""
        self._xdotool("search", "--sync", "--onlyvisible", "--name", "LibreOffice Calc", seconds=_START_SECONDS)
        time.sleep(5)

    def _xdotool(self, *arguments: str, seconds: float = 10) -> None:
        self._run("xdotool", *arguments, seconds=seconds)

    def _run(self, *command: str, seconds: float = 10) -> None:
        subprocess.run(command, env=self._environment, check=True, timeout=seconds, stdout=subprocess.DEVNULL)


@contextmanager
def opened_in_calc(workbook: Path) -> Iterator[Calc]:
    """The workbook in Calc; nothing is saved, and every process is ended."""
    environment = {**os.environ, "DISPLAY": _DISPLAY, "SAL_USE_VCLPLUGIN": "gtk3", "GTK_THEME": "Adwaita"}
    with ExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory())

        def start(*command: str) -> None:
            process = subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.callback(_end, process)

        start("Xvfb", _DISPLAY, "-screen", "0", f"{_WIDTH}x{_HEIGHT}x24", "-nolisten", "tcp")
        time.sleep(1)
        start("openbox")
        options = ("--nologo", "--norestore", "--nofirststartwizard", "--calc")
        start("soffice", f"-env:UserInstallation={Path(profile).as_uri()}", *options, str(workbook))
        calc = Calc(environment)
        calc.wait()
        yield calc


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it has started: soffice is a script."""
    os.killpg(process.pid, 9)
    process.wait()
