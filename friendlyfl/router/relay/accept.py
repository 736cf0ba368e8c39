"""Accepting one message, in the order of the design: whoever may not know learns nothing from a later check.

    signature and lease (admission); size; strict parse; sender is the asker; project, epoch and manifest are the
    current ones or those that the run is pinned to; the type is allowed for the role; the deliveries go to members of
    that epoch; the envelope's signature; the slot is free; the blob is here

What costs time and needs no database (parsing, hashing, the envelope's signature) is done before the transaction; its
verdict is kept and spoken at its own place in the order. Rows, positions and a small blob are one transaction.

The Routing Server decides nothing about a run: a message for a run that is over, or that it has no record of, is
passed on like any other, since the sites judge it. It only keeps strangers out and one voice to a slot.

What does not live here: opening anything (no router code can), uploads, how positions are locked (commits).
"""

import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from friendlyfl.core import limits
from friendlyfl.core.errors import WireError
from friendlyfl.router.relay.admission import Admitted, Credential
from friendlyfl.router.relay.body import read_json
from friendlyfl.router.relay.commits import Transaction
from friendlyfl.router.relay.errors import Refusal, not_found
from friendlyfl.wire.canonical import unb64
from friendlyfl.wire.message import (
    TYPES,
    Context,
    Envelope,
    Post,
    SignedDelivery,
    parse_delivery,
    parse_envelope,
    sealed_length,
    slot_of,
    verify_envelope,
)

SENDER = "the sender"
FIELDS = ("envelope", "signature", "deliveries")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A message whose form is right, with the verdicts that are spoken later."""

    id: str
    slot: str  # the place in which this sender may say one thing only to these readers
    post: Post
    envelope: Envelope
    deliveries: Mapping[str, SignedDelivery]
    blob: bytes | None
    twice: bool  # a site stands in it twice
    signed: bool  # the asker's identity signed the envelope
    fits: bool  # the blob that came along is the one that the envelope names


def parse(raw: bytes, public: bytes) -> Parsed:
    """Size and form of a posted message. Refusals of form are 400, of size 413, a lack of readers 422."""
    body = read_json(raw)
    blob = _inline_blob(body.pop("blob", None))
    if not body.get("deliveries") and set(body) <= set(FIELDS):
        raise Refusal(
            422, "no_deliveries", "A message goes to at least one member, sealed for it.", who=SENDER
        )
    if _decoded_size(body.get("envelope")) > limits.ENVELOPE:
        raise Refusal(413, "too_big", f"An envelope has at most {limits.ENVELOPE} bytes.", who=SENDER)
    post = Post.from_json(body)
    envelope = parse_envelope(post.envelope)
    if envelope.ct_len > sealed_length(TYPES[envelope.ctx.type].bound):
        raise Refusal(413, "too_big", "The content is larger than a message of this type may be.", who=SENDER)
    deliveries = {parse_delivery(delivery.raw).site: delivery for delivery in post.deliveries}
    readers = hashlib.sha256(",".join(sorted(deliveries)).encode()).hexdigest()
    return Parsed(
        id=post.id,
        slot=f"{slot_of(envelope.ctx)}/{readers}",
        post=post,
        envelope=envelope,
        deliveries=deliveries,
        blob=blob,
        twice=len(deliveries) < len(post.deliveries),
        signed=_is_signed(public, post),
        fits=blob is None
        or (len(blob) == envelope.ct_len and hashlib.sha256(blob).hexdigest() == envelope.ct_sha256),
    )


class Accept(Admitted):
    """The transaction of one message. Its answer is the status: 201, or 200 for a repeat."""

    def __init__(self, credential: Credential, parsed: Parsed) -> None:
        super().__init__(credential)
        self.parsed = parsed
        self._project = 0
        self._readers: list[tuple[int, str]] = []

    def check(self, tx: Transaction) -> None:
        super().check(tx)
        ctx = self.parsed.envelope.ctx
        if ctx.sender != self.asker.uid:
            raise Refusal(403, "other_sender", "A site posts in its own name only.", who=SENDER)
        manifest = self._place(tx, ctx)
        self._check_members(tx, ctx, manifest)
        if not self.parsed.signed:
            raise Refusal(
                422,
                "bad_envelope",
                "The envelope is not signed by the key that this site is known by.",
                who=SENDER,
            )

    def mailboxes(self) -> Sequence[int]:
        return [pk for pk, _ in self._readers]

    def apply(self, tx: Transaction) -> int:
        held = tx.one(
            "SELECT digest, slot FROM ffl_message WHERE slot = ? OR digest = ? ORDER BY slot <> ? LIMIT 1",
            *(self.parsed.slot, self.parsed.id, self.parsed.slot),
        )
        if held is not None:
            return self._repeat(tx, str(held[0]), str(held[1]))
        self._keep_blob(tx)
        self._write(tx)
        return 201

    def _place(self, tx: Transaction, ctx: Context) -> int:
        """The manifest that the message was made under, if a member may still post under it."""
        found = tx.one(
            "SELECT p.id, p.epoch, p.state, m.id, m.sha256,"
            " (SELECT r.epoch FROM ffl_run r WHERE r.uid = ? AND r.project_id = p.id)"
            " FROM ffl_project p"
            " JOIN ffl_participant pt ON pt.project_id = p.id AND pt.site_id = ? AND pt.out_at IS NULL"
            " LEFT JOIN ffl_manifest m ON m.project_id = p.id AND m.epoch = ?"
            " WHERE p.uid = ?",
            ctx.run or "",
            self.asker.pk,
            ctx.epoch,
            ctx.project,
        )
        if found is None:
            raise not_found()
        self._project, current, state, manifest, sha256, pinned = found
        if state == "archived":
            raise Refusal(
                409, "project_archived", "This project is archived; nothing is posted in it any more."
            )
        if ctx.epoch not in (current, pinned) or sha256 != ctx.manifest:
            raise Refusal(
                409,
                "other_epoch",
                "The message was made under a list of members that is not the current one; fetch it and seal again.",
                who=SENDER,
                extra={"epoch": current},
            )
        return int(manifest)

    def _check_members(self, tx: Transaction, ctx: Context, manifest: int) -> None:
        """Role of the sender, membership of the readers, all in the epoch of the message.

        A reader that has left since is still a member of that epoch: no fault of the sender's, who sealed before it
        knew. It gets nothing any more.
        """
        members = self._members(tx, manifest, [self.asker.uid, *self.parsed.deliveries])
        if self.asker.uid not in members:
            raise Refusal(
                403, "not_a_member", "This site joined after the run had begun; it takes part in the next."
            )
        if members[self.asker.uid][1] not in TYPES[ctx.type].senders:
            raise Refusal(
                403, "role", "This site's role in the project may not send messages of this type.", who=SENDER
            )
        if self.parsed.twice:
            raise Refusal(422, "delivered_twice", "A message goes to each of its readers once.", who=SENDER)
        if any(site not in members for site in self.parsed.deliveries):
            raise Refusal(
                422, "reader_not_a_member", "A reader of this message is not in the project.", who=SENDER
            )
        self._readers = [(members[uid][0], uid) for uid in self.parsed.deliveries if members[uid][2]]
        if not self._readers:
            raise Refusal(
                422, "readers_left", "All readers of this message have left the project.", who=SENDER
            )

    def _members(self, tx: Transaction, manifest: int, uids: list[str]) -> dict[str, tuple[int, str, bool]]:
        rows = tx.all(
            "SELECT s.uid, s.id, m.role, p.id FROM ffl_member m JOIN ffl_site s ON s.id = m.site_id"
            " LEFT JOIN ffl_participant p ON p.project_id = ? AND p.site_id = m.site_id AND p.out_at IS NULL"
            " WHERE m.manifest_id = ? AND s.uid IN (?*)",
            *(self._project, manifest, uids),
        )
        return {str(uid): (int(pk), str(role), present is not None) for uid, pk, role, present in rows}

    def _repeat(self, tx: Transaction, digest: str, slot: str) -> int:
        if digest == self.parsed.id and slot == self.parsed.slot:
            return 200
        ctx = self.parsed.envelope.ctx
        tx.run(
            "INSERT INTO ffl_audit (uid, at, actor, action, object, project, address, outcome)"
            " SELECT ?, ?, ?, ?, ?, ?, '', 'refused'"
            " WHERE NOT EXISTS (SELECT 1 FROM ffl_audit WHERE project = ? AND action = ? AND object = ?)",
            *(str(uuid.uuid4()), tx.engine.time(datetime.now(UTC)), f"site:{self.asker.uid}"),
            *("message.slot_taken", f"message:{self.parsed.id}", ctx.project),
            *(ctx.project, "message.slot_taken", f"message:{self.parsed.id}"),
        )
        raise Refusal(
            409,
            "slot_taken",
            "This site has already said something else in this place; the first word stands. Its Controller may have"
            " been restored from an old copy, or run twice. The coordinator sees this in the project's audit.",
            who="the hospital's site-admin",
        )

    def _keep_blob(self, tx: Transaction) -> None:
        envelope, blob, now = self.parsed.envelope, self.parsed.blob, int(time.time())
        if not self.parsed.fits:
            raise Refusal(
                422,
                "blob_mismatch",
                "The blob that came along is not the one that the envelope names.",
                who=SENDER,
            )
        if blob is None:
            uploaded = tx.one(
                "SELECT u.id FROM ffl_upload u JOIN ffl_blob b ON b.sha256 = u.sha256 AND b.gone_at IS NULL"
                " WHERE u.site_id = ? AND u.sha256 = ? AND u.length = ? AND u.completed_at IS NOT NULL"
                " AND u.expires_at > ? FOR UPDATE",
                *(self.asker.pk, envelope.ct_sha256, envelope.ct_len, now),
            )
            if uploaded is None:
                raise Refusal(
                    409, "blob_missing", "The message's blob is not here yet; upload it first.", who=SENDER
                )
            return
        keep_blob(tx, envelope.ct_sha256, len(blob), blob, now)

    def _write(self, tx: Transaction) -> None:
        parsed, ctx = self.parsed, self.parsed.envelope.ctx
        row = tx.one(
            "INSERT INTO ffl_message (digest, slot, project_id, sender_id, type, run, step, round, part, epoch,"
            " envelope, signature, blob_sha256, blob_length, posted_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            *(parsed.id, parsed.slot, self._project, self.asker.pk),
            *(ctx.type, ctx.run or "", ctx.step, ctx.round, ctx.part, ctx.epoch),
            *(parsed.post.envelope, parsed.post.signature),
            *(parsed.envelope.ct_sha256, parsed.envelope.ct_len, int(time.time())),
        )
        assert row is not None  # RETURNING gives the row that was written
        tx.many(
            "INSERT INTO ffl_delivery (message_id, site_id, position, delivery, signature)"
            " VALUES (?, ?, ?, ?, ?)",
            [
                (
                    row[0],
                    pk,
                    tx.next_position(pk, uid),
                    parsed.deliveries[uid].raw,
                    parsed.deliveries[uid].signature,
                )
                for pk, uid in sorted(self._readers)
            ],
        )


def keep_blob(tx: Transaction, sha256: str, length: int, data: bytes | None, now: int) -> None:
    """Note that these bytes are here: `data` inline, or None when they lie in the store."""
    tx.run(
        "INSERT INTO ffl_blob (sha256, length, data, stored_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (sha256) DO UPDATE SET data = excluded.data, stored_at = excluded.stored_at, gone_at = NULL"
        " WHERE ffl_blob.gone_at IS NOT NULL",
        *(sha256, length, data, now),
    )


def _inline_blob(text: Any) -> bytes | None:
    if text is None:
        return None
    if _decoded_size(text) > limits.INLINE_BLOB:
        raise Refusal(
            413, "too_big", f"A blob of more than {limits.INLINE_BLOB} bytes is uploaded first.", who=SENDER
        )
    return unb64(text)


def _decoded_size(text: Any) -> int:
    """How many bytes this base64 stands for, without decoding it."""
    return len(text) * 3 // 4 - text[-2:].count("=") if isinstance(text, str) else 0


def _is_signed(public: bytes, post: Post) -> bool:
    try:
        verify_envelope(public, post.envelope, post.signature)
    except WireError:
        return False
    return True
