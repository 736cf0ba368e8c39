"""One place that decides which site signed a request. The records call it whole, the relay step by step.

    site, claim = verify(Asked(method, authority, path, query, headers))     blocking; call it in a thread
    check_body(claim, sha256_of_the_body)                                     before the body is used

In order: the host is ours, the claim is read, the key is one we know, the signature holds, the clock is near
ours, the nonce is new and now kept for good, the site is not revoked, the lease is the current one. No body is
parsed before.

What does not live here: sessions, tokens and enrolment codes (api.authentication), rights (api.policy).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http.request import split_domain_port, validate_host
from django.utils import timezone

from friendlyfl.core import limits
from friendlyfl.core.errors import WireError
from friendlyfl.wire.requests import RequestClaim, read_claim, verify_request

from .models import Nonce, Site
from .refusals import Refusal

IT = "the hospital's IT"
ADMINISTRATOR = "the Routing Server's administrator"
SIGNATURE_HEADERS = ("signature", "signature-input")
SEEN_EVERY = timedelta(seconds=10)  # a site that asks ten times a second costs one such row update in 10 s


@dataclass(frozen=True)
class Asked:
    """What of a request a signature covers, as it was sent.

    The raw path, the query without "?", header names in lower case.
    """

    method: str
    authority: str
    path: str
    query: str
    headers: Mapping[str, str]


def is_signed(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in SIGNATURE_HEADERS)


def verify(asked: Asked, *, revoked_too: bool = False, any_lease: bool = False) -> tuple[Site, RequestClaim]:
    """The site that signed, or a Refusal. `any_lease` is for the heartbeat, which fetches the lease."""
    check_host(asked.authority)
    claim = claim_of(asked)
    site = Site.objects.select_related("owner", "lease").filter(fingerprint=claim.fingerprint).first()
    check_signature(asked, bytes.fromhex(site.public) if site else None)
    assert site is not None  # check_signature refuses a key that nobody knows
    check_time(claim)
    _keep_nonce(site, claim)
    if site.state == Site.State.REVOKED:
        if not revoked_too:
            raise site_revoked()
        return site, claim
    if not any_lease and claim.lease != fence_of(site):
        raise fenced()
    _note_seen(site, claim)
    return site, claim


def check_body(claim: RequestClaim, digest: bytes) -> None:
    """The body that came is the body that was signed."""
    if not hmac.compare_digest(claim.body_sha256, digest):
        raise Refusal(400, "body_changed", "The body is not the one that was signed; send the request again.")


# The steps, for a caller that needs its own transaction


def check_host(authority: str) -> None:
    """`authority` is one of our names."""
    domain, _ = split_domain_port(authority)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        raise Refusal(
            400,
            "unknown_host",
            "The Routing Server does not go by this name; check the address, or add it to ALLOWED_HOSTS.",
            who=ADMINISTRATOR,
        )


def claim_of(asked: Asked) -> RequestClaim:
    try:
        return read_claim(asked.headers)
    except WireError as error:
        raise Refusal(401, error.code, error.message, who=IT) from error


def check_signature(asked: Asked, public: bytes | None) -> None:
    """Whoever asks with a key we do not know (None) learns no more than whoever signs wrongly."""
    if public is None:
        raise bad_signature()
    try:
        verify_request(
            public,
            method=asked.method,
            authority=asked.authority,
            path=asked.path,
            query=asked.query,
            headers=asked.headers,
        )
    except WireError as error:
        raise bad_signature() from error


def check_time(claim: RequestClaim) -> None:
    if abs(time.time() - claim.created) > limits.REQUEST_SKEW:
        raise Refusal(
            401,
            "stale_signature",
            "The signature was made at another time than the Routing Server's; sign again with its clock.",
            who=IT,
            extra={"server_time": datetime.now(UTC).isoformat()},
        )


def fence_of(site: Site) -> int:
    """The lease every request of the site has to carry; 0 before its first heartbeat."""
    lease = getattr(site, "lease", None)
    return lease.fence if lease is not None else 0


def bad_signature() -> Refusal:
    return Refusal(
        401,
        "bad_signature",
        "The signature fits no site known here; enrol the site, or check its address and key.",
        who=IT,
    )


def replayed_request() -> Refusal:
    return Refusal(
        401, "replayed_request", "This very request was sent before; sign it again to repeat it.", who=IT
    )


def fenced() -> Refusal:
    return Refusal(
        409,
        "fenced",
        "Another copy of this site's Controller speaks for it now; this one stops until a person decides.",
        who="the hospital's site-admin",
    )


def site_revoked() -> Refusal:
    return Refusal(
        403,
        "site_revoked",
        "This site's access was taken away; ask the administrator of the Routing Server.",
        who=ADMINISTRATOR,
    )


def _keep_nonce(site: Site, claim: RequestClaim) -> None:
    try:
        with transaction.atomic():
            Nonce.objects.create(site=site, nonce=claim.nonce, expires_at=claim.created + limits.NONCE_KEPT)
    except IntegrityError as error:
        raise replayed_request() from error


def _note_seen(site: Site, claim: RequestClaim) -> None:
    now = timezone.now()
    if site.last_seen is None or not timedelta(0) <= now - site.last_seen < SEEN_EVERY:
        site.last_seen, site.clock_skew = now, int(claim.created - now.timestamp())
        Site.objects.filter(pk=site.pk).update(last_seen=site.last_seen, clock_skew=site.clock_skew)
