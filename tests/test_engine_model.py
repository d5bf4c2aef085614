"""Generated reports, actions, statuses, tags and time against a small model of what the contract says becomes of an alert."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from conftest import App
from hypothesis import Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

CODES = {"critical": 1, "major": 2, "warning": 4, "indeterminate": 5, "informational": 6, "normal": 7, "ok": 7, "debug": 8}
STATUSES = ["open", "assign", "ack", "shelved", "blackout", "closed", "expired", "unknown"]
FINISHED = {"closed", "expired"}
CLOSED_AFTER, INFO_AFTER, SHELVE_FOR = 7_200_000, 43_200_000, 7200
# What an action makes of a status; what is missing is refused. * = stays, before = as before the hold, leave = as before the blackout.
STAYS = dict.fromkeys(("open", "ack", "shelve", "close", "assign"), "*")
RULES = {
    "open": {"ack": "ack", "shelve": "shelved", "close": "close", "assign": "*"}, "assign": STAYS, "unknown": STAYS,
    "ack": {"open": "open", "unack": "before", "shelve": "shelved", "close": "close", "assign": "worse"},
    "shelved": {"open": "open", "unshelve": "before", "close": "close", "assign": "*"},
    "blackout": {**dict.fromkeys(STAYS, "leave"), "close": "close"},
    "closed": {"open": "reopen", "assign": "revive"}, "expired": {"open": "open"},
}
ACTIONS = ["open", "ack", "unack", "shelve", "unshelve", "close", "assign"]


@dataclass
class Row:
    """One alert of the model. The times are milliseconds, the timeout is in seconds."""
    event: str
    severity: str
    correlate: tuple[str, ...]
    status: str
    last: int
    updated: int
    previous_severity: str = "indeterminate"
    duplicates: int = 0
    repeat: bool = False
    timeout: int = 0
    value: str = ""
    tags: set[str] = field(default_factory=set)
    service: tuple[str, ...] = ()
    previous: str | None = None
    before: dict[str, str] = field(default_factory=dict)          # ack, shelved -> the status before it
    until: dict[str, int | None] = field(default_factory=dict)    # ack, shelved -> when it ends
    history: list[tuple[str, str, str]] = field(default_factory=list)

    def turn(self, status: str, severity: str, entry: str | None, now: int, always: bool = True) -> None:
        """Puts it in a status; always: the update time moves even where the status stays."""
        if status != self.status:
            self.previous, self.status = self.status, status
            always = True
        if always:
            self.updated = now
        self.severity = severity
        if entry:
            self.history.append((entry, status, severity))

    def hold(self, status: str, until: int | None) -> None:
        self.before[status], self.until[status] = "open" if self.status in FINISHED else self.status, until

    def heard(self, event: str, severity: str, value: str, now: int) -> None:
        duplicate = (event, severity) == (self.event, self.severity)
        worse = not duplicate and self.severity != "indeterminate" and CODES[severity] < CODES[self.severity]
        normal = CODES[severity] == 7
        if self.status == "ack" and worse:
            status = "open"
        elif self.status == "blackout":
            status = self.previous or "open"
        elif self.status == "closed" and not normal:
            status = "shelved" if self.previous == "shelved" else "open"
        else:
            status = "closed" if normal else "open" if self.status == "expired" else self.status
        entry = "severity" if not duplicate else "status" if status != self.status else "value" if value != self.value else None
        if duplicate:
            self.duplicates, self.repeat = self.duplicates + 1, True
        else:
            self.previous_severity, self.duplicates, self.repeat, self.event = self.severity, 0, False, event
        self.turn(status, severity, entry, now, always=False)
        self.value, self.last = value, now

    def acted(self, action: str, timeout: int | None, now: int) -> bool:
        """False = refused."""
        outcome = {"expired": "expired", "createTicket": "custom"}.get(action) or RULES[self.status].get(action)
        normal = CODES[self.severity] == 7
        if outcome == "worse":
            known_better = self.previous_severity != "indeterminate" and CODES[self.severity] < CODES[self.previous_severity]
            outcome = "open" if known_better else "*"
        if normal and (outcome == "*" or (outcome is None and self.status == "expired")):
            outcome = "close"
        if outcome is None:
            return False
        status, severity = {"*": self.status, "custom": self.status, "close": "closed"}.get(outcome, outcome), self.severity
        if outcome == "close":
            severity = "normal"
        elif outcome == "before":
            status = self.before.get(self.status, "open")
        elif outcome == "leave":
            status = self.previous or "blackout"
        elif outcome == "reopen":
            status, severity = "open", self.previous_severity
        elif outcome == "revive":
            status, severity = ("closed", severity) if normal else (
                "shelved" if self.previous == "shelved" else "open", self.previous_severity)
        if severity != self.severity:
            self.previous_severity = self.severity
        if action in ("ack", "shelve") and status != self.status and status in ("ack", "shelved"):
            seconds = timeout or (SHELVE_FOR if action == "shelve" else 0)
            self.hold(status, now + seconds * 1000 if seconds else None)
        self.turn(status, severity, "action" if outcome == "custom" else action, now)
        return True

    def set_by_operator(self, status: str, timeout: int | None, now: int) -> None:
        if status != self.status and status in ("ack", "shelved"):
            self.hold(status, now + SHELVE_FOR * 1000 if status == "shelved" else None)
        self.timeout = self.timeout if timeout is None else timeout
        self.turn(status, self.severity, "status", now)

    def silent(self, now: int) -> bool:
        """What time does to it; True = it is deleted."""
        while True:
            if self.status in FINISHED and max(self.last, self.updated) + CLOSED_AFTER <= now:
                return True
            if self.severity == "informational" and self.last + INFO_AFTER <= now:
                return True
            until = self.until.get(self.status) if self.status in ("ack", "shelved") else None
            if self.timeout and self.status != "expired" and self.last + self.timeout * 1000 <= now:
                self.turn("expired", self.severity, "expired", now)
            elif until is not None and until <= now:
                back = "ack" if self.status == "shelved" and self.before["shelved"] == "ack" else "open"
                self.turn(back, self.severity, "timeout", now)
            else:
                return False


class Step(NamedTuple):
    """A method of Walk and what it is called with; shown as that call, for whoever reads a failure."""
    name: str
    fields: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{field}={value!r}' for field, value in self.fields.items())})"


def step(name: str, **fields: Any) -> st.SearchStrategy[Step]:
    """A step, each field one of its choices. Here and below, a choice that stands twice is taken more often."""
    choices = st.fixed_dictionaries({field: st.sampled_from(values) for field, values in fields.items()})
    return choices.map(lambda chosen: Step(name, {field: chosen[field] for field in fields}))    # hypothesis shuffles them


def any_of(choices: list[st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    return st.sampled_from(choices).flatmap(lambda chosen: chosen)     # st.one_of would count every choice once


PLACES, EVENTS = [("Production", "r1"), ("Production", "r2"), ("Lab", "r1"), ("Lab", "r2")], ["up", "down"]
SPANS, WAITS = [None, None, 0, 60, 600], [0.001, 59.999, 60, 60, 300, 600, 600, 7200, 43200, 86400]
NUMBERS = range(6)                                                     # of an alert, counted round where there are fewer
ACT = step("act", number=NUMBERS, action=[*ACTIONS, *ACTIONS, "expired", "createTicket"], timeout=SPANS)
SET_STATUS = step("set_status", number=NUMBERS, status=[*STATUSES, "shelved", "closed"], timeout=SPANS)
TAG, DELETE, WAIT = step("tag", number=NUMBERS, verb=["tag", "untag"], tag="abcd"), step("delete", number=NUMBERS), step("wait", seconds=WAITS)


def sequences(length: int, places: list[tuple[str, str]]) -> st.SearchStrategy[list[Step]]:
    report = step("report", place=places, event=EVENTS, severity=[*CODES, "major", "major"], correlate=[[], EVENTS],
                  timeout=[0, 0, 300, 86400], value="12", service=[[], ["Web"], ["Web", "Db"]], tags=["a", "b", "c", "ab", "ac", "bc"])
    return st.lists(any_of([ACT] * 7 + [report] * 4 + [WAIT] * 3 + [SET_STATUS] * 3 + [TAG, DELETE]), min_size=length, max_size=length)


class Walk:
    """Does the same to the application and to the model, and compares them after every step."""

    def __init__(self, app: App):
        self.app = app
        self.rows: dict[str, tuple[str, str, Row]] = {}                # id -> environment, resource, row

    @property
    def now(self) -> int:
        return self.app.clock.now()

    def take(self, step: Step) -> None:
        # What needs an alert is left out where there is none. Few alerts are kept, so that much happens to each of them.
        if len(self.rows) >= {"report": 0, "wait": 0, "delete": 3}.get(step.name, 1):
            getattr(self, step.name)(**step.fields)
            self.compare()

    def pick(self, number: int) -> tuple[str, Row]:
        ident, (*_, row) = list(self.rows.items())[number % len(self.rows)]
        return ident, row

    def put(self, method: str, path: str, body: Any, status: int = 200) -> None:
        answer = self.app.call(method, path, body)
        assert answer.status == status, answer

    def report(self, place: tuple[str, str], event: str, severity: str, correlate: list[str], timeout: int, value: str,
               service: list[str], tags: str) -> None:
        environment, resource = place
        alert = self.app.post_alert(resource, event, severity, environment=environment, timeout=timeout, value=value, tags=list(tags),
                                    service=service, correlate=correlate)
        near = [(ident, row) for ident, (*there, row) in self.rows.items() if there == [environment, resource]]
        found = [pair for pair in near if pair[1].event == event] or [pair for pair in near if event in pair[1].correlate]
        if found:
            ident, row = found[0]
            row.heard(event, severity, value, self.now)
        else:
            ident, status = alert["id"], "closed" if CODES[severity] == 7 else "open"
            row = Row(event, severity, correlate, status, self.now, self.now, value=value, history=[("new", status, severity)])
            assert ident not in self.rows
            self.rows[ident] = (environment, resource, row)
        row.tags |= set(tags)
        row.service, row.timeout = service, timeout
        assert alert["id"] == ident

    def act(self, number: int, action: str, timeout: int | None) -> None:
        ident, row = self.pick(number)
        status = 200 if row.acted(action, timeout, self.now) else 409
        self.put("PUT", f"/alert/{ident}/action", {"action": action, "timeout": timeout}, status)

    def set_status(self, number: int, status: str, timeout: int | None) -> None:
        ident, row = self.pick(number)
        row.set_by_operator(status, timeout, self.now)
        self.put("PUT", f"/alert/{ident}/status", {"status": status, "timeout": timeout})

    def tag(self, number: int, verb: str, tag: str) -> None:
        ident, row = self.pick(number)
        row.tags = row.tags | {tag} if verb == "tag" else row.tags - {tag}
        self.put("PUT", f"/alert/{ident}/{verb}", {"tags": [tag]})

    def delete(self, number: int) -> None:
        ident, _ = self.pick(number)
        del self.rows[ident]
        self.put("DELETE", f"/alert/{ident}", None)

    def wait(self, seconds: float) -> None:
        self.app.clock.advance(seconds)
        self.app.engine.expire_due()
        self.rows = {ident: place for ident, place in self.rows.items() if not place[2].silent(self.now)}

    def compare(self) -> None:
        """Every alert is as the model says, and the counts agree with the alerts listed."""
        alerts = self.app.get("/alerts?page-size=1000&show-history=1")["alerts"]
        got = {alert["id"]: {
            "place": (alert["environment"], alert["resource"], alert["event"]), "severity": (alert["severity"], alert["previousSeverity"]),
            "status": alert["status"], "duplicates": (alert["duplicateCount"], alert["repeat"]), "tags": sorted(alert["tags"]),
            "service": alert["service"], "value": alert["value"], "timeout": alert["timeout"],
            "history": [(entry["type"], entry["status"], entry["severity"]) for entry in alert["history"]]} for alert in alerts}
        wanted = {ident: {
            "place": (environment, resource, row.event), "severity": (row.severity, row.previous_severity),
            "status": row.status, "duplicates": (row.duplicates, row.repeat), "tags": sorted(row.tags), "service": row.service,
            "value": row.value, "timeout": row.timeout, "history": row.history[-100:]}
            for ident, (environment, resource, row) in self.rows.items()}
        assert len(got) == len(alerts) and got == wanted
        self.compare_counts("alerts/count", self.app.get("/alerts/count"), "total", alerts)
        places: dict[tuple[str, ...], list[Any]] = {}
        for alert in alerts:
            for name in [(alert["environment"],), *((alert["environment"], service) for service in alert["service"])]:
                places.setdefault(name, []).append(alert)
        shown = {(row["environment"],): row for row in self.app.get("/environments")["environments"]}
        shown.update({(row["environment"], row["service"]): row for row in self.app.get("/services")["services"]})
        assert shown.keys() == places.keys()
        for name, group in places.items():
            self.compare_counts(name, shown[name], "count", group)

    def compare_counts(self, what: Any, shown: Any, total: str, alerts: list[Any]) -> None:
        statuses, severities = (Counter(alert[name] for alert in alerts) for name in ("status", "severity"))
        assert (shown[total], shown["statusCounts"], shown["severityCounts"]) == (len(alerts), statuses, severities), what


class Failure(NamedTuple):
    error: Exception
    steps: list[Step]                                                  # the last of them failed


class Walks:
    """Walks in one application, emptied after each. Only a failure needs a new one, which takes as long as many steps."""

    def __init__(self, make_app: Any):
        self.make_app, self.app = make_app, None

    def failure_of(self, steps: list[Step]) -> Failure | None:
        """What goes wrong when an application without alerts takes these steps; None = nothing."""
        self.app = self.app or self.make_app(ack_timeout="0", shelve_timeout=str(SHELVE_FOR))
        walk = Walk(self.app)
        for number, step in enumerate(steps, 1):
            try:
                walk.take(step)
            except Exception as error:
                self.app = None                                        # who knows what is left in it
                return Failure(error, steps[:number])
        for ident in walk.rows:
            walk.put("DELETE", f"/alert/{ident}", None)
        return None

    def shortened(self, failure: Failure) -> Failure:
        """The failure without the steps that it does not need. Each is left out once: hypothesis would try for minutes."""
        for number in reversed(range(len(failure.steps) - 1)):
            failure = self.failure_of(failure.steps[:number] + failure.steps[number + 1:]) or failure
        return failure

    def check(self, rounds: int, length: int) -> None:
        """Ten walks a round, most of them in one place, so that much happens to each alert. Every run takes the same walks.

        After ten hypothesis mostly varies those before: the same number from several seeds meets half as many situations again.
        """
        for number in range(rounds):
            @seed(number)
            @settings(max_examples=10, phases=[Phase.generate], deadline=None, database=None, report_multiple_bugs=False,
                      verbosity=Verbosity.quiet)                       # the steps are told below, without those not needed
            @given(any_of([sequences(length, PLACES[:1])] * 2 + [sequences(length, PLACES)]))
            def check_one(steps: list[Step]) -> None:
                failure = self.failure_of(steps)
                if failure:
                    failure = self.shortened(failure)
                    raise AssertionError("\n".join(["the last of these steps fails:", *map(str, failure.steps)])) from failure.error

            check_one()


def test_alerts_do_what_the_model_says(make_app: Any):
    Walks(make_app).check(rounds=6, length=50)


@pytest.mark.slow
def test_alerts_do_what_the_model_says_for_long(make_app: Any):
    Walks(make_app).check(rounds=50, length=45)
