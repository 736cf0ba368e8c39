"""What a hospital counts and adds up for Table 1: by number and group, and over all groups together.

Which numbers go together, so that a hospital hides them together: who has a value, who has none, and the sums over
those who have one (docs/adr/0006). What does not live here: what is made of the sums (table_one, moments).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Arranged = Mapping[
    str, tuple[Integers, int]
]  # by the ending of a name: group of each row, and number of groups

PEOPLE = (
    "present",
    "other",
    "absent",
)  # by what they have of a number; other is the second of just two values
FIRST_SUMS, CENTRED_SUMS = ("values", "sizes"), ("first", "second", "third")
SUMS = (*FIRST_SUMS, *CENTRED_SUMS)
EVERYONE = "_all"  # ends the names of what is counted over all groups together
ENDINGS = ("", EVERYONE)


def hidden_with() -> dict[str, tuple[str, ...]]:
    """What is hidden where a number of people is: the other two, and the sums over those who have a value."""
    found = {}
    for end in ENDINGS:
        people = tuple(name + end for name in PEOPLE)
        found.update({name: tuple(other for other in people if other != name) for name in people})
        found.update({name + end: people for name in SUMS})
    return found


def people(columns: Sequence[Floats], second: Sequence[float], arranged: Arranged) -> dict[str, Floats]:
    """Who has a value and who has none; of a number with two values (`second`, else infinity), who has which.

    A mean of two values is a count of people, so its small counts are hidden with the mean.
    """
    counts = _noughts(PEOPLE, len(columns), arranged)
    for place, (values, split) in enumerate(zip(columns, second, strict=True)):
        has = np.where(np.isnan(values), 2, np.where(values >= split, 1, 0))
        for end, (groups, size) in arranged.items():
            for which, name in enumerate(PEOPLE):
                counts[name + end][place] = np.bincount(groups[has == which], minlength=size)
    return counts


def added(
    columns: Sequence[Floats],
    names: Sequence[str],
    of: Callable[[int, Floats], list[Floats]],
    arranged: Arranged,
) -> dict[str, Floats]:
    """Sums of what `of` makes of the values there are, one array a name."""
    sums = _noughts(names, len(columns), arranged)
    for place, column in enumerate(columns):
        there = ~np.isnan(column)
        made = of(place, column[there])
        for end, (groups, size) in arranged.items():
            for name, values in zip(names, made, strict=True):
                sums[name + end][place] = np.bincount(groups[there], weights=values, minlength=size)
    return sums


def _noughts(names: Sequence[str], rows: int, arranged: Arranged) -> dict[str, Floats]:
    return {name + end: np.zeros((rows, size)) for end, (_, size) in arranged.items() for name in names}
