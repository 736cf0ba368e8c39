"""What a person corrected of the guesses about a table: types, codes for "no value", and how a text file is written.

Kept with the dataset and used wherever the table is read: to describe it, to check it, to compute. Reading itself is
in formats; how a site's values become the dictionary's is in mapping.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.sniff import SEPARATORS

TYPES = {
    "integer": "whole number",
    "number": "number",
    "factor": "categories",
    "date": "date",
    "date d.m.Y": "date, the day first",
    "date m.d.Y": "date, the month first",
    "text": "text",
}
ENCODINGS = {"utf-8": "UTF-8", "cp1252": "Windows-1252 (Latin-1)", "utf-16": "UTF-16"}
DECIMALS = {".": "a point: 1.5", ",": "a comma: 1,5"}
LONGEST_CODE = 100


@dataclass(frozen=True)
class Corrections:
    """Empty where the guess stays."""

    types: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of one column, beside those of all
    separator: str = ""
    decimal: str = ""
    encoding: str = ""

    @classmethod
    def from_json(cls, value: Any) -> Corrections:
        """Read what `to_json` gave, or what a person chose.

        Raises UsageError whose code is the field that is wrong.
        """
        value = value or {}
        if not isinstance(value, dict) or set(value) - {
            "types",
            "missing",
            "separator",
            "decimal",
            "encoding",
        }:
            raise UsageError(
                "corrections",
                "Corrections are types, missing, separator, decimal and encoding, and nothing else.",
            )
        for name, known in (("separator", SEPARATORS), ("decimal", DECIMALS), ("encoding", ENCODINGS)):
            if value.get(name) and value[name] not in known:
                raise UsageError(name, f"The {name} is one of {', '.join(map(_spelt, known))}.")
        types = value.get("types", {})
        for column, kind in types.items():
            if kind not in TYPES:
                raise UsageError(
                    "types", f"Column “{column}” cannot be “{kind}”: choose one of {', '.join(TYPES)}."
                )
        return cls(
            types=dict(types),
            missing={column: codes_of(codes) for column, codes in value.get("missing", {}).items() if codes},
            separator=value.get("separator", ""),
            decimal=value.get("decimal", ""),
            encoding=value.get("encoding", ""),
        )

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "types": dict(self.types),
            "missing": {name: list(codes) for name, codes in self.missing.items()},
            "separator": self.separator,
            "decimal": self.decimal,
            "encoding": self.encoding,
        }
        return {name: value for name, value in found.items() if value}

    @property
    def csv(self) -> dict[str, str]:
        """Of a text file only."""
        found = {"separator": self.separator, "decimal": self.decimal, "encoding": self.encoding}
        return {name: value for name, value in found.items() if value}

    def codes(self, of_all: Collection[str], names: Collection[str]) -> Collection[str] | Mapping[str, Any]:
        """What means "no value": in every column, or by column where one has codes of its own."""
        if not self.missing:
            return of_all
        return {name: (*of_all, *self.missing.get(name, ())) for name in names}


def codes_of(given: str | Collection[str]) -> tuple[str, ...]:
    """Codes for "no value", as a list or as a person writes them with commas."""
    found = given.split(",") if isinstance(given, str) else list(given)
    codes = tuple(dict.fromkeys(code.strip() for code in found if isinstance(code, str) and code.strip()))
    if any(len(code) > LONGEST_CODE for code in codes):
        raise UsageError("missing", f"A code for “no value” has at most {LONGEST_CODE} characters.")
    return codes


def _spelt(sign: str) -> str:
    return {"\t": "a tab", ",": "a comma", ".": "a point", ";": "a semicolon", "|": "a bar"}.get(sign, sign)
