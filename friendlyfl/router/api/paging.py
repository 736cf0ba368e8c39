"""Lists in pages of at most 200: `{count, next, previous, results}`, with `?page=` and `?page_size=`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from friendlyfl.core import limits

from ..refusals import Refusal

PAGING = frozenset({"page", "page_size"})


def page_of(request: Request, rows: QuerySet, one: Callable[[Any], Any]) -> dict[str, Any]:
    """One page of `rows`; beyond the last page there is nothing, which is no error."""
    number = _whole(request, "page", 1, 10**6)
    size = _whole(request, "page_size", limits.PAGE, limits.PAGE)
    start = (number - 1) * size
    found = list(rows[start : start + size + 1])
    here = request.build_absolute_uri()
    last = start + len(found) if found or number == 1 else None  # the last page tells the count by itself
    return {
        "count": rows.count() if last is None or len(found) > size else last,
        "next": replace_query_param(here, "page", number + 1) if len(found) > size else None,
        "previous": replace_query_param(here, "page", number - 1) if number > 1 else None,
        "results": [one(row) for row in found[:size]],
    }


def _whole(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise Refusal(400, "bad_page", f"The argument {name} must be a whole number from 1 to {most}.")
    return int(text)
