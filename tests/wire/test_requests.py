"""Signed requests: every covered part counts, and a second library agrees on what is covered."""

import datetime
import hashlib
import re
from types import SimpleNamespace

import http_message_signatures as second
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.core.errors import UsageError, WireError
from friendlyfl.wire import requests
from friendlyfl.wire.canonical import b64
from friendlyfl.wire.requests import read_claim, sign_request, verify_request

from .people import ALICE, BOB

BODY = b'{"a":1}'
NOW = 1_760_000_000
REQUEST = {
    "method": "POST",
    "authority": "router.example.org:8443",
    "path": "/friendlyfl/api/v1/sites/a%2Fb/",
    "query": "since=3&wait=25",
}
COVERED = ("@method", "@authority", "@path", "@query", "content-digest", "ffl-lease")


def signed(**changed):
    parts = {
        **REQUEST,
        "body_sha256": hashlib.sha256(BODY).digest(),
        "lease": 5,
        "created": NOW,
        "nonce": "ab" * 16,
    }
    return sign_request(ALICE.identity, **{**parts, **changed})


def check(headers, public=ALICE.public, **changed):
    verify_request(public, **{**REQUEST, **changed}, headers=headers)


def test_the_claim_is_what_was_signed():
    headers = signed()
    check(headers)
    check(headers, authority="ROUTER.example.org:8443")
    claim = read_claim(headers)
    assert claim == requests.RequestClaim(
        ALICE.identity.fingerprint, NOW, "ab" * 16, 5, requests.body_digest(BODY)
    )
    assert read_claim(signed(nonce=None)).nonce != read_claim(signed(nonce=None)).nonce


def test_an_empty_body_has_a_digest_too():
    assert "content-digest" in signed(body_sha256=requests.body_digest(b""))


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"authority": "router.example.org"},
        {"authority": "evil.example.org:8443"},
        {"path": "/friendlyfl/api/v1/sites/a/b/"},
        {"path": "/friendlyfl/api/v1/sites/a%2fb/"},
        {"path": "/"},
        {"query": "since=4&wait=25"},
        {"query": "wait=25&since=3"},
        {"query": ""},
    ],
)
def test_another_request_under_the_same_signature(changed):
    with pytest.raises(WireError) as caught:
        check(signed(), **changed)
    assert caught.value.code == "bad_signature"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("content-digest", None, signed(body_sha256=bytes(32))["content-digest"]),
        ("ffl-lease", "5", "6"),
        ("signature-input", f"created={NOW}", f"created={NOW + 1}"),
        ("signature-input", "ab" * 16, "ac" * 16),
        ("signature", None, signed(lease=6)["signature"]),
        ("signature", None, f"ffl1=:{'A' * 86}==:"),
    ],
)
def test_covered_headers_that_were_changed(name, old, new):
    headers = signed()
    headers[name] = new if old is None else headers[name].replace(old, new)
    assert headers != signed()
    with pytest.raises(WireError) as caught:
        check(headers)
    assert caught.value.code == "bad_signature"


def test_another_key():
    with pytest.raises(WireError) as caught:
        check(signed(), public=BOB.public)
    assert caught.value.code == "other_key"
    headers = signed()
    headers["signature-input"] = headers["signature-input"].replace(
        ALICE.identity.fingerprint, BOB.identity.fingerprint
    )
    with pytest.raises(WireError) as caught:
        check(headers, public=BOB.public)
    assert caught.value.code == "bad_signature"


MALFORMED = {
    "fewer covered": ("signature-input", ' "ffl-lease")', ")"),
    "more covered": ("signature-input", '"ffl-lease")', '"ffl-lease" "date")'),
    "another order": ("signature-input", '"@method" "@authority"', '"@authority" "@method"'),
    "another label": ("signature-input", "ffl1=(", "sig1=("),
    "two signatures": ("signature-input", "ffl1=(", 'x=("@method"), ffl1=('),
    "another tag": ("signature-input", 'tag="ffl1"', 'tag="ffl2"'),
    "another algorithm": ("signature-input", "ed25519", "hmac-sha256"),
    "an expiry": ("signature-input", 'tag="ffl1"', 'tag="ffl1";expires=1'),
    "parameters in another order": (
        "signature-input",
        f';created={NOW};nonce="{"ab" * 16}"',
        f';nonce="{"ab" * 16}";created={NOW}',
    ),
    "no nonce": ("signature-input", f';nonce="{"ab" * 16}"', ""),
    "a short nonce": ("signature-input", "ab" * 16, "ab" * 8),
    "a leading zero": ("signature-input", f"created={NOW}", f"created=0{NOW}"),
    "a negative time": ("signature-input", f"created={NOW}", f"created=-{NOW}"),
    "a line end": ("signature-input", 'tag="ffl1"', 'tag="ffl1"\n'),
    "other digits": ("ffl-lease", "5", "٥"),
    "lease with a sign": ("ffl-lease", "5", "+5"),
    "lease with a space": ("ffl-lease", "5", " 5"),
    "two leases": ("ffl-lease", "5", "5, 5"),
    "another digest": ("content-digest", "sha-256", "sha-512"),
    "two digests": ("content-digest", "sha-256=", "md5=:AAAA:, sha-256="),
    "a short signature": ("signature", "==:", ":"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_outside_the_profile(name):
    header, old, new = MALFORMED[name]
    headers = signed()
    assert old in headers[header]
    headers[header] = headers[header].replace(old, new, 1)
    with pytest.raises(WireError):
        check(headers)


@pytest.mark.parametrize("name", ["content-digest", "ffl-lease", "signature-input", "signature"])
def test_a_header_that_is_missing(name):
    headers = signed()
    del headers[name]
    with pytest.raises(WireError):
        read_claim(headers)
    with pytest.raises(WireError):
        check(headers)


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "post"},
        {"method": "GET\n"},
        {"authority": "a b"},
        {"authority": ""},
        {"path": ""},
        {"path": "x"},
        {"path": "/a b"},
        {"path": '/\n"@query": ?x'},
        {"path": "/a?b"},
        {"path": "/ä"},
        {"query": "a b"},
        {"query": "a#b"},
        {"query": "\r\n"},
        {"path": "/" + "a" * 9000},
    ],
)
def test_parts_that_could_pass_for_others_are_neither_signed_nor_verified(changed):
    with pytest.raises(UsageError):
        signed(**changed)
    with pytest.raises(WireError):
        check(signed(), **changed)


@pytest.mark.parametrize("changed", [{"lease": -1}, {"created": -1}, {"nonce": "x"}, {"body_sha256": b""}])
def test_out_of_form_is_not_signed(changed):
    with pytest.raises(UsageError):
        signed(**changed)


@given(
    st.dictionaries(
        st.sampled_from(["content-digest", "ffl-lease", "signature-input", "signature"]), st.text(max_size=50)
    )
)
def test_any_headers_are_refused_with_our_error(headers):
    with pytest.raises(WireError):
        check({**signed(), **headers} if len(headers) % 2 else headers)


# --- the second opinion ---


class Keys(second.HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id):
        assert key_id == ALICE.identity.fingerprint
        return ed25519.Ed25519PublicKey.from_public_bytes(ALICE.public)

    def resolve_private_key(self, key_id):
        return ALICE.private


def as_message(headers, scheme="https", **changed):
    parts = {**REQUEST, **changed}
    query = f"?{parts['query']}" if parts["query"] else ""
    return SimpleNamespace(
        method=parts["method"],
        url=f"{scheme}://{parts['authority']}{parts['path']}{query}",
        headers={name.title(): value for name, value in headers.items()},
    )


CASES = [
    {},
    {"query": ""},
    {"method": "GET", "query": "a=%20b&c"},
    {"authority": "Router.Example.org", "path": "/"},
]


@pytest.mark.parametrize("changed", CASES)
def test_the_second_library_accepts_what_we_sign(changed):
    verifier = second.HTTPMessageVerifier(signature_algorithm=second.algorithms.ED25519, key_resolver=Keys())
    (result,) = verifier.verify(
        as_message(signed(**changed), **changed), expect_tag="ffl1", max_age=None, body=BODY
    )
    assert [
        re.sub('"', "", name) for name in result.covered_components if "@signature-params" not in name
    ] == list(COVERED)
    with pytest.raises(second.InvalidSignature):
        verifier.verify(
            as_message(signed(**changed), **{**changed, "method": "DELETE"}), expect_tag="ffl1", max_age=None
        )


@pytest.mark.parametrize("changed", CASES)
def test_the_second_library_makes_the_same_bytes_to_sign(changed):
    """The order of parameters is free in the RFC and fixed in our profile; all other lines are the library's."""
    mine = signed(**changed)
    request = as_message({name: mine[name] for name in ("content-digest", "ffl-lease")}, **changed)
    signer = second.HTTPMessageSigner(signature_algorithm=second.algorithms.ED25519, key_resolver=Keys())
    prepared = signer.prepare(
        request,
        key_id=ALICE.identity.fingerprint,
        created=datetime.datetime.fromtimestamp(NOW, datetime.UTC),
        nonce="ab" * 16,
        label="ffl1",
        tag="ffl1",
        covered_component_ids=COVERED,
        use_existing_digest=True,
    )
    lines = bytes(prepared.signature_base).decode().split("\n")
    theirs, ours = (
        lines[-1].removeprefix('"@signature-params": '),
        mine["signature-input"].removeprefix("ffl1="),
    )
    assert sorted(theirs.split(";")) == sorted(ours.split(";"))
    base = "\n".join([*lines[:-1], f'"@signature-params": {ours}'])
    assert mine["signature"] == f"ffl1=:{b64(ALICE.private.sign(base.encode()))}:"
