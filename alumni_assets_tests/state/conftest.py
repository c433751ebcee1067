"""The servers that a deployment keeps its state on, started once; and a deployment, which keeps busy while it lasts."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NoReturn

import pytest
from dagster import DagsterInstance

from alumni_assets_tests.lake.conftest import ACCESS_KEY, SECRET_KEY, s3_client, s3_server

from .deployment import Deployment
from .postgres import Postgres, binaries

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["s3_client", "s3_server"]
BUCKET = "logs"


@pytest.fixture(scope="session")
def postgres(lacking: Callable[[str], NoReturn]) -> Iterator[Postgres]:
    """The database server."""
    programs = binaries() or lacking("There is no PostgreSQL on this machine: Debian's package is postgresql")
    server = Postgres(programs)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def environment(postgres: Postgres, s3_server: str, s3_client: "S3Client") -> dict[str, str]:
    """Where the database is, and the bucket for what steps print."""
    s3_client.create_bucket(Bucket=BUCKET)
    return postgres.environment | {
        "DAGSTER_COMPUTE_LOGS_BUCKET": BUCKET,
        "DAGSTER_COMPUTE_LOGS_PREFIX": "dagster",
        "DAGSTER_AUTOMATION_TICK_SETTLE_SECONDS": "2",
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Deployment]:
    """Dagster, deployed; to be started."""
    deployed = Deployment(tmp_path_factory.mktemp("deployment"), environment)
    yield deployed
    deployed.stop()


@pytest.fixture(scope="module")
def instance(deployment: Deployment) -> Iterator[DagsterInstance]:
    """The deployment's instance, opened beside its processes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in deployment.environment.items():
            patch.setenv(name, value)
        with DagsterInstance.from_config(deployment.environment["DAGSTER_HOME"]) as opened:
            yield opened
