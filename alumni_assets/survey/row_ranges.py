"""Sets of row numbers as ranges, `("2", "5-9")`: short where rows follow each other, and readable in the register."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Ranges = tuple[str, ...]
_RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")


def ranges_of(rows: "np.ndarray | Sequence[int]") -> Ranges:
    """The ranges of some row numbers, in any order."""
    return tuple(str(first) if first == last else f"{first}-{last}" for first, last in runs(rows))


def runs(rows: "np.ndarray | Sequence[int]") -> list[tuple[int, int]]:
    """The first and last of the row numbers that follow each other, in order."""
    import numpy as np

    numbers = np.unique(np.asarray(rows, dtype=np.int64))
    if numbers.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(numbers) > 1)
    first, last = numbers[np.r_[0, breaks + 1]], numbers[np.r_[breaks, numbers.size - 1]]
    return list(zip(first.tolist(), last.tolist(), strict=True))


def bounds(ranges: Iterable[str]) -> list[tuple[int, int]]:
    """The first and last row of each range. Raises ValueError for a text that is no range."""
    return [_bounds(text) for text in ranges]


def union(*sets: Iterable[str]) -> list[tuple[int, int]]:
    """The first and last rows of the ranges that have every row of these sets, in order and apart."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(bound for ranges in sets for bound in bounds(ranges)):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def without(ranges: Iterable[str], gone: Iterable[str]) -> Ranges:
    """The ranges less the rows of others."""
    taken = union(gone)
    if not taken:
        return tuple(ranges)
    left: list[tuple[int, int]] = []
    for first, last in bounds(ranges):
        for lost_first, lost_last in taken:
            if lost_last < first or lost_first > last:
                continue
            if lost_first > first:
                left.append((first, lost_first - 1))
            first = lost_last + 1
        if first <= last:
            left.append((first, last))
    return tuple(str(first) if first == last else f"{first}-{last}" for first, last in left)


def size(joined: Sequence[tuple[int, int]]) -> int:
    """How many rows there are in what `union` gave."""
    return sum(last - first + 1 for first, last in joined)


def are_in(rows: "np.ndarray", ranges: Iterable[str]) -> "np.ndarray":
    """Which row numbers are in the ranges."""
    import numpy as np

    found = np.zeros(rows.size, bool)
    for first, last in bounds(ranges):
        found |= (rows >= first) & (rows <= last)
    return found


def _bounds(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is neither a row number nor a range such as 3-5")
    first = int(match[1])
    last = int(match[2] or first)
    if last < first:
        raise ValueError(f"the range {text!r} ends before it begins")
    return first, last
