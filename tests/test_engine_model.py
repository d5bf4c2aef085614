"""Random reports, actions, statuses, tags and time against a small model of what the contract says becomes of an alert."""
from __future__ import annotations

import pathlib
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from conftest import App
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

CODES = {"critical": 1, "major": 2, "warning": 4, "indeterminate": 5, "informational": 6, "normal": 7, "ok": 7, "debug": 8}
STATUSES = ["open", "assign", "ack", "shelved", "blackout", "closed", "expired", "unknown"]
FINISHED = {"closed", "expired"}
CLOSED_AFTER, INFO_AFTER, SHELVE_FOR = 7200, 43200, 7200
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
    """One alert of the model. The times are seconds."""
    event: str
    severity: str
    correlate: tuple[str, ...]
    status: str
    last: float
    updated: float
    previous_severity: str = "indeterminate"
    duplicates: int = 0
    repeat: bool = False
    timeout: int = 0
    value: str = ""
    tags: set[str] = field(default_factory=set)
    service: tuple[str, ...] = ()
    previous: str | None = None
    before: dict[str, str] = field(default_factory=dict)          # ack, shelved -> the status before it
    until: dict[str, float | None] = field(default_factory=dict)  # ack, shelved -> when it ends
    history: list[tuple[str, str, str]] = field(default_factory=list)

    def turn(self, status: str, severity: str, entry: str | None, now: float, always: bool = True) -> None:
        """Puts it in a status; always: the update time moves even where the status stays."""
        if status != self.status:
            self.previous, self.status = self.status, status
            always = True
        if always:
            self.updated = now
        self.severity = severity
        if entry:
            self.history.append((entry, status, severity))

    def hold(self, status: str, until: float | None) -> None:
        self.before[status], self.until[status] = self.status, until

    def heard(self, event: str, severity: str, value: str, now: float) -> None:
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

    def acted(self, action: str, timeout: int | None, now: float) -> bool:
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
            self.hold(status, now + seconds if seconds else None)
        self.turn(status, severity, "action" if outcome == "custom" else action, now)
        return True

    def set_by_operator(self, status: str, timeout: int | None, now: float) -> None:
        if status != self.status and status in ("ack", "shelved"):
            self.hold(status, None)
        self.timeout = self.timeout if timeout is None else timeout
        self.turn(status, self.severity, "status", now)

    def silent(self, now: float) -> bool:
        """What time does to it; True = it is deleted."""
        while True:
            if self.status in FINISHED and max(self.last, self.updated) + CLOSED_AFTER <= now:
                return True
            if self.severity == "informational" and self.last + INFO_AFTER <= now:
                return True
            until = self.until.get(self.status) if self.status in ("ack", "shelved") else None
            if self.timeout and self.status != "expired" and self.last + self.timeout <= now:
                self.turn("expired", self.severity, "expired", now)
            elif until is not None and until <= now:
                back = "ack" if self.status == "shelved" and self.before["shelved"] == "ack" else "open"
                self.turn(back, self.severity, "timeout", now)
            else:
                return False


ENVIRONMENTS, RESOURCES, EVENTS = ["Production", "Lab"], ["r1", "r2"], ["up", "down"]
WHICH = st.integers(0, 7)
SPANS = st.sampled_from([None, 0, 60, 600])


class AlertMachine(RuleBasedStateMachine):
    """Does the same to the application and to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.app = App(pathlib.Path(self.folder.name) / "model.db", ack_timeout="0", shelve_timeout=str(SHELVE_FOR))
        self.start = self.app.clock.now()
        self.rows: dict[str, tuple[str, str, Row]] = {}                # id -> environment, resource, row

    def teardown(self) -> None:
        self.app.close()
        self.folder.cleanup()

    @property
    def now(self) -> float:
        return (self.app.clock.now() - self.start) / 1000

    def pick(self, which: int) -> tuple[str, Row]:
        ident = list(self.rows)[which % len(self.rows)]
        return ident, self.rows[ident][2]

    @rule(environment=st.sampled_from(ENVIRONMENTS), resource=st.sampled_from(RESOURCES), event=st.sampled_from(EVENTS),
          severity=st.sampled_from(sorted(CODES)), correlates=st.booleans(), timeout=st.sampled_from([0, 300, 86400]),
          value=st.sampled_from("12"), tags=st.sets(st.sampled_from("abc"), max_size=2),
          service=st.sampled_from([(), ("Web",), ("Web", "Db")]))
    def report(self, environment: str, resource: str, event: str, severity: str, correlates: bool, timeout: int, value: str,
               tags: set[str], service: tuple[str, ...]) -> None:
        alert = self.app.post_alert(resource, event, severity, environment=environment, timeout=timeout, value=value, tags=sorted(tags),
                                    service=list(service), **({"correlate": EVENTS} if correlates else {}))
        near = [(ident, row) for ident, (*place, row) in self.rows.items() if place == [environment, resource]]
        found = [pair for pair in near if pair[1].event == event] or [pair for pair in near if event in pair[1].correlate]
        if found:
            ident, row = found[0]
            row.heard(event, severity, value, self.now)
        else:
            ident = alert["id"]
            assert ident not in self.rows
            row = Row(event, severity, tuple(EVENTS if correlates else ()), "closed" if CODES[severity] == 7 else "open",
                      self.now, self.now, value=value)
            row.history.append(("new", row.status, severity))
            self.rows[ident] = (environment, resource, row)
        row.tags |= tags
        row.service, row.timeout = service, timeout
        assert alert["id"] == ident

    @precondition(lambda self: self.rows)
    @rule(which=WHICH, action=st.sampled_from([*ACTIONS, *ACTIONS, "expired", "createTicket"]), timeout=SPANS)
    def act(self, which: int, action: str, timeout: int | None) -> None:
        ident, row = self.pick(which)
        answer = self.app.call("PUT", f"/alert/{ident}/action", {"action": action, "timeout": timeout})
        assert answer.status == (200 if row.acted(action, timeout, self.now) else 409), (row.status, action, answer)

    @precondition(lambda self: self.rows)
    @rule(which=WHICH, status=st.sampled_from(STATUSES), timeout=SPANS)
    def set_status(self, which: int, status: str, timeout: int | None) -> None:
        ident, row = self.pick(which)
        assert self.app.call("PUT", f"/alert/{ident}/status", {"status": status, "timeout": timeout}).status == 200
        row.set_by_operator(status, timeout, self.now)

    @precondition(lambda self: self.rows)
    @rule(which=WHICH, tags=st.sets(st.sampled_from("abcd"), min_size=1, max_size=2), verb=st.sampled_from(["tag", "untag"]))
    def tag(self, which: int, tags: set[str], verb: str) -> None:
        ident, row = self.pick(which)
        assert self.app.call("PUT", f"/alert/{ident}/{verb}", {"tags": sorted(tags)}).status == 200
        row.tags = row.tags | tags if verb == "tag" else row.tags - tags

    @precondition(lambda self: len(self.rows) > 2)
    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        ident, _ = self.pick(which)
        assert self.app.call("DELETE", f"/alert/{ident}").status == 200
        del self.rows[ident]

    @rule(seconds=st.sampled_from([0.001, 59.999, 60, 300, 600, 7200, 43200, 86400]))
    def wait(self, seconds: float) -> None:
        self.app.clock.advance(seconds)
        self.app.engine.expire_due()
        self.rows = {ident: place for ident, place in self.rows.items() if not place[2].silent(self.now)}

    @invariant()
    def alerts_are_as_the_model_says(self) -> None:
        alerts = self.app.get("/alerts?page-size=1000&show-history=1")["alerts"]
        got = {alert["id"]: {
            "place": (alert["environment"], alert["resource"], alert["event"]), "severity": (alert["severity"], alert["previousSeverity"]),
            "status": alert["status"], "duplicates": (alert["duplicateCount"], alert["repeat"]), "tags": sorted(alert["tags"]),
            "service": tuple(alert["service"]), "value": alert["value"], "timeout": alert["timeout"],
            "history": [(entry["type"], entry["status"], entry["severity"]) for entry in alert["history"]]} for alert in alerts}
        wanted = {ident: {
            "place": (environment, resource, row.event), "severity": (row.severity, row.previous_severity),
            "status": row.status, "duplicates": (row.duplicates, row.repeat), "tags": sorted(row.tags), "service": row.service,
            "value": row.value, "timeout": row.timeout, "history": row.history[-100:]}
            for ident, (environment, resource, row) in self.rows.items()}
        assert len(got) == len(alerts) and got == wanted
        self.counts_agree_with(alerts)

    def counts_agree_with(self, alerts: list[Any]) -> None:
        count = self.app.get("/alerts/count")
        assert count["total"] == len(alerts)
        assert count["statusCounts"] == Counter(alert["status"] for alert in alerts)
        assert count["severityCounts"] == Counter(alert["severity"] for alert in alerts)
        for path, names in (("environments", lambda alert: [(alert["environment"],)]),
                            ("services", lambda alert: [(alert["environment"], name) for name in alert["service"]])):
            groups: dict[tuple, list[Any]] = {}
            for alert in alerts:
                for name in names(alert):
                    groups.setdefault(name, []).append(alert)
            shown = {(row["environment"], *([row["service"]] if "service" in row else [])): row for row in self.app.get(f"/{path}")[path]}
            assert shown.keys() == groups.keys()
            for name, group in groups.items():
                assert shown[name]["count"] == len(group)
                assert shown[name]["statusCounts"] == Counter(alert["status"] for alert in group)
                assert shown[name]["severityCounts"] == Counter(alert["severity"] for alert in group)


def run(examples: int, steps: int, derandomize: bool) -> None:
    run_state_machine_as_test(AlertMachine, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=derandomize, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck)))


def test_alerts_do_what_the_model_says():
    run(60, 30, derandomize=True)


@pytest.mark.slow
def test_alerts_do_what_the_model_says_for_long():
    run(500, 50, derandomize=False)
