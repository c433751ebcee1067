"""Makes the documents of a report: HTML for mail programs, plain text, a PDF, and the charts in them.

What the report says is in `content.py`. Whatever comes from the survey is data to the templates, never markup: Jinja
escapes it, and Typst is given it as JSON. The same content gives the same bytes. Nothing asks the network.
"""

import json
import struct
import textwrap
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from functools import cache
from importlib.resources import files
from typing import Any

import typst
from jinja2 import Environment, PackageLoader, StrictUndefined

from alumni_assets.dashboard.cards import Card
from alumni_assets.dashboard.charts import WIDE, Drawing
from alumni_assets.dashboard.writing import Table
from alumni_assets.report.content import Content
from alumni_assets.report.keeping import Documents

IN_MAIL = 592  # pixels: what is left of 640, the most that mail programs are sure to show
_ROWS_IN_MAIL = 20  # Gmail cuts off what is longer than 102 KB
_ROWS_ON_PAPER = 200
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A chart as the HTML shows it; the size is in pixels of the page."""

    name: str
    description: str
    width: int
    height: int


def make_documents(content: Content) -> Documents:
    """The report's documents."""
    drawings = {drawing.name: drawing for card in content.cards for drawing in card.drawings}
    charts = {name: _packed(drawing.png(IN_MAIL)) for name, drawing in drawings.items()}
    pictures = {name: _picture(drawings[name], png) for name, png in charts.items()}
    brief = _cut(content, _ROWS_IN_MAIL, "in the PDF")
    return Documents(
        html=_environment(True).get_template("mail.html").render(report=brief, pictures=pictures),
        text=_environment(False).get_template("mail.txt").render(report=brief),
        pdf=_pdf(_cut(content, _ROWS_ON_PAPER, "in the published tables"), drawings),
        charts=charts,
    )


def _pdf(content: Content, drawings: Mapping[str, Drawing]) -> bytes:
    charts = {f"{name}.svg": drawing.svg(WIDE).encode() for name, drawing in drawings.items()}
    sources: Any = {  # files by their names; Typst's type hints know but one
        "main": (files("alumni_assets.report") / "templates" / "report.typ").read_bytes(),
        "report.json": json.dumps(_plain(content)).encode(),
        **charts,
    }
    return bytes(
        typst.compile(
            sources,
            format="pdf",
            ignore_system_fonts=True,  # the fonts that come with Typst look the same on every machine
            timestamp=int(content.published_at.replace(tzinfo=UTC).timestamp()),
        )
    )


def _plain(content: Content) -> dict[str, Any]:
    """The content as JSON has it."""
    values = {name: value for name, value in vars(content).items() if name not in {"published_at", "cards"}}
    values["counts"] = [asdict(count) for count in content.counts]
    values["changed"] = [asdict(changed) for changed in content.changed]
    values["cards"] = [_plain_card(card) for card in content.cards]
    return values


def _plain_card(card: Card) -> dict[str, Any]:
    return {
        "question": card.question,
        "headline": card.headline,
        "grounds": card.grounds,
        "definition": card.definition,
        "drawings": [{"file": f"{one.name}.svg", "description": one.description} for one in card.drawings],
        "tables": [asdict(table) for table in card.tables],
    }


def _cut(content: Content, most: int, where: str) -> Content:
    """The content with no table longer than that; a last row says how many more there are, and where."""
    cards = tuple(
        replace(card, tables=tuple(_cut_table(table, most, where) for table in card.tables)) for card in content.cards
    )
    return replace(content, cards=cards)


def _cut_table(table: Table, most: int, where: str) -> Table:
    more = len(table.rows) - most
    if more <= 0:
        return table
    last = (f"{more:,} more are {where}", *[""] * (len(table.head) - 1))
    return replace(table, rows=(*table.rows[:most], last))


def _picture(drawing: Drawing, png: bytes) -> Picture:
    width, height = struct.unpack(">II", png[16:24])
    return Picture(drawing.name, drawing.description, IN_MAIL, round(height * IN_MAIL / width))


def _packed(png: bytes) -> bytes:
    """The same image in a quarter of the size: Vega's writer hardly compresses, and a mail goes to many."""
    position, pixels, chunks = len(_PNG), b"", []
    while position < len(png):
        (length,) = struct.unpack_from(">I", png, position)
        kind, data = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        if kind == b"IDAT":
            pixels += data
        else:
            chunks.append((kind, data))
        position += length + 12
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(pixels), 9)))
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@cache
def _environment(is_html: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("alumni_assets.report"),
        autoescape=is_html,  # noqa: S701 - off for plain text, which has no markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["wrapped"] = _wrapped
    return environment


def _wrapped(text: str, first: str = "", others: str = "") -> str:
    """Text in lines that every mail program shows whole."""
    return textwrap.fill(
        " ".join(text.split()),
        76,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
