"""Every decision about alerts, keys, logins and searches, as tables: no application, no clock, no database."""
from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import alertlite
from alertlite import AllOf, AnyOf, Match, NoneOf

NOW = 1_900_000_000_000
SETTINGS = alertlite.load_settings({"db": "x", "ack_timeout": "300", "shelve_timeout": "7200", "alert_timeout": "86400"}, {})
NORMAL = ("normal", "ok", "cleared")
STATUSES = ("open", "assign", "ack", "shelved", "blackout", "closed", "expired", "unknown")


def make_report(**fields: Any) -> alertlite.AlertReport:
    return alertlite.AlertReport(**{
        "id": "r1", "resource": "web01", "event": "down", "environment": "Production", "severity": "major", "status": "open",
        "correlate": [], "service": ["Web"], "group": "Misc", "value": "1", "text": "first", "tags": ["a"], "attributes": {"k": "v"},
        "origin": "probe", "type": "exceptionAlert", "created_at": None, "timeout": 600, "raw_data": "raw", "customer": "", **fields})


def pack(*items: str) -> str:
    return alertlite.pack_list(items)


def make_alert(status: str = "open", severity: str = "major", previous: str | None = None, **fields: Any) -> alertlite.Alert:
    """A stored alert in a status; previous: the status before this one, and before an ack or a shelving that is still on."""
    return alertlite.new_alert(make_report(severity=severity), NOW - 60_000)._replace(
        seq=1, status=status, previous_status=previous, before_ack=previous, before_shelve=previous, **fields)


# --- lists as text

ITEMS = st.text('a",\\\n[', max_size=4)


@settings(max_examples=1000, deadline=None, derandomize=True, database=None)
@example(['x"web'], "web")
@given(st.lists(ITEMS, max_size=3), ITEMS)
def test_element_is_found_in_the_text_of_a_list_only_where_it_is_in_the_list(items: list[str], item: str):
    assert (alertlite.packed_element(item) in alertlite.pack_list(items)) is (item in items)
    assert alertlite.unpack(alertlite.pack_list(items)) == items


# --- severities (contract 2.3)

def test_severities_have_the_codes_of_the_table():
    codes = {name: code for name, (code, _) in alertlite.SEVERITIES.items()}
    assert codes == {"security": 0, "critical": 1, "major": 2, "minor": 3, "warning": 4, "indeterminate": 5, "informational": 6,
                     "normal": 7, "ok": 7, "cleared": 7, "debug": 8, "trace": 9, "unknown": 10}
    assert frozenset(NORMAL) == alertlite.NORMAL_SEVERITIES
    assert [letter for letter, _ in alertlite.STATUSES.values()] == list("ABCDEFGH") and tuple(alertlite.STATUSES) == STATUSES


@pytest.mark.parametrize(("before", "after", "trend"), [
    pytest.param("major", "critical", "moreSevere", id="the code falls"),
    pytest.param("indeterminate", "security", "moreSevere", id="the code falls to zero"),
    pytest.param("unknown", "trace", "moreSevere", id="the last two codes"),
    pytest.param("critical", "normal", "lessSevere", id="the code rises"),
    pytest.param("normal", "debug", "lessSevere", id="debug is below normal"),
    pytest.param("major", "major", "noChange", id="the same name"),
    pytest.param("ok", "cleared", "noChange", id="two names of one code"),
    pytest.param("bogus", "major", "noChange", id="the first name is unknown"),
    pytest.param("major", "bogus", "noChange", id="the second name is unknown"),
])
def test_trend_follows_the_codes(before: str, after: str, trend: str):
    assert alertlite.severity_trend(before, after) == trend


# --- what a report does to the fields (contract 3.1)

LATER = {"service": ["Db"], "value": None, "text": "", "timeout": 86400, "raw_data": None, "tags": ["b", "a"],
         "attributes": {"k": None, "n": 2}, "group": "Other", "origin": "other", "type": "otherAlert", "id": "r2",
         "correlate": ["down", "up", "flap"], "created_at": 5}
KEPT = {"id": "r1", "correlate": pack("down", "up"), "group_name": "Misc", "origin": "probe", "type": "exceptionAlert", "customer": "acme"}
REPLACED = {"service": pack("Db"), "value": None, "text": "", "timeout": 86400, "raw_data": None}
MERGED = {"tags": pack("a", "b"), "attributes": '{"n":2}'}
HEARD = {"last_receive_id": "r2", "last_received_at": NOW}


def stored_alert() -> alertlite.Alert:
    report = make_report(correlate=["down", "up"], customer="acme", created_at=4)
    return alertlite.decide_report(None, report, NOW - 1000).alert._replace(seq=1)


def test_first_report_sets_every_field():
    decision = alertlite.decide_report(None, make_report(correlate=["up"], customer="acme", created_at=4, tags=["a", "a"],
                                                         attributes={"k": "v", "none": None}), NOW)
    got = decision.alert._asdict()
    assert decision.entry == "new"
    assert {name: got[name] for name in KEPT} == {**KEPT, "correlate": pack("up", "down")}, "the event joins its correlate list"
    assert {name: got[name] for name in ("event", "severity", "status", "service", "value", "text", "timeout", "raw_data", "tags",
                                         "attributes", "environment", "resource")} == {
        "event": "down", "severity": "major", "status": "open", "service": pack("Web"), "value": "1", "text": "first", "timeout": 600,
        "raw_data": "raw", "tags": pack("a"), "attributes": '{"k":"v"}', "environment": "Production", "resource": "web01"}
    assert (got["last_receive_id"], got["last_received_at"], got["received_at"], got["updated_at"]) == ("r1", NOW, NOW, NOW)
    assert (got["duplicate_count"], got["repeat"], got["previous_severity"], got["trend"]) == (0, 0, "indeterminate", "moreSevere")
    assert got["created_at"] == 4 and alertlite.new_alert(make_report(), NOW).created_at == NOW


def test_report_without_correlate_does_not_correlate():
    assert alertlite.new_alert(make_report(), NOW).correlate == "[]"


def test_duplicate_replaces_what_it_says_and_keeps_the_rest():
    old = stored_alert()
    decision = alertlite.decide_report(old, make_report(**LATER), NOW)
    assert decision.entry == "value" and decision.reason == "duplicate"
    assert decision.alert == old._replace(**REPLACED, **MERGED, **HEARD, duplicate_count=1, repeat=1)
    assert {name: getattr(decision.alert, name) for name in KEPT} == KEPT


@pytest.mark.parametrize(("event", "severity", "trend"), [
    pytest.param("down", "critical", "moreSevere", id="the same event, more severe"),
    pytest.param("down", "warning", "lessSevere", id="the same event, less severe"),
    pytest.param("up", "minor", "lessSevere", id="another event of the list"),
    pytest.param("up", "major", "noChange", id="another event of equal severity"),
])
def test_correlated_report_also_replaces_event_severity_and_times(event: str, severity: str, trend: str):
    old = stored_alert()._replace(duplicate_count=7, repeat=1)
    decision = alertlite.decide_report(old, make_report(**{**LATER, "event": event, "severity": severity}), NOW)
    assert decision.entry == "severity"
    assert decision.alert == old._replace(
        **REPLACED, **MERGED, **HEARD, event=event, severity=severity, created_at=5, received_at=NOW, duplicate_count=0, repeat=0,
        previous_severity="major", trend=trend)


@pytest.mark.parametrize(("old_status", "severity", "value", "entry", "updated"), [
    pytest.param("open", "major", "1", None, False, id="a plain duplicate writes nothing"),
    pytest.param("open", "major", "2", "value", False, id="a duplicate with another value"),
    pytest.param("closed", "major", "2", "status", True, id="a duplicate that opens: one entry, not two"),
    pytest.param("open", "minor", "2", "severity", False, id="correlated, status as before"),
    pytest.param("open", "ok", "2", "severity", True, id="correlated, status changes: one entry"),
])
def test_update_time_and_history_follow_the_status(old_status: str, severity: str, value: str, entry: str | None, updated: bool):
    old = make_alert(old_status)
    decision = alertlite.decide_report(old, make_report(severity=severity, value=value), NOW)
    assert decision.entry == entry
    assert decision.alert.updated_at == (NOW if updated else old.updated_at)


# --- the status after a report (contract 3.3)

@pytest.mark.parametrize(("current", "previous", "reported", "severity", "old_severity", "after"), [
    pytest.param("open", None, "ack", "ok", "major", "closed", id="2 a status is sent, severity normal"),
    pytest.param("blackout", "ack", "assign", "cleared", "major", "closed", id="2 before 5"),
    pytest.param("closed", "open", "assign", "major", "minor", "assign", id="3 a status is sent"),
    pytest.param("ack", "open", "shelved", "critical", "minor", "shelved", id="3 before 4"),
    pytest.param("blackout", "ack", "unknown", "major", "major", "unknown", id="3 before 5"),
    pytest.param(None, None, "ack", "major", "indeterminate", "ack", id="3 for a new alert"),
    pytest.param("ack", "open", "open", "critical", "major", "open", id="4 worse than acknowledged"),
    pytest.param("ack", "open", "open", "critical", "indeterminate", "ack", id="4 not from indeterminate"),
    pytest.param("ack", "open", "open", "ok", "unknown", "open", id="4 before 8: ok is worse than unknown"),
    pytest.param("blackout", "ack", "open", "major", "minor", "ack", id="5 back to what was before"),
    pytest.param("blackout", "shelved", "open", "normal", "major", "shelved", id="5 even for normal"),
    pytest.param("blackout", "blackout", "open", "major", "major", "open", id="6 nothing else was before"),
    pytest.param("blackout", None, "open", "major", "major", "open", id="6 nothing was before"),
    pytest.param("closed", "shelved", "open", "major", "normal", "shelved", id="7 was shelved before closing"),
    pytest.param("closed", "ack", "open", "major", "normal", "open", id="7 opens"),
    pytest.param("closed", None, "open", "informational", "normal", "open", id="7 informational opens too"),
    pytest.param("open", None, "open", "cleared", "major", "closed", id="8 closes"),
    pytest.param("closed", "shelved", "open", "ok", "major", "closed", id="8 stays closed"),
    pytest.param("expired", "open", "open", "normal", "major", "closed", id="8 before 9"),
    pytest.param(None, None, "open", "ok", "indeterminate", "closed", id="8 new and normal"),
    pytest.param("expired", "ack", "open", "major", "indeterminate", "open", id="9 is back"),
    pytest.param("assign", "open", "open", "security", "debug", "assign", id="10 unchanged"),
    pytest.param(None, None, "open", "debug", "indeterminate", "open", id="10 new"),
])
def test_ten_rules_decide_from_top_to_bottom(current: str | None, previous: str | None, reported: str, severity: str,
                                             old_severity: str, after: str):
    assert alertlite.status_after_report(current, previous, reported, severity, old_severity) == after


GRID = """
    current   previous  worse    same     normal
    open      -         open     open     closed
    assign    open      assign   assign   closed
    ack       open      open     ack      closed
    shelved   open      shelved  shelved  closed
    blackout  ack       ack      ack      ack
    blackout  blackout  open     open     open
    blackout  -         open     open     open
    closed    open      open     open     closed
    closed    shelved   shelved  shelved  closed
    expired   open      open     open     closed
    unknown   open      unknown  unknown  closed
"""
ARRIVALS = {"worse": ["critical", "security"], "same": ["major", "minor", "warning", "debug"], "normal": list(NORMAL)}


def grid_cells() -> list[Any]:
    header, *rows = (line.split() for line in GRID.strip().splitlines())
    return [pytest.param(row[0], None if row[1] == "-" else row[1], severity, cell, id=f"{row[0]} after {row[1]} hears {severity}")
            for row in rows for kind, cell in zip(header[2:], row[2:], strict=True) for severity in ARRIVALS[kind]]


@pytest.mark.parametrize(("current", "previous", "severity", "after"), grid_cells())
def test_grid_of_current_status_and_what_arrives(current: str, previous: str | None, severity: str, after: str):
    old = make_alert(current, "major", previous)
    decision = alertlite.decide_report(old, make_report(severity=severity), NOW)
    assert (decision.alert.status, decision.alert.severity) == (after, severity)
    assert decision.alert.previous_status == (previous if after == current else current)


@pytest.mark.parametrize(("severity", "after"), [("major", "open"), ("informational", "open"), *((name, "closed") for name in NORMAL)])
def test_grid_of_new_alerts(severity: str, after: str):
    assert alertlite.decide_report(None, make_report(severity=severity), NOW).alert.status == after


def test_ack_of_an_indeterminate_alert_survives_a_worse_report():
    assert alertlite.decide_report(make_alert("ack", "indeterminate", "open"), make_report(), NOW).alert.status == "ack"


def test_report_that_puts_an_alert_back_on_the_shelf_keeps_where_unshelve_returns_to():
    closed = make_alert("closed", "normal", "shelved")._replace(before_shelve="open")
    back = alertlite.decide_report(closed, make_report(), NOW).alert
    assert back.status == "shelved"
    assert alertlite.decide_action(back, "unshelve", None, NOW, SETTINGS).alert.status == "open"


@pytest.mark.parametrize(("status", "leave"), [("ack", "unack"), ("shelved", "unshelve")])
def test_report_that_ends_a_blackout_keeps_where_the_undoing_returns_to(status: str, leave: str):
    dark = make_alert("blackout", "major", status)._replace(before_ack="assign", before_shelve="assign")
    back = alertlite.decide_report(dark, make_report(), NOW).alert
    assert back.status == status
    assert alertlite.decide_action(back, leave, None, NOW, SETTINGS).alert.status == "assign"


def test_report_that_ends_a_blackout_keeps_the_end_of_the_acknowledgement():
    dark = make_alert("blackout", "major", "ack")._replace(ack_until=NOW + 5000)
    assert alertlite.decide_report(dark, make_report(), NOW).alert.ack_until == NOW + 5000


# --- the status after an action (contract 3.4); * = closed where the severity is normal, ! = the severity becomes normal,
# ^ = the severity becomes the previous one

ACTIONS = ("open", "ack", "unack", "shelve", "unshelve", "close", "assign")
CELLS = """
    open      409      ack      409   shelved  409   closed!  open*
    assign    assign*  assign*  409   assign*  409   assign*  assign*
    ack       open     409      prev  shelved  409   closed!  ack*
    shelved   open     409      409   409      prev  closed!  shelved*
    blackout  prev     prev     409   prev     409   closed!  prev
    closed    open^    409      409   409      409   409      open^
    expired   open     409      409   409      409   409      409
    unknown   unknown* unknown* 409   unknown* 409   unknown* unknown*
"""


def action_cells(severities: tuple[str, ...]) -> list[Any]:
    return [pytest.param(row[0], action, severity, cell, id=f"{row[0]} {action} {severity}")
            for row in (line.split() for line in CELLS.strip().splitlines()) for action, cell in zip(ACTIONS, row[1:], strict=True)
            for severity in severities]


def acted(alert: alertlite.Alert, action: str, timeout: int | None = None) -> tuple[str, str] | str:
    """(status, severity) after an action, or 409; and what holds of every action that is not refused."""
    try:
        decision = alertlite.decide_action(alert, action, timeout, NOW, SETTINGS)
    except alertlite.Conflict as refusal:
        assert re.search(r"already in \w+ status|invalid action for current \w+ status", refusal.message)
        return "409"
    changed = decision.alert
    assert decision.entry == action and changed.updated_at == NOW
    assert changed.previous_severity == (alert.previous_severity if changed.severity == alert.severity else alert.severity)
    assert (changed.timeout, changed.last_received_at, changed.duplicate_count) == (
        alert.timeout, alert.last_received_at, alert.duplicate_count), "an action is not a report"
    return changed.status, changed.severity


@pytest.mark.parametrize(("status", "action", "severity", "cell"), action_cells(("major",)))
def test_every_cell_of_the_action_table(status: str, action: str, severity: str, cell: str):
    previous = "assign"
    wanted: Any = "409" if cell == "409" else (previous if cell == "prev" else cell.rstrip("*!^"),
                                               {"!": "normal", "^": "minor"}.get(cell[-1], severity))
    alert = make_alert(status, severity, previous, previous_severity="minor" if status == "closed" else "indeterminate")
    assert acted(alert, action) == wanted


@pytest.mark.parametrize(("status", "action", "severity", "cell"), action_cells(NORMAL))
def test_every_cell_of_the_action_table_for_normal_severities(status: str, action: str, severity: str, cell: str):
    """A cell without a rule of its own closes, and so does what an expired alert would refuse."""
    previous = "assign"
    alert = make_alert(status, severity, previous, previous_severity="minor")
    if cell.endswith("*") or (status, cell) == ("expired", "409"):
        wanted: Any = ("closed", "normal")
    elif (status, action) == ("closed", "assign"):
        wanted = ("closed", severity)
    else:
        wanted = "409" if cell == "409" else (previous if cell == "prev" else cell.rstrip("!^"),
                                              {"!": "normal", "^": "minor"}.get(cell[-1], severity))
    assert acted(alert, action) == wanted


@pytest.mark.parametrize(("status", "action", "previous", "after"), [
    pytest.param("ack", "unack", "open", "open", id="unack to open"),
    pytest.param("ack", "unack", None, "open", id="unack, nothing is remembered"),
    pytest.param("shelved", "unshelve", "ack", "ack", id="unshelve to ack"),
    pytest.param("shelved", "unshelve", None, "open", id="unshelve, nothing is remembered"),
    pytest.param("blackout", "ack", None, "blackout", id="leave a blackout, nothing is remembered"),
    pytest.param("blackout", "open", "blackout", "blackout", id="leave a blackout that followed a blackout"),
    pytest.param("closed", "assign", "shelved", "shelved", id="a closed one that was shelved"),
])
def test_actions_return_to_the_previous_status(status: str, action: str, previous: str | None, after: str):
    assert acted(make_alert(status, "major", previous), action)[0] == after


@pytest.mark.parametrize(("severity", "previous_severity", "after"), [
    pytest.param("major", "minor", "open", id="it got worse"),
    pytest.param("major", "indeterminate", "ack", id="nothing is known of before"),
    pytest.param("major", "critical", "ack", id="it got better"),
    pytest.param("major", "major", "ack", id="it stayed"),
    pytest.param("ok", "debug", "open", id="worse within and below normal"),
])
def test_assigning_an_acknowledged_alert_opens_it_where_it_got_worse(severity: str, previous_severity: str, after: str):
    assert acted(make_alert("ack", severity, "open", previous_severity=previous_severity), "assign") == (after, severity)


def test_close_and_open_swap_the_severities():
    closed = alertlite.decide_action(make_alert(), "close", None, NOW, SETTINGS).alert
    assert (closed.status, closed.severity, closed.previous_severity) == ("closed", "normal", "major")
    opened = alertlite.decide_action(closed, "open", None, NOW, SETTINGS).alert
    assert (opened.status, opened.severity, opened.previous_severity) == ("open", "major", "normal")


def test_trend_is_set_by_reports_only():
    closed = alertlite.decide_action(make_alert(), "close", None, NOW, SETTINGS).alert
    assert closed.trend == make_alert().trend == "moreSevere"


def test_verified_chain_of_actions():
    alert, seen = make_alert(), []
    for action in ("ack", "shelve", "unshelve", "unack", "close", "open"):
        alert = alertlite.decide_action(alert, action, None, NOW, SETTINGS).alert
        seen.append((alert.severity, alert.status))
    assert seen == [("major", "ack"), ("major", "shelved"), ("major", "ack"), ("major", "open"), ("normal", "closed"), ("major", "open")]


@pytest.mark.parametrize("status", STATUSES)
def test_expired_is_reached_from_any_status(status: str):
    assert acted(make_alert(status, "major", "open"), "expired") == ("expired", "major")


@pytest.mark.parametrize("status", STATUSES)
def test_custom_action_changes_nothing_but_the_update_time(status: str):
    for severity in ("major", "ok"):
        alert = make_alert(status, severity, "open")
        decision = alertlite.decide_action(alert, "createTicket", 5, NOW, SETTINGS)
        assert (decision.alert, decision.entry) == (alert._replace(updated_at=NOW), "action")


@pytest.mark.parametrize(("status", "previous", "after"), [
    ("ack", "open", "open"), ("ack", "assign", "open"), ("ack", None, "open"),
    ("shelved", "open", "open"), ("shelved", "ack", "ack"), ("shelved", "assign", "open"), ("shelved", None, "open"),
])
def test_timeout_ends_an_ack_or_a_shelving(status: str, previous: str | None, after: str):
    assert acted(make_alert(status, "major", previous), "timeout") == (after, "major")


@pytest.mark.parametrize("status", sorted(set(STATUSES) - {"ack", "shelved"}))
def test_timeout_of_any_other_status_returns_to_ack_only_where_that_was_before(status: str):
    assert acted(make_alert(status, "major", "assign" if status == "open" else "open"), "timeout")[0] == "open"
    assert acted(make_alert(status, "major", "ack"), "timeout")[0] == "ack"


@pytest.mark.parametrize(("action", "timeout", "field", "seconds"), [
    pytest.param("ack", 60, "ack_until", 60, id="ack as asked"),
    pytest.param("ack", None, "ack_until", 300, id="ack by setting"),
    pytest.param("shelve", 60, "shelve_until", 60, id="shelve as asked"),
    pytest.param("shelve", None, "shelve_until", 7200, id="shelve by setting"),
    pytest.param("shelve", 0, "shelve_until", 7200, id="zero counts as not asked"),
])
def test_ack_and_shelve_remember_their_end_and_where_to_return(action: str, timeout: int | None, field: str, seconds: int):
    alert = alertlite.decide_action(make_alert("open"), action, timeout, NOW, SETTINGS).alert
    assert getattr(alert, field) == alertlite.hold_ends(alert) == NOW + seconds * 1000
    assert (alert.before_ack if action == "ack" else alert.before_shelve) == "open"


@pytest.mark.parametrize(("action", "timeout", "shown"), [
    *(pytest.param(action, 60, 60, id=f"{action} as asked") for action in (*ACTIONS, "custom")),
    *(pytest.param(action, None, 300, id=f"{action} by the ack setting") for action in ("ack",)),
    *(pytest.param(action, None, 7200, id=f"{action} by the shelve setting") for action in ("shelve",)),
    *(pytest.param(action, missing, 600, id=f"{action} {missing} shows the alert's own")
      for action in ("open", "close", "assign", "custom", "expired") for missing in (None, 0)),
    pytest.param("ack", 0, 300, id="ack 0 by the setting"), pytest.param("shelve", 0, 7200, id="shelve 0 by the setting"),
])
def test_timeout_of_an_action_entry(action: str, timeout: int | None, shown: int):
    assert alertlite.action_entry_timeout(make_alert(), action, timeout, SETTINGS) == shown


def test_timeout_of_an_action_entry_is_the_default_where_the_alert_never_expires():
    assert alertlite.action_entry_timeout(make_alert()._replace(timeout=0), "close", None, SETTINGS) == 86400


@pytest.mark.parametrize("status", STATUSES)
def test_operator_sets_any_status_from_any_status(status: str):
    for before in STATUSES:
        decision = alertlite.decide_operator_status(make_alert(before), status, 77, NOW, SETTINGS)
        assert (decision.alert.status, decision.alert.severity, decision.entry) == (status, "major", "status")
        assert (decision.alert.timeout, decision.alert.updated_at) == (77, NOW)
        assert alertlite.decide_operator_status(make_alert(before), status, None, NOW, SETTINGS).alert.timeout == 600


# --- time (contract 3.7, 1.9)

@pytest.mark.parametrize(("fields", "after"), [
    pytest.param({"timeout": 60}, "expired", id="silent for its timeout"),
    pytest.param({"timeout": 60, "status": "ack"}, "expired", id="acknowledged ones expire too"),
    pytest.param({"timeout": 60, "status": "shelved"}, "expired", id="shelved ones too"),
    pytest.param({"timeout": 61}, None, id="not silent long enough"),
    pytest.param({"timeout": 0}, None, id="zero is never"),
    pytest.param({"timeout": 0, "status": "ack", "ack_until": NOW}, "open", id="the ack ends"),
    pytest.param({"timeout": 0, "status": "ack", "ack_until": NOW + 1}, None, id="the ack ends a moment later"),
    pytest.param({"timeout": 0, "status": "shelved", "shelve_until": NOW, "before_shelve": "ack"}, "ack", id="the shelving ends"),
    pytest.param({"timeout": 0, "status": "open", "ack_until": NOW, "shelve_until": NOW}, None, id="what ended holds nothing"),
    pytest.param({"timeout": 0, "status": "closed", "updated_at": NOW - 7_200_000, "last_received_at": 0}, "delete", id="long finished"),
    pytest.param({"timeout": 0, "status": "expired", "updated_at": NOW - 7_199_999, "last_received_at": 0}, None, id="not long enough"),
    pytest.param({"timeout": 0, "severity": "informational", "last_received_at": NOW - 43_200_000}, "delete", id="informational"),
    pytest.param({"timeout": 0, "severity": "informational", "last_received_at": NOW - 43_199_999}, None, id="informational, not yet"),
])
def test_what_the_timer_decides(fields: dict[str, Any], after: str | None):
    alert = make_alert()._replace(**{"last_received_at": NOW - 60_000, **fields})
    decision = alertlite.decide_silence(alert, NOW, SETTINGS)
    assert (decision.alert.status if isinstance(decision, alertlite.Decision) else decision) == after
    deadline = alertlite.alert_deadline(alert, SETTINGS)
    assert (deadline is not None and deadline <= NOW) == (after is not None), "the deadline says when the timer has something to do"


@pytest.mark.parametrize(("fields", "began", "status"), [
    pytest.param({}, 0, "ok", id="heard in time"),
    pytest.param({"received_at": NOW - 60_000, "created_at": NOW - 60_000}, 0, "expired", id="silent for its timeout"),
    pytest.param({"received_at": NOW - 59_999, "created_at": NOW - 59_999}, 0, "ok", id="one moment before"),
    pytest.param({"created_at": NOW - 1000 - 2001}, 0, "slow", id="late by more than the latency"),
    pytest.param({"created_at": NOW - 1000 - 2000}, 0, "ok", id="late by exactly the latency"),
    pytest.param({"received_at": NOW - 60_000, "created_at": 0}, 0, "expired", id="expired before slow"),
    pytest.param({"received_at": 0, "created_at": 0}, NOW - 59_999, "ok", id="nobody listened before"),
    pytest.param({"received_at": 0, "created_at": 0}, NOW - 60_000, "expired", id="silent since we listen"),
    pytest.param({"received_at": 0, "created_at": 0, "timeout": 0}, 0, "ok", id="zero is never silent"),
    pytest.param({"created_at": NOW + 99_000}, 0, "ok", id="a sender whose clock is ahead"),
])
def test_heartbeat_status(fields: dict[str, Any], began: int, status: str):
    listening = alertlite.Listening((alertlite.DeafSpan(1, 0, began, "boot", None),) if began else ())
    beat = alertlite.Heartbeat(1, "h", "probe", "", "[]", "{}", 60, 0, None, NOW - 1000, NOW - 1000, 0)._replace(**fields)
    assert alertlite.heartbeat_status(beat, NOW, listening, 2000) == status


# --- what is worth telling

@pytest.mark.parametrize(("old", "new", "event"), [
    pytest.param(None, ("open", "major"), "alert_opened", id="a first report"),
    pytest.param(None, ("closed", "ok"), None, id="a first report that all is well"),
    pytest.param(None, ("ack", "major"), "alert_opened", id="a first report that is already known"),
    pytest.param(("open", "major"), ("open", "major"), None, id="a repetition"),
    pytest.param(("open", "major"), ("open", "critical"), "alert_severity", id="it got worse"),
    pytest.param(("ack", "major"), ("shelved", "minor"), "alert_severity", id="it got better while held"),
    pytest.param(("open", "major"), ("ack", "major"), None, id="somebody looks at it"),
    pytest.param(("ack", "major"), ("closed", "normal"), "alert_closed", id="closed: one event, not a severity too"),
    pytest.param(("shelved", "major"), ("expired", "major"), "alert_expired", id="fell silent"),
    pytest.param(("closed", "normal"), ("open", "major"), "alert_opened", id="it came back"),
    pytest.param(("expired", "major"), ("shelved", "major"), "alert_opened", id="it came back on the shelf"),
    pytest.param(("closed", "normal"), ("expired", "normal"), None, id="finished and finished"),
    pytest.param(("expired", "major"), ("closed", "ok"), None, id="expired and then closed"),
])
def test_event_of_a_change(old: tuple[str, str] | None, new: tuple[str, str], event: str | None):
    assert alertlite.alert_event_type(old and make_alert(*old), make_alert(*new)) == event


# --- scopes and logins (contract 5.3, 5.9)

@pytest.mark.parametrize(("wanted", "held", "granted"), [
    pytest.param("read:alerts", "read:alerts", True, id="held as it is"),
    pytest.param("read:alerts", "read", True, id="by the bare action"),
    pytest.param("read:alerts", "write:alerts", True, id="read by write"),
    pytest.param("read:alerts", "admin:alerts", True, id="read by admin"),
    pytest.param("read:alerts", "write", True, id="read by bare write"),
    pytest.param("read:alerts", "admin", True, id="read by bare admin"),
    pytest.param("write:alerts", "admin:alerts", True, id="write by admin"),
    pytest.param("write:alerts", "admin", True, id="write by bare admin"),
    pytest.param("write:alerts", "read read:alerts", False, id="write never by read"),
    pytest.param("admin:keys", "write:keys write read", False, id="admin never by write"),
    pytest.param("admin:keys", "admin", True, id="admin by bare admin"),
    pytest.param("delete:alerts", "delete", True, id="delete by its bare action"),
    pytest.param("delete:alerts", "write:alerts", True, id="delete by write"),
    pytest.param("delete:alerts", "admin", True, id="delete by bare admin"),
    pytest.param("delete:alerts", "read", False, id="delete never by read"),
    pytest.param("write:alerts", "delete:alerts", False, id="write never by delete"),
    pytest.param("read:alerts", "read:heartbeats admin:keys", False, id="never by another resource"),
    pytest.param("read", "read:alerts", False, id="the specific never grants the bare"),
    pytest.param("read", "admin", True, id="bare read by bare admin"),
    pytest.param("read:alerts", "", False, id="nothing is held"),
    pytest.param("restart:service.web", "restart", True, id="a scope of one's own by its bare action"),
    pytest.param("restart:service.web", "restart:service", False, id="a scope of one's own by another"),
])
def test_scopes_that_cover_others(wanted: str, held: str, granted: bool):
    assert alertlite.scope_is_granted(wanted, tuple(held.split())) is granted


def make_user(status: str) -> alertlite.User:
    return alertlite.User(1, "u", "ann@example.com", "Ann", None, None, status, "[]", "{}", "", 0, 0, 0, None)


@pytest.mark.parametrize(("login", "status", "domains", "allowed"), [
    pytest.param("ann@example.com", None, ("*",), True, id="anybody"),
    pytest.param("ann@example.com", None, ("example.com",), True, id="of an allowed domain"),
    pytest.param("ann@example.com", None, ("example.org", "ample.com"), False, id="of another domain"),
    pytest.param("ann@sub.example.com", None, ("example.com",), False, id="of a domain within it"),
    pytest.param("ann@example.com@example.org", None, ("example.com",), False, id="the last @ counts"),
    pytest.param("ann@example.org@example.com", None, ("example.com",), True, id="the last @ counts, the other way"),
    pytest.param("CORP\\ann", None, ("CORP",), True, id="a Windows-style login"),
    pytest.param("ann", None, ("example.com",), False, id="no domain at all"),
    pytest.param("ann", None, ("ann",), False, id="a login is not a domain"),
    pytest.param("ann@example.com", "active", (), True, id="on the list"),
    pytest.param("ann@example.com", "inactive", ("*", "example.com"), False, id="on the list, but inactive"),
    pytest.param("ann@example.com", None, (), False, id="neither"),
])
def test_who_may_come_in(login: str, status: str | None, domains: tuple[str, ...], allowed: bool):
    assert alertlite.login_is_allowed(login, status and make_user(status), domains) is allowed


# --- patterns (contract 4.1)

SAMPLES = ["", "a", "web", "web01", "WEB01.example.com", "web-1", "db_2", "aweb", "web01x", "node down", "http://h:80/p?q=1", "a.b", "aXb",
           "[x]", "a*b", "a?b", "50%", "x^y", "x$y", "ab", "abab", "cpu 93.5", "tab\there", "mem|swap", "(none)", "C:\\dir", "1", "_", "-"]
PATTERNS = ["", "web", "WEB", "^web", "web$", "^web$", "^web01$", "web.*com", "^web.+$", "^.$", ".", "..", "^web0[0-9]", "[a-c]", "[^a-z]",
            "^[^w]", "[A-C]x", "[-a]$", "[.]", r"\.", r"a\.b", "a.b", r"\d", r"\d\d", r"^\w\w\w$", r"\s", r"node\sdown", "web|db",
            "^web|db_2$", "^(web|db)", "(web|db)[0-9_-]", "x(a|b|)b", "(^a)|down$", r"\[x\]", r"a\*b", r"a\?b", r"a\|b|mem\|", r"x\^y",
            r"x\$y", r"\(none\)", r"c:\\dir", "50%", "a(x|.)b", "((a|b)(a|b))", ".*", ".+", "^$", "^.*$", "a|", "http://h:80/p",
            "node down", "^(a|ab)$", "[_-]"]


def sqlite_finds(globs: list[str], samples: list[str]) -> list[str]:
    db = sqlite3.connect(":memory:")
    try:
        return [text for text in samples if any(db.execute("SELECT ? GLOB ?", (text.lower(), glob)).fetchone()[0] for glob in globs)]
    finally:
        db.close()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_common_patterns_find_what_re_finds(pattern: str):
    wanted = [text for text in SAMPLES if re.search(pattern, text, re.I)]
    assert sqlite_finds(alertlite.globs_from_regex(pattern), SAMPLES) == wanted


@pytest.mark.parametrize("pattern", [
    pytest.param("a*", id="repetition"), pytest.param("a+", id="one or more"), pytest.param("a?", id="optional"),
    pytest.param("a{2}", id="counted"), pytest.param("(ab)+", id="repeated group"), pytest.param("[ab]*", id="repeated class"),
    pytest.param(r"\bweb", id="word boundary"), pytest.param(r"\D", id="negated class letter"), pytest.param("(?i)a", id="flag"),
    pytest.param("(?=a)", id="look ahead"), pytest.param(r"(a)\1", id="back reference"), pytest.param("a.*?b", id="lazy"),
    pytest.param("(a", id="unclosed parenthesis"), pytest.param("a)", id="unopened parenthesis"), pytest.param(")|(", id="wrong way round"),
    pytest.param("[a", id="unclosed class"), pytest.param("*a", id="nothing to repeat"), pytest.param("a\\", id="trailing backslash"),
    pytest.param("a^b", id="anchor in the middle"), pytest.param("a$b", id="end in the middle"),
    pytest.param("$a", id="end at the start"), pytest.param("a^", id="start at the end"),
    pytest.param("(a|b)" * 6, id="too many alternatives"), pytest.param("a.*" * 20, id="too many wildcards"),
    pytest.param("a" * 501, id="too long"), pytest.param("(" * 400, id="deep"),
])
def test_other_patterns_are_refused(pattern: str):
    with pytest.raises(alertlite.Invalid):
        alertlite.globs_from_regex(pattern)


TOKENS = ["a", "b", "B", ".", ".*", ".+", "|", "(", ")", "^", "$", "[ab]", "[^a]", r"\.", r"\d", "*", "1", "-", "_", " "]


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=8).map("".join), st.lists(st.text("abB.1-_ ", max_size=5), max_size=12))
def test_any_pattern_is_refused_or_finds_what_re_finds(pattern: str, samples: list[str]):
    try:
        globs = alertlite.globs_from_regex(pattern)
    except alertlite.Invalid:
        return
    assert sqlite_finds(globs, samples) == [text for text in samples if re.search(pattern, text, re.I)]


# --- the q language (contract 4.3)

def parsed(text: str, default: str = "text") -> Any:
    return alertlite.QueryParser(text, default, alertlite.known_query_field).parse()


def has(value: str, field: str = "text") -> Match:
    return Match(field, "contains", value)


A, B, C, D = (has(letter) for letter in "abcd")
T1, T2 = "2030-01-01T00:00:00.000Z", "2030-01-02T10:30:00.5Z"


@pytest.mark.parametrize(("text", "tree"), [
    pytest.param("a", A, id="a word"),
    pytest.param("a b", AnyOf((A, B)), id="side by side is or"),
    pytest.param("a b c d", AnyOf((A, B, C, D)), id="a long chain side by side"),
    pytest.param("a OR b || c OR d", AnyOf((A, B, C, D)), id="a long chain of or"),
    pytest.param("a AND b && c AND d", AllOf((A, B, C, D)), id="a long chain of and"),
    pytest.param("a AND b OR c", AnyOf((AllOf((A, B)), C)), id="and before or"),
    pytest.param("a OR b AND c", AnyOf((A, AllOf((B, C)))), id="and before or, to the right"),
    pytest.param("a b AND c d", AnyOf((A, AllOf((B, C)), D)), id="and before side by side"),
    pytest.param("NOT a AND b", AllOf((NoneOf(A), B)), id="not before and"),
    pytest.param("NOT a OR b", AnyOf((NoneOf(A), B)), id="not before or"),
    pytest.param("!a && !b", AllOf((NoneOf(A), NoneOf(B))), id="not as a sign"),
    pytest.param("NOT NOT a", A, id="not of not"),
    pytest.param("a NOT b", AllOf((A, NoneOf(B))), id="a term and what it must not be"),
    pytest.param("a NOT b c", AnyOf((AllOf((A, NoneOf(B))), C)), id="and the next is or again"),
    pytest.param("a AND NOT b", AllOf((A, NoneOf(B))), id="and not"),
    pytest.param("(a OR b) AND c", AllOf((AnyOf((A, B)), C)), id="parentheses"),
    pytest.param("NOT (a b)", NoneOf(AnyOf((A, B))), id="not of parentheses"),
    pytest.param("a AND (b OR (c AND d))", AllOf((A, AnyOf((B, AllOf((C, D)))))), id="parentheses within parentheses"),
    pytest.param("and or not", AnyOf((has("and"), has("or"), has("not"))), id="key words are upper case"),
    pytest.param("+a -b", AllOf((A, NoneOf(B))), id="signs mean must and must not"),
    pytest.param("a +b", AllOf((A, B)), id="a sign joins what is side by side"),
    pytest.param('"some words"', Match("text", "phrase", "some words"), id="a phrase"),
    pytest.param(r'"a \"b\" c"', Match("text", "phrase", 'a "b" c'), id="a phrase with quotes"),
    pytest.param('"a AND (b"', Match("text", "phrase", "a AND (b"), id="a phrase hides the language"),
    pytest.param("event:down", has("down", "event"), id="a field"),
    pytest.param('event:"node down"', Match("event", "phrase", "node down"), id="a phrase in a field"),
    pytest.param("event:(a OR b)", AnyOf((has("a", "event"), has("b", "event"))), id="a field group"),
    pytest.param("event:(a b) c", AnyOf((AnyOf((has("a", "event"), has("b", "event"))), C)), id="a field group ends"),
    pytest.param('event:(a AND NOT "b c")', AllOf((has("a", "event"), NoneOf(Match("event", "phrase", "b c")))), id="logic in a group"),
    pytest.param("_.key:(a b)", AnyOf((has("a", "attributes.key"), has("b", "attributes.key"))), id="an attribute group"),
    pytest.param("attributes.key:a", has("a", "attributes.key"), id="an attribute by its full name"),
    pytest.param('_.key:"a b"', Match("attributes.key", "phrase", "a b"), id="a phrase in an attribute"),
    pytest.param("_exists_:key", Match("attributes.key", "exists", None), id="an attribute exists"),
    pytest.param("last_receive_id:a lastReceiveId:a", AnyOf((has("a", "lastReceiveId"),) * 2), id="both spellings of a field"),
    pytest.param("resource:web01.example.com", has("web01.example.com", "resource"), id="a dotted name"),
    pytest.param("web01.example.com", has("web01.example.com"), id="a dotted name in the default field"),
    pytest.param("resource:a/b", has("a/b", "resource"), id="a path"),
    pytest.param("10.0.0.1:8080", has("10.0.0.1:8080"), id="a colon after a number"),
    pytest.param("event:a~2 event:b^1.5 c~", AnyOf((has("a", "event"), has("b", "event"), C)), id="fuzziness and boost"),
    pytest.param("event:/^a.b/", Match("event", "globs", ["a?b*"]), id="a pattern in a field"),
    pytest.param("/a|b/", Match("text", "globs", ["*a*", "*b*"]), id="a pattern"),
    pytest.param("duplicateCount:>10", Match("duplicateCount", "range", ("10", False, None, False)), id="greater"),
    pytest.param("duplicateCount:>=10", Match("duplicateCount", "range", ("10", True, None, False)), id="greater or equal"),
    pytest.param("duplicateCount:<10", Match("duplicateCount", "range", (None, False, "10", False)), id="less"),
    pytest.param("duplicateCount:<=10", Match("duplicateCount", "range", (None, False, "10", True)), id="less or equal"),
    pytest.param("timeout:[1 TO 5]", Match("timeout", "range", ("1", True, "5", True)), id="inclusive range"),
    pytest.param("timeout:{1 TO 5}", Match("timeout", "range", ("1", False, "5", False)), id="exclusive range"),
    pytest.param("timeout:[1 TO 5}", Match("timeout", "range", ("1", True, "5", False)), id="mixed brackets"),
    pytest.param("timeout:{1 TO *]", Match("timeout", "range", ("1", False, None, True)), id="no upper bound"),
    pytest.param("timeout:[* TO 5]", Match("timeout", "range", (None, True, "5", True)), id="no lower bound"),
    pytest.param("_.load:[a TO b] AND c", AllOf((Match("attributes.load", "range", ("a", True, "b", True)), C)), id="an attribute's range"),
    pytest.param(f"createTime:[{T1} TO {T2}]", Match("createTime", "range", (T1, True, T2, True)), id="range of times"),
    pytest.param(f"lastReceiveTime:>{T1}", Match("lastReceiveTime", "range", (T1, False, None, False)), id="after a time"),
    pytest.param(f"createTime:{T1}", has(T1, "createTime"), id="a time as a term"),
    pytest.param('-event:"node down"', NoneOf(Match("event", "phrase", "node down")), id="a sign before a phrase in a field"),
    pytest.param('-"node down"', NoneOf(Match("text", "phrase", "node down")), id="a sign before a phrase"),
    pytest.param("-event:(a b)", NoneOf(AnyOf((has("a", "event"), has("b", "event")))), id="a sign before a group"),
    pytest.param("-(a b)", NoneOf(AnyOf((A, B))), id="a sign before parentheses"),
    pytest.param("-timeout:[1 TO 5]", NoneOf(Match("timeout", "range", ("1", True, "5", True))), id="a sign before a range"),
])
def test_queries_are_understood(text: str, tree: Any):
    assert parsed(text) == tree


def test_default_field_of_a_query_can_be_another():
    assert parsed("a text:b", "event") == AnyOf((has("a", "event"), B))


@pytest.mark.parametrize(("text", "found", "not_found"), [
    ("tes*", "a test here", "attest"), ("te?t", "tet", "teest"), ("te?t", "the TEST", "testing"), ("Http*", "x httperror", "xhttp"),
    ("*down", "breakdown now", "downs"), ("w*1.example", "web01.example", "web01xexample"),
])
def test_wildcards_match_whole_words(text: str, found: str, not_found: str):
    match = parsed(text)
    assert match.op == "words" and sqlite_finds(match.value, [f" {found} ", f" {not_found} "]) == [f" {found} "]


@pytest.mark.parametrize("text", [
    pytest.param("(a", id="not closed"), pytest.param("a)", id="not opened"), pytest.param("()", id="empty group"),
    pytest.param('"a', id="an open phrase"), pytest.param("AND", id="only a word of logic"), pytest.param("a AND", id="nothing follows"),
    pytest.param("OR a", id="nothing before"), pytest.param("a AND OR b", id="two in a row"), pytest.param("NOT", id="not of nothing"),
    pytest.param("bogus:a", id="unknown field"), pytest.param("bogus:(a b)", id="unknown field of a group"),
    pytest.param('bogus:"a b"', id="unknown field of a phrase"), pytest.param("timeout:[1 TO", id="an open range"),
    pytest.param("timeout:[1]", id="a range of one"), pytest.param("event:(", id="an open field group"),
    pytest.param("a ] b", id="a stray bracket"),
    pytest.param("event:/a+/", id="a pattern that cannot be served"), pytest.param("a " * 101, id="too many terms"),
    pytest.param("(" * 21 + "a" + ")" * 21, id="too deep"), pytest.param("a?????", id="too many wildcards"),
])
def test_queries_that_cannot_be_read_are_refused(text: str):
    with pytest.raises(alertlite.Invalid):
        parsed(text)
