"""A session ends half an hour after a person last did something: what a page asks for by itself does not count."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class Attended:
    """Keeps the session of whoever acts; comes after Django's own, which writes it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not by_itself(request) and not request.session.is_empty():
            request.session.modified = True
        return response


def by_itself(request: HttpRequest) -> bool:
    """A part of a page that asks on, or a figure in it."""
    return "HX-Request" in request.headers or request.headers.get("Sec-Fetch-Dest") == "image"
