"""Counts of people on the grid of a time column, which the curves of survival and of incidence are made of.

What does not live here: the estimates (survival_curve, incidence_curve) and what each task counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Table, Task
from friendlyfl.tasks.dictionary import GRID_POINTS
from friendlyfl.tasks.values import DataError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def check_size(cells: int, time: str) -> None:
    """A sentence when an Update would hold more counts than can be sent."""
    if cells > GRID_POINTS:
        raise UsageError(
            "grid_too_fine",
            f"Groups, strata and time points of this step make {cells:,} counts, more than {GRID_POINTS:,}: "
            f"give “{time}” a larger step in the dictionary, or group by a column with fewer values.",
        )


def count(cell: Integers, place: Integers, shape: tuple[int, int], which: Floats | None = None) -> Floats:
    """People (of these rows) by cell and place on the grid."""
    sums = np.bincount(cell * shape[1] + place, weights=which, minlength=shape[0] * shape[1])
    return np.asarray(sums, dtype=np.float64).reshape(shape)


def check_entry(data: Table, entry: str, time: str) -> None:
    """A sentence for the site's own people when someone comes under observation at the end of it or later."""
    late = int((data[entry] >= data[time]).sum())
    if late:
        raise DataError("entry_late", f"“{entry}” is not before “{time}” in {late} rows of this table.")


def at_risk(left: Floats, entered_later: Floats | None = None) -> Floats:
    """People at risk at each time of the last axis.

    `left` counts who ends there (event or censored), `entered_later` who enters at that time or later.
    """
    risk: Floats = np.flip(np.cumsum(np.flip(left, -1), axis=-1), -1)
    return risk if entered_later is None else risk - entered_later


def entered_later(entries: Floats, entry_grid: Floats, grid: Floats) -> Floats:
    """By time of the grid: who enters at that time or later and is not yet at risk (at risk is entry < time)."""
    later = np.concatenate([at_risk(entries), np.zeros((*entries.shape[:-1], 1))], axis=-1)
    place = np.searchsorted(entry_grid, grid, side="left")
    return np.asarray(later[..., place])


def group_labels(task: Task, group: str | None, places: Integers) -> list[str]:
    """Names of the groups as in R: `sex=1`, or `all`."""
    if not group:
        return ["all"]
    names = task.group_names(group)
    return [f"{group}={names[place]}" for place in places]


def no_comparison(test: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence where a test of several groups has no number."""
    if all(row["statistic"] is not None for row in rows):
        return []
    return [
        f"{test} has no answer: some groups were not at risk together with others when an event happened."
    ]
