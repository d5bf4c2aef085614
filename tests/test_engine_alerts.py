"""What happens to alerts, heartbeats, users and keys over time: the whole application on a fake clock."""
from __future__ import annotations

import base64
import pathlib
import re
import urllib.parse
from typing import Any

import pytest
from conftest import restart

import alertlite

HOUR, DAY = 3600, 86400


def told(app: Any) -> list[str]:
    """The types of the events so far, but for those about our own absence."""
    return [kind for kind in app.events() if kind != "not_listening"]


def show(app: Any, ident: str) -> Any:
    return app.get(f"/alert/{ident}")["alert"]


def act(app: Any, ident: str, action: str, **fields: Any) -> str:
    """The status of an alert after an action that must succeed."""
    answer = app.call("PUT", f"/alert/{ident}/action", {"action": action, **fields})
    assert answer.status == 200, answer
    return show(app, ident)["status"]


def set_status(app: Any, ident: str, status: str, **fields: Any) -> None:
    assert app.call("PUT", f"/alert/{ident}/status", {"status": status, **fields}).status == 200


def listed(app: Any, query: str = "", **more: Any) -> list[str]:
    return [alert["id"] for alert in app.get(f"/alerts?page-size=1000{query}", **more)["alerts"]]


def exists(app: Any, ident: str) -> bool:
    status = app.call("GET", f"/alert/{ident}").status
    assert status in (200, 404)
    return status == 200


def wait(app: Any, seconds: float) -> Any:
    """Lets time pass, and the timer run; what it did."""
    app.clock.advance(seconds)
    return app.engine.expire_due()


def wait_until(app: Any, seconds: float) -> Any:
    """Runs the timer one millisecond early, when nothing may happen, and then in time; what it did then."""
    early = wait(app, seconds - 0.001)
    assert early[:5] == ([], [], [], [], []), "nothing is due before its time"
    return wait(app, 0.001)


# --- reports

def test_repeated_report_is_a_duplicate(app: Any):
    first = app.post_alert(value="1", tags=["a"])
    app.clock.advance(5)
    again = app.post_alert(value="2", tags=["b"], id="the-second-report", origin="elsewhere")
    assert again["id"] == first["id"] and again["lastReceiveId"] == "the-second-report"
    assert (again["duplicateCount"], again["repeat"], again["value"], again["tags"]) == (1, True, "2", ["a", "b"])
    assert again["receiveTime"] == first["receiveTime"] == again["updateTime"] < again["lastReceiveTime"]
    assert again["origin"] == first["origin"] and again["timeout"] == 86400
    assert [entry["type"] for entry in again["history"]] == ["new", "value"]
    assert again["history"][1]["id"] == "the-second-report"
    assert len(listed(app)) == 1 and app.events() == ["alert_opened"]


def test_answer_to_a_report_names_the_surviving_alert(app: Any):
    first = app.post_alert()
    answer = app.call("POST", "/alert", {"resource": "web01", "event": "HttpError", "severity": "major", "id": "another"})
    assert answer.status == 201 and answer.json["id"] == answer.json["alert"]["id"] == first["id"]


def test_events_of_one_problem_correlate(app: Any):
    down = app.post_alert(event="NodeDown", correlate=["NodeDown", "NodeUp"])
    app.post_alert(event="NodeDown", correlate=["NodeDown", "NodeUp"])
    app.clock.advance(5)
    up = app.post_alert(event="NodeUp", severity="ok", correlate=["Ignored"])
    assert up["id"] == down["id"] and (up["event"], up["severity"], up["status"]) == ("NodeUp", "ok", "closed")
    assert (up["previousSeverity"], up["trendIndication"], up["duplicateCount"], up["repeat"]) == ("major", "lessSevere", 0, False)
    assert up["correlate"] == ["NodeDown", "NodeUp"] and up["receiveTime"] == up["updateTime"] > down["receiveTime"]
    assert [entry["type"] for entry in up["history"]] == ["new", "severity"]
    assert [(entry["event"], entry["severity"], entry["status"]) for entry in up["history"]] == [
        ("NodeDown", "major", "open"), ("NodeUp", "ok", "closed")]
    assert app.events() == ["alert_opened", "alert_closed"]


def test_correlate_list_of_the_incoming_report_does_not_matter(app: Any):
    one = app.post_alert(event="NodeDown")
    two = app.post_alert(event="NodeUp", severity="ok", correlate=["NodeDown", "NodeUp"])
    assert one["id"] != two["id"] and show(app, one["id"])["status"] == "open"


def test_correlated_events_are_told_from_events_that_contain_them(app: Any):
    one = app.post_alert(event="x", correlate=['a"b', "Node", "c,d"])
    assert app.post_alert(event="Nod", severity="ok")["id"] != one["id"]
    assert app.post_alert(event="b", severity="ok")["id"] != one["id"]
    assert app.post_alert(event='a"b', severity="minor")["id"] == one["id"]


@pytest.mark.parametrize("field", ["resource", "event", "environment"])
def test_another_identity_is_another_alert(app: Any, field: str):
    assert app.post_alert()["id"] != app.post_alert(**{field: "another"})["id"]


def test_unknown_severity_is_refused_with_the_list(app: Any):
    answer = app.call("POST", "/alert", {"resource": "r", "event": "e", "severity": "MAJOR"})
    assert answer.status == 400
    assert answer.json["message"].startswith("Severity (MAJOR) is not one of security, critical, major, minor, warning, indeterminate, ")


def test_duplicate_reopens_a_finished_alert(app: Any):
    ident = app.post_alert(timeout=60)["id"]
    act(app, ident, "close")
    assert app.post_alert(timeout=60)["status"] == "open"
    wait(app, 60)
    assert show(app, ident)["status"] == "expired"
    again = app.post_alert()
    assert (again["id"], again["status"], again["history"][-1]["type"]) == (ident, "open", "status")
    assert app.events() == ["alert_opened", "alert_closed", "alert_opened", "alert_expired", "alert_opened"]


def test_history_keeps_the_newest_entries_up_to_its_limit(make_app: Any):
    app = make_app(history_limit="5")
    for number in range(12):
        alert = app.post_alert(value=str(number))
    assert [entry["value"] for entry in alert["history"]] == ["7", "8", "9", "10", "11"]
    act(app, alert["id"], "ack")
    assert [entry["type"] for entry in show(app, alert["id"])["history"]] == ["value"] * 4 + ["ack"]
    other = app.post_alert(event="Other")
    assert len(other["history"]) == 1, "the limit is one for each alert"


def test_history_is_ordered_as_stored_not_by_the_clock_of_the_sender(app: Any):
    app.post_alert(severity="major", createTime="2031-01-01T00:00:00.000Z")
    alert = app.post_alert(severity="minor", createTime="2001-01-01T00:00:00.000Z")
    assert [entry["severity"] for entry in alert["history"]] == ["major", "minor"]
    assert alert["history"][1]["updateTime"] == "2001-01-01T00:00:00.000Z" and alert["status"] == "open"


def test_id_of_another_alert_cannot_be_used_again(app: Any):
    app.post_alert(id="chosen-id-1")
    assert app.call("POST", "/alert", {"resource": "r2", "event": "e2", "severity": "major", "id": "chosen-id-1"}).status == 409
    assert app.post_alert(id="chosen-id-1")["duplicateCount"] == 1, "the same report once more is a duplicate"
    assert len(listed(app)) == 1
    beat = {"origin": "one", "id": "chosen-beat-1"}
    assert app.call("POST", "/heartbeat", beat).status == app.call("POST", "/heartbeat", beat).status == 201
    assert app.call("POST", "/heartbeat", {**beat, "origin": "two"}).status == 409


@pytest.mark.parametrize(("ident", "status"), [
    pytest.param("abcdef01-1111", 200, id="its id"), pytest.param("abcdef01-1", 200, id="how its id begins"),
    pytest.param("feedbeef-3333", 200, id="the id of its last report"), pytest.param("feedbeef", 200, id="how that begins"),
    pytest.param("abcdef01", 409, id="two begin so"), pytest.param("abcdef0", 404, id="fewer than eight characters"),
    pytest.param("feedbee", 404, id="fewer than eight characters of its last report"), pytest.param("abcdef01-3", 404, id="nothing"),
    pytest.param("abcdef01.1", 404, id="not a pattern"), pytest.param("ABCDEF01-1", 404, id="not in capitals"),
])
def test_alert_is_found_by_the_beginning_of_its_ids(app: Any, ident: str, status: int):
    app.post_alert(event="one", id="abcdef01-1111")
    app.post_alert(event="two", id="abcdef01-2222")
    app.post_alert(event="one", id="feedbeef-3333")
    answer = app.call("GET", f"/alert/{ident}")
    assert answer.status == status
    assert status != 200 or answer.json["alert"]["id"] == "abcdef01-1111"


@pytest.mark.parametrize("pattern", ["^web", "^web$", "b", "web|db", "^[^w]", "^[!]$", "^[!a]$", "a.b", r"a\.b", "[a-c]x", r"\d$", r"\["])
def test_pattern_finds_every_tag_that_re_finds(app: Any, pattern: str):
    tags = ["web", "web01", "my-web", "db_2", "!", "a", "a.b", "AXB", "cx", "[x]", 'say "web"', "a^b"]
    for tag in tags:
        app.post_alert(tag, tags=[tag, "other"])
    found = [alert["resource"] for alert in app.get(f"/alerts?page-size=100&tag=~{urllib.parse.quote(pattern)}")["alerts"]]
    assert sorted(found) == sorted(tag for tag in tags if any(re.search(pattern, text, re.I) for text in (tag, "other")))


# --- customers

def test_customers_see_and_change_only_what_is_theirs(app: Any):
    acme, other = (app.make_key("read", "write", customer=name) for name in ("acme", "other"))
    common = app.post_alert(service=["Web"])["id"]
    body = {"resource": "web01", "event": "HttpError", "severity": "major", "service": ["Web"]}
    mine = app.call("POST", "/alert", body, key=acme).json["alert"]
    theirs = app.call("POST", "/alert", {**body, "customer": "other"}, key=other).json["alert"]
    assert (mine["customer"], theirs["customer"]) == ("acme", "other") and len({common, mine["id"], theirs["id"]}) == 3
    assert app.call("POST", "/alert", {**body, "customer": "other"}, key=acme).status == 400
    assert listed(app, key=acme) == listed(app, "&customer=acme") == [mine["id"]] and listed(app, "&customer=other", key=acme) == []
    assert listed(app, "&q=HttpError&q.df=event", key=acme) == [mine["id"]]
    for path, part in (("/alerts/count", None), ("/environments", "environments"), ("/services", "services")):
        seen = [app.get(path, key=key) for key in (acme, other)] + [app.get(path)]
        counts = [body["total"] if part is None else sum(row["count"] for row in body[part]) for body in seen]
        assert counts == [1, 1, 3], path
    for ident in (common, theirs["id"]):
        assert app.call("GET", f"/alert/{ident}", key=acme).status == 404
        assert app.call("PUT", f"/alert/{ident}/action", {"action": "ack"}, key=acme).status == 404
        assert app.call("PUT", f"/alert/{ident}/status", {"status": "closed"}, key=acme).status == 404
        assert app.call("PUT", f"/alert/{ident}/tag", {"tags": ["x"]}, key=acme).status == 404
        assert app.call("DELETE", f"/alert/{ident}", key=acme).status == 404
        assert show(app, ident)["status"] == "open" and show(app, ident)["tags"] == []
    assert app.call("PUT", f"/alert/{mine['id']}/action", {"action": "ack"}, key=acme).status == 200
    assert {row["customer"] for row in app.get("/alerts/history", key=acme)["history"]} == {"acme"}


def test_heartbeats_of_two_customers_are_two(app: Any):
    acme = app.make_key("read", "write", customer="acme")
    app.call("POST", "/heartbeat", {"origin": "probe"})
    assert app.call("POST", "/heartbeat", {"origin": "probe"}, key=acme).json["heartbeat"]["customer"] == "acme"
    assert (len(app.get("/heartbeats", key=acme)["heartbeats"]), len(app.get("/heartbeats")["heartbeats"])) == (1, 2)
    beats = {beat["customer"]: beat["id"] for beat in app.get("/heartbeats")["heartbeats"]}
    assert app.call("DELETE", f"/heartbeat/{beats[None]}", key=acme).status == 404


# --- actions

def test_verified_chain_of_actions_is_stored_with_its_history(app: Any):
    ident = app.post_alert()["id"]
    chain = ["ack", "shelve", "unshelve", "unack", "close", "open"]
    assert [act(app, ident, action, text=f"because {action}") for action in chain] == ["ack", "shelved", "ack", "open", "closed", "open"]
    alert = show(app, ident)
    assert (alert["severity"], alert["previousSeverity"]) == ("major", "normal")
    assert [(entry["type"], entry["status"], entry["severity"]) for entry in alert["history"]] == [
        ("new", "open", "major"), ("ack", "ack", "major"), ("shelve", "shelved", "major"), ("unshelve", "ack", "major"),
        ("unack", "open", "major"), ("close", "closed", "normal"), ("open", "open", "major")]
    assert [entry["text"] for entry in alert["history"][1:]] == [f"because {action}" for action in chain]
    assert {entry["user"] for entry in alert["history"]} == {"admin"}
    assert [(entry["type"], entry["timeout"]) for entry in alert["history"] if not entry["type"].startswith("un")] == [
        ("new", 86400), ("ack", 0), ("shelve", 7200), ("close", 86400), ("open", 86400)]
    assert app.events() == ["alert_opened", "alert_closed", "alert_opened"]


def test_refused_action_changes_nothing(app: Any):
    before = app.post_alert()
    for action in ("open", "unack", "unshelve"):
        assert app.call("PUT", f"/alert/{before['id']}/action", {"action": action}).status == 409
    assert show(app, before["id"]) == before


def test_custom_action_leaves_an_entry_of_its_own_type(app: Any):
    ident = app.post_alert()["id"]
    app.clock.advance(1)
    assert act(app, ident, "createTicket", timeout=7) == "open"
    entry = show(app, ident)["history"][-1]
    assert (entry["type"], entry["text"], entry["timeout"]) == ("action", "createTicket operator action", 7)
    assert show(app, ident)["updateTime"] == entry["updateTime"] == "2030-01-01T00:00:01.000Z"


def test_acknowledgement_ends_in_time(app: Any):
    ident = app.post_alert(timeout=0)["id"]
    act(app, ident, "ack", timeout=120)
    assert wait_until(app, 120).unacked == [ident]
    alert = show(app, ident)
    assert (alert["status"], alert["timeout"], alert["history"][-1]["type"], alert["history"][-1]["user"]) == ("open", 0, "timeout", None)
    assert wait(app, DAY).unacked == []


def test_acknowledgement_without_a_timeout_stays(app: Any):
    ident = app.post_alert(timeout=0)["id"]
    act(app, ident, "ack")
    wait(app, 400 * DAY)
    assert show(app, ident)["status"] == "ack"


def test_shelving_ends_in_time_by_request_and_by_setting(make_app: Any):
    app = make_app(shelve_timeout="7200")
    asked, default = (app.post_alert(event=name, timeout=0)["id"] for name in ("asked", "default"))
    act(app, asked, "shelve", timeout=60)
    act(app, default, "shelve")
    assert wait_until(app, 60).unshelved == [asked]
    assert wait_until(app, 7200 - 60).unshelved == [default]
    assert show(app, asked)["status"] == show(app, default)["status"] == "open"


def test_shelved_acknowledgement_comes_back_as_one_and_keeps_its_own_end(app: Any):
    ident = app.post_alert(timeout=0)["id"]
    act(app, ident, "ack", timeout=500)
    act(app, ident, "shelve", timeout=100)
    assert wait_until(app, 100).unshelved == [ident]
    assert show(app, ident)["status"] == "ack"
    assert wait_until(app, 400).unacked == [ident]
    assert show(app, ident)["status"] == "open"


def test_hold_that_was_ended_by_hand_ends_nothing_later(app: Any):
    ident = app.post_alert(timeout=0)["id"]
    act(app, ident, "ack", timeout=100)
    act(app, ident, "unack")
    assert wait(app, 1000)[:3] == ([], [], [])
    act(app, ident, "ack")
    assert wait(app, 1000).unacked == [] and show(app, ident)["status"] == "ack"


def test_worse_report_ends_an_acknowledgement(app: Any):
    ident = app.post_alert(severity="minor", timeout=0)["id"]
    act(app, ident, "ack", timeout=100)
    assert app.post_alert(severity="warning", timeout=0)["status"] == "ack"
    assert app.post_alert(severity="critical", timeout=0)["status"] == "open"
    assert wait(app, 1000).unacked == []


def test_alert_shelved_closed_and_back_again_unshelves_to_what_it_was(app: Any):
    ident = app.post_alert()["id"]
    for action in ("ack", "shelve", "close"):
        act(app, ident, action)
    assert app.post_alert()["status"] == "shelved"
    assert act(app, ident, "unshelve") == "ack"
    assert act(app, ident, "unack") == "open"


def test_entry_of_an_undoing_shows_the_timeout_from_before(app: Any):
    ident = app.post_alert(timeout=600)["id"]
    act(app, ident, "ack", timeout=120)
    act(app, ident, "shelve", timeout=60)
    act(app, ident, "unshelve")
    act(app, ident, "unack")
    assert [(entry["type"], entry["timeout"]) for entry in show(app, ident)["history"]] == [
        ("new", 600), ("ack", 120), ("shelve", 60), ("unshelve", 120), ("unack", 600)]


def test_status_set_by_an_operator_is_not_asked_for_sense(app: Any):
    ident = app.post_alert(timeout=600)["id"]
    app.clock.advance(1)
    for status in ("closed", "shelved", "unknown", "assign", "open"):
        set_status(app, ident, status, text=f"now {status}")
        alert = show(app, ident)
        assert (alert["status"], alert["severity"], alert["timeout"]) == (status, "major", 600)
        entry = alert["history"][-1]
        assert (entry["type"], entry["text"], entry["id"]) == ("status", f"now {status}", ident)
    set_status(app, ident, "ack", timeout=20)
    assert (show(app, ident)["timeout"], show(app, ident)["history"][-1]["timeout"]) == (20, 20)
    assert app.call("PUT", f"/alert/{ident}/status", {"status": "fine"}).status == 400


def test_status_shelved_set_by_an_operator_ends_like_a_shelving(app: Any):
    ident = app.post_alert(timeout=0)["id"]
    set_status(app, ident, "shelved")
    wait(app, 7199)
    assert show(app, ident)["status"] == "shelved"
    wait(app, 1)
    assert show(app, ident)["status"] == "open", "what is put on a shelf for ever is forgotten"


def test_tags_and_attributes_leave_status_and_history_alone(app: Any):
    before = app.post_alert(tags=["a", "b"], attributes={"x": 1})
    app.clock.advance(1)
    assert app.call("PUT", f"/alert/{before['id']}/tag", {"tags": ["b", "c"]}).status == 200
    assert app.call("PUT", f"/alert/{before['id']}/untag", {"tags": ["a", "never"]}).status == 200
    assert app.call("PUT", f"/alert/{before['id']}/attributes", {"attributes": {"x": None, "y": 2}}).status == 200
    after = show(app, before["id"])
    assert sorted(after.pop("tags")) == ["b", "c"] and after.pop("attributes") == {"ip": "192.0.2.7", "y": 2}
    assert after == {name: value for name, value in before.items() if name not in ("tags", "attributes")}


# --- silence and retention

def test_alert_expires_on_time_not_before(app: Any):
    ident = app.post_alert(timeout=60)["id"]
    assert wait_until(app, 60).expired == [ident]
    alert = show(app, ident)
    assert (alert["status"], alert["severity"], alert["updateTime"]) == ("expired", "major", "2030-01-01T00:01:00.000Z")
    assert (alert["history"][-1]["type"], alert["history"][-1]["status"]) == ("expired", "expired")
    assert app.events() == ["alert_opened", "alert_expired"]
    assert wait(app, 1).expired == [], "it expires once"


def test_repeated_alert_expires_after_its_last_report(app: Any):
    ident = app.post_alert(timeout=60)["id"]
    for _ in range(5):
        assert wait(app, 59).expired == []
        app.post_alert(timeout=60)
    assert wait_until(app, 60).expired == [ident]


def test_shorter_timeout_of_a_later_report_counts_at_once(app: Any):
    ident = app.post_alert(timeout=600)["id"]
    app.post_alert(timeout=10)
    assert app.engine.next_due() == app.clock.now() + 10_000
    assert wait_until(app, 10).expired == [ident]


def test_longer_timeout_of_a_later_report_counts_too(app: Any):
    ident = app.post_alert(timeout=10)["id"]
    app.post_alert(timeout=600)
    assert wait_until(app, 600).expired == [ident]


@pytest.mark.parametrize("hold", ["ack", "shelve"])
def test_held_alert_expires_too(app: Any, hold: str):
    ident = app.post_alert(timeout=60)["id"]
    act(app, ident, hold)
    assert wait_until(app, 60).expired == [ident]


def test_alert_with_timeout_zero_never_expires(app: Any):
    ident = app.post_alert(timeout=0)["id"]
    assert wait(app, 1000 * DAY)[:4] == ([], [], [], [])
    assert show(app, ident)["status"] == "open" and app.engine.next_due() is None


def test_alert_without_a_timeout_gets_the_one_of_the_setting(make_app: Any):
    app = make_app(alert_timeout="30")
    ident = app.post_alert()["id"]
    assert wait_until(app, 30).expired == [ident]


def test_expired_alert_can_be_seen_for_its_retention(app: Any):
    ident = app.post_alert()["id"]
    assert wait_until(app, DAY).expired == [ident]
    assert listed(app, "&status=expired") == [ident]
    assert wait_until(app, 7200).deleted == [ident]
    assert not exists(app, ident) and app.get("/alerts/count")["total"] == 0
    assert app.events() == ["alert_opened", "alert_expired"], "to be deleted is no event"


def test_closed_alert_is_deleted_when_its_retention_ends(app: Any):
    ident = app.post_alert()["id"]
    app.clock.advance(100)
    act(app, ident, "close")
    assert wait_until(app, 7200).deleted == [ident]
    again = app.post_alert()
    assert again["id"] != ident and [entry["type"] for entry in again["history"]] == ["new"]


def test_closed_alert_that_opens_again_is_kept(app: Any):
    ident = app.post_alert()["id"]
    act(app, ident, "close")
    wait(app, 7000)
    assert act(app, ident, "open") == "open"
    wait(app, 7000)
    assert exists(app, ident)


def test_informational_alert_is_deleted_whatever_its_status(app: Any):
    ident, held = (app.post_alert(event=name, severity="informational", timeout=0)["id"] for name in ("one", "two"))
    act(app, held, "ack")
    assert sorted(wait_until(app, 43200).deleted) == sorted([ident, held])


def test_repeated_informational_alert_is_kept(app: Any):
    ident = app.post_alert(severity="informational", timeout=0)["id"]
    wait(app, 43199)
    app.post_alert(severity="informational", timeout=0)
    assert wait_until(app, 43200).deleted == [ident]


def test_retention_zero_keeps_for_ever(make_app: Any):
    app = make_app(delete_expired_after="0", delete_info_after="0")
    closed, info = app.post_alert(severity="ok", timeout=0)["id"], app.post_alert(event="i", severity="informational", timeout=0)["id"]
    wait(app, 1000 * DAY)
    assert sorted(listed(app)) == sorted([closed, info])


def test_deleted_alert_takes_history_and_notes_along(app: Any):
    ident = app.post_alert(severity="ok", service=["Web"])["id"]
    assert app.call("PUT", f"/alert/{ident}/note", {"text": "hello"}).status == 201
    wait(app, 7200)
    with app.store.read() as tables:
        left = [tables.row(f"SELECT count(*) FROM {table}")[0] for table in ("alerts", "alert_history", "notes", "alert_services",
                                                                             "alert_counts")]
    assert left == [0, 0, 0, 0, 0]


@pytest.mark.parametrize(("setting", "severity", "long", "short"), [
    ("delete_expired_after", "ok", 7200, 600), ("delete_info_after", "informational", 43200, 600)])
def test_changed_retention_holds_for_what_is_stored_after_a_restart(app: Any, setting: str, severity: str, long: int, short: int):
    old = app.post_alert(severity=severity, timeout=0)["id"]
    restart(app, 300, **{setting: str(short)})
    app.engine.expire_due()
    assert exists(app, old)
    assert wait_until(app, short - 300).deleted == [old]
    kept = app.post_alert(severity=severity, timeout=0)["id"]
    restart(app, 60, **{setting: str(long)})
    assert wait(app, long - 61).deleted == [] and exists(app, kept)
    assert wait(app, 1).deleted == [kept]


def test_restart_expires_what_was_due_meanwhile(app: Any):
    ident, later = app.post_alert(timeout=60)["id"], app.post_alert(event="later", timeout=7200)["id"]
    restart(app, HOUR)
    assert app.engine.expire_due().expired == [], "whoever repeats it could not be heard"
    assert wait(app, 60).expired == [ident]
    assert show(app, later)["status"] == "open"
    assert listed(app, "&status=expired") == [ident], "it can be seen for its retention from now"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_housekeeping_does_what_is_due_and_says_so(app: Any, method: str):
    expired, acked, shelved = (app.post_alert(event=name, timeout=timeout)["id"]
                               for name, timeout in (("expired", 60), ("acked", 0), ("shelved", 0)))
    app.post_alert(event="quiet", timeout=0)
    act(app, acked, "ack", timeout=60)
    act(app, shelved, "shelve", timeout=60)
    app.clock.advance(60)
    answer = app.call(method, "/management/housekeeping")
    assert answer.status == 200
    assert answer.json == {"status": "ok", "expired": [expired], "unshelve": [shelved], "unack": [acked], "count": 3}
    assert app.call(method, "/management/housekeeping").json["count"] == 0
    assert app.call(method, "/management/housekeeping", key=app.make_key("read", "write")).status == 403


def test_housekeeping_deletes_older_alerts_on_request(make_app: Any):
    app = make_app(delete_expired_after="0", delete_info_after="0")
    closed, info = app.post_alert(severity="ok", timeout=0)["id"], app.post_alert(event="i", severity="informational", timeout=0)["id"]
    app.clock.advance(2 * HOUR + 1)
    app.call("POST", "/management/housekeeping?expired=3&info=3")
    assert exists(app, closed) and exists(app, info)
    assert app.call("POST", "/management/housekeeping?expired=2").json["count"] == 0, "deletions are not reported"
    assert not exists(app, closed) and exists(app, info)
    app.call("POST", "/management/housekeeping?info=2")
    assert not exists(app, info)
    assert app.call("POST", "/management/housekeeping?info=x").status == 400


@pytest.mark.parametrize("rows", [2000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_timer_touches_only_what_is_due(app: Any, rows: int):
    report = alertlite.AlertReport("", "", "down", "Production", "major", "open", [], ["Web"], "Misc", None, "", [], {}, "o", "t",
                                   None, 0, None, "")
    now = app.clock.now()

    def insert(start: int) -> None:
        def work(tables: alertlite.Tables) -> None:
            for number in range(start, min(start + 5000, rows)):
                timeout = 60 if number in due else DAY + number
                alert = alertlite.new_alert(report._replace(id=f"id-{number}", resource=f"r{number}", timeout=timeout), now)
                tables.insert_alert(alert._replace(due_at=alertlite.alert_deadline(alert, app.settings)))
        app.store.write(work)

    due = {7, rows // 2, rows - 1}
    for start in range(0, rows, 5000):
        insert(start)
    done = wait_until(app, 60)
    assert (set(done.expired), done.reviewed) == ({f"id-{number}" for number in due}, len(due))
    with app.store.read() as tables:
        assert tables.row("SELECT count(*) FROM alerts WHERE status = 'open' AND due_at = received_at + timeout * 1000")[0] == rows - 3
        assert tables.row("SELECT count(*) FROM alert_history")[0] == 3
    assert app.engine.expire_due().reviewed == 0


def test_more_than_one_batch_is_handled_in_one_pass(app: Any):
    count = 2 * alertlite.EXPIRE_BATCH + 1
    for number in range(count):
        app.post_alert(f"r{number}", timeout=60)
        beat(app, f"probe{number}", timeout=60)
    done = wait_until(app, 60)
    assert (len(set(done.expired)), len(set(done.silent))) == (count, count)
    assert app.get("/alerts/count")["statusCounts"] == {"expired": count, "open": count}


# --- heartbeats

def beat(app: Any, origin: str = "probe", **fields: Any) -> Any:
    answer = app.call("POST", "/heartbeat", {"origin": origin, **fields})
    assert answer.status == 201, answer
    return answer.json["heartbeat"]


def alert_of(app: Any, origin: str = "probe") -> Any:
    ids = listed(app, f"&resource={origin}")
    assert len(ids) == 1
    return show(app, ids[0])


def test_a_row_that_cannot_be_dealt_with_holds_up_no_other(app: Any, capsys: Any):
    for number in range(3):
        beat(app, f"probe{number}", timeout=60)
        app.post_alert(f"r{number}", timeout=60)
    app.store.write(lambda tables: tables.db.execute("UPDATE heartbeats SET tags = '[broken' WHERE origin = 'probe1'"))
    done = wait_until(app, 60)
    assert (sorted(done.silent), len(done.expired)) == (["probe0", "probe2"], 3)
    said = capsys.readouterr().err
    assert "of heartbeats, which is due, is tried again in an hour" in said and said.count("defect") == 1, said
    app.store.write(lambda tables: tables.db.execute("UPDATE heartbeats SET tags = '[]' WHERE origin = 'probe1'"))
    assert wait_until(app, HOUR).silent == ["probe1"], "it is tried again"
    assert alert_of(app, "probe1")["event"] == "HeartbeatFail"


def test_attributes_of_a_heartbeat_that_are_too_large_are_refused(app: Any):
    before = app.stored()
    answer = app.call("POST", "/heartbeat", {"origin": "big", "attributes": {"x": "a" * 150_000, "y": "b" * 150_000}})
    assert answer.status == 400 and answer.json["message"].startswith("attributes: more than 200000 characters"), answer
    assert app.stored() == before


@pytest.mark.parametrize(("attributes", "environment", "service", "group"), [
    ({"service": ""}, "Production", [], "System"),
    ({"service": ["", "Web", 5, "x" * 501]}, "Production", ["Web"], "System"),
    ({"service": "Web", "group": "g" * 501, "environment": "e" * 501}, "Production", ["Web"], "System"),
    ({"service": {"a": 1}, "group": "", "environment": 5}, "Production", ["Alerta"], "System"),
    ({"group": "Edge", "environment": "Development"}, "Development", ["Alerta"], "Edge"),
], ids=["no name", "some names", "names that are too long", "no names at all", "good ones"])
def test_names_in_a_heartbeats_attributes_are_those_of_its_alert_where_they_can_be(app: Any, attributes: dict[str, Any], environment: str,
                                                                                  service: list[str], group: str):
    beat(app, timeout=60, attributes=attributes)
    wait_until(app, 60)
    alert = alert_of(app)
    assert (alert["environment"], alert["service"], alert["group"]) == (environment, service, group)
    assert (app.get("/alerts")["total"], app.get("/alerts/count")["severityCounts"]) == (1, {"major": 1})


def test_silent_heartbeat_raises_an_alert_on_time_not_before(app: Any):
    beat(app, timeout=60, tags=["t"], attributes={"region": "eu", "n": 1})
    assert wait_until(app, 60).silent == ["probe"]
    alert = alert_of(app)
    assert {name: alert[name] for name in ("resource", "event", "environment", "severity", "status", "correlate", "service", "group",
                                           "value", "tags", "type", "customer", "attributes")} == {
        "resource": "probe", "event": "HeartbeatFail", "environment": "Production", "severity": "major", "status": "open",
        "correlate": ["HeartbeatFail", "HeartbeatSlow", "HeartbeatOK"], "service": ["Alerta"], "group": "System", "value": "60",
        "tags": ["t"], "type": "heartbeatAlert", "customer": None, "attributes": {"region": "eu", "n": 1}}
    assert app.get("/heartbeats")["heartbeats"][0]["status"] == "expired"
    assert app.events() == ["heartbeat_expired"], "no alert_… event beside it"


def test_attributes_of_a_heartbeat_say_what_its_alert_looks_like(app: Any):
    wanted = {"environment": "Lab", "severity": "critical", "service": ["Db", "Net"], "group": "Edge"}
    key = app.make_key("read", "write", customer="acme")
    app.call("POST", "/heartbeat", {"origin": "probe", "timeout": 60, "attributes": {**wanted, "x": "y"}}, key=key)
    wait(app, 60)
    alert = alert_of(app)
    assert {name: alert[name] for name in wanted} == wanted
    assert (alert["attributes"], alert["customer"]) == ({"x": "y"}, "acme")


def test_new_beat_closes_the_alert(app: Any):
    beat(app, timeout=60)
    wait(app, 60)
    ident = alert_of(app)["id"]
    beat(app, timeout=60)
    alert = alert_of(app)
    assert (alert["id"], alert["event"], alert["severity"], alert["status"]) == (ident, "HeartbeatOK", "normal", "closed")
    assert app.get("/heartbeats")["heartbeats"][0]["status"] == "ok"
    assert app.events() == ["heartbeat_expired", "heartbeat_ok"]
    wait(app, 60)
    assert (alert_of(app)["id"], alert_of(app)["event"], alert_of(app)["status"]) == (ident, "HeartbeatFail", "open")
    assert app.events() == ["heartbeat_expired", "heartbeat_ok", "heartbeat_expired"]


def test_new_beat_closes_the_alert_also_where_it_names_another_environment(app: Any):
    beat(app, timeout=60, attributes={"environment": "Lab"})
    wait(app, 60)
    beat(app, timeout=60, attributes={"environment": "Production"})
    assert alert_of(app)["status"] == "closed"


def test_deleting_a_silent_heartbeat_closes_its_alert(app: Any):
    ident = beat(app, timeout=60)["id"]
    wait(app, 60)
    assert app.call("DELETE", f"/heartbeat/{ident}").status == 200
    assert alert_of(app)["status"] == "closed" and app.get("/heartbeats")["heartbeats"] == []
    assert app.events() == ["heartbeat_expired", "heartbeat_ok"]
    assert wait(app, 300).silent == []


def test_deleting_a_heartbeat_that_is_not_silent_says_nothing(app: Any):
    assert app.call("DELETE", f"/heartbeat/{beat(app, timeout=60)['id']}").status == 200
    assert wait(app, 300).silent == [] and listed(app) == [] and app.events() == []


def test_silence_is_told_once_and_its_alert_does_not_expire(app: Any):
    beat(app, timeout=60)
    wait(app, 60)
    assert [wait(app, DAY)[:5] for _ in range(30)] == [([], [], [], [], [])] * 30
    assert alert_of(app)["status"] == "open" and app.events() == ["heartbeat_expired"]


def test_client_that_repeats_the_alert_of_a_silence_cannot_make_it_expire(app: Any):
    ident = beat(app, timeout=60)["id"]
    wait(app, 60)
    app.post_alert("probe", "HeartbeatFail", "major", type="heartbeatAlert", timeout=300)
    assert wait(app, 10 * DAY).expired == [] and alert_of(app)["status"] == "open"
    app.call("DELETE", f"/heartbeat/{ident}")
    app.post_alert("probe", "HeartbeatFail", "major", type="heartbeatAlert", timeout=300)
    assert wait_until(app, 300).expired != [], "without the heartbeat it is an alert like any other"


def test_alert_of_a_heartbeat_that_somebody_closes_makes_no_event_of_its_own(app: Any):
    beat(app, timeout=60)
    wait(app, 60)
    assert [act(app, alert_of(app)["id"], action) for action in ("ack", "close", "open", "close")] == ["ack", "closed", "open", "closed"]
    assert app.events() == ["heartbeat_expired"]
    beat(app, timeout=60)
    assert alert_of(app)["status"] == "closed" and app.events() == ["heartbeat_expired", "heartbeat_ok"]


def test_beats_in_time_say_nothing(app: Any):
    for _ in range(20):
        beat(app, timeout=60)
        assert wait(app, 59.999).silent == []
    assert app.events() == [] and wait(app, 0.001).silent == ["probe"]


def test_beat_that_says_a_shorter_timeout_counts_at_once(app: Any):
    first = beat(app, timeout=600, tags=["a"])
    second = beat(app, timeout=60, tags=["b"], id="ignored-id")
    assert (second["id"], second["tags"], second["timeout"]) == (first["id"], ["b"], 60)
    assert wait_until(app, 60).silent == ["probe"]


def test_heartbeat_with_timeout_zero_is_never_silent(app: Any):
    beat(app, timeout=0)
    assert wait(app, 1000 * DAY).silent == [] and app.get("/heartbeats")["heartbeats"][0]["status"] == "ok"


def test_alert_of_a_silent_heartbeat_can_be_turned_off(make_app: Any):
    app = make_app(heartbeat_alerts="off")
    beat(app, timeout=60)
    assert wait(app, 60).silent == ["probe"] and listed(app) == []
    beat(app, timeout=60)
    assert app.events() == ["heartbeat_expired", "heartbeat_ok"]


def test_new_beat_after_its_alert_was_deleted_is_still_told(app: Any):
    beat(app, timeout=60)
    wait(app, 60)
    app.call("DELETE", f"/alert/{alert_of(app)['id']}")
    beat(app, timeout=60)
    assert listed(app) == [] and app.events() == ["heartbeat_expired", "heartbeat_ok"]


def test_alert_named_heartbeat_is_one(app: Any):
    answer = app.call("POST", "/alert", {"resource": "r", "event": "Heartbeat", "origin": "probe", "timeout": 60, "severity": "minor",
                                         "tags": ["t"], "service": ["Web"]})
    assert (answer.status, answer.json["message"]) == (202, "Alert converted to Heartbeat")
    shown = app.get(f"/heartbeat/{answer.json['id']}")["heartbeat"]
    assert (shown["origin"], shown["tags"], shown["timeout"], shown["latency"]) == ("probe", ["t"], 60, 0)
    assert shown["attributes"] == {"environment": "Production", "severity": "minor", "service": ["Web"], "group": "Misc"}
    assert listed(app) == []
    wait(app, 60)
    assert (alert_of(app)["severity"], alert_of(app)["service"], alert_of(app)["group"]) == ("minor", ["Web"], "Misc")


def test_restart_gives_every_heartbeat_a_full_timeout(app: Any):
    beat(app, "one", timeout=60)
    beat(app, "two", timeout=HOUR)
    restart(app, 5 * HOUR)
    assert app.engine.expire_due().silent == [] and {row["status"] for row in app.get("/heartbeats")["heartbeats"]} == {"ok"}
    assert wait_until(app, 60).silent == ["one"]
    beat(app, "two", timeout=HOUR)
    assert wait_until(app, HOUR).silent == ["two"]
    assert told(app) == ["heartbeat_expired", "heartbeat_expired"]


def test_silence_that_was_told_before_a_restart_is_not_told_again(app: Any):
    beat(app, timeout=60)
    wait(app, 60)
    restart(app, 5 * HOUR)
    assert wait(app, 60).silent == [] and told(app) == ["heartbeat_expired"]
    beat(app, timeout=60)
    assert alert_of(app)["status"] == "closed" and told(app) == ["heartbeat_expired", "heartbeat_ok"]


def test_silence_that_was_told_before_a_restart_is_still_shown(app: Any):
    beat(app, timeout=60)
    wait(app, 60)
    restart(app, 5 * HOUR)
    assert alert_of(app)["status"] == "open" and app.get("/heartbeats")["heartbeats"][0]["status"] == "expired"


# --- users and keys

SECRET = "a-key-of-ones-own-0123456789"


def make_user(app: Any, login: str, **fields: Any) -> Any:
    answer = app.call("POST", "/user", {"name": login, "login": login, **fields})
    assert answer.status == 201, answer
    return answer.json["user"]


def status_of(app: Any, key: str, method: str = "GET", path: str = "/alerts") -> int:
    return app.call(method, path, {"resource": "r", "event": "e", "severity": "major"} if method == "POST" else None, key=key).status


def test_users_list_and_allowed_domains_say_who_may_have_a_key(make_app: Any):
    app = make_app(allowed_email_domains="example.com,example.net")

    def key_for(login: str) -> int:
        return app.call("POST", "/key", {"user": login}).status

    assert key_for("ann@example.net") == key_for("ANN@EXAMPLE.NET") == 201, "of an allowed domain, in any case"
    assert key_for("ann@example.org") == 403 and key_for("probe") == 403, "neither on the list nor of an allowed domain"
    make_user(app, "ann@example.org")
    make_user(app, "probe")
    assert key_for("ann@example.org") == key_for("probe") == 201, "on the list, whatever the domain"
    assert app.get("/users")["domains"] == ["example.com", "example.net"]


def test_key_cannot_be_given_to_somebody_who_could_not_use_it(make_app: Any):
    app = make_app(allowed_email_domains="example.com")
    made = app.call("POST", "/key", {"user": "ann@example.com"}).json["data"]
    answer = app.call("PUT", f"/key/{made['id']}", {"user": "ann@example.org"})
    assert (answer.status, app.get(f"/key/{made['id']}")["key"]["user"]) == (403, "ann@example.com"), answer
    assert app.call("PUT", f"/key/{made['id']}", {"user": "bob@example.com"}).json["key"]["user"] == "bob@example.com"


@pytest.mark.parametrize("text", [" " + "k" * 20, "k" * 20 + " ", "k" * 10 + "//" + "k" * 10, "ü" * 20, "k" * 15, "k" * 201],
                         ids=["a blank before", "a blank after", "an address would be repaired", "no ASCII", "too short", "too long"])
def test_key_that_could_not_be_used_or_revoked_is_refused(app: Any, text: str):
    answer = app.call("POST", "/key", {"user": "ann", "key": text})
    assert answer.status == 400 and answer.json["message"].startswith("key must be"), answer


def test_login_of_a_user_stays(app: Any):
    user = make_user(app, "ann", email="ann@example.com")
    answer = app.call("PUT", f"/user/{user['id']}", {"login": "bob", "text": "new"})
    assert answer.status == 400 and answer.json["message"].startswith("login cannot be changed"), answer
    assert app.call("PUT", f"/user/{user['id']}", {"login": "ann", "text": "new"}).json["user"]["text"] == "new"
    named = make_user(app, "bob@example.com", email="bob@example.com")
    moved = app.call("PUT", f"/user/{named['id']}", {"email": "bob@example.net", "login": "bob@example.net"})
    assert moved.json["user"]["login"] == "bob@example.net", "a login that is an address goes with it"


def test_star_allows_everybody(app: Any):
    assert app.call("POST", "/key", {"user": "whoever"}).status == 201


def test_key_is_refused_once_its_domain_is_no_longer_allowed(app: Any):
    key = app.make_key("read", user="ann@example.org")
    assert status_of(app, key) == 200
    restart(app, 1, allowed_email_domains="example.com")
    assert status_of(app, key) == 401
    make_user(app, "ann@example.org")
    assert status_of(app, key) == 200


def test_inactive_user_cannot_use_keys(app: Any):
    user = make_user(app, "ann@example.com")
    key = app.make_key("read", user="ann@example.com")
    assert status_of(app, key) == 200
    assert app.call("PUT", f"/user/{user['id']}", {"status": "inactive"}).json["user"]["status"] == "inactive"
    assert status_of(app, key) == 401
    assert app.call("POST", "/key", {"user": "ann@example.com"}).json["message"] == "user ann@example.com is inactive"
    app.call("PUT", f"/user/{user['id']}", {"status": "active"})
    assert status_of(app, key) == 200


@pytest.mark.parametrize("by_post", [False, True])
def test_keys_of_a_deleted_user_end(app: Any, by_post: bool):
    user = make_user(app, "ann@example.com")
    key, other = app.make_key("read", user="ann@example.com"), app.make_key("read", user="bob@example.com")
    assert status_of(app, key) == 200
    path = f"/user/{user['id']}"
    assert (app.call("POST", path, {"_method": "delete"}) if by_post else app.call("DELETE", path)).status == 200
    assert (status_of(app, key), status_of(app, other)) == (401, 200)
    make_user(app, "ann@example.com")
    assert status_of(app, key) == 401, "and do not come back with the name"
    assert app.call("DELETE", path).status == 404


@pytest.mark.parametrize(("body", "status"), [
    pytest.param({"name": "Ann", "login": "ann"}, 409, id="the login is taken"),
    pytest.param({"name": "Ann", "email": "ann@example.com"}, 409, id="the address is taken"),
    pytest.param({"name": "Ann", "login": "ann@example.com"}, 409, id="the login is somebody's address"),
    pytest.param({"login": "new"}, 400, id="no name"), pytest.param({"name": "New"}, 400, id="neither login nor address"),
    pytest.param({"name": "New", "email": "nowhere"}, 400, id="no address"),
    pytest.param({"name": "New", "email": "new@example.com"}, 201, id="the address is the login"),
    pytest.param({"name": "New", "login": "new", "provider": "google", "text": ""}, 201, id="a login is enough"),
])
def test_users_are_listed_once(app: Any, body: dict[str, str], status: int):
    make_user(app, "ann", email="ann@example.com")
    answer = app.call("POST", "/user", body)
    assert answer.status == status, answer
    assert status != 201 or answer.json["user"]["login"] == body.get("login", body.get("email"))


def test_nobody_gives_more_than_he_has(app: Any):
    manager = app.make_key("admin:users", "write:keys", "read", user="ann")
    assert app.call("POST", "/user", {"name": "x", "login": "x", "roles": ["admin"]}, key=manager).status == 403
    assert app.call("POST", "/user", {"name": "x", "login": "x", "roles": ["guest"]}, key=manager).status == 201
    for body, status in (({"scopes": ["admin"]}, 403), ({"type": "read-write"}, 403), ({}, 403), ({"scopes": ["read:alerts"]}, 201),
                         ({"scopes": ["nonsense"]}, 400), ({"scopes": "read"}, 400)):
        assert app.call("POST", "/key", body, key=manager).status == status, body
    user = make_user(app, "bob")["id"]
    for body in ({"roles": ["admin"]}, {"role": "admin"}):
        assert app.call("PUT", f"/user/{user}", body, key=manager).status == 403
    own = app.call("POST", "/key", {"user": "bob", "scopes": ["read"]}, key=manager).json["data"]
    assert own["user"] == "ann", "only an administrator names another user"
    assert app.call("PUT", f"/key/{own['id']}", {"scopes": ["admin"]}, key=manager).status == 403


def test_keys_are_not_in_the_database_file(app: Any):
    made = app.make_key("read", "write", key=SECRET)
    random = app.make_key("read")
    assert made == SECRET and status_of(app, SECRET) == status_of(app, random) == 200
    app.call("GET", f"/key/{SECRET}")
    app.engine.flush_uses()
    path = pathlib.Path(app.settings.db)
    live = b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*"))
    restart(app)
    content = live + path.read_bytes()
    assert alertlite.hash_key(SECRET).encode() in content, "this is where it would be"
    for key in (SECRET, random):
        assert key.encode() not in content
    assert status_of(app, SECRET) == status_of(app, random) == 200


def test_key_is_shown_once(app: Any):
    answer = app.call("POST", "/key", {"user": "tester", "scopes": ["read"]}).json
    assert answer["key"] == answer["data"]["key"]
    shown = [app.get(f"/key/{answer['data']['id']}")["key"], app.get(f"/key/{answer['key']}")["key"],
             *(row for row in app.get("/keys")["keys"] if row["id"] == answer["data"]["id"])]
    assert len(shown) == 3 and all(answer["key"] not in str(row) for row in shown)


def test_hash_of_a_key_is_no_key(app: Any):
    hashed = alertlite.hash_key(app.make_key("read"))
    assert status_of(app, hashed) == 401
    assert app.call("GET", f"/key/{hashed}").status == 404


def test_key_expires_on_time_not_before(app: Any):
    key = app.make_key("read", expireTime="2030-01-01T01:00:00.000Z")
    app.clock.advance(HOUR - 0.001)
    assert status_of(app, key) == 200
    app.clock.advance(0.001)
    assert status_of(app, key) == 401
    [row] = [row for row in app.get("/keys")["keys"] if row["expireTime"] == "2030-01-01T01:00:00.000Z"]
    assert row["status"] == "expired"
    answer = app.call("PUT", f"/key/{row['id']}", {"expireTime": "2030-01-02T00:00:00.000Z"})
    assert answer.json["key"]["status"] == "active" and status_of(app, key) == 200


def test_key_lasts_as_long_as_the_setting_says(make_app: Any):
    app = make_app(api_key_expire_days="2")
    data = app.call("POST", "/key", {"user": "tester"}).json["data"]
    assert (data["expireTime"], data["status"]) == ("2030-01-03T00:00:00.000Z", "active")
    app.clock.advance(60)
    assert app.call("PUT", f"/key/{data['id']}", {"text": "new"}).json["key"]["expireTime"] == data["expireTime"], "a change keeps it"


@pytest.mark.parametrize(("body", "scopes", "type_", "post"), [
    pytest.param({"type": "read-only"}, ["read"], "read-only", 403, id="the v3 type read-only"),
    pytest.param({"type": "read-write"}, ["read", "write"], "read-write", 201, id="the v3 type read-write"),
    pytest.param({"type": "read-only", "scopes": ["write"]}, ["read"], "read-only", 403, id="the type comes before scopes"),
    pytest.param({"scopes": ["read:alerts"]}, ["read:alerts"], "read-only", 403, id="one scope"),
    pytest.param({"scopes": ["write:alerts"]}, ["write:alerts"], "read-write", 201, id="write shows as read-write"),
    pytest.param({"scopes": ["admin:alerts"]}, ["admin:alerts"], "read-write", 201, id="admin shows as read-write"),
    pytest.param({}, ["read", "write"], "read-write", 201, id="neither"),
])
def test_type_and_scopes_of_a_key(app: Any, body: dict[str, Any], scopes: list[str], type_: str, post: int):
    answer = app.call("POST", "/key", {"user": "tester", **body}).json
    assert (answer["data"]["scopes"], answer["data"]["type"]) == (scopes, type_)
    assert status_of(app, answer["key"]) == 200
    refused = app.call("POST", "/alert", {"resource": "r", "event": "e", "severity": "major"}, key=answer["key"])
    assert refused.status == post
    assert post == 201 or refused.json["message"] == "Missing required scope: write:alerts"


def test_key_in_use_cannot_be_made_again(app: Any):
    app.make_key("read", key=SECRET)
    assert app.call("POST", "/key", {"user": "tester", "key": SECRET}).status == 409


def test_uses_of_a_key_are_counted(app: Any):
    answer = app.call("POST", "/key", {"user": "tester", "scopes": ["read:alerts"]}).json
    key, ident = answer["key"], answer["data"]["id"]
    assert (answer["data"]["count"], answer["data"]["lastUsedTime"]) == (0, None)
    app.clock.advance(5)
    assert [status_of(app, key), status_of(app, key, "POST", "/alert")] == [200, 403]
    shown = app.get(f"/key/{ident}")["key"]
    assert (shown["count"], shown["lastUsedTime"]) == (2, "2030-01-01T00:00:05.000Z"), "a refused use is one too"
    app.engine.flush_uses()
    restart(app, 5)
    assert app.get(f"/key/{ident}")["key"] == shown
    status_of(app, key)
    assert app.get(f"/key/{ident}")["key"]["count"] == 3


def test_keys_of_others_are_not_to_be_seen(app: Any):
    mine = app.make_key("read", "write:keys", user="ann")
    answer = app.call("POST", "/key", {"user": "bob", "scopes": ["read"]}).json
    assert {row["user"] for row in app.get("/keys", key=mine)["keys"]} == {"ann"}
    for ident in (answer["key"], answer["data"]["id"]):
        assert app.call("GET", f"/key/{ident}", key=mine).status == 404
        assert app.call("PUT", f"/key/{ident}", {"text": "mine"}, key=mine).status == 404
    assert app.call("GET", "/keys/bob", key=mine).status == 404 and len(app.get("/keys/bob")["keys"]) == 1


@pytest.mark.parametrize("by", ["key", "id"])
def test_deleted_key_ends_at_once(app: Any, by: str):
    answer = app.call("POST", "/key", {"user": "tester", "scopes": ["read"]}).json
    assert status_of(app, answer["key"]) == 200
    assert app.call("DELETE", f"/key/{answer['key'] if by == 'key' else answer['data']['id']}").status == 200
    assert status_of(app, answer["key"]) == 401


def basic(login: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


def test_password_may_hold_colons(app: Any):
    user = make_user(app, "ann", email="ann@example.com", password="pass:with:colons", roles=["user"])
    assert app.call("GET", "/alerts", key=None, headers=basic("ann", "pass:with:colons")).status == 200
    assert app.call("GET", "/user/me", key=None, headers=basic("ann@example.com", "pass:with:colons")).json["user"]["login"] == "ann"
    wrong = app.call("GET", "/alerts", key=None, headers=basic("ann", "pass"))
    assert wrong.status == 401 and wrong.headers["WWW-Authenticate"].startswith('Basic realm="')
    assert app.call("GET", "/users", key=None, headers=basic("ann", "pass:with:colons")).status == 403, "her role does not cover it"
    app.call("PUT", f"/user/{user['id']}", {"status": "inactive"})
    assert app.call("GET", "/alerts", key=None, headers=basic("ann", "pass:with:colons")).status == 401


def test_user_without_a_password_cannot_sign_in(app: Any):
    make_user(app, "ann")
    for password in ("", "None", "ann"):
        assert app.call("GET", "/alerts", key=None, headers=basic("ann", password)).status == 401


def test_passwords_are_not_in_the_database_file_or_in_answers(app: Any):
    user = make_user(app, "ann", password="correct horse battery")
    answer = app.call("GET", f"/user/{user['id']}")
    assert b"correct horse" not in answer.body and b"scrypt" not in answer.body and "password" not in answer.json["user"]
    path = pathlib.Path(app.settings.db)
    restart(app)
    assert b"correct horse" not in path.read_bytes() and b"scrypt$" in path.read_bytes()
