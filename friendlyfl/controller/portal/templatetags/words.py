"""One word that every template knows: `ours`, for a sentence that is made outside the portal, or for all of a list."""

from typing import Any

from django import template

from friendlyfl.controller.portal import ours

register = template.Library()


@register.filter("ours")
def in_language(said: Any) -> str:
    return " ".join(map(ours.ours, said)) if isinstance(said, list) else ours.ours(said)
