"""Speed and size of alertlite, as ratios to the yardstick measured beside it in the same run.

    python bench/bench.py                 writing, pings, reading, memory, start; about seven minutes
    python bench/bench.py writing         one part
    BENCH_ROWS=1000,100000                how many alerts the reading part stores (default 1000,100000,1000000)
    BENCH_ROUNDS=5 BENCH_SECONDS=2        rounds of the writing part, and seconds of each measurement
"""
from __future__ import annotations

import contextlib
import http.client
import os
import pathlib
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from load import alert_body, request_bytes, run_load  # noqa: E402

import alertlite  # noqa: E402

KEY = "bench-key-0123456789-0123456789-"
ROUNDS, SECONDS = int(os.environ.get("BENCH_ROUNDS", "5")), float(os.environ.get("BENCH_SECONDS", "2"))
GOALS = {                                            # measurement -> (goal, whether it is a least or a most)
    "duplicates, 32 connections / echo": (0.55, "least"), "new alerts, 32 connections / echo": (0.45, "least"),
    "duplicates, 1 connection / echo": (0.38, "least"), "new alerts, 1 connection / echo": (0.38, "least"),
    "pings, 32 connections / echo": (0.55, "least"), "pings with 100,000 checks, 32 connections / echo": (0.55, "least"),
    "list of 1,000 checks, ms": (50, "most"), "flip lag, 1,000 due of 100,000 checks, s": (1, "most"),
    "timer pass over 100 due, 100,000 checks stored / 1,000": (2, "most"),
    "PSS after start, MB": (35, "most"), "PSS with 100,000 alerts and load, MB": (60, "most"), "first answer, s": (0.5, "most"),
    "idle CPU over 5 s, s": (0.02, "most"), "idle bytes written over 5 s": (0, "most"),
}
failures: list[str] = []


def report(name: str, value: float, goal: tuple[float, str] | None = None) -> None:
    """One line of the result, compared with its goal."""
    goal = goal or GOALS.get(name)
    verdict = ""
    if goal:
        met = value >= goal[0] if goal[1] == "least" else value <= goal[0]
        verdict = f"   goal: at {goal[1]} {goal[0]:g}   {'met' if met else 'MISSED'}"
        if not met:
            failures.append(name)
    print(f"  {name:58} {value:9.3f}{verdict}", flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command: list[str], port: int, **env: str) -> Iterator[subprocess.Popen]:
    """A server process that accepts connections; ended afterwards."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}     # as users start it
    process = subprocess.Popen(command, env={**inherited, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command} does not serve")
            time.sleep(0.005)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def alertlite_server(db: pathlib.Path, port: int) -> Any:
    return running([sys.executable, str(HERE.parent / "alertlite.py"), "serve", "--listen", f"127.0.0.1:{port}", "--db", str(db)],
                   port, ALERTLITE_ADMIN_KEY=KEY)


def echo_server(port: int) -> Any:
    return running([sys.executable, str(HERE / "echo.py"), str(port)], port)


def get(port: int, path: str) -> tuple[int, float]:
    """(status, seconds) of one GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    started = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Key {KEY}"})
    response = connection.getresponse()
    response.read()
    took = time.perf_counter() - started
    connection.close()
    return response.status, took


def pss(pid: int) -> float:
    """Proportional set size in MB."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no Pss")


def measure_writing(folder: pathlib.Path) -> None:
    print(f"writing: durable POST /alert of 1 kB, medians of {ROUNDS} rounds of {SECONDS:g} s")
    echo_port, port = free_port(), free_port()
    duplicate = request_bytes("POST", "/alert", alert_body("web01"), KEY)
    head, tail = request_bytes("POST", "/alert", alert_body("host-000000000000"), KEY).split(b"host-000000000000")
    kinds = {
        "echo": (echo_port, lambda number: duplicate, 200),
        "duplicates": (port, lambda number: duplicate, 201),
        "new alerts": (port, lambda number: b"%bhost-%012d%b" % (head, time.perf_counter_ns() % 10**12, tail), 201),
    }
    with echo_server(echo_port), alertlite_server(folder / "writing.db", port):
        for connections in (32, 1):
            results: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
            for _ in range(ROUNDS):
                for kind, (target, make_request, wanted) in kinds.items():
                    results[kind].append(run_load(target, connections, SECONDS, make_request, wanted))
            plural = "s" if connections > 1 else ""
            for kind, rounds in results.items():
                rate = statistics.median(one["per_second"] for one in rounds)
                p99 = statistics.median(one["p99"] for one in rounds)
                print(f"  {kind + f', {connections} connection{plural}':58} {rate:9.0f}/s   p99 {p99:.1f} ms")
            for kind in ("duplicates", "new alerts"):
                ratio = statistics.median(ours["per_second"] / echo["per_second"] for ours, echo in zip(results[kind], results["echo"]))
                report(f"{kind}, {connections} connection{plural} / echo", ratio)


def build_checks(path: pathlib.Path, count: int, due: int = 0, due_at: int = 0) -> list[str]:
    """A file of so many checks that are up; the runs of `due` of them should have ended by due_at. The codes of all."""
    settings = alertlite.load_settings({"db": str(path)}, {})
    store = alertlite.Store(str(path))
    engine = alertlite.Engine(store, alertlite.Clock(), settings)
    engine.create_admin(KEY)
    now = engine.clock.now()
    codes = []

    def insert(tables: alertlite.Tables, numbers: range) -> None:
        for number in numbers:
            check = alertlite.new_check("", {"name": f"job {number}", "slug": f"job-{number}", "tags": f"rack{number % 10} nightly",
                                             "timeout": 86_400, "grace": 3600}, now)
            check = check._replace(status="up", n_pings=1, last_ping_at=now, due_at=now + 90_000_000)
            if number < due:
                check = check._replace(last_start_at=due_at - 5000, grace=5, due_at=due_at)
            codes.append(tables.insert_check(check).code)

    for start in range(0, count, 5000):
        numbers = range(start, min(start + 5000, count))
        store.write(lambda tables, numbers=numbers: insert(tables, numbers))
    store.close()
    return codes


def measure_pings(folder: pathlib.Path) -> None:
    print(f"pings: durable GET /ping/<uuid>, medians of {ROUNDS} rounds of {SECONDS:g} s")
    ports = {"echo": free_port(), "pings": free_port(), "pings with 100,000 checks": free_port()}
    codes = {"pings": build_checks(folder / "few.db", 1000), "pings with 100,000 checks": build_checks(folder / "many.db", 100_000)}
    codes["echo"] = codes["pings"]
    random.seed(1)
    requests = {kind: [request_bytes("GET", f"/ping/{code}") for code in random.sample(found, 1000)] for kind, found in codes.items()}
    with echo_server(ports["echo"]), alertlite_server(folder / "few.db", ports["pings"]), \
            alertlite_server(folder / "many.db", ports["pings with 100,000 checks"]):
        rates: dict[str, list[float]] = {kind: [] for kind in ports}
        for _ in range(ROUNDS):
            for kind, port in ports.items():
                asked = requests[kind]
                rates[kind].append(run_load(port, 32, SECONDS, lambda number, asked=asked: asked[number % 1000], 200)["per_second"])
        for kind in ports:
            print(f"  {kind + ', 32 connections':58} {statistics.median(rates[kind]):9.0f}/s")
        for kind in ("pings", "pings with 100,000 checks"):
            report(f"{kind}, 32 connections / echo", statistics.median(ours / echo for ours, echo in zip(rates[kind], rates["echo"])))
        get(ports["pings"], "/api/v3/checks/")
        report("list of 1,000 checks, ms", 1000 * statistics.median(get(ports["pings"], "/api/v3/checks/")[1] for _ in range(9)))


def measure_flips(folder: pathlib.Path) -> None:
    print("flips: what falls due among 100,000 checks")
    passes = {}
    for stored in (1000, 100_000):
        taken = []
        for turn in range(5):
            path = folder / f"pass-{stored}-{turn}.db"
            clock = alertlite.Clock()
            build_checks(path, stored, 100, clock.now() - 1)
            store = alertlite.Store(str(path))
            engine = alertlite.Engine(store, clock, alertlite.load_settings({"db": str(path)}, {}))
            engine.listening_since = 0
            started = time.perf_counter()
            assert len(engine.expire_due().down) == 100
            taken.append(time.perf_counter() - started)
            store.close()
        passes[stored] = statistics.median(taken)
        print(f"  {f'timer pass over 100 due, {stored:,} checks stored':58} {1000 * passes[stored]:9.1f} ms")
    report("timer pass over 100 due, 100,000 checks stored / 1,000", passes[100_000] / passes[1000])
    path, port = folder / "lag.db", free_port()
    codes = build_checks(path, 100_000)[:1000]
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE checks SET grace = 5 WHERE seq <= 1000")
    with alertlite_server(path, port), contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        started = run_load(port, 32, 0, lambda number: request_bytes("GET", f"/ping/{codes[number]}/start"), 200, len(codes))
        due_at = db.execute("SELECT max(due_at) FROM checks WHERE last_start_at IS NOT NULL").fetchone()[0] / 1000
        assert started["per_second"] > 500, "the deadlines lie within two seconds"
        while db.execute("SELECT count(*) FROM flips").fetchone()[0] < 1000:
            assert time.time() < due_at + 30
            time.sleep(0.01)
        report("flip lag, 1,000 due of 100,000 checks, s", time.time() - due_at)


def build_database(path: pathlib.Path, rows: int) -> None:
    """A file of so many alerts: 20 services, 3 environments, 30 days, one in twenty open, or at least fifty."""
    settings = alertlite.load_settings({"db": str(path), "delete_expired_after": "0", "delete_info_after": "0", "alert_timeout": "0"}, {})
    store = alertlite.Store(str(path))
    engine = alertlite.Engine(store, alertlite.Clock(), settings)
    engine.create_admin(KEY)
    random.seed(1)
    now = engine.clock.now()
    span = 30 * 86_400_000

    def insert(tables: alertlite.Tables, numbers: range) -> None:
        for number in numbers:
            at = now - span + span * number // rows
            report = alertlite.AlertReport(
                alertlite.new_id(), f"host-{number:07d}", "DiskFull", random.choice(["Production", "Production", "Staging", "Lab"]),
                random.choice(["critical", "major", "minor", "warning"]), "open", [], [f"service-{random.randrange(20):02d}"], "OS", "97%",
                "The disk is nearly full. " * 8, ["rack=4"], {"mount": "/var"}, "bench", "diskAlert", at, 0, None, "")
            alert = alertlite.new_alert(report, at)
            if random.random() >= max(0.05, 100 / rows):
                alert = alert._replace(status="closed")
            alert = tables.insert_alert(alert)
            tables.insert_history(alertlite.HistoryEntry(None, alert.seq, alert.id, alert.event, alert.severity, alert.status, alert.value,
                                                         alert.text, "new", at, None, 0), 100)

    for start in range(0, rows, 5000):
        numbers = range(start, min(start + 5000, rows))
        store.write(lambda tables, numbers=numbers: insert(tables, numbers))
    store.close()


QUESTIONS = {
    "open, newest 50": "/alerts?status=open",
    "open and acknowledged": "/alerts?status=open&status=ack",
    "environment + service": "/alerts?environment=Production&service=service-07",
    "environment + service, open": "/alerts?environment=Production&service=service-07&status=open",
    "counts": "/alerts/count",
    "counts of open": "/alerts/count?status=open",
    "environments": "/environments",
    "services": "/services",
}


def measure_reading(folder: pathlib.Path) -> None:
    sizes = [int(text) for text in os.environ.get("BENCH_ROWS", "1000,100000,1000000").split(",")]
    print("reading: milliseconds of a GET (median of 60, taken in turn), and its cost relative to the smallest store")
    with contextlib.ExitStack() as stack:
        ports = {}
        for size in sizes:
            build_database(folder / f"reading-{size}.db", size)
            ports[size] = free_port()
            env = {"ALERTLITE_DELETE_EXPIRED_AFTER": "0", "ALERTLITE_DELETE_INFO_AFTER": "0"}
            command = [sys.executable, str(HERE.parent / "alertlite.py"), "serve", "--listen", f"127.0.0.1:{ports[size]}", "--db",
                       str(folder / f"reading-{size}.db")]
            stack.enter_context(running(command, ports[size], ALERTLITE_ADMIN_KEY=KEY, **env))
        for name, path in QUESTIONS.items():
            times: dict[int, list[float]] = {size: [] for size in sizes}
            for _ in range(60):
                for size in sizes:
                    status, took = get(ports[size], path)
                    assert status == 200, (status, path)
                    times[size].append(1000 * took)
            medians = {size: statistics.median(taken) for size, taken in times.items()}
            print("  " + name.ljust(30) + "  ".join(f"{size}: {median:.2f} ms" for size, median in medians.items()))
            for size in sizes[1:]:
                report(f"{name}, {size:,} alerts / {sizes[0]:,}", medians[size] / medians[sizes[0]], (2 if size <= 100_000 else 3, "most"))


def measure_process(folder: pathlib.Path) -> None:
    print("process: memory, start, idleness")
    port = free_port()
    command = [sys.executable, str(HERE.parent / "alertlite.py"), "serve", "--listen", f"127.0.0.1:{port}", "--db", str(folder / "start.db")]
    took = []
    for _ in range(5):
        started = time.perf_counter()
        with running(command, port, ALERTLITE_ADMIN_KEY=KEY):
            get(port, "/healthz")
            took.append(time.perf_counter() - started)
    report("first answer, s", statistics.median(took))
    with alertlite_server(folder / "start.db", port) as process:
        get(port, "/alerts")
        report("PSS after start, MB", pss(process.pid))
        time.sleep(1)
        before, written = cpu_seconds(process.pid), bytes_written(process.pid)
        time.sleep(5)
        report("idle CPU over 5 s, s", cpu_seconds(process.pid) - before)
        report("idle bytes written over 5 s", bytes_written(process.pid) - written)
    large = folder / "large.db"
    build_database(large, 100_000)
    with alertlite_server(large, port) as process:
        duplicate = request_bytes("POST", "/alert", alert_body("web01"), KEY)
        run_load(port, 32, SECONDS, lambda number: duplicate, 201)
        reading = [request_bytes("GET", path, b"", KEY) for path in QUESTIONS.values()]
        run_load(port, 32, SECONDS, lambda number: reading[number % len(reading)], 200)
        run_load(port, 32, SECONDS, lambda number: request_bytes("POST", "/alert", alert_body(f"new-{number}"), KEY), 201)
        report("PSS with 100,000 alerts and load, MB", pss(process.pid))


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bytes_written(pid: int) -> float:
    return float(dict(line.split(": ") for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())["write_bytes"])


PARTS = {"writing": measure_writing, "pings": measure_pings, "flips": measure_flips, "reading": measure_reading, "process": measure_process}


def main() -> int:
    chosen = sys.argv[1:] or list(PARTS)
    with tempfile.TemporaryDirectory(prefix="alertlite-bench-", dir=os.environ.get("BENCH_FOLDER")) as folder:
        for part in chosen:
            PARTS[part](pathlib.Path(folder))
    print(f"{len(failures)} goals missed: {', '.join(failures)}" if failures else "all goals met")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
