"""The official `alerta` command line client, run as its users run it, against the real server.

The client takes about half a second to start. So the tests share one server, the commands that only list run side by
side, and what a test needs beforehand it asks for over HTTP.
"""
from __future__ import annotations

import fcntl
import itertools
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ADMIN_KEY, Server

import alertlite

pytestmark = pytest.mark.slow                      # each test starts processes; continuous integration runs them all

ALERTA = [sys.executable, "-m", "alertaclient"]
NUMBERS = itertools.count(1)


class Client:
    """The official client of one server, cut off from any settings of the person who runs the tests."""

    def __init__(self, server: Server, key: str):
        self.server, home = server, server.folder
        (home / "alerta.conf").touch()
        # Without a terminal but with TERM set, `send` would wait for alerts on its standard input.
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith("ALERTA_") and name not in ("TERM", "PS1", "DEBUG", "CLICOLOR")}
        self.env = {**kept, "HOME": str(home), "ALERTA_CONF_FILE": str(home / "alerta.conf"), "ALERTA_ENDPOINT": server.url,
                    "ALERTA_API_KEY": key, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}

    def run(self, *args: str, key: str | None = None) -> SimpleNamespace:
        """What a command ended with: status, out, err."""
        env = self.env if key is None else {**self.env, "ALERTA_API_KEY": key}
        done = subprocess.run([*ALERTA, *args], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        return SimpleNamespace(status=done.returncode, out=done.stdout, err=done.stderr)

    def __call__(self, *args: str) -> str:
        """What a command that must succeed prints."""
        done = self.run(*args)
        assert done.status == 0, done
        return done.out.rstrip()          # a table may begin with blanks

    def side_by_side(self, commands: list[list[str]]) -> list[SimpleNamespace]:
        """What commands that do not touch each other ended with."""
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda command: self.run(*command), commands))


def started(folder: Any, **env: str) -> Server:
    return Server(folder, ALERTLITE_ALLOWED_ENVIRONMENTS="Production,Development", **env).start()


@pytest.fixture(scope="module")
def alerta(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The client of a server with authentication on, with the administrator's key."""
    server = started(tmp_path_factory.mktemp("closed"))
    yield Client(server, ADMIN_KEY)
    server.kill()


@pytest.fixture(scope="module")
def open_alerta(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The client of a server with authentication off, without a key."""
    server = started(tmp_path_factory.mktemp("open"), ALERTLITE_AUTH="off")
    yield Client(server, "")
    server.kill()


def asked(client: Client, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    """The answer to a request of our own, past the client."""
    answer = client.server.request(method, path, body)
    assert answer.status == status, answer
    return answer.json


def new_alert(client: Client, **fields: Any) -> dict[str, Any]:
    """An alert that no other test touches."""
    body = {"resource": f"host{next(NUMBERS)}", "event": "DiskFull", "environment": "Production", "severity": "major", "service": ["Web"]}
    return asked(client, "POST", "/alert", {**body, **fields}, 201)["alert"]


def alert_now(client: Client, alert: dict[str, Any]) -> dict[str, Any]:
    return asked(client, "GET", f"/alert/{alert['id']}")["alert"]


# --- alerts

def test_send_stores_every_field_and_a_second_send_is_counted_as_a_duplicate(alerta):
    send = ("send", "-r", "router-9", "-e", "LinkDown", "-E", "Development", "-s", "critical", "-C", "LinkUp", "-S", "Network",
            "-S", "Core", "-g", "Net", "-v", "eth0", "-t", "link is down: ü", "-T", "paris", "-A", "rack=b7", "-O", "snmp/poller",
            "--type", "trapAlert", "--timeout", "600", "--raw-data", "OID 1.3", "--customer", "ACME")
    ident, change = re.fullmatch(r"(\S+) \((.*)\)", alerta(*send)).groups()
    assert change == "indeterminate -> critical"
    alert = alert_now(alerta, {"id": ident})
    expected = {"resource": "router-9", "event": "LinkDown", "environment": "Development", "severity": "critical", "status": "open",
                "correlate": ["LinkUp", "LinkDown"], "service": ["Network", "Core"], "group": "Net", "value": "eth0",
                "text": "link is down: ü", "tags": ["paris"], "origin": "snmp/poller", "type": "trapAlert", "timeout": 600,
                "rawData": "OID 1.3", "customer": "ACME"}
    assert {name: alert[name] for name in expected} == expected and alert["attributes"]["rack"] == "b7"
    assert alerta(*send) == f"{ident} (1 duplicates)"


REFUSED_SENDS = (
    (["-E", "Moon", "-S", "Web"], "[POLICY] Alert environment does not match", "an environment that is not allowed"),
    (["-E", "Production", "-s", "dire"], "Severity (dire) is not one of security, critical", "an unknown severity"),
    (["-E", "Production", "-A", "a.b=c"], "Attribute keys must not contain", "a dot in the name of an attribute"),
)


def test_a_refused_send_fails_with_the_reason_of_the_server(alerta):
    ended = alerta.side_by_side([["send", "-r", "nowhere", "-e", "Refused", *args] for args, _, _ in REFUSED_SENDS])
    for done, (_, message, reason) in zip(ended, REFUSED_SENDS, strict=True):
        assert (done.status, done.out) == (1, "") and done.err.startswith("ERROR: ") and message in done.err, (reason, done)
    assert asked(alerta, "GET", "/alerts/count?event=Refused")["total"] == 0


def test_an_unknown_key_is_refused(alerta):
    done = alerta.run("query", key="no-such-key-0123456789")
    assert done.status != 0 and done.out == "" and "API key" in done.err


def test_a_key_for_reading_may_query_but_not_send(alerta):
    key = asked(alerta, "POST", "/key", {"user": "viewer", "scopes": ["read:alerts"]}, 201)["key"]
    alert = new_alert(alerta, event="OnlyRead")
    shown = alerta.run("query", "-f", "event=OnlyRead", key=key)
    assert shown.status == 0 and alert["resource"] in shown.out
    refused = alerta.run("send", "-r", "nowhere", "-e", "OnlyRead", "-E", "Production", key=key)
    assert refused.status == 1 and "Missing required scope: write:alerts" in refused.err


def test_query_finds_by_short_id_by_filter_and_by_search_text(alerta):
    alert, other = new_alert(alerta, text="sought after", tags=["attic"], value="99%"), new_alert(alerta, severity="minor")
    full = alerta("query", "-i", alert["id"][:8], "--full")
    assert alert["resource"] in full and "sought after" in full and "attic" in full and other["resource"] not in full
    row, = rows_of(alerta("query", "-f", f"resource={alert['resource']}", "-f", "severity=major"))
    assert (row["ID"], row["RESOURCE"], row["VALUE"]) == (alert["id"][:8], alert["resource"], "99%")
    found = json.loads(alerta("--json", "query", "-q", 'text:"sought after" AND tags:attic'))
    assert [row["id"] for row in found] == [alert["id"]]


# What a command leads to: how it picks its alert, what happened before, then status, severity and timeout in the history.
OPERATIONS = {
    "ack by id": ("ack", (), ["-i", "{id}"], "ack", "major", 0),
    "unack by short id leads back to open": ("unack", ("ack",), ["-i", "{id:.8}"], "open", "major", 86400),
    "shelve by filter": ("shelve", ("ack",), ["-f", "resource={resource}"], "shelved", "major", 7200),
    "unshelve by search text leads back to the acknowledgement":
        ("unshelve", ("ack", "shelve"), ["-q", "resource:{resource}"], "ack", "major", 7200),
    "close by two filters": ("close", (), ["-f", "resource={resource}", "-f", "status=open"], "closed", "normal", 86400),
    "a custom action by id": ("action", (), ["-a", "page-oncall", "-i", "{id}"], "open", "major", 86400),
}


@pytest.fixture(scope="module")
def operated(alerta: Client) -> dict[str, tuple[dict[str, Any], SimpleNamespace]]:
    """The alert of each operation as it is afterwards, and what its command ended with; the commands run side by side."""
    alerts, commands = [], []
    for command, before, pick, *_ in OPERATIONS.values():
        alerts.append(new_alert(alerta))
        for action in before:
            asked(alerta, "PUT", f"/alert/{alerts[-1]['id']}/action", {"action": action})
        commands.append([command, *(item.format_map(alerts[-1]) for item in pick), "--text", "on my watch"])
    ended = alerta.side_by_side(commands)
    return {name: (alert_now(alerta, alert), done) for name, alert, done in zip(OPERATIONS, alerts, ended, strict=True)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operator_command_moves_the_alert_and_is_in_its_history(operated, name):
    command, _, _, status, severity, timeout = OPERATIONS[name]
    alert, done = operated[name]
    assert done.status == 0 and "1 alerts" in done.out and "skipped" not in done.out, done
    assert (alert["status"], alert["severity"]) == (status, severity)
    last = alert["history"][-1]
    assert (last["type"], last["text"], last["status"], last["timeout"]) == (command, "on my watch", status, timeout)


def test_an_operator_command_without_text_and_one_that_makes_no_sense_both_end_well(alerta):
    alert = new_alert(alerta)
    alerta("ack", "-i", alert["id"])                  # sends text: null
    assert [(entry["type"], entry["text"]) for entry in alert_now(alerta, alert)["history"][1:]] == [("ack", None)]
    alerta("ack", "-i", alert["id"])                  # is refused with 409, which the client counts as skipped
    assert alert_now(alerta, alert)["history"][2:] == []


def test_tag_and_untag_change_the_tags_of_the_chosen_alerts_only(alerta):
    first, second, other = (new_alert(alerta, event=event, tags=["old"]) for event in ("TagMe", "TagMe", "LeaveMe"))
    assert "Tagging 2 alerts" in alerta("tag", "-f", "event=TagMe", "-T", "new", "-T", "os:linux")
    assert [set(alert_now(alerta, alert)["tags"]) for alert in (first, second, other)] == [{"old", "new", "os:linux"}] * 2 + [{"old"}]
    alerta("untag", "-i", first["id"], "-T", "old", "-T", "absent")
    assert [set(alert_now(alerta, alert)["tags"]) for alert in (first, second)] == [{"new", "os:linux"}, {"old", "new", "os:linux"}]


def test_update_merges_attributes(alerta):
    alert = new_alert(alerta, attributes={"rack": "a1", "room": "2"})
    alerta("update", "-i", alert["id"], "-A", "rack=c3", "-A", "owner=ops")
    attributes = alert_now(alerta, alert)["attributes"]
    assert (attributes["rack"], attributes["room"], attributes["owner"]) == ("c3", "2", "ops")


def test_delete_removes_the_chosen_alerts_for_good(alerta):
    gone, kept = new_alert(alerta, event="DeleteMe"), new_alert(alerta, event="KeepMe")
    assert "Deleting 1 alerts" in alerta("delete", "-f", "event=DeleteMe")
    assert alerta.server.request("GET", f"/alert/{gone['id']}").status == 404
    assert alert_now(alerta, kept)["status"] == "open"


def test_a_note_is_added_listed_and_deleted(alerta):
    alert = new_alert(alerta)
    alerta("note", "-i", alert["id"], "--text", "spare disk is in drawer 4")
    note = asked(alerta, "GET", f"/alert/{alert['id']}/notes")["notes"][0]
    assert note["text"] == "spare disk is in drawer 4"
    row, = rows_of(alerta("notes", "-i", alert["id"]))
    assert (row["NOTE ID"], row["NOTE"], row["RELATED ID"]) == (note["id"], "spare disk is in drawer 4", alert["id"])
    alerta("note", "-D", alert["id"], note["id"])
    assert asked(alerta, "GET", f"/alert/{alert['id']}/notes")["notes"] == []
    assert [entry["type"] for entry in alert_now(alerta, alert)["history"]] == ["new", "note", "dismiss"]


def run_on_terminal(client: Client, *args: str, typed: bytes, seconds: float = 20) -> tuple[int, str]:
    """Runs a full-screen command on a terminal of its own; its exit status and what it drew. typed: keys pressed at once."""
    terminal, inside = pty.openpty()
    try:
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 180, 0, 0))
        env = {name: value for name, value in client.env.items() if name != "COLUMNS"}
        process = subprocess.Popen([*ALERTA, *args], env={**env, "TERM": "xterm"}, stdin=inside, stdout=inside, stderr=inside)
    finally:
        os.close(inside)
    drawn, deadline = b"", time.monotonic() + seconds
    try:
        os.write(terminal, typed)
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    part = os.read(terminal, 65536)
                except OSError:                       # Linux: the other side is closed
                    break
                drawn += part
        return process.wait(5), drawn.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_top_draws_its_screen(alerta):
    alert = new_alert(alerta, event="OnTop", text="see me on the screen")
    status, drawn = run_on_terminal(alerta, "top", typed=b"q")      # q is read after the first screen
    assert status == 0, drawn
    assert f"alerta {alertlite.__version__}" in drawn and alert["resource"] in drawn and "see me on the screen" in drawn
    assert "no errors" in drawn and "Count: " in drawn


@pytest.mark.slow
def test_watch_asks_again_and_shows_what_is_new(alerta):
    alert = new_alert(alerta, event="Watched")
    process = subprocess.Popen([*ALERTA, "watch", "-f", "event=Watched", "-n", "1"], env={**alerta.env, "PYTHONUNBUFFERED": "1"},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for wanted in (alert["resource"], "news"):
            deadline = time.monotonic() + 20
            for line in process.stdout:
                assert "Traceback" not in line and time.monotonic() < deadline
                if wanted in line:
                    break
            else:
                raise AssertionError(f"watch ended with {process.wait()} before it showed {wanted}")
            if wanted != "news":
                new_alert(alerta, event="Watched", resource="news")  # it now asks with from-date, the lastTime that we gave
    finally:
        process.kill()
        process.communicate()


# --- lists and reports

def rows_of(table: str) -> list[dict[str, str]]:
    """The rows of a table as the client draws it, by the names of the columns, which come in any order."""
    titles, rule, *lines = table.splitlines()
    spans = [match.span() for match in re.finditer("-+", rule)]
    cut = [[line[start:end].strip() for start, end in spans] for line in (titles, *lines)]
    return [dict(zip(cut[0], row, strict=True)) for row in cut[1:]]


@pytest.fixture(scope="module")
def reports(alerta: Client) -> dict[str, str]:
    """What the commands print that change nothing, run side by side. They see one alert of the environment Development at least."""
    alert = new_alert(alerta, environment="Development", service=["Listed"], group="Lists", tags=["listed"], event="ListMe", value="0 left")
    asked(alerta, "PUT", f"/alert/{alert['id']}/action", {"action": "ack", "text": "seen it"})
    asked(alerta, "POST", "/user", {"name": "Root", "login": "root@listed.example", "roles": ["admin"]}, 201)
    asked(alerta, "POST", "/user", {"name": "Guest", "login": "guest@listed.example", "roles": ["guest"]}, 201)
    asked(alerta, "POST", "/key", {"user": "root@listed.example", "scopes": ["read:alerts"], "text": "for the wall screen"}, 201)
    commands = {"environments": "alerts -E", "services": "alerts -S", "groups": "alerts -g", "tags": "alerts -T",
                "history": f"history -i {alert['id'][:8]}", "keys": "keys", "users": "users", "admins": "users --role admin",
                "status": "status", "uptime": "uptime", "version": "version", "config": "config"}
    ended = alerta.side_by_side([command.split() for command in commands.values()])
    assert all(done.status == 0 for done in ended), ended
    return {name: done.out.rstrip() for name, done in zip(commands, ended, strict=True)}


ROWS = [
    pytest.param("services", {"ENVIRONMENT": "Development", "SERVICE": "Listed", "COUNT": "1", "SEVERITY COUNTS": "{'major': 1}",
                              "STATUS COUNTS": "{'ack': 1}"}, id="a service and its counts"),
    pytest.param("groups", {"ENVIRONMENT": "Development", "GROUP": "Lists", "COUNT": "1"}, id="a group and its count"),
    pytest.param("tags", {"ENVIRONMENT": "Development", "TAG": "listed", "COUNT": "1"}, id="a tag and its count"),
    pytest.param("history", {"TYPE": "ack", "STATUS": "ack", "TEXT": "seen it", "EVENT": "ListMe", "SERVICE": "Listed", "VALUE": "0 left"},
                 id="an action, with fields of the alert"),
    pytest.param("history", {"TYPE": "new", "STATUS": "open", "SEVERITY": "major", "GROUP": "Lists"}, id="how the alert began"),
    pytest.param("keys", {"USER": "root@listed.example", "SCOPES": "read:alerts", "TEXT": "for the wall screen", "COUNT": "0"},
                 id="whose key it is and what for"),
    pytest.param("users", {"USER": "Guest", "EMAIL": "guest@listed.example", "ROLES": "guest", "STATUS": "active", "VERIFIED": "no"},
                 id="a user"),
    pytest.param("admins", {"USER": "Root", "EMAIL": "root@listed.example", "ROLES": "admin"}, id="a user with the role asked for"),
    pytest.param("status", {"METRIC": "Total alerts", "TYPE": "gauge", "NAME": "alerts.total"}, id="a gauge"),
    pytest.param("status", {"TYPE": "counter", "NAME": "alerts.rejected"}, id="a counter"),
]


@pytest.mark.parametrize(("command", "expected"), ROWS)
def test_a_list_has_the_row(reports, command, expected):
    rows = rows_of(reports[command])
    assert any(expected.items() <= row.items() for row in rows), rows


def test_a_list_of_environments_counts_alerts_by_severity_and_status(reports):
    counts = {row["ENVIRONMENT"]: row for row in rows_of(reports["environments"])}["Development"]
    assert int(counts["COUNT"]) >= 1 and "'major': " in counts["SEVERITY COUNTS"] and "'ack': " in counts["STATUS COUNTS"]


TEXTS = [
    pytest.param("uptime", r"\d\d:\d\d up 0 days 00:0\d", id="the clock and how long it has run"),
    pytest.param("version", rf"alerta {re.escape(alertlite.__version__)}\nalerta client 8\.", id="its version, then the client's"),
    pytest.param("config", r"(?m)^auth_required +: True$", id="that keys are needed"),
    pytest.param("config", r"(?m)^environments +: Production, Development$", id="a list"),
    pytest.param("config", r"(?m)^alarm_model +: \{.*'normal_severity': 'normal'", id="the alarm model, which other commands need"),
]


@pytest.mark.parametrize(("command", "pattern"), TEXTS)
def test_a_report_says(reports, command, pattern):
    assert re.search(pattern, reports[command]), reports[command]


def test_status_shows_a_mean_time_for_what_was_done_at_least_once(reports):
    timers = {row["NAME"]: row for row in rows_of(reports["status"]) if row["TYPE"] == "timer"}
    received = timers["alerts.received"]
    assert int(received["VALUE"]) >= 1 and 0 <= float(received["AVERAGE"]) < 5000    # milliseconds


def test_users_by_role_are_only_those_with_the_role(reports):
    assert {row["ROLES"] for row in rows_of(reports["admins"])} == {"admin"}
    assert {row["ROLES"] for row in rows_of(reports["users"])} >= {"admin", "guest"}


def test_no_list_shows_a_whole_key(reports):
    assert ADMIN_KEY not in reports["keys"] and ADMIN_KEY[:6] in reports["keys"]


# --- heartbeats

def test_heartbeats_are_sent_listed_turned_into_alerts_and_purged(alerta):
    ok = alerta("heartbeat", "-O", "cron/backup", "-T", "nightly", "-E", "Development", "-S", "Backup", "-g", "Jobs", "-s", "critical",
                "--timeout", "3600")
    beat = asked(alerta, "GET", f"/heartbeat/{ok}")["heartbeat"]
    wanted = {"environment": "Development", "severity": "critical", "service": ["Backup"], "group": "Jobs"}
    assert (beat["origin"], beat["tags"], beat["timeout"], beat["status"]) == ("cron/backup", ["nightly"], 3600, "ok")
    assert beat["attributes"] == wanted
    # Sent long ago and received now: slow. It has a severity of its own, so that the client's default does not count.
    slow = asked(alerta, "POST", "/heartbeat", {"origin": "cron/slow", "createTime": "2020-01-01T00:00:00.000Z",
                                                "attributes": {"severity": "minor", "environment": "Production"}}, 201)["id"]

    out = alerta("heartbeats", "--alert")
    assert re.search(r"(?m)^\S+ +cron/backup .*nightly.* ok$", out) and re.search(r"(?m)^\S+ +cron/slow .* slow$", out), out
    assert "Alerting 2 heartbeats" in out
    found = {alert["resource"]: alert for alert in asked(alerta, "GET", "/alerts?type=heartbeatAlert")["alerts"]}
    assert {name: (alert["event"], alert["severity"], alert["status"], alert["environment"], alert["service"], alert["group"])
            for name, alert in found.items()} == {
        "cron/backup": ("HeartbeatOK", "normal", "closed", "Development", ["Backup"], "Jobs"),
        "cron/slow": ("HeartbeatSlow", "minor", "open", "Production", ["Alerta"], "System")}

    assert "Purging 1 heartbeats" in alerta("heartbeats", "--purge")
    assert [row["id"] for row in asked(alerta, "GET", "/heartbeats")["heartbeats"]] == [ok] != [slow]
    alerta("heartbeat", "-D", ok)
    assert asked(alerta, "GET", "/heartbeats")["heartbeats"] == []


def test_alerting_on_a_silent_heartbeat_repeats_the_alert_that_the_server_raised(open_alerta):
    asked(open_alerta, "POST", "/heartbeat", {"origin": "cron/silent", "timeout": 1, "attributes": {"severity": "critical"}}, 201)
    deadline = time.monotonic() + 10
    while not (found := asked(open_alerta, "GET", "/alerts?resource=cron/silent")["alerts"]):
        assert time.monotonic() < deadline, "the server raised no alert"
        time.sleep(0.02)
    assert re.search(r"(?m)^\S+ +cron/silent .* expired$", open_alerta("heartbeats", "--alert"))
    again = asked(open_alerta, "GET", "/alerts?resource=cron/silent")["alerts"]
    assert [(alert["id"], alert["event"], alert["severity"], alert["duplicateCount"]) for alert in again] == [
        (found[0]["id"], "HeartbeatFail", "critical", 1)]


# --- keys and users

def test_a_key_is_made_used_and_revoked(alerta):
    key = alerta("key", "-u", "ops@example.com", "--scope", "read:alerts", "--text", "wall screen", "--duration", "3600")
    shown = asked(alerta, "GET", f"/key/{key}")["key"]
    assert (shown["user"], shown["scopes"], shown["text"], shown["status"]) == ("ops@example.com", ["read:alerts"], "wall screen", "active")
    lifetime = alertlite.ms_from_text(shown["expireTime"]) / 1000 - time.time()
    assert 3600 - 60 < lifetime <= 3600
    assert alerta.server.request("GET", "/alerts", key=key).status == 200
    assert alerta.server.request("GET", "/users", key=key).status == 403
    alerta("revoke", "-K", key)
    assert alerta.server.request("GET", "/alerts", key=key).status == 401


@pytest.mark.slow
def test_a_key_of_ones_own_words_is_taken_and_deleted_by_its_id(alerta):
    own = "my-own-words-for-a-key"
    assert alerta("key", "-K", own, "-u", "ops@example.com") == own
    shown = asked(alerta, "GET", f"/key/{own}")["key"]
    assert shown["scopes"] == ["read", "write"] and shown["text"] == "API Key for ops@example.com"
    alerta("key", "-D", shown["id"])
    assert alerta.server.request("GET", "/alerts", key=own).status == 401


@pytest.mark.slow
def test_alerting_on_keys_says_which_ones_expire_soon(alerta):
    body = {"user": "ops@example.com", "text": "ends soon", "expireTime": alertlite.text_from_ms(int(time.time() + 86400) * 1000)}
    soon = asked(alerta, "POST", "/key", body, 201)["data"]["id"]
    alerta("--json", "keys", "--alert")               # without --json this option of the client fails by itself
    found = {alert["resource"]: alert for alert in asked(alerta, "GET", "/alerts?type=apiKeyAlert")["alerts"]}
    assert (found[soon]["event"], found[soon]["severity"], found[soon]["status"]) == ("ApiKeyExpiring", "warning", "open")
    others = [alert for ident, alert in found.items() if ident != soon]
    assert others and {(alert["event"], alert["status"]) for alert in others} == {("ApiKeyOK", "closed")}


def test_a_user_is_made_shown_changed_and_deleted(alerta):
    ident = alerta("user", "--name", "Ada", "--email", "ada@example.com", "--password", "pass:word", "--role", "user", "--text", "on call")
    made = asked(alerta, "GET", f"/user/{ident}")["user"]
    assert (made["name"], made["login"], made["roles"]) == ("Ada", "ada@example.com", ["user"])
    assert (made["status"], made["text"]) == ("active", "on call")
    row, = rows_of(alerta("user", "-i", ident))
    assert (row["USER"], row["EMAIL"], row["ROLES"], row["STATUS"], row["TEXT"]) == ("Ada", "ada@example.com", "user", "active", "on call")
    assert rows_of(alerta("user", "-i", ident, "--groups")) == []

    assert alerta("user", "-i", ident, "--name", "Ada L.", "--status", "inactive", "--email-verified") == ident
    changed = asked(alerta, "GET", f"/user/{ident}")["user"]
    assert (changed["name"], changed["status"], changed["email_verified"]) == ("Ada L.", "inactive", True)
    # what the client sends as null or empty stays
    assert (changed["email"], changed["roles"], changed["text"]) == ("ada@example.com", ["user"], "on call")

    alerta("user", "-D", ident)
    assert alerta.server.request("GET", f"/user/{ident}").status == 404


@pytest.mark.slow
def test_a_second_user_with_the_same_address_is_refused(alerta):
    asked(alerta, "POST", "/user", {"name": "Bo", "email": "bo@example.com"}, 201)
    done = alerta.run("user", "--name", "Bo", "--email", "bo@example.com", "--password", "secret-of-bo")
    assert done.status == 1 and done.err.startswith("ERROR: ") and "bo@example.com" in done.err


@pytest.mark.slow
def test_me_is_refused_to_a_key_which_would_else_be_as_strong_as_its_user(alerta):
    asked(alerta, "POST", "/user", {"name": "Cy", "email": "cy@example.com"}, 201)
    key = asked(alerta, "POST", "/key", {"user": "cy@example.com", "scopes": ["read", "write"]}, 201)["key"]
    done = alerta.run("me", "--name", "Cyrus", key=key)
    assert (done.status, done.err) == (1, "ERROR: not found\n")


# --- housekeeping

def test_housekeeping_keeps_what_is_young(alerta):
    alert = new_alert(alerta)
    asked(alerta, "PUT", f"/alert/{alert['id']}/action", {"action": "close"})
    assert alerta("housekeeping", "--expired", "1", "--info", "1") == ""
    assert alert_now(alerta, alert)["status"] == "closed"


def test_housekeeping_needs_the_right_to_manage(alerta):
    key = asked(alerta, "POST", "/key", {"user": "ops@example.com", "scopes": ["read", "write"]}, 201)["key"]
    done = alerta.run("housekeeping", key=key)
    assert done.status != 0 and "Missing required scope: admin:management" in done.err


# --- without authentication

def test_without_authentication_no_key_is_needed(open_alerta):
    ident, _ = open_alerta("send", "-r", "bench", "-e", "Smoke", "-E", "Production", "-s", "minor").split(" ", 1)
    assert json.loads(open_alerta("--json", "query", "-i", ident))[0]["resource"] == "bench"
    open_alerta("ack", "-i", ident)
    alert = alert_now(open_alerta, {"id": ident})
    assert (alert["status"], alert["history"][-1]["user"]) == ("ack", None)


def test_without_authentication_keys_and_users_can_be_made_for_the_day_it_is_on(open_alerta):
    key = open_alerta("key", "-u", "ops@example.com", "--scope", "admin")
    assert open_alerta.server.request("GET", "/users", key=key).status == 200
    ident = open_alerta("user", "--name", "Dee", "--email", "dee@example.com", "--password", "secret-of-dee", "--role", "admin")
    assert asked(open_alerta, "GET", f"/user/{ident}")["user"]["roles"] == ["admin"]
