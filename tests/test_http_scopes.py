"""Who may do what: every route with every scope, every way to present a key, and keys confined to one customer."""
from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from conftest import ADMIN_KEY, App, check_address, check_parts, plain_path, prefix_ends, told_parts

import alertlite

# The routes that each scope opens (contract 1.4, and spec/healthchecks.md 1.2). None is open to everybody, "any" to every
# caller that is somebody; [/] is with and without a slash, [/api] with and without that prefix.
ROUTES_OF = {
    None: "GET /, GET /_, GET /config, GET /management/gtg, GET /healthz, GET /api/v<version>/status[/], POST /api/v<version>/status[/],"
          " ANY /ping/<code>[/], ANY /ping/<code>/<action>, ANY /ping/<ping_key>/<slug>, ANY /ping/<ping_key>/<slug>/<action>,"
          " GET /badge/<badge_key>/<signature>.<form>, GET /badge/<badge_key>/<signature>/<tag>.<form>, GET /b/<states>/<badge_key>.<form>,"
          " GET [/api]/notification/config/eventtypes[/], GET [/api]/notification/config/healthcheck[/],"
          " GET [/api]/notification/events/healthcheck[/]",
    "any": "GET /user/me, PUT /user/me, GET /user/me/attributes, PUT /user/me/attributes",
    "read:alerts": "GET /alert/<ident>, GET /alert/<ident>/notes, GET /alerts, GET /alerts/count, GET /alerts/history, GET /alerts/groups,"
                   " GET /alerts/tags, GET /environments, GET /services, GET /alerts/top10, GET /alerts/top10/count,"
                   " GET /alerts/top10/flapping, GET /alerts/top10/standing, GET /alerts/topn/count, GET /alerts/topn/flapping,"
                   " GET /alerts/topn/standing, GET /api/alerts[/], GET /api/alerts/<ident>[/], GET /api/alerts/stats[/],"
                   " GET /api/stats/alerts[/]",
    "write:alerts": "POST /alert, PUT /alert/<ident>/status, POST /alert/<ident>/status, PUT /alert/<ident>/action, PUT /alert/<ident>/tag,"
                    " POST /alert/<ident>/tag, PUT /alert/<ident>/untag, POST /alert/<ident>/untag, PUT /alert/<ident>/attributes,"
                    " PUT /alert/<ident>/note, PUT /alert/<ident>/note/<note_id>, DELETE /alert/<ident>/note/<note_id>,"
                    " POST /api/alerts[/], POST /api/alerts/<ident>/close[/], POST /api/alerts/<ident>/acknowledge[/],"
                    " POST /api/alerts/<ident>/cancel_acknowledgment[/]",
    "delete:alerts": "DELETE /alert/<ident>, POST /alert/<ident>",
    "read:heartbeats": "GET /heartbeat/<ident>, GET /heartbeats",
    "write:heartbeats": "POST /heartbeat, DELETE /heartbeat/<ident>, POST /heartbeat/<ident>",
    "admin:users": "POST /user, GET /users, GET /user/<ident>, PUT /user/<ident>, DELETE /user/<ident>, POST /user/<ident>,"
                   " PUT /user/<ident>/attributes, GET /user/<ident>/groups",
    "read:keys": "GET /key/<ident:path>, GET /keys, GET /keys/<user>",
    "write:keys": "POST /key, PUT /key/<ident:path>",
    "admin:keys": "DELETE /key/<ident:path>, POST /key/<ident:path>",
    "read:management": "GET /management/manifest, GET /management/status, GET /management/metrics",
    "admin:management": "GET /management/housekeeping, POST /management/housekeeping",
    "read:checks": "GET /api/v<version>/checks[/], GET /api/v<version>/checks/<code>, GET /api/v<version>/checks/<unique_key>,"
                   " GET /api/v<version>/checks/<code>/flips[/], GET /api/v<version>/checks/<unique_key>/flips[/],"
                   " GET /api/v<version>/badges[/]",
    "write:checks": "POST /api/v<version>/checks[/], POST /api/v<version>/checks/<code>, DELETE /api/v<version>/checks/<code>,"
                    " POST /api/v<version>/checks/<code>/pause, POST /api/v<version>/checks/<code>/resume,"
                    " GET /api/v<version>/checks/<code>/pings[/], GET /api/v<version>/checks/<code>/pings/<number>/body,"
                    " GET /api/v<version>/channels[/]",
    "read:receivers": "GET [/api]/notification/config/receivers[/], GET [/api]/notification/config/receivers/<ident>[/],"
                      " GET [/api]/notification/config/receivers/<ident>/deliveries[/],"
                      " GET [/api]/notification/config/receivers_for_event/<name>[/]",
    "write:receivers": "POST [/api]/notification/config/receivers[/], PUT [/api]/notification/config/receivers/<ident>[/],"
                       " DELETE [/api]/notification/config/receivers/<ident>[/],"
                       " POST [/api]/notification/config/receivers/<ident>/test[/],"
                       " POST [/api]/notification/config/receivers/<ident>/replay[/]",
    "read:events": "GET [/api]/notification/events[/]",
    "write:events": "POST [/api]/notification/events[/], POST [/api]/notification/external/events[/],"
                    " POST [/api]/notification/testevent[/], POST [/api]/notification/slack/<instance>/<event_type>[/],"
                    " POST [/api]/notification/webhook/<instance>/<event_type>[/]",
}
SCOPE_OF = {tuple(address.split()): scope for scope, routes in ROUTES_OF.items() for route in routes.split(", ")
            for address in prefix_ends(route)}
CHECK_ROUTES = ("/api/v", "/ping/", "/badge/", "/b/")
NEEDING = sorted((scope, *place) for place, scope in SCOPE_OF.items() if scope not in (None, "any"))
# The scopes that exist (contract 5.2).
SCOPES = ["read", "write", "admin", "delete:alerts", "write:users", "admin:users", "write:webhooks", "read:oembed", "read:userinfo",
          *(f"{verb}:{noun}" for verb in ("read", "write", "admin")
            for noun in ("alerts", "blackouts", "heartbeats", "keys", "checks", "receivers", "events")),
          *(f"{verb}:{noun}" for verb in ("read", "admin") for noun in ("groups", "perms", "customers", "management"))]
# A body that every route with this ending takes; no role or scope beyond the caller's.
BODIES = {"/alert": {"resource": "web01", "event": "Scoped"}, "/heartbeat": {"origin": "scoped"},
          "/user": {"name": "N", "login": "scoped", "roles": ["none"]},
          "/key": {"user": "tester", "scopes": ["write:keys"]}, "/status": {"status": "ack"}, "/action": {"action": "ack"},
          "/tag": {"tags": ["a"]},
          "/untag": {"tags": ["a"]}, "/attributes": {"attributes": {"a": 1}}, "/note": {"text": "x"}, "/housekeeping": {},
          "/me": {"text": "x"}, "/receivers": {"type": "browser"}, "/events": {"type": "user_test", "instance_id": "default"},
          "/alerts": {"scope": "/api/projects/2/", "alert_type": "Scoped", "message": "m", "severity": "Info"}, "/<event_type>": {
              "text": "x", "alerts": [{"labels": {"alertname": "Scoped"}}]}}
NOTIFY_ROUTES, WALDUR_ROUTES = ("/notification/", "/api/notification/"), ("/api/alerts", "/api/stats")


def refusal(path: str, key: str | None, scope: str | None = None) -> tuple[int, Any]:
    """The status and body that a route refuses a key with, each API in its own words; scope: the one that the key lacks."""
    if path.startswith(CHECK_ROUTES):                # these tell no more than that the key is wrong (spec/healthchecks.md 1.4)
        return 401, {"error": "wrong api key" if key and len(key) == 32 else "missing api key"}
    if path.startswith(WALDUR_ROUTES):               # spec/waldur-alerts.md 1
        return (403, {"detail": "Permission denied."}) if scope else (401, {
            "detail": "Invalid token." if key else "Authentication credentials were not provided."})
    return (403, f"Missing required scope: {scope}") if scope else (401, None)


def told(answer: Any) -> tuple[int, Any]:
    """The status and what a refusal says; None for the words of a 401 that are free."""
    body = answer.json
    if isinstance(body, dict) and "requestId" in body:
        body = body["message"]
    return answer.status, None if answer.status == 401 and isinstance(body, str) else body


def grants(held: str, wanted: str) -> bool:
    """Contract 5.3, written down a second time: the scope itself, its bare verb, or a stronger verb of the same noun or bare."""
    verb, noun = wanted.split(":")
    stronger = {"read": ["read", "write", "admin"], "write": ["write", "admin"], "delete": ["delete", "write", "admin"],
                "admin": ["admin"]}[verb]
    return held in stronger or held in [f"{better}:{noun}" for better in stronger]


class World(App):
    """One of everything, and a key of each scope alone."""

    def __init__(self, path: Any):
        super().__init__(path)
        self.call("POST", "/user", {"id": "user-of-the-tests", "name": "Tester", "login": "tester"})
        self.keys = {scope: self.make_key(scope) for scope in SCOPES}
        self.stock()

    def stock(self) -> None:
        """Makes what the routes are about, where a test has deleted it."""
        self.call("POST", "/alert", {"id": "alert-of-the-tests", "resource": "web00", "event": "Stocked", "severity": "major"})
        self.call("POST", "/heartbeat", {"id": "heartbeat-of-the-tests", "origin": "stocked"})
        self.call("POST", "/user", {"id": "user-to-delete", "name": "N", "login": "stocked", "roles": ["none"]})
        self.call("POST", "/key", {"id": "key-of-the-tests", "user": "tester", "scopes": ["read"]})
        notes = self.get("/alert/alert-of-the-tests/notes")["notes"]
        note = notes[0]["id"] if notes else self.call("PUT", "/alert/alert-of-the-tests/note", {"text": "x"}).json["id"]
        self.parts = {"alert": "alert-of-the-tests", "heartbeat": "heartbeat-of-the-tests", "user": "user-to-delete",
                      "key": "key-of-the-tests", "keys": "tester", "note": note}
        self.check_parts = check_parts(self)
        self.parts.update(told_parts(self))

    def request(self, method: str, path: str, **more: Any) -> Any:
        """A request of a route that is right but for who sends it."""
        if path.startswith(CHECK_ROUTES):
            return self.call("GET" if method == "ANY" else method, check_address(path, self.check_parts), **more)
        words = path.split("/")
        address = "/".join(self.parts[words[place - 1]] if word.startswith("<") else word for place, word in enumerate(words))
        last = re.sub("/<[^>]*>$", "", path)
        body = BODIES.get("/" + path.rstrip("/").split("/")[-1])
        if path.startswith(NOTIFY_ROUTES) and method == "PUT":
            body = {"id": self.parts["receivers"], "instance_id": "default", "type": "browser"}
        elif last != path and not path.startswith(NOTIFY_ROUTES + WALDUR_ROUTES):
            body = {"text": "x"} if method == "PUT" else {"_method": "delete"}
        return self.call(method, address, None if method in ("GET", "DELETE") else body, **more)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    world = World(tmp_path_factory.mktemp("scopes") / "alertlite.db")
    yield world
    world.close()


# --- scopes

def test_every_route_has_the_scope_that_the_contract_gives_it() -> None:
    found = {(method, plain_path(entry.path)): entry.scope for entry in alertlite.ROUTES for method in entry.methods}
    assert {place: (found.get(place, "no route"), SCOPE_OF.get(place, "not in the table")) for place in found.keys() | SCOPE_OF.keys()
            if found.get(place, "no route") != SCOPE_OF.get(place, "not in the table")} == {}


def test_only_these_routes_are_open(world: World) -> None:
    found = {(method, path) for method, path in SCOPE_OF if world.request(method, path, key=None).status != 401}
    status, notify = "/api/v<version>/status", "[/api]/notification/"
    assert {place for place in found if not place[1].startswith(("/ping/", "/badge/", "/b/"))} == {
        ("GET", "/"), ("GET", "/_"), ("GET", "/config"), ("GET", "/management/gtg"), ("GET", "/healthz"),
        *((method, status + end) for method in ("GET", "POST") for end in ("", "/")),
        *(("GET", path) for name in ("config/eventtypes", "config/healthcheck", "events/healthcheck")
          for path in prefix_ends(f"{notify}{name}[/]"))}
    assert {path for _, path in SCOPE_OF if path.startswith(("/ping/", "/badge/", "/b/"))} == {
        path for _, path in found if path.startswith(("/ping/", "/badge/", "/b/"))}


def test_the_scopes_that_exist_are_those_of_the_contract() -> None:
    assert sorted(alertlite.SCOPES) == sorted(SCOPES) and len(SCOPES) == 38


@pytest.mark.parametrize(("scope", "method", "path"), NEEDING)
def test_a_route_serves_exactly_those_whose_scope_grants_it(world: World, scope: str, method: str, path: str) -> None:
    world.stock()
    before = world.stored()
    has_challenge = not path.startswith((*CHECK_ROUTES, *NOTIFY_ROUTES))
    for key in (None, "unknown-key-0123456789abcdef", "x" * 32, ""):
        answer = world.request(method, path, key=key)
        assert (*told(answer), "WWW-Authenticate" in answer.headers) == (*refusal(path, key), has_challenge), key
    refusing = [held for held in SCOPES if not grants(held, scope)]
    assert refusing
    for held in refusing:
        answer = world.request(method, path, key=world.keys[held])
        assert told(answer) == refusal(path, "x" * 32, scope), held
    assert world.stored() == before
    for held in [scope, *(held for held in SCOPES if grants(held, scope) and held != scope)]:
        answer = world.request(method, path, key=world.keys[held])
        assert answer.status not in (401, 403) and answer.status < 500, (held, answer)


@pytest.mark.parametrize(("scope", "method", "path"), [row for row in NEEDING if row[2].startswith("/api/v")])
def test_a_route_of_checks_judges_a_key_in_its_own_header_alike(world: World, scope: str, method: str, path: str) -> None:
    world.stock()
    before = world.stored()
    for held in [held for held in SCOPES if not grants(held, scope)]:
        assert world.request(method, path, key=None, headers={"X-Api-Key": world.keys[held]}).status == 401, held
    for headers in ({"X-Api-Key": ""}, {"X-Api-Key": "x" * 32}, {"X-Api-Key": "x" * 32, "Authorization": f"Key {ADMIN_KEY}"}):
        assert world.request(method, path, key=None, headers=headers).status == 401, headers
    if method == "POST":                             # a key in the body, where the header does not say otherwise (contract 1.4)
        for body in ({"api_key": "x" * 32}, {"api_key": world.keys["read:checks"]}, {"api_key": None}, {"api_key": ["x"]}):
            assert world.request(method, path, key=None, body=body).status == 401, body
        assert world.request(method, path, key=None, body={"api_key": ADMIN_KEY}, headers={"X-Api-Key": ""}).status == 401
    assert world.stored() == before
    granted = [{"headers": {"X-Api-Key": world.keys[scope]}}]
    granted += [{"body": {"api_key": world.keys[scope]}}] if method == "POST" else []
    for more in granted:
        answer = world.request(method, path, key=None, **more)
        assert answer.status not in (401, 403) and answer.status < 500, (more, answer)


@pytest.mark.parametrize(("method", "path"), [place for place, scope in SCOPE_OF.items() if scope == "any"])
def test_a_route_for_anybody_still_needs_somebody(world: World, method: str, path: str) -> None:
    before = world.stored()
    assert world.request(method, path, key=None).status == world.request(method, path, key="unknown").status == 401
    assert world.stored() == before


def test_a_key_may_not_make_a_key_of_more_than_its_own_rights(world: World) -> None:
    before = world.stored()
    for scope in ("admin", "read", "write", "admin:keys", "write:alerts", "read:alerts"):
        for method, path in (("POST", "/key"), ("PUT", "/key/key-of-the-tests")):
            answer = world.call(method, path, {"scopes": ["write:keys", scope], "user": "tester"}, key=world.keys["write:keys"])
            assert answer.status == 403, (scope, answer)
    assert world.call("POST", "/key", {"type": "read-write"}, key=world.keys["write:keys"]).status == 403
    assert world.stored() == before
    made = world.call("POST", "/key", {"user": "admin", "scopes": ["read:keys"]}, key=world.keys["write:keys"]).json["data"]
    assert (made["user"], made["scopes"]) == ("tester", ["read:keys"])      # nobody but an administrator names another user


@pytest.mark.parametrize("body", [{"roles": ["admin"]}, {"roles": ["user"]}, {"role": "admin"}, {"roles": ["none", "guest"]}])
def test_a_user_may_not_be_given_roles_beyond_the_giver_s_rights(world: World, body: dict) -> None:
    before = world.stored()
    assert world.call("POST", "/user", {"name": "N", "login": "risen", "roles": ["admin"], **body},
                      key=world.keys["admin:users"]).status == 403
    assert world.call("PUT", "/user/user-to-delete", body, key=world.keys["admin:users"]).status == 403
    assert world.stored() == before


def test_a_weak_key_cannot_become_the_user_it_belongs_to(app: App) -> None:
    key = app.make_key("read:alerts", user="admin")
    answer = app.call("PUT", "/user/me", {"password": "chosen by the key's holder", "email": "holder@evil.test"}, key=key)
    assert answer.status == 404, answer              # contract 1.10: behind a key there is no user
    assert app.call("GET", "/keys", key=None, headers=basic("admin:chosen by the key's holder")).status == 401


def test_keys_of_others_are_neither_seen_nor_changed(world: World) -> None:
    world.call("POST", "/key", {"id": "key-of-the-admin", "user": "admin", "scopes": ["read"]})
    before = world.stored()
    reader, writer = world.make_key("read", user="mallory"), world.make_key("write", user="mallory")
    assert world.call("GET", "/key/key-of-the-admin", key=reader).status == 404
    assert world.call("GET", "/keys/admin", key=reader).status in (403, 404)
    assert {key["user"] for key in world.get("/keys", key=reader)["keys"]} == {"mallory"}
    assert world.call("PUT", "/key/key-of-the-admin", {"text": "mine"}, key=writer).status == 404
    assert world.call("DELETE", "/key/key-of-the-admin", key=writer).status == 403
    assert [row for row in world.stored()["api_keys"] if "mallory" not in row] == before["api_keys"]


# --- how a key is presented (contract 5.1)

def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


FORMS = [lambda key: ({"Authorization": f"Key {key}"}, ""), lambda key: ({"Authorization": f"Token {key}"}, ""),
         lambda key: ({"Authorization": f"Bearer {key}"}, ""),
         lambda key: ({"X-API-Key": key}, ""), lambda key: ({}, f"?api-key={key}")]


@pytest.mark.parametrize("form", FORMS, ids=["key", "token", "bearer", "header", "parameter"])
def test_every_form_of_a_key_is_accepted_and_checked(app: App, form: Any) -> None:
    def ask(key: str, method: str = "GET", path: str = "/alerts", body: Any = None) -> int:
        headers, query = form(key)
        return app.call(method, path + query, body, key=None, headers=headers).status

    report = {"resource": "web01", "event": "Presented"}
    reader = app.make_key("read")
    assert ask(ADMIN_KEY) == ask(reader) == 200
    assert ask(ADMIN_KEY, "POST", "/alert", report) == 201
    assert ask(reader, "POST", "/alert", report) == 403
    for wrong in ("wrong", ADMIN_KEY[:-1], ADMIN_KEY + "x", ADMIN_KEY.upper(), "\xe9" * 20):
        assert ask(wrong) == ask(wrong, "POST", "/alert", report) == 401
    used = {key["id"]: key for key in app.get("/keys")["keys"]}
    assert any(key["count"] == 2 and key["lastUsedTime"] for key in used.values())     # also where it was refused


@pytest.mark.parametrize(("headers", "query", "reason"), [
    ({"Authorization": "Key wrong", "X-API-Key": ADMIN_KEY}, "", "the Authorization header is the first to be looked at"),
    ({"X-API-Key": "wrong"}, f"?api-key={ADMIN_KEY}", "then the X-API-Key header"),
    ({"Authorization": "Key wrong"}, f"?api-key={ADMIN_KEY}", "then the parameter"), ({"Authorization": "Key"}, "", "no key"),
    ({"Authorization": "Key "}, f"?api-key={ADMIN_KEY}", "an empty key"), ({"X-API-Key": ""}, "", "an empty header"),
    ({}, "?api-key=", "an empty parameter"), ({"Authorization": ADMIN_KEY}, "", "no kind"),
    ({"Authorization": f"Hawk id={ADMIN_KEY}"}, "", "another kind"),
])
def test_a_wrong_key_is_not_made_good_by_another(app: App, headers: dict, query: str, reason: str) -> None:
    assert app.call("GET", "/alerts" + query, key=None, headers=headers).status == 401, reason


def test_a_key_in_its_own_header_comes_before_a_password_that_a_proxy_added(app: App) -> None:
    assert app.call("GET", "/alerts", key=None, headers={**basic("proxy:password"), "X-API-Key": ADMIN_KEY}).status == 200


def test_a_password_signs_in_its_user_and_nobody_else(app: App) -> None:
    body = {"name": "Ann", "login": "ann", "email": "ann@edge.test", "password": "pass:word ü", "roles": ["user"]}
    user = app.call("POST", "/user", body).json["user"]
    assert "password" not in json.dumps(user)
    assert app.call("GET", "/alerts", key=None, headers=basic("ann:pass:word ü")).status == 200
    assert app.get("/user/me", key=None, headers=basic("ann@edge.test:pass:word ü"))["user"]["login"] == "ann"
    assert app.call("GET", "/users", key=None, headers=basic("ann:pass:word ü")).json["message"] == "Missing required scope: admin:users"
    alert = app.call("POST", "/alert", {"resource": "a", "event": "b"}, key=None, headers=basic("ann:pass:word ü")).json["alert"]
    assert alert["history"][0]["user"] == "ann"
    for wrong in ("ann:wrong", "nobody:pass:word ü"):
        answer = app.call("GET", "/alerts", key=None, headers=basic(wrong))
        assert (answer.status, answer.headers["WWW-Authenticate"].startswith("Basic realm=")) == (401, True), wrong
    for broken in ("Basic", "Basic !!!", "Basic YW5u", "Basic /w=="):
        assert app.call("GET", "/alerts", key=None, headers={"Authorization": broken}).status == 400, broken
    for _ in range(2):                               # before it is written, which happens once a minute, and afterwards
        assert app.get(f"/user/{user['id']}")["user"]["lastLogin"] == alertlite.text_from_ms(app.clock.ms)
        app.engine.flush_uses()
        app.engine.sign_ins.clear()
    app.call("PUT", f"/user/{user['id']}", {"status": "inactive"})
    assert app.call("GET", "/alerts", key=None, headers=basic("ann:pass:word ü")).status == 401


def test_a_key_ends_with_its_time_its_user_or_by_itself(app: App) -> None:
    user = app.call("POST", "/user", {"name": "Ann", "login": "ann"}).json["id"]
    body = {"user": "ann", "scopes": ["read"]}
    expiring = app.call("POST", "/key", {**body, "expireTime": "2030-01-01T00:01:00.000Z"}).json["key"]
    kept, revoked = (app.call("POST", "/key", body).json for _ in range(2))
    assert [app.call("GET", "/alerts", key=key).status for key in (expiring, kept["key"], revoked["key"])] == [200, 200, 200]
    app.clock.advance(60)
    assert app.call("GET", "/alerts", key=expiring).status == 401
    app.call("DELETE", f"/key/{revoked['data']['id']}")
    assert app.call("GET", "/alerts", key=revoked["key"]).status == 401
    app.call("PUT", f"/user/{user}", {"status": "inactive"})
    assert app.call("GET", "/alerts", key=kept["key"]).status == 401
    app.call("PUT", f"/user/{user}", {"status": "active"})
    assert app.call("GET", "/alerts", key=kept["key"]).status == 200
    app.call("DELETE", f"/user/{user}")
    assert app.call("GET", "/alerts", key=kept["key"]).status == 401


# --- without authentication

def test_everybody_may_do_everything_while_authentication_is_off(tmp_path: Any) -> None:
    class Open(World):
        def __init__(self, path: Any):
            App.__init__(self, path, auth="off")
            self.call("POST", "/user", {"id": "user-of-the-tests", "name": "Tester", "login": "tester"}, key=None)

    world = Open(tmp_path / "alertlite.db")
    try:
        for method, path in SCOPE_OF:
            world.stock()
            answer = world.request(method, path, key=None)
            assert answer.status not in (401, 403) and answer.status < 500, (method, path, answer)
        assert world.call("POST", "/key", {"user": "anybody", "scopes": ["admin"]}, key=None).status == 201
    finally:
        world.close()


@pytest.mark.parametrize("form", FORMS, ids=["key", "token", "bearer", "header", "parameter"])
def test_a_presented_key_is_checked_while_authentication_is_off(make_app: Any, form: Any) -> None:
    app = make_app(auth="off")
    reader = app.make_key("read")
    for key, expected in (("wrong", (401, 401)), (reader, (200, 403)), (ADMIN_KEY, (200, 201))):
        headers, query = form(key)
        asked = app.call("GET", "/alerts" + query, key=None, headers=headers).status
        assert (asked, app.call("POST", "/alert" + query, {"resource": "a", "event": "b"}, key=None, headers=headers).status) == expected


def test_a_presented_password_is_checked_while_authentication_is_off(make_app: Any) -> None:
    assert make_app(auth="off").call("GET", "/alerts", key=None, headers=basic("nobody:nothing")).status == 401


# --- customers (contract 5.5)

OURS, THEIRS, NOBODYS = "alert-of-acme-1", "alert-of-other-1", "alert-of-nobody-1"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Three alerts and heartbeats: of acme, of another customer, of none; app.key is confined to acme."""
    app = App(tmp_path_factory.mktemp("customers") / "alertlite.db")
    for ident, customer in ((OURS, "acme"), (THEIRS, "other"), (NOBODYS, None)):
        place = ident.split("-")[2]
        app.post_alert(id=ident, resource=f"host-{place}", environment=f"env-{place}", service=[f"svc-{place}"], group=f"group-{place}",
                       tags=[f"tag-{place}"],
                       customer=customer, event=f"Event-{place}")
        app.post_alert(id=ident + "-x", resource=f"host-{place}", environment=f"env-{place}", service=[f"svc-{place}"], customer=customer,
                       event=f"Event-{place}",
                       severity="critical")
        app.call("PUT", f"/alert/{ident}/note", {"text": f"note-{place}"})
        app.call("POST", "/heartbeat", {"id": ident.replace("alert", "heartbeat"), "origin": f"host-{place}", "customer": customer})
    app.key = app.make_key("read", "write", customer="acme")
    yield app
    app.close()


QUESTIONS = ["/alerts", "/alerts?show-history=1", "/alerts/count", "/alerts/history", "/alerts/top10", "/alerts/top10/count",
             "/alerts/top10/flapping",
             "/alerts/top10/standing", "/alerts/topn/count", "/environments", "/services", "/alerts/groups", "/alerts/tags", "/heartbeats"]
NARROWED = ["", "customer=acme", "customer=other", "customer=acme&customer=other", "customer!=acme", "customer=~o", "customer=",
            "status=open", "severity!=x", "sort-by=customer",
            "q=customer:other", "q=resource:host", "q=NOT%20customer:acme", "environment=env-other", "service=svc-other", "resource=~host",
            "id=alert-of", "group-by=customer"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_confined_key_is_told_of_its_customer_only(shared: App, question: str) -> None:
    told_something = 0
    for query in NARROWED:
        if "heartbeats" in question and not query.startswith(("customer", "status")):
            continue
        answer = shared.call("GET", question + ("&" if "?" in question else "?") + query, key=shared.key)
        assert answer.status == 200, (query, answer)
        for word in (b"-other", b"-nobody"):
            assert word not in answer.body, (query, answer)
        told_something += b"-acme" in answer.body
    assert told_something > 0 or question == "/alerts/count"


@pytest.mark.parametrize(("query", "total"), [("", 1), ("customer=acme", 1), ("customer=other", 0), ("customer=", 0), ("customer!=acme", 0),
                                              ("customer=acme&customer=other", 1),
                                              ("service=svc-other", 0), ("service=svc-acme", 1), ("q=host", 0), ("q=resource:host", 1),
                                              ("environment=env-nobody", 0)])
def test_a_confined_key_counts_its_customer_only(shared: App, query: str, total: int) -> None:
    assert shared.get(f"/alerts/count?{query}", key=shared.key)["total"] == total
    assert shared.get(f"/alerts?{query}", key=shared.key)["total"] == total
    assert sum(shared.get(f"/alerts/count?{query}", key=shared.key)["severityCounts"].values()) == total
    assert sum(group["count"] for group in shared.get(f"/environments?{query}", key=shared.key)["environments"]) == total
    assert sum(group["count"] for group in shared.get(f"/services?{query}", key=shared.key)["services"]) == total
    assert sum(group["count"] for group in shared.get(f"/alerts/groups?{query}", key=shared.key)["groups"]) == total


CHANGES = [("PUT", "/status", {"status": "ack"}), ("POST", "/status", {"status": "ack"}), ("PUT", "/action", {"action": "ack"}),
           ("PUT", "/tag", {"tags": ["x"]}), ("POST", "/tag", {"tags": ["x"]}), ("PUT", "/untag", {"tags": ["tag-other"]}),
           ("POST", "/untag", {"tags": ["tag-other"]}), ("PUT", "/attributes", {"attributes": {"a": 1}}), ("PUT", "/note", {"text": "x"}),
           ("PUT", "/note/{note}", {"text": "x"}), ("DELETE", "/note/{note}", None),
           ("GET", "/notes", None), ("GET", "", None), ("DELETE", "", None), ("POST", "", {"_method": "delete"})]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_confined_key_reaches_no_alert_of_others(shared: App, method: str, path: str, body: Any) -> None:
    before = World.stored(shared)
    for ident in (THEIRS, NOBODYS, THEIRS + "-x", NOBODYS + "-x", THEIRS[:14]):
        note = shared.get(f"/alert/{ident if len(ident) > 14 else THEIRS}/notes")["notes"][0]["id"]
        answer = shared.call(method, f"/alert/{ident}" + path.format(note=note), body, key=shared.key)
        assert (answer.status, answer.json["message"]) == (404, "not found"), ident
        if "{note}" in path:                            # nor by way of an alert that it may reach
            assert shared.call(method, f"/alert/{OURS}" + path.format(note=note), body, key=shared.key).status == 404
    assert World.stored(shared) == before


def test_a_confined_key_reaches_its_own_alerts(shared: App) -> None:
    note = shared.get(f"/alert/{OURS}/notes", key=shared.key)["notes"][0]["id"]
    for method, path, body in CHANGES[:10]:
        answer = shared.call(method, f"/alert/{OURS}" + path.format(note=note), body, key=shared.key)
        assert answer.status in (200, 201) or (path, answer.status) == ("/action", 409), (path, answer)
    assert shared.get(f"/alert/{OURS}", key=shared.key)["alert"]["customer"] == "acme"


def test_a_confined_key_reaches_no_heartbeat_of_others(shared: App) -> None:
    before = World.stored(shared)
    for ident in ("heartbeat-of-other-1", "heartbeat-of-nobody-1", "heartbeat-of-other"):
        for method, body in (("GET", None), ("DELETE", None), ("POST", {"_method": "delete"})):
            assert shared.call(method, f"/heartbeat/{ident}", body, key=shared.key).status == 404
    assert World.stored(shared) == before
    assert shared.get("/heartbeat/heartbeat-of-acme-1", key=shared.key)["heartbeat"]["customer"] == "acme"


@pytest.mark.parametrize(("path", "name", "body"), [("/alert", "alert",
                                                     {"resource": "host-other", "environment": "env-other", "event": "Event-other",
                                                      "severity": "minor"}),
                                                    ("/heartbeat", "heartbeat", {"origin": "host-other"})])
def test_what_a_confined_key_reports_is_its_customer_s(app: App, path: str, name: str, body: dict) -> None:
    app.call("POST", path, {**body, "customer": "other"})
    key = app.make_key("write", customer="acme")
    before = World.stored(app)
    assert app.call("POST", path, {**body, "customer": "other"}, key=key).status == 400
    assert World.stored(app) == before
    mine = [app.call("POST", path, {**body, **more}, key=key).json[name] for more in ({}, {"customer": "acme"})]
    assert [(found["customer"], found["id"]) for found in mine] == [("acme", mine[0]["id"])] * 2
    found = {row["customer"]: row for row in app.get(path + "s")[name + "s"]}
    assert set(found) == {"other", "acme"} and found["other"]["id"] != found["acme"]["id"]


@pytest.mark.parametrize("path", ["/users", "/user/{id}", "/user/{id}/groups"])
def test_a_confined_key_sees_no_users_as_they_are_everybodys(app: App, path: str) -> None:
    user = app.call("POST", "/user", {"name": "Ann", "login": "ann@other.test"}).json["id"]
    key = app.make_key("admin", "read", "write", customer="acme")
    answer = app.call("GET", path.format(id=user), key=key)
    assert answer.status == 403 and "confined to customer acme" in answer.json["message"], answer


def test_a_confined_key_makes_no_key_of_wider_reach(app: App) -> None:
    key = app.make_key("admin", "read", "write", customer="acme")
    assert app.call("POST", "/key", {"user": "tester", "customer": "other"}, key=key).status == 400
    made = app.call("POST", "/key", {"user": "tester", "scopes": ["read"]}, key=key).json["data"]
    assert made["customer"] == "acme"
    assert app.call("PUT", f"/key/{made['id']}", {"customer": "other"}, key=key).status == 400
    app.call("PUT", f"/key/{made['id']}", {"customer": None, "text": "changed"}, key=key)
    assert app.get(f"/key/{made['id']}")["key"]["customer"] == "acme"
