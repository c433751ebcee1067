"""Starts Spark jobs on this machine from a Dagster step, by dagster-pipes, and waits for what became of them."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dagster import AssetExecutionContext, PipesSubprocessClient
from dagster._core.errors import DagsterPipesExecutionError
from dagster._utils.warnings import PreviewWarning

from alumni_assets.resources.file_lock import FileLockTimeoutError, exclusive_file_lock
from alumni_assets.spark.engine import RunJob
from alumni_assets.spark.request import Outcome, Request, order, outcome_from_json
from alumni_assets.spark.session import environment_of_this_machine
from alumni_assets.stages.engine import EngineError

_WAITING_SECONDS = 6 * 3600.0


def on_this_machine(context: AssetExecutionContext, home: Path) -> RunJob:
    """Runs jobs in a process of their own, one after the other: each has the memory that Spark was given."""

    def run_job(request: Request) -> Sequence[Outcome]:
        home.mkdir(parents=True, exist_ok=True)
        try:
            with exclusive_file_lock(home / "spark.lock", _WAITING_SECONDS), without_preview_warnings():
                completed = PipesSubprocessClient().run(
                    context=context,
                    command=[sys.executable, "-m", "alumni_assets.spark"],
                    extras=order(request),
                    env=environment_of_this_machine(),
                )
        except FileLockTimeoutError as error:
            raise EngineError(f"Spark's turn did not come: {error}. Stop that process, or wait for it.") from error
        except DagsterPipesExecutionError as error:
            raise EngineError(
                "The Spark job broke; its output is among the run's compute logs (stderr). Is there enough memory "
                "(ALUMNI_SPARK_MEMORY) and room on the disk?"
            ) from error
        return [outcome_from_json(message) for message in completed.get_custom_messages()]

    return run_job


@contextmanager
def without_preview_warnings() -> Iterator[None]:
    """Pipes warns of parts of Dagster's that are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        yield
