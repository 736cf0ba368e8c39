"""What templates of projects write often: the red panel about a key, and how long a code still works."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller import matters
from friendlyfl.controller.models import Peer, Project
from friendlyfl.controller.portal.project_facts import compare_page

register = template.Library()


@register.inclusion_tag("portal/sites/alarm.html")
def alarm(
    peers: Sequence[Peer] | None = None, project: Project | None = None, link: bool = True
) -> dict[str, Any]:
    """A red panel for each hospital whose key is in question; without arguments, for all that this site knows."""
    shown = matters.doubted() if peers is None else peers
    return {"alarms": [(peer, compare_page(peer, project) if link else "") for peer in shown]}


@register.simple_tag
def left(until: datetime) -> str:
    """How long a code still works."""
    days = (until - timezone.now()).days
    words = ngettext("It works once, for %(n)s more day", "It works once, for %(n)s more days", max(days, 1))
    day = date_format(until, "DATE_FORMAT")
    return _("%(words)s (until %(day)s).") % {"words": words % {"n": max(days, 1)}, "day": day}
