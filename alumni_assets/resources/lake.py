"""The lake as a Dagster resource.

The calls of a lake are described in `lake_interface.py`; which kind a location means is in `lake_location.py`.
What belongs into which of the lake's folders is not decided here: a lake only keeps objects.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from pydantic import Field, PrivateAttr

from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.resources.lake_interface import Lake, LakeEntry, LakeError, LakeKeyError
from alumni_assets.resources.lake_location import open_lake
from alumni_assets.resources.roles import Component, session_of

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

    roles: str = Field(default="", description="How the ARNs of the components' AWS roles begin; empty without them.")

    _lakes: dict[Component | None, Lake] = PrivateAttr(default_factory=dict)

    def lake(self, component: Component | None = None) -> Lake:
        """The lake in the role of a component, the same one at every call. Raises LakeError for a wrong location."""
        if component not in self._lakes:
            spool = Path(self.spool) if self.spool else None
            self._lakes[component] = open_lake(self.location, partial(_s3_client, self.roles, component), spool)
        return self._lakes[component]


def _s3_client(roles: str, component: Component | None) -> "S3Client":
    from alumni_assets.resources.s3_calls import client_config  # imports boto3

    return session_of(roles, component).client("s3", config=client_config())
