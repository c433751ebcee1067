"""What people wrote, as Dagster's descriptions and lists show it: text, of which Markdown makes nothing."""

import html
import re

import pytest
from markdown_it import MarkdownIt

from alumni_assets import checks, presentation
from alumni_assets.survey.errors import UnreadableUploadError

HEADERS = (
    "See http://evil.example/x",
    "HTTPS://evil.example",
    "(www.evil.example)",
    "pay@evil.example",
    "mailto:pay+1@evil.example",
    "__init__ _x_ Job_Role _upload",
    "[x](y) ![x](y) *x* `x` ~~x~~ <b>",
)
# What remark-gfm, by which Dagster shows Markdown, makes a link of in any text, after all escapes are undone.
LINKED = re.compile(r"(?i)(?<![\da-z])(https?://|www(?=\.))[\w-]*\.|[\w+\-.]+@[\w-]+\.[\w-]")


def shown_as(markdown: str) -> str:
    """The text that is shown, without the marks that nobody sees."""
    rendered = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").render(markdown)
    text = html.unescape(re.sub(r"</?(?:p|ul|li|strong)>", "", rendered))
    assert LINKED.search(text) is None
    return text.replace("\N{WORD JOINER}", "").strip()


@pytest.mark.parametrize("header", HEADERS)
def test_a_value_in_a_description_is_shown_as_it_is_and_is_no_link(header: str) -> None:
    assert shown_as(f"Not used: {presentation.in_words(header)}.") == f"Not used: {header}."


@pytest.mark.parametrize("header", HEADERS)
def test_a_value_in_a_list_is_shown_as_it_is_and_is_no_link(header: str) -> None:
    assert shown_as(presentation.markdown_list([("Roles", header)])).split(" ", 1)[1] == header


def test_the_reason_of_a_rejection_is_shown_as_it_is_and_is_no_link() -> None:
    upload = "[Sign in](www.evil.example).csv@1a2b3c4d"
    error = UnreadableUploadError("superseded_upload", f"The rows of {upload} count no longer.")
    assert shown_as(checks.readable(error).description) == f"The file was rejected: {error.message}"


@pytest.mark.parametrize(
    ("column", "cell", "shown"),
    [
        ("Performance_Rating", "628496", "6***"),
        ("Performance_Rating", "0957 728 4792", "0***"),
        ("Submission Date", "2026-11-20 09577284792", "2***"),
        ("Job_Role", "ana@school.ph", "a***"),
        ("DMC_Campus", "Ana Cruz", "A***"),
        ("Employee_ID", "7", "7***"),
        ("Performance_Rating", "4.5", "4.5"),
        ("Performance_Rating", "100", "100"),
        ("Submission Date", "31/02/2026", "31/02/2026"),
        ("Submission Date", "2026-13-20 08:15:00.123456", "2026-13-20 08:15:00.123456"),
    ],
)
def test_a_wrong_cell_is_shown_unless_it_may_tell_who_it_is_about(column: str, cell: str, shown: str) -> None:
    problem = {"column": column, "message": "", "value": cell, "suggestion": None}
    value = presentation.problem_rows([{"source_row": 1, "problems": [problem]}], 0)
    assert [record.data["value"] for record in value.records] == [shown]


def test_an_upload_keeps_the_name_by_which_commands_know_it() -> None:
    assert presentation.in_words("my_survey-2026.csv@1a2b3c4d") == "my_survey-2026.csv@1a2b3c4d"
