"""The rules by which cells are judged: for each code of the contract, which cells keep to it.

A rule takes tidied text and gives a mask (true: the cell is fine). Empty cells keep to every rule
but "missing". What the codes mean is in `contract.py`; the pandera schemas that apply the rules are
in `schemas.py`.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.contract import VOCABULARY_COLUMNS, Code, Column, Contract
from alumni_assets.survey import cells, dates

Rule = Callable[[pa.Array], pa.Array]
_ATOM = r"[^\s@,;:\"<>()\[\]\\.]+"
_LABEL_END = r"(?:[\p{L}\p{N}\p{M}-]*[\p{L}\p{N}\p{M}])"
_EMAIL = rf"^{_ATOM}(?:\.{_ATOM})*@(?:[\p{{L}}\p{{N}}]{_LABEL_END}?\.)+\p{{L}}{_LABEL_END}$"


def rules_of(column: Column, contract: Contract, upload_day: date) -> dict[Code, Rule]:
    """The rules of a column, in the order in which a reader should see their reasons.

    `upload_day` is the day of the upload in the survey's time zone.
    """
    general: dict[Code, Rule] = {
        Code.UNDECODABLE: _without("\ufffd"),
        Code.FIELD_TOO_LONG: _at_most(contract.rules.limits.field_characters),
        Code.CONTROL_CHARACTER: _without(r"\p{Cc}"),
    }
    presence: dict[Code, Rule] = {Code.MISSING: _filled} if column.required else {}
    own = {code: _own_rule(code, column, contract, upload_day) for code in column.codes}
    return general | presence | {code: _or_empty(rule) for code, rule in own.items()}


def _own_rule(code: Code, column: Column, contract: Contract, upload_day: date) -> Rule:
    rules = contract.rules
    match code:
        case Code.NOT_AN_ID:
            return lambda text: pc.match_substring_regex(cells.whole_number_text(text), "^[0-9]{1,18}$")
        case Code.NO_NAME:
            return lambda text: pc.match_substring_regex(cells.bare_name(text, rules.employee_name), r"\p{L}")
        case Code.NOT_IN_LIST:
            assert column.name in VOCABULARY_COLUMNS
            words = contract.vocabulary(column.name)
            return lambda text: pc.is_valid(cells.canonical(text, words))
        case Code.NOT_AN_EMAIL:
            return _plausible_email
        case Code.NOT_A_PHONE_NUMBER:
            return lambda text: pc.is_valid(cells.phone(text, rules.phone_number))
        case Code.NOT_A_RATING:
            return lambda text: cells.by_distinct(text, _whole_rating)
        case Code.NOT_A_DATE:
            return lambda text: pc.is_valid(dates.timestamp(text, rules.submission_date, rules.time_zone))
        case Code.DATE_IN_FUTURE:
            return lambda text: _not_after(text, upload_day, contract)
    raise ValueError(f"{code} is not a rule of a column")


def _filled(text: pa.Array) -> pa.Array:
    return pc.not_equal(text, "")


def _or_empty(rule: Rule) -> Rule:
    return lambda text: pc.or_(rule(text), pc.equal(text, ""))


def _without(pattern: str) -> Rule:
    """Cells without a pattern that is nowhere in printable ASCII."""

    def rule(text: pa.Array) -> pa.Array:
        if cells.is_printable_ascii(text):
            return pa.array(np.ones(len(text), bool))
        return pc.invert(pc.match_substring_regex(text, pattern))

    return rule


def _at_most(characters: int) -> Rule:
    return lambda text: pc.less_equal(pc.utf8_length(text), characters)


def _plausible_email(text: pa.Array) -> pa.Array:
    """The local part and domain of RFC 5321 as people write them: no quotes, no comments, a dot."""
    return pc.and_(pc.match_substring_regex(text, _EMAIL), pc.less_equal(pc.binary_length(text), 254))


def _whole_rating(text: pa.Array) -> pa.Array:
    return pc.match_substring_regex(text, r"^0*[1-5](?:\.0*)?$")


def _not_after(text: pa.Array, upload_day: date, contract: Contract) -> pa.Array:
    rules = contract.rules
    when = dates.timestamp(text, rules.submission_date, rules.time_zone)
    next_day = datetime.combine(upload_day, time()) + timedelta(days=1)
    return pc.fill_null(pc.less(when, pa.scalar(next_day, when.type)), True)
