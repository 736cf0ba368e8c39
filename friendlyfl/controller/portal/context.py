"""What every page shows: the site's name and whether the line to the Routing Server is up."""

from typing import Any

from django.http import HttpRequest

from friendlyfl.controller import here


def line(request: HttpRequest) -> dict[str, Any]:
    return {"hospital": here.identity()} if request.user.is_authenticated else {}
