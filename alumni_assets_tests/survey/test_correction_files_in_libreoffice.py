"""A workbook that a person opens in LibreOffice and saves: every cell that nobody touched is as it was."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pytest

from alumni_assets.contract import NAMES
from alumni_assets.survey.correction_workbook import KEPT
from alumni_assets.survey.defusing import restored
from alumni_assets.survey.reading import detect, numbered_parts

from .. import libreoffice
from .test_correction_files import LIMITS, Row, problem, row, sheet_of, written

pytestmark = [pytest.mark.server, pytest.mark.slow]

PLAIN = (
    *("00042", "639577284792", "1E5", "+63 957 728 4792", "123456789012345678", "-5", "0.10", "1,000", "12%", "$5"),
    *("2026-11-20", "11/20/2026", "20.11.2026", "2026-11-20 08:15:00", "1/2", "3-4", "Nov 20", "TRUE"),
    *("José Peña", "Nin\u0303o", "ñÑéßĲ", "\U0001f600 \U0001f468\u200d\U0001f469", "あ한א", "\u202eabc", "\ufeffx"),
    *("two\nlines", "\n", "end\n", " x ", "   ", "a\tb", "\u00a0x\u3000", "\u2028", "a\x01b", "\x00", "\x7f\x85"),
    *("=1+1", "@SUM(A1)", "'=1+1", "''=1", "'quoted", "'", "+1+1", "-1+1", "＝1", "\t=1", "{=1}", "#N/A", "#REF!"),
    *("_x0041_", "a_x000D_b", "&amp;<b>", '"', "]]>", "http://x.y", "a@b.ph", "x" * 32_767, "é" * 32_767),
)  # fmt: skip
REPLACED = ("a\r\nb", "a\rb", "_x00_", "_xa_", "_x0041_x0042_", "\x01x0041_", "<r><t>x</t></r>", "\ufffe", "x" * 32_768)


@pytest.fixture(autouse=True)
def _with_libreoffice(lacking: Callable[[str], NoReturn]) -> None:
    if libreoffice.soffice_path() is None:
        lacking("LibreOffice is not installed")


def came_back(folder: Path, cells: list[str], problems: list[Row]) -> list[str]:
    """The cells after LibreOffice has saved them, each in a row of its own, restored."""
    rows = [row(number, problems, job_role=cell) for number, cell in enumerate(cells, 1)]
    xlsx, _ = written(folder, rows)
    (folder / "saved").mkdir()
    saved = libreoffice.resaved(xlsx, folder / "saved")
    assert sheet_of(saved) == sheet_of(xlsx)
    return restored(pa.array([line[7] for line in sheet_of(saved)[1:]])).to_pylist()


def test_untouched_cells_are_as_they_were(tmp_path: Path) -> None:
    cells = [*PLAIN, *REPLACED]
    assert came_back(tmp_path, cells, [problem("Email", "Bad.")]) == [*PLAIN, *[KEPT] * len(REPLACED)]


def test_any_text_is_as_it_was_or_kept(tmp_path: Path) -> None:
    chance = random.Random(20261120)
    parts = [
        "_x",
        "_X",
        "x",
        "_",
        "00",
        "0041",
        "_x005F_",
        "x000D_",
        "\x01",
        "\x1f",
        "\n",
        " ",
        "é",
        "<",
        "'",
        "=",
        "1",
    ]
    cells = ["".join(chance.choices(parts, k=chance.randint(1, 7))) for _ in range(3_000)]
    back = came_back(tmp_path, cells, [])
    assert [(cell, text) for cell, text in zip(cells, back, strict=True) if text not in (cell, KEPT)] == []
    assert back.count(KEPT) < len(cells) / 3


def test_every_character_of_the_basic_plane_is_as_it_was(tmp_path: Path) -> None:
    characters = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    cells = ["a" + "b".join(characters[start : start + 16]) + "c" for start in range(0, len(characters), 16)]
    back = came_back(tmp_path, cells, [])
    assert [cell for cell, text in zip(cells, back, strict=True) if text != cell] == [cells[0], cells[-1]]


def test_a_saved_workbook_is_read_as_an_upload_again(tmp_path: Path) -> None:
    xlsx, _ = written(tmp_path, [row(7, [problem("Email", "Bad.")]), row(9)])
    (tmp_path / "saved").mkdir()
    saved = libreoffice.resaved(xlsx, tmp_path / "saved")
    (batch,) = (part() for part in numbered_parts(saved, detect("a.xlsx", saved, LIMITS), LIMITS))
    assert batch["source_row"].to_pylist() == [1, 2]
    assert {name: batch[name].to_pylist()[0] for name in NAMES} == {name: row()[name] for name in NAMES}
