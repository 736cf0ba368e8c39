"""Around every request of the records: its id, its one log line, and the browser's rules.

The log line holds no body, no query and no credential.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

from .. import logs

Next = Callable[[HttpRequest], HttpResponse]


class RequestLog:
    """One JSON line a request: id, actor, route, status, bytes, time. The id is in the answer as well."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id, started = uuid.uuid4().hex, time.monotonic()
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        match = request.resolver_match
        logs.request_line(
            request_id=request_id,
            actor=getattr(request, "ffl_actor", "anonymous"),
            method=request.method or "",
            route=match.route if match else "unknown",
            status=response.status_code,
            sent=0 if response.streaming else len(response.content),
            ms=1000 * (time.monotonic() - started),
        )
        return response


class BrowserRules:
    """No page runs or loads anything of another host, and no answer is kept by a cache."""

    POLICY = (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["Content-Security-Policy"] = self.POLICY
        patch_cache_control(response, no_store=True)
        return response
