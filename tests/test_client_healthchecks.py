"""Three clients of Healthchecks from PyPI, used as their documentation says, against the real server.

healthchecks-io is a library for the whole API, of version 1 unless it is told otherwise. healthchecks-decorator and
healthchecks-wrapper ping around a function or a block. None of them has a command that could be run: the first and the
last install none, and the one that the decorator installs imports healthchecks_decorator.__main__, which is not in its
wheel. They take about half a second to import, so the tests share one server.
"""
from __future__ import annotations

import asyncio
import itertools
import os
import re
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ROOT, Server, lay_database

import alertlite

with warnings.catch_warnings():
    warnings.simplefilter("ignore")                  # healthchecks-io is written for an older pydantic
    import healthchecks_io
    from healthchecks_io.client.exceptions import BadAPIRequestError, CheckNotFoundError, HCAPIAuthError, NonUniqueSlugError
    from healthchecks_io.schemas import CheckCreate, CheckUpdate
from healthchecks_decorator import healthcheck
from healthchecks_wrapper import HealthCheck

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
NUMBERS = itertools.count(1)
NOBODY = "00000000-0000-0000-0000-000000000000"
RECEIVERS = (("82b3ca5a-1c8d-446f-bebf-fefa226963f2", "Ops mail", "email"), ("a4955c0a-509a-4997-aeff-bb8156f91958", "", "webhook"))


class Site:
    """A server with two receivers, its keys, and what else the clients have to be told."""

    def __init__(self, server: Server):
        self.server = server
        self.keys = {"write": self.made_key("read", "write"), "read": self.made_key("read:checks"),
                     "other": self.made_key("read", "write", customer="other")}
        asked = subprocess.run([sys.executable, str(ROOT / "alertlite.py"), "key", "ping"], env=server.env, capture_output=True, text=True,
                               timeout=30)
        self.ping_key = re.search(r"ping key: ([a-z0-9]{22})$", asked.stdout, re.M)[1]

    def made_key(self, *scopes: str, **fields: str) -> str:
        return self.server.request("POST", "/key", {"user": "tester", "scopes": list(scopes), **fields}).json["key"]

    def client(self, version: int = 1, key: str = "write", ping_key: str | None = None) -> healthchecks_io.Client:
        """The library's client; it closes itself at the end of a with block."""
        return healthchecks_io.Client(
            api_key=self.keys.get(key, key), ping_key=self.ping_key if ping_key is None else ping_key, api_version=version,
            api_url=f"{self.server.url}/api/", ping_url=f"{self.server.url}/ping/")

    def new_check(self, **fields: Any) -> SimpleNamespace:
        """A check that no other test touches, made past the clients."""
        name = f"job-{next(NUMBERS)}"
        answer = self.server.request("POST", "/api/v3/checks/", {"name": name, "slug": name, **fields})
        assert answer.status == 201, answer
        return SimpleNamespace(**answer.json)

    def get(self, path: str) -> Any:
        answer = self.server.request("GET", path)
        assert answer.status == 200, answer
        return answer.json

    def check_now(self, check: Any) -> SimpleNamespace:
        return SimpleNamespace(**self.get(f"/api/v3/checks/{check.uuid}"))

    def pings(self, check: Any) -> list[tuple[str, str, str]]:
        """(type, method, body) of each ping of a check, the oldest first."""
        address = f"/api/v3/checks/{check.uuid}/pings/"
        return [(ping["type"], ping["method"], self.server.request("GET", f"{address}{ping['n']}/body").body.decode() if ping["body_url"] else "")
                for ping in reversed(self.get(address)["pings"])]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = Server(tmp_path_factory.mktemp("clients"))
    lay_database(server.db)
    store = alertlite.Store(str(server.db))
    for seq, (ident, name, kind) in enumerate(RECEIVERS, 1):
        row = (seq, ident, "", kind, name, "{}", 0)
        store.write(lambda tables, row=row: tables.db.execute(
            "INSERT INTO receivers (seq, id, customer, type, name, address_data, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)", row))
    store.close()
    yield Site(server.start())
    server.kill()


# --- healthchecks-io: checks

VERSIONS = pytest.mark.parametrize("version", [1, 3])


@VERSIONS
def test_a_check_is_made_with_every_field_and_read_back(site, version):
    name = f"Nightly Backup v{version}"
    with site.client(version) as client:
        made = client.create_check(CheckCreate(name=name, tags="prod db", desc="of the wiki", timeout=7200, grace=600, manual_resume=True,
                                               methods="POST", channels="Ops mail"))
        assert client.get_check(made.uuid) == made
    expected = {"name": name, "tags": "prod db", "desc": "of the wiki", "timeout": 7200, "grace": 600, "manual_resume": True, "methods": "POST",
                "channels": RECEIVERS[0][0], "n_pings": 0, "status": "new", "last_ping": None, "next_ping": None, "unique_key": None,
                "slug": f"nightly-backup-v{version}" if version == 1 else "",      # version 3 leaves the slug to the client
                "ping_url": f"{site.server.url}/ping/{made.uuid}", "update_url": f"{site.server.url}/api/v{version}/checks/{made.uuid}",
                "pause_url": f"{site.server.url}/api/v{version}/checks/{made.uuid}/pause"}
    assert {name: getattr(made, name) for name in expected} == expected


@VERSIONS
def test_a_check_may_have_a_crontab_line_for_its_schedule(site, version):
    with site.client(version) as client:
        made = client.create_check(CheckCreate(name=f"Cron v{version}", schedule="30 3 * * 1-5", tz="Europe/Riga"))
        assert made.timeout is None                  # a check has the one or the other, though this client posts both
    shown = site.check_now(made)
    assert (shown.schedule, shown.tz, shown.grace) == ("30 3 * * 1-5", "Europe/Riga", 3600)


@VERSIONS
def test_a_check_that_is_found_by_what_is_unique_is_changed_instead(site, version):
    wanted = {"name": f"Upsert v{version}", "unique": ["name"]}
    with site.client(version) as client:
        first = client.create_check(CheckCreate(**wanted, timeout=3600))
        again = client.create_check(CheckCreate(**wanted, timeout=7200))
        assert (again.uuid, again.timeout) == (first.uuid, 7200)


@VERSIONS
def test_an_update_changes_what_it_names_and_nothing_else(site, version):
    check = site.new_check(tags="old", desc="kept", timeout=3600, channels="*")
    with site.client(version) as client:
        changed = client.update_check(check.uuid, CheckUpdate(tags="new", grace=120))
        assert (changed.tags, changed.grace, changed.desc, changed.timeout, changed.name) == ("new", 120, "kept", 3600, check.name)
        assert set(changed.channels.split(",")) == {ident for ident, _, _ in RECEIVERS}
        assert client.update_check(check.uuid, CheckUpdate(channels="")).channels == ""


@VERSIONS
def test_checks_are_listed_by_all_of_the_tags(site, version):
    mark = f"mark{version}"
    first, second = site.new_check(tags=f"{mark} web"), site.new_check(tags=f"{mark} db")
    site.new_check(tags=f"{mark}x web")
    with site.client(version) as client:
        assert [check.uuid for check in client.get_checks(tags=[mark])] == [first.uuid, second.uuid]
        assert [check.uuid for check in client.get_checks(tags=[mark, "web"])] == [first.uuid]
        assert client.get_checks(tags=["none-has-it"]) == []
        assert {first.uuid, second.uuid} <= {check.uuid for check in client.get_checks()}


@VERSIONS
def test_a_paused_check_is_paused_until_its_next_ping(site, version):
    check = site.new_check()
    with site.client(version) as client:
        assert client.success_ping(check.uuid) == (True, "OK")
        paused = client.pause_check(check.uuid)      # sends an empty form
        assert (paused.status, paused.next_ping, paused.last_ping is None) == ("paused", None, False)
        client.success_ping(check.uuid)
        assert client.get_check(check.uuid).status == "up"


@VERSIONS
def test_a_deleted_check_is_shown_once_more_and_gone(site, version):
    check = site.new_check(channels="*")
    with site.client(version) as client:
        deleted = client.delete_check(check.uuid)
        assert (deleted.uuid, deleted.name, deleted.channels) == (check.uuid, check.name, check.channels)
        for ask in (client.get_check, client.delete_check, client.pause_check, client.get_check_pings, client.success_ping):
            with pytest.raises(CheckNotFoundError):
                ask(check.uuid)


def test_a_key_that_may_only_read_sees_no_secret(site):
    check = site.new_check(tags="read-only", channels="*")
    with site.client(key="read") as client:
        shown, = client.get_checks(tags=["read-only"])
        assert (shown.uuid, shown.ping_url, shown.update_url, shown.channels) == (None,) * 4
        assert shown.name == check.name and client.get_check(shown.unique_key) == shown
        for ask in (client.pause_check, client.delete_check, client.get_check_pings):
            with pytest.raises(HCAPIAuthError):
                ask(check.uuid)
        with pytest.raises(HCAPIAuthError):
            client.create_check(CheckCreate(name="never made"))
        with pytest.raises(HCAPIAuthError):
            client.get_integrations()
        assert set(client.get_badges()["*"].model_dump()) == {"svg", "svg3", "json_url", "json3_url", "shields", "shields3"}


@pytest.mark.parametrize("key", ["", "too-short", "x" * 32, "other"], ids=["none", "short", "unknown", "of another project"])
def test_a_key_that_is_wrong_here_is_an_authentication_error(site, key):
    check = site.new_check()
    with site.client(key=key) as client:
        with pytest.raises(HCAPIAuthError):
            client.get_check(check.uuid)
        with pytest.raises(HCAPIAuthError):
            client.update_check(check.uuid, CheckUpdate(name="taken over"))
    assert site.check_now(check).name == check.name


REFUSED = ((lambda client, check: client.create_check(CheckCreate(timeout=59)), "timeout is too small"),
           (lambda client, check: client.create_check(CheckCreate(name="x" * 101)), "name is too long"),
           (lambda client, check: client.create_check(CheckCreate(channels="nobody")), "invalid channel identifier: nobody"),
           (lambda client, check: client.update_check(check.uuid, CheckUpdate(grace=31_536_001)), "grace is too large"),
           (lambda client, check: client.get_check_flips(check.uuid, seconds=31_536_001), "seconds"),
           (lambda client, check: client.exit_code_ping(256, check.uuid), "invalid url format"))


@pytest.mark.parametrize(("ask", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_cannot_be_is_refused_with_its_reason(site, ask, reason):
    with site.client() as client, pytest.raises(BadAPIRequestError, match=reason):
        ask(client, site.new_check())


# --- healthchecks-io: pings

# How a ping is sent, what it is listed as, and the status after it, as versions 1 and 3 show it.
PINGS = {
    "success": (lambda client, **to: client.success_ping(**to, data="all went well"), "success", ("up", "up")),
    "start": (lambda client, **to: client.start_ping(**to, data="here we go"), "start", ("started", "new")),
    "fail": (lambda client, **to: client.fail_ping(**to, data="no space left"), "fail", ("down", "down")),
    "exit with 0": (lambda client, **to: client.exit_code_ping(0, **to, data="fine"), "success", ("up", "up")),
    "exit with 1": (lambda client, **to: client.exit_code_ping(1, **to, data="not fine"), "fail", ("down", "down")),
    "exit with 255": (lambda client, **to: client.exit_code_ping(255, **to, data="ü ✓"), "fail", ("down", "down")),
}


@pytest.mark.parametrize("by", ["uuid", "slug"])
@pytest.mark.parametrize("name", PINGS)
def test_a_ping_is_stored_and_moves_the_check(site, name, by):
    send, kind, statuses = PINGS[name]
    check = site.new_check()
    with site.client(1) as client, site.client(3) as newer:
        assert send(client, **{by: getattr(check, by)}) == (True, "OK")
        assert (client.get_check(check.uuid).status, newer.get_check(check.uuid).status) == statuses
        ping, = client.get_check_pings(check.uuid)
    assert (ping.type, ping.number_of_pings, ping.method, ping.scheme, ping.remote_addr) == (kind, 1, "POST", "http", "127.0.0.1")
    assert ping.user_agent == f"py-healthchecks.io/{healthchecks_io.__version__}" and abs(ping.date.timestamp() - time.time()) < 60
    body = {"success": "all went well", "start": "here we go", "fail": "no space left", "exit with 0": "fine", "exit with 1": "not fine",
            "exit with 255": "ü ✓"}[name]
    assert site.pings(check) == [(kind, "POST", body)]


@VERSIONS
def test_pings_are_listed_newest_first_and_a_run_with_how_long_it_took(site, version):
    check = site.new_check()
    with site.client(version) as client:
        for ping in (client.start_ping, client.success_ping, client.fail_ping):
            ping(check.uuid)
        listed = client.get_check_pings(check.uuid)
        assert [(ping.type, ping.number_of_pings, ping.duration is None) for ping in listed] == [
            ("fail", 3, True), ("success", 2, False), ("start", 1, True)]
        assert 0 <= listed[1].duration < 60


def test_a_ping_that_has_no_check_is_an_error_and_makes_none(site):
    before = len(site.get("/api/v3/checks/")["checks"])
    with site.client() as client, site.client(ping_key="x" * 22) as stranger:
        for ask in (lambda: client.success_ping(NOBODY), lambda: client.fail_ping(slug="no-such-job"),
                    lambda: stranger.success_ping(slug=site.new_check().slug)):
            with pytest.raises(CheckNotFoundError):
                ask()
    assert len(site.get("/api/v3/checks/")["checks"]) == before + 1


def test_a_slug_that_two_checks_have_names_neither(site):
    check, other = site.new_check(slug="twins"), site.new_check(slug="twins")
    with site.client() as client, pytest.raises(NonUniqueSlugError, match="ambiguous slug"):
        client.success_ping(slug="twins")
    assert site.pings(check) == site.pings(other) == []


def test_a_block_of_code_is_watched_by_its_check(site):
    good, bad = site.new_check(), site.new_check()
    with site.client() as client:
        with healthchecks_io.CheckTrap(client, uuid=good.uuid) as trap:
            trap.add_log("copied 3 files")
        with pytest.raises(RuntimeError), healthchecks_io.CheckTrap(client, slug=bad.slug):
            raise RuntimeError("the disk is gone")
    assert site.pings(good) == [("start", "POST", ""), ("success", "POST", "copied 3 files")]
    (started, *_), (failed, _, log) = site.pings(bad)
    assert (started, failed) == ("start", "fail") and log.startswith("the disk is gone")


# --- healthchecks-io: flips, channels, badges

@VERSIONS
def test_flips_break_this_client_as_they_do_on_a_real_server(site, version):
    """It was written after the documentation, which shows a bare list. A real server has sent an object since 2020, and
    so does this one, for all the other clients: this client then takes the object's one name for a flip."""
    check = site.new_check()
    with site.client(version) as client:
        client.success_ping(check.uuid)
        client.fail_ping(check.uuid)
        for window in ({}, {"seconds": 3600}, {"start": 0, "end": 4_000_000_000}):
            with pytest.raises(TypeError, match="must be a mapping, not str"):
                client.get_check_flips(check.uuid, **window)
        with pytest.raises(CheckNotFoundError):
            client.get_check_flips(NOBODY)
    shown = site.get(f"/api/v{version}/checks/{check.uuid}/flips/?seconds=3600")
    assert [flip["up"] for flip in shown["flips"]] == [0, 1]


@VERSIONS
def test_receivers_are_listed_as_integrations(site, version):
    with site.client(version) as client:
        assert [(found.id, found.name, found.kind) for found in client.get_integrations()] == list(RECEIVERS)
    with site.client(version, key="other") as client:
        assert client.get_integrations() == []


@VERSIONS
def test_badges_are_listed_by_tag_and_can_be_fetched_by_anybody(site, version):
    tag = f"badge/{version}"
    check = site.new_check(tags=tag)
    with site.client(version) as client:
        client.fail_ping(check.uuid)
        badges = client.get_badges()
    assert {tag, "*"} <= badges.keys()
    for addresses in (badges[tag], badges["*"]):
        for name, address in addresses.model_dump().items():
            assert address.startswith(site.server.url + "/badge/")
            answer = site.server.request("GET", address.removeprefix(site.server.url), key=None)
            assert answer.status == 200 and b"down" in answer.body, (name, answer)
    shown = site.server.request("GET", badges[tag].json_url.removeprefix(site.server.url), key=None).json
    assert shown == {"status": "down", "total": 1, "grace": 0, "down": 1}


# --- healthchecks-decorator

def test_a_decorated_function_pings_when_it_is_done(site):
    check = site.new_check()

    @healthcheck(url=check.ping_url)
    def job(left, right):
        return left + right

    assert job(1, right=2) == 3
    assert site.pings(check) == [("success", "GET", "")] and site.check_now(check).status == "up"


def test_a_decorated_function_says_that_it_starts(site):
    check = site.new_check()

    @healthcheck(url=check.ping_url, send_start=True)
    def job():
        return site.check_now(check).started

    assert job() is True and site.check_now(check).started is False
    assert [kind for kind, _, _ in site.pings(check)] == ["start", "success"]


def test_a_decorated_function_that_raises_has_failed(site):
    check = site.new_check()

    @healthcheck(url=check.ping_url + "/")           # a slash at the end is as good
    def job():
        raise RuntimeError("to be passed on")

    with pytest.raises(RuntimeError, match="to be passed on"):
        job()
    assert [kind for kind, _, _ in site.pings(check)] == ["fail"] and site.check_now(check).status == "down"


def test_a_decorated_function_sends_what_it_returns(site):
    check = site.new_check()

    @healthcheck(url=check.ping_url, send_diagnostics=True)
    def job(result):
        return result

    job({"temperature": -7, "room": "ü"})
    job(5)                                           # nothing that the decorator can send
    assert site.pings(check) == [("success", "POST", "temperature=-7&room=%C3%BC"), ("success", "GET", "")]


def test_a_decorated_function_makes_its_check_when_the_address_says_so(site):
    @healthcheck(url=f"{site.server.url}/ping/{site.ping_key}/made-by-decorator?create=1", send_start=True)
    def job():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        job()
    check, = site.get("/api/v3/checks/?slug=made-by-decorator")["checks"]
    assert (check["name"], check["status"], check["timeout"], check["grace"]) == ("made-by-decorator", "down", 86400, 3600)
    assert [kind for kind, _, _ in site.pings(SimpleNamespace(**check))] == ["start", "fail"]


def test_a_decorated_function_runs_though_its_check_is_gone(site):
    assert healthcheck(url=f"{site.server.url}/ping/{NOBODY}", send_start=True)(lambda: "done")() == "done"


def test_the_decorator_takes_its_options_from_the_environment(site):
    check = site.new_check()
    program = "from healthchecks_decorator import healthcheck\n@healthcheck\ndef job(): return {'a': 1}\njob()"
    env = {**os.environ, "HEALTHCHECK_URL": check.ping_url, "HEALTHCHECK_SEND_START": "1", "HEALTHCHECK_SEND_DIAGNOSTICS": "TRUE"}
    subprocess.run([sys.executable, "-c", program], env=env, check=True, timeout=30)
    assert site.pings(check) == [("start", "GET", ""), ("success", "POST", "a=1")]


# --- healthchecks-wrapper

def test_a_wrapped_block_pings_at_its_start_and_end(site):
    check = site.new_check()
    with HealthCheck(check.ping_url):
        assert site.check_now(check).started
    assert site.pings(check) == [("start", "GET", ""), ("success", "GET", "")] and site.check_now(check).status == "up"


@pytest.mark.parametrize("suppress", [False, True])
def test_a_wrapped_block_that_raises_sends_the_stack_trace(site, suppress):
    check = site.new_check()
    try:
        with HealthCheck(check.ping_url, suppress_exceptions=suppress):
            raise RuntimeError("no space left")
    except RuntimeError:
        assert not suppress
    (started, *_), (failed, method, trace) = site.pings(check)
    assert (started, failed, method) == ("start", "fail", "POST")
    assert trace.startswith("Traceback (most recent call last):") and trace.endswith("RuntimeError: no space left\n")


def test_an_asynchronous_block_is_watched_as_well(site):
    good, bad = site.new_check(), site.new_check()

    async def work(check, problem=None):
        async with HealthCheck(f"{site.server.url}/ping/{site.ping_key}/{check.slug}"):
            if problem:
                raise problem

    asyncio.run(work(good))
    with pytest.raises(RuntimeError):
        asyncio.run(work(bad, RuntimeError("late")))
    assert [kind for kind, _, _ in site.pings(good)] == ["start", "success"]
    assert [kind for kind, _, _ in site.pings(bad)] == ["start", "fail"] and "RuntimeError: late" in site.pings(bad)[1][2]


def test_a_wrapped_block_runs_though_its_check_is_gone(site, capsys):
    with HealthCheck(f"{site.server.url}/ping/{NOBODY}"):
        pass
    assert capsys.readouterr().out.count("Ping failed: HTTP Error 404: Not Found") == 2
