"""Text that a spreadsheet might run is made harmless, and comes back as it was."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.survey import defusing

from . import examples

formula_like = st.text(st.one_of(st.sampled_from("'=+-@＝＋－＠ \t\r\n\u00a0\u200b0(a."), st.characters(codec="utf-8")))


def defused(text: str) -> str:
    return defusing.defused(pa.array([text]))[0].as_py()


def restored(text: str) -> str:
    return defusing.restored(pa.array([text]))[0].as_py()


@given(st.lists(formula_like | examples.text | st.none()))
def test_every_text_comes_back_as_it_was(texts: list[str | None]) -> None:
    array = pa.array(texts, pa.string())
    assert defusing.restored(defusing.defused(array)).equals(array)


@given(formula_like)
def test_no_defused_text_begins_like_a_formula_unless_it_is_a_number(text: str) -> None:
    assert not defused(text).startswith(("\t", "\r", "\n"))
    begins = defused(text).lstrip(" \t\r\n\u00a0\u200b")[:1]
    assert begins not in tuple("=@＝＋－＠")
    assert begins not in {"+", "-"} or not set(text[1:]) - set("0123456789 .()-")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        " =1+1",
        "@SUM(A1)",
        "+A1",
        "-A1",
        "-2+3+cmd|' /C calc'!A0",
        "＝1+1",
        "\t=1",
        "\tx",
        "\rx",
        "\nx",
        "\u00a0=1",
        "\u200b=1",
        "\x00=1",
        "+63 957 call me",
        "+63-957-728-4792",
        " -5",
        "'=1",
        "''+63",
        "'-5",
        "' @x",
        "-5\n=1",
        "=é",
    ],
)
def test_what_might_be_run_gets_an_apostrophe(text: str) -> None:
    assert defused(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ana",
        "1=1",
        "a@b.ph",
        "'",
        "'quoted'",
        "' ",
        "José",
        "0957",
        " 5",
        "+63 957 728 4792",
        "+63 (957) 728 4792",
        "+639577284792",
        "-5",
        "-5.25",
        "-",
        "+",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert (defused(text), restored(text)) == (text, text)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("'+63 957", "+63 957"), ("'-5", "-5"), ("'=1", "=1"), ("''=1", "'=1"), ("=1", "=1"), ("+63 957", "+63 957")],
)
def test_what_a_person_types_is_taken_as_it_is_meant(typed: str, meant: str) -> None:
    assert restored(typed) == meant


def test_arrays_without_text_and_slices_of_arrays_are_fine() -> None:
    assert defusing.defused(pa.nulls(2, pa.string())).equals(pa.nulls(2, pa.string()))
    assert defusing.restored(pa.array([], pa.string())).equals(pa.array([], pa.string()))
    assert defusing.defused(pa.array(["x", "=1", None, "y"])[1:3]).equals(pa.array(["'=1", None]))
