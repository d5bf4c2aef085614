"""What was answered is kept: the real server under load, killed, stopped and left alone."""
from __future__ import annotations

import base64
import collections
import contextlib
import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import FULL
from test_store import counts, recount

pytestmark = pytest.mark.slow                      # each test starts processes; continuous integration runs them all

LONGEST_RESTART = 30                                 # seconds; only a hang is a failure, machines are shared


class Client(threading.Thread):
    """Posts alerts, each several times, and heartbeats on one connection until the server is gone."""

    def __init__(self, server: Any, name: str):
        super().__init__(name=name, daemon=True)
        self.server = server
        self.alerts: collections.Counter[str] = collections.Counter()        # id -> reports that were answered 201
        self.beats: collections.Counter[str] = collections.Counter()
        self.wrong: list[Any] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException):
            for number in range(1_000_000):
                if number % 4 == 3:
                    beat = self.post(connection, "/heartbeat", {"origin": f"{self.name}-{number % 7}", "timeout": 86400})
                    self.beats[beat["heartbeat"]["id"]] += 1
                else:
                    alert = self.post(connection, "/alert", {
                        "resource": f"{self.name}-{number // 12}", "event": f"E{number // 4 % 3}", "severity": "major",
                        "service": ["web"], "environment": "Production", "text": "x" * 300})
                    self.alerts[alert["id"]] += 1
        connection.close()

    def post(self, connection: http.client.HTTPConnection, path: str, body: Any) -> Any:
        connection.request("POST", path, json.dumps(body), {"Authorization": f"Key {self.server.key}"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 201:
            self.wrong.append(answer)
            raise http.client.HTTPException("refused")
        return answer


def load(server: Any, name: str, seconds: float, end: Any) -> list[Client]:
    """The clients that were at work for a while when the server was ended."""
    clients = [Client(server, f"{name}-{number}") for number in range(6)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    end()
    for client in clients:
        client.join(20)
    assert not any(client.is_alive() for client in clients)
    assert [client.wrong for client in clients if client.wrong] == []
    return clients


def check_kept(server: Any, clients: list[Client]) -> int:
    """Every acknowledged report and beat is there; how many there were."""
    with contextlib.closing(sqlite3.connect(f"{server.db.as_uri()}?mode=ro", uri=True)) as db:
        for client in clients:
            for ident, acknowledged in client.alerts.items():
                row = db.execute("SELECT duplicate_count FROM alerts WHERE id = ?", (ident,)).fetchone()
                assert row and row[0] >= acknowledged - 1, (ident, row, acknowledged)
            for ident in client.beats:
                assert db.execute("SELECT 1 FROM heartbeats JOIN beats ON heartbeat = seq WHERE id = ?", (ident,)).fetchone(), ident
    last = [ident for client in clients for ident in list(client.alerts)[-2:]]
    for ident in last:                               # the newest are those at risk; over HTTP as a user would look
        answer = server.request("GET", f"/alert/{ident}")
        assert (answer.status, answer.json["alert"]["id"]) == (200, ident)
    return sum(sum(client.alerts.values()) + sum(client.beats.values()) for client in clients)


NO_ROWS = {
    "alerts without history": "SELECT id FROM alerts a WHERE type <> 'selfAlert' AND NOT EXISTS"
                              " (SELECT 1 FROM alert_history WHERE alert = a.seq AND type = 'new')",     # it is beyond the history limit
    "history without alert": "SELECT seq FROM alert_history WHERE alert NOT IN (SELECT seq FROM alerts)",
    "alerts without event": "SELECT id FROM alerts WHERE id NOT IN (SELECT alert FROM events WHERE type = 'alert_opened')",
    "events without alert": "SELECT alert FROM events WHERE alert NOT IN (SELECT id FROM alerts)",
    "heartbeats without beat": "SELECT id FROM heartbeats WHERE seq NOT IN (SELECT heartbeat FROM beats)",
    "alerts not in their service": "SELECT seq, last_received_at FROM alerts EXCEPT SELECT alert, last_received_at FROM alert_services",
}


def check_whole(server: Any) -> None:
    """No transaction is there by half."""
    with contextlib.closing(sqlite3.connect(f"{server.db.as_uri()}?mode=ro", uri=True)) as db:
        for what, sql in NO_ROWS.items():
            assert db.execute(sql).fetchall() == [], what
        assert counts(db) == recount(db)
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.parametrize("cycles", [3, 500 if FULL else 50])
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(server: Any, record_property: Any, cycles: int) -> None:
    dice, everybody, acknowledged, ready = random.Random(cycles), [], 0, []
    for cycle in range(cycles):
        clients = load(server, f"cycle{cycle}", dice.uniform(0.05, 0.5), server.kill)
        before = time.monotonic()
        server.start()
        ready.append(time.monotonic() - before)
        assert ready[-1] <= LONGEST_RESTART
        acknowledged += check_kept(server, clients)
        everybody += clients
    assert acknowledged > 20 * cycles, "the server was killed at work"
    check_kept(server, everybody)
    check_whole(server)
    assert "defect" not in server.output() and "Traceback" not in server.output()
    record_property(f"SIGKILL under load, {cycles} times", f"{acknowledged} acknowledged reports and beats, 0 lost, 0 transactions by half; ready"
                    f" again after {sorted(ready)[len(ready) // 2]:.2f} s in the middle, {max(ready):.2f} s at most")


def test_nothing_acknowledged_is_lost_when_the_server_is_stopped_at_work(server: Any) -> None:
    codes: list[int] = []
    clients = load(server, "stopped", 0.4, lambda: codes.append(server.stop()))
    assert codes == [0]
    server.start()
    assert check_kept(server, clients) > 20
    check_whole(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean(server: Any, number: signal.Signals) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("this process ignores the signal, and so would the server")
    ident = server.request("POST", "/alert", {"resource": "r", "event": "e", "severity": "major"}).json["id"]
    assert server.end(number) == 0
    assert sorted(os.listdir(server.folder)) == ["alertlite.db", "alertlite.db.ballast", "alertlite.db.lock", "server.log"], "no WAL, no socket"
    assert "Traceback" not in server.output()
    with contextlib.closing(sqlite3.connect(f"{server.db.as_uri()}?immutable=1", uri=True)) as db:
        assert db.execute("SELECT id FROM alerts").fetchall() == [(ident,)], "the file alone holds everything"


def test_requests_under_way_are_answered_before_the_server_stops(server: Any) -> None:
    def sign_in(number: int) -> int:                 # passwords take a good while to check, one after the other
        basic = "Basic " + base64.b64encode(f"nobody:password{number}".encode()).decode()
        return server.request("GET", "/alerts", key=None, headers={"Authorization": basic}).status

    with ThreadPoolExecutor(3) as pool:
        started = time.monotonic()
        answers = [pool.submit(sign_in, number) for number in range(3)]
        time.sleep(0.1)
        assert server.stop() == 0
        assert time.monotonic() - started < 15
    assert [answer.exception() or answer.result() for answer in answers] == [401] * 3


def look(folder: Any) -> dict[str, tuple[int, int]]:
    return {entry.name: (entry.stat().st_size, entry.stat().st_mtime_ns) for entry in os.scandir(folder)}


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_an_idle_server_writes_nothing_and_sleeps(server: Any) -> None:
    for number in range(20):
        assert server.request("POST", "/alert", {"resource": f"r{number}", "event": "e", "severity": "major"}).status == 201
        assert server.request("POST", "/heartbeat", {"origin": f"o{number}"}).status == 201
    time.sleep(0.3)
    files, used = look(server.folder), cpu_seconds(server.process.pid)
    time.sleep(3)
    assert look(server.folder) == files
    assert cpu_seconds(server.process.pid) - used <= 0.05
