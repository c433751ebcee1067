"""What image.yaml, database.yaml, services.yaml and door.yaml made: containers, who reaches whom, and who may come in.

The account on this machine runs no containers, and leaves out which secrets they are given, how a load balancer asks
who somebody is, under which name the code server is found and which logs a database hands out; those are read in the
templates.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from alumni_assets.settings import load_settings
from alumni_assets_tests.deploy.conftest import ACCOUNT, BUCKET, REGION, ROLES, TOPIC, Cloud
from alumni_assets_tests.deploy.templates import resources

pytestmark = [pytest.mark.server, pytest.mark.slow]
DOORS = ("viewers", "operators")
TASKS = ("code", "daemon", *DOORS)
ANYWHERE = "0.0.0.0/0"


def task(account: Cloud, name: str) -> dict[str, Any]:
    found: dict[str, Any] = account.root.client("ecs").describe_task_definition(taskDefinition=f"alumni-{name}")
    return found["taskDefinition"]


def container(account: Cloud, name: str) -> dict[str, Any]:
    """The only container of a task."""
    (found,) = task(account, name)["containerDefinitions"]
    return found


def environment(account: Cloud, name: str) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container(account, name)["environment"]}


@pytest.mark.parametrize("name", TASKS)
def test_a_container_keeps_nothing_on_its_disk_and_is_given_no_password_in_the_open(account: Cloud, name: str) -> None:
    found = container(account, name)
    assert found["readonlyRootFilesystem"] is True
    assert [mount["containerPath"] for mount in found["mountPoints"]] == ["/tmp"]
    assert "privileged" not in found
    assert not [variable for variable in environment(account, name) if "PASSWORD" in variable]


@pytest.mark.parametrize("name", TASKS)
def test_a_container_runs_the_pushed_image_and_its_log_is_kept(account: Cloud, name: str) -> None:
    found = container(account, name)
    (repository,) = account.root.client("ecr").describe_repositories(repositoryNames=["alumni"])["repositories"]
    assert found["image"] == f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository['repositoryName']}:1"
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"]["scanOnPush"] is True
    assert found["logConfiguration"]["options"]["awslogs-stream-prefix"] == name
    (group,) = account.root.client("logs").describe_log_groups(
        logGroupNamePrefix=found["logConfiguration"]["options"]["awslogs-group"]
    )["logGroups"]
    assert group["retentionInDays"] == 90


def test_only_the_code_server_may_take_on_the_components_roles(account: Cloud) -> None:
    roles = {name: task(account, name)["taskRoleArn"].removeprefix(ROLES) for name in TASKS}
    assert roles == {"code": "services", "daemon": "daemon", "viewers": "webserver", "operators": "webserver"}
    assert {task(account, name)["executionRoleArn"] for name in TASKS} == {f"{ROLES}execution"}
    for arn in {task(account, name)["taskRoleArn"] for name in TASKS} | {f"{ROLES}execution"}:
        assert account.root.client("iam").get_role(RoleName=arn.split("/")[1])


def test_the_code_server_is_given_settings_that_mean_what_the_stacks_made(account: Cloud) -> None:
    settings = load_settings(environment(account, "code"))
    assert (settings.lake, settings.roles, settings.engine) == (f"s3://{BUCKET}", ROLES, "local")
    assert settings.queue is not None
    assert settings.queue.url == f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/alumni-uploads"
    assert environment(account, "code")["ALUMNI_SNS_TOPIC_ARN"] == TOPIC
    assert environment(account, "code")["ALUMNI_WAREHOUSE"] == "athena"
    athena = account.root.client("athena")
    assert athena.get_work_group(WorkGroup=environment(account, "code")["ALUMNI_ATHENA_WORKGROUP"])


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("code", 0, 100), ("daemon", 0, 100), ("viewers", 100, 200), ("operators", 100, 200)],
)
def test_code_server_and_daemon_are_never_there_twice_and_no_task_has_a_public_address(
    account: Cloud, name: str, least: int, most: int
) -> None:
    (found,) = account.root.client("ecs").describe_services(cluster="alumni", services=[name])["services"]
    assert (found["desiredCount"], found["launchType"]) == (1, "FARGATE")
    deployment = found["deploymentConfiguration"]
    assert (deployment["minimumHealthyPercent"], deployment["maximumPercent"]) == (least, most)
    assert deployment["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert found["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "DISABLED"
    assert found["enableExecuteCommand"] is False


def rules(account: Cloud) -> tuple[dict[str, set[tuple[str, int]]], dict[str, set[tuple[str, int]]]]:
    """Whom each security group lets in, and whom it lets reach, by name or range of addresses and port."""
    groups = account.root.client("ec2").describe_security_groups()["SecurityGroups"]
    names = {group["GroupId"]: group["GroupName"] for group in groups}

    def ends(permissions: list[Mapping[str, Any]]) -> set[tuple[str, int]]:
        found = set()
        for rule in permissions:
            assert rule["FromPort"] == rule["ToPort"]
            found |= {(names[pair["GroupId"]], rule["FromPort"]) for pair in rule["UserIdGroupPairs"]}
            found |= {(addresses["CidrIp"], rule["FromPort"]) for addresses in rule["IpRanges"]}
        return found

    ours = [group for group in groups if group["GroupName"] != "default"]
    return (
        {group["GroupName"]: ends(group["IpPermissions"]) for group in ours},
        {
            group["GroupName"]: {end for end in ends(group["IpPermissionsEgress"]) if end[0] != "127.0.0.1/32"}
            for group in ours
        },
    )


def test_each_process_is_reached_by_whom_it_must_be_and_by_nobody_else(account: Cloud) -> None:
    entering, leaving = rules(account)
    assert entering == {
        "alumni-database": {("alumni-database-clients", 5432)},
        "alumni-database-clients": set(),
        "alumni-tasks": set(),
        "alumni-code": {("alumni-tasks", 4000)},
        "alumni-code-callers": set(),
        "alumni-viewers-door": {(ANYWHERE, 443)},
        "alumni-viewers-webserver": {("alumni-viewers-door", 3000)},
        "alumni-operators-door": {(ANYWHERE, 443)},
        "alumni-operators-webserver": {("alumni-operators-door", 3000)},
    }
    assert leaving == {
        "alumni-database": set(),
        "alumni-database-clients": {(ANYWHERE, 5432)},
        "alumni-tasks": {(ANYWHERE, 443)},
        "alumni-code": set(),
        "alumni-code-callers": {("alumni-code", 4000)},
        "alumni-viewers-door": {(ANYWHERE, 443), ("alumni-tasks", 3000)},
        "alumni-viewers-webserver": set(),
        "alumni-operators-door": {(ANYWHERE, 443), ("alumni-tasks", 3000)},
        "alumni-operators-webserver": set(),
    }


def test_processes_are_in_the_groups_that_they_need(account: Cloud) -> None:
    names = {
        group["GroupId"]: group["GroupName"].removeprefix("alumni-")
        for group in account.root.client("ec2").describe_security_groups()["SecurityGroups"]
    }
    services = account.root.client("ecs").describe_services(cluster="alumni", services=list(TASKS))["services"]
    assert {
        service["serviceName"]: {
            names[group] for group in service["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"]
        }
        for service in services
    } == {
        "code": {"tasks", "database-clients", "code"},
        "daemon": {"tasks", "database-clients", "code-callers"},
        "viewers": {"tasks", "database-clients", "code-callers", "viewers-webserver"},
        "operators": {"tasks", "database-clients", "code-callers", "operators-webserver"},
    }


def test_the_database_is_encrypted_private_kept_and_not_deleted_by_mistake(account: Cloud) -> None:
    (found,) = account.root.client("rds").describe_db_instances(DBInstanceIdentifier="alumni")["DBInstances"]
    assert (found["Engine"], found["StorageEncrypted"], found["PubliclyAccessible"]) == ("postgres", True, False)
    assert (found["BackupRetentionPeriod"], found["DeletionProtection"]) == (7, True)
    assert len({subnet["SubnetAvailabilityZone"]["Name"] for subnet in found["DBSubnetGroup"]["Subnets"]}) == 2
    (settings,) = found["DBParameterGroups"]
    parameters = account.root.client("rds").describe_db_parameters(
        DBParameterGroupName=settings["DBParameterGroupName"], Source="user"
    )["Parameters"]
    assert [(some["ParameterName"], some["ParameterValue"]) for some in parameters] == [("rds.force_ssl", "1")]
    written = resources("database")["Instance"]
    assert {written["DeletionPolicy"], written["UpdateReplacePolicy"]} == {"Snapshot"}
    assert written["Properties"]["EnableCloudwatchLogsExports"] == ["postgresql"]


def test_the_secret_says_how_to_reach_the_database_with_a_password_that_nobody_chose(account: Cloud) -> None:
    found = json.loads(
        account.root.client("secretsmanager").get_secret_value(SecretId="alumni-database")["SecretString"]
    )
    (database,) = account.root.client("rds").describe_db_instances(DBInstanceIdentifier="alumni")["DBInstances"]
    assert (found["host"], found["port"]) == (database["Endpoint"]["Address"], database["Endpoint"]["Port"])
    assert (found["dbname"], found["username"]) == (database["DBName"], database["MasterUsername"])
    assert len(found["password"]) == 40


def test_the_key_by_which_erased_persons_are_remembered_is_one_that_nobody_chose(account: Cloud) -> None:
    key = account.root.client("secretsmanager").get_secret_value(SecretId="alumni-erasure")["SecretString"]
    assert len(key) == 64
    assert {resources("storage")["ErasureKey"][policy] for policy in ("DeletionPolicy", "UpdateReplacePolicy")} == {
        "Retain"
    }


@pytest.mark.parametrize("door", DOORS)
def test_only_whom_an_administrator_entered_comes_in_with_a_second_factor(account: Cloud, door: str) -> None:
    cognito = account.root.client("cognito-idp")
    (pool,) = [pool for pool in cognito.list_user_pools(MaxResults=10)["UserPools"] if pool["Name"] == f"alumni-{door}"]
    found = cognito.describe_user_pool(UserPoolId=pool["Id"])["UserPool"]
    assert (found["MfaConfiguration"], found["DeletionProtection"]) == ("ON", "ACTIVE")
    assert found["Policies"]["PasswordPolicy"]["MinimumLength"] == 14
    (client,) = cognito.list_user_pool_clients(UserPoolId=pool["Id"])["UserPoolClients"]
    details = cognito.describe_user_pool_client(UserPoolId=pool["Id"], ClientId=client["ClientId"])["UserPoolClient"]
    assert details["ClientSecret"]
    assert (details["AllowedOAuthFlows"], details["AllowedOAuthScopes"]) == (["code"], ["openid"])
    host = {"viewers": "look", "operators": "operate"}[door]
    assert details["CallbackURLs"] == [f"https://{host}.university.example/oauth2/idpresponse"]
    with pytest.raises(ClientError, match="NotAuthorizedException"):
        cognito.sign_up(ClientId=client["ClientId"], Username="a@example.org", Password="Long-Enough-Pass-1")


@pytest.mark.parametrize("door", DOORS)
def test_a_door_asks_who_somebody_is_before_it_passes_anything_on(account: Cloud, door: str) -> None:
    balancing = account.root.client("elbv2")
    (balancer,) = balancing.describe_load_balancers(Names=[f"alumni-{door}"])["LoadBalancers"]
    (listener,) = balancing.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    assert listener["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    asking, passing = sorted(listener["DefaultActions"], key=lambda action: action["Order"])
    assert (asking["Type"], passing["Type"]) == ("authenticate-cognito", "forward")
    (targets,) = balancing.describe_target_groups(TargetGroupArns=[passing["TargetGroupArn"]])["TargetGroups"]
    assert (targets["TargetType"], targets["Port"], targets["HealthCheckPath"]) == ("ip", 3000, "/server_info")
    attributes = balancing.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]
    assert {attribute["Key"]: attribute["Value"] for attribute in attributes} == {
        "deletion_protection.enabled": "true",
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "routing.http.desync_mitigation_mode": "strictest",
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": f"alumni-access-log-{ACCOUNT}",
        "access_logs.s3.prefix": f"doors/{door}",
    }
    policy = json.loads(account.root.client("s3").get_bucket_policy(Bucket=f"alumni-access-log-{ACCOUNT}")["Policy"])
    (log,) = [some for some in policy["Statement"] if some["Sid"] == "LoadBalancersWriteTheLog"]
    assert f"arn:aws:s3:::alumni-access-log-{ACCOUNT}/doors/{door}/AWSLogs/{ACCOUNT}/*" in log["Resource"]


@pytest.mark.parametrize(
    ("template", "name"), [("services", "CodeTask"), ("services", "DaemonTask"), ("door", "WebserverTask")]
)
def test_the_template_has_each_container_given_how_to_reach_the_database_from_the_secret(
    template: str, name: str
) -> None:
    (found,) = resources(template)[name]["Properties"]["ContainerDefinitions"]
    exported = {"Secret": {"Fn::Sub": "${Name}-database-secret"}}
    secrets = {entry["Name"]: entry["ValueFrom"] for entry in found["Secrets"]}
    key = secrets.pop("ALUMNI_ERASURE_KEY", None)
    assert key == ({"Fn::Sub": "${Name}-erasure-key"} if name == "CodeTask" else None)
    assert secrets == {
        "DAGSTER_POSTGRES_HOST": ["${Secret}:host::", exported],
        "DAGSTER_POSTGRES_PORT": ["${Secret}:port::", exported],
        "DAGSTER_POSTGRES_DB": ["${Secret}:dbname::", exported],
        "DAGSTER_POSTGRES_USER": ["${Secret}:username::", exported],
        "DAGSTER_POSTGRES_PASSWORD": ["${Secret}:password::", exported],
    }


def test_the_templates_say_whom_a_door_asks_and_under_which_name_the_code_server_is_found() -> None:
    asking = resources("door")["Listener"]["Properties"]["DefaultActions"][0]["AuthenticateCognitoConfig"]
    assert asking == {
        "UserPoolArn": "People.Arn",
        "UserPoolClientId": "Client",
        "UserPoolDomain": "SignIn",
        "OnUnauthenticatedRequest": "authenticate",
        "SessionCookieName": "${Name}-${Door}",
        "SessionTimeout": "28800",
    }
    services = resources("services")
    assert services["CodeService"]["Properties"]["ServiceRegistries"] == [{"RegistryArn": "CodeName.Arn"}]
    name = f"{services['CodeName']['Properties']['Name']}.{services['Names']['Properties']['Name']}"
    callers = (services["DaemonTask"], resources("door")["WebserverTask"])
    for (called,) in [caller["Properties"]["ContainerDefinitions"] for caller in callers]:
        assert called["Command"][called["Command"].index("--grpc-host") + 1] == name
