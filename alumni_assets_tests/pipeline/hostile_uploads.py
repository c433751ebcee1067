"""Uploads as they come from people, programs and mishaps, each with what the contract says about it.

The table is data: what is done with it is in `test_hostile_uploads.py`. Every upload has employee ids of its
own, from its `first_id` on, so that no two are equal.
"""

import csv
import io
import random
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from .answers import DATED, HEADER, answer, answers, csv_bytes, csv_text, gzipped, workbook, workbook_of

Content = Callable[[int], bytes]


@dataclass(frozen=True)
class HostileUpload:
    """One upload and what becomes of it.

    `reasons` counts the problems of its rows by `column:code`; a problem of the row as a whole has no column.
    `code` says why the upload is rejected, and each of `words` is in the sentence that says so to a person.
    """

    name: str
    content: Content
    status: str = "validated"
    rows: int | None = None
    invalid: int | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)
    code: str = ""
    words: tuple[str, ...] = ()

    @property
    def valid(self) -> int | None:
        return None if self.rows is None or self.invalid is None else self.rows - self.invalid


def _accepted(name: str, content: Content, rows: int = 2) -> HostileUpload:
    """All rows are valid."""
    return HostileUpload(name, content, rows=rows, invalid=0)


def _with_bad_rows(name: str, content: Content, rows: int, invalid: int, **reasons: int) -> HostileUpload:
    """Some rows are invalid; `reasons` are written `Column__code`, `row__code` for the whole row."""
    spelled = {reason.replace("row__", "__").replace("__", ":"): count for reason, count in reasons.items()}
    return HostileUpload(name, content, rows=rows, invalid=invalid, reasons=spelled)


def _rejected(name: str, content: bytes | Content, code: str, *words: str) -> HostileUpload:
    """The file as a whole is refused."""
    build = (lambda _first_id: content) if isinstance(content, bytes) else content
    return HostileUpload(name, build, status="rejected", code=code, words=words)


def _file(count: int = 2, **how: Any) -> Content:
    """A CSV of valid answers."""
    return lambda first_id: csv_bytes(answers(first_id, count), **how)


def _lines(change: Callable[[list[str]], Sequence[str]], newline: str = "\n") -> Content:
    """A CSV of two valid answers whose lines (the header first) are changed."""
    return lambda first_id: (newline.join(change(csv_text(answers(first_id)).splitlines())) + newline).encode()


def _renamed(**titles: str) -> Content:
    """Two valid answers under a changed header."""
    header = ",".join(titles.get(name, name) for name in HEADER)
    return _lines(lambda lines: [header, *lines[1:]])


def _each(column: str, *values: str, header: Sequence[str] = HEADER) -> Content:
    """One answer for each value of a column, otherwise valid."""
    return lambda first_id: csv_bytes(
        [answer(first_id + number, **{column: value}) for number, value in enumerate(values)], header=header
    )


def _one_changed(**changes: str) -> Content:
    """Two answers, the first of them changed."""
    return lambda first_id: csv_bytes([answer(first_id, **changes), answer(first_id + 1)], header=DATED)


def _typed_workbook(first_id: int) -> bytes:
    """Numbers and dates as a spreadsheet holds them."""
    rows = [
        answer(
            first_id,
            Employee_ID=first_id,
            Phone_Number=9_577_284_792,
            Performance_Rating=4.0,
            **{"Submission Date": datetime(2026, 3, 4, 15, 30)},
        ),
        answer(
            first_id + 1,
            Employee_ID=float(first_id + 1),
            Phone_Number=639_577_284_792,
            Performance_Rating=5,
            **{"Submission Date": date(2026, 3, 4)},
        ),
    ]
    return workbook_of(rows, DATED)


def _workbook_with_gaps(first_id: int) -> bytes:
    first, second = ([row[name] for name in HEADER] for row in answers(first_id))
    return workbook([HEADER, first, [], [None, " "], second], blank_above=2, second_sheet=("Notes", "of ours"))


def _workbook_with_notes(first_id: int) -> bytes:
    first, second = ([row[name] for name in HEADER] for row in answers(first_id))
    return workbook([HEADER, [*first, None, "called twice"], second])


def _workbook_with_truth(first_id: int) -> bytes:
    return workbook_of([answer(first_id, Performance_Rating=True), answer(first_id + 1)])


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _zip_of_text(_first_id: int) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("readme.txt", "no workbook")
    return content.getvalue()


def _utf16_cut_in_a_character(first_id: int) -> bytes:
    return ("\ufeff" + csv_text(answers(first_id)).rstrip("\n")).encode("utf-16-le")[:-1]


def _damaged_utf8(first_id: int) -> bytes:
    rows = answers(first_id, 5, Employee_Name="Niña Peñaflor")
    return csv_bytes([answer(first_id + 9, Employee_Name="Jos@ Cruz"), *rows]).replace(b"Jos@ Cruz", b"Jos\xe9 Cruz")


def _undefined_in_windows_1252(first_id: int) -> bytes:
    rows = [answer(first_id, Employee_Name="Niña Cruz"), answer(first_id + 1, Employee_Name="Jos@ Cruz")]
    return csv_bytes(rows, encoding="cp1252").replace(b"Jos@", b"Jos\x81")


def _everything_wrong(first_id: int) -> bytes:
    wrong = {
        "Employee_ID": f"ID-{first_id}",
        "Employee_Name": "Dr. MD",
        "College_Degree": "Astrology",
        "Department": "Warehouse",
        "Job_Role": " ",
        "DMC_Campus": "Atlantis",
        "Email": "nobody",
        "Phone_Number": "12345",
        "Performance_Rating": "excellent",
        "Submission Date": "yesterday",
    }
    return csv_bytes([wrong, answer(first_id)], header=DATED)


def _long_cell(characters: int) -> Content:
    return lambda first_id: csv_bytes([answer(first_id, Job_Role="x" * characters), answer(first_id + 1)])


_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
_RANDOM = random.Random(20260304).randbytes(5000)

ENCODINGS = [
    _accepted("utf-8.csv", _file()),
    _accepted("utf-8 with mark.csv", _file(encoding="utf-8-sig")),
    _accepted("utf-8 beyond ascii.csv", _each("Employee_Name", "Niña Peñaflor", "María-José O’Brien", "小林 花子"), 3),
    _accepted("utf-16 little.csv", lambda n: ("\ufeff" + csv_text(answers(n))).encode("utf-16-le")),
    _accepted("utf-16 big.csv", lambda n: ("\ufeff" + csv_text(answers(n))).encode("utf-16-be")),
    _accepted("utf-16 little without mark.csv", _file(encoding="utf-16-le")),
    _accepted("utf-16 big without mark.csv", _file(encoding="utf-16-be")),
    _accepted("unicode text.txt", lambda n: ("\ufeff" + csv_text(answers(n), delimiter="\t")).encode("utf-16-le")),
    _accepted(
        "windows-1252.csv",
        lambda n: csv_bytes(answers(n, Employee_Name="Niña “Bing” Peñaflor"), encoding="cp1252"),
    ),
    _with_bad_rows("one damaged byte.csv", _damaged_utf8, 6, 1, Employee_Name__undecodable=1),
    _with_bad_rows("undefined byte.csv", _undefined_in_windows_1252, 2, 1, Employee_Name__undecodable=1),
    _with_bad_rows(
        "cut in a character.csv",
        _utf16_cut_in_a_character,
        2,
        1,
        Performance_Rating__undecodable=1,
        Performance_Rating__not_a_rating=1,
    ),
]

DELIMITERS = [
    _accepted("semicolon.csv", _file(delimiter=";")),
    _accepted("tab.tsv", _file(delimiter="\t")),
    _accepted("tab.csv", _file(delimiter="\t")),
    _accepted("bar.txt", _file(delimiter="|")),
    _accepted(
        "semicolon with commas.csv", lambda n: csv_bytes(answers(n, Employee_Name="Quintos, Valerie"), delimiter=";")
    ),
    _accepted("comma with others.csv", lambda n: csv_bytes(answers(n, Job_Role="Analyst; Data | Tax\tLaw"))),
]

LINE_ENDINGS = [
    _accepted("crlf.csv", _file(newline="\r\n")),
    _accepted("cr.csv", _file(newline="\r")),
    _accepted("mixed.csv", lambda n: csv_bytes(answers(n, 3)).replace(b"\n", b"\r\n", 2).replace(b"\r\n", b"\r", 1), 3),
    _accepted("no last line ending.csv", lambda n: csv_bytes(answers(n)).rstrip(b"\n")),
    _accepted("blank lines.csv", _lines(lambda lines: [lines[0], "", lines[1], "", "", lines[2], "", ""])),
    _accepted("blank cells.csv", _lines(lambda lines: [lines[0], ",,,,,,,,", lines[1], ",,,", lines[2], '"","",,,'])),
    _accepted("spaces only.csv", _lines(lambda lines: [lines[0], "   ", lines[1], " , ,\t, ,,,,,", lines[2]])),
]

QUOTES = [
    _accepted("all quoted.csv", _file(quoting=csv.QUOTE_ALL)),
    _accepted("quoted line break.csv", lambda n: csv_bytes(answers(n, Job_Role="Data\nAnalyst"))),
    _accepted("quoted crlf.csv", lambda n: csv_bytes(answers(n, Job_Role="Data\r\nAnalyst"), newline="\r\n")),
    _accepted("doubled quotes.csv", lambda n: csv_bytes(answers(n, Employee_Name='Valerie "Bing" Quintos'))),
    _accepted(
        "stray quotes.csv", lambda n: csv_bytes(answers(n, Job_Role="@")).replace(b"@,Santo", b'5" Screens,Santo')
    ),
    _accepted("quoted delimiter.csv", lambda n: csv_bytes(answers(n, Employee_Name="Quintos, Valerie"))),
    _rejected(
        "quote that never closes.csv",
        lambda n: csv_bytes(answers(n)).replace(b"Valerie", b'"Valerie', 1),
        "unclosed_quote",
        "quotation mark",
    ),
    _rejected("quote at the end.csv", lambda n: csv_bytes(answers(n)).rstrip(b"4\n") + b'"4', "unclosed_quote"),
]

RAGGED = [
    _with_bad_rows(
        "short row.csv", _lines(lambda lines: [*lines[:2], "77,Ana Cruz", lines[2]]), 3, 1, row__wrong_field_count=1
    ),
    _with_bad_rows(
        "long row.csv",
        _lines(lambda lines: [lines[0], lines[1] + ",more,still", lines[2]]),
        2,
        1,
        row__wrong_field_count=1,
    ),
    _with_bad_rows(
        "short and long.csv",
        _lines(lambda lines: [lines[0], "77", lines[1], lines[2] + ",x", "78,,,,,,,,,,,,"]),
        4,
        3,
        row__wrong_field_count=3,
    ),
    _with_bad_rows(
        "surplus empty cell.csv",
        _lines(lambda lines: [lines[0], lines[1] + ",", lines[2]]),
        2,
        1,
        row__wrong_field_count=1,
    ),
    _with_bad_rows(
        "a row of 100,000 cells.csv",
        _lines(lambda lines: [lines[0], lines[1] + ",x" * 100_000, lines[2]]),
        2,
        1,
        row__wrong_field_count=1,
    ),
]

HEADERS = [
    _accepted("lower case.csv", _renamed(**{name: name.lower() for name in HEADER})),
    _accepted("spaces in header.csv", _renamed(**{name: f" {name.replace('_', ' ')} " for name in HEADER})),
    _accepted("no underscores.csv", _renamed(**{name: name.replace("_", "").upper() for name in HEADER})),
    _accepted("reordered.csv", lambda n: csv_bytes(answers(n), header=HEADER[::-1])),
    _accepted(
        "quoted header.csv", _lines(lambda lines: ["\ufeff" + '"' + lines[0].replace(",", '","') + '"', *lines[1:]])
    ),
    _accepted("blank lines above.csv", _lines(lambda lines: ["", ",,,,", *lines])),
    _accepted("with date.csv", lambda n: csv_bytes(answers(n), header=DATED)),
    _accepted("with submission id.csv", lambda n: csv_bytes(answers(n), header=("Submission ID", *HEADER))),
    _accepted("unknown column.csv", lambda n: csv_bytes(answers(n, Mood="fine"), header=(*HEADER, "Mood"))),
    _accepted("unknown columns.csv", lambda n: csv_bytes(answers(n, x="1"), header=("x", *HEADER, "x", ""))),
    _rejected(
        "lacks email.csv", lambda n: csv_bytes(answers(n), header=[*HEADER[:6], *HEADER[7:]]), "missing_column", "Email"
    ),
    _rejected(
        "lacks two.csv",
        lambda n: csv_bytes(answers(n), header=HEADER[2:]),
        "missing_column",
        "Employee_ID",
        "Employee_Name",
    ),
    _rejected("doubled.csv", lambda n: csv_bytes(answers(n), header=(*HEADER, "Email")), "doubled_column", "Email"),
    _rejected(
        "doubled in other words.csv",
        lambda n: csv_bytes(answers(n), header=(*HEADER, "phone number")),
        "doubled_column",
        "Phone_Number",
    ),
    _rejected("title above.csv", _lines(lambda lines: ["Alumni survey 2026", *lines]), "missing_column"),
    _rejected("no header.csv", _lines(lambda lines: lines[1:]), "missing_column", "Employee_ID"),
    _rejected(
        "too many columns.csv",
        lambda n: csv_bytes(answers(n), header=(*HEADER, *[f"c{number}" for number in range(500)])),
        "too_many_columns",
    ),
    _rejected("100,000 columns.csv", _lines(lambda lines: [lines[0] + ",x" * 100_000, *lines[1:]]), "too_many_columns"),
]

BROKEN_RULES = [
    _with_bad_rows(
        "ids.csv",
        _each("Employee_ID", "", "ID-5", "12a", "-5", "1.5", "1" * 19, "1e5", "５５"),
        8,
        8,
        Employee_ID__missing=1,
        Employee_ID__not_an_id=7,
    ),
    _with_bad_rows(
        "names.csv",
        _each("Employee_Name", "", "MD", "Dr.", "dr. md", "12345", "Mr. Jr.", "---"),
        7,
        7,
        Employee_Name__missing=1,
        Employee_Name__no_name=6,
    ),
    _with_bad_rows(
        "degrees.csv",
        _each("College_Degree", "", "Astrology", "Computer Sciense"),
        3,
        3,
        College_Degree__missing=1,
        College_Degree__not_in_list=2,
    ),
    _with_bad_rows(
        "departments.csv",
        _each("Department", " ", "Warehouse", "R & D", "H R"),
        4,
        4,
        Department__missing=1,
        Department__not_in_list=3,
    ),
    _with_bad_rows("roles.csv", _each("Job_Role", "", "   ", "\u200b"), 3, 3, Job_Role__missing=3),
    _with_bad_rows(
        "campuses.csv",
        _each("DMC_Campus", "", "Atlantis", "San Fernando City"),
        3,
        3,
        DMC_Campus__missing=1,
        DMC_Campus__not_in_list=2,
    ),
    _with_bad_rows(
        "emails.csv",
        _each("Email", "", "nobody", "a@b", "a@@b.com", "a b@c.com", "@b.com", "a@", "a@b..com", "a@b.com,c@d.com"),
        9,
        9,
        Email__missing=1,
        Email__not_an_email=8,
    ),
    _with_bad_rows(
        "phones.csv",
        _each("Phone_Number", "", "12345", "957728479", "95772847923", "+1 123", "none", "6.39577E+11"),
        7,
        7,
        Phone_Number__missing=1,
        Phone_Number__not_a_phone_number=6,
    ),
    _with_bad_rows(
        "ratings.csv",
        _each("Performance_Rating", "", "0", "6", "4.5", "five", "-1", "4/5", "44"),
        8,
        8,
        Performance_Rating__missing=1,
        Performance_Rating__not_a_rating=7,
    ),
    HostileUpload(
        "dates.csv",
        _each(
            "Submission Date",
            "yesterday",
            "2026-13-01",
            "31/31/2026",
            "2026-02-30",
            "45000",
            "2099-01-01",
            header=DATED,
        ),
        rows=6,
        invalid=6,
        reasons={"Submission Date:not_a_date": 5, "Submission Date:date_in_future": 1},
    ),
    HostileUpload(
        "everything wrong.csv",
        _everything_wrong,
        rows=2,
        invalid=1,
        reasons={
            "Employee_ID:not_an_id": 1,
            "Employee_Name:no_name": 1,
            "College_Degree:not_in_list": 1,
            "Department:not_in_list": 1,
            "Job_Role:missing": 1,
            "DMC_Campus:not_in_list": 1,
            "Email:not_an_email": 1,
            "Phone_Number:not_a_phone_number": 1,
            "Performance_Rating:not_a_rating": 1,
            "Submission Date:not_a_date": 1,
        },
    ),
    HostileUpload(
        "only an id.csv",
        _lines(lambda lines: [*lines, "9001,,,,,,,,"]),
        rows=3,
        invalid=1,
        reasons={f"{name}:missing": 1 for name in HEADER[1:]},
    ),
    _with_bad_rows(
        "numbers in other scripts.csv",
        lambda n: csv_bytes(
            [
                answer(n, Employee_ID="٦٢٨٤٩٦"),
                answer(n, Employee_ID="6२8496"),
                answer(n, Employee_ID="𝟞28496"),
                answer(n, Phone_Number="９５７７２８４７９２"),
                answer(n, Performance_Rating="４"),
                answer(n, Performance_Rating="Ⅳ"),
            ]
        ),
        6,
        6,
        Employee_ID__not_an_id=3,
        Phone_Number__not_a_phone_number=1,
        Performance_Rating__not_a_rating=2,
    ),
    _with_bad_rows("bell.csv", _one_changed(Job_Role="Bell\aRinger"), 2, 1, Job_Role__control_character=1),
    _with_bad_rows("null.csv", _one_changed(Job_Role="Bell\0Ringer"), 2, 1, Job_Role__control_character=1),
]

SPELLINGS = [
    _accepted(
        "spelled ids.csv",
        lambda n: csv_bytes(
            [
                answer(n + number, Employee_ID=how.format(n + number))
                for number, how in enumerate(("00{}", "{}.0", " {} "))
            ]
        ),
        3,
    ),
    _accepted(
        "spelled names.csv",
        _each(
            "Employee_Name", "dr. VALERIE quintos md", " Mr. Juan  Cruz Jr. ", "O'BRIEN", "Ñora Dvm", "Ann Smith, Ph.D."
        ),
        5,
    ),
    _accepted(
        "spelled phones.csv",
        _each(
            "Phone_Number",
            "9577284792",
            "09577284793",
            "+63 957 728 4794",
            "639577284795",
            "+63 (957) 728-4796",
            "0957-728-4797",
            "00639577284798",
            "+1 202-456-1111",
        ),
        8,
    ),
    _accepted("spelled ratings.csv", _each("Performance_Rating", "1", " 5 ", "4.0", "03"), 4),
    _accepted("spelled words.csv", _each("Department", " hr ", "r&d", "ADMIN", "Tech"), 4),
    _accepted(
        "spelled emails.csv", _each("Email", "A.B+c@School.EDU.ph", " x@example.com ", "ñ@niño.ph", "o'b@x-y.co"), 4
    ),
    _accepted(
        "spelled dates.csv",
        _each(
            "Submission Date",
            "",
            "2026-03-04",
            "2026-03-04 15:30",
            "2026-03-04T15:30:59",
            "2026-03-04T15:30:59.123Z",
            "2026-03-04T15:30:59+08:00",
            "3/4/2026",
            "03/04/2026 15:30:00",
            "3/4/2026 3:30:00 PM",
            header=DATED,
        ),
        9,
    ),
    _accepted(
        "invisible characters.csv",
        lambda n: csv_bytes(
            [
                answer(n, Employee_ID=f"\u202e{n}\u200b", Department="H\u200bR"),
                answer(
                    n + 1, Employee_Name="\u2067ولي\u2069 Valerie\u200d Quintos\ufeff", Email="\u200eval@school.edu.ph"
                ),
            ]
        ),
    ),
    _accepted(
        "messy case.csv", lambda n: csv_bytes(answers(n, College_Degree="cOMPUTER  sCIENCE ", DMC_Campus="MAIN"))
    ),
]

WORKBOOKS = [
    _accepted("typed.xlsx", _typed_workbook),
    _accepted("gaps.xlsx", _workbook_with_gaps),
    _accepted("notes.xlsx", _workbook_with_notes),
    _accepted("texts.XLSX", lambda n: workbook_of(answers(n))),
    _with_bad_rows("truth.xlsx", _workbook_with_truth, 2, 1, Performance_Rating__not_a_rating=1),
    _rejected(
        "lacks email.xlsx", lambda n: workbook_of(answers(n), [*HEADER[:6], *HEADER[7:]]), "missing_column", "Email"
    ),
    _rejected("header only.xlsx", lambda n: workbook([HEADER]), "no_rows"),
    _rejected("nothing.xlsx", lambda n: workbook([]), "empty"),
    _rejected("cut.xlsx", lambda n: _cut(workbook_of(answers(n))), "damaged_workbook"),
    _rejected("csv in disguise.xlsx", _file(), "damaged_workbook"),
    _rejected("zip in disguise.xlsx", _zip_of_text, "damaged_workbook"),
    _rejected("zero bytes.xlsx", b"", "damaged_workbook"),
    _rejected("workbook in disguise.csv", lambda n: workbook_of(answers(n)), "not_a_table", "workbook"),
    _rejected("unpacks too far.xlsx", lambda n: workbook_of(answers(n, 3000)), "too_large", "MB"),
]

COMPRESSED = [
    _accepted("good.csv.gz", lambda n: gzipped(csv_bytes(answers(n)))),
    _accepted("good.tsv.gz", lambda n: gzipped(csv_bytes(answers(n), delimiter="\t"))),
    _accepted("Good.TXT.GZ", lambda n: gzipped(csv_bytes(answers(n), encoding="utf-8-sig"))),
    _accepted(
        "two members.csv.gz",
        lambda n: gzipped(csv_bytes(answers(n))) + gzipped(csv_bytes(answers(n + 2)).split(b"\n", 1)[1]),
        4,
    ),
    _rejected("cut.csv.gz", lambda n: _cut(gzipped(csv_bytes(answers(n, 50)))), "damaged_archive"),
    _rejected("not compressed.csv.gz", _file(), "damaged_archive"),
    _rejected("bad checksum.csv.gz", lambda n: gzipped(csv_bytes(answers(n)))[:-8] + b"\0" * 8, "damaged_archive"),
    _rejected("bomb.csv.gz", lambda n: gzipped(csv_bytes(answers(n)) + b" " * (3 << 20)), "too_large", "MB"),
    _rejected("bomb of nothing.csv.gz", gzipped(b"\0" * (3 << 20)), "not_a_table"),
    _rejected("document.csv.gz", gzipped(b"%PDF-1.7 ..."), "not_a_table", "PDF"),
    _rejected("compressed.csv", lambda n: gzipped(csv_bytes(answers(n))), "not_a_table", "gzip"),
    _rejected("workbook.xlsx.gz", lambda n: gzipped(workbook_of(answers(n))), "unsupported_type"),
]

OTHER_KINDS = [
    _rejected("zero bytes.csv", b"", "empty"),
    _rejected("blank.csv", b"\n \n\t\n", "empty"),
    _rejected("mark only.csv", b"\xef\xbb\xbf", "empty"),
    _rejected("separators.csv", b",,,,\n,,,,\n", "empty"),
    _rejected("header only.csv", _lines(lambda lines: lines[:1]), "no_rows", "no rows"),
    _rejected("header and blanks.csv", _lines(lambda lines: [lines[0], "", ",,,,,,,,", "  "]), "no_rows"),
    _rejected("cut in the header.csv", _lines(lambda lines: [lines[0][:40]]), "missing_column"),
    _rejected("random.csv", _RANDOM, "missing_column"),
    _rejected("zeros.csv", b"Employee_ID" + bytes(500), "not_a_table"),
    _rejected("sign-in.csv", _PAGE, "web_page", "web page"),
    _rejected("sign-in with mark.txt", b"\xef\xbb\xbf  \n" + _PAGE.lower(), "web_page"),
    _rejected("document.csv", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "not_a_table", "PDF"),
    _rejected("picture.csv", b"\x89PNG\r\n\x1a\n" + _RANDOM[:100], "not_a_table", "picture"),
    _rejected("answers.json", b'{"Employee_ID": 1}', "unsupported_type", ".csv"),
    _rejected("json.csv", b'[{"Employee_ID": 1, "Employee_Name": "Ana"}]', "missing_column"),
    _rejected("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "unsupported_type"),
    _rejected("old.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "not_a_table"),
    _rejected("letter.docx", lambda n: workbook_of(answers(n)), "unsupported_type"),
    _rejected("report.pdf", b"%PDF-1.7", "unsupported_type"),
    _rejected("no extension", _file(), "unsupported_type"),
    _rejected("csv", _file(), "unsupported_type"),
]

NAMES = [
    _accepted(name, _file())
    for name in (
        "two words.csv",
        " outer space.csv",
        "Año 2026 – 同窓生 🎓.csv",
        "Nin\u0303o.csv",
        "Ni\u00f1o.csv",
        "[draft] {1} (2).csv",
        "v1...final..csv",
        "line\nbreak.csv",
        "tab\tbell\a.csv",
        "_underscore.csv",
        "..dots.csv",
        "100%.csv",
        "a%20b%2Fc.csv",
        "--help.csv",
        "C:back\\slash.csv",
        'it\'s "quoted" <x> | * ?.csv',
        "2026/term 1/answers.csv",
        "2026/term 2/answers.csv",
        "ana@school.csv",
        "x-y@z.csv",
        "x@y-z.csv",
        "x@y/z@w.csv",
        "no text \udcff\udcfe.csv",
        "right\u202eto left.csv",
        "UPPER.CSV",
        "a.csv.csv",
        f"{'long ' * 48}.csv",
        f"{'very/long/' * 60}answers.csv",
        f"{'ñ' * 120}.csv",
        "#hash&=+;,.csv",
        "$HOME `id`.csv",
    )
]

LONG_CELLS = [
    _accepted("at the limit.csv", _long_cell(10_000)),
    _with_bad_rows("over the limit.csv", _long_cell(10_001), 2, 1, Job_Role__field_too_long=1),
    _with_bad_rows("over 128 KiB.csv", _long_cell(140_000), 2, 1, Job_Role__field_too_long=1),
    _with_bad_rows("over a chunk.csv", _long_cell(6_000_000), 2, 1, Job_Role__field_too_long=1),
    _with_bad_rows("over many chunks.csv", _long_cell(20_000_000), 2, 1, row__field_too_long=1),
    _with_bad_rows(
        "long and ragged.csv",
        _lines(lambda lines: [lines[0], lines[1] + "," + "x" * 200_000, lines[2]]),
        2,
        1,
        row__wrong_field_count=1,
    ),
]

HOSTILE_UPLOADS: tuple[HostileUpload, ...] = (
    *ENCODINGS,
    *DELIMITERS,
    *LINE_ENDINGS,
    *QUOTES,
    *RAGGED,
    *HEADERS,
    *BROKEN_RULES,
    *SPELLINGS,
    *WORKBOOKS,
    *COMPRESSED,
    *OTHER_KINDS,
    *NAMES,
    *LONG_CELLS,
)
LIMITS = {"decompressed_megabytes": 1, "workbook_megabytes": 1}
"""The limits that these expectations are written for, where they are not the usual ones."""


def content_of(position: int) -> bytes:
    """The bytes of the upload at a position of the table."""
    return HOSTILE_UPLOADS[position].content(100_000 + 5_000 * position)
