"""The only place where content is sealed and opened. Memory stays constant, whatever the size.

Steps 1-2 of unsealing are `open_envelope`, steps 7-11 `unseal`. Between them the inbox decides with `message`
and `trust` (place, role, slot, card); after them it renames, syncs and records. Content read from `out`
before `unseal` has returned is not content.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from friendlyfl.core import limits
from friendlyfl.core.errors import BrokenError, UsageError, WireError
from friendlyfl.wire.canonical import label
from friendlyfl.wire.keys import Identity, Subkey, key_id, wrap_key
from friendlyfl.wire.message import (
    LENGTH_PREFIX,
    SUITE,
    TAG,
    TYPES,
    Context,
    Delivery,
    Envelope,
    Post,
    SignedDelivery,
    check_context,
    check_place,
    delivery_bytes,
    envelope_bytes,
    padded_length,
    parse_delivery,
    parse_envelope,
    plain_length,
    sealed_length,
    signed_delivery,
    verify_delivery,
    verify_envelope,
)

__all__ = ["Incoming", "Recipient", "check_place", "open_envelope", "seal", "unseal"]

_CHUNK = limits.BLOB_CHUNK
_ZEROS = bytes(_CHUNK)


@dataclass(frozen=True)
class Recipient:
    """One reader: its site, and the subkey of its card for which the content key is closed."""

    site: str
    kid: str
    public: bytes


@dataclass(frozen=True)
class Incoming:
    """Post as the Routing Server handed it over.

    `sender` is the server's word and is checked against the envelope.
    """

    sender: str
    envelope: bytes
    signature: bytes
    delivery: bytes
    delivery_signature: bytes


@dataclass(frozen=True)
class _Secrets:
    payload: bytes
    commitment: bytes


def _context_hash(ctx: Context) -> bytes:
    return hashlib.sha256(label("ctx") + ctx.to_bytes()).digest()


def _secrets(cek: bytes, ctxh: bytes) -> _Secrets:
    def expand(what: str) -> bytes:
        return HKDFExpand(SHA256(), 32, label(what) + ctxh).derive(cek)

    return _Secrets(expand("payload"), expand("commit"))


def _wrap_info(ctxh: bytes, site: str, kid: str) -> bytes:
    return label("wrap") + ctxh + site.encode("ascii") + b"\0" + kid.encode("ascii")


def _nonce(index: int, last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes([last])


def _pieces(plain: int) -> Iterator[tuple[int, int, bool]]:
    """Index, plain size and last flag of each chunk; there is always at least one."""
    count = -(-plain // _CHUNK)
    for index in range(count):
        yield index, min(_CHUNK, plain - index * _CHUNK), index == count - 1


def seal(
    source: BinaryIO,
    length: int,
    *,
    ctx: Context,
    recipients: Sequence[Recipient],
    identity: Identity,
    blob: BinaryIO,
    bound: int | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> Post:
    """Seal `length` bytes of `source` for `recipients`: the closed bytes into `blob`, the rest as the answer.

    `bound` is the plan's bound for this type, if it is another than the type's own.
    """
    kind = TYPES.get(ctx.type)
    if kind is None:
        raise UsageError("message_type", "There is no such type of message.")
    _check_recipients(recipients)
    try:
        check_context(ctx)
    except WireError as error:
        raise UsageError(error.code, f"This message cannot be sent as it was made. {error.message}") from None
    allowed = kind.bound if bound is None else bound
    if not 0 <= length <= allowed or sealed_length(length) > limits.BLOB:
        raise UsageError(
            "content_size",
            f"This is larger than the {allowed} bytes that the plan allows for it. Send less, or raise the "
            "plan's bound.",
        )
    ctxh, cek = _context_hash(ctx), random(32)
    secrets = _secrets(cek, ctxh)
    ct_len, ct_sha256 = _write_blob(source, length, secrets.payload, blob)
    envelope = envelope_bytes(Envelope(1, SUITE, ctx, _CHUNK, ct_len, ct_sha256, secrets.commitment.hex()))
    return Post(
        envelope, identity.sign("env", envelope), _deliveries(envelope, ctxh, cek, recipients, identity)
    )


def _check_recipients(recipients: Sequence[Recipient]) -> None:
    if not 0 < len(recipients) <= limits.RECIPIENTS or len({r.site for r in recipients}) < len(recipients):
        raise UsageError("recipients", f"A message goes to 1 to {limits.RECIPIENTS} different hospitals.")
    if any(r.kid != key_id(r.public) for r in recipients):
        raise UsageError(
            "recipients", "A hospital's key id does not fit its key. Fetch its newest card and try again."
        )


def _deliveries(
    envelope: bytes, ctxh: bytes, cek: bytes, recipients: Sequence[Recipient], identity: Identity
) -> tuple[SignedDelivery, ...]:
    made = []
    for reader in sorted(recipients, key=lambda reader: reader.site):
        wrap = wrap_key(reader.public, cek, _wrap_info(ctxh, reader.site, reader.kid))
        raw = delivery_bytes(Delivery(reader.site, reader.kid, wrap))
        made.append(SignedDelivery(raw, identity.sign("delivery", signed_delivery(envelope, raw))))
    return tuple(made)


def _write_blob(source: BinaryIO, length: int, key: bytes, blob: BinaryIO) -> tuple[int, str]:
    """Length prefix, content and padding through one buffer, chunk by chunk."""
    cipher, digest = AESGCM(key), hashlib.sha256()
    plain = padded_length(LENGTH_PREFIX + length)
    buffer = memoryview(bytearray(min(_CHUNK, plain)))
    closed = memoryview(bytearray(len(buffer) + TAG))
    left, written = length, 0
    for index, size, last in _pieces(plain):
        at = 0
        if index == 0:
            buffer[:LENGTH_PREFIX] = length.to_bytes(LENGTH_PREFIX, "big")
            at = LENGTH_PREFIX
        take = min(size - at, left)
        _fill(source, buffer[at : at + take])
        left -= take
        buffer[at + take : size] = _ZEROS[: size - at - take]
        chunk = closed[: size + TAG]
        cipher.encrypt_into(_nonce(index, last), buffer[:size], None, chunk)
        digest.update(chunk)
        blob.write(chunk)
        written += len(chunk)
    if source.read(1):
        raise _changed()
    return written, digest.hexdigest()


def _fill(source: BinaryIO, view: memoryview) -> None:
    at = 0
    while at < len(view):
        piece = source.read(len(view) - at)
        if not piece:
            raise _changed()
        view[at : at + len(piece)] = piece
        at += len(piece)


def _changed() -> BrokenError:
    return BrokenError(
        "content_changed",
        "The content to be sent changed its length while it was being sealed. Nothing was sent; try again.",
    )


def open_envelope(incoming: Incoming, public: bytes) -> Envelope:
    """Steps 1 and 2.

    Size, signature with the key that the manifest gives for the sender, strict parse, the same sender.
    """
    verify_envelope(public, incoming.envelope, incoming.signature)
    envelope = parse_envelope(incoming.envelope)
    if envelope.ctx.sender != incoming.sender:
        raise WireError(
            "other_sender",
            "The Routing Server named another sender than the envelope does, so the post was thrown away. "
            "Tell the administrator of the Routing Server.",
        )
    return envelope


def unseal(
    incoming: Incoming,
    envelope: Envelope,
    *,
    me: str,
    public: bytes,
    subkeys: Mapping[str, Subkey],
    bound: int,
    blob: Callable[[], BinaryIO],
    out: BinaryIO,
) -> int:
    """Steps 7 to 11: the content into `out` (seekable; a quarantine), its number of bytes as the answer.

    `blob` is called only when everything that is cheaper has passed, and what it gave is closed here. Whatever
    fails, `out` is cut back to where it was.
    """
    if envelope_bytes(envelope) != incoming.envelope:
        raise WireError(
            "other_envelope",
            "The post was opened under another envelope than its own, so it was thrown away. This is a fault of "
            "this program; tell those who look after FriendlyFL here.",
        )
    if envelope.ct_len > sealed_length(bound):
        raise WireError(
            "content_size",
            "This post is larger than the plan allows for it and was thrown away. Ask the sender to stay "
            "within the plan's bounds.",
        )
    secrets = _open_secrets(incoming, envelope, me=me, public=public, subkeys=subkeys)
    start = out.tell()
    try:
        with closing(blob()) as source:
            return _read_blob(envelope, secrets.payload, source, out)
    except BaseException:
        out.seek(start)
        out.truncate()
        raise


def _open_secrets(
    incoming: Incoming, envelope: Envelope, *, me: str, public: bytes, subkeys: Mapping[str, Subkey]
) -> _Secrets:
    """Steps 8 and 9: the content key of my delivery, and the envelope is bound to no other."""
    ctxh = _context_hash(envelope.ctx)
    secrets = _secrets(_content_key(incoming, ctxh, me=me, public=public, subkeys=subkeys), ctxh)
    if not hmac.compare_digest(secrets.commitment, bytes.fromhex(envelope.kc)):
        raise WireError(
            "commitment",
            "The key in this post is not the one its envelope is bound to, so it was thrown away: the "
            "sender may show two hospitals different contents. Tell the coordinator.",
        )
    return secrets


def _content_key(
    incoming: Incoming, ctxh: bytes, *, me: str, public: bytes, subkeys: Mapping[str, Subkey]
) -> bytes:
    """Step 8: the delivery is signed for this envelope, is for me, and names a key that I hold."""
    verify_delivery(public, incoming.envelope, incoming.delivery, incoming.delivery_signature)
    delivery = parse_delivery(incoming.delivery)
    if delivery.site != me:
        raise WireError(
            "other_reader",
            "This post is for another hospital and was thrown away. Nothing needs to be done here.",
        )
    subkey = subkeys.get(delivery.kid)
    if subkey is None or subkey.kid != delivery.kid:
        raise WireError(
            "unknown_kid",
            "This post is closed for a key that this hospital does not hold any more. It cannot be opened; "
            "the sender must fetch the newest key card and send it again.",
        )
    return subkey.unwrap(delivery.wrap, _wrap_info(ctxh, me, delivery.kid))


def _read_blob(envelope: Envelope, key: bytes, blob: BinaryIO, out: BinaryIO) -> int:
    """Steps 10 and 11. `ct_len` fixes the number of chunks, so the last flag can fall in one place only."""
    cipher, digest = AESGCM(key), hashlib.sha256()
    plain = plain_length(envelope.ct_len)
    buffer = memoryview(bytearray(min(_CHUNK, plain)))
    length = left = 0
    for index, size, last in _pieces(plain):
        chunk = _exactly(blob, size + TAG)
        digest.update(chunk)
        _decrypt(cipher, _nonce(index, last), chunk, buffer[:size])
        at = 0
        if index == 0:
            at, length = LENGTH_PREFIX, int.from_bytes(buffer[:LENGTH_PREFIX], "big")
            if length > plain or padded_length(LENGTH_PREFIX + length) != plain:
                raise WireError(
                    "blob_prefix", f"The length inside this post does not fit its size. {_SENDER}"
                )
            left = length
        take = min(size - at, left)
        out.write(buffer[at : at + take])
        left -= take
        if bytes(buffer[at + take : size]) != _ZEROS[: size - at - take]:
            raise WireError("blob_padding", f"This post hides something where only zeros may be. {_SENDER}")
    if blob.read(1):
        raise WireError("blob_long", f"There are more bytes in this post than its envelope says. {_AGAIN}")
    if digest.hexdigest() != envelope.ct_sha256:
        raise WireError(
            "blob_digest", f"The content of this post is not the one its envelope names. {_AGAIN}"
        )
    return length


_SENDER = "It was thrown away; tell the sender to update FriendlyFL."
_AGAIN = "It was thrown away and will be fetched again; if that does not help, tell the sender."


def _exactly(blob: BinaryIO, size: int) -> bytes | bytearray:
    found = blob.read(size)
    if len(found) == size:
        return found
    pieces = bytearray(found)  # a network stream may hand out its bytes in drops
    while len(pieces) < size:
        more = blob.read(size - len(pieces))
        if not more:
            raise WireError("blob_short", f"This post ends before its envelope says so. {_AGAIN}")
        pieces += more
    return pieces


def _decrypt(cipher: AESGCM, nonce: bytes, chunk: bytes | bytearray, into: memoryview) -> None:
    try:
        cipher.decrypt_into(nonce, chunk, None, into)
    except InvalidTag:
        raise WireError(
            "blob_changed",
            f"A piece of this post was changed on the way or stands in the wrong place. {_AGAIN}",
        ) from None
