"""What every page shows: the site's name, whether the line to the Routing Server is up, and where one can go."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from friendlyfl.controller import here


def line(request: HttpRequest) -> dict[str, Any]:
    if not request.user.is_authenticated:
        return {}
    return {
        "hospital": here.identity(),
        "places": _places(request.path),
        "rehearsal": settings.REHEARSAL,
    }


def _places(path: str) -> list[dict[str, Any]]:
    words = {
        "home": _("Home"),
        "projects": _("Projects"),
        "data": _("Data"),
        "ledger": _("Ledger"),
        "help": _("Help"),
    }
    places = []
    for name, word in words.items():
        url = reverse(f"portal:{name}")
        current = path == url or (url != "/" and path.startswith(url))
        places.append({"url": url, "word": word, "here": current})
    return places
