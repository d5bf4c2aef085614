"""Nothing that was acknowledged is lost on its way out: the real server killed a hundred times, and next to a target that hangs."""
from __future__ import annotations

import collections
import contextlib
import http.client
import json
import os
import random
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from test_delivery import CONFIG, Sink, raw_server

pytestmark = pytest.mark.slow                      # each test starts processes; continuous integration runs them all

EVENTS, KILLS, POSTERS = 3000, 100, 4
LONGEST_RUN = float(os.environ.get("FAULT_SECONDS", "60"))         # on a slow host as many kills as fit; 180 is enough for all
CHANCE = random.Random(20_300_101)


class FlakySink(Sink):
    """Keeps everything, and says of one in ten that it did not."""

    def choose_answer(self) -> tuple[int, dict[str, str], bytes]:
        return (503, {}, b"busy") if CHANCE.random() < 0.1 else (200, {}, b"ok")


@contextlib.contextmanager
def running(*sinks: Sink) -> Iterator[None]:
    try:
        yield
    finally:
        for sink in sinks:
            sink.stop()


def make_receiver(server: Any, url: str) -> str:
    """A web hook that hears of what is posted, and of nothing else."""
    answer = server.request("POST", CONFIG, {"type": "webhook", "address_data": url})
    assert answer.status == 201, answer
    shown = server.request("GET", f"{CONFIG}/{answer.json}").json
    shown.pop("eventTypes")
    assert server.request("PUT", f"{CONFIG}/{answer.json}", {**shown, "event_types": ["monitor"]}).status == 200
    return answer.json


class Poster(threading.Thread):
    """Posts an event for each permit, again until it is acknowledged."""

    def __init__(self, server: Any, permits: threading.Semaphore, ended: threading.Event):
        super().__init__(daemon=True)
        self.server, self.permits, self.ended = server, permits, ended
        self.acknowledged: list[str] = []
        self.wrong: list[Any] = []
        self.retries = 0

    def run(self) -> None:
        while not self.ended.is_set():
            if self.permits.acquire(timeout=0.1):
                self.post()

    def post(self) -> None:
        body = {"type": "monitor", "instance_id": "default", "text": f"{self.name} {len(self.acknowledged)}"}
        while True:
            try:
                answer = self.server.request("POST", "/notification/events", body)
            except (OSError, http.client.HTTPException):
                self.retries += 1
                time.sleep(0.02)
                continue
            if answer.status == 200:
                self.acknowledged.append(answer.json["id"])
            else:
                self.wrong.append(answer)
            return


def waiting(server: Any, ident: str) -> list[Any]:
    return server.request("GET", f"{CONFIG}/{ident}/deliveries?state=waiting&limit=5").json


def kill_again_and_again(server: Any, permits: threading.Semaphore) -> list[tuple[float, float]]:
    """The moments around each kill, while there is something to post."""
    kills = []
    until = time.monotonic() + LONGEST_RUN
    for number in range(KILLS):
        permits.release(EVENTS * (number + 1) // KILLS - EVENTS * number // KILLS)
        time.sleep(CHANCE.uniform(0.02, 0.5))
        before = time.monotonic()
        server.kill()
        kills.append((before, time.monotonic()))
        server.start()
        if time.monotonic() > until:
            permits.release(EVENTS - EVENTS * (number + 1) // KILLS)
            break
    return kills


def test_what_was_acknowledged_arrives_in_order_however_often_the_server_is_killed(make_server: Any):
    sink = FlakySink()
    with running(sink):
        server = make_server(ALERTLITE_PRIVATE_TARGETS="all").start()
        ident = make_receiver(server, sink.url())
        permits, ended = threading.Semaphore(0), threading.Event()
        posters = [Poster(server, permits, ended) for _ in range(POSTERS)]
        for poster in posters:
            poster.start()
        started = time.monotonic()
        kills = kill_again_and_again(server, permits)
        lasted = time.monotonic() - started
        deadline = time.monotonic() + 60
        while sum(len(poster.acknowledged) for poster in posters) < EVENTS or waiting(server, ident):
            assert [poster.wrong for poster in posters if poster.wrong] == []
            assert time.monotonic() < deadline, waiting(server, ident)
            time.sleep(0.05)
        ended.set()
        for poster in posters:
            poster.join(10)
        assert server.stop() == 0
    with contextlib.closing(sqlite3.connect(f"{server.db.as_uri()}?mode=ro", uri=True)) as db:
        stored = [event for event, in db.execute("SELECT id FROM events WHERE type = 'monitor' ORDER BY seq")]
        states = dict(db.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall())
        alerts = db.execute("SELECT event FROM alerts").fetchall()
    arrivals: dict[str, list[Any]] = collections.defaultdict(list)
    keys: dict[str, list[str]] = {}
    for got in sink.got:
        body = got.json
        events = [event["id"] for event in body["events"]]
        assert keys.setdefault(body["key"], events) == events and got.headers["Idempotency-Key"] == body["key"]
        for event in events:
            arrivals[event].append(got)
    acknowledged = {event for poster in posters for event in poster.acknowledged}
    again = collections.Counter(len(found) for found in arrivals.values())
    refused = sum(got.status == 503 for got in sink.got)
    print(f"\n{len(acknowledged)} acknowledged, {len(stored)} stored, {len(kills)} kills in {lasted:.1f} s,"
          f" {sum(poster.retries for poster in posters)} retried posts, {len(sink.got)} requests ({refused} answered 503),"
          f" copies {dict(sorted(again.items()))}, outbox {states}")
    assert len(acknowledged) == EVENTS and acknowledged <= set(stored)
    assert acknowledged - set(arrivals) == set() and set(arrivals) == set(stored)
    assert states == {"sent": len(stored)} and ("DeliveryFailed",) not in alerts
    assert list(arrivals) == stored                # each for the first time in the order in which they were stored
    for event, found in arrivals.items():          # each copy has its reason: a kill or a failure since the one before
        for first, second in zip(found, found[1:]):
            killed = any(first.at - 0.1 <= after and before <= second.at for before, after in kills)
            assert killed or first.status == 503, (event, [(got.at, got.status) for got in found])
    assert len(kills) >= 20


def hang(connection: socket.socket) -> None:
    """Reads, and never answers."""
    while connection.recv(65_536):
        pass


def test_a_target_that_hangs_delays_nobody_else(make_server: Any):
    sinks = [Sink() for _ in range(4)]
    with running(*sinks), raw_server(hang) as port:
        server = make_server(ALERTLITE_PRIVATE_TARGETS="all").start()
        make_receiver(server, f"http://127.0.0.1:{port}/")
        for sink in sinks:
            make_receiver(server, sink.url())
        sent: dict[str, float] = {}
        slowest: dict[str, float] = collections.defaultdict(float)
        for number in range(20):
            for method, path, body, status in (
                    ("POST", "/notification/events", {"type": "monitor", "instance_id": "default", "text": f"message {number}"}, 200),
                    *[("POST", "/alert", {"resource": f"host{number}", "event": f"Down{event}", "severity": "major"}, 201) for event in range(4)],
                    ("GET", "/healthz", None, 200)):
                started = time.monotonic()
                answer = server.request(method, path, body)
                slowest[path] = max(slowest[path], time.monotonic() - started)
                assert answer.status == status, answer
                if path == "/notification/events":
                    sent[answer.json["id"]] = started
            time.sleep(0.2)
        deadline = time.monotonic() + 10
        delays: list[dict[str, float]] = []
        while time.monotonic() < deadline and (len(delays) < 4 or any(delay.keys() != sent.keys() for delay in delays)):
            time.sleep(0.05)
            delays = [{event["id"]: got.at - sent[event["id"]] for got in sink.got for event in json.loads(got.body)["events"]} for sink in sinks]
        longest = max(max(delay.values(), default=99.0) for delay in delays)
        print(f"\nslowest arrival {longest:.3f} s, slowest answers {dict(slowest)}")
        assert all(delay.keys() == sent.keys() for delay in delays)
        assert longest < 5 and max(slowest.values()) < 1
        assert all(len(sink.got) == 20 for sink in sinks)
        assert server.stop() == 0
