"""Invitation codes, the proof that a joiner holds one, and the safety number two people can compare.

A code is handed over outside the Routing Server. It carries the coordinator's fingerprint, so the joiner
needs no trust in the server, and a secret, so the coordinator needs none either. Whether a code was used
before is kept by the coordinator's Controller.
"""

import hashlib
import hmac
import os
import re
import zlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from friendlyfl.core.errors import UsageError, WireError
from friendlyfl.wire import fields
from friendlyfl.wire.canonical import label

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})
_VERSION = 1
_BYTES = 1 + 4 + 16 + 16 + 4
_LETTERS = 66  # 328 bits and two spare ones, which are zero
_SAFETY_ROUNDS = 5200
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_HOST = re.compile(r"[a-z0-9._:-]+")


def normalise_address(address: str) -> str:
    """`scheme://host[:port]` in lower case, without path.

    Https when no scheme is given, default ports left out.
    """
    text = address.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        scheme, port = parts.scheme.lower(), parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii").lower()
    except ValueError:  # UnicodeError is one
        host = ""
    if not _HOST.fullmatch(host) or scheme not in ("http", "https") or parts.username is not None:
        raise UsageError(
            "router_address",
            "This is not the address of a Routing Server. It looks like https://router.example.org",
        )
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" + (
        f":{port}" if port not in (None, {"http": 80, "https": 443}[scheme]) else ""
    )


def _router_hash(address: str) -> bytes:
    return hashlib.sha256(normalise_address(address).encode("ascii")).digest()[:4]


def _derive(secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=info).derive(secret)


@dataclass(frozen=True)
class InvitationCode:
    """What a typed code says."""

    rs_hash: bytes
    fingerprint16: bytes
    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """The name under which the Routing Server knows the invitation.

        32 hex digits, from which the secret cannot be had.
        """
        return _derive(self.secret, label("invitation id"), 16).hex()

    def mac_key(self, project: str) -> bytes:
        """The key of the join MAC for `project`; the Routing Server never has it."""
        return _derive(self.secret, label("join") + _project(project), 32)

    def fits_router(self, rs_address: str) -> bool:
        return hmac.compare_digest(_router_hash(rs_address), self.rs_hash)

    def fits(self, fingerprint: str) -> bool:
        """Is this the coordinator's fingerprint?"""
        return (
            hmac.compare_digest(fingerprint[:32].encode(), self.fingerprint16.hex().encode())
            and len(fingerprint) == 64
        )


def make_code(rs_address: str, coordinator_fingerprint: str, secret: bytes | None = None) -> str:
    """A new code: `FFL1-` and 66 characters in groups of five."""
    secret = os.urandom(16) if secret is None else secret
    if len(secret) != 16 or not _FINGERPRINT.fullmatch(coordinator_fingerprint):
        raise UsageError(
            "code_parts", "An invitation code is made of a 16-byte secret and a fingerprint of 64 hex digits."
        )
    body = bytes([_VERSION]) + _router_hash(rs_address) + bytes.fromhex(coordinator_fingerprint)[:16] + secret
    number = int.from_bytes(body + zlib.crc32(body).to_bytes(4, "big"), "big") << 2
    letters = "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LETTERS - 1), -1, -5))
    return "-".join(["FFL1", *(letters[i : i + 5] for i in range(0, _LETTERS, 5))])


def read_code(text: str) -> InvitationCode:
    """The parts of a code as a person types it.

    Any case, spaces or hyphens anywhere, O for 0, I and L for 1.
    """
    typed = "".join(c for c in text.upper() if not c.isspace() and c not in "-–—_.").translate(_READ_AS)
    if not typed.startswith("FF11"):
        raise UsageError(
            "code_start", "An invitation code starts with FFL1. Copy the whole code from the invitation."
        )
    letters = typed[4:]
    if len(letters) != _LETTERS:
        raise UsageError(
            "code_length",
            f"An invitation code has {_LETTERS} letters and digits after FFL1; this one has {len(letters)}. "
            "Compare it group by group.",
        )
    number = 0
    for letter in letters:
        value = _ALPHABET.find(letter)
        if value < 0:
            raise UsageError(
                "code_letter",
                "There is a sign in this code that no invitation has. Compare it group by group.",
            )
        number = number << 5 | value
    raw = (number >> 2).to_bytes(_BYTES, "big")
    if number & 3 or zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "big"):
        raise UsageError(
            "code_typo",
            "There is a typing mistake in this code. Compare it with the invitation, group by group.",
        )
    if raw[0] != _VERSION:
        raise UsageError(
            "code_version",
            "This code comes from a newer FriendlyFL. Update FriendlyFL here, then type it again.",
        )
    return InvitationCode(raw[1:5], raw[5:21], raw[21:37])


def join_mac(mac_key: bytes, card_raw: bytes, project: str) -> bytes:
    """The joiner's proof that this card comes from the person who was given the code."""
    return hmac.digest(mac_key, card_raw + _project(project), "sha256")


def check_join_mac(mac_key: bytes, card_raw: bytes, project: str, mac: bytes) -> None:
    """Pass, or raise WireError `join_mac`: then the card was swapped on the way or the code was not known."""
    if not hmac.compare_digest(join_mac(mac_key, card_raw, project), mac):
        raise WireError(
            "join_mac",
            "The hospital that wants to join did not prove that it holds the invitation code, so it was "
            "not let in. Make a new invitation and hand it over again.",
        )


def safety_number(fpr_a: str, fpr_b: str) -> list[str]:
    """Twelve groups of five digits, the same at both sites.

    Equal numbers mean that nobody stands in between.
    """
    fprs = b"".join(sorted((bytes.fromhex(fpr_a), bytes.fromhex(fpr_b))))
    h = label("safety") + fprs
    for _ in range(_SAFETY_ROUNDS):
        h = hashlib.sha512(h + fprs).digest()
    return [f"{int.from_bytes(h[i : i + 5], 'big') % 100000:05d}" for i in range(0, 60, 5)]


def _project(project: str) -> bytes:
    """A project's uid has one length, so that `card || project` reads in one way only."""
    if not fields.is_uid(project):
        raise WireError(
            "project_uid", "The project's identifier is not a UUID in lower case. Ask for a new invitation."
        )
    return project.encode("ascii")
