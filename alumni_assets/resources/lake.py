"""The lake as a Dagster resource: which kind of lake a location means.

The calls of a lake are described in `lake_interface.py` and made in `lake_folder.py` and `lake_bucket.py`.
What belongs into which of the lake's folders is not decided here: a lake only keeps objects.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from pydantic import Field, PrivateAttr

from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.resources.lake_interface import Lake, LakeEntry, LakeError, LakeKeyError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["FolderLake", "Lake", "LakeEntry", "LakeError", "LakeKeyError", "LakeResource", "open_lake"]

S3_SCHEME = "s3://"


class LakeResource(ConfigurableResource):
    """The lake that the assets, sensors and commands share."""

    location: str = Field(description="The lake: a folder, which must exist, or `s3://bucket/prefix`.")
    spool: str | None = Field(
        default=None,
        description="The folder for temporary copies of objects in a bucket; the system's own by default.",
    )

    _lake: Lake | None = PrivateAttr(default=None)

    def lake(self) -> Lake:
        """The lake, the same one at every call. Raises LakeError where the location means none."""
        if self._lake is None:
            self._lake = open_lake(self.location, _s3_client, Path(self.spool) if self.spool else None)
        return self._lake


def open_lake(location: str, s3_client_factory: Callable[[], "S3Client"], spool: Path | None = None) -> Lake:
    """The lake at a folder's path or at `s3://bucket/prefix`. Touches neither disk nor network.

    `s3_client_factory` is called for a bucket only; `spool` is where a bucket's temporary copies go.
    """
    if location.startswith(S3_SCHEME):
        from alumni_assets.resources.lake_bucket import BucketLake, client_from  # imports boto3

        bucket, _, prefix = location.removeprefix(S3_SCHEME).partition("/")
        if not bucket:
            raise LakeError(_not_a_lake(location))
        return BucketLake(bucket, prefix, client_from(s3_client_factory), spool)
    if not location or "://" in location:
        raise LakeError(_not_a_lake(location))
    return FolderLake(Path(location).expanduser())


def _s3_client() -> "S3Client":
    from dagster_aws.s3 import S3Resource  # takes a second to import

    client: S3Client = S3Resource().get_client()
    return client


def _not_a_lake(location: str) -> str:
    return f"{location!r} is no lake: set ALUMNI_LAKE to a folder, or to s3://bucket or s3://bucket/prefix."
