"""The Spark session that a job works in: one of this machine's own, or the one that a service gives."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The portable SQL means the same everywhere only with these; and what a job writes is a log, no terminal.
_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    "spark.ui.showConsoleProgress": "false",
}


def settings_of_this_machine(master: str, memory: str, home: Path) -> dict[str, str]:
    """A Spark that listens on this machine alone, with `memory` (such as 2GB) for its JVM.

    What it lays aside goes below `home`, where the pipeline's other files are.
    """
    return {
        "spark.master": master,
        "spark.driver.memory": memory.removesuffix("B").lower(),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.local.dir": str(home / "spark"),
        "spark.sql.warehouse.dir": str(home / "spark" / "warehouse"),
    }


def environment_of_this_machine() -> dict[str, str]:
    """What Spark here takes from the environment: the Python of its tasks, and the address that it listens on."""
    return {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}


@contextmanager
def spark_session(settings: Mapping[str, str]) -> Iterator["SparkSession"]:
    """A session with these settings, stopped at the end; on a service that has one running already, that one."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("alumni_assets")
    for name, value in {**settings, **_ALWAYS}.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()
