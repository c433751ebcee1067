"""What catalog.yaml and glue.yaml made. That a query is ended which scans too much is AWS's to do: only the limit is
looked at here, and so is how many workers a job has."""

import pytest

from alumni_assets_tests.deploy.conftest import BUCKET, ROLES, Cloud
from alumni_assets_tests.deploy.templates import resources

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.mark.parametrize(("group", "folder"), [("alumni", "athena/"), ("alumni-readers", "athena/readers/")])
def test_queries_are_limited_and_leave_encrypted_results_where_the_workgroup_says(
    account: Cloud, group: str, folder: str
) -> None:
    found = account.root.client("athena").get_work_group(WorkGroup=group)["WorkGroup"]["Configuration"]
    assert found["EnforceWorkGroupConfiguration"] is True
    assert int(found["BytesScannedCutoffPerQuery"]) == 10 * 2**30
    assert found["ResultConfiguration"]["OutputLocation"] == f"s3://{BUCKET}/{folder}"
    assert found["ResultConfiguration"]["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}


def test_the_database_is_there_and_stays_when_its_stack_goes(account: Cloud) -> None:
    assert account.root.client("glue").get_database(Name="alumni")["Database"]["Name"] == "alumni"
    assert resources("catalog")["Catalog"]["DeletionPolicy"] == "Retain"


def test_the_job_runs_in_its_role_with_workers_as_they_are_needed_and_remembers_nothing(account: Cloud) -> None:
    job = account.root.client("glue").get_job(JobName="alumni-spark")["Job"]
    assert (job["Role"], job["GlueVersion"], job["WorkerType"]) == (f"{ROLES}glue", "5.1", "G.1X")
    assert (int(job["NumberOfWorkers"]), int(job["Timeout"]), int(job["MaxRetries"])) == (10, 120, 0)
    assert job["Command"]["ScriptLocation"] == f"s3://{BUCKET}/glue/job.py"
    arguments = job["DefaultArguments"]
    assert (arguments["--enable-auto-scaling"], arguments["--job-bookmark-option"]) == ("true", "job-bookmark-disable")
    assert arguments["--additional-python-modules"] == f"s3://{BUCKET}/glue/alumni_assets.gluewheels.zip"
    assert account.root.client("iam").get_role(RoleName=job["Role"].split("/")[1])


def test_what_the_job_says_is_kept_for_a_while_in_groups_of_its_own(account: Cloud) -> None:
    prefix = account.root.client("glue").get_job(JobName="alumni-spark")["Job"]["DefaultArguments"][
        "--custom-logGroup-prefix"
    ]
    groups = account.root.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    assert {group["logGroupName"]: group["retentionInDays"] for group in groups} == {
        f"{prefix}/output": 30,
        f"{prefix}/error": 30,
    }
