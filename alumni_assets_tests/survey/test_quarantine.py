"""The life of rows that were set aside, by what the register holds: how many are open, and what that blocks."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.survey import row_ranges
from alumni_assets.survey.quarantine import Quarantine, SetAside
from alumni_assets.survey.standing import NO_OPEN_ROWS, Arrival, Decision, Facts, Ingested, Seen, Waiver, standings

NOW = datetime(2026, 11, 23)
ORIGINAL = Ingested("a", "validated", NOW, rows=10, valid=6, invalid=4, content="good", invalid_content="bad")


def facts_of(*ingested: Ingested, waivers: tuple[Waiver, ...] = (), decisions: tuple[Decision, ...] = ()) -> Facts:
    """Uploads in the order in which they came, each under a name of its own."""
    seen = {
        some.upload: Seen(some.upload, some.upload, "", 1, NOW + timedelta(hours=number))
        for number, some in enumerate(ingested)
    }
    return Facts(
        seen=seen,
        ingested={some.upload: some for some in ingested},
        transformed={},
        arrivals={upload: [Arrival(upload, 1, upload, "e", 1, NOW)] for upload in seen},
        decisions={decision.upload: [decision] for decision in decisions},
        waivers={"a": list(waivers)} if waivers else {},
    )


def correction(upload: str, *mends: str, **given: Any) -> Ingested:
    told = {"corrects": "a", "against": "bad", "mends": mends, "valid": 1, "content": f"content of {upload}"} | given
    return Ingested(upload, "validated", NOW, **told)


def waiver(*rows: str, **given: Any) -> Waiver:
    return Waiver(
        **{"upload": "a", "number": 1, "rows": rows, "judged": "bad", "by": "Ana", "at": NOW, "reason": "x"} | given
    )


def quarantine(*ingested: Ingested, **more: Any) -> Quarantine:
    facts = facts_of(*ingested, **more)
    return Quarantine(facts, standings(facts))


def counts(found: SetAside | None) -> tuple[int, int, int]:
    """Open, resolved and waived rows."""
    assert found is not None
    return found.open, found.resolved, found.waived


def test_rows_are_open_until_something_becomes_of_them() -> None:
    assert counts(quarantine(ORIGINAL).of("a")) == (4, 0, 0)


def test_an_upload_without_invalid_rows_has_none_set_aside() -> None:
    assert quarantine(replace(ORIGINAL, invalid=0)).of("a") is None


def test_rows_that_came_back_valid_are_resolved_each_once() -> None:
    assert counts(quarantine(ORIGINAL, correction("c", "2-3"), correction("d", "3", "7")).of("a")) == (1, 3, 0)


def test_a_row_that_was_waived_and_mended_is_resolved() -> None:
    found = quarantine(ORIGINAL, correction("c", "2-3"), waivers=(waiver("3", "7"),)).of("a")
    assert counts(found) == (1, 2, 1)


@pytest.mark.parametrize(
    "gone",
    [
        correction("c", "2-3", against="as judged before"),
        Ingested("c", "rejected", NOW, corrects="a", against="bad", mends=("2-3",)),
        Ingested("c", "duplicate", NOW, corrects="a", against="bad", mends=("2-3",)),
    ],
)
def test_a_correction_of_rows_as_they_were_judged_before_or_that_does_not_stand_resolves_nothing(
    gone: Ingested,
) -> None:
    assert counts(quarantine(ORIGINAL, gone).of("a")) == (4, 0, 0)


def test_withdrawing_a_correction_opens_its_rows_again() -> None:
    withdrawn = Decision("c", 1, "withdrawn", "Ana", NOW, arrival=1)
    assert counts(quarantine(ORIGINAL, correction("c", "2-3"), decisions=(withdrawn,)).of("a")) == (4, 0, 0)


def test_a_waiver_is_for_the_rows_as_they_were_judged_then() -> None:
    assert counts(quarantine(ORIGINAL, waivers=(waiver("3", judged="as judged before"),)).of("a")) == (4, 0, 0)


def test_all_rows_are_closed_with_their_upload() -> None:
    withdrawn = Decision("a", 1, "withdrawn", "Ana", NOW, arrival=1)
    found = quarantine(ORIGINAL, correction("c", "2"), waivers=(waiver("3"),), decisions=(withdrawn,)).of("a")
    assert counts(found) == (0, 0, 0)
    assert found is not None
    assert found.closing == "withdrawn"


def test_of_a_correction_only_rows_that_name_no_row_are_its_own() -> None:
    found = quarantine(ORIGINAL, correction("c", "2", invalid=3, strays=2, invalid_content="wrong"))
    assert counts(found.of("c")) == (2, 0, 0)
    assert counts(found.of("a")) == (3, 1, 0)


def test_such_rows_are_closed_when_other_content_comes_under_the_name_of_the_correction() -> None:
    facts = facts_of(ORIGINAL, correction("c", "2", invalid=2, strays=2), correction("d", "3"))
    arrivals = {**facts.arrivals, "c": [*facts.arrivals["c"], Arrival("c", 2, "d", "f", 1, NOW)]}
    facts = replace(facts, arrivals=arrivals)
    found = Quarantine(facts, standings(facts)).of("c")
    assert found is not None
    assert (found.closing, found.open) == ("superseded", 0)


def test_too_many_open_rows_block_only_until_enough_of_them_are_closed() -> None:
    spoiled = replace(ORIGINAL, failed_checks=("schema_holds", NO_OPEN_ROWS), max_open_share=0.2)
    assert quarantine(spoiled).blocking_checks("a") == ("schema_holds", NO_OPEN_ROWS)
    assert quarantine(spoiled, correction("c", "2")).blocking_checks("a") == ("schema_holds", NO_OPEN_ROWS)
    assert quarantine(spoiled, correction("c", "2-3")).blocking_checks("a") == ("schema_holds",)
    assert quarantine(spoiled, waivers=(waiver("2", "9"),)).blocking_checks("a") == ("schema_holds",)


def test_rows_that_came_back_wrong_are_so_until_they_are_closed_or_come_back_again() -> None:
    came = correction("c", "2", invalid=2, wrong=("3", "7"))
    assert quarantine(ORIGINAL, came).still_wrong("c") == 2
    assert quarantine(ORIGINAL, came, waivers=(waiver("7"),)).still_wrong("c") == 1
    assert quarantine(ORIGINAL, came, correction("d", "3")).still_wrong("c") == 1
    again = quarantine(ORIGINAL, came, correction("d", wrong=("3",), invalid=1, valid=0))
    assert (again.still_wrong("c"), again.still_wrong("d")) == (1, 1)


def test_nothing_is_still_wrong_in_a_correction_that_fell() -> None:
    came = correction("c", "2", invalid=2, wrong=("3", "7"))
    for upload in ("a", "c"):
        withdrawn = Decision(upload, 1, "withdrawn", "Ana", NOW, arrival=1)
        assert quarantine(ORIGINAL, came, decisions=(withdrawn,)).still_wrong("c") == 0


def test_a_version_changes_with_all_that_may_become_of_a_row() -> None:
    states = [
        quarantine(ORIGINAL),
        quarantine(replace(ORIGINAL, invalid_content="other")),
        quarantine(ORIGINAL, correction("c", "2")),
        quarantine(ORIGINAL, correction("c", "2", invalid_content="came back wrong")),
        quarantine(ORIGINAL, correction("c", "2"), correction("d")),
        quarantine(ORIGINAL, waivers=(waiver("3"),)),
        quarantine(ORIGINAL, waivers=(waiver("3", reason="other"),)),
        quarantine(ORIGINAL, decisions=(Decision("a", 1, "withdrawn", "Ana", NOW, arrival=1),)),
    ]
    versions = [found.version for state in states if (found := state.of("a")) is not None]
    assert len(set(versions)) == len(states)


ROWS = st.sets(st.integers(1, 60))


@given(ROWS)
def test_ranges_hold_the_same_rows(rows: set[int]) -> None:
    bounds = row_ranges.bounds(row_ranges.ranges_of(sorted(rows)))
    assert {row for first, last in bounds for row in range(first, last + 1)} == rows
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(bounds))


@given(st.lists(ROWS, max_size=4))
def test_a_union_counts_each_row_once(sets: list[set[int]]) -> None:
    joined = row_ranges.union(*(row_ranges.ranges_of(sorted(rows)) for rows in sets))
    assert row_ranges.size(joined) == len(set().union(*sets))


@pytest.mark.parametrize("text", ["", "x", "3-", "-3", "5-3", "1-2-3", "٣", "1.5"])
def test_a_text_that_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        row_ranges.bounds([text])
