"""What all tests share: how a test ends that lacks something on this machine."""

import os
from collections.abc import Callable
from typing import NoReturn

import pytest


@pytest.fixture(scope="session")
def lacking() -> Callable[[str], NoReturn]:
    """Ends the test for the reason given: skipped, or failed where ALUMNI_REQUIRE_ALL_TESTS is set."""

    def end(reason: str) -> NoReturn:
        if os.environ.get("ALUMNI_REQUIRE_ALL_TESTS"):
            pytest.fail(f"{reason}, and ALUMNI_REQUIRE_ALL_TESTS is set")
        pytest.skip(reason)

    return end
