"""The program that runs on Spark: on this machine, or as an AWS Glue job.

It is told what to do through dagster-pipes, and answers through it; rows are read from the lake and written there.
Started by `launching.py` and `glue.py`, by way of the script `__main__.py`.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dagster_pipes import (
    PipesCliArgsParamsLoader,
    PipesContext,
    PipesDefaultContextLoader,
    PipesDefaultMessageWriter,
    PipesEnvVarParamsLoader,
    PipesS3ContextLoader,
    PipesS3MessageWriter,
    open_dagster_pipes,
)

from alumni_assets.contract import Contract
from alumni_assets.spark.request import Outcome, Request, outcome_as_json, request_from_json
from alumni_assets.spark.session import spark_session
from alumni_assets.spark.versions import differences, versions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from alumni_assets.spark.parts import Told


class OtherVersionError(Exception):
    """The job has other versions than the Dagster that started it, so that its results might be others."""


def main() -> None:
    """Do what was asked, and report each outcome as soon as it is there."""
    with _pipes() as pipes:
        _require_alike(pipes.get_extra("versions"))  # first: another version may not know the request
        request = request_from_json(pipes.get_extra("request"))
        contract = Contract(request.rules)
        with spark_session(request.spark) as spark:
            pipes.log.info(f"Spark {spark.version}, {spark.sparkContext.defaultParallelism} tasks at a time")
            for outcome in outcomes(spark, request, contract, pipes.log.info):
                pipes.report_custom_message(outcome_as_json(outcome))


def outcomes(spark: "SparkSession", request: Request, contract: Contract, tell: "Told") -> Iterator[Outcome]:
    """What became of everything that was asked; `tell` is told of the progress."""
    from alumni_assets.spark.tables import derive_tables  # each imports what its work needs
    from alumni_assets.spark.transformation import transform_uploads
    from alumni_assets.spark.validation import judge_uploads

    yield from judge_uploads(spark, request.lake, contract, request.judging, tell)
    yield from transform_uploads(spark, request.lake, contract, request.transforming, tell)
    if request.deriving is not None:
        yield derive_tables(spark, request.lake, request.deriving, contract.rules.time_zone, tell)


def _require_alike(of_dagster: Mapping[str, str]) -> None:
    others = differences(versions(), of_dagster)
    if others:
        raise OtherVersionError(
            f"The job has other versions than the Dagster that started it: {', '.join(others)}. Install the same ones "
            "there; for Glue, `make glue-package` and `make glue-upload` with the code that Dagster runs."
        )


def _pipes() -> PipesContext:
    """Dagster's side, by whichever way it has chosen: files on this machine, or objects in S3 for a service."""
    if not any(argument.startswith("--dagster-pipes") for argument in sys.argv):
        return open_dagster_pipes(
            context_loader=PipesDefaultContextLoader(),
            message_writer=PipesDefaultMessageWriter(),
            params_loader=PipesEnvVarParamsLoader(),
        )
    import boto3

    client = boto3.client("s3")
    return open_dagster_pipes(
        context_loader=PipesS3ContextLoader(client),
        message_writer=PipesS3MessageWriter(client),
        params_loader=PipesCliArgsParamsLoader(),
    )
