"""A Result together with what was asked for and what columns are called: what every sentence is made from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from friendlyfl.tasks.catalogue import typed
from friendlyfl.tasks.dictionary import SITE, Dictionary
from friendlyfl.tasks.figures.lettering import Names, clean, is_number
from friendlyfl.tasks.report import Result, Row
from friendlyfl.tasks.saying.pieces import Num, Piece, Said, Writer, count, interval, said

AND = Said("{some} and {more}")
COMMA = Said("{some}, {more}")


@dataclass(frozen=True)
class Part:
    """One factor of a model's term: a column, and the level it stands for."""

    column: str
    level: str = ""


@dataclass(frozen=True)
class Study:
    result: Result
    parameters: Mapping[str, Any]
    dictionary: Dictionary

    @cached_property
    def names(self) -> Names:
        return Names(self.dictionary)

    @cached_property
    def _levels(self) -> dict[str, Part]:
        return {
            f"{name}{level}": Part(name, level)
            for name, spec in self.dictionary.items()
            for level in spec.levels
        }

    @property
    def level(self) -> Num:
        level = self.result.conventions.get("level")
        share = float(level) if is_number(level) else 0.95
        return Num(share, 0 if abs(share * 100 - round(share * 100)) < 1e-9 else 1, percent=True)

    def given(self, name: str, default: str = "") -> str:
        """A parameter as text."""
        value = self.parameters.get(name)
        return default if value in (None, "", (), []) else typed(value).strip()

    def columns(self, name: str) -> list[str]:
        """The columns or terms that a parameter lists."""
        return [part.strip() for part in self.given(name).split(",") if part.strip()]

    def label(self, column: str) -> str:
        """A column's label with its unit."""
        return self.names.column(column)

    def quoted(self, column: str) -> str:
        return f"“{self.label(column)}”"

    def event(self, column: str) -> str:
        """What happened, by a yes/no column: its label, with the level that means yes if it has levels."""
        spec = self.dictionary.get(column)
        if spec is not None and len(spec.levels) == 2:
            return f"“{clean(spec.label or column)}: {clean(spec.levels[1])}”"
        return self.quoted(column)

    def is_yes_no(self, column: str) -> bool:
        """A column of 0 and 1, whose label says what 1 means."""
        spec = self.dictionary.get(column)
        return spec is not None and not spec.levels and spec.is_yes_no and (spec.low, spec.high) == (0, 1)

    def parts(self, term: str) -> list[Part]:
        """The factors of a term: one, or several of an interaction; none if the dictionary does not know them."""
        found = []
        for name in self.names.parts(term) or ():
            if name in self.dictionary:
                found.append(Part(name))
            elif name in self._levels:
                found.append(self._levels[name])
            else:
                found.append(Part(SITE, name.removeprefix(SITE)))
        return found

    def reference(self, part: Part) -> str:
        return "1" if part.column == SITE else self.dictionary[part.column].levels[0]

    def who(self, group: str) -> Piece:
        """A group as R names it, in words: “Treatment “control””, “hospital 2”, “all patients”."""
        if group == "all":
            return Said("all patients")
        parts = [self._one(part) for part in re.split(r", ?(?=[^,=]+=)", group)]
        return joined(parts)

    def _one(self, group: str) -> Piece:
        column, sign, level = group.partition("=")
        if not sign:
            return f"“{clean(group)}”"
        if column == SITE:
            return Said("hospital {number}", {"number": level})
        label = self.dictionary[column].label if column in self.dictionary else ""
        return Said("{column} “{level}”", {"column": clean(label or column), "level": clean(level)})

    # Numbers of the Result.

    def rows(self, table: str) -> list[Row]:
        return [dict(row) for row in self.result.tables.get(table, ())]

    def ci(self, row: Mapping[str, Any], write: Writer, prefix: str = "") -> Piece:
        """“ (95% CI 0.9 to 4.9)” of a row, or nothing."""
        return interval(self.level, row.get(f"{prefix}ci_lower"), row.get(f"{prefix}ci_upper"), write)

    @property
    def used(self) -> Num:
        return count(self.result.n.used or 0)


def joined(pieces: Iterable[Piece]) -> Piece:
    """“a, b and c”."""
    listed = list(pieces)
    if not listed:
        return ""
    text: Piece = listed[0]
    for place, piece in enumerate(listed[1:], start=2):
        text = said(AND if place == len(listed) else COMMA, some=text, more=piece)
    return text
