"""The engine as a Dagster resource: which one is in use, and how a step gets it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from dagster import AssetExecutionContext, ConfigurableResource
from pydantic import Field

from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages.engine import Engine, LocalEngine


class EngineResource(ConfigurableResource):
    """What judges and transforms uploads and makes the tables below them: this process, or Spark."""

    name: Literal["local", "spark"] = "local"
    home: str = Field(description="The folder for the pipeline's own files, on a local disk.")
    spark_master: str = Field(default="local[*]", description="Spark's master, such as local[2].")
    spark_memory: str = Field(default="2GB", description="The memory of Spark's JVM on this machine.")

    @contextmanager
    def opened(
        self, context: AssetExecutionContext, lake: LakeResource, survey: SurveyResource, component: Component
    ) -> Iterator[Engine]:
        """The engine for one step of a component."""
        if self.name == "local":
            yield LocalEngine(lake.lake(component), survey.contract(), survey.memory_limit)
            return
        from alumni_assets.spark.engine import SparkEngine  # these import Arrow and pandera
        from alumni_assets.spark.launching import on_this_machine
        from alumni_assets.spark.session import settings_of_this_machine

        home = Path(self.home)
        engine = SparkEngine(
            lake.lake(component),
            lake.location,
            survey.contract(),
            on_this_machine(context, home),
            step=f"{context.run.run_id}-{context.op_execution_context.op.name}",
            spark=settings_of_this_machine(self.spark_master, self.spark_memory, home),
        )
        try:
            yield engine
        finally:
            engine.close()
