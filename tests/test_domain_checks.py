"""What pings, silence and people make of a check: state, deadline, flip, event and alert, as the contract's part 5 says."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ADMIN_KEY, restart

import alertlite
from alertlite import Check, Flip, Ping

NOW = 1_900_000_000_000
MINUTE, HOUR, DAY = 60, 3600, 86400                  # seconds
TIMEOUT, GRACE = 3600, 600                           # of the contract's transition matrix
RUN, OTHER_RUN = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def make_check(**fields: Any) -> Check:
    """A row of a check; timeout and grace as in the matrix."""
    return alertlite.new_check("", {"seq": 1, "name": "nightly", "timeout": TIMEOUT, "grace": GRACE, **fields}, NOW)


def up_check(**fields: Any) -> Check:
    return make_check(**{"status": "up", "last_ping_at": NOW, **fields})


def cron_check(schedule: str, **fields: Any) -> Check:
    return make_check(kind="cron", schedule=schedule, **fields)


def at(text: str) -> int:
    """2030-01-01T12:00:00 -> milliseconds."""
    return alertlite.ms_from_text(f"{text}.000Z")


def hc(app: Any, method: str, path: str, body: Any = None, version: int = 3) -> Any:
    return app.call(method, f"/api/v{version}/checks/{path}", body, key=None, headers={"X-Api-Key": ADMIN_KEY})


def create(app: Any, **fields: Any) -> str:
    """The code of a new check."""
    posted = {"name": "nightly", "grace": GRACE, **({} if "schedule" in fields else {"timeout": TIMEOUT}), **fields}
    answer = hc(app, "POST", "", posted)
    assert answer.status == 201, answer
    return answer.json["uuid"]


def update(app: Any, code: str, **fields: Any) -> None:
    answer = hc(app, "POST", code, fields)
    assert answer.status == 200, answer


def ping(app: Any, code: str, action: str = "success", rid: str | None = None, **more: Any) -> None:
    path = f"/ping/{code}" + ("" if action == "success" else f"/{action}") + (f"?rid={rid}" if rid else "")
    answer = app.call(more.pop("method", "GET"), path, key=None, **more)
    assert (answer.status, answer.body) == (200, b"OK"), answer


def stored(app: Any, code: str) -> Check:
    with app.store.read() as tables:
        return tables.find_check(code)


def told(app: Any) -> list[str]:
    """The types of the events so far, but for those about our own absence."""
    return [kind for kind in app.events() if kind != "not_listening"]


def flips(app: Any) -> list[Flip]:
    return [Flip(*row) for row in app.stored()["flips"]]


def shown(app: Any, code: str, version: int = 3) -> Any:
    answer = hc(app, "GET", code, version=version)
    assert answer.status == 200, answer
    return answer.json


def shown_flips(app: Any, code: str) -> Any:
    return hc(app, "GET", f"{code}/flips/").json["flips"]


def alerts(app: Any) -> dict[str, Any]:
    """resource -> alert."""
    found = app.get("/alerts")["alerts"]
    assert len({alert["resource"] for alert in found}) == len(found)
    return {alert["resource"]: alert for alert in found}


def wait(app: Any, seconds: float) -> list[str]:
    """Lets time pass, and the timer run; the codes of the checks that went down."""
    app.clock.advance(seconds)
    return app.engine.expire_due().down


def wait_until(app: Any, moment: int) -> list[str]:
    """Runs the timer one millisecond before a moment, when nothing may go down, and then in time; what went down then."""
    assert wait(app, (moment - 1 - app.clock.ms) / 1000) == [], "nothing goes down before its time"
    return wait(app, 0.001)


# --- the transition matrix (contract 5.5)

# How a check comes to be as it is: what happens to it, and how many seconds it waits after that.
BEFORE: dict[str, list[tuple[str, float]]] = {
    "new": [], "new LS-50": [("start", 50)], "new LS-601": [("start", 601)], "up": [("success", 100)],
    "up LS-50": [("success", 100), ("start", 50)], "grace": [("success", TIMEOUT + 100)],
    "down": [("fail", 100)], "down LS-50": [("fail", 100), ("start", 50)], "paused": [("pause", 100)],
    "paused LS-50": [("pause", 100), ("start", 50)], "new manual": [("manual", 0)], "paused manual": [("manual", 0), ("pause", 100)],
    "paused LS-50 manual": [("pause", 100), ("start", 50), ("manual", 0)],
}


def do(app: Any, code: str, event: str) -> None:
    """One event of the matrix."""
    if event in ("pause", "resume"):
        assert hc(app, "POST", f"{code}/{event}").status == 200
    elif event == "manual":
        update(app, code, manual_resume=True)
    elif event == "timeout 600":
        update(app, code, timeout=600)
    elif event != "read":
        ping(app, code, event)


MATRIX = """
    before              event        stored  v1       v3      started  due    flip         kind     events
    new                 success      up      up       up      no       4200   new>up       success  -
    new                 start        new     started  new     yes      600    -            start    -
    new                 fail         down    down     down    no       -      new>down     fail     check_down
    new                 log          new     new      new     no       -      -            log      -
    new                 0            up      up       up      no       4200   new>up       success  -
    new                 1            down    down     down    no       -      new>down     fail     check_down
    new                 pause        paused  paused   paused  no       -      new>paused   -        -
    new LS-50           success      up      up       up      no       4200   new>up       success  -
    new LS-50           fail         down    down     down    no       -      new>down     fail     check_down
    new LS-50           start        new     started  new     yes      600    -            start    -
    new LS-50           log          new     started  new     yes      550    -            log      -
    new LS-50           pause        paused  paused   paused  no       -      new>paused   -        -
    new LS-601          read         new     down     down    yes      -1     -            -        -
    new LS-601          success      up      up       up      no       4200   new>up       success  -
    up                  success      up      up       up      no       4200   -            success  -
    up                  start        up      started  up      yes      600    -            start    -
    up                  fail         down    down     down    no       -      up>down      fail     check_down
    up                  log          up      up       up      no       4100   -            log      -
    up                  pause        paused  paused   paused  no       -      up>paused    -        -
    up                  timeout 600  up      up       up      no       1100   -            -        -
    up LS-50            success      up      up       up      no       4200   -            success  -
    up LS-50            fail         down    down     down    no       -      up>down      fail     check_down
    up LS-50            start        up      started  up      yes      600    -            start    -
    up LS-50            timeout 600  up      started  up      yes      550    -            -        -
    up LS-50            pause        paused  paused   paused  no       -      up>paused    -        -
    grace               read         up      grace    grace   no       500    -            -        -
    grace               start        up      started  grace   yes      500    -            start    -
    grace               success      up      up       up      no       4200   -            success  -
    grace               fail         down    down     down    no       -      up>down      fail     check_down
    grace               log          up      grace    grace   no       500    -            log      -
    grace               pause        paused  paused   paused  no       -      up>paused    -        -
    grace               timeout 600  up      down     down    no       -2500  -            -        -
    down                success      up      up       up      no       4200   down>up      success  check_up
    down                start        down    started  down    yes      -      -            start    -
    down                fail         down    down     down    no       -      -            fail     -
    down                log          down    down     down    no       -      -            log      -
    down                pause        paused  paused   paused  no       -      down>paused  -        check_up
    down                timeout 600  down    down     down    no       -      -            -        -
    down LS-50          success      up      up       up      no       4200   down>up      success  check_up
    down LS-50          fail         down    down     down    no       -      -            fail     -
    paused              success      up      up       up      no       4200   paused>up    success  -
    paused              start        paused  started  paused  yes      600    -            start    -
    paused              fail         down    down     down    no       -      paused>down  fail     check_down
    paused              log          paused  paused   paused  no       -      -            log      -
    paused              pause        paused  paused   paused  no       -      -            -        -
    paused              resume       new     new      new     no       -      paused>new   -        -
    paused LS-50        pause        paused  started  paused  yes      550    -            -        -
    paused LS-50        resume       new     new      new     no       -      paused>new   -        -
    paused LS-50        success      up      up       up      no       4200   paused>up    success  -
    new manual          success      up      up       up      no       4200   new>up       success  -
    paused manual       success      paused  paused   paused  no       -      -            ign      -
    paused manual       start        paused  paused   paused  no       -      -            ign      -
    paused manual       fail         paused  paused   paused  no       -      -            ign      -
    paused manual       log          paused  paused   paused  no       -      -            ign      -
    paused manual       resume       new     new      new     no       -      paused>new   -        -
    paused LS-50 manual success      paused  started  paused  yes      550    -            ign      -
"""


def matrix_rows() -> list[Any]:
    """The rows of MATRIX, by the places of its header."""
    header, *lines = MATRIX.strip("\n").splitlines()
    starts = [header.index(f" {name} ") + 1 for name in header.split()[:-1]] + [header.rindex("events")]
    rows = [[line[start:end].strip() for start, end in zip(starts, [*starts[1:], None])] for line in lines]
    return [pytest.param(*row[:2], SimpleNamespace(**dict(zip(header.split(), row))), id=f"{row[0]}, {row[1]}") for row in rows]


@pytest.mark.parametrize(("before", "event", "after"), matrix_rows())
def test_every_row_of_the_transition_matrix(app: Any, before: str, event: str, after: SimpleNamespace):
    code = create(app)
    for happening, seconds in BEFORE[before]:
        do(app, code, happening)
        app.clock.advance(seconds)
    old, now = stored(app, code), app.clock.now()
    told, flipped, open_before = len(app.events()), len(flips(app)), [alert["status"] for alert in alerts(app).values()]
    do(app, code, event)
    check = stored(app, code)
    assert (check.status, shown(app, code, 1)["status"], shown(app, code)["status"]) == (after.stored, after.v1, after.v3)
    assert shown(app, code, 2)["status"] == after.v3, "version 2 knows no started either"
    assert shown(app, code)["started"] is (after.started == "yes")
    deadline = None if after.due == "-" else now + int(after.due) * 1000
    assert alertlite.check_deadline(check, app.engine.listening) == deadline
    assert deadline is None or check.due_at <= deadline, "the timer looks in time"
    new_flips = [(flip.old_status, flip.new_status, flip.created_at, flip.reason) for flip in flips(app)[flipped:]]
    assert new_flips == ([] if after.flip == "-" else [(*after.flip.split(">"), now, "fail" if after.kind == "fail" else "")])
    assert app.events()[told:] == ([] if after.events == "-" else [after.events])
    opened = {"check_down": ["open"], "check_up": ["closed"]}
    assert [alert["status"] for alert in alerts(app).values()] == opened.get(after.events, open_before)
    is_ping = after.kind != "-"
    assert check.n_pings == old.n_pings + is_ping == shown(app, code)["n_pings"]
    if is_ping:
        assert hc(app, "GET", f"{code}/pings/").json["pings"][0]["type"] == after.kind
    ends = after.kind in ("success", "fail")
    assert check.last_ping_at == (now if ends else None if event == "resume" else old.last_ping_at)
    taken = now - old.last_start_at if ends and old.last_start_at else None
    assert check.last_duration == (taken if ends else old.last_duration)


@pytest.mark.parametrize("before", ["new", "new LS-50", "up", "up LS-50", "grace", "down", "down LS-50"])
def test_resuming_what_is_not_paused_is_refused_and_changes_nothing(app: Any, before: str):
    code = create(app)
    for happening, seconds in BEFORE[before]:
        do(app, code, happening)
        app.clock.advance(seconds)
    old = app.stored()
    answer = hc(app, "POST", f"{code}/resume")
    assert (answer.status, answer.body) == (409, b"check is not paused") and app.stored() == old


@pytest.mark.parametrize(("before", "due", "flip"), [
    pytest.param("new LS-50", 550, "new>down", id="a first run that does not end"),
    pytest.param("paused LS-50", 550, "paused>down", id="a run of a paused check that does not end"),
    pytest.param("up LS-50", 550, "up>down", id="a run that does not end, long before the next is due"),
    pytest.param("up", 4100, "up>down", id="no ping"),
    pytest.param("grace", 500, "up>down", id="no ping, late already"),
])
def test_missed_deadline_takes_a_check_down_and_the_flip_carries_the_deadline(app: Any, before: str, due: int, flip: str):
    code = create(app)
    for happening, seconds in BEFORE[before]:
        do(app, code, happening)
        app.clock.advance(seconds)
    started, deadline = stored(app, code).last_start_at, app.clock.now() + due * 1000
    assert wait_until(app, deadline - 1000) == [] and wait(app, 36) == [code], "the timer is 35 seconds late"
    last, check = flips(app)[-1], stored(app, code)
    assert (last.old_status, last.new_status, last.created_at, last.reason) == (*flip.split(">"), deadline, "timeout")
    assert (check.status, check.down_at, check.due_at, check.last_start_at) == ("down", deadline, None, started)
    assert shown_flips(app, code)[0] == {"timestamp": alertlite.second_text(deadline), "up": 0}
    assert shown(app, code)["next_ping"] is None and shown(app, code)["started"] is (started is not None)
    assert app.events() == ["check_down"] and alerts(app)["nightly"]["status"] == "open"
    assert wait(app, 30 * DAY) == [] and app.events() == ["check_down"], "once"


@pytest.mark.parametrize("before", ["new", "paused", "down", "down LS-50", "paused manual"])
def test_check_that_waits_for_nothing_never_goes_down(app: Any, before: str):
    code = create(app)
    for happening, seconds in BEFORE[before]:
        do(app, code, happening)
        app.clock.advance(seconds)
    told, status = app.events(), stored(app, code).status
    assert wait(app, 30 * DAY) == [] and app.events() == told and stored(app, code).status == status


def test_run_that_did_not_end_in_time_stays_started_until_it_ends(app: Any):
    code = create(app)
    ping(app, code, "start")
    assert wait_until(app, app.clock.now() + GRACE * 1000) == [code]
    assert shown(app, code)["started"] is True and (shown(app, code)["status"], shown(app, code, 1)["status"]) == ("down", "down")
    app.clock.advance(60)
    ping(app, code)
    assert (shown(app, code)["started"], shown(app, code)["status"], shown(app, code)["last_duration"]) == (False, "up", GRACE + 60)


def test_success_after_the_deadline_but_before_the_timer_leaves_no_trace(app: Any):
    code = create(app)
    ping(app, code)
    app.clock.advance(TIMEOUT + GRACE + 1)
    assert shown(app, code)["status"] == "down" and stored(app, code).status == "up"
    ping(app, code)
    assert app.engine.expire_due().down == [] and app.events() == [] and [flip.new_status for flip in flips(app)] == ["up"]


def test_failure_after_the_deadline_but_before_the_timer_is_one_flip(app: Any):
    code = create(app)
    ping(app, code)
    app.clock.advance(TIMEOUT + GRACE + 1)
    ping(app, code, "fail")
    assert app.engine.expire_due().down == [] and app.events() == ["check_down"] and flips(app)[-1].reason == "fail"


def test_update_does_not_change_the_status(app: Any):
    """A check that is down stays so with a longer period; one that is up goes down at once where a shorter one is over."""
    code = create(app)
    ping(app, code)
    wait(app, TIMEOUT + GRACE)
    update(app, code, timeout=10 * HOUR)
    assert (stored(app, code).status, shown(app, code)["status"], wait(app, 1)) == ("down", "down", [])
    ping(app, code)
    wait(app, 2 * HOUR)
    update(app, code, timeout=HOUR)
    assert (stored(app, code).status, shown(app, code)["status"]) == ("up", "down")
    assert wait(app, 1) == [code] and flips(app)[-1].created_at == app.clock.now() - (1 + 2 * HOUR - HOUR - GRACE) * 1000


def test_update_to_a_longer_period_gives_more_time(app: Any):
    code = create(app)
    ping(app, code)
    update(app, code, timeout=2 * HOUR, grace=HOUR)
    assert wait_until(app, app.clock.now() + 3 * HOUR * 1000) == [code]


def test_resume_forgets_the_last_ping_and_keeps_the_duration(app: Any):
    code = create(app)
    ping(app, code, "start")
    app.clock.advance(5)
    ping(app, code)
    hc(app, "POST", f"{code}/pause")
    assert (shown(app, code)["last_ping"] is None, shown(app, code)["last_duration"], shown(app, code)["next_ping"]) == (False, 5, None)
    hc(app, "POST", f"{code}/resume")
    check = stored(app, code)
    assert (check.last_ping_at, check.last_start_at, check.next_at, check.last_duration, check.n_pings) == (None, None, None, 5000, 2)


# --- status as of now (contract 5.2 to 5.4)

@pytest.mark.parametrize(("fields", "seconds", "status"), [
    pytest.param({}, 0, "up", id="just pinged"),
    pytest.param({}, TIMEOUT - 0.001, "up", id="a millisecond before it is due"),
    pytest.param({}, TIMEOUT, "grace", id="due"),
    pytest.param({}, TIMEOUT + GRACE - 0.001, "grace", id="a millisecond before the grace is over"),
    pytest.param({}, TIMEOUT + GRACE, "down", id="the grace is over"),
    pytest.param({}, -5, "up", id="pinged in the future"),
    pytest.param({"last_start_at": NOW}, GRACE - 0.001, "up", id="a run has a millisecond left"),
    pytest.param({"last_start_at": NOW}, GRACE, "down", id="a run is over its grace"),
    pytest.param({"last_start_at": NOW + TIMEOUT * 1000}, TIMEOUT + GRACE - 0.001, "grace", id="a late run has a millisecond left"),
    pytest.param({"kind": "cron", "next_at": NOW + 60_000}, 59.999, "up", id="a millisecond before the run"),
    pytest.param({"kind": "cron", "next_at": NOW + 60_000}, 60, "grace", id="the run is due"),
    pytest.param({"kind": "cron", "next_at": NOW + 60_000}, 60 + GRACE - 0.001, "grace", id="the run has a millisecond left"),
    pytest.param({"kind": "cron", "next_at": NOW + 60_000}, 60 + GRACE, "down", id="the run is over its grace"),
    pytest.param({"kind": "cron", "next_at": None}, 50 * 365 * DAY, "up", id="no run will ever come"),
    *(pytest.param({"status": status}, TIMEOUT + GRACE, status, id=f"{status} is so for ever") for status in ("new", "down", "paused")),
    *(pytest.param({"status": status, "last_start_at": NOW}, GRACE - 0.001, status, id=f"{status} with a run under way")
      for status in ("new", "down", "paused")),
    *(pytest.param({"status": status, "last_start_at": NOW}, GRACE, "down", id=f"{status} with a run over its grace")
      for status in ("new", "down", "paused")),
])
def test_status_changes_at_the_slot_and_at_the_end_of_the_grace(fields: dict[str, Any], seconds: float, status: str):
    assert alertlite.check_status(up_check(**fields), NOW + round(seconds * 1000), alertlite.ALWAYS) == status


@pytest.mark.parametrize(("fields", "begin"), [
    pytest.param({}, TIMEOUT, id="up: at the next ping"),
    pytest.param({"last_start_at": NOW + 9000}, 9, id="started: at the start"),
    pytest.param({"last_start_at": NOW + 9000 * 1000}, TIMEOUT, id="started after the next ping was due"),
    pytest.param({"status": "new"}, None, id="new"), pytest.param({"status": "paused"}, None, id="paused"),
    pytest.param({"status": "down"}, None, id="down"), pytest.param({"status": "down", "last_start_at": NOW}, None, id="down and started"),
    pytest.param({"status": "new", "last_start_at": NOW + 9000}, 9, id="new and started"),
    pytest.param({"status": "paused", "last_start_at": NOW + 9000}, 9, id="paused and started"),
])
def test_grace_begins_at_the_next_ping_or_the_start(fields: dict[str, Any], begin: int | None):
    check = up_check(**fields)
    moment = None if begin is None else NOW + begin * 1000
    assert alertlite.grace_start(check, alertlite.ALWAYS) == moment
    assert alertlite.check_deadline(check, alertlite.ALWAYS) == (None if moment is None else moment + GRACE * 1000)


def test_next_ping_and_status_are_shown_to_the_second(app: Any):
    code = create(app)
    app.clock.advance(7.9)
    ping(app, code)
    assert shown(app, code)["last_ping"] == "2030-01-01T00:00:07+00:00" and shown(app, code)["next_ping"] == "2030-01-01T01:00:07+00:00"
    app.clock.advance(60)
    ping(app, code, "start")
    assert shown(app, code)["next_ping"] == "2030-01-01T00:01:07+00:00", "while a run is under way: its start"


# --- what a ping counts as (contract 4.7)

WORDS = {"filter_http_body": 1, "success_kw": "OK, done", "failure_kw": "ERROR,", "start_kw": " begin "}


@pytest.mark.parametrize(("fields", "action", "method", "body", "kind"), [
    *(pytest.param({}, action, "GET", b"ERROR", action, id=f"{action} by its address") for action in ("success", "fail", "start", "log")),
    pytest.param({"methods": "POST"}, "success", "GET", b"", "ign", id="only POST counts, GET"),
    pytest.param({"methods": "POST"}, "fail", "PUT", b"", "ign", id="only POST counts, PUT"),
    pytest.param({"methods": "POST"}, "start", "HEAD", b"", "ign", id="only POST counts, HEAD"),
    pytest.param({"methods": "POST"}, "fail", "POST", b"", "fail", id="only POST counts, POST"),
    pytest.param({"methods": "POST", **WORDS}, "success", "GET", b"OK", "ign", id="only POST counts, before words"),
    pytest.param(WORDS, "fail", "POST", b"all OK", "success", id="a word of success wins over the address"),
    pytest.param(WORDS, "success", "POST", b"an ERROR", "fail", id="a word of failure wins over the address"),
    pytest.param(WORDS, "success", "POST", b"beginning", "start", id="a word of the start, its blanks cut"),
    pytest.param(WORDS, "log", "POST", b"done begin ERROR", "fail", id="failure before success and start"),
    pytest.param(WORDS, "log", "POST", b"begin done", "success", id="success before start"),
    pytest.param(WORDS, "log", "POST", b"nothing", "ign", id="no word in a log"),
    pytest.param(WORDS, "fail", "POST", b"nothing", "ign", id="no word in a failure"),
    pytest.param(WORDS, "success", "POST", b"error, ok", "ign", id="words are case-sensitive"),
    pytest.param(WORDS, "success", "GET", b"", "ign", id="no body"),
    pytest.param(WORDS, "success", "GET", b"OK", "success", id="a body of a GET counts"),
    pytest.param({**WORDS, "filter_default_fail": 1}, "success", "POST", b"nothing", "fail", id="no word means failure where it is said so"),
    pytest.param({**WORDS, "filter_default_fail": 1}, "success", "POST", b"OK", "success", id="a word is before that"),
    pytest.param({"filter_http_body": 1}, "success", "POST", b"OK", "ign", id="no words are set"),
    pytest.param({"filter_http_body": 1, "failure_kw": " , ,"}, "success", "POST", b" , ,", "ign", id="blank words are none"),
    pytest.param({**WORDS, "filter_http_body": 0}, "success", "POST", b"ERROR", "success", id="words that are not asked for"),
    pytest.param({**WORDS, "filter_http_body": 0, "filter_subject": 1, "filter_body": 1}, "success", "POST", b"ERROR", "success",
                 id="words for e-mail only"),
    pytest.param({"filter_default_fail": 1}, "success", "POST", b"", "success", id="failure by default only with the filter"),
    pytest.param({"filter_http_body": 1, "success_kw": "gr\u00fcn"}, "fail", "POST", "gr\u00fcn".encode(), "success", id="a word beyond ASCII"),
    pytest.param(WORDS, "success", "POST", b"\xff\xfe ERROR \xc3", "fail", id="a body that is no UTF-8"),
    *(pytest.param({"status": "paused", "manual_resume": 1}, action, "POST", b"", "ign", id=f"{action} while paused by hand")
      for action in ("success", "fail", "start", "log")),
    pytest.param({"status": "paused", "manual_resume": 1, **WORDS, "filter_default_fail": 1}, "fail", "POST", b"ERROR", "ign",
                 id="words while paused by hand"),
    pytest.param({"status": "paused"}, "start", "GET", b"", "start", id="paused, but not by hand"),
    *(pytest.param({"status": status, "manual_resume": 1}, "success", "GET", b"", "success", id=f"to be resumed by hand, but {status}")
      for status in ("new", "up", "down")),
])
def test_what_a_ping_counts_as(fields: dict[str, Any], action: str, method: str, body: bytes, kind: str):
    assert alertlite.ping_kind(make_check(**fields), action, method, body) == kind


@pytest.mark.parametrize(("number", "kind", "status"), [
    ("0", "success", 0), ("000", "success", 0), ("1", "fail", 1), ("007", "fail", 7), ("255", "fail", 255), ("0000000255", "fail", 255)])
def test_exit_status_is_success_where_it_is_0(app: Any, number: str, kind: str, status: int):
    code = create(app)
    ping(app, code, number)
    (row,) = app.stored()["pings"]
    assert (Ping(*row).kind, Ping(*row).exit_status) == (kind, status)


@pytest.mark.parametrize("number", ["256", "1000", "9" * 500])
def test_exit_status_beyond_255_is_refused_and_nothing_is_stored(app: Any, number: str):
    code = create(app)
    old = app.stored()
    answer = app.call("GET", f"/ping/{code}/{number}", key=None)
    assert (answer.status, answer.body) == (400, b"invalid url format") and app.stored() == old


def test_ignored_pings_count_and_change_nothing_else(app: Any):
    code = create(app, methods="POST")
    ping(app, code, "fail")
    assert (stored(app, code).n_pings, stored(app, code).status, stored(app, code).last_ping_at) == (1, "new", None)
    ping(app, code, "fail", method="POST")
    assert (stored(app, code).n_pings, stored(app, code).status) == (2, "down")


# --- durations (contract 3.9)

def make_pings(*pings: tuple[str, str | None, float]) -> list[Ping]:
    """Pings from (kind, run, seconds)."""
    return [Ping(1, n, kind, NOW + round(seconds * 1000), "http", "GET", None, "", rid, None, None)
            for n, (kind, rid, seconds) in enumerate(pings, 1)]


@pytest.mark.parametrize(("pings", "durations"), [
    pytest.param([("success", None, 0)], {}, id="no start"),
    pytest.param([("start", None, 0), ("success", None, 5)], {2: 5}, id="a start and its end"),
    pytest.param([("start", None, 0), ("fail", None, 5)], {2: 5}, id="a failure is an end"),
    pytest.param([("start", None, 0), ("success", None, 0)], {2: 0}, id="no time at all"),
    pytest.param([("start", None, 0), ("success", None, 0.001)], {2: 0.001}, id="a millisecond"),
    pytest.param([("start", None, 0), ("start", None, 3), ("success", None, 5)], {3: 2}, id="the latest of two starts"),
    pytest.param([("start", None, 0), ("success", None, 5), ("success", None, 9)], {2: 5}, id="one end for one start"),
    pytest.param([("start", None, 0), ("fail", None, 5), ("success", None, 9)], {2: 5}, id="a failure ends it for good"),
    pytest.param([("start", None, 0), ("log", None, 1), ("ign", None, 2), ("success", None, 5)], {4: 5}, id="logs and ignored do not end it"),
    pytest.param([("start", "a", 0), ("success", None, 5)], {}, id="an end of no run"),
    pytest.param([("start", None, 0), ("success", "a", 5)], {}, id="an end of a run that did not start"),
    pytest.param([("start", "a", 0), ("start", "b", 1), ("success", "a", 5), ("success", "b", 9)], {3: 5, 4: 8}, id="two runs at once"),
    pytest.param([("start", "a", 0), ("start", "b", 1), ("success", "b", 5), ("fail", "a", 9)], {3: 4, 4: 9}, id="one within the other"),
    pytest.param([("start", "a", 0), ("success", None, 3), ("success", "a", 5)], {3: 5}, id="another run's end between"),
    pytest.param([("start", "a", 0), ("success", "a", 5), ("start", "a", 7), ("success", "a", 8)], {2: 5, 4: 1}, id="a run id used again"),
    pytest.param([("start", None, 0), ("success", None, 72 * HOUR - 0.001)], {2: 72 * HOUR - 0.001}, id="just below 72 hours"),
    pytest.param([("start", None, 0), ("success", None, 72 * HOUR)], {}, id="72 hours"),
    pytest.param([("start", None, 5), ("success", None, 0)], {}, id="the clock was set back"),
])
def test_duration_is_from_the_latest_start_of_the_run(pings: list[tuple[str, str | None, float]], durations: dict[int, float]):
    assert alertlite.ping_durations(make_pings(*pings)) == {n: round(seconds * 1000) for n, seconds in durations.items()}


def test_durations_are_shown_rounded_and_those_of_checks_cut(app: Any):
    code = create(app)
    ping(app, code, "start")
    app.clock.advance(1.996)
    ping(app, code)
    assert shown(app, code)["last_duration"] == 1
    assert [row.get("duration") for row in hc(app, "GET", f"{code}/pings/").json["pings"]] == [2.0, None]
    ping(app, code, "start")
    ping(app, code)
    assert "last_duration" not in shown(app, code), "one of exactly 0 is not shown"
    ping(app, code, "start")
    app.clock.advance(0.004)
    ping(app, code)
    assert shown(app, code)["last_duration"] == 0 and hc(app, "GET", f"{code}/pings/").json["pings"][0]["duration"] == 0.0


# --- runs at the same time (contract 5.5)

@pytest.mark.parametrize(("start", "end", "kind", "started", "duration"), [
    pytest.param(None, None, "success", False, 5, id="neither names its run"),
    pytest.param(RUN, RUN, "success", False, 5, id="the run that started"),
    pytest.param(RUN, RUN.replace("8111", "8AAA"), "success", True, None, id="another run"),
    pytest.param(RUN, None, "success", False, None, id="an end of no run ends it, but tells no duration"),
    pytest.param(None, RUN, "success", True, None, id="an end of a run where the start named none"),
    pytest.param(RUN, RUN, "fail", False, 5, id="the run fails"),
    pytest.param(RUN, OTHER_RUN, "fail", False, None, id="another run fails, which ends it too"),
    pytest.param(RUN, None, "fail", False, None, id="a failure of no run"),
    pytest.param(None, RUN, "fail", False, None, id="a failure of a run where the start named none"),
])
def test_end_of_a_run_and_the_pending_start(app: Any, start: str | None, end: str | None, kind: str, started: bool, duration: int | None):
    code = create(app)
    ping(app, code, "start", start)
    app.clock.advance(5)
    ping(app, code, kind, end)
    check = stored(app, code)
    assert (check.last_start_at is not None, check.last_duration and check.last_duration / 1000) == (started, duration)
    assert (check.status, check.last_ping_at) == ("down" if kind == "fail" else "up", app.clock.now())


def test_run_id_is_the_same_in_either_case(app: Any):
    code, rid = create(app), "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    ping(app, code, "start", rid)
    app.clock.advance(5)
    ping(app, code, "success", rid.upper())
    assert stored(app, code).last_duration == 5000 and hc(app, "GET", f"{code}/pings/").json["pings"][0]["rid"] == rid


def test_only_the_latest_start_is_pending_and_an_older_run_leaves_it(app: Any):
    code = create(app)
    ping(app, code, "start", RUN)
    app.clock.advance(100)
    ping(app, code, "start", OTHER_RUN)
    later = app.clock.now()
    app.clock.advance(100)
    ping(app, code, "success", RUN)
    check = stored(app, code)
    assert (check.status, check.last_start_at, check.last_start_rid, check.last_duration) == ("up", later, OTHER_RUN, None)
    assert hc(app, "GET", f"{code}/pings/").json["pings"][0]["duration"] == 200.0
    assert wait_until(app, later + GRACE * 1000) == [code], "the newer run can still be too long"


def test_run_that_another_start_replaced_is_not_judged(app: Any):
    code = create(app)
    ping(app, code, "start", RUN)
    app.clock.advance(GRACE - 1)
    ping(app, code, "start", OTHER_RUN)
    assert wait(app, 100) == []
    ping(app, code, "success", OTHER_RUN)
    assert wait(app, TIMEOUT - 1) == [] and shown(app, code)["status"] == "up"


# --- pings that come early or late

NOON = "0 12 * * *"


@pytest.mark.parametrize(("schedule", "awaited", "pinged", "following"), [
    pytest.param(NOON, "01T12:00:00", "01T11:58:00", "02T12:00:00", id="two minutes early counts"),
    pytest.param(NOON, "01T12:00:00", "01T11:57:59", "01T12:00:00", id="a second more does not"),
    pytest.param(NOON, "01T12:00:00", "01T11:59:59", "02T12:00:00", id="a second early counts"),
    pytest.param(NOON, "01T12:00:00", "01T12:00:00", "02T12:00:00", id="in time"),
    pytest.param(NOON, "01T12:00:00", "01T15:00:00", "02T12:00:00", id="late"),
    pytest.param(NOON, "01T12:00:00", "02T11:59:00", "02T12:00:00", id="late by a day does not count for the next"),
    pytest.param(NOON, "01T12:00:00", "03T12:30:00", "04T12:00:00", id="late by two days"),
    pytest.param(NOON, "02T12:00:00", "01T11:59:30", "02T12:00:00", id="early once more does not climb"),
    pytest.param(NOON, "02T12:00:00", "01T11:50:00", "02T12:00:00", id="the clock was set back after one that was early"),
    pytest.param(NOON, "02T12:00:00", "01T12:00:30", "02T12:00:00", id="in time, after one that was early"),
    pytest.param(NOON, "02T12:00:00", "02T11:59:00", "03T12:00:00", id="early for the day after"),
    pytest.param("*/5 * * * *", "01T12:00:00", "01T11:58:45", "01T12:05:00", id="a quarter of five minutes"),
    pytest.param("*/5 * * * *", "01T12:00:00", "01T11:58:44", "01T12:00:00", id="more than a quarter of five minutes"),
    pytest.param("* * * * *", "01T12:00:00", "01T11:59:45", "01T12:01:00", id="a quarter of a minute"),
    pytest.param("* * * * *", "01T12:00:00", "01T11:59:44", "01T12:00:00", id="more than a quarter of a minute"),
    pytest.param("*/5 * * * *", "01T12:00:00", "01T12:04:59", "01T12:05:00", id="late by almost the interval does not count for the next"),
    pytest.param("0 12 * * 1-5", "04T12:00:00", "04T11:59:00", "07T12:00:00", id="early before a weekend"),
    pytest.param("0 0 29 2 *", None, "01T12:00:00", "2032-02-29T00:00:00", id="the first ping of a check"),
    pytest.param(NOON, None, "01T11:59:00", "02T12:00:00", id="the first ping of a check, early"),
    pytest.param(NOON, None, "01T11:00:00", "01T12:00:00", id="the first ping of a check, too early"),
])
def test_ping_that_is_early_counts_for_the_run_and_one_that_is_late_does_not_count_for_the_next(
        schedule: str, awaited: str | None, pinged: str, following: str):
    check = cron_check(schedule, **({"status": "up", "last_ping_at": 0, "next_at": at(f"2030-01-{awaited}")} if awaited else {}))
    wanted = at(following if following.startswith("20") else f"2030-01-{following}")
    assert alertlite.next_slot(check, at(f"2030-01-{pinged}"), 120_000) == wanted


@pytest.mark.parametrize("status", ["down", "paused", "new"])
def test_ping_of_a_check_that_is_not_up(status: str):
    """After a failure the early success may be the repeated run of before; a check that begins is as any other."""
    check = cron_check(NOON, status=status, last_ping_at=0, next_at=None)
    wanted = at("2030-01-01T12:00:00") if status == "down" else at("2030-01-02T12:00:00")
    assert alertlite.next_slot(check, at("2030-01-01T11:59:00"), 120_000) == wanted


def test_simple_check_knows_no_slots():
    assert alertlite.next_slot(up_check(), NOW + TIMEOUT * 1000 - 1, 120_000) is None


def noon_check(app: Any, pinged: str = "2030-01-01T09:00:00", **fields: Any) -> str:
    """A check of a job at noon, pinged."""
    code = create(app, schedule=NOON, tz="UTC", **fields)
    app.clock.ms = at(pinged)
    ping(app, code)
    return code


def next_ping(app: Any, code: str) -> str:
    return shown(app, code)["next_ping"].removesuffix("+00:00")


def test_early_ping_moves_the_next_one_to_the_following_run(app: Any):
    code = noon_check(app)
    assert next_ping(app, code) == "2030-01-01T12:00:00"
    app.clock.ms = at("2030-01-01T11:58:00")
    ping(app, code)
    assert next_ping(app, code) == "2030-01-02T12:00:00"
    app.clock.advance(30)
    ping(app, code)
    app.clock.advance(30)
    ping(app, code, "log")
    assert next_ping(app, code) == "2030-01-02T12:00:00", "repeated early pings do not climb"
    assert wait_until(app, at("2030-01-02T12:00:00") + GRACE * 1000) == [code]


def test_job_that_is_always_a_little_early_never_goes_down(app: Any):
    code = noon_check(app)
    for day in range(1, 11):
        wait(app, (at(f"2030-01-{day:02}T11:58:30") - app.clock.ms) / 1000)
        ping(app, code)
        assert next_ping(app, code) == f"2030-01-{day + 1:02}T12:00:00"
    assert app.events() == []


def test_early_tolerance_of_0_switches_it_off(make_app: Any):
    app = make_app(early_tolerance="0")
    code = noon_check(app, "2030-01-01T11:59:59")
    assert next_ping(app, code) == "2030-01-01T12:00:00"
    assert wait_until(app, at("2030-01-01T12:00:00") + GRACE * 1000) == [code]


def test_early_tolerance_can_be_longer(make_app: Any):
    app = make_app(early_tolerance=str(HOUR))
    assert next_ping(app, noon_check(app, "2030-01-01T11:00:00")) == "2030-01-02T12:00:00"


def test_late_ping_of_the_run_before_does_not_count_for_the_next(app: Any):
    code = create(app, schedule="*/5 * * * *", grace=10 * MINUTE)
    app.clock.ms = at("2030-01-01T12:00:00")
    ping(app, code)
    app.clock.ms = at("2030-01-01T12:09:00")
    assert shown(app, code)["status"] == "grace"
    ping(app, code)
    assert next_ping(app, code) == "2030-01-01T12:10:00"


@pytest.mark.parametrize(("changes", "following"), [
    pytest.param({"schedule": "0 18 * * *"}, "2030-01-01T18:00:00", id="another time"),
    pytest.param({"tz": "Asia/Tokyo"}, "2030-01-02T03:00:00", id="another zone"),
    pytest.param({"timeout": 60}, "2030-01-01T09:01:00", id="no schedule any more"),
    pytest.param({"name": "other", "grace": 60}, "2030-01-01T12:00:00", id="neither"),
])
def test_check_waits_for_the_next_run_of_its_new_schedule(app: Any, changes: dict[str, Any], following: str):
    code = noon_check(app)
    update(app, code, **changes)
    assert next_ping(app, code) == following


def test_early_ping_still_counts_after_an_update_of_something_else(app: Any):
    code = noon_check(app, "2030-01-01T11:59:00")
    update(app, code, name="other", schedule=NOON, tz="UTC")
    assert next_ping(app, code) == "2030-01-02T12:00:00"


def test_run_in_the_missing_hour_and_its_grace(app: Any):
    code = create(app, schedule="30 3 * * *", tz="Europe/Riga")
    app.clock.ms = at("2030-03-30T12:00:00")
    ping(app, code)
    assert next_ping(app, code) == "2030-03-31T01:00:00"
    assert wait_until(app, at("2030-03-31T01:00:00") + GRACE * 1000) == [code]


# --- how long it was down and what it missed

@pytest.mark.parametrize(("fields", "pinged", "now", "missed"), [
    pytest.param({}, "01T00:00:00", "01T01:09:59", 0, id="simple: not late yet"),
    pytest.param({}, "01T00:00:00", "01T01:10:00", 1, id="simple: late"),
    pytest.param({}, "01T00:00:00", "01T02:09:59", 1, id="simple: the second is in its grace"),
    pytest.param({}, "01T00:00:00", "01T02:10:00", 2, id="simple: the second is late too"),
    pytest.param({}, "01T00:00:00", "05T04:09:59", 99, id="simple: ninety-nine"),
    pytest.param({}, "01T00:00:00", "30T00:00:00", 100, id="simple: counted up to a hundred"),
    pytest.param({}, None, "30T00:00:00", 0, id="simple: never pinged"),
    pytest.param({"kind": "cron", "schedule": NOON}, "01T11:00:00", "01T12:09:59", 0, id="cron: in its grace"),
    pytest.param({"kind": "cron", "schedule": NOON}, "01T11:00:00", "01T12:10:00", 1, id="cron: late"),
    pytest.param({"kind": "cron", "schedule": NOON}, "01T12:00:00", "04T12:09:00", 2, id="cron: pinged in time, then two late, one in its grace"),
    pytest.param({"kind": "cron", "schedule": NOON}, "01T12:30:00", "04T12:10:00", 3, id="cron: pinged late, then three late"),
    pytest.param({"kind": "cron", "schedule": "0 12 * * 1-5"}, "04T13:00:00", "08T00:00:00", 1, id="cron: no run on a weekend"),
    pytest.param({"kind": "cron", "schedule": "* * * * *"}, "01T00:00:00", "30T00:00:00", 100, id="cron: counted up to a hundred"),
    pytest.param({"kind": "cron", "schedule": NOON}, None, "30T00:00:00", 0, id="cron: never pinged"),
    pytest.param({"kind": "cron", "schedule": "0 0 29 2 *"}, "01T00:00:00", "30T00:00:00", 0, id="cron: none was due"),
])
def test_missed_runs_are_those_whose_grace_is_over(fields: dict[str, Any], pinged: str | None, now: str, missed: int):
    check = make_check(status="down", last_ping_at=pinged and at(f"2030-01-{pinged}"), **fields)
    assert alertlite.missed_runs(check, at(f"2030-01-{now}")) == missed


def recovery(app: Any, code: str) -> tuple[int, int, str]:
    """(seconds down, missed runs, text of the alert) of the last recovery."""
    flip = shown_flips(app, code)[0]
    assert flip["up"] == 1
    return flip["down_seconds"], flip["missed_runs"], alerts(app)["nightly"]["text"]


def test_recovery_of_a_simple_check_says_how_long_and_how_many(app: Any):
    code = create(app)
    ping(app, code)
    wait(app, TIMEOUT + GRACE)
    app.clock.advance(3 * HOUR + 20 * MINUTE)
    ping(app, code)
    assert recovery(app, code) == (3 * HOUR + 20 * MINUTE, 4, "up again after 3 h 20 min; 4 runs missed")


def test_recovery_of_a_cron_check_says_how_long_and_how_many(app: Any):
    code = noon_check(app)
    wait_until(app, at("2030-01-01T12:10:00"))
    app.clock.advance(30)
    ping(app, code)
    assert recovery(app, code) == (30, 1, "up again after 30 s; 1 run missed")
    wait_until(app, at("2030-01-02T12:10:00"))
    app.clock.ms = at("2030-01-04T14:10:00")
    ping(app, code)
    assert recovery(app, code) == (2 * DAY + 2 * HOUR, 3, "up again after 2 d 2 h; 3 runs missed")


@pytest.mark.parametrize("fields", [{"timeout": 60, "grace": 60}, {"schedule": "* * * * *", "grace": 60}], ids=["simple", "cron"])
def test_more_than_a_hundred_missed_runs_are_a_hundred_or_more(app: Any, fields: dict[str, Any]):
    code = create(app, **fields)
    ping(app, code)
    wait(app, 120)
    app.clock.advance(DAY)
    ping(app, code)
    assert recovery(app, code) == (DAY, 100, "up again after 1 d; 100 or more runs missed")


def test_recovery_from_a_failure_missed_nothing(app: Any):
    code = create(app)
    ping(app, code)
    app.clock.advance(60)
    ping(app, code, "fail")
    app.clock.advance(5 * MINUTE)
    ping(app, code, "fail")
    app.clock.advance(7 * MINUTE)
    ping(app, code)
    assert recovery(app, code) == (12 * MINUTE, 0, "up again after 12 min"), "from the first failure"


def test_run_that_an_early_ping_counted_for_was_not_missed(app: Any):
    code = noon_check(app, "2030-01-01T11:59:00")
    assert wait_until(app, at("2030-01-02T12:10:00")) == [code], "the run of the second day is the first that is missing"
    app.clock.advance(30)
    ping(app, code)
    assert recovery(app, code) == (30, 1, "up again after 30 s; 1 run missed")


def test_only_recoveries_tell_of_time_down(app: Any):
    code = create(app)
    ping(app, code)
    app.clock.advance(60)
    ping(app, code, "fail")
    hc(app, "POST", f"{code}/pause")
    ping(app, code)
    assert [sorted(flip) for flip in shown_flips(app, code)] == [["timestamp", "up"]] * 4
    assert [flip["up"] for flip in shown_flips(app, code)] == [1, 0, 0, 1]


@pytest.mark.parametrize(("seconds", "shown_as"), [
    (0, "0 s"), (45, "45 s"), (59, "59 s"), (60, "1 min"), (119, "1 min"), (3599, "59 min"), (3600, "1 h"), (3660, "1 h 1 min"),
    (12_000, "3 h 20 min"), (86_399, "23 h 59 min"), (86_400, "1 d"), (86_460, "1 d"), (90_000, "1 d 1 h"), (187_200, "2 d 4 h"),
])
def test_length_of_time_is_told_in_two_units(seconds: int, shown_as: str):
    assert alertlite.span_text(seconds) == shown_as


@pytest.mark.parametrize(("fields", "reason", "text"), [
    pytest.param({"status": "new", "last_ping_at": None}, "fail", "the job reported a failure; never pinged before", id="a first failure"),
    pytest.param({}, "fail", "the job reported a failure; last ping 2030-03-17 17:46 UTC", id="a failure"),
    pytest.param({}, "timeout", "no ping since it was due 2030-03-17 18:46 UTC, 10 min of grace are over; last ping 2030-03-17 17:46 UTC",
                 id="silence"),
    pytest.param({"last_start_at": NOW + 60_000}, "timeout",
                 "started 2030-03-17 17:47 UTC and not finished within 10 min; last ping 2030-03-17 17:46 UTC", id="a run too long"),
    pytest.param({"status": "new", "last_ping_at": None, "last_start_at": NOW + 60_000}, "timeout",
                 "started 2030-03-17 17:47 UTC and not finished within 10 min; never pinged before", id="a first run too long"),
    pytest.param({"last_start_at": NOW + 3_700_000}, "timeout",
                 "no ping since it was due 2030-03-17 18:46 UTC, 10 min of grace are over; last ping 2030-03-17 17:46 UTC",
                 id="a run that started late"),
])
def test_alert_says_why_a_check_is_down(fields: dict[str, Any], reason: str, text: str):
    assert alertlite.down_text(up_check(**fields), reason, alertlite.ALWAYS) == text


# --- silence is judged only where we were listening (reliability, time)

def test_restart_gives_a_simple_check_one_more_period(app: Any):
    code = create(app)
    ping(app, code)
    restart(app, 5 * HOUR)
    began = app.clock.now()
    assert shown(app, code)["status"] == "up" and app.engine.expire_due().down == []
    assert wait_until(app, began + (TIMEOUT + GRACE) * 1000) == [code]
    assert flips(app)[-1].created_at == began + (TIMEOUT + GRACE) * 1000 and told(app) == ["check_down"]


def test_restart_gives_a_cron_check_until_its_next_run(app: Any):
    code = noon_check(app)
    app.clock.ms = at("2030-01-01T11:50:00")
    restart(app, HOUR)
    assert (shown(app, code)["status"], next_ping(app, code)) == ("up", "2030-01-02T12:00:00") and app.engine.expire_due().down == []
    assert wait_until(app, at("2030-01-02T12:10:00")) == [code] and flips(app)[-1].created_at == at("2030-01-02T12:10:00")


def test_restart_before_a_run_changes_nothing_for_a_cron_check(app: Any):
    code = noon_check(app)
    app.clock.ms = at("2030-01-01T10:50:00")
    restart(app, HOUR)
    assert next_ping(app, code) == "2030-01-01T12:00:00" and wait_until(app, at("2030-01-01T12:10:00")) == [code]


def test_restart_gives_a_run_under_way_its_grace_again(app: Any):
    code = create(app)
    ping(app, code, "start")
    restart(app, 5 * HOUR)
    assert shown(app, code)["status"] == "new" and app.engine.expire_due().down == []
    assert wait_until(app, app.clock.now() + GRACE * 1000) == [code]


def test_ping_after_a_restart_counts_as_any_other(app: Any):
    one, two = create(app, name="one"), create(app, name="two", schedule=NOON)
    app.clock.ms = at("2030-01-01T09:00:00")
    ping(app, one)
    ping(app, two)
    app.clock.ms = at("2030-01-01T11:50:00")
    restart(app, HOUR)
    for code in (one, two):
        ping(app, code)
    assert (next_ping(app, one), next_ping(app, two)) == ("2030-01-01T13:50:00", "2030-01-02T12:00:00")
    assert app.engine.expire_due().down == [] and told(app) == []


def test_many_restarts_raise_no_alarm_for_jobs_that_ping(app: Any):
    codes = [create(app, name="simple"), create(app, name="cron", schedule="0 * * * *")]
    for turn in range(1, 13):
        app.clock.ms = at(f"2030-01-01T{turn:02}:00:00")
        if turn % 3:                                 # every third ping comes while nobody listens
            for code in codes:
                ping(app, code)
        else:
            app.clock.advance(-10)
            restart(app, 20)
        assert wait(app, 30 * MINUTE) == []
    assert told(app) == []


def test_check_that_was_down_before_a_restart_is_told_once_and_stays_down(app: Any):
    code = create(app)
    ping(app, code)
    wait(app, TIMEOUT + GRACE)
    restart(app, 5 * HOUR)
    assert shown(app, code)["status"] == "down" and wait(app, DAY) == [] and told(app) == ["check_down"]
    ping(app, code)
    assert told(app) == ["check_down", "check_up"] and alerts(app)["nightly"]["status"] == "closed"


# --- one list: a check that is down is an alert

def test_check_that_is_down_is_an_alert_that_its_recovery_closes(app: Any):
    code = create(app, tags="db  prod", name="nightly")
    ping(app, code)
    wait(app, TIMEOUT + GRACE)
    alert, check = alerts(app)["nightly"], stored(app, code)
    assert {name: alert[name] for name in ("resource", "event", "type", "timeout", "severity", "status", "environment", "service", "group",
                                           "tags", "value", "correlate", "attributes")} == {
        "resource": "nightly", "event": "CheckDown", "type": "checkAlert", "timeout": 0, "severity": "major", "status": "open",
        "environment": "Production", "service": ["Checks"], "group": "Checks", "tags": ["db", "prod"], "value": "down",
        "correlate": ["CheckDown", "CheckUp"], "attributes": {"check": check.unique_key}}
    assert check.alert == alert["id"] and code not in str(alert), "the code is a secret"
    app.clock.advance(60)
    ping(app, code)
    closed = alerts(app)["nightly"]
    assert (closed["id"], closed["event"], closed["severity"], closed["status"], closed["value"]) == (
        alert["id"], "CheckUp", "normal", "closed", "up")
    assert stored(app, code).alert is None and app.events() == ["check_down", "check_up"], "and no event of the alert's own"


def test_check_that_goes_down_again_opens_the_same_alert(app: Any):
    code = create(app)
    ping(app, code, "fail")
    first = alerts(app)["nightly"]
    ping(app, code)
    ping(app, code, "fail")
    again = alerts(app)["nightly"]
    assert (again["id"], again["event"], again["status"]) == (first["id"], "CheckDown", "open")
    assert app.events() == ["check_down", "check_up", "check_down"]


def test_alert_of_a_check_does_not_expire_while_it_is_down(app: Any):
    code = create(app)
    ping(app, code, "fail")
    wait(app, 30 * DAY)
    assert alerts(app)["nightly"]["status"] == "open"


def test_alert_of_a_check_can_be_acknowledged(app: Any):
    code = create(app)
    ping(app, code, "fail")
    ident = alerts(app)["nightly"]["id"]
    assert app.call("PUT", f"/alert/{ident}/action", {"action": "ack", "text": "on it"}).status == 200
    ping(app, code, "fail")
    assert alerts(app)["nightly"]["status"] == "ack", "another failure of a check that is down is nothing new"
    ping(app, code)
    assert alerts(app)["nightly"]["status"] == "closed" and app.events().count("check_up") == 1


@pytest.mark.parametrize("action", ["ack", "shelve", "close"])
def test_recovery_closes_an_alert_whatever_people_did_with_it(app: Any, action: str):
    code = create(app)
    ping(app, code, "fail")
    ident = alerts(app)["nightly"]["id"]
    assert app.call("PUT", f"/alert/{ident}/action", {"action": action}).status == 200
    ping(app, code)
    assert alerts(app)["nightly"]["status"] == "closed" and app.events()[-1] == "check_up"


def test_recovery_is_told_where_somebody_deleted_the_alert(app: Any):
    code = create(app)
    ping(app, code, "fail")
    assert app.call("DELETE", f"/alert/{alerts(app)['nightly']['id']}").status == 200
    ping(app, code)
    assert alerts(app) == {} and app.events()[-1] == "check_up" and stored(app, code).status == "up"


def test_two_checks_of_the_same_name_have_two_alerts(app: Any):
    one, two = create(app), create(app)
    ping(app, one, "fail")
    ping(app, two, "fail")
    titles = {one: "nightly", two: f"nightly ({stored(app, two).unique_key[:8]})"}
    assert {title: alert["status"] for title, alert in alerts(app).items()} == dict.fromkeys(titles.values(), "open")
    ping(app, one)
    assert (alerts(app)[titles[one]]["status"], alerts(app)[titles[two]]["status"]) == ("closed", "open")


@pytest.mark.parametrize(("one", "two"), [
    pytest.param({"name": "", "slug": "db"}, {"name": "", "slug": "db"}, id="two without a name, of one slug"),
    pytest.param({"name": "db"}, {"name": "", "slug": "db"}, id="one with the name that is another's slug"),
    pytest.param({"name": ""}, {"name": ""}, id="two without name and slug"),
])
def test_two_checks_that_are_called_the_same_have_two_alerts(app: Any, one: dict[str, Any], two: dict[str, Any]):
    first, second = create(app, **one), create(app, **two)
    ping(app, first, "fail")
    ping(app, second, "fail")
    ping(app, first)
    assert sorted(alert["status"] for alert in alerts(app).values()) == ["closed", "open"], "the second is still down"


def test_check_that_takes_the_name_of_one_that_is_down_has_an_alert_of_its_own(app: Any):
    first = create(app)
    ping(app, first, "fail")
    update(app, first, name="renamed")
    second = create(app)
    ping(app, second, "fail")
    ping(app, first)
    assert sorted(alert["status"] for alert in alerts(app).values()) == ["closed", "open"], "the second is still down"


def test_checks_of_two_projects_are_called_the_same_and_have_two_alerts(app: Any):
    for project in ("one", "two"):
        answer = app.call("POST", "/api/v3/checks/", {"name": "nightly"}, key=None,
                          headers={"X-Api-Key": ADMIN_KEY, "X-Scope-OrgID": project})
        ping(app, answer.json["uuid"], "fail")
    found = app.get("/alerts")["alerts"]
    assert sorted((alert["resource"], alert["customer"]) for alert in found) == [("nightly", "one"), ("nightly", "two")]


def test_check_that_is_renamed_while_it_is_down_still_closes_its_alert(app: Any):
    code = create(app)
    ping(app, code, "fail")
    update(app, code, name="renamed")
    ping(app, code)
    assert {title: alert["status"] for title, alert in alerts(app).items()} == {"nightly": "closed"}
    ping(app, code, "fail")
    assert alerts(app)["renamed"]["status"] == "open"


def test_name_that_is_given_again_while_a_check_is_down_still_closes_its_alert(app: Any):
    code = create(app)
    ping(app, code, "fail")
    create(app)
    ping(app, code)
    assert {title: alert["status"] for title, alert in alerts(app).items()} == {"nightly": "closed"}


def test_check_without_a_name_is_called_by_its_slug_or_key_and_never_by_its_code(app: Any):
    codes = [create(app, name="", slug="db"), create(app, name="")]
    for code in codes:
        ping(app, code, "fail")
    assert set(alerts(app)) == {"db", f"check {stored(app, codes[1]).unique_key[:8]}"}


@pytest.mark.parametrize(("method", "path", "text"), [
    ("POST", "{}/pause", "paused while it was down"), ("DELETE", "{}", "deleted while it was down")])
def test_pausing_or_deleting_a_check_that_is_down_closes_its_alert(app: Any, method: str, path: str, text: str):
    code = create(app)
    ping(app, code, "fail")
    assert hc(app, method, path.format(code)).status == 200
    alert = alerts(app)["nightly"]
    assert (alert["event"], alert["status"], alert["text"]) == ("CheckUp", "closed", text) and app.events() == ["check_down", "check_up"]


def test_deleting_or_pausing_a_check_that_is_up_tells_nobody(app: Any):
    one, two = create(app, name="one"), create(app, name="two")
    for code in (one, two):
        ping(app, code)
    hc(app, "POST", f"{one}/pause")
    hc(app, "DELETE", two)
    assert alerts(app) == {} and app.events() == []
    assert wait(app, 30 * DAY) == []


def test_check_alerts_off_raises_no_alert_but_the_events_stay(make_app: Any):
    app = make_app(check_alerts="off")
    code = create(app)
    ping(app, code)
    wait(app, TIMEOUT + GRACE)
    assert stored(app, code).alert is None and app.events() == ["check_down"]
    ping(app, code)
    ping(app, code, "fail")
    hc(app, "POST", f"{code}/pause")
    assert alerts(app) == {} and app.events() == ["check_down", "check_up"] * 2


def test_alert_that_is_open_when_check_alerts_is_switched_off_is_closed_all_the_same(app: Any):
    code = create(app)
    ping(app, code, "fail")
    restart(app, 60, check_alerts="off")
    ping(app, code)
    assert alerts(app)["nightly"]["status"] == "closed" and app.events() == ["check_down", "check_up"]


def test_event_of_a_missed_deadline_tells_since_when(app: Any):
    code = create(app, tags="db")
    pinged = app.clock.now()
    ping(app, code)
    wait(app, TIMEOUT + GRACE + 35)
    deadline, check = pinged + (TIMEOUT + GRACE) * 1000, stored(app, code)
    with app.store.read() as tables:
        (row,) = tables.rows("SELECT happened_at, alert, messages FROM events")
    assert row[:2] == (deadline, check.alert)
    told = alertlite.unpack(row[2])
    assert {name: told[name] for name in ("resource", "check", "tags", "last_ping", "since")} == {
        "resource": "nightly", "check": check.unique_key, "tags": ["db"], "last_ping": pinged, "since": deadline}
    assert told["text"] == alerts(app)["nightly"]["text"] and code not in row[2]
