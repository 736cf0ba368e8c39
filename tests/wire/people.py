"""Alice coordinates, Bob and Carol take part, Mallory is nobody. Their keys are fixed; post is sealed afresh."""

import hashlib
import io
from dataclasses import asdict, dataclass, replace
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ed25519

from friendlyfl.core import limits
from friendlyfl.wire import trust
from friendlyfl.wire.keys import Identity, Subkey, make_card
from friendlyfl.wire.message import Context
from friendlyfl.wire.seal import Incoming, Recipient, open_envelope, seal, unseal

from . import reference

PROJECT, RUN, OTHER = (str(UUID(int=n, version=4)) for n in (100, 200, 300))


class Person:
    def __init__(self, number):
        self.site = str(UUID(int=number, version=4))
        self.seed = bytes([number]) * 32
        self.identity = Identity.from_seed(self.seed)
        self.private = ed25519.Ed25519PrivateKey.from_private_bytes(self.seed)
        self.subkey = Subkey.from_bytes(hashlib.sha512(self.seed).digest() + self.seed)
        self.public = self.identity.public
        self.recipient = Recipient(self.site, self.subkey.kid, self.subkey.public)

    def card(self, seq=1, use="standing", prev=None, subkey=None):
        return make_card(
            self.identity,
            subkey or self.subkey,
            site=self.site,
            use=use,
            seq=seq,
            not_before=1000,
            not_after=2000,
            prev=prev,
        )

    def member(self, role="participant"):
        return trust.Member(self.site, role, self.identity.fingerprint)


ALICE, BOB, CAROL, MALLORY = (Person(n) for n in (1, 2, 3, 4))
MEMBERS = [ALICE.member("coordinator"), BOB.member(), CAROL.member()]
MANIFEST = trust.make_manifest(
    ALICE.identity, project=PROJECT, epoch=1, prev=None, members=MEMBERS, policy={"encryption": "required"}
)
PLACE = {"project": PROJECT, "epoch": 1, "manifest": MANIFEST.sha256}


def context(**changed):
    made = Context(
        msg="00" * 16,
        type="state",
        content="application/vnd.friendlyfl.state",
        run=RUN,
        step=1,
        round=2,
        part=0,
        sender=ALICE.site,
        card=ALICE.card().sha256,
        seq=7,
        **PLACE,
    )
    return replace(made, **changed)


@dataclass(frozen=True)
class Sealed:
    """Post on its way to one reader, every part of which a test may change."""

    incoming: Incoming
    blob: bytes
    cek: bytes = b""

    def put(self, **parts):
        """A copy with other parts; `blob` is one of them."""
        blob = parts.pop("blob", self.blob)
        return replace(self, incoming=replace(self.incoming, **parts), blob=blob)


def incoming(post, index, sender=ALICE):
    reader = post.deliveries[index]
    return Incoming(sender.site, post.envelope, post.signature, reader.raw, reader.signature)


def send(content, *, ctx=None, readers=(BOB, CAROL), sender=ALICE, cek=b"\x42" * 32):
    """Post sealed by the real implementation, as its first reader gets it."""
    blob = io.BytesIO()
    post = seal(
        io.BytesIO(content),
        len(content),
        ctx=ctx or context(),
        recipients=[person.recipient for person in readers],
        identity=sender.identity,
        blob=blob,
        random=lambda n: cek[:n],
    )
    return Sealed(incoming(post, 0, sender), blob.getvalue(), cek)


def forge(content=b"content", *, ctx=None, sender=ALICE, reader=BOB, cek=b"\x42" * 32, **changed):
    """Post made by hand, signed by its sender: what a member that cheats could send.

    `blob`, `plain`, `wrapped_cek`, `wrap_site` and `wrap_kid` replace parts, every other name a field of the envelope.
    """
    ctx = asdict(ctx or context())
    ctxh = reference.context_hash(ctx)
    key = reference.expand(cek, b"payload", ctxh)
    plain = changed.pop("plain", None) or reference.pad(content)
    blob = changed.pop("blob", None) or reference.close(key, plain)
    wrapped_cek = changed.pop("wrapped_cek", cek)
    site, kid = changed.pop("wrap_site", reader.site), changed.pop("wrap_kid", reader.subkey.kid)
    envelope = reference.envelope(ctx, blob, reference.expand(cek, b"commit", ctxh), **changed)
    wrapped = reference.wrap(reader.subkey.public, wrapped_cek, ctxh, site, kid)
    delivery = reference.delivery(site, kid, wrapped)
    return Sealed(
        Incoming(
            sender.site,
            envelope,
            reference.sign(sender.private, b"env", envelope),
            delivery,
            reference.sign_delivery(sender.private, envelope, delivery),
        ),
        blob,
        cek,
    )


def receive(sealed, *, me=BOB, sender=ALICE, bound=limits.STATE_BYTES, out=None):
    """All the steps that this room has, as a reader takes them; the content or an error."""
    out = io.BytesIO() if out is None else out
    envelope = open_envelope(sealed.incoming, sender.public)
    unseal(
        sealed.incoming,
        envelope,
        me=me.site,
        public=sender.public,
        subkeys={me.subkey.kid: me.subkey},
        bound=bound,
        blob=lambda: io.BytesIO(sealed.blob),
        out=out,
    )
    return out.getvalue()
