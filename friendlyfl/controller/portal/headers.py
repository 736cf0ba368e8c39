"""Strict headers on every page: nothing from another host, no inline script or style, no framing, no caching. And
names of files, which in a rehearsal say that they are of one.
"""

import re
from collections.abc import Callable

from django.conf import settings
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
        if settings.REHEARSAL and "Content-Disposition" in response:
            response["Content-Disposition"] = _marked(response["Content-Disposition"])
        return response


def _marked(disposition: str) -> str:
    """A file of the rehearsal says so by its name, wherever it goes."""
    return re.sub(r"(filename\*?=(?:utf-8''|\"?))", r"\1rehearsal-", disposition)
