"""What is due, as a pure function of facts: which events, covered once, from which threshold on."""

from collections.abc import Collection
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.notifications.notices import Happenings, Kind, Notice, notices
from alumni_assets.survey_rules import ApprovalRules, NotificationRules, SurveyRules, default_rules
from alumni_assets_tests.notifications.stand_ins import LINKS, NOON, Clock, Renewal, Story, failed_run

START = NOON


@pytest.fixture
def story() -> Story:
    return Story(Clock())


def with_thresholds(new_valid_rows: int = 1, open_invalid_rows: int = 1) -> SurveyRules:
    thresholds = NotificationRules(new_valid_rows=new_valid_rows, open_invalid_rows=open_invalid_rows)
    return default_rules().model_copy(update={"notifications": thresholds})


def due(
    story: Story,
    told: Collection[str] = (),
    happenings: Happenings | None = None,
    rules: SurveyRules | None = None,
    since: datetime = START,
) -> list[Notice]:
    rules, happenings = rules or default_rules(), happenings or Happenings()
    return notices(story.facts(), happenings, told, rules, since, story.clock(), LINKS)


def kinds(found: list[Notice]) -> list[Kind]:
    return [notice.kind for notice in found]


def covered(*found: Notice) -> set[str]:
    return {event for notice in found for event in notice.covers}


def test_nothing_is_due_when_nothing_has_happened(story: Story) -> None:
    assert due(story) == []


def test_each_event_has_a_notice_of_its_kind(story: Story) -> None:
    story.is_rejected("a.csv")
    story.is_validated("b.csv", valid=5, invalid=1)
    story.is_transformed(story.is_validated("c.csv"))
    happenings = Happenings(
        [failed_run("1", START), failed_run("2", START, is_transformation=True)], [Renewal("3", START, 2, 2, 0)]
    )
    assert kinds(due(story, happenings=happenings)) == [
        Kind.UPLOAD_REJECTED,
        Kind.VALID_ROWS_WAIT,
        Kind.INVALID_ROWS_OPEN,
        Kind.TRANSFORMATION_SUCCEEDED,
        Kind.TRANSFORMATION_FAILED,
        Kind.DEDUPLICATION_SUCCEEDED,
        Kind.RUN_FAILED,
    ]


def test_what_is_told_is_not_due_again(story: Story) -> None:
    story.is_rejected("a.csv")
    story.is_validated("b.csv", valid=5, invalid=1)
    story.is_transformed(story.is_validated("c.csv"))
    happenings = Happenings([failed_run("1", START)], [Renewal("3", START, 2, 2, 0)])
    told = covered(*due(story, happenings=happenings))
    assert due(story, told, happenings) == []


def test_a_burst_of_uploads_is_one_message_of_each_kind(story: Story) -> None:
    for number in range(30):
        story.is_rejected(f"bad{number}.csv")
        story.is_validated(f"good{number}.csv", valid=10, invalid=2)
    rejected, waiting, open_invalid = due(story)
    assert rejected.subject == "30 uploads rejected"
    assert waiting.subject == "300 new valid rows to approve"
    assert open_invalid.subject == "60 new invalid rows to correct"
    assert "- and 10 more" in rejected.body


def test_what_happened_before_the_first_start_is_not_due(story: Story) -> None:
    story.is_rejected("a.csv")
    story.is_validated("b.csv", valid=5, invalid=1)
    story.is_transformed(story.is_validated("c.csv"))
    happenings = Happenings([failed_run("1", START)], [Renewal("3", START, 2, 2, 0)])
    assert due(story, happenings=happenings, since=START + timedelta(microseconds=1)) == []


def test_an_upload_from_before_the_first_start_is_told_of_when_something_new_happens_to_it(story: Story) -> None:
    upload = story.is_validated("b.csv")
    story.clock.pass_by(hours=1)
    story.is_transformed(upload)
    assert kinds(due(story, since=story.clock())) == [Kind.TRANSFORMATION_SUCCEEDED]


def test_smaller_uploads_add_up_until_the_threshold_is_reached(story: Story) -> None:
    rules = with_thresholds(new_valid_rows=10, open_invalid_rows=3)
    story.is_validated("a.csv", valid=6, invalid=2)
    assert due(story, rules=rules) == []
    story.is_validated("b.csv", valid=4, invalid=1)
    waiting, open_invalid = due(story, rules=rules)
    assert waiting.subject == "10 new valid rows to approve"
    assert open_invalid.subject == "3 new invalid rows to correct"


def test_rows_that_were_told_of_do_not_count_towards_the_next_message(story: Story) -> None:
    rules = with_thresholds(new_valid_rows=10)
    story.is_validated("a.csv", valid=12)
    told = covered(*due(story, rules=rules))
    story.is_validated("b.csv", valid=9)
    assert due(story, told, rules=rules) == []
    story.is_validated("c.csv", valid=1)
    (notice,) = due(story, told, rules=rules)
    assert notice.subject == "10 new valid rows to approve"
    assert "In all, 22 valid rows in 3 uploads wait now." in notice.body


def test_rows_that_were_approved_in_time_are_not_waited_for(story: Story) -> None:
    rules = with_thresholds(new_valid_rows=10)
    story.is_transformed(story.is_validated("a.csv", valid=9))
    story.is_validated("b.csv", valid=9)
    assert kinds(due(story, rules=rules)) == [Kind.TRANSFORMATION_SUCCEEDED]


def test_an_upload_without_valid_rows_waits_for_nobody(story: Story) -> None:
    story.is_validated("a.csv", valid=0, invalid=3, failed_checks=("no_open_rows",))
    assert kinds(due(story)) == [Kind.INVALID_ROWS_OPEN]


def test_an_upload_that_the_policy_approves_waits_for_nobody(story: Story) -> None:
    policy = ApprovalRules(auto=True, max_invalid_share=0.1)
    story.is_validated("clean.csv", valid=3)
    story.is_validated("dirty.csv", valid=3, invalid=3)
    waiting, _ = due(story, rules=default_rules().model_copy(update={"approval": policy}))
    assert waiting.subject == "3 new valid rows to approve"
    assert "dirty.csv" in waiting.body
    assert "clean.csv" not in waiting.body


def test_an_upload_that_is_judged_the_same_again_is_no_news(story: Story) -> None:
    upload = story.is_validated("a.csv", valid=3, invalid=1)
    told = covered(*due(story))
    story.clock.pass_by(days=1)
    story.judge(upload, 3, 1)
    assert due(story, told) == []


def test_an_upload_that_is_judged_differently_is_news(story: Story) -> None:
    upload = story.is_validated("a.csv", valid=3, invalid=1)
    told = covered(*due(story))
    story.judge(upload, 2, 2, content="other valid rows", invalid_content="other invalid rows")
    assert kinds(due(story, told)) == [Kind.VALID_ROWS_WAIT, Kind.INVALID_ROWS_OPEN]


def test_a_rejected_file_that_is_put_again_after_another_is_rejected_again(story: Story) -> None:
    story.is_rejected("a.csv", content="1")
    told = covered(*due(story))
    story.is_rejected("a.csv", content="1")
    assert due(story, told) == []
    story.is_validated("a.csv", content="2")
    story.is_rejected("a.csv", content="1")
    assert kinds(due(story, told)) == [Kind.UPLOAD_REJECTED, Kind.VALID_ROWS_WAIT]


def test_the_invalid_rows_of_superseded_and_withdrawn_uploads_are_not_open(story: Story) -> None:
    story.is_validated("a.csv", invalid=5, content="1")
    story.is_transformed(story.is_validated("a.csv", content="2"))
    withdrawn = story.is_validated("b.csv", invalid=5)
    story.is_transformed(withdrawn)
    story.is_withdrawn(withdrawn)
    assert Kind.INVALID_ROWS_OPEN not in kinds(due(story))


def test_a_transformation_is_told_of_even_if_the_upload_was_withdrawn_meanwhile(story: Story) -> None:
    upload = story.is_validated("a.csv")
    story.is_transformed(upload)
    story.is_withdrawn(upload)
    (notice,) = due(story)
    assert notice.kind is Kind.TRANSFORMATION_SUCCEEDED
    assert "(withdrawn since)" in notice.body


def test_an_upload_that_is_approved_again_after_a_withdrawal_is_told_of_again(story: Story) -> None:
    upload = story.is_validated("a.csv")
    story.is_transformed(upload)
    told = covered(*due(story))
    story.is_withdrawn(upload)
    assert due(story, told) == []
    story.is_approved(upload)
    assert kinds(due(story, told)) == [Kind.TRANSFORMATION_SUCCEEDED]


def test_an_approved_upload_that_is_not_transformed_is_told_of_after_a_quarter_of_an_hour(story: Story) -> None:
    story.is_approved(story.is_validated("a.csv"))
    story.clock.pass_by(minutes=14)
    assert due(story) == []
    story.clock.pass_by(minutes=1)
    (notice,) = due(story)
    assert notice.kind is Kind.TRANSFORMATION_FAILED
    assert "1 upload is approved but not transformed:\n\n- a.csv@11111111, approved by Ana Reyes" in notice.body
    assert due(story, notice.covers) == []


def test_an_approved_upload_is_left_alone_while_a_transformation_is_at_work(story: Story) -> None:
    story.is_approved(story.is_validated("a.csv"))
    story.clock.pass_by(hours=2)
    assert due(story, happenings=Happenings(is_transforming=True)) == []


def test_a_failed_transformation_names_the_uploads_that_it_left_behind_in_the_same_message(story: Story) -> None:
    story.is_approved(story.is_validated("a.csv"))
    story.clock.pass_by(seconds=5)
    runs = [failed_run("1", story.clock(), is_transformation=True)]
    story.clock.pass_by(seconds=5)
    story.is_approved(story.is_validated("just now.csv"))
    (notice,) = due(story, happenings=Happenings(runs))
    assert notice.kind is Kind.TRANSFORMATION_FAILED
    assert "a.csv@11111111" in notice.body
    assert "just now.csv" not in notice.body
    story.clock.pass_by(hours=1)
    story.is_transformed("just now.csv@11111111")
    assert kinds(due(story, notice.covers, Happenings(runs))) == [Kind.TRANSFORMATION_SUCCEEDED]


def test_a_renewal_that_changed_nothing_is_no_news(story: Story) -> None:
    assert due(story, happenings=Happenings(renewals=[Renewal("1", START, 7, 0, 0)])) == []


@given(
    uploads=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=15),
    looks=st.sets(st.integers(0, 15)),
    valid_rows=st.integers(1, 40),
    invalid_rows=st.integers(1, 40),
)
def test_whenever_one_looks_the_thresholds_hold(
    uploads: list[tuple[int, int]], looks: set[int], valid_rows: int, invalid_rows: int
) -> None:
    story, rules, told = Story(Clock()), with_thresholds(valid_rows, invalid_rows), set[str]()
    untold = {Kind.VALID_ROWS_WAIT: 0, Kind.INVALID_ROWS_OPEN: 0}
    for place, (valid, invalid) in enumerate(uploads):
        story.is_validated(f"{place}.csv", valid, invalid)
        untold[Kind.VALID_ROWS_WAIT] += valid
        untold[Kind.INVALID_ROWS_OPEN] += invalid
        if place not in looks:
            continue
        for notice in due(story, told, rules=rules):
            assert not told & notice.covers
            told |= notice.covers
            assert notice.subject.startswith(f"{untold[notice.kind]} new ")
            assert untold[notice.kind] >= rules.notifications.model_dump()[THRESHOLD[notice.kind]]
            untold[notice.kind] = 0
        assert untold[Kind.VALID_ROWS_WAIT] < valid_rows
        assert untold[Kind.INVALID_ROWS_OPEN] < invalid_rows


THRESHOLD = {Kind.VALID_ROWS_WAIT: "new_valid_rows", Kind.INVALID_ROWS_OPEN: "open_invalid_rows"}


def test_rows_that_are_corrected_or_waived_before_are_not_told_of(story: Story) -> None:
    upload = story.is_validated("a.csv", valid=5, invalid=4)
    story.is_corrected("fix.xlsx", upload, "2", "5")
    story.is_waived(upload, "7")
    open_invalid = due(story)[-1]
    assert open_invalid.subject == "1 new invalid row to correct"
    assert "- a.csv@11111111: 1 open row" in open_invalid.body
    assert "In all, 1 invalid row in 1 upload is open now." in open_invalid.body


def test_an_upload_whose_rows_are_all_closed_is_not_told_of(story: Story) -> None:
    upload = story.is_validated("a.csv", valid=5, invalid=2)
    story.is_corrected("fix.xlsx", upload, "2-3")
    assert kinds(due(story)) == [Kind.VALID_ROWS_WAIT]


def test_rows_that_come_back_still_wrong_are_no_news_but_rows_that_name_none_are(story: Story) -> None:
    upload = story.is_validated("a.csv", valid=5, invalid=4)
    told = covered(*due(story))
    story.is_corrected("fix.xlsx", upload, "2", wrong=1)
    assert kinds(due(story, told)) == [Kind.VALID_ROWS_WAIT]
    story.is_corrected("odd.xlsx", upload, wrong=1, strays=3)
    open_invalid = due(story, told)[-1]
    assert open_invalid.subject == "3 new invalid rows to correct"
    assert "odd.xlsx" in open_invalid.body
    assert "In all, 6 invalid rows in 2 uploads are open now." in open_invalid.body


def test_an_upload_that_was_blocked_may_be_approved_once_enough_rows_are_corrected(story: Story) -> None:
    blocked = {"failed_checks": ("no_open_rows",), "max_open_share": 0.2}
    upload = story.is_validated("a.csv", valid=6, invalid=4, **blocked)
    assert "may only be approved with a reason" in due(story)[0].body
    story.is_corrected("fix.xlsx", upload, "2-3")
    assert "may only be approved with a reason" not in due(story)[0].body
