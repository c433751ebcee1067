"""What may be said of a failed run: our own errors are sentences that name no person, of others only the kind is safe.

Who is told, and when, is decided in `notifications/` and `sensors.py`.
"""

from dagster import DagsterEventType, DagsterInstance, DagsterRun
from dagster._core.execution.plan.objects import StepFailureData

from alumni_assets.machine_faults import SENTENCE, tells_of_the_machine

_NAMED_ASSETS = 3


def doing(run: DagsterRun) -> str:
    """What a run does: its job, or the assets that were chosen."""
    if not run.job_name.startswith("__"):
        return run.job_name
    assets = sorted(key.to_user_string() for key in run.asset_selection or ()) or ["assets"]
    return f"materializing {', '.join(assets[:_NAMED_ASSETS])}{', …' if len(assets) > _NAMED_ASSETS else ''}"


def why_failed(instance: DagsterInstance, run_id: str) -> tuple[str, str]:
    """The step of a failed run that failed first, and its error in a sentence."""
    failures = instance.get_records_for_run(run_id, of_type=DagsterEventType.STEP_FAILURE, limit=1).records
    event = failures[0].event_log_entry.dagster_event if failures else None
    if event is None or not isinstance(event.event_specific_data, StepFailureData):
        return "", "It ended without an error of its own: its process was stopped, died, or never started."
    return event.step_key or "", failure_sentence(event.event_specific_data)


def failure_sentence(data: StepFailureData) -> str:
    """Why a step failed."""
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    error = (data.error.cause or data.error) if data.error else None
    if error is None:
        return "It broke."
    name, _, sentence = error.message.partition(": ")
    if name.startswith("alumni_assets."):
        return sentence.strip()
    return SENTENCE if tells_of_the_machine(error.message) else f"It broke with {error.cls_name}."
