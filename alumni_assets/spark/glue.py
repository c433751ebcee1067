"""Starts Spark jobs on AWS Glue from a Dagster step, by dagster-pipes, and waits for what became of them.

`PipesGlueClient` starts a run of the job and looks after it every few seconds; what it leaves to its caller is here: to
stop a run that nobody waits for any more, and to say why one broke, where to look, and what to do. Orders and answers
are objects in the lake's bucket, among those of the step, which the engine deletes with all else the step left there.

Of the job's logs only what its driver wrote is brought into the Dagster run: Spark's own may quote cells.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from dagster import AssetExecutionContext
from dagster._core.errors import DagsterPipesExecutionError
from dagster_aws.pipes import PipesGlueClient, PipesS3ContextInjector, PipesS3MessageReader
from dagster_aws.utils import construct_boto_client_retry_config

from alumni_assets.spark.configuration import GlueSettings
from alumni_assets.spark.engine import RunJob
from alumni_assets.spark.launching import without_preview_warnings
from alumni_assets.spark.request import Outcome, Request, order, outcome_from_json
from alumni_assets.stages.engine import EngineError

if TYPE_CHECKING:
    import boto3

_ANSWERS_SECONDS = 1.0  # oftener than a job writes, so that its end finds few answers unread
_ATTEMPTS = 10  # a job of an hour is not given up for a minute without network
_ENDED = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED")
_LOG_LINES = 40
_RIGHTS = "Give the role of this process, or of the component, the rights for Glue that docs/aws.md lists."
_ADVICE = {
    "EntityNotFoundException": "Is ALUMNI_GLUE_JOB the job's name, in this account and region (AWS_DEFAULT_REGION)?",
    "ConcurrentRunsExceededException": (
        "The job runs as often as it may at a time: wait for the others, or raise MaxConcurrentRuns in its definition."
    ),
    "ResourceNumberLimitExceededException": (
        "The account's quota of workers is used up: wait for other jobs, lower ALUMNI_GLUE_WORKERS, or have it raised."
    ),
    "InvalidInputException": "Check the job's definition, ALUMNI_GLUE_WORKER_TYPE and ALUMNI_GLUE_WORKERS.",
    "AccessDeniedException": _RIGHTS,
    "AccessDenied": _RIGHTS,
}
_SETTINGS = "Check the network and the AWS settings (AWS_PROFILE, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL if it is set)."
_STATES = {
    "TIMEOUT": "It took longer than it may (ALUMNI_GLUE_MINUTES); more workers (ALUMNI_GLUE_WORKERS) make it faster.",
    "STOPPED": "Somebody stopped it.",
}


def on_glue(context: AssetExecutionContext, settings: GlueSettings, session: "boto3.Session", place: str) -> RunJob:
    """Runs jobs as runs of a Glue job, one at a time; `session` is that of the component whose step it is.

    `place` is how the URLs begin of the objects that are written for the step, such as `s3://bucket/spark/steps/run-`.
    """
    bucket, _, stem = place.removeprefix("s3://").partition("/")

    def run_job(request: Request) -> Sequence[Outcome]:
        run = _GlueRun(context, settings, session)
        s3 = session.client("s3", config=construct_boto_client_retry_config(_ATTEMPTS))
        client = PipesGlueClient(
            context_injector=PipesS3ContextInjector(bucket=bucket, client=s3, key_prefix=f"{stem}order-"),
            message_reader=_AnswersReader(bucket=bucket, client=s3, interval=_ANSWERS_SECONDS, stem=f"{stem}answers-"),
            client=run.glue,
            forward_termination=False,  # which overlooks what comes before it waits, and breaks where Glue refuses
        )
        with run.watched(), without_preview_warnings():
            completed = client.run(context=context, start_job_run_params=_parameters(settings), extras=order(request))
        return [outcome_from_json(message) for message in completed.get_custom_messages()]

    return run_job


def _parameters(settings: GlueSettings) -> Any:
    return {
        "JobName": settings.job,
        "WorkerType": settings.worker_type,
        "NumberOfWorkers": settings.workers,
        "Timeout": settings.minutes,
        "Arguments": {
            "--enable-auto-scaling": str(settings.autoscaling).lower(),
            "--custom-logGroup-prefix": settings.logs,
        },
    }


class _AnswersReader(PipesS3MessageReader):
    """Reads what a job answers from objects whose names begin with `stem`, where Pipes would choose any names."""

    def __init__(self, *, stem: str, **reader: Any) -> None:
        super().__init__(**reader)
        self._stem = stem

    @contextmanager
    def get_params(self) -> Iterator[dict[str, Any]]:
        with super().get_params() as parameters:
            yield {**parameters, "key_prefix": f"{self._stem}{parameters['key_prefix']}"}


class _GlueRun:
    """One run of the job; knows its id as soon as Glue has given it one."""

    def __init__(self, context: AssetExecutionContext, settings: GlueSettings, session: "boto3.Session") -> None:
        self._log = context.log
        self._settings = settings
        self._session = session
        self._id = ""
        self.glue: Any = session.client("glue", config=construct_boto_client_retry_config(_ATTEMPTS))
        self.glue.meta.events.register("after-call.glue.StartJobRun", self._remember)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Stop the run where it is not waited for to its end. Raises EngineError, with the way out, where it broke.

        Causes are cut off: their texts may quote an endpoint together with its password.
        """
        try:
            yield
        except (ClientError, BotoCoreError, DagsterPipesExecutionError, RuntimeError) as error:
            raise EngineError(self._reason(error)) from None
        except BaseException:
            self._stop()
            raise

    def _remember(self, parsed: Mapping[str, Any], **_: object) -> None:
        self._id = parsed.get("JobRunId", "")

    def _reason(self, error: Exception) -> str:
        job = f"The Glue job {self._settings.job!r}"
        if not self._id:
            return f"{job} could not be started: {_answer(error)}"
        found = self._look()
        state = found.get("JobRunState")
        if state not in _ENDED:
            self._stop()
            return f"{job} could not be looked after, and was stopped: {_answer(error)} {self._where()}"
        if state == "SUCCEEDED":
            return f"{job} ended, but its answers could not be read: {_answer(error)} {self._where()}"
        self._show_log()
        told = f": {found['ErrorMessage'].strip().rstrip('.')}." if found.get("ErrorMessage") else "."
        return " ".join(filter(None, (f"{job} ended as {state}{told}", _STATES.get(state), self._where())))

    def _look(self) -> Mapping[str, Any]:
        """What Glue says of the run; nothing where it does not answer."""
        try:
            return self.glue.get_job_run(JobName=self._settings.job, RunId=self._id)["JobRun"]
        except (ClientError, BotoCoreError):
            return {}

    def _stop(self) -> None:
        if not self._id:
            return
        try:
            answer = self.glue.batch_stop_job_run(JobName=self._settings.job, JobRunIds=[self._id])
            refusals = [refusal["ErrorDetail"]["ErrorCode"] for refusal in answer.get("Errors", ())]
        except (ClientError, BotoCoreError) as error:
            refusals = [_answer(error)]
        if refusals:
            self._log.error(
                f"The run {self._id} of the Glue job could not be stopped: {refusals[0]} It ends by itself after "
                f"{self._settings.minutes} minutes. {self._where()}"
            )
        else:
            self._log.warning(f"The run {self._id} of the Glue job was stopped.")

    def _where(self) -> str:
        group = self._settings.logs
        region = self.glue.meta.region_name
        return (
            f"Its log is in CloudWatch, group {group}/output (Spark's own: {group}/error), stream {self._id}; the run: "
            f"https://{region}.console.aws.amazon.com/gluestudio/home?region={region}#/job/"
            f"{quote(self._settings.job)}/run/{self._id}"
        )

    def _show_log(self) -> None:
        """Bring the last lines that the driver wrote into the Dagster run."""
        group = f"{self._settings.logs}/output"
        try:
            lines = self._last_lines(group)
        except (ClientError, BotoCoreError) as error:
            self._log.warning(f"The job's log in {group} could not be read: {_answer(error)}")
            return
        if lines:
            self._log.error(f"The last lines that the Glue job's driver wrote ({group}):\n" + "\n".join(lines))

    def _last_lines(self, group: str) -> list[str]:
        logs = self._session.client("logs")
        found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=self._id)["logStreams"]
        streams = [stream["logStreamName"] for stream in found]
        of_driver = [name for name in streams if name in (self._id, f"{self._id}-driver")]
        if not of_driver:
            return []
        events = logs.get_log_events(
            logGroupName=group, logStreamName=of_driver[0], limit=_LOG_LINES, startFromHead=False
        )["events"]
        return [line for event in events for line in event["message"].splitlines()][-_LOG_LINES:]


def _answer(error: Exception) -> str:
    """What AWS answered, and what to do."""
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        return f"AWS answered {code} to {error.operation_name}. {_ADVICE.get(code, _SETTINGS)}"
    return f"{type(error).__name__}. {_SETTINGS}"
