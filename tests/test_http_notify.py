"""The notification API as its clients see it: event types, receivers and events over HTTP, each answer and each refusal."""
from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import pytest
from conftest import Answer, App

import alertlite

NOBODY = "00000000-0000-4000-8000-000000000000"      # no receiver has this id
PREFIXES = ("/notification", "/api/notification")
MORNING = "2030-01-01T00:00:00.000Z"                 # when the clock of the tests begins
POSTED = json.loads((pathlib.Path(__file__).parent / "wire" / "alertmanager.json").read_text(encoding="utf-8"))

# What an operator's file may add: everything that an event type can be.
MORE_TYPES = [
    {"name": "info", "display_name": "Info", "description": "Good to know.", "default_receiver_types": ["email", "slack"]},
    {"name": "critical", "display_name": "Critical", "default_receiver_types": ["email", "browser"]},
    {"name": "quiet"},
    {"name": "flag1", "default_receiver_types": ["browser"], "feature_flag": "flag1"},
    {"name": "flag2", "default_receiver_types": ["browser", "email"], "feature_flag": "FLAG2"},
    {"name": "onboarding_started", "default_receiver_types": ["email"], "hide_ui_config": True, "hidden_receiver_types": ["slack"]},
]


def ask(app: App, method: str, path: str, body: Any = None, *, instance: str | None = None, flags: str | None = None, **more: Any) -> Answer:
    """One request below the prefix. instance: the header X-Scope-OrgID; flags: X-FeatureFlags."""
    headers = {**({"X-Scope-OrgID": instance} if instance is not None else {}), **({"X-FeatureFlags": flags} if flags is not None else {})}
    return app.call(method, f"/notification{path}", body, headers=headers, **more)


def good(answer: Answer, status: int = 200) -> Any:
    """The JSON of an answer that must be a success."""
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json"), answer
    return answer.json


def is_refused(answer: Answer, status: int, *words: str) -> bool:
    """Whether it is a refusal: the status, and a JSON string that has these words."""
    said = answer.json
    return (answer.status, answer.headers["Content-Type"]) == (status, "application/json") and isinstance(said, str) \
        and bool(said) and all(word in said for word in words)


def create(app: App, kind: str = "browser", address: Any = None, **more: Any) -> str:
    """The id of a new receiver."""
    fields = {name: more.pop(name) for name in ("name", "fallback", "remind_every") if name in more}
    return good(ask(app, "POST", "/config/receivers", {"type": kind, "address_data": address, **fields}, **more), 201)


def show(app: App, ident: str, **more: Any) -> Any:
    return good(ask(app, "GET", f"/config/receivers/{ident}", **more))


def listed(app: App, **more: Any) -> list[Any]:
    return good(ask(app, "GET", "/config/receivers", **more))


def update(app: App, ident: str, *, instance: str | None = None, flags: str | None = None, **changes: Any) -> Answer:
    """A PUT of the receiver as it is shown, but for these changes; of the list's two names only eventTypes."""
    body = show(app, ident, instance=instance)
    del body["event_types"]
    return ask(app, "PUT", f"/config/receivers/{ident}", {**body, **changes}, instance=instance, flags=flags)


def post(app: App, type_: str = "user_test", instance: str = "default", **fields: Any) -> str:
    """The id of an event that was posted."""
    return good(ask(app, "POST", "/events", {"type": type_, "instance_id": instance, **fields}, instance=instance))["id"]


def events(app: App, query: str = "", **more: Any) -> list[Any]:
    return good(ask(app, "GET", f"/events{query}", **more))


def deliveries(app: App, ident: str, query: str = "") -> list[Any]:
    return good(ask(app, "GET", f"/config/receivers/{ident}/deliveries{query}"))


@pytest.fixture
def typed(app: App, tmp_path: pathlib.Path) -> App:
    """The application with the event types of a file."""
    add_types(app, tmp_path, MORE_TYPES)
    return app


def add_types(app: App, folder: pathlib.Path, types: Any) -> None:
    """A start of the server with this file of event types."""
    file = folder / "event-types.json"
    file.write_text(json.dumps(types), encoding="utf-8")
    app.engine = alertlite.Engine(app.store, app.clock, app.settings, alertlite.read_event_types(str(file)))
    app.api = alertlite.Api(app.engine, app.settings)


# ------------------------------------------------------------------------------------------------- what all answers share

@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_both_prefixes_with_and_without_a_slash_are_the_same_api(app: App, prefix: str, end: str) -> None:
    def at(method: str, path: str, body: Any = None) -> Answer:
        return app.call(method, f"{prefix}{path}{end}", body)

    ident = good(at("POST", "/config/receivers", {"type": "browser"}), 201)
    other = create(app, "email", "a@b.test")
    body = {"id": ident, "instance_id": "default", "type": "browser", "eventTypes": ["user_test"]}
    assert good(at("PUT", f"/config/receivers/{ident}", body)) is None
    assert good(at("GET", f"/config/receivers/{ident}"))["eventTypes"] == ["user_test"]
    assert [receiver["id"] for receiver in good(at("GET", "/config/receivers"))] == [ident, other]
    assert [receiver["id"] for receiver in good(at("GET", "/config/receivers_for_event/user_test"))] == [ident, other]
    posted = good(at("POST", "/events", {"type": "user_test", "instance_id": "default"}))["id"]
    also = good(at("POST", "/external/events", {"type": "user_test", "instance_id": "default"}))["id"]
    tested, sent = good(at("POST", "/testevent")), good(at("POST", f"/config/receivers/{ident}/test"))["id"]
    slack = good(at("POST", "/slack/default/user_test", {"text": "x"}))["id"]
    monitor = good(at("POST", "/webhook/default/monitor", {"alerts": [{"labels": {"alertname": "A"}}]}))["id"]
    shown = [event["id"] for event in good(at("GET", "/events"))]
    assert {posted, also, tested, sent, slack, monitor} <= set(shown) and len(set(shown)) == len(shown)
    assert {row["event"]["id"] for row in good(at("GET", f"/config/receivers/{ident}/deliveries"))} >= {posted, also, tested, sent, slack}
    assert good(at("POST", f"/config/receivers/{ident}/replay")) == {"replayed": 0}
    assert good(at("DELETE", f"/config/receivers/{ident}")) is None
    assert is_refused(at("GET", f"/config/receivers/{ident}"), 404)
    assert len(good(at("GET", "/config/eventtypes"))) == len(alertlite.EVENT_TYPES)
    for name in ("config", "events"):
        assert (at("GET", f"/{name}/healthcheck").status, at("GET", f"/{name}/healthcheck").body) == (200, b"")


@pytest.mark.parametrize(("method", "path", "raw", "status", "reason"), [
    ("GET", "/config/receivers", b"", 401, "part 10, 14: without a key there is no tenant"), ("GET", "/events", b"", 401, "nor here"),
    ("POST", "/events", b"{", 401, "before the body"), ("POST", "/config/receivers", b"{", 401, "before the body"),
    ("PUT", f"/config/receivers/{NOBODY}", b"", 401, "before what it names"), ("POST", "/testevent", b"", 401, "an intake route"),
    ("POST", "/slack/default/user_test", b"{}", 401, "an intake route"), ("GET", "/nothing", b"", 404, "no such route"),
    ("PATCH", "/config/receivers", b"", 405, "another method"), ("DELETE", "/events", b"", 405, "events are never deleted"),
    ("POST", "/config/eventtypes", b"{}", 405, "event types come from a file"), ("GET", "/testevent", b"", 405, "only POST"),
])
def test_who_is_nobody_is_refused_in_a_json_string(app: App, method: str, path: str, raw: bytes, status: int, reason: str) -> None:
    before = app.stored()
    assert is_refused(ask(app, method, path, key=None, raw=raw), status), reason
    assert app.stored() == before


BODIES = [(b"", "nothing"), (b"{", "cut off"), (b"null", "null"), (b"[]", "a list"), (b'["browser"]', "a list"), (b'"browser"', "a text"),
          (b"type=browser", "a form"), (b'{"type": "browser"} {}', "two values"), (b"\xff", "not UTF-8"),
          (b'{"type": "browser", "type": "x"}', "twice")]


@pytest.mark.parametrize(("raw", "reason"), BODIES)
def test_a_body_that_is_no_object_is_refused_everywhere_and_changes_nothing(app: App, raw: bytes, reason: str) -> None:
    ident = create(app)
    before = app.stored()
    for method, path in (("POST", "/config/receivers"), ("PUT", f"/config/receivers/{ident}"), ("POST", "/events"), ("POST", "/external/events"),
                         ("POST", "/slack/default/user_test"), ("POST", "/webhook/default/monitor")):
        assert is_refused(ask(app, method, path, raw=raw), 400), (path, reason)
    assert app.stored() == before


def test_the_content_type_does_not_matter_and_unknown_keys_are_ignored(app: App) -> None:
    answer = app.call("POST", "/notification/config/receivers", {"type": "browser", "colour": "red", "Type": 5},
                      headers={"Content-Type": "text/plain"})
    assert answer.status == 201 and "colour" not in show(app, answer.json)


# ---------------------------------------------------------------------------------------------------------- event types

def test_the_built_in_event_types_are_public_and_in_their_order(app: App) -> None:
    shown = good(ask(app, "GET", "/config/eventtypes", key=None))
    assert [kind["name"] for kind in shown] == list(alertlite.EVENT_TYPES)
    for kind in shown:
        assert set(kind) == {"name", "display_name", "description", "default_receiver_types", "hide_ui_config", "hidden_receiver_types"}
        assert kind["display_name"] and kind["description"] and (kind["hide_ui_config"], kind["hidden_receiver_types"]) == (False, [])
        assert kind["default_receiver_types"] == ([] if kind["name"] in alertlite.NOT_BY_DEFAULT else list(alertlite.KINDS))


def test_the_types_of_a_file_follow_with_all_their_keys_from_the_first_start(typed: App) -> None:
    shown = {kind["name"]: kind for kind in good(ask(typed, "GET", "/config/eventtypes", key=None, flags="flag1 flag2"))}
    assert list(shown) == [*alertlite.EVENT_TYPES, *(kind["name"] for kind in MORE_TYPES)]
    assert shown["info"] == {"name": "info", "display_name": "Info", "description": "Good to know.", "default_receiver_types": ["email", "slack"],
                             "hide_ui_config": False, "hidden_receiver_types": []}
    assert shown["quiet"] == {"name": "quiet", "display_name": "quiet", "description": "", "default_receiver_types": [], "hide_ui_config": False,
                              "hidden_receiver_types": []}
    assert shown["onboarding_started"]["hide_ui_config"] is True and shown["onboarding_started"]["hidden_receiver_types"] == ["slack"]
    assert shown["flag1"]["feature_flag"] == "flag1", "only where there is one"


@pytest.mark.parametrize(("flags", "seen", "reason"), [
    (None, [], "no header: all are hidden"), ("", [], "none named"), ("flag1", ["flag1"], "one"), ("flag1 flag2", ["flag1", "flag2"], "two"),
    ("other  flag2", ["flag2"], "more blanks, an unknown one"), ("FLAG1", ["flag1"], "names are put in small letters"),
    ("flag1,flag2", [], "commas do not separate"), ("flag", [], "a part of one"),
])
def test_a_flagged_type_is_listed_to_who_names_its_flag(typed: App, flags: str | None, seen: list, reason: str) -> None:
    shown = good(ask(typed, "GET", "/config/eventtypes", key=None, flags=flags))
    assert [kind["name"] for kind in shown if kind["name"].startswith("flag")] == seen, reason
    assert "onboarding_started" in [kind["name"] for kind in shown], "hide_ui_config is a hint for pages"


def test_a_new_event_type_subscribes_the_receivers_whose_kind_it_names(app: App, tmp_path: pathlib.Path) -> None:
    mail, page = create(app, "email", "a@b.test"), create(app)
    theirs = create(app, "email", "a@b.test", instance="acme")
    before = show(app, page)["eventTypes"]
    add_types(app, tmp_path, MORE_TYPES)
    assert show(app, mail)["eventTypes"] == [*before, "info", "critical", "flag2", "onboarding_started"]
    assert show(app, page)["eventTypes"] == [*before, "critical", "flag1", "flag2"]
    assert show(app, theirs, instance="acme")["eventTypes"] == show(app, mail)["eventTypes"], "of every instance"
    posted = post(app, "info")
    assert [row["event"]["id"] for row in deliveries(app, mail)] == [posted] and deliveries(app, page) == []


def test_a_changed_event_type_changes_no_subscription_and_a_vanished_one_stays(typed: App, tmp_path: pathlib.Path, capsys: Any) -> None:
    mail, page = create(typed, "email", "a@b.test"), create(typed)
    before = [show(typed, ident)["eventTypes"] for ident in (mail, page)]
    add_types(typed, tmp_path, [{**MORE_TYPES[0], "display_name": "News", "default_receiver_types": ["browser"]}])
    shown = {kind["name"]: kind for kind in good(ask(typed, "GET", "/config/eventtypes", key=None))}
    assert (shown["info"]["display_name"], shown["info"]["default_receiver_types"]) == ("News", ["browser"])
    assert "critical" in shown and "event type critical is stored" in capsys.readouterr().err
    assert [show(typed, ident)["eventTypes"] for ident in (mail, page)] == before
    assert "info" in show(typed, create(typed))["eventTypes"], "of a new receiver"


def test_a_file_may_change_a_built_in_type(app: App, tmp_path: pathlib.Path) -> None:
    add_types(app, tmp_path, [{"name": "user_test", "display_name": "Probe", "default_receiver_types": []}])
    kind, = [kind for kind in good(ask(app, "GET", "/config/eventtypes", key=None)) if kind["name"] == "user_test"]
    assert kind["display_name"] == "Probe" and "user_test" not in show(app, create(app))["eventTypes"]


def test_without_a_file_there_are_no_more_types() -> None:
    assert alertlite.read_event_types("") == []


@pytest.mark.parametrize(("content", "words"), [
    (b"", "not JSON"), (b"[{]", "not JSON"), (b"{}", "not a list"), (b'"info"', "not a list"), (b"null", "not a list"),
    (b'["info"]', "not an object"), (b"[[]]", "not an object"), (b"[null]", "not an object"), (b"[{}]", '"name"'), (b'[{"name": ""}]', '"name"'),
    (b'[{"name": 5}]', "name must be"), (b'[{"name": "a", "display_name": 5}]', "display_name must be"),
    (b'[{"name": "a", "description": []}]', "description must be"), (b'[{"name": "a", "feature_flag": true}]', "feature_flag must be"),
    (b'[{"name": "a", "default_receiver_types": "email"}]', "default_receiver_types must be"),
    (b'[{"name": "a", "default_receiver_types": [5]}]', "default_receiver_types[0] must be"),
    (b'[{"name": "a", "hidden_receiver_types": {}}]', "hidden_receiver_types must be"),
    (b'[{"name": "a", "hide_ui_config": 1}]', "hide_ui_config must be"), (b'[{"name": "a", "name": "b"}]', "twice"), (b"\xff\xfe", "UTF-8"),
    (b'[{"name": "\\ud800"}]', "surrogate"),
])
def test_a_bad_file_of_event_types_is_refused_with_what_is_wrong(tmp_path: pathlib.Path, content: bytes, words: str) -> None:
    file = tmp_path / "types.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        alertlite.read_event_types(str(file))
    assert str(file) in str(caught.value) and "the body" not in str(caught.value).replace("the body is not", "")


def test_a_missing_file_of_event_types_is_refused_by_its_name(tmp_path: pathlib.Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(ValueError, match=re.escape(str(path))):
            alertlite.read_event_types(str(path))


# ----------------------------------------------------------------------------------------------------- creating receivers

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_a_new_receiver_is_answered_with_its_id_and_shown_with_all_keys(app: App) -> None:
    answer = ask(app, "POST", "/config/receivers", {"type": "email", "address_data": "ann@edge.test"})
    ident = good(answer, 201)
    assert UUID.fullmatch(ident)
    hears = [name for name in alertlite.EVENT_TYPES if name not in alertlite.NOT_BY_DEFAULT]
    assert show(app, ident) == {"id": ident, "type": "email", "instance_id": "default", "address_data": "ann@edge.test", "eventTypes": hears,
                                "event_types": hears, "name": "", "fallback": "", "remind_every": 0}
    assert listed(app) == [show(app, ident)]
    assert events(app) == [], "creating one is no event"


@pytest.mark.parametrize(("fields", "reason"), [
    ({"id": ""}, "empty"), ({"instance_id": ""}, "empty"), ({"eventTypes": []}, "empty"), ({"event_types": []}, "empty"), ({"id": None}, "null"),
    ({"id": "", "instance_id": "", "eventTypes": [], "event_types": None}, "as a Go client sends them"), ({"eventTypes": None}, "null"),
])
def test_what_the_server_chooses_may_be_there_and_empty(app: App, fields: dict, reason: str) -> None:
    assert good(ask(app, "POST", "/config/receivers", {"type": "browser", **fields}), 201), reason


@pytest.mark.parametrize(("fields", "reason"), [
    ({"id": NOBODY}, "an id"), ({"instance_id": "default"}, "an instance, though its own"), ({"instance_id": "acme"}, "another instance"),
    ({"eventTypes": ["user_test"]}, "event types"), ({"event_types": ["user_test"]}, "by their other name"), ({"eventTypes": ["unknown"]}, "unknown"),
    ({"eventTypes": "user_test"}, "no list"), ({"id": 5}, "no text"),
])
def test_what_the_server_chooses_may_not_be_given(app: App, fields: dict, reason: str) -> None:
    before = app.stored()
    answer = ask(app, "POST", "/config/receivers", {"type": "browser", **fields})
    assert is_refused(answer, 400, *fields), reason
    assert app.stored() == before


@pytest.mark.parametrize("kind", [None, "", "pager", "EMAIL", "email ", 5, ["email"], {}, True, "hipchat"])
def test_a_receiver_of_an_unknown_type_is_refused(app: App, kind: Any) -> None:
    before = app.stored()
    assert is_refused(ask(app, "POST", "/config/receivers", {"type": kind, "address_data": "a@b.test"}), 400, "type")
    assert is_refused(ask(app, "POST", "/config/receivers", {}), 400, "type")
    assert app.stored() == before


URL = "https://hooks.example/services/T1"
GOOD_ADDRESSES = [
    ("email", "a@b.test", "one"), ("email", "a@localhost", "no dot is needed"), ("email", "a@b.test,c+tag@d.test", "several"),
    ("email", "!#$%&'*+/=?^_`{|}~-.@b.test", "every sign that an address may have"),
    ("slack", "https://hooks.slack.com/services/T1/B2/x3", "Slack"), ("slack", f"{URL}?a=1", "what is made like Slack"),
    ("webhook", URL, "an address"), ("webhook", "http://10.0.0.1:8080/x", "in the house"), ("webhook", {"url": URL}, "as an object"),
    ("webhook", {"url": URL, "secret": "s", "headers": {"X-A": "b"}}, "signed"),
    ("webhook", {"url_down": f"{URL}/$CODE", "method_down": "POST", "body_down": "$NAME is $STATUS", "headers_down": {"X-A": "$NOW"}}, "down only"),
    ("webhook", {"url_up": URL, "method_up": "PUT", "url_down": "", "body_up": ""}, "up only, as the page sends it"),
    ("ntfy", {"topic": "t"}, "on the public server"), ("ntfy", {"topic": "t", "url": URL, "token": "k", "priority": 5, "priority_up": 2}, "all"),
    ("gotify", {"url": URL, "token": "k"}, "both"), ("gotify", {"url": URL, "token": "k", "priority": 8}, "with a priority"),
    ("telegram", {"token": "1:a", "chat_id": "-100"}, "both"), ("telegram", {"token": "1:a", "chat_id": "@c", "thread_id": 7, "url": URL}, "all"),
    ("discord", "https://discord.com/api/webhooks/1/a", "an address"), ("matrix", {"url": URL, "token": "k", "room": "!a:b.test"}, "all"),
    ("browser", None, "nothing"), ("browser", {"any": ["thing", 1.5, None]}, "anything"), ("browser", "x", "anything"),
    ("shell", {"command": "note"}, "a command of the settings"), ("file", {"name": "alerts.jsonl"}, "a plain name"),
]
BAD_ADDRESSES = [
    *(("email", address, "no e-mail address") for address in (
        None, "", 5, [], {}, ["a@b.test"], "nobody", "a@", "@b", "a b@c.test", "a@b@c", "a@b.test, c@d.test", "a@b.test,", ",a@b.test",
        "a@-b.test", "a@b..test", "a@b.test\n", "Ann <a@b.test>", "ü@b.test", "a@" + "b" * 64)),
    *((kind, address, "no web address") for kind in ("slack", "discord", "webhook") for address in (
        None, "", 5, [], "hooks.slack.com/x", "ftp://h.test/x", "https://", "https:///x", "//h.test/x", "javascript:alert(1)", "file:///etc/passwd",
        "https://user:password@h.test/x", "https://h.test/a b", "https://h.test/\n", "https://[::1", "https://h.test:99999/", "https://h.test:0/",
        "https://h.test/é", "https://h.test/" + "x" * 1000)),
    ("slack", {"url": URL}, "an object"), ("discord", {"url": URL}, "an object"),
    ("webhook", {}, "no address"), ("webhook", {"secret": "s"}, "no address"), ("webhook", {"url": ""}, "an empty one"),
    ("webhook", {"url": "ftp://h.test/"}, "another scheme"), ("webhook", {"url_up": "x"}, "no address"),
    ("webhook", {"url": URL, "more": "x"}, "unknown"),
    ("webhook", {"url": 5}, "a number"), ("webhook", {"url": URL, "headers": "X-A: b"}, "headers as a text"),
    ("webhook", {"url": URL, "headers": {"X-A": 5}}, "a number"),
    ("webhook", {"url": URL, "headers": {"X A": "b"}}, "no name of a header"),
    ("webhook", {"url": URL, "headers": {"X-A": "b\r\nX-B: c"}}, "two headers"),
    ("webhook", {"url_down": URL, "method_down": "DELETE"}, "another method"), ("webhook", {"url_down": URL, "method_down": "post"}, "small letters"),
    ("webhook", {"url_down": "$CODE"}, "an address that is all placeholder"),
    *(("ntfy", address, "bad") for address in (None, "t", [], {}, {"url": URL}, {"topic": ""}, {"topic": 5}, {"topic": "t", "url": "x"}, {
        "topic": "t", "priority": "5"}, {"topic": "t", "priority": True}, {"topic": "t", "colour": "red"}, {"topic": "t" * 1001})),
    *(("gotify", address, "bad") for address in (None, URL, {}, {"url": URL}, {"token": "k"}, {"url": "x", "token": "k"}, {"url": URL, "token": 5})),
    *(("telegram", address, "bad") for address in (None, "1:a", {}, {"token": "1:a"}, {"chat_id": "1"}, {"token": "1:a", "chat_id": 5}, {
        "token": "1:a", "chat_id": "5", "thread_id": "7"}, {"token": "1:a", "chat_id": "5", "url": "telegram"})),
    *(("matrix", address, "bad") for address in (None, {}, {"url": URL, "token": "k"}, {"url": URL, "room": "r"}, {"token": "k", "room": "r"}, {
        "url": "matrix.test", "token": "k", "room": "r"})),
    *(("shell", address, "bad") for address in (None, "note", {}, {"command": ""}, {"command": "rm"}, {"command": "/bin/true"}, {
        "command": ["note"]}, {"command": "note", "arguments": "x"})),
    *(("file", address, "bad") for address in (None, "a", {}, {"name": ""}, {"name": "../a"}, {"name": "/a"}, {"name": ".."}, {"name": ".a"}, {
        "name": "a/b"}, {"name": "a\x00"}, {"name": "a\n"}, {"name": "x" * 101}, {"name": 5})),
    *(("apprise", address, "bad") for address in (None, "", 5, {}, "x" * 513)),
]


@pytest.fixture
def equipped(make_app: Any, tmp_path: pathlib.Path) -> App:
    """An application with a command and a folder for receivers."""
    folder = tmp_path / "files"
    folder.mkdir()
    return make_app(shell_commands="note=/bin/true", file_folder=str(folder))


def test_the_tables_have_every_kind_of_receiver() -> None:
    assert {kind for kind, *_ in BAD_ADDRESSES} | {"browser"} == set(alertlite.KINDS)
    assert {kind for kind, *_ in GOOD_ADDRESSES} | {"apprise"} == set(alertlite.KINDS), "which needs a library that may be missing"


@pytest.mark.parametrize(("kind", "address", "reason"), GOOD_ADDRESSES)
def test_a_good_address_comes_back_as_it_was_sent(equipped: App, kind: str, address: Any, reason: str) -> None:
    ident = create(equipped, kind, address)
    assert (show(equipped, ident)["type"], show(equipped, ident)["address_data"]) == (kind, address), reason
    assert good(update(equipped, ident)) is None
    assert show(equipped, ident)["address_data"] == address


def test_a_bad_address_is_refused_for_new_and_for_old_receivers(equipped: App) -> None:
    known = {kind: create(equipped, kind, address) for kind, address, _ in GOOD_ADDRESSES}
    before = equipped.stored()
    for kind, address, reason in BAD_ADDRESSES:
        answer = ask(equipped, "POST", "/config/receivers", {"type": kind, "address_data": address})
        assert is_refused(answer, 400), (kind, address, reason, answer)
        if kind in known:
            body = {"id": known[kind], "instance_id": "default", "type": kind, "address_data": address}
            assert is_refused(ask(equipped, "PUT", f"/config/receivers/{known[kind]}", body), 400), (kind, address, reason)
    assert equipped.stored() == before


def test_commands_and_files_need_the_operator_s_leave(app: App) -> None:
    assert is_refused(ask(app, "POST", "/config/receivers", {"type": "shell", "address_data": {"command": "note"}}), 400, "shell_commands")
    assert is_refused(ask(app, "POST", "/config/receivers", {"type": "file", "address_data": {"name": "a"}}), 400, "file_folder")


def test_the_same_receiver_may_be_made_twice(app: App) -> None:
    first, second = create(app, "email", "a@b.test"), create(app, "email", "a@b.test")
    assert first != second and [receiver["id"] for receiver in listed(app)] == [first, second], "in the order of making"


def test_a_new_receiver_hears_what_its_kind_hears_by_default_flagged_and_hidden_too(typed: App) -> None:
    built_in = [name for name in alertlite.EVENT_TYPES if name not in alertlite.NOT_BY_DEFAULT]
    for kind, address, more in (("email", "a@b.test", ["info", "critical", "flag2", "onboarding_started"]),
                                ("browser", None, ["critical", "flag1", "flag2"]),
                                ("slack", URL, ["info"])):
        assert show(typed, create(typed, kind, address))["eventTypes"] == built_in + more


# ------------------------------------------------------------------------------------------------------- name, fallback, reminders

def test_a_receiver_may_have_a_name_a_fallback_and_reminders(app: App) -> None:
    other = create(app, name="Page")
    ident = create(app, "email", "a@b.test", name="On call", fallback=other, remind_every=3600)
    assert [show(app, ident)[name] for name in ("name", "fallback", "remind_every")] == ["On call", other, 3600]
    body = {"id": ident, "instance_id": "default", "type": "email", "address_data": "a@b.test"}
    assert good(ask(app, "PUT", f"/config/receivers/{ident}", body)) is None
    kept = [show(app, ident)[name] for name in ("name", "fallback", "remind_every")]
    assert kept == ["On call", other, 3600], "clients that do not know them keep them"
    assert good(ask(app, "PUT", f"/config/receivers/{ident}", {**body, "name": "", "fallback": "", "remind_every": 0})) is None
    assert [show(app, ident)[name] for name in ("name", "fallback", "remind_every")] == ["", "", 0]


@pytest.mark.parametrize(("fields", "reason"), [
    ({"name": 5}, "a number"), ({"name": "x" * 501}, "long"), ({"fallback": NOBODY}, "nobody"), ({"fallback": "x"}, "no id"),
    ({"fallback": 5}, "a number"), ({"remind_every": -1}, "negative"), ({"remind_every": 59}, "every few seconds"),
    ({"remind_every": "60"}, "a text"), ({"remind_every": 1.5}, "a half"), ({"remind_every": True}, "a flag"),
    ({"remind_every": 315_360_001}, "more than ten years"),
])
def test_what_is_ours_of_a_receiver_is_checked_too(app: App, fields: dict, reason: str) -> None:
    ident = create(app)
    before = app.stored()
    assert is_refused(ask(app, "POST", "/config/receivers", {"type": "browser", **fields}), 400, *fields), reason
    assert is_refused(update(app, ident, **fields), 400, *fields), reason
    assert app.stored() == before


def test_a_fallback_is_another_receiver_of_the_same_instance(app: App) -> None:
    ident, theirs = create(app), create(app, instance="acme")
    assert is_refused(update(app, ident, fallback=ident), 400, "fallback")
    assert is_refused(update(app, ident, fallback=theirs), 400, "fallback")
    assert is_refused(ask(app, "POST", "/config/receivers", {"type": "browser", "fallback": theirs}), 400, "fallback")


def test_a_receiver_whose_fallback_was_deleted_can_still_be_changed(app: App) -> None:
    other = create(app)
    ident = create(app, fallback=other)
    good(ask(app, "DELETE", f"/config/receivers/{other}"))
    body = {"id": ident, "instance_id": "default", "type": "browser", "eventTypes": ["user_test"]}
    assert good(ask(app, "PUT", f"/config/receivers/{ident}", body)) is None, "a client that knows nothing of fallbacks"
    assert good(update(app, ident)) is None, "nor where it is sent back as it was shown"


def test_reminders_are_due_a_span_after_they_were_asked_for(app: App) -> None:
    ident = create(app, remind_every=3600)
    app.post_alert()
    app.clock.advance(3599)
    app.engine.expire_due()
    assert "reminder" not in [row["event"]["type"] for row in deliveries(app, ident)]
    app.clock.advance(1)
    app.engine.expire_due()
    reminder = deliveries(app, ident)[0]["event"]
    assert (reminder["type"], reminder["title"]) == ("reminder", "STILL OPEN: web01 HttpError")


# ------------------------------------------------------------------------------------------------------------ one receiver

def test_a_receiver_is_found_by_its_id_in_either_case(app: App) -> None:
    ident = create(app)
    assert show(app, ident.upper()) == show(app, ident)


@pytest.mark.parametrize(("ident", "reason"), [
    (NOBODY, "unknown"), ("x", "no id"), ("none of them", "blanks"), ("00000000000040008000000000000000", "digits alone"), ("default", "a name"),
    ("*", "all"), ("%E2%98%83", "not ASCII"), ("1", "the number of its row"), ("-1", "a negative number"),
])
def test_a_receiver_that_does_not_exist_is_404_whatever_is_sent(app: App, ident: str, reason: str) -> None:
    real = create(app)
    before = app.stored()
    for method, end, body in (("GET", "", None), ("DELETE", "", None), ("POST", "/test", None), ("POST", "/replay", None),
                              ("GET", "/deliveries", None),
                              ("PUT", "", show(app, real)), ("PUT", "", {"id": ident})):
        assert is_refused(ask(app, method, f"/config/receivers/{ident}{end}", body), 404), (method, end, reason)
    for raw in (b"", b"{", b"[]"):
        assert is_refused(ask(app, "PUT", f"/config/receivers/{ident}", raw=raw), 404), "before what is wrong with the body"
    assert is_refused(ask(app, "GET", f"/config/receivers/{real.replace('-', '')}"), 404), "without its hyphens"
    assert app.stored() == before


def test_a_deleted_receiver_is_gone_with_what_was_owed_to_it(app: App) -> None:
    ident, other = create(app), create(app)
    post(app)
    answer = ask(app, "DELETE", f"/config/receivers/{ident}")
    assert (good(answer), answer.body) == (None, b"null")
    for method in ("DELETE", "GET"):
        assert is_refused(ask(app, method, f"/config/receivers/{ident}"), 404), "the second time"
    assert [receiver["id"] for receiver in listed(app)] == [other]
    assert len(app.stored()["outbox"]) == 1 and len(events(app)) == 1, "what happened stays"
    post(app)
    assert len(deliveries(app, other)) == 2


# ----------------------------------------------------------------------------------------------------------------- updates

def test_an_update_replaces_the_address_and_what_it_hears_of(app: App) -> None:
    ident = create(app, "email", "a@b.test")
    answer = update(app, ident, address_data="c@d.test", eventTypes=["monitor", "alert_opened", "monitor"])
    assert (good(answer), answer.body) == (None, b"null")
    shown = show(app, ident)
    assert (shown["address_data"], shown["eventTypes"]) == ("c@d.test", ["alert_opened", "monitor"]) and shown["event_types"] == shown["eventTypes"]
    assert good(update(app, ident.upper(), id=ident)) is None, "the id of the address in either case"


@pytest.mark.parametrize(("fields", "hears", "reason"), [
    ({"eventTypes": ["check_down"]}, ["check_down"], "the name of the contract"),
    ({"event_types": ["check_down"]}, ["check_down"], "that of real clients"),
    ({"eventTypes": ["check_up", "check_down"], "event_types": ["check_down", "check_up"]}, ["check_down", "check_up"], "both, the same"),
    ({"eventTypes": None, "event_types": ["check_up"]}, ["check_up"], "one of them null"), ({"eventTypes": []}, [], "none"), ({}, [], "left out"),
    ({"eventTypes": None}, [], "null"), ({"eventTypes": None, "event_types": None}, [], "both null"),
    ({"eventTypes": [], "event_types": []}, [], "both none"),
])
def test_event_types_are_taken_by_either_name(app: App, fields: dict, hears: list, reason: str) -> None:
    ident = create(app)
    body = {"id": ident, "instance_id": "default", "type": "browser", "address_data": None, **fields}
    assert good(ask(app, "PUT", f"/config/receivers/{ident}", body)) is None
    assert show(app, ident)["eventTypes"] == show(app, ident)["event_types"] == hears, reason


@pytest.mark.parametrize(("changes", "words", "reason"), [
    ({"id": None}, ["id"], "no id"), ({"id": ""}, ["id"], "an empty one"), ({"id": NOBODY}, ["id"], "another's"), ({"id": 5}, ["id"], "a number"),
    ({"instance_id": None}, ["instance_id"], "no instance"), ({"instance_id": ""}, ["instance_id"], "an empty one"),
    ({"instance_id": "acme"}, ["instance_id"], "another's"), ({"instance_id": "DEFAULT"}, ["instance_id"], "another case"),
    ({"type": "slack"}, ["type"], "another type"), ({"type": ""}, ["type"], "no type"), ({"type": None}, ["type"], "no type"),
    ({"type": "pager"}, ["type"], "unknown"), ({"type": "EMAIL"}, ["type"], "another case"),
    ({"eventTypes": ["user_test", "unknown", "user-test"]}, ["unknown", "user-test"], "named in the answer"),
    ({"eventTypes": ["User_Test"]}, ["User_Test"], "another case"), ({"eventTypes": "user_test"}, ["eventTypes"], "no list"),
    ({"eventTypes": [5]}, ["eventTypes"], "a number"), ({"eventTypes": [""]}, ["eventTypes"], "an empty name"),
    ({"eventTypes": {"user_test": True}}, ["eventTypes"], "an object"),
    ({"eventTypes": ["user_test"], "event_types": ["monitor"]}, ["eventTypes", "event_types"], "different"),
    ({"eventTypes": [], "event_types": ["monitor"]}, ["eventTypes", "event_types"], "different, one empty"),
    ({"address_data": "nobody"}, ["address_data"], "a bad address"), ({"address_data": None}, ["address_data"], "none"),
])
def test_an_update_that_does_not_fit_is_refused_whole(app: App, changes: dict, words: list, reason: str) -> None:
    ident = create(app, "email", "a@b.test", name="Ann")
    before = app.stored()
    fitting = {"address_data": "c@d.test", "eventTypes": ["monitor"], "name": "Bob"}
    assert is_refused(update(app, ident, **{**fitting, **changes}), 400, *words), reason
    left_out = {name: value for name, value in {**show(app, ident), **fitting}.items() if name not in changes and name != "event_types"}
    if set(changes) <= {"id", "instance_id", "type", "address_data"}:
        assert is_refused(ask(app, "PUT", f"/config/receivers/{ident}", left_out), 400, *words), "and where it is left out"
    assert app.stored() == before, "nothing of it was done"


def test_what_the_client_could_not_see_stays_subscribed(typed: App) -> None:
    ident = create(typed, "email", "a@b.test")
    assert good(update(typed, ident, eventTypes=["info"])) is None
    assert show(typed, ident)["eventTypes"] == ["info", "flag2", "onboarding_started"], "behind a flag, and out of the settings page"
    assert good(update(typed, ident, flags="flag1 FLAG2", eventTypes=["info"])) is None
    assert show(typed, ident)["eventTypes"] == ["info", "onboarding_started"], "who names the flag takes it away"
    assert good(update(typed, ident, eventTypes=["flag1"])) is None
    assert show(typed, ident)["eventTypes"] == ["flag1", "onboarding_started"], "without the flag it can be added"
    assert good(update(typed, ident, eventTypes=["onboarding_started", "quiet"])) is None
    assert show(typed, ident)["eventTypes"] == ["quiet", "flag1", "onboarding_started"]


def test_a_flag_that_is_not_named_hides_no_receiver(typed: App) -> None:
    ident = create(typed)
    good(update(typed, ident, flags="flag1 flag2", eventTypes=["flag1"]))
    assert show(typed, ident)["eventTypes"] == ["flag1"] and listed(typed) == [show(typed, ident)]


# ---------------------------------------------------------------------------------------------------- who hears of an event

def test_receivers_for_an_event_are_those_subscribed_with_their_whole_lists(app: App) -> None:
    first, second, third = create(app), create(app, "email", "a@b.test"), create(app)
    good(update(app, second, eventTypes=["monitor"]))
    assert good(ask(app, "GET", "/config/receivers_for_event/user_test")) == [show(app, first), show(app, third)]
    assert good(ask(app, "GET", "/config/receivers_for_event/monitor")) == [show(app, ident) for ident in (first, second, third)]


@pytest.mark.parametrize(("name", "reason"), [("check_down", "nobody subscribed"), ("unknown", "no such type"), ("USER_TEST", "another case"),
                                              ("*", "all")])
def test_nobody_hears_of_an_event_that_nobody_subscribed_to(app: App, name: str, reason: str) -> None:
    create(app)
    assert good(ask(app, "GET", f"/config/receivers_for_event/{name}")) == [], reason


def test_an_event_is_owed_to_each_subscribed_receiver_of_its_instance_once(app: App) -> None:
    hears, deaf, theirs = create(app), create(app), create(app, instance="acme")
    good(update(app, deaf, eventTypes=["monitor"]))
    posted = post(app, messages={"browser": {"text": "hello"}})
    row, changed = deliveries(app, hears)
    assert (row["event"]["id"], row["state"], row["attempts"], row["last_error"], row["marked"]) == (posted, "waiting", 0, None, None)
    assert changed["event"]["type"] == "config_changed" and deliveries(app, deaf) == []
    post(app, instance="acme")
    assert len(deliveries(app, hears)) == 2 and len(good(ask(app, "GET", f"/config/receivers/{theirs}/deliveries", instance="acme"))) == 1


def test_what_happens_in_the_other_apis_is_an_event_here(app: App) -> None:
    ident = create(app)
    app.post_alert(resource="web01", event="DiskFull", text="97 %")
    theirs = app.post_alert(resource="web02", customer="acme")
    event, = events(app)
    assert (event["type"], event["instance_id"], event["timestamp"], event["suppressed"]) == ("alert_opened", "default", MORNING, None)
    assert "DiskFull" in json.dumps(event["messages"]) and event["text"] == "97 %"
    assert [row["event"]["id"] for row in deliveries(app, ident)] == [event["id"]]
    assert [event["type"] for event in events(app, instance="acme")] == ["alert_opened"] and theirs["customer"] == "acme"


# ----------------------------------------------------------------------------------------------------------------- tenants

OTHERS = [("acme", {}, "the header names another"), (None, {"customer": "acme"}, "the key is confined to another")]


@pytest.mark.parametrize(("instance", "confined", "reason"), OTHERS)
def test_receivers_and_events_of_another_instance_do_not_exist(app: App, instance: str | None, confined: dict, reason: str) -> None:
    ident = create(app)
    posted = post(app)
    key = app.make_key("read", "write", **confined)
    before = [app.stored()[name] for name in ("receivers", "receiver_event_types", "outbox", "events")]
    body = show(app, ident)
    for method, end, sent in (("GET", "", None), ("DELETE", "", None), ("PUT", "", body), ("PUT", "", {**body, "instance_id": "acme"}),
                              ("POST", "/test", None),
                              ("POST", "/replay", None), ("GET", "/deliveries", None)):
        assert is_refused(ask(app, method, f"/config/receivers/{ident}{end}", sent, instance=instance, key=key), 404), (method, end)
    for path in ("/config/receivers", "/config/receivers_for_event/user_test", "/events"):
        assert good(ask(app, "GET", path, instance=instance, key=key)) == [], path
    for path in ("/events", "/external/events"):
        sent = {"type": "user_test", "instance_id": "default"}
        assert is_refused(ask(app, "POST", path, sent, instance=instance, key=key), 400, "instance_id")
    assert is_refused(ask(app, "POST", "/slack/default/user_test", {"text": "x"}, instance=instance, key=key), 404)
    assert is_refused(ask(app, "POST", "/webhook/default/monitor", {"alerts": [{}]}, instance=instance, key=key), 404)
    assert [app.stored()[name] for name in ("receivers", "receiver_event_types", "outbox", "events")] == before
    mine = create(app, instance=instance, key=key)
    assert [(found["id"], found["instance_id"]) for found in listed(app, instance=instance, key=key)] == [(mine, "acme")]
    own = good(ask(app, "POST", "/events", {"type": "user_test", "instance_id": "acme"}, instance=instance, key=key))["id"]
    assert [event["id"] for event in events(app, instance=instance, key=key)] == [own] and [event["id"] for event in events(app)] == [posted]


@pytest.mark.parametrize("header", ["default", "other", "", "acme"])
def test_a_confined_key_has_its_own_instance_whatever_the_header_says(app: App, header: str) -> None:
    key = app.make_key("read", "write", customer="acme")
    ident = create(app, instance=header, key=key)
    assert show(app, ident, key=key)["instance_id"] == "acme" and listed(app, instance="acme")[0]["id"] == ident and listed(app) == []


def test_without_a_header_and_with_an_empty_one_the_instance_is_default(app: App) -> None:
    ident = create(app)
    assert listed(app) == listed(app, instance="") == listed(app, instance="default") == [show(app, ident)]
    assert listed(app, instance="Default") == [] == listed(app, instance="ü")


@pytest.mark.parametrize("instance", ["x" * 501, "a\tb"])
def test_an_instance_that_no_customer_can_have_is_refused(app: App, instance: str) -> None:
    assert is_refused(ask(app, "GET", "/config/receivers", instance=instance), 400, "X-Scope-OrgID")


# -------------------------------------------------------------------------------------------------------- posting events

def test_a_posted_event_comes_back_as_it_was_sent(app: App) -> None:
    messages = {"slack": {"text": "hi"}, "email": {"subject": "s", "body": "<b>"}, "browser": None, "other": [1, 2.5, None, {"deep": True}]}
    ident = post(app, messages=messages, text="**hi**", metadata={"a": "b"}, timestamp="2029-12-31T12:00:00Z", data={"ignored": 1},
                 id=NOBODY, colour="red")
    assert UUID.fullmatch(ident) and ident != NOBODY, "the id is the server's"
    event, = events(app)
    assert event.pop("suppressed") is None, "ours: why nobody was told"
    assert event == {"id": ident, "type": "user_test", "instance_id": "default", "instance_name": "", "timestamp": "2029-12-31T12:00:00.000Z",
                     "messages": messages, "text": "**hi**", "metadata": {"a": "b"}, "data": None}


def test_an_event_of_a_type_and_an_instance_alone_happened_now(app: App) -> None:
    post(app)
    event, = events(app)
    assert (event["timestamp"], event["messages"], event["text"], event["metadata"], event["data"]) == (MORNING, None, None, None, None)


@pytest.mark.parametrize(("posted", "shown", "reason"), [
    ("2020-01-02T03:04:05Z", "2020-01-02T03:04:05.000Z", "whole seconds"), ("2020-01-02T03:04:05.6Z", "2020-01-02T03:04:05.600Z", "tenths"),
    ("2020-01-02T03:04:05.123456789Z", "2020-01-02T03:04:05.123Z", "nanoseconds, as Go sends them"),
    ("2020-01-02T03:04:05.9999Z", "2020-01-02T03:04:05.999Z", "cut, not rounded"),
    ("2020-01-02t03:04:05z", "2020-01-02T03:04:05.000Z", "small letters"),
    ("2020-01-02T03:04:05.5+02:00", "2020-01-02T01:04:05.500Z", "a zone is converted"),
    ("2020-01-02T03:04:05-00:30", "2020-01-02T03:34:05.000Z", "half an hour"),
    ("2020-01-01T00:30:00+01:00", "2019-12-31T23:30:00.000Z", "into another year"),
    ("2020-01-02T03:04:05+00:00", "2020-01-02T03:04:05.000Z", "as UTC"),
    ("2020-01-02 03:04:05.678", "2020-01-02T03:04:05.678Z", "the layout of the seed is UTC"),
    ("2020-01-02 03:04:05", "2020-01-02T03:04:05.000Z", "without a fraction"),
    ("2020-01-02 03:04:05Z", "2020-01-02T03:04:05.000Z", "a blank and a zone"),
    ("2020-01-02 03:04:05+02:00", "2020-01-02T01:04:05.000Z", "which is converted"),
    ("1969-12-31T23:59:59.500Z", "1969-12-31T23:59:59.500Z", "before 1970"), ("2031-01-01T00:00:00Z", "2031-01-01T00:00:00.000Z", "in the future"),
    ("2020-02-29T00:00:00Z", "2020-02-29T00:00:00.000Z", "a leap day"), (None, MORNING, "null: now"), ("", MORNING, "empty: now"),
    ("0001-01-01T00:00:00Z", MORNING, "what Go sends where none was set: now, as the real ones have it (2.4)"),
])
def test_the_time_of_an_event_is_converted_to_utc(make_app: Any, posted: Any, shown: str, reason: str) -> None:
    app = make_app(event_retention="9999999999")
    post(app, timestamp=posted)
    assert [event["timestamp"] for event in events(app)] == [shown], reason


@pytest.mark.parametrize("posted", [
    "2020-01-02", "2020-01-02T03:04:05", "2020-01-02T03:04:05.678", "2020-01-02T03:04Z", "2020-01-02T03:04:05+0200", "2020-01-02T03:04:05+02",
    "yesterday", "1577934245", 1577934245, 1577934245.5, True, ["2020-01-02T03:04:05Z"], {}, "2020-13-01T00:00:00Z", "2020-02-30T00:00:00Z",
    "2020-01-02T24:00:00Z", "2020-01-02T03:60:00Z", "2020-01-02T03:04:61Z", " 2020-01-02T03:04:05Z", "2020-01-02T03:04:05Z\n",
    "2020-01-02T03:04:05.Z", "2020-01-02  03:04:05", "2020-01-02T03:04:05 Z", "20200102T030405Z", "2020-W01-1T00:00:00Z", "٢٠٢٠-01-02T03:04:05Z",
    "2020-01-02T03:04:05+24:00", "0000-01-01T00:00:00Z",
])
def test_a_time_that_cannot_be_read_is_refused(app: App, posted: Any) -> None:
    before = app.stored()
    assert is_refused(ask(app, "POST", "/events", {"type": "user_test", "instance_id": "default", "timestamp": posted}), 400, "timestamp")
    assert app.stored() == before


@pytest.mark.parametrize("posted", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_beyond_the_calendar_never_makes_the_list_of_events_fail(app: App, posted: str) -> None:
    assert ask(app, "POST", "/events", {"type": "user_test", "instance_id": "default", "timestamp": posted}).status in (200, 400)
    assert ask(app, "GET", "/events").status == 200


@pytest.mark.parametrize(("changes", "word", "reason"), [
    ({"instance_id": "acme"}, "instance_id", "another instance (4.8)"), ({"instance_id": None}, "instance_id", "none"),
    ({"instance_id": ""}, "instance_id", "empty"), ({"instance_id": 5}, "instance_id", "a number"),
    ({"type": "unknown"}, "unknown", "an unknown type"), ({"type": None}, "type", "no type"), ({"type": ""}, "type", "empty"),
    ({"type": ["user_test"]}, "type", "a list"), ({"type": "User_test"}, "type", "another case"), ({"messages": "x"}, "messages", "no map"),
    ({"messages": []}, "messages", "a list"), ({"messages": 0}, "messages", "a number"), ({"text": {}}, "text", "no text"),
    ({"metadata": {"a": 1}}, "metadata", "not a text"), ({"metadata": {"a": None}}, "metadata", "null in it"),
    ({"metadata": ["a"]}, "metadata", "a list"), ({"metadata": "a"}, "metadata", "a text"),
    ({"messages": {"a": "x" * 300_000}}, "messages", "too large"), ({"text": "x" * 100_001}, "text", "too long"),
])
@pytest.mark.parametrize("path", ["/events", "/external/events"])
def test_an_event_that_does_not_fit_is_refused_and_not_stored(app: App, path: str, changes: dict, word: str, reason: str) -> None:
    create(app)
    before = app.stored()
    body = {name: value for name, value in {"type": "user_test", "instance_id": "default", **changes}.items() if value is not None}
    assert is_refused(ask(app, "POST", path, body), 400, word), reason
    assert app.stored() == before


def test_a_flagged_or_hidden_type_can_be_posted_by_who_does_not_see_it(typed: App) -> None:
    ident = create(typed, "email", "a@b.test")
    for name in ("flag2", "onboarding_started"):
        post(typed, name)
    assert [event["type"] for event in events(typed)] == ["onboarding_started", "flag2"]
    assert [row["event"]["type"] for row in deliveries(typed, ident)] == ["onboarding_started", "flag2"]


# --------------------------------------------------------------------------------------------------------- listing events

@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """120 events, one a minute, each with its number as its text; every third is of the type monitor."""
    app = App(tmp_path_factory.mktemp("events") / "alertlite.db")
    for number in range(120):
        post(app, "user_test" if number % 3 else "monitor", text=str(number), timestamp=f"2030-01-01T{number // 60:02}:{number % 60:02}:00Z")
    yield app
    app.close()


def texts(app: App, query: str) -> list[int]:
    return [int(event["text"]) for event in events(app, query)]


@pytest.mark.parametrize(("query", "first", "count", "reason"), [
    ("", 119, 50, "the newest fifty"), ("?limit=100", 119, 100, "the most"), ("?limit=1", 119, 1, "one"), ("?limit=0", None, 0, "none"),
    ("?limit=", 119, 50, "empty means the default"), ("?offset=10", 109, 50, "from ten ago"), ("?limit=5&offset=118", 1, 2, "fewer are left"),
    ("?offset=120", None, 0, "beyond the end"), ("?offset=999999999999", None, 0, "far beyond"), ("?offset=", 119, 50, "empty means 0"),
    ("?offset=0", 119, 50, "0"), ("?length=7", 119, 7, "the older name"), ("?limit=3&length=7", 119, 3, "the newer one counts"),
    ("?length=0", None, 0, "none"), ("?limit=007", 119, 7, "zeros"), ("?limit=3&limit=5", 119, 3, "the first counts"),
    ("?colour=red", 119, 50, "unknown"), ("?event_type=", 119, 50, "no type"), ("?before=&after=", 119, 50, "no time"),
])
def test_the_newest_events_come_first_and_as_many_as_asked_for(hundred: App, query: str, first: int | None, count: int, reason: str) -> None:
    assert texts(hundred, query) == ([] if first is None else list(range(first, first - count, -1))), reason


@pytest.mark.parametrize("query", [
    "limit=x", "limit=-1", "limit=101", "limit=1.5", "limit=%201", "limit=1%20", "limit=%2B1", "limit=1e1", "limit=0x1", "limit=" + "9" * 30,
    "limit=%D9%A1", "length=101", "length=x", "limit=3&length=x", "offset=x", "offset=-1", "offset=1.5", "offset=%201", "offset=" + "9" * 30,
    "before=x", "before=2030-01-01", "before=2030-01-01T00:00:00", "after=now", "after=5",
])
def test_a_number_or_time_that_cannot_be_meant_is_refused(hundred: App, query: str) -> None:
    assert is_refused(ask(hundred, "GET", f"/events?{query}"), 400, query.partition("&")[2].partition("=")[0] or query.partition("=")[0])


@pytest.mark.parametrize(("query", "found", "reason"), [
    ("?before=2030-01-01T00:03:00Z", [2, 1, 0], "excludes its end"), ("?after=2030-01-01T01:57:00Z", [119, 118], "excludes its end"),
    ("?after=2030-01-01T00:03:00Z&before=2030-01-01T00:05:00Z", [4], "between"), ("?before=2030-01-01T00:00:00Z", [], "nothing so old"),
    ("?after=2031-01-01T00:00:00Z", [], "nothing so new"), ("?before=2030-01-01T01:01:00%2B01:00", [0], "a zone is converted"),
    ("?before=2030-01-01%2000:01:00", [0], "the layout of the seed"), ("?event_type=monitor&limit=2", [117, 114], "of one type"),
    ("?event_type=monitor,user_test&limit=2", [119, 118], "of several"),
    ("?event_type=monitor&event_type=user_test&limit=2", [117, 114], "only the first counts"), ("?event_type=unknown", [], "none of an unknown type"),
    ("?event_type=monitor,unknown&limit=1", [117], "one is known"), ("?event_type=monitor&offset=38", [3, 0], "an offset among them"),
])
def test_events_can_be_narrowed_by_time_and_type(hundred: App, query: str, found: list[int], reason: str) -> None:
    assert texts(hundred, query) == found, reason


def test_events_of_the_future_and_of_long_ago_are_listed_too(make_app: Any) -> None:
    app = make_app(event_retention="9999999999")
    for moment in ("1960-01-01T00:00:00Z", "2031-01-01T00:00:00Z"):
        post(app, timestamp=moment)
    assert len(events(app)) == 2, "there is no hidden before and after"


def test_the_order_is_that_of_their_times_not_of_their_arrival(app: App) -> None:
    for text, moment in (("middle", "2029-12-31T12:00:00Z"), ("newest", "2029-12-31T13:00:00Z"), ("oldest", "2029-12-31T11:00:00Z")):
        post(app, text=text, timestamp=moment)
    assert [event["text"] for event in events(app)] == ["newest", "middle", "oldest"]
    assert [event["text"] for event in events(app, "?limit=1&offset=1")] == ["middle"]


def test_an_event_from_before_the_retention_is_not_lost_before_it_was_told(app: App) -> None:
    ident = create(app)
    post(app, "monitor", timestamp="2029-01-01T00:00:00Z")      # an alert that fires since long ago
    oldest = app.clock.now() - app.settings.event_retention * 1000
    app.store.write(lambda tables: tables.delete_old_events(oldest))
    assert [row["state"] for row in deliveries(app, ident)] == ["waiting"]


# ------------------------------------------------------------------------------------------------- tests of receivers

def test_a_test_event_goes_to_all_that_hear_of_tests_and_is_answered_with_its_id(app: App) -> None:
    hears, deaf = create(app), create(app)
    good(update(app, deaf, eventTypes=["monitor"]))
    for raw in (b"", b"{", b'{"type": "monitor"}'):
        ident = good(ask(app, "POST", "/testevent", raw=raw))
        assert isinstance(ident, str) and UUID.fullmatch(ident), "the body is ignored"
        assert deliveries(app, hears)[0]["event"]["id"] == ident
    event = events(app)[0]
    assert (event["id"], event["type"], event["timestamp"]) == (ident, "user_test", MORNING) and event["text"]
    assert "user_test" not in [row["event"]["type"] for row in deliveries(app, deaf)]


def test_one_receiver_can_be_tested_whatever_it_hears_of(app: App) -> None:
    deaf, other = create(app), create(app)
    good(update(app, deaf, eventTypes=[]))
    count = len(deliveries(app, other))
    answer = good(ask(app, "POST", f"/config/receivers/{deaf}/test"))
    row, = deliveries(app, deaf)
    assert (row["event"]["id"], row["event"]["type"], row["state"]) == (answer["id"], "user_test", "waiting")
    assert len(deliveries(app, other)) == count, "nobody else"


# -------------------------------------------------------------------------------------------------------------- deliveries

@pytest.fixture
def filed(equipped: App) -> Any:
    """(app, id, deliver): a receiver that appends to a file, and what sends all that is owed to it."""
    ident = create(equipped, "file", {"name": "told.jsonl"}, name="Log")
    courier = alertlite.Courier(equipped.engine, "http://alert.test")
    with equipped.store.read() as tables:
        seq = tables.find_receiver(ident).seq
    return equipped, ident, lambda: courier.deliver(seq)


def test_deliveries_tell_what_was_sent_and_when(filed: Any) -> None:
    app, ident, deliver = filed
    posted = post(app, text="hello")
    app.clock.advance(2)
    deliver()
    row, = deliveries(app, ident)
    assert (row["state"], row["attempts"], row["last_error"], row["marked"]) == ("sent", 1, None, "2030-01-01T00:00:02.000Z")
    assert (row["event"]["id"], row["event"]["type"], row["event"]["instance_id"], row["event"]["text"]) == (posted, "user_test", "default", "hello")
    line, = (pathlib.Path(app.settings.file_folder) / "told.jsonl").read_text().splitlines()
    assert json.loads(line)["events"][0]["id"] == posted
    assert set(row) == {"event", "state", "attempts", "waited", "last_error", "marked"}


def test_deliveries_can_be_narrowed_to_a_state(filed: Any) -> None:
    app, ident, deliver = filed
    folder = pathlib.Path(app.settings.file_folder)
    sent = post(app, text="sent")
    deliver()
    folder.joinpath("told.jsonl").unlink()
    folder.rmdir()
    dead = post(app, text="dead")
    deliver()
    with app.store.read() as tables:
        receiver = tables.find_receiver(ident)
        notices = tables.notices(receiver.seq, "waiting", 10)
    app.engine.mark_failed(receiver, tuple(notices), 0, "given up", True)
    waiting = [row["event"]["id"] for row in deliveries(app, ident, "?state=waiting")]
    assert [row["event"]["id"] for row in deliveries(app, ident, "?state=sent")] == [sent]
    row, = deliveries(app, ident, "?state=dead")
    assert (row["event"]["id"], row["attempts"], row["last_error"]) == (dead, 2, "given up")
    assert waiting == [event["id"] for event in events(app, "?event_type=alert_opened")], "the alert about it is owed, too"
    for query in ("", "?state="):
        assert {row["event"]["id"] for row in deliveries(app, ident, query)} == {sent, dead, *waiting}
    assert app.get("/alerts")["alerts"][0]["event"] == "DeliveryFailed"
    for query in ("?state=lost", "?state=WAITING", "?state=sent,dead", "?limit=101", "?limit=x", "?limit=-1"):
        assert is_refused(ask(app, "GET", f"/config/receivers/{ident}/deliveries{query}"), 400), query


def test_the_newest_deliveries_come_first_as_many_as_asked_for(filed: Any) -> None:
    app, ident, deliver = filed
    posted = [post(app, text=str(number)) for number in range(3)]
    for query in ("", "?state=waiting"):
        assert [row["event"]["id"] for row in deliveries(app, ident, query)] == posted[::-1]
    assert [row["event"]["id"] for row in deliveries(app, ident, "?state=waiting&limit=2")] == posted[:0:-1], "the newest of what waits"
    deliver()
    assert [row["event"]["id"] for row in deliveries(app, ident, "?limit=2")] == posted[:0:-1]
    assert deliveries(app, ident, "?limit=0") == []
    for _ in range(101):
        post(app)
    assert (len(deliveries(app, ident)), len(deliveries(app, ident, "?limit=100"))) == (50, 100)


def test_what_was_given_up_is_tried_again_on_request(filed: Any) -> None:
    app, ident, deliver = filed
    post(app)
    with app.store.read() as tables:
        receiver = tables.find_receiver(ident)
        notices = tables.notices(receiver.seq, "waiting", 10)
    app.engine.mark_failed(receiver, tuple(notices), 0, "gone", True)
    before, = deliveries(app, ident, "?state=dead")
    assert good(ask(app, "POST", f"/config/receivers/{ident}/replay")) == {"replayed": 1}
    assert before["event"]["id"] in [row["event"]["id"] for row in deliveries(app, ident, "?state=waiting")]
    deliver()
    assert before["event"]["id"] in [row["event"]["id"] for row in deliveries(app, ident, "?state=sent")]
    assert deliveries(app, ident, "?state=dead") == []
    assert good(ask(app, "POST", f"/config/receivers/{ident}/replay", raw=b"{")) == {"replayed": 0}, "the body does not matter"


# ----------------------------------------------------------------------------------------------------- intake of Slack's and Alertmanager's form

@pytest.mark.parametrize(("body", "text", "reason"), [
    ({"text": "hello"}, "hello", "a text"), ({"text": "hello", "username": "bot", "icon_emoji": ":x:"}, "hello", "what Slack knows besides"),
    ({"attachments": [{"title": "T", "text": "A", "color": "danger"}]}, "T\nA", "an attachment"),
    ({"attachments": [{"fallback": "F"}]}, "F", "for plain eyes"),
    ({"text": "hello", "attachments": [{"text": "A", "fallback": "A"}, {"text": "B"}]}, "hello\nA\nB", "nothing twice"),
    ({"text": "x", "attachments": None}, "x", "null"),
    ({"text": "x", "attachments": [{"text": 5, "title": None, "fields": [{"title": "a", "value": "b"}]}]}, "x", "what is no text is left out"),
])
def test_what_is_made_for_slack_becomes_an_event(app: App, body: dict, text: str, reason: str) -> None:
    ident = create(app)
    posted = good(ask(app, "POST", "/slack/default/user_test", body))
    assert set(posted) == {"id"}
    event, = events(app)
    assert (event["id"], event["type"], event["text"], event["timestamp"]) == (posted["id"], "user_test", text, MORNING), reason
    assert event["messages"]["slack"] == body, "for receivers of this kind, whole"
    assert [row["event"]["id"] for row in deliveries(app, ident)] == [posted["id"]]


@pytest.mark.parametrize(("path", "body", "status", "reason"), [
    ("/slack/default/user_test", {}, 400, "says nothing"), ("/slack/default/user_test", {"text": ""}, 400, "says nothing"),
    ("/slack/default/user_test", {"text": []}, 400, "no text"), ("/slack/default/user_test", {"attachments": [{}]}, 400, "says nothing"),
    ("/slack/default/user_test", {"attachments": ["x"]}, 400, "no object"),
    ("/slack/default/user_test", {"attachments": {"text": "x"}}, 400, "no list"),
    ("/slack/default/user_test", {"text": "x", "more": "x" * 300_000}, 400, "too large"),
    ("/slack/default/unknown", {"text": "x"}, 400, "no such type"), ("/slack/acme2/user_test", {"text": "x"}, 404, "no such instance"),
    ("/slack/default", {"text": "x"}, 404, "no type"), ("/slack/default/user_test/x", {"text": "x"}, 404, "longer"),
    ("/webhook/default/user_test", {"alerts": [{}]}, 400, "only monitor"), ("/webhook/default/unknown", {"alerts": [{}]}, 400, "only monitor"),
    ("/webhook/default/monitor", {}, 400, "no alerts"), ("/webhook/default/monitor", {"alerts": []}, 400, "none"),
    ("/webhook/default/monitor", {"alerts": {}}, 400, "no list"), ("/webhook/default/monitor", {"alerts": ["x"]}, 400, "no object"),
    ("/webhook/default/monitor", {"alerts": None}, 400, "null"), ("/webhook/default/monitor", {"alerts": [{"startsAt": "now"}]}, 400, "no time"),
    ("/webhook/default/monitor", {"alerts": [{"startsAt": 5}]}, 400, "no time"),
    ("/webhook/nowhere/monitor", {"alerts": [{}]}, 404, "no such instance"),
])
def test_an_intake_that_does_not_fit_is_refused_and_not_stored(app: App, path: str, body: dict, status: int, reason: str) -> None:
    confined = app.make_key("write", customer="acme")
    before = app.stored()["events"]
    more = {"key": confined} if "acme2" in path or "nowhere" in path else {}
    assert is_refused(ask(app, "POST", path, body, **more), status), reason
    assert app.stored()["events"] == before


def test_a_sender_that_knows_no_header_presents_its_key_in_the_address(app: App) -> None:
    key = app.make_key("write:events", customer="acme")
    for path, body in (("/slack/acme/user_test", {"text": "x"}), ("/webhook/acme/monitor", POSTED[0][1])):
        assert good(ask(app, "POST", f"{path}?api-key={key}", body, key=None))["id"]
        assert is_refused(ask(app, "POST", f"{path}?api-key=wrong", body, key=None), 401)
    assert len(events(app, instance="acme")) == 2


@pytest.mark.parametrize(("path", "body"), [("/slack/acme/user_test", {"text": "x"}),
                                            ("/webhook/acme/monitor", {"alerts": [{"labels": {"alertname": "A"}}]})])
def test_the_address_of_an_intake_names_the_instance_without_a_header(app: App, path: str, body: dict) -> None:
    assert ask(app, "POST", path, body).status == 200, "part 5: there is no tenant header; the key may write for every customer"
    assert [event["instance_id"] for event in events(app, instance="acme")] == ["acme"]


@pytest.mark.parametrize(("name", "body"), POSTED, ids=[name for name, _ in POSTED])
def test_what_alertmanager_really_posted_becomes_an_event(make_app: Any, name: str, body: dict) -> None:
    app = make_app(event_retention="9999999999")
    ident = create(app)
    posted = good(ask(app, "POST", "/webhook/default/monitor", body))
    event, = events(app)
    started = body["alerts"][0]["startsAt"]
    assert (event["id"], event["type"], event["timestamp"][:19], set(posted)) == (posted["id"], "monitor", started[:19], {"id"})
    for alert in body["alerts"]:
        assert f"{alert['status']}: " in event["text"]
        for label, value in alert["labels"].items():
            assert f"{label}={value}" in event["text"]
    told, = deliveries(app, ident)
    title = told["event"]["title"]
    labels, annotations = {**body["alerts"][0]["labels"], **body["commonLabels"]}, {**body["alerts"][0]["annotations"], **body["commonAnnotations"]}
    assert body["status"].upper() in title and labels.get("severity", "").upper() in title
    assert (annotations.get("summary") or labels["alertname"]) in title
    for annotation, value in annotations.items():
        assert annotation == "summary" or value in event["text"]


def test_the_time_of_alerts_is_that_of_the_first_or_now(app: App) -> None:
    for started in ({}, {"startsAt": "0001-01-01T00:00:00Z"}, {"startsAt": None}, {"startsAt": ""}):
        good(ask(app, "POST", "/webhook/default/monitor", {"alerts": [started, {"startsAt": "2029-01-01T00:00:00Z"}]}))
    assert {event["timestamp"] for event in events(app)} == {MORNING}
    good(ask(app, "POST", "/webhook/default/monitor", {"alerts": [{"startsAt": "2029-12-31T23:00:00.5+01:00"}]}))
    assert "2029-12-31T22:00:00.500Z" in {event["timestamp"] for event in events(app)}


def test_of_many_alerts_the_first_ten_are_told_in_detail(app: App) -> None:
    alerts = [{"status": "firing", "labels": {"alertname": "Full", "instance": f"host{number:02}"}} for number in range(13)]
    good(ask(app, "POST", "/webhook/default/monitor", {"alerts": alerts, "status": "firing"}))
    text = events(app)[0]["text"]
    assert re.findall(r"host\d\d", text) == [f"host{number:02}" for number in range(10)] and "and 3 more" in text


@pytest.mark.parametrize("alert", [{}, {"labels": None}, {"labels": 5}, {"labels": {"a": [1]}, "annotations": ["x"], "status": 5},
                                   {"annotations": {"summary": None}}])
def test_alerts_in_another_form_are_taken_for_what_they_say(app: App, alert: dict) -> None:
    good(ask(app, "POST", "/webhook/default/monitor", {"alerts": [alert], "status": 7, "commonLabels": "x"}))
    assert len(events(app)) == 1


# ----------------------------------------------------------------------------------------------------------- health checks

def test_health_checks_are_public_and_say_nothing(app: App) -> None:
    for path in ("/events/healthcheck", "/config/healthcheck"):
        for key in (None, "unknown"):
            answer = ask(app, "GET", path, key=key)
            assert (answer.status, answer.body) == (200, b"")


def test_health_checks_fail_where_nothing_can_be_stored(app: App) -> None:
    app.store.db.execute(f"PRAGMA max_page_count = {app.store.db.execute('PRAGMA page_count').fetchone()[0]}")
    assert ask(app, "POST", "/events", {"type": "user_test", "instance_id": "default", "text": "x" * 90_000}).status == 507
    for path in ("/events/healthcheck", "/config/healthcheck"):
        assert is_refused(ask(app, "GET", path, key=None), 503)


# ------------------------------------------------------------------------------------------------------------ config_changed

@pytest.mark.parametrize(("changes", "count", "reason"), [
    ({}, 0, "nothing"), ({"address_data": "a@b.test"}, 0, "the same address"),
    ({"eventTypes": ["monitor", "user_test", "monitor"]}, 0, "the same types in another order"),
    ({"name": "Bob"}, 0, "the name is not what is told of"), ({"remind_every": 60}, 0, "nor reminders"),
    ({"address_data": "c@d.test"}, 1, "another address"), ({"eventTypes": ["monitor"]}, 1, "fewer types"),
    ({"eventTypes": ["monitor", "user_test", "check_down"]}, 1, "more"), ({"eventTypes": []}, 1, "none"),
    ({"address_data": "c@d.test", "eventTypes": []}, 1, "both: one event about the address"),
])
def test_an_update_is_an_event_only_where_something_is_another(app: App, changes: dict, count: int, reason: str) -> None:
    ident = create(app, "email", "a@b.test")
    good(update(app, ident, eventTypes=["user_test", "monitor"]))
    before = len(events(app, "?event_type=config_changed"))
    for _ in range(2):
        good(update(app, ident, **changes))
    assert len(events(app, "?event_type=config_changed")) - before == count, f"{reason}; the second time there is nothing new"


def test_a_changed_receiver_is_told_of_to_those_that_hear_of_it(app: App) -> None:
    ident, page = create(app, "email", "a@b.test"), create(app)
    good(update(app, ident, eventTypes=["monitor", "check_up", "check_down"]))
    details = deliveries(app, page)[0]["event"]
    built_in = [name for name in alertlite.EVENT_TYPES if name not in alertlite.NOT_BY_DEFAULT]
    assert (details["type"], details["receiver_type"]) == ("config_changed", "email")
    assert details["enabled"] == ["check_down", "check_up"] and details["disabled"] == sorted(set(built_in) - {"monitor"})
    good(update(app, ident, address_data="c@d.test", eventTypes=["monitor"]))
    details = deliveries(app, page)[0]["event"]
    assert (details["type"], "enabled" in details, "disabled" in details) == ("config_changed", False, False), "about the address only"
    event = events(app)[0]
    assert (event["type"], event["instance_id"]) == ("config_changed", "default") and "c@d.test" not in json.dumps(event)


def test_a_refused_update_and_one_of_another_instance_tell_nobody_here(app: App) -> None:
    ident, theirs = create(app, "email", "a@b.test"), create(app, "email", "a@b.test", instance="acme")
    assert update(app, ident, address_data="nobody").status == 400
    assert good(update(app, theirs, instance="acme", address_data="c@d.test")) is None
    assert events(app) == [] and [event["type"] for event in events(app, instance="acme")] == ["config_changed"]


# ---------------------------------------------------------------------------------------------------------- default receiver

def test_a_fresh_instance_has_no_receivers(app: App) -> None:
    assert listed(app) == listed(app, instance="acme") == []


def test_with_the_setting_a_fresh_instance_has_one_receiver_for_the_page(make_app: Any, tmp_path: pathlib.Path) -> None:
    app = make_app(default_receiver="on")
    add_types(app, tmp_path, MORE_TYPES)
    assert events(app) == [] and app.stored()["receivers"] == [], "listing events makes none"
    receiver, = listed(app)
    built_in = [name for name in alertlite.EVENT_TYPES if name not in alertlite.NOT_BY_DEFAULT]
    assert (receiver["type"], receiver["address_data"], receiver["instance_id"]) == ("browser", None, "default")
    assert receiver["eventTypes"] == [*built_in, "critical", "flag1", "flag2"]
    assert listed(app) == [receiver], "once"
    assert [found["instance_id"] for found in listed(app, instance="acme")] == ["acme"], "one for each instance"
    good(ask(app, "DELETE", f"/config/receivers/{receiver['id']}"))
    assert listed(app) == [], "deleted for good"
    add_types(app, tmp_path, MORE_TYPES)
    assert listed(app) == [], "also after a new start"


@pytest.mark.parametrize("path", ["/config/receivers_for_event/user_test", "/config/receivers"])
def test_with_the_setting_any_look_at_receivers_makes_the_first(make_app: Any, path: str) -> None:
    assert [receiver["type"] for receiver in good(ask(make_app(default_receiver="on"), "GET", path))] == ["browser"]


def test_with_the_setting_the_first_receiver_of_an_instance_is_its_second(make_app: Any) -> None:
    app = make_app(default_receiver="on")
    ident = create(app, "email", "a@b.test")
    assert [receiver["type"] for receiver in listed(app)] == ["browser", "email"] and listed(app)[1]["id"] == ident


def test_with_the_setting_the_first_event_of_an_instance_is_told_to_its_page(make_app: Any) -> None:
    app = make_app(default_receiver="on")
    posted = post(app)
    receiver, = listed(app)
    assert [row["event"]["id"] for row in deliveries(app, receiver["id"])] == [posted], "part 3: before a fan-out, too"


# ------------------------------------------------------------------------------------------------------------- keys that only read

SECRET_ADDRESSES = [
    ("slack", "https://hooks.slack.com/services/SECRET/B2", "https://hooks.slack.com/***"),
    ("discord", "https://discord.com:8443/api/webhooks/1/SECRET?wait=SECRET", "https://discord.com/***"),
    ("webhook", "http://h.test/SECRET", "http://h.test/***"),
    ("webhook", {"url": "http://h.test/SECRET", "secret": "SECRET", "headers": {"Authorization": "SECRET"}},
     {"url": "http://h.test/***", "secret": "***", "headers": "***"}),
    ("webhook", {"url_down": "http://h.test/SECRET", "body_down": "SECRET", "headers_down": {"X-A": "SECRET"}, "method_down": "POST"},
     {"url_down": "http://h.test/***", "body_down": "***", "headers_down": "***", "method_down": "POST"}),
    ("ntfy", {"topic": "t", "token": "SECRET", "url": "https://ntfy.test/SECRET"}, {"topic": "***", "token": "***", "url": "https://ntfy.test/***"}),
    ("gotify", {"url": "http://h.test", "token": "SECRET"}, {"url": "http://h.test/***", "token": "***"}),
    ("telegram", {"token": "1:SECRET", "chat_id": "5"}, {"token": "***", "chat_id": "5"}),
    ("matrix", {"url": "https://m.test", "token": "SECRET", "room": "!a:m.test"}, {"url": "https://m.test/***", "token": "***", "room": "!a:m.test"}),
    ("email", "a@b.test,c@d.test", "a@b.test,c@d.test"), ("browser", None, None), ("shell", {"command": "note"}, {"command": "note"}),
    ("file", {"name": "a.jsonl"}, {"name": "a.jsonl"}),
]


@pytest.mark.parametrize(("kind", "address", "seen"), SECRET_ADDRESSES)
def test_a_key_that_may_only_read_sees_no_secret_of_an_address(equipped: App, kind: str, address: Any, seen: Any) -> None:
    ident = create(equipped, kind, address)
    reader, writer = equipped.make_key("read:receivers"), equipped.make_key("write:receivers")
    for path in (f"/config/receivers/{ident}", "/config/receivers", "/config/receivers_for_event/user_test", f"/config/receivers/{ident}/deliveries"):
        answer = ask(equipped, "GET", path, key=reader)
        assert answer.status == 200 and b"SECRET" not in answer.body, path
    assert show(equipped, ident, key=reader)["address_data"] == seen
    assert show(equipped, ident, key=writer)["address_data"] == address, "who may write it sees it whole"
    assert b"SECRET" not in ask(equipped, "GET", "/config/receivers", key=equipped.make_key("read")).body
    for name in ("admin", "admin:receivers", "write"):
        assert show(equipped, ident, key=equipped.make_key(name))["address_data"] == address, name


def test_the_table_of_secrets_has_every_kind() -> None:
    assert {kind for kind, *_ in SECRET_ADDRESSES} | {"apprise"} == set(alertlite.KINDS)


@pytest.mark.parametrize("address", ["pushover://user@SECRET", "pbul://SECRET", "tgram://SECRET:a/1", "slack://SECRET/b/c",
                                     "mailto://a:SECRET@b.test"])
def test_an_address_of_apprise_is_shown_to_readers_without_what_may_be_its_token(address: str) -> None:
    assert "secret" not in json.dumps(alertlite.redacted_address(address)).lower(), "tokens stand where a web address has its host"


@pytest.mark.parametrize("address", ["http://[bad", "x://[", {"page": "http://[::1"}, ["http://h.test/SECRET"], [{"token": "SECRET"}]])
def test_whatever_an_address_is_a_reader_is_shown_its_receiver_without_secrets(app: App, address: Any) -> None:
    create(app, "browser", address)
    answer = ask(app, "GET", "/config/receivers", key=app.make_key("read"))
    assert answer.status == 200 and b"SECRET" not in answer.body


@pytest.mark.parametrize(("scope", "may"), [
    ("read:receivers", {"GET"}), ("write:receivers", {"GET", "POST", "PUT", "DELETE"}), ("admin:receivers", {"GET", "POST", "PUT", "DELETE"}),
    ("read:events", set()), ("write:events", set()), ("write:checks", set()), ("read", {"GET"}), ("write", {"GET", "POST", "PUT", "DELETE"}),
])
def test_a_key_may_do_with_receivers_what_its_scope_says(app: App, scope: str, may: set) -> None:
    ident, key = create(app), app.make_key(scope)
    for method, path, body in (("GET", f"/config/receivers/{ident}", None), ("POST", "/config/receivers", {"type": "browser"}),
                               ("PUT", f"/config/receivers/{ident}", show(app, ident)), ("DELETE", f"/config/receivers/{ident}", None)):
        status = ask(app, method, path, body, key=key).status
        assert (status < 300) == (method in may) and status in (200, 201, 403), (scope, method)


# ---------------------------------------------------------------------------------------------------------------- channels

def test_receivers_are_the_channels_of_checks(app: App) -> None:
    first, second = create(app, "email", "a@b.test", name="Ann"), create(app, "webhook", URL)
    theirs = create(app, instance="acme")
    for version in "123":
        assert app.get(f"/api/v{version}/channels/")["channels"] == [
            {"id": first, "name": "Ann", "kind": "email"}, {"id": second, "name": "", "kind": "webhook"}]
    assert [channel["id"] for channel in app.get("/api/v1/channels/", key=app.make_key("write", customer="acme"))["channels"]] == [theirs]
    assert URL.encode() not in app.call("GET", "/api/v1/channels/").body


@pytest.mark.parametrize("named", ["id", "name", "star", "both"])
def test_a_check_tells_the_receivers_that_are_assigned_to_it(app: App, named: str) -> None:
    ann, bob = create(app, "email", "a@b.test", name="Ann"), create(app, name="Bob")
    channels = {"id": ann, "name": "Ann", "star": "*", "both": f"{bob},Ann"}[named]
    check = app.call("POST", "/api/v3/checks/", {"name": "nightly", "channels": channels}).json
    told = {ann} if named in ("id", "name") else {ann, bob}
    assert set(check["channels"].split(",")) == told
    app.call("GET", f"/ping/{check['uuid']}/fail", key=None)
    for ident in (ann, bob):
        assert ("check_down" in [row["event"]["type"] for row in deliveries(app, ident)]) == (ident in told)


def test_a_receiver_that_subscribes_to_checks_and_is_assigned_hears_once(app: App) -> None:
    ident = create(app, name="Ann")
    good(update(app, ident, eventTypes=["check_down"]))
    check = app.call("POST", "/api/v3/checks/", {"name": "nightly", "channels": "Ann"}).json
    app.call("GET", f"/ping/{check['uuid']}/fail", key=None)
    assert [row["event"]["type"] for row in deliveries(app, ident)].count("check_down") == 1


def test_a_deleted_receiver_is_no_channel_of_any_check(app: App) -> None:
    ident = create(app, name="Ann")
    check = app.call("POST", "/api/v3/checks/", {"name": "nightly", "channels": "*"}).json
    good(ask(app, "DELETE", f"/config/receivers/{ident}"))
    assert app.get(f"/api/v3/checks/{check['uuid']}")["channels"] == "" and app.get("/api/v1/channels/")["channels"] == []
