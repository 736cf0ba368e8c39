"""Every error as an answer that a person can read: {code, message, who, retry_after?}. Never a 500.

What nobody expected becomes 503 `router_fault` and one log line with its trace; the asker is told no detail.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import DataError, IntegrityError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from friendlyfl.core.errors import WireError

from ..refusals import Refusal, busy, not_found

log = logging.getLogger("friendlyfl.router.api")

ADMINISTRATOR = "the Routing Server's administrator"
GONE = 499  # in the log only: the asker had hung up


def answer(error: Exception, context: dict[str, Any]) -> Response:
    """Django REST framework's exception handler."""
    refusal = Refusal(GONE, "gone", "Nobody reads this.") if _hung_up(context) else refusal_of(error)
    set_rollback()
    return Response(refusal.body(), refusal.status, headers=refusal.headers)


def _hung_up(context: dict[str, Any]) -> bool:
    """The asker is gone: Django then closes the body, under the very thread that may be reading it."""
    stream = getattr(getattr(context.get("request"), "_request", None), "_stream", None)
    return bool(getattr(stream, "closed", False))


def refusal_of(error: Exception) -> Refusal:
    """The refusal that stands for an error."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    if isinstance(error, Http404):
        return not_found()
    if isinstance(error, PermissionDenied):
        return Refusal(403, "not_allowed", "You may not do that; ask whoever may.")
    if isinstance(error, RequestDataTooBig):
        return Refusal(413, "too_big", "The body is larger than the Routing Server takes; send less.")
    if isinstance(error, WireError):
        return Refusal(422, error.code, error.message, who=error.who)
    if isinstance(error, UnreadablePostError | SuspiciousOperation | DataError):
        return Refusal(400, "unreadable", "The request cannot be read; check its address and body.")
    if isinstance(error, OperationalError):
        log.warning("the database did not answer in time", exc_info=error)
        return busy()
    if isinstance(error, IntegrityError):
        log.warning("two requests crossed", exc_info=error)
        return Refusal(
            409, "crossed", "Another request changed the same thing just now; ask again.", retry_after=1
        )
    log.error("a request failed that should not have", exc_info=error)
    return fault()


def _of_framework(error: exceptions.APIException) -> Refusal:
    if isinstance(error, exceptions.ValidationError):
        fields = _fields(error.detail)
        first = next(iter(fields), "body")
        sentence = f"The field {first!r} is not as it must be: {fields.get(first, ['look at it again.'])[0]}"
        return Refusal(400, "bad_field", sentence, extra={"fields": fields})
    if isinstance(error, exceptions.ParseError):
        return Refusal(400, "unreadable", str(error.detail))
    if isinstance(error, exceptions.UnsupportedMediaType):
        return Refusal(415, "media_type", "Send application/json.")
    if isinstance(error, exceptions.NotAcceptable):
        return Refusal(406, "not_acceptable", "The Routing Server answers in application/json or text/html.")
    if isinstance(error, exceptions.MethodNotAllowed):
        return Refusal(405, "wrong_verb", "This address does not take that verb; see the API's page docs/.")
    if isinstance(error, exceptions.NotFound):
        return not_found()
    if isinstance(error, exceptions.PermissionDenied) and "CSRF" in str(error.detail):
        return Refusal(403, "csrf", "Send the CSRF token of your session with this request.")
    return Refusal(error.status_code, str(error.default_code), "You may not do that; ask whoever may.")


def _fields(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Field by field what is the matter; places inside a list are written steps.2.title."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            name = name + 1 if isinstance(name, int) else name  # people count from 1
            place = path if name == "non_field_errors" and path else f"{path}.{name}".strip(".")
            found |= _fields(inner, place)
        return found
    if isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        found = {}
        for index, inner in enumerate(detail, 1):
            found |= _fields(inner, f"{path}.{index}") if inner else {}
        return found
    texts = detail if isinstance(detail, list) else [detail]
    return {path or "body": [_sentence(text) for text in texts]}


def _sentence(text: Any) -> str:
    """Django REST framework's own words for two common cases, made ours."""
    code = getattr(text, "code", "")
    return {"required": "It is missing.", "null": "It may not be null."}.get(code, str(text))


def fault() -> Refusal:
    return Refusal(
        503,
        "router_fault",
        "The Routing Server failed at this request; its log says why.",
        who=ADMINISTRATOR,
        retry_after=30,
    )


# Errors outside of any view


def _page(refusal: Refusal) -> JsonResponse:
    return JsonResponse(refusal.body(), status=refusal.status, headers=refusal.headers)


def handler404(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _page(not_found())


def handler400(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _page(
        refusal_of(exception) if isinstance(exception, RequestDataTooBig) else _bad_request(exception)
    )


def _bad_request(exception: Exception) -> Refusal:
    if type(exception).__name__ == "DisallowedHost":
        return Refusal(
            400,
            "unknown_host",
            "The Routing Server does not go by this name; check the address, or add it to ALLOWED_HOSTS.",
            who=ADMINISTRATOR,
        )
    return Refusal(400, "unreadable", "The request cannot be read; check its address and body.")


def handler403(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _page(Refusal(403, "not_allowed", "You may not do that; ask whoever may."))


def csrf_failure(request: HttpRequest, reason: str = "") -> JsonResponse:
    return _page(Refusal(403, "csrf", "Reload the page and send the form again."))


def handler500(request: HttpRequest) -> JsonResponse:
    log.error("a page failed that should not have", exc_info=True)
    return _page(fault())
