"""Opens Dagster's instance for the `alumni` command: the same one that `dagster dev` uses."""

from pathlib import Path

from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef


def open_instance(home: Path, dagster_home: str | None, working_directory: Path) -> DagsterInstance:
    """The instance of `DAGSTER_HOME`, else of dagster.yaml in the working directory, else of `home`."""
    if dagster_home:
        return DagsterInstance.from_ref(InstanceRef.from_dir(dagster_home))
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    if (working_directory / "dagster.yaml").exists():
        return DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), config_dir=str(working_directory)))
    return DagsterInstance.from_ref(InstanceRef.from_dir(str(folder)))
