"""FFL1 once more, written from docs' protocol page alone: no streaming, no checks, nothing of `friendlyfl.wire`.

The tests hold the real implementation against it in both directions, and forge with it what a cheat could send.
"""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
CHUNK = 1048576


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def sign(private, what, raw):
    return private.sign(b"FFL1 " + what + b"\0" + raw)


def context_hash(ctx):
    return hashlib.sha256(b"FFL1 ctx\0" + canonical(ctx)).digest()


def expand(cek, what, ctxh):
    return HKDFExpand(SHA256(), 32, b"FFL1 " + what + b"\0" + ctxh).derive(cek)


def padme(length):
    exponent = length.bit_length() - 1
    bits = exponent.bit_length()
    step = 2 ** max(exponent - bits, 0)
    return -(-length // step) * step


def pad(content):
    plain = len(content).to_bytes(8, "big") + content
    return plain + bytes(padme(len(plain)) - len(plain))


def close(key, plain, last_at=None):
    """The blob of padded `plain`; `last_at` puts the last flag elsewhere."""
    pieces = [plain[i : i + CHUNK] for i in range(0, len(plain), CHUNK)]
    last_at = len(pieces) - 1 if last_at is None else last_at
    cipher = AESGCM(key)
    return b"".join(
        cipher.encrypt(i.to_bytes(11, "big") + bytes([i == last_at]), piece, None)
        for i, piece in enumerate(pieces)
    )


def open_blob(key, blob):
    pieces = [blob[i : i + CHUNK + 16] for i in range(0, len(blob), CHUNK + 16)]
    cipher = AESGCM(key)
    plain = b"".join(
        cipher.decrypt(i.to_bytes(11, "big") + bytes([i == len(pieces) - 1]), piece, None)
        for i, piece in enumerate(pieces)
    )
    return plain[8 : 8 + int.from_bytes(plain[:8], "big")]


def wrap_info(ctxh, site, kid):
    return b"FFL1 wrap\0" + ctxh + site.encode() + b"\0" + kid.encode()


def wrap(public, cek, ctxh, site, kid):
    pair = MLKEM768X25519PublicKey(
        mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184]),
        x25519.X25519PublicKey.from_public_bytes(public[1184:]),
    )
    return HPKE.encrypt(cek, pair, info=wrap_info(ctxh, site, kid))


def unwrap(subkey96, wrapped, ctxh, site, kid):
    pair = MLKEM768X25519PrivateKey(
        mlkem.MLKEM768PrivateKey.from_seed_bytes(subkey96[:64]),
        x25519.X25519PrivateKey.from_private_bytes(subkey96[64:]),
    )
    return HPKE.decrypt(wrapped, pair, info=wrap_info(ctxh, site, kid))


def envelope(ctx, blob, commitment, **changed):
    return canonical(
        {
            "v": 1,
            "suite": "FFL1-XWING-AES256GCM",
            "ctx": ctx,
            "chunk": CHUNK,
            "ct_len": len(blob),
            "ct_sha256": hashlib.sha256(blob).hexdigest(),
            "kc": commitment.hex(),
            **changed,
        }
    )


def delivery(site, kid, wrapped):
    return canonical({"site": site, "kid": kid, "wrap": base64.b64encode(wrapped).decode()})


def sign_delivery(private, envelope_raw, delivery_raw):
    return sign(private, b"delivery", hashlib.sha256(envelope_raw).digest() + delivery_raw)
