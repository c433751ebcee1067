"""What people see of an upload in Dagster: metadata, with personal data masked.

Values from uploads go into tables and plain text, into Markdown only through `markdown_list`, and into the descriptions
of checks only through `in_words`, so that nothing that a cell or a header says is rendered.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from dagster import MetadataValue, TableColumn, TableColumnConstraints, TableRecord, TableSchema

from alumni_assets.contract import BY_NAME, COLUMNS, REASONS, Code
from alumni_assets.survey.standing import Seen

_BY_HEADER = {column.header: column for column in COLUMNS}
_SHOWN = 80
_WORD = re.compile(r"[^\W\d_]{2}")
_DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\d)(?:[T ]\d{1,2}(?::\d{2}){1,2}(?:\.\d{1,6})?)?")
_DIGITS_OF_A_PERSON = 5
"""From so many on a number may be an employee id or a phone number; a year and a rating have fewer."""
_ADDRESS = re.compile(r"https?(?=://)|www(?=\.)|[\w.+-](?=@[\w-]+\.[\w-])", re.IGNORECASE)
# What is wrong, to be read after the column's name; the full sentences are the contract's.
_IN_SHORT: dict[Code, str] = {
    Code.WRONG_FIELD_COUNT: "has too many or too few cells",
    Code.UNDECODABLE: "has damaged characters",
    Code.FIELD_TOO_LONG: "is too long",
    Code.CONTROL_CHARACTER: "has invisible control characters",
    Code.MISSING: "is empty",
    Code.NOT_AN_ID: "is not a number of at most 18 digits",
    Code.NO_NAME: "has no name besides titles",
    Code.NOT_IN_LIST: "is not one of the possible answers",
    Code.NOT_AN_EMAIL: "is not a complete e-mail address",
    Code.NOT_A_PHONE_NUMBER: "is not a phone number",
    Code.NOT_A_RATING: "is not a whole number from 1 to 5",
    Code.NOT_A_DATE: "is not a date that can be read",
    Code.DATE_IN_FUTURE: "is later than the day of upload",
    Code.NO_SUCH_ROW: "names no row that was set aside",
    Code.DOUBLED_ROW: "comes more than once",
}


def masked(value: object) -> str:
    """Personal data as it may be shown: the first character only."""
    text = "" if value is None else str(value)
    return f"{text[:1]}***" if text else ""


def shown(value: object) -> str:
    """A cell as it may be shown in a table: bounded, and with control characters visible."""
    text = "" if value is None else str(value)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return text.encode("utf-8", "replace").decode() if text.isprintable() else repr(text)[1:-1]


def in_words(value: object) -> str:
    """A value as it may stand in the description of a check, bounded: see `plain`."""
    return plain(shown(value))


def plain(text: str) -> str:
    """Text for the description of a check, which Dagster takes for Markdown: no link, no picture, nothing in bold."""
    return re.sub(r"[\\`*\[\]<~]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", _unlinked(text))


def preview(rows: Iterable[Mapping[str, object]]) -> MetadataValue | None:
    """The first rows of a table, personal columns masked; None without rows."""
    records = [
        TableRecord({name: _previewed(name, value) for name, value in row.items() if name != "upload"}) for row in rows
    ]
    return MetadataValue.table(records) if records else None


def markdown_list(items: Iterable[tuple[str, str]]) -> str:
    """Titles and sentences as a list in Markdown; whatever they say, it is shown as text."""
    return "\n".join(f"- **{_markdown_text(title)}** {_markdown_text(sentence)}" for title, sentence in items)


def reason_counts(reasons: Mapping[tuple[str, str], int]) -> MetadataValue:
    """How many cells there are for each reason, the most frequent first."""
    records = [
        TableRecord({"cells": count, "column": header or "(whole row)", "reason": REASONS[Code(code)], "code": code})
        for (header, code), count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    return MetadataValue.table(records, schema=_schema("cells:int", "column", "reason", "code"))


def problem_rows(rows: Iterable[Mapping[str, Any]], header_record: int, is_correction: bool = False) -> MetadataValue:
    """The first open rows, one line for each problem: with the row's number in the person's own file, and `_row`.

    `_row` is the number in the correction file; of a correction it is that of the row that came back.
    """
    records = [
        TableRecord(
            {
                "row in your file": f"{row['source_row'] + header_record + 1:,}",
                "_row": _shown_number(row.get("corrects_row") if is_correction else row["source_row"]),
                "column": problem["column"] or "(whole row)",
                "problem": problem["message"],
                "value": _problem_value(problem),
                "did you mean": problem["suggestion"] or "",
            }
        )
        for row in rows
        for problem in row["problems"]
    ]
    return MetadataValue.table(
        records, schema=_schema("row in your file", "_row", "column", "problem", "value", "did you mean")
    )


def since(received_at: datetime, now: datetime) -> str:
    """Since when something lasts, and how long that is: `2026-11-20 08:15 UTC (4 days)`."""
    days = (now - received_at).days
    long = "less than a day" if days < 1 else "1 day" if days == 1 else f"{days:,} days"
    return f"{received_at:%Y-%m-%d %H:%M} UTC ({long})"


def reasons_in_words(reasons: Mapping[tuple[str, str], int], most: int = 3) -> str:
    """The most frequent reasons in a few words: `6 × Job_Role is empty, 4 × Department is not …`."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{count:,} × {header or 'the row'} {_IN_SHORT[Code(code)]}" for (header, code), count in ordered[:most]]
    return ", ".join(words) + (", and others" if len(ordered) > most else "")


def column_schema(fields: Sequence[tuple[str, str, str]]) -> TableSchema:
    """Dagster's column schema from (name, type, description)."""
    return TableSchema(
        [
            TableColumn(
                name,
                kind,
                description,
                constraints=TableColumnConstraints(nullable=name not in BY_NAME or not BY_NAME[name].required),
            )
            for name, kind, description in fields
        ]
    )


def speed(rows: int, seconds: float) -> dict[str, Any]:
    """Rows, seconds and rows per second."""
    return {
        "rows": MetadataValue.int(rows),
        "seconds": MetadataValue.float(round(seconds, 3)),
        "rows_per_second": MetadataValue.int(int(rows / seconds) if seconds > 0 else 0),
    }


def origin(seen: Seen) -> dict[str, Any]:
    """Where an upload came from."""
    return {
        "file": MetadataValue.text(shown(f"raw/{seen.key}")),
        "size": MetadataValue.int(seen.size),
        "sha256": MetadataValue.text(seen.sha256),
        "received_at": MetadataValue.text(f"{seen.received_at:%Y-%m-%d %H:%M:%S} UTC"),
    }


def _markdown_text(text: str) -> str:
    """Text of which Markdown and HTML take nothing for their own."""
    words = _unlinked(" ".join(text.split()))
    return re.sub(r"[^\w\s]", lambda found: f"&#{ord(found[0])};", words).replace("_", "&#95;")


def _unlinked(text: str) -> str:
    """Text with a mark that nobody sees in what Dagster would make a link of by itself, escaped or not."""
    return _ADDRESS.sub("\\g<0>\N{WORD JOINER}", text)


def _previewed(name: str, value: object) -> str | int:
    column = BY_NAME.get(name)
    if (column is not None and column.personal) or (isinstance(value, str) and _may_tell_a_person(value)):
        return masked(value)
    return value if isinstance(value, int) else shown(value)


def _problem_value(problem: Mapping[str, str | None]) -> str:
    """The offending cell, unless it may be personal: where columns are swapped, a name may be in any of them.

    A word is shown only where a possible answer is so near that it must be a misspelling of that.
    """
    column, value = _BY_HEADER.get(problem["column"] or ""), problem["value"] or ""
    if column is None or column.personal or _may_tell_a_person(value):
        return masked(value)
    return shown(value) if problem["suggestion"] or not _WORD.search(value) else masked(value)


def _may_tell_a_person(text: str) -> bool:
    """Whether a text may have an e-mail address, a phone number or an employee id; a date is none of them."""
    date = _DATE.match(text)
    beside_it = text[date.end() :] if date else text
    return "@" in text or sum(char.isdigit() for char in beside_it) >= _DIGITS_OF_A_PERSON


def _shown_number(number: int | None) -> str:
    return "" if number is None else str(number)


def _schema(*names: str) -> TableSchema:
    parts = [name.split(":") for name in names]
    return TableSchema([TableColumn(part[0], part[1] if len(part) > 1 else "string") for part in parts])
