"""Pages to look at: of the real survey, and of three months of answers with all that a page can show."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, sync_playwright

from alumni_assets_tests.pipeline.answers import DATED, answer, csv_bytes
from alumni_assets_tests.pipeline.conftest import REAL_FILE, Pipeline, changed_rules, own_environment
from alumni_assets_tests.ui.chromium import chromium_path, opened_chromium

__all__ = ["changed_rules", "own_environment"]

HOSTILE_NAME = "<script>document.title='broken'</script> <img src=x onerror=alert(1)>"
HOSTILE_ROLE = "=Cmd|' /C Calc'!A0 \"><b>Baker</b>"
_DEPARTMENTS = ("Admin", "Finance", "HR", "Marketing", "Operations", "R&D", "Tech")
_DEGREES = ("Accountancy", "Communications", "Computer Science", "Education", "Engineering", "Psychology")
_CAMPUSES = ("Apalit", "Candaba", "Main", "Main", "Main", "Porac", "Santo Tomas")
_ROLES = ("Teacher", "Data Analyst", "HR Specialist", "Product Manager")


def monthly_answers(month: int, alumni: int, seed: int) -> list[dict[str, str]]:
    """A month's answers; whoever answered in an earlier month with the same ids answers again, often otherwise."""
    dice = random.Random(seed)
    return [
        answer(
            1000 + number,
            Employee_Name=HOSTILE_NAME if number == 1 else f"Valerie Quintos{chr(65 + number % 26)}{number}",
            Department=(department := dice.choice(_DEPARTMENTS)),
            College_Degree=dice.choice(_DEGREES),
            DMC_Campus=dice.choice(_CAMPUSES),
            Job_Role=HOSTILE_ROLE if number == 2 else dice.choice(_ROLES),
            Performance_Rating=str(min(5, dice.randint(1, 5) + (department == "Tech"))),
            **{"Submission Date": f"2026-{month:02}-{1 + number % 28:02} 08:15:00"},
        )
        for number in range(alumni)
    ]


def made(pipeline: Pipeline, key: str, content: bytes) -> None:
    """An upload from the file to the page."""
    upload = pipeline.put_and_take_in(key, content)
    assert pipeline.approve(upload).success


@pytest.fixture(scope="session")
def three_months(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Three batches of a month each, the last with rows that were set aside."""
    pipeline = Pipeline(tmp_path_factory.mktemp("three_months"))
    pipeline.makes_page = True
    with pipeline.instance:
        for number, month in enumerate((3, 4, 6)):
            rows = monthly_answers(month, 120 + 60 * number, seed=month)
            if month == 6:
                rows += [answer(9000 + n, Department="Tecch", Performance_Rating="9") for n in range(20)]
            made(pipeline, f"{month:02}.csv", csv_bytes(rows, header=DATED))
        yield pipeline


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The real survey, from the file to the page."""
    if not REAL_FILE.exists():
        pytest.skip("the real survey is not beside the repository")
    pipeline = Pipeline(tmp_path_factory.mktemp("real"))
    pipeline.makes_page = True
    with pipeline.instance:
        made(pipeline, REAL_FILE.name, REAL_FILE.read_bytes())
        yield pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """A fresh pipeline that makes its page."""
    fresh = Pipeline(tmp_path)
    fresh.makes_page = True
    with fresh.instance:
        yield fresh


@pytest.fixture(scope="module")
def chromium(lacking: Callable[[str], NoReturn]) -> Iterator[Browser]:
    if chromium_path() is None:
        lacking("this machine has no Chromium")
    with sync_playwright() as playwright, opened_chromium(playwright) as browser:
        yield browser
