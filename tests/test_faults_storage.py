"""Whatever happens to the disk under it, the real server loses nothing that it acknowledged, and says what is wrong.

Shown here: it is killed before exact writes, syncs, truncations and deletions of its files; the power fails, with each
fate of what was not synced yet; reads, writes and syncs fail, once or from then on; the disk is full, and has room again;
the database is deleted, replaced or emptied under the running server; it is damaged while nobody looks; the card is slow.
FAULTS=full repeats it as often as docs/reliability.md reports; every test records what it measured.
"""
from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from conftest import FULL, ROOT
from fault_tools import (
    CHANGES,
    EVERYTHING,
    FILES,
    LONGEST_START,
    POLICIES,
    RECORDED,
    SCRIPT,
    Deliveries,
    Disk,
    Fact,
    FaultyServer,
    GatedSink,
    Gone,
    Session,
    alerts_of_people,
    answered_requests,
    any_of,
    faults,
    namespace_flags,
    on_files,
    open_quietly,
    read_trace,
    sent_events,
    tampering,
    under_strace,
    wait_until,
    why_no_strace,
)

pytestmark = pytest.mark.slow                      # each test starts processes; continuous integration runs them all

LEFT_TO_SYSTEMD = 74                                 # exit status of a server that cannot trust its storage: it is started again
REFUSED = 78                                         # exit status of a start that would hide a loss
KILLING_CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "unlink", "unlinkat", "rename", "renameat")
FAILING_CALLS = ("pwrite64", "fdatasync", "ftruncate", "pread64")


@pytest.fixture
def strace() -> None:
    if why_no_strace():
        pytest.skip(why_no_strace())


@pytest.fixture
def sink() -> Iterator[GatedSink]:
    with GatedSink() as made:
        yield made


@pytest.fixture
def make_faulty(tmp_path: pathlib.Path) -> Iterator[Callable[..., FaultyServer]]:
    """Makes servers in folders of their own; all are ended with the test."""
    made: list[FaultyServer] = []
    numbers = itertools.count()

    def make(**env: str) -> FaultyServer:
        one = FaultyServer(tmp_path / f"faulty-{next(numbers)}", **env)
        made.append(one)
        return one

    yield make
    for one in made:
        one.kill()


def restart(server: FaultyServer, session: Session) -> float:
    """Starts a server again that ended badly; the seconds until it was ready. All that was acknowledged must be there,
    nothing by half, and the same script must work once more without making anything twice."""
    session.sink.is_held = False
    seconds = server.timed_start()
    assert session.lost(server.db) == []
    assert faults(server.db) == []
    assert sent_events(server.db) <= session.sink.events(session.path), "marked as sent, and never sent"
    again = Session(server, session.sink, session.name)
    again.run(SCRIPT)
    assert set(again.statuses) <= again.OK, again.statuses
    assert again.lost(server.db) == [] and faults(server.db) == []
    return seconds


def judge_restart(server: FaultyServer, session: Session, what: Any) -> tuple[float, list[str]]:
    """The seconds that a restart took, and what was wrong then; the server is ended after it."""
    try:
        return restart(server, session), []
    except AssertionError as error:
        return 0.0, [f"{what}: {error}"]
    finally:
        server.kill()


# --- killed, or failed, at an exact call

class Point(NamedTuple):
    """A call to the kernel: the number-th of its kind that a thread makes from the beginning of a step on."""
    step: int                                        # of EVERYTHING
    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.call} {self.number} from step {self.step}, {EVERYTHING[self.step]}, on"


def count_calls(server: FaultyServer, sink: GatedSink) -> list[Point]:
    """The calls that the whole script makes on the database's files, in a run without harm."""
    log, seen, points = server.folder / "calls", 0, []
    calls = sorted({*KILLING_CALLS, *FAILING_CALLS})
    server.start(*under_strace(server, *on_files(server), "-e", f"trace={any_of(calls)}", log=log))
    session = Session(server, sink)
    for number, step in enumerate(EVERYTHING):
        if step != "start":
            session.run([step])
        lines = re.findall(r"^(\d+) +(\w+)\(", log.read_text(errors="replace"), re.M)
        new, seen = lines[seen:], len(lines)
        for call in calls:
            most = max([new.count((thread, call)) for thread, _ in new], default=0)      # strace counts for each thread
            points += [Point(number, call, count) for count in range(1, most + 1)]
    return points


def run_spoiled(server: FaultyServer, session: Session, point: Point, how: str, log: pathlib.Path | str = os.devnull) -> int:
    """The whole script, with one call or more spoiled from a point on; the exit status of the server."""
    spoiled = ["-e", f"trace={point.call}", "-e", f"inject={point.call}:{how}"]
    with contextlib.suppress(Gone):
        if EVERYTHING[point.step] == "start":
            server.launch(*under_strace(server, *on_files(server), *spoiled, log=log))
            wait_until(lambda: server.process.poll() is not None or server.is_ready(), LONGEST_START, "it starts or ends")
            if server.process.poll() is None:
                session.run(EVERYTHING[1:])
        else:
            server.start()
            session.run(EVERYTHING[1:point.step])
            session.prepare(EVERYTHING[point.step])
            with tampering(server, *spoiled, log=log):
                getattr(session, EVERYTHING[point.step])()
                session.run(EVERYTHING[point.step + 1:])
    return server.wait()


def spread(points: list[Point], group: Callable[[Point], Any], count: int, dice: random.Random) -> list[Point]:
    """So many of the points, taken in turn from groups of them."""
    groups: dict[Any, list[Point]] = {}
    for point in dice.sample(points, len(points)):
        groups.setdefault(group(point), []).append(point)
    ranked = sorted((place, number) for number, members in enumerate(groups.values()) for place in range(len(members)))
    return [list(groups.values())[number][place] for place, number in ranked[:count]]


def test_a_kill_before_any_call_on_the_files_loses_nothing(strace: None, make_faulty: Any, sink: GatedSink, record_property: Any) -> None:
    points = [point for point in count_calls(make_faulty(), sink) if point.call in KILLING_CALLS]
    dice, usual = random.Random(1), ("pwrite64", "fdatasync")
    chosen = points if FULL else [*spread([point for point in points if point.call not in usual], lambda point: point.call, 4, dice),
                                  *spread([point for point in points if point.call in usual], lambda point: point.step, 8, dice)]

    def kill(point: Point) -> tuple[Point, int, float, list[str]]:
        with GatedSink() as sink:
            server = make_faulty()
            session = Session(server, sink)
            status = run_spoiled(server, session, point, f"signal=KILL:when={point.number}")
            return point, status, *judge_restart(server, session, point)

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(kill, chosen))
    kills = [point for point, status, *_ in runs if status == -9]
    slowest, wrong = max(run[2] for run in runs), [text for run in runs for text in run[3]]
    record_property("kills at exact system calls", f"{len(kills)} kills over {', '.join(sorted({point.call for point in kills}))} in"
                    f" {len({point.step for point in kills})} steps: {len(wrong)} restarts with something lost, there by half or twice;"
                    f" slowest ready {slowest:.1f} s")
    assert wrong == [], "\n".join(wrong)
    assert slowest < LONGEST_START
    assert len(kills) >= len(chosen) * 0.9, "the others came too late in a run that was a little shorter"


def failures_of(server: FaultyServer, session: Session, status: int) -> list[str]:
    """What a server whose storage failed may not do."""
    writes = [answer for method, answer in session.answered if method != "GET"]
    first = next((number for number, answer in enumerate(writes) if answer == 503), len(writes))
    wrong = []
    if not set(session.statuses) <= {*session.OK, 202, 503, 507}:
        wrong.append(f"answered {dict(session.statuses)}")
    if any(answer in session.OK for answer in writes[first:]):
        wrong.append("acknowledged something after it failed")
    if status not in ((LEFT_TO_SYSTEMD,) if session.statuses[503] else (0, LEFT_TO_SYSTEMD)):
        wrong.append(f"ended with {status} after {dict(session.statuses)}")
    if re.search("Traceback|defect", server.output()):
        wrong.append("a traceback")
    return wrong


def test_a_failing_disk_ends_the_server_and_loses_nothing(
        strace: None, make_faulty: Any, sink: GatedSink, record_property: Any) -> None:
    points = [point for point in count_calls(make_faulty(), sink) if point.call in FAILING_CALLS]
    chosen = spread(points, lambda point: (point.call, point.step), 110 if FULL else 7, random.Random(2))

    def fail(run: tuple[Point, str]) -> tuple[bool, int, float, list[str], list[str]]:
        point, lasts = run
        with GatedSink() as sink:
            server = make_faulty()
            session, log = Session(server, sink), server.folder / "injected"
            status = run_spoiled(server, session, point, f"error=EIO:when={point.number}{lasts}", log)
            wrong = [f"{point}{lasts}: {text}" for text in failures_of(server, session, status)]
            seconds, lost = judge_restart(server, session, f"{point}{lasts}")
            return "(INJECTED)" in log.read_text(errors="replace"), status, seconds, wrong, lost

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(fail, itertools.product(chosen, ("", "+"))))
    hits, statuses, lost = sum(run[0] for run in runs), [run[1] for run in runs], [text for run in runs for text in run[4]]
    record_property("injected I/O errors", f"{hits} points over {', '.join(FAILING_CALLS)}, once and from then on:"
                    f" {len(lost)} restarts with something lost or corrupt; exit status 74 {statuses.count(LEFT_TO_SYSTEMD)} times,"
                    f" 0 {statuses.count(0)} times; slowest ready {max(run[2] for run in runs):.1f} s")
    wrong = lost + [text for run in runs for text in run[3]]
    assert wrong == [], "\n".join(wrong)
    assert hits >= (200 if FULL else 12)


def test_a_receiver_hears_that_the_disk_fails_before_the_server_ends(strace: None, make_faulty: Any, sink: GatedSink) -> None:
    server = make_faulty().start()
    session = Session(server, sink)
    session.make_receiver()
    with tampering(server, "-e", "trace=pwrite64,fdatasync", "-e", "inject=pwrite64,fdatasync:error=EIO:when=1+"):
        with contextlib.suppress(Gone):
            session.report_first()
        assert session.statuses[201] <= 1, "the receiver was made, and nothing else acknowledged"
        assert server.wait() == LEFT_TO_SYSTEMD
    told = " ".join(got.body.decode() for got in sink.got)
    assert re.search("disk|storage|database", told, re.I), "one last message that needs no database"
    restart(server, session)


# --- the power fails

ROUNDS = 60 if FULL else 2                           # the last of the full ones write over a WAL that was moved into the file
CRASHES = 420 if FULL else 16
OPENED = 20 if FULL else 3
LASTING = tuple(step for step in SCRIPT if step not in ("mark_delivery", "delete"))


class Verdicts:
    """What was found in the images of one recording."""

    def __init__(self, folder: pathlib.Path, sessions: list[Session]):
        self.path, self.sessions = folder / "image.db", sessions
        self.images = 0
        self.different: set[int] = set()
        self.lost: list[str] = []
        self.corrupt: list[str] = []
        self.forgotten: list[str] = []

    def lay(self, files: dict[str, bytes], path: pathlib.Path) -> None:
        for name in (*FILES, "-shm"):
            pathlib.Path(f"{path}{name}").unlink(missing_ok=True)
        for name, content in files.items():
            pathlib.Path(f"{path}{name}").write_bytes(content)

    def judge(self, files: dict[str, bytes], answered: set[str], confirmed: set[str], where: str) -> None:
        """Opens an image as SQLite does after a crash, and compares it with what was answered by then."""
        self.images += 1
        self.different.add(hash(tuple(sorted(files.items()))))
        self.lay(files, self.path)
        with contextlib.closing(sqlite3.connect(self.path)) as db:       # recovers, which a look without rights to write might not
            try:
                is_new = not db.execute("PRAGMA user_version").fetchone()[0]
            except sqlite3.DatabaseError as error:
                self.corrupt.append(f"{where}: {error}")
                return
            if is_new:
                self.lost += [f"{where}: everything"] * bool(answered)
                return
            self.corrupt += [f"{where}: {fault}" for fault in faults(self.path)]
            lost = [what for session in self.sessions for what in session.lost(self.path, lambda fact: fact.request in answered)]
            self.lost += [f"{where}: {what}" for what in lost if not what.startswith("notice")]
            self.forgotten += [f"{where}: {what}" for what in lost if what.startswith("notice")]
            self.forgotten += [f"{where}: {ident} is marked" for ident in sent_events(self.path) - confirmed]


def record_session(server: FaultyServer, sink: GatedSink, trace: pathlib.Path) -> list[Session]:
    """The sessions of two clients at once, from the first start to a clean stop, traced with all that was written and sent."""
    server.start(*under_strace(server, "-yy", "-xx", "-s", "1000000", "-e", f"trace={any_of(RECORDED)}", log=trace, flags=("-q",)))
    sessions = [Session(server, sink, f"round{number}", "x" * 9000 if FULL else "done") for number in range(ROUNDS)]
    sessions[0].make_receiver()
    for session in sessions[1:]:
        session.has_receiver = True
    with ThreadPoolExecutor(2) as clients:
        list(clients.map(lambda session: session.run(LASTING[1:]), sessions))
    sessions[0].settle()
    sessions[0].stop_server()
    wait_until(lambda: re.search(rb"^%d +\+\+\+ exited" % server.process.pid, trace.read_bytes()[-20_000:], re.M), 20, "strace wrote everything")
    return sessions


def test_a_power_cut_loses_nothing_that_was_acknowledged(strace: None, make_faulty: Any, sink: GatedSink, tmp_path: pathlib.Path,
                                                          record_property: Any) -> None:
    server, trace, dice = make_faulty(ALERTLITE_THREADS="6"), tmp_path / "trace", random.Random(3)
    sessions = record_session(server, sink, trace)
    known = {fact.request for session in sessions for fact in session.facts.values()}
    happenings = list(read_trace(trace, str(server.db)))
    changes = [number for number, happening in enumerate(happenings) if happening.call in CHANGES]
    rare = [number for number in changes if (happenings[number].call, happenings[number].file) != ("pwrite64", "-wal")]
    crashes = {*dice.sample(rare, CRASHES // 2), *dice.sample(changes, CRASHES // 2)}      # as many around syncs and in the file itself
    disk, deliveries, answered, verdicts = Disk(), Deliveries(sink.port), set[str](), Verdicts(tmp_path, sessions)
    lying, of_liar = Disk(), Verdicts(tmp_path, sessions)            # a disk that forgets the last syncs, to see that this is seen
    to_open = set(dice.sample(list(itertools.product(sorted(crashes), POLICIES)), OPENED))
    opened: list[tuple[dict[str, bytes], set[str]]] = []
    for number, happening in enumerate(happenings):
        if happening.call in CHANGES:
            disk.note(happening)
            if number < changes[len(changes) // 2] or happening.call not in ("fsync", "fdatasync"):
                lying.note(happening)
        elif happening.call == "sendto" and f"[127.0.0.1:{server.port}->" in happening.file:
            answered |= known.intersection(answered_requests(happening.content))
        deliveries.note(happening)
        if number in crashes:
            for policy in POLICIES:
                image = disk.after_power_loss(policy, dice)
                verdicts.judge(image, answered, deliveries.confirmed, f"after {number}, {happening.call}, unsynced writes {policy}")
                if (number, policy) in to_open:
                    opened.append((image, set(answered)))
        if number == changes[-1]:
            of_liar.judge(lying.after_power_loss("dropped", dice), answered, deliveries.confirmed, "at the end")
    assert of_liar.lost, "what is lost is found to be lost"
    assert known == answered, "the recording knows each answer"
    assert verdicts.corrupt == [] and verdicts.lost == [] and verdicts.forgotten == []
    slowest = max(open_image(make_faulty(), *image, sessions) for image in opened)
    syncs = sum(happening.call in ("fsync", "fdatasync") for happening in happenings)
    resets = sum((happening.call, happening.file, happening.at) == ("pwrite64", "-wal", 0) for happening in happenings) - 1
    assert not FULL or resets >= 1
    record_property("power-loss images", f"{verdicts.images} images ({len(verdicts.different)} different) at {len(crashes)} of {len(changes)} writes"
                    f" and syncs ({syncs} syncs, {resets} times the WAL was begun anew): 0 lost, 0 corrupt, 0 forgotten;"
                    f" {OPENED} opened by the server, slowest ready {slowest:.1f} s")


def open_image(server: FaultyServer, files: dict[str, bytes], answered: set[str], sessions: list[Session]) -> float:
    """Starts the server on an image; the seconds until it was ready."""
    for name, content in files.items():
        pathlib.Path(f"{server.db}{name}").write_bytes(content)
    seconds = server.timed_start()
    assert faults(server.db) == []
    assert [what for session in sessions for what in session.lost(server.db, lambda fact: fact.request in answered)] == []
    assert server.stop() == 0
    return seconds


# --- the disk is full

class SmallDisk:
    """A file system of 2 MB, mounted where only the server sees it."""

    def __init__(self, server: FaultyServer):
        if namespace_flags() is None:
            pytest.skip("nothing can be mounted here: unshare is missing or not allowed")
        server.start("unshare", *namespace_flags(), "sh", "-c", 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"', str(server.folder))
        self.filler = pathlib.Path(f"/proc/{server.process.pid}/root{server.folder}/filler")

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        with open(self.filler, "ab", buffering=0) as file:
            for size in (65_536, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass
        yield
        self.filler.unlink()


class RefusingDisk:
    """A disk on which every write to the database's files fails for want of room."""

    def __init__(self, server: FaultyServer):
        if why_no_strace():
            pytest.skip(why_no_strace())
        self.server = server.start()

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        with tampering(self.server, "-e", "trace=pwrite64,ftruncate,fallocate", "-e", "inject=pwrite64,fallocate:error=ENOSPC:when=1+"):
            yield


@pytest.mark.parametrize("kind", [SmallDisk, RefusingDisk])
def test_a_full_disk_is_said_and_survived(make_faulty: Any, sink: GatedSink, kind: Any, record_property: Any) -> None:
    server = make_faulty(ALERTLITE_THREADS="6")
    disk, session = kind(server), Session(server, sink)
    for step in (session.report_first, session.report_second, session.make_check, session.ping):
        step()
    check = f"/api/v3/checks/{session.check}"
    before = server.request("GET", check).json["last_ping"]
    time.sleep(1.1)                                  # times of pings are shown in seconds
    with disk.full():
        refused = server.request("POST", "/alert", {"resource": "new", "event": "e", "severity": "major"})
        assert (refused.status, refused.json["status"]) == (507, "error"), refused
        assert re.search("full", refused.json["message"])
        assert [server.request("GET", path).status for path in ("/alerts", "/api/v3/checks/", f"/alert/{session.alert}", check)] == [200] * 4
        pings = [server.request("GET", f"/ping/{session.check}", key=None) for _ in range(3)]
        closed = server.request("PUT", f"/alert/{session.alert}/status", {"status": "closed"})
        deleted = server.request("DELETE", f"/alert/{session.second}")
        shown = server.request("GET", f"/alert/{session.alert}").json["alert"]["status"]
        beats = [server.request("POST", "/heartbeat", {"origin": f"origin{number}"}).status for number in range(3)]
        assert {closed.status, deleted.status} <= {200, 507} and (shown == "closed") == (closed.status == 200)
        assert server.request("GET", f"/alert/{session.second}").status == (404 if deleted.status == 200 else 200)
        assert set(beats) <= {202, 507}
        assert [ping.status for ping in pings] == [202] * 3, pings
        assert re.search(r"counted", pings[0].body.decode()) and re.search("not.* stored", pings[0].body.decode()), pings
    freed = time.monotonic()
    wait_until(lambda: server.request("POST", "/alert", {"resource": "new", "event": "e", "severity": "major"}).status == 201, 10, "it stores again")
    wait_until(lambda: server.request("GET", check).json["n_pings"] == 4, 10, "the pings that were only counted are stored")
    recovered = time.monotonic() - freed
    origins = {beat["origin"] for beat in server.request("GET", "/heartbeats").json["heartbeats"]}
    assert {f"origin{number}" for number, status in enumerate(beats) if status == 202} <= origins
    assert server.request("GET", check).json["last_ping"] > before
    assert server.process.poll() is None and recovered < 10
    assert not re.search("Traceback|defect", server.output())
    assert server.stop() == 0
    record_property(f"full disk ({kind.__name__})", f"507 within 1 request, reads go on, {len(pings)} pings and {beats.count(202)} heartbeats kept in"
                    f" memory, close answered {closed.status}, delete {deleted.status}; recovered without restart after {recovered:.1f} s")


# --- the file is gone

class Aged(NamedTuple):
    """A database that a clean stop left, what was acknowledged of it, and an older copy, with one alert."""
    content: bytes
    facts: dict[str, Fact]
    copy: bytes


@pytest.fixture(scope="module")
def aged(tmp_path_factory: Any) -> Aged:
    """Made once for all."""
    server = FaultyServer(tmp_path_factory.mktemp("aged")).start()
    try:
        with GatedSink() as sink:
            session = Session(server, sink)
            session.report_first()
            assert server.stop() == 0
            copy = server.db.read_bytes()
            server.start()
            session.run(SCRIPT)
            assert server.stop() == 0
        return Aged(server.db.read_bytes(), session.facts, copy)
    finally:
        server.kill()


def start_aged(server: FaultyServer, sink: GatedSink, aged: Aged) -> Session:
    """Starts a server whose WAL then holds only a part of its database; what it acknowledged."""
    server.db.write_bytes(aged.content)
    pathlib.Path(f"{server.db}.lock").write_text("alertlite keeps a database beside this file\n")
    session = Session(server.start(), sink)
    session.facts = dict(aged.facts)
    session.report_second()
    return session


def unlink(path: pathlib.Path, copy: bytes) -> None:
    path.unlink()


def replace_by_text(path: pathlib.Path, copy: bytes) -> None:
    path.with_name("other").write_text("my shopping list\n" * 500)
    os.replace(path.with_name("other"), path)


def replace_by_copy(path: pathlib.Path, copy: bytes) -> None:
    path.with_name("other").write_bytes(copy)
    os.replace(path.with_name("other"), path)


def empty(path: pathlib.Path, copy: bytes) -> None:
    os.truncate(path, 0)


# What happens to the file, the exit statuses that the next start may have, and what it says.
GONE = [
    (unlink, {REFUSED}, "there was a database here"),
    (replace_by_text, {REFUSED, LEFT_TO_SYSTEMD}, "is not a database|is no database"),
    (replace_by_copy, {0}, ""),
    (empty, {REFUSED, LEFT_TO_SYSTEMD}, "there was a database here|was damaged"),
]


@pytest.mark.parametrize(("harm", "statuses", "text"), GONE, ids=[row[0].__name__ for row in GONE])
def test_a_file_that_is_gone_is_noticed_and_never_made_anew(make_faulty: Any, sink: GatedSink, aged: Aged, harm: Any, statuses: set[int],
                                                             text: str, record_property: Any) -> None:
    server = make_faulty()
    session = start_aged(server, sink, aged)
    said = len(server.output())
    harm(server.db, aged.copy)
    harmed = time.monotonic()
    health = wait_for_trouble(server)
    noticed = time.monotonic() - harmed
    reported = session.second
    with contextlib.suppress(Gone):
        assert session.report("nowhere") == "", "acknowledged into nowhere"
    assert health is None or (health.status, bool(re.search("database|file", health.json["message"]))) == (503, True), health
    assert server.wait() == LEFT_TO_SYSTEMD
    news = server.output()[said:]
    assert news.count("the process ends, to be started again") == 1 and "Traceback" not in news, news
    rescued = [path for path in server.folder.iterdir() if re.search(r"\.rescued-[\d-]+$", path.name)]
    assert len(rescued) == 1 or harm is empty, "what only the process knew is saved"
    assert all(session.lost(path) == [] and faults(path) == [] and reported in alerts_of_people(path) for path in rescued)
    said = len(server.output())
    status = server.status_of_start()
    assert status in statuses and re.search(text, server.output()[said:]), (status, server.output()[said:])
    if status:
        assert not server.db.exists() or server.db.stat().st_size in (0, 8500), "a new one would hide the loss"
        server.db.write_bytes(aged.copy)             # as the server says
        server.start()
        assert server.stop() == 0
    assert faults(server.db) == [] and len(alerts_of_people(server.db)) == 1, "the older copy, and nothing else"
    record_property(f"file gone ({harm.__name__})", f"noticed after {noticed:.2f} s, ended with 74, {len(rescued)} rescued; next start: {status}")


def wait_for_trouble(server: FaultyServer) -> Any:
    """The first answer to a health check that is not a good one; None = the server ended before."""
    answers: list[Any] = []

    def is_in_trouble() -> bool:
        try:
            answers.append(server.request("GET", "/healthz"))
        except OSError:
            answers.append(None)
        return answers[-1] is None or answers[-1].status != 200

    wait_until(is_in_trouble, 5, "a health check says that the database is gone")
    return answers[-1]


# --- the file is damaged

def damage_pages(path: pathlib.Path) -> None:
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(size // 4)
        file.write(random.Random(5).randbytes(size // 2))


def damage_header(path: pathlib.Path) -> None:
    with open(path, "r+b") as file:
        file.write(random.Random(5).randbytes(100))


def damage_first_page(path: pathlib.Path) -> None:
    with open(path, "r+b") as file:
        file.seek(100)                               # behind the header
        file.write(random.Random(5).randbytes(3996))


# What is done to a stopped database, whether the stop was a clean one, the exit status of the next start, and what it says.
# After a clean stop nobody looks for damage: the first start that stumbles over it leaves that to the second. (After an unclean
# one the WAL holds the first page, and heals it.)
DAMAGED = [
    (damage_pages, False, LEFT_TO_SYSTEMD, "damaged.*Restore a backup"),
    (damage_pages, True, LEFT_TO_SYSTEMD, "damaged.*Restore a backup"),
    (damage_first_page, True, LEFT_TO_SYSTEMD, "damaged.*Restore a backup"),
    (damage_header, False, LEFT_TO_SYSTEMD, "damaged.*Restore a backup"),
    (damage_header, True, LEFT_TO_SYSTEMD, "damaged.*Restore a backup"),
]
SET_ASIDE = re.compile(r"\.damaged-\d{8}-\d{6}(-wal)?")


def content_of(server: FaultyServer) -> dict[str, bytes]:
    """The database's file and its WAL."""
    paths = {name: pathlib.Path(f"{server.db}{name}") for name in ("", "-wal")}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def damage(server: FaultyServer, session: Session, harm: Any, is_clean: bool) -> dict[str, bytes]:
    """Ends the server while its WAL holds something, and damages what it leaves, which is returned."""
    server.end(signal.SIGTERM if is_clean else signal.SIGKILL)
    assert ("-wal" in content_of(server)) != is_clean
    harm(server.db)
    return content_of(server)


def set_aside(server: FaultyServer) -> list[bytes]:
    found = [path.read_bytes() for path in server.folder.iterdir() if SET_ASIDE.search(path.name)]
    return sorted(content for content in found if content)


@pytest.mark.parametrize(("harm", "is_clean", "status", "text"), DAMAGED,
                         ids=[f"{row[0].__name__}-{'clean' if row[1] else 'unclean'}" for row in DAMAGED])
def test_a_damaged_file_is_set_aside_and_never_replaced_by_an_empty_one(make_faulty: Any, sink: GatedSink, aged: Aged, harm: Any, is_clean: bool,
                                                                         status: int, text: str) -> None:
    server = make_faulty()
    left = damage(server, start_aged(server, sink, aged), harm, is_clean)
    said = len(server.output())
    for _ in range(1 + is_clean):
        if content_of(server):
            assert server.status_of_start() == status, server.output()
    news = server.output()[said:]
    assert re.search(text, news, re.S) and str(server.db) in news and "Traceback" not in news, news
    assert set_aside(server) == sorted(left.values()), "kept for a repair, with its WAL"
    assert content_of(server) == {}
    assert server.status_of_start() in (REFUSED, LEFT_TO_SYSTEMD) and not server.db.exists(), "a new one would hide the loss"
    server.db.write_bytes(aged.copy)
    server.start()
    assert faults(server.db) == [] and len(alerts_of_people(server.db)) == 1, "a copy put in its place is taken as it is"


@pytest.mark.parametrize(("harm", "is_clean"), [(damage_pages, False), (damage_pages, True), (damage_header, False)])
def test_a_start_on_a_damaged_file_goes_on_from_the_last_good_copy_and_says_so(make_faulty: Any, sink: GatedSink, aged: Aged, harm: Any,
                                                                               is_clean: bool) -> None:
    server = make_faulty()
    session = start_aged(server, sink, aged)
    backup = subprocess.run([sys.executable, str(ROOT / "alertlite.py"), "backup", f"{server.db}.last-good"], env=server.env, capture_output=True,
                            timeout=60)
    assert backup.returncode == 0, backup.stderr
    kept = dict(session.facts)
    session.report_first()
    left = damage(server, session, harm, is_clean)
    if is_clean:
        assert server.status_of_start() == LEFT_TO_SYSTEMD
    server.start()
    assert set_aside(server) == sorted(left.values()), "what was stored since may still be in there"
    session.facts = kept
    assert session.lost(server.db) == [] and faults(server.db) == []
    told = server.request("GET", "/alerts?event=DatabaseRestored").json["alerts"]
    assert len(told) == 1 and ".damaged-" in told[0]["text"], told


# --- the card is slow

DELAY, AT_ONCE = 0.15, 32


def test_a_slow_card_delays_and_refuses_nobody(strace: None, make_faulty: Any, record_property: Any) -> None:
    server = make_faulty(ALERTLITE_THREADS="6").start()
    gate, seconds = threading.Barrier(AT_ONCE), []

    def post(number: int) -> int:
        gate.wait(10)
        before = time.monotonic()
        answer = server.request("POST", "/alert", {"resource": f"r{number}", "event": "e", "severity": "major", "service": ["web"]})
        seconds.append(time.monotonic() - before)
        return answer.status

    with tampering(server, "-e", "trace=fdatasync", "-e", f"inject=fdatasync:delay_exit={DELAY * 1e6:.0f}"), ThreadPoolExecutor(AT_ONCE) as pool:
        assert list(pool.map(post, range(AT_ONCE))) == [201] * AT_ONCE
        assert server.request("GET", "/healthz").status == 200
    assert DELAY <= max(seconds) < 10
    with contextlib.closing(open_quietly(server.db)) as db:
        assert db.execute("SELECT count(*) FROM alerts").fetchone() == (AT_ONCE,)
    assert server.stop() == 0 and "Traceback" not in server.output()
    record_property("slow card", f"{AT_ONCE} reports at once, each sync {DELAY * 1000:.0f} ms slower: all 201, the last after {max(seconds):.2f} s")
