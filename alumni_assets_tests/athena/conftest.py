"""Athena's stand-in, Glue's catalog and a bucket, over HTTP, and a pipeline that works with them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from alumni_assets.resources.athena import AthenaResource

from ..lake.conftest import ACCESS_KEY, SECRET_KEY, BucketPlace, s3_client, s3_server, set_aws
from ..pipeline.answers import DATED, csv_bytes
from ..pipeline.conftest import Pipeline, failure_of, own_environment, shared_pipeline
from .athena_server import AthenaServer, serving

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

__all__ = ["own_environment", "s3_client", "s3_server", "shared_pipeline"]

DATABASE = "surveys"
WORKGROUP = "analysts"


@pytest.fixture(scope="session")
def glue(s3_server: str) -> "GlueClient":
    import boto3

    client: GlueClient = boto3.client(
        "glue",
        endpoint_url=s3_server,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    return client


@pytest.fixture(scope="module")
def place(s3_server: str, s3_client: "S3Client", tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketPlace]:
    """A bucket for the tests of a module."""
    with pytest.MonkeyPatch.context() as environment:
        set_aws(environment, s3_server)
        yield BucketPlace(s3_client, tmp_path_factory.mktemp("spool"))


@pytest.fixture(scope="module")
def athena_server(glue: "GlueClient", place: BucketPlace) -> Iterator[AthenaServer]:
    """Athena with an empty database."""
    glue.create_database(DatabaseInput={"Name": DATABASE})
    with serving(glue, place.client) as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_ATHENA", server.url)
        yield server
    glue.delete_database(Name=DATABASE)


@pytest.fixture(scope="module")
def athena(athena_server: AthenaServer) -> AthenaResource:
    return AthenaResource(workgroup=WORKGROUP, database=DATABASE, poll_seconds=0.01)


class PipelineWithViews:
    """The pipeline with its lake in a bucket, and views in Athena."""

    def __init__(self, pipeline: Pipeline, place: BucketPlace, athena: AthenaResource) -> None:
        self.pipeline, self.place, self.athena = pipeline, place, athena
        pipeline.lake = place.lake
        pipeline.environment |= {
            "ALUMNI_LAKE": place.location,
            "ALUMNI_WAREHOUSE": "athena",
            "ALUMNI_ATHENA_WORKGROUP": WORKGROUP,
            "ALUMNI_ATHENA_DATABASE": DATABASE,
        }

    def take_in(self, key: str, rows: list[dict[str, str]]) -> str:
        """Put a survey into the bucket, and take it in; returns the upload's id."""
        return self.take_in_file(key, csv_bytes(rows, header=DATED))

    def take_in_file(self, key: str, content: bytes) -> str:
        self.place.plant(f"raw/{key}", content)
        assert self.pipeline.take_in(key).success
        return self.pipeline.upload_of(key)

    def approve(self, *uploads: str) -> None:
        done = self.pipeline.approve(*uploads)
        assert done.success, failure_of(done)

    def in_the_warehouse(self, query: str) -> list[tuple[Any, ...]]:
        import duckdb

        with duckdb.connect(str(self.pipeline.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def in_athena(self, query: str) -> list[tuple[Any, ...]]:
        return list(self.athena.run(query).rows)

    def check(self) -> tuple[bool, str]:
        """How the comparison of the views with the warehouse ended last."""
        found = self.pipeline.check("athena_views", "views_agree")
        assert found is not None
        return found.passed, found.description or ""


@pytest.fixture(scope="module")
def with_views(shared_pipeline: Pipeline, place: BucketPlace, athena: AthenaResource) -> PipelineWithViews:
    return PipelineWithViews(shared_pipeline, place, athena)
