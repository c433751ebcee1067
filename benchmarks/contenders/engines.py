"""One upload judged, transformed and made into tables, by the engine of one machine or by Spark on this machine.

Spark's is what its job does, without the Dagster run that would start it: the session, then the three steps. The
tables are taken into a warehouse in either case.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from alumni_assets.contract import Contract
from alumni_assets.queries import ANSWERS, SUPPLEMENTS, VERDICTS
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.stages import intake
from alumni_assets.stages.engine import Counting, Engine, LocalEngine, ToTransform
from alumni_assets.survey.detection import FileFormat
from alumni_assets.warehouse.answers import refresh_answer
from alumni_assets.warehouse.history import refresh_history
from alumni_assets.warehouse.merging import merge_uploads
from benchmarks.contenders.ours import KEY, MEMORY_LIMIT, Upload


@contextmanager
def _engine(name: str, upload: Upload, folder: Path) -> Iterator[Engine]:
    """`local`, or Spark's master such as `local[2]`."""
    if name == "local":
        yield LocalEngine(upload.lake, upload.contract, MEMORY_LIMIT)
        return
    from alumni_assets.spark.engine import SparkEngine
    from alumni_assets.spark.job import outcomes
    from alumni_assets.spark.request import Outcome, Request
    from alumni_assets.spark.session import environment_of_this_machine, settings_of_this_machine, spark_session

    os.environ |= environment_of_this_machine()
    with ExitStack() as stack:
        with upload.step("session"):
            spark = stack.enter_context(spark_session(settings_of_this_machine(name, "2GB", folder)))

        def run_job(request: Request) -> Sequence[Outcome]:
            return list(outcomes(spark, request, Contract(request.rules), lambda _: None))

        yield SparkEngine(upload.lake, str(folder / "lake"), upload.contract, run_job, "bench", {})


def main(name: str, source: str, run: str) -> None:
    """Take the file `source` through an engine, in the empty folder `run`."""
    folder = Path(run)
    upload = Upload(Path(source), folder)
    seen = intake.pin(upload.lake, upload.register, KEY, intake.utc_now()).seen
    file_format = intake.inspect(upload.lake, seen, upload.contract.rules.limits)
    assert isinstance(file_format, FileFormat)
    with _engine(name, upload, folder) as engine:
        with upload.step("validate"):
            judged = engine.validate(seen, file_format, lambda *_: None)
        with upload.step("transform"):
            made = engine.transform(ToTransform(seen, None), judged.content, lambda *_: None)
        with upload.step("tables"):
            _make_tables(upload, engine, {seen.upload: made.content}, folder)
    sys.stdout.write(json.dumps({"rows_out": made.rows, "seconds": upload.seconds}) + "\n")


def _make_tables(upload: Upload, engine: Engine, versions: dict[str, str], folder: Path) -> None:
    derivation = engine.derive(lambda: Counting(versions, ()))
    warehouse = WarehouseResource(home=str(folder / "home"), memory_limit=MEMORY_LIMIT)
    with warehouse.writing() as connection, derivation.on(connection) as rows_of:
        merge_uploads(connection, versions, upload.transformed_copy, (), rows_of)
        refresh_history(connection, upload.contract.rules.time_zone, rows_of)
        for name in (*ANSWERS, *SUPPLEMENTS):
            if name != VERDICTS:
                refresh_answer(connection, name, rows_of)


if __name__ == "__main__":
    main(*sys.argv[1:])
