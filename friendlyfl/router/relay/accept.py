"""Accepting one message, in the order of the design: whoever may not know learns nothing from a later check.

    signature and lease (admission); size; strict parse; sender is the asker; (a repeat ends well here); project, epoch
    and manifest are the current ones or those that the run is pinned to; the type is allowed for the role; the
    deliveries go to members of that epoch; the envelope's signature; the slot is free; the blob is here

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
from friendlyfl.router.relay.errors import Refusal, not_found
from friendlyfl.router.relay.transaction import Job, Transaction
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
        self.repeats = False  # set by `mark_repeats`
        self._project = 0
        self._readers: list[tuple[int, str]] = []

    def check(self, tx: Transaction) -> None:
        super().check(tx)
        ctx = self.parsed.envelope.ctx
        if ctx.sender != self.asker.uid:
            raise Refusal(403, "other_sender", "A site posts in its own name only.", who=SENDER)
        if self.repeats:
            return
        members = self._place(tx, ctx)
        self._check_members(ctx, members)
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
        if self.repeats:
            return 200
        trouble = self._blob_trouble(tx)
        message = None if trouble is not None else self._write_message(tx)
        if message is None:
            self._refuse_taken_slot(tx)
            if trouble is not None:
                raise trouble
            return 200  # its twin came in the same group
        parsed = self.parsed
        if parsed.blob is not None:
            keep_blob(tx, parsed.envelope.ct_sha256, len(parsed.blob), parsed.blob, int(time.time()))
        for pk, uid in self._readers:
            delivery = parsed.deliveries[uid]
            tx.deliver(message, pk, uid, delivery.raw, delivery.signature)
        return 201

    def _place(self, tx: Transaction, ctx: Context) -> dict[str, tuple[int, str, bool]]:
        """Who of sender and readers is a member of the message's epoch: row, role, and whether it still is one.

        The epoch has to be the current one, or the one that the message's run is pinned to.
        """
        rows = tx.all(
            "SELECT p.id, p.epoch, p.state, m.sha256,"
            " (SELECT r.epoch FROM ffl_run r WHERE r.uid = ? AND r.project_id = p.id),"
            " s.uid, s.id, mem.role, still.id"
            " FROM ffl_project p"
            " JOIN ffl_participant me ON me.project_id = p.id AND me.site_id = ? AND me.out_at IS NULL"
            " LEFT JOIN ffl_manifest m ON m.project_id = p.id AND m.epoch = ?"
            " LEFT JOIN ffl_member mem ON mem.manifest_id = m.id"
            "  AND mem.site_id IN (SELECT id FROM ffl_site WHERE uid IN (?*))"
            " LEFT JOIN ffl_site s ON s.id = mem.site_id"
            " LEFT JOIN ffl_participant still"
            "  ON still.project_id = p.id AND still.site_id = mem.site_id AND still.out_at IS NULL"
            " WHERE p.uid = ?",
            *(
                ctx.run or "",
                self.asker.pk,
                ctx.epoch,
                [self.asker.uid, *self.parsed.deliveries],
                ctx.project,
            ),
        )
        if not rows:
            raise not_found()
        self._project, current, state, sha256, pinned = rows[0][:5]
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
        return {row[5]: (int(row[6]), row[7], row[8] is not None) for row in rows if row[5] is not None}

    def _check_members(self, ctx: Context, members: dict[str, tuple[int, str, bool]]) -> None:
        """Role of the sender and membership of the readers.

        A reader that has left since is still a member of that epoch: no fault of the sender's, who sealed before it
        knew. It gets nothing any more.
        """
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
        self._readers = sorted((members[uid][0], uid) for uid in self.parsed.deliveries if members[uid][2])
        if not self._readers:
            raise Refusal(
                422, "readers_left", "All readers of this message have left the project.", who=SENDER
            )

    def _refuse_taken_slot(self, tx: Transaction) -> None:
        """Refuse if something else was said in this place, and leave a line for the coordinator."""
        held = tx.all(
            "SELECT digest, slot FROM ffl_message WHERE slot = ? OR digest = ?",
            self.parsed.slot,
            self.parsed.id,
        )
        if all(tuple(row) == (self.parsed.id, self.parsed.slot) for row in held):
            return
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

    def _blob_trouble(self, tx: Transaction) -> Refusal | None:
        """What is the matter with the blob; it is spoken of only if the slot is free."""
        envelope = self.parsed.envelope
        if not self.parsed.fits:
            return Refusal(
                422,
                "blob_mismatch",
                "The blob that came along is not the one that the envelope names.",
                who=SENDER,
            )
        if self.parsed.blob is not None:
            return None
        uploaded = tx.one(
            "SELECT u.id FROM ffl_upload u JOIN ffl_blob b ON b.sha256 = u.sha256 AND b.gone_at IS NULL"
            " WHERE u.site_id = ? AND u.sha256 = ? AND u.length = ? AND u.completed_at IS NOT NULL"
            " AND u.expires_at > ? FOR UPDATE",
            *(self.asker.pk, envelope.ct_sha256, envelope.ct_len, int(time.time())),
        )
        if uploaded is not None:
            return None
        return Refusal(
            409, "blob_missing", "The message's blob is not here yet; upload it first.", who=SENDER
        )

    def _write_message(self, tx: Transaction) -> int | None:
        """The new row, or None if its slot or its digest is taken."""
        parsed, ctx = self.parsed, self.parsed.envelope.ctx
        row = tx.one(
            "INSERT INTO ffl_message (digest, slot, project_id, sender_id, type, run, step, round, part, epoch,"
            " envelope, signature, blob_sha256, blob_length, posted_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
            *(parsed.id, parsed.slot, self._project, self.asker.pk),
            *(ctx.type, ctx.run or "", ctx.step, ctx.round, ctx.part, ctx.epoch),
            *(parsed.post.envelope, parsed.post.signature),
            *(parsed.envelope.ct_sha256, parsed.envelope.ct_len, int(time.time())),
        )
        return None if row is None else int(row[0])


def mark_repeats(tx: Transaction, jobs: list[Job]) -> None:
    """Find out for a whole group which messages were accepted before, from this very sender for these very readers.

    They are answered 200 before anything else is asked: an outbox that lost our 201 sends its bytes again, and by then
    the epoch may be another or a reader gone. Told `other_epoch`, it would seal anew and find its own slot taken.
    """
    posts = [job for job in jobs if isinstance(job, Accept)]
    if not posts:
        return
    known = {
        (digest, slot, int(sender))
        for digest, slot, sender in tx.all(
            "SELECT digest, slot, sender_id FROM ffl_message WHERE digest IN (?*)",
            [job.parsed.id for job in posts],
        )
    }
    for job in posts:
        job.repeats = (job.parsed.id, job.parsed.slot, job.asker.pk) in known


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
