"""What may be let go of: nothing that is needed, whatever the history, the ages and what the lake has."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from alumni_assets import layout
from alumni_assets.intake_plan import lost_uploads
from alumni_assets.resources.lake_interface import LakeEntry
from alumni_assets.retention_plan import FOLDERS, Due, Why, due
from alumni_assets.stages.archive import archive_folder
from alumni_assets.survey.quarantine import Quarantine, corrections_by_upload
from alumni_assets.survey.standing import (
    Arrival,
    Decision,
    Facts,
    Ingested,
    Seen,
    Transformed,
    Waiver,
    standings,
)
from alumni_assets.survey_rules import RetentionRules

NOW = datetime(2026, 11, 27, 12)
OLD, YOUNG = 100, 3
LAYERS = ("raw_days", "pinned_days", "correction_files_days", "reports_days")
ALL = RetentionRules(**dict.fromkeys(LAYERS, 30))
JUDGEMENTS = ("judge", "spoil", "mend", "reject")


def days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


class History:
    """What has happened in a lake: each deed is done to an upload, so many days ago, if it can be."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self.ingested: dict[str, Ingested] = {}
        self.transformed: dict[str, Transformed] = {}
        self.arrivals: dict[str, list[Arrival]] = {}
        self.decisions: dict[str, list[Decision]] = {}
        self.waivers: dict[str, list[Waiver]] = {}
        self.judged = 0

    def possible(self, upload: str) -> tuple[str, ...]:
        """What may be done next to an upload."""
        if upload not in self.seen:
            return ("arrive",)
        if upload not in self.ingested:
            return (*JUDGEMENTS, "duplicate")
        decided = ("make", "withdraw", *JUDGEMENTS) if self.decisions.get(upload) else ()
        return ("arrive", "approve", "waive", "withdraw", *decided)

    @property
    def facts(self) -> Facts:
        return Facts(
            dict(self.seen),
            dict(self.ingested),
            dict(self.transformed),
            {key: list(log) for key, log in self.arrivals.items()},
            {upload: list(log) for upload, log in self.decisions.items()},
            {upload: list(log) for upload, log in self.waivers.items()},
        )

    def do(self, deed: str, upload: str, days: int = OLD) -> "History":
        key, at, was = upload.partition("@")[0], days_ago(days), self.ingested.get(upload)
        self.judged += 1
        if deed == "arrive":
            log = self.arrivals.setdefault(key, [])
            self.seen.setdefault(upload, Seen(upload, key, f"bytes of {upload}", 10, at))
            log.append(Arrival(key, len(log) + 1, upload, f"etag of {upload}", 10, at))
        elif deed in {"judge", "spoil"}:
            bad = 2 if deed == "spoil" else 0
            self.ingested[upload] = Ingested(
                upload,
                "validated",
                at,
                5,
                5 - bad,
                bad,
                content=f"{upload} {self.judged}",
                invalid_content=f"bad of {upload}",
            )
        elif deed == "mend":
            others = [some for some, ingested in self.ingested.items() if ingested.invalid and some != upload]
            if others:
                self.ingested[upload] = Ingested(
                    upload, "validated", at, 2, 2, 0, content=f"{upload} {self.judged}", corrects=others[0],
                    against=f"bad of {others[0]}", mends=("1-2",),
                )  # fmt: skip
        elif deed in {"reject", "duplicate"}:
            self.ingested[upload] = Ingested(upload, {"reject": "rejected"}.get(deed, deed), at)
        elif deed in {"approve", "withdraw"} and was is not None and was.outcome == "validated":
            kind, log = {"approve": "approved", "withdraw": "withdrawn"}[deed], self.decisions.setdefault(upload, [])
            arrival = standings(self.facts)[upload].arrival
            log.append(Decision(upload, len(log) + 1, kind, "Ana", at, arrival=arrival, content=was.content))
        elif deed == "make" and self.decisions.get(upload):
            content = self.decisions[upload][-1].content
            self.transformed[upload] = Transformed(upload, content, f"rows of {upload}", 5, 0, at)
        elif deed == "waive" and was is not None and was.invalid:
            log_of_waivers = self.waivers.setdefault(upload, [])
            log_of_waivers.append(Waiver(upload, 1, ("1-2",), was.invalid_content, "Ana", at, "left"))
        return self


def told(*events: str) -> Facts:
    """A history of events such as `judge a.csv@00000001`, all long ago; with a number, so many days ago."""
    history = History()
    for event in events:
        deed, upload, days = [*event.split(), str(OLD)][:3]
        history.do(deed, upload, int(days))
    return history.facts


def entry(key: str, days: int = OLD, etag: str = "e", size: int = 10) -> LakeEntry:
    return LakeEntry(key, size, etag, days_ago(days).replace(tzinfo=UTC))


def objects(facts: Facts) -> list[LakeEntry]:
    """All that the lake has where nothing was lost, all of it old."""
    found = []
    for upload, seen in facts.seen.items():
        found += [entry(layout.pinned_key(upload))]
        if (ingested := facts.ingested.get(upload)) is not None and ingested.invalid:
            found += [entry(key) for key in (layout.invalid_key(upload), *layout.correction_keys(upload))]
        if (transformed := facts.transformed.get(upload)) is not None:
            folder = archive_folder(transformed)
            names = (f"original/{seen.key}", "transformed.parquet", "manifest.json")
            found += [entry(folder + name) for name in names]
    found += [entry(layout.RAW + key, etag=log[-1].etag or "") for key, log in facts.arrivals.items()]
    return found


def gone(facts: Facts, rules: RetentionRules = ALL, listing: Sequence[LakeEntry] | None = None) -> dict[str, Why]:
    return {one.entry.key: one.why for one in due(objects(facts) if listing is None else listing, facts, rules, NOW)}


A, B = "a.csv@0000000a", "b.csv@0000000b"
COUNTS = (f"arrive {A}", f"judge {A}", f"approve {A}", f"make {A}")


def test_of_what_counts_the_archive_and_the_tables_stay() -> None:
    assert gone(told(*COUNTS)) == {"raw/a.csv": Why.PINNED, "pinned/a.csv-0000000a": Why.ARCHIVED}


def test_each_layer_has_an_age_of_its_own_and_none_by_default() -> None:
    facts = told(*COUNTS, f"arrive {B}", f"spoil {B}", f"approve {B}", f"make {B}", f"waive {B}")
    weeks = [entry(f"reports/2026-W0{week}/prepared.txt") for week in (1, 2, 3)]
    listing = [*objects(facts), *weeks]
    assert gone(facts, RetentionRules(), listing) == {}
    assert not RetentionRules().is_on
    by_layer = {layer: gone(facts, RetentionRules(**{layer: 30}), listing) for layer in LAYERS}
    assert {layer: set(found) for layer, found in by_layer.items()} == {
        "raw_days": {"raw/a.csv", "raw/b.csv"},
        "pinned_days": {"pinned/a.csv-0000000a"},
        "correction_files_days": {"invalid/b.csv-0000000b.xlsx", "invalid/b.csv-0000000b.csv"},
        "reports_days": {"reports/2026-W01/prepared.txt"},
    }
    assert gone(facts, ALL, listing) == {key: why for found in by_layer.values() for key, why in found.items()}


@pytest.mark.parametrize(
    "events",
    [
        [f"arrive {A}"],
        [f"arrive {A}", f"judge {A}"],
        [f"arrive {A}", f"spoil {A}"],
        [f"arrive {A}", f"judge {A}", f"approve {A}"],
        [*COUNTS, f"judge {A}"],
        [f"arrive {A}", f"judge {A}", f"withdraw {A}"],
    ],
    ids=["only seen", "waits", "waits with open rows", "is not made", "was judged anew", "was never archived"],
)
def test_a_pinned_copy_stays_while_something_is_to_become_of_it(events: list[str]) -> None:
    facts = told(*events)
    assert layout.pinned_key(A) not in gone(facts)
    assert set(gone(facts)) <= {"raw/a.csv"}
    assert layout.RAW + "a.csv" in gone(facts) or A not in facts.ingested


def test_open_rows_keep_the_pinned_copy_and_the_files_in_which_they_are_corrected() -> None:
    open_rows = told(f"arrive {A}", f"spoil {A}", f"approve {A}", f"make {A}")
    assert gone(open_rows) == {"raw/a.csv": Why.PINNED}
    corrected = told(f"arrive {A}", f"spoil {A}", f"approve {A}", f"make {A}", f"arrive {B}", f"mend {B}")
    files = dict.fromkeys(layout.correction_keys(A), Why.CLOSED)
    assert gone(corrected) == {"raw/a.csv": Why.PINNED, "raw/b.csv": Why.PINNED, **files}
    without_pinned = [one for one in objects(corrected) if one.key != layout.pinned_key(A)]
    assert gone(corrected, listing=without_pinned) == {"raw/b.csv": Why.PINNED}


def test_correction_files_that_were_let_go_of_are_not_lost_until_a_row_is_open_again() -> None:
    events = (f"arrive {A}", f"spoil {A}", f"approve {A}", f"make {A}", f"arrive {B}", f"mend {B}")
    facts, kept = told(*events), {layout.invalid_key(A)}
    assert lost_uploads(facts, [A, B], kept) == []
    assert lost_uploads(facts, [A, B], set()) == [A]
    assert lost_uploads(told(*events, f"withdraw {B}"), [A, B], kept) == [A]


@pytest.mark.parametrize("deed", ["reject", "duplicate"])
def test_what_has_no_rows_goes_for_good(deed: str) -> None:
    found = gone(told(f"arrive {A}", f"{deed} {A}"))
    assert found == {"raw/a.csv": Why.PINNED, layout.pinned_key(A): Why.WITHOUT_ROWS}


def test_without_its_archive_a_pinned_copy_stays() -> None:
    facts = told(*COUNTS)
    listing = [one for one in objects(facts) if not one.key.endswith("manifest.json")]
    assert gone(facts, listing=listing) == {"raw/a.csv": Why.PINNED}


def test_a_file_in_raw_stays_that_is_not_what_was_taken_in_or_is_the_only_copy() -> None:
    facts = told(f"arrive {A}", f"judge {A}")
    assert gone(facts, listing=[entry("raw/a.csv", etag="another"), entry(layout.pinned_key(A))]) == {}
    assert gone(facts, listing=[entry("raw/a.csv", etag=f"etag of {A}")]) == {}
    cut_short = entry(layout.pinned_key(A), size=9)
    assert gone(facts, listing=[entry("raw/a.csv", etag=f"etag of {A}"), cut_short]) == {}
    assert gone(facts, listing=[entry("raw/new.csv")]) == {}


def test_an_age_begins_with_the_last_that_was_said_of_an_upload() -> None:
    assert layout.pinned_key(A) not in gone(told(*COUNTS, f"withdraw {A} {YOUNG}"))
    assert layout.pinned_key(A) in gone(told(*COUNTS, f"withdraw {A} {OLD}"))
    successor = A.replace("0a", "0c")
    assert layout.pinned_key(A) not in gone(told(*COUNTS, f"arrive {successor} {YOUNG}"))
    restored = [replace(one, modified=days_ago(YOUNG).replace(tzinfo=UTC)) for one in objects(told(*COUNTS))]
    assert gone(told(*COUNTS), listing=restored) == {}


def test_the_two_newest_reports_stay_and_a_week_goes_as_a_whole() -> None:
    old = [entry(f"reports/2026-W0{week}/{name}") for week in (1, 2, 3) for name in ("prepared.txt", "mark/report.pdf")]
    assert set(gone(told(), listing=old)) == {"reports/2026-W01/prepared.txt", "reports/2026-W01/mark/report.pdf"}
    renewed = [*old, entry("reports/2026-W01/prepared.txt", YOUNG)]
    assert gone(told(), listing=renewed) == {}


def test_what_is_in_no_weeks_folder_takes_no_reports_place_and_stays() -> None:
    weeks = [entry(f"reports/2026-W0{week}/prepared.txt") for week in (1, 2, 3)]
    names = ("desktop.ini", "zz/prepared.txt", "a/b.txt", "2026-W99", "2026-W03 (copy)/prepared.txt", "2026-W001/a")
    strays = [entry(f"reports/{name}") for name in names]
    assert set(gone(told(), listing=[*weeks, *strays])) == {"reports/2026-W01/prepared.txt"}


def lake_of(chance: Random) -> tuple[Facts, list[LakeEntry], RetentionRules]:
    """A history, what the lake has of it, of any age, something of it perhaps lost; and any ages."""

    def days() -> int:
        return chance.choice([OLD, OLD, OLD, OLD, OLD, OLD, 30, 29, YOUNG])

    history, uploads = History(), [f"{key}.csv@0000000{digit}" for key in "ab" for digit in (1, 2)]
    for _ in range(chance.randrange(60)):
        upload = chance.choice(uploads)
        history.do(chance.choice(history.possible(upload)), upload, OLD if chance.random() < 0.97 else YOUNG)
    facts = history.facts
    strays = [entry(f"{folder}stray.csv") for folder in FOLDERS]
    listing = [
        replace(one, modified=days_ago(days()).replace(tzinfo=UTC))
        for one in [*objects(facts), *strays]
        if chance.random() < 0.9
    ]
    return facts, listing, RetentionRules(**{layer: chance.choice([30, 30, 30, 15, None]) for layer in LAYERS})


def test_nothing_that_is_needed_is_ever_chosen() -> None:
    chosen: Counter[Why] = Counter()
    for seed in range(1000):
        facts, listing, rules = lake_of(Random(seed))
        found = due(listing, facts, rules, NOW)
        chosen.update(one.why for one in found)
        assert needed_among(found, facts, listing, rules) == [], f"seed {seed}"
    assert all(chosen[why] > 50 for why in Why if why is not Why.OLD_REPORT), chosen


def needed_among(found: Sequence[Due], facts: Facts, listing: Sequence[LakeEntry], rules: RetentionRules) -> list[str]:
    """Why some of what was chosen is needed, said in another way than it is decided."""
    keys, before = {one.entry.key for one in found}, {one.key for one in listing}
    after = before - keys
    wrong = [f"{key} is not listed" for key in keys - before]
    wrong += [f"{key} never goes" for key in keys if key.startswith(layout.ARCHIVE) or key.endswith(".parquet")]
    wrong += [f"{one.entry.key} is young" for one in found if not _is_of_age(one, rules)]
    stands = standings(facts)
    quarantine, corrections = Quarantine(facts, stands), corrections_by_upload(facts)
    for upload in facts.seen:
        ingested, standing, set_aside = facts.ingested.get(upload), stands[upload], quarantine.of(upload)
        is_validated = ingested is not None and ingested.outcome == "validated"
        had_rows = is_validated or bool(facts.decisions.get(upload))
        is_mixed = bool(ingested and (ingested.invalid or ingested.corrects or upload in corrections))
        has_open_rows = set_aside is not None and set_aside.open > 0
        awaits_a_person = standing.waits or standing.status in {"seen", "validated", "correction", "approved"}
        if layout.pinned_key(upload) in keys:
            wrong += [f"{upload} awaits a person"] if awaits_a_person else []
            wrong += [f"{upload} may be judged again"] if is_mixed and had_rows else []
        if has_open_rows and keys & {layout.pinned_key(upload), *layout.correction_keys(upload)}:
            wrong.append(f"{upload} has open rows")
        if had_rows and _copies(facts, upload, before) and not _copies(facts, upload, after):
            wrong.append(f"nothing is left of {upload}")
    for key, log in facts.arrivals.items():
        last = log[-1].upload
        ended = facts.ingested[last].outcome if last in facts.ingested else ""
        is_kept = bool(_copies(facts, last, after)) or ended in {"rejected", "duplicate"}
        wrong += [f"{key} is the only copy"] if layout.RAW + key in keys and not is_kept else []
    return wrong


def _copies(facts: Facts, upload: str, keys: set[str]) -> set[str]:
    """The copies of an upload's original among these objects, besides the one in raw/."""
    transformed = facts.transformed.get(upload)
    archived = {f"{archive_folder(transformed)}manifest.json"} if transformed else set()
    return keys & {layout.pinned_key(upload), *archived}


def _is_of_age(one: Due, rules: RetentionRules) -> bool:
    days = {
        "raw": rules.raw_days,
        "pinned": rules.pinned_days,
        "correction_files": rules.correction_files_days,
        "reports": rules.reports_days,
    }[one.layer]
    return days is not None and one.entry.modified.replace(tzinfo=None) <= NOW - timedelta(days=days)
