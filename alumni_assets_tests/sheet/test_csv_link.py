"""Reading the sheet by its CSV link from a real server, and everything that a server may answer instead."""

import gzip
import ssl
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from alumni_assets.sheet.errors import SheetError
from alumni_assets.sheet.links import CsvLink
from alumni_assets_tests.sheet.conftest import HEADER, QUICK, SHEET_ID, Desk, Google, Handler, Sheet, answer

pytestmark = pytest.mark.server

SIGN_IN = b"<!doctype html><title>Google Sheets: Sign-in</title><form action='https://accounts.google.com/v3/signin'>"
ERROR_PAGE = b"<html><head><title>Error</title></head><body>Sorry, unable to open the file at this time.</body></html>"
HTML = "text/html; charset=utf-8"


def redirect(to: str) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(b"", HTML, 307, Location=to)


def whole(content: bytes, media_type: str = "text/csv", status: int = 200) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(content, media_type, status)


def shorter_than_announced(handler: Handler) -> None:
    content = handler.server.sheet.csv()
    handler.start(Content_Type="text/csv", Content_Length=str(len(content)))
    handler.wfile.write(content[:-30])
    handler.hang_up()


def cut_off_between_chunks(handler: Handler) -> None:
    handler.start(Content_Type="text/csv", Transfer_Encoding="chunked")
    content = handler.server.sheet.csv()[:-30]
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
    handler.hang_up()


def cut_off_without_any_length(handler: Handler) -> None:
    handler.start(Content_Type="text/csv", Connection="close")
    handler.wfile.write(handler.server.sheet.csv())
    handler.hang_up()


def hanging_up(handler: Handler) -> None:
    handler.hang_up()


def silent(handler: Handler) -> None:
    handler.server.released.wait(10)
    handler.hang_up()


def dripping(handler: Handler) -> None:
    handler.start(Content_Type="text/csv", Content_Length="100000")
    while not handler.server.released.wait(0.05):
        handler.wfile.write(b"x")
        handler.wfile.flush()
    handler.hang_up()


FAILURES: dict[str, tuple[Callable[[Handler], None], str, str]] = {
    "a redirect to the sign-in page": (redirect("https://accounts.google.com/ServiceLogin?x=1"), "sign_in", "Share it"),
    "a sign-in page": (whole(SIGN_IN, HTML), "sign_in", "Share it"),
    "a sign-in page that calls itself CSV": (whole(SIGN_IN), "sign_in", "Share it"),
    "an error page": (whole(ERROR_PAGE, HTML), "web_page", "web page"),
    "an error page that calls itself CSV": (whole(b"\n\n" + ERROR_PAGE), "web_page", "web page"),
    "an error of the server": (whole(ERROR_PAGE, HTML, 500), "server_error", "answered 500"),
    "an error of a proxy": (whole(b"", HTML, 502), "server_error", "answered 502"),
    "too many requests": (whole(b"slow down", "text/plain", 429), "server_error", "tries again"),
    "a sheet that is not shared": (whole(SIGN_IN, HTML, 401), "refused", "Anyone with the link"),
    "a sheet that may not be downloaded": (whole(ERROR_PAGE, HTML, 403), "refused", "downloading allowed"),
    "a sheet that is gone": (whole(ERROR_PAGE, HTML, 404), "not_found", "ALUMNI_SHEET_URL"),
    "a status that means nothing": (whole(b"", HTML, 204), "server_error", "answered 204"),
    "an error as JSON": (whole(b'{"error": {"code": 500}}', "application/json"), "not_a_table", "application/json"),
    "an error as JSON that calls itself CSV": (whole(b'{"error": {"code": 500}}'), "header", "lacks Employee_ID"),
    "a PDF": (whole(b"%PDF-1.7 ...", "application/pdf"), "not_a_table", "application/pdf"),
    "a workbook": (whole(b"PK\x03\x04...", "text/csv"), "not_a_table", "Something else"),
    "nothing at all": (whole(b""), "empty", "entirely empty"),
    "blank lines": (whole(b",,,\r\n,,,"), "empty", "entirely empty"),
    "a header without answers": (whole(Sheet().csv()), "empty", "no answers"),
    "answers without their header": (whole(",".join(answer(1)).encode()), "header", "lacks Employee_ID"),
    "a sheet with another header": (whole(b"Name,Age\r\nAna,40"), "header", "lacks Employee_ID"),
    "less than was announced": (shorter_than_announced, "cut_off", "cut off"),
    "a transfer cut off between chunks": (cut_off_between_chunks, "cut_off", "cut off"),
    "a transfer cut off without any length": (cut_off_without_any_length, "cut_off", "cut off"),
    "a row cut off": (whole(Sheet(rows=[answer(1)]).csv()[:-20]), "broken_csv", "cells instead of"),
    "a closed connection": (hanging_up, "unreachable", "cannot be reached"),
    "no answer": (silent, "unreachable", "did not answer"),
    "a byte now and then": (dripping, "unreachable", "did not come within"),
    "a redirect elsewhere": (redirect("https://sheets.example.com/x"), "redirected", "https://sheets.example.com"),
    "a redirect without encryption": (redirect("http://docs.google.com/x"), "redirected", "http://docs.google.com"),
    "a redirect to a file": (redirect("file:///etc/passwd"), "redirected", "file://"),
    "a redirect in a circle": (
        redirect(f"/spreadsheets/d/{SHEET_ID}/export?format=csv&again=1"),
        "redirected",
        "circle",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("exported_before", [False, True], ids=["first", "later"])
def test_whatever_comes_instead_of_the_sheet_is_an_error_and_writes_nothing(
    name: str, exported_before: bool, desk: Desk, google: Google
) -> None:
    answers, code, message = FAILURES[name]
    if exported_before:
        desk.export_from(google.link)
        google.sheet.rows.append(answer(4))
    before = desk.files()
    google.next_answers = [answers] * 12
    with pytest.raises(SheetError) as error:
        desk.export_from(google.link, replace(QUICK, read_seconds=0.3, total_seconds=0.6))
    google.released.set()
    assert (error.value.code, desk.files()) == (code, before)
    assert message in str(error.value)
    told = "".join(traceback.format_exception(error.value))
    assert SHEET_ID not in told
    assert "Valerie" not in told
    google.next_answers = []
    assert desk.export_from(google.link).new == (1 if exported_before else 3)


def test_the_sheet_is_read_whole_and_only_new_answers_are_written(desk: Desk, google: Google) -> None:
    google.sheet.rows = [answer(person, "Teacher\nof “maths”, 50%") for person in range(300)]
    assert desk.export_from(google.link).new == 300
    google.sheet.rows[5:5] = [answer(301, '=HYPERLINK("x")'), answer(302)]
    assert desk.export_from(google.link).new == 2
    assert sorted(desk.exported()) == sorted(google.sheet.rows)


def test_a_redirect_on_the_way_to_the_content_is_followed(desk: Desk, google: Google) -> None:
    google.next_answers = [redirect(f"{google.address}/export/a1b2?format=csv"), redirect("/export/c3?format=csv")]
    assert desk.export_from(google.link).new == 3


def test_a_byte_order_mark_and_lines_of_any_kind_change_nothing(desk: Desk, google: Google) -> None:
    desk.export_from(google.link)
    content = google.sheet.csv()
    for form in (b"\xef\xbb\xbf" + content, content.replace(b"\r\n", b"\n"), content + b"\r\n,,,\r\n\r\n"):
        google.next_answers = [whole(form)]
        assert desk.export_from(google.link).new == 0


def test_an_answer_without_a_length_is_whole_when_its_last_line_is(desk: Desk, google: Google) -> None:
    def without_length(handler: Handler) -> None:
        handler.start(Content_Type="text/csv", Connection="close")
        handler.wfile.write(google.sheet.csv() + b"\r\n")
        handler.hang_up()

    google.next_answers = [without_length]
    assert desk.export_from(google.link).new == 3


def test_a_server_that_compresses_all_the_same_is_understood(desk: Desk, google: Google) -> None:
    google.next_answers = [
        lambda handler: handler.reply(gzip.compress(google.sheet.csv()), "text/csv", Content_Encoding="gzip")
    ]
    assert desk.export_from(google.link).new == 3
    assert google.requests[0][1]["Accept-Encoding"] == "identity"


def test_what_may_pass_is_tried_again_and_what_may_not_is_not(desk: Desk, google: Google) -> None:
    patient = replace(QUICK, attempts=3)
    google.next_answers = [whole(b"", HTML, 503), shorter_than_announced]
    assert desk.export_from(google.link, patient).new == 3
    assert len(google.requests) == 3
    google.next_answers = [whole(SIGN_IN, HTML)]
    with pytest.raises(SheetError):
        desk.export_from(google.link, patient)
    assert len(google.requests) == 4


def test_a_sheet_over_the_limit_is_refused_before_it_fills_the_disk(desk: Desk, google: Google) -> None:
    google.sheet.rows = [answer(person) for person in range(100)]
    with pytest.raises(SheetError) as error:
        desk.export_from(google.link, replace(QUICK, size=5000))
    assert error.value.code == "too_large"
    assert desk.files() == {}


def test_a_changed_header_names_the_change(desk: Desk, google: Google) -> None:
    desk.export_from(google.link)
    google.sheet.header = (*HEADER, "Year")
    google.sheet.rows = [(*row, "2026") for row in google.sheet.rows]
    with pytest.raises(SheetError, match=r"new: 'Year'") as error:
        desk.export_from(google.link)
    assert error.value.code == "header_changed"
    assert desk.export_from(google.link, accept_header=True).new == 3


def test_a_server_that_is_not_there_is_an_error(desk: Desk, google: Google) -> None:
    google.server_close()
    with pytest.raises(SheetError) as error:
        desk.export_from(google.link)
    assert error.value.code == "unreachable"


def test_a_server_without_a_certificate_that_can_be_trusted_is_refused(
    desk: Desk, google: Google, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    google.socket = context.wrap_socket(google.socket, server_side=True)
    with pytest.raises(SheetError, match="certificate") as error:
        desk.export_from(CsvLink(google.link.url.replace("http://", "https://")))
    assert error.value.code == "unreachable"
    assert google.requests == []


def test_the_sheet_leaves_no_file_outside_the_lake(desk: Desk, google: Google, tmp_path: Path) -> None:
    desk.export_from(google.link)
    assert [path.suffix for path in desk.home.iterdir()] == [".sqlite"]
