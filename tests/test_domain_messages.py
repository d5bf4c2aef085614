"""What people are told: how what waits becomes messages, their words, when to try again, and where they may be sent."""
from __future__ import annotations

import json
import urllib.parse
from typing import Any

import pytest

import alertlite

BASE = "https://alert.example.com"
T0 = alertlite.ms_from_text("2030-01-01T00:00:00.000Z")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
ALERT = {"resource": "web01", "event": "HttpError", "environment": "Production", "service": ["Web", "Shop"], "severity": "major",
         "status": "open", "value": "503", "text": "site is down", "was": None, "since": T0}
OPEN = {"severity": "major", "status": "open"}


def make_event(type_: str = "alert_opened", at: int = T0, ident: str = "e1", alert: str | None = None, **details: Any) -> alertlite.Event:
    return alertlite.Event(1, ident, type_, "", at, alert, alertlite.pack_object(details), None)


def make_notice(event: alertlite.Event, seq: int = 1) -> alertlite.Notice:
    return alertlite.Notice(seq, 1, "waiting", 0, 0, None, None, event)


def about_alert(type_: str, at: int, ident: str, alert: str = "a1", **more: Any) -> alertlite.Event:
    """An event about an alert, web01 unless it is said otherwise."""
    return make_event(type_, at, ident, alert, **{**ALERT, **more})


def plan(*events: alertlite.Event) -> list[alertlite.Message]:
    return alertlite.plan_messages([make_notice(event, number) for number, event in enumerate(events, 1)], BASE)


def told(message: alertlite.Message) -> list[str]:
    """The ids of the events in a message, in order."""
    return [notice.event.id for notice in message.notices]


# --- how what waits becomes messages

def test_one_event_becomes_one_message_with_its_id_as_key():
    message, = plan(about_alert("alert_opened", T0, "e1"))
    assert (message.key, message.state, message.severity, message.happened_at) == ("e1", "down", "major", T0)
    assert message.link == f"{BASE}/alert/a1" and told(message) == ["e1"]


def test_nothing_that_waits_becomes_no_message():
    assert plan() == []


@pytest.mark.parametrize(("first", "second", "together"), [
    pytest.param(about_alert("alert_opened", T0, "e1"), about_alert("alert_closed", T0 + 1, "e2"), True, id="two of one alert"),
    pytest.param(about_alert("alert_opened", T0, "e1"), about_alert("alert_opened", T0 + 1, "e2", "a2"), False, id="two alerts"),
    pytest.param(make_event("check_down", T0, "e1", "a1", check="c1", resource="job"),
                 make_event("check_up", T0 + 1, "e2", None, check="c1", resource="job"), True, id="one check, its alert is gone"),
    pytest.param(make_event("check_down", T0, "e1", None, check="c1", resource="job"),
                 make_event("check_down", T0 + 1, "e2", None, check="c2", resource="job"), False, id="two checks of one name"),
    pytest.param(make_event("heartbeat_expired", T0, "e1", None, resource="pi"),
                 make_event("heartbeat_ok", T0 + 1, "e2", None, resource="pi"), True, id="one heartbeat without an alert"),
    pytest.param(make_event("heartbeat_expired", T0, "e1", None, resource="pi"),
                 make_event("heartbeat_expired", T0 + 1, "e2", None, resource="nas"), False, id="two heartbeats"),
    pytest.param(make_event("user_test", T0, "e1"), make_event("user_test", T0 + 1, "e2"), False, id="two tests are two things"),
    pytest.param(make_event("monitor", T0, "e1", title="same"), make_event("monitor", T0, "e2", title="same"), False, id="posted events never merge"),
])
def test_events_of_one_thing_are_told_together(first: alertlite.Event, second: alertlite.Event, together: bool):
    assert [told(message) for message in plan(first, second)] == ([["e1", "e2"]] if together else [["e1"], ["e2"]])


def test_heartbeats_of_two_customers_are_two_things():
    mine, theirs = (make_event("heartbeat_expired", T0, name, resource="pi")._replace(customer=name) for name in ("acme", "bolt"))
    assert len(plan(mine, theirs)) == 2


def test_down_up_down_is_one_message_that_says_down_and_when_it_was_what_before():
    message, = plan(about_alert("alert_opened", T0, "e1"),
                    about_alert("alert_closed", T0 + 10 * MINUTE, "e2", severity="normal", status="closed", was=OPEN),
                    about_alert("alert_opened", T0 + 30 * MINUTE, "e3"))
    assert message.state == "down" and message.subject == "MAJOR: web01 HttpError" and message.happened_at == T0 + 30 * MINUTE
    assert told(message) == ["e1", "e2", "e3"] and message.key not in ("e1", "e2", "e3")
    lines = message.text.split("\n")
    assert "Time: 2030-01-01 00:30 UTC" in lines
    before = lines[lines.index("Before that, not told until now:") + 1:]
    assert before == ["  2030-01-01 00:00 UTC MAJOR: web01 HttpError", "  2030-01-01 00:10 UTC CLOSED: web01 HttpError"]


def test_down_then_up_is_one_message_that_says_it_is_over_and_how_long_it_was():
    message, = plan(make_event("check_down", T0, "e1", "a1", check="c1", resource="backup", text="no ping"),
                    make_event("check_up", T0 + 2 * HOUR, "e2", "a1", check="c1", resource="backup", text="up again after 2 h"))
    assert message.state == "up" and message.subject == "UP: backup (lasted 2 h)"
    assert "2030-01-01 00:00 UTC DOWN: backup" in message.text and "up again after 2 h" in message.text


def test_up_then_down_is_down_and_says_no_length():
    message, = plan(make_event("check_up", T0, "e1", check="c1", resource="backup"),
                    make_event("check_down", T0 + HOUR, "e2", check="c1", resource="backup"))
    assert (message.state, message.subject) == ("down", "DOWN: backup")


def test_what_flapped_very_often_is_told_in_bounds_with_the_latest_times():
    events = [make_event("check_up" if number % 2 else "check_down", T0 + number * MINUTE, f"e{number}", check="c1", resource="job")
              for number in range(99)]
    message, = plan(*events)
    assert message.state == "down" and len(message.notices) == 99
    assert len(message.text) < 3500 and "2030-01-01 01:37 UTC UP: job" in message.text


def test_the_order_of_messages_is_that_of_their_first_events():
    messages = plan(about_alert("alert_opened", T0, "e1", "a1"), about_alert("alert_opened", T0, "e2", "a2"),
                    about_alert("alert_closed", T0, "e3", "a1"), about_alert("alert_opened", T0, "e4", "a3"))
    assert [told(message) for message in messages] == [["e1", "e3"], ["e2"], ["e4"]]


def test_order_is_that_of_storing_and_not_of_the_time_of_day():
    messages = plan(about_alert("alert_opened", T0 + HOUR, "e1", "a1"), about_alert("alert_opened", T0, "e2", "a2"))
    assert [told(message) for message in messages] == [["e1"], ["e2"]]


def test_ten_things_are_ten_messages():
    assert len(plan(*(about_alert("alert_opened", T0, f"e{number}", f"a{number}") for number in range(10)))) == 10


def test_more_than_ten_things_are_one_list_that_names_them_all():
    message, = plan(*(about_alert("alert_opened", T0 + number * MINUTE, f"e{number}", f"a{number}", resource=f"host{number:02}")
                      for number in range(11)))
    lines = message.text.split("\n")
    assert lines == [f"2030-01-01 00:{number:02} UTC MAJOR: host{number:02} HttpError" for number in range(11)]
    assert message.subject.startswith("11 messages") and message.state == "down" and message.happened_at == T0 + 10 * MINUTE
    assert told(message) == [f"e{number}" for number in range(11)]


def test_the_list_counts_things_and_not_events():
    flapping = [about_alert("alert_opened", T0 + number, f"e{number}", f"a{number % 5}") for number in range(50)]
    assert len(plan(*flapping)) == 5


def test_a_list_of_endings_only_says_up_and_one_with_a_beginning_says_down():
    ends = [about_alert("alert_closed", T0, f"e{number}", f"a{number}", severity="normal", was=OPEN) for number in range(11)]
    assert plan(*ends)[0].state == "up"
    assert plan(about_alert("alert_opened", T0, "e99", "a99"), *ends)[0].state == "down"


def test_of_very_many_things_the_first_hundred_are_told_and_the_rest_stays_for_the_next_message():
    message, = plan(*(about_alert("alert_opened", T0, f"e{number}", f"a{number}") for number in range(250)))
    assert told(message) == [f"e{number}" for number in range(100)]


def test_the_same_things_give_the_same_key_and_other_things_another():
    events = [about_alert("alert_opened", T0, f"e{number}", f"a{number}") for number in range(12)]
    once, again, fewer = plan(*events)[0].key, plan(*events)[0].key, plan(*events[:11])[0].key
    assert once == again != fewer
    assert len({message.key for message in plan(*events[:10])}) == 10


# --- what a message says

@pytest.mark.parametrize(("type_", "details", "title"), [
    pytest.param("alert_opened", ALERT, "MAJOR: web01 HttpError", id="how bad, where, what"),
    pytest.param("alert_severity", {**ALERT, "severity": "critical", "was": OPEN}, "CRITICAL (was major): web01 HttpError", id="what it was before"),
    pytest.param("alert_closed", {**ALERT, "severity": "normal", "was": OPEN}, "CLOSED: web01 HttpError", id="a problem is over"),
    pytest.param("alert_expired", {**ALERT, "was": OPEN}, "EXPIRED: web01 HttpError", id="nobody repeated it"),
    pytest.param("heartbeat_expired", {"resource": "pi"}, "SILENT: pi", id="a host is silent"),
    pytest.param("heartbeat_ok", {"resource": "pi"}, "HEARD AGAIN: pi", id="a host is back"),
    pytest.param("check_down", {"resource": "backup", "event": "CheckDown"}, "DOWN: backup", id="a job is down"),
    pytest.param("check_up", {"resource": "backup"}, "UP: backup", id="a job is up"),
    pytest.param("user_test", {"resource": "alertlite/host"}, "TEST: a message from alertlite", id="a test says so"),
    pytest.param("reminder", {"title": "STILL OPEN: web01 HttpError"}, "STILL OPEN: web01 HttpError", id="a reminder names what is open"),
    pytest.param("monitor", {"title": "CRITICAL FIRING: disk"}, "CRITICAL FIRING: disk", id="as it was posted"),
    pytest.param("deploy_done", {"title": "deploy done"}, "deploy done", id="a type of the operator"),
    pytest.param("deploy_done", {}, "deploy_done", id="without a title, the type"),
])
def test_title_says_what_happened(type_: str, details: dict[str, Any], title: str):
    assert alertlite.event_title(make_event(type_, **details)) == title


@pytest.mark.parametrize(("type_", "state"), [
    ("alert_opened", "down"), ("alert_severity", "down"), ("heartbeat_expired", "down"), ("check_down", "down"), ("reminder", "down"),
    ("monitor", "down"), ("alert_closed", "up"), ("alert_expired", "up"), ("heartbeat_ok", "up"), ("check_up", "up"), ("user_test", "info"),
    ("config_changed", "info"), ("deploy_done", "info"),
])
def test_state_is_down_up_or_info(type_: str, state: str):
    assert alertlite.event_state(make_event(type_)) == state


ENDED = {**ALERT, "severity": "normal", "status": "closed", "was": OPEN}


@pytest.mark.parametrize(("type_", "details", "at", "line"), [
    pytest.param("alert_opened", ALERT, T0, "site is down", id="its own text"),
    pytest.param("alert_opened", ALERT, T0, "Value: 503", id="what was measured"),
    pytest.param("alert_opened", ALERT, T0, "Where: Production, Web, Shop", id="where"),
    pytest.param("alert_opened", {**ALERT, "service": []}, T0, "Where: Production", id="where, of no service"),
    pytest.param("alert_opened", ALERT, T0 + 5 * MINUTE, "Time: 2030-01-01 00:05 UTC", id="when it happened"),
    pytest.param("alert_opened", ALERT, T0, f"{BASE}/alert/a1", id="a link to it"),
    pytest.param("alert_severity", {**ALERT, "was": OPEN}, T0, "It was major and open before.", id="what it was before a change"),
    pytest.param("alert_closed", ENDED, T0 + 200 * MINUTE, "It was major and open before.", id="what it was before its end"),
    pytest.param("alert_closed", ENDED, T0 + 200 * MINUTE, "It lasted 3 h 20 min, since 2030-01-01 00:00 UTC.", id="how long it lasted"),
    pytest.param("alert_expired", ENDED, T0 + DAY, "It lasted 1 d, since 2030-01-01 00:00 UTC.", id="how long what expired lasted"),
    pytest.param("alert_closed", ENDED, T0 - HOUR, "It lasted 0 s, since 2030-01-01 00:00 UTC.", id="a clock set back gives no negative length"),
    pytest.param("check_down", {"tags": ["prod", "db"]}, T0, "Tags: prod, db", id="tags"),
    pytest.param("check_down", {"text": "no ping since it was due"}, T0, "no ping since it was due", id="why a job is down"),
])
def test_text_says_what_somebody_who_is_woken_needs(type_: str, details: dict[str, Any], at: int, line: str):
    message, = plan(make_event(type_, at, "e1", "a1", **details))
    assert line in message.text.split("\n")


@pytest.mark.parametrize(("type_", "details", "words"), [
    pytest.param("alert_opened", ALERT, "It was", id="a beginning was nothing before"),
    pytest.param("alert_opened", ALERT, "It lasted", id="a beginning has no length"),
    pytest.param("alert_opened", {**ALERT, "value": None}, "Value", id="nothing was measured"),
    pytest.param("alert_opened", {**ALERT, "text": ""}, "None", id="no text"),
    pytest.param("user_test", {"text": "This is a test."}, "Where", id="a test is nowhere"),
    pytest.param("user_test", {"text": "This is a test."}, BASE, id="a test has no page"),
])
def test_text_leaves_out_what_is_not_there(type_: str, details: dict[str, Any], words: str):
    message, = plan(make_event(type_, T0, "e1", None if type_ == "user_test" else "a1", **details))
    assert words not in message.text


def test_the_times_are_those_of_the_events_however_late_they_are_sent():
    waiting = make_notice(about_alert("alert_opened", T0, "e1"))._replace(attempts=40, waited=7200, marked_at=T0 + 2 * HOUR)
    message, = alertlite.plan_messages([waiting], BASE)
    assert "Time: 2030-01-01 00:00 UTC" in message.text and "02:00" not in message.text and message.happened_at == T0


def test_the_body_of_a_web_hook_has_one_shape():
    message, = plan(about_alert("alert_opened", T0, "e1"), about_alert("alert_closed", T0 + MINUTE, "e2", was=OPEN, severity="normal"))
    body = json.loads(json.dumps(alertlite.web_hook_body(message)))
    assert set(body) == {"key", "state", "subject", "text", "severity", "timestamp", "link", "events"}
    assert (body["state"], body["timestamp"], body["link"]) == ("up", "2030-01-01T00:01:00.000Z", f"{BASE}/alert/a1")
    first, second = body["events"]
    assert (first["id"], first["type"], first["instance_id"], first["timestamp"], first["alert"], first["state"]) == (
        "e1", "alert_opened", "default", "2030-01-01T00:00:00.000Z", "a1", "down")
    assert (second["state"], second["was"], second["service"], second["value"]) == ("up", OPEN, ["Web", "Shop"], "503")


def test_the_forms_that_a_poster_made_for_other_kinds_are_not_in_a_web_hook():
    message, = plan(make_event("monitor", T0, "e1", title="disk", text="full", messages={"slack": {"text": "secret form"}}))
    assert "secret form" not in json.dumps(alertlite.web_hook_body(message))


# --- planned silence

@pytest.mark.parametrize(("status", "type_", "was_told", "why"), [
    pytest.param("open", "alert_opened", True, None, id="a new problem is told"),
    pytest.param("shelved", "alert_opened", True, "shelved", id="what comes back shelved is not"),
    pytest.param("shelved", "alert_severity", True, "shelved", id="a change of what is shelved is not"),
    pytest.param("blackout", "alert_opened", True, "blackout", id="what is blacked out is not"),
    pytest.param("blackout", "alert_severity", True, "blackout", id="a change within a blackout is not"),
    pytest.param("ack", "alert_severity", True, None, id="a change of what is acknowledged is told"),
    pytest.param("closed", "alert_closed", True, None, id="the end of what was told is told"),
    pytest.param("closed", "alert_closed", True, None, id="the end of what was told before it was shelved is told"),
    pytest.param("closed", "alert_closed", False, "its beginning was not told", id="the end of what nobody was told of is not"),
    pytest.param("expired", "alert_expired", False, "its beginning was not told", id="nor that it expired"),
    pytest.param("closed", "heartbeat_ok", False, "its beginning was not told", id="nor that a host is back"),
    pytest.param("closed", "heartbeat_ok", True, None, id="a host that is back is told"),
])
def test_what_is_planned_to_be_silent_is_silent(status: str, type_: str, was_told: bool, why: str | None):
    assert alertlite.suppression(status, type_, was_told) == why


# --- when to try again

@pytest.mark.parametrize(("failures", "least", "most"), [(1, 1, 2), (2, 2, 4), (3, 4, 8), (5, 16, 32), (8, 128, 256), (9, 150, 300), (10, 150, 300),
                                                         (5000, 150, 300)])
def test_the_wait_doubles_from_seconds_to_five_minutes(failures: int, least: float, most: float):
    assert alertlite.retry_delay(failures, 0.0) == least
    assert alertlite.retry_delay(failures, 1.0) == most
    assert least < alertlite.retry_delay(failures, 0.5) < most


# --- the placeholders of web hooks (contract of Healthchecks, 6.3)

VALUES = {"CODE": "c0de", "STATUS": "down", "NOW": "2030-01-01T00:00:00+00:00", "NAME": "Über job", "NAME_JSON": '"Über job"', "SLUG": "job",
          "TAGS": "prod db", "TAG1": "prod", "TAG2": "db", "JSON": '{"a": 1}', "BODY": "disk $NAME", "BODY_JSON": '"disk $NAME"', "EXITSTATUS": "3"}


@pytest.mark.parametrize(("template", "filled"), [
    pytest.param("$CODE", "c0de", id="code"),
    pytest.param("$STATUS", "down", id="status"),
    pytest.param("at $NOW!", "at 2030-01-01T00:00:00+00:00!", id="time"),
    pytest.param("$NAME", "Über job", id="name"),
    pytest.param("$NAME_JSON", '"Über job"', id="name as JSON is not name with something behind it"),
    pytest.param("$NAMES", "Über jobS", id="a prefix is enough"),
    pytest.param("$NAME_JS", "Über job_JS", id="the longest that fits"),
    pytest.param("$SLUG", "job", id="slug"),
    pytest.param("$TAGS", "prod db", id="all tags, not the first and an S"),
    pytest.param("$TAG1/$TAG2", "prod/db", id="single tags"),
    pytest.param("$TAG3", "$TAG3", id="a number beyond the last tag stays"),
    pytest.param("$TAG0", "$TAG0", id="there is no tag 0"),
    pytest.param("$TAG10", "prod0", id="ten is one and a zero"),
    pytest.param("$JSON", '{"a": 1}', id="the check"),
    pytest.param("$BODY", "disk $NAME", id="what was filled in is not filled again"),
    pytest.param("$BODY_JSON", '"disk $NAME"', id="body as JSON"),
    pytest.param("$EXITSTATUS", "3", id="exit status"),
    pytest.param("$$NAME", "$Über job", id="a dollar before one"),
    pytest.param("$name $Name", "$name $Name", id="small letters are none"),
    pytest.param("$UNKNOWN $ 5$", "$UNKNOWN $ 5$", id="unknown ones stay"),
    pytest.param("\\1 \\g<0> $NAME", "\\1 \\g<0> Über job", id="backslashes mean nothing"),
    pytest.param("", "", id="nothing"),
])
def test_placeholders_are_replaced_in_one_pass(template: str, filled: str):
    assert alertlite.fill_placeholders(template, VALUES) == filled


@pytest.mark.parametrize(("template", "filled"), [
    pytest.param("/$NAME", "/%C3%9Cber%20job", id="what is filled in is quoted"),
    pytest.param("/a b?$TAGS", "/a b?prod%20db", id="what was there is not"),
    pytest.param("/$NOW", "/2030-01-01T00%3A00%3A00%2B00%3A00", id="colons and plus are quoted"),
    pytest.param("/$SLUG/$CODE", "/job/c0de", id="plain ones stay plain"),
])
def test_placeholders_in_an_address_are_quoted(template: str, filled: str):
    assert alertlite.fill_placeholders(template, VALUES, urllib.parse.quote) == filled


def test_an_address_keeps_the_slashes_of_what_is_filled_in():
    assert alertlite.fill_placeholders("/$NAME", {"NAME": "a/b&c"}, urllib.parse.quote) == "/a/b%26c"


def make_check(**changes: Any) -> alertlite.Check:
    return alertlite.new_check("", {"name": 'Backup "DB"', "slug": "backup-db", "tags": "prod db", **changes}, T0)


def message_about_check() -> alertlite.Message:
    return plan(make_event("check_down", T0 + 1500, "e1", check="c1", resource="Backup"))[0]


def test_placeholders_of_a_check_say_what_it_is():
    check = make_check()
    values = alertlite.placeholder_values(message_about_check(), check, {"name": "shown", "status": "up"}, None)
    assert values["CODE"] == check.code and values["STATUS"] == "down" and values["NOW"] == "2030-01-01T00:00:01+00:00"
    assert values["NAME"] == 'Backup "DB"' and json.loads(values["NAME_JSON"]) == 'Backup "DB"' and values["SLUG"] == "backup-db"
    assert (values["TAGS"], values["TAG1"], values["TAG2"]) == ("prod db", "prod", "db") and "TAG3" not in values
    assert json.loads(values["JSON"]) == {"name": "shown", "status": "up"}
    assert (values["BODY"], values["BODY_JSON"], values["EXITSTATUS"]) == ("", '""', "-1")


@pytest.mark.parametrize(("body", "text"), [
    pytest.param(b"disk full", "disk full", id="text"), pytest.param(b"\xff\xfe", "\ufffd\ufffd", id="bytes that are no text"),
    pytest.param("Grüße".encode(), "Grüße", id="UTF-8"), pytest.param(None, "", id="no body")])
def test_placeholders_tell_the_last_ping(body: bytes | None, text: str):
    fields = dict.fromkeys(alertlite.Ping._fields)
    ping = alertlite.Ping(**{**fields, "body": body, "exit_status": 0})
    values = alertlite.placeholder_values(message_about_check(), make_check(), {}, ping)
    assert (values["BODY"], json.loads(values["BODY_JSON"]), values["EXITSTATUS"]) == (text, text, "0")


def test_placeholders_without_a_check_say_what_comes_nearest():
    message, = plan(about_alert("alert_closed", T0, "e1", severity="normal", was=OPEN))
    values = alertlite.placeholder_values(message, None, None, None)
    assert (values["CODE"], values["STATUS"], values["NAME"], values["SLUG"], values["EXITSTATUS"]) == ("e1", "up", "web01", "", "-1")
    assert json.loads(values["JSON"])["events"][0]["type"] == "alert_closed"


def test_no_more_than_nine_tags_have_a_number():
    values = alertlite.placeholder_values(message_about_check(), make_check(tags=" ".join(f"t{number}" for number in range(1, 13))), {}, None)
    assert values["TAG9"] == "t9" and "TAG10" not in values


# --- where a message may be sent

ADDRESSES = [                                        # address, with lan, with none, why
    ("93.184.216.34", True, True, "a public address"), ("2606:2800:220:1::1", True, True, "a public IPv6 address"),
    ("127.0.0.1", False, False, "loopback"), ("127.255.255.254", False, False, "the whole loopback network"), ("::1", False, False, "IPv6 loopback"),
    ("0.0.0.0", False, False, "this host"), ("0.1.2.3", False, False, "this network"), ("::", False, False, "unspecified"),
    ("169.254.169.254", False, False, "link-local: where clouds keep secrets"), ("fe80::1", False, False, "IPv6 link-local"),
    ("fe80::1%eth0", False, False, "link-local with its interface"), ("febf::1", False, False, "the end of link-local"),
    ("10.0.0.1", True, False, "RFC 1918 10/8"), ("172.16.0.1", True, False, "RFC 1918, the first of 172.16/12"),
    ("172.31.255.255", True, False, "RFC 1918, the last of 172.16/12"), ("172.32.0.1", True, True, "just beyond 172.16/12"),
    ("192.168.178.20", True, False, "RFC 1918 192.168/16"), ("100.64.0.1", True, False, "CGNAT"),
    ("100.127.255.255", True, False, "the last of CGNAT"),
    ("100.128.0.1", True, True, "just beyond CGNAT"), ("fd12:3456::1", True, False, "ULA"), ("fc00::1", True, False, "the first ULA"),
    ("224.0.0.1", False, False, "multicast"), ("239.255.255.250", False, False, "multicast: UPnP"), ("255.255.255.255", False, False, "broadcast"),
    ("240.0.0.1", False, False, "reserved"), ("ff02::1", False, False, "IPv6 multicast"),
    ("::ffff:127.0.0.1", False, False, "mapped loopback"), ("::ffff:169.254.169.254", False, False, "mapped link-local"),
    ("::ffff:192.168.1.1", True, False, "mapped RFC 1918"), ("::ffff:93.184.216.34", True, True, "mapped public"),
    ("::ffff:100.64.0.1", True, False, "mapped CGNAT"),
    ("64:ff9b::127.0.0.1", False, False, "NAT64 loopback"), ("64:ff9b::a9fe:a9fe", False, False, "NAT64 link-local"),
    ("64:ff9b::10.0.0.1", True, False, "NAT64 RFC 1918"), ("64:ff9b::93.184.216.34", True, True, "NAT64 public"),
    ("2002:7f00:1::", False, False, "6to4 loopback"), ("2002:a9fe:a9fe::1", False, False, "6to4 link-local"),
    ("2002:c0a8:101::1", True, False, "6to4 RFC 1918"), ("2002:5db8:d822::1", True, True, "6to4 public"),
]


@pytest.mark.parametrize(("address", "lan", "none"), [pytest.param(*row[:3], id=f"{row[3]} {row[0]}") for row in ADDRESSES])
def test_where_messages_may_go(address: str, lan: bool, none: bool):
    allowed = {policy: alertlite.address_is_allowed(address, policy) for policy in ("lan", "none", "all")}
    assert allowed == {"lan": lan, "none": none, "all": True}


# --- what an answer means

@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_an_answer_from_200_to_299_is_arrival(status: int):
    assert alertlite.judge_status(status, None, b"") is None


@pytest.mark.parametrize(("status", "asked", "body", "wait"), [
    pytest.param(500, None, b"", 0, id="a defect over there"),
    pytest.param(502, None, b"", 0, id="a proxy without its server"),
    pytest.param(503, "120", b"", 120, id="it says when"),
    pytest.param(503, "0", b"", 0, id="it says now"),
    pytest.param(599, None, b"", 0, id="any 5xx"),
    pytest.param(408, None, b"", 0, id="we were too slow"),
    pytest.param(425, None, b"", 0, id="too early"),
    pytest.param(429, "30", b"", 30, id="too many"),
    pytest.param(429, "soon", b"", 0, id="nonsense"),
    pytest.param(429, "-5", b"", 0, id="a negative time"),
    pytest.param(429, "1" * 400, b"", 0, id="a number that is too long"),
    pytest.param(429, "999999", b"", 3600, id="no longer than an hour"),
    pytest.param(429, None, b'{"ok":false,"parameters":{"retry_after": 17}}', 17, id="telegram says it in the body"),
    pytest.param(429, "5", b'{"retry_after": 17}', 5, id="the header comes first"),
    pytest.param(429, None, b'{"retry_after": 999999}', 3600, id="no longer than an hour in the body"),
])
def test_answers_after_which_trying_again_may_help(status: int, asked: str | None, body: bytes, wait: float):
    with pytest.raises(alertlite.Failed) as caught:
        alertlite.judge_status(status, asked, body)
    assert caught.value.retry_after == wait and str(status) in str(caught.value)


@pytest.mark.parametrize(("status", "words"), [
    pytest.param(400, "400", id="bad request"), pytest.param(401, "401", id="wrong key"), pytest.param(403, "403", id="forbidden"),
    pytest.param(404, "404", id="there is no such hook"), pytest.param(410, "410", id="gone"), pytest.param(413, "413", id="too large"),
    pytest.param(422, "422", id="not understood"), pytest.param(301, "redirects are not followed", id="moved"),
    pytest.param(302, "redirects are not followed", id="found elsewhere"), pytest.param(307, "redirects are not followed", id="temporarily moved"),
    pytest.param(308, "redirects are not followed", id="moved for good"), pytest.param(304, "304", id="not modified"),
])
def test_answers_that_are_for_good(status: int, words: str):
    with pytest.raises(alertlite.Refused, match=words):
        alertlite.judge_status(status, "5", b"")


def test_what_the_target_said_is_kept_in_bounds():
    with pytest.raises(alertlite.Refused) as refused:
        alertlite.judge_status(400, None, b"chat not found \xff" + b"x" * 60_000)
    assert "chat not found" in str(refused.value) and len(str(refused.value)) < 600
    with pytest.raises(alertlite.Failed) as failed:
        alertlite.judge_status(500, None, b"y" * 60_000)
    assert len(str(failed.value)) <= 500


@pytest.mark.parametrize(("codes", "problem"), [
    pytest.param({550}, alertlite.Refused, id="no such mailbox"), pytest.param({554}, alertlite.Refused, id="taken for spam"),
    pytest.param({550, 553}, alertlite.Refused, id="all of them for good"), pytest.param({450}, alertlite.Failed, id="greylisted"),
    pytest.param({421}, alertlite.Failed, id="shutting down"), pytest.param({550, 450}, alertlite.Failed, id="one of them may work later"),
    pytest.param({535}, alertlite.Failed, id="a wrong password is mended by the operator"),
    pytest.param({530}, alertlite.Failed, id="so is a missing one"), pytest.param({552}, alertlite.Failed, id="a full system empties"),
])
def test_what_a_mail_server_answers_is_for_good_or_not(codes: set[int], problem: type[Exception]):
    with pytest.raises(problem):
        alertlite.judge_smtp(codes, "said")
