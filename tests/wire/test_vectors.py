"""Golden vectors: what the wire makes of fixed keys must never change by accident, and old post must open."""

import hashlib
import hmac
import json
import zlib

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from friendlyfl.core.errors import WireError
from friendlyfl.wire import codec
from friendlyfl.wire.canonical import unb64
from friendlyfl.wire.keys import SignedCard, check_card
from friendlyfl.wire.requests import verify_request
from friendlyfl.wire.seal import Incoming
from friendlyfl.wire.trust import SignedManifest, accept_next

from . import make_vectors, reference
from .people import ALICE, BOB, CAROL, PROJECT, Sealed, receive, send

VECTORS = json.loads(make_vectors.FILE.read_text())


@pytest.mark.parametrize("name", ["keys", "card", "manifest", "invitation", "request", "ring", "codec"])
def test_what_is_made_of_fixed_keys(name):
    assert make_vectors.fixed()[name] == VECTORS[name]


def test_stored_records_are_accepted():
    card = check_card(
        SignedCard.from_json(VECTORS["card"]), fingerprint=BOB.identity.fingerprint, site=BOB.site
    )
    assert card.kid == VECTORS["keys"]["kid"]
    stored = {key: VECTORS["manifest"][key] for key in ("manifest", "signature")}
    assert accept_next(None, None, SignedManifest.from_json(stored), ALICE.public).epoch == 1
    verify_request(
        ALICE.public,
        method="POST",
        authority="router.example.org:8443",
        path="/friendlyfl/api/v1/messages/",
        query="wait=25&since=7",
        headers=VECTORS["request"],
    )
    assert codec.decode(unb64(VECTORS["codec"]), limit=10_000)["levels"] == ["a", "b"]


@pytest.mark.parametrize(
    "stored", VECTORS["messages"], ids=lambda stored: f"{len(unb64(stored['content']))} bytes"
)
def test_stored_post_opens_and_is_made_again(stored):
    raw = {name: unb64(text) for name, text in stored.items()}
    content, blob = raw.pop("content"), raw.pop("blob")
    post = Sealed(Incoming(ALICE.site, **raw), blob)
    assert receive(post) == content
    with pytest.raises(WireError):
        receive(post, me=CAROL)
    again = send(content)
    assert (again.incoming.envelope, again.incoming.signature, again.blob) == (
        raw["envelope"],
        raw["signature"],
        blob,
    )


# --- the formulas of the protocol page, once more and by hand ---


def labelled(what, raw=b""):
    return hashlib.sha256(b"FFL1 " + what + b"\0" + raw)


def derived(what, length):
    return HKDF(SHA256(), length, None, b"FFL1 " + what).derive(make_vectors.SECRET)


def test_names_of_keys():
    assert VECTORS["keys"]["fingerprint"] == labelled(b"id", ALICE.public).hexdigest()
    assert (
        VECTORS["keys"]["kid"] == labelled(b"kid", unb64(VECTORS["keys"]["subkey_public"])).hexdigest()[:32]
    )


@pytest.mark.parametrize(("name", "signer"), [("card", BOB), ("manifest", ALICE)])
def test_signed_records(name, signer):
    raw = unb64(VECTORS[name][name])
    assert unb64(VECTORS[name]["signature"]) == reference.sign(signer.private, name.encode(), raw)
    assert raw == reference.canonical(json.loads(raw))
    if name == "manifest":
        assert VECTORS[name]["sha256"] == hashlib.sha256(raw).hexdigest()


def test_the_invitation():
    found = VECTORS["invitation"]
    letters = found["code"].replace("-", "").removeprefix("FFL1")
    number = 0
    for letter in letters:
        number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    raw = (number >> 2).to_bytes(41, "big")
    router = hashlib.sha256(make_vectors.ROUTER.encode()).digest()[:4]
    body = b"\1" + router + bytes.fromhex(VECTORS["keys"]["fingerprint"])[:16] + make_vectors.SECRET
    assert raw == body + zlib.crc32(body).to_bytes(4, "big")
    assert found["id"] == derived(b"invitation id\0", 16).hex()
    mac_key = derived(b"join\0" + PROJECT.encode(), 32)
    assert found["mac_key"] == mac_key.hex()
    card = unb64(VECTORS["card"]["card"])
    assert found["join_mac"] == hmac.new(mac_key, card + PROJECT.encode(), "sha256").hexdigest()


def test_the_safety_number():
    prints = b"".join(sorted(labelled(b"id", person.public).digest() for person in (ALICE, BOB)))
    h = b"FFL1 safety\0" + prints
    for _ in range(5200):
        h = hashlib.sha512(h + prints).digest()
    groups = [int.from_bytes(h[5 * i : 5 * i + 5], "big") % 100000 for i in range(12)]
    assert VECTORS["invitation"]["safety_number"] == [f"{group:05}" for group in groups]
