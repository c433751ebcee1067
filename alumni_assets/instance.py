"""Opens the Dagster instance for the `alumni` command, the one whose state the UI shows; and how it is worked on.

Where things lie is decided in `settings.py`; what the instance is made of, in its dagster.yaml.
"""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from dagster import DagsterInstance
from sqlalchemy.exc import OperationalError

DEFAULT_HOME = ".alumni"
_STATEMENT_MILLISECONDS = 60_000
_CONNECTION_SECONDS = 5
_MORE_CONNECTIONS = 20

# What the project's own dagster.yaml says, less the paths: they default to the folder that the file is in.
_SETTINGS = """\
concurrency:
  runs:
    max_concurrent_runs: 4
run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1
sensors:
  use_threads: true
  num_workers: 4
run_monitoring:
  enabled: true
  max_runtime_seconds: 21600
  start_timeout_seconds: 60
  poll_interval_seconds: 20
  free_slots_after_run_end_seconds: 60
freshness:
  enabled: true
telemetry:
  enabled: false
nux:
  enabled: false
"""


class InstanceError(Exception):
    """The instance cannot be opened; the message says why and what to do."""


def open_instance(home: Path, dagster_home: str | None, working_directory: Path) -> DagsterInstance:
    """The instance of `dagster_home`, else of the working directory, else of `home`; close it after use.

    `dagster dev` without DAGSTER_HOME takes dagster.yaml from the directory it is started in, and so does this, as
    long as `home` is that directory's own `.alumni`; the paths in it are relative to the working directory. For
    another `home` it is `<home>/dagster`, made on first use: `DAGSTER_HOME=<home>/dagster dagster dev` shows it. Raises
    InstanceError for a `dagster_home` that is no folder, and for a database server that does not let us in.
    """
    if dagster_home:
        if not Path(dagster_home).is_dir():
            raise InstanceError(
                f"DAGSTER_HOME is {dagster_home}, which is no folder. Create it, or set it to Dagster's."
            )
        return _of_settings_in(dagster_home)
    is_default_home = home.absolute() == (working_directory / DEFAULT_HOME).absolute()
    if is_default_home and (working_directory / "dagster.yaml").exists():
        return _of_settings_in(str(working_directory))
    return _of_settings_in(str(_prepared(home / "dagster")))


def hold_connections(instance: DagsterInstance) -> None:
    """For a process that works on a run: keep a connection to the instance's database open from now on.

    Otherwise one is made for each statement, which takes longer than the statement. A connection is given up after
    some seconds, so that a database that was restarted is soon spoken to anew. Files of SQLite are left as they are.
    """
    instance.optimize_for_webserver(
        statement_timeout=_STATEMENT_MILLISECONDS, pool_recycle=_CONNECTION_SECONDS, max_overflow=_MORE_CONNECTIONS
    )


def _of_settings_in(folder: str) -> DagsterInstance:
    try:
        return DagsterInstance.from_config(folder)
    except Exception as error:
        refusal = error.__cause__  # dagster-postgres says itself only how often it tried
        if not isinstance(refusal, OperationalError):
            raise
        reason = str(refusal.orig).partition("\n")[0]
        raise InstanceError(
            f"Dagster's database does not let us in: {reason}. Check the storage in {folder}/dagster.yaml, and the "
            "variables that it names."
        ) from error


def _prepared(folder: Path) -> Path:
    """`folder`, made where it is absent, with a dagster.yaml; one that is there already is left alone.

    It appears whole: half a one, left by a killed process, would be taken for somebody's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        with TemporaryDirectory(dir=folder) as scratch:
            whole = Path(scratch) / settings.name
            whole.write_text(_SETTINGS, encoding="utf-8")
            with suppress(FileExistsError):  # by another process, just now
                os.link(whole, settings)
    return folder
