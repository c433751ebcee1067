"""Dates as people and spreadsheets write them, as local wall time.

Which dates are too late is a rule and in `rules.py`; other cells are in `cells.py`.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.contract_arrow import TIMESTAMP
from alumni_assets.survey_rules import DateRules

_EARLIEST = np.datetime64("1900-01-01", "us")
_MOST_OFFSET_MINUTES = 14 * 60
_MICROSECONDS = 1_000_000

_LENGTH_OF_ISO = len("2026-11-20 08:15:00")
_PLAIN_ISO = r"^(?:19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}:[0-9]{2})?$"
_DATE = (
    r"(?P<iso_year>[0-9]{4})-(?P<iso_month>[0-9]{2})-(?P<iso_day>[0-9]{2})"
    r"|(?P<form_year>[0-9]{4})/(?P<form_month>[0-9]{1,2})/(?P<form_day>[0-9]{1,2})"
    r"|(?P<first>[0-9]{1,2})/(?P<second>[0-9]{1,2})/(?P<sheet_year>[0-9]{4})"
)
_TIME = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<seconds>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    r"(?: ?(?P<half>[AP])M)?"
)
_ZONE = (
    r"(?P<utc>Z|GMT|UTC)"
    r"|(?:GMT|UTC)?(?P<sign>[+-])(?P<zone_hours>[0-9]{1,2})(?::?(?P<zone_minutes>[0-9]{2}))?"
)
_DATE_TIME = rf"(?i)^(?:{_DATE})(?:[T ]{_TIME}(?: ?(?:{_ZONE}))?)?$"


def timestamp(tidied: pa.Array, rules: DateRules, time_zone: str) -> pa.Array:
    """Local wall time (timestamp[us]); null where the text is empty or no date that is accepted.

    Accepted are ISO dates and date-times, and what Google Sheets and Forms export (3/4/2026 15:30:00,
    also with AM or PM, read by the configured order; 2026/04/03 3:30:00 PM GMT+8). A time with an
    offset is converted to the time zone. Years before 1900 are taken for typing errors.
    """
    # All that Arrow takes for a time, and that is so long, is YYYY-MM-DD HH:MM:SS.
    usual = pc.equal(pc.binary_length(tidied), _LENGTH_OF_ISO)
    try:
        times = _cast(tidied, usual)
    except pa.ArrowInvalid:
        usual = pc.match_substring_regex(tidied, _PLAIN_ISO)
        try:
            times = _cast(tidied, usual)
        except pa.ArrowInvalid:  # a plain date that no calendar has, such as the 30th of February
            return _by_parts(tidied, rules, time_zone)
    times = pc.if_else(pc.less(times, pa.scalar(_EARLIEST, TIMESTAMP)), pa.scalar(None, TIMESTAMP), times)
    unusual = pc.and_not(pc.not_equal(tidied, ""), usual)
    if not pc.any(unusual).as_py():
        return times
    return pc.replace_with_mask(times, unusual, _by_parts(tidied.filter(unusual), rules, time_zone))


def _cast(tidied: pa.Array, chosen: pa.Array) -> pa.Array:
    """Arrow's reading of the chosen texts, null for the others. Raises ArrowInvalid."""
    texts = tidied if pc.all(chosen).as_py() else pc.if_else(chosen, tidied, pa.scalar(None, pa.string()))
    return pc.cast(texts, TIMESTAMP)


class _Parts:
    """The parts of dates by name, as `_DATE_TIME` finds them; a part that is not there is empty or 0."""

    def __init__(self, tidied: pa.Array) -> None:
        self._found = pc.extract_regex(tidied, _DATE_TIME)

    def text(self, name: str) -> pa.Array:
        return pc.ascii_upper(pc.fill_null(pc.struct_field(self._found, name), ""))

    def equal(self, name: str, value: str) -> np.ndarray:
        return pc.equal(self.text(name), value).to_numpy(zero_copy_only=False)

    def number(self, *names: str) -> np.ndarray:
        """The one of the named parts that is there."""
        digits = pc.binary_join_element_wise("0", *(self.text(name) for name in names), "")
        return pc.cast(digits, pa.int64()).to_numpy()


def _by_parts(tidied: pa.Array, rules: DateRules, time_zone: str) -> pa.Array:
    parts = _Parts(tidied)
    date, is_date = _date(parts, rules)
    clock, is_clock = _clock(parts)
    local = date.astype("datetime64[us]") + clock
    offset, has_offset, is_offset = _offset(parts)
    if has_offset.any():
        converted = pd.Series(local - offset).dt.tz_localize("UTC").dt.tz_convert(time_zone).dt.tz_localize(None)
        local = np.where(has_offset, converted.to_numpy(), local)
    return pa.array(local, TIMESTAMP, mask=~(is_date & is_clock & is_offset & (local >= _EARLIEST)))


def _date(parts: _Parts, rules: DateRules) -> tuple[np.ndarray, np.ndarray]:
    """The days, and which of them there are in the calendar."""
    day_first = rules.order == "day_first"
    year = parts.number("iso_year", "form_year", "sheet_year")
    month = parts.number("iso_month", "form_month", "second" if day_first else "first")
    day = parts.number("iso_day", "form_day", "first" if day_first else "second")
    first_of_month = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    date = first_of_month.astype("datetime64[D]") + (day - 1)
    exists = (month >= 1) & (month <= 12) & (date.astype("datetime64[M]") == first_of_month)
    return date, exists


def _clock(parts: _Parts) -> tuple[np.ndarray, np.ndarray]:
    """The microseconds since midnight, and which of them a clock shows."""
    hour, minute, seconds = parts.number("hour"), parts.number("minute"), parts.number("seconds")
    afternoon = parts.equal("half", "P")
    in_halves = afternoon | parts.equal("half", "A")
    fraction = pc.utf8_slice_codeunits(pc.utf8_rpad(parts.text("fraction"), 6, "0"), 0, 6)
    hour_of_day = np.where(in_halves, hour % 12 + 12 * afternoon, hour)
    clock = ((hour_of_day * 60 + minute) * 60 + seconds) * _MICROSECONDS + pc.cast(fraction, pa.int64()).to_numpy()
    return clock, (hour <= np.where(in_halves, 12, 23)) & (minute <= 59) & (seconds <= 59)


def _offset(parts: _Parts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The microseconds that a time is ahead of UTC, which times have an offset, and which of them exist."""
    behind = parts.equal("sign", "-")
    minutes = parts.number("zone_hours") * 60 + parts.number("zone_minutes")
    is_utc = pc.not_equal(parts.text("utc"), "").to_numpy(zero_copy_only=False)
    exists = (minutes <= _MOST_OFFSET_MINUTES) & (parts.number("zone_minutes") <= 59)
    return np.where(behind, -minutes, minutes) * 60 * _MICROSECONDS, is_utc | behind | parts.equal("sign", "+"), exists
