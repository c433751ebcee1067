"""Sending until it is accepted: when it is tried again, when it is given up, what a person can do then."""

from datetime import timedelta
from threading import Event

import pytest

from alumni_assets.notifications import delivery
from alumni_assets.notifications.delivery import DEAD_AFTER, MOST_ATTEMPTS, WAITS, sentence
from alumni_assets.resources.lake_interface import LakeError
from alumni_assets_tests.notifications.conftest import World
from alumni_assets_tests.notifications.stand_ins import Crash, Fuse, Inbox

SECOND = timedelta(seconds=1)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def rejected(world: World, inbox: Inbox) -> World:
    """A world whose notifier has started, and in which one upload was rejected since."""
    world.tell(inbox)
    world.story.is_rejected("a.csv")
    return world


def try_until_given_up(world: World, inbox: Inbox) -> None:
    inbox.is_down = True
    while not world.tell(inbox).given_up:
        world.clock.pass_by(hours=9)


def test_a_notice_is_sent_once(rejected: World, inbox: Inbox) -> None:
    assert rejected.tell(inbox).sent == 1
    assert rejected.tell(inbox).sent == 0
    assert inbox.subjects == ["1 upload rejected"]


def test_every_channel_gets_every_notice(rejected: World) -> None:
    inboxes = [Inbox("email-1"), Inbox("email-2"), Inbox("sns"), Inbox("log")]
    rejected.tell(*inboxes)
    assert [inbox.subjects for inbox in inboxes] == [["1 upload rejected"]] * 4


def test_a_channel_that_is_down_disturbs_no_other(rejected: World, inbox: Inbox) -> None:
    broken = Inbox("broken")
    broken.is_down = True
    result = rejected.tell(broken, inbox)
    assert inbox.subjects == ["1 upload rejected"]
    assert result.failures == ("A message by the channel broken was not accepted: The server is down.",)
    assert result.pending == 1


def test_a_notice_that_was_refused_is_sent_when_the_channel_is_back(rejected: World, inbox: Inbox) -> None:
    inbox.is_down = True
    assert rejected.tell(inbox).sent == 0
    inbox.is_down = False
    rejected.clock.pass_by(minutes=1)
    assert rejected.tell(inbox).sent == 1


def test_attempts_are_spaced_further_and_further_for_a_day(rejected: World, inbox: Inbox) -> None:
    inbox.is_down = True
    rejected.tell(inbox)
    for attempts, wait in enumerate(WAITS, 1):
        rejected.clock.pass_by(seconds=(wait - SECOND).total_seconds())
        assert rejected.tell(inbox).failures == ()
        assert inbox.tries == attempts
        rejected.clock.pass_by(seconds=1)
        assert len(rejected.tell(inbox).failures) == 1
        assert inbox.tries == attempts + 1
    assert inbox.tries == MOST_ATTEMPTS
    assert timedelta(hours=23) < sum(WAITS, timedelta()) < timedelta(hours=25)


def test_the_next_attempt_is_announced(rejected: World, inbox: Inbox) -> None:
    inbox.is_down = True
    assert rejected.tell(inbox).retry_at == rejected.clock() + WAITS[0]


def test_what_was_given_up_is_not_tried_again_and_stands_out(rejected: World, inbox: Inbox) -> None:
    try_until_given_up(rejected, inbox)
    rejected.clock.pass_by(days=30)
    result = rejected.tell(inbox)
    assert inbox.tries == MOST_ATTEMPTS
    assert result.given_up == ("1 by the channel email-1",)
    assert sentence(result) == (
        "Given up: 1 by the channel email-1. Once the cause is mended, `alumni notify` sends all of them at once."
    )


def test_a_person_who_insists_gets_what_was_given_up_sent(rejected: World, inbox: Inbox) -> None:
    try_until_given_up(rejected, inbox)
    inbox.is_down = False
    assert rejected.tell(inbox, insist=True).sent == 1
    assert sentence(rejected.tell(inbox)) == ""


def test_a_person_who_insists_does_not_wait_for_the_next_attempt(rejected: World, inbox: Inbox) -> None:
    inbox.is_down = True
    rejected.tell(inbox)
    inbox.is_down = False
    assert rejected.tell(inbox, insist=True).sent == 1


def test_a_later_notice_is_not_held_up_by_one_that_is_refused(rejected: World, inbox: Inbox) -> None:
    inbox.is_down = True
    rejected.tell(inbox)
    inbox.is_down = False
    rejected.story.is_rejected("b.csv")
    rejected.tell(inbox)
    assert len(inbox.accepted) == 1
    assert "b.csv" in inbox.accepted[0].body


def test_a_channel_that_fails_is_left_alone_for_the_rest_of_the_round(rejected: World, inbox: Inbox) -> None:
    rejected.story.is_validated("b.csv", invalid=1)
    inbox.is_down = True
    rejected.tell(inbox)
    assert inbox.tries == 1


def test_an_error_nobody_thought_of_is_a_failed_attempt_too(rejected: World, inbox: Inbox) -> None:
    def break_down() -> None:
        raise ZeroDivisionError("valerie@school.edu.ph")

    inbox.fuse = Fuse(1, break_down)
    (failure,) = rejected.tell(inbox).failures
    assert failure == "A message by the channel email-1 was not accepted: It broke with ZeroDivisionError."
    rejected.clock.pass_by(minutes=1)
    assert rejected.tell(inbox).sent == 1


def test_what_cannot_be_recorded_is_not_sent(rejected: World, inbox: Inbox) -> None:
    inbox.is_down = True
    rejected.tell(inbox)
    inbox.is_down = False
    rejected.clock.pass_by(minutes=1)

    def fill_disk() -> None:
        raise LakeError("The disk is full.")

    rejected.lake.fuse = Fuse(1, fill_disk)
    with pytest.raises(LakeError):
        rejected.tell(inbox)
    assert inbox.accepted == []


def test_an_attempt_that_died_is_made_again_after_ten_minutes(rejected: World, inbox: Inbox) -> None:
    inbox.fuse = Fuse(1)
    with pytest.raises(Crash):
        rejected.tell(inbox)
    rejected.clock.pass_by(seconds=(DEAD_AFTER - SECOND).total_seconds())
    assert rejected.tell(inbox).sent == 0
    rejected.clock.pass_by(seconds=1)
    assert rejected.tell(inbox).sent == 1


def test_a_person_who_insists_does_not_repeat_what_another_process_is_sending(rejected: World, inbox: Inbox) -> None:
    inbox.fuse = Fuse(1)
    with pytest.raises(Crash):
        rejected.tell(inbox)
    assert rejected.tell(inbox, insist=True).sent == 0


def test_a_message_that_kills_its_process_is_given_up_too(rejected: World, inbox: Inbox) -> None:
    for _ in range(MOST_ATTEMPTS):
        inbox.fuse = Fuse(1)
        with pytest.raises(Crash):
            rejected.tell(inbox)
        rejected.clock.pass_by(hours=1)
    assert rejected.tell(inbox).given_up == ("1 by the channel email-1",)


def test_a_channel_that_comes_later_is_not_flooded_with_what_was_told_before(rejected: World, inbox: Inbox) -> None:
    rejected.tell(inbox)
    late = Inbox("sns")
    rejected.tell(inbox, late)
    assert late.accepted == []
    rejected.story.is_rejected("b.csv")
    rejected.tell(inbox, late)
    assert late.subjects == ["1 upload rejected"]


def test_a_long_history_is_not_told_at_the_first_start(world: World, inbox: Inbox) -> None:
    for number in range(50):
        world.story.is_rejected(f"{number}.csv")
        world.story.is_transformed(world.story.is_validated(f"good {number}.csv", invalid=3))
    world.clock.pass_by(seconds=1)
    world.tell(inbox)
    world.clock.pass_by(days=1)
    world.tell(inbox)
    assert inbox.accepted == []


def test_many_messages_go_out_in_rounds(world: World, inbox: Inbox) -> None:
    world.tell(inbox)
    inbox.is_down = True
    for number in range(45):
        world.story.is_rejected(f"{number}.csv")
        world.tell(inbox)
    inbox.is_down = False
    world.clock.pass_by(minutes=10)
    assert [world.tell(inbox).sent for _ in range(4)] == [20, 20, 5, 0]


def test_a_round_ends_before_a_server_that_takes_long_and_the_message_is_sent_once(
    rejected: World, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_SECONDS_AT_ONCE", 0.2)
    monkeypatch.setattr(delivery, "_SECONDS_FOR_THE_LAST", 0.0)
    may_accept, is_recorded = Event(), Event()
    inbox.fuse = Fuse(1, lambda: may_accept.wait() and None)
    rejected.lake.fuse = Fuse(6, is_recorded.set)  # before and after the notice, the attempt and its acceptance
    assert rejected.tell(inbox).pending == 1
    assert rejected.tell(inbox, insist=True).pending == 1
    may_accept.set()
    assert is_recorded.wait(60)
    assert rejected.lake.fuse.steps[-1] == "after register/notices/000001/email-1/accepted.json"
    assert rejected.tell(inbox, insist=True).pending == 0
    assert len(inbox.accepted) == 1


def test_the_text_does_not_change_between_attempts(rejected: World, inbox: Inbox) -> None:
    other = Inbox("other")
    other.is_down = True
    rejected.tell(inbox, other)
    rejected.story.is_rejected("b.csv")
    rejected.clock.pass_by(days=1)
    other.is_down = False
    rejected.tell(inbox, other)
    assert [message.id for message in other.accepted] == [message.id for message in inbox.accepted]
    assert other.accepted == inbox.accepted
