"""Signs of life: the process of each run says, again and again, that it lives and where.

A process id means something only among processes that count theirs together: on one machine since it was started, or
in one container. So a run's sign names that place beside the process; from anywhere else only its silence can be
noticed. Signs are kept in Dagster's own storage. What is done about a run that is dead is decided in
`orphaned_runs.py`.
"""

import json
import logging
import os
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, Executor, ExecutorDefinition, InitExecutorContext, in_process_executor

from alumni_assets.instance import hold_connections
from alumni_assets.stages.intake import utc_now

_EVERY_SECONDS = 30.0
_START_TIME = 19  # the place of starttime in /proc/PID/stat behind the name, which may have spaces in it: proc(5)
# Long enough for a database that fails over and for clocks that differ; a run that is taken for dead is done again.
SILENT_AFTER = timedelta(minutes=10)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sign:
    """What a run's process said last: where it is, its number there, and when it said so (in UTC, without zone).

    Numbers come again, those of containers soon; `born` tells one process of a number from the next.
    """

    place: str
    pid: int
    at: datetime
    born: str = ""

    @property
    def is_from_here(self) -> bool:
        """Whether the process can be asked after from this one."""
        return self.place == here()


def here() -> str:
    """The place of this process: those of equal places count their processes together."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except FileNotFoundError:  # no Linux, so no containers either
        return socket.gethostname()


def born(pid: int) -> str:
    """When a process of this place began, as the machine counts; empty where that cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return fields.rpartition(")")[2].split()[_START_TIME]


def last_signs(instance: DagsterInstance, run_ids: Collection[str]) -> dict[str, Sign]:
    """The last sign of each of these runs that ever gave one."""
    keys = {_key(run_id): run_id for run_id in run_ids}
    found = instance.daemon_cursor_storage.get_cursor_values(set(keys)) if keys else {}
    return {keys[key]: _sign(json.loads(value)) for key, value in found.items()}


def give_sign(instance: DagsterInstance, run_id: str) -> None:
    """Say that the run's process, which is this one, lives."""
    pid = os.getpid()
    sign = {"place": here(), "pid": pid, "at": utc_now().isoformat(), "born": born(pid)}
    instance.daemon_cursor_storage.set_cursor_values({_key(run_id): json.dumps(sign)})


@contextmanager
def giving_signs(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """Give signs for a run, at once and from then on until this ends."""
    give_sign(instance, run_id)
    over = threading.Event()
    threading.Thread(target=_keep_on, args=(instance, run_id, over), name="signs-of-life", daemon=True).start()
    try:
        yield
    finally:
        over.set()


class _ExecutorWithSigns(Executor):
    def __init__(self, inner: Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        return self._inner.retries

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        hold_connections(plan_context.instance)
        with giving_signs(plan_context.instance, plan_context.dagster_run.run_id):
            yield from self._inner.execute(plan_context, execution_plan)


def _with_signs(context: InitExecutorContext) -> Executor:
    assert in_process_executor.executor_creation_fn is not None
    return _ExecutorWithSigns(in_process_executor.executor_creation_fn(context))


EXECUTOR = ExecutorDefinition(
    name=in_process_executor.name,
    config_schema=in_process_executor.config_schema.as_field(),
    executor_creation_fn=_with_signs,
    description="Executes all steps of a run in its process, which gives signs of life meanwhile.",
)


def _keep_on(instance: DagsterInstance, run_id: str, over: threading.Event) -> None:
    while not over.wait(_EVERY_SECONDS):
        try:
            give_sign(instance, run_id)
        except Exception as error:  # whatever keeps the storage from taking it may be over by the next time
            _log.warning(f"The run {run_id} could give no sign of life: {type(error).__name__}")


def _sign(fields: dict[str, Any]) -> Sign:
    return Sign(fields["place"], fields["pid"], datetime.fromisoformat(fields["at"]), fields.get("born", ""))


def _key(run_id: str) -> str:
    return f"alumni/sign_of_life/{run_id}"
