"""Each role, deployed: what it may do and what it may not, call by call; and that nothing in it is superfluous."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from alumni_assets_tests.deploy.calls import EVERYWHERE, RIGHTS, Calls, allowed
from alumni_assets_tests.deploy.conftest import BUCKET, Cloud

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(autouse=True, scope="module")
def kept(account: Cloud) -> None:
    """An object in each place, to be read."""
    with pytest.MonkeyPatch.context() as environment:
        account.set_environment(environment)
        s3 = account.root.client("s3")
        for place in EVERYWHERE:
            s3.put_object(Bucket=BUCKET, Key=f"{place}kept", Body=b"x")


@pytest.fixture(scope="module")
def known() -> dict[str, Calls]:
    """The calls in each role, kept: a client takes long to make."""
    return {}


@pytest.fixture
def calls_in(
    account: Cloud, in_role: Callable[[str], boto3.Session], known: dict[str, Calls]
) -> Callable[[str], Calls]:
    """All calls, made in a role."""

    def calls(name: str) -> Calls:
        if name not in known:
            known[name] = Calls(name, in_role(name), account.root, account.queue)
        return known[name]

    return calls


@pytest.mark.parametrize("name", RIGHTS)
def test_a_role_may_do_what_it_must_and_nothing_else(calls_in: Callable[[str], Calls], name: str) -> None:
    calls = calls_in(name)
    assert calls.refused(calls.names) == calls.names - allowed(RIGHTS[name])


def statements(account: Cloud, name: str) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Each statement of a role, by the policy that it is in and its place there."""
    iam, role = account.root.client("iam"), f"alumni-{name}"
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document: Any = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        for place in range(len(document["Statement"])):
            yield policy, document, place


@pytest.mark.parametrize("name", RIGHTS)
def test_without_any_one_statement_a_call_is_refused_that_is_needed(
    account: Cloud, calls_in: Callable[[str], Calls], name: str
) -> None:
    iam, calls, needed = account.root.client("iam"), calls_in(name), allowed(RIGHTS[name])
    for policy, document, place in list(statements(account, name)):
        without = copy.deepcopy(document)
        del without["Statement"][place]
        try:
            if without["Statement"]:
                iam.put_role_policy(RoleName=f"alumni-{name}", PolicyName=policy, PolicyDocument=json.dumps(without))
            else:
                iam.delete_role_policy(RoleName=f"alumni-{name}", PolicyName=policy)
            assert calls.is_any_refused(needed), f"{name} does not need {document['Statement'][place]['Sid']}"
        finally:
            iam.put_role_policy(RoleName=f"alumni-{name}", PolicyName=policy, PolicyDocument=json.dumps(document))
    assert calls.refused(needed) == set()
