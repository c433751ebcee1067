"""The project's definitions as a deployment loads them, with gates at which a test can hold runs.

A run says that it has arrived at a gate, and waits there while the gate is shut. So tests decide what is under way at
the same time, instead of hoping for it. Of the sensors there are those that the tests are about.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from alumni_assets.assets.common import WAREHOUSE
from alumni_assets.definitions import build_defs
from alumni_assets.json_logs import print_json
from alumni_assets.resources.engine import EngineResource
from alumni_assets.settings import load_settings, prepare_lake


class Gate:
    """A gate by its name, in the folder `home`."""

    def __init__(self, home: Path | str, name: str) -> None:
        self._folder = Path(home) / "gates" / name
        self._shut = self._folder / "shut"

    def shut(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._shut.touch()

    def open(self) -> None:
        self._shut.unlink()

    def arrived(self) -> set[str]:
        """The runs that came to the gate while it was shut."""
        return {path.name for path in self._folder.glob("*") if path != self._shut}

    def go_through(self, run_id: str) -> None:
        if self._shut.exists():
            (self._folder / run_id).touch()
        while self._shut.exists():
            time.sleep(0.05)


class GatedEngine(EngineResource):
    """The engine, which intake waits for at its gate."""

    @contextmanager
    def opened(self, context: dg.AssetExecutionContext, *others: Any) -> Iterator[Any]:
        Gate(self.home, "engine").go_through(context.run.run_id)
        with super().opened(context, *others) as engine:
            yield engine


@dg.definitions
def defs() -> dg.Definitions:
    settings = load_settings()
    assert settings.logs == "json"
    print_json()
    prepare_lake(settings)
    built = build_defs(settings, engine=GatedEngine(home=str(settings.home)))

    @dg.op(pool=WAREHOUSE)
    def write(context: dg.OpExecutionContext) -> None:
        Gate(settings.home, "pool").go_through(context.run.run_id)

    @dg.job(executor_def=built.executor)
    def writing() -> None:
        write()

    @dg.sensor(job=writing, default_status=dg.DefaultSensorStatus.RUNNING)
    def asks_for_a_writer() -> dg.RunRequest:
        return dg.RunRequest(run_key="the only one")

    kept = [sensor for sensor in built.sensors or () if sensor.name in {"new_uploads", "failed_runs"}]
    return dg.Definitions(
        assets=built.assets,
        jobs=[*(built.jobs or ()), writing],
        sensors=[*kept, asks_for_a_writer],
        resources=built.resources,
        executor=built.executor,
    )
