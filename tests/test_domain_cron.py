"""When a cron job is due: what is a schedule, its days and times, clock changes, time zones. cronsim, which Healthchecks uses, agrees."""
from __future__ import annotations

import os
import pathlib
import random
import subprocess
import sys
import zoneinfo
from datetime import datetime, timedelta, timezone

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

import alertlite

ZONES = ["Europe/Riga", "America/New_York", "America/Sao_Paulo", "Australia/Sydney", "Asia/Tehran", "America/St_Johns",
         "Africa/Casablanca", "Pacific/Auckland"]
NEW_YEAR = "2030-01-01T00:00"                        # a Tuesday
MINUTE, HOUR = 60_000, 3_600_000


def ms(text: str) -> int:
    """2030-01-01T00:00 -> milliseconds."""
    return alertlite.ms_from_text(f"{text}:00.000Z")


def text(moment: int | None) -> str | None:
    return moment and alertlite.text_from_ms(moment)[:16]


def runs_after(schedule: str, tz: str, after: int, count: int) -> list[int]:
    """The next runs, at most count of them."""
    found: list[int] = []
    while len(found) < count and (run := alertlite.next_run(schedule, tz, found[-1] if found else after)) is not None:
        found.append(run)
    return found


def run_texts(schedule: str, tz: str, after: str, count: int) -> list[str | None]:
    return [text(run) for run in runs_after(schedule, tz, ms(after), count)]


def clock_changes(tz: str) -> list[int]:
    """The hours in 2024 to 2026 before which a zone's clock was set; a day in spring for a zone where it never is."""
    zone, start = zoneinfo.ZoneInfo(tz), datetime(2024, 1, 1, tzinfo=timezone.utc)
    offsets = [(start + timedelta(hours=hour)).astimezone(zone).utcoffset() for hour in range(3 * 366 * 24)]
    return [ms("2024-01-01T00:00") + hour * HOUR for hour in range(1, len(offsets)) if offsets[hour] != offsets[hour - 1]] or [
        ms("2025-03-30T01:00")]


CHANGES = {tz: clock_changes(tz) for tz in ZONES}


# --- agreement with cronsim

def random_field(rng: random.Random, low: int, high: int, stars: float) -> str:
    """A field of a schedule; stars: how often it is just *."""
    first, last = sorted((rng.randint(low, high), rng.randint(low, high)))
    step = rng.randint(1, 5)
    pick = rng.random()
    for share, field in ((stars, "*"), (0.1, f"*/{rng.randint(1, 20)}"), (0.06, f"{first}-{last}"), (0.04, f"{first}-{last}/{step}"),
                         (0.1, f"{first}/{rng.randint(1, 20)}")):
        if pick < share:
            return field
        pick -= share
    return ",".join(str(rng.randint(low, high)) for _ in range(rng.randint(1, 3)))


def random_schedule(rng: random.Random) -> str:
    day, weekday = random_field(rng, 1, 31, 0.6), random_field(rng, 0, 7, 0.6)
    special = rng.randrange(25)
    if special == 0:
        day = "L"
    elif special == 1:
        day, weekday = "LW", rng.choice(["*", "1-5"])
    elif special == 2:
        weekday = f"{rng.randint(0, 7)}L"
    elif special == 3:
        weekday = f"{rng.randint(0, 7)}#{rng.randint(1, 5)}"
    hour = random_field(rng, 0, 23, 0.3) if rng.random() < 0.5 else str(rng.randint(0, 5))
    return " ".join([random_field(rng, 0, 59, 0.3), hour, day, random_field(rng, 1, 12, 0.7), weekday])


def cronsim_runs(schedule: str, tz: str, after: int, count: int) -> list[int]:
    """What cronsim says; [] for a schedule that it takes for impossible."""
    try:
        runs = CronSim(schedule, datetime.fromtimestamp(after // 1000, zoneinfo.ZoneInfo(tz)))
        return [int(run.timestamp()) * 1000 for run, _ in zip(runs, range(count))]
    except CronSimError:
        return []


@pytest.mark.parametrize("schedules", [800, pytest.param(4000, marks=pytest.mark.slow)])
def test_runs_around_clock_changes_are_those_of_cronsim(schedules: int):
    rng = random.Random(f"{schedules} schedules")
    kinds, differences = set(), []
    for number in range(schedules):
        schedule, tz = random_schedule(rng), ZONES[number % len(ZONES)]
        after = rng.choice(CHANGES[tz]) - rng.choice([1, 2, 3, 5, 26]) * HOUR - rng.randint(0, 59) * MINUTE
        ours, theirs = runs_after(schedule, tz, after, 4), cronsim_runs(schedule, tz, after, 4)
        kinds |= {kind for kind in ("LW", "L", "#", "*/") if kind in schedule}
        if ours != theirs:
            differences.append((schedule, tz, text(after), [text(run) for run in ours], [text(run) for run in theirs]))
    assert kinds == {"LW", "L", "#", "*/"}, "the schedules are not worth comparing"
    assert not differences, f"{len(differences)} of {schedules}, first: {differences[:3]}"


@pytest.mark.parametrize("schedules", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_run_on_the_day_of_a_clock_change_is_that_of_cronsim_from_any_distance(schedules: int):
    """A clock that is set twice until then is back at its old offset, which is no proof that nothing was passed."""
    rng = random.Random(f"{schedules} schedules from afar")
    differences = []
    for number in range(schedules):
        tz = ZONES[number % len(ZONES)]
        change = rng.choice(CHANGES[tz])
        local = datetime.fromtimestamp(change // 1000, zoneinfo.ZoneInfo(tz))
        hour = rng.choice(["*", "*/2", "0-5", str(local.hour), str((local.hour + 1) % 24)])
        schedule = f"{rng.choice(['*', '*/10', '0', '30', '0,45'])} {hour} {local.day} {local.month} *"
        after = change - rng.randint(1, 400) * 24 * HOUR
        ours, theirs = runs_after(schedule, tz, after, 1), cronsim_runs(schedule, tz, after, 1)
        if ours != theirs:
            differences.append((schedule, tz, text(after), text(ours[0]), text(theirs[0])))
    assert not differences, f"{len(differences)} of {schedules}, first: {differences[:3]}"


# --- what is a schedule (contract 5.8)

@pytest.mark.parametrize(("schedule", "first", "second"), [
    pytest.param("@hourly", "2030-01-01T01:00", "2030-01-01T02:00", id="a word for every hour"),
    pytest.param("@daily", "2030-01-02T00:00", "2030-01-03T00:00", id="a word for every day"),
    pytest.param("@midnight", "2030-01-02T00:00", "2030-01-03T00:00", id="its other word"),
    pytest.param("@weekly", "2030-01-06T00:00", "2030-01-13T00:00", id="a word for every Sunday"),
    pytest.param("@monthly", "2030-02-01T00:00", "2030-03-01T00:00", id="a word for every first"),
    pytest.param("@yearly", "2031-01-01T00:00", "2032-01-01T00:00", id="a word for New Year"),
    pytest.param("@annually", "2031-01-01T00:00", "2032-01-01T00:00", id="its other word"),
    pytest.param(" @daily ", "2030-01-02T00:00", "2030-01-03T00:00", id="a word between blanks"),
    pytest.param("* * * * *", "2030-01-01T00:01", "2030-01-01T00:02", id="strictly after, so not at once"),
    pytest.param("*/7 * * * *", "2030-01-01T00:07", "2030-01-01T00:14", id="every n-th"),
    pytest.param("*/59 * * * *", "2030-01-01T00:59", "2030-01-01T01:00", id="every n-th begins anew each hour"),
    pytest.param("*/9999 * * * *", "2030-01-01T01:00", "2030-01-01T02:00", id="a step beyond the field leaves its lowest"),
    pytest.param("5/20 * * * *", "2030-01-01T00:05", "2030-01-01T00:25", id="n with a step means from n on"),
    pytest.param("59/15 * * * *", "2030-01-01T00:59", "2030-01-01T01:59", id="n with a step that leaves n alone"),
    pytest.param("10-40/15 * * * *", "2030-01-01T00:10", "2030-01-01T00:25", id="a range with a step"),
    pytest.param("7-7/20 * * * *", "2030-01-01T00:07", "2030-01-01T00:27", id="a range of one with a step is as n with it"),
    pytest.param("7-7 * * * *", "2030-01-01T00:07", "2030-01-01T01:07", id="a range of one"),
    pytest.param("0,30 8-9 * * *", "2030-01-01T08:00", "2030-01-01T08:30", id="a list and a range"),
    pytest.param("50-52,1,20 * * * *", "2030-01-01T00:01", "2030-01-01T00:20", id="a list in any order"),
    pytest.param("00 007 * * *", "2030-01-01T07:00", "2030-01-02T07:00", id="zeros in front"),
    pytest.param("  15 10 * * *  ", "2030-01-01T10:15", "2030-01-02T10:15", id="outer blanks"),
    pytest.param("15   10 * * *", "2030-01-01T10:15", "2030-01-02T10:15", id="several blanks between fields"),
    pytest.param("0 0 * * 0", "2030-01-06T00:00", "2030-01-13T00:00", id="0 is Sunday"),
    pytest.param("0 0 * * 7", "2030-01-06T00:00", "2030-01-13T00:00", id="7 is Sunday too"),
    pytest.param("0 0 * * 5-7", "2030-01-04T00:00", "2030-01-05T00:00", id="a range up to Sunday"),
    pytest.param("0 0 * * sun", "2030-01-06T00:00", "2030-01-13T00:00", id="a weekday by name, in lower case"),
    pytest.param("0 9 * * MON-FRI", "2030-01-01T09:00", "2030-01-02T09:00", id="a range of names"),
    pytest.param("0 9 * * Mon-4/3", "2030-01-03T09:00", "2030-01-07T09:00", id="a name and a number, with a step"),
    pytest.param("0 0 1 JUL,dec *", "2030-07-01T00:00", "2030-12-01T00:00", id="months by name"),
    pytest.param("0 0 * */5 *", "2030-01-02T00:00", "2030-01-03T00:00", id="every fifth month begins with January"),
    pytest.param("0 0 1-31/10 * *", "2030-01-11T00:00", "2030-01-21T00:00", id="days with a step"),
    pytest.param("0 0 31 * *", "2030-01-31T00:00", "2030-03-31T00:00", id="the 31st skips short months"),
    pytest.param("0 0 1,31 3 *", "2030-03-01T00:00", "2030-03-31T00:00", id="the 1st and the 31st, of which croniter misses one"),
    pytest.param("0 0 29 2 *", "2032-02-29T00:00", "2036-02-29T00:00", id="the 29th of February"),
    pytest.param("0 0 29 2 */7", "2032-02-29T00:00", "2060-02-29T00:00", id="the 29th of February on a Sunday"),
    pytest.param("0 0 L * *", "2030-01-31T00:00", "2030-02-28T00:00", id="the last day"),
    pytest.param("0 0 l 2 *", "2030-02-28T00:00", "2031-02-28T00:00", id="the last day in lower case"),
    pytest.param("0 0 1,L * *", "2030-01-31T00:00", "2030-02-01T00:00", id="the first and the last day"),
    pytest.param("0 0 LW 3 *", "2030-03-29T00:00", "2031-03-31T00:00", id="the last weekday before a weekend, and at the end"),
    pytest.param("0 0 LW 8 *", "2030-08-30T00:00", "2031-08-29T00:00", id="the last weekday before a Saturday and before a weekend"),
    pytest.param("0 0 * * 5L", "2030-01-25T00:00", "2030-02-22T00:00", id="the last Friday"),
    pytest.param("0 0 * * friL", "2030-01-25T00:00", "2030-02-22T00:00", id="the last Friday by name"),
    pytest.param("0 0 * * 7L", "2030-01-27T00:00", "2030-02-24T00:00", id="the last Sunday"),
    pytest.param("0 0 * * 1#2", "2030-01-14T00:00", "2030-02-11T00:00", id="the second Monday"),
    pytest.param("0 0 * * TUE#5", "2030-01-29T00:00", "2030-04-30T00:00", id="a fifth Tuesday, not in every month"),
    pytest.param("0 0 * * 1#1,3L", "2030-01-07T00:00", "2030-01-30T00:00", id="the first Monday and the last Wednesday"),
    pytest.param("0 0 13 * 5", "2030-01-04T00:00", "2030-01-11T00:00", id="a day or a weekday"),
    pytest.param("0 0 */13 * 5", "2030-02-01T00:00", "2030-03-01T00:00", id="a day that begins with * and a weekday"),
    pytest.param("0 0 13 * */5", "2030-01-13T00:00", "2030-09-13T00:00", id="a day and a weekday that begins with *"),
    pytest.param("0 0 L 2 1#5", "2030-02-28T00:00", "2031-02-28T00:00", id="of a day or a weekday one comes seldom"),
])
def test_schedules_are_understood(schedule: str, first: str, second: str):
    assert run_texts(schedule, "UTC", NEW_YEAR, 2) == [first, second]


@pytest.mark.parametrize("schedule", [
    pytest.param("", id="nothing"), pytest.param("   ", id="blanks"), pytest.param("* * * *", id="four fields"),
    pytest.param("* * * * * *", id="six fields: seconds"), pytest.param("* * * * * * 2030", id="seven fields: years"),
    pytest.param("R * * * *", id="a random minute"), pytest.param("R(0-10) * * * *", id="a random minute of some"),
    pytest.param("H * * * *", id="a minute by hash"), pytest.param("H(0-9)/2 * * * *", id="a minute by hash of some"),
    pytest.param("? * * * *", id="a question mark"), pytest.param("0 0 ? * 1", id="a question mark for a day"),
    pytest.param("0 0 1 * ?", id="a question mark for a weekday"),
    pytest.param("5-1 * * * *", id="minutes that go down"), pytest.param("0 23-1 * * *", id="hours over midnight"),
    pytest.param("0 0 * 11-2 *", id="months over New Year"), pytest.param("0 0 * * FRI-MON", id="weekdays over Sunday"),
    pytest.param("0 0 * * 6-0", id="a range to Sunday as 0"), pytest.param("0 0 * * SAT-SUN", id="a range to Sunday by name"),
    pytest.param("*/0 * * * *", id="step 0"), pytest.param("0-59/0 * * * *", id="a range with step 0"), pytest.param("5/0 * * * *", id="n, step 0"),
    pytest.param("*/ * * * *", id="a step without a number"), pytest.param("*/-5 * * * *", id="a negative step"),
    pytest.param("*/1.5 * * * *", id="a broken step"), pytest.param("*/5/5 * * * *", id="two steps"),
    pytest.param("60 * * * *", id="minute 60"), pytest.param("0 24 * * *", id="hour 24"), pytest.param("0 0 0 * *", id="day 0"),
    pytest.param("0 0 32 * *", id="day 32"), pytest.param("0 0 33 * *", id="day 33, inside the sign of LW"), pytest.param("0 0 * 0 *", id="month 0"),
    pytest.param("0 0 * 13 *", id="month 13"), pytest.param("0 0 * * 8", id="weekday 8"), pytest.param("-1 * * * *", id="below 0"),
    pytest.param("0-60 * * * *", id="a range that is too long"), pytest.param("1000 * * * *", id="four digits"),
    pytest.param("+1 * * * *", id="a sign"), pytest.param("1_0 * * * *", id="digits as Python writes them"), pytest.param("0x1 * * * *", id="hex"),
    pytest.param("1,,2 * * * *", id="an empty item"), pytest.param("1, * * * *", id="an item missing at the end"),
    pytest.param(",1 * * * *", id="an item missing at the front"), pytest.param("1- * * * *", id="an open range"),
    pytest.param("1-2-3 * * * *", id="a range of three"), pytest.param("*-5 * * * *", id="a range from any"),
    pytest.param("** * * * *", id="two stars"), pytest.param("*5 * * * *", id="a star and a number"),
    pytest.param("JAN * * * *", id="a month for a minute"),
    pytest.param("0 0 * JANUARY *", id="a month in full"), pytest.param("0 0 * MON *", id="a weekday for a month"),
    pytest.param("0 0 * * JAN", id="a month for a weekday"), pytest.param("0 0 L-1 * *", id="a day before the last"),
    pytest.param("0 0 15W * *", id="the weekday nearest to a day"), pytest.param("0 0 L/2 * *", id="the last day with a step"),
    pytest.param("0 0 W * *", id="a weekday without which"), pytest.param("L * * * *", id="a last minute"),
    pytest.param("0 0 * L *", id="a last month"), pytest.param("0 0 * * L", id="a last weekday without which"),
    pytest.param("0 0 * * LW", id="LW for a weekday"), pytest.param("0 0 * * 8L", id="the last of weekday 8"),
    pytest.param("0 0 * * 1#0", id="the zeroth Monday"), pytest.param("0 0 * * 1#6", id="the sixth Monday"),
    pytest.param("0 0 * * 1#", id="which Monday is missing"), pytest.param("0 0 * * #1", id="of which day is missing"),
    pytest.param("0 0 * * 1#1#1", id="the first of the first Monday"), pytest.param("0 0 * * 1-5#1", id="the first of a range"),
    pytest.param("0 0 * * 1L#1", id="the last and the first"), pytest.param("0 0 1#1 * *", id="the first of a day"),
    pytest.param("0 3 * *\n*", id="a newline between fields"), pytest.param("0 3 * * *\n", id="a newline at the end"),
    pytest.param("0 3 * * *\r\n", id="a line's end"), pytest.param("0\t3 * * *", id="a tab"), pytest.param("0 3 * * *\0", id="a NUL"),
    pytest.param("0\x0b3 * * *", id="a vertical tab"), pytest.param("0\u00a03 * * *", id="a blank that is no ASCII"),
    pytest.param("0\u20033 * * *", id="a wide blank"), pytest.param("\uff15 3 * * *", id="a full-width digit"),
    pytest.param("\u0665 3 * * *", id="an Arabic digit"), pytest.param("\u00b2 3 * * *", id="a raised digit"),
    pytest.param("0 3 * * \u017fun", id="a long s, whose upper case is an S"), pytest.param("\ud800 3 * * *", id="half a surrogate pair"),
    pytest.param("@reboot", id="no time at all"), pytest.param("@every 5m", id="of another cron"), pytest.param("@hourly 5", id="a word and more"),
    pytest.param("@fortnightly", id="no such word"), pytest.param("@", id="no word"), pytest.param("hourly", id="a word of systemd"),
    pytest.param("Mon *-*-* 00:00", id="an expression of systemd"), pytest.param("0 0 * * * root", id="a line of /etc/crontab"),
    pytest.param(f"{'0,' * 46}0 * * * *", id="101 characters"), pytest.param(f"0 3 * * *{' ' * 92}", id="101 characters with blanks"),
    pytest.param("0," * 50_000 + "0 * * * *", id="a hundred thousand"),
])
def test_what_is_no_schedule_is_refused(schedule: str):
    with pytest.raises(ValueError):
        alertlite.parse_cron(schedule)
    with pytest.raises(ValueError):
        alertlite.next_run(schedule, "UTC", ms(NEW_YEAR))


def test_schedule_of_a_hundred_characters_is_the_longest():
    schedule = f"{'0,' * 45}00 * * * *"
    assert len(schedule) == 100
    assert run_texts(schedule, "UTC", NEW_YEAR, 1) == ["2030-01-01T01:00"]


@pytest.mark.parametrize("schedule", [
    pytest.param("0 0 30 2 *", id="the 30th of February"), pytest.param("0 0 31 2 *", id="the 31st of February"),
    pytest.param("0 0 31 2,4,6,9,11 *", id="the 31st of short months"), pytest.param("* * 30,31 FEB *", id="by real time"),
    pytest.param("0 0 31 4 */2", id="with a weekday that begins with *"), pytest.param("0 0 */31 2 1#2", id="the 1st as a second Monday"),
])
@pytest.mark.parametrize("tz", ["UTC", "Europe/Riga"])
def test_dates_that_never_come_have_no_next_run(schedule: str, tz: str):
    assert alertlite.next_run(schedule, tz, ms(NEW_YEAR)) is None


def test_impossible_day_with_a_weekday_beside_it_runs_on_the_weekday():
    assert run_texts("0 0 30 2 1", "UTC", NEW_YEAR, 2) == ["2030-02-04T00:00", "2030-02-11T00:00"]


ALPHABET = "0123456789*/,-#LWSUNMOTEFRIAJ?RH@ "
CRON_TEXTS = st.one_of(
    st.text(ALPHABET, max_size=30), st.text(ALPHABET + "\t\n\r\0\x0b\u00a0\u0665\uff15()", max_size=110),
    st.lists(st.text(ALPHABET.strip(), max_size=6), min_size=4, max_size=6).map(" ".join),
    st.lists(st.text("0123*/,-#LW", min_size=1, max_size=4), min_size=5, max_size=5).map(" ".join),
    st.sampled_from(sorted(alertlite.CRON_WORDS)).flatmap(lambda word: st.text("@daily 5", max_size=2).map(lambda more: word + more)))


@pytest.mark.parametrize("examples", [800, pytest.param(5000, marks=pytest.mark.slow)])
def test_hostile_text_is_refused_or_has_runs(examples: int):
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(CRON_TEXTS)
    def try_text(schedule: str) -> None:
        try:
            alertlite.parse_cron(schedule)
        except ValueError:
            return
        run = alertlite.next_run(schedule, "Europe/Riga", ms(NEW_YEAR))
        assert run is None or run > ms(NEW_YEAR)

    try_text()


# --- the hour that comes twice and the one that is missing (contract 5.8)

@pytest.mark.parametrize(("schedule", "tz", "after", "runs"), [
    pytest.param("30 3 * * *", "Europe/Riga", "2024-03-30T12:00", ["2024-03-31T01:00", "2024-04-01T00:30"],
                 id="fixed time in the missing hour: the first minute after it"),
    pytest.param("0 3 * * *", "Europe/Riga", "2024-03-30T12:00", ["2024-03-31T01:00", "2024-04-01T00:00"],
                 id="fixed time at the beginning of the missing hour"),
    pytest.param("59 3 * * *", "Europe/Riga", "2024-03-30T12:00", ["2024-03-31T01:00", "2024-04-01T00:59"],
                 id="fixed time at the end of the missing hour"),
    pytest.param("59 2 * * *", "Europe/Riga", "2024-03-30T12:00", ["2024-03-31T00:59", "2024-03-31T23:59"],
                 id="fixed time before the missing hour"),
    pytest.param("0,30 3-4 * * *", "Europe/Riga", "2024-03-30T12:00", ["2024-03-31T01:00", "2024-03-31T01:30", "2024-04-01T00:00"],
                 id="fixed times that the gap makes one run once"),
    pytest.param("30 3 * * *", "Europe/Riga", "2024-10-26T12:00", ["2024-10-27T00:30", "2024-10-28T01:30"],
                 id="fixed time in the hour that comes twice: the first time only"),
    pytest.param("30 3 * * *", "Europe/Riga", "2024-10-27T00:29", ["2024-10-27T00:30", "2024-10-28T01:30"], id="asked just before"),
    pytest.param("30 3 * * *", "Europe/Riga", "2024-10-27T00:30", ["2024-10-28T01:30"], id="asked at it"),
    pytest.param("30 3 * * *", "Europe/Riga", "2024-10-27T01:00", ["2024-10-28T01:30"], id="asked in the second hour"),
    pytest.param("0,30 2-4 * * *", "Europe/Riga", "2024-10-26T23:59", ["2024-10-27T00:00", "2024-10-27T00:30", "2024-10-27T02:00"],
                 id="fixed times: the second hour is left out"),
    pytest.param("0 4 * * *", "Europe/Riga", "2024-10-26T12:00", ["2024-10-27T02:00", "2024-10-28T02:00"],
                 id="fixed time after the hour that comes twice"),
    pytest.param("*/30 * * * *", "Europe/Riga", "2024-10-26T23:59",
                 ["2024-10-27T00:00", "2024-10-27T00:30", "2024-10-27T01:00", "2024-10-27T01:30", "2024-10-27T02:00"],
                 id="any hour goes by real time, twice through the hour"),
    pytest.param("*/30 3 * * *", "Europe/Riga", "2024-10-26T12:00",
                 ["2024-10-27T00:00", "2024-10-27T00:30", "2024-10-27T01:00", "2024-10-27T01:30", "2024-10-28T01:00"],
                 id="any minute of the hour that comes twice"),
    pytest.param("30 * * * *", "Europe/Riga", "2024-10-27T00:00", ["2024-10-27T00:30", "2024-10-27T01:30", "2024-10-27T02:30"],
                 id="a minute of any hour"),
    pytest.param("*/30 * * * *", "Europe/Riga", "2024-03-31T00:15", ["2024-03-31T00:30", "2024-03-31T01:00", "2024-03-31T01:30"],
                 id="any hour goes by real time over the gap"),
    pytest.param("*/30 3 * * *", "Europe/Riga", "2024-03-30T12:00", ["2024-04-01T00:00"], id="any minute of the missing hour does not come"),
    pytest.param("0 */3 * * *", "Europe/Riga", "2024-03-30T23:00", ["2024-03-31T03:00", "2024-03-31T06:00"],
                 id="an hour with a step counts as any"),
    pytest.param("30 2 * * *", "America/New_York", "2025-03-09T00:00", ["2025-03-09T07:00", "2025-03-10T06:30"], id="another gap"),
    pytest.param("30 1 * * *", "America/New_York", "2025-11-02T00:00", ["2025-11-02T05:30", "2025-11-03T06:30"], id="another repeated hour"),
    pytest.param("45 1 * * *", "Australia/Lord_Howe", "2025-04-05T00:00", ["2025-04-05T14:45", "2025-04-06T15:15"],
                 id="a clock set back by half an hour"),
    pytest.param("15 2 * * *", "Australia/Lord_Howe", "2025-10-04T00:00", ["2025-10-04T15:30", "2025-10-05T15:15"],
                 id="a clock set forward by half an hour"),
    pytest.param("30 3 * * *", "UTC", "2024-03-30T12:00", ["2024-03-31T03:30", "2024-04-01T03:30"], id="no change in UTC"),
])
def test_clock_changes(schedule: str, tz: str, after: str, runs: list[str]):
    assert run_texts(schedule, tz, after, len(runs)) == runs


@pytest.mark.parametrize("after", [
    pytest.param("2025-10-25T12:00", id="the day before"), pytest.param("2025-07-01T00:00", id="in the summer before"),
    pytest.param("2025-03-01T00:00", id="in the winter before, when the clock was as it will be after the change"),
    pytest.param("2024-11-01T00:00", id="a year before"),
])
@pytest.mark.parametrize("schedule", ["* 3 26 10 *", "*/30 3 26 10 *", "*/15 3 * 10 7L"])
def test_hour_that_comes_twice_begins_the_first_time_whenever_one_asks(schedule: str, after: str):
    assert run_texts(schedule, "Europe/Riga", after, 1) == ["2025-10-26T00:00"]


@pytest.mark.parametrize("schedule", [
    pytest.param("30 3 * * *", id="daily"), pytest.param("*/30 * * * *", id="by real time"),
    pytest.param("*/20 1-3 * * *", id="by real time, some hours"),
    pytest.param("0,30 0-4 * * *", id="fixed times"), pytest.param("7 */2 * * *", id="every other hour"), pytest.param("0 2 * * 0", id="weekly"),
    pytest.param("15 1,2,3 L * *", id="the last day"),
])
@pytest.mark.parametrize("tz", [*ZONES, "Australia/Lord_Howe", "UTC"])
def test_next_run_comes_after_and_none_is_passed_over_around_a_clock_change(schedule: str, tz: str):
    """From every moment, from within the hour that comes twice too: the next run of an earlier moment, while that is still to come."""
    for change in (CHANGES.get(tz) or clock_changes(tz))[:2]:
        run = None
        for after in range(change - 2 * HOUR, change + 2 * HOUR, 15 * MINUTE):
            found = alertlite.next_run(schedule, tz, after)
            assert found > after and found % MINUTE == 0
            assert found == run or run is None or run <= after, f"{text(after)}: {text(found)}, but before {text(run)}"
            run = found


def test_runs_increase_through_a_year_in_every_zone():
    for tz in ZONES:
        runs = runs_after("30 1-3 * * 0", tz, ms("2025-01-01T00:00"), 156)
        assert len(runs) == 156 and runs == sorted(set(runs)), tz


@pytest.mark.parametrize(("after", "run"), [
    pytest.param("2030-01-01T02:59:59.999Z", "2030-01-01T03:00", id="a millisecond before"),
    pytest.param("2030-01-01T03:00:00.000Z", "2030-01-02T03:00", id="at it"),
    pytest.param("2030-01-01T03:00:00.001Z", "2030-01-02T03:00", id="a millisecond after"),
    pytest.param("2030-01-01T03:00:59.999Z", "2030-01-02T03:00", id="in its minute"),
])
def test_next_run_is_strictly_after_to_the_millisecond(after: str, run: str):
    assert text(alertlite.next_run("0 3 * * *", "UTC", alertlite.ms_from_text(after))) == run


def test_run_goes_by_the_zone_of_the_schedule_and_not_of_the_host():
    script = "import alertlite; print(alertlite.next_run('30 3 * * *', 'Europe/Riga', 0), alertlite.next_run('*/9 3 * * *', 'UTC', 0))"
    done = subprocess.run([sys.executable, "-c", script], cwd=pathlib.Path(alertlite.__file__).parent, capture_output=True, text=True, check=True,
                          env={**os.environ, "TZ": "Asia/Kathmandu"})
    assert done.stdout.split() == [str(HOUR // 2), str(3 * HOUR)]


# --- time zones (contract 5.10)

@pytest.mark.parametrize(("posted", "stored"), [
    *((name, name) for name in ("UTC", "GMT", "Europe/Riga", "Europe/Kyiv", "Etc/UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires",
                                "America/Indiana/Knox")),
    ("Europe/Kiev", "Europe/Kyiv"), ("UCT", "Etc/UTC"), ("Zulu", "Etc/UTC"), ("Universal", "Etc/UTC"), ("CET", "Europe/Brussels"),
    ("MET", "Europe/Brussels"), ("EST", "America/Panama"), ("MST", "America/Phoenix"), ("HST", "Pacific/Honolulu"),
    ("EST5EDT", "America/New_York"), ("US/Eastern", "America/New_York"), ("US/Pacific", "America/Los_Angeles"), ("GB", "Europe/London"),
    ("Asia/Calcutta", "Asia/Kolkata"), ("GMT0", "Etc/GMT"), ("Greenwich", "Etc/GMT"),
])
def test_zone_has_the_name_of_today(posted: str, stored: str):
    assert alertlite.parse_zone(posted) == stored


@pytest.mark.parametrize("name", [
    pytest.param("", id="nothing"), pytest.param("utc", id="UTC in lower case"), pytest.param("europe/riga", id="lower case"),
    pytest.param("Europe/RIGA", id="upper case"), pytest.param("EUROPE/KIEV", id="an old name in upper case"), pytest.param("UTC+2", id="an offset"),
    pytest.param("+02:00", id="only an offset"), pytest.param("Mars/Olympus", id="no zone of the earth"), pytest.param("Europe", id="a folder"),
    pytest.param("Europe/", id="a folder with its slash"), pytest.param(" UTC", id="a blank before"), pytest.param("UTC ", id="a blank after"),
    pytest.param("UTC\n", id="a newline"), pytest.param("UTC\0", id="a NUL"), pytest.param("../../etc/passwd", id="out of the folder"),
    pytest.param("Europe/../Europe/Riga", id="about within the folder"), pytest.param("/etc/localtime", id="an absolute path"),
    pytest.param("localtime", id="that of the host"), pytest.param("posixrules", id="rules"), pytest.param("Factory", id="that of no place"),
    pytest.param("zone.tab", id="another file"), pytest.param("x" * 10_000, id="a long name"), pytest.param("Europe/R\u012bga", id="not ASCII"),
])
def test_unknown_zone_is_refused(name: str):
    with pytest.raises(ValueError, match="^tz is not a valid timezone$"):
        alertlite.parse_zone(name)


def test_old_names_lead_to_zones_that_exist_and_are_no_old_names():
    assert len(alertlite.CURRENT_ZONE) >= 113
    assert set(alertlite.CURRENT_ZONE.values()) <= zoneinfo.available_timezones()
    assert not set(alertlite.CURRENT_ZONE.values()) & set(alertlite.CURRENT_ZONE)


def test_old_name_and_the_name_of_today_have_the_same_time():
    moments = [datetime(year, month, 1, tzinfo=timezone.utc) for year in (2025, 2026) for month in range(1, 13)]

    def offsets(name: str) -> list[timedelta | None]:
        return [moment.astimezone(zoneinfo.ZoneInfo(name)).utcoffset() for moment in moments]

    known = set(alertlite.CURRENT_ZONE) & zoneinfo.available_timezones()
    assert [(old, alertlite.CURRENT_ZONE[old]) for old in sorted(known) if offsets(old) != offsets(alertlite.CURRENT_ZONE[old])] == []


def test_every_zone_of_the_host_is_accepted_and_has_runs():
    for name in zoneinfo.available_timezones() - {"Factory", "localtime", "posixrules"}:
        assert alertlite.next_run("30 3 * * *", alertlite.parse_zone(name), ms(NEW_YEAR)) > ms(NEW_YEAR)


def test_host_without_a_time_zone_database_knows_utc_and_says_so():
    script = ("import sys; sys.modules['tzdata'] = None; import alertlite; print(alertlite.parse_zone('UTC'), "
              "alertlite.next_run('0 3 * * *', 'UTC', 0))\n"
              "try: alertlite.parse_zone('Europe/Riga')\nexcept ValueError as error: print(error)")
    done = subprocess.run([sys.executable, "-c", script], cwd=pathlib.Path(alertlite.__file__).parent, capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONTZPATH": "/nonexistent"})
    assert done.stdout.splitlines() == [
        f"UTC {3 * HOUR}", "tz is not a valid timezone; this host has no time zone database, so only UTC can be used"]
