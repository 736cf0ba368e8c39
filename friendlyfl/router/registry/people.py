"""Passwords, tokens and enrolment codes: what a person shows to be believed.

Only hashes of tokens and codes are stored. An enrolment code is derived from the server's secret key and the
enrolment's uid, so that a repeated request can be given the same code without the code being stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from friendlyfl.core import limits

from ..models import Enrolment, PasswordTry, Token, User

ENROLMENT_KEPT = timedelta(days=14)
MINUTE = 60


# One limiter for every password check


def seconds_to_wait(name: str, address: str) -> int:
    """0 if one more password may be tried for this name and from this address, else seconds to wait."""
    now = int(time.time())
    full = PasswordTry.objects.filter(
        subject__in=_subjects(name, address),
        since__gt=now - MINUTE,
        count__gte=limits.PASSWORD_TRIES_PER_MINUTE,
    )
    latest = max(full.values_list("since", flat=True), default=now - MINUTE)
    return max(0, latest + MINUTE - now)


def count_try(name: str, address: str) -> None:
    """Count one password check; the minute begins with its first try."""
    now = int(time.time())
    for subject in _subjects(name, address):
        with transaction.atomic():
            row, made = PasswordTry.objects.get_or_create(
                subject=subject, defaults={"since": now, "count": 1}
            )
            if not made and row.since <= now - MINUTE:
                PasswordTry.objects.filter(pk=row.pk).update(since=now, count=1)
            elif not made:
                PasswordTry.objects.filter(pk=row.pk).update(count=F("count") + 1)


def _subjects(name: str, address: str) -> list[str]:
    """Hashes, so that a name typed into the wrong field, such as a password, is not kept."""
    pairs = (f"name:{name.casefold()}", f"address:{address}")
    return sorted(hashlib.sha256(pair.encode("utf-8", "surrogatepass")).hexdigest() for pair in pairs)


class LimitedBackend(ModelBackend):
    """Django's password check behind the limiter, whichever page or program asks."""

    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        if username is None or password is None:
            return None
        address = request.META.get("REMOTE_ADDR", "") if request is not None else ""
        if seconds_to_wait(username, address):
            raise PermissionDenied
        count_try(username, address)
        return super().authenticate(request, username=username, password=password, **kwargs)


# Tokens


def make_token(user: User) -> tuple[str, datetime]:
    """A new token and its end. This is the only time it is seen."""
    token = secrets.token_urlsafe(32)
    expires_at = timezone.now() + timedelta(seconds=limits.LOGIN_KEPT)
    Token.objects.create(user=user, digest=_digest(token), expires_at=expires_at)
    return token, expires_at


def user_of_token(token: str) -> User | None:
    now = timezone.now()
    found = Token.objects.select_related("user").filter(digest=_digest(token), expires_at__gt=now).first()
    return found.user if found is not None and found.user.is_active else None


def end_token(token: str) -> None:
    Token.objects.filter(digest=_digest(token)).delete()


# Enrolment codes


def make_enrolment(user: User) -> Enrolment:
    enrolment = Enrolment(user=user, expires_at=timezone.now() + ENROLMENT_KEPT)
    enrolment.digest = _digest(_plain(enrolment_code(enrolment)))
    enrolment.save()
    return enrolment


def enrolment_code(enrolment: Enrolment) -> str:
    """Eight groups of four letters and digits."""
    raw = hmac.digest(settings.SECRET_KEY.encode(), f"enrolment {enrolment.uid}".encode(), "sha256")[:20]
    letters = base64.b32encode(raw).decode()
    return "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))


def find_enrolment(code: str) -> Enrolment | None:
    """The enrolment with this code, used or not, unless it is past its time or its user may not log in."""
    found = Enrolment.objects.select_related("user").filter(digest=_digest(_plain(code))).first()
    if found is None or not found.user.is_active:
        return None
    return found if found.used_at is not None or found.expires_at > timezone.now() else None


def _plain(code: str) -> str:
    """As people type it: small letters, spaces and dashes do not matter."""
    return code.upper().replace("-", "").replace(" ", "")


def _digest(secret: str) -> str:
    return hashlib.sha256(b"FFL1 credential\0" + secret.encode("utf-8", "surrogatepass")).hexdigest()
