"""What is taken in next, decided on listings alone."""

from datetime import UTC, datetime, timedelta

from alumni_assets import layout
from alumni_assets.intake_plan import (
    Limits,
    Plan,
    known_objects,
    lost_uploads,
    plan,
    plan_again,
    unknown_objects,
)
from alumni_assets.resources.lake_interface import LakeEntry
from alumni_assets.survey.standing import Arrival, Facts, Ingested, Seen

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
LIMITS = Limits(attempts=3, uploads=4, settle_seconds=2)


def entry(key: str, etag: str = "e1", size: int = 10, modified: datetime = LONG_AGO) -> LakeEntry:
    return LakeEntry(f"raw/{key}", size, etag, modified)


def attempts_at(found: LakeEntry, count: int) -> dict[str, int]:
    return {layout.listing_identity(found.key.removeprefix("raw/"), found.etag, found.size): count}


def facts(*arrivals: Arrival, ingested: tuple[Ingested, ...] = ()) -> Facts:
    seen = {
        arrival.upload: Seen(arrival.upload, arrival.key, "0" * 64, arrival.size, NOW.replace(tzinfo=None))
        for arrival in arrivals
    }
    logs: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        logs.setdefault(arrival.key, []).append(arrival)
    return Facts(seen, {fact.upload: fact for fact in ingested}, {}, logs, {})


def arrived(key: str, number: int, upload: str, etag: str | None = "e1", size: int = 10) -> Arrival:
    return Arrival(key, number, upload, etag, size, NOW.replace(tzinfo=None))


def validated(upload: str, invalid: int = 0) -> Ingested:
    return Ingested(upload, "validated", NOW.replace(tzinfo=None), rows=5, valid=5 - invalid, invalid=invalid)


def names(entries: list[LakeEntry]) -> list[str]:
    return [found.key for found in entries]


def test_known_is_what_was_ingested_with_this_very_content() -> None:
    known = known_objects(
        facts(
            arrived("a.csv", 1, "a1", "e1"),
            arrived("a.csv", 2, "a2", "e2"),
            arrived("b.csv", 1, "b1"),
            ingested=(validated("a1"), validated("a2")),
        )
    )
    assert known == {"a.csv": ("e2", 10)}
    listing = [entry("a.csv", "e2"), entry("a.csv", "e1"), entry("a.csv", "e2", 11), entry("b.csv"), entry("c.csv")]
    assert [(found.etag, found.size) for found in unknown_objects(listing[:3], known)] == [("e1", 10), ("e2", 11)]
    assert names(unknown_objects(listing[3:], known)) == ["raw/b.csv", "raw/c.csv"]


def test_an_upload_that_was_revived_elsewhere_is_not_what_its_name_holds() -> None:
    known = known_objects(
        facts(
            arrived("a.csv", 1, "a1", "e1"),
            arrived("a.csv", 2, "a2", "e2"),
            arrived("a.csv", 3, "a1", None),
            ingested=(validated("a1"), validated("a2")),
        )
    )
    assert known == {"a.csv": ("e2", 10)}


def test_equal_times_and_sizes_of_different_names_hide_nothing() -> None:
    listing = [entry(f"{number}.csv") for number in range(9)]
    assert len(unknown_objects(listing, {"3.csv": ("e1", 10)})) == 8


def test_names_of_unfinished_transfers_are_ignored() -> None:
    listing = [
        entry(key)
        for key in ("a.csv.part", "~$book.xlsx", ".a.csv.swp", "b.crdownload", "c.csv.TMP", "x/.hidden", "d.filepart")
    ]
    assert unknown_objects(listing, {}) == []
    assert names(unknown_objects([entry("part.csv"), entry("a.tmp.csv")], {})) == ["raw/a.tmp.csv", "raw/part.csv"]


def test_new_objects_are_taken_together_in_the_order_in_which_they_were_written() -> None:
    later = LONG_AGO + timedelta(seconds=1)
    unknown = unknown_objects([entry("d.csv"), entry("a.csv", modified=later), entry("b.csv")], {})
    found = plan(unknown, set(), {}, LIMITS, NOW)
    assert found == Plan(together=("b.csv", "d.csv", "a.csv"))
    assert found.runs == [("b.csv", "d.csv", "a.csv")]


def test_nothing_new_makes_no_run() -> None:
    assert plan([], set(), {}, LIMITS, NOW).runs == []


def test_one_run_takes_a_bounded_number() -> None:
    unknown = [entry(f"{number}.csv") for number in range(9)]
    assert plan(unknown, set(), {}, LIMITS, NOW).together == ("0.csv", "1.csv", "2.csv", "3.csv")


def test_what_a_run_is_at_work_on_is_left_for_later() -> None:
    assert plan([entry("a.csv"), entry("b.csv")], {"a.csv"}, {}, LIMITS, NOW).together == ("b.csv",)


def test_what_was_modified_just_now_is_left_until_it_settles() -> None:
    fresh = entry("a.csv", modified=NOW - timedelta(seconds=1.9))
    settled = entry("b.csv", modified=NOW - timedelta(seconds=2))
    ahead = entry("c.csv", modified=NOW + timedelta(seconds=5))
    assert plan([fresh, settled, ahead], set(), {}, LIMITS, NOW).together == ("b.csv",)
    assert plan([fresh], set(), {}, LIMITS, NOW + timedelta(seconds=1)).together == ("a.csv",)


def test_a_file_that_claims_to_be_from_the_future_is_taken() -> None:
    future = entry("a.csv", modified=NOW + timedelta(days=300))
    assert plan([future], set(), {}, LIMITS, NOW).together == ("a.csv",)


def test_what_failed_before_is_tried_alone_then_given_up() -> None:
    failing, fine = entry("a.csv"), entry("b.csv")
    tried = [plan([failing, fine], set(), attempts_at(failing, count), LIMITS, NOW) for count in range(5)]
    assert tried == [
        Plan(together=("a.csv", "b.csv")),
        Plan(together=("b.csv",), alone=("a.csv",)),
        Plan(together=("b.csv",), alone=("a.csv",)),
        Plan(together=("b.csv",), given_up=("a.csv",)),
        Plan(together=("b.csv",), given_up=("a.csv",)),
    ]
    assert tried[1].runs == [("b.csv",), ("a.csv",)]


def test_what_was_given_up_is_tried_again_when_it_changes() -> None:
    attempts = attempts_at(entry("a.csv"), 3)
    assert plan([entry("a.csv", "e2")], set(), attempts, LIMITS, NOW).together == ("a.csv",)


def test_forgotten_are_uploads_that_dagster_or_the_lake_has_lost() -> None:
    held = facts(
        arrived("a.csv", 1, "a.csv@00000001"),
        arrived("b.csv", 1, "b.csv@00000002"),
        arrived("c.csv", 1, "c.csv@00000003"),
        arrived("d.csv", 1, "d.csv@00000004"),
        ingested=(
            validated("a.csv@00000001"),
            validated("b.csv@00000002", invalid=1),
            Ingested("c.csv@00000003", "rejected", NOW.replace(tzinfo=None)),
        ),
    )
    partitions = ["a.csv@00000001", "b.csv@00000002", "c.csv@00000003"]
    stored = {f"invalid/b.csv-00000002.{suffix}" for suffix in ("parquet", "xlsx", "csv")}
    assert lost_uploads(held, partitions, stored) == []
    for lost in stored:
        assert lost_uploads(held, partitions, stored - {lost}) == ["b.csv@00000002"]
    assert lost_uploads(held, partitions, set()) == ["b.csv@00000002"]
    assert lost_uploads(held, [], stored) == partitions


def test_what_has_to_be_entered_again_is_tried_in_the_same_way() -> None:
    attempts = {layout.upload_identity("a"): 1, layout.upload_identity("b"): 3}
    assert plan_again(["a", "b", "c"], attempts, LIMITS) == Plan(together=("c",), alone=("a",), given_up=("b",))
