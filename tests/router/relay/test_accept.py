"""Posting a message: each check of the design, its place in the order, its status and its code."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from friendlyfl.core import limits
from friendlyfl.wire.canonical import b64
from friendlyfl.wire.keys import Identity
from friendlyfl.wire.message import sealed_length
from tests.router.relay.asking import Relay, refused
from tests.router.relay.world import World, sealed


def test_a_message_arrives_as_it_was_sent(relay: Relay, world: World) -> None:
    letter = world.plan(readers=[world.bob, world.dora])
    answer = relay.post(world.alice, letter)
    assert (answer.status_code, answer.json()) == (201, {"id": letter.id})
    (got,) = relay.inbox(world.bob).json()["messages"]
    sent = letter.body()
    assert got == {
        "position": 1,
        "id": letter.id,
        "sender": world.alice.uid,
        "envelope": sent["envelope"],
        "signature": sent["signature"],
        "delivery": sent["deliveries"][0]["delivery"],
        "delivery_signature": sent["deliveries"][0]["signature"],
        "blob": b64(letter.blob),
    }
    (other,) = relay.inbox(world.dora).json()["messages"]
    assert other["delivery"] == sent["deliveries"][1]["delivery"]


def test_the_same_message_again_is_the_same_message(relay: Relay, world: World) -> None:
    letter = world.plan()
    assert relay.post(world.alice, letter).status_code == 201
    for _ in range(2):
        again = relay.post(world.alice, letter)
        assert (again.status_code, again.json()) == (200, {"id": letter.id})
    assert len(relay.inbox(world.bob).json()["messages"]) == 1


def test_a_repeat_ends_well_whatever_has_changed_since(relay: Relay, world: World) -> None:
    """An outbox that lost its 201 must not be told to seal anew: it would find its own slot taken."""
    letter = world.plan(readers=[world.bob])
    assert relay.post(world.alice, letter).status_code == 201
    world.next_epoch(world.alice, world.dora)
    assert relay.post(world.alice, letter).status_code == 200
    stolen = letter.body()
    refused(relay.ask(world.dora, "POST", "/messages/", stolen), 403, "other_sender")


def test_another_message_in_a_slot_is_refused_and_told_to_the_coordinator(relay: Relay, world: World) -> None:
    first, second = world.plan(), world.plan()
    assert relay.post(world.alice, first).status_code == 201
    for _ in range(2):
        refused(relay.post(world.alice, second), 409, "slot_taken")
    noted = world.sql(
        "SELECT actor, object, project, outcome FROM ffl_audit WHERE action = 'message.slot_taken'"
    )
    assert [tuple(row) for row in noted] == [
        (f"site:{world.alice.uid}", f"message:{second.id}", world.project, "refused")
    ]
    assert [m["id"] for m in relay.inbox(world.bob).json()["messages"]] == [first.id]


def test_other_readers_make_another_slot(relay: Relay, world: World) -> None:
    assert relay.post(world.alice, world.plan(readers=[world.bob])).status_code == 201
    assert relay.post(world.alice, world.plan(readers=[world.dora])).status_code == 201
    assert relay.post(world.alice, world.plan(readers=[world.dora, world.bob])).status_code == 201


def test_the_same_envelope_for_others_is_refused(relay: Relay, world: World) -> None:
    letter = world.plan()
    assert relay.post(world.alice, letter).status_code == 201
    letter.readers = [world.dora.uid]
    refused(relay.post(world.alice, letter), 409, "slot_taken")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"signature": b64(bytes(64))}, 422, "bad_envelope"),
        ({"signature": b64(bytes(63))}, 400, ""),
        ({"signature": None}, 400, ""),
        ({"envelope": "e30="}, 400, ""),
        ({"envelope": "%%%%"}, 400, ""),
        ({"envelope": b64(b"{" + b" " * limits.ENVELOPE)}, 413, "too_big"),
        ({"deliveries": []}, 422, "no_deliveries"),
        ({"deliveries": None}, 422, "no_deliveries"),
        ({"deliveries": "all"}, 400, ""),
        ({"deliveries": [{"delivery": "e30=", "signature": b64(bytes(64))}]}, 400, ""),
        ({"blob": b64(bytes(1))}, 422, "blob_mismatch"),
        ({"blob": b64(bytes(limits.INLINE_BLOB + 1))}, 413, "too_big"),
        ({"blob": "?"}, 400, ""),
        ({"blob": 7}, 400, ""),
        ({"plain": "text"}, 400, ""),
    ],
    ids=lambda value: str(value)[:24],
)
def test_form(relay: Relay, world: World, change: dict[str, Any], status: int, code: str) -> None:
    body = world.plan().body() | change
    answer = relay.ask(world.alice, "POST", "/messages/", body)
    refused(answer, status, code or answer.json()["code"])  # the wire has its own codes for form
    assert world.last_position(world.bob) == 0


def test_a_message_without_deliveries_is_plain_text(relay: Relay, world: World) -> None:
    body = world.plan().body()
    del body["deliveries"]
    refused(relay.ask(world.alice, "POST", "/messages/", body), 422, "no_deliveries")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "bad_json"),
        (b"[]", "bad_json"),
        (b"\xff{}", "bad_json"),
        (b'{"a":1,"a":2}', "bad_json"),
        (b'{"a":1.5}', "bad_json"),
        (b'{"a":NaN}', "bad_json"),
        (b"[" * 5000, "bad_json"),
        (b'{"a":' * 9 + b"1" + b"}" * 9, "bad_json"),
        (b'{"\\ud800":1}', "unknown_field"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_json(relay: Relay, world: World, raw: bytes, code: str) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    refused(relay.ask(world.alice, "POST", "/messages/", raw, headers=headers), 400, code)


def test_size_and_media_type(relay: Relay, world: World) -> None:
    big = b" " * (limits.MESSAGE_BODY + 1)
    answer = relay.ask(world.alice, "POST", "/messages/", big, headers={"content-type": "application/json"})
    refused(answer, 413, "too_big")
    assert answer.headers["connection"] == "close"
    refused(relay.ask(world.alice, "POST", "/messages/", b"{}"), 415, "media_type")
    refused(
        relay.ask(world.alice, "POST", "/messages/", world.plan().body(), query="a=1"),
        400,
        "unknown_argument",
    )


def test_a_site_posts_in_its_own_name(relay: Relay, world: World) -> None:
    refused(relay.post(world.bob, world.plan()), 403, "other_sender")
    forged = world.plan()
    forged.by = world.bob.identity
    refused(relay.post(world.alice, forged), 422, "bad_envelope")


def test_a_stranger_learns_nothing(relay: Relay, world: World) -> None:
    """A project that is there, one that is not, and one that the site has left look the same from outside."""
    here = relay.post(world.charlie, world.letter(world.charlie, "plan", [world.bob]))
    made_up = relay.post(
        world.charlie,
        world.letter(world.charlie, "plan", [world.bob], project="0e5cb5f8-4cd0-4bd9-9a4b-4a3c0a0e7d10"),
    )
    forged = world.letter(world.charlie, "plan", [world.bob])
    forged.by = Identity.generate()
    assert refused(here, 404, "not_found") == refused(made_up, 404, "not_found")
    assert refused(relay.post(world.charlie, forged), 404, "not_found") == here.json()
    world.next_epoch(world.alice, world.dora)
    refused(relay.post(world.bob, world.letter(world.bob, "approve", [world.alice])), 404, "not_found")


@pytest.mark.parametrize("type", ["plan", "run-invite", "state", "result", "stop"])
def test_a_participant_may_not_command(relay: Relay, world: World, type: str) -> None:
    run = None if type == "plan" else world.add_run()
    refused(relay.post(world.bob, world.letter(world.bob, type, [world.dora], run=run)), 403, "role")


@pytest.mark.parametrize(
    "type", ["approve", "decline", "leave", "ready", "update", "progress", "log", "trouble"]
)
def test_each_role_its_types(relay: Relay, world: World, type: str) -> None:
    run = None if type in ("approve", "decline", "leave") else world.add_run()
    assert relay.post(world.bob, world.letter(world.bob, type, [world.alice], run=run)).status_code == 201
    refused(relay.post(world.alice, world.letter(world.alice, type, [world.bob], run=run)), 403, "role")


def test_readers_are_members(relay: Relay, world: World) -> None:
    refused(
        relay.post(world.alice, world.plan(readers=[world.bob, world.charlie])), 422, "reader_not_a_member"
    )
    refused(relay.post(world.alice, world.plan(readers=[world.bob, world.bob])), 422, "delivered_twice")


def test_epoch_and_manifest_are_current(relay: Relay, world: World) -> None:
    wrong = world.plan(manifest="00" * 32)
    assert refused(relay.post(world.alice, wrong), 409, "other_epoch")["epoch"] == 1
    refused(relay.post(world.alice, world.plan(epoch=7)), 409, "other_epoch")
    world.next_epoch(world.alice, world.bob, world.dora, world.charlie)
    old = world.plan(epoch=1)
    assert refused(relay.post(world.alice, old), 409, "other_epoch")["epoch"] == 2
    assert relay.post(world.alice, world.plan(readers=[world.charlie])).status_code == 201


def test_a_run_keeps_its_epoch_less_those_who_left(relay: Relay, world: World) -> None:
    run = world.add_run(epoch=1)
    world.next_epoch(world.alice, world.dora, world.charlie)

    def state(round: int, *readers: Any) -> Any:
        return world.letter(world.alice, "state", readers, run=run, step=1, round=round, epoch=1)

    assert relay.post(world.alice, state(1, world.bob, world.dora)).status_code == 201
    assert world.last_position(world.dora) == 1
    assert world.last_position(world.bob) == 0, "Bob has left and gets nothing any more"
    refused(relay.post(world.alice, state(2, world.bob)), 422, "readers_left")
    refused(relay.post(world.alice, state(3, world.charlie)), 422, "reader_not_a_member")
    late = world.letter(world.charlie, "update", [world.alice], run=run, epoch=1)
    refused(relay.post(world.charlie, late), 403, "not_a_member")
    other_run = world.letter(
        world.alice, "state", [world.dora], run=world.add_run(epoch=2, number=2), epoch=1
    )
    refused(relay.post(world.alice, other_run), 409, "other_epoch")


def test_the_relay_decides_nothing_about_a_run(relay: Relay, world: World) -> None:
    """Post for a run that is over, and for one that has no record here yet, is the sites' to judge."""
    over = world.letter(world.bob, "update", [world.alice], run=world.add_run())
    unknown = world.letter(world.bob, "update", [world.alice], run="5b6e8c1e-3c75-4f0c-8a52-0a2b9a3f5f11")
    assert relay.post(world.bob, over).status_code == 201
    assert relay.post(world.bob, unknown).status_code == 201


def test_an_archived_project_is_closed_for_post(relay: Relay, world: World) -> None:
    world.sql("UPDATE ffl_project SET state = 'archived'")
    refused(relay.post(world.alice, world.plan()), 409, "project_archived")


def test_a_content_larger_than_its_type_allows(relay: Relay, world: World) -> None:
    letter = world.plan(blob=b"x")
    letter.over = {"ct_len": sealed_length(limits.TEXT_BYTES * 2)}
    refused(relay.ask(world.alice, "POST", "/messages/", letter.body(inline=False)), 413, "too_big")


def test_a_blob_is_here_or_was_uploaded_by_the_sender(relay: Relay, world: World) -> None:
    letter = world.plan()
    refused(relay.ask(world.alice, "POST", "/messages/", letter.body(inline=False)), 409, "blob_missing")
    # The same bytes from another site do not help: a hash is no key.
    other = world.letter(world.bob, "approve", [world.alice], blob=letter.blob)
    assert relay.post(world.bob, other).status_code == 201
    refused(relay.ask(world.alice, "POST", "/messages/", letter.body(inline=False)), 409, "blob_missing")
    swapped = letter.body() | {"blob": b64(sealed(100))}
    refused(relay.ask(world.alice, "POST", "/messages/", swapped), 422, "blob_mismatch")
    assert relay.post(world.alice, letter).status_code == 201


def test_an_earlier_check_speaks_first(relay: Relay, world: World) -> None:
    """A letter with everything wrong is refused for the first thing in the order, then for the next."""
    letter = world.letter(world.bob, "plan", [world.charlie], epoch=9)
    letter.by = Identity.generate()
    broken = letter.body() | {"blob": b64(sealed(5000))}
    refused(relay.ask(world.charlie, "POST", "/messages/", broken), 403, "other_sender")
    refused(relay.ask(world.bob, "POST", "/messages/", broken), 409, "other_epoch")
    letter = world.letter(world.bob, "plan", [world.charlie])
    letter.by = Identity.generate()
    broken = letter.body() | {"blob": b64(sealed(5000))}
    refused(relay.ask(world.bob, "POST", "/messages/", broken), 403, "role")
    letter = world.letter(world.bob, "approve", [world.charlie])
    letter.by = Identity.generate()
    broken = letter.body() | {"blob": b64(sealed(5000))}
    refused(relay.ask(world.bob, "POST", "/messages/", broken), 422, "reader_not_a_member")
    letter.readers = [world.alice.uid]
    broken = letter.body() | {"blob": b64(sealed(5000))}
    refused(relay.ask(world.bob, "POST", "/messages/", broken), 422, "bad_envelope")
    letter.by = world.bob.identity
    broken = letter.body() | {"blob": b64(sealed(5000))}
    refused(relay.ask(world.bob, "POST", "/messages/", broken), 422, "blob_mismatch")
    assert relay.post(world.bob, letter).status_code == 201


def test_a_refused_message_leaves_nothing(relay: Relay, world: World) -> None:
    body = world.plan().body() | {"blob": b64(sealed(5000))}
    refused(relay.ask(world.alice, "POST", "/messages/", body), 422, "blob_mismatch")
    assert world.sql("SELECT COUNT(*) FROM ffl_message")[0][0] == 0
    assert world.sql("SELECT COUNT(*) FROM ffl_blob")[0][0] == 0
    assert world.last_position(world.bob) == 0


def test_500_readers(relay: Relay, world: World) -> None:
    """A broadcast to as many as a project may have fits into one body."""
    letter = world.plan(readers=[world.bob] * limits.RECIPIENTS)
    refused(relay.post(world.alice, letter), 422, "delivered_twice")
    letter = world.plan(readers=[world.bob] * (limits.RECIPIENTS + 1))
    assert relay.post(world.alice, letter).status_code == 400


def test_the_envelope_is_the_one_that_was_signed(relay: Relay, world: World) -> None:
    letter = world.plan()
    body = letter.body()
    raw = base64.b64decode(body["envelope"])
    changed = raw.replace(b'"part":0', b'"part":1')
    assert hashlib.sha256(changed).digest() != hashlib.sha256(raw).digest()
    answer = relay.ask(world.alice, "POST", "/messages/", body | {"envelope": b64(changed)})
    refused(answer, 422, "bad_envelope")
