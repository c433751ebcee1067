"""The components of the pipeline, and the AWS role in which each does its work.

Where roles are set, every call to AWS is made in the role of the component that makes it, with short-lived
credentials; without, with those that the process has. What each role may do is in `deploy/aws/roles.yaml`.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import boto3


class Component(StrEnum):
    """Who calls AWS; the value is the end of its role's name."""

    UPLOADER = "uploader"
    INGEST = "ingest"
    TRANSFORM = "transform"
    ARCHIVE = "archive"
    WAREHOUSE = "warehouse"
    NOTIFIER = "notifier"
    RETENTION = "retention"


def session_of(roles: str, component: Component | None) -> "boto3.Session":
    """The session in which a component calls AWS.

    `roles` is how the ARNs of all roles begin, such as `arn:aws:iam::123456789012:role/alumni-`; empty where the
    process's own credentials are to be used, as they are without a component. A role's credentials are fetched with
    the first call, and anew before they expire.
    """
    import boto3  # takes a second to import, like the next

    if not roles or component is None:
        return boto3.Session()
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.session import get_session

    own, in_role = get_session(), get_session()
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=own.create_client,
        source_credentials=own.get_credentials(),
        role_arn=f"{roles}{component}",
        extra_args={"RoleSessionName": f"alumni-{component}"},
    )
    # botocore has no other way in
    in_role._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]
        refresh_using=fetcher.fetch_credentials, method="assume-role"
    )
    return boto3.Session(botocore_session=in_role)
