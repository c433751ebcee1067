"""Uploads with the same bytes: small sets of facts, and which upload only repeats another."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from alumni_assets.survey.equal_content import repetitions, same_content
from alumni_assets.survey.standing import Facts, Ingested, Seen, Waiver

from .test_standing import FIRST, NOW, SECOND, history, together


def test_equal_content_is_listed_the_first_seen_first() -> None:
    seen = {
        name: Seen(name, f"{name}.csv", sha, 1, NOW + timedelta(hours=hour))
        for name, sha, hour in [("c", "x", 2), ("a", "x", 3), ("b", "x", 2), ("d", "y", 0)]
    }
    facts = Facts(seen, {}, {}, {}, {})
    assert same_content(facts, "a") == ["b", "c"]
    assert same_content(facts, "d") == []


def equal(one: Facts, other: Facts) -> Facts:
    """These facts together, as if all uploads had the same content; the later named, the later received."""
    both = together(one, other)
    seen = {
        upload: replace(some, sha256="x", received_at=NOW + timedelta(hours=hour))
        for hour, (upload, some) in enumerate(both.seen.items())
    }
    return replace(both, seen=seen)


RETURNED = ("arrive b", "judge b", "withdraw b", "arrive o", "judge o", "arrive b")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (["arrive a", "judge a"], ["arrive b", "judge b"], {"b": "a"}),
        (["arrive a", "judge a"], ["arrive b"], {}),
        (["arrive a", "judge a"], ["arrive b", "duplicate b"], {}),
        (["arrive a", "judge a", "withdraw a"], ["arrive b", "judge b"], {}),
        (["arrive a", "judge a"], SECOND, {"a": "b"}),
        (["arrive a", "judge a"], SECOND[:3], {"a": "b"}),
        (FIRST, SECOND, {}),
        ([*FIRST, "judge a v2"], ["arrive b", "judge b"], {"b": "a"}),
        (["arrive a", "judge a"], RETURNED, {"b": "a", "o": "a"}),
        (FIRST, RETURNED, {"b": "a", "o": "a"}),
    ],
)
def test_of_equal_contents_the_one_stays_that_counts_or_came_first(
    one: Iterable[str], other: Iterable[str], expected: dict[str, str]
) -> None:
    facts = equal(history(*one, key="one.csv"), history(*other, key="other.csv"))
    assert repetitions(facts, facts.seen) == expected
    assert repetitions(facts, ["elsewhere"]) == {}


def test_what_a_person_corrects_or_gives_rows_up_of_stays_unless_other_content_counts() -> None:
    other = history("arrive b", "judge b", key="other.csv")
    facts = equal(history("arrive a", "judge a", key="one.csv"), other)
    waiver = Waiver("b", 1, ("1",), "", "Ana", NOW, "unknown")
    assert repetitions(replace(facts, waivers={"b": [waiver]}), facts.seen) == {"a": "b"}
    mended = {**facts.ingested, "c": Ingested("c", "validated", NOW, corrects="b")}
    assert repetitions(replace(facts, ingested=mended), facts.seen) == {"a": "b"}
    both = replace(facts, ingested=mended, waivers={"a": [replace(waiver, upload="a")]})
    assert repetitions(both, facts.seen) == {}
    assert repetitions(replace(equal(history(*FIRST, key="one.csv"), other), ingested=mended), facts.seen) == {"b": "a"}
