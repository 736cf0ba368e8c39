"""Table 1: who are the patients? Means, spreads, quantiles and counts of levels, by group.

Two rounds give moments about one pooled centre; where nothing forbids it, a few more give exact quantiles on the
grid. What a hospital counts lives in table_counts, the arithmetic in moments and quantiles.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import Column, Columns, Count, Done, Sum, Table, Task
from friendlyfl.tasks.base import Kind, State, Update
from friendlyfl.tasks.dictionary import EPOCH, GRID_POINTS, ColumnSpec
from friendlyfl.tasks.report import Figure
from friendlyfl.tasks.stats import table_counts, table_one_calls, wording
from friendlyfl.tasks.stats.inference import Row
from friendlyfl.tasks.stats.moments import Moments, smd, smd_levels, unit_near
from friendlyfl.tasks.stats.quantiles import Hunt, ranks_of, type_7
from friendlyfl.tasks.stats.table_counts import (
    CENTRED_SUMS,
    ENDINGS,
    EVERYONE,
    FIRST_SUMS,
    PEOPLE,
    SUMS,
    Arranged,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PROBABILITIES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
CHANCES = tuple(PROBABILITIES.values())
MISSING = "(missing)"
ALL = "all"

NO_QUANTILES = "Medians and other quantiles need a secure sum and are not shown; means, SDs and counts are."
SMALL_CELLS = (
    "Small numbers of patients at a hospital, counts of missing values among them, are not shown, and neither is what "
    "would give them away: where n is not shown, no mean is."
)


class TableOne(Task):
    """Who are the patients? Means, quantiles and counts by group, as if all were in one table."""

    title: ClassVar[str] = "Table 1"
    version: ClassVar[str] = "1.0"
    question: ClassVar[str] = "Who are the patients?"
    topic: ClassVar[str] = "describe"
    asks: ClassVar[tuple[str, ...]] = ("Who are the patients, by {group}?",)
    example: ClassVar[Mapping[str, Any]] = {"variables": "age,sex,bmi,nyha,lvef", "group": "treatment"}
    row_additive: ClassVar[bool] = True
    complete_cases: ClassVar[bool] = False
    stages: ClassVar[tuple[str, ...]] = ("counts", "moments", "quantiles")
    suppressible: ClassVar[tuple[str, ...]] = ("levels", *(name + end for end in ENDINGS for name in PEOPLE))
    hidden_with: ClassVar[Mapping[str, tuple[str, ...]]] = table_counts.hidden_with()
    sends: ClassVar[Mapping[str, type[Kind]]] = {
        "rows": Count,
        "levels": Count,
        **{name + end: Count for end in ENDINGS for name in PEOPLE},
        **{name + end: Sum for end in ENDINGS for name in SUMS},
        "below": Count,
    }

    variables = Columns(
        "Variables", kinds=["number", "factor", "date"], help="Numbers, dates and factors to describe"
    )
    group = Column(
        "Group", kinds=["group", ".site"], optional=True, help="One column of the table for each group"
    )

    # What is counted: numbers and factors of `variables`, by group; the last group is of rows without one.

    @cached_property
    def numbers(self) -> list[str]:
        return [name for name in self.variables if self.spec(name).type != "factor"]

    @property
    def dates(self) -> list[str]:
        return [name for name in self.numbers if self.spec(name).type == "date"]

    @cached_property
    def factors(self) -> list[str]:
        return [name for name in self.variables if self.spec(name).type == "factor"]

    @cached_property
    def group_labels(self) -> list[str]:
        if not self.group:
            return [ALL]
        return [*(f"{self.group}={name}" for name in self.group_names(self.group)), MISSING]

    @cached_property
    def widest(self) -> int:
        """Levels of the factor with most of them."""
        return max((len(self.spec(name).levels) for name in self.factors), default=0)

    def groups_of(self, data: Table) -> Integers:
        if not self.group:
            return np.zeros(len(data), dtype=np.int64)
        codes = data.levels(self.group)
        return np.where(codes < 0, len(self.group_labels) - 1, codes)

    @property
    def endings(self) -> tuple[str, ...]:
        return ENDINGS if self.group else ENDINGS[:1]

    # Stage counts: who is there, what is missing, and where the pooled middle of each number is.

    def start(self) -> State:
        cells = len(self.group_labels) * (6 * len(self.numbers) + (self.widest + 1) * len(self.factors))
        if cells > GRID_POINTS:
            raise UsageError(
                "groups_too_many",
                f"The groups of “{self.group}” and the variables make {cells:,} numbers, more than {GRID_POINTS:,}: "
                "group by a column with fewer values.",
            )
        return {"stage": "counts"}

    def arranged(self, data: Table) -> Arranged:
        """By group, and all together: small counts of two groups may make a large one.

        Both travel, so a group's small count is hidden with another group's.
        """
        groups = self.groups_of(data)
        by_group = {"": (groups, len(self.group_labels))}
        return by_group | ({EVERYONE: (np.zeros_like(groups), 1)} if self.group else {})

    def people(self, data: Table) -> Update:
        specs = [self.spec(name) for name in self.numbers]
        second = [float(spec.grid_values[1]) if _two_valued(spec) else np.inf for spec in specs]
        return table_counts.people([data[name] for name in self.numbers], second, self.arranged(data))

    def added(self, data: Table, names: Sequence[str], of: Callable[[int, Floats], list[Floats]]) -> Update:
        return table_counts.added([data[name] for name in self.numbers], names, of, self.arranged(data))

    def local_counts(self, data: Table, state: State) -> Update:
        groups, labels = self.groups_of(data), len(self.group_labels)
        # Over a power of two above the range, so that large values stay within what can be added.
        scales = [self.spec(name).scale for name in self.numbers]
        levels = np.zeros((len(self.factors), labels, self.widest + 1))
        for place, name in enumerate(self.factors):
            codes = data[name]
            codes = np.where(codes < 0, self.widest, codes)
            cells = np.bincount(groups * (self.widest + 1) + codes, minlength=labels * (self.widest + 1))
            levels[place] = cells.reshape(labels, self.widest + 1)
        return {
            "rows": np.bincount(groups, minlength=labels),
            "levels": levels,
            **self.people(data),
            **self.added(data, FIRST_SUMS, lambda place, x: [x / scales[place], np.abs(x / scales[place])]),
        }

    def combine_counts(self, state: State, total: Update) -> State | Done:
        kept = {name + end: total[name + end] for end in self.endings for name in PEOPLE}
        state = {"rows": total["rows"], "levels": total["levels"], **kept}
        n = np.maximum(self._over_all({end: self._present(state, end) for end in self.endings}), 1.0)
        scales = np.array([self.spec(name).scale for name in self.numbers])
        values, sizes = (
            self._over_all({end: np.asarray(total[name + end]) for end in self.endings}) * scales / n
            for name in FIRST_SUMS
        )
        state["centre"], state["unit"] = values, np.array([unit_near(size) for size in sizes.tolist()])
        return {**state, "stage": "moments"} if self.numbers else self.finish(state, None)

    def _over_all(self, arrays: Mapping[str, Floats]) -> Floats:
        """Of everyone, or where that is hidden of the groups that are not: a middle from which to measure."""
        everyone, groups = arrays[self.endings[-1]].sum(axis=1), np.nansum(arrays[""], axis=1)
        return np.asarray(np.where(np.isnan(everyone), groups, everyone))

    # Stage moments.

    def local_moments(self, data: Table, state: State) -> Update:
        def powers(place: int, values: Floats) -> list[Floats]:
            distance = (values - state["centre"][place]) / state["unit"][place]
            return [distance, distance**2, distance**3]

        # The people travel again, so that the same numbers are hidden as in the first round.
        return {**self.people(data), **self.added(data, CENTRED_SUMS, powers)}

    def combine_moments(self, state: State, total: Update) -> State | Done:
        state = {**state, **{name + end: total[name + end] for end in self.endings for name in CENTRED_SUMS}}
        if not self.counting or not self.on_grid:
            return self.finish(state, None)
        sizes = np.array([self.spec(name).grid_size for name in self.on_grid], dtype=np.int64)
        hunt = Hunt.over(sizes, len(self.targets) * len(CHANCES) * 2)
        unknown = np.isnan(self._target_counts(state)).repeat(len(CHANCES) * 2, axis=1)
        hunt = Hunt(hunt.low, np.where(unknown, 0, hunt.high))  # nothing is asked about what is hidden
        return {**state, "stage": "quantiles", "hunt": hunt.to_state()}

    # Stage quantiles: values below probe points, on the grid; only where no rule forbids it.

    @property
    def counting(self) -> bool:
        return not self.rules or self.secure_sum

    @property
    def most_rounds(self) -> int:
        if self.counting and self.on_grid:
            return self.max_rounds
        return 2 if self.numbers else 1

    @cached_property
    def on_grid(self) -> list[str]:
        return [name for name in self.numbers if _countable(self.spec(name))]

    @cached_property
    def targets(self) -> list[str]:
        """Groups whose quantiles are sought: each one, and all together."""
        return [ALL, *self.group_labels] if self.group else [ALL]

    def local_quantiles(self, data: Table, state: State) -> Update:
        groups = self.groups_of(data)
        points = Hunt(**state["hunt"]).points()
        below = np.zeros(points.shape)
        width = points.shape[1] // len(self.targets)
        for place, name in enumerate(self.on_grid):
            grid = self.spec(name).grid_values
            asked = np.append(grid, np.inf)[points[place]]
            data.below(name, asked.ravel())  # the table keeps the record on which a hospital's rules rest
            index = data.grid(name)
            for target, label in enumerate(self.targets):
                mine = index >= 0
                if label != ALL:
                    mine = mine & (groups == target - 1)
                part = slice(target * width, (target + 1) * width)
                below[place, part] = np.searchsorted(np.sort(index[mine]), points[place, part], side="left")
        return {"below": below}

    def combine_quantiles(self, state: State, total: Update) -> State | Done:
        counts = np.nan_to_num(self._target_counts(state))
        ranks = ranks_of(counts, CHANCES).reshape(len(self.on_grid), -1)
        hunt = Hunt(**state["hunt"]).answered(total["below"], ranks)
        if not hunt.found:
            return {**state, "hunt": hunt.to_state()}
        pairs = np.stack(
            [self.spec(name).grid_values[low] for name, low in zip(self.on_grid, hunt.low, strict=True)]
        )
        return self.finish(state, type_7(counts, CHANCES, pairs.reshape(*counts.shape, len(CHANCES), 2)))

    def _present(self, state: State, end: str) -> Floats:
        """Values there are, by number and group; NaN where hidden."""
        return np.asarray(state["present" + end] + state["other" + end])

    def _target_counts(self, state: State) -> Floats:
        """Values present, by variable on a grid and by target."""
        rows = [self.numbers.index(name) for name in self.on_grid]
        return np.concatenate([self._present(state, end)[rows] for end in reversed(self.endings)], axis=1)

    # The Result.

    def finish(self, state: State, quantiles: Floats | None) -> Done:
        rows = np.asarray(state["rows"])
        shown = [place for place, count in enumerate(rows) if count > 0]
        columns = [(ALL, list(range(len(rows))))]
        if self.group:
            columns += [(self.group_labels[place], [place]) for place in shown]
        notes = []
        if self.numbers and not self.counting:
            notes.append(NO_QUANTILES)
        elif gridless := [name for name in self.numbers if name not in self.on_grid]:
            notes.append(
                f"There are no quantiles of {wording.listed(gridless)}: the dictionary must give a range and a step "
                f"that make no more than {GRID_POINTS:,} values."
            )
        hidden = self._hidden(state)
        if hidden:
            notes.append(SMALL_CELLS)
        return Done(
            suppressed=hidden,
            conventions=self._conventions(),
            tables={
                "groups": [{"group": label, "n": int(rows[places].sum())} for label, places in columns],
                "numeric": [
                    self._numeric(name, label, state, quantiles)
                    for name in self.numbers
                    for label, _places in columns
                ],
                "categorical": [
                    row
                    for name in self.factors
                    for label, places in columns
                    for row in self._levels(name, label, places, state)
                ],
                "smd": self._differences(state),
            },
            figures=self._figures(),
            notes=notes,
            reproduce=self._calls(),
        )

    def _hidden(self, state: State) -> list[str]:
        """Variables some of whose counts a hospital did not show, in words."""
        hidden = [
            *(
                name
                for place, name in enumerate(self.numbers)
                if any(np.isnan(state["absent" + end][place]).any() for end in self.endings)
            ),
            *(
                name
                for name, counts in zip(self.factors, state["levels"], strict=True)
                if np.isnan(counts).any()
            ),
        ]
        return [f"small counts of “{name}”" for name in hidden]

    def _cell(self, name: str, label: str, key: str, state: State) -> float:
        """One number of a variable and a group, or of everyone."""
        everyone = label == ALL
        place = 0 if everyone else self.group_labels.index(label)
        return float(state[key + (self.endings[-1] if everyone else "")][self.numbers.index(name)][place])

    def _moments(self, name: str, label: str, state: State) -> Moments:
        row = self.numbers.index(name)
        n = self._cell(name, label, "present", state) + self._cell(name, label, "other", state)
        first, second, third = (self._cell(name, label, key, state) for key in CENTRED_SUMS)
        return Moments(n, first, second, third, float(state["centre"][row]), float(state["unit"][row]))

    def _numeric(self, name: str, label: str, state: State, quantiles: Floats | None) -> Row:
        moments = self._moments(name, label, state)
        missing = self._cell(name, label, "absent", state)
        row: Row = {
            "variable": name,
            "group": label,
            "n": _shown(moments.n),
            "missing": _shown(missing),
            "mean": self._value(name, moments.mean),
            "sd": moments.sd,
            "skewness": moments.skewness,
        }
        found: list[float | None] = [None] * len(CHANCES)
        if quantiles is not None and name in self.on_grid:
            found = quantiles[self.on_grid.index(name), self.targets.index(label)].tolist()
        return row | {key: self._value(name, value) for key, value in zip(PROBABILITIES, found, strict=True)}

    def _value(self, name: str, value: float | None) -> float | str | None:
        """A number, or of a date the day."""
        if value is None or np.isnan(value):
            return None
        if self.spec(name).type != "date":
            return value
        return (EPOCH + dt.timedelta(days=round(value))).isoformat()

    def _levels(self, name: str, label: str, places: list[int], state: State) -> list[Row]:
        counts = state["levels"][self.factors.index(name)][places].sum(axis=0)
        levels = self.spec(name).levels
        named = [*zip(levels, counts[: len(levels)], strict=True)]
        if counts[-1] != 0:  # or hidden
            named.append((MISSING, counts[-1]))
        return [
            {"variable": name, "group": label, "level": level, "n": _shown(float(n))} for level, n in named
        ]

    def _differences(self, state: State) -> list[Row]:
        """Standardised differences, where there are just two groups."""
        there = [
            place
            for place, label in enumerate(self.group_labels)
            if label != MISSING and state["rows"][place]
        ]
        if not self.group or len(there) != 2:
            return []
        rows: list[Row] = []
        for name in self.variables:
            if name in self.factors:
                counts = state["levels"][self.factors.index(name)][there][:, : len(self.spec(name).levels)]
                rows.append({"variable": name, "smd": smd_levels(counts[0], counts[1])})
            else:
                one, two = (self._moments(name, self.group_labels[place], state) for place in there)
                rows.append({"variable": name, "smd": smd(one, two)})
        return rows

    # Words.

    def _conventions(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "sd": "with n - 1",
            "skewness": "m3 / m2^1.5",
            "missing": "counted for each variable; n counts the values there are",
            "quantile_type": 7,
        }
        if self.group:
            said["smd"] = (
                "two groups: first mean minus second over the root of the mean variance; of a factor the "
                "distance of Yang and Dalton (2012), which has no sign"
            )
        return said

    def _figures(self) -> list[Figure]:
        if not self.factors:
            return []
        by = f" by {self.group}" if self.group else ""
        text = f"Numbers of patients at each level of {wording.listed(self.factors)}{by}."
        return [Figure("Bars", f"Patients{by}", text, table="categorical")]

    def _calls(self) -> dict[str, str]:
        """The same table of one file in R and in Python."""
        return table_one_calls.calls(self.numbers, self.dates, self.factors, self.group)


def _shown(count: float) -> int | None:
    return None if np.isnan(count) else int(count)


def _two_valued(spec: ColumnSpec) -> bool:
    """Whether a number has two values, as 0 and 1, so that its mean counts people."""
    return _countable(spec) and spec.grid_size == 2


def _countable(spec: ColumnSpec) -> bool:
    """Whether the values of a column lie on a grid that can be walked."""
    if not spec.has_grid or spec.listed:
        return spec.has_grid
    assert spec.low is not None and spec.high is not None and spec.step is not None
    return (spec.high - spec.low) / spec.step < GRID_POINTS
