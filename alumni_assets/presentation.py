"""What people see of an upload in Dagster: metadata, with personal data masked.

Values from uploads go into tables and plain text only, never into Markdown or links, so that nothing
that a cell says is rendered.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dagster import MetadataValue, TableColumn, TableColumnConstraints, TableRecord, TableSchema

from alumni_assets.contract import BY_NAME, COLUMNS, REASONS, Code
from alumni_assets.survey.standing import Seen

_BY_HEADER = {column.header: column for column in COLUMNS}
_SHOWN = 80


def masked(value: object) -> str:
    """Personal data as it may be shown: the first character only."""
    text = "" if value is None else str(value)
    return f"{text[:1]}***" if text else ""


def shown(value: object) -> str:
    """A cell as it may be shown in a table: bounded, and with control characters visible."""
    text = "" if value is None else str(value)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return text.encode("utf-8", "replace").decode() if text.isprintable() else repr(text)[1:-1]


def preview(rows: Iterable[Mapping[str, object]]) -> MetadataValue | None:
    """The first rows of a table, personal columns masked; None without rows."""
    records = [
        TableRecord({name: _previewed(name, value) for name, value in row.items() if name != "upload"}) for row in rows
    ]
    return MetadataValue.table(records) if records else None


def reason_counts(reasons: Mapping[tuple[str, str], int]) -> MetadataValue:
    """How many cells there are for each reason, the most frequent first."""
    records = [
        TableRecord({"cells": count, "column": header or "(whole row)", "reason": REASONS[Code(code)], "code": code})
        for (header, code), count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    return MetadataValue.table(records, schema=_schema("cells:int", "column", "reason", "code"))


def problem_rows(rows: Iterable[Mapping[str, object]], header_record: int) -> MetadataValue:
    """The first invalid rows, one line for each problem, with the row's number in the person's own file."""
    records = [
        TableRecord(
            {
                "row": f"{row['source_row'] + header_record + 1:,}",  # type: ignore[operator]
                "column": problem["column"] or "(whole row)",
                "problem": problem["message"],
                "value": _problem_value(problem),
                "did you mean": problem["suggestion"] or "",
            }
        )
        for row in rows
        for problem in row["problems"]  # type: ignore[attr-defined]
    ]
    return MetadataValue.table(records, schema=_schema("row", "column", "problem", "value", "did you mean"))


def reasons_in_words(reasons: Mapping[tuple[str, str], int], most: int = 3) -> str:
    """The most frequent reasons in a few words: `5 × College_Degree not_in_list, …`."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{count:,} × {f'{header} ' if header else ''}{code}" for (header, code), count in ordered[:most]]
    return ", ".join(words) + (", …" if len(ordered) > most else "")


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


def _previewed(name: str, value: object) -> str | int:
    column = BY_NAME.get(name)
    if column is not None and column.personal:
        return masked(value)
    return value if isinstance(value, int) else shown(value)


def _problem_value(problem: Mapping[str, str | None]) -> str:
    column = _BY_HEADER.get(problem["column"] or "")
    return masked(problem["value"]) if column is None or column.personal else shown(problem["value"])


def _schema(*names: str) -> TableSchema:
    parts = [name.split(":") for name in names]
    return TableSchema([TableColumn(part[0], part[1] if len(part) > 1 else "string") for part in parts])
