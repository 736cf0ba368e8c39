"""Exactly one credential a request: a site's signature, a session, a token, or an enrolment code.

What does not live here: how a signature is judged (router.credentials), what anybody may do (policy).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from .. import credentials
from ..models import Site, User
from ..refusals import CHALLENGE, Refusal
from ..registry import people
from ..registry.actor import ANONYMOUS, Actor, Kind
from . import speed

_AGENT = re.compile(r"friendlyfl/(\d{1,4})\.(\d{1,4})[\w.+-]{0,20}")
_CREDENTIAL = re.compile(r"(Token|Enrolment) ([\w -]{1,200})", re.IGNORECASE)


class OneCredential(BaseAuthentication):
    """Gives `request.auth` an Actor, always; a credential that does not hold is 401, two are 400."""

    def authenticate(self, request: Request) -> tuple[User | AnonymousUser, Actor]:
        address = request.META.get("REMOTE_ADDR", "")
        try:
            user, actor = self._authenticate(request)
        except Refusal as refusal:
            if refusal.status == 401 and refusal.code != "stale_signature":
                speed.count_stranger(address)
            raise
        speed.count(actor, address)
        return user, actor

    def _authenticate(self, request: Request) -> tuple[User | AnonymousUser, Actor]:
        asked = asked_of(request)
        signed = credentials.is_signed(asked.headers)
        authorization = asked.headers.get("authorization", "")
        session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if signed + bool(authorization) + session > 1:
            raise Refusal(
                400, "two_credentials", "A request brings exactly one credential; leave the others out."
            )
        if signed:
            return AnonymousUser(), self._site(request, asked)
        if authorization:
            return self._bearer(authorization)
        return self._person(request)

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE

    def _site(self, request: Request, asked: credentials.Asked) -> Actor:
        view = request.parser_context["view"]
        site, claim = credentials.verify(
            asked, revoked_too=True, any_lease=request.method in view.any_lease_for
        )
        credentials.check_body(claim, hashlib.sha256(request._request.body).digest())
        if site.state == Site.State.REVOKED:
            return Actor(Kind.REVOKED, site=site)
        _note_version(site, asked.headers.get("user-agent", ""))
        return Actor(Kind.SITE, site=site)

    def _bearer(self, authorization: str) -> tuple[User | AnonymousUser, Actor]:
        found = _CREDENTIAL.fullmatch(authorization)
        if found and found[1].lower() == "token":
            user = people.user_of_token(found[2])
            if user is not None:
                return user, person(user)
        elif found:
            enrolment = people.find_enrolment(found[2])
            if enrolment is not None:
                return enrolment.user, Actor(Kind.ENROLMENT, user=enrolment.user, enrolment=enrolment)
            raise Refusal(
                401,
                "unknown_credential",
                "This enrolment code is not known here: there may be a typing mistake in it, or it is past its time. "
                "Ask the administrator of the Routing Server for another.",
            )
        raise Refusal(401, "unknown_credential", "This token is not, or no longer, known here; log in again.")

    def _person(self, request: Request) -> tuple[User | AnonymousUser, Actor]:
        user = request._request.user
        if not user.is_authenticated or not user.is_active:
            return AnonymousUser(), ANONYMOUS
        _CheckCsrf().enforce_csrf(request)
        return user, person(user)


class _CheckCsrf(SessionAuthentication):
    """Django REST framework's own CSRF check, which our exception handler turns into a sentence."""


def person(user: User) -> Actor:
    return Actor(Kind.ADMINISTRATOR if user.is_staff else Kind.PERSON, user=user)


def asked_of(request: Request) -> credentials.Asked:
    """What was signed, from the ASGI scope: Django's own path is decoded and would not fit."""
    scope: dict[str, Any] = request._request.scope
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    return credentials.Asked(
        method=scope["method"],
        authority=headers.get("host", ""),
        path=raw_path.partition(b"?")[0].decode("latin-1"),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
    )


def _note_version(site: Site, agent: str) -> None:
    """Remember which Controller asks; one that is too old is told so in one sentence."""
    found = _AGENT.match(agent)
    if found is None:
        return
    oldest = tuple(int(part) for part in settings.OLDEST_CONTROLLER.split("."))
    if (int(found[1]), int(found[2])) < oldest:
        raise Refusal(
            426,
            "controller_too_old",
            f"This Controller is too old; update FriendlyFL to {settings.OLDEST_CONTROLLER} or newer.",
            who=credentials.IT,
        )
    version = found[0].partition("/")[2]
    if version != site.version:
        Site.objects.filter(pk=site.pk).update(version=version)
        site.version = version
