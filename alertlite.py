"""alertlite: an alert server and dead man's switch for one small host.

It hears about trouble, keeps it, notices silence, and tells people: one process, one SQLite file, no other service.

    python alertlite.py serve          then see README.md for the first alert

The spine. Every change goes one way, and a reader who learns this sentence learns the program:
    parse    a dialect turns a request into a neutral value; it never decides
    decide   a pure function of (old row, report, now) says what becomes of it; no I/O, no clock
    record   one transaction writes the row, its history and its event
    deliver  outside any transaction
The timer enters at decide, with "nothing was heard" as its report.

The map. Each section uses only what stands above it.
    SETTINGS   what an operator can set; severities, statuses and actions as tables
    CLOCK      the only place that asks the time; our own timeline, which nobody can set; times as text; new ids
    PROBLEMS   the few ways in which a request can fail
    DOMAIN     alerts, heartbeats, users and keys as values; every decision about them; what a search asks for
    STORE      the only SQL: opening and migrating, the one writer with group commit, the readers, queries by noun
    SENDERS    one function for each kind of receiver
    ENGINE     what can happen: one method an operation, each reading the clock once
    HTTP       strict JSON in, JSON out, authentication, scopes, limits; problems to answers
    ALERTA     the Alerta API: parse_…, show_… and routes
    HEALTHCHECKS  the Healthchecks API, ping addresses, badges
    NOTIFY     event types, receivers, events
    WALDUR     alerts on a scope
    SERVICE    routes that belong to no dialect: health
    THREADS    the timer's and the sender's loop, the control socket, the web server
    MAIN       the command line

Invariants, each with a test.
    1. An operation reads the clock once; SQL never does.
    2. A status changes only through a pure decision, and the same transaction writes its history and its event.
    3. No success is answered for a write before its COMMIT, with synchronous=FULL, has returned.
    4. One connection in one process writes and checkpoints; nothing slow or remote happens inside a transaction.
    5. Nothing is marked sent before it was sent: at least once, with a key that stays the same.
    6. Whoever was told of a beginning is told of its end; who was not told of one is told of neither.
    7. Silence is judged only where we listened, and by a time that nobody can set.
    8. Dialects parse and show. A rule that two dialects need lives below them, once.

Recipes.
    To add a setting: a row in SETTINGS, and its line in README.md.
    To add a column: schema.sql, the NamedTuple of the same fields in DOMAIN, a migration in STORE.
    To add a route: a function under @route in its dialect; the scope is part of the route.
    To add a deadline: a term in alert_deadline (or its like) and the decision beside it.
    To add a kind of receiver: a function send_… and its row in KINDS; its line in README.md.
"""
from __future__ import annotations

import os
import sys

if __name__ == "__main__" and __spec__ is None:      # else it was started with python -m, which compiles as import does
    # A script is kept in memory as the tree that it was parsed into, 12 MB, for as long as it runs; a module is not.
    # So the script makes way for the module, in the same process.
    folder = os.path.dirname(os.path.abspath(__file__))
    os.execv(sys.executable, [
        sys.executable, *sys.orig_argv[1:len(sys.orig_argv) - len(sys.argv)], "-c",
        f"import sys; sys.path = [{folder!r}, *filter(None, sys.path)]; import alertlite; sys.exit(alertlite.main())", *sys.argv[1:]])

import argparse
import base64
import collections
import contextlib
import ctypes
import email.message
import email.utils
import fcntl
import fnmatch
import gc
import gzip
import hashlib
import hmac
import html
import http.client
import ipaddress
import itertools
import json
import logging
import pathlib
import queue
import random
import re
import resource
import secrets
import select
import shlex
import shutil
import signal
import smtplib
import socket
import sqlite3
import ssl
import string
import subprocess
import threading
import time
import unicodedata
import urllib.parse
import uuid
import warnings
import zoneinfo
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import bottle
import croniter
import waitress.buffers
import waitress.channel
import waitress.parser
import waitress.receiver
import waitress.server
import waitress.task
import waitress.utilities
import waitress.wasyncore

__version__ = "0.1.0"


# ============================================================================================================ SETTINGS
# What an operator can set, in one table: the flag --name, the environment variable ALERTLITE_NAME and
# `alertlite settings` all come from it. Then the closed vocabularies of the domain.

def as_flag(text: str) -> bool:
    """True for on/yes/true/1, False for off/no/false/0."""
    if text.lower() in ("on", "yes", "true", "t", "1"):
        return True
    if text.lower() in ("off", "no", "false", "f", "0"):
        return False
    raise ValueError(f"{text!r} is neither on nor off")


def as_whole_number(text: str) -> int:
    """A number >= 0."""
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def as_positive(text: str) -> int:
    """A number above 0."""
    if as_whole_number(text) == 0:
        raise ValueError("must be above 0")
    return int(text)


def as_days(text: str) -> int:
    """A number of days from 1 to a hundred years."""
    if as_positive(text) > 36_500:
        raise ValueError(f"{text!r} is more than a hundred years")
    return int(text)


def as_list(text: str) -> tuple[str, ...]:
    """The items of a comma-separated text."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def as_patterns(text: str) -> tuple[str, ...]:
    """The regular expressions of a comma-separated text; * alone stands for anything."""
    patterns = as_list(text)
    for pattern in patterns:
        try:
            re.compile("" if pattern == "*" else pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no pattern: {error}") from None
    return patterns


def is_among(text: str, patterns: Iterable[str]) -> bool:
    """Whether a text is one of these, or is what one of them describes."""
    return any(pattern in ("*", text) or re.fullmatch(pattern, text) for pattern in patterns)


def as_one_of(*words: str) -> Callable[[str], str]:
    """A converter that takes only these words."""
    def convert(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text

    return convert


def as_mail_server(text: str) -> str:
    """smtp://… or smtps://…, or nothing."""
    try:
        parts = urllib.parse.urlsplit(text)
        is_right = not text or parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0
    except ValueError:                               # which would show a part of the password
        is_right = False
    if not is_right:
        raise ValueError("must be smtp://user:password@host:port or smtps://…, with /, # and @ in a password written as %2F, %23, %40")
    return text


def as_commands(text: str) -> dict[str, list[str]]:
    """name -> program and arguments, of name=/program argument; …"""
    commands = {}
    for item in filter(None, map(str.strip, text.split(";"))):
        name, _, command = item.partition("=")
        if not re.fullmatch("[a-z0-9_-]+", name) or not command.startswith("/"):
            raise ValueError(f"{item!r} is not name=/path/to/program")
        commands[name] = shlex.split(command)
    return commands


class Setting(NamedTuple):
    name: str
    default: str
    convert: Callable[[str], Any]
    help: str
    secret: bool = False


SETTINGS = (
    Setting("db", "", str, "database file (default: alertlite.db; under systemd in $STATE_DIRECTORY)"),
    Setting("listen", "127.0.0.1:8080", str, "HOST:PORT to listen on"),
    Setting("base_url", "", str, "address that clients reach this server by, for links (default: as each request names it)"),
    Setting("auth", "on", as_flag, "off: everybody may do everything; only on a loopback address"),
    Setting("insecure", "off", as_flag, "on: allow auth=off on any address"),
    Setting("admin_key", "", str, "key with all rights that exists from the first start (default: a new one is made and shown)", True),
    Setting("allowed_environments", "*", as_patterns, "environments that alerts may name, as patterns (Production,Dev.*); * = any"),
    Setting("default_environment", "Production", str, "environment of an alert that names none"),
    Setting("require_service", "off", as_flag, "on: refuse an alert that names no service"),
    Setting("allowed_email_domains", "*", as_list, "domains whose users need not be on the users list; * = any"),
    Setting("alert_timeout", "86400", as_whole_number, "seconds until an alert expires that is not repeated; 0 = never"),
    Setting("ack_timeout", "0", as_whole_number, "seconds an acknowledgement lasts; 0 = until something changes"),
    Setting("shelve_timeout", "7200", as_whole_number, "seconds a shelved alert stays so; 0 = until somebody unshelves it"),
    Setting("delete_expired_after", "7200", as_whole_number, "seconds a closed or expired alert is kept; 0 = for ever"),
    Setting("delete_info_after", "43200", as_whole_number, "seconds an informational alert is kept; 0 = for ever"),
    Setting("history_limit", "100", as_positive, "history entries kept for an alert"),
    Setting("heartbeat_timeout", "86400", as_whole_number, "seconds of silence after which a heartbeat expires; 0 = never"),
    Setting("heartbeat_max_latency", "2000", as_whole_number, "milliseconds between sending and receiving that still count as ok"),
    Setting("heartbeat_events", "Heartbeat", as_list, "alert events that are taken as heartbeats"),
    Setting("heartbeat_alerts", "on", as_flag, "raise an alert for a heartbeat that falls silent"),
    Setting("check_limit", "10000", as_whole_number, "checks that a project may have; 0 = any number"),
    Setting("clock", "wait", as_one_of("wait", "trust"), "wait: cron checks are not judged before a time server has set the clock, or for"
            " clock_patience; trust: the clock is right from the start, for sites without a time server"),
    Setting("clock_patience", "900", as_whole_number, "seconds after the host's start for which clock=wait waits at most"),
    Setting("settle_time", "600", as_whole_number, "seconds after a time of not listening until people are told of it and of who is still silent"),
    Setting("check_alerts", "on", as_flag, "raise an alert for a check that goes down"),
    Setting("early_tolerance", "120", as_whole_number, "seconds that a ping may come before its scheduled time and still count for it"),
    Setting("ping_log_limit", "100", as_positive, "pings that are kept of a check"),
    Setting("ping_body_limit", "10000", as_whole_number, "bytes that are kept of what a ping sends"),
    Setting("badge_label", "alertlite", str, "what the badge about all checks is called"),
    Setting("event_types", "", str, "JSON file of event types beyond the built-in ones"),
    Setting("default_receiver", "off", as_flag, "on: a customer that has no receivers yet gets a browser one"),
    Setting("smtp_url", "", as_mail_server, "smtp://user:password@host:587 or smtps://…; STARTTLS is used unless ?starttls=off", True),
    Setting("mail_from", "", str, "sender of mails (default: alertlite@<host name>)"),
    Setting("private_targets", "lan", as_one_of("lan", "all", "none"), "where messages may be sent: lan = anywhere but to this machine and"
            " link-local addresses; all; none = only to public addresses"),
    Setting("shell_commands", "", as_commands, "commands that receivers may name, as name=/path/to/program with arguments; several with ;"),
    Setting("file_folder", "", str, "folder in which receivers of kind file may append to files"),
    Setting("delivery_timeout", "10", as_positive, "seconds that sending one message may take"),
    Setting("give_up_after", "259200", as_positive, "seconds for which a message is tried"),
    Setting("fallback_after", "900", as_positive, "seconds of failing after which the fallback receiver is told as well"),
    Setting("size_limit", "1024", as_positive, "megabytes that the database may have; then the oldest of what is finished goes"),
    Setting("ballast", "1024", as_whole_number, "kilobytes of disk that are held ready, to be given up when the disk is full; 0 = none"),
    Setting("copy_every", "86400", as_whole_number, "seconds between verified copies beside the database, from which a start goes on if the"
            " database is damaged; 0 = none"),
    Setting("event_retention", "2592000", as_whole_number, "seconds that the log of events is kept"),
    Setting("api_key_expire_days", "365", as_days, "days a new key lasts unless it says otherwise"),
    Setting("failed_sign_ins", "10", as_whole_number, "wrong keys and passwords that an address may present in a minute; 0 = any number"),
    Setting("cors_origins", "", as_list, "web origins whose pages may call this server; * = any"),
    Setting("trusted_proxy", "", str, "address of the reverse proxy whose X-Forwarded-… headers are believed"),
    Setting("threads", "6", as_positive, "requests that may wait for a search or a sign-in at the same time"),
    Setting("connection_limit", "500", as_positive, "connections held at the same time"),
    Setting("address_limit", "100", as_whole_number, "connections from one address at the same time; 0 = any number"),
    Setting("request_deadline", "15", as_positive, "seconds in which a whole request must have arrived"),
    Setting("body_limit", "1048576", as_positive, "bytes of a request body"),
    Setting("header_limit", "16384", as_positive, "bytes of a request's headers"),
    Setting("url_limit", "8192", as_positive, "bytes of a request's address"),
    Setting("parameter_limit", "200", as_positive, "parameters in a request's address"),
    Setting("read_deadline", "2000", as_positive, "milliseconds that one search may take"),
)


def read_credential(name: str, environ: dict[str, str]) -> str:
    """What systemd hands over under this name (LoadCredential=), without the end of its line; '' = nothing. ValueError."""
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    try:
        return pathlib.Path(folder, name).read_text(encoding="utf-8").strip() if folder else ""
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise ValueError(f"credential {name} cannot be read: {error}") from None


def load_settings(given: dict[str, str], environ: dict[str, str]) -> SimpleNamespace:
    """The effective settings: what was given as flags, else the environment, else (secrets only) systemd's credentials, else
    the defaults.

    Raises ValueError that names the setting.
    """
    values = {}
    for setting in SETTINGS:
        text = given.get(setting.name)
        if text is None:
            text = environ.get("ALERTLITE_" + setting.name.upper()) or setting.secret and read_credential(setting.name, environ) or setting.default
        try:
            values[setting.name] = setting.convert(text)
        except ValueError as error:
            raise ValueError(f"setting {setting.name}: {error}") from None
    values["db"] = os.path.realpath(values["db"] or os.path.join(environ.get("STATE_DIRECTORY", "").split(":")[0], "alertlite.db"))
    values["memory_folder"] = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]         # systemd keeps it in memory
    if not is_among(values["default_environment"], values["allowed_environments"]):
        raise ValueError("setting default_environment: is not one of allowed_environments")
    return SimpleNamespace(**values)


# Severity: its code, lower is worse, and its colour (spec/alerta.md 2.3).
SEVERITIES = {
    "security": (0, "blue"), "critical": (1, "red"), "major": (2, "orange"), "minor": (3, "yellow"),
    "warning": (4, "dodgerblue"), "indeterminate": (5, "lightblue"), "informational": (6, "#00CC00"),
    "normal": (7, "#00CC00"), "ok": (7, "#00CC00"), "cleared": (7, "#00CC00"),
    "debug": (8, "#9D006D"), "trace": (9, "#7554BF"), "unknown": (10, "silver"),
}
# Severities of the Waldur API, from the mildest on: name -> ours, the first of which a posted one becomes.
WALDUR_SEVERITIES = {
    "Debug": ("debug", "trace"), "Info": ("informational", "normal", "ok", "cleared"),
    "Warning": ("warning", "minor", "indeterminate", "unknown"), "Error": ("major",), "Critical": ("critical", "security")}
WALDUR_NAMES = {ours: name for name, all_ours in WALDUR_SEVERITIES.items() for ours in all_ours}
NORMAL_SEVERITIES = frozenset(name for name, (code, _) in SEVERITIES.items() if code == SEVERITIES["normal"][0])
FIRST_PREVIOUS_SEVERITY = "indeterminate"

# Status: the letter it sorts by, and its colour (spec/alerta.md 2.3).
STATUSES = {
    "open": ("A", None), "assign": ("B", None), "ack": ("C", "skyblue"), "shelved": ("D", "skyblue"),
    "blackout": ("E", None), "closed": ("F", None), "expired": ("G", None), "unknown": ("H", None),
}
FINISHED_STATUSES = frozenset({"closed", "expired"})

# What an action makes of a status (spec/alerta.md 3.4).
#   a status  the status afterwards              before    what it was before the ack or the shelving
#   409       refused                            leave     what it was before the blackout
#   reopen    open, the previous severity back   stay      unchanged, or closed where the severity is normal
#   recheck   ack that a worse severity opened   revive    closed, or open again where the severity is not normal
ACTION_TABLE = """
             open    ack    unack   shelve   unshelve  close   assign
    open     409     ack    409     shelved  409       closed  stay
    assign   stay    stay   409     stay     409       stay    stay
    ack      open    409    before  shelved  409       closed  recheck
    shelved  open    409    409     409      before    closed  stay
    blackout leave   leave  409     leave    409       closed  leave
    closed   reopen  409    409     409      409       409     revive
    expired  open    409    409     409      409       409     409
    unknown  stay    stay   409     stay     409       stay    stay
"""


def parse_action_table(table: str) -> dict[tuple[str, str], str]:
    """(status, action) -> outcome, from the table above."""
    header, *rows = (line.split() for line in table.strip().splitlines())
    return {(row[0], action): outcome for row in rows for action, outcome in zip(header, row[1:])}


ACTION_OUTCOMES = parse_action_table(ACTION_TABLE)
OPERATOR_ACTIONS = tuple(dict.fromkeys(action for _, action in ACTION_OUTCOMES))

# The scopes that exist (spec/alerta.md 5.2, and those of the other APIs), and those of the built-in roles (5.4).
SCOPES = tuple(
    ["read", "write", "admin"]
    + [f"{verb}:{noun}" for noun in ("alerts", "blackouts", "heartbeats", "keys", "checks", "receivers", "events")
       for verb in ("read", "write", "admin")]
    + ["delete:alerts", "write:users", "admin:users"]
    + [f"{verb}:{noun}" for noun in ("groups", "perms", "customers") for verb in ("read", "admin")]
    + ["write:webhooks", "read:oembed", "read:management", "admin:management", "read:userinfo"])
ROLE_SCOPES = {"admin": ("admin", "read", "write"), "user": ("read", "write"), "guest": ("read:alerts",)}
# What there is to hear of: name, what it is called, what it is about. Whoever is told of alerts is told of all of these by
# default, except of checks: a check tells the receivers that are assigned to it, and those that subscribe.
EVENT_TYPES = {
    "alert_opened": ("Alert opened", "A problem was reported for the first time, or again after it was over."),
    "alert_severity": ("Severity changed", "An open problem became better or worse."),
    "alert_closed": ("Alert closed", "A problem is over, or somebody closed it."),
    "alert_expired": ("Alert expired", "A problem was not reported again for so long that it is taken for over."),
    "heartbeat_expired": ("Heartbeat missing", "A host or program that promised to be heard from is silent."),
    "heartbeat_ok": ("Heartbeat is back", "A silent host or program was heard from again."),
    "check_down": ("Check down", "A job did not report in time, reported a failure, or hangs."),
    "check_up": ("Check up", "A job that was down reported success."),
    "user_test": ("Test", "Somebody wanted to see a message arrive."),
    "config_changed": ("Receiver changed", "The address of a receiver or what it hears of was changed."),
    "monitor": ("Monitor", "Alertmanager posted alerts."),
    "not_listening": ("Not listening", "Alertlite or its host was off for a while: who is back, and who is still silent."),
    "clock_set": ("Clock set", "The clock of alertlite's host was set."),
    "reminder": ("Reminder", "Something that was told before is still open and nobody has acknowledged it."),
}
NOT_BY_DEFAULT = ("check_down", "check_up", "clock_set", "reminder")
BEGINNINGS = ("alert_opened", "heartbeat_expired", "check_down")
ENDINGS = {"alert_closed", "alert_expired", "heartbeat_ok", "check_up"}        # events that end what another began

KEY_TYPE_SCOPES = {"read-write": ("read", "write"), "read-only": ("read",)}


# =============================================================================================================== CLOCK
# The only place that asks the time, and the one form that times have outside: text. Inside, a time is an int, milliseconds
# on our own timeline: it runs as real time does, whatever the host's clock is set to, and after a restart goes on from
# where it was. So no span of time is ever wrong, and what happened later has the greater number. As long as nobody sets
# the host's clock, the numbers are milliseconds since 1970 UTC; TIMELINE knows by how much they differ from that, and only
# the functions that read and write times as text use it.

class Clock:
    """The host's clocks; tests put settable ones in their place."""

    def __init__(self) -> None:
        self.base: int | None = None                 # what our timeline showed when the host started

    def wall(self) -> int:
        """The time of day that the host believes in, milliseconds UTC; anybody may set it."""
        return time.time_ns() // 1_000_000

    def boottime(self) -> int:
        """Milliseconds since the host started, those of its sleep included; nobody can set it."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def monotonic(self) -> float:
        """Seconds that the host was awake."""
        return time.monotonic()

    def boot_id(self) -> str:
        """What tells this run of the host from its last one."""
        return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def is_synchronised(self) -> bool:
        """Whether the kernel or timesyncd says that a time server has set the host's clock. False where neither may be asked."""
        status = ctypes.create_string_buffer(512)    # struct timex, larger than any; its first field, modes, is 0 = only read
        with contextlib.suppress(AttributeError, OSError):
            if ctypes.CDLL(None).adjtimex(status) in range(5):       # 5 = not synchronised, -1 = must not be asked
                return True
        return os.path.exists("/run/systemd/timesync/synchronized")

    def now(self) -> int:
        """The time on our timeline."""
        if self.base is None:                        # nothing to go on from
            self.base = self.wall() - self.boottime()
        return self.base + self.boottime()


class AliveMark:
    """When this process last moved, in a file that lives in memory: after a crash it says since when nobody listened. Without
    one, only what was stored last does."""

    def __init__(self, folder: str):
        """folder: '' = there is no such file."""
        self.path = os.path.join(folder, "alive") if folder else ""

    def read(self, mark: str) -> int | None:
        """Our time of the last move under this mark: in this run of the host, with this database. None = unknown."""
        with contextlib.suppress(OSError, ValueError):
            found, ms = pathlib.Path(self.path).read_text(encoding="ascii").split() if self.path else ("", "")
            return int(ms) if found == mark else None
        return None

    def write(self, mark: str, now: int) -> None:
        if self.path:
            with contextlib.suppress(OSError):
                file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    os.pwrite(file, f"{mark} {now:020} ".encode("ascii").ljust(120), 0)
                finally:
                    os.close(file)


class Timeline:
    """How the host's clock and our timeline went together: from each start on, the clock showed so much more. Milliseconds,
    the offsets in whole seconds."""

    FIRST = -2**62
    MOST = 200                                       # segments that are kept

    def __init__(self, segments: Iterable[Iterable[int]] = ()):
        self.segments = [(start, offset) for start, offset in segments][-self.MOST:] or [(self.FIRST, 0)]
        self.newest, self.offset = self.segments[-1]

    def wall(self, ms: int) -> int:
        """What the clock showed, or will show, at a time of ours."""
        if ms >= self.newest:
            return ms + self.offset
        return ms + next((offset for start, offset in reversed(self.segments) if start <= ms), self.segments[0][1])

    def ours(self, wall: int) -> int:
        """When the clock showed a time; the later moment where it was set back, the moment of the setting where it was set on."""
        end = None
        for start, offset in reversed(self.segments):
            if wall - offset >= start:
                break
            end = start
        return wall - offset if end is None else min(wall - offset, end)

    def jump(self, now: int, wall: int) -> int:
        """By how much the clock was set since we looked, to the second."""
        jump = wall - now - self.offset
        return round(jump / 1000) * 1000 if abs(jump) >= 750 else 0

    def corrected(self, start: int, now: int, wall: int) -> Timeline:
        """The timeline on which, from start on, the clock shows what it shows now."""
        kept = [segment for segment in self.segments if segment[0] < start]
        return Timeline([*kept, (start if kept else self.FIRST, round((wall - now) / 1000) * 1000)])


TIMELINE = Timeline()                                # of this process, like its time zone; see follow_timeline


def follow_timeline(timeline: Timeline) -> None:
    """From now on, times as text are read and written by this timeline."""
    global TIMELINE
    TIMELINE = timeline


def wall_time(ms: int) -> int:
    """The time of day, milliseconds UTC, at a time of ours."""
    return TIMELINE.wall(ms)


def our_time(wall: int) -> int:
    """Our time at a time of day, milliseconds UTC."""
    return TIMELINE.ours(wall)


ISO_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{1,6})Z")


FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799         # of the years 1 and 9999; what lies beyond is shown as these


@lru_cache(maxsize=4096)
def _text_of_second(second: int) -> str:
    second = min(max(second, FIRST_SECOND), LAST_SECOND)             # once the clock has been set, a time may come to lie beyond
    return datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S").zfill(19)


def text_from_ms(ms: int) -> str:
    """The time as YYYY-MM-DDThh:mm:ss.mmmZ."""
    return f"{_text_of_second(TIMELINE.wall(ms) // 1000)}.{ms % 1000:03d}Z"


def second_text(ms: int | None) -> str | None:
    """A time to the second, cut, not rounded: 2030-01-01T02:00:07+00:00."""
    return None if ms is None else text_from_ms(ms)[:19] + "+00:00"


def ms_from_text(text: str) -> int:
    """Our time of YYYY-MM-DDThh:mm:ss.fZ with one to six digits of fraction; ValueError for anything else."""
    match = ISO_TIME.fullmatch(text)
    if not match:
        raise ValueError("dates must be ISO 8601 date format YYYY-MM-DDThh:mm:ss.sssZ")
    *whole, fraction = match.groups()
    second = datetime(*map(int, whole), tzinfo=timezone.utc)
    return TIMELINE.ours(int(second.timestamp()) * 1000 + int(fraction.ljust(6, "0")[:3]))


def file_stamp() -> str:
    """The time of day as a part of a file's name."""
    return datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")


def new_id() -> str:
    """A random UUID. Unique, but no secret: asking the system for each would give up the interpreter lock each time."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) % 4]}{digits[17:20]}-{digits[20:]}"


def new_secret_id() -> str:
    """A random UUID that nobody can guess: who knows a check's may ping it."""
    return str(uuid.uuid4())


# ============================================================================================================ PROBLEMS
# The few ways in which a request can fail. Raised anywhere below HTTP, turned into an answer there and nowhere else. And
# the log, for what has nobody to be answered to.

class Problem(Exception):
    """A request that cannot be served: an HTTP status, a message for the person who sent it, and details."""
    status = 500

    def __init__(self, message: str, errors: list[str] | None = None, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.message, self.errors, self.headers = message, errors, headers or {}


class Invalid(Problem):
    status = 400


class Unauthenticated(Problem):
    status = 401


class Forbidden(Problem):
    status = 403


class MissingScope(Forbidden):
    """The caller is known but may not do this."""


class NotFound(Problem):
    status = 404

    def __init__(self, message: str = "not found"):
        super().__init__(message)


class Conflict(Problem):
    status = 409


class TooLarge(Problem):
    status = 413


class AddressTooLong(Problem):
    status = 414


class PageOutOfRange(Problem):
    status = 416


class TooManyRequests(Problem):
    status = 429

    def __init__(self, message: str):
        super().__init__(message, headers={"Retry-After": "60"})


class Unavailable(Problem):
    """The store cannot serve this now; trying again later may work."""
    status = 503

    def __init__(self, message: str):
        super().__init__(message, headers={"Retry-After": "5"})


class StorageFull(Problem):
    status = 507


class Kept(Problem):
    """A sign of life that was heard and counts, but is only in memory until the disk has room again. value: what it is about."""
    status = 202

    def __init__(self, value: Any = None):
        super().__init__("counted, but not stored yet: the disk is full")
        self.value = value


LOGGED_TEXT = re.compile(r"[^\x20-\x7e]")


def log(priority: int, text: str) -> None:
    """One line on standard error. Text from outside cannot forge a second one. A log on a full disk, or that nobody reads any more,
    is no reason to fail: then the line is lost."""
    with contextlib.suppress(OSError, AttributeError):               # no room; no standard error at all
        prefix = f"<{priority}>" if under_journal() else ""
        sys.stderr.write(prefix + LOGGED_TEXT.sub(lambda match: ascii(match[0])[1:-1], text)[:1000] + "\n")
        sys.stderr.flush()


@lru_cache(maxsize=1)
def under_journal() -> bool:
    """Whether standard error goes to the journal, which reads priorities."""
    status = os.fstat(2)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


# ============================================================================================================== DOMAIN
# Alerts, heartbeats, users and keys as values, and every decision about them. No I/O and no clock: what a function
# needs to know is an argument, what it found out is its result.

_encode_list = json.JSONEncoder(ensure_ascii=False, separators=(",\n", ":")).encode
_encode_object = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@lru_cache(maxsize=1024)
def _pack_again(items: tuple[str, ...]) -> str:
    return "[\n" + _encode_list(items)[1:]


def pack_list(items: Iterable[str]) -> str:
    """The JSON text of a list, in the form that schema.sql explains; short ones are kept for the next time."""
    items = tuple(items)
    if not items:
        return "[]"
    return _pack_again(items) if len(items) < 8 else "[\n" + _encode_list(items)[1:]


def pack_object(value: dict[str, Any]) -> str:
    """The JSON text of an object."""
    return _encode_object(value)


def packed_element(item: str) -> str:
    """The text that pack_list's result contains if and only if the item is in the list."""
    return "\n" + _encode_list(item)


_unpack_again = lru_cache(maxsize=1024)(json.loads)


def unpack(text: str) -> Any:
    """The list or object of a JSON text; to be read, never changed, since short ones are kept for the next time."""
    return _unpack_again(text) if len(text) < 200 else json.loads(text)


def union(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Every item once, in order of first appearance."""
    return list(dict.fromkeys(itertools.chain(old, new)))


class AlertReport(NamedTuple):
    """What somebody said about a resource, in neutral form. Lists and objects are Python's."""
    id: str
    resource: str
    event: str
    environment: str
    severity: str
    status: str
    correlate: list
    service: list
    group: str
    value: str | None
    text: str
    tags: list
    attributes: dict
    origin: str
    type: str
    created_at: int | None         # None = the moment it is received
    timeout: int
    raw_data: str | None
    customer: str


class Alert(NamedTuple):
    """A row of alerts: same fields, same order. Lists and objects are JSON text."""
    seq: int
    id: str
    resource: str
    event: str
    environment: str
    severity: str
    correlate: str
    status: str
    previous_status: str | None
    before_ack: str | None
    before_shelve: str | None
    ack_until: int | None
    shelve_until: int | None
    service: str
    group_name: str
    value: str | None
    text: str
    tags: str
    attributes: str
    origin: str
    type: str
    created_at: int
    timeout: int
    raw_data: str | None
    customer: str
    duplicate_count: int
    repeat: int
    previous_severity: str
    trend: str
    received_at: int
    last_receive_id: str
    last_received_at: int
    updated_at: int
    closed_at: int | None
    due_at: int | None
    superseded: int


class HistoryEntry(NamedTuple):
    """A row of alert_history: same fields, same order."""
    seq: int | None
    alert: int
    id: str
    event: str
    severity: str
    status: str
    value: str | None
    text: str | None
    type: str
    updated_at: int
    user: str | None
    timeout: int | None


class Decision(NamedTuple):
    """What becomes of an alert, and why."""
    alert: Alert
    entry: str | None              # type of the history entry to write; None = none
    reason: str


def severity_is_worse(severity: str, than: str) -> bool:
    return SEVERITIES[severity][0] < SEVERITIES[than][0]


def severity_trend(before: str, after: str) -> str:
    """moreSevere, lessSevere or noChange (also where a name is unknown)."""
    if before not in SEVERITIES or after not in SEVERITIES or SEVERITIES[before][0] == SEVERITIES[after][0]:
        return "noChange"
    return "moreSevere" if severity_is_worse(after, than=before) else "lessSevere"


def status_after_report(current: str | None, previous: str | None, reported: str, severity: str, old_severity: str) -> str:
    """The status of an alert after a report (spec/alerta.md 3.3, rule by rule).

    current and previous are the stored statuses (None for a new alert); old_severity counts as indeterminate when the
    report is a duplicate.
    """
    normal = severity in NORMAL_SEVERITIES
    if reported != "open":
        return "closed" if normal else reported
    if current == "ack" and old_severity != FIRST_PREVIOUS_SEVERITY and severity_is_worse(severity, than=old_severity):
        return "open"
    if current == "blackout":
        return previous if previous and previous != "blackout" else "open"
    if current == "closed" and not normal:
        return "shelved" if previous == "shelved" else "open"
    if normal:
        return "closed"
    if current == "expired" or current is None:
        return "open"
    return current


def alert_in_status(alert: Alert, status: str, now: int, **changes: Any) -> Alert:
    """The alert in another status, remembering the one it leaves; other changes are made in any case."""
    if status != alert.status:
        changes.update(status=status, previous_status=alert.status, updated_at=now)
        if (status in FINISHED_STATUSES) != (alert.status in FINISHED_STATUSES):
            changes["closed_at"] = now if status in FINISHED_STATUSES else None
    return alert._replace(**changes) if changes else alert


# What one value may hold, so that a store, an answer and a search stay within bounds.
NAME_LIMIT = 500                                     # characters of a name, a tag, a key of an object
TEXT_LIMIT = 100_000                                 # characters of a text
ATTRIBUTES_LIMIT = 200_000                           # characters of an object, as JSON
ITEM_LIMIT = 1000                                    # items of a list or an object


def bounded_object(name: str, value: dict[str, Any]) -> str:
    """The JSON text of an object from outside; Invalid that names it where that is too much."""
    text = pack_object(value)
    if len(text) > ATTRIBUTES_LIMIT:
        raise Invalid(f"{name}: more than {ATTRIBUTES_LIMIT} characters of JSON")
    return text


def merged_attributes(old: str, new: dict[str, Any], drops_old: bool = False) -> str:
    """The attributes with new ones laid over them; null deletes. Where both together are too much, the old ones go, or Invalid.

    Invalid in any case where the new ones alone are too much.
    """
    known = unpack(old)
    if all(isinstance(value, str) and known.get(name) == value for name, value in new.items()):
        return old
    merged = {name: value for name, value in {**known, **new}.items() if value is not None}
    if drops_old and len(pack_object(merged)) > ATTRIBUTES_LIMIT:
        merged = {name: value for name, value in new.items() if value is not None}
    return bounded_object("attributes", merged)


def merged_tags(old: str, new: list[str]) -> str:
    """Every tag once; of too many, the oldest go."""
    known = unpack(old)
    return old if all(tag in known for tag in new) else pack_list(union(known, new)[-ITEM_LIMIT:])


def new_alert(report: AlertReport, now: int) -> Alert:
    """The row that a first report makes, not yet numbered."""
    status = status_after_report(None, None, report.status, report.severity, FIRST_PREVIOUS_SEVERITY)
    correlate = union(report.correlate, [report.event]) if report.correlate else []
    return Alert(
        seq=0, id=report.id, resource=report.resource, event=report.event, environment=report.environment,
        severity=report.severity, correlate=pack_list(correlate), status=status, previous_status=None, before_ack=None,
        before_shelve=None, ack_until=None, shelve_until=None, service=pack_list(report.service),
        group_name=report.group, value=report.value, text=report.text, tags=pack_list(union(report.tags, ())),
        attributes=merged_attributes("{}", report.attributes), origin=report.origin, type=report.type,
        created_at=now if report.created_at is None else report.created_at, timeout=report.timeout,
        raw_data=report.raw_data, customer=report.customer, duplicate_count=0, repeat=0,
        previous_severity=FIRST_PREVIOUS_SEVERITY, trend=severity_trend(FIRST_PREVIOUS_SEVERITY, report.severity),
        received_at=now, last_receive_id=report.id, last_received_at=now, updated_at=now,
        closed_at=now if status in FINISHED_STATUSES else None, due_at=None, superseded=0)


def remembered_timeout(history: list[HistoryEntry], action: str) -> int | None:
    """The timeout of the entry just before the newest ack or shelving that an action undoes; None = it is not known."""
    undone = {"unack": "ack", "unshelve": "shelve"}.get(action)
    places = [place for place, entry in enumerate(history) if entry.type == undone]
    return history[places[-1] - 1].timeout if places and places[-1] > 0 else None


def held_changes(alert: Alert, status: str, until: int | None) -> dict[str, Any]:
    """What to remember when somebody acknowledges or shelves: where to return to, and when."""
    back = "open" if alert.status in FINISHED_STATUSES else alert.status
    if status == "ack" != alert.status:
        return {"before_ack": back, "ack_until": until}
    if status == "shelved" != alert.status:
        return {"before_shelve": back, "shelve_until": until}
    return {}


def decide_report(old: Alert | None, report: AlertReport, now: int) -> Decision:
    """What a report makes of the alert that it concerns, None = of no stored one (spec/alerta.md 3.1)."""
    if old is None:
        return Decision(new_alert(report, now), "new", "first report")
    duplicate = old.event == report.event and old.severity == report.severity
    old_severity = FIRST_PREVIOUS_SEVERITY if duplicate else old.severity
    status = status_after_report(old.status, old.previous_status, report.status, report.severity, old_severity)
    changes = {
        "service": pack_list(report.service), "value": report.value, "text": report.text, "timeout": report.timeout,
        "raw_data": report.raw_data, "tags": merged_tags(old.tags, report.tags),
        "attributes": merged_attributes(old.attributes, report.attributes, drops_old=True),
        "last_receive_id": report.id, "last_received_at": now,
    }
    if report.status != "open":                      # put there by the sender, rather than back there by a rule
        changes.update(held_changes(old, status, None))
    if duplicate:
        changes.update(duplicate_count=old.duplicate_count + 1, repeat=1)
        entry = "status" if status != old.status else "value" if report.value != old.value else None
        return Decision(alert_in_status(old, status, now, **changes), entry, "duplicate")
    changes.update(
        event=report.event, severity=report.severity, created_at=now if report.created_at is None else report.created_at,
        received_at=now, duplicate_count=0, repeat=0, previous_severity=old.severity,
        trend=severity_trend(old.severity, report.severity))
    return Decision(alert_in_status(old, status, now, **changes), "severity", "correlated")


def status_before_blackout(alert: Alert) -> str:
    return alert.previous_status if alert.previous_status not in (None, "blackout") else "blackout"


def outcome_of_action(alert: Alert, action: str) -> tuple[str, str]:
    """(status, severity) after an operator's action; Conflict where it makes no sense (spec/alerta.md 3.4)."""
    outcome = ACTION_OUTCOMES[alert.status, action]
    normal = alert.severity in NORMAL_SEVERITIES
    if normal and (outcome == "stay" or (outcome == "409" and alert.status == "expired")):
        return "closed", "normal"
    if outcome == "409":
        if ACTION_OUTCOMES.get(("open", action)) == alert.status or (action == "open" == alert.status):
            raise Conflict(f"alert is already in {alert.status} status")
        raise Conflict(f"invalid action for current {alert.status} status")
    if outcome == "before":
        return (alert.before_ack if action == "unack" else alert.before_shelve) or "open", alert.severity
    if outcome == "leave":
        return status_before_blackout(alert), alert.severity
    if outcome == "reopen":
        return "open", alert.previous_severity
    if outcome == "recheck":
        worse = alert.previous_severity != FIRST_PREVIOUS_SEVERITY and severity_is_worse(alert.severity, alert.previous_severity)
        return ("open", alert.severity) if worse else ("closed", "normal") if normal else ("ack", alert.severity)
    if outcome == "revive":
        if normal:
            return "closed", alert.severity
        return "shelved" if alert.previous_status == "shelved" else "open", alert.previous_severity
    if outcome == "closed":
        return "closed", "normal"
    return (alert.status if outcome == "stay" else outcome), alert.severity


def hold_timeout(action: str, timeout: int | None, settings: SimpleNamespace) -> int:
    """Seconds that an ack or a shelving lasts; 0 = no end."""
    return timeout or (settings.ack_timeout if action == "ack" else settings.shelve_timeout)


def action_entry_timeout(alert: Alert, action: str, timeout: int | None, settings: SimpleNamespace) -> int:
    """The timeout that the history entry of an action shows (spec/alerta.md 3.5)."""
    if timeout:
        return timeout
    if action in ("ack", "unack"):
        return settings.ack_timeout
    if action in ("shelve", "unshelve"):
        return settings.shelve_timeout
    return alert.timeout or settings.alert_timeout


def decide_action(alert: Alert, action: str, timeout: int | None, now: int, settings: SimpleNamespace) -> Decision:
    """What an action makes of an alert (spec/alerta.md 3.4). Conflict where the action makes no sense now."""
    if action == "expired":
        return Decision(alert_in_status(alert, "expired", now, updated_at=now), "expired", "expired on request")
    if action == "timeout":
        before = alert.before_shelve if alert.status == "shelved" else alert.previous_status
        back = "ack" if before == "ack" != alert.status else "open"
        return Decision(alert_in_status(alert, back, now, updated_at=now), "timeout", "time-out ended")
    if action not in OPERATOR_ACTIONS:
        return Decision(alert._replace(updated_at=now), "action", "no effect on the status")
    status, severity = outcome_of_action(alert, action)
    changes: dict[str, Any] = {"updated_at": now}
    if action in ("ack", "shelve"):
        seconds = hold_timeout(action, timeout, settings)
        changes.update(held_changes(alert, status, now + seconds * 1000 if seconds else None))
    if severity != alert.severity:
        changes.update(severity=severity, previous_severity=alert.severity)
    return Decision(alert_in_status(alert, status, now, **changes), action, "action")


def decide_operator_status(alert: Alert, status: str, timeout: int | None, now: int, settings: SimpleNamespace) -> Decision:
    """What PUT …/status makes of an alert: any known status, whatever it was (spec/alerta.md 1.5).

    A timeout replaces the alert's own; without one the alert keeps it, so that an acknowledgement never expires an
    alert that was due to last longer than the default.
    """
    seconds = {"ack": settings.ack_timeout, "shelved": settings.shelve_timeout}.get(status, 0)
    changes = held_changes(alert, status, now + seconds * 1000 if seconds else None)
    changes.update(updated_at=now, timeout=alert.timeout if timeout is None else timeout)
    return Decision(alert_in_status(alert, status, now, **changes), "status", "set by an operator")


SCOPED_TYPE = "scopedAlert"                          # raised by the Waldur API: it stays until somebody closes it


def retention_ends(alert: Alert, settings: SimpleNamespace) -> int | None:
    """When an alert is old enough to be deleted; None = never (spec/alerta.md 3.7).

    A finished alert is kept from the moment it finished, not from its last report: otherwise one that expires after a
    day would be deleted before anybody could see that it expired.
    """
    ends = []
    if alert.status in FINISHED_STATUSES and settings.delete_expired_after:
        ends.append(max(alert.last_received_at, alert.updated_at) + settings.delete_expired_after * 1000)
    if alert.severity == "informational" and settings.delete_info_after and alert.type != SCOPED_TYPE:
        ends.append(alert.last_received_at + settings.delete_info_after * 1000)
    return min(ends, default=None)


def hold_ends(alert: Alert) -> int | None:
    """When an acknowledgement or a shelving ends; None = it does not."""
    return {"ack": alert.ack_until, "shelved": alert.shelve_until}.get(alert.status)


def silence_ends(alert: Alert) -> int | None:
    """When an alert that is not repeated expires; None = never."""
    return alert.last_received_at + alert.timeout * 1000 if alert.timeout and alert.status != "expired" else None


def alert_deadline(alert: Alert, settings: SimpleNamespace) -> int | None:
    """The next moment at which the timer has something to do for this alert; None = never."""
    ends = (retention_ends(alert, settings), silence_ends(alert), hold_ends(alert))
    return min((end for end in ends if end is not None), default=None)


def kept_due_at(old: int | None, deadline: int | None, now: int) -> int | None:
    """The due_at to store: an earlier look at the row that is still to come is left where it is."""
    if old is not None and now < old and (deadline is None or old <= deadline):
        return old
    return deadline


DELETE = "delete"


def decide_silence(alert: Alert, now: int, settings: SimpleNamespace) -> Decision | str | None:
    """What the timer makes of an alert: a Decision, DELETE, or None = nothing yet."""
    def over(end: int | None) -> bool:
        return end is not None and end <= now

    if over(retention_ends(alert, settings)):
        return DELETE
    if over(silence_ends(alert)):
        return decide_action(alert, "expired", None, now, settings)
    if over(hold_ends(alert)):
        return decide_action(alert, "timeout", None, now, settings)
    return None


def alert_event_type(old: Alert | None, new: Alert) -> str | None:
    """The event that a change of an alert is worth telling people about; None = none."""
    was_active = old is not None and old.status not in FINISHED_STATUSES
    is_active = new.status not in FINISHED_STATUSES
    if is_active and not was_active:
        return "alert_opened"
    if is_active:
        return "alert_severity" if old.severity != new.severity else None
    if not was_active:
        return None
    return "alert_closed" if new.status == "closed" else "alert_expired"


class Note(NamedTuple):
    """A row of notes without its seq."""
    id: str
    alert: int
    text: str
    user: str | None
    attributes: str
    customer: str
    created_at: int
    updated_at: int | None
    seq: int | None = None


# Listening: silence means something only where somebody listened. What is silent is judged by the first sign of life that
# was due while we were listening; one that may have come while we were not proves nothing.

class DeafSpan(NamedTuple):
    """A row of deaf_spans: when nobody could have been heard."""
    seq: int | None
    start_at: int
    end_at: int
    reason: str                                      # stop, crash, boot, sleep, pause, full or jump
    due_at: int | None                               # when it is told of; NULL = it was


class Listening(NamedTuple):
    """Where silence means something: everywhere but in the spans; of cron jobs, not while the clock may be wrong."""
    spans: tuple[DeafSpan, ...] = ()                 # the earliest first
    cron_held: bool = False

    def since(self, moment: int) -> list[DeafSpan]:
        """The spans that ended after a moment."""
        if not self.spans or self.spans[-1].end_at <= moment:
            return []
        return [span for span in self.spans if span.end_at > moment]


ALWAYS = Listening()
SPAN_TEXTS = {"stop": "it was stopped", "crash": "it ended without notice", "boot": "the host started again", "sleep": "the host slept",
              "pause": "it was held", "full": "the disk was full",
              "jump": "the clock was set on, as after a pause of the host"}
STARTS = ("stop", "crash", "boot")                   # the reasons after which alertlite was started
DEAF_AFTER = 7_000                                   # milliseconds without a look at the clock
LONG_SPAN = 30_000                                   # milliseconds from which a span may have swallowed a late sign of life too
MOST_MISSED_SLOTS = 20                               # times due in a row that are excused
MOST_MISSED_RUNS = 3                                 # stretches of runs of a cron check that are excused one after the other
TOLD_SPAN = 60_000                                   # milliseconds from which people are told of a span though nobody is silent


def span_length(span: DeafSpan) -> int:
    return span.end_at - span.start_at


def span_resets(span: DeafSpan, period: int) -> bool:
    """Whether a sender may have begun anew meanwhile, or was silenced for too long to say when it is due. Milliseconds."""
    return span.reason in ("boot", "sleep", "jump") or span_length(span) >= period // 2


def deafening(spans: Iterable[DeafSpan], due: int, early: int, late: int) -> DeafSpan | None:
    """The span in which a sign of life that was due at a moment may have got lost; None = it was to be heard.

    It comes up to `early` before and, as far as a short span can matter, as much after; a long one also swallows one that
    is `late` milliseconds late.
    """
    return next((span for span in spans if span.end_at > due - early
                 and span.start_at < due + (max(early, late) if span_length(span) >= LONG_SPAN else early)), None)


def first_heard(base: int, step: int, late: int, spans: list[DeafSpan]) -> int:
    """Of the times at which a regular sender is due, the first at which it was to be heard. Milliseconds."""
    early = min(max(step // 20, 1000), 60_000)       # how exactly senders keep their time
    due = base + step
    for _ in range(MOST_MISSED_SLOTS):
        span = deafening(spans, due, early, late)
        if span is None:
            break
        due = base + step * max((due - base) // step + 1, -((base - span.end_at - early) // step))
    return due


def silent_from(heard_at: int, period: int, gap: int, grace: int, listening: Listening) -> int:
    """When a sender that promises to be heard within period + grace counts as silent. All in milliseconds.

    gap: between its last two signs of life, 0 = unknown: who promises to come every hour, and comes every ten minutes,
    is due every ten minutes. Where nothing deafened us it is heard_at + period + grace; else it is judged by the first
    time due at which it was to be heard, whether it comes as promised or as it did last.
    """
    spans = listening.since(heard_at)
    if not spans:
        return heard_at + period + grace
    base = max([heard_at, *(span.end_at for span in spans if span_resets(span, period))])
    spans = [span for span in spans if span.end_at > base]
    steps = [period, gap] if 0 < gap < period and base == heard_at else [period]
    late = {step: max(grace, min(period - step, step)) for step in steps}
    deadline = max(base + period + grace, *(first_heard(base, step, late[step], spans) + late[step] for step in steps))
    return min(deadline, listened_for(3 * (period + grace), heard_at, listening))


def listened_for(span: int, since: int, listening: Listening) -> int:
    """When we will have listened for so long since a moment: whoever was not heard in all that time is silent, however often it
    was cut into pieces. Milliseconds."""
    moment = since + span
    for deaf in listening.since(since):
        if deaf.start_at >= moment:
            break
        moment += deaf.end_at - max(deaf.start_at, since)
    return moment


class Heartbeat(NamedTuple):
    """A row of heartbeats with its beat."""
    seq: int
    id: str
    origin: str
    customer: str
    tags: str
    attributes: str
    timeout: int
    silent: int
    due_at: int | None
    created_at: int
    received_at: int
    gap: int


class Beat(NamedTuple):
    """A heartbeat as it was reported, in neutral form."""
    id: str
    origin: str
    customer: str
    tags: list
    attributes: dict
    timeout: int
    created_at: int | None


def heartbeat_deadline(beat: Heartbeat, listening: Listening) -> int | None:
    """When the heartbeat counts as silent; None = never."""
    return silent_from(beat.received_at, beat.timeout * 1000, beat.gap, 0, listening) if beat.timeout else None


def heartbeat_status(beat: Heartbeat, now: int, listening: Listening, max_latency: int) -> str:
    """expired, slow or ok (spec/alerta.md 1.9). max_latency in milliseconds."""
    deadline = heartbeat_deadline(beat, listening)
    if beat.silent or (deadline is not None and now >= deadline):
        return "expired"
    return "slow" if beat.received_at - beat.created_at > max_latency else "ok"


HEARTBEAT_EVENTS = ["HeartbeatFail", "HeartbeatSlow", "HeartbeatOK"]


def attribute_text(attributes: dict, name: str, default: str) -> str:
    """An attribute that stands for a name; the default where it cannot be one."""
    value = attributes.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= NAME_LIMIT else default


def heartbeat_report(beat: Heartbeat, event: str, severity: str, value: str, text: str, settings: SimpleNamespace) -> AlertReport:
    """The alert about a heartbeat, with the fields that `alerta heartbeats --alert` would post (spec/alerta.md 3.8).

    It has no timeout: a host that is still silent must not drop off the list by itself.
    """
    attributes = unpack(beat.attributes)
    service = attributes.get("service")
    service = service if isinstance(service, list) else [service] if isinstance(service, str) else ["Alerta"]
    named = attribute_text(attributes, "severity", "major")
    return AlertReport(
        id=new_id(), resource=beat.origin, event=event,
        environment=attribute_text(attributes, "environment", settings.default_environment),
        severity=severity or (named if named in SEVERITIES and named not in NORMAL_SEVERITIES else "major"),
        status="open", correlate=HEARTBEAT_EVENTS,
        service=[item for item in service if isinstance(item, str) and 0 < len(item) <= NAME_LIMIT][:ITEM_LIMIT],
        group=attribute_text(attributes, "group", "System"),
        value=value, text=text, tags=unpack(beat.tags),
        attributes={name: value for name, value in attributes.items()
                    if name not in ("environment", "severity", "service", "group")},
        origin=program_origin(), type="heartbeatAlert", created_at=None, timeout=0, raw_data=None, customer=beat.customer)


@lru_cache(maxsize=1)
def program_origin() -> str:
    """The origin of what names none: alertlite/<host name>."""
    return f"alertlite/{socket.gethostname()}"


# When a cron job is due. croniter finds the times of a day; what is below makes that behave as Debian's cron does.

CRON_WORDS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
              "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}
CRON_FIELDS = (                                      # lowest, highest, names of the values from the lowest on
    (0, 59, ()), (0, 23, ()), (1, 31, ()),
    (1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")),
    (0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")))
CRON_TERM = re.compile(r"(?:\*|([0-9A-Z]{1,3})(?:-([0-9A-Z]{1,3}))?)(?:/([0-9]{1,4}))?")
CRON_LONGEST = 100                                   # characters of an expression

# Zones that have another name today: the name that is used, then those that it replaces.
ZONE_NAMES = """
    Africa/Abidjan Africa/Timbuktu Iceland; Africa/Cairo Egypt; Africa/Nairobi Africa/Asmera; Africa/Tripoli Libya; America/Adak America/Atka
    US/Aleutian; America/Anchorage US/Alaska; America/Argentina/Buenos_Aires America/Buenos_Aires; America/Argentina/Catamarca
    America/Argentina/ComodRivadavia America/Catamarca; America/Argentina/Cordoba America/Cordoba America/Rosario; America/Argentina/Jujuy
    America/Jujuy; America/Argentina/Mendoza America/Mendoza; America/Chicago CST6CDT US/Central; America/Denver America/Shiprock MST7MDT Navajo
    US/Mountain; America/Detroit US/Michigan; America/Edmonton America/Yellowknife Canada/Mountain; America/Halifax Canada/Atlantic; America/Havana
    Cuba; America/Indiana/Indianapolis America/Fort_Wayne America/Indianapolis US/East-Indiana; America/Indiana/Knox America/Knox_IN
    US/Indiana-Starke; America/Iqaluit America/Pangnirtung; America/Jamaica Jamaica; America/Kentucky/Louisville America/Louisville;
    America/Los_Angeles PST8PDT US/Pacific; America/Manaus Brazil/West; America/Mazatlan Mexico/BajaSur; America/Mexico_City Mexico/General;
    America/New_York EST5EDT US/Eastern; America/Noronha Brazil/DeNoronha; America/Nuuk America/Godthab; America/Panama America/Coral_Harbour EST;
    America/Phoenix MST US/Arizona; America/Puerto_Rico America/Virgin; America/Regina Canada/Saskatchewan; America/Rio_Branco America/Porto_Acre
    Brazil/Acre; America/Santiago Chile/Continental; America/Sao_Paulo Brazil/East; America/St_Johns Canada/Newfoundland; America/Tijuana
    America/Ensenada America/Santa_Isabel Mexico/BajaNorte; America/Toronto America/Montreal America/Nipigon America/Thunder_Bay Canada/Eastern;
    America/Vancouver Canada/Pacific; America/Whitehorse Canada/Yukon; America/Winnipeg America/Rainy_River Canada/Central; Asia/Ashgabat
    Asia/Ashkhabad; Asia/Dhaka Asia/Dacca; Asia/Ho_Chi_Minh Asia/Saigon; Asia/Hong_Kong Hongkong; Asia/Jerusalem Asia/Tel_Aviv Israel;
    Asia/Kathmandu Asia/Katmandu; Asia/Kolkata Asia/Calcutta; Asia/Macau Asia/Macao; Asia/Makassar Asia/Ujung_Pandang; Asia/Nicosia Europe/Nicosia;
    Asia/Seoul ROK; Asia/Shanghai Asia/Chongqing Asia/Chungking Asia/Harbin PRC; Asia/Singapore Singapore; Asia/Taipei ROC; Asia/Tehran Iran;
    Asia/Thimphu Asia/Thimbu; Asia/Tokyo Japan; Asia/Ulaanbaatar Asia/Choibalsan Asia/Ulan_Bator; Asia/Urumqi Asia/Kashgar; Asia/Yangon
    Asia/Rangoon; Atlantic/Faroe Atlantic/Faeroe; Australia/Adelaide Australia/South; Australia/Brisbane Australia/Queensland; Australia/Broken_Hill
    Australia/Yancowinna; Australia/Darwin Australia/North; Australia/Hobart Australia/Currie Australia/Tasmania; Australia/Lord_Howe Australia/LHI;
    Australia/Melbourne Australia/Victoria; Australia/Perth Australia/West; Australia/Sydney Australia/ACT Australia/Canberra Australia/NSW; Etc/GMT
    GMT+0 GMT-0 GMT0 Greenwich; Etc/UTC UCT Universal Zulu; Europe/Athens EET; Europe/Berlin Atlantic/Jan_Mayen; Europe/Brussels CET MET;
    Europe/Chisinau Europe/Tiraspol; Europe/Dublin Eire; Europe/Istanbul Asia/Istanbul Turkey; Europe/Kyiv Europe/Kiev Europe/Uzhgorod
    Europe/Zaporozhye; Europe/Lisbon Portugal WET; Europe/London Europe/Belfast GB GB-Eire; Europe/Moscow W-SU; Europe/Warsaw Poland;
    Pacific/Auckland Antarctica/South_Pole NZ; Pacific/Chatham NZ-CHAT; Pacific/Easter Chile/EasterIsland; Pacific/Guadalcanal Pacific/Ponape;
    Pacific/Honolulu HST Pacific/Johnston US/Hawaii; Pacific/Kanton Pacific/Enderbury; Pacific/Kwajalein Kwajalein; Pacific/Pago_Pago Pacific/Samoa
    US/Samoa; Pacific/Port_Moresby Pacific/Truk Pacific/Yap"""
CURRENT_ZONE = {old: names.split()[0] for names in ZONE_NAMES.split(";") for old in names.split()[1:]}


LAST, LAST_WEEKDAY = 32, 33                          # among the days of a month; (weekday, LAST) is the last such weekday


class Cron(NamedTuple):
    """A cron expression, read."""
    times: str                                       # minutes and hours of a day, for croniter
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[tuple[int, int]]             # (weekday from Sunday = 0, which one of the month; 0 = any)
    either_day: bool                                 # a day of the month or a weekday is enough: none begins with *
    is_fixed: bool                                   # neither minute nor hour begins with *: a time of day


def cron_value(text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    value = names.index(text) + low if text in names else int(text) if text.isdigit() else -1
    if not low <= value <= high:
        raise ValueError(f"{text} is not between {low} and {high}")
    return value


def cron_values(field: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    """The numbers that a field of lists, ranges and steps stands for; ValueError."""
    values: set[int] = set()
    for term in field.split(","):
        match = CRON_TERM.fullmatch(term)
        if not match:
            raise ValueError(f"{term!r} cannot be read")
        first, last, step = match.groups()
        start = low if first is None else cron_value(first, low, high, names)
        end = cron_value(last, low, high, names) if last else start
        if first is None or step and end == start:   # n/s means from n on; so does n-n/s, to Healthchecks
            end = high
        if end < start or step and int(step) == 0:
            raise ValueError(f"{term!r} is empty")
        values.update(range(start, end + 1, int(step or 1)))
    return values


def cron_days(field: str) -> set[int]:
    """The days of a month that a field names, LAST and LAST_WEEKDAY among them."""
    special = {"L": LAST, "LW": LAST_WEEKDAY}
    terms = field.split(",")
    plain = ",".join(term for term in terms if term not in special)
    return {special[term] for term in terms if term in special} | (cron_values(plain, *CRON_FIELDS[2]) if plain else set())


def cron_weekdays(field: str) -> set[tuple[int, int]]:
    """The weekdays that a field names, each with which one of the month it is: 2 or WED, 2#1 the first, 2L the last."""
    found = set()
    for term in field.split(","):
        nth = re.fullmatch(r"([0-9A-Z]+)(?:(L)|#([1-5]))", term)
        place = 0 if not nth else LAST if nth[2] else int(nth[3])
        found |= {(value % 7, place) for value in cron_values(nth[1] if nth else term, *CRON_FIELDS[4])}
    return found


@lru_cache(maxsize=512)
def parse_cron(text: str) -> Cron:
    """A cron expression: five fields, or @hourly to @yearly (spec/healthchecks.md 5.8). ValueError for anything else."""
    if len(text) > CRON_LONGEST or not text.isascii() or not text.isprintable():
        raise ValueError("too long, or not plain text")
    text = text.strip(" ")
    fields = CRON_WORDS.get(text, text).upper().split()
    if len(fields) != 5:
        raise ValueError("not five fields")
    minute, hour, day, month, weekday = fields
    times = " ".join(",".join(map(str, sorted(cron_values(field, *rule)))) for field, rule in zip(fields[:2], CRON_FIELDS))
    return Cron(f"{times} * * *", frozenset(cron_days(day)), frozenset(cron_values(month, *CRON_FIELDS[3])),
                frozenset(cron_weekdays(weekday)), either_day=not (day.startswith("*") or weekday.startswith("*")),
                is_fixed=not (minute.startswith("*") or hour.startswith("*")))


def is_cron_day(cron: Cron, day: date) -> bool:
    """Whether jobs run on a day. Both day fields must fit where one begins with *, else one of them."""
    weekday = day.isoweekday() % 7
    by_date = day.day in cron.days or LAST in cron.days and (day + timedelta(days=1)).day == 1 \
        or LAST_WEEKDAY in cron.days and is_last_weekday(day)
    by_weekday = not cron.weekdays.isdisjoint({(weekday, 0), (weekday, (day.day + 6) // 7)}) \
        or (weekday, LAST) in cron.weekdays and (day + timedelta(days=7)).month != day.month
    return (by_date or by_weekday) if cron.either_day else by_date and by_weekday


def is_last_weekday(day: date) -> bool:
    """Whether it is a weekday, and no other follows in its month."""
    return day.isoweekday() < 6 and (day + timedelta(days=3 if day.isoweekday() == 5 else 1)).month != day.month


def cron_days_from(cron: Cron, first: date) -> Iterable[date]:
    """The days on which jobs run, from the first on; none where it is none for fifty years."""
    day, last = first, first + timedelta(days=50 * 366)
    while day < last:
        if day.month not in cron.months:
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            continue
        if is_cron_day(cron, day):
            yield day
            last = day + timedelta(days=50 * 366)
        day += timedelta(days=1)


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    """The time zones that this host knows; only UTC where it has no time zone database."""
    return frozenset(zoneinfo.available_timezones() - {"Factory", "localtime", "posixrules"}) | {"UTC"}


def parse_zone(name: str) -> str:
    """The name that a zone has today; ValueError for none, with a reason where the host is to blame."""
    name = CURRENT_ZONE.get(name, name)
    if name in known_zones():
        return name
    missing = "; this host has no time zone database, so only UTC can be used" if len(known_zones()) == 1 else ""
    raise ValueError("tz is not a valid timezone" + missing)


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    return timezone.utc if name == "UTC" else zoneinfo.ZoneInfo(name)


def next_run(schedule: str, tz: str, after: int) -> int | None:
    """The first time after a moment at which Debian's cron would run a job; None = never again. Milliseconds.

    A job at a time of day runs once when the clock goes back, and at the first minute that exists when it goes forward;
    one with * as its minute or hour goes by real time (spec/healthchecks.md 5.8).
    """
    run = _next_run(schedule, tz, wall_time(after) // 60_000)
    return None if run is None else our_time(run)


@lru_cache(maxsize=4096)
def _next_run(schedule: str, tz: str, minute: int) -> int | None:
    try:
        cron, zone = parse_cron(schedule), zone_of(tz)
    except (KeyError, OSError):                      # it came with a database from a host that knows more zones
        log(3, f"this host does not know the time zone {tz}: its checks are not judged; install tzdata")
        return None
    after = datetime.fromtimestamp(minute * 60, timezone.utc)
    run = next_fixed_run(cron, zone, after) if cron.is_fixed else next_wildcard_run(cron, zone, after)
    return run and int(run.timestamp()) * 1000


def local_runs(cron: Cron, after: datetime) -> Iterable[datetime]:
    """The times after a local one that the expression names, on a clock that is never set; ends where none follows.

    croniter is only asked for the times of a day: of days it misses some, such as the 1st of March where the 31st is
    also named, and it knows no last weekday.
    """
    for day in cron_days_from(cron, after.date()):
        midnight = datetime(day.year, day.month, day.day)
        times = croniter.croniter(cron.times, max(after, midnight - timedelta(minutes=1)))
        while (run := times.get_next(datetime)) < midnight + timedelta(days=1):
            yield run


def next_fixed_run(cron: Cron, zone: tzinfo, after: datetime) -> datetime | None:
    """Once at each local time that is named: the first time where it comes twice, the first minute after a gap."""
    for run in local_runs(cron, after.astimezone(zone).replace(tzinfo=None)):
        moment = run.replace(tzinfo=zone).astimezone(timezone.utc)
        if moment.astimezone(zone).replace(tzinfo=None) != run:      # in a gap, where Python goes on with the old offset
            moment = first_change(zone, moment - timedelta(hours=26), moment)
        if moment > after:
            return moment
    return None


def next_wildcard_run(cron: Cron, zone: tzinfo, after: datetime) -> datetime | None:
    """By real time: each stretch of time in which the clock is not set is searched on its own."""
    start, offset = after, offset_at(zone, after)
    while run := next(iter(local_runs(cron, (after + offset).replace(tzinfo=None))), None):
        moment = run.replace(tzinfo=timezone.utc) - offset
        change = first_change(zone, start, moment)
        if change is None:
            return moment
        start, after, offset = change, change - timedelta(minutes=1), offset_at(zone, change)
    return None


def offset_at(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset()


def first_change(zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """The first minute after start, up to end, from which the zone's clock is another one; None where it is not set."""
    offset = offset_at(zone, start)
    for minutes in (1440, 60, 1):
        step = timedelta(minutes=minutes)
        while start + step <= end and offset_at(zone, start + step) == offset:
            start += step
    return start + timedelta(minutes=1) if start < end else None


# Checks: jobs that promise to ping.

class Check(NamedTuple):
    """A row of checks: same fields, same order."""
    seq: int
    code: str
    badge_key: str
    unique_key: str
    customer: str
    name: str
    slug: str
    tags: str
    description: str
    kind: str
    timeout: int
    grace: int
    schedule: str
    tz: str
    methods: str
    manual_resume: int
    start_kw: str
    success_kw: str
    failure_kw: str
    filter_subject: int
    filter_body: int
    filter_http_body: int
    filter_default_fail: int
    status: str
    n_pings: int
    last_ping_at: int | None
    last_start_at: int | None
    last_start_rid: str | None
    last_duration: int | None
    next_at: int | None
    down_at: int | None
    alert: str | None
    created_at: int
    due_at: int | None
    gap: int


class Ping(NamedTuple):
    """A row of pings: same fields, same order."""
    check_seq: int
    n: int
    kind: str
    created_at: int
    scheme: str
    method: str
    remote_addr: str | None
    user_agent: str
    rid: str | None
    exit_status: int | None
    body: bytes | None


class Flip(NamedTuple):
    """A row of flips: same fields, same order."""
    seq: int | None
    check_seq: int
    old_status: str
    new_status: str
    created_at: int
    reason: str
    down_seconds: int | None
    missed_runs: int | None


class Project(NamedTuple):
    """A row of projects: what the checks of one customer have in common."""
    customer: str
    ping_key: str
    badge_key: str
    badge_secret: str


class Receiver(NamedTuple):
    """A row of receivers: same fields, same order."""
    seq: int
    id: str
    customer: str
    type: str
    name: str
    address_data: str
    created_at: int
    fallback: str
    remind_every: int
    due_at: int | None


DEFAULT_TIMEOUT, DEFAULT_GRACE = 86_400, 3600        # seconds
MOST_MISSED = 100                                    # missed runs that are counted
LONGEST_RUN = 72 * 3_600_000                         # milliseconds between a start and the end that is taken for its end
CRON_JITTER = 15_000                                 # milliseconds around its run at which a job's ping usually comes


def unique_key_of(code: str) -> str:
    """What a read-only key sees instead of a check's code (spec/healthchecks.md 2.1)."""
    return hashlib.sha1(code.replace("-", "")[:16].encode(), usedforsecurity=False).hexdigest()


def choose_receivers(known: list[Receiver], text: str) -> list[int]:
    """The seq of the receivers that `channels` of a check names by id or name; * means all (spec/healthchecks.md 3.4).

    Invalid where one does not exist, or several have the name.
    """
    if text in ("", "*"):
        return [receiver.seq for receiver in known] if text else []
    chosen: dict[int, None] = {}
    for item in text.split(","):
        found = [receiver.seq for receiver in known if item == receiver.id] or [receiver.seq for receiver in known if item == receiver.name]
        if len(found) != 1 or not item:
            problem = "empty channel identifier" if not item else f"{'non-unique' if found else 'invalid'} channel identifier: {item}"
            raise Invalid(problem)
        chosen[found[0]] = None
    return list(chosen)


def new_check(customer: str, changes: dict[str, Any], now: int) -> Check:
    """A check as it is before its first ping, not yet numbered."""
    code = new_secret_id()
    blank = Check(
        seq=0, code=code, badge_key=new_secret_id(), unique_key=unique_key_of(code), customer=customer, name="", slug="", tags="",
        description="", kind="simple", timeout=DEFAULT_TIMEOUT, grace=DEFAULT_GRACE, schedule="* * * * *", tz="UTC", methods="",
        manual_resume=0, start_kw="", success_kw="", failure_kw="", filter_subject=0, filter_body=0, filter_http_body=0,
        filter_default_fail=0, status="new", n_pings=0, last_ping_at=None, last_start_at=None, last_start_rid=None,
        last_duration=None, next_at=None, down_at=None, alert=None, created_at=now, due_at=None, gap=0)
    return blank._replace(**changes)


def changed_check(check: Check, changes: dict[str, Any]) -> Check:
    """The check with other settings; where its schedule is another, it waits for the next run of that."""
    changed = check._replace(**changes)
    if (changed.kind, changed.schedule, changed.tz) == (check.kind, check.schedule, check.tz) or check.last_ping_at is None:
        return changed
    return changed._replace(next_at=next_run(changed.schedule, changed.tz, check.last_ping_at) if changed.kind == "cron" else None)


def check_tags(check: Check) -> list[str]:
    return [tag for tag in (piece.strip() for piece in check.tags.split(" ")) if tag]


def check_title(check: Check) -> str:
    """What a check is called where it has no name; never its code, which is a secret."""
    return check.name or check.slug or f"check {check.unique_key[:8]}"


def check_slot(check: Check, listening: Listening) -> int | None:
    """When the ping that a check which is up is judged by is due; None = it waits for none (spec/healthchecks.md 5.3)."""
    if check.status != "up":
        return None
    if check.kind == "simple":
        return silent_from(check.last_ping_at, check.timeout * 1000, check.gap, check.grace * 1000, listening) - check.grace * 1000
    return None if check.next_at is None or listening.cron_held else heard_run(check, check.next_at, listening)


def heard_run(check: Check, run: int | None, listening: Listening) -> int | None:
    """The first run of a cron check, from this one on, whose ping was to be heard: a run that we may have missed is not judged,
    but not for ever."""
    spans = listening.since(run - CRON_JITTER)
    for _ in range(MOST_MISSED_RUNS if spans else 0):
        span = deafening(spans, run, CRON_JITTER, check.grace * 1000)
        if span is None:
            break
        run = next_run(check.schedule, check.tz, max(run, span.end_at))
        if run is None:
            break
    return run


def run_limit(check: Check, listening: Listening) -> int | None:
    """When a run that is under way must have ended; None = there is none. Where its end may have been missed, a check that is
    up is judged by its next ping instead, and any other one as if the run had begun when we could hear again."""
    started = check.last_start_at
    if started is None:
        return None
    missed = [span for span in listening.since(started) if span.start_at < started + check.grace * 1000]
    if missed and check.status == "up":
        return None
    return max([started, *(span.end_at for span in missed)]) + check.grace * 1000


def check_deadline(check: Check, listening: Listening) -> int | None:
    """When a check goes down unless it is heard from; None = it cannot (spec/healthchecks.md 5.4)."""
    slot = check_slot(check, listening)
    ends = (None if slot is None else slot + check.grace * 1000, None if check.status == "down" else run_limit(check, listening))
    return min((end for end in ends if end is not None), default=None)


def grace_start(check: Check, listening: Listening) -> int | None:
    """When the grace time of a check begins: at its next ping or, while a run is under way, at the start of that."""
    deadline = check_deadline(check, listening)
    return None if deadline is None else deadline - check.grace * 1000


def check_status(check: Check, now: int, listening: Listening) -> str:
    """new, up, grace, down or paused, as of now (spec/healthchecks.md 5.2)."""
    limit, slot = run_limit(check, listening), check_slot(check, listening)
    if limit is not None and now >= limit:
        return "down"
    if slot is None or now < slot:
        return check.status
    return "down" if now >= slot + check.grace * 1000 else "grace"


def keyword_hits(keywords: str, text: str) -> bool:
    return any(word in text for word in (part.strip() for part in keywords.split(",")) if word)


def ping_kind(check: Check, action: str, method: str, body: bytes) -> str:
    """What a ping counts as: success, fail, start, log, or ign = nothing (spec/healthchecks.md 4.7)."""
    if check.status == "paused" and check.manual_resume:
        return "ign"
    if check.methods == "POST" and method != "POST":
        return "ign"
    if not check.filter_http_body:
        return action
    text = body.decode("utf-8", "replace")
    for keywords, kind in ((check.failure_kw, "fail"), (check.success_kw, "success"), (check.start_kw, "start")):
        if keyword_hits(keywords, text):
            return kind
    return "fail" if check.filter_default_fail else "ign"


def next_slot(check: Check, now: int, tolerance: int) -> int | None:
    """The run that a cron check waits for after a success.

    A ping up to tolerance milliseconds before the run that is due next counts for that run, but never more than a quarter
    of the time to the run after. One that comes late, for the run before, does not count for the next as well.
    """
    if check.kind != "cron":
        return None
    coming = next_run(check.schedule, check.tz, now)
    awaited = check.next_at if check.status == "up" else None
    if coming is None or (awaited is not None and awaited <= now) or check.status == "down":
        return coming
    if awaited is not None and awaited > coming:     # the coming one is counted already
        return awaited
    if coming - now > tolerance:
        return coming
    following = next_run(check.schedule, check.tz, coming)
    return following if following is not None and coming - now <= (following - coming) // 4 else coming


def sender_gap(before: int | None, now: int, longest: int) -> int:
    """Milliseconds between two signs of life; 0 where they lie further apart than promised: something went missing between
    them. longest in seconds."""
    return now - before if before is not None and 0 < now - before <= longest * 1000 else 0


def check_after_ping(check: Check, kind: str, rid: str | None, now: int, tolerance: int) -> Check:
    """What a ping makes of a check (spec/healthchecks.md 5.5). Its count goes up in any case."""
    counted: dict[str, Any] = {"n_pings": check.n_pings + 1}
    if kind == "start":
        return check._replace(**counted, last_start_at=now, last_start_rid=rid)
    if kind not in ("success", "fail"):
        return check._replace(**counted)
    belongs = check.last_start_at is not None and rid == check.last_start_rid
    if belongs or kind == "fail" or rid is None:
        counted.update(last_start_at=None, last_start_rid=None)
    duration = max(0, now - check.last_start_at) if belongs else None
    counted.update(gap=sender_gap(check.last_ping_at, now, check.timeout + check.grace))
    if kind == "fail":
        return check._replace(**counted, status="down", last_ping_at=now, last_duration=duration, next_at=None,
                              down_at=check.down_at if check.status == "down" else now)
    return check._replace(**counted, status="up", last_ping_at=now, last_duration=duration, down_at=None,
                          next_at=next_slot(check, now, tolerance))


def missed_runs(check: Check, now: int) -> int:
    """How many runs of a check did not report in time before now; MOST_MISSED means that many or more. Runs of a cron
    check are counted on the local clock, from the one that it was waiting for."""
    if check.last_ping_at is None:
        return 0
    last_slot = now - check.grace * 1000
    if check.kind == "simple":
        return max(0, min((last_slot - check.last_ping_at) // (check.timeout * 1000), MOST_MISSED))
    zone = zone_of(check.tz)
    first = check.last_ping_at if check.next_at is None else check.next_at - 1000
    after, last = (datetime.fromtimestamp(wall_time(ms) // 1000, timezone.utc).astimezone(zone).replace(tzinfo=None) for ms in (first, last_slot))
    runs = itertools.takewhile(lambda run: run <= last, local_runs(parse_cron(check.schedule), after))
    return sum(1 for _ in itertools.islice(runs, MOST_MISSED))


def flip_of(old: Check, new: Check, at: int, reason: str, now: int) -> Flip | None:
    """The change of status from one check to the other; None = there is none. A recovery knows what it ends."""
    if old.status == new.status:
        return None
    recovers = old.status == "down" and new.status == "up"
    return Flip(None, old.seq, old.status, new.status, at, reason,
                max(0, now - old.down_at) // 1000 if recovers and old.down_at is not None else None,
                missed_runs(old, now) if recovers else None)


def ping_durations(pings: list[Ping]) -> dict[int, int]:
    """n -> milliseconds since the start that a success or failure ends; pings in order (spec/healthchecks.md 3.9)."""
    starts: dict[str | None, int] = {}
    durations = {}
    for ping in pings:
        if ping.kind == "start":
            starts[ping.rid] = ping.created_at
        elif ping.kind in ("success", "fail") and ping.rid in starts:
            took = ping.created_at - starts.pop(ping.rid)
            if 0 <= took < LONGEST_RUN:
                durations[ping.n] = took
    return durations


CHECK_EVENTS = ["CheckDown", "CheckUp"]


def span_text(seconds: int) -> str:
    """A length of time as people say it: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min" if minutes and not days else ""]
    return " ".join(filter(None, parts)) or f"{seconds} s"


def utc_text(ms: int) -> str:
    """A time for people: 2030-01-01 02:00 UTC."""
    return f"{text_from_ms(ms)[:16].replace('T', ' ')} UTC"


def down_text(check: Check, reason: str, listening: Listening) -> str:
    """Why a check is down, for people. check: as it was before."""
    last = f"last ping {utc_text(check.last_ping_at)}" if check.last_ping_at is not None else "never pinged before"
    if reason == "fail":
        return f"the job reported a failure; {last}"
    slot, limit, started = check_slot(check, listening), run_limit(check, listening), check.last_start_at
    if limit is not None and (slot is None or started < slot):
        return f"started {utc_text(started)} and not finished within {span_text(check.grace)}; {last}"
    return f"no ping since it was due {utc_text(slot)}, {span_text(check.grace)} of grace are over; {last}"


def up_text(flip: Flip) -> str:
    """How long a check was down and what it missed, for people."""
    missed = flip.missed_runs or 0
    count = "" if not missed else f"; {missed}{' or more' if missed == MOST_MISSED else ''} run{'s' if missed > 1 else ''} missed"
    return f"up again after {span_text(flip.down_seconds or 0)}{count}"


def deafness_messages(spans: list[DeafSpan], back: int, silent: list[str]) -> dict[str, Any]:
    """What to say of a time of not listening: since when, why, and who has been heard since."""
    total = sum(map(span_length, spans))             # 0 where the host started with a clock that cannot be right
    length = span_text(total // 1000) if total >= 1000 else "an unknown time"
    places = 16 if spans[-1].end_at - spans[0].start_at >= 600_000 else 19               # to the minute, or to the second
    start, end = (text_from_ms(ms)[:places].replace("T", " ") for ms in (spans[0].start_at, spans[-1].end_at))
    when = f"{start} – {end[11:] if start[:10] == end[:10] else end} UTC"
    times = f"{len(spans)} times, together " if len(spans) > 1 else ""
    why = "; ".join(dict.fromkeys(SPAN_TEXTS[span.reason] for span in spans))
    lines = [f"Not listening {when} ({times}{length}): {why}."]
    if back or silent:
        lines.append(f"Back: {back} of {back + len(silent)}." if silent else f"All {back} that were due since are back.")
    if silent:
        more = f" and {len(silent) - 20} more" if len(silent) > 20 else ""
        lines.append(f"Still silent: {', '.join(silent[:20])}{more}.")
    return {"title": f"Was not listening for {length}" + (f"; {len(silent)} still silent" if silent else ""), "text": "\n".join(lines),
            "state": "down" if silent else "info"}


def check_report(check: Check, title: str, event: str, severity: str, text: str, environment: str) -> AlertReport:
    """The alert about a check. It has no timeout: a job that is still silent must not drop off the list by itself."""
    return AlertReport(
        id=new_id(), resource=title, event=event, environment=environment, severity=severity, status="open",
        correlate=CHECK_EVENTS, service=["Checks"], group="Checks", value="up" if event == "CheckUp" else "down", text=text,
        tags=check_tags(check)[:ITEM_LIMIT], attributes={"check": check.unique_key}, origin=program_origin(), type="checkAlert",
        created_at=None, timeout=0, raw_data=None, customer=check.customer)


class Event(NamedTuple):
    """A row of events: same fields, same order."""
    seq: int
    id: str
    type: str
    customer: str
    happened_at: int
    alert: str | None
    messages: str
    suppressed: str | None


class EventType(NamedTuple):
    """A row of event_types without its seq: same fields, same order."""
    name: str
    display_name: str
    description: str
    default_receiver_types: str
    hidden_receiver_types: str
    hide_ui_config: int
    feature_flag: str


class Notice(NamedTuple):
    """One event that is owed to a receiver, or was: a row of outbox with its event."""
    seq: int
    receiver: int
    state: str
    attempts: int
    waited: int
    last_error: str | None
    marked_at: int | None
    event: Event


class Message(NamedTuple):
    """What a receiver is told: about one event, about several of one thing, or a list of things."""
    key: str                       # the same whenever the same is sent again
    state: str                     # down, up or info
    subject: str
    text: str
    severity: str
    happened_at: int               # of the last event in it
    link: str
    notices: tuple[Notice, ...]


MOST_SINGLE = 10                                     # messages that may wait for one receiver; more become one list
MOST_LISTED = 100                                    # events in one message


SILENT_STATUSES = frozenset({"shelved", "blackout"})


def suppression(status: str, event_type: str, opening_was_told: bool) -> str | None:
    """Why nobody is to be told of a change of an alert, which is in this status now; None = tell. The place for every
    planned silence.

    What is shelved or blacked out makes no noise; its end is told where its beginning was.
    """
    if event_type in ENDINGS:
        return None if opening_was_told else "its beginning was not told"
    return status if status in SILENT_STATUSES else None


def event_subject(event: Event) -> tuple[str, str]:
    """What an event is about, so that a beginning finds its end; an event of its own where there is no such thing."""
    details = unpack(event.messages)
    if "check" in details:
        return "check", details["check"]
    if event.alert:
        return "alert", event.alert
    if event.type.startswith("heartbeat_"):
        return "heartbeat", f"{event.customer}/{details.get('resource')}"
    return "event", event.id


def event_state(event: Event) -> str:
    """down, up or info: trouble that begins or grows, trouble that ends, and what is only worth knowing."""
    details = unpack(event.messages)
    if details.get("state") in ("down", "up", "info"):
        return details["state"]
    severity, was = details.get("severity"), (details.get("was") or {}).get("severity")
    if event.type in ("alert_opened", "alert_severity") and severity in SEVERITIES and (
            SEVERITIES[severity][0] >= SEVERITIES["informational"][0] or event.type == "alert_severity" and severity_is_worse(was, severity)):
        return "info"
    return "up" if event.type in ENDINGS else "info" if event.type not in EVENT_TYPES or event.type in (
        "user_test", "config_changed") else "down"


def event_title(event: Event) -> str:
    """What happened, in a few words: the subject of a mail."""
    details = unpack(event.messages)
    what = " ".join(str(details[name]) for name in ("resource", "event") if details.get(name) and event.type != "check_down")
    severity = details.get("severity") or ""
    was = (details.get("was") or {}).get("severity")
    return {
        "alert_opened": f"{severity.upper()}: {what}", "alert_severity": f"{severity.upper()} (was {was}): {what}",
        "alert_closed": f"CLOSED: {what}", "alert_expired": f"EXPIRED: {what}",
        "heartbeat_expired": f"SILENT: {details.get('resource')}", "heartbeat_ok": f"HEARD AGAIN: {details.get('resource')}",
        "check_down": f"DOWN: {details.get('resource')}", "check_up": f"UP: {details.get('resource')}",
        "user_test": "TEST: a message from alertlite", "reminder": details.get("title") or "REMINDER",
    }.get(event.type) or str(details.get("title") or event.type)


def event_text(event: Event, link: str) -> str:
    """What somebody who is woken by it needs to know: what, where, since when, how long, what it was before, and a link."""
    details = unpack(event.messages)
    was = details.get("was") or {}
    since = details.get("since")
    ended = event.type in ENDINGS and isinstance(since, int)
    lines = [
        details.get("text"), f"Value: {details['value']}" if details.get("value") else None,
        f"Where: {details['environment']}" + (f", {', '.join(details['service'])}" if details.get("service") else "")
        if details.get("environment") else None,
        f"It was {was['severity']} and {was['status']} before." if was.get("severity") and event.type in ("alert_severity", *ENDINGS) else None,
        f"It lasted {span_text(max(0, event.happened_at - since) // 1000)}, since {utc_text(since)}." if ended and event.type != "check_up" else None,
        f"Tags: {', '.join(details['tags'])}" if details.get("tags") else None,
        f"Time: {utc_text(event.happened_at)}", link or None,
    ]
    return "\n".join(str(line) for line in lines if line)


def message_of(notices: tuple[Notice, ...], base: str) -> Message:
    """The message about one thing. Where several of its events still wait, it tells the last one, and what went before."""
    event = notices[-1].event
    details = unpack(event.messages)
    link = f"{base}/alert/{event.alert}" if event.alert else ""
    title, text = event_title(event), event_text(event, link)
    if len(notices) > 1:
        first = notices[0].event
        text += "\nBefore that, not told until now:\n" + "\n".join(
            f"  {utc_text(notice.event.happened_at)} {event_title(notice.event)}" for notice in notices[:-1][-20:])
        if event.type in ENDINGS and first.type not in ENDINGS:
            title += f" (lasted {span_text(max(0, event.happened_at - first.happened_at) // 1000)})"
    return Message(event.id if len(notices) == 1 else f"{notices[0].event.id}+{event.id}", event_state(event), title, text,
                   details.get("severity") or "", event.happened_at, link, notices)


def list_message(messages: list[Message]) -> Message:
    """One message in place of many, that names them all."""
    notices = tuple(notice for message in messages for notice in message.notices)
    worst = "down" if any(message.state == "down" for message in messages) else messages[-1].state
    lines = [f"{utc_text(message.happened_at)} {message.subject}" for message in messages]
    return Message(f"{messages[0].key}-{messages[-1].key}", worst, f"{len(messages)} messages, the first: {messages[0].subject}",
                   "\n".join(lines), "", messages[-1].happened_at, "", notices)


def plan_messages(notices: list[Notice], base: str) -> list[Message]:
    """How what waits for one receiver is told, in order: events of one thing together, and too many as one list."""
    groups: dict[tuple[str, str], list[Notice]] = {}
    for notice in notices[:MOST_LISTED]:
        groups.setdefault(event_subject(notice.event), []).append(notice)
    messages = [message_of(tuple(group), base) for group in groups.values()]
    return [list_message(messages)] if len(messages) > MOST_SINGLE else messages


def retry_delay(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row: from seconds to five minutes. chance: 0 to 1, so that many that
    failed together do not come back together."""
    return min(300.0, 2.0 ** min(failures, 9)) * (0.5 + chance / 2)


def instance_name(customer: str) -> str:
    """What a customer is called outside; '' = nobody in particular."""
    return customer or "default"


def show_notice_event(notice: Notice, longest: int = TEXT_LIMIT) -> dict[str, Any]:
    """An event as web hooks and the list of deliveries show it; longest: characters of its text."""
    event, details = notice.event, unpack(notice.event.messages)
    text = details.get("text")
    return {"id": event.id, "type": event.type, "instance_id": instance_name(event.customer), "timestamp": text_from_ms(event.happened_at),
            "alert": event.alert, "title": event_title(event), "state": event_state(event),
            **{name: value for name, value in details.items() if name not in ("title", "messages", "text")},
            "text": text[:longest] if isinstance(text, str) else text}


def web_hook_body(message: Message) -> dict[str, Any]:
    """The one JSON shape that web hooks get."""
    return {"key": message.key, "state": message.state, "subject": message.subject, "text": message.text, "severity": message.severity,
            "timestamp": text_from_ms(message.happened_at), "link": message.link,
            "events": [show_notice_event(notice, TEXT_LIMIT if len(message.notices) == 1 else 2000) for notice in message.notices]}


PLACEHOLDER = re.compile(r"\$(CODE|STATUS|NOW|NAME_JSON|NAME|SLUG|TAGS|JSON|BODY_JSON|BODY|EXITSTATUS|TAG[1-9])")


def fill_placeholders(template: str, values: dict[str, str], quote: Callable[[str], str] = str) -> str:
    """The template with $NAME and its like replaced, in one pass; unknown ones stay (spec/healthchecks.md 6.3)."""
    return PLACEHOLDER.sub(lambda match: quote(values[match[1]]) if match[1] in values else match[0], template)


def placeholder_values(message: Message, check: Check | None, shown: dict[str, Any] | None, ping: Ping | None) -> dict[str, str]:
    """What the placeholders of a web hook stand for; without a check, what comes nearest."""
    details = unpack(message.notices[-1].event.messages)
    name = check.name if check else str(details.get("resource") or message.subject)
    tags = check_tags(check) if check else [str(tag) for tag in details.get("tags") or ()]
    body = (ping.body or b"").decode("utf-8", "replace") if ping else ""
    return {"CODE": check.code if check else message.key, "STATUS": message.state, "NOW": second_text(message.happened_at),
            "NAME": name, "NAME_JSON": json.dumps(name), "SLUG": check.slug if check else "", "TAGS": " ".join(tags),
            "JSON": json.dumps(shown if shown is not None else web_hook_body(message)), "BODY": body, "BODY_JSON": json.dumps(body),
            "EXITSTATUS": str(ping.exit_status) if ping and ping.exit_status is not None else "-1",
            **{f"TAG{number}": tag for number, tag in enumerate(tags[:9], 1)}}


class User(NamedTuple):
    """A row of users: same fields, same order."""
    seq: int
    id: str
    login: str
    name: str
    email: str | None
    password_hash: str | None
    status: str
    roles: str
    attributes: str
    text: str
    email_verified: int
    created_at: int
    updated_at: int
    last_login_at: int | None


class ApiKey(NamedTuple):
    """A row of api_keys: same fields, same order."""
    seq: int
    id: str
    key_hash: str
    hint: str
    user: str
    scopes: str
    text: str
    customer: str
    expires_at: int
    count: int
    last_used_at: int | None


class Caller(NamedTuple):
    """Who is asking: login (None = nobody in particular), scopes, the customer it is confined to ('' = none), and
    whether it is the user in person, with a password: a key may speak for its user, but not change who that is."""
    login: str | None
    scopes: tuple[str, ...]
    customer: str = ""
    in_person: bool = False


@lru_cache(maxsize=1024)
def scope_is_granted(wanted: str, held: tuple[str, ...]) -> bool:
    """Whether the scopes held cover the one wanted (spec/alerta.md 5.3)."""
    stronger = {"read": ("read", "write", "admin"), "write": ("write", "admin"), "delete": ("delete", "write", "admin"),
                "admin": ("admin",)}
    verb, _, noun = wanted.partition(":")
    granting = stronger.get(verb, (verb,))
    return any(scope in granting or (noun and scope in {f"{v}:{noun}" for v in granting}) for scope in held)


def login_domain(login: str) -> str:
    """The part after @, or before the backslash of a Windows-style login; '' for neither."""
    if "\\" in login:
        return login.split("\\", 1)[0]
    return login.rpartition("@")[2] if "@" in login else ""


def login_is_allowed(login: str, user: User | None, domains: Iterable[str]) -> bool:
    """The white-list rule: an active user on the list, or anybody of an allowed domain (spec/alerta.md 5.9)."""
    if user is not None:
        return user.status == "active"
    return "*" in domains or login_domain(login).lower() in {domain.lower() for domain in domains}


def hash_key(key: str) -> str:
    """What is stored of a key. A random key needs no slow hash."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def hash_password(password: str, salt: str | None = None) -> str:
    """What is stored of a password: scrypt with N=2^15, r=8, p=3 (32 MiB, a quarter of a second)."""
    salt = salt or secrets.token_hex(16)
    digest = hashlib.scrypt(password.encode(), salt=salt.encode(), n=2**15, r=8, p=3, maxmem=64 * 2**20)
    return f"scrypt${salt}${digest.hex()}"


def password_is_right(password: str, stored: str) -> bool:
    return hmac.compare_digest(hash_password(password, stored.split("$")[1]).encode(), stored.encode())


# What a search asks for, as a tree that says nothing of SQL.

class Match(NamedTuple):
    """One field compared: op is is, contains, globs, words, regex, phrase, range or exists (see COMPARERS)."""
    field: str
    op: str
    value: Any


class NoneOf(NamedTuple):
    term: Any


class AllOf(NamedTuple):
    terms: tuple


class AnyOf(NamedTuple):
    terms: tuple


class AlertFilter(NamedTuple):
    """Which alerts a request is about: plain equalities on the counted fields, and whatever else it asks for."""
    equal: dict[str, list[str]]
    other: tuple = ()

    def confined(self, customer: str) -> AlertFilter:
        """The same, within one customer ('' = no limit)."""
        if not customer:
            return self
        asked = tuple(Match("customer", "is", value) for value in self.equal.get("customer", ()))
        return AlertFilter({**self.equal, "customer": [customer]}, (*self.other, *((AnyOf(asked),) if asked else ())))


COUNTED_FIELDS = ("environment", "status", "severity", "service", "customer")

# A pattern from a client must not be able to stall the server, and Python's re can be made to. The common patterns are
# translated into SQLite's GLOB, which has no nested repetition; what GLOB cannot say needs the re2 library.
REGEX_ATOMS = {r"\d": "[0-9]", r"\w": "[a-z0-9_]", r"\s": "[ \t\r\n]", ".": "?"}
REGEX_TOKEN = re.compile(r"\\[dws]|\\[^A-Za-z0-9]|\[\^?[^\[\]\\^]+\]|[.()|*+?{}\[\]^$\\]|[^.()|*+?{}\[\]^$\\]", re.S)
MOST_GLOBS, MOST_WILDCARDS = 32, 12


def glob_literal(text: str) -> str:
    """The text with GLOB's own characters made literal."""
    return re.sub(r"([*?\[])", r"[\1]", text)


def split_alternatives(tokens: list[str]) -> list[list[str]]:
    """The tokens between the | that stand outside parentheses."""
    branches: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if token == "|" and depth == 0:
            branches.append([])
        else:
            branches[-1].append(token)
    return branches


def closing_parenthesis(tokens: list[str], start: int) -> int:
    depth = 0
    for position in range(start, len(tokens)):
        depth += (tokens[position] == "(") - (tokens[position] == ")")
        if depth == 0:
            return position
    raise Invalid("the pattern has an unclosed parenthesis")


def regex_atom(token: str) -> str:
    """The GLOB for one character of a pattern; Invalid for what has none."""
    if token in REGEX_ATOMS:
        return REGEX_ATOMS[token]
    if token.startswith("[") and len(token) > 2:
        return token
    if token.startswith("\\") and len(token) == 2:
        return glob_literal(token[1])
    if token in "()|*+?{}[]^$\\":
        raise Invalid(f"regex_unavailable: {token!r} at this place needs the re2 library; "
                      "text, . .* .+ [a-z] ^ $ | and groups work without it")
    return glob_literal(token)


def globs_from_tokens(tokens: list[str]) -> list[str]:
    """Every GLOB that the alternatives and groups of a pattern expand to; anchors are \\x02 and \\x03."""
    globs = []
    for branch in split_alternatives(tokens):
        parts = [""]
        position = 0
        while position < len(branch):
            token, follower = branch[position], branch[position + 1:position + 2]
            if token == "(":
                end = closing_parenthesis(branch, position)
                choices, position = globs_from_tokens(branch[position + 1:end]), end
            elif token == "." and follower in (["*"], ["+"]):
                choices, position = ["*" if follower == ["*"] else "?*"], position + 1
            elif token in "^$":
                choices = ["\x02" if token == "^" else "\x03"]
            else:
                choices = [regex_atom(token)]
            parts = [part + choice for part in parts for choice in choices]
            if len(parts) > MOST_GLOBS:
                raise Invalid("the pattern has too many alternatives")
            position += 1
        globs += parts
    return globs


def globs_from_regex(pattern: str) -> list[str]:
    """The GLOBs, for lower-case text, that match where the pattern is found; Invalid where there are none."""
    if len(pattern) > 500:
        raise Invalid("the pattern is longer than 500 characters")
    globs = []
    tokens = [token if token[0] == "\\" else token.lower() for token in REGEX_TOKEN.findall(pattern)]
    for glob in globs_from_tokens(tokens):
        inside = glob.removeprefix("\x02").removesuffix("\x03")
        glob = ("" if glob.startswith("\x02") else "*") + inside + ("" if glob.endswith("\x03") else "*")
        if "\x02" in glob or "\x03" in glob:
            raise Invalid("regex_unavailable: ^ and $ only at the ends of a pattern without the re2 library")
        globs.append(re.sub(r"\*\*+", "*", glob))
    if len(globs) > MOST_GLOBS or any(glob.count("*") > MOST_WILDCARDS for glob in globs):
        raise Invalid("the pattern has too many alternatives or wildcards")
    return globs


@lru_cache(maxsize=1)
def re2_library() -> Any:
    """The re2 module, or None where it is not installed."""
    try:
        import re2
    except ImportError:
        return None
    return re2


def regex_match(field: str, pattern: str) -> Match:
    """A case-insensitive search for a pattern in a field; Invalid, naming the field, for a pattern that cannot be served."""
    re2 = re2_library()
    try:
        if re2 is None:
            return Match(field, "globs", globs_from_regex(pattern))
        re2.compile("(?i)" + pattern)
    except Invalid as problem:
        raise Invalid(f"{field}: {problem.message}") from None
    except re2.error as error:
        raise Invalid(f"{field}: bad pattern: {error}") from None
    return Match(field, "regex", "(?i)" + pattern)


@lru_cache(maxsize=256)
def pattern_of_glob(glob: str) -> re.Pattern:
    """A GLOB of SQLite's as a pattern, which never takes long."""
    shell = re.sub(r"\[!([^\]]*)\]", lambda match: f"[{match[1]}!]" if match[1] else "!", glob).replace("[^", "[!")
    return re.compile(fnmatch.translate(shell))


def pattern_test(match: Match, in_time: Callable[[], bool]) -> Callable[[str], bool]:
    """Whether a text is one that a regex_match finds. in_time is asked before each step that may take long, and may raise."""
    if match.op == "regex":
        return lambda text: in_time() and bool(re2_library().search(match.value, text))
    patterns = [pattern_of_glob(glob) for glob in match.value]

    def test(text: str) -> bool:
        lowered = text.lower()
        return any(in_time() and pattern.match(lowered) for pattern in patterns)

    return test


# The q language: Lucene-like (spec/alerta.md 4.3), with chains of any length, dotted names and times inside terms.
QUERY_TOKEN = re.compile(r"""\s+ | (?P<quoted> (?:[A-Za-z_][\w.-]*:)? "(?:[^"\\]|\\.)*" )
    | (?P<regex> (?:[A-Za-z_][\w.-]*:)? /(?:[^/\\]|\\.)+/ (?=[\s()]|$) )
    | (?P<range> (?:[A-Za-z_][\w.-]*:)? [\[{] \s* [^\s\[\]{}]+ \s+TO\s+ [^\s\[\]{}]+ \s* [\]}] )
    | (?P<group> [A-Za-z_][\w.-]*:(?=\() ) | (?P<paren> [()] ) | (?P<logic> && | \|\| | !(?=\S) ) | (?P<sign> [+-](?=[^\s)]) )
    | (?P<word> [^\s()"\[\]{}]+ )""", re.X)
LOGIC_WORDS = {"AND": "AND", "&&": "AND", "OR": "OR", "||": "OR", "NOT": "NOT", "!": "NOT", "-": "NOT", "+": "MUST"}
FIELD_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):(.+)", re.S)


def bad_query(detail: str) -> Invalid:
    """Clients show the message and seldom the errors, so the detail is in both."""
    return Invalid(f"Failed to parse query string: {detail}", [detail])


class QueryParser:
    """One q text. Precedence NOT > AND > OR; terms side by side mean OR; x NOT y and x -y mean x AND NOT y, +x +y both."""

    def __init__(self, text: str, default_field: str, known_field: Callable[[str], str]):
        self.default_field, self.known_field = default_field, known_field
        self.tokens = list(self.tokens_of(text))
        self.position = 0
        self.depth = 0

    @staticmethod
    def tokens_of(text: str) -> Iterable[tuple[str, str]]:
        position = 0
        while position < len(text):
            match = QUERY_TOKEN.match(text, position)
            if not match:
                raise bad_query(f"unexpected {text[position]!r} at character {position}")
            position = match.end()
            if match.lastgroup:
                word = match.group(match.lastgroup)
                yield ("logic", LOGIC_WORDS[word]) if word in LOGIC_WORDS else (match.lastgroup, word)

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.position += 1
        return token

    def parse(self) -> Any:
        """The tree of the whole text; Invalid that says where it cannot be read."""
        if len(self.tokens) > 100:
            raise bad_query("more than 100 terms")
        tree = self.parse_or(self.default_field)
        if self.peek()[0] != "end":
            raise bad_query(f"unexpected {self.peek()[1]!r}")
        return tree

    def parse_or(self, field: str) -> Any:
        terms = [self.parse_and(field)]
        while self.peek() == ("logic", "OR") or self.peek()[0] in ("quoted", "regex", "range", "group", "word") \
                or self.peek() == ("paren", "("):
            if self.peek()[0] == "logic":
                self.take()
            terms.append(self.parse_and(field))
        return AnyOf(tuple(terms)) if len(terms) > 1 else terms[0]

    def parse_and(self, field: str) -> Any:
        terms = [self.parse_not(field)]
        while self.peek() in (("logic", "AND"), ("logic", "NOT"), ("logic", "MUST")):
            if self.peek()[1] == "AND":
                self.take()
            terms.append(self.parse_not(field))
        return AllOf(tuple(terms)) if len(terms) > 1 else terms[0]

    def parse_not(self, field: str) -> Any:
        negated = False
        while self.peek() in (("logic", "NOT"), ("logic", "MUST")):
            negated ^= self.take()[1] == "NOT"
        term = self.parse_term(field)
        return NoneOf(term) if negated else term

    def parse_term(self, field: str) -> Any:
        """One term, with its field; Invalid where there is none."""
        kind, text = self.take()
        if kind == "group":
            field, (kind, text) = self.known_field(text[:-1]), self.take()
        if (kind, text) == ("paren", "("):
            return self.parse_group(field)
        if kind not in ("quoted", "regex", "range", "word"):
            raise bad_query(f"expected a term, found {text or 'the end'!r}")
        if kind == "word" and (text.startswith(":") or text.endswith(":")):
            raise bad_query(f"expected field:term, found {text!r}")
        prefix = FIELD_PREFIX.fullmatch(text)
        if prefix and not text.startswith(('"', "/")):
            field, text = self.known_field(prefix[1]), prefix[2]
        return term_match(field, kind, text)

    def parse_group(self, field: str) -> Any:
        self.depth += 1
        if self.depth > 20:
            raise bad_query("more than 20 parentheses within one another")
        tree = self.parse_or(field)
        if self.take() != ("paren", ")"):
            raise bad_query("a parenthesis is not closed")
        self.depth -= 1
        return tree


def term_match(field: str, kind: str, text: str) -> Match:
    """What one term of a query asks of a field."""
    if field == "_exists_":
        if kind not in ("word", "quoted"):
            raise bad_query("_exists_: takes the name of an attribute")
        return Match(f"attributes.{text.strip(chr(34)).removeprefix('attributes.')}", "exists", None)
    if kind == "quoted":
        return Match(field, "phrase", re.sub(r"\\(.)", r"\1", text[1:-1]))
    if kind == "regex":
        return regex_match(field, text[1:-1])
    if kind == "range":
        low, high = re.split(r"\s+TO\s+", text[1:-1].strip())
        return Match(field, "range", (None if low == "*" else low, text[0] == "[", None if high == "*" else high, text[-1] == "]"))
    compared = re.fullmatch(r"(>=|<=|>|<)(.+)", text, re.S)
    if compared:
        op, bound = compared.groups()
        low, high = (bound, None) if op[0] == ">" else (None, bound)
        return Match(field, "range", (low, op == ">=", high, op == "<="))
    text = re.sub(r"(?<=[^~^])[~^][0-9.]*$", "", text)          # fuzziness and boost are read and ignored
    if text == "*":
        return Match(field, "exists", None)
    if "*" in text or "?" in text:
        return Match(field, "words", word_globs(text.lower()))
    return Match(field, "contains", text)


def word_globs(text: str) -> list[str]:
    """GLOBs for a whole word with wildcards: * any run, ? one character or none."""
    if text.count("?") > 4 or text.count("*") > MOST_WILDCARDS:
        raise bad_query(f"too many wildcards in {text!r}")
    pieces = [("?", "") if char == "?" else ("*",) if char == "*" else (glob_literal(char),) for char in text]
    words = ["".join(choice) for choice in itertools.product(*pieces)]
    return [whole_word_glob(word) for word in dict.fromkeys(words)]


def whole_word_glob(glob: str) -> str:
    """The GLOB that finds a GLOB between word boundaries, in a text that has a blank at each end."""
    return f"*[^a-z0-9_]{glob}[^a-z0-9_]*"


# =============================================================================================================== STORE
# The only SQL. One connection writes (see Store.write); readers have their own, cannot write, and are bounded by a
# deadline. Tables holds the queries, by noun; get_… raises NotFound, find_… may come back empty.

APPLICATION_ID = 0x616C6974                        # "alit"
MIGRATIONS: tuple[tuple[str, ...], ...] = (        # append only: the statements that lead from version n to n + 1
    ("ALTER TABLE beats ADD COLUMN gap INTEGER NOT NULL DEFAULT 0",
     "ALTER TABLE checks ADD COLUMN gap INTEGER NOT NULL DEFAULT 0",
     """CREATE TABLE deaf_spans (
         seq      INTEGER PRIMARY KEY,
         start_at INTEGER NOT NULL,
         end_at   INTEGER NOT NULL CHECK (end_at >= start_at),
         reason   TEXT    NOT NULL CHECK (reason = 'stop' OR reason = 'crash' OR reason = 'boot' OR reason = 'sleep' OR
                          reason = 'pause' OR reason = 'full' OR reason = 'jump'),
         due_at   INTEGER
     ) STRICT""",
     "CREATE INDEX deaf_spans_due ON deaf_spans (due_at) WHERE due_at IS NOT NULL"),
)
SCHEMA_VERSION = 1 + len(MIGRATIONS)
MOST_ARMS = 200                                    # index ranges that one page is merged from; SQLite takes 500
MOST_ROWS = 1000                                   # rows of an answer that is not paged
LATE_EVENTS = 500                                  # how far a late event is put in its place
FLIP_RETENTION = 93 * 86_400_000                   # milliseconds (spec/healthchecks.md 4.8)

MOST_SPANS = 1000                                  # deaf spans that are kept
WATCHED_TABLES = ("alerts", "heartbeats", "checks", "receivers", "deaf_spans")       # that have a due_at

ALERT_COLUMNS = ", ".join(Alert._fields)
INSERT_ALERT = f"INSERT INTO alerts ({ALERT_COLUMNS}) VALUES ({', '.join('?' * len(Alert._fields))})"
FIND_REPORTED_ALERT = (
    "SELECT seq FROM alerts WHERE environment = ? AND resource = ? AND event = ? AND customer = ? AND superseded = 0"
    " UNION ALL SELECT * FROM (SELECT seq FROM alerts WHERE environment = ? AND resource = ? AND customer = ?"
    " AND superseded = 0 AND correlate <> '[]' AND instr(correlate, ?) > 0 ORDER BY seq LIMIT 1) LIMIT 1")
ADD_TO_COUNT = " ON CONFLICT DO UPDATE SET count = count + excluded.count"
OF_THIS_COUNT = " WHERE customer = ? AND environment = ? AND service = ? AND status = ? AND severity = ?"
TAKE_FROM_COUNT = "UPDATE alert_counts SET count = count - ?" + OF_THIS_COUNT
DROP_EMPTY_COUNT = "DELETE FROM alert_counts" + OF_THIS_COUNT + " AND count = 0"
HISTORY_COLUMNS = ", ".join(HistoryEntry._fields)
NOTE_COLUMNS = ", ".join(Note._fields)
HEARTBEAT_COLUMNS = "seq, id, origin, customer, tags, attributes, timeout, silent, due_at, created_at, received_at, gap"
CHECK_COLUMNS = ", ".join(Check._fields)
EVENT_COLUMNS = ", ".join(Event._fields)
NOTICE_COLUMNS = "o.seq, receiver, state, attempts, waited, last_error, marked_at, " + ", ".join("e." + name for name in Event._fields)
RECEIVER_COLUMNS = ", ".join(Receiver._fields)
PING_COLUMNS = ", ".join(Ping._fields)
FLIP_COLUMNS = ", ".join(Flip._fields)
USER_COLUMNS = ", ".join(User._fields)
KEY_COLUMNS = ", ".join(ApiKey._fields)


def save_sql(table: str, columns: tuple[str, ...]) -> str:
    """Inserts a row, or where its seq exists writes it."""
    return (f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
            f" ON CONFLICT (seq) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in columns[1:])}")


SAVE_USER = save_sql("users", User._fields)
SAVE_KEY = save_sql("api_keys", ApiKey._fields)


WAL_SIZE = 4_194_304                               # bytes after which the WAL is moved into the file
PAGE_SIZE = 1024                                   # bytes: a heartbeat writes one page, and flash wears out by the byte
STORE_FAILED = 74                                  # exit status where the database fails, cannot be read, or is not what it was (EX_IOERR)
LAST_GOOD = ".last-good"                           # after the database's name: the copy that a start can go on from
LOCKED = 75                                        # exit status where another process uses the database


class StartupRefused(Exception):
    """The database must not be touched; the text says why, and code is the exit status (see sysexits.h)."""

    def __init__(self, message: str, code: int = 78):
        super().__init__(message)
        self.code = code


class Column(NamedTuple):
    """A field of an alert in SQL: the expression, and its kind, which says how it is compared (see COMPARERS)."""
    sql: str
    kind: str


ALERT_FIELDS = {
    "id": Column("id", "id"), "resource": Column("resource", "text"), "event": Column("event", "text"),
    "environment": Column("environment", "text"), "severity": Column("severity", "text"),
    "correlate": Column("correlate", "list"), "status": Column("status", "text"), "service": Column("service", "list"),
    "group": Column("group_name", "text"), "value": Column("coalesce(value, '')", "text"), "text": Column("text", "text"),
    "tag": Column("tags", "list"), "tags": Column("tags", "list"), "origin": Column("origin", "text"),
    "type": Column("type", "text"), "createTime": Column("created_at", "time"), "timeout": Column("timeout", "number"),
    "rawData": Column("coalesce(raw_data, '')", "text"), "customer": Column("customer", "text"),
    "duplicateCount": Column("duplicate_count", "number"), "repeat": Column("repeat", "flag"),
    "previousSeverity": Column("previous_severity", "text"), "trendIndication": Column("trend", "text"),
    "receiveTime": Column("received_at", "time"), "lastReceiveId": Column("last_receive_id", "text"),
    "lastReceiveTime": Column("last_received_at", "time"), "updateTime": Column("updated_at", "time"), "closeTime": Column("closed_at", "time"),
    "previousStatus": Column("coalesce(previous_status, '')", "text"),
}
UNNAMED_FIELDS = frozenset({"closeTime", "previousStatus"})          # that nobody can name: other APIs' questions need them
SNAKE_NAMES = {re.sub("([A-Z])", r"_\1", name).lower(): name for name in ALERT_FIELDS if name not in UNNAMED_FIELDS}


def alert_field_name(name: str) -> str | None:
    """The JSON name of a field given as camelCase or snake_case (attributes.x and _.x too); None = there is none."""
    if name.startswith("_.") and len(name) > 2:
        return "attributes." + name[2:]
    if name in ALERT_FIELDS and name not in UNNAMED_FIELDS or (name.startswith("attributes.") and len(name) > 11):
        return name
    return SNAKE_NAMES.get(name)


def attribute_sql(name: str) -> str:
    """The attribute of a name attributes.x as text; NULL where there is none."""
    quoted = name[11:].replace("'", "''")
    return f"attribute(attributes, '{quoted}')"


def alert_column(name: str) -> Column:
    """The column of a JSON name."""
    return Column(f"coalesce({attribute_sql(name)}, '')", "attribute") if name.startswith("attributes.") else ALERT_FIELDS[name]


def comparable(kind: str, field: str, value: str) -> Any:
    """A value from a client in the form that its column holds; Invalid that names the field."""
    try:
        if kind == "time":
            return ms_from_text(value)
        if kind == "number":
            return bounded_int(value)
    except ValueError as error:
        raise Invalid(f"{field}: {error}") from None
    if kind == "flag":
        return int(value.lower() in ("true", "t", "1", "yes", "y", "on"))
    return value


def bounded_int(text: str) -> int:
    """The number, within 64 bits; ValueError for anything else."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError(f"{text[:40]!r} is not a whole number")
    return int(text)


def prefix_end(prefix: str) -> str:
    """The first text after all those that begin with the prefix."""
    if not prefix:
        return "\U0010ffff"
    following = min(ord(prefix[-1]) + 1, 0x10FFFF)
    return prefix[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)


def lowered(sql: str, needle: str) -> str:
    """The expression in lower case: SQLite's own for ASCII, Python's where the needle needs it."""
    return f"lower({sql})" if needle.isascii() else f"fold({sql})"


def sql_is(column: Column, field: str, value: str) -> tuple[str, list[Any]]:
    if column.kind == "list":
        return f"instr({column.sql}, ?) > 0", [packed_element(value)]
    if column.kind == "id":
        end = prefix_end(value)
        return "(id >= ? AND id < ? OR last_receive_id >= ? AND last_receive_id < ?)", [value, end, value, end]
    return f"{column.sql} = ?", [comparable(column.kind, field, value)]


def sql_contains(column: Column, field: str, value: str) -> tuple[str, list[Any]]:
    if column.kind == "list":
        return sql_is(column, field, value)
    if column.kind in ("time", "number", "flag"):
        return sql_is(column, field, value)
    return f"instr({lowered(column.sql, value)}, ?) > 0", [value.lower()]


def refuse_kinds(column: Column, field: str, kinds: dict[str, str]) -> None:
    """Invalid where a column of this kind cannot be asked so; kinds says why."""
    if column.kind in kinds:
        raise Invalid(f"{field}: {kinds[column.kind]}")


PATTERNLESS = {"time": "a time is searched for by a range, such as [2030-01-01T00:00:00.0Z TO *]",
               "flag": "it is true or false, which no pattern is needed for"}
RANGELESS = {"list": "a list has no range", "flag": "it is true or false, and has no range"}


def sql_globs(column: Column, field: str, globs: list[str], edge: str = "") -> tuple[str, list[Any]]:
    """Whether one of the GLOBs matches the text, in lower case and with an edge at both ends. The deadline is asked for before each: a
    GLOB may take a tenth of a second, and SQLite itself asks between rows only."""
    refuse_kinds(column, field, PATTERNLESS)
    text = lowered(column.sql, "".join(globs))
    test = f"element_glob({column.sql}, ?, '{edge}')" if column.kind == "list" else f"'{edge}' || {text} || '{edge}' GLOB ?"
    return " OR ".join(f"in_time() AND {test}" for _ in globs), list(globs)


def sql_words(column: Column, field: str, globs: list[str]) -> tuple[str, list[Any]]:
    return sql_globs(column, field, globs, edge=" ")


def sql_phrase(column: Column, field: str, value: str) -> tuple[str, list[Any]]:
    if column.kind not in ("text", "attribute"):
        return sql_is(column, field, value)
    return sql_words(column, field, [whole_word_glob(glob_literal(value.lower()))])


def sql_range(column: Column, field: str, bounds: tuple) -> tuple[str, list[Any]]:
    refuse_kinds(column, field, RANGELESS)
    low, with_low, high, with_high = bounds
    tests = [sql_bound(column, field, op, bound) for op, bound in (
        (">=" if with_low else ">", low), ("<=" if with_high else "<", high)) if bound is not None]
    return " AND ".join(sql for sql, _ in tests or [sql_exists(column, field, None)]), [arg for _, args in tests for arg in args]


def sql_bound(column: Column, field: str, op: str, bound: str) -> tuple[str, list[Any]]:
    """One side of a range, in which nothing is not. Of texts, numbers are compared with a number by their size, all else letter by
    letter."""
    if column.kind in ("time", "number"):
        return f"{column.sql} {op} ?", [comparable(column.kind, field, bound)]
    return f"{column.sql} <> '' AND coalesce(number_of({column.sql}) {op} ?, {column.sql} {op} ?)", [number_of(bound), bound]


def sql_exists(column: Column, field: str, value: None) -> tuple[str, list[Any]]:
    return f"{attribute_sql(field)} IS NOT NULL" if column.kind == "attribute" else f"{column.sql} NOT IN ('', '[]')", []


def sql_regex(column: Column, field: str, pattern: str) -> tuple[str, list[Any]]:
    refuse_kinds(column, field, PATTERNLESS)
    return f"re2_found(?, {column.sql})", [pattern]


COMPARERS = {"is": sql_is, "contains": sql_contains, "globs": sql_globs, "words": sql_words, "phrase": sql_phrase, "range": sql_range,
             "exists": sql_exists, "regex": sql_regex}


def sql_of_tree(tree: Any) -> tuple[str, list[Any]]:
    """The SQL condition of a search tree, and its arguments."""
    if isinstance(tree, NoneOf):
        sql, args = sql_of_tree(tree.term)
        return f"NOT {sql}", args
    if isinstance(tree, (AllOf, AnyOf)):
        parts = [sql_of_tree(term) for term in tree.terms]
        word = " AND " if isinstance(tree, AllOf) else " OR "
        return "(" + word.join(sql for sql, _ in parts) + ")", [arg for _, args in parts for arg in args]
    sql, args = COMPARERS[tree.op](alert_column(tree.field), tree.field, tree.value)
    return f"({sql})", args


def sql_of_filter(wanted: AlertFilter) -> tuple[str, list[Any]]:
    """The SQL condition of a filter."""
    terms = [AnyOf(tuple(Match(field, "is", value) for value in values)) for field, values in wanted.equal.items()]
    return sql_of_tree(AllOf((*terms, *wanted.other))) if terms or wanted.other else ("1", [])


def sql_among(column: str, values: Iterable[str] | None) -> tuple[str, list[str]]:
    """The condition that a column holds one of the values; None = any."""
    if values is None:
        return "1", []
    values = list(values)
    return f"{column} IN ({', '.join('?' * len(values))})", values


# How the fields sort: severity and status by their place in the tables, times newest first.
SORT_SQL = {
    "severity": "CASE severity " + " ".join(f"WHEN '{name}' THEN {code}" for name, (code, _) in SEVERITIES.items()) + " END",
    "status": "CASE status " + " ".join(f"WHEN '{name}' THEN '{letter}'" for name, (letter, _) in STATUSES.items()) + " END",
    "timeoutLeft": "CASE WHEN status IN ('ack', 'shelved') THEN updated_at ELSE last_received_at END + timeout * 1000",
    "duration": "last_received_at - created_at",
    "scopedSeverity": "CASE severity " + " ".join(f"WHEN '{ours}' THEN {code}" for code, names in enumerate(WALDUR_SEVERITIES.values())
                                                  for ours in names) + " END",
}
NEWEST_FIRST = frozenset({"createTime", "receiveTime", "lastReceiveTime", "updateTime"})
UNSORTABLE = frozenset({"id", "tag", "tags"})


class Order(NamedTuple):
    """One sort key: a JSON name, and whether against its natural direction."""
    field: str
    reverse: bool


DEFAULT_ORDER = (Order("lastReceiveTime", False),)


def sql_of_order(orders: Iterable[Order]) -> str:
    parts = []
    for order in orders:
        descending = (order.field in NEWEST_FIRST) != order.reverse
        sql = SORT_SQL.get(order.field) or alert_column(order.field).sql
        if order.field.startswith("attributes."):
            parts.append(f"{sql} = ''")              # what lacks the attribute comes last
            parts.append(f"number_of({sql}) IS NULL, number_of({sql}) {'DESC' if descending else 'ASC'}")
        parts.append(f"{sql} {'DESC' if descending else 'ASC'}")
    return ", ".join([*parts, "seq DESC"])


class Tally(NamedTuple):
    """How many alerts there are of each environment, service, status and severity."""
    environment: str
    service: str
    status: str
    severity: str
    count: int


class RecentRows:
    """The alerts that were written last, with their history, and the checks, so that the next report or ping need not
    read them again.

    Right because one connection writes and all its writing goes through Tables; a rollback forgets everything.
    """
    MOST, LONGEST_HISTORY = 256, 16
    MOST_CHECKS = 1024

    def __init__(self) -> None:
        self.alerts: dict[tuple[str, str, str, str], Alert] = {}
        self.histories: dict[int, list[HistoryEntry]] = {}
        self.checks: dict[str, Check] = {}           # by code
        self.hearers: dict[tuple[str, str], list[int]] = {}          # (customer, event type) -> receivers that subscribed

    @staticmethod
    def key(alert: Alert) -> tuple[str, str, str, str]:
        return alert.environment, alert.resource, alert.event, alert.customer

    def remember(self, alert: Alert) -> None:
        if len(self.alerts) >= self.MOST:
            self.forget_all()
        if alert.superseded:
            self.forget(alert)
        else:
            self.alerts[self.key(alert)] = alert

    def forget(self, alert: Alert) -> None:
        self.alerts.pop(self.key(alert), None)
        self.histories.pop(alert.seq, None)

    def forget_all(self) -> None:
        self.alerts.clear()
        self.histories.clear()
        self.checks.clear()
        self.hearers.clear()

    def remember_check(self, check: Check) -> None:
        if len(self.checks) >= self.MOST_CHECKS:
            self.checks.clear()
        self.checks[check.code] = check

    def remember_history(self, seq: int, history: list[HistoryEntry]) -> None:
        if len(history) <= self.LONGEST_HISTORY and len(self.histories) < self.MOST:
            self.histories[seq] = history


class Tables:
    """The queries, by noun, on one connection."""

    def __init__(self, db: sqlite3.Connection, recent: RecentRows | None = None):
        """recent: for the writing connection only."""
        self.db, self.recent = db, recent
        self.earliest_due: int | None = None        # the earliest due_at written in this transaction
        self.pending: dict[str, list[tuple]] = {}   # rows to insert, by table and columns; see add_row
        self.owed: set[int] = set()                 # receivers that something is owed to since this transaction
        self.count_changes: dict[tuple[str, ...], int] = {}      # by kind of alert; see count_alert
        self.changed_checks: dict[int, tuple[Check, Check]] = {}     # seq -> as it is stored, as it is to be; see update_check

    def rows(self, sql: str, args: Iterable[Any] = ()) -> list[tuple]:
        return self.db.execute(sql, tuple(args)).fetchall()

    def row(self, sql: str, args: Iterable[Any] = ()) -> tuple | None:
        return self.db.execute(sql, tuple(args)).fetchone()

    def note_due(self, due_at: int | None) -> None:
        if due_at is not None and (self.earliest_due is None or due_at < self.earliest_due):
            self.earliest_due = due_at

    def add_row(self, table: str, row: tuple) -> None:
        """Inserts a row by the end of the transaction, together with others: each statement gives up the interpreter
        lock, and taking it back from busy threads costs more than the insertion. Whoever needs the rows flushes first."""
        self.pending.setdefault(table, []).append(row)

    def flush(self) -> None:
        """Writes what update_check and add_row have kept."""
        if self.changed_checks:
            self.write_changed_checks()
        pending, self.pending = self.pending, {}
        for table, rows in pending.items():
            self.insert_rows(table, rows)

    def insert_rows(self, table: str, rows: list[tuple], on_conflict: str = "") -> None:
        """Inserts rows, a hundred with each statement."""
        for start in range(0, len(rows), 100):
            chunk = rows[start:start + 100]
            self.db.execute(insert_rows_sql(table, len(chunk[0]), len(chunk)) + on_conflict, tuple(itertools.chain(*chunk)))

    def finish(self) -> None:
        """Writes what was kept back for the end of the transaction."""
        self.flush()
        changes, self.count_changes = self.count_changes, {}
        self.insert_rows("alert_counts", [(*kind, change) for kind, change in changes.items() if change > 0], ADD_TO_COUNT)
        for kind, change in changes.items():
            if change < 0:
                self.db.execute(TAKE_FROM_COUNT, (-change, *kind))
                self.db.execute(DROP_EMPTY_COUNT, kind)

    def forget_unwritten(self) -> None:
        """After a rollback: what was kept back belongs to it."""
        self.recent.forget_all()
        self.pending, self.count_changes, self.changed_checks = {}, {}, {}

    # --- meta

    def find_fact(self, name: str) -> str | None:
        row = self.row("SELECT value FROM meta WHERE name = ?", (name,))
        return row[0] if row else None

    def save_fact(self, name: str, value: str) -> None:
        self.db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value))

    def has_free_pages(self) -> bool:
        """Whether a fiftieth of the pages that the database may have are free. On the writing connection, which knows how many."""
        used, free, most = (self.row(f"PRAGMA {name}")[0] for name in ("page_count", "freelist_count", "max_page_count"))
        return free + most - used >= most // 50

    def try_to_grow(self) -> None:
        """Needs a few new pages, and gives them back."""
        self.save_fact("probe", "x" * 10_000)
        self.drop_fact("probe")

    def drop_fact(self, name: str) -> None:
        self.db.execute("DELETE FROM meta WHERE name = ?", (name,))

    # --- listening

    def newest_time(self) -> int | None:
        """When something was last heard from anybody; None = never."""
        return max((time for time, in self.rows(
            "SELECT max(received_at) FROM beats UNION ALL SELECT max(last_ping_at) FROM checks UNION ALL SELECT max(last_start_at) FROM checks"
            " UNION ALL SELECT (SELECT max(last_received_at) FROM alerts WHERE alerts.environment = kinds.environment AND alerts.status ="
            " kinds.status) FROM (SELECT DISTINCT environment, status FROM alert_counts WHERE service = '') AS kinds") if time), default=None)

    def list_deaf_spans(self) -> list[DeafSpan]:
        """The spans that are kept, the earliest first."""
        rows = self.rows(f"SELECT {', '.join(DeafSpan._fields)} FROM deaf_spans ORDER BY seq DESC LIMIT ?", (MOST_SPANS,))
        return [DeafSpan(*row) for row in reversed(rows)]

    def insert_deaf_span(self, span: DeafSpan) -> None:
        """Stores a span. The oldest beyond MOST_SPANS go. After a start, what was not told yet waits for the settling again."""
        if span.reason in STARTS:
            self.db.execute("UPDATE deaf_spans SET due_at = ? WHERE due_at IS NOT NULL", (span.due_at,))
        seq = self.db.execute(insert_rows_sql("deaf_spans", len(span), 1), span).lastrowid
        self.db.execute("DELETE FROM deaf_spans WHERE seq <= ?", (seq - MOST_SPANS,))
        self.note_due(span.due_at)

    def take_due_deaf_spans(self, now: int) -> list[DeafSpan]:
        """The spans of which people are to be told now; they count as told."""
        rows = self.rows("UPDATE deaf_spans SET due_at = NULL WHERE due_at <= ? RETURNING *", (now,))
        return sorted(DeafSpan(*row) for row in rows)

    def told_customers(self) -> list[str]:
        """The customers that have receivers, and nobody in particular."""
        return union([""], [customer for customer, in self.rows("SELECT DISTINCT customer FROM receivers ORDER BY 1 LIMIT 1000")])

    def count_heard(self, customer: str, since: int) -> int:
        """How many heartbeats and checks of a customer were heard since a moment."""
        return self.row("SELECT (SELECT count(*) FROM heartbeats JOIN beats ON heartbeat = seq WHERE customer = ? AND received_at > ?)"
                        " + (SELECT count(*) FROM checks WHERE customer = ? AND status = 'up' AND last_ping_at > ?)",
                        (customer, since, customer, since))[0]

    def find_unheard(self, customer: str, start: int, end: int, now: int, limit: int) -> tuple[list[Heartbeat], list[Check]]:
        """The heartbeats and checks of a customer that were not silent before start and have not been heard since end, though
        they were due by now; of cron checks all that have not been heard."""
        beats = self.rows(
            f"SELECT {HEARTBEAT_COLUMNS} FROM heartbeats JOIN beats ON heartbeat = seq WHERE customer = ? AND timeout > 0 AND received_at <= ?"
            " AND received_at + CASE gap WHEN 0 THEN timeout * 1000 ELSE gap END <= ? AND received_at + timeout * 1000 > ?"
            " ORDER BY seq LIMIT ?", (customer, end, now, start, limit))
        checks = self.rows(
            f"SELECT {CHECK_COLUMNS} FROM checks WHERE customer = ? AND last_ping_at <= ? AND (status = 'down' AND down_at >= ? OR"
            " status = 'up' AND (kind = 'cron' OR last_ping_at + CASE gap WHEN 0 THEN timeout * 1000 ELSE gap END <= ?))"
            " ORDER BY seq LIMIT ?", (customer, end, start, now, limit))
        return [Heartbeat(*row) for row in beats], [Check(*row) for row in checks]

    # --- alerts

    def find_reported_alert(self, environment: str, resource: str, event: str, customer: str) -> Alert | None:
        """The alert that a report is about: of the same event, else one that counts the event as a state of its own."""
        known = self.recent and self.recent.alerts.get((environment, resource, event, customer))
        if known:
            return known
        found = self.row(FIND_REPORTED_ALERT, (environment, resource, event, customer,
                                               environment, resource, customer, packed_element(event)))
        return Alert(*self.row(f"SELECT {ALERT_COLUMNS} FROM alerts WHERE seq = ?", found)) if found else None

    def get_alert(self, ident: str, customer: str = "") -> Alert:
        """The alert with this id or last report's id, else the one whose id begins so (at least 8 characters).

        NotFound where there is none (or it is another customer's), Conflict where several begin so.
        """
        rows = self.rows(f"SELECT {ALERT_COLUMNS} FROM alerts WHERE id = ?", (ident,)) \
            or self.rows(f"SELECT {ALERT_COLUMNS} FROM alerts WHERE last_receive_id = ? AND last_receive_id <> id", (ident,))
        if not rows and len(ident) >= 8:
            bounds = (ident, prefix_end(ident), customer)
            rows = self.rows(
                f"SELECT {ALERT_COLUMNS} FROM alerts WHERE id >= ? AND id < ? AND ? IN ('', customer) UNION"
                f" SELECT {ALERT_COLUMNS} FROM alerts WHERE last_receive_id >= ? AND last_receive_id < ? AND ? IN ('', customer)"
                " AND last_receive_id <> id LIMIT 2", (*bounds, *bounds))
        alerts = [Alert(*row) for row in rows if customer in ("", row[Alert._fields.index("customer")])]
        if len(alerts) > 1:
            raise Conflict(f"more than one alert has an id that begins with {ident}")
        if not alerts:
            raise NotFound()
        return alerts[0]

    def find_alert(self, ident: str) -> Alert | None:
        row = self.row(f"SELECT {ALERT_COLUMNS} FROM alerts WHERE id = ?", (ident,))
        return Alert(*row) if row else None

    def insert_alert(self, alert: Alert) -> Alert:
        """Stores a new alert and numbers it. Conflict where its id is another alert's."""
        try:
            seq = self.db.execute(INSERT_ALERT, (None, *alert[1:])).lastrowid
        except sqlite3.IntegrityError as error:
            if "alerts.id" not in str(error):
                raise
            raise Conflict(f"id {alert.id} is already used by another alert") from None
        alert = alert._replace(seq=seq)
        self.recent.remember(alert)
        self.insert_alert_services(alert)
        self.count_alert(alert, 1)
        self.note_due(alert.due_at)
        return alert

    def update_alert(self, old: Alert, new: Alert) -> None:
        """Writes what changed, and only that: an index whose columns stay as they are is not touched."""
        changed = tuple(name for name, before, after in zip(Alert._fields, old, new) if before != after)
        if not changed:
            return
        values = [getattr(new, name) for name in changed]
        self.db.execute(update_sql("alerts", changed), (*values, old.seq))
        if self.recent.key(old) != self.recent.key(new):
            self.recent.forget(old)
        self.recent.remember(new)
        self.update_alert_services(old, new)
        self.note_due(new.due_at)

    def count_alert(self, alert: Alert, change: int) -> None:
        """One alert more (1) or less (-1) of its kind, in total and for each of its services. Written once for each kind
        when the transaction finishes: most alerts of a burst are of one kind."""
        for service in ("", *dict.fromkeys(unpack(alert.service))):
            kind = (alert.customer, alert.environment, service, alert.status, alert.severity)
            self.count_changes[kind] = self.count_changes.get(kind, 0) + change

    def insert_alert_services(self, alert: Alert) -> None:
        for service in dict.fromkeys(unpack(alert.service)):
            self.add_row("alert_services", (alert.environment, service, alert.status, alert.last_received_at, alert.seq,
                                            alert.severity, alert.customer))

    def delete_alert_services(self, alert: Alert) -> None:
        self.flush()
        for service in dict.fromkeys(unpack(alert.service)):
            self.db.execute("DELETE FROM alert_services WHERE environment = ? AND service = ? AND status = ?"
                            " AND last_received_at = ? AND alert = ?",
                            (alert.environment, service, alert.status, alert.last_received_at, alert.seq))

    def update_alert_services(self, old: Alert, new: Alert) -> None:
        if alert_kind(old) != alert_kind(new):
            self.delete_alert_services(old)
            self.insert_alert_services(new)
            self.count_alert(old, -1)
            self.count_alert(new, 1)
        elif old.last_received_at != new.last_received_at:
            self.flush()
            for service in dict.fromkeys(unpack(old.service)):
                self.db.execute("UPDATE alert_services SET last_received_at = ? WHERE environment = ? AND service = ?"
                                " AND status = ? AND last_received_at = ? AND alert = ?",
                                (new.last_received_at, old.environment, service, old.status, old.last_received_at, old.seq))

    def delete_alert(self, alert: Alert) -> None:
        """Deletes an alert with its history and notes."""
        self.recent.forget(alert)
        self.delete_alert_services(alert)
        self.count_alert(alert, -1)
        self.db.execute("DELETE FROM alerts WHERE seq = ?", (alert.seq,))

    def due_alerts(self, now: int, limit: int) -> list[Alert]:
        """Of the alerts that are due the latest, in order: what has just become due does not wait behind a hundred thousand that
        have long been, or are looked at again because a setting has changed."""
        rows = self.rows(f"SELECT {ALERT_COLUMNS} FROM alerts WHERE due_at <= ? ORDER BY due_at DESC LIMIT ?", (now, limit))
        return [Alert(*row) for row in reversed(rows)]

    def set_alert_due(self, alert: Alert, due_at: int | None) -> None:
        self.recent.forget(alert)
        self.db.execute("UPDATE alerts SET due_at = ? WHERE seq = ?", (due_at, alert.seq))
        self.note_due(due_at)

    def review_alerts(self, now: int) -> None:
        """Has the timer look at every alert again: a setting that its deadline depends on has changed."""
        self.recent.forget_all()
        self.db.execute("UPDATE alerts SET due_at = ?", (now,))

    def put_off(self, table: str, seq: int, due_at: int) -> None:
        """Has the timer look at a row later."""
        self.flush()
        self.recent.forget_all()
        self.db.execute(f"UPDATE {table} SET due_at = ? WHERE seq = ?", (due_at, seq))
        self.note_due(due_at)

    def next_due(self) -> int | None:
        """When the timer must look next; None = no row waits."""
        rows = [self.row(f"SELECT min(due_at) FROM {table} WHERE due_at IS NOT NULL")[0] for table in WATCHED_TABLES]
        return min((due for due in rows if due is not None), default=None)

    def find_retired_alerts(self, statuses: Iterable[str], before: int, limit: int) -> list[Alert]:
        """Alerts in these statuses that have neither been heard of nor changed since a moment."""
        where, args = sql_among("status", statuses)
        return [Alert(*row) for row in self.rows(
            f"SELECT {ALERT_COLUMNS} FROM alerts WHERE {where} AND last_received_at < ? AND updated_at < ? LIMIT ?",
            (*args, before, before, limit))]

    def find_old_informational(self, before: int, limit: int) -> list[Alert]:
        return [Alert(*row) for row in self.rows(
            f"SELECT {ALERT_COLUMNS} FROM alerts WHERE severity = 'informational' AND type <> ? AND last_received_at < ? LIMIT ?",
            (SCOPED_TYPE, before, limit))]

    # --- searching

    def tallies(self, wanted: AlertFilter) -> list[Tally]:
        """How many alerts match, by environment, status and severity. Kept counts where the filter allows it."""
        services = wanted.equal.get("service")
        if wanted.other or (services and len(set(services)) > 1):
            where, args = sql_of_filter(wanted)
            return [Tally(*row) for row in self.rows(
                f"SELECT environment, '', status, severity, count(*) FROM alerts WHERE {where}"
                " GROUP BY environment, status, severity", args)]
        conditions = [sql_among(name, wanted.equal.get(name)) for name in ("environment", "status", "severity", "customer")]
        return [Tally(*row) for row in self.rows(
            "SELECT environment, service, status, severity, sum(count) FROM alert_counts WHERE service = ? AND "
            + " AND ".join(sql for sql, _ in conditions) + " GROUP BY environment, status, severity",
            [services[0] if services else "", *(arg for _, args in conditions for arg in args)])]

    def service_tallies(self, wanted: AlertFilter) -> list[Tally]:
        """The same for each service that a matching alert has."""
        if not wanted.other and "service" not in wanted.equal:
            conditions = [sql_among(name, wanted.equal.get(name)) for name in COUNTED_FIELDS]
            return [Tally(*row) for row in self.rows(
                "SELECT environment, service, status, severity, sum(count) FROM alert_counts WHERE service <> '' AND "
                + " AND ".join(sql for sql, _ in conditions) + " GROUP BY environment, service, status, severity",
                [arg for _, args in conditions for arg in args])]
        where, args = sql_of_filter(wanted)
        return [Tally(*row) for row in self.rows(
            "SELECT s.environment, s.service, s.status, s.severity, count(*) FROM alert_services s"
            f" WHERE s.alert IN (SELECT seq FROM alerts WHERE {where}) GROUP BY 1, 2, 3, 4", args)]

    def known_services(self, customer: str = "") -> list[tuple[str, str]]:
        return self.rows("SELECT DISTINCT environment, service FROM alert_counts WHERE service <> '' AND ? IN ('', customer)"
                         " ORDER BY environment, service LIMIT ?", (customer, MOST_ROWS))

    def known_environments(self, customer: str = "") -> list[str]:
        return [row[0] for row in self.rows("SELECT DISTINCT environment FROM alert_counts WHERE ? IN ('', customer)"
                                            " ORDER BY environment", (customer,))]

    def alert_page(self, wanted: AlertFilter, orders: tuple[Order, ...], limit: int, offset: int,
                   tallies: list[Tally]) -> list[Alert]:
        """One page of the matching alerts. tallies are those of the same filter: they tell which index ranges hold them."""
        arms = None if wanted.other or orders != DEFAULT_ORDER else page_arms(wanted, tallies, limit + offset)
        if arms is None:
            where, args = sql_of_filter(wanted)
            return [Alert(*row) for row in self.rows(
                f"SELECT {ALERT_COLUMNS} FROM alerts WHERE {where} ORDER BY {sql_of_order(orders)} LIMIT ? OFFSET ?",
                (*args, limit, offset))]
        if not arms:
            return []
        union_all = " UNION ALL ".join(f"SELECT * FROM ({sql})" for sql, _ in arms)
        return [Alert(*row) for row in self.rows(
            f"WITH page AS (SELECT * FROM ({union_all}) ORDER BY last_received_at DESC, seq DESC LIMIT ? OFFSET ?)"
            f" SELECT {', '.join('alerts.' + name for name in Alert._fields)} FROM page CROSS JOIN alerts USING (seq)"
            " ORDER BY page.last_received_at DESC, seq DESC", [*(arg for _, args in arms for arg in args), limit, offset])]

    def alert_groups(self, wanted: AlertFilter) -> list[tuple[str, str, int]]:
        where, args = sql_of_filter(wanted)
        return self.rows(f"SELECT environment, group_name, count(*) FROM alerts WHERE {where} GROUP BY 1, 2 ORDER BY 1, 2 LIMIT ?",
                         (*args, MOST_ROWS))

    def alert_tag_sets(self, wanted: AlertFilter) -> list[tuple[str, str, int]]:
        where, args = sql_of_filter(wanted)
        return self.rows(f"SELECT environment, tags, count(*) FROM alerts WHERE {where} AND tags <> '[]' GROUP BY 1, 2", args)

    def alert_top(self, wanted: AlertFilter, group_by: str, variant: str, limit: int) -> list[tuple[Any, int, int]]:
        """(group, count, duplicate count) of the largest groups; what is counted depends on the variant (TOP_SQL)."""
        where, args = sql_of_filter(wanted)
        column = ALERT_FIELDS[group_by].sql
        return self.rows(TOP_SQL[variant].format(column=column, where=where, services=SERVICES_SQL), (*args, limit))

    def alert_group_members(self, wanted: AlertFilter, group_by: str, group: Any, variant: str) -> list[tuple[str, str, str, str]]:
        """(id, resource, environment, service) of the alerts that count in a group, newest first."""
        where, args = sql_of_filter(wanted)
        where += " AND seq IN (SELECT alert FROM alert_history h WHERE h.type = 'severity')" if variant == "flapping" else ""
        return self.rows(f"SELECT id, resource, environment, service FROM alerts WHERE {where} AND {ALERT_FIELDS[group_by].sql} IS ?"
                         " ORDER BY last_received_at DESC LIMIT ?", (*args, group, MOST_ROWS))

    # --- history

    def insert_history(self, entry: HistoryEntry, limit: int) -> None:
        """Stores an entry; what is beyond the newest `limit` of its alert goes. The first one pushes nothing out."""
        self.add_row(f"alert_history ({HISTORY_COLUMNS})", entry)
        self.recent.histories.pop(entry.alert, None)
        if entry.type == "new":
            return
        self.flush()
        self.db.execute("DELETE FROM alert_history WHERE alert = ? AND seq <= (SELECT seq FROM alert_history WHERE alert = ?"
                        " ORDER BY seq DESC LIMIT 1 OFFSET ?)", (entry.alert, entry.alert, limit))

    def alert_history(self, seq: int) -> list[HistoryEntry]:
        known = self.recent and self.recent.histories.get(seq)
        if known:
            return known
        self.flush()
        history = [HistoryEntry(*row) for row in self.rows(
            f"SELECT {HISTORY_COLUMNS} FROM alert_history WHERE alert = ? ORDER BY seq", (seq,))]
        if self.recent:
            self.recent.remember_history(seq, history)
        return history

    def history_page(self, wanted: AlertFilter, idents: list[str], limit: int, offset: int) -> list[tuple[HistoryEntry, Alert]]:
        """History entries of matching alerts, newest first, each with its alert. idents: beginnings of an id of the alert
        or of one of its entries; none = any."""
        where, args = sql_of_filter(wanted)
        if idents:
            begins = ("(id >= ? AND id < ? OR last_receive_id >= ? AND last_receive_id < ?"
                      " OR seq IN (SELECT alert FROM alert_history WHERE id >= ? AND id < ?))")
            where += f" AND ({' OR '.join(begins for _ in idents)})"
            args = [*args, *(bound for ident in idents for bound in (ident, prefix_end(ident)) * 3)]
        narrow = f" WHERE h.alert IN (SELECT seq FROM alerts WHERE {where})" if where != "1" else ""
        rows = self.rows(
            f"SELECT {', '.join('h.' + name for name in HistoryEntry._fields)}, {', '.join('a.' + name for name in Alert._fields)}"
            f" FROM alert_history h CROSS JOIN alerts a ON a.seq = h.alert{narrow} ORDER BY h.seq DESC LIMIT ? OFFSET ?",
            (*args, limit, offset))
        width = len(HistoryEntry._fields)
        return [(HistoryEntry(*row[:width]), Alert(*row[width:])) for row in rows]

    # --- notes

    def insert_note(self, note: Note) -> None:
        self.db.execute(f"INSERT INTO notes ({NOTE_COLUMNS}) VALUES ({', '.join('?' * len(note))})", note)

    def alert_notes(self, alert: int, limit: int, offset: int = 0) -> list[Note]:
        return [Note(*row) for row in self.rows(
            f"SELECT {NOTE_COLUMNS} FROM notes WHERE alert = ? ORDER BY seq LIMIT ? OFFSET ?", (alert, limit, offset))]

    def count_notes(self, alert: int) -> int:
        return self.row("SELECT count(*) FROM notes WHERE alert = ?", (alert,))[0]

    def get_note(self, alert: int, ident: str) -> Note:
        row = self.row(f"SELECT {NOTE_COLUMNS} FROM notes WHERE alert = ? AND id = ?", (alert, ident))
        if not row:
            raise NotFound()
        return Note(*row)

    def update_note(self, note: Note) -> None:
        self.db.execute("UPDATE notes SET text = ?, attributes = ?, user = ?, updated_at = ? WHERE id = ?",
                        (note.text, note.attributes, note.user, note.updated_at, note.id))

    def delete_note(self, ident: str) -> None:
        self.db.execute("DELETE FROM notes WHERE id = ?", (ident,))

    # --- events

    def insert_event(self, type_: str, customer: str, now: int, alert: str | None, messages: dict, retention: int, *,
                     at: int | None = None, suppressed: str | None = None, check_seq: int | None = None,
                     only: int | None = None) -> str:
        """Stores an event and what is owed because of it: to who subscribed to its type, and to the receivers of its check;
        to `only` one receiver where that is given. at: when it happened, where that is not now. Now and then, events older
        than the retention (seconds) go. Returns its id."""
        ident = new_id()
        row = (ident, type_, customer, now if at is None else at, alert, pack_object(messages), suppressed)
        receivers = [] if suppressed else [only] if only is not None else self.find_hearers(customer, type_, check_seq)
        if receivers:
            self.flush()
            event = self.db.execute("INSERT INTO events (id, type, customer, happened_at, alert, messages, suppressed)"
                                    " VALUES (?, ?, ?, ?, ?, ?, ?)", row).lastrowid
            self.owe(event, receivers)
        else:
            self.add_row("events (id, type, customer, happened_at, alert, messages, suppressed)", row)
        if random.random() < 0.01:
            self.delete_old_events(now - retention * 1000)
        return ident

    def owe(self, event: int, receivers: Iterable[int]) -> None:
        """Notes that receivers are to be told of an event; each is told once."""
        for receiver in receivers:
            self.db.execute("INSERT INTO outbox (event, receiver, state, attempts, waited) VALUES (?, ?, 'waiting', 0, 0)"
                            " ON CONFLICT DO NOTHING", (event, receiver))
            self.owed.add(receiver)

    def find_hearers(self, customer: str, event_type: str, check_seq: int | None) -> list[int]:
        """Who hears of an event, each once: who subscribed to its type, and who its check is to tell."""
        kind = (customer, event_type)
        known = self.recent.hearers.get(kind)
        if known is None:
            if len(self.recent.hearers) >= 1000:
                self.recent.hearers.clear()
            known = self.recent.hearers[kind] = self.hearers(customer, event_type)
        assigned = self.rows("SELECT receiver FROM check_receivers WHERE check_seq = ? ORDER BY 1", (check_seq,)) if check_seq else []
        return union(known, [seq for seq, in assigned])

    def hearers(self, customer: str, event_type: str) -> list[int]:
        """The receivers that subscribed to a type of events."""
        return [seq for seq, in self.rows(
            "SELECT receivers.seq FROM event_types JOIN receiver_event_types ON event_type = event_types.seq"
            " JOIN receivers ON receivers.seq = receiver WHERE event_types.name = ? AND customer = ? ORDER BY 1", (event_type, customer))]

    def find_untold(self, alert: str, types: Iterable[str]) -> str | None:
        """The type of the last event of these types about an alert that was suppressed, where nothing was told since."""
        self.flush()
        where, args = sql_among("type", types)
        seq, type_ = self.row(f"SELECT max(seq), type FROM events WHERE alert = ? AND suppressed IS NOT NULL AND {where}", (alert, *args))
        told = seq and self.row("SELECT 1 FROM events WHERE seq > ? AND alert = ? AND suppressed IS NULL LIMIT 1", (seq, alert))
        return None if told else type_

    def opening_was_told(self, alert: str) -> bool:
        """Whether nothing kept the last beginning of an alert from being told, or it was told something since."""
        return self.find_untold(alert, BEGINNINGS) is None

    def list_events(self, customer: str, limit: int, offset: int, types: list[str] | None = None,
                    after: int | None = None, before: int | None = None) -> list[Event]:
        """The newest events of a customer by their time; after and before exclude their ends. One that was stored more than
        LATE_EVENTS others late may stand where it was stored."""
        where, args = sql_among("type", types)
        if after is not None:
            where, args = where + " AND happened_at > ?", [*args, after]
        if before is not None:
            where, args = where + " AND happened_at < ?", [*args, before]
        where += " AND customer <> ''" if customer else ""           # then there is an index
        rows = self.rows(f"SELECT {EVENT_COLUMNS} FROM events WHERE customer = ? AND {where} ORDER BY seq DESC LIMIT ?",
                         (customer, *args, offset + limit + LATE_EVENTS))
        newest = sorted((Event(*row) for row in rows), key=lambda event: (event.happened_at, event.seq), reverse=True)
        return newest[offset:offset + limit]

    # --- event types

    def list_event_types(self) -> list[EventType]:
        return [EventType(*row) for row in self.rows(f"SELECT {', '.join(EventType._fields)} FROM event_types ORDER BY seq LIMIT 10000")]

    def save_event_type(self, wanted: EventType) -> None:
        """Inserts an event type, and subscribes to it the receivers of the kinds that hear of it by default; or changes it."""
        known = self.row("SELECT seq FROM event_types WHERE name = ?", (wanted.name,))
        if known:
            self.db.execute(update_sql("event_types", EventType._fields), (*wanted, known[0]))
            return
        seq = self.db.execute(f"INSERT INTO event_types ({', '.join(EventType._fields)}) VALUES (?, ?, ?, ?, ?, ?, ?)", wanted).lastrowid
        kinds = unpack(wanted.default_receiver_types)
        where, args = sql_among("type", kinds)
        self.db.execute(f"INSERT INTO receiver_event_types (receiver, event_type) SELECT seq, ? FROM receivers WHERE {where}", (seq, *args))
        self.recent.hearers.clear()

    def prune(self, limit: int) -> int:
        """Deletes the oldest of what is over, up to so many rows of one kind: finished alerts, else pings but for the newest ten of
        each check, else events that nobody is still to be told of and that are not about anything that still lasts. How many."""
        alerts = self.find_retired_alerts(FINISHED_STATUSES, 2**62, limit)
        for alert in alerts:
            self.delete_alert(alert)
        if alerts:
            return len(alerts)
        deleted = self.db.execute(
            "DELETE FROM pings WHERE (check_seq, n) IN (SELECT check_seq, n FROM pings JOIN checks ON seq = check_seq WHERE n <= n_pings - 10"
            " LIMIT ?)", (limit,)).rowcount
        return deleted or self.db.execute(
            "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE event = events.seq AND"
            " state <> 'sent') AND NOT EXISTS (SELECT 1 FROM alerts WHERE id = events.alert AND closed_at IS NULL) ORDER BY seq LIMIT ?)",
            (limit,)).rowcount

    def delete_old_events(self, before: int) -> None:
        """Of the oldest two hundred events, those from before a moment go, unless somebody still is to be told of them."""
        self.db.execute("DELETE FROM events WHERE seq IN (SELECT seq FROM events ORDER BY seq LIMIT 200) AND happened_at < ?"
                        " AND NOT EXISTS (SELECT 1 FROM outbox WHERE event = events.seq AND state = 'waiting')", (before,))

    # --- heartbeats

    def find_heartbeat(self, origin: str, customer: str) -> Heartbeat | None:
        row = self.row(f"SELECT {HEARTBEAT_COLUMNS} FROM heartbeats JOIN beats ON heartbeat = seq"
                       " WHERE origin = ? AND customer = ?", (origin, customer))
        return Heartbeat(*row) if row else None

    def get_heartbeat(self, ident: str, customer: str = "") -> Heartbeat:
        """The heartbeat with this id, or whose id begins so (at least 8 characters)."""
        sql = f"SELECT {HEARTBEAT_COLUMNS} FROM heartbeats JOIN beats ON heartbeat = seq WHERE "
        rows = self.rows(sql + "id = ?", (ident,))
        if not rows and len(ident) >= 8:
            rows = self.rows(sql + "id >= ? AND id < ? LIMIT 2", (ident, prefix_end(ident)))
        beats = [Heartbeat(*row) for row in rows if customer in ("", row[3])]
        if len(beats) != 1:
            raise NotFound()
        return beats[0]

    def list_heartbeats(self, customer: str = "") -> list[Heartbeat]:
        return [Heartbeat(*row) for row in self.rows(
            f"SELECT {HEARTBEAT_COLUMNS} FROM heartbeats JOIN beats ON heartbeat = seq"
            " WHERE ? IN ('', customer) ORDER BY seq LIMIT 100000", (customer,))]

    def insert_heartbeat(self, beat: Heartbeat) -> Heartbeat:
        if self.row("SELECT 1 FROM heartbeats WHERE id = ?", (beat.id,)):
            raise Conflict(f"id {beat.id} is already used by another heartbeat")
        seq = self.db.execute(
            "INSERT INTO heartbeats (id, origin, customer, tags, attributes, timeout, silent, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            beat[1:9]).lastrowid
        self.db.execute("INSERT INTO beats VALUES (?, ?, ?, ?)", (seq, beat.created_at, beat.received_at, beat.gap))
        self.note_due(beat.due_at)
        return beat._replace(seq=seq)

    def update_heartbeat(self, old: Heartbeat, new: Heartbeat) -> None:
        """Writes the beat, and the wide row only where it says something new."""
        self.db.execute("UPDATE beats SET created_at = ?, received_at = ?, gap = ? WHERE heartbeat = ?",
                        (new.created_at, new.received_at, new.gap, old.seq))
        if old[4:9] != new[4:9]:
            self.db.execute("UPDATE heartbeats SET tags = ?, attributes = ?, timeout = ?, silent = ?, due_at = ? WHERE seq = ?",
                            (*new[4:9], old.seq))
            self.note_due(new.due_at)

    def set_heartbeat_state(self, seq: int, silent: int, due_at: int | None) -> None:
        self.db.execute("UPDATE heartbeats SET silent = ?, due_at = ? WHERE seq = ?", (silent, due_at, seq))
        self.note_due(due_at)

    def due_heartbeats(self, now: int, limit: int) -> list[Heartbeat]:
        return [Heartbeat(*row) for row in self.rows(
            f"SELECT {HEARTBEAT_COLUMNS} FROM heartbeats JOIN beats ON heartbeat = seq WHERE due_at <= ? ORDER BY due_at LIMIT ?",
            (now, limit))]

    def delete_heartbeat(self, seq: int) -> None:
        self.db.execute("DELETE FROM heartbeats WHERE seq = ?", (seq,))

    # --- checks

    def find_check(self, code: str) -> Check | None:
        known = self.recent and self.recent.checks.get(code)
        if known:
            return known
        self.flush()
        row = self.row(f"SELECT {CHECK_COLUMNS} FROM checks WHERE code = ?", (code,))
        return Check(*row) if row else None

    def find_check_by_key(self, unique_key: str, customer: str) -> Check | None:
        row = self.row(f"SELECT {CHECK_COLUMNS} FROM checks WHERE unique_key = ? AND customer = ?", (unique_key, customer))
        return Check(*row) if row else None

    def find_check_by_badge(self, badge_key: str) -> Check | None:
        row = self.row(f"SELECT {CHECK_COLUMNS} FROM checks WHERE badge_key = ?", (badge_key,))
        return Check(*row) if row else None

    def find_checks_of(self, customer: str, limit: int = 1, **equal: Any) -> list[Check]:
        """The checks of a customer with these values in these columns, the oldest first."""
        where = "".join(f" AND {column} = ?" for column in equal)
        self.flush()
        return [Check(*row) for row in self.rows(f"SELECT {CHECK_COLUMNS} FROM checks WHERE customer = ?{where} ORDER BY seq LIMIT ?",
                                                 (customer, *equal.values(), limit))]

    def list_checks(self, customer: str, slug: str = "", tags: Iterable[str] = ()) -> list[Check]:
        """The checks of a customer in the order of their making: of a slug ('' = any), with all of these tags."""
        wanted = set(tags)
        conditions = [("slug = ?", slug)] if slug else []
        conditions += [("instr(tags, ?) > 0", tag) for tag in wanted]
        rows = self.rows(f"SELECT {CHECK_COLUMNS} FROM checks WHERE customer = ?" + "".join(f" AND {sql}" for sql, _ in conditions)
                         + " ORDER BY seq LIMIT 100000", (customer, *(value for _, value in conditions)))
        return [check for check in (Check(*row) for row in rows) if not wanted or wanted <= set(check_tags(check))]

    def count_checks(self, customer: str) -> int:
        return self.row("SELECT count(*) FROM checks WHERE customer = ?", (customer,))[0]

    def insert_check(self, check: Check) -> Check:
        seq = self.db.execute(insert_rows_sql("checks", len(check), 1), (None, *check[1:])).lastrowid
        self.note_due(check.due_at)
        return check._replace(seq=seq)

    def update_check(self, old: Check, new: Check) -> None:
        """Changes a check, by the end of the transaction, for the reason that add_row gives."""
        stored, _ = self.changed_checks.get(old.seq, (old, None))
        self.changed_checks[old.seq] = (stored, new)
        self.recent.remember_check(new)
        self.note_due(new.due_at)

    def write_changed_checks(self) -> None:
        """Writes of each changed check what changed, those together that changed in the same columns."""
        by_columns: dict[tuple[str, ...], list[tuple]] = {}
        for old, new in self.changed_checks.values():
            places = [place for place, (before, after) in enumerate(zip(old, new)) if before != after]
            columns = tuple(Check._fields[place] for place in places)
            by_columns.setdefault(columns, []).append((old.seq, *(new[place] for place in places)))
        self.changed_checks = {}
        for columns, rows in by_columns.items():
            if columns:
                self.db.execute(update_rows_sql("checks", columns, len(rows)), tuple(itertools.chain(*rows)))

    def delete_check(self, check: Check) -> None:
        """Deletes a check with its pings and flips."""
        self.flush()
        self.recent.checks.pop(check.code, None)
        self.db.execute("DELETE FROM checks WHERE seq = ?", (check.seq,))

    def cron_checks(self) -> list[Check]:
        """The cron checks that wait for a run."""
        self.flush()
        return [Check(*row) for row in self.rows(
            f"SELECT {CHECK_COLUMNS} FROM checks WHERE kind = 'cron' AND status = 'up' ORDER BY seq LIMIT 100000")]

    def due_checks(self, now: int, limit: int) -> list[Check]:
        self.flush()
        return [Check(*row) for row in self.rows(
            f"SELECT {CHECK_COLUMNS} FROM checks WHERE due_at <= ? ORDER BY due_at LIMIT ?", (now, limit))]

    def insert_ping(self, ping: Ping, limit: int) -> None:
        """Stores a ping; with every hundredth of a check, those beyond its newest `limit` go, and old flips."""
        self.add_row("pings", ping)
        if ping.n % 100 == 0:
            self.flush()
            self.db.execute("DELETE FROM pings WHERE check_seq = ? AND n <= ?", (ping.check_seq, ping.n - limit))
            self.delete_old_flips(ping.check_seq, ping.created_at)

    def check_pings(self, check: Check, limit: int) -> list[Ping]:
        """What is kept of the pings of a check, up to `limit` and a hundred more, the oldest first."""
        return [Ping(*row) for row in self.rows(
            f"SELECT {PING_COLUMNS} FROM pings WHERE check_seq = ? AND n > ? ORDER BY n", (check.seq, check.n_pings - limit - 100))]

    def find_ping(self, check_seq: int, n: int) -> Ping | None:
        row = self.row(f"SELECT {PING_COLUMNS} FROM pings WHERE check_seq = ? AND n = ?", (check_seq, n))
        return Ping(*row) if row else None

    def insert_flip(self, flip: Flip) -> None:
        self.add_row("flips", flip)
        self.delete_old_flips(flip.check_seq, flip.created_at)

    def delete_old_flips(self, check_seq: int, now: int) -> None:
        """The flips of a check that are older than both FLIP_RETENTION and the oldest ping that is kept go."""
        self.db.execute(
            "DELETE FROM flips WHERE check_seq = ? AND created_at < min(?, coalesce("
            "(SELECT created_at FROM pings WHERE check_seq = ? ORDER BY n LIMIT 1), ?))",
            (check_seq, now - FLIP_RETENTION, check_seq, now))

    def check_flips(self, check_seq: int, start: int, end: int) -> list[Flip]:
        """The flips of a check from start up to before end, the newest first."""
        return [Flip(*row) for row in self.rows(
            f"SELECT {FLIP_COLUMNS} FROM flips WHERE check_seq = ? AND created_at >= ? AND created_at < ? ORDER BY seq DESC LIMIT 10000",
            (check_seq, start, end))]

    def find_project(self, **equal: str) -> Project | None:
        """The project with this value in this column."""
        (column, value), = equal.items()
        row = self.row(f"SELECT {', '.join(Project._fields)} FROM projects WHERE {column} = ?", (value,))
        return Project(*row) if row else None

    def insert_project(self, project: Project) -> None:
        self.db.execute(insert_rows_sql("projects", len(project), 1), project)

    # --- receivers

    def list_receivers(self, customer: str) -> list[Receiver]:
        return [Receiver(*row) for row in self.rows(
            f"SELECT {RECEIVER_COLUMNS} FROM receivers WHERE customer = ? ORDER BY seq LIMIT 10000", (customer,))]

    def find_receiver(self, ident: str | int, customer: str | None = None) -> Receiver | None:
        """The receiver with this id or seq; with a customer only where it is that one's."""
        column = "seq" if isinstance(ident, int) else "id"
        row = self.row(f"SELECT {RECEIVER_COLUMNS} FROM receivers WHERE {column} = ?", (ident,))
        return Receiver(*row) if row and customer in (None, row[2]) else None

    def insert_receiver(self, receiver: Receiver) -> Receiver:
        """Stores a receiver, subscribed to what its kind hears of by default."""
        seq = self.db.execute(insert_rows_sql("receivers", len(receiver), 1), (None, *receiver[1:])).lastrowid
        chosen = [kind.name for kind in self.list_event_types() if receiver.type in unpack(kind.default_receiver_types)]
        self.set_subscriptions(seq, chosen)
        self.note_due(receiver.due_at)
        return receiver._replace(seq=seq)

    def update_receiver(self, receiver: Receiver) -> None:
        self.db.execute(update_sql("receivers", Receiver._fields[1:]), (*receiver[1:], receiver.seq))
        self.note_due(receiver.due_at)

    def delete_receiver(self, seq: int) -> None:
        self.flush()
        self.db.execute("UPDATE receivers SET fallback = '' WHERE fallback = (SELECT id FROM receivers WHERE seq = ?)", (seq,))
        self.db.execute("DELETE FROM receivers WHERE seq = ?", (seq,))
        self.recent.hearers.clear()

    def subscriptions(self, customer: str) -> dict[int, list[str]]:
        """receivers.seq -> names of the event types that it hears of."""
        found: dict[int, list[str]] = {}
        for seq, name in self.rows(
                "SELECT receiver, event_types.name FROM receiver_event_types JOIN event_types ON event_types.seq = event_type"
                " JOIN receivers ON receivers.seq = receiver WHERE customer = ? ORDER BY event_types.seq", (customer,)):
            found.setdefault(seq, []).append(name)
        return found

    def set_subscriptions(self, receiver: int, names: Iterable[str]) -> None:
        self.db.execute("DELETE FROM receiver_event_types WHERE receiver = ?", (receiver,))
        self.db.executemany("INSERT INTO receiver_event_types (receiver, event_type) SELECT ?, seq FROM event_types WHERE name = ?",
                            [(receiver, name) for name in names])
        self.recent.hearers.clear()

    def due_receivers(self, now: int, limit: int) -> list[Receiver]:
        return [Receiver(*row) for row in self.rows(
            f"SELECT {RECEIVER_COLUMNS} FROM receivers WHERE due_at <= ? ORDER BY due_at LIMIT ?", (now, limit))]

    def told_and_open(self, receiver: int, limit: int) -> list[Alert]:
        """The alerts that are open and that this receiver was told of, the newest first."""
        return [Alert(*row) for row in self.rows(
            f"SELECT {', '.join('a.' + name for name in Alert._fields)} FROM alerts a WHERE a.id IN (SELECT e.alert FROM outbox o"
            " JOIN events e ON e.seq = o.event WHERE o.receiver = ? AND o.state <> 'dead') AND a.status = 'open' AND a.superseded = 0"
            " ORDER BY a.last_received_at DESC LIMIT ?", (receiver, limit))]

    # --- outbox

    def waiting_receivers(self) -> list[int]:
        return [seq for seq, in self.rows("SELECT DISTINCT receiver FROM outbox WHERE state = 'waiting'")]

    def notices(self, receiver: int, state: str, limit: int, newest_first: bool = True) -> list[Notice]:
        """What is owed to a receiver (waiting), was sent or given up (dead; '' = both)."""
        order = "o.seq DESC" if newest_first else "o.seq"
        where = "state = 'waiting'" if state == "waiting" else "state <> 'waiting' AND ? IN ('', state)"
        args = [receiver] if state == "waiting" else [receiver, state]
        rows = self.rows(f"SELECT {NOTICE_COLUMNS} FROM outbox o JOIN events e ON e.seq = o.event WHERE receiver = ? AND {where}"
                         f" ORDER BY {order} LIMIT ?", (*args, limit))
        return [Notice(*row[:7], Event(*row[7:])) for row in rows]

    def mark_notices(self, notices: Iterable[Notice], state: str, now: int, waited: int, error: str | None) -> None:
        """What became of an attempt; waited: seconds of trying since the last one."""
        self.db.executemany("UPDATE outbox SET state = ?, attempts = attempts + 1, waited = waited + ?, last_error = ?, marked_at = ?"
                            " WHERE seq = ? AND receiver = ? AND event = ? AND state = 'waiting'",
                            [(state, waited, error, now, notice.seq, notice.receiver, notice.event.seq) for notice in notices])

    def charge_waiting(self, receiver: int, waited: int) -> None:
        """All that waits for a receiver has waited so many seconds longer."""
        self.db.execute("UPDATE outbox SET waited = waited + ? WHERE receiver = ? AND state = 'waiting'", (waited, receiver))

    def give_up_waiting(self, receiver: int, longest: int, error: str, now: int) -> int:
        """What has waited for so many seconds is given up; how many."""
        return self.db.execute("UPDATE outbox SET state = 'dead', last_error = ?, marked_at = ? WHERE receiver = ? AND state = 'waiting'"
                               " AND waited >= ?", (error, now, receiver, longest)).rowcount

    def owe_fallback(self, receiver: int, fallback: int, after: int) -> None:
        """The fallback is owed what has waited for a receiver for so many seconds, and what was given up."""
        count = self.db.execute(
            "INSERT INTO outbox (event, receiver, state) SELECT event, ?, 'waiting' FROM outbox WHERE receiver = ? AND state <> 'sent'"
            " AND (waited >= ? OR state = 'dead') ORDER BY seq ON CONFLICT DO NOTHING", (fallback, receiver, after)).rowcount
        if count:
            self.owed.add(fallback)

    def has_dead(self, receiver: int) -> bool:
        return self.row("SELECT 1 FROM outbox WHERE receiver = ? AND state = 'dead' LIMIT 1", (receiver,)) is not None

    def replay_dead(self, receiver: int) -> int:
        """What was given up is owed again; how many."""
        count = self.db.execute("UPDATE outbox SET state = 'waiting', waited = 0 WHERE receiver = ? AND state = 'dead'", (receiver,)).rowcount
        self.owed.add(receiver)
        return count

    def receivers_of_checks(self, customer: str, check_seq: int | None = None) -> dict[int, list[str]]:
        """checks.seq -> sorted ids of the receivers assigned to it, for one check or all of a customer."""
        found: dict[int, list[str]] = {}
        one, args = ("check_seq = ?", (check_seq,)) if check_seq is not None else ("receivers.customer = ?", (customer,))
        for seq, ident in self.rows("SELECT check_seq, id FROM check_receivers JOIN receivers ON receivers.seq = receiver"
                                    f" WHERE {one} ORDER BY id", args):
            found.setdefault(seq, []).append(ident)
        return found

    def set_check_receivers(self, check_seq: int, receivers: Iterable[int]) -> None:
        self.db.execute("DELETE FROM check_receivers WHERE check_seq = ?", (check_seq,))
        self.db.executemany("INSERT INTO check_receivers VALUES (?, ?)", [(check_seq, seq) for seq in receivers])

    # --- users

    def find_user(self, login: str) -> User | None:
        """The user with this login or e-mail address."""
        row = self.row(f"SELECT {USER_COLUMNS} FROM users WHERE login = ?", (login,)) \
            or self.row(f"SELECT {USER_COLUMNS} FROM users WHERE email = ?", (login,))
        return User(*row) if row else None

    def get_user(self, ident: str) -> User:
        row = self.row(f"SELECT {USER_COLUMNS} FROM users WHERE id = ?", (ident,))
        if not row:
            raise NotFound()
        return User(*row)

    def list_users(self) -> list[User]:
        return [User(*row) for row in self.rows(f"SELECT {USER_COLUMNS} FROM users ORDER BY seq LIMIT 100000")]

    def save_user(self, user: User) -> User:
        """Inserts a user without a seq, else writes the row."""
        return user._replace(seq=self.db.execute(SAVE_USER, (user.seq or None, *user[1:])).lastrowid)

    def delete_user(self, seq: int) -> None:
        self.db.execute("DELETE FROM users WHERE seq = ?", (seq,))

    def user_groups(self, seq: int) -> list[tuple[str, str, str, int]]:
        """(id, name, text, number of members) of the groups a user is in."""
        return self.rows(
            "SELECT id, name, text, (SELECT count(*) FROM group_users m WHERE m.group_seq = groups.seq) FROM groups"
            " JOIN group_users ON group_seq = groups.seq WHERE user_seq = ? ORDER BY name", (seq,))

    def role_scopes(self, role: str) -> list[str]:
        """The scopes of a role: built in, else as stored."""
        if role in ROLE_SCOPES:
            return list(ROLE_SCOPES[role])
        row = self.row("SELECT scopes FROM permissions WHERE match = ?", (role,))
        return unpack(row[0]) if row else []

    # --- keys

    def find_key(self, ident: str) -> ApiKey | None:
        """The key with this hash or id."""
        row = self.row(f"SELECT {KEY_COLUMNS} FROM api_keys WHERE key_hash = ?", (ident,)) \
            or self.row(f"SELECT {KEY_COLUMNS} FROM api_keys WHERE id = ?", (ident,))
        return ApiKey(*row) if row else None

    def list_keys(self, user: str | None = None) -> list[ApiKey]:
        return [ApiKey(*row) for row in self.rows(
            f"SELECT {KEY_COLUMNS} FROM api_keys WHERE ? IS NULL OR user = ? ORDER BY seq LIMIT 100000", (user, user))]

    def save_key(self, key: ApiKey) -> ApiKey:
        """Inserts a key without a seq, else writes the row."""
        return key._replace(seq=self.db.execute(SAVE_KEY, (key.seq or None, *key[1:])).lastrowid)

    def delete_key(self, ident: str) -> None:
        self.db.execute("DELETE FROM api_keys WHERE id = ?", (ident,))

    def delete_keys_of(self, login: str) -> None:
        self.db.execute("DELETE FROM api_keys WHERE user = ?", (login,))

    def add_uses(self, uses: dict[str, tuple[int, int]], sign_ins: dict[int, int]) -> None:
        """uses: key id -> (how often since the last time, when last); sign_ins: user -> when last."""
        self.db.executemany("UPDATE users SET last_login_at = ? WHERE seq = ?", [(at, seq) for seq, at in sign_ins.items()])
        self.db.executemany("UPDATE api_keys SET count = count + ?, last_used_at = ? WHERE id = ?",
                            [(count, last, ident) for ident, (count, last) in uses.items()])


def alert_kind(alert: Alert) -> tuple[str, ...]:
    """What alert_counts and alert_services tell alerts apart by."""
    return alert.service, alert.status, alert.severity, alert.environment, alert.customer


@lru_cache(maxsize=512)
def insert_rows_sql(table: str, width: int, count: int) -> str:
    """The statement that inserts so many rows of so many values. table: its name, with the columns in parentheses if not all."""
    return f"INSERT INTO {table} VALUES {', '.join(['(' + ', '.join('?' * width) + ')'] * count)}"


@lru_cache(maxsize=512)
def update_rows_sql(table: str, columns: tuple[str, ...], count: int) -> str:
    """The statement that sets these columns of so many rows; takes seq and values of each."""
    changes = ", ".join(f"{name} = new.column{place}" for place, name in enumerate(columns, 2))
    rows = ", ".join(["(" + ", ".join("?" * (len(columns) + 1)) + ")"] * count)
    return f"UPDATE {table} SET {changes} FROM (VALUES {rows}) AS new WHERE {table}.seq = new.column1"


@lru_cache(maxsize=512)
def update_sql(table: str, columns: tuple[str, ...]) -> str:
    return f"UPDATE {table} SET {', '.join(name + ' = ?' for name in columns)} WHERE seq = ?"


def page_arms(wanted: AlertFilter, tallies: list[Tally], reach: int) -> list[tuple[str, list[Any]]] | None:
    """The index ranges whose newest `reach` rows contain the newest `reach` matches; None where they are too many."""
    services = wanted.equal.get("service")
    if services and len(set(services)) > 1:
        return None
    narrow, narrow_args = zip(*(sql_among(name, wanted.equal.get(name)) for name in ("severity", "customer")))
    tail = f" AND {' AND '.join(narrow)} ORDER BY last_received_at DESC LIMIT ?"
    tail_args = [*itertools.chain(*narrow_args), reach]
    if services:
        sql = "SELECT alert AS seq, last_received_at FROM alert_services WHERE environment = ? AND service = ? AND status = ?" + tail
        ranges = {(tally.environment, services[0], tally.status) for tally in tallies}
    else:
        sql = "SELECT seq, last_received_at FROM alerts WHERE environment = ? AND status = ?" + tail
        ranges = {(tally.environment, tally.status) for tally in tallies}
    return [(sql, [*bounds, *tail_args]) for bounds in sorted(ranges)] if len(ranges) <= MOST_ARMS else None


# The number of services in a row's JSON list, at least one, so that an alert without a service counts too.
SERVICES_SQL = "max(length(service) - length(replace(service, char(10), '')), 1)"
TOP_SQL = {
    "count": "SELECT {column}, sum({services}) n, sum(duplicate_count * {services}) FROM alerts WHERE {where}"
             " GROUP BY 1 ORDER BY 2 DESC, 3 DESC, 1 LIMIT ?",
    "standing": "SELECT {column}, sum({services}), sum(duplicate_count * {services}) FROM alerts WHERE {where}"
                " GROUP BY 1 ORDER BY sum((last_received_at - created_at) * {services}) DESC, 1 LIMIT ?",
    "flapping": "SELECT {column}, sum({services} * changes), sum(duplicate_count * {services} * changes) FROM (SELECT *,"
                " (SELECT count(*) FROM alert_history h WHERE h.alert = alerts.seq AND h.type = 'severity') AS changes"
                " FROM alerts WHERE {where}) WHERE changes GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
}


def attribute_of(attributes: str, name: str) -> str | None:
    """SQL function: one attribute as text; NULL where there is none."""
    value = unpack(attributes).get(name)
    return value if value is None or isinstance(value, str) else json.dumps(value)


NUMBER_TEXT = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")


def number_of(text: str) -> float | None:
    """SQL function: the number that a text is; NULL where it is none."""
    return float(text) if NUMBER_TEXT.fullmatch(text) else None


def element_matches(items: str, glob: str, edge: str) -> bool:
    """SQL function: whether an element of a list, in lower case and with an edge at both ends, matches a GLOB."""
    matches = pattern_of_glob(glob).match
    return any(matches(edge + item.lower() + edge) for item in unpack(items))


# What SQLite calls while it reads: name, number of arguments, function. The same arguments always have the same result.
SQL_FUNCTIONS: tuple[tuple[str, int, Callable], ...] = (
    ("attribute", 2, attribute_of), ("number_of", 1, number_of), ("element_glob", 3, element_matches),
    ("fold", 1, lambda value: str(value).lower()), ("re2_found", 2, lambda pattern, text: bool(re2_library().search(pattern, text))))


FATAL_TEXTS = ("disk I/O error", "readonly", "malformed", "not a database")      # what SQLite says when a file can be relied on no more


def has_room(path: str, kilobytes: int = 64) -> bool:
    """Whether the disk that a file is on has so much room for us."""
    found = os.statvfs(os.path.dirname(os.path.abspath(path)))
    return found.f_bavail * found.f_frsize >= kilobytes * 1024


def is_full_error(error: sqlite3.Error, path: str) -> bool:
    """Whether there was no room: SQLite also speaks of an I/O error where a full disk keeps its shared memory from growing."""
    return "full" in str(error) or "disk I/O error" in str(error) and not has_room(path)


def is_fatal(error: BaseException | None) -> bool:
    """Whether SQLite can be relied on no more."""
    return isinstance(error, sqlite3.Error) and any(text in str(error) for text in FATAL_TEXTS)


def is_damage(error: BaseException | None) -> bool:
    """Whether the file does not hold what SQLite wrote into it."""
    return isinstance(error, sqlite3.Error) and any(text in str(error) for text in FATAL_TEXTS[2:])


def suspect(path: str, error: BaseException | None = None) -> None:
    """Has the next start look at the whole file: always, or where this error speaks of damage."""
    if error is None or is_damage(error):
        with contextlib.suppress(OSError):
            pathlib.Path(path + ".suspect").touch()


TOO_SLOW = "the search takes too long: narrow it by status, environment or service"


def problem_of_sqlite(error: sqlite3.Error, path: str) -> Problem:
    """What to tell a client about a storage error (measured causes; a message never carries SQL or a path)."""
    text = str(error)
    if is_full_error(error, path):
        return StorageFull("the disk is full: nothing was stored")
    if "interrupted" in text or "user-defined function" in text:
        return Unavailable(TOO_SLOW)
    if isinstance(error, sqlite3.IntegrityError):
        taken = re.search(r"UNIQUE constraint failed: [a-z_]+\.([a-z_]+)$", text)
        return Conflict(f"this {taken[1]} is another one's already" if taken else "it conflicts with something stored")
    return Unavailable("the store cannot be used now: nothing was stored")


def is_storage_error(error: Exception) -> bool:
    """Whether the database itself fails, rather than what was asked of it."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError))


class Job:
    """A function that waits to be run in a transaction, and what became of it."""
    __slots__ = ("work", "result", "error", "done", "wake")

    def __init__(self, work: Callable[[Tables], Any]):
        self.work, self.result, self.error, self.done = work, None, None, False
        self.wake = threading.Lock()


class Store:
    """The database file: one writer with group commit, a few readers."""

    MOST_JOBS = 64                                   # functions that share a commit
    MOST_READERS = 4
    LONGEST_END = 10                                 # seconds for what is being written at the end

    def __init__(self, path: str, read_deadline: int = 2000, size_limit: int = 1024, repairs: bool = False):
        """Opens or creates the database; StartupRefused where it must not be touched. read_deadline in milliseconds,
        size_limit in megabytes; repairs: whether a damaged one is set aside, to go on from the last good copy."""
        require_sqlite()
        self.path = path
        self.read_deadline = read_deadline / 1000
        self.on_due: Callable[[int], None] = lambda due_at: None
        self.on_owed: Callable[[set[int]], None] = lambda receivers: None
        self.serve_waiting: Callable[[Job], None] = lambda job: None
        self.step_aside: Callable[..., Any] = lambda call, is_brief=False: call()      # makes a call that may take long
        self.busy_timeout = 5000                     # milliseconds for which another program may hold the file
        self.on_fault: Callable[[], None] = lambda: None
        self.last_error: str | None = None
        self.is_full = False                         # the last write found no room
        self.refused = False                         # something was refused for that; whoever notes it resets it
        self.fault: str | None = None                # why nothing may be acknowledged any more, until the process is started again
        self.commits, self.probed_commits, self.probed_at = 0, 0, -1e9               # the time in monotonic seconds
        self.lock_file = lock_database(path)
        with contextlib.ExitStack() as on_refusal:
            on_refusal.callback(self.lock_file.close)
            if not has_room(path):
                release_ballast(path)                # else a full disk could not even be read
            self.restored = restore_damaged(path, os.fstat(self.lock_file.fileno()).st_size > 0, repairs)
            try:
                if not place_of(path):
                    make_database(path, size_limit)
                self.db = on_refusal.enter_context(contextlib.closing(connect(path, size_limit)))
                prepare_database(self.db, path)
                self.place, self.wal_place = place_of(path), place_of(path + "-wal")
            except sqlite3.DatabaseError as error:
                suspect(path, error)
                advice = "Make room" if is_full_error(error, path) else "Restore a backup, or move the file away"
                raise StartupRefused(f"{path} cannot be used: {error}. {advice}.", STORE_FAILED) from None
            on_refusal.pop_all()
        self.tables = Tables(self.db, RecentRows())
        self.jobs: collections.deque[Job] = collections.deque()
        self.gate = threading.Lock()
        self.has_leader = False
        self.readers: queue.LifoQueue[SimpleNamespace] = queue.LifoQueue()
        for _ in range(self.MOST_READERS):
            self.readers.put(SimpleNamespace(tables=None, deadline=0.0))
        mark_known(self.lock_file)

    # --- writing

    def write(self, work: Callable[[Tables], Any]) -> Any:
        """Runs work(tables) in a transaction and returns its result, after the COMMIT that holds it.

        First it lets the requests that already wait be served too (see serve_waiting), so that their functions join
        this transaction. Then whoever finds no leader leads: it runs all functions that wait in one transaction, each
        in its own savepoint where that is needed, and commits once. What work raises undoes its own changes only and is
        raised here. work may run twice, so it must change nothing but tables.
        """
        if self.fault:
            raise Unavailable("the store has failed: nothing is stored until the server has started again")
        job = Job(work)
        with self.gate:
            self.jobs.append(job)
        self.serve_waiting(job)
        with self.gate:
            waits = self.has_leader and not job.done
            leads = not self.has_leader and not job.done
            self.has_leader = self.has_leader or leads
            if waits:
                job.wake.acquire()
        if waits:
            self.step_aside(job.wake.acquire)        # until it is done, or appointed to lead
        if not job.done:
            self.lead(job)
        if job.error is not None:
            raise job.error
        return job.result

    def lead(self, own: Job) -> None:
        """Serves the jobs that wait, the oldest first, until its own is done; then appoints the next leader."""
        try:
            while not own.done:
                with self.gate:
                    batch = [self.jobs.popleft() for _ in range(min(len(self.jobs), self.MOST_JOBS))]
                try:
                    self.commit(batch)
                except BaseException as error:       # even then nobody may wait for ever, or think that it is stored
                    self.fail(batch, error)
                self.release(batch)
        finally:
            with self.gate:
                heir = next((job for job in self.jobs if job.wake.locked()), None)
                self.has_leader = heir is not None
                if heir:
                    heir.wake.release()

    def release(self, batch: list[Job]) -> None:
        """Tells the jobs that they are done, and wakes who waits for them."""
        with self.gate:
            for job in batch:
                job.done = True
                if job.wake.locked():
                    job.wake.release()

    def commit(self, batch: list[Job]) -> None:
        """Runs the jobs in one transaction. Where the transaction itself fails, all of them fail.

        Most jobs succeed, so the first try goes without savepoints; should one raise, all run again within them.
        """
        if self.fault:
            self.fail(batch, Unavailable("the store has failed: nothing is stored until the server has started again"))
            return
        changes = self.db.total_changes
        try:
            try:
                self.run(batch, lambda job: job.work(self.tables))
            except Exception as error:
                if is_storage_error(error):
                    raise
                self.roll_back("ROLLBACK")
                self.run(batch, self.run_in_savepoint)
            self.step_aside(self.end, is_brief=True)
            if self.db.total_changes > changes:      # an empty transaction says nothing about the disk
                self.last_error, self.is_full, self.commits = None, False, self.commits + 1
        except BaseException as error:
            self.fail(batch, error)
            return
        if self.tables.earliest_due is not None:
            self.on_due(self.tables.earliest_due)
        if self.tables.owed:
            self.on_owed(self.tables.owed)

    def run(self, batch: list[Job], run_job: Callable[[Job], Any]) -> None:
        self.tables.earliest_due, self.tables.owed = None, set()
        self.begin()
        for job in batch:
            job.result = run_job(job)
        self.tables.finish()

    def begin(self) -> None:
        """Begins a transaction. Another program that holds the file, somebody's sqlite3 shell, is waited for."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            self.step_aside(self.begin_later)

    def begin_later(self) -> None:
        self.db.execute(f"PRAGMA busy_timeout = {self.busy_timeout}")
        try:
            self.db.execute("BEGIN IMMEDIATE")
        finally:
            self.db.execute("PRAGMA busy_timeout = 0")

    def end(self) -> None:
        self.db.execute("COMMIT")

    def run_in_savepoint(self, job: Job) -> Any:
        """Runs one function; what it raises becomes its own error, and undoes only what it did."""
        result = None
        self.db.execute("SAVEPOINT job")
        try:
            result = job.work(self.tables)
            self.tables.finish()
        except Exception as error:
            if is_storage_error(error):
                raise
            self.roll_back("ROLLBACK TO job")
            job.error = problem_of_sqlite(error, self.path) if isinstance(error, sqlite3.Error) else error
        self.db.execute("RELEASE job")
        return result

    def roll_back(self, statement: str) -> None:
        self.tables.forget_unwritten()
        self.db.execute(statement)

    def fail(self, batch: list[Job], error: BaseException) -> None:
        """Undoes the transaction and tells everybody in it why."""
        if self.db.in_transaction:                   # a full disk or a failed write has undone everything already
            with contextlib.suppress(sqlite3.Error):
                self.db.execute("ROLLBACK")
        self.tables.forget_unwritten()
        if isinstance(error, sqlite3.Error):
            self.last_error, self.is_full = str(error), is_full_error(error, self.path)
            self.refused = self.refused or self.is_full
            if not self.is_full and is_fatal(error):
                self.break_down(f"the database cannot be written: {error}")
            error = problem_of_sqlite(error, self.path)
        for job in batch:
            job.error = job.error or error           # who was refused anyway is told why

    def break_down(self, fault: str, before_end: Callable[[], None] = lambda: None) -> None:
        """Acknowledges nothing any more: after such an error SQLite may believe that something is stored which is not. Only a
        new start, which reads the file again, can tell. before_end: what is still to be done first."""
        with self.gate:
            is_first, self.fault = self.fault is None, self.fault or fault
        if is_first:
            before_end()
            log(1, f"{fault}: the process ends, to be started again")
            suspect(self.path)
            self.on_fault()

    def look_at_file(self) -> None:
        """Notices that the database was deleted, replaced or cut off: SQLite would go on writing into nowhere."""
        if place_of(self.path) == self.place:
            self.wal_place = place_of(self.path + "-wal") or self.wal_place
            return
        self.break_down(f"{self.path} was deleted, replaced or cut off", self.rescue)

    def rescue(self) -> None:
        """Writes what a database that was deleted still holds into a file of its own; its WAL goes, since whatever takes the file's
        place must not be mixed with it, or is kept under another name where the rescue failed."""
        while self.has_leader:                       # its jobs are refused now, so that is soon over
            time.sleep(0.01)
        stamp = file_stamp()
        rescued, wal = f"{self.path}.rescued-{stamp}", self.path + "-wal"
        try:
            self.db.execute("VACUUM INTO ?", (rescued,))
            log(1, f"what {self.path} held is in {rescued}")
            was_rescued = True
        except sqlite3.Error:
            pathlib.Path(rescued).unlink(missing_ok=True)
            was_rescued = False
        if place_of(wal) == self.wal_place and self.wal_place:
            if was_rescued:
                os.unlink(wal)
            else:
                os.replace(wal, f"{self.path}.damaged-{stamp}-wal")
            pathlib.Path(self.path + "-shm").unlink(missing_ok=True)

    def probe(self, now: float) -> str | None:
        """Why nothing can be written; None = it can. Where nobody has written for a minute, or writing failed five seconds ago,
        it tries. now in monotonic seconds."""
        self.look_at_file()
        if self.commits != self.probed_commits and not self.last_error:
            self.probed_commits, self.probed_at = self.commits, now
        elif not self.fault and now - self.probed_at > (5 if self.last_error else 60):
            self.probed_at = now
            with contextlib.suppress(Problem):
                self.write(Tables.try_to_grow)
            self.probed_commits = self.commits
        return self.fault or self.last_error

    def checkpoint(self) -> None:
        """Moves the WAL into the file and starts it again, as far as nobody is in the way; that needs no room."""
        try:
            with self.gate:
                if self.has_leader:
                    return
                self.db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()       # whoever reads is not waited for
        except sqlite3.Error as error:
            if not is_full_error(error, self.path):
                self.break_down(f"the WAL cannot be moved into the database: {error}")

    # --- reading

    @contextlib.contextmanager
    def read(self) -> Iterable[Tables]:
        """Tables for reading; Unavailable where the reading takes longer than the deadline."""
        try:
            reader = self.readers.get_nowait()
        except queue.Empty:
            reader = self.step_aside(self.readers.get)
        try:
            if reader.tables is None:
                reader.tables = Tables(connect_reader(self.path, lambda: time.monotonic() > reader.deadline))
            reader.deadline = time.monotonic() + self.read_deadline
            yield reader.tables
        except sqlite3.Error as error:
            if is_damage(error):
                self.break_down(f"the database is damaged: {error}")
            raise problem_of_sqlite(error, self.path) from error
        finally:
            self.readers.put(reader)

    def backup(self, target: str) -> None:
        """Writes a verified copy of the database to a file, while others write; StartupRefused where that fails.

        The copy is one file without deleted rows. It gets its name last, so that there is never half a copy of that name.
        """
        part = target + ".part"
        try:
            pathlib.Path(part).unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as db:
                db.execute("PRAGMA wal_autocheckpoint = 0")          # that is for the writer alone
                db.execute("VACUUM INTO ?", (part,))
            check_copy(part)
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            os.replace(part, target)
            sync_folder(target)
        except (OSError, sqlite3.Error) as error:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise StartupRefused(f"no copy was written to {target}: {error}", 74) from None

    def has_keys(self) -> bool:
        with self.read() as tables:
            return bool(tables.row("SELECT 1 FROM api_keys LIMIT 1"))

    def close(self) -> None:
        """Finishes: the WAL is moved into the file, which makes the stop a clean one. What still waits to be written is refused first;
        where that takes too long, the file is left as after a crash: it must not be closed under somebody's hands."""
        self.fault = self.fault or "the server has stopped"
        deadline = time.monotonic() + self.LONGEST_END
        while self.has_leader and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            readers = [self.readers.get(timeout=max(0.0, deadline - time.monotonic())) for _ in range(self.MOST_READERS)]
        except queue.Empty:
            readers = []
        if self.has_leader or not readers:
            log(4, "the database is still in use; the next start looks through it")
            return
        for reader in readers:
            if reader.tables is not None:
                reader.tables.db.close()
        self.db.close()
        self.lock_file.close()


class FileFacts(NamedTuple):
    """What a database file says of itself."""
    application: int
    version: int
    is_used: bool                                    # there is something in it
    damage: str                                      # ok, or what is wrong


def read_facts(path: str, check: str) -> FileFacts:
    """What a database file says of itself, without changing anything beside it. check: quick_check, integrity_check or ''."""
    with contextlib.closing(sqlite3.connect(pathlib.Path(path).resolve().as_uri() + "?mode=ro", uri=True)) as db:
        application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        is_used = bool(version or db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        return FileFacts(application, version, is_used, db.execute(f"PRAGMA {check}(1)").fetchone()[0] if check else "ok")


def newer_text(path: str, version: int) -> str:
    return f"{path} was written by a newer alertlite (schema {version}, this one knows {SCHEMA_VERSION})"


def check_copy(path: str) -> int:
    """Verifies a copy of a database, whole; its schema's version. StartupRefused that says what is wrong with it."""
    if not os.path.isfile(path):
        raise StartupRefused(f"{path} is not a file", 66)
    try:
        facts = read_facts(path, "integrity_check")
    except sqlite3.DatabaseError as error:
        if "unable to open" in str(error):
            raise StartupRefused(f"{path} cannot be read where it is: a database needs a folder that can be written. Copy it to one, with "
                                 "its -wal if there is one", 66) from None
        raise StartupRefused(f"{path} is damaged or no database: {error}", 65) from None
    if facts.application != APPLICATION_ID:
        raise StartupRefused(f"{path} is not a database of alertlite", 65)
    if facts.damage != "ok":
        raise StartupRefused(f"{path} is damaged: {facts.damage}", 65)
    if facts.version > SCHEMA_VERSION:
        raise StartupRefused(newer_text(path, facts.version), 65)
    return facts.version


def require_sqlite() -> None:
    if sqlite3.sqlite_version_info < (3, 37, 0):
        raise StartupRefused(f"alertlite needs SQLite 3.37 or newer; this Python has {sqlite3.sqlite_version}")


def lock_database(path: str) -> Any:
    """The lock file beside the database, locked: one process uses a database. StartupRefused where another does."""
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        raise StartupRefused(f"the folder {directory} does not exist")
    try:
        lock = open(path + ".lock", "a+", encoding="ascii")          # noqa: SIM115 held as long as the database
    except OSError as error:
        raise StartupRefused(f"{path}.lock cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StartupRefused(f"another alertlite is using {path}", LOCKED) from None
    return lock


def place_of(path: str) -> tuple[int, int] | None:
    """What tells a file from another one of its name; None = there is none, or nothing in it."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_size else None


def release_ballast(path: str) -> bool:
    """Gives up the disk space that was held ready beside a database; whether there was any."""
    try:
        os.unlink(path + ".ballast")
    except OSError:
        return False
    return True


def hold_ballast(path: str, kilobytes: int) -> None:
    """Holds disk space ready beside a database, where the disk has ten times as much."""
    ballast = path + ".ballast"
    if not kilobytes or os.path.exists(ballast) or not has_room(path, 10 * kilobytes):
        return
    try:
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, kilobytes * 1024)
    except OSError:
        release_ballast(path)


def set_aside(path: str) -> str:
    """Moves a damaged database away, with its WAL, for somebody to look at; its new name."""
    aside = f"{path}.damaged-{file_stamp()}"
    for end in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(path + end, aside + end)
    pathlib.Path(path + "-shm").unlink(missing_ok=True)              # holds nothing that the WAL does not
    return aside


def find_damage(path: str, known: bool, was_unclean: bool) -> str:
    """What is wrong with a database ('' = nothing). StartupRefused as by refuse_foreign_file, and where it cannot be read."""
    try:
        return refuse_foreign_file(path, known, was_unclean)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return str(error)
        raise StartupRefused(f"{path} cannot be used: {error}", STORE_FAILED) from None


def refuse_unreadable(path: str) -> None:
    """StartupRefused where the disk does not give back what is in a database: that says nothing about what is in it."""
    try:
        for name in filter(os.path.exists, (path, path + "-wal")):
            with open(name, "rb") as file:
                while file.read(1_048_576):
                    pass
    except OSError as error:
        raise StartupRefused(f"{path} cannot be read: {error.strerror}", STORE_FAILED) from None


def restore_damaged(path: str, known: bool, repairs: bool) -> str:
    """Looks at a database before it is opened. A damaged one is set aside, never replaced by an empty one: a start goes on
    from the last good copy, and says so in what is returned ('' = all is well); without a copy it ends, status 74. Where it must
    not repair, a damaged database is only refused."""
    was_unclean = any(os.path.exists(path + end) and (end != "-wal" or os.path.getsize(path + end)) for end in ("-wal", ".suspect"))
    damage = find_damage(path, known, was_unclean)
    if damage:                                       # a disk that cannot be read for a moment looks the same
        refuse_unreadable(path)
        damage = find_damage(path, known, True)
    if damage and not repairs:
        raise StartupRefused(f"{path} is damaged ({damage}). Restore a backup, or move the file away.", STORE_FAILED)
    with contextlib.suppress(OSError):
        os.unlink(path + ".suspect")
    if not damage:
        return ""
    copy = path + LAST_GOOD
    if os.path.exists(copy):                         # before the other one is moved: a disk that is full must not leave nothing
        check_copy(copy)
        try:
            shutil.copyfile(copy, path + ".part")
            with open(path + ".part", "rb+") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise StartupRefused(f"{path} is damaged ({damage}), and {copy} cannot be put in its place: {error.strerror}", STORE_FAILED) from None
    aside = set_aside(path)
    found = f"{path} was damaged ({damage}) and is now {aside}"
    if not os.path.exists(copy):
        raise StartupRefused(f"{found}. Restore a backup to {path}; to begin with an empty database, delete {path}.lock.", STORE_FAILED)
    os.replace(path + ".part", path)
    sync_folder(path)
    log(1, f"{found}; going on from the last good copy, {copy}")
    return f"{found}. What was stored since the last good copy is missing; {aside} may still hold it."


def mark_known(lock: Any) -> None:
    """Notes in the lock file that a database exists: should it ever be empty, it was lost."""
    if os.fstat(lock.fileno()).st_size == 0:
        lock.write("alertlite keeps a database beside this file\n")
        lock.flush()
        os.fsync(lock.fileno())


def refuse_foreign_file(path: str, known: bool, was_unclean: bool) -> str:
    """What is wrong with the database ('' = nothing). StartupRefused where the file is none of this program, or is gone though
    there was one. Only reads, and leaves the WAL where it is: a repair needs it. A whole check only after an unclean stop."""
    if not os.path.exists(path):
        if known:
            raise lost_database(path)
        return ""
    if not os.path.isfile(path):
        raise StartupRefused(f"{path} is not a file")
    with open(path, "rb") as file:
        begin = file.read(16)
    if begin != b"SQLite format 3\0":
        if not known and begin:
            raise StartupRefused(f"{path} is not a database of alertlite")
        return ("it is empty" if not begin else "it is no database") if known else ""
    facts = read_facts(path, "quick_check" if was_unclean else "")
    if facts.application != APPLICATION_ID and (facts.application or facts.is_used):
        raise StartupRefused(f"{path} belongs to another application")
    if known and not facts.is_used:
        raise lost_database(path)
    if facts.version > SCHEMA_VERSION:
        raise StartupRefused(newer_text(path, facts.version))
    return "" if facts.damage == "ok" else facts.damage


def lost_database(path: str) -> StartupRefused:
    """There was a database, and its file is gone; its WAL is moved away, lest it be mixed with whatever is put in its place."""
    if not os.path.exists(path) and os.path.exists(path + "-wal"):
        set_aside(path)
    others = sorted(str(file) for file in pathlib.Path(path).absolute().parent.glob(f"{os.path.basename(path)}.*")
                    if re.search(r"\.(last-good|damaged-[\d-]+|rescued-[\d-]+)$", str(file)))
    beside = f" Beside it: {', '.join(others)}." if others else ""
    return StartupRefused(f"{path} is empty or missing, but there was a database here.{beside} Restore a backup; "
                          f"to begin with an empty one, delete {path}.lock first.")


def connect(path: str, size_limit: int = 1024) -> sqlite3.Connection:
    """A connection with every setting that durability depends on set, and read back. size_limit in megabytes."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    db.execute(f"PRAGMA page_size = {PAGE_SIZE}")    # of a new database; another one keeps its own
    page_size = db.execute("PRAGMA page_size").fetchone()[0]
    wanted = {"busy_timeout": 5000, "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "temp_store": 2, "cache_size": -8000,
              "wal_autocheckpoint": WAL_SIZE // page_size, "journal_size_limit": WAL_SIZE}
    for name, value in wanted.items():
        db.execute(f"PRAGMA {name} = {value}")
        found = db.execute(f"PRAGMA {name}").fetchone()[0]
        if found != value:
            raise StartupRefused(f"SQLite refuses {name}={value} for {path} (it stays {found}); is the file system a network one?")
    db.execute(f"PRAGMA max_page_count = {size_limit * 1_048_576 // page_size}")
    return db


def connect_reader(path: str, is_over: Callable[[], bool]) -> sqlite3.Connection:
    """A connection that cannot write and gives up when is_over() says so: SQLite asks between rows, each function before it begins."""
    def in_time() -> bool:
        if is_over():
            raise TimeoutError
        return True

    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    db.execute("PRAGMA query_only = 1")
    db.execute("PRAGMA busy_timeout = 5000")
    db.set_progress_handler(is_over, 1000)
    db.create_function("in_time", 0, in_time)
    for name, arguments, function in SQL_FUNCTIONS:
        db.create_function(name, arguments, lambda *given, function=function: in_time() and function(*given), deterministic=True)
    return db


def remove_database(path: str) -> None:
    """Removes a file that is no database yet, and what SQLite keeps beside it."""
    for end in ("", "-wal", "-shm", "-journal"):
        pathlib.Path(path + end).unlink(missing_ok=True)


def make_database(path: str, size_limit: int) -> None:
    """Makes a new database. It gets its name last, so that there is never half a one of that name."""
    new = path + ".new"
    remove_database(new)
    try:
        with contextlib.closing(connect(new, size_limit)) as db:
            create_tables(db)
            if db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:          # at the close nobody would hear of an error
                raise StartupRefused(f"{new} cannot be written", STORE_FAILED)
    except BaseException:
        remove_database(new)
        raise
    if os.path.exists(path + "-wal"):                # of a database that is gone
        set_aside(path)
    os.replace(new, path)
    sync_folder(path)


def prepare_database(db: sqlite3.Connection, path: str) -> None:
    """Creates the tables in a file that somebody else made and left empty, migrates an old one."""
    if db.execute("PRAGMA user_version").fetchone()[0] == 0:
        create_tables(db)
    else:
        migrate(db, path, MIGRATIONS)
    db.execute("PRAGMA busy_timeout = 0")            # see Store.begin


def sync_folder(path: str) -> None:
    """Makes sure that the name of a file is on the disk."""
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def create_tables(db: sqlite3.Connection) -> None:
    schema = pathlib.Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    db.execute("BEGIN IMMEDIATE")
    for statement in split_statements(schema):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")


def split_statements(script: str) -> Iterable[str]:
    """The statements of a script, one by one: executescript would commit before and between them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def migrate(db: sqlite3.Connection, path: str, migrations: tuple[tuple[str, ...], ...]) -> None:
    """Brings an older database up to date, each version in a transaction of its own, after a copy of the whole."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        return
    copy = f"{path}.before-schema-{version + 1}"
    pathlib.Path(copy + ".part").unlink(missing_ok=True)
    db.execute("VACUUM INTO ?", (copy + ".part",))
    os.replace(copy + ".part", copy)
    for number, statements in enumerate(migrations[version - 1:], version + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise


# ============================================================================================================= SENDERS
# One function for each kind of receiver, in a table: what its address must be, and how to send to it. Sending raises
# Refused (for good) or Failed (try again), with the target's own words; whoever calls it is outside any transaction.

class Failed(Exception):
    """The message did not arrive; trying again may help. retry_after: seconds that the target asks for."""

    def __init__(self, text: str, retry_after: float = 0):
        super().__init__(text[:500])
        self.retry_after = retry_after


class Refused(Exception):
    """The message will never arrive this way."""


class Sending(NamedTuple):
    """What a sender needs beside the message: the address of its receiver, the settings, how to replace placeholders."""
    address: Any
    settings: SimpleNamespace
    values: Callable[[], dict[str, str]]
    now: int


LONGEST_ANSWER = 65_536                              # bytes that are read of what a target answers
LONGEST_RETRY = 3600.0                               # seconds that a target may ask to wait
RETRIED_STATUSES = frozenset({408, 425, 429})        # beside 5xx
FORBIDDEN_NETWORKS = tuple(map(ipaddress.ip_network, (
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "fe80::/10", "ff00::/8")))
EMBEDDING_NETWORKS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "2002::/16")))     # IPv4 within IPv6: judged by what is within
LAN_NETWORKS = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))


def embedded_address(address: Any) -> Any:
    """The IPv4 address within an IPv6 one, where there is one."""
    if address.version == 6 and address.ipv4_mapped:
        return address.ipv4_mapped
    if address.version == 6 and address in EMBEDDING_NETWORKS[0]:
        return ipaddress.IPv4Address(address.packed[12:])
    return ipaddress.IPv4Address(address.packed[2:6]) if address.version == 6 and address in EMBEDDING_NETWORKS[1] else address


def address_is_allowed(text: str, policy: str) -> bool:
    """Whether a message may be sent to an IP address. policy: lan, all or none (see the setting private_targets)."""
    if policy == "all":
        return True
    address = embedded_address(ipaddress.ip_address(text.partition("%")[0]))

    def within(networks: tuple) -> bool:
        return any(address in network for network in networks if network.version == address.version)

    return not within(FORBIDDEN_NETWORKS) and (policy == "lan" or not within(LAN_NETWORKS))


def connect_to(host: str, port: int, policy: str, timeout: float) -> socket.socket:
    """A connection to the first allowed address of a host; the address that was judged is the one that is used."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Failed(f"{host} could not be resolved") from None
    allowed = [entry for entry in found if address_is_allowed(entry[4][0], policy)]
    if not allowed:
        raise Refused(f"{host} is an address that private_targets={policy} does not allow")
    error = ""
    for family, kind, protocol, _, address in allowed[:3]:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(timeout / len(allowed[:3]))
        try:
            connection.connect(address)
            connection.settimeout(timeout)
            if policy != "all" and connection.getsockname()[0] == connection.getpeername()[0]:
                connection.close()
                raise Refused(f"{host} is this machine, which private_targets={policy} does not allow")
            return connection
        except OSError as problem:
            connection.close()
            error = str(problem)
    raise Failed(f"no connection to {host}: {error}")


@contextlib.contextmanager
def cut_off_after(find_socket: Callable[[], socket.socket | None], seconds: float) -> Iterable[None]:
    """Ends a connection when the time is over, however slowly the other side keeps it alive. find_socket: the socket as
    it is then, since TLS puts another in its place."""
    def cut() -> None:
        with contextlib.suppress(OSError, AttributeError):
            find_socket().shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def request_url(sending: Sending, url: str, body: bytes, headers: dict[str, str], method: str = "POST") -> None:
    """Sends a request, which is to be answered with 2xx. Failed and Refused for everything else; follows no redirect."""
    parts = urllib.parse.urlsplit(url)
    settings, secure = sending.settings, parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    connection = connect_to(parts.hostname, port, settings.private_targets, settings.delivery_timeout)
    if secure:
        connection = ssl.create_default_context().wrap_socket(connection, server_hostname=parts.hostname, do_handshake_on_connect=False)
    with connection, cut_off_after(lambda: connection, settings.delivery_timeout):
        try:
            if secure:
                connection.do_handshake()
            client = http.client.HTTPConnection(parts.hostname, port)
            client.sock = connection
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            client.request(method, target, body or None, {"User-Agent": f"alertlite/{__version__}", **headers})
            answer = client.getresponse()
            content = answer.read(LONGEST_ANSWER)
        except ssl.SSLCertVerificationError as error:
            raise Failed(f"TLS: {error.verify_message}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Failed(f"{parts.hostname}: {error or type(error).__name__}") from None
    judge_status(answer.status, answer.getheader("Retry-After"), content, sending.now)


def asked_wait(retry_after: str | None, now: int) -> float:
    """Seconds that a Retry-After header asks for: a number, or a moment; 0 = none that can be read."""
    if not retry_after:
        return 0.0
    if re.fullmatch("[0-9]{1,6}", retry_after.strip()):
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - wall_time(now) / 1000)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def judge_status(status: int, retry_after: str | None, content: bytes, now: int = 0) -> None:
    """Nothing for 2xx; Failed where trying again may help, else Refused, with what the target said."""
    if 200 <= status < 300:
        return
    said = f"status {status}: {content[:300].decode('utf-8', 'replace').strip()}"
    if status >= 500 or status in RETRIED_STATUSES:
        raise Failed(said, min(asked_wait(retry_after, now) or telegram_wait(content), LONGEST_RETRY))
    raise Refused(said if status >= 400 else f"{said} (redirects are not followed)")


def telegram_wait(content: bytes) -> float:
    """The seconds that a bot API asks to wait; 0 = it asks nothing."""
    match = re.search(rb'"retry_after"\s*:\s*([0-9]{1,6})', content)
    return float(match[1]) if match else 0.0


def post_json(sending: Sending, message: Message, url: str, value: Any, headers: dict[str, str] | None = None, method: str = "POST") -> None:
    request_url(sending, url, json.dumps(value).encode(), {
        "Content-Type": "application/json", "Idempotency-Key": message.key, **(headers or {})}, method)


def posted_form(message: Message, kind: str) -> Any:
    """What the poster of an event wants a kind of receiver to get, word for word; None = nothing special."""
    posted = unpack(message.notices[-1].event.messages).get("messages") if len(message.notices) == 1 else None
    return posted.get(kind) if isinstance(posted, dict) else None


def mail_of(message: Message, sender: str, receivers: str) -> email.message.EmailMessage:
    """The mail for a message. Its Message-ID is the key, so that a mail sent twice can be told."""
    mail = email.message.EmailMessage()
    posted = posted_form(message, "email")
    posted = posted if isinstance(posted, dict) else {}
    subject = str(posted.get("subject") or message.subject)
    mail["Subject"] = " ".join(subject.split())[:200]
    mail["From"], mail["To"] = sender, receivers.replace(",", ", ")
    mail["Message-ID"] = f"<{re.sub('[^A-Za-z0-9+-]', '', message.key)}@alertlite>"
    mail["X-Entity-Ref-ID"] = message.key
    mail["Auto-Submitted"] = "auto-generated"
    if isinstance(posted.get("body"), str):
        mail.set_content(posted["body"], subtype="html")
    else:
        mail.set_content(message.text)
    return mail


MAILED: collections.OrderedDict[tuple[str, str], None] = collections.OrderedDict()   # (key, address) that has its mail


def send_email(sending: Sending, message: Message) -> None:
    """By the mail server of the settings, each address once; STARTTLS where it is offered, and always before a password."""
    settings = sending.settings
    if not settings.smtp_url:
        raise Failed("no mail server is set (ALERTLITE_SMTP_URL)")
    parts = urllib.parse.urlsplit(settings.smtp_url)
    wanted = [address for address in sending.address.split(",") if (message.key, address) not in MAILED]
    client = (smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP)(timeout=settings.delivery_timeout)
    client._host = parts.hostname                    # what its constructor sets, which would connect before there is a deadline
    refused: dict[str, tuple[int, bytes]] = {}
    try:
        with cut_off_after(lambda: client.sock, settings.delivery_timeout), contextlib.closing(client):
            sign_in(client, parts)
            sender = settings.mail_from or f"alertlite@{socket.gethostname()}"
            refused = client.send_message(mail_of(message, sender, sending.address), sender, wanted) if wanted else {}
            with contextlib.suppress(OSError, smtplib.SMTPException):
                client.quit()                        # the mail is accepted; how the server says goodbye does not matter
    except smtplib.SMTPRecipientsRefused as error:
        refused = error.recipients
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error if isinstance(error.smtp_error, str) else error.smtp_error.decode("utf-8", "replace")
        judge_smtp([error.smtp_code], f"{error.smtp_code} {said}")
    except (OSError, smtplib.SMTPException) as error:
        raise Failed(f"mail server {parts.hostname}: {error}") from None
    for address in wanted:
        if address not in refused or refused[address][0] >= 500:
            MAILED[message.key, address] = None
    while len(MAILED) > 1000:
        MAILED.popitem(last=False)
    judge_refusals(refused, len(refused) == len(sending.address.split(",")))


def judge_refusals(refused: dict[str, tuple[int, bytes]], nobody: bool) -> None:
    """What it means that some addresses were refused; nobody: all were. Those that may work later are tried again."""
    said = "; ".join(f"{address}: {code} {text.decode('utf-8', 'replace')}" for address, (code, text) in refused.items())
    if refused and (nobody or any(code < 500 for code, _ in refused.values())):
        judge_smtp([code for code, _ in refused.values()], said)
    if refused:
        log(4, f"mail: {said}")


def sign_in(client: smtplib.SMTP, parts: urllib.parse.SplitResult) -> None:
    """Connects to the mail server and signs in, as the address in the settings says."""
    secure = parts.scheme == "smtps"
    client.connect(parts.hostname, parts.port or (465 if secure else 587))
    client.ehlo()
    if not secure and "starttls=off" not in parts.query and (client.has_extn("starttls") or parts.username):
        client.starttls(context=ssl.create_default_context())
    if parts.username:
        client.login(urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""))


def judge_smtp(codes: list[int], said: str) -> None:
    """Refused where every code is for good (5xx, but not for a wrong password or a full system), else Failed."""
    if all(500 <= code < 600 and code not in (530, 534, 535, 552) for code in codes):
        raise Refused(said)
    raise Failed(said)


def send_slack(sending: Sending, message: Message) -> None:
    posted = posted_form(message, "slack")
    fallback = {"text": f"*{message.subject}*\n{message.text}"[:3000]}
    post_json(sending, message, sending.address, posted if isinstance(posted, dict) else {"text": posted} if posted else fallback)


def header_text(value: str) -> str:
    """A value as a header can hold it: one line of Latin-1."""
    return re.sub(r"[\r\n]+", " ", value).encode("latin-1", "xmlcharrefreplace").decode("latin-1")


def send_webhook(sending: Sending, message: Message) -> None:
    """A POST of one documented JSON shape, or a request made of templates."""
    address = {"url": sending.address} if isinstance(sending.address, str) else sending.address
    if address.get("url"):
        body = json.dumps(web_hook_body(message)).encode()
        own = {name: header_text(value) for name, value in (address.get("headers") or {}).items()}
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.key, **own}
        if address.get("secret"):
            headers["X-Alertlite-Signature"] = "sha256=" + hmac.new(address["secret"].encode(), body, "sha256").hexdigest()
        request_url(sending, address["url"], body, headers)
        return
    way = "up" if message.state == "up" else "down"
    if not address.get(f"url_{way}"):
        return
    values = sending.values()
    outside = {name: value for name, value in values.items() if name not in ("BODY", "BODY_JSON")}
    method = address.get(f"method_{way}") or "GET"
    url = fill_placeholders(address[f"url_{way}"], outside, urllib.parse.quote)
    headers = {name: header_text(fill_placeholders(value, outside)) for name, value in (address.get(f"headers_{way}") or {}).items()}
    body = fill_placeholders(address.get(f"body_{way}", ""), values).encode() if method in ("POST", "PUT") else b""
    request_url(sending, url, body, {"Idempotency-Key": message.key, **headers}, method)


PRIORITIES = {"down": 4, "info": 3, "up": 3}


def send_ntfy(sending: Sending, message: Message) -> None:
    address = sending.address
    headers = {"Authorization": f"Bearer {address['token']}"} if address.get("token") else {}
    priority = address.get("priority_up" if message.state == "up" else "priority") or PRIORITIES[message.state]
    tags = {"down": "rotating_light", "up": "white_check_mark", "info": "information_source"}
    text = message.text.encode()[:3900].decode("utf-8", "ignore")          # it takes 4096 bytes
    body = {"topic": address["topic"], "title": message.subject[:250], "message": text, "priority": priority,
            "tags": [tags[message.state]], **({"click": message.link} if message.link else {})}
    post_json(sending, message, address.get("url", "https://ntfy.sh"), body, headers)


def send_gotify(sending: Sending, message: Message) -> None:
    address = sending.address
    priority = address.get("priority_up" if message.state == "up" else "priority", 2 * PRIORITIES[message.state] - 2)
    post_json(sending, message, f"{address['url'].rstrip('/')}/message", {
        "title": message.subject, "message": message.text, "priority": priority}, {"X-Gotify-Key": address["token"]})


def send_telegram(sending: Sending, message: Message) -> None:
    address = sending.address
    thread = {"message_thread_id": address["thread_id"]} if "thread_id" in address else {}
    post_json(sending, message, f"{address.get('url', 'https://api.telegram.org').rstrip('/')}/bot{address['token']}/sendMessage", {
        "chat_id": address["chat_id"], "text": f"{message.subject}\n{message.text}"[:4000], **thread})


def send_discord(sending: Sending, message: Message) -> None:
    post_json(sending, message, sending.address, {"content": f"**{message.subject}**\n{message.text}"[:2000]})


def send_matrix(sending: Sending, message: Message) -> None:
    address = sending.address
    room, transaction = (urllib.parse.quote(text, safe="") for text in (address["room"], message.key))
    post_json(sending, message, f"{address['url'].rstrip('/')}/_matrix/client/v3/rooms/{room}/send/m.room.message/{transaction}",
              {"msgtype": "m.text", "body": f"{message.subject}\n{message.text}"[:30_000]},
              {"Authorization": f"Bearer {address['token']}"}, "PUT")


def send_browser(sending: Sending, message: Message) -> None:
    """Kept: the page shows what was sent here."""


def send_shell(sending: Sending, message: Message) -> None:
    """Runs a command of the settings. What there is to say is in its environment and on its standard input."""
    command = sending.settings.shell_commands.get(sending.address["command"])
    if command is None:
        raise Refused(f"the setting shell_commands has no {sending.address['command']!r}")
    values = {"KEY": message.key, "STATE": message.state, "SUBJECT": message.subject, "TEXT": message.text, "SEVERITY": message.severity,
              "TIMESTAMP": text_from_ms(message.happened_at), "LINK": message.link}
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8",
                   **{f"ALERTLITE_{name}": value.replace("\0", "")[:30_000] for name, value in values.items()}}
    status, said = run_shell_command(command, environment, json.dumps(web_hook_body(message)).encode(), sending.settings.delivery_timeout)
    if status:
        raise Failed(f"{command[0]} ended with {status}: {said.decode('utf-8', 'replace').strip()}")


MOST_SAID = 2**20                                    # bytes that a command may say on standard error


def run_shell_command(command: list[str], environment: dict[str, str], text: bytes, seconds: float) -> tuple[int, bytes]:
    """Runs a command with a text as its input: its exit status, and the beginning of what it said on standard error. What it leaves
    running in the background is not waited for; where it takes too long itself, all of that ends with it. Failed."""
    # No pipes: what is left running would keep them open. These files need no disk, and what is said cannot grow without bound.
    with open(os.memfd_create("asked"), "w+b") as asked, open(os.memfd_create("said", os.MFD_ALLOW_SEALING), "w+b", 0) as said:
        asked.write(text)
        asked.seek(0)
        said.truncate(MOST_SAID)
        fcntl.fcntl(said, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        try:
            process = subprocess.Popen(command, env=environment, stdin=asked, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True)
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}") from None
        with process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise Failed(f"{command[0]} took longer than {seconds} seconds") from None
        return process.returncode, os.pread(said.fileno(), 300, 0).rstrip(b"\0")


def send_file(sending: Sending, message: Message) -> None:
    """Appends one line of JSON to a file in the folder of the settings."""
    if not sending.settings.file_folder:
        raise Refused("the setting file_folder is not set")
    path = os.path.join(sending.settings.file_folder, sending.address["name"])
    try:
        with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o640), "ab") as file:
            file.write(json.dumps(web_hook_body(message)).encode() + b"\n")
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None


def send_apprise(sending: Sending, message: Message) -> None:
    """By the apprise library, for what has no function of its own here."""
    library = apprise_library()
    if library is None:
        raise Failed("apprise is not installed: pip install 'alertlite[apprise]'")
    target = library.Apprise()
    if not target.add(sending.address) or not target.notify(title=message.subject, body=message.text):
        raise Failed("apprise could not send the message")


@lru_cache(maxsize=1)
def apprise_library() -> Any:
    """The apprise module, or None where it is not installed."""
    try:
        import apprise
    except ImportError:
        return None
    return apprise


# What address_data of a kind must be. A rule raises Invalid that names the field.

MAIL_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
                          r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*")


def bad_address(text: str) -> Invalid:
    return Invalid(f"address_data: {text}")


def need_mail(address: Any, settings: SimpleNamespace) -> None:
    if not isinstance(address, str) or not all(MAIL_ADDRESS.fullmatch(item) for item in address.split(",")):
        raise bad_address("must be an e-mail address, or several with commas and no blanks")


def need_url_text(address: Any, where: str = "") -> None:
    """A text that is an http or https address without a password in it."""
    try:
        parts = urllib.parse.urlsplit(address) if isinstance(address, str) else None
        is_good = parts and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc \
            and len(address) <= 1000 and address.isprintable() and address.isascii() and " " not in address
    except ValueError:
        is_good = False
    if not is_good:
        raise bad_address(f"{where or 'it'} must be an http or https address")


def need_url(address: Any, settings: SimpleNamespace) -> None:
    need_url_text(address)


def need_object(*required: str, urls: tuple[str, ...] = (), optional: dict[str, type] | None = None) -> Callable[[Any, SimpleNamespace], None]:
    """A rule for an object: texts that it must have, those that are addresses, what else it may have."""
    known = {**dict.fromkeys((*required, *urls), str), **(optional or {})}

    def rule(address: Any, settings: SimpleNamespace) -> None:
        if not isinstance(address, dict):
            raise bad_address(f"must be an object with {', '.join(required)}")
        for name in required:
            if not address.get(name):
                raise bad_address(f"{name} is missing")
        for name, value in address.items():
            if name not in known or type(value) is not known[name] or isinstance(value, str) and not 0 < len(value) <= 1000:
                raise bad_address(f"{name[:40]} is not known" if name not in known else f"{name} must be a {known[name].__name__}")
        for name in urls:
            if name in address:
                need_url_text(address[name], name)

    return rule


def need_web_hook(address: Any, settings: SimpleNamespace) -> None:
    """An address; an object with url, secret and headers; or one with url, method, headers and body for down and up."""
    if isinstance(address, str):
        need_url_text(address)
        return
    ways = ("_down", "_up")
    need_object(optional={"url": str, "secret": str, "headers": dict, **{name + way: dict if name == "headers" else str
                                                                         for name in ("url", "method", "headers", "body") for way in ways}})(
        {name: value for name, value in address.items() if value != ""} if isinstance(address, dict) else address, settings)
    if not any(address.get(name) for name in ("url", "url_down", "url_up")):
        raise bad_address("url, or url_down or url_up, is missing")
    for name, value in ((name, value) for name, value in address.items() if value != ""):
        if name.startswith("url"):
            need_url_text(re.sub(r"\$[A-Z0-9_]+", "x", value), name)
        if name.startswith("method") and value not in ("GET", "POST", "PUT"):
            raise bad_address(f"{name} must be GET, POST or PUT")
        if name.startswith("headers") and not all(isinstance(text, str) and re.fullmatch("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", title)
                                                  and text.isprintable() for title, text in value.items()):
            raise bad_address(f"{name} must be an object of texts")


def need_command(address: Any, settings: SimpleNamespace) -> None:
    need_object("command")(address, settings)
    if address["command"] not in settings.shell_commands:
        raise bad_address(f"command {address['command'][:40]!r} is not one of the setting shell_commands")


def need_file(address: Any, settings: SimpleNamespace) -> None:
    need_object("name")(address, settings)
    if not settings.file_folder:
        raise bad_address("files need the setting file_folder")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", address["name"]):
        raise bad_address("name must be a plain file name")


def need_apprise(address: Any, settings: SimpleNamespace) -> None:
    if apprise_library() is None:
        raise bad_address("apprise is not installed: pip install 'alertlite[apprise]'")
    if settings.private_targets != "all":
        raise bad_address("apprise goes wherever its address says: it needs the setting private_targets=all")
    if not isinstance(address, str) or not 0 < len(address) <= 512:
        raise bad_address("must be an address of apprise")


def need_nothing(address: Any, settings: SimpleNamespace) -> None:
    """Anything will do."""


class Kind(NamedTuple):
    """A kind of receiver: the rule for its address, and the function that sends to it."""
    need: Callable[[Any, SimpleNamespace], None]
    send: Callable[[Sending, Message], None]


KINDS = {
    "email": Kind(need_mail, send_email), "slack": Kind(need_url, send_slack), "webhook": Kind(need_web_hook, send_webhook),
    "ntfy": Kind(need_object("topic", urls=("url",), optional={"token": str, "priority": int, "priority_up": int}), send_ntfy),
    "gotify": Kind(need_object("url", "token", urls=("url",), optional={"priority": int, "priority_up": int}), send_gotify),
    "telegram": Kind(need_object("token", "chat_id", urls=("url",), optional={"thread_id": int}), send_telegram),
    "discord": Kind(need_url, send_discord), "matrix": Kind(need_object("url", "token", "room", urls=("url",)), send_matrix),
    "browser": Kind(need_nothing, send_browser), "shell": Kind(need_command, send_shell), "file": Kind(need_file, send_file),
    "apprise": Kind(need_apprise, send_apprise),
}
SECRET_NAMES = frozenset({"topic", "token", "secret", "headers", "headers_up", "headers_down"})


def redacted_address(address: Any) -> Any:
    """An address for eyes that may only read: without tokens, and of web addresses the host only."""
    if isinstance(address, dict):
        return {name: "***" if name in SECRET_NAMES or name.startswith("body") else redacted_address(value) for name, value in address.items()}
    if isinstance(address, list):
        return [redacted_address(item) for item in address]
    if not isinstance(address, str) or "://" not in address:
        return address
    scheme = address.partition("://")[0].lower()
    try:
        host = urllib.parse.urlsplit(address).hostname if scheme in ("http", "https") else ""
    except ValueError:
        host = ""
    return f"{scheme}://{host}/***" if host else "***"


def secrets_of(address: Any) -> Iterable[str]:
    """Every text of an address that nobody else should read: tokens, and the paths of web addresses with their parts."""
    if isinstance(address, dict):
        for name, value in address.items():
            yield from secrets_of(value)
            if name in SECRET_NAMES:
                yield from map(str, value.values() if isinstance(value, dict) else [value])
    elif isinstance(address, str) and "://" in address:
        path = address.split("://", 1)[1].partition("/")[2]
        yield from (path, *re.split("[/?&=]", path))


def scrubbed(text: str, address: Any, settings: SimpleNamespace) -> str:
    """A target's words without the secrets of its address, which some repeat, and without the mail server's password."""
    password = urllib.parse.urlsplit(settings.smtp_url).password or ""
    for secret in sorted((*secrets_of(address), password), key=len, reverse=True):
        text = text.replace(secret, "***") if len(secret) >= 8 else text         # shorter parts are words like hook
    return text


# ============================================================================================================== ENGINE
# What can happen. A method reads the clock once, has DOMAIN decide and STORE record, in one transaction, and returns
# what became of it. No dialect, no HTTP.

class Received(NamedTuple):
    """What became of a report: the alert and its history, or the heartbeat that it was."""
    alert: Alert | None
    history: list[HistoryEntry]
    heartbeat: Heartbeat | None = None


class CheckWanted(NamedTuple):
    """What somebody wants a check to be."""
    changes: dict[str, Any]                          # column -> value
    channels: str | None                             # as posted: *, or ids and names with commas; None = as it is
    unique: dict[str, Any] | None = None             # column -> value by which to look for it first; None = make a new one


class PingSent(NamedTuple):
    """How a ping came."""
    scheme: str
    method: str
    remote_addr: str | None
    user_agent: str
    rid: str | None
    exit_status: int | None
    body: bytes


class PingAddress(NamedTuple):
    """What a ping names its check by: the code, or the project's ping key and the slug."""
    code: str = ""
    ping_key: str = ""
    slug: str = ""
    creates: bool = False                            # make the check where there is none of this slug


class Expired(NamedTuple):
    """What one pass of the timer did: ids of alerts, heartbeats' origins, codes of checks."""
    expired: list[str]
    unshelved: list[str]
    unacked: list[str]
    deleted: list[str]
    silent: list[str]
    down: list[str]
    reviewed: int                                    # rows looked at, to know whether more may wait

    @classmethod
    def nothing(cls) -> Expired:
        return cls([], [], [], [], [], [], 0)

    def and_then(self, more: Expired) -> Expired:
        return Expired(*(whole + part for whole, part in zip(self, more)))


LONGEST_OFF = 31 * 86_400_000                        # milliseconds for which a host may have been off; a longer time is a wrong clock
TOLD_JUMP = 5_000                                    # milliseconds by which the clock must have been set to be recorded
MOST_SIGNS = 10_000                                  # signs of life that are kept in memory while the disk is full
MOST_SIGN_BYTES = 16_000_000
SIGNS_AT_ONCE = 100                                  # that are stored in one transaction
PRUNE_BATCH = 100                                    # rows that go at a time when there is no room
MOST_JUMPS = 3                                       # of the clock in an hour that can mean a pause; more mean a bad clock
MOST_STARTS = 3                                      # in an hour; more are an alert
EXPIRE_BATCH = 100                                   # rows that the timer handles in one transaction
SICK_REST = 3_600_000                                # milliseconds until it tries again what it could not handle
NO_EVENT = ""                                        # instead of an alert's own event: the caller tells of it
MIRROR_TYPES = ("heartbeatAlert", "checkAlert")      # alerts about something that has events of its own


class Engine:
    """Everything that can happen, on one store."""

    def __init__(self, store: Store, clock: Clock, settings: SimpleNamespace, event_types: Iterable[EventType] = ()):
        """event_types: those beyond the built-in ones."""
        self.store, self.clock, self.settings = store, clock, settings
        self.listening = ALWAYS
        self.unsaved_spans: list[DeafSpan] = []      # noticed, and not yet stored
        self.stopped_at: int | None = None           # since when nobody new is heard
        self.is_watched = False                      # by a timer, which looks at the clock every second
        self.signs: list[Callable[[Tables], Any]] = []               # signs of life that the disk has no room for
        self.signs_lock = threading.Lock()
        self.refused_since: int | None = None        # since when the full disk has refused something
        self.signs_size = 0
        self.storing_signs = threading.Lock()
        self.clock_is_stored = True
        self.start_is_stored = False                 # what a start has to note; all of it in one transaction
        self.said_full_at = 0
        self.was_full = True                         # or may have been, when this process started
        self.copied_at, self.copied_commits = clock.monotonic(), 0       # when a copy was last begun, or the start
        self.alive = AliveMark(settings.memory_folder)
        self.boot = clock.boot_id()
        self.mark = "-".join(map(str, (self.boot, *store.place)))    # another file, as one that was restored, is another story
        self.last_heard = self.resume_time()         # before this start; None = never
        self.started_at = self.looked_at = self.booted_at = clock.now()
        self.awake_at = clock.monotonic()
        with store.read() as tables:
            self.metrics = Metrics(tables.find_fact("metrics"))
        self.stored_metrics = self.metrics.text()
        self.callers: dict[str, tuple[int, str, Caller]] = {}      # key hash -> expires_at, id, caller; see find_caller
        self.caller_changes = 0                      # how often users or keys changed; with what is known by heart,
        self.caller_lock = threading.Lock()          # under this lock
        self.key_uses: dict[str, tuple[int, int]] = {}               # id -> how often, and when last, since they were written
        self.sign_ins: dict[int, int] = {}           # user -> when last
        self.uses_lock = threading.Lock()
        self.password_lock = threading.Lock()
        self.password_places = threading.Semaphore(3)      # sign-ins that may wait; more would take all threads
        self.passwords: dict[str, str] = {}          # login -> hash of the password last found right
        self.review_after_changed_settings()
        self.sync_event_types(event_types)

    def review_after_changed_settings(self) -> None:
        """Deadlines are stored; where a setting that they depend on has changed, the timer looks at every row again."""
        policy = json.dumps([self.settings.delete_expired_after, self.settings.delete_info_after])

        def work(tables: Tables) -> None:
            known = tables.find_fact("alert_retention")
            if known != policy:
                tables.save_fact("alert_retention", policy)
                if known is not None:
                    tables.review_alerts(self.started_at)

        with self.store.read() as tables:
            unchanged = tables.find_fact("alert_retention") == policy
        if not unchanged:
            self.store.write(work)

    # --- listening

    def resume_time(self) -> int | None:
        """Has our timeline go on from where the database left it: by the clock that nobody can set while the host is up; over
        a start of the host by the time of day, where that can be true. Returns when somebody was last heard, or None."""
        with self.store.read() as tables:
            known, stopped = json.loads(tables.find_fact("clock") or "{}"), tables.find_fact("stopped_at")
            signs = [int(stopped)] if stopped else [known.get("at"), tables.newest_time(), self.alive.read(self.mark)]
            heard = max((time for time in signs if time), default=None)
        follow_timeline(Timeline(known.get("segments", ())))
        if known.get("boot") == self.boot:
            self.clock.base = known["base"]
        elif heard is not None:
            elapsed = self.clock.wall() - wall_time(heard)
            self.clock.base = heard + (elapsed if 0 <= elapsed <= LONGEST_OFF else 0) - self.clock.boottime()
        if heard is not None and self.clock.now() < heard:
            self.clock.base += heard - self.clock.now()
        return heard

    def begin_listening(self) -> None:
        """Notes since when nobody has listened, where the clock stands, and whether cron jobs can be judged by it; raises an
        alert where there were too many starts."""
        now = self.clock.now()
        with self.store.read() as tables:
            stopped, known = tables.find_fact("stopped_at"), json.loads(tables.find_fact("clock") or "{}")
            spans = tuple(tables.list_deaf_spans())
        is_same_boot = known.get("boot") == self.boot
        self.booted_at = known["since"] if is_same_boot else max(self.clock.base, self.last_heard or self.clock.base)
        self.listening = Listening(spans, not self.may_judge_cron())
        self.looked_at, self.awake_at = now, self.clock.monotonic()
        if self.last_heard is not None:
            self._note_deaf(self.last_heard, now, "boot" if known and not is_same_boot else "stop" if stopped else "crash")
        wall = self.clock.wall()
        with contextlib.suppress(StorageFull):       # then it is stored when there is room
            self._set_clock(TIMELINE.corrected(
                now if is_same_boot and not known.get("held") else self.booted_at, now, wall), now, TIMELINE.jump(now, wall),
                            reviews=bool(known.get("held")))

    def stop_listening(self) -> None:
        """A stop on purpose: from now on nobody new is heard, and nobody is judged."""
        self.stopped_at = self.stopped_at or self.clock.now()

    def end_listening(self) -> None:
        """Stores since when nobody has listened."""
        self.stop_listening()
        self.store.write(lambda tables: tables.save_fact("stopped_at", str(self.stopped_at)))

    def sent_at(self, claimed: int | None) -> int | None:
        """When a sender says that it sent something; None, which stands for now, as long as our clock may be wrong: nobody could
        say what the time was by that."""
        return None if self.listening.cron_held else claimed

    def judging_time(self) -> int:
        """The time by which silence may be judged and shown: where a timer watches the clock, that of its last look."""
        return self.looked_at if self.is_watched else self.clock.now()

    def may_judge_cron(self) -> bool:
        """Whether the clock is right, or has to be taken for right."""
        settings = self.settings
        return settings.clock == "trust" or self.clock.boottime() >= settings.clock_patience * 1000 or self.clock.is_synchronised()

    def look_at_clock(self) -> int:
        """Notices where we were held, slept, or the clock was set, and when it can be trusted. Returns the time by which
        silence may be judged now: a later one could lie behind a span that nobody has noticed yet."""
        is_right = self.listening.cron_held and self.may_judge_cron()
        now, wall, awake = self.clock.now(), self.clock.wall(), self.clock.monotonic()
        if now - self.looked_at > DEAF_AFTER:
            slept = (now - self.looked_at) / 1000 - (awake - self.awake_at) > 1
            self._note_deaf(self.looked_at, now, "sleep" if slept else "pause")
        self._note_refusals(self.looked_at, now)
        self.looked_at, self.awake_at = now, awake
        if not self.signs and self.refused_since is None:            # else a crash would lose what only the memory holds
            self.alive.write(self.mark, now)
        self.save_spans()
        jump = TIMELINE.jump(now, wall)
        if jump and self.clock.now() - now < 500:    # else the two readings do not belong together
            jumps = sum(span.reason == "jump" and span.end_at > now - 3_600_000 for span in self.listening.spans)
            if jump >= TOLD_JUMP and jumps < MOST_JUMPS:             # a virtual host that was paused knows of it by this alone
                self._note_deaf(now, now, "jump")
            # before the clock was right for the first time since the host started, it never was
            self._set_clock(TIMELINE.corrected(self.booted_at if self.listening.cron_held else now, now, wall), now, jump)
        if not self.clock_is_stored:
            self._set_clock(TIMELINE, now, 0, reviews=True)
        if is_right:
            self.listening = self.listening._replace(cron_held=False)
            self._set_clock(TIMELINE, now, 0, reviews=True)
        return now

    def _note_refusals(self, last_look: int, now: int) -> None:
        """From the first thing that a full disk refused to the first that it took again, nobody was heard for certain."""
        if self.store.refused and self.refused_since is None:
            self.refused_since = last_look
        if self.refused_since is not None and not self.store.is_full:
            self._note_deaf(self.refused_since, now, "full")
            self.refused_since, self.store.refused = None, False

    def _set_clock(self, timeline: Timeline, now: int, jump: int, reviews: bool = False) -> None:
        """Follows a timeline, and stores it with all that depends on it: times as text are others then, and cron jobs run at
        other times of ours. jump: by how much the clock was set, in milliseconds. Problem where it cannot be stored."""
        old, spans = TIMELINE, list(self.unsaved_spans)
        timeline = timeline if jump else old

        def work(tables: Tables) -> None:
            tables.save_fact("clock", json.dumps({
                "boot": self.boot, "base": self.clock.base, "since": self.booted_at, "at": now, "segments": timeline.segments,
                "held": self.listening.cron_held}))
            if jump or reviews:
                self._review_cron(tables, now, abs(jump))
            if abs(jump) >= TOLD_JUMP:
                tables.insert_event("clock_set", "", now, None, {"title": f"The clock was set by {jump / 1000:+.0f} s", "state": "info"},
                                    self.settings.event_retention)
            if not self.start_is_stored:
                for span in spans:
                    tables.insert_deaf_span(span)
                tables.drop_fact("stopped_at")
                self._judge_starts(tables, now)
                if self.store.restored:
                    self._receive(tables, self.self_report("DatabaseRestored", "critical", "", self.store.restored), now, None)

        follow_timeline(timeline)
        try:
            self.store.write(work)
        except Problem:
            follow_timeline(old)
            self.clock_is_stored = False
            raise
        if not self.start_is_stored:
            del self.unsaved_spans[:len(spans)]
        self.clock_is_stored = self.start_is_stored = True
        if jump:
            log(5, f"the clock of this host was set by {jump / 1000:+.0f} s")

    def _review_cron(self, tables: Tables, now: int, jump: int) -> None:
        """Finds anew for which run each cron check waits, by a clock that was set (jump: by how much), and when to look at it.
        A run that was due before is still judged where the clock was nearly right."""
        for check in tables.cron_checks():
            is_sure = check.next_at is not None and (not jump or check.next_at <= now and jump <= check.grace * 500)
            early = (check.last_ping_at or 0) + self.settings.early_tolerance * 1000     # whose run has been counted already
            new = check if is_sure else check._replace(next_at=next_run(check.schedule, check.tz, max(now, early)))
            tables.update_check(check, new._replace(due_at=check_deadline(new, self.listening)))

    def _note_deaf(self, start: int, end: int, reason: str) -> None:
        """Nobody was heard for a while: counts from now on, and is stored as soon as that is possible."""
        span = DeafSpan(None, start, end, reason, None if reason == "jump" else end + self.settings.settle_time * 1000)
        self.listening = self.listening._replace(spans=(*self.listening.spans, span)[-MOST_SPANS:])
        self.unsaved_spans.append(span)
        if span_length(span) > DEAF_AFTER:
            log(5, f"was not listening for {span_text(span_length(span) // 1000)}: {SPAN_TEXTS[reason]}")

    def save_spans(self) -> None:
        """Stores the spans that are not stored yet. Problem where that is not possible now."""
        spans = list(self.unsaved_spans)
        if spans:
            self.store.write(lambda tables: [tables.insert_deaf_span(span) for span in spans])
            del self.unsaved_spans[:len(spans)]

    def _judge_starts(self, tables: Tables, now: int) -> None:
        """Raises an alert where there were too many starts: each of them makes us judge silence later."""
        starts = sum(span.reason in STARTS and span.end_at > now - 3_600_000 for span in self.listening.spans)
        if starts <= MOST_STARTS:
            return
        text = f"alertlite was started {starts} times within an hour. While this goes on, silence may be noticed late: look at its log."
        self._receive(tables, self.self_report("FrequentRestarts", "warning", str(starts), text, 7200), now, None)

    def _tell_of_deafness(self, tables: Tables, spans: list[DeafSpan], now: int) -> None:
        """Records that we were not listening and tells it once, with who is still silent."""
        for customer in tables.told_customers():
            silent = self._still_silent(tables, customer, spans, now)
            details = deafness_messages(spans, tables.count_heard(customer, spans[-1].end_at), silent)
            is_short = max(map(span_length, spans)) < TOLD_SPAN and not silent
            tables.insert_event("not_listening", customer, now, None, details, self.settings.event_retention,
                                suppressed="short" if is_short else None)

    @staticmethod
    def _still_silent(tables: Tables, customer: str, spans: list[DeafSpan], now: int) -> list[str]:
        """Who was due and has not been heard since."""
        beats, checks = tables.find_unheard(customer, spans[0].start_at, spans[-1].end_at, now, MOST_LISTED)
        late = [check for check in checks if check.kind == "simple" or check.status == "down"
                or (next_run(check.schedule, check.tz, check.last_ping_at) or now + 1) <= now]
        return [beat.origin for beat in beats] + [check_title(check) for check in late]

    # --- a full disk

    def write_sign(self, work: Callable[[Tables], Any], find: Callable[[Tables], Any], size: int) -> Any:
        """Stores a sign of life. While the disk is full it is kept in memory instead, and stored by the timer, in its order, as
        soon as there is room: nobody is called silent because of our disk. size: bytes that it takes. Kept, with what
        find(tables) finds it to be about, or what that raises; StorageFull where even the memory has no room."""
        if not self.signs:                           # else it would overtake those that came before
            with contextlib.suppress(StorageFull):
                return self.store.write(work)
        with self.store.read() as tables:
            value = find(tables)
        with self.signs_lock:
            if len(self.signs) >= MOST_SIGNS or self.signs_size + size > MOST_SIGN_BYTES:
                raise StorageFull("the disk is full: nothing was stored")
            self.signs.append(work)
            self.signs_size += size
        raise Kept(value)

    def store_signs(self) -> None:
        """Stores the signs of life that were kept in memory, the oldest first. StorageFull where there still is no room."""
        if not self.signs:
            return
        with self.storing_signs:
            stored = 0
            while chunk := self.signs[:SIGNS_AT_ONCE]:
                try:
                    self.store.write(lambda tables, chunk=chunk: [work(tables) for work in chunk])
                except (StorageFull, Unavailable):
                    raise
                except Problem:                      # one of them cannot be stored: the others can
                    for work in chunk:
                        self._store_sign(work)
                with self.signs_lock:
                    del self.signs[:len(chunk)]
                    self.signs_size = self.signs_size if self.signs else 0
                stored += len(chunk)
            log(5, f"{stored} signs of life that were kept in memory are stored")

    def _store_sign(self, work: Callable[[Tables], Any]) -> None:
        """Stores one sign of life, or drops it where it contradicts what is stored."""
        try:
            self.store.write(work)
        except (StorageFull, Unavailable):
            raise
        except Problem as problem:
            log(4, f"a sign of life that was kept in memory cannot be stored: {problem.message}")

    def make_room(self) -> None:
        """While the disk is full: gives up the ballast, then the oldest of what is over, a little at a time."""
        self.was_full = True
        self.store.checkpoint()
        freed = not has_room(self.store.path) and release_ballast(self.store.path)
        for _ in range(0 if freed else 20):
            if not self.store.write(lambda tables: tables.prune(PRUNE_BATCH)) or self.store.write(Tables.has_free_pages):
                break
        self.store.checkpoint()
        done = "the disk space that was held ready is in use now" if freed else "the oldest of what is over is deleted"
        now = self.clock.now()
        if freed or now - self.said_full_at > 60_000:
            self.said_full_at = now
            log(2, f"the disk or the database is full: {done}")
        report = self._full_report("critical", f"The disk or the database is full; {done}.")
        self.store.write(lambda tables: self._receive(tables, report, now, None))

    def keep_ballast(self) -> None:
        """Holds disk space ready again as soon as there is plenty; then the alert about the full disk is over."""
        if not self.was_full or self.store.is_full or not has_room(self.store.path, 10 * max(self.settings.ballast, 100)) \
                or not self.store.write(Tables.has_free_pages):
            return
        hold_ballast(self.store.path, self.settings.ballast)
        self.was_full = False
        now, report = self.clock.now(), self._full_report("normal", "There is room again.")
        with self.store.read() as tables:
            alert = tables.find_reported_alert(report.environment, report.resource, report.event, "")
        if alert and alert.status not in FINISHED_STATUSES:
            self.store.write(lambda tables: self._receive(tables, report, now, None))

    def copy_is_due(self) -> bool:
        """Whether the last good copy is too old, something was stored since, and the disk has room for another."""
        path, every = self.store.path, self.settings.copy_every
        now = self.clock.monotonic()
        if not every or self.store.commits == self.copied_commits or now - self.copied_at < min(every, 600):
            return False
        with contextlib.suppress(OSError):
            age = self.clock.wall() / 1000 - os.path.getmtime(path + LAST_GOOD)
            if 0 <= age < every:
                return False
        return has_room(path, 3 * os.path.getsize(path) // 1024)

    def copy_database(self) -> None:
        """Writes the last good copy, which takes its time."""
        self.copied_at, self.copied_commits = self.clock.monotonic(), self.store.commits
        try:
            self.store.backup(self.store.path + LAST_GOOD)
        except (StartupRefused, OSError) as error:
            log(4, f"no copy of the database could be written: {error}")

    def _full_report(self, severity: str, text: str) -> AlertReport:
        return self.self_report("StorageFull", severity, "", text)

    def self_report(self, event: str, severity: str, value: str, text: str, timeout: int = 0) -> AlertReport:
        """An alert about alertlite itself."""
        return AlertReport(
            id=new_id(), resource=socket.gethostname(), event=event, environment=self.settings.default_environment, severity=severity,
            status="open", correlate=[], service=["alertlite"], group="alertlite", value=value, text=text, tags=[], attributes={},
            origin=program_origin(), type="selfAlert", created_at=None, timeout=timeout, raw_data=None, customer="")

    # --- alerts

    def receive_alert(self, report: AlertReport, caller: Caller, reopens: bool = True) -> Received:
        """A report of a problem. Forbidden where a policy refuses it, Invalid for another's customer, Conflict for a used id.
        reopens: whether a report of something finished opens that again, or makes a new alert."""
        now = self.clock.now()
        report = report._replace(customer=self.customer_for(report.customer, caller), created_at=self.sent_at(report.created_at))
        self.refuse_by_policy(report, needs_service=reopens)
        if report.event in self.settings.heartbeat_events and reopens:
            wanted = {"environment": report.environment, "severity": report.severity, "service": report.service, "group": report.group}
            beat = Beat(report.id, report.origin, report.customer, report.tags, wanted, report.timeout, now)
            return Received(None, [], self.store.write(lambda tables: self._beat(tables, beat, now)))
        alert, history = self.store.write(lambda tables: self._receive(tables, report, now, caller.login, reopens=reopens))
        return Received(alert, history)

    def customer_for(self, wanted: str, caller: Caller) -> str:
        """The customer to write for: a caller that is confined to one writes for that one only."""
        if caller.customer and wanted not in ("", caller.customer):
            raise Invalid(f"not allowed to set customer to '{wanted}'")
        return caller.customer or wanted

    def refuse_by_policy(self, report: AlertReport, needs_service: bool = True) -> None:
        allowed = self.settings.allowed_environments
        if not is_among(report.environment, allowed):
            self.metrics.count("rejected")
            raise Forbidden("[POLICY] Alert environment does not match one of " + ", ".join(allowed))
        if self.settings.require_service and needs_service and not report.service:
            self.metrics.count("rejected")
            raise Forbidden("[POLICY] Alert must define a service")

    def _receive(self, tables: Tables, report: AlertReport, now: int, user: str | None,
                 event_type: str | None = None, reopens: bool = True) -> tuple[Alert, list[HistoryEntry]]:
        old = tables.find_reported_alert(report.environment, report.resource, report.event, report.customer)
        if old and not reopens:
            if old.status in FINISHED_STATUSES:
                tables.update_alert(old, old._replace(superseded=1))
                old = None
            else:                                    # what it is, since when, and what people did, stays as it is
                report = report._replace(created_at=old.created_at, attributes={}, status=old.status)
        decision = decide_report(old, report, now)
        created_at = now if report.created_at is None else report.created_at
        entry = HistoryEntry(None, 0, report.id, report.event, report.severity, decision.alert.status, report.value,
                             report.text, decision.entry or "", created_at, user, report.timeout)
        alert = self._record(tables, old, decision, now, event_type, entry)
        return alert, [entry] if old is None else tables.alert_history(alert.seq)

    def _record(self, tables: Tables, old: Alert | None, decision: Decision, now: int, event_type: str | None,
                entry: HistoryEntry) -> Alert:
        """Writes what was decided: the row, its history entry, its event. event_type: instead of the alert's own; NO_EVENT."""
        due_at = kept_due_at(old.due_at if old else None, alert_deadline(decision.alert, self.settings), now)
        alert = decision.alert if decision.alert.due_at == due_at else decision.alert._replace(due_at=due_at)
        if old is None:
            alert = tables.insert_alert(alert)
        else:
            tables.update_alert(old, alert)
        if decision.entry:
            tables.insert_history(entry._replace(alert=alert.seq), self.settings.history_limit)
        mirrors = alert.type in MIRROR_TYPES and alert.origin == program_origin()
        if event_type is None and not mirrors:
            event_type = alert_event_type(old, alert)
        if not event_type and old and old.status in SILENT_STATUSES and alert.status not in SILENT_STATUSES | FINISHED_STATUSES:
            self._tell_after_silence(tables, old, alert, now)
        if event_type:
            told = event_type not in ENDINGS or tables.opening_was_told(alert.id)
            suppressed = suppression(alert.status, event_type, told)
            tables.insert_event(event_type, alert.customer, now, alert.id, event_messages(old, alert), self.settings.event_retention,
                                suppressed=suppressed)
        return alert

    def _tell_after_silence(self, tables: Tables, old: Alert, alert: Alert, now: int) -> None:
        """A shelving or blackout ends while the alert is still active: what it kept quiet is told now."""
        untold = tables.find_untold(alert.id, (*BEGINNINGS, "alert_severity"))
        if untold:
            code = unpack(alert.attributes).get("check") if alert.type == "checkAlert" else None
            check = tables.find_check_by_key(code, alert.customer) if isinstance(code, str) else None
            details = {**event_messages(old, alert), **({"check": code} if check else {})}
            tables.insert_event(untold, alert.customer, now, alert.id, details, self.settings.event_retention, check_seq=check and check.seq)

    def _change(self, tables: Tables, alert: Alert, decision: Decision, now: int, user: str | None, text: str | None,
                timeout: int | None) -> Alert:
        """Writes what an operator or the timer decided. Conflict for opening what a newer alert has taken the place of."""
        changed = decision.alert
        if changed.superseded and changed.status not in FINISHED_STATUSES:
            raise Conflict("a newer alert about the same has taken its place")
        return self._record(tables, alert, decision, now, None, HistoryEntry(
            None, alert.seq, alert.id, alert.event, changed.severity, changed.status, alert.value, text, decision.entry, now, user, timeout))

    def act_on_alert(self, ident: str, action: str, text: str | None, timeout: int | None, caller: Caller) -> Alert:
        """An operator's action. NotFound; Conflict where it makes no sense in the alert's status."""
        now = self.clock.now()

        def work(tables: Tables) -> Alert:
            alert = tables.get_alert(ident, caller.customer)
            decision = decide_action(alert, action, timeout, now, self.settings)
            remembered = timeout or remembered_timeout(tables.alert_history(alert.seq), action)
            shown = action_entry_timeout(alert, action, remembered, self.settings)
            return self._change(tables, alert, decision, now, caller.login, text, shown)

        return self.store.write(work)

    def set_alert_status(self, ident: str, status: str, text: str, timeout: int | None, caller: Caller) -> Alert:
        """An operator sets a status, whatever it was. NotFound."""
        now = self.clock.now()

        def work(tables: Tables) -> Alert:
            alert = tables.get_alert(ident, caller.customer)
            decision = decide_operator_status(alert, status, timeout, now, self.settings)
            return self._change(tables, alert, decision, now, caller.login, text, decision.alert.timeout)

        return self.store.write(work)

    def edit_alert(self, ident: str, edit: Callable[[Alert], Alert], caller: Caller) -> Alert:
        """A change that is neither status nor history: tags, attributes. NotFound."""
        def work(tables: Tables) -> Alert:
            old = tables.get_alert(ident, caller.customer)
            new = edit(old)
            tables.update_alert(old, new)
            return new

        return self.store.write(work)

    def delete_alert(self, ident: str, caller: Caller) -> None:
        """Deletes an alert with its history and notes. NotFound."""
        def work(tables: Tables) -> None:
            tables.delete_alert(tables.get_alert(ident, caller.customer))

        self.store.write(work)

    # --- notes

    def add_note(self, ident: str, text: str, caller: Caller) -> tuple[Alert, Note]:
        """Writes a remark on an alert, which is also in its history. NotFound."""
        now = self.clock.now()
        note_id = new_id()

        def work(tables: Tables) -> tuple[Alert, Note]:
            alert = tables.get_alert(ident, caller.customer)
            about = {name: getattr(alert, name) for name in ("resource", "event", "environment", "severity", "status")}
            note = Note(note_id, alert.seq, text, caller.login, pack_object(about), alert.customer, now, None)
            tables.insert_note(note)
            tables.insert_history(self._note_entry(alert, note, "note", text, now, caller), self.settings.history_limit)
            return alert, note

        return self.store.write(work)

    def _note_entry(self, alert: Alert, note: Note, type_: str, text: str, now: int, caller: Caller) -> HistoryEntry:
        return HistoryEntry(None, alert.seq, note.id, alert.event, alert.severity, alert.status, alert.value, text, type_,
                            now, caller.login, None)

    def update_note(self, ident: str, note_id: str, text: str | None, attributes: dict, caller: Caller) -> tuple[Alert, Note]:
        now = self.clock.now()

        def work(tables: Tables) -> tuple[Alert, Note]:
            alert = tables.get_alert(ident, caller.customer)
            note = tables.get_note(alert.seq, note_id)
            note = note._replace(text=note.text if text is None else text, user=caller.login, updated_at=now,
                                 attributes=merged_attributes(note.attributes, attributes))
            tables.update_note(note)
            return alert, note

        return self.store.write(work)

    def delete_note(self, ident: str, note_id: str, caller: Caller) -> None:
        now = self.clock.now()

        def work(tables: Tables) -> None:
            alert = tables.get_alert(ident, caller.customer)
            note = tables.get_note(alert.seq, note_id)
            tables.delete_note(note.id)
            tables.insert_history(self._note_entry(alert, note, "dismiss", "note dismissed", now, caller), self.settings.history_limit)

        self.store.write(work)

    # --- heartbeats

    def record_heartbeat(self, beat: Beat, caller: Caller) -> Heartbeat:
        """A sign of life. Invalid for another's customer, Conflict for a used id."""
        now = self.clock.now()
        beat = beat._replace(customer=self.customer_for(beat.customer, caller), created_at=self.sent_at(beat.created_at))
        return self.write_sign(lambda tables: self._beat(tables, beat, now),
                               lambda tables: self._heard(tables.find_heartbeat(beat.origin, beat.customer), beat, now),
                               300 + len(pack_object(beat.attributes)) + len(pack_list(beat.tags)))

    def _heard(self, old: Heartbeat | None, beat: Beat, now: int) -> Heartbeat:
        """A heartbeat as it is after a beat."""
        new = Heartbeat(
            seq=old.seq if old else 0, id=old.id if old else beat.id, origin=beat.origin, customer=beat.customer,
            tags=pack_list(beat.tags), attributes=bounded_object("attributes", beat.attributes), timeout=beat.timeout, silent=0, due_at=None,
            created_at=now if beat.created_at is None else beat.created_at, received_at=now,
            gap=sender_gap(old.received_at if old else None, now, beat.timeout))
        deadline = heartbeat_deadline(new, self.listening)
        return new._replace(due_at=kept_due_at(old.due_at if old else None, deadline, now))

    def _beat(self, tables: Tables, beat: Beat, now: int) -> Heartbeat:
        old = tables.find_heartbeat(beat.origin, beat.customer)
        new = self._heard(old, beat, now)
        if old is None:
            return tables.insert_heartbeat(new)
        tables.update_heartbeat(old, new)
        if old.silent:
            self._end_silence(tables, old, "HeartbeatOK", "Heartbeat OK", "heartbeat_ok", now)
        return new

    def _end_silence(self, tables: Tables, beat: Heartbeat, event: str, text: str, event_type: str, now: int) -> None:
        """Closes the alert that the silence raised, where it still exists."""
        report = heartbeat_report(beat, event, "normal", "", text, self.settings)
        if tables.find_reported_alert(report.environment, report.resource, report.event, report.customer):
            self._receive(tables, report, now, None, event_type)
        else:
            self._heartbeat_event(tables, beat, event_type, text, now)

    def _heartbeat_event(self, tables: Tables, beat: Heartbeat, event_type: str, text: str, now: int) -> None:
        tables.insert_event(event_type, beat.customer, now, None, {"resource": beat.origin, "text": text},
                            self.settings.event_retention)

    def delete_heartbeat(self, ident: str, caller: Caller) -> None:
        """Stops watching; an alert about its silence is closed, since nothing else could ever close it. NotFound."""
        now = self.clock.now()

        def work(tables: Tables) -> None:
            beat = tables.get_heartbeat(ident, caller.customer)
            tables.delete_heartbeat(beat.seq)
            if beat.silent:
                self._end_silence(tables, beat, "HeartbeatOK", "Heartbeat deleted", "heartbeat_ok", now)

        self.store.write(work)

    def heartbeat_status(self, beat: Heartbeat, now: int) -> str:
        return heartbeat_status(beat, min(now, self.judging_time()), self.listening, self.settings.heartbeat_max_latency)

    # --- checks

    def create_check(self, wanted: CheckWanted, customer: str) -> tuple[Check, bool]:
        """A new check, or the one that `unique` finds, changed. The second value: whether it is new.

        Invalid for receivers that do not exist, Forbidden where the limit is reached.
        """
        now = self.clock.now()

        def work(tables: Tables) -> tuple[Check, bool]:
            found = tables.find_checks_of(customer, **wanted.unique) if wanted.unique else []
            if found:
                return self._update_check(tables, found[0], wanted, now), False
            limit = self.settings.check_limit
            if limit and tables.count_checks(customer) >= limit:
                raise Forbidden(f"there are {limit} checks already, the most that check_limit allows")
            receivers = choose_receivers(tables.list_receivers(customer), wanted.channels or "")
            check = tables.insert_check(new_check(customer, wanted.changes, now))
            tables.set_check_receivers(check.seq, receivers)
            return check, True

        return self.store.write(work)

    def update_check(self, code: str, wanted: CheckWanted, customer: str) -> Check:
        """Changes the settings of a check. NotFound, Forbidden for another's, Invalid for receivers that do not exist."""
        now = self.clock.now()
        return self.store.write(lambda tables: self._update_check(tables, self.own_check(tables, code, customer), wanted, now))

    def _update_check(self, tables: Tables, old: Check, wanted: CheckWanted, now: int) -> Check:
        if wanted.channels is not None:
            tables.set_check_receivers(old.seq, choose_receivers(tables.list_receivers(old.customer), wanted.channels))
        return self._save_check(tables, old, changed_check(old, wanted.changes), now)

    def _save_check(self, tables: Tables, old: Check, new: Check, now: int) -> Check:
        """Writes a check, with the moment at which the timer has to look at it."""
        due_at = kept_due_at(old.due_at, check_deadline(new, self.listening), now)
        if due_at != new.due_at:
            new = new._replace(due_at=due_at)
        tables.update_check(old, new)
        return new

    @staticmethod
    def own_check(tables: Tables, code: str, customer: str) -> Check:
        """The check of this customer; NotFound, Forbidden where it is another's."""
        check = tables.find_check(code)
        if check is None:
            raise NotFound("check not found")
        if check.customer != customer:
            raise Forbidden("the check is another project's")
        return check

    def pause_check(self, code: str, customer: str) -> Check:
        """Stops watching until the next ping or resume. NotFound, Forbidden."""
        now = self.clock.now()

        def work(tables: Tables) -> Check:
            old = self.own_check(tables, code, customer)
            if old.status == "paused":
                return old
            new = old._replace(status="paused", last_start_at=None, last_start_rid=None, next_at=None, down_at=None)
            return self._flip(tables, old, new, now, "", now, "paused while it was down")

        return self.store.write(work)

    def resume_check(self, code: str, customer: str) -> Check:
        """A paused check becomes new again. NotFound, Forbidden, Conflict where it is not paused."""
        now = self.clock.now()

        def work(tables: Tables) -> Check:
            old = self.own_check(tables, code, customer)
            if old.status != "paused":
                raise Conflict("check is not paused")
            new = old._replace(status="new", last_ping_at=None, last_start_at=None, last_start_rid=None, next_at=None)
            return self._flip(tables, old, new, now, "", now)

        return self.store.write(work)

    def delete_check(self, code: str, customer: str) -> tuple[Check, list[str]]:
        """Stops watching for good; an alert about the check is closed. The check as it was, and its receivers' ids."""
        now = self.clock.now()

        def work(tables: Tables) -> tuple[Check, list[str]]:
            check = self.own_check(tables, code, customer)
            receivers = tables.receivers_of_checks(customer, check.seq).get(check.seq, [])
            if check.status == "down":
                self._end_check_alert(tables, check, "check_up", "deleted while it was down", now)
            tables.delete_check(check)
            return check, receivers

        return self.store.write(work)

    def record_ping(self, address: PingAddress, action: str, sent: PingSent | Problem) -> bool:
        """A sign of life from a job; True where its check was made for it. action: success, fail, start or log.

        NotFound or Conflict for the address, else the problem that sent is. They are raised outside the transaction, which
        others share: who guesses at addresses must not make theirs run again.
        """
        now = self.clock.now()

        def work(tables: Tables) -> bool | Problem:
            found = self._find_pinged(tables, address)
            problem = next((one for one in (found, sent) if isinstance(one, Problem)), None)
            if problem:
                return problem
            is_new = isinstance(found, Project)
            self._ping(tables, self._auto_provision(tables, found, address.slug, now) if is_new else found, action, sent, now)
            return is_new

        def find(tables: Tables) -> None:
            found = self._find_pinged(tables, address)
            if not isinstance(found, Check):
                raise found if isinstance(found, Problem) else StorageFull("the disk is full: no check was made")
            if isinstance(sent, Problem):
                raise sent

        done = self.write_sign(work, find, 300 + (len(sent.body) if isinstance(sent, PingSent) else 0))
        if isinstance(done, Problem):
            raise done
        return done

    def _find_pinged(self, tables: Tables, address: PingAddress) -> Check | Project | Problem:
        """The check that a ping is for, the project in which it is to be made, or why there is neither."""
        if address.code:
            return tables.find_check(address.code) or NotFound()
        project = tables.find_project(ping_key=address.ping_key)
        checks = tables.find_checks_of(project.customer, 2, slug=address.slug) if project else []
        if len(checks) > 1:
            return Conflict("ambiguous slug")
        limit = 2 * self.settings.check_limit
        if checks or not project or not address.creates or limit and tables.count_checks(project.customer) >= limit:
            return checks[0] if checks else NotFound()
        return project

    def _ping(self, tables: Tables, check: Check, action: str, sent: PingSent, now: int) -> None:
        kind = ping_kind(check, action, sent.method, sent.body)
        new = check_after_ping(check, kind, sent.rid, now, self.settings.early_tolerance * 1000)
        tables.insert_ping(Ping(check.seq, new.n_pings, kind, now, sent.scheme, sent.method, sent.remote_addr, sent.user_agent,
                                sent.rid, sent.exit_status, sent.body or None), self.settings.ping_log_limit)
        self._flip(tables, check, new, now, "fail" if kind == "fail" else "", now)

    @staticmethod
    def _auto_provision(tables: Tables, project: Project, slug: str, now: int) -> Check:
        """A check for a slug that was pinged with create=1, which tells everybody (spec/healthchecks.md 4.5)."""
        check = tables.insert_check(new_check(project.customer, {"name": slug, "slug": slug}, now))
        tables.set_check_receivers(check.seq, choose_receivers(tables.list_receivers(project.customer), "*"))
        return check

    def _flip(self, tables: Tables, old: Check, new: Check, at: int, reason: str, now: int, ended: str = "") -> Check:
        """Writes a check and, where its status is another, the flip, its event and its alert. at: when it became so;
        ended: what to say where it is no longer watched."""
        flip = flip_of(old, new, at, reason, now)
        if flip:
            tables.insert_flip(flip)
        if flip and new.status == "down":
            new = new._replace(alert=self._raise_check_alert(tables, old, new, reason, at, now))
        elif flip and old.status == "down":
            self._end_check_alert(tables, old, "check_up", ended or up_text(flip), now, flip)
            new = new._replace(alert=None)
        return self._save_check(tables, old, new, now)

    def _raise_check_alert(self, tables: Tables, old: Check, new: Check, reason: str, at: int, now: int) -> str | None:
        """Tells that a check is down; the id of the alert, None where there is to be none."""
        text = down_text(old, reason, self.listening)
        title = check_title(new)
        if not self.settings.check_alerts:
            self._check_event(tables, "check_down", new, text, at, None, None)
            return None
        environment = self.settings.default_environment
        known = tables.find_reported_alert(environment, title, "CheckDown", new.customer)
        if known and known.status not in FINISHED_STATUSES and unpack(known.attributes).get("check") != new.unique_key:
            title = f"{title} ({new.unique_key[:8]})"  # another check of the same name is down
        report = check_report(new, title, "CheckDown", "major", text, environment)
        alert, _ = self._receive(tables, report, now, None, NO_EVENT)
        self._check_event(tables, "check_down", new, text, at, alert.id, suppression(alert.status, "check_down", True))
        return alert.id

    def _end_check_alert(self, tables: Tables, check: Check, event_type: str, text: str, now: int, flip: Flip | None = None) -> None:
        """Tells that a check is down no longer, and closes its alert where there still is one."""
        alert = tables.find_alert(check.alert) if check.alert else None
        if alert:
            report = check_report(check, alert.resource, "CheckUp", "normal", text, alert.environment)
            self._receive(tables, report, now, None, NO_EVENT)
        more = {"down_seconds": flip.down_seconds, "missed_runs": flip.missed_runs} if flip else {}
        told = check.alert is None or tables.opening_was_told(check.alert)
        self._check_event(tables, event_type, check, text, now, check.alert, suppression("closed", event_type, told), **more)

    def _check_event(self, tables: Tables, event_type: str, check: Check, text: str, at: int, alert: str | None,
                     suppressed: str | None, **more: Any) -> None:
        tables.insert_event(event_type, check.customer, at, alert, {
            "resource": check_title(check), "check": check.unique_key, "tags": check_tags(check), "text": text, "last_ping": check.last_ping_at,
            "since": check.down_at, **more}, self.settings.event_retention, suppressed=suppressed, check_seq=check.seq)

    def _expire_check(self, tables: Tables, check: Check, now: int, done: Expired) -> None:
        deadline = check_deadline(check, self.listening)
        if check.status == "down" or deadline is None or deadline > now:
            tables.update_check(check, check._replace(due_at=None if check.status == "down" else deadline))
            return
        self._flip(tables, check, check._replace(status="down", down_at=deadline), deadline, "timeout", now)
        done.down.append(check.code)

    def get_project(self, customer: str) -> Project:
        """The ping key and badge keys of a customer's checks, made where there are none yet."""
        with self.store.read() as tables:
            known = tables.find_project(customer=customer)
        return known or self.store.write(lambda tables: self._project(tables, customer))

    @staticmethod
    def _project(tables: Tables, customer: str) -> Project:
        project = tables.find_project(customer=customer)
        if project is None:
            letters = string.ascii_lowercase + string.digits
            project = Project(customer, "".join(secrets.choice(letters) for _ in range(22)), new_secret_id(), secrets.token_hex(16))
            tables.insert_project(project)
        return project

    # --- receivers and events

    def sync_event_types(self, more: Iterable[EventType]) -> None:
        """At the start: the built-in event types and those of the operator's file are stored; none is taken away."""
        kinds = pack_list(KINDS)
        built_in = [EventType(name, title, text, "[]" if name in NOT_BY_DEFAULT else kinds, "[]", 0, "")
                    for name, (title, text) in EVENT_TYPES.items()]
        wanted = list({kind.name: kind for kind in (*built_in, *more)}.values())
        with self.store.read() as tables:
            known = {kind.name: kind for kind in tables.list_event_types()}
        changed = [kind for kind in wanted if known.get(kind.name) != kind]
        if changed:
            self.store.write(lambda tables: [tables.save_event_type(kind) for kind in changed])
        for name in known.keys() - {kind.name for kind in wanted} if more else ():
            log(4, f"event type {name} is stored but neither built in nor in the file of event types; it is kept")

    def known_receivers(self, customer: str) -> list[Receiver]:
        """The receivers of a customer; where it has never had one and the setting says so, it gets one for the page."""
        now, fact = self.clock.now(), f"receivers of {customer}"

        def work(tables: Tables) -> None:
            if tables.find_fact(fact) is None:
                tables.save_fact(fact, "known")
                if not tables.list_receivers(customer):
                    tables.insert_receiver(Receiver(0, new_secret_id(), customer, "browser", "", "null", now, "", 0, None))

        with self.store.read() as tables:
            is_new = self.settings.default_receiver and tables.find_fact(fact) is None
        if is_new:
            self.store.write(work)
        with self.store.read() as tables:
            return tables.list_receivers(customer)

    def create_receiver(self, receiver: Receiver) -> Receiver:
        """A new receiver, which hears of what its kind hears of by default."""
        now = self.clock.now()
        receiver = receiver._replace(created_at=now, due_at=now + receiver.remind_every * 1000 if receiver.remind_every else None)
        return self.store.write(lambda tables: tables.insert_receiver(receiver))

    def update_receiver(self, wanted: Receiver, choose: Callable[[list[str]], list[str]]) -> None:
        """Changes a receiver and what it hears of, which choose makes of what it heard of before; an event tells of it where
        something is another. NotFound."""
        now = self.clock.now()

        def work(tables: Tables) -> None:
            old = self.own_receiver(tables, wanted.id, wanted.customer)
            before = tables.subscriptions(old.customer).get(old.seq, [])
            names = choose(before)
            due_at = now + wanted.remind_every * 1000 if wanted.remind_every else None
            tables.update_receiver(wanted._replace(due_at=old.due_at if wanted.remind_every == old.remind_every else due_at))
            tables.set_subscriptions(old.seq, names)
            added, removed = sorted(set(names) - set(before)), sorted(set(before) - set(names))
            change = {"text": "its address was changed"} if old.address_data != wanted.address_data else {
                "text": "what it hears of was changed", "enabled": added, "disabled": removed} if added or removed else {}
            if change:
                details = {"receiver_type": old.type, "resource": wanted.name or old.type, **change}
                tables.insert_event("config_changed", old.customer, now, None, details, self.settings.event_retention)

        self.store.write(work)

    @staticmethod
    def own_receiver(tables: Tables, ident: str, customer: str) -> Receiver:
        """The receiver of this customer; NotFound."""
        receiver = tables.find_receiver(ident.lower(), customer)
        if receiver is None:
            raise NotFound("there is no such receiver")
        return receiver

    def delete_receiver(self, ident: str, customer: str) -> None:
        """Deletes a receiver with what is still owed to it; an alert about it is closed. NotFound."""
        now = self.clock.now()

        def work(tables: Tables) -> None:
            receiver = self.own_receiver(tables, ident, customer)
            tables.delete_receiver(receiver.seq)
            self._end_delivery_alert(tables, receiver, "the receiver was deleted", now)

        self.store.write(work)

    def publish_event(self, event_type: str, customer: str, happened_at: int | None, messages: dict[str, Any]) -> str:
        """An event that somebody posted. Invalid for a type that is not known. Returns its id."""
        now = self.clock.now()

        def work(tables: Tables) -> str:
            if event_type not in {kind.name for kind in tables.list_event_types()}:
                raise Invalid(f"event type {event_type[:100]!r} does not exist")
            return tables.insert_event(event_type, customer, now, None, messages, self.settings.event_retention, at=self.sent_at(happened_at))

        return self.store.write(work)

    def send_test(self, customer: str, ident: str | None = None) -> str:
        """A test message by the way of every other one: to one receiver, or to all that hear of tests. NotFound. Its id."""
        now = self.clock.now()
        details = {"text": "This is a test. If you can read it, messages arrive here.", "resource": program_origin()}

        def work(tables: Tables) -> str:
            only = self.own_receiver(tables, ident, customer).seq if ident else None
            return tables.insert_event("user_test", customer, now, None, details, self.settings.event_retention, only=only)

        return self.store.write(work)

    def _remind(self, tables: Tables, receiver: Receiver, now: int, done: Expired) -> None:
        """Tells a receiver of what is still open and acknowledged by nobody; where there is nothing, nothing."""
        due_at = now + receiver.remind_every * 1000 if receiver.remind_every else None
        tables.update_receiver(receiver._replace(due_at=due_at))
        alerts = tables.told_and_open(receiver.seq, MOST_LISTED)
        if not alerts or any(notice.event.type == "reminder" for notice in tables.notices(receiver.seq, "waiting", MOST_LISTED)):
            return
        lines = [f"{alert.severity}: {alert.resource} {alert.event}, since {utc_text(alert.received_at)}" for alert in alerts[:20]]
        lines += [f"and {len(alerts) - 20} more"] if len(alerts) > 20 else []
        title = f"STILL OPEN: {alerts[0].resource} {alerts[0].event}" + (f" and {len(alerts) - 1} more" if len(alerts) > 1 else "")
        tables.insert_event("reminder", receiver.customer, now, None, {"title": title, "text": "\n".join(lines)},
                            self.settings.event_retention, only=receiver.seq)

    # --- delivery

    def mark_sent(self, receiver: Receiver, notices: tuple[Notice, ...], waited: int) -> None:
        """A message arrived; an alert about the receiver is over."""
        now = self.clock.now()

        def work(tables: Tables) -> None:
            tables.mark_notices(notices, "sent", now, waited, None)
            if not tables.has_dead(receiver.seq):
                self._end_delivery_alert(tables, receiver, "messages arrive again", now)

        self.store.write(work)

    def _end_delivery_alert(self, tables: Tables, receiver: Receiver, text: str, now: int) -> None:
        report = self._delivery_report(receiver, text, "0")
        alert = tables.find_reported_alert(report.environment, report.resource, report.event, report.customer)
        if alert and alert.status not in FINISHED_STATUSES:
            self._receive(tables, report._replace(severity="normal"), now, None)

    def mark_failed(self, receiver: Receiver, notices: tuple[Notice, ...], waited: int, error: str, permanent: bool) -> bool:
        """An attempt failed, and all that stands behind it has waited as long: what is refused for good, or was tried for
        too long, is given up, with an alert of our own; after a while of failing the fallback receiver is told too.
        Returns whether something was given up."""
        now = self.clock.now()

        def work(tables: Tables) -> bool:
            """One transaction: charges, marks, owes the fallback, raises the alert."""
            if tables.find_receiver(receiver.seq) is None:
                return True                          # deleted meanwhile
            tables.charge_waiting(receiver.seq, waited)
            tables.mark_notices(notices, "dead" if permanent else "waiting", now, 0, error)
            dead = len(notices) if permanent else tables.give_up_waiting(receiver.seq, self.settings.give_up_after, error, now)
            fallback = tables.find_receiver(receiver.fallback, receiver.customer) if receiver.fallback else None
            if fallback:
                tables.owe_fallback(receiver.seq, fallback.seq, self.settings.fallback_after)
            if dead:
                self._receive(tables, self._delivery_report(
                    receiver, f"{dead} messages could not be delivered: {error}"[:TEXT_LIMIT], str(dead)), now, None)
            return dead > 0

        return self.store.write(work)

    def _delivery_report(self, receiver: Receiver, text: str, value: str) -> AlertReport:
        """The alert about a receiver that cannot be told. It lasts until a message arrives there and no dead letter is left."""
        title = f"{receiver.name or receiver.type} {receiver.id[:8]}"
        return self.self_report("DeliveryFailed", "major", value, text)._replace(
            resource=f"receiver {title}", service=["Notification"], type="deliveryAlert", customer=receiver.customer)

    def replay_dead(self, ident: str, customer: str) -> int:
        """What was given up for a receiver is tried again; how many. NotFound."""
        return self.store.write(lambda tables: tables.replay_dead(self.own_receiver(tables, ident, customer).seq))

    # --- the timer

    def expire_due(self, now: int | None = None) -> Expired:
        """Everything that was due by now, in batches, each a transaction of its own; returns what was done."""
        now = self.judging_time() if now is None else now
        done = Expired.nothing()
        while (batch := self.expire_some(now)).reviewed:
            done = done.and_then(batch)
        return done

    def expire_some(self, now: int) -> Expired:
        """One batch of what was due by now; nothing reviewed = nothing was left."""
        self.store_signs()
        try:
            return self.store.write(lambda tables: self._expire_batch(tables, now))
        except (Unavailable, StorageFull):
            raise
        except Exception:
            done = self._expire_singly(now)
            if not done.reviewed:                    # it was none of these rows
                raise
            return done

    def _expire_batch(self, tables: Tables, now: int) -> Expired:
        done = Expired.nothing()
        for table in DUE_ROWS:
            done = done.and_then(self._expire_rows(tables, table, now, EXPIRE_BATCH, []))
        spans = tables.take_due_deaf_spans(now)
        if spans:
            self._tell_of_deafness(tables, spans, now)
        return done._replace(reviewed=done.reviewed + len(spans))

    def _expire_rows(self, tables: Tables, table: str, now: int, limit: int, seen: list[Any]) -> Expired:
        """Deals with what is due in one table; seen gets each row before that."""
        done, (find, expire) = Expired.nothing(), DUE_ROWS[table]
        rows = find(tables, now, limit)
        for row in rows:
            seen.append(row)
            expire(self, tables, row, now, done)
        return done._replace(reviewed=len(rows))

    def _expire_singly(self, now: int) -> Expired:
        """A batch in which each row is a transaction of its own. One that cannot be dealt with is put off, and the log says so: no
        other may wait behind it."""
        done = Expired.nothing()
        for table in DUE_ROWS:
            for _ in range(EXPIRE_BATCH // 10):      # each is a commit, and the timer must be seen to move
                part = self._expire_next(table, now)
                done = done.and_then(part)
                if not part.reviewed:
                    break
        return done

    def _expire_next(self, table: str, now: int) -> Expired:
        """Deals with the next row that is due in a table, or puts it off."""
        seen: list[Any] = []
        try:
            return self.store.write(lambda tables: self._expire_rows(tables, table, now, 1, seen))
        except (Unavailable, StorageFull):
            raise
        except Exception as error:
            if not seen:
                raise
            log(3, f"defect: {type(error).__name__}: {error}; row {seen[-1].seq} of {table}, which is due, is tried again in an hour")
        self.store.write(lambda tables: tables.put_off(table, seen[-1].seq, now + SICK_REST))
        return Expired.nothing()._replace(reviewed=1)

    def _expire_alert(self, tables: Tables, alert: Alert, now: int, done: Expired) -> None:
        decision = decide_silence(alert, now, self.settings)
        heard_until = self._excused_until(alert)
        if isinstance(decision, Decision) and decision.entry == "expired" and self._is_still_silent(tables, alert):
            tables.update_alert(alert, alert._replace(timeout=0, due_at=None))
        elif isinstance(decision, Decision) and decision.entry == "expired" and heard_until > now:
            tables.set_alert_due(alert, heard_until)
        elif decision is None:
            tables.set_alert_due(alert, alert_deadline(alert, self.settings))
        elif decision == DELETE:
            tables.delete_alert(alert)
            done.deleted.append(alert.id)
        else:
            seconds = alert.timeout or self.settings.alert_timeout
            text = f"not repeated for {alert.timeout} seconds" if decision.entry == "expired" else f"{alert.status} timed out"
            self._change(tables, alert, decision, now, None, text, seconds)
            ids = done.expired if decision.entry == "expired" else done.unshelved if alert.status == "shelved" else done.unacked
            ids.append(alert.id)

    def _excused_until(self, alert: Alert) -> int:
        """Until when an alert may be unrepeated because we did not listen: whoever repeats it has its timeout anew, but an
        hour at most."""
        spans = self.listening.since(alert.last_received_at)
        return spans[-1].end_at + min(alert.timeout * 1000, 3_600_000) if spans else 0

    @staticmethod
    def _is_still_silent(tables: Tables, alert: Alert) -> bool:
        """Whether an alert is about a heartbeat that is silent: a client that repeats such alerts gives them a timeout,
        but as long as the host is silent the alert must stay."""
        beat = tables.find_heartbeat(alert.resource, alert.customer) if alert.type == "heartbeatAlert" else None
        return beat is not None and bool(beat.silent) and alert.event == "HeartbeatFail"

    def _expire_heartbeat(self, tables: Tables, beat: Heartbeat, now: int, done: Expired) -> None:
        deadline = heartbeat_deadline(beat, self.listening)
        if beat.silent or deadline is None or deadline > now:
            tables.set_heartbeat_state(beat.seq, beat.silent, None if beat.silent else deadline)
            return
        tables.set_heartbeat_state(beat.seq, 1, None)
        done.silent.append(beat.origin)
        text = f"Heartbeat not received in {beat.timeout} seconds"
        if not self.settings.heartbeat_alerts:
            self._heartbeat_event(tables, beat, "heartbeat_expired", text, now)
            return
        since = str((now - beat.received_at) // 1000)
        self._receive(tables, heartbeat_report(beat, "HeartbeatFail", "", since, text, self.settings), now, None, "heartbeat_expired")

    def next_due(self) -> int | None:
        """When the timer has something to do next; None = never."""
        with self.store.read() as tables:
            return tables.next_due()

    def delete_old_alerts(self, expired_hours: int, info_hours: int) -> int:
        """Deletes finished and informational alerts older than so many hours (0 = none), on request; returns how many."""
        now = self.clock.now()

        def work(tables: Tables) -> int:
            alerts = tables.find_retired_alerts(FINISHED_STATUSES, now - expired_hours * 3_600_000, EXPIRE_BATCH) if expired_hours else []
            alerts += tables.find_old_informational(now - info_hours * 3_600_000, EXPIRE_BATCH) if info_hours else []
            for alert in {alert.seq: alert for alert in alerts}.values():
                tables.delete_alert(alert)
            return len(alerts)

        deleted = 0
        while batch := self.store.write(work):
            deleted += batch
        return deleted

    # --- users and keys

    def forget_callers(self) -> None:
        """After any change of users or keys: nobody is known by heart any more."""
        with self.caller_lock:
            self.caller_changes += 1
            self.callers.clear()
            self.passwords.clear()

    def remember_caller(self, known: dict[str, Any], name: str, value: Any, changes: int) -> None:
        """Learns something by heart, unless users or keys have changed since it was looked up."""
        with self.caller_lock:
            if changes == self.caller_changes:
                known[name] = value

    def create_admin(self, key: str) -> bool:
        """Makes the user admin with this key, unless there is a key already that is this one. True = it was made."""
        now = self.clock.now()

        def work(tables: Tables) -> bool:
            if tables.find_key(hash_key(key)):
                return False
            tables.save_key(ApiKey(0, new_id(), hash_key(key), key[:6], "admin", pack_list(ROLE_SCOPES["admin"]),
                                   "administrator's first key", "", now + 3650 * 86_400_000, 0, None))
            return True

        self.create_admin_user()
        made = self.store.write(work)
        self.forget_callers()
        return made

    def create_admin_user(self) -> None:
        """Puts admin on the list of users, where it is not there."""
        now = self.clock.now()
        admin = User(0, new_id(), "admin", "Administrator", None, None, "active", pack_list(["admin"]), "{}",
                     "made at the first start", 0, now, now, None)
        self.store.write(lambda tables: tables.find_user("admin") or tables.save_user(admin))

    def find_caller(self, key: str) -> Caller:
        """Who a key stands for, counting the use. Unauthenticated where it is unknown, expired or its user is gone."""
        now = self.clock.now()
        hashed = hash_key(key)
        known = self.callers.get(hashed)
        if known is None:
            changes = self.caller_changes
            known = self.look_up_caller(hashed)
            self.remember_caller(self.callers, hashed, known, changes)
        expires_at, ident, caller = known
        if expires_at <= now:
            raise Unauthenticated("API key has expired")
        with self.uses_lock:
            self.key_uses[ident] = (self.key_uses.get(ident, (0, 0))[0] + 1, now)
        return caller

    def look_up_caller(self, hashed: str) -> tuple[int, str, Caller]:
        with self.store.read() as tables:
            key = tables.find_key(hashed)
            if key is None or key.key_hash != hashed:
                raise Unauthenticated("API key parameter is invalid")
            user = tables.find_user(key.user)
        if not login_is_allowed(key.user, user, self.settings.allowed_email_domains):
            raise Unauthenticated(f"user {key.user} is not allowed here any more")
        return key.expires_at, key.id, Caller(key.user, tuple(unpack(key.scopes)), key.customer)

    def find_password_caller(self, login: str, password: str) -> Caller:
        """Who signs in with a password. Unauthenticated where login, password or status is not right.

        One verification at a time: it takes a quarter of a second on purpose.
        """
        changes = self.caller_changes
        with self.store.read() as tables:
            user = tables.find_user(login)
            scopes = [scope for role in unpack(user.roles) for scope in tables.role_scopes(role)] if user else []
        quick = hash_key(f"{login}\0{password}")
        right = self.passwords.get(login) == quick
        if not right:
            if not self.password_places.acquire(blocking=False):
                raise Unavailable("too many sign-ins at the same time")
            try:
                with self.password_lock:
                    right = password_is_right(password, user.password_hash if user and user.password_hash else NO_PASSWORD)
            finally:
                self.password_places.release()
        if not right or user is None or user.password_hash is None or user.status != "active":
            raise Unauthenticated("invalid username or password")
        self.remember_caller(self.passwords, login, quick, changes)
        with self.uses_lock:
            self.sign_ins[user.seq] = self.clock.now()
        return Caller(user.login, tuple(dict.fromkeys(scopes)), in_person=True)

    def flush_metrics(self) -> None:
        """Writes what was counted, where something was."""
        text = self.metrics.text()
        if text != self.stored_metrics:
            self.store.write(lambda tables: tables.save_fact("metrics", text))
            self.stored_metrics = text

    def flush_uses(self) -> None:
        """Writes how often keys were used, and when users signed in, where they did."""
        with self.uses_lock:
            uses, self.key_uses = self.key_uses, {}
            sign_ins, self.sign_ins = self.sign_ins, {}
        if not uses and not sign_ins:
            return
        try:
            self.store.write(lambda tables: tables.add_uses(uses, sign_ins))
        except Problem:
            with self.uses_lock:                     # counted again with the next attempt
                for ident, (count, last) in uses.items():
                    newer, latest = self.key_uses.get(ident, (0, last))
                    self.key_uses[ident] = (count + newer, latest)
                self.sign_ins = {**sign_ins, **self.sign_ins}
            raise

    def user_with_sign_in(self, user: User) -> User:
        """The user with a sign-in that is not written yet."""
        return user._replace(last_login_at=self.sign_ins.get(user.seq, user.last_login_at))

    def key_with_uses(self, key: ApiKey) -> ApiKey:
        """The key with the uses that are not written yet."""
        count, last = self.key_uses.get(key.id, (0, 0))
        return key._replace(count=key.count + count, last_used_at=last) if count else key

    def create_user(self, user: User, caller: Caller) -> User:
        """Puts somebody on the list. Conflict where login or address is taken, Forbidden for roles beyond the caller's."""
        now = self.clock.now()

        def work(tables: Tables) -> User:
            refuse_confined(caller)
            for name in filter(None, (user.login, user.email)):
                if tables.find_user(name):
                    raise Conflict(f"user with login or email {name} already exists")
            self._refuse_roles(tables, user.roles, caller)
            return tables.save_user(user._replace(created_at=now, updated_at=now))

        created = self.store.write(work)
        self.forget_callers()
        return created

    def _refuse_roles(self, tables: Tables, roles: str, caller: Caller) -> None:
        for role in unpack(roles):
            refuse_scopes(tables.role_scopes(role), caller)

    def update_user(self, ident: str, change: Callable[[User], User], caller: Caller) -> User:
        """Changes a user. NotFound, Conflict where the new address is taken, Forbidden for roles beyond the caller's."""
        now = self.clock.now()

        def work(tables: Tables) -> User:
            old = tables.get_user(ident)
            new = change(old)
            holder = tables.find_user(new.email) if new.email and new.email != old.email else None
            if holder and holder.seq != old.seq:
                raise Conflict(f"user with email {new.email} already exists")
            refuse_confined(caller)
            self._refuse_roles(tables, old.roles, caller)  # or who may change users could sign in as an administrator
            self._refuse_roles(tables, new.roles, caller)
            return tables.save_user(new._replace(updated_at=now))

        updated = self.store.write(work)
        self.forget_callers()
        return updated

    def delete_user(self, ident: str, caller: Caller) -> None:
        """Takes somebody off the list; the keys of that user end with it. NotFound."""
        refuse_confined(caller)

        def work(tables: Tables) -> None:
            user = tables.get_user(ident)
            tables.delete_keys_of(user.login)
            tables.delete_user(user.seq)

        self.store.write(work)
        self.forget_callers()

    def create_key(self, key: ApiKey, caller: Caller) -> ApiKey:
        """Stores a key. Forbidden for scopes or a user beyond the caller's, Conflict where the key exists."""
        refuse_scopes(unpack(key.scopes), caller)
        key = key._replace(customer=self.customer_for(key.customer, caller))

        def work(tables: Tables) -> ApiKey:
            self.refuse_login(tables, key.user)
            for name, value in (("key", key.key_hash), ("id", key.id)):
                if tables.find_key(value):
                    raise Conflict(f"{name} is already in use")
            return tables.save_key(key)

        created = self.store.write(work)
        self.forget_callers()
        return created

    def refuse_login(self, tables: Tables, login: str) -> None:
        """Forbidden for somebody who could not use a key."""
        user = tables.find_user(login)
        if not login_is_allowed(login, user, self.settings.allowed_email_domains):
            raise Forbidden(f"user {login} is {'inactive' if user else 'neither on the users list nor of an allowed domain'}")

    def change_key(self, ident: str, caller: Caller, change: Callable[[Tables, ApiKey], Any]) -> Any:
        """Changes or deletes the key with this text or id, where the caller may see it. NotFound."""
        def work(tables: Tables) -> Any:
            return change(tables, self.visible_key(tables, ident, caller))

        changed = self.store.write(work)
        self.forget_callers()
        return changed

    def visible_key(self, tables: Tables, ident: str, caller: Caller) -> ApiKey:
        """The key with this text or id; NotFound also where it is somebody else's and the caller no administrator."""
        key = tables.find_key(hash_key(ident)) or tables.find_key(ident)
        if key is None or key.key_hash == ident or not sees_key(key, caller):
            raise NotFound()
        return key


NO_PASSWORD = "scrypt$00$00"                         # verified where there is no password, so that it takes as long


def sees_key(key: ApiKey, caller: Caller) -> bool:
    """Everybody sees his own keys, an administrator all of the customer that he is confined to, if to any."""
    return caller.customer in ("", key.customer) and (is_key_admin(caller) or key.user == caller.login)


def refuse_confined(caller: Caller) -> None:
    """Forbidden for a caller confined to one customer: what it asks for concerns all of them."""
    if caller.customer:
        raise Forbidden(f"not with a key that is confined to customer {caller.customer}")


def is_key_admin(caller: Caller) -> bool:
    return scope_is_granted("admin:keys", caller.scopes)


def refuse_scopes(wanted: Iterable[str], caller: Caller) -> None:
    """Forbidden unless the caller holds every scope that it wants to give."""
    for scope in wanted:
        if scope not in SCOPES:
            raise Invalid(f"'{scope}' is not a valid Scope")
        if not scope_is_granted(scope, caller.scopes):
            raise Forbidden(f"Requested scope not permitted: {scope}")


def event_messages(old: Alert | None, alert: Alert) -> dict[str, Any]:
    """What a message about a change of an alert needs to say."""
    return {"resource": alert.resource, "event": alert.event, "environment": alert.environment, "service": unpack(alert.service),
            "severity": alert.severity, "status": alert.status, "value": alert.value, "text": alert.text,
            "was": None if old is None else {"severity": old.severity, "status": old.status},
            "since": alert.received_at if old is None or old.status in FINISHED_STATUSES else old.received_at}


# Counters and timers for /management/status (spec/alerta.md 1.15), stored once a minute.
TIMERS = {
    "received": "Received alerts", "queries": "Alert queries", "status": "Status changes", "tagged": "Tagged alerts",
    "untagged": "Removed tags", "attributes": "Updated attributes", "deleted": "Deleted alerts", "counts": "Count alerts",
}
COUNTERS = {"rejected": "Rejected alerts", "ratelimited": "Rate limited alerts", "blackout": "Suppressed alerts"}


class Metrics:
    """How often things happened and how long they took, since the database was made (spec/alerta.md 1.15)."""

    def __init__(self, stored: str | None):
        """stored: what text gave last."""
        known = json.loads(stored or "{}")
        self.timers = {name: list(known.get(name, (0, 0.0))) for name in TIMERS}
        self.counters = {name: known.get(name, 0) for name in COUNTERS}

    def text(self) -> str:
        """All of it, to be stored."""
        return pack_object({**self.timers, **self.counters})

    def count(self, name: str) -> None:
        self.counters[name] += 1

    def took(self, name: str, seconds: float) -> None:
        timer = self.timers[name]
        timer[0] += 1
        timer[1] += seconds * 1000


# What the timer looks at: how it finds the rows of a table that are due, and what it does with one.
DUE_ROWS: dict[str, tuple[Callable, Callable]] = {
    "alerts": (Tables.due_alerts, Engine._expire_alert), "heartbeats": (Tables.due_heartbeats, Engine._expire_heartbeat),
    "checks": (Tables.due_checks, Engine._expire_check), "receivers": (Tables.due_receivers, Engine._remind)}


# ================================================================================================================ HTTP
# Strict JSON in, JSON out; who may do what; limits; and the one place that turns problems into answers. A route is
# data: methods, path, scope, dialect, function. The function gets (api, call, its path's parts) and returns a dict,
# or (status, dict), or (status, dict, headers).

DEPTH_LIMIT = 32                                     # JSON within JSON
ACCEPTS_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q\s*=\s*0(\.0*)?\s*(,|$))")
GZIP_FROM = 4096                                     # bytes of an answer worth compressing


def bad_json(text: str) -> Invalid:
    return Invalid(f"400 Bad Request: {text}", [text])


def refuse_deep_json(raw: bytes) -> None:
    """Invalid where values stand more than DEPTH_LIMIT deep; checked before parsing, which recurses."""
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_LIMIT:
        return
    depth = 0
    outside_strings = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    for bracket in re.findall(rb"[\[\]{}]", outside_strings):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_LIMIT:
            raise bad_json(f"the body is nested more than {DEPTH_LIMIT} deep")


def unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of the pairs; ValueError where a name stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def int_of_64_bits(text: str) -> int:
    if len(text) > 20 or not -2**63 <= int(text) < 2**63:
        raise ValueError(f"{text[:40]} is a number beyond 64 bits")
    return int(text)


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def finite_float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def refuse_unstorable(value: Any, path: str) -> None:
    """Invalid, naming the place, for what SQLite or a JSON reader elsewhere could not take."""
    if isinstance(value, str):
        if "\0" in value or not value.isprintable() and any("\ud800" <= char <= "\udfff" for char in value):
            raise Invalid(f"{path or 'the body'} contains a NUL or half a surrogate pair")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            refuse_unstorable(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            refuse_unstorable(name, f"a name in {path or 'the body'}")
            refuse_unstorable(item, f"{path}.{name}" if path else name)


STRICT_JSON = json.JSONDecoder(object_pairs_hook=unique_pairs, parse_constant=refuse_constant, parse_float=finite_float,
                               parse_int=int_of_64_bits)


def parse_json(raw: bytes) -> Any:
    """The value of a JSON text, strictly: UTF-8, bounded depth, finite 64-bit numbers, no name twice, no NUL.

    Invalid says what is wrong and, where it can, in which field (measured traps: reliability notes 4.3).
    """
    refuse_deep_json(raw)
    try:
        value = STRICT_JSON.decode(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise bad_json("the body is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise bad_json(f"the body is not JSON: {error}"[:200]) from None
    if b"\\u" in raw or b"\x00" in raw:
        refuse_unstorable(value, "")
    return value


_encode_answer = json.JSONEncoder(sort_keys=True, check_circular=False).encode


def json_text(value: Any) -> bytes:
    """The bytes of an answer: names sorted, ASCII only (spec/alerta.md 1.1)."""
    return _encode_answer(value).encode("ascii")


class Fields:
    """The fields of a JSON object, taken one by one; each kind of value has one rule and one message."""

    def __init__(self, values: dict[str, Any]):
        self.values = values

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def name(self, name: str, default: str = "") -> str:
        """A short text; missing, null and empty mean the default."""
        value = self.values.get(name)
        if value is None or value == "":
            return default
        if not isinstance(value, str):
            raise Invalid(f"{name} must be a string")
        if len(value) > NAME_LIMIT:
            raise Invalid(f"{name} is longer than {NAME_LIMIT} characters")
        return value

    def customer(self) -> str:
        """The customer that this is for; missing and null mean nobody in particular, but an empty one is a mistake somewhere."""
        if self.values.get("customer") == "":
            raise Invalid("customer must not be an empty string")
        return self.name("customer")

    def ident(self, name: str) -> str:
        """An id that fits into an address; missing and null mean a new one."""
        value = self.name(name)
        if value and (not re.fullmatch(r"[A-Za-z0-9._:~-]{1,200}", value) or value in ("me", ".", "..")):
            raise Invalid(f"{name} may only have letters, digits and . _ : ~ - and must be no longer than 200 characters")
        return value or new_id()

    def required(self, name: str) -> str:
        if self.values.get(name) in (None, ""):
            raise Invalid(f'Missing mandatory value for "{name}"')
        return self.name(name)

    def text(self, name: str, default: str | None = "") -> str | None:
        """A long text; a number is taken as its text, missing and null mean the default."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, (int, float)):
            return str(value)
        if not isinstance(value, str):
            raise Invalid(f"{name} must be a string")
        return self.bounded(name, value)

    def anything(self, name: str) -> str | None:
        """Any value as text: an object or a list as its JSON."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value if value is None else self.bounded(name, value)
        return str(value) if isinstance(value, (bool, int, float)) else self.bounded(name, json.dumps(value))

    @staticmethod
    def bounded(name: str, value: str) -> str:
        if len(value) > TEXT_LIMIT:
            raise Invalid(f"{name} is longer than {TEXT_LIMIT} characters")
        return value

    def names(self, name: str, default: list | None = None) -> list[str]:
        """A list of short texts; null is refused."""
        value = self.values.get(name, [] if default is None else default)
        if not isinstance(value, list):
            raise Invalid(f"{name} must be a list")
        if len(value) > ITEM_LIMIT:
            raise Invalid(f"{name} has more than {ITEM_LIMIT} items")
        for index, item in enumerate(value):
            if not isinstance(item, str):
                raise Invalid(f"{name}[{index}] must be a string")
            if not 0 < len(item) <= NAME_LIMIT:
                raise Invalid(f"{name}[{index}] is empty or longer than {NAME_LIMIT} characters")
        return value

    def attributes(self, name: str = "attributes") -> dict[str, Any]:
        """An object whose names can be searched for; null is refused."""
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            raise Invalid(f"{name} must be a JSON object")
        if len(value) > ITEM_LIMIT:
            raise Invalid(f"{name} has more than {ITEM_LIMIT} members")
        for key in value:
            if "." in key or "$" in key:
                raise Invalid(f'Attribute keys must not contain "." or "$": {name} has {key[:40]!r}')
            if len(key) > NAME_LIMIT or not key:
                raise Invalid(f"{name} has a name that is empty or longer than {NAME_LIMIT} characters")
        return value

    def seconds(self, name: str, default: int | None) -> int | None:
        """A whole number of seconds up to ten years; missing and null mean the default."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise Invalid(f"{name} must be an integer")
        if value < 0:
            raise Invalid(f"Invalid negative '{name}' value ({value})")
        if value > 315_360_000:
            raise Invalid(f"{name} is more than ten years")
        return value

    def moment(self, name: str, default: int | None = None) -> int | None:
        """A time; missing and null mean the default."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise Invalid(f"{name} must be a string")
        try:
            return ms_from_text(value)
        except ValueError as error:
            raise Invalid(f"{name}: {error}") from None

    def flag(self, name: str, default: bool) -> bool:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise Invalid(f"{name} must be true or false")
        return value

    def one_of(self, name: str, known: Iterable[str], default: str) -> str:
        value = self.name(name, default)
        if value not in known:
            raise Invalid(f"{name} ({value[:40]}) is not one of {', '.join(filter(None, known))}")
        return value


class Route(NamedTuple):
    methods: tuple[str, ...]
    path: str
    scope: str | None                                # None = open to everybody; ANYBODY = any caller that is somebody
    function: Callable
    timer: str | None                                # metric that it counts towards


ANYBODY = "any"
ROUTES: list[Route] = []


def route(methods: str, path: str, scope: str | None, timer: str | None = None, slash: bool = False) -> Callable:
    """Puts a function into the route table. methods: separated by blanks; slash: also with a slash at the end, as clients
    of some APIs use both."""
    def add(function: Callable) -> Callable:
        for address in (path, path + "/") if slash else (path,):
            ROUTES.append(Route(tuple(methods.split()), address, scope, function, timer))
        return function

    return add


class Dialect(NamedTuple):
    """How the routes below an address prefix speak, beyond what all share."""
    prefix: str
    refuse: Callable[[Call, Problem], Any]           # the answer to a request that failed
    headers: Callable[[Call], dict[str, str]]        # of every answer
    key: Callable[[Call], str]                       # the key that a request presents; '' = none
    options: Callable[[Call], Any]                   # the answer to OPTIONS, which needs no key


DIALECTS: list[Dialect] = []                         # the last one is for every address


@lru_cache(maxsize=1)
def dialect_prefixes() -> tuple[str, ...]:
    return tuple(dialect.prefix for dialect in DIALECTS[:-1])


def dialect_of(path: str) -> Dialect:
    if not path.startswith(dialect_prefixes()):      # the most frequent, and quicker to find so
        return DIALECTS[-1]
    return next(dialect for dialect in DIALECTS if path.startswith(dialect.prefix))


class Call:
    """One request, as handlers see it."""
    __slots__ = ("environ", "settings", "dialect", "methods", "caller", "request_id", "parsed", "_query")

    MARK = "alertlite.call"                          # in the environment of whatever came as far as here

    def __init__(self, environ: dict[str, Any], settings: SimpleNamespace):
        self.environ, self.settings = environ, settings
        environ[self.MARK] = True
        self.dialect = dialect_of(environ["PATH_INFO"])
        self.methods: tuple[str, ...] = ()           # that its address takes, once that is known
        self.caller: Caller | None = None
        self.request_id = request_id(environ)
        self.parsed: dict[str, Any] | None = None    # the body, where its dialect reads it before anything else
        self._query: list[tuple[str, str]] | None = None

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the address, in order."""
        if self._query is None:
            self._query = parse_query(self.environ.get("QUERY_STRING", ""), self.settings.parameter_limit)
        return self._query

    def parameter(self, name: str, default: str = "") -> str:
        """The first parameter of this name."""
        return next((value for key, value in self.query if key == name), default)

    @property
    def base(self) -> str:
        """The address of this server as the client knows it, without a slash at the end."""
        if self.settings.base_url:
            return self.settings.base_url.rstrip("/")
        return f"{self.environ['wsgi.url_scheme']}://{self.environ.get('HTTP_HOST') or self.environ['SERVER_NAME']}"

    @property
    def address(self) -> str:
        return self.environ.get("REMOTE_ADDR", "")

    def body(self) -> bytes:
        raw = self.environ["wsgi.input"].read(self.settings.body_limit + 1)
        if len(raw) > self.settings.body_limit:
            raise TooLarge(f"the body is larger than {self.settings.body_limit} bytes")
        return raw

    def json(self) -> Fields:
        """The body, a JSON object whatever its Content-Type says."""
        value = parse_json(self.body())
        if not isinstance(value, dict):
            raise Invalid("the body must be a JSON object")
        return Fields(value)


def parse_query(text: str, limit: int) -> list[tuple[str, str]]:
    """The parameters of a query string; Invalid for bad UTF-8, control characters or too many."""
    if not text:
        return []
    try:
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=limit)
    except UnicodeDecodeError:
        raise Invalid("the query string is not UTF-8") from None
    except ValueError:
        raise Invalid(f"the query string has more than {limit} parameters") from None
    for name, value in pairs:
        if any(char < " " and char not in "\t\r\n" for char in name + value):
            raise Invalid(f"parameter {name[:40]!r} contains a control character")
    return pairs


def number_parameter(call: Call, name: str, most: int) -> int | None:
    """A whole number from 0 to most in the address; None = it is not there. Invalid that names it."""
    text = next((value for key, value in call.query if key == name), None)
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) > most:
        raise Invalid(f"{name} must be a whole number from 0 to {most}")
    return int(text)


def request_id(environ: dict[str, Any]) -> str:
    """The id that the client gave the request, else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID") or environ.get("HTTP_X_AMZN_TRACE_ID") or ""
    return given if given and len(given) <= 200 and given.isascii() and given.isprintable() else new_id()


def presented_key(call: Call) -> str:
    """The key that a request presents in one of the accepted ways; '' for none."""
    kind, _, value = call.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() in ("key", "token", "bearer"):
        return value.strip() or "-"
    other = "-" if kind and kind.lower() != "basic" else ""          # a scheme that is not known is a wrong key, not none
    return call.environ.get("HTTP_X_API_KEY") or call.parameter("api-key") or other


def instance_of(call: Call) -> str:
    """Whose checks and receivers a request is about: the customer that its key is confined to, else the one that the
    header X-Scope-OrgID names, else '' (default)."""
    if call.caller.customer:
        return call.caller.customer
    named = call.environ.get("HTTP_X_SCOPE_ORGID", "").encode("latin-1").decode("utf-8", "replace")
    if len(named) > NAME_LIMIT or not named.isprintable():
        raise Invalid(f"X-Scope-OrgID is longer than {NAME_LIMIT} characters or not plain text")
    return "" if named == "default" else named


def refuse_other_sites(environ: dict[str, Any], settings: SimpleNamespace) -> None:
    """Forbidden where a page of another site makes a browser call a server that asks nobody for a key: by its Origin,
    or by a name that was made to point here (DNS rebinding)."""
    host = environ.get("HTTP_HOST", "")
    origin = environ.get("HTTP_ORIGIN", "")
    named = urllib.parse.urlsplit("//" + host).hostname or ""
    known = urllib.parse.urlsplit(settings.base_url).hostname
    is_listed = "*" in settings.cors_origins or environ.get("HTTP_ORIGIN") in settings.cors_origins
    if origin and origin.partition("://")[2] != host and not is_listed:          # "null" is some other site, too
        raise Forbidden("not from a page of another site, unless cors_origins names it")
    if not (settings.insecure or named in ("", "localhost", known) or re.fullmatch(r"[0-9.]+|[0-9a-f:]+", named)):
        raise Forbidden(f"not by the name {named[:100]}: without authentication only by address, localhost or base_url")


def presented_password(environ: dict[str, Any]) -> tuple[str, str] | None:
    """(login, password) of Basic authentication; None where there is none. A password may contain colons."""
    kind, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        login, colon, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
    except ValueError:
        raise Invalid("Authorization: not Basic authentication") from None
    if not colon:
        raise Invalid("Authorization: not Basic authentication")
    return login, password


HTTP_ERROR_TEXTS = {
    404: "404 Not Found: there is nothing at this address",
    405: "405 Method Not Allowed: this address does not take this method",
}
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in http.HTTPStatus}
ALL_RIGHTS = Caller(None, ROLE_SCOPES["admin"])


class Api:
    """The web application: the routes of all dialects on one engine. bottle finds the route; answers are made here,
    in one place, so that every one of them has the same form whoever refused."""

    def __init__(self, engine: Engine, settings: SimpleNamespace, find_problem: Callable[[], str | None] = lambda: None):
        """find_problem: what is wrong with the process, None = nothing."""
        self.engine, self.settings, self.clock, self.find_problem = engine, settings, engine.clock, find_problem
        self.finder, self.methods = route_finder()
        self.guard = SignInGuard(settings.failed_sign_ins)

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> list[bytes]:
        call = Call(environ, self.settings)
        try:
            answer = self.serve(call)
        except Problem as problem:
            answer = refusal(call, problem)
        except Exception as error:
            answer = failure(call, error)
        status, body, headers = (*answer, {})[:3] if isinstance(answer, tuple) else (200, answer, {})
        content = body if isinstance(body, bytes) else json_text(body)
        fields = {"Content-Type": "application/json", "X-Request-ID": call.request_id, "X-Content-Type-Options": "nosniff",
                  "Cache-Control": "no-store", **headers, **cors_headers(call), **call.dialect.headers(call)}
        if status == 204:
            del fields["Content-Type"]
            start_response(STATUS_LINES[status], list(fields.items()))
            return []
        if len(content) >= GZIP_FROM and ACCEPTS_GZIP.search(environ.get("HTTP_ACCEPT_ENCODING", "")):
            content = gzip.compress(content, 1)
            fields.update({"Content-Encoding": "gzip", "Vary": "Accept-Encoding, Origin"})
        fields["Content-Length"] = str(len(content))
        start_response(STATUS_LINES[status], list(fields.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]

    def health_problem(self) -> str | None:
        """Why the process cannot do its job; None = it can."""
        error = self.engine.store.probe(self.clock.monotonic())
        return self.find_problem() or (f"writing fails: {error}" if error else None)

    def serve(self, call: Call) -> Any:
        """What the route answers; Problem where the request fails."""
        started = self.clock.monotonic()
        refuse_address(call.environ, self.settings.url_limit)
        entry, parts = self.find_route(call)
        call.caller = self.find_caller(call, entry.scope)
        answer = entry.function(self, call, **parts)
        if entry.timer:
            self.engine.metrics.took(entry.timer, self.clock.monotonic() - started)
        return answer

    def find_route(self, call: Call) -> tuple[Route, dict[str, str]]:
        """The route for an address and method, and the parts of its path. Problem 404 or 405."""
        try:
            entry, parts = self.finder.match(call.environ)
        except bottle.HTTPError as error:
            call.methods = tuple(error.headers.get("Allow", "").replace(",", " ").split())
            problem = Problem(HTTP_ERROR_TEXTS[error.status_code])
            problem.status, problem.errors = error.status_code, [problem.message.partition(": ")[2]]
            raise problem from None
        call.methods = self.methods[entry.path]
        return entry, parts

    def find_caller(self, call: Call, scope: str | None) -> Caller | None:
        """Who calls; Unauthenticated or Forbidden where that is nobody or too little. What is presented is always verified."""
        if scope is None:
            return None
        key = call.dialect.key(call)
        login = None if key else presented_password(call.environ)
        if not key and not login:
            if self.settings.auth:
                raise Unauthenticated("Missing authorization API Key or Bearer Token")
            refuse_other_sites(call.environ, self.settings)
            return ALL_RIGHTS
        address, now = call.environ.get("REMOTE_ADDR", ""), self.clock.monotonic()
        if login:
            self.guard.refuse(address, now)          # before the password is checked, which takes its time
        try:
            caller = self.engine.find_caller(key) if key else self.engine.find_password_caller(*login)
        except Unauthenticated:
            self.guard.refuse(address, now)
            self.guard.note_failure(address, now)
            raise
        if scope != ANYBODY and not scope_is_granted(scope, caller.scopes):
            raise MissingScope(f"Missing required scope: {scope}")
        return caller


class SignInGuard:
    """Counts wrong keys and passwords by address, a minute at a time: who guesses is refused for the rest of it. A right key always
    counts, so that nobody can lock out those behind the same address."""

    def __init__(self, limit: int):
        self.limit = limit                           # 0 = none
        self.minute, self.failures = 0, collections.Counter[str]()

    def refuse(self, address: str, now: float) -> None:
        """TooManyRequests where the address has guessed often enough. now in monotonic seconds."""
        if self.limit and self.minute == now // 60 and self.failures[address] >= self.limit:
            raise TooManyRequests("too many wrong keys or passwords from this address: wait a minute")

    def note_failure(self, address: str, now: float) -> None:
        if self.minute != now // 60 or len(self.failures) > 10_000:
            self.minute, self.failures = now // 60, collections.Counter()
        self.failures[address] += 1


class RouteFinder(bottle.Router):
    """bottle's router, but its patterns are compiled when all are there; it would compile all again for each that is added,
    which took half a second of every start."""
    is_complete = False

    def _compile(self, method: str) -> None:
        if self.is_complete:
            super()._compile(method)

    def complete(self) -> None:
        self.is_complete = True
        for method in self.dyna_routes:
            self._compile(method)


@lru_cache(maxsize=1)
def route_finder() -> tuple[RouteFinder, dict[str, tuple[str, ...]]]:
    """What finds the route for an address, and the methods of each path."""
    finder = RouteFinder()
    methods: dict[str, tuple[str, ...]] = {}
    for entry in ROUTES:
        methods[entry.path] = (*methods.get(entry.path, ()), *entry.methods)
        for method in entry.methods:
            finder.add(entry.path, method, entry)
    for path in methods:
        finder.add(path, "OPTIONS", Route(("OPTIONS",), path, None, lambda api, call, **parts: call.dialect.options(call), None))
    finder.complete()
    return finder, methods


def cors_headers(call: Call) -> dict[str, str]:
    """What lets a page of an allowed origin read the answer; errors too, or it could not show them."""
    allowed = call.settings.cors_origins
    origin = call.environ.get("HTTP_ORIGIN") or (allowed[0] if allowed else None)
    if not origin or not ("*" in allowed or origin in allowed):
        return {}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def refuse_address(environ: dict[str, Any], limit: int) -> None:
    """Before routing: an address that the router would quietly repair is refused."""
    path = environ["PATH_INFO"]
    if len(path) + len(environ.get("QUERY_STRING", "")) > limit:
        raise AddressTooLong(f"the address is longer than {limit} bytes")
    try:
        path = path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise Invalid("the path is not UTF-8") from None
    if "//" in path or not path.isprintable():
        raise Invalid("the path contains // or a control character")
    environ["PATH_INFO"] = path


def refusal(call: Call, problem: Problem) -> Any:
    """The answer to a request that failed, and its one line in the log."""
    log(4 if problem.status < 500 else 3, f"{call.environ['REQUEST_METHOD']} {loggable(call.environ['PATH_INFO'])} from "
        f"{call.address or '-'}: {problem.status} {problem.message.removeprefix(f'{problem.status} ')}")
    return call.dialect.refuse(call, problem)


SECRET_PART = re.compile(r"(/ping/+[^/]{4})[^/]*|(/key/+.{4}).*|([0-9a-f]{8})-[0-9a-f-]{27}", re.I | re.S)


def loggable(path: str) -> str:
    """The beginning of a path without the ping addresses and keys in it, which are secrets."""
    return SECRET_PART.sub(lambda match: f"{match[match.lastindex]}…", path)[:100]


def refuse_as_json(call: Call, problem: Problem) -> Any:
    """The body of a refusal where its dialect has no other (spec/alerta.md 1.2)."""
    body = {"status": "error", "message": problem.message, "code": problem.status, "errors": problem.errors, "requestId": call.request_id}
    headers = dict(problem.headers)
    if isinstance(problem, Unauthenticated):
        is_basic = call.environ.get("HTTP_AUTHORIZATION", "").lower().startswith("basic")
        headers["WWW-Authenticate"] = 'Basic realm="alertlite"' if is_basic else "Key"
    return problem.status, body, headers


def failure(call: Call, error: Exception) -> Any:
    """The answer to a defect of ours. What happened is for the log, not for the client."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    log(3, f"defect: {type(error).__name__}: {error} at {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
    return refusal(call, Problem("An internal error has occurred; the server's log has the details"))


def answer_options(call: Call) -> Any:
    """OPTIONS needs no key: browsers ask before they may send one (spec/alerta.md 9)."""
    allow = sorted({*call.methods, "OPTIONS", *({"HEAD"} if "GET" in call.methods else ())})
    headers = {"Allow": ", ".join(allow), "Content-Type": "text/html; charset=utf-8"}
    if cors_headers(call):
        asked = [name.strip() for name in call.environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "").split(",")]
        headers["Access-Control-Allow-Methods"] = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
        headers["Access-Control-Allow-Headers"] = ", ".join(sorted(name for name in asked if name.lower() in CORS_HEADERS))
    return 200, b"", headers


CORS_HEADERS = frozenset({"content-type", "authorization", "access-control-allow-origin", "x-request-id", "x-api-key"})
DIALECTS.append(Dialect("", refuse_as_json, lambda call: {}, presented_key, answer_options))


class Page(NamedTuple):
    """Which page of a list is asked for (spec/alerta.md 1.3)."""
    number: int
    size: int

    def of(self, total: int) -> dict[str, Any]:
        """The paging keys of an answer; PageOutOfRange where the page does not exist."""
        pages = -(-total // self.size)
        if self.number < 1 or (total and self.number > pages):
            raise PageOutOfRange(f"page out of range: 1-{max(pages, 1)}")
        return {"page": self.number, "pageSize": self.size, "pages": pages, "more": self.number < pages, "total": total}

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


DEFAULT_PAGE_SIZE, LARGEST_PAGE = 50, 1000
MOST_PAGES = 10**12                                  # a larger number means the same


def parse_page(call: Call, default_size: int = DEFAULT_PAGE_SIZE) -> Page:
    """page, and page-size or its older name limit. What is no number counts as not given; 0 means the default."""
    def number(name: str, default: int) -> int:
        text = call.parameter(name)
        return max(-MOST_PAGES, min(int(text[:20]), MOST_PAGES)) if re.fullmatch(r"-?[0-9]+", text) else default

    size = number("page-size", number("limit", default_size)) or default_size
    if size < 0:
        raise PageOutOfRange("page-size must not be negative")
    page = Page(number("page", 1), min(size, LARGEST_PAGE))
    if page.number < 1:
        raise PageOutOfRange("page out of range: the first page is 1")
    return page


# ============================================================================================================== ALERTA
# The Alerta API: v3 as first published and what today's server answers, in one (spec/alerta.md; part 10 says which
# where they differ). parse_… makes neutral values, show_… makes JSON, a route does little more than call both.

IGNORED_PARAMETERS = frozenset({
    "_", "callback", "token", "api-key", "q", "q.df", "from-date", "to-date", "sort-by", "group-by", "page", "page-size",
    "limit", "show-raw-data", "show-history", "reverse"})


def parse_alert(fields: Fields, call: Call, settings: SimpleNamespace) -> AlertReport:
    """The report in a POST /alert body (spec/alerta.md 1.5)."""
    resource, event = fields.required("resource"), fields.required("event")
    severity = fields.name("severity", "normal")
    if severity not in SEVERITIES:
        raise Invalid(f"Severity ({severity}) is not one of {', '.join(SEVERITIES)}")
    status = fields.one_of("status", STATUSES, "open")
    attributes = fields.attributes()
    return AlertReport(
        id=fields.ident("id"), resource=resource, event=event,
        environment=fields.name("environment", settings.default_environment), severity=severity,
        status="open" if status == "blackout" else status,     # a sender cannot black itself out
        correlate=fields.names("correlate"), service=fields.names("service"), group=fields.name("group", "Misc"),
        value=fields.anything("value"), text=fields.text("text"), tags=fields.names("tags"),
        attributes={**attributes, "ip": call.address}, origin=fields.name("origin", program_origin()),
        type=fields.name("type", "exceptionAlert"), created_at=fields.moment("createTime"),
        timeout=fields.seconds("timeout", settings.alert_timeout), raw_data=fields.anything("rawData"),
        customer=fields.customer())


def show_history_entry(entry: HistoryEntry, base: str) -> dict[str, Any]:
    """The eleven keys of a history entry (spec/alerta.md 2.2)."""
    return {"event": entry.event, "href": f"{base}/alert/{entry.id}", "id": entry.id, "severity": entry.severity,
            "status": entry.status, "text": entry.text, "timeout": entry.timeout, "type": entry.type,
            "updateTime": text_from_ms(entry.updated_at), "user": entry.user, "value": entry.value}


def show_alert(alert: Alert, base: str, history: Iterable[HistoryEntry] = (), raw_data: bool = True) -> dict[str, Any]:
    """The 29 keys of an alert (spec/alerta.md 2.1)."""
    return {
        "attributes": unpack(alert.attributes), "correlate": unpack(alert.correlate), "createTime": text_from_ms(alert.created_at),
        "customer": alert.customer or None, "duplicateCount": alert.duplicate_count, "environment": alert.environment,
        "event": alert.event, "group": alert.group_name, "history": [show_history_entry(entry, base) for entry in history],
        "href": f"{base}/alert/{alert.id}", "id": alert.id, "lastReceiveId": alert.last_receive_id,
        "lastReceiveTime": text_from_ms(alert.last_received_at), "origin": alert.origin,
        "previousSeverity": alert.previous_severity, "rawData": alert.raw_data if raw_data else None,
        "receiveTime": text_from_ms(alert.received_at), "repeat": bool(alert.repeat), "resource": alert.resource,
        "service": unpack(alert.service), "severity": alert.severity, "status": alert.status, "tags": unpack(alert.tags),
        "text": alert.text, "timeout": alert.timeout, "trendIndication": alert.trend, "type": alert.type,
        "updateTime": text_from_ms(alert.updated_at), "value": alert.value,
    }


def known_query_field(name: str) -> str:
    """The field that a name in q means; Invalid for none."""
    field = name if name == "_exists_" else alert_field_name(name)
    if field is None:
        raise bad_query(f"unknown field {name[:60]!r}; put a term with a colon in quotes")
    return field


def parse_query_text(call: Call) -> tuple:
    """The tree of the q parameter, in a tuple; empty without one."""
    text = call.parameter("q")
    if not text.strip():
        return ()
    if len(text) > 4000:
        raise Invalid("q is longer than 4000 characters")
    if text.startswith("{"):
        raise bad_query("q is Lucene-like text such as severity:major, not a MongoDB query")
    return (QueryParser(text, known_query_field(call.parameter("q.df", "text")), known_query_field).parse(),)


def parse_dates(call: Call) -> tuple[Match, ...]:
    """The conditions of from-date and to-date, on the last report."""
    bounds = []
    for name in ("from-date", "to-date"):
        text = call.parameter(name)
        if text:
            try:
                ms_from_text(text)
            except ValueError as error:
                raise Invalid(f"{name}: {error}") from None
        bounds.append(text or None)
    return (Match("lastReceiveTime", "range", (bounds[0], False, bounds[1], True)),) if any(bounds) else ()


def parse_filter(call: Call, special: tuple[str, ...] = ()) -> AlertFilter:
    """The filter of an alert collection (spec/alerta.md 4.1): a key repeated means or, different keys mean and."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for key, value in call.query:
        name, negated = key.removesuffix("!"), key.endswith("!")
        if name in IGNORED_PARAMETERS or key in special:
            continue
        field = alert_field_name(name)
        if field is None or name == "tags":
            raise Invalid(f"Invalid filter parameter: {key[:60]}")
        groups.setdefault((field, negated), []).append(value)
    equal, other = {}, [*parse_query_text(call), *parse_dates(call)]
    for (field, negated), values in groups.items():
        if field in COUNTED_FIELDS and not negated and not any(value.startswith("~") or not value for value in values):
            equal[field] = values
            continue
        any_of = AnyOf(tuple(regex_match(field, value[1:]) if value.startswith("~") else Match(field, "is", value) for value in values))
        other.append(NoneOf(any_of) if negated else any_of)
    return AlertFilter(equal, tuple(other)).confined(call.caller.customer)


def parse_order(call: Call) -> tuple[Order, ...]:
    """The sort keys; newest first without any (spec/alerta.md 4.2)."""
    flipped = any(key == "reverse" for key, _ in call.query)
    orders = []
    for text in (value for key, value in call.query if key == "sort-by" and value):
        name = text.removeprefix("-")
        field = name if name in SORT_SQL else alert_field_name(name)
        if field is None or field in UNSORTABLE:
            raise Invalid(f"Sorting by '{name[:60]}' field not supported.")
        orders.append(Order(field, text.startswith("-") != flipped))
    return tuple(orders) or (Order("lastReceiveTime", flipped),)


def wants(call: Call, name: str) -> bool:
    return call.parameter(name).lower() in ("true", "t", "1", "yes", "y", "on")


def counts_of(tallies: Iterable[Tally], part: str) -> dict[str, int]:
    """How many there are of each status or severity."""
    counts: collections.Counter[str] = collections.Counter()
    for tally in tallies:
        counts[getattr(tally, part)] += tally.count
    return dict(counts)


def show_counts(tallies: list[Tally]) -> dict[str, Any]:
    return {"severityCounts": counts_of(tallies, "severity"), "statusCounts": counts_of(tallies, "status")}


def noted(body: dict[str, Any], rows: Iterable[Any]) -> dict[str, Any]:
    """The answer of a collection; an empty one says so."""
    return {"status": "ok", **body} if rows else {"status": "ok", "message": "not found", **body}


def forwarded_back(call: Call) -> Any:
    """The answer to what this server forwarded itself, and another one sends back; None = it is not that."""
    visited = [address.strip() for address in call.environ.get("HTTP_X_ALERTA_LOOP", "").split(",")]
    if call.base not in visited:
        return None
    by = call.environ.get("HTTP_ORIGIN") or call.address
    return 202, {"status": "ok", "message": f"Alert forwarded by {by} already processed by {call.base}"}


@route("POST", "/alert", "write:alerts", "received")
def alerta_receive_alert(api: Api, call: Call) -> Any:
    if looped := forwarded_back(call):
        return looped
    received = api.engine.receive_alert(parse_alert(call.json(), call, api.settings), call.caller)
    if received.heartbeat:
        return 202, {"status": "ok", "message": "Alert converted to Heartbeat", "id": received.heartbeat.id}
    alert = show_alert(received.alert, call.base, received.history)
    return 201, {"alert": alert, "id": alert["id"], "status": "ok"}, {"Location": alert["href"]}


@route("GET", "/alert/<ident>", "read:alerts")
def alerta_get_alert(api: Api, call: Call, ident: str) -> Any:
    with api.engine.store.read() as tables:
        alert = tables.get_alert(ident, call.caller.customer)
        return {"status": "ok", "total": 1, "alert": show_alert(alert, call.base, tables.alert_history(alert.seq))}


@route("POST PUT", "/alert/<ident>/status", "write:alerts", "status")
def alerta_set_status(api: Api, call: Call, ident: str) -> Any:
    fields = call.json()
    if "status" not in fields or fields.values["status"] == "":
        raise Invalid("must supply 'status' as json data")
    status = fields.one_of("status", STATUSES, "")
    api.engine.set_alert_status(ident, status, fields.text("text"), fields.seconds("timeout", None), call.caller)
    return {"status": "ok"}


@route("PUT", "/alert/<ident>/action", "write:alerts", "status")
def alerta_act(api: Api, call: Call, ident: str) -> Any:
    if looped := forwarded_back(call):
        return looped
    fields = call.json()
    action = fields.name("action")
    if not action:
        raise Invalid("must supply 'action' as json data")
    text = fields.text("text", None if "text" in fields.values else f"{action} operator action")
    api.engine.act_on_alert(ident, action, text, fields.seconds("timeout", None), call.caller)
    return {"status": "ok"}


def parse_tags(fields: Fields) -> list[str]:
    tags = fields.names("tags")
    if not tags:
        raise Invalid("must supply 'tags' as json list")
    return tags


@route("POST PUT", "/alert/<ident>/tag", "write:alerts", "tagged")
def alerta_tag(api: Api, call: Call, ident: str) -> Any:
    tags = parse_tags(call.json())
    api.engine.edit_alert(ident, lambda alert: alert._replace(tags=merged_tags(alert.tags, tags)), call.caller)
    return {"status": "ok"}


@route("POST PUT", "/alert/<ident>/untag", "write:alerts", "untagged")
def alerta_untag(api: Api, call: Call, ident: str) -> Any:
    tags = parse_tags(call.json())
    api.engine.edit_alert(ident, lambda alert: alert._replace(
        tags=pack_list(tag for tag in unpack(alert.tags) if tag not in tags)), call.caller)
    return {"status": "ok"}


@route("PUT", "/alert/<ident>/attributes", "write:alerts", "attributes")
def alerta_set_attributes(api: Api, call: Call, ident: str) -> Any:
    attributes = call.json().attributes()
    if not attributes:
        raise Invalid("must supply 'attributes' as json data")
    api.engine.edit_alert(ident, lambda alert: alert._replace(
        attributes=merged_attributes(alert.attributes, attributes)), call.caller)
    return {"status": "ok"}


@route("DELETE", "/alert/<ident>", "delete:alerts", "deleted")
def alerta_delete_alert(api: Api, call: Call, ident: str) -> Any:
    if looped := forwarded_back(call):
        return looped
    api.engine.delete_alert(ident, call.caller)
    return {"status": "ok"}


def delete_by_post(function: Callable) -> Callable:
    """The v3 way to delete: a POST whose body says {"_method": "delete"}."""
    def serve(api: Api, call: Call, ident: str) -> Any:
        if str(call.json().values.get("_method")).lower() != "delete":
            raise Invalid("_method must be delete: nothing else is posted here")
        return function(api, call, ident)

    return serve


route("POST", "/alert/<ident>", "delete:alerts", "deleted")(delete_by_post(alerta_delete_alert))


def show_note(note: Note, alert: Alert, base: str) -> dict[str, Any]:
    href = f"{base}/note/{note.id}"
    return {"id": note.id, "href": href, "text": note.text, "user": note.user, "attributes": unpack(note.attributes),
            "type": "alert", "createTime": text_from_ms(note.created_at),
            "updateTime": None if note.updated_at is None else text_from_ms(note.updated_at),
            "customer": note.customer or None, "related": {"alert": alert.id}, "_links": {"alert": f"{base}/alert/{alert.id}"}}


def parse_note(fields: Fields) -> str | None:
    return fields.text("text") or fields.text("note") or None


@route("PUT", "/alert/<ident>/note", "write:alerts")
def alerta_add_note(api: Api, call: Call, ident: str) -> Any:
    if looped := forwarded_back(call):
        return looped
    text = parse_note(call.json())
    if not text:
        raise Invalid("must supply 'note' text")
    alert, note = api.engine.add_note(ident, text, call.caller)
    return 201, {"status": "ok", "id": note.id, "note": show_note(note, alert, call.base)}, {
        "Location": f"{call.base}/alert/{alert.id}/note/{note.id}"}


@route("GET", "/alert/<ident>/notes", "read:alerts")
def alerta_list_notes(api: Api, call: Call, ident: str) -> Any:
    with api.engine.store.read() as tables:
        alert = tables.get_alert(ident, call.caller.customer)
        total, page = tables.count_notes(alert.seq), parse_page(call, 100)
        page.of(total)                               # refuses one that does not exist
        notes = [show_note(note, alert, call.base) for note in tables.alert_notes(alert.seq, page.size, page.offset)]
    return noted({"notes": notes, "total": total}, notes)


@route("PUT", "/alert/<ident>/note/<note_id>", "write:alerts")
def alerta_update_note(api: Api, call: Call, ident: str, note_id: str) -> Any:
    fields = call.json()
    if not fields.values:
        raise Invalid("nothing to change")
    alert, note = api.engine.update_note(ident, note_id, parse_note(fields), fields.attributes(), call.caller)
    return {"status": "ok", "note": show_note(note, alert, call.base)}


@route("DELETE", "/alert/<ident>/note/<note_id>", "write:alerts")
def alerta_delete_note(api: Api, call: Call, ident: str, note_id: str) -> Any:
    api.engine.delete_note(ident, note_id, call.caller)
    return {"status": "ok"}


@route("GET", "/alerts", "read:alerts", "queries")
def alerta_search(api: Api, call: Call) -> Any:
    wanted, page, now = parse_filter(call), parse_page(call), api.clock.now()
    with_history, with_raw_data = wants(call, "show-history"), wants(call, "show-raw-data")
    with api.engine.store.read() as tables:
        tallies = tables.tallies(wanted)
        paging = page.of(sum(tally.count for tally in tallies))
        alerts = tables.alert_page(wanted, parse_order(call), page.size, page.offset, tallies)
        shown = [show_alert(alert, call.base, tables.alert_history(alert.seq) if with_history else (), with_raw_data)
                 for alert in alerts]
    last = max((alert.last_received_at for alert in alerts), default=now)
    return noted({"alerts": shown, **paging, **show_counts(tallies), "lastTime": text_from_ms(last), "autoRefresh": True}, shown)


@route("GET", "/alerts/count", "read:alerts", "counts")
def alerta_count(api: Api, call: Call) -> Any:
    with api.engine.store.read() as tables:
        tallies = tables.tallies(parse_filter(call))
    return {"status": "ok", "total": sum(tally.count for tally in tallies), **show_counts(tallies), "autoRefresh": True}


def show_history_row(entry: HistoryEntry, alert: Alert, base: str) -> dict[str, Any]:
    """A row of /alerts/history: the entry, and the alert as it is now."""
    row = show_history_entry(entry, base)
    row = {name: value for name, value in row.items() if name not in ("severity", "status", "value") or value}
    return {**row, "resource": alert.resource, "environment": alert.environment, "service": unpack(alert.service),
            "group": alert.group_name, "tags": unpack(alert.tags), "attributes": unpack(alert.attributes),
            "origin": alert.origin, "customer": alert.customer or None}


@route("GET", "/alerts/history", "read:alerts", "queries")
def alerta_history(api: Api, call: Call) -> Any:
    wanted, page = parse_filter(call, special=("id",)), parse_page(call)
    idents = [value for key, value in call.query if key == "id"]
    with api.engine.store.read() as tables:
        found = tables.history_page(wanted, idents, page.size, page.offset)
    last = max((entry.updated_at for entry, _ in found), default=api.clock.now())
    rows = [show_history_row(entry, alert, call.base) for entry, alert in found]
    return noted({"history": rows, "total": len(rows), "lastTime": text_from_ms(last)}, rows)


def show_top(tables: Tables, call: Call, wanted: AlertFilter, group_by: str, variant: str, row: tuple[Any, int, int]) -> dict[str, Any]:
    group, count, duplicates = row
    members = tables.alert_group_members(wanted, group_by, group, variant)
    shown = bool(group) if ALERT_FIELDS[group_by].kind == "flag" else text_from_ms(group) if ALERT_FIELDS[group_by].kind == "time" else group
    return {"count": count, "duplicateCount": duplicates, group_by: shown,
            "environments": sorted({environment for _, _, environment, _ in members}),
            "services": union((), itertools.chain.from_iterable(unpack(service) for *_, service in members)),
            "resources": [{"id": ident, "resource": resource, "href": f"{call.base}/alert/{ident}"} for ident, resource, *_ in members]}


def top_handler(variant: str, default_size: int) -> Callable:
    """A report of the largest groups; only its first page exists."""
    def serve(api: Api, call: Call) -> Any:
        name = call.parameter("group-by") or "event"
        group_by = alert_field_name(name)
        if group_by is None or group_by not in ALERT_FIELDS or ALERT_FIELDS[group_by].kind in ("list", "id"):
            raise Invalid(f"group-by: cannot group by {name[:60]!r}")
        page, wanted = parse_page(call, default_size), parse_filter(call)
        if page.number > 1:
            raise PageOutOfRange("page out of range: 1-1")
        with api.engine.store.read() as tables:
            top = [show_top(tables, call, wanted, group_by, variant, row) for row in tables.alert_top(wanted, group_by, variant, page.size)]
        return noted({"top10": top, "total": len(top)}, top)

    return serve


route("GET", "/alerts/top10", "read:alerts")(top_handler("count", 10))
for _name in ("top10", "topn"):
    for _variant in ("count", "flapping", "standing"):
        route("GET", f"/alerts/{_name}/{_variant}", "read:alerts")(top_handler(_variant, DEFAULT_PAGE_SIZE))


@route("GET", "/environments", "read:alerts")
def alerta_environments(api: Api, call: Call) -> Any:
    wanted, page = parse_filter(call), parse_page(call)
    with api.engine.store.read() as tables:
        names = tables.known_environments(call.caller.customer)
        tallies = tables.tallies(wanted)
    groups = {name: [tally for tally in tallies if tally.environment == name] for name in names}
    paging = {**page.of(len(names)), "total": sum(1 for group in groups.values() if group)}
    shown = [{"environment": name, "count": sum(tally.count for tally in groups[name]), **show_counts(groups[name])}
             for name in names[page.offset:page.offset + page.size]]
    return noted({"environments": shown, **paging}, shown)


@route("GET", "/services", "read:alerts")
def alerta_services(api: Api, call: Call) -> Any:
    with api.engine.store.read() as tables:
        names = tables.known_services(call.caller.customer)
        tallies = tables.service_tallies(parse_filter(call))
    groups: dict[tuple[str, str], list[Tally]] = {name: [] for name in names}
    for tally in tallies:
        groups.setdefault((tally.environment, tally.service), []).append(tally)
    shown = [{"environment": environment, "service": service, "count": sum(tally.count for tally in group), **show_counts(group)}
             for (environment, service), group in itertools.islice(groups.items(), MOST_ROWS)]
    return noted({"services": shown, "total": len(shown)}, shown)


@route("GET", "/alerts/groups", "read:alerts")
def alerta_groups(api: Api, call: Call) -> Any:
    with api.engine.store.read() as tables:
        rows = tables.alert_groups(parse_filter(call))
    groups = [{"environment": environment, "group": group, "count": count} for environment, group, count in rows]
    return noted({"groups": groups, "total": len(groups)}, groups)


@route("GET", "/alerts/tags", "read:alerts")
def alerta_tags(api: Api, call: Call) -> Any:
    with api.engine.store.read() as tables:
        rows = tables.alert_tag_sets(parse_filter(call))
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    for environment, tags, count in rows:
        for tag in unpack(tags):
            counts[environment, tag] += count
    tags = [{"environment": environment, "tag": tag, "count": count}
            for (environment, tag), count in itertools.islice(sorted(counts.items()), MOST_ROWS)]
    return noted({"tags": tags, "total": len(tags)}, tags)


# --- heartbeats (spec/alerta.md 1.9)

def parse_beat(fields: Fields, settings: SimpleNamespace) -> Beat:
    return Beat(id=fields.ident("id"), origin=fields.name("origin", program_origin()), customer=fields.customer(),
                tags=fields.names("tags"), attributes=fields.attributes(),
                timeout=fields.seconds("timeout", settings.heartbeat_timeout), created_at=fields.moment("createTime"))


def show_heartbeat(api: Api, beat: Heartbeat, base: str, now: int) -> dict[str, Any]:
    return {"id": beat.id, "href": f"{base}/heartbeat/{beat.id}", "origin": beat.origin, "tags": unpack(beat.tags),
            "attributes": unpack(beat.attributes), "type": "Heartbeat", "createTime": text_from_ms(beat.created_at),
            "timeout": beat.timeout, "maxLatency": api.settings.heartbeat_max_latency,
            "receiveTime": text_from_ms(beat.received_at), "customer": beat.customer or None,
            "latency": beat.received_at - beat.created_at, "since": max(0, now - beat.received_at) // 1000,
            "status": api.engine.heartbeat_status(beat, now)}


@route("POST", "/heartbeat", "write:heartbeats")
def alerta_post_heartbeat(api: Api, call: Call) -> Any:
    status, note = 201, {}
    try:
        beat = api.engine.record_heartbeat(parse_beat(call.json(), api.settings), call.caller)
    except Kept as kept:
        beat, status, note = kept.value, kept.status, {"message": kept.message}
    shown = show_heartbeat(api, beat, call.base, beat.received_at)
    return status, {"status": "ok", "id": beat.id, "heartbeat": shown, **note}, {"Location": shown["href"]}


@route("GET", "/heartbeat/<ident>", "read:heartbeats")
def alerta_get_heartbeat(api: Api, call: Call, ident: str) -> Any:
    with api.engine.store.read() as tables:
        beat = tables.get_heartbeat(ident, call.caller.customer)
    return {"status": "ok", "total": 1, "heartbeat": show_heartbeat(api, beat, call.base, api.clock.now())}


@route("DELETE", "/heartbeat/<ident>", "write:heartbeats")
def alerta_delete_heartbeat(api: Api, call: Call, ident: str) -> Any:
    api.engine.delete_heartbeat(ident, call.caller)
    return {"status": "ok"}


route("POST", "/heartbeat/<ident>", "write:heartbeats")(delete_by_post(alerta_delete_heartbeat))

LIST_PARAMETERS = IGNORED_PARAMETERS | {"sort-by"}
HEARTBEAT_FILTERS = {"tag": "tags", **{name: name for name in (
    "attributes", "origin", "id", "type", "createTime", "timeout", "receiveTime", "customer", "latency", "since", "status")}}
USER_FILTERS = {"role": "roles", **{name: name for name in (
    "attributes", "id", "name", "login", "email", "status", "text", "email_verified", "roles", "domain")}}
KEY_FILTERS = {"scope": "scopes", **{name: name for name in (
    "id", "key", "status", "user", "scopes", "type", "text", "expireTime", "count", "lastUsedTime", "customer")}}


def row_has(row: dict[str, Any], field: str, test: Callable[[str], bool]) -> bool:
    """Whether a value of a shown row passes a test; of a list, one of its elements."""
    value = row.get("attributes", {}).get(field[11:]) if field.startswith("attributes.") else row.get(field)
    values = value if isinstance(value, list) else [value]
    return any(test("" if item is None else item if isinstance(item, str) else json.dumps(item)) for item in values)


def sort_key(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, everything else by its text, nothing first."""
    number = value if isinstance(value, (int, float)) else 0
    return value is not None, number, "" if value is None else str(value)


NUMBER_FILTERS = frozenset({"timeout", "latency", "since", "count"})
TIME_FILTERS = frozenset({"createTime", "receiveTime", "expireTime", "lastUsedTime"})


def value_test(name: str, field: str, wanted: str, in_time: Callable[[], bool]) -> Callable[[str], bool]:
    """What a parameter asks of a shown value, as in spec/alerta.md 4.1; Invalid for what no value can be."""
    if wanted.startswith("~"):
        return pattern_test(regex_match(name, wanted[1:]), in_time)
    if field in NUMBER_FILTERS and wanted and not re.fullmatch("-?[0-9]{1,18}", wanted):
        raise Invalid(f"{name} must be a whole number")
    if field in TIME_FILTERS and wanted:
        try:
            return text_from_ms(ms_from_text(wanted)).__eq__
        except ValueError as error:
            raise Invalid(f"{name}: {error}") from None
    return (lambda text: text.startswith(wanted)) if field == "id" and len(wanted) >= 8 else wanted.__eq__


def choose_rows(call: Call, rows: list[dict[str, Any]], filters: dict[str, str]) -> list[dict[str, Any]]:
    """The rows of a small collection that the request asks for, sorted (spec/alerta.md 4.4)."""
    deadline = time.monotonic() + call.settings.read_deadline / 1000

    def in_time() -> bool:
        if time.monotonic() > deadline:
            raise Unavailable(TOO_SLOW)
        return True

    groups: dict[tuple[str, bool], list[Callable[[str], bool]]] = {}
    for key, value in call.query:
        name, negated = key.removesuffix("!"), key.endswith("!")
        field = filters.get(name) or (name if name.startswith("attributes.") and "attributes" in filters else None)
        if name in LIST_PARAMETERS:
            continue
        if field is None:
            raise Invalid(f"Invalid filter parameter: {key[:60]}")
        groups.setdefault((field, negated), []).append(value_test(name, field, value, in_time))
    rows = [row for row in rows if all(any(row_has(row, field, test) for test in tests) != negated
                                       for (field, negated), tests in groups.items())]
    flipped = any(key == "reverse" for key, _ in call.query)
    for text in reversed([value for key, value in call.query if key == "sort-by" and value]):
        field = filters.get(text.removeprefix("-"))
        if field is None:
            raise Invalid(f"Sorting by '{text[:60]}' field not supported.")
        newest_first = field.endswith("Time") and field != "expireTime"
        rows.sort(key=lambda row: sort_key(row.get(field)), reverse=(text.startswith("-") != newest_first) != flipped)
    return rows


def show_rows(call: Call, name: str, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """One page of a small collection."""
    page = parse_page(call)
    paging = page.of(len(rows))
    return noted({name: rows[page.offset:page.offset + page.size], **paging, **more}, rows)


@route("GET", "/heartbeats", "read:heartbeats")
def alerta_heartbeats(api: Api, call: Call) -> Any:
    now = api.clock.now()
    with api.engine.store.read() as tables:
        rows = [show_heartbeat(api, beat, call.base, now) for beat in tables.list_heartbeats(call.caller.customer)]
    return show_rows(call, "heartbeats", choose_rows(call, rows, HEARTBEAT_FILTERS), time=text_from_ms(now))


# --- users (spec/alerta.md 1.10)

def parse_email(fields: Fields) -> str | None:
    email = fields.name("email")
    if email and not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise Invalid("email is not an e-mail address")
    return email or None


def parse_password(fields: Fields) -> str | None:
    """What is to be stored of the password; None without one."""
    password = fields.name("password")
    return hash_password(password) if password else None


def parse_user(fields: Fields) -> User:
    """The user in a POST /user body: today's form, and the v3 form of name and login."""
    name, email = fields.required("name"), parse_email(fields)
    login = fields.name("login") or email
    if not login:
        raise Invalid('Missing mandatory value for "login" or "email"')
    roles = fields.names("roles") if "roles" in fields else []
    return User(0, fields.ident("id"), login, name, email, parse_password(fields),
                fields.one_of("status", ("active", "inactive"), "active"), pack_list(roles or ["user"]),
                bounded_object("attributes", fields.attributes() if "attributes" in fields else {}), fields.text("text"),
                int(fields.flag("email_verified", False)), 0, 0, None)


def parse_user_change(fields: Fields) -> Callable[[User], User]:
    """What a PUT changes: null and, for roles, which the official client always sends, empty mean unchanged."""
    if not fields.values:
        raise Invalid("nothing to change")
    email, password = parse_email(fields), parse_password(fields)
    role = fields.name("role")
    roles = fields.names("roles") if "roles" in fields else [role] if role else []
    attributes = fields.attributes() if "attributes" in fields else {}
    status, name, text = fields.one_of("status", ("active", "inactive", ""), ""), fields.name("name"), fields.text("text", None)
    login = fields.name("login")
    verified = fields.flag("email_verified", False) if "email_verified" in fields else None

    def change(user: User) -> User:
        moved = email is not None and email != user.email
        new_login = email if moved and user.login == user.email else user.login
        if login not in ("", user.login, new_login):
            raise Invalid("login cannot be changed: keys and history name it. Add another user instead")
        return user._replace(
            name=name or user.name, email=email or user.email, password_hash=password or user.password_hash,
            login=new_login, status=status or user.status,
            roles=pack_list(roles) if roles else user.roles, attributes=merged_attributes(user.attributes, attributes),
            text=user.text if text is None else text,
            email_verified=int(verified) if verified is not None else 0 if moved else user.email_verified)

    return change


def show_user(api: Api, user: User, base: str) -> dict[str, Any]:
    user = api.engine.user_with_sign_in(user)
    return {"id": user.id, "href": f"{base}/user/{user.id}", "name": user.name, "login": user.login, "email": user.email,
            "domain": login_domain(user.login) or None, "status": user.status, "roles": unpack(user.roles),
            "attributes": unpack(user.attributes), "createTime": text_from_ms(user.created_at),
            "lastLogin": None if user.last_login_at is None else text_from_ms(user.last_login_at), "text": user.text,
            "updateTime": text_from_ms(user.updated_at), "email_verified": bool(user.email_verified), "provider": "basic"}


@route("POST", "/user", "admin:users")
def alerta_create_user(api: Api, call: Call) -> Any:
    user = api.engine.create_user(parse_user(call.json()), call.caller)
    shown = show_user(api, user, call.base)
    return 201, {"status": "ok", "id": user.id, "user": shown}, {"Location": shown["href"]}


@route("GET", "/users", "admin:users")
def alerta_users(api: Api, call: Call) -> Any:
    refuse_confined(call.caller)
    with api.engine.store.read() as tables:
        rows = [show_user(api, user, call.base) for user in tables.list_users()]
    return show_rows(call, "users", choose_rows(call, rows, USER_FILTERS), domains=list(api.settings.allowed_email_domains),
                     orgs=[], time=text_from_ms(api.clock.now()))


def own_user(api: Api, call: Call) -> User:
    """The user who signed in; NotFound behind a key, which would else be as strong as its user."""
    with api.engine.store.read() as tables:
        user = tables.find_user(call.caller.login) if call.caller.in_person else None
    if user is None:
        raise NotFound()
    return user


OWN_FIELDS = frozenset({"name", "email", "password", "text"})


@route("GET", "/user/me", ANYBODY)
def alerta_get_me(api: Api, call: Call) -> Any:
    return {"status": "ok", "user": show_user(api, own_user(api, call), call.base)}


@route("PUT", "/user/me", ANYBODY)
def alerta_update_me(api: Api, call: Call) -> Any:
    fields = call.json()
    for name, value in fields.values.items():
        if name not in OWN_FIELDS and value not in (None, {}):
            raise Invalid(f"{name} cannot be changed here")
    change = parse_user_change(Fields({name: value for name, value in fields.values.items() if name in OWN_FIELDS}))
    user = api.engine.update_user(own_user(api, call).id, change, call.caller)
    return {"status": "ok", "user": show_user(api, user, call.base)}


@route("GET", "/user/me/attributes", ANYBODY)
def alerta_get_my_attributes(api: Api, call: Call) -> Any:
    return {"status": "ok", "attributes": unpack(own_user(api, call).attributes)}


def deep_merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new laid over the old, objects within objects too."""
    return {**old, **{name: deep_merged(old[name], value) if isinstance(value, dict) and isinstance(old.get(name), dict) else value
                      for name, value in new.items()}}


def parse_user_attributes(call: Call) -> Callable[[User], User]:
    """What PUT …/attributes changes: merged deeply; null deletes at the top and is stored further down."""
    attributes = call.json().attributes()
    if not attributes:
        raise Invalid("must supply 'attributes' as json data")

    def change(user: User) -> User:
        merged = deep_merged(unpack(user.attributes), attributes)
        return user._replace(attributes=bounded_object("attributes", {name: value for name, value in merged.items() if value is not None}))

    return change


@route("PUT", "/user/me/attributes", ANYBODY)
def alerta_set_my_attributes(api: Api, call: Call) -> Any:
    change = parse_user_attributes(call)
    api.engine.update_user(own_user(api, call).id, change, call.caller)
    return {"status": "ok"}


@route("PUT", "/user/<ident>/attributes", "admin:users")
def alerta_set_user_attributes(api: Api, call: Call, ident: str) -> Any:
    api.engine.update_user(ident, parse_user_attributes(call), call.caller)
    return {"status": "ok"}


@route("GET", "/user/<ident>", "admin:users")
def alerta_get_user(api: Api, call: Call, ident: str) -> Any:
    refuse_confined(call.caller)
    with api.engine.store.read() as tables:
        return {"status": "ok", "total": 1, "user": show_user(api, tables.get_user(ident), call.base)}


@route("PUT", "/user/<ident>", "admin:users")
def alerta_update_user(api: Api, call: Call, ident: str) -> Any:
    user = api.engine.update_user(ident, parse_user_change(call.json()), call.caller)
    return {"status": "ok", "user": show_user(api, user, call.base)}


@route("DELETE", "/user/<ident>", "admin:users")
def alerta_delete_user(api: Api, call: Call, ident: str) -> Any:
    api.engine.delete_user(ident, call.caller)
    return {"status": "ok"}


route("POST", "/user/<ident>", "admin:users")(delete_by_post(alerta_delete_user))


@route("GET", "/user/<ident>/groups", "admin:users")
def alerta_user_groups(api: Api, call: Call, ident: str) -> Any:
    refuse_confined(call.caller)
    with api.engine.store.read() as tables:
        rows = tables.user_groups(tables.get_user(ident).seq)
    groups = [{"id": group, "href": f"{call.base}/group/{group}", "name": name, "text": text, "count": count}
              for group, name, text, count in rows]
    return noted({"groups": groups, "total": len(groups)}, groups)


# --- keys (spec/alerta.md 1.11)

KEY_LENGTH = 32                                      # characters: some clients insist on it
KEY_ALPHABET = string.ascii_letters + string.digits  # nothing that a shell or a command line would read differently


def new_key() -> str:
    """A key of 190 random bits."""
    return "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_LENGTH))


def parse_scopes(fields: Fields, default: Iterable[str]) -> list[str]:
    """The scopes of a key: as listed, or those of the v3 type."""
    type_scopes = KEY_TYPE_SCOPES.get(fields.name("type"))
    return list(type_scopes or (fields.names("scopes") if "scopes" in fields else ()) or default)


def parse_key(fields: Fields, caller: Caller, now: int, expire_days: int) -> tuple[str, ApiKey]:
    """The key in a POST /key body, and its text. Only an administrator may name another user."""
    if "scopes" in fields.values and fields.values["scopes"] is not None:
        fields.names("scopes")
    user = fields.name("user") if is_key_admin(caller) else caller.login
    user = user or caller.login
    if not user:
        raise Invalid('Missing mandatory value for "user"')
    text = fields.name("key") or new_key()
    if not 16 <= len(text) <= 200 or not text.isascii() or not text.isprintable() or text != text.strip() or "//" in text:
        raise Invalid("key must be 16 to 200 printable characters, without a blank at its ends and without //")
    return text, ApiKey(0, fields.ident("id"), hash_key(text), text[:6], user,
                        pack_list(parse_scopes(fields, ROLE_SCOPES["user"])), fields.text("text") or f"API Key for {user}",
                        fields.customer(), fields.moment("expireTime", now + expire_days * 86_400_000), 0, None)


def show_key(api: Api, key: ApiKey, base: str, text: str | None = None) -> dict[str, Any]:
    """A key; of the key itself only its beginning, except in the answer that made it."""
    key = api.engine.key_with_uses(key)
    scopes = unpack(key.scopes)
    shown = text or key.hint + "…"
    return {"id": key.id, "key": shown, "href": f"{base}/key/{key.id}", "user": key.user, "scopes": scopes,
            "type": "read-write" if any(scope.startswith(("write", "admin")) for scope in scopes) else "read-only",
            "status": "expired" if key.expires_at <= api.clock.now() else "active", "text": key.text,
            "expireTime": text_from_ms(key.expires_at), "count": key.count,
            "lastUsedTime": None if key.last_used_at is None else text_from_ms(key.last_used_at), "customer": key.customer or None}


@route("POST", "/key", "write:keys")
def alerta_create_key(api: Api, call: Call) -> Any:
    text, key = parse_key(call.json(), call.caller, api.clock.now(), api.settings.api_key_expire_days)
    shown = show_key(api, api.engine.create_key(key, call.caller), call.base, text)
    return 201, {"status": "ok", "key": text, "data": shown}, {"Location": shown["href"]}


@route("GET", "/key/<ident:path>", "read:keys")
def alerta_get_key(api: Api, call: Call, ident: str) -> Any:
    with api.engine.store.read() as tables:
        key = api.engine.visible_key(tables, ident, call.caller)
    return {"status": "ok", "total": 1, "key": show_key(api, key, call.base)}


@route("PUT", "/key/<ident:path>", "write:keys")
def alerta_update_key(api: Api, call: Call, ident: str) -> Any:
    """null, and what is not sent, mean unchanged."""
    fields = call.json()
    if not fields.values:
        raise Invalid("nothing to change")
    scopes, user = parse_scopes(fields, ()), fields.name("user") if is_key_admin(call.caller) else ""
    refuse_scopes(scopes, call.caller)
    text, expires_at, customer = fields.text("text", None), fields.moment("expireTime"), fields.customer()
    api.engine.customer_for(customer, call.caller)

    def change(tables: Tables, key: ApiKey) -> ApiKey:
        if user and user != key.user:
            api.engine.refuse_login(tables, user)
        return tables.save_key(key._replace(
            user=user or key.user, scopes=pack_list(scopes) if scopes else key.scopes, text=key.text if text is None else text,
            expires_at=expires_at or key.expires_at, customer=customer or key.customer))

    return {"status": "ok", "key": show_key(api, api.engine.change_key(ident, call.caller, change), call.base)}


@route("DELETE", "/key/<ident:path>", "admin:keys")
def alerta_delete_key(api: Api, call: Call, ident: str) -> Any:
    api.engine.change_key(ident, call.caller, lambda tables, key: tables.delete_key(key.id))
    return {"status": "ok"}


route("POST", "/key/<ident:path>", "admin:keys")(delete_by_post(alerta_delete_key))


def list_keys(api: Api, call: Call, user: str | None) -> Any:
    with api.engine.store.read() as tables:
        rows = [show_key(api, key, call.base) for key in tables.list_keys(user) if sees_key(key, call.caller)]
    return show_rows(call, "keys", choose_rows(call, rows, KEY_FILTERS), time=text_from_ms(api.clock.now()))


@route("GET", "/keys", "read:keys")
def alerta_keys(api: Api, call: Call) -> Any:
    return list_keys(api, call, None)


@route("GET", "/keys/<user>", "read:keys")
def alerta_user_keys(api: Api, call: Call, user: str) -> Any:
    if not is_key_admin(call.caller) and user != call.caller.login:
        raise NotFound()
    return list_keys(api, call, user)


# --- what clients ask at their start, and management (spec/alerta.md 1.15, 7, 8.1)

def show_config(settings: SimpleNamespace, base: str) -> dict[str, Any]:
    """What clients and the web UI read before anything else (spec/alerta.md 8.1)."""
    colors = {"severity": {name: color for name, (_, color) in SEVERITIES.items()},
              "status": {name: color for name, (_, color) in STATUSES.items() if color}, "text": "black"}
    severity = {name: code for name, (code, _) in SEVERITIES.items()}
    environments = [name for name in settings.allowed_environments if re.fullmatch(r"[\w -]+", name)] or [settings.default_environment]
    model = {"name": f"alertlite {__version__}", "severity": severity, "colors": colors,
             "status": {name: letter for name, (letter, _) in STATUSES.items()},
             "defaults": {"status": "open", "normal_severity": "normal", "previous_severity": FIRST_PREVIOUS_SEVERITY}}
    nothing = ("cognito_domain", "keycloak_url", "keycloak_realm", "oidc_auth_url", "tracking_id")
    empty = ("azure_tenant", "aws_region", "github_url", "gitlab_url")
    return {
        **dict.fromkeys(nothing), **dict.fromkeys(empty, ""),
        "endpoint": base, "debug": False, "alarm_model": model, "severity": severity, "colors": colors,
        "auth_required": settings.auth, "allow_readonly": False, "readonly_scopes": ["read"], "provider": "basic",
        "customer_views": False, "signup_enabled": False, "email_verification": False, "client_id": "", "site_logo_url": "",
        "timeouts": {"alert": settings.alert_timeout, "heartbeat": settings.heartbeat_timeout, "ack": settings.ack_timeout,
                     "shelve": settings.shelve_timeout},
        "blackouts": {"duration": 3600}, "audio": {"new": None}, "actions": [], "refresh_interval": 5000, "clipboard_template": "",
        "dates": {"shortTime": "HH:mm", "mediumDate": "ddd D MMM HH:mm", "longDate": "ddd D MMM, YYYY HH:mm:ss.SSS Z"},
        "font": {"font-family": "sans-serif", "font-size": "13px", "font-weight": 500},
        "columns": ["severity", "status", "lastReceiveTime", "timeoutLeft", "duplicateCount", "customer", "environment", "service",
                    "resource", "event", "value", "text"],
        "sort_by": ["severity", "lastReceiveTime"], "filter": {"status": ["open", "ack"]}, "environments": environments,
        "indicators": {"severity": ["critical", "major", "minor", "warning", "indeterminate", "informational"],
                       "queries": [*({"text": name, "query": [["environment", name]]} for name in environments),
                                   {"text": "Heartbeats", "query": {"q": "type:heartbeatAlert"}}]},
    }


@route("GET", "/config", None)
def alerta_config(api: Api, call: Call) -> Any:
    return show_config(api.settings, call.base)


@route("GET", "/", None)
def alerta_index(api: Api, call: Call) -> Any:
    links = [{"rel": entry.function.__name__, "href": call.base + re.sub(r":re:[^<>]*>", ">", entry.path), "method": method}
             for entry in ROUTES for method in entry.methods]
    return {"status": "ok", "uri": call.base, "data": {"description": "alertlite: an alert server and dead man's switch"},
            "links": sorted(links, key=lambda link: (link["href"], link["method"]))}


@route("GET", "/_", None)
def alerta_ping(api: Api, call: Call) -> Any:
    return 200, b"OK", {"Content-Type": "text/plain"}


@route("GET", "/management/manifest", "read:management")
def alerta_manifest(api: Api, call: Call) -> Any:
    return {"release": __version__, "build": "", "date": "", "revision": ""}


@route("GET", "/management/gtg", None)
def alerta_good_to_go(api: Api, call: Call) -> Any:
    return (503, b"FAILED", {"Content-Type": "text/plain"}) if api.health_problem() else (200, b"OK", {"Content-Type": "text/plain"})


def current_metrics(api: Api, caller: Caller) -> list[dict[str, Any]]:
    with api.engine.store.read() as tables:
        total = sum(tally.count for tally in tables.tallies(AlertFilter({}).confined(caller.customer)))
    gauge = {"group": "alerts", "name": "total", "title": "Total alerts", "description": "Number of alerts stored", "type": "gauge", "value": total}
    counters = [{"group": "alerts", "name": name, "title": title, "description": title, "type": "counter",
                 "count": api.engine.metrics.counters[name]} for name, title in COUNTERS.items()]
    timers = [{"group": "alerts", "name": name, "title": title, "description": title, "type": "timer", "count": count, "totalTime": int(total)}
              for (name, title), (count, total) in zip(TIMERS.items(), api.engine.metrics.timers.values()) if count]
    return [gauge, *counters, *timers]


@route("GET", "/management/status", "read:management")
def alerta_status(api: Api, call: Call) -> Any:
    now = api.clock.now()
    return {"application": "alerta", "version": __version__, "time": wall_time(now), "uptime": max(0, now - api.engine.started_at),
            "metrics": current_metrics(api, call.caller)}


@route("GET", "/management/metrics", "read:management")
def alerta_metrics(api: Api, call: Call) -> Any:
    """Prometheus text format 0.0.4."""
    lines = []
    for metric in current_metrics(api, call.caller):
        name = f"alerta_{metric['group']}_{metric['name']}"
        kind = {"gauge": "gauge", "counter": "counter", "timer": "summary"}[metric["type"]]
        samples = {"gauge": [("", "value")], "counter": [("_total", "count")], "timer": [("_count", "count"), ("_sum", "totalTime")]}
        lines += [f"# HELP {name} {metric['description']}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{suffix} {metric[key]}" for suffix, key in samples[metric["type"]]]
    uptime = max(0, api.clock.now() - api.engine.started_at)
    lines += ["# HELP alerta_uptime_msecs Uptime in milliseconds", "# TYPE alerta_uptime_msecs gauge", f"alerta_uptime_msecs {uptime}", ""]
    return 200, "\n".join(lines).encode(), {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


@route("GET POST", "/management/housekeeping", "admin:management")
def alerta_housekeeping(api: Api, call: Call) -> Any:
    """What the timer does by itself, now; with older deletions on request."""
    refuse_confined(call.caller)
    hours = {}
    for name in ("expired", "info"):
        text = call.parameter(name, "0") or "0"
        if not re.fullmatch(r"[0-9]{1,6}", text):
            raise Invalid(f"{name} must be a whole number of hours")
        hours[name] = int(text)
    api.engine.delete_old_alerts(hours["expired"], hours["info"])
    done = api.engine.expire_due()
    return {"status": "ok", "expired": done.expired, "unshelve": done.unshelved, "unack": done.unacked,
            "count": len(done.expired) + len(done.unshelved) + len(done.unacked)}


# ======================================================================================================== HEALTHCHECKS
# The Healthchecks API, versions 1 to 3, its ping addresses and its badges (spec/healthchecks.md). Its errors are short
# texts or nothing; a request's body is read before its key, which may be in it.

UUID_FORM = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
HC_BASE = "/api/v<version:re:[123]>"
HC_CHECK = f"{HC_BASE}/checks/<code:re:{UUID_FORM}>"
HC_UNIQUE = f"{HC_BASE}/checks/<unique_key:re:[0-9a-f]{{40}}>"
HC_KEY_LENGTH = 32
HC_SHORTEST, HC_LONGEST = 60, 31_536_000             # seconds of a timeout or grace
NEVER_CACHE = {"Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private", "Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}
# Numbers too large to be stored stay too large; what is no JSON number is none to any field.
HC_JSON = json.JSONDecoder(object_pairs_hook=unique_pairs, parse_constant=float, parse_float=float,
                           parse_int=lambda text: int(text) if len(text) < 18 else int(text[0] + "9" * 17))


def hc_body(call: Call) -> dict[str, Any]:
    """The JSON object that was posted; {} for nothing. Pausing and resuming ignore what some clients send there."""
    raw = call.body()
    try:
        refuse_deep_json(raw)
        value = HC_JSON.decode(raw.decode("utf-8")) if raw else {}
    except (Invalid, ValueError, RecursionError):
        raise Invalid("could not parse request body") from None
    if value is None and call.environ["PATH_INFO"].endswith(("/pause", "/resume")):
        return {}
    if not isinstance(value, dict):
        raise Invalid("json validation error: value is not an object")
    return value


def hc_key(call: Call) -> str:
    """The key of a request; the header wins over the body (spec/healthchecks.md 1.4)."""
    if call.environ["REQUEST_METHOD"].upper() == "POST":
        call.parsed = hc_body(call)
    return hc_presented_key(call)


def hc_presented_key(call: Call) -> str:
    if "HTTP_X_API_KEY" in call.environ:
        return call.environ["HTTP_X_API_KEY"] or "-"
    posted = (call.parsed or {}).get("api_key")
    return presented_key(call) or ("" if posted is None else str(posted) or "-")


def hc_refuse(call: Call, problem: Problem) -> Any:
    """The short bodies of this API's refusals (spec/healthchecks.md 1.5)."""
    if isinstance(problem, (Unauthenticated, MissingScope)):
        is_known = isinstance(problem, MissingScope) or len(hc_presented_key(call)) == HC_KEY_LENGTH
        return 401, {"error": "wrong api key" if is_known else "missing api key"}
    if problem.status in (403, 405):
        return problem.status, b"", {"Content-Type": "text/html; charset=utf-8"}
    if problem.status == 409:
        return 409, problem.message.encode(), {"Content-Type": "text/plain"}
    return problem.status, {"error": problem.message}, problem.headers


def hc_headers(call: Call) -> dict[str, str]:
    """Any page may call this API, as it needs a key in a header that no browser adds by itself."""
    methods = ", ".join(dict.fromkeys((*call.methods, "OPTIONS")))
    return {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "X-Api-Key", "Access-Control-Allow-Methods": methods,
            "Access-Control-Max-Age": "600"}


def refuse_as_text(call: Call, problem: Problem) -> Any:
    """What a ping or a badge is refused with: one line that a cron job's mail can show."""
    text = "not found" if problem.status == 404 else problem.message
    return problem.status, text.encode(), {"Content-Type": "text/plain", **problem.headers}


def answer_preflight(call: Call) -> Any:
    return 204, b""


DIALECTS.insert(0, Dialect("/api/v", hc_refuse, hc_headers, hc_key, answer_preflight))
for open_prefix in ("/badge/", "/b/", "/ping/"):     # no key, and any page may ask
    DIALECTS.insert(0, Dialect(open_prefix, refuse_as_text, lambda call: {"Access-Control-Allow-Origin": "*", **NEVER_CACHE},
                               presented_key, answer_preflight))


# What a check may be posted as. A rule takes the name of a field and its value, and returns what is stored.

def bad_field(name: str, text: str) -> Invalid:
    return Invalid(f"json validation error: {name} {text}")


def hc_text(longest: int) -> Callable[[str, Any], str]:
    """A rule for texts of so many characters, without NUL and halves of surrogate pairs."""
    def rule(name: str, value: Any) -> str:
        if not isinstance(value, str) or "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise bad_field(name, "is not a string")
        if len(value) > longest:
            raise bad_field(name, "is too long")
        return value

    return rule


def hc_seconds(name: str, value: Any) -> int:
    if not isinstance(value, int):
        raise bad_field(name, "is not a number")
    if not HC_SHORTEST <= value <= HC_LONGEST:
        raise bad_field(name, "is too small" if value < HC_SHORTEST else "is too large")
    return value


def hc_flag(name: str, value: Any) -> int:
    if not isinstance(value, bool):
        raise bad_field(name, "is not a boolean")
    return int(value)


def hc_methods(name: str, value: Any) -> str:
    if value not in ("", "POST"):
        raise bad_field(name, "has unexpected value")
    return value


def hc_schedule(name: str, value: Any) -> str:
    """A cron expression that has a next time."""
    text = hc_text(CRON_LONGEST)(name, value)
    try:
        if next(iter(cron_days_from(parse_cron(text), date(2024, 1, 1))), None):
            return text
    except ValueError:
        pass
    raise bad_field(name, "is not a valid cron or OnCalendar expression")


def hc_slug(name: str, value: Any) -> str:
    text = hc_text(100)(name, value)
    if not re.fullmatch("[a-z0-9_-]*", text):
        raise bad_field(name, "does not match pattern")
    return text


def hc_zone(name: str, value: Any) -> str:
    text = hc_text(TEXT_LIMIT)(name, value)
    try:
        return parse_zone(text)
    except ValueError as error:
        raise Invalid(f"json validation error: {error}") from None


HC_UNIQUE_FIELDS = ("name", "slug", "tags", "timeout", "grace")


def hc_unique(name: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise bad_field(name, "is not an array")
    if any(item not in HC_UNIQUE_FIELDS for item in value):
        raise Invalid("json validation error: an item in 'unique' has unexpected value")
    return value


# In the order in which errors are found (spec/healthchecks.md 3.2).
HC_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "channels": hc_text(TEXT_LIMIT), "desc": hc_text(TEXT_LIMIT), "failure_kw": hc_text(200), "filter_subject": hc_flag,
    "filter_body": hc_flag, "filter_http_body": hc_flag, "filter_default_fail": hc_flag, "grace": hc_seconds,
    "manual_resume": hc_flag, "methods": hc_methods, "name": hc_text(100), "schedule": hc_schedule, "slug": hc_slug,
    "start_kw": hc_text(200), "subject": hc_text(200), "subject_fail": hc_text(200), "success_kw": hc_text(200),
    "tags": hc_text(500), "timeout": hc_seconds, "tz": hc_zone, "unique": hc_unique,
}
HC_COLUMNS = {"desc": "description", **{name: name for name in HC_FIELDS if name not in (
    "channels", "desc", "schedule", "subject", "subject_fail", "timeout", "unique")}}


def slug_of(name: str) -> str:
    """The slug that versions 1 and 2 make of a name (spec/healthchecks.md 1.1)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain)).strip("-_")[:100]


def parse_check(posted: dict[str, Any], version: str, old: Check | None = None) -> CheckWanted:
    """What a POST of a check asks for. Invalid names the first field that is wrong, in the order of HC_FIELDS.
    old: the check that is changed."""
    values = {name: rule(name, posted[name]) for name, rule in HC_FIELDS.items() if name in posted}
    changes: dict[str, Any] = {}
    if "name" in values and version != "3":
        changes["slug"] = slug_of(values["name"])
    if "subject" in values or "subject_fail" in values:
        changes["success_kw"] = values.get("subject", old.success_kw if old else "")
        changes["failure_kw"] = values.get("subject_fail", old.failure_kw if old else "")
        changes["filter_subject"] = int(bool(changes["success_kw"] or changes["failure_kw"]))
    changes.update({HC_COLUMNS[name]: value for name, value in values.items() if name in HC_COLUMNS})
    if "schedule" in values:
        changes.update(kind="cron", schedule=values["schedule"])
    elif "timeout" in values:
        changes.update(kind="simple", timeout=values["timeout"])
    unique = values.get("unique", [])
    equal = {name: values[name] for name in unique if name in values}
    return CheckWanted(changes, values.get("channels"), equal if unique and len(equal) == len(set(unique)) else None)


def full_time_text(ms: int) -> str:
    """A time with microseconds, which are left out where they are 0."""
    return text_from_ms(ms)[:19] + (f".{ms % 1000:03d}000" if ms % 1000 else "") + "+00:00"


def show_check(check: Check, version: str, base: str, receivers: Iterable[str], now: int, listening: Listening,
               is_full: bool) -> dict[str, Any]:
    """The keys of a check; without its secrets for who may only read (spec/healthchecks.md 2.1)."""
    status, limit = check_status(check, now, listening), run_limit(check, listening)
    started = check.last_start_at is not None
    overdue = limit is not None and now >= limit
    shown = {
        "name": check.name, "slug": check.slug, "tags": check.tags, "desc": check.description, "grace": check.grace,
        "n_pings": check.n_pings, "status": "started" if version == "1" and started and not overdue else status, "started": started,
        "last_ping": second_text(check.last_ping_at), "next_ping": second_text(grace_start(check, listening)),
        "manual_resume": bool(check.manual_resume), "methods": check.methods,
        "subject": check.success_kw if check.filter_subject else "", "subject_fail": check.failure_kw if check.filter_subject else "",
        "start_kw": check.start_kw, "success_kw": check.success_kw, "failure_kw": check.failure_kw,
        "filter_subject": bool(check.filter_subject), "filter_body": bool(check.filter_body),
        "filter_http_body": bool(check.filter_http_body), "filter_default_fail": bool(check.filter_default_fail),
        "badge_url": f"{base}/b/2/{check.badge_key}.svg",
    }
    if check.last_duration:
        shown["last_duration"] = check.last_duration // 1000
    if is_full:
        address = f"{base}/api/v{version}/checks/{check.code}"
        shown.update(uuid=check.code, ping_url=f"{base}/ping/{check.code}", update_url=address, pause_url=f"{address}/pause",
                     resume_url=f"{address}/resume", channels=",".join(receivers))
    else:
        shown["unique_key"] = check.unique_key
    return shown | ({"timeout": check.timeout} if check.kind == "simple" else {"schedule": check.schedule, "tz": check.tz})


def show_checks(api: Api, call: Call, version: str, checks: list[Check], receivers: dict[int, list[str]]) -> list[dict[str, Any]]:
    now, listening = api.engine.judging_time(), api.engine.listening
    is_full = scope_is_granted("write:checks", call.caller.scopes)
    return [show_check(check, version, call.base, receivers.get(check.seq, ()), now, listening, is_full) for check in checks]


def show_one_check(api: Api, call: Call, version: str, check: Check) -> dict[str, Any]:
    with api.engine.store.read() as tables:
        receivers = tables.receivers_of_checks(check.customer, check.seq)
    return show_checks(api, call, version, [check], receivers)[0]


def read_check(api: Api, call: Call, tables: Tables, code: str = "", unique_key: str = "") -> Check:
    """The check that an address names by its code or its unique key. NotFound, Forbidden for another project's."""
    if code:
        return api.engine.own_check(tables, code, instance_of(call))
    check = tables.find_check_by_key(unique_key, instance_of(call))
    if check is None:
        raise NotFound("check not found")
    return check


@route("GET", f"{HC_BASE}/checks", "read:checks", slash=True)
def hc_list_checks(api: Api, call: Call, version: str) -> Any:
    customer = instance_of(call)
    tags = [value for key, value in call.query if key == "tag"]
    with api.engine.store.read() as tables:
        checks = [] if "" in tags else tables.list_checks(customer, call.parameter("slug"), tags)
        receivers = tables.receivers_of_checks(customer)
    return {"checks": show_checks(api, call, version, checks, receivers)}


@route("POST", f"{HC_BASE}/checks", "write:checks", slash=True)
def hc_create_check(api: Api, call: Call, version: str) -> Any:
    check, is_new = api.engine.create_check(parse_check(call.parsed, version), instance_of(call))
    return 201 if is_new else 200, show_one_check(api, call, version, check)


@route("GET", HC_CHECK, "read:checks")
@route("GET", HC_UNIQUE, "read:checks")
def hc_get_check(api: Api, call: Call, version: str, **ident: str) -> Any:
    with api.engine.store.read() as tables:
        check = read_check(api, call, tables, **ident)
    return show_one_check(api, call, version, check)


@route("POST", HC_CHECK, "write:checks")
def hc_update_check(api: Api, call: Call, version: str, code: str) -> Any:
    with api.engine.store.read() as tables:              # whose it is comes before what is wrong with the body
        wanted = parse_check(call.parsed, version, read_check(api, call, tables, code))
    return show_one_check(api, call, version, api.engine.update_check(code, wanted, instance_of(call)))


@route("DELETE", HC_CHECK, "write:checks")
def hc_delete_check(api: Api, call: Call, version: str, code: str) -> Any:
    check, receivers = api.engine.delete_check(code, instance_of(call))
    return show_checks(api, call, version, [check], {check.seq: receivers})[0]


@route("POST", f"{HC_CHECK}/pause", "write:checks")
def hc_pause_check(api: Api, call: Call, version: str, code: str) -> Any:
    return show_one_check(api, call, version, api.engine.pause_check(code, instance_of(call)))


@route("POST", f"{HC_CHECK}/resume", "write:checks")
def hc_resume_check(api: Api, call: Call, version: str, code: str) -> Any:
    return show_one_check(api, call, version, api.engine.resume_check(code, instance_of(call)))


def show_ping(ping: Ping, duration: int | None, address: str) -> dict[str, Any]:
    """The keys of a ping (spec/healthchecks.md 3.9), and our own exitstatus."""
    shown = {"type": ping.kind, "date": full_time_text(ping.created_at), "n": ping.n, "scheme": ping.scheme,
             "remote_addr": ping.remote_addr, "method": ping.method, "ua": ping.user_agent, "rid": ping.rid,
             "body_url": f"{address}/pings/{ping.n}/body" if ping.body else None}
    return shown if duration is None else {**shown, "duration": round(duration / 1000, 2)}


@route("GET", f"{HC_CHECK}/pings", "write:checks", slash=True)
def hc_list_pings(api: Api, call: Call, version: str, code: str) -> Any:
    limit = min(api.settings.ping_log_limit, MOST_ROWS)
    with api.engine.store.read() as tables:
        check = read_check(api, call, tables, code)
        pings = tables.check_pings(check, limit)
    durations = ping_durations(pings)
    address = f"{call.base}/api/v{version}/checks/{code}"
    return {"pings": [show_ping(ping, durations.get(ping.n), address) for ping in reversed(pings[-limit:])]}


@route("GET", f"{HC_CHECK}/pings/<number:re:[0-9]{{1,18}}>/body", "write:checks")
def hc_get_ping_body(api: Api, call: Call, version: str, code: str, number: str) -> Any:
    with api.engine.store.read() as tables:
        check = read_check(api, call, tables, code)
        is_kept = int(number) > check.n_pings - api.settings.ping_log_limit
        ping = tables.find_ping(check.seq, int(number)) if is_kept else None
    if ping is None or not ping.body:
        raise NotFound("there is no such ping, or it had no body")
    return 200, ping.body, {"Content-Type": "text/plain"}


@route("GET", f"{HC_CHECK}/flips", "read:checks", slash=True)
@route("GET", f"{HC_UNIQUE}/flips", "read:checks", slash=True)
def hc_list_flips(api: Api, call: Call, version: str, **ident: str) -> Any:
    """Changes of status, the newest first; a recovery also says how long it was down and how many runs were missed."""
    with api.engine.store.read() as tables:
        check = read_check(api, call, tables, **ident)
        start = number_parameter(call, "start", 10**10) or 0
        end = number_parameter(call, "end", 10**10)
        seconds = number_parameter(call, "seconds", HC_LONGEST) if call.parameter("seconds") else None
        since = max(our_time(start * 1000), api.clock.now() - seconds * 1000 if seconds else 0)
        flips = tables.check_flips(check.seq, since, 2**62 if end is None else our_time(end * 1000))
    return {"flips": [show_flip(flip) for flip in flips]}


def show_flip(flip: Flip) -> dict[str, Any]:
    shown = {"timestamp": second_text(flip.created_at), "up": int(flip.new_status == "up")}
    return shown if flip.down_seconds is None else {**shown, "down_seconds": flip.down_seconds, "missed_runs": flip.missed_runs}


@route("GET", f"{HC_BASE}/channels", "write:checks", slash=True)
def hc_list_channels(api: Api, call: Call, version: str) -> Any:
    with api.engine.store.read() as tables:
        receivers = tables.list_receivers(instance_of(call))
    return {"channels": [{"id": receiver.id, "name": receiver.name, "kind": receiver.type} for receiver in receivers]}


@route("GET POST", f"{HC_BASE}/status", None, slash=True)
def hc_status(api: Api, call: Call, version: str) -> Any:
    problem = api.health_problem()
    if problem:
        raise Unavailable(problem)
    return 200, b"OK", {"Content-Type": "text/plain"}


# Pings. Whoever knows the address may ping; it is never logged whole.

PING_ACTIONS = "start|fail|log|[0-9]+"


def ping_parameter(call: Call, name: str) -> str | None:
    """A parameter of a ping; None where it is missing. No ping is lost because something else there cannot be read."""
    try:
        return next((value for key, value in call.query if key == name), None)
    except Invalid:
        return None


def parse_ping(call: Call, exit_status: int | None) -> PingSent | Problem:
    """How a ping came; Invalid, not raised, for a run id that is none."""
    rid = ping_parameter(call, "rid")
    if rid is not None and not re.fullmatch(UUID_FORM, rid.lower()):
        return Invalid("invalid uuid format")
    agent = call.environ.get("HTTP_USER_AGENT", "").encode("latin-1").decode("utf-8", "replace")[:200]
    body = call.environ["wsgi.input"].read(call.settings.ping_body_limit) if call.environ.get("CONTENT_LENGTH") != "0" else b""
    return PingSent(call.environ["wsgi.url_scheme"], call.environ["REQUEST_METHOD"], call.address, agent,
                    rid and rid.lower(), exit_status, body)


def receive_ping(api: Api, call: Call, address: PingAddress, action: str) -> Any:
    """Records a ping and answers it. A check that does not exist comes before what else is wrong (contract 4.4)."""
    number = action.lstrip("0") if action.isdigit() else None
    exit_status = None if number is None or len(number) > 3 else int(number or 0)
    if number is not None:
        action = "fail" if number else "success"
    sent = parse_ping(call, exit_status)
    if number is not None and (exit_status is None or exit_status > 255):
        sent = Invalid("invalid url format")
    try:
        is_new = api.engine.record_ping(address, action, sent)
        status, text = (201, b"Created") if is_new else (200, b"OK")
    except Kept as kept:
        status, text = kept.status, kept.message.encode()
    return status, text, {"Content-Type": "text/plain", "Ping-Body-Limit": str(api.settings.ping_body_limit)}


@route("ANY", f"/ping/<code:re:{UUID_FORM}>", None)
@route("ANY", f"/ping/<code:re:{UUID_FORM}>/", None)
@route("ANY", f"/ping/<code:re:{UUID_FORM}>/<action:re:{PING_ACTIONS}>", None)
def hc_ping(api: Api, call: Call, code: str, action: str = "success") -> Any:
    return receive_ping(api, call, PingAddress(code=code), action)


@route("ANY", "/ping/<ping_key:re:[A-Za-z0-9_-]+>/<slug:re:[A-Za-z0-9_-]+>", None)
@route("ANY", f"/ping/<ping_key:re:[A-Za-z0-9_-]+>/<slug:re:[A-Za-z0-9_-]+>/<action:re:{PING_ACTIONS}>", None)
def hc_ping_by_slug(api: Api, call: Call, ping_key: str, slug: str, action: str = "success") -> Any:
    """A ping for the check with this slug; with create=1 it is made where there is none (spec/healthchecks.md 4.5)."""
    if slug != slug.lower():
        raise Invalid("invalid url format")
    creates = ping_parameter(call, "create") == "1" and len(slug) <= 100
    return receive_ping(api, call, PingAddress(ping_key=ping_key, slug=slug, creates=creates), action)


# Badges: pictures and small JSON about the state of checks, for whoever has the address.

BADGE_COLORS = {"up": "#4c1", "late": "#fe7d37", "down": "#e05d44"}
SHIELDS_COLORS = {"up": "success", "late": "important", "down": "critical"}
# Widths of characters in a badge's font at 11 px, in tenths of a pixel: those of a usual width are not named.
CHARACTER_WIDTHS = {char: width for width, chars in (
    (30, "ijl'"), (39, "|Itfr.,:;!()[]/\\ "), (50, '"-*`cksvxyz?J'), (84, "ABCDGHKNOPQRUVX&#~"), (97, "mw+<>=^"), (112, "MW@%"),
) for char in chars}


def text_width(text: str) -> int:
    """Pixels of a text in a badge; about right, and the picture makes it so."""
    return sum(CHARACTER_WIDTHS.get(char, 110 if unicodedata.east_asian_width(char) in "WF" else 68) for char in text) // 10 + 1


def badge_svg(label: str, status: str) -> bytes:
    """A badge as a picture: the label on grey, the status on its colour. No font and no script from elsewhere."""
    left, right = text_width(label) + 10, text_width(status) + 10
    width = left + right
    shown = html.escape("".join(char for char in label if char.isprintable()))

    def words(text: str, middle: float, length: int) -> str:
        place = f'x="{middle:g}" textLength="{length}" lengthAdjust="spacingAndGlyphs"'
        return f'<text {place} y="15" fill="#010101" fill-opacity=".3">{text}</text><text {place} y="14">{text}</text>'

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{shown}: {status}">'
        f"<title>{shown}: {status}</title>"
        '<linearGradient id="s" x2="0" y2="100%"><stop offset="0" stop-color="#bbb" stop-opacity=".1"/>'
        '<stop offset="1" stop-opacity=".1"/></linearGradient>'
        f'<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#555"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{BADGE_COLORS[status]}"/><rect width="{width}" height="20" fill="url(#s)"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">'
        f"{words(shown, left / 2, left - 10)}{words(status, left + right / 2, right - 10)}</g></svg>").encode()


def badge_answer(api: Api, checks: list[Check], label: str, form: str, three_states: bool) -> Any:
    """What a badge about these checks says, as svg, json or shields (spec/healthchecks.md 7.2)."""
    states = collections.Counter(check_status(check, api.engine.judging_time(), api.engine.listening) for check in checks)
    status = "down" if states["down"] else "late" if states["grace"] and three_states else "up"
    if form == "svg":
        return 200, badge_svg(label, status), {"Content-Type": "image/svg+xml"}
    if form == "json":
        return {"status": status, "total": len(checks), "grace": states["grace"], "down": states["down"]}
    if form == "shields":
        return {"schemaVersion": 1, "label": label, "message": status, "color": SHIELDS_COLORS[status]}
    raise NotFound()


def badge_signature(project: Project, tag: str) -> str:
    """Eight characters that only who has seen the address of a badge knows. tag: * = all checks."""
    digest = hmac.digest(project.badge_secret.encode(), tag.encode("utf-8"), "sha256")
    return base64.urlsafe_b64encode(digest).decode()[:8]


def badge_addresses(project: Project, tag: str, base: str) -> dict[str, str]:
    """The six addresses of the badge of a tag. A tag is quoted twice: paths are unquoted before they are split."""
    signature = badge_signature(project, tag)
    name = "" if tag == "*" else "/" + urllib.parse.quote(urllib.parse.quote(tag, safe=""), safe="")
    return {form + states: f"{base}/badge/{project.badge_key}/{signature}{'' if states else '-2'}{name}.{form}"
            for form in ("svg", "json", "shields") for states in ("", "3")}


@route("GET", f"{HC_BASE}/badges", "read:checks", slash=True)
def hc_list_badges(api: Api, call: Call, version: str) -> Any:
    project = api.engine.get_project(instance_of(call))
    with api.engine.store.read() as tables:
        tags = dict.fromkeys(tag for check in tables.list_checks(project.customer) for tag in check_tags(check))
    return {"badges": {tag: badge_addresses(project, tag, call.base) for tag in [*tags, "*"]}}


def signed_checks(api: Api, badge_key: str, signature: str, tag: str) -> list[Check]:
    """The checks that a badge is about; NotFound where its address is not one that we made."""
    with api.engine.store.read() as tables:
        project = tables.find_project(badge_key=badge_key)
        if project is None or not hmac.compare_digest(badge_signature(project, tag).encode(), signature[:8].encode()):
            raise NotFound()
        return tables.list_checks(project.customer, tags=[] if tag == "*" else [tag])


SIGNATURE = "[A-Za-z0-9_-]{8}|[A-Za-z0-9_-]{8}-2"


@route("GET", f"/badge/<badge_key>/<signature:re:{SIGNATURE}>.<form:re:[a-z]+>", None)
def hc_badge_of_all(api: Api, call: Call, badge_key: str, signature: str, form: str) -> Any:
    return badge_answer(api, signed_checks(api, badge_key, signature, "*"), api.settings.badge_label, form, len(signature) == 8)


@route("GET", f"/badge/<badge_key>/<signature:re:{SIGNATURE}>/<tag>.<form:re:[a-z]+>", None)
def hc_badge_of_tag(api: Api, call: Call, badge_key: str, signature: str, tag: str, form: str) -> Any:
    tag = urllib.parse.unquote(tag)
    if tag == "*":
        raise NotFound()
    return badge_answer(api, signed_checks(api, badge_key, signature, tag), tag, form, len(signature) == 8)


@route("GET", f"/b/<states:re:[0-9]+>/<badge_key:re:{UUID_FORM}>.<form:re:[a-z]+>", None)
def hc_badge_of_check(api: Api, call: Call, states: str, badge_key: str, form: str) -> Any:
    with api.engine.store.read() as tables:
        check = tables.find_check_by_badge(badge_key)
    if check is None:
        raise NotFound()
    return badge_answer(api, [check], check.name or check_title(check), form, states == "3")


# ============================================================================================================== NOTIFY
# The notification config manager's API: event types, receivers, events (spec/weave-notification.md), and what senders
# made for Slack and Alertmanager may post. Its errors are JSON strings.

NOTIFY_PREFIXES = ("/notification", "/api/notification")


def notify_refuse(call: Call, problem: Problem) -> Any:
    return problem.status, problem.message, problem.headers


for notify_prefix in NOTIFY_PREFIXES:
    DIALECTS.insert(0, Dialect(notify_prefix + "/", notify_refuse, lambda call: {}, presented_key, answer_options))


def notify_route(methods: str, path: str, scope: str | None) -> Callable:
    """A route below both prefixes, with and without a slash at its end."""
    def add(function: Callable) -> Callable:
        for prefix in NOTIFY_PREFIXES:
            route(methods, prefix + path, scope, slash=True)(function)
        return function

    return add


def parse_event_types(text: str, path: str) -> list[EventType]:
    """The event types in an operator's file, a list of objects. ValueError that says what is wrong with it."""
    try:
        items = parse_json(text.encode("utf-8", "surrogateescape"))
        if not isinstance(items, list):
            raise Invalid("it is not a list")
        found = []
        for item in items:
            if not isinstance(item, dict):
                raise Invalid("an item is not an object")
            fields = Fields(item)
            found.append(EventType(
                fields.required("name"), fields.name("display_name", fields.name("name")), fields.text("description"),
                pack_list(fields.names("default_receiver_types")), pack_list(fields.names("hidden_receiver_types")),
                int(fields.flag("hide_ui_config", False)), fields.name("feature_flag").lower()))
    except Invalid as problem:
        raise ValueError(f"event types file {path}: {problem.message}") from None
    return found


def show_event_type(kind: EventType) -> dict[str, Any]:
    shown = {"name": kind.name, "display_name": kind.display_name, "description": kind.description,
             "default_receiver_types": unpack(kind.default_receiver_types), "hidden_receiver_types": unpack(kind.hidden_receiver_types),
             "hide_ui_config": bool(kind.hide_ui_config)}
    return {**shown, "feature_flag": kind.feature_flag} if kind.feature_flag else shown


def hidden_names(call: Call, kinds: list[EventType]) -> set[str]:
    """The event types that a caller does not see: behind a feature flag that it does not name, or out of the settings page."""
    flags = set(call.environ.get("HTTP_X_FEATUREFLAGS", "").lower().split())
    return {kind.name for kind in kinds if kind.hide_ui_config or kind.feature_flag and kind.feature_flag not in flags}


@notify_route("GET", "/config/eventtypes", None)
def notify_event_types(api: Api, call: Call) -> Any:
    with api.engine.store.read() as tables:
        kinds = tables.list_event_types()
    flags = set(call.environ.get("HTTP_X_FEATUREFLAGS", "").lower().split())
    return 200, [show_event_type(kind) for kind in kinds if not kind.feature_flag or kind.feature_flag in flags]


def show_receiver(receiver: Receiver, names: list[str], call: Call) -> dict[str, Any]:
    """A receiver; its address whole only for who may write it, since it can hold secrets."""
    address = json.loads(receiver.address_data)
    if not scope_is_granted("write:receivers", call.caller.scopes):
        address = redacted_address(address)
    return {"id": receiver.id, "type": receiver.type, "instance_id": instance_name(receiver.customer), "name": receiver.name,
            "address_data": address, "eventTypes": names, "event_types": names, "fallback": receiver.fallback,
            "remind_every": receiver.remind_every}


def parse_names(fields: Fields) -> list[str]:
    """The event types in a body, under either name; Invalid where both are there and differ."""
    given = [fields.names(name) for name in ("eventTypes", "event_types") if fields.values.get(name) is not None]
    if len(given) == 2 and set(given[0]) != set(given[1]):
        raise Invalid("eventTypes and event_types are different")
    return union(given[0], ()) if given else []


def parse_receiver(api: Api, fields: Fields, old: Receiver | None, customer: str, receivers: list[Receiver]) -> Receiver:
    """The receiver in a body; Invalid that names the field. old: the one that it replaces."""
    kind = fields.name("type", old.type if old else "")
    if kind not in KINDS:
        raise Invalid(f"type {kind[:40]!r} is not one of {', '.join(KINDS)}")
    address = fields.values.get("address_data")
    KINDS[kind].need(address, api.settings)
    fallback = fields.name("fallback", old.fallback if old and "fallback" not in fields.values else "")
    if fallback and (fallback not in {receiver.id for receiver in receivers} or old and fallback == old.id):
        raise Invalid("fallback is not the id of another receiver")
    remind_every = fields.seconds("remind_every", old.remind_every if old else 0)
    if 0 < remind_every < 60:
        raise Invalid("remind_every must be 0 or at least 60 seconds")
    blank = old or Receiver(0, new_secret_id(), customer, kind, "", "", 0, "", 0, None)
    packed = json.dumps(address)
    if len(packed) > ATTRIBUTES_LIMIT:
        raise Invalid(f"address_data is more than {ATTRIBUTES_LIMIT} characters of JSON")
    return blank._replace(name=fields.name("name", old.name if old and "name" not in fields.values else ""), address_data=packed,
                          fallback=fallback, remind_every=remind_every)


@notify_route("GET", "/config/receivers", "read:receivers")
def notify_list_receivers(api: Api, call: Call) -> Any:
    customer = instance_of(call)
    receivers = api.engine.known_receivers(customer)
    with api.engine.store.read() as tables:
        names = tables.subscriptions(customer)
    return 200, [show_receiver(receiver, names.get(receiver.seq, []), call) for receiver in receivers]


@notify_route("POST", "/config/receivers", "write:receivers")
def notify_create_receiver(api: Api, call: Call) -> Any:
    customer, fields = instance_of(call), call.json()
    receiver = parse_receiver(api, fields, None, customer, api.engine.known_receivers(customer))
    for name in ("id", "instance_id", "eventTypes", "event_types"):
        if fields.values.get(name) not in (None, "", []):
            raise Invalid(f"{name} must not be given for a new receiver")
    return 201, api.engine.create_receiver(receiver).id


@notify_route("GET", "/config/receivers/<ident>", "read:receivers")
def notify_get_receiver(api: Api, call: Call, ident: str) -> Any:
    customer = instance_of(call)
    with api.engine.store.read() as tables:
        receiver = api.engine.own_receiver(tables, ident, customer)
        return 200, show_receiver(receiver, tables.subscriptions(customer).get(receiver.seq, []), call)


@notify_route("PUT", "/config/receivers/<ident>", "write:receivers")
def notify_update_receiver(api: Api, call: Call, ident: str) -> Any:
    """Replaces the address and what a receiver hears of (spec/weave-notification.md 4.5); that it exists comes first."""
    customer = instance_of(call)
    with api.engine.store.read() as tables:
        receiver = api.engine.own_receiver(tables, ident, customer)
        kinds, receivers = tables.list_event_types(), tables.list_receivers(customer)
    fields = call.json()
    for name, wanted in (("id", ident), ("instance_id", instance_name(customer))):
        if fields.name(name) != wanted and (name != "id" or fields.name(name).lower() != wanted.lower()):
            raise Invalid(f"{name} must be given, and be that of the receiver")
    names, hidden = parse_names(fields), hidden_names(call, kinds)
    unknown = [name for name in names if name not in {kind.name for kind in kinds}]
    if unknown:
        raise Invalid(f"event types that do not exist: {', '.join(unknown)[:300]}")

    if fields.name("type") != receiver.type:
        raise Invalid(f"type must be {receiver.type}: it cannot be changed")
    wanted = parse_receiver(api, fields, receiver, customer, receivers)
    api.engine.update_receiver(wanted, lambda before: union(names, [name for name in before if name in hidden]))
    return 200, None


@notify_route("DELETE", "/config/receivers/<ident>", "write:receivers")
def notify_delete_receiver(api: Api, call: Call, ident: str) -> Any:
    api.engine.delete_receiver(ident, instance_of(call))
    return 200, None


@notify_route("POST", "/config/receivers/<ident>/test", "write:receivers")
def notify_test_receiver(api: Api, call: Call, ident: str) -> Any:
    return 200, {"id": api.engine.send_test(instance_of(call), ident)}


@notify_route("GET", "/config/receivers/<ident>/deliveries", "read:receivers")
def notify_list_deliveries(api: Api, call: Call, ident: str) -> Any:
    """What was sent to a receiver, is owed to it or was given up (state=waiting, sent or dead), the newest first."""
    state = call.parameter("state")
    if state not in ("", "waiting", "sent", "dead"):
        raise Invalid("state must be waiting, sent or dead")
    limit = notify_number(call, "limit", MOST_LISTED_EVENTS, USUAL_EVENTS)
    with api.engine.store.read() as tables:
        receiver = api.engine.own_receiver(tables, ident, instance_of(call))
        found = tables.notices(receiver.seq, "waiting", limit) if state in ("", "waiting") else []
        found += tables.notices(receiver.seq, state, limit) if state != "waiting" else []
    return 200, [{"event": show_notice_event(notice), "state": notice.state, "attempts": notice.attempts, "waited": notice.waited,
                  "last_error": notice.last_error, "marked": notice.marked_at and text_from_ms(notice.marked_at)}
                 for notice in found[:limit]]


@notify_route("POST", "/config/receivers/<ident>/replay", "write:receivers")
def notify_replay(api: Api, call: Call, ident: str) -> Any:
    """What was given up is tried again; how many messages that are."""
    return 200, {"replayed": api.engine.replay_dead(ident, instance_of(call))}


@notify_route("GET", "/config/receivers_for_event/<name>", "read:receivers")
def notify_receivers_for_event(api: Api, call: Call, name: str) -> Any:
    customer = instance_of(call)
    receivers = api.engine.known_receivers(customer)
    with api.engine.store.read() as tables:
        names = tables.subscriptions(customer)
    return 200, [show_receiver(receiver, names[receiver.seq], call) for receiver in receivers if name in names.get(receiver.seq, ())]


RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?", re.ASCII)
LAST_MOMENT = 253_402_300_799_000                    # the end of the year 9999, in milliseconds


def parse_timestamp(text: Any, name: str) -> int | None:
    """Milliseconds of an RFC 3339 time; with a blank in it and without a zone it is UTC. None for nothing; Invalid."""
    if text is None or text == "":
        return None
    match = RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if not match or (match[4] is None and " " not in text):
        raise Invalid(f"{name} must be a time such as 2030-01-01T02:00:07.123Z")
    day, clock, fraction, zone = match.groups()
    if text == "0001-01-01T00:00:00Z":               # what Go programs send for no time
        return None
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}" + ("+00:00" if zone in (None, "Z", "z") else zone))
        ms = (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3])
    except (ValueError, OverflowError):
        raise Invalid(f"{name} is not a time") from None
    if not -LAST_MOMENT // 5 <= ms <= LAST_MOMENT:   # from about the year 365 on
        raise Invalid(f"{name} is too far away")
    return our_time(ms)


def show_event(event: Event) -> dict[str, Any]:
    """An event; one that was not posted has its text as its message."""
    details = unpack(event.messages)
    text = details.get("text") if isinstance(details.get("text"), str) else None
    posted = details.get("messages", {"text": f"{event_title(event)}: {text or ''}"}) if event.type in EVENT_TYPES else details.get("messages")
    return {"id": event.id, "type": event.type, "instance_id": instance_name(event.customer), "instance_name": "",
            "timestamp": text_from_ms(event.happened_at), "messages": posted, "text": text, "metadata": details.get("metadata"),
            "data": None, "suppressed": event.suppressed}


def parse_posted_event(fields: Fields, customer: str) -> tuple[str, int | None, dict[str, Any]]:
    """(type, time, what to say) of a posted event (spec/weave-notification.md 4.8)."""
    if fields.name("instance_id") != instance_name(customer):
        raise Invalid("instance_id must be given, and be that of the key or of X-Scope-OrgID")
    messages, metadata = fields.values.get("messages"), fields.values.get("metadata")
    if messages is not None and not isinstance(messages, dict):
        raise Invalid("messages must be an object")
    if metadata is not None and not (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())):
        raise Invalid("metadata must be an object of texts")
    text = fields.text("text", None)
    details = {"messages": messages, "text": text if text is not None else first_text(messages), "metadata": metadata,
               "title": fields.required("type").replace("_", " ")}
    bounded_object("messages, text and metadata", details)
    return fields.required("type"), parse_timestamp(fields.values.get("timestamp"), "timestamp"), details


def first_text(messages: dict[str, Any] | None) -> str | None:
    """The text among the messages of a posted event that says most to a kind that has none of its own."""
    for name in ("text", "browser", "slack", "email", *(messages or ())):
        value = (messages or {}).get(name)
        value = value.get("text") or value.get("body") or value.get("subject") if isinstance(value, dict) else value
        if isinstance(value, str) and value:
            return value[:TEXT_LIMIT]
    return None


@notify_route("POST", "/events", "write:events")
@notify_route("POST", "/external/events", "write:events")
def notify_add_event(api: Api, call: Call) -> Any:
    customer = instance_of(call)
    event_type, at, details = parse_posted_event(call.json(), customer)
    api.engine.known_receivers(customer)                 # the first event makes the one that hears of it
    return 200, {"id": api.engine.publish_event(event_type, customer, at, details)}


def notify_number(call: Call, name: str, most: int, default: int) -> int:
    """A whole number in the address; empty and missing mean the default."""
    return number_parameter(call, name, most) if call.parameter(name) else default


MOST_LISTED_EVENTS, USUAL_EVENTS, LARGEST_OFFSET = 100, 50, 10**15


@notify_route("GET", "/events", "read:events")
def notify_list_events(api: Api, call: Call) -> Any:
    customer = instance_of(call)
    length = notify_number(call, "length", MOST_LISTED_EVENTS, USUAL_EVENTS)      # its older name
    limit, offset = notify_number(call, "limit", MOST_LISTED_EVENTS, length), notify_number(call, "offset", LARGEST_OFFSET, 0)
    types = call.parameter("event_type").split(",") if call.parameter("event_type") else None
    after, before = (parse_timestamp(call.parameter(name), name) for name in ("after", "before"))
    with api.engine.store.read() as tables:
        return 200, [show_event(event) for event in tables.list_events(customer, limit, offset, types, after, before)]


@notify_route("POST", "/testevent", "write:events")
def notify_test(api: Api, call: Call) -> Any:
    return 200, api.engine.send_test(instance_of(call))


@notify_route("GET", "/events/healthcheck", None)
@notify_route("GET", "/config/healthcheck", None)
def notify_health(api: Api, call: Call) -> Any:
    problem = api.health_problem()
    if problem:
        raise Unavailable(problem)
    return 200, b"", {"Content-Type": "text/plain"}


def refuse_other_instance(call: Call, instance: str) -> str:
    """The customer that an address names; NotFound where a key is confined to another, or the header names another."""
    customer = instance_of(call)
    is_free = not call.caller.customer and not call.environ.get("HTTP_X_SCOPE_ORGID")
    if instance != instance_name(customer) and not is_free:
        raise NotFound("there is no such instance")
    return "" if instance == "default" else instance if is_free else customer


@notify_route("POST", "/slack/<instance>/<event_type>", "write:events")
def notify_slack(api: Api, call: Call, instance: str, event_type: str) -> Any:
    """What is made for a Slack web hook, as an event: text and attachments."""
    customer, fields = refuse_other_instance(call, instance), call.json()
    attachments = fields.values.get("attachments") or []
    if not isinstance(attachments, list) or not all(isinstance(item, dict) for item in attachments):
        raise Invalid("attachments must be a list of objects")
    parts = [fields.text("text")] + [item.get(name) for item in attachments for name in ("title", "text", "fallback")]
    text = "\n".join(union((part for part in parts if isinstance(part, str) and part), ()))
    if not text:
        raise Invalid("text or attachments must say something")
    details = {"messages": {"slack": fields.values}, "text": fields.bounded("text", text), "title": text.split("\n")[0][:200]}
    bounded_object("the message", details)
    return 200, {"id": api.engine.publish_event(event_type, customer, None, details)}


@notify_route("POST", "/webhook/<instance>/<event_type>", "write:events")
def notify_alertmanager(api: Api, call: Call, instance: str, event_type: str) -> Any:
    """What Alertmanager's web hook posts, as an event (spec/weave-notification.md 5 and 7)."""
    customer, fields = refuse_other_instance(call, instance), call.json()
    alerts = fields.values.get("alerts")
    if event_type != "monitor":
        raise Invalid("only monitor events come this way")
    if not isinstance(alerts, list) or not alerts or not all(isinstance(alert, dict) for alert in alerts):
        raise Invalid("alerts must be a list of at least one object")
    title, text = alertmanager_text(fields.values, alerts)
    at = parse_timestamp(alerts[0].get("startsAt"), "startsAt")
    state = "up" if fields.values.get("status") == "resolved" else "down"
    details = {"title": title, "text": fields.bounded("text", text), "messages": {"text": text}, "state": state}
    return 200, {"id": api.engine.publish_event(event_type, customer, at, details)}


def alertmanager_text(posted: dict[str, Any], alerts: list[dict[str, Any]]) -> tuple[str, str]:
    """(title, text) of a notification of Alertmanager; of many alerts, the first ten in detail."""
    def texts(value: Any) -> dict[str, str]:
        return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}

    labels = {**texts(alerts[0].get("labels")), **texts(posted.get("commonLabels"))}
    annotations = {**texts(alerts[0].get("annotations")), **texts(posted.get("commonAnnotations"))}
    status = str(posted.get("status") or "firing")
    title = f"{(labels.get('severity') or '').upper()} {status.upper()}: {annotations.get('summary') or labels.get('alertname') or 'alerts'}"
    lines = [text for name, text in annotations.items() if name != "summary"]
    for alert in alerts[:10]:
        own = texts(alert.get("labels"))
        lines.append(f"{alert.get('status') or status}: " + ", ".join(f"{name}={text}" for name, text in own.items()))
    lines += [f"and {len(alerts) - 10} more"] if len(alerts) > 10 else []
    return title.strip()[:300], "\n".join(lines)[:TEXT_LIMIT]


# ============================================================================================================== WALDUR
# The Waldur (NodeConductor) alerts API: alerts on a scope, an address of something (spec/waldur-alerts.md). Its alerts are
# those of the one store: the scope's path is the resource, the alert type the event.

WALDUR_LARGEST_PAGE, WALDUR_PAGE = 100, 10
AGGREGATES = ("customer", "project", "project_group")
WALDUR_SORTING = {"severity": Order("scopedSeverity", False), "-severity": Order("scopedSeverity", True),
                  "created": Order("createTime", True), "-created": Order("createTime", False)}


class FieldErrors(Invalid):
    """What is wrong with each field of a body or a query."""

    def __init__(self, fields: dict[str, list[str]]):
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in fields.items()))
        self.fields = fields


def waldur_refuse(call: Call, problem: Problem) -> Any:
    """Refusals as Django's REST framework words them."""
    if isinstance(problem, FieldErrors):
        return 400, problem.fields
    headers = {**problem.headers, **({"WWW-Authenticate": "Token"} if problem.status == 401 else {})}
    if problem.status == 405:
        headers["Allow"] = ", ".join(call.methods)
    details = {401: "Invalid token." if call.dialect.key(call) not in ("", "-") else "Authentication credentials were not provided.",
               403: "Permission denied.", 404: problem.message if problem.message == "Invalid page." else "Not found.",
               405: f"Method \"{call.environ['REQUEST_METHOD']}\" not allowed."}
    return problem.status, {"detail": details.get(problem.status, problem.message)}, headers


for waldur_prefix in ("/api/alerts", "/api/stats"):
    DIALECTS.insert(0, Dialect(waldur_prefix, waldur_refuse, lambda call: {}, presented_key, answer_options))


def waldur_json(call: Call) -> dict[str, Any]:
    """The object in the body; {} for nothing."""
    raw = call.body()
    try:
        value = parse_json(raw) if raw.strip() else {}
    except Invalid as problem:
        raise Invalid(f"JSON parse error - {(problem.errors or [problem.message])[0]}") from None
    if not isinstance(value, dict):
        raise FieldErrors({"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return value


def scope_path(text: str) -> str | None:
    """The path of a scope, which is what scopes are compared by; None for what is no http address or absolute path."""
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError:
        return None
    is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
    if not (is_url or (not parts.scheme and not parts.netloc and text.startswith("/"))) or not text.isprintable() or len(text) > NAME_LIMIT:
        return None
    return (parts.path or "/").rstrip("/") + "/"


def scope_type(path: str) -> str:
    """The kind of thing that a path names: /api/service-settings/1/ -> service_setting."""
    collection = [part for part in path.split("/") if part and part != "api"][:1]
    name = (collection[0] if collection else "").replace("-", "_").lower()
    if name.endswith("ies"):
        return name[:-3] + "y"
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def waldur_text(value: Any, longest: int) -> tuple[str, str | None]:
    """(text, what is wrong with it) of a field; a number is taken as its text, blanks around it go."""
    if value is None:
        return "", "This field may not be null."
    if isinstance(value, (bool, dict, list)):
        return "", "Not a valid string."
    text = str(value).strip()
    if not text:
        return "", "This field may not be blank."
    return text, f"Ensure this field has no more than {longest} characters." if len(text) > longest else None


def parse_waldur_alert(posted: dict[str, Any], call: Call, settings: SimpleNamespace, customer: str) -> AlertReport:
    """The report in a body; FieldErrors names every field that is wrong."""
    values: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    for name, longest in (("alert_type", 50), ("message", 255), ("severity", 20), ("scope", NAME_LIMIT)):
        values[name], wrong = waldur_text(posted[name], longest) if name in posted else ("", "This field is required.")
        if name == "severity" and name in posted and posted[name] not in (None, "") and posted[name] not in [*WALDUR_SEVERITIES]:
            wrong = f'"{str(posted[name])[:100]}" is not a valid choice.'
        if not wrong and name == "scope" and scope_path(values[name]) is None:
            wrong = "Invalid hyperlink - it is neither an http address nor an absolute path."
        if wrong:
            errors[name] = [wrong]
    context, timeout = posted.get("context"), posted.get("timeout", 0)
    if context is not None and (not isinstance(context, dict) or len(pack_object(context)) > ATTRIBUTES_LIMIT):
        errors["context"] = ["Not an object, or too large."]
    if not isinstance(timeout, int) or isinstance(timeout, bool) or not 0 <= timeout <= 315_360_000:
        errors["timeout"] = ["A valid number of seconds is required."]
    if errors:
        raise FieldErrors(errors)
    path = scope_path(values["scope"])
    address = call.base + values["scope"] if values["scope"].startswith("/") else values["scope"]
    return AlertReport(
        id=new_id(), resource=path, event=values["alert_type"], environment=settings.default_environment,
        severity=WALDUR_SEVERITIES[values["severity"]][0], status="open", correlate=[], service=[], group=scope_type(path),
        value=None, text=values["message"], tags=[], attributes={"scope": address, "context": context or {}}, origin=program_origin(),
        type=SCOPED_TYPE, created_at=None, timeout=timeout, raw_data=None, customer=customer)


def waldur_uuid(ident: str) -> str:
    return ident.replace("-", "") if re.fullmatch(UUID_FORM, ident) else ident


def show_waldur_alert(alert: Alert, base: str) -> dict[str, Any]:
    """The keys of an alert (spec/waldur-alerts.md 2); one from another API has its own address as its scope."""
    attributes = unpack(alert.attributes)
    is_scoped = alert.type == SCOPED_TYPE and alert.resource.startswith("/")
    scope, context = attributes.get("scope"), attributes.get("context")
    is_closed = alert.status in FINISHED_STATUSES
    return {
        "url": f"{base}/api/alerts/{waldur_uuid(alert.id)}/", "uuid": waldur_uuid(alert.id), "alert_type": alert.event,
        "message": alert.text or alert.event, "severity": WALDUR_NAMES[alert.severity],
        "scope": f"{base}/alert/{alert.id}" if not is_scoped else scope if isinstance(scope, str) else base + alert.resource,
        "created": text_from_ms(alert.created_at), "closed": text_from_ms(alert.closed_at or alert.updated_at) if is_closed else None,
        "context": attributes if not is_scoped else context if isinstance(context, dict) else {},
        "acknowledged": alert.status == "ack" or is_closed and alert.previous_status == "ack",
    }


def unix_bound(call: Call, name: str) -> str | None:
    """A UNIX time of the address as a time; None where it is missing or empty. FieldErrors."""
    text = call.parameter(name)
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,11}(\.[0-9]+)?", text):
        raise FieldErrors({name: ["Enter a valid UNIX timestamp."]})
    return text_from_ms(our_time(int(text.partition(".")[0]) * 1000))


def waldur_bounds(call: Call, name: str, field: str) -> list[Match]:
    """From inclusive, to exclusive."""
    low, high = unix_bound(call, f"{name}_from"), unix_bound(call, f"{name}_to")
    return [Match(field, "range", (low, True, high, False))] if low or high else []


def scope_match(call: Call) -> list[Any]:
    """The alerts on a scope; an alert from another API is its own."""
    text = call.parameter("scope")
    if not text:
        return []
    path = scope_path(text)
    if path is None:
        raise FieldErrors({"scope": ["Invalid hyperlink - it is neither an http address nor an absolute path."]})
    scoped = AllOf((IS_SCOPED, Match("resource", "is", path)))
    own = path.removeprefix(urllib.parse.urlsplit(call.base).path)
    if not own.startswith("/alert/") or len(own) < 9:
        return [scoped]
    ident = own[7:-1]
    return [AnyOf((scoped, AllOf((NoneOf(IS_SCOPED), Match("id", "range", (ident, True, ident, True))))))]


IS_SCOPED = Match("type", "is", SCOPED_TYPE)


def aggregate_match(call: Call) -> list[Any]:
    """The alerts whose scope's path has a uuid in it, or whose context says that it belongs to that."""
    aggregate, ident = call.parameter("aggregate", "customer"), call.parameter("uuid")
    if aggregate not in AGGREGATES:
        raise FieldErrors({"aggregate": [f"Must be one of {', '.join(AGGREGATES)}."]})
    named = Match("attributes.context", "contains", f'"{aggregate}_uuid": {json.dumps(ident)}')
    in_path = AllOf((Match("resource", "contains", f"/{ident}/"), NoneOf(Match("resource", "contains", f"/api/{ident}/"))))
    return [AnyOf((in_path, named))] if ident else []


def parse_waldur_filter(call: Call, customer: str) -> AlertFilter:
    """The filter of the list (spec/waldur-alerts.md 4): different parameters mean and, one repeated means or."""
    given = {name: [value for key, value in call.query if key == name] for name, _ in call.query}
    other: list[Any] = [*waldur_bounds(call, "created", "createTime"), *waldur_bounds(call, "closed", "closeTime"), *scope_match(call)]
    finished = AnyOf(tuple(Match("status", "is", status) for status in sorted(FINISHED_STATUSES)))
    if {"closed_from", "closed_to", "closed"} & {name for name in given if name == "closed" or given[name][0]}:
        other.append(finished)
    if "opened" in given:
        other.append(NoneOf(finished))
    if "severity" in given:
        ours = [one for name in given["severity"] for one in WALDUR_SEVERITIES.get(name, ("",))]
        other.append(AnyOf(tuple(Match("severity", "is", one) for one in ours)))
    if "alert_type" in given:
        other.append(AnyOf(tuple(Match("event", "is", value) for value in given["alert_type"])))
    if call.parameter("scope_type"):
        scoped = AllOf((IS_SCOPED, Match("group", "is", call.parameter("scope_type"))))
        other.append(AnyOf((scoped, NoneOf(IS_SCOPED))) if call.parameter("scope_type") == "alert" else scoped)
    other += aggregate_match(call)
    acknowledged = {"true": True, "1": True, "false": False, "0": False}.get(call.parameter("acknowledged").lower())
    if acknowledged is not None:
        is_ack = AnyOf((Match("status", "is", "ack"), AllOf((finished, Match("previousStatus", "is", "ack")))))
        other.append(is_ack if acknowledged else NoneOf(is_ack))
    if call.parameter("message"):
        words = call.parameter("message")
        without_text = AllOf((NoneOf(Match("text", "exists", None)), Match("event", "contains", words)))
        other.append(AnyOf((Match("text", "contains", words), without_text)))
    return AlertFilter({"customer": [customer]} if customer else {}, tuple(other))


def waldur_page(call: Call, total: int) -> tuple[int, int, int]:
    """(page, its size, how many pages); NotFound for a page that does not exist."""
    text = call.parameter("page_size")
    size = min(int(text), WALDUR_LARGEST_PAGE) if re.fullmatch("[0-9]{1,1000}", text) and int(text) else WALDUR_PAGE
    pages = max(1, -(-total // size))
    asked = next((value for key, value in call.query if key == "page"), "1")
    page = pages if asked == "last" else int(asked) if re.fullmatch("[0-9]{1,9}", asked) else 0
    if not 1 <= page <= pages:
        raise NotFound("Invalid page.")
    return page, size, pages


def link_header(call: Call, page: int, pages: int) -> str:
    """The addresses of the first, previous, next and last page."""
    kept = sorted((key, value) for key, value in call.query if key != "page")
    path = call.base + urllib.parse.quote(call.environ["PATH_INFO"])

    def link(number: int, name: str) -> str:
        query = urllib.parse.urlencode(kept + ([("page", number)] if number > 1 else []))
        return f'<{path}{"?" + query if query else ""}>; rel="{name}"'

    found = [link(1, "first")] + ([link(page - 1, "prev")] if page > 1 else []) + ([link(page + 1, "next")] if page < pages else [])
    return ", ".join([*found, link(pages, "last")])


@route("GET", "/api/alerts", "read:alerts", slash=True)
def waldur_list_alerts(api: Api, call: Call) -> Any:
    wanted = parse_waldur_filter(call, instance_of(call))
    named = [value for key, value in call.query if key == "o"][-1:]
    orders = tuple(WALDUR_SORTING[item] for item in (named[0].split(",") if named else ()) if item in WALDUR_SORTING)
    with api.engine.store.read() as tables:
        tallies = tables.tallies(wanted)
        total = sum(tally.count for tally in tallies)
        page, size, pages = waldur_page(call, total)
        alerts = tables.alert_page(wanted, orders or (WALDUR_SORTING["-created"],), size, (page - 1) * size, tallies)
    return 200, [show_waldur_alert(alert, call.base) for alert in alerts], {
        "X-Result-Count": str(total), "Link": link_header(call, page, pages)}


@route("POST", "/api/alerts", "write:alerts", slash=True)
def waldur_raise_alert(api: Api, call: Call) -> Any:
    customer = instance_of(call)
    report = parse_waldur_alert(waldur_json(call), call, api.settings, customer)
    received = api.engine.receive_alert(report, call.caller, reopens=False)
    shown = show_waldur_alert(received.alert, call.base)
    return 201, shown, {"Location": shown["url"]}


def waldur_ident(uuid_text: str) -> str:
    """The id of the alert that a uuid names: 32 digits, with or without hyphens, or an id that is none."""
    plain = uuid_text.replace("-", "").lower()
    return str(uuid.UUID(plain)) if re.fullmatch("[0-9a-f]{32}", plain) else uuid_text


def find_waldur_alert(api: Api, call: Call, ident: str) -> Alert:
    with api.engine.store.read() as tables:
        alert = tables.find_alert(ident) or tables.find_alert(waldur_ident(ident))
    if alert is None or instance_of(call) not in ("", alert.customer):
        raise NotFound()
    return alert


@route("GET", "/api/alerts/<ident>", "read:alerts", slash=True)
def waldur_get_alert(api: Api, call: Call, ident: str) -> Any:
    return show_waldur_alert(find_waldur_alert(api, call, ident), call.base)


def waldur_act(api: Api, call: Call, ident: str, action: str) -> None:
    """An operator's action; Conflict where it makes no sense."""
    api.engine.act_on_alert(find_waldur_alert(api, call, ident).id, action, f"{action} by {call.caller.login or 'an operator'}", None, call.caller)


@route("POST", "/api/alerts/<ident>/close", "write:alerts", slash=True)
def waldur_close_alert(api: Api, call: Call, ident: str) -> Any:
    """Closes an alert, which keeps its severity; one that is closed stays closed since then."""
    alert = find_waldur_alert(api, call, ident)
    if alert.status not in FINISHED_STATUSES:
        api.engine.set_alert_status(alert.id, "closed", f"closed by {call.caller.login or 'an operator'}", None, call.caller)
    return 204, b""


@route("POST", "/api/alerts/<ident>/acknowledge", "write:alerts", slash=True)
def waldur_acknowledge_alert(api: Api, call: Call, ident: str) -> Any:
    waldur_act(api, call, ident, "ack")
    return 200, b""


@route("POST", "/api/alerts/<ident>/cancel_acknowledgment", "write:alerts", slash=True)
def waldur_cancel_acknowledgement(api: Api, call: Call, ident: str) -> Any:
    waldur_act(api, call, ident, "unack")
    return 200, b""


@route("GET", "/api/alerts/stats", "read:alerts", slash=True)
@route("GET", "/api/stats/alerts", "read:alerts", slash=True)
def waldur_stats(api: Api, call: Call) -> Any:
    """How many alerts there are of each severity."""
    with api.engine.store.read() as tables:
        tallies = tables.tallies(parse_waldur_filter(call, instance_of(call)))
    counts = counts_of((tally._replace(severity=WALDUR_NAMES[tally.severity].lower()) for tally in tallies), "severity")
    return {name.lower(): counts.get(name.lower(), 0) for name in WALDUR_SEVERITIES}


# ============================================================================================================= SERVICE
# Routes that belong to no dialect.

@route("GET", "/healthz", None)
def service_health(api: Api, call: Call) -> Any:
    problem = api.health_problem()
    if problem:
        return 503, {"status": "error", "message": problem}
    return {"status": "ok", **({"cron": "held until the clock is set"} if api.engine.listening.cron_held else {})}


# ============================================================================================================= THREADS
# What runs beside the requests: the loops of the timer and the sender, the control socket, and the web server around them.

class Loop(threading.Thread):
    """A thread that sleeps until there is something to do, and shows by its beat that it moves."""

    LONGEST_SILENCE = 30                             # seconds without a beat that are a problem

    def __init__(self, name: str, engine: Engine):
        super().__init__(name=name, daemon=True)
        self.engine = engine
        self.woken = threading.Event()
        self.stopping = False
        self.beat = engine.clock.monotonic()

    def problem(self) -> str | None:
        """Why it does not do its work; None = it does."""
        if not self.is_alive():
            return f"the {self.name} has ended"
        silent = self.engine.clock.monotonic() - self.beat
        return f"the {self.name} has not moved for {silent:.0f} seconds" if silent > self.LONGEST_SILENCE else None

    def stop(self) -> None:
        self.stopping = True
        self.woken.set()
        self.join(10)


class Timer(Loop):
    """Calls expire_due when something is due. Sleeps until then, and never looks into the database meanwhile."""

    LONGEST_NAP = 1.0                                # seconds; the wall clock may be stepped while it sleeps
    FLUSH_EVERY = 60.0

    def __init__(self, engine: Engine):
        super().__init__("timer", engine)
        self.due_lock = threading.Lock()             # writers note deadlines while the timer looks for the next one
        engine.is_watched = True
        self.due: int | None = engine.next_due()
        self.kept_at = 0.0                           # monotonic seconds
        self.last_problem = ""
        self.copier: threading.Thread | None = None
        engine.store.on_due = self.note_due

    def note_due(self, due_at: int) -> None:
        """A write brought a deadline; wakes the timer where it is nearer than what it waits for."""
        with self.due_lock:
            if self.due is None or due_at < self.due:
                self.due = due_at
                self.woken.set()

    def run(self) -> None:
        """Until stop(): a pass when something is due, the uses of keys once a minute."""
        flushed = self.engine.clock.monotonic()
        while not self.stopping:
            self.beat = self.engine.clock.monotonic()
            try:
                self.pass_once()
                if self.beat - flushed >= self.FLUSH_EVERY:
                    flushed = self.beat
                    self.engine.flush_uses()
                    self.engine.flush_metrics()
                self.look_after_disk()
            except Problem as problem:               # a full disk: what is due stays due
                if problem.message != self.last_problem:
                    log(3, f"timer: {problem.message}")
                self.last_problem = problem.message
                self.woken.clear()                   # what is due wakes it otherwise, again and again
                self.woken.wait(2)
                with contextlib.suppress(Problem):
                    self.look_after_disk()
            self.woken.wait(self.nap())
            self.woken.clear()

    def look_after_disk(self) -> None:
        """Once in a while: is the file still there, is there room, is a copy due?"""
        engine = self.engine
        engine.store.look_at_file()
        if engine.store.is_full:
            engine.make_room()
        engine.store_signs()
        if self.beat - self.kept_at >= 10:
            self.kept_at = self.beat
            engine.keep_ballast()
            if engine.copy_is_due() and not (self.copier and self.copier.is_alive()):
                self.copier = threading.Thread(target=engine.copy_database, name="copy", daemon=True)
                with contextlib.suppress(RuntimeError):              # no thread can be had now: in ten seconds, perhaps
                    self.copier.start()

    def nap(self) -> float:
        """Seconds until something is due, at most LONGEST_NAP."""
        if self.due is None or self.engine.stopped_at is not None:   # at a stop, what is due stays due
            return self.LONGEST_NAP
        return min(max(0.0, (self.due - self.engine.clock.now()) / 1000), self.LONGEST_NAP)

    def pass_once(self) -> None:
        """Does what is due, if anything is. Problem where it cannot be stored; it is then still due."""
        now = self.engine.look_at_clock()
        with self.due_lock:
            due = self.due
            if due is None or due > now or self.engine.stopped_at is not None:
                return
            self.due = None                          # a write may note a nearer one meanwhile
        try:
            while self.engine.expire_some(now).reviewed:
                self.beat = self.engine.clock.monotonic()
                now = self.engine.look_at_clock()
            due = self.engine.next_due()
        finally:
            if due is not None:
                self.note_due(due)


class Courier(Loop):
    """Sends what is owed, each receiver on a thread of its own while something is owed to it: one that is slow or dead
    delays nobody else. Knows only which receivers wait and when to try again; what they wait for is in the outbox."""

    MOST_AT_ONCE = 32                                # receivers that are sent to at the same time

    def __init__(self, engine: Engine, base: str):
        super().__init__("sender", engine)
        self.base = base
        self.lock = threading.Lock()
        self.failures: dict[int, int] = {}           # receiver -> failures in a row
        self.tried_at: dict[int, float] = {}         # receiver -> monotonic seconds of the last attempt
        self.busy: set[int] = set()
        self.unmarked: dict[int, tuple[Receiver, tuple[Notice, ...], int]] = {}      # sent, but the store could not note it
        with engine.store.read() as tables:          # receiver -> monotonic seconds from which to try
            self.waiting: dict[int, float] = dict.fromkeys(tables.waiting_receivers(), 0.0)
        engine.store.on_owed = self.note_owed

    def note_owed(self, receivers: set[int]) -> None:
        """A commit owes something to these receivers; one that is failing keeps its time."""
        with self.lock:
            for receiver in receivers:
                self.waiting.setdefault(receiver, 0.0)
        self.woken.set()

    def run(self) -> None:
        """Until stop(): gives each receiver that is owed something, and whose time has come, a thread."""
        while not self.stopping:
            self.beat = now = self.engine.clock.monotonic()
            with self.lock:
                ready = [receiver for receiver, at in self.waiting.items() if at <= now and receiver not in self.busy]
                ready = ready[:self.MOST_AT_ONCE - len(self.busy)]
                self.busy.update(ready)
                for receiver in ready:
                    del self.waiting[receiver]       # what comes from now on is noted anew
                later = [at - now for receiver, at in self.waiting.items() if receiver not in self.busy and at > now]
            for receiver in ready:
                try:
                    threading.Thread(target=self.serve, args=(receiver,), name=f"receiver-{receiver}", daemon=True).start()
                except RuntimeError:                 # no thread can be had now
                    with self.lock:
                        self.busy.discard(receiver)
                        self.waiting[receiver] = now + 5
            self.woken.wait(min([1.0, *later]))
            self.woken.clear()

    def serve(self, seq: int) -> None:
        """Sends what waits for one receiver, until nothing does or it fails."""
        again: float | None = None
        try:
            again = self.deliver(seq)
        except Problem as problem:                   # the store cannot be used: what was sent is sent again
            log(3, f"delivery: {problem.message}")
            again = 10.0
        except Exception as error:
            again = 60.0
            log(3, f"defect: {type(error).__name__}: {error} while sending")
        finally:
            with self.lock:
                self.busy.discard(seq)
                if again is not None:
                    self.waiting[seq] = self.engine.clock.monotonic() + again
            self.woken.set()

    def deliver(self, seq: int) -> float | None:
        """Sends all that waits for a receiver; seconds to wait before trying again, None = nothing is owed."""
        while not self.stopping:
            if seq in self.unmarked:                 # not sent again: only noted
                self.engine.mark_sent(*self.unmarked[seq])
                del self.unmarked[seq]
            with self.engine.store.read() as tables:
                receiver, notices = tables.find_receiver(seq), tables.notices(seq, "waiting", MOST_LISTED, newest_first=False)
            if receiver is None or not notices:
                self.tried_at.pop(seq, None)
                self.failures.pop(seq, None)
                return None
            for message in plan_messages(notices, self.base):
                delay = self.send(receiver, message)
                if delay is not None:
                    return delay
        return None

    def send(self, receiver: Receiver, message: Message) -> float | None:
        """One attempt, and its mark in the outbox; seconds to wait where it failed."""
        started = self.engine.clock.monotonic()
        waited = round(started - self.tried_at.get(receiver.seq, started))
        self.tried_at[receiver.seq] = started
        try:
            send_message(self.engine, receiver, message, self.base)
        except Refused as refused:
            self.tried_at.pop(receiver.seq, None)    # what comes next has not waited yet
            self.engine.mark_failed(receiver, message.notices, waited, str(refused), True)
            log(4, f"receiver {receiver.id} refuses a message: {refused}")
            return None
        except Failed as failed:
            self.failures[receiver.seq] = failures = self.failures.get(receiver.seq, 0) + 1
            if self.engine.mark_failed(receiver, message.notices, waited, str(failed), False):
                self.tried_at.pop(receiver.seq, None)
            if failures in (1, 10, 100, 1000):
                log(4, f"receiver {receiver.id} could not be reached ({failures} times): {failed}")
            return max(retry_delay(failures, random.random()), failed.retry_after)
        self.failures.pop(receiver.seq, None)
        self.tried_at.pop(receiver.seq, None)
        self.unmarked[receiver.seq] = (receiver, message.notices, waited)
        self.engine.mark_sent(receiver, message.notices, waited)
        del self.unmarked[receiver.seq]
        return None

    def stop(self) -> None:
        """Starts nothing new, and gives what is under way a moment."""
        super().stop()
        deadline = self.engine.clock.monotonic() + 5
        while self.busy and self.engine.clock.monotonic() < deadline:
            time.sleep(0.05)


def send_message(engine: Engine, receiver: Receiver, message: Message, base: str) -> None:
    """Sends a message to a receiver now. Failed or Refused where it does not arrive."""
    kind = KINDS.get(receiver.type)
    if kind is None:
        raise Refused(f"receivers of type {receiver.type} cannot be sent to")

    def values() -> dict[str, str]:
        code = unpack(message.notices[-1].event.messages).get("check", "")
        with engine.store.read() as tables:
            check = tables.find_check_by_key(code, receiver.customer)
            ping = tables.find_ping(check.seq, check.n_pings) if check else None
            receivers = tables.receivers_of_checks(check.customer, check.seq).get(check.seq, []) if check else []
        shown = check and show_check(check, "3", base, receivers, engine.clock.now(), engine.listening, True)
        return placeholder_values(message, check, shown, ping)

    address = json.loads(receiver.address_data)
    try:
        kind.send(Sending(address, engine.settings, values, engine.clock.now()), message)
    except Failed as failed:
        raise Failed(scrubbed(str(failed), address, engine.settings), failed.retry_after) from None
    except Refused as refused:
        raise Refused(scrubbed(str(refused), address, engine.settings)) from None
    except Problem:
        raise
    except Exception as error:                       # a library's surprise is a failed attempt like any other
        log(3, f"defect: {type(error).__name__} while sending to a receiver of kind {receiver.type}")
        raise Failed(f"{type(error).__name__} while sending") from None


def last_words(engine: Engine, fault: str, base: str) -> None:
    """Tells that the store has failed, straight to those who hear of alerts, without the store: nobody else could. Waits as long as
    one message may take. Where there were many starts of late, it has been said."""
    starts = [span for span in engine.listening.spans if span.reason == "crash" and span.end_at > engine.clock.now() - 3_600_000]
    if len(starts) > MOST_STARTS:
        return
    with contextlib.suppress(Problem):
        with engine.store.read() as tables:
            known = [tables.find_receiver(seq) for seq in tables.hearers("", "alert_opened")]
        title = f"CRITICAL: alertlite on {socket.gethostname()} cannot store anything"
        text = f"{fault}. It ends now, to be started again; until then nothing is heard and nobody is told of anything."
        event = Event(0, new_id(), "alert_opened", "", engine.clock.now(), None, pack_object({
            "resource": socket.gethostname(), "event": "StorageFailed", "severity": "critical", "text": text}), None)
        message = message_of((Notice(0, 0, "waiting", 0, 0, None, None, event),), base)._replace(subject=title)
        threads = [threading.Thread(target=say, args=(engine, receiver, message, base), daemon=True) for receiver in known]
        for thread in threads:
            thread.start()
        deadline = engine.clock.monotonic() + engine.settings.delivery_timeout + 1
        for thread in threads:
            thread.join(max(0.0, deadline - engine.clock.monotonic()))


def say(engine: Engine, receiver: Receiver, message: Message, base: str) -> None:
    """One attempt to tell somebody; where it fails, a line of the log."""
    try:
        send_message(engine, receiver, message, base)
    except (Failed, Refused, Problem) as error:
        log(3, f"receiver {receiver.id} could not be told: {error}")


def control_key_create(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """Makes a key for whoever owns the database file, with the rights of its user unless told; the user admin too."""
    now = engine.clock.now()
    fields = Fields({name: value for name, value in request.items() if value is not None})
    if fields.values.get("user") == "":
        raise Invalid("user must not be empty")
    with engine.store.read() as tables:              # without scopes, those of the user's own roles
        user = tables.find_user(fields.name("user", "admin"))
        if "scopes" not in fields and user:
            fields.values["scopes"] = union((), (scope for role in unpack(user.roles) for scope in tables.role_scopes(role)))
    text, key = parse_key(fields, ALL_RIGHTS._replace(login="admin"), now, engine.settings.api_key_expire_days)
    if key.user == "admin" and user is None:
        engine.create_admin_user()
        if "scopes" not in fields:
            key = key._replace(scopes=pack_list(ROLE_SCOPES["admin"]))
    key = engine.create_key(key, ALL_RIGHTS)
    return {"key": text, "id": key.id, "user": key.user, "scopes": unpack(key.scopes)}


def control_key_list(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    with engine.store.read() as tables:
        keys = [engine.key_with_uses(key) for key in tables.list_keys()]
    now = engine.clock.now()
    return {"keys": [{"id": key.id, "key": key.hint + "…", "user": key.user, "scopes": unpack(key.scopes), "text": key.text,
                      "status": "expired" if key.expires_at <= now else "active", "expires": text_from_ms(key.expires_at),
                      "count": key.count} for key in keys]}


def control_key_revoke(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    try:
        engine.change_key(str(request.get("key")), ALL_RIGHTS, lambda tables, key: tables.delete_key(key.id))
    except NotFound:
        raise NotFound("not found: no key has this id or text; see: alertlite key list") from None
    return {}


def control_key_ping(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """The secret in ping addresses that name a slug, made where there is none yet."""
    return {"ping_key": engine.get_project(request.get("customer") or "").ping_key}


def control_unit_failed(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """An alert about a unit of the service manager that failed (see alertlite-notify@.service)."""
    unit, host = str(request["unit"])[:NAME_LIMIT], socket.gethostname()
    report = engine.self_report(
        f"UnitFailed {unit}"[:NAME_LIMIT], "major", "failed", f"{unit} on {host} failed; see journalctl -u {unit}", engine.settings.alert_timeout
    )._replace(service=["systemd"], group="systemd", attributes={"unit": unit}, type="unitAlert")
    return {"id": engine.receive_alert(report, ALL_RIGHTS).alert.id}


def control_backup(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    engine.store.backup(str(request["file"]))
    return {}


CONTROLS = {"key create": control_key_create, "key list": control_key_list, "key revoke": control_key_revoke,
            "key ping": control_key_ping, "backup": control_backup, "unit failed": control_unit_failed}


def run_control(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """What the command line asks of whoever holds the database; a problem is an answer too."""
    try:
        return CONTROLS[request["command"]](engine, request)
    except (Problem, StartupRefused) as problem:
        return {"error": str(problem)}
    except (KeyError, TypeError):
        return {"error": "no such command"}


def control_path(path: str) -> str:
    """The control socket beside a database; a name that is too long for one is shortened."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, (name if len(os.fsencode(name)) <= 60 else hashlib.sha256(os.fsencode(name)).hexdigest()[:32]) + ".control")


def control_address(path: str) -> tuple[str, int]:
    """The control socket's address, by its folder's descriptor: a socket's path may only be 107 bytes long."""
    folder, name = os.path.split(control_path(path))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    return f"/proc/self/fd/{descriptor}/{name}", descriptor


class Control(threading.Thread):
    """Answers the command line on a socket beside the database, which only its owner can open: one process writes."""

    def __init__(self, engine: Engine):
        super().__init__(name="control", daemon=True)
        self.engine = engine
        self.path = control_path(engine.store.path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address, folder = control_address(engine.store.path)
        mask = os.umask(0o177)
        try:
            self.socket.bind(address)
        finally:
            os.umask(mask)
            os.close(folder)
        self.socket.listen(4)

    def run(self) -> None:
        """Until stop(): a line of JSON in, a line of JSON out."""
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                if self.socket.fileno() < 0:
                    return                           # closed: the process ends
                time.sleep(1)                        # no descriptor is free
                continue
            with connection, contextlib.suppress(OSError, ValueError, RecursionError):
                connection.settimeout(2)
                with connection.makefile("rw", encoding="utf-8") as lines:
                    answer = run_control(self.engine, json.loads(lines.readline(1_000_000)))
                    lines.write(json.dumps(answer) + "\n")

    def stop(self) -> None:
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def ask_server(path: str, request: dict[str, Any]) -> dict[str, Any] | None:
    """The running server's answer to a command; None where no server runs."""
    try:
        address, folder = control_address(path)
    except FileNotFoundError:
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(600 if request["command"] == "backup" else 15)
            connection.connect(address)
            with connection.makefile("rw", encoding="utf-8") as lines:
                lines.write(json.dumps(request) + "\n")
                lines.flush()
                return json.loads(lines.readline() or '{"error": "the server did not answer"}')
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        return {"error": f"the server did not answer: {error}"}
    finally:
        os.close(folder)


TOO_LONG = re.compile("exceeds max_(body|header) of ([0-9]+)")       # in waitress' words


class JsonErrorTask(waitress.task.ErrorTask):
    """What waitress refuses by itself (too large, malformed), in the same form as every other refusal."""

    def execute(self) -> None:
        error = self.request.error
        ident, text = new_id(), TOO_LONG.sub(r"the \1 is longer than \2 bytes", error.body)
        self.status = f"{error.code} {error.reason}"
        message = f"{self.status}: {text}"
        log(4, f"refused before routing: {message}")
        body = json_text({"status": "error", "message": message, "code": error.code, "errors": [text], "requestId": ident})
        self.response_headers = [("Content-Type", "application/json"), ("X-Request-ID", ident)]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


http_date = lru_cache(maxsize=2)(waitress.utilities.build_http_date)


class Task(waitress.task.WSGITask):
    """A request, and how its answer is put together."""

    def write(self, data: bytes) -> None:
        """Header and content in one piece, where this is all there is."""
        if self.wrote_header or self.content_length != len(data):
            super().write(data)
            return
        self.wrote_header, self.content_bytes_written = True, len(data)
        self.channel.write_soon(self.build_response_header() + data)

    def build_response_header(self) -> bytes:
        """As waitress builds it, but sooner where nothing is left to be decided: names are as they should be already, and the
        length is known."""
        if self.version != "1.1" or self.content_length is None or "CONNECTION" in self.request.headers:
            return super().build_response_header()
        fields = "".join([f"{name}: {value}\r\n" for name, value in self.response_headers])
        return f"HTTP/1.1 {self.status}\r\n{fields}Date: {http_date(int(self.start_time))}\r\n\r\n".encode("latin-1")


HEADER_LINE = re.compile(rb"\n(host|transfer-encoding|content-length):([^\r\n]*)")
HOST = re.compile(rb"([a-z0-9._~-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
UNPRINTED = re.compile(rb"[\x00-\x1f\x7f]")


def is_host(text: bytes) -> bool:
    """Whether this can be a Host header: a name or an address, and perhaps a port."""
    match = HOST.fullmatch(text)
    if not match or not match[1].startswith(b"["):
        return bool(match)
    try:
        return bool(ipaddress.IPv6Address(match[1][1:-1].decode()))
    except ValueError:
        return False


def ambiguity(first_line: bytes, lines: bytes) -> str | None:
    """What two servers could read differently in the header of a request, in small letters; None = nothing."""
    found: dict[bytes, list[bytes]] = {b"host": [], b"transfer-encoding": [], b"content-length": []}
    for name, value in HEADER_LINE.findall(b"\n" + lines):
        found[name].append(value.strip(b" \t"))
    hosts, encodings = found[b"host"], found[b"transfer-encoding"]
    if len(hosts) > 1 or not hosts and not first_line.endswith(b"http/1.0"):
        return "one Host header is needed"
    if hosts and not is_host(hosts[0]):
        return "the Host header cannot be read"
    if encodings and (found[b"content-length"] or len(encodings) > 1 or b"," in encodings[0] or not encodings[0]
                      or not first_line.endswith(b"http/1.1")):
        return "the length of the body is ambiguous"
    return "the address has characters that cannot be seen" if UNPRINTED.search(first_line) else None


class StrictParser(waitress.parser.HTTPRequestParser):
    """Refuses requests that two servers could read differently (reliability notes 4.1), and addresses that cannot be read.
    Who keeps a connection mostly sends the same header again, which needs no second reading."""

    def __init__(self, adj: Any, last: dict[bytes, dict[str, Any]] | None = None):
        """last: the last header of this connection, and what was read from it."""
        super().__init__(adj)
        self.last = {} if last is None else last

    def parse_header(self, header_plus: bytes) -> None:
        """ParsingError, which is answered with 400, where the header is ambiguous."""
        known = self.last.get(header_plus)
        if known is None:
            self.last.clear()
            self.parse_new_header(header_plus)
            if not self.chunked and not self.expect_continue:
                self.last[header_plus] = {name: value for name, value in vars(self).items() if name not in ("adj", "last", "body_rcv")}
            return
        vars(self).update(known, headers=known["headers"].copy())
        if self.content_length:
            self.body_rcv = waitress.receiver.FixedStreamReceiver(
                self.content_length, waitress.buffers.OverflowableBuffer(self.adj.inbuf_overflow))

    def parse_new_header(self, header_plus: bytes) -> None:
        first_line, _, lines = header_plus.lower().partition(b"\r\n")
        problem = ambiguity(first_line, lines)
        if problem:
            raise waitress.parser.ParsingError(problem)
        try:
            super().parse_header(header_plus)
        except ValueError:
            raise waitress.parser.ParsingError("the address cannot be read") from None
        if self.path.startswith("//"):
            raise waitress.parser.ParsingError("the path begins with //")


class Channel(waitress.channel.HTTPChannel):
    """A connection, with the refusals of this server, and what its time limits need on a clock that nobody can set."""
    task_class, error_task_class = Task, JsonErrorTask
    has_served = False
    is_parked = False                                # its next request waits until the client has taken the last answer
    moved_at = 0.0                                   # when it last had a whole request, or took some of an answer

    def __init__(self, *given: Any, **named: Any):
        self.begun_at: float | None = time.monotonic()               # since when it owes the rest of a request
        self.parser_class = partial(StrictParser, last={})
        super().__init__(*given, **named)
        self.server.watch.sockets.settle(self._fileno)

    def del_channel(self, map: Any = None) -> None:
        self.server.watch.sockets.forget(self._fileno)
        super().del_channel(map)

    def service(self) -> None:
        self.has_served = True
        self.server.watch.serve_request(self, super().service)

    def send_now(self) -> None:
        """Sends what is to be sent, as far as the connection takes it."""
        with self.outbuf_lock:
            if self.total_outbufs_len:
                self._flush_exception(self._flush_some, do_close=False)

    def _flush_some(self, do_close: bool = True) -> bool:
        """Sends what the client takes, and goes on with a request that waited for that. Closes a broken connection only on the thread
        that has the watch, which sees to its descriptor."""
        sent = super()._flush_some(do_close and self.server.watch.me.has_watch)
        if sent:
            self.moved_at = time.monotonic()
        if self.is_parked and not (self.total_outbufs_len or self.will_close or self.close_when_flushed):
            self.is_parked = False
            self.server.add_task(self)
        return sent

    def received(self, data: bytes) -> bool:
        """Keeps the time of a request from its first byte to its last; that of the first one from the connection on."""
        before, now = self.request, time.monotonic()
        if before is None and not data.strip():
            return super().received(data)            # blank lines are no request, and gain no time
        if self.begun_at is None:
            self.begun_at = now
        taken = super().received(data)
        if self.request is None:
            self.begun_at, self.moved_at = None, now
        elif before is not None and self.request is not before:
            self.begun_at = now                      # the end of one request, and the beginning of the next
        return taken

    def send_continue(self) -> None:
        """Asks for the body, unless the request is refused anyway."""
        if self.request.error is not None:
            self.request.completed = True
        elif not self.request.completed:             # there is one
            super().send_continue()

    def _flush_outbufs_below_high_watermark(self) -> None:
        """No thread waits here for a client that is slow to read: see park."""

    def park(self) -> bool:
        """Puts the next request off while the client has not taken the last answer; whether it did. _flush_some goes on with it."""
        with self.outbuf_lock:
            self.is_parked = self.total_outbufs_len > 0 and self.connected
            return self.is_parked

    def handle_write(self) -> None:
        """Sends what the client takes, at once, or closes. waitress would wait for more to send while a request is served, and be told
        meanwhile, again and again, that it may send."""
        with self.outbuf_lock:                       # another thread may be sending
            self._flush_exception(self._flush_some)
            if self.will_close or self.close_when_flushed and not self.total_outbufs_len:
                self.handle_close()

    def is_overdue(self, now: float, deadline: float) -> bool:
        """Whether it keeps a request or an answer waiting too long, or has nothing to say. In seconds."""
        if self.total_outbufs_len:
            return now - self.moved_at > LONGEST_IDLE
        if self.requests:
            return False                             # it is we who owe something
        return now - self.begun_at > deadline if self.begun_at is not None else now - self.moved_at > LONGEST_IDLE

    def readable_when_fresh(self) -> bool:
        """Whether a connection that has asked nothing yet may still do so."""
        return not self.has_served and super().readable()

    def is_quick(self) -> bool:
        """Whether the request that it waits for is a report or a ping: one short write, and no password to check."""
        request = self.requests[0]
        return request.error is None and (request.path.startswith("/ping/") or request.command == "POST" and request.path in (
            "/alert", "/heartbeat")) and not request.headers.get("AUTHORIZATION", "").lower().startswith("basic")


LONGEST_IDLE = 60                                    # seconds that a connection may be kept without a request
BUSY_BODY = b'{"status": "error", "message": "too many connections from this address", "code": 503, "errors": null}'
BUSY_ANSWER = (b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
               b"Connection: close\r\n\r\n%b") % (len(BUSY_BODY), BUSY_BODY)


def accept_connection(limit: int, unlimited: str, server: Any, connection: socket.socket, address: Any, *given: Any, **named: Any) -> None:
    """Takes a new connection, unless its address has too many already: one client must not take all from the others. limit 0 and
    the address `unlimited`, which speaks for others, have no limit."""
    others = limit and isinstance(address, tuple) and address[0] != unlimited and sum(
        channel.addr[0] == address[0] for channel in list(server.active_channels.values()))
    if limit and others >= limit:
        with contextlib.suppress(OSError):
            connection.send(BUSY_ANSWER, socket.MSG_DONTWAIT)
        connection.close()
        return
    try:
        Channel(server, connection, address, *given, **named)
    except Exception as error:                       # waitress would close the socket that listens
        log(3, f"a connection could not be taken: {type(error).__name__}: {error}")
        server.watch.sockets.forget(connection.fileno())
        for known in (server.active_channels, server._map):
            known.pop(connection.fileno(), None)
        connection.close()


def refuse_in_json(application: Callable) -> Callable:
    """Around waitress' reading of a proxy's headers: what that refuses, as text, is answered like all other refusals."""
    def call(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        answers: list[Any] = []
        parts = application(environ, lambda *answer: answers.append(answer))
        if Call.MARK in environ:                     # it came as far as to us
            start_response(*answers[-1])
            return parts
        collections.deque(parts, 0)                  # it says its status only then
        status = answers[-1][0]
        body = json_text({"status": "error", "message": "the proxy's headers cannot be read", "code": int(status[:3]), "errors": None})
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return call


class StandIn(threading.Thread):
    """The second thread of the watch."""

    def __init__(self, watch: Watch):
        super().__init__(target=watch.keep, name="stand-in", daemon=True)
        self.watch = watch

    def is_alive(self) -> bool:
        """Whether it does what it should: at a stop it ends before the others."""
        return self.watch.is_over or super().is_alive()

    def problem(self) -> str | None:
        """Why nobody is served; None = the sockets are looked at."""
        silent = time.monotonic() - self.watch.looked_at
        return f"nobody has looked at the sockets for {silent:.0f} seconds" if silent > Loop.LONGEST_SILENCE else None


class Sockets:
    """The sockets of the server, waited for with epoll: a turn costs what is ready, however many are connected.

    What a socket is watched for is narrowed only when something comes that is not wanted now, and widened at once: most
    requests need no change. Only the thread that has the watch changes it; others ask for it with note.
    """

    def __init__(self, server: Any):
        self.server, self.map, self.wake = server, server._map, server.pull_trigger
        self.epoll = select.epoll()
        self.watched: dict[int, int] = {}            # descriptor -> what it is watched for
        self.changed: collections.deque[int] = collections.deque()   # to be watched for more
        for descriptor in self.map:
            self.settle(descriptor)

    @staticmethod
    def wanted(dispatcher: Any) -> int:
        """What a socket should be watched for now; 0 = for nothing, not even that its other end is gone."""
        return bool(dispatcher.readable()) * select.EPOLLIN | bool(dispatcher.writable() and not dispatcher.accepting) * select.EPOLLOUT

    def settle(self, descriptor: int) -> None:
        """Watches a socket for what is wanted. Asks again afterwards, as that may have changed meanwhile."""
        while (dispatcher := self.map.get(descriptor)) and (
                (wanted := self.wanted(dispatcher)) != (watched := self.watched.get(descriptor, 0))):
            if not watched:
                self.epoll.register(descriptor, wanted)
            elif wanted:
                self.epoll.modify(descriptor, wanted)
            else:
                self.epoll.unregister(descriptor)
            self.watched[descriptor] = wanted

    def forget(self, descriptor: int) -> None:
        """The socket is about to be closed, and its number may be another's soon. The kernel must be told: as long as a process that
        was just forked holds the socket too, it would go on watching it, under the number."""
        if self.watched.pop(descriptor, 0):
            with contextlib.suppress(OSError):
                self.epoll.unregister(descriptor)

    def note(self, dispatcher: Any) -> None:
        """From any thread, where a socket may have to be watched for more."""
        descriptor = dispatcher._fileno
        if descriptor in self.map and self.wanted(dispatcher) & ~self.watched.get(descriptor, 0):
            self.changed.append(descriptor)
            self.wake()

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """What has happened, as (descriptor, flags) each; waits for it at most so long."""
        while self.changed:
            self.settle(self.changed.popleft())
        self.settle(self.server._fileno)             # whether there is room for another connection
        return self.epoll.poll(seconds)

    def handle(self, events: list[tuple[int, int]]) -> None:
        """Reads, sends, accepts, closes."""
        for descriptor, flags in events:
            dispatcher = self.map.get(descriptor)
            wanted = dispatcher and self.wanted(dispatcher)
            if wanted:
                waitress.wasyncore.readwrite(dispatcher, flags & (wanted | select.EPOLLERR | select.EPOLLHUP))
            if not flags & (wanted or 0) & select.EPOLLIN or self.wanted(dispatcher) & ~self.watched.get(descriptor, 0):
                self.settle(descriptor)


class Keeper(threading.local):
    """What each thread knows of itself."""
    is_keeper = False                                # one of the two that take turns
    has_watch = has_floor = False
    depth = 0                                        # requests within one another
    channel: Channel | None = None                   # whose request it serves


class Watch:
    """Two threads take turns at waiting for the sockets. Who has the watch reads what comes and serves reports itself, but
    leaves the watch to the other before it waits for the disk; all other requests go to the threads of waitress.

    So a report takes no way through other threads: each hand-over costs about as much as the report itself. Reports that
    wait are served by a thread that is about to wait for a commit, within its own request, so that they share it. They
    nest like calls; only reports do, as they are quick. Of the two, one computes at a time, the one that has the floor:
    each call of SQLite or of a socket gives up the interpreter lock, and to get it back from a busy thread costs more
    than most of these calls.
    """
    DEEPEST = 16                                     # requests within one another
    PATIENCE = 0.05                                  # seconds for the floor: it is a courtesy, nothing depends on it

    def __init__(self, server: Any, deadline: float):
        """deadline: seconds in which a whole request must have arrived."""
        self.server, self.deadline = server, deadline
        self.sockets = Sockets(server)
        self.reports: collections.deque[Channel] = collections.deque()       # that have a report to be served
        self.watch, self.floor, self.serving = threading.Lock(), threading.Lock(), threading.Lock()
        self.me = Keeper()
        self.looked_at = time.monotonic()
        self.is_over = False
        server.watch, server.add_task, server.pull_trigger = self, self.add_task, self.answer

    def end(self) -> None:
        """Lets both threads end. Takes no lock: a signal's handler calls it, and may itself be interrupted by one."""
        self.is_over = True
        self.sockets.wake()

    def keep(self) -> None:
        """Takes turns at the watch until it is over."""
        self.me.is_keeper = True
        try:
            while self.take_watch() and not self.is_over:
                self.turn(1)
        finally:
            self.leave_floor()
            self.leave_watch()

    def turn(self, seconds: float) -> None:
        """Waits for the sockets, handles what came, and serves the reports. For the thread that has the watch."""
        self.leave_floor()
        events = self.sockets.wait(seconds)
        self.take_floor()
        self.sockets.handle(events)
        self.close_overdue()
        while self.reports and self.serving.acquire(blocking=False):         # else the other thread sees to them
            try:
                while self.reports:
                    self.serve_next()
            finally:
                self.serving.release()

    def take_watch(self) -> bool:
        """Waits until it has the watch; the thread sleeps until the other one steps aside. It comes round once a second: handlers
        of signals run on the main thread only, and one that came to another thread, or just before this one slept, wakes it not."""
        while not self.me.has_watch:
            self.leave_floor()
            self.me.has_watch = self.watch.acquire(timeout=1)
        return True

    def take_floor(self) -> None:
        self.me.has_floor = self.floor.acquire(timeout=self.PATIENCE)

    def leave_floor(self) -> bool:
        had, self.me.has_floor = self.me.has_floor, False
        if had:
            self.floor.release()
        return had

    def leave_watch(self) -> None:
        had, self.me.has_watch = self.me.has_watch, False
        if had:
            self.watch.release()

    def step_aside(self, call: Callable[[], Any], is_brief: bool = False) -> Any:
        """Makes a call that may take long; meanwhile the other thread waits for the sockets. is_brief: mostly it does not; then that
        is not worth its while as long as nobody else is connected."""
        if not self.me.is_keeper or is_brief and len(self.server.active_channels) < 2:
            return call()
        self.leave_watch()
        had_floor = self.leave_floor()
        try:
            return call()
        finally:
            if had_floor:
                self.take_floor()

    def add_task(self, channel: Channel) -> None:
        """Takes a request: a report to be served here, another one for the threads of waitress, and none of a client that has not taken
        its last answer."""
        if channel.park():
            return
        if not channel.is_quick():
            self.server.task_dispatcher.add_task(channel)
            return
        self.reports.append(channel)
        if not self.me.is_keeper:                    # one that came together with what a thread of waitress has served
            self.sockets.wake()

    def serve_next(self) -> None:
        """Serves the report that waits longest. Never raises: whatever happens to one, the others are to be answered."""
        try:
            channel = self.reports.popleft()
        except IndexError:                           # the other thread was faster
            return
        self.me.depth += 1
        try:
            channel.service()
        except Exception as error:
            log(3, f"defect: {type(error).__name__}: {error} while serving a report")
        finally:
            self.me.depth -= 1

    def serve_waiting(self, job: Job) -> None:
        """Serves reports that wait, until the job that the caller waits for is done."""
        while self.me.is_keeper and self.reports and not job.done and self.me.depth < self.DEEPEST:
            self.serve_next()

    def serve_request(self, channel: Channel, service: Callable[[], None]) -> None:
        """Serves a request of a connection, on any thread; answer sends what that says."""
        outer, self.me.channel = self.me.channel, channel
        try:
            service()
        finally:
            self.me.channel = outer

    def answer(self) -> None:
        """Sends what the request that is served has said so far. waitress would wake the thread that has the watch for it."""
        channel = self.me.channel
        if channel is None:                          # nobody's: it is to be woken
            self.sockets.wake()
            return
        channel.send_now()
        self.sockets.note(channel)

    def close_overdue(self) -> None:
        """Once a second: closes the connections that keep the server waiting."""
        now = time.monotonic()
        if now - self.looked_at < 1:
            return
        self.looked_at = now
        for channel in list(self.server.active_channels.values()):
            if channel.is_overdue(now, self.deadline):
                channel.handle_close()


def tell_systemd(text: str) -> None:
    """Sends a state to the service manager, where one asks for it (READY=1, WATCHDOG=1, STOPPING=1, STATUS=…)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        connection.sendto(text.encode(), "\0" + address[1:] if address[0] == "@" else address)


def systemd_socket() -> socket.socket | None:
    """The listening socket that the service manager holds, so that a restart refuses nobody; None where there is none."""
    held = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not re.fullmatch("[1-9][0-9]{0,3}", held):
        return None
    if held != "1":
        raise StartupRefused("alertlite listens on one socket; the socket unit has several")
    bound = socket.socket(fileno=3)
    if bound.family not in (socket.AF_INET, socket.AF_INET6) or bound.type != socket.SOCK_STREAM:
        raise StartupRefused("alertlite listens on a TCP address; the socket unit has something else")
    return bound


class Watchdog(threading.Thread):
    """Tells the service manager that all is well, but only while the timer and the sender moved and the writer answers;
    ends the process when one of these threads has ended, so that it is started again."""

    def __init__(self, store: Store, parts: Iterable[Any], stop: Callable[[], None], interval: float):
        """parts: what has is_alive() and problem(); stop: ends the process. interval in seconds."""
        super().__init__(name="watchdog", daemon=True)
        self.store, self.parts, self.stop_process, self.interval = store, tuple(parts), stop, interval
        self.ended = threading.Event()
        self.failed = False

    def run(self) -> None:
        while not self.ended.wait(self.interval):
            if self.check():
                tell_systemd("WATCHDOG=1")

    def check(self) -> bool:
        """Whether all is well. Where a thread has ended, nothing will be again: the process is stopped."""
        dead = [part.name for part in self.parts if not part.is_alive()]
        if dead and not self.ended.is_set():
            log(2, f"the {dead[0]} has ended unexpectedly: the process stops")
            self.failed = True
            self.stop_process()
            return False
        try:
            self.store.write(lambda tables: None)
        except Problem:                              # a full disk is answered with 507, not with a restart
            pass
        except Exception as error:
            log(3, f"defect: {type(error).__name__}: {error} when the watchdog looked")
            return False
        return not any(part.problem() for part in self.parts)


def watchdog_interval() -> float:
    """Seconds between two signs of life, a third of what the service manager waits; ten where it does not wait."""
    waits = os.environ.get("WATCHDOG_USEC", "")
    return int(waits) / 3_000_000 if re.fullmatch("[1-9][0-9]{0,11}", waits) else 10.0


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket; of a name with several addresses the first that is IPv4, else the first."""
    found = sorted(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE), key=lambda entry: entry[0] != socket.AF_INET)
    bound = socket.socket(*found[0][:2])
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(found[0][4])
    except OSError:
        bound.close()
        raise
    return bound


OTHER_FILES = 150                                    # descriptors that are needed for more than connections


def room_for_connections(wanted: int) -> int:
    """How many connections can be had at the same time, of those wanted: each needs a descriptor, and without one the server would
    try in vain, again and again, to take the next."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted + OTHER_FILES and soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted + OTHER_FILES if hard < 0 else min(wanted + OTHER_FILES, hard), hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted if soft < 0 else max(1, min(wanted, soft - OTHER_FILES))


def waitress_settings(settings: SimpleNamespace) -> dict[str, Any]:
    """What waitress is told: its defaults that do not suit a LAN are replaced."""
    never = 10**11                                   # seconds from 1970 on: a clock that begins there and is set right passes 10**9
    return {"threads": settings.threads, "connection_limit": room_for_connections(settings.connection_limit), "send_bytes": 18_000,
            "cleanup_interval": never, "channel_timeout": never, "inbuf_overflow": settings.body_limit + 1, "outbuf_overflow": 2**22,
            "asyncore_use_poll": True, "ident": None, "max_request_body_size": settings.body_limit,
            "max_request_header_size": settings.header_limit, "log_socket_errors": False,
            "clear_untrusted_proxy_headers": bool(settings.trusted_proxy)}           # else nobody reads them


def make_server(api: Callable, settings: SimpleNamespace, host: str, port: int, bound: socket.socket | None = None) -> Any:
    """The web server, listening but not yet serving. bound: a socket that listens already, instead of one on host and port."""
    proxy = {"trusted_proxy": settings.trusted_proxy, "trusted_proxy_count": 1,
             "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)          # send_bytes: see the performance notes
        server = waitress.server.create_server(api, sockets=[bound or listening_socket(host, port)], **waitress_settings(settings),
                                               **(proxy if settings.trusted_proxy else {}))
    if settings.trusted_proxy:
        server.application = refuse_in_json(server.application)
    server.channel_class = partial(accept_connection, settings.address_limit, settings.trusted_proxy)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)      # a short queue is no news
    return server


FRESH = 0.5                                          # seconds that a new connection has, at a stop, to say what it wants


def run_server(server: Any, patience: float = 10) -> None:
    """Serves until its watch is over; then accepts nothing more, and answers what was received, within patience seconds.
    A connection that was just accepted has a moment to send its request, as nobody else would answer it."""
    watch = server.watch

    def turn() -> None:
        watch.take_watch()
        watch.turn(0.05)

    watch.keep()
    watch.take_watch()
    server.accepting = False
    watch.sockets.settle(server._fileno)             # closing would not do: the service manager may hold the socket too
    server.del_channel()
    server.socket.close()
    started = time.monotonic()
    for channel in server.active_channels.values():
        channel.readable = lambda channel=channel: time.monotonic() < started + FRESH and channel.readable_when_fresh()
    while time.monotonic() < started + FRESH and any(not channel.has_served for channel in list(server.active_channels.values())):
        turn()
    while time.monotonic() < started + patience and any(
            channel.requests or channel.total_outbufs_len for channel in list(server.active_channels.values())):
        turn()
    server.task_dispatcher.shutdown()


# ================================================================================================================ MAIN
# The command line.

def parse_listen(text: str) -> tuple[str, int]:
    """(host, port) of HOST:PORT; ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"setting listen: {text!r} is not HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(settings: SimpleNamespace, host: str) -> None:
    """Without authentication everybody who reaches the port may do everything: only on this machine, unless told."""
    if not settings.auth and not is_loopback(host) and not settings.insecure:
        raise StartupRefused(f"auth=off would let everybody who reaches {host} do everything. Listen on 127.0.0.1, "
                             "turn authentication on, or say --insecure on if that is what you want.")


def settle_memory() -> None:
    """Gives back what compiling this file took, and spares the collector what is here to stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    with contextlib.suppress(AttributeError, OSError):               # a C library without it
        ctypes.CDLL(None).mallopt(-8, 2)             # M_ARENA_MAX: else each thread that ever sent something keeps memory of its own
        ctypes.CDLL(None).malloc_trim(0)


def announce(text: str) -> None:
    """Tells who started the server. Where that cannot be written, the log being on a full disk, say, the server is needed no less."""
    try:
        print(text, flush=True)
    except OSError:
        sys.stdout = None                            # else Python tries again at the end, and fails


def introduce(engine: Engine, settings: SimpleNamespace, host: str, port: int) -> None:
    """Makes the first key where there is none, and says how to begin."""
    shown_host = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host
    address = settings.base_url.rstrip("/") or f"http://{shown_host}:{port}"
    announce(f"alertlite {__version__} listens on {address}\ndatabase: {settings.db}")
    key = settings.admin_key
    if key:
        engine.create_admin(key)
        key = "$ALERTLITE_ADMIN_KEY"
    elif settings.auth and not engine.store.has_keys():
        key = show_first_key(engine, settings)
    if key or not settings.auth:
        header = f' -H "Authorization: Key {key}"' if settings.auth else ""
        announce("Try it, in another terminal:\n"
                 f"  curl{header} {address}/alert -d '{{\"resource\": \"web01\", \"event\": \"HttpError\", \"severity\": \"major\"}}'")


def show_first_key(engine: Engine, settings: SimpleNamespace) -> str:
    """Makes the administrator's key; shows it on a terminal, else keeps it in a file for its owner. Returns how to name it."""
    key = new_key()
    if sys.stdout and sys.stdout.isatty():
        engine.create_admin(key)
        announce(f"admin key (shown only now): {key}")
        return key
    path = settings.db + ".admin-key"
    pathlib.Path(path).unlink(missing_ok=True)       # an older file might be open to others
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(key + "\n")
    engine.create_admin(key)
    announce(f"admin key (written now, once; move it to a safe place): {path}")
    return f"$(cat {shlex.quote(path)})"


def read_event_types(path: str) -> list[EventType]:
    """The event types of the operator's file; ValueError where it cannot be used."""
    if not path:
        return []
    try:
        return parse_event_types(pathlib.Path(path).read_text(encoding="utf-8", errors="surrogateescape"), path)
    except OSError as error:
        raise ValueError(f"event types file {path}: {error.strerror}") from None


def serve(settings: SimpleNamespace) -> int:
    """Runs the server until it is told to stop; its exit status."""
    for number in (signal.SIGTERM, signal.SIGINT):   # until it can do better
        signal.signal(number, lambda *_: sys.exit(0))
    bound = systemd_socket()
    host, port = bound.getsockname()[:2] if bound else parse_listen(settings.listen)
    check_exposure(settings, host)
    if settings.admin_key and len(settings.admin_key) < 16:
        raise ValueError("setting admin_key: must have at least 16 characters")
    store = Store(settings.db, settings.read_deadline, settings.size_limit, repairs=True)
    try:
        engine = Engine(store, Clock(), settings, read_event_types(settings.event_types))
        engine.begin_listening()
        return serve_engine(engine, host, port, bound)
    except Problem as problem:
        if store.fault or is_fatal(problem.__cause__):
            log(1, f"the database fails: {store.fault or problem.__cause__}")
            return STORE_FAILED
        raise
    finally:
        store.close()


def serve_engine(engine: Engine, host: str, port: int, bound: socket.socket | None) -> int:
    """Runs the threads around an engine, and the web server, until a signal or a fault; the exit status. bound: see make_server."""
    store, settings = engine.store, engine.settings
    timer = Timer(engine)
    courier = Courier(engine, settings.base_url.rstrip("/") or f"http://{settings.listen}")
    try:
        server = make_server(Api(engine, settings, lambda: timer.problem() or courier.problem()), settings, host, port, bound)
    except (OSError, ValueError) as error:
        raise StartupRefused(f"cannot listen on {settings.listen}: {error}", 69) from None
    watch = Watch(server, settings.request_deadline)

    def stop(*_: Any) -> None:
        engine.stop_listening()
        store.busy_timeout = 1000                    # milliseconds: the service manager waits for us
        watch.end()

    store.serve_waiting, store.step_aside, store.on_fault = watch.serve_waiting, watch.step_aside, stop
    control = Control(engine)
    stand_in = StandIn(watch)
    watchdog = Watchdog(store, (timer, courier, stand_in), stop, watchdog_interval())
    settle_memory()
    for number in (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL else [])):
        signal.signal(number, stop)                  # a terminal that is closed is a stop too, unless nohup said otherwise
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)
    introduce(engine, settings, host, int(server.effective_port))
    for thread in (timer, courier, control, stand_in, watchdog):
        thread.start()
    tell_systemd(f"READY=1\nSTATUS=listening on {host} port {server.effective_port}")
    run_server(server)                               # until SIGTERM, Ctrl-C or a fault
    tell_systemd("STOPPING=1")
    watchdog.ended.set()
    for thread in (control, timer, courier):
        thread.stop()
    return end_service(engine, courier.base) or (70 if watchdog.failed else 0)


def end_service(engine: Engine, base: str) -> int:
    """What is to be stored or said at the end; the exit status that this gives."""
    if engine.store.fault:
        last_words(engine, engine.store.fault, base)
        return STORE_FAILED
    try:
        engine.store_signs()
        engine.flush_uses()
        engine.flush_metrics()
        engine.end_listening()
    except Problem as problem:                       # the next start takes the time since the disk was full for not listened to
        lost = f"; {len(engine.signs)} signs of life are lost" if engine.signs else ""
        log(2, f"the time of the stop is not stored{lost}: {problem.message}")
    return STORE_FAILED if engine.store.fault else 0


def run_command(settings: SimpleNamespace, request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a command of the command line: of the running server, or given here where none runs."""
    for patience in range(20, -1, -1):
        answer = ask_server(settings.db, request)
        if answer is not None:
            return answer
        try:
            store = Store(settings.db, settings.read_deadline)
        except StartupRefused as refused:
            if refused.code != LOCKED or not patience:
                raise
            time.sleep(0.25)                         # a server that is just starting or stopping
            continue
        try:
            return run_control(Engine(store, Clock(), settings), request)
        finally:
            store.close()
    raise AssertionError("the last attempt answers or raises")


def run_key_command(settings: SimpleNamespace, arguments: argparse.Namespace) -> int:
    """key create, list, revoke: asks the running server, or does it itself where none runs."""
    request = {"command": f"key {arguments.action}", **{name: getattr(arguments, name, None) for name in (
        "user", "scopes", "type", "text", "expireTime", "customer", "key")}}
    if arguments.action not in ("create", "ping") and not any(map(os.path.exists, (settings.db, settings.db + ".lock"))):
        raise StartupRefused(f"there is no database {settings.db}")
    was_there = os.path.exists(settings.db)
    answer = run_command(settings, request)
    if "error" in answer:
        print(f"alertlite: {answer['error'].replace('expireTime', '--expires')}", file=sys.stderr)
        return 1
    print_key_answer(arguments.action, answer)
    if arguments.action in ("create", "ping"):       # who is in the wrong folder has made another one
        print(f"database: {settings.db}{'' if was_there else ' (new)'}")
    return 0


def run_backup(settings: SimpleNamespace, target: str) -> int:
    """backup FILE: by the running server, or here where none runs."""
    target = os.path.abspath(target)
    if not os.path.exists(settings.db):
        raise StartupRefused(f"there is no database {settings.db}", 66)
    if os.path.exists(target) and os.path.samefile(target, settings.db):
        raise StartupRefused(f"{target} is the database itself", 73)
    answer = run_command(settings, {"command": "backup", "file": target})
    if "error" in answer:
        raise StartupRefused(answer["error"], 74)
    print(f"{target}: {os.path.getsize(target)} bytes, verified")
    return 0


def report_unit(settings: SimpleNamespace, unit: str) -> int:
    """unit-failed UNIT: for systemd's OnFailure=."""
    answer = run_command(settings, {"command": "unit failed", "unit": unit})
    print(answer.get("error") or f"alert {answer['id']}", file=sys.stderr if "error" in answer else sys.stdout)
    return 1 if "error" in answer else 0


def check_backup(settings: SimpleNamespace, path: str) -> int:
    """restore --check FILE."""
    print(f"{path} is whole (schema {check_copy(path)}). To restore it: stop the server, move {settings.db}, {settings.db}-wal and\n"
          f"{settings.db}-shm away, copy this file to {settings.db}, and start the server.")
    return 0


def plain(text: str) -> str:
    """Text from outside for a terminal: what is no plain letter there is shown as Python writes it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def print_key_answer(action: str, answer: dict[str, Any]) -> None:
    if action == "create":
        print(f"key (shown only now): {answer['key']}\nuser: {answer['user']}\nscopes: {', '.join(answer['scopes'])}")
    elif action == "list":
        for key in answer["keys"]:
            print(plain(f"{key['id']}  {key['key']}  {key['status']:7}  until {key['expires'][:10]}  used {key['count']}  "
                        f"{key['user']}  {','.join(key['scopes'])}  {key['text']}"))
    elif action == "ping":
        print(f"ping key: {answer['ping_key']}\nping address: /ping/{answer['ping_key']}/<slug of the check>")
    else:
        print("revoked")


def print_settings(settings: SimpleNamespace) -> int:
    """Every setting with its effective value; secrets are not shown."""
    for setting in SETTINGS:
        value = getattr(settings, setting.name)
        shown = "***" if setting.secret and value else ",".join(value) if isinstance(value, tuple) else value
        shown = ("on" if value else "off") if isinstance(value, bool) else shown
        print(f"{setting.name:22} {str(shown):24} {setting.help}")
    return 0


def command_line() -> argparse.ArgumentParser:
    """What can be typed: commands, and a flag for every setting that is not a secret."""
    parser = argparse.ArgumentParser(prog="alertlite", description="An alert server and dead man's switch for one small host.",
                                     epilog="Every flag is also an environment variable: --base-url is ALERTLITE_BASE_URL.")
    parser.add_argument("--version", action="version", version=f"alertlite {__version__}")
    flags = argparse.ArgumentParser(add_help=False)
    for setting in SETTINGS:
        if setting.secret:
            continue                                 # a secret on the command line could be read by every user
        bare = {"nargs": "?", "const": "on"} if setting.convert is as_flag else {}
        default = f" (default: {setting.default})" if setting.default else ""
        flags.add_argument("--" + setting.name.replace("_", "-"), dest=setting.name, metavar="VALUE", **bare,
                           help=(setting.help + default).replace("%", "%%"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", parents=[flags], help="run the server")
    commands.add_parser("settings", parents=[flags], help="print the settings in effect")
    backup = commands.add_parser("backup", parents=[flags], help="write a verified copy of the database, also while the server runs")
    backup.add_argument("file", help="the copy; replaced where it exists")
    failed = commands.add_parser("unit-failed", parents=[flags], help="raise an alert about a systemd unit that failed (for OnFailure=)")
    failed.add_argument("unit", help="its name")
    restore = commands.add_parser("restore", help="verify a copy, and say how to put it in place")
    restore.add_argument("--check", dest="file", metavar="FILE", required=True, help="the copy to verify")
    actions = commands.add_parser("key", help="create, list or revoke keys").add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", parents=[flags], help="make a key and print it once")
    create.add_argument("--user", default="admin", help="login that the key belongs to (default: admin)")
    create.add_argument("--scope", dest="scopes", action="append", choices=SCOPES, metavar="SCOPE",
                        help="a right, may be repeated: read, write, admin, write:alerts, … (default: what the user may do)")
    create.add_argument("--text", help="what the key is for")
    create.add_argument("--customer", help="confine the key to one customer")
    create.add_argument("--expires", dest="expireTime", metavar="TIME", help="2030-01-01T00:00:00.000Z (default: in a year)")
    actions.add_parser("list", parents=[flags], help="list the keys, without the keys themselves")
    ping = actions.add_parser("ping", parents=[flags], help="print the key for ping addresses that name a check by its slug")
    ping.add_argument("--customer", help="whose checks (default: those that belong to nobody in particular)")
    actions.add_parser("revoke", parents=[flags], help="end a key").add_argument("key", help="its id, or the key itself")
    return parser


def main(argv: list[str] | None = None) -> int:
    """The program; returns its exit status (sysexits.h)."""
    arguments = command_line().parse_args(argv)
    given = {setting.name: getattr(arguments, setting.name, None) for setting in SETTINGS}
    os.umask(0o077)                                  # the database holds what nobody else should read
    with contextlib.suppress(AttributeError):        # there is no output at all
        sys.stdout.reconfigure(errors="backslashreplace")            # a terminal that knows no … is told all the same
    try:
        settings = load_settings({name: value for name, value in given.items() if value is not None}, dict(os.environ))
        if arguments.command == "serve":
            return serve(settings)
        if arguments.command == "settings":
            return print_settings(settings)
        if arguments.command == "backup":
            return run_backup(settings, arguments.file)
        if arguments.command == "unit-failed":
            return report_unit(settings, arguments.unit)
        if arguments.command == "restore":
            return check_backup(settings, arguments.file)
        return run_key_command(settings, arguments)
    except (StartupRefused, ValueError) as refused:
        print(f"alertlite: {refused}", file=sys.stderr)
        return getattr(refused, "code", 78)
    except BrokenPipeError:                          # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        print(f"alertlite: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        return 74
    except Problem as problem:                       # the disk is full, or another program holds the database
        print(f"alertlite: {problem.message}", file=sys.stderr)
        return 75


if __name__ == "__main__":
    sys.exit(main())
