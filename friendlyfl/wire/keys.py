"""Keys of a site: the identity that signs, the subkeys that open post, the cards that tell others of them.

Signatures of requests live in `requests`, who belongs to a project in `trust`, sealing in `seal`. Private
keys are written with mode 0600 and never leave the site; what crosses is the card. A card names the time it is
meant for, but nobody refuses post by it, so a wrong clock cannot stop a run.
"""

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from friendlyfl.core import limits
from friendlyfl.core.errors import BrokenError, UsageError, WireError
from friendlyfl.wire import canonical, fields, keyfile
from friendlyfl.wire.canonical import b64, label, unb64

_HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_MLKEM_PUBLIC = 1184
SUBKEY_PUBLIC = _MLKEM_PUBLIC + 32
WRAP = 1168  # bytes of a wrapped 32-byte content key
SIGNATURE = 64
STANDING = "standing"
_REMEMBERED = 1024  # public keys, unpacked and checked: a key is bytes, so what it unpacks to never changes
_CARD_KEYS = ("v", "site", "id_pub", "enc_pub", "kid", "use", "seq", "not_before", "not_after", "prev")


def fingerprint(public: bytes) -> str:
    """The name of an identity: 64 hex digits."""
    return canonical.digest("id", public)


def key_id(public: bytes) -> str:
    """The name of a subkey: 32 hex digits."""
    return canonical.digest("kid", public)[:32]


def verify(public: bytes, what: str, raw: bytes, signature: bytes) -> None:
    """Pass, or raise WireError `bad_signature`."""
    verify_unlabelled(public, label(what) + raw, signature)


def verify_unlabelled(public: bytes, raw: bytes, signature: bytes) -> None:
    """`verify` for bytes whose own format says what they are for (RFC 9421)."""
    try:
        _verifying_key(public).verify(signature, raw)
    except (InvalidSignature, ValueError, TypeError):
        raise WireError(
            "bad_signature",
            "The signature does not belong to these bytes and this key, so nothing of them was used. "
            "Somebody changed them on the way or signed with another key; telephone the sender if it "
            "happens again.",
        ) from None


@functools.lru_cache(maxsize=_REMEMBERED)
def _verifying_key(public: bytes) -> ed25519.Ed25519PublicKey:
    return ed25519.Ed25519PublicKey.from_public_bytes(public)


class Identity:
    """A site's Ed25519 key.

    Signs cards, manifests, envelopes and requests. Made once, never replaced in silence.
    """

    def __init__(self, private: ed25519.Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        self.fingerprint = fingerprint(self.public)

    def __repr__(self) -> str:
        return f"Identity({self.fingerprint[:16]}...)"

    @classmethod
    def generate(cls) -> "Identity":
        return cls.from_seed(os.urandom(32))

    @classmethod
    def from_seed(cls, seed: bytes) -> "Identity":
        if len(seed) != 32:
            raise UsageError("seed_size", "The seed of an identity key must have 32 bytes.")
        return cls(ed25519.Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, what: str, raw: bytes) -> bytes:
        """64 bytes of signature over the label `what` and `raw`."""
        return self._private.sign(label(what) + raw)

    def sign_http(self, base: bytes) -> bytes:
        """Sign an RFC 9421 signature base, whose first component keeps it apart from all labelled bytes."""
        if not base.startswith(b'"@method": '):
            raise UsageError(
                "not_a_request", "Only the signature base of a request may be signed without a label."
            )
        return self._private.sign(base)

    def save(self, path: str | os.PathLike[str], passphrase: str | None = None) -> None:
        """Write PKCS#8 to a new file with mode 0600. Refuses to overwrite: a lost identity is a lost site."""
        encoded = self._private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        raw = keyfile.lock(encoded, passphrase) if passphrase else keyfile.pem(self._private)
        keyfile.write(Path(path), raw, replace=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str], passphrase: str | None = None) -> "Identity":
        raw = keyfile.read(Path(path))
        locked = raw.startswith(b"{")
        return cls(keyfile.from_der(keyfile.unlock(raw, passphrase)) if locked else keyfile.from_pem(raw))


class Subkey:
    """A site's X-Wing pair (ML-KEM-768 and X25519 together).

    Opens the content keys of post. Standing, or of one run.
    """

    def __init__(self, seed: bytes, scalar: bytes) -> None:
        post_quantum = mlkem.MLKEM768PrivateKey.from_seed_bytes(seed)
        classical = x25519.X25519PrivateKey.from_private_bytes(scalar)
        self._raw = seed + scalar
        self._private = MLKEM768X25519PrivateKey(post_quantum, classical)
        self.public = post_quantum.public_key().public_bytes_raw() + classical.public_key().public_bytes_raw()
        self.kid = key_id(self.public)

    def __repr__(self) -> str:
        return f"Subkey({self.kid})"

    @classmethod
    def generate(cls) -> "Subkey":
        return cls.from_bytes(os.urandom(96))

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Subkey":
        """From the 64-byte ML-KEM seed and the 32-byte X25519 key."""
        if len(raw) != 96:
            raise BrokenError(
                "subkey_size",
                "A subkey must have 96 bytes. Restore the file from a back-up or renew the key.",
            )
        return cls(raw[:64], raw[64:])

    def to_bytes(self) -> bytes:
        return self._raw

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write with mode 0600. The key's id goes with it, so that a damaged file is noticed."""
        keyfile.write(
            Path(path), canonical.dumps({"v": 1, "kid": self.kid, "key": b64(self._raw)}), replace=True
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Subkey":
        try:
            stored = fields.record(
                canonical.loads(keyfile.read(Path(path)), limit=limits.KIB), ("v", "kid", "key"), "key file"
            )
            subkey = cls.from_bytes(fields.octets(stored, "key", "key file", exactly=96))
        except WireError:
            raise keyfile.damaged(Path(path)) from None
        if stored["v"] != 1 or subkey.kid != stored["kid"]:
            raise keyfile.damaged(Path(path))
        return subkey

    def unwrap(self, wrap: bytes, info: bytes) -> bytes:
        """The 32-byte content key, or WireError `wrap_closed`."""
        try:
            cek = _HPKE.decrypt(wrap, self._private, info=info)
        except (InvalidTag, ValueError):
            cek = b""
        if len(cek) != 32:
            raise WireError(
                "wrap_closed",
                "This post cannot be opened with this hospital's key: it was made for another place or "
                "changed on the way. It was thrown away; the sender will be told.",
            )
        return cek


@functools.lru_cache(maxsize=_REMEMBERED)
def encryption_key(public: bytes) -> MLKEM768X25519PublicKey:
    """The public half of a subkey, checked so that wrapping for it cannot fail later for everybody else."""
    try:
        if len(public) != SUBKEY_PUBLIC:
            raise ValueError
        classical = x25519.X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC:])
        # A point of low order is refused here: inside a broadcast it would stop the post of all recipients.
        x25519.X25519PrivateKey.from_private_bytes(b"\1" * 32).exchange(classical)
        return MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC]), classical
        )
    except ValueError:
        raise WireError(
            "bad_subkey",
            "A hospital's encryption key is not a proper key and was not accepted. Ask that hospital to "
            "renew it.",
        ) from None


def wrap_key(public: bytes, cek: bytes, info: bytes) -> bytes:
    """`cek` closed for the holder of `public`; opens only with the same `info`."""
    return _HPKE.encrypt(cek, encryption_key(public), info=info)


@dataclass(frozen=True)
class Card:
    """What a site says about one of its subkeys.

    `id_pub` and `enc_pub` are base64; `use` is "standing" or a run's uid.
    """

    v: int
    site: str
    id_pub: str
    enc_pub: str
    kid: str
    use: str
    seq: int
    not_before: int
    not_after: int
    prev: str | None

    @property
    def public(self) -> bytes:
        """The identity's public key."""
        return unb64(self.id_pub)

    @property
    def enc_public(self) -> bytes:
        """The subkey's public key."""
        return unb64(self.enc_pub)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public)


@dataclass(frozen=True)
class SignedCard:
    """The exact bytes of a card and their signature."""

    raw: bytes
    signature: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()

    def to_json(self) -> dict[str, str]:
        return {"card": b64(self.raw), "signature": b64(self.signature)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "SignedCard":
        found = fields.record(value, ("card", "signature"), "key card")
        return cls(
            fields.octets(found, "card", "key card", most=limits.RECORD),
            fields.octets(found, "signature", "key card", exactly=SIGNATURE),
        )


def make_card(
    identity: Identity,
    subkey: Subkey,
    *,
    site: str,
    use: str,
    seq: int,
    not_before: int,
    not_after: int,
    prev: str | None,
) -> SignedCard:
    """A card for `subkey`.

    Cards of one use count up from `seq` 1; `prev` is the SHA-256 of the card before.
    """
    card = Card(
        1,
        site,
        b64(identity.public),
        b64(subkey.public),
        subkey.kid,
        use,
        seq,
        int(not_before),
        int(not_after),
        prev,
    )
    raw = canonical.dumps(asdict(card))
    signed = SignedCard(raw, identity.sign("card", raw))
    check_card(signed, fingerprint=identity.fingerprint, site=site)
    return signed


def check_card(signed: SignedCard, *, fingerprint: str | None = None, site: str | None = None) -> Card:
    """The card, if it is well formed, signed by the identity it names, and of the expected identity and site.

    Without `fingerprint` this proves only that the card is self-consistent, not whose it is.
    """
    what = "key card"
    found = fields.record(canonical.loads(signed.raw, limit=limits.RECORD), _CARD_KEYS, what)
    fields.integer(found, "v", what, least=1, most=1)
    fields.uid(found, "site", what)
    public = fields.octets(found, "id_pub", what, exactly=32)
    enc_public = fields.octets(found, "enc_pub", what, exactly=SUBKEY_PUBLIC)
    fields.hexadecimal(found, "kid", what, octets=16)
    if found["use"] != STANDING:
        fields.uid(found, "use", what)
    fields.integer(found, "seq", what, least=1)
    start = fields.integer(found, "not_before", what)
    fields.integer(found, "not_after", what, least=start)
    if found["prev"] is not None:
        fields.hexadecimal(found, "prev", what, octets=32)
    card = Card(**found)
    if fingerprint is not None and card.fingerprint != fingerprint:
        raise WireError(
            "card_identity",
            "The key card belongs to another identity than the one known for this hospital, so it was not "
            "accepted. Telephone that hospital and compare the safety number before you go on.",
        )
    if site is not None and card.site != site:
        raise WireError(
            "card_site",
            "The key card names another hospital and was not accepted. Ask the sender for its own card.",
        )
    verify(public, "card", signed.raw, signed.signature)
    if card.kid != key_id(enc_public):
        raise WireError(
            "card_kid",
            "The key card's key id does not fit its key, so it was not accepted. Ask the sender to renew it.",
        )
    encryption_key(enc_public)
    return card
