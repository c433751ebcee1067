"""The data dictionary that is published beside the tables: the descriptions of `tables.py`, as Markdown."""

from datetime import datetime

from alumni_assets.warehouse.tables import TABLES, Table


def data_dictionary(generation: int, published_at: datetime) -> str:
    """Every table with its columns, their types and what they mean. `published_at` is in UTC."""
    sections = [_section(table) for table in TABLES.values()]
    return "\n\n".join([_introduction(generation, published_at), *sections]) + "\n"


def _introduction(generation: int, published_at: datetime) -> str:
    return (
        "# Data dictionary\n\n"
        f"Publication {generation}, {published_at:%Y-%m-%d %H:%M} UTC.\n\n"
        "`alumni.duckdb` holds all the tables below in one consistent state; open it read-only. "
        "Each table is also a Parquet file of its name, whose metadata entry `generation` is the number of "
        "the publication that last changed it."
    )


def _section(table: Table) -> str:
    rows = [f"| {column.name} | {column.type} | {_cell(column.description)} |" for column in table.columns]
    return "\n".join(
        [f"## {table.name}", "", table.description, "", "| Column | Type | Meaning |", "|---|---|---|", *rows]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
