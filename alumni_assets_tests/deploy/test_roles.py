"""Each role, deployed: what it may do and what it may not, call by call; and that nothing in it is superfluous."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from alumni_assets_tests.deploy.calls import EVERYWHERE, RIGHTS, expected_refusals, refused_calls
from alumni_assets_tests.deploy.conftest import BUCKET, Cloud

pytestmark = [pytest.mark.server, pytest.mark.slow]
COMPONENTS = [name for name in RIGHTS if name != "services"]


@pytest.fixture(autouse=True)
def kept(account: Cloud) -> None:
    """An object in each place, to be read."""
    s3 = account.root.client("s3")
    for place in (*EVERYWHERE, "raw/sheet/"):
        s3.put_object(Bucket=BUCKET, Key=f"{place}kept", Body=b"x")


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_may_do_what_it_must_and_nothing_else(
    account: Cloud, in_role: Callable[[str], boto3.Session], name: str
) -> None:
    assert refused_calls(in_role(name), account.queue) == expected_refusals(RIGHTS[name])


def test_the_services_may_only_take_on_the_components_roles(account: Cloud) -> None:
    assert refused_calls(boto3.Session(), account.queue) == expected_refusals(RIGHTS["services"])


def statements(account: Cloud, name: str) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Each statement of a role, by the policy that it is in and its place there."""
    iam, role = account.root.client("iam"), f"alumni-{name}"
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document: Any = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        for place in range(len(document["Statement"])):
            yield policy, document, place


@pytest.mark.parametrize("name", RIGHTS)
def test_without_any_one_statement_a_call_is_refused_that_is_needed(
    account: Cloud, in_role: Callable[[str], boto3.Session], name: str
) -> None:
    """But for the statement about Amazon SES, which the account on this machine does not hold to identities."""
    iam = account.root.client("iam")
    session = boto3.Session() if name == "services" else in_role(name)
    for policy, document, place in list(statements(account, name)):
        if document["Statement"][place]["Sid"] == "SendReports":
            continue
        without = copy.deepcopy(document)
        del without["Statement"][place]
        try:
            if without["Statement"]:
                iam.put_role_policy(RoleName=f"alumni-{name}", PolicyName=policy, PolicyDocument=json.dumps(without))
            else:
                iam.delete_role_policy(RoleName=f"alumni-{name}", PolicyName=policy)
            refused = refused_calls(session, account.queue) - expected_refusals(RIGHTS[name])
            assert refused, f"{name} does not need {document['Statement'][place]['Sid']}"
        finally:
            iam.put_role_policy(RoleName=f"alumni-{name}", PolicyName=policy, PolicyDocument=json.dumps(document))
    assert refused_calls(session, account.queue) == expected_refusals(RIGHTS[name])
