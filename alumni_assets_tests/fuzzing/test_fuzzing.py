"""The inputs that a fuzzer begins with or has found, without one: see `target.py` and, for fuzzing, `__main__.py`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from alumni_assets.stages.validation import Validated

from . import target
from .seeds import LONGEST, seeds

HERE = Path(__file__).parent
ENDINGS = {
    *("validated", "empty", "no_rows", "not_a_table", "web_page", "too_large", "damaged_archive", "damaged_workbook"),
    *("missing_column", "doubled_column", "too_many_columns", "unclosed_quote"),
    *("unknown_upload", "several_uploads", "incomplete_correction"),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[target.Desk]:
    return target.Desk(tmp_path_factory.mktemp("fuzzing"))


@pytest.mark.slow
def test_every_input_of_the_corpus_is_judged_or_rejected_with_a_reason(desk: target.Desk) -> None:
    inputs = sorted((HERE / "corpus").iterdir())
    # Every other one is handed out and given back; `make long` does so with more.
    endings = Counter(desk.judge(path.read_bytes(), number % 2 == 0) for number, path in enumerate(inputs))
    assert endings["validated"] > 20
    assert set(endings) >= ENDINGS
    assert sum(path.stat().st_size for path in inputs) < 100_000


def test_a_correction_file_of_more_than_300_columns_can_be_given_back(desk: target.Desk) -> None:
    """Its columns, times the rows that the workbook might have had, were taken for cells that would fill the memory."""
    assert desk.judge((HERE / "found" / "more-than-300-columns").read_bytes()) == "validated"


def test_a_correction_file_of_an_upload_with_as_many_columns_as_there_may_be_can_be_given_back(
    desk: target.Desk,
) -> None:
    """With its own columns it had more than an upload may have."""
    assert desk.judge((HERE / "found" / "as-many-columns-as-there-may-be").read_bytes()) == "validated"


def test_a_sheet_of_an_encoding_that_there_is_not_is_read_as_its_bytes_are(desk: target.Desk) -> None:
    """It ended with an error that is none of a damaged workbook."""
    assert desk.judge((HERE / "found" / "encoding-that-there-is-not").read_bytes()) == "damaged_workbook"


def test_a_byte_order_mark_before_a_row_is_part_of_its_first_cell_wherever_the_row_is_read(desk: target.Desk) -> None:
    """It went where a row was the first of those that are read at once: as of files that were put one after another."""
    assert desk.judge((HERE / "found" / "mark-of-byte-order-before-a-row").read_bytes()) == "validated"


@pytest.mark.long
def test_so_is_every_hostile_upload_that_is_small_and_the_whole_corpus_to_the_end(desk: target.Desk) -> None:
    inputs = [seed for seed in seeds() if len(seed) <= LONGEST]
    inputs += [path.read_bytes() for path in sorted((HERE / "corpus").iterdir())]
    assert Counter(map(desk.judge, inputs))["validated"] > 150


def test_what_loses_a_row_is_noticed(desk: target.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = target.validate_upload

    def forgetful(*everything: object) -> Validated:
        result = judged(*everything)  # type: ignore[arg-type]
        result.valid -= 1
        return result

    monkeypatch.setattr(target, "validate_upload", forgetful)
    with pytest.raises(AssertionError):
        desk.judge(next(seeds()))
