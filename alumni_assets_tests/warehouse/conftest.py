"""A survey in a folder of its own for each test."""

from pathlib import Path

import pytest

from alumni_assets_tests.warehouse.surveys import Survey


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    return Survey(tmp_path)
