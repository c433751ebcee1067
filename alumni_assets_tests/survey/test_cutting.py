"""Rows cut out of files: the others stay what they are, where they are, whatever the file is like."""

import gzip
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alumni_assets.survey.cutting import CuttingError, cut_rows
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.reading import detect, numbered_parts
from alumni_assets.survey_rules import default_rules

from ..pipeline.answers import HEADER, answer, answers, csv_bytes, csv_text, gzipped, workbook_of

LIMITS = default_rules().limits
IN_ANY_ORDER = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def rows_of(name: str, path: Path) -> list[dict[str, Any]]:
    """The numbered rows of a file."""
    parts = numbered_parts(path, detect(name, path, LIMITS), LIMITS)
    return [row for part in parts for row in part().to_pylist()]


def cut(folder: Path, name: str, content: bytes, rows: Sequence[int]) -> bytes:
    """The content without these rows; looks whether the others are what they were."""
    path, target = folder / "before", folder / "after"
    path.write_bytes(content)
    cut_rows(name, path, np.array(rows, np.int64), target, LIMITS)
    left = [row for row in rows_of(name, path) if row["source_row"] not in rows]
    if left:
        assert rows_of(name, target) == left
    return target.read_bytes()


def test_a_row_of_a_text_file_becomes_as_many_spaces_and_nothing_else_changes(tmp_path: Path) -> None:
    content = csv_bytes(answers(1, 3), newline="\r\n")
    lines = content.split(b"\r\n")
    lines[2] = b" " * len(lines[2])
    assert cut(tmp_path, "term.csv", content, [2]) == b"\r\n".join(lines)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_every_encoding_stays_what_it_is(tmp_path: Path, encoding: str) -> None:
    rows = [answer(1), answer(2, Employee_Name="Núñez"), answer(3, Employee_Name="José")]
    content = csv_bytes(rows, encoding=encoding, delimiter=";")
    after = cut(tmp_path, "term.csv", content, [2])
    assert len(after) == len(content)
    text = after.decode(encoding)
    assert "José" in text
    assert "Núñez" not in text
    assert text.split("\n")[2].strip() == ""


def test_a_file_whose_encoding_could_be_mistaken_without_the_row_is_written_in_utf_8(tmp_path: Path) -> None:
    rows = [answer(1, Employee_Name="Ã±andú"), answer(2, Employee_Name="Lóla" * 5), answer(3)]
    content = csv_bytes(rows, encoding="cp1252")
    after = cut(tmp_path, "term.csv", content, [2, 1])
    assert after.isascii()
    one_left = csv_bytes([answer(1, Employee_Name="Ã±"), answer(2, Employee_Name="Lóla" * 5)], encoding="cp1252")
    after = cut(tmp_path, "term.csv", one_left, [2])
    assert after.startswith(b"\xef\xbb\xbf")
    assert "Ã±" in after.decode()


def test_a_quoted_row_of_several_lines_goes_whole(tmp_path: Path) -> None:
    rows = [answer(1), answer(2, Job_Role='Night\n"watch",\r\nman'), answer(3)]
    after = cut(tmp_path, "term.csv", csv_bytes(rows), [2]).decode()
    assert "watch" not in after
    assert after.count("\n") == 4


def test_the_last_row_goes_with_and_without_a_line_ending(tmp_path: Path) -> None:
    content = csv_bytes(answers(1, 2))
    assert cut(tmp_path, "term.csv", content, [2]).rstrip(b" \n") == csv_bytes(answers(1, 1)).rstrip()
    after = cut(tmp_path, "term.csv", content.rstrip(b"\n"), [2])
    assert after.rstrip(b" ") == csv_bytes(answers(1, 1))


def test_a_compressed_file_stays_one_and_comes_out_the_same_each_time(tmp_path: Path) -> None:
    content = csv_bytes(answers(1, 3))
    once = cut(tmp_path, "term.csv.gz", gzip.compress(content, 9, mtime=5), [3])
    assert once == cut(tmp_path, "term.csv.gz", gzipped(content), [3])
    assert b"valerie.3@" not in gzip.decompress(once)
    assert b"valerie.2@" in gzip.decompress(once)


def test_of_a_workbook_its_first_sheet_remains_as_text(tmp_path: Path) -> None:
    rows = [answer(1), answer(2, Performance_Rating=4, Employee_ID=2), answer(3, Employee_ID=3)]
    content = workbook_of(rows, second_sheet=["valerie.2@school.edu.ph"])
    once = cut(tmp_path, "term.xlsx", content, [2])
    assert once == cut(tmp_path, "term.xlsx", content, [2])
    with zipfile.ZipFile(io.BytesIO(once)) as parts:
        everything = b"".join(parts.read(name) for name in parts.namelist())
    assert b"valerie.3@" in everything
    assert b"valerie.2@" not in everything


def test_blank_records_above_and_between_are_counted(tmp_path: Path) -> None:
    lines = csv_text(answers(1, 3)).splitlines()
    content = "\n".join(["", ",,", *lines[:2], "", *lines[2:], ""]).encode()
    after = cut(tmp_path, "term.csv", content, [3]).decode()
    assert "valerie.2@" not in after
    assert "valerie.1@" in after


def test_a_row_that_cannot_be_read_for_its_length_cannot_be_cut(tmp_path: Path) -> None:
    rows = [answer(1), answer(2, Job_Role="x" * (17 << 20)), answer(3)]
    with pytest.raises(CuttingError):
        cut(tmp_path, "term.csv", csv_bytes(rows), [2])
    after = cut(tmp_path, "term.csv", csv_bytes(rows), [1, 3])
    assert b"valerie.1@" not in after
    assert b"valerie.3@" not in after


TEXTS = st.text(st.sampled_from("ab,;\"'\r\n\t |Ññé\u2028\x00 "), max_size=12)


@IN_ANY_ORDER
@given(
    rows=st.lists(st.lists(TEXTS, min_size=1, max_size=11), max_size=8),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    data=st.data(),
)
def test_whatever_the_cells_the_other_rows_stay(
    tmp_path: Path, rows: list[list[str]], encoding: str, newline: str, data: st.DataObject
) -> None:
    lines = [",".join(HEADER), *(",".join(cells) for cells in rows)]
    content = newline.join(lines).encode(encoding, "replace")
    try:
        (tmp_path / "before").write_bytes(content)
        numbers = [row["source_row"] for row in rows_of("any.csv", tmp_path / "before")]
    except UnreadableUploadError:
        return
    chosen = data.draw(st.lists(st.sampled_from(numbers), unique=True)) if numbers else []
    cut(tmp_path, "any.csv", content, chosen)


@IN_ANY_ORDER
@given(tail=st.binary(max_size=80), data=st.data())
def test_whatever_the_bytes_the_other_rows_stay(tmp_path: Path, tail: bytes, data: st.DataObject) -> None:
    content = csv_bytes(answers(1, 2)) + tail
    try:
        (tmp_path / "before").write_bytes(content)
        numbers = [row["source_row"] for row in rows_of("any.csv", tmp_path / "before")]
    except UnreadableUploadError:
        return
    cut(tmp_path, "any.csv", content, data.draw(st.lists(st.sampled_from(numbers), unique=True)))
