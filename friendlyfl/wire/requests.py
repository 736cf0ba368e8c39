"""Signed requests to the Routing Server: HTTP message signatures (RFC 9421) in one fixed profile.

Covered are method, authority, path, query, the body's digest and the site's lease, always all and always in
this order. Freshness (`created` against a clock) and single use of a nonce are decided by the Routing Server,
which has a clock and a store.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from friendlyfl.core.errors import UsageError, WireError
from friendlyfl.wire.canonical import b64, unb64
from friendlyfl.wire.keys import SIGNATURE, Identity, fingerprint, verify_unlabelled

_COVERED = '("@method" "@authority" "@path" "@query" "content-digest" "ffl-lease")'
_INPUT = re.compile(
    "ffl1="
    + re.escape(_COVERED)
    + r';created=(0|[1-9][0-9]{0,11});nonce="([0-9a-f]{32})";keyid="([0-9a-f]{64})";alg="ed25519";tag="ffl1"'
)
_SIGNATURE = re.compile(r"ffl1=:([A-Za-z0-9+/]{86}==):")
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_LEASE = re.compile(r"0|[1-9][0-9]{0,14}")
_METHOD = re.compile(r"[A-Z]{1,16}")
_AUTHORITY = re.compile(r"[A-Za-z0-9.\-_\[\]:]{1,255}")
_PATH = re.compile(r"/[!-~]*")  # printable, no space: what can stand in a request line
_QUERY = re.compile(r"[!-~]*")
_LONGEST = 8192  # characters of a path or query


@dataclass(frozen=True)
class RequestClaim:
    """What a signed request says of itself; believed only after `verify_request`."""

    fingerprint: str
    created: int
    nonce: str
    lease: int
    body_sha256: bytes


def body_digest(body: bytes) -> bytes:
    """The digest that `Content-Digest` carries; an empty body has one too."""
    return hashlib.sha256(body).digest()


def sign_request(
    identity: Identity,
    *,
    method: str,
    authority: str,
    path: str,
    query: str,
    body_sha256: bytes,
    lease: int,
    created: int,
    nonce: str | None = None,
) -> dict[str, str]:
    """The headers that sign one request.

    `path` and `query` as sent, `query` without "?"; `authority` as in `Host`.
    """
    if len(body_sha256) != 32:
        raise UsageError("digest_size", "The digest of a request's body must be SHA-256: 32 bytes.")
    nonce = os.urandom(16).hex() if nonce is None else nonce
    parameters = (
        f'{_COVERED};created={int(created)};nonce="{nonce}";keyid="{identity.fingerprint}"'
        ';alg="ed25519";tag="ffl1"'
    )
    headers = {
        "content-digest": f"sha-256=:{b64(body_sha256)}:",
        "ffl-lease": str(int(lease)),
        "signature-input": f"ffl1={parameters}",
    }
    try:
        base = _base(method, authority, path, query, headers)
        headers["signature"] = f"ffl1=:{b64(identity.sign_http(base))}:"
        read_claim(headers)
    except WireError as error:
        raise UsageError(
            error.code, "This request cannot be signed: its address, lease, time or nonce is out of form."
        ) from None
    return headers


def read_claim(headers: Mapping[str, str]) -> RequestClaim:
    """What the headers claim, strictly of this profile. Header names in lower case, each header once."""
    claimed = _match(_INPUT, headers, "signature-input", "signature_input")
    _match(_SIGNATURE, headers, "signature", "signature_form")
    digest = _match(_DIGEST, headers, "content-digest", "content_digest")
    lease = _match(_LEASE, headers, "ffl-lease", "lease_form")
    return RequestClaim(
        fingerprint=claimed[3],
        created=int(claimed[1]),
        nonce=claimed[2],
        lease=int(lease[0]),
        body_sha256=unb64(digest[1]),
    )


def verify_request(
    public: bytes, *, method: str, authority: str, path: str, query: str, headers: Mapping[str, str]
) -> None:
    """Pass if the holder of `public` signed exactly this request, else raise WireError.

    The body is checked by its digest.
    """
    claim = read_claim(headers)
    if claim.fingerprint != fingerprint(public):
        raise WireError(
            "other_key",
            "The request is signed with another key than the one known for this site, so nothing was done. A site "
            "whose key was lost must be registered and invited anew.",
        )
    signature = unb64(_match(_SIGNATURE, headers, "signature", "signature_form")[1])
    if len(signature) != SIGNATURE:
        raise _malformed("signature_form", "signature")
    verify_unlabelled(public, _base(method, authority, path, query, headers), signature)


def _match(pattern: re.Pattern[str], headers: Mapping[str, str], name: str, code: str) -> re.Match[str]:
    value = headers.get(name)
    found = pattern.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _malformed(code, name)
    return found


def _malformed(code: str, name: str) -> WireError:
    return WireError(
        code,
        f"The request's header '{name}' is missing or out of form, so it was not looked at. Update "
        "FriendlyFL at the site.",
    )


def _base(method: str, authority: str, path: str, query: str, headers: Mapping[str, str]) -> bytes:
    """RFC 9421 signature base.

    Each part is checked first: a line break in one could pass for another part.
    """
    for pattern, value in ((_METHOD, method), (_AUTHORITY, authority), (_PATH, path), (_QUERY, query)):
        if not isinstance(value, str) or len(value) > _LONGEST or not pattern.fullmatch(value):
            raise WireError(
                "request_line",
                "The request's method, host, path or query is out of form, so it was not looked at.",
            )
    if "?" in path or "#" in path or "#" in query:
        raise WireError("request_split", "The request's path and query are not split as they were sent.")
    return "\n".join(
        (
            f'"@method": {method}',
            f'"@authority": {authority.lower()}',
            f'"@path": {path}',
            f'"@query": ?{query}',
            f'"content-digest": {headers["content-digest"]}',
            f'"ffl-lease": {headers["ffl-lease"]}',
            f'"@signature-params": {headers["signature-input"].removeprefix("ffl1=")}',
        )
    ).encode("ascii")
