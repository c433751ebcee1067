"""Ids of uploads and names of objects, for any key that a bucket or a disk may have."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alumni_assets.survey.naming import object_name, safe_key, upload_id

SHA = "0123456789abcdef" * 4

# Any key, with surrogates for bytes that are no text, and with the characters that escaping is about.
_pieces = st.sampled_from(
    ["%", "%2", "%2F", "2F", ".", "...", "/", "\\", " ", "@", "~", "\ud800", "\u202e", "\u00a0", "é"]
)
keys = st.one_of(
    st.text(st.characters(), max_size=200),
    st.lists(_pieces | st.text(max_size=3), max_size=60).map("".join),
)


@pytest.mark.parametrize(
    "key",
    [
        "answers.csv",
        "Survey 2026 (final).xlsx",
        "Año 2024 – 同窓生.csv",
        "100%.csv",
        "a+b,c=d&e;f'g!h#i.csv",
        "a..b.csv",
        "team@school.csv",
        "UPPER_lower-.csv",
    ],
)
def test_an_ordinary_name_stays_as_it_is(key: str) -> None:
    assert upload_id(key, SHA) == f"{key}@01234567"


@pytest.mark.parametrize(
    ("key", "safe"),
    [
        ("2026/answers.csv", "2026%2Fanswers.csv"),
        ("a\\b.csv", "a%5Cb.csv"),
        (" a .csv ", "%20a .csv%20"),
        ("\u00a0a.csv", "%C2%A0a.csv"),
        ("   ", "%20%20%20"),
        ("a\nb\t.csv", "a%0Ab%09.csv"),
        ("a\u200bb.csv", "a%E2%80%8Bb.csv"),
        ("a\u202eb.csv", "a%E2%80%AEb.csv"),
        ("a...b", "a..%2Eb"),
        ("a......b", "a..%2E..%2Eb"),
        ("a%20b.csv", "a%2520b.csv"),
        ("a%2fb.csv", "a%252fb.csv"),
        ("\udcff.csv", "%ED%B3%BF.csv"),
        ("a:b*c?.csv", "a%3Ab%2Ac%3F.csv"),
    ],
)
def test_what_a_partition_key_or_a_file_cannot_carry_is_percent_encoded(key: str, safe: str) -> None:
    assert safe_key(key) == safe


@given(keys)
@example("é" * 200)
@example("同" * 100)
@example("\ud800" * 100)
@example("a" * 99 + " " * 30)
def test_any_key_gives_a_safe_id(key: str) -> None:
    upload = upload_id(key, SHA)
    assert len(upload) <= 140
    assert upload == upload.strip()
    assert not set(upload) & set('/\\:*?"<>|')
    assert "..." not in upload
    assert not {unicodedata.category(letter) for letter in upload} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert upload.endswith("@01234567")


@given(keys, keys)
@example("a/b", "a%2Fb")
@example("a%2Fb", "a%252Fb")
@example("...", "..%2E")
@example(" a", "%20a")
def test_different_keys_give_different_ids(one: str, other: str) -> None:
    assert (safe_key(one) == safe_key(other)) == (one == other)
    if one != other:
        assert object_name(upload_id(one, SHA)) != object_name(upload_id(other, SHA))


@given(st.text("ab/ %~", min_size=150, max_size=200))
def test_the_name_of_a_long_key_is_not_the_name_of_the_key_that_looks_like_it(key: str) -> None:
    assert safe_key(safe_key(key)) != safe_key(key)


@given(st.text("ab", min_size=118, max_size=124), st.text("ab", min_size=118, max_size=124))
def test_long_keys_with_the_same_start_are_told_apart(one: str, other: str) -> None:
    assert (safe_key(one) == safe_key(other)) == (one == other)


@given(keys, st.sampled_from([8, 16, 64]))
@example("同" * 80, 64)
@example("_" + "é" * 119, 64)
def test_an_object_of_any_upload_fits_on_a_disk(key: str, digits: int) -> None:
    name = object_name(upload_id(key, SHA, digits))
    assert name[0] not in "_."
    assert "/" not in name
    assert len(f"{name}.parquet.kept".encode()) <= 255


def test_an_object_never_begins_like_a_hidden_file() -> None:
    assert object_name("_answers.csv@01234567") == "%5Fanswers.csv-01234567"
    assert object_name(".answers.csv@01234567") == "%2Eanswers.csv-01234567"
    assert object_name("answers.csv@01234567") == "answers.csv-01234567"
