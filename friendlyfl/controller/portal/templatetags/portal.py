"""What templates of the portal write often: the key of a form, a time, a state."""

import secrets
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from friendlyfl.controller.portal.page import ONCE
from friendlyfl.controller.portal.words import TAGS

register = template.Library()
JUST_NOW = 60  # seconds


@register.simple_tag
def once() -> SafeString:
    """The hidden field by which a form counts once; see page.py."""
    return format_html('<input type="hidden" name="{}" value="{}">', ONCE, secrets.token_urlsafe(18))


@register.simple_tag
def when(moment: datetime | None) -> SafeString:
    """How long ago, with the exact time for the mouse and for paper."""
    if moment is None:
        return format_html("{}", "")
    exact = _("%(moment)s UTC") % {"moment": date_format(moment, "DATETIME_FORMAT")}
    seconds = (timezone.now() - moment).total_seconds()
    words = _("just now") if seconds < JUST_NOW else _("%(span)s ago") % {"span": timesince(moment, depth=1)}
    return format_html(
        '<time datetime="{}" title="{}"><span class="ago">{}</span><span class="exact">{}</span></time>',
        moment.isoformat(timespec="seconds"),
        exact,
        words,
        exact,
    )


@register.simple_tag
def state(name: str, words: str = "") -> SafeString:
    """A run's state as a tag: word, shape and colour. `words` instead of the usual ones."""
    kind, usual = TAGS[name]
    return format_html('<span class="tag {}">{}</span>', kind, words or usual)


@register.filter
def grouped(number: int) -> str:
    """A count as a page shows it: 1,000,000."""
    return number_format(number, use_l10n=True, force_grouping=True)
