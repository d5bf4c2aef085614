"""A load generator: keep-alive connections driven by one epoll loop, so that it costs less than what it measures."""
from __future__ import annotations

import json
import select
import socket
import statistics
import time
from collections.abc import Callable


def request_bytes(method: str, path: str, body: bytes = b"", key: str = "") -> bytes:
    """A request, ready to send."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", "Content-Type: application/json"]
    if key:
        lines.append(f"Authorization: Key {key}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.buffer = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """The status, once the whole answer is there."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        start = self.buffer.lower().find(b"content-length:")
        length = int(self.buffer[start + 15:self.buffer.find(b"\r", start)])
        return int(self.buffer[9:12]) if len(self.buffer) >= end + 4 + length else None


def run_load(port: int, connections: int, seconds: float, make_request: Callable[[int], bytes], wanted: int, least: int = 0) -> dict[str, float]:
    """Answers a second, and latencies in milliseconds, of so many connections that each ask again at once, for so many seconds
    and until so many requests were sent."""
    poll = select.epoll()
    pool = {}
    for _ in range(connections):
        connection = Connection(port)
        pool[connection.socket.fileno()] = connection
        poll.register(connection.socket.fileno(), select.EPOLLIN)
    number = 0
    latencies = []
    started = time.perf_counter()
    for connection in pool.values():
        connection.send(make_request(number))
        number += 1
    under_way = connections
    while under_way:
        for descriptor, _ in poll.poll(10):
            connection = pool[descriptor]
            status = connection.receive()
            if status is None:
                continue
            if status != wanted:
                raise AssertionError(f"answered {status}: {connection.buffer[:500]!r}")
            now = time.perf_counter()
            latencies.append(now - connection.sent_at)
            if now - started < seconds or number < least:
                connection.send(make_request(number))
                number += 1
            else:
                under_way -= 1
    took = time.perf_counter() - started
    for connection in pool.values():
        connection.socket.close()
    latencies.sort()
    return {"per_second": len(latencies) / took, "p50": 1000 * statistics.median(latencies), "p99": 1000 * latencies[int(len(latencies) * 0.99)]}


def alert_body(resource: str) -> bytes:
    """An alert of about 1 kB."""
    return json.dumps({
        "resource": resource, "event": "DiskFull", "environment": "Production", "severity": "major", "service": ["Storage"],
        "group": "OS", "value": "97%", "text": "The disk is nearly full. " * 20, "tags": ["rack=4", "room=cellar"],
        "attributes": {"mount": "/var", "device": "/dev/sda1", "runbook": "http://wiki.example/disk-full"},
        "origin": "bench", "type": "diskAlert", "timeout": 86400, "rawData": "x" * 200}).encode()
