"""The relay as a server: real sockets, a real process that is killed, several workers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from friendlyfl.router.relay import body
from friendlyfl.router.relay.database import PostgresEngine, SQLiteEngine
from friendlyfl.router.relay.service import Service
from tests.router.relay.asking import mounted
from tests.router.relay.world import HOST, PREFIX, Hospital, World

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys, uvicorn
uvicorn.run("friendlyfl.router.asgi:application", fd=int(sys.argv[1]), log_level="critical", access_log=False)
"""


@contextlib.contextmanager
def served(service: Service) -> Iterator[int]:
    """This relay behind uvicorn, in a thread; its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    server = uvicorn.Server(uvicorn.Config(mounted(service), log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        service.hang_up()
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


class Line:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=40)

    def ask(
        self, site: Hospital, method: str, path: str, content: Any = None, query: str = "", **headers: str
    ) -> tuple[int, Any]:
        raw = (
            b""
            if content is None
            else content
            if isinstance(content, bytes)
            else json.dumps(content).encode()
        )
        head = site.headers(method, PREFIX + path, raw, query=query) | {"Host": HOST}
        head["Content-Type"] = (
            "application/octet-stream" if isinstance(content, bytes) else "application/json"
        )
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.http.request(method, PREFIX + path + (f"?{query}" if query else ""), raw, head)
        answer = self.http.getresponse()
        got = answer.read()
        return answer.status, json.loads(got) if got[:1] == b"{" else got

    def post(self, site: Hospital, letter: Any) -> int:
        return self.ask(site, "POST", "/messages/", letter.body())[0]

    def inbox(self, site: Hospital, query: str = "") -> Any:
        status, got = self.ask(site, "GET", "/messages/inbox/", query=query)
        assert status == 200, got
        return got


def test_polls_wait_without_threads_or_connections(world: World) -> None:
    """Sixty waiting polls: not one more thread, and all of them wake."""
    service = world.service()
    hospitals = [Hospital(f"Hospital {number}") for number in range(30)]
    with world.db.transaction():
        for hospital in hospitals:
            world._add_site(hospital)
    world.next_epoch(world.alice, *hospitals)
    got: list[float] = []
    with served(service) as port:
        Line(port).inbox(hospitals[0])
        before = {thread.name for thread in threading.enumerate()}

        def poll(site: Hospital) -> None:
            if Line(port).inbox(site, "wait=20")["messages"]:
                got.append(time.monotonic())

        pollers = [
            threading.Thread(target=poll, args=(site,), name="poller") for site in hospitals for _ in range(2)
        ]
        for poller in pollers:
            poller.start()
        for _ in range(1000):
            if service.bell.waiting() == 60:
                break
            time.sleep(0.01)
        assert service.bell.waiting() == 60
        assert {thread.name for thread in threading.enumerate()} - {"poller"} == before
        posted = time.monotonic()
        assert Line(port).post(world.alice, world.plan(readers=hospitals)) == 201
        for poller in pollers:
            poller.join(20)
    assert len(got) == 60
    assert max(got) - posted < 5


def test_slow_bodies_do_not_hold_up_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "STALL", 1.0)
    with served(world.service()) as port:
        letter = world.plan()
        raw = json.dumps(letter.body()).encode()
        dribbling = []
        for _ in range(40):
            head = world.alice.headers("POST", f"{PREFIX}/messages/", raw)
            head |= {"host": HOST, "content-length": str(len(raw)), "content-type": "application/json"}
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            connection.sendall(f"POST {PREFIX}/messages/ HTTP/1.1\r\n{lines}\r\n".encode() + raw[:1])
            dribbling.append(connection)
        started = time.monotonic()
        assert Line(port).post(world.alice, letter) == 201
        assert time.monotonic() - started < 1
        for connection in dribbling:
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert json.loads(answer.read())["code"] == "too_slow"
            connection.close()


def test_a_hang_up_in_the_middle_of_an_upload_changes_nothing(world: World) -> None:
    blob = os.urandom(3 << 20)
    with served(world.service()) as port:
        wanted = {"length": len(blob), "sha256": "ab" * 32, "message_type": "state", "run": None}
        _, begun = Line(port).ask(world.alice, "POST", "/uploads/", wanted)
        path = f"/uploads/{begun['id']}/"
        head = world.alice.headers("PATCH", PREFIX + path, blob) | {
            "host": HOST,
            "content-length": str(len(blob)),
        }
        head |= {"content-type": "application/octet-stream", "upload-offset": "0"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        connection.sendall(f"PATCH {PREFIX}{path} HTTP/1.1\r\n{lines}\r\n".encode() + blob[: 2 << 20])
        connection.close()
        for _ in range(100):
            status, _ = Line(port).ask(world.alice, "PATCH", path, blob, upload_offset="0")
            if status != 409:
                break
            time.sleep(0.05)
        assert status == 204


class Process:
    """A Routing Server as it is deployed: the whole ASGI application in a process of its own, on this world."""

    def __init__(self, world: World, home: Path) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "friendlyfl.router.settings",
            "FRIENDLYFL_ROUTER_HOME": str(home),
            "PAYLOAD_STORE": f"dir:{world.store.root}",
            "PYTHONPATH": str(ROOT),
        }
        self.environment.pop("DATABASE_URL", None)
        if isinstance(world.engine, PostgresEngine):
            known = world.engine.parameters
            self.environment["DATABASE_URL"] = (
                f"postgresql://{known['user']}@{known['host']}:{known['port']}/{known['dbname']}"
            )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        fd = self.listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(fd)],
            env=self.environment,
            cwd=ROOT,
            pass_fds=[fd],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def post_until_it_breaks(
    port: int, site: Hospital, letters: Iterator[Any], sent: list[Any], safe: list[str]
) -> None:
    line = Line(port)
    for letter in letters:
        sent.append(letter)
        try:
            status = line.post(site, letter)
        except (OSError, http.client.HTTPException):
            return
        assert status == 201
        safe.append(letter.id)


@pytest.mark.e2e
def test_no_kill_loses_an_acknowledged_message(world: World, tmp_path: Path) -> None:
    """kill -9 in the middle of posting, again and again: what got a 2xx is there, once, and without a gap."""
    if isinstance(world.engine, SQLiteEngine):
        world.db.close()
        database = tmp_path / "router.sqlite3"
        Path(world.engine.path).rename(database)
        world.engine.path = str(database)
    server = Process(world, tmp_path)
    luck = random.Random(11)
    sent: list[Any] = []
    safe: list[str] = []

    def letters(site: Hospital, start: int) -> Iterator[Any]:
        for part in range(start, start + 60):
            yield world.letter(site, "approve", [world.alice], part=part)

    for kill in range(3):
        server.start()
        posters = [
            threading.Thread(
                target=post_until_it_breaks, args=(server.port, site, letters(site, kill * 100), sent, safe)
            )
            for site in (world.bob, world.dora)
        ]
        for poster in posters:
            poster.start()
        wanted = len(safe) + luck.randint(5, 40)
        deadline = time.monotonic() + 60
        while len(safe) < wanted and time.monotonic() < deadline:
            time.sleep(0.002)
        server.kill()
        # The listening socket outlives the process; what waits in it unread would block its sender for ever.
        for poster in posters:
            poster.join(60)
    server.start()
    try:
        line = Line(server.port)
        got: list[Any] = []
        while page := line.inbox(world.alice, f"since={len(got)}")["messages"]:
            got += page
        assert [message["position"] for message in got] == list(range(1, len(got) + 1))
        ids = [message["id"] for message in got]
        assert len(set(ids)) == len(ids)
        assert set(safe) <= set(ids)
        assert set(ids) <= {letter.id for letter in sent}
        for letter in sent:
            site = world.bob if letter.ctx.sender == world.bob.uid else world.dora
            assert line.post(site, letter) == (200 if letter.id in ids else 201), (
                "the outbox sends it all again"
            )
        assert world.last_position(world.alice) == len(sent)
    finally:
        server.kill()


def test_a_post_at_one_worker_wakes_a_poll_at_another(world: World) -> None:
    if not world.engine.postgres:
        pytest.skip("SQLite has one worker")
    with served(world.service()) as here, served(world.service()) as there:
        got: list[Any] = []
        poller = threading.Thread(
            target=lambda: got.append((Line(there).inbox(world.bob, "wait=20"), time.monotonic()))
        )
        poller.start()
        time.sleep(1)
        posted = time.monotonic()
        assert Line(here).post(world.alice, world.plan()) == 201
        poller.join(25)
        page, woken = got[0]
        assert len(page["messages"]) == 1
        assert woken - posted < 3


def test_two_workers_give_positions_without_gaps(world: World) -> None:
    if not world.engine.postgres:
        pytest.skip("SQLite has one worker")
    readers = [world.alice, world.bob, world.dora]
    with served(world.service()) as here, served(world.service()) as there:
        codes: list[int] = []

        def post(port: int, type: str, sender: Hospital, base: int) -> None:
            line = Line(port)
            for part in range(base, base + 15):
                # Receipts may go to anybody; each order of readers must end in the same order of locks.
                letter = world.letter(sender, type, readers if part % 2 else readers[::-1], part=part)
                codes.append(line.post(sender, letter))

        posters = [
            threading.Thread(target=post, args=(port, "receipt", sender, 100 * number))
            for number, (port, sender) in enumerate(
                [(here, world.bob), (there, world.dora), (here, world.alice)] * 2
            )
        ]
        for poster in posters:
            poster.start()
        for poster in posters:
            poster.join(60)
        assert codes == [201] * 90
        for reader in readers:
            got = Line(here).inbox(reader)["messages"]
            assert [message["position"] for message in got] == list(range(1, 91))
