"""What viewers and operators can do with a real Dagster behind the login: one instance, two servers."""

import gzip
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from alumni_assets_tests.deploy_local.front import CADDY, LOGINS, OPERATOR, SITES, VIEWER
from alumni_assets_tests.deploy_local.mutations import INTROSPECTION, mutations
from alumni_assets_tests.deploy_local.pages import LOCATION, PAGE, TOLD, UPLOAD, Pages

pytestmark = [pytest.mark.server, pytest.mark.slow]

_ADDED = "liza:a word of Liza's"
_LAUNCH = """
mutation ($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector}) {
    __typename ... on LaunchRunSuccess { run { runId } }
  }
}
"""
_APPROVE = """
mutation ($upload: String!, $config: RunConfigData!) {
  launchPartitionBackfill(
    backfillParams: {
      assetSelection: [{path: ["transformed_survey"]}], partitionNames: [$upload], runConfigData: $config
    }
  ) { __typename ... on LaunchBackfillSuccess { backfillId } }
}
"""
_STATE = """
{
  runsOrError { ... on Runs { results { runId status } } }
  partitionBackfillsOrError { ... on PartitionBackfills { results { id status } } }
  assetNodeOrError(assetKey: {path: ["raw_survey"]}) { ... on AssetNode { partitionKeys } }
  sensorsOrError(repositorySelector: {
    repositoryName: "__repository__", repositoryLocationName: "alumni_assets.definitions"
  }) { ... on Sensors { results { name sensorState { id status } } } }
  schedulesOrError(repositorySelector: {
    repositoryName: "__repository__", repositoryLocationName: "alumni_assets.definitions"
  }) { ... on Schedules { results { name scheduleState { id status } } } }
  instance { autoMaterializePaused concurrencyLimits { concurrencyKey slotCount } }
}
"""
_JOB = {**LOCATION, "jobName": "renew_tables"}
_CONFIG = {"ops": {"approve_and_transform": {"config": {"approved_by": "Ana Reyes"}}}}
# What Dagster lets viewers call: whether the first-visit dialog was seen, and telemetry, which is off.
_HARMLESS = {"setNuxSeen", "logTelemetry"}


@pytest.fixture(scope="module")
def pages(caddy: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Everything started; a viewer was added as the documentation says."""
    password = _ADDED.split(":")[1] + "\n"
    added = subprocess.run([str(CADDY), "hash-password"], input=password, capture_output=True, text=True, check=True)
    logins = {**LOGINS, "viewers": f"{LOGINS['viewers']}liza {added.stdout}"}
    all_pages = Pages(tmp_path_factory.mktemp("pages"), logins)
    try:
        all_pages.start(OPERATOR)
        yield all_pages
    finally:
        all_pages.stop()


@pytest.fixture(scope="module")
def launched(pages: Pages) -> str:
    """A run that an operator has launched."""
    result = pages.asked("operators", OPERATOR, _LAUNCH, {"selector": _JOB})["launchRun"]
    assert result["__typename"] == "LaunchRunSuccess"
    return result["run"]["runId"]


@pytest.fixture(scope="module")
def approved(pages: Pages) -> str:
    """The action by which an operator has approved an upload."""
    return _approve(pages)


def _approve(pages: Pages) -> str:
    variables = {"upload": UPLOAD, "config": _CONFIG}
    result = pages.asked("operators", OPERATOR, _APPROVE, variables)["launchPartitionBackfill"]
    assert result["__typename"] == "LaunchBackfillSuccess"
    return result["backfillId"]


def test_nothing_of_dagster_is_told_without_a_login(pages: Pages) -> None:
    log = "/logs/" + "/".join(pages.log_key) + "/out"
    for site in SITES:
        answers = [
            pages.front.ask(site, path) for path in ("/", "/server_info", log, f"/download_debug/{pages.run_id}")
        ]
        answers.append(pages.front.graphql(site, None, "{ version }"))
        assert [(answer.status, answer.body) for answer in answers] == [(401, b"401 Unauthorized")] * len(answers)
        assert pages.front.opened_websocket(site, None) == 401


def test_the_servers_listen_on_this_machine_only(pages: Pages) -> None:
    assert pages.listening() == {"127.0.0.1"}


def test_a_password_made_as_documented_lets_in(pages: Pages) -> None:
    assert pages.front.ask("viewers", "/server_info", _ADDED).status == 200


def test_what_an_operator_launches_is_queued_and_viewers_see_it(pages: Pages, launched: str) -> None:
    runs = pages.asked("viewers", VIEWER, _STATE)["runsOrError"]["results"]
    assert {"runId": launched, "status": "QUEUED"} in runs


def test_what_an_operator_approves_is_requested_and_viewers_see_it(pages: Pages, approved: str) -> None:
    backfills = pages.asked("viewers", VIEWER, _STATE)["partitionBackfillsOrError"]["results"]
    assert {"id": approved, "status": "REQUESTED"} in backfills


def test_viewers_read_pages_logs_and_the_dashboard(pages: Pages) -> None:
    log = pages.front.ask("viewers", "/logs/" + "/".join(pages.log_key) + "/out", VIEWER)
    debug = pages.front.ask("viewers", f"/download_debug/{pages.run_id}", VIEWER)

    assert b"<title" in pages.front.ask("viewers", "/runs", VIEWER).body
    assert (log.status, log.body, log.headers["Cache-Control"]) == (200, TOLD.encode(), "no-store")
    assert pages.run_id in gzip.decompress(debug.body).decode()
    assert pages.front.ask("page", "/", VIEWER).body.decode() == PAGE


def test_viewers_cannot_leave_the_folder_of_the_logs(pages: Pages) -> None:
    (secret := pages.folder / "secret.out").write_text("not for viewers", encoding="utf-8")
    for up in ("../" * 3, "%2e%2e/" * 3, "..%2f" * 3, "x/" + "../" * 4):
        answer = pages.front.ask("viewers", f"/logs/{up}secret/out", VIEWER)
        assert b"not for viewers" not in answer.body, (up, answer.status)
    assert pages.front.ask("viewers", f"/logs/{secret.with_suffix('')}/out", VIEWER).status != 200


def test_a_viewer_cannot_launch_or_approve(pages: Pages, launched: str, approved: str) -> None:
    before = pages.asked("operators", OPERATOR, _STATE)

    launch = pages.asked("viewers", VIEWER, _LAUNCH, {"selector": _JOB})
    approve = pages.asked("viewers", VIEWER, _APPROVE, {"upload": UPLOAD, "config": _CONFIG})

    assert launch == {"launchRun": {"__typename": "UnauthorizedError"}}
    assert approve == {"launchPartitionBackfill": {"__typename": "UnauthorizedError"}}
    for query, variables in ((_LAUNCH, {"selector": _JOB}), (_APPROVE, {"upload": UPLOAD, "config": _CONFIG})):
        answer = pages.front.graphql("operators", VIEWER, query, variables)
        assert (answer.status, answer.body) == (401, b"401 Unauthorized")
    assert pages.asked("operators", OPERATOR, _STATE) == before


def test_of_all_that_can_be_changed_a_viewer_can_change_nothing(pages: Pages, launched: str, approved: str) -> None:
    pages.end_backfill(ended := _approve(pages))
    before = pages.asked("operators", OPERATOR, _STATE)
    known = _known(before, launched, approved, ended)
    introspected = pages.asked("viewers", VIEWER, INTROSPECTION)

    let_through = set()
    for mutation in mutations(introspected, known):
        answer = pages.front.graphql("viewers", VIEWER, mutation.query, mutation.variables).body.decode()
        if "Unauthorized" not in answer and "You do not have permission" not in answer:
            let_through.add((mutation.name, answer))

    assert {name for name, _ in let_through} == _HARMLESS, let_through
    assert pages.asked("operators", OPERATOR, _STATE) == before


def test_a_viewer_is_told_of_changes_over_a_websocket_and_can_make_none(pages: Pages, launched: str) -> None:
    before = pages.asked("operators", OPERATOR, _STATE)
    follow = f'subscription {{ pipelineRunLogs(runId: "{pages.run_id}") {{ __typename }} }}'

    opened, refused, told = pages.front.talk(
        "viewers",
        VIEWER,
        {"type": "connection_init"},
        {"type": "start", "id": "1", "payload": {"query": _LAUNCH, "variables": {"selector": _JOB}}},
        {"type": "start", "id": "2", "payload": {"query": follow}},
    )

    assert opened == {"type": "connection_ack"}
    assert (refused["type"], refused["id"]) == ("error", "1")
    assert told["payload"]["data"]["pipelineRunLogs"]["__typename"] == "PipelineRunLogsSubscriptionSuccess"
    assert pages.front.opened_websocket("operators", VIEWER) == 401
    assert pages.asked("operators", OPERATOR, _STATE) == before


def _known(state: dict[str, Any], run_id: str, backfill_id: str, ended: str) -> dict[str, Any]:
    """Arguments that mean something here, so that Dagster has no other reason to refuse."""
    sensors, schedules = state["sensorsOrError"]["results"], state["schedulesOrError"]["results"]
    return {
        **LOCATION,
        "path": ["transformed_survey"],
        "jobName": "renew_tables",
        "runId": run_id,
        "runIds": [run_id],
        "parentRunId": run_id,
        "reexecutionParams": {"parentRunId": run_id, "strategy": "ALL_STEPS"},
        "reexecutePartitionBackfill.reexecutionParams": {"parentRunId": ended, "strategy": "ALL_STEPS"},
        "backfillId": backfill_id,
        "assetSelection": [{"path": ["transformed_survey"]}],
        "partitionNames": [UPLOAD],
        "partitionsDefName": "uploads",
        "cursor": "",
        "timestamp": 0,
        "sensorName": sensors[0]["name"],
        "scheduleName": schedules[0]["name"],
        "stopSensor.id": sensors[0]["sensorState"]["id"],
        "stopRunningSchedule.id": schedules[0]["scheduleState"]["id"],
    }
