"""What the server costs the machine it runs on: bytes written to its flash storage, nothing at all while nothing happens, and
no more memory, files and log after a long time than after a short one.

With FAULTS=full the soak lasts 20 minutes, else 20 seconds.
"""
from __future__ import annotations

import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import ADMIN_KEY, FULL, Server
from fault_tools import tracers, wait_until, why_no_strace
from test_faults_http import in_words, pss

pytestmark = pytest.mark.slow                      # each test starts processes; continuous integration runs them all

SOAK_SECONDS = 1200 if FULL else 20
WRITING = "write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,ftruncate,fallocate,fsync,fdatasync,msync,rename,unlink"


class Connection:
    """A connection that is kept."""

    def __init__(self, server: Server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, key: str | None = ADMIN_KEY) -> tuple[int, bytes]:
        self.connection.request(method, path, None if body is None else json.dumps(body), {"Authorization": f"Key {key}"} if key else {})
        response = self.connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        self.connection.close()


# --- what is written

class Written(collections.Counter):
    """How many bytes went into each file, by its end (db, db-wal, …), and how many calls there were of each kind."""

    def __init__(self, log: pathlib.Path):
        super().__init__()
        self.calls: collections.Counter[str] = collections.Counter()
        self.lines, begun = log.read_text(errors="replace").splitlines(), {}
        for line in self.lines:
            if match := re.match(r"(\d+) +(\w+)\(\d+<([^>]*)>.*?(?: = (\d+)$|(<unfinished))", line):
                thread, call, path, result, unfinished = match.groups()
                if unfinished:
                    begun[thread] = path
                    continue
            elif match := re.match(r"(\d+) +<\.\.\. (\w+) resumed>.* = (\d+)$", line):
                thread, call, result = match.groups()
                path = begun.pop(thread, "")
            else:
                continue
            self.calls[call] += 1
            self[path.rpartition(".")[2]] += int(result) if "write" in call else 0


@contextlib.contextmanager
def traced(server: Server, log: pathlib.Path) -> Iterator[None]:
    """Every call by which the server writes, from the first line of the block to the last."""
    tracer = subprocess.Popen(["strace", "-f", "-y", "-qq", "-s", "0", "-o", str(log), "-e", f"trace={WRITING}", "-e", "signal=none",
                               "-p", str(server.process.pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: tracer.poll() is not None or tracers(server.process.pid) == {tracer.pid}, 20, "strace attaches")
        assert tracer.poll() is None, tracer.stderr.read()
        yield
    finally:
        tracer.terminate()
        try:
            tracer.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            tracer.kill()
            tracer.communicate()


@pytest.fixture
def strace() -> None:
    if why_no_strace():
        pytest.skip(why_no_strace())


ORIGINS, BEATS = 100, 1500


@pytest.mark.usefixtures("strace")
def test_a_heartbeat_costs_a_kilobyte_of_flash_storage_at_most(server: Server, tmp_path: pathlib.Path, record_property: Any) -> None:
    # A page of 1024 bytes and its header of 24 in the log, and a share in moving it into the file.
    log, sent = tmp_path / "strace.log", 0
    with contextlib.closing(Connection(server)) as client:
        def beat(number: int) -> None:
            status, body = client.ask("POST", "/heartbeat", {"origin": f"host-{number % ORIGINS}", "timeout": 300})
            assert status == 201, body

        for number in range(ORIGINS):
            beat(number)
        client.close()
        server.stop()                                # what came before is in the file
        server.start()
        changed = server.db.stat().st_mtime_ns
        with traced(server, log):                    # each beat has a commit of its own, as at 100 a minute; until the log was moved into the file
            while sent < BEATS or server.db.stat().st_mtime_ns == changed and sent < 10 * BEATS:
                beat(sent)
                sent += 1
    written = Written(log)
    each = (written["db"] + written["db-wal"]) / sent
    record_property("bytes written for a heartbeat", f"{each:.0f} over {sent} beats of {ORIGINS} origins, {written['db-wal']} to the log and"
                    f" {written['db']} to the file, {written.calls['fdatasync'] / sent:.2f} syncs a beat; {each * 100 * 525_600 / 1e9:.0f} GB a year"
                    " at 100 a minute")
    assert written["db"] > 0, "the log was moved into the file"
    assert written.calls["fdatasync"] >= sent, "each was a commit of its own"
    assert each <= 1100


@pytest.mark.usefixtures("strace")
def test_an_idle_server_makes_no_call_that_writes(server: Server, tmp_path: pathlib.Path, record_property: Any) -> None:
    log = tmp_path / "strace.log"
    with contextlib.closing(Connection(server)) as client:
        for number in range(20):
            assert client.ask("POST", "/alert", {"resource": f"r{number}", "event": "e", "severity": "major"})[0] == 201
            assert client.ask("POST", "/heartbeat", {"origin": f"o{number}"})[0] == 201
        assert client.ask("POST", "/api/v3/checks/", {"name": "n", "timeout": 3600})[0] == 201
        with traced(server, log):
            threading.Event().wait(5)                # nothing is awaited: that is the point
    written = Written(log)
    record_property("an idle server, 5 s", f"{len(written.lines)} calls that write, {sum(written.values())} bytes")
    assert written.lines == []


# --- a long time

SEARCHES = ["/alerts?status=open&resource=", "/alerts/count?environment=", "/alerts?q=_.rack:", "/heartbeats?origin=", "/api/v3/checks/?tag=",
            "/alerts/top10?resource=", "/alerts?resource=~", "/alerts?text=~x&resource="]


class Load(threading.Thread):
    """Reports, repetitions, ends, beats, pings and searches, at a pace that leaves the machine to others, too."""

    PAUSE = 0.005

    def __init__(self, server: Server, number: int, code: str):
        super().__init__(daemon=True)
        self.server, self.number, self.code = server, number, code
        self.ended = threading.Event()
        self.statuses: collections.Counter[int] = collections.Counter()
        self.open: collections.deque[str] = collections.deque()
        self.faults: list[str] = []

    def run(self) -> None:
        dice = random.Random(self.number)
        try:
            with contextlib.closing(Connection(self.server)) as client:
                while not self.ended.wait(self.PAUSE):
                    self.statuses[self.turn(client, dice)] += 1
        except (OSError, http.client.HTTPException) as error:
            self.faults.append(f"{type(error).__name__}: {error}")

    def turn(self, client: Connection, dice: random.Random) -> int:
        kind, name = dice.random(), f"host-{self.number}-{dice.randrange(30)}"
        if kind < 0.1:
            status, body = client.ask("POST", "/alert", {"resource": name, "event": f"E{dice.randrange(10**9)}", "severity": "major",
                                                         "text": "x" * dice.randrange(300), "attributes": {"rack": name}, "service": ["Web"]})
            self.open.append(json.loads(body)["id"])
        elif kind < 0.2 and len(self.open) > 20:
            status, _ = client.ask("PUT", f"/alert/{self.open.popleft()}/action", {"action": "close"})
        elif kind < 0.5:
            status, _ = client.ask("POST", "/alert", {"resource": name, "event": "Again", "severity": dice.choice(["major", "minor"])})
        elif kind < 0.7:
            status, _ = client.ask("POST", "/heartbeat", {"origin": name})
        elif kind < 0.85:
            status, _ = client.ask("POST", f"/ping/{self.code}", key=None)
        else:
            status, _ = client.ask("GET", dice.choice(SEARCHES) + name)
        return status


def take_sample(server: Server) -> tuple[float, int, int]:
    """Megabytes, open files, bytes of the log."""
    wal = pathlib.Path(f"{server.db}-wal")
    return pss(server.process.pid), len(os.listdir(f"/proc/{server.process.pid}/fd")), wal.stat().st_size if wal.exists() else 0


def test_memory_open_files_and_log_stay_what_they_are_under_a_long_load(make_server: Any, record_property: Any) -> None:
    server = make_server(ALERTLITE_DELETE_EXPIRED_AFTER="2", ALERTLITE_EVENT_RETENTION="3").start()    # so that as much goes as comes
    code = server.request("POST", "/api/v3/checks/", {"name": "soak", "timeout": 3600}).json["uuid"]
    loads, samples, started = [Load(server, number, code) for number in range(3)], [], time.monotonic()
    try:
        for load in loads:
            load.start()
        for part in (0.25, 0.4375, 0.625, 0.8125, 1.0):          # warm after the first quarter
            while time.monotonic() < started + SOAK_SECONDS * part:
                loads[0].ended.wait(min(1.0, max(0.0, started + SOAK_SECONDS * part - time.monotonic())))
                assert all(load.is_alive() for load in loads), [load.faults for load in loads]
            samples.append(take_sample(server))
    finally:
        for load in loads:
            load.ended.set()
        for load in loads:
            load.join(40)
    statuses = sum((load.statuses for load in loads), collections.Counter())
    memory, files, log = zip(*samples)
    record_property("soak", f"{SOAK_SECONDS} s, {sum(statuses.values())} requests, answers {in_words(statuses)}; PSS "
                    + " ".join(f"{found:.1f}" for found in memory) + " MB, open files " + " ".join(map(str, files))
                    + ", log " + " ".join(f"{found / 2**20:.1f}" for found in log) + " MB")
    assert [load.faults for load in loads] == [[], [], []]
    assert max(statuses) < 400
    begin = memory[2 if FULL else 0]                 # the caches of the database are full after ten minutes or so
    assert memory[-1] <= max(begin * 1.05, begin + (3 if FULL else 8))
    assert max(files) <= files[0] + 5
    assert max(log) <= 8 * 2**20
    assert "Traceback" not in server.output() and "defect" not in server.output()
