"""Workbooks of a few kilobytes that would take gigabytes to read: refused before they are opened."""

import zipfile
from pathlib import Path

import pytest

from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.reading import detect

from .test_workbooks import GOOD, LIMITS, TITLES, refusal, rewritten, rows_of, workbook

CELL = b"<v>1</v></c>"


def with_rows(tmp_path: Path, more: bytes) -> Path:
    """A workbook whose sheet has these rows below its own."""
    whole = workbook(tmp_path / "whole", [TITLES, GOOD])
    return rewritten(
        whole,
        tmp_path / "a",
        lambda name, data: data.replace(b"</sheetData>", more + b"</sheetData>") if "sheet1" in name else data,
    )


def with_strings(tmp_path: Path, opening: bytes, more: bytes, rows: bytes = b"") -> Path:
    """A workbook with other shared strings after its own, and more rows."""
    added = with_rows(tmp_path, rows)

    def change(name: str, data: bytes) -> bytes:
        if name != "xl/sharedStrings.xml":
            return data
        inner = data.partition(b"<sst ")[2].partition(b">")[2]
        return b"<sst " + opening + b">" + inner.replace(b"</sst>", more + b"</sst>")

    return rewritten(added, tmp_path / "b", change)


def test_a_workbook_that_unpacks_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a", [TITLES, GOOD])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros.bin", b"\0" * (2 << 20))
    limits = LIMITS.model_copy(update={"workbook_megabytes": 1})
    with pytest.raises(UnreadableUploadError, match="unpacks to 2 MB; at most 1 MB") as error:
        detect("a.xlsx", path, limits)
    assert error.value.code == "too_large"


@pytest.mark.parametrize(
    "row",
    [
        b'<row><c r="XFD1048576">' + CELL + b"</row>",
        b'<row><c r="xfd1048576">' + CELL + b"</row>",
        b'<row><c s="1" r = "XFD1048576">' + CELL + b"</row>",
        b"<row>\n<c\ts='1'\nr='ZZ90000'/></row>",
        b'<row><c t=">" r="AAAA9">' + CELL + b'<c r="A99999999"/></row>',
        b'<x-y:row><x-y:c r="AAA99999" s="2"/></x-y:row>',
        b'<row><c r="A0000000000000000000000000000000099999999">' + CELL + b'<c r="B9">' + CELL + b"</row>",
        b'<row r="30000000"><c/><c>' + CELL + b"</row>",
        b"<row/>" * 300_000 + b"<row><c/><c/><c>" + CELL + b'<c r="DZ9"/></row>',
        b"<row>" + b"<c/>" * 300_000 + b'</row><row><c r="A500">' + CELL + b"</row>",
    ],
    ids=range(10),
)
def test_a_cell_so_far_out_that_it_would_fill_the_memory_is_refused(tmp_path: Path, row: bytes) -> None:
    error = refusal(with_rows(tmp_path, row))
    assert (error.code, "far below or far to the right" in error.message) == ("too_large", True)


@pytest.mark.parametrize(
    "row",
    [
        b'<row><c s="<" r="XFD1048576">' + CELL + b"</row>",
        b'<row><c t="n" r="A9"><row/>' + CELL + b"</row>",
        b'<row><row><c r="A9">' + CELL + b"</row></row>",
        b'<x><row><c r="A9">' + CELL + b"</row></x>",
        b'<row><c r="A9">' + CELL + b"</row><sheetData/>",
    ],
    ids=range(5),
)
def test_a_sheet_that_a_strict_reader_would_count_otherwise_is_refused(tmp_path: Path, row: bytes) -> None:
    assert refusal(with_rows(tmp_path, row)).code == "damaged_workbook"


def test_a_sheet_is_looked_at_whatever_its_name(tmp_path: Path) -> None:
    far = with_rows(tmp_path, b'<row><c r="XFD1048576">' + CELL + b"</row>")
    with zipfile.ZipFile(far) as old, zipfile.ZipFile(tmp_path / "b", "w") as new:
        for name in old.namelist():
            data = old.read(name).replace(b"worksheets/sheet1.xml", b"worksheets/sheet1.dat")
            new.writestr(name.replace("sheet1.xml", "sheet1.dat"), data)
    assert refusal(tmp_path / "b").code == "too_large"


def test_of_two_parts_with_one_name_both_are_looked_at(tmp_path: Path) -> None:
    whole = workbook(tmp_path / "whole", [TITLES, GOOD])
    far = with_rows(tmp_path, b'<row><c r="XFD1048576">' + CELL + b"</row>")
    with zipfile.ZipFile(far, "a") as twice, zipfile.ZipFile(whole) as good, pytest.warns(UserWarning, match="Dupl"):
        twice.writestr("xl/worksheets/sheet1.xml", good.read("xl/worksheets/sheet1.xml"))
    assert refusal(far).code == "too_large"


def test_more_shared_strings_than_there_can_be_are_not_made_room_for(tmp_path: Path) -> None:
    for opening in (b'uniqueCount="4294967295"', b'uniqueCount="+4294967295"'):
        assert refusal(with_strings(tmp_path, opening, b"")).code == "damaged_workbook"


def test_a_long_text_in_many_cells_is_refused_and_in_a_few_it_is_not(tmp_path: Path) -> None:
    """A megabyte, which takes a kilobyte in the file, in 1,100 cells; and beside 1,100 cells that show another one."""
    with zipfile.ZipFile(workbook(tmp_path / "whole", [TITLES, GOOD])) as archive:
        index = archive.read("xl/sharedStrings.xml").count(b"<si>")

    def showing(shown: str) -> Path:
        cells = b'<row><c t="s"><v>%s</v></c></row>' % shown.encode() * 1100
        return with_strings(tmp_path, b"", b"<si><t>" + b"x" * (1 << 20) + b"</t></si>", cells)

    for shown in (f" {index} ", "-1"):
        path = showing(shown)
        assert path.stat().st_size < 30_000
        assert (refusal(path).code, "Long texts" in refusal(path).message) == ("too_large", True)
    assert len(rows_of(showing("0"))) == 1101


@pytest.mark.parametrize("encoding", ["UF-T8", "cp037", "UTF-16", "utf-7", "gb18030", "latin-1"])
def test_what_a_sheet_says_of_its_encoding_hides_nothing(tmp_path: Path, encoding: str) -> None:
    far = with_rows(tmp_path, b'<row><c r="XFD1048576">' + CELL + b"</row>")
    path = rewritten(
        far, tmp_path / "b", lambda name, data: data.replace(b'encoding="UTF-8"', f'encoding="{encoding}"'.encode())
    )
    assert refusal(path).code == "too_large"


@pytest.mark.parametrize("part", ["mimetype", "content.xml", "xl/workbook.bin"])
def test_workbooks_of_other_kinds_are_not_read_under_the_name_of_this_one(tmp_path: Path, part: str) -> None:
    path = workbook(tmp_path / "a", [TITLES, GOOD])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(part, "application/vnd.oasis.opendocument.spreadsheet")
    assert refusal(path).code == "damaged_workbook"


def test_declared_entities_are_refused(tmp_path: Path) -> None:
    whole = workbook(tmp_path / "whole", [TITLES, GOOD])
    declared = b'<!DOCTYPE worksheet [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><worksheet'
    path = rewritten(
        whole,
        tmp_path / "a",
        lambda name, data: data.replace(b"<worksheet", declared, 1) if "sheet1" in name else data,
    )
    assert refusal(path).code == "damaged_workbook"


def test_many_columns_of_few_rows_are_not_too_far(tmp_path: Path) -> None:
    """As the correction file of an upload with as many columns as are accepted has them."""
    titles = [*TITLES, *(f"c{number}" for number in range(LIMITS.columns - len(TITLES)))]
    path = workbook(tmp_path / "a", [titles, [*GOOD, *"x" * (len(titles) - len(GOOD))]])
    assert len(rows_of(path)) == 1


def test_a_note_in_the_last_row_of_a_sheet_is_not_too_far(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a", [TITLES, GOOD])
    far = rewritten(
        path,
        tmp_path / "b",
        lambda name, data: (
            data.replace(b"</sheetData>", b'<row r="1048576"/></sheetData>') if "sheet1" in name else data
        ),
    )
    assert len(rows_of(far)) == 1
