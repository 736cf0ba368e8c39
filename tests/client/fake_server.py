"""A tiny real HTTP server on a free port that answers as a test tells it: well, badly, late or not at all."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: tuple[str, int]


Reply = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _any(self) -> None:
        play: Play = self.server.play
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        play.seen.append(Seen(self.command, self.path, headers, body, self.client_address))
        reply = play.replies.pop(0) if len(play.replies) > 1 else play.replies[0]
        reply(self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any

    def send_whole(self, status: int, body: bytes, media: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": media,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


@dataclass
class Play:
    replies: list[Reply]
    port: int = 0
    seen: list[Seen] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def says(status: int, value: object, headers: dict[str, str] | None = None) -> Reply:
    return lambda h: h.send_whole(status, json.dumps(value).encode(), "application/json", headers)


def raw(status: int, body: bytes, media: str, headers: dict[str, str] | None = None) -> Reply:
    return lambda h: h.send_whole(status, body, media, headers)


def cut_after(promised: int, body: bytes, media: str = "application/json") -> Reply:
    """Promises so many bytes, sends fewer and hangs up."""

    def reply(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", media)
        handler.send_header("Content-Length", str(promised))
        handler.end_headers()
        handler.wfile.write(body)
        hang_up(handler)

    return reply


def hang_up(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def playing(*replies: Reply):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.play = Play(list(replies), server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.play
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def deaf():
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
