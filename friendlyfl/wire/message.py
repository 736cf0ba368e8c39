"""Envelopes, deliveries and the table of message types: the meaning of post, without the means to open it.

The Routing Server reads these records, so this module has no numbers, no content keys and no sealing
(`seal`).
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from friendlyfl.core import limits
from friendlyfl.core.errors import WireError
from friendlyfl.wire import canonical, fields
from friendlyfl.wire.canonical import b64
from friendlyfl.wire.keys import SIGNATURE, STANDING, WRAP, verify
from friendlyfl.wire.trust import COORDINATOR, PARTICIPANT

SUITE = "FFL1-XWING-AES256GCM"
TAG = 16  # bytes that AES-GCM adds to each chunk
LENGTH_PREFIX = 8
_ENVELOPE_KEYS = ("v", "suite", "ctx", "chunk", "ct_len", "ct_sha256", "kc")
_CONTEXT_KEYS = (
    *("msg", "type", "content", "project", "epoch", "manifest", "run", "step", "round", "part"),
    *("sender", "card", "seq"),
)
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True)
class MessageType:
    """Who may send a type, which of the reader's keys closes it, and where it may stand."""

    name: str
    senders: frozenset[str]
    key: Literal["standing", "run", "either"]
    in_run: bool | None  # must name a run, must not, or (None) either
    counts_parts: bool  # several in one slot, told apart by `part`
    bound: int  # bytes of content, unless the plan says less

    def card_uses(self, run: str | None) -> tuple[str, ...]:
        """The uses of the reader's card for which this post may be sealed."""
        uses = () if run is None or self.key == "standing" else (run,)
        return uses if self.key == "run" else (*uses, STANDING)


def _types() -> Mapping[str, MessageType]:
    coordinator, participant = frozenset({COORDINATOR}), frozenset({PARTICIPANT})
    rows = (
        # name, senders, key, in_run, counts_parts, bound
        ("plan", coordinator, "standing", False, True, limits.TEXT_BYTES),
        ("approve", participant, "standing", False, True, limits.TEXT_BYTES),
        ("decline", participant, "standing", False, True, limits.TEXT_BYTES),
        ("leave", participant, "standing", False, True, limits.TEXT_BYTES),
        ("run-invite", coordinator, "standing", True, False, limits.TEXT_BYTES),
        ("ready", participant, "run", True, False, limits.TEXT_BYTES),
        ("state", coordinator, "run", True, False, limits.STATE_BYTES),
        ("update", participant, "run", True, False, limits.STATE_BYTES),
        ("result", coordinator, "run", True, False, limits.STATE_BYTES),
        ("stop", coordinator, "either", True, False, limits.TEXT_BYTES),  # standing until the reader is ready
        ("progress", participant, "run", True, True, limits.TEXT_BYTES),
        ("log", participant, "run", True, True, limits.TEXT_BYTES),
        ("trouble", participant, "run", True, True, limits.TEXT_BYTES),
        ("receipt", coordinator | participant, "either", None, True, limits.TEXT_BYTES),
    )
    return MappingProxyType({row[0]: MessageType(*row) for row in rows})


TYPES: Mapping[str, MessageType] = _types()


@dataclass(frozen=True)
class Context:
    """The place a message belongs to.

    It goes into the signature, the wrap and the keys, so that post fits one place only.
    """

    msg: str
    type: str
    content: str
    project: str
    epoch: int
    manifest: str
    run: str | None
    step: int
    round: int
    part: int
    sender: str
    card: str
    seq: int

    def to_bytes(self) -> bytes:
        return canonical.dumps(vars(self))


@dataclass(frozen=True)
class Envelope:
    v: int
    suite: str
    ctx: Context
    chunk: int
    ct_len: int
    ct_sha256: str
    kc: str


@dataclass(frozen=True)
class Delivery:
    """The content key, closed for one reader."""

    site: str
    kid: str
    wrap: bytes


@dataclass(frozen=True)
class SignedDelivery:
    raw: bytes
    signature: bytes


@dataclass(frozen=True)
class Post:
    """Finished bytes of one message, without its blob. A retry sends these; nothing is sealed twice."""

    envelope: bytes
    signature: bytes
    deliveries: tuple[SignedDelivery, ...]

    @property
    def id(self) -> str:
        return envelope_digest(self.envelope)

    def to_json(self) -> dict[str, Any]:
        return {
            "envelope": b64(self.envelope),
            "signature": b64(self.signature),
            "deliveries": [{"delivery": b64(d.raw), "signature": b64(d.signature)} for d in self.deliveries],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Post":
        """Strict about sizes and keys; says nothing of signatures."""
        found = fields.record(value, ("envelope", "signature", "deliveries"), "post")
        listed = found["deliveries"]
        if not isinstance(listed, list) or not 0 < len(listed) <= limits.RECIPIENTS:
            fields.refuse("deliveries", "post", f"it does not go to 1 to {limits.RECIPIENTS} hospitals")
        entries = [fields.record(item, ("delivery", "signature"), "delivery") for item in listed]
        return cls(
            fields.octets(found, "envelope", "post", most=limits.ENVELOPE),
            fields.octets(found, "signature", "post", exactly=SIGNATURE),
            tuple(
                SignedDelivery(
                    fields.octets(entry, "delivery", "delivery", most=4 * limits.KIB),
                    fields.octets(entry, "signature", "delivery", exactly=SIGNATURE),
                )
                for entry in entries
            ),
        )


def new_message_id() -> str:
    """128 random bits in hex."""
    return os.urandom(16).hex()


def slot_of(ctx: Context) -> str:
    """The place in which a sender may say one thing only."""
    return "/".join(
        (ctx.project, ctx.run or "-", str(ctx.step), str(ctx.round), ctx.type, str(ctx.part), ctx.sender)
    )


def envelope_bytes(envelope: Envelope) -> bytes:
    return canonical.dumps({**vars(envelope), "ctx": vars(envelope.ctx)})


def envelope_digest(raw: bytes) -> str:
    """The message's id at the Routing Server and in slots."""
    return hashlib.sha256(raw).hexdigest()


def parse_envelope(raw: bytes) -> Envelope:
    """The envelope of canonical bytes; says nothing of the signature."""
    what = "envelope"
    found = fields.record(canonical.loads(raw, limit=limits.ENVELOPE), _ENVELOPE_KEYS, what)
    if type(found["v"]) is not int or found["v"] != 1:
        fields.refuse("envelope_version", what, "it has a version that this FriendlyFL cannot read")
    if found["suite"] != SUITE:
        fields.refuse("envelope_suite", what, "it is closed in a way that this FriendlyFL does not accept")
    ctx = _context(found["ctx"])
    if type(found["chunk"]) is not int or found["chunk"] != limits.BLOB_CHUNK:
        fields.refuse("envelope_chunk", what, f"its pieces are not {limits.BLOB_CHUNK} bytes long")
    ct_len = fields.integer(found, "ct_len", what, least=sealed_length(0), most=limits.BLOB)
    if sealed_length(plain_length(ct_len) - LENGTH_PREFIX) != ct_len:
        fields.refuse("envelope_length", what, "no sealed content has the length that it names")
    return Envelope(
        1,
        SUITE,
        ctx,
        limits.BLOB_CHUNK,
        ct_len,
        fields.hexadecimal(found, "ct_sha256", what, octets=32),
        fields.hexadecimal(found, "kc", what, octets=32),
    )


def _context(value: object) -> Context:
    what = "envelope"
    found = fields.record(value, _CONTEXT_KEYS, what)
    kind = TYPES.get(found["type"]) if isinstance(found["type"], str) else None
    if kind is None:
        fields.refuse("message_type", what, "it is of a type that this version does not know")
    media = fields.text(found, "content", what, longest=limits.NAME)
    if not _MEDIA_TYPE.fullmatch(media):
        fields.refuse("media_type", what, "its media type is out of form")
    run = None if found["run"] is None else fields.uid(found, "run", what)
    ctx = Context(
        msg=fields.hexadecimal(found, "msg", what, octets=16),
        type=kind.name,
        content=media,
        project=fields.uid(found, "project", what),
        epoch=fields.integer(found, "epoch", what, least=1, most=fields.COUNT),
        manifest=fields.hexadecimal(found, "manifest", what, octets=32),
        run=run,
        step=fields.integer(found, "step", what, most=fields.COUNT),
        round=fields.integer(found, "round", what, most=fields.COUNT),
        part=fields.integer(found, "part", what, most=fields.COUNT),
        sender=fields.uid(found, "sender", what),
        card=fields.hexadecimal(found, "card", what, octets=32),
        seq=fields.integer(found, "seq", what),
    )
    if kind.in_run is not None and kind.in_run != (run is not None):
        fields.refuse(
            "message_run",
            what,
            "post of its type belongs " + ("to a run" if kind.in_run else "outside a run"),
        )
    if run is None and (ctx.step or ctx.round):
        fields.refuse("message_place", what, "it names a step or a round without a run")
    if ctx.part and not kind.counts_parts:
        fields.refuse("message_part", what, "post of its type has no parts")
    return ctx


def check_context(ctx: Context) -> None:
    """Raise WireError for a context that no reader would accept; for senders, before they seal."""
    _context(vars(ctx))


def parse_delivery(raw: bytes) -> Delivery:
    """The delivery of canonical bytes; says nothing of the signature."""
    what = "delivery"
    found = fields.record(canonical.loads(raw, limit=4 * limits.KIB), ("site", "kid", "wrap"), what)
    return Delivery(
        fields.uid(found, "site", what),
        fields.hexadecimal(found, "kid", what, octets=16),
        fields.octets(found, "wrap", what, exactly=WRAP),
    )


def delivery_bytes(delivery: Delivery) -> bytes:
    return canonical.dumps({"site": delivery.site, "kid": delivery.kid, "wrap": b64(delivery.wrap)})


def signed_delivery(envelope_raw: bytes, delivery_raw: bytes) -> bytes:
    """What a delivery's signature covers: it cannot be put under another envelope."""
    return hashlib.sha256(envelope_raw).digest() + delivery_raw


def verify_envelope(public: bytes, raw: bytes, signature: bytes) -> None:
    """Pass, or raise WireError."""
    if len(raw) > limits.ENVELOPE:
        fields.refuse("envelope_size", "envelope", f"it is larger than {limits.ENVELOPE} bytes")
    verify(public, "env", raw, signature)


def verify_delivery(public: bytes, envelope_raw: bytes, delivery_raw: bytes, signature: bytes) -> None:
    """Pass, or raise WireError."""
    verify(public, "delivery", signed_delivery(envelope_raw, delivery_raw), signature)


def check_place(envelope: Envelope, *, project: str, epoch: int, manifest: str, role: str) -> None:
    """Step 3 of unsealing: this project, epoch and manifest, and a type that the sender's role may send."""
    ctx = envelope.ctx
    if ctx.project != project:
        raise WireError(
            "other_project",
            "This post belongs to another project and was thrown away. Nothing needs to be done here.",
        )
    if ctx.epoch != epoch or ctx.manifest != manifest:
        raise WireError(
            "other_epoch",
            "This post was made under another list of members than the one held here, so it was not used. "
            "If it happens again, telephone the sender: the Routing Server may show two hospitals "
            "different lists.",
        )
    if role not in TYPES[ctx.type].senders:
        raise WireError(
            "role",
            "This post says something that the sender's role in the project may not say. It was thrown "
            "away; tell the coordinator.",
        )


def padded_length(length: int) -> int:
    """Padmé: lengths in few, rounded steps, at most 12 % more, so that a size says little about a content."""
    exponent = length.bit_length() - 1
    spare = exponent - exponent.bit_length()
    mask = (1 << max(spare, 0)) - 1
    return (length + mask) & ~mask


def plain_length(ct_len: int) -> int:
    """The padded length behind `ct_len` bytes of blob."""
    return ct_len - TAG * -(-ct_len // (limits.BLOB_CHUNK + TAG))


def sealed_length(length: int) -> int:
    """Bytes of the blob for `length` bytes of content."""
    plain = padded_length(LENGTH_PREFIX + length)
    return plain + TAG * -(-plain // limits.BLOB_CHUNK)
