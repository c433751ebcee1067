"""Sending by a real mail server: to everybody once, again after temporary refusals, and never without a release."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from alumni_assets.notifications.delivery import DEAD_AFTER, MOST_ATTEMPTS, WAITS
from alumni_assets.report.configuration import ReportSettings
from alumni_assets.report.keeping import ReportError
from alumni_assets.report.sending import refusals
from alumni_assets_tests.damage import overwrite_with_noise
from alumni_assets_tests.notifications.stand_ins import Crash, Fuse
from alumni_assets_tests.report.conftest import MoodyServer
from alumni_assets_tests.report.offices import ANA, BEN, CARLA, Office, smtp_settings, states

pytestmark = pytest.mark.server


@pytest.fixture
def ready(office: Office) -> Office:
    """An office whose report of this week is prepared."""
    office.write_down()
    return office


@pytest.fixture
def three(server: MoodyServer) -> ReportSettings:
    return smtp_settings(server.port, ANA, BEN, CARLA)


def received(server: MoodyServer) -> list[str]:
    """Who has got a message, in the order of receipt."""
    return [address for receivers in server.receivers for address in receivers]


def test_everybody_gets_one_message(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    sending = ready.release(three)
    assert (sending.sent, states(sending)) == (3, ["sent"] * 3)
    assert received(server) == [ANA, BEN, CARLA]
    assert [mail["To"] for mail in server.mails] == [ANA, BEN, CARLA]
    assert len(set(server.ids)) == 3


def test_releasing_again_sends_nothing_twice(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    ready.release(three)
    ready.clock.pass_by(days=2)
    sending = ready.release(three)
    assert (sending.sent, states(sending)) == (0, ["sent"] * 3)
    assert ready.retry(three)[0].sent == 0
    assert len(server.mails) == 3


def test_nothing_is_sent_without_a_release(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    assert ready.retry(three) == []
    ready.release(smtp_settings(server.port, ANA))
    (sending,) = ready.retry(three)
    assert [outcome.receiver for outcome in sending.outcomes] == ["e-mail to a***@school.edu.ph"]
    assert received(server) == [ANA]


def test_who_is_added_in_the_week_gets_it_with_the_next_release(
    ready: Office, server: MoodyServer, three: ReportSettings
) -> None:
    ready.release(smtp_settings(server.port, ANA))
    sending = ready.release(three)
    assert (sending.sent, states(sending)) == (2, ["sent"] * 3)
    assert received(server) == [ANA, BEN, CARLA]


def test_a_damaged_copy_of_the_books_is_begun_anew_and_nobody_gets_the_report_twice(
    ready: Office, server: MoodyServer, three: ReportSettings
) -> None:
    ready.release(smtp_settings(server.port, ANA))
    overwrite_with_noise(ready.home / "reports.sqlite")
    assert states(ready.release(three)) == ["sent"] * 3
    assert received(server) == [ANA, BEN, CARLA]


def test_who_was_left_out_for_a_week_does_not_get_the_report_of_that_week(
    ready: Office, server: MoodyServer, three: ReportSettings
) -> None:
    ready.release(smtp_settings(server.port, ANA))
    ready.clock.pass_by(weeks=1)
    ready.write_down()
    ready.release(three)
    ready.retry(three)
    assert received(server) == [ANA, ANA, BEN, CARLA]


def test_the_next_week_has_messages_of_its_own(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    ready.release(three)
    ready.clock.pass_by(weeks=1)
    with pytest.raises(ReportError, match=r"No report is prepared for 2026-W49\. The newest that is prepared is"):
        ready.release(three)
    ready.write_down()
    assert ready.release(three).sent == 3
    assert len(set(server.ids)) == 6
    assert {mail["X-Alumni-Report"] for mail in server.mails} == {"2026-W48", "2026-W49"}


def test_everybody_of_a_week_gets_the_same_report(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    ready.release(smtp_settings(server.port, ANA))
    released = ready.reports.find("2026-W48")
    ready.clock.pass_by(days=1)
    ready.write_down("ba9876543210")
    ready.release(three)
    assert ready.reports.find("2026-W48") == released
    assert len({mail["Date"] for mail in server.mails}) == 1


def test_a_temporary_refusal_is_tried_again(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    server.busy = {BEN}
    sending = ready.release(three)
    assert states(sending) == ["sent", "to be sent again", "sent"]
    assert sending.outcomes[1].receiver == "e-mail to b***@school.edu.ph"
    assert sending.outcomes[1].reason == f"127.0.0.1:{server.port} refused the message (450)."
    assert refusals([sending]) == ""
    assert ready.retry(three)[0].sent == 0  # its time has not come
    ready.clock.pass_by(minutes=1)
    server.busy = set()
    assert states(ready.retry(three)[0]) == ["sent"] * 3
    assert received(server) == [ANA, CARLA, BEN]


def test_a_receiver_who_is_refused_for_good_is_not_tried_again(
    ready: Office, server: MoodyServer, three: ReportSettings
) -> None:
    server.refused = {BEN}
    sending = ready.release(three)
    assert states(sending) == ["sent", "refused", "sent"]
    assert refusals([sending]) == (
        "The report of 2026-W48 was not accepted for 1 of 3 receivers, and is not tried again by itself. By e-mail to "
        f"b***@school.edu.ph: 127.0.0.1:{server.port} refused the message (550). Mend the cause or ALUMNI_REPORT_TO, "
        "and materialize mailed_report again, or run `alumni report --send`; who has the report does not get it twice."
    )
    server.refused = set()
    for _ in range(3):
        ready.clock.pass_by(hours=9)
        (again,) = ready.retry(three)
        assert (again.sent, refusals([again])) == (0, refusals([sending]))
    assert received(server) == [ANA, CARLA]


def test_a_message_that_is_refused_for_good_is_not_tried_again(
    ready: Office, server: MoodyServer, three: ReportSettings
) -> None:
    server.answer = "554 5.7.1 Ana Reyes sends spam"
    sending = ready.release(three)
    assert states(sending) == ["refused"] * 3
    assert "(554)" in sending.outcomes[0].reason
    assert "Reyes" not in refusals([sending])


def test_a_person_may_send_it_again_to_who_was_refused(
    ready: Office, server: MoodyServer, three: ReportSettings
) -> None:
    server.refused = {BEN}
    ready.release(three)
    server.refused = set()
    assert ready.release(three).sent == 1
    assert received(server) == [ANA, CARLA, BEN]


def test_who_is_taken_out_of_the_settings_is_complained_of_no_more(
    ready: Office, server: MoodyServer, three: ReportSettings
) -> None:
    server.refused = {BEN}
    ready.release(three)
    assert refusals(ready.retry(smtp_settings(server.port, ANA, CARLA))) == ""


def test_what_is_not_accepted_for_a_day_is_given_up(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    server.busy = {BEN}
    ready.release(three)
    for wait in WAITS:
        ready.clock.pass_by(seconds=wait.total_seconds())
        (sending,) = ready.retry(three)
    assert states(sending) == ["sent", "refused", "sent"]
    assert "refused the message (450)" in refusals([sending])
    assert sum(wait.total_seconds() for wait in WAITS) > 23 * 3600
    assert len(WAITS) + 1 == MOST_ATTEMPTS


def test_what_was_released_on_sunday_is_tried_on_monday(
    office: Office, server: MoodyServer, three: ReportSettings
) -> None:
    office.clock.time = office.clock.time.replace(day=29, hour=15, minute=59)  # 23:59 in Manila
    office.write_down()
    server.busy = {BEN}
    office.release(three)
    server.busy = set()
    office.clock.pass_by(minutes=2)
    assert office.week == "2026-W49"
    assert [sending.week for sending in office.retry(three)] == ["2026-W48"]
    assert received(server) == [ANA, CARLA, BEN]


def test_a_server_that_is_down_is_tried_again(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    port = server.port
    server.stop()
    assert states(ready.release(three)) == ["to be sent again"] * 3
    server.start(port)
    ready.clock.pass_by(minutes=1)
    assert states(ready.retry(three)[0]) == ["sent"] * 3


@pytest.mark.parametrize("accepted", [1, 2, 3])
def test_killed_between_acceptance_and_record_it_comes_again_under_the_same_id_and_to_nobody_else(
    accepted: int, ready: Office, server: MoodyServer, three: ReportSettings
) -> None:
    records = 0

    def kill_at_record() -> None:
        nonlocal records
        records += ready.lake.fuse.steps[-1].endswith("accepted.json")

    class Watch(Fuse):
        def step(self, name: str) -> None:
            super().step(name)
            if name.startswith("before") and name.endswith("accepted.json"):
                kill_at_record()
                if records == accepted:
                    raise Crash

    ready.lake.fuse = Watch()
    with pytest.raises(Crash):
        ready.release(three)
    assert len(server.mails) == accepted
    ready.lake.fuse = Fuse()
    sending = ready.release(three)  # a restart, at once: that delivery may still be under way
    assert states(sending).count("sent") == 2
    ready.clock.pass_by(seconds=DEAD_AFTER.total_seconds())
    assert states(ready.retry(three)[0]) == ["sent"] * 3
    assert sorted(received(server)) == sorted([ANA, BEN, CARLA, (ANA, BEN, CARLA)[accepted - 1]])
    assert len(set(server.ids)) == 3
    repeated = [mail.as_bytes() for mail in server.mails if mail["To"] == (ANA, BEN, CARLA)[accepted - 1]]
    assert len(repeated) == 2
    assert len(set(repeated)) == 1


def test_killed_at_any_write_nobody_is_missed(office: Office, server: MoodyServer, three: ReportSettings) -> None:
    """Every write of a release is tried; what is repeated is repeated under its own id."""
    office.write_down()
    prepared = dict(office.lake.objects)
    office.lake.fuse = count = Fuse()
    office.release(three)
    assert len(count.steps) == 2 * (2 + 3 + 2 * 3)
    for step in range(1, len(count.steps) + 1):
        server.mails.clear()
        server.receivers.clear()
        office.lake.objects = dict(prepared)
        office.lake.fuse = Fuse(step)
        with pytest.raises(Crash):
            office.release(three)
        office.lake.fuse = Fuse()
        office.clock.pass_by(seconds=DEAD_AFTER.total_seconds())
        office.release(three)
        assert set(received(server)) == {ANA, BEN, CARLA}
        assert len(server.mails) <= 4
        assert len(set(server.ids)) == 3


def test_two_who_release_at_once_send_one_message_each(
    ready: Office, server: MoodyServer, three: ReportSettings
) -> None:
    with ThreadPoolExecutor(4) as pool:
        for sending in [pool.submit(ready.release, three) for _ in range(4)]:
            sending.result()
    assert sorted(received(server)) == [ANA, BEN, CARLA]


def test_changing_the_way_sends_nothing_again(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    ready.release(three)
    by_ses = ReportSettings(three.recipients, "ses", three.sender, None)
    assert ready.release(by_ses).sent == 0


def test_an_old_report_is_not_sent(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    ready.clock.time += timedelta(weeks=2)
    with pytest.raises(ReportError, match=r"The report of 2026-W48 is too old to be sent\."):
        ready.sender(three).release("2026-W48")


def test_last_week_s_report_may_still_be_sent(ready: Office, server: MoodyServer, three: ReportSettings) -> None:
    ready.clock.time += timedelta(weeks=1)
    assert ready.sender(three).release("2026-W48").sent == 3


def test_without_receivers_it_is_said_that_there_is_nobody(ready: Office) -> None:
    with pytest.raises(ReportError, match=r"there is nobody to send it to\. Set ALUMNI_REPORT_TO"):
        ready.release(ReportSettings((), "smtp", "", None))
    assert ready.reports.released("2026-W48") is None


def test_a_report_that_cannot_be_read_is_sent_once_it_can(
    ready: Office, server: MoodyServer, three: ReportSettings
) -> None:
    edition = ready.reports.find("2026-W48")
    assert edition is not None
    pdf = ready.lake.objects.pop(edition.key("report.pdf"))
    sending = ready.release(three)
    assert states(sending) == ["to be sent again"] * 3
    assert sending.outcomes[0].reason.startswith("The prepared report cannot be read.")
    ready.lake.put_bytes(edition.key("report.pdf"), pdf)
    ready.clock.pass_by(minutes=1)
    assert states(ready.retry(three)[0]) == ["sent"] * 3
