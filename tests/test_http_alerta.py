"""Searching, sorting, counting and reporting as the Alerta API does, each form of its query language with the alerts it finds.

The alerts have one letter each, their ids begin with it, and tables name what is found by letters.
"""
from __future__ import annotations

import urllib.parse
from typing import Any

import pytest
from conftest import App

import alertlite

MINUTE = 60
# What is reported, a minute apart from midnight on; the first is created a minute before. e comes twice and is then acknowledged.
ALERTS: dict[str, dict[str, Any]] = {
    "a": {"resource": "web01", "event": "HttpError", "environment": "Production", "severity": "critical", "service": ["Web"],
          "group": "Frontend",
          "value": "95", "text": "Disk usage is 95 percent on /dev/sda1", "tags": ["eu", "blue"],
          "attributes": {"region": "EU", "rack": 12},
          "origin": "probe/1", "timeout": 60, "createTime": "2029-12-31T23:59:00.000Z", "rawData": "raw one", "customer": "acme"},
    "b": {"resource": "web02", "event": "NodeDown", "environment": "Production", "severity": "major", "service": ["Web", "Network"],
          "value": "5",
          "correlate": ["NodeUp", "NodeDown"], "text": "node is down", "tags": ["us", "blueish"], "attributes": {"region": "US", "rack": 7},
          "origin": "probe/2", "timeout": 120},
    "c": {"resource": "db01", "event": "DiskFull", "environment": "Development", "severity": "minor", "service": ["Database"],
          "value": "100",
          "text": "disk full", "tags": ["eu", "red"], "timeout": 3600, "customer": "globex"},
    "d": {"resource": "Web03", "event": "HttpOk", "environment": "Development", "severity": "ok"},
    "e": {"resource": "10.0.0.1", "event": "node.down", "environment": "Staging", "severity": "warning", "service": ["Web Shop"],
          "text": 'say "hello" to a:b (now)', "attributes": {"region": "eu", "note": "cold aisle"}},
    "f": {"resource": "db02", "event": "Beat", "environment": "Staging", "severity": "informational", "service": ["Database", "Web"],
          "text": "all fine",
          "type": "infoAlert", "timeout": 0},
}


def at(minute: int) -> str:
    return f"2030-01-01T00:{minute:02d}:00.000Z"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The application with these alerts: a at 00:00, b 00:01, c 00:02, d 00:03, e 00:04 and 00:05, f 00:06; e acknowledged at 00:07."""
    app = App(tmp_path_factory.mktemp("search") / "alertlite.db")
    for letter, fields in ALERTS.items():
        app.post_alert(id=f"{letter * 8}-1", **fields)
        app.clock.advance(MINUTE)
        if letter == "e":
            app.post_alert(id="e2e2e2e2-2", **fields)
            app.clock.advance(MINUTE)
    app.call("PUT", "/alert/eeeeeeee-1/action", {"action": "ack"})
    app.clock.advance(MINUTE)
    yield app
    app.close()


def letters(alerts: list[dict]) -> str:
    return "".join(alert["id"][0] for alert in alerts)


# Each form of a filter (contract 4.1) and what it finds. + stands for a blank.
FILTERS = [
    ("", "abcdef", "everything"), ("status=open", "abcf", "equal"), ("status=open&status=ack", "abcef", "repeated means or"),
    ("status!=open", "de", "not equal"), ("status!=open&status!=closed", "e", "repeated means none of"),
    ("status=open&environment=Staging", "f", "different keys mean and"), ("environment=Production", "ab", "equal"),
    ("environment=production", "", "case counts"), ("environment=", "", "equal to nothing"),
    ("environment=&environment=Production", "ab", "nothing or Production"), ("environment!=Production", "cdef", "not equal"),
    ("severity!=critical", "bcdef", "not equal"), ("severity=critical&severity=major", "ab", "one of"),
    ("severity=nonsense", "", "an unknown one"), ("resource=web01", "a", "equal"), ("resource=WEB01", "", "case counts"),
    ("resource=~web", "abd", "a pattern ignores case"), ("resource=~^WEB", "abd", "from the start"), ("resource=~1$", "ace", "to the end"),
    ("resource=~^web0[12]$", "ab", "a class"), ("resource=~^web0[^1]$", "bd", "a class of others"),
    ("resource=~web|db", "abcdf", "alternatives"), ("resource=~^(web|db)02$", "bf", "alternatives within"),
    ("resource=~b.*1", "ac", "any run"), ("resource=~10.0", "e", "any character"), ("resource=~10\\.0\\.0\\.1", "e", "an escaped dot"),
    ("resource=~web\\d\\d", "abd", "digits"), ("resource!=~web", "cef", "no match"), ("resource!=~web&resource!=~db", "e", "none of both"),
    ("resource=~web&resource=~^10", "abde", "one of both"), ("resource=web01&resource=~db", "acf", "equal or like"),
    ("resource=~web&resource!=web01", "bd", "like but not"), ("event=~node", "be", "a pattern"),
    ("event=node.down", "e", "a dot in a value"), ("service=Web", "abf", "an element"), ("service=web", "", "case counts"),
    ("service=Web&service=Network", "abf", "one of"), ("service=Web+Shop", "e", "a blank inside"),
    ("service=We", "", "no part of an element"), ("service=~web", "abef", "a pattern on elements"),
    ("service=~^web$", "abf", "a whole element"), ("service!=Web", "cde", "without"), ("service!=~web", "cd", "none like it"),
    ("service=", "", "no element is empty"), ("service=Web&environment=Staging", "f", "and"), ("service=Web&status=closed", "", "and"),
    ("tag=eu", "ac", "an element"), ("tag=EU", "", "case counts"), ("tag=eu&tag=us", "abc", "one of"), ("tag=blue", "a", "not blueish"),
    ("tag=~blue", "ab", "a pattern"), ("tag=~^blue$", "a", "a whole element"), ("tag=~ish$", "b", "the end of an element"),
    ("tag!=eu", "bdef", "without"), ("tag!=~blue", "cdef", "none like it"), ("tag=~eu.*blue", "", "elements are apart"),
    ("tag=~,", "", "nothing stands between them"), ("tag=~.", "abc", "the others have no element"), ("correlate=NodeUp", "b", "an element"),
    ("correlate=~nodeup", "b", "a pattern"), ("correlate!=NodeUp", "acdef", "without"), ("group=Frontend", "a", "equal"),
    ("group=Misc", "bcdef", "the default"), ("group=~front", "a", "a pattern"), ("group!=Misc", "a", "not equal"),
    ("value=95", "a", "equal, as text"), ("value=~^9", "a", "a pattern"), ("value=", "def", "none"),
    ("value!=95", "bcdef", "none is not 95"), ("text=disk+full", "c", "equal"), ("text=~disk", "ac", "a pattern"),
    ("text=~/dev/sda", "a", "slashes"), ("text=", "d", "none"), ("text!=~.", "d", "nothing at all"), ("attributes.region=EU", "a", "equal"),
    ("attributes.region=eu", "e", "case counts"), ("attributes.region=~eu", "ae", "a pattern"),
    ("attributes.region!=EU", "bcdef", "another or none"), ("attributes.region!=~eu", "bcdf", "none like it"),
    ("attributes.region=EU&attributes.region=US", "ab", "one of"), ("attributes.region=EU&attributes.rack=7", "", "and"),
    ("attributes.rack=12", "a", "a number"), ("attributes.rack=~^1", "a", "a number as text"),
    ("attributes.note=cold+aisle", "e", "a blank"), ("attributes.nothing=x", "", "an unknown one"),
    ("attributes.ip=192.0.2.7", "abcdef", "where it came from"), ("origin=probe/1", "a", "equal"), ("origin=~probe", "ab", "a pattern"),
    ("type=infoAlert", "f", "equal"), ("type!=infoAlert", "abcde", "not equal"), ("createTime=2029-12-31T23:59:00.000Z", "a", "a time"),
    (f"receiveTime={at(1)}", "b", "a time"), (f"lastReceiveTime={at(5)}", "e", "a time"), (f"updateTime={at(7)}", "e", "a time"),
    (f"createTime!={at(1)}", "acdef", "another time"), ("timeout=60", "a", "a number"), ("timeout=60&timeout=120", "ab", "one of"),
    ("timeout!=86400", "abcf", "another number"), ("timeout=0", "f", "never"), ("rawData=raw+one", "a", "equal"),
    ("rawData=~raw", "a", "a pattern"), ("customer=acme", "a", "equal"), ("customer=acme&customer=globex", "ac", "one of"),
    ("customer=", "bdef", "none"), ("customer!=acme", "bcdef", "another or none"), ("customer=~.", "ac", "any"),
    ("duplicateCount=1", "e", "a number"), ("duplicateCount=0", "abcdf", "a number"),
    *((f"repeat={yes}", "e", "yes") for yes in (
        "true", "t", "1", "yes", "y", "on", "True", "ON")), ("repeat=false", "abcdf", "no"), ("repeat=maybe", "abcdf", "no"),
        ("repeat!=true", "abcdf", "not yes"),
    ("previousSeverity=indeterminate", "abcdef", "equal"), ("trendIndication=moreSevere", "abce", "equal"),
    ("trendIndication=lessSevere", "df", "equal"), ("id=aaaaaaaa-1", "a", "the whole"), ("id=a", "a", "the beginning"),
    ("id=aaaa&id=bbbb", "ab", "one of"), ("id!=aaaa", "bcdef", "others"), ("id=e2e2", "e", "of the last report"),
    ("id=-1", "", "not the end"), ("lastReceiveId=e2e2e2e2-2", "e", "equal"), (f"from-date={at(1)}", "cdef", "later"),
    (f"to-date={at(1)}", "ab", "until"), (f"from-date={at(1)}&to-date={at(3)}", "cd", "between"),
    ("from-date=&to-date=", "abcdef", "no dates"), ("duplicate_count=1", "e", "snake case"),
    ("last_receive_id=e2e2e2e2-2", "e", "snake case"), ("previous_severity!=x", "abcdef", "snake case"),
    ("raw_data=~one", "a", "snake case"), (f"create_time={at(1)}", "b", "snake case"),
    ("_=1&callback=f&token=x&q=&group-by=x&page=1&limit=50&show-history=x", "abcdef", "what is no filter"),
    ("q=disk&environment=Production", "a", "a search and a filter"),
]


@pytest.mark.parametrize(("query", "expected", "reason"), FILTERS, ids=[row[0] for row in FILTERS])
def test_a_filter_finds_the_same_alerts_wherever_it_is_asked(found: App, query: str, expected: str, reason: str) -> None:
    answer = found.get(f"/alerts?{query}&sort-by=-lastReceiveTime")
    assert letters(answer["alerts"]) == expected, reason
    severities: dict[str, int] = {}
    for letter in expected:
        severities[ALERTS[letter]["severity"]] = severities.get(ALERTS[letter]["severity"], 0) + 1
    assert (answer["total"], answer["severityCounts"]) == (len(expected), severities)
    count = found.get(f"/alerts/count?{query}")
    assert (count["total"], count["severityCounts"], count["statusCounts"]) == (len(expected), severities, answer["statusCounts"])
    for name in ("environments", "alerts/groups"):
        assert sum(group["count"] for group in found.get(f"/{name}?{query}")[name.split("/")[-1]]) == len(expected), name
    pairs = sum(len(ALERTS[letter].get("service", [])) for letter in expected)
    assert sum(group["count"] for group in found.get(f"/services?{query}")["services"]) == pairs
    tags = sum(len(ALERTS[letter].get("tags", [])) for letter in expected)
    assert sum(tag["count"] for tag in found.get(f"/alerts/tags?{query}")["tags"]) == tags
    resources = {ALERTS[letter]["resource"] for letter in expected}
    assert {row["resource"] for row in found.get(f"/alerts/history?{query}")["history"]} == resources
    if "group-by" not in query:
        top = found.get(f"/alerts/top10/count?{query}&group-by=resource")["top10"]
        assert {group["resource"] for group in top} == resources


# The order of each sort key (contract 4.2).
THEN = "&sort-by=-lastReceiveTime"
SORTS = [
    ("", "fedcba", "newest first"), ("reverse=1", "abcdef", "v3"), ("sort-by=lastReceiveTime", "fedcba", "times newest first"),
    ("sort-by=-lastReceiveTime", "abcdef", "reversed"), ("sort-by=-lastReceiveTime&reverse=1", "fedcba", "twice reversed"),
    ("sort-by=createTime", "fedcba", "newest first"), ("sort-by=receiveTime", "fedcba", "newest first"),
    ("sort-by=updateTime", "efdcba", "e was acknowledged last"), ("sort-by=-updateTime", "abcdfe", "reversed"),
    ("sort-by=severity", "abcefd", "worst first"), ("sort-by=-severity", "dfecba", "reversed"),
    ("sort-by=status" + THEN, "abcfed", "open, ack, closed"), ("sort-by=-status" + THEN, "deabcf", "reversed"),
    ("sort-by=environment" + THEN, "cdabef", "two keys"), ("sort-by=-environment&sort-by=lastReceiveTime", "febadc",
                                                           "two keys, each its own way"),
    ("sort-by=timeout" + THEN, "fabcde", "a number"), ("sort-by=-timeout" + THEN, "decbaf", "a number reversed"),
    ("sort-by=duplicateCount" + THEN, "abcdfe", "a number"), ("sort-by=event", "fcadbe", "text"),
    ("sort-by=attributes.region" + THEN, "abecdf", "an attribute; those without it last"),
    ("sort-by=-attributes.region" + THEN, "ebacdf", "an attribute reversed"), ("sort-by=attributes.rack" + THEN, "bacdef", "7 before 12"),
    ("sort-by=-attributes.rack" + THEN, "abcdef", "12 before 7"),
    ("timeout!=0&sort-by=timeoutLeft", "abcde", "what the interface computes"), ("timeout!=0&sort-by=-timeoutLeft", "edcba", "reversed"),
    ("sort-by=last_receive_time", "fedcba", "snake case"), ("sort-by=-duration" + THEN, "aebcdf", "the interface's column"),
    ("sort-by=", "fedcba", "none"),
]


@pytest.mark.parametrize(("query", "expected", "reason"), SORTS, ids=[row[0] for row in SORTS])
def test_alerts_come_in_the_order_asked_for(found: App, query: str, expected: str, reason: str) -> None:
    assert letters(found.get(f"/alerts?{query}")["alerts"]) == expected, reason
    pages = [found.get(f"/alerts?{query}&page-size=2&page={page}")["alerts"] for page in range(1, -(-len(expected) // 2) + 1)]
    assert "".join(map(letters, pages)) == expected


def test_every_field_but_two_can_be_sorted_by(found: App) -> None:
    for name in ("resource", "event", "environment", "severity", "correlate", "status", "service", "group", "value", "text",
                 "attributes.ip", "origin", "type", "createTime",
                 "timeout", "rawData", "customer", "duplicateCount", "repeat", "previousSeverity", "trendIndication", "receiveTime",
                 "lastReceiveId", "lastReceiveTime",
                 "updateTime", "timeoutLeft", "duration"):
        for sign in ("", "-"):
            assert sorted(letters(found.get(f"/alerts?sort-by={sign}{name}")["alerts"])) == list("abcdef"), name
    for name in ("id", "tag", "href", "nonsense"):
        assert found.call("GET", f"/alerts?sort-by={name}").status == 400, name


# The search language (contract 4.3).
SEARCHES = [
    ("disk", "ac", "contains, whatever the case"), ("DISK", "ac", "case"), ("dis", "ac", "part of a word"), ("is", "abc", "part of a word"),
    ('"is"', "ab", "a whole word"), ('"disk full"', "c", "a phrase"), ('"isk full"', "", "not within a word"),
    ('"Disk usage"', "a", "case"), ('"node is down"', "b", "from boundary to boundary"), ("resource:web", "abd", "a field"),
    ('resource:"web01"', "a", "a phrase in a field"), ('resource:"web"', "", "web01 is one word"), ("resource:10.0.0.1", "e", "dots"),
    ("event:node.down", "e", "dots"), ('event:"node.down"', "e", "what the interface sends"), ("severity:major", "b", "a field"),
    ("status:ack", "e", "a field"), ("customer:acme", "a", "a field"), ("value:95", "a", "a field"), ("rawData:raw", "a", "a field"),
    ("group:front", "a", "a field"), ("origin:probe", "ab", "a field"), ("type:infoAlert", "f", "a field"), ("repeat:true", "e", "a flag"),
    ("id:aaaaaaaa", "a", "an id"), ("text:disk", "ac", "the default field by name"), ("tags:eu", "ac", "an element"),
    ('tags:"eu"', "ac", "an element"), ("tag:eu", "ac", "its other name"), ("tags:e", "", "no part of an element"),
    ("tags:EU", "", "case counts"), ("service:Web", "abf", "an element"), ("service:web", "", "case counts"),
    ('service:"Web Shop"', "e", "a blank"), ("correlate:NodeUp", "b", "an element"), ("_.region:EU", "ae", "an attribute"),
    ("attributes.region:eu", "ae", "an attribute by its long name"), ('_.note:"cold aisle"', "e", "a phrase"),
    ("_.note:aisle", "e", "contains"), ("_.rack:12", "a", "a number as text"), ("_.region:E*", "ae", "an attribute with a wildcard"),
    ("_.region:/^e/", "ae", "an attribute with a pattern"), ("_.region:[EU TO US]", "ab", "a range of an attribute"),
    ("_exists_:region", "abe", "present"), ("_exists_:nothing", "", "absent"), ("NOT _exists_:region", "cdf", "not present"),
    ("severity:(critical OR major)", "ab", "a field of several"), ("severity:(critical major)", "ab", "side by side"),
    ("_.region:(EU US)", "abe", "an attribute of several"), ('resource:("web01" OR db)', "acf", "a phrase within"),
    ("environment:(Production OR Staging) AND status:open", "abf", "and more"), ("fu?l", "c", "one character or none"),
    ("full?", "c", "none"), ("dis?", "ac", "one"), ("ful", "c", "contains"), ("di*", "ac", "a run"), ("*own", "b", "a run before"),
    ("us*e", "a", "a run within"), ("dev*", "a", "a run"), ("event:Http*", "ad", "capitals before it"),
    ("resource:web0?", "abd", "a field"), ("isk*", "", "whole words"), ("/d[io]/", "abc", "a pattern"), ("/^disk/", "ac", "from the start"),
    ("/disk$/", "", "to the end"), ("/full$/", "c", "to the end"), ("resource:/^web0[12]/", "ab", "a field"),
    ("/\\/dev/", "a", "an escaped slash"), ("resource:/WEB/", "abd", "case"), ("/is|full/", "abc", "alternatives"),
    ("timeout:[60 TO 120]", "ab", "both ends in"), ("timeout:{60 TO 120}", "", "both ends out"), ("timeout:{60 TO 120]", "b", "mixed"),
    ("timeout:[60 TO 120}", "a", "mixed"), ("timeout:[* TO 120]", "abf", "no lower end"), ("timeout:[120 TO *]", "bcde", "no upper end"),
    ("timeout:>120", "cde", "above"), ("timeout:>=120", "bcde", "from"), ("timeout:<60", "f", "below"), ("timeout:<=60", "af", "up to"),
    ("timeout:60", "a", "equal"), ("duplicateCount:>0", "e", "camel case"), ("duplicate_count:>0", "e", "snake case"),
    (f"lastReceiveTime:>{at(2)}", "def", "a time"), (f"createTime:[{at(1)} TO {at(2)}]", "bc", "times"),
    ("resource:[web01 TO web02]", "ab", "texts"), (f"createTime:{at(1)}", "b", "a time"), ("disk AND full", "c", "and"),
    ("disk && full", "c", "and"), ("disk OR down", "abc", "or"), ("disk || down", "abc", "or"),
    ("disk down", "abc", "side by side means or"), ("NOT disk", "bdef", "not"), ("!disk", "bdef", "not"),
    ("disk NOT full", "a", "means and not"), ("disk AND NOT full", "a", "and not"), ("disk AND !full", "a", "and not"),
    ("disk AND full OR down", "bc", "and binds before or"), ("down OR disk AND full", "bc", "and binds before or"),
    ("NOT disk AND down", "b", "not binds before and"), ("NOT disk OR full", "bcdef", "not binds before or"),
    ("(disk OR down) AND environment:Production", "ab", "parentheses"), ("disk AND (usage OR full)", "ac", "parentheses"),
    ("NOT (disk OR down)", "def", "not of parentheses"), ("NOT NOT disk", "ac", "twice"),
    ("disk AND usage AND percent", "a", "a chain of three"), ("disk AND usage AND full", "", "the third counts too"),
    ("disk OR down OR fine", "abcf", "a chain of three"), ("disk down fine", "abcf", "three side by side"),
    ("disk and full", "ac", "small letters are words"), ("disk^2", "ac", "a boost is ignored"), ("disk~", "ac", "fuzziness is ignored"),
    ('"say \\"hello\\""', "e", "escaped quotes"), ('"a:b"', "e", "a colon in quotes"), ("text:95", "a", "a number"),
    ("   ", "abcdef", "nothing"), ("-disk", "bdef", "minus is not"), ("_.rack:>9", "a", "numbers in attributes by their size"),
    ("_.rack:[5 TO 10]", "b", "numbers in attributes by their size"), ("_.rack:<100", "ab", "who has none is not below"),
    ("value:>9", "ac", "numbers in texts by their size"), ("value:[5 TO 95.0]", "ab", "numbers in texts by their size"),
    ("_.region:<F", "a", "who has none is not below"), ("value:<9", "b", "who has none is not below"),
    ("_.nothing:[* TO *]", "", "who has none is not between"), ("_.region:[* TO *]", "abe", "who has any is between"),
    ("timeout:[* TO *]", "abcdef", "who has any is between"), ("NOT value:[* TO *]", "def", "who has none is not between"),
    ("resource:>9", "abcdf", "what is no number goes by its letters"),
]


@pytest.mark.parametrize(("text", "expected", "reason"), SEARCHES, ids=[row[0] for row in SEARCHES])
def test_a_search_text_finds_what_it_says(found: App, text: str, expected: str, reason: str) -> None:
    query = "q=" + urllib.parse.quote(text, safe="")
    assert letters(found.get(f"/alerts?{query}{THEN}")["alerts"]) == expected, reason
    assert found.get(f"/alerts/count?{query}")["total"] == len(expected)


@pytest.mark.parametrize(("query", "expected"), [("q.df=resource&q=web", "abd"), ("q.df=event&q=disk", "c"),
                                                 ("q.df=attributes.region&q=eu", "ae"), ("q.df=tags&q=eu", "ac"),
                                                 ("q.df=resource&q=text:disk", "ac"), ("q.df=severity&q=(major+OR+minor)", "bc")])
def test_a_search_has_the_default_field_that_it_names(found: App, query: str, expected: str) -> None:
    assert letters(found.get(f"/alerts?{query}{THEN}")["alerts"]) == expected


@pytest.mark.parametrize("text", ["(", "disk AND", "nonsense:x", "timeout:x", '{"severity": "major"}', '"', "[1 TO", "disk)", "()",
                                  "text:(", "createTime:>yesterday", "createTime:2030*", "createTime:/^2030/", "repeat:f*", "repeat:>f",
                                  "service:>Z", "tags:[a TO z]", "closeTime:x", "previous_status:x"])
def test_a_search_that_cannot_be_read_is_refused_with_the_place(found: App, text: str) -> None:
    answer = found.call("GET", "/alerts?q=" + urllib.parse.quote(text, safe=""))
    assert answer.status == 400
    assert answer.json["errors"] or answer.json["message"].split(":")[0] == text.split(":")[0]


@pytest.mark.parametrize("query", ["tags=eu", "href=x", "fields=id", "kiosk=1", "nonsense=1", "attributes=x", "attributes.=x", "history=x",
                                   "resource!!=x", "resource~=x", "closeTime=x", "previousStatus=x", "createTime=~2030", "repeat=~t",
                                   "resource=~a(", "tag=~*"])
def test_a_filter_that_does_not_exist_is_refused(found: App, query: str) -> None:
    for path in ("/alerts", "/alerts/count", "/environments", "/services", "/alerts/history", "/alerts/top10/count", "/alerts/groups",
                 "/alerts/tags"):
        assert found.call("GET", f"{path}?{query}").status == 400, path


# --- what a list shows

def test_a_list_of_alerts_has_the_keys_that_clients_read(found: App) -> None:
    answer = found.get("/alerts")
    assert sorted(answer) == ["alerts", "autoRefresh", "lastTime", "more", "page", "pageSize", "pages", "severityCounts", "status",
                              "statusCounts", "total"]
    assert (answer["status"], answer["autoRefresh"], answer["statusCounts"]) == ("ok", True, {"open": 4, "ack": 1, "closed": 1})
    assert all(len(alert) == 29 for alert in answer["alerts"])


@pytest.mark.parametrize(("value", "is_shown"), [("true", True), ("t", True), ("1", True), ("yes", True), ("y", True), ("on", True),
                                                 ("TRUE", True), ("On", True),
                                                 ("", False), ("0", False), ("false", False), ("no", False), ("2", False), ("x", False)])
def test_history_and_raw_data_are_shown_when_asked_for(found: App, value: str, is_shown: bool) -> None:
    alert = found.get(f"/alerts?id=aaaa&show-history={value}")["alerts"][0]
    assert (len(alert["history"]), alert["rawData"]) == (int(is_shown), None)
    alert = found.get(f"/alerts?id=aaaa&show-raw-data={value}")["alerts"][0]
    assert (alert["history"], alert["rawData"]) == ([], "raw one" if is_shown else None)


@pytest.mark.parametrize(("query", "time"), [("", at(6)), ("page-size=1&page=6", at(0)), ("page-size=2&page=2", at(3)),
                                             ("resource=db01", at(2)), ("sort-by=severity", at(6)),
                                             ("resource=nothing", at(8)), (f"to-date={at(1)}", at(1))])
def test_the_last_time_is_that_of_the_page_or_now(found: App, query: str, time: str) -> None:
    assert found.get(f"/alerts?{query}")["lastTime"] == time


@pytest.mark.parametrize(("ident", "letter"), [("aaaaaaaa-1", "a"), ("aaaaaaaa", "a"), ("eeeeeeee-1", "e"), ("e2e2e2e2-2", "e"),
                                               ("e2e2e2e2", "e"), ("aaaaaaa", None),
                                               ("AAAAAAAA", None), ("aaaaaaaa-2", None), ("aaaaaaaa-1x", None), ("a.......", None),
                                               ("%25%25%25%25%25%25%25%25", None)])
def test_one_alert_is_found_by_its_id_its_last_report_s_or_eight_characters(found: App, ident: str, letter: str | None) -> None:
    answer = found.call("GET", f"/alert/{ident}")
    if letter is None:
        assert (answer.status, answer.json["message"]) == (404, "not found")
        return
    assert (answer.status, sorted(answer.json), answer.json["total"]) == (200, ["alert", "status", "total"], 1)
    assert letters([answer.json["alert"]]) == letter and answer.json["alert"]["history"]


def test_one_alert_shows_its_raw_data(found: App) -> None:
    assert found.get("/alert/aaaaaaaa-1")["alert"]["rawData"] == "raw one"


# --- counts by name

def test_environments_without_a_match_are_listed_with_nothing_counted(found: App) -> None:
    answer = found.get("/environments")
    assert {group["environment"]: group["count"] for group in answer["environments"]} == {"Development": 2, "Production": 2, "Staging": 2}
    assert [group["environment"] for group in answer["environments"]] == ["Development", "Production", "Staging"]
    assert answer["environments"][1] == {"environment": "Production", "count": 2, "severityCounts": {"critical": 1, "major": 1},
                                         "statusCounts": {"open": 2}}
    answer = found.get("/environments?severity=critical")
    assert {group["environment"]: group["count"] for group in answer["environments"]} == {"Development": 0, "Production": 1, "Staging": 0}
    assert answer["environments"][0] == {"environment": "Development", "count": 0, "severityCounts": {}, "statusCounts": {}}
    assert (answer["total"], answer["page"], answer["pageSize"], answer["pages"], answer["more"]) == (1, 1, 50, 1, False)
    assert found.get("/environments?severity=nonsense")["total"] == 0


def test_services_are_counted_in_each_environment(found: App) -> None:
    answer = found.get("/services")
    pairs = [("Development", "Database", 1), ("Production", "Network", 1), ("Production", "Web", 2), ("Staging", "Database", 1),
             ("Staging", "Web", 1), ("Staging", "Web Shop", 1)]
    assert [(group["environment"], group["service"], group["count"]) for group in answer["services"]] == pairs
    assert answer["total"] == 6
    assert (answer["services"][2]["severityCounts"], answer["services"][2]["statusCounts"]) == ({"critical": 1, "major": 1}, {"open": 2})
    for query in ("environment=Production", "resource=~web0[12]", "q=environment:Production"):
        answer = found.get(f"/services?{query}")
        assert [(group["environment"], group["service"]) for group in answer["services"]] == [pair[:2] for pair in pairs]
        assert [group["count"] for group in answer["services"]] == [0, 1, 2, 0, 0, 0]
        assert (answer["services"][0]["severityCounts"], answer["services"][0]["statusCounts"]) == ({}, {})


def test_groups_and_tags_are_counted_where_something_matches(found: App) -> None:
    answer = found.get("/alerts/groups")
    assert [(row["environment"], row["group"], row["count"]) for row in answer["groups"]] == [
        ("Development", "Misc", 2), ("Production", "Frontend", 1), ("Production", "Misc", 1), ("Staging", "Misc", 2)]
    assert (answer["status"], answer["total"]) == ("ok", 4)
    answer = found.get("/alerts/tags?environment=Production")
    assert sorted((row["environment"], row["tag"], row["count"]) for row in answer["tags"]) == [
        ("Production", "blue", 1), ("Production", "blueish", 1), ("Production", "eu", 1), ("Production", "us", 1)]
    assert (answer["status"], answer["total"]) == ("ok", 4)


def test_nothing_is_an_empty_answer_and_not_an_error(app: App) -> None:
    for path, name in (("/alerts", "alerts"), ("/environments", "environments"), ("/services", "services"), ("/alerts/groups", "groups"),
                       ("/alerts/tags", "tags"),
                       ("/alerts/history", "history"), ("/alerts/top10/count", "top10"), ("/heartbeats", "heartbeats")):
        answer = app.get(path)
        assert (answer["status"], answer["message"], answer["total"], answer[name]) == ("ok", "not found", 0, []), path


# --- history

def test_history_is_one_row_an_entry_newest_first(found: App) -> None:
    answer = found.get("/alerts/history")
    assert [(row["resource"], row["type"]) for row in answer["history"]] == [
        ("10.0.0.1", "ack"), ("db02", "new"), ("10.0.0.1", "new"), ("Web03", "new"), ("db01", "new"), ("web02", "new"), ("web01", "new")]
    assert (answer["status"], answer["total"], answer["lastTime"]) == ("ok", 7, at(7))
    row = answer["history"][-1]
    assert row == {
        "id": "aaaaaaaa-1", "href": "http://alert.test/alert/aaaaaaaa-1", "resource": "web01", "event": "HttpError",
        "environment": "Production", "service": ["Web"],
        "group": "Frontend", "text": ALERTS["a"]["text"], "tags": ["eu", "blue"],
        "attributes": {"region": "EU", "rack": 12, "ip": "192.0.2.7"}, "origin": "probe/1",
        "updateTime": "2029-12-31T23:59:00.000Z", "user": "admin", "timeout": 60, "type": "new", "customer": "acme", "severity": "critical",
        "status": "open", "value": "95"}
    assert "value" not in answer["history"][1]          # severity, status and value only where there is one


@pytest.mark.parametrize(("query", "expected"), [
    ("resource=web01", "a"), ("status=ack", "ee"), ("severity=major", "b"), ("type=infoAlert", "f"), ("event=~node", "eeb"),
    ("id=aaaa", "a"), ("id=eeeeeeee", "ee"), ("id=e2e2", "ee"), ("id=nothing", ""), ("page-size=2", "ef"), ("page-size=2&page=2", "ed"),
    ("page-size=2&page=4", "a"), ("page=9", ""), ("limit=3", "efe"), ("text=~disk", "ca"), ("timeout=60", "a"),
    ("q=disk", "ca"), ("value=95", "a")])
def test_history_is_filtered_by_the_alert_it_belongs_to(found: App, query: str, expected: str) -> None:
    answer = found.get(f"/alerts/history?{query}")
    resources = {fields["resource"]: letter for letter, fields in ALERTS.items()}
    assert "".join(resources[row["resource"]] for row in answer["history"]) == expected
    assert answer["total"] == len(expected) and not {"page", "pages", "pageSize", "more"} & set(answer)


def test_history_is_found_by_the_id_of_any_of_its_entries(app: App) -> None:
    alert = app.post_alert(id="first-id")["id"]
    app.post_alert("other")
    app.post_alert(id="second-id", severity="critical")
    note = app.call("PUT", f"/alert/{alert}/note", {"text": "x"}).json["id"]
    for ident in ("first-id", "second-id", note, note[:8]):
        assert [row["type"] for row in app.get(f"/alerts/history?id={ident}")["history"]] == ["note", "severity", "new"], ident


# --- reports of the largest groups

@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Alpha: two alerts, one of them with two services and two duplicates; Beta: one without service and five duplicates,
    the last after 100 seconds; Gamma: one whose severity changed twice."""
    app = App(tmp_path_factory.mktemp("top") / "alertlite.db")
    for _ in range(3):
        app.post_alert("r1", "Alpha", id="alpha-number-1", service=["s1", "s2"])
        app.clock.advance(10)
    app.post_alert("r2", "Alpha", id="alpha-number-2", service=["s1"], environment="Development")
    for severity in ("minor", "major", "critical"):
        app.post_alert("r4", "Gamma", severity, id="gamma-" + severity, service=["s3"])
    for number in range(6):
        app.post_alert("r3", "Beta", id="beta-number-1")
        app.clock.advance(20 if number < 5 else 0)
    yield app
    app.close()


@pytest.mark.parametrize(("variant", "expected"), [
    ("count", [("Alpha", 3, 4), ("Beta", 1, 5), ("Gamma", 1, 0)]), ("flapping", [("Gamma", 2, 0)]),
    ("standing", [("Beta", 1, 5), ("Alpha", 3, 4), ("Gamma", 1, 0)])])
def test_the_largest_groups_are_counted_by_alert_and_service(grouped: App, variant: str, expected: list) -> None:
    answer = grouped.get(f"/alerts/top10/{variant}")
    assert [(group["event"], group["count"], group["duplicateCount"]) for group in answer["top10"]] == expected
    assert (answer["status"], answer["total"]) == ("ok", len(expected))
    assert grouped.get(f"/alerts/topn/{variant}") == answer


def test_a_group_names_its_members(grouped: App) -> None:
    alpha = grouped.get("/alerts/top10/count")["top10"][0]
    assert (alpha["environments"], sorted(alpha["services"])) == (["Development", "Production"], ["s1", "s2"])
    assert sorted(member["id"] for member in alpha["resources"]) == ["alpha-number-1", "alpha-number-2"]
    assert {"id": "alpha-number-1", "resource": "r1", "href": "http://alert.test/alert/alpha-number-1"} in alpha["resources"]
    assert sorted(alpha) == ["count", "duplicateCount", "environments", "event", "resources", "services"]


def test_a_report_covers_what_its_filter_finds(grouped: App) -> None:
    for query in ("environment=Development", "resource=r2", "q=resource:r2"):
        top = grouped.get(f"/alerts/top10/count?{query}")["top10"]
        rows = [(group["event"], group["count"], [member["id"] for member in group["resources"]]) for group in top]
        assert rows == [("Alpha", 1, ["alpha-number-2"])], query


@pytest.mark.parametrize(("name", "expected"), [
    ("event", {"Alpha", "Beta", "Gamma"}), ("resource", {"r1", "r2", "r3", "r4"}), ("environment", {"Production", "Development"}),
    ("severity", {"major", "critical"}), ("status", {"open"}), ("group", {"Misc"}), ("value", {""}), ("text", {""}),
    ("origin", {alertlite.program_origin()}), ("type", {"exceptionAlert"}), ("timeout", {86400}), ("customer", {""}),
    ("duplicateCount", {0, 2, 5}), ("repeat", {True, False}), ("previousSeverity", {"indeterminate", "major"}),
    ("trendIndication", {"moreSevere"}), ("rawData", {""}), ("createTime", {at(0), "2030-01-01T00:00:30.000Z"}),
    ("lastReceiveTime", {"2030-01-01T00:00:20.000Z", "2030-01-01T00:00:30.000Z", "2030-01-01T00:02:10.000Z"})])
def test_any_single_value_can_be_grouped_by(grouped: App, name: str, expected: set) -> None:
    for path in ("/alerts/top10", "/alerts/top10/count", "/alerts/topn/standing"):
        assert {group[name] for group in grouped.get(f"{path}?group-by={name}")["top10"]} == expected


@pytest.mark.parametrize("name", ["id", "tag", "tags", "service", "correlate", "attributes", "history", "nonsense", "timeoutLeft", "count",
                                  "closeTime", "close_time", "previousStatus"])
def test_what_is_no_single_value_cannot_be_grouped_by(grouped: App, name: str) -> None:
    for path in ("/alerts/top10", "/alerts/top10/count", "/alerts/top10/flapping", "/alerts/topn/standing"):
        assert grouped.call("GET", f"{path}?group-by={name}").status == 400


def test_a_report_has_one_page_of_the_size_asked_for(app: App) -> None:
    for number in range(55):
        app.post_alert(event=f"Event{number:02d}")
    sizes = {"top10": 10, "top10/count": 50, "top10/standing": 50, "top10/count?page-size=55": 55, "top10?page-size=20": 20,
             "top10?limit=3": 3, "topn/count?page=1&page-size=1": 1, "top10?page-size=0": 10, "top10?page-size=x": 10}
    assert {path: len(app.get(f"/alerts/{path}")["top10"]) for path in sizes} == sizes
    for path in ("/alerts/top10", "/alerts/top10/count", "/alerts/top10/flapping", "/alerts/topn/standing"):
        assert app.call("GET", f"{path}?page=2").status == 416, path
        assert app.call("GET", f"{path}?page=0").status == 416, path


# --- other collections (contract 4.4)

@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Heartbeats p (expired), q (slow), r (ok), and users and keys of the same names."""
    app = App(tmp_path_factory.mktemp("lists") / "alertlite.db")
    for letter, fields in {"p": {"timeout": 60, "tags": ["eu"], "attributes": {"rack": "12"}},
                           "q": {"timeout": 300, "createTime": "2030-01-01T00:00:05.000Z", "customer": "acme"},
                           "r": {"timeout": 90, "tags": ["eu", "us"], "attributes": {"startTime": "2030-01-01T00:00:00.0Z"}}}.items():
        app.call("POST", "/heartbeat", {"id": letter * 8 + "-1", "origin": f"Job-{letter}", **fields})
        app.clock.advance(30)
        app.call("POST", "/user", {"id": letter * 8 + "-1", "name": f"User {letter}", "login": f"{letter}@{letter}.test",
                                   "roles": ["admin" if letter == "p" else "user"],
                                   "status": "inactive" if letter == "q" else "active", "attributes": {"team": letter},
                                   "email_verified": letter == "r"})
    for letter, scopes, expires in (("p", ["admin"], "2031-01-01"), ("q", ["read"], "2030-01-01"), ("r", ["read", "write"], "2030-06-01")):
        app.call("POST", "/key", {"id": letter * 8 + "-1", "user": f"{letter}@key.test", "scopes": scopes, "text": f"Key of {letter}",
                                  "expireTime": f"{expires}T00:00:00.000Z"})
    yield app
    app.close()


@pytest.mark.parametrize(("query", "expected", "reason"), [
    ("heartbeats?", "pqr", "all"), ("heartbeats?status=expired", "p", "computed"), ("heartbeats?status=slow", "q", "computed"),
    ("heartbeats?status=ok&status=slow", "qr", "one of"), ("heartbeats?status=nonsense", "", "unknown values find nothing"),
    ("heartbeats?origin=Job-p", "p", "equal"), ("heartbeats?origin=job-p", "", "case counts"),
    ("heartbeats?origin=~job", "pqr", "a pattern"), ("heartbeats?origin!=Job-p", "qr", "not equal"),
    ("heartbeats?origin!=~-p", "qr", "not like"), ("heartbeats?tag=eu", "pr", "an element"), ("heartbeats?tag!=us", "pq", "without"),
    ("heartbeats?attributes.rack=12", "p", "an attribute"), ("heartbeats?timeout=300", "q", "a number"),
    ("heartbeats?customer=acme", "q", "equal"), ("heartbeats?customer=", "pr", "none"),
    ("heartbeats?type=Heartbeat", "pqr", "always the same"), ("heartbeats?latency=25000", "q", "a number"),
    ("heartbeats?since=30", "r", "a number"), ("heartbeats?createTime=2030-01-01T00:00:05.000Z", "q", "a time"),
    ("heartbeats?id=qqqqqqqq", "q", "the beginning of the id"), ("users?login!=admin", "pqr", "all"),
    ("users?roles=admin&login!=admin", "p", "what the official client sends"), ("users?role=user", "qr", "the other name"),
    ("users?status=inactive", "q", "equal"), ("users?name=~user", "pqr", "a pattern"), ("users?login=p@p.test", "p", "equal"),
    ("users?domain=q.test", "q", "equal"), ("users?attributes.team=r", "r", "an attribute"), ("users?email_verified=true", "r", "a flag"),
    ("users?id=rrrrrrrr-1", "r", "equal"), ("keys?user=~key.test", "pqr", "all"), ("keys?user=p@key.test", "p", "equal"),
    ("keys?status=expired", "q", "computed"), ("keys?user=~key.test&scope=read", "qr", "an element"),
    ("keys?type=read-only", "q", "computed"), ("keys?text=~key+of", "pqr", "a pattern"),
    ("keys?expireTime=2030-06-01T00:00:00.000Z", "r", "a time"), ("heartbeats?sort-by=origin", "pqr", "text"),
    ("heartbeats?sort-by=-origin", "rqp", "reversed"), ("heartbeats?sort-by=timeout", "prq", "a number is no text"),
    ("heartbeats?sort-by=-timeout", "qrp", "reversed"), ("heartbeats?sort-by=receiveTime", "rqp", "times newest first"),
    ("heartbeats?sort-by=-receiveTime", "pqr", "reversed"), ("users?login!=admin&sort-by=name", "pqr", "text"),
    ("users?login!=admin&sort-by=-login", "rqp", "reversed"), ("users?login!=admin&sort-by=status&sort-by=-login", "rpq", "two keys"),
    ("keys?user=~key.test&sort-by=user", "pqr", "text"), ("heartbeats?origin=~^JOB-[pq]$", "pq", "a pattern as on alerts"),
    ("heartbeats?tag=~^us$", "r", "a pattern on elements"), ("users?domain=~^(p|q)", "pq", "alternatives"),
    ("keys?expireTime=2030-06-01T00:00:00.0Z", "r", "the same time in other words"), ("heartbeats?sort-by=origin&reverse=1", "rqp", "v3"),
    ("heartbeats?sort-by=-receiveTime&reverse=yes", "rqp", "twice reversed"),
    ("heartbeats?attributes.startTime=2030-01-01T00:00:00.0Z", "r", "an attribute is a text, whatever its name"),
    ("heartbeats?attributes.startTime=never", "", "an attribute is a text, whatever its name"),
])
def test_other_collections_are_searched_in_the_same_way(listed: App, query: str, expected: str, reason: str) -> None:
    answer = listed.get("/" + query)
    assert letters(answer[query.split("?")[0]]) == expected, reason
    assert answer["total"] == len(expected)


@pytest.mark.parametrize("query", ["heartbeats?nonsense=1", "heartbeats?sort-by=nonsense", "users?nonsense=1", "users?sort-by=nonsense",
                                   "keys?nonsense=1", "keys?attributes.x=1",
                                   "keys?sort-by=nonsense", "users?password=x", "users?password_hash=~a", "keys?key_hash=~a",
                                   "heartbeats?origin=~(", "users?login=~a{2}"])
def test_other_collections_refuse_what_they_do_not_have(listed: App, query: str) -> None:
    assert listed.call("GET", "/" + query).status == 400


def test_other_collections_tell_the_time(listed: App) -> None:
    for name in ("heartbeats", "users", "keys"):
        assert listed.get(f"/{name}")["time"] == alertlite.text_from_ms(listed.clock.ms)
    users = listed.get("/users")
    assert (users["domains"], users["orgs"], users["users"][0]["provider"]) == (["*"], [], "basic")


def test_the_keys_of_a_user_have_their_own_list(listed: App) -> None:
    assert letters(listed.get("/keys/q@key.test")["keys"]) == "q"
    assert listed.get("/keys/nobody")["keys"] == []


# --- changes

@pytest.mark.parametrize(("before", "after"), [({"x": 1}, {"x": True}), ({"x": True}, {"x": 1}), ({"x": [0]}, {"x": [False]}),
                                               ({"x": "1"}, {"x": 1})])
def test_an_attribute_takes_the_new_value_though_it_compares_equal(app: App, before: dict, after: dict) -> None:
    app.post_alert(attributes=before)
    for alert in (app.post_alert(attributes=after), app.get("/alerts")["alerts"][0]):
        assert repr(alert["attributes"]["x"]) == repr(after["x"])


def test_attributes_are_merged_and_null_deletes(app: App) -> None:
    path = f"/alert/{app.post_alert(attributes={'a': 1, 'b': 2, 'n': {'x': 1, 'y': 2}})['id']}"
    app.call("PUT", f"{path}/attributes", {"attributes": {"a": None, "c": 3, "n": {"x": 5}}})
    assert app.get(path)["alert"]["attributes"] == {"b": 2, "c": 3, "n": {"x": 5}, "ip": "192.0.2.7"}


def test_attributes_that_are_too_large_together_are_refused_and_the_old_ones_stay(app: App) -> None:
    ident = app.post_alert(attributes={"keep": "me"})["id"]
    answer = app.call("PUT", f"/alert/{ident}/attributes", {"attributes": {"big": "x" * 199_980}})
    assert answer.status == 400 and answer.json["message"].startswith("attributes: more than 200000 characters"), answer
    assert app.get(f"/alert/{ident}")["alert"]["attributes"]["keep"] == "me"


def test_environments_are_paged_by_their_names_whatever_matches(app: App) -> None:
    for name in "ABCDEF":
        app.post_alert(environment=f"Env{name}", event="Wanted" if name in "BE" else "Other")
    pages = [app.get(f"/environments?event=Wanted&page-size=2&page={page}") for page in (1, 2, 3)]
    assert [[row["environment"][-1] + str(row["count"]) for row in page["environments"]] for page in pages] == [
        ["A0", "B1"], ["C0", "D0"], ["E1", "F0"]]
    assert [(page["total"], page["pages"], page["more"]) for page in pages] == [(2, 3, True), (2, 3, True), (2, 3, False)]
    assert app.call("GET", "/environments?event=Wanted&page-size=2&page=4").status == 416


def test_all_notes_of_an_alert_can_be_read(app: App) -> None:
    path = f"/alert/{app.post_alert()['id']}"
    for number in range(103):
        assert app.call("PUT", f"{path}/note", {"text": f"note {number}"}).status == 201
    first, second = app.get(f"{path}/notes"), app.get(f"{path}/notes?page=2")
    assert [note["text"] for note in first["notes"] + second["notes"]] == [f"note {number}" for number in range(103)]
    assert (first["total"], second["total"], len(app.get(f"{path}/notes?page-size=5&page=3")["notes"])) == (103, 103, 5)
    assert app.call("GET", f"{path}/notes?page=3").status == 416


def test_a_note_that_this_server_forwarded_itself_is_not_taken_again(app: App) -> None:
    path = f"/alert/{app.post_alert()['id']}"
    answer = app.call("PUT", f"{path}/note", {"text": "again"}, headers={"X-Alerta-Loop": "http://alert.test"})
    assert answer.status == 202 and "already processed" in answer.json["message"] and app.get(f"{path}/notes")["total"] == 0


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z"])
def test_a_time_at_the_end_of_all_years_can_be_shown_after_the_clock_was_set(app: App, moment: str) -> None:
    timeline = alertlite.TIMELINE
    app.post_alert(createTime=moment)
    app.call("POST", "/heartbeat", {"origin": "o", "createTime": moment})
    try:
        for hours in (1, -1):
            alertlite.follow_timeline(timeline.corrected(0, app.clock.now(), app.clock.now() + hours * 3_600_000))
            for path in ("/alerts", "/heartbeats", "/alerts/top10?group-by=createTime"):
                assert app.call("GET", path).status == 200, path
    finally:
        alertlite.follow_timeline(timeline)


@pytest.mark.parametrize("path", ["/key/{key}", "/key/{key}/x", "/Key/{key}", "//key/{key}"])
def test_a_key_in_an_address_is_not_logged(app: App, capsys: Any, path: str) -> None:
    key = app.make_key("write")
    weak = app.make_key("read:alerts")
    for method in ("GET", "PUT", "DELETE", "POST", "PATCH"):
        assert app.call(method, path.format(key=key), key=weak).status >= 400
    said = capsys.readouterr().err
    assert key not in said and key[:8] not in said and said.count("/key/" + key[:4]) + said.count("/Key/" + key[:4]) == 5, said


def test_patterns_are_no_environments_that_one_could_choose(make_app: Any) -> None:
    shown = make_app(allowed_environments="Production,Dev.*").get("/config")
    assert shown["environments"] == ["Production"]
    assert ["environment", "Dev.*"] not in [query["query"][0] for query in shown["indicators"]["queries"] if isinstance(query["query"], list)]


def test_tags_are_a_set(app: App) -> None:
    path = f"/alert/{app.post_alert(tags=['a', 'a', 'b'])['id']}"
    app.call("PUT", f"{path}/tag", {"tags": ["b", "c", "c"]})
    assert app.get(path)["alert"]["tags"] == ["a", "b", "c"]
    app.call("PUT", f"{path}/untag", {"tags": ["a", "x"]})
    assert app.get(path)["alert"]["tags"] == ["b", "c"]
    assert app.get(path)["alert"]["history"][-1]["type"] == "new"


# --- what a user may easily get wrong

@pytest.mark.parametrize(("method", "path"), [("POST", "/key"), ("POST", "/alert"), ("POST", "/heartbeat")])
def test_an_empty_customer_is_a_mistake_and_not_nobodys(app: App, method: str, path: str) -> None:
    answer = app.call(method, path, {"customer": "", "user": "k", "resource": "web01", "event": "e", "origin": "o"})
    assert (answer.status, answer.json["message"]) == (400, "customer must not be an empty string")


@pytest.mark.parametrize(("environment", "status", "why"), [
    ("Production", 201, "it is named"),
    ("Development", 201, "the pattern describes it"),
    ("Dev", 201, "the pattern describes it"),
    ("PreDevelopment", 403, "a pattern describes the whole"),
    ("production", 403, "it is another one"),
    ("C++", 201, "a name that is no good pattern of itself is still a name"),
])
def test_environments_are_allowed_by_patterns(make_app: Any, environment: str, status: int, why: str) -> None:
    app = make_app(allowed_environments=r"Production,Dev.*,C\+\+")
    assert app.call("POST", "/alert", {"resource": "web01", "event": "e", "environment": environment}).status == status, why


def test_a_pattern_that_cannot_be_one_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match=r"setting allowed_environments: 'Dev\(' is no pattern"):
        alertlite.load_settings({"allowed_environments": "Production,Dev("}, {})


@pytest.mark.parametrize("path", [
    "/heartbeats?createTime=x", "/heartbeats?receiveTime=2026", "/heartbeats?since=x", "/heartbeats?latency=1e3", "/heartbeats?timeout=x",
    "/heartbeats?timeout!=x", "/keys?expireTime=x", "/keys?count=many", "/keys?lastUsedTime=yesterday"])
def test_a_filter_that_nothing_can_match_is_refused_by_name(app: App, path: str) -> None:
    answer = app.call("GET", path)
    assert answer.status == 400 and answer.json["message"].startswith(path.partition("?")[2].partition("=")[0].rstrip("!"))


@pytest.mark.parametrize("path", [
    "/heartbeats?timeout=300", "/heartbeats?createTime=2030-01-01T00:00:00.000Z", "/heartbeats?since=~1", "/keys?count="])
def test_a_filter_that_something_might_match_is_none_to_refuse(app: App, path: str) -> None:
    assert app.call("GET", path).status == 200


@pytest.mark.parametrize("number", ["2", "1000", "999999999999999999", "9223372036854775808", "9" * 40, "0", "-1", "-" + "9" * 40])
def test_a_page_that_is_not_there_is_out_of_range_however_large_its_number(app: App, number: str) -> None:
    app.post_alert()
    assert app.call("GET", f"/alerts?page={number}").status == 416


@pytest.mark.parametrize("number", ["999999999999999999", "9" * 40])
def test_any_page_of_nothing_is_empty(app: App, number: str) -> None:
    assert app.get(f"/alerts?page={number}")["alerts"] == []


@pytest.mark.parametrize(("query", "found"), [("_exists_:room", 1), ("_exists_:attributes.room", 1), ("_exists_:rack", 0)])
def test_an_attribute_can_be_asked_for_by_either_name(app: App, query: str, found: int) -> None:
    app.post_alert(attributes={"room": "cellar"})
    assert app.get(f"/alerts?q={query}")["total"] == found


@pytest.mark.parametrize("query", ["severity:", ":x", "text:a severity:"])
def test_half_a_term_is_refused(app: App, query: str) -> None:
    assert app.call("GET", "/alerts?q=" + urllib.parse.quote(query)).status == 400


@pytest.mark.parametrize(("path", "body", "message"), [
    ("/user", {"id": "taken", "name": "b", "email": "b@example.com", "password": "p" * 12}, "this id is another one's already"),
    ("/key", {"id": "taken", "user": "k"}, "id is already in use"),
    ("/key", {"key": "k" * 32, "user": "k"}, "key is already in use"),
])
def test_a_conflict_names_what_is_taken(app: App, path: str, body: dict[str, Any], message: str) -> None:
    first = {"id": "taken", "name": "a", "email": "a@example.com", "password": "p" * 12, "key": "k" * 32, "user": "k"}
    assert app.call("POST", path, first).status == 201
    answer = app.call("POST", path, body)
    assert (answer.status, answer.json["message"]) == (409, message)


def test_an_unknown_status_is_refused_with_those_there_are(app: App) -> None:
    user = app.call("POST", "/user", {"name": "a", "email": "a@example.com", "password": "p" * 12}).json["user"]
    answer = app.call("PUT", f"/user/{user['id']}", {"status": "bogus"})
    assert answer.json["message"] == "status (bogus) is not one of active, inactive"


def test_what_was_counted_survives_a_restart(app: App) -> None:
    app.post_alert()
    app.get("/alerts")
    before = app.get("/management/status")["metrics"]
    app.engine.flush_metrics()
    again = alertlite.Engine(app.store, app.clock, app.settings)
    assert [again.metrics.timers, again.metrics.counters] == [app.engine.metrics.timers, app.engine.metrics.counters]
    assert {metric["name"]: metric["count"] for metric in before if metric["type"] == "timer"} == {"received": 1, "queries": 1}


def test_nothing_is_written_where_nothing_was_counted(app: App) -> None:
    commits = app.store.commits
    app.engine.flush_metrics()
    assert app.store.commits == commits
