"""The store: durable settings, group commit, a full or damaged file, refusals at start, migrations, schema, indexes."""
from __future__ import annotations

import contextlib
import gc
import json
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from conftest import pass_time

import alertlite

ROOT = pathlib.Path(alertlite.__file__).parent
SCHEMA = (ROOT / "schema.sql").read_text(encoding="utf-8")


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "alertlite.db"


@pytest.fixture
def store(path: pathlib.Path) -> Any:
    opened = alertlite.Store(str(path), 60_000)
    yield opened
    opened.close()


@contextlib.contextmanager
def looking_at(path: pathlib.Path) -> Any:
    """A connection of somebody else's, which only reads."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)) as db:
        yield db


def fact(db: Any, name: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


@contextlib.contextmanager
def statements_on(db: sqlite3.Connection) -> Iterable[list[str]]:
    """The statements that a connection runs meanwhile."""
    seen: list[str] = []
    db.set_trace_callback(seen.append)
    try:
        yield seen
    finally:
        db.set_trace_callback(None)


def saving(name: str, then: Callable[[alertlite.Tables], Any] = lambda tables: None) -> Callable[[alertlite.Tables], str]:
    """A function for Store.write that stores a fact, may do more, and returns its own name."""
    def work(tables: alertlite.Tables) -> str:
        tables.save_fact(name, name)
        then(tables)
        return name

    return work


def orphan(tables: alertlite.Tables) -> None:
    """A history entry of no alert, which SQLite notices at COMMIT and not before."""
    tables.db.execute("PRAGMA defer_foreign_keys = 1")
    tables.insert_history(alertlite.HistoryEntry(None, 999_999, "i", "e", "major", "open", None, None, "new", 0, None, None), 100)


def write_together(store: alertlite.Store, works: list[Callable]) -> list[Future]:
    """Writes from one thread each, while another transaction is under way: they wait, and share the next one."""
    inside, leave = threading.Event(), threading.Event()
    with ThreadPoolExecutor(len(works) + 1) as pool:
        pool.submit(store.write, lambda tables: (inside.set(), leave.wait(10)))
        assert inside.wait(10)
        futures = [pool.submit(store.write, work) for work in works]
        deadline = time.monotonic() + 10
        while len(store.jobs) < len(works) and time.monotonic() < deadline:
            time.sleep(0.001)
        leave.set()
    return futures


# --- the connections

@pytest.mark.parametrize(("name", "wanted", "reason"), [
    ("journal_mode", "wal", "readers do not wait for the writer"),
    ("synchronous", 2, "what was answered survives a power cut"),
    ("foreign_keys", 1, "history and notes go with their alert"),
    ("busy_timeout", 0, "who waits for somebody's sqlite3 shell lets others go on meanwhile: Store.begin does so"),
    ("wal_autocheckpoint", 4096, "the WAL is moved into the file now and then"),
    ("journal_size_limit", 4_194_304, "a WAL that grew once shrinks again"),
    ("application_id", 0x616C6974, "the file says whose it is"),
    ("user_version", alertlite.SCHEMA_VERSION, "the file says which schema it has"),
])
def test_the_writing_connection_has_its_settings(store: alertlite.Store, name: str, wanted: Any, reason: str) -> None:
    assert store.db.execute(f"PRAGMA {name}").fetchone()[0] == wanted, reason
    assert store.db.isolation_level is None, "only Store.commit begins and ends transactions"


def test_readers_cannot_write(store: alertlite.Store) -> None:
    for sql in ("INSERT INTO meta VALUES ('a', 'b')", "DELETE FROM meta", "CREATE TABLE t (a)", "PRAGMA user_version = 9"):
        with pytest.raises(alertlite.Unavailable), store.read() as tables:
            tables.db.execute(sql)
    with store.read() as tables:
        assert (tables.find_fact("a"), tables.db.execute("PRAGMA user_version").fetchone()[0]) == (None, alertlite.SCHEMA_VERSION)


def test_readers_see_what_is_committed_and_nothing_else(store: alertlite.Store) -> None:
    def work(tables: alertlite.Tables) -> str | None:
        tables.save_fact("a", "1")
        with store.read() as others:
            return others.find_fact("a")

    assert store.write(work) is None
    with store.read() as tables:
        assert tables.find_fact("a") == "1"


# --- group commit

def test_writes_that_wait_share_a_commit_and_each_gets_its_own_result(store: alertlite.Store) -> None:
    with statements_on(store.db) as seen:
        futures = write_together(store, [saving(f"f{n}") for n in range(20)])
    assert [future.result() for future in futures] == [f"f{n}" for n in range(20)]
    assert [seen.count("BEGIN IMMEDIATE"), seen.count("COMMIT")] == [2, 2]
    with store.read() as tables:
        assert all(tables.find_fact(f"f{n}") == f"f{n}" for n in range(20))


def test_an_error_undoes_its_own_savepoint_only(store: alertlite.Store) -> None:
    def refuse(tables: alertlite.Tables) -> None:
        raise alertlite.Invalid("not like this")

    def duplicate(tables: alertlite.Tables) -> None:
        tables.db.execute("INSERT INTO meta VALUES ('before', 'x')")

    def defect(tables: alertlite.Tables) -> None:
        raise KeyError("a defect")

    works = [saving("before"), saving("refused", refuse), saving("between"), saving("clash", duplicate), saving("broken", defect),
             saving("after")]
    errors = [future.exception() for future in write_together(store, works)]
    assert [type(error) for error in errors] == [type(None), alertlite.Invalid, type(None), alertlite.Conflict, KeyError, type(None)]
    with store.read() as tables:
        assert [tables.find_fact(name) is not None for name in ("before", "refused", "between", "clash", "broken", "after")] == [
            True, False, True, False, False, True]


def test_an_answer_comes_only_after_its_commit(store: alertlite.Store, path: pathlib.Path) -> None:
    answered, batch, early, lock = set(), set(), set(), threading.Lock()

    def on_statement(sql: str) -> None:
        if sql == "BEGIN IMMEDIATE":
            batch.clear()
        elif sql == "COMMIT":
            early.update(batch & answered)

    with looking_at(path) as eye:
        def seen_outside(name: str) -> str | None:
            with lock:
                return fact(eye, name)

        def client(name: str) -> tuple[str | None, str | None]:
            before: list[str | None] = []
            store.write(saving(name, lambda tables: (batch.add(name), before.append(seen_outside(name)))))
            answered.add(name)
            return before[0], seen_outside(name)

        store.db.set_trace_callback(on_statement)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(client, [f"c{n}" for n in range(64)]))
        store.db.set_trace_callback(None)
    assert found == [(None, f"c{n}") for n in range(64)], "unseen inside the transaction, seen by others once it is answered"
    assert len(answered) == 64 and early == set(), "answered before the COMMIT"


def test_an_error_of_the_commit_reaches_everybody_who_waits(store: alertlite.Store) -> None:
    with statements_on(store.db) as seen:
        futures = write_together(store, [saving("innocent"), saving("guilty", orphan), saving("too")])
    assert [type(future.exception()) for future in futures] == [alertlite.Conflict] * 3
    assert (seen.count("COMMIT"), seen[-1]) == (2, "ROLLBACK")
    assert store.last_error and not store.db.in_transaction
    with store.read() as tables:
        assert [tables.find_fact(name) for name in ("innocent", "guilty", "too")] == [None] * 3
    assert store.write(saving("next")) == "next" and store.last_error is None


def test_the_lead_is_handed_on_without_losing_a_write(store: alertlite.Store) -> None:
    """32 threads × 200 writes, one in ten of them refused, at every pace that the machine finds."""
    wrong: list[Any] = []

    def refuse(tables: alertlite.Tables) -> None:
        raise alertlite.Invalid("one of ten")

    def client(number: int) -> None:
        for n in range(200):
            name = f"{number}-{n}"
            try:
                if store.write(saving(name, refuse if n % 10 == 0 else lambda tables: None)) != name or n % 10 == 0:
                    wrong.append(name)
            except alertlite.Invalid:
                if n % 10:
                    wrong.append(name)

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(32)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads), "a write waits for ever"
    assert wrong == []
    assert not store.jobs and not store.has_leader
    with store.read() as tables:
        assert tables.row("SELECT count(*) FROM meta WHERE name LIKE '%-%'")[0] == 32 * 180


# --- a full disk, a slow search

def fill(app: Any) -> int:
    """Lets the database grow no more; the pages it may have had before."""
    before = app.store.db.execute("PRAGMA max_page_count").fetchone()[0]
    pages = app.store.db.execute("PRAGMA page_count").fetchone()[0]
    app.store.db.execute(f"PRAGMA max_page_count = {pages}")
    return before


def test_a_full_database_is_a_507_until_there_is_room_again(app: Any) -> None:
    kept = app.post_alert("kept", text="x" * 20_000)
    room = fill(app)
    big = {"resource": "refused", "event": "HttpError", "severity": "major", "text": "x" * 50_000}
    answer = app.call("POST", "/alert", big)
    assert (answer.status, answer.json["status"], answer.json["code"]) == (507, "error", 507)
    assert "full" in answer.json["message"]
    with pytest.raises(alertlite.StorageFull):
        app.store.write(lambda tables: tables.save_fact("big", "x" * 50_000))
    assert app.get("/alerts")["total"] == 1 and app.get(f"/alert/{kept['id']}")["alert"]["id"] == kept["id"], "reading goes on"
    assert app.call("DELETE", f"/alert/{kept['id']}").status == 200, "making room works"
    app.store.db.execute(f"PRAGMA max_page_count = {room}")
    assert app.call("POST", "/alert", big).status == 201
    assert app.get("/healthz", key=None) == {"status": "ok"}
    assert [row["resource"] for row in app.get("/alerts")["alerts"]] == ["refused"]


def test_everybody_in_a_batch_hears_that_the_disk_is_full(app: Any) -> None:
    fill(app)
    works = [saving("small"), saving("big", lambda tables: tables.save_fact("large", "x" * 500_000)), saving("last")]
    futures = write_together(app.store, works)
    outcomes = [future.exception() for future in futures]
    assert isinstance(outcomes[1], alertlite.StorageFull)
    with app.store.read() as tables:
        stored = [tables.find_fact(name) is not None for name in ("small", "large", "last")]
    assert stored == [outcomes[0] is None, False, outcomes[2] is None], "what was answered is what is stored"


def test_a_deadline_that_met_a_full_disk_is_not_forgotten(app: Any) -> None:
    for number in range(60):                         # their alerts need more than what is free in the pages there are
        assert app.call("POST", "/heartbeat", {"origin": f"backup{number}", "timeout": 60}).status == 201
    timer = alertlite.Timer(app.engine)
    pass_time(app, 100)
    room = fill(app)
    with pytest.raises(alertlite.StorageFull):
        timer.pass_once()
    assert app.events() == []
    app.store.db.execute(f"PRAGMA max_page_count = {room}")
    pass_time(app, 5)
    timer.pass_once()
    assert app.events() == ["heartbeat_expired"] * 60, "the silence is found once there is room again"


def multiply_alerts(app: Any, count: int) -> None:
    """Copies of the first alert, straight into the table."""
    shown = {"seq": "NULL", "id": "'copy-' || n", "resource": "'copy-' || n", "last_receive_id": "'copy-' || n"}
    columns = ", ".join(shown.get(name, name) for name in alertlite.Alert._fields)
    app.store.write(lambda tables: tables.db.execute(
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
        f" INSERT INTO alerts SELECT {columns} FROM alerts CROSS JOIN numbers WHERE seq = 1"))


def test_a_search_beyond_the_deadline_is_a_503_and_the_next_one_works(app: Any) -> None:
    app.post_alert()
    multiply_alerts(app, 3000)
    app.store.read_deadline = 0.0
    answer = app.call("GET", "/alerts?q=text:nowhere")
    assert (answer.status, answer.json["code"], answer.headers["Retry-After"]) == (503, 503, "5")
    assert "narrow" in answer.json["message"]
    with pytest.raises(alertlite.Unavailable), app.store.read() as tables:
        tables.rows("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
    app.store.read_deadline = 60.0
    assert app.get("/alerts?q=text:nowhere")["total"] == 0


def test_more_readers_than_connections_take_turns(store: alertlite.Store) -> None:
    def read(n: int) -> int:
        with store.read() as tables:
            time.sleep(0.002)
            return tables.row("SELECT ?", (n,))[0]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(read, range(64))) == list(range(64))
    assert store.readers.qsize() == store.MOST_READERS


# --- opening a file

def run_server(path: pathlib.Path) -> subprocess.CompletedProcess:
    """The server on a database that it must refuse."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ALERTLITE_")}
    return subprocess.run([sys.executable, str(ROOT / "alertlite.py"), "serve", "--db", str(path), "--listen", "127.0.0.1:0"],
                          capture_output=True, text=True, timeout=25, env=env)


def make_database(path: pathlib.Path, *statements: str) -> None:
    """A database that was in use and stopped cleanly, then changed."""
    alertlite.Store(str(path)).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def make_foreign(path: pathlib.Path, *statements: str) -> None:
    """A database of another program."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def make_emptied(path: pathlib.Path, content: bytes | None) -> None:
    """Where there was a database, there is this now; None = nothing."""
    make_database(path)
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def make_header_only(path: pathlib.Path) -> None:
    """What is left of a young database when its WAL is lost: everything but the first page was in there."""
    make_database(path)
    path.unlink()
    make_foreign(path, "PRAGMA journal_mode = wal")
    assert path.stat().st_size == 4096


def make_damaged(path: pathlib.Path, first_page: int = 2) -> None:
    """A database whose process was killed, and whose pages were overwritten then."""
    store = alertlite.Store(str(path))
    store.write(lambda tables: tables.save_fact("a", "b"))
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.write(lambda tables: tables.save_fact("c", "d"))
    left = {name: path.with_name(path.name + name).read_bytes() for name in ("", "-wal")}       # as a kill would leave them
    store.close()
    for name, content in left.items():
        path.with_name(path.name + name).write_bytes(content)
    assert left["-wal"], "the stop was not a clean one"
    with open(path, "r+b") as file:
        file.seek((first_page - 1) * 4096 + (200 if first_page == 1 else 0))
        file.write(random.Random(5).randbytes(16 * 4096))


FOREIGN_TABLE = "CREATE TABLE t (a)"
REFUSED = [
    (lambda path: make_database(path, "PRAGMA user_version = 99"), 78, "newer", "an older program must not touch a newer schema"),
    (lambda path: make_foreign(path, "PRAGMA application_id = 77", FOREIGN_TABLE), 78, "another application", "marked as somebody else's"),
    (lambda path: make_foreign(path, "PRAGMA application_id = 77"), 78, "another application", "marked as somebody else's, and empty"),
    (lambda path: make_foreign(path, FOREIGN_TABLE), 78, "another application", "tables, and not marked at all"),
    (lambda path: make_foreign(path, "PRAGMA journal_mode = wal", FOREIGN_TABLE), 78, "another application", "the same in WAL mode"),
    (lambda path: make_foreign(path, "PRAGMA user_version = 1"), 78, "another application", "a version, and not marked"),
    (lambda path: path.write_text("my shopping list\n" * 500), 78, "not a database", "a text file"),
    (lambda path: path.write_bytes(b"SQLite"), 78, "not a database", "shorter than the header of a database"),
    (lambda path: path.mkdir(), 78, "", "a folder"),
    (lambda path: make_emptied(path, b""), 74, "it is empty", "emptied: a new one would hide the loss"),
    (lambda path: make_emptied(path, None), 78, "there was a database here", "deleted: a new one would hide the loss"),
    (make_header_only, 78, "there was a database here", "its WAL was lost, and all tables with it"),
    (make_damaged, 74, "Restore a backup", "pages overwritten after a power cut"),
    (lambda path: make_damaged(path, 1), 74, "Restore a backup", "the first page overwritten after a power cut"),
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")         # what stays open is the next test's matter
@pytest.mark.parametrize(("make", "code", "message", "reason"), REFUSED, ids=[row[3].replace(" ", "-") for row in REFUSED])
def test_a_file_that_must_not_be_touched_is_refused_and_left_as_it_is(
        path: pathlib.Path, capsys: Any, make: Callable, code: int, message: str, reason: str) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else path.exists()
    assert alertlite.main(["key", "list", "--db", str(path)]) == code, reason          # opens it as serve does, but ends by itself
    printed = capsys.readouterr()
    assert printed.out == "" and re.fullmatch(f"alertlite: .*{message}.*\n", printed.err, re.S), printed.err
    assert str(path) in printed.err, "the message names the file"
    assert (path.read_bytes() if path.is_file() else path.exists()) == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_file_that_was_refused_is_let_go(path: pathlib.Path) -> None:
    make_database(path, "PRAGMA user_version = 99")
    refused: list[Any] = []
    for _ in range(2):
        try:
            refused.append(alertlite.Store(str(path)).close())
        except alertlite.StartupRefused as error:
            refused.append(error)                    # kept, as a program does that reports it
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(f"PRAGMA user_version = {alertlite.SCHEMA_VERSION}")
    codes = [error and error.code for error in refused]
    refused.clear()
    gc.collect()
    assert codes == [78, None], "at the second try nothing is wrong with it, and nobody holds its lock"


@pytest.mark.parametrize("row", [REFUSED[0], REFUSED[3]], ids=["newer", "foreign"])
def test_the_server_does_not_start_on_such_a_file(path: pathlib.Path, row: tuple) -> None:
    make, code, message, reason = row
    make(path)
    before = path.read_bytes()
    ended = run_server(path)
    assert (ended.returncode, ended.stdout, path.read_bytes()) == (code, "", before), reason
    assert ended.stderr.startswith("alertlite: ") and message in ended.stderr and "Traceback" not in ended.stderr


def beside(path: pathlib.Path, pattern: str) -> list[pathlib.Path]:
    return sorted(path.parent.glob(path.name + pattern))


@pytest.mark.parametrize("make", [make_damaged, lambda path: make_damaged(path, 1), lambda path: make_emptied(path, b"")],
                         ids=["damaged", "its first page too", "emptied"])
def test_the_server_sets_a_damaged_file_aside_with_its_wal_and_never_begins_with_an_empty_one(path: pathlib.Path, make: Callable) -> None:
    make(path)
    wal = path.with_name(path.name + "-wal")
    before = [file.read_bytes() for file in (path, wal) if file.exists()]
    first, second = run_server(path), run_server(path)
    assert (first.returncode, first.stdout, second.returncode, second.stdout) == (74, "", 78, "")
    aside = beside(path, ".damaged-*")
    assert [file.read_bytes() for file in aside] == before and str(aside[0]) in first.stderr and "Restore a backup" in first.stderr
    assert not path.exists() and not wal.exists() and str(aside[0]) in second.stderr, "a second start, by systemd for example, says so too"


def test_a_start_goes_on_from_the_last_good_copy_of_a_damaged_file(path: pathlib.Path) -> None:
    make_damaged(path)
    make_database(path.with_name("copy.db"), "INSERT INTO meta VALUES ('from', 'the copy')")
    os.replace(path.with_name("copy.db"), f"{path}.last-good")
    store = alertlite.Store(str(path), repairs=True)
    with store.read() as tables:
        assert tables.find_fact("from") == "the copy"
    assert "was damaged" in store.restored and len(beside(path, ".damaged-*")) == 2, "the file and its WAL"
    store.close()
    store = alertlite.Store(str(path), repairs=True)
    assert store.restored == ""
    store.close()


def test_a_database_serves_one_process(store: alertlite.Store, path: pathlib.Path) -> None:
    store.write(saving("a"))
    ended = run_server(path)
    assert (ended.returncode, ended.stdout) == (75, "")
    assert ended.stderr == f"alertlite: another alertlite is using {path}\n"
    assert store.write(saving("b")) == "b"


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["BEGIN EXCLUSIVE", "PRAGMA locking_mode = EXCLUSIVE"])
def test_a_database_that_another_program_has_locked_is_refused(path: pathlib.Path, lock: str) -> None:
    make_database(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(lock)
        db.execute("DELETE FROM meta")
        ended = run_server(path)
    assert ended.returncode in (74, 75) and "Traceback" not in ended.stderr, ended
    assert re.search("locked|in use|cannot be used", ended.stderr)


def test_a_folder_that_does_not_exist_is_named(tmp_path: pathlib.Path) -> None:
    ended = run_server(tmp_path / "nowhere" / "alertlite.db")
    assert ended.returncode == 78 and ended.stderr == f"alertlite: the folder {tmp_path / 'nowhere'} does not exist\n"


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_bytes(b"")], ids=["no-file", "an-empty-file"])
def test_an_empty_folder_gets_a_new_database(path: pathlib.Path, make: Callable) -> None:
    make(path)
    alertlite.Store(str(path)).close()
    assert sorted(os.listdir(path.parent)) == ["alertlite.db", "alertlite.db.lock"], "a clean stop leaves no WAL"
    with looking_at(path) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")}
    assert tables == set(re.findall(r"^CREATE TABLE (\w+)", SCHEMA, re.M))


def test_a_database_is_opened_again_with_everything_in_it(path: pathlib.Path) -> None:
    for n in range(3):
        store = alertlite.Store(str(path))
        with store.read() as tables:
            assert [tables.find_fact(f"run{m}") for m in range(n)] == [f"run{m}" for m in range(n)]
        store.write(saving(f"run{n}"))
        store.close()


# --- migrations

MIGRATIONS = (
    ("ALTER TABLE meta ADD COLUMN note TEXT", "UPDATE meta SET note = 'moved'"),
    ("CREATE TABLE moods (seq INTEGER PRIMARY KEY) STRICT", "INSERT INTO moods VALUES (7)"),
)
BROKEN = (MIGRATIONS[0], (*MIGRATIONS[1], "INSERT INTO nowhere VALUES (1)"))


@pytest.fixture
def old(path: pathlib.Path) -> Any:
    """A connection to a file of schema 1 with something in it."""
    make_database(path, "PRAGMA user_version = 1", "INSERT INTO meta VALUES ('kept', 'x')")
    with contextlib.closing(alertlite.connect(str(path))) as db:
        yield db


def version_of(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]


def test_migrations_lead_from_the_old_schema_to_the_new_one(old: sqlite3.Connection, path: pathlib.Path) -> None:
    with statements_on(old) as seen:
        alertlite.migrate(old, str(path), MIGRATIONS)
    assert version_of(old) == 3
    assert old.execute("SELECT value, note FROM meta WHERE name = 'kept'").fetchone() == ("x", "moved")
    assert old.execute("SELECT seq FROM moods").fetchall() == [(7,)]
    changes = [sql for sql in seen if not sql.startswith("--") and sql != "PRAGMA user_version"]
    commits = [place for place, sql in enumerate(changes) if sql == "COMMIT"]
    assert [changes[place - 1] for place in commits] == ["PRAGMA user_version = 2", "PRAGMA user_version = 3"], "the version comes last"
    first = next(place for place, sql in enumerate(changes) if sql.startswith("BEGIN"))
    assert any(sql.startswith("VACUUM INTO") for sql in changes[:first]), "the copy comes first"


def test_a_migration_leaves_a_copy_of_the_file_as_it_was(old: sqlite3.Connection, path: pathlib.Path) -> None:
    alertlite.migrate(old, str(path), MIGRATIONS)
    with looking_at(path.with_name("alertlite.db.before-schema-2")) as copy:
        assert (version_of(copy), copy.execute("PRAGMA integrity_check").fetchone()[0], fact(copy, "kept")) == (1, "ok", "x")
        assert [row[1] for row in copy.execute("PRAGMA table_info(meta)")] == ["name", "value"]


def test_a_migration_that_fails_is_undone_and_can_be_repeated(old: sqlite3.Connection, path: pathlib.Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        alertlite.migrate(old, str(path), BROKEN)
    assert (version_of(old), old.in_transaction) == (2, False)
    assert old.execute("SELECT note FROM meta WHERE name = 'kept'").fetchone() == ("moved",), "the version before it stands"
    assert old.execute("SELECT count(*) FROM sqlite_master WHERE name = 'moods'").fetchone() == (0,)
    alertlite.migrate(old, str(path), MIGRATIONS)
    assert version_of(old) == 3 and old.execute("SELECT seq FROM moods").fetchall() == [(7,)]


def test_a_file_that_is_up_to_date_is_not_copied(old: sqlite3.Connection, path: pathlib.Path) -> None:
    old.execute("PRAGMA user_version = 3")
    with statements_on(old) as seen:
        alertlite.migrate(old, str(path), MIGRATIONS)
    assert seen == ["PRAGMA user_version"]
    assert not [name for name in os.listdir(path.parent) if "before" in name]


@pytest.mark.parametrize("rest", [b"SQLite format 3\0 and then the power was cut", b"x"], ids=["the-beginning-of-a-copy", "rubbish"])
def test_half_a_copy_of_an_earlier_try_does_not_count_as_one(old: sqlite3.Connection, path: pathlib.Path, rest: bytes) -> None:
    copy = path.with_name("alertlite.db.before-schema-2")
    copy.write_bytes(rest)
    alertlite.migrate(old, str(path), MIGRATIONS)
    with looking_at(copy) as db:
        assert (version_of(db), fact(db, "kept")) == (1, "x")


# --- the schema

def test_every_table_is_strict(store: alertlite.Store) -> None:
    rows = store.db.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'").fetchall()
    assert len(rows) > 15 and [name for name, strict in rows if not strict] == []


def test_every_table_and_index_has_a_comment_above_it() -> None:
    lines = SCHEMA.splitlines()
    made = [(line, lines[number - 1]) for number, line in enumerate(lines) if re.match(r"CREATE (TABLE|(UNIQUE )?INDEX)", line)]
    assert len(made) > 30
    assert [line for line, above in made if not re.match(r"-- \w", above)] == []


@pytest.mark.parametrize(("table", "row", "ordered"), [
    ("alerts", alertlite.Alert, True), ("alert_history", alertlite.HistoryEntry, True), ("users", alertlite.User, True),
    ("api_keys", alertlite.ApiKey, True), ("checks", alertlite.Check, True), ("pings", alertlite.Ping, True),
    ("flips", alertlite.Flip, True), ("projects", alertlite.Project, True), ("receivers", alertlite.Receiver, True),
    ("events", alertlite.Event, True),
    ("notes", alertlite.Note, False),
    ("heartbeats JOIN beats ON heartbeat = seq", alertlite.Heartbeat, False),
])
def test_a_value_has_the_fields_of_its_table(store: alertlite.Store, table: str, row: Any, ordered: bool) -> None:
    columns = [column[0] for column in store.db.execute(f"SELECT * FROM {table}").description if column[0] != "heartbeat"]
    assert sorted(columns) == sorted(row._fields)
    assert not ordered or columns == list(row._fields)


def test_an_event_type_has_the_fields_of_its_table_but_its_seq(store: alertlite.Store) -> None:
    columns = [column[0] for column in store.db.execute("SELECT * FROM event_types").description]
    assert columns == ["seq", *alertlite.EventType._fields]


ALERT = alertlite.new_alert(alertlite.AlertReport(
    id="i", resource="r", event="e", environment="Production", severity="major", status="", correlate=[], service=[], group="g", value=None,
    text="", tags=[], attributes={}, origin="o", type="t", created_at=0, timeout=0, raw_data=None, customer=""), 0)._replace(status="open")


@pytest.mark.parametrize(("column", "known", "unknown"), [
    ("status", tuple(alertlite.STATUSES), ("Open", "new", "", None)),
    ("severity", tuple(alertlite.SEVERITIES), ("Major", "fatal", "", None)),
    ("trend", ("moreSevere", "lessSevere", "noChange"), ("worse", "")),
    ("repeat", (0, 1), (2, -1)), ("superseded", (0, 1), (2, None)),
    ("timeout", (0, 10), (-1, "soon")), ("duplicate_count", (0, 5), (-1,)), ("received_at", (0, 2**62), ("2030-01-01", 1.5)),
])
def test_the_schema_knows_each_closed_vocabulary(store: alertlite.Store, column: str, known: tuple, unknown: tuple) -> None:
    for number, value in enumerate(known):
        name = f"{column}{number}"
        assert store.write(lambda tables, name=name, value=value: tables.insert_alert(
            ALERT._replace(id=name, resource=name, **{column: value}))).seq
    for value in unknown:
        with pytest.raises(alertlite.Conflict):
            store.write(lambda tables, value=value: tables.insert_alert(ALERT._replace(id="u", resource="u", **{column: value})))


def test_a_problem_has_one_live_row(store: alertlite.Store) -> None:
    store.write(lambda tables: tables.insert_alert(ALERT))
    with pytest.raises(alertlite.Conflict):
        store.write(lambda tables: tables.insert_alert(ALERT._replace(id="other")))
    store.write(lambda tables: tables.insert_alert(ALERT._replace(id="older", superseded=1)))


def test_history_and_notes_go_with_their_alert(app: Any) -> None:
    ident = app.post_alert()["id"]
    app.call("PUT", f"/alert/{ident}/note", {"text": "seen"})
    assert app.call("DELETE", f"/alert/{ident}").status == 200
    for table in ("alerts", "alert_history", "notes", "alert_services", "alert_counts"):
        assert app.store.db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


# --- the kept counts

def recount(db: sqlite3.Connection) -> set[tuple]:
    """What alert_counts must hold, counted afresh."""
    found: dict[tuple, int] = {}
    rows = db.execute("SELECT customer, environment, status, severity, service FROM alerts")
    for customer, environment, status, severity, services in rows:
        for service in ["", *dict.fromkeys(json.loads(services))]:
            kind = (customer, environment, service, status, severity)
            found[kind] = found.get(kind, 0) + 1
    return {(*kind, count) for kind, count in found.items()}


def counts(db: sqlite3.Connection) -> set[tuple]:
    return set(db.execute("SELECT customer, environment, service, status, severity, count FROM alert_counts"))


def misremembered(tables: alertlite.Tables) -> list[Any]:
    """Where what the writer finds, and may know by heart, is not what stands in the tables."""
    wrong: list[Any] = []
    for row in tables.db.execute("SELECT * FROM alerts WHERE superseded = 0").fetchall():
        alert = alertlite.Alert(*row)
        found = tables.find_reported_alert(alert.environment, alert.resource, alert.event, alert.customer)
        entries = tables.db.execute("SELECT * FROM alert_history WHERE alert = ? ORDER BY seq", (alert.seq,)).fetchall()
        wrong += [] if found == alert and tables.alert_history(alert.seq) == entries else [(alert, found)]
    return wrong


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_kept_counts_equal_a_recount_whatever_happens(make_app: Any, seed: int) -> None:
    app, dice = make_app(alert_timeout="50", shelve_timeout="30", delete_expired_after="60", delete_info_after="100"), random.Random(seed)
    done: dict[str, int] = {}
    for _ in range(150):
        alerts = app.get("/alerts?page-size=1000")["alerts"]
        ident = dice.choice(alerts)["id"] if alerts else "none"
        operation = dice.choice(["report"] * 5 + ["action"] * 3 + ["status", "delete", "wait"])
        if operation == "report":
            answer = app.call("POST", "/alert", {
                "resource": dice.choice("abcd"), "event": dice.choice(["Down", "Up"]), "correlate": dice.choice([[], ["Down", "Up"]]),
                "severity": dice.choice(["critical", "minor", "ok", "informational"]), "environment": dice.choice(["Production", "Test"]),
                "service": dice.choice([[], ["web"], ["web", "db"], ["web", "web"]]), "customer": dice.choice([None, "acme"])})
        elif operation == "action":
            answer = app.call("PUT", f"/alert/{ident}/action", {"action": dice.choice(alertlite.OPERATOR_ACTIONS), "timeout": 20})
        elif operation == "status":
            answer = app.call("PUT", f"/alert/{ident}/status", {"status": dice.choice(["open", "ack", "closed", "shelved", "expired"])})
        elif operation == "delete":
            answer = app.call("DELETE", f"/alert/{ident}")
        else:
            app.clock.advance(dice.choice([1, 25, 70]))
            app.engine.expire_due()
        if operation == "wait" or answer.status in (200, 201):
            done[operation] = done.get(operation, 0) + 1
        assert counts(app.store.db) == recount(app.store.db), operation
        assert app.store.write(misremembered) == [], operation
    assert len(done) == 5 and min(done.values()) >= 3, "the sequence did every kind of thing"
    total = app.get("/alerts/count")["total"]
    assert total == app.store.db.execute("SELECT count(*) FROM alerts").fetchone()[0]


def refuse_it(tables: alertlite.Tables) -> None:
    raise alertlite.Invalid("no")


@pytest.mark.parametrize("fail", [refuse_it, orphan, lambda tables: tables.save_fact("big", "x" * 500_000)],
                         ids=["refused", "failing-commit", "full-disk"])
def test_the_writer_forgets_what_was_undone(store: alertlite.Store, fail: Callable) -> None:
    old = store.write(lambda tables: tables.insert_alert(ALERT))
    store.write(lambda tables: tables.alert_history(old.seq))
    store.db.execute("PRAGMA max_page_count = 150")

    def work(tables: alertlite.Tables) -> None:
        tables.update_alert(old, old._replace(text="undone"))
        tables.insert_history(alertlite.HistoryEntry(None, old.seq, "h", "e", "major", "open", None, None, "new", 0, None, None), 100)
        tables.alert_history(old.seq)
        tables.insert_alert(ALERT._replace(id="undone", resource="undone"))
        fail(tables)

    with pytest.raises(alertlite.Problem):
        store.write(work)
    assert store.write(misremembered) == []
    assert store.write(lambda tables: tables.find_reported_alert("Production", "undone", "e", "")) is None


@pytest.mark.parametrize("change", [
    {"environment": "Test"}, {"customer": "acme"}, {"status": "ack"}, {"severity": "ok"}, {"text": "changed"},
    {"service": alertlite.pack_list(["web", "db"])}, {"service": "[]", "status": "closed"},
], ids=str)
def test_the_counts_follow_every_column_they_are_kept_by(store: alertlite.Store, change: dict[str, str]) -> None:
    alerts = store.write(lambda tables: [tables.insert_alert(ALERT._replace(id=f"i{n}", resource=f"r{n}")) for n in range(3)])
    store.write(lambda tables: [tables.update_alert(alert, alert._replace(**change)) for alert in alerts[1:]])
    assert counts(store.db) == recount(store.db)
    store.write(lambda tables: [tables.delete_alert(alert) for alert in (alerts[0], *(one._replace(**change) for one in alerts[1:]))])
    assert counts(store.db) == set()


# --- hot queries use their index

def page(app: Any, **equal: list[str]) -> None:
    wanted = alertlite.AlertFilter(equal)
    with app.store.read() as tables:
        tables.alert_page(wanted, alertlite.DEFAULT_ORDER, 50, 0, tables.tallies(wanted))


HOT = [
    ("duplicate-lookup", "alerts_identity", lambda tables: tables.find_reported_alert("Production", "web01", "HttpError", "")),
    ("correlation-lookup", "alerts_correlating", lambda tables: tables.find_reported_alert("Production", "web01", "Other", "")),
    ("due-alerts", "alerts_due", lambda tables: tables.due_alerts(9**18, 200)),
    ("due-heartbeats", "heartbeats_due", lambda tables: tables.due_heartbeats(9**18, 200)),
    ("next-due", "alerts_due", lambda tables: tables.next_due()),
    ("by-id-prefix", "alerts_by_last_receive_id", lambda tables: tables.get_alert("copy-9999")),
    ("history-of-an-alert", "alert_history_by_alert", lambda tables: tables.alert_history(1)),
    ("notes-of-an-alert", "notes_by_alert", lambda tables: tables.alert_notes(1, 100)),
    ("key", "api_keys", lambda tables: tables.find_key("hash")),
    ("heartbeat-by-origin", "heartbeats", lambda tables: tables.find_heartbeat("o", "")),
    ("page-of-open", "INDEX alerts_by_", {"status": ["open"]}),
    ("page-of-everything", "INDEX alerts_by_", {}),
    ("page-of-environment-and-status", "alerts_by_environment", {"environment": ["Production"], "status": ["open"]}),
    ("page-of-environment-and-service", "alert_services", {"environment": ["Production"], "service": ["web"]}),
    ("page-of-service-and-status", "alert_services", {"service": ["web"], "status": ["open", "ack"]}),
]


def faults_of_plan(rows: list[tuple]) -> list[str]:
    """What a plan must not do: walk a stored table, or sort more than a merged page."""
    faults = [detail for _, _, _, detail in rows if re.match(r"SCAN (?!\(?subquery|page\b|CONSTANT|\d)", detail, re.I)]
    for _, parent, _, detail in rows:
        beside = [other for _, above, _, other in rows if above == parent]
        if "USE TEMP B-TREE" in detail and not any(re.match(r"SCAN (\(?subquery|page\b)", other, re.I) for other in beside):
            faults.append(detail)
    return faults


@pytest.mark.parametrize(("index", "ask"), [row[1:] for row in HOT], ids=[row[0] for row in HOT])
def test_a_hot_query_uses_its_index(app: Any, index: str, ask: Any) -> None:
    app.post_alert(service=["web"], correlate=["HttpError", "HttpOk"])
    multiply_alerts(app, 200)
    with app.store.read() as tables:
        wanted = alertlite.AlertFilter(ask) if isinstance(ask, dict) else None
        tallies = tables.tallies(wanted) if wanted else []
        with statements_on(tables.db) as seen:
            if wanted:
                assert tables.alert_page(wanted, alertlite.DEFAULT_ORDER, 50, 0, tallies)
            else:
                with contextlib.suppress(alertlite.Problem):
                    ask(tables)
        statements = [sql for sql in seen if not sql.startswith("--")]
        plans = [(sql, tables.rows("EXPLAIN QUERY PLAN " + sql, [None] * sql.count("?"))) for sql in statements]
    assert plans
    for sql, rows in plans:
        assert faults_of_plan(rows) == [], sql
    assert any(index in detail for _, rows in plans for *_, detail in rows), plans


@pytest.mark.parametrize("faulty", [
    "SELECT * FROM alerts WHERE text = 'x'", "SELECT * FROM alerts WHERE status = 'open' ORDER BY severity",
    "SELECT severity, count(*) FROM alerts WHERE status = 'open' GROUP BY severity",
])
def test_the_judge_of_plans_knows_a_bad_one(store: alertlite.Store, faulty: str) -> None:
    assert faults_of_plan(store.db.execute("EXPLAIN QUERY PLAN " + faulty).fetchall()) != []


def shape_of(db: sqlite3.Connection) -> dict[str, Any]:
    """What the tables and indexes of a database are."""
    names = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY name")]
    return {name: (db.execute(f"PRAGMA table_info({name})").fetchall(), db.execute(f"PRAGMA index_xinfo({name})").fetchall()) for name in names}


def test_a_database_of_the_first_schema_becomes_one_of_today(app: Any, path: pathlib.Path) -> None:
    assert alertlite.text_from_ms(0).startswith("1970")
    path = path.with_name("first.db")
    with contextlib.closing(alertlite.connect(str(path))) as db:
        for statement in alertlite.split_statements((ROOT / "tests" / "schema-1.sql").read_text(encoding="utf-8")):
            db.execute(statement)
        db.execute("INSERT INTO heartbeats VALUES (1, 'id-of-it', 'probe', '', '[]', '{}', 60, 0, 1893456060000)")
        db.execute("INSERT INTO beats VALUES (1, 1893456000000, 1893456000000)")
        db.execute(f"PRAGMA application_id = {alertlite.APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
    store = alertlite.Store(str(path))
    engine = alertlite.Engine(store, app.clock, alertlite.load_settings({"db": str(path)}, {}))
    engine.begin_listening()
    with store.read() as old, app.store.read() as new:
        assert shape_of(old.db) == shape_of(new.db)
        assert [(beat.origin, beat.gap) for beat in old.list_heartbeats()] == [("probe", 0)]
    store.close()


# --- a database that is gone, and what is kept in memory meanwhile

@pytest.mark.parametrize(("harm", "rescued"), [
    (lambda path: path.unlink(), [1]), (lambda path: os.replace(path.with_name("other.db"), path), [1]),
    (lambda path: os.truncate(path, 0), [0, 1]),     # as far as it is still in memory
], ids=["deleted", "replaced", "cut off"])
def test_a_file_that_is_gone_is_noticed_and_nothing_is_acknowledged_any_more(path: pathlib.Path, harm: Callable, rescued: list[int]) -> None:
    path.with_name("other.db").write_bytes(b"something else")
    store, ended = alertlite.Store(str(path)), []
    store.on_fault = lambda: ended.append(store.fault)
    store.write(saving("kept"))
    store.look_at_file()
    assert store.fault is None
    harm(path)
    store.look_at_file()
    assert ended == [f"{path} was deleted, replaced or cut off"]
    with pytest.raises(alertlite.Unavailable):
        store.write(saving("lost"))
    store.close()
    for copy in beside(path, ".rescued-*"):
        with looking_at(copy) as db:
            assert fact(db, "kept") == "kept", "what was acknowledged is in a file of its own"
    assert len(beside(path, ".rescued-*")) in rescued


def test_pings_and_heartbeats_that_the_disk_has_no_room_for_count_and_are_stored_later(app: Any) -> None:
    code = app.call("POST", "/api/v3/checks/", {"name": "nightly", "timeout": 3600, "grace": 600}).json["uuid"]
    assert app.call("GET", f"/ping/{code}", key=None).status == 200
    app.call("POST", "/heartbeat", {"origin": "probe", "timeout": 60})
    app.store.db.execute("CREATE TEMP TRIGGER no_room BEFORE INSERT ON pings BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END")
    app.store.db.execute("CREATE TEMP TRIGGER no_room_either BEFORE UPDATE ON beats BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END")
    app.clock.advance(3000)
    kept = app.call("POST", f"/ping/{code}", key=None, raw=b"a body")
    assert (kept.status, kept.body) == (202, b"counted, but not stored yet: the disk is full")
    beat = app.call("POST", "/heartbeat", {"origin": "probe", "timeout": 60})
    assert (beat.status, beat.json["message"], beat.json["heartbeat"]["receiveTime"]) == (
        202, "counted, but not stored yet: the disk is full", "2030-01-01T00:50:00.000Z")
    assert app.call("GET", "/ping/00000000-0000-4000-8000-000000000000", key=None).status == 404, "only what exists is kept"
    app.clock.advance(1000)
    with pytest.raises(alertlite.StorageFull):
        app.engine.expire_due()
    assert app.events() == [], "nobody is called silent because of our disk"
    app.store.db.execute("DROP TRIGGER no_room")
    app.store.db.execute("DROP TRIGGER no_room_either")
    assert app.engine.expire_due().down == []
    shown = app.call("GET", f"/api/v3/checks/{code}").json
    assert (shown["n_pings"], shown["last_ping"]) == (2, "2030-01-01T00:50:00+00:00")
    assert app.call("GET", f"/api/v3/checks/{code}/pings/2/body").body == b"a body"


def test_more_than_the_memory_takes_is_a_507_and_a_time_of_not_listening(app: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(alertlite, "MOST_SIGNS", 2)
    room = fill(app)
    app.engine.look_at_clock()
    statuses = [app.call("POST", "/heartbeat", {"origin": f"probe {number}", "timeout": 60, "attributes": {"large": "x" * 90_000}}).status
                for number in range(3)]
    assert statuses == [202, 202, 507]
    for _ in range(6):                               # what is noted of it cannot be stored either, as long as it lasts
        app.clock.advance(5)
        app.engine.look_at_clock()
    app.store.db.execute(f"PRAGMA max_page_count = {room}")
    app.engine.store_signs()
    app.engine.look_at_clock()
    assert [(span.reason, alertlite.span_length(span)) for span in app.engine.listening.spans] == [("full", 30_000)]
    assert len(app.get("/heartbeats")["heartbeats"]) == 2


def test_a_full_database_loses_the_oldest_of_what_is_over_and_then_has_room(app: Any) -> None:
    app.engine.settings.ballast = 0
    old = [app.post_alert(f"r{number}", text="x" * 5000)["id"] for number in range(250)]
    for ident in old[:150]:
        app.call("PUT", f"/alert/{ident}/status", {"status": "closed"})
    fill(app)
    big = {"resource": "new", "event": "HttpError", "severity": "major", "text": "x" * 50_000}
    assert app.call("POST", "/alert", big).status == 507 and app.store.is_full
    app.engine.make_room()
    assert app.call("POST", "/alert", big).status == 201
    left = app.get("/alerts/count")["statusCounts"]
    assert left == {"open": 102, "closed": 50}, "what is open stays; with the alert about the full disk, and the new one"
    assert "StorageFull" in [alert["event"] for alert in app.get("/alerts?severity=critical")["alerts"]]
    app.engine.keep_ballast()
    assert app.get("/alerts?event=StorageFull")["alerts"][0]["status"] == "closed"


def test_the_ballast_is_held_while_there_is_room_and_not_given_up_for_a_full_database(app: Any) -> None:
    ballast = pathlib.Path(app.store.path + ".ballast")
    app.engine.keep_ballast()
    assert ballast.stat().st_size == ballast.stat().st_blocks * 512 == 1024 * 1024
    app.engine.make_room()
    assert ballast.exists(), "the disk has room: it is the database that may not grow"
    assert alertlite.release_ballast(app.store.path) and not ballast.exists() and not alertlite.release_ballast(app.store.path)
    app.engine.keep_ballast()
    assert ballast.exists()


def test_a_last_good_copy_is_due_once_in_a_while_where_something_was_stored(app: Any) -> None:
    assert not app.engine.copy_is_due(), "not at once: the start may be the last of many"
    app.clock.advance(601)
    assert not app.engine.copy_is_due(), "nothing was stored"
    app.post_alert()
    assert app.engine.copy_is_due()
    app.engine.copy_database()
    assert alertlite.check_copy(app.store.path + ".last-good") == alertlite.SCHEMA_VERSION and not app.engine.copy_is_due()
    app.engine.settings.copy_every = 0
    app.clock.advance(90_000)
    app.post_alert("other")
    assert not app.engine.copy_is_due()


def test_an_error_that_sqlite_cannot_recover_from_ends_all_acknowledging(app: Any) -> None:
    app.store.db.execute("PRAGMA query_only = 1")    # as if the file system had become read-only
    ended: list[Any] = []
    app.store.on_fault = lambda: ended.append(app.store.fault)
    alert = {"resource": "r", "event": "e", "severity": "major"}
    assert app.call("POST", "/alert", alert).status == 503 and ended == [
        "the database cannot be written: attempt to write a readonly database"]
    app.store.db.execute("PRAGMA query_only = 0")
    assert app.call("POST", "/alert", alert).status == 503, "though it would work again: only a new start can tell what is stored"
    assert app.call("GET", "/healthz", key=None).status == 503 and app.call("GET", "/alerts").status == 200
    assert pathlib.Path(app.store.path + ".suspect").exists(), "the next start looks at the whole file"
