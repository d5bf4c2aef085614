"""The README's commands, run as they are written but for the address, and for the ids that their answers gave."""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest
from conftest import ADMIN_KEY, ROOT, Server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")]

BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
CRON_LINE = re.compile(r"^30 2 \* \* \*\s+")


def commands_of(section: str) -> list[str]:
    """The commands with curl in a section of the README, one by one; of a crontab's line what it runs."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)).replace("\\\n", " ")
    return [CRON_LINE.sub("", line) for line in script.splitlines() if "curl" in line]


def run(server: Server, command: str, **ids: str) -> str:
    """Runs one command in a shell; what it printed."""
    for name, value in ids.items():
        command = re.sub(rf"\b{name}\b", value, command)
    command = command.replace("http://127.0.0.1:8080", server.url).replace("/usr/local/bin/backup", "echo backup")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, env={**os.environ, "KEY": ADMIN_KEY})
    assert done.returncode == 0, (command, done)
    return done.stdout


def test_the_first_alert(server: Any) -> None:
    send, find, ack, close = commands_of("The first alert")[:4]
    alert = json.loads(run(server, send))
    assert json.loads(run(server, send))["alert"]["duplicateCount"] == 1
    assert json.loads(run(server, find))["total"] == 1
    assert [json.loads(run(server, command, ID=alert["id"]))["status"] for command in (ack, close)] == ["ok", "ok"]
    assert server.request("GET", f"/alert/{alert['id'][:8]}").json["alert"]["status"] == "closed"


def test_the_first_heartbeat(server: Any) -> None:
    beat, = commands_of("The first heartbeat")
    assert json.loads(run(server, beat))["heartbeat"]["origin"] == "backup-host"


def test_the_first_check(server: Any) -> None:
    make, report, start, finish, by_slug, listing, badges = commands_of("The first check")
    check = json.loads(run(server, make))
    assert json.loads(run(server, make))["uuid"] == check["uuid"], "unique: made once"
    for command in (report, start, finish):
        run(server, command, UUID=check["uuid"])
    pings = server.request("GET", f"/api/v3/checks/{check['uuid']}/pings/").json["pings"]
    assert [ping["type"] for ping in pings] == ["success", "start", "success"]
    assert server.request("GET", pings[0]["body_url"].removeprefix(server.url)).body == b"backup\n"
    key = subprocess.run([os.sys.executable, str(ROOT / "alertlite.py"), "key", "ping"], capture_output=True, text=True, timeout=20,
                         env={**os.environ, "ALERTLITE_DB": str(server.db)}).stdout.split()[2]
    assert run(server, by_slug, PING_KEY=key) == "Created"
    assert {check["name"] for check in json.loads(run(server, listing))["checks"]} == {"nightly backup", "photos-backup"}
    assert "*" in json.loads(run(server, badges))["badges"]


def test_the_first_notification(server: Any) -> None:
    phone, mail, test, dead, replay = commands_of("The first notification")
    ids = [json.loads(run(server, command)) for command in (phone, mail)]
    channels = server.request("GET", "/api/v3/channels/").json["channels"]
    assert [(channel["id"], channel["name"]) for channel in channels] == list(zip(ids, ["phone", "me"], strict=True))
    assert json.loads(run(server, test, ID=ids[1]))["id"], "without a mail server it waits"
    assert json.loads(run(server, dead, ID=ids[1])) == []
    assert json.loads(run(server, replay, ID=ids[1])) == {"replayed": 0}


def test_no_block_is_forgotten() -> None:
    tried = {command for section in ("The first alert", "The first heartbeat", "The first check", "The first notification")
             for command in commands_of(section)}
    everything = {CRON_LINE.sub("", line) for block in BLOCKS for line in block.replace("\\\n", " ").splitlines() if "curl" in line}
    assert everything == tried
