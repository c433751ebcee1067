"""Fails or skips what needs Caddy where there is none."""

from collections.abc import Callable
from typing import NoReturn

import pytest

from alumni_assets_tests.deploy_local.front import CADDY


@pytest.fixture(scope="session")
def caddy(lacking: Callable[[str], NoReturn]) -> None:
    if CADDY is None:
        lacking("this machine has no Caddy")
