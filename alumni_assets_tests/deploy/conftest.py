"""An AWS account on this machine, over HTTPS, that holds every call to its IAM policies; and the stacks in it.

The account is MiniStack's, in an environment of its own (`make cloud`). What it does otherwise than AWS is said in
docs/aws.md.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import boto3
import pytest
import trustme

from alumni_assets.resources.roles import Component, session_of
from alumni_assets_tests.deploy.templates import text_of
from alumni_assets_tests.ports import free_port

PROJECT = Path(__file__).parents[2]
PYTHON = PROJECT / ".venv-cloud" / "bin" / "python"
ACCOUNT, REGION = "000000000000", "ap-southeast-1"
BUCKET = f"alumni-lake-{ACCOUNT}"
ROLES = f"arn:aws:iam::{ACCOUNT}:role/alumni-"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alumni-notices"
# In the order in which they are deployed, each with the parameters that it has no default for.
_NETWORK = {"VpcId": "vpc-00000001", "Subnets": "subnet-00000001,subnet-00000002"}  # every account there has this one
_DOOR = {
    **_NETWORK,
    "DoorSubnets": _NETWORK["Subnets"],
    "Certificate": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/tests",
    "ImageTag": "1",
}
STACKS: dict[str, tuple[str, dict[str, str]]] = {
    "queue": ("queue", {}),
    "storage": ("storage", {}),
    "roles": ("roles", {"Retention": "with"}),
    "catalog": ("catalog", {}),
    "glue": ("glue", {}),
    "image": ("image", {}),
    "database": ("database", _NETWORK),
    "services": ("services", {**_NETWORK, "ImageTag": "1"}),
    "viewers": ("door", {**_DOOR, "Door": "viewers", "Host": "look.university.example"}),
    "operators": ("door", {**_DOOR, "Door": "operators", "Host": "operate.university.example"}),
    "alarms": ("alarms", {"Engineer": "engineer@university.example"}),
}
# Roles that AWS takes on, or people. Here a user does, so that their rights can be tried.
TAKEN_ON_BY_OTHERS = ("services", "daemon", "webserver", "execution", "glue", "powerbi")
_STARTS_WITHIN = 60.0


class Cloud:
    """The account; `root` may do everything in it."""

    def __init__(self, endpoint: str, authority: Path) -> None:
        self.endpoint = endpoint
        self.authority = authority
        self.services: dict[str, str] = {}
        self.root = boto3.Session("test", "test", region_name=REGION)
        self.queue = f"{endpoint}/{ACCOUNT}/alumni-uploads"
        self.dead_letters = f"{self.queue}-dead"

    def deploy(self, name: str, template: str, parameters: dict[str, str]) -> None:
        """Create the stack `name`, and wait until it is there."""
        stacks = self.root.client("cloudformation")
        stacks.create_stack(
            StackName=f"alumni-{name}",
            TemplateBody=template,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        deadline = time.monotonic() + _STARTS_WITHIN
        while (status := self._status(stacks, name)).endswith("IN_PROGRESS") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert status == "CREATE_COMPLETE", stacks.describe_stack_events(StackName=f"alumni-{name}")["StackEvents"]

    def set_environment(self, environment: pytest.MonkeyPatch) -> None:
        """Let nothing count but this account, and what was become in it."""
        for name in [name for name in os.environ if name.startswith(("AWS_", "ALUMNI_", "DAGSTER_"))]:
            environment.delenv(name)
        for name, value in {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.authority),
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **self.services,
        }.items():
            environment.setenv(name, value)

    def become_services(self) -> None:
        """Take on the role in which Dagster's processes run.

        On AWS they get it from the service that runs their containers, which the role trusts. Here it trusts a user
        instead, and so do others that AWS's services take on; what the roles may do stays as it was deployed.
        """
        iam, user = self.root.client("iam"), f"arn:aws:iam::{ACCOUNT}:user/others"
        iam.create_user(UserName="others")
        key = iam.create_access_key(UserName="others")["AccessKey"]
        roles = [f"{ROLES}{name}" for name in TAKEN_ON_BY_OTHERS]
        iam.put_user_policy(
            UserName="others",
            PolicyName="becomes-them",
            PolicyDocument=_policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": roles}),
        )
        for name in TAKEN_ON_BY_OTHERS:
            iam.update_assume_role_policy(
                RoleName=f"alumni-{name}",
                PolicyDocument=_policy({"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sts:AssumeRole"}),
            )
        self._others = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
        self.services = self._environment("services")

    def session_in(self, name: str) -> boto3.Session:
        """A session in a role that others take on."""
        found = self._environment(name)
        return boto3.Session(
            found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], found["AWS_SESSION_TOKEN"], region_name=REGION
        )

    def _environment(self, name: str) -> dict[str, str]:
        taken = self._others.client("sts").assume_role(RoleArn=f"{ROLES}{name}", RoleSessionName="tests")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"],
            "AWS_SESSION_TOKEN": taken["SessionToken"],
        }

    def _status(self, stacks: Any, name: str) -> str:
        return stacks.describe_stacks(StackName=f"alumni-{name}")["Stacks"][0]["StackStatus"]


def _policy(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, lacking: Callable[[str], NoReturn]) -> Iterator[tuple[str, Path]]:
    """The account's address, and the file of the authority that its certificate is from."""
    if not PYTHON.exists():
        lacking("There is no AWS account on this machine: `make cloud` installs one")
    folder, port = tmp_path_factory.mktemp("cloud"), free_port()
    authority, bundle = trustme.CA(), folder / "authority.pem"
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(bundle))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "AUTH": "true",
        "USE_SSL": "1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "MINISTACK_SSL_CERT": str(folder / "server.pem"),
        "MINISTACK_SSL_KEY": str(folder / "server.pem"),
    }
    command = [str(PYTHON), "-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{port}"]
    command += ["--certfile", str(folder / "server.pem"), "--keyfile", str(folder / "server.pem")]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield f"https://127.0.0.1:{port}", bundle
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="session")
def account(server: tuple[str, Path]) -> Cloud:
    """The account with all stacks in it."""
    endpoint, bundle = server
    cloud = Cloud(endpoint, bundle)
    with pytest.MonkeyPatch.context() as environment:
        cloud.set_environment(environment)
        _wait_for(cloud)
        for name, (template, parameters) in STACKS.items():
            cloud.deploy(name, _without_what_is_unknown_here(text_of(template)), parameters)
        cloud.become_services()
    return cloud


@pytest.fixture(autouse=True)
def in_the_account(account: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called in a test goes to the account, in the role of Dagster's processes."""
    account.set_environment(monkeypatch)


def _wait_for(cloud: Cloud) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            cloud.root.client("s3").list_buckets()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


@pytest.fixture
def in_role(account: Cloud) -> Callable[[str], boto3.Session]:
    """The session in a role: of a component, taken on by the services' role, or of another."""
    return lambda name: account.session_in(name) if name in TAKEN_ON_BY_OTHERS else session_of(ROLES, Component(name))


def _without_what_is_unknown_here(template: str) -> str:
    """The account on this machine makes no alarm on a sum of metrics; that one is read in the template."""
    return re.sub(r"\n  SensorIdle:\n(    .*\n)+", "\n", template)
