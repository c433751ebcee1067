"""docs/contract.md says what the contract says."""

from pathlib import Path

from alumni_assets.contract import default_contract
from alumni_assets.contract_page import contract_page

PAGE = Path(__file__).parents[1] / "docs" / "contract.md"


def test_the_page_is_the_one_that_make_docs_would_write() -> None:
    assert PAGE.read_text(encoding="utf-8") == contract_page(default_contract())
