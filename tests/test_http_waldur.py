"""The Waldur alerts API as its clients see it: alerts on a scope over HTTP, each answer and each refusal to the letter."""
from __future__ import annotations

import concurrent.futures
import json
import re
import urllib.parse
from typing import Any

import pytest
from conftest import ADMIN_KEY, Answer, App

PROJECT = "http://testserver/api/projects/b9e8a102b5ff4469b9ac03253fae4b95/"       # the scope of the sample in the seed
PROJECT_UUID = "b9e8a102b5ff4469b9ac03253fae4b95"
MORNING = 1893456000                                 # when the clock of the tests begins, 2030-01-01T00:00:00Z
NOBODY = "0" * 32                                    # no alert has this uuid
SEVERITIES = ("Debug", "Info", "Warning", "Error", "Critical")
KEYS = {"url", "uuid", "alert_type", "message", "severity", "scope", "created", "closed", "context", "acknowledged"}
REQUIRED = ["This field is required."]
NOT_NULL = ["This field may not be null."]
NOT_BLANK = ["This field may not be blank."]
NOT_TEXT = ["Not a valid string."]


def waldur(app: App, method: str, path: str = "", body: Any = None, *, key: str | None = ADMIN_KEY, raw: bytes | None = None,
           headers: dict[str, str] | None = None) -> Answer:
    """One request below /api/alerts/, with the key as this API takes it."""
    sent = {**({} if key is None else {"Authorization": f"Token {key}"}), **(headers or {})}
    return app.call(method, f"/api/alerts/{path}", body, key=None, headers=sent, raw=raw)


def alert_body(**fields: Any) -> dict[str, Any]:
    """What the sample of the seed posts, with other fields."""
    return {"scope": PROJECT, "message": "message#1", "alert_type": "first_alert", "severity": "Debug", **fields}


def post(app: App, *, key: str | None = ADMIN_KEY, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """The alert that a POST ended in."""
    answer = waldur(app, "POST", "", alert_body(**fields), key=key, headers=headers)
    assert answer.status == 201, answer
    return answer.json


def listed(app: App, query: str = "", **more: Any) -> list[Any]:
    answer = waldur(app, "GET", f"?{query}" if query else "", **more)
    assert answer.status == 200, answer
    return answer.json


def types(app: App, query: str = "", **more: Any) -> list[str]:
    """The alert types of a list, in its order."""
    return [alert["alert_type"] for alert in listed(app, query, **more)]


def show(app: App, uuid: str, **more: Any) -> Any:
    answer = waldur(app, "GET", f"{uuid}/", **more)
    assert answer.status == 200, answer
    return answer.json


def act(app: App, uuid: str, action: str, **more: Any) -> Answer:
    return waldur(app, "POST", f"{uuid}/{action}/", **more)


def close(app: App, uuid: str) -> None:
    answer = act(app, uuid, "close")
    assert (answer.status, answer.body) == (204, b""), answer


def is_detail(answer: Answer, status: int, text: str) -> bool:
    return (answer.status, answer.headers["Content-Type"], answer.json) == (status, "application/json", {"detail": text})


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: Any) -> Any:
    """One application with one open alert, for all tests that must not change anything."""
    application = App(tmp_path_factory.mktemp("quiet") / "alertlite.db")
    post(application)
    yield application
    application.close()


def links(answer: Answer) -> list[tuple[str, str, dict[str, list[str]], str | None]]:
    """(rel, address, other parameters, page) of each part of the Link header, in order."""
    found = []
    for part in answer.headers["Link"].split(", "):
        match = re.fullmatch(r'<([^<>?]*)(?:\?([^<>]*))?>; rel="(\w+)"', part)
        assert match, part
        pairs = urllib.parse.parse_qsl(match[2] or "", keep_blank_values=True, strict_parsing=bool(match[2]))
        others = [pair for pair in pairs if pair[0] != "page"]
        assert [name for name, _ in others] == sorted(name for name, _ in others), "sorted by name"
        kept = {name: sorted(value for key, value in others if key == name) for name, _ in others}
        found.append((match[3], match[1], kept, next((value for name, value in pairs if name == "page"), None)))
    return found


def dotted(uuid: str) -> str:
    """A uuid with hyphens."""
    return "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]))


# ------------------------------------------------------------------------------------------------- the alert object

def test_an_alert_has_the_keys_and_forms_of_the_sample(app: App) -> None:
    app.clock.advance(0.342)
    answer = waldur(app, "POST", "", alert_body())
    alert = answer.json
    assert (answer.status, answer.headers["Content-Type"]) == (201, "application/json")
    assert re.fullmatch("[0-9a-f]{32}", alert["uuid"])
    assert alert == {
        "url": f"http://alert.test/api/alerts/{alert['uuid']}/", "uuid": alert["uuid"], "alert_type": "first_alert", "message": "message#1",
        "severity": "Debug", "scope": PROJECT, "created": "2030-01-01T00:00:00.342Z", "closed": None, "context": {}, "acknowledged": False}
    assert answer.headers["Location"] == alert["url"]
    assert listed(app) == [alert] and show(app, alert["uuid"]) == alert


def test_the_address_of_an_alert_is_the_one_that_its_reader_uses(app: App, make_app: Any) -> None:
    alert = post(app)
    assert show(app, alert["uuid"], headers={"Host": "alias.test:81"})["url"] == f"http://alias.test:81/api/alerts/{alert['uuid']}/"
    far = make_app(base_url="https://far.test/monitoring")
    alert = post(far, scope="/api/projects/1/")
    assert alert["url"] == f"https://far.test/monitoring/api/alerts/{alert['uuid']}/"
    assert alert["scope"] == "https://far.test/monitoring/api/projects/1/"


@pytest.mark.parametrize("severity", SEVERITIES)
def test_all_five_severities_of_the_seed_are_taken_and_shown(app: App, severity: str) -> None:
    alert = post(app, severity=severity)
    assert (alert["severity"], alert["closed"]) == (severity, None)
    assert types(app, f"severity={severity}&opened") == ["first_alert"]


@pytest.mark.parametrize(("posted", "shown", "reason"), [
    ("  two words \n", "two words", "blanks around it go"), (5, "5", "a number becomes its text"), (0, "0", "also nought"),
    (-1.5, "-1.5", "and a fraction"), ("{x}", "{x}", "not a template"), ("{}", "{}", "nor this"), ("{", "{", "a lone brace"),
    ("}", "}", "the other one"), ("{{x}}", "{{x}}", "two stay two"), ("%s %(a)s %", "%s %(a)s %", "nor the older kind of template"),
    ("a" * 255, "a" * 255, "the longest"), (" " + "a" * 255 + " ", "a" * 255, "counted without the blanks"),
    ("Grüße\n\"<b>\" \U0001f600", "Grüße\n\"<b>\" \U0001f600", "any text"), ("' OR 1=1 --", "' OR 1=1 --", "no SQL"),
])
def test_a_message_is_kept_as_it_is(app: App, posted: Any, shown: str, reason: str) -> None:
    alert = post(app, message=posted)
    assert alert["message"] == show(app, alert["uuid"])["message"] == shown, reason
    assert post(app, message=posted) == alert, "the same said again"


@pytest.mark.parametrize(("posted", "shown", "reason"), [
    (PROJECT, PROJECT, "as the seed shows it"), ("https://example.com/api/instances/1/", "https://example.com/api/instances/1/", "https"),
    ("/api/projects/1/", "http://alert.test/api/projects/1/", "a path is completed"), ("/", "http://alert.test/", "the shortest path"),
    ("/nas/disk1", "http://alert.test/nas/disk1", "not below /api/"),
    ("/go?to=http://x.test/", "http://alert.test/go?to=http://x.test/", "a path with an address in it is still a path"),
    ("  /api/projects/1/  ", "http://alert.test/api/projects/1/", "blanks around it go"),
])
def test_a_scope_is_shown_absolute(app: App, posted: str, shown: str, reason: str) -> None:
    assert post(app, scope=posted)["scope"] == shown, reason
    assert [alert["scope"] for alert in listed(app, urllib.parse.urlencode({"scope": posted.strip()}))] == [shown], "and found by what was posted"


@pytest.mark.parametrize("scope", [
    "projects/1", "api/projects/1/", "web01", "ftp://example.com/1/", "mailto:a@example.com", "javascript:alert(1)", "http://", "http:///x/",
    "https:", "http://[::1/", "http:/api/", "//example.com/1/", "file:///etc/passwd", "/a\nb/", "/a\tb", "/a\x7fb/", "-", ".", "?", "#",
    "/" + "x" * 100_000, 5, 0, 1.5,
])
def test_a_scope_that_is_no_address_is_refused(quiet: App, scope: Any) -> None:
    old = quiet.stored()
    answer = waldur(quiet, "POST", "", alert_body(scope=scope))
    assert (answer.status, list(answer.json), quiet.stored() == old) == (400, ["scope"], True), answer
    assert [type(text) for text in answer.json["scope"]] == [str]


def test_who_posts_cannot_set_what_only_the_server_knows(app: App) -> None:
    alert = post(app, uuid=NOBODY, url="http://evil.test/", created="2001-01-01T00:00:00Z", closed="2001-01-01T00:00:00Z", acknowledged=True,
                 is_closed=1, customer="acme", unknown=[1])
    assert (alert["created"], alert["closed"], alert["acknowledged"]) == ("2030-01-01T00:00:00.000Z", None, False)
    assert alert["uuid"] != NOBODY and set(alert) == KEYS and "evil" not in alert["url"]


def test_a_context_is_an_object_that_stays_as_it_was_first_said(app: App) -> None:
    context = {"customer_name": "Ann", "quota_limit": "131072.0", "deep": {"a": [1, None, True, "ü"]}}
    alert = post(app, context=context)
    assert alert["context"] == context
    assert post(app, context={"other": 1}, message="new")["context"] == context
    assert post(app, message="newer")["context"] == context
    assert post(app, alert_type="another", context=None)["context"] == {}


@pytest.mark.parametrize("filler", [199_900, 199_990, 199_992])
def test_an_alert_with_the_largest_context_can_be_updated(app: App, filler: int) -> None:
    first = waldur(app, "POST", "", alert_body(context={"a": "x" * filler}))
    assert first.status in (201, 400)
    if first.status == 201:
        again = waldur(app, "POST", "", alert_body(message="new"))
        assert (again.status, again.json["uuid"]) == (201, first.json["uuid"])
        assert act(app, first.json["uuid"], "acknowledge").status == 200 and act(app, first.json["uuid"], "close").status == 204


# ----------------------------------------------------------------------------------------------- create or update

@pytest.mark.parametrize(("second", "same", "reason"), [
    ({}, True, "all the same"), ({"message": "message#2"}, True, "another message"), ({"severity": "Critical"}, True, "worse"),
    ({"severity": "Info", "message": "message#2"}, True, "both"), ({"scope": PROJECT.replace("testserver", "alias:8000")}, True, "by another host"),
    ({"scope": PROJECT.replace("http:", "https:")}, True, "by another scheme"), ({"scope": urllib.parse.urlsplit(PROJECT).path}, True, "by its path"),
    ({"scope": PROJECT[:-1]}, True, "without its slash"), ({"alert_type": "second_alert"}, False, "of another type"),
    ({"alert_type": "First_Alert"}, False, "types are compared to the letter"), ({"scope": PROJECT[:-2] + "6/"}, False, "on another scope"),
    ({"scope": PROJECT.replace("projects", "instances")}, False, "the same uuid of another collection"),
])
def test_a_post_updates_the_open_alert_of_its_scope_and_type(app: App, second: dict, same: bool, reason: str) -> None:
    old = post(app)
    app.clock.advance(60)
    answer = waldur(app, "POST", "", alert_body(**second))
    new = answer.json
    assert (answer.status, answer.headers["Location"], new["uuid"] == old["uuid"]) == (201, new["url"], same), reason
    assert len(listed(app)) == (1 if same else 2)
    assert (new["message"], new["severity"]) == (second.get("message", "message#1"), second.get("severity", "Debug"))
    assert show(app, new["uuid"]) == new
    if same:
        assert new == {**old, "message": new["message"], "severity": new["severity"]}, "nothing else changed"


@pytest.mark.parametrize("before", SEVERITIES)
@pytest.mark.parametrize("after", SEVERITIES)
def test_an_update_keeps_what_was_said_at_first_whatever_its_severity(app: App, before: str, after: str) -> None:
    old = post(app, severity=before, context={"quota_name": "ram"})
    app.clock.advance(60)
    assert act(app, old["uuid"], "acknowledge").status == 200
    app.clock.advance(60)
    new = post(app, severity=after, message="new", context={"quota_name": "cpu"})
    assert new == {**old, "severity": after, "message": "new", "acknowledged": True}


def test_a_post_after_closing_is_a_new_alert(app: App) -> None:
    uuids = []
    for _ in range(3):
        alert = post(app)
        assert (alert["closed"], alert["acknowledged"]) == (None, False)
        assert post(app)["uuid"] == alert["uuid"]
        app.clock.advance(1)
        uuids.append(alert["uuid"])
        assert act(app, alert["uuid"], "acknowledge").status == 200
        close(app, alert["uuid"])
        app.clock.advance(1)
    assert len(set(uuids)) == 3
    assert [alert["uuid"] for alert in listed(app)] == uuids[::-1], "any number of closed ones stays"
    assert [alert["closed"][17:19] for alert in listed(app)] == ["05", "03", "01"], "each with its own end"


def test_closing_one_of_two_of_the_same_scope_and_type_leaves_the_other(app: App) -> None:
    first = post(app)
    close(app, first["uuid"])
    second = post(app)
    close(app, first["uuid"])
    assert show(app, second["uuid"])["closed"] is None
    assert types(app, "opened") == types(app, "closed") == ["first_alert"]


def test_posting_at_the_same_time_makes_one_alert(app: App) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        alerts = list(pool.map(lambda number: post(app, message=str(number)), range(12)))
    assert len({alert["uuid"] for alert in alerts}) == len(listed(app)) == 1


# ------------------------------------------------------------------------------------------------- bodies refused

@pytest.mark.parametrize(("body", "errors", "reason"), [
    ({}, {"scope": REQUIRED, "message": REQUIRED, "alert_type": REQUIRED, "severity": REQUIRED}, "nothing at all"),
    (dict.fromkeys(("scope", "message", "alert_type", "severity")),
     {"scope": NOT_NULL, "message": NOT_NULL, "alert_type": NOT_NULL, "severity": NOT_NULL}, "null everywhere"),
    ({"scope": PROJECT, "severity": "Fatal", "alert_type": "t" * 51, "message": "m" * 256},
     {"severity": ['"Fatal" is not a valid choice.'], "alert_type": ["Ensure this field has no more than 50 characters."],
      "message": ["Ensure this field has no more than 255 characters."]}, "each wrong in its way"),
    (alert_body(message="", alert_type="  "), {"message": NOT_BLANK, "alert_type": NOT_BLANK}, "blank"),
    (alert_body(message=True, alert_type={}), {"message": NOT_TEXT, "alert_type": NOT_TEXT}, "no texts"),
    (alert_body(message=[], alert_type=["a"]), {"message": NOT_TEXT, "alert_type": NOT_TEXT}, "lists"),
    (alert_body(severity="debug"), {"severity": ['"debug" is not a valid choice.']}, "names are exact"),
    (alert_body(severity="10"), {"severity": ['"10" is not a valid choice.']}, "a number is no name"),
    ({"message": "x"}, {"scope": REQUIRED, "alert_type": REQUIRED, "severity": REQUIRED}, "what is there and right is not named"),
])
def test_all_wrong_fields_are_reported_together(quiet: App, body: dict, errors: dict, reason: str) -> None:
    old = quiet.stored()
    answer = waldur(quiet, "POST", "", body)
    assert (answer.status, answer.headers["Content-Type"], answer.json) == (400, "application/json", errors), reason
    assert quiet.stored() == old


ANY_TEXT = [None, True, False, [], ["a"], {}, {"a": "b"}, "", "   ", "\n", "a\0b", "\0", "\ud800", "a\udfffb", "x" * 100_001, 10 ** 30]
WRONG_VALUES = {
    "alert_type": [*ANY_TEXT, "t" * 51], "message": [*ANY_TEXT, "m" * 256],
    "severity": [*ANY_TEXT, "debug", "DEBUG", "Fatal", "critical", "major", 10, 1.5, "10", "Debug,Info", "Dеbug"],
    "scope": [*ANY_TEXT, 5, "x"], "context": [5, 0, True, "a", "", [], [1], {"a": "\0"}, {"\ud800": 1}, {"a": "x" * 200_001}, {"a": 10 ** 30}],
    "timeout": [-1, True, 1.5, [], {}, "soon", 10 ** 12, 10 ** 30],
}


@pytest.mark.parametrize(("name", "value"), [
    pytest.param(name, value, id=f"{name}-{place}") for name, values in WRONG_VALUES.items() for place, value in enumerate(values)])
@pytest.mark.parametrize("alert_type", ["first_alert", "second_alert"], ids=["update", "create"])
def test_a_wrong_value_is_refused_and_changes_nothing(quiet: App, name: str, value: Any, alert_type: str) -> None:
    old = quiet.stored()
    answer = waldur(quiet, "POST", "", {**alert_body(alert_type=alert_type), name: value})
    assert (answer.status, answer.headers["Content-Type"], quiet.stored() == old) == (400, "application/json", True), answer
    assert list(answer.json) in ([name], ["detail"]), answer
    assert all(isinstance(text, list) and text for text in ([answer.json[name]] if name in answer.json else [])), "a list of texts"


@pytest.mark.parametrize(("raw", "reason"), [
    (b"{", "cut off"), (b"{'scope': u'http://x/'}", "the sample of the seed to the letter"), (b"scope=%2Fx&message=m", "a form"),
    (b"\xff\xfe{}", "not UTF-8"), (b'{"message": "\xed\xa0\x80"}', "half a surrogate pair in UTF-8"), (b'{"a": NaN}', "not a number"),
    (b'{"a": 1e999}', "endless"), (b'{"a": 1, "a": 2}', "a name twice"), (b"{} {}", "two values"), (b"[" * 5000, "deep"),
    (b'{"a": ' * 3000 + b"1" + b"}" * 3000, "deep and well-formed"), (b'{"a": "\0"}', "NUL as it is"), (b'{"a": "\\u0000"}', "NUL as an escape"),
    (b'{"a": "\\ud800"}', "half a surrogate pair as an escape"), (b'{"\\ud800": 1}', "in a name"), (b"nul", "no word of JSON"),
])
def test_a_body_that_is_not_json_is_refused(quiet: App, raw: bytes, reason: str) -> None:
    old = quiet.stored()
    answer = waldur(quiet, "POST", "", raw=raw)
    assert (answer.status, answer.headers["Content-Type"], list(answer.json)) == (400, "application/json", ["detail"]), reason
    assert answer.json["detail"].startswith("JSON parse error - ") and quiet.stored() == old


@pytest.mark.parametrize("raw", [b"[]", b'["a"]', b'"text"', b"5", b"true", json.dumps([alert_body()]).encode()])
def test_a_body_that_is_no_object_is_refused_as_a_whole(quiet: App, raw: bytes) -> None:
    old = quiet.stored()
    answer = waldur(quiet, "POST", "", raw=raw)
    assert (answer.status, list(answer.json), quiet.stored() == old) == (400, ["non_field_errors"], True), answer
    assert [type(text) for text in answer.json["non_field_errors"]] == [str]


@pytest.mark.parametrize("raw", [b"", b"{}", b" \n"])
def test_an_empty_body_lacks_every_field(quiet: App, raw: bytes) -> None:
    answer = waldur(quiet, "POST", "", raw=raw)
    assert (answer.status, answer.json) == (400, dict.fromkeys(("scope", "message", "alert_type", "severity"), REQUIRED))


def test_a_body_that_is_too_large_is_refused(quiet: App) -> None:
    old = quiet.stored()
    answer = waldur(quiet, "POST", "", alert_body(message="x" * 2_000_000))
    assert (answer.status, list(answer.json), quiet.stored() == old) == (413, ["detail"], True)


@pytest.mark.parametrize("alert_type", ["Heartbeat", "HeartbeatFail", "stats", "~x", "a,b", "a b", "*", "ALL", "5", "ü", "t" * 50, "'\"<>"])
def test_any_alert_type_is_an_alert_like_any_other(app: App, alert_type: str) -> None:
    alert = post(app, alert_type=alert_type)
    assert (alert["alert_type"], show(app, alert["uuid"])) == (alert_type, alert)
    assert types(app, urllib.parse.urlencode({"alert_type": alert_type})) == [alert_type]


@pytest.mark.parametrize(("posted", "shown"), [(5, "5"), (" first ", "first")])
def test_an_alert_type_is_taken_like_a_message(app: App, posted: Any, shown: str) -> None:
    assert post(app, alert_type=posted)["alert_type"] == shown
    assert post(app, alert_type=shown)["uuid"] == listed(app)[0]["uuid"]


# ---------------------------------------------------------------------------------------------------------- pages

def some(app: App, count: int, **fields: Any) -> None:
    """So many alerts, t0 the oldest, a second apart."""
    for number in range(count):
        post(app, alert_type=f"t{number}", **fields)
        app.clock.advance(1)


@pytest.mark.parametrize(("query", "first", "count", "rels", "reason"), [
    ("", 24, 10, {"first": None, "next": "2", "last": "3"}, "ten, the newest first"),
    ("page=1", 24, 10, {"first": None, "next": "2", "last": "3"}, "the same by its number"),
    ("page=2", 14, 10, {"first": None, "prev": None, "next": "3", "last": "3"}, "the first page is said by no page"),
    ("page=3", 4, 5, {"first": None, "prev": "2", "last": "3"}, "the rest"),
    ("page=last", 4, 5, {"first": None, "prev": "2", "last": "3"}, "the last, unknown which that is"),
    ("page_size=25", 24, 25, {"first": None, "last": None}, "all on one page"),
    ("page_size=24&page=2", 0, 1, {"first": None, "prev": None, "last": "2"}, "all but one"),
    ("page_size=1&page=25", 0, 1, {"first": None, "prev": "24", "last": "25"}, "one by one"),
    ("page_size=5&page=3", 14, 5, {"first": None, "prev": "2", "next": "4", "last": "5"}, "in the middle"),
    ("page_size=0", 24, 10, {"first": None, "next": "2", "last": "3"}, "nought means the default"),
    ("page_size=-5", 24, 10, {"first": None, "next": "2", "last": "3"}, "so does less"),
    ("page_size=x", 24, 10, {"first": None, "next": "2", "last": "3"}, "and what is no number"),
    ("page_size=", 24, 10, {"first": None, "next": "2", "last": "3"}, "and nothing"),
    ("page_size=1000000", 24, 25, {"first": None, "last": None}, "clamped, not refused"),
])
def test_a_list_comes_in_pages(app: App, query: str, first: int, count: int, rels: dict, reason: str) -> None:
    some(app, 25)
    answer = waldur(app, "GET", f"?{query}" if query else "")
    assert answer.status == 200, answer
    assert [alert["alert_type"] for alert in answer.json] == [f"t{first - number}" for number in range(count)], reason
    assert (answer.headers["X-Result-Count"], answer.headers["Content-Type"]) == ("25", "application/json")
    found = links(answer)
    assert [rel for rel, *_ in found] == list(rels), "in this order"
    assert {rel: page for rel, _, _, page in found} == rels
    size = [part.partition("=")[2] for part in query.split("&") if part.startswith("page_size")]
    assert all((address, kept) == ("http://alert.test/api/alerts/", {"page_size": size} if size else {}) for _, address, kept, _ in found)


def test_a_page_has_at_most_a_hundred(app: App) -> None:
    some(app, 102)
    for size, count in (("99", 99), ("100", 100), ("101", 100), ("300", 100)):
        answer = waldur(app, "GET", f"?page_size={size}")
        assert (len(answer.json), answer.headers["X-Result-Count"]) == (count, "102"), size
    assert [page for *_, page in links(waldur(app, "GET", "?page_size=300"))] == [None, "2", "2"]


def test_a_page_size_is_clamped_however_large_it_is(app: App) -> None:
    some(app, 11)
    for digits in (4, 9, 10, 30):
        assert len(listed(app, "page_size=" + "9" * digits)) == 11


def test_the_links_keep_every_other_parameter(app: App) -> None:
    some(app, 3)
    answer = waldur(app, "GET", "?severity=Debug&page_size=1&opened&severity=Info&page=2&o=-created&unknown=a%26b%20%C3%BC")
    kept = {"o": ["-created"], "opened": [""], "page_size": ["1"], "severity": ["Debug", "Info"], "unknown": ["a&b ü"]}
    assert links(answer) == [(rel, "http://alert.test/api/alerts/", kept, page) for rel, page in (
        ("first", None), ("prev", None), ("next", "3"), ("last", "3"))]
    assert "opened=&" in answer.headers["Link"], "a parameter without a value gets its ="
    for _, address, _, _ in links(waldur(app, "GET", "?page_size=1&message=%3E%22%0D%0AX-Evil%3A1")):
        assert address == "http://alert.test/api/alerts/"


def test_following_the_next_links_meets_every_alert_once(app: App) -> None:
    for number in range(7):
        post(app, alert_type=f"t{number}")               # all at the same moment
    met, address = [], "/api/alerts/?page_size=2&o=severity"
    while address:
        answer = app.call("GET", address)
        met += [alert["alert_type"] for alert in answer.json]
        following = re.search(r'<http://alert\.test([^>]*)>; rel="next"', answer.headers["Link"])
        address = following and following[1]
    assert sorted(met) == [f"t{number}" for number in range(7)]


@pytest.mark.parametrize("page", ["0", "-1", "", "x", "4", "1.5", "first", "Last", "9" * 30, "٣", "1 "])
def test_a_page_that_does_not_exist_is_not_found(app: App, page: str) -> None:
    some(app, 25)
    assert is_detail(waldur(app, "GET", f"?page={urllib.parse.quote(page)}"), 404, "Invalid page.")


def test_an_empty_list_has_one_page(app: App) -> None:
    for query in ("", "?page=1", "?page=last", "?severity=Fatal"):
        answer = waldur(app, "GET", query)
        assert (answer.status, answer.json, answer.headers["X-Result-Count"]) == (200, [], "0")
        assert [(rel, page) for rel, _, _, page in links(answer)] == [("first", None), ("last", None)]
    assert is_detail(waldur(app, "GET", "?page=2"), 404, "Invalid page.")


def test_the_count_is_of_what_the_filter_leaves(app: App) -> None:
    some(app, 3)
    some(app, 2, scope="/api/instances/1/", severity="Error")
    answer = waldur(app, "GET", "?severity=Error&page_size=1")
    assert (answer.headers["X-Result-Count"], len(answer.json), links(answer)[-1][3]) == ("2", 1, "2")


def test_head_has_the_headers_of_a_list(app: App) -> None:
    some(app, 11)
    got, head = waldur(app, "GET", "?page=2"), waldur(app, "HEAD", "?page=2")
    assert (head.status, head.body) == (200, b"")
    assert [head.headers[name] for name in ("Link", "X-Result-Count", "Content-Type")] == [
        got.headers[name] for name in ("Link", "X-Result-Count", "Content-Type")]


# -------------------------------------------------------------------------------------------------------- filters

INSTANCE = "/api/instances/9d1d7e03b0d14fd0b42b5f649dfa3de5/"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: Any) -> Any:
    """Five alerts, ten seconds apart: the oldest acknowledged, the second closed 100 seconds after the first came. Only read from."""
    app = App(tmp_path_factory.mktemp("filled") / "alertlite.db")
    for kind, severity, scope, message, context in (
            ("disk", "Debug", PROJECT, "Disk nearly full", {}), ("ram", "Info", INSTANCE, "RAM is full", {"customer_uuid": "c1", "note": "p7"}),
            ("cpu", "Warning", "/api/service-settings/3/", "hot", {"project_uuid": "p7"}), ("net", "Error", INSTANCE, "100% lost_packets", {}),
            ("fire", "Critical", "/api/cloud-project-memberships/4/", "Größe", {"project_group_uuid": "g5"})):
        post(app, alert_type=kind, severity=severity, scope=scope, message=message, context=context)
        app.clock.advance(10)
    assert act(app, listed(app, "alert_type=disk")[0]["uuid"], "acknowledge").status == 200
    app.clock.advance(50)
    close(app, listed(app, "alert_type=ram")[0]["uuid"])
    yield app
    app.close()


@pytest.mark.parametrize(("query", "found", "reason"), [
    ("", "fire net cpu ram disk", "the newest first"),
    ("severity=Error", "net", "one severity"), ("severity=Error&severity=Debug", "net disk", "two of them, repeated"),
    ("severity=Fatal", "", "an unknown one matches nothing"), ("severity=Fatal&severity=Error", "net", "and harms nothing"),
    ("severity=error", "", "to the letter"), ("severity=Error,Debug", "", "no list with commas"), ("severity=", "", "nor nothing"),
    ("severity=major", "", "nor a name of another API"),
    ("alert_type=cpu", "cpu", "one type"), ("alert_type=cpu&alert_type=disk", "cpu disk", "two of them, repeated"),
    ("alert_type=CPU", "", "to the letter"), ("alert_type=cp", "", "the whole type"), ("alert_type=", "", "nothing matches nothing"),
    ("alert_type=~cpu", "", "no pattern"), ("alert_type=c%25", "", "nor one of SQL"), ("alert_type=cpu,disk", "", "no list with commas"),
    (f"scope={PROJECT}", "disk", "the address as posted"), (f"scope={PROJECT.replace('testserver', 'alias')}", "disk", "on whatever host"),
    (f"scope={INSTANCE}", "net ram", "by the path alone"), (f"scope=https://alert.test{INSTANCE}", "net ram", "as it is shown, by https"),
    (f"scope={INSTANCE[:-1]}", "net ram", "without the slash"), ("scope=", "fire net cpu ram disk", "nothing is no filter"),
    ("scope=/api/instances/", "", "the whole path"), ("scope=/api/instances/1/", "", "an unknown one"),
    ("scope_type=project", "disk", "singular of the collection"), ("scope_type=instance", "net ram", "another one"),
    ("scope_type=service_setting", "cpu", "with an underscore"), ("scope_type=cloud_project_membership", "fire", "as in the seed"),
    ("scope_type=customer", "", "one of which there is none"), ("scope_type=projects", "", "not the collection itself"),
    (f"created_from={MORNING + 30}", "fire net", "from is inclusive"), (f"created_to={MORNING + 30}", "cpu ram disk", "to is exclusive"),
    (f"created_from={MORNING + 10}&created_to={MORNING + 30}", "cpu ram", "both"), (f"created_from={MORNING + 30}.9", "fire net", "cut to seconds"),
    ("created_from=&created_to=", "fire net cpu ram disk", "nothing is no filter"), ("created_from=0", "fire net cpu ram disk", "since ever"),
    ("created_to=0", "", "before everything"), (f"created_from={MORNING + 30}&created_to={MORNING + 30}", "", "nothing in between"),
    (f"closed_from={MORNING + 100}", "ram", "closed then, inclusive; none that is open"), (f"closed_from={MORNING + 101}", "", "later"),
    (f"closed_to={MORNING + 100}", "", "exclusive"), (f"closed_to={MORNING + 101}", "ram", "not the open ones"),
    ("closed_from=0", "ram", "closed ever"), ("closed_from=&closed_to=", "fire net cpu ram disk", "nothing is no filter"),
    ("opened", "fire net cpu disk", "by its presence"), ("opened=", "fire net cpu disk", "with nothing"),
    ("opened=false", "fire net cpu disk", "whatever it says"), ("closed", "ram", "by its presence"), ("closed=0", "ram", "whatever it says"),
    ("opened&closed", "", "both at once"),
    ("acknowledged=True", "disk", "as Python says it"), ("acknowledged=true", "disk", "as JSON does"), ("acknowledged=1", "disk", "as a number"),
    ("acknowledged=False", "fire net cpu ram", "those that are not"), ("acknowledged=false", "fire net cpu ram", "the same"),
    ("acknowledged=0", "fire net cpu ram", "the same"), ("acknowledged=maybe", "fire net cpu ram disk", "anything else is no filter"),
    ("acknowledged=", "fire net cpu ram disk", "nor is nothing"),
    ("message=full", "ram disk", "a part of it"), ("message=FULL", "ram disk", "in whatever case"),
    ("message=GR%C3%96%C3%9FE", "fire", "beyond ASCII, too"),
    ("message=%25", "net", "no pattern"), ("message=_", "net", "nor this"), ("message=.*", "", "nor a regular expression"),
    ("message=", "fire net cpu ram disk", "nothing is no filter"),
    ("aggregate=customer", "fire net cpu ram disk", "no restriction by itself"), ("aggregate=project", "fire net cpu ram disk", "nor this"),
    ("aggregate=project_group", "fire net cpu ram disk", "nor this"),
    (f"uuid={PROJECT_UUID}", "disk", "of the scope itself"), (f"aggregate=project&uuid={PROJECT_UUID}", "disk", "with its kind"),
    ("uuid=c1", "ram", "of the customer in the context, which is the default"), ("aggregate=customer&uuid=c1", "ram", "said aloud"),
    ("aggregate=project&uuid=p7", "cpu", "of the project in the context, not of another name"),
    ("aggregate=project_group&uuid=g5", "fire", "of a group"),
    ("aggregate=project&uuid=c1", "", "a customer is no project"), ("uuid=p7", "", "a project is no customer"),
    (f"uuid={PROJECT_UUID[:6]}", "", "the whole of it"), ("uuid=" + NOBODY, "", "an unknown one"), ("uuid=c", "", "not a part of it"),
    ("uuid=instances", "", "not the collection"), ("uuid=", "fire net cpu ram disk", "nothing is no filter"),
    ("severity=Error&alert_type=ram", "", "different filters mean and"), (f"opened&scope={INSTANCE}&severity=Error", "net", "three of them"),
    ("search=cpu&unknown=1&status=closed", "fire net cpu ram disk", "unknown ones are ignored"),
])
def test_each_filter_finds_what_it_should(filled: App, query: str, found: str, reason: str) -> None:
    answer = waldur(filled, "GET", f"?{query}")
    assert answer.status == 200, answer
    assert [alert["alert_type"] for alert in answer.json] == found.split(), reason
    assert answer.headers["X-Result-Count"] == str(len(found.split()))
    counts = waldur(filled, "GET", f"stats/?{query}").json
    assert sum(counts.values()) == len(found.split()), "stats take the same filters"


@pytest.mark.parametrize("name", ["created_from", "created_to", "closed_from", "closed_to"])
@pytest.mark.parametrize("value", ["x", "2030-01-01T00:00:00Z", "1e5", "nan", "inf", "-", " ", "1 2", "0x10", "9" * 12, "9" * 40, "٣", "1.2.3",
                                   "1,5"])
def test_a_bad_time_is_refused_by_the_name_of_its_parameter(filled: App, name: str, value: str) -> None:
    for path in ("", "stats/"):
        answer = waldur(filled, "GET", f"{path}?{name}={urllib.parse.quote(value)}")
        assert (answer.status, answer.headers["Content-Type"]) == (400, "application/json"), answer
        assert name in answer.body.decode()


@pytest.mark.parametrize("name", ["created_from", "created_to", "closed_from", "closed_to"])
@pytest.mark.parametrize("value", ["-1", "-0", "-62135596800", "-62135596801", "-99999999999", "99999999999", "253402300799", "253402300800"])
def test_a_time_far_away_is_understood_or_refused(filled: App, name: str, value: str) -> None:
    answer = waldur(filled, "GET", f"?{name}={value}")
    assert answer.status in (200, 400), answer
    assert answer.status == 200 or name in answer.body.decode()


@pytest.mark.parametrize(("query", "name"), [
    ("aggregate=service", "aggregate"), ("aggregate=Customer", "aggregate"), ("aggregate=", "aggregate"), ("scope=web01", "scope"),
    ("scope=projects/1/", "scope"), ("scope=ftp://x/1/", "scope"), ("scope=http://[::1/", "scope"), ("scope=%2Fa%0Ab", "scope"),
])
def test_a_bad_filter_is_refused_by_its_name(filled: App, query: str, name: str) -> None:
    answer = waldur(filled, "GET", f"?{query}")
    assert (answer.status, list(answer.json)) == (400, [name]) and isinstance(answer.json[name], list), answer


@pytest.mark.parametrize("query", ["severity=%ff", "message=%00", "=", "&&", "%", "o=%00", "scope=" + "x" * 5000, "page=%00", "a=1&" * 300,
                                   "message=%ED%A0%80"])
def test_no_query_is_a_failure_of_the_server(filled: App, query: str) -> None:
    for path in ("", "stats/"):
        answer = waldur(filled, "GET", f"{path}?{query}")
        assert answer.status in (200, 400, 404) and answer.headers["Content-Type"] == "application/json", answer


@pytest.mark.parametrize(("order", "found", "reason"), [
    ("severity", "a2 a1 c b2 b1 d", "by its number, Debug first, not by the alphabet"), ("-severity", "d b2 b1 c a2 a1", "the most severe first"),
    ("created", "a1 b1 c d b2 a2", "the oldest first"), ("-created", "a2 b2 d c b1 a1", "the newest first"),
    ("severity,created", "a1 a2 c b1 b2 d", "two together"), ("-severity,created", "d b1 b2 c a1 a2", "each its own way"),
    ("-severity,-created", "d b2 b1 c a2 a1", "both backwards"), ("", "a2 b2 d c b1 a1", "the default"),
    ("message", "a2 b2 d c b1 a1", "unknown ones are ignored"), ("message,severity,created", "a1 a2 c b1 b2 d", "only they"),
    ("+severity", "a2 b2 d c b1 a1", "no such sign"), ("Severity", "a2 b2 d c b1 a1", "to the letter"),
])
def test_a_list_can_be_ordered(app: App, order: str, found: str, reason: str) -> None:
    for kind, severity in (("a1", "Debug"), ("b1", "Error"), ("c", "Warning"), ("d", "Critical"), ("b2", "Error"), ("a2", "Debug")):
        post(app, alert_type=kind, severity=severity)
        app.clock.advance(1)
    shown = types(app, f"o={urllib.parse.quote(order)}")
    if order in ("severity", "-severity"):               # how equal ones are ordered is nobody's promise
        shown, found = [kind[0] for kind in shown], " ".join(kind[0] for kind in found.split())
    assert shown == found.split(), reason
    assert types(app, f"o=created&o={urllib.parse.quote(order)}") == types(app, f"o={urllib.parse.quote(order)}"), "the last one wins"


def test_an_update_does_not_move_an_alert_to_the_front(app: App) -> None:
    some(app, 3)
    post(app, alert_type="t0", message="new", severity="Critical")
    assert types(app) == ["t2", "t1", "t0"] and types(app, "o=created") == ["t0", "t1", "t2"]


def test_alerts_of_one_moment_come_the_newest_first(app: App) -> None:
    for kind in "abc":
        post(app, alert_type=kind)
    assert types(app) == ["c", "b", "a"]


# --------------------------------------------------------------------------------------------------------- detail

def test_an_alert_is_found_by_its_uuid_in_either_form(app: App) -> None:
    alert = post(app)
    post(app, alert_type="other")
    uuid = alert["uuid"]
    for path in (f"{uuid}/", uuid, f"{dotted(uuid)}/", dotted(uuid), f"{uuid}/?opened&severity=Critical"):
        answer = waldur(app, "GET", path)
        assert (answer.status, answer.json) == (200, alert), path
    close(app, dotted(uuid))
    assert waldur(app, "GET", f"{uuid}/?opened").json["closed"], "filters are for the list"


@pytest.mark.parametrize("ident", [NOBODY, dotted(NOBODY), "x", "-" * 36, "0" * 31, "0" * 33, "%C3%BC", "'", "%25", "stat", "x" * 500, "٣" * 32,
                                   "%7Bx%7D"])
@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("POST", "close/"), ("POST", "acknowledge/"), ("POST", "cancel_acknowledgment/")])
def test_what_is_no_alert_is_not_found(quiet: App, ident: str, method: str, rest: str) -> None:
    old = quiet.stored()
    assert is_detail(waldur(quiet, method, f"{ident}/{rest}"), 404, "Not found.")
    assert quiet.stored() == old


def test_the_beginning_of_a_uuid_is_no_uuid(app: App) -> None:
    uuid = post(app)["uuid"]
    for part in (uuid[:8], uuid[:31], dotted(uuid)[:9], uuid + "0"):
        assert waldur(app, "GET", f"{part}/").status == waldur(app, "POST", f"{part}/close/").status == 404
    assert listed(app, "closed") == []


# -------------------------------------------------------------------------------------------- closing, acknowledging

@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_closing_changes_nothing_but_when_it_ended(app: App, severity: str, acknowledged: bool) -> None:
    alert = post(app, severity=severity, context={"a": 1})
    if acknowledged:
        assert act(app, alert["uuid"], "acknowledge").status == 200
    app.clock.advance(61.5)
    close(app, alert["uuid"])
    assert show(app, alert["uuid"]) == {**alert, "closed": "2030-01-01T00:01:01.500Z", "acknowledged": acknowledged}
    assert types(app, f"severity={severity}&closed") == ["first_alert"]


def test_closing_twice_keeps_the_first_time(app: App) -> None:
    alert = post(app)
    for _ in range(3):
        app.clock.advance(60)
        close(app, alert["uuid"])
        assert show(app, alert["uuid"])["closed"] == "2030-01-01T00:01:00.000Z"
    assert app.events() == ["alert_opened", "alert_closed"]


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[]", b"null", b"{}", b'{"closed": "2001-01-01T00:00:00Z"}', b"\0", b"x" * 2_000_000])
@pytest.mark.parametrize(("action", "status"), [("close", 204), ("acknowledge", 200)])
def test_an_action_ignores_its_body(app: App, raw: bytes, action: str, status: int) -> None:
    uuid = post(app)["uuid"]
    answer = act(app, uuid, action, raw=raw)
    assert (answer.status, answer.body) == (status, b"")
    shown = show(app, uuid)
    assert (shown["closed"] is not None, shown["acknowledged"]) == (action == "close", action == "acknowledge")
    assert shown["closed"] in (None, "2030-01-01T00:00:00.000Z")


def test_an_acknowledgement_is_given_and_taken_back_once(app: App) -> None:
    uuid = post(app)["uuid"]

    def refused(action: str) -> bool:
        old, answer = app.stored(), act(app, uuid, action)
        return (answer.status, list(answer.json), app.stored() == old) == (409, ["detail"], True) and isinstance(answer.json["detail"], str)

    for _ in range(2):
        assert refused("cancel_acknowledgment"), "it is not acknowledged"
        answer = act(app, uuid, "acknowledge")
        assert (answer.status, answer.body, show(app, uuid)["acknowledged"]) == (200, b"", True)
        assert refused("acknowledge"), "it is already"
        answer = act(app, uuid, "cancel_acknowledgment")
        assert (answer.status, answer.body, show(app, uuid)["acknowledged"], show(app, uuid)["closed"]) == (200, b"", False, None)


@pytest.mark.parametrize("action", ["acknowledge", "cancel_acknowledgment"])
def test_acknowledging_does_not_open_what_is_closed(app: App, action: str) -> None:
    first = post(app)
    close(app, first["uuid"])
    app.clock.advance(5)
    assert act(app, first["uuid"], action).status in (200, 409)
    assert show(app, first["uuid"])["closed"] == "2030-01-01T00:00:00.000Z"
    assert listed(app, "opened") == []


def test_an_acknowledgement_lasts(app: App) -> None:
    uuid = post(app)["uuid"]
    assert act(app, uuid, "acknowledge").status == 200
    app.clock.advance(30 * 86_400)
    app.engine.expire_due()
    post(app, message="still there")
    assert show(app, uuid)["acknowledged"] is True


# ---------------------------------------------------------------------------------------------------------- stats

@pytest.mark.parametrize("address", ["/api/alerts/stats/", "/api/stats/alerts/", "/api/alerts/stats", "/api/stats/alerts"])
def test_stats_are_true_counts_with_zeros(app: App, address: str) -> None:
    assert app.get(address) == {"debug": 0, "info": 0, "warning": 0, "error": 0, "critical": 0}
    some(app, 12)
    some(app, 2, scope="/api/instances/1/", severity="Error")
    some(app, 1, scope="/api/instances/2/", severity="Critical")
    assert app.get(address) == {"debug": 12, "info": 0, "warning": 0, "error": 2, "critical": 1}
    assert app.get(address + "?severity=Error&severity=Info&page_size=1&page=99&o=severity") == {
        "debug": 0, "info": 0, "warning": 0, "error": 2, "critical": 0}, "filtered, not paged"
    assert app.get(address + "?opened&scope=/api/instances/2/")["critical"] == 1


def test_stats_count_a_closed_alert_by_its_own_severity(app: App) -> None:
    close(app, post(app, severity="Error")["uuid"])
    assert app.get("/api/alerts/stats/") == {"debug": 0, "info": 0, "warning": 0, "error": 1, "critical": 0}
    assert app.get("/api/alerts/stats/?opened") == dict.fromkeys(("debug", "info", "warning", "error", "critical"), 0)


# ----------------------------------------------------------------------------------------- who may, and what there is

ROUTES = [("GET", "/api/alerts/"), ("POST", "/api/alerts/"), ("GET", "/api/alerts/{uuid}/"), ("POST", "/api/alerts/{uuid}/close/"),
          ("POST", "/api/alerts/{uuid}/acknowledge/"), ("POST", "/api/alerts/{uuid}/cancel_acknowledgment/"), ("GET", "/api/alerts/stats/"),
          ("GET", "/api/stats/alerts/")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(("sent", "text", "reason"), [
    ({}, "Authentication credentials were not provided.", "nothing"), ({"Authorization": "Digest x"}, "Authentication credentials were not provided.",
                                                                      "another scheme"),
    ({"Authorization": "Token wrong"}, "Invalid token.", "a wrong one"),
    ({"Authorization": "Token " + "0" * 40}, "Invalid token.", "of the right length"),
])
def test_without_a_token_nothing_is_told(quiet: App, method: str, path: str, sent: dict, text: str, reason: str) -> None:
    uuid = listed(quiet)[0]["uuid"]
    old = quiet.stored()
    for ident in (uuid, NOBODY):
        answer = quiet.call(method, path.format(uuid=ident), key=None, headers=sent, raw=b"{" if method == "POST" else b"")
        assert is_detail(answer, 401, text) and answer.headers["WWW-Authenticate"] == "Token", reason
    assert quiet.stored() == old


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(("scopes", "may_read", "may_write", "reason"), [
    (("read",), True, False, "reads all"), (("read:alerts",), True, False, "reads alerts"), (("write:alerts",), True, True, "writes alerts"),
    (("write:checks", "read:checks"), False, False, "is about something else"), (("read", "write"), True, True, "does everything"),
])
def test_a_key_does_what_its_scopes_allow(app: App, method: str, path: str, scopes: tuple, may_read: bool, may_write: bool, reason: str) -> None:
    uuid, key = post(app)["uuid"], app.make_key(*scopes)
    old = app.stored()
    answer = app.call(method, path.format(uuid=uuid), alert_body(message="new") if method == "POST" else None, key=None,
                      headers={"Authorization": f"Token {key}"})
    if may_read if method == "GET" else may_write:
        assert answer.status == {("POST", "/api/alerts/"): 201, ROUTES[3]: 204, ROUTES[5]: 409}.get((method, path), 200), reason
    else:
        assert is_detail(answer, 403, "Permission denied."), reason
        assert app.stored()["alerts"] == old["alerts"] and app.stored()["events"] == old["events"]


@pytest.mark.parametrize("word", ["Token", "token", "Key", "Bearer"])
def test_the_token_is_a_key_of_this_server(app: App, word: str) -> None:
    assert app.call("GET", "/api/alerts/", key=None, headers={"Authorization": f"{word} {ADMIN_KEY}"}).status == 200


def test_without_authentication_no_token_is_needed(make_app: Any) -> None:
    app = make_app(auth="off")
    alert = post(app, key=None)
    assert listed(app, key=None) == [alert] and act(app, alert["uuid"], "close", key=None).status == 204


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_slash_at_the_end_may_be_missing(app: App, method: str, path: str) -> None:
    first, second = post(app)["uuid"], post(app, alert_type="second")["uuid"]
    if "cancel" in path:
        for uuid in (first, second):
            act(app, uuid, "acknowledge")
    body = alert_body(alert_type="third") if path == "/api/alerts/" and method == "POST" else None
    answers = [app.call(method, path.format(uuid=first), body), app.call(method, path.format(uuid=second).rstrip("/"), body)]
    assert answers[0].status == answers[1].status < 300, answers
    if "{uuid}" not in path:
        assert answers[0].json == answers[1].json


@pytest.mark.parametrize(("path", "allowed"), [
    ("", {"GET", "POST"}), ("{uuid}/", {"GET"}), ("{uuid}/close/", {"POST"}), ("{uuid}/acknowledge/", {"POST"}),
    ("{uuid}/cancel_acknowledgment/", {"POST"}), ("stats/", {"GET"}),
])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_not_allowed(quiet: App, path: str, allowed: set, method: str) -> None:
    uuid = listed(quiet)[0]["uuid"]
    if method in allowed:
        return
    old = quiet.stored()
    for given in (path, path.rstrip("/") if path else path):
        answer = waldur(quiet, method, given.format(uuid=uuid), alert_body())
        assert is_detail(answer, 405, f'Method "{method}" not allowed.')
        assert set(answer.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == allowed
    assert quiet.stored() == old


@pytest.mark.parametrize("path", ["/api/alerts/a/b/", "/api/alerts/a/b/c/", "/api/alerts/x/reopen/", "/api/stats/alert/", "/api/stats/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_addresses_do_not_exist(quiet: App, path: str, method: str) -> None:
    assert is_detail(quiet.call(method, path), 404, "Not found.")


def test_every_answer_is_json_whatever_is_asked_for(quiet: App) -> None:
    for accept in ("text/html", "application/xml", "nonsense"):
        for path in ("", "stats/", f"{NOBODY}/"):
            answer = waldur(quiet, "GET", path, headers={"Accept": accept})
            assert answer.status in (200, 404) and answer.headers["Content-Type"] == "application/json"


# ------------------------------------------------------------------------------------------------------- one store

def alerta_of(app: App, uuid: str) -> Any:
    return app.get(f"/alert/{dotted(uuid)}")["alert"]


def test_a_posted_alert_is_one_of_the_alerta_api(app: App) -> None:
    alert = post(app, severity="Error", scope=INSTANCE)
    one, = app.get("/alerts")["alerts"]
    assert [one[name] for name in ("id", "type", "event", "resource", "text", "severity", "status", "createTime")] == [
        dotted(alert["uuid"]), "scopedAlert", "first_alert", INSTANCE, "message#1", "major", "open", alert["created"]]


@pytest.mark.parametrize(("theirs", "ours"), [
    ("Debug", "debug"), ("Info", "informational"), ("Warning", "warning"), ("Error", "major"), ("Critical", "critical")])
def test_a_severity_has_its_equal_in_the_alerta_api(app: App, theirs: str, ours: str) -> None:
    uuid = post(app, severity=theirs)["uuid"]
    assert (alerta_of(app, uuid)["severity"], alerta_of(app, uuid)["status"]) == (ours, "open")


@pytest.mark.parametrize(("action", "shown", "reason"), [
    ("ack", (True, False), "acknowledged there"), ("close", (False, True), "closed there"), ("shelve", (False, False), "shelved is open"),
])
def test_what_is_done_in_the_alerta_api_shows_here(app: App, action: str, shown: tuple, reason: str) -> None:
    uuid = post(app)["uuid"]
    app.clock.advance(5)
    assert app.call("PUT", f"/alert/{dotted(uuid)}/action", {"action": action}).status == 200
    now = show(app, uuid)
    assert (now["acknowledged"], now["closed"] == "2030-01-01T00:00:05.000Z") == shown, reason
    assert (post(app)["uuid"] == uuid) is (action != "close")


def test_what_is_done_here_shows_in_the_alerta_api(app: App) -> None:
    uuid = post(app)["uuid"]
    for action, status in (("acknowledge", "ack"), ("cancel_acknowledgment", "open"), ("acknowledge", "ack"), ("close", "closed")):
        assert act(app, uuid, action).status in (200, 204)
        assert alerta_of(app, uuid)["status"] == status


@pytest.mark.parametrize("status", ["open", "assign", "ack", "shelved", "blackout", "unknown", "closed", "expired"])
def test_an_alert_in_any_status_can_be_closed(app: App, status: str) -> None:
    uuid = post(app, severity="Error")["uuid"]
    assert app.call("PUT", f"/alert/{dotted(uuid)}/status", {"status": status}).status == 200
    app.clock.advance(5)
    close(app, uuid)
    assert show(app, uuid)["closed"] is not None, f"204 says that it is closed, not {alerta_of(app, uuid)['status']}"
    assert listed(app, "opened") == [] and [alert["uuid"] for alert in listed(app, "closed")] == [uuid]


@pytest.mark.parametrize("request_", [
    ("PUT", "action", {"action": "look"}), ("PUT", "status", {"status": "closed"}), ("PUT", "tag", {"tags": ["a"]}), ("PUT", "note", {"text": "x"}),
    ("PUT", "attributes", {"attributes": {"a": "b"}}),
], ids=lambda request_: request_[1])
def test_the_time_of_closing_stays_whatever_is_done_to_the_alert(app: App, request_: tuple) -> None:
    uuid = post(app)["uuid"]
    app.clock.advance(5)
    close(app, uuid)
    app.clock.advance(5)
    method, path, body = request_
    assert app.call(method, f"/alert/{dotted(uuid)}/{path}", body).status in (200, 201)
    assert show(app, uuid)["closed"] == "2030-01-01T00:00:05.000Z"


NEAREST = {"security": "Critical", "critical": "Critical", "major": "Error", "minor": "Warning", "warning": "Warning", "informational": "Info",
           "normal": "Info", "ok": "Info", "cleared": "Info", "debug": "Debug", "trace": "Debug"}


@pytest.mark.parametrize(("theirs", "shown"), NEAREST.items())
def test_an_alert_of_the_alerta_api_shows_with_the_nearest_severity(app: App, theirs: str, shown: str) -> None:
    one = app.post_alert(severity=theirs, text="it hurts", attributes={"region": "EU"})
    alert, = listed(app, f"severity={shown}")
    assert alert == show(app, one["id"]) == show(app, one["id"].replace("-", ""))
    assert (alert["severity"], alert["scope"], alert["alert_type"], alert["message"], alert["uuid"]) == (
        shown, f"http://alert.test/alert/{one['id']}", "HttpError", "it hurts", one["id"].replace("-", ""))
    assert set(alert) == KEYS and isinstance(alert["context"], dict) and (alert["closed"] is not None) is (one["status"] == "closed")
    assert app.get("/api/alerts/stats/")[shown.lower()] == 1
    assert listed(app, urllib.parse.urlencode({"scope": alert["scope"]})) == [alert], "found by the scope that it shows"
    assert listed(app, "scope_type=alert") == [alert]


@pytest.mark.parametrize("base_url", ["", "https://far.test", "https://far.test/monitoring"])
def test_an_alert_of_the_alerta_api_is_found_by_the_whole_scope_that_it_shows(make_app: Any, base_url: str) -> None:
    app = make_app(base_url=base_url)
    one = app.post_alert()
    alert, = listed(app)
    assert listed(app, urllib.parse.urlencode({"scope": alert["scope"]})) == [alert]
    assert listed(app, urllib.parse.urlencode({"scope": alert["scope"].replace(one["id"], one["id"][:8])})) == [], "a part of it is no scope"


def test_every_severity_of_the_alerta_api_is_ordered_as_it_is_shown(app: App) -> None:
    for severity in (*NEAREST, "indeterminate", "unknown"):
        app.post_alert(resource=severity, severity=severity)
    for order, backwards in (("severity", False), ("-severity", True)):
        shown = [SEVERITIES.index(alert["severity"]) for alert in listed(app, f"o={order}&page_size=100")]
        assert shown == sorted(shown, reverse=backwards) and len(shown) == 13
    assert sum(len(listed(app, f"severity={name}&page_size=100")) for name in SEVERITIES) == 13


@pytest.mark.parametrize("ident", ["host-1~disk:a.b", "e80e48a4e58b48ff9a1320a0aa0d68ab", "E80E48A4-E58B-48FF-9A13-20A0AA0D68AB",
                                   "e80e48a4-e58b-48ff-9a13-20a0aa0d68ab", "5"])
def test_an_alert_is_found_at_its_own_address_whatever_its_id(app: App, ident: str) -> None:
    app.post_alert(id=ident)
    alert, = listed(app)
    answer = app.call("GET", urllib.parse.urlsplit(alert["url"]).path)
    assert (answer.status, answer.body and answer.json) == (200, alert)
    assert act(app, alert["uuid"], "close").status == 204 and listed(app, "opened") == []


def test_an_alert_of_the_alerta_api_without_a_text_is_found_by_the_message_that_it_shows(app: App) -> None:
    app.post_alert(event="NodeDown")
    alert, = listed(app)
    assert alert["message"] == "NodeDown"
    assert listed(app, "message=nodedown") == [alert]


@pytest.mark.parametrize(("fields", "reason"), [
    ({"type": "scopedAlert"}, "only its type says so"), ({"type": "scopedAlert", "attributes": {"scope": 5, "context": "x"}}, "with other things"),
    ({"attributes": {"scope": "x", "context": "y"}}, "only its attributes say so"),
])
def test_an_alert_that_only_looks_like_one_of_this_api_shows_as_any_other(app: App, fields: dict, reason: str) -> None:
    app.post_alert(**fields)
    alert, = listed(app)
    assert isinstance(alert["scope"], str) and alert["scope"].startswith("http://alert.test/"), reason
    assert isinstance(alert["context"], dict) and isinstance(alert["message"], str)


def test_a_scope_below_alert_is_a_scope_like_any_other(app: App) -> None:
    post(app, scope="/alert/front-door/")
    assert types(app, "scope=/alert/front-door/") == types(app, "scope_type=alert") == ["first_alert"]


def test_the_resource_of_an_alert_of_the_alerta_api_is_not_its_scope(app: App) -> None:
    app.post_alert(resource=INSTANCE)
    assert listed(app, f"scope={INSTANCE}") == []


@pytest.mark.parametrize(("path", "body"), [("action", {"action": "open"}), ("status", {"status": "open"})])
def test_of_one_scope_and_type_there_is_never_more_than_one_open_alert(app: App, path: str, body: dict) -> None:
    first = post(app, severity="Error")["uuid"]
    close(app, first)
    post(app)
    assert app.call("PUT", f"/alert/{dotted(first)}/{path}", body).status in (200, 409)
    assert len(listed(app, "opened")) == 1


def test_an_alert_can_lose_its_attributes_and_is_still_shown(app: App) -> None:
    uuid = post(app)["uuid"]
    assert app.call("PUT", f"/alert/{dotted(uuid)}/attributes", {"attributes": {"scope": None, "context": None}}).status == 200
    alert = show(app, uuid)
    assert isinstance(alert["scope"], str) and alert["scope"].startswith("http") and isinstance(alert["context"], dict)


def test_events_tell_what_became_of_an_alert(app: App) -> None:
    uuid = post(app)["uuid"]
    post(app)
    post(app, message="new")
    assert app.events() == ["alert_opened"]
    post(app, severity="Critical")
    assert app.events() == ["alert_opened", "alert_severity"]
    close(app, uuid)
    close(app, uuid)
    assert app.events() == ["alert_opened", "alert_severity", "alert_closed"]
    post(app)
    assert app.events()[-1] == "alert_opened"


@pytest.mark.parametrize("require", ["on", "off"])
def test_a_setting_about_services_does_not_concern_an_api_that_has_none(make_app: Any, require: str) -> None:
    app = make_app(require_service=require)
    assert waldur(app, "POST", "", alert_body()).status == 201


# -------------------------------------------------------------------------------------------------------- the timer

@pytest.mark.parametrize("severity", SEVERITIES)
def test_an_alert_stays_until_somebody_closes_it(app: App, severity: str) -> None:
    alert = post(app, severity=severity)
    for days in (1, 30, 365):
        app.clock.advance(days * 86_400)
        app.engine.expire_due()
        assert listed(app) == [alert]
    assert app.events() == ["alert_opened"]


def test_clearing_up_old_informational_alerts_leaves_those_that_stay_until_closed(app: App) -> None:
    alert = post(app, severity="Info")
    app.post_alert(severity="informational", timeout=0)
    app.clock.advance(86_400)
    assert app.call("POST", "/management/housekeeping?expired=2&info=12").status == 200
    assert listed(app) == [alert]


def test_an_alert_expires_only_if_it_was_given_a_timeout(app: App) -> None:
    post(app, alert_type="stays", severity="Info", timeout=0)
    uuid = post(app, alert_type="ends", timeout=60)["uuid"]
    app.clock.advance(59)
    app.engine.expire_due()
    assert show(app, uuid)["closed"] is None
    app.clock.advance(1)
    app.engine.expire_due()
    assert show(app, uuid)["closed"] == "2030-01-01T00:01:00.000Z"
    assert types(app, "opened") == ["stays"] and types(app, "closed") == ["ends"]
    assert post(app, alert_type="ends")["uuid"] != uuid, "an expired one is over"


def test_a_repeated_alert_with_a_timeout_lasts_longer(app: App) -> None:
    uuid = post(app, timeout=60)["uuid"]
    for _ in range(5):
        app.clock.advance(50)
        app.engine.expire_due()
        assert post(app, timeout=60)["uuid"] == uuid
    app.clock.advance(60)
    app.engine.expire_due()
    assert show(app, uuid)["closed"]


def test_a_closed_alert_can_be_seen_for_a_while(app: App) -> None:
    uuid = post(app)["uuid"]
    app.clock.advance(10 * 86_400)
    close(app, uuid)
    app.clock.advance(3600)
    app.engine.expire_due()
    assert show(app, uuid)["closed"] == "2030-01-11T00:00:00.000Z"


# -------------------------------------------------------------------------------------------------------- customers

def seen_of(app: App, uuid: str, **more: Any) -> set[int]:
    """What the routes about one alert answer."""
    return {waldur(app, method, f"{uuid}/{rest}", **more).status for method, rest in (
        ("GET", ""), ("POST", "acknowledge/"), ("POST", "cancel_acknowledgment/"), ("POST", "close/"))}


@pytest.mark.parametrize("by", ["key", "header", "both"])
def test_a_customer_sees_and_changes_only_its_own(app: App, by: str) -> None:
    def as_customer(name: str, other: str) -> dict[str, Any]:
        if by == "header":
            return {"headers": {"X-Scope-OrgID": name}}
        key = app.make_key("read", "write", customer=name)
        return {"key": key, "headers": {"X-Scope-OrgID": other} if by == "both" else {}}

    acme, zeta = as_customer("acme", "zeta"), as_customer("zeta", "acme")
    ours, theirs, nobodys = post(app, **acme), post(app, **zeta, severity="Error"), post(app, severity="Critical")
    assert len({alert["uuid"] for alert in (ours, theirs, nobodys)}) == 3, "the same scope and type, each of its own"
    app.post_alert(customer="zeta", event="foreign")
    app.post_alert(customer="acme", event="known")
    assert set(types(app, **acme)) == {"first_alert", "known"} and set(types(app, **zeta)) == {"first_alert", "foreign"}
    assert waldur(app, "GET", "", **acme).headers["X-Result-Count"] == "2"
    assert waldur(app, "GET", "stats/", **acme).json == {"debug": 1, "info": 0, "warning": 0, "error": 1, "critical": 0}
    assert len(listed(app)) == 5, "who is confined to none sees all"
    old = app.stored()
    for uuid in (theirs["uuid"], nobodys["uuid"], dotted(theirs["uuid"])):
        assert seen_of(app, uuid, **acme) == {404}
    assert app.stored()["alerts"] == old["alerts"] and app.stored()["events"] == old["events"]
    assert seen_of(app, ours["uuid"], **acme) == {200, 204}
    assert post(app, **acme)["uuid"] not in (ours["uuid"], theirs["uuid"], nobodys["uuid"])
    assert show(app, theirs["uuid"])["closed"] is None
    assert {one["customer"] for one in app.get("/alerts")["alerts"] if one["event"] == "first_alert"} == {"acme", "zeta", None}


def test_the_default_customer_is_none(app: App) -> None:
    post(app, headers={"X-Scope-OrgID": "default"})
    assert [one["customer"] for one in app.get("/alerts")["alerts"]] == [None]
    assert types(app, headers={"X-Scope-OrgID": "default"}) == ["first_alert"]


def test_a_bad_customer_header_is_refused(quiet: App) -> None:
    old = quiet.stored()
    for name in ("x" * 501, "a\x01b"):
        for method, path in (("GET", ""), ("POST", ""), ("GET", "stats/")):
            answer = waldur(quiet, method, path, alert_body() if method == "POST" else None, headers={"X-Scope-OrgID": name})
            assert (answer.status, list(answer.json)) == (400, ["detail"]), answer
    assert quiet.stored() == old
