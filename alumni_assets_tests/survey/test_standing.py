"""Where uploads stand: small sets of facts and what follows from them."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.survey.standing import (
    Arrival,
    Decision,
    Facts,
    Ingested,
    Seen,
    Status,
    Transformed,
    last_arrivals,
    standings,
    standings_of,
)

NOW = datetime(2026, 11, 23)
KEY = "answers.csv"


def history(*events: str, key: str = KEY) -> Facts:
    """The facts after some events at one key, each written as `<what> <upload> [content]`.

    `arrive` finds the upload at the key, `revive` notes equal content at another key; `judge` validates it
    (its valid rows then have the given content), `mend` validates it as a correction of the given upload,
    `reject` and `duplicate` end its intake otherwise;
    `approve` and `withdraw` decide about its newest arrival; `make` transforms what was approved last.
    """
    seen: dict[str, Seen] = {}
    ingested: dict[str, Ingested] = {}
    transformed: dict[str, Transformed] = {}
    arrivals: list[Arrival] = []
    decisions: dict[str, list[Decision]] = defaultdict(list)
    for event in events:
        what, upload, content = [*event.split(), "v1"][:3]
        if what in {"arrive", "revive"}:
            seen.setdefault(upload, Seen(upload, key, f"sha of {upload}", 1, NOW))
            etag = "e" if what == "arrive" else None
            arrivals.append(Arrival(key, len(arrivals) + 1, upload, etag, 1, NOW))
        elif what in {"judge", "reject", "duplicate"}:
            outcome = {"judge": "validated", "reject": "rejected", "duplicate": "duplicate"}[what]
            ingested[upload] = Ingested(upload, outcome, NOW, content=f"{upload} {content}" if what == "judge" else "")
        elif what == "mend":
            ingested[upload] = Ingested(upload, "validated", NOW, valid=1, content=f"{upload} v1", corrects=content)
        elif what in {"approve", "withdraw"}:
            arrival = standings(facts_of(seen, ingested, transformed, arrivals, decisions))[upload].arrival
            kind = {"approve": "approved", "withdraw": "withdrawn"}[what]
            of = ingested[upload].content if what == "approve" else ""
            number = len(decisions[upload]) + 1
            decisions[upload].append(Decision(upload, number, kind, "Ana", NOW, arrival=arrival, content=of))
        elif what == "make":
            transformed[upload] = Transformed(upload, decisions[upload][-1].content, "t", 1, 0, NOW)
        else:
            raise ValueError(event)
    return facts_of(seen, ingested, transformed, arrivals, decisions)


def facts_of(
    seen: dict[str, Seen],
    ingested: dict[str, Ingested],
    transformed: dict[str, Transformed],
    arrivals: list[Arrival],
    decisions: dict[str, list[Decision]],
) -> Facts:
    by_key: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        by_key[arrival.key].append(arrival)
    return Facts(
        dict(seen), dict(ingested), dict(transformed), by_key, {name: list(log) for name, log in decisions.items()}
    )


def together(one: Facts, other: Facts) -> Facts:
    """The facts of two histories at different keys."""
    return Facts(
        {**one.seen, **other.seen},
        {**one.ingested, **other.ingested},
        {**one.transformed, **other.transformed},
        {**one.arrivals, **other.arrivals},
        {**one.decisions, **other.decisions},
    )


def shown(facts: Facts) -> str:
    """Each upload with its status; * when its rows count, ? when it waits for a person."""
    stands = standings(facts)
    return ", ".join(
        f"{upload} {stands[upload].status}{'*' * stands[upload].counts}{'?' * stands[upload].waits}"
        for upload in sorted(stands)
    )


FIXED = ("arrive c", "mend c a", "approve c", "make c")
FIRST = ("arrive a", "judge a", "approve a", "make a")
SECOND = ("arrive b", "judge b", "approve b", "make b")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["arrive a"], "a seen"),
        (["arrive a", "reject a"], "a rejected"),
        (["arrive a", "duplicate a"], "a duplicate"),
        (["arrive a", "judge a"], "a validated?"),
        (["arrive a", "judge a", "approve a"], "a approved"),
        (FIRST, "a transformed*"),
        # Supersession: only once the successor is transformed.
        ([*FIRST, "arrive b"], "a transformed*, b seen"),
        ([*FIRST, "arrive b", "reject b"], "a transformed*, b rejected"),
        ([*FIRST, "arrive b", "judge b"], "a transformed*, b validated?"),
        ([*FIRST, "arrive b", "judge b", "approve b"], "a transformed*, b approved"),
        ([*FIRST, *SECOND], "a superseded, b transformed*"),
        (["arrive a", "judge a", *SECOND], "a superseded, b transformed*"),
        (["arrive a", "reject a", *SECOND], "a rejected, b transformed*"),
        (["arrive a", "judge a", "arrive b", "judge b"], "a validated?, b validated?"),
        (["arrive a", "judge a", "arrive b", "judge b", "approve a", "make a"], "a transformed*, b validated?"),
        # Revival: the old content again, at its key or at another, waits for approval again.
        ([*FIRST, *SECOND, "arrive a"], "a validated?, b transformed*"),
        ([*FIRST, *SECOND, "revive a"], "a validated?, b transformed*"),
        ([*FIRST, *SECOND, "arrive a", "approve a"], "a transformed*, b superseded"),
        ([*FIRST, *SECOND, "arrive a", "approve a", "arrive b", "approve b"], "a superseded, b transformed*"),
        # What counts already is not disturbed by coming again.
        ([*FIRST, "arrive a"], "a transformed*"),
        ([*FIRST, "revive a"], "a transformed*"),
        ([*FIRST, "arrive b", "reject b", "arrive a"], "a transformed*, b rejected"),
        ([*FIRST, "arrive b", "judge b", "arrive a"], "a transformed*, b superseded"),
        ([*FIRST, "arrive b", "judge b", "revive a"], "a transformed*, b superseded"),
        ([*FIRST, "arrive b", "judge b", "arrive a", "arrive b"], "a transformed*, b validated?"),
        # A file that is only touched does not come again, though other content was revived meanwhile.
        ([*FIRST, *SECOND, "revive a", "approve a", "arrive b"], "a transformed*, b superseded"),
        ([*FIRST, *SECOND, "revive a", "approve a", "revive b"], "a transformed*, b validated?"),
        ([*FIRST, *SECOND, "revive a", "approve a", "arrive a", "arrive b"], "a transformed*, b validated?"),
        # Withdrawal gives way to what was there before, and lasts until other content was there.
        ([*FIRST, "withdraw a"], "a withdrawn"),
        ([*FIRST, *SECOND, "withdraw b"], "a transformed*, b withdrawn"),
        ([*FIRST, *SECOND, "withdraw b", "withdraw a"], "a withdrawn, b withdrawn"),
        ([*FIRST, "withdraw a", "arrive a"], "a withdrawn"),
        ([*FIRST, "withdraw a", "arrive b", "reject b", "arrive a"], "a validated?, b rejected"),
        ([*FIRST, "withdraw a", "approve a"], "a transformed*"),
        ([*FIRST, "withdraw a", *SECOND], "a superseded, b transformed*"),
        (["arrive a", "judge a", "approve a", "withdraw a"], "a withdrawn"),
        (["arrive a", "judge a", "withdraw a"], "a withdrawn"),
        # Judged anew: the approval is stale, and the old rows count until the new ones are made.
        ([*FIRST, "judge a v1"], "a transformed*"),
        ([*FIRST, "judge a v2"], "a transformed*?"),
        ([*FIRST, "judge a v2", "approve a"], "a approved*"),
        ([*FIRST, "judge a v2", "approve a", "make a"], "a transformed*"),
        ([*FIRST, "judge a v2", "approve a", "judge a v3"], "a transformed*?"),
        ([*FIRST, "judge a v2", "approve a", "withdraw a"], "a withdrawn"),
        ([*FIRST, "judge a v2", "arrive b", "judge b"], "a transformed*?, b validated?"),
        ([*FIRST, "judge a v2", *SECOND], "a superseded, b transformed*"),
        ([*FIRST, "reject a"], "a transformed*"),
        (["arrive a", "judge a", "approve a", "judge a v2"], "a validated?"),
        (["arrive a", "judge a", "approve a", "judge a v2", "approve a"], "a approved"),
    ],
)
def test_the_standing_follows_from_the_facts(events: Iterable[str], expected: str) -> None:
    assert shown(history(*events)) == expected


def test_a_superseded_upload_names_its_successor() -> None:
    stands = standings(history(*FIRST, *SECOND))
    assert (stands["a"].superseded_by, stands["b"].superseded_by) == ("b", "")


def test_an_approval_now_would_be_for_the_newest_arrival() -> None:
    assert standings(history(*FIRST, *SECOND, "arrive a"))["a"].arrival == 3


def test_the_approval_in_force_is_the_newest() -> None:
    approval = standings(history(*FIRST, "judge a v2", "approve a"))["a"].approval
    assert approval is not None
    assert (approval.number, approval.content) == (2, "a v2")
    assert standings(history(*FIRST, "withdraw a"))["a"].approval is None


def test_uploads_under_other_keys_do_not_disturb_each_other() -> None:
    one, other = history(*FIRST), history(*SECOND, key="other.csv")
    assert shown(together(one, other)) == "a transformed*, b transformed*"


def test_last_arrivals_are_those_found_at_the_key_itself() -> None:
    facts = history("arrive a", "arrive b", "revive a")
    assert {key: arrival.upload for key, arrival in last_arrivals(facts).items()} == {KEY: "b"}
    assert last_arrivals(history("revive a")) == {}


_event = st.builds(
    "{} {} {}".format,
    st.sampled_from(["arrive", "revive", "judge", "reject", "approve", "make", "withdraw"]),
    st.sampled_from("abc"),
    st.sampled_from(["v1", "v2"]),
)


def possible(events: list[str]) -> list[str]:
    """The events that can happen in their turn: nothing is judged before it came, or made before its approval."""
    came: set[str] = set()
    judged: set[str] = set()
    approved: set[str] = set()
    kept = []
    for event in events:
        what, upload, _ = event.split()
        needed = {"judge": came, "reject": came, "approve": judged, "withdraw": judged, "make": approved}
        if upload not in needed.get(what, {upload}):
            continue
        kept.append(event)
        if what in {"arrive", "revive"}:
            came.add(upload)
        elif what == "judge":
            judged.add(upload)
        elif what == "reject":
            judged.discard(upload)
            approved.discard(upload)
        elif what == "approve":
            approved.add(upload)
        elif what == "withdraw":
            approved.discard(upload)
    return kept


@given(st.lists(_event, max_size=25), st.randoms(use_true_random=False))
def test_the_order_of_the_facts_does_not_matter(events: list[str], order: random.Random) -> None:
    facts = history(*possible(events))

    def shuffled(mapping: Mapping[str, Any]) -> dict[str, Any]:
        return dict(order.sample(list(mapping.items()), len(mapping)))

    other = Facts(
        *(shuffled(part) for part in (facts.seen, facts.ingested, facts.transformed, facts.arrivals, facts.decisions))
    )
    assert standings(other) == standings(facts)


@given(st.lists(_event, max_size=30))
def test_at_most_one_upload_of_a_key_counts_and_it_was_approved_and_made(events: list[str]) -> None:
    facts = history(*possible(events))
    stands = standings(facts)
    counting = [standing for standing in stands.values() if standing.counts]
    assert len(counting) <= 1
    for standing in counting:
        sources = [decision.content for decision in facts.decisions[standing.upload] if decision.kind == "approved"]
        assert facts.transformed[standing.upload].source in sources
        assert facts.decisions[standing.upload][-1].kind == "approved"
    assert {standing.superseded_by for standing in stands.values()} - {""} <= {one.upload for one in counting}
    assert set(stands) == set(facts.seen)
    assert all(standing.counts for standing in stands.values() if standing.status is Status.TRANSFORMED)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["arrive a", "judge a", "arrive c", "mend c a"], "a validated?, c correction?"),
        (["arrive a", "judge a", "arrive c", "mend c a", "approve c"], "a validated?, c approved"),
        # A correction counts by itself, and never supersedes, though it has the name of what it corrects.
        (["arrive a", "judge a", *FIXED], "a validated?, c transformed*"),
        ([*FIRST, *FIXED], "a transformed*, c transformed*"),
        (
            [*FIRST, *FIXED, "arrive d", "mend d a", "approve d", "make d"],
            "a transformed*, c transformed*, d transformed*",
        ),
        ([*FIRST, *FIXED, "withdraw c"], "a transformed*, c withdrawn"),
        ([*FIRST, "arrive c", "reject c"], "a transformed*, c rejected"),
        # It falls with what it corrects, approved or not, and comes back with it.
        ([*FIRST, *FIXED, *SECOND], "a superseded, b transformed*, c superseded"),
        ([*FIRST, "arrive c", "mend c a", *SECOND], "a superseded, b transformed*, c superseded"),
        ([*FIRST, *FIXED, "withdraw a"], "a withdrawn, c withdrawn"),
        ([*FIRST, *FIXED, *SECOND, "withdraw b"], "a transformed*, b withdrawn, c transformed*"),
        (["arrive a", "judge a", *FIXED, "duplicate a"], "a duplicate, c superseded"),
        # Content put back after a correction came under the same name was there all the time.
        ([*FIRST, *FIXED, "arrive a"], "a transformed*, c transformed*"),
    ],
)
def test_a_correction_stands_by_itself_and_falls_with_what_it_corrects(events: list[str], expected: str) -> None:
    assert shown(history(*events)) == expected


def test_a_correction_that_mended_nothing_waits_for_nobody() -> None:
    facts = history("arrive a", "judge a", "arrive c", "mend c a")
    useless = replace(facts.ingested["c"], valid=0)
    stands = standings(replace(facts, ingested={**facts.ingested, "c": useless}))
    assert (stands["c"].status, stands["c"].waits) == (Status.CORRECTION, False)


def test_where_some_uploads_stand_does_not_depend_on_looking_at_the_others() -> None:
    facts = history(*FIRST, *FIXED, *SECOND)
    everything = standings(facts)
    for upload in everything:
        assert standings_of(facts, [upload])[upload] == everything[upload]
