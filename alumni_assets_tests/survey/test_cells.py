"""Every accepted spelling of a cell, and what it becomes."""

import unicodedata
from datetime import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.survey import cells, dates
from alumni_assets.survey_rules import DateRules, SurveyRules

from . import examples

MANILA = "Asia/Manila"


def tidy(text: str | None) -> str:
    return cells.tidy(pa.array([text], pa.string()))[0].as_py()


def phone(rules: SurveyRules, text: str) -> str | None:
    return cells.phone(cells.tidy(pa.array([text])), rules.phone_number)[0].as_py()


def timestamps(*texts: str, order: str = "month_first", time_zone: str = MANILA) -> list[datetime | None]:
    rules = DateRules.model_validate({"order": order})
    return dates.timestamp(cells.tidy(pa.array(texts, pa.string())), rules, time_zone).to_pylist()


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("plain", "plain"),
        (None, ""),
        ("  outer \t", "outer"),
        ("inner   spaces", "inner spaces"),
        ("tab\tand\nline\r\nbreak", "tab and line break"),
        ("\u00a0no-break\u00a0\u00a0space\u3000", "no-break space"),
        ("zero\u200b-\u200cwidth\u200d\u2060\ufeff", "zero-width"),
        ("left\u200eto\u200fright\u202e", "lefttoright"),
        ("soft\u00adhyphen", "softhyphen"),
        ("\u200b \u200b", ""),
        ("Nin\u0303o", "Niño"),
        ("Nin\u200b\u0303o", "Niño"),
        ("Niño", "Niño"),
        ("\u2028para\u2029graph\u2028", "para graph"),
    ],
)
def test_tidying_takes_away_what_nobody_sees(text: str | None, tidied: str) -> None:
    assert tidy(text) == tidied


@given(st.lists(examples.text | st.none()))
def test_tidying_twice_changes_nothing_more(texts: list[str | None]) -> None:
    once = cells.tidy(pa.array(texts, pa.string()))
    assert cells.tidy(once).equals(once)


@given(st.lists(examples.text))
def test_tidied_text_is_normalised_and_has_no_outer_or_repeated_spaces(texts: list[str]) -> None:
    for text in cells.tidy(pa.array(texts, pa.string())).to_pylist():
        assert text == text.strip()
        assert "  " not in text
        assert text == unicodedata.normalize("NFC", text)


@given(st.lists(examples.text, min_size=1), st.data())
def test_cells_are_tidied_alike_whatever_their_neighbours(texts: list[str], data: st.DataObject) -> None:
    together = cells.tidy(pa.array(texts, pa.string()))
    start = data.draw(st.integers(0, len(texts) - 1))
    assert cells.tidy(pa.array(texts, pa.string()).slice(start)).equals(together.slice(start))
    assert [tidy(text) for text in texts] == together.to_pylist()


@given(st.lists(examples.text), st.integers(0, 3))
def test_cells_beyond_printable_ascii_are_told_from_the_others(texts: list[str], start: int) -> None:
    expected = [not all(" " <= letter <= "~" for letter in text) for text in texts[start:]]
    found = cells.beyond_printable_ascii(pa.array(texts, pa.string()).slice(start))
    assert (found.to_pylist() if found is not None else [False] * len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("628496", "628496"),
        ("628496.0", "628496"),
        ("628496.", "628496"),
        ("000628496", "628496"),
        ("000628496.00", "628496"),
        ("0", "0"),
        ("000", "0"),
        ("4.5", "4.5"),
        ("0x1", "0x1"),
        ("-7", "-7"),
        ("1.050", "1.050"),
        ("", ""),
    ],
)
def test_a_whole_number_loses_leading_zeros_and_the_spreadsheet_zero(text: str, number: str) -> None:
    assert cells.whole_number_text(pa.array([text]))[0].as_py() == number


@pytest.mark.parametrize(
    "text",
    [
        "9577284792",
        "09577284792",
        "639577284792",
        "+639577284792",
        "+63 957 728 4792",
        "+63-957-728-4792",
        "(+63) 957 728 4792",
        "+63 (957) 728-4792",
        "+63 (0) 957 728 4792",
        "+63 0957 728 4792",
        "0957 728 4792",
        "0957-728-4792",
        "(0957) 728 4792",
        "0957.728.4792",
        "0957/728 4792",
        "0957\u2011728\u20134792",
        "0957\u00a0728\u00a04792",
        "\u202a+63 957 728 4792\u202c",
        "957 728 4792",
        "9577284792.0",
        "639577284792.0",
        "09577284792.00",
        "00639577284792",
        "0063 957 728 4792",
        "00 63 957 728 4792",
    ],
)
def test_every_usual_spelling_of_a_mobile_number_is_accepted(rules: SurveyRules, text: str) -> None:
    assert phone(rules, text) == "+63 9577284792"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0917.123.0000", "+63 9171230000"),
        ("+1.415.555.0000", "+1 4155550000"),
        ("957.728.0000", "+63 9577280000"),
    ],
)
def test_zeros_after_a_dot_are_digits_unless_a_spreadsheet_wrote_them(
    rules: SurveyRules, text: str, number: str
) -> None:
    assert phone(rules, text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+1 415 555 0100", "+1 4155550100"),
        ("001 (415) 555-0100", "+1 4155550100"),
        ("+44 20 7946 0958", "+44 2079460958"),
        ("+39 06 1234 5678", "+39 0612345678"),
        ("+63 2 8123 4567", "+63 281234567"),
        ("+65 6123 4567", "+65 61234567"),
        ("+971 50 123 4567", "+971 501234567"),
        ("+683 4002", "+683 4002"),
    ],
)
def test_valid_international_numbers_are_accepted(rules: SurveyRules, text: str, number: str) -> None:
    assert phone(rules, text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "957728479",
        "95772847921",
        "8577284792",
        "1234567890",
        "+1 415 555",
        "+1 000 000 0000",
        "+999 123456789",
        "++639577284792",
        "+63 957 728 479",
        "4155550100",
        "9577284792 local 3",
        "none",
        "9.577284792E+09",
        "９５７７２８４７９２",
        "+",
    ],
)
def test_what_is_no_phone_number_is_refused(rules: SurveyRules, text: str) -> None:
    assert phone(rules, text) is None


@given(st.lists(examples.text | st.from_regex(r"\A(\+|00)?[1-9][0-9() .-]{5,16}\Z"), max_size=20))
def test_a_phone_number_stays_itself(rules: SurveyRules, texts: list[str]) -> None:
    once = cells.phone(cells.tidy(pa.array(texts, pa.string())), rules.phone_number)
    assert cells.phone(cells.tidy(once), rules.phone_number).equals(once)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20", datetime(2026, 11, 20)),
        ("2026-11-20 08:15:00", datetime(2026, 11, 20, 8, 15)),
        ("2026-11-20T08:15:00", datetime(2026, 11, 20, 8, 15)),
        ("2026-11-20 8:15", datetime(2026, 11, 20, 8, 15)),
        ("2026-11-20 8:15:09", datetime(2026, 11, 20, 8, 15, 9)),
        ("2026-11-20T08:15:00.25", datetime(2026, 11, 20, 8, 15, 0, 250_000)),
        ("2026-11-20T08:15:00.123456789", datetime(2026, 11, 20, 8, 15, 0, 123_456)),
        ("2026-11-20T00:15:00Z", datetime(2026, 11, 20, 8, 15)),
        ("2026-11-20t00:15:00z", datetime(2026, 11, 20, 8, 15)),
        ("2026-11-20 00:15:00 Z", datetime(2026, 11, 20, 8, 15)),
        ("2026-11-20T08:15:00+08:00", datetime(2026, 11, 20, 8, 15)),
        ("2026-11-20T08:15:00+0800", datetime(2026, 11, 20, 8, 15)),
        ("2026-11-20T08:15:00+08", datetime(2026, 11, 20, 8, 15)),
        ("2026-11-20T20:45:00-03:30", datetime(2026, 11, 21, 8, 15)),
        ("2026-11-20T23:00:00-05:00", datetime(2026, 11, 21, 12, 0)),
        ("2026/11/20 8:15:00 AM GMT+8", datetime(2026, 11, 20, 8, 15)),
        ("2026/11/20 8:15:00 PM GMT+5:30", datetime(2026, 11, 20, 22, 45)),
        ("2024-02-29", datetime(2024, 2, 29)),
        ("1999-12-31 23:59:59", datetime(1999, 12, 31, 23, 59, 59)),
    ],
)
@pytest.mark.parametrize("order", ["month_first", "day_first"])
def test_an_iso_date_is_read_whatever_the_order(text: str, moment: datetime, order: str) -> None:
    assert timestamps(text, order=order) == [moment]


@pytest.mark.parametrize(
    ("text", "month_first", "day_first"),
    [
        ("3/4/2026", datetime(2026, 3, 4), datetime(2026, 4, 3)),
        ("03/04/2026", datetime(2026, 3, 4), datetime(2026, 4, 3)),
        ("3/4/2026 15:30:00", datetime(2026, 3, 4, 15, 30), datetime(2026, 4, 3, 15, 30)),
        ("3/4/2026 3:30 PM", datetime(2026, 3, 4, 15, 30), datetime(2026, 4, 3, 15, 30)),
        ("3/4/2026 3:30:05 pm", datetime(2026, 3, 4, 15, 30, 5), datetime(2026, 4, 3, 15, 30, 5)),
        ("3/4/2026 3:30:05\u202fPM", datetime(2026, 3, 4, 15, 30, 5), datetime(2026, 4, 3, 15, 30, 5)),
        ("3/4/2026 12:00 AM", datetime(2026, 3, 4), datetime(2026, 4, 3)),
        ("3/4/2026 12:00 PM", datetime(2026, 3, 4, 12), datetime(2026, 4, 3, 12)),
        ("3/4/2026 11:59PM", datetime(2026, 3, 4, 23, 59), datetime(2026, 4, 3, 23, 59)),
        ("13/4/2026", None, datetime(2026, 4, 13)),
        ("4/13/2026", datetime(2026, 4, 13), None),
        ("2/29/2024", datetime(2024, 2, 29), None),
        ("29/2/2026", None, None),
    ],
)
def test_a_date_from_a_sheet_is_read_by_the_configured_order(
    text: str, month_first: datetime | None, day_first: datetime | None
) -> None:
    assert timestamps(text, order="month_first") == [month_first]
    assert timestamps(text, order="day_first") == [day_first]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026",
        "2026-11",
        "2026-1-5",
        "20261120",
        "2026-02-29",
        "2026-02-30 08:00:00",
        "2026-13-01",
        "2026-00-10",
        "2026-10-00",
        "0000-00-00",
        "0026-11-20",
        "2026-11-20 24:00:00",
        "2026-11-20 08:60:00",
        "2026-11-20 08:15:60",
        "2026-11-20 08",
        "2026-11-20T",
        "2026-11-20T08:15:00+25:00",
        "2026-11-20T08:15:00+08:99",
        "2026-11-20T08:15:00+",
        "1899-12-31",
        "1900-01-01T00:00:00+14:00",
        "2026-11-20 13:00 PM",
        "3/4/26",
        "0/5/2026",
        "5/0/2026",
        "3-4-2026",
        "3/4/2026 25:00",
        "12:30",
        "2026-11-20 08:15:00 CEST",
        "45981.34",
    ],
)
@pytest.mark.parametrize("order", ["month_first", "day_first"])
def test_what_is_no_date_is_refused(text: str, order: str) -> None:
    assert timestamps(text, order=order) == [None]


def test_an_impossible_date_does_not_harm_its_neighbours() -> None:
    texts = ("2026-11-20", "2026-02-30", "", "3/4/2026", "2026-11-20 08:15:00", "2026-11-20T00:15:00Z")
    alone = [timestamps(text)[0] for text in texts]
    assert timestamps(*texts) == alone
    assert [moment is None for moment in alone] == [False, True, True, False, False, False]


def test_an_offset_is_converted_to_the_time_zone_of_the_survey() -> None:
    assert timestamps("2026-07-01T12:00:00Z", "2026-12-01T12:00:00Z", time_zone="Europe/Madrid") == [
        datetime(2026, 7, 1, 14, 0),
        datetime(2026, 12, 1, 13, 0),
    ]


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)))
def test_every_date_that_we_write_ourselves_is_read_back(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    assert timestamps(moment.isoformat(), str(moment), str(whole), whole.strftime("%m/%d/%Y %I:%M:%S %p")) == [
        moment,
        moment,
        whole,
        whole,
    ]


@given(
    st.lists(
        st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2})?([+-][0-9]{2}:[0-9]{2}|Z)?)?\Z")
        | st.from_regex(r"\A[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}( [0-9]{1,2}:[0-9]{2} [AP]M)?\Z")
        | examples.text,
        max_size=10,
    )
)
def test_no_text_breaks_the_reading_of_dates(texts: list[str]) -> None:
    together = timestamps(*texts)
    assert together == [timestamps(text)[0] for text in texts]
