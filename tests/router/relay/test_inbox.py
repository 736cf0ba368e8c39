"""Mailboxes: looking, waiting, acknowledging, order, and who may read what."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from friendlyfl.core import limits
from tests.router.relay.asking import Relay, refused
from tests.router.relay.world import World, sealed


def positions(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [message["position"] for message in answer.json()["messages"]]


def test_an_empty_mailbox(relay: Relay, world: World) -> None:
    assert relay.inbox(world.bob).json() == {"messages": [], "next": 0}


def test_the_cursor(relay: Relay, world: World) -> None:
    for part in range(5):
        assert relay.post(world.alice, world.plan(part)).status_code == 201
    assert positions(relay.inbox(world.bob)) == [1, 2, 3, 4, 5]
    later = relay.inbox(world.bob, "since=3")
    assert positions(later) == [4, 5]
    assert later.json()["next"] == 5
    assert relay.inbox(world.bob, "since=5").json() == {"messages": [], "next": 5}
    assert positions(relay.inbox(world.bob, "since=0")) == [1, 2, 3, 4, 5], "looking takes nothing away"


def test_one_answer_has_100_messages_or_4_mib(relay: Relay, world: World) -> None:
    letters = [world.plan(part, blob=sealed(100)) for part in range(103)]
    for letter in letters:
        relay.post(world.alice, letter)
    first = relay.inbox(world.bob)
    assert positions(first) == list(range(1, 101))
    assert positions(relay.inbox(world.bob, f"since={first.json()['next']}")) == [101, 102, 103]
    for part in range(103, 123):
        relay.post(world.alice, world.plan(part, blob=sealed(240 * limits.KIB)))
    big = relay.inbox(world.bob, "since=103")
    assert 2 < len(big.json()["messages"]) < 20
    assert len(big.content) <= limits.INBOX_BYTES
    rest = positions(relay.inbox(world.bob, f"since={big.json()['next']}"))
    assert rest and rest[0] == big.json()["next"] + 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("since=-1", "bad_argument"),
        ("since=x", "bad_argument"),
        ("since=", "bad_argument"),
        ("since=1.0", "bad_argument"),
        ("since=%D9%A3", "bad_argument"),
        ("since=99999999999999999", "bad_argument"),
        ("since=1&since=2", "unknown_argument"),
        ("cursor=1", "unknown_argument"),
        ("since", "bad_query"),
        ("&", "bad_query"),
        ("since=7", "cursor_ahead"),
        ("ack=7", "cursor_ahead"),
    ],
)
def test_query(relay: Relay, world: World, query: str, code: str) -> None:
    refused(relay.inbox(world.bob, query), 409 if code == "cursor_ahead" else 400, code)


def test_a_cursor_ahead_is_told_where_the_mailbox_ends(relay: Relay, world: World) -> None:
    """The Routing Server was restored from an older copy: it must not take acknowledgements of post to come."""
    relay.post(world.alice, world.plan())
    assert refused(relay.inbox(world.bob, "since=9&ack=9"), 409, "cursor_ahead")["last"] == 1
    assert world.sql("SELECT acked FROM ffl_mailbox WHERE site_id = ?", world.bob.pk)[0][0] == 0


def acknowledged(world: World) -> list[int]:
    rows = world.sql(
        "SELECT position FROM ffl_delivery WHERE site_id = ? AND acked_at IS NOT NULL ORDER BY position",
        world.bob.pk,
    )
    return [row[0] for row in rows]


def test_ack_moves_forward_only(relay: Relay, world: World) -> None:
    for part in range(5):
        relay.post(world.alice, world.plan(part))
    relay.inbox(world.bob, "since=2")
    assert acknowledged(world) == [], "reading is not storing"
    relay.inbox(world.bob, "since=2&ack=2")
    assert acknowledged(world) == [1, 2]
    relay.inbox(world.bob, "since=2&ack=1")
    relay.inbox(world.bob, "since=2&ack=0")
    relay.inbox(world.bob, "since=2&ack=2")
    assert acknowledged(world) == [1, 2]
    relay.inbox(world.bob, "since=4&ack=4")
    assert acknowledged(world) == [1, 2, 3, 4]
    assert world.sql("SELECT acked FROM ffl_mailbox WHERE site_id = ?", world.bob.pk)[0][0] == 4


def test_ack_out_of_turn(relay: Relay, world: World) -> None:
    letters = [world.plan(part) for part in range(3)]
    for letter in letters:
        relay.post(world.alice, letter)
    for _ in range(2):
        answer = relay.ask(world.bob, "POST", f"/messages/{letters[1].id}/ack/")
        assert (answer.status_code, answer.json()) == (200, {"id": letters[1].id})
    assert acknowledged(world) == [2]
    assert positions(relay.inbox(world.bob)) == [1, 2, 3]
    refused(relay.ask(world.bob, "POST", f"/messages/{letters[0].id}/ack/", {"a": 1}), 413, "too_big")
    assert relay.ask(world.bob, "POST", f"/messages/{letters[0].id}/ack", {}).status_code == 200


def test_one_message_is_for_its_addressee(relay: Relay, world: World) -> None:
    letter = world.plan()
    relay.post(world.alice, letter)
    (listed,) = relay.inbox(world.bob).json()["messages"]
    for path in (f"/messages/{letter.id}/", f"/messages/{letter.id}"):
        assert relay.ask(world.bob, "GET", path).json() == listed
    payload = relay.ask(world.bob, "GET", f"/messages/{letter.id}/payload/")
    assert (payload.status_code, payload.content) == (200, letter.blob)
    assert payload.headers["content-type"] == "application/octet-stream"
    assert payload.headers["cache-control"] == "no-store"
    head = relay.ask(world.bob, "HEAD", f"/messages/{letter.id}/payload/")
    assert (head.status_code, head.headers["content-length"], head.content) == (
        200,
        str(len(letter.blob)),
        b"",
    )
    assert relay.ask(world.bob, "HEAD", f"/messages/{letter.id}/").content == b""
    made_up = refused(relay.ask(world.bob, "GET", f"/messages/{'0' * 64}/"), 404, "not_found")
    for stranger in (world.dora, world.charlie, world.alice):
        for method, what in (("GET", ""), ("GET", "payload/"), ("POST", "ack/")):
            answer = relay.ask(stranger, method, f"/messages/{letter.id}/{what}")
            assert refused(answer, 404, "not_found") == made_up


def wait_in_thread(relay: Relay, site: Any, query: str) -> tuple[threading.Thread, list[Any]]:
    """A poll that waits; what it got, and when, is in the list once the thread has ended."""
    got: list[Any] = []

    def poll() -> None:
        answer = relay.inbox(site, query)
        got.append((time.monotonic(), answer))

    thread = threading.Thread(target=poll)
    thread.start()
    return thread, got


def until_waiting(relay: Relay, count: int) -> None:
    for _ in range(500):
        if relay.service.bell.waiting() == count:
            return
        time.sleep(0.01)
    pytest.fail(f"no {count} polls wait")


def test_a_poll_waits_and_wakes(relay: Relay, world: World) -> None:
    thread, got = wait_in_thread(relay, world.bob, "since=0&wait=20")
    until_waiting(relay, 1)
    letter = world.plan()
    posted = time.monotonic()
    relay.post(world.alice, letter)
    thread.join(10)
    woken, answer = got[0]
    assert woken - posted < 1
    assert [message["id"] for message in answer.json()["messages"]] == [letter.id]
    assert relay.service.bell.waiting() == 0


def test_a_poll_gives_up_in_time(relay: Relay, world: World) -> None:
    started = time.monotonic()
    assert relay.inbox(world.bob, "wait=1").json() == {"messages": [], "next": 0}
    assert 0.9 < time.monotonic() - started < 3


def test_post_for_others_wakes_nobody(relay: Relay, world: World) -> None:
    thread, got = wait_in_thread(relay, world.dora, "wait=1")
    until_waiting(relay, 1)
    relay.post(world.alice, world.plan(readers=[world.bob]))
    thread.join(10)
    assert got[0][1].json()["messages"] == []


def test_a_poll_looks_once_more_before_it_gives_up(relay: Relay, world: World) -> None:
    """A bell that was not heard costs a delay and never a message."""
    relay.service.bell.ring = lambda sites: None  # type: ignore[method-assign]
    thread, got = wait_in_thread(relay, world.bob, "wait=1")
    until_waiting(relay, 1)
    relay.post(world.alice, world.plan())
    thread.join(10)
    assert positions(got[0][1]) == [1]


def test_a_third_poll_sends_the_oldest_away(relay: Relay, world: World) -> None:
    first, got = wait_in_thread(relay, world.bob, "wait=20")
    until_waiting(relay, 1)
    second, got_second = wait_in_thread(relay, world.bob, "wait=20")
    until_waiting(relay, 2)
    third, got_third = wait_in_thread(relay, world.bob, "wait=20")
    first.join(5)
    assert got[0][1].json() == {"messages": [], "next": 0}
    until_waiting(relay, 2)
    relay.post(world.alice, world.plan())
    for thread, answers in ((second, got_second), (third, got_third)):
        thread.join(5)
        assert positions(answers[0][1]) == [1]


def test_hanging_up_ends_all_polls(relay: Relay, world: World) -> None:
    """A server that is told to stop must not wait 25 seconds for its pollers."""
    thread, got = wait_in_thread(relay, world.bob, "wait=20")
    until_waiting(relay, 1)
    relay.service.hang_up()
    thread.join(5)
    assert got[0][1].status_code == 200
    started = time.monotonic()
    assert relay.inbox(world.bob, "wait=20").status_code == 200
    assert time.monotonic() - started < 2


def test_positions_have_no_gap_under_concurrent_posts(relay: Relay, world: World) -> None:
    """Many senders at once, a reader that follows with its cursor: it sees every position once and in order."""
    senders = [world.bob, world.dora]
    batches = [[world.letter(site, "approve", [world.alice], part=n) for n in range(20)] for site in senders]
    seen: list[int] = []
    ids: list[str] = []
    done = threading.Event()

    def read() -> None:
        cursor = 0
        while not done.is_set() or len(seen) < 40:
            answer = relay.inbox(world.alice, f"since={cursor}&ack={cursor}&wait=1").json()
            seen.extend(message["position"] for message in answer["messages"])
            ids.extend(message["id"] for message in answer["messages"])
            cursor = answer["next"]
            if len(seen) >= 40:
                return

    def post(site: Any, letters: list[Any]) -> None:
        for letter in letters:
            assert relay.post(site, letter).status_code == 201

    reader = threading.Thread(target=read)
    posters = [threading.Thread(target=post, args=pair) for pair in zip(senders, batches, strict=True)]
    for thread in (reader, *posters):
        thread.start()
    for thread in posters:
        thread.join(60)
    done.set()
    reader.join(60)
    assert seen == list(range(1, 41))
    assert sorted(ids) == sorted(letter.id for letters in batches for letter in letters)
    for letters in batches:
        assert [id for id in ids if id in {letter.id for letter in letters}] == [
            letter.id for letter in letters
        ]


def test_a_restart_forgets_nothing(world: World) -> None:
    """Another process on the same tables: post, cursor, slots and nonces are all there."""
    before = Relay(world.service())
    letter = world.plan()
    body = letter.body()
    with before.http:
        assert before.post(world.alice, letter).status_code == 201
        before.inbox(world.bob, "since=0")
        nonce = before.inbox(world.bob, "since=1&ack=1", signed={"nonce": "ab" * 16})
        assert nonce.status_code == 200
    after = Relay(world.service())
    with after.http:
        assert positions(after.inbox(world.bob)) == [1]
        assert after.ask(world.alice, "POST", "/messages/", body).status_code == 200
        refused(after.post(world.alice, world.plan()), 409, "slot_taken")
        refused(after.inbox(world.bob, "since=1&ack=1", signed={"nonce": "ab" * 16}), 401, "replayed_request")
