"""The small parts by themselves: bell, limiter, body reader, store, answers."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from friendlyfl.core import limits
from friendlyfl.router.relay import body
from friendlyfl.router.relay.bell import Bell
from friendlyfl.router.relay.errors import Disconnected, Refusal, unexpected
from friendlyfl.router.relay.limiter import REMEMBERED, Buckets
from friendlyfl.router.relay.store import DirectoryStore

UPLOAD = "5b6e8c1e-3c75-4f0c-8a52-0a2b9a3f5f11"


# The bell


def test_a_ring_between_look_and_wait_is_heard() -> None:
    async def scene() -> str:
        bell = Bell()
        waiter = bell.join("bob")
        bell.admit(waiter)
        bell.ring(["bob"])  # rung before anybody waits
        return await waiter.wait(5)

    assert asyncio.run(scene()) == "rung"


def test_a_ring_from_another_thread() -> None:
    async def scene() -> list[str]:
        bell = Bell()
        waiters = [bell.join("bob"), bell.join("bob"), bell.join("dora")]
        for waiter in waiters:
            bell.admit(waiter)
        threading.Thread(target=bell.ring, args=(["bob", "nobody"],)).start()
        return list(await asyncio.gather(*(waiter.wait(0.5) for waiter in waiters)))

    assert asyncio.run(scene()) == ["rung", "rung", "time"]


def test_only_an_admitted_poll_sends_another_away() -> None:
    async def scene() -> tuple[bool, str]:
        bell = Bell(per_site=1)
        first = bell.join("bob")
        bell.admit(first)
        second = bell.join("bob")  # a replayed request, say
        await asyncio.sleep(0.01)
        kept = not first.future.done()
        bell.admit(second)
        return kept, await first.wait(5)

    assert asyncio.run(scene()) == (True, "displaced")


def test_a_closed_loop_does_not_stop_the_bell() -> None:
    bell = Bell()

    async def join() -> None:
        bell.join("bob")

    asyncio.run(join())
    bell.ring(["bob"])
    assert bell.waiting() == 1


# The limiter


def test_buckets() -> None:
    now = [0.0]
    buckets = Buckets(3, 2, lambda: now[0])
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b") == 0
    assert buckets.empty("a") and not buckets.empty("b") and not buckets.empty("c")
    now[0] = 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0, 0.5]
    now[0] = 1000
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5], "never deeper than its depth"
    for key in range(REMEMBERED + 10):
        buckets.take(str(key))
    assert len(buckets._levels) == REMEMBERED


# The body


def read(pieces: Iterable[Any], limit: int = 100, **headers: str) -> bytes:
    """What the reader makes of these pieces; a number is a pause, None a hang-up."""
    coming = list(pieces)

    async def receive() -> Any:
        piece = coming.pop(0)
        while isinstance(piece, float):
            await asyncio.sleep(piece)
            piece = coming.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(coming)}

    return asyncio.run(
        body.whole(receive, Headers({k.replace("_", "-"): v for k, v in headers.items()}), limit)
    )


def test_a_body_is_read() -> None:
    assert read([b"ab", b"", b"c"]) == b"abc"
    assert read([b"x" * 100]) == b"x" * 100


@pytest.mark.parametrize("pieces", [[b"x" * 101], [b"x" * 60, b"x" * 60]])
def test_a_body_has_a_limit(pieces: list[bytes]) -> None:
    with pytest.raises(Refusal) as refusal:
        read(pieces)
    assert refusal.value.status == 413


def test_a_declared_length_is_refused_unread() -> None:
    with pytest.raises(Refusal) as refusal:
        read([], content_length="101")
    assert refusal.value.status == 413


def test_a_hang_up() -> None:
    with pytest.raises(Disconnected):
        read([b"ab", None])


def test_a_body_that_dribbles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "STALL", 0.2)
    with pytest.raises(Refusal) as refusal:
        read([piece for _ in range(50) for piece in (b"x", 0.02)] + [b"y"])
    assert (refusal.value.status, refusal.value.code) == (408, "too_slow")
    with pytest.raises(Refusal) as refusal:
        read([0.5, b"x"])
    assert refusal.value.status == 408
    steady = [piece for _ in range(10) for piece in (b"x" * limits.KIB, 0.05)] + [b"y"]
    assert len(read(steady, 10**6)) == 10 * limits.KIB + 1, "slow but moving"


def test_take() -> None:
    body.take({"a": 1, "b": "x"}, {"a": int}, {"b": str})
    for value, code in (
        ({}, "missing_field"),
        ({"a": True}, "wrong_type"),
        ({"a": 1, "b": None}, "wrong_type"),
        ({"a": 1, "c": 1}, "unknown_field"),
    ):
        with pytest.raises(Refusal) as refusal:
            body.take(value, {"a": int}, {"b": str})
        assert (refusal.value.status, refusal.value.code) == (400, code)


# The store


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    made = DirectoryStore(tmp_path / "payloads")
    made.prepare()
    return made


def put(store: DirectoryStore, content: bytes, upload: str = UPLOAD) -> str:
    incoming = store.receive(upload, 0)
    incoming.write(content)
    incoming.sync()
    incoming.close()
    sha256 = hashlib.sha256(content).hexdigest()
    assert store.digest(upload, sha256) == sha256
    store.keep(upload, sha256)
    return sha256


def test_the_store_keeps_by_content(store: DirectoryStore) -> None:
    sha256 = put(store, b"sealed")
    assert store.holds(sha256)
    with store.open(sha256) as file:
        assert file.read() == b"sealed"
    path = store.root / sha256[:2] / sha256[2:4] / sha256
    assert path.is_file()
    for folder in (store.root, store.incoming, path.parent, path.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.keep(UPLOAD, sha256)  # again, as after a crash
    assert put(store, b"sealed", UPLOAD.replace("5", "6")) == sha256
    store.remove(sha256)
    store.remove(sha256)
    assert not store.holds(sha256)
    with pytest.raises(FileNotFoundError):
        store.open(sha256)
    with pytest.raises(FileNotFoundError):
        store.keep(UPLOAD, sha256)


@pytest.mark.parametrize("name", ["", "..", "../../x", "A" * 64, "a" * 63, "a" * 64 + "\n", UPLOAD + "/.."])
def test_a_name_that_is_none_never_becomes_a_path(store: DirectoryStore, name: str) -> None:
    for act in (store.open, store.remove, store.holds, store.drop, lambda name: store.receive(name, 0)):
        with pytest.raises(ValueError):
            act(name)


def test_a_cut_leaves_nothing_that_counts(store: DirectoryStore) -> None:
    first = store.receive(UPLOAD, 0)
    first.write(b"counted")
    first.sync()
    first.close()
    cut = store.receive(UPLOAD, 7)
    cut.write(b" lost")
    cut.close()
    again = store.receive(UPLOAD, 7)
    again.write(b" kept")
    assert again.sha256() == hashlib.sha256(b" kept").digest()
    again.sync()
    again.close()
    whole = hashlib.sha256(b"counted kept").hexdigest()
    assert store.digest(UPLOAD, whole) == whole
    with pytest.raises(FileNotFoundError):
        store.receive(UPLOAD, 100)
    held = store.receive(UPLOAD, 0)
    with pytest.raises(BlockingIOError):
        store.receive(UPLOAD, 0)
    held.close()


def test_reserve(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 % or 200 MB of the disk, whichever is more, stays free."""
    import shutil

    gib = limits.GIB
    for total, free, room in ((1000 * gib, 60 * gib, 10 * gib), (2 * gib, gib, gib - 200 * limits.MIB)):
        monkeypatch.setattr(
            shutil, "disk_usage", lambda path, t=total, f=free: shutil._ntuple_diskusage(t, t - f, f)
        )
        assert store.free_space() == room
        store.check_space(room)
        with pytest.raises(Refusal) as refusal:
            store.check_space(room + 1)
        assert (refusal.value.status, refusal.value.code) == (507, "no_space")


def test_ready(store: DirectoryStore, tmp_path: Path) -> None:
    assert store.ready()
    (tmp_path / "file").write_text("")
    assert not DirectoryStore(tmp_path / "file" / "payloads").ready()


# Surprises


def test_a_surprise_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    try:
        os.stat("/nowhere/patient-4711")
    except OSError as error:
        refusal = unexpected(error, "a test")
    assert (refusal.status, bool(refusal.retry_after)) == (503, True)
    assert "FileNotFoundError in test_parts.py" in caplog.text
    assert "4711" not in caplog.text
