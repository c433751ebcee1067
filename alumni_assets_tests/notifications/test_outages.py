"""When the lake cannot be used: told once, from a book of its own, and again only after it had recovered."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alumni_assets.register import RegisterError
from alumni_assets.resources.lake_interface import LakeError
from alumni_assets_tests.damage import cut_in_half, overwrite_with_noise
from alumni_assets_tests.notifications.conftest import World
from alumni_assets_tests.notifications.stand_ins import Fuse, Inbox


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def test_an_outage_is_told_once(world: World, inbox: Inbox) -> None:
    world.tell(inbox)
    world.lake.is_gone = True
    for _ in range(5):
        assert world.tell(inbox).outage == "The lake folder '/lake' does not exist. Create it."
        world.clock.pass_by(hours=1)
    assert inbox.subjects == ["The lake cannot be read"]
    assert "The lake folder '/lake' does not exist." in inbox.accepted[0].body


def test_an_outage_is_told_again_after_the_lake_had_recovered(world: World, inbox: Inbox) -> None:
    for _ in range(3):
        world.lake.is_gone = True
        world.tell(inbox)
        world.lake.is_gone = False
        assert world.tell(inbox).outage == ""
    assert inbox.subjects == ["The lake cannot be read"] * 3
    assert inbox.repeated == 0


def test_an_outage_on_the_very_first_look_is_told(world: World, inbox: Inbox) -> None:
    world.lake.is_gone = True
    world.tell(inbox)
    assert inbox.subjects == ["The lake cannot be read"]


def test_what_happened_during_an_outage_is_told_afterwards(world: World, inbox: Inbox) -> None:
    world.tell(inbox)
    world.lake.is_gone = True
    world.tell(inbox)
    world.story.is_rejected("a.csv")
    world.tell(inbox)
    world.lake.is_gone = False
    world.tell(inbox)
    assert inbox.subjects == ["The lake cannot be read", "1 upload rejected"]


def test_an_outage_is_told_even_if_it_is_over_when_the_channel_is_back(world: World, inbox: Inbox) -> None:
    inbox.is_down = world.lake.is_gone = True
    world.tell(inbox)
    inbox.is_down = world.lake.is_gone = False
    world.clock.pass_by(minutes=1)
    world.tell(inbox)
    assert inbox.subjects == ["The lake cannot be read"]


def test_a_lake_that_can_be_read_but_not_written_is_told_of(world: World, inbox: Inbox) -> None:
    def refuse() -> None:
        raise LakeError("Creating an object failed: AccessDenied.")

    world.tell(inbox)
    world.story.is_rejected("a.csv")
    for _ in range(3):
        world.lake.fuse = Fuse(1, refuse)
        assert world.tell(inbox).outage == "Creating an object failed: AccessDenied."
    world.lake.fuse = Fuse()
    world.tell(inbox)
    assert inbox.subjects == ["The lake cannot be read", "1 upload rejected"]


def test_a_damaged_register_is_told_of(world: World, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> None:
        raise RegisterError("The fact register/seen/a.json in the lake's register cannot be read.")

    world.tell(inbox)
    monkeypatch.setattr(world.story, "facts", damaged)
    assert world.tell(inbox).outage.startswith("The fact register/seen/a.json")
    assert inbox.subjects == ["The lake cannot be read"]


def test_a_damaged_notice_is_told_of(world: World, inbox: Inbox) -> None:
    world.tell(inbox)
    world.story.is_rejected("a.csv")
    world.tell(inbox)
    for damage in (b"", b"[]", b'{"id": 5}', b"\xff"):
        world.lake.put_bytes("register/notices/000001/notice.json", damage)
        assert world.tell(inbox).outage.startswith("The notice register/notices/000001/notice.json")


def test_strange_names_among_the_notices_are_passed_over(world: World, inbox: Inbox) -> None:
    world.tell(inbox)
    for name in (
        ".DS_Store",
        "000001/.DS_Store",
        "x/notice.json",
        "000001/email-1/sent?.json",
        "channels/x",
        "a/b/c/d",
    ):
        world.lake.put_bytes(f"register/notices/{name}", b"")
    world.story.is_rejected("a.csv")
    assert world.tell(inbox).sent == 1


def test_the_book_about_the_lake_is_in_the_outbox(world: World, inbox: Inbox) -> None:
    world.lake.is_gone = True
    world.tell(inbox)
    assert "register/notices/000001/email-1/accepted.json" in world.outbox.objects
    assert world.lake.objects == {}


def test_the_copies_in_the_home_folder_may_be_deleted(world: World, inbox: Inbox) -> None:
    world.tell(inbox)
    world.story.is_rejected("a.csv")
    world.tell(inbox)
    (world.home / "notices.sqlite").unlink()
    world.story.is_rejected("b.csv")
    world.tell(inbox)
    assert len(inbox.accepted) == 2
    assert "a.csv" not in inbox.accepted[1].body


@pytest.mark.parametrize("harm", [cut_in_half, overwrite_with_noise])
def test_damaged_copies_in_the_home_folder_are_begun_anew(
    world: World, inbox: Inbox, harm: Callable[[Path], None]
) -> None:
    world.lake.is_gone = True
    world.tell(inbox)
    world.lake.is_gone = False
    world.story.is_rejected("a.csv")
    world.tell(inbox)
    harm(world.home / "notices.sqlite")
    harm(world.home / "outbox.sqlite")
    world.story.is_rejected("b.csv")
    world.tell(inbox)
    assert inbox.subjects == ["The lake cannot be read", "1 upload rejected", "1 upload rejected"]
