"""`make demo`: three sample uploads in a lake of their own, and Dagster with its sensors on.

Stopping it and starting it again goes on where it was. The real pipeline is started by `dagster dev`.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from alumni_assets.contract import default_contract
from alumni_assets.survey.sampling import write_sample

_FOLDER = Path(".demo").absolute()
_LOG = _FOLDER / "dagster.log"
_WELCOME = """
Sample uploads are in {raw}:
  clean.csv          500 rows, all valid
  dirty.csv          400 rows, some of them spoiled
  wrong_header.csv   its header lacks a column

In about half a minute open http://127.0.0.1:{port}/asset-groups and click "Show all groups", then:
  1. Watch raw_survey, validated_survey and invalid_survey fill: the sensor took the uploads in.
  2. Click invalid_survey, then Checks > invalid_share > Partitions: what is wrong with dirty.csv, row by row.
  3. Click transformed_survey > Materialize…, choose clean.csv and dirty.csv, and launch: that approves them.
     (Approved by "{approver}"; open the config section of the dialog to enter your own name or a note.)
  4. The tables, the five answers and published_survey follow by themselves. Look at
     degree_performance, or open {published}.
Put your own files into {raw} while this runs. Ctrl+C stops it; `make demo` goes on where it was.
Dagster's own messages are in {log}.
"""


def main() -> None:
    """Prepare the demonstration's lake and run `dagster dev` on it until it is interrupted."""
    raw, home = _FOLDER / "lake" / "raw", _FOLDER / "home"
    if not raw.exists():
        _write_samples(raw)
    (home / "dagster").mkdir(parents=True, exist_ok=True)
    dagster_yaml = home / "dagster" / "dagster.yaml"
    dagster_yaml.write_text(_instance_settings(), encoding="utf-8")
    environment = {
        **os.environ,
        "ALUMNI_LAKE": str(_FOLDER / "lake"),
        "ALUMNI_HOME": str(home),
        "ALUMNI_APPROVER": os.environ.get("ALUMNI_APPROVER", "demo visitor"),
        "DAGSTER_HOME": str(home / "dagster"),
    }
    port = os.environ.get("PORT", "3000")
    print(  # noqa: T201
        _WELCOME.format(
            raw=raw,
            port=port,
            approver=environment["ALUMNI_APPROVER"],
            published=_FOLDER / "lake" / "published" / "alumni.duckdb",
            log=_LOG,
        ),
        flush=True,
    )
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-m", "alumni_assets.definitions"]
    with _LOG.open("ab") as log:
        server = subprocess.Popen(  # noqa: S603
            [*command, "--port", port], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGTERM))
        try:
            status = server.wait()
        except KeyboardInterrupt:
            status = server.wait()
    if status:
        sys.exit(f"Dagster stopped with status {status}; the end of {_LOG} says why (is port {port} taken?).")


def _write_samples(raw: Path) -> None:
    contract = default_contract()
    samples = raw.with_name("samples")
    samples.mkdir(parents=True)
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
