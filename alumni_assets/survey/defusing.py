"""Formulas: text that a spreadsheet might run gets an apostrophe in front, and loses it on the way back.

For every text `restored(defused(text)) == text`, also for text that has apostrophes in front of its own. What
is written into files that people open in a spreadsheet is defused (`correction_files.py`); what they give back
is restored. Both functions take and give an Arrow string array of the same length; null stays null.
"""

import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.survey.cells import where_matching

# What a spreadsheet takes for a formula, whatever blank and invisible characters stand in front.
_FORMULA = r"(?:[\s\p{Z}\p{C}]*[=+\-@＝＋－＠]|[\t\r\n])"
_NUMBER = r"^[+\-][0-9 .()]*$"


def defused(array: pa.Array) -> pa.Array:
    """Text with an apostrophe in front where a spreadsheet might run it.

    A sign with nothing but a number or a phone number, such as -5 and +63 957 728 4792, stays as it is.
    """
    return where_matching(array, f"^'*{_FORMULA}", _with_apostrophe)


def restored(array: pa.Array) -> pa.Array:
    """Text as it was before `defused`; an apostrophe that a person put in front of a number goes as well."""
    return where_matching(array, f"^''*{_FORMULA}", lambda some: pc.utf8_slice_codeunits(some, 1))


def _with_apostrophe(array: pa.Array) -> pa.Array:
    marked = pc.binary_join_element_wise("'", array, "")
    return pc.if_else(pc.match_substring_regex(array, _NUMBER), array, marked)
