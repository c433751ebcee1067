"""However answers are spoiled: whoever mends exactly the cells that `_problems` names has mended the rows."""

import random
import re
from typing import Any

import pytest

from alumni_assets.contract import BY_NAME, NAMES, PROBLEMS_TITLE
from alumni_assets.survey.correction_workbook import KEPT

from ..pipeline.answers import DATED, answer, csv_bytes, csv_text
from ..pipeline.conftest import Pipeline
from .returns import MARKS, assert_accounted, handed_out, text_workbook

ROWS = 8
WHOLE_ROW = "(whole row)"
NAME_PARTS = ("José", "Ñora", "O'Brien", "Dela-Cruz", "Zoë", "Peña", "McCullough", "Nin\u0303o", "Łucja")
JOB_ROLES = ("=1+1 Tester", "Teacher", "'Quoted' Role", "HR Specialist", "-5", "+ Plus", "Two\nLines", "@Home")
FORMULA_LIKE = ("=1+1", "=cmd|' /C calc'!A0", "@SUM(A1:A9)", "'=1+1", "''=2", "\t=1", "-2+3", "＝1", KEPT)
# What no cell may have, whatever its column; written around the cell that was right.
ANYWHERE = ("{}\x00", "\x01{}", "{}\ufffd", "{}\x7f", "{}\ufffd\n=1+1", "x" * 10_001)
SPOILED: dict[str, tuple[str, ...]] = {
    "Employee_ID": ("", " ", "ID-7", "00.5", "9" * 19, "１２", "1e5", "0x1F", "'12", *FORMULA_LIKE),
    "Employee_Name": ("", "Dr. MD", "12345", "'=1+1", "=1+1", "-2+3", "''=2", "... ,", "\u200b"),
    "College_Degree": ("", "Computer Sciençe", "Enginering", "00042", '"Law"', "a;b,c|d", *FORMULA_LIKE),
    "Department": ("", "R and D", "=HYPERLINK('x')", "Operasjons", "HR, Tech", *FORMULA_LIKE),
    "Job_Role": ("", "   ", "\u00a0", "\u200b\u2060"),
    "DMC_Campus": ("", "Santo Tomás!", "San  Fernandoo", "00", *FORMULA_LIKE),
    "Email": ("", "nobody", "a at b.ph", "@home", "peña@", "=a@b", "a@b@c.ph", "'quoted'", *FORMULA_LIKE),
    "Phone_Number": ("", "957", "+1", "6.39577E+11", "099999999999999", "=9577284792*1", *FORMULA_LIKE),
    "Performance_Rating": ("", "0", "6", "4.5", "excellent", "-4", "005.1", "★★★", *FORMULA_LIKE),
    "Submission Date": ("31/02/2026", "2099-01-01", "=TODAY()", "soon", "2026-13-01", *FORMULA_LIKE),
}


def clean_answers(chance: random.Random, first_id: int) -> list[dict[str, Any]]:
    """Answers that keep to every rule; names and numbers have accents, apostrophes and leading zeros."""
    return [
        answer(
            first_id + number,
            Employee_ID=f"{'0' * chance.randint(0, 3)}{first_id + number}",
            Employee_Name=" ".join(chance.choices(NAME_PARTS, k=2)),
            Phone_Number=chance.choice(["0957 728 4792", "639577284792", "+63 957 728 4792", "9577284792"]),
            Job_Role=chance.choice(JOB_ROLES),
            **{"Submission Date": chance.choice(["", "2026-03-04", "2026-03-04 08:15:00", "1/2/2026"])},
        )
        for number in range(ROWS)
    ]


def spoilings(chance: random.Random, row: dict[str, Any]) -> dict[str, str]:
    """What stands in some cells of a row instead of an answer; or that the row has cells too few or too many."""
    if chance.random() < 0.06:
        return {WHOLE_ROW: chance.choice(["short", "long"])}
    chosen = chance.sample(sorted(SPOILED), chance.choice([1, 1, 2, 3, 10]))
    return {
        title: chance.choice(ANYWHERE).format(row[title]) if chance.random() < 0.2 else chance.choice(SPOILED[title])
        for title in chosen
    }


def spoiled_upload(rows: list[dict[str, Any]], spoiled: dict[int, dict[str, str]]) -> bytes:
    """The rows as CSV, with what was spoiled in them by the number of the row."""
    lines = [csv_text([], header=DATED)]
    for number, row in enumerate(rows, 1):
        cells = spoiled.get(number, {})
        line = csv_text([{**row, **cells}], header=DATED).split("\n", 1)[1]
        if WHOLE_ROW in cells:
            line = f"{row['Employee_ID']},cut short\n" if cells[WHOLE_ROW] == "short" else f"x,{line}"
        lines.append(line)
    return "".join(lines).encode()


def named_columns(problems: str) -> set[str]:
    """The headers that the sentences of `_problems` begin with; all, where one is about the whole row."""
    headers = "|".join(re.escape(column.header) for column in BY_NAME.values())
    found = [re.match(rf"({headers}): ", sentence) for sentence in problems.split("\n")]
    return {match[1] for match in found if match} if all(found) else set(DATED)


def mended(handed: list[dict[str, str]], rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The rows of a correction file with the right answers in the cells that are named, and no others changed."""
    return [
        {**row, **{title: rows[int(row["_row"]) - 1][title] for title in named_columns(row[PROBLEMS_TITLE])}}
        for row in handed
    ]


@pytest.mark.slow
@pytest.mark.parametrize("uploads", [10, pytest.param(40, marks=pytest.mark.long)])
def test_mending_the_cells_that_are_named_empties_the_quarantine(pipeline: Pipeline, uploads: int) -> None:
    chance = random.Random(20261124)
    rows = {f"{number:02}.csv": clean_answers(chance, 100 * (number + 1)) for number in range(uploads)}
    spoiled = {
        key: {number: spoilings(chance, rows[key][number - 1]) for number in chance.sample(range(1, ROWS + 1), 5)}
        for key in rows
    }
    assert sum(len(found) for found in spoiled.values()) == 5 * uploads
    for key in rows:
        pipeline.put(key, spoiled_upload(rows[key], spoiled[key]))
    pipeline.put("clean.csv", csv_bytes([row for some in rows.values() for row in some], header=DATED))
    assert pipeline.take_in(*rows, "clean.csv").success
    clean = pipeline.upload_of("clean.csv")
    assert pipeline.ingested(clean).invalid == 0
    originals = {key: pipeline.upload_of(key) for key in rows}

    fixes = {}
    for key, upload in originals.items():
        handed = handed_out(pipeline, upload)
        assert {int(row["_row"]) for row in handed} == set(spoiled[key]), key
        for row in handed:
            cells = spoiled[key][int(row["_row"])]
            assert named_columns(row[PROBLEMS_TITLE]) == (set(DATED) if WHOLE_ROW in cells else set(cells)), key
        given = mended(handed, rows[key])
        if chance.random() < 0.5:
            fixes[key] = f"fix of {key}"
            content = csv_bytes(given, header=list(handed[0]), encoding="utf-8-sig")
        else:
            fixes[key] = f"fix of {key}.xlsx"
            # Reviewers also take away what they do not need.
            header = [*reversed(DATED), *reversed(MARKS)]
            content = text_workbook([header, *[[row[title] for title in header] for row in given]])
        pipeline.put(fixes[key], content)
    assert pipeline.take_in(*fixes.values()).success
    for key, fix in fixes.items():
        found = pipeline.ingested(pipeline.upload_of(fix))
        assert (found.valid, found.invalid, found.corrects) == (5, 0, originals[key]), (key, found)

    every = [*originals.values(), *(pipeline.upload_of(fix) for fix in fixes.values()), clean]
    assert pipeline.approve(*every).success
    assert_accounted(pipeline)
    assert pipeline.published("SELECT status, count(*) FROM quarantine GROUP BY status") == [("resolved", 5 * uploads)]
    columns = ", ".join(NAMES)
    came_back = pipeline.published(
        f"SELECT {columns} FROM survey_responses WHERE upload <> '{clean}' ORDER BY employee_id"
    )
    assert came_back == pipeline.published(
        f"SELECT {columns} FROM survey_responses WHERE upload = '{clean}' ORDER BY employee_id"
    )
    assert len(came_back) == uploads * ROWS
    assert pipeline.published("SELECT count(*) FROM survey_responses WHERE corrected_by IS NOT NULL") == [
        (5 * uploads,)
    ]
