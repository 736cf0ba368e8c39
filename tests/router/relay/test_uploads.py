"""Uploads: begin, pieces, complete, forget; quotas and space; and the message that names what was uploaded."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from friendlyfl.core import limits
from friendlyfl.router.relay.store import DirectoryStore, Incoming
from tests.router.relay.asking import Relay, refused
from tests.router.relay.world import Hospital, World, sealed


def wanted(blob: bytes, type: str = "state", **over: Any) -> dict[str, Any]:
    return {
        "length": len(blob),
        "sha256": hashlib.sha256(blob).hexdigest(),
        "message_type": type,
        "run": None,
    } | over


def begin(relay: Relay, site: Hospital, blob: bytes, **over: Any) -> str:
    answer = relay.ask(site, "POST", "/uploads/", wanted(blob, **over))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def patch(relay: Relay, site: Hospital, upload: str, piece: bytes, offset: int | str = 0, **more: Any) -> Any:
    headers = {"upload-offset": str(offset)}
    return relay.ask(site, "PATCH", f"/uploads/{upload}/", piece, headers=headers, **more)


def upload(relay: Relay, site: Hospital, blob: bytes) -> str:
    made = begin(relay, site, blob)
    assert patch(relay, site, made, blob).status_code == 204
    answer = relay.ask(site, "POST", f"/uploads/{made}/complete/")
    assert (answer.status_code, answer.json()["complete"]) == (200, True), answer.text
    return made


def big(world: World) -> bytes:
    return sealed(limits.INLINE_BLOB * 3)


def quarantined(world: World) -> list[Path]:
    return sorted(world.store.incoming.iterdir()) if world.store.incoming.is_dir() else []


def test_a_large_message_travels(relay: Relay, world: World) -> None:
    blob = big(world)
    run = world.add_run()
    letter = world.letter(world.alice, "state", [world.bob, world.dora], blob, run=run)
    body = letter.body(inline=False)
    refused(relay.ask(world.alice, "POST", "/messages/", body), 409, "blob_missing")
    begun = relay.ask(world.alice, "POST", "/uploads/", wanted(blob, run=run)).json()
    assert set(begun) == {"id", "chunk", "expires_at", "complete"}
    assert (begun["chunk"], begun["complete"]) == (limits.UPLOAD_CHUNK, False)
    answer = patch(relay, world.alice, begun["id"], blob)
    assert (answer.status_code, answer.headers["upload-offset"], answer.content) == (204, str(len(blob)), b"")
    refused(relay.ask(world.alice, "POST", "/messages/", body), 409, "blob_missing")
    done = relay.ask(world.alice, "POST", f"/uploads/{begun['id']}/complete/")
    assert (done.status_code, done.json()["complete"]) == (200, True)
    assert relay.ask(world.alice, "POST", f"/uploads/{begun['id']}/complete/").json()["complete"] is True
    assert relay.ask(world.alice, "POST", "/messages/", body).status_code == 201
    for reader in (world.bob, world.dora):
        (message,) = relay.inbox(reader).json()["messages"]
        assert message["blob"] is None
        payload = relay.ask(reader, "GET", f"/messages/{message['id']}/payload/")
        assert (payload.status_code, payload.content) == (200, blob)
    refused(relay.ask(world.charlie, "GET", f"/messages/{letter.id}/payload/"), 404, "not_found")


def test_pieces_and_where_they_belong(relay: Relay, world: World) -> None:
    blob = big(world)
    made = begin(relay, world.alice, blob)
    head = relay.ask(world.alice, "HEAD", f"/uploads/{made}/")
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("0", str(len(blob)))
    assert patch(relay, world.alice, made, blob[:1000]).status_code == 204
    assert relay.ask(world.alice, "HEAD", f"/uploads/{made}").headers["upload-offset"] == "1000"
    wrong = patch(relay, world.alice, made, blob[2000:3000], 2000)
    assert refused(wrong, 409, "wrong_offset")["offset"] == 1000
    assert wrong.headers["upload-offset"] == "1000"
    assert patch(relay, world.alice, made, blob[1000:5000], 1000).headers["upload-offset"] == "5000"
    refused(patch(relay, world.alice, made, blob[1000:5000], 1000), 409, "wrong_offset")
    refused(patch(relay, world.alice, made, blob, 5000), 413, "too_big")
    assert patch(relay, world.alice, made, blob[5000:], 5000).status_code == 204
    assert relay.ask(world.alice, "POST", f"/uploads/{made}/complete/").status_code == 200
    refused(patch(relay, world.alice, made, blob, 0), 409, "wrong_offset")


def test_offset_0_begins_anew(relay: Relay, world: World) -> None:
    blob = big(world)
    made = begin(relay, world.alice, blob)
    assert patch(relay, world.alice, made, os.urandom(70_000)).status_code == 204
    assert patch(relay, world.alice, made, blob).status_code == 204
    assert relay.ask(world.alice, "POST", f"/uploads/{made}/complete/").status_code == 200


def test_what_is_not_the_announced_blob_is_gone(relay: Relay, world: World) -> None:
    blob = big(world)
    made = begin(relay, world.alice, blob)
    patch(relay, world.alice, made, os.urandom(len(blob)))
    refused(relay.ask(world.alice, "POST", f"/uploads/{made}/complete/"), 422, "upload_mismatch")
    assert relay.ask(world.alice, "HEAD", f"/uploads/{made}/").status_code == 404
    short = begin(relay, world.alice, blob)
    patch(relay, world.alice, short, blob[:-1])
    refused(relay.ask(world.alice, "POST", f"/uploads/{short}/complete/"), 422, "upload_mismatch")
    assert quarantined(world) == []


def test_a_blob_held_from_this_sender_need_not_come_again(relay: Relay, world: World) -> None:
    blob = big(world)
    first = begin(relay, world.alice, blob)
    again = relay.ask(world.alice, "POST", "/uploads/", wanted(blob))
    assert (again.status_code, again.json()["id"], again.json()["complete"]) == (200, first, False)
    patch(relay, world.alice, first, blob)
    relay.ask(world.alice, "POST", f"/uploads/{first}/complete/")
    again = relay.ask(world.alice, "POST", "/uploads/", wanted(blob))
    assert (again.status_code, again.json()["id"], again.json()["complete"]) == (200, first, True)
    other = relay.ask(world.bob, "POST", "/uploads/", wanted(blob, "update"))
    assert (other.status_code, other.json()["complete"]) == (201, False), (
        "what others have sent is never told"
    )
    small = world.plan()
    relay.post(world.alice, small)
    sent = relay.ask(world.alice, "POST", "/uploads/", wanted(small.blob, "plan"))
    assert (sent.status_code, sent.json()["complete"]) == (200, True)


def test_an_upload_is_its_sites_own(relay: Relay, world: World) -> None:
    blob = big(world)
    made = begin(relay, world.alice, blob)
    for stranger in (world.bob, world.charlie):
        assert relay.ask(stranger, "HEAD", f"/uploads/{made}/").status_code == 404
        refused(patch(relay, stranger, made, blob), 404, "not_found")
        refused(relay.ask(stranger, "POST", f"/uploads/{made}/complete/"), 404, "not_found")
        refused(relay.ask(stranger, "DELETE", f"/uploads/{made}/"), 404, "not_found")
    patch(relay, world.alice, made, blob)
    assert relay.ask(world.alice, "DELETE", f"/uploads/{made}/").status_code == 204
    refused(relay.ask(world.alice, "DELETE", f"/uploads/{made}/"), 404, "not_found")
    assert quarantined(world) == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"length": 0}, 422, "odd_upload"),
        ({"length": -5}, 422, "odd_upload"),
        ({"length": True}, 400, "wrong_type"),
        ({"length": 1.5}, 400, "bad_json"),
        ({"length": limits.BLOB + 1}, 413, "too_big"),
        ({"length": limits.STATE_BYTES * 2}, 413, "too_big"),
        ({"message_type": "plan", "length": limits.TEXT_BYTES * 2}, 413, "too_big"),
        ({"message_type": "gossip"}, 422, "odd_upload"),
        ({"message_type": None}, 400, "wrong_type"),
        ({"sha256": "AB" * 32}, 422, "odd_upload"),
        ({"sha256": "../../etc"}, 422, "odd_upload"),
        ({"run": "first"}, 422, "odd_upload"),
        ({"run": 1}, 400, "wrong_type"),
        ({"site": "me"}, 400, "unknown_field"),
    ],
    ids=str,
)
def test_what_may_be_announced(
    relay: Relay, world: World, change: dict[str, Any], status: int, code: str
) -> None:
    refused(relay.ask(world.alice, "POST", "/uploads/", wanted(big(world)) | change), status, code)


def test_form_of_a_piece(relay: Relay, world: World) -> None:
    blob = big(world)
    made = begin(relay, world.alice, blob)
    for offset in ("", "x", "-1", "1e3", "9" * 20):
        refused(patch(relay, world.alice, made, blob, offset), 400, "bad_offset")
    json_type = {"upload-offset": "0", "content-type": "application/json"}
    refused(relay.ask(world.alice, "PATCH", f"/uploads/{made}/", blob, headers=json_type), 415, "media_type")
    other = hashlib.sha256(b"other").digest()
    refused(patch(relay, world.alice, made, blob, signed={"body_sha256": other}), 400, "body_changed")
    assert relay.ask(world.alice, "HEAD", f"/uploads/{made}/").headers["upload-offset"] == "0"
    assert patch(relay, world.alice, made, blob).status_code == 204


def test_two_writers_of_one_upload(relay: Relay, world: World) -> None:
    blob = big(world)
    made = begin(relay, world.alice, blob)
    held = world.store.receive(made, 0)
    try:
        assert refused(patch(relay, world.alice, made, blob), 409, "upload_busy")["retry_after"]
    finally:
        held.close()
    assert patch(relay, world.alice, made, blob).status_code == 204


def test_lost_bytes_are_asked_for_again(relay: Relay, world: World) -> None:
    blob = big(world)
    made = begin(relay, world.alice, blob)
    patch(relay, world.alice, made, blob[:9000])
    (world.store.incoming / made).unlink()
    assert refused(patch(relay, world.alice, made, blob[9000:], 9000), 409, "wrong_offset")["offset"] == 0
    assert patch(relay, world.alice, made, blob).status_code == 204


def test_quota(relay: Relay, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from friendlyfl.router.relay import uploads

    monkeypatch.setattr(uploads, "UNFINISHED", 2)
    begin(relay, world.alice, sealed(1000))
    made = begin(relay, world.alice, sealed(2000))
    refused(relay.ask(world.alice, "POST", "/uploads/", wanted(sealed(3000))), 413, "quota")
    begin(relay, world.bob, sealed(3000))
    relay.ask(world.alice, "DELETE", f"/uploads/{made}/")
    begin(relay, world.alice, sealed(3000))


def test_a_full_disk_takes_no_uploads_and_still_delivers(
    relay: Relay, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = big(world)
    made = begin(relay, world.alice, blob)
    monkeypatch.setattr(DirectoryStore, "free_space", lambda store: 100)
    refused(relay.ask(world.alice, "POST", "/uploads/", wanted(sealed(9000))), 507, "no_space")
    assert relay.post(world.alice, world.plan()).status_code == 201
    (message,) = relay.inbox(world.bob).json()["messages"]
    assert relay.inbox(world.bob, f"since=1&ack={message['position']}").status_code == 200

    def full(incoming: Incoming, piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(Incoming, "write", full)
    refused(patch(relay, world.alice, made, blob), 507, "no_space")


def test_a_broken_disk_is_503_and_no_content_in_the_log(
    relay: Relay, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    blob = big(world)
    made = begin(relay, world.alice, blob)

    def broken(incoming: Incoming, piece: bytes) -> None:
        raise OSError(errno.EIO, "a secret word")

    monkeypatch.setattr(Incoming, "write", broken)
    refused(patch(relay, world.alice, made, blob), 503, "database_busy")
    assert "OSError" in caplog.text and "secret" not in caplog.text


def test_a_blob_that_vanished_is_410(relay: Relay, world: World) -> None:
    blob = big(world)
    upload(relay, world.alice, blob)
    letter = world.letter(world.alice, "state", [world.bob], blob, run=world.add_run())
    relay.ask(world.alice, "POST", "/messages/", letter.body(inline=False))
    world.store.remove(hashlib.sha256(blob).hexdigest())
    refused(relay.ask(world.bob, "GET", f"/messages/{letter.id}/payload/"), 410, "payload_gone")


def test_a_crash_between_file_and_row_is_made_good(relay: Relay, world: World) -> None:
    """The rename lasted, the row that names it did not: completing again finds the bytes."""
    blob = big(world)
    made = begin(relay, world.alice, blob)
    patch(relay, world.alice, made, blob)
    world.store.keep(made, hashlib.sha256(blob).hexdigest())
    assert relay.ask(world.alice, "POST", f"/uploads/{made}/complete/").status_code == 200
    letter = world.letter(world.alice, "state", [world.bob], blob, run=world.add_run())
    assert relay.ask(world.alice, "POST", "/messages/", letter.body(inline=False)).status_code == 201
