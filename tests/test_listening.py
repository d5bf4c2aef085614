"""Silence is judged only where we were listening: our time, spans in which nobody was heard, and clocks that are set.

The scenarios run the real engine on the clocks of a host that reboots, sleeps and is set, next to senders that never try
again; those that die at hour four must be found as early as on a quiet day, and nobody else may ever be called silent.
"""
from __future__ import annotations

import heapq
import json
import pathlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import FULL, FakeClock, lay_database, pass_time, restart

import alertlite
from alertlite import ALWAYS, DeafSpan, Listening, PingAddress, PingSent, Timeline

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
NOW = alertlite.ms_from_text("2030-03-17T12:00:00.000Z")


@pytest.fixture(autouse=True)
def usual_timeline() -> Iterator[None]:
    yield
    alertlite.follow_timeline(Timeline())


# --- our time and the host's clock

SET_TWICE = Timeline([(Timeline.FIRST, 0), (1_000_000, 3_600_000), (2_000_000, -60_000)])     # an hour on, then back


@pytest.mark.parametrize(("ours", "wall"), [
    pytest.param(-5, -5, id="before everything"), pytest.param(999_999, 999_999, id="before the clock was set"),
    pytest.param(1_000_000, 4_600_000, id="from when it was set on"), pytest.param(1_999_999, 5_599_999, id="until it was set back"),
    pytest.param(2_000_000, 1_940_000, id="from when it was set back"), pytest.param(9_000_000, 8_940_000, id="for ever after"),
])
def test_our_time_is_shown_as_the_clock_showed_it_then(ours: int, wall: int) -> None:
    assert SET_TWICE.wall(ours) == wall


@pytest.mark.parametrize(("wall", "ours"), [
    pytest.param(500_000, 500_000, id="before the clock was set"), pytest.param(8_940_000, 9_000_000, id="now"),
    pytest.param(5_000_000, 5_060_000, id="a time that came twice is the later one"),
    pytest.param(1_500_000, 1_000_000, id="a time that was left out is when the clock was set"),
])
def test_a_time_of_day_is_read_as_the_clock_showed_it(wall: int, ours: int) -> None:
    assert SET_TWICE.ours(wall) == ours


def test_a_correction_replaces_what_was_believed_since(app: Any) -> None:
    late = Timeline([(Timeline.FIRST, 0), (1000, -7_200_000)])
    assert late.corrected(1000, 5000, 5000 + 3_600_400).segments == [(Timeline.FIRST, 0), (1000, 3_600_000)]
    assert Timeline().corrected(Timeline.FIRST, 0, 7000).segments == [(Timeline.FIRST, 7000)]


def test_times_as_text_follow_the_clock_and_are_read_back_as_the_same() -> None:
    alertlite.follow_timeline(Timeline([(Timeline.FIRST, 0), (NOW, 7_200_000)]))
    assert alertlite.text_from_ms(NOW - 1) == "2030-03-17T11:59:59.999Z"
    assert alertlite.text_from_ms(NOW + 1) == "2030-03-17T14:00:00.001Z"
    assert alertlite.ms_from_text("2030-03-17T14:00:00.001Z") == NOW + 1
    assert alertlite.next_run("30 14 * * *", "UTC", NOW) == NOW + 30 * MINUTE, "cron jobs run by the clock as it is now"


# --- when a sender is silent

def spans(*given: tuple[float, float, str]) -> Listening:
    """Deaf spans by seconds after NOW."""
    return Listening(tuple(DeafSpan(None, NOW + round(start * 1000), NOW + round(end * 1000), reason, None) for start, end, reason in given))


@pytest.mark.parametrize(("gap", "listening", "seconds"), [
    pytest.param(0, ALWAYS, 360, id="a quiet day"),
    pytest.param(0, spans((-50, -1, "stop")), 360, id="a span before it was heard"),
    pytest.param(0, spans((100, 110, "stop")), 360, id="a short span when nothing was due"),
    pytest.param(0, spans((295, 305, "stop")), 660, id="a span over the time due: judged by the next one"),
    pytest.param(0, spans((310, 320, "crash")), 660, id="a span just after the time due, when senders are a little late"),
    pytest.param(0, spans((320, 330, "crash")), 360, id="a short span later in the grace"),
    pytest.param(0, spans((320, 355, "crash")), 660, id="a longer span in the grace, when a late sign of life may have come"),
    pytest.param(0, spans((295, 305, "stop"), (595, 605, "stop")), 960, id="two spans over two times due"),
    pytest.param(0, spans((290, 291, "stop"), (450, 460, "stop")), 660, id="only spans over times due count"),
    pytest.param(0, spans((100, 250, "stop")), 610, id="a span of half the period: anew from its end"),
    pytest.param(0, spans((100, 101, "boot")), 461, id="a start of the host: senders on it begin anew"),
    pytest.param(0, spans((100, 110, "sleep")), 470, id="a sleep of the host: senders on it slept too"),
    pytest.param(0, spans((100, 3700, "stop")), 4060, id="an hour"),
    pytest.param(0, spans((100, 3700, "stop"), (3995, 4005, "stop")), 4360, id="an hour, and a span over the time due after it"),
    pytest.param(200_000, spans((195, 205, "stop")), 500, id="one that comes sooner than promised, missed at its own time"),
    pytest.param(200_000, spans((100, 110, "stop")), 360, id="one that comes sooner than promised, not missed"),
    pytest.param(60_000, spans((55, 65, "stop")), 360, id="one that comes much sooner was to be heard again in time"),
    pytest.param(1, spans((10, 150, "stop")), 360, id="two signs of life at once say little"),
])
def test_a_sender_is_judged_by_the_first_time_due_at_which_it_was_to_be_heard(gap: int, listening: Listening, seconds: int) -> None:
    assert alertlite.silent_from(NOW, 300_000, gap, 60_000, listening) - NOW == seconds * 1000


def test_looking_for_a_time_due_is_quick_however_long_the_span() -> None:
    listening = spans(*((number * 40_000, number * 40_000 + 39_000, "stop") for number in range(500)))
    assert alertlite.silent_from(NOW, 86_400_000, 1000, 3_600_000, listening) > NOW


@pytest.mark.parametrize(("run", "listening", "due"), [
    pytest.param("13:00", ALWAYS, "13:00", id="a quiet day"),
    pytest.param("13:00", spans((3600 - 5, 3600 + 5, "stop")), "14:00", id="a span over the run"),
    pytest.param("13:00", spans((3600 + 14, 3600 + 16, "stop")), "14:00", id="a span just after the run"),
    pytest.param("13:00", spans((3600 + 60, 3600 + 80, "stop")), "13:00", id="a short span later in its grace"),
    pytest.param("13:00", spans((3600 + 60, 3600 + 95, "stop")), "14:00", id="a longer one in its grace"),
    pytest.param("13:00", spans((3600 + 660, 3600 + 700, "stop")), "13:00", id="one after its grace"),
    pytest.param("13:00", spans((0, 20 * 3600, "boot")), "09:00", id="a night: no run of it is judged"),
    pytest.param("13:00", spans((3600, 3601, "stop"), (7200, 7201, "stop")), "15:00", id="spans over two runs"),
])
def test_a_cron_run_that_may_have_been_missed_is_not_judged(run: str, listening: Listening, due: str) -> None:
    check = alertlite.new_check("", {"kind": "cron", "schedule": "0 * * * *", "status": "up", "grace": 600, "last_ping_at": NOW,
                                     "next_at": alertlite.ms_from_text(f"2030-03-17T{run}:00.0Z")}, NOW)
    assert alertlite.second_text(alertlite.check_slot(check, listening))[11:16] == due
    assert alertlite.check_slot(check, listening._replace(cron_held=True)) is None, "nor any while the clock may be wrong"


@pytest.mark.parametrize(("status", "listening", "seconds"), [
    pytest.param("up", ALWAYS, 600, id="a quiet day"), pytest.param("up", spans((700, 800, "stop")), 600, id="a span after it"),
    pytest.param("up", spans((100, 101, "stop")), None, id="its end may have been missed, and its next ping is waited for"),
    pytest.param("new", spans((100, 101, "stop")), 701, id="no ping is waited for: as if it had begun after the span"),
])
def test_a_run_under_way_whose_end_may_have_been_missed(status: str, listening: Listening, seconds: int | None) -> None:
    check = alertlite.new_check("", {"status": status, "grace": 600, "last_ping_at": NOW - 1000, "last_start_at": NOW}, NOW)
    assert alertlite.run_limit(check, listening) == (None if seconds is None else NOW + seconds * 1000)


@pytest.mark.parametrize(("before", "now", "longest", "gap"), [
    pytest.param(None, NOW, 60, 0, id="the first"), pytest.param(NOW - 30_000, NOW, 60, 30_000, id="in time"),
    pytest.param(NOW - 61_000, NOW, 60, 0, id="too late: something went missing between"),
    pytest.param(NOW, NOW, 60, 0, id="at once"),
])
def test_the_gap_between_two_signs_of_life(before: int | None, now: int, longest: int, gap: int) -> None:
    assert alertlite.sender_gap(before, now, longest) == gap


# --- what the engine notices

def create(app: Any, **fields: Any) -> str:
    return app.call("POST", "/api/v3/checks/", {"name": "nightly", "timeout": 3600, "grace": 600, **fields}).json["uuid"]


def ping(app: Any, code: str) -> None:
    assert app.call("GET", f"/ping/{code}", key=None).status == 200


def start_on(app: Any, clock: FakeClock) -> None:
    """Starts the application on a host with this clock."""
    app.clock, app.engine = clock, alertlite.Engine(app.store, clock, app.settings)
    app.engine.begin_listening()
    app.api = alertlite.Api(app.engine, app.settings)


def stored_spans(app: Any) -> list[tuple[int, int, str]]:
    """Seconds from the first start, seconds long, reason."""
    begin = FakeClock().ms
    return [((span.start_at - begin) // 1000, alertlite.span_length(span) // 1000, span.reason) for span in
            (DeafSpan(*row) for row in app.stored()["deaf_spans"])]


def test_a_stop_counts_from_the_stop_and_a_crash_from_the_last_sign_of_life(app: Any) -> None:
    app.engine.begin_listening()
    assert stored_spans(app) == [], "a first start has nothing behind it"
    ping(app, create(app))
    pass_time(app, 100)
    restart(app, 50)
    pass_time(app, 100)
    restart(app, 50, stops=False)
    assert stored_spans(app) == [(100, 50, "stop"), (150, 150, "crash")]
    assert app.engine.listening.spans[-1].reason == "crash"


@pytest.mark.parametrize(("seconds", "found"), [(5, []), (60, [(0, 60, "pause")])])
def test_a_process_that_was_held_did_not_listen(app: Any, seconds: int, found: list[Any]) -> None:
    app.engine.look_at_clock()
    app.clock.advance(seconds)
    app.engine.look_at_clock()
    assert stored_spans(app) == found


def test_a_ping_that_may_have_been_missed_is_no_alarm_and_a_dead_job_is_found(app: Any) -> None:
    code = create(app)
    ping(app, code)
    pass_time(app, 3550)
    restart(app, 100)
    pass_time(app, 3600 + 600 - 51)
    assert app.engine.expire_due().down == [], "its ping may have come while nobody listened"
    pass_time(app, 3600)
    assert app.engine.expire_due().down == [code], "but the next one did not"


def test_what_was_not_heard_is_told_once_after_settling_with_who_is_still_silent(app: Any) -> None:
    back, silent, night = create(app, name="back"), create(app, name="silent"), create(app, name="night", schedule="0 2 * * *")
    far = create(app, name="far away", timeout=DAY // 1000)
    for code in (back, silent, night, far):
        ping(app, code)
    app.call("POST", "/heartbeat", {"origin": "host", "timeout": 86400})
    restart(app, 3 * 3600, settle_time="600")
    app.clock.advance(1)
    ping(app, back)
    pass_time(app, 590)
    app.engine.expire_due()
    assert "not_listening" not in app.events()
    pass_time(app, 15)
    app.engine.expire_due()
    pass_time(app, 3600)
    app.engine.expire_due()
    told = [json.loads(messages) for kind, messages in ((row[2], row[6]) for row in app.stored()["events"]) if kind == "not_listening"]
    assert [(message["title"], message["text"]) for message in told] == [("Was not listening for 3 h; 2 still silent", (
        "Not listening 2030-01-01 00:00 – 03:00 UTC (3 h): it was stopped.\nBack: 1 of 3.\nStill silent: silent, night."))]


def test_a_short_restart_is_recorded_and_wakes_nobody(app: Any) -> None:
    app.call("POST", "/notification/config/receivers", {"type": "browser"})
    ping(app, create(app))
    restart(app, 3)
    pass_time(app, 700)
    app.engine.expire_due()
    assert [(row[2], row[7]) for row in app.stored()["events"] if row[2] == "not_listening"] == [("not_listening", "short")]


def test_many_starts_in_an_hour_are_an_alert(app: Any) -> None:
    ping(app, create(app))
    for number in range(4):
        assert "FrequentRestarts" not in [alert["event"] for alert in app.get("/alerts")["alerts"]], number
        restart(app, 60)
    alert = next(alert for alert in app.get("/alerts")["alerts"] if alert["event"] == "FrequentRestarts")
    assert (alert["severity"], alert["value"], alert["timeout"]) == ("warning", "4", 7200)


def test_a_clock_that_is_set_shifts_nothing_and_is_recorded(make_app: Any) -> None:
    app, clock = make_app(), HostClock(FakeClock().ms)
    start_on(app, clock)
    code, night = create(app), create(app, name="night", schedule="0 2 * * *")
    ping(app, code)
    ping(app, night)
    clock.advance(1)
    clock.error = 7 * DAY
    app.engine.look_at_clock()
    assert app.events() == ["clock_set"]
    last_ping = app.call("GET", f"/api/v3/checks/{code}").json["last_ping"]
    assert last_ping == "2030-01-01T00:00:00+00:00", "shown as the clock showed it"
    assert app.call("GET", f"/api/v3/checks/{night}").json["next_ping"] == "2030-01-08T02:00:00+00:00", "cron jobs run by the clock"
    pass_time(app, 3600 + 599)
    assert app.engine.expire_due().down == [], "a clock that jumps on may mean that the host was paused: anew from then"
    pass_time(app, 1)
    assert app.engine.expire_due().down == [code]
    assert app.call("GET", f"/api/v3/checks/{code}/flips/").json["flips"][0]["timestamp"] == "2030-01-08T01:10:01+00:00"


def test_our_time_goes_on_where_it_was_after_a_restart_however_the_clock_was_set(make_app: Any) -> None:
    app, clock = make_app(), HostClock(FakeClock().ms)
    start_on(app, clock)
    before = clock.now()
    app.engine.end_listening()
    clock.error, clock.base = -30 * DAY, None
    clock.advance(10)
    start_on(app, clock)
    assert clock.now() == before + 10_000
    clock.restart(seconds=60, error=-20 * 365 * DAY)
    start_on(app, clock)
    assert 0 <= clock.now() - before - 10_000 <= 60_000, "a clock that cannot be right does not count"
    assert alertlite.text_from_ms(clock.now())[:4] == "2010", "but it is what people see"


def test_silence_is_judged_by_the_last_look_at_the_clock_where_somebody_looks(app: Any) -> None:
    app.call("POST", "/heartbeat", {"origin": "probe", "timeout": 60})
    code = create(app)
    ping(app, code)
    alertlite.Timer(app.engine)
    app.clock.advance(5000)                          # the process was held, and nobody has noticed it yet
    assert app.engine.expire_due().silent == [] and app.events() == []
    assert app.get("/heartbeats")["heartbeats"][0]["status"] == "ok"
    assert app.call("GET", f"/api/v3/checks/{code}").json["status"] == "up"


def test_from_a_stop_on_nobody_is_judged_and_the_span_counts_from_there(app: Any) -> None:
    app.call("POST", "/heartbeat", {"origin": "probe", "timeout": 60})
    app.engine.begin_listening()
    timer = alertlite.Timer(app.engine)
    pass_time(app, 50)
    app.engine.stop_listening()
    pass_time(app, 30)
    timer.pass_once()
    assert app.events() == [], "a receiver that hangs keeps the stop waiting"
    restart(app, 10)
    assert stored_spans(app) == [(50, 40, "stop")]


def test_what_a_sender_says_of_the_time_does_not_count_while_the_clock_may_be_wrong(app: Any) -> None:
    app.engine.listening = Listening(cron_held=True)
    alert = app.post_alert(createTime="2050-01-01T00:00:00.000Z")
    assert alert["createTime"] == "2030-01-01T00:00:00.000Z"
    beat = app.call("POST", "/heartbeat", {"origin": "probe", "createTime": "2050-01-01T00:00:00.000Z"}).json["heartbeat"]
    assert (beat["createTime"], beat["latency"]) == ("2030-01-01T00:00:00.000Z", 0)


def test_a_clock_that_is_set_to_and_fro_hides_nobody_for_long(app: Any) -> None:
    clock = HostClock(FakeClock().ms)
    start_on(app, clock)
    app.call("POST", "/heartbeat", {"origin": "probe", "timeout": 60})
    for _ in range(20):
        clock.advance(5)
        clock.error = 0 if clock.error else 10_000
        app.engine.look_at_clock()
        app.engine.expire_due()
    assert [span.reason for span in app.engine.listening.spans] == ["jump"] * 3
    assert "heartbeat_expired" in app.events()


def test_a_start_whose_length_nobody_can_know_is_told_as_such(app: Any) -> None:
    clock = HostClock(FakeClock().ms)
    start_on(app, clock)
    ping(app, create(app, timeout=60, grace=60))
    clock.restart(3600, -60 * 365 * DAY)
    start_on(app, clock)
    pass_time(app, 700)
    app.engine.expire_due()
    told = [json.loads(row[6])["title"] for row in app.stored()["events"] if row[2] == "not_listening"]
    assert told == ["Was not listening for an unknown time; 1 still silent"]


# --- the scenarios (reliability, part 2)

INTERVAL, INTERVAL_GRACE = 300, 60                   # seconds
BEAT, BEAT_TIMEOUT = 60, 150
CRON_GRACE = 600
DEATH = 4 * HOUR


class HostClock(FakeClock):
    """The clocks of a host that reboots, sleeps, and whose time of day is wrong by `error`."""

    def __init__(self, start: int):
        super().__init__()
        self.ms = self.booted = start                # ms: what a right clock shows
        self.error, self.boot, self.slept, self.synchronised = 0, 1, 0, True

    def wall(self) -> int:
        return self.ms + self.error

    def boottime(self) -> int:
        return self.ms - self.booted

    def monotonic(self) -> float:
        return (self.ms - self.booted - self.slept) / 1000

    def boot_id(self) -> str:
        return f"boot-{self.boot}"

    def is_synchronised(self) -> bool:
        return self.synchronised

    def restart(self, seconds: float, error: int) -> None:
        """The host is off for a while, and comes back with a clock that nobody has set right yet."""
        self.advance(seconds)
        self.booted, self.boot, self.slept, self.error, self.synchronised, self.base = self.ms, self.boot + 1, 0, error, False, None


# What happens to a host when: minutes, what, seconds that it takes, by how many seconds the clock is wrong afterwards.
# off = the host, stop and crash = alertlite alone, sleep = the host, hold = alertlite is stopped, set = the clock is set and right.
SCENARIOS: dict[str, tuple[float, list[tuple[float, str, float, float]]]] = {
    "a quiet day": (6, []),
    "no clock chip: 14 days behind, set after 40 s": (6, [(120, "off", 90, -14 * 86400), (122.17, "set", 0, 0)]),
    "a saved clock 20 min behind, set after 120 s": (6, [(120, "off", 90, -1200), (123.5, "set", 0, 0)]),
    "a clock 1 h fast is set back": (6, [(120, "set", 0, 0)]),
    "a clock 10 min slow is set on": (6, [(12, "set", 0, 0)]),
    "stopped for 10 min": (6, [(120, "stop", 600, 0)]),
    "crashed, and back after 1 h": (6, [(120, "crash", 3600, 0)]),
    "restarted every 4 min, for 10 s, all day": (24 if FULL else 8, [
        (number * 247 / 60, ("stop", "crash")[number % 2], 10, 0) for number in range(1, 24 * 3600 // 247)]),
    "the host sleeps for 1 h": (6, [(120, "sleep", 3600, 0)]),
    "a power cut of 2 h, back 2 h behind, set later": (8, [(90, "off", 7200, -7200), (216, "set", 0, 0)]),
    "a power cut of 2 h, back in 1970, set later": (8, [(90, "off", 7200, -60 * 365 * 86400), (216, "set", 0, 0)]),
}
FIRST_ERROR = {"a clock 1 h fast is set back": 3600, "a clock 10 min slow is set on": -600}          # seconds


class World:
    """A host with alertlite, and senders elsewhere whose clocks are right and who never try again."""

    def __init__(self, folder: pathlib.Path, name: str, seed: int, size: int):
        self.hours, self.happenings = SCENARIOS[name]
        self.dice = random.Random(seed)
        self.clock = HostClock(alertlite.ms_from_text("2030-05-06T00:00:00.000Z"))
        self.clock.error = FIRST_ERROR.get(name, 0) * 1000
        self.clock.synchronised = not self.clock.error
        self.begin, self.path = self.clock.ms, folder / "alertlite.db"
        self.settings = alertlite.load_settings({"db": str(self.path)}, {"RUNTIME_DIRECTORY": str(folder)})
        lay_database(self.path)
        self.found: dict[str, int] = {}              # who was called silent, and when
        self.start()
        self.senders = list(self.make_senders(size))
        self.dead = {sender[0] for sender in (*self.senders[:2], *self.senders[size:size + 2], *self.senders[-2:])}

    def start(self) -> None:
        self.store = alertlite.Store(str(self.path))
        self.store.db.execute("PRAGMA synchronous = OFF")            # the power of this host is not cut
        self.engine = alertlite.Engine(self.store, self.clock, self.settings)
        self.engine.begin_listening()
        self.timer = alertlite.Timer(self.engine)

    def make_senders(self, size: int) -> Iterator[tuple[str, int, int]]:
        """(name, milliseconds of its first sign of life, milliseconds between two), and what they are to the server."""
        rights = alertlite.ALL_RIGHTS
        self.codes: dict[str, str] = {}
        for number in range(size + size // 4):
            minute = self.dice.randrange(60)
            kind = {"timeout": INTERVAL, "grace": INTERVAL_GRACE} if number < size else {
                "kind": "cron", "schedule": f"{minute} * * * *", "grace": CRON_GRACE}
            check, _ = self.engine.create_check(alertlite.CheckWanted({"name": f"job {number}", **kind}, None, None), rights.customer)
            self.codes[check.name] = check.code
            first = self.dice.randrange(INTERVAL * 1000) if number < size else minute * MINUTE
            yield check.name, first, INTERVAL * 1000 if number < size else HOUR
        for number in range(size // 5):
            yield f"host {number}", self.dice.randrange(BEAT * 1000), BEAT * 1000

    def send(self, name: str) -> None:
        """A sign of life arrives."""
        if name in self.codes:
            self.engine.record_ping(PingAddress(code=self.codes[name]), "success", PingSent("http", "GET", "192.0.2.1", "curl", None, None, b""))
        else:
            self.engine.record_heartbeat(alertlite.Beat(alertlite.new_id(), name, "", [], {}, BEAT_TIMEOUT, None), alertlite.ALL_RIGHTS)

    def live(self) -> None:
        """All that happens, a second at a time."""
        signs = [(first, name, step) for name, first, step in self.senders]
        heapq.heapify(signs)
        happenings = list(self.happenings)
        while (elapsed := self.clock.ms - self.begin) < self.hours * HOUR:
            if happenings and elapsed >= happenings[0][0] * MINUTE:
                self.happen(*happenings.pop(0)[1:])
            deaf_until = self.clock.ms - self.begin
            while signs and signs[0][0] <= deaf_until:
                at, name, step = signs[0]
                heapq.heapreplace(signs, (at + step, name, step))
                if name in self.dead and at >= DEATH:
                    continue
                if at > elapsed - SECOND:            # those that came while nobody listened are lost
                    heapq.heappush(self.arrivals, (min(at, elapsed) + self.dice.randrange(2000), name))
            self.arrive(elapsed)
            self.timer.pass_once()
            self.note_silent()
            self.clock.advance(1)
        self.store.close()

    arrivals: list[tuple[int, str]]

    def arrive(self, elapsed: int) -> None:
        while self.arrivals and self.arrivals[0][0] <= elapsed:
            self.send(heapq.heappop(self.arrivals)[1])

    def happen(self, what: str, seconds: float, error: float) -> None:
        if what == "set":
            self.clock.error, self.clock.synchronised = 0, True
            return
        self.arrivals.clear()
        if what == "stop":
            self.engine.end_listening()
        if what in ("stop", "crash", "off"):
            self.store.close()
        if what == "off":
            self.clock.restart(seconds, round(error * 1000))
        else:
            self.clock.advance(seconds)
            self.clock.slept += round(seconds * 1000) if what == "sleep" else 0
        if what in ("stop", "crash", "off"):
            self.start()

    def note_silent(self) -> None:
        """Notes who is called silent now; it is looked up only after something happened."""
        with self.store.read() as tables:
            changed = tables.row("SELECT count(*) FROM events WHERE type IN ('check_down', 'heartbeat_expired')")[0]
            if changed == len(self.found):
                return
            for messages, in tables.rows("SELECT messages FROM events WHERE type IN ('check_down', 'heartbeat_expired') ORDER BY seq"):
                self.found.setdefault(json.loads(messages)["resource"], self.clock.ms - self.begin)
            assert len(self.found) == changed, "nobody is called silent twice"


def run_scenario(folder: pathlib.Path, name: str, seed: int, size: int) -> World:
    folder.mkdir(exist_ok=True)
    world = World(folder, name, seed, size)
    world.arrivals = []
    world.live()
    return world


QUIET: dict[tuple[int, int], World] = {}             # by seed and size: a quiet day, to compare with
QUICK = ("a clock 10 min slow is set on", "a power cut of 2 h, back in 1970, set later")


@pytest.mark.parametrize("seed", range(1, 4 if FULL else 2))
@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SCENARIOS])
def test_nobody_is_called_silent_wrongly_and_the_dead_are_found_as_early_as_on_a_quiet_day(
        tmp_path: pathlib.Path, record_property: Any, name: str, seed: int) -> None:
    size = 200 if FULL else 12
    if (seed, size) not in QUIET:
        QUIET[seed, size] = run_scenario(tmp_path / "quiet", "a quiet day", seed, size)
    quiet, world = QUIET[seed, size], run_scenario(tmp_path / "world", name, seed, size)
    later = {sender: (world.found[sender] - at) // 1000 for sender, at in quiet.found.items() if sender in world.found}
    record_property(f"clock scenario, seed {seed}: {name}", f"{len(world.senders)} senders, {len(world.found.keys() - world.dead)} false alarms, "
                    f"{len(world.found.keys() & world.dead)} of {len(world.dead)} dead found, later than on a quiet day by "
                    f"{', '.join(str(max(0, seconds)) for seconds in later.values())} s")
    assert quiet.found.keys() == quiet.dead == world.dead
    assert world.found.keys() == world.dead
    for sender, _, step in world.senders:            # who was due while nobody listened can only be judged by the next time
        assert later.get(sender, 0) <= (2 * step // 1000 + 40 if "restarted" in name else 1)
