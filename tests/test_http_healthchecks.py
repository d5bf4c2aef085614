"""The Healthchecks API as its clients see it: checks, pings and badges over HTTP, each answer and each refusal to the letter."""
from __future__ import annotations

import hashlib
import json
import re
import xml.etree.ElementTree
from typing import Any

import pytest
from conftest import ADMIN_KEY, Answer, App

import alertlite

NOBODY = "00000000-0000-4000-8000-000000000000"      # no check has this code
RUN, OTHER_RUN = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
MORNING = "2030-01-01T00:00:00+00:00"                # when the clock of the tests begins
TEXT_HTML, TEXT_PLAIN = "text/html; charset=utf-8", "text/plain"
VERSIONS = ("1", "2", "3")

COMMON_KEYS = {
    "name", "slug", "tags", "desc", "grace", "n_pings", "status", "started", "last_ping", "next_ping", "manual_resume", "methods", "subject",
    "subject_fail", "start_kw", "success_kw", "failure_kw", "filter_subject", "filter_body", "filter_http_body", "filter_default_fail", "badge_url",
}
SECRET_KEYS = {"uuid", "ping_url", "update_url", "pause_url", "resume_url", "channels"}


def hc(app: App, method: str, path: str, body: Any = None, *, version: str = "3", key: str | None = ADMIN_KEY,
       headers: dict[str, str] | None = None, raw: bytes | None = None) -> Answer:
    """One request below /api/vN/, with the key in the header of this API."""
    sent = {**({} if key is None else {"X-Api-Key": key}), **(headers or {})}
    return app.call(method, f"/api/v{version}/{path}", body, key=None, headers=sent, raw=raw)


def create(app: App, *, version: str = "3", **fields: Any) -> Any:
    """A new check as it is answered."""
    answer = hc(app, "POST", "checks/", fields, version=version)
    assert answer.status == 201, answer
    return answer.json


def show(app: App, code: str, version: str = "3") -> Any:
    answer = hc(app, "GET", f"checks/{code}", version=version)
    assert answer.status == 200, answer
    return answer.json


def ping(app: App, address: str, method: str = "GET", **more: Any) -> Answer:
    """One request to /ping/…, without a key."""
    return app.call(method, f"/ping/{address}", key=None, **more)


def names_of(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [check["name"] for check in answer.json["checks"]]


def assert_cors(answer: Answer, *methods: str) -> None:
    """Any page may read the answer, and is told what it may send (contract 1.3)."""
    headers = answer.headers
    assert (headers["Access-Control-Allow-Origin"], headers["Access-Control-Allow-Headers"], headers["Access-Control-Max-Age"]) == (
        "*", "X-Api-Key", "600")
    assert set(headers["Access-Control-Allow-Methods"].split(", ")) - {"HEAD"} == {*methods, "OPTIONS"}


def is_empty(answer: Answer, status: int) -> bool:
    return (answer.status, answer.body, answer.headers["Content-Type"]) == (status, b"", TEXT_HTML)


def is_error(answer: Answer, status: int, text: str) -> bool:
    return (answer.status, answer.headers["Content-Type"], answer.json) == (status, "application/json", {"error": text})


# ------------------------------------------------------------------------------------------------- the check object

def test_a_check_of_nothing_has_every_default(app: App) -> None:
    answer = hc(app, "POST", "checks/", {})
    assert (answer.status, answer.headers["Content-Type"]) == (201, "application/json")
    check, code = answer.json, answer.json["uuid"]
    badge = check.pop("badge_url")
    assert re.fullmatch(r"http://alert\.test/b/2/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.svg", badge) and code not in badge
    assert check == {
        "name": "", "slug": "", "tags": "", "desc": "", "grace": 3600, "n_pings": 0, "status": "new", "started": False, "last_ping": None,
        "next_ping": None, "manual_resume": False, "methods": "", "subject": "", "subject_fail": "", "start_kw": "", "success_kw": "",
        "failure_kw": "", "filter_subject": False, "filter_body": False, "filter_http_body": False, "filter_default_fail": False,
        "uuid": code, "ping_url": f"http://alert.test/ping/{code}", "update_url": f"http://alert.test/api/v3/checks/{code}",
        "pause_url": f"http://alert.test/api/v3/checks/{code}/pause", "resume_url": f"http://alert.test/api/v3/checks/{code}/resume",
        "channels": "", "timeout": 86400}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("fields", "scopes", "count", "reason"), [
    ({}, ("read", "write"), 29, "simple, to a key that may write"), ({"schedule": "0 2 * * *"}, ("read", "write"), 30, "cron, to the same"),
    ({}, ("read",), 24, "simple, to a key that may read"), ({"schedule": "0 2 * * *"}, ("read",), 25, "cron, to the same"),
])
def test_a_check_has_as_many_keys_as_real_ones_have(app: App, version: str, fields: dict, scopes: tuple, count: int, reason: str) -> None:
    code = create(app, **fields)["uuid"]
    shown, = hc(app, "GET", "checks/", key=app.make_key(*scopes), version=version).json["checks"]
    kind = {"schedule", "tz"} if fields else {"timeout"}
    assert set(shown) == COMMON_KEYS | kind | (SECRET_KEYS if "write" in scopes else {"unique_key"}), reason
    assert len(shown) == count
    ping(app, f"{code}/start")
    app.clock.advance(2.9)
    ping(app, code)
    shown = hc(app, "GET", f"checks/{code}", key=app.make_key(*scopes), version=version).json
    assert (len(shown), shown["last_duration"]) == (count + 1, 2), "a run was measured: in whole seconds, cut"


def test_a_check_has_a_duration_where_it_was_measured_and_not_zero(app: App) -> None:
    code = create(app)["uuid"]
    ping(app, code)
    assert "last_duration" not in show(app, code), "never measured"
    for seconds, shown in ((0, None), (0.4, 0), (61, 61)):
        ping(app, f"{code}/start")
        app.clock.advance(seconds)
        ping(app, code)
        assert show(app, code).get("last_duration") == shown


def test_a_read_only_key_sees_a_hash_for_the_secrets(app: App) -> None:
    check = create(app, name="nightly")
    unique_key = hashlib.sha1(check["uuid"].replace("-", "")[:16].encode()).hexdigest()      # what clients compute themselves
    reader = app.make_key("read")
    shown = hc(app, "GET", f"checks/{unique_key}", key=reader)
    assert (shown.status, shown.json["unique_key"]) == (200, unique_key)
    assert check["uuid"].encode() not in shown.body
    assert hc(app, "GET", f"checks/{check['uuid']}", key=reader).json == shown.json
    assert hc(app, "GET", f"checks/{unique_key}").json == check, "a key that may write sees all by either name"
    assert hc(app, "GET", f"checks/{unique_key.upper()}").status == 404


def test_the_links_of_a_check_are_of_the_version_that_was_asked(app: App) -> None:
    code = create(app)["uuid"]
    for version in VERSIONS:
        shown = show(app, code, version)
        assert [shown[name] for name in ("update_url", "pause_url", "resume_url")] == [
            f"http://alert.test/api/v{version}/checks/{code}{action}" for action in ("", "/pause", "/resume")]


def test_the_links_begin_with_the_base_url_that_is_set(make_app: Any) -> None:
    app = make_app(base_url="https://alerts.example/")
    check = create(app)
    assert check["ping_url"] == f"https://alerts.example/ping/{check['uuid']}"
    assert check["badge_url"].startswith("https://alerts.example/b/2/")
    assert hc(app, "GET", "badges/").json["badges"]["*"]["svg"].startswith("https://alerts.example/badge/")


@pytest.mark.parametrize(("version", "status"), [("1", "started"), ("2", "up"), ("3", "up")])
def test_a_run_that_is_under_way_is_a_status_in_version_1_and_a_flag_in_all(app: App, version: str, status: str) -> None:
    code = create(app, timeout=3600, grace=600)["uuid"]
    ping(app, code)
    app.clock.advance(60)
    ping(app, f"{code}/start")
    shown = show(app, code, version)
    assert (shown["status"], shown["started"], shown["next_ping"]) == (status, True, "2030-01-01T00:01:00+00:00")
    app.clock.advance(600)
    assert (show(app, code, version)["status"], show(app, code, version)["started"]) == ("down", True)


def test_times_are_cut_to_the_second(app: App) -> None:
    code = create(app, timeout=60)["uuid"]
    app.clock.advance(0.999)
    ping(app, code)
    assert (show(app, code)["last_ping"], show(app, code)["next_ping"]) == (MORNING, "2030-01-01T00:01:00+00:00")


def test_text_beyond_ascii_is_escaped(app: App) -> None:
    answer = hc(app, "POST", "checks/", {"name": "Ünï"})
    assert rb'"\u00dcn\u00ef"' in answer.body and answer.json["name"] == "Ünï"


@pytest.mark.parametrize(("name", "slug"), [
    ("Hello World! Ünïcode  -x", "hello-world-unicode-x"), ("", ""), ("  a  ", "a"), ("-_a_-", "a"), ("a - - b", "a-b"), ("a_b", "a_b"),
    ("日本", ""), ("A.B/C", "abc"), ("x\ty", "x-y"),
])
def test_versions_1_and_2_make_a_slug_of_the_name(app: App, name: str, slug: str) -> None:
    assert [create(app, name=name, version=version)["slug"] for version in VERSIONS] == [slug, slug, ""]


@pytest.mark.parametrize(("version", "posted", "slug", "reason"), [
    ("1", {"name": "New"}, "new", "made again"), ("2", {"name": "New"}, "new", "made again"), ("3", {"name": "New"}, "old", "left alone"),
    ("1", {"name": "New", "slug": "mine"}, "mine", "posted"), ("2", {"slug": "mine", "name": "New"}, "mine", "posted"),
    ("3", {"name": "New", "slug": "mine"}, "mine", "posted"), ("1", {"slug": "mine"}, "mine", "posted"), ("1", {"desc": "x"}, "old", "no name"),
    ("1", {"name": "New", "slug": ""}, "", "posted empty"), ("3", {"slug": ""}, "", "posted empty"),
])
def test_a_slug_follows_the_name_in_versions_1_and_2(app: App, version: str, posted: dict, slug: str, reason: str) -> None:
    code = create(app, name="Old", slug="old")["uuid"]
    assert hc(app, "POST", f"checks/{code}", posted, version=version).json["slug"] == slug, reason
    assert show(app, code)["slug"] == slug


# --------------------------------------------------------------------------------------------- list, create, update

def test_the_list_is_in_the_order_of_creation(app: App) -> None:
    assert hc(app, "GET", "checks/").json == {"checks": []}
    made = [create(app, name=name) for name in ("c", "a", "b")]
    assert hc(app, "GET", "checks/").json == {"checks": made}


@pytest.mark.parametrize(("query", "names", "reason"), [
    ("", ["a", "b", "c"], "all"), ("?tag=prod", ["a", "b"], "a tag"), ("?tag=prod&tag=db", ["a"], "all of the tags"),
    ("?tag=PROD", [], "case counts"), ("?tag=pro", [], "whole tags"), ("?tag=", [], "no tag is empty"),
    ("?tag=prod+db", [], "no tag has a blank"), ("?tag=prod&tag=", [], "no tag is empty"), ("?slug=two", ["b", "c"], "a slug"),
    ("?slug=", ["a", "b", "c"], "ignored"), ("?slug=two&tag=prod", ["b"], "both"), ("?slug=tw", [], "the whole slug"),
    ("?bogus=1&status=down", ["a", "b", "c"], "unknown parameters"), ("?tag=%C3%BC", ["c"], "beyond ASCII"),
])
def test_the_list_is_of_the_tags_and_the_slug_that_are_asked_for(app: App, query: str, names: list[str], reason: str) -> None:
    for name, slug, tags in (("a", "one", " prod  db "), ("b", "two", "prod www"), ("c", "two", "ü test")):
        create(app, name=name, slug=slug, tags=tags)
    assert names_of(hc(app, "GET", f"checks/{query}")) == names, reason


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", ["checks", "checks/", "channels", "channels/", "badges", "badges/", "status", "status/",
                                  "checks/<code>/pings", "checks/<code>/pings/", "checks/<code>/flips", "checks/<code>/flips/"])
def test_a_collection_is_the_same_with_and_without_the_slash(app: App, version: str, path: str) -> None:
    path = path.replace("<code>", create(app)["uuid"])
    answer = hc(app, "GET", path, version=version)
    assert answer.status == 200 and answer.body == hc(app, "GET", path.rstrip("/"), version=version).body


def test_a_check_is_made_with_and_without_the_slash(app: App) -> None:
    assert [hc(app, "POST", path, {"name": "a"}).status for path in ("checks", "checks/")] == [201, 201]


def test_every_field_is_stored_and_shown(app: App) -> None:
    fields = {"name": " Backups ", "slug": "back-ups_1", "tags": " prod  www", "desc": "line\nline", "timeout": 3600, "grace": 60,
              "manual_resume": True, "methods": "POST", "start_kw": "S", "success_kw": "OK, yes", "failure_kw": "F", "filter_subject": True,
              "filter_body": True, "filter_http_body": True, "filter_default_fail": True}
    check = create(app, **fields, kind="simple", bogus=None, channels="", unique=[])
    assert {name: check[name] for name in fields} == fields
    assert (check["subject"], check["subject_fail"]) == ("OK, yes", "F")
    assert show(app, check["uuid"]) == check and hc(app, "GET", "checks/").json["checks"] == [check]


def test_an_update_changes_what_is_posted_and_nothing_else(app: App) -> None:
    check = create(app, name="a", tags="x", desc="d", timeout=3600)
    code = check["uuid"]
    for posted in ({}, {"name": "b"}, {"tags": ""}, {"grace": 60}, {"timeout": 60}, {"bogus": None}, {"unique": ["name"]}, {"manual_resume": True}):
        check.update({name: value for name, value in posted.items() if name in check})
        answer = hc(app, "POST", f"checks/{code}", posted)
        assert (answer.status, answer.json) == (200, check), posted
    assert hc(app, "POST", f"checks/{code}", raw=b"").json == check, "nothing posted is no change"
    assert show(app, code) == check
    assert app.stored()["flips"] == []


def test_a_body_is_json_whatever_its_content_type_says(app: App) -> None:
    answer = hc(app, "POST", "checks/", {"name": "a"}, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status, answer.json["name"]) == (201, "a")


def test_a_schedule_makes_a_cron_check_and_a_timeout_a_simple_one(app: App) -> None:
    check = create(app, timeout=7200, tz="Europe/Riga")
    code = check["uuid"]
    steps = [
        ({"schedule": " 0 2 * * * ", "tz": "Europe/Berlin"}, {"schedule": " 0 2 * * * ", "tz": "Europe/Berlin"}, "stored as it was posted"),
        ({"timeout": 300}, {"timeout": 300}, "simple again"), ({"schedule": "*/5 * * * *"}, {"schedule": "*/5 * * * *", "tz": "Europe/Berlin"},
                                                               "the zone was kept"),
        ({"schedule": "1 1 * * *", "timeout": 600}, {"schedule": "1 1 * * *", "tz": "Europe/Berlin"}, "with both, the schedule wins"),
        ({"tz": "Asia/Tokyo"}, {"schedule": "1 1 * * *", "tz": "Asia/Tokyo"}, "a zone alone"),
        ({"name": "x"}, {"schedule": "1 1 * * *", "tz": "Asia/Tokyo"}, "neither is posted"),
    ]
    assert check["timeout"] == 7200 and "tz" not in check
    for posted, expected, reason in steps:
        shown = hc(app, "POST", f"checks/{code}", posted).json
        assert {name: shown[name] for name in ("timeout", "schedule", "tz") if name in shown} == expected, reason
    assert create(app, timeout=60, tz="Asia/Tokyo", schedule="0 0 * * *")["tz"] == "Asia/Tokyo"
    assert create(app, unique=["timeout"], timeout=600), "the timeout beside a schedule was not stored"


def test_the_zone_posted_before_the_schedule_counts_once_there_is_one(app: App) -> None:
    code = create(app, tz="Europe/Riga")["uuid"]
    assert hc(app, "POST", f"checks/{code}", {"schedule": "0 2 * * *"}).json["tz"] == "Europe/Riga"


def test_a_legacy_zone_is_rewritten(app: App) -> None:
    assert create(app, schedule="0 2 * * *", tz="Asia/Calcutta")["tz"] == "Asia/Kolkata"


@pytest.mark.parametrize("schedule", ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "0 2 * * MON-FRI", "*/5 * * * *"])
def test_a_schedule_may_be_what_a_crontab_may_have(app: App, schedule: str) -> None:
    assert create(app, schedule=schedule)["schedule"] == schedule


@pytest.mark.parametrize(("posted", "shown", "reason"), [
    ({"subject": "OK"}, ("OK", "", True, "OK", ""), "an alias, which switches the filter on"),
    ({"subject_fail": "ERR"}, ("", "ERR", True, "", "ERR"), "an alias"), ({"subject": ""}, ("", "", False, "", ""), "off without keywords"),
    ({"subject": "", "subject_fail": "E"}, ("", "E", True, "", "E"), "either"),
    ({"subject": "A", "success_kw": "B"}, ("B", "", True, "B", ""), "the new name wins"),
    ({"subject_fail": "A", "failure_kw": ""}, ("", "", True, "", ""), "the new name wins"),
    ({"subject": "A", "filter_subject": False}, ("", "", False, "A", ""), "shown only while the filter is on"),
    ({"success_kw": "A", "failure_kw": "B"}, ("", "", False, "A", "B"), "the filter is off"),
    ({"success_kw": "A", "filter_subject": True}, ("A", "", True, "A", ""), "the filter is on"),
])
def test_the_deprecated_names_of_the_keywords_still_work(app: App, posted: dict, shown: tuple, reason: str) -> None:
    check = create(app, **posted)
    assert tuple(check[name] for name in ("subject", "subject_fail", "filter_subject", "success_kw", "failure_kw")) == shown, reason


def test_clearing_one_deprecated_keyword_switches_the_filter_off_only_where_the_other_is_empty_too(app: App) -> None:
    code = create(app, subject="OK", subject_fail="ERR")["uuid"]
    check = hc(app, "POST", f"checks/{code}", {"subject": ""}).json
    assert (check["filter_subject"], check["failure_kw"], check["success_kw"]) == (True, "ERR", "")


# ---------------------------------------------------------------------------------------------------------- unique

@pytest.mark.parametrize(("posted", "matched", "reason"), [
    ({"unique": ["name"], "name": "a"}, "first", "the oldest of two"), ({"unique": ["name"], "name": "A"}, None, "case counts"),
    ({"unique": ["name", "tags"], "name": "a", "tags": "y"}, "second", "both"),
    ({"unique": ["name", "tags"], "name": "a", "tags": "z"}, None, "both"),
    ({"unique": ["tags"], "tags": "x "}, None, "the whole text"), ({"unique": ["slug"], "slug": "s2"}, "second", "a slug"),
    ({"unique": ["timeout"], "timeout": 120}, "second", "a number"), ({"unique": ["grace"], "grace": 300}, "first", "a number"),
    ({"unique": ["name"]}, None, "not posted: no match"), ({"unique": ["name", "grace"], "name": "a"}, None, "one is not posted"),
    ({"unique": [], "name": "a"}, None, "no field"), ({"name": "a"}, None, "not asked for"),
    ({"unique": ["name", "name"], "name": "a"}, "first", "the same twice"), ({"unique": ["slug"], "slug": ""}, None, "nobody has an empty one"),
])
def test_unique_finds_the_check_to_change(app: App, posted: dict, matched: str | None, reason: str) -> None:
    codes = {create(app, name="a", slug="s1", tags="x", timeout=60, grace=300)["uuid"]: "first",
             create(app, name="a", slug="s2", tags="y", timeout=120, grace=600)["uuid"]: "second"}
    answer = hc(app, "POST", "checks/", {**posted, "desc": "new"})
    assert (answer.status, codes.get(answer.json["uuid"])) == ((200, matched) if matched else (201, None)), reason
    assert answer.json["desc"] == "new" and len(app.stored()["checks"]) == (2 if matched else 3)


def test_unique_looks_at_the_stored_timeout_of_a_cron_check(app: App) -> None:
    code = create(app, timeout=120)["uuid"]
    hc(app, "POST", f"checks/{code}", {"schedule": "0 2 * * *"})
    answer = hc(app, "POST", "checks/", {"unique": ["timeout"], "timeout": 120})
    assert (answer.status, answer.json["uuid"], answer.json["timeout"]) == (200, code, 120)


def test_unique_looks_within_the_project_and_beyond_the_limit(make_app: Any) -> None:
    app = make_app(check_limit="1")
    create(app, name="a")
    assert is_empty(hc(app, "POST", "checks/", {"name": "b"}), 403)
    assert hc(app, "POST", "checks/", {"name": "a", "unique": ["name"]}).status == 200, "no new row"
    assert hc(app, "POST", "checks/", {"name": "a", "unique": ["name"]}, headers={"X-Scope-OrgID": "acme"}).status == 201
    assert hc(app, "POST", "checks/", {"name": "a"}, headers={"X-Scope-OrgID": "acme"}).status == 403


def test_a_match_is_shown_and_its_receivers_are_replaced(app: App) -> None:
    add_receivers(app)
    code = create(app, name="a", channels=MAIL)["uuid"]
    answer = hc(app, "POST", "checks/", {"name": "a", "unique": ["name"], "channels": "*"})
    assert (answer.status, answer.json["uuid"], answer.json["channels"]) == (200, code, f"{MAIL},{HOOK}")
    before = app.stored()
    answer = hc(app, "POST", "checks/", {"name": "a", "unique": ["name"], "channels": "nobody", "desc": "x"})
    assert is_error(answer, 400, "invalid channel identifier: nobody") and app.stored() == before


# ------------------------------------------------------------------------------------------------------ the limit

def test_the_limit_is_exact_and_counted_per_project(make_app: Any) -> None:
    app = make_app(check_limit="2")
    for name in ("a", "b"):
        create(app, name=name)
    before = app.stored()
    answer = hc(app, "POST", "checks/", {"name": "c"})
    assert is_empty(answer, 403) and app.stored() == before
    assert_cors(answer, "GET", "POST")
    assert hc(app, "POST", "checks/", {"name": 5}).status == 400, "what is wrong with a field is told first"
    assert hc(app, "POST", "checks/", {"name": "c"}, headers={"X-Scope-OrgID": "acme"}).status == 201
    hc(app, "DELETE", f"checks/{hc(app, 'GET', 'checks/').json['checks'][0]['uuid']}")
    assert hc(app, "POST", "checks/", {"name": "c"}).status == 201


def test_a_limit_of_0_is_none(make_app: Any) -> None:
    app = make_app(check_limit="0")
    assert [create(app)["n_pings"] for _ in range(3)] == [0, 0, 0]


# --------------------------------------------------------------------------------------------------- field errors

# In the order in which they are found: a field, values that it does not take, and what is said (contract 3.2).
NO_TEXTS = (None, 5, 1.5, True, [], {}, ["x"])
NO_NUMBERS = (None, "60", "", 60.0, 1.5, [], {})
NO_FLAGS = (None, 0, 1, "true", "", [], {})
NO_SCHEDULE = "is not a valid cron or OnCalendar expression"
ERRORS: list[tuple[str, tuple, str]] = [
    ("channels", NO_TEXTS, "channels is not a string"), ("desc", NO_TEXTS, "desc is not a string"),
    ("failure_kw", NO_TEXTS, "failure_kw is not a string"), ("failure_kw", ("x" * 201,), "failure_kw is too long"),
    ("filter_subject", NO_FLAGS, "filter_subject is not a boolean"), ("filter_body", NO_FLAGS, "filter_body is not a boolean"),
    ("filter_http_body", NO_FLAGS, "filter_http_body is not a boolean"),
    ("filter_default_fail", NO_FLAGS, "filter_default_fail is not a boolean"), ("grace", NO_NUMBERS, "grace is not a number"),
    ("grace", (59, 0, -1, -10**30, True, False), "grace is too small"), ("grace", (31_536_001, 10**20, 10**400), "grace is too large"),
    ("manual_resume", NO_FLAGS, "manual_resume is not a boolean"), ("methods", (None, 5, "GET", "post", [], True, "POST "),
                                                                    "methods has unexpected value"),
    ("name", NO_TEXTS, "name is not a string"), ("name", ("x" * 101,), "name is too long"), ("schedule", NO_TEXTS, "schedule is not a string"),
    ("schedule", ("0," * 50 + "0 * * * *",), "schedule is too long"),
    ("schedule", ("", " ", "* * * *", "* * * * * *", "60 * * * *", "x", "0 0 30 2 *", "Mon *-*-* 08:00", "*-*-* 8:00"), f"schedule {NO_SCHEDULE}"),
    ("slug", NO_TEXTS, "slug is not a string"), ("slug", ("x" * 101,), "slug is too long"),
    ("slug", ("A", "a b", "a.b", "ä", "a\n", "a/b"), "slug does not match pattern"), ("start_kw", NO_TEXTS, "start_kw is not a string"),
    ("start_kw", ("x" * 201,), "start_kw is too long"), ("subject", NO_TEXTS, "subject is not a string"),
    ("subject", ("x" * 201,), "subject is too long"), ("subject_fail", NO_TEXTS, "subject_fail is not a string"),
    ("subject_fail", ("x" * 201,), "subject_fail is too long"), ("success_kw", NO_TEXTS, "success_kw is not a string"),
    ("success_kw", ("x" * 201,), "success_kw is too long"), ("tags", NO_TEXTS, "tags is not a string"), ("tags", ("x" * 501,), "tags is too long"),
    ("timeout", NO_NUMBERS, "timeout is not a number"), ("timeout", (59, 0, -1, -10**30, True, False), "timeout is too small"),
    ("timeout", (31_536_001, 10**20, 10**400), "timeout is too large"), ("tz", NO_TEXTS, "tz is not a string"),
    ("tz", ("", "utc", "Mars/Phobos", "UTC ", "europe/riga"), "tz is not a valid timezone"),
    ("unique", (None, 5, "name", {}, True), "unique is not an array"),
    ("unique", (["desc"], [5], [None], [["name"]], ["name", "NAME"], [{}]), "an item in 'unique' has unexpected value"),
]


def refused_everywhere(app: App, code: str, raw: bytes, text: str) -> list[str]:
    """What is wrong with how each version refuses this body, as a new check and as an update; [] = nothing."""
    before, faults = app.stored(), []
    for version in VERSIONS:
        for path in ("checks/", f"checks/{code}"):
            answer = hc(app, "POST", path, raw=raw, version=version)
            if not is_error(answer, 400, text):
                faults.append(f"v{version} {path} {raw[:80]!r}: {answer}")
    return faults if app.stored() == before else [*faults, f"{raw[:80]!r} was stored"]


@pytest.mark.parametrize(("field", "values", "text"), ERRORS, ids=[row[2] for row in ERRORS])
def test_each_field_is_refused_with_its_text(app: App, field: str, values: tuple, text: str) -> None:
    code = create(app, name="before")["uuid"]
    assert [fault for value in values for fault in refused_everywhere(
        app, code, json.dumps({field: value}).encode(), f"json validation error: {text}")] == []


ORDER = list(dict.fromkeys(field for field, _, _ in ERRORS))


def test_every_field_is_in_the_table_of_errors() -> None:
    assert ORDER == [
        "channels", "desc", "failure_kw", "filter_subject", "filter_body", "filter_http_body", "filter_default_fail", "grace", "manual_resume",
        "methods", "name", "schedule", "slug", "start_kw", "subject", "subject_fail", "success_kw", "tags", "timeout", "tz", "unique"]


@pytest.mark.parametrize("place", range(len(ORDER)), ids=ORDER)
def test_only_the_first_error_is_told_whatever_the_order_of_the_fields(app: App, place: int) -> None:
    code = create(app)["uuid"]
    wrong = {field: values[0] for field, values, _ in reversed(ERRORS)}
    body = {field: wrong[field] for field in reversed(ORDER[place:])}
    text = next(text for field, _, text in ERRORS if field == ORDER[place])
    for shuffled in (body, dict(reversed(body.items()))):
        assert refused_everywhere(app, code, json.dumps(shuffled).encode(), f"json validation error: {text}") == []


@pytest.mark.parametrize(("field", "values"), [
    ("name", ("", "x" * 100)), ("tags", ("", "x" * 500)), ("slug", ("", "a-z_0", "x" * 100)), ("timeout", (60, 31_536_000)),
    ("grace", (60, 31_536_000)), ("methods", ("", "POST")), ("desc", ("", "x" * 10_000)), ("success_kw", ("", "x" * 200)),
    ("manual_resume", (True, False)), ("schedule", ("* * * * *", "0 0 29 2 *")), ("tz", ("UTC", "Europe/Riga")),
])
def test_what_is_just_within_the_limits_is_taken(app: App, field: str, values: tuple) -> None:
    assert [hc(app, "POST", "checks/", {field: value}).status for value in values] == [201] * len(values)


# ------------------------------------------------------------------------------------------- get, pause, resume, delete

def test_a_check_is_paused_and_resumed(app: App) -> None:
    code = create(app, timeout=60)["uuid"]
    ping(app, code)
    ping(app, f"{code}/start")
    paused = hc(app, "POST", f"checks/{code}/pause", raw=b"")
    assert paused.status == 200 and paused.json == show(app, code)
    assert [paused.json[name] for name in ("status", "started", "next_ping", "last_ping", "n_pings")] == ["paused", False, None, MORNING, 2]
    flips = app.stored()["flips"]
    again = hc(app, "POST", f"checks/{code}/pause", raw=b"")
    assert (again.status, again.json, app.stored()["flips"]) == (200, paused.json, flips), "pausing twice changes nothing"
    resumed = hc(app, "POST", f"checks/{code}/resume", raw=b"")
    assert [resumed.json[name] for name in ("status", "started", "next_ping", "last_ping", "n_pings")] == ["new", False, None, None, 2]
    assert resumed.status == 200 and len(app.stored()["flips"]) == len(flips) + 1


@pytest.mark.parametrize("before", ["new", "up", "down"])
def test_what_is_not_paused_is_not_resumed(app: App, before: str) -> None:
    code = create(app)["uuid"]
    if before != "new":
        ping(app, code + ("/fail" if before == "down" else ""))
    stored = app.stored()
    answer = hc(app, "POST", f"checks/{code}/resume", raw=b"")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (409, b"check is not paused", TEXT_PLAIN)
    assert_cors(answer, "POST")
    assert app.stored() == stored


@pytest.mark.parametrize("action", ["pause", "resume"])
@pytest.mark.parametrize(("raw", "text", "reason"), [
    (b"", None, "nothing, as curl --data '' sends"), (b"null", None, "what some clients send"), (b"{}", None, "an object"),
    (b'{"name": 5}', None, "fields are not looked at"), (b"a=b", "could not parse request body", "a form"),
    (b"[]", "json validation error: value is not an object", "a list"), (b'"x"', "json validation error: value is not an object", "a string"),
])
def test_a_body_where_none_is_needed_is_an_object_or_nothing(app: App, action: str, raw: bytes, text: str | None, reason: str) -> None:
    code = create(app)["uuid"]
    if action == "resume":
        hc(app, "POST", f"checks/{code}/pause", raw=b"")
    answer = hc(app, "POST", f"checks/{code}/{action}", raw=raw)
    assert answer.status == 200 if text is None else is_error(answer, 400, text), reason


def test_a_deleted_check_is_shown_once_more_with_its_receivers_and_is_gone_with_its_pings(app: App) -> None:
    add_receivers(app)
    check = create(app, name="a", channels="*")
    code = check["uuid"]
    ping(app, f"{code}/fail", "POST", raw=b"x")
    last = show(app, code)
    answer = hc(app, "DELETE", f"checks/{code}")
    assert (answer.status, answer.json) == (200, last) and last["channels"] == f"{MAIL},{HOOK}"
    stored = app.stored()
    assert [stored[name] for name in ("checks", "pings", "flips", "check_receivers")] == [[], [], [], []]
    for method, path in (("DELETE", ""), ("GET", ""), ("POST", ""), ("POST", "/pause"), ("POST", "/resume"), ("GET", "/pings/"), ("GET", "/flips/")):
        assert hc(app, method, f"checks/{code}{path}").status == 404, path
    assert (ping(app, code).status, ping(app, code).body) == (404, b"not found")


def test_the_body_of_a_request_that_reads_or_deletes_is_not_looked_at(app: App) -> None:
    code = create(app)["uuid"]
    for path in ("checks/", f"checks/{code}", "channels/", "badges/", f"checks/{code}/pings/", f"checks/{code}/flips/"):
        assert hc(app, "GET", path, raw=b"junk{").status == 200
    assert hc(app, "GET", "checks/", {"api_key": ADMIN_KEY}, key=None).status == 401, "nor is a key in it"
    assert hc(app, "DELETE", f"checks/{code}", {"api_key": ADMIN_KEY}, key=None).status == 401
    assert hc(app, "DELETE", f"checks/{code}", raw=b"junk{").status == 200


# --------------------------------------------------------------------------------------------------------- receivers

MAIL, HOOK, FOREIGN = (f"{digit * 8}-aaaa-4aaa-8aaa-aaaaaaaaaaaa" for digit in "123")


def add_receivers(app: App) -> None:
    """Two receivers of the default project, the first in the order of ids being the second in that of rows, and one of acme."""
    rows = [(HOOK, "", "webhook", ""), (MAIL, "", "email", "Ops"), (FOREIGN, "acme", "email", "Theirs")]
    app.store.write(lambda tables: [tables.db.execute(
        "INSERT INTO receivers (id, customer, type, name, address_data, created_at) VALUES (?, ?, ?, ?, '{}', 0)", row) for row in rows])


def test_channels_are_the_receivers_of_the_project(app: App) -> None:
    assert hc(app, "GET", "channels/").json == {"channels": []}
    add_receivers(app)
    assert hc(app, "GET", "channels/").json == {
        "channels": [{"id": HOOK, "name": "", "kind": "webhook"}, {"id": MAIL, "name": "Ops", "kind": "email"}]}
    assert hc(app, "GET", "channels/", headers={"X-Scope-OrgID": "acme"}).json == {
        "channels": [{"id": FOREIGN, "name": "Theirs", "kind": "email"}]}
    assert is_error(hc(app, "GET", "channels/", key=app.make_key("read")), 401, "wrong api key")


@pytest.mark.parametrize(("channels", "shown", "reason"), [
    ("*", f"{MAIL},{HOOK}", "all, sorted"), ("", "", "none"), (MAIL, MAIL, "an id"), ("Ops", MAIL, "a name"),
    (f"{HOOK},Ops", f"{MAIL},{HOOK}", "an id and a name"), (f"{MAIL},Ops,{MAIL}", MAIL, "the same three times"),
])
def test_a_check_tells_the_receivers_that_are_named(app: App, channels: str, shown: str, reason: str) -> None:
    add_receivers(app)
    check = create(app, channels=channels)
    assert check["channels"] == shown, reason
    assert hc(app, "POST", f"checks/{check['uuid']}", {"name": "x"}).json["channels"] == shown, "not posted: left alone"
    assert hc(app, "POST", f"checks/{check['uuid']}", {"channels": HOOK}).json["channels"] == HOOK, "posted: replaced"
    assert hc(app, "GET", "checks/").json["checks"][0]["channels"] == HOOK


@pytest.mark.parametrize(("channels", "text"), [
    (",", "empty channel identifier"), (f"{MAIL},", "empty channel identifier"), ("x", "invalid channel identifier: x"),
    ("Ops, Ops", "invalid channel identifier:  Ops"), ("ops", "invalid channel identifier: ops"),
    (FOREIGN, f"invalid channel identifier: {FOREIGN}"), ("Theirs", "invalid channel identifier: Theirs"),
    (MAIL.upper(), f"invalid channel identifier: {MAIL.upper()}"), ("Twin", "non-unique channel identifier: Twin"),
])
def test_receivers_that_cannot_be_found_are_refused_and_nothing_is_stored(app: App, channels: str, text: str) -> None:
    add_receivers(app)
    for number in "89":
        app.store.write(lambda tables, number=number: tables.db.execute(
            "INSERT INTO receivers (id, customer, type, name, address_data, created_at) VALUES (?, '', 'email', 'Twin', '{}', 0)", (number,)))
    code = create(app, name="a", channels=HOOK)["uuid"]
    assert refused_everywhere(app, code, json.dumps({"channels": channels, "name": "changed"}).encode(), text) == []


def test_what_is_wrong_with_a_field_is_told_before_what_is_wrong_with_a_receiver(app: App) -> None:
    assert is_error(hc(app, "POST", "checks/", {"channels": "nobody", "unique": 5}), 400, "json validation error: unique is not an array")


# --------------------------------------------------------------------------------------------- keys, order, headers

@pytest.mark.parametrize(("headers", "body_key", "text", "reason"), [
    ({"X-Api-Key": ADMIN_KEY}, None, None, "the header"), ({}, ADMIN_KEY, None, "the body"),
    ({"X-Api-Key": ADMIN_KEY}, "x" * 32, None, "the header wins"), ({"X-Api-Key": "x" * 32}, ADMIN_KEY, "wrong api key", "the header wins"),
    ({}, None, "missing api key", "none"), ({"X-Api-Key": ""}, None, "missing api key", "an empty one"),
    ({"X-Api-Key": ""}, ADMIN_KEY, "missing api key", "an empty header wins too"), ({"X-Api-Key": "short"}, None, "missing api key", "too short"),
    ({"X-Api-Key": "x" * 33}, None, "missing api key", "too long"), ({"X-Api-Key": "x" * 32}, None, "wrong api key", "unknown"),
    ({}, "x" * 32, "wrong api key", "unknown"), ({}, 5, "missing api key", "no text"), ({}, [ADMIN_KEY], "missing api key", "no text"),
    ({}, "", "missing api key", "empty"), ({}, {}, "missing api key", "no text"), ({}, "\ud800" * 32, "wrong api key", "halves of pairs"),
    ({}, "\0" * 32, "wrong api key", "control characters"), ({"X-Api-Key": "\xff" * 32}, None, "wrong api key", "beyond ASCII"),
    ({"Authorization": f"Bearer {ADMIN_KEY}"}, None, None, "as elsewhere"), ({"Authorization": f"Key {ADMIN_KEY}"}, None, None, "as elsewhere"),
    ({"Authorization": f"Key {ADMIN_KEY}", "X-Api-Key": "x" * 32}, None, "wrong api key", "the header of this API wins"),
])
def test_a_key_comes_in_the_header_or_in_the_body(app: App, headers: dict, body_key: Any, text: str | None, reason: str) -> None:
    before = app.stored()["checks"]
    body = {"name": "a", **({} if body_key is None else {"api_key": body_key})}
    answer = hc(app, "POST", "checks/", body, key=None, headers=headers)
    if text is None:
        assert answer.status == 201 and "api_key" not in answer.json, reason
    else:
        assert is_error(answer, 401, text), reason
        assert_cors(answer, "GET", "POST")
        assert app.stored()["checks"] == before


def test_a_key_in_the_body_opens_every_post(app: App) -> None:
    code = hc(app, "POST", "checks/", {"api_key": ADMIN_KEY}, key=None).json["uuid"]
    for path in ("", "/pause", "/resume"):
        assert hc(app, "POST", f"checks/{code}{path}", {"api_key": ADMIN_KEY}, key=None).status == 200, path


def test_a_read_only_key_reads_and_does_nothing_else(app: App) -> None:
    reader, code = app.make_key("read"), create(app)["uuid"]
    unique_key = hc(app, "GET", "checks/", key=reader).json["checks"][0]["unique_key"]
    for path in ("checks/", f"checks/{code}", f"checks/{unique_key}", f"checks/{code}/flips/", f"checks/{unique_key}/flips/", "badges/"):
        assert hc(app, "GET", path, key=reader).status == 200, path
    before = app.stored()
    for method, path in (("POST", "checks/"), ("POST", f"checks/{code}"), ("DELETE", f"checks/{code}"), ("POST", f"checks/{code}/pause"),
                         ("POST", f"checks/{code}/resume"), ("GET", f"checks/{code}/pings/"), ("GET", f"checks/{code}/pings/1/body"),
                         ("GET", "channels/")):
        assert is_error(hc(app, method, path, key=reader), 401, "wrong api key"), path
    assert {name: rows for name, rows in app.stored().items() if name != "api_keys"} == {
        name: rows for name, rows in before.items() if name != "api_keys"}


# Requests with everything wrong from one row of the contract's table 1.5 on: method, path, body, key, and what is answered.
WRONG = {"channels": "nobody", "name": 5}
FAULTS = [
    ("PATCH", "checks/nonsense", b"junk", None, 404, "not found", "no such address"),
    ("POST", "checks/<CODE>", b"junk", None, 404, "not found", "a code in upper case"),
    ("PATCH", "checks/<code>", b"junk", None, 405, None, "no such method"), ("PUT", "checks/", b"junk", None, 405, None, "no such method"),
    ("POST", "channels/", b"junk", None, 405, None, "no such method"), ("GET", "checks/<code>/pause", b"", None, 405, None, "no such method"),
    ("DELETE", "checks/<unknown>/flips/", b"", None, 405, None, "no such method"),
    ("OPTIONS", "checks/<unknown>", b"junk", None, 204, None, "a browser asks"),
    ("POST", "checks/<unknown>", b"junk", None, 400, "could not parse request body", "no JSON"),
    ("POST", "checks/<unknown>/pause", b"[]", None, 400, "json validation error: value is not an object", "no object"),
    ("POST", "checks/<unknown>", WRONG, None, 401, "missing api key", "no key"),
    ("POST", "checks/<unknown>", WRONG, "x" * 32, 401, "wrong api key", "an unknown key"),
    ("POST", "checks/<unknown>", WRONG, "reader", 401, "wrong api key", "a key that may only read"),
    ("DELETE", "checks/<foreign>", b"", "reader", 401, "wrong api key", "a key that may only read"),
    ("POST", "checks/<unknown>", WRONG, "writer", 404, "check not found", "no such check"),
    ("GET", "checks/<unknown>/flips/?start=x", b"", "writer", 404, "check not found", "no such check"),
    ("POST", "checks/<foreign>", WRONG, "writer", 403, None, "another project's"),
    ("GET", "checks/<foreign>/flips/?start=x", b"", "writer", 403, None, "another project's"),
    ("POST", "checks/<foreign>/resume", b"{}", "writer", 403, None, "another project's"),
    ("POST", "checks/<code>", WRONG, "writer", 400, "json validation error: name is not a string", "a field"),
    ("POST", "checks/", WRONG, "writer", 400, "json validation error: name is not a string", "a field, before the limit"),
    ("POST", "checks/<code>", {"channels": "nobody"}, "writer", 400, "invalid channel identifier: nobody", "a receiver"),
    ("POST", "checks/", {"channels": "nobody"}, "writer", 403, None, "the limit, before receivers (3.2)"),
    ("POST", "checks/<code>/resume", {"name": 5}, "writer", 409, None, "not paused"),
    ("GET", "checks/<foreign key>", b"", "writer", 404, "check not found", "a unique key is looked for within the project"),
]


@pytest.mark.parametrize(("method", "path", "body", "key", "status", "text", "reason"), FAULTS, ids=[f"{row[0]} {row[1]} {row[4]}" for row in FAULTS])
def test_of_many_faults_the_first_of_the_contract_s_table_is_told(
        make_app: Any, method: str, path: str, body: Any, key: str | None, status: int, text: str | None, reason: str) -> None:
    app = make_app(check_limit="1")
    code = create(app)["uuid"]
    foreign = hc(app, "POST", "checks/", {}, headers={"X-Scope-OrgID": "acme"}).json["uuid"]
    foreign_key = hashlib.sha1(foreign.replace("-", "")[:16].encode()).hexdigest()
    for name, value in {"code": code, "CODE": code[:-1].upper() + "F", "unknown": NOBODY, "foreign": foreign, "foreign key": foreign_key}.items():
        path = path.replace(f"<{name}>", value)
    sent = {"reader": app.make_key("read"), "writer": app.make_key("read", "write")}.get(key, key)
    before = app.stored()
    answer = hc(app, method, path, key=sent, **({"raw": body} if isinstance(body, bytes) else {"body": body}))
    assert answer.status == status, reason
    if text and text != "not found":
        assert is_error(answer, status, text), reason
    elif status in (403, 405):
        assert is_empty(answer, status), reason
    elif status == 404:
        assert set(answer.json) == {"error"}, reason
    assert app.stored() == before


# Each address of the management API and its methods.
METHODS = {
    "checks/": {"GET", "POST"}, "checks": {"GET", "POST"}, "checks/<code>": {"GET", "POST", "DELETE"}, "checks/<key>": {"GET"},
    "checks/<code>/pause": {"POST"}, "checks/<code>/resume": {"POST"}, "checks/<code>/pings/": {"GET"}, "checks/<code>/pings/1/body": {"GET"},
    "checks/<code>/flips/": {"GET"}, "checks/<key>/flips/": {"GET"}, "channels/": {"GET"}, "badges/": {"GET"},
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", METHODS)
def test_every_answer_says_what_pages_may_send(app: App, version: str, path: str) -> None:
    code = create(app)["uuid"]
    ping(app, code, "POST", raw=b"x")
    address = path.replace("<code>", code).replace("<key>", hashlib.sha1(code.replace("-", "")[:16].encode()).hexdigest())
    for method in ("OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "BREW"):
        for key in (ADMIN_KEY, None):
            if method == "DELETE" and key and "DELETE" in METHODS[path]:
                continue                             # the check is still needed
            answer = hc(app, method, address, version=version, key=key)
            assert_cors(answer, *METHODS[path])
            if method == "OPTIONS":
                assert (answer.status, answer.body, "Content-Type" in answer.headers) == (204, b"", False)
            elif method not in METHODS[path] and (method, "GET" in METHODS[path]) != ("HEAD", True):
                assert is_empty(answer, 405), method
            elif key is None:
                assert answer.status == 401, method


def test_head_is_get_without_the_body(app: App) -> None:
    code = create(app)["uuid"]
    for path in ("checks/", f"checks/{code}", f"checks/{code}/flips/", "badges/", "status/"):
        got, head = hc(app, "GET", path), hc(app, "HEAD", path)
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(got.body)))


@pytest.mark.parametrize("path", [
    "/api/v1/", "/api/v4/checks/", "/api/v0/checks/", "/api/v/checks/", "/api/v3/bogus/", "/api/v11/checks/", "/api/v3/checks/x",
    "/api/v3/checks/<code>/", "/api/v3/checks/<code>/pause/", "/api/v3/checks/<code>/resume/", "/api/v3/checks/<code>/pings/x/body",
    "/api/v3/checks/<code>/pings/1/body/", "/api/v3/checks/<code>/bogus", "/api/v3/checks/<plain code>",
])
def test_an_address_that_is_none_is_not_found(app: App, path: str) -> None:
    code = create(app)["uuid"]
    path = path.replace("<code>", code).replace("<plain code>", code.replace("-", ""))
    before = app.stored()
    for method in ("GET", "POST", "DELETE"):
        answer = app.call(method, path, key=None, headers={"X-Api-Key": ADMIN_KEY})
        assert (answer.status, set(answer.json)) == (404, {"error"})
    assert app.stored() == before


def test_status_needs_no_key(app: App) -> None:
    for version in VERSIONS:
        answer = hc(app, "GET", "status/", key=None, version=version)
        assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"OK", TEXT_PLAIN)


# ---------------------------------------------------------------------------------------------------------- projects

def test_a_key_that_is_confined_to_a_customer_lives_in_its_project(app: App) -> None:
    ours, theirs = create(app, name="ours"), app.make_key("read", "write", customer="acme")
    answer = hc(app, "POST", "checks/", {"name": "theirs"}, key=theirs)
    code, unique_key = answer.json["uuid"], hashlib.sha1(ours["uuid"].replace("-", "")[:16].encode()).hexdigest()
    assert names_of(hc(app, "GET", "checks/", key=theirs)) == ["theirs"]
    assert names_of(hc(app, "GET", "checks/", key=theirs, headers={"X-Scope-OrgID": "default"})) == ["theirs"], "the header widens nothing"
    assert names_of(hc(app, "GET", "checks/")) == ["ours"]
    before = app.stored()
    for method, action in (("GET", ""), ("POST", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("GET", "/pings/"),
                           ("GET", "/pings/1/body"), ("GET", "/flips/")):
        for headers in ({}, {"X-Scope-OrgID": "default"}):
            answer = hc(app, method, f"checks/{ours['uuid']}{action}", key=theirs, headers=headers)
            assert is_empty(answer, 403), (method, action)
            assert_cors(answer, *METHODS[f"checks/<code>{action}"])
    for path in (f"checks/{unique_key}", f"checks/{unique_key}/flips/"):
        assert hc(app, "GET", path, key=theirs).status == 404, "and nobody learns that it exists"
    assert hc(app, "GET", f"checks/{code}").status == 403, "nor does an administrator see another project by chance"
    assert {name: rows for name, rows in app.stored().items() if name != "api_keys"} == {
        name: rows for name, rows in before.items() if name != "api_keys"}


def test_an_administrator_names_the_project_in_a_header(app: App) -> None:
    acme = {"X-Scope-OrgID": "acme"}
    code = hc(app, "POST", "checks/", {"name": "theirs", "tags": "x"}, headers=acme).json["uuid"]
    assert names_of(hc(app, "GET", "checks/", headers=acme)) == ["theirs"]
    assert names_of(hc(app, "GET", "checks/")) == names_of(hc(app, "GET", "checks/", headers={"X-Scope-OrgID": "default"})) == []
    assert set(hc(app, "GET", "badges/", headers=acme).json["badges"]) == {"x", "*"}
    assert set(hc(app, "GET", "badges/").json["badges"]) == {"*"}
    assert hc(app, "DELETE", f"checks/{code}").status == 403
    assert hc(app, "DELETE", f"checks/{code}", headers=acme).status == 200
    for name in ("x" * 501, "a\tb"):
        assert hc(app, "GET", "checks/", headers={"X-Scope-OrgID": name}).status == 400


def test_a_ping_key_is_of_one_project(app: App) -> None:
    create(app, slug="job")
    hc(app, "POST", "checks/", {"slug": "theirs"}, headers={"X-Scope-OrgID": "acme"})
    ours, theirs = app.engine.get_project("").ping_key, app.engine.get_project("acme").ping_key
    assert ours != theirs and re.fullmatch("[a-z0-9]{22}", ours)
    assert [ping(app, address).status for address in (f"{ours}/job", f"{theirs}/theirs", f"{ours}/theirs", f"{theirs}/job")] == [200, 200, 404, 404]


# ------------------------------------------------------------------------------------------------------------- pings

def stored_pings(app: App) -> list[dict[str, Any]]:
    """Every ping, by the names of its columns."""
    with app.store.read() as tables:
        return [dict(zip(alertlite.Ping._fields, row)) for row in tables.rows(
            f"SELECT {', '.join(alertlite.Ping._fields)} FROM pings ORDER BY check_seq, n")]


def by_slug(app: App, slug: str = "job", **fields: Any) -> tuple[str, str]:
    """The code of a new check with this slug, and its address by ping key and slug."""
    code = create(app, slug=slug, **fields)["uuid"]
    return code, f"{app.engine.get_project('').ping_key}/{slug}"


def assert_ping_headers(answer: Answer) -> None:
    """Any page may ping, and nothing in between may answer for us (contract 4.4)."""
    headers = answer.headers
    assert headers["Access-Control-Allow-Origin"] == "*" and "Expires" in headers
    assert set(headers["Cache-Control"].split(", ")) == {"max-age=0", "no-cache", "no-store", "must-revalidate", "private"}


def is_text(answer: Answer, status: int, text: str) -> bool:
    """Whether a ping was answered so, with the headers that it must have."""
    assert_ping_headers(answer)
    assert ("Ping-Body-Limit" in answer.headers) == (status < 300)
    return (answer.status, answer.body, answer.headers["Content-Type"]) == (status, text.encode(), TEXT_PLAIN)


@pytest.mark.parametrize("by", ["code", "slug"])
@pytest.mark.parametrize(("ending", "kind", "exit_status", "status"), [
    ("", "success", None, "up"), ("/start", "start", None, "new"), ("/fail", "fail", None, "down"), ("/log", "log", None, "new"),
    ("/0", "success", 0, "up"), ("/000", "success", 0, "up"), ("/1", "fail", 1, "down"), ("/255", "fail", 255, "down"),
    ("/007", "fail", 7, "down"), ("/0000255", "fail", 255, "down"),
])
def test_each_form_of_a_ping_s_address(app: App, by: str, ending: str, kind: str, exit_status: int | None, status: str) -> None:
    code, named = by_slug(app)
    answer = ping(app, (code if by == "code" else named) + ending)
    assert is_text(answer, 200, "OK") and answer.headers["Ping-Body-Limit"] == "10000"
    assert [(row["kind"], row["exit_status"]) for row in stored_pings(app)] == [(kind, exit_status)]
    assert (show(app, code)["status"], show(app, code)["n_pings"]) == (status, 1)


def test_only_the_plain_address_by_code_may_end_in_a_slash(app: App) -> None:
    code, named = by_slug(app)
    assert is_text(ping(app, f"{code}/"), 200, "OK")
    before = app.stored()
    for ending in ("start/", "fail/", "log/", "0/", "1/", "start/1", "/"):
        answer = ping(app, f"{code}/{ending}")
        assert answer.status in (400, 404), ending
    for ending in ("/", "/start/", "/1/", "/start/1"):
        assert is_text(ping(app, f"{named}{ending}"), 404, "not found"), ending
    assert app.stored() == before


@pytest.mark.parametrize(("address", "status", "text", "reason"), [
    (NOBODY, 404, "not found", "an unknown code"), (f"{NOBODY}/start", 404, "not found", "an unknown code"),
    (f"{NOBODY}/256", 404, "not found", "the check comes first"), (f"{NOBODY}?rid=x", 404, "not found", "the check comes first"),
    ("<code>/256", 400, "invalid url format", "beyond 255"), ("<code>/00256", 400, "invalid url format", "beyond 255"),
    ("<code>/" + "9" * 400, 400, "invalid url format", "beyond 255"), ("<code>/256?rid=x", 400, "invalid url format", "before the run id"),
    ("<code>?rid=x", 400, "invalid uuid format", "a bad run id"), ("<code>/fail?rid=", 400, "invalid uuid format", "an empty run id"),
    ("<key>/none", 404, "not found", "an unknown slug"), ("<key>/none/start", 404, "not found", "an unknown slug"),
    ("<key>/none/256?rid=x", 404, "not found", "the check comes first"), (f"{'x' * 22}/job", 404, "not found", "an unknown ping key"),
    ("<KEY>/job", 404, "not found", "the ping key is exact"), ("<key>/Job", 400, "invalid url format", "upper case"),
    ("<key>/Job/256?rid=x", 400, "invalid url format", "upper case"), (f"{'x' * 22}/Job", 400, "invalid url format", "before it is looked for"),
    ("<key>/job/256", 400, "invalid url format", "beyond 255"), ("<key>/job/256?rid=x", 400, "invalid url format", "before the run id"),
    ("<key>/job?rid=x", 400, "invalid uuid format", "a bad run id"), ("<key>/twin", 409, "ambiguous slug", "two checks have it"),
    ("<key>/twin/256?rid=x", 409, "ambiguous slug", "the check comes first"), ("<key>/twin?create=1", 409, "ambiguous slug", "none is made"),
    ("<code>/abc", 404, "not found", "read as a ping key and a slug"), ("<code>/-1", 404, "not found", "read as a ping key and a slug"),
    ("<code>/create?create=1", 404, "not found", "the code is no ping key"), ("<CODE>/start", 404, "not found", "upper case is no code"),
    ("<CODE>", 404, "not found", "upper case is no code"), ("not-uuid", 404, "not found", "no form of an address"), ("", 404, "not found", "nothing"),
    ("<key>/a.b", 404, "not found", "no slug"), ("<plain code>", 404, "not found", "without hyphens"),
    (f"{NOBODY}?create=1", 404, "not found", "only by slug"),
])
def test_a_ping_is_refused_in_one_line_and_leaves_nothing(app: App, address: str, status: int, text: str, reason: str) -> None:
    code, named = by_slug(app)
    for _ in range(2):
        create(app, slug="twin")
    key = named.partition("/")[0]
    parts = {"<code>": code, "<CODE>": code.upper(), "<key>": key, "<KEY>": key.upper(), "<plain code>": code.replace("-", "")}
    for name, value in parts.items():
        address = address.replace(name, value)
    before = app.stored()
    for method in ("GET", "POST", "HEAD", "BREW"):
        answer = ping(app, address, method, raw=b"body")
        assert is_text(answer, status, "" if method == "HEAD" else text), (reason, method)
    assert app.stored() == before


@pytest.mark.parametrize("by", ["code", "slug"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "BREW", "PROPFIND", "TRACE"])
def test_every_method_is_a_ping_with_its_body(app: App, by: str, method: str) -> None:
    code, named = by_slug(app)
    answer = ping(app, code if by == "code" else named, method, raw=b"what it said")
    assert is_text(answer, 200, "" if method == "HEAD" else "OK")
    assert answer.headers["Content-Length"] == "2"
    assert [(row["method"], row["body"], row["kind"]) for row in stored_pings(app)] == [(method, b"what it said", "success")]


def test_options_is_no_ping(app: App) -> None:
    code, named = by_slug(app)
    before = app.stored()
    for address in (code, f"{code}/", f"{code}/fail", named, f"{named}/1", f"{named.partition('/')[0]}/new?create=1"):
        answer = ping(app, address, "OPTIONS", raw=b"x", headers={"Origin": "https://page.example", "Access-Control-Request-Method": "POST"})
        assert (answer.status, answer.body) == (204, b"") and answer.headers["Access-Control-Allow-Origin"] == "*"
    assert app.stored() == before


def test_a_ping_needs_no_key_and_looks_at_none(app: App) -> None:
    code = create(app)["uuid"]
    for headers in ({"X-Api-Key": "wrong"}, {"Authorization": "Key wrong"}, {"Authorization": "Basic x"}, {"X-Scope-OrgID": "acme"},
                    {"Origin": "https://page.example"}):
        assert ping(app, code, headers=headers).status == 200, headers


@pytest.mark.parametrize(("query", "rid", "reason"), [
    ("", None, "none"), (f"?rid={RUN}", RUN, "a run"),
    ("?rid=ABCDEFAB-1111-1111-1111-ABCDEFABCDEF", "abcdefab-1111-1111-1111-abcdefabcdef", "either case"),
    (f"?rid={NOBODY}&x=1", NOBODY, "other parameters"), ("?RID=x", None, "another name"), ("?create=1", None, "an existing check"),
])
def test_a_run_id_is_stored_in_one_form(app: App, query: str, rid: str | None, reason: str) -> None:
    for address in by_slug(app):
        assert is_text(ping(app, address + query), 200, "OK"), reason
    assert [row["rid"] for row in stored_pings(app)] == [rid, rid]


@pytest.mark.parametrize("rid", ["", "x", RUN[:-1], RUN + "1", RUN.replace("-", ""), "{" + RUN + "}", f"urn:uuid:{RUN}", f"{RUN}%0A", f"%20{RUN}",
                                 RUN.replace("1", "g"), RUN.replace("1", "%D9%A1"), "1" * 36, RUN.replace("-", "_")])
def test_what_is_no_run_id_is_refused_and_nothing_is_recorded(app: App, rid: str) -> None:
    addresses, before = by_slug(app), app.stored()["pings"]
    for address in addresses:
        for ending in ("", "/start", "/3"):
            assert is_text(ping(app, f"{address}{ending}?rid={rid}"), 400, "invalid uuid format")
    assert app.stored()["pings"] == before and show(app, addresses[0])["n_pings"] == 0


def test_a_ping_stores_how_it_came(app: App) -> None:
    code = create(app)["uuid"]
    app.clock.advance(0.25)
    body = bytes(range(256)) * 50
    ping(app, f"{code}/3?rid={RUN}", "PUT", raw=body, headers={
        "User-Agent": "curl/8 " + "x" * 300, "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})
    row, = stored_pings(app)
    assert row == {"check_seq": 1, "n": 1, "kind": "fail", "created_at": app.clock.ms, "scheme": "http", "method": "PUT",
                   "remote_addr": "192.0.2.7", "user_agent": ("curl/8 " + "x" * 300)[:200], "rid": RUN, "exit_status": 3, "body": body[:10_000]}


@pytest.mark.parametrize(("limit", "sent", "kept"), [
    ("5", b"123456789", b"12345"), ("5", b"12345", b"12345"), ("5", "12é4".encode(), "12é4".encode()), ("3", "12é".encode(), b"12\xc3"),
    ("10000", b"", None), ("0", b"123", None), ("10000", b"\0", b"\0"), ("2000000", b"x" * 1_500_000, b"x" * 1_500_000),
])
def test_a_body_is_kept_to_the_byte_up_to_the_limit(make_app: Any, limit: str, sent: bytes, kept: bytes | None) -> None:
    app = make_app(ping_body_limit=limit)
    answer = ping(app, create(app)["uuid"], "POST", raw=sent)
    assert is_text(answer, 200, "OK") and answer.headers["Ping-Body-Limit"] == limit
    assert [row["body"] for row in stored_pings(app)] == [kept]


@pytest.mark.parametrize(("agent", "kept"), [("", ""), ("caf\xc3\xa9", "café"), ("\xff", "\ufffd"), ("\xc3\xa9" * 300, "é" * 200)])
def test_a_user_agent_is_kept_as_text(app: App, agent: str, kept: str) -> None:
    code = create(app)["uuid"]
    assert ping(app, code, headers={"User-Agent": agent}).status == 200
    assert hc(app, "GET", f"checks/{code}/pings/").json["pings"][0]["ua"] == kept


# ---------------------------------------------------------------------------------------------------- what a ping counts as

@pytest.mark.parametrize(("fields", "method", "ending", "body", "kind", "reason"), [
    ({"methods": "POST"}, "GET", "", b"", "ign", "only POST counts"), ({"methods": "POST"}, "PUT", "", b"", "ign", "not even PUT"),
    ({"methods": "POST"}, "HEAD", "/fail", b"", "ign", "nor a failure"), ({"methods": "POST"}, "POST", "", b"", "success", "POST"),
    ({"methods": "POST"}, "POST", "/fail", b"", "fail", "POST"),
    ({"failure_kw": "ERR"}, "POST", "", b"ERR", "success", "without the filter keywords mean nothing"),
    ({"filter_http_body": True, "failure_kw": "ERR"}, "POST", "", b"an ERROR", "fail", "part of a word"),
    ({"filter_http_body": True, "failure_kw": "ERR"}, "POST", "", b"err", "ign", "case counts"),
    ({"filter_http_body": True, "failure_kw": " A , ERR ,, "}, "POST", "", b"ERR", "fail", "one of several, trimmed"),
    ({"filter_http_body": True, "failure_kw": ", ,"}, "POST", "", b", ,", "ign", "blank ones are none"),
    ({"filter_http_body": True, "success_kw": "OK"}, "POST", "/fail", b"OK", "success", "instead of what the address says"),
    ({"filter_http_body": True, "success_kw": "OK"}, "POST", "/7", b"OK", "success", "instead of the exit status"),
    ({"filter_http_body": True, "success_kw": "OK"}, "POST", "/log", b"x", "ign", "instead of what the address says"),
    ({"filter_http_body": True, "start_kw": "GO"}, "POST", "", b"GO", "start", "a start"),
    ({"filter_http_body": True, "start_kw": "A", "success_kw": "B", "failure_kw": "C"}, "POST", "", b"ABC", "fail", "failure first"),
    ({"filter_http_body": True, "start_kw": "A", "success_kw": "B", "failure_kw": "C"}, "POST", "", b"AB", "success", "then success"),
    ({"filter_http_body": True}, "POST", "", b"x", "ign", "no keywords"), ({"filter_http_body": True, "filter_default_fail": True}, "GET", "", b"",
                                                                        "fail", "what matches nothing is a failure"),
    ({"filter_http_body": True, "methods": "POST", "success_kw": "OK"}, "PUT", "", b"OK", "ign", "the method comes first"),
    ({"filter_http_body": True, "success_kw": "OK"}, "POST", "", b"\xff\xfe OK \xc3", "success", "bytes that are no text do not hinder"),
    ({"filter_http_body": True, "success_kw": "grün"}, "POST", "", "grün".encode(), "success", "beyond ASCII"),
    ({"filter_http_body": True, "success_kw": "OK"}, "POST", "", b"x" * 9_999 + b"OK", "ign", "beyond what is kept"),
    ({"filter_http_body": True, "success_kw": "OK"}, "POST", "", b"x" * 9_998 + b"OK", "success", "the last of what is kept"),
    ({"filter_subject": True, "filter_body": True, "failure_kw": "ERR"}, "POST", "", b"ERR", "success", "the filters of mail"),
])
def test_what_a_ping_counts_as(app: App, fields: dict, method: str, ending: str, body: bytes, kind: str, reason: str) -> None:
    code = create(app, **fields)["uuid"]
    assert ping(app, code + ending, method, raw=body).status == 200, "whatever it counts as"
    assert [row["kind"] for row in stored_pings(app)] == [kind], reason
    assert show(app, code)["status"] == {"success": "up", "fail": "down"}.get(kind, "new") and show(app, code)["n_pings"] == 1


def test_a_paused_check_with_manual_resume_ignores_pings_until_it_is_resumed(app: App) -> None:
    code = create(app, manual_resume=True)["uuid"]
    hc(app, "POST", f"checks/{code}/pause", raw=b"")
    for ending in ("", "/start", "/fail", "/log", "/1"):
        assert is_text(ping(app, code + ending), 200, "OK")
    shown = show(app, code)
    assert (shown["status"], shown["started"], shown["n_pings"], shown["last_ping"]) == ("paused", False, 5, None)
    assert {row["kind"] for row in stored_pings(app)} == {"ign"}
    hc(app, "POST", f"checks/{code}/resume", raw=b"")
    ping(app, code)
    assert show(app, code)["status"] == "up"


def test_a_paused_check_without_it_is_up_with_its_next_ping(app: App) -> None:
    code = create(app)["uuid"]
    hc(app, "POST", f"checks/{code}/pause", raw=b"")
    ping(app, code)
    assert show(app, code)["status"] == "up"


# ----------------------------------------------------------------------------------------------------- auto-provisioning

def test_a_ping_with_create_makes_the_check_that_is_missing(app: App) -> None:
    add_receivers(app)
    key = app.engine.get_project("").ping_key
    assert is_text(ping(app, f"{key}/nightly-1_x/start?create=1", "POST", raw=b"x"), 201, "Created")
    check, = hc(app, "GET", "checks/").json["checks"]
    assert [check[name] for name in ("name", "slug", "timeout", "grace", "status", "started", "n_pings", "channels")] == [
        "nightly-1_x", "nightly-1_x", 86400, 3600, "new", True, 1, f"{MAIL},{HOOK}"]
    assert is_text(ping(app, f"{key}/nightly-1_x?create=1"), 200, "OK")
    assert (len(app.stored()["checks"]), len(stored_pings(app))) == (1, 2)
    assert is_text(ping(app, f"{key}/other/0?create=1", "HEAD"), 201, "")


@pytest.mark.parametrize(("ending", "status", "text", "reason"), [
    ("new", 404, "not found", "not asked for"), ("new?create=0", 404, "not found", "only 1 asks"),
    ("new?create=true", 404, "not found", "only 1 asks"),
    ("new?create=", 404, "not found", "only 1 asks"), ("new?create=01", 404, "not found", "only 1 asks"),
    ("new/256?create=1", 400, "invalid url format", "a ping that is refused makes no check"),
    ("new?create=1&rid=x", 400, "invalid uuid format", "a ping that is refused makes no check"),
    ("New?create=1", 400, "invalid url format", "upper case"), ("x" * 101 + "?create=1", 404, "not found", "longer than a slug may be"),
])
def test_a_ping_makes_no_check(app: App, ending: str, status: int, text: str, reason: str) -> None:
    key, before = app.engine.get_project("").ping_key, app.stored()
    assert is_text(ping(app, f"{key}/{ending}"), status, text), reason
    assert app.stored() == before


def test_an_unknown_ping_key_makes_no_check(app: App) -> None:
    app.engine.get_project("")
    before = app.stored()
    assert is_text(ping(app, f"{'x' * 22}/new?create=1"), 404, "not found")
    assert is_text(ping(app, f"{NOBODY}?create=1"), 404, "not found")
    assert app.stored() == before


def test_pings_make_checks_up_to_twice_the_limit(make_app: Any) -> None:
    app = make_app(check_limit="2")
    key = app.engine.get_project("").ping_key
    assert [ping(app, f"{key}/job{number}?create=1").status for number in range(5)] == [201, 201, 201, 201, 404]
    assert is_text(ping(app, f"{key}/job4?create=1"), 404, "not found")
    assert is_text(ping(app, f"{key}/job3?create=1"), 200, "OK"), "those that are there may be pinged"
    assert len(app.stored()["checks"]) == 4
    assert ping(app, f"{app.engine.get_project('acme').ping_key}/job?create=1").status == 201, "each project has its own"


def test_a_limit_of_0_lets_pings_make_any_number_of_checks(make_app: Any) -> None:
    app = make_app(check_limit="0")
    key = app.engine.get_project("").ping_key
    assert [ping(app, f"{key}/job{number}?create=1").status for number in range(3)] == [201] * 3


# --------------------------------------------------------------------------------------------------------------- secrets

@pytest.mark.parametrize("prefix", ["/ping/", "//ping/", "/ping//", "/PING/"])
def test_the_log_has_no_address_that_can_be_pinged(app: App, capsys: Any, prefix: str) -> None:
    code, named = by_slug(app)
    for address in (code, f"{code}/", f"{code}/256", f"{code}?rid=x", f"{code}/bogus/bogus", f"{code.upper()}/start", code.replace("-", ""),
                    f"{named}/256", f"{named}?rid=x", f"{named}/x/y", named.replace("job", "none"), named.replace("job", "Job"),
                    named.partition("/")[0], f"{named}%2Fx", f"{named}%00"):
        for method in ("GET", "POST"):
            app.call(method, prefix + address, key=None)
    logged = capsys.readouterr().err.lower()
    assert logged.count("\n") >= 20
    for secret in (code, code.replace("-", ""), code[9:], named.partition("/")[0]):
        assert secret not in logged


def test_the_log_has_no_key_and_no_code_of_a_refused_call(app: App, capsys: Any) -> None:
    code = create(app)["uuid"]
    wrong = "wrong-key-0123456789-0123456789x"
    for method, path in (("POST", f"checks/{code}"), ("POST", f"checks/{code}/bogus"), ("DELETE", f"checks/{code}"), ("PUT", f"checks/{code}/pause"),
                         ("GET", f"checks/{code}/pings/?api-key={wrong}"), ("POST", "checks/")):
        hc(app, method, path, {"api_key": wrong}, key=None)
        hc(app, method, path, {"name": 5}, key=wrong)
        hc(app, method, path, {"name": 5, "uuid": code})
    logged = capsys.readouterr().err
    assert logged.count("\n") >= 15
    assert not any(secret in logged for secret in (code, code[9:], wrong, ADMIN_KEY))


# ---------------------------------------------------------------------------------------------- pings, bodies and flips

def test_pings_are_listed_newest_first_with_all_that_is_known(app: App) -> None:
    code = create(app)["uuid"]
    assert hc(app, "GET", f"checks/{code}/pings/").json == {"pings": []}
    ping(app, f"{code}/start?rid={RUN}", headers={"User-Agent": "cron"})
    app.clock.advance(1.5)
    ping(app, f"{code}/3?rid={RUN.upper()}", "POST", raw=b"x")
    common = {"scheme": "http", "remote_addr": "192.0.2.7", "rid": RUN}
    for version in VERSIONS:
        assert hc(app, "GET", f"checks/{code}/pings/", version=version).json == {"pings": [
            {**common, "type": "fail", "date": "2030-01-01T00:00:01.500000+00:00", "n": 2, "method": "POST", "ua": "", "duration": 1.5,
             "body_url": f"http://alert.test/api/v{version}/checks/{code}/pings/2/body"},
            {**common, "type": "start", "date": MORNING, "n": 1, "method": "GET", "ua": "cron", "body_url": None}]}


def test_the_list_of_pings_has_the_types_of_all(app: App) -> None:
    code = create(app, methods="POST")["uuid"]
    for method, ending in (("POST", ""), ("POST", "/fail"), ("POST", "/start"), ("POST", "/log"), ("GET", "")):
        ping(app, code + ending, method)
    assert [shown["type"] for shown in hc(app, "GET", f"checks/{code}/pings/").json["pings"]] == ["ign", "log", "start", "fail", "success"]


def test_a_run_is_measured_by_its_own_start(app: App) -> None:
    code = create(app)["uuid"]
    for seconds, ending in ((0, f"/start?rid={RUN}"), (1, f"/start?rid={OTHER_RUN}"), (1, f"/log?rid={RUN}"), (1, f"?rid={RUN}"),
                            (1, f"?rid={RUN}"), (1, f"/fail?rid={OTHER_RUN}"), (1, "")):
        app.clock.advance(seconds)
        ping(app, code + ending)
    durations = [shown.get("duration") for shown in hc(app, "GET", f"checks/{code}/pings/").json["pings"]]
    assert durations == [None, 4.0, None, 3.0, None, None, None]


def test_a_body_is_given_back_as_it_came(app: App) -> None:
    code = create(app)["uuid"]
    body = b"\xff\x00<script>\r\n" + "ü".encode()
    for raw in (b"", body):
        ping(app, code, "POST", raw=raw)
    answer = hc(app, "GET", f"checks/{code}/pings/2/body")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, body, TEXT_PLAIN)
    assert answer.headers["X-Content-Type-Options"] == "nosniff", "it may hold what a browser would run"
    assert_cors(answer, "GET")
    for number in ("1", "0", "3", "999999999999999999"):
        assert hc(app, "GET", f"checks/{code}/pings/{number}/body").status == 404, number
    for number in ("-1", "x", "1.0", "", "9" * 30):
        assert hc(app, "GET", f"checks/{code}/pings/{number}/body").status in (400, 404), number


def test_old_pings_go_and_only_the_newest_are_shown(make_app: Any) -> None:
    app = make_app(ping_log_limit="3")
    code = create(app)["uuid"]

    def send(count: int) -> None:
        for _ in range(count):
            ping(app, code, "POST", raw=b"x")

    send(99)
    assert len(stored_pings(app)) == 99, "they go with every hundredth"
    assert [shown["n"] for shown in hc(app, "GET", f"checks/{code}/pings/").json["pings"]] == [99, 98, 97], "but are not shown before"
    assert [hc(app, "GET", f"checks/{code}/pings/{number}/body").status for number in (96, 97)] == [404, 200]
    send(1)
    assert [row["n"] for row in stored_pings(app)] == [98, 99, 100]
    send(1)
    assert [row["n"] for row in stored_pings(app)] == [98, 99, 100, 101] and show(app, code)["n_pings"] == 101
    assert [hc(app, "GET", f"checks/{code}/pings/{number}/body").status for number in (98, 99)] == [404, 200]


def test_flips_are_listed_newest_first_in_an_object(app: App) -> None:
    code = create(app)["uuid"]
    assert hc(app, "GET", f"checks/{code}/flips/").json == {"flips": []}
    for ending in ("", "/fail", "", "/fail"):
        ping(app, code + ending)
        app.clock.advance(60.9)
    hc(app, "POST", f"checks/{code}/pause", raw=b"")
    hc(app, "POST", f"checks/{code}/resume", raw=b"")
    answer = hc(app, "GET", f"checks/{code}/flips/")
    assert [(flip["timestamp"][11:], flip["up"]) for flip in answer.json["flips"]] == [
        ("00:04:03+00:00", 0), ("00:04:03+00:00", 0), ("00:03:02+00:00", 0), ("00:02:01+00:00", 1), ("00:01:00+00:00", 0), ("00:00:00+00:00", 1)]
    unique_key = hashlib.sha1(code.replace("-", "")[:16].encode()).hexdigest()
    for path, key in ((f"checks/{unique_key}/flips/", ADMIN_KEY), (f"checks/{code}/flips/", app.make_key("read")),
                      (f"checks/{unique_key}/flips", app.make_key("read"))):
        assert hc(app, "GET", path, key=key).json == answer.json


START = 1893456000                                   # when the clock of the tests begins, in seconds


@pytest.mark.parametrize(("query", "minutes", "reason"), [
    ("", [3, 2, 1, 0], "all"), (f"start={START + 60}", [3, 2, 1], "from then on"), (f"start={START + 61}", [3, 2], "from then on"),
    (f"end={START + 60}", [0], "before then"), (f"end={START + 61}", [1, 0], "before then"),
    (f"start={START + 60}&end={START + 180}", [2, 1], "both"),
    ("seconds=60", [3], "the last minute: it is 00:04"), ("seconds=120", [3, 2], "the last two"), ("seconds=0", [3, 2, 1, 0], "no filter"),
    ("seconds=", [3, 2, 1, 0], "no filter"), (f"seconds=180&end={START + 180}", [2, 1], "both"), ("start=0", [3, 2, 1, 0], "the smallest"),
    ("start=10000000000", [], "the largest"), ("end=0", [], "the smallest"), ("seconds=31536000", [3, 2, 1, 0], "the largest"),
    ("start=0001", [3, 2, 1, 0], "leading zeros"), ("bogus=x", [3, 2, 1, 0], "an unknown one"),
    (f"start={START + 180}&end={START}", [], "nothing between"),
])
def test_flips_of_a_time(app: App, query: str, minutes: list[int], reason: str) -> None:
    code = create(app, timeout=86400)["uuid"]
    for ending in ("", "/fail", "", "/fail"):
        ping(app, code + ending)
        app.clock.advance(60)
    flips = hc(app, "GET", f"checks/{code}/flips/?{query}").json["flips"]
    assert [int(flip["timestamp"][14:16]) for flip in flips] == minutes, reason


@pytest.mark.parametrize(("query", "name"), [
    *((f"{name}={value}", name) for name in ("start", "end", "seconds") for value in (
        "x", "-1", "1.5", "1e3", "%2B1", "10000000001", "9" * 40, "%D9%A1", "0x1", "+")),
    ("start=", "start"), ("end=", "end"), ("seconds=31536001", "seconds"), ("start=1&end=x", "end"), ("start=x&end=x&seconds=x", "start"),
])
def test_times_of_flips_that_are_none_are_refused_by_name(app: App, query: str, name: str) -> None:
    code = create(app)["uuid"]
    answer = hc(app, "GET", f"checks/{code}/flips/?{query}")
    assert answer.status == 400 and set(answer.json) == {"error"} and answer.json["error"].split()[0] == name
    assert_cors(answer, "GET")


# ------------------------------------------------------------------------------------------------------------ badges

FORMS = ("svg", "svg3", "json", "json3", "shields", "shields3")
SVG = "{http://www.w3.org/2000/svg}"


def badges(app: App, **more: Any) -> dict[str, dict[str, str]]:
    """Tag -> form -> the path of its badge."""
    found = hc(app, "GET", "badges/", **more).json["badges"]
    return {tag: {form: address.removeprefix("http://alert.test") for form, address in forms.items()} for tag, forms in found.items()}


def fetch(app: App, path: str, method: str = "GET") -> Answer:
    """A badge, as anybody may have it."""
    answer = app.call(method, path, key=None)
    assert_ping_headers(answer)
    return answer


def svg_of(answer: Answer) -> tuple[str, str, str]:
    """Label, status and colour of a picture, which must be sound XML."""
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/svg+xml"), answer
    root = xml.etree.ElementTree.fromstring(answer.body)
    assert (root.tag, root.get("height")) == (f"{SVG}svg", "20")
    assert not any(name.startswith("on") or "href" in name for part in root.iter() for name in part.attrib), "nothing that runs or is fetched"
    assert {part.tag.removeprefix(SVG) for part in root.iter()} <= {
        "svg", "title", "linearGradient", "stop", "clipPath", "rect", "g", "text"}
    label_shade, label, status_shade, status = (part.text or "" for part in root.iter(f"{SVG}text"))
    assert (label_shade, status_shade) == (label, status)
    assert root.findtext(f"{SVG}title") == root.get("aria-label") == f"{label}: {status}"
    return label, status, [part.get("fill") or "" for part in root.iter(f"{SVG}rect")][2]


def test_badges_are_of_every_tag_and_of_all(app: App) -> None:
    assert set(badges(app)) == {"*"}
    for tags in (" db  prod ", "prod www", ""):
        create(app, tags=tags)
    found = badges(app)
    assert set(found) == {"db", "prod", "www", "*"} and all(tuple(sorted(forms)) == tuple(sorted(FORMS)) for forms in found.values())
    for tag, forms in found.items():
        for form, path in forms.items():
            three = form.endswith("3")
            ending = f".{form.rstrip('3')}" if tag == "*" else f"/{tag}.{form.rstrip('3')}"
            assert re.fullmatch(r"/badge/[0-9a-f-]{36}/[A-Za-z0-9_-]{8}" + ("" if three else "-2") + re.escape(ending), path), path
    assert badges(app, key=app.make_key("read")) == badges(app, version="1") == found, "the same for every key and each time"
    assert len({path for forms in found.values() for path in forms.values()}) == 24


@pytest.mark.parametrize("tag", [
    "db", "db@dc1", "100%", "%41", "%2F", "a/b", "../x", "..", ".", "a.svg", "<b>&\"'", "ünï", "日本", "😀", "a+b", "a?b=c#d", "a:b;c,d", "\\",
    "a\tb", "a\nb", "a\u2028x", "a\u00a0b", "\x7f", "x" * 490, "&lt;", "]]>", "a%", "%%", "//", "\ufffe", "\x01", "*x",
])
def test_a_badge_of_any_tag_is_found_at_the_address_that_is_listed(app: App, tag: str) -> None:
    create(app, tags=f"{tag} other")
    create(app, tags="other")
    forms = badges(app)[tag]
    for form, path in forms.items():
        assert re.fullmatch(r"[A-Za-z0-9/._~%-]+", path), "an address that any client leaves as it is"
        answer = fetch(app, path)
        assert answer.status == 200, (form, answer)
        if form.startswith("json"):
            assert answer.json == {"status": "up", "total": 1, "grace": 0, "down": 0}
        elif form.startswith("shields"):
            assert answer.json == {"schemaVersion": 1, "label": tag, "message": "up", "color": "success"}
        else:
            shown = "".join(char for char in tag if char.isprintable())
            assert svg_of(answer) == (shown, "up", "#4c1")


def test_a_tag_that_is_a_star_does_not_hide_the_badge_of_all(app: App) -> None:
    create(app, tags="*")
    create(app, tags="")
    assert set(badges(app)) == {"*"} and fetch(app, badges(app)["*"]["json"]).json["total"] == 2


# What the checks are, and the state of their badge in two and in three states, with the counts.
STATES: list[tuple[tuple[str, ...], str, str, int, int]] = [
    ((), "up", "up", 0, 0), (("new",), "up", "up", 0, 0), (("up",), "up", "up", 0, 0), (("paused",), "up", "up", 0, 0),
    (("started",), "up", "up", 0, 0), (("grace",), "up", "late", 1, 0), (("down",), "down", "down", 0, 1), (("failed",), "down", "down", 0, 1),
    (("up", "grace", "new"), "up", "late", 1, 0), (("grace", "down", "failed", "up"), "down", "down", 1, 2), (("hung",), "down", "down", 0, 1),
]


def make_state(app: App, state: str) -> str:
    """A check that is in this state once half an hour is over: its badge's path without the ending."""
    timeout = {"grace": 1500, "down": 60}.get(state, 86400)
    check = create(app, timeout=timeout, grace=600 if state in ("grace", "hung") else 3600 if state != "down" else 60, tags="t", name=state)
    if state not in ("new", "paused"):
        ping(app, check["uuid"] + {"failed": "/fail", "hung": "/start", "started": "/start"}.get(state, ""))
    if state == "paused":
        hc(app, "POST", f"checks/{check['uuid']}/pause", raw=b"")
    return check["badge_url"].removeprefix("http://alert.test/b/2").removesuffix(".svg")


@pytest.mark.parametrize(("states", "two", "three", "grace", "down"), STATES, ids=["+".join(row[0]) or "nothing" for row in STATES])
def test_a_badge_shows_the_worst_state(app: App, states: tuple, two: str, three: str, grace: int, down: int) -> None:
    paths = [make_state(app, state) for state in states]
    app.clock.advance(1800)
    everything = {"*": badges(app)["*"], **({"t": badges(app)["t"]} if states else {})}
    if len(states) == 1:
        everything[states[0]] = {form: f"/b/{3 if form.endswith('3') else 2}{paths[0]}.{form.rstrip('3')}" for form in FORMS}
    for name, forms in everything.items():
        label = "alertlite" if name == "*" else name
        for suffix, status in (("", two), ("3", three)):
            color = {"up": ("#4c1", "success"), "late": ("#fe7d37", "important"), "down": ("#e05d44", "critical")}[status]
            assert svg_of(fetch(app, forms[f"svg{suffix}"])) == (label, status, color[0])
            assert fetch(app, forms[f"json{suffix}"]).json == {"status": status, "total": len(states), "grace": grace, "down": down}
            assert fetch(app, forms[f"shields{suffix}"]).json == {"schemaVersion": 1, "label": label, "message": status, "color": color[1]}


def test_the_badge_of_a_check_is_called_like_it_and_never_by_its_code(app: App) -> None:
    for fields, label in (({"name": "<Nightly> & co", "slug": "s"}, "<Nightly> & co"), ({"slug": "the-slug"}, "the-slug"), ({}, None)):
        check = create(app, **fields)
        answer = fetch(app, check["badge_url"].removeprefix("http://alert.test"))
        assert check["uuid"].encode() not in answer.body
        assert svg_of(answer)[0] == (label or f"check {hashlib.sha1(check['uuid'].replace('-', '')[:16].encode()).hexdigest()[:8]}")


def test_the_badge_of_all_is_called_as_it_is_set(make_app: Any) -> None:
    app = make_app(badge_label="<Home> & \"garden\"")
    assert svg_of(fetch(app, badges(app)["*"]["svg"]))[0] == "<Home> & \"garden\""


def test_a_badge_whose_address_was_not_made_here_is_not_found(app: App) -> None:
    check = create(app, name="a", tags="one two")
    found, other = badges(app), badges(app, headers={"X-Scope-OrgID": "acme"})
    one, all_of = found["one"]["json3"], found["*"]["json3"]
    _, _, key, signature, _ = one.split("/")
    all_signature = all_of.rpartition("/")[2].removesuffix(".json")
    paths = [one.replace("/one.", "/two."), one.replace(signature, "x" * 8), one.replace(signature, found["two"]["json3"].split("/")[3]),
             one.replace(signature, all_signature), all_of.replace(all_signature, signature), f"/badge/{key}/{all_signature}/*.json",
             one.replace(signature, f"{signature}-3"), one.replace(signature, signature[:7]), one.replace(signature, f"{signature}x"),
             one.replace(key, NOBODY), one.replace(key, other["*"]["json"].split("/")[2]), one.replace(".json", ".png"), one.replace(".json", ""),
             one.replace(".json", ".JSON"), f"{one}/", f"/b/2/{NOBODY}.svg", f"/b/2/{check['uuid']}.svg",
             check["badge_url"][17:].replace(".svg", ".png"),
             check["badge_url"][17:].replace("/b/2/", "/b/x/"), check["badge_url"][17:].upper(), f"/badge/{key}/", "/badge/", "/b/", "/b/2/x.svg",
             one.replace("/one.", "/%25FF."), one.replace("/one.", "/o%256Ee%00.")]
    assert fetch(app, one).status == fetch(app, all_of).status == 200
    before = app.stored()
    for path in paths:
        answer = app.call("GET", path, key=None)
        assert answer.status in (404, 400) and (answer.status == 404 or "%00" in path), (path, answer)
        assert answer.body != b"" and check["uuid"].encode() not in answer.body
    assert app.stored() == before


def test_badges_are_only_read(app: App) -> None:
    check = create(app, tags="one")
    for path in (badges(app)["one"]["svg"], badges(app)["*"]["json3"], check["badge_url"].removeprefix("http://alert.test")):
        assert fetch(app, path, "OPTIONS").status == 204
        assert (fetch(app, path, "HEAD").status, fetch(app, path, "HEAD").body) == (200, b"")
        for method in ("POST", "PUT", "DELETE", "BREW"):
            assert fetch(app, path, method).status == 405, method


# --------------------------------------------------------------------------------------------------------- bad input

# What no field takes, as it would stand in a body; and what a text, too, must not be.
NEVER = ["null", "[]", "{}", "NaN", "Infinity", "-Infinity", "1e400", "1.5", "9" * 5000, "-" + "9" * 5000, "[" * 20 + "]" * 20, '["a", 5]',
         '{"a": 1}', '"\\ud800"', '"\\udfff\\ud800"', '"a\\u0000b"']
# Of these, what a field does take: an array may be empty, and what counts as a number for seconds is in the table of errors.
TAKEN = {"unique": {"[]"}}


@pytest.mark.parametrize("field", ORDER)
def test_no_field_takes_what_it_cannot_hold(app: App, capsys: Any, field: str) -> None:
    code = create(app, name="before")["uuid"]
    before = app.stored()
    for raw in NEVER:
        if raw in TAKEN.get(field, ()):
            continue
        for version in VERSIONS:
            for path in ("checks/", f"checks/{code}"):
                answer = hc(app, "POST", path, raw=f'{{"desc": "changed", "{field}": {raw}}}'.encode() if field != "desc" else
                            f'{{"tags": "changed", "desc": {raw}}}'.encode(), version=version)
                assert answer.status == 400 and answer.json["error"].startswith("json validation error: "), (raw[:40], answer)
                assert field in answer.json["error"]
    assert app.stored() == before
    assert "defect" not in capsys.readouterr().err


@pytest.mark.parametrize(("raw", "text"), [
    (b"junk", None), (b"{", None), (b'{"name": "a"', None), (b"\xff", None), (b'{"name": "\xff"}', None), (b'\xef\xbb\xbf{"name": "a"}', None),
    (b'{"name": "a"}x', None), (b"name=a", None), (b" ", None), (b"{'name': 'a'}", None), (b'{"name": "a\nb"}', None), (b'{"name": "a",}', None),
    (b'{"name": "a", "name": "b"}', None), (b'{"x": {"y": 1, "y": 2}}', None), (b"[" * 100_000, None),
    (b'{"x": ' + b"[" * 40 + b"]" * 40 + b"}", None),
    (b'{"a":' * 5000 + b"1" + b"}" * 5000, None), (b"{}\0", None), (b'"\\ud8', None), (b"nul", None), ('{"name": "a"}'.encode("utf-16"), None),
    (b"[]", "value is not an object"), (b'"a"', "value is not an object"), (b"5", "value is not an object"), (b"null", "value is not an object"),
    (b"true", "value is not an object"), (b"NaN", "value is not an object"), (b'[{"name": "a"}]', "value is not an object"),
    (b"9" * 5000, "value is not an object"),
])
def test_what_is_no_json_object_is_refused_before_the_key_is_looked_at(app: App, capsys: Any, raw: bytes, text: str | None) -> None:
    code = create(app)["uuid"]
    before = app.stored()
    expected = f"json validation error: {text}" if text else "could not parse request body"
    for key in (ADMIN_KEY, None):
        for path in ("checks/", f"checks/{code}"):
            answer = hc(app, "POST", path, raw=raw, key=key)
            assert is_error(answer, 400, expected), (raw[:40], answer)
            assert_cors(answer, *METHODS["checks/" if path == "checks/" else "checks/<code>"])
    assert app.stored() == before
    assert "defect" not in capsys.readouterr().err


def test_a_body_beyond_the_limit_is_refused(make_app: Any) -> None:
    app = make_app(body_limit="100")
    before = app.stored()
    assert hc(app, "POST", "checks/", {"name": "a", "x": "x" * 100}).status == 413
    assert app.stored() == before
    assert hc(app, "POST", "checks/", raw=b'{"name": "a"}'.ljust(100)).status == 201


@pytest.mark.parametrize("origin", ["https://evil.example", "http://evil.example", "null", "http://alert.test.evil.example", "http://alert.test:81",
                                    "file://", "http://localhost"])
def test_a_page_of_another_site_may_do_nothing_while_authentication_is_off(make_app: Any, origin: str) -> None:
    app = make_app(auth="off")
    code = hc(app, "POST", "checks/", {"name": "a"}, key=None).json["uuid"]
    ping(app, code, "POST", raw=b"x")
    before = app.stored()
    for path, methods in METHODS.items():
        for method in methods:
            address = path.replace("<code>", code).replace("<key>", alertlite.unique_key_of(code))
            answer = hc(app, method, address, key=None, headers={"Origin": origin, "Content-Type": "text/plain"})
            assert is_empty(answer, 403), (method, path, answer)
    assert app.stored() == before


def test_everybody_else_may_do_everything_while_authentication_is_off(make_app: Any) -> None:
    app = make_app(auth="off")
    for headers in ({}, {"Origin": "http://alert.test"}, {"X-Api-Key": ADMIN_KEY, "Origin": "https://page.example"}):
        assert hc(app, "POST", "checks/", {}, key=None, headers=headers).status == 201, headers
    assert is_error(hc(app, "POST", "checks/", {}, key="x" * 32), 401, "wrong api key"), "a key that is sent is looked at"
    listed = make_app(auth="off", cors_origins="https://page.example")
    assert hc(listed, "POST", "checks/", {}, key=None, headers={"Origin": "https://page.example"}).status == 201
    assert hc(listed, "POST", "checks/", {}, key=None, headers={"Origin": "https://other.example"}).status == 403
