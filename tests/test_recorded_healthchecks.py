"""What a real Healthchecks server answered, request by request, against what this server answers (data: see wire/README.md).

Every request is sent in the recorded order to one application in process, at the recorded time of day. Ids, keys and
signatures stand in the data under the names that both sides give them, so that they are compared too, as are the order
of rows, the headers and the times: a time within the recording is "now", every other one has to be the same. Where this
server answers otherwise on purpose, a table says so with the reason.
"""
from __future__ import annotations

import hashlib
import json
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Answer, App

import alertlite

FILE = pathlib.Path(__file__).with_name("wire") / "healthchecks-v3.json"
SETTINGS = {"badge_label": "Golden"}                 # as the recorded server was set up
NOW = "2030-11-21T08:33:45.100Z"                     # the recording's day and second, in the year of the tests' clock
# The channels of the recorded project: id -> name. Both servers list them by these ids.
CHANNELS = {"82b3ca5a-1c8d-446f-bebf-fefa226963f2": "Mail", "96467505-510b-4fe1-9c30-4e765eac5540": "Dup",
            "a4955c0a-509a-4997-aeff-bb8156f91958": "Sink", "d1c0b923-c1fe-405e-8eca-c4fb658a1622": "Dup"}
BEFORE = ("auth good", "body key")                   # checks that were there before the recording began

# A check with nothing but defaults; what follows from its uuid is left out (function `short_check`).
BLANK = {"name": "", "slug": "", "tags": "", "desc": "", "grace": 3600, "n_pings": 0, "status": "new", "started": False, "last_ping": None,
         "next_ping": None, "manual_resume": False, "methods": "", "subject": "", "subject_fail": "", "start_kw": "", "success_kw": "",
         "failure_kw": "", "filter_subject": False, "filter_body": False, "filter_http_body": False, "filter_default_fail": False,
         "timeout": 86400}
# The headers that stand together; the value of Access-Control-Allow-Methods is the data's own.
NEVER_CACHE = {"Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private"}
API_HEADERS = {"Access-Control-Allow-Headers": "X-Api-Key", "Access-Control-Allow-Origin": "*", "Access-Control-Max-Age": "600"}
HEADERS = {"none": {}, "api": API_HEADERS, "badge": API_HEADERS | NEVER_CACHE, "refused ping": NEVER_CACHE,
           "ping": {**NEVER_CACHE, "Access-Control-Allow-Origin": "*", "Ping-Body-Limit": "10000"}}


# --- the form in which answers are compared

def short_check(check: dict[str, Any]) -> dict[str, Any]:
    """What a check has beyond BLANK; what is missing says so. Addresses that follow from its uuid or unique key go."""
    uuid = check.get("uuid", "")
    address = f"<base>/api/v3/checks/{uuid}"
    name = uuid.strip("<>") or check.get("unique_key", "").strip("<>").removesuffix(" unique")
    expected = {**BLANK, "badge_url": f"<base>/b/2/<{name} badge>.svg"}
    if uuid:
        expected |= {"ping_url": f"<base>/ping/{uuid}", "update_url": address, "pause_url": f"{address}/pause",
                     "resume_url": f"{address}/resume", "channels": ""}
    return {key: check.get(key, "missing") for key in expected | check if key not in expected or check.get(key, "missing") != expected[key]}


def short_time(text: str) -> str:
    """now for a time within the recording, to the second or to the microsecond; any other as it is."""
    match = re.fullmatch(r"20\d\d(-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{6})?\+00:00", text)
    if not match:
        return text
    within = match[1] in ("-11-21T08:33:44", "-11-21T08:33:45")
    return ("now, with microseconds" if match[2] else "now") if within else f"YEAR{match[1]}+00:00"


def reduced(value: Any) -> Any:
    """An answer without what differs from run to run; both the recorded and our own are compared in this form."""
    if isinstance(value, dict):
        found = {key: reduced(item) for key, item in value.items()}
        return {"check": short_check(found)} if "n_pings" in value else found
    if isinstance(value, list):
        return [reduced(item) for item in value]
    if value in ("127.0.0.1", "192.0.2.7"):
        return "the peer"
    return short_time(value) if isinstance(value, str) else value


def reduced_text(text: str) -> str:
    """A page in place of its HTML, the words of a picture, and one letter that fills a whole body with how often it does."""
    if "<html" in text:
        return "an HTML page"
    if text.startswith("<svg"):
        return "a picture: " + ", ".join(sorted(set(re.findall(r">([^<>]+)</text>", text))))
    return f"{text[0]} {len(text)} times" if len(text) > 1000 and len(set(text)) == 1 else text


def filled(text: str) -> str:
    """The body that `reduced_text` made short."""
    match = re.fullmatch(r"(.) (\d+) times", text)
    return match[1] * int(match[2]) if match else text


class Names:
    """What ids, keys and signatures of one side are called on both."""

    def __init__(self) -> None:
        self.name_of: dict[str, str] = {}
        self.value_of: dict[str, str] = {}

    def add(self, value: str, name: str) -> None:
        if value not in self.name_of and name not in self.value_of:
            self.name_of[value], self.value_of[name] = name, value

    def learn(self, exchange: str, answer: Any) -> None:
        """Takes the names from an answer: of checks by the exchange that made them, of badges by their tag."""
        for check in checks_in(answer):
            name = exchange if check is answer else check["slug"] or check["name"]
            code, badge = check["uuid"], re.search(r"/b/2/(.*)\.svg", check["badge_url"])[1]
            self.add(badge, f"{self.name_of.get(code, name)} badge")
            self.add(hashlib.sha1(code.replace("-", "")[:16].encode()).hexdigest(), f"{self.name_of.get(code, name)} unique")
            self.add(code, name)
        for tag, addresses in answer.get("badges", {}).items() if isinstance(answer, dict) else ():
            _, badge_key, signature = re.search(r"/(badge)/([^/]+)/([^/.]{8})", addresses["svg3"]).groups()
            self.add(badge_key, "badge key")
            self.add(signature, f"signature {tag[:20]}")

    def put_in(self, text: str) -> str:
        """A text with names in place of values."""
        if not self.name_of:
            return text
        return re.sub("|".join(map(re.escape, self.name_of)), lambda match: f"<{self.name_of[match[0]]}>", text)

    def take_out(self, text: str) -> str:
        """A text with this side's values in place of the names."""
        return re.sub(r"<([^<>]+)>", lambda match: self.value_of.get(match[1], match[0]), text)


def checks_in(answer: Any) -> Iterator[dict[str, Any]]:
    rows = answer.get("checks", [answer]) if isinstance(answer, dict) else []
    return (row for row in rows if "uuid" in row)


def differences(theirs: Any, ours: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Path -> (theirs, ours) where two reduced answers differ."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return {key: pair for name in theirs.keys() | ours.keys() for key, pair in differences(
            theirs.get(name, "missing"), ours.get(name, "missing"), f"{path}.{name}" if path else name).items()}
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return {key: pair for index, (left, right) in enumerate(zip(theirs, ours, strict=True))
                for key, pair in differences(left, right, f"{path}[{index}]").items()}
    return {} if theirs == ours else {path: (theirs, ours)}


# --- how this server answers otherwise

# Another status. A refusal says why; what is accepted is compared where it is read again.
ON_CALENDAR = "systemd's OnCalendar is not supported: crontab expressions are what the jobs of a small host have"
EXCEPTIONS = {
    "create/oncalendar": (400, ON_CALENDAR),
    "create-validation/schedule-multiline": (400, ON_CALENDAR),
    "create-validation/schedule-alias": (201, "@daily and the like stand in crontabs too, where it is cron that reads them"),
    "create-validation/timeout-huge": (400, "part 10: bad input is the sender's mistake, not a failure of the server"),
    "create-validation/tags-501": (400, "part 10: tags have a limit, as they had in the first version of this API"),
    "create-validation/raw-dupkeys": (400, "a name that stands twice in one object is refused everywhere: which one is meant is anybody's guess"),
    "pings/options": (204, "part 10: a preflight is the browser's question, not the job's sign of life"),
}
# What is sent in addition, so that the numbers of the pings that follow are those of the recording.
STAND_INS = {"pings/options": ("GET", "it was the seventh ping there")}

# Same status, other body: request -> the paths that differ, and the reason.
RECOVERY = ({f"flips[{place}].{name}" for place in (0, 2) for name in ("down_seconds", "missed_runs")},
            "a recovery also says how long it lasted and what was missed")
FEWER = "of the checks in UNLIKE, four are only there and one is only here"
LONG_TAG = ({"badges." + "t" * 501}, "the check with the long tag was refused")
OTHERWISE = {
    "history/pings": ({"pings[15].method"}, "the stand-in for the OPTIONS request"),
    **{f"history/flips-{name}": RECOVERY for name in ("all", "seconds", "seconds-0", "seconds-max", "start", "start-end", "readonly",
                                                      "unique-key")},
    "badges/badges": LONG_TAG,
    "badges/badges-readonly": LONG_TAG,
    "badges/badge-*-json": ({"total"}, FEWER),
    "badges/badge-*-json3": ({"total"}, FEWER),
}
# Checks that are only there or only here (see EXCEPTIONS): lists are compared without them.
UNLIKE = {"create/oncalendar", "create-validation/schedule-multiline", "create-validation/schedule-alias", "create-validation/tags-501",
          "create-validation/raw-dupkeys"}

# Refusals with nothing or an HTML page as their body say in one line what is wrong: as JSON below /api/, else as text.
EMPTY_REFUSALS = {400: ("",), 404: ("", "an HTML page")}
# Content types, there and here, of answers with the same status.
OTHER_TYPES = {
    ("text/html; charset=utf-8", "text/plain"): "a word is no HTML",
    ("text/html; charset=utf-8", "application/json"): "a refusal says why, instead of an HTML page",
    ("text/html; charset=utf-8", None): "no content, no type",
}
# Headers that are left out: those that stood together there -> which ones.
LEFT_OUT = {"badge": ({"Access-Control-Allow-Headers", "Access-Control-Max-Age", "Access-Control-Allow-Methods"},
                      "a badge takes no key, so no browser asks beforehand")}


# --- the replay

class Replay:
    """Sends the recorded requests in order and keeps the answers by name."""

    def __init__(self, app: App, exchanges: list[dict[str, Any]]):
        self.app, self.names = app, Names()
        app.clock.ms = alertlite.ms_from_text(NOW)
        self.prepare()
        self.answers: dict[str, Answer] = {}
        self.bodies: dict[str, str] = {}
        for exchange in exchanges:
            self.send(exchange)

    def prepare(self) -> None:
        """The keys, channels and checks that the recorded server had."""
        for seq, (ident, name) in enumerate(CHANNELS.items(), 1):
            row = (seq, ident, "one", "email", name, "{}", self.app.clock.now())
            self.app.store.write(lambda tables, row=row: tables.db.execute(
                "INSERT INTO receivers (seq, id, customer, type, name, address_data, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)", row))
        for name, scopes, customer in (("key", ("read", "write"), "one"), ("read-only key", ("read",), "one"),
                                       ("other key", ("read", "write"), "two")):
            self.names.add(self.app.make_key(*scopes, customer=customer), name)
        self.names.add(self.app.engine.get_project("one").ping_key, "ping key")
        self.names.add("http://alert.test", "base")
        for name in BEFORE:
            made = self.app.call("POST", "/api/v3/checks/", {"name": name}, key=self.names.value_of["key"])
            self.names.learn(name, made.json)

    def send(self, exchange: dict[str, Any]) -> None:
        self.app.clock.ms += 1                        # keeps them apart, and all of them within the second
        raw = filled(exchange["raw"]).encode("latin-1") if "raw" in exchange else None
        if "json" in exchange:
            raw = self.names.take_out(json.dumps(exchange["json"])).encode()
        headers = {name: self.names.take_out(value) for name, value in exchange.get("headers", {}).items()}
        answer = self.app.call(exchange["method"], self.names.take_out(exchange["path"]), raw=raw, headers=headers, key=None)
        self.answers[exchange["name"]] = answer
        if exchange["name"] in STAND_INS:
            self.app.call(STAND_INS[exchange["name"]][0], self.names.take_out(exchange["path"]), key=None)
        if answer.headers.get("Content-Type") == "application/json" and exchange["method"] != "HEAD":
            self.names.learn(exchange["name"], answer.json)
            self.bodies[exchange["name"]] = self.names.put_in(answer.body.decode())


EXCHANGES = {exchange["name"]: exchange for exchange in json.loads(FILE.read_text())} if FILE.exists() else {}


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Any:
    application = App(tmp_path_factory.mktemp("replay") / "alertlite.db", **SETTINGS)
    yield Replay(application, list(EXCHANGES.values()))
    application.close()


def without_unlike(body: Any) -> Any:
    """A reduced answer without the checks that only one side has."""
    if not isinstance(body, dict) or "checks" not in body:
        return body
    return {"checks": [row for row in body["checks"] if UNLIKE.isdisjoint(
        {row["check"].get("uuid", "").strip("<>"), row["check"].get("unique_key", "").strip("<>").removesuffix(" unique")})]}


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_recorded_request_gets_the_recorded_answer_or_a_better_one(replay, name):
    exchange, answer = EXCHANGES[name], replay.answers[name]
    status, reason = EXCEPTIONS.get(name, (exchange["status"], ""))
    assert answer.status == status, reason or answer
    if reason:
        assert status < 400 or answer.json.keys() == {"error"} and answer.json["error"]
        return
    if exchange.get("text") in EMPTY_REFUSALS.get(status, ()):
        found = answer.json if exchange["path"].startswith("/api/") else {"error": answer.body.decode()}
        assert found.keys() == {"error"} and re.search("[a-z]", found["error"]) and "<" not in found["error"]
        return
    if "text" in exchange:
        assert reduced_text(answer.body.decode("latin-1")) == exchange["text"]
        return
    found = differences(without_unlike(exchange["json_back"]), without_unlike(reduced(json.loads(replay.bodies[name]))))
    expected, reason = OTHERWISE.get(name, (set(), ""))
    assert found.keys() == expected, (found, reason)


@pytest.mark.parametrize("name", [name for name in EXCHANGES if name not in EXCEPTIONS])
def test_a_recorded_answer_has_the_headers_that_clients_and_browsers_go_by(replay, name):
    exchange, sent = EXCHANGES[name], replay.answers[name].headers
    kind = sent.get("Content-Type")
    assert kind == exchange["type"] or (exchange["type"], kind) in OTHER_TYPES
    left_out, _ = LEFT_OUT.get(exchange["headers_back"], (set(), ""))
    for header, value in HEADERS[exchange["headers_back"]].items():
        assert sent.get(header) == (None if header in left_out else value), header
    if "methods" in exchange and "Access-Control-Allow-Methods" not in left_out:
        assert sorted(sent["Access-Control-Allow-Methods"].split(", ")) == exchange["methods"]


def test_every_exception_names_a_request_and_differs_from_what_was_recorded(replay):
    for name, (status, reason) in EXCEPTIONS.items():
        assert EXCHANGES[name]["status"] != status and reason, name
    for name, (paths, reason) in OTHERWISE.items():
        assert name in EXCHANGES and name not in EXCEPTIONS and paths and reason, name
    assert EXCEPTIONS.keys() >= UNLIKE | STAND_INS.keys()
    kinds = {(EXCHANGES[name]["type"], answer.headers.get("Content-Type")) for name, answer in replay.answers.items() if name not in EXCEPTIONS}
    assert OTHER_TYPES.keys() == {pair for pair in kinds if pair[0] != pair[1]}
    for kind, (headers, reason) in LEFT_OUT.items():
        left = [answer.headers for name, answer in replay.answers.items() if EXCHANGES[name]["headers_back"] == kind]
        assert left and reason and not any(headers & sent.keys() for sent in left), kind


def test_every_check_that_was_recorded_is_compared_in_a_list(replay):
    """Or lists that are compared without UNLIKE could be compared without anything."""
    rows = without_unlike(EXCHANGES["read/list-slug-empty"]["json_back"])["checks"]
    made = {name for name, exchange in EXCHANGES.items() if name.startswith("create") and exchange["status"] == 201}
    assert {row["check"]["uuid"].strip("<>") for row in rows} == (made | set(BEFORE)) - UNLIKE and len(rows) == 33


# --- what the recording does not show

@pytest.mark.parametrize(("stored", "posted", "is_on", "reason"), [
    ({}, {"subject": "OK"}, True, "a keyword turns it on"),
    ({}, {"subject": ""}, False, "there is no keyword"),
    ({"subject": "OK"}, {"subject": ""}, False, "the only keyword is gone"),
    ({"subject_fail": "ERR"}, {"subject": ""}, True, "the other keyword is still there"),
    ({"subject": "OK"}, {"subject_fail": ""}, True, "the other keyword is still there"),
    ({"failure_kw": "ERR"}, {"subject": ""}, True, "the other keyword may have come by its newer name"),
    ({"subject": "OK"}, {"subject": "", "filter_subject": True}, True, "what is said outright wins"),
])
def test_an_older_name_of_a_keyword_turns_its_filter_on_while_either_keyword_is_there(app, stored, posted, is_on, reason):
    """spec/healthchecks.md 3.2: subject and subject_fail each set filter_subject to "either keyword non-empty"."""
    check = app.call("POST", "/api/v3/checks/", {"name": "Subjects", **stored}).json
    assert app.call("POST", f"/api/v3/checks/{check['uuid']}", posted).json["filter_subject"] is is_on, reason


# --- how the data was made: python tests/test_recorded_healthchecks.py FOLDER

PARTS = ("create", "create-validation", "read", "update", "pings", "history", "pause-resume", "badges")
KEYS = {"A" * 32: "key", "ra" * 16: "read-only key", "B" * 32: "other key", "pingaxxxxxxxxxxxxxxxxx": "ping key",
        "http://127.0.0.1:9290": "base"}


def converted(name: str, entry: dict[str, Any], names: Names) -> dict[str, Any]:
    """A recorded exchange as it is kept: see wire/README.md."""
    asked, given = entry["request"], entry["response"]
    headers = {key: names.put_in(value) for key, value in asked["headers"].items() if (key, value) != ("Content-Type", "application/json")}
    kept: dict[str, Any] = {"name": name, "method": asked["method"], "path": names.put_in(asked["path"])}
    kept.update({"headers": headers} if headers else {})
    if asked["json"] is not None:
        kept["json"] = json.loads(names.put_in(json.dumps(asked["json"])))
    elif asked["raw"] is not None:
        kept["raw"] = reduced_text(asked["raw"])
    kept["status"] = given["status"]
    body = given["body"]
    if "json" in body:
        kept["json_back"] = reduced(json.loads(names.put_in(json.dumps(body["json"]))))
    else:
        kept["text"] = reduced_text(body["text"] if "text" in body else bytes.fromhex(body["hex"]).decode("latin-1"))
    back = {key: value for key, value in given["headers"].items() if key not in ("Vary", "Expires")}
    kept["type"] = back.pop("Content-Type", "none")
    methods = back.pop("Access-Control-Allow-Methods", None)
    kept.update({"methods": sorted(methods.split(", "))} if methods else {})
    kept["headers_back"] = next(kind for kind, expected in HEADERS.items() if expected == back)
    return kept


def main(folder: str) -> None:
    names = Names()
    for value, name in KEYS.items():
        names.add(value, name)
    entries = [(f"{part}/{entry['name']}", entry) for part in PARTS
               for entry in json.loads((pathlib.Path(folder) / f"v3-{part}.json").read_text())]
    for name, entry in entries:
        names.learn(name, entry["response"]["body"].get("json"))
    lines = [json.dumps(converted(name, entry, names), separators=(",", ":")) for name, entry in entries]
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main(sys.argv[1])
