"""The page that keeps the tables: each between two markers, so that the text around them stays."""

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.table import Table

_END = "<!-- /bench -->"


def marker(name: str) -> str:
    """The line in the page below which the measurement of that name is kept."""
    return f"<!-- bench:{name} -->"


def block(tables: Sequence[Table], remarks: Sequence[str]) -> str:
    """Tables and remarks below them as Markdown; tables without rows are left out."""
    return "\n\n".join([*(table.markdown() for table in tables if table.rows), *remarks])


def keep(page: Path, name: str, content: str) -> bool:
    """Put the content between the marker of that name and the next end; false where the page has no such place."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found = re.search(f"(?<={re.escape(marker(name))}\n).*?(?={re.escape(_END)})", text, re.DOTALL)
    if found is None:
        return False
    page.write_text(f"{text[: found.start()]}{content}\n{text[found.end() :]}", encoding="utf-8")
    return True
