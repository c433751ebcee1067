"""The login by itself: who gets to which server, what gets there, and what comes back. Dagster is not in it."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from alumni_assets_tests.deploy_local.front import LOGINS, OPERATOR, SITES, VIEWER, Front, Site, basic
from alumni_assets_tests.deploy_local.recorder import Recorder
from alumni_assets_tests.ui.dagster_dev import until

pytestmark = [pytest.mark.server]

Behind = dict[Site, Recorder]


@pytest.fixture(scope="module")
def recorders() -> Iterator[Behind]:
    started: Behind = {site: Recorder() for site in SITES}
    yield started
    for recorder in started.values():
        recorder.stop()


@pytest.fixture
def behind(recorders: Behind) -> Behind:
    """The servers behind the login, which have got nothing yet."""
    for recorder in recorders.values():
        recorder.received.clear()
    return recorders


@pytest.fixture(scope="module")
def front(caddy: None, recorders: Behind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    caddys = Front(folder, {site: recorder.port for site, recorder in recorders.items()})
    try:
        caddys.start()
        yield caddys
    finally:
        caddys.stop()


_PATHS = (
    "/",
    "/graphql",
    "/server_info",
    "/runs/5d41402a",
    "/logs/5d41402a/compute_logs/step/out",
    "/download_debug/5d41402a",
    "/notebook?path=x.ipynb",
    "/_next/static/chunks/main.js",
    "/report_asset_materialization/transformed_survey",
    "/.well-known/acme-challenge/x",
    "//",
    "/%2e%2e/",
)


@pytest.mark.parametrize("site", SITES)
def test_nobody_gets_anywhere_without_a_login(front: Front, behind: Behind, site: Site) -> None:
    for path in _PATHS:
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
            answer = front.ask(site, path, method=method)
            assert answer.status == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == 'Basic realm="alumni"'
    assert not _all_received(behind)


@pytest.mark.parametrize("site", SITES)
def test_a_websocket_is_refused_without_a_login_before_it_is_open(front: Front, behind: Behind, site: Site) -> None:
    assert front.opened_websocket(site, None) == 401
    assert not _all_received(behind)


@pytest.mark.parametrize(
    "authorization",
    [
        basic("ana:ana's wort")["Authorization"],
        basic("ana:")["Authorization"],
        basic("ana")["Authorization"],
        basic("Ana:ana's word")["Authorization"],
        basic(":")["Authorization"],
        basic(LOGINS["operators"].strip().replace(" ", ":"))["Authorization"],
        "Basic",
        "Basic ana:ana's word",
        "Bearer " + basic(OPERATOR)["Authorization"].split()[1],
    ],
    ids=[
        "another password",
        "an empty password",
        "no password",
        "another name",
        "nothing",
        "the hash for the password",
        "no login",
        "not encoded",
        "not Basic",
    ],
)
def test_what_is_not_the_password_is_refused(front: Front, behind: Behind, authorization: str) -> None:
    assert front.ask("operators", headers={"Authorization": authorization}).status == 401
    assert not _all_received(behind)


def test_viewers_reach_the_read_only_server_and_the_dashboard(front: Front, behind: Behind) -> None:
    assert [front.ask(site, login=VIEWER).status for site in SITES] == [200, 401, 200]
    assert [len(behind[site].received) for site in SITES] == [1, 0, 1]


def test_operators_reach_all_three(front: Front, behind: Behind) -> None:
    assert [front.ask(site, login=OPERATOR).status for site in SITES] == [200, 200, 200]
    assert [len(behind[site].received) for site in SITES] == [1, 1, 1]


def test_no_path_and_no_header_brings_a_viewer_to_the_operators_server(front: Front, behind: Behind) -> None:
    elsewhere = front.origin("operators")
    host = elsewhere.removeprefix("https://")
    paths = (
        "/../operators",
        "/..;/graphql",
        "/%2e%2e/%2e%2e/graphql",
        "/..%2f..%2fgraphql",
        "/x/..%5c..%5cgraphql",
        "//" + host + "/graphql",
        "/" + elsewhere + "/graphql",
        elsewhere + "/graphql",
        "/graphql#@" + host,
        "/graphql%00",
        "/%",
    )
    headers: tuple[dict[str, str], ...] = (
        {},
        {"Host": host},
        {"X-Forwarded-Host": host, "X-Forwarded-Port": host.split(":")[1], "X-Forwarded-Proto": "https"},
        {"X-Original-URL": elsewhere, "X-Rewrite-URL": elsewhere, "Forwarded": f"host={host}"},
        {"X-Forwarded-User": "ana", "X-Remote-User": "ana", "Remote-User": "ana", "X-Forwarded-For": "127.0.0.1"},
        {"Proxy-Authorization": basic(OPERATOR)["Authorization"]},
    )
    for path in paths:
        for more in headers:
            front.ask("viewers", path, VIEWER, "POST", b"{}", more)
            assert front.ask("operators", path, VIEWER, "POST", b"{}", more).status in {400, 401}, (path, more)
    assert not behind["operators"].received


def test_a_host_of_another_name_is_refused(front: Front, behind: Behind) -> None:
    assert front.ask("operators", login=OPERATOR, headers={"Host": "elsewhere.example"}).status == 421
    assert not _all_received(behind)


def test_nothing_is_asked_for_without_tls(front: Front, behind: Behind) -> None:
    for site in SITES:
        port = int(front.origin(site).rsplit(":", 1)[1])
        with socket.create_connection(("localhost", port), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert plain.recv(1000).startswith(b"HTTP/1.0 400 Bad Request")
    assert not _all_received(behind)


def test_the_password_ends_at_the_login_and_so_do_claims_of_where_a_request_is_from(
    front: Front, behind: Behind
) -> None:
    claims = {"X-Forwarded-For": "10.9.8.7", "X-Forwarded-Host": "elsewhere.example", "X-Forwarded-Proto": "http"}
    for site in SITES:
        front.ask(site, login=OPERATOR, headers=claims)
        (received,) = behind[site].received
        assert received.headers["Authorization"] is None
        assert received.headers["X-Forwarded-For"] in {"127.0.0.1", "::1"}
        assert received.headers["X-Forwarded-Host"] == front.origin(site).removeprefix("https://")
        assert received.headers["X-Forwarded-Proto"] == "https"
    assert behind["page"].received[0].headers["Host"] == "127.0.0.1"


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://localhost", "https://localhost", "null", ""])
def test_what_a_page_of_another_origin_makes_a_browser_send_is_refused(
    front: Front, behind: Behind, origin: str
) -> None:
    form = {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
    for site in SITES:
        assert front.ask(site, "/graphql?query=mutation", OPERATOR, "POST", b"", form).status == 403
        assert front.ask(site, "/report_asset_check/x", OPERATOR, "POST", b"", form).status == 403
    assert not _all_received(behind)


def test_a_page_of_one_address_counts_as_another_origin_at_the_other(front: Front, behind: Behind) -> None:
    origin = {"Origin": front.origin("viewers")}
    assert front.ask("operators", "/graphql", OPERATOR, "POST", b"{}", origin).status == 403
    assert front.opened_websocket("operators", OPERATOR, front.origin("viewers")) == 403
    assert not _all_received(behind)


@pytest.mark.parametrize("path", ["/graphql", "/GraphQL", "/%67raphql", "//graphql", "/x/../graphql"])
def test_graphql_in_a_link_is_refused(front: Front, behind: Behind, path: str) -> None:
    for site in ("viewers", "operators"):
        assert front.ask(site, f"{path}?query=mutation", OPERATOR).status == 405
    assert not _all_received(behind)


@pytest.mark.parametrize(
    "path",
    [
        "/report_asset_materialization/transformed_survey",
        "/report_asset_check/transformed_survey",
        "/report_asset_observation/transformed_survey",
        "/graphql/../report_asset_check/transformed_survey",
        "/graphql/x",
        "/",
    ],
)
def test_the_address_of_the_viewers_takes_nothing_but_graphql(front: Front, behind: Behind, path: str) -> None:
    assert front.ask("viewers", path, OPERATOR, "POST", b"{}").status == 405
    assert front.ask("viewers", path, OPERATOR, "DELETE").status == 405
    assert not _all_received(behind)


def test_no_answer_may_be_kept_but_scripts_and_none_says_what_made_it(front: Front) -> None:
    answers = [front.ask(site, path, OPERATOR) for site in SITES for path in ("/", "/runs", "/logs/x/out")]
    answers += [front.ask(site) for site in SITES]
    answers += [front.ask("operators", "/graphql", OPERATOR)]
    for answer in answers:
        assert answer.headers.get_all("Cache-Control") == ["no-store"]
        assert answer.headers.get_all("Referrer-Policy") == ["same-origin"]
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert answer.headers.get_all("X-Frame-Options") == ["DENY"]
        assert answer.headers.get_all("Cross-Origin-Resource-Policy") == ["same-origin"]
        assert answer.headers.get_all("Strict-Transport-Security") == ["max-age=31536000"]
        assert answer.headers.get_all("Server") is None
    assert front.ask("viewers", "/_next/static/chunks/main.js", VIEWER).headers.get_all("Cache-Control") is None
    assert front.ask("viewers", "/_next/static/../../logs/x", VIEWER).headers["Cache-Control"] == "no-store"


def test_a_request_that_is_too_large_is_cut_off(front: Front, behind: Behind) -> None:
    most = 10_000_000
    assert front.ask("viewers", "/graphql", VIEWER, "POST", bytes(most)).status == 200
    with suppress(OSError):  # the connection may be closed before all is sent, and the answer lost with it
        assert front.ask("viewers", "/graphql", VIEWER, "POST", bytes(most + 1)).status == 502
    until(lambda: len(behind["viewers"].received) == 2, "the server got what there was", seconds=30)
    whole, cut = behind["viewers"].received
    assert (whole.body, cut.headers["Content-Length"]) == (most, str(most + 1))
    assert cut.body <= most
    assert front.ask("viewers", headers={"X-Long": "x" * 40_000}).status == 431


def test_the_log_tells_who_was_where_and_neither_query_nor_password(front: Front) -> None:
    front.ask("viewers", "/assets/transformed_survey?partition=juan.csv", VIEWER)
    front.ask("operators", "/assets/raw_survey?partition=juan.csv", VIEWER)
    front.ask("operators", "/assets/raw_survey?partition=juan.csv", "juan:ana's word")

    told = [json.loads(line) for line in front.log().splitlines()]
    last = [(entry["user_id"], entry["request"]["uri"], entry["status"]) for entry in told if "user_id" in entry][-3:]
    assert last == [("vic", "/assets/transformed_survey", 200), *[("", "/assets/raw_survey", 401)] * 2]
    secrets = (basic(VIEWER)["Authorization"].split()[1], "vic's word", "ana's word", "juan")
    assert not [secret for secret in secrets if secret in front.log()]


def test_where_no_operator_is_listed_nobody_gets_to_their_server(caddy: None, behind: Behind, tmp_path: Path) -> None:
    nobody = Front(tmp_path, {site: behind[site].port for site in SITES}, {**LOGINS, "operators": "# nobody yet\n"})
    try:
        nobody.start()
        assert [nobody.ask(site, login=VIEWER).status for site in SITES] == [200, 401, 200]
    finally:
        nobody.stop()
    assert not behind["operators"].received


def _all_received(behind: Behind) -> list[str]:
    return [received.path for recorder in behind.values() for received in recorder.received]
