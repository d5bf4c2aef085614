"""Random reports, actions, statuses, tags and time against a small model of what the contract says becomes of an alert."""
from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

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


ENVIRONMENTS, RESOURCES, EVENTS = ["Production", "Lab"], ["r1", "r2"], ["up", "down"]
SPANS, WAITS = [None, None, 0, 60, 600], [0.001, 59.999, 60, 60, 300, 600, 600, 7200, 43200, 86400]


class Walk:
    """One random walk: does the same to the application and to the model, and compares them after every step."""

    def __init__(self, app: Any, seed: int):
        self.app, self.random = app, random.Random(seed)
        self.rows: dict[str, tuple[str, str, Row]] = {}                # id -> environment, resource, row
        self.steps: list[tuple] = [("seed", seed)]                     # what was done, for whoever reads a failure
        self.places = self.random.choice([1, 1, 2])                    # few places, so that much happens to each alert

    @property
    def now(self) -> int:
        return self.app.clock.now()

    def run(self, steps: int) -> None:
        for _ in range(steps):
            known = [self.act] * 7 + [self.set_status, self.tag] if self.rows else []
            step = self.random.choice([self.report] * 4 + [self.wait] * 3 + known + ([self.delete] if len(self.rows) > 2 else []))
            self.steps.append((step.__name__,))
            step()
            self.compare()
        for ident in self.rows:
            self.put("DELETE", f"/alert/{ident}", None)

    def told(self) -> str:
        return "\n".join(map(str, self.steps))

    def choose(self, choices: Any) -> Any:
        """A random choice, noted."""
        chosen = self.random.choice(list(choices))
        self.steps[-1] += (chosen,)
        return chosen

    def put(self, method: str, path: str, body: Any, status: int = 200) -> None:
        answer = self.app.call(method, path, body)
        assert answer.status == status, f"{answer} after\n{self.told()}"

    def report(self) -> None:
        environment, resource = self.choose(ENVIRONMENTS[:self.places]), self.choose(RESOURCES[:self.places])
        event, severity, correlate = self.choose(EVENTS), self.choose(sorted(CODES)), self.choose([[], EVENTS])
        timeout, value, service = self.choose([0, 0, 300, 86400]), self.choose("12"), self.choose([[], ["Web"], ["Web", "Db"]])
        tags = {self.choose("abc"), self.choose("abc")}
        alert = self.app.post_alert(resource, event, severity, environment=environment, timeout=timeout, value=value, tags=sorted(tags),
                                    service=service, correlate=correlate)
        near = [(ident, row) for ident, (*place, row) in self.rows.items() if place == [environment, resource]]
        found = [pair for pair in near if pair[1].event == event] or [pair for pair in near if event in pair[1].correlate]
        if found:
            ident, row = found[0]
            row.heard(event, severity, value, self.now)
        else:
            ident, status = alert["id"], "closed" if CODES[severity] == 7 else "open"
            row = Row(event, severity, correlate, status, self.now, self.now, value=value, history=[("new", status, severity)])
            assert ident not in self.rows, self.told()
            self.rows[ident] = (environment, resource, row)
        row.tags |= tags
        row.service, row.timeout = service, timeout
        assert alert["id"] == ident, self.told()

    def pick(self) -> tuple[str, Row]:
        number = self.choose(range(len(self.rows)))
        return list(self.rows)[number], list(self.rows.values())[number][2]

    def act(self) -> None:
        ident, row = self.pick()
        likely = list(RULES[row.status]) * 3
        action, timeout = self.choose([*ACTIONS, *likely, "expired", "createTicket"]), self.choose(SPANS)
        status = 200 if row.acted(action, timeout, self.now) else 409
        self.put("PUT", f"/alert/{ident}/action", {"action": action, "timeout": timeout}, status)

    def set_status(self) -> None:
        ident, row = self.pick()
        status, timeout = self.choose(STATUSES), self.choose(SPANS)
        row.set_by_operator(status, timeout, self.now)
        self.put("PUT", f"/alert/{ident}/status", {"status": status, "timeout": timeout})

    def tag(self) -> None:
        ident, row = self.pick()
        verb, tag = self.choose(["tag", "untag"]), self.choose("abcd")
        row.tags = row.tags | {tag} if verb == "tag" else row.tags - {tag}
        self.put("PUT", f"/alert/{ident}/{verb}", {"tags": [tag]})

    def delete(self) -> None:
        ident, _ = self.pick()
        del self.rows[ident]
        self.put("DELETE", f"/alert/{ident}", None)

    def wait(self) -> None:
        self.app.clock.advance(self.choose(WAITS))
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
        assert len(got) == len(alerts) and got == wanted, self.told()
        self.compare_counts("alerts/count", self.app.get("/alerts/count"), "total", alerts)
        places: dict[tuple[str, ...], list[Any]] = {}
        for alert in alerts:
            for name in [(alert["environment"],), *((alert["environment"], service) for service in alert["service"])]:
                places.setdefault(name, []).append(alert)
        shown = {(row["environment"],): row for row in self.app.get("/environments")["environments"]}
        shown.update({(row["environment"], row["service"]): row for row in self.app.get("/services")["services"]})
        assert shown.keys() == places.keys(), self.told()
        for name, group in places.items():
            self.compare_counts(name, shown[name], "count", group)

    def compare_counts(self, what: Any, shown: Any, total: str, alerts: list[Any]) -> None:
        statuses, severities = (Counter(alert[name] for alert in alerts) for name in ("status", "severity"))
        assert (shown[total], shown["statusCounts"], shown["severityCounts"]) == (len(alerts), statuses, severities), (
            f"{what} after\n{self.told()}")


def walk(make_app: Any, seeds: range, steps: int) -> None:
    for seed in seeds:
        if seed % 20 == 0:
            app = make_app(ack_timeout="0", shelve_timeout=str(SHELVE_FOR))
        Walk(app, seed).run(steps)


def test_alerts_do_what_the_model_says(make_app: Any):
    walk(make_app, range(60), 30)


@pytest.mark.slow
def test_alerts_do_what_the_model_says_for_long(make_app: Any):
    walk(make_app, range(1000, 1500), 40)
