"""The engine as a Dagster resource: which one is in use, and how a step gets it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dagster import AssetExecutionContext, Config, ConfigurableResource
from pydantic import Field

from alumni_assets import layout
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component, session_of
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.spark.configuration import GlueSettings
from alumni_assets.spark.session import settings_of_this_machine
from alumni_assets.stages.engine import Engine, LocalEngine

if TYPE_CHECKING:
    from alumni_assets.spark.engine import RunJob


class GlueConfig(Config):
    """The Glue job and its workers; see `spark.configuration.GlueSettings`."""

    job: str = Field(description="The name of the Glue job.")
    worker_type: str = Field(description="The type of its workers, such as G.1X.")
    workers: int = Field(description="How many workers there are, or with autoscaling at most.")
    autoscaling: bool = Field(description="Whether Glue decides how many workers are worth having.")
    minutes: int = Field(description="After how many minutes a run of the job is ended.")
    logs: str = Field(description="How the names of its log groups begin.")


class EngineResource(ConfigurableResource):
    """What judges and transforms uploads and makes the tables below them: this process, Spark here, or AWS Glue."""

    name: Literal["local", "spark", "glue"] = "local"
    home: str = Field(description="The folder for the pipeline's own files, on a local disk.")
    spark_master: str = Field(default="local[*]", description="Spark's master, such as local[2].")
    spark_memory: str = Field(default="2GB", description="The memory of Spark's JVM on this machine.")
    glue: GlueConfig | None = Field(default=None, description="The job on AWS Glue, where that is the engine.")

    @contextmanager
    def opened(
        self, context: AssetExecutionContext, lake: LakeResource, survey: SurveyResource, component: Component
    ) -> Iterator[Engine]:
        """The engine for one step of a component."""
        if self.name == "local":
            yield LocalEngine(lake.lake(component), survey.contract(), survey.memory_limit)
            return
        from alumni_assets.spark.engine import SparkEngine  # imports Arrow and pandera

        step = f"{context.run.run_id}-{context.op_execution_context.op.name}"
        engine = SparkEngine(
            lake.lake(component),
            lake.location,
            survey.contract(),
            self._job_runner(context, lake, component, step),
            step=step,
            spark=self._spark_of_this_machine() if self.name == "spark" else {},
        )
        try:
            yield engine
        finally:
            engine.close()

    def _job_runner(
        self, context: AssetExecutionContext, lake: LakeResource, component: Component, step: str
    ) -> "RunJob":
        if self.name == "spark":
            from alumni_assets.spark.launching import on_this_machine

            return on_this_machine(context, Path(self.home))
        from alumni_assets.spark.glue import on_glue  # imports boto3

        assert self.glue is not None, "this engine has a job"
        settings = GlueSettings(**self.glue.model_dump())
        place = lake.lake(component).url(layout.spark_stem(step))
        return on_glue(context, settings, session_of(lake.roles, component), place)

    def _spark_of_this_machine(self) -> dict[str, str]:
        return settings_of_this_machine(self.spark_master, self.spark_memory, Path(self.home))
