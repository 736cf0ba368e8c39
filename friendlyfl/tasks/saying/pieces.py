"""Texts with named places, and numbers with the digits that are worth showing: what sentences and tables are made of.

A face shows them in its own language: it translates `Said.text` (xgettext finds it as the first argument of `Said`),
writes each `Num` as its readers write numbers, and puts them in. `str()` gives English.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Union

from friendlyfl.tasks.figures.lettering import MINUS, is_number

LARGEST = 700.0  # whose exp is still a number
LARGE, TINY = 7, -5  # powers of ten beyond which a number is written with an exponent


@dataclass(frozen=True)
class Num:
    """A number to be shown, rounded to `places` decimals. `before` is “<” or “>” where only a bound is shown."""

    value: float
    places: int = 0
    percent: bool = False
    before: str = ""
    exponent: bool = False

    @property
    def rounded(self) -> str:
        """ASCII digits with a decimal point, as a program reads them; of a percentage the number before the sign."""
        value = self.value * 100 if self.percent else self.value
        if self.exponent:
            return f"{value:.{self.places}e}"
        text = f"{value:.{self.places}f}"
        return text.removeprefix("-") if float(text) == 0 else text  # never a minus before 0.00

    def __str__(self) -> str:
        text = self.rounded if self.exponent else f"{float(self.rounded):,.{self.places}f}"
        return f"{self.before}{text}{'%' if self.percent else ''}".replace("-", MINUS)


Piece = Union["Said", Num, str]


@dataclass(frozen=True)
class Said:
    """A whole sentence, or a part of one, with named places."""

    text: str
    values: dict[str, Piece] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text.format(**{name: str(value) for name, value in self.values.items()})


def said(text: Said, **values: Piece) -> Said:
    """The text with its places filled."""
    return Said(text.text, {**text.values, **values})


Writer = Callable[[float], Num]


def count(value: Any) -> Num:
    return Num(float(round(value)))


def digits(value: float, wanted: int = 3) -> Num:
    """About so many digits."""
    if value == 0:
        return Num(0.0)
    size = math.floor(math.log10(abs(value)))
    if size >= LARGE or size < TINY:
        return Num(value, 1, exponent=True)
    return Num(value, max(0, wanted - 1 - size))


def ratio(value: float) -> Num:
    """Two decimals, as journals print ratios; more where they would all be 0."""
    if 0.095 <= value < 99.95:
        return Num(value, 2)
    return digits(value, 2 if value < 0.1 else 3)


def exp(value: Any) -> float | None:
    """Of a logarithm that is there, and not so large that its exp is no number."""
    return math.exp(value) if is_number(value) and value < LARGEST else None


def percent(value: float) -> Num:
    return Num(value, 1, percent=True)


def fixed(places: int) -> Writer:
    return lambda value: Num(value, places)


def width(lower: Any, upper: Any, estimate: Any = None) -> Writer:
    """As many decimals as an interval of this width has use for: two digits of its width."""
    span = upper - lower if is_number(lower) and is_number(upper) else estimate
    if not is_number(span) or span == 0:
        return digits
    places = 1 - math.floor(math.log10(abs(span)))
    return fixed(places) if 0 <= places <= -TINY + 1 else (digits if places > 0 else fixed(0))


def p_value(value: Any) -> Num | str:
    """As NEJM and JAMA print it; nothing for what is not given."""
    if not is_number(value):
        return ""
    if value < 0.001:
        return Num(0.001, 3, before="<")
    if value > 0.99:
        return Num(0.99, 2, before=">")
    return Num(value, 3 if value < 0.01 else 2)


TO = Said("{lower} to {upper}")
FROM = Said("{lower} or more")
UNTIL = Said("{upper} or less")


def span(lower: Any, upper: Any, write: Writer) -> Said | None:
    """Both limits, or the one there is."""
    if is_number(lower) and is_number(upper):
        return said(TO, lower=write(lower), upper=write(upper))
    if is_number(lower):
        return said(FROM, lower=write(lower))
    return said(UNTIL, upper=write(upper)) if is_number(upper) else None


def interval(level: Num, lower: Any, upper: Any, write: Writer) -> Piece:
    """“ (95% CI 0.9 to 4.9)”, or nothing."""
    limits = span(lower, upper, write)
    return Said(" ({level} CI {limits})", {"level": level, "limits": limits}) if limits else ""
