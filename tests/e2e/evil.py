"""What somebody evil could do who administers the Routing Server, or who took a hospital's key to it.

Everything here goes around the programs under test: rows of the server's database, requests signed by hand, envelopes
sealed by hand.
"""

import hashlib
import http.client
import io
import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from friendlyfl.client.address import PREFIX
from friendlyfl.wire.keys import STANDING, Card, Identity, SignedCard, Subkey, check_card, make_card
from friendlyfl.wire.message import Context, Post, new_message_id
from friendlyfl.wire.requests import sign_request
from friendlyfl.wire.seal import Recipient, seal
from friendlyfl.wire.trust import SignedManifest
from tests.e2e.house import Hospital, House

# --- rows ---


@dataclass(frozen=True)
class Row:
    """A message as the Routing Server keeps it."""

    pk: int
    id: str
    envelope: bytes
    signature: bytes
    blob: bytes | None


def message(records: sqlite3.Connection, run: str, type_: str, sender: str, round_: int = 0) -> Row:
    found = records.execute(
        "SELECT m.id, m.digest, m.envelope, m.signature, b.data"
        " FROM ffl_message m JOIN ffl_site s ON s.id = m.sender_id"
        " LEFT JOIN ffl_blob b ON b.sha256 = m.blob_sha256"
        " WHERE m.run = ? AND m.type = ? AND s.uid = ? AND (m.round = ? OR ? = 0) ORDER BY m.id LIMIT 1",
        (run, type_, sender, round_, round_),
    ).fetchone()
    assert found, f"no {type_} of {sender}"
    return Row(*found)


def deliver_again(records: sqlite3.Connection, message_pk: int, site: str) -> int:
    """Let a message come to a reader a second time, at the end of its mailbox; returns the position."""
    [(pk, last)] = records.execute(
        "SELECT s.id, b.last FROM ffl_site s JOIN ffl_mailbox b ON b.site_id = s.id WHERE s.uid = ?", (site,)
    ).fetchall()
    changed = records.execute(
        "UPDATE ffl_delivery SET position = ?, acked_at = NULL WHERE message_id = ? AND site_id = ?",
        (last + 1, message_pk, pk),
    )
    assert changed.rowcount == 1
    records.execute("UPDATE ffl_mailbox SET last = ? WHERE site_id = ?", (last + 1, pk))
    return int(last) + 1


def false_card(identity: Identity, site: str) -> tuple[SignedCard, Card]:
    """A standing card in a hospital's name with somebody else's keys."""
    now = int(time.time())
    signed = make_card(
        identity, Subkey.generate(), site=site, use=STANDING, seq=1, not_before=now, not_after=now + 86400, prev=None
    )  # fmt: skip
    return signed, check_card(signed)


@contextmanager
def swapped_card(house: House, site: Hospital, signed: SignedCard, card: Card) -> Iterator[None]:
    """The Routing Server shows this card as the hospital's, until the end."""

    def swap(records: sqlite3.Connection, signed: SignedCard, card: Card) -> None:
        changed = records.execute(
            "UPDATE ffl_card SET raw = ?, signature = ?, sha256 = ?, kid = ?"
            " WHERE use = 'standing' AND site_id = (SELECT id FROM ffl_site WHERE uid = ?)",
            (signed.raw, signed.signature, signed.sha256, card.kid, site.uid),
        )
        assert changed.rowcount == 1

    with house.router_stopped() as records:
        swap(records, signed, card)
    try:
        yield
    finally:
        with house.records() as records:
            swap(records, site.signed_card, site.card)


@contextmanager
def swapped_identity(house: House, site: Hospital, identity: Identity) -> Iterator[None]:
    """The Routing Server knows the hospital by another key, until the end."""

    def swap(records: sqlite3.Connection, identity: Identity) -> None:
        changed = records.execute(
            "UPDATE ffl_site SET fingerprint = ?, public = ? WHERE uid = ?",
            (identity.fingerprint, identity.public.hex(), site.uid),
        )
        assert changed.rowcount == 1

    with house.router_stopped() as records:
        swap(records, identity)
    try:
        yield
    finally:
        with house.records() as records:
            swap(records, site.identity)


# --- requests ---


@dataclass(frozen=True)
class Asked:
    """The very bytes of a request, to be sent as often as one likes."""

    address: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def send(self) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=30)
        try:
            connection.request(self.method, self.path, self.body, self.headers)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(raw) if raw else {}


def signed(house: House, site: Hospital, method: str, path: str, body: Any = None) -> Asked:
    """A request signed with a hospital's own key, as its Controller would sign it."""
    raw = b"" if body is None else json.dumps(body).encode()
    headers = sign_request(
        site.identity,
        method=method,
        authority=urlsplit(house.address).netloc,
        path=PREFIX + path,
        query="",
        body_sha256=hashlib.sha256(raw).digest(),
        lease=site.lease,
        created=int(time.time()),
    )
    if raw:
        headers["content-type"] = "application/json"
    return Asked(house.address, method, PREFIX + path, headers, raw)


# --- envelopes ---


def letter(
    house: House,
    sender: Hospital,
    reader: Hospital,
    type_: str,
    content: bytes,
    *,
    identity: Identity | None = None,
    run: str | None = None,
    **place: int,
) -> tuple[Post, bytes]:
    """Post of the study in a hospital's name, sealed for another; signed with `identity`, else with its own."""
    [(project, epoch)] = house.marys.ask(
        "SELECT uid, epoch FROM controller_project WHERE name = ?", house.STUDY
    )
    [(manifest,)] = house.marys.ask(
        "SELECT m.signed FROM controller_manifest m JOIN controller_project p ON p.id = m.project_id"
        " WHERE p.uid = ? AND m.epoch = ?",
        *(project, epoch),
    )
    card = reader.card
    ctx = Context(
        msg=new_message_id(),
        type=type_,
        content="application/x-ffl1",
        project=project,
        epoch=epoch,
        manifest=SignedManifest.from_json(json.loads(manifest)).sha256,
        run=run,
        step=place.get("step", 0),
        round=place.get("round", 0),
        part=place.get("part", 0),
        sender=sender.uid,
        card=sender.signed_card.sha256,
        seq=10**6 + uuid.uuid4().int % 10**6,
    )
    blob = io.BytesIO()
    post = seal(
        io.BytesIO(content),
        len(content),
        ctx=ctx,
        recipients=[Recipient(reader.uid, card.kid, card.enc_public)],
        identity=identity or sender.identity,
        blob=blob,
    )
    house.forged.add(post.id)
    return post, blob.getvalue()
