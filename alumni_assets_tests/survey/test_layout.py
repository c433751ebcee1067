"""Where things lie in the lake."""

import pytest
from hypothesis import example, given

from alumni_assets import layout

from .test_naming import keys

UPLOAD = "a b.csv@01234567"


def test_the_objects_of_an_upload_lie_in_the_folder_of_their_stage() -> None:
    assert layout.pinned_key(UPLOAD) == "pinned/a b.csv-01234567"
    assert layout.valid_key(UPLOAD) == "valid/a b.csv-01234567.parquet"
    assert layout.invalid_key(UPLOAD) == "invalid/a b.csv-01234567.parquet"
    assert layout.transformed_key(UPLOAD) == "transformed/a b.csv-01234567.parquet"
    assert layout.archive_folder(UPLOAD, "2026-11-23") == "archive/2026-11-23/a b.csv-01234567/"
    assert layout.fact_key("seen", UPLOAD) == "register/seen/a b.csv-01234567.json"
    assert layout.log_key("decisions", UPLOAD, 7) == "register/decisions/a b.csv-01234567/000007.json"


@given(keys)
@example("team@../../../etc/x")
@example("a@b/c")
@example("..")
def test_the_log_of_any_raw_key_stays_in_its_folder(key: str) -> None:
    parts = layout.log_key("arrivals", key, 1).split("/")
    assert parts[:2] == ["register", "arrivals"]
    assert len(parts) == 4
    assert parts[2] not in {"", ".", ".."}


@given(keys, keys)
@example("a@b", "a-b")
@example("x@01234567", "x-01234567")
def test_different_raw_keys_have_different_logs(one: str, other: str) -> None:
    assert (layout.log_folder("arrivals", one) == layout.log_folder("arrivals", other)) == (one == other)


@given(keys)
@example("\ud83d\ude00")
@example("\U0001f600")
@example("%ED%A0%80")
@example("\udcff%")
def test_a_quoted_key_is_read_back_and_is_plain_text(key: str) -> None:
    quoted = layout.quoted(key)
    assert quoted.isascii()
    assert quoted.isprintable()
    assert layout.unquoted(quoted) == key


def test_an_ordinary_quoted_key_stays_readable() -> None:
    assert layout.quoted("2026/team a (final)+b@c,d=e_f-g.csv") == "2026/team a (final)+b@c,d=e_f-g.csv"


@pytest.mark.parametrize(
    ("key", "is_transferring"),
    [
        ("raw/a.csv", False),
        ("raw/a.csv.part", True),
        ("raw/x/A.CSV.CRDOWNLOAD", True),
        ("raw/.a.csv", True),
        ("raw/x/~$a.xlsx", True),
        ("raw/a.csv.tmp", True),
        ("raw/.hidden/a.csv", False),
        ("raw/part.csv", False),
        ("raw/a.csv.filepart", True),
    ],
)
def test_the_names_that_programs_give_to_unfinished_files_are_known(key: str, is_transferring: bool) -> None:
    assert layout.is_transferring(key) is is_transferring


def test_a_listing_identity_changes_with_each_of_its_parts() -> None:
    identities = {
        layout.listing_identity(key, etag, size)
        for key in ("a", "b", "\udcff")
        for etag in ("1", "2")
        for size in (1, 2)
    }
    assert len(identities) == 12
