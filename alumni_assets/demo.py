"""`make demo`: three sample uploads in a lake of their own, and Dagster with its sensors on.

Stopping it and starting it again goes on where it was. The real pipeline is started by `dagster dev`.
"""

import signal
import socket
import subprocess
import sys
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event

from alumni_assets.assets import common
from alumni_assets.contract import default_contract
from alumni_assets.resources.file_lock import FileLockTimeoutError, exclusive_file_lock
from alumni_assets.settings import DemoSettings, SettingsError, load_demo_settings
from alumni_assets.survey.sampling import write_sample

_FOLDER = Path(".demo").absolute()
_LAKE = _FOLDER / "lake"
_HOME = _FOLDER / "home"
_LOG = _FOLDER / "dagster.log"
_GROUPS = (common.INTAKE, common.SUPERVISED, common.TABLES, common.ANSWERS, common.PUBLICATION)
_STARTING = """
Sample uploads are in {raw}:
  clean.csv          500 rows, all valid
  dirty.csv          400 rows, some of them spoiled
  wrong_header.csv   its header lacks a column

Dagster is starting, which takes half a minute. Its own messages go to {log}."""
_WELCOME = """
Dagster runs. Open
  {graph}

1. raw_survey, validated_survey and invalid_survey fill within seconds: the sensor took the uploads in.
2. What is wrong with dirty.csv, row by row: click invalid_survey > Checks > no_open_rows > Partitions > dirty.csv.
   wrong_header.csv was rejected as a whole, and raw_survey is red for it: raw_survey > Checks > readable.
3. Approve: click transformed_survey > Materialize…, choose clean.csv and dirty.csv, and launch. It is approved by
   "{approver}"; the description of transformed_survey says how to enter your own name. Dagster begins within
   half a minute.
4. Correct rows: copy the correction file that the check in step 2 names, mend its coloured cells in Excel or
   LibreOffice, and put the copy into {raw} under any name. Within seconds the check counts
   fewer rows, and the copy waits for approval: transformed_survey > Checks > nothing_waits.
5. The tables, the five answers and the dashboard follow by themselves. Open the dashboard in your browser:
   {dashboard}

Put your own survey files into {raw} while this runs.
Ctrl+C stops it; `make demo` goes on where it was.
"""


def main() -> None:
    """Prepare the demonstration's lake and run `dagster dev` on it until it is interrupted."""
    try:
        settings = load_demo_settings()
        _FOLDER.mkdir(exist_ok=True)
        with exclusive_file_lock(_FOLDER / "demo.lock", 0):
            _run(settings)
    except SettingsError as error:
        sys.exit(str(error))
    except FileLockTimeoutError as error:
        sys.exit(f"The demonstration runs already (process {error.holder}). Stop that one first, with Ctrl+C.")


def _run(settings: DemoSettings) -> None:
    _require_free(settings.port)
    if not (_LAKE / "raw").exists():
        write_samples(_LAKE / "raw")
    (_HOME / "dagster").mkdir(parents=True, exist_ok=True)
    (_HOME / "dagster" / "dagster.yaml").write_text(_instance_settings(), encoding="utf-8")
    print(_STARTING.format(raw=_LAKE / "raw", log=_LOG), flush=True)  # noqa: T201
    server = _start_dagster(settings)
    stopping = _pass_on_signals(server)
    if _becomes_ready(server, settings.port):
        print(_welcome(settings.port, settings.approver), flush=True)  # noqa: T201
    server.wait()
    if not stopping.is_set():
        sys.exit(f"Dagster stopped by itself; the end of {_LOG} says why.")


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            sys.exit(f"Port {port} cannot be used ({error.strerror}). Choose another one: make demo PORT=3456")


def _start_dagster(settings: DemoSettings) -> subprocess.Popen[bytes]:
    """Start `dagster dev`, in a session of its own, so that Ctrl+C does not reach each of its processes as well."""
    environment = {
        **settings.environment,
        "ALUMNI_LAKE": str(_LAKE),
        "ALUMNI_HOME": str(_HOME),
        "ALUMNI_APPROVER": settings.approver,
        "DAGSTER_HOME": str(_HOME / "dagster"),
    }
    # Started in the background by a script, this process was told to ignore Ctrl+C, and Dagster would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-m", "alumni_assets.definitions"]
    with _LOG.open("wb") as log:
        return subprocess.Popen(  # noqa: S603
            [*command, "--port", str(settings.port)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _pass_on_signals(server: subprocess.Popen[bytes]) -> Event:
    """From now on Ctrl+C and its kind stop the server, once; the event says that they came."""
    stopping = Event()

    def stop(*_: object) -> None:
        if not stopping.is_set():
            stopping.set()
            print("\nStopping, which takes a few seconds …", flush=True)  # noqa: T201
            server.send_signal(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    return stopping


def _becomes_ready(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until Dagster's pages can be opened; false when it ends before."""
    while server.poll() is None:
        try:
            page = HTTPConnection("127.0.0.1", port, timeout=5)
            page.request("GET", "/server_info")
            if page.getresponse().status == HTTPStatus.OK:
                return True
        except (OSError, HTTPException):
            pass
        time.sleep(0.5)
    return False


def _welcome(port: int, approver: str) -> str:
    expanded = ",".join(f"global@global:{group}" for group in _GROUPS)
    return _WELCOME.format(
        graph=f"http://127.0.0.1:{port}/asset-groups?expanded={expanded}",
        approver=approver,
        dashboard=_LAKE / "published" / "dashboard.html",
        raw=_LAKE / "raw",
    )


def write_samples(raw: Path) -> None:
    """Make the folder `raw` with the sample uploads in it."""
    contract = default_contract()
    samples = raw.with_name("samples")
    samples.mkdir(parents=True, exist_ok=True)
    write_sample(samples / "clean.csv", 500, 0.0, 1, contract)
    write_sample(samples / "dirty.csv", 400, 0.08, 2, contract)
    write_sample(samples / "wrong_header.csv", 50, 0.0, 3, contract)
    _spoil_header(samples / "wrong_header.csv")
    samples.rename(raw)


def _spoil_header(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("College_Degree", "Course", 1), encoding="utf-8")


def _instance_settings() -> str:
    """The project's dagster.yaml without its relative folders: DAGSTER_HOME says where state goes here."""
    sections = Path("dagster.yaml").read_text(encoding="utf-8").split("\n\n")
    return "\n\n".join(section for section in sections if ".alumni/" not in section)


if __name__ == "__main__":
    main()
