"""The forms that every answer has: refusals, paging, headers, CORS, compression, and the routes that clients call first."""
from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import sqlite3
from typing import Any

import pytest
from conftest import ADMIN_KEY, App, check_address, check_parts, normal_form, plain_path, prefix_ends, told_parts

import alertlite

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ERROR_KEYS = ["code", "errors", "message", "requestId", "status"]
CHECK_ROUTES = ("/api/v", "/ping/", "/badge/", "/b/")        # their refusals are shorter: see test_http_healthchecks.py
OPENED = {"auth": "off"}                             # no key, so that asking changes nothing, not even a key's uses


def refused(answer: Any, status: int) -> Any:
    """The body of a refusal, which has one form whatever refused (contract 1.2)."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json
    assert sorted(body) == ERROR_KEYS
    assert (body["status"], body["code"], body["requestId"]) == ("error", status, answer.headers["X-Request-ID"])
    assert isinstance(body["message"], str) and body["message"]
    assert body["errors"] is None or all(isinstance(line, str) for line in body["errors"])
    return body


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Seven alerts, heartbeats, users and keys."""
    app = App(tmp_path_factory.mktemp("paging") / "alertlite.db")
    for number in range(7):
        app.post_alert(resource=f"web{number}", environment=f"env{number}")
        app.call("POST", "/heartbeat", {"origin": f"job{number}"})
        if number:
            app.call("POST", "/user", {"name": f"User {number}", "login": f"user{number}"})
            app.call("POST", "/key", {"user": f"user{number}"})
    yield app
    app.close()


# --- refusals

REFUSALS = [
    (400, "POST", "/alert", {"raw": b"{"}, "a body that is not JSON"),
    (400, "POST", "/alert", {"body": {"resource": "a"}}, "a field is missing"), (400, "GET", "/alerts?nonsense=1", {}, "an unknown filter"),
    (400, "GET", "/alerts?q=(", {}, "a search that cannot be read"), (400, "GET", "/a//b", {}, "an address that cannot be meant"),
    (400, "GET", "/alerts", {"key": None, "headers": {"Authorization": "Basic ?"}}, "not Base64"),
    (401, "GET", "/alerts", {"key": None}, "no key"), (401, "GET", "/alerts", {"key": "unknown"}, "an unknown key"),
    (404, "GET", "/nothing", {}, "no such route"), (404, "GET", "/nothing", {"key": None}, "nor without a key"),
    (404, "GET", "/alerts/", {}, "a slash too many"), (404, "GET", "/alert/unknown", {}, "no such alert"),
    (404, "GET", "/heartbeat/unknown", {}, "no such heartbeat"), (404, "GET", "/key/unknown", {}, "no such key"),
    (404, "GET", "/user/unknown", {}, "no such user"), (404, "DELETE", "/alert/unknown", {}, "nothing to delete"),
    (404, "PUT", "/alert/unknown/action", {"body": {"action": "ack"}}, "nothing to act on"),
    (404, "GET", "/alert/unknown/notes", {}, "no notes of nothing"), (405, "PATCH", "/alerts", {}, "no route takes PATCH"),
    (405, "DELETE", "/alerts", {}, "a collection"), (405, "GET", "/alert", {}, "only POST"), (405, "PUT", "/alert/x", {}, "not PUT"),
    (405, "POST", "/alert/x/action", {}, "v3 had no actions"), (405, "POST", "/config", {"key": None}, "only GET"),
    (413, "POST", "/alert", {"raw": b"{}" + b" " * 2**20}, "a large body"), (414, "GET", "/alerts?q=" + "a" * 9000, {}, "a long address"),
    (416, "GET", "/alerts?page=0", {}, "the first page is 1"), (416, "GET", "/alerts?page-size=-1", {}, "less than nothing"),
]


@pytest.mark.parametrize(("status", "method", "path", "more", "reason"), REFUSALS, ids=[f"{row[0]} {row[4]}" for row in REFUSALS])
def test_every_refusal_has_the_same_form(seven: App, capsys: Any, status: int, method: str, path: str, more: dict, reason: str) -> None:
    refused(seven.call(method, path, **more), status)
    assert len(capsys.readouterr().err.splitlines()) == 1


NOBODY = "00000000-0000-4000-8000-000000000000"
# How the APIs of receivers and of scoped alerts refuse: with a JSON string, and as {"detail": text} or {field: [texts]}.
OTHER_REFUSALS = [
    (400, "POST", "/notification/config/receivers", {"raw": b"{"}, "str", "a body that is not JSON"),
    (400, "POST", "/notification/config/receivers", {"raw": b""}, "str", "no body"),
    (400, "POST", "/notification/config/receivers", {"body": ["a"]}, "str", "a list"),
    (400, "GET", "/notification/events?limit=x", {}, "str", "no number"), (400, "GET", "/notification//events", {}, "str", "a doubled slash"),
    (400, "GET", "/notification/config/receivers", {"headers": {"X-Scope-OrgID": "x" * 501}}, "str", "a long instance"),
    (401, "GET", "/notification/config/receivers", {"key": None}, "str", "no key"),
    (401, "GET", "/api/notification/events", {"key": "unknown"}, "str", "an unknown key"),
    (404, "GET", "/notification/nothing", {}, "str", "no such route"), (404, "GET", "/api/notification/nothing", {}, "str", "nor there"),
    (404, "GET", f"/notification/config/receivers/{NOBODY}", {}, "str", "no such receiver"),
    (405, "PUT", "/notification/events", {}, "str", "another method"),
    (405, "PATCH", "/api/notification/config/receivers/", {}, "str", "another method"),
    (413, "POST", "/notification/events", {"raw": b"{}" + b" " * 2**20}, "str", "a large body"),
    (414, "GET", "/notification/events?limit=" + "0" * 9000, {}, "str", "a long address"),
    (400, "POST", "/api/alerts/", {"raw": b"{"}, {"detail": "str"}, "a body that is not JSON"),
    (400, "POST", "/api/alerts/", {"body": ["a"]}, {"non_field_errors": ["str"]}, "a list"),
    (400, "POST", "/api/alerts/", {"raw": b""}, {name: ["str"] for name in ("alert_type", "message", "scope", "severity")}, "nothing is {}"),
    (400, "GET", "/api/alerts/?scope=web01", {}, {"scope": ["str"]}, "a scope that is no address"),
    (401, "GET", "/api/alerts/", {"key": None}, {"detail": "str"}, "no key"),
    (401, "POST", "/api/alerts/", {"key": "x"}, {"detail": "str"}, "a wrong one"),
    (404, "GET", f"/api/alerts/{NOBODY}/", {}, {"detail": "str"}, "no such alert"),
    (404, "GET", "/api/alerts/?page=9", {}, {"detail": "str"}, "no such page"),
    (405, "DELETE", "/api/alerts/", {}, {"detail": "str"}, "another method"),
    (405, "GET", f"/api/alerts/{NOBODY}/close/", {}, {"detail": "str"}, "no GET"),
    (413, "POST", "/api/alerts/", {"raw": b"{}" + b" " * 2**20}, {"detail": "str"}, "a large body"),
    (414, "GET", "/api/stats/alerts/?uuid=" + "a" * 9000, {}, {"detail": "str"}, "a long address"),
]


@pytest.mark.parametrize(("status", "method", "path", "more", "form", "reason"), OTHER_REFUSALS,
                         ids=[f"{row[0]} {row[2][:20]} {row[5]}" for row in OTHER_REFUSALS])
def test_refusals_of_the_other_apis_have_forms_of_their_own(seven: App, capsys: Any, status: int, method: str, path: str, more: dict, form: Any,
                                                            reason: str) -> None:
    answer = seven.call(method, path, **more)
    assert (answer.status, answer.headers["Content-Type"], normal_form(answer.json)) == (status, "application/json", form), reason
    assert len(answer.json) > 0 and len(capsys.readouterr().err.splitlines()) == 1
    if path.startswith("/api/") and "/notification/" not in path:
        assert (answer.headers.get("WWW-Authenticate"), "Allow" in answer.headers) == ("Token" if status == 401 else None, status == 405)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_object_is_answered_with_the_two_words_that_clients_look_for(app: App, method: str) -> None:
    for kind in ("user", "key") if method == "PUT" else ("alert", "heartbeat", "user", "key"):
        assert refused(app.call(method, f"/{kind}/unknown", {"text": "x"} if method == "PUT" else None), 404)["message"] == "not found"


@pytest.mark.parametrize(("status", "path", "method", "reason"),
                         [(404, "/nothing", "GET", "Not Found"), (405, "/alerts", "POST", "Method Not Allowed")])
def test_a_refusal_of_the_router_repeats_its_explanation_as_an_error(app: App, status: int, path: str, method: str, reason: str) -> None:
    body = refused(app.call(method, path), status)
    assert body["message"] == f"{status} {reason}: {body['errors'][0]}"


def test_a_caller_without_the_scope_is_told_which_one(app: App) -> None:
    body = refused(app.call("POST", "/alert", {}, key=app.make_key("read")), 403)
    assert body["message"] == "Missing required scope: write:alerts"


def test_conflicts_are_409(app: App) -> None:
    alert = app.post_alert(id="first-alert")
    for body in ({"resource": "other", "event": "Other", "id": "first-alert"},):
        refused(app.call("POST", "/alert", body), 409)
    refused(app.call("PUT", f"/alert/{alert['id']}/action", {"action": "unack"}), 409)
    app.call("POST", "/user", {"name": "Ann", "login": "ann"})
    refused(app.call("POST", "/user", {"name": "Ann", "login": "ann"}), 409)
    app.call("POST", "/key", {"user": "ann", "key": "0123456789abcdef"})
    refused(app.call("POST", "/key", {"user": "ann", "key": "0123456789abcdef"}), 409)


def test_a_page_beyond_the_last_is_416(app: App) -> None:
    app.post_alert()
    refused(app.call("GET", "/alerts?page=2"), 416)


@pytest.fixture
def breaking(app: App) -> App:
    """An application with one route more, GET /breaks, which is a defect."""
    alertlite.route("GET", "/breaks", None)(lambda api, call: {}["secret of the defect"])
    try:
        alertlite.route_finder.cache_clear()
        app.api = alertlite.Api(app.engine, app.settings)
    finally:
        alertlite.ROUTES.pop()
        alertlite.route_finder.cache_clear()
    return app


def test_a_defect_is_a_500_that_tells_the_log_everything_and_the_client_nothing(breaking: App, capsys: Any) -> None:
    answer = breaking.call("GET", "/breaks", key=None)
    refused(answer, 500)
    assert b"secret" not in answer.body and b"KeyError" not in answer.body
    log = capsys.readouterr().err
    assert "KeyError" in log and "secret of the defect" in log and "Traceback" not in log
    assert breaking.get("/alerts")["status"] == "ok"


def test_a_store_that_cannot_write_is_a_503_that_asks_to_come_back(app: App) -> None:
    app.store.busy_timeout = 1
    with contextlib.closing(sqlite3.connect(app.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")                # another program holds the file
        answer = app.call("POST", "/alert", {"resource": "web01", "event": "Lost", "severity": "major"})
        refused(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
        assert app.get("/alerts")["total"] == 0
        other.execute("ROLLBACK")
    app.post_alert()
    assert app.call("GET", "/healthz").status == 200


def test_a_full_disk_is_a_507_that_health_reports_until_there_is_space(app: App) -> None:
    pages = app.store.db.execute("PRAGMA page_count").fetchone()[0]
    app.store.db.execute(f"PRAGMA max_page_count = {pages}")
    refused(app.call("POST", "/alert", {"resource": "web01", "event": "Large", "text": "x" * 100_000}), 507)
    assert app.call("GET", "/healthz", key=None).status == 503
    good_to_go = app.call("GET", "/management/gtg", key=None)
    assert (good_to_go.status, good_to_go.body) == (503, b"FAILED")
    assert app.get("/alerts/count")["total"] == 0
    app.store.db.execute(f"PRAGMA max_page_count = {pages + 1000}")
    app.post_alert(text="x" * 100_000)
    assert app.call("GET", "/healthz", key=None).json == {"status": "ok"}


def test_a_wrong_password_asks_for_another_one(app: App) -> None:
    answer = app.call("GET", "/alerts", key=None, headers=basic("nobody:nothing"))
    refused(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


SEVERITIES = "security, critical, major, minor, warning, indeterminate, informational, normal, ok, cleared, debug, trace, unknown"


# The texts that clients and their tests compare character by character (contract 1.2).
@pytest.mark.parametrize(("settings", "status", "path", "body", "message"), [
    ({"require_service": "on"}, 403, "/alert", {"resource": "a", "event": "b"}, "[POLICY] Alert must define a service"),
    ({}, 202, "/alert", {"resource": "a", "event": "Heartbeat"}, "Alert converted to Heartbeat"),
    ({}, 400, "/alert", {"resource": "a", "event": "b", "customer": ""}, "customer must not be an empty string"),
    ({}, 400, "/heartbeat", {"origin": "a", "customer": ""}, "customer must not be an empty string"),
    ({}, 400, "/key", {"user": "a", "scopes": ["nonsense"]}, "'nonsense' is not a valid Scope"),
    ({}, 400, "/alert", {"resource": "a", "event": "b", "severity": "MAJOR"}, f"Severity (MAJOR) is not one of {SEVERITIES}"),
])
def test_texts_that_clients_compare_are_kept_to_the_letter(make_app: Any, settings: dict, status: int, path: str, body: dict,
                                                           message: str) -> None:
    answer = make_app(**settings).call("POST", path, body)
    assert (answer.status, answer.json["message"]) == (status, message)


def test_an_alert_that_comes_round_in_a_circle_of_servers_is_not_taken_again(app: App) -> None:
    headers = {"X-Alerta-Loop": "http://first.test,http://alert.test", "Origin": "first/host"}
    answer = app.call("POST", "/alert", {"resource": "a", "event": "b"}, headers=headers)
    assert (answer.status, answer.json.get("message")) == (202, "Alert forwarded by first/host already processed by http://alert.test")


# --- headers

@pytest.mark.parametrize(("sent", "echoed"), [
    ({"X-Request-ID": "abc-123"}, "abc-123"), ({"X-Amzn-Trace-Id": "Root=1-67891233"}, "Root=1-67891233"),
    ({"X-Request-ID": "mine", "X-Amzn-Trace-Id": "theirs"}, "mine"), ({"X-Request-ID": "", "X-Amzn-Trace-Id": "theirs"}, "theirs"),
    ({}, None), ({"X-Request-ID": "x" * 5000}, None), ({"X-Request-ID": "a\tb"}, None), ({"X-Request-ID": "\xe9"}, None),
])
def test_a_request_is_known_by_the_id_it_brings_or_a_new_one(seven: App, sent: dict, echoed: str | None) -> None:
    for method, path in (("GET", "/alerts"), ("GET", "/nothing"), ("PATCH", "/alerts"), ("GET", "/a//b"), ("OPTIONS", "/alerts"),
                         ("HEAD", "/alerts"),
                         ("POST", "/alert"), ("GET", "/management/metrics")):
        first, second = (seven.call(method, path, headers=sent).headers["X-Request-ID"] for _ in range(2))
        if echoed is None:
            assert UUID.fullmatch(first) and UUID.fullmatch(second) and first != second, (method, path)
        else:
            assert first == second == echoed, (method, path)


def test_answers_are_plain_json_with_sorted_names(app: App) -> None:
    app.post_alert(resource="ü")
    answer = app.call("GET", "/alerts")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body == json.dumps(answer.json, sort_keys=True).encode("ascii")


def parts_of(app: App) -> dict[str, str]:
    """The ids of one thing of each kind, by the names that the routes have for them."""
    alert = app.post_alert(id="alert-of-the-tests-1")["id"]
    app.call("POST", "/heartbeat", {"id": "heartbeat-of-the-tests", "origin": "backup"})
    user = app.call("POST", "/user", {"name": "Ann", "login": "ann"}).json["id"]
    note = app.call("PUT", f"/alert/{alert}/note", {"text": "x"}).json["id"]
    app.call("POST", "/key", {"id": "key-of-the-tests", "user": "ann"})
    return {"alert": alert, "heartbeat": "heartbeat-of-the-tests", "user": user, "note": note, "key": "key-of-the-tests", "keys": "ann",
            **told_parts(app), **{f"<{name}>": value for name, value in check_parts(app).items()}}


def address(path: str, parts: dict[str, str]) -> str:
    if path.startswith(CHECK_ROUTES):
        return check_address(path, {name.strip("<>"): value for name, value in parts.items() if name.startswith("<")})
    words = path.split("/")
    return "/".join(parts[words[place - 1]] if word.startswith("<") else word for place, word in enumerate(words))


def test_head_answers_as_get_does_but_for_the_body(make_app: Any) -> None:
    app = make_app(**OPENED, cors_origins="https://ui.test")
    parts = parts_of(app)
    for path in {entry.path for entry in alertlite.ROUTES if "GET" in entry.methods}:
        for headers in ({"X-Request-ID": "same"}, {"X-Request-ID": "same", "Accept-Encoding": "gzip", "Origin": "https://ui.test"}):
            get, head = (app.call(method, address(path, parts), key=None, headers=headers) for method in ("GET", "HEAD"))
            assert (head.status, head.headers, head.body) == (get.status, get.headers, b""), path
            assert int(get.headers["Content-Length"]) == len(get.body), path
            assert get.body or path.rstrip("/").endswith("/healthcheck"), path      # which says nothing (spec/weave-notification.md 5)


def test_head_of_a_refusal_has_no_body_either(app: App) -> None:
    for path in ("/nothing", "/alerts?nonsense=1", "/alert", "/a//b"):
        head = app.call("HEAD", path)
        assert (head.status, head.body) == (app.call("GET", path).status, b"")


def test_every_route_answers_options_without_a_key(app: App) -> None:
    methods: dict[str, set[str]] = {}
    parts = parts_of(app)
    before = app.stored()
    for entry in alertlite.ROUTES:
        methods.setdefault(entry.path, set()).update(entry.methods)
    for path, known in methods.items():
        answer = app.call("OPTIONS", address(path, parts), key=None)
        if path.startswith(CHECK_ROUTES):            # spec/healthchecks.md 1.2: any page may call them
            allowed = set(answer.headers.get("Access-Control-Allow-Methods", "").split(", "))
            assert (answer.status, answer.body, answer.headers["Access-Control-Allow-Origin"]) == (204, b"", "*"), path
            assert not path.startswith("/api/") or (known | {"OPTIONS"} <= allowed and answer.headers["Access-Control-Allow-Headers"]), path
            continue
        assert (answer.status, answer.body, answer.headers["Content-Type"].split(";")[0]) == (200, b"", "text/html"), path
        assert known | {"OPTIONS"} <= set(answer.headers["Allow"].split(", ")), path
    assert app.stored() == before                    # above all, none of them counts as a ping


NOTIFY_NAMES = ["config/eventtypes", "config/receivers", "config/receivers/<ident>", "config/receivers/<ident>/test",
                "config/receivers/<ident>/deliveries", "config/receivers/<ident>/replay", "config/receivers_for_event/<name>",
                "config/healthcheck", "events", "events/healthcheck", "external/events", "testevent", "slack/<instance>/<event_type>",
                "webhook/<instance>/<event_type>"]
WALDUR_NAMES = ["alerts", "alerts/stats", "alerts/<ident>", "alerts/<ident>/close", "alerts/<ident>/acknowledge",
                "alerts/<ident>/cancel_acknowledgment", "stats/alerts"]


def test_paths_are_exact(app: App) -> None:
    parts, paths = parts_of(app), {entry.path for entry in alertlite.ROUTES}
    both = {plain_path(path) for path in paths if path != "/" and path.rstrip("/") in paths and path.rstrip("/") + "/" in paths}
    names = ("checks", "checks/<code>/pings", "checks/<code>/flips", "checks/<unique_key>/flips", "channels", "badges", "status")
    other = {path for path in map(plain_path, paths) if path.startswith(("/notification/", "/api/notification/", "/api/alerts", "/api/stats"))}
    assert both == {f"/api/v<version>/{name}{end}" for name in names for end in ("", "/")} | {"/ping/<code>", "/ping/<code>/"} | other
    assert {path.rstrip("/").removeprefix("/api") for path in other if "/notification/" in path} == {f"/notification/{name}" for name in NOTIFY_NAMES}
    assert other == {path for name in NOTIFY_NAMES for path in prefix_ends(f"[/api]/notification/{name}[/]")} | {
        path for name in WALDUR_NAMES for path in prefix_ends(f"/api/{name}[/]")}
    for path in paths - {"/"}:
        exact = address(path, parts)
        assert plain_path(path) in both or app.call("GET", exact + "/").status in (404, 405), path
        assert app.call("GET", "/" + exact[1:].upper() if exact != "/_" else "/_/").status in (404, 405), path


# --- CORS (contract 9)

ORIGINS = {"cors_origins": "https://ui.test, http://localhost:8000"}


@pytest.mark.parametrize(("settings", "origin", "allowed"), [
    (ORIGINS, "https://ui.test", "https://ui.test"), (ORIGINS, "http://localhost:8000", "http://localhost:8000"),
    (ORIGINS, "https://ui.test.evil.test", None), (ORIGINS, "https://evil.test", None), (ORIGINS, "http://ui.test", None),
    (ORIGINS, "https://ui.test:8443", None), (ORIGINS, "null", None), (ORIGINS, "https://UI.test", None), ({}, "https://ui.test", None),
    ({"cors_origins": "*"}, "https://ui.test", "https://ui.test"),
])
def test_only_pages_of_a_known_origin_may_read_answers_and_errors(make_app: Any, settings: dict, origin: str, allowed: str | None) -> None:
    app = make_app(**settings)
    for method, path, status in (("GET", "/config", 200), ("GET", "/alerts", 200), ("GET", "/nothing", 404), ("POST", "/alert", 400),
                                 ("PATCH", "/alerts", 405), ("OPTIONS", "/alerts", 200), ("GET", "/a//b", 400)):
        answer = app.call(method, path, headers={"Origin": origin})
        assert answer.status == status               # an unknown origin is served all the same: its browser hides the answer
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed, (method, path)
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert allowed is None or "Origin" in answer.headers["Vary"]


def test_a_refused_key_can_be_shown_by_a_page_of_a_known_origin(make_app: Any) -> None:
    answer = make_app(**ORIGINS).call("GET", "/alerts", key=None, headers={"Origin": "https://ui.test"})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (401, "https://ui.test")


def test_a_request_without_an_origin_is_told_the_first_known_one(make_app: Any) -> None:
    assert make_app(**ORIGINS).call("GET", "/config").headers.get("Access-Control-Allow-Origin") == "https://ui.test"


@pytest.mark.parametrize(("asked", "allowed"), [
    ("content-type, authorization", "authorization, content-type"), ("X-Request-ID,CONTENT-TYPE", "CONTENT-TYPE, X-Request-ID"),
    ("x-evil, authorization", "authorization"), ("x-evil", ""), ("", ""), ("Access-Control-Allow-Origin", "Access-Control-Allow-Origin"),
])
def test_a_preflight_allows_the_methods_and_the_known_headers(make_app: Any, asked: str, allowed: str) -> None:
    headers = {"Origin": "https://ui.test", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": asked}
    answer = make_app(**ORIGINS).call("OPTIONS", "/alert/x/action", key=None, headers=headers)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert answer.headers["Access-Control-Allow-Headers"] == allowed


def test_a_preflight_of_an_unknown_origin_allows_nothing(make_app: Any) -> None:
    answer = make_app(**ORIGINS).call("OPTIONS", "/alerts", key=None,
                                      headers={"Origin": "https://evil.test", "Access-Control-Request-Headers": "authorization"})
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


# --- compression

@pytest.mark.parametrize(("accepted", "is_compressed", "reason"), [
    ("gzip", True, "the usual one"), ("gzip, deflate, br", True, "a browser's"), ("deflate;q=0.5, gzip;q=1.0", True, "with weights"),
    (None, False, "not asked for"), ("", False, "nothing accepted"), ("identity", False, "plain"), ("br, deflate", False, "others only"),
    ("gzip;q=0", False, "refused outright"), ("identity, gzip; q=0.0", False, "refused with a blank"),
])
def test_a_large_answer_is_compressed_for_those_who_accept_it(make_app: Any, accepted: str | None, is_compressed: bool,
                                                              reason: str) -> None:
    app = make_app(**OPENED)
    app.post_alert(text="x" * 20_000)
    plain = app.call("GET", "/alerts", key=None)
    answer = app.call("GET", "/alerts", key=None, headers={} if accepted is None else {"Accept-Encoding": accepted})
    assert (answer.headers.get("Content-Encoding") == "gzip") == is_compressed, reason
    assert (gzip.decompress(answer.body) if is_compressed else answer.body) == plain.body
    assert not is_compressed or (len(answer.body) < 2000 and "Accept-Encoding" in answer.headers["Vary"])


def test_a_small_answer_is_not_worth_compressing(app: App) -> None:
    answer = app.call("GET", "/alerts/count", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers and answer.json["total"] == 0


def test_a_compressed_answer_to_a_page_varies_by_both(make_app: Any) -> None:
    app = make_app(**ORIGINS)
    app.post_alert(text="x" * 20_000)
    answer = app.call("GET", "/alerts", headers={"Accept-Encoding": "gzip", "Origin": "https://ui.test"})
    assert {"Accept-Encoding", "Origin"} <= set(answer.headers["Vary"].split(", "))


# --- paging (contract 1.3)

@pytest.mark.parametrize(("query", "page", "size", "pages", "more", "shown"), [
    ("", 1, 50, 1, False, 7), ("page-size=3", 1, 3, 3, True, 3), ("page=2&page-size=3", 2, 3, 3, True, 3),
    ("page=3&page-size=3", 3, 3, 3, False, 1), ("page-size=7", 1, 7, 1, False, 7), ("page-size=0", 1, 50, 1, False, 7),
    ("limit=2", 1, 2, 4, True, 2), ("limit=2&page-size=3", 1, 3, 3, True, 3), ("page-size=x", 1, 50, 1, False, 7),
    ("page=x", 1, 50, 1, False, 7), ("page=", 1, 50, 1, False, 7), ("page-size=1.5", 1, 50, 1, False, 7),
    ("page=1&page=2&page-size=3", 1, 3, 3, True, 3),
])
@pytest.mark.parametrize("name", ["alerts", "environments", "heartbeats", "users", "keys"])
def test_pages_are_counted_the_same_in_every_collection(seven: App, name: str, query: str, page: int, size: int, pages: int, more: bool,
                                                        shown: int) -> None:
    answer = seven.get(f"/{name}?{query}")
    assert [answer[key] for key in ("page", "pageSize", "pages", "more", "total")] == [page, size, pages, more, 7]
    assert len(answer[name]) == shown


@pytest.mark.parametrize("query", ["page=2", "page=0", "page=-1", "page=4&page-size=3", "page-size=-1", "limit=-1", "page=999999999"])
@pytest.mark.parametrize("name", ["alerts", "environments", "heartbeats", "users", "keys"])
def test_a_page_that_does_not_exist_is_416(seven: App, name: str, query: str) -> None:
    refused(seven.call("GET", f"/{name}?{query}"), 416)


def test_a_page_number_of_many_digits_is_a_number(seven: App) -> None:
    refused(seven.call("GET", "/alerts?page=10000000000"), 416)


@pytest.mark.parametrize("name", ["alerts", "environments", "heartbeats"])
def test_an_empty_collection_has_any_page(app: App, name: str) -> None:
    for page in (1, 5):
        answer = app.get(f"/{name}?page={page}")
        assert answer["message"] == "not found" and answer[name] == []
        assert [answer[key] for key in ("page", "pageSize", "pages", "more", "total")] == [page, 50, 0, False, 0]


def test_pages_together_are_the_whole(seven: App) -> None:
    pages = [seven.get(f"/alerts?page-size=3&page={page}")["alerts"] for page in (1, 2, 3)]
    whole = [alert["id"] for alert in seven.get("/alerts")["alerts"]]
    assert [alert["id"] for page in pages for alert in page] == whole
    assert len(set(whole)) == 7


# --- older ways

@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_status_and_tags_are_set_by_either_method(app: App, method: str) -> None:
    path = f"/alert/{app.post_alert()['id']}"
    assert app.call(method, path + "/status", {"status": "ack"}).json == {"status": "ok"}
    assert app.call(method, path + "/tag", {"tags": ["a", "b"]}).json == {"status": "ok"}
    assert app.call(method, path + "/untag", {"tags": ["a", "unknown"]}).json == {"status": "ok"}
    alert = app.get(path)["alert"]
    assert (alert["status"], alert["tags"]) == ("ack", ["b"])


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("POST", {"_method": "delete"}), ("POST", {"_method": "DELETE"})])
def test_things_are_deleted_by_either_method(make_app: Any, method: str, body: Any) -> None:
    app = make_app(**OPENED)
    parts = parts_of(app)
    for kind in ("alert", "heartbeat", "key", "user"):
        path = f"/{kind}/{parts[kind]}"
        assert app.call("GET", path, key=None).status == 200
        answer = app.call(method, path, body, key=None)
        assert (answer.status, answer.json) == (200, {"status": "ok"})
        refused(app.call("GET", path, key=None), 404)
        refused(app.call(method, path, body, key=None), 404)


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded",
                                          "text/plain", ""])
def test_a_body_is_json_whatever_it_calls_itself(app: App, content_type: str) -> None:
    assert app.call("POST", "/alert", {"resource": "a", "event": "b"}, headers={"Content-Type": content_type}).status == 201


@pytest.mark.parametrize(("settings", "host", "base"), [
    ({}, None, "http://alert.test"), ({}, "edge.test:9898", "http://edge.test:9898"),
    ({"base_url": "https://h:9898/_"}, None, "https://h:9898/_"), ({"base_url": "https://h:9898/_/"}, "edge.test", "https://h:9898/_"),
])
def test_links_begin_with_the_address_that_clients_know(make_app: Any, settings: dict, host: str | None, base: str) -> None:
    app = make_app(**settings)
    answer = app.call("POST", "/alert", {"resource": "a", "event": "b"}, headers={"Host": host} if host else None)
    alert = answer.json["alert"]
    assert alert["href"] == answer.headers["Location"] == f"{base}/alert/{alert['id']}" == alert["history"][0]["href"]
    assert app.get("/config", headers={"Host": host} if host else None)["endpoint"] == base


# --- management (contract 1.15) and what clients ask at their start

def test_plain_texts_are_plain_texts(app: App) -> None:
    for path in ("/management/gtg", "/_"):
        answer = app.call("GET", path, key=None)
        assert (answer.status, answer.body, answer.headers["Content-Type"].split("/")[0]) == (200, b"OK", "text")


def test_the_manifest_names_the_release(app: App) -> None:
    assert app.get("/management/manifest") == {"release": alertlite.__version__, "build": "", "date": "", "revision": ""}


def test_the_status_counts_and_times_what_happened(app: App) -> None:
    app.clock.advance(5)
    app.post_alert()
    app.get("/alerts")
    status = app.get("/management/status")
    shown = [status[name] for name in ("application", "version", "time", "uptime")]
    assert shown == ["alerta", alertlite.__version__, app.clock.ms, 5000]
    metrics = {metric["name"]: metric for metric in status["metrics"]}
    assert {"group", "name", "title", "description", "type"} <= set.intersection(*(set(metric) for metric in status["metrics"]))
    assert (metrics["total"]["type"], metrics["total"]["value"]) == ("gauge", 1)
    assert all(metrics[name]["type"] == "counter" and metrics[name]["count"] == 0 for name in ("rejected", "ratelimited", "blackout"))
    assert (metrics["received"]["count"], metrics["queries"]["count"]) == (1, 1)
    assert all(metric["count"] > 0 and isinstance(metric["totalTime"], int) for metric in status["metrics"] if metric["type"] == "timer")


@pytest.mark.parametrize(("name", "method", "path", "body"), [
    ("received", "POST", "/alert", {"resource": "a", "event": "b"}), ("queries", "GET", "/alerts", None),
    ("queries", "GET", "/alerts/history", None), ("counts", "GET", "/alerts/count", None),
    ("status", "PUT", "/alert/{}/status", {"status": "ack"}), ("status", "PUT", "/alert/{}/action", {"action": "ack"}),
    ("tagged", "PUT", "/alert/{}/tag", {"tags": ["a"]}), ("untagged", "PUT", "/alert/{}/untag", {"tags": ["a"]}),
    ("attributes", "PUT", "/alert/{}/attributes", {"attributes": {"a": 1}}), ("deleted", "DELETE", "/alert/{}", None),
])
def test_what_succeeds_is_timed_and_what_fails_is_not(app: App, name: str, method: str, path: str, body: Any) -> None:
    def count() -> int:
        return {metric["name"]: metric.get("count") for metric in app.get("/management/status")["metrics"]}.get(name, 0)

    path, before = path.format(app.post_alert()["id"]), count()
    assert app.call(method, path, body).status < 300
    assert count() == before + 1
    assert app.call(method, path + "?nonsense=1" if method == "GET" else path, {}).status >= 400
    assert count() == before + 1


def test_refused_alerts_are_counted(make_app: Any) -> None:
    app = make_app(require_service="on", allowed_environments="Production")
    assert app.call("POST", "/alert", {"resource": "a", "event": "b"}).status == 403
    assert app.call("POST", "/alert", {"resource": "a", "event": "b", "service": ["Web"], "environment": "Moon"}).status == 403
    assert next(metric["count"] for metric in app.get("/management/status")["metrics"] if metric["name"] == "rejected") == 2


def test_metrics_are_prometheus_text(app: App) -> None:
    app.post_alert()
    answer = app.call("GET", "/management/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    assert answer.body.endswith(b"\n")
    samples = dict(line.split(" ") for line in lines if not line.startswith("#"))
    assert [samples[f"alerta_alerts_{name}"] for name in ("total", "received_count", "rejected_total")] == ["1", "1", "0"]
    assert {"alerta_alerts_received_sum", "alerta_uptime_msecs"} <= set(samples)
    types = dict(line.split(" ")[2:] for line in lines if line.startswith("# TYPE "))
    assert (types["alerta_alerts_total"], types["alerta_alerts_received"], types["alerta_uptime_msecs"]) == ("gauge", "summary", "gauge")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_housekeeping_reports_what_it_did(app: App, method: str) -> None:
    expiring = app.post_alert(timeout=60)["id"]
    app.post_alert(resource="web02", timeout=0)
    app.clock.advance(61)
    done = app.call(method, "/management/housekeeping").json
    assert done == {"status": "ok", "expired": [expiring], "unshelve": [], "unack": [], "count": 1}
    assert app.call(method, "/management/housekeeping?expired=2&info=12").json["count"] == 0
    for query in ("expired=x", "info=-1", "expired=1.5"):
        refused(app.call(method, f"/management/housekeeping?{query}"), 400)


def test_housekeeping_deletes_what_is_older_than_the_hours_given(make_app: Any) -> None:
    app = make_app(delete_expired_after="0", delete_info_after="0")
    app.post_alert("old", severity="ok", timeout=0)
    app.post_alert("info", severity="informational", timeout=0)
    app.post_alert("open", timeout=0)
    app.clock.advance(3 * 3600)
    app.post_alert("young", severity="ok", timeout=0)
    app.call("GET", "/management/housekeeping?expired=2&info=4")
    assert sorted(alert["resource"] for alert in app.get("/alerts")["alerts"]) == ["info", "open", "young"]
    app.call("GET", "/management/housekeeping?info=2")
    assert sorted(alert["resource"] for alert in app.get("/alerts")["alerts"]) == ["open", "young"]


def test_the_index_lists_every_route(app: App) -> None:
    index = app.get("/", key=None)
    assert (index["status"], index["uri"]) == ("ok", "http://alert.test")
    assert {(link["method"], link["href"]) for link in index["links"]} == {
        (method, "http://alert.test" + re.sub(r":re:[^<>]*>", ">", entry.path)) for entry in alertlite.ROUTES for method in entry.methods}
    assert [link["href"] for link in index["links"]] == sorted(link["href"] for link in index["links"])


# What the web interface reads without looking whether it is there (contract 8.1), and of which type.
CONFIG = {
    "endpoint": str, "debug": bool, "alarm_model": dict, "severity": dict, "colors": dict, "auth_required": bool, "allow_readonly": bool,
    "readonly_scopes": list,
    "provider": str, "customer_views": bool, "signup_enabled": bool, "email_verification": bool, "client_id": str | None,
    "azure_tenant": str | None,
    "aws_region": str | None, "cognito_domain": str | None, "github_url": str | None, "gitlab_url": str | None, "keycloak_url": str | None,
    "keycloak_realm": str | None, "oidc_auth_url": str | None, "site_logo_url": str | None, "timeouts": dict, "blackouts": dict,
    "dates": dict, "font": dict,
    "audio": dict, "columns": list, "sort_by": list, "filter": dict, "indicators": dict, "actions": list, "tracking_id": str | None,
    "refresh_interval": int,
    "environments": list, "clipboard_template": str | None,
}


def test_the_configuration_has_everything_that_clients_read(app: App) -> None:
    config = app.get("/config", key=None)
    assert set(config) == set(CONFIG)
    assert [name for name, kind in CONFIG.items() if not isinstance(config[name], kind)] == []
    model = config["alarm_model"]
    assert set(model) >= {"name", "severity", "colors", "status", "defaults"}
    assert (model["severity"], model["colors"]) == (config["severity"], config["colors"])
    assert model["severity"] == {name: min(code, 7) if code < 10 else code - 2 for code, name in enumerate(SEVERITIES.split(", "))}
    assert model["status"] == {"open": "A", "assign": "B", "ack": "C", "shelved": "D", "blackout": "E", "closed": "F", "expired": "G",
                               "unknown": "H"}
    assert model["defaults"] == {"status": "open", "normal_severity": "normal", "previous_severity": "indeterminate"}
    assert set(model["colors"]) == {"severity", "status", "text"} and set(model["colors"]["severity"]) == set(model["severity"])
    assert config["timeouts"] == {"alert": 86400, "heartbeat": 86400, "ack": 0, "shelve": 7200}
    assert config["blackouts"] == {"duration": 3600}
    assert set(config["dates"]) == {"shortTime", "mediumDate", "longDate"}
    assert set(config["font"]) == {"font-family", "font-size", "font-weight"}
    assert "new" in config["audio"] and config["filter"] == {"status": ["open", "ack"]} and config["refresh_interval"] == 5000
    assert ",".join(config["columns"]) == ("severity,status,lastReceiveTime,timeoutLeft,duplicateCount,customer,environment,service,"
                                           "resource,event,value,text")
    assert config["sort_by"] == ["severity", "lastReceiveTime"] and config["provider"] == "basic"
    assert config["indicators"]["severity"] == ["critical", "major", "minor", "warning", "indeterminate", "informational"]
    assert all(set(row) == {"text", "query"} for row in config["indicators"]["queries"])


@pytest.mark.parametrize(("settings", "key", "value"), [
    ({"auth": "on"}, "auth_required", True), ({"auth": "off"}, "auth_required", False),
    ({"alert_timeout": "60"}, "timeouts", {"alert": 60}), ({"heartbeat_timeout": "60"}, "timeouts", {"heartbeat": 60}),
    ({"ack_timeout": "60"}, "timeouts", {"ack": 60}), ({"shelve_timeout": "60"}, "timeouts", {"shelve": 60}),
    ({"allowed_environments": "Production,Moon"}, "environments", ["Production", "Moon"]),
    ({"base_url": "https://edge.test/"}, "endpoint", "https://edge.test"),
])
def test_the_configuration_follows_the_settings(make_app: Any, settings: dict, key: str, value: Any) -> None:
    shown = make_app(**settings).get("/config", key=None)[key]
    assert shown | value == shown if isinstance(value, dict) else shown == value


def test_a_key_never_shows_in_answers_or_the_log(app: App, capsys: Any) -> None:
    key = app.make_key("read")
    for path in ("/keys", f"/key/{key}", "/config", "/", "/management/status", "/users"):
        assert key.encode() not in app.call("GET", path).body, path
        assert ADMIN_KEY.encode() not in app.call("GET", path).body, path
    app.call("GET", f"/alerts?api-key={key}&nonsense=1", key=None)
    assert key not in capsys.readouterr().err


# --- who guesses

def test_an_address_may_guess_ten_times_a_minute_and_a_right_key_always_counts(make_app: Any) -> None:
    app = make_app(failed_sign_ins="10")
    guesses = [app.call("GET", "/alerts", key=f"wrong-{number}").status for number in range(12)]
    assert guesses == [401] * 10 + [429] * 2
    answer = app.call("GET", "/alerts", key=None, headers=basic("somebody:guess"))
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60"), "a password is not even checked"
    assert app.call("GET", "/alerts").status == 200, "whoever has a key is not locked out by others behind his address"
    app.clock.advance(60)
    assert app.call("GET", "/alerts", key="wrong").status == 401
