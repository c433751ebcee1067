"""The lake as a Dagster resource.

The calls of a lake are described in `lake_interface.py`; which kind a location means is in `lake_location.py`.
What belongs into which of the lake's folders is not decided here: a lake only keeps objects.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from pydantic import Field, PrivateAttr

from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.resources.lake_interface import Lake, LakeEntry, LakeError, LakeKeyError
from alumni_assets.resources.lake_location import open_lake

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["FolderLake", "Lake", "LakeEntry", "LakeError", "LakeKeyError", "LakeResource", "open_lake"]


class LakeResource(ConfigurableResource):
    """The lake that the assets, sensors and commands share."""

    location: str = Field(description="The lake: a folder, which must exist, or `s3://bucket/prefix`.")
    spool: str | None = Field(
        default=None,
        description="The folder for temporary copies of objects in a bucket; the system's own by default.",
    )

    archive_class: str | None = Field(
        default=None, description="S3's storage class for what is archived; a folder has none."
    )

    _lake: Lake | None = PrivateAttr(default=None)

    def lake(self) -> Lake:
        """The lake, the same one at every call. Raises LakeError where the location means none."""
        if self._lake is None:
            self._lake = open_lake(self.location, _s3_client, Path(self.spool) if self.spool else None)
        return self._lake


def _s3_client() -> "S3Client":
    from dagster_aws.s3 import S3Resource  # takes a second to import

    client: S3Client = S3Resource().get_client()
    return client
