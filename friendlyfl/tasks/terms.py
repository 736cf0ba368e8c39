"""Model terms with R's names and coding: main effects first, `a*b`, treatment contrasts, `.site`.

Values live elsewhere: `table` fills these columns in, `params` reads what a person typed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, product

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.dictionary import SITE, ColumnSpec, Dictionary, close_names

INTERCEPT = "(Intercept)"


@dataclass(frozen=True)
class DesignColumn:
    """One column of a design: the product of its parts, (column, level code) or, for a number, (column, None)."""

    name: str
    parts: tuple[tuple[str, int | None], ...]
    term: str


def factors_of(term: str, dictionary: Dictionary) -> tuple[str, ...]:
    """The columns of a term; a column whose own name holds a colon stands for itself."""
    return (term,) if term in dictionary else tuple(part.strip() for part in term.split(":"))


def expand(texts: Iterable[str], dictionary: Dictionary) -> tuple[str, ...]:
    """What a person wrote, as R's `terms()` orders it: `a*b` opened, repeats dropped, lower orders first."""
    wanted: list[tuple[str, ...]] = []
    seen: dict[str, int] = {}
    for text in texts:
        for columns in _opened(text.strip(), dictionary):
            for column in columns:
                seen.setdefault(column, len(seen))
            wanted.append(columns)
    distinct: dict[frozenset[str], tuple[str, ...]] = {}
    for columns in wanted:
        distinct.setdefault(frozenset(columns), tuple(sorted(set(columns), key=seen.__getitem__)))
    return tuple(":".join(columns) for columns in sorted(distinct.values(), key=len))


def _opened(text: str, dictionary: Dictionary) -> list[tuple[str, ...]]:
    """The terms one text stands for: `a*b` is a, b and a:b."""
    if text in dictionary or text == SITE:
        _known(text, text, dictionary)
        return [(text,)]
    sides = [factors_of(side.strip(), dictionary) for side in text.split("*")]
    for name in (name for side in sides for name in side):
        _known(name, text, dictionary)
    return [
        tuple(name for side in chosen for name in side)
        for size in range(1, len(sides) + 1)
        for chosen in combinations(sides, size)
    ]


def _known(name: str, text: str, dictionary: Dictionary) -> None:
    if name == SITE:
        return
    if not name:
        raise UsageError("term_empty", f"“{text}” is not a term: write a column, a:b or a*b.")
    if name not in dictionary:
        raise UsageError(
            "column_unknown", f"The dictionary has no column “{name}”.{close_names(name, dictionary)}"
        )
    if dictionary[name].type == "text":
        raise UsageError("term_text", f"“{name}” is text and cannot be a term: text never leaves a hospital.")


def term_columns(term: str, dictionary: Dictionary) -> tuple[str, ...]:
    """The dictionary's columns a term reads (`.site` is built in)."""
    return tuple(name for name in factors_of(term, dictionary) if name != SITE)


def site_spec(sites: int) -> ColumnSpec:
    """The built-in factor of the sites' numbers, site 1 the reference."""
    return ColumnSpec(SITE, "factor", levels=tuple(str(number) for number in range(1, sites + 1)))


def design_columns(terms: Iterable[str], dictionary: Dictionary, sites: int) -> tuple[DesignColumn, ...]:
    """The columns of a design, the intercept first, in R's order and under R's names.

    R's rule of coding: a factor in a term gets contrasts if the term without it is in the model too, and otherwise a
    column for every level. The first factor's levels run fastest.
    """
    opened = [factors_of(term, dictionary) for term in terms]
    present = {frozenset(columns) for columns in opened} | {frozenset[str]()}
    result = [DesignColumn(INTERCEPT, (), INTERCEPT)]
    for columns in opened:
        choices = [_choices(name, columns, present, dictionary, sites) for name in columns]
        for combination in product(*reversed(choices)):
            chosen = tuple(reversed(combination))
            name = ":".join(label for label, _part in chosen)
            result.append(DesignColumn(name, tuple(part for _label, part in chosen), ":".join(columns)))
    return tuple(result)


def _choices(
    name: str, columns: tuple[str, ...], present: set[frozenset[str]], dictionary: Dictionary, sites: int
) -> list[tuple[str, tuple[str, int | None]]]:
    spec = site_spec(sites) if name == SITE else dictionary.spec(name)
    if spec.type != "factor":
        return [(name, (name, None))]
    first = 1 if frozenset(columns) - {name} in present else 0
    return [(f"{name}{level}", (name, code)) for code, level in enumerate(spec.levels) if code >= first]
