"""One word that every template knows: `ours`, for sentences that are made outside the portal."""

from django import template

from friendlyfl.controller.portal import ours

register = template.Library()
register.filter("ours", ours.ours)
