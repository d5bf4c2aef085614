"""Nothing that a client sends is a defect of the server: it is refused with a reason, stores nothing and costs no time.

The tables hold JSON as text, because much of what is sent here no JSON library would write.
"""
from __future__ import annotations

import contextlib
import json
import re
import socket
import string
import time
import urllib.parse
from typing import Any

import pytest
from conftest import ADMIN_KEY, App, Server, check_address, check_parts, plain_path, told_parts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import alertlite

pytestmark = pytest.mark.slow                      # thousands of bodies and addresses; continuous integration runs them all

ALERT_ID, BEAT_ID = "alert-of-the-tests-1", "heartbeat-of-the-tests-1"
RECEIVER_ID = "5b1c7c5e-2f0d-4f0e-9a55-0d6f4e1c0001"
CHECK_ROUTES = ("/api/v", "/ping/", "/badge/", "/b/")
NOTIFY_ROUTES, WALDUR_ROUTES = ("/notification/", "/api/notification/"), ("/api/alerts", "/api/stats")


class World(App):
    """An application with one of everything, and the addresses of these things."""

    def __init__(self, path: Any):
        super().__init__(path)
        self.post_alert(id=ALERT_ID, tags=["a"], attributes={"rack": "12"}, text="disk full", value="5", service=["Web"])
        self.call("POST", "/heartbeat", {"id": BEAT_ID, "origin": "backup", "tags": ["a"], "attributes": {"rack": "12"}})
        note = self.call("PUT", f"/alert/{ALERT_ID}/note", {"text": "looking"}).json["id"]
        user = self.call("POST", "/user", {"name": "Eve", "login": "eve"}).json["id"]
        self.call("POST", "/key", {"id": "key-of-the-tests-1", "user": "eve", "scopes": ["read"]})
        self.parts = {"/alert/": ALERT_ID, "/heartbeat/": BEAT_ID, "/user/": user, "/key/": "key-of-the-tests-1", "/note/": note,
                      "/keys/": "eve"}
        self.check_parts = check_parts(self)
        self.store.write(lambda tables: tables.db.execute("INSERT INTO receivers (id, customer, type, name, address_data, created_at)"
                                                          " VALUES (?, '', 'email', 'Post', '\"a@b.test\"', 0)", (RECEIVER_ID,)))
        self.parts.update({f"/{name}/": value for name, value in told_parts(self).items()})
        self.parts.update({"/receivers/": RECEIVER_ID, "/default/": "monitor"})

    def address(self, path: str) -> str:
        """The path of a route with the ids of existing things in it."""
        if path.startswith(CHECK_ROUTES):
            return check_address(path, self.check_parts)
        words = path.split("/")
        for place, word in enumerate(words):
            if word.startswith("<"):
                words[place] = self.parts[f"/{words[place - 1]}/"]
        return "/".join(words)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Shared: that no test changes it is what most tests here check."""
    world = World(tmp_path_factory.mktemp("bad-input") / "alertlite.db")
    yield world
    world.close()


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real server for requests that no library would send."""
    server = Server(tmp_path_factory.mktemp("listening")).start()
    yield server
    server.kill()


def faults_of(answer: Any, log: str, statuses: tuple[int, ...] = (400,), names: str = "", path: str = "") -> list[str]:
    """What is wrong with a refusal: its status, its form, its message, its line in the log."""
    faults = []
    if answer.status not in statuses:
        return [f"answered {answer.status} {answer.body[:200]!r}"]
    if path.startswith(CHECK_ROUTES):                       # spec/healthchecks.md 1.5 and 4.4
        text = answer.json["error"] if path.startswith("/api/") and sorted(answer.json) == ["error"] else answer.body.decode()
        body = {**dict.fromkeys(("errors", "requestId")), "status": "error", "code": answer.status, "message": text,
                "requestId": answer.headers["X-Request-ID"]}
        if not text or "{" in text or "\n" in text or path.startswith("/api/") != (answer.headers["Content-Type"] == "application/json"):
            faults.append(f"its body is {answer.body[:200]!r}")
    elif path.startswith(NOTIFY_ROUTES + WALDUR_ROUTES):
        body = {"status": "error", "code": answer.status, "message": other_text(answer, path), "errors": None,
                "requestId": answer.headers["X-Request-ID"]}
    else:
        body = answer.json
    if sorted(body) != ["code", "errors", "message", "requestId", "status"]:
        faults.append(f"its body has the keys {sorted(body)}")
    elif [body["status"], body["code"], body["requestId"]] != ["error", answer.status, answer.headers["X-Request-ID"]] \
            or not isinstance(body["errors"], (list, type(None))) or not isinstance(body["message"], str):
        faults.append(f"its body is {body}")
    elif names.lower() not in body["message"].lower():
        faults.append(f"its message does not name {names}: {body['message']}")
    if len(log.splitlines()) != 1 or "Traceback" in log:
        faults.append(f"it logged {log[:300]!r}")
    return faults


def other_text(answer: Any, path: str) -> str | None:
    """What a refusal says: a JSON string, or {"detail": text} or {field: [texts]}. None where it has another form."""
    said = answer.json
    if answer.headers["Content-Type"] != "application/json":
        return None
    if path.startswith(NOTIFY_ROUTES):                      # spec/weave-notification.md 1
        return said if isinstance(said, str) and said else None
    is_good = isinstance(said, dict) and said and all(      # spec/waldur-alerts.md 1
        isinstance(value, str) and value if name == "detail" else isinstance(value, list) and value and all(isinstance(text, str) for text in value)
        for name, value in said.items())
    return json.dumps(said) if is_good else None


def refuse(world: World, capsys: Any, method: str, path: str, raw: bytes, **expected: Any) -> list[str]:
    """Sends a body that must be refused and change nothing; what went wrong, with the beginning of the body."""
    before = world.stored()
    capsys.readouterr()
    answer = world.call(method, path, raw=raw)
    faults = faults_of(answer, capsys.readouterr().err, path=path, **expected)
    if world.stored() != before:
        faults.append("it changed what is stored")
    return [f"{method} {path} {raw[:80]!r}: {fault}" for fault in faults]


# What each kind of field must refuse. The message has to name the field, except for what no parser gets past.
LONG_NAME, LONG_TEXT = '"' + "x" * 501 + '"', '"' + "x" * 100_001 + '"'
DAY = "2030-01-01T00:00:00"
KINDS = {
    "name": ["5", "0", "1.5", "true", "false", "[]", '["a"]', "{}", LONG_NAME],
    "text": ["[]", '["a"]', "{}", LONG_TEXT],
    "any": [LONG_TEXT, "[" + LONG_TEXT + "]"],
    "list": ['"a"', "5", "0", "true", "false", "{}", '""', "[1]", "[null]", '[["a"]]', "[{}]", '["a", 1.5]', f"[{LONG_NAME}]",
             "[" + ", ".join(['"a"'] * 1001) + "]", '["\\ud800"]', '["a", "\\u0000"]'],
    "object": ['"a"', "5", "0", "true", "false", "[]", '""', '{"a.b": 1}', '{"$a": 1}', '{"a$": 1}', '{"": 1}', "{" + LONG_NAME + ": 1}",
               "{" + ", ".join(f'"k{number}": 1' for number in range(1001)) + "}", '{"\\ud800": 1}', '{"a": "\\udfff"}',
               '{"a": ["\\u0000"]}'],
    "seconds": ['"60"', '""', "1.5", "60.0", "true", "false", "[]", "{}", "-1", "315360001", "9223372036854775807"],
    "time": ["5", "0", "true", "false", "[]", "{}", '""', '"now"', '"2030-01-01"', f'"{DAY}Z"', f'"{DAY}.000"', f'"{DAY}.000+00:00"',
             f'"{DAY}.0000000Z"', f'"{DAY}.000z"', f'" {DAY}.000Z"', f'"{DAY}.000Z\\n"', '"2030-01-01 00:00:00.000Z"',
             '"2030-13-01T00:00:00.000Z"', '"2030-02-30T00:00:00.000Z"', '"2030-01-01T24:00:00.000Z"', '"2030-01-01T00:00:60.000Z"',
             '"0000-01-01T00:00:00.000Z"', '"-030-01-01T00:00:00.000Z"', '"２０３０-01-01T00:00:00.000Z"', LONG_TEXT],
    "flag": ['"true"', '""', "1", "0", "[]", "{}"],
    "missing": ["null", '""'],
    "null": ["null"],
    "empty": ['""'],
    "severity": ['"MAJOR"', '"worst"', '" major"'],
    "status": ['"OPEN"', '"nonsense"', '"open "'],
    "user status": ['"ACTIVE"', '"gone"'],
    "email": ['"nobody"', '"a@b@c"', '"a b@c"', '"@b"', '"a@"', '"a@b\\n"'],
    "key": ['"short"', '"' + "é" * 20 + '"', '"' + "x" * 201 + '"', '"sixteen characters\\n"'],
    "no items": ["[]"],
    "no members": ["{}"],
    "fixed": ['"x"', "1", "true", '["a"]', '{"a": 1}'],
    "delete": ["null", "5", "true", "[]", "{}", '""', '"put"', '["delete"]'],
    "kind": ['"EMAIL"', '"nonsense"', '"email "', '"pagerduty"'], "another": ['"other"', '"nobody"', f'"{ALERT_ID}"'],
    "mail": ["null", '""', "5", "0", "true", "false", "[]", "{}", '"nobody"', '"a b@c"', '"@b"', '["a@b.test"]', '"a@b.test, c@d.test"',
             '"a@b.test,"', '"a@b.test\\n"', '"a@' + "x" * 64 + '"', '"' + "x" * 65 + '@b.test"'],
    "minute": ["1", "59"], "messages": ['"a"', "5", "0", "true", "false", "[]", '""', '["a"]'],
    "texts": ['{"a": 1}', '{"a": null}', '{"a": ["b"]}', '{"a": true}'],
    "attachments": ['"a"', "5", "true", '["a"]', "[null]", "[[]]", '{"a": 1}', '[{"text": "a"}, 5]'],
    "alerts": ['"a"', "5", "0", "true", "false", "[]", "{}", '["a"]', "[null]", "[[]]", '[{"labels": {}}, 5]'],
    "moment": ["5", "0", "true", "false", "[]", "{}", '"now"', '"2030-01-01"', f'"{DAY}"', f'"{DAY}.000"', f'" {DAY}Z"', f'"{DAY}Z\\n"',
               f'"{DAY}.Z"', f'"{DAY}.0123456789Z"', f'"{DAY}+0100"', f'"{DAY}+25:00"', f'"{DAY}+01:60"', f'"{DAY}+01"', '"20300101T000000Z"',
               '"2030-13-01T00:00:00Z"', '"2030-02-30T00:00:00Z"', '"2030-01-01T24:00:00Z"', '"2030-01-01T00:00:60Z"', '"2030-01-01_00:00:00Z"',
               '"0000-01-01T00:00:00Z"', '"10000-01-01T00:00:00Z"', '"0001-01-01T00:00:00+01:00"', '"9999-12-31T23:59:59-01:00"',
               '"２０３０-01-01T00:00:00Z"', LONG_TEXT],
    "scoped": ["null", '""', '" "', "true", "false", "[]", "{}", '["a"]'], "longer than 50": ['"' + "x" * 51 + '"'],
    "longer than 255": ['"' + "x" * 256 + '"'], "scoped severity": ['"error"', '"ERROR"', '"major"', '"10"', "10", '"Fatal"'],
    "hyperlink": ['"web01"', "5", '"ftp://h.test/a/"', '"//h.test/a/"', '"http:///a/"', '"http://[::1/a/"', '"/a\\nb/"', '"/' + "x" * 500 + '"',
                  '"mailto:a@b.test"', '"a/b"'],
    "context": ['"a"', "5", "0", "true", "false", "[]", '""'],
}
EVERY_FIELD = ['"\\ud800"', '"\\udc00\\ud800"', '"a\\u0000b"']
NO_JSON = ["1" * 30, "-" + "1" * 30, "1" * 5000, "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "[" * 10_000 + "]" * 10_000,
           "[" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, '{"a": 1, "a": 1}', "01", "'a'", "tru", '"a',
           '"\t"', '"\\x"', '"\\ud8"', "[1,]", ""]

CHANGE_USER = {"name": "name", "email": "name email", "password": "name", "text": "text"}
NOTE = {"text": "text", "note": "text"}
DELETED_BY_POST = {"_method": "delete"}
TAGS, ATTRIBUTES = {"tags": "list null no items"}, {"attributes": "object null no members"}
STATUS = {"status": "name missing status", "text": "text", "timeout": "seconds"}
RECEIVER = {"name": "name", "fallback": "name another", "remind_every": "seconds minute"}
# Each route with a body: what to send beside the field in question, and the kinds of its fields (contract 1.5, 1.9 to 1.11).
BODIES: dict[tuple[str, str], tuple[dict, dict[str, str]]] = {
    ("POST", "/alert"): ({"resource": "web01", "event": "Bad", "severity": "major"}, {
        "resource": "name missing", "event": "name missing", "environment": "name", "severity": "name severity", "status": "name status",
        "correlate": "list null", "service": "list null", "tags": "list null", "group": "name", "value": "any", "text": "text",
        "attributes": "object null", "origin": "name", "type": "name", "createTime": "time", "timeout": "seconds", "rawData": "any",
        "customer": "name empty", "id": "name"}),
    ("POST", "/alert/<ident>"): ({}, DELETED_BY_POST), ("PUT", "/alert/<ident>/status"): ({"status": "ack"}, STATUS),
    ("POST", "/alert/<ident>/status"): ({"status": "ack"}, STATUS),
    ("PUT", "/alert/<ident>/action"): ({"action": "ack"}, {"action": "name missing", "text": "text", "timeout": "seconds"}),
    ("PUT", "/alert/<ident>/tag"): ({}, TAGS), ("POST", "/alert/<ident>/tag"): ({}, TAGS), ("PUT", "/alert/<ident>/untag"): ({}, TAGS),
    ("POST", "/alert/<ident>/untag"): ({}, TAGS), ("PUT", "/alert/<ident>/attributes"): ({}, ATTRIBUTES),
    ("PUT", "/alert/<ident>/note"): ({}, {"text": "text missing", "note": "text missing"}),
    ("PUT", "/alert/<ident>/note/<note_id>"): ({}, {**NOTE, "attributes": "object null"}),
    ("POST", "/heartbeat"): ({"origin": "bad"}, {
        "origin": "name", "tags": "list null", "attributes": "object null", "timeout": "seconds", "createTime": "time",
        "customer": "name empty", "id": "name"}),
    ("POST", "/heartbeat/<ident>"): ({}, DELETED_BY_POST),
    ("POST", "/user"): ({"name": "Ann", "login": "ann"}, {
        **CHANGE_USER, "name": "name missing", "login": "name", "status": "name user status", "roles": "list", "attributes": "object",
        "email_verified": "flag", "id": "name"}),
    ("POST", "/user/<ident>"): ({}, DELETED_BY_POST),
    ("PUT", "/user/<ident>"): ({}, {**CHANGE_USER, "status": "name user status", "roles": "list", "role": "name", "attributes": "object",
                                    "email_verified": "flag"}),
    ("PUT", "/user/<ident>/attributes"): ({}, ATTRIBUTES), ("PUT", "/user/me/attributes"): ({}, ATTRIBUTES),
    ("PUT", "/user/me"): ({}, {**CHANGE_USER, "login": "fixed", "status": "fixed", "roles": "fixed", "role": "fixed", "attributes": "fixed",
                               "email_verified": "fixed", "id": "fixed"}),
    ("POST", "/key"): ({"user": "eve"}, {
        "user": "name", "scopes": "list", "text": "text", "expireTime": "time", "customer": "name", "key": "name key", "id": "name",
        "type": "name"}),
    ("POST", "/key/<ident:path>"): ({}, DELETED_BY_POST),
    ("PUT", "/key/<ident:path>"): ({}, {"user": "name", "scopes": "list", "text": "text", "expireTime": "time", "customer": "name",
                                        "type": "name"}),
    ("POST", "/notification/config/receivers"): ({"type": "email", "address_data": "a@b.test"}, {
        "type": "name missing kind", "address_data": "mail", "id": "fixed", "instance_id": "fixed", "eventTypes": "fixed",
        "event_types": "fixed", **RECEIVER}),
    ("PUT", "/notification/config/receivers/<ident>"): (
        {"id": RECEIVER_ID, "instance_id": "default", "type": "email", "address_data": "a@b.test"}, {
            "id": "name missing another", "instance_id": "name missing another", "type": "name missing kind", "address_data": "mail",
            "eventTypes": "list", "event_types": "list", **RECEIVER}),
    ("POST", "/notification/events"): ({"type": "user_test", "instance_id": "default"}, {
        "type": "name missing another", "instance_id": "name missing another", "timestamp": "moment", "messages": "messages",
        "metadata": "messages texts", "text": "text"}),
    ("POST", "/notification/slack/<instance>/<event_type>"): ({"text": "a"}, {"text": "text", "attachments": "attachments"}),
    ("POST", "/notification/webhook/<instance>/<event_type>"): ({"alerts": [{"labels": {"a": "b"}}]}, {"alerts": "missing alerts"}),
    ("POST", "/api/alerts"): ({"scope": "/api/projects/3/", "alert_type": "Bad", "message": "m", "severity": "Info"}, {
        "scope": "scoped hyperlink", "alert_type": "scoped longer than 50", "message": "scoped longer than 255",
        "severity": "scoped scoped severity", "context": "context", "timeout": "null seconds"}),
}
# Those that answer POST as well as GET, and read nothing.
NO_BODY = {("POST", "/management/housekeeping"), ("POST", "/api/v<version>/status"), ("POST", "/api/v<version>/status/"),
           *(("POST", f"/notification/{name}") for name in ("testevent", "config/receivers/<ident>/test", "config/receivers/<ident>/replay")),
           *(("POST", f"/api/alerts/<ident>/{action}") for action in ("close", "acknowledge", "cancel_acknowledgment"))}
# Those whose body is a check, and those that only look for a key in it.
CHECK_BODIES = ["/api/v<version>/checks", "/api/v<version>/checks/", "/api/v<version>/checks/<code>"]
KEY_BODIES = ["/api/v<version>/checks/<code>/pause", "/api/v<version>/checks/<code>/resume"]


def kinds_of(words: str) -> list[str]:
    """The kinds in a text that separates them by blanks; some have a blank in their name."""
    return [kind for kind in KINDS if f" {kind} " in f" {words} " and not (kind == "status" and "user status" in words)
            and not (kind == "severity" and "scoped severity" in words)]


def one_address(path: str) -> str:
    """The first of the addresses that a route of receivers, events or scoped alerts has; any other as it is."""
    if not path.startswith(NOTIFY_ROUTES + WALDUR_ROUTES):
        return path
    return path.rstrip("/").removeprefix("/api" if path.startswith("/api/notification/") else "").replace("/external/", "/")


def test_every_address_of_a_route_leads_to_the_same_function() -> None:
    functions = {(method, plain_path(entry.path)): entry.function for entry in alertlite.ROUTES for method in entry.methods}
    others = [place for place in functions if one_address(place[1]) != place[1]]
    assert len(others) > 50
    assert [place for place in others if functions[place] is not functions[place[0], one_address(place[1])]] == []


def test_every_route_with_a_body_is_in_the_table() -> None:
    routes = {(method, one_address(plain_path(entry.path))) for entry in alertlite.ROUTES for method in entry.methods
              if method in ("POST", "PUT", "PATCH")}
    assert set(BODIES) | {("POST", path) for path in CHECK_BODIES + KEY_BODIES} == routes - NO_BODY


@pytest.mark.parametrize(("method", "path", "field"), [(*place, field) for place, (_, fields) in BODIES.items() for field in fields])
def test_every_field_refuses_what_it_cannot_hold(world: World, capsys: Any, method: str, path: str, field: str) -> None:
    base, fields = BODIES[method, path]
    faults = []
    named = [raw for kind in kinds_of(fields[field]) for raw in KINDS[kind]] + EVERY_FIELD
    for raw in named + NO_JSON:
        body = json.dumps({**base, field: "@"}).replace('"@"', raw)
        faults += refuse(world, capsys, method, world.address(path), body.encode(), names=field if raw in named else "")
    assert faults == []


WHOLE_BODIES = [
    (b"", "empty"), (b" \n", "blank"), (b"null", "null"), (b"[]", "a list"), (b'["a"]', "a list"), (b'"delete"', "a string"),
    (b"5", "a number"), (b"true", "a constant"), (b"{", "cut off"), (b'{"text": "a"', "cut off"), (b'{"text": "a"} {}', "two values"),
    (b"{'text': 'a'}", "not JSON"), (b'{"text": "a",}', "not JSON"), (b'{text: "a"}', "not JSON"), (b'// {"text": "a"}', "not JSON"),
    (b"\x00", "NUL"), (b"\xff\xfe", "not UTF-8"), (b'\xef\xbb\xbf{"text": "a"}', "a byte order mark"), (b'{"text": "\xe4"}', "Latin-1"),
    ('{"text": "a"}'.encode("utf-16"), "UTF-16"), (b'{"text": "\xed\xa0\x80"}', "half a surrogate pair in UTF-8"),
    (b'{"text": "\xc0\x80"}', "overlong UTF-8"), (b'{"a": 1, "a": 1}', "a name twice"),
    (b'{"text": "a", "x": {"b": [{"c": 1, "c": 2}]}}', "a name twice further in"), (b'{"x": ' + b"[" * 40 + b"]" * 40 + b"}", "too deep"),
    (b'{"x":' * 10_000 + b"1" + b"}" * 10_000, "too deep"), (b"[" * 500_000, "too deep"), (b"text=a&_method=delete", "a form"),
    (b'{"x": "\\ud800"}', "half a surrogate pair in a field that is ignored"), (b'{"\\u0000": 1}', "NUL in a name"),
    (b'{"x": 1e400}', "infinite"), (b'{"x": ' + b"9" * 19 + b"}", "beyond 64 bits"),
]


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_every_route_refuses_a_body_that_is_no_json_object(world: World, capsys: Any, method: str, path: str) -> None:
    base, _ = BODIES[method, path]
    rows = [raw for raw, _ in WHOLE_BODIES]
    whole = json.dumps({**base, "text": "a", "tags": ["a"], "attributes": {"a": 1}, "_method": "delete"}).encode()
    rows += [b"\xef\xbb\xbf" + whole, whole[:-1], whole + b"x", whole[:-1] + b', "x": 1, "x": 1}', b"[" + whole + b"]"]
    faults = [fault for raw in rows for fault in refuse(world, capsys, method, world.address(path), raw)]
    faults += refuse(world, capsys, method, world.address(path), whole + b" " * 2**20, statuses=(413,))
    assert faults == []


# What each kind of field of a check must refuse (spec/healthchecks.md 3.2).
NO_TEXT = ["null", "5", "0", "1.5", "true", "false", "[]", '["a"]', "{}", "NaN", "1" * 30]
CHECK_KINDS = {
    "text": [*NO_TEXT, '"\\ud800"', '"\\udc00\\ud800"', '"a\\u0000b"'],
    "longer than 100": ['"' + "x" * 101 + '"', '"' + "é" * 101 + '"'],
    "longer than 200": ['"' + "x" * 201 + '"'],
    "longer than 500": ['"' + "x" * 501 + '"'],
    "longer than text": [LONG_TEXT],
    "seconds": ["null", '"60"', '""', "60.0", "1.5", "1e3", "true", "false", "[]", "{}", "-1", "0", "59", "31536001", "9" * 18, "9" * 19, "9" * 5000,
                "-" + "9" * 5000, "1e999", "-1e999", "NaN", "Infinity", "-Infinity"],
    "flag": ["null", "0", "1", '"true"', '""', "[]", "{}", "NaN"],
    "methods": ["null", '"GET"', '"post"', '"POST "', "5", "[]", "{}", '["POST"]', "true"],
    "slug": ['"A"', '"a b"', '"a.b"', '"ü"', '"a\\n"', '"a/b"', '" a"'],
    "schedule": ['""', '" "', '"* * * *"', '"* * * * * *"', '"60 * * * *"', '"0 0 30 2 *"', '"*/0 * * * *"', '"5-1 * * * *"', '"? * * * *"',
                 '"@reboot"', '"* * * * *\\n"', '"\\u0663 * * * *"', '"0 0 * * 1#6"', '"H * * * *"', '"Mon *-*-* 08:00"'],
    "zone": ['""', '"utc"', '"Mars/Phobos"', '"UTC+2"', '"../../etc/passwd"', '"/etc/localtime"', '"Europe/Riga\\n"', '"localtime"', '"Factory"'],
    "unique": ["null", '"name"', "5", "{}", "true", "[5]", "[null]", '["desc"]', '[["name"]]', '["NAME"]', "[{}]"],
    "receivers": ['"nobody"', '","', '" "', '"*,*"', '"00000000-0000-0000-0000-000000000000"', '"%"', '"' + "," * 1000 + '"'],
}
KEYWORDS = ("failure_kw", "start_kw", "subject", "subject_fail", "success_kw")
FLAGS = ("filter_subject", "filter_body", "filter_http_body", "filter_default_fail", "manual_resume")
CHECK_FIELDS = {
    "channels": ("text", "longer than text"), "desc": ("text", "longer than text"), "grace": ("seconds",), "methods": ("methods",),
    "name": ("text", "longer than 100"), "schedule": ("text", "longer than 100", "schedule"), "slug": ("text", "longer than 100", "slug"),
    "tags": ("text", "longer than 500"), "timeout": ("seconds",), "tz": ("text", "longer than 100", "zone"), "unique": ("unique",),
    **dict.fromkeys(KEYWORDS, ("text", "longer than 200")), **dict.fromkeys(FLAGS, ("flag",)),
}


@pytest.mark.parametrize("field", CHECK_FIELDS)
@pytest.mark.parametrize("path", CHECK_BODIES)
def test_every_field_of_a_check_refuses_what_it_cannot_hold(world: World, capsys: Any, path: str, field: str) -> None:
    faults = []
    for version in "123":
        address = world.address(path.replace("<version>", version))
        for kind in CHECK_FIELDS[field]:
            for raw in CHECK_KINDS[kind]:
                faults += refuse(world, capsys, "POST", address, f'{{"x": 1, "{field}": {raw}}}'.encode(), names=field)
    assert faults == []


@pytest.mark.parametrize("path", CHECK_BODIES)
def test_a_check_for_receivers_that_do_not_exist_is_neither_made_nor_changed(world: World, capsys: Any, path: str) -> None:
    assert set(CHECK_FIELDS) == set(alertlite.HC_FIELDS)
    assert [fault for raw in CHECK_KINDS["receivers"] for fault in refuse(
        world, capsys, "POST", world.address(path), f'{{"name": "changed", "channels": {raw}}}'.encode(), names="channel identifier")] == []


@pytest.mark.parametrize("path", CHECK_BODIES + KEY_BODIES)
def test_a_body_that_is_no_json_object_makes_changes_and_pauses_no_check(world: World, capsys: Any, path: str) -> None:
    whole = b'{"name": "changed", "text": "a"}'
    lenient = [b"", b"null"] if path in KEY_BODIES else [b""]      # spec/healthchecks.md 9: what clients send where nothing is asked for
    ignored = (b'{"x": "\\ud800"}', b'{"\\u0000": 1}', b'{"x": 1e400}', b'{"x": ' + b"9" * 19 + b"}")      # in a field that is ignored
    rows = [raw for raw, _ in WHOLE_BODIES if raw not in (*lenient, *ignored)]
    rows += [b"\xef\xbb\xbf" + whole, whole[:-1], whole + b"x", whole[:-1] + b', "x": 1, "x": 1}', b"[" + whole + b"]"]
    assert len(rows) > 30
    faults = [fault for raw in rows for fault in refuse(world, capsys, "POST", world.address(path), raw)]
    faults += refuse(world, capsys, "POST", world.address(path), whole + b" " * 2**20, statuses=(413,))
    assert faults == []


@pytest.mark.parametrize(("field", "raw", "reason"), [
    ("bogus", '"\\ud800"', "half a surrogate pair"), ("\\u0000", "1", "a name with NUL"), ("bogus", "1e400", "an infinite number"),
    ("bogus", "NaN", "not JSON, which the real server takes"), ("bogus", "9" * 5000, "a long number"), ("bogus", "[" * 30 + "]" * 30, "depth"),
])
def test_what_no_field_of_a_check_holds_is_ignored(app: App, field: str, raw: str, reason: str) -> None:
    answer = app.call("POST", "/api/v3/checks/", raw=f'{{"name": "kept", "{field}": {raw}}}'.encode())
    assert (answer.status, answer.json["name"]) == (201, "kept"), reason
    assert app.get("/api/v3/checks/")["checks"] == [answer.json]


@pytest.mark.parametrize(("field", "raw"), [
    ("name", '"' + "é" * 100 + '"'), ("tags", '"' + "t" * 500 + '"'), ("desc", '"' + "x" * 100_000 + '"'), ("success_kw", '"' + "x" * 200 + '"'),
    ("timeout", "60"), ("timeout", "31536000"), ("grace", "31536000"), ("slug", '"' + "_" * 100 + '"'), ("unique", "[]"),
    ("unique", '["name", "name"]'), ("desc", '"\\ud83d\\ude00\\n\\t"'), ("tz", '"America/Argentina/ComodRivadavia"'), ("tags", '"\\u00a0 \\u2028 "'),
    ("schedule", '"' + "0," * 45 + '0 * * * *"'),
])
def test_the_largest_and_oddest_check_that_is_allowed_is_shown_as_it_was_sent(app: App, field: str, raw: str) -> None:
    answer = app.call("POST", "/api/v3/checks/", raw=f'{{"x": 1, "{field}": {raw}}}'.encode())
    assert answer.status == 201, answer
    shown = app.get(f"/api/v3/checks/{answer.json['uuid']}")
    assert shown == answer.json and (shown[field] == json.loads(raw) if field not in ("unique", "tz") else shown["status"] == "new")


@pytest.mark.parametrize(("field", "raw", "shown"), [
    ("value", "5", "5"), ("value", "true", "True"), ("value", "1.5", "1.5"), ("value", '{"a": [1]}', '{"a": [1]}'),      # contract 1.5
    ("value", "9223372036854775807", "9223372036854775807"), ("value", "-9223372036854775808", "-9223372036854775808"),  # 64 bits
    ("rawData", '{"a": 1}', '{"a": 1}'), ("text", "5", "5"), ("text", '"x\\ud83d\\ude00"', "x😀"),
    ("text", '"' + "x" * 100_000 + '"', "x" * 100_000), ("resource", '"' + "é" * 500 + '"', "é" * 500), ("tags", '["a", "a"]', ["a"]),
    ("timeout", "0", 0), ("timeout", "315360000", 315_360_000),
    ("id", "null", None), ("environment", "null", "Production"), ("severity", "null", "normal"), ("group", "null", "Misc"),  # what the
    ("value", "null", None), ("text", "null", ""), ("origin", "null", None), ("type", "null", "exceptionAlert"),             # official
    ("timeout", "null", 86400), ("rawData", "null", None), ("customer", "null", None), ("createTime", "null", None),        # client sends
    ("attributes", '{"a": {"b": [null, 1.5]}}', {"a": {"b": [None, 1.5]}, "ip": "192.0.2.7"}),
])
def test_the_largest_and_oddest_that_is_allowed_is_accepted(app: App, field: str, raw: str, shown: Any) -> None:
    answer = app.call("POST", "/alert", raw=json.dumps({"resource": "web01", "event": "Odd", field: "@"}).replace('"@"', raw).encode())
    assert answer.status == 201, answer
    alert = app.get(f"/alert/{answer.json['id']}")["alert"]
    assert alert[field] == shown if shown is not None else alert[field] is None or isinstance(alert[field], str)


def test_a_body_of_exactly_the_limit_is_read(app: App) -> None:
    body = json.dumps({"resource": "web01", "event": "Large"}).encode().ljust(2**20)
    assert app.call("POST", "/alert", raw=body).status == 201
    assert app.call("POST", "/alert", raw=body + b" ").status == 413


def test_a_service_without_a_name_does_not_spoil_the_counts(app: App) -> None:
    app.call("POST", "/alert", {"resource": "web01", "event": "NoName", "severity": "major", "service": ["", "Web"]})
    assert app.get("/alerts/count")["total"] == len(app.get("/alerts")["alerts"])


IDENTS = ["a b", "ü", "日本", "a\nb", "a\r\nX-Split: 1", "a\tb", "a/b", "a//b", "/", "a?b", "a#b", "a%2Fb", "..", ".", "me", "\x7f", "\x85",
          "\u00a0", "\u202e", "\ud7ff" * 8, "\U0010ffff" * 8]


@pytest.mark.parametrize(("path", "base"), [("/alert", {"resource": "web01", "event": "Named"}), ("/heartbeat", {"origin": "named"}),
                                            ("/user", {"name": "N", "login": "named"}), ("/key", {"user": "eve"})])
def test_an_id_chosen_by_the_client_is_refused_or_leads_to_the_thing(make_app: Any, path: str, base: dict) -> None:
    app = make_app(auth="off")
    faults = []
    for number, ident in enumerate(IDENTS):
        before = World.stored(app)
        unlike = {name: value + str(number) for name, value in base.items() if name != "user"}
        answer = app.call("POST", path, {**base, **unlike, "id": ident}, key=None)
        if answer.status == 400:
            faults += [f"{ident!r}: refused, yet something is stored"] if World.stored(app) != before else []
            continue
        location = answer.headers.get("Location", "")
        if answer.status != 201 or not (location.isascii() and location.isprintable() and " " not in location):
            faults.append(f"{ident!r}: {answer.status}, Location {location!r}")
            continue
        found = app.call("GET", location.removeprefix("http://alert.test"), key=None)
        if found.status != 200 or found.json[path.strip("/")]["id"] != ident:
            faults.append(f"{ident!r}: Location {location!r} leads to {found}")
    assert faults == []


def test_header_lines_from_a_client_never_reach_the_answer(listening: Server) -> None:
    answer = listening.request("POST", "/alert", {"resource": "web01", "event": "Split", "id": "a\r\nSet-Cookie: x=1"})
    assert answer.status in (201, 400)
    assert "Set-Cookie" not in answer.headers
    answer = listening.request("POST", "/alert", {"resource": "web01", "event": "Foreign", "id": "日本"})
    assert answer.status in (201, 400), answer


# --- addresses

GETS = sorted({plain_path(entry.path) for entry in alertlite.ROUTES if {"GET", "ANY"}.intersection(entry.methods)})
ALERT_NAMES = ["id", "resource", "event", "environment", "severity", "correlate", "status", "service", "group", "value", "text", "tag",
               "attributes.rack", "origin", "type", "createTime", "timeout", "rawData", "customer", "duplicateCount", "repeat",
               "previousSeverity", "trendIndication", "receiveTime", "lastReceiveId", "lastReceiveTime", "updateTime", "_.rack",
               "last_receive_time"]
OTHER_NAMES = ["key", "user", "scope", "scopes", "expireTime", "count", "lastUsedTime", "latency", "since", "name", "login", "email",
               "email_verified", "role", "roles", "domain", "attributes.", "attributes.'", "_", "_.", "tags", "href", "nonsense", "'", "\"",
               "%27%22",
               "a%00", "%0A", "%FF", "", "!", "q", "q.df", "group-by", "sort-by", "from-date", "to-date", "page", "page-size", "limit",
               "reverse",
               "show-history", "show-raw-data", "expired", "info", "callback", "token", "rid", "create", "slug", "seconds", "start", "end"]
VALUES = ["", "x", "0", "-1", "9" * 19, "9" * 400, "1.5", "true", "null", "%27", "%22", "%25", "\\", "*", "%ED%9F%BF", "%F4%8F%BF%BF",
          "%C3%9F", "%0A",
          "%00", "%1B", "%FF", "%ED%A0%80", "%C0%80", "2030-01-01T00:00:00.000Z", "2030-99-99T00:00:00.000Z", "0001-01-01T00:00:00.000Z",
          "9999-12-31T23:59:59.999999Z", "~", "~x", "~(", "~)", "~[", "~[]", "~[^]", "~[z-a]", "~*", "~%2B", "~a{", "~a{99999}", "~\\",
          "~\\1", "~(%3F=a)",
          "~%5Ea$", "~$%5E", "~|", "~()", "~.*.*.*.*", "~" + "(" * 400, "~" + "(a|b)" * 8, "~" + "a" * 4000, "x" * 7000]
QUERIES = [
    "&", "=", "?", "&&&===", "%", "%%", "%zz", "a=%", "q=%zz", ";", "a;b=c", "+", "a=1&" * 1000, "status=open&" * 150,
    "sort-by=severity&" * 190,
    "q=a+" * 190, *(f"sort-by={value}" for value in ("-", "--status", "id", "tag", "nonsense", "attributes.", "attributes.'", "timeoutLeft",
                                                     "%FF",
                                                     "status%20DESC;DROP", "_exists_", "-attributes.x", "x" * 5000)),
    *(f"group-by={value}" for value in ("nonsense", "attributes.rack", "id", "tag", "service", "timeoutLeft", "_exists_", "*", "x" * 5000,
                                        "createTime")),
    *(f"page={value}" for value in ("0", "-1", "x", "1.5", "1e3", "%D9%A1", "2", "9" * 9, "9" * 12, "9" * 30, "")),
    *(f"page-size={value}" for value in ("0", "-1", "x", "1.5", "9" * 9, "9" * 30, "-" + "9" * 30, "")), "limit=-1", "limit=x",
    "page=2&page-size=0",
    *(f"{name}={value}" for name in ("from-date", "to-date") for value in ("x", "2030-01-01", "0", "%00", "9999-12-31T23:59:59.999Z", "")),
    *(f"show-history={value}" for value in ("x", "%FF", "1")), "q.df=nonsense&q=a", "q.df=_exists_&q=a", 'q.df=_exists_&q="a"',
    "q.df=attributes.'&q=a",
    "api-key=", "expired=x", "expired=-1", "info=" + "9" * 30, "expired=" + "9" * 6 + "&info=" + "9" * 6,
]
Q_TEXTS = [
    "(", ")", "()", "((", "a (", "\"", "\"a", "a\"", "/", "//", "/a", "/(/", "/[/", "/a{2}/", "[", "]", "[a TO", "[a TO b", "[a b]", "[TO]",
    "{a TO b]", "AND", "OR",
    "NOT", "!", "&&", "||", "a AND", "AND a", "a OR", "NOT NOT", "a NOT", "! a", "-", "+", "--a", "-(a)", ":", "a:", ":a", "a:b",
    "nonsense:x", "text:", "text:(", "text:()",
    "text:\"", "text:>", "text:>=", "timeout:x", "timeout:>x", "timeout:[1 TO x]", "timeout:" + "9" * 30, "createTime:x",
    "createTime:>2030", "createTime:[* TO *]",
    "repeat:>x", "tags:>x", "service:[a TO b]", "id:/x/", "_exists_", "_exists_:", "_exists_:a", "_exists_:\"a\"", "_exists_:/a/",
    "_exists_:[a TO b]",
    "_exists_:(a b)", "_exists_:*", "_exists_:'", "_exists_:>1", "_.:a", "_.a:\"b\"", "attributes.a:[1 TO 2]", "attributes.'\";--:x", "*",
    "**", "*:*", "?", "????????",
    "*a" * 30, "a~", "a^", "~", "^", "a~2^3", "\\", "\\\"", "{\"a\": 1}", "{", "}", "(" * 21 + "a" + ")" * 21, "(" * 2000,
    "NOT " * 99 + "a", "!" * 90 + "a", "a " * 101,
    "a OR " * 49 + "a", "text:(" * 15 + "a" + ")" * 15, "😀", "\ud7ff", "\U0010ffff", "id:\ud7ff", "id:" + "\ud7ff" * 8, "x" * 3999,
    "x" * 4001, "\"" + "x" * 3990 + "\"",
    "/" + "(a|b)" * 6 + "/", "'; DROP TABLE alerts; --", "%s %d {0} {column}", "$", "a\nb", "a\tb",
]


def look(world: World, capsys: Any, path: str, query: str) -> list[str]:
    """Asks; what is wrong with the answer: above all, that it blames the server."""
    capsys.readouterr()
    answer = world.call("GET", f"{path}?{query}")
    log = capsys.readouterr().err
    if answer.status == 200:
        return [f"GET {path}?{query[:80]}: it logged {log!r}"] if log else []
    return [f"GET {path}?{query[:80]}: {fault}" for fault in faults_of(answer, log, statuses=(400, 401, 404, 414, 416), path=path)]


@pytest.mark.slow
@pytest.mark.parametrize("path", GETS)
def test_no_query_of_any_route_is_a_defect(world: World, capsys: Any, path: str) -> None:
    signs = [sign + value for sign in ("=", "!=") for value in ("x", "~x", "%ED%9F%BF")]
    queries = QUERIES + [name + sign for name in ALERT_NAMES + OTHER_NAMES for sign in signs]
    assert [fault for query in queries for fault in look(world, capsys, world.address(path), query)] == []


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/alerts", "/heartbeats", "/users", "/keys"])
def test_no_value_of_any_filter_is_a_defect(world: World, capsys: Any, path: str) -> None:
    names = ALERT_NAMES + OTHER_NAMES if path != "/alerts" else ALERT_NAMES
    signs = ("=", "!=") if path == "/alerts" else ("=",)
    queries = [f"{name}{sign}{value}" for name in names for sign in signs for value in VALUES]
    assert [fault for query in queries for fault in look(world, capsys, path, query)] == []


@pytest.mark.parametrize("path", [path for path in GETS if path.startswith(("/alerts", "/environments", "/services"))])
def test_no_search_text_is_a_defect(world: World, capsys: Any, path: str) -> None:
    queries = ["q=" + urllib.parse.quote(text, safe="") for text in Q_TEXTS]
    assert [fault for query in queries for fault in look(world, capsys, path, query)] == []


@pytest.mark.parametrize(("query", "reason"), [
    ("nonsense=1", "an unknown name"), ("tags=x", "contract 4.1 lists it as unknown"), ("kiosk=1", "as the reference"),
    ("href=x", "as the reference"), ("fields=x", "as the reference"), ("sort-by=nonsense", "unknown sort key"),
    ("sort-by=id", "contract 4.2"), ("sort-by=tag", "contract 4.2"), ("from-date=yesterday", "part 10: bad dates are refused"),
    ("to-date=2030-01-01", "part 10"), ("createTime=x", "not a date"), ("timeout=x", "not a number"),
    ("duplicateCount=1.5", "not a number"), ("text=~(", "contract 4.1: a bad pattern"), ("q=(", "cannot be read"),
    ("q=nonsense:x", "contract 4.3: an unknown field"), ("q=%7B%22a%22:1%7D", "contract 4.3: a MongoDB query"), ("text=%00", "NUL"),
    ("q=%FF", "not UTF-8"), ("a=1&" * 1000, "too many parameters"), ("status=%ED%A0%80", "half a surrogate pair"),
])
def test_a_search_that_cannot_be_meant_is_refused(world: World, capsys: Any, query: str, reason: str) -> None:
    answer = world.call("GET", f"/alerts?{query}")
    assert faults_of(answer, capsys.readouterr().err) == [], reason


ROUTES_WITH_PARTS = [(method, plain_path(entry.path)) for entry in alertlite.ROUTES for method in entry.methods if "<" in entry.path]


REFUSED_PARTS = ["%FF", "a%FFb", "%C0%80", "%ED%A0%80", "%00", "a%00b", "%0D%0A", "a%0Ab", "%1B", "%7F", "a//b"]
UNKNOWN_PARTS = ["%ED%9F%BF" * 8, "%F4%8F%BF%BF" * 8, "x" * 3000, "%27%22;--", "%E2%80%AE", "*", "~", "..", ".", "%25", "00000000",
                 "%F0%9F%98%80" * 8]
# What means something there: (path, its last part) -> what.
MEANT = {**{("/keys/<user>", part): "an administrator sees the empty list of any user" for part in UNKNOWN_PARTS},
         ("/ping/<code>/<action>", "00000000"): "a run that ended with 0",
         ("/ping/<ping_key>/<slug>/<action>", "00000000"): "the same",
         **{(f"{prefix}/notification/config/receivers_for_event/<name>{end}", part): "no receiver hears of it" for part in UNKNOWN_PARTS
            for prefix in ("", "/api") for end in ("", "/")}}


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), ROUTES_WITH_PARTS)
def test_no_part_of_a_path_is_a_defect(world: World, capsys: Any, method: str, path: str) -> None:
    body = json.dumps({**BODIES.get((method, path), ({},))[0], "text": "a", "tags": ["a"], "attributes": {"a": 1},
                       "_method": "delete"}).encode()
    body = body if method in ("POST", "PUT") else b""
    before, _, after = re.fullmatch("(.*)(<[^<>]*>)(.*)", path).groups()
    refused = REFUSED_PARTS + ["/a"] * before.endswith("/")
    faults = []
    for bad in refused + UNKNOWN_PARTS:
        address = before + bad + after
        address = world.address(address) if "<" in address else address
        if (path, bad) in MEANT:
            continue
        faults += refuse(world, capsys, "GET" if method == "ANY" else method, address, body, statuses=(400,) if bad in refused else (400, 404))
    assert faults == []


@pytest.mark.parametrize(("path", "statuses", "reason"), [
    ("//alerts", (400,), "a doubled slash"), ("/alert//x", (400,), "a doubled slash"), ("/alerts//", (400,), "a doubled slash"),
    ("/%FF", (400,), "not UTF-8"), ("/al%00erts", (400,), "NUL"), ("/alerts%0D%0AX: y", (400,), "a line break"),
    ("/alerts%7F", (400,), "a control character"), ("/" + "a" * 9000, (400, 414), "too long"),
    ("/alerts?q=" + "a" * 9000, (400, 414), "too long"), ("/alerts/", (404,), "a slash at the end"), ("/Alerts", (404,), "another case"),
    ("", (200,), "the root"), ("/alerts%2Fcount", (200,), "an escaped slash is a slash"), ("/alert", (405,), "no GET"),
])
def test_addresses_that_do_not_exist_are_refused_before_anything_else(world: World, capsys: Any, path: str, statuses: tuple,
                                                                      reason: str) -> None:
    answer = world.call("GET", path)
    log = capsys.readouterr().err
    assert (log == "" if answer.status == 200 in statuses else faults_of(answer, log, statuses=statuses) == []), reason


# --- time

SLOW_PATTERNS = ["(a+)+$", "(a*)*b", "(a|aa)+$", "(.*)*b", "a.*a.*a.*a.*a.*a.*a.*a.*b$", ".*.*.*.*.*.*b", "(a|b|ab)*c",
                 "a?" * 25 + "a" * 25, "[a-z].*[a-z].*[a-z].*1",
                 "(.+.+)+b", "^(([a-z])+.)+[A-Z]([a-z])+$"]


@pytest.fixture(scope="module")
def long_text(tmp_path_factory: pytest.TempPathFactory) -> Any:
    app = App(tmp_path_factory.mktemp("long") / "alertlite.db")
    for length in (25, 25_000, 100_000):
        app.post_alert(resource=f"web{length}", text="a" * length, attributes={"note": "a" * length})
    yield app
    app.close()


@pytest.mark.parametrize("pattern", SLOW_PATTERNS)
def test_no_pattern_takes_catastrophic_time(long_text: App, pattern: str) -> None:
    quoted = urllib.parse.quote(pattern, safe="")
    for query in (f"text=~{quoted}", f"text!=~{quoted}", f"attributes.note=~{quoted}", f"q=/{quoted}/", f"q=text:/{quoted}/",
                  f"text=~x&text=~{quoted}"):
        started = time.process_time()
        answer = long_text.call("GET", f"/alerts/count?{query}")
        assert time.process_time() - started < 2, query
        assert answer.status in (200, 400), query


@pytest.mark.parametrize("text", ["*a" * 11 + "b", "a*" * 11 + "b", "a?a?a?a?b", "\"" + "a" * 3900 + "b\"", "\"" + "a " * 1900 + "\"",
                                  "_.note:a*a*a*a*a*b"])
def test_no_search_text_takes_catastrophic_time(long_text: App, text: str) -> None:
    started = time.process_time()
    assert long_text.call("GET", "/alerts/count?q=" + urllib.parse.quote(text, safe="")).status in (200, 400)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(("raw", "reason"), [
    (b'"' + b'\\"' * 15_000 + b"[]" * 33, "an open string of escaped quotes"), (b'"' * 30_000 + b"[" * 33, "many quotes"),
    (b"[" * 1_000_000, "many brackets"), (b'{"value": 0.' + b"1" * 1_000_000 + b"}", "a long fraction"),
    (b'{"value": 1e' + b"9" * 1_000_000 + b"}", "a long exponent"),
    (b'{"value": ' + b"9" * 1_000_000 + b"}", "a long number"), (b"\\" * 1_000_000 + b"[" * 33, "many backslashes"),
    (b"{" + b",".join(b'"k%d":1' % number for number in range(90_000)) + b"}", "many names"),
    (b'{"tags": [' + b'"",' * 300_000 + b'""]}', "many items"),
])
def test_no_body_takes_catastrophic_time(app: App, raw: bytes, reason: str) -> None:
    started = time.process_time()
    assert app.call("POST", "/alert", raw=raw).status == 400
    assert time.process_time() - started < 1.5, reason


@pytest.mark.slow
def test_a_search_over_large_attributes_keeps_the_read_deadline(app: App) -> None:
    for number in range(40):
        app.post_alert(resource=f"web{number}", attributes={f"k{name}": "x" * 900 for name in range(200)})
    started = time.process_time()
    answer = app.call("GET", "/alerts?page-size=1&q=" + "%20".join(f"_.k{name}:zz" for name in range(100)))
    assert answer.status in (200, 503)
    assert time.process_time() - started < 2 * app.settings.read_deadline / 1000


@pytest.mark.slow
@pytest.mark.parametrize(("query", "fields"), [
    (" ".join(["a?b?c?d?"] * 99), {"text": "ab " * 33_000}), (" ".join(["rawData:a*a*a?a?a?a?b"] * 99), {"rawData": "a" * 100_000}),
    (" AND ".join(f'"{letter}b c"' for letter in string.ascii_letters[:50]), {"text": "äb " * 33_000}),
    (" ".join(["tags:a?a?a?a?b"] * 60), {"tags": [f"{number:03d}" + "a" * 490 for number in range(1000)]}),
    ("/" + "a" * 440 + "(0|1|2|3|4|5|6|7|8|9)(0|1|2)/", {"text": "a" * 100_000}),
    (" ".join(["value:>ä1"] * 99), {"value": "ä" * 100_000}), (" ".join(["_.k:>5"] * 99), {"attributes": {"k": "a" * 190_000}}),
], ids=["wildcards", "runs of wildcards", "phrases", "wildcards in tags", "alternatives", "ranges of texts", "ranges of attributes"])
def test_no_search_text_keeps_a_reader_beyond_its_deadline(make_app: Any, query: str, fields: dict[str, Any]) -> None:
    app = make_app(read_deadline="1000")
    app.store.read_deadline = 1.0
    for number in range(5):
        app.post_alert(resource=f"web{number}", **fields)
    started = time.process_time()
    answer = app.call("GET", "/alerts/count?q=" + urllib.parse.quote(query, safe=""))
    assert answer.status in (200, 503) and time.process_time() - started < 2, answer
    assert app.get("/alerts/count")["total"] == 5, "and the reader can be used again"


@pytest.mark.slow
def test_no_pattern_holds_up_a_list_beyond_the_deadline(make_app: Any) -> None:
    app = make_app(read_deadline="1000")
    for number in range(60):
        app.call("POST", "/heartbeat", {"origin": f"o{number}", "attributes": {"k": "ab " * 30_000}})
    started = time.process_time()
    answer = app.call("GET", "/heartbeats?attributes.k=~(a|b).*(a|b).*(a|b).*(a|b).*(a|b).*z")
    assert answer.status == 503 and time.process_time() - started < 2, answer


# --- random input

@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    app = World(tmp_path_factory.mktemp("fuzzed") / "alertlite.db")
    app.reader = app.make_key("read")
    yield app
    app.close()


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20) | st.sampled_from(
    ["open", "ack", "major", "\ud800", "\0", "a\nb", "2030-01-01T00:00:00.000Z", 2**63 - 1, 2**63, -(2**63), 10**30, -0.0, "é" * 501, "",
     "~", "%00"])
NAMES = st.text(st.characters(), max_size=8)
JSON_VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=5)
REPORTS = st.dictionaries(st.sampled_from(list(BODIES["POST", "/alert"][1])), JSON_VALUES, max_size=4).map(
    lambda fields: {"resource": "web01", "event": "Fuzz", **fields})
PIECES = st.sampled_from(["a", "text:", "_.a:", "_exists_:", "timeout:", "tags:", "createTime:", "(", ")", "[", "]", "{", "}", "\"", "/",
                          "*", "?", "~", "^", ":", ">",
                          "<", "=", "!", "-", "+", "\\", " ", " AND ", " OR ", " NOT ", " TO ", "&&", "||", "$", ".", "|", "1", "\ud7ff",
                          "\U0010ffff", "é", "'", "%", "\n"])
TEXTS = st.lists(PIECES, max_size=15).map("".join) | st.text(st.characters(codec="utf-8"), max_size=40)
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))


def check_body(app: App, body: Any) -> None:
    answer = app.call("POST", "/alert", raw=json.dumps(body).encode())
    assert answer.status in (201, 202, 400, 403, 409), answer
    assert all(value.isascii() and value.isprintable() for value in answer.headers.values())
    if answer.status == 201:
        alert = app.call("GET", "/alerts?id=" + urllib.parse.quote(answer.json["id"], safe="")).json["alerts"]
        assert answer.json["id"] in [found["id"] for found in alert]


def check_search(app: App, text: str, field: str) -> None:
    quoted = urllib.parse.quote(text, safe="")
    for query in (f"q={quoted}", f"q.df={field}&q={quoted}", f"{field}=~{quoted}", f"{field}!=~{quoted}", f"{field}={quoted}"):
        answer = app.call("GET", f"/alerts/count?{query}")
        assert answer.status in (200, 400), (query, answer)


@QUICK
@given(JSON_VALUES | REPORTS)
def test_no_random_body_is_a_defect(fuzzed: World, body: Any) -> None:
    check_body(fuzzed, body)


CHECKS = st.dictionaries(st.sampled_from([*CHECK_FIELDS, "api_key", "kind"]), JSON_VALUES | st.sampled_from(
    [60, 31_536_000, "* * * * *", "0 0 L * 5#2", "Europe/Riga", "POST", "*", ["name", "tags"], True]), max_size=6)


def check_check(app: App, body: Any, version: str) -> None:
    answer = app.call("POST", f"/api/v{version}/checks", raw=json.dumps(body).encode())
    assert answer.status in (200, 201, 400), answer
    assert answer.status == 400 or app.get(f"/api/v{version}/checks/{answer.json['uuid']}") == answer.json
    assert answer.status != 400 or answer.json.keys() == {"error"}


@QUICK
@given(JSON_VALUES | CHECKS, st.sampled_from("123"))
def test_no_random_check_is_a_defect(fuzzed: World, body: Any, version: str) -> None:
    check_check(fuzzed, body, version)


@pytest.mark.slow
@LONG
@given(JSON_VALUES | CHECKS, st.sampled_from("123"))
def test_no_random_check_of_many_is_a_defect(fuzzed: World, body: Any, version: str) -> None:
    check_check(fuzzed, body, version)


OTHER_BODIES = sorted(path for method, path in BODIES if method == "POST" and path.startswith(NOTIFY_ROUTES + WALDUR_ROUTES))
OTHER_VALUES = JSON_VALUES | st.sampled_from([
    "user_test", "default", "email", "browser", "a@b.test", "2030-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z",
    "http://[::1]/", "http://[", "x://[", "/api/projects/1/", "Error", 60, [{"labels": {"a": "b"}, "startsAt": "0001-01-01T00:00:00Z"}],
    [{"text": "a"}]])


def check_other(app: World, path: str, fields: dict, whole: Any) -> None:
    """A body for an API beside Alerta's and Healthchecks' is stored or refused, and all that is stored can be shown, to whom ever."""
    body = {**BODIES["POST", path][0], **fields} if whole is None else whole
    answer = app.call("POST", app.address(path), raw=json.dumps(body).encode())
    assert answer.status in (200, 201, 400, 409), answer     # hypothesis makes ids repeat themselves
    assert answer.status != 400 or other_text(answer, path), answer
    for shown in ("/notification/events?limit=3", "/api/alerts?page_size=3", "/notification/config/receivers"):
        assert app.call("GET", shown, key=app.reader).status == 200, shown
    if answer.status == 201 and path.endswith("/receivers"):
        assert app.call("DELETE", f"{path}/{answer.json}").status == 200


@QUICK
@given(st.sampled_from(OTHER_BODIES), st.data(), st.none() | JSON_VALUES)
def test_no_random_receiver_event_or_scoped_alert_is_a_defect(fuzzed: World, path: str, data: Any, whole: Any) -> None:
    fields = st.dictionaries(st.sampled_from(list(BODIES["POST", path][1])), OTHER_VALUES, max_size=4)
    check_other(fuzzed, path, data.draw(fields), whole)


@QUICK
@given(TEXTS, st.sampled_from(["after", "before", "event_type", "limit", "offset", "length", "o", "page", "page_size", "severity", "alert_type",
                               "scope", "scope_type", "created_from", "created_to", "closed_from", "closed_to", "opened", "aggregate", "uuid",
                               "message", "acknowledged", "state"]))
def test_no_random_parameter_of_the_other_lists_is_a_defect(fuzzed: World, text: str, name: str) -> None:
    query = f"?{name}={urllib.parse.quote(text, safe='')}"
    for path in ("/notification/events", "/api/alerts", "/api/alerts/stats", f"/notification/config/receivers/{RECEIVER_ID}/deliveries"):
        answer = fuzzed.call("GET", path + query)
        assert answer.status in (200, 400) or path == "/api/alerts" and name == "page" and answer.status == 404, (path + query, answer)


@QUICK
@given(st.sampled_from(["GET", "POST", "HEAD", "BREW"]), st.sampled_from(["", "/", "/start", "/fail", "/log", "/0", "/255", "/256", "/" + "9" * 400]),
       st.binary(max_size=200), st.text(st.characters(max_codepoint=255), max_size=300), st.text(st.characters(codec="utf-8"), max_size=40))
def test_no_random_ping_is_a_defect(fuzzed: World, method: str, ending: str, body: bytes, agent: str, text: str) -> None:
    address = f"/ping/{fuzzed.check_parts['code']}{ending}"
    for query in ("", f"?create={urllib.parse.quote(text)}&rid=ABCDEF01-2345-6789-abcd-ef0123456789", f"?rid={urllib.parse.quote(text)}"):
        answer = fuzzed.call(method, address + query, raw=body, headers={"User-Agent": agent}, key=None)
        assert answer.status in (200, 400) and answer.body in (b"", b"OK", b"invalid uuid format", b"invalid url format") \
            or b"control character" in answer.body, answer
    assert fuzzed.call("GET", fuzzed.address("/api/v<version>/checks/<code>/pings/")).status == 200


@QUICK
@given(TEXTS, st.sampled_from(ALERT_NAMES))
def test_no_random_search_is_a_defect(fuzzed: World, text: str, field: str) -> None:
    check_search(fuzzed, text, field)


@pytest.mark.slow
@LONG
@given(JSON_VALUES | REPORTS)
def test_no_random_body_of_many_is_a_defect(fuzzed: World, body: Any) -> None:
    check_body(fuzzed, body)


@pytest.mark.slow
@LONG
@given(TEXTS, st.sampled_from(ALERT_NAMES))
def test_no_random_search_of_many_is_a_defect(fuzzed: World, text: str, field: str) -> None:
    check_search(fuzzed, text, field)


# --- the real server, by hand

KEY = f"Authorization: Key {ADMIN_KEY}".encode()
BODY = b'{"resource": "web01", "event": "Smuggled"}'


def request_of(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, *fields, b"Connection: close", b"", body])


def talk(server: Server, sent: bytes) -> bytes:
    """Everything that the server says until it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        parts = []
        with contextlib.suppress(ConnectionError):          # it may close while some of what is sent is on its way
            connection.sendall(sent)
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)


GET, POST, HOST = b"GET /healthz HTTP/1.1", b"POST /alert HTTP/1.1", b"Host: alert.test"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
RAW_REQUESTS = [
    ("one word", request_of(b"GARBAGE"), (400,)), ("two blanks", request_of(b"GET  /healthz  HTTP/1.1", HOST), (400,)),
    ("a method in small letters", request_of(b"get /healthz HTTP/1.1", HOST), (400,)),
    ("no colon", request_of(GET, HOST, b"nonsense"), (400,)), ("a blank before the colon", request_of(GET, b"Host : alert.test"), (400,)),
    ("NUL in the path", request_of(b"GET /a\x00b HTTP/1.1", HOST), (400,)),
    ("a byte that is not ASCII", request_of(b"GET /\xff HTTP/1.1", HOST), (400,)),
    ("a path that is not UTF-8", request_of(b"GET /%ff HTTP/1.1", HOST), (400,)),
    ("a line break in the path", request_of(b"GET /a%0d%0ab HTTP/1.1", HOST), (400,)),
    ("a doubled slash", request_of(b"GET //healthz HTTP/1.1", HOST), (400,)),
    ("a doubled slash inside", request_of(b"GET /management//gtg HTTP/1.1", HOST), (400,)),
    ("a broken host", request_of(b"GET http://[::1/healthz HTTP/1.1", HOST), (400,)),
    ("a long address", request_of(b"GET /" + b"a" * 9000 + b" HTTP/1.1", HOST), (400, 414)),
    ("a longer address", request_of(b"GET /" + b"a" * 20_000 + b" HTTP/1.1", HOST), (400, 414, 431)),
    ("a large header", request_of(GET, HOST, b"X-Large: " + b"a" * 20_000), (431,)),
    ("many headers", request_of(GET, HOST, *[b"X-Many: a"] * 3000), (431,)),
    ("a large body", request_of(POST, HOST, KEY, b"Content-Length: 1048577"), (413,)),
    ("a huge body", request_of(POST, HOST, KEY, b"Content-Length: 1" + b"0" * 30), (400, 413)),
    ("a large body in chunks", request_of(POST, HOST, KEY, CHUNKED, body=b"110000\r\n" + b" " * 0x110000 + b"\r\n0\r\n\r\n"), (413,)),
    ("a negative length", request_of(POST, HOST, KEY, b"Content-Length: -1"), (400,)),
    ("a length with a sign", request_of(POST, HOST, KEY, b"Content-Length: +1"), (400,)),
    ("a length in hexadecimal", request_of(POST, HOST, KEY, b"Content-Length: 0x2"), (400,)),
    ("two lengths", request_of(POST, HOST, KEY, b"Content-Length: 2", b"Content-Length: 42", body=BODY), (400,)),
    ("a chunk without a length", request_of(POST, HOST, KEY, CHUNKED, body=b"zz\r\n\r\n"), (400,)),
    ("a length and chunks", request_of(POST, HOST, KEY, b"Content-Length: 42", CHUNKED, body=CHUNKS), (400,)),      # these four let a
    ("chunks twice", request_of(POST, HOST, KEY, CHUNKED, CHUNKED, body=CHUNKS), (400,)),                          # proxy and a server
    ("no host", request_of(GET), (400,)), ("two hosts", request_of(GET, HOST, b"Host: other.test"), (400,)),        # read differently
    ("an unknown encoding of the body", request_of(POST, HOST, KEY, b"Transfer-Encoding: zip", body=BODY), (400, 501)),
    ("a query that is not UTF-8", request_of(b"GET /alerts?q=%ff HTTP/1.1", HOST, KEY), (400,)),
    ("an unknown method", request_of(b"BREW /healthz HTTP/1.1", HOST), (405,)),
    ("a key that is not ASCII", request_of(b"GET /alerts HTTP/1.1", HOST, b"Authorization: Key \xff\xfe"), (401,)),
]


@pytest.mark.parametrize(("sent", "statuses"), [row[1:] for row in RAW_REQUESTS], ids=[row[0].replace(" ", "-") for row in RAW_REQUESTS])
def test_malformed_requests_are_refused_in_json_by_the_real_server(listening: Server, sent: bytes, statuses: tuple[int, ...]) -> None:
    printed, total = len(listening.output()), listening.request("GET", "/alerts/count").json["total"]
    answer = talk(listening, sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.") == 1, answer
    assert int(head.split()[1]) in statuses, answer
    assert b"\r\nContent-Type: application/json\r\n" in head + b"\r\n"
    shown = json.loads(body)
    assert (shown["status"], shown["code"]) == ("error", int(head.split()[1]))
    assert sorted(shown) == ["code", "errors", "message", "requestId", "status"]
    lines = listening.output()[printed:].splitlines()
    assert len(lines) == 1 and "Traceback" not in lines[0]
    assert listening.request("GET", "/alerts/count").json["total"] == total
