"""Preparing: what lies in the lake, that it may be done again, and that what was released stays as it is."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alumni_assets.answers.figures import Figures
from alumni_assets.layout import prepared_report_key
from alumni_assets.report import preparing
from alumni_assets.report.content import Content
from alumni_assets.report.keeping import FIGURES, MANIFEST, Documents, Edition, ReportError, Reports
from alumni_assets.report.preparing import Preparation, write_preview
from alumni_assets_tests.notifications.stand_ins import Crash, Fuse
from alumni_assets_tests.report.offices import (
    ANA,
    DOCUMENTS,
    Office,
    a_population,
    public_of,
    smtp_settings,
)

NOBODY_LISTENS = smtp_settings(9, ANA)


@pytest.fixture(autouse=True)
def written_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the documents look like is tested elsewhere; here they need but differ as the contents do."""

    def make(content: Content) -> Documents:
        return replace(DOCUMENTS, text=f"{content.summary} {content.counts}")

    monkeypatch.setattr(preparing, "make_documents", make)


def files(office: Office, edition: Edition) -> set[str]:
    folder = edition.key("")
    return {key.removeprefix(folder) for key in office.lake.objects if key.startswith(folder)}


def test_a_prepared_report_lies_in_the_folder_of_its_week(office: Office) -> None:
    office.publish(a_population())
    prepared = office.prepare()
    assert prepared.edition.week == "2026-W48"
    assert prepared.is_new
    assert not prepared.is_released
    assert prepared.edition.key("").startswith("reports/2026-W48/")
    assert files(office, prepared.edition) == {
        *["report.html", "report.txt", "report.pdf", "charts/degrees.png", "figures.json", "report.json"]
    }
    assert office.reports.find("2026-W48") == prepared.edition
    assert office.reports.documents(prepared.edition).pdf == DOCUMENTS.pdf


def test_only_figures_of_the_public_edition_are_kept(office: Office) -> None:
    office.publish([*a_population(), *a_population(3)[:3]])
    edition = office.prepare().edition
    kept = json.loads(office.lake.read_bytes(edition.key(FIGURES)))
    assert (kept["responses"], kept["cuts"], kept["quality"]["batches"]) == (None, [], [])
    assert Figures.model_validate(kept) == public_of([*a_population(), *a_population(3)[:3]])


def test_without_a_publication_there_is_nothing_to_report(office: Office) -> None:
    with pytest.raises(ReportError, match=r"Nothing is published yet, so there is nothing to report\. Approve"):
        office.prepare()
    assert office.lake.objects == {}


def test_preparing_again_changes_nothing_while_the_figures_are_the_same(office: Office) -> None:
    office.publish(a_population())
    first = office.prepare().edition
    office.clock.pass_by(days=1)
    again = office.prepare()
    assert (again.edition, again.is_new) == (first, False)


def test_preparing_again_takes_the_newest_figures(office: Office) -> None:
    office.publish(a_population())
    first = office.prepare().edition
    office.publish(a_population(180), generation=2)
    assert office.prepare().edition != first
    office.publish(a_population())
    assert office.prepare().edition == first
    assert office.reports.find("2026-W48") == first


def test_what_was_released_stays_as_it_is(office: Office) -> None:
    office.publish(a_population())
    released = office.prepare().edition
    office.release(NOBODY_LISTENS)
    office.publish(a_population(180), generation=2)
    again = office.prepare()
    assert (again.edition, again.is_new, again.is_released) == (released, False, True)


def test_a_release_while_another_is_being_prepared_wins(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.publish(a_population())
    released = office.prepare().edition
    office.publish(a_population(180), generation=2)
    really = Reports.keep

    def keep(reports: Reports, *what: object) -> bool:
        office.release(NOBODY_LISTENS)
        return really(reports, *what)

    monkeypatch.setattr(Reports, "keep", keep)
    again = office.prepare()
    assert (again.edition, again.is_released) == (released, True)
    assert office.reports.find("2026-W48") == released


def test_changes_are_told_since_the_newest_report_of_an_earlier_week(office: Office) -> None:
    office.publish(a_population())
    assert office.prepare().edition.since == ""
    office.clock.pass_by(weeks=1)
    office.publish(a_population(180), generation=2)
    assert office.prepare().edition.since == "23 November 2026"
    office.publish(a_population(240), generation=3)
    edition = office.prepare().edition
    assert (edition.since, edition.summary) == ("23 November 2026", "240 alumni, +120 since then.")
    office.clock.pass_by(weeks=3)
    edition = office.prepare().edition
    assert (edition.since, edition.summary) == (
        "30 November 2026",
        "Nothing new was published since then. Still 240 alumni.",
    )


def test_changes_are_told_since_the_report_that_was_sent(office: Office) -> None:
    office.publish(a_population())
    office.prepare()
    office.release(NOBODY_LISTENS)
    office.publish(a_population(180), generation=2)
    office.prepare()
    office.clock.pass_by(weeks=1)
    assert office.prepare().edition.summary == "180 alumni, +60 since then."


def test_a_report_that_was_cut_short_is_made_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.publish(a_population())
    whole = office.prepare().edition
    objects = dict(office.lake.objects)
    writes = 0
    really = type(office.lake).put_bytes

    for stop in range(1, len(files(office, whole)) + 2):
        office.lake.objects = {key: data for key, data in objects.items() if not key.startswith("reports/")}
        fuse = Fuse(stop)

        def put(lake: object, key: str, data: bytes, fuse: Fuse = fuse) -> None:
            fuse.step(key)
            really(lake, key, data)

        monkeypatch.setattr(type(office.lake), "put_bytes", put)
        with pytest.raises(Crash):
            office.prepare()
        writes += 1
        assert office.reports.find("2026-W48") is None
        monkeypatch.setattr(type(office.lake), "put_bytes", really)
        office.prepare()
        assert office.lake.objects == objects
    assert writes == 7


def test_a_prepared_report_that_cannot_be_read_is_said_and_prepared_again_as_it_says(office: Office) -> None:
    office.publish(a_population())
    edition = office.prepare().edition
    objects = dict(office.lake.objects)
    office.lake.put_bytes(edition.key(MANIFEST), b"?")
    with pytest.raises(
        ReportError,
        match=f"The prepared report reports/2026-W48/{edition.mark}/report.json .* Materialize weekly_report again",
    ):
        office.reports.find("2026-W48")
    assert office.prepare() == Preparation(edition, is_new=True, is_released=False)
    assert office.lake.objects == objects


@pytest.mark.parametrize("content", [b"", b"\0" * 12, b"\xff"])
def test_where_it_is_not_known_which_report_was_prepared_last_it_is_prepared_again(
    office: Office, content: bytes
) -> None:
    office.publish(a_population())
    edition = office.prepare().edition
    office.lake.put_bytes(prepared_report_key("2026-W48"), content)
    assert office.reports.find("2026-W48") is None
    office.prepare()
    assert office.reports.find("2026-W48") == edition


@pytest.mark.parametrize("damage", [b"", b"{", None], ids=["empty", "cut short", "missing"])
def test_a_released_report_that_cannot_be_read_is_to_be_restored_and_holds_up_no_later_one(
    office: Office, damage: bytes | None
) -> None:
    office.publish(a_population())
    edition = office.prepare().edition
    office.release(NOBODY_LISTENS)
    objects = dict(office.lake.objects)
    spoil(office, edition.key(MANIFEST), damage)
    with pytest.raises(ReportError, match=r"It was released, .* restore it from a backup\. Reports of later weeks"):
        office.prepare()
    office.clock.pass_by(weeks=1)
    assert office.prepare().edition.summary == "The first report: 120 alumni."
    office.clock.pass_by(weeks=-1)
    office.lake.objects |= {edition.key(MANIFEST): objects[edition.key(MANIFEST)]}
    assert office.prepare().edition == edition


@pytest.mark.parametrize("name", [MANIFEST, FIGURES])
@pytest.mark.parametrize("damage", [b"", b'{"alumni": 1}', None], ids=["empty", "of another version", "missing"])
def test_a_report_is_compared_with_the_newest_one_that_can_be_read(
    office: Office, name: str, damage: bytes | None
) -> None:
    editions = []
    for many in (120, 180):
        office.publish(a_population(many), generation=many)
        editions.append(office.prepare().edition)
        office.clock.pass_by(weeks=1)
    first, second = editions
    office.publish(a_population(240), generation=240)
    spoil(office, second.key(name), damage)
    edition = office.prepare().edition
    assert (edition.since, edition.summary) == ("23 November 2026", "240 alumni, +120 since then.")
    spoil(office, first.key(name), damage)
    edition = office.prepare().edition
    assert (edition.since, edition.summary) == ("", "The first report: 240 alumni.")


def spoil(office: Office, key: str, content: bytes | None) -> None:
    """Damage an object of the lake, or take it away."""
    del office.lake.objects[key]
    if content is not None:
        office.lake.put_bytes(key, content)


def test_a_preview_touches_nothing_in_the_lake(office: Office, tmp_path: Path) -> None:
    office.publish(a_population())
    before = dict(office.lake.objects)
    folder = tmp_path / "a" / "preview"
    paths = write_preview(folder, office.reports, "2026-W48", "", office.rules, office.clock())
    assert [path.name for path in paths] == ["report.html", "report.txt", "report.pdf", "report.eml"]
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        *["report.html", "report.txt", "report.pdf", "report.eml", "charts/degrees.png"]
    }
    assert office.lake.objects == before


def test_a_week_ends_at_midnight_in_manila(office: Office) -> None:
    office.publish(a_population())
    office.clock.time = office.clock.time.replace(day=29, hour=15, minute=59)  # Sunday 23:59 there
    assert office.prepare().edition.week == "2026-W48"
    office.clock.time += timedelta(minutes=1)
    assert office.prepare().edition.week == "2026-W49"
