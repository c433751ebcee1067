"""Reading the sheet over the Sheets API: with Google's own client, from a server that plays tokens and cells."""

import builtins
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from alumni_assets.sheet.errors import SheetError
from alumni_assets.sheet.links import SheetsApi
from alumni_assets_tests.sheet.conftest import QUICK, SHEET_ID, Desk, Google, Handler, answer

pytestmark = pytest.mark.server

TAB = "'Form Responses 1'"


@pytest.fixture
def api(google: Google, key_file: Path) -> SheetsApi:
    """The sheet, by a service account whose tokens come from the same server."""
    return SheetsApi(SHEET_ID, TAB, key_file, google.address)


def reply(status: int, content: Any) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(json.dumps(content).encode(), "application/json", status)


def refusal(status: int, name: str) -> Callable[[Handler], None]:
    return reply(status, {"error": {"code": status, "status": name, "message": "of no matter to us"}})


def fine(handler: Handler) -> None:
    handler.server.answer(handler)


def test_new_answers_are_read_with_a_token_of_the_service_account(desk: Desk, google: Google, api: SheetsApi) -> None:
    assert desk.export_from(api).new == 3
    (token_path, _, asked), (path, headers, _) = google.requests
    assert token_path == "/token"
    assert parse_qs(asked)["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert unquote(urlsplit(path).path) == f"/v4/spreadsheets/{SHEET_ID}/values/{TAB}"
    assert parse_qs(urlsplit(path).query)["valueRenderOption"] == ["FORMATTED_VALUE"]
    assert headers["Authorization"] == "Bearer token-1"
    google.sheet.rows[0] = answer(1, "Librarian")
    assert desk.export_from(api).new == 1


def test_both_ways_of_reading_know_the_same_answers(desk: Desk, google: Google, api: SheetsApi) -> None:
    google.sheet.rows.append(answer(4, Performance_Rating="", Phone_Number=""))
    google.sheet.rows.append(answer(5, "Teacher\nof “maths”, Ñ"))
    assert desk.export_from(google.link).new == 5
    assert desk.export_from(api).new == 0
    assert desk.exported() == google.sheet.rows


FAILURES: dict[str, tuple[Callable[[Handler], None], str, str]] = {
    "no permission": (refusal(403, "PERMISSION_DENIED"), "refused", "(PERMISSION_DENIED)"),
    "no such sheet": (refusal(404, "NOT_FOUND"), "not_found", "ALUMNI_SHEET_ID"),
    "no such tab": (refusal(400, "INVALID_ARGUMENT"), "no_range", "ALUMNI_SHEET_RANGE"),
    "too many requests": (refusal(429, "RESOURCE_EXHAUSTED"), "server_error", "tries again"),
    "an error that is no JSON": (lambda handler: handler.reply(b"oops", "text/html", 503), "server_error", "503"),
    "a web page": (lambda handler: handler.reply(b"<html>hello", "text/html"), "web_page", "web page"),
    "a redirect": (lambda handler: handler.reply(b"", "text/html", 302, Location="/x"), "redirected", "not followed"),
    "no cells": (reply(200, {"range": TAB}), "empty", "entirely empty"),
    "a header without answers": (reply(200, {"values": [list("ab")]}), "header", "lacks"),
    "other JSON": (reply(200, ["values"]), "not_a_table", "did not answer"),
    "cells that are no rows": (reply(200, {"values": ["a", "b"]}), "not_a_table", "did not answer"),
    "half of the JSON": (
        lambda handler: handler.reply(b'{"values": [["Employee_ID", "Empl', "application/json"),
        "not_a_table",
        "did not answer",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_whatever_comes_instead_of_the_cells_is_an_error_and_writes_nothing(
    name: str, desk: Desk, google: Google, api: SheetsApi
) -> None:
    answers, code, message = FAILURES[name]
    google.next_answers = [fine, answers]
    with pytest.raises(SheetError) as error:
        desk.export_from(api)
    assert (error.value.code, desk.files()) == (code, {})
    assert message in str(error.value)
    assert "of no matter to us" not in str(error.value)
    assert desk.export_from(api).new == 3


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        (reply(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}), "credentials"),
        (reply(200, {"nothing": "here"}), "credentials"),
    ],
)
def test_a_refused_service_account_is_an_error(
    answers: Callable[[Handler], None], code: str, desk: Desk, google: Google, api: SheetsApi
) -> None:
    google.next_answers = [answers] * 10
    with pytest.raises(SheetError, match="service account") as error:
        desk.export_from(api)
    assert (error.value.code, desk.files()) == (code, {})


def test_a_token_server_that_is_not_there_is_an_error(desk: Desk, google: Google, api: SheetsApi) -> None:
    google.server_close()
    with pytest.raises(SheetError) as error:
        desk.export_from(api)
    assert error.value.code == "unreachable"


@pytest.mark.parametrize("content", [None, "no JSON", "{}", '{"type": "authorized_user"}'])
def test_a_key_file_that_is_none_is_an_error_that_names_it(
    content: str | None, desk: Desk, api: SheetsApi, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.json"
    if content is not None:
        wrong.write_text(content, encoding="utf-8")
    with pytest.raises(SheetError, match=r"GOOGLE_APPLICATION_CREDENTIALS names .*wrong\.json") as error:
        desk.export_from(replace(api, key_file=wrong))
    assert error.value.code == "credentials"


def test_without_the_client_library_it_says_how_to_install_it(
    desk: Desk, api: SheetsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = builtins.__import__

    def without_google(name: str, *more: Any) -> Any:
        if name.startswith("google"):
            raise ImportError(name)
        return installed(name, *more)

    monkeypatch.setattr(builtins, "__import__", without_google)
    with pytest.raises(SheetError, match=r"alumni_assets\[sheets\]") as error:
        desk.export_from(api)
    assert error.value.code == "no_client"


def test_a_large_answer_is_refused(desk: Desk, google: Google, api: SheetsApi) -> None:
    google.sheet.rows = [answer(person) for person in range(100)]
    with pytest.raises(SheetError, match="MB"):
        desk.export_from(api, replace(QUICK, size=5000))
