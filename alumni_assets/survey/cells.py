"""Normal forms of cells: what a cell means once spaces, case and spelling are out of the way.

Both judging (`rules.py`) and transforming (`transformation.py`) start from these, so that a cell is
judged by exactly what it will become. Every function takes and gives an Arrow array of the same
length; null stays null unless said otherwise.
"""

import re
from collections.abc import Callable
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.contract import TIMESTAMP
from alumni_assets.survey_rules import DateRules, NameRules, PhoneRules

# Invisible characters that carry no text: zero-width space and marks of direction, which come along
# when text is pasted from messengers and PDFs.
_INVISIBLE = "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
_SPACES = r"[\s\p{Z}]+"
_TRAILING_ZERO = r"\.0*$"
_PHONE_PUNCTUATION = r"[\s\p{Z}().\-/\x{2010}-\x{2015}]+"


def by_distinct(array: pa.Array, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Apply a function to the distinct values only: for columns with few of them."""
    encoded = array.dictionary_encode()
    return function(encoded.dictionary).take(encoded.indices)


def tidy(array: pa.Array) -> pa.Array:
    """Text without outer, repeated and invisible spaces, in Unicode's normal form C; null is empty."""
    array = pc.fill_null(array, "")
    if not pc.all(pc.string_is_ascii(array)).as_py():
        array = pc.utf8_normalize(array, form="NFC")
        array = pc.replace_substring_regex(array, _INVISIBLE, "")
    trimmed = pc.utf8_trim_whitespace(array)
    return where_matching(
        trimmed,
        r"\s\s|[^\S ]|\p{Z}[\s\p{Z}]|[^\P{Z} ]",
        lambda some: pc.replace_substring_regex(some, _SPACES, " "),
    )


def where_matching(array: pa.Array, pattern: str, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Apply a function to the values that match a pattern; the others stay as they are."""
    matching = pc.match_substring_regex(array, pattern)
    if not pc.any(matching).as_py():
        return array
    return pc.replace_with_mask(array, matching, function(array.filter(matching)))


def whole_number_text(tidied: pa.Array) -> pa.Array:
    """Digits without a plus sign, leading zeros, or a spreadsheet's `.0`; other text as it is."""
    plain = where_matching(
        tidied,
        r"^[0-9]+\.0*$",
        lambda some: pc.replace_substring_regex(some, _TRAILING_ZERO, ""),
    )
    return where_matching(plain, r"^0[0-9]+$", lambda some: pc.replace_substring_regex(some, r"^0+([0-9])", r"\1"))


def bare_name(tidied: pa.Array, rules: NameRules) -> pa.Array:
    """A name without titles at its start and suffixes at its end, whatever their case."""
    patterns = [_titles(rules.honorifics), _suffixes(rules.suffixes)]
    for pattern in patterns:
        if pattern is not None:
            tidied = _removed(tidied, pattern)
    return tidied


def canonical(tidied: pa.Array, spellings: tuple[str, ...]) -> pa.Array:
    """The given spelling where the text is one of them in any case; null where it is none."""
    return by_distinct(tidied, lambda some: _canonical(some, spellings))


def phone(tidied: pa.Array, rules: PhoneRules) -> pa.Array:
    """`+<country code> <number>`, as +63 9577284792; null where it is no valid number."""
    mobile = rf"^{rules.mobile_prefix}[0-9]{{{rules.mobile_digits - len(rules.mobile_prefix)}}}$"
    national = pc.match_substring_regex(tidied, mobile)
    home = pc.binary_join_element_wise(f"+{rules.country_code}", tidied, " ")
    if pc.all(national).as_py():
        return home
    unusual = tidied.filter(pc.invert(national))
    return pc.replace_with_mask(home, pc.invert(national), _unusual_phone(unusual, rules))


def timestamp(tidied: pa.Array, rules: DateRules, time_zone: str) -> pa.Array:
    """Local wall time (timestamp[us]); null where the text is empty or no date that is accepted.

    ISO dates and date-times, with or without an offset, and what Google Sheets exports
    (3/4/2026 15:30:00, also with AM or PM), read by the configured order.
    """
    if pc.all(pc.equal(tidied, "")).as_py():
        return pa.nulls(len(tidied), TIMESTAMP)
    return by_distinct(tidied, lambda some: _timestamp(some, rules, time_zone))


def latest_instant(day: date) -> pd.Timestamp:
    """The first moment after a day."""
    return pd.Timestamp(day) + pd.Timedelta(days=1)


def _removed(names: pa.Array, pattern: str) -> pa.Array:
    return where_matching(names, pattern, lambda some: pc.replace_substring_regex(some, pattern, ""))


def _titles(titles: tuple[str, ...]) -> str | None:
    if not titles:
        return None
    words = "|".join(_dotted(title) for title in titles)
    return rf"(?i)^(?:(?:{words})(?:\.[\s,]*|[\s,]+|$))+"


def _suffixes(suffixes: tuple[str, ...]) -> str | None:
    if not suffixes:
        return None
    words = "|".join(_dotted(suffix) for suffix in suffixes)
    return rf"(?i)(?:(?:^|[\s,]+)(?:{words})\.?)+[\s,]*$"


def _dotted(word: str) -> str:
    """A pattern for a word whose letters may be followed by dots: PhD, Ph.D, P.h.D."""
    return r"\.?".join(re.escape(letter) for letter in word.rstrip("."))


def _canonical(values: pa.Array, spellings: tuple[str, ...]) -> pa.Array:
    lower = pa.array([spelling.lower() for spelling in spellings], pa.string())
    return pa.array(spellings, pa.string()).take(pc.index_in(pc.utf8_lower(values), value_set=lower))


def _unusual_phone(tidied: pa.Array, rules: PhoneRules) -> pa.Array:
    digits = pc.replace_substring_regex(tidied, _TRAILING_ZERO, "")
    digits = pc.replace_substring_regex(digits, _PHONE_PUNCTUATION, "")
    mobile = rf"{rules.mobile_prefix}[0-9]{{{rules.mobile_digits - len(rules.mobile_prefix)}}}"
    pattern = rf"^(?:\+?{rules.country_code}0?|00{rules.country_code}|0)?(?P<number>{mobile})$"
    number = pc.struct_field(pc.extract_regex(digits, pattern), "number")
    home = pc.binary_join_element_wise(f"+{rules.country_code}", number, " ")
    abroad = pc.and_(pc.is_null(home), pc.match_substring_regex(digits, r"^(?:\+|00)[1-9][0-9]{6,14}$"))
    if not pc.any(abroad).as_py():
        return home
    return pc.replace_with_mask(home, abroad, by_distinct(digits.filter(abroad), _international))


def _international(digits: pa.Array) -> pa.Array:
    return pa.array([_international_number(text) for text in digits.to_pylist()], pa.string())


def _international_number(digits: str) -> str | None:
    """By the numbering plans that the phonenumbers library holds for every country."""
    import phonenumbers

    text = digits if digits.startswith("+") else f"+{digits[2:]}"
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return f"+{number.country_code} {phonenumbers.national_significant_number(number)}"


_TIME = r"(?:[T ]+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
_ISO = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{_TIME})?$"
_ISO_WITH_OFFSET = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{_TIME}) ?(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})$"
_SHEET = rf"^[0-9]{{1,2}}/[0-9]{{1,2}}/[0-9]{{4}}{_TIME}(?: ?[AaPp][Mm])?)?$"


def _timestamp(values: pa.Array, rules: DateRules, time_zone: str) -> pa.Array:
    text = pd.Series(values.to_pandas(), dtype="str")
    local = pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")
    iso = text.str.match(_ISO)
    local[iso] = _parsed(text[iso], format="ISO8601")
    offset = text.str.match(_ISO_WITH_OFFSET)
    if offset.any():
        utc = _parsed(text[offset].str.replace(" Z", "Z"), format="ISO8601", utc=True)
        local[offset] = utc.dt.tz_convert(time_zone).dt.tz_localize(None)
    sheet = text.str.match(_SHEET)
    if sheet.any():
        day_first = rules.order == "day_first"
        local[sheet] = _parsed(text[sheet], format="mixed", dayfirst=day_first).where(
            _order_holds(text[sheet], day_first)
        )
    return pa.array(local, TIMESTAMP, from_pandas=True)


def _parsed(text: pd.Series, **how: object) -> pd.Series:
    return pd.to_datetime(text, errors="coerce", **how).astype(  # type: ignore[call-overload]
        "datetime64[us, UTC]" if how.get("utc") else "datetime64[us]"
    )


def _order_holds(text: pd.Series, day_first: bool) -> pd.Series:
    """pandas swaps day and month when the order gives no date; a swapped date is no date here."""
    month = text.str.split("/").str[1 if day_first else 0].astype(int)
    return month <= 12
