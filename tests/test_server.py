"""The real server under load and in time: requests that share a commit, and the timer's own thread."""
from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ADMIN_KEY, ROOT, FakeClock, lay_database, pass_time

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


def seconds_until(server: Any, path: str, is_so: Any) -> float:
    """How long it takes until an answer is as wanted."""
    started = time.monotonic()
    while not is_so(server.request("GET", path)):
        assert time.monotonic() < started + 10, f"{path} stays as it is"
        time.sleep(0.02)
    return time.monotonic() - started


def lay_waiting_rows(server: Any, count: int) -> None:
    """A database of so many alerts that wait for their deadline, an hour from now."""
    lay_database(server.db)
    store = alertlite.Store(str(server.db))
    now = alertlite.Clock().now()
    report = alertlite.AlertReport("", "", "e", "Production", "major", "open", [], ["s"], "g", None, "", [], {}, "o", "t", now, 86_400, None, "")

    def fill(tables: alertlite.Tables, start: int) -> None:
        for number in range(start, start + 5000):
            alert = alertlite.new_alert(report._replace(id=f"row-{number:06d}", resource=f"r{number}"), now)
            tables.insert_alert(alert._replace(due_at=now + 3_600_000 + number))

    for start in range(0, count, 5000):
        store.write(lambda tables, start=start: fill(tables, start))
    store.close()


@pytest.mark.slow
def test_every_deadline_is_met_within_a_second_though_100_000_rows_wait(make_server: Any) -> None:
    server = make_server(ALERTLITE_DELETE_EXPIRED_AFTER="1")         # another setting than the rows were stored with: all are looked at again
    lay_waiting_rows(server, 100_000)
    server.start()
    assert server.request("GET", "/alerts/count").json["total"] == 100_000
    assert max(seconds_late(server, timeout) for timeout in (1, 2)) < 1
    for action, status in (("ack", "ack"), ("shelve", "shelved")):
        alert = server.request("POST", "/alert", json.loads(report_body(action))).json["id"]
        assert server.request("PUT", f"/alert/{alert}/action", {"action": action, "timeout": 1}).status == 200
        assert server.request("GET", f"/alert/{alert}").json["alert"]["status"] == status
        assert seconds_until(server, f"/alert/{alert}", lambda answer: answer.json["alert"]["status"] == "open") < 2, f"the {action} ends"
    alert = server.request("POST", "/alert", json.loads(report_body("closed"))).json["id"]
    assert server.request("PUT", f"/alert/{alert}/action", {"action": "close"}).status == 200
    assert seconds_until(server, f"/alert/{alert}", lambda answer: answer.status == 404) < 2, "a closed one is deleted"
    assert server.request("POST", "/heartbeat", {"origin": "host", "timeout": 1}).status == 201
    silent = "/alerts?event=HeartbeatFail&resource=host&status=open"
    assert seconds_until(server, silent, lambda answer: answer.json["total"] == 1) < 2, "a host falls silent"
    assert server.request("POST", "/heartbeat", {"origin": "host", "timeout": 60}).status == 201
    assert seconds_until(server, silent, lambda answer: answer.json["total"] == 0) < 1, "and is heard again"


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


# --- who waits for the sockets

def raw_answers(stream: Any, count: int) -> list[tuple[int, Any]]:
    """So many answers of one connection, as (status, JSON)."""
    answers = []
    for _ in range(count):
        status = int(stream.readline().split()[1])
        headers = dict(line.lower().split(b": ", 1) for line in iter(stream.readline, b"\r\n"))
        answers.append((status, json.loads(stream.read(int(headers[b"content-length"])))))
    return answers


def raw_request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Key {ADMIN_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def report_body(event: str, **more: Any) -> bytes:
    return json.dumps({"resource": "web01", "event": event, "severity": "major", **more}).encode()


def test_requests_that_come_together_are_answered_in_their_order(server: Any) -> None:
    requests, wanted = b"", []
    for number in range(10):
        requests += raw_request("POST", "/alert", report_body(f"e{number}")) + raw_request("GET", "/alerts/count")
        wanted += [(201, None), (200, number + 1)]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(requests)
        answers = raw_answers(client.makefile("rb"), 20)
    assert [(status, body.get("total")) for status, body in answers] == wanted


@pytest.mark.parametrize("path", ["/alerts/count", "/healthz", "/config"])
def test_others_are_served_while_a_report_waits_for_somebodys_shell(server: Any, path: str) -> None:
    server.request("POST", "/alert", json.loads(report_body("first")))
    with contextlib.closing(sqlite3.connect(server.db, isolation_level=None)) as shell, ThreadPoolExecutor() as pool:
        shell.execute("BEGIN IMMEDIATE")
        reports = [pool.submit(server.request, "POST", "/alert", json.loads(report_body(f"e{number}"))) for number in range(3)]
        done, _ = wait(reports, 0.3)
        assert not done
        started = time.monotonic()
        assert server.request("GET", path).status == 200
        assert time.monotonic() - started < 1, "nobody else waits for the shell"
        shell.execute("ROLLBACK")
        assert [report.result().status for report in reports] == [201] * 3


def test_a_client_that_is_slow_to_read_a_large_answer_gets_all_of_it_and_delays_nobody(server: Any) -> None:
    for number in range(200):
        assert server.request("POST", "/alert", json.loads(report_body(f"e{number}", rawData=f"{number:04d}" * 25_000))).status == 201
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(raw_request("GET", "/alerts?page-size=200&show-raw-data=true") * 2)
        client.recv(1, socket.MSG_PEEK)
        for _ in range(20):
            started = time.monotonic()
            assert server.request("POST", "/alert", json.loads(report_body("another"))).status == 201
            assert time.monotonic() - started < 1
        answers = raw_answers(client.makefile("rb"), 2)
    assert [(status, len(body["alerts"])) for status, body in answers] == [(200, 200)] * 2, "20 MB each"


def test_a_client_that_says_no_more_after_its_report_still_hears_the_answer(server: Any) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(raw_request("POST", "/alert", report_body("last")))
        client.shutdown(socket.SHUT_WR)
        assert raw_answers(client.makefile("rb"), 1)[0][0] == 201
        assert client.recv(100) == b"", "and then the connection is closed"


def test_a_report_of_a_client_that_does_not_wait_is_stored(server: Any) -> None:
    for number in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall(raw_request("POST", "/alert", report_body(f"e{number}")))
    deadline = time.monotonic() + 10
    while server.request("GET", "/alerts/count").json["total"] < 20:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def cpu_seconds(process: int) -> float:
    times = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("does", ["says more", "says no more", "is gone"])
def test_what_a_client_does_while_its_request_is_served_costs_nothing(server: Any, does: str) -> None:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    with contextlib.closing(sqlite3.connect(server.db, isolation_level=None)) as shell, client:
        shell.execute("BEGIN IMMEDIATE")
        client.sendall(raw_request("POST", "/key", b'{"user": "u@example.com", "scopes": ["read"]}'))
        with pytest.raises(TimeoutError):
            client.settimeout(0.3)
            client.recv(1)
        if does == "says more":
            client.sendall(b"G")
        elif does == "says no more":
            client.shutdown(socket.SHUT_WR)
        else:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        before = cpu_seconds(server.process.pid)
        threading.Event().wait(0.7)
        assert cpu_seconds(server.process.pid) - before < 0.3
        shell.execute("ROLLBACK")
        if does != "is gone":
            client.settimeout(10)
            assert raw_answers(client.makefile("rb"), 1)[0][0] == 201
    assert server.request("GET", "/healthz").status == 200


def test_a_client_that_reads_nothing_delays_nobody(server: Any) -> None:
    for number in range(10):
        server.request("POST", "/alert", json.loads(report_body(f"e{number}", rawData="x" * 100_000)))
    server.request("POST", "/alert", {"resource": "fat", "event": "e", "attributes": {"note": "x" * 150_000}})
    lists, reports = raw_request("GET", "/alerts?resource=web01&show-raw-data=true"), raw_request("POST", "/alert", b'{"resource":"fat","event":"e"}')
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(lists * 17 + reports * 30)    # waitress holds 16 MB, and the kernel 3 more: a report's answer is too much
        threading.Event().wait(1)
        started = time.monotonic()
        for number in range(10):
            assert server.request("POST", "/alert", json.loads(report_body(f"other{number}"))).status == 201
            assert server.request("GET", "/alerts/count").status == 200
        assert time.monotonic() - started < 2
    assert server.stop() == 0


def test_a_stop_that_takes_a_moment_is_none_that_failed(make_server: Any) -> None:
    server = make_server(WATCHDOG_USEC="300000").start()
    with socket.create_connection(("127.0.0.1", server.port)):      # it may still say something, for half a second
        assert server.stop() == 0
    assert "unexpectedly" not in server.output()


@pytest.mark.parametrize("reports", [0, 1, 2], ids=lambda count: f"after {count} reports")
def test_a_signal_ends_the_server_whichever_thread_it_comes_to(server: Any, reports: int) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20):       # while others are connected, both threads take turns
        for number in range(reports):
            assert server.request("POST", "/alert", json.loads(report_body(f"e{number}"))).status == 201
        others = {int(task) for task in os.listdir(f"/proc/{server.process.pid}/task")} - {server.process.pid}
        assert ctypes.CDLL(None).tgkill(server.process.pid, min(others), signal.SIGTERM) == 0
        assert server.process.wait(10) == 0


class Plug:
    """What waitress knows of a connection, as far as Sockets asks: it is read from, and written to never."""
    accepting = False

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self._fileno = self.ours.fileno()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False


def test_a_closed_connection_is_watched_no_more_though_a_child_still_holds_it() -> None:
    plug, listener = Plug(), Plug()
    server = SimpleNamespace(_map={plug._fileno: plug, listener._fileno: listener}, pull_trigger=lambda: None, _fileno=listener._fileno)
    sockets = alertlite.Sockets(server)
    held = os.dup(plug._fileno)                      # as by a process that was just forked
    sockets.forget(plug._fileno)
    del server._map[plug._fileno]
    plug.ours.close()
    plug.theirs.sendall(b"late")
    assert sockets.wait(0.05) == [], "else who has its number next is taken for readable, and closed"
    listener.theirs.sendall(b"now")
    assert [descriptor for descriptor, _ in sockets.wait(1)] == [listener._fileno]
    for open_one in (plug.theirs, listener.ours, listener.theirs, sockets.epoll):
        open_one.close()
    os.close(held)


def test_a_connection_that_cannot_be_taken_does_not_close_the_door(capsys: Any) -> None:
    ours, theirs = socket.socketpair()
    server = SimpleNamespace(active_channels={}, _map={}, watch=SimpleNamespace(sockets=SimpleNamespace(forget=lambda descriptor: None)))
    with theirs:                                     # this server has nothing that a channel needs
        alertlite.accept_connection(0, "", server, ours, ("192.0.2.7", 1), SimpleNamespace(), map=server._map)
        assert theirs.recv(1) == b"" and server._map == server.active_channels == {}
    assert "a connection could not be taken" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", [1, 10**6])
def test_no_more_connections_are_held_than_there_are_descriptors(wanted: int) -> None:
    held = alertlite.room_for_connections(wanted)
    assert 1 <= held <= wanted and held + alertlite.OTHER_FILES <= max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], held)


def test_a_timer_whose_server_stops_does_not_hurry_for_what_stays_due(app: Any) -> None:
    app.post_alert(timeout=60)
    timer = alertlite.Timer(app.engine)
    app.clock.advance(120)
    assert timer.nap() == 0
    app.engine.stop_listening()
    assert timer.nap() == timer.LONGEST_NAP


@pytest.mark.parametrize("log", ["> /dev/full 2>&1", "2>&-", ">&- 2>&-", "2>&1"], ids=["full", "no errors", "no output", "nobody reads"])
def test_a_log_that_takes_nothing_costs_only_the_log(make_server: Any, log: str) -> None:
    server, (reading, writing) = make_server(), os.pipe()
    os.close(reading)
    server.process = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {log}', "sh", sys.executable, str(ROOT / "alertlite.py"), "serve", "--listen", f"127.0.0.1:{server.port}"],
        env=server.env, stdin=subprocess.DEVNULL, stdout=writing)
    os.close(writing)
    deadline, is_ready = time.monotonic() + 20, False
    while not is_ready:
        assert server.process.poll() is None and time.monotonic() < deadline
        with contextlib.suppress(OSError):
            is_ready = server.request("GET", "/healthz").status == 200
    for method, path, status in (("GET", "/nothing", 404), ("POST", "/alert", 400), ("GET", "/healthz", 200)):
        assert server.request(method, path).status == status
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert raw_answers(client.makefile("rb"), 1)[0][0] == 400
    assert server.stop() == 0


def test_clients_that_read_slowly_take_no_thread(make_server: Any) -> None:
    server = make_server(ALERTLITE_THREADS="1").start()
    for number in range(30):
        server.request("POST", "/alert", json.loads(report_body(f"e{number}", rawData="x" * 100_000)))
    with contextlib.ExitStack() as held:
        for _ in range(2):
            client = held.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.settimeout(20)
            client.sendall(raw_request("GET", "/alerts?show-raw-data=true") * 10)
            client.recv(1)                           # the first answer has begun
        for _ in range(5):
            assert server.request("GET", "/alerts/count", timeout=3).json["total"] == 30
        stream = client.makefile("rb")
        stream.readline()                            # of whose first letter was read above
        length = int(dict(line.lower().split(b": ", 1) for line in iter(stream.readline, b"\r\n"))[b"content-length"])
        assert len(stream.read(length)) == length > 3_000_000
        assert [len(answer["alerts"]) for _, answer in raw_answers(stream, 9)] == [30] * 9, "and whoever reads on gets all"


def test_the_end_of_an_answer_does_not_wait_for_the_next_one(server: Any) -> None:
    for number in range(50):
        server.request("POST", "/alert", json.loads(report_body(f"e{number}", text="y" * 6000)))
    with contextlib.closing(sqlite3.connect(server.db, isolation_level=None)) as shell, socket.socket() as client:
        shell.execute("BEGIN IMMEDIATE")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.settimeout(20)
        client.sendall(raw_request("GET", "/alerts?page-size=50") + raw_request("POST", "/alert", report_body("late")))
        threading.Event().wait(0.3)
        before, stream = cpu_seconds(server.process.pid), client.makefile("rb")
        assert len(raw_answers(stream, 1)[0][1]["alerts"]) == 50
        threading.Event().wait(0.7)
        assert cpu_seconds(server.process.pid) - before < 0.4
        shell.execute("ROLLBACK")
        assert raw_answers(stream, 1)[0][0] == 201


@pytest.mark.slow
def test_a_stop_while_somebody_holds_the_file_ends_in_time_and_without_a_crash(server: Any) -> None:
    def report(number: int) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            server.request("POST" if number % 5 else "PUT", "/alert" if number % 5 else "/alert/none/status",
                           json.loads(report_body(f"e{number}", status="ack")), timeout=60)

    with contextlib.closing(sqlite3.connect(server.db, isolation_level=None)) as shell, ThreadPoolExecutor(60) as pool:
        shell.execute("BEGIN IMMEDIATE")
        waiting = [pool.submit(report, number) for number in range(60)]
        threading.Event().wait(2)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0 and time.monotonic() - started < 25, server.output()
        wait(waiting)


def test_the_same_header_again_is_a_request_of_its_own(server: Any) -> None:
    chunked = (b"POST /alert HTTP/1.1\r\nHost: a\r\nAuthorization: Key %b\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n")
    bodies = [report_body(f"e{number}") for number in range(8)]
    requests = [raw_request("POST", "/alert", body) for body in bodies[:4]]                # four times the same header
    requests += [chunked % (ADMIN_KEY.encode(), len(body), body) for body in bodies[4:6]]
    requests += [raw_request("POST", "/alert", bodies[6]).replace(ADMIN_KEY.encode(), b"x" * 32), raw_request("POST", "/alert", bodies[7])]
    requests += [raw_request("GET", "/alerts/count")] * 2
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        stream, answers = client.makefile("rb"), []
        for request in requests:
            client.sendall(request)
            answers += raw_answers(stream, 1)
    assert [status for status, _ in answers] == [201] * 6 + [401, 201, 200, 200]
    assert [body["alert"]["event"] for status, body in answers if status == 201] == ["e0", "e1", "e2", "e3", "e4", "e5", "e7"]
    assert [body["total"] for _, body in answers[-2:]] == [7, 7]


@pytest.mark.parametrize(("request_", "status", "text"), [
    (b"POST /alert HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", 413, "the body is longer than 1048576 bytes"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n", 431, "the header is longer than 16384 bytes"),
    (b"GET / HTTP/1.1\r\n\r\n", 400, "one Host header is needed"),
])
def test_what_is_refused_while_it_is_read_is_told_why(server: Any, request_: bytes, status: int, text: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        with contextlib.suppress(OSError):
            client.sendall(request_)
        (found, body), = raw_answers(client.makefile("rb"), 1)
    assert (found, body["errors"]) == (status, [text]) and body["message"].endswith(f": {text}")
