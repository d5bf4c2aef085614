"""Silence means something only where somebody listened: the real server while its host's clock is set, and while it is held
or dead, next to real senders that beat over HTTP and never try again.

libfaketime sets the clock that one server process believes in, and must leave its timeline alone: CLOCK_BOOTTIME it never
touches while FAKETIME_DONT_FAKE_MONOTONIC is set (the first test says if that changes). FAKETIME_FORCE_MONOTONIC_FIX=0 because
its own guess takes this C library for an old one, and then spoils every wait of the interpreter for its lock. time.sleep stays
broken under it, with EINVAL, or for hours where the clock is behind the time since the start of the host; a server that runs
undisturbed calls it nowhere.
"""
from __future__ import annotations

import contextlib
import datetime
import glob
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import FULL, Server
from fault_tools import FaultyServer, namespace_flags

import alertlite

pytestmark = pytest.mark.slow                        # real processes, real time

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), "")
needs_faketime = pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed")
HOSTS = 20 if FULL else 3                            # that are alive
LATE = 2.0                                           # seconds within which a silence is noticed, once it is one
DAY = 86_400


# --- the clock of the host

class HostClock:
    """The time of day that a server believes in."""

    def __init__(self, folder: pathlib.Path):
        self.file = folder / "clock"
        self.set(0)

    def set(self, error: int) -> None:
        """From now on the clock is so many seconds fast."""
        self.error = error
        new = self.file.with_suffix(".new")
        new.write_text(f"{error:+d}\n", encoding="ascii")
        os.replace(new, self.file)                   # it is read at every look at the clock

    def now(self) -> float:
        return time.time() + self.error

    @property
    def env(self) -> dict[str, str]:
        return {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"}


@pytest.fixture
def clock(tmp_path: pathlib.Path) -> Iterator[HostClock]:
    """A clock; what libfaketime leaves behind in /dev/shm of processes that have ended goes with it."""
    before = set(glob.glob("/dev/shm/*faketime_*"))
    yield HostClock(tmp_path)
    for path in set(glob.glob("/dev/shm/*faketime_*")) - before:
        if not os.path.exists(f"/proc/{path.rpartition('_')[2]}"):
            pathlib.Path(path).unlink(missing_ok=True)


@pytest.fixture
def clocked(make_server: Any, clock: HostClock) -> Iterator[Server]:
    """A server by that clock, not started yet."""
    server = make_server(**clock.env)
    yield server
    server.stop()


def seconds_of(text: str) -> float:
    """Seconds since 1970 of a time that the server showed."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# --- senders, and what is said of them

class Sender(threading.Thread):
    """A host that beats every so often, and never tries again. One that is cut off does not even reach the machine."""

    def __init__(self, server: Server, origin: str, timeout: int, every: float, patience: float = 10):
        """All in seconds; patience: for which it waits for an answer."""
        super().__init__(name=origin, daemon=True)
        self.server, self.timeout, self.every, self.patience = server, timeout, every, patience
        self.is_cut_off = False
        self.ended = threading.Event()
        self.lost = 0                                # beats
        self.heard: list[tuple[float, float]] = []   # of each beat that was acknowledged: when it was sent, and answered
        self.refused: list[Any] = []
        self.start()

    def run(self) -> None:
        due = time.monotonic()
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + self.every, time.monotonic())
            if self.is_cut_off or not self.beat():
                self.lost += 1

    def beat(self) -> bool:
        """Whether it was acknowledged."""
        sent = time.monotonic()
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self.server.request("POST", "/heartbeat", {"origin": self.name, "timeout": self.timeout}, timeout=self.patience)
            if answer.status != 201:
                self.refused.append(answer)
            self.heard.append((sent, time.monotonic()))
            return True
        return False

    def die(self) -> float:
        """Ends it; when it was last heard."""
        self.ended.set()
        self.join(20)
        assert self.refused == []
        return self.heard[-1][1]

    def longest_silence(self) -> float:
        """Seconds that may have lain between two signs of life at the most: a busy machine can be late as well."""
        return max((after[1] - before[0] for before, after in zip(self.heard, self.heard[1:])), default=0.0)


@contextlib.contextmanager
def senders(server: Server, timeouts: dict[str, int], every: float, patience: float = 10) -> Iterator[dict[str, Sender]]:
    """Hosts that have beaten at least twice, for the block. timeouts: name -> seconds."""
    hosts = {name: Sender(server, name, timeout, every, patience) for name, timeout in timeouts.items()}
    try:
        await_that(lambda: all(len(host.heard) >= 2 for host in hosts.values()), 20, "everybody has beaten twice")
        yield hosts
    finally:
        for host in hosts.values():
            host.ended.set()
        for host in hosts.values():
            host.join(20)


def living(count: int = HOSTS, what: str = "alive") -> list[str]:
    return [f"{what} {number}" for number in range(count)]


def await_that(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """What the condition is true with; looks ten times a second. AssertionError where that takes longer."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.1)
    return found


def events(server: Server, kind: str) -> list[Any]:
    """The events of a type, the earliest first."""
    answer = server.request("GET", f"/notification/events?limit=100&event_type={kind}")
    assert answer.status == 200, answer
    return answer.json[::-1]


def called_silent(server: Server) -> list[str]:
    """Who was called silent, as often as that was so."""
    texts = [event["messages"]["text"] for event in events(server, "heartbeat_expired")]
    return sorted(re.fullmatch(r"SILENT: (.*): Heartbeat not received in \d+ seconds", text)[1] for text in texts)


def still_silent(told: Any) -> list[str]:
    """Whom a message about a gap names."""
    return re.search(r"Still silent: (.*)\.$", told["text"])[1].split(", ")


def found_after(server: Server, name: str, since: float, seconds: float) -> float:
    """How many seconds after a moment a host was called silent; AssertionError where it takes longer."""
    await_that(lambda: name in called_silent(server), since + seconds - time.monotonic(), f"{name} is called silent")
    return time.monotonic() - since


def check_alive(server: Server, hosts: list[Sender], dead: list[str], record: Callable[[str, Any], None], what: str) -> None:
    """Nobody was called silent but the dead, once each, and whoever really was late; records what happened."""
    late = {host.name for host in hosts if host.longest_silence() >= host.timeout}
    silent = called_silent(server)
    record(f"live clock: {what}: senders", f"{len(hosts)} alive, longest silence of one that was heard "
           f"{max(host.longest_silence() for host in hosts):.1f} s; {len([name for name in silent if name not in dead])} false alarms")
    assert [name for name in silent if name not in late] == sorted(dead)
    if len(late) == len(hosts):
        pytest.skip("this machine is too busy: every sender was late itself")
    assert "Traceback" not in server.output() and "defect" not in server.output()


# --- the clock is set

PROBE = "import time; print(time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.monotonic_ns())"


@needs_faketime
def test_libfaketime_sets_the_time_of_day_and_leaves_our_timeline_alone(clock: HostClock) -> None:
    clock.set(DAY)
    shown = subprocess.run([sys.executable, "-c", PROBE], env={**os.environ, **clock.env}, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, check=True, timeout=20).stdout.split()
    wall, boottime, monotonic = (int(text) / 1e9 for text in shown)
    assert abs(wall - clock.now()) < 20
    assert 0 <= time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e9 - boottime < 20
    assert 0 <= time.monotonic() - monotonic < 20


def post_alert(server: Server, resource: str, timeout: int = 3600) -> str:
    """The id of a new alert."""
    answer = server.request("POST", "/alert", {"resource": resource, "event": "HttpError", "severity": "major", "timeout": timeout})
    assert answer.status == 201, answer
    return answer.json["id"]


def get_alert(server: Server, ident: str) -> Any:
    return server.request("GET", f"/alert/{ident}").json["alert"]


def create_check(server: Server, **fields: Any) -> str:
    """The path of a new check, which was pinged once."""
    code = server.request("POST", "/api/v3/checks/", {"grace": 60, **fields}).json["uuid"]
    assert server.request("GET", f"/ping/{code}", key=None).status == 200
    return f"/api/v3/checks/{code}"


@contextlib.contextmanager
def keep_connection(server: Server) -> Iterator[Callable[[], bool]]:
    """Asks, on one connection for the whole block, whether the server is there."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as kept:
        def answers() -> bool:
            kept.request("GET", "/healthz")
            return kept.getresponse().read() != b""

        kept.connect()
        kept.auto_open = 0                           # it is never opened again
        assert answers()
        yield answers


def hourly_at(minute: int, after: float) -> float:
    """The first time at this minute of an hour after a moment; seconds since 1970."""
    return after + (minute * 60 - after) % 3600


@needs_faketime
@pytest.mark.parametrize("error", [pytest.param(DAY, id="a day on"), pytest.param(-DAY, id="a day back")])
def test_a_clock_that_is_set_makes_nobody_silent_and_hides_nobody(
        clocked: Server, clock: HostClock, record_property: Any, error: int) -> None:
    server, what = clocked.start(), f"set by {error:+d} s"
    minute = (int(time.time()) // 60 + 30) % 60      # half an hour away from any of its runs
    nightly, hourly = create_check(server, name="nightly", timeout=60), create_check(server, name="hourly", schedule=f"{minute} * * * *")
    before, posted_at = post_alert(server, "before"), clock.now()
    with keep_connection(server) as still_answers, senders(
            server, dict.fromkeys([*living(), "dies before", "dies after"], 4), 1) as hosts:
        hosts["dies before"].die()
        clock.set(error)
        set_at = time.monotonic()
        noted, = await_that(lambda: events(server, "clock_set"), 5, "the setting is recorded")
        noticed = time.monotonic() - set_at
        found_before = found_after(server, "dies before", set_at, 4 + LATE)
        found_later = found_after(server, "dies after", hosts["dies after"].die(), 4 + LATE)
        check_alive(server, [hosts[name] for name in living()], ["dies before", "dies after"], record_property, what)
        record_property(f"live clock: {what}", f"noticed after {noticed:.1f} s; dead found {found_before:.1f} s after the setting, and, of "
                        f"one that died later, {found_later:.1f} s after its last beat (timeout 4 s)")
        beats = {beat["origin"]: beat for beat in server.request("GET", "/heartbeats").json["heartbeats"]}
        assert still_answers(), "a connection outlives it"
    assert f"The clock was set by {error:+d} s" in str(noted["messages"]), noted
    assert {name for name in living() if beats[name]["status"] == "ok"} == set(living())
    after = post_alert(server, "after")
    for shown, right in ((noted["timestamp"], clock.now()), (beats["alive 0"]["receiveTime"], clock.now()), (get_alert(server, after)["createTime"],
                         clock.now()), (get_alert(server, before)["createTime"], posted_at)):
        assert abs(seconds_of(shown) - right) < 20, "times are shown as the clock showed them then"
    assert [get_alert(server, ident)["status"] for ident in (before, after)] == ["open", "open"], "nothing has expired"
    newest = server.request("GET", "/alerts?event=HttpError&sort-by=createTime").json["alerts"]
    assert [alert["id"] for alert in newest] == [after, before], "what came later is later"
    checks = [server.request("GET", path).json for path in (nightly, hourly)]
    assert [check["status"] for check in checks] == ["up", "up"] and events(server, "check_down") == []
    assert seconds_of(checks[1]["next_ping"]) == hourly_at(minute, clock.now()), "cron jobs run by the clock as it is now"
    assert len(events(server, "clock_set")) == 1
    assert server.stop() == 0


# --- a host without a clock chip

def launcher(folder: pathlib.Path) -> list[str]:
    """What has a server take this run of the host for another one."""
    boot = folder / "boot_id"
    boot.write_text(alertlite.new_id() + "\n", encoding="ascii")
    script = f'mount --bind "{boot}" /proc/sys/kernel/random/boot_id && LD_PRELOAD={FAKETIME} exec "$@"'
    return ["unshare", *namespace_flags(), "sh", "-c", script, "sh"]


@pytest.fixture
def chipless(tmp_path: pathlib.Path, clock: HostClock) -> Iterator[FaultyServer]:
    """A server on a host whose clock may be wrong when it starts, and is waited for."""
    server = FaultyServer(tmp_path / "server", ALERTLITE_CLOCK="wait", **clock.env)
    yield server
    server.stop()


@needs_faketime
@pytest.mark.parametrize("boots", [pytest.param(True, id="the host starts again"), pytest.param(
    False, id="alertlite alone starts again", marks=pytest.mark.skipif(not FULL, reason="at full length only"))])
def test_a_start_in_1970_makes_nobody_silent_and_times_are_right_once_the_clock_is_set(
        chipless: FaultyServer, clock: HostClock, tmp_path: pathlib.Path, record_property: Any, boots: bool) -> None:
    if boots and not namespace_flags():
        pytest.skip("no mount namespace can be made here, so this run of the host cannot be taken for another")
    server, what = chipless.start(), "a start in 1970" + (" of the host" if boots else "")
    is_held = not alertlite.Clock().is_synchronised()          # the kernel of this machine is asked, and may know better
    minute = (int(time.time()) // 60 + 30) % 60
    hourly, before = create_check(server, name="hourly", schedule=f"{minute} * * * *"), post_alert(server, "before")
    with senders(server, dict.fromkeys([*living(), "dead"], 4), 1) as hosts:
        hosts["dead"].die()
        assert server.stop() == 0
        clock.set(60 - int(time.time()))
        server.env["ALERTLITE_CLOCK_PATIENCE"] = f"{time.clock_gettime(time.CLOCK_BOOTTIME) + 10:.0f}"
        if boots:
            del server.env["LD_PRELOAD"]             # not for unshare, sh and mount
        server.start(*(launcher(tmp_path) if boots else ()))
        started_at = time.monotonic()
        wrong, posted_at = post_alert(server, "in 1970"), time.time()
        assert get_alert(server, wrong)["createTime"].startswith("1970-01-01T00:0")
        assert ("held" in str(server.request("GET", "/healthz").json)) == is_held
        time.sleep(3)
        clock.set(0)
        await_that(lambda: len(events(server, "clock_set")) == 2, 5, "both settings are recorded")
        found = found_after(server, "dead", started_at, 3 + 4 + LATE)
        after = post_alert(server, "after")
        await_that(lambda: "held" not in str(server.request("GET", "/healthz").json), 25, "the clock is trusted in the end")
        check_alive(server, [hosts[name] for name in living()], ["dead"], record_property, what)
    record_property(f"live clock: {what}", f"set right 3 s later; dead found {found:.1f} s after the start (timeout 4 s); cron "
                    + ("held meanwhile" if is_held else "not held, as the kernel says that its clock is right"))
    if is_held:
        assert abs(seconds_of(get_alert(server, wrong)["createTime"]) - posted_at) < 20, "it is known now what time it was"
    assert abs(seconds_of(get_alert(server, after)["createTime"]) - time.time()) < 40
    shown = server.request("GET", "/alerts?event=HttpError&sort-by=createTime").json["alerts"]
    assert [alert["id"] for alert in shown] == [after, wrong, before], "what came later is later"
    check = server.request("GET", hourly).json
    assert check["status"] == "up" and seconds_of(check["next_ping"]) == hourly_at(minute, time.time())
    assert events(server, "check_down") == []


# --- the process is held, or dies

@pytest.mark.parametrize("hold", [12, *([60] if FULL else [])])
def test_who_could_not_be_heard_while_the_process_was_held_is_not_silent_and_the_dead_are_found(
        make_server: Any, record_property: Any, hold: int) -> None:
    timeout, slow_timeout = 8, 2 * hold + 1          # so that the gap is less than half of the longer one, and not over its end
    server = make_server(ALERTLITE_SETTLE_TIME="4").start()
    timeouts = {**dict.fromkeys([*living(), *living(2, "cut off"), "dead"], timeout), "slow and dead": slow_timeout}
    with senders(server, timeouts, 2, patience=0.5) as hosts:
        since = hosts["slow and dead"].die()
        for name in (*living(2, "cut off"), "dead"):             # the others reach the queue of connections, and are heard late
            hosts[name].is_cut_off = True
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(hold)
        hosts["dead"].ended.set()
        server.process.send_signal(signal.SIGCONT)
        held_until = time.monotonic()
        for name in living(2, "cut off"):
            hosts[name].is_cut_off = False
        told, = await_that(lambda: events(server, "not_listening"), 4 + LATE, "the gap is told of")
        found = found_after(server, "dead", held_until, timeout + LATE)
        found_slow = found_after(server, "slow and dead", since, slow_timeout + LATE)
        alive = [hosts[name] for name in (*living(), *living(2, "cut off"))]
        assert called_silent(server) == ["dead", "slow and dead"], "each once, and nobody else"
        lost = sum(host.lost for host in alive)
    assert lost >= len(alive) * hold // 3, "they beat in vain"
    assert "it was held" in told["text"] and sorted(still_silent(told)) == ["dead", "slow and dead"], told["text"]
    assert len(events(server, "not_listening")) == 1
    record_property(f"live clock: held for {hold} s", f"{len(alive)} alive, {lost} beats lost, 0 false alarms; dead found {found:.1f} s after it "
                    f"went on (timeout {timeout} s), and {found_slow:.1f} s after its last beat where no beat was due meanwhile "
                    f"(timeout {slow_timeout} s)")


def test_who_could_not_be_heard_after_a_crash_is_not_silent_and_the_gap_is_told_once(make_server: Any, tmp_path: pathlib.Path,
                                                                                      record_property: Any) -> None:
    timeout, away = 8, 6
    server = make_server(ALERTLITE_SETTLE_TIME="3", RUNTIME_DIRECTORY=str(tmp_path)).start()
    with senders(server, dict.fromkeys([*living(), "dead"], timeout), 1, patience=0.5) as hosts:
        hosts["dead"].die()
        server.kill()
        time.sleep(away)
        server.start()
        up_since = time.monotonic()
        told, = await_that(lambda: events(server, "not_listening"), 3 + LATE, "the gap is told of")
        told_after = time.monotonic() - up_since
        assert called_silent(server) == []
        found = found_after(server, "dead", up_since, timeout + LATE)
        time.sleep(timeout if FULL else 1)
        alive = [hosts[name] for name in living()]
        assert called_silent(server) == ["dead"], "once, and nobody else"
        lost = sum(host.lost for host in alive)
    assert lost >= len(alive), "they beat in vain"
    assert "it ended without notice" in told["text"] and still_silent(told) == ["dead"], told["text"]
    assert len(events(server, "not_listening")) == 1
    record_property("live clock: killed, and back after 6 s", f"{len(alive)} alive, {lost} beats lost, 0 false alarms; told {told_after:.1f} s after "
                    f"its start: “{told['text'].splitlines()[0]}”; dead found {found:.1f} s after its start (timeout {timeout} s)")


def test_who_could_not_be_heard_during_a_stop_that_takes_long_is_not_silent(make_server: Any, record_property: Any) -> None:
    timeout = 4
    server = make_server(ALERTLITE_PRIVATE_TARGETS="all").start()
    with socket.create_server(("127.0.0.1", 0)) as hook, senders(
            server, dict.fromkeys(living(), timeout), 1, patience=0.5) as hosts:
        address = f"http://127.0.0.1:{hook.getsockname()[1]}/"
        assert server.request("POST", "/notification/config/receivers", {"type": "webhook", "address_data": address}).status == 201
        post_alert(server, "told of")
        hook.settimeout(20)
        with hook.accept()[0]:                       # it is never answered, and the stop waits for that
            begun_at = time.monotonic()
            assert server.stop() == 0
            took = time.monotonic() - begun_at
        server.start()
        time.sleep(1.5)                              # it judges at once
        silent = called_silent(server)
    record_property("live clock: a stop that takes long", f"{took:.1f} s; {len(hosts)} alive, {len(silent)} false alarms (timeout {timeout} s)")
    assert took > timeout, "it was held up"
    assert silent == []
