"""One hostile value of each kind, through the whole graph and into every output: it is text there, and does nothing.

What each part does with such values is tested beside it, with many more of them; here is the way from the upload, its
name, its header and what people type to the tables, the correction files, the page, the mails, the log and Dagster.
"""

import base64
import contextlib
import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import dagster as dg
import openpyxl
import pyarrow.parquet as pq
import pytest
from dagster import _loggers as dagster_loggers
from dagster._core.definitions import instigation_logger
from markdown_it import MarkdownIt

from alumni_assets import cli, layout
from alumni_assets.dashboard.keeping import PAGE_KEY, PUBLIC_PAGE_KEY
from alumni_assets.json_logs import json_console
from alumni_assets.queries import ANSWERS
from alumni_assets.stages.quarantine import waive

from .corrections.returns import correction, handed_out
from .notifications.servers import running
from .pipeline import conftest as pipelines
from .pipeline.answers import HEADER, answer, answers, csv_bytes, workbook_of
from .pipeline.conftest import APPROVER
from .report.conftest import MoodyServer
from .report.offices import ANA, BEN, SURVEY, parts
from .report.test_report_assets import House

pytestmark = [pytest.mark.slow, pytest.mark.server]

SQL = "Owned'); DROP TABLE alumni; --"
HTML = "<script>document.title='Owned'</script><img src=x onerror=alert(1)>"
MARKDOWN = "[Owned](javascript:alert(1)) ![Owned](http://evil.example/x.png) | a |"
FORMULA = '=HYPERLINK("http://evil.example","Owned")'
PROGRAM = "@SUM(1+1)*cmd|' /C Owned'!A0"
PATH = "../../../../Owned"
TEMPLATE = '{{ 7 * 191 }} {% raw %} ${7*191} #read("/etc/passwd") %(Owned)s'
ONE_LINE = (SQL, HTML, MARKDOWN, FORMULA, PROGRAM, PATH, TEMPLATE)
LINES = 'Owned\n{"event": "run_failed", "owned": 1}\r\u2028\x1b[2J\x1b]0;Owned\x07'
MAIL = "Owned\r\nBcc: eve@evil.example\r\n\r\nOwned"
HOSTILE = (*ONE_LINE, LINES, MAIL)
ROLES = (*ONE_LINE, MAIL)
EVERYTHING = "\n".join(HOSTILE)
FOLDER = 'it\'s a "lake" [1] {x} #&;$HOME %41 <b>'
EACH = 12
"""How many alumni there are of each hostile role: so many that the report shows it too."""
SHEETS = ("data:text/csv", "data:application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
LEADS = ("#", "data:image/", "cid:", *SHEETS)
"""Where addresses in the page and in the report lead to."""
PHONE = re.compile(r"[+][0-9 ]+")
FIELDS = {
    *("timestamp", "level", "logger", "message", "run_id", "job", "step", "sensor", "dagster_event", "asset", "reason"),
    *("exception", "event", "upload", "code", "kind"),
}


@dataclass
class Story:
    """What was told, and what came out where nobody keeps it."""

    house: House
    server: MoodyServer
    uploads: dict[str, str] = field(default_factory=dict)
    log: str = ""


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def one_line(text: str) -> str:
    """A text as it is compared: in one line and one case, for names and roles are written in title case."""
    return " ".join(text.split()).casefold()


def hostile_answers() -> list[dict[str, Any]]:
    """Valid rows in which every open column is hostile, then some in which the others are too."""
    valid = [
        answer(
            1000 + number,
            Employee_Name=ONE_LINE[number % len(ONE_LINE)],
            Job_Role=ROLES[number // EACH],
            Email=f"=1+{number}'--owned@school.edu.ph",
            Performance_Rating=str(4 + number % 2),
        )
        for number in range(EACH * len(ROLES))
    ]
    invalid = [answer(2000 + number, **dict.fromkeys(HEADER[1:], text)) for number, text in enumerate(HOSTILE)]
    return [row | {text: text for text in HOSTILE} for row in (*valid, *invalid)]


def hostile_workbook() -> bytes:
    """A workbook with formulas in its cells, and text in all that there is beside them."""
    content = io.BytesIO(workbook_of(answers(3000, 3, Job_Role="Baker")))
    book = openpyxl.load_workbook(content)
    sheet = book.active
    assert sheet is not None
    sheet["E2"] = FORMULA
    sheet["B2"].hyperlink = "http://evil.example/Owned"
    sheet["B3"].comment = openpyxl.comments.Comment(HTML, SQL)
    sheet.title = "Owned'!A1"
    book.properties.title, book.properties.creator, book.properties.keywords = HTML, FORMULA, SQL
    book.defined_names["Owned"] = openpyxl.workbook.defined_name.DefinedName("Owned", attr_text="'[http://evil]x'!A1")
    book.save(content)
    return content.getvalue()


def notified(house: House) -> None:
    """A tick of the sensor that tells people what happened."""
    repository = house.defs.get_repository_def()
    resources = {name: repository.get_top_level_resources()[name] for name in ("lake", "survey", "notifier")}
    context = dg.build_sensor_context(house.instance, repository_def=repository, resources=resources)
    repository.get_sensor_def("notifications").evaluate_tick(context)


def main_of(page: str) -> str:
    """What a page says: its own scripts and styles come before and after it."""
    return page.partition("<main")[2].partition("</main>")[0]


def reported(instance: dg.DagsterInstance) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """All materializations and results of checks that Dagster has."""
    for run in instance.get_runs():
        for entry in instance.all_logs(run.run_id):
            data = entry.dagster_event.event_specific_data if entry.dagster_event else None
            found = getattr(data, "materialization", data)
            if isinstance(found, dg.AssetMaterialization | dg.AssetCheckEvaluation):
                yield found


def rendered(text: str | None) -> set[str]:
    """The elements that Markdown makes of a text, as Dagster has it made."""
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text or "")
    return {tag for tag, _ in Elements(page).found}


def taken_in(house: House, files: Mapping[str, tuple[str, bytes]]) -> dict[str, str]:
    """Puts files, takes them all in, and says which uploads they are."""
    keys = {name: key.replace("//", "/") for name, (key, _) in files.items()}
    for name, (_, content) in files.items():
        house.put(keys[name], content)
    assert house.take_in(*keys.values()).success
    return {name: house.upload_of(key) for name, key in keys.items()}


def tell(story: Story) -> None:
    """From uploads to the report, with hostile values wherever somebody else can put some."""
    house, uploads = story.house, story.uploads
    house.makes_page = False
    notified(house)
    files = {
        "main": (f"{HTML} {SQL} {MARKDOWN}.csv", csv_bytes(hostile_answers(), header=(*HEADER, *HOSTILE))),
        "workbook": (f"{FORMULA}.xlsx", hostile_workbook()),
        "rejected": (f"{LINES}{MAIL}.csv", f'Owned,"{HTML}",{FORMULA}\n1,2,3\n'.encode()),
        "withdrawn": ("withdrawn.csv", csv_bytes(answers(4000, 2))),
    }
    uploads |= taken_in(house, files)
    said = {"note": EVERYTHING, "override_reason": EVERYTHING}
    for name, approver in {"main": f"{HTML}{LINES}", "workbook": MAIL, "withdrawn": SQL}.items():
        assert house.materialize("transformed_survey", uploads[name], approved_by=approver, **said).success

    fixes = {int(row["_row"]): row for row in handed_out(house, uploads["main"])}
    mended = {min(fixes): answer(2000, Job_Role=FORMULA, Employee_Name=HTML)}
    files = {
        "fix": ("fix.csv", correction(uploads["main"], mended)),
        "stray": ("stray.csv", correction(f"{PATH}@00000000", {SQL: answer(1)})),
    }
    uploads |= taken_in(house, files)
    waive(house.lake, house.register, uploads["main"], [str(max(fixes))], f"{HTML}{LINES}", EVERYTHING, "500MB")
    house.withdraw(uploads["withdrawn"], EVERYTHING)
    (house.folder.parent / "Owned.csv").write_bytes(csv_bytes(answers(9000)))
    house.put("..\\..\\Owned.csv", csv_bytes(answers(9100)))
    assert not house.take_in("../../../Owned.csv", "..\\..\\Owned.csv").success

    house.makes_page = True
    assert house.approve(uploads["fix"], by=SQL, note=EVERYTHING).success
    assert house.materialize("weekly_report").success
    assert house.materialize("mailed_report").success
    notified(house)


def command(house: House, patch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What `alumni` prints for people."""
    for name, value in house.environment.items():
        patch.setenv(name, value)
    patch.setattr("alumni_assets.one_pass.open_instance", lambda *_: contextlib.nullcontext(house.instance))
    patch.setattr(sys, "argv", ["alumni", *arguments])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        cli.main()
    return printed.getvalue()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("injection") / FOLDER
    with pytest.MonkeyPatch.context() as patch, running(MoodyServer()) as server:
        for name in [name for name in os.environ if name.startswith(("ALUMNI_", "DAGSTER_"))]:
            patch.delenv(name)
        patch.setattr(dagster_loggers, "create_console_logger", json_console)
        patch.setattr(instigation_logger, "create_console_logger", json_console)
        patch.setattr(pipelines, "QUIET", {})
        house = House(folder, server.port)
        house.environment |= {"ALUMNI_NOTIFY": "log,email", "ALUMNI_SMTP_TO": ANA, "ALUMNI_SMTP_FROM": SURVEY}
        story = Story(house, server)
        with house.instance:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                tell(story)
            story.log = printed.getvalue()
            yield story


def test_the_warehouse_is_whole_and_holds_each_text_as_text(story: Story) -> None:
    house, uploads = story.house, story.uploads
    assert {upload: house.statuses()[upload] for upload in uploads.values()} == {
        uploads["main"]: "transformed",
        uploads["workbook"]: "transformed",
        uploads["rejected"]: "rejected",
        uploads["withdrawn"]: "withdrawn",
        uploads["fix"]: "transformed",
        uploads["stray"]: "rejected",
    }
    assert set(house.tables()) >= {"alumni", "survey_responses", "quarantine", "uploads", "approvals", *ANSWERS}
    assert len(house.alumni_rows()) == EACH * len(ROLES) + 2 + 1
    roles = {one_line(role): alumni for role, alumni in house.published("SELECT job_role, alumni FROM job_roles")}
    assert {role: roles.get(one_line(role)) for role in ROLES} == {role: EACH + (role == FORMULA) for role in ROLES}
    names = {one_line(name) for (name,) in house.published("SELECT employee_name FROM alumni WHERE employee_id > 999")}
    assert names >= {one_line(name) for name in ONE_LINE}
    decided = house.published("SELECT decided_by, note FROM approvals")
    assert len(decided) == 5
    assert set(decided) == {(by, EVERYTHING) for by in (f"{HTML}{LINES}".strip(), MAIL, SQL, APPROVER)}
    waived = "SELECT waived_by, waiver_reason FROM quarantine WHERE status = 'waived'"
    assert house.published(waived) == [(f"{HTML}{LINES}".strip(), EVERYTHING)]


def test_a_spreadsheet_finds_no_formula_in_the_correction_files(story: Story) -> None:
    upload = story.uploads["main"]
    book = openpyxl.load_workbook(story.house.root / layout.correction_key(upload, "xlsx"))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s"}
    assert [cell for cell in cells if cell.hyperlink] == []
    assert len(book.defined_names) == 0
    lines = handed_out(story.house, upload)
    assert len(lines) == len(HOSTILE)
    texts = [text for line in lines for text in (*line, *line.values())]
    assert [text for text in texts if text.lstrip()[:1] in tuple("=+-@")] == []
    assert {f"'{FORMULA}", f"'{PROGRAM}"} <= set(texts)


def test_nor_does_it_in_the_lists_that_the_page_hands_out(story: Story) -> None:
    page = Elements(story.house.lake.read_bytes(PAGE_KEY).decode())
    addresses = [attributes["href"] or "" for tag, attributes in page.found if "download" in attributes]
    (text, packed) = (base64.b64decode(address.partition("base64,")[2]) for address in sorted(addresses)[::-1])
    lines = list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")))
    assert len(lines) > 90
    assert [cell for line in lines for cell in line if cell[:1] in tuple("=+-@") and not PHONE.fullmatch(cell)] == []
    book = openpyxl.load_workbook(io.BytesIO(packed))
    assert {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row} <= {"s", "n"}


def test_the_page_and_the_report_have_no_element_and_no_link_of_theirs(story: Story) -> None:
    pages = [main_of(story.house.lake.read_bytes(key).decode()) for key in (PAGE_KEY, PUBLIC_PAGE_KEY)]
    mails = [mail for mail in story.server.mails if "weekly report" in mail["Subject"]]
    reports = [part.get_content() for mail in mails for part in parts(mail, "text/html")]
    assert len(reports) == 2
    for page in map(Elements, (*pages, *reports)):
        assert one_line(HTML) in one_line(page.text)
        assert one_line(SQL) in one_line(page.text)
        assert str(7 * 191) not in page.text
        assert {"script", "iframe", "object", "form", "base", "link"} & {tag for tag, _ in page.found} == set()
        for tag, attributes in page.found:
            assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
            addresses = [attributes.get(name) for name in ("href", "src", "action", "srcdoc", "background")]
            assert not [some for some in addresses if some and not some.startswith(LEADS)], (tag, attributes)


def test_every_mail_has_its_own_headers_and_receivers_only(story: Story) -> None:
    subjects = {mail["Subject"] for mail in story.server.mails}
    assert len(subjects) == 6
    for mail, receivers in zip(story.server.mails, story.server.receivers, strict=True):
        assert receivers in ([ANA], [BEN])
        assert mail["To"] in (ANA, BEN)
        assert len(mail.keys()) == len(set(mail.keys()))
        assert {"Bcc", "Cc", "Reply-To"} & set(mail.keys()) == set()
        assert mail["Subject"].isprintable()
        for part in parts(mail, "text/plain"):
            lines = part.get_content().splitlines()
            assert [line for line in lines if not line.isprintable()] == []
            assert [line for line in lines if line.startswith(("Bcc", '{"event"'))] == []


def test_every_line_of_the_log_is_one_object_with_our_fields(story: Story) -> None:
    lines = story.log.splitlines()
    assert len(lines) > 30
    assert story.log.isascii()
    assert all(line.isprintable() for line in lines)
    records = [json.loads(line) for line in lines]
    assert {name for record in records for name in record} <= FIELDS
    events = {record["event"] for record in records if "event" in record}
    assert events == {"upload_rejected", "upload_failed", "notice"}


def test_dagster_shows_text_where_text_is_meant(story: Story) -> None:
    """Markdown makes nothing but lists and sentences of it, addresses are our own, and nothing in it is unprintable."""
    events = list(reported(story.house.instance))
    descriptions = [event.description for event in events if event.description]
    assert any("script" in description for description in descriptions)
    assert [text for text in descriptions if not rendered(text) <= {"p", "code"}] == []
    found = [value for event in events for value in event.metadata.values()]
    kinds = {type(value) for value in found}
    assert kinds >= {dg.MarkdownMetadataValue, dg.UrlMetadataValue, dg.TableMetadataValue, dg.TextMetadataValue}
    for value in found:
        match value:
            case dg.MarkdownMetadataValue(md_str=text):
                assert rendered(text) <= {"ul", "li", "strong", "p"}
            case dg.UrlMetadataValue(url=url):
                assert (url or "").startswith("http://127.0.0.1:")
            case dg.TextMetadataValue(text=text):
                assert (text or "").isprintable()
            case dg.TableMetadataValue(records=records):
                cells = [str(cell) for record in records for cell in record.data.values()]
                assert [cell for cell in cells if not cell.isprintable()] == []


def test_what_describes_the_published_files_says_nothing_of_theirs(story: Story) -> None:
    root = story.house.root
    tables = [
        path
        for folder in ("valid", "invalid", "transformed", "published")
        for path in (root / folder).rglob("*.parquet")
    ]
    assert len(tables) > 20
    for path in tables:
        told = pq.read_metadata(path)
        described = f"{told.schema.names}{told.metadata}{told.created_by}"
        assert "owned" not in described.casefold(), path
    source = json.loads((root / "published" / "alumni.pbids").read_text())
    assert source["connections"] == [
        {"details": {"protocol": "folder", "address": {"path": str(root / "published")}}, "mode": "Import"}
    ]
    assert "owned" not in (root / "published" / "data_dictionary.md").read_text().casefold()


def test_nothing_is_written_outside_of_the_lake_and_the_home(story: Story) -> None:
    house = story.house
    outside = house.folder.parent
    assert {path.name for path in outside.iterdir()} == {"Owned.csv", FOLDER}
    assert {path.name for path in house.folder.iterdir()} == {"lake", "home"}
    made = [entry.key for entry in house.lake.list("") if not entry.key.startswith("raw/")]
    assert len(made) > 50
    assert all(key.isprintable() and ".." not in key.split("/") for key in made)
    assert {"Owned.csv", "../../../Owned.csv"} & {seen.key for seen in house.facts.seen.values()} == set()


@pytest.mark.parametrize("arguments", [("status",), ("quarantine",)])
def test_a_terminal_is_given_no_character_that_moves_it(
    story: Story, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    printed = command(story.house, monkeypatch, *arguments)
    assert "Owned" in printed
    assert [line for line in printed.splitlines() if not line.isprintable()] == []
