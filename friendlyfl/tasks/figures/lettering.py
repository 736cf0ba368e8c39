"""What is written in a figure: names from the data dictionary, numbers as a journal prints them.

Pure text. Where it stands on the page, and how wide it is, is decided in `sheet`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from friendlyfl.tasks.dictionary import SITE, Dictionary

MINUS, DASH, TIMES = "−", "–", "×"
HOSPITAL = "Hospital"


def clean(text: object) -> str:
    """A text that stays on its line: what a font cannot draw as a letter becomes a space."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)).strip()


class Names:
    """Labels of columns, terms and groups. Without a dictionary each name stands for itself."""

    def __init__(self, dictionary: Dictionary | None = None) -> None:
        self._columns: dict[str, str] = {SITE: HOSPITAL}
        self._labels = dict(self._columns)  # without units, for interactions
        self._levels: dict[str, tuple[str, str]] = {}  # name in a term: in an interaction, alone
        self._groups: dict[str, str] = {}
        for name, spec in (dictionary or {}).items():
            label = clean(spec.label or name)
            self._columns[name] = clean(spec.words)
            self._labels[name] = label
            for level in spec.levels:
                one = f"{label}: {level}"
                against = f"{one} vs {spec.levels[0]}" if level != spec.levels[0] else one
                self._levels[f"{name}{level}"] = (one, against)
                self._groups[f"{name}={level}"] = clean(level)
            if not spec.levels:
                self._groups[f"{name}="] = label

    def column(self, name: str) -> str:
        return self._columns.get(name, clean(name))

    def term(self, name: str) -> str:
        """A model's term: “Sex: male vs female”, “Age × Sex: male”."""
        parts = self.parts(name)
        if parts is None:
            return clean(name)
        if len(parts) > 1:
            return f" {TIMES} ".join(self._part(part, within=True) for part in parts)
        return self._part(parts[0], within=False)

    def _part(self, name: str, within: bool) -> str:
        if name in self._columns:
            return (self._labels if within else self._columns)[name]
        if name in self._levels:
            return clean(self._levels[name][0 if within else 1])
        number = name.removeprefix(SITE)
        return f"{HOSPITAL} {number}" if within else f"{HOSPITAL} {number} vs 1"

    def parts(self, name: str) -> list[str] | None:
        """The parts of an interaction; names and levels may hold a colon themselves."""
        if name in self._columns or name in self._levels or self._is_site(name):
            return [name]
        for place, letter in enumerate(name):
            if letter == ":" and (rest := self.parts(name[place + 1 :])) and self._known(name[:place]):
                return [name[:place], *rest]
        return None

    def _known(self, name: str) -> bool:
        return name in self._columns or name in self._levels or self._is_site(name)

    @staticmethod
    def _is_site(name: str) -> bool:
        return name.startswith(SITE) and name.removeprefix(SITE).isdigit()

    def group(self, name: str) -> str:
        """A group as R names it: `sex=male` is “male”, `diabetes=1` “Diabetes: 1”, `.site=2` “Hospital 2”."""
        if name in self._groups:
            return self._groups[name]
        if len(parts := re.split(r"[,:] ?(?=[^,:=]+=)", name)) > 1:  # of several columns: `sex=male, nyha=II`
            return ", ".join(map(self.group, parts))
        column, sign, value = name.partition("=")
        if sign and column == SITE:
            return f"{HOSPITAL} {value}"
        if sign and f"{column}=" in self._groups:
            return f"{self._groups[f'{column}=']}: {clean(value)}"
        return "All patients" if name == "all" else self.column(name)

    def any(self, name: str) -> str:
        """Whatever a row is called: a term, a group, a column or its own words."""
        return self.group(name) if "=" in name else self.term(name)


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def plain(value: float, digits: int = 3) -> str:
    """A number with about so many digits, never in exponents where it can be helped."""
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size >= 7 or size < -5:
        text = f"{value:.1e}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
    else:
        text = f"{value:,.{max(0, digits - 1 - size)}f}"
    return text.replace("-", MINUS)


def tick(value: float) -> str:
    """A number at an axis, without zeros that say nothing."""
    text = f"{value:,.10g}" if abs(value) < 1e7 else f"{value:.3g}"
    return text.replace("-", MINUS)


def ticks(values: Sequence[float]) -> list[str]:
    """The numbers of one axis, all with the same decimals; 0 alone needs none."""
    decimals = max(
        (len(f"{value:.10g}".partition(".")[2]) for value in values if abs(value) < 1e7), default=0
    )
    if any(0 < abs(value) < 1e-5 or abs(value) >= 1e7 for value in values):
        return [tick(value) for value in values]
    return ["0" if value == 0 else f"{value:,.{decimals}f}".replace("-", MINUS) for value in values]


def ratio(value: float) -> str:
    """Two decimals as journals print ratios; more where they would all be 0."""
    if 0.095 <= value < 99.95:
        return f"{value:.2f}"
    return plain(value, 2 if value < 0.1 else 3)


def difference(value: float, places: int) -> str:
    return f"{round(value, places) + 0.0:,.{places}f}".replace("-", MINUS)  # never a minus before 0.00


def places_for(values: Sequence[float]) -> int:
    """Decimals that show the smallest of the widths in two digits, the same for a whole row."""
    smallest = min((abs(value) for value in values if value), default=1.0)
    return min(max(0, 1 - math.floor(math.log10(smallest))), 8)


def p_value(value: Any) -> str:
    """As NEJM and JAMA print it."""
    if not is_number(value):
        return DASH
    if value < 0.001:
        return "<0.001"
    if value > 0.99:
        return ">0.99"
    return f"{value:.3f}" if value < 0.01 else f"{value:.2f}"


def p_equals(value: Any) -> str:
    text = p_value(value)
    return f"p {text[0]} {text[1:]}" if text[0] in "<>" else f"p = {text}"


def count(value: Any) -> str:
    return f"{round(float(value)):,}" if is_number(value) else DASH


def first_of(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of these keys that the row has."""
    return next((name for name in names if name in row), None)
