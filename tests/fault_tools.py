"""What the fault tests share: strace around a real server, a scripted session that remembers what was acknowledged, and
the file as a power cut may have left it."""
from __future__ import annotations

import collections
import contextlib
import functools
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from conftest import ROOT, Answer, Server
from test_delivery import CONFIG, Sink
from test_durability import NO_ROWS
from test_store import counts, recount

LONGEST_START = 30.0                                 # seconds; only a hang is a failure, machines are shared
LONGEST_STOP = 30.0
# What a database consists of, and what a new one is made as; but not what a crash leaves nothing of.
FILES = tuple(f"{new}{end}" for new in ("", ".new") for end in ("", "-wal", "-journal")) + (".lock",)


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """What the condition is true with; AssertionError where that takes longer."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.01)
    return found


# --- what this machine allows

@functools.cache
def why_no_strace() -> str:
    """Why a running process cannot be traced here; '' = it can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    with subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL) as sleeper:
        try:
            tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO",
                                       "-p", str(sleeper.pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: tracer.poll() is not None or tracers(sleeper.pid) == {tracer.pid}, 10, "strace attaches")
            allowed = tracer.poll() is None and tracers(sleeper.pid) == {tracer.pid}
            tracer.terminate()
            said = tracer.communicate(timeout=10)[1]
        finally:
            sleeper.kill()
    return "" if allowed else f"strace may not trace here: {said.strip()[:200]}"


@functools.cache
def namespace_flags() -> tuple[str, ...] | None:
    """How unshare makes a place where a file system can be mounted; None = not here."""
    for flags in (("-m",), ("-Urm",)):
        command = ["unshare", *flags, "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"]
        if shutil.which("unshare") and subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20).returncode == 0:
            return flags
    return None


def tracers(pid: int) -> set[int]:
    """Who traces the threads of a process; 0 = nobody traces one of them."""
    found = set()
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            found.add(int(re.search(r"TracerPid:\t(\d+)", pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text())[1]))
    return found


# --- the server

class Gone(Exception):
    """The server is not there any more."""


class FaultyServer(Server):
    """The real server, started under something that spoils its day."""

    def __init__(self, folder: pathlib.Path, **env: str):
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, **{"ALERTLITE_PRIVATE_TARGETS": "all", "ALERTLITE_THREADS": "1", **env})

    @property
    def files(self) -> list[str]:
        """The files that the database consists of."""
        return [f"{self.db}{name}" for name in FILES]

    def launch(self, *prefix: str) -> FaultyServer:
        """Starts it, after a prefix that makes way for it in the same process, and waits for nothing."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, str(ROOT / "alertlite.py"), "serve", "--listen", f"127.0.0.1:{self.port}"],
                env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def is_ready(self) -> bool:
        try:
            return self.request("GET", "/healthz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def start(self, *prefix: str) -> FaultyServer:
        """Starts it and waits until it answers; AssertionError where it ends instead."""
        self.launch(*prefix)
        wait_until(lambda: self.process.poll() is not None or self.is_ready(), LONGEST_START, "the server answers")
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}: {self.output()}"
        return self

    def timed_start(self) -> float:
        """Starts it; the seconds until it was ready."""
        before = time.monotonic()
        self.start()
        return time.monotonic() - before

    def wait(self) -> int:
        """Its exit status, once it has ended by itself."""
        return self.process.wait(LONGEST_STOP)

    def status_of_start(self) -> int:
        """The exit status of a start that fails; 0 = it started, and was stopped."""
        self.launch()
        wait_until(lambda: self.process.poll() is not None or self.is_ready(), LONGEST_START, "the server answers or ends")
        return self.stop() if self.process.poll() is None else self.process.returncode


@contextlib.contextmanager
def tampering(server: FaultyServer, *options: str, log: pathlib.Path | str = os.devnull) -> Iterator[None]:
    """strace on the running server, from the first line of the block to the last; its counters begin at 0, one for each thread."""
    paths = [word for path in server.files for word in ("-P", path)]
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", str(log), *paths, *options, "-p", str(server.process.pid)],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    is_alive = True
    try:
        wait_until(lambda: tracer.poll() is not None or tracers(server.process.pid) == {tracer.pid}, 20, "strace attaches")
        if tracer.poll() is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(5)
            assert server.process.poll() is not None, tracer.stderr.read()
            raise Gone("a thread came to its call at once")
        yield
    except Gone:
        is_alive = False
        raise
    finally:
        if not is_alive or server.process.poll() is not None:        # told to end while threads die, strace waits for ever
            with contextlib.suppress(subprocess.TimeoutExpired):
                tracer.wait(5)
        tracer.terminate()
        try:
            tracer.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            tracer.kill()
            tracer.communicate()


def under_strace(server: FaultyServer, *options: str, log: pathlib.Path | str = os.devnull, flags: tuple[str, ...] = ("-qq",)) -> list[str]:
    """The prefix of a start that is traced from its first instruction on; the traced process keeps its id (-D)."""
    return ["strace", "-D", "-f", *flags, "-o", str(log), *options]


def any_of(calls: Iterable[str]) -> str:
    """These calls as strace takes them, without those that this kind of machine does not know."""
    return ",".join(f"?{call}" for call in calls)


def on_files(server: FaultyServer) -> list[str]:
    return [word for path in server.files for word in ("-P", path)]


# --- a session

class Fact(NamedTuple):
    """Something that was acknowledged, and how it is found in the database."""
    what: str
    sql: str                                         # a true value, or it was lost
    values: tuple
    request: str                                     # the X-Request-ID of its answer


class GatedSink(Sink):
    """A web hook that can be made to hold its answers back, and knows which events it confirmed."""

    def __init__(self) -> None:
        self.is_held = False
        super().__init__()

    def choose_answer(self) -> tuple[int, dict[str, str], bytes]:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.is_held, 8, "somebody lets the answer go")
        return super().choose_answer()

    def __enter__(self) -> GatedSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_held = False
        self.stop()

    def events(self, path: str) -> set[str]:
        """The ids of the events that arrived at a path."""
        return {event["id"] for got in list(self.got) if got.path == path for event in got.json["events"]}


class Session:
    """A script of requests to a server, of which each can be the last; knows what was acknowledged."""

    OK = frozenset({200, 201})

    def __init__(self, server: FaultyServer, sink: GatedSink, name: str = "session", said: str = "done"):
        """said: what its pings send."""
        self.server, self.sink, self.name, self.path, self.said = server, sink, name, f"/{server.folder.name}", said
        self.facts: dict[str, Fact] = {}
        self.statuses: collections.Counter[int] = collections.Counter()
        self.answered: list[tuple[str, int]] = []    # method and status of each request, in order
        self.reports: collections.Counter[str] = collections.Counter()      # alert id -> reports acknowledged
        self.alert = self.check = self.second = ""
        self.pings = 0
        self.has_receiver = False

    # --- asking and remembering

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """One request; Gone where the server is."""
        try:
            answer = self.server.request(method, path, body, timeout=30)
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"{method} {path}: {type(error).__name__}") from None
        self.statuses[answer.status] += 1
        self.answered.append((method, answer.status))
        return answer

    def keep(self, answer: Answer, what: str, sql: str, *values: Any) -> None:
        if answer.status in self.OK:
            self.facts[what] = Fact(what, sql, values, answer.headers["X-Request-ID"])

    def report(self, resource: str, severity: str = "major") -> str:
        """Reports an alert; its id, '' = that was refused."""
        answer = self.ask("POST", "/alert", {"resource": f"{self.name}-{resource}", "event": "HttpError", "severity": severity,
                                             "environment": "Production", "service": ["web"], "text": "x" * 200})
        if answer.status not in self.OK:
            return ""
        ident = answer.json["id"]
        self.reports[ident] += 1
        alert = answer.json["alert"]
        times = alert["duplicateCount"]
        self.keep(answer, f"alert {ident} reported {times} more times", "SELECT duplicate_count >= ? OR duplicate_count = 0 AND severity <> 'major'"
                  " FROM alerts WHERE id = ?", times, ident)
        self.keep(answer, f"alert {ident}: {severity}", "SELECT 1 FROM alert_history JOIN alerts ON alert = alerts.seq"
                  " WHERE alerts.id = ? AND alert_history.severity = ?", ident, severity)
        if self.has_receiver and alert["lastReceiveId"] == ident:
            self.keep(answer, f"notice of alert {ident}", "SELECT 1 FROM events JOIN outbox ON event = events.seq"
                      " WHERE alert = ? AND type = 'alert_opened' AND state <> 'dead'", ident)
        return ident

    # --- the steps

    def make_receiver(self) -> None:
        """A web hook; the one that is there already where the script is repeated."""
        listed = self.ask("GET", CONFIG)
        if listed.status != 200:
            return
        known = [row["id"] for row in listed.json if row["address_data"] == self.sink.url(self.path)]
        answer = listed if known else self.ask("POST", CONFIG, {"type": "webhook", "address_data": self.sink.url(self.path)})
        if answer.status in self.OK:
            self.keep(answer, "receiver", "SELECT 1 FROM receivers WHERE id = ?", known[0] if known else answer.json)
            self.has_receiver = True

    def report_first(self) -> None:
        self.alert = self.report("web01")

    def report_again(self) -> None:
        self.report("web01")

    def report_worse(self) -> None:
        self.report("web01", "critical")

    def report_second(self) -> None:
        self.second = self.report("web02")

    def beat(self) -> None:
        answer = self.ask("POST", "/heartbeat", {"origin": self.name, "timeout": 86400})
        if answer.status in self.OK:
            beat = answer.json["heartbeat"]
            self.keep(answer, "heartbeat", "SELECT 1 FROM heartbeats JOIN beats ON heartbeat = seq WHERE id = ?", beat["id"])

    def make_check(self) -> None:
        answer = self.ask("POST", "/api/v3/checks/", {"name": self.name, "slug": self.name, "unique": ["slug"], "channels": "*"})
        if answer.status in self.OK:
            self.check, self.pings = answer.json["uuid"], answer.json["n_pings"]
            self.keep(answer, "check", "SELECT 1 FROM checks WHERE code = ?", self.check)

    def ping(self, action: str = "") -> None:
        """A ping, which counts: one that is answered 202 will be stored later."""
        if self.check:
            answer = self.ask("POST", f"/ping/{self.check}{action}", {"said": self.said})
            self.pings += answer.status == 200
            self.keep(answer, f"ping {self.pings}", "SELECT n_pings >= ? AND n_pings = (SELECT count(*) FROM pings WHERE check_seq = seq)"
                      " FROM checks WHERE code = ?", self.pings, self.check)

    def ping_failure(self) -> None:
        self.ping("/fail")

    def act(self) -> None:
        """Acknowledges the first alert; a repeated script may find it acknowledged."""
        if self.alert:
            answer = self.ask("PUT", f"/alert/{self.alert}/status", {"status": "ack", "text": "seen"})
            self.keep(answer, "acknowledgement", "SELECT 1 FROM alert_history JOIN alerts ON alert = alerts.seq"
                      " WHERE alerts.id = ? AND alert_history.status = 'ack'", self.alert)

    def post_event(self) -> None:
        answer = self.ask("POST", "/notification/events", {"type": "monitor", "instance_id": "default", "text": self.name})
        if answer.status in self.OK:
            self.keep(answer, f"event {answer.json['id']}", "SELECT 1 FROM events JOIN outbox ON event = events.seq WHERE id = ?"
                      " AND state <> 'dead'" if self.has_receiver else "SELECT 1 FROM events WHERE id = ?", answer.json["id"])

    def delete(self) -> None:
        """Deletes the second alert; nothing of it may be missed from now on."""
        if self.second:
            self.facts = {what: fact for what, fact in self.facts.items() if self.second not in fact.values}
            answer = self.ask("DELETE", f"/alert/{self.second}")
            self.keep(answer, "deletion", "SELECT NOT EXISTS (SELECT 1 FROM alerts WHERE id = ?)", self.second)

    def hold_delivery(self) -> None:
        self.settle()
        self.sink.is_held = True
        self.post_event()

    def mark_delivery(self) -> None:
        """The target answers, and the server notes that what waited was sent."""
        self.sink.is_held = False
        self.settle()

    def settle(self) -> None:
        """Waits until nothing is owed any more, but not for long, or the server is gone."""
        def nothing_waits() -> bool:
            answer = self.ask("GET", CONFIG)
            if answer.status != 200:
                return True
            waiting = [self.ask("GET", f"{CONFIG}/{row['id']}/deliveries?state=waiting&limit=1") for row in answer.json]
            return all(answer.status != 200 or answer.json == [] for answer in waiting)

        with contextlib.suppress(AssertionError):
            wait_until(nothing_waits, 4, "nothing is owed")

    def stop_server(self) -> None:
        self.server.process.send_signal(signal.SIGTERM)
        if self.server.wait() < 0:
            raise Gone("killed while it stopped")

    def run(self, steps: Iterable[str]) -> None:
        """These steps, each after what comes before it."""
        for step in steps:
            self.prepare(step)
            getattr(self, step)()

    def prepare(self, step: str) -> None:
        if step == "mark_delivery":
            self.hold_delivery()

    # --- judging

    def lost(self, path: pathlib.Path, when: Callable[[Fact], bool] = lambda fact: True) -> list[str]:
        """What was acknowledged and is not in the database."""
        with contextlib.closing(open_quietly(path)) as db:
            return [fact.what for fact in self.facts.values() if when(fact) and not (db.execute(fact.sql, fact.values).fetchone() or (0,))[0]]


SCRIPT = ("make_receiver", "report_first", "report_again", "report_worse", "report_second", "beat", "beat", "make_check", "ping", "ping_failure",
          "ping", "act", "post_event", "mark_delivery", "delete")
EVERYTHING = ("start", *SCRIPT, "stop_server")


def open_quietly(path: pathlib.Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)


# What must find nothing, whatever happened: as in test_durability, where no alert is deleted and none is raised by a check.
NOTHING = {what: sql for what, sql in NO_ROWS.items() if "event" not in what} | {
    "alerts without event": "SELECT id FROM alerts WHERE type <> 'checkAlert' AND id NOT IN (SELECT alert FROM events WHERE alert NOT NULL)",
    "two live alerts about the same": "SELECT 1 FROM alerts WHERE superseded = 0 GROUP BY environment, resource, event, customer HAVING count(*) > 1",
    "two checks of one name": "SELECT 1 FROM checks GROUP BY customer, slug HAVING count(*) > 1",
    "two receivers at one address": "SELECT 1 FROM receivers GROUP BY address_data HAVING count(*) > 1",
    "pings that are not counted": "SELECT 1 FROM checks WHERE n_pings <> (SELECT count(*) FROM pings WHERE check_seq = seq)",
    "events that nobody is told of": (
        "SELECT 1 FROM events WHERE suppressed IS NULL AND seq > (SELECT min(event) FROM outbox) AND NOT EXISTS (SELECT 1 FROM outbox WHERE"
        " event = events.seq) AND type IN (SELECT name FROM event_types t JOIN receiver_event_types ON event_type = t.seq)"),
    "down without an alert": "SELECT 1 FROM checks WHERE status = 'down' AND alert NOT IN (SELECT id FROM alerts)",
}


def faults(path: pathlib.Path) -> list[str]:
    """What is wrong with a database of which no transaction may be there by half."""
    with contextlib.closing(open_quietly(path)) as db:
        if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return ["corrupt"]
        if not db.execute("PRAGMA user_version").fetchone()[0]:          # its creation was not committed
            return [f"half created: {name}" for name, in db.execute("SELECT name FROM sqlite_master")]
        wrong = [what for what, sql in NOTHING.items() if db.execute(sql).fetchall()]
        return wrong + ["wrong counts"] * (counts(db) != recount(db)) + ["foreign keys"] * bool(db.execute("PRAGMA foreign_key_check").fetchall())


def alerts_of_people(path: pathlib.Path) -> set[str]:
    """The alerts that others reported."""
    with contextlib.closing(open_quietly(path)) as db:
        return {ident for ident, in db.execute("SELECT id FROM alerts WHERE type <> 'selfAlert'")}


def sent_events(path: pathlib.Path) -> set[str]:
    """The events that the database takes for sent."""
    with contextlib.closing(open_quietly(path)) as db:
        return {ident for ident, in db.execute("SELECT id FROM events JOIN outbox ON event = events.seq WHERE state = 'sent'")}


# --- what a power cut leaves

class Happening(NamedTuple):
    """A line of a trace."""
    call: str
    file: str                                        # what the file is called beside the database's name, '' = it; or a connection
    content: bytes
    at: int                                          # offset or size


FOLDER = "/"                                         # stands for the folder where a file is named
LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(\(| resumed>)(.*)")
HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def read_trace(path: pathlib.Path, db: str) -> Iterator[Happening]:
    """What a trace tells of the database's files and of connections, in order: a write when it begins, a sync and what was
    received when they have ended."""
    begun: dict[tuple[str, str], str] = {}
    with open(path, encoding="ascii", errors="replace") as trace:
        for line in trace:
            found = LINE.match(line)
            if not found:
                continue
            thread, call, joint, rest = found.groups()
            is_resumed, is_unfinished = joint != "(", rest.endswith("<unfinished ...>")
            arguments = begun.pop((thread, call), "") + rest if is_resumed else rest
            if is_unfinished:                        # the other threads go on meanwhile
                begun[thread, call] = arguments = rest.removesuffix("<unfinished ...>")
            ends = call in ("fsync", "fdatasync", "recvfrom")
            if (is_unfinished and ends) or (is_resumed and not ends):
                continue                             # not yet, or told when it began
            happening = happening_of(call, arguments, db)
            if happening:
                yield happening


def happening_of(call: str, arguments: str, db: str) -> Happening | None:
    """What a call did, where that matters."""
    told = [unhex(text) for text in HEX.findall(arguments)]
    if call in ("sendto", "recvfrom"):
        where = re.search(r"<(TCP:\[[^\]]*\])>", arguments)
        return Happening(call, where[1], told[0], 0) if where and told else None
    opened = re.match(r"\d+<((?:\\x[0-9a-f]{2})*)", arguments)
    names = [name.decode(errors="replace") for name in ([unhex(opened[1])] if opened else told)]
    if names == [os.path.dirname(db)]:
        return Happening(call, FOLDER, b"", -1)
    short = [name.removeprefix(db) if name.startswith(db) else None for name in names]
    if not short or short[0] not in FILES or " = -1 " in arguments:
        return None
    if call.startswith("rename"):
        return Happening("rename", short[0], names[1].removeprefix(db).encode(), -1)
    number = re.search(r", (\d+)(?:\) +=|\s*$)", arguments)
    return Happening("unlink" if call == "unlinkat" else call, short[0], told[0] if told and opened else b"",
                     int(number[1]) if number and call in ("pwrite64", "ftruncate") else -1)


class Disk:
    """A folder of files, of which some changes were not synced yet. It is a strict one: what a file is called, and that it was
    deleted, is only certain after a sync of the folder."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}              # as the program sees them: name -> number of the file
        self.certain: dict[str, int] = {}            # as they are after a power cut at the worst
        self.uncertain: list[tuple[str | None, str | None, int]] = []            # what was renamed since: from, to, number
        self.synced: dict[int, bytes] = {}           # number -> content
        self.unsynced: list[tuple[int, Happening]] = []

    def note(self, happening: Happening) -> None:
        """A change, or a sync of one file or of the folder, which makes its changes permanent."""
        is_sync = happening.call in ("fsync", "fdatasync")
        if is_sync and happening.file == FOLDER:
            self.certain, self.uncertain = dict(self.names), []
        elif is_sync:
            number = self.names.get(happening.file)
            self.synced = self.contents([change for change in self.unsynced if change[0] == number])
            self.unsynced = [change for change in self.unsynced if change[0] != number]
        elif happening.call in ("unlink", "rename"):
            number, to = self.names.pop(happening.file), happening.content.decode() if happening.call == "rename" else None
            self.uncertain.append((happening.file, to, number))
            if to is not None:
                self.names[to] = number
        else:
            if happening.file not in self.names:
                number = len(self.synced)
                self.names[happening.file], self.synced[number] = number, b""
                self.uncertain.append((None, happening.file, number))
            self.unsynced.append((self.names[happening.file], happening))

    def contents(self, changes: Iterable[tuple[int, Happening]]) -> dict[int, bytes]:
        """The files after some of the changes."""
        files = {number: bytearray(content) for number, content in self.synced.items()}
        for number, change in changes:
            content = files[number]
            at = len(content) if change.call == "write" else change.at
            content.extend(bytes(max(0, at - len(content))))
            content[at:at + len(change.content)] = change.content
            if change.call == "ftruncate":
                del content[at:]
        return {number: bytes(content) for number, content in files.items()}

    def folder(self, contents: dict[int, bytes], renames: Iterable[tuple[str | None, str | None, int]]) -> dict[str, bytes]:
        """The files by their names after some of the renamings."""
        names = dict(self.certain)
        for old, new, number in renames:
            if old is not None:
                names.pop(old, None)
            if new is not None:
                names[new] = number
        return {name: contents[number] for name, number in names.items()}

    def after_power_loss(self, policy: str, dice: random.Random) -> dict[str, bytes]:
        """The files as they may be found: of what was not synced nothing is there, all, some, or the last by half."""
        if policy == "dropped":
            return self.folder(self.synced, [])
        if policy == "kept":
            return self.folder(self.contents(self.unsynced), self.uncertain)
        if policy == "random":
            contents = self.contents([change for change in self.unsynced if dice.random() < 0.5])
            return self.folder(contents, [rename for rename in self.uncertain if dice.random() < 0.5])
        torn = [*self.unsynced]
        if torn:
            number, last = torn[-1]
            torn[-1] = number, last._replace(content=last.content[:len(last.content) // 2])
        return self.folder(self.contents(torn), self.uncertain)


POLICIES = ("dropped", "kept", "random", "torn")
CHANGES = ("pwrite64", "write", "ftruncate", "unlink", "rename", "fsync", "fdatasync")
RECORDED = (*CHANGES, "unlinkat", "renameat", "renameat2", "sendto", "recvfrom")


def answered_requests(content: bytes) -> list[str]:
    """The requests that something sent to a client answers."""
    return [ident.decode() for ident in re.findall(rb"X-Request-ID: ([0-9a-f-]+)", content)]


class Deliveries:
    """Which events a web hook confirmed, read from what went over its connections."""

    def __init__(self, port: int):
        self.port, self.sent, self.confirmed = port, collections.defaultdict(bytes), set[str]()

    def note(self, happening: Happening) -> None:
        if not happening.file.endswith(f"->127.0.0.1:{self.port}]"):
            return
        if happening.call == "sendto":
            self.sent[happening.file] += happening.content
        elif re.match(rb"HTTP/1\.\d 200", happening.content):
            self.confirmed |= {event["id"] for event in json.loads(self.sent.pop(happening.file).partition(b"\r\n\r\n")[2])["events"]}
