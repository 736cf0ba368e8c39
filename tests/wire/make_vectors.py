"""Writes vectors.json: fixed keys, and what the wire makes of them.

    .venv/bin/python -m tests.wire.make_vectors

Run it only when the format changes on purpose: then every hospital needs the new version. Wraps are drawn anew
by the library each time, so they are kept in the file and only opened by the test.
"""

import json
from pathlib import Path

from friendlyfl.wire import codec, invitation, ring
from friendlyfl.wire.canonical import b64
from friendlyfl.wire.requests import body_digest, sign_request

from .people import ALICE, BOB, CAROL, MANIFEST, PROJECT, context, send

FILE = Path(__file__).parent / "vectors.json"
ROUTER = "https://router.example.org"
SECRET = bytes(range(16))
CONTENTS = (b"", b"h", b"hello, hospitals", bytes(range(100)))
NUMBERS = [0.0, 1.0, -1.0, 0.1, -1e-20, 2.0**-64, 12345.678, -(2.0**53)]
VALUE = {"beta": ring.encode(NUMBERS), "note": None, "levels": ["a", "b"], "tolerance": 1e-8, "done": False}


def keys():
    return {
        "seed": ALICE.seed.hex(),
        "public": ALICE.public.hex(),
        "fingerprint": ALICE.identity.fingerprint,
        "subkey": BOB.subkey.to_bytes().hex(),
        "subkey_public": b64(BOB.subkey.public),
        "kid": BOB.subkey.kid,
    }


def invite():
    code = invitation.make_code(ROUTER, ALICE.identity.fingerprint, SECRET)
    read = invitation.read_code(code)
    return {
        "code": code,
        "id": read.id,
        "mac_key": read.mac_key(PROJECT).hex(),
        "join_mac": invitation.join_mac(read.mac_key(PROJECT), BOB.card().raw, PROJECT).hex(),
        "safety_number": invitation.safety_number(ALICE.identity.fingerprint, BOB.identity.fingerprint),
    }


def request():
    return sign_request(
        ALICE.identity,
        method="POST",
        authority="Router.example.org:8443",
        path="/friendlyfl/api/v1/messages/",
        query="wait=25&since=7",
        body_sha256=body_digest(b"{}"),
        lease=3,
        created=1_760_000_000,
        nonce="0f" * 16,
    )


def fixed():
    """Everything that has no randomness of the library in it: the test makes it again and compares."""
    return {
        "keys": keys(),
        "card": BOB.card().to_json(),
        "manifest": {**MANIFEST.to_json(), "sha256": MANIFEST.sha256},
        "invitation": invite(),
        "request": request(),
        "ring": {
            "numbers": NUMBERS,
            "words": [[f"{limb:016x}" for limb in word] for word in VALUE["beta"].tolist()],
        },
        "codec": b64(codec.encode(VALUE)),
    }


def message(content):
    sealed = send(content, ctx=context(), readers=[BOB, CAROL])
    parts = {name: b64(raw) for name, raw in vars(sealed.incoming).items() if name != "sender"}
    return {"content": b64(content), "blob": b64(sealed.blob), **parts}


def main():
    made = {**fixed(), "messages": [message(content) for content in CONTENTS]}
    FILE.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
