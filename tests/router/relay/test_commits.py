"""Group commit: what shares a sync, what a failure takes along, and in which order locks are taken."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from friendlyfl.core import faults
from friendlyfl.router.relay import commits
from friendlyfl.router.relay.bell import Bell
from friendlyfl.router.relay.commits import Reader, Waiting, Writer
from friendlyfl.router.relay.errors import Refusal
from friendlyfl.router.relay.transaction import Job, Transaction
from tests.router.relay.asking import Relay
from tests.router.relay.world import World


@pytest.fixture
def writer(world: World) -> Iterator[Writer]:
    made = Writer(world.engine, Bell())
    yield made
    made.stop()


class Note(Job):
    """Counts in Bob's mailbox row, so that its effect can be seen from outside."""

    def __init__(self, site: int, *, durable: bool = True, fail: Any = None, pause: float = 0) -> None:
        self.site, self.durable, self.fail, self.pause = site, durable, fail, pause

    def mailboxes(self) -> tuple[int, ...]:
        return (self.site,)

    def apply(self, tx: Transaction) -> int:
        time.sleep(self.pause)
        tx.run("UPDATE ffl_mailbox SET acked = acked + 1 WHERE site_id = ?", self.site)
        if self.fail is not None:
            raise self.fail
        tx.rung.add("bob")
        tx.run("UPDATE ffl_mailbox SET last = last + 1 WHERE site_id = ?", self.site)
        row = tx.one("SELECT last FROM ffl_mailbox WHERE site_id = ?", self.site)
        assert row is not None
        return int(row[0])


def count(world: World) -> tuple[int, int]:
    row = world.sql("SELECT last, acked FROM ffl_mailbox WHERE site_id = ?", world.bob.pk)[0]
    return int(row[0]), int(row[1])


def do_all(writer: Writer, *jobs: Job) -> list[Any]:
    async def gather() -> list[Any]:
        return list(await asyncio.gather(*(writer.do(job) for job in jobs), return_exceptions=True))

    return asyncio.run(gather())


def commits_counted(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Notes for each transaction whether it was durable."""
    seen: list[bool] = []
    start = writer._tx.start

    def counted(*, durable: bool) -> None:
        seen.append(durable)
        start(durable=durable)

    monkeypatch.setattr(writer._tx, "start", counted)
    return seen


def test_jobs_that_wait_together_are_synced_together(
    writer: Writer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = commits_counted(writer, monkeypatch)
    got = do_all(writer, Note(world.bob.pk, pause=0.3), *(Note(world.bob.pk) for _ in range(50)))
    assert got == list(range(1, 52))
    assert count(world) == (51, 51)
    assert len(seen) <= 3


def test_a_group_is_durable_if_one_of_it_is(
    writer: Writer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = commits_counted(writer, monkeypatch)

    async def one_group(*jobs: Job) -> list[Any]:
        loop = asyncio.get_running_loop()
        group = [Waiting(job, loop, loop.create_future()) for job in jobs]
        return [outcome.value for outcome in writer.handle(group)]

    lazy, synced = Note(world.bob.pk, durable=False), Note(world.bob.pk)
    assert asyncio.run(one_group(lazy, lazy)) == [1, 2]
    assert asyncio.run(one_group(lazy, synced, lazy)) == [3, 4, 5]
    assert seen == [False, True]


def test_synchronous_is_what_it_says(world: World) -> None:
    """A durable transaction syncs, a lazy one leaves it to the next; the default is the safe one."""
    tx = Transaction(world.engine)
    asks = "SHOW synchronous_commit" if world.engine.postgres else "PRAGMA synchronous"
    full, lazy = ("on", "off") if world.engine.postgres else (2, 1)
    found = []
    for durable in (True, False, True):
        tx.start(durable=durable)
        found.append(tx.all(asks)[0][0])
        tx.finish()
    assert found == [full, lazy, full]
    tx.close()


def test_a_refusal_ends_its_own_job(writer: Writer, world: World) -> None:
    got = do_all(
        writer,
        Note(world.bob.pk, pause=0.2),
        Note(world.bob.pk),
        Note(world.bob.pk, fail=Refusal(409, "no", "No.")),
        Note(world.bob.pk),
    )
    assert [value if isinstance(value, int) else value.code for value in got] == [1, 2, "no", 3]


def test_a_surprise_takes_no_neighbour_along(
    writer: Writer, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    got = do_all(
        writer,
        Note(world.bob.pk, pause=0.2),
        Note(world.bob.pk),
        Note(world.bob.pk, fail=ZeroDivisionError("a secret word")),
        Note(world.bob.pk),
    )
    assert [value if isinstance(value, int) else value.status for value in got] == [1, 2, 503, 3]
    assert count(world) == (3, 3), "what the failed job wrote is undone"
    assert "Note failed: ZeroDivisionError" in caplog.text and "secret" not in caplog.text


def test_a_broken_connection_is_made_anew(writer: Writer, world: World) -> None:
    assert do_all(writer, Note(world.bob.pk)) == [1]
    writer._tx.connection.close()
    (first,) = do_all(writer, Note(world.bob.pk))
    assert first == 2 or first.status == 503
    assert count(world)[0] + 1 == do_all(writer, Note(world.bob.pk))[0]


def test_nothing_is_answered_or_rung_before_the_commit(
    writer: Writer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(faults, "_hook", order.append)
    monkeypatch.setattr(writer._bell, "ring", lambda sites: order.append(f"ring {sorted(sites)}"))
    tell = commits.tell
    monkeypatch.setattr(commits, "tell", lambda outcomes: (order.append("tell"), tell(outcomes)))
    do_all(writer, Note(world.bob.pk))
    assert order == ["relay.before-commit", "relay.after-commit", "ring ['bob']", "tell"]


def test_mailboxes_are_locked_in_order_of_site(world: World) -> None:
    tx = Transaction(world.engine)
    asked: list[str] = []
    everything = tx.all
    tx.all = lambda sql, *values: (asked.append(f"{sql} {values}"), everything(sql, *values))[1]  # type: ignore
    tx.start(durable=True)
    tx.lock([site.pk for site in reversed(world.sites)])
    tx.finish()
    assert "ORDER BY site_id FOR UPDATE" in asked[0]
    assert asked[0].endswith(f"({sorted(site.pk for site in world.sites)},)")
    tx.close()


def test_a_full_queue_asks_for_patience(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "QUEUE", 2)
    writer = Writer(world.engine, Bell())
    jobs = [Note(world.bob.pk, pause=0.05) for _ in range(8)]
    got = do_all(writer, *jobs)
    assert {value if isinstance(value, int) else value.status for value in got} >= {1, 503}
    writer.stop()


def test_a_lock_held_elsewhere_is_waited_for(writer: Writer, world: World) -> None:
    """The records write to the same database: the relay waits for them, and gives up with 503 only in the end."""
    world.db.begin(durable=True)
    world.db.run("UPDATE ffl_mailbox SET acked = acked WHERE site_id = ?", world.bob.pk)
    letting_go = threading.Timer(0.3, world.db.commit)
    letting_go.start()
    started = time.monotonic()
    assert do_all(writer, Note(world.bob.pk)) == [1]
    assert time.monotonic() - started > 0.2
    letting_go.join()


def test_a_reader_that_fails_goes_on(world: World) -> None:
    reader = Reader(world.engine)

    async def scene() -> list[Any]:
        wrong = reader.do(lambda database: database.all("SELECT nothing"))
        right = reader.do(lambda database: database.one("SELECT 1"))
        return list(await asyncio.gather(wrong, right, return_exceptions=True))

    wrong, right = asyncio.run(scene())
    assert (wrong.status, right[0]) == (503, 1)
    reader.stop()


@pytest.mark.parametrize("place", ["relay.before-commit", "relay.after-commit"])
def test_a_crash_around_the_commit_loses_no_acknowledged_message(
    relay: Relay, world: World, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Whatever the asker was told, posting the same bytes again ends well and the message is there once."""
    letter = world.plan()
    crashed: list[str] = []

    def crash(name: str) -> None:
        if name == place and not crashed:
            crashed.append(name)
            raise ConnectionError

    monkeypatch.setattr(faults, "_hook", crash)
    assert relay.post(world.alice, letter).status_code == 503
    assert relay.post(world.alice, letter).status_code == (201 if place == "relay.before-commit" else 200)
    assert [message["id"] for message in relay.inbox(world.bob).json()["messages"]] == [letter.id]
