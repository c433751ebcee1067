"""What all tests share: their order, and how a test ends that lacks something on this machine."""

import json
import os
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

pytest_plugins = ["alumni_assets_tests.personal_data"]

_LONGEST_FIRST = (
    "ui/test_dagster_dev",
    "torture/",
    "spark/",
    "state/",
    "lake/test_pipeline_on_faulty_s3",
    "lake/test_pipeline_in_a_bucket",
    "ui/",
    "corrections/",
    "erasure/",
    "deploy_local/test_dagster",
    "dashboard/",
    "lake/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first: one that is begun last would keep a single process busy at the end."""

    def place(item: pytest.Item) -> int:
        return next((n for n, name in enumerate(_LONGEST_FIRST) if name in item.nodeid), len(_LONGEST_FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def lacking() -> Callable[[str], NoReturn]:
    """Ends the test for the reason given: skipped, or failed where ALUMNI_REQUIRE_ALL_TESTS is set."""

    def end(reason: str) -> NoReturn:
        if os.environ.get("ALUMNI_REQUIRE_ALL_TESTS"):
            pytest.fail(f"{reason}, and ALUMNI_REQUIRE_ALL_TESTS is set")
        pytest.skip(reason)

    return end


@pytest.fixture
def printed_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], list[dict[str, Any]]]:
    """Lets runs and ticks print as they do in a deployment, and gives what they printed since it was last asked."""
    from dagster import _loggers as dagster_loggers
    from dagster._core.definitions import instigation_logger

    from alumni_assets.json_logs import json_console

    monkeypatch.setattr(dagster_loggers, "create_console_logger", json_console)
    monkeypatch.setattr(instigation_logger, "create_console_logger", json_console)
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
