"""What inclusion criteria are made of: comparisons of one column with values, joined by and, or, not.

A condition tells which rows meet it, and itself in the grammar, in plain words, in R and for pandas. Three values as
in R: of a missing cell neither a comparison nor its opposite is met. Reading what a person typed is in `cohort`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.core.texts import translatable
from friendlyfl.tasks.dictionary import ColumnSpec

Bools = npt.NDArray[np.bool_]
Values = Callable[[str], npt.NDArray[Any]]  # a column as `Table` holds it: doubles, or codes of a factor

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
IN = "in"
EQUAL, UNEQUAL = translatable("{name} is {value}"), translatable("{name} is not {value}")
ONE_OF = translatable("{name} is {value} or {last}")
NUMBER_WORDS = {
    "<": translatable("{name} is below {value}"),
    "<=": translatable("{name} is at most {value}"),
    ">": translatable("{name} is above {value}"),
    ">=": translatable("{name} is at least {value}"),
}
DATE_WORDS = {
    "<": translatable("{name} is before {value}"),
    "<=": translatable("{name} is on or before {value}"),
    ">": translatable("{name} is after {value}"),
    ">=": translatable("{name} is on or after {value}"),
}
LEVEL_WORDS = {
    "<": translatable("{name} is lower than {value}"),
    "<=": translatable("{name} is {value} or lower"),
    ">": translatable("{name} is higher than {value}"),
    ">=": translatable("{name} is {value} or higher"),
}
BARE = re.compile(r"[^\s()<>=!,;\"'≤≥≠]+")  # what needs no quotes
KEYWORDS = ("and", "or", "not", IN)


def bare_or_quoted(text: str) -> str:
    """A name or a level as the grammar takes it."""
    if BARE.fullmatch(text) and text.lower() not in KEYWORDS:
        return text
    return '"' + text.replace('"', '""') + '"'


@dataclass(frozen=True)
class Met:
    """For each row whether a condition is met, and whether its opposite is; neither where something is missing."""

    yes: Bools
    no: Bools


@dataclass(frozen=True)
class Comparison:
    """One column and one value, or with `in` several; `texts` are the values as they were written."""

    spec: ColumnSpec
    sign: str
    values: tuple[float, ...]
    texts: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.spec.name,)

    def met(self, values: Values) -> Met:
        column = values(self.spec.name)
        gone = column < 0 if column.dtype == np.int64 else np.isnan(column)
        one_of = self.sign == IN
        found = np.isin(column, self.values) if one_of else COMPARE[self.sign](column, self.values[0])
        return Met(found & ~gone, ~found & ~gone)

    @property
    def text(self) -> str:
        shown = [bare_or_quoted(text) for text in self.texts]
        listed = f"({', '.join(shown)})" if self.sign == IN else shown[0]
        return f"{bare_or_quoted(self.spec.name)} {self.sign} {listed}"

    @property
    def words(self) -> str:
        text, values = self.phrase
        return text.format(**values)

    @property
    def phrase(self) -> tuple[str, dict[str, str]]:
        """A text with named places, and what stands there."""
        values = {"name": self.spec.label or self.spec.name, "value": self._value}
        if self.sign == IN:
            *first, values["last"] = self.texts
            return (ONE_OF, {**values, "value": ", ".join(first)}) if first else (EQUAL, values)
        if self.sign in ("=", "!="):
            return (EQUAL if self.sign == "=" else UNEQUAL), values
        kinds = {"factor": LEVEL_WORDS, "date": DATE_WORDS}
        return kinds.get(self.spec.type, NUMBER_WORDS)[self.sign], values

    @property
    def _value(self) -> str:
        unit = f" {self.spec.unit}" if self.spec.unit and self.spec.is_number else ""
        return f"{self.texts[0]}{unit}"

    @property
    def r(self) -> str:
        name = (
            self.spec.name
            if re.fullmatch(r"(?:[A-Za-z]|\.(?!\d))[\w.]*", self.spec.name)
            else f"`{self.spec.name}`"
        )
        shown = [self._r_value(text) for text in self.texts]
        if self.by_rank:  # R has no order of a plain factor, and that of a text is the alphabet's
            levels = ", ".join(self._r_value(level) for level in self.spec.levels)
            return f"match({name}, c({levels})) {self.sign} {self.values[0] + 1:g}"
        if self.sign == IN:
            return f"({' | '.join(f'{name} == {value}' for value in shown)})"  # %in% would take NA for a no
        return f"{name} {'==' if self.sign == '=' else self.sign} {shown[0]}"

    @property
    def by_rank(self) -> bool:
        """A factor's levels compared by their order, which R and pandas know by numbers only."""
        return self.spec.type == "factor" and self.sign not in ("=", "!=", IN)

    def python(self, opposite: bool = False) -> str:
        column = f"d[{self.spec.name!r}]"
        there = f"{column}.notna()"
        if self.sign == IN:
            found = f"{column}.isin([{', '.join(map(self._python_value, self.texts))}])"
            return f"(~{found} & {there})" if opposite else found
        sign = OPPOSITE[self.sign] if opposite else self.sign
        if self.by_rank:
            return f"(({column}.cat.codes {sign} {self.values[0]:.0f}) & {there})"
        if self.spec.type == "date":
            column = f"pd.to_datetime({column})"
        found = f"({column} {'==' if sign == '=' else sign} {self._python_value(self.texts[0])})"
        return f"({found} & {there})" if sign == "!=" else found

    def _python_value(self, text: str) -> str:
        return text if self.spec.is_number else repr(text)

    def _r_value(self, text: str) -> str:
        if self.spec.is_number:
            return text
        quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"as.Date({quoted})" if self.spec.type == "date" else quoted


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    part: Condition

    @property
    def columns(self) -> tuple[str, ...]:
        return self.part.columns

    def met(self, values: Values) -> Met:
        found = self.part.met(values)
        return Met(found.no, found.yes)

    @property
    def text(self) -> str:
        return f"not {bracketed(self.part, self.part.text, Joined)}"

    @property
    def words(self) -> str:
        return f"not ({self.part.words})"

    @property
    def r(self) -> str:
        return f"!({self.part.r})"

    def python(self, opposite: bool = False) -> str:
        return self.part.python(not opposite)


@dataclass(frozen=True)
class Joined:
    """Several conditions of which all must be met (`and`), or one (`or`)."""

    word: str
    parts: tuple[Condition, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for part in self.parts for name in part.columns))

    def met(self, values: Values) -> Met:
        found = [part.met(values) for part in self.parts]
        every, one = np.logical_and.reduce, np.logical_or.reduce
        if self.word == "or":
            every, one = one, every
        return Met(every([part.yes for part in found]), one([part.no for part in found]))

    @property
    def text(self) -> str:
        return f" {self.word} ".join(bracketed(part, part.text, Joined) for part in self.parts)

    @property
    def words(self) -> str:
        return f" {self.word} ".join(bracketed(part, part.words, Joined) for part in self.parts)

    @property
    def r(self) -> str:
        sign = " & " if self.word == "and" else " | "
        return sign.join(bracketed(part, part.r, Joined) for part in self.parts)

    def python(self, opposite: bool = False) -> str:
        sign = " & " if (self.word == "and") != opposite else " | "
        return f"({sign.join(part.python(opposite) for part in self.parts)})"


Condition = Comparison | Not | Joined


def bracketed(part: Condition, text: str, kind: type) -> str:
    return f"({text})" if isinstance(part, kind) else text
