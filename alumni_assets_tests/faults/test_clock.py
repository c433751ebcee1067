"""The machine's clock is set back, or forward and back again: what came later still counts as later."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alumni_assets.stages import intake

from ..pipeline.answers import DATED, answers, csv_bytes
from ..pipeline.conftest import Pipeline

pytestmark = pytest.mark.slow
DAY = timedelta(days=1)
GOOD = csv_bytes(answers(1, 3))


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """From now on the project's clock is wrong by so much; Dagster's own is left alone."""
    true_now = intake.utc_now
    users = [module for name, module in list(sys.modules.items()) if name.startswith("alumni_assets.")]

    def set_to(difference: timedelta) -> None:
        for module in users:
            if hasattr(module, "utc_now"):
                monkeypatch.setattr(module, "utc_now", lambda: true_now() + difference)

    return set_to


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(DAY, id="ahead, then right"),
        pytest.param(timedelta(), id="right, then behind", marks=pytest.mark.long),
    ],
)
def test_a_clock_that_is_set_back_by_a_day_changes_neither_what_repeats_nor_what_is_newest(
    pipeline: Pipeline, set_clock: Callable[[timedelta], None], wrong: timedelta
) -> None:
    set_clock(wrong)
    first = pipeline.put_and_take_in("first.csv", GOOD)
    set_clock(wrong - DAY)
    copy = pipeline.put_and_take_in("copy.csv", GOOD)
    later = pipeline.put_and_take_in("later.csv", csv_bytes(answers(1, 3, Performance_Rating="5")))
    today = f"{datetime.now(ZoneInfo('Asia/Manila')) + wrong:%Y-%m-%d}"
    dated = csv_bytes(answers(9, 3, **{"Submission Date": today}), header=DATED)
    answered_today = pipeline.put_and_take_in("today.csv", dated)
    assert pipeline.statuses() == {
        first: "validated",
        copy: "duplicate",
        later: "validated",
        answered_today: "validated",
    }
    assert pipeline.ingested(answered_today).valid == 3
    pipeline.approve_only(later, first)
    assert set(pipeline.alumni().values()) == {later}


def test_what_was_judged_while_the_clock_was_ahead_may_be_approved(
    pipeline: Pipeline, set_clock: Callable[[timedelta], None]
) -> None:
    set_clock(DAY)
    upload = pipeline.put_and_take_in("term.csv", GOOD)
    set_clock(timedelta())
    pipeline.approve_only(upload)
    assert pipeline.statuses() == {upload: "transformed"}


def test_a_clock_that_was_ahead_by_months_is_not_followed(
    pipeline: Pipeline, set_clock: Callable[[timedelta], None]
) -> None:
    set_clock(100 * DAY)
    ahead = pipeline.put_and_take_in("ahead.csv", GOOD)
    set_clock(timedelta())
    upload = pipeline.put_and_take_in("term.csv", csv_bytes(answers(9)))
    assert pipeline.facts.seen[ahead].received_at - pipeline.facts.seen[upload].received_at > 99 * DAY
