"""The real server under load and in time: requests that share a commit, and the timer's own thread."""
from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ADMIN_KEY, FakeClock, lay_database, pass_time

import alertlite


def in_threads(count: int, work: Any) -> None:
    """Runs work(number) in so many threads at once; what one raises is raised."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_malformed_requests_leave_the_reports_of_others_alone(server: Any) -> None:
    answered: list[int] = []

    def report(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        for turn in range(40):
            body = json.dumps({"resource": f"host-{number}", "event": f"e{turn}", "severity": "major"})
            connection.request("POST", "/alert", body, {"Authorization": f"Key {ADMIN_KEY}"})
            answer = connection.getresponse()
            answer.read()
            answered.append(answer.status)
        connection.close()

    def disturb(number: int) -> None:
        for line in (b"GET /alerts HTTP/1.1\r\n\r\n", b"POST //alert HTTP/1.1\r\nHost: a\r\n\r\n",
                     b"POST /alert HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n") * 15:
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
                client.sendall(line)
                assert b" 400 Bad Request\r\n" in client.recv(4096)

    in_threads(14, lambda number: report(number) if number < 10 else disturb(number))
    assert answered == [201] * 400
    count = server.request("GET", "/alerts/count").json
    assert (count["total"], count["statusCounts"]) == (400, {"open": 400}), "each is stored once"
    assert "defect" not in server.output()


def test_every_report_that_is_answered_says_what_became_of_it(server: Any) -> None:
    statuses: list[tuple[int, int]] = []

    def report(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        for turn in range(30):
            good = (number + turn) % 3
            body = json.dumps({"resource": f"host-{number}", "event": f"e{turn}", "severity": "major" if good else "dreadful"})
            connection.request("POST", "/alert", body, {"Authorization": f"Key {ADMIN_KEY}"})
            answer = connection.getresponse()
            answer.read()
            statuses.append((answer.status, 201 if good else 400))
        connection.close()

    in_threads(24, report)
    assert [pair for pair in statuses if pair[0] != pair[1]] == []
    assert server.request("GET", "/alerts/count").json["total"] == sum(wanted == 201 for _, wanted in statuses)


@pytest.mark.parametrize(("request_", "quick", "why"), [
    ({}, True, "a report is one short write"),
    ({"path": "/heartbeat"}, True, "so is a beat"),
    ({"command": "GET"}, False, "a search may take seconds"),
    ({"path": "/management/housekeeping"}, False, "it may delete for a long time"),
    ({"path": "/user"}, False, "a password is hashed slowly on purpose"),
    ({"headers": {"AUTHORIZATION": "basic eDp5"}}, False, "a password is checked slowly on purpose"),
    ({"error": object(), "path": ""}, False, "what was refused while it was read has neither method nor path"),
])
def test_only_quick_requests_are_served_while_another_waits(request_: dict[str, Any], quick: bool, why: str) -> None:
    request = SimpleNamespace(**{"error": None, "command": "POST", "path": "/alert", "headers": {}, **request_})
    assert alertlite.Channel.is_quick(SimpleNamespace(requests=[request])) is quick, why


def test_the_properties_of_the_machine_are_not_served(app: Any) -> None:
    assert app.call("GET", "/management/properties").status == 404


def seconds_late(server: Any, timeout: int) -> float:
    """How long after its deadline an alert is seen to have expired."""
    alert = server.request("POST", "/alert", {"resource": "late", "event": f"e{timeout}", "severity": "major", "timeout": timeout}).json["alert"]
    deadline = alertlite.ms_from_text(alert["lastReceiveTime"]) / 1000 + timeout
    while server.request("GET", f"/alert/{alert['id']}").json["alert"]["status"] != "expired":
        assert time.time() < deadline + 5, "it never expired"
        time.sleep(0.02)
    return time.time() - deadline


def test_an_alert_expires_within_a_second_of_its_deadline(server: Any) -> None:
    assert 0 <= seconds_late(server, 1) < 1


@pytest.mark.slow
def test_an_alert_expires_within_a_second_though_100_000_rows_wait(make_server: Any) -> None:
    server = make_server()
    lay_database(server.db)
    store = alertlite.Store(str(server.db))
    now = alertlite.Clock().now()
    report = alertlite.AlertReport("", "", "e", "Production", "major", "open", [], ["s"], "g", None, "", [], {}, "o", "t", now, 86_400, None, "")

    def fill(tables: alertlite.Tables, start: int) -> None:
        for number in range(start, start + 5000):
            alert = alertlite.new_alert(report._replace(id=f"row-{number:06d}", resource=f"r{number}"), now)
            tables.insert_alert(alert._replace(due_at=now + 3_600_000 + number))

    for start in range(0, 100_000, 5000):
        store.write(lambda tables, start=start: fill(tables, start))
    store.close()
    server.start()
    assert server.request("GET", "/alerts/count").json["total"] == 100_000
    assert max(seconds_late(server, timeout) for timeout in (1, 2)) < 1


def test_a_deadline_noted_while_the_timer_looks_for_the_next_one_is_kept(app: Any) -> None:
    timer = alertlite.Timer(app.engine)
    app.post_alert(timeout=100)
    assert timer.due == app.clock.now() + 100_000
    app.post_alert(event="sooner", timeout=10)
    assert timer.due == app.clock.now() + 10_000
    pass_time(app, 10)
    timer.pass_once()
    assert timer.due == app.clock.now() + 90_000, "the one that is left"
    assert isinstance(app.clock, FakeClock) and app.get("/alerts/count")["statusCounts"] == {"open": 1, "expired": 1}
