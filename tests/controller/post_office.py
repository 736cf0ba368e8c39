"""A mail server and a webhook's server, small and real: they listen on this machine and keep what they are given."""

import base64
import contextlib
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Office:
    """What came, and how the server is to behave."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)  # the first e-mail has
    came: int = 0  # lines to it that were opened
    signed_in: list[str] = field(default_factory=list)
    in_tls: list[bool] = field(default_factory=list)  # of each e-mail
    recipients: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)  # verb -> what is said in place of yes; "" hangs up
    status: int = 204  # of a webhook's answer
    location: str = ""
    password: str = "a secret of the mail server"
    tls: ssl.SSLContext | None = None
    from_the_start: bool = False


def tls_of(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


class _Mail(socketserver.StreamRequestHandler):
    """RFC 5321, as much of it as a client that sends one message needs."""

    timeout = 10

    def handle(self) -> None:
        office: Office = self.server.office  # type: ignore[attr-defined]
        office.came += 1
        safe = False
        with contextlib.suppress(OSError):
            if office.from_the_start:
                self._to_tls(office)
                safe = True
            self._say(office.answers.get("HELLO", "220 here"))
            while line := self.rfile.readline(4096).decode().strip():
                verb = line.upper().split(":")[0].split(" ")[0]
                if verb in office.answers and verb != "SENT":
                    if not office.answers[verb]:
                        return
                    self._say(office.answers[verb])
                elif verb == "EHLO":
                    offered = ["here", *(["STARTTLS"] if office.tls and not safe else []), "AUTH PLAIN"]
                    self._say("\r\n".join([*(f"250-{one}" for one in offered[:-1]), f"250 {offered[-1]}"]))
                elif verb == "STARTTLS":
                    self._say("220 begin")
                    self._to_tls(office)
                    safe = True
                elif verb == "AUTH":
                    said = base64.b64decode(line.split()[-1]).decode().split("\0")
                    office.signed_in.append(said[1])
                    self._say("235 welcome" if said[2] == office.password else "535 no")
                elif verb == "RCPT":
                    office.recipients.append(line)
                    self._say("550 nobody" if "nobody@" in line else "250 ok")
                elif verb == "DATA":
                    self._say("354 go on")
                    raw = b""
                    while (row := self.rfile.readline()) not in (b".\r\n", b""):
                        raw += row
                    office.mails.append(message_from_bytes(raw, policy=policy.default))  # type: ignore[arg-type]
                    office.in_tls.append(safe)
                    office.arrived.set()
                    if office.answers.get("SENT", "x") == "":
                        return
                    self._say(office.answers.get("SENT", "250 taken"))
                else:
                    self._say("221 bye" if verb == "QUIT" else "250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
        self.wfile.flush()

    def _to_tls(self, office: Office) -> None:
        assert office.tls is not None
        self.request = office.tls.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb")


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        office: Office = self.server.office  # type: ignore[attr-defined]
        office.came += 1
        office.heads.append({"path": self.path, **dict(self.headers)})
        office.calls.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if not office.status:
            return
        self.send_response(office.status)
        if office.location:
            self.send_header("Location", office.location)
        self.end_headers()

    def do_GET(self) -> None:  # a redirect that was followed would end here
        self.server.office.came += 100  # type: ignore[attr-defined]
        self.send_error(404)

    def log_message(self, *given: Any) -> None:
        """Quiet."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *given: Any) -> None:
        """A client that hangs up is what some tests want."""


@contextlib.contextmanager
def _serving(server: Any, office: Office) -> Iterator[Office]:
    server.office, office.port = office, server.server_address[1]
    server.handle_error = lambda *given: None
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield office
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextlib.contextmanager
def mail_server(**how: Any) -> Iterator[Office]:
    with _serving(_Server(("127.0.0.1", 0), _Mail), Office(**how)) as office:
        yield office


@contextlib.contextmanager
def webhook_server(**how: Any) -> Iterator[Office]:
    office = Office(**how)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    if office.tls:
        server.socket = office.tls.wrap_socket(server.socket, server_side=True)
    with _serving(server, office) as office:
        yield office
