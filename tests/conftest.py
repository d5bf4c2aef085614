"""Fixtures: a settable clock, an engine on a real file, the web application called in process, and the real server."""
from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import alertlite  # noqa: E402

ADMIN_KEY = "admin-key-for-tests-0123456789ab"
FULL = os.environ.get("FAULTS") == "full"              # make faults: as many kills, images and requests as docs/reliability.md reports


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the fault tests measured, which they say with record_property."""
    lines = [f"{name}: {value}" for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])
             for name, value in report.user_properties]
    if lines:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(sorted(lines)))


class FakeClock(alertlite.Clock):
    """A clock that moves only when told to."""

    def __init__(self, start: str = "2030-01-01T00:00:00.000Z"):
        super().__init__()
        self.ms = alertlite.ms_from_text(start)

    def wall(self) -> int:
        return self.ms

    def boottime(self) -> int:
        return self.ms

    def boot_id(self) -> str:
        return "the only boot"

    def is_synchronised(self) -> bool:
        return True

    def monotonic(self) -> float:
        return self.ms / 1000

    def advance(self, seconds: float) -> int:
        self.ms += round(seconds * 1000)
        return self.ms


def pass_time(app: Any, seconds: float) -> None:
    """Lets time pass while somebody listens: a longer time without a look at the clock is one in which nobody did."""
    while seconds > 0:
        app.clock.advance(min(seconds, 5))
        app.engine.look_at_clock()
        seconds -= 5


def restart(app: Any, seconds: float = 0, stops: bool = True, **given: str) -> None:
    """Ends the application, on purpose or not, and starts it some seconds later on the same file, with other settings."""
    if stops:
        app.engine.end_listening()
    app.close()
    app.clock.advance(seconds)
    app.settings = alertlite.load_settings({"db": app.settings.db, **given}, {})
    app.store = alertlite.Store(app.settings.db, 60_000)
    app.engine = alertlite.Engine(app.store, app.clock, app.settings)
    app.engine.begin_listening()
    app.api = alertlite.Api(app.engine, app.settings)


class Answer:
    """What a request was answered with."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:300]!r}>"


def lay_database(path: pathlib.Path, kept: dict[str, bytes] = {}) -> None:  # noqa: B006 kept for the whole run on purpose
    """A fresh database with the administrator's key. Made once, then copied: most tests begin with one."""
    if not kept:
        store = alertlite.Store(str(path))
        alertlite.Engine(store, FakeClock(), alertlite.load_settings({}, {})).create_admin(ADMIN_KEY)
        store.close()
        kept["database"] = path.read_bytes()
    path.write_bytes(kept["database"])


class App:
    """The whole application on a fake clock and a real database file, called without a socket."""

    def __init__(self, path: pathlib.Path, **given: str):
        if given.get("auth") == "off":
            given.setdefault("insecure", "on")       # the name alert.test would be refused as a rebound one
        self.settings = alertlite.load_settings({"db": str(path), "failed_sign_ins": "0", **given}, {})
        self.clock = FakeClock()
        if not path.exists():
            lay_database(path)
        self.store = alertlite.Store(str(path), 60_000)
        self.engine = alertlite.Engine(self.store, self.clock, self.settings)
        self.api = alertlite.Api(self.engine, self.settings)

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = ADMIN_KEY, raw: bytes | None = None,
             headers: dict[str, str] | None = None) -> Answer:
        """One request. body is sent as JSON, raw as it is; key=None sends no key."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        address, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": urllib.parse.unquote_to_bytes(address).decode("latin-1"), "QUERY_STRING": query,
            "SERVER_NAME": "alert.test", "SERVER_PORT": "80", "HTTP_HOST": "alert.test", "REMOTE_ADDR": "192.0.2.7",
            "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(content), "CONTENT_LENGTH": str(len(content)),
            "wsgi.errors": sys.stderr, "SERVER_PROTOCOL": "HTTP/1.1", "SCRIPT_NAME": "",
        }
        if key is not None:
            environ["HTTP_AUTHORIZATION"] = f"Key {key}"
        for name, value in (headers or {}).items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        seen: list[Any] = []
        parts = self.api(environ, lambda status, answered, exc_info=None: seen.append((status, answered)))
        status, answered = seen[-1]
        return Answer(int(status.split()[0]), dict(answered), b"".join(parts))

    def get(self, path: str, **more: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.call("GET", path, **more)
        assert answer.status == 200, answer
        return answer.json

    def post_alert(self, resource: str = "web01", event: str = "HttpError", severity: str = "major", **fields: Any) -> Any:
        """The alert that a report ended in."""
        answer = self.call("POST", "/alert", {"resource": resource, "event": event, "severity": severity, **fields})
        assert answer.status == 201, answer
        return answer.json["alert"]

    def events(self) -> list[str]:
        """The types of all events so far."""
        with self.store.read() as tables:
            return [kind for kind, in tables.rows("SELECT type FROM events ORDER BY seq")]

    def stored(self) -> dict[str, list[tuple]]:
        """Every row of every table."""
        with self.store.read() as tables:
            names = tables.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
            return {name: tables.rows(f"SELECT * FROM {name}") for name, in names}

    def make_key(self, *scopes: str, **fields: Any) -> str:
        """A new key with these scopes."""
        answer = self.call("POST", "/key", {"user": "tester", "scopes": list(scopes), **fields})
        assert answer.status == 201, answer
        return answer.json["key"]

    def close(self) -> None:
        self.store.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def app(tmp_path: pathlib.Path) -> Any:
    """The application with default settings."""
    application = App(tmp_path / "alertlite.db")
    yield application
    application.close()


@pytest.fixture
def make_app(tmp_path: pathlib.Path) -> Any:
    """Makes applications with settings of their own: make_app(auth="off")."""
    made: list[App] = []

    def make(**given: str) -> App:
        made.append(App(tmp_path / f"alertlite-{len(made)}.db", **given))
        return made[-1]

    yield make
    for application in made:
        application.close()


def plain_path(path: str) -> str:
    """The path of a route without the patterns of its parts: /ping/<code>/<action>."""
    return re.sub(r"<(\w+):re:[^<>]*>", r"<\1>", path)


def check_parts(app: App) -> dict[str, str]:
    """What the parts of addresses about checks stand for, by the names that the routes have for them: of a new check,
    which was pinged and has a body to show, and of its badges."""
    check = app.call("POST", "/api/v3/checks/", {"name": "Stocked", "slug": "stocked", "tags": "stocked", "unique": ["slug"]}).json
    app.call("POST", f"/ping/{check['uuid']}", raw=b"a body", key=None)
    badge_key, signature = app.get("/api/v3/badges/")["badges"]["stocked"]["json3"].split("/")[4:6]
    return {"version": "3", "code": check["uuid"], "unique_key": alertlite.unique_key_of(check["uuid"]), "number": "1", "slug": "stocked",
            "ping_key": app.engine.get_project("").ping_key, "action": "log", "badge_key": badge_key, "signature": signature,
            "tag": "stocked", "form": "json", "states": "3", "check_badge": check["badge_url"].split("/")[-1].removesuffix(".svg")}


def check_address(path: str, parts: dict[str, str]) -> str:
    """The address of a route about checks, with these parts in it."""
    path = plain_path(path).replace("/b/<states>/<badge_key>", "/b/<states>/<check_badge>")
    return re.sub(r"<(\w+)>", lambda match: parts[match[1]], path)


def prefix_ends(path: str) -> list[str]:
    """The addresses that a route's short form stands for: [/api] is with and without that beginning, [/] such an end."""
    return [path.replace("[/api]", begin).replace("[/]", end) for begin in (("", "/api") if "[/api]" in path else ("",))
            for end in (("", "/") if "[/]" in path else ("",))]


def told_parts(app: App) -> dict[str, str]:
    """What the parts of the addresses of receivers, events and alerts on a scope stand for, by the part before them: of a
    new receiver and a new alert."""
    receiver = app.call("POST", "/notification/config/receivers", {"type": "browser"}).json
    alert = app.call("POST", "/api/alerts/", {"scope": "/api/projects/1/", "alert_type": "Stocked", "message": "m", "severity": "Error"}).json
    return {"receivers": receiver, "receivers_for_event": "user_test", "slack": "default", "webhook": "default", "<instance>": "monitor",
            "alerts": alert["uuid"]}


def free_port() -> int:
    """A free port of the loopback address, below those that the system gives to clients, one of whom could else have it while the
    server is down."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    while True:
        port = random.SystemRandom().randrange(lowest // 2, lowest)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """The real server in a process of its own, on a free port of the loopback address."""

    def __init__(self, folder: pathlib.Path, **env: str):
        self.folder, self.key = folder, ADMIN_KEY
        self.db = folder / "alertlite.db"
        self.log = folder / "server.log"
        self.env = {**{name: value for name, value in os.environ.items() if not name.startswith("ALERTLITE_")},
                    "ALERTLITE_ADMIN_KEY": ADMIN_KEY, "ALERTLITE_DB": str(self.db), "PYTHONUNBUFFERED": "1", **env}
        self.port = free_port()                      # one for its whole life, so that restarts keep their address
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Server:
        """Starts it and waits until it answers."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "alertlite.py"), "serve", "--listen", f"127.0.0.1:{self.port}"],
                env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}: {self.output()}")
            try:
                if self.request("GET", "/healthz").status == 200:
                    return self
            except OSError:
                time.sleep(0.01)
        raise AssertionError(f"the server does not answer: {self.output()}")

    def request(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, headers: dict[str, str] | None = None,
                key: str | None = ADMIN_KEY, timeout: float = 10) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            content = raw if raw is not None else None if body is None else json.dumps(body).encode()
            sent = {**({"Authorization": f"Key {key}"} if key else {}), **(headers or {})}
            connection.request(method, path, content, sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def output(self) -> str:
        """Everything it has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self) -> int:
        """Ends it as systemd would; its exit status."""
        return self.end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.end(signal.SIGKILL)

    def end(self, number: int) -> int:
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def make_server(tmp_path: pathlib.Path) -> Any:
    """Makes real servers, with environment settings of their own; all are ended with the test."""
    made: list[Server] = []

    def make(**env: str) -> Server:
        folder = tmp_path / f"server-{len(made)}"
        folder.mkdir()
        made.append(Server(folder, **env))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def server(make_server: Any) -> Server:
    """The real server, running, with authentication on."""
    return make_server().start()


def normal_form(value: Any) -> Any:
    """The shape of a JSON value: its keys and the types of its leaves."""
    if isinstance(value, dict):
        return {name: normal_form(item) for name, item in value.items()}
    if isinstance(value, list):
        return [normal_form(item) for item in value[:1]]
    return type(value).__name__


@pytest.fixture
def names() -> SimpleNamespace:
    """Patterns of ids and times."""
    return SimpleNamespace(uuid=re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
                           time=re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"))
