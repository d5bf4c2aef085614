"""Messages arrive: every kind of receiver with a real target, what fails, what waits, and what nobody is to hear of."""
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import socketserver
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from conftest import free_port

import alertlite

pytestmark = pytest.mark.slow                      # real receivers, and targets that drip; continuous integration runs them all

CONFIG = "/notification/config/receivers"
HOUR, DAY = 3600, 86_400
# A certificate for localhost and 127.0.0.1, signed by itself, valid until 2120. It protects nothing.
CERTIFICATE = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgpdrXywWefb4+70Gz
G3smmlfYubHltebzPIpI4Iox5IOhRANCAATkaecqAw5gSfwsYxKT2qFDf8LS4196
Z/xe1oFre5QSNpUn3Szj1nKHHXUjgLyvBnsJxc9rNZxG6ZAJkIUPlBaK
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBZzCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABORp5yoDDmBJ/Cxj
EpPaoUN/wtLjX3pn/F7WgWt7lBI2lSfdLOPWcocddSOAvK8GewnFz2s1nEbpkAmQ
hQ+UFoqjTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBRlB/sSfKbCkIRnGS0mZut1aBCSAzAKBggqhkjOPQQD
AgNIADBFAiA7n4ZLc9IB52GDJH24/4awEDL37+wl1o5subs5e7PuWAIhAJ3P9iaw
Nu7wA8GXT1d2tirpKwBCxuJa93G3u4+NnKOi
-----END CERTIFICATE-----
"""


@pytest.fixture
def certificate(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    return path


def server_context(certificate: pathlib.Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


# --- targets

class Got(NamedTuple):
    """A request that arrived."""
    method: str
    path: str
    headers: Any
    body: bytes
    at: float                                        # monotonic seconds
    status: int                                      # with which it was answered

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Sink:
    """A web server on the loopback address that keeps what it gets, and answers what it is told to, else 200."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []          # each for one request
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"ok")
        self.port = 0
        self.start()

    def choose_answer(self) -> tuple[int, dict[str, str], bytes]:
        return self.answers.pop(0) if self.answers else self.answer

    def start(self) -> None:
        """Listens, at the same port as before."""
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, content = sink.choose_answer()
                sink.got.append(Got(self.command, self.path, self.headers, body, time.monotonic(), status))
                content = content.replace(b"{path}", self.path.encode())
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = handle_one

            def log_message(self, *args: Any) -> None:
                """Says nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Nobody is there any more: connections are refused."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def make_sink() -> Iterator[Callable[[], Sink]]:
    made: list[Sink] = []

    def make() -> Sink:
        made.append(Sink())
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def sink(make_sink: Callable[[], Sink]) -> Sink:
    return make_sink()


class Mailbox:
    """The handler of a mail server: keeps what it gets; refuses receivers with the answer that it has for them."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Any]] = []
        self.refused: dict[str, str] = {}
        self.answer = "250 ok"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.mails.append((list(envelope.rcpt_tos), alertlite.email.message_from_bytes(envelope.content)))
        return self.answer


@pytest.fixture
def make_mailbox() -> Iterator[Callable[..., Mailbox]]:
    """Makes mail servers: make(); make(tls_context=…), make(authenticator=…)."""
    running: list[Controller] = []

    def make(**more: Any) -> Mailbox:
        box = Mailbox()
        controller = Controller(box, hostname="127.0.0.1", port=free_port(), loop=asyncio.new_event_loop(), **more)
        controller.start()
        running.append(controller)
        box.port = controller.port
        return box

    yield make
    for controller in running:
        controller.stop()


def mail_text(mail: Any) -> str:
    return mail.get_payload(decode=True).decode()


@contextlib.contextmanager
def raw_server(talk: Callable[[Any], None]) -> Iterator[int]:
    """The port of a server that does what `talk` does with each connection."""
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                talk(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


# --- the application with somebody who carries its messages

class Desk:
    """The application, and a courier that goes when it is told to."""

    def __init__(self, app: Any):
        self.app = app
        self.courier = alertlite.Courier(app.engine, "http://alert.test")

    def receiver(self, kind: str, address: Any, **fields: Any) -> str:
        answer = self.app.call("POST", CONFIG, {"type": kind, "address_data": address, **fields})
        assert answer.status == 201, answer
        return answer.json

    def seq(self, ident: str) -> int:
        with self.app.store.read() as tables:
            return tables.find_receiver(ident).seq

    def subscribe(self, ident: str, *names: str) -> None:
        """It hears of these, and of nothing else."""
        shown = self.app.get(f"{CONFIG}/{ident}")
        wanted = {name: value for name, value in shown.items() if name not in ("eventTypes", "event_types")}
        answer = self.app.call("PUT", f"{CONFIG}/{ident}", {**wanted, "event_types": list(names)})
        assert answer.status == 200, answer

    def go(self) -> dict[int, float | None]:
        """One round: everybody to whom something is owed is sent to. receivers.seq -> seconds to wait, None = all was sent."""
        with self.app.store.read() as tables:
            waiting = tables.waiting_receivers()
        return {seq: self.courier.deliver(seq) for seq in waiting}

    def deliveries(self, ident: str, state: str = "") -> list[Any]:
        return self.app.get(f"{CONFIG}/{ident}/deliveries?state={state}&limit=100")

    def states(self, ident: str) -> list[tuple[str, str]]:
        """(type of the event, state) of all that was ever owed to a receiver and waits no longer, the oldest first."""
        return [(item["event"]["type"], item["state"]) for item in self.deliveries(ident)[::-1] if item["state"] != "waiting"]

    def tell(self, ident: str) -> float | None:
        """A test message to one receiver, tried once: seconds to wait, None = it arrived or was refused."""
        assert self.app.call("POST", f"{CONFIG}/{ident}/test").status == 200
        return self.courier.deliver(self.seq(ident))

    def new_check(self, **fields: Any) -> Any:
        answer = self.app.call("POST", "/api/v3/checks/", {"name": "Backup", "timeout": 60, "grace": 60, **fields})
        assert answer.status == 201, answer
        return answer.json

    def ping(self, check: Any, action: str = "", body: bytes = b"") -> None:
        assert self.app.call("POST", f"/ping/{check['uuid']}{action}", raw=body, key=None).status == 200

    def pass_time(self, seconds: float) -> None:
        """The clock moves on, and what is due is done."""
        self.app.clock.advance(seconds)
        self.app.engine.expire_due()


@pytest.fixture
def make_desk(make_app: Any) -> Callable[..., Desk]:
    return lambda **given: Desk(make_app(**{"private_targets": "all", **given}))


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


# --- mail

def test_a_mail_says_what_happened(make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox]):
    box = make_mailbox()
    desk = make_desk(smtp_url=f"smtp://127.0.0.1:{box.port}", mail_from="alerts@example.org")
    ident = desk.receiver("email", "me@example.org")
    alert = desk.app.post_alert(text="Grüße: site is down", service=["Web"])
    desk.go()
    (to, mail), = box.mails
    assert to == ["me@example.org"] and mail["From"] == "alerts@example.org" and mail["To"] == "me@example.org"
    assert mail["Subject"] == "MAJOR: web01 HttpError" and mail["Auto-Submitted"] == "auto-generated"
    assert "Grüße: site is down" in mail_text(mail) and f"http://alert.test/alert/{alert['id']}" in mail_text(mail)
    (delivery,) = desk.deliveries(ident)
    assert delivery["state"] == "sent" and delivery["attempts"] == 1 and delivery["last_error"] is None
    assert delivery["event"]["id"] in mail["Message-ID"]


def test_a_mail_to_several_addresses_is_one_mail(make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox]):
    box = make_mailbox()
    desk = make_desk(smtp_url=f"smtp://127.0.0.1:{box.port}")
    assert desk.tell(desk.receiver("email", "a@example.org,b@example.org")) is None
    assert [to for to, _ in box.mails] == [["a@example.org", "b@example.org"]]
    assert box.mails[0][1]["To"] == "a@example.org, b@example.org"


def test_a_title_with_a_line_break_makes_no_header(make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox]):
    box = make_mailbox()
    desk = make_desk(smtp_url=f"smtp://127.0.0.1:{box.port}")
    desk.receiver("email", "me@example.org")
    desk.app.post_alert("web01\r\nBcc: other@example.org")
    desk.go()
    (to, mail), = box.mails
    assert to == ["me@example.org"] and mail["Bcc"] is None and "Bcc: other@example.org" in mail["Subject"]


def test_a_mail_server_with_a_certificate_that_nobody_signed_gets_nothing_not_even_in_clear(
        make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox], certificate: pathlib.Path):
    box = make_mailbox(tls_context=server_context(certificate))
    desk = make_desk(smtp_url=f"smtp://127.0.0.1:{box.port}")
    ident = desk.receiver("email", "me@example.org")
    assert desk.tell(ident) > 0
    assert box.mails == []
    delivery, = desk.deliveries(ident, "waiting")
    assert "certificate verify failed" in delivery["last_error"]


def test_a_mail_goes_over_tls_where_the_certificate_is_trusted(
        make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox], certificate: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    box = make_mailbox(tls_context=server_context(certificate), require_starttls=True)
    desk = make_desk(smtp_url=f"smtp://localhost:{box.port}")
    assert desk.tell(desk.receiver("email", "me@example.org")) is None
    assert len(box.mails) == 1


def test_a_password_is_never_sent_without_tls_unless_the_setting_says_so(make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox]):
    box = make_mailbox(authenticator=lambda *given: AuthResult(success=True), auth_require_tls=False)
    desk = make_desk(smtp_url=f"smtp://me:secret@127.0.0.1:{box.port}")
    ident = desk.receiver("email", "me@example.org")
    assert desk.tell(ident) > 0 and box.mails == []
    assert "STARTTLS" in desk.deliveries(ident)[0]["last_error"]


@pytest.mark.parametrize(("given", "arrives"), [("me%40example.org:p%2Fss", True), ("me%40example.org:wrong", False)],
                         ids=["the right password, with signs that need quoting", "a wrong one: tried again, the operator can mend it"])
def test_a_mail_server_is_signed_in_to(make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox], given: str, arrives: bool):
    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        seen.append(mechanism)
        return AuthResult(success=(data.login, data.password) == (b"me@example.org", b"p/ss"), handled=False)

    seen: list[str] = []
    box = make_mailbox(authenticator=check, auth_require_tls=False)
    desk = make_desk(smtp_url=f"smtp://{given}@127.0.0.1:{box.port}?starttls=off")
    ident = desk.receiver("email", "me@example.org")
    assert (desk.tell(ident) is None) is arrives
    assert seen and len(box.mails) == arrives and [item["state"] for item in desk.deliveries(ident)] == ["sent" if arrives else "waiting"]


@pytest.mark.parametrize(("refused", "state"), [
    pytest.param({"a@example.org": "550 no such mailbox"}, "dead", id="refused for good"),
    pytest.param({"a@example.org": "450 come back later"}, "waiting", id="greylisted"),
])
def test_a_refused_mail_receiver(make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox], refused: dict[str, str], state: str):
    box = make_mailbox()
    box.refused = refused
    desk = make_desk(smtp_url=f"smtp://127.0.0.1:{box.port}")
    ident = desk.receiver("email", "a@example.org")
    desk.subscribe(ident)
    assert (desk.tell(ident) is None) is (state == "dead")
    delivery, = desk.deliveries(ident, state)
    assert refused["a@example.org"][4:] in delivery["last_error"] and box.mails == []


@pytest.mark.parametrize(("answer", "state"), [("554 spam", "dead"), ("451 try later", "waiting"), ("552 disk full", "waiting")])
def test_a_refused_mail(make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox], answer: str, state: str):
    box = make_mailbox()
    box.answer = answer
    desk = make_desk(smtp_url=f"smtp://127.0.0.1:{box.port}")
    ident = desk.receiver("email", "a@example.org")
    desk.subscribe(ident)
    desk.tell(ident)
    delivery, = desk.deliveries(ident)
    assert delivery["state"] == state and answer in delivery["last_error"]


def test_of_several_mail_receivers_those_that_can_be_reached_are(make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox]):
    box = make_mailbox()
    box.refused = {"gone@example.org": "550 no such mailbox"}
    desk = make_desk(smtp_url=f"smtp://127.0.0.1:{box.port}")
    assert desk.tell(desk.receiver("email", "gone@example.org,here@example.org")) is None
    assert [to for to, _ in box.mails] == [["here@example.org"]]


def test_of_several_mail_receivers_one_that_is_greylisted_gets_its_mail_later(make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox]):
    box = make_mailbox()
    box.refused = {"grey@example.org": "450 come back later"}
    desk = make_desk(smtp_url=f"smtp://127.0.0.1:{box.port}")
    desk.tell(desk.receiver("email", "grey@example.org,here@example.org"))
    box.refused.clear()
    desk.go()
    assert {address for to, _ in box.mails for address in to} == {"grey@example.org", "here@example.org"}


def test_without_a_mail_server_a_mail_waits_and_says_why(desk: Desk):
    ident = desk.receiver("email", "me@example.org")
    assert desk.tell(ident) > 0
    assert "ALERTLITE_SMTP_URL" in desk.deliveries(ident, "waiting")[0]["last_error"]


# --- web hooks

def test_a_web_hook_gets_one_shape_of_json_with_a_signature(desk: Desk, sink: Sink):
    desk.receiver("webhook", {"url": sink.url("/hook?x=1"), "secret": "s3cret", "headers": {"X-Team": "ops"}})
    alert = desk.app.post_alert(text="site down", service=["Web"], value="503")
    desk.go()
    got, = sink.got
    assert (got.method, got.path, got.headers["Content-Type"], got.headers["X-Team"]) == ("POST", "/hook?x=1", "application/json", "ops")
    assert got.headers["User-Agent"].startswith("alertlite/") and got.headers["Host"] == f"127.0.0.1:{sink.port}"
    signed = hmac.new(b"s3cret", got.body, hashlib.sha256).hexdigest()
    assert got.headers["X-Alertlite-Signature"] == f"sha256={signed}"
    body = got.json
    assert set(body) == {"key", "state", "subject", "text", "severity", "timestamp", "link", "events"}
    assert (body["state"], body["subject"], body["severity"]) == ("down", "MAJOR: web01 HttpError", "major")
    assert body["timestamp"] == "2030-01-01T00:00:00.000Z" and body["link"] == f"http://alert.test/alert/{alert['id']}"
    event, = body["events"]
    assert (event["type"], event["alert"], event["resource"], event["value"], event["state"]) == ("alert_opened", alert["id"], "web01", "503", "down")
    assert body["key"] == event["id"] == got.headers["Idempotency-Key"]


def test_a_web_hook_may_be_just_an_address_and_is_then_not_signed(desk: Desk, sink: Sink):
    assert desk.tell(desk.receiver("webhook", sink.url())) is None
    assert sink.got[0].headers["X-Alertlite-Signature"] is None and sink.got[0].json["state"] == "info"


def test_a_web_hook_header_in_another_script_is_refused_or_arrives(desk: Desk, sink: Sink):
    answer = desk.app.call("POST", CONFIG, {"type": "webhook", "address_data": {"url": sink.url(), "headers": {"X-Team": "Ops €"}}})
    if answer.status == 201:
        assert desk.tell(answer.json) is None and len(sink.got) == 1
    else:
        assert answer.status == 400


TEMPLATES = {
    "url_down": "/down/$SLUG?name=$NAME&tags=$TAGS&left=$TAG3", "method_down": "POST", "headers_down": {"X-What": "$STATUS €", "X-Code": "$CODE"},
    "body_down": '{"name": $NAME_JSON, "body": $BODY_JSON, "exit": $EXITSTATUS, "now": "$NOW", "check": $JSON, "tag": "$TAG2", "is": "$STATUS"}',
    "url_up": "/up/$CODE", "method_up": "GET", "body_up": "not sent",
}


def test_a_web_hook_of_templates_for_down_and_up(desk: Desk, sink: Sink):
    address = {name: sink.url(text) if name.startswith("url") else text for name, text in TEMPLATES.items()}
    ident = desk.receiver("webhook", address)
    check = desk.new_check(name='Über "job"', slug="ueber-job", tags="prod db", channels=ident)
    desk.ping(check, "/3", b'line "one" $NAME\n')
    desk.go()
    desk.app.clock.advance(30)
    desk.ping(check)
    desk.go()
    down, up = sink.got
    assert (down.method, down.path) == ("POST", "/down/ueber-job?name=%C3%9Cber%20%22job%22&tags=prod%20db&left=$TAG3")
    assert (down.headers["X-What"], down.headers["X-Code"]) == ("down &#8364;", check["uuid"])
    body = down.json
    shown = body.pop("check")
    assert body == {"name": 'Über "job"', "body": 'line "one" $NAME\n', "exit": 3, "now": "2030-01-01T00:00:00+00:00", "tag": "db", "is": "down"}
    assert shown["uuid"] == check["uuid"] and shown["status"] == "down" and set(shown) == set(check)
    assert (up.method, up.path, up.body) == ("GET", f"/up/{check['uuid']}", b"")


def test_a_web_hook_with_an_address_for_down_only_is_not_called_for_up(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", {"url_down": sink.url("/down"), "url_up": ""})
    check = desk.new_check(channels=ident)
    desk.ping(check, "/fail")
    desk.go()
    desk.ping(check)
    desk.go()
    assert [got.path for got in sink.got] == ["/down"]
    assert desk.states(ident) == [("check_down", "sent"), ("check_up", "sent")]


def test_a_check_name_with_a_line_break_makes_no_header_in_a_web_hook(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", {"url_down": sink.url(), "headers_down": {"X-Name": "$NAME"}})
    desk.ping(desk.new_check(name="a\r\nX-Other: b", channels=ident), "/fail")
    desk.go()
    assert len(sink.got) == 1 and sink.got[0].headers["X-Other"] is None


# --- the other kinds

def test_slack_gets_a_text_or_word_for_word_what_was_posted_for_it(desk: Desk, sink: Sink):
    desk.receiver("slack", sink.url("/services/T/B/x"))
    desk.app.post_alert(text="site down")
    desk.go()
    posted = {"text": "deploy", "attachments": [{"title": "v1"}]}
    for form in (posted, "only words", None):
        assert desk.app.call("POST", "/notification/events", {"type": "monitor", "instance_id": "default", "messages": {"slack": form},
                                                              "text": "plain"}).status == 200
        desk.go()
    first, *rest = sink.got
    assert first.path == "/services/T/B/x" and first.json["text"].startswith("*MAJOR: web01 HttpError*\nsite down")
    assert [got.json for got in rest[:2]] == [posted, {"text": "only words"}] and "plain" in rest[2].json["text"]


def test_ntfy_gets_the_topic_in_the_body_and_the_token_in_a_header(desk: Desk, sink: Sink):
    desk.receiver("ntfy", {"topic": "alerts", "url": sink.url("/"), "token": "tk_1", "priority": 5, "priority_up": 2})
    alert = desk.app.post_alert(text="site down")
    desk.go()
    desk.app.post_alert(severity="normal")
    desk.go()
    down, up = sink.got
    assert down.headers["Authorization"] == "Bearer tk_1" and down.path == "/"
    body = down.json
    assert (body["topic"], body["title"], body["priority"], body["click"]) == (
        "alerts", "MAJOR: web01 HttpError", 5, f"http://alert.test/alert/{alert['id']}")
    assert "site down" in body["message"] and up.json["priority"] == 2 and up.json["title"] == "CLOSED: web01 HttpError"


def test_ntfy_keeps_within_the_size_that_it_takes(desk: Desk, sink: Sink):
    desk.receiver("ntfy", {"topic": "alerts", "url": sink.url("/")})
    desk.app.post_alert(text="ü" * 5000)
    desk.go()
    assert len(sink.got[0].json["message"].encode()) <= 4096


def test_gotify_gets_the_token_in_a_header(desk: Desk, sink: Sink):
    desk.receiver("gotify", {"url": sink.url("/push/"), "token": "app-token", "priority": 9})
    desk.app.post_alert(text="site down")
    desk.go()
    got, = sink.got
    assert (got.path, got.headers["X-Gotify-Key"]) == ("/push/message", "app-token")
    assert got.json["title"] == "MAJOR: web01 HttpError" and "site down" in got.json["message"] and got.json["priority"] == 9


def test_telegram_gets_the_chat_and_the_thread(desk: Desk, sink: Sink):
    desk.receiver("telegram", {"token": "12:ab", "chat_id": "-100", "thread_id": 7, "url": sink.url("/")})
    desk.app.post_alert(text="x" * 9000)
    desk.go()
    got, = sink.got
    assert got.path == "/bot12:ab/sendMessage"
    assert (got.json["chat_id"], got.json["message_thread_id"]) == ("-100", 7)
    assert got.json["text"].startswith("MAJOR: web01 HttpError\n") and len(got.json["text"]) <= 4096


def test_discord_gets_no_more_than_it_takes(desk: Desk, sink: Sink):
    desk.receiver("discord", sink.url("/api/webhooks/1/x"))
    desk.app.post_alert(text="x" * 9000)
    desk.go()
    assert sink.got[0].json["content"].startswith("**MAJOR: web01 HttpError**\n") and len(sink.got[0].json["content"]) <= 2000


def test_matrix_gets_a_transaction_that_stays_the_same(desk: Desk, sink: Sink):
    ident = desk.receiver("matrix", {"url": sink.url("/"), "token": "syt", "room": "!abc:example.org"})
    sink.answers = [(502, {}, b"")]
    assert desk.tell(ident) > 0
    desk.go()
    first, second = sink.got
    assert first.method == "PUT" and first.headers["Authorization"] == "Bearer syt"
    assert first.path.startswith("/_matrix/client/v3/rooms/%21abc%3Aexample.org/send/m.room.message/")
    assert first.path == second.path and first.json["msgtype"] == "m.text" and "TEST" in first.json["body"]


def test_a_browser_needs_no_sending(desk: Desk):
    ident = desk.receiver("browser", None)
    desk.app.post_alert()
    assert desk.go() == {desk.seq(ident): None}
    assert desk.states(ident) == [("alert_opened", "sent")]


def make_script(path: pathlib.Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("begins", ["sleep 60 &", "exec 3<&0; sleep 60 <&3 &"], ids=["with what it writes to", "with what it reads from"])
def test_what_a_command_leaves_running_is_not_waited_for(make_desk: Callable[..., Desk], tmp_path: pathlib.Path, begins: str):
    script = make_script(tmp_path / "told", f"{begins} echo $! > {tmp_path}/left; exit 0")
    desk = make_desk(shell_commands=f"page={script}", delivery_timeout="30")
    started = time.monotonic()
    ident = desk.receiver("shell", {"command": "page"})
    assert desk.tell(ident) is None and time.monotonic() - started < 20
    os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)


def test_a_command_that_takes_too_long_ends_with_all_that_it_began(make_desk: Callable[..., Desk], tmp_path: pathlib.Path):
    script = make_script(tmp_path / "told", f"sleep 60 & echo $! > {tmp_path}/left; wait")
    desk = make_desk(shell_commands=f"page={script}", delivery_timeout="1")
    assert desk.tell(desk.receiver("shell", {"command": "page"})) > 0
    left, deadline = pathlib.Path(f"/proc/{(tmp_path / 'left').read_text().strip()}"), time.monotonic() + 10
    while left.exists() and "\nState:\tZ" not in (left / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_command_gets_its_arguments_its_environment_and_json_but_no_shell(make_desk: Callable[..., Desk], tmp_path: pathlib.Path):
    out = tmp_path / "out"
    script = make_script(tmp_path / "told", f'printf "%s|" "$@" > {out}; env >> {out}; cat > {out}.json')
    desk = make_desk(shell_commands=f"page={script} one 'two words' $HOME;other=/bin/true", admin_key="not-for-commands-0123456789")
    desk.receiver("shell", {"command": "page"})
    desk.app.post_alert("web01 $(touch /tmp/never)", text="a\nb; rm -rf x")
    desk.go()
    arguments, _, environment = out.read_text().partition("|PWD=" if "|PWD=" in out.read_text() else "|ALERTLITE")
    said = json.loads(pathlib.Path(f"{out}.json").read_text())
    assert arguments.startswith("one|two words|$HOME")
    assert "ALERTLITE_SUBJECT=MAJOR: web01 $(touch /tmp/never) HttpError\n" in out.read_text()
    assert "_STATE=down" in out.read_text() and "_TIMESTAMP=2030-01-01T00:00:00.000Z" in out.read_text()
    assert said["subject"] == "MAJOR: web01 $(touch /tmp/never) HttpError" and "a\nb; rm -rf x" in said["text"]
    assert "ADMIN_KEY" not in environment


def test_a_command_gets_nothing_of_the_environment_of_the_server(
        make_desk: Callable[..., Desk], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALERTLITE_SMTP_URL", "smtp://me:secret@mail")
    script = make_script(tmp_path / "told", f"env > {tmp_path}/out")
    desk = make_desk(shell_commands=f"page={script}")
    assert desk.tell(desk.receiver("shell", {"command": "page"})) is None
    assert "secret" not in (tmp_path / "out").read_text()


@pytest.mark.parametrize(("script", "error"), [
    pytest.param("echo no modem >&2; exit 3", "ended with 3: no modem", id="it fails and says why"),
    pytest.param("exec sleep 30", "took longer than 1 seconds", id="it takes too long"),
    pytest.param("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 4", "ended with 4: xxxx", id="it says more than anybody reads"),
])
def test_a_command_that_fails_is_tried_again(make_desk: Callable[..., Desk], tmp_path: pathlib.Path, script: str, error: str):
    desk = make_desk(shell_commands=f"page={make_script(tmp_path / 'told', script)}", delivery_timeout="1")
    ident = desk.receiver("shell", {"command": "page"})
    assert desk.tell(ident) > 0
    assert error in desk.deliveries(ident, "waiting")[0]["last_error"]


def test_a_command_that_is_not_there_waits_for_it(make_desk: Callable[..., Desk], tmp_path: pathlib.Path):
    desk = make_desk(shell_commands=f"page={tmp_path}/missing")
    ident = desk.receiver("shell", {"command": "page"})
    assert desk.tell(ident) > 0
    assert "No such file" in desk.deliveries(ident, "waiting")[0]["last_error"]


@pytest.mark.parametrize("address", [{"command": "other"}, {"command": "/bin/sh"}, {}, "page", {"command": "page", "arguments": ["x"]}])
def test_only_commands_of_the_settings_can_be_named(make_desk: Callable[..., Desk], address: Any):
    answer = make_desk(shell_commands="page=/bin/true").app.call("POST", CONFIG, {"type": "shell", "address_data": address})
    assert answer.status == 400


def test_a_file_gets_a_line_of_json_for_each_message(make_desk: Callable[..., Desk], tmp_path: pathlib.Path):
    desk = make_desk(file_folder=str(tmp_path))
    desk.receiver("file", {"name": "alerts.jsonl"})
    desk.app.post_alert(text="first\nsecond line")
    desk.go()
    desk.app.post_alert(severity="normal")
    desk.go()
    lines = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["down", "up"] and "first\nsecond line" in lines[0]["text"]


def test_a_file_that_is_a_link_to_another_is_not_written(make_desk: Callable[..., Desk], tmp_path: pathlib.Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "precious")
    desk = make_desk(file_folder=str(tmp_path / "folder"))
    ident = desk.receiver("file", {"name": "link"})
    desk.tell(ident)
    assert (tmp_path / "precious").read_text() == "keep" and desk.deliveries(ident, "sent") == []


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", ".hidden", "a/b", "", "a\0b", "..", "x" * 101])
def test_a_file_can_only_be_in_its_folder(make_desk: Callable[..., Desk], tmp_path: pathlib.Path, name: str):
    assert make_desk(file_folder=str(tmp_path)).app.call("POST", CONFIG, {"type": "file", "address_data": {"name": name}}).status == 400


def test_apprise_is_refused_where_it_is_not_installed_and_all_else_works(desk: Desk):
    if alertlite.apprise_library():
        pytest.skip("apprise is installed here")
    answer = desk.app.call("POST", CONFIG, {"type": "apprise", "address_data": "json://example.org"})
    assert answer.status == 400 and "apprise is not installed" in answer.json
    desk.receiver("browser", None)


# --- who hears of what

def test_a_check_tells_its_receivers_once_that_it_is_down_and_once_that_it_is_up(
        make_desk: Callable[..., Desk], make_mailbox: Callable[..., Mailbox], sink: Sink):
    box = make_mailbox()
    desk = make_desk(smtp_url=f"smtp://127.0.0.1:{box.port}")
    mail, hook = desk.receiver("email", "me@example.org"), desk.receiver("webhook", sink.url())
    check = desk.new_check(name="Backup", channels=f"{mail},{hook}")
    desk.ping(check)
    desk.pass_time(300)
    desk.go()
    assert [box.mails[0][1]["Subject"], sink.got[0].json["subject"]] == ["DOWN: Backup", "DOWN: Backup"]
    desk.pass_time(HOUR)
    desk.go()
    desk.ping(check)
    desk.go()
    assert [mail["Subject"] for _, mail in box.mails] == ["DOWN: Backup", "UP: Backup"]
    assert [got.json["subject"] for got in sink.got] == ["DOWN: Backup", "UP: Backup"]
    assert [got.json["state"] for got in sink.got] == ["down", "up"]
    assert "up again after 1 h 3 min" in sink.got[1].json["text"] and "Time: 2030-01-01 00:02 UTC" in sink.got[0].json["text"]


def test_who_is_assigned_to_a_check_and_subscribed_to_checks_hears_once(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    desk.subscribe(ident, "check_down", "check_up")
    desk.ping(desk.new_check(channels=ident), "/fail")
    desk.go()
    assert [got.json["subject"] for got in sink.got] == ["DOWN: Backup"]


def test_who_is_not_assigned_to_a_check_hears_of_it_only_as_a_subscriber(desk: Desk, make_sink: Callable[[], Sink]):
    nobody, subscriber = make_sink(), make_sink()
    desk.subscribe(desk.receiver("webhook", subscriber.url()), "check_down")
    desk.receiver("webhook", nobody.url())
    desk.ping(desk.new_check(), "/fail")
    desk.go()
    assert nobody.got == [] and len(subscriber.got) == 1


def test_a_silent_host_and_its_return_are_told_once_each(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    assert desk.app.call("POST", "/heartbeat", {"origin": "pi", "timeout": 60}).status == 201
    desk.pass_time(300)
    desk.go()
    assert desk.app.call("POST", "/heartbeat", {"origin": "pi", "timeout": 60}).status == 201
    desk.go()
    assert [got.json["subject"] for got in sink.got] == ["SILENT: pi", "HEARD AGAIN: pi"]


def test_repeats_of_a_problem_are_not_told(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    for _ in range(5):
        desk.app.post_alert()
        desk.go()
    assert len(sink.got) == 1


def test_the_end_of_a_problem_says_how_long_it_lasted_and_what_it_was(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    desk.app.post_alert()
    desk.app.clock.advance(2 * HOUR)
    desk.app.post_alert(severity="normal", text="fine again")
    desk.go()
    desk.app.post_alert("db01")
    desk.go()
    desk.app.clock.advance(2 * HOUR)
    desk.app.post_alert("db01", severity="normal", text="fine again")
    desk.go()
    told = sink.got[-1].json
    assert told["subject"] == "CLOSED: db01 HttpError" and "It was major and open before." in told["text"]
    assert "It lasted 2 h, since 2030-01-01 02:00 UTC." in told["text"]


def test_an_end_by_hand_says_how_long_it_lasted(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    alert = desk.app.post_alert()
    desk.go()
    desk.app.clock.advance(2 * HOUR)
    assert desk.app.call("PUT", f"/alert/{alert['id']}/action", {"action": "close", "text": "mended"}).status == 200
    desk.go()
    assert "It lasted 2 h, since 2030-01-01 00:00 UTC." in sink.got[-1].json["text"]


# --- where messages may go, and what targets may do

def test_a_target_on_this_machine_is_refused_unless_the_setting_allows_it(make_desk: Callable[..., Desk], sink: Sink):
    desk = make_desk(private_targets="lan")
    ident = desk.receiver("webhook", sink.url())
    desk.subscribe(ident)
    assert desk.tell(ident) is None and sink.got == []
    assert "private_targets=lan" in desk.deliveries(ident, "dead")[0]["last_error"]


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0", "[::1]", "[::ffff:127.0.0.1]"])
def test_other_names_of_this_machine_are_refused_too(make_desk: Callable[..., Desk], sink: Sink, host: str):
    desk = make_desk(private_targets="lan")
    answer = desk.app.call("POST", CONFIG, {"type": "webhook", "address_data": f"http://{host}:{sink.port}/"})
    if answer.status == 201:
        desk.subscribe(answer.json)
        desk.tell(answer.json)
        assert desk.deliveries(answer.json, "sent") == []
    assert sink.got == []


def test_a_redirect_is_not_followed(desk: Desk, make_sink: Callable[[], Sink]):
    sink, other = make_sink(), make_sink()
    sink.answer = (307, {"Location": other.url("/stolen")}, b"")
    ident = desk.receiver("webhook", sink.url())
    desk.subscribe(ident)
    assert desk.tell(ident) is None
    assert len(sink.got) == 1 and other.got == [] and "redirects are not followed" in desk.deliveries(ident, "dead")[0]["last_error"]


def test_the_proxy_of_the_environment_is_not_used(desk: Desk, make_sink: Callable[[], Sink], monkeypatch: pytest.MonkeyPatch):
    sink, proxy = make_sink(), make_sink()
    monkeypatch.setenv("http_proxy", proxy.url(""))
    assert desk.tell(desk.receiver("webhook", sink.url())) is None
    assert len(sink.got) == 1 and proxy.got == []


def took(action: Callable[[], Any]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def endless(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 500 Oh\r\n\r\n" + b"x" * 70_000)
    while True:
        connection.sendall(b"x" * 65_536)


def test_of_an_endless_answer_only_its_beginning_is_read(make_desk: Callable[..., Desk]):
    desk = make_desk(delivery_timeout="5")
    with raw_server(endless) as port:
        ident = desk.receiver("webhook", f"http://127.0.0.1:{port}/")
        assert took(lambda: desk.tell(ident)) < 2
    assert len(desk.deliveries(ident, "waiting")[0]["last_error"]) <= 500


def test_an_endless_header_is_not_read_to_its_end(make_desk: Callable[..., Desk]):
    def talk(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            connection.sendall(b"x" * 65_536)

    desk = make_desk(delivery_timeout="5")
    with raw_server(talk) as port:
        ident = desk.receiver("webhook", f"http://127.0.0.1:{port}/")
        assert took(lambda: desk.tell(ident)) < 2
    assert desk.deliveries(ident, "sent") == []


def drip(connection: Any, first: bytes = b"", drop: bytes = b"x") -> None:
    """Sends a byte now and then, for ten seconds."""
    connection.sendall(first)
    for _ in range(50):
        time.sleep(0.2)
        connection.sendall(drop)


DRIPS = [
    pytest.param(b"", b"", id="it accepts and is silent"),
    pytest.param(b"", b"H", id="a status line that never ends"),
    pytest.param(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", id="a header that never ends"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x", id="a body that comes byte by byte"),
]


@pytest.mark.parametrize(("first", "drop"), DRIPS)
def test_a_target_that_drips_is_cut_off(make_desk: Callable[..., Desk], first: bytes, drop: bytes):
    desk = make_desk(delivery_timeout="1")
    with raw_server(lambda connection: drip(connection, first, drop)) as port:
        ident = desk.receiver("webhook", f"http://127.0.0.1:{port}/")
        assert 0.5 < took(lambda: desk.tell(ident)) < 3
    assert [item["state"] for item in desk.deliveries(ident)] == ["sent" if first else "waiting"]     # it said 200


@pytest.mark.parametrize(("first", "drop"), DRIPS)
def test_a_target_that_drips_over_tls_is_cut_off(
        make_desk: Callable[..., Desk], certificate: pathlib.Path, monkeypatch: pytest.MonkeyPatch, first: bytes, drop: bytes):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = server_context(certificate)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            drip(secure, first, drop)

    desk = make_desk(delivery_timeout="1")
    with raw_server(talk) as port:
        ident = desk.receiver("webhook", f"https://localhost:{port}/")
        assert 0.5 < took(lambda: desk.tell(ident)) < 3
    assert [item["state"] for item in desk.deliveries(ident)] == ["sent" if first else "waiting"]


@pytest.mark.parametrize(("first", "drop"), [
    pytest.param(b"", b"", id="it accepts and is silent"),
    pytest.param(b"220 ", b"x", id="a greeting that comes byte by byte"),
    pytest.param(b"220 me\r\n250-", b"x", id="an answer that comes byte by byte"),
])
def test_a_mail_server_that_drips_is_cut_off(make_desk: Callable[..., Desk], first: bytes, drop: bytes):
    with raw_server(lambda connection: drip(connection, first, drop)) as port:
        desk = make_desk(delivery_timeout="1", smtp_url=f"smtp://127.0.0.1:{port}")
        ident = desk.receiver("email", "me@example.org")
        assert 0.5 < took(lambda: desk.tell(ident)) < 3
    assert [item["state"] for item in desk.deliveries(ident)] == ["waiting"]


def test_a_target_over_tls_gets_its_message_where_its_certificate_is_good(
        desk: Desk, sink: Sink, certificate: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    sink.server.socket = server_context(certificate).wrap_socket(sink.server.socket, server_side=True)
    ident = desk.receiver("webhook", f"https://localhost:{sink.port}/hook")
    assert desk.tell(ident) > 0 and "TLS" in desk.deliveries(ident)[0]["last_error"] and sink.got == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    desk.go()
    assert len(sink.got) == 1


# --- what fails and what becomes of it

def test_what_fails_waits_and_is_sent_again_with_the_same_key(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    sink.answers = [(503, {}, b"busy"), (429, {}, b""), (200, {}, b"")]
    desk.app.post_alert()
    assert 1 <= desk.go()[desk.seq(ident)] <= 2
    assert desk.deliveries(ident, "waiting")[0]["last_error"] == "status 503: busy"
    desk.app.clock.advance(2)
    assert 2 <= desk.go()[desk.seq(ident)] <= 4
    desk.app.clock.advance(4)
    assert desk.go()[desk.seq(ident)] is None
    assert len({got.headers["Idempotency-Key"] for got in sink.got}) == 1 and len({got.body for got in sink.got}) == 1
    delivery, = desk.deliveries(ident)
    assert (delivery["state"], delivery["attempts"], delivery["waited"]) == ("sent", 3, 6)


def test_the_key_stays_the_same_over_a_restart(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    sink.answers = [(503, {}, b"")]
    desk.tell(ident)
    again = Desk(desk.app)
    assert again.courier.waiting == {desk.seq(ident): 0.0}
    again.go()
    assert len({got.headers["Idempotency-Key"] for got in sink.got}) == 1 and len(sink.got) == 2


def test_an_answer_that_asks_to_wait_is_obeyed(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    sink.answers = [(429, {"Retry-After": "120"}, b""), (429, {}, b'{"parameters":{"retry_after": 77}}'), (503, {"Retry-After": "999999"}, b"")]
    assert [desk.tell(ident) for _ in range(3)] == [120, 77, 3600]


def test_an_answer_that_names_the_moment_to_wait_for_is_obeyed(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    sink.answers = [(503, {"Retry-After": "Tue, 01 Jan 2030 00:02:00 GMT"}, b"")]
    assert desk.tell(ident) == pytest.approx(120, abs=1)


def test_a_newer_event_does_not_hurry_a_target_that_asked_to_wait(make_desk: Callable[..., Desk], sink: Sink):
    desk = make_desk()
    ident = desk.receiver("webhook", sink.url())
    desk.courier.serve(desk.seq(ident))
    sink.answers = [(429, {"Retry-After": "120"}, b"")]
    desk.app.post_alert()
    desk.courier.serve(desk.seq(ident))
    at = desk.courier.waiting[desk.seq(ident)]
    desk.app.post_alert("db01")
    assert desk.courier.waiting[desk.seq(ident)] == at == desk.app.clock.monotonic() + 120


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_is_refused_for_good_is_a_dead_letter_that_can_be_replayed(desk: Desk, sink: Sink, status: int):
    ident = desk.receiver("webhook", sink.url())
    desk.subscribe(ident, "alert_opened")
    sink.answer = (status, {}, b"no such hook")
    desk.app.post_alert("web01")
    desk.go()
    dead = desk.deliveries(ident, "dead")
    assert "web01" in [item["event"]["resource"] for item in dead]
    assert all(item["last_error"] == f"status {status}: no such hook" and item["marked"] == "2030-01-01T00:00:00.000Z" for item in dead)
    assert desk.deliveries(ident, "waiting") == [] and desk.deliveries(ident, "sent") == []
    sink.answer, sink.got[:] = (200, {}, b""), []
    assert desk.app.call("POST", f"{CONFIG}/{ident}/replay").json == {"replayed": len(dead)}
    desk.go()
    assert "MAJOR: web01 HttpError" in [got.json["subject"] for got in sink.got]
    assert desk.deliveries(ident, "dead") == [] and len(desk.deliveries(ident, "sent")) == len(dead)
    assert desk.app.call("POST", f"{CONFIG}/{ident}/replay").json == {"replayed": 0}


def test_what_is_refused_does_not_hold_up_what_comes_after_it(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    desk.subscribe(ident, "monitor")
    sink.answers = [(400, {}, b"")]
    for text in ("first", "second"):
        desk.app.call("POST", "/notification/events", {"type": "monitor", "instance_id": "default", "text": text})
    desk.go()
    assert [got.json["events"][0]["text"] for got in sink.got] == ["first", "second"]
    assert desk.states(ident) == [("monitor", "dead"), ("monitor", "sent")]


def test_what_fails_holds_up_what_comes_after_it_so_that_the_order_stays(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    desk.subscribe(ident, "monitor")
    sink.answers = [(200, {}, b""), (500, {}, b"")]
    for text in ("one", "two", "three"):
        desk.app.call("POST", "/notification/events", {"type": "monitor", "instance_id": "default", "text": text})
    desk.go()
    desk.go()
    assert [got.json["events"][0]["text"] for got in sink.got] == ["one", "two", "two", "three"]


def test_giving_up_raises_an_alert_that_says_so(make_desk: Callable[..., Desk], make_sink: Callable[[], Sink]):
    desk = make_desk(give_up_after="3600")
    sink, other = make_sink(), make_sink()
    ident = desk.receiver("webhook", sink.url(), name="pager")
    desk.subscribe(ident, "monitor")
    desk.receiver("webhook", other.url())
    sink.answer = (503, {}, b"maintenance")
    desk.app.call("POST", "/notification/events", {"type": "monitor", "instance_id": "default", "text": "disk"})
    for _ in range(13):
        desk.go()
        assert desk.deliveries(ident, "dead") == []
        desk.app.clock.advance(290)
    desk.go()
    dead, = desk.deliveries(ident, "dead")
    assert dead["attempts"] == 14 and dead["waited"] == 13 * 290 and dead["last_error"] == "status 503: maintenance"
    alert, = desk.app.get("/alerts?event=DeliveryFailed")["alerts"]
    assert alert["resource"] == f"receiver pager {ident[:8]}" and alert["severity"] == "major" and "maintenance" in alert["text"]
    desk.go()
    assert [got.json["subject"] for got in other.got][-1] == f"MAJOR: receiver pager {ident[:8]} DeliveryFailed"


def test_the_alert_about_a_dead_receiver_is_raised_once_and_does_not_feed_on_itself(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url(), name="pager")
    sink.answer = (410, {}, b"gone")
    desk.app.post_alert()
    for _ in range(5):
        desk.go()
    assert len(sink.got) == 2 and len(desk.deliveries(ident, "dead")) == 2
    assert len(desk.app.get("/alerts?event=DeliveryFailed")["alerts"]) == 1


def after_a_long_pause(desk: Desk, ident: str, sink: Sink) -> None:
    """A week without messages, then a short failure of the target: what waits must not be given up."""
    desk.app.clock.advance(7 * DAY)
    sink.answer = (503, {}, b"")
    desk.app.call("POST", "/notification/events", {"type": "monitor", "instance_id": "default", "text": "after the pause"})
    desk.go()
    newest = desk.deliveries(ident)[0]
    assert (newest["event"]["text"], newest["state"], newest["waited"]) == ("after the pause", "waiting", 0)


@pytest.mark.parametrize("before", [
    pytest.param([], id="nothing before"),
    pytest.param([(200, {}, b"")], id="one that arrived"),
    pytest.param([(404, {}, b"")], id="one that was refused for good"),
    pytest.param([(503, {}, b""), (404, {}, b"")], id="one that failed and was then refused for good"),
])
def test_time_in_which_nothing_waited_does_not_count_as_trying(desk: Desk, sink: Sink, before: list[Any]):
    ident = desk.receiver("webhook", sink.url())
    desk.subscribe(ident, "monitor")
    sink.answers = list(before)
    if before:
        desk.app.call("POST", "/notification/events", {"type": "monitor", "instance_id": "default", "text": "before"})
    for _ in before:
        desk.go()
    after_a_long_pause(desk, ident, sink)


def test_what_is_replayed_long_after_it_was_given_up_is_tried_for_as_long_again(make_desk: Callable[..., Desk], sink: Sink):
    desk = make_desk(give_up_after="3600")
    ident = desk.receiver("webhook", sink.url())
    desk.subscribe(ident)
    sink.answer = (503, {}, b"")
    desk.tell(ident)
    desk.app.clock.advance(3600)
    desk.go()
    assert len(desk.deliveries(ident, "dead")) == 1
    desk.app.clock.advance(DAY)
    desk.app.call("POST", f"{CONFIG}/{ident}/replay")
    desk.go()
    assert [item["state"] for item in desk.deliveries(ident)] == ["waiting"]


def test_the_fallback_is_told_after_a_while_of_failing_and_once(make_desk: Callable[..., Desk], make_sink: Callable[[], Sink]):
    desk = make_desk(fallback_after="900")
    sink, other = make_sink(), make_sink()
    spare = desk.receiver("webhook", other.url())
    desk.subscribe(spare)
    desk.receiver("webhook", sink.url(), fallback=spare)
    sink.answer = (503, {}, b"")
    desk.app.post_alert()
    for _ in range(3):
        desk.go()
        desk.app.clock.advance(299)
    assert other.got == []
    desk.app.clock.advance(10)
    for _ in range(3):
        desk.go()
        desk.app.clock.advance(299)
    desk.go()
    assert [got.json["subject"] for got in other.got] == ["MAJOR: web01 HttpError"]
    sink.answer = (200, {}, b"")
    desk.go()
    assert [got.json["subject"] for got in sink.got][-1] == "MAJOR: web01 HttpError" and len(other.got) == 1


def test_the_fallback_is_told_of_all_that_waits_for_so_long_and_not_only_of_the_first(
        make_desk: Callable[..., Desk], make_sink: Callable[[], Sink]):
    desk = make_desk(fallback_after="900")
    sink, other = make_sink(), make_sink()
    spare = desk.receiver("webhook", other.url())
    desk.subscribe(spare)
    desk.receiver("webhook", sink.url(), fallback=spare)
    sink.answer = (503, {}, b"")
    for resource in ("web01", "web02", "web03"):
        desk.app.post_alert(resource)
    for _ in range(10):
        desk.go()
        desk.app.clock.advance(300)
    desk.go()
    assert [got.json["subject"] for got in other.got] == [f"MAJOR: web0{number} HttpError" for number in (1, 2, 3)]


def test_the_fallback_is_told_at_once_of_what_is_refused_for_good(desk: Desk, make_sink: Callable[[], Sink]):
    sink, other = make_sink(), make_sink()
    spare = desk.receiver("webhook", other.url())
    desk.subscribe(spare)
    ident = desk.receiver("webhook", sink.url(), fallback=spare)
    desk.subscribe(ident, "monitor")
    sink.answer = (404, {}, b"")
    desk.app.call("POST", "/notification/events", {"type": "monitor", "instance_id": "default", "text": "disk"})
    desk.go()
    desk.go()
    assert [got.json["events"][0]["text"] for got in other.got] == ["disk"]


def test_two_receivers_that_are_each_others_fallback_come_to_an_end(desk: Desk, sink: Sink):
    first = desk.receiver("webhook", sink.url("/1"))
    second = desk.receiver("webhook", sink.url("/2"), fallback=first)
    shown = desk.app.get(f"{CONFIG}/{first}")
    assert desk.app.call("PUT", f"{CONFIG}/{first}", {**shown, "fallback": second}).status == 200
    sink.answer = (404, {}, b"")
    desk.app.post_alert()
    for _ in range(20):
        desk.go()
    assert len(sink.got) <= 6 and desk.go() == {}


def test_a_receiver_that_is_deleted_is_sent_nothing_more(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    desk.app.post_alert()
    seq = desk.seq(ident)
    assert desk.app.call("DELETE", f"{CONFIG}/{ident}").status == 200
    assert desk.courier.deliver(seq) is None and sink.got == [] and desk.go() == {}


def test_a_new_address_is_used_for_what_still_waits(desk: Desk, make_sink: Callable[[], Sink]):
    old, new = make_sink(), make_sink()
    ident = desk.receiver("webhook", old.url())
    desk.subscribe(ident, "alert_opened")
    old.answer = (503, {}, b"")
    desk.app.post_alert()
    desk.go()
    shown = desk.app.get(f"{CONFIG}/{ident}")
    assert desk.app.call("PUT", f"{CONFIG}/{ident}", {**shown, "address_data": new.url()}).status == 200
    desk.go()
    assert [got.json["subject"] for got in new.got] == ["MAJOR: web01 HttpError"]


# --- the uplink is gone

def test_after_an_hour_without_uplink_down_up_down_is_one_message_that_tells_the_truth_and_the_times(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    check = desk.new_check(channels=ident, timeout=DAY)
    desk.ping(check)
    sink.stop()
    desk.ping(check, "/fail")
    for action in ("", "/fail", None, None):
        assert desk.go()[desk.seq(ident)] > 0
        desk.pass_time(900)
        if action is not None:
            desk.ping(check, action)
    assert "no connection to 127.0.0.1" in desk.deliveries(ident, "waiting")[0]["last_error"]
    sink.start()
    desk.go()
    got, = sink.got
    body = got.json
    assert (body["state"], body["subject"], body["timestamp"]) == ("down", "DOWN: Backup", "2030-01-01T00:30:00.000Z")
    assert [event["type"] for event in body["events"]] == ["check_down", "check_up", "check_down"]
    assert "Time: 2030-01-01 00:30 UTC" in body["text"]
    assert "2030-01-01 00:00 UTC DOWN: Backup" in body["text"] and "2030-01-01 00:15 UTC UP: Backup" in body["text"]
    assert desk.go() == {} and {item["state"] for item in desk.deliveries(ident)} == {"sent"}


def test_after_an_hour_without_uplink_many_problems_are_one_list_and_each_mail_is_not_lost(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    sink.stop()
    for number in range(30):
        desk.app.post_alert(f"host{number:02}")
        desk.go()
        desk.app.clock.advance(120)
    sink.start()
    desk.go()
    got, = sink.got
    assert all(f"MAJOR: host{number:02} HttpError" in got.json["text"] for number in range(30))
    assert "2030-01-01 00:00 UTC MAJOR: host00" in got.json["text"] and "2030-01-01 00:58 UTC MAJOR: host29" in got.json["text"]


def test_a_thousand_things_that_wait_all_arrive_in_lists(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    for number in range(250):
        desk.app.post_alert(f"host{number:03}")
    assert desk.go() == {desk.seq(ident): None}
    told = [event["resource"] for got in sink.got for event in got.json["events"]]
    assert told == [f"host{number:03}" for number in range(250)] and len(sink.got) == 3


# --- reminders

def test_what_stays_open_is_told_again_until_somebody_acknowledges_it(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url(), remind_every=HOUR)
    desk.pass_time(HOUR)
    alert = desk.app.post_alert()
    desk.go()
    for _ in range(2):
        desk.pass_time(HOUR)
        desk.go()
    assert [got.json["subject"] for got in sink.got] == ["MAJOR: web01 HttpError", *["STILL OPEN: web01 HttpError"] * 2]
    assert "since 2030-01-01 01:00 UTC" in sink.got[1].json["text"] and sink.got[1].json["state"] == "down"
    assert desk.app.call("PUT", f"/alert/{alert['id']}/action", {"action": "ack"}).status == 200
    for _ in range(3):
        desk.pass_time(HOUR)
        desk.go()
    assert len(sink.got) == 3


def test_a_reminder_names_all_that_is_open_and_nothing_else(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url(), remind_every=HOUR)
    for resource in ("web01", "web02", "web03"):
        desk.app.post_alert(resource)
    desk.app.post_alert("web02", severity="normal")
    desk.go()
    sink.got.clear()
    desk.pass_time(HOUR)
    desk.go()
    got, = sink.got
    assert got.json["subject"].endswith("and 1 more")
    assert "web01" in got.json["text"] and "web03" in got.json["text"] and "web02" not in got.json["text"]


def test_a_check_that_stays_down_is_told_again(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url(), remind_every=HOUR)
    check = desk.new_check(channels=ident)
    desk.ping(check, "/fail")
    desk.go()
    desk.pass_time(HOUR)
    desk.go()
    assert [got.json["subject"] for got in sink.got] == ["DOWN: Backup", "STILL OPEN: Backup CheckDown"]
    desk.ping(check)
    desk.go()
    assert desk.app.call("POST", f"/api/v3/checks/{check['uuid']}/pause").status == 200
    desk.pass_time(HOUR)
    desk.go()
    assert [got.json["subject"] for got in sink.got][2:] == ["UP: Backup"]


def test_nobody_is_reminded_of_what_somebody_else_was_told(desk: Desk, make_sink: Callable[[], Sink]):
    sink, other = make_sink(), make_sink()
    desk.receiver("webhook", sink.url())
    desk.subscribe(desk.receiver("webhook", other.url(), remind_every=60), "monitor")
    desk.app.post_alert()
    desk.pass_time(HOUR)
    desk.go()
    assert other.got == []


def test_without_the_setting_nobody_is_reminded(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    desk.app.post_alert()
    desk.go()
    desk.pass_time(12 * HOUR)
    desk.go()
    assert len(sink.got) == 1


def test_reminders_that_could_not_be_sent_do_not_pile_up(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url(), remind_every=600)
    sink.stop()
    desk.app.post_alert()
    for _ in range(6):
        desk.go()
        desk.pass_time(600)
    sink.start()
    desk.go()
    assert len([got for got in sink.got if "STILL OPEN" in got.json["subject"]]) <= 1


# --- planned silence

def events_of(desk: Desk) -> list[tuple[str, str | None]]:
    """(type, why nobody was told) of all events, the oldest first."""
    return [(event["type"], event["suppressed"]) for event in desk.app.get("/notification/events?limit=50")[::-1]]


def test_what_is_shelved_is_recorded_and_nobody_is_told(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    alert = desk.app.post_alert()
    assert desk.app.call("PUT", f"/alert/{alert['id']}/action", {"action": "shelve"}).status == 200
    desk.app.post_alert(severity="critical")
    desk.go()
    assert [got.json["subject"] for got in sink.got] == ["MAJOR: web01 HttpError"]
    assert events_of(desk) == [("alert_opened", None), ("alert_severity", "shelved")]
    desk.app.post_alert(severity="normal")
    desk.go()
    assert events_of(desk)[-1] == ("alert_closed", None) and sink.got[-1].json["subject"] == "CLOSED: web01 HttpError"


def test_what_comes_back_shelved_is_not_told_and_neither_is_its_end(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    alert = desk.app.post_alert()
    assert desk.app.call("PUT", f"/alert/{alert['id']}/action", {"action": "shelve"}).status == 200
    desk.app.post_alert(severity="normal")
    desk.go()
    before = len(sink.got)
    assert desk.app.post_alert()["status"] == "shelved"
    desk.app.post_alert(severity="normal")
    desk.go()
    assert events_of(desk)[-2:] == [("alert_opened", "shelved"), ("alert_closed", "its beginning was not told")]
    assert len(sink.got) == before


def test_what_is_blacked_out_is_recorded_and_nobody_is_told(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    alert = desk.app.post_alert()
    desk.app.post_alert(severity="normal")
    desk.go()
    before = len(sink.got)
    assert desk.app.call("PUT", f"/alert/{alert['id']}/status", {"status": "blackout"}).status == 200
    assert desk.app.call("PUT", f"/alert/{alert['id']}/status", {"status": "closed"}).status == 200
    desk.go()
    assert events_of(desk)[-2:] == [("alert_opened", "blackout"), ("alert_closed", "its beginning was not told")]
    assert len(sink.got) == before


def test_what_is_unshelved_and_changes_is_told_and_so_is_its_end(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    alert = desk.app.post_alert()
    desk.app.call("PUT", f"/alert/{alert['id']}/action", {"action": "shelve"})
    desk.app.post_alert(severity="normal")
    desk.app.post_alert()
    assert desk.app.call("PUT", f"/alert/{alert['id']}/action", {"action": "unshelve"}).status == 200
    desk.app.post_alert(severity="critical")
    desk.go()
    sink.got.clear()
    desk.app.post_alert(severity="normal")
    desk.go()
    assert [got.json["subject"] for got in sink.got] == ["CLOSED: web01 HttpError"]


def test_a_check_whose_alert_comes_back_shelved_is_not_told(desk: Desk, sink: Sink):
    check = desk.new_check(channels=desk.receiver("webhook", sink.url()))
    desk.ping(check, "/fail")
    alert, = desk.app.get("/alerts?event=CheckDown")["alerts"]
    assert desk.app.call("PUT", f"/alert/{alert['id']}/action", {"action": "shelve"}).status == 200
    desk.ping(check)
    desk.go()
    before = len(sink.got)
    desk.ping(check, "/fail")
    assert desk.app.get(f"/alert/{alert['id']}")["alert"]["status"] == "shelved"
    desk.go()
    assert events_of(desk)[-1] == ("check_down", "shelved") and len(sink.got) == before


# --- secrets

SECRETS = ("t0psecret-path", "t0psecret-token", "t0psecret-password", "t0psecret-signature", "t0psecret-header")


@pytest.mark.parametrize("answer", [
    pytest.param((404, {}, b"Cannot POST {path}"), id="refused by a target that repeats the path"),
    pytest.param((503, {}, b"no upstream for {path}"), id="failed at a target that repeats the path"),
    pytest.param(None, id="nobody there"),
])
def test_secrets_of_receivers_are_never_in_the_log_nor_in_alerts(
        make_desk: Callable[..., Desk], sink: Sink, capfd: pytest.CaptureFixture[str], answer: tuple[int, dict[str, str], bytes] | None):
    desk = make_desk(smtp_url=f"smtp://me:t0psecret-password@127.0.0.1:{free_port()}")
    made = [desk.receiver("webhook", {"url": sink.url("/t0psecret-path"), "secret": "t0psecret-signature", "headers": {"X-Key": "t0psecret-header"}}),
            desk.receiver("slack", sink.url("/services/t0psecret-path")), desk.receiver("email", "me@example.org"),
            desk.receiver("telegram", {"token": "t0psecret-token", "chat_id": "1", "url": sink.url("")}),
            desk.receiver("gotify", {"token": "t0psecret-token", "url": sink.url("/t0psecret-path")}),
            desk.receiver("ntfy", {"topic": "x", "token": "t0psecret-token", "url": sink.url("/t0psecret-path")})]
    if answer:
        sink.answer = answer
    else:
        sink.stop()
    desk.app.post_alert()
    for seq in [desk.seq(ident) for ident in made]:
        desk.courier.serve(seq)
    if not answer:
        sink.start()
    output = "".join(capfd.readouterr())
    assert "could not be reached" in output or "refuses a message" in output
    reader = desk.app.make_key("read")
    seen = {"log": output, "alerts": desk.app.call("GET", "/alerts").body.decode(),
            "events": desk.app.call("GET", "/notification/events?limit=100", key=reader).body.decode(),
            "receivers": desk.app.call("GET", CONFIG, key=reader).body.decode(),
            "deliveries": "".join(desk.app.call("GET", f"{CONFIG}/{ident}/deliveries", key=reader).body.decode() for ident in made)}
    assert [(where, secret) for where, text in seen.items() for secret in SECRETS if secret in text] == []


def test_what_a_target_answers_is_logged_on_one_line(desk: Desk, sink: Sink, capfd: pytest.CaptureFixture[str]):
    sink.answer = (404, {}, b"gone\n<0>alertlite: forged\x1b[31m")
    desk.tell(desk.receiver("webhook", sink.url()))
    lines = capfd.readouterr().err.splitlines()
    assert not any(line.startswith(("<0>", "alertlite: forged")) for line in lines) and "\x1b" not in "".join(lines)


# --- the courier as a thread

def wait_until(holds: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_the_courier_sends_what_is_owed_as_soon_as_it_is_stored(make_desk: Callable[..., Desk], sink: Sink):
    desk = make_desk()
    desk.app.engine.clock = alertlite.Clock()
    courier = alertlite.Courier(desk.app.engine, "http://alert.test")
    ident = desk.receiver("webhook", sink.url())
    courier.start()
    try:
        started = time.monotonic()
        desk.app.post_alert()
        wait_until(lambda: sink.got)
        assert time.monotonic() - started < 0.9      # and not at the next look around
        sink.answers = [(503, {}, b"")]
        desk.app.post_alert("web02")
        wait_until(lambda: len(sink.got) == 3)       # the wait after one failure is one to two seconds
        wait_until(lambda: desk.deliveries(ident, "waiting") == [])
        assert courier.problem() is None
    finally:
        courier.stop()
    assert not courier.is_alive() and courier.problem() is not None


def test_the_courier_sends_what_was_owed_when_the_server_ended(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    desk.app.post_alert()
    assert len(alertlite.Courier(desk.app.engine, "").waiting) == 1


def test_a_disk_that_is_full_while_marking_means_that_it_is_sent_again_and_not_lost(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    desk.app.post_alert()
    with desk.app.store.read() as tables:
        pages = tables.row("PRAGMA page_count")[0]
    desk.app.store.write(lambda tables: tables.rows(f"PRAGMA max_page_count = {pages}"))
    desk.courier.serve(desk.seq(ident))
    desk.app.store.write(lambda tables: tables.rows("PRAGMA max_page_count = 1000000"))
    assert len(sink.got) >= 1
    desk.courier.serve(desk.seq(ident))
    assert desk.states(ident) == [("alert_opened", "sent")]


@pytest.mark.parametrize(("given", "timestamp"), [
    pytest.param({"event_retention": "60"}, None, id="a log that is kept for a minute only"),
    pytest.param({}, "2029-11-01T00:00:00Z", id="an event that was posted with the time at which it began, long ago"),
])
def test_what_still_waits_is_not_forgotten_with_the_old_events(
        make_desk: Callable[..., Desk], sink: Sink, given: dict[str, str], timestamp: str | None):
    desk = make_desk(**given)
    desk.receiver("webhook", sink.url())
    sink.answers = [(503, {}, b"")]
    posted = {"type": "monitor", "instance_id": "default", "text": "disk", "timestamp": timestamp}
    assert desk.app.call("POST", "/notification/events", posted).status == 200
    desk.go()
    now = desk.app.clock.advance(600)
    desk.app.store.write(lambda tables: tables.delete_old_events(now - desk.app.settings.event_retention * 1000))
    desk.go()
    assert [got.json["events"][0]["text"] for got in sink.got] == ["disk", "disk"]


def test_a_database_with_receivers_is_not_taken_for_damaged_after_a_power_cut(desk: Desk):
    desk.new_check(channels=desk.receiver("browser", None))
    desk.app.post_alert()
    with desk.app.store.read() as tables:
        assert tables.rows("PRAGMA quick_check") == [("ok",)]


def test_texts_of_errors_never_name_more_than_the_host(desk: Desk):
    ident = desk.receiver("webhook", f"http://127.0.0.1:{free_port()}/t0psecret-path")
    desk.tell(ident)
    assert re.fullmatch(r"no connection to 127\.0\.0\.1: .*refused.*", desk.deliveries(ident)[0]["last_error"])


# --- what could let somebody sleep, or wake him for nothing

def test_what_a_shelving_kept_quiet_is_told_when_it_ends(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    alert = desk.app.post_alert(severity="critical", timeout=0)
    desk.app.call("PUT", f"/alert/{alert['id']}/action", {"action": "shelve", "timeout": 3600})
    desk.app.post_alert(severity="ok", timeout=0)
    desk.app.post_alert(severity="critical", timeout=0)
    desk.go()
    sink.got.clear()
    assert desk.app.get(f"/alert/{alert['id']}")["alert"]["status"] == "shelved"
    desk.pass_time(3601)
    desk.go()
    assert [(got.json["state"], got.json["subject"]) for got in sink.got] == [("down", "CRITICAL: web01 HttpError")]
    desk.pass_time(1)
    desk.go()
    assert len(sink.got) == 1, "once"


def test_a_shelving_that_kept_nothing_quiet_ends_quietly(desk: Desk, sink: Sink):
    desk.receiver("webhook", sink.url())
    alert = desk.app.post_alert(timeout=0)
    desk.app.call("PUT", f"/alert/{alert['id']}/action", {"action": "shelve", "timeout": 3600})
    desk.go()
    desk.pass_time(3601)
    desk.go()
    assert desk.app.get(f"/alert/{alert['id']}")["alert"]["status"] == "open" and len(sink.got) == 1


def test_what_was_sent_is_not_sent_again_because_it_could_not_be_noted(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    desk.app.post_alert()
    seq = desk.seq(ident)
    desk.app.store.db.execute("CREATE TEMP TRIGGER no_room BEFORE UPDATE ON outbox BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END")
    for _ in range(3):
        with pytest.raises(alertlite.StorageFull):
            desk.courier.deliver(seq)
    desk.app.store.db.execute("DROP TRIGGER no_room")
    assert desk.courier.deliver(seq) is None
    assert len(sink.got) == 1
    assert [item["state"] for item in desk.deliveries(ident)] == ["sent"]


def test_resolved_alerts_of_alertmanager_are_good_news(desk: Desk, sink: Sink):
    ident = desk.receiver("webhook", sink.url())
    desk.subscribe(ident, "monitor")
    for status in ("firing", "resolved"):
        desk.app.call("POST", "/notification/webhook/default/monitor", {"status": status, "alerts": [{"labels": {"alertname": "Disk"}}]})
        desk.go()
    assert [got.json["state"] for got in sink.got] == ["down", "up"]


@pytest.mark.parametrize(("first", "then", "states"), [
    ("informational", None, ["info"]), ("critical", "warning", ["down", "info"]), ("warning", "critical", ["down", "down"]),
], ids=["worth-knowing", "better", "worse"])
def test_only_trouble_that_begins_or_grows_is_down(desk: Desk, sink: Sink, first: str, then: str | None, states: list[str]):
    desk.receiver("webhook", sink.url())
    for severity in filter(None, (first, then)):
        desk.app.post_alert(severity=severity)
        desk.go()
    assert [got.json["state"] for got in sink.got] == states


def test_the_alert_about_a_receiver_ends_with_its_last_dead_letter_or_with_it(desk: Desk, sink: Sink):
    first, second = desk.receiver("webhook", sink.url(), name="x"), desk.receiver("webhook", sink.url(), name="x")
    for ident in (first, second):
        desk.subscribe(ident)
    sink.answer = (400, {}, b"no")
    desk.tell(first)
    desk.tell(second)

    def failing() -> set[str]:
        return {alert["resource"] for alert in desk.app.get("/alerts?event=DeliveryFailed&status=open")["alerts"]}

    assert failing() == {f"receiver x {first[:8]}", f"receiver x {second[:8]}"}, "two of one name are two"
    sink.answer = (200, {}, b"")
    desk.tell(first)
    assert f"receiver x {first[:8]}" in failing(), "a dead letter is left"
    desk.app.call("POST", f"{CONFIG}/{first}/replay")
    desk.go()
    assert failing() == {f"receiver x {second[:8]}"}
    desk.app.call("DELETE", f"{CONFIG}/{second}")
    assert failing() == set()


def test_a_posted_time_does_not_make_old_events_go(desk: Desk):
    desk.app.post_alert()
    for _ in range(600):                             # events are cleared up with about one in a hundred
        desk.app.call("POST", "/notification/events", {"type": "monitor", "instance_id": "default", "timestamp": "9990-01-01T00:00:00Z"})
    assert desk.app.events()[0] == "alert_opened"


@pytest.mark.parametrize("url", ["http://mail.example.org", "smtp://", "smtp://u:a/b@mail.example.org:587"])
def test_a_mail_server_that_cannot_be_meant_is_refused_at_the_start(url: str):
    with pytest.raises(ValueError, match="setting smtp_url"):
        alertlite.load_settings({"smtp_url": url}, {})
