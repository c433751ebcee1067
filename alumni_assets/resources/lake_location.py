"""Which kind of lake a location means: a folder, or a bucket.

The calls of a lake are described in `lake_interface.py` and made in `lake_folder.py` and `lake_bucket.py`. The lake
as Dagster knows it is in `lake.py`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.resources.lake_interface import Lake, LakeError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

S3_SCHEME = "s3://"


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


def _not_a_lake(location: str) -> str:
    return f"{location!r} is no lake: set ALUMNI_LAKE to a folder, or to s3://bucket or s3://bucket/prefix."
