"""Sentences and numbers of a Result in the reader's language; files keep decimal points."""

from decimal import Decimal
from typing import Any

from django import template
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from friendlyfl.tasks.saying.pieces import Num, Piece, Said

register = template.Library()


@register.filter
def said(piece: Piece) -> str:
    """A sentence, a part of one, a number or a text."""
    if isinstance(piece, Said):
        return gettext(piece.text).format(**{name: said(value) for name, value in piece.values.items()})
    if not isinstance(piece, Num):
        return piece
    if piece.exponent:
        return str(piece)
    number = number_format(
        Decimal(piece.rounded), decimal_pos=piece.places, use_l10n=True, force_grouping=True
    )
    return f"{piece.before}{number}{'%' if piece.percent else ''}".replace("-", "−")


@register.simple_tag
def numbered(table: Any, place: int) -> SafeString:
    """The class of a cell in a column of numbers."""
    return format_html(' class="{}"', "n") if table.shown.headings[place].number else SafeString()
