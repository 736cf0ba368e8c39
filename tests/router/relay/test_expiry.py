"""Forgetting: what goes, when, and what stays."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from friendlyfl.core import limits
from friendlyfl.router.relay.expiry import expire
from tests.router.relay.asking import Relay, refused
from tests.router.relay.test_uploads import begin, big, patch, upload
from tests.router.relay.world import World

HOUR = 3600
NOW = int(time.time())


def forget(world: World, after: int) -> int:
    """What goes, so many seconds from now."""
    return expire(int(time.time()) + after, engine=world.engine, store=world.store)


def files(world: World) -> list[Path]:
    return sorted(path for path in world.store.root.rglob("*") if path.is_file())


def test_a_small_blob_goes_a_day_after_the_last_acknowledgement(relay: Relay, world: World) -> None:
    letter = world.plan(readers=[world.bob, world.dora])
    relay.post(world.alice, letter)
    relay.inbox(world.bob, "since=1&ack=1")
    assert forget(world, 25 * HOUR) == 0, "Dora has not acknowledged"
    relay.ask(world.dora, "POST", f"/messages/{letter.id}/ack/")
    assert forget(world, 23 * HOUR) == 0
    assert forget(world, 25 * HOUR) == 1
    assert forget(world, 25 * HOUR) == 0
    refused(relay.ask(world.bob, "GET", f"/messages/{letter.id}/payload/"), 410, "payload_gone")
    assert relay.inbox(world.bob).json()["messages"][0]["blob"] is None
    assert relay.post(world.alice, letter).status_code == 200, "the envelope stays as a slot"
    refused(relay.post(world.alice, world.plan(readers=[world.bob, world.dora])), 409, "slot_taken")


def test_everything_goes_after_30_days(relay: Relay, world: World) -> None:
    relay.post(world.alice, world.plan())
    assert forget(world, limits.BLOB_KEPT - HOUR) == 0
    assert forget(world, limits.BLOB_KEPT + HOUR) == 1


def test_a_stored_blob_goes_with_its_last_message(relay: Relay, world: World) -> None:
    blob = big(world)
    run = world.add_run()
    upload(relay, world.alice, blob)
    letters = [
        world.letter(world.alice, "state", [world.bob], blob, run=run, round=round, step=1)
        for round in (1, 2)
    ]
    for letter in letters:
        assert relay.ask(world.alice, "POST", "/messages/", letter.body(inline=False)).status_code == 201
    relay.inbox(world.bob, "since=1&ack=1")
    forget(world, 47 * HOUR)
    assert len(files(world)) == 1
    relay.inbox(world.bob, "since=2&ack=2")
    assert forget(world, 25 * HOUR) == 1
    assert files(world) == []
    refused(relay.ask(world.bob, "GET", f"/messages/{letters[1].id}/payload/"), 410, "payload_gone")


def test_unfinished_and_unused_uploads_go_after_48_hours(relay: Relay, world: World) -> None:
    unused, unfinished = big(world), big(world)
    upload(relay, world.alice, unused)
    made = begin(relay, world.alice, unfinished)
    patch(relay, world.alice, made, unfinished[:5000])
    assert forget(world, 47 * HOUR) == 0
    assert len(files(world)) == 2
    assert forget(world, 49 * HOUR) == 3, "two uploads and the blob that nobody named"
    assert files(world) == []
    assert relay.ask(world.alice, "HEAD", f"/uploads/{made}/").status_code == 404


def test_a_blob_that_comes_again_lives_again(relay: Relay, world: World) -> None:
    letter = world.plan()
    relay.post(world.alice, letter)
    forget(world, limits.BLOB_KEPT + HOUR)
    again = world.plan(1, blob=letter.blob)
    assert relay.post(world.alice, again).status_code == 201
    assert relay.ask(world.bob, "GET", f"/messages/{again.id}/payload/").content == letter.blob
    blob = big(world)
    upload(relay, world.alice, blob)
    forget(world, 49 * HOUR)
    upload(relay, world.alice, blob)
    assert world.store.holds(hashlib.sha256(blob).hexdigest())


def test_rubbish_in_quarantine_is_swept(relay: Relay, world: World) -> None:
    made = begin(relay, world.alice, big(world))
    patch(relay, world.alice, made, bytes(5000))
    rubbish = world.store.incoming / "5b6e8c1e-3c75-4f0c-8a52-0a2b9a3f5f11"
    rubbish.write_bytes(b"left by a crash")
    forget(world, 0)
    assert rubbish.exists(), "it may be arriving just now"
    os.utime(rubbish, (NOW - 7200, NOW - 7200))
    forget(world, 0)
    assert [path.name for path in files(world)] == [made]


def test_a_crash_while_forgetting_is_made_good(
    relay: Relay, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(relay, world.alice, big(world))
    remove = type(world.store).remove

    def crash(store: Any, sha256: str) -> None:
        remove(store, sha256)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(world.store), "remove", crash)
    with pytest.raises(KeyboardInterrupt):
        forget(world, 49 * HOUR)
    monkeypatch.setattr(type(world.store), "remove", remove)
    assert forget(world, 49 * HOUR) == 1
    assert world.sql("SELECT COUNT(*) FROM ffl_blob WHERE gone_at IS NULL")[0][0] == 0
