"""A model with fixed coefficients, as a person writes it: `lp:-4+0.035*age+0.55*raceblack`.

Reads the text against the dictionary and adds the terms up. What does not live here: what the sum is used for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.dictionary import ColumnSpec, Dictionary, close_names
from friendlyfl.tasks.params import Parameter
from friendlyfl.tasks.table import Table
from friendlyfl.tasks.terms import DesignColumn, design_columns, factors_of
from friendlyfl.tasks.values import number_of

Floats = npt.NDArray[np.float64]

FIXED = "lp:"
_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NAME = r"`[^`]+`|[^\s`+*-]+"
_TERM = re.compile(
    rf"\s*(?P<sign>[+-]?)\s*(?:(?P<factor>{_NUMBER})\s*(?:\*\s*(?P<after>{_NAME})|(?=[\s+-]|$))"
    rf"|(?P<before>{_NAME})(?:\s*\*\s*(?P<times>{_NUMBER}))?)\s*"
)

Part = tuple[str, int | None]  # a column, and the code of the level that counts; None for a number or a grade


@dataclass(frozen=True)
class FixedModel:
    """A constant and terms: (coefficient, what is multiplied)."""

    constant: float
    terms: tuple[tuple[float, tuple[Part, ...]], ...]

    @classmethod
    def parse(cls, text: str, dictionary: Dictionary) -> FixedModel:
        """The model of a text, with or without `lp:`, or a sentence about what cannot be read."""
        rest, constant, terms, first = text.removeprefix(FIXED).strip(), 0.0, [], True
        while rest:
            found = _TERM.match(rest)
            if not found or not (first or found["sign"]):
                raise UsageError(
                    "fixed_model", f"“{rest[:40]}” cannot be read: write lp:-4+0.035*age+0.55*raceblack"
                )
            number = float(found["factor"] or found["times"] or 1.0) * (-1.0 if found["sign"] == "-" else 1.0)
            if not np.isfinite(number):
                raise UsageError("fixed_model", f"“{found.group().strip()}” is too large a number")
            name = found["after"] or found["before"]
            if name:
                terms.append((number, _parts(name.strip("`"), dictionary)))
            else:
                constant += number
            rest, first = rest[found.end() :], False
        if first:
            raise UsageError("fixed_model", "after lp: the constant and the terms are missing")
        return cls(constant, tuple(terms))

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for _number, parts in self.terms for name, _code in parts))

    def values(self, data: Table) -> Floats:
        """The sum for every row."""
        total = np.full(len(data), self.constant)
        for number, parts in self.terms:
            product = np.full(len(data), number)
            for name, code in parts:
                spec, values = data.spec(name), data[name]
                if code is not None:
                    product = product * (values == code)
                elif spec.type == "factor":
                    product = (
                        product * np.array([float(level) for level in spec.levels])[values.astype(np.int64)]
                    )
                else:
                    product = product * values
                if spec.type == "factor":
                    data.record.designs.add((name,))  # levels are held to the rules of a design
            total += product
        return total

    def written(
        self, name: Callable[[str], str], level: Callable[[str, str], str], dictionary: Dictionary
    ) -> str:
        """The model in another language; `name` writes a column, `level` the test for a level of it."""
        texts = [repr(self.constant)]
        for number, parts in self.terms:
            factors = [
                name(column) if code is None else level(column, dictionary[column].levels[code])
                for column, code in parts
            ]
            texts.append(" * ".join([f"({number!r})", *factors]))
        return " + ".join(texts)


def _parts(name: str, dictionary: Dictionary) -> tuple[Part, ...]:
    """What a term stands for: a number's column, a factor's level as R names it, or a product of these by colons."""
    return tuple(part for text in factors_of(name, dictionary) for part in _part(text, dictionary))


def _part(text: str, dictionary: Dictionary) -> list[Part]:
    if text in dictionary and (dictionary[text].is_number or _is_grade(dictionary[text])):
        return [(text, None)]
    for column, spec in dictionary.items():
        if spec.type == "factor" and text.startswith(column) and text[len(column) :] in spec.levels:
            return [(column, spec.levels.index(text[len(column) :]))]
    if text in dictionary and dictionary[text].type == "factor":
        levels = ", ".join(f"{text}{level}" for level in dictionary[text].levels[1:])
        raise UsageError("fixed_model", f"“{text}” is a factor: name its levels ({levels})")
    known = [one.name for one in _nameable(dictionary)]
    raise UsageError(
        "fixed_model", f"the dictionary has no term “{text}”.{close_names(text, known)}".rstrip(".")
    )


def _is_grade(spec: ColumnSpec) -> bool:
    """Whether a factor's levels are numbers, as of a grade from 1 to 5: its own name then means that number."""
    return spec.type == "factor" and all(number_of(level) is not None for level in spec.levels)


def _nameable(dictionary: Dictionary) -> list[DesignColumn]:
    columns = [name for name, spec in dictionary.items() if spec.is_number or spec.type == "factor"]
    return list(design_columns(columns, dictionary, 1))[1:]


class Predicted(Parameter[str]):
    """A column of predicted probabilities, or a model with fixed coefficients."""

    def __init__(self, label: str, help: str = "") -> None:
        super().__init__(label, help=help, required=True)

    def wants(self) -> str:
        return "name a column of predicted probabilities, or write lp:-4+0.035*age+0.55*raceblack"

    def read(self, value: Any, dictionary: Dictionary, sites: int) -> str:
        if not isinstance(value, str) or len(value) > 4000:
            raise self.wrong("must be the name of a column or a model of at most 4,000 characters")
        text = value.strip()
        if text.startswith(FIXED):
            try:
                FixedModel.parse(text, dictionary)
            except UsageError as error:
                raise self.wrong(f"is not a model: {error.message.rstrip('.')}") from None
            return text
        spec = dictionary.spec(text)
        if not spec.is_number:
            raise self.wrong(f"needs probabilities from 0 to 1; “{text}” holds no numbers")
        return text

    def columns(self, value: Any, dictionary: Dictionary) -> tuple[str, ...]:
        return FixedModel.parse(value, dictionary).columns if value.startswith(FIXED) else (value,)
