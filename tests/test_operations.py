"""What the operator's tools meet: backups, the service manager's socket, notifications and watchdog, unit files."""
from __future__ import annotations

import configparser
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ADMIN_KEY, ROOT, FakeClock

import alertlite

PROGRAM = str(ROOT / "alertlite.py")


def run(db: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
    """The command line, on a database."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ALERTLITE_")}
    return subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, timeout=60,
                          env={**clean, "ALERTLITE_DB": str(db)})


# --- backups

@pytest.mark.slow
@pytest.mark.parametrize("running", [True, False], ids=["by-the-running-server", "without-one"])
def test_a_backup_is_whole_and_a_server_starts_on_it(make_server: Any, tmp_path: pathlib.Path, running: bool) -> None:
    server = make_server().start()
    posted = server.request("POST", "/alert", {"resource": "web01", "event": "Down", "severity": "major"}).json["id"]
    if not running:
        server.stop()
    copy = tmp_path / "copy.db"
    done = run(server.db, "backup", str(copy))
    assert (done.returncode, f"{copy}: {copy.stat().st_size} bytes, verified" in done.stdout) == (0, True), done
    assert copy.stat().st_mode & 0o077 == 0, "for nobody else"
    checked = run(server.db, "restore", "--check", str(copy))
    assert (checked.returncode, "is whole" in checked.stdout) == (0, True)
    server.stop()
    restored = make_server()
    shutil.copy(copy, restored.db)
    restored.start()
    assert restored.request("GET", f"/alert/{posted}").json["alert"]["resource"] == "web01"


def test_a_backup_replaces_an_older_one_only_when_it_is_whole(app: Any, tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"the older one")
    app.store.backup(str(copy))
    assert alertlite.check_copy(str(copy)) == alertlite.SCHEMA_VERSION
    app.store.path = str(tmp_path / "no" / "such.db")
    before = copy.read_bytes()
    with pytest.raises(alertlite.StartupRefused):
        app.store.backup(str(copy))
    assert (copy.read_bytes(), list(tmp_path.glob("*.part"))) == (before, [])


def foreign(path: pathlib.Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE x (y)")


def cut(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(("spoil", "says"), [
    (lambda path: path.write_text("no database at all"), "damaged or no database"),
    (lambda path: (path.unlink(), foreign(path)), "not a database of alertlite"),
    (cut, "damaged"), (lambda path: path.unlink(), "is not a file"),
], ids=["text", "another-application", "cut-off", "missing"])
def test_a_copy_that_is_not_whole_is_told_from_one_that_is(app: Any, tmp_path: pathlib.Path, spoil: Any, says: str) -> None:
    copy = tmp_path / "copy.db"
    app.store.backup(str(copy))
    spoil(copy)
    with pytest.raises(alertlite.StartupRefused, match=says):
        alertlite.check_copy(str(copy))


@pytest.mark.slow
def test_the_database_is_not_its_own_backup(make_server: Any) -> None:
    server = make_server().start()
    assert run(server.db, "backup", str(server.db)).returncode == 73
    assert run(server.db.with_name("none.db"), "backup", "copy.db").returncode == 66


@pytest.mark.slow
def test_a_failed_unit_becomes_an_alert(make_server: Any) -> None:
    server = make_server().start()
    assert run(server.db, "unit-failed", "backup.service").returncode == 0
    alert = server.request("GET", "/alerts").json["alerts"][0]
    assert (alert["event"], alert["severity"], alert["attributes"]["unit"]) == ("UnitFailed backup.service", "major", "backup.service")


# --- the service manager

@pytest.fixture
def notified(tmp_path: pathlib.Path) -> Iterator[socket.socket]:
    """The socket that a service manager listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        yield listener


@pytest.fixture
def activated() -> Iterator[socket.socket]:
    """The listening socket that a service manager holds."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        yield listener


def start_activated(listener: socket.socket, folder: pathlib.Path, stderr: int = subprocess.DEVNULL, **env: str) -> subprocess.Popen:
    """The server as a service manager starts it: with its socket as descriptor 3."""
    script = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
              " os.execv(sys.executable, [sys.executable, sys.argv[2], 'serve'])")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ALERTLITE_")}
    return subprocess.Popen(
        [sys.executable, "-c", script, str(listener.fileno()), PROGRAM], pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL,
        stderr=stderr, env={**clean, "ALERTLITE_ADMIN_KEY": ADMIN_KEY, "ALERTLITE_DB": str(folder / "a.db"), "LISTEN_FDS": "1", **env})


@pytest.mark.slow
@pytest.mark.parametrize(("family", "address", "why"), [
    (socket.AF_INET, "0.0.0.0", "everybody who reaches 0.0.0.0"), (socket.AF_UNIX, "s", "listens on a TCP address")])
def test_a_socket_of_the_service_manager_is_as_exposed_as_one_of_ours(tmp_path: pathlib.Path, family: int, address: str, why: str) -> None:
    with socket.socket(family) as listener:
        listener.bind((address, 0) if family == socket.AF_INET else str(tmp_path / address))
        listener.listen()
        server = start_activated(listener, tmp_path, ALERTLITE_AUTH="off", stderr=subprocess.PIPE)
        said = server.communicate(timeout=20)[1].decode()
    assert server.returncode == 78 and why in said, said


@pytest.mark.slow
def test_the_service_manager_hears_of_ready_and_stopping_and_is_fed_meanwhile(notified: Any, activated: Any, tmp_path: pathlib.Path) -> None:
    server = start_activated(activated, tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="600000")
    try:
        heard = [notified.recv(500) for _ in range(3)]
        server.terminate()
        while heard[-1] != b"STOPPING=1":
            heard.append(notified.recv(500))
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.wait(20)
    assert heard[0].startswith(b"READY=1\n")
    assert heard[1:-1] and set(heard[1:-1]) == {b"WATCHDOG=1"}


@pytest.mark.slow
def test_a_restart_refuses_nobody_where_the_service_manager_holds_the_socket(activated: Any, tmp_path: pathlib.Path) -> None:
    answered, faults, stopping = [0], [], threading.Event()
    port = activated.getsockname()[1]

    def client() -> None:
        while not stopping.is_set():
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("POST", "/alert", '{"resource": "a", "event": "b", "severity": "major"}', {"Authorization": f"Key {ADMIN_KEY}"})
                status = connection.getresponse().status
                connection.close()
                answered[0] += 1
                faults.extend([] if status == 201 else [status])
            except OSError as error:
                faults.append(repr(error))

    server = start_activated(activated, tmp_path)
    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    try:
        for restart in range(4):
            reached = answered[0] + 100
            deadline = time.monotonic() + 60
            while answered[0] < reached and time.monotonic() < deadline:
                time.sleep(0.01)
            if restart < 3:
                server.terminate()
                assert server.wait(30) == 0
                server = start_activated(activated, tmp_path)
    finally:
        stopping.set()
        for thread in clients:
            thread.join(40)
        server.terminate()
        server.wait(30)
    assert faults == []
    assert answered[0] >= 400


def part(alive: bool, problem: str | None = None) -> Any:
    return SimpleNamespace(name="timer", is_alive=lambda: alive, problem=lambda: problem)


@pytest.mark.parametrize(("parts", "is_well", "stops"), [
    ([part(True)], True, 0), ([part(True, "has not moved for 40 seconds")], False, 0), ([part(True), part(False)], False, 1),
], ids=["all-well", "one-is-stuck", "one-has-ended"])
def test_the_watchdog_is_fed_only_while_every_part_moves(app: Any, parts: list, is_well: bool, stops: int) -> None:
    stopped: list[int] = []
    watchdog = alertlite.Watchdog(app.store, parts, lambda: stopped.append(1), 1)
    assert (watchdog.check(), len(stopped), watchdog.failed) == (is_well, stops, bool(stops))


def test_without_a_service_manager_nothing_is_told_and_no_socket_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS"):
        monkeypatch.delenv(name, raising=False)
    alertlite.tell_systemd("READY=1")
    assert alertlite.systemd_socket() is None
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert alertlite.systemd_socket() is None, "meant for another process"


def test_the_sender_tells_when_it_does_not_move(app: Any) -> None:
    courier = alertlite.Courier(app.engine, "http://alert.test")
    assert courier.problem() == "the sender has ended", "it was not started"
    assert isinstance(app.clock, FakeClock)


# --- unit files

UNITS = ["alertlite.service", "alertlite.socket", "alertlite-notify@.service"]


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_file_can_be_read(name: str) -> None:
    unit = configparser.RawConfigParser(strict=False, delimiters=("=",))
    unit.optionxform = str
    unit.read(ROOT / name)
    assert "Unit" in unit.sections() and unit.get("Unit", "Description")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
def test_the_unit_is_sandboxed_and_verifies(tmp_path: pathlib.Path) -> None:
    for name in UNITS:
        text = (ROOT / name).read_text().replace("/opt/alertlite/bin/alertlite", "/bin/true")
        (tmp_path / name).write_text(text)
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", str(tmp_path / "alertlite.service")],
                          capture_output=True, text=True, timeout=60, check=False)
    exposure = re.search(r"exposure level for alertlite.service: ([0-9.]+)", done.stdout)
    assert exposure, done
    assert float(exposure[1]) <= 1.2
    verified = subprocess.run(["systemd-analyze", "verify", *(str(tmp_path / name) for name in UNITS[:2])], capture_output=True, text=True,
                              timeout=60, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize(("environment", "value", "reason"), [
    ({}, "smtp://u:secret@mail.test", "from the file that systemd hands over, without the end of its line"),
    ({"ALERTLITE_SMTP_URL": "smtp://mail2.test"}, "smtp://mail2.test", "the environment comes first"),
    ({"CREDENTIALS_DIRECTORY": "/nowhere"}, "", "no such folder"),
])
def test_secrets_may_come_as_credentials(tmp_path: pathlib.Path, environment: dict[str, str], value: str, reason: str) -> None:
    (tmp_path / "smtp_url").write_text("smtp://u:secret@mail.test\n")
    (tmp_path / "listen").write_text("0.0.0.0:1\n")
    settings = alertlite.load_settings({}, {"CREDENTIALS_DIRECTORY": str(tmp_path), **environment})
    assert (settings.smtp_url, settings.listen) == (value, "127.0.0.1:8080"), reason
