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


def _email_pattern(letter: str, letter_or_digit: str, joined: str) -> str:
    """Of addresses in an alphabet: classes of its letters, letters and digits, and what may stand between those."""
    label_end = rf"(?:[{letter_or_digit}{joined}-]*[{letter_or_digit}{joined}])"
    return rf"^{_ATOM}(?:\.{_ATOM})*@(?:[{letter_or_digit}]{label_end}?\.)+[{letter}]{label_end}$"


# Patterns without Unicode's classes are much faster to compile, which every small batch pays for.
_EMAIL_IN_ASCII = _email_pattern("A-Za-z", "A-Za-z0-9", "")
_EMAIL = _email_pattern(r"\p{L}", r"\p{L}\p{N}", r"\p{M}")


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
            return _is_id
        case Code.NO_NAME:
            return lambda text: cells.has_name(text, rules.employee_name)
        case Code.NOT_IN_LIST:
            assert column.name in VOCABULARY_COLUMNS
            words = contract.vocabulary(column.name)
            return lambda text: pc.is_valid(cells.canonical(text, words))
        case Code.NOT_AN_EMAIL:
            return _plausible_email
        case Code.NOT_A_PHONE_NUMBER:
            return lambda text: pc.is_valid(cells.phone(text, rules.phone_number))
        case Code.NOT_A_RATING:
            return _whole_rating
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
    return lambda text: cells.by_alphabet(
        text, _always_fine, lambda some: pc.invert(pc.match_substring_regex(some, pattern))
    )


def _always_fine(text: pa.Array) -> pa.Array:
    return pa.array(np.ones(len(text), bool))


def _at_most(characters: int) -> Rule:
    def rule(text: pa.Array) -> pa.Array:
        # No text has more characters than bytes.
        if (pc.max(pc.binary_length(text)).as_py() or 0) <= characters:
            return _always_fine(text)
        return pc.less_equal(pc.utf8_length(text), characters)

    return rule


def _is_id(text: pa.Array) -> pa.Array:
    return cells.is_employee_id(cells.whole_number_text(text))


def _plausible_email(text: pa.Array) -> pa.Array:
    """The local part and domain of RFC 5321 as people write them: no quotes, no comments, a dot."""
    plausible = cells.by_alphabet(
        text,
        lambda some: pc.match_substring_regex(some, _EMAIL_IN_ASCII),
        lambda some: pc.match_substring_regex(some, _EMAIL),
    )
    return pc.and_(plausible, pc.less_equal(pc.binary_length(text), 254))


def _whole_rating(text: pa.Array) -> pa.Array:
    return pc.match_substring_regex(text, r"^0*[1-5](?:\.0*)?$")


def _not_after(text: pa.Array, upload_day: date, contract: Contract) -> pa.Array:
    rules = contract.rules
    when = dates.timestamp(text, rules.submission_date, rules.time_zone)
    next_day = datetime.combine(upload_day, time()) + timedelta(days=1)
    return pc.fill_null(pc.less(when, pa.scalar(next_day, when.type)), True)
