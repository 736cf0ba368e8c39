"""Strict headers on every page: nothing from another host, no inline script or style, no framing, no caching."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


class StrictHeaders:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["Content-Security-Policy"] = POLICY
        response["X-Frame-Options"] = "DENY"
        if not request.path.startswith("/static/"):
            response["Cache-Control"] = "no-store"
        return response
