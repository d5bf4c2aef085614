"""Pings are never refused by load or by a lock, and each one that was answered is in the log."""
from __future__ import annotations

import collections
import http.client
import pathlib
import random
import sqlite3
import threading
import time
from typing import Any

import pytest
from conftest import Server, lay_database

import alertlite

CLIENTS, CHECKS, HANGING = 64, 10_000, 1000


def lay_checks(path: pathlib.Path, count: int, hanging: int) -> list[str]:
    """Puts so many checks that are up into a database; of the last ones, a run has started and ends too late."""
    lay_database(path)
    store = alertlite.Store(str(path))
    now = alertlite.Clock().now()
    made = []

    def work(tables: alertlite.Tables) -> None:
        for number in range(count + hanging):
            check = alertlite.new_check("", {"name": f"job {number}"}, now)._replace(status="up", last_ping_at=now, due_at=now + 90_000_000)
            if number >= count:                      # judged two seconds after the server began to listen
                check = check._replace(status="new", last_ping_at=None, last_start_at=now, grace=2, due_at=now)
            made.append(tables.insert_check(check).code)

    store.write(work)
    store.close()
    return made


@pytest.mark.slow
def test_every_ping_answered_with_200_is_in_the_log_while_the_timer_expires_others(make_server: Any):
    server: Server = make_server(ALERTLITE_PING_LOG_LIMIT="1000")
    codes = lay_checks(server.db, CHECKS, HANGING)
    server.start()
    answered: collections.Counter[str] = collections.Counter()
    others: collections.Counter[int] = collections.Counter()
    counting = threading.Lock()
    end = time.monotonic() + 6

    def client(seed: int) -> None:
        dice = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while time.monotonic() < end:
            code = codes[dice.randrange(CHECKS)]
            connection.request(dice.choice(["GET", "POST"]), f"/ping/{code}", b"done" if dice.random() < 0.3 else None)
            response = connection.getresponse()
            body = response.read()
            with counting:
                if (response.status, body) == (200, b"OK"):
                    answered[code] += 1
                else:
                    others[response.status] += 1
        connection.close()

    clients = [threading.Thread(target=client, args=(seed,)) for seed in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert (others, server.stop()) == ({}, 0)
    with sqlite3.connect(server.db) as db:
        logged = dict(db.execute("SELECT code, count(*) FROM pings JOIN checks ON checks.seq = check_seq GROUP BY code"))
        counted = dict(db.execute("SELECT code, n_pings FROM checks WHERE n_pings > 0"))
        down = db.execute("SELECT count(*) FROM checks WHERE status = 'down'").fetchone()[0]
        alerts = db.execute("SELECT count(*) FROM alerts WHERE event = 'CheckDown' AND status = 'open'").fetchone()[0]
    assert sum(answered.values()) > 1000, "there was a load"
    assert logged == answered == counted
    assert (down, alerts) == (HANGING, HANGING), "the timer did its work meanwhile"
    assert "defect" not in server.output()
