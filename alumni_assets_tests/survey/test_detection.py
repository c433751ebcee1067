"""What kind of file an upload is, and which files are refused."""

import codecs
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.contract import COLUMNS
from alumni_assets.survey import detection
from alumni_assets.survey.detection import FileFormat, detect_text, match_header
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.reading import detect
from alumni_assets.survey_rules import SurveyRules

TITLES = tuple(column.header for column in COLUMNS)
HEADER = ",".join(TITLES)
ROW = "628496,José Peña,Education,HR,Teacher,Main,a@b.com,9577284792,4,2026-11-20"
TEXT = f"{HEADER}\r\n{ROW}\r\n"


def detected(content: bytes, rules: SurveyRules, name: str = "answers.csv") -> FileFormat:
    return detect_text(name, io.BytesIO(content), rules.limits)


def refusal(content: bytes, rules: SurveyRules, name: str = "answers.csv") -> UnreadableUploadError:
    with pytest.raises(UnreadableUploadError) as error:
        detected(content, rules, name)
    return error.value


@pytest.mark.parametrize(
    ("content", "encoding", "mark"),
    [
        (TEXT.encode(), "utf-8", False),
        (codecs.BOM_UTF8 + TEXT.encode(), "utf-8", True),
        (TEXT.encode("utf-16-le"), "utf-16-le", False),
        (TEXT.encode("utf-16-be"), "utf-16-be", False),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "utf-16-le", True),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-16-be", True),
        (TEXT.encode("cp1252"), "windows-1252", False),
        (HEADER.encode() + b"\n", "utf-8", False),
    ],
)
def test_the_encoding_is_detected(rules: SurveyRules, content: bytes, encoding: str, mark: bool) -> None:
    found = detected(content, rules)
    assert (found.encoding, found.byte_order_mark, found.damaged) == (encoding, mark, False)
    assert found.header.titles == TITLES


def test_utf8_with_a_few_damaged_bytes_stays_utf8(rules: SurveyRules) -> None:
    found = detected((TEXT * 5).encode() + b"\xff\xf1\n", rules)
    assert (found.encoding, found.damaged) == ("utf-8", True)


def test_a_byte_order_mark_outweighs_damaged_bytes(rules: SurveyRules) -> None:
    found = detected(codecs.BOM_UTF8 + HEADER.encode() + b"\nJos\xe9\n", rules)
    assert (found.encoding, found.byte_order_mark, found.damaged) == ("utf-8", True, True)
    assert found.header.titles == TITLES


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
def test_the_encoding_does_not_depend_on_the_chunks(
    rules: SurveyRules, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection, "CHUNK", chunk)
    monkeypatch.setattr(detection, "_SNIFFED", 16)
    assert detected((HEADER + "\n€ \ufffd \U0001f600 ñ\n").encode(), rules).encoding == "utf-8"
    assert detected((HEADER + "\nJosé\n").encode("cp1252"), rules).encoding == "windows-1252"


@given(st.text(st.characters(codec="utf-8"), max_size=50), st.integers(1, 5))
def test_what_is_utf8_is_never_taken_for_damaged(text: str, chunk: int) -> None:
    content = text.encode()
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patched:
        patched.setattr(detection, "CHUNK", chunk)
        good, bad = detection._utf8_characters(content[:chunk], io.BytesIO(content[chunk:]))
    assert (good, bad) == (sum(not letter.isascii() for letter in text), 0)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_the_delimiter_is_the_one_that_shows_the_columns(rules: SurveyRules, delimiter: str, ending: str) -> None:
    content = (delimiter.join(TITLES) + ending + "a, b; c | d\t" + ending).encode()
    found = detected(content, rules)
    assert (found.delimiter, found.header.titles, found.header_record) == (delimiter, TITLES, 0)


@pytest.mark.parametrize(
    ("above", "records"),
    [
        ("\n", 1),
        ("\r\n\r\n", 2),
        ("\r\r", 2),
        (",,,,\n", 1),
        (";;;;\r\n", 1),
        ("  \t \n\n,,\n", 3),
        ('"","",\n', 1),
        ('" \n ",\n', 1),
        ("\u00a0\n", 1),
    ],
)
def test_blank_records_before_the_header_are_counted(rules: SurveyRules, above: str, records: int) -> None:
    found = detected((above + TEXT).encode(), rules)
    assert (found.header.titles, found.header_record) == (TITLES, records)


def test_the_header_may_be_quoted_and_hold_line_breaks(rules: SurveyRules) -> None:
    titles = ['"Employee_ID"', '"Employee\nName"', *TITLES[2:]]
    assert detected((",".join(titles) + "\n").encode(), rules).header.fields[:2] == ("employee_id", "employee_name")


@pytest.mark.parametrize(
    "variant",
    [
        str.upper,
        str.lower,
        lambda title: title.replace("_", " "),
        lambda title: title.replace("_", "").replace(" ", ""),
        lambda title: f"  {title} ",
        lambda title: f"\ufeff{title}\u200b",
        lambda title: title.replace("_", "\u00a0"),
    ],
)
def test_header_names_match_whatever_case_spaces_and_underscores(rules: SurveyRules, variant: object) -> None:
    titles = tuple(variant(title) for title in reversed(TITLES))  # type: ignore[operator]
    header = match_header(titles, rules.limits)
    assert header.fields == tuple(column.name for column in reversed(COLUMNS))
    assert header.unknown == ()


def test_unknown_columns_are_named_but_the_submission_id_is_not(rules: SurveyRules) -> None:
    header = match_header((*TITLES, "Shoe Size", "Submission_ID", " ", "Notes"), rules.limits)
    assert header.unknown == ("Shoe Size", "Notes")
    assert header.fields[len(TITLES) :] == (None, None, None, None)


def test_the_submission_date_is_optional(rules: SurveyRules) -> None:
    assert "submission_date" not in match_header(TITLES[:-1], rules.limits).fields


@pytest.mark.parametrize("lacking", [title for title in TITLES if title != "Submission Date"])
def test_a_missing_required_column_is_named(rules: SurveyRules, lacking: str) -> None:
    titles = ",".join(title for title in TITLES if title != lacking)
    error = refusal((titles + "\n" + ROW).encode(), rules)
    assert error.code == "missing_column"
    assert f"lacks {lacking}." in error.message


def test_all_missing_columns_are_named(rules: SurveyRules) -> None:
    error = refusal((",".join(TITLES[:7]) + "\n").encode(), rules)
    assert "lacks Phone_Number and Performance_Rating." in error.message


@pytest.mark.parametrize("again", ["Email", " e-mail".replace("-", ""), "E_MAIL"])
def test_a_doubled_column_is_named(rules: SurveyRules, again: str) -> None:
    error = refusal((HEADER + f",{again}\n").encode(), rules)
    assert (error.code, "Email" in error.message) == ("doubled_column", True)


def test_too_many_columns_are_refused(rules: SurveyRules) -> None:
    titles = HEADER + "".join(f",c{number}" for number in range(rules.limits.columns))
    assert refusal(titles.encode(), rules).code == "too_many_columns"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\n\r\n  \n", "empty"),
        (b",,,\n;;\n", "empty"),
        (codecs.BOM_UTF8, "empty"),
        (codecs.BOM_UTF16_LE + "\r\n".encode("utf-16-le"), "empty"),
        (b"%PDF-1.7\n...", "not_a_table"),
        (b"PK\x03\x04....", "not_a_table"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "not_a_table"),
        (b"\x89PNG\r\n\x1a\n", "not_a_table"),
        (b"PAR1....", "not_a_table"),
        (gzip.compress(TEXT.encode()), "not_a_table"),
        (bytes(range(256)) * 20 + b"\x00" * 2000, "not_a_table"),
        (b"<!DOCTYPE html><html><title>Sign in</title></html>", "web_page"),
        (codecs.BOM_UTF8 + b"\n <html lang='en'>", "web_page"),
        (b'<?xml version="1.0"?><x/>', "web_page"),
        (b"just a sentence, nothing more", "missing_column"),
        (b'{"Employee_ID": 1}', "missing_column"),
        (ROW.encode(), "missing_column"),
        (b'"Employee_ID,Employee_Name', "missing_column"),
    ],
)
def test_what_is_no_table_is_refused_with_a_reason(rules: SurveyRules, content: bytes, code: str) -> None:
    assert refusal(content, rules).code == code


def test_many_blank_lines_are_not_taken_for_an_empty_file(rules: SurveyRules) -> None:
    found = detected(b"\n" * 100_000 + TEXT.encode(), rules)
    assert found.header_record == 100_000


def test_a_header_out_of_all_proportion_is_refused(rules: SurveyRules) -> None:
    assert refusal(b'"' + b"x" * 3_000_000 + b'"\n', rules).code == "missing_column"


def test_a_compressed_file_is_unpacked(rules: SurveyRules) -> None:
    found = detected(gzip.compress(codecs.BOM_UTF8 + TEXT.encode()), rules, "answers.CSV.GZ")
    assert (found.compressed, found.byte_order_mark, found.header.titles) == (True, True, TITLES)


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(TEXT.encode() * 100)[:-9], gzip.compress(TEXT.encode())[:5] + b"\x00" * 30],
    ids=["plain", "cut off", "garbled"],
)
def test_a_damaged_archive_is_refused(rules: SurveyRules, content: bytes) -> None:
    assert refusal(content, rules, "answers.csv.gz").code == "damaged_archive"


def test_an_archive_that_unpacks_beyond_the_limit_is_refused(rules: SurveyRules) -> None:
    limits = rules.limits.model_copy(update={"decompressed_megabytes": 1})
    bomb = gzip.compress(TEXT.encode() + b"," * (2 << 20))
    with pytest.raises(UnreadableUploadError, match="unpacks to more than 1 MB") as error:
        detect_text("answers.csv.gz", io.BytesIO(bomb), limits)
    assert error.value.code == "too_large"


def test_an_archive_in_an_archive_is_refused(rules: SurveyRules) -> None:
    assert refusal(gzip.compress(gzip.compress(TEXT.encode())), rules, "a.csv.gz").code == "not_a_table"


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.csv.zip", "a.xls", "a.xlsx.gz", "a.json", ".gz", "csv"])
def test_other_kinds_of_names_are_refused(rules: SurveyRules, name: str, tmp_path: Path) -> None:
    (tmp_path / "upload").write_text(TEXT)
    with pytest.raises(UnreadableUploadError) as error:
        detect(name, tmp_path / "upload", rules.limits)
    assert error.value.code == "unsupported_type"


@pytest.mark.parametrize("name", ["a.csv", "A.CSV", "a.tsv", "a.txt", "a/b.csv", ".csv"])
def test_the_accepted_kinds_of_names_are_read(rules: SurveyRules, name: str, tmp_path: Path) -> None:
    (tmp_path / "upload").write_text(TEXT)
    assert detect(name, tmp_path / "upload", rules.limits).kind == "text"


@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.csv.gz"]))
def test_any_bytes_are_detected_or_refused(rules: SurveyRules, content: bytes, name: str) -> None:
    for start in (b"", HEADER.encode() + b"\n"):
        try:
            assert detected(start + content, rules, name).header.titles == TITLES
        except UnreadableUploadError as error:
            assert error.message.endswith((".", "CSV"))  # noqa: PT017
