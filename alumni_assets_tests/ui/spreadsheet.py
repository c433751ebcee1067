"""What a reviewer does with a correction file in a spreadsheet: opens it, writes into cells, saves what is wanted."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import xlsxwriter
from python_calamine import CalamineWorkbook

_GUESS = re.compile(r"^(?P<title>[^:\n]+): [^\n]* Did you mean (?P<answer>[^\n]+)\?$", re.MULTILINE)


def opened(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a correction file as texts by title, by what is in `_row`."""
    titles, *rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_name("Corrections").to_python()
    cells = (dict(zip(map(str, titles), map(str, row), strict=True)) for row in rows)
    return {row["_row"]: row for row in cells}


def guessed(row: Mapping[str, str]) -> dict[str, str]:
    """The row with each answer that `_problems` guesses taken for the right one."""
    return {**row, **{found["title"]: found["answer"] for found in _GUESS.finditer(row["_problems"])}}


def save(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Save rows as a workbook of texts."""
    kept = list(rows)
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("Corrections")
        for number, line in enumerate([list(kept[0]), *(list(row.values()) for row in kept)]):
            for position, text in enumerate(line):
                sheet.write_string(number, position, text)
