"""Sealing and opening: the two implementations agree, section 9 is refused, memory stays constant."""

import functools
import io
import random
import tracemalloc
from dataclasses import asdict, replace

import pytest

from friendlyfl.core import limits
from friendlyfl.core.errors import BrokenError, FriendlyError, UsageError, WireError
from friendlyfl.wire import message
from friendlyfl.wire.canonical import dumps
from friendlyfl.wire.keys import Subkey
from friendlyfl.wire.seal import Recipient, open_envelope, seal, unseal

from . import reference
from .people import (
    ALICE,
    BOB,
    CAROL,
    MALLORY,
    OTHER,
    PROJECT,
    Sealed,
    context,
    forge,
    incoming,
    receive,
    send,
)

CHUNK = limits.BLOB_CHUNK
CLOSED = CHUNK + 16
SIZES = (0, 1, CHUNK - 9, CHUNK - 8, CHUNK - 7, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5)


def content_of(size):
    return random.Random(size).randbytes(size)


@functools.cache
def sealed_of(size):
    return send(content_of(size))


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_opens_for_each_reader_and_in_the_reference(size):
    content = content_of(size)
    post = send(content)
    assert receive(post) == content
    ctxh = reference.context_hash(asdict(context()))
    assert reference.open_blob(reference.expand(post.cek, b"payload", ctxh), post.blob) == content
    assert len(post.blob) == message.sealed_length(size)
    assert receive(forge(content)) == content


def test_each_reader_gets_its_own_delivery():
    blob = io.BytesIO()
    post = seal(
        io.BytesIO(b"hello"),
        5,
        ctx=context(),
        recipients=[CAROL.recipient, BOB.recipient],
        identity=ALICE.identity,
        blob=blob,
    )
    assert [message.parse_delivery(d.raw).site for d in post.deliveries] == [BOB.site, CAROL.site]
    for index, person in enumerate((BOB, CAROL)):
        assert receive(Sealed(incoming(post, index), blob.getvalue()), me=person) == b"hello"


def test_nothing_is_sealed_twice_with_one_key():
    first, second = send(b"x", cek=b"\1" * 32), send(b"x", cek=b"\2" * 32)
    assert first.blob != second.blob
    fresh = [
        seal(
            io.BytesIO(b"x"),
            1,
            ctx=context(),
            recipients=[BOB.recipient],
            identity=ALICE.identity,
            blob=io.BytesIO(),
        )
        for _ in range(2)
    ]
    assert message.parse_envelope(fresh[0].envelope).kc != message.parse_envelope(fresh[1].envelope).kc


# --- protocol.md section 9, for each size: what a Routing Server, a co-reader or a stranger could do ---


def flip(raw, at):
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def edited(sealed, **changed):
    """The envelope with other fields, not signed anew."""
    envelope = message.parse_envelope(sealed.incoming.envelope)
    ctx = replace(envelope.ctx, **{k: v for k, v in changed.items() if hasattr(envelope.ctx, k)})
    rest = {k: v for k, v in changed.items() if not hasattr(envelope.ctx, k)}
    return sealed.put(envelope=message.envelope_bytes(replace(envelope, ctx=ctx, **rest)))


def pieces(sealed):
    return [sealed.blob[i : i + CLOSED] for i in range(0, len(sealed.blob), CLOSED)]


def swapped(sealed):
    parts = pieces(sealed)
    return sealed.put(blob=b"".join([parts[1], parts[0], *parts[2:]]))


def dropped(sealed):
    return sealed.put(blob=b"".join(pieces(sealed)[1:]))


def second_for_first(sealed):
    parts = pieces(sealed)
    return sealed.put(blob=b"".join([parts[0], parts[0], *parts[2:]]))


def re_encrypted(sealed):
    """A co-reader knows the content key: other content of the same length closes well, but is not what was signed."""
    ctxh = reference.context_hash(asdict(context()))
    key = reference.expand(sealed.cek, b"payload", ctxh)
    plain = bytearray(reference.pad(reference.open_blob(key, sealed.blob)))
    plain[8] ^= 1
    return sealed.put(blob=reference.close(key, bytes(plain)))


def for_another_envelope(sealed):
    other = send(b"other", ctx=context(round=3))
    return sealed.put(delivery=other.incoming.delivery, delivery_signature=other.incoming.delivery_signature)


def for_carol(sealed):
    blob = io.BytesIO()
    post = seal(
        io.BytesIO(b"x"), 1, ctx=context(), recipients=[CAROL.recipient], identity=ALICE.identity, blob=blob
    )
    return Sealed(incoming(post, 0), blob.getvalue())


def signed_by(person):
    def attack(sealed):
        raw = sealed.incoming.envelope
        return sealed.put(signature=person.identity.sign("env", raw))

    return attack


TABLE = {
    "bit of the envelope": (lambda s: s.put(envelope=flip(s.incoming.envelope, 40)), "bad_signature"),
    "bit of its signature": (lambda s: s.put(signature=flip(s.incoming.signature, 5)), "bad_signature"),
    "bit of the delivery": (lambda s: s.put(delivery=flip(s.incoming.delivery, 99)), "bad_signature"),
    "bit of the delivery's signature": (
        lambda s: s.put(delivery_signature=flip(s.incoming.delivery_signature, 63)),
        "bad_signature",
    ),
    "first bit of the blob": (lambda s: s.put(blob=flip(s.blob, 0)), "blob_changed"),
    "middle bit of the blob": (lambda s: s.put(blob=flip(s.blob, len(s.blob) // 2)), "blob_changed"),
    "last bit of the blob": (lambda s: s.put(blob=flip(s.blob, len(s.blob) - 1)), "blob_changed"),
    "cut at a chunk": (lambda s: s.put(blob=s.blob[: CLOSED * (len(pieces(s)) - 1)]), "blob_short"),
    "cut inside a chunk": (lambda s: s.put(blob=s.blob[:-7]), "blob_short"),
    "one byte more": (lambda s: s.put(blob=s.blob + b"\0"), "blob_long"),
    "a chunk more": (lambda s: s.put(blob=s.blob + pieces(s)[-1]), "blob_long"),
    "chunks swapped": (swapped, "blob_changed"),
    "a chunk dropped": (dropped, ("blob_changed", "blob_short")),
    "a chunk doubled": (second_for_first, "blob_changed"),
    "empty blob": (lambda s: s.put(blob=b""), "blob_short"),
    "a co-reader's re-encryption": (re_encrypted, "blob_digest"),
    "edited length": (lambda s: edited(s, ct_len=message.sealed_length(2**20 * 5)), "bad_signature"),
    "edited digest": (lambda s: edited(s, ct_sha256="00" * 32), "bad_signature"),
    "another signer": (signed_by(MALLORY), "bad_signature"),
    "a co-member as signer": (signed_by(CAROL), "bad_signature"),
    "a zero signature": (lambda s: s.put(signature=bytes(64)), "bad_signature"),
    "no signature": (lambda s: s.put(signature=b""), "bad_signature"),
    "a zero signature of the delivery": (lambda s: s.put(delivery_signature=bytes(64)), "bad_signature"),
    "another label": (
        lambda s: s.put(signature=ALICE.identity.sign("delivery", s.incoming.envelope)),
        "bad_signature",
    ),
    "another project": (lambda s: edited(s, project=OTHER), "bad_signature"),
    "another run": (lambda s: edited(s, run=OTHER), "bad_signature"),
    "another step": (lambda s: edited(s, step=2), "bad_signature"),
    "another round": (lambda s: edited(s, round=3), "bad_signature"),
    "another type": (lambda s: edited(s, type="result"), "bad_signature"),
    "another part": (lambda s: edited(s, type="log", part=1), "bad_signature"),
    "another epoch": (lambda s: edited(s, epoch=2), "bad_signature"),
    "another manifest": (lambda s: edited(s, manifest="11" * 32), "bad_signature"),
    "another sender": (lambda s: s.put(sender=CAROL.site), "other_sender"),
    "delivery of another envelope": (for_another_envelope, "bad_signature"),
    "delivery for another site": (for_carol, "other_reader"),
    "envelope too large": (lambda s: s.put(envelope=bytes(limits.ENVELOPE + 1)), "envelope_size"),
}


NEEDS = {  # the smallest content with which an attack is one
    "chunks swapped": CHUNK - 7,
    "a chunk dropped": CHUNK - 7,
    "a chunk doubled": 3 * CHUNK,
    "a co-reader's re-encryption": 1,
}


@pytest.mark.parametrize(("name", "size"), [(n, s) for n in TABLE for s in SIZES if s >= NEEDS.get(n, 0)])
def test_refused_at_every_size(name, size):
    attack, expected = TABLE[name]
    attacked = attack(sealed_of(size))
    out = io.BytesIO()
    with pytest.raises(WireError) as caught:
        receive(attacked, out=out)
    assert caught.value.code in (expected if isinstance(expected, tuple) else (expected,))
    assert out.getvalue() == b""  # nothing of it is left, even if its first chunks were good


# --- what a member that cheats could sign ---

PLAIN = reference.pad(b"content")


def plain_of(length, total):
    return length.to_bytes(8, "big") + bytes(total - 8)


def wrong_flag():
    ctxh = reference.context_hash(asdict(context()))
    key = reference.expand(b"\x42" * 32, b"payload", ctxh)
    return reference.close(key, reference.pad(bytes(2 * CHUNK)), last_at=0)


FORGED = {
    "wrong kc": ({"kc": "00" * 32}, "commitment"),
    "two readers, two keys": ({"wrapped_cek": b"\x43" * 32}, "commitment"),
    "a key of another size": ({"wrapped_cek": b"\x43" * 31}, ("wrap_closed", "field_length")),
    "unknown suite": ({"suite": "FFL1-X25519-AES256GCM"}, "envelope_suite"),
    "next version": ({"v": 2}, "envelope_version"),
    "version that is true": ({"v": True}, "envelope_version"),
    "other chunk size": ({"chunk": 65536}, "envelope_chunk"),
    "more than said": ({"ct_len": 16 + 14}, "blob_changed"),
    "less than said": ({"ct_len": 16 + 2048}, "blob_short"),
    "a length that no sealing makes": ({"ct_len": CLOSED + 5}, "envelope_length"),
    "an unpadded length": ({"ct_len": 16 + 17}, "envelope_length"),
    "too small for a length": ({"ct_len": 16 + 7}, "field_number"),
    "wrong digest": ({"ct_sha256": "00" * 32}, "blob_digest"),
    "over the bound": ({"plain": reference.pad(bytes(4096 + 512))}, "content_size"),
    "more than the blob may be": ({"ct_len": 2**53 - 1}, "field_number"),
    "inner length beyond the end": ({"plain": plain_of(2**40, 16)}, "blob_prefix"),
    "inner length too short for its padding": ({"plain": plain_of(1, 16)}, "blob_prefix"),
    "inner length too long by one": ({"plain": plain_of(9, 16)}, "blob_prefix"),
    "something in the padding": ({"plain": reference.pad(bytes(92))[:-1] + b"\1"}, "blob_padding"),
    "last flag too early": ({"blob": wrong_flag()}, ("content_size",)),
    "a reader of another place": ({"wrap_site": CAROL.site}, "other_reader"),
    "a kid that is not held": ({"wrap_kid": "00" * 16}, "unknown_kid"),
    "an unknown field": ({"note": "x"}, "unknown_field"),
}


@pytest.mark.parametrize("name", FORGED)
def test_refused_although_its_sender_signed_it(name):
    changed, expected = FORGED[name]
    out = io.BytesIO()
    with pytest.raises(WireError) as caught:
        receive(forge(**changed), bound=4096, out=out)
    assert caught.value.code in (expected if isinstance(expected, tuple) else (expected,))
    assert out.getvalue() == b""


def test_a_last_flag_in_the_middle_is_refused():
    with pytest.raises(WireError) as caught:
        receive(forge(blob=wrong_flag()))
    assert caught.value.code == "blob_changed"


def test_padding_may_not_hide_anything_in_a_later_chunk():
    plain = bytearray(reference.pad(bytes(3 * CHUNK + 5)))
    plain[-1] = 1
    with pytest.raises(WireError) as caught:
        receive(forge(plain=bytes(plain)))
    assert caught.value.code == "blob_padding"


def test_a_key_that_says_another_kid_is_not_used():
    post = forge()
    envelope = open_envelope(post.incoming, ALICE.public)
    with pytest.raises(WireError) as caught:
        unseal(
            post.incoming,
            envelope,
            me=BOB.site,
            public=ALICE.public,
            subkeys={BOB.subkey.kid: CAROL.subkey},
            bound=100,
            blob=io.BytesIO,
            out=io.BytesIO(),
        )
    assert caught.value.code == "unknown_kid"


def test_an_envelope_belongs_to_its_own_bytes():
    post, other = send(b"a"), send(b"b", ctx=context(round=9))
    with pytest.raises(WireError) as caught:
        unseal(
            post.incoming,
            open_envelope(other.incoming, ALICE.public),
            me=BOB.site,
            public=ALICE.public,
            subkeys={BOB.subkey.kid: BOB.subkey},
            bound=100,
            blob=io.BytesIO,
            out=io.BytesIO(),
        )
    assert caught.value.code == "other_envelope"


def test_the_blob_is_fetched_only_after_everything_cheaper():
    post = forge(kc="00" * 32)

    def fetch():
        raise AssertionError("fetched too early")

    with pytest.raises(WireError):
        unseal(
            post.incoming,
            open_envelope(post.incoming, ALICE.public),
            me=BOB.site,
            public=ALICE.public,
            subkeys={BOB.subkey.kid: BOB.subkey},
            bound=100,
            blob=fetch,
            out=io.BytesIO(),
        )


def test_every_byte_of_a_small_message_counts():
    post = send(b"y", readers=[BOB])
    for part in ("envelope", "signature", "delivery", "delivery_signature", "blob"):
        raw = post.blob if part == "blob" else getattr(post.incoming, part)
        for at in range(len(raw)):
            changed = raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :]
            with pytest.raises(WireError):
                receive(post.put(**{part: changed}))


def mutate(rng, raw):
    kind, at = rng.randrange(6), rng.randrange(len(raw) + 1)
    if kind == 0 and at < len(raw):
        return raw[:at] + rng.randbytes(1) + raw[at + 1 :]
    if kind == 1:
        return raw[:at]
    if kind == 2:
        return raw[:at] + rng.randbytes(rng.randrange(1, 20)) + raw[at:]
    if kind == 3:
        return raw[:at] + raw[at + rng.randrange(1, 20) :]
    if kind == 4:
        size = rng.randrange(1, 30)
        return raw[:at] + raw[:size] + raw[at + size :]
    return rng.randbytes(rng.randrange(200))


def test_random_mutations_are_refused_and_nothing_else():
    rng = random.Random(20)
    post = send(b"some content", readers=[BOB])
    for _ in range(2000):
        part = rng.choice(("envelope", "signature", "delivery", "delivery_signature", "blob"))
        raw = post.blob if part == "blob" else getattr(post.incoming, part)
        changed = mutate(rng, raw)
        if changed == raw:
            continue
        with pytest.raises(WireError):
            receive(post.put(**{part: changed}))


def test_random_mutations_signed_by_their_sender_are_refused_too():
    """The signature no longer hides the parsers and the steps behind them."""
    rng = random.Random(21)
    post = send(b"some content", readers=[BOB])
    for _ in range(1000):
        envelope, delivery = post.incoming.envelope, post.incoming.delivery
        if rng.random() < 0.5:
            envelope = mutate(rng, envelope)
        else:
            delivery = mutate(rng, delivery)
        if (envelope, delivery) == (post.incoming.envelope, post.incoming.delivery):
            continue
        with pytest.raises(WireError):
            receive(
                post.put(
                    envelope=envelope,
                    signature=reference.sign(ALICE.private, b"env", envelope),
                    delivery=delivery,
                    delivery_signature=reference.sign_delivery(ALICE.private, envelope, delivery),
                )
            )


class Zeros(io.RawIOBase):
    """A long content that takes no memory and comes in drops."""

    def __init__(self, length):
        self.left = length

    def readable(self):
        return True

    def readinto(self, buffer):
        size = min(len(buffer), self.left, 300_000)
        buffer[:size] = bytes(size)
        self.left -= size
        return size


def test_memory_stays_constant(tmp_path):
    length = 64 * limits.MIB - 8
    tracemalloc.start()
    try:
        with (tmp_path / "blob").open("wb") as blob:
            post = seal(
                Zeros(length),
                length,
                ctx=context(),
                recipients=[BOB.recipient],
                identity=ALICE.identity,
                blob=blob,
            )
        given = incoming(post, 0)
        with (tmp_path / "out").open("w+b") as out:
            size = unseal(
                given,
                open_envelope(given, ALICE.public),
                me=BOB.site,
                public=ALICE.public,
                subkeys={BOB.subkey.kid: BOB.subkey},
                bound=length,
                blob=lambda: (tmp_path / "blob").open("rb"),
                out=out,
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == length == (tmp_path / "out").stat().st_size
    assert peak < 8 * limits.MIB


def test_out_is_cut_back_to_where_it_was():
    out = io.BytesIO(b"before")
    out.seek(6)
    post = send(content_of(2 * CHUNK))
    with pytest.raises(WireError):
        receive(post.put(blob=flip(post.blob, len(post.blob) - 1)), out=out)
    assert out.getvalue() == b"before"


@pytest.mark.parametrize("length", [4, 6])
def test_content_that_changes_while_it_is_sealed_is_not_sent(length):
    with pytest.raises(BrokenError) as caught:
        seal(
            io.BytesIO(b"12345"),
            length,
            ctx=context(),
            recipients=[BOB.recipient],
            identity=ALICE.identity,
            blob=io.BytesIO(),
        )
    assert caught.value.code == "content_changed"


def test_what_no_reader_would_accept_is_not_sealed():
    def try_to(length=1, ctx=None, recipients=(BOB.recipient,), bound=None):
        with pytest.raises(UsageError):
            seal(
                io.BytesIO(bytes(length if length > 0 else 0)),
                length,
                ctx=ctx or context(),
                recipients=recipients,
                identity=ALICE.identity,
                blob=io.BytesIO(),
                bound=bound,
            )

    try_to(recipients=[])
    try_to(recipients=[BOB.recipient, BOB.recipient])
    try_to(recipients=[Recipient(BOB.site, CAROL.subkey.kid, BOB.subkey.public)])
    try_to(length=11, bound=10)
    try_to(length=-1)
    try_to(length=limits.TEXT_BYTES + 1, ctx=context(type="ready", sender=BOB.site))
    try_to(ctx=context(type="gossip"))
    try_to(ctx=context(project="Project 1"))
    try_to(ctx=context(run=None))


def test_a_poisoned_key_stops_nobody_but_itself():
    bad = BOB.subkey.public[:1184] + bytes(32)
    with pytest.raises(FriendlyError):
        seal(
            io.BytesIO(b""),
            0,
            ctx=context(),
            recipients=[Recipient(BOB.site, Subkey.generate().kid, bad)],
            identity=ALICE.identity,
            blob=io.BytesIO(),
        )


def test_no_reader_of_a_broadcast_sees_who_else_reads():
    post = send(b"hello", readers=[BOB, CAROL])
    seen = post.incoming.envelope + post.incoming.delivery
    assert CAROL.site.encode() not in seen
    assert PROJECT.encode() in seen


def test_the_signature_covers_the_exact_bytes():
    """Another spelling of the same envelope, even one its sender signed, is refused."""
    value = asdict(message.parse_envelope(send(b"x").incoming.envelope))
    loose = str(value).replace("'", '"').replace("None", "null").encode()
    assert loose != dumps(value)
    post = send(b"x").put(envelope=loose, signature=reference.sign(ALICE.private, b"env", loose))
    with pytest.raises(WireError) as caught:
        receive(post)
    assert caught.value.code == "json_spelling"
