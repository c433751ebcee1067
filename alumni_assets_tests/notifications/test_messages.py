"""The words: whole messages as people get them, and what no upload's name can do to them."""

from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.notifications import messages
from alumni_assets.notifications.messages import (
    FailedRun,
    OpenUpload,
    RejectedUpload,
    Renewal,
    StuckUpload,
    TransformedUpload,
    WaitingUpload,
)
from alumni_assets.survey.naming import upload_id
from alumni_assets_tests.notifications.stand_ins import ANA, LINKS, NOON

UI = "https://dagster.school.edu.ph"


def test_rejected_uploads() -> None:
    words = messages.rejected(
        [RejectedUpload("a b.csv@1234abcd", "The file is empty. Export the answers again.")], LINKS
    )
    assert words.subject == "1 upload rejected"
    assert words.body == (
        "1 upload could not be read and was rejected as a whole.\n\n"
        "- a b.csv@1234abcd: The file is empty. Export the answers again.\n"
        f"  {UI}/assets/raw_survey?view=partitions&partition=a%20b.csv%401234abcd\n\n"
        "What to do: mend the file as its reason says, and put it into raw/ again under the same name. Until then "
        "nothing of it counts."
    )


def test_valid_rows_that_wait() -> None:
    new = [
        WaitingUpload("a.csv@1", 1200, 0, ()),
        WaitingUpload("b.csv@2", 1, 9, ("no_open_rows",)),
    ]
    words = messages.waiting(new, [*new, WaitingUpload("c.csv@3", 5, 0, ())], LINKS)
    assert words.subject == "1,201 new valid rows to approve"
    assert words.body == (
        "1,201 new valid rows in 2 uploads wait for your approval.\n\n"
        "- a.csv@1: 1,200 valid rows, 0 invalid\n"
        f"  {UI}/assets/validated_survey?view=partitions&partition=a.csv%401\n"
        "- b.csv@2: 1 valid row, 9 invalid; may only be approved with a reason, for it failed no_open_rows\n"
        f"  {UI}/assets/validated_survey?view=partitions&partition=b.csv%402\n\n"
        "In all, 1,206 valid rows in 3 uploads wait now.\n\n"
        "What to do: look at the uploads, then open transformed_survey, click Materialize, choose them and launch. "
        "That approves them; until then their rows do not count.\n"
        f"{UI}/assets/transformed_survey"
    )


def test_invalid_rows_that_are_open() -> None:
    upload = OpenUpload("a.csv@1", 3, {"Job_Role:missing": 1, "Department:not_in_list": 2, ":of another version": 1})
    words = messages.open_invalid([upload], [upload], LINKS)
    assert words.subject == "3 new invalid rows to correct"
    assert words.body == (
        "3 new invalid rows in 1 upload were set aside.\n\n"
        "- a.csv@1: 3 open rows (2 × Department is not one of the possible answers, 1 × Job_Role is empty)\n"
        f"  {UI}/assets/invalid_survey?view=partitions&partition=a.csv%401\n\n"
        "In all, 3 invalid rows in 1 upload are open now.\n\n"
        "What to do: the check no_open_rows of invalid_survey shows each upload's open rows with their number in "
        "your file, every reason, and where the correction file lies. Copy that, mend its marked cells, and put it "
        "into raw/ under any name.\n"
        f"{UI}/assets/invalid_survey?view=checks&checkDetail=no_open_rows"
    )


def test_transformed_uploads() -> None:
    uploads = [TransformedUpload("a.csv@1", 9, 1, ANA, ""), TransformedUpload("b.csv@2", 3, 0, ANA, "superseded")]
    words = messages.transformed(uploads, LINKS)
    assert words.subject == "Transformation succeeded: 12 rows"
    assert words.body == (
        "12 rows of 2 approved uploads were transformed.\n\n"
        "- a.csv@1: 9 rows, 1 exact duplicate dropped, approved by Ana Reyes\n"
        f"  {UI}/assets/transformed_survey?view=partitions&partition=a.csv%401\n"
        "- b.csv@2: 3 rows, approved by Ana Reyes (superseded since)\n"
        f"  {UI}/assets/transformed_survey?view=partitions&partition=b.csv%402\n\n"
        "What to do: nothing. The tables, the answers and the published files follow by themselves. To take an upload "
        "out again: alumni withdraw UPLOAD --reason TEXT"
    )


def test_a_transformation_that_failed() -> None:
    run = FailedRun("0f", "approve_uploads", "approve_and_transform", "The disk is full.", NOON, True)
    words = messages.transformation_failed([run], [StuckUpload("a.csv@1", ANA)], LINKS)
    assert words.subject == "Transformation failed"
    assert words.body == (
        "1 run that was to transform failed.\n\n"
        "- approve_uploads, step approve_and_transform: The disk is full.\n"
        f"  {UI}/runs/0f\n\n"
        "1 upload is approved but not transformed:\n\n"
        "- a.csv@1, approved by Ana Reyes\n"
        f"  {UI}/assets/transformed_survey?view=partitions&partition=a.csv%401\n\n"
        "What to do: see why in the run, and in the checks of transformed_survey; mend that, and materialize "
        "transformed_survey for the uploads again. Rows that counted before still count.\n"
        f"{UI}/assets/transformed_survey"
    )


def test_runs_that_failed() -> None:
    runs = [
        FailedRun("0f", "take_in_uploads", "take_in", "The disk is full.", NOON, False),
        FailedRun("1f", "renew_tables", "", "It ended without an error of its own.", NOON, False),
    ]
    words = messages.failed(runs, LINKS)
    assert words.subject == "2 runs failed"
    assert words.body == (
        "2 runs failed.\n\n"
        "- take_in_uploads, step take_in: The disk is full.\n"
        f"  {UI}/runs/0f\n"
        "- renew_tables: It ended without an error of its own.\n"
        f"  {UI}/runs/1f\n\n"
        "What to do: open the run, its last lines say what broke. Taking in an upload is tried again by itself a few "
        "times; anything else is started again with Re-execute, once the cause is mended."
    )


def test_a_renewed_table() -> None:
    renewals = [Renewal("2", NOON, 1005, 5, 2), Renewal("1", NOON.replace(hour=1), 1000, 1000, 0)]
    words = messages.deduplicated(renewals, LINKS)
    assert words.subject == "Deduplication succeeded: 1,005 alumni"
    assert words.body == (
        "The table of alumni is renewed: 1,005 alumni, one row for each.\n\n"
        "Rows that came: 1,005. Rows that went: 2.\n\n"
        "What to do: nothing. The answers and the published files follow by themselves.\n"
        f"{UI}/assets/deduplicated_survey"
    )


def test_a_lake_that_cannot_be_read() -> None:
    words = messages.lake_unreadable("The lake folder '/lake' does not exist.", LINKS)
    assert words.subject == "The lake cannot be read"
    assert "\n\nThe lake folder '/lake' does not exist.\n\nWhat to do: see that the disk" in words.body
    assert words.body.endswith(f"{UI}/automation")


def test_no_more_than_twenty_are_listed() -> None:
    uploads = [RejectedUpload(f"{number}.csv@1", "Empty.") for number in range(1500)]
    words = messages.rejected(uploads, LINKS)
    assert words.subject == "1,500 uploads rejected"
    assert words.body.count("\n- ") == 21
    assert "\n- and 1,480 more\n" in words.body


HOSTILE = st.text(max_size=400) | st.sampled_from(
    ["a\r\nBcc: eve@school.edu.ph\r\n\r\nHello", "\u202egpj.exe", "<b>bold</b>", "x" * 5000, "\udcff.csv", "- \n- \n"]
)


@given(key=HOSTILE, text=HOSTILE)
def test_no_name_and_no_reason_can_add_a_line_or_hide_one(key: str, text: str) -> None:
    upload = upload_id(key, "1" * 64)
    run = FailedRun("0f", text, text, text, NOON, True)
    for words in (
        messages.rejected([RejectedUpload(upload, text)], LINKS),
        messages.waiting([WaitingUpload(upload, 1, 1, ())], [WaitingUpload(upload, 1, 1, ())], LINKS),
        messages.open_invalid([OpenUpload(upload, 1, {text: 1})], [OpenUpload(upload, 1, {})], LINKS),
        messages.transformed([TransformedUpload(upload, 1, 0, text, "")], LINKS),
        messages.transformation_failed([run], [StuckUpload(upload, text)], LINKS),
        messages.failed([run], LINKS),
        messages.lake_unreadable(text, LINKS),
    ):
        assert words.subject.isascii()
        assert words.subject.isprintable()
        lines = words.body.split("\n")
        assert len(lines) <= 14
        assert all(line.isprintable() and len(line) < 1200 for line in lines)
        words.body.encode()
