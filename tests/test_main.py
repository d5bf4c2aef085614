"""The command line as its user sees it: help, settings, the first start, keys, refusals."""
from __future__ import annotations

import base64
import contextlib
import io
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

import alertlite

pytestmark = pytest.mark.slow                      # each test starts processes; continuous integration runs them all

PROGRAM = str(pathlib.Path(alertlite.__file__))


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    """The command line, in an environment without settings but these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ALERTLITE_") and name != "STATE_DIRECTORY"}
    return subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, timeout=20, env={**clean, **env})


def call(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    """The same in this process, which is quicker; for what ends by itself."""
    out, err, mask = io.StringIO(), io.StringIO(), os.umask(0o022)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("ALERTLITE_") or name == "STATE_DIRECTORY"]:
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        try:
            code = alertlite.main(list(arguments))
        except SystemExit as end:
            code = end.code
        finally:
            os.umask(mask)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def key_command(server: Any, *arguments: str, code: int = 0) -> str:
    """What a key command for a server's database says."""
    ended = call("key", *arguments, "--db", str(server.db))
    assert ended.returncode == code, ended
    return ended.stdout + ended.stderr


def created_key(server: Any, *arguments: str) -> str:
    return re.search(r"^key \(shown only now\): (\S{32})$", key_command(server, "create", *arguments), re.M)[1]


def status_with(server: Any, key: str, method: str = "GET", path: str = "/alerts", body: Any = None) -> int:
    return server.request(method, path, body, key=key).status


def mode_of(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# --- help and settings

def test_help_names_the_commands_and_every_flag() -> None:
    for arguments in ((), ("serve",), ("settings",), ("key",), ("key", "create"), ("key", "list"), ("key", "revoke")):
        ended = call(*arguments, "--help", COLUMNS="400")
        assert ended.returncode == 0 and ended.stdout.startswith("usage: alertlite"), ended
        if not arguments:
            assert all(command in ended.stdout for command in ("serve", "settings", "key", "ALERTLITE_BASE_URL"))
        if arguments == ("serve",):
            for setting in alertlite.SETTINGS:
                flag = "--" + setting.name.replace("_", "-")
                text = " ".join(ended.stdout.partition("options:")[2].split())
                assert bool(re.search(rf"{flag} \S+ {re.escape(setting.help)}", text)) != setting.secret, flag
            assert "--admin-key" not in ended.stdout, "every user of the machine can read a command line"


def test_version_is_that_of_the_module() -> None:
    assert run("--version").stdout == f"alertlite {alertlite.__version__}\n"


@pytest.mark.parametrize("arguments", [
    (), ("dance",), ("serve", "--no-such-flag"), ("key",), ("key", "revoke"), ("serve", "--admin-key", "x" * 20)])
def test_a_wrong_command_line_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    ended = call(*arguments)
    assert ended.returncode == 2 and "usage: alertlite" in ended.stderr


def test_settings_shows_all_in_effect_and_hides_the_admin_key(tmp_path: pathlib.Path) -> None:
    ended = run("settings", "--threads", "7", "--require-service", ALERTLITE_THREADS="9", ALERTLITE_ADMIN_KEY="not-for-your-eyes-0001",
                ALERTLITE_CORS_ORIGINS="http://a, http://b", STATE_DIRECTORY=f"{tmp_path}:/other")
    shown = {line.split()[0]: line.split()[1] for line in ended.stdout.splitlines()}
    assert ended.returncode == 0 and set(shown) == {setting.name for setting in alertlite.SETTINGS}
    assert "not-for-your-eyes" not in ended.stdout + ended.stderr
    assert [shown[name] for name in ("threads", "admin_key", "auth", "require_service", "cors_origins", "db")] == [
        "7", "***", "on", "on", "http://a,http://b", f"{tmp_path}/alertlite.db"]


def bad_values() -> list[tuple[str, str, str]]:
    """(setting, value, why it is refused), for every setting that can be wrong by itself."""
    rows = [("listen", "8080", "no host"), ("listen", "localhost:", "no port"), ("listen", "localhost:70000", "no such port"),
            ("listen", "localhost:http", "a port is a number"), ("admin_key", "short", "could be guessed"),
            ("default_environment", "", "alerts would have none")]
    for setting in alertlite.SETTINGS:
        if setting.convert is alertlite.as_flag:
            rows += [(setting.name, "maybe", "neither on nor off")]
        if setting.convert is alertlite.as_whole_number:
            rows += [(setting.name, value, why) for value, why in (
                ("-1", "negative"), ("1.5", "not whole"), ("many", "no number"), ("", "nothing"), ("9" * 13, "absurd"),
                ("\uff11", "a digit, but not ASCII"))]
    return rows


def refused_setting(name: str, value: str, way: str, *more: str) -> str:
    """What is said about a setting; where nothing is wrong with it, that the folder of the database does not exist."""
    if way == "flag":
        more += (f"--{name.replace('_', '-')}={value}",)
    ended = call("serve", "--db", "/nowhere/alertlite.db", *more, **({} if way == "flag" else {"ALERTLITE_" + name.upper(): value}))
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (78, "", 1), (name, value, ended)
    return ended.stderr


@pytest.mark.parametrize("way", ["flag", "environment"])
def test_a_bad_setting_is_named(way: str) -> None:
    for name, value, why in bad_values():
        if value == "" and way == "environment":
            continue                                 # an empty variable is one that is not set
        more = ["--allowed-environments", "Production,Test"] if name == "default_environment" else []
        said = refused_setting(name, value, "environment" if name == "admin_key" else way, *more)
        assert said.startswith(f"alertlite: setting {name}: "), (name, value, why, said)
    assert "nowhere" in refused_setting("threads", "8", way), "a good one passes"


def test_a_setting_that_would_stop_the_service_is_refused() -> None:
    rows = [
        ("threads", "0", "nobody would serve a request"), ("connection_limit", "0", "nobody could connect"),
        ("header_limit", "0", "every request would be too large"), ("url_limit", "0", "every address would be too long"),
        ("api_key_expire_days", "99999999", "a key would end after the year 9999, which no answer could show"),
    ]
    accepted = [row for row in rows if f"setting {row[0]}: " not in refused_setting(*row[:2], "flag")]
    assert accepted == []


def test_an_empty_auth_does_not_turn_authentication_off() -> None:
    ended = call("settings", ALERTLITE_AUTH="")       # what a missing variable becomes in a compose file
    assert ended.returncode == 78 or re.search(r"^auth +on ", ended.stdout, re.M), ended


# --- the first start

@pytest.fixture
def first(make_server: Any) -> Any:
    """A server whose administrator has not chosen a key."""
    return make_server(ALERTLITE_ADMIN_KEY="")


def printed_curl(server: Any) -> str:
    return re.search(r"^  (curl .*)$", server.output(), re.M)[1]


def run_curl(line: str, env: dict[str, str]) -> str:
    """The status that the printed line is answered with."""
    if not shutil.which("curl"):
        pytest.skip("there is no curl here")
    ended = subprocess.run(["sh", "-c", line + " -s -o /dev/null -w '%{http_code}'"], capture_output=True, text=True, timeout=20, env=env)
    assert ended.stderr == "", ended
    return ended.stdout


def test_the_first_start_says_where_it_is_and_how_to_begin(first: Any) -> None:
    first.start()
    key_file = f"{first.db}.admin-key"
    address, database, notice, invitation, curl = first.output().splitlines()
    assert address == f"alertlite {alertlite.__version__} listens on {first.url}"
    assert database == f"database: {first.db}"
    assert notice.startswith("admin key (written now, once") and notice.endswith(key_file)
    assert invitation.startswith("Try it") and first.url in curl
    assert run_curl(printed_curl(first), first.env) == "201"
    key = pathlib.Path(key_file).read_text().strip()
    assert len(key) == 32 and first.request("GET", "/alerts", key=key).json["total"] == 1
    assert key not in first.output(), "a log is no place for a key"


@pytest.mark.parametrize(("env", "header"), [
    ({}, "Key $ALERTLITE_ADMIN_KEY"), ({"ALERTLITE_AUTH": "off", "ALERTLITE_ADMIN_KEY": ""}, None),
], ids=["own-key", "auth-off"])
def test_the_printed_line_works_with_other_settings_too(make_server: Any, env: dict[str, str], header: str | None) -> None:
    server = make_server(**env).start()
    line = printed_curl(server)
    assert ("Authorization" in line) == bool(header) and (header or "") in line
    assert run_curl(line, server.env) == "201"
    assert "admin key" not in server.output() and server.key not in server.output()


def test_the_printed_line_works_in_a_folder_with_a_blank_in_its_name(make_server: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "my alerts' folder"
    folder.mkdir()
    server = make_server(ALERTLITE_ADMIN_KEY="", ALERTLITE_DB=str(folder / "alertlite.db")).start()
    assert run_curl(printed_curl(server), server.env) == "201"


def test_a_base_url_is_what_the_line_names(make_app: Any, capsys: Any) -> None:
    app = make_app(base_url="https://alerts.example/", admin_key="an-own-key-of-24-characters")
    alertlite.introduce(app.engine, app.settings, "127.0.0.1", 8080)
    printed = capsys.readouterr().out
    assert " https://alerts.example/alert -d " in printed and "127.0.0.1" not in printed


def test_the_admin_key_is_made_once_and_for_its_owner_only(first: Any) -> None:
    key_file = pathlib.Path(f"{first.db}.admin-key")
    first.start()
    assert mode_of(key_file) == 0o600
    key = key_file.read_text().strip()
    key_file.unlink()                                # moved to a safe place
    first.stop()
    first.start()
    assert first.output().count("admin key") == 1 and not key_file.exists()
    assert status_with(first, key) == 200


def test_a_key_file_that_others_could_read_is_closed_to_them(app: Any, tmp_path: pathlib.Path, capsys: Any) -> None:
    key_file = tmp_path / "alertlite.db.admin-key"
    key_file.write_text("left over\n")
    key_file.chmod(0o644)
    alertlite.show_first_key(app.engine, app.settings)
    assert mode_of(key_file) == 0o600
    assert app.call("GET", "/alerts", key=key_file.read_text().strip()).status == 200


def test_on_a_terminal_the_key_is_shown_and_not_written(first: Any) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, PROGRAM, "serve", "--listen", f"127.0.0.1:{first.port}"], env=first.env,
                               stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while b"curl" not in seen:
            seen += os.read(ours, 4096)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
        os.close(ours)
    shown = re.search(rb"admin key \(shown only now\): (\S{32})", seen)[1].decode()
    assert code == 0 and not os.path.exists(f"{first.db}.admin-key")
    first.start()
    assert status_with(first, shown) == 200


def test_files_are_for_their_owner_only(make_server: Any) -> None:
    mask = os.umask(0o022)
    try:
        server = make_server(ALERTLITE_ADMIN_KEY="").start()
    finally:
        os.umask(mask)
    assert status_with(server, "x" * 32) == 401
    modes = {path.name: mode_of(path) for path in server.folder.iterdir() if path != server.log}
    assert {"alertlite.db", "alertlite.db-wal", "alertlite.db.control", "alertlite.db.admin-key"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_a_database_that_the_key_command_makes_is_for_its_owner_only(tmp_path: pathlib.Path) -> None:
    mask = os.umask(0o022)
    try:
        assert run("key", "create", "--db", str(tmp_path / "a.db")).returncode == 0
    finally:
        os.umask(mask)
    assert {path.name: oct(mode_of(path)) for path in tmp_path.iterdir() if mode_of(path) & 0o077} == {}


def test_a_database_is_one_whatever_it_is_called(make_server: Any, tmp_path: pathlib.Path) -> None:
    server = make_server().start()
    link = tmp_path / "link.db"
    link.symlink_to(server.db)
    refused = run("serve", "--listen", "127.0.0.1:0", "--db", str(link))
    assert (refused.returncode, "another alertlite is using" in refused.stderr) == (75, True), refused
    made = call("key", "create", "--db", str(link)).stdout
    assert f"database: {server.db}\n" in made, "the running server was asked"
    assert status_with(server, re.search(r"only now\): (\S{32})$", made, re.M)[1]) == 200
    link.unlink()
    link.symlink_to(tmp_path / "not mounted" / "alertlite.db")
    refused = run("serve", "--listen", "127.0.0.1:0", "--db", str(link))
    assert refused.returncode == 78 and "not mounted does not exist" in refused.stderr and link.is_symlink(), refused


def test_a_key_made_in_the_wrong_folder_says_so(tmp_path: pathlib.Path) -> None:
    made = [call("key", "create", "--db", str(tmp_path / "x.db")).stdout.splitlines()[-1] for _ in range(2)]
    assert made == [f"database: {tmp_path}/x.db (new)", f"database: {tmp_path}/x.db"]
    assert call("key", "create", "--user", "", "--db", str(tmp_path / "x.db")).returncode == 1


def test_a_text_of_a_key_cannot_forge_the_list(tmp_path: pathlib.Path) -> None:
    call("key", "create", "--text", "a\x1b[31mb\nc ü", "--db", str(tmp_path / "x.db"))
    listed = call("key", "list", "--db", str(tmp_path / "x.db")).stdout
    assert listed.count("\n") == 1 and listed.endswith("a\\x1b[31mb\\nc ü\n"), listed
    assert "\\u2026" in run("key", "list", "--db", str(tmp_path / "x.db"), PYTHONIOENCODING="ascii").stdout


def test_a_name_that_is_too_long_for_a_socket_is_none_for_a_database(make_server: Any, tmp_path: pathlib.Path) -> None:
    path = tmp_path / ("n" * 200)
    server = make_server(ALERTLITE_DB=str(path))
    server.db = path
    server.start()
    assert status_with(server, created_key(server)) == 200 and server.stop() == 0
    assert not list(tmp_path.glob("*.control"))


@pytest.mark.parametrize(("arguments", "lay", "code", "text"), [
    (("serve", "--listen", "127.0.0.1:0"), lambda path: path.with_name("x.db.new").mkdir(), 74, "x.db.new"),
    (("serve", "--listen", "127.0.0.1:0"), lambda path: path.with_name("x.db.admin-key").mkdir(), 74, "x.db.admin-key"),
    (("backup", "copy.db"), lambda path: pathlib.Path("copy.db").touch(), 66, "there is no database"),
    (("serve", "--listen", "127.0.0.1:0"), lambda path: path.with_name("x.db.lock").mkdir(), 78, "x.db.lock"),
], ids=["a folder in the way", "a folder for the key", "a copy of nothing", "a folder for the lock"])
def test_what_stands_in_the_way_is_named_and_is_no_traceback(tmp_path: pathlib.Path, monkeypatch: Any, arguments: tuple[str, ...], lay: Any,
                                                            code: int, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    lay(tmp_path / "x.db")
    ended = run(*arguments, "--db", str(tmp_path / "x.db"))
    assert ended.returncode == code and text in ended.stderr and "Traceback" not in ended.stderr, ended


def test_a_password_in_a_setting_that_cannot_be_read_is_not_shown() -> None:
    ended = call("settings", ALERTLITE_SMTP_URL="smtp://u:pa#ss@h:25")
    assert ended.returncode == 78 and "%23" in ended.stderr and "'pa'" not in ended.stderr, ended


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGHUP, True), (signal.SIGUSR1, False), (signal.SIGUSR2, False)])
def test_other_signals_are_a_stop_or_nothing(make_server: Any, number: int, ends: bool) -> None:
    before = signal.signal(number, signal.SIG_DFL)   # who was told to ignore it, as under nohup, goes on ignoring it
    server = make_server().start()
    signal.signal(number, before)
    server.process.send_signal(number)
    if ends:
        assert server.process.wait(20) == 0 and not os.path.exists(f"{server.db}-wal")
    else:
        assert server.request("GET", "/healthz").status == 200 and server.stop() == 0


def test_a_stop_before_the_server_is_up_is_quiet(make_server: Any) -> None:
    for delay in (0.2, 0.3, 0.4):
        server = make_server()
        process = subprocess.Popen([sys.executable, PROGRAM, "serve", "--listen", f"127.0.0.1:{server.port}"], env=server.env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[1]
        assert process.returncode in (0, -signal.SIGTERM) and "Traceback" not in said, said


def test_a_very_deep_folder_is_as_good_as_any(make_server: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / ("deep" * 40) / ("deeper" * 30)
    folder.mkdir(parents=True)
    server = make_server(ALERTLITE_DB=str(folder / "alertlite.db"))
    server.db = folder / "alertlite.db"
    server.start()
    assert len(f"{server.db}.control") > 300, "longer than the address of a socket may be"
    key = created_key(server)
    assert status_with(server, key) == 200, "the running server was asked"
    assert server.stop() == 0 and not os.path.exists(f"{server.db}.control")
    assert key[:6] in key_command(server, "list")


# --- refusals

@pytest.mark.parametrize("listen", ["0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "alerts.example:0", "0:0"])
def test_no_authentication_is_for_this_machine_only(listen: str) -> None:
    for arguments, env in ((("--auth", "off"), {}), ((), {"ALERTLITE_AUTH": "off"})):
        ended = call("serve", "--db", "/nowhere/alertlite.db", "--listen", listen, *arguments, **env)
        assert (ended.returncode, ended.stdout) == (78, "")
        assert ended.stderr.startswith("alertlite: auth=off ") and ended.stderr.count("\n") == 1


def test_no_authentication_elsewhere_must_be_asked_for(make_server: Any) -> None:
    server = make_server(ALERTLITE_AUTH="off", ALERTLITE_INSECURE="on", ALERTLITE_ADMIN_KEY="")
    server.process = subprocess.Popen([sys.executable, PROGRAM, "serve", "--listen", f"0.0.0.0:{server.port}"], env=server.env,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert server.request("GET", "/alerts", key=None).status == 200
            return
        except OSError:
            time.sleep(0.02)
    pytest.fail("it does not answer")


def test_localhost_may_be_two_addresses(make_server: Any, tmp_path: pathlib.Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost ip6-localhost\n")        # as Debian has it
    apart = ["unshare", "-rm", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], capture_output=True).returncode:
        apart = []                                   # then localhost is what this machine says it is
    server = make_server()
    with open(server.log, "wb") as log:
        server.process = subprocess.Popen([*apart, sys.executable, PROGRAM, "serve", "--listen", f"localhost:{server.port}"],
                                          env=server.env, stdout=log, stderr=log)
    deadline = time.monotonic() + 10
    while "curl" not in server.output() and server.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert f"listens on http://localhost:{server.port}\n" in server.output() and "Traceback" not in server.output(), server.output()
    assert server.request("GET", "/alerts").status == 200
    assert server.stop() == 0


def test_a_port_that_is_taken_is_named(tmp_path: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run("serve", "--db", str(tmp_path / "a.db"), "--listen", address)
    assert (ended.returncode, ended.stdout) == (69, "")
    assert ended.stderr.startswith(f"alertlite: cannot listen on {address}: ") and ended.stderr.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["a.db", "a.db.lock"], "no key was made and nothing is left open"


def test_a_command_for_a_folder_that_does_not_exist_says_so(tmp_path: pathlib.Path) -> None:
    ended = run("key", "list", "--db", str(tmp_path / "nowhere" / "a.db"))
    assert ended.returncode == 78 and f"{tmp_path / 'nowhere'}" in ended.stderr and "Traceback" not in ended.stderr, ended


# --- keys

@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
def test_keys_are_made_listed_and_revoked(make_server: Any, is_running: bool) -> None:
    server = make_server()
    server.start() if is_running else None
    key = created_key(server, "--user", "robot@example.com", "--scope", "read", "--scope", "write:heartbeats", "--text", "the robot's")
    listed = key_command(server, "list")
    line = next(line for line in listed.splitlines() if "robot@example.com" in line)
    assert key not in listed and key[:6] in line and "read,write:heartbeats" in line and "the robot's" in line and "active" in line
    server.start() if not is_running else None
    assert status_with(server, key) == 200
    assert status_with(server, key, "POST", "/heartbeat", {"origin": "o"}) == 201
    assert status_with(server, key, "POST", "/alert", {"resource": "r", "event": "e"}) == 403, "the scopes are those that were asked for"
    server.stop() if not is_running else None
    assert key_command(server, "revoke", line.split()[0]) == "revoked\n"
    assert "robot@example.com" not in key_command(server, "list")
    assert "not found" in key_command(server, "revoke", key, code=1)
    server.start() if not is_running else None
    assert status_with(server, key) == 401


def test_a_key_can_be_typed_on_a_command_line() -> None:
    keys = {alertlite.new_key() for _ in range(300)}
    assert len(keys) == 300 and all(re.fullmatch("[A-Za-z0-9]{32}", key) for key in keys), "one that begins with - would be taken for a flag"


def test_a_revoked_key_stops_working_at_once(server: Any) -> None:
    key = created_key(server, "--user", "robot@example.com")
    for _ in range(20):
        assert status_with(server, key) == 200, "known by heart by now"
    key_command(server, "revoke", key)
    assert [status_with(server, key) for _ in range(5)] == [401] * 5


def test_a_key_revoked_while_it_is_looked_up_does_not_come_back(app: Any) -> None:
    key = app.make_key("read")
    with app.store.read() as tables:
        reader = tables.db

    def revoke_meanwhile(sql: str) -> None:
        if "FROM users" in sql:                      # the key has been read, its user not yet
            reader.set_trace_callback(None)
            app.engine.change_key(key, alertlite.ALL_RIGHTS, lambda tables, row: tables.delete_key(row.id))

    reader.set_trace_callback(revoke_meanwhile)
    app.call("GET", "/alerts", key=key)              # may still be answered: it came first
    with app.store.read() as tables:
        assert tables.find_key(alertlite.hash_key(key)) is None, "it was revoked meanwhile"
    assert app.call("GET", "/alerts", key=key).status == 401


def test_a_password_changed_while_it_is_checked_does_not_come_back(app: Any) -> None:
    def sign_in(password: str) -> int:
        basic = "Basic " + base64.b64encode(f"ann@example.com:{password}".encode()).decode()
        return app.call("GET", "/alerts", key=None, headers={"Authorization": basic}).status

    answer = app.call("POST", "/user", {"name": "Ann", "email": "ann@example.com", "password": "the old password"})
    assert answer.status == 201
    changed = alertlite.hash_password("the new password")
    thread = threading.Thread(target=sign_in, args=("the old password",))
    thread.start()                                   # may still be answered: it came first
    time.sleep(0.02)
    app.engine.update_user(answer.json["id"], lambda user: user._replace(password_hash=changed), alertlite.ALL_RIGHTS)
    thread.join()
    assert [sign_in("the old password"), sign_in("the new password")] == [401, 200]


def test_a_lost_admin_key_is_replaced_on_the_command_line(first: Any) -> None:
    first.start()
    os.unlink(f"{first.db}.admin-key")
    key = created_key(first)
    assert status_with(first, key, "GET", "/users") == 200, "admin's new key has admin's rights, as --help says"
    assert status_with(first, key, "POST", "/alert", {"resource": "r", "event": "e"}) == 201


@pytest.mark.parametrize("arguments", [(), ("--user", "robot@example.com")], ids=["the-administrator", "somebody-else"])
def test_the_first_key_of_all_has_the_rights_that_were_asked_for(make_server: Any, arguments: tuple[str, ...]) -> None:
    server = make_server()
    key = created_key(server, "--scope", "read:alerts", "--text", "for the wall display", *arguments)
    assert "for the wall display" in key_command(server, "list")
    with contextlib.closing(alertlite.Store(str(server.db))) as store, store.read() as tables:
        assert alertlite.unpack(tables.find_key(alertlite.hash_key(key)).scopes) == ["read:alerts"]


def test_a_key_made_before_the_first_start_is_the_first_key(first: Any) -> None:
    key = created_key(first)
    first.start()
    assert "admin key" not in first.output() and not os.path.exists(f"{first.db}.admin-key")
    assert status_with(first, key, "GET", "/users") == 200


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
def test_a_key_that_cannot_be_is_refused_with_a_reason(make_server: Any, is_running: bool) -> None:
    server = make_server()
    if is_running:
        server.start()
    for flag, value, reason in (("--expires", "tomorrow", "--expires: dates must be"), ("--user", "x" * 501, "user is longer than"),
                                ("--text", "x" * 100_001, "text is longer than")):
        assert key_command(server, "create", flag, value, code=1).startswith(f"alertlite: {reason}"), flag
    assert "usage:" in key_command(server, "create", "--scope", "everything", code=2)


def test_keys_can_be_managed_after_the_server_was_killed(make_server: Any) -> None:
    server = make_server().start()
    server.kill()
    assert os.path.exists(f"{server.db}.control"), "its socket is still there"
    key = created_key(server)
    server.start()
    assert status_with(server, key) == 200


def test_nothing_that_is_sent_to_the_control_socket_ends_it(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def say(line: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            client.connect("alertlite.db.control")
            client.sendall(line)
            client.shutdown(socket.SHUT_WR)
            return client.recv(10_000)

    monkeypatch.chdir(server.folder)                 # the address of a socket must be short
    for line in (b"", b"nonsense\n", b"\xff\xfe\n", b'{"command": "key create", "user": 7}\n', b"[]\n", b'"key list"\n', b"{}\n",
                 b'{"command": "dance"}\n', b'{"command": ["key list"]}\n', b'{"command": "key create", "expireTime": []}\n'):
        say(line)
        assert b'"keys"' in say(b'{"command": "key list"}\n'), line
    assert "Traceback" not in server.output()
