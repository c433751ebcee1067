"""The documents say what the content says, whatever alumni there are, and nothing that alumni say is markup."""

import re
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from html.parser import HTMLParser

import pytest
import typst
from hypothesis import HealthCheck, given, settings

from alumni_assets.report.content import Content
from alumni_assets.report.documents import IN_MAIL, make_documents
from alumni_assets.report.keeping import Documents
from alumni_assets_tests.answers.people import Person, a_person, populations
from alumni_assets_tests.report.offices import HOSTILE, RIGHT_TO_LEFT, a_population, content_of, pdf_text

pytestmark = pytest.mark.slow

GMAIL_CUTS_AT = 102 * 1024
_VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """An HTML document as it is read: its text, its tags, and whether all of them are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def sentences(content: Content) -> list[str]:
    """Everything that the report says in words."""
    return [
        content.title,
        content.subtitle,
        content.as_of,
        content.summary,
        *[sentence for changed in content.changed for sentence in (changed.question, *changed.sentences)],
        *[text for card in content.cards for text in (card.question, f"{card.headline}.", card.grounds)],
        *content.quality,
        *content.reading,
    ]


def cells(content: Content) -> list[str]:
    return [cell for card in content.cards for table in card.tables for row in table.rows for cell in row]


def even(text: str) -> str:
    """Text of which lines may end anywhere, also behind a hyphen."""
    return re.sub(r"\s+", "", text)


def all_texts(documents: Documents) -> dict[str, str]:
    return {"html": Page(documents.html).text, "text": documents.text, "pdf": pdf_text(documents.pdf)}


def assert_all_is_said(content: Content, documents: Documents) -> None:
    for name, text in all_texts(documents).items():
        missing = [said for said in (*sentences(content), *cells(content)) if even(said) not in even(text)]
        assert missing == [], name


def pixels(png: bytes) -> tuple[bytes, bytes]:
    """The head and the pixels of a PNG, of which every sum is checked."""
    position, head, data = 8, b"", b""
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        body = png[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", png, position + 8 + length) == (zlib.crc32(kind + body),)
        head, data = (body if kind == b"IHDR" else head), (data + body if kind == b"IDAT" else data)
        position += length + 12
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert kind == b"IEND"
    return head, zlib.decompress(data)


@pytest.fixture(scope="module")
def content() -> Content:
    return content_of(a_population(180), a_population())


@pytest.fixture(scope="module")
def documents(content: Content) -> Documents:
    return make_documents(content)


def test_html_text_and_pdf_say_everything(content: Content, documents: Documents) -> None:
    assert_all_is_said(content, documents)


def test_the_same_content_gives_the_same_bytes(content: Content, documents: Documents) -> None:
    assert make_documents(content) == documents


def test_mail_programs_can_show_the_html(documents: Documents) -> None:
    """Tables for the layout, styles in the elements, nothing from elsewhere, no wider than 640 pixels."""
    page = Page(documents.html)
    assert {tag for tag, _ in page.tags} & {"script", "link", "style", "form", "iframe", "svg", "div"} == {"div"}
    addresses = [value for _, attributes in page.tags for name in ("src", "href") if (value := attributes.get(name))]
    assert addresses == [f"charts/{name}.png" for name in documents.charts]
    assert "url(" not in documents.html
    assert {int(width) for _, found in page.tags if (width := found.get("width") or "0").isdecimal()} <= {0, 640, 592}
    assert len(documents.html.encode()) < GMAIL_CUTS_AT


def test_the_pdf_can_be_read_by_a_screen_reader(content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps to PDF/UA-1 as far as Typst can judge: a title, tags, words for every image, headings in order."""
    monkeypatch.setattr(typst, "compile", partial(typst.compile, pdf_standards="ua-1"))
    assert make_documents(content).pdf.startswith(b"%PDF")


def test_every_chart_has_words_and_a_size(documents: Documents) -> None:
    images = [attributes for tag, attributes in Page(documents.html).tags if tag == "img"]
    assert len(images) == len(documents.charts) == 5
    for image in images:
        assert image["width"] == str(IN_MAIL)
        assert int(image["height"] or 0) > 50
        assert len(image["alt"] or "") > 30


def test_charts_are_packed_without_loss(content: Content, documents: Documents) -> None:
    for drawing in (drawing for card in content.cards for drawing in card.drawings):
        drawn, packed = drawing.png(IN_MAIL), documents.charts[drawing.name]
        assert pixels(packed) == pixels(drawn)
        assert len(packed) < len(drawn) / 2


def test_lines_of_the_text_are_short(documents: Documents) -> None:
    assert max(len(line) for line in documents.text.splitlines()) <= 76


def test_a_long_list_is_cut_and_says_where_the_rest_is() -> None:
    people = [a_person(1 + n % 5, job_role=f"Role {n % 300:03d}") for n in range(3000)]
    documents = make_documents(content_of(people))
    assert "280 more are in the PDF" in Page(documents.html).text
    assert "280 more are in the PDF" in documents.text
    assert "100 more are in the published tables" in pdf_text(documents.pdf)
    assert len(documents.html.encode()) < GMAIL_CUTS_AT


def hostile_people() -> Sequence[Person]:
    names = [
        HOSTILE,
        RIGHT_TO_LEFT,
        'O\'Brien "& Sons"',
        "${x} %s {0} #{y}",
        "= Heading",
        "- item",
        "a\nb\r\nc\td",
        "日本語",
    ]
    return [
        Person(names[n % 4], names[n % 3], names[n % 2], names[n % 8], performance_rating=1 + n % 5) for n in range(240)
    ]


def test_whatever_alumni_say_is_shown_as_text() -> None:
    content = content_of(hostile_people(), hostile_people()[:120])
    documents = make_documents(content)
    page = Page(documents.html)
    assert not {tag for tag, _ in page.tags} & {"script", "b", "x"}
    assert even(HOSTILE) in even(page.text)
    assert even(HOSTILE) in even(documents.text)
    written = even(pdf_text(documents.pdf))
    assert even(HOSTILE) in written
    for name in ('O\'Brien"&Sons"', "${x}%s{0}#{y}", "=Heading", "-item", "abc"):
        assert name in written, name
    assert "49" not in re.findall(r"\b49\b", page.text)  # {{ 7 * 7 }} was not worked out


def test_text_from_right_to_left_is_there() -> None:
    documents = make_documents(content_of(hostile_people()))
    assert RIGHT_TO_LEFT in Page(documents.html).text
    assert RIGHT_TO_LEFT in documents.text
    # A PDF holds such letters as they are drawn; the extraction is free to turn them round.
    assert set(RIGHT_TO_LEFT.replace(" ", "")) <= set(pdf_text(documents.pdf))


@pytest.mark.parametrize("many", [0, 1, 2, 9, 10, 11, 30])
def test_of_few_alumni_there_is_a_report(many: int) -> None:
    content = content_of(a_population(many))
    assert_all_is_said(content, make_documents(content))


def test_of_many_tiny_groups_there_is_a_report() -> None:
    people = [
        a_person(1 + n % 5, **dict.fromkeys(("college_degree", "dmc_campus", "department", "job_role"), f"G{n}"))
        for n in range(60)
    ]
    content = content_of(people)
    assert {card.tables for card in content.cards} != set()
    documents = make_documents(content)
    assert_all_is_said(content, documents)
    assert "G59" not in documents.html + documents.text + pdf_text(documents.pdf)


@given(people=populations(40))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_of_any_alumni_there_is_a_report(people: list[Person]) -> None:
    content = content_of(people)
    assert_all_is_said(content, make_documents(content))
