"""Normal forms of cells: what a cell means once spaces, case and spelling are out of the way.

Both judging (`rules.py`) and transforming (`transformation.py`) start from these, so that a cell is
judged by exactly what it will become. Every function takes and gives an Arrow array of the same
length; null stays null unless said otherwise. Dates are in `dates.py`.
"""

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.survey_rules import NameRules, PhoneRules

# Format characters carry no text: zero-width spaces and joiners, soft hyphens, marks of direction,
# which come along when text is pasted from messengers and PDFs.
_INVISIBLE = r"\p{Cf}+"
_SPACES = r"[\s\p{Z}]+"
_PHONE_PUNCTUATION = r"[\s\p{Z}().\-/\x{2010}-\x{2015}]+"
_SPREADSHEET_PHONE = r"^(\+?[0-9]{9,})\.0*$"


def by_distinct(array: pa.Array, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Apply a function to the distinct values only: for columns with few of them, dictionary-encoded or not."""
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode(null_encoding="encode")
    return function(encoded.dictionary).take(encoded.indices)


def beyond_printable_ascii(array: pa.Array) -> pa.Array | None:
    """Which cells have more than ASCII's letters, digits, punctuation and spaces; None when none has.

    The array has no nulls. It looks at all cells' bytes at once, which costs far less than looking at each cell.
    """
    offsets, characters = _bytes_of(array)
    beyond = (characters < ord(" ")) | (characters > ord("~"))
    if not beyond.any():
        return None
    cells = np.zeros(len(array), bool)
    cells[np.searchsorted(offsets, np.flatnonzero(beyond), side="right") - 1] = True
    return pa.array(cells)


def by_alphabet(
    array: pa.Array, plain: Callable[[pa.Array], pa.Array], any_text: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """Apply `any_text` to cells beyond printable ASCII and `plain`, which is faster, to the others.

    The array has no nulls.
    """
    beyond = beyond_printable_ascii(array)
    if beyond is None:
        return plain(array)
    return pc.replace_with_mask(plain(array), beyond, any_text(array.filter(beyond)))


def tidy(array: pa.Array) -> pa.Array:
    """Text without outer, repeated and invisible spaces, in Unicode's normal form C; null is empty."""
    array = pc.fill_null(array, "")
    trimmed = by_alphabet(array, pc.ascii_trim_whitespace, _tidy_unusual)
    # No trimmed cell begins or ends with a space: two in a row, in all the text, are inside one cell.
    if b"  " not in _bytes_of(trimmed)[1].tobytes():
        return trimmed
    return _where(pc.match_substring(trimmed, "  "), trimmed, lambda some: pc.replace_substring_regex(some, "  +", " "))


def where_matching(array: pa.Array, pattern: str, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Apply a function to the values that match a pattern; the others stay as they are."""
    return _where(pc.match_substring_regex(array, pattern), array, function)


def whole_number_text(tidied: pa.Array) -> pa.Array:
    """Digits without leading zeros or a spreadsheet's `.0`; other text as it is."""
    usual = pc.and_not(pc.ascii_is_decimal(tidied), pc.starts_with(tidied, "0"))
    return _where(pc.invert(usual), tidied, _unusual_number)


def is_employee_id(numbers: pa.Array) -> pa.Array:
    """Whether what `whole_number_text` gave is an employee id."""
    return pc.and_(pc.ascii_is_decimal(numbers), pc.less_equal(pc.binary_length(numbers), 18))


def bare_name(tidied: pa.Array, rules: NameRules) -> pa.Array:
    """A name without titles at its start and suffixes at its end, whatever their case."""
    for pattern in (_titles(rules.honorifics), _suffixes(rules.suffixes)):
        if pattern is not None:
            tidied = _removed(tidied, pattern)
    return tidied


def has_name(tidied: pa.Array, rules: NameRules) -> pa.Array:
    """Whether a letter remains of a name once titles and suffixes are gone."""
    return by_alphabet(
        tidied,
        lambda some: _has_name(some, "A-Za-z", rules),
        lambda some: _has_name(some, r"\p{L}", rules),
    )


def canonical(tidied: pa.Array, spellings: tuple[str, ...]) -> pa.Array:
    """The given spelling where the text is one of them in any case; null where it is none."""
    known = pa.array(spellings, pa.string())
    return known.take(pc.index_in(pc.utf8_lower(tidied), value_set=pc.utf8_lower(known)))


def phone(tidied: pa.Array, rules: PhoneRules) -> pa.Array:
    """`+<country code> <number>`, as +63 9577284792; null where it is no valid number."""
    digits = pc.and_(pc.ascii_is_decimal(tidied), pc.equal(pc.binary_length(tidied), rules.mobile_digits))
    usual = pc.and_(digits, pc.starts_with(tidied, rules.mobile_prefix))
    home = pc.binary_join_element_wise(f"+{rules.country_code}", tidied, " ")
    if pc.all(usual).as_py():
        return home
    unusual = pc.invert(usual)
    return pc.replace_with_mask(home, unusual, _unusual_phone(tidied.filter(unusual), rules))


def _where(mask: pa.Array, array: pa.Array, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    if not pc.any(mask).as_py():
        return array
    return pc.replace_with_mask(array, mask, function(array.filter(mask)))


def _bytes_of(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Where each cell of a string array without nulls begins and ends in its text, and the text's bytes."""
    _, offsets_buffer, text = array.buffers()
    if len(array) == 0 or text is None:
        return np.zeros(len(array) + 1, np.int32), np.zeros(0, np.uint8)
    offsets = np.frombuffer(offsets_buffer, np.int32, count=len(array) + 1, offset=4 * array.offset)
    return offsets - offsets[0], np.frombuffer(text, np.uint8)[offsets[0] : offsets[-1]]


def _tidy_unusual(array: pa.Array) -> pa.Array:
    visible = pc.replace_substring_regex(array, _INVISIBLE, "")
    spaced = pc.replace_substring_regex(pc.utf8_normalize(visible, form="NFC"), _SPACES, " ")
    return pc.utf8_trim_whitespace(spaced)


def _unusual_number(tidied: pa.Array) -> pa.Array:
    plain = where_matching(tidied, r"^[0-9]+\.0*$", lambda some: pc.replace_substring_regex(some, r"\.0*$", ""))
    return where_matching(plain, r"^0[0-9]+$", lambda some: pc.replace_substring_regex(some, r"^0+([0-9])", r"\1"))


def _removed(names: pa.Array, pattern: str) -> pa.Array:
    return where_matching(names, pattern, lambda some: pc.replace_substring_regex(some, pattern, ""))


def _has_name(tidied: pa.Array, letters: str, rules: NameRules) -> pa.Array:
    # Only what has no other word than titles and suffixes may be nothing without them, and that is seen at once.
    words = "|".join(_dotted(word) for word in _longest_first((*rules.honorifics, *rules.suffixes)))
    doubtful = pc.match_substring_regex(tidied, f"^(?:[^{letters}]|(?i:{words}))*$")
    if not pc.any(doubtful).as_py():
        return pc.invert(doubtful)
    bare = bare_name(tidied.filter(doubtful), rules)
    return pc.replace_with_mask(pc.invert(doubtful), doubtful, pc.match_substring_regex(bare, f"[{letters}]"))


def _titles(titles: tuple[str, ...]) -> str | None:
    if not titles:
        return None
    words = "|".join(_dotted(title) for title in _longest_first(titles))
    return rf"(?i)^(?:(?:{words})(?:\.[\s,]*|[\s,]+|$))+"


def _suffixes(suffixes: tuple[str, ...]) -> str | None:
    if not suffixes:
        return None
    words = "|".join(_dotted(suffix) for suffix in suffixes)
    return rf"(?i)(?:(?:^|[\s,]+)(?:{words})\.?)+[\s,]*$"


def _longest_first(words: tuple[str, ...]) -> list[str]:
    """Mrs before Mr, so that a pattern of alternatives takes the whole word."""
    return sorted(words, key=len, reverse=True)


def _dotted(word: str) -> str:
    """A pattern for a word whose letters may be followed by dots: PhD, Ph.D, P.h.D."""
    return r"\.?".join(re.escape(letter) for letter in word.replace(".", ""))


def _mobile(rules: PhoneRules) -> str:
    return f"{rules.mobile_prefix}[0-9]{{{rules.mobile_digits - len(rules.mobile_prefix)}}}"


def _unusual_phone(tidied: pa.Array, rules: PhoneRules) -> pa.Array:
    digits = pc.replace_substring_regex(tidied, _SPREADSHEET_PHONE, r"\1")
    digits = pc.replace_substring_regex(digits, _PHONE_PUNCTUATION, "")
    pattern = rf"^(?:\+?{rules.country_code}0?|00{rules.country_code}|0)?(?P<number>{_mobile(rules)})$"
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
